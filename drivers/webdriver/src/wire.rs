//! Actions as W3C "perform actions" requests. Pure; the only place where a screenshot pixel becomes a CSS position.
//!
//! A position is the whole CSS pixel under the middle of the screenshot pixel. Fractions would not help: the
//! server takes them, but hits the whole CSS pixel below (measured with chromedriver 156). Rounding to the
//! nearest one would leave the viewport at its last pixel, which the server does not refuse.

use serde_json::{Value, json};
use vigorl_geometry::{DevicePixelRatio, Point, Screen, Size, Viewport};
use vigorl_interface::{DriverError, Key, MouseButton};

/// Size and ratio of the latest screenshot: what positions refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) size: Size<Screen>,
    pub(crate) device_pixel_ratio: DevicePixelRatio,
}

impl Geometry {
    /// The whole CSS pixel under the middle of the pixel that `point` lies on.
    pub(crate) fn in_viewport(self, point: Point<Screen>) -> Result<Point<Viewport>, DriverError> {
        if !self.size.contains(point) {
            let (width, height) = (self.size.width as u32, self.size.height as u32);
            return Err(DriverError::OutsideScreenshot { x: point.x, y: point.y, width, height });
        }
        let middle = Point::new(point.x.floor() + 0.5, point.y.floor() + 0.5);
        let css = self.device_pixel_ratio.viewport_from_screen().apply(middle);
        Ok(Point::new(css.x.floor(), css.y.floor()))
    }

    /// Wheel distances in whole CSS pixels.
    pub(crate) fn wheel_delta(self, dx_px: f64, dy_px: f64) -> Result<(i64, i64), DriverError> {
        let delta = self.device_pixel_ratio.viewport_from_screen().apply(Point::new(dx_px, dy_px));
        let whole = (delta.x.round() as i64, delta.y.round() as i64);
        let refused = |detail: &str| DriverError::Refused { request: "scroll", detail: detail.to_owned() };
        if !delta.x.is_finite() || !delta.y.is_finite() {
            return Err(refused("the distance is not a number"));
        }
        if whole == (0, 0) {
            return Err(refused("the distance is less than one CSS pixel"));
        }
        Ok(whole)
    }
}

fn source(kind: &str, actions: Vec<Value>) -> Value {
    json!([one_source(kind, actions)])
}

fn one_source(kind: &str, actions: Vec<Value>) -> Value {
    let mut source = json!({ "type": kind, "id": kind, "actions": actions });
    if kind == "pointer" {
        source["parameters"] = json!({ "pointerType": "mouse" });
    }
    source
}

fn pause(millis: u32) -> Value {
    json!({ "type": "pause", "duration": millis })
}

fn move_to(at: Point<Viewport>) -> Value {
    json!({ "type": "pointerMove", "duration": 0, "origin": "viewport", "x": at.x, "y": at.y })
}

fn button(kind: &str, button: MouseButton) -> Value {
    let number = match button {
        MouseButton::Left => 0,
        MouseButton::Middle => 1,
        MouseButton::Right => 2,
    };
    json!({ "type": kind, "button": number })
}

/// `count` presses and releases at one place; the browser counts them itself (2 is a double click).
pub(crate) fn click(at: Point<Viewport>, which: MouseButton, count: u8) -> Value {
    let mut actions = vec![move_to(at)];
    for _ in 0..count {
        actions.extend([button("pointerDown", which), button("pointerUp", which)]);
    }
    source("pointer", actions)
}

/// Longest that a button is held in one action, far below the deadline of a request.
const LONGEST_HOLD_MS: u32 = 10_000;

/// The same while `keys` are down, with the button down for so long each time. Every source takes its turn in every tick.
pub(crate) fn held_click(
    at: Point<Viewport>,
    which: MouseButton,
    count: u8,
    keys: &[Key],
    hold_ms: u32,
) -> Result<Value, DriverError> {
    if let Some(key) = keys.iter().find(|key| !key.is_modifier()) {
        return Err(refused("click", format!("{key} is no key that is held during a click")));
    }
    if hold_ms.saturating_mul(count.into()) > LONGEST_HOLD_MS {
        return Err(refused(
            "click",
            format!("no button is held for more than {} s", LONGEST_HOLD_MS / 1000),
        ));
    }
    let values = keys.iter().map(|&key| key_value(key)).collect::<Result<Vec<_>, _>>()?;
    let still = || values.iter().map(|_| pause(0));
    let mut pointer = vec![move_to(at)];
    pointer.extend(still());
    let mut pressed = vec![pause(0)];
    pressed.extend(values.iter().map(|&value| key("keyDown", value)));
    for _ in 0..count {
        pointer.extend([button("pointerDown", which), pause(hold_ms), button("pointerUp", which)]);
        pressed.extend([pause(0), pause(0), pause(0)]);
    }
    pointer.extend(still());
    pressed.extend(values.iter().rev().map(|&value| key("keyUp", value)));
    Ok(json!([one_source("key", pressed), one_source("pointer", pointer)]))
}

