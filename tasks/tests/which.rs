//! Which of several elements is meant, and what clauses ask of elements and of texts, in one browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod page;

use serde_json::Value;
use vigorl_geometry::{Point, Screen};
use vigorl_interface::Driver;
use vigorl_tasks::scripted::{Check, Clause, Cure, Place, ReadStep, Target};
use vigorl_tasks::{Blind, Verification};

use page::{Page, Refused};

/// A browser of the size that these pages are written for.
fn start() -> Page {
    Page::start(500, 400)
}

impl Page {
    /// Where a target is that a task writes so.
    fn aim(&mut self, target: &str) -> Result<Point<Screen>, Refused> {
        self.aim_at(&place(target))
    }

    /// The id of the innermost element there that has one, in shadow roots and in frames of any origin.
    fn id_at(&mut self, at: Point<Screen>) -> String {
        let script = "let [root, x, y, id] = [document, pointX, pointY, '']; \
             for (;;) { const e = root.elementFromPoint(x, y); if (!e) break; \
             const named = e.closest('[id]'); if (named) id = named.id; \
             if (e.shadowRoot) { const inner = e.shadowRoot.elementFromPoint(x, y); if (!inner || inner === e) break; root = e.shadowRoot; continue; } \
             if (!e.contentDocument) break; const box = e.getBoundingClientRect(); \
             x -= box.left + e.clientLeft; y -= box.top + e.clientTop; root = e.contentDocument; } return id;";
        let said = self.0.evaluate_at(Point::new(at.x.floor(), at.y.floor()), script).unwrap().said;
        serde_json::from_str(&said).unwrap()
    }

    /// Checks that a target is the element with this id, or is refused with these words.
    #[track_caller]
    fn check(&mut self, html: &str, target: &str, expected: Result<&str, &str>) {
        match (self.aim(target), expected) {
            (Ok(at), Ok(id)) => assert_eq!(self.id_at(at), id, "{target}: {html}"),
            (Err((reason, _)), Err(words)) => assert!(reason.contains(words), "{target}: {reason}: {html}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}: {target}: {html}"),
        }
    }

    fn holds(&mut self, clause: &str) -> Check {
        self.verify(&parsed(clause))
    }

    /// Checks a table of clauses, and words of what is said where they do not hold.
    #[track_caller]
    fn check_all(&mut self, table: &[(&str, Verification, &str)]) {
        for (clause, holds, words) in table {
            let check = self.holds(clause);
            assert_eq!(check.holds, *holds, "{clause}: {:?}", check.why);
            let why = check.why.unwrap_or_default();
            assert!(why.contains(words) && why.is_empty() == words.is_empty(), "{clause}: {why}");
        }
    }
}

fn place(target: &str) -> Place {
    serde_norway::from_str::<Target>(&format!("{{ what: it, {target} }}")).unwrap().place.unwrap()
}

fn parsed(clause: &str) -> Clause {
    let value: Value = serde_norway::from_str(clause).unwrap();
    serde_json::from_value(value).unwrap()
}

const ROWS: &str = "<table><tr><td>Red Fox</td><td><button id=a>Edit</button></td></tr>\
     <tr><td>Blue Fox</td><td><button id=b>Edit</button></td><td><button id=d>Delete</button></td></tr>\
     <tr><td>Green Fox 1</td><td>-</td></tr><tr><td>Green Fox 10</td><td><button id=c>Edit</button></td></tr></table>";

/// A page, as it is written between the quotes of an attribute.
fn quoted(inside: &str) -> String {
    format!("<body style='margin:0'>{inside}").replace('&', "&amp;").replace('"', "&quot;")
}

/// A frame that scripts of the page may not look into.
fn foreign(inside: &str) -> String {
    let inside = quoted(inside);
    format!(
        "<iframe sandbox='allow-scripts' style='width:300px;height:150px;border:0;display:block' srcdoc=\"{inside}\"></iframe>"
    )
}

/// A frame that scripts of the page look into, drawn at half its size.
fn own(inside: &str) -> String {
    let inside = quoted(inside);
    format!(
        "<iframe style='width:320px;height:240px;border:0;transform:scale(.5)' srcdoc=\"{inside}\"></iframe>"
    )
}

