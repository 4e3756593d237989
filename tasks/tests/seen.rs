//! What a person sees and a click reaches, on many small pages in one browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod page;

use serde_json::json;
use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, MouseButton};
use vigorl_tasks::Verification;
use vigorl_tasks::scripted::{Clause, Cure, Place};

use page::{Page, Refused};

/// A browser of the size that these pages are written for.
fn start() -> Page {
    Page::start(400, 300)
}

impl Page {
    /// Clicks the element that the selector finds, and says whether the click came to it.
    fn click(&mut self, selector: &str) -> Result<bool, Refused> {
        let at = self.aim_at(&Place::selector(selector))?;
        let listens = "const inside = (root) => [...root.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? inside(e.shadowRoot) : []), \
             ...(e.contentDocument ? inside(e.contentDocument) : [])]); \
             window.came = 0; const all = inside(document).filter((e) => e.matches(SELECTOR)); \
             const told = new Set(); \
             for (const e of all) e.addEventListener('click', (event) => { if (event.isTrusted) told.add(e); window.came = told.size; }, true);";
        let listens = listens.replace("SELECTOR", &serde_json::Value::from(selector).to_string());
        self.0.evaluate(&listens).unwrap();
        self.0.act(&Action::Click { at, button: MouseButton::Left, count: 1 }).unwrap();
        Ok(self.0.evaluate("return window.came > 0").unwrap() == "true")
    }

    fn holds(&mut self, clause: serde_json::Value) -> Verification {
        let clause: Clause = serde_json::from_value(clause).unwrap();
        self.verify(&clause).holds
    }
}

fn named(name: &str, role: &str) -> Place {
    Place::named(name, Some(role))
}

const IMAGE: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";

