//! One click of a task with steps, as an environment of its own.
//!
//! Invariants: the steps before it, and what the task does before these, are done by the places that the task names, and one
//! that cannot be done is a failure of the world; a click is right if it is in the place that the task names for it, which was looked up before the click.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vigorl_agent::{Agent, Cancel, Checks, Ending, Hands, Leash, PlaceEyes, Scripted, run_episode};
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Act, Action, Driver};
use vigorl_tasks::scripted::{Place, Plan, Script, ScriptedTask, ScriptedWorld, Step, Surroundings, Target};
use vigorl_tasks::sources::{OpenTask, Part, Source, Stage};
use vigorl_tasks::{
    Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict, dismiss_dialogs,
};

/// Knows secrets by their names.
pub type KnowsSecrets = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A click of a task.
pub struct ClickSource {
    name: String,
    task: ScriptedTask,
    /// The number of its step, from 0.
    step: usize,
    folder: PathBuf,
    settle_cap: Duration,
    open: Arc<OpenTask>,
    secret: Arc<KnowsSecrets>,
}

impl fmt::Debug for ClickSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickSource").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The steps of a task that are clicks on a place with an extent, by their numbers from 0.
pub fn clicks(task: &ScriptedTask) -> Vec<usize> {
    let is_click = |step: &Step| matches!(step, Step::Act(Act::Click { at, .. }) if has_extent(at));
    task.steps().iter().enumerate().filter(|(_, step)| is_click(step)).map(|(n, _)| n).collect()
}

/// A single pixel cannot be aimed at, nor one beside the middle.
fn has_extent(target: &Target) -> bool {
    target.offset.is_none() && target.place.as_ref().is_some_and(|place| !matches!(place, Place::At(_)))
}

impl ClickSource {
    /// The click at a step of [`clicks`], of a task that was read from a file in `folder`.
    ///
    /// # Errors
    /// If there is no such click, or the task cannot be filled in.
    pub fn new(
        name: impl Into<String>,
        task: ScriptedTask,
        step: usize,
        folder: PathBuf,
        settle_cap: Duration,
        open: Arc<OpenTask>,
        secret: Arc<KnowsSecrets>,
    ) -> Result<Self, String> {
        let source = Self { name: name.into(), task, step, folder, settle_cap, open, secret };
        if !source.task.after.is_empty() {
            return Err(
                "what a task does `after` its judgement cannot be done behind one click of it".to_owned()
            );
        }
        if !clicks(&source.task).contains(&step) {
            return Err(format!("step {} is no click on a place with an extent", step + 1));
        }
        source.filled(source.seed(Part::Train, 0)).map_err(|error| error.to_string())?;
        Ok(source)
    }

    /// The task of an episode, up to the click, and the click's target.
    fn filled(&self, seed: u64) -> Result<(ScriptedTask, Target), Failure> {
        let (part, number) = Part::of_seed(seed);
        if self.task.n_drawn(part) == 0 {
            return Err(
                "the task draws no variables, so that nothing of it is held out: give it a `draw`".into()
            );
        }
        let mut task = self.task.drawn(part, number);
        let before = std::mem::take(&mut task.before);
        let steps = match &mut task.plan {
            Plan::Steps(steps) => {
                let behind = steps.split_off(self.step);
                steps.splice(..0, before);
                behind
            }
            Plan::Goal(_) => return Err("a task with a goal has no steps".into()),
        };
        // What leads up to the click is judged by nobody.
        task.expect.clear();
        task.fill(&BTreeMap::new(), &*self.secret)?;
        let Some(Step::Act(Act::Click { at, .. })) = steps.into_iter().next() else {
            return Err(format!("step {} is no click", self.step + 1).into());
        };
        // Filled in as the steps before it are: a task of this one step.
        let mut alone = ScriptedTask {
            before: Vec::new(),
            plan: Plan::Steps(vec![Step::Act(Act::click(at))]),
            ..self.task.drawn(part, number)
        };
        alone.fill(&BTreeMap::new(), &*self.secret)?;
        let surroundings = Surroundings::in_folder(&self.folder);
        let line = Script::new(&alone, &surroundings).next(None)?;
        match line.map(|line| line.what) {
            Some(vigorl_tasks::scripted::What::Act(Act::Click { at, .. })) => Ok((task, at)),
            _ => Err("the click cannot be filled in".into()),
        }
    }
}

impl Source for ClickSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        format!("step {} of `{}`: one click", self.step + 1, self.task.name)
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
        Ok(Box::new(ClickWorld {
            source: self,
            is_cancelled: stage.is_cancelled,
            world: None,
            place: Rect::new(0.0, 0.0, 0.0, 0.0),
            clicked: None,
        }))
    }
}

/// The world of the task, in front of the click.
struct ClickWorld<'w> {
    source: &'w ClickSource,
    is_cancelled: &'w dyn Fn() -> bool,
    world: Option<ScriptedWorld<'w>>,
    place: Rect<Screen>,
    clicked: Option<Point<Screen>>,
}

