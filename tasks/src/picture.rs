//! A world that is only a picture: one screenshot, one instruction, and the boxes of which a click must hit one.
//! Where there is no box, what is asked for is not there, and nothing must be clicked.
//!
//! Invariant: the first click decides, as on a practice page; the picture never changes.

use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Action, PageState, Screenshot};

use crate::Verdict;
use crate::environment::{Allowance, Environment, Failure, Observation, Performed, Senses, Start};

/// One labelled screenshot.
#[derive(Debug, Clone)]
pub struct PictureWorld {
    /// What is shown.
    pub screenshot: Screenshot,
    /// What is to be clicked.
    pub instruction: String,
    /// Where it is, as boxes whose edges belong to them; none if it is not there.
    pub targets: Vec<Rect<Screen>>,
    clicked: Option<Point<Screen>>,
}

impl PictureWorld {
    /// A world in which `instruction` names what each of the `targets` holds.
    pub fn new(screenshot: Screenshot, instruction: impl Into<String>, targets: Vec<Rect<Screen>>) -> Self {
        Self { screenshot, instruction: instruction.into(), targets, clicked: None }
    }
}

impl Environment for PictureWorld {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.clicked = None;
        Ok(Start {
            goal: self.instruction.clone(),
            seed: Some(seed),
            target: self.targets.first().copied(),
            ..Start::default()
        })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        let screenshot = Some(self.screenshot.clone());
        Ok(Observation { screenshot, page: PageState::default(), tabs: Vec::new() })
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let Action::Click { at, .. } = act else {
            return Ok(Performed::Refused(format!(
                "a picture can be clicked, nothing else: not {}",
                act.kind().as_str()
            )));
        };
        if !self.screenshot.size().contains(*at) {
            return Ok(Performed::Refused(format!("({}, {}) is outside the picture", at.x, at.y)));
        }
        self.clicked.get_or_insert(*at);
        Ok(Performed::Done)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        Ok(Verdict::of_click(self.clicked, &self.targets))
    }
}
