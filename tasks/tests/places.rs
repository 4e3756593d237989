//! Places of targets on a real page, native lists and file fields, and a person who is watched.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{Act, Action, Driver, DriverError, Key, MouseButton, wait_until};
use vigorl_tasks::Blind;
use vigorl_tasks::scripted::{ElementAt, ElementPlace, Place, Recording, Step, Target, listener};
use vigorl_webdriver::{Options, WebDriver};

const PAGE: &str = "<!doctype html><title>Places</title>
<style>body { margin: 0 } * { font: 16px sans-serif; box-sizing: border-box } button, input, select, a { position: absolute; left: 20px; width: 120px; height: 24px }</style>
<button id=save style='top: 10px'>Save</button>
<button id=cancel style='top: 50px' aria-label='Cancel everything'>x</button>
<label style='position: absolute; left: 20px; top: 84px'>Search <input id=q style='left: 80px; top: 0'></label>
<select id=list style='top: 120px'><option>one<option>two  and a half<option disabled>three</select>
<label style='position: absolute; left: 20px; top: 160px; width: 90px; height: 24px; background: tan'>Files<input type=file id=file multiple style='display: none'></label>
<button class=twin style='top: 200px'>Twin</button><button class=twin style='left: 200px; top: 200px'>Twin</button>
<button id=hidden style='top: 240px; visibility: hidden'>Hidden</button>
<button id=under style='top: 260px'>Under</button><div style='position: absolute; left: 0; top: 250px; width: 300px; height: 40px; background: teal'></div>
<a href='#far' style='top: 3000px'>Far away</a>
<input type=password id=secret style='left: 200px; top: 50px' aria-label=Password>";

fn page(ratio: f64) -> WebDriver {
    shown(ratio, PAGE)
}

fn shown(ratio: f64, page: &str) -> WebDriver {
    let options = Options {
        device_pixel_ratio: DevicePixelRatio::new(ratio).unwrap(),
        console: true,
        ..Options::headless(400, 300)
    };
    let mut driver = WebDriver::start(options).unwrap();
    let encoded: String = page.bytes().map(|byte| format!("%{byte:02x}")).collect();
    driver.act(&Action::Navigate { url: format!("data:text/html,{encoded}") }).unwrap();
    driver
}

fn named(name: &str, role: Option<&str>) -> Place {
    Place::named(name, role)
}

#[test]
fn an_element_is_found_if_a_person_could_click_it() {
    for ratio in [1.0, 1.5] {
        let mut driver = page(ratio);
        let screenshot = driver.screenshot().unwrap();
        let mut check = |place: Place, expected: Result<[f64; 4], &str>| match (
            place.locate(Some(&mut driver), &mut Blind, &screenshot).unwrap(),
            expected,
        ) {
            (Ok(got), Ok(expected)) => {
                let [left, top, right, bottom] = expected.map(|side| side * ratio);
                assert_eq!(got, Rect::<Screen>::new(left, top, right, bottom), "{place:?}");
            }
            (Err(reason), Err(words)) => assert!(reason.contains(words), "{place:?}: {reason}"),
            (got, expected) => panic!("{place:?}: {got:?} instead of {expected:?}"),
        };
        check(Place::selector("#save"), Ok([20.0, 10.0, 140.0, 34.0]));
        check(named("Save", Some("button")), Ok([20.0, 10.0, 140.0, 34.0]));
        check(named("Cancel everything", None), Ok([20.0, 50.0, 140.0, 74.0]));
        check(named("Search", Some("textbox")), Ok([100.0, 84.0, 220.0, 108.0]));
        check(Place::selector(".twin"), Ok([20.0, 200.0, 140.0, 224.0]));
        check(named("Twin", None), Err("2 times"));
        check(named("Save", Some("link")), Err("no link named `Save`"));
        check(named("Hidden", None), Err("no element named"));
        check(Place::selector("#hidden"), Err("is hidden"));
        check(named("Under", None), Err("covered by a <div>"));
        check(named("Far away", None), Err("scroll to it first"));
        check(Place::selector("#nothing"), Err("no `#nothing`"));
        check(Place::selector("?"), Err("no CSS selector"));
        check(Place::At([400.0 * ratio, 3.0]), Err("outside of the screenshot"));
    }
}

