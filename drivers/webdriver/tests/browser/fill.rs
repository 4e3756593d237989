//! Fields that are filled as a person fills them, and what is said of those that are not.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use serde_json::{Value, json};
use vigorl_geometry::{Point, Screen};
use vigorl_interface::{Action, Driver, DriverError, MouseButton, Note, PageState};
use vigorl_webdriver::WebDriver;

use crate::pages::{evaluate, open, start};

const PAGE: &str = "<!doctype html><meta charset=utf-8><style>body { margin: 0; font: 14px/18px sans-serif }
body > * { display: block; box-sizing: border-box; width: 220px; height: 22px; margin: 0 0 2px; padding: 0 4px; float: left; overflow: hidden }
textarea, #rich { height: 60px }</style>
<input id=text value='old text'>
<textarea id=area>one
two</textarea>
<div id=rich contenteditable>old <b>words</b></div>
<input id=spaces>
<input id=fixed readonly value='stays as it is'>
<input id=short maxlength=4>
<input id=password type=password value=before>
<input id=number type=number value=3>
<input id=mail type=email>
<input id=off disabled value='greyed out'>
<input id=date type=date><input id=time type=time><input id=month type=month><input id=week type=week>
<input id=moment type=datetime-local><input id=colour type=color value='#112233'><input id=range type=range min=0 max=5 value=1>
<input id=box type=checkbox><select id=list><option>a<option>b</select><button id=press>Press</button>
<label id=labelled>Name <input id=named style='width: 90px'></label>
<div id=around style='padding: 2px 30px' onclick='inner.focus()'><input id=inner style='width: 80px; height: 14px'></div>
<input id=stubborn value=mine><input id=asks onfocus=\"if (!asked) { asked = true; alert('Really?') }\">
<input id=first maxlength=2><input id=second>
<input id=moves><p id=plain>text</p>
<script>
asked = false; log = []; pressed = 0;
press.onclick = () => { pressed += 1; };
for (const kind of ['keydown', 'input', 'change']) addEventListener(kind, (event) => log.push([kind, event.target.id, event.isTrusted]), true);
spaces.oninput = () => { spaces.value = spaces.value.replace(/\\D/g, '').replace(/(.{4})(?=.)/g, '$1 '); };
stubborn.oninput = () => { stubborn.value = 'mine'; };
first.oninput = () => { if (first.value.length === 2) second.focus(); };
moves.onfocus = () => { document.body.prepend(document.createElement('input')); };
</script>";

fn shown() -> WebDriver {
    let mut driver = start();
    open(&mut driver, PAGE);
    driver
}

/// The middle of an element, by an expression for it.
fn middle_of(driver: &mut WebDriver, element: &str) -> Point<Screen> {
    let body = format!(
        "const b = ({element}).getBoundingClientRect(); return [(b.left + b.right) / 2, (b.top + b.bottom) / 2]"
    );
    let at = evaluate(driver, &body).unwrap();
    Point::new(at[0].as_f64().unwrap().floor(), at[1].as_f64().unwrap().floor())
}

fn fill_as(driver: &mut WebDriver, element: &str, text: &str, has_secret: bool) -> Result<Note, DriverError> {
    let at = middle_of(driver, element);
    evaluate(driver, "log = []").ok();
    driver.act(&Action::Fill { at, text: text.to_owned(), has_secret })?;
    Ok(driver.note())
}

fn fill(driver: &mut WebDriver, element: &str, text: &str) -> Result<Note, DriverError> {
    fill_as(driver, element, text, false)
}

#[track_caller]
fn refused(done: Result<Note, DriverError>) -> String {
    match done {
        Err(DriverError::Refused { request: "fill", detail }) => detail,
        other => panic!("{other:?}"),
    }
}

fn value(driver: &mut WebDriver, id: &str) -> Value {
    evaluate(driver, &format!("return {id}.value")).unwrap()
}

