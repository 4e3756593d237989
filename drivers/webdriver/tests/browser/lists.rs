//! Options of native lists: what the page hears of a choice, widgets that live on it, and which option is taken.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use serde_json::{Value, json};
use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, DriverError, MouseButton, Note};
use vigorl_webdriver::WebDriver;

use crate::pages::{evaluate, open, start};

/// Notes all that the page hears, with what stands in the list then; what no browser made is marked.
const HEARS: &str = "<script>heard = [];
for (const kind of ['pointerdown', 'mousedown', 'focus', 'blur', 'pointerup', 'mouseup', 'click', 'input', 'change', 'keydown', 'keyup'])
  addEventListener(kind, (event) => {
    if (event.target === window || event.target === document) return;
    heard.push(`${event.target.id || event.target.localName} ${kind}${event.isTrusted ? '' : '!'}`);
  }, true)</script>";
/// The place of a list in the pages here.
const PLACED: &str = "style='position:absolute;left:20px;top:30px;width:160px'";

fn choose(driver: &mut WebDriver, at: (f64, f64), option: &str) -> Result<Note, DriverError> {
    driver.act(&Action::Select { at: Point::new(at.0, at.1), option: option.to_owned() })?;
    Ok(driver.note())
}

/// Chooses in the list of these pages.
fn chosen(driver: &mut WebDriver, option: &str) -> Result<Note, DriverError> {
    choose(driver, (60.0, 40.0), option)
}

#[track_caller]
fn refused(done: Result<Note, DriverError>) -> String {
    match done {
        Err(DriverError::Refused { request: "select", detail }) => detail,
        other => panic!("{other:?}"),
    }
}

fn ask(driver: &mut WebDriver, body: &str) -> Value {
    evaluate(driver, body).unwrap()
}

/// A list with these options, and what the page hears.
fn list(attributes: &str, options: &str) -> String {
    format!("<body style='margin:0'><select id=s {attributes} {PLACED}>{options}</select>{HEARS}")
}

#[test]
fn a_choice_is_heard_as_the_browser_itself_tells_of_one() {
    let mut driver = start();
    open(&mut driver, &list("", "<option>a<option>b<option>c"));
    assert_eq!(chosen(&mut driver, "c").unwrap(), Note::there());
    // No key is heard: to a page, nobody has pressed one. The last click is the browser's own, behind a choice.
    let expected = json!([
        "s pointerdown",
        "s mousedown",
        "s focus",
        "s pointerup",
        "s mouseup",
        "s click",
        "s input",
        "s change",
        "s click"
    ]);
    assert_eq!(ask(&mut driver, "return heard"), expected);
    assert_eq!(ask(&mut driver, "return [s.value, document.activeElement.id]"), json!(["c", "s"]));
    // What is chosen already is no change, and stands there all the same.
    ask(&mut driver, "heard = []");
    assert_eq!(chosen(&mut driver, "c").unwrap(), Note::there());
    assert_eq!(ask(&mut driver, "return [s.value, heard.includes('s change')]"), json!(["c", false]));
    // A key that is pressed afterwards is the page's.
    driver.act(&Action::Type { text: "b".to_owned() }).unwrap();
    assert_eq!(ask(&mut driver, "return heard.includes('s keydown')"), json!(true));
}

/// A field that shows a panel with a list, and closes it once the keyboard is outside, unless the mouse is pressed in it. The
/// list is made anew by every choice.
const CLOSES_ON_BLUR: &str = "<body style='margin:0'><input id=field style='position:absolute;left:20px;top:0;width:160px'>
<div id=panel hidden style='position:absolute;left:20px;top:30px;width:200px;height:90px;background:#ddd'></div><script>
nClosed = 0;
let isPressed = false;
const draw = (year) => {
  panel.innerHTML = '<select style=\"position:absolute;left:0;top:0;width:160px\">'
    + Array.from({ length: 71 }, (_, n) => `<option value=${1950 + n} ${1950 + n === year ? 'selected' : ''}>${1950 + n}</option>`).join('') + '</select>';
};
field.onfocus = () => { draw(2000); panel.hidden = false; isPressed = false; };
field.onblur = () => { if (!isPressed) setTimeout(() => { panel.hidden = true; nClosed += 1; }, 50); isPressed = false; };
panel.onmousedown = () => { isPressed = true; };
panel.onchange = (event) => { draw(Number(event.target.value)); field.value = event.target.value; };
</script>";