#[test]
fn the_page_contradicts_a_point_on_another_element_than_the_one_that_is_named() {
    let mut driver = page(1.0);
    let screenshot = driver.screenshot().unwrap();
    let mut meant = |x: f64, y: f64, words: &str| {
        let at = Point::new(x, y);
        let element = ElementAt::look(&mut driver, &screenshot, at, words, true).unwrap().unwrap();
        (element.name, element.meant.map(|meant| meant.name))
    };
    let save = || Some("Save".to_owned());
    assert_eq!(meant(30.0, 60.0, "click Save"), ("Cancel everything".to_owned(), save()));
    assert_eq!(meant(30.0, 60.0, "the 'save' button!"), ("Cancel everything".to_owned(), save()));
    assert_eq!(meant(30.0, 20.0, "click Save"), ("Save".to_owned(), None));
    assert_eq!(meant(350.0, 290.0, "click Save"), (String::new(), save()));
    // No word of these names anything, or they name two things.
    assert_eq!(meant(30.0, 60.0, "the red circle"), ("Cancel everything".to_owned(), None));
    assert_eq!(meant(30.0, 60.0, "saved searches"), ("Cancel everything".to_owned(), None));
    assert_eq!(meant(30.0, 60.0, "the twin"), ("Cancel everything".to_owned(), None));
    // A click into a field does nothing by itself.
    assert_eq!(meant(210.0, 60.0, "the field to save"), ("Password".to_owned(), None));
}

#[test]
fn a_button_that_is_asked_for_is_no_heading_picture_text_or_field_and_is_not_disabled() {
    let page = "<style>body { margin: 0 } body * { margin: 0; height: 20px; display: block; line-height: 20px } s, b, i { display: inline }</style>\
         <h1><i>Save</i></h1><p>Press <b>Save</b> now</p><img width=80 alt=Save><input placeholder=Save>\
         <button disabled>Save</button><li><s>Save</s></li><div style='text-decoration: line-through'><i>Save</i></div>\
         <button>S&#1072;ve</button>\
         <button>IP-&#1072;&#1076;&#1088;&#1077;&#1089;</button><div>Save</div><p onclick=''>Save</p><li style='cursor: pointer'>Save</li>\
         <a href=''><h2>Save</h2></a><p><i style='background: tan'>Save</i></p>\
         <p><i>Save</i> is what one presses to keep the changes</p>\
         <button>Save</button><div style='position: absolute; top: 300px; width: 200px; height: 20px; background: #fffa'></div>";
    let mut driver = shown(1.0, page);
    let screenshot = driver.screenshot().unwrap();
    let mut idle = |row: u32, words: &str| {
        let at = Point::new(10.0, f64::from(20 * row + 10));
        ElementAt::look(&mut driver, &screenshot, at, words, true).unwrap().unwrap().idle.unwrap_or_default()
    };
    let expected = [
        "heading",
        "text",
        "picture",
        "field",
        "disabled",
        "text",
        "struck",
        "two alphabets",
        "",
        "reacts",
        "",
        "",
        "",
        "reacts",
    ];
    for (row, expected) in (0..).zip(expected) {
        let said = idle(row, "the Save button");
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "row {row}: {said:?}");
    }
    // Who describes something may mean the text.
    for row in [0, 1, 2, 3, 5] {
        assert_eq!(idle(row, "what the \"Save button\" says"), "", "row {row}");
    }
    assert_eq!(idle(4, "Save"), "is disabled");
    assert_eq!(idle(14, "click Save"), "only mentions it in a sentence");
    assert_eq!(idle(14, "the page"), "");
}