/// An element `#b`, and what is said of it: nothing if a click comes to it.
const REACHED: [(&str, &str, Option<Cure>); 33] = [
    ("<button id=b>x</button>", "", None),
    // Scroll panes, of one and of two levels, and the page itself.
    (
        "<div style='height:50px;overflow:auto'><p style='height:99px'></p><button id=b>x</button></div>",
        "scroll to it",
        Some(Cure::Scroll),
    ),
    (
        "<div style='height:90px;overflow:auto'><div style='height:200px'><div style='height:50px;overflow-y:scroll'>\
      <p style='height:99px'></p><button id=b>x</button></div></div></div>",
        "scroll to it",
        Some(Cure::Scroll),
    ),
    ("<p style='height:2000px'></p><button id=b>x</button>", "scroll to it", Some(Cure::Scroll)),
    (
        "<iframe style='width:200px;height:60px' srcdoc=\"<p style='height:300px'></p><button id=b>x</button>\"></iframe>",
        "scroll to it",
        Some(Cure::Scroll),
    ),
    // What no person can scroll to.
    (
        "<div style='height:50px;overflow:hidden'><p style='height:99px'></p><button id=b>x</button></div>",
        "hidden",
        Some(Cure::Wait),
    ),
    (
        "<style>body { overflow: hidden }</style><p style='height:2000px'></p><button id=b>x</button>",
        "hidden",
        Some(Cure::Wait),
    ),
    ("<button id=b style='position:fixed;top:900px'>x</button>", "hidden", Some(Cure::Wait)),
    (
        "<div style='clip-path:inset(0 0 90% 0);height:200px'><p style='height:100px'></p><button id=b>x</button></div>",
        "hidden",
        Some(Cure::Wait),
    ),
    // What gets the click instead.
    (
        "<div onclick=1 style='padding:9px'><button id=b style='pointer-events:none'>x</button></div>",
        "takes no clicks",
        Some(Cure::Wait),
    ),
    ("<div style='pointer-events:none'><button id=b>x</button></div>", "takes no clicks", Some(Cure::Wait)),
    ("<div style='pointer-events:none'><button id=b style='pointer-events:auto'>x</button></div>", "", None),
    (
        "<button id=b>x</button><div style='position:absolute;inset:0;background:#fff8'></div>",
        "covered by a <div>",
        Some(Cure::Uncover),
    ),
    ("<button id=b>x</button><div style='position:absolute;inset:0;pointer-events:none'></div>", "", None),
    // Half of it is covered, its middle too.
    (
        "<button id=b style='width:200px;height:40px'>x</button><div style='position:absolute;left:60px;top:0;width:300px;height:90px;background:red'></div>",
        "",
        None,
    ),
    // Disabled by itself, by what is around it, or for assistive software; a link in a fieldset is no control of it.
    ("<button id=b disabled>x</button>", "disabled", Some(Cure::Wait)),
    ("<fieldset disabled><legend>l</legend><button id=b>x</button></fieldset>", "disabled", Some(Cure::Wait)),
    ("<fieldset disabled><legend><button id=b>x</button></legend></fieldset>", "", None),
    ("<fieldset disabled><a href='#x' id=b>x</a></fieldset>", "", None),
    ("<div aria-disabled=true><button id=b>x</button></div>", "disabled", Some(Cure::Wait)),
    ("<div inert><button id=b>x</button></div>", "disabled", Some(Cure::Wait)),
    ("<button id=b style='cursor:not-allowed;opacity:.5'>x</button>", "disabled", Some(Cure::Wait)),
    ("<label for=f id=b>x</label><input id=f disabled>", "disabled", Some(Cure::Wait)),
    // A label stands for its box.
    (
        "<label><input id=b type=checkbox style='opacity:0;position:absolute'><span>Agree</span></label>",
        "",
        None,
    ),
    ("<input id=b type=checkbox style='display:none'><label for=b>Agree</label>", "", None),
    // So does what is drawn under a transparent control, and under a field that nobody would see there nothing does.
    (
        "<div style='position:relative'>May<select id=b style='opacity:0;position:absolute;left:0'><option>May</select></div>",
        "",
        None,
    ),
    (
        "<div style='position:relative'>red<input id=b type=color style='opacity:0;position:absolute;left:0'></div>",
        "",
        None,
    ),
    (
        "<div style='position:relative'>bar<input id=b type=range style='opacity:0;position:absolute;left:0'></div>",
        "",
        None,
    ),
    (
        "<div style='position:relative'>name<input id=b style='opacity:0;position:absolute;left:0'></div>",
        "hidden",
        Some(Cure::Wait),
    ),
    // Through shadow roots and frames, turned and made smaller.
    (
        "<x-a></x-a><script>customElements.define('x-a', class extends HTMLElement { connectedCallback() { \
      this.attachShadow({ mode: 'open' }).innerHTML = '<x-b></x-b>'; } }); customElements.define('x-b', class extends HTMLElement { connectedCallback() { \
      this.attachShadow({ mode: 'open' }).innerHTML = '<button id=b>x</button>'; } })</script>",
        "",
        None,
    ),
    (
        "<iframe style='transform:scale(.5) rotate(20deg);width:300px;height:200px' \
      srcdoc=\"<button id=b style='position:absolute;left:100px;top:80px'>x</button>\"></iframe>",
        "",
        None,
    ),
    (
        "<div style='zoom:1.5'><iframe style='width:200px;height:90px' srcdoc=\"<button id=b style='margin:20px'>x</button>\"></iframe></div>",
        "",
        None,
    ),
    (
        "<iframe style='width:200px;height:90px;pointer-events:none' srcdoc='<button id=b>x</button>'></iframe>",
        "covered",
        Some(Cure::Uncover),
    ),
];

#[test]
fn what_is_reached_gets_the_click_and_what_is_not_says_why() {
    let mut page = start();
    for (html, words, cure) in REACHED {
        page.show(html);
        match (page.click("#b"), cure) {
            (Ok(came), None) => assert!(came, "the click did not come to it: {html}"),
            (Err((reason, got)), Some(cure)) => {
                assert!(reason.contains(words) && got == cure, "{reason}, {got:?}: {html}");
            }
            (got, cure) => panic!("{got:?} instead of {cure:?}: {html}"),
        }
    }
}

#[test]
fn what_can_be_scrolled_to_is_and_then_gets_the_click() {
    let mut page = start();
    for (html, ..) in REACHED.iter().filter(|(.., cure)| *cure == Some(Cure::Scroll)) {
        page.show(html);
        let place = Place::selector("#b");
        assert!(place.bring_into_view(&mut page.0).unwrap(), "{html}");
        assert_eq!(page.click("#b"), Ok(true), "{html}");
        assert!(!place.bring_into_view(&mut page.0).unwrap(), "it was there: {html}");
    }
    // A pane that only a script can scroll is left as it is.
    page.show("<div id=p style='height:50px;overflow:hidden'><p style='height:99px'></p><button id=b>x</button></div>");
    assert!(!Place::selector("#b").bring_into_view(&mut page.0).unwrap());
    assert_eq!(page.0.evaluate("return p.scrollTop").unwrap(), "0");
}

