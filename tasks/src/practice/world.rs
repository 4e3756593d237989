//! Practice pages as an environment: each seed is a page, and the page judges the first click on it.
//!
//! Invariant: the verdict is the page's own; here its words are only translated.

use std::collections::BTreeMap;
use std::fmt;

use vigorl_geometry::{DevicePixelRatio, Rect, Screen};
use vigorl_interface::{Action, Driver};

use super::{PageSpec, PracticeEnv, PracticePage, Reason, Split, Widget};
use crate::Verdict;
use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, observe, perform,
};

/// Practice pages in a driver's browser.
pub struct PracticeWorld<'d> {
    driver: &'d mut dyn Driver,
    spec: PageSpec,
    device_pixel_ratio: DevicePixelRatio,
    labels: BTreeMap<String, String>,
    page: Option<PracticePage>,
}

impl fmt::Debug for PracticeWorld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PracticeWorld").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl<'d> PracticeWorld<'d> {
    /// Pages like `spec`, of which a reset chooses the seed; `device_pixel_ratio` is the driver's. `labels` are added to
    /// those of each episode.
    pub fn new(
        driver: &'d mut dyn Driver,
        spec: PageSpec,
        device_pixel_ratio: DevicePixelRatio,
        labels: &[(&str, &str)],
    ) -> Self {
        let owned = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
        Self { driver, spec, device_pixel_ratio, labels: labels.iter().map(owned).collect(), page: None }
    }

    /// From the next reset on, pages are of this split.
    pub(crate) fn set_split(&mut self, split: Split) {
        self.spec.split = split;
    }

    /// The page that is shown.
    pub fn page(&self) -> Option<&PracticePage> {
        self.page.as_ref()
    }
}

/// The widget that a page's instruction names.
fn target_of(page: &PracticePage) -> &Widget {
    &page.widgets[page.tasks[0].target]
}

impl Environment for PracticeWorld<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.spec = self.spec.with_seed(seed);
        let shown = PracticeEnv::new(self.driver).reset(&self.spec)?;
        let target = target_of(&shown.page);
        let screen_from_viewport = self.device_pixel_ratio.viewport_from_screen().inverse();
        let bounds: Rect<Screen> = screen_from_viewport.apply_rect(target.bounds.in_viewport());
        let size = shown.page.tasks[0].size_class.label();
        let mut labels = self.labels.clone();
        labels.insert("kind".to_owned(), target.kind.word().to_owned());
        labels.insert("size".to_owned(), size.to_owned());
        self.page = Some(shown.page);
        Ok(Start { goal: shown.instruction, labels, seed: Some(seed), max_steps: None, target: Some(bounds) })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(self.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        Ok(perform(self.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let said = PracticeEnv::new(self.driver).outcome()?;
        let detail = match said.reason {
            Reason::Hit => None,
            Reason::Undecided => Some("the page saw no click".to_owned()),
            Reason::WrongButton => Some("the page saw another button".to_owned()),
            Reason::Miss => Some(match said.clicked {
                Some(index) => format!("the page saw a click on its widget {}", index + 1),
                None => "the page saw a click beside every widget".to_owned(),
            }),
        };
        Ok(Verdict::of(said.reason == Reason::Hit, said.done, detail))
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self.driver)
    }
}
