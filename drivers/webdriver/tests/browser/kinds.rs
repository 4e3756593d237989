//! Kinds of pages that were waited for too long, or lost: endless animations, windows that close themselves, dialogs with a
//! field, and fields for dates.

use std::time::Duration;

use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, DriverError, MouseButton, Settled};

use crate::pages::{data_url, evaluate, open, start};

const CAP: Duration = Duration::from_secs(5);

fn click(x: f64, y: f64) -> Action {
    Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 }
}

fn typed(text: &str) -> Action {
    Action::Type { text: text.to_owned() }
}

#[test]
fn what_turns_for_ever_is_not_waited_for_and_what_ends_is() {
    let mut driver = start();
    let endless = [
        "animation: r 1s linear infinite",
        "animation: r 60s linear",
        "animation: r 300ms steps(4) infinite alternate",
    ];
    for style in endless {
        let spinner = format!(
            "<style>@keyframes r {{ to {{ transform: rotate(360deg) }} }}</style>\
             <div style='width:40px;height:40px;border:4px solid #ccc;border-top-color:#00f;{style}'></div>"
        );
        open(&mut driver, &spinner);
        for settled in [driver.settle(CAP), driver.settled_screenshot(CAP).map(|(settled, _)| settled)] {
            let settled = settled.expect("the page is there");
            let Settled::Quiet { after } = settled else { panic!("{settled:?}: {style}") };
            assert!(after < Duration::from_secs(2), "{after:?}: {style}");
        }
    }
    open(
        &mut driver,
        "<style>@keyframes m { to { margin-left: 99px } } p { animation: m 1s linear }</style><p>x</p>",
    );
    let settled = driver.settle(CAP).expect("the page is there");
    let Settled::Quiet { after } = settled else { panic!("{settled:?}") };
    assert!(after > Duration::from_millis(500), "it still moved: {after:?}");
}

#[test]
fn a_tab_that_closes_itself_leaves_the_one_before_it() {
    let mut driver = start();
    let page = "<title>first</title><button style='position:absolute;left:0;top:0;width:90px;height:30px' \
                onclick=\"w = window.open('about:blank')\">open</button>";
    open(&mut driver, page);
    let first = driver.tabs().expect("tabs")[0].clone();
    for closes in ["window.close()", "setTimeout(() => window.close(), 50)", "opener.w.close()"] {
        driver.act(&click(20.0, 10.0)).expect("a click");
        let tabs = driver.tabs().expect("tabs");
        let opened = tabs.iter().find(|tab| **tab != first).expect("it was opened").clone();
        driver.act(&Action::SwitchTab { tab: opened.into() }).expect("it is there");
        evaluate(&mut driver, closes).ok();
        let is_closed = || {
            let tabs = driver.tabs()?;
            Ok::<_, DriverError>(match tabs[..] == [first.clone()] {
                true => std::ops::ControlFlow::Break(()),
                false => std::ops::ControlFlow::Continue(Duration::from_millis(20)),
            })
        };
        let end = Some(std::time::Instant::now() + CAP);
        assert_eq!(vigorl_interface::wait_until(end, is_closed).expect("tabs"), Some(()), "{closes}");
        assert_eq!(driver.page_state().expect("a page").title.as_deref(), Some("first"), "{closes}");
        driver.settled_screenshot(CAP).expect("a page that is shown");
    }
}

#[test]
fn text_goes_into_the_field_of_a_dialog_and_nowhere_else() {
    let mut driver = start();
    let button = |call: &str| {
        format!(
            "<button style='position:absolute;left:0;top:0;width:90px;height:30px' \
             onclick=\"document.title = 'got ' + {call}\">ask</button>"
        )
    };
    let accept = |accept| Action::AnswerDialog { accept, text: None };
    for (call, texts, answer, title) in [
        ("prompt('name?')", &["Ada"][..], true, "got Ada"),
        ("prompt('name?', 'Bob')", &["Ada", " Lovelace"][..], true, "got Ada Lovelace"),
        ("prompt('name?')", &["Ada"][..], false, "got null"),
    ] {
        open(&mut driver, &button(call));
        driver.act(&click(20.0, 10.0)).ok();
        for text in texts {
            driver.act(&typed(text)).unwrap_or_else(|error| panic!("{error}: {call}"));
        }
        driver.act(&accept(answer)).expect("an open dialog");
        assert_eq!(driver.page_state().expect("a page").title.as_deref(), Some(title), "{call}");
    }
    for call in ["confirm('sure?')", "alert('so')"] {
        open(&mut driver, &button(call));
        driver.act(&click(20.0, 10.0)).ok();
        let refused = driver.act(&typed("Ada"));
        assert!(matches!(refused, Err(DriverError::Refused { .. })), "{refused:?}: {call}");
        driver.act(&accept(true)).expect("an open dialog");
    }
}

