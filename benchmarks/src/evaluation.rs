//! What an evaluation is: worlds one after the other, played in several modes, and the table of what came of it.
//!
//! Invariants: every mode sees the same items in the same order, each world reset afresh; the verdict is the world's own;
//! an episode in which the world failed is counted apart; the random clicker's rate is not sampled but exact: a click
//! drawn uniformly over the screen hits with probability (area of the target) / (area of the screen).

use std::collections::BTreeMap;

use serde::Serialize;
use vigorl_agent::{Agent, Decide, Ending, Episode, InOrder, Sighting, Watch, WatchError, run_episode};
use vigorl_geometry::{DevicePixelRatio, Rect, Screen, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_runs::record::EndpointRecord;
use vigorl_runs::wilson95;
use vigorl_tasks::{Environment, Failure};

use crate::answers::Answers;
use crate::practice::PracticeSet;

/// A list of worlds to play, and how the results are told apart.
pub trait Evaluation {
    /// Name and version; whatever can move a score changes it.
    fn id(&self) -> &'static str;

    /// What is played, for people, if `n_played` items were.
    fn title(&self, n_played: u64) -> String;

    /// The same for programs.
    fn to_json(&self, n_played: u64) -> serde_json::Value;

    /// How many items there are.
    fn n_items(&self) -> u64;

    /// The visible area that an item needs in a browser, in CSS pixels; nothing if it needs no browser.
    fn viewport(&self) -> Option<Size<Viewport>>;

    /// The groups that results are told apart by, each with its values, as rows of the table.
    fn groups(&self) -> Vec<(&'static str, Vec<String>)>;

    /// Screenshot pixels per CSS pixel, where the rules of the evaluation name them.
    fn device_pixel_ratio(&self) -> Option<DevicePixelRatio> {
        None
    }

    /// The item of a number below [`n_items`](Self::n_items).
    ///
    /// # Errors
    /// If there is no such item.
    fn item(&self, idx: u64) -> Result<Item, Failure>;

    /// Its world, in a browser of [`viewport`](Self::viewport) if it needs one. `labels` are added to those of the episode.
    ///
    /// # Errors
    /// If there is no such world.
    fn world<'w>(
        &'w self,
        idx: u64,
        driver: Option<&'w mut dyn Driver>,
        device_pixel_ratio: DevicePixelRatio,
        labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure>;

    /// What is done in it: by default, the policy is asked once and clicks.
    fn plan(&self, item: &Item) -> Box<dyn Decide> {
        Box::new(InOrder::click(item.instruction.clone()))
    }

    /// The practice pages, if it is them, for the record of the run.
    fn pages(&self) -> Option<PracticeSet> {
        None
    }
}

/// One thing to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What its world is reset with.
    pub seed: u64,
    /// What is asked.
    pub instruction: String,
    /// The groups that it belongs to: group and value. A group may have several.
    pub values: Vec<(&'static str, String)>,
    /// Probability of a uniform click to solve it, where that is known without playing it.
    pub chance: Option<f64>,
    /// Where it is on the screenshot, as far as that is known without playing it.
    pub targets: Vec<Rect<Screen>>,
    /// Whether what is asked for is not there: then it is right to do nothing.
    pub is_absent: bool,
}

/// An item that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// The item.
    pub item: Item,
    /// What came of it.
    pub episode: Episode,
}

impl Played {
    /// Whether it was solved; unknown if nobody could judge. What is not there is solved by doing nothing.
    pub fn is_right(&self) -> Option<bool> {
        match self.item.is_absent && self.episode.error().is_none() {
            true => Some(self.episode.steps.iter().all(|step| step.action.is_none())),
            false => self.episode.success,
        }
    }

    /// Whether something was done.
    pub fn is_answered(&self) -> bool {
        self.episode.steps.iter().any(|step| step.action.is_some())
    }

    /// What the eyes said last.
    pub fn sighting(&self) -> Option<&Sighting> {
        self.episode.steps.iter().flat_map(|step| &step.sightings).next_back()
    }
}

/// Why an item could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// There is no such item.
    #[error("{0}")]
    Item(#[source] Failure),
    /// The episode could not be kept.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// Plays an item; `device_pixel_ratio` is the driver's, `labels` are added to the record's.
///
/// # Errors
/// [`PlayError`] if there is no such item or a watcher failed; a world that fails is in the episode.
pub fn play<'w>(
    agent: &mut Agent<'_>,
    evaluation: &'w dyn Evaluation,
    idx: u64,
    driver: Option<&'w mut dyn Driver>,
    device_pixel_ratio: DevicePixelRatio,
    labels: &[(&str, &str)],
    watch: &mut dyn Watch,
) -> Result<Played, PlayError> {
    let item = evaluation.item(idx).map_err(PlayError::Item)?;
    let mut world = evaluation.world(idx, driver, device_pixel_ratio, labels).map_err(PlayError::Item)?;
    let episode = run_episode(agent, &mut *evaluation.plan(&item), &mut *world, item.seed, watch)?;
    drop(world);
    Ok(Played { item, episode })
}

/// How the policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With zoom turns.
    MultiTurn,
    /// One turn, which answers.
    SingleTurn,
    /// No policy is asked.
    Reading,
}