pub(crate) fn hover(at: Point<Viewport>) -> Value {
    source("pointer", vec![move_to(at)])
}

/// Places on the way of a drag.
const DRAG_STEPS: u32 = 12;
/// A frame of the page for each of them: what a page does while something is dragged, it does once a frame.
const DRAG_STEP_MS: u32 = 16;
/// Before the way and behind it: lists that sort themselves wait for a moment, and move what is there.
const DRAG_REST_MS: u32 = 100;

/// A drag over places on the way, the first of them close by: pages wait for the pointer to move a little before they
/// take something up. The target is visited twice: a native drop is only accepted after the page has answered a
/// `dragover` there.
pub(crate) fn drag(from: Point<Viewport>, to: Point<Viewport>) -> Value {
    const NEAR_PX: f64 = 6.0;
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let along = |share: f64| Point::new((from.x + dx * share).round(), (from.y + dy * share).round());
    let near = (NEAR_PX / dx.hypot(dy).max(NEAR_PX)).min(1.0);
    let steps = (1..DRAG_STEPS).map(|step| along(f64::from(step) / f64::from(DRAG_STEPS)));
    let mut actions = vec![move_to(from), button("pointerDown", MouseButton::Left), pause(DRAG_REST_MS)];
    for at in [along(near)].into_iter().chain(steps).chain([to]) {
        actions.extend([move_to(at), pause(DRAG_STEP_MS)]);
    }
    actions.extend([pause(DRAG_REST_MS), move_to(to), pause(DRAG_STEP_MS)]);
    actions.push(button("pointerUp", MouseButton::Left));
    source("pointer", actions)
}

pub(crate) fn wheel(at: Point<Viewport>, (dx, dy): (i64, i64)) -> Value {
    // This source takes no other form of number.
    let (x, y) = (at.x as i64, at.y as i64);
    let scroll = json!({ "type": "scroll", "duration": 0, "origin": "viewport",
                         "x": x, "y": y, "deltaX": dx, "deltaY": dy });
    source("wheel", vec![scroll])
}

fn key(kind: &str, value: char) -> Value {
    json!({ "type": kind, "value": value })
}

/// All keys down in order, then up in reverse order.
pub(crate) fn chord(keys: &[Key]) -> Result<Value, DriverError> {
    if keys.is_empty() {
        return Err(refused("press", "no key is named".to_owned()));
    }
    let values = keys.iter().map(|&key| key_value(key)).collect::<Result<Vec<_>, _>>()?;
    let down = values.iter().map(|&value| key("keyDown", value));
    let up = values.iter().rev().map(|&value| key("keyUp", value));
    Ok(source("key", down.chain(up).collect()))
}

/// Presses and releases of keys that stand for characters.
pub(crate) fn type_keys(values: &[char]) -> Value {
    source("key", values.iter().flat_map(|&value| [key("keyDown", value), key("keyUp", value)]).collect())
}

/// Keys that go down and up one after the other, in as many requests as that takes.
pub(crate) fn keys_in_turn(keys: &[Key]) -> Result<Vec<Value>, DriverError> {
    let values = keys.iter().map(|&key| key_value(key)).collect::<Result<Vec<_>, _>>()?;
    Ok(values.chunks(KEYS_PER_REQUEST).map(type_keys).collect())
}

/// One request of a typed text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// Key by key.
    Keys(Vec<char>),
    /// Inserted whole, because a key of that value would do something else.
    Insert(String),
}

/// The requests of a text without its last key, and that key: it may open a dialog, and what opens one before has broken the
/// text off.
pub(crate) fn before_last_key(mut parts: Vec<Typing>) -> (Vec<Typing>, Vec<Typing>) {
    match parts.pop() {
        Some(Typing::Keys(mut keys)) if keys.len() > 1 => {
            let last = keys.split_off(keys.len() - 1);
            parts.push(Typing::Keys(keys));
            (parts, vec![Typing::Keys(last)])
        }
        last => (parts, last.into_iter().collect()),
    }
}

/// Keys of one request at most, so that a long text does not meet the deadline of a single request.
const KEYS_PER_REQUEST: usize = 100;
const RETURN: char = '\u{E006}';

