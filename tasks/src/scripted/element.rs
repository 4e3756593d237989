//! Elements of a page: where one is that a click reaches, what is at a point, in what state one is, and what it holds.
//!
//! Invariants: a box is one that the page itself says a click reaches, or there is a reason why there is none; of several
//! elements that fit alike none is taken, wherever they are in the page and its frames.

use std::fmt;

use serde::{Deserialize, Serialize};
use vigorl_geometry::{Point, Rect, Screen, Viewport};
use vigorl_interface::{Driver, DriverError, Screenshot};

use super::ElementPlace;
use super::judge::told;
use super::page::{self, Answer};

/// What is at a point of a page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ElementAt {
    /// `button`, `link`, `textbox`, …; empty if it has none.
    pub role: String,
    /// As assistive software would say it.
    pub name: String,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    /// The only element on view that the words name, if this one does something else.
    pub meant: Option<ElementName>,
    /// Why a click there does nothing that the words ask for: `is disabled`, `is a heading, and no button`, …
    pub idle: Option<String>,
    /// Whether it is an element that acts by its kind.
    #[serde(default)]
    acts: bool,
    /// Whether a control is asked for, or what is written there.
    #[serde(default)]
    is_named: bool,
}

/// How an element is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ElementName {
    /// As of [`ElementAt`].
    pub role: String,
    /// As of [`ElementAt`].
    pub name: String,
}

impl ElementAt {
    /// What is at a point of the screenshot, and whether `words` mean something else; nothing where no page can tell. If it
    /// is to be clicked, something must react to that.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn look(
        driver: &mut dyn Driver,
        screenshot: &Screenshot,
        at: Point<Screen>,
        words: &str,
        is_clicked: bool,
    ) -> Result<Option<Self>, DriverError> {
        let middle = Point::new(at.x.floor() + 0.5, at.y.floor() + 0.5);
        let css = screenshot.viewport_from_screen().apply(middle);
        // A click goes to the whole pixel.
        let pixel = Point::new(css.x.floor(), css.y.floor());
        let words = serde_json::Value::from(words);
        let question = format!("elementAt({{ x: pointX, y: pointY, words: {words} }})");
        let Ok(framed) = told(driver.evaluate_at(pixel, &page::about_point(&question)))? else {
            return Ok(None);
        };
        let Ok(mut element) = serde_json::from_str::<Self>(&framed.said) else { return Ok(None) };
        let bounds = Rect::new(element.left, element.top, element.right, element.bottom);
        let bounds = framed.apply_rect(bounds);
        (element.left, element.top) = (bounds.left, bounds.top);
        (element.right, element.bottom) = (bounds.right, bounds.bottom);
        let is_in_question = is_clicked
            && element.is_named
            && !element.acts
            && element.meant.is_none()
            && element.idle.is_none();
        if is_in_question && told(driver.reacts_at(css))? == Ok(Some(false)) {
            element.idle = Some("is nothing that reacts to a click".to_owned());
        }
        Ok(Some(element))
    }

    /// Its box on the screenshot.
    pub fn bounds(&self, screenshot: &Screenshot) -> Rect<Screen> {
        let css = Rect::<Viewport>::new(self.left, self.top, self.right, self.bottom);
        screenshot.viewport_from_screen().inverse().apply_rect(css)
    }
}

/// What is wanted of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To know where it is.
    Look,
    /// To point there: it must stand still.
    Point,
    /// To act there: it must stand still and be enabled.
    Act,
}

/// What may help, if something is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    /// Nothing.
    #[default]
    Nothing,
    /// Time.
    Wait,
    /// Another place in its pane, or time: something lies over it.
    Uncover,
    /// Scrolling.
    Scroll,
}

/// Why something is not there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Absence {
    /// In words.
    pub reason: String,
    /// What may help.
    #[serde(default)]
    pub cure: Cure,
}

impl Absence {
    /// Nothing helps.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cure: Cure::Nothing }
    }

    /// It may come.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cure: Cure::Wait }
    }
}

/// An element as the page is asked for it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Wanted<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'p str>,
    /// Those of the names on the page that a pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'p str>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    within: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
    /// Within the part that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    /// As a person calls it.
    what: String,
    acts: bool,
    #[serde(skip)]
    asked: Asked,
}

/// Who is asked for an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The page, and the frames that it cannot look into.
    All,
    Page,
    Frames,
}

/// Answers, or why there are none.
type Told = Result<Vec<Answer>, Absence>;

impl<'p> Wanted<'p> {
    fn of(place: &'p ElementPlace, acts: bool) -> Self {
        Self {
            selector: place.selector.as_deref(),
            name: place.name.as_deref(),
            names: None,
            role: place.role.as_deref(),
            within: place.within.as_deref(),
            exact: place.exact,
            nth: place.nth.map(u64::from),
            what: place.to_string(),
            acts,
            asked: Asked::All,
        }
    }