#[test]
fn a_widget_that_closes_when_it_loses_the_keyboard_stays_open() {
    let mut driver = start();
    open(&mut driver, CLOSES_ON_BLUR);
    let click = Action::Click { at: Point::new(60.0, 10.0), button: MouseButton::Left, count: 1 };
    driver.act(&click).unwrap();
    for year in ["1987", "2020", "1950"] {
        // The page has another list in its place: what stands in that is not known.
        assert_eq!(chosen(&mut driver, year).unwrap(), Note::default(), "{year}");
        let after =
            "return new Promise((done) => setTimeout(() => done([field.value, panel.hidden, nClosed]), 150))";
        assert_eq!(ask(&mut driver, after), json!([year, false, 0]));
    }
    // It does close for whoever only moves the keyboard.
    ask(&mut driver, "field.focus(); document.querySelector('select').focus()");
    let n_closed = "return new Promise((done) => setTimeout(() => done(nClosed), 150))";
    assert_eq!(ask(&mut driver, n_closed), json!(1));
}

#[test]
fn a_list_that_the_page_keeps_shut_is_refused_and_keeps_its_option() {
    let mut driver = start();
    for prevents in ["onmousedown='event.preventDefault()'", "onpointerdown='event.preventDefault()'"] {
        open(&mut driver, &list(prevents, "<option>a<option>b"));
        let said = refused(chosen(&mut driver, "b"));
        assert!(said.contains("does not open the list"), "{prevents}: {said}");
        let state = "return [s.value, heard.some((one) => /input|change|key/.test(one))]";
        assert_eq!(ask(&mut driver, state), json!(["a", false]), "{prevents}");
    }
    // It shows another list than the browser's.
    let own = "<ul id=own hidden style='position:absolute;left:20px;top:60px;width:160px'><li>b</ul>\
               <script>s.onmousedown = (event) => { event.preventDefault(); own.hidden = false; }; own.onclick = () => { s.value = 'b'; }</script>";
    open(&mut driver, &format!("{}{own}", list("", "<option>a<option>b")));
    refused(chosen(&mut driver, "b"));
    let click = Action::Click { at: Point::new(80.0, 88.0), button: MouseButton::Left, count: 1 };
    driver.act(&click).unwrap();
    assert_eq!(ask(&mut driver, "return s.value"), json!("b"), "as the refusal says");
    // Of one that shows all its options, the press itself is lost.
    open(&mut driver, &list("size=3 onmousedown='event.preventDefault()'", "<option>a<option>b"));
    assert!(refused(chosen(&mut driver, "b")).contains("did not take the option"));
    assert_eq!(ask(&mut driver, "return s.value"), json!(""));
}

#[test]
fn a_list_that_goes_away_when_it_is_pressed_is_refused() {
    let mut driver = start();
    for goes in ["this.remove()", "this.replaceWith(this.cloneNode(true))"] {
        open(&mut driver, &list(&format!("onmousedown='{goes}'"), "<option>a<option>b"));
        assert!(refused(chosen(&mut driver, "b")).contains("takes the list away"), "{goes}");
    }
    // An option that goes away leaves the list as it was, and shut.
    open(&mut driver, &list("onmousedown='if (s.length > 1) s.remove(1)'", "<option>a<option>b"));
    assert!(refused(chosen(&mut driver, "b")).contains("the list has a"));
    let state = "return [s.value, s.matches(':open'), heard.some((one) => /key|change/.test(one))]";
    assert_eq!(ask(&mut driver, state), json!(["a", false, false]));
}