#[test]
fn what_moves_is_waited_for() {
    let mut page = start();
    for html in [
        "<style>@keyframes m { to { margin-left: 300px } } button { animation: m 2s linear infinite }</style><button id=b>x</button>",
        "<button id=b style='position:absolute'>x</button><script>let n = 0; const move = () => { b.style.left = `${n += 2}px`; \
         requestAnimationFrame(move) }; move()</script>",
        "<style>@keyframes m { to { margin-left: 300px } } iframe { animation: m 2s linear infinite }</style>\
         <iframe style='width:90px;height:90px' srcdoc='<button id=b>x</button>'></iframe>",
    ] {
        page.show(html);
        let (reason, cure) = page.aim_at(&Place::selector("#b")).unwrap_err();
        assert!(reason.contains("moves") && cure == Cure::Wait, "{reason}: {html}");
    }
}

#[test]
fn elements_are_called_as_the_browser_says() {
    let mut page = start();
    for (html, name, role, expected) in [
        ("<label for=b>E-mail</label><input id=b>", "E-mail", "", "b"),
        ("<label>Resume <input id=b type=file></label>", "Resume", "", "b"),
        (
            "<span id=one>Ship</span> <span id=two>to</span><input id=b aria-labelledby='one two'>",
            "Ship to",
            "textbox",
            "b",
        ),
        ("<button id=b><img alt='Save all'></button>", "Save all", "button", "b"),
        ("<button id=b style='text-transform:uppercase'>Save</button>", "Save", "button", "b"),
        ("<p id=b>Only a text</p>", "Only a text", "", "b"),
        ("<div id=b onclick=1>Save</div>", "Save", "", "b"),
        ("<fieldset id=b><legend>Size</legend><input></fieldset>", "Size", "group", "b"),
        ("<button id=b aria-hidden=true>Quiet</button>", "Quiet", "button", "b"),
        ("<input id=b type=number aria-label=Amount>", "Amount", "spinbutton", "b"),
        ("<button>Edit 1</button><button id=b>Edit 10</button>", "Edit 10", "button", "b"),
    ] {
        page.show(html);
        let at = page.aim_at(&Place::named(name, (!role.is_empty()).then_some(role)));
        let at = at.unwrap_or_else(|why| panic!("{why:?}: {html}"));
        let found = format!(
            "let e = document.elementFromPoint({}, {}); while (e && !e.id) e = e.parentElement; return e && e.id",
            at.x, at.y
        );
        assert_eq!(page.0.evaluate(&found).unwrap(), format!("\"{expected}\""), "{html}");
    }
    page.show("<button>Edit</button><button>Edit</button>");
    assert!(page.aim_at(&named("Edit", "button")).unwrap_err().0.contains("2 times"));
    page.show(&"<p><button>Edit</button></p>".repeat(60));
    let (reason, cure) = page.aim_at(&named("Edit", "button")).unwrap_err();
    assert!(reason.contains("60 times") && cure == Cure::Nothing, "{reason}");
}