#[test]
fn a_field_holds_the_text_and_nothing_else_and_its_keys_were_real() {
    let mut driver = shown();
    for (id, text) in [
        ("text", "new words"),
        ("text", "new words"),
        ("area", "three\nlines\r\n  and a half"),
        ("password", "hunter2!"),
        ("number", "41.5"),
        ("mail", "ann@shop.test"),
        ("text", "Zoë 😀 世界"),
        ("text", ""),
        ("area", ""),
        ("number", ""),
    ] {
        let note = fill(&mut driver, id, text).unwrap();
        assert_eq!(note, Note::there(), "{id} {text:?}");
        assert_eq!(value(&mut driver, id), json!(text.replace("\r\n", "\n")), "{id}");
        let events = evaluate(&mut driver, "return log").unwrap();
        let events = events.as_array().unwrap().clone();
        // The field that is left says that it was changed.
        let is_of_another = |event: &Value| event[0] == json!("change");
        let is_trusted =
            |event: &Value| event[2] == json!(true) && (event[1] == json!(id) || is_of_another(event));
        assert!(!events.is_empty() && events.iter().all(is_trusted), "{id}: {events:?}");
    }
    let note = fill(&mut driver, "rich", "new line\nand another").unwrap();
    let stands = evaluate(&mut driver, "return rich.innerText").unwrap();
    let lines: Vec<&str> = stands.as_str().unwrap().lines().filter(|line| !line.is_empty()).collect();
    assert_eq!((note, lines), (Note::there(), vec!["new line", "and another"]));
    fill(&mut driver, "rich", "").unwrap();
    assert_eq!(evaluate(&mut driver, "return rich.innerText.trim()").unwrap(), json!(""));
}

#[test]
fn what_the_page_makes_of_a_text_is_said() {
    let mut driver = shown();
    let note = fill(&mut driver, "spaces", "4111111111111111").unwrap();
    assert_eq!(note, Note::there().with("the page made \"4111 1111 1111 1111\" of it"));
    let note = fill_as(&mut driver, "spaces", "4000056655665556", true).unwrap();
    assert_eq!(note, Note::there().with("the page formats it"));
    assert_eq!(value(&mut driver, "spaces"), json!("4000 0566 5566 5556"));
    // Letters are thrown away: that is no format.
    let detail = refused(fill(&mut driver, "spaces", "12ab"));
    assert!(detail.contains("is not the text") && detail.contains("\"12\""), "{detail}");
}

#[test]
fn a_field_that_does_not_take_the_text_is_refused_with_what_stands_there() {
    let mut driver = shown();
    for (id, text, words) in [
        ("fixed", "x", "the field is read-only: \"stays as it is\""),
        ("short", "abcdef", "\"abcd\" (it takes 4 characters at most)"),
        ("stubborn", "yours", "\"mine\""),
        ("number", "12 apples", "is not the text"),
        ("text", "two\nlines", "of one line"),
        ("off", "x", "is disabled"),
        ("box", "x", "is clicked"),
        ("list", "b", "`select` chooses an option"),
        ("press", "x", "a <button> at this point"),
        ("plain", "x", "no field at this point"),
        ("asks", "x", "a dialog opened before the text was there: Really?"),
    ] {
        let detail = refused(fill(&mut driver, id, text));
        assert!(detail.contains(words), "{id}: {detail}");
        if let PageState { dialog: Some(_), .. } = driver.page_state().unwrap() {
            driver.act(&Action::AnswerDialog { accept: true, text: None }).unwrap();
        }
    }
    let untouched = "return [fixed.value, off.value, box.checked, list.value, pressed, text.value]";
    let expected = json!(["stays as it is", "greyed out", false, "a", 0, "old text"]);
    assert_eq!(evaluate(&mut driver, untouched).unwrap(), expected);
    // Of a secret, and of a password, nothing is told.
    for (id, text, has_secret) in [("short", "hunter2", true), ("fixed", "hunter2", true)] {
        let detail = refused(fill_as(&mut driver, id, text, has_secret));
        assert!(
            detail.contains("may be a secret") && !detail.contains("hunt") && !detail.contains("stays"),
            "{detail}"
        );
    }
    evaluate(&mut driver, "password.maxLength = 4").unwrap();
    let detail = refused(fill(&mut driver, "password", "hunter2"));
    assert!(detail.contains("may be a secret") && !detail.contains("hunt"), "{detail}");
}

