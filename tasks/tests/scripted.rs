//! Clauses of scripted tasks against a real page.

use std::time::{Duration, Instant};

use vigorl_interface::{Action, Driver};
use vigorl_tasks::scripted::{Check, Clause, Scene, ScriptedTask, Surroundings};
use vigorl_tasks::{Allowance, Blind, Verification};
use vigorl_webdriver::{Options, WebDriver};

#[test]
fn clauses_are_checked_on_the_page() {
    let mut driver = WebDriver::start(Options::headless(400, 300)).unwrap();
    let html = "<title>A page</title><p>Hello   <b>big</b> world</p><p style='display:none'>secret</p><input value='typed text'>\
        <label><input type=checkbox checked>Agree</label><button disabled id=go>Go</button>";
    driver.act(&Action::Navigate { url: format!("data:text/html,{html}") }).unwrap();
    let task = ScriptedTask::parse(
        "
name: clauses
start: {}
goal: look
reward: mean
expect:
  - text_visible: Hello big world
  - text_visible: secret
  - text_visible: typed text
  - url_contains: text/html
  - url_contains: nowhere
  - title_contains: page
  - javascript: document.querySelectorAll('p').length === 2
  - javascript: document.querySelectorAll('p').length === 3
  - javascript: this is no JavaScript
  - clipboard: a browser does not tell
  - element: { name: Agree, role: checkbox, is: checked }
  - element: { name: Agree, is: unchecked }
  - element: { selector: '#go', is: disabled }
  - element: { selector: '#go', is: checked }
  - element: { selector: p, is: visible }
  - element: { selector: '#nothing', is: hidden }
  - element: { selector: '#nothing', is: enabled }
  - element: { selector: '#go', is: focused }
  - element: { selector: '?', is: visible }
  - text_gone: secret
  - text_gone: big world
  - text_gone: typed text
  - text_visible: { text: Hello, on: screen }
  - text_gone: { text: Hello, on: screen }
",
    )
    .unwrap();
    let surroundings = Surroundings::default();
    let mut scene = Scene {
        driver: &mut driver,
        surroundings: &surroundings,
        senses: &mut Blind,
        allowance: Allowance::UNLIMITED,
    };
    let verdict = task.judge(&task.values, &mut scene).unwrap();
    use Verification::{Satisfied as Yes, Unknown, Unsatisfied as No};
    let found: Vec<Verification> =
        task.expect.iter().map(|clause| clause.verify(&mut scene).unwrap().holds).collect();
    assert_eq!(
        found,
        [
            Yes, No, Yes, Yes, No, Yes, Yes, No, Unknown, Unknown, Yes, No, Yes, Unknown, Yes, Yes, No, No,
            Unknown, Yes, No, No, Unknown, Unknown
        ]
    );
    assert!((verdict.reward.unwrap() - 10.0 / 24.0).abs() < 1e-9 && verdict.verification == No);
}

#[test]
fn a_promise_is_awaited_and_what_is_thrown_is_kept() {
    let mut driver = WebDriver::start(Options::headless(400, 300)).unwrap();
    driver.act(&Action::Navigate { url: "data:text/html,<title>A page</title>".to_owned() }).unwrap();
    let surroundings = Surroundings::default();
    let mut check = |expression: &str, allowance: &Allowance<'_>| {
        let clause = Clause::Javascript(expression.to_owned());
        let mut scene = Scene {
            driver: &mut driver,
            surroundings: &surroundings,
            senses: &mut Blind,
            allowance: *allowance,
        };
        clause.verify(&mut scene).unwrap()
    };
    for (expression, holds) in [
        ("(async () => false)()", Verification::Unsatisfied),
        ("(async () => 'some text')()", Verification::Satisfied),
        ("new Promise((done) => setTimeout(() => done(0), 50))", Verification::Unsatisfied),
        ("await new Promise((done) => setTimeout(() => done(1), 50)) // later", Verification::Satisfied),
    ] {
        let found = check(expression, &Allowance::UNLIMITED);
        assert_eq!(found, Check { holds, why: None }, "{expression}");
    }
    for (expression, words) in [
        ("nowhere.at.all", "nowhere is not defined"),
        ("(() => { throw new TypeError('no such thing') })()", "no such thing"),
        ("Promise.reject(new RangeError('too far'))", "too far"),
        ("this is no JavaScript", "Unexpected identifier"),
    ] {
        let found = check(expression, &Allowance::UNLIMITED);
        assert_eq!(found.holds, Verification::Unknown, "{expression}");
        assert!(found.why.as_deref().is_some_and(|why| why.contains(words)), "{expression}: {found:?}");
    }
    let begin = Instant::now();
    let soon = Allowance { until: Some(begin + Duration::from_millis(300)), is_cancelled: &|| false };
    let found = check("new Promise(() => {})", &soon);
    assert_eq!(found.holds, Verification::Unknown);
    assert!(found.why.is_some_and(|why| why.contains("no answer within 0.3 s")));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