/// A custom element whose shadow root has this inside.
fn component(name: &str, inside: &str) -> String {
    format!(
        "<script>customElements.define('{name}', class extends HTMLElement {{ connectedCallback() {{ \
         this.attachShadow({{ mode: 'open' }}).innerHTML = `{inside}` }} }})</script>"
    )
}

#[test]
fn one_of_several_is_told_by_its_number_or_by_its_row() {
    let mut page = start();
    page.show(ROWS);
    for (target, expected) in [
        ("name: Edit, role: button, in: Red Fox", Ok("a")),
        ("name: Edit, role: button, in: blue  FOX", Ok("b")),
        ("name: Edit, nth: 2", Ok("b")),
        ("name: Edit, nth: 3", Ok("c")),
        ("name: Edit, nth: 4", Err("element named `Edit` 3 times, and no number 4")),
        ("name: Delete, nth: 2", Err("element named `Delete` once, and no number 2")),
        ("role: button, in: Blue Fox, nth: 2", Ok("d")),
        ("name: Edit, in: Fox, nth: 2", Ok("b")),
        ("selector: button, in: Blue Fox", Ok("b")),
        ("selector: button, nth: 3", Ok("d")),
        ("selector: button", Ok("a")),
        ("selector: button, nth: 9", Err("`button` 4 times, and no number 9")),
        ("selector: '?', nth: 2", Err("no CSS selector")),
        // Another row's button is not that of this row, which has none; and `1` is no part of `10`.
        ("name: Edit, in: Green Fox 1", Err("no element named `Edit` in `Green Fox 1`")),
        ("name: Edit, in: Green Fox 10", Ok("c")),
        ("name: Edit, in: Green", Ok("c")),
        ("name: Delete, in: Red Fox", Err("no element named `Delete` in `Red Fox`")),
        ("name: Edit, in: Yellow Fox", Err("no element named `Edit` in `Yellow Fox`")),
    ] {
        page.check(ROWS, target, expected);
    }
    let (reason, cure) = page.aim("name: Edit, role: button").unwrap_err();
    assert_eq!(cure, Cure::Nothing);
    assert!(
        reason
            .starts_with("the page has 3 times button named `Edit`: button `Edit` in the row `Red Fox` at ("),
        "{reason}"
    );
    assert!(
        reason.contains(", button `Edit` in the row `Blue Fox` at (") && reason.contains("`nth` says which"),
        "{reason}"
    );
    page.show(&"<p><button>Edit</button></p>".repeat(60));
    let (reason, _) = page.aim("name: Edit").unwrap_err();
    assert!(reason.contains("60 times") && reason.contains(" and 55 more; "), "{reason}");
    assert_eq!(reason.matches("button `Edit` at (").count(), 5, "{reason}");
}