    /// All of those, however many they are.
    pub(super) fn each(
        driver: &mut dyn Driver,
        place: &'p ElementPlace,
    ) -> Result<Result<Self, Absence>, DriverError> {
        let wanted = Self { nth: None, ..Self::of(place, false) };
        wanted.with_names(driver, place.name_matches.as_deref())
    }

    /// The one that is meant, so that it may be asked for: a pattern has become names, and a number counts in the part of
    /// the page that has it.
    pub(super) fn one(
        driver: &mut dyn Driver,
        place: &'p ElementPlace,
        acts: bool,
    ) -> Result<Result<Self, Absence>, DriverError> {
        match Self::of(place, acts).with_names(driver, place.name_matches.as_deref())? {
            Ok(wanted) => wanted.counted(driver),
            Err(absence) => Ok(Err(absence)),
        }
    }

    /// Patterns are matched here, so that all of them mean the same.
    fn with_names(
        mut self,
        driver: &mut dyn Driver,
        pattern: Option<&str>,
    ) -> Result<Result<Self, Absence>, DriverError> {
        let Some(pattern) = pattern else { return Ok(Ok(self)) };
        let pattern = match regex::Regex::new(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return Ok(Err(Absence::lasting(error.to_string()))),
        };
        let role = serde_json::Value::from(self.role);
        let script = page::about_element(&format!("(lookAfresh(), namesOf(ofRole({role})))"));
        let answers = match self.answers(driver, &script)? {
            Ok(answers) => answers,
            Err(absence) => return Ok(Err(absence)),
        };
        let named = |answer: &Answer| Vec::<String>::deserialize(&answer.said).unwrap_or_default();
        let mut names: Vec<String> =
            answers.iter().flat_map(named).filter(|name| pattern.is_match(name)).collect();
        names.sort_unstable();
        names.dedup();
        self.names = Some(names);
        Ok(Ok(self))
    }

    /// The page comes first, then the frames that it cannot look into. Which of several such frames comes first is not
    /// known, so a number that leads into them must lead into the only one that has any.
    fn counted(mut self, driver: &mut dyn Driver) -> Result<Result<Self, Absence>, DriverError> {
        let Some(nth) = self.nth else { return Ok(Ok(self)) };
        let all = Self { nth: None, ..self.clone() };
        let answers = match all.ask(driver, "countOf", ", isShown")? {
            Ok(answers) => answers,
            Err(absence) => return Ok(Err(absence)),
        };
        let [page, frames @ ..] = &answers[..] else { return Ok(Ok(self)) };
        let n_in_page = n_of(page);
        let n_having = frames.iter().filter(|frame| n_of(frame) > 0).count();
        match n_having {
            _ if nth <= n_in_page || n_having == 0 => self.asked = Asked::Page,
            1 => (self.asked, self.nth) = (Asked::Frames, Some(nth - n_in_page)),
            _ => {
                return Ok(Err(Absence::lasting(format!(
                    "the page has {n_in_page} of {self}, and {n_having} frames of other origins have more: \
                     `nth` does not count through several such frames"
                ))));
            }
        }
        Ok(Ok(self))
    }

    pub(super) fn question(&self, function: &str, more: &str) -> String {
        let wanted = serde_json::to_string(self).unwrap_or_default();
        let question = format!("{function}({wanted}{more})");
        // Texts are only read where they are needed.
        match self.within.is_some() || more.contains("\"text\"") {
            true => page::about_element_and_texts(&question),
            false => page::about_element(&question),
        }
    }

    /// Asks for it; `more` are further arguments.
    pub(super) fn ask(
        &self,
        driver: &mut dyn Driver,
        function: &str,
        more: &str,
    ) -> Result<Told, DriverError> {
        self.answers(driver, &self.question(function, more))
    }

    pub(super) fn answers(&self, driver: &mut dyn Driver, script: &str) -> Result<Told, DriverError> {
        let told = match self.asked {
            Asked::All => match page::ask_if_any(driver, script)? {
                Some(told) => told,
                None => {
                    let reason = "there is no page that could be asked for an element";
                    return Ok(Err(Absence::lasting(reason)));
                }
            },
            part => page::ask_part(driver, script, part == Asked::Frames)?,
        };
        // The page may just be left for another one.
        let late =
            |why: String| Absence::for_now(format!("the page does not say where an element is: {why}"));
        Ok(told.map_err(late))
    }

