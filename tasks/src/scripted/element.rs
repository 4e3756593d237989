//! Elements of a page: where one is that a click reaches, what is at a point, and in what state one is.
//!
//! Invariant: a box is one that the page itself says a click reaches, or there is a reason why there is none.

use std::fmt;

use serde::{Deserialize, Serialize};
use vigorl_geometry::{Point, Rect, Screen, Viewport};
use vigorl_interface::{Driver, DriverError, Screenshot};

use super::judge::{told, truth_of};
use super::page::{self, Answer};
use super::{ElementClause, Place};

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
#[derive(Debug, Serialize)]
pub(super) struct Wanted<'p> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'p str>,
    acts: bool,
}

impl<'p> Wanted<'p> {
    /// The element of a place; nothing if it is none.
    pub(super) fn of(place: &'p Place, purpose: Purpose) -> Option<Self> {
        let acts = purpose == Purpose::Act;
        match place {
            Place::Selector(selector) => {
                Some(Self { selector: Some(selector), name: None, role: None, acts })
            }
            Place::Named { name, role } => {
                Some(Self { selector: None, name: Some(name), role: role.as_deref(), acts })
            }
            Place::Picture { .. } | Place::At(_) | Place::Text(_) => None,
        }
    }

    fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn question(&self, function: &str) -> String {
        page::about_element(&format!("{function}({})", self.written()))
    }

    pub(super) fn bring_into_view(&self, driver: &mut dyn Driver) -> Result<bool, DriverError> {
        let answers = page::ask(driver, &self.question("bringIntoView"))?;
        Ok(answers.is_ok_and(|answers| answers.iter().any(|answer| answer.said == true)))
    }

    /// The one answer that counts: of the page and its frames, the only one that has the element, or the first by a selector.
    fn decide(&self, answers: Vec<Answer>) -> Result<Option<Answer>, Absence> {
        let is_missing = |answer: &Answer| answer.said["is_missing"] == true;
        let n_having = answers.iter().filter(|answer| !is_missing(answer)).count();
        if let (true, Some(name)) = (n_having > 1, self.name) {
            let what = self.role.unwrap_or("element");
            return Err(Absence::lasting(format!("the page has {n_having} times {what} named `{name}`")));
        }
        let mut answers = answers;
        let nth = answers.iter().position(|answer| !is_missing(answer)).unwrap_or_default();
        Ok((nth < answers.len()).then(|| answers.swap_remove(nth)))
    }

    /// Whether a click at a point comes to it: what is around its frame can lie over it.
    fn receives(&self, driver: &mut dyn Driver, at: Point<Viewport>) -> Result<bool, DriverError> {
        let at = Point::new(at.x.floor(), at.y.floor());
        let question = format!("isReceived({}, pointX, pointY)", self.written());
        let said = told(driver.evaluate_at(at, &page::about_element(&question)))?;
        let answer =
            said.ok().and_then(|framed| serde_json::from_str::<serde_json::Value>(&framed.said).ok());
        Ok(answer.is_some_and(|answer| answer["answer"] == true))
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
    wanted: &Wanted<'_>,
    purpose: Purpose,
) -> Result<Result<Rect<Screen>, Absence>, DriverError> {
    let function = if purpose == Purpose::Look { "locate" } else { "aimAt" };
    let Some(answers) = page::ask_if_any(driver, &wanted.question(function))? else {
        return Ok(Err(Absence::lasting("there is no page that could be asked for an element")));
    };
    let decided = match answers.map(|answers| wanted.decide(answers)) {
        Ok(Ok(Some(answer))) => answer,
        Ok(Err(absence)) => return Ok(Err(absence)),
        Ok(Ok(None)) => return Ok(Err(Absence::for_now("the page gave no answer"))),
        // The page may just be left for another one.
        Err(why) => {
            return Ok(Err(Absence::for_now(format!("the page does not say where an element is: {why}"))));
        }
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

/// As the page calls it.
impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.selector, self.name) {
            (Some(selector), _) => write!(f, "`{selector}`"),
            (None, name) => {
                write!(f, "{} named `{}`", self.role.unwrap_or("element"), name.unwrap_or_default())
            }
        }
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
    #[derive(Deserialize)]
    struct Said {
        role: String,
        name: String,
        row: Option<String>,
        left: f64,
        top: f64,
        right: f64,
        bottom: f64,
    }
    let Ok(answers) = page::ask(driver, &page::about_element("things()"))? else { return Ok(Vec::new()) };
    // Those of other frames may be called alike: none of them is told by its name alone.
    let page = answers.into_iter().next().map(|answer| answer.said).unwrap_or_default();
    let said: Vec<Said> = serde_json::from_value(page).unwrap_or_default();
    let screen_from_viewport = screenshot.viewport_from_screen().inverse();
    let thing = |Said { role, name, row, left, top, right, bottom }| Thing {
        role,
        name,
        row,
        rect: screen_from_viewport.apply_rect(Rect::<Viewport>::new(left, top, right, bottom)),
    };
    Ok(said.into_iter().map(thing).collect())
}

impl ElementClause {
    /// Whether it holds on the page or in a frame of it; or why nobody can tell.
    pub(super) fn holds(&self, driver: &mut dyn Driver) -> Result<Result<bool, String>, DriverError> {
        let asked = serde_json::to_string(self).unwrap_or_default();
        let answers = page::ask(driver, &page::about_element(&format!("hasState({asked})")))?;
        Ok(answers.and_then(|answers| {
            let has_it = |answer: &&Answer| answer.said["n"].as_u64().is_some_and(|n| n > 0);
            let told = answers.iter().find(has_it).or(answers.first());
            truth_of(told.map_or(&serde_json::Value::Null, |answer| &answer.said["holds"]))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vigorl_geometry::DevicePixelRatio;
    use vigorl_interface::{Action, PageState, Settled};

    use super::*;

    /// A screen without a page, such as a desktop.
    struct Pageless;

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

    fn screenshot() -> Screenshot {
        let (pixels, device_pixel_ratio) = (image::RgbImage::new(20, 20).into(), DevicePixelRatio::ONE);
        Screenshot { pixels, device_pixel_ratio }
    }

    #[test]
    fn where_there_is_no_page_nobody_waits_for_an_element() {
        for place in [Place::Selector("#a".to_owned()), Place::Named { name: "a".to_owned(), role: None }] {
            for purpose in [Purpose::Look, Purpose::Point, Purpose::Act] {
                let wanted = Wanted::of(&place, purpose).unwrap();
                let absence = located(&mut Pageless, &screenshot(), &wanted, purpose).unwrap().unwrap_err();
                assert_eq!(absence.cure, Cure::Nothing, "{absence:?}");
                assert!(absence.reason.contains("no page"), "{absence:?}");
            }
        }
    }
}
