//! Whether a source of episodes keeps its promises: what learning from it relies on.
//!
//! Invariant: a check that could not be made has not passed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Action, MouseButton, Screenshot, pixel_change, same_but_for_a_caret};

use super::{Part, Source, Stage, stable_hash};
use crate::Verification;
use crate::environment::{Environment, Failure, Senses, Start};
use crate::gym::{Gym, StepError};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What was found, or what instead, or why there is nothing to check.
    pub detail: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// There is nothing to check: the detail says why.
    NotApplicable,
}

/// How thoroughly it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Thoroughness {
    /// Episodes of each part that are played.
    pub n_seeds: u64,
    /// Episodes of each part whose first screenshots are compared with those of the other one; by itself all of a source
    /// that is a list, and twenty of another one.
    pub n_compared: Option<u64>,
    /// Longest wait for a quiet page.
    pub settle_cap: Duration,
}

/// Steps after which an episode without an end has none.
const MOST_STEPS: usize = 200;

/// Episodes that are compared of a source that is no list.
const COMPARED: u64 = 20;

/// What a check says: nothing if it simply holds.
type Found = Result<Option<Checked>, String>;

/// Checks a source; every check has its line.
///
/// # Errors
/// If it has no world.
pub fn check<'w>(
    source: &'w dyn Source,
    stage: Stage<'w>,
    senses: &mut dyn Senses,
    how: Thoroughness,
) -> Result<Vec<Checked>, Failure> {
    let mut world = source.world(stage)?;
    let seeds = |part: Part, most: u64| -> Vec<u64> {
        let n = source.n_episodes(part).unwrap_or(most).min(most);
        (0..n).map(|number| source.seed(part, number)).collect()
    };
    let played: Vec<u64> = Part::ALL.into_iter().flat_map(|part| seeds(part, how.n_seeds)).collect();
    let mut checking = Checking { source, env: &mut *world, senses, settle_cap: how.settle_cap };
    let mut all = Vec::new();
    let mut run = |check: &'static str, found: Found| {
        let (outcome, detail) = match found {
            Ok(None) => (Outcome::Passed, None),
            Ok(Some(checked)) => (checked.outcome, checked.detail),
            Err(detail) => (Outcome::Failed, Some(detail)),
        };
        all.push(Checked { check, outcome, detail });
    };
    run(
        "there is an episode to learn from",
        match played.is_empty() {
            true => Err("there is none".to_owned()),
            false => Ok(None),
        },
    );
    run("the seeds of both parts are different", checking.parts_differ(how.n_seeds.max(100)));
    run("a step before a reset is an error", checking.step_before_reset());
    run("the same seed gives the same first screenshot", each(&played, |seed| checking.same_start(seed)));
    run("doing nothing earns nothing", each(&played, |seed| checking.nothing_earns_nothing(seed)));
    run("only a limit truncates", each(&played, |seed| checking.only_a_limit_truncates(seed)));
    run("an oracle earns 1", each(&played, |seed| checking.oracle(seed)));
    let most = if source.is_list() { u64::MAX } else { COMPARED };
    let compared = Part::ALL.map(|part| seeds(part, how.n_compared.unwrap_or(most)));
    run("nothing that is held out is learned from", checking.held_out_is_apart(&compared));
    Ok(all)
}

/// The first thing that some seed finds.
fn each(seeds: &[u64], mut check: impl FnMut(u64) -> Found) -> Found {
    for seed in seeds {
        match check(*seed) {
            Ok(None) => {}
            Err(detail) => return Err(format!("seed {seed}: {detail}")),
            other => return other,
        }
    }
    Ok(None)
}

fn not_applicable(detail: impl Into<String>) -> Found {
    Ok(Some(Checked { check: "", outcome: Outcome::NotApplicable, detail: Some(detail.into()) }))
}

fn passed(detail: String) -> Found {
    Ok(Some(Checked { check: "", outcome: Outcome::Passed, detail: Some(detail) }))
}

struct Checking<'c> {
    source: &'c dyn Source,
    env: &'c mut dyn Environment,
    senses: &'c mut dyn Senses,
    settle_cap: Duration,
}

