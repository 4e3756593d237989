//! What is measured, where it is written, and how it is summed up.
//!
//! Invariant: every name in `metrics.jsonl` is in [`METRICS`] (held-out names are `heldout/SET/` in front of
//! one of [`HELD_OUT`]), and each has one definition, here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use vigorl_files::write_whole;

use crate::error::TrainingError;
use crate::loss::{Outcome, TokenKind};
use crate::sample::NumberTokens;

/// A panel of `curves.png`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Losses, in nats.
    Loss,
    /// Errors of coordinates, in pixels.
    Error,
    /// Shares of right tokens, and the learning rate.
    Right,
    /// Shares of held-out answers in the target box.
    InBox,
}

/// A metric's name and definition, and where it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Key in `metrics.jsonl`.
    pub name: &'static str,
    /// What is computed, over the steps since the last line.
    pub definition: &'static str,
    /// The panel of its curve and what the curve is called there; held-out curves are called by their sets.
    pub curve: Option<(Panel, &'static str)>,
}

const fn drawn(name: &'static str, panel: Panel, label: &'static str, definition: &'static str) -> Metric {
    Metric { name, definition, curve: Some((panel, label)) }
}

const fn listed(name: &'static str, definition: &'static str) -> Metric {
    Metric { name, definition, curve: None }
}

/// The key of a metric of [`HELD_OUT`], measured on the set of that name.
pub fn held_out_key(set: &str, name: &str) -> String {
    format!("heldout/{set}/{name}")
}

/// The set and the name of a held-out metric's key; nothing for other keys.
pub fn set_and_name(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("heldout/")?.rsplit_once('/')
}

/// Metrics of training steps.
pub const METRICS: [Metric; 19] = [
    drawn("loss/total", Panel::Loss, "all", "weighted mean divergence from the targets, nats per token"),
    drawn(
        "loss/number",
        Panel::Loss,
        "coordinates",
        "mean divergence at first mentions of coordinates, nats",
    ),
    drawn("loss/word", Panel::Loss, "words", "mean divergence at words and decisions, nats"),
    listed("loss/syntax", "mean divergence at tags, brackets and turn ends, nats"),
    drawn(
        "accuracy/word",
        Panel::Right,
        "words",
        "share of words and decisions whose likeliest token is right",
    ),
    drawn(
        "accuracy/number",
        Panel::Right,
        "coordinates, exact",
        "share of coordinates whose likeliest token is exactly right",
    ),
    drawn("loss/patch", Panel::Loss, "patches", "mean divergence at merged patches that show a widget, nats"),
    drawn("accuracy/patch", Panel::Right, "patches", "share of them whose noun beats every wrong word"),
    drawn(
        "loss/gaze",
        Panel::Loss,
        "looks",
        "mean of minus the logarithm of the attention on the widget, nats",
    ),
    listed("accuracy/gaze", "share of looks whose most attended token shows the widget"),
    drawn(
        "error/number_median_px",
        Panel::Error,
        "training",
        "median distance of the likeliest coordinate, one axis",
    ),
    drawn(
        "optim/lr_share",
        Panel::Right,
        "learning rate / peak",
        "learning rate as a share of its peak, stage scale included",
    ),
    listed("optim/gradient_norm", "length of the gradient before clipping, mean"),
    listed("data/pages", "pages seen since the start"),
    listed("data/questions", "questions seen since the start"),
    listed("data/tokens_per_question", "tokens of rows, images included, per question"),
    listed("time/secs", "time in training steps since the start"),
    listed("time/step_secs", "time per step, mean"),
    listed("time/questions_per_sec", "questions per second of training steps"),
];

/// Metrics of held-out pages, each behind `heldout/SET/`. Teacher-forced: the true text stands before each token.
pub const HELD_OUT: [Metric; 10] = [
    listed("loss_number", "mean divergence at first mentions of coordinates, nats"),
    listed("accuracy_word", "share of words and decisions whose likeliest token is right"),
    listed("accuracy_patch", "share of patches whose noun beats every wrong word"),
    listed("accuracy_gaze", "share of looks whose most attended token shows the widget"),
    drawn("error_median_px", Panel::Error, "", "median distance of the likeliest coordinate, one axis"),
    drawn("in_box", Panel::InBox, "", "share of answers whose likeliest point lies in the target box"),
    listed("in_box_small", "the same for targets under 14 px"),
    listed("in_box_medium", "the same for targets of 14 to 24 px"),
    listed("in_box_large", "the same for targets over 24 px"),
    listed("in_box_zoomed", "the same for answers given after at least one zoom turn"),
];

/// Sums of token outcomes.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    kinds: BTreeMap<TokenKind, KindTally>,
    number_errors_px: Vec<u32>,
    weighted: f64,
    weight: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct KindTally {
    n: u64,
    n_right: u64,
    divergence: f64,
}