#[test]
fn the_box_of_a_text_is_the_smallest_part_that_holds_both() {
    let mut page = start();
    let boxed = |inside: &str| format!("<div style='border:1px solid'>{inside}</div>");
    let cases: &[(String, &str, Result<&str, &str>)] = &[
        (
            "<section><h2>Danger zone</h2><p><button id=b>Delete</button></p></section><section><h2>Members</h2><button>Delete</button></section>".to_owned(),
            "name: Delete, in: Danger zone",
            Ok("b"),
        ),
        // A part of the page that nothing marks as one.
        (
            "<div><div><h2>Danger zone</h2></div><div><button id=b>Delete</button></div></div><div><h2>Members</h2><button>Delete</button></div>".to_owned(),
            "name: Delete, in: Danger zone",
            Ok("b"),
        ),
        // The heading of a list is not in a row of it.
        (
            "<section><h2>Members</h2><ul><li>Ann <button>Remove</button></li><li>Bob <button id=b>Remove</button></li></ul></section>\
             <section><h2>Guests</h2><ul><li>Cid <button>Remove</button></li></ul></section>".to_owned(),
            "name: Remove, in: Members, nth: 2",
            Ok("b"),
        ),
        (
            "<fieldset><legend>Shipping</legend><label>City <input></label></fieldset><fieldset><legend>Billing</legend><label>City <input id=b></label></fieldset>".to_owned(),
            "name: City, role: textbox, in: Billing",
            Ok("b"),
        ),
        (
            "<p><button>OK</button></p><div role=dialog><h2>Really?</h2><footer><button id=b>OK</button></footer></div>".to_owned(),
            "name: OK, in: 'Really?'",
            Ok("b"),
        ),
        // Boxes that are only drawn, and rows that are only written alike: what is in another one is not meant.
        (
            format!("<main>{}{}</main>", boxed("<h3>Basic</h3>"), boxed("<h3>Pro</h3><button id=b>Buy</button>")),
            "name: Buy, in: Pro",
            Ok("b"),
        ),
        (
            format!("<main>{}{}</main>", boxed("<h3>Basic</h3>"), boxed("<h3>Pro</h3><button>Buy</button>")),
            "name: Buy, in: Basic",
            Err("no element named `Buy` in `Basic`"),
        ),
        (
            "<main><div class=r>Red <button>Edit</button></div><div class=r>Blue</div></main>".to_owned(),
            "name: Edit, in: Blue",
            Err("no element named `Edit` in `Blue`"),
        ),
        // Columns beside each other are one row.
        (
            "<main><div style='display:flex'><div class=c>Red</div><div class=c><button id=b>Edit</button></div></div>\
             <div style='display:flex'><div class=c>Blue</div><div class=c><button>Edit</button></div></div></main>".to_owned(),
            "name: Edit, in: Red",
            Ok("b"),
        ),
        // What stands above all of the page says nothing.
        ("<h1>Shop</h1><button>Buy</button>".to_owned(), "name: Buy, in: Shop", Err("no element named `Buy` in `Shop`")),
        // A text that nobody reads is nowhere.
        (
            "<section><p hidden>Red</p><button>Edit</button></section>".to_owned(),
            "name: Edit, in: Red",
            Err("no element named `Edit` in `Red`"),
        ),
        (
            "<ul><li>Red<button id=b>Edit</button></li><li>Blue<button>Edit</button></li></ul>".to_owned(),
            "name: Edit, in: Red",
            Ok("b"),
        ),
        // What stands in a field is read.
        (
            "<ul><li><input value=Red><button id=b>Edit</button></li><li><input value=Blue><button>Edit</button></li></ul>".to_owned(),
            "name: Edit, in: Red",
            Ok("b"),
        ),
        // A control that is hidden does not count.
        (
            "<section><h2>Red</h2><button hidden>Edit</button><button id=b>Edit</button></section>".to_owned(),
            "name: Edit, in: Red, nth: 1",
            Ok("b"),
        ),
        ("<button style='display:none'>Edit</button>".to_owned(), "name: Edit, in: Red", Err("is hidden")),
    ];
    for (html, target, expected) in cases {
        page.show(html);
        page.check(html, target, *expected);
    }
}

