//! A task of MiniWoB++ as a source of episodes: learning uses seeds that no protocol measures with.

use std::path::Path;

use vigorl_geometry::{Size, Viewport};

use super::{Part, Source, Stage};
use crate::miniwob::{Area, MiniWobWorld, Pages, Protocol, Task, browsergym_page_seeds, training_seed};
use crate::{Environment, Failure};

/// One task under BrowserGym's protocol.
#[derive(Debug)]
pub struct MiniWobSource {
    name: String,
    task: &'static Task,
    area: Area,
    pages: Pages,
    held_out: Vec<u64>,
}

impl MiniWobSource {
    /// The task of a name, with the pages of a folder or a wheel.
    ///
    /// # Errors
    /// If there is no such task, or no pages: what is missing, for people.
    pub fn open(name: impl Into<String>, task: &str, area: Area, pages: &Path) -> Result<Self, String> {
        let Some(task) = Task::named(task) else {
            return Err(format!("MiniWoB++ has no task `{task}`: `vigorl eval miniwob` lists them"));
        };
        let pages = Pages::open(pages).map_err(|error| error.to_string())?;
        Ok(Self { name: name.into(), task, area, pages, held_out: browsergym_page_seeds() })
    }
}

impl Source for MiniWobSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        format!(
            "MiniWoB++'s `{}`, 10 clicks at most; the {} seeds of BrowserGym are held out",
            self.task.name,
            self.held_out.len()
        )
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        Some(self.area.viewport())
    }

    fn n_episodes(&self, part: Part) -> Option<u64> {
        (part == Part::HeldOut).then_some(self.held_out.len() as u64)
    }

    fn seed(&self, part: Part, number: u64) -> u64 {
        match part {
            Part::Train => training_seed(number),
            Part::HeldOut => self.held_out[(number % self.held_out.len() as u64) as usize],
        }
    }

    fn animated(&self) -> Option<&str> {
        self.task.why_animated()
    }

    fn is_held_out_by_seed(&self) -> bool {
        true
    }

    fn world<'w>(&'w self, stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        let driver = stage.driver.ok_or("a page of MiniWoB++ needs a browser")?;
        Ok(Box::new(MiniWobWorld::new(driver, &self.pages, self.task, Protocol::Browsergym, &[])))
    }
}