impl Checking<'_> {
    fn gym(&mut self) -> Gym<'_> {
        Gym::new(self.env, self.senses, self.settle_cap)
    }

    fn parts_differ(&self, n: u64) -> Found {
        let of = |part: Part| -> Vec<u64> {
            let n = self.source.n_episodes(part).unwrap_or(n).min(n);
            (0..n).map(|number| self.source.seed(part, number)).collect()
        };
        let (train, held_out) = (of(Part::Train), of(Part::HeldOut));
        match held_out.iter().find(|seed| train.contains(seed)) {
            Some(both) => Err(format!("seed {both} is in both")),
            None => Ok(None),
        }
    }

    fn step_before_reset(&mut self) -> Found {
        match self.gym().step(None) {
            Err(StepError::NotReset) => Ok(None),
            other => Err(format!("it gave {other:?}")),
        }
    }

    fn begin(&mut self, seed: u64) -> Result<(Start, Screenshot), String> {
        let (start, seen) = self.gym().reset(seed).map_err(|error| error.to_string())?;
        let screenshot = seen.screenshot.ok_or("a dialog covers its first screenshot")?;
        Ok((start, screenshot))
    }

    fn same_start(&mut self, seed: u64) -> Found {
        if let Some(why) = self.source.animated() {
            return not_applicable(format!("it moves by itself: {why}"));
        }
        let ((first, one), (second, other)) = (self.begin(seed)?, self.begin(seed)?);
        if first.goal != second.goal {
            return Err(format!("it asks for `{}`, and then for `{}`", first.goal, second.goal));
        }
        if same_but_for_a_caret(&one.pixels, &other.pixels, one.device_pixel_ratio) {
            return Ok(None);
        }
        let where_to = pixel_change(&one.pixels, &other.pixels).map_or_else(String::new, |change| {
            let Rect { left, top, right, bottom, .. } = change.bounds;
            format!(
                " in the rectangle from ({left}, {top}) to ({right}, {bottom}), {} of them; if that moves by itself, \
                 `animated` says why",
                change.n_pixels
            )
        });
        Err(format!("two resets show different pixels{where_to}"))
    }

    fn nothing_earns_nothing(&mut self, seed: u64) -> Found {
        let mut gym = self.gym();
        gym.reset(seed).map_err(|error| error.to_string())?;
        let done = gym.step(None).map_err(|error| error.to_string())?;
        match (done.info.verdict.verification, done.reward) {
            (Verification::Unsatisfied, Some(reward)) if reward <= 0.0 => Ok(None),
            (Verification::Satisfied, _) => Err("the goal is reached before anything is done".to_owned()),
            (Verification::Unknown, _) => {
                let why = done.info.verdict.detail.unwrap_or_else(|| "nobody judges".to_owned());
                Err(format!("nobody can tell what nothing is worth: {why}"))
            }
            (_, reward) => Err(format!("it is worth {reward:?}")),
        }
    }

    fn only_a_limit_truncates(&mut self, seed: u64) -> Found {
        let mut gym = self.gym();
        let (start, _) = gym.reset(seed).map_err(|error| error.to_string())?;
        let Some(limit) = start.max_steps else { return Err("an episode has no limit of steps".to_owned()) };
        for n in 1..=limit.min(MOST_STEPS) {
            let done = gym.step(None).map_err(|error| error.to_string())?;
            match (done.terminated, done.truncated) {
                (true, true) => return Err(format!("step {n} is terminated and truncated")),
                (false, true) if n < limit => return Err(format!("it is truncated at step {n} of {limit}")),
                (false, false) if n == limit => {
                    return Err(format!("it goes on behind its limit of {limit} steps"));
                }
                (false, false) => {}
                (true, false) | (false, true) => break,
            }
        }
        if limit > MOST_STEPS {
            return Ok(None);
        }
        match gym.step(None) {
            Err(StepError::IsOver) => Ok(None),
            other => Err(format!("a step behind the end gave {other:?}")),
        }
    }

    fn oracle(&mut self, seed: u64) -> Found {
        let (start, _) = self.begin(seed)?;
        let Some(target) = start.target else {
            return not_applicable("nobody knows what to do in it but its judge");
        };
        let mut gym = self.gym();
        gym.reset(seed).map_err(|error| error.to_string())?;
        let at: Point<Screen> = target.center();
        let click = Action::Click { at, button: MouseButton::Left, count: 1 };
        let done = gym.step(Some(&click)).map_err(|error| error.to_string())?;
        match (done.reward, done.info.refused) {
            (Some(1.0), _) => Ok(None),
            (_, Some(why)) => Err(format!("a click on what is asked for was refused: {why}")),
            (reward, None) => {
                let detail = done.info.verdict.detail.unwrap_or_default();
                Err(format!("a click on what is asked for is worth {reward:?}: {detail}"))
            }
        }
    }

    fn held_out_is_apart(&mut self, [train, held_out]: &[Vec<u64>; 2]) -> Found {
        if held_out.is_empty() {
            return not_applicable("nothing is held out");
        }
        let mut learned: BTreeMap<(String, u64), u64> = BTreeMap::new();
        for seed in train {
            learned.insert(self.shown(*seed)?, *seed);
        }
        for seed in held_out {
            let shown = self.shown(*seed)?;
            if let Some(other) = learned.get(&shown) {
                let both = format!("seed {seed} shows and asks what seed {other} does: `{}`", shown.0);
                return match self.source.is_held_out_by_seed() {
                    true => not_applicable(format!(
                        "its protocol holds out seeds, and not what they show; {both}"
                    )),
                    false => Err(both),
                };
            }
        }
        let [n_train, n_held_out] = [(Part::Train, train), (Part::HeldOut, held_out)].map(|(part, seeds)| {
            let all = self.source.n_episodes(part).map_or_else(|| "any number".to_owned(), |n| n.to_string());
            format!("{} of {all}", seeds.len())
        });
        passed(format!("compared were {n_train} to learn from with {n_held_out} held out"))
    }

    /// What an episode asks, and what it shows first.
    fn shown(&mut self, seed: u64) -> Result<(String, u64), String> {
        let (start, screenshot) = self.begin(seed)?;
        Ok((start.goal, stable_hash(screenshot.pixels.as_raw())))
    }
}