#[test]
fn a_date_is_what_was_said_or_refused() {
    let mut driver = start();
    let field = |attributes: &str| {
        format!(
            "<input id=f {attributes} style='position:absolute;left:0;top:0;width:200px;height:30px'>\
             <script>heard = []; for (const kind of ['input', 'change']) f.addEventListener(kind, () => heard.push(kind))</script>"
        )
    };
    for (kind, text, value) in [
        ("date", "2026-03-05", "2026-03-05"),
        ("month", "2026-03", "2026-03"),
        ("week", "2026-W09", "2026-W09"),
        ("time", "14:30", "14:30"),
        // As a person types it, part by part.
        ("time", "0805PM", "20:05"),
        ("time", "1110AM", "11:10"),
        ("datetime-local", "2026-03-05T14:30", "2026-03-05T14:30"),
        ("datetime-local", "2026-03-05 14:30", "2026-03-05T14:30"),
        ("text", "2026-03-05", "2026-03-05"),
        ("number", "42", "42"),
    ] {
        open(&mut driver, &field(&format!("type={kind}")));
        driver.act(&click(10.0, 10.0)).expect("a click");
        driver.act(&typed(text)).unwrap_or_else(|error| panic!("{error}: {kind}"));
        assert_eq!(evaluate(&mut driver, "return f.value").expect("a value"), value, "{kind}");
        let heard = evaluate(&mut driver, "return heard.includes('input')").expect("a value");
        assert_eq!(heard, true, "{kind}");
    }
    for (attributes, text, words) in [
        ("type=date", "5 March 2026", "takes YYYY-MM-DD"),
        ("type=date", "2026-02-31", "there is no 2026-02-31"),
        ("type=month", "03/2026", "takes YYYY-MM,"),
        ("type=time", "half past two", "takes HH:MM"),
        ("type=time", "1110 am", "takes HH:MM"),
        ("type=date readonly", "2026-03-05", "takes no text"),
    ] {
        open(&mut driver, &field(attributes));
        driver.act(&click(10.0, 10.0)).expect("a click");
        let refused = driver.act(&typed(text)).expect_err(attributes).to_string();
        assert!(refused.contains(words), "{refused}: {attributes}");
        assert_eq!(evaluate(&mut driver, "return f.value").expect("a value"), "", "{attributes}");
    }
}

#[test]
fn a_page_of_another_origin_is_looked_into() {
    let mut driver = start();
    // A document of its own origin, which no script around it may look into.
    let inner = "<body style='margin:0'><button style='position:absolute;left:20px;top:30px;width:60px;height:20px' \
                 onclick='this.textContent = 1'>Pay</button>";
    let source = inner.replace('"', "&quot;");
    open(
        &mut driver,
        &format!(
            "<body style='margin:0'><iframe sandbox='allow-scripts' srcdoc=\"{source}\" \
             style='border:0;position:absolute;left:10px;top:10px;width:200px;height:100px;\
             transform:scale(.5);transform-origin:0 0'></iframe>"
        ),
    );
    driver.settle(CAP).expect("a page");
    let there =
        driver.evaluate_in_frames("return document.querySelector('button').textContent").expect("a frame");
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].said, "\"Pay\"");
    let at = there[0].apply(Point::new(50.0, 40.0));
    assert!((at.x - 35.0).abs() < 0.1 && (at.y - 30.0).abs() < 0.1, "{at:?}");
    let hit = "return [document.elementFromPoint(pointX, pointY).localName, Math.round(pointX), Math.round(pointY)]";
    assert_eq!(driver.evaluate_at(at, hit).expect("a frame").said, "[\"button\",50,40]");
    assert_eq!(
        evaluate(&mut driver, "return document.querySelectorAll('iframe').length").expect("the page"),
        1
    );
    // A page without such frames.
    driver.act(&Action::Navigate { url: data_url("<p>x</p>") }).expect("a page");
    assert_eq!(driver.evaluate_in_frames("return 1").expect("a page"), []);
    assert_eq!(
        driver.evaluate_at(Point::new(3.0, 4.0), "return [pointX, pointY]").expect("a page").said,
        "[3,4]"
    );
}