impl Tally {
    /// Adds one token.
    pub fn add(&mut self, outcome: &Outcome, numbers: &NumberTokens) {
        let kind = self.kinds.entry(outcome.kind).or_default();
        kind.n += 1;
        kind.n_right += u64::from(outcome.argmax == outcome.truth);
        kind.divergence += f64::from(outcome.divergence);
        self.weighted += f64::from(outcome.divergence * outcome.weight);
        self.weight += f64::from(outcome.weight);
        let values = numbers.value_of(outcome.argmax).zip(numbers.value_of(outcome.truth));
        if let (TokenKind::Number, Some((said, truth))) = (outcome.kind, values) {
            self.number_errors_px.push(said.abs_diff(truth));
        }
    }

    /// Adds all of another tally.
    pub fn merge(&mut self, other: &Self) {
        for (kind, tally) in &other.kinds {
            let own = self.kinds.entry(*kind).or_default();
            own.n += tally.n;
            own.n_right += tally.n_right;
            own.divergence += tally.divergence;
        }
        self.number_errors_px.extend(&other.number_errors_px);
        self.weighted += other.weighted;
        self.weight += other.weight;
    }

    /// Sum of weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Weighted mean divergence.
    pub fn mean_loss(&self) -> f64 {
        self.weighted / self.weight.max(f64::MIN_POSITIVE)
    }

    /// Mean divergence of one kind of token, if there was any.
    pub fn loss(&self, kind: TokenKind) -> Option<f64> {
        self.kinds.get(&kind).map(|k| k.divergence / k.n as f64)
    }

    /// Share of exactly right tokens of one kind, if there was any.
    pub fn accuracy(&self, kind: TokenKind) -> Option<f64> {
        self.kinds.get(&kind).map(|k| k.n_right as f64 / k.n as f64)
    }

    /// Median distance of first mentions of coordinates, if there was any.
    pub fn median_error_px(&self) -> Option<f64> {
        let mut errors = self.number_errors_px.clone();
        let middle = errors.len() / 2;
        (!errors.is_empty()).then(|| f64::from(*errors.select_nth_unstable(middle).1))
    }
}

/// One line of `metrics.jsonl`: a step and values by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Values by metric name.
    pub values: BTreeMap<String, f64>,
}

impl Record {
    /// An empty record of a step.
    pub fn at(step: u64) -> Self {
        Self { step, values: BTreeMap::new() }
    }

    /// Sets a value; absent values are left out.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.values.insert(name.into(), value);
        }
    }

    fn to_line(&self) -> String {
        let mut line = Map::from_iter([("step".to_owned(), self.step.into())]);
        // Six digits are more than any curve needs.
        let short = |v: f64| format!("{v:.6e}").parse::<f64>().unwrap_or(v);
        line.extend(self.values.iter().map(|(name, &value)| (name.clone(), short(value).into())));
        format!("{}\n", Value::Object(line))
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut map: Map<String, Value> = serde_json::from_str(line).ok()?;
        let step = map.remove("step")?.as_u64()?;
        let values = map.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
        Some(Self { step, values })
    }
}

/// `metrics.jsonl` of a run, in memory and on disk.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    records: Vec<Record>,
}

impl MetricsLog {
    /// Opens the log of a run, forgetting lines after `step`: a resumed run writes them again.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn open(path: &Path, step: u64) -> Result<Self, TrainingError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(TrainingError::file("read", path)(e)),
        };
        // A line cut off by a crash does not parse and is dropped.
        let records: Vec<Record> =
            text.lines().filter_map(Record::from_line).filter(|r| r.step <= step).collect();
        let kept: String = records.iter().map(Record::to_line).collect();
        write_whole(path, kept.as_bytes()).map_err(TrainingError::file("write", path))?;
        Ok(Self { path: path.to_owned(), records })
    }

    /// Appends a record and flushes it.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn append(&mut self, record: Record) -> Result<(), TrainingError> {
        let file = fs::OpenOptions::new().append(true).create(true).open(&self.path);
        let write = |mut file: fs::File| file.write_all(record.to_line().as_bytes());
        file.and_then(write).map_err(TrainingError::file("write", &self.path))?;
        self.records.push(record);
        Ok(())
    }

    /// All records so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_forgets_what_comes_after_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        for step in [10, 20, 30] {
            let mut record = Record::at(step);
            record.set("loss/total", 1.0 / step as f64);
            record.set("loss/word", None);
            log.append(record).unwrap();
        }
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"step\": 4").unwrap();
        let resumed = MetricsLog::open(&path, 20).unwrap();
        assert_eq!(resumed.records(), &log.records()[..2]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn tallies_add_up() {
        let outcome = |argmax, kind, weight| Outcome { divergence: 0.5, argmax, truth: 7, kind, weight };
        let numbers = NumberTokens::up_to(320);
        let mut tally = Tally::default();
        tally.add(&outcome(9, TokenKind::Number, 1.0), &numbers);
        tally.add(&outcome(7, TokenKind::Word, 0.5), &numbers);
        let mut both = tally.clone();
        both.merge(&tally);
        assert_eq!(both.weight(), 3.0);
        assert_eq!(both.mean_loss(), 0.5);
        assert_eq!(both.accuracy(TokenKind::Word), Some(1.0));
        assert_eq!(both.accuracy(TokenKind::Number), Some(0.0));
        assert_eq!(both.median_error_px(), Some(2.0));
        assert_eq!(both.loss(TokenKind::Syntax), None);
    }
}