#[test]
fn lists_and_file_fields_take_what_their_own_windows_would_give() {
    let mut driver = page(1.0);
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["a.txt", "b.txt"].map(|name| folder.path().join(name)).to_vec();
    files.iter().for_each(|file| std::fs::write(file, "x").unwrap());
    driver.evaluate("window.changes = []; for (const e of document.querySelectorAll('select, input')) e.onchange = () => changes.push(e.id)").unwrap();
    let at = Point::new(30.0, 130.0);
    let select = |option: &str| Action::Select { at, option: option.to_owned() };
    driver.act(&select("two and a half")).unwrap();
    let refused = |error: DriverError, words: &str| assert!(error.to_string().contains(words), "{error}");
    refused(driver.act(&select("three")).unwrap_err(), "the option is disabled");
    refused(driver.act(&select("four")).unwrap_err(), "the list has one, two and a half");
    let beside = Action::Select { at: Point::new(30.0, 20.0), option: "one".to_owned() };
    refused(driver.act(&beside).unwrap_err(), "no list at this point");
    let label = Point::new(30.0, 170.0);
    driver.act(&Action::Upload { at: label, files: files.clone() }).unwrap();
    let missing = Action::Upload { at: label, files: vec![folder.path().join("c.txt")] };
    refused(driver.act(&missing).unwrap_err(), "there is no file");
    refused(driver.act(&Action::Upload { at: label, files: vec![] }).unwrap_err(), "no file is named");
    let beside = Action::Upload { at: Point::new(30.0, 20.0), files: files.clone() };
    refused(driver.act(&beside).unwrap_err(), "was clicked, and asked for no file");
    let state = "return JSON.stringify([list.selectedIndex, [...file.files].map((f) => f.name), changes])";
    let state: String = serde_json::from_str(&driver.evaluate(state).unwrap()).unwrap();
    assert_eq!(state, r#"[1,["a.txt","b.txt"],["list","file"]]"#);
}

/// What asks for files in a window of the browser's when it is clicked, each 40 pixels below the one before.
const ASKS: &str = "<style>body { margin: 0 } div { height: 40px }</style>
<div id=a>a hidden field</div><div id=b>a field that stands nowhere</div><div id=c>later</div><div id=d>one file</div>
<input type=file id=field multiple style='display:none'>
<script>
const told = [], tell = (by, field) => told.push([by, ...[...field.files].map((file) => file.name)]);
field.onchange = () => tell('a', field);
a.onclick = () => field.click();
const made = (by, multiple) => {
  const one = Object.assign(document.createElement('input'), { type: 'file', multiple });
  one.onchange = () => tell(by, one);
  one.click();
};
b.onclick = () => made('b', true);
c.onclick = () => setTimeout(() => made('c', true), 300);
d.onclick = () => made('d', false);
</script>";

#[test]
fn whoever_asks_for_files_behind_a_click_is_given_them() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["a.txt", "b.txt"].map(|name| folder.path().join(name)).to_vec();
    files.iter().for_each(|file| std::fs::write(file, "x").unwrap());
    let mut driver = shown(1.0, ASKS);
    let mut give = |row: f64, files: &[PathBuf]| {
        driver.act(&Action::Upload { at: Point::new(20.0, 20.0 + 40.0 * row), files: files.to_vec() })
    };
    for row in [0.0, 1.0, 2.0] {
        give(row, &files).unwrap();
    }
    assert!(give(3.0, &files).unwrap_err().to_string().contains("takes one file"));
    give(3.0, &files[1..]).unwrap();
    let told: String =
        serde_json::from_str(&driver.evaluate("return JSON.stringify(told)").unwrap()).unwrap();
    assert_eq!(told, r#"[["a","a.txt","b.txt"],["b","a.txt","b.txt"],["c","a.txt","b.txt"],["d","b.txt"]]"#);
}

#[test]
fn what_a_person_does_becomes_a_task_that_does_the_same() {
    let mut driver = page(1.0);
    let script = listener("told: ");
    driver.listen(&script).unwrap();
    let click = |x: f64, y: f64| Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 };
    let typed = |text: &str| Action::Type { text: text.to_owned() };
    let deeds = [
        click(110.0, 90.0),
        typed("Ten"),
        Action::Press { chord: vec![Key::Backspace] },
        typed("a"),
        click(210.0, 60.0),
        typed("hunter2"),
        click(30.0, 20.0),
        click(210.0, 210.0),
    ];
    for deed in &deeds {
        driver.act(deed).unwrap();
    }
    // A page cannot speak for the person: it neither knows the prefix nor makes trusted events.
    driver.evaluate("document.getElementById('cancel').click()").unwrap();
    let mut recording = Recording::default();
    for line in driver.heard("told: ").unwrap() {
        assert!(!line.contains("hunter"), "{line}");
        recording.add(serde_json::from_str(&line).unwrap());
    }
    let steps = recording.into_steps();
    let at = |what: &str, place: Place| {
        Step::Act(Act::click(Target {
            description: what.to_owned(),
            place: Some(place),
            scroll: false,
            offset: None,
            earlier: Vec::new(),
        }))
    };
    let expected = [
        at("the textbox \"Search\"", named("Search", Some("textbox"))),
        Step::Act(Act::Type { text: "Tea".to_owned() }),
        at("the textbox \"Password\"", named("Password", Some("textbox"))),
        Step::Act(Act::Type { text: "${secret:PASSWORD}".to_owned() }),
        at("the button \"Save\"", named("Save", Some("button"))),
        at("the button \"Twin\"", second("Twin", "button")),
    ];
    assert_eq!(steps, expected);
    // The written task finds the same places again.
    let screenshot = driver.screenshot().unwrap();
    for target in steps.iter().flat_map(Step::targets) {
        let place = target.place.as_ref().unwrap();
        place.locate(Some(&mut driver), &mut Blind, &screenshot).unwrap().unwrap();
    }
}

