//! The world of a scripted task: its programs, its browser or desktop, and the clauses that judge it.
//!
//! Invariants: a reset keeps the browser and leaves nothing of the episode before in it: no tab, and no cookie or storage but
//! those that the task begins with; what was started ends with the world.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use vigorl_interface::{Action, Driver, DriverError, StorageState};

use super::{
    Check, Clause, Plan, Programs, ReadStep, Scene, ScriptedTask, Surroundings, Values, missing_file,
    read_storage,
};
use crate::Verdict;
use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, behind_dialog, observe, perform,
};

/// A browser or a desktop that was opened.
pub struct Opened {
    /// It.
    pub driver: Box<dyn Driver>,
    /// What it is, for records.
    pub version: String,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Opens the browser or the desktop that a task is played in.
pub type Open<'a> = dyn FnMut() -> Result<Opened, Failure> + 'a;

/// The world of one task.
pub struct ScriptedWorld<'a> {
    task: Cow<'a, ScriptedTask>,
    url: Option<String>,
    settle_cap: Duration,
    max_steps: Option<usize>,
    is_cancelled: &'a dyn Fn() -> bool,
    open: Box<Open<'a>>,
    surroundings: Surroundings,
    values: Values,
    /// Dropped before the programs that it shows.
    opened: Opened,
    programs: Option<Programs>,
    is_fresh: bool,
}

impl fmt::Debug for ScriptedWorld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedWorld").field("task", &self.task.name).finish_non_exhaustive()
    }
}

impl<'a> ScriptedWorld<'a> {
    /// Starts the task's programs in the folder of its files, unless it is [at rest](Surroundings::at_rest), then opens its
    /// browser or desktop. An episode starts on `url`, if there is one, and pages get `settle_cap` to become quiet.
    ///
    /// # Errors
    /// If the programs cannot be started, or what they show does not come up.
    pub fn start(
        task: Cow<'a, ScriptedTask>,
        mut surroundings: Surroundings,
        url: Option<String>,
        settle_cap: Duration,
        is_cancelled: &'a dyn Fn() -> bool,
        mut open: Box<Open<'a>>,
    ) -> Result<Self, Failure> {
        let programs = started(&task, &surroundings)?;
        let opened = Programs::until_ready(programs.as_ref(), is_cancelled, &mut *open)
            .map_err(|error| without_programs(error, &task, &surroundings))?;
        surroundings.temporary = programs.as_ref().map(|programs| programs.folder().to_owned());
        surroundings.downloads = opened.driver.downloads();
        let values = task.values.clone();
        Ok(Self {
            task,
            url,
            settle_cap,
            max_steps: None,
            is_cancelled,
            open,
            surroundings,
            values,
            opened,
            programs,
            is_fresh: true,
        })
    }

    /// The same with at most so many steps an episode.
    #[must_use]
    pub fn with_max_steps(self, max_steps: Option<usize>) -> Self {
        Self { max_steps, ..self }
    }

    /// Whether it can become the world of another task: as long as a browser is there, so is what it was started with, and who
    /// has logged in.
    pub fn can_become(&self, task: &ScriptedTask) -> bool {
        let (ours, other) = (&self.task.start, &task.start);
        ours.visitor() == other.visitor() && ours.basic_auth == other.basic_auth
    }

    /// From the next reset on, it is the world of another task, which is shown in the same browser or desktop.
    pub fn change(&mut self, task: Cow<'a, ScriptedTask>, url: Option<String>) {
        (self.task, self.url) = (task, url);
    }

    /// Where the task's files are.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// What the browser or the desktop is, for records.
    pub fn version(&self) -> &str {
        &self.opened.version
    }

    /// Starts over: programs anew, and a browser that remembers nothing; one that cannot forget is opened anew.
    fn restart(&mut self) -> Result<(), Failure> {
        self.values = self.task.values.clone();
        // The old ones end first: they may hold a port.
        self.programs = None;
        self.programs = started(&self.task, &self.surroundings)?;
        self.surroundings.temporary = self.programs.as_ref().map(|programs| programs.folder().to_owned());
        if self.opened.driver.forget().is_err() {
            self.opened = Programs::until_ready(self.programs.as_ref(), self.is_cancelled, &mut *self.open)?;
        }
        self.surroundings.downloads = self.opened.driver.downloads();
        Ok(())
    }