    /// The one answer that counts: that of the only part of the page that has the element, or of the first one if anything
    /// that fits will do.
    pub(super) fn decide(&self, mut answers: Vec<Answer>) -> Result<Answer, Absence> {
        let n: u64 = answers.iter().map(n_of).sum();
        if n > 1 && self.selector.is_none() && self.nth.is_none() {
            return Err(Absence::lasting(self.which_of(&answers, n)));
        }
        let is_missing = |answer: &Answer| answer.said["is_missing"] == true;
        let having = answers.iter().position(|answer| n_of(answer) > 0);
        let hidden = || answers.iter().position(|answer| !is_missing(answer));
        let idx = having.or_else(hidden).unwrap_or_default();
        if idx < answers.len() {
            return Ok(answers.swap_remove(idx));
        }
        Err(Absence::for_now("the page gave no answer"))
    }

    /// That there are several, which these are, and how a task says which one is meant.
    fn which_of(&self, answers: &[Answer], n: u64) -> String {
        let told = |answer: &Answer| -> Vec<String> {
            let candidates = Vec::<Described>::deserialize(&answer.said["candidates"]).unwrap_or_default();
            candidates.iter().map(|candidate| candidate.told(answer)).collect()
        };
        let all: Vec<String> = answers.iter().flat_map(told).take(MOST_TOLD).collect();
        let mut list = all.join(", ");
        let n_told = all.len() as u64;
        if n_told < n && n_told > 0 {
            list.push_str(&format!(" and {} more", n - n_told));
        }
        let colon = if list.is_empty() { "" } else { ": " };
        format!(
            "the page has {n} times {self}{colon}{list}; `nth` says which one, or `in` with a text of its row or box"
        )
    }

    /// Whether a click at a point comes to it: what is around its frame can lie over it.
    fn receives(&self, driver: &mut dyn Driver, at: Point<Viewport>) -> Result<bool, DriverError> {
        let at = Point::new(at.x.floor(), at.y.floor());
        let script = self.question("isReceived", ", pointX, pointY");
        let said = told(driver.evaluate_at(at, &script))?;
        let answer =
            said.ok().and_then(|framed| serde_json::from_str::<serde_json::Value>(&framed.said).ok());
        Ok(answer.is_some_and(|answer| answer["answer"] == true))
    }
}

/// How many of them an answer says there are.
pub(super) fn n_of(answer: &Answer) -> u64 {
    answer.said["n"].as_u64().unwrap_or_default()
}

/// Of several elements that fit, this many are described.
const MOST_TOLD: usize = 5;

/// An element as the page, or a frame in it, tells which one it is.
#[derive(Deserialize)]
struct Described {
    role: String,
    name: String,
    /// The text that its row of a list or a table begins with.
    row: Option<String>,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Described {
    /// Its box in the viewport of whoever tells it.
    fn bounds(&self) -> Rect<Viewport> {
        Rect::new(self.left, self.top, self.right, self.bottom)
    }

    /// For a person who is to choose among several, of which `answer` tells this one.
    fn told(&self, answer: &Answer) -> String {
        let role = if self.role.is_empty() { "element" } else { &self.role };
        let at = answer.in_page(self.bounds()).center();
        let row = self.row.as_ref().map(|row| format!(" in the row `{row}`")).unwrap_or_default();
        format!("{role} `{}`{row} at ({:.0}, {:.0})", self.name, at.x, at.y)
    }
}

/// What the page says of an element.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Box { left: f64, top: f64, right: f64, bottom: f64 },
    None(Absence),
}

/// Asks the page for the part of an element that a click reaches.
pub(super) fn located(
    driver: &mut dyn Driver,
    screenshot: &Screenshot,
    place: &ElementPlace,
    purpose: Purpose,
) -> Result<Result<Rect<Screen>, Absence>, DriverError> {
    let wanted = match Wanted::one(driver, place, purpose == Purpose::Act)? {
        Ok(wanted) => wanted,
        Err(absence) => return Ok(Err(absence)),
    };
    let function = if purpose == Purpose::Look { "locate" } else { "aimAt" };
    let decided = match wanted.ask(driver, function, "")?.and_then(|answers| wanted.decide(answers)) {
        Ok(answer) => answer,
        Err(absence) => return Ok(Err(absence)),
    };
    let part = match Element::deserialize(&decided.said) {
        Ok(Element::Box { left, top, right, bottom }) => decided.in_page(Rect::new(left, top, right, bottom)),
        Ok(Element::None(absence)) => return Ok(Err(absence)),
        Err(_) => return Ok(Err(Absence::for_now("the page gave no box"))),
    };
    if decided.is_of_frame() && !wanted.receives(driver, part.center())? {
        let reason = format!("{wanted} is covered by something around its frame");
        return Ok(Err(Absence { reason, cure: Cure::Wait }));
    }
    Ok(Ok(screenshot.viewport_from_screen().inverse().apply_rect(part)))
}