fn second(name: &str, role: &str) -> Place {
    let (name, role) = (Some(name.to_owned()), Some(role.to_owned()));
    Place::Element(Box::new(ElementPlace { name, role, nth: Some(2), ..ElementPlace::default() }))
}

/// Does it, and then what was recorded of it on the page as it was; what the page says of both, and the remarks.
fn recorded_and_played(html: &str, deeds: &[Action]) -> ([String; 2], Vec<String>) {
    let mut driver = shown(1.0, html);
    driver.listen(&listener("told: ")).unwrap();
    let settle = |driver: &mut WebDriver| match driver.settle(Duration::from_secs(2)) {
        Err(DriverError::DialogOpen { .. }) => {}
        settled => drop(settled.unwrap()),
    };
    let act = |driver: &mut WebDriver, action: &Action| match driver.act(action) {
        Err(DriverError::DialogOpen { .. }) => {}
        done => done.unwrap(),
    };
    for deed in deeds {
        act(&mut driver, deed);
        settle(&mut driver);
    }
    let recorded = driver.evaluate("return document.title").unwrap();
    let mut recording = Recording::default();
    for line in driver.heard("told: ").unwrap() {
        recording.add(serde_json::from_str(&line).unwrap());
    }
    let remarks = recording.remarks().to_vec();
    driver.act(&Action::Hover { at: Point::new(399.0, 299.0) }).unwrap();
    driver.act(&Action::Reload).unwrap();
    for step in recording.into_steps() {
        let Step::Act(wanted) = step else { panic!("{step:?} is no act") };
        let screenshot = wanted.places().next().map(|_| driver.screenshot().unwrap());
        let action = wanted.try_map(|target| {
            let (place, shown) = (target.place.as_ref().unwrap(), screenshot.as_ref().unwrap());
            // As a run does, for what comes late.
            let look = || -> Result<_, DriverError> {
                let found = place.locate(Some(&mut driver), &mut Blind, shown).unwrap();
                Ok(found.map_or(ControlFlow::Continue(Duration::from_millis(50)), ControlFlow::Break))
            };
            let end = Instant::now() + Duration::from_secs(3);
            let found = wait_until(Some(end), look).unwrap().ok_or("it does not come");
            found.map(|part| target.beside(part.center()))
        });
        act(&mut driver, &action.unwrap_or_else(|reason| panic!("{wanted}: {reason}: {html}")));
        settle(&mut driver);
    }
    let played = driver.evaluate("return document.title").unwrap();
    ([recorded, played], remarks)
}