#[test]
fn rows_that_have_no_element_of_their_own_are_kept_apart() {
    let mut page = start();
    // Each has two rows, the second without a button that anybody could click.
    let two_rows = [
        "<dl><dt>Red<dd><button id=b>Edit</button><dt>Blue<dd><button hidden>Edit</button></dl>",
        "<dl><dt>Red<dd><button id=b>Edit</button><dt>Blue<dt>Navy<dd>none</dl>",
        "<dl><div><dt>Red</dt><dd><button id=b>Edit</button></dd></div><div><dt>Blue</dt><dd>none</dd></div></dl>",
        "<main><h3>Red</h3><p>one</p><button id=b>Edit</button><h3>Blue</h3><p>two</p></main>",
        "<main><div><h3>Red</h3></div><h4>more</h4><button id=b>Edit</button><div><h3>Blue</h3></div></main>",
        "<main><button>Edit</button><h3>Blue</h3><p>two</p><h3>Red</h3><button id=b>Edit</button></main>",
        "<main><p>Red</p><button id=b>Edit</button><p>Blue</p><button hidden>Edit</button></main>",
        "<main><span>Red</span> <button id=b>Edit</button><br><span>Blue</span> <button hidden>Edit</button><br></main>",
        "<main><div>Red <button id=b>Edit</button></div><div>Blue</div></main>",
        "<main><div><i>Red</i><button id=b>Edit</button></div><div><i>Blue</i></div></main>",
        "<main style='display:grid;grid-template-columns:1fr 1fr'><div>Red</div><div><button id=b>Edit</button></div><div>Blue</div><div>none</div></main>",
        "<main style='display:grid;grid-template-columns:1fr 1fr'><b>Red</b><button id=b>Edit</button><b>Blue</b><button hidden>Edit</button><i>none</i></main>",
        "<main style='display:flex;flex-wrap:wrap'><div style='width:45%'>Red</div><div style='width:45%'><button id=b>Edit</button></div>\
         <div style='width:45%'>Blue</div><div style='width:45%'>none</div></main>",
        // Cards beside each other.
        "<main style='display:grid;grid-template-columns:1fr 1fr'><div>Red <button id=b>Edit</button></div><div>Blue <a href=#a>More</a></div></main>",
        "<main style='display:flex'><div class=c>Red <button id=b>Edit</button></div><div class=c>Blue <button hidden>Edit</button></div></main>",
    ];
    for html in two_rows {
        page.show(html);
        page.check(html, "name: Edit, in: Red", Ok("b"));
        page.check(html, "name: Edit, in: Blue", Err("no element named `Edit` in `Blue`"));
    }
    // What belongs together may stand on several lines.
    let one_box = [
        "<main><form><p>Red</p><p><button id=b>Edit</button></p></form></main>",
        "<main><form><h3>Red</h3><p>one</p><div><button id=b>Edit</button></div></form></main>",
        "<main><form><button id=b>Edit</button><h3>Red</h3></form></main>",
        "<main><form style='display:grid'><div>Red</div><div><button id=b>Edit</button></div></form></main>",
        "<main><form style='display:grid;grid-template-columns:1fr 1fr'><div>Red</div><div><button id=b>Edit</button></div></form></main>",
        "<main><form><span>Red</span><br><button id=b>Edit</button></form></main>",
    ];
    for html in one_box {
        page.show(html);
        page.check(html, "name: Edit, in: Red", Ok("b"));
    }
}

#[test]
fn one_of_several_is_told_through_shadow_roots_and_frames() {
    let mut page = start();
    let list = "<ul><li>Red <button id=a>Edit</button></li><li>Blue <button id=b>Edit</button></li></ul>";
    let card = component("x-card", "<section><slot></slot><button>Edit</button></section>");
    let frame = format!("<iframe style='width:300px;height:150px' srcdoc=\"{list}\"></iframe>");
    let tall = "<button>Edit</button><p style='height:900px'></p><button id=b>Edit</button>";
    let cases: Vec<(String, &str, Result<&str, &str>)> = vec![
        (format!("<x-list></x-list>{}", component("x-list", list)), "name: Edit, in: Blue", Ok("b")),
        (format!("<x-list></x-list>{}", component("x-list", list)), "name: Edit, nth: 2", Ok("b")),
        (format!("<x-card id=a>Red</x-card><x-card id=b>Blue</x-card>{card}"), "name: Edit, in: Blue", Ok("b")),
        // What is in a component stands where the component stands.
        (format!("<x-card id=a>Red</x-card><button id=c>Edit</button>{card}"), "name: Edit, nth: 2", Ok("c")),
        (format!("<x-card id=a>Red</x-card><button id=c>Edit</button>{card}"), "selector: button", Ok("a")),
        (frame.clone(), "name: Edit, in: Blue", Ok("b")),
        (format!("<button id=c>Edit</button>{frame}"), "name: Edit, nth: 3", Ok("b")),
        (
            "<section><h2>Payment</h2><iframe style='width:200px;height:60px' srcdoc='<button id=b>Pay</button>'></iframe></section><section><button>Pay</button></section>".to_owned(),
            "name: Pay, in: Payment",
            Ok("b"),
        ),
        (foreign(ROWS), "name: Edit, in: Blue Fox", Ok("b")),
        (foreign(ROWS), "name: Edit, in: Green Fox 1", Err("no element named `Edit` in `Green Fox 1`")),
        (foreign(ROWS), "name: Edit, nth: 2", Ok("b")),
        (foreign(ROWS), "name: Edit, nth: 9", Err("3 times, and no number 9")),
        (foreign(ROWS), "name: Edit", Err("3 times element named `Edit`: button `Edit` in the row `Red Fox` at (")),
        (foreign(ROWS), "name_matches: '^Del', role: button", Ok("d")),
        (foreign(ROWS), "selector: button, nth: 2", Ok("b")),
        (format!("<button id=p>Edit</button>{}", foreign(ROWS)), "name: Edit, nth: 1", Ok("p")),
        (format!("<button id=p>Edit</button>{}", foreign(ROWS)), "name: Edit, nth: 3", Ok("b")),
        (format!("<button id=p>Edit</button>{}", foreign(ROWS)), "name: Edit, role: button", Err("4 times button")),
        (format!("{}{}", foreign(list), foreign(list)), "name: Edit, nth: 1", Err("several such frames")),
        (format!("{}{}", foreign(list), foreign("<p>x</p>")), "name: Edit, nth: 2", Ok("b")),
        (format!("{}{}", foreign(list), foreign(ROWS)), "name: Delete", Ok("d")),
        // Behind frames of the page's own, and back into one of them.
        (own(&foreign(ROWS)), "name: Edit, in: Blue Fox", Ok("b")),
        (own(&own(&foreign(ROWS))), "name: Edit, nth: 2", Ok("b")),
        (own(&foreign(&own(ROWS))), "name: Delete", Ok("d")),
        (own(&foreign(&foreign(ROWS))), "selector: button, nth: 3", Ok("d")),
        (format!("<button id=p>Edit</button>{}", own(&foreign(ROWS))), "name: Edit, nth: 3", Ok("b")),
        (own(&format!("{}{}", foreign(list), foreign(ROWS))), "name: Delete", Ok("d")),
        (own(&format!("<div style='opacity:0'>{}</div>", foreign(ROWS))), "name: Delete", Err("no element named")),
    ];
    for (html, target, expected) in &cases {
        page.show(html);
        page.check(html, target, *expected);
    }
    for html in [tall.to_owned(), foreign(tall)] {
        page.show(&html);
        let place = place("name: Edit, nth: 2");
        assert_eq!(page.aim("name: Edit, nth: 2").unwrap_err().1, Cure::Scroll, "{html}");
        assert!(place.bring_into_view(&mut page.0).unwrap(), "{html}");
        page.check(&html, "name: Edit, nth: 2", Ok("b"));
    }
}