/// Scrolls an element into view, as far as a person could scroll; whether anything moved.
pub(super) fn bring_into_view(driver: &mut dyn Driver, place: &ElementPlace) -> Result<bool, DriverError> {
    let Ok(wanted) = Wanted::one(driver, place, false)? else { return Ok(false) };
    let answers = wanted.ask(driver, "bringIntoView", "")?;
    Ok(answers.is_ok_and(|answers| answers.iter().any(|answer| answer.said == true)))
}

/// The text of an element, or what stands in a field; why there is none otherwise.
pub(super) fn text_of(
    driver: &mut dyn Driver,
    place: &ElementPlace,
) -> Result<Result<String, String>, DriverError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Read { text: String },
        None { reason: String },
    }
    let wanted = match Wanted::one(driver, place, false)? {
        Ok(wanted) => wanted,
        Err(absence) => return Ok(Err(absence.reason)),
    };
    let decided = wanted.ask(driver, "textOf", "")?.and_then(|answers| wanted.decide(answers));
    Ok(decided.map_err(|absence| absence.reason).and_then(|answer| match Text::deserialize(&answer.said) {
        Ok(Text::Read { text }) => Ok(text),
        Ok(Text::None { reason }) => Err(reason),
        Err(_) => Err(format!("the page answered {}", answer.said)),
    }))
}

/// As the page calls it.
impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// A thing of a page that its name tells from all others, or its name and its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Thing {
    /// `button`, `link`, `textbox`, …
    pub role: String,
    /// As assistive software would say it; nothing where only the row is known.
    pub name: String,
    /// The text that its row of a list or a table begins with, where its name alone does not tell.
    pub row: Option<String>,
    /// The part of it that is on view.
    pub rect: Rect<Screen>,
}

/// All things of the page that are on view, can be clicked, and have a role and a name that no other one has, or none in
/// another row; none where there is no page.
///
/// # Errors
/// Only if the world failed.
pub fn things(driver: &mut dyn Driver, screenshot: &Screenshot) -> Result<Vec<Thing>, DriverError> {
    let Ok(answers) = page::ask(driver, &page::about_element("things()"))? else { return Ok(Vec::new()) };
    // Those of other frames may be called alike: none of them is told by its name alone.
    let page = answers.into_iter().next().map(|answer| answer.said).unwrap_or_default();
    let described: Vec<Described> = serde_json::from_value(page).unwrap_or_default();
    let screen_from_viewport = screenshot.viewport_from_screen().inverse();
    let thing = |one: Described| {
        let rect = screen_from_viewport.apply_rect(one.bounds());
        Thing { role: one.role, name: one.name, row: one.row, rect }
    };
    Ok(described.into_iter().map(thing).collect())
}

#[cfg(test)]
pub(super) mod testing {
    //! A world without a page, for tests of what is said where no page can be asked.

    use std::time::Duration;

    use vigorl_geometry::DevicePixelRatio;
    use vigorl_interface::{Action, PageState, Settled};

    use super::*;

    /// A screen without a page, such as a desktop.
    pub(in crate::scripted) struct Pageless;

    impl Driver for Pageless {
        fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
            Ok(screenshot())
        }

        fn act(&mut self, _action: &Action) -> Result<(), DriverError> {
            Ok(())
        }

        fn settle(&mut self, _cap: Duration) -> Result<Settled, DriverError> {
            Ok(Settled::Quiet { after: Duration::ZERO })
        }

        fn page_state(&mut self) -> Result<PageState, DriverError> {
            Ok(PageState::default())
        }
    }

    /// What it shows: nothing.
    pub(in crate::scripted) fn screenshot() -> Screenshot {
        let (pixels, device_pixel_ratio) = (image::RgbImage::new(20, 20).into(), DevicePixelRatio::ONE);
        Screenshot { pixels, device_pixel_ratio }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Pageless, screenshot};
    use super::*;

    #[test]
    fn where_there_is_no_page_nobody_waits_for_an_element() {
        let pattern = ElementPlace { name_matches: Some("a".to_owned()), ..ElementPlace::default() };
        let second = ElementPlace { nth: Some(2), ..ElementPlace::selector("#a") };
        for place in [ElementPlace::selector("#a"), ElementPlace::named("a", None), pattern, second] {
            for purpose in [Purpose::Look, Purpose::Point, Purpose::Act] {
                let absence = located(&mut Pageless, &screenshot(), &place, purpose).unwrap().unwrap_err();
                assert_eq!(absence.cure, Cure::Nothing, "{absence:?}");
                assert!(absence.reason.contains("no page"), "{absence:?}");
            }
        }
    }
}