/// Splits a text into requests. A line break is the Enter key, as for a person. A tab is inserted, because the
/// key would move the focus; so are the private characters that the protocol uses for keys.
pub(crate) fn plan_typing(text: &str) -> Result<Vec<Typing>, DriverError> {
    let mut plan = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' => push_key(&mut plan, RETURN),
            '\t' | '\u{E000}'..='\u{E05D}' => push_insert(&mut plan, character),
            control if control.is_control() => {
                return Err(refused("type", format!("no key types the control character {control:?}")));
            }
            character => push_key(&mut plan, character),
        }
    }
    Ok(plan)
}

fn push_key(plan: &mut Vec<Typing>, value: char) {
    match plan.last_mut() {
        Some(Typing::Keys(values)) if values.len() < KEYS_PER_REQUEST => values.push(value),
        _ => plan.push(Typing::Keys(vec![value])),
    }
}

fn push_insert(plan: &mut Vec<Typing>, character: char) {
    match plan.last_mut() {
        Some(Typing::Insert(text)) => text.push(character),
        _ => plan.push(Typing::Insert(character.to_string())),
    }
}

fn refused(request: &'static str, detail: String) -> DriverError {
    DriverError::Refused { request, detail }
}

/// The value that stands for a key in the protocol (W3C WebDriver, "keyboard actions").
fn key_value(key: Key) -> Result<char, DriverError> {
    Ok(match key {
        Key::Char(c) if c.is_control() || ('\u{E000}'..='\u{E05D}').contains(&c) => {
            return Err(refused("press", format!("{c:?} is not a key")));
        }
        Key::Char(c) => c,
        Key::Backspace => '\u{E003}',
        Key::Tab => '\u{E004}',
        Key::Enter => RETURN,
        Key::Shift => '\u{E008}',
        Key::Control => '\u{E009}',
        Key::Alt => '\u{E00A}',
        Key::Escape => '\u{E00C}',
        Key::Space => ' ',
        Key::PageUp => '\u{E00E}',
        Key::PageDown => '\u{E00F}',
        Key::End => '\u{E010}',
        Key::Home => '\u{E011}',
        Key::Left => '\u{E012}',
        Key::Up => '\u{E013}',
        Key::Right => '\u{E014}',
        Key::Down => '\u{E015}',
        Key::Insert => '\u{E016}',
        Key::Delete => '\u{E017}',
        Key::Meta => '\u{E03D}',
        Key::Function(n) => {
            let mut functions = ('\u{E030}'..='\u{E03C}').skip(1);
            let value = usize::from(n).checked_sub(1).and_then(|index| functions.nth(index));
            return value.ok_or_else(|| refused("press", format!("there is no key F{n}")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(width: u32, height: u32, ratio: f64) -> Geometry {
        let device_pixel_ratio = DevicePixelRatio::new(ratio).expect("a ratio");
        Geometry { size: Size::of_pixels(width, height), device_pixel_ratio }
    }

    #[track_caller]
    fn check(geometry: Geometry, at: (f64, f64), css: Option<(f64, f64)>) {
        let got = geometry.in_viewport(Point::new(at.0, at.1)).ok();
        assert_eq!(got.map(|point| (point.x, point.y)), css);
    }

    #[test]
    fn a_pixel_is_the_css_pixel_it_lies_in_and_never_outside_the_viewport() {
        check(geometry(1280, 800, 1.0), (0.0, 0.0), Some((0.0, 0.0)));
        check(geometry(1280, 800, 1.0), (1279.9, 799.9), Some((1279.0, 799.0)));
        check(geometry(1280, 800, 1.0), (1280.0, 0.0), None);
        check(geometry(1280, 800, 1.0), (-0.1, 0.0), None);
        check(geometry(2560, 1600, 2.0), (2559.0, 1.0), Some((1279.0, 0.0)));
        check(geometry(1920, 1200, 1.5), (2.0, 1199.0), Some((1.0, 799.0)));
        check(geometry(1920, 1200, 1.5), (3.0, 3.0), Some((2.0, 2.0)));
    }

    #[test]
    fn wheel_distances_become_whole_css_pixels_or_are_refused() {
        let twice = geometry(2560, 1600, 2.0);
        assert_eq!(twice.wheel_delta(-30.0, 101.0).ok(), Some((-15, 51)));
        for (dx, dy) in [(0.0, 0.0), (0.4, -0.9), (f64::NAN, 9.0), (9.0, f64::INFINITY)] {
            assert!(twice.wheel_delta(dx, dy).is_err(), "{dx} {dy}");
        }
    }

    #[test]
    fn text_is_split_into_keys_and_what_no_key_types() {
        let keys = |text: &str| Typing::Keys(text.chars().collect());
        let insert = |text: &str| Typing::Insert(text.to_owned());
        let plan = |text: &str| plan_typing(text).ok();
        assert_eq!(plan("a\r\nb\rc\n"), Some(vec![keys("a\u{E006}b\u{E006}c\u{E006}")]));
        assert_eq!(
            plan("a\t\tb\u{E007}"),
            Some(vec![keys("a"), insert("\t\t"), keys("b"), insert("\u{E007}")])
        );
        assert_eq!(plan(""), Some(Vec::new()));
        assert_eq!(plan(&"é".repeat(250)).map(|parts| parts.len()), Some(3));
        assert_eq!(plan("bell\u{7}"), None);
    }

    #[test]
    fn a_click_is_held_by_two_hands_that_keep_time() {
        let at = Point::new(3.0, 4.0);
        let sent = held_click(at, MouseButton::Middle, 2, &[Key::Control, Key::Shift], 800).unwrap();
        let kinds = |source: usize| -> Vec<String> {
            let actions = sent[source]["actions"].as_array().unwrap().iter();
            actions.map(|action| action["type"].as_str().unwrap().to_owned()).collect()
        };
        let [p, down, up] = ["pause", "keyDown", "keyUp"];
        assert_eq!(kinds(0), [p, down, down, p, p, p, p, p, p, up, up]);
        let [to, press, release] = ["pointerMove", "pointerDown", "pointerUp"];
        assert_eq!(kinds(1), [to, p, p, press, p, release, press, p, release, p, p]);
        assert_eq!(sent[1]["actions"][4]["duration"], 800);
        assert!(held_click(at, MouseButton::Left, 1, &[Key::Enter], 0).is_err());
        assert!(held_click(at, MouseButton::Left, 1, &[], 10_001).is_err());
    }

    #[test]
    fn a_drag_begins_close_by_and_ends_on_the_target_twice() {
        let of = |from: (f64, f64), to: (f64, f64)| -> Vec<(i64, i64)> {
            let sent = drag(Point::new(from.0, from.1), Point::new(to.0, to.1));
            let moves = sent[0]["actions"].as_array().unwrap().clone();
            let place = |action: &Value| Some((action["x"].as_f64()? as i64, action["y"].as_f64()? as i64));
            moves.iter().filter_map(place).collect()
        };
        let way = of((0.0, 0.0), (120.0, 240.0));
        assert_eq!((way[0], way[1], way.len()), ((0, 0), (3, 5), 15));
        assert_eq!(way[12..], [(110, 220), (120, 240), (120, 240)]);
        assert!(of((5.0, 5.0), (5.0, 5.0)).iter().all(|at| *at == (5, 5)));
    }

    #[test]
    fn many_keys_are_several_requests_in_order() {
        let sent = keys_in_turn(&[vec![Key::Home], vec![Key::Down; 120]].concat()).unwrap();
        let values: Vec<Vec<String>> = sent
            .iter()
            .map(|sent| {
                let actions = sent[0]["actions"].as_array().unwrap().iter();
                let down = actions.filter(|action| action["type"] == "keyDown");
                down.map(|action| action["value"].as_str().unwrap().to_owned()).collect()
            })
            .collect();
        assert_eq!(values.iter().map(Vec::len).collect::<Vec<_>>(), [100, 21]);
        assert_eq!((&values[0][0][..], &values[1][0][..]), ("\u{E011}", "\u{E015}"));
        assert!(keys_in_turn(&[Key::Function(99)]).is_err());
    }

    #[test]
    fn chords_release_in_reverse_and_unknown_keys_are_refused() {
        let sent = chord(&[Key::Control, Key::Function(12)]).ok();
        let order = sent.map(|sent| sent[0]["actions"].as_array().cloned().unwrap_or_default());
        let step = |kind: &str, value: char| json!({ "type": kind, "value": value });
        assert_eq!(
            order,
            Some(vec![
                step("keyDown", '\u{E009}'),
                step("keyDown", '\u{E03C}'),
                step("keyUp", '\u{E03C}'),
                step("keyUp", '\u{E009}'),
            ])
        );
        for keys in [&[][..], &[Key::Function(0)], &[Key::Function(13)], &[Key::Char('\u{E009}')]] {
            assert!(chord(keys).is_err(), "{keys:?}");
        }
    }
}
