//! Clicks that are held, drags as a person makes them, the history of a tab, and tabs by what a person sees of them.

use std::time::Duration;

use serde_json::json;
use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver, DriverError, Key, MouseButton, Note, TabSearch};
use vigorl_webdriver::WebDriver;

use crate::pages::{data_url, evaluate, open, start};

const CAP: Duration = Duration::from_secs(5);

fn held(at: (f64, f64), button: MouseButton, keys: &[Key], hold_ms: u32) -> Action {
    Action::HeldClick { at: Point::new(at.0, at.1), button, count: 1, keys: keys.to_vec(), hold_ms }
}

fn drag(from: (f64, f64), to: (f64, f64)) -> Action {
    Action::Drag { from: Point::new(from.0, from.1), to: Point::new(to.0, to.1) }
}

fn refused(done: Result<(), DriverError>) -> String {
    match done {
        Err(DriverError::Refused { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_click_is_made_with_keys_held_and_with_the_button_held() {
    let mut driver = start();
    open(
        &mut driver,
        "<body style='margin:0;height:300px'><script>log = []; down = 0;
         onmousedown = () => { down = performance.now() };
         onclick = (e) => log.push([e.button, e.ctrlKey, e.shiftKey, e.altKey, performance.now() - down > 590]);
         onauxclick = onclick; onkeyup = (e) => log.push(e.key)</script>",
    );
    driver.act(&held((50.0, 50.0), MouseButton::Left, &[Key::Control, Key::Shift], 0)).unwrap();
    driver.act(&held((90.0, 50.0), MouseButton::Left, &[], 600)).unwrap();
    driver.act(&held((50.0, 90.0), MouseButton::Middle, &[Key::Alt], 0)).unwrap();
    driver.act(&Action::Click { at: Point::new(90.0, 90.0), button: MouseButton::Left, count: 1 }).unwrap();
    let log = evaluate(&mut driver, "return log").unwrap();
    let expected = json!([
        [0, true, true, false, false],
        "Shift",
        "Control",
        [0, false, false, false, true],
        [1, false, false, true, false],
        "Alt",
        [0, false, false, false, false]
    ]);
    assert_eq!(log, expected);
    assert!(
        refused(driver.act(&held((5.0, 5.0), MouseButton::Left, &[Key::Enter], 0)))
            .contains("no key that is held")
    );
    assert!(
        refused(driver.act(&held((5.0, 5.0), MouseButton::Left, &[], 60_000))).contains("no button is held")
    );
}

#[test]
fn a_middle_click_and_one_with_control_open_a_link_in_a_tab() {
    let mut driver = start();
    open(&mut driver, "<a href='about:blank' style='display:block;height:200px'>link</a>");
    driver.act(&Action::Click { at: Point::new(9.0, 9.0), button: MouseButton::Middle, count: 1 }).unwrap();
    assert_eq!(driver.tabs().unwrap().len(), 2);
    driver.act(&held((9.0, 9.0), MouseButton::Left, &[Key::Control], 0)).unwrap();
    assert_eq!(driver.tabs().unwrap().len(), 3);
}

#[test]
fn a_drag_moves_the_pointer_over_the_way_with_time_between() {
    let mut driver = start();
    open(
        &mut driver,
        "<body style='margin:0;height:390px;user-select:none'><script>log = [];
         for (const kind of ['mousedown', 'mousemove', 'mouseup'])
           addEventListener(kind, (e) => log.push([kind, e.clientX, e.clientY, e.buttons, performance.now()]))</script>",
    );
    driver.act(&drag((20.0, 20.0), (320.0, 220.0))).unwrap();
    let log = evaluate(&mut driver, "return log").unwrap();
    let log: Vec<_> =
        log.as_array().unwrap().iter().filter(|event| event[3] == 1 || event[0] != "mousemove").collect();
    let kinds: Vec<&str> = log.iter().map(|event| event[0].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("mousedown", "mouseup"));
    let moves = &log[1..log.len() - 1];
    assert!(moves.len() >= 10, "{log:?}");
    let near = moves[0][1].as_f64().unwrap() - 20.0;
    assert!((1.0..12.0).contains(&near), "the first move is a small one: {log:?}");
    let times: Vec<f64> = log.iter().map(|event| event[4].as_f64().unwrap()).collect();
    let pauses = times.windows(2).filter(|pair| pair[1] - pair[0] > 5.0).count();
    assert!(pauses >= 8 && times[times.len() - 1] - times[0] > 250.0, "{times:?}");
}

/// A list whose items are dragged natively, as most examples of such lists have it.
const NATIVE: &str = "<style>body { margin: 0 } li { height: 40px; width: 200px; list-style: none; background: #eee; border: 1px solid } ul { margin: 0; padding: 0 }</style>
<ul id=list><li draggable=true>a<li draggable=true>b<li draggable=true>c<li draggable=true>d</ul><script>
let dragged = null; dropped = 0;
list.addEventListener('dragstart', (e) => { dragged = e.target; e.dataTransfer.effectAllowed = 'move'; setTimeout(() => dragged.classList.add('ghost')); });
list.addEventListener('dragover', (e) => {
  e.preventDefault();
  const over = e.target.closest('li');
  if (!over || over === dragged) return;
  const box = over.getBoundingClientRect();
  list.insertBefore(dragged, e.clientY > box.top + box.height / 2 ? over.nextSibling : over);
});
list.addEventListener('drop', (e) => { e.preventDefault(); dropped += 1; });
order = () => [...list.children].map((li) => li.textContent.trim()).join('');
</script>";

/// A list whose items follow the pointer, once a frame, behind a threshold.
const FOLLOWING: &str = "<style>body { margin: 0; user-select: none } li { height: 40px; width: 200px; list-style: none; background: #eee; border: 1px solid } ul { margin: 0; padding: 0 }</style>
<ul id=list><li>a<li>b<li>c<li>d</ul><script>
let held = null, start = null, wanted = null, moves = 0;
onmousedown = (e) => { held = e.target.closest('li'); start = e.clientY; moves = 0; };
onmousemove = (e) => {
  if (!held || !(e.buttons & 1)) return;
  moves += 1;
  if (Math.abs(e.clientY - start) < 5 || moves < 4) return;
  wanted = e.clientY;
};
const follow = () => {
  if (held && wanted !== null) {
    const over = [...list.children].find((li) => { const b = li.getBoundingClientRect(); return wanted >= b.top && wanted < b.bottom; });
    if (over && over !== held) {
      const box = over.getBoundingClientRect();
      if (over.compareDocumentPosition(held) & Node.DOCUMENT_POSITION_PRECEDING && wanted > box.top + box.height / 2) over.after(held);
      if (over.compareDocumentPosition(held) & Node.DOCUMENT_POSITION_FOLLOWING && wanted < box.top + box.height / 2) over.before(held);
    }
  }
  requestAnimationFrame(follow);
};
follow();
onmouseup = () => { held = null; wanted = null; };
order = () => [...list.children].map((li) => li.textContent.trim()).join('');
</script>";

#[test]
fn lists_that_sort_themselves_are_sorted_by_a_drag() {
    for page in [NATIVE, FOLLOWING] {
        let mut driver = start();
        open(&mut driver, page);
        driver.act(&drag((50.0, 20.0), (60.0, 115.0))).unwrap();
        driver.settle(CAP).unwrap();
        assert_eq!(evaluate(&mut driver, "return order()").unwrap(), json!("bcad"), "{page}");
        driver.act(&drag((50.0, 146.0), (60.0, 5.0))).unwrap();
        driver.settle(CAP).unwrap();
        assert_eq!(evaluate(&mut driver, "return order()").unwrap(), json!("dbca"), "{page}");
    }
}

#[test]
fn history_goes_forward_and_pages_are_loaded_again() {
    let mut driver = start();
    open(&mut driver, "<title>one</title>");
    open(&mut driver, "<title>two</title>");
    assert!(refused(driver.act(&Action::Forward)).contains("the last page"));
    driver.act(&Action::Back).unwrap();
    assert_eq!(driver.note(), Note::there());
    driver.act(&Action::Forward).unwrap();
    assert_eq!(driver.page_state().unwrap().title.as_deref(), Some("two"));
    driver.evaluate("document.title = 'changed'").unwrap();
    driver.act(&Action::Reload).unwrap();
    assert_eq!((driver.page_state().unwrap().title.as_deref(), driver.note()), (Some("two"), Note::there()));
}

#[test]
fn a_relative_address_is_one_of_the_open_page() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(format!("{name}.html")), format!("<title>{name}</title>")).unwrap();
    }
    let mut driver = start();
    let url = format!("file://{}/a.html", folder.path().display());
    driver.act(&Action::Navigate { url }).unwrap();
    driver.act(&Action::Navigate { url: "b.html?x#y".to_owned() }).unwrap();
    let state = driver.page_state().unwrap();
    assert!(state.title.as_deref() == Some("b") && state.url.unwrap().ends_with("/b.html?x#y"));
}

#[test]
fn a_tab_is_found_by_its_title_its_address_or_its_number() {
    let mut driver = start();
    let switch = |search: TabSearch| Action::SwitchTab { tab: search.into() };
    let title = |text: &str| TabSearch::TitleContains(text.to_owned());
    open(&mut driver, "<title>the shop</title>");
    for name in ["the cart", "a map"] {
        driver.act(&Action::OpenTab).unwrap();
        open(&mut driver, &format!("<title>{name}</title>"));
    }
    let current = |driver: &mut WebDriver| driver.page_state().unwrap().title.unwrap();
    driver.act(&switch(title("cart"))).unwrap();
    assert_eq!(current(&mut driver), "the cart");
    driver.act(&switch(TabSearch::UrlContains(data_url("<title>the shop")))).unwrap();
    assert_eq!(current(&mut driver), "the shop");
    driver.act(&switch(TabSearch::Index(3))).unwrap();
    assert_eq!(current(&mut driver), "a map");
    let detail = refused(driver.act(&switch(title("the "))));
    assert!(detail.contains("2 tabs are") && detail.contains("`the cart`"), "{detail}");
    assert!(refused(driver.act(&switch(title("nowhere")))).contains("0 tabs are"));
    assert!(refused(driver.act(&switch(TabSearch::Index(4)))).contains("3 in all"));
    assert!(refused(driver.act(&switch(TabSearch::Index(0)))).contains("3 in all"));
    assert_eq!(current(&mut driver), "a map");
    // The one that was shown before is shown again.
    driver.act(&Action::CloseTab).unwrap();
    assert_eq!(current(&mut driver), "the shop");
}
