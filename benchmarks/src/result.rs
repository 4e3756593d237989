//! What came of an evaluation: rates by group, averages, and the table.
//!
//! Invariants: an average says over what it is taken, because published tables mix those over items with those over cells; the
//! random clicker's rate is not sampled but exact: a click drawn uniformly over the screen hits with probability (area of the
//! target) / (area of the screen).

use std::collections::BTreeMap;

use serde::Serialize;
use vigorl_agent::Ending;
use vigorl_judges::scoring::Correctness;
use vigorl_runs::record::EndpointRecord;
use vigorl_runs::wilson95;

use crate::answers::Answers;
use crate::evaluation::{Evaluation, Item, Mode, Played, Tally};

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

/// The mean of the success rates of a group's values, in which each value weighs alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Average {
    /// The group.
    pub over: &'static str,
    /// How many of its values were played.
    pub n_values: usize,
    /// How many it has.
    pub n_known: usize,
    /// The mean over those that were played.
    pub mean: f64,
}

impl Average {
    fn of(over: &'static str, n_known: usize, rates: &BTreeMap<String, Rate>) -> Self {
        let sum: f64 = rates.values().map(|rate| rate.rate).sum();
        Self { over, n_values: rates.len(), n_known, mean: sum / rates.len().max(1) as f64 }
    }

    fn in_words(&self) -> String {
        let n = match self.n_values == self.n_known {
            true => self.n_known.to_string(),
            false => format!("{} of {}", self.n_values, self.n_known),
        };
        format!("macro over {n} of `{}` {:.2} %", self.over, self.mean * 100.0)
    }
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
    /// Answers that could not be read; they are among those that are not right.
    pub n_wrong_format: usize,
    /// Means over the values of groups, where such are published; `all` is the mean over items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macro_averages: Vec<Average>,
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
        let errors = tally.errors.iter().take(5).map(|(item, error)| format!("{}: {error}", item.id));
        let groups = evaluation.groups();
        let by = by_group(&groups, |keep| Some(tally.rate(keep)).filter(|rate| rate.n > 0));
        let averages = evaluation.macro_groups().into_iter().filter_map(|over| {
            let (_, values) = groups.iter().find(|(group, _)| *group == over)?;
            Some(Average::of(over, values.len(), by.get(&format!("by_{over}"))?))
        });
        let is_unread = |played: &&Played| played.outcome() == Some(Correctness::WrongFormat);
        Self {
            mode,
            all: tally.rate(|_| true),
            macro_averages: averages.collect(),
            by,
            answers: Answers::of(&tally.played),
            n_wrong_format: tally.played.iter().filter(is_unread).count(),
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
    /// What must be known of the set to read its numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
        let width = self.name_width();
        out += &format!("\n{:<width$}", "");
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
            if !mode.macro_averages.is_empty() {
                let macros: Vec<String> = mode.macro_averages.iter().map(Average::in_words).collect();
                out += &format!(
                    "  micro over {} items {:.2} %; {}\n  wrong format: {} of {}, each counted as wrong\n",
                    mode.all.n,
                    mode.all.rate * 100.0,
                    macros.join("; "),
                    mode.n_wrong_format,
                    mode.all.n
                );
            }
            out.extend(mode.answers.iter().map(Answers::in_words));
            out.extend(mode.errors.iter().map(|error| format!("  {error}\n")));
        }
        if !self.notes.is_empty() {
            out += "\n";
            out.extend(self.notes.iter().map(|note| format!("{note}\n")));
        }
        out
    }

    /// Room for the longest name of a row.
    fn name_width(&self) -> usize {
        let names = self.groups.iter().flat_map(|(_, values)| values);
        names.map(|name| name.chars().count() + 1).fold(16, usize::max)
    }

    fn row(&self, name: &str, rate: impl Fn(&ModeResult) -> Option<Rate>, random: Option<f64>) -> String {
        if random.is_none() && self.modes.iter().all(|mode| rate(mode).is_none()) {
            return String::new();
        }
        let width = self.name_width();
        let mut out = format!("{name:<width$}");
        for mode in &self.modes {
            let cell = rate(mode).map_or_else(String::new, |rate| rate.in_words());
            out += &format!("{cell:>34}");
        }
        out += &random.map_or_else(String::new, |random| format!("{:>13.1} %", random * 100.0));
        out + "\n"
    }
}
