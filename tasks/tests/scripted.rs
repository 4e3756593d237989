//! Clauses of scripted tasks against a real page.

use vigorl_interface::{Action, Driver};
use vigorl_tasks::Verification;
use vigorl_tasks::scripted::{ScriptedTask, Surroundings};
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
",
    )
    .unwrap();
    let verdict = task.judge(&mut driver, &Surroundings::default()).unwrap();
    use Verification::{Satisfied as Yes, Unknown, Unsatisfied as No};
    assert_eq!(
        verdict.clauses,
        [
            Yes, No, Yes, Yes, No, Yes, Yes, No, Unknown, Unknown, Yes, No, Yes, Unknown, Yes, Yes, No, No,
            Unknown
        ]
    );
    assert!((verdict.reward - 9.0 / 19.0).abs() < 1e-9 && !verdict.success());
}