#[test]
fn where_keys_would_write_something_else_a_script_sets_the_value_and_that_is_said() {
    let mut driver = shown();
    for (id, kind, text) in [
        ("date", "date", "2026-03-05"),
        ("time", "time", "14:30"),
        ("month", "month", "2026-03"),
        ("week", "week", "2026-W10"),
        ("moment", "datetime-local", "2026-03-05T14:30"),
        ("colour", "color", "#a0b1c2"),
        ("range", "range", "4"),
        ("date", "date", ""),
    ] {
        let note = fill(&mut driver, id, text).unwrap();
        let said = format!("set by a script and not by keys: the field is of type {kind}");
        assert_eq!(note, Note::there().with(said));
        assert_eq!(value(&mut driver, id), json!(text));
        let told = json!([["input", id, false], ["change", id, false]]);
        assert_eq!(evaluate(&mut driver, "return log").unwrap(), told, "{id}");
    }
    for (id, text, words, stays) in [
        ("date", "tomorrow", "takes YYYY-MM-DD", ""),
        ("date", "2026-02-30", "2026-02-30 is none", ""),
        ("colour", "red", "takes #rrggbb", "#a0b1c2"),
        ("colour", "", "is never empty", "#a0b1c2"),
        ("range", "7", "from 0 to 5: 7 is none", "4"),
        ("range", "", "is never empty", "4"),
    ] {
        let detail = refused(fill(&mut driver, id, text));
        assert!(detail.contains(words), "{id}: {detail}");
        assert_eq!(value(&mut driver, id), json!(stays), "{id}");
    }
    let detail = refused(fill_as(&mut driver, "date", "hunter2", true));
    assert!(!detail.contains("hunter2"), "{detail}");
    // Typing writes a date by a script as well.
    let at = middle_of(&mut driver, "date");
    driver.act(&Action::Click { at, button: MouseButton::Left, count: 1 }).unwrap();
    driver.act(&Action::Type { text: "2026-03-06".to_owned() }).unwrap();
    let note = driver.note();
    assert!(note.detail.is_some_and(|said| said.contains("set by a script")) && !note.is_there);
    driver.act(&Action::Hover { at: Point::new(1.0, 1.0) }).unwrap();
    assert_eq!(driver.note(), Note::default(), "a note is of the latest action");
}

#[test]
fn a_field_is_found_by_its_label_and_by_what_hands_the_click_on() {
    let mut driver = shown();
    fill(&mut driver, "labelled", "Ann").unwrap();
    let at =
        evaluate(&mut driver, "const b = around.getBoundingClientRect(); return [b.left + 8, b.top + 8]")
            .unwrap();
    let at = Point::new(at[0].as_f64().unwrap(), at[1].as_f64().unwrap());
    driver.act(&Action::Fill { at, text: "inside".to_owned(), has_secret: false }).unwrap();
    // The page goes on to the next field by itself, and moves what is filled.
    fill(&mut driver, "first", "12").unwrap();
    fill(&mut driver, "moves", "here").unwrap();
    let values =
        evaluate(&mut driver, "return [named.value, inner.value, first.value, second.value, moves.value]");
    assert_eq!(values.unwrap(), json!(["Ann", "inside", "12", "", "here"]));
}

#[test]
fn fields_in_components_and_in_frames_are_filled() {
    let mut driver = start();
    let framed = "<body style='margin: 0'><input id=f value=old style='width: 150px'>\
                  <script>parent.postMessage('ready', '*')</script>";
    open(
        &mut driver,
        &format!(
            "<style>body {{ margin: 0 }} iframe {{ border: 0; display: block; width: 300px; height: 40px }}</style><div id=host></div>
             <iframe id=same srcdoc=\"{framed}\"></iframe><iframe id=other sandbox='allow-scripts' srcdoc=\"{framed}\"></iframe>
             <script>host.attachShadow({{ mode: 'open' }}).innerHTML = '<input value=old style=width:150px>'</script>"
        ),
    );
    driver.settle(std::time::Duration::from_secs(5)).unwrap();
    fill(&mut driver, "host.shadowRoot.querySelector('input')", "in a component").unwrap();
    let in_frame = |frame: &str| {
        format!(
            "{{ getBoundingClientRect: () => {{ const b = {frame}.getBoundingClientRect(); return {{ left: b.left + 20, right: b.left + 20, top: b.top + 10, bottom: b.top + 10 }} }} }}"
        )
    };
    fill(&mut driver, &in_frame("same"), "in a frame").unwrap();
    assert_eq!(fill(&mut driver, &in_frame("other"), "elsewhere").unwrap(), Note::there());
    let values = "return [host.shadowRoot.querySelector('input').value, same.contentWindow.f.value]";
    assert_eq!(evaluate(&mut driver, values).unwrap(), json!(["in a component", "in a frame"]));
    let there = driver.evaluate_in_frames("return f.value").unwrap();
    assert_eq!(there.iter().map(|frame| frame.said.as_str()).collect::<Vec<_>>(), ["\"elsewhere\""]);
}
