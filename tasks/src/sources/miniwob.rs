//! A task of MiniWoB++ as a source of episodes: learning uses seeds that no protocol measures with.

use std::path::Path;

use vigorl_geometry::{Size, Viewport};

use super::{Part, Source, Stage};
use crate::miniwob::{Area, MiniWobWorld, Pages, Protocol, Task, training_seed};
use crate::{Environment, Failure};

/// What of the page is to be seen, by its name behind `@`.
const AREAS: [(&str, Area); 2] = [("page", Area::Page), ("area", Area::Task)];

/// One task under the rules of a protocol.
#[derive(Debug)]
pub struct MiniWobSource {
    name: String,
    task: &'static Task,
    protocol: Protocol,
    area: Area,
    pages: Pages,
    held_out: Vec<u64>,
}

impl MiniWobSource {
    /// The task of a name, with the pages of a folder or a wheel. `chosen` is `TASK`, or `TASK@` and what differs from
    /// BrowserGym's rules, with commas: what is to be seen (`page`, or `area` for the task alone), and another protocol by its
    /// name, which brings its own view.
    ///
    /// # Errors
    /// If there is no such task, no such setting, or no pages: what is missing, for people.
    pub fn open(name: impl Into<String>, chosen: &str, pages: &Path) -> Result<Self, String> {
        let (task, settings) = chosen.split_once('@').unwrap_or((chosen, ""));
        let Some(task) = Task::named(task) else {
            return Err(format!("MiniWoB++ has no task `{task}`: `vigorl eval miniwob` lists them"));
        };
        let (area, protocol) = match chosen.contains('@') {
            true => settings_of(settings)?,
            false => (None, None),
        };
        let protocol = protocol.unwrap_or_default();
        if !protocol.tasks().iter().any(|other| other.name == task.name) {
            return Err(format!(
                "`{}` is none of the tasks of the protocol {}",
                task.name,
                protocol.as_str()
            ));
        }
        let pages = Pages::open(pages).map_err(|error| error.to_string())?;
        let (area, held_out) = (area.unwrap_or(protocol.area()), protocol.measured_seeds(task));
        Ok(Self { name: name.into(), task, protocol, area, pages, held_out })
    }
}

/// What stands behind `@`: each at most once.
fn settings_of(settings: &str) -> Result<(Option<Area>, Option<Protocol>), String> {
    let (mut area, mut protocol) = (None, None);
    for word in settings.split(',') {
        let seen = AREAS.iter().find(|(name, _)| *name == word).map(|(_, area)| *area);
        let rules = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == word);
        if seen.is_none() && rules.is_none() {
            let all = AREAS.map(|(name, _)| name).into_iter().chain(Protocol::ALL.map(Protocol::as_str));
            let all: Vec<&str> = all.collect();
            return Err(format!(
                "behind `@` stands what differs, with commas: {}; not `{word}`",
                all.join(", ")
            ));
        }
        if (seen.is_some() && area.is_some()) || (rules.is_some() && protocol.is_some()) {
            return Err(format!("`{word}` behind `@` says again what was said before it"));
        }
        (area, protocol) = (area.or(seen), protocol.or(rules));
    }
    Ok((area, protocol))
}

impl Source for MiniWobSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        format!(
            "MiniWoB++'s `{}`, {}, {} clicks at most; the {} seeds of the protocol {} are held out",
            self.task.name,
            match self.area {
                Area::Page => "the whole page",
                Area::Task => "the task area alone",
            },
            self.protocol.max_steps(self.task),
            self.held_out.len(),
            self.protocol.as_str()
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
        Ok(Box::new(MiniWobWorld::new(driver, &self.pages, self.task, self.protocol, &[])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_name_of_a_task_is_read() {
        let read = |settings: &str| settings_of(settings).map_err(|error| error.to_string());
        assert_eq!(read("area"), Ok((Some(Area::Task), None)));
        assert_eq!(read("page"), Ok((Some(Area::Page), None)));
        assert_eq!(read("area,seeclick"), Ok((Some(Area::Task), Some(Protocol::Seeclick))));
        assert_eq!(read("pix2act,page"), Ok((Some(Area::Page), Some(Protocol::Pix2act))));
        for (settings, words) in [
            ("", "not ``"),
            ("task", "page, area, browsergym, pix2act, seeclick; not `task`"),
            ("area,", "not ``"),
            ("area,page", "`page` behind `@` says again"),
            ("seeclick,pix2act", "`pix2act` behind `@` says again"),
        ] {
            let error = read(settings).unwrap_err();
            assert!(error.contains(words), "{settings}: {error}");
        }
        let error = |chosen: &str| MiniWobSource::open("m", chosen, Path::new("/nowhere")).unwrap_err();
        assert!(error("no-such-task@area").contains("no task `no-such-task`"));
        assert!(error("ascending-numbers@pix2act").contains("none of the tasks of the protocol pix2act"));
    }

    #[test]
    fn every_protocol_holds_out_what_it_measures_with() {
        for protocol in Protocol::ALL {
            for task in protocol.tasks() {
                let held_out = protocol.measured_seeds(task);
                let measured = (0..protocol.n_episodes()).map(|n| protocol.page_seed(task, n));
                assert!(measured.into_iter().all(|seed| held_out.contains(&seed)), "{}", task.name);
                let mut sorted = held_out.clone();
                sorted.sort_unstable();
                sorted.dedup();
                assert_eq!(sorted.len(), held_out.len(), "{}: each once", task.name);
                assert!(held_out.iter().all(|seed| *seed < training_seed(0)));
            }
        }
    }
}