#[test]
fn what_is_recorded_plays_the_same() {
    const SAYS: &str = "<!doctype html><title>-</title><style>body { margin: 0; font: 16px/20px sans-serif }</style>\
                        <script>const say = (words) => { document.title += words; };</script>";
    let click = |x: f64, y: f64| Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 };
    let hover = |x: f64, y: f64| Action::Hover { at: Point::new(x, y) };
    let drag = |from: [f64; 2], to: [f64; 2]| Action::Drag {
        from: Point::new(from[0], from[1]),
        to: Point::new(to[0], to[1]),
    };
    let answer =
        |accept: bool, text: Option<&str>| Action::AnswerDialog { accept, text: text.map(str::to_owned) };
    let menu = "<style>ul { margin: 0; padding: 0; list-style: none } li { height: 20px; width: 90px; position: relative } li ul { display: none } \
                li:hover > ul { display: block } ul ul { position: absolute; left: 90px; top: 0 }</style>\
                <ul><li>File<ul><li><a onclick=\"say('open')\" href='#o'>Open</a></li><li>More<ul><li><a onclick=\"say('print')\" href='#p'>Print</a></li></ul></li></ul></li></ul>";
    let late = "<button id=m>Menu</button><p id=d hidden><a href='#x' onclick=\"say('item')\">Item</a></p>\
                <script>m.onmouseenter = () => setTimeout(() => { d.hidden = false; }, 30); document.body.onmouseleave = () => { d.hidden = true; };</script>";
    let twins = "<div id=h></div><div id=g></div><script>for (const e of [h, g]) { e.attachShadow({ mode: 'open' }).innerHTML = \
                 '<i style=\"display:block;width:40px;height:20px;background:tan\"></i>'; e.shadowRoot.firstChild.onclick = () => say(e.id); }</script>";
    let rows = "<table><tr><td>Red<td><button onclick=\"say('red')\">Edit</button><tr><td>Blue<td><button onclick=\"say('blue')\">Edit</button></table>";
    let asks = "<button onclick=\"say(confirm('Sure?'))\">Ask</button><br><button onclick=\"say(prompt('Who?'))\">Name</button>";
    let list = "<style>p { margin: 0; height: 20px }</style><div id=l><p draggable=true>A</p><p draggable=true>B</p><p draggable=true>C</p></div><script>\
                let held; l.ondragstart = (e) => { held = e.target; }; l.ondrop = (e) => { e.preventDefault(); say(l.innerText.replace(/\\s+/g, '')); }; \
                l.ondragover = (e) => { e.preventDefault(); const p = e.target.closest('p'); if (p && p !== held) p.after(held); };</script>";
    let slider = "<div id=k role=slider aria-label=Size style='position:absolute;left:20px;top:20px;width:30px;height:30px;background:tan'></div><script>\
                  k.onpointerdown = (e) => { k.setPointerCapture(e.pointerId); k.onpointermove = (m) => { k.style.left = `${m.clientX - 15}px`; }; }; \
                  k.onpointerup = () => { k.onpointermove = null; say(k.style.left); };</script>";
    let cases: [(&str, Vec<Action>, &str); 8] = [
        (menu, vec![hover(30.0, 10.0), hover(110.0, 10.0), click(110.0, 10.0)], "-open"),
        (
            menu,
            vec![
                hover(30.0, 10.0),
                hover(110.0, 10.0),
                hover(110.0, 30.0),
                hover(200.0, 30.0),
                click(200.0, 30.0),
            ],
            "-print",
        ),
        (late, vec![hover(20.0, 10.0), hover(22.0, 10.0), click(20.0, 50.0)], "-item"),
        (twins, vec![click(20.0, 30.0), click(20.0, 10.0)], "-gh"),
        (rows, vec![click(60.0, 40.0)], "-blue"),
        (
            asks,
            vec![click(20.0, 10.0), answer(false, None), click(20.0, 32.0), answer(true, Some("Ann"))],
            "-falseAnn",
        ),
        (list, vec![drag([20.0, 10.0], [20.0, 32.0])], "-BAC"),
        (slider, vec![drag([35.0, 35.0], [135.0, 35.0])], "-120px"),
    ];
    for (html, deeds, title) in cases {
        let (said, remarks) = recorded_and_played(&format!("{SAYS}{html}"), &deeds);
        assert_eq!(said, [format!("{title:?}"), format!("{title:?}")], "{html}");
        assert_eq!(remarks, Vec::<String>::new(), "{html}");
    }
    // Of what tells nothing a person is told.
    let foreign = "<iframe sandbox='allow-scripts' style='border:0' srcdoc='<body style=margin:0><button>Pay</button>'></iframe>";
    let (_, remarks) = recorded_and_played(&format!("{SAYS}{foreign}"), &[click(20.0, 10.0)]);
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(remarks[0].contains("frame of another origin"), "{remarks:?}");
}