impl Mode {
    /// For tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::MultiTurn => "multi-turn",
            Self::SingleTurn => "single-turn",
            Self::Reading => "reading",
        }
    }
}

/// Successes out of judged episodes, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Episodes solved.
    pub n_success: usize,
    /// Episodes judged.
    pub n: usize,
    /// Share solved; 0 if none was judged.
    pub rate: f64,
    /// The interval.
    pub wilson95: (f64, f64),
}

impl Rate {
    /// Counts.
    pub fn of(successes: impl Iterator<Item = bool>) -> Self {
        let (mut n_success, mut n) = (0, 0);
        for success in successes {
            n += 1;
            n_success += usize::from(success);
        }
        let rate = n_success as f64 / (n.max(1)) as f64;
        Self { n_success, n, rate, wilson95: wilson95(n_success, n) }
    }

    /// As a cell of a table.
    pub fn in_words(&self) -> String {
        format!(
            "{:.1} % ({:.1} to {:.1})  {:>3}/{:<3}",
            self.rate * 100.0,
            self.wilson95.0 * 100.0,
            self.wilson95.1 * 100.0,
            self.n_success,
            self.n
        )
    }
}

/// What one mode did.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Items in order.
    pub played: Vec<Played>,
    /// Items that could not be played to a verdict: seed and reason.
    pub errors: Vec<(u64, String)>,
    /// Milliseconds of each episode, from the first screenshot to the verdict.
    pub millis: Vec<f64>,
}

impl Tally {
    /// Adds an item; one in which the world failed is an error and no episode.
    pub fn add(&mut self, played: Played) {
        match played.episode.error() {
            Some(error) => self.errors.push((played.item.seed, error.to_owned())),
            None => self.played.push(played),
        }
    }

    /// Items, also those on which the world failed.
    pub fn n(&self) -> u64 {
        (self.played.len() + self.errors.len()) as u64
    }

    fn rate(&self, keep: impl Fn(&Item) -> bool) -> Rate {
        let kept = self.played.iter().filter(|played| keep(&played.item));
        Rate::of(kept.filter_map(Played::is_right))
    }
}

/// Something for each value of each group.
type ByGroup<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Asks for every value of every group, and keeps what there is.
fn by_group<T>(
    groups: &[(&'static str, Vec<String>)],
    mut of: impl FnMut(&dyn Fn(&Item) -> bool) -> Option<T>,
) -> ByGroup<T> {
    let mut all = ByGroup::new();
    for (group, values) in groups {
        let value = |value: &String| {
            let is_of = |item: &Item| item.values.iter().any(|(of, its)| of == group && its == value);
            Some((value.clone(), of(&is_of)?))
        };
        all.insert(format!("by_{group}"), values.iter().filter_map(value).collect());
    }
    all
}

/// Success of a mode, all together and by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeResult {
    /// How the policy was asked.
    pub mode: Mode,
    /// All episodes.
    pub all: Rate,
    /// By each group of the evaluation; an item may count several times in one.
    #[serde(flatten)]
    pub by: ByGroup<Rate>,
    /// Answers, refusals and what the confidences were worth, where some things are not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// Zooms per episode.
    pub zooms_mean: f64,
    /// Median time of an episode.
    pub median_millis: f64,
    /// Episodes that a limit of steps, actions or time ended.
    pub n_step_limit: usize,
    /// Episodes in which a limit of tokens cut the policy off.
    pub n_token_limit: usize,
    /// Episodes in which the world failed.
    pub n_errors: usize,
    /// Reasons of the first few.
    pub errors: Vec<String>,
}

impl ModeResult {
    /// Sums up a mode.
    pub fn new(mode: Mode, tally: &Tally, evaluation: &dyn Evaluation) -> Self {
        let mut millis = tally.millis.clone();
        millis.sort_by(f64::total_cmp);
        let n_zooms: usize = tally.played.iter().map(|played| played.episode.n_zooms()).sum();
        let n_ended =
            |ending: Ending| tally.played.iter().filter(|played| played.episode.ending == ending).count();
        let errors = tally.errors.iter().take(5).map(|(seed, error)| format!("page {seed}: {error}"));
        Self {
            mode,
            all: tally.rate(|_| true),
            by: by_group(&evaluation.groups(), |keep| Some(tally.rate(keep)).filter(|rate| rate.n > 0)),
            answers: Answers::of(&tally.played),
            zooms_mean: n_zooms as f64 / tally.millis.len().max(1) as f64,
            median_millis: millis.get(millis.len() / 2).copied().unwrap_or_default().round(),
            n_step_limit: n_ended(Ending::StepLimit),
            n_token_limit: n_ended(Ending::TokenLimit),
            n_errors: tally.errors.len(),
            errors: errors.collect(),
        }
    }
}

/// The exact success rate of uniform clicks on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RandomClicker {
    /// How the numbers were made.
    pub method: &'static str,
    /// All episodes.
    pub all: f64,
    /// By each group of the evaluation.
    #[serde(flatten)]
    pub by: ByGroup<f64>,
}