impl<'w> ClickWorld<'w> {
    fn begun(&mut self) -> Result<&mut ScriptedWorld<'w>, Failure> {
        self.world.as_mut().ok_or_else(|| "no task was begun: reset the environment first".into())
    }

    /// Does the steps before the click.
    fn lead_up(&mut self, task: &ScriptedTask, seed: u64) -> Result<(), Failure> {
        let (cap, cancel) = (self.source.settle_cap, Cancel::default());
        let world = self.begun()?;
        let surroundings = world.surroundings().clone();
        let mut agent = Agent {
            eyes: &mut PlaceEyes,
            min_confidence: 0.0,
            checks: Checks::Elements,
            senses: &mut Blind,
            settle_cap: cap,
            hands: Hands::Act,
            cancel: &cancel,
            leash: Leash::default(),
        };
        let mut plan = Scripted::new(Script::new(task, &surroundings));
        let episode = run_episode(&mut agent, &mut plan, world, seed, &mut ())?;
        // What the task can do without may be undone.
        let is_undone = episode.success == Some(false);
        let undone = episode.steps.iter().rposition(|step| is_undone && !step.is_done());
        match (&episode.ending, undone) {
            (Ending::Error(error), _) => Err(error.clone().into()),
            (_, Some(n)) => {
                let step = &episode.steps[n];
                let why = step.detail.as_deref().unwrap_or("nothing was done");
                Err(format!("step {} before the click, `{}`, was not done: {why}", n + 1, step.instruction)
                    .into())
            }
            (Ending::Judged, None) => Ok(()),
            (other, None) => Err(format!("the steps before the click ended early: {other:?}").into()),
        }
    }
}

impl Environment for ClickWorld<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        let source = self.source;
        let (task, target) = source.filled(seed)?;
        let url = task.start.address(&source.folder);
        self.world.take_if(|world| !world.can_become(&task));
        match &mut self.world {
            Some(world) => world.change(Cow::Owned(task.clone()), url),
            none => {
                let (open, first) = (Arc::clone(&source.open), task.clone());
                let (folder, cap) = (source.folder.clone(), source.settle_cap);
                let open = Box::new(move || open(&first));
                *none = Some(ScriptedWorld::start(
                    Cow::Owned(task.clone()),
                    Surroundings::in_folder(folder),
                    url,
                    cap,
                    self.is_cancelled,
                    open,
                )?);
            }
        }
        self.clicked = None;
        self.lead_up(&task, seed)?;
        if let Some(driver) = self.begun()?.driver() {
            dismiss_dialogs(driver, source.settle_cap)?;
        }
        let seen = self.begun()?.observe()?;
        let screenshot = seen.screenshot.ok_or("a dialog covers the page in front of the click")?;
        let place = target.place.as_ref().ok_or("the click names no place")?;
        let found = place.locate(self.begun()?.driver(), &mut Blind, &screenshot)?;
        self.place = found.map_err(|why| format!("the place of `{target}`: {why}"))?;
        Ok(Start {
            goal: target.description,
            seed: Some(seed),
            max_steps: Some(1),
            target: Some(self.place),
            ..Start::default()
        })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        self.begun()?.observe()
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let Act::Click { at, .. } = act else {
            return Ok(Performed::Refused(format!("one click is asked for, not {}", act.kind().as_str())));
        };
        let performed = self.begun()?.perform(act)?;
        if performed == Performed::Done {
            self.clicked.get_or_insert(*at);
        }
        Ok(performed)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        Ok(Verdict::of_click(self.clicked, &[self.place]))
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        self.world.as_mut()?.driver()
    }
}

#[cfg(test)]
mod tests {
    use vigorl_tasks::scripted::Opened;

    use super::*;

    fn source(lists: &str, step: usize) -> Result<ClickSource, String> {
        let yaml = format!("name: n\nstart: {{}}\n{lists}\nexpect: [url_contains: x]\n");
        let task = ScriptedTask::parse(&yaml).unwrap();
        let open = |_: &ScriptedTask| -> Result<Opened, Failure> { Err("nobody opens it".into()) };
        let (open, secret) = (Arc::new(open), Arc::new(|_: &str| None));
        ClickSource::new("a.yaml#2", task, step, PathBuf::new(), Duration::ZERO, open, secret)
    }

    #[test]
    fn what_a_task_needs_leads_up_to_its_click_and_what_comes_behind_its_judgement_cannot() {
        let steps = "steps: [{type: b}, {click: { what: c, name: d }}, {type: e}]";
        let source_of = source(&format!("before: [{{type: a}}]\n{steps}"), 1).unwrap();
        let (task, target) = source_of.filled(source_of.seed(Part::Train, 0)).unwrap();
        let typed = |text: &str| Step::Act(Act::Type { text: text.to_owned() });
        assert_eq!((task.before.len(), task.steps()), (0, &[typed("a"), typed("b")][..]));
        assert_eq!(target.description, "c");
        let refused = source(&format!("{steps}\nafter: [{{type: a}}]"), 1).err().unwrap();
        assert!(refused.contains("`after`"), "{refused}");
    }
}
