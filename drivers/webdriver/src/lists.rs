//! Options of native lists, chosen as a person does: by a press of the mouse on the list, or on the option where the page shows
//! all of them, and in the list that opens by keys, which go to its window and not to the page.
//!
//! Invariants: what is at the point is what is changed, or the request is refused and nothing is chosen; the browser itself tells
//! the page of the press and of the choice, in its own order. Only where the list opens in a window of the system's, a script
//! tells it, and that is said.
//!
//! No screenshot of a page shows the list that opens, so the mouse has nowhere to go. The last key goes down and not up: the list
//! has closed by then, and the page would hear of a key that nobody pressed on it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::{DriverError, Framed, Key, MouseButton, Note, wait_until};

use crate::WebDriver;
use crate::frames::{REACH, in_frame_at};
use crate::wire;

const LISTS: &str = include_str!("lists.js");
/// How long a browser may take to tell the page what was chosen.
const LATE: Duration = Duration::from_millis(500);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Adds an option to those that are chosen.
const ADDS: Key = if cfg!(target_os = "macos") { Key::Meta } else { Key::Control };

impl WebDriver {
    /// Chooses the option with these words; what there is to say of that.
    pub(crate) fn select(&mut self, at: Point<Viewport>, words: &str) -> Result<Note, DriverError> {
        let (said, placed) = self.ask_list(at, "howToChoose(x, y, words)", words)?;
        let place = || if said["at"].is_null() { Ok(at) } else { place_of(&said, placed) };
        match said["how"].as_str() {
            Some("chosen") => return Ok(Note::there()),
            Some("script") => return self.choose_by_script(at, words),
            Some("press") if said["adds"] == true => {
                self.perform("select", wire::held_click(place()?, MouseButton::Left, 1, &[ADDS], 0)?)?;
            }
            Some("press") => self.perform("select", wire::click(place()?, MouseButton::Left, 1))?,
            Some("open") => {
                self.perform("select", wire::click(place()?, MouseButton::Left, 1))?;
                self.choose_in_open_list(at, words)?;
            }
            Some("opened") => self.choose_in_open_list(at, words)?,
            _ => return Err(no_answer()),
        }
        self.look_at_choice(at, words)
    }

    /// Asks with the functions of `lists.js`, at a point `x`, `y` of its frame; the second value says how that is placed. A
    /// reason is a refusal.
    fn ask_list(
        &self,
        at: Point<Viewport>,
        question: &str,
        words: &str,
    ) -> Result<(Value, [f64; 6]), DriverError> {
        let script = format!("{REACH}{LISTS}\nconst [x, y, words] = arguments;\nreturn {question};");
        let (said, placed) = in_frame_at(self.session(), at, |session, at, placed| {
            let arguments = vec![json!(at.x), json!(at.y), json!(words)];
            Ok((session.script("select", &script, arguments)?, placed))
        })?;
        if said["is_open"] == true && said["reason"].is_string() {
            self.shut()?;
        }
        match &said["reason"] {
            Value::String(reason) => Err(refused(reason.as_str())),
            _ => Ok((said, placed)),
        }
    }

    /// Goes to the option in a list that is open, and takes it.
    fn choose_in_open_list(&self, at: Point<Viewport>, words: &str) -> Result<(), DriverError> {
        let (said, _) = self.ask_list(at, "inOpenList(words)", words).map_err(|error| match error {
            DriverError::DialogOpen { text } => {
                refused(format!("a dialog opened before the list did: {text}"))
            }
            error => error,
        })?;
        let [Some(idx), Some(n)] = [&said["idx"], &said["n"]].map(Value::as_u64) else {
            return Err(no_answer());
        };
        for keys in wire::keys_in_turn(&way_to(idx, n))? {
            self.perform("select", keys)?;
        }
        self.last_key("Enter", 13)
    }

    /// Presses the key that closes the list, and does not release it.
    fn last_key(&self, name: &str, code: u8) -> Result<(), DriverError> {
        let key = json!({ "type": "rawKeyDown", "windowsVirtualKeyCode": code, "key": name, "code": name });
        self.session.devtools("select", "Input.dispatchKeyEvent", key).map(drop)
    }