    /// Puts back what the browser is to begin with.
    fn restore(&mut self) -> Result<(), Failure> {
        let Some(file) = &self.task.start.storage else { return Ok(()) };
        let state = read_storage(&self.surroundings.folder.join(file))?;
        Ok(self.opened.driver.restore(&state)?)
    }

    /// What the browser keeps now: cookies, and what pages have stored.
    ///
    /// # Errors
    /// If it does not say so.
    pub fn storage(&mut self) -> Result<StorageState, DriverError> {
        self.opened.driver.storage()
    }

    /// Shows the page that the task starts on.
    fn show(&mut self) -> Result<(), Failure> {
        let Some(url) = &self.url else { return Ok(()) };
        let (driver, cap, start) = (&mut *self.opened.driver, self.settle_cap, &self.task.start);
        let login = start.login()?;
        let show = || -> Result<(), Failure> {
            // What went wrong while the programs came up is no trouble of the page that is shown at last.
            driver.troubles();
            if let Some(login) = &login {
                driver.log_in(url, login)?;
            }
            // A page that greets with a dialog is shown; whoever acts answers it.
            behind_dialog(driver.act(&Action::Navigate { url: url.clone() }))?;
            behind_dialog(driver.settle(cap))?;
            // Behind what the page itself leads on to.
            start.expect_answer(&driver.page_state()?)
        };
        let shown = Programs::until_ready(self.programs.as_ref(), self.is_cancelled, show);
        shown.map_err(|error| match missing_file(url, &self.surroundings.folder) {
            Some(file) => {
                format!("cannot open `{url}`: there is no file `{}`; `start.url` names it", file.display())
                    .into()
            }
            None => {
                let error = format!("cannot open `{url}`: {error}").into();
                without_programs(error, &self.task, &self.surroundings)
            }
        })
    }

    fn scene<'s>(&'s mut self, senses: &'s mut dyn Senses, allowance: &Allowance<'s>) -> Scene<'s> {
        let (driver, surroundings) = (&mut *self.opened.driver, &self.surroundings);
        Scene { driver, surroundings, senses, allowance: *allowance }
    }
}

/// The programs of a task, running.
fn started(task: &ScriptedTask, around: &Surroundings) -> Result<Option<Programs>, Failure> {
    if around.at_rest { Ok(None) } else { Programs::start(&task.start.programs, &around.folder) }
}

/// Why what is to be shown is not there, if a dry run did not start what may show it.
fn without_programs(error: Failure, task: &ScriptedTask, around: &Surroundings) -> Failure {
    if !around.at_rest || task.start.programs.is_empty() {
        return error;
    }
    let programs = task.start.programs.join("`, `");
    format!("{error}; a dry run starts no programs, so whoever wants to see more starts them: `{programs}`")
        .into()
}

impl Environment for ScriptedWorld<'_> {
    fn reset(&mut self, _seed: u64) -> Result<Start, Failure> {
        if !std::mem::take(&mut self.is_fresh) {
            self.restart()?;
        }
        self.restore()?;
        self.show()?;
        let goal = match &self.task.plan {
            Plan::Goal(goal) => goal,
            Plan::Steps(_) => &self.task.name,
        };
        Ok(Start { goal: goal.clone(), max_steps: self.max_steps, ..Start::default() })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(&mut *self.opened.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        Ok(perform(&mut *self.opened.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let Self { task, values, opened, surroundings, .. } = self;
        let (driver, allowance) = (&mut *opened.driver, *allowance);
        task.judge(values, &mut Scene { driver, surroundings, senses, allowance })
    }

    fn check(
        &mut self,
        clause: &Clause,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Check, Failure> {
        clause.verify(&mut self.scene(senses, allowance))
    }

    fn read(&mut self, read: &ReadStep, senses: &mut dyn Senses) -> Result<Result<String, String>, Failure> {
        let said = read.read(&mut *self.opened.driver, senses)?;
        if let Ok(text) = &said {
            self.values.keep(&read.into, text.clone());
        }
        Ok(said)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(&mut *self.opened.driver)
    }
}
