//! Practice pages as a source of episodes.

use vigorl_geometry::{Size, Viewport};

use super::{Part, Source, Stage};
use crate::Verdict;
use crate::environment::{Allowance, Environment, Failure, Observation, Performed, Senses, Start};
use crate::practice::{PageSpec, PracticeWorld, Split};

/// Generated pages like one of them; what is held out shows looks, places and words that training pages do not.
#[derive(Debug, Clone)]
pub struct PracticeSource {
    name: String,
    spec: PageSpec,
}

impl PracticeSource {
    /// Pages like `spec`, whose seed and split are not used.
    pub fn new(name: impl Into<String>, spec: PageSpec) -> Self {
        Self { name: name.into(), spec }
    }
}

impl Source for PracticeSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        let canvas = self.spec.canvas;
        format!(
            "generated pages of {}x{} CSS pixels, of which one widget is asked for",
            canvas.width, canvas.height
        )
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        Some(Size::of_pixels(self.spec.canvas.width, self.spec.canvas.height))
    }

    fn seed(&self, part: Part, number: u64) -> u64 {
        part.seed(number)
    }

    fn world<'w>(&'w self, stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        let driver = stage.driver.ok_or("a practice page needs a browser")?;
        Ok(Box::new(BySplit { pages: PracticeWorld::new(driver, self.spec, stage.device_pixel_ratio, &[]) }))
    }
}

/// Pages whose split is that of their seed.
struct BySplit<'d> {
    pages: PracticeWorld<'d>,
}

impl Environment for BySplit<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.pages.set_split(match Part::of_seed(seed).0 {
            Part::Train => Split::Train,
            Part::HeldOut => Split::HeldOut,
        });
        // The first click decides.
        Ok(Start { max_steps: Some(1), ..self.pages.reset(seed)? })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        self.pages.observe()
    }

    fn perform(&mut self, act: &vigorl_interface::Action) -> Result<Performed, Failure> {
        self.pages.perform(act)
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.pages.judge(answer, senses, allowance)
    }

    fn driver(&mut self) -> Option<&mut dyn vigorl_interface::Driver> {
        self.pages.driver()
    }
}