#[test]
fn a_name_may_be_a_pattern_or_a_part_of_one() {
    let mut page = start();
    let html = "<button id=a>Save draft</button><button id=b>Save</button><a href='#x' id=c>Order 12</a><button id=d>Order 7</button>\
         <p>Order 99</p><label>Order <input id=e></label><h2 id=f>Order of things</h2>";
    page.show(html);
    for (target, expected) in [
        ("name: save, exact: false", Ok("b")),
        ("name: draft, exact: false", Ok("a")),
        ("name: sav, exact: false", Err("no element whose name has `sav`")),
        ("name: save, exact: true", Err("no element named `save`")),
        ("name: save", Err("no element named `save`")),
        ("name: order, exact: false, role: button", Ok("d")),
        ("name: things, exact: false, role: heading", Ok("f")),
        ("name_matches: '^Order [0-9]+$', role: button", Ok("d")),
        ("name_matches: '^Order 1', role: link", Ok("c")),
        ("name_matches: '(?i)^ORDER$'", Ok("e")),
        (
            "name_matches: '^Order [0-9]+$'",
            Err("2 times element whose name matches `^Order [0-9]+$`: link `Order 12`"),
        ),
        ("name_matches: '^Order [0-9]+$', nth: 2", Ok("d")),
        ("name_matches: '^Order [0-9]+$', role: checkbox", Err("no checkbox whose name matches")),
        // Without a role, only what one clicks or types into is looked at.
        ("name_matches: '^Order 99$'", Err("no element whose name matches")),
        ("role: heading", Ok("f")),
        ("role: textbox", Ok("e")),
        ("role: button", Err("3 times button: button `Save draft` at (")),
    ] {
        page.check(html, target, expected);
    }
}

use Verification::{Satisfied as Yes, Unknown, Unsatisfied as No};

