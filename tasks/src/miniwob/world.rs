//! A page of MiniWoB++ as an environment: each seed is a problem of one task, and the page judges it.
//!
//! Invariants: the reward is made of the page's own by the rule of the protocol; the first verdict is the last; an
//! episode is played on the document that it began on, and on no other; a page that fails is an error and no reward.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use vigorl_interface::{Act, Action, Driver, DriverError, wait_until};

use super::list::Task;
use super::pages::Pages;
use super::protocol::Protocol;
use crate::Verdict;
use crate::environment::{
    Allowance, Environment, Failure, Observation, Performed, Senses, Start, observe, perform,
};

/// How long a page may take until it is ready and its pictures are there.
const READY_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// Tells an episode of this program from all others, whatever document answers.
static N_EPISODES: AtomicU64 = AtomicU64::new(0);

/// One task in a driver's browser.
pub struct MiniWobWorld<'d> {
    driver: &'d mut dyn Driver,
    pages: &'d Pages,
    task: &'static Task,
    protocol: Protocol,
    labels: BTreeMap<String, String>,
    episode: String,
    n_acts: usize,
}

impl fmt::Debug for MiniWobWorld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiniWobWorld")
            .field("task", &self.task.name)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// What a page says of its episode.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Said {
    /// Whether the episode is over.
    pub done: bool,
    /// The page's reward, -1 to 1.
    pub raw: f64,
    /// The same, decayed with the time that was taken.
    pub reward: f64,
    /// Why, where the page says so.
    pub reason: Option<String>,
}

impl<'d> MiniWobWorld<'d> {
    /// A task under the rules of a protocol. The driver's viewport and its pixel ratio are chosen where it is opened:
    /// [`Area::viewport`](super::Area::viewport), [`Protocol::zoom`]. `labels` are added to those of each episode.
    pub fn new(
        driver: &'d mut dyn Driver,
        pages: &'d Pages,
        task: &'static Task,
        protocol: Protocol,
        labels: &[(&str, &str)],
    ) -> Self {
        let owned = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
        let labels = labels.iter().map(owned).collect();
        Self { driver, pages, task, protocol, labels, episode: String::new(), n_acts: 0 }
    }

    /// What the page says now; nothing where another document is shown.
    ///
    /// # Errors
    /// If the page does not answer.
    pub fn said(&mut self) -> Result<Option<Said>, Failure> {
        let ask = format!(
            "return window.vigorl_miniwob ? vigorl_miniwob({}) : null",
            serde_json::json!(self.episode)
        );
        let answer = self.driver.evaluate(&ask)?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Loads the page and begins an episode. Every episode has a document of its own, because the pages keep much from one
    /// episode to the next.
    fn begin(&mut self, seed: u64) -> Result<String, Failure> {
        let url = self.pages.url(self.task.name);
        self.driver.act(&Act::Navigate { url })?;
        self.episode = format!("{}-{}", std::process::id(), N_EPISODES.fetch_add(1, Ordering::Relaxed));
        let wanted = serde_json::json!({
            "seed": seed,
            "mode": self.protocol.data_mode(),
            "limit": self.protocol.time_limit_ms(),
            "hides_query": self.protocol.hides_query(),
            "episode": self.episode,
        });
        let script = format!("const wanted = {wanted};\n{}", include_str!("begin.js"));
        // A page whose own scripts have not run yet has changed nothing, and is asked again.
        let begin = || -> Result<_, Failure> {
            let goal: Option<String> = serde_json::from_str(&self.driver.evaluate(&script)?)?;
            Ok(goal.map_or(ControlFlow::Continue(PAUSE), ControlFlow::Break))
        };
        let goal = wait_until(Some(Instant::now() + READY_WITHIN), begin)?;
        let goal = goal.ok_or_else(|| format!("the page of `{}` is none of MiniWoB++", self.task.name))?;
        self.wait_until_ready()?;
        Ok(goal.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        // A picture that is there but not decoded is painted later.
        const IS_READY: &str =
            "const decoded = [...document.images].map((image) => image.decode().catch(() => null));
            return Promise.all(decoded).then(() => WOB_TASK_READY)";
        let look = || -> Result<_, DriverError> {
            Ok(match self.driver.evaluate(IS_READY)?.as_str() {
                "true" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(PAUSE),
            })
        };
        let is_ready = wait_until(Some(Instant::now() + READY_WITHIN), look)?;
        is_ready.ok_or_else(|| format!("the page of `{}` was never ready", self.task.name).into())
    }
}

impl Environment for MiniWobWorld<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.n_acts = 0;
        let goal = self.begin(seed)?;
        let mut labels = self.labels.clone();
        labels.insert("task".to_owned(), self.task.name.to_owned());
        let max_steps = Some(self.protocol.max_steps(self.task));
        Ok(Start { goal, labels, seed: Some(seed), max_steps, target: None })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(self.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let refused = |why: &str| Ok(Performed::Refused(why.to_owned()));
        match act {
            Act::Navigate { .. }
            | Act::Back
            | Act::Forward
            | Act::Reload
            | Act::OpenTab
            | Act::SwitchTab { .. }
            | Act::CloseTab => {
                return refused("a page of MiniWoB++ has no address and no tabs to act on");
            }
            Act::Upload { .. } => return refused("no page of MiniWoB++ takes files"),
            _ if self.n_acts >= self.protocol.max_steps(self.task) => {
                return refused("the protocol allows no more steps");
            }
            _ => self.n_acts += 1,
        }
        Ok(perform(self.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let Some(said) = self.said()? else {
            return Ok(Verdict::of(false, true, Some("the page of the episode is gone".to_owned())));
        };
        let is_success = said.done && self.protocol.is_success(said.raw, said.reward);
        let detail = match (&said.reason, said.done) {
            (_, false) => "the page is not done".to_owned(),
            (Some(reason), true) if !reason.is_empty() => format!("raw reward {}: {reason}", said.raw),
            (_, true) => format!("raw reward {}", said.raw),
        };
        Ok(Verdict { may_change: !said.done, ..Verdict::of(is_success, said.done, Some(detail)) })
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self.driver)
    }
}
