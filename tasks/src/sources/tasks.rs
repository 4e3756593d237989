//! Tasks with a goal as a source of episodes: one task file, whose variables are drawn from the seed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vigorl_interface::{Action, Driver};

use super::{Part, Source, Stage};
use crate::Verdict;
use crate::environment::{Allowance, Environment, Failure, Observation, Performed, Senses, Start};
use crate::scripted::{Opened, Plan, ScriptedTask, ScriptedWorld, Surroundings};

/// Opens the browser or the desktop of a task.
pub type OpenTask = dyn Fn(&ScriptedTask) -> Result<Opened, Failure> + Send + Sync;

/// A task with a goal.
pub struct TaskSource {
    name: String,
    task: ScriptedTask,
    folder: PathBuf,
    settle_cap: Duration,
    max_steps: usize,
    open: Arc<OpenTask>,
}

impl fmt::Debug for TaskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TaskSource {
    /// A task that was read from a file in `folder`. Pages get `settle_cap` to become quiet, and an episode has at most
    /// `max_steps` actions.
    ///
    /// # Errors
    /// If it has steps instead of a goal, or cannot be filled in.
    pub fn new(
        name: impl Into<String>,
        task: ScriptedTask,
        folder: PathBuf,
        settle_cap: Duration,
        max_steps: usize,
        open: Arc<OpenTask>,
    ) -> Result<Self, String> {
        let max_steps = task.max_steps.map_or(max_steps, |of_task| of_task.min(max_steps));
        let source = Self { name: name.into(), task, folder, settle_cap, max_steps, open };
        if matches!(source.task.plan, Plan::Steps(_)) {
            return Err("it has steps; an environment needs a `goal`".to_owned());
        }
        for part in Part::ALL.into_iter().filter(|part| source.task.n_drawn(*part) > 0) {
            source.drawn(part.seed(0)).map_err(|error| error.to_string())?;
        }
        Ok(source)
    }

    /// The task of an episode.
    fn drawn(&self, seed: u64) -> Result<ScriptedTask, Failure> {
        let (part, number) = Part::of_seed(seed);
        if self.task.n_drawn(part) == 0 {
            return Err(
                "the task draws no variables, so that nothing of it is held out: give it a `draw`".into()
            );
        }
        let mut task = self.task.drawn(part, number);
        // An environment has no secrets: a policy that learns would learn them.
        task.fill(&BTreeMap::new(), &|_| None)?;
        Ok(task)
    }
}

impl Source for TaskSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        let [train, held_out] = Part::ALL.map(|part| self.task.n_drawn(part));
        format!("{}: {train} episodes to learn from, {held_out} held out", self.task.name)
    }

    fn n_episodes(&self, part: Part) -> Option<u64> {
        Some(self.task.n_drawn(part))
    }

    fn seed(&self, part: Part, number: u64) -> u64 {
        part.seed(self.task.nth_drawn(part, number))
    }

    fn animated(&self) -> Option<&str> {
        self.task.animated.as_deref()
    }

    fn world<'w>(&'w self, stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(DrawnWorld { source: self, is_cancelled: stage.is_cancelled, world: None }))
    }
}

/// The world of the task that was drawn last.
struct DrawnWorld<'w> {
    source: &'w TaskSource,
    is_cancelled: &'w dyn Fn() -> bool,
    world: Option<ScriptedWorld<'w>>,
}

impl<'w> DrawnWorld<'w> {
    fn begun(&mut self) -> Result<&mut ScriptedWorld<'w>, Failure> {
        self.world.as_mut().ok_or_else(|| "no task was drawn: reset the environment first".into())
    }
}

impl Environment for DrawnWorld<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        let source = self.source;
        let task = source.drawn(seed)?;
        let url = task.start.address(&source.folder);
        self.world.take_if(|world| !world.can_become(&task));
        let world = match &mut self.world {
            Some(world) => {
                world.change(Cow::Owned(task), url);
                world
            }
            none => {
                let (open, first) = (Arc::clone(&source.open), task.clone());
                let (folder, cap) = (source.folder.clone(), source.settle_cap);
                let open = Box::new(move || open(&first));
                let world = ScriptedWorld::start(
                    Cow::Owned(task),
                    Surroundings::in_folder(folder),
                    url,
                    cap,
                    self.is_cancelled,
                    open,
                )?;
                none.insert(world.with_max_steps(Some(source.max_steps)))
            }
        };
        Ok(Start { seed: Some(seed), ..world.reset(seed)? })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        self.begun()?.observe()
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.begun()?.perform(act)
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.begun()?.judge(answer, senses, allowance)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        self.world.as_mut()?.driver()
    }
}