#[test]
fn clauses_ask_one_element_for_its_state_its_text_or_an_attribute() {
    let mut page = start();
    page.show(
        "<label>City <input id=city value='  New   York '></label><label>Note <textarea>a\nb</textarea></label>\
         <label>Land <select><option value=de>Germany<option value=fr selected>France</select></label>\
         <label>Key <input type=password value=hunter2></label><label><input type=checkbox checked>Agree</label>\
         <div contenteditable role=textbox aria-label=Body>some <b>text</b></div><div id=big style='text-transform:uppercase'>loud <i hidden>never</i></div>\
         <a href='/x?y' id=link>Go</a><p>Twin</p><button disabled>Twin</button><button>Twin</button>\
         <ul><li>Red <input aria-label=Amount value=1></li><li>Blue <input aria-label=Amount value=2></li></ul>",
    );
    page.check_all(&[
        ("element: { name: City, value: New York }", Yes, ""),
        ("element: { name: City, role: textbox, value: York }", No, "it holds `New York`"),
        ("element: { selector: '#city', value: '' }", No, "it holds `New York`"),
        ("element: { name: Note, value: 'a b' }", Yes, ""),
        ("element: { name: Land, value: France }", Yes, ""),
        ("element: { name: Land, value: fr }", No, "it holds `France`"),
        ("element: { name: Body, value: some text }", Yes, ""),
        ("element: { name: Key, value: hunter2 }", Unknown, "is a password field, which is never read"),
        ("element: { name: Key, text: hunter }", Unknown, "never read"),
        ("element: { name: Key, attribute: { name: VALUE, is: hunter2 } }", Unknown, "never read"),
        ("element: { name: Key, attribute: { name: type, is: password } }", Yes, ""),
        ("element: { name: Agree, value: 'on' }", Unknown, "is no field"),
        ("element: { name: Agree, is: checked }", Yes, ""),
        ("element: { selector: '#big', value: loud }", Unknown, "`#big` is no field"),
        ("element: { selector: '#big', text: LOUD }", Yes, ""),
        ("element: { selector: '#big', text: loud }", Yes, ""),
        ("element: { selector: '#big', text: never }", No, "it shows `loud`"),
        ("element: { name: City, text: New York }", Yes, ""),
        ("element: { selector: '#link', attribute: { name: href, is: /x?y } }", Yes, ""),
        ("element: { name: Go, attribute: { name: href, is: /x } }", No, "its `href` is `/x?y`"),
        ("element: { name: Go, attribute: { name: title, is: '' } }", No, "it has no attribute `title`"),
        // What is not there is and holds nothing; of several nobody can tell.
        ("element: { name: Nobody, value: x }", No, "the page has no element named `Nobody`"),
        (
            "element: { name: Twin, role: button, is: enabled }",
            Unknown,
            "2 times button named `Twin`: button `Twin` at (",
        ),
        ("element: { name: Twin, role: button, nth: 1, is: enabled }", No, ""),
        ("element: { name: Twin, role: button, nth: 2, is: enabled }", Yes, ""),
        ("element: { name: Twin, role: button, nth: 3, is: enabled }", No, "no number 3"),
        ("element: { name: Twin, role: button, is: visible }", Yes, ""),
        ("element: { name: Twin, role: button, nth: 2, is: visible }", Yes, ""),
        ("element: { name: Twin, role: button, nth: 3, is: visible }", No, ""),
        ("element: { name: Twin, role: button, nth: 3, is: hidden }", Yes, ""),
        ("element: { name: Amount, in: Blue, value: '2' }", Yes, ""),
        ("element: { name: Amount, in: Red, value: '2' }", No, "it holds `1`"),
        ("element: { name: Amount, in: Green, is: hidden }", Yes, ""),
        ("element: { name: Amount, value: '2' }", Unknown, "in the row `Red`"),
        ("element: { selector: '?', value: x }", Unknown, "no CSS selector"),
        ("element: { name: Amount, in: Red, is: focused }", No, ""),
        (
            "not: { element: { name: Key, value: x } }",
            Unknown,
            "cannot tell whether the element named `Key` holds `x`",
        ),
        (
            "all: [{ element: { name: City, value: New York } }, { element: { name: Go, text: Stop } }]",
            No,
            "it shows `Go`",
        ),
    ]);
    page.0.evaluate("document.querySelector('[aria-label=Amount]').focus()").unwrap();
    page.check_all(&[("element: { name: Amount, in: Red, is: focused }", Yes, "")]);
    let step = |of: &str| serde_norway::from_str::<ReadStep>(of).unwrap();
    for (of, expected) in [
        ("{ of: !element { name: Amount, in: Blue }, into: x }", Ok("2")),
        ("{ of: !element { name: Amount, nth: 1 }, into: x }", Ok("1")),
        ("{ of: !element { name: Amount }, into: x }", Err("2 times element named `Amount`")),
        ("{ of: !element { name_matches: '^Ci' }, into: x }", Ok("New York")),
        ("{ of: !element { name: Land }, into: x }", Ok("France")),
        ("{ of: !element { name: Key }, into: x }", Err("never read")),
    ] {
        match (step(of).read(&mut page.0, &mut Blind).unwrap(), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{of}"),
            (Err(reason), Err(words)) => assert!(reason.contains(words), "{of}: {reason}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}: {of}"),
        }
    }
}

