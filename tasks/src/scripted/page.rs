//! The scripts that ask a page what a person sees of it.
//!
//! Invariant: what is seen, what a click reaches and how it is called is defined once, in `reach.js` of the web driver and
//! in `names.js`; every question is asked with them.

use serde::Deserialize;
use serde_json::Value;
use vigorl_geometry::{Rect, Viewport};
use vigorl_interface::{Driver, DriverError, Framed};

use super::judge::told;

/// What a person sees and a click reaches.
const REACH: &str = include_str!("../../../drivers/webdriver/src/reach.js");
const NAMES: &str = include_str!("names.js");
const TARGET: &str = include_str!("target.js");
const NARROW: &str = include_str!("narrow.js");
const SHOWN: &str = concat!(include_str!("ink.js"), include_str!("shown.js"));

/// What a script of the page itself needs to tell elements by the texts around them as well.
pub(super) fn definitions_with_texts() -> String {
    format!("{}{SHOWN}", definitions())
}

/// A script that answers a question about an element, such as `locate({…})`.
pub(super) fn about_element(question: &str) -> String {
    answering(&definitions(), question)
}

/// The same where texts around it, or in it, are read as well.
pub(super) fn about_element_and_texts(question: &str) -> String {
    answering(&definitions_with_texts(), question)
}

/// Besides the answer it is said how many frames would have to be asked as well.
fn answering(definitions: &str, question: &str) -> String {
    const FRAMES: &str = "foreign: all('iframe, frame').filter(isForeign).length";
    format!("{definitions}\nreturn Promise.resolve({question}).then((answer) => ({{ answer, {FRAMES} }}));")
}

/// A script that answers a question about what is at a point; it is told by itself.
pub(super) fn about_point(question: &str) -> String {
    format!("{}{}\nreturn {question};", definitions(), include_str!("veto.js"))
}

/// A script that says whether a text can be read.
pub(super) fn about_text(text: &str) -> String {
    let text = serde_json::Value::from(text);
    answering(&format!("{REACH}{SHOWN}"), &format!("isRead({text})"))
}

/// A script that gives the lines of text that can be read.
pub(super) fn of_lines() -> String {
    answering(&format!("{REACH}{SHOWN}"), "linesRead()")
}

/// What the page, or a frame in it, answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer.
    pub(super) said: Value,
    frame: Option<Framed>,
}

impl Answer {
    /// A box of the frame in the viewport of the page.
    pub(super) fn in_page(&self, part: Rect<Viewport>) -> Rect<Viewport> {
        self.frame.as_ref().map_or(part, |frame| frame.apply_rect(part))
    }

    /// Whether it is that of a frame that the page cannot look into.
    pub(super) fn is_of_frame(&self) -> bool {
        self.frame.is_some()
    }
}

#[derive(Deserialize)]
struct Said {
    answer: Value,
    foreign: usize,
}

/// Answers, or why there are none.
type Told = Result<Vec<Answer>, String>;

/// Asks the page, and then the frames that it cannot look into; why it does not answer otherwise. The page's own answer comes
/// first.
pub(super) fn ask(driver: &mut dyn Driver, script: &str) -> Result<Told, DriverError> {
    let said = told(driver.evaluate(script))?;
    with_frames(driver, script, said)
}

/// The same where there is a page; nothing where the driver has none, as on a desktop.
pub(super) fn ask_if_any(driver: &mut dyn Driver, script: &str) -> Result<Option<Told>, DriverError> {
    match driver.evaluate(script) {
        Err(DriverError::Unsupported { .. }) => Ok(None),
        answer => with_frames(driver, script, told(answer)?).map(Some),
    }
}

/// Asks the page alone, or nothing but the frames that it cannot look into.
pub(super) fn ask_part(driver: &mut dyn Driver, script: &str, of_frames: bool) -> Result<Told, DriverError> {
    if of_frames {
        return Ok(told(driver.evaluate_in_frames(script))?
            .map(|framed| framed.into_iter().filter_map(answer_of).collect()));
    }
    let said = told(driver.evaluate(script))?;
    Ok(said.and_then(|said| Ok(vec![Answer { said: of_page(&said)?.answer, frame: None }])))
}

fn of_page(said: &str) -> Result<Said, String> {
    serde_json::from_str(said).map_err(|_| format!("the page answered {said}"))
}

/// Nothing if it is none, such as that of a frame that is just left.
fn answer_of(frame: Framed) -> Option<Answer> {
    let Said { answer, .. } = serde_json::from_str(&frame.said).ok()?;
    Some(Answer { said: answer, frame: Some(frame) })
}

fn with_frames(
    driver: &mut dyn Driver,
    script: &str,
    said: Result<String, String>,
) -> Result<Told, DriverError> {
    let Said { answer, foreign } = match said.and_then(|said| of_page(&said)) {
        Ok(said) => said,
        Err(why) => return Ok(Err(why)),
    };
    let mut answers = vec![Answer { said: answer, frame: None }];
    if foreign == 0 {
        return Ok(Ok(answers));
    }
    let framed = match told(driver.evaluate_in_frames(script))? {
        Ok(framed) => framed,
        Err(why) => return Ok(Err(why)),
    };
    answers.extend(framed.into_iter().filter_map(answer_of));
    Ok(Ok(answers))
}

/// What a script of the page itself needs to name and find elements.
pub(super) fn definitions() -> String {
    format!("{REACH}{NAMES}{TARGET}{NARROW}")
}