#[test]
fn every_option_that_can_be_chosen_is_the_one_that_is_taken() {
    let mut driver = start();
    let many = (0..150).map(|n| format!("<option>number {n}")).collect::<String>();
    let lists = [
        // What keys pass over, on every side.
        (
            "<option hidden>h<option disabled selected>pick<optgroup label=G><option>a<option style='display:none'>n\
             <option>b</optgroup><hr><optgroup label=H disabled><option>q</optgroup>\
             <optgroup label=K hidden><option>k</optgroup><option>c<option disabled>z",
            vec![("a", 2), ("b", 4), ("c", 7)],
        ),
        // What they stop at, although nobody may choose it.
        (
            "<option>a<option aria-disabled=true>x<option style='cursor:not-allowed'>y<option>b<option>c",
            vec![("c", 4), ("a", 0), ("b", 3)],
        ),
        // Two of the same words: the first.
        ("<option>a<option>b<option>  b  <option>c", vec![("b", 1), ("c", 3)]),
        (
            &many[..],
            vec![("number 149", 149), ("number 0", 0), ("number 74", 74), ("number 75", 75), ("number 1", 1)],
        ),
    ];
    for (options, wanted) in lists {
        open(&mut driver, &list("", options));
        for (words, idx) in wanted {
            ask(&mut driver, "heard = []");
            chosen(&mut driver, words).unwrap_or_else(|error| panic!("{error}: {words}"));
            // One change, and none on the way.
            let state = "return [s.selectedIndex, heard.filter((one) => one === 's change').length]";
            assert_eq!(ask(&mut driver, state), json!([idx, 1]), "{words} of {options}");
        }
    }
}

#[test]
fn options_that_stand_on_the_page_are_pressed_themselves() {
    let mut driver = start();
    let many = (0..60).map(|n| format!("<option>o{n}")).collect::<String>();
    open(&mut driver, &list("size=4", &many));
    chosen(&mut driver, "o44").unwrap();
    let expected = json!([
        "option pointerdown",
        "option mousedown",
        "s focus",
        "option pointerup",
        "option mouseup",
        "s input",
        "s change",
        "option click"
    ]);
    assert_eq!(ask(&mut driver, "return heard"), expected);
    assert_eq!(ask(&mut driver, "return s.value"), json!("o44"));
    chosen(&mut driver, "o2").unwrap();
    assert_eq!(ask(&mut driver, "return [...s.selectedOptions].map((one) => one.label)"), json!(["o2"]));
    // Where several may be chosen, the others stay, and none is taken back.
    open(&mut driver, &list("multiple size=4", &format!("<optgroup label=G>{many}</optgroup>")));
    for words in ["o50", "o1", "o50"] {
        assert_eq!(chosen(&mut driver, words).unwrap(), Note::there(), "{words}");
    }
    assert_eq!(
        ask(&mut driver, "return [...s.selectedOptions].map((one) => one.label)"),
        json!(["o1", "o50"])
    );
}

#[test]
fn lists_are_found_by_labels_in_components_and_in_frames() {
    let mut driver = start();
    let label = "<label for=s style='position:absolute;left:20px;top:90px'>The list</label>";
    open(&mut driver, &format!("{}{label}", list("", "<option>a<option>b")));
    choose(&mut driver, (30.0, 98.0), "b").unwrap();
    assert_eq!(ask(&mut driver, "return s.value"), json!("b"));
    let around = "<label style='position:absolute;left:0;top:30px'><input style='width:40px'> \
                  <select id=s style='width:90px'><option>a<option>b</select></label>";
    open(&mut driver, around);
    choose(&mut driver, (80.0, 40.0), "b").unwrap();
    assert_eq!(ask(&mut driver, "return s.value"), json!("b"));
    // Only the label is there.
    let hidden = format!("{label}<select id=s style='display:none'><option>a<option>b</select>");
    open(&mut driver, &hidden);
    assert!(refused(choose(&mut driver, (30.0, 98.0), "b")).contains("the list is hidden"));
    assert_eq!(ask(&mut driver, "return s.value"), json!("a"));

    let inside = format!(
        "<div id=host></div><script>host.attachShadow({{ mode: 'open' }}).innerHTML = \
         `<select {PLACED}><option>a<option>b</select>`</script>"
    );
    open(&mut driver, &inside);
    assert_eq!(chosen(&mut driver, "b").unwrap(), Note::there());
    assert_eq!(ask(&mut driver, "return host.shadowRoot.querySelector('select').value"), json!("b"));

    let inner = list("onchange=\"parent.postMessage(s.value, '*')\"", "<option>a<option>b<option>c");
    let source = inner.replace('&', "&amp;").replace('"', "&quot;");
    for sandbox in ["", "sandbox='allow-scripts'"] {
        open(
            &mut driver,
            &format!(
                "<body style='margin:0'><iframe {sandbox} srcdoc=\"{source}\" style='border:0;position:absolute;left:100px;\
                 top:50px;width:300px;height:200px;transform:scale(.5);transform-origin:0 0'></iframe>\
                 <script>told = null; onmessage = (event) => {{ told = event.data; }}</script>"
            ),
        );
        driver.settle(std::time::Duration::from_secs(5)).unwrap();
        // (60, 40) of the frame, which is drawn at half its size.
        choose(&mut driver, (130.0, 70.0), "c").unwrap_or_else(|error| panic!("{error}: {sandbox}"));
        let told = "return new Promise((done) => setTimeout(() => done(told), 50))";
        assert_eq!(ask(&mut driver, told), json!("c"), "{sandbox}");
    }
}