#[test]
fn what_reacts_to_nothing_is_not_clicked_and_what_may_react_is() {
    let page = "<style>body { margin: 0 } body > * { margin: 0; padding: 0; height: 14px; display: block; font: 10px/14px serif }</style>\
         <div>Save</div><span style='background: tan; border-radius: 9px'>Save</span><div role=status>Save</div>\
         <div aria-hidden=true style='border: 1px solid'>Save</div>\
         <div id=listens>Save</div><div style='cursor: pointer'>Save</div><div tabindex=0>Save</div><div role=menuitem>Save</div>\
         <x-part>Save</x-part><div contenteditable>Save</div><label>Save <input></label><div id=react><b>Save</b></div><div id=dead>Save</div>\
         <button>Do not save</button><button style='text-decoration: line-through'>Save</button><button>&#1057;&#1054;&#1056;&#1045;</button>\
         <button>BiIIing</button><button>Save and close</button>\
         <div style='position: relative'><button>Save</button><a href='#ad' style='position: absolute; inset: 0'></a></div>\
         <script>listens.addEventListener('pointerdown', () => 1);\
         react.__reactProps$x = { onClick() {} }; dead.__reactProps$x = { children: 'Save' };</script>";
    let mut driver = shown(1.0, page);
    let screenshot = driver.screenshot().unwrap();
    let mut idle = |row: u32, words: &str, is_clicked: bool| {
        let at = Point::new(10.0, f64::from(14 * row + 7));
        let element = ElementAt::look(&mut driver, &screenshot, at, words, is_clicked).unwrap().unwrap();
        element.idle.unwrap_or_default()
    };
    for row in [0, 1, 2, 3, 12] {
        for words in ["the Save button", "Save"] {
            assert_eq!(idle(row, words, true), "is nothing that reacts to a click", "row {row}, {words}");
        }
        assert_eq!(idle(row, "Save", false), "", "row {row}: it may be scrolled to, or hovered over");
    }
    for row in 4..=11 {
        assert_eq!(idle(row, "the Save button", true), "", "row {row}");
    }
    assert_eq!(idle(13, "Save", true), "says the opposite");
    assert_eq!(idle(13, "Do not save", true), "");
    assert_eq!(idle(14, "the Save button", true), "is struck out");
    assert_eq!(idle(15, "the COPE button", true), "is written in letters of another alphabet");
    assert_eq!(idle(15, "\u{421}\u{41e}\u{420}\u{415}", true), "");
    assert_eq!(idle(16, "the Billing button", true), "is spelled `BiIIing`");
    assert_eq!(idle(16, "BiIIing", true), "");
    assert_eq!(idle(17, "Save", true), "");
    assert_eq!(idle(18, "the Save button", true), "covers Save");
    // Where the page listens as a whole, nobody can tell.
    driver.evaluate("document.addEventListener('click', () => 1)").unwrap();
    let screenshot = driver.screenshot().unwrap();
    let plain =
        ElementAt::look(&mut driver, &screenshot, Point::new(10.0, 7.0), "Save", true).unwrap().unwrap();
    assert_eq!(plain.idle, None);
}

#[test]
fn frames_and_components_are_looked_into_and_words_in_a_card_are_no_control() {
    let page = "<style>body { margin: 0 } body > * { margin: 0; padding: 0; height: 14px; display: block; font: 10px/14px serif; \
         border: 0; width: 300px }</style>\
         <iframe srcdoc=\"<body style='margin:0'><button disabled style='height:14px'>Save</button>\"></iframe>\
         <iframe srcdoc=\"<body style='margin:0'><button style='height:14px'>Save</button>\"></iframe>\
         <div id=off></div><div id=text></div><div id=on></div><label>Save</label><h3>Save</h3>\
         <div onclick=1 style='cursor: pointer'><p style='margin: 0'>They will not save this before Friday</p></div>\
         <a href='#x'><b>Save</b> up to 70 % on shoes today only</a>\
         <a href='#x'><img width=40 height=14 src='data:image/gif;base64,R0lGODlhAQABAAAAACw='></a>\
         <script>const inside = (host, html) => { host.attachShadow({ mode: 'open' }).innerHTML = html };\
         inside(off, '<button disabled>Save</button>'); inside(text, '<p style=\"margin:0\">Save</p>');\
         inside(on, '<button>Save</button>');</script>";
    let mut driver = shown(1.0, page);
    let screenshot = driver.screenshot().unwrap();
    let mut idle = |row: u32, words: &str| {
        let at = Point::new(10.0, f64::from(14 * row + 7));
        let element = ElementAt::look(&mut driver, &screenshot, at, words, true).unwrap().unwrap();
        element.idle.unwrap_or_default()
    };
    assert_eq!(idle(0, "the Save button"), "is disabled");
    assert_eq!(idle(1, "the Save button"), "");
    assert_eq!(idle(2, "the Save button"), "is disabled");
    assert_eq!(idle(3, "the Save button"), "is a text, and no button");
    assert_eq!(idle(4, "the Save button"), "");
    assert_eq!(idle(5, "Save"), "is nothing that reacts to a click");
    assert_eq!(idle(6, "the Save tab"), "is a heading, and no tab");
    for words in ["Save", "click Save"] {
        assert_eq!(idle(7, words), "only mentions it", "{words}");
        assert_eq!(idle(8, words), "is a link that says more", "{words}");
    }
    assert_eq!(idle(8, "the Save button"), "is a link that says more");
    assert_eq!(idle(9, "the Save button"), "is a picture that a link is around");
    assert_eq!(idle(9, "the shop logo"), "");
    assert_eq!(idle(7, "They will not save this before Friday"), "");
    assert_eq!(idle(8, "Save up to 70 % on shoes today only"), "");
}