#[test]
fn a_text_is_shown_if_a_person_can_read_it() {
    let mut page = start();
    let frame = |style: &str| format!("<iframe style='{style}' srcdoc='<p>word</p>'></iframe>");
    let shown = [
        "<p>word</p>".to_owned(),
        "<p>a <b>wo</b>rd</p>".to_owned(),
        "<p style='text-transform:uppercase'>word</p>".to_owned(),
        "<style>p::before { content: 'word ' }</style><p>x</p>".to_owned(),
        "<style>p::after { content: attr(title) }</style><p title=word>x</p>".to_owned(),
        "<div style='height:30px;overflow:auto'><p style='height:90px'>a</p><p>word</p></div>".to_owned(),
        "<p style='height:2000px'></p><p>word</p>".to_owned(),
        "<input value=word>".to_owned(),
        "<input placeholder=word>".to_owned(),
        "<select><option>a<option selected>word</select>".to_owned(),
        "<svg width=99 height=30><text x=5 y=20>word</text></svg>".to_owned(),
        "<x-a></x-a><script>customElements.define('x-a', class extends HTMLElement { connectedCallback() { \
         this.attachShadow({ mode: 'open' }).innerHTML = '<p>word</p>' } })</script>".to_owned(),
        "<p>wo&shy;rd</p>".to_owned(),
        "<p style='width:60px;overflow:hidden;white-space:nowrap;text-overflow:ellipsis'>word that is much longer</p>".to_owned(),
        format!("<div style='position:relative'><img width=300 height=99 src='{IMAGE}'><p style='position:absolute;top:0;color:#fff'>word</p></div>"),
        frame("width:99px;height:99px"),
        // Nobody can tell where in the page its inside is drawn.
        format!("<div style='perspective:200px'>{}</div>", frame("transform:rotateY(40deg);width:99px;height:99px")),
    ];
    for html in shown {
        page.show(&html);
        assert_eq!(page.holds(json!({ "text_visible": "word" })), Verification::Satisfied, "{html}");
        assert_eq!(page.holds(json!({ "text_gone": "word" })), Verification::Unsatisfied, "{html}");
    }
    let hidden = [
        "<p style='opacity:0'>word</p>".to_owned(),
        "<div style='opacity:0'><p style='opacity:1'>word</p></div>".to_owned(),
        "<p style='filter:opacity(0%)'>word</p>".to_owned(),
        "<p style='visibility:hidden'>word</p>".to_owned(),
        "<p style='position:absolute;left:-9999px'>word</p>".to_owned(),
        "<p style='text-indent:-9999px'>word</p>".to_owned(),
        "<p style='position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0 0 0 0)'>word</p>"
            .to_owned(),
        "<p style='position:absolute;width:1px;height:1px;overflow:hidden'>word</p>".to_owned(),
        "<p style='clip-path:circle(0)'>word</p>".to_owned(),
        "<p style='color:#fff;background:#fff'>word</p>".to_owned(),
        "<p style='color:transparent'>word</p>".to_owned(),
        "<p style='font-size:0'>word</p>".to_owned(),
        "<p style='transform:scale(0)'>word</p>".to_owned(),
        "<div style='max-height:0;overflow:hidden'><p>word</p></div>".to_owned(),
        "<details><summary>sum</summary><p>word</p></details>".to_owned(),
        "<dialog>word</dialog>".to_owned(),
        "<select><option>a<option>word</select>".to_owned(),
        "<input type=password value=word>".to_owned(),
        "<p style='width:60px;overflow:hidden;white-space:nowrap'>something that is a longer word</p>"
            .to_owned(),
        "<style>p::before { content: 'word '; display: none }</style><p>x</p>".to_owned(),
        frame("opacity:0"),
        frame("width:0;height:0;border:0"),
    ];
    for html in hidden {
        page.show(&html);
        assert_eq!(page.holds(json!({ "text_visible": "word" })), Verification::Unsatisfied, "{html}");
        assert_eq!(page.holds(json!({ "text_gone": "word" })), Verification::Satisfied, "{html}");
    }
}

/// Pages of `texts.txt` under a heading, with what each of them is about.
fn texts(heading: &str) -> Vec<(&'static str, String)> {
    let lines = include_str!("texts.txt").lines().skip_while(|line| *line != heading).skip(1);
    let page = |line: &'static str| line.split_once('\t').expect("a name and a page");
    lines
        .take_while(|line| !line.is_empty())
        .map(page)
        .map(|(name, html)| (name, html.replace('§', "TELLINGWORD")))
        .collect()
}

#[test]
fn ink_is_told_from_what_is_behind_it_and_nothing_lies_over_it() {
    let mut page = start();
    for (heading, holds) in [("hidden", Verification::Unsatisfied), ("shown", Verification::Satisfied)] {
        let pages = texts(heading);
        assert!(pages.len() > 50, "{} pages are {heading}", pages.len());
        for (name, html) in pages {
            page.show(&html);
            let said = page.holds(json!({ "text_visible": "TELLINGWORD" }));
            assert_eq!(said, holds, "{heading}, {name}: {html}");
        }
    }
}

#[test]
fn an_element_is_visible_if_a_person_can_see_it() {
    let mut page = start();
    for (html, is_seen) in [
        ("<button id=b>x</button>", true),
        ("<p style='height:2000px'></p><button id=b>x</button>", true),
        (
            "<div style='height:50px;overflow:auto'><p style='height:99px'></p><button id=b>x</button></div>",
            true,
        ),
        ("<button id=b style='opacity:0'>x</button>", false),
        ("<button id=b style='width:0;height:0;overflow:hidden;border:0;padding:0'>x</button>", false),
        (
            "<div style='height:50px;overflow:hidden'><p style='height:99px'></p><button id=b>x</button></div>",
            false,
        ),
        (
            "<div style='transform-style:preserve-3d;transform:rotateY(180deg)'><button id=b style='backface-visibility:hidden'>x</button></div>",
            false,
        ),
        (
            "<x-a></x-a><script>customElements.define('x-a', class extends HTMLElement { connectedCallback() { \
          this.attachShadow({ mode: 'open' }).innerHTML = '<button id=b>x</button>' } })</script>",
            true,
        ),
        (
            "<x-a style='opacity:0'></x-a><script>customElements.define('x-a', class extends HTMLElement { connectedCallback() { \
          this.attachShadow({ mode: 'open' }).innerHTML = '<button id=b>x</button>' } })</script>",
            false,
        ),
        ("<iframe style='width:99px;height:99px' srcdoc='<button id=b>x</button>'></iframe>", true),
        (
            "<iframe style='width:99px;height:99px;visibility:hidden' srcdoc='<button id=b>x</button>'></iframe>",
            false,
        ),
    ] {
        page.show(html);
        let (visible, hidden) = match is_seen {
            true => (Verification::Satisfied, Verification::Unsatisfied),
            false => (Verification::Unsatisfied, Verification::Satisfied),
        };
        assert_eq!(
            page.holds(json!({ "element": { "selector": "#b", "is": "visible" } })),
            visible,
            "{html}"
        );
        assert_eq!(
            page.holds(json!({ "element": { "name": "x", "role": "button", "is": "hidden" } })),
            hidden,
            "{html}"
        );
    }
}