#[test]
fn elements_are_counted_that_a_person_can_see_in_all_frames() {
    let mut page = start();
    page.show(&format!(
        "<p class=r>1</p><p class=r hidden>2</p><p style='height:900px'></p><p class=r>3</p>{}{}",
        foreign("<p class=r>4</p><button>Edit</button><button>Edit all</button>"),
        ROWS.replace("<tr>", "<tr class=r>")
    ));
    page.check_all(&[
        ("count: { selector: .r, is: 7 }", Yes, ""),
        ("count: { selector: .r, is: 6 }", No, "there are 7"),
        ("count: { selector: .r, at_least: 7 }", Yes, ""),
        ("count: { selector: .r, at_least: 8 }", No, "there are 7"),
        ("count: { selector: .r, at_most: 6 }", No, "there are 7"),
        ("count: { selector: .r, at_least: 1, at_most: 7 }", Yes, ""),
        ("count: { selector: .none, is: 0 }", Yes, ""),
        ("count: { selector: .none, at_least: 1 }", No, "there is none"),
        ("count: { name: Edit, role: button, is: 4 }", Yes, ""),
        ("count: { name_matches: '^Edit', is: 5 }", Yes, ""),
        ("count: { role: button, in: Blue Fox, is: 2 }", Yes, ""),
        ("count: { role: row, is: 4 }", Yes, ""),
        ("count: { selector: '?', is: 0 }", Unknown, "no CSS selector"),
        (
            "not: { count: { selector: .r, is: 7 } }",
            No,
            "it holds that the page shows 7 times `.r`, which must not be",
        ),
    ]);
}

#[test]
fn a_pattern_is_looked_for_in_each_line_that_can_be_read() {
    let mut page = start();
    page.show(&format!(
        "<p>Order  <b>47</b>11</p><table><tr><td>left</td><td>right</td></tr></table><p hidden>Order 9</p>first<br>second\
         <pre>one\ntwo</pre><p style='text-transform:uppercase'>loud</p><input value='in a field'><textarea>line 1\nline 2</textarea>\
         <x-a></x-a>{}{}",
        component("x-a", "<p>in a component</p>"),
        foreign("<p>in a frame</p>")
    ));
    page.check_all(&[
        ("text_matches: '^Order [0-9]{4}$'", Yes, ""),
        ("text_matches: 'Order [0-9]$'", No, ""),
        ("text_matches: '^right$'", Yes, ""),
        ("text_matches: 'left ?right'", No, ""),
        ("text_matches: '^second$'", Yes, ""),
        ("text_matches: '^two$'", Yes, ""),
        ("text_matches: '^(LOUD|x)$'", Yes, ""),
        ("text_matches: '^loud$'", Yes, ""),
        ("text_matches: '^in a field$'", Yes, ""),
        ("text_matches: '^line 2$'", Yes, ""),
        ("text_matches: '^in a component$'", Yes, ""),
        ("text_matches: '^in a frame$'", Yes, ""),
        ("text_matches: '(?i)^IN A FRAME$'", Yes, ""),
        ("not: { text_matches: frames }", Yes, ""),
        ("text_visible: Order 4711", Yes, ""),
        ("text_visible: one two", Yes, ""),
        ("text_visible: left right", Yes, ""),
    ]);
}