#[test]
fn a_list_that_is_open_already_is_used_as_it_is() {
    let mut driver = start();
    let other = "<select id=other style='position:absolute;left:300px;top:30px;width:100px'><option>1<option>2</select>";
    open(&mut driver, &format!("{}{other}", list("", "<option>a<option>b")));
    let click = Action::Click { at: Point::new(60.0, 40.0), button: MouseButton::Left, count: 1 };
    driver.act(&click).unwrap();
    chosen(&mut driver, "b").unwrap();
    driver.act(&click).unwrap();
    choose(&mut driver, (350.0, 40.0), "2").unwrap();
    assert_eq!(ask(&mut driver, "return [s.value, other.value]"), json!(["b", "2"]));
}

#[test]
fn what_a_page_does_with_a_choice_is_left_to_what_is_seen() {
    let mut driver = start();
    // It goes back to its first option, as menus of places to go to do.
    open(&mut driver, &list("onchange='went = s.value; s.selectedIndex = 0'", "<option>go to<option>b"));
    assert_eq!(chosen(&mut driver, "b").unwrap(), Note::default());
    assert_eq!(ask(&mut driver, "return [went, s.value]"), json!(["b", "go to"]));
    open(&mut driver, &list("onchange=\"location = 'about:blank'\"", "<option>go to<option>b"));
    assert_eq!(chosen(&mut driver, "b").unwrap(), Note::default());
    assert_eq!(driver.page_state().unwrap().url.as_deref(), Some("about:blank"));
    open(&mut driver, &list("onchange=\"alert('sure?')\"", "<option>a<option>b"));
    assert_eq!(chosen(&mut driver, "b").unwrap(), Note::default());
    assert_eq!(driver.page_state().unwrap().dialog.as_deref(), Some("sure?"));
    driver.act(&Action::AnswerDialog { accept: true, text: None }).unwrap();
    assert_eq!(ask(&mut driver, "return s.value"), json!("b"));
    // One that opens before the list does.
    open(&mut driver, &list("onmousedown=\"alert('not now')\"", "<option>a<option>b"));
    assert!(refused(chosen(&mut driver, "b")).contains("not now"));
    driver.act(&Action::AnswerDialog { accept: true, text: None }).unwrap();
    assert_eq!(ask(&mut driver, "return s.value"), json!("a"));
}

#[test]
fn where_the_list_opens_outside_of_the_browser_a_script_tells_the_page_in_the_same_order() {
    let mut driver = start();
    let elsewhere =
        "<script>Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' })</script>";
    open(&mut driver, &format!("{elsewhere}{}", list("", "<option>a<option>b")));
    let note = chosen(&mut driver, "b").unwrap();
    assert!(note.is_there && note.detail.unwrap().contains("by a script"));
    let expected = json!([
        "s pointerdown!",
        "s mousedown!",
        "s focus",
        "s pointerup!",
        "s mouseup!",
        "s click!",
        "s input!",
        "s change!"
    ]);
    assert_eq!(ask(&mut driver, "return heard"), expected);
    let prevents = "onmousedown='event.preventDefault()'";
    open(&mut driver, &format!("{elsewhere}{}", list(prevents, "<option>a<option>b")));
    assert!(refused(chosen(&mut driver, "b")).contains("does not open the list"));
    assert_eq!(ask(&mut driver, "return s.value"), json!("a"));
}