#[test]
fn options_that_a_person_cannot_choose_are_refused() {
    let mut page = start();
    for (options, words) in [
        ("<optgroup label=a disabled><option>large</optgroup>", "the option is disabled"),
        ("<option disabled>large", "the option is disabled"),
        ("<option hidden>large", "the list has small"),
    ] {
        page.show(&format!(
            "<select id=s style='position:absolute;left:0;top:0'><option>small</option>{options}</select>"
        ));
        let select = Action::Select { at: Point::new(9.0, 9.0), option: "large".to_owned() };
        let refused = page.0.act(&select).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}: {options}");
        assert_eq!(page.0.evaluate("return s.value").unwrap(), "\"small\"", "{options}");
    }
    page.show("<fieldset disabled style='margin:0;padding:0;border:0'><select id=s><option>small<option>large</select></fieldset>");
    let select = Action::Select { at: Point::new(9.0, 9.0), option: "large".to_owned() };
    assert!(page.0.act(&select).unwrap_err().to_string().contains("the list is disabled"));
}

#[test]
fn names_of_a_page_change_nothing_of_ours() {
    let mut page = start();
    for name in [
        "matches",
        "closest",
        "getBoundingClientRect",
        "querySelectorAll",
        "localName",
        "parentNode",
        "shadowRoot",
        "body",
        "images",
        "title",
        "readyState",
        "fonts",
        "getAnimations",
        "activeElement",
        "elementFromPoint",
        "defaultView",
        "documentElement",
        "addEventListener",
    ] {
        for html in [
            format!("<form><input name={name}></form><form name={name}><input name=q></form>"),
            format!("<img name={name} src='{IMAGE}'>"),
        ] {
            page.show(&format!("{html}<button id=b>Go on</button>"));
            assert_eq!(page.holds(json!({ "text_visible": "Go on" })), Verification::Satisfied, "{html}");
            assert!(page.aim_at(&named("Go on", "button")).is_ok(), "{html}");
            let settled = page.0.settle(std::time::Duration::from_secs(5)).unwrap();
            let vigorl_interface::Settled::Quiet { after } = settled else { panic!("{settled:?}: {html}") };
            assert!(after < std::time::Duration::from_secs(1), "{after:?}: {html}");
            let state = page.0.page_state().unwrap();
            assert_eq!(state.title.as_deref(), Some(""), "{html}");
        }
    }
}

#[test]
fn classes_of_a_page_that_are_called_like_the_browsers_change_nothing_of_ours() {
    let mut page = start();
    let browsers = "Element Node Document Text HTMLElement DocumentFragment ShadowRoot HTMLIFrameElement NodeFilter Map Set WeakMap \
                    Reflect EventTarget Event MouseEvent PointerEvent CSS DOMMatrix DOMPoint OffscreenCanvas \
                    MutationObserver SVGElement";
    for name in browsers.split_whitespace() {
        for own in [format!("class {name} {{}}"), format!("const {name} = 1")] {
            page.show(&format!(
                "<ul><li>Red <button>Go</button><li>Blue <button id=b>Go</button></ul><script>{own}</script>"
            ));
            let blue = serde_json::from_value(json!({ "what": "b", "name": "Go", "in": "Blue" })).unwrap();
            let target: vigorl_tasks::scripted::Target = blue;
            let at =
                page.aim_at(target.place.as_ref().unwrap()).unwrap_or_else(|why| panic!("{own}: {why:?}"));
            assert!(at.y > 20.0, "{own}: {at:?}");
            assert_eq!(page.holds(json!({ "text_visible": "Blue" })), Verification::Satisfied, "{own}");
        }
    }
}