/// A link in a label, or a button in a row that acts itself, has clicks of its own.
#[test]
fn a_control_inside_of_another_one_keeps_its_clicks() {
    let mut page = start();
    let mut check = |html: &str, target: &str, expected: Result<&str, &str>| {
        page.show(html);
        page.check(html, target, expected);
    };
    let hidden = "position:absolute;left:-9999px";
    let label = |inside: &str| {
        format!("<label id=l style='display:inline-block;padding:10px;border:1px solid'>{inside}</label>")
    };
    let agreed = format!(
        "<input type=checkbox id=c style='{hidden}'><span>I agree to <a id=terms href='#x'>the general terms and \
         conditions of use</a> now</span>"
    );
    check(&label(&agreed), "selector: '#c'", Ok("l"));
    check(&label(&agreed), "selector: '#l'", Ok("l"));
    check(&label(&agreed), "name: the general terms and conditions of use", Ok("terms"));
    let plan = "<input type=radio id=c style='appearance:none;width:0;height:0;margin:0'>Plan A <button id=b \
                style='width:200px;height:30px'>see all the details</button>";
    check(&label(plan), "selector: '#c'", Ok("l"));
    let filled = "<label id=l style='display:block;width:120px;height:30px'><input type=radio id=c style='display:none'>\
                  <button id=b style='width:120px;height:30px'>Plan A</button></label>";
    check(filled, "selector: '#c'", Err("covered by a <button>"));
    // What is labelled may itself lie in the label.
    check(&label("<input type=checkbox id=c> Seen"), "name: Seen, role: checkbox", Ok("c"));

    let row = |inside: &str, more: &str| {
        format!("<div id=r {more} style='width:400px;height:40px;text-align:center'>{inside}</div>")
    };
    let button = "<button id=b style='width:80px;height:30px'>Delete</button>";
    check(&row(button, "role=listitem aria-label=Fox onclick='1'"), "name: Fox, role: listitem", Ok("r"));
    check(&row(button, "role=button aria-label=Fox tabindex=0"), "name: Fox, role: button", Ok("r"));
    // What does not act itself is clicked where it is, and so is what has no free spot.
    check(&row(button, ""), "selector: '#r'", Ok("b"));
    let tab = "<div id=t role=tab style='width:120px;height:30px'><a id=a href='#x' style='display:block;width:120px;\
               height:30px'>Tab</a></div>";
    check(tab, "selector: '#t'", Ok("a"));
}

/// The browser is asked for few names, because it takes its time: the others are found, too.
#[test]
fn a_picture_is_a_name_however_many_there_are() {
    // All of it is on view.
    let mut page = Page::start(500, 900);
    let picture = "<img alt=Delete width=8 height=8 src='data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'>";
    let vector = "<svg width=8 height=8><title>Delete</title><rect width=8 height=8 /></svg>";
    let part = "<i role=img aria-label=Delete style='display:inline-block;width:8px;height:8px'></i>";
    for inside in [picture, vector, part] {
        let row =
            |i: usize| format!("<tr><td>Row {i}<td><button id=b{i} style='padding:0'>{inside}</button></tr>");
        let rows: String = (1..=30).map(row).collect();
        let html = format!("<table style='font:8px sans-serif' cellspacing=0 cellpadding=0>{rows}</table>");
        page.show(&html);
        page.check(&html, "name: Delete, role: button, in: Row 27", Ok("b27"));
        page.check(&html, "name: Delete, role: button, nth: 28", Ok("b28"));
        page.check(&html, "name: Delete, role: button", Err("30 times"));
        page.check_all(&[
            ("count: { name: Delete, role: button, is: 30 }", Verification::Satisfied, ""),
            ("element: { name: Delete, role: button, in: Row 6, is: visible }", Verification::Satisfied, ""),
        ]);
    }
    // Others that have the word in them do not push it out.
    let link = |i: usize| format!("<a href='#{i}' title='Delete {i}' style='font-size:8px'>Remove {i}</a> ");
    let links: String = (1..=25).map(link).collect();
    let html = format!("<button id=one>{picture}</button>{links}<button id=two>{picture}</button>");
    page.show(&html);
    page.check(&html, "name: Delete, role: button", Err("2 times"));
    page.check(&html, "name: Delete, role: button, nth: 2", Ok("two"));
    let named =
        |i: usize| format!("<button aria-label='Delete row {i}' style='font-size:8px'>Delete</button>");
    let others: String = (1..=30).map(named).collect();
    let html = format!("{others}<button id=last>{part}</button>");
    page.show(&html);
    page.check(&html, "name: Delete, role: button", Ok("last"));
}