impl RandomClicker {
    /// The exact rate on items that were played; nothing where it is known of none.
    pub fn on(played: &[Played], evaluation: &dyn Evaluation) -> Option<Self> {
        if !played.is_empty() && played.iter().all(|played| played.item.chance.is_none()) {
            return None;
        }
        let mean = |keep: &dyn Fn(&Item) -> bool| {
            let items = played.iter().map(|played| &played.item).filter(|item| keep(item));
            let chances: Vec<f64> = items.filter_map(|item| item.chance).collect();
            (!chances.is_empty()).then(|| chances.iter().sum::<f64>() / chances.len() as f64)
        };
        Some(Self {
            method: "exact expectation of a uniform click: area of the target / area of the page",
            all: mean(&|_| true).unwrap_or_default(),
            by: by_group(&evaluation.groups(), mean),
        })
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationResult {
    /// Name and version of the benchmark.
    pub benchmark: &'static str,
    /// Name of the policy.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
    /// The server that has them, where they are not on this machine: then nothing else is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointRecord>,
    /// The command.
    pub command: String,
    /// The commit of the program.
    pub commit: String,
    /// What was played.
    pub set: serde_json::Value,
    /// Whether it was broken off before every item was played in every mode.
    pub truncated: bool,
    /// One entry per mode.
    pub modes: Vec<ModeResult>,
    /// The baseline, where it is known without playing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_clicker: Option<RandomClicker>,
    /// What is played, for people.
    #[serde(skip)]
    pub title: String,
    /// Items that were played.
    #[serde(skip)]
    pub n_played: u64,
    /// The rows of the table.
    #[serde(skip)]
    pub groups: Vec<(&'static str, Vec<String>)>,
}

impl EvaluationResult {
    /// The result as a table for people.
    pub fn table(&self) -> String {
        let mut out =
            format!("{} · {} · {} · commit {}\n", self.benchmark, self.title, self.model, self.commit);
        if self.truncated {
            out += &format!("broken off: {} pages were played\n", self.n_played);
        }
        out += &format!("\n{:<16}", "");
        out.extend(self.modes.iter().map(|mode| format!("{:>34}", mode.mode.label())));
        let clicker = self.random_clicker.as_ref();
        out += &clicker.map_or_else(String::new, |_| format!("{:>15}", "random clicker"));
        out += "\n";
        out += &self.row("all", |mode| Some(mode.all), clicker.map(|clicker| clicker.all));
        for (group, values) in &self.groups {
            let group = format!("by_{group}");
            for value in values {
                let random = clicker.and_then(|clicker| clicker.by.get(&group)?.get(value)).copied();
                let rate = |mode: &ModeResult| mode.by.get(&group).and_then(|by| by.get(value)).copied();
                out += &self.row(value, rate, random);
            }
        }
        for mode in &self.modes {
            out += &format!(
                "\n{}: {:.2} zooms and {:.0} ms (median) per episode; ended by the limit of steps: {}, by the limit of tokens: {}; {} not judged because the world failed\n",
                mode.mode.label(),
                mode.zooms_mean,
                mode.median_millis,
                mode.n_step_limit,
                mode.n_token_limit,
                mode.n_errors
            );
            out.extend(mode.answers.iter().map(Answers::in_words));
            out.extend(mode.errors.iter().map(|error| format!("  {error}\n")));
        }
        out
    }

    fn row(&self, name: &str, rate: impl Fn(&ModeResult) -> Option<Rate>, random: Option<f64>) -> String {
        if random.is_none() && self.modes.iter().all(|mode| rate(mode).is_none()) {
            return String::new();
        }
        let mut out = format!("{name:<16}");
        for mode in &self.modes {
            let cell = rate(mode).map_or_else(String::new, |rate| rate.in_words());
            out += &format!("{cell:>34}");
        }
        out += &random.map_or_else(String::new, |random| format!("{:>13.1} %", random * 100.0));
        out + "\n"
    }
}