    /// Looks at what was chosen. Behind a dialog, or on another page, that is left to what is seen.
    fn look_at_choice(&self, at: Point<Viewport>, words: &str) -> Result<Note, DriverError> {
        let mut is_open = false;
        let note = wait_until(Some(Instant::now() + LATE), || -> Result<_, DriverError> {
            let said = match self.ask_list(at, "whatWasChosen()", words) {
                Ok((said, _)) => said,
                Err(DriverError::DialogOpen { .. }) => return Ok(ControlFlow::Break(Note::default())),
                Err(error) => return Err(error),
            };
            is_open = said["is_open"] == true;
            Ok(match (&said["is_left"], &said["is_chosen"], &said["is_there"]) {
                (Value::Bool(true), ..) => ControlFlow::Break(Note::default()),
                (_, Value::Bool(true), Value::Bool(true)) => ControlFlow::Break(Note::there()),
                // The page has made something else of its list.
                (_, Value::Bool(true), _) => ControlFlow::Break(Note::default()),
                _ => ControlFlow::Continue(LOOK_AGAIN),
            })
        })?;
        if is_open && note.is_none() {
            self.shut()?;
        }
        note.ok_or_else(|| refused("the list did not take the option"))
    }

    /// Closes a list that is open, as it was.
    fn shut(&self) -> Result<(), DriverError> {
        self.last_key("Escape", 27)
    }

    fn choose_by_script(&self, at: Point<Viewport>, words: &str) -> Result<Note, DriverError> {
        match self.ask_list(at, "chooseByScript()", words) {
            Ok((said, _)) => {
                let note = if said["is_there"] == true { Note::there() } else { Note::default() };
                Ok(note.with("chosen by a script and not by a press: the list opens outside of the browser"))
            }
            Err(DriverError::DialogOpen { .. }) => Ok(Note::default()),
            Err(error) => Err(error),
        }
    }
}

/// Where the page says that something is to be pressed, in the viewport of the page around all frames.
fn place_of(said: &Value, placed: [f64; 6]) -> Result<Point<Viewport>, DriverError> {
    let [Some(x), Some(y)] = [&said["at"][0], &said["at"][1]].map(Value::as_f64) else {
        return Err(no_answer());
    };
    // In the middle of the pixel: a frame may be placed between two.
    let at = Framed { said: String::new(), placed }.apply(Point::new(x.floor() + 0.5, y.floor() + 0.5));
    Ok(Point::new(at.x.floor(), at.y.floor()))
}

/// The keys from one end of an open list, the nearer one, to its option of this number, from 0.
fn way_to(idx: u64, n: u64) -> Vec<Key> {
    let from_end = n.saturating_sub(idx + 1);
    let (end, step, n_steps) =
        if idx <= from_end { (Key::Home, Key::Down, idx) } else { (Key::End, Key::Up, from_end) };
    std::iter::once(end).chain((0..n_steps).map(|_| step)).collect()
}

fn no_answer() -> DriverError {
    refused("the page gave no answer")
}

fn refused(detail: impl Into<String>) -> DriverError {
    DriverError::Refused { request: "select", detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_an_option_begins_at_the_nearer_end() {
        let way = |idx, n| way_to(idx, n);
        assert_eq!(way(0, 1), [Key::Home]);
        assert_eq!(way(2, 6), [Key::Home, Key::Down, Key::Down]);
        assert_eq!(way(4, 6), [Key::End, Key::Up]);
        assert_eq!(way(5, 6), [Key::End]);
        assert_eq!(way(40, 100).len(), 41);
        assert_eq!(way(60, 100).len(), 40);
    }

    #[test]
    fn what_is_pressed_in_a_frame_is_a_pixel_of_the_page() {
        let said = json!({ "at": [20, 30] });
        let at = |placed| place_of(&said, placed).map(|at| (at.x, at.y)).ok();
        assert_eq!(at([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]), Some((20.0, 30.0)));
        assert_eq!(at([0.5, 0.0, 0.0, 0.5, 10.0, 10.0]), Some((20.0, 25.0)));
        assert!(place_of(&json!({}), [1.0; 6]).is_err());
    }
}
