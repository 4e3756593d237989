//! Where metrics are written, and how outcomes of tokens are summed up. What the names mean is said by the tables of
//! `vigorl_metrics`, which know no tensors: whoever only looks at a training reads the same ones.
//!
//! Invariant: a line of `metrics.jsonl` and the event that TensorBoard reads are of the same record.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use vigorl_files::write_whole;

use crate::error::TrainingError;
use crate::events::EventsFile;
use crate::loss::{Outcome, TokenKind};
use crate::sample::NumberTokens;

pub use vigorl_metrics::tables::{BY_REWARD, BY_REWARD_HELD_OUT, SUPERVISED, SUPERVISED_HELD_OUT};
pub use vigorl_metrics::{Kind, Metric, Record, held_out_key, set_and_name};

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

/// `metrics.jsonl` of a run, in memory and on disk, and the same for TensorBoard.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    records: Vec<Record>,
    /// The last step before this log was opened.
    opened_at: u64,
    /// Begun with the first record: a run that only looks whether there is something to do leaves no file.
    events: Option<EventsFile>,
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
        let records: Vec<Record> = Record::all_of(&text).into_iter().filter(|r| r.step <= step).collect();
        let kept: String = records.iter().map(Record::to_line).collect();
        write_whole(path, kept.as_bytes()).map_err(TrainingError::file("write", path))?;
        Ok(Self { path: path.to_owned(), records, opened_at: step, events: None })
    }

    /// Appends a record and flushes it, and writes its event.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn append(&mut self, record: Record) -> Result<(), TrainingError> {
        let file = fs::OpenOptions::new().append(true).create(true).open(&self.path);
        let write = |mut file: fs::File| file.write_all(record.to_line().as_bytes());
        file.and_then(write).map_err(TrainingError::file("write", &self.path))?;
        self.write_event(&record)?;
        self.records.push(record);
        Ok(())
    }

    /// Adds what else is known of a step: to its record if that is the last one, or as a new one.
    ///
    /// # Errors
    /// [`TrainingError::File`]; the file has the record as it was, or as it is now.
    pub fn add(&mut self, record: Record) -> Result<(), TrainingError> {
        let Some(last) = self.records.last_mut().filter(|last| last.step == record.step) else {
            return self.append(record);
        };
        last.values.extend(record.values.clone());
        let lines: String = self.records.iter().map(Record::to_line).collect();
        write_whole(&self.path, lines.as_bytes()).map_err(TrainingError::file("write", &self.path))?;
        self.write_event(&record)
    }

    fn write_event(&mut self, record: &Record) -> Result<(), TrainingError> {
        let events = match &mut self.events {
            Some(events) => events,
            none => {
                none.insert(EventsFile::create(self.path.parent().unwrap_or(Path::new("")), self.opened_at)?)
            }
        };
        events.append(record)
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
    fn what_is_known_later_of_a_step_stands_in_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        let of = |step: u64, name: &str, value: f64| {
            let mut record = Record::at(step);
            record.set(name, value);
            record
        };
        for record in [of(0, "a", 1.0), of(0, "b", 2.0), of(1, "a", 3.0), of(1, "a", 4.0), of(1, "b", 5.0)] {
            log.add(record).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let found: Vec<(u64, Vec<f64>)> =
            Record::all_of(&text).iter().map(|r| (r.step, r.values.values().copied().collect())).collect();
        assert_eq!(found, [(0, vec![1.0, 2.0]), (1, vec![4.0, 5.0])]);
        assert_eq!(log.records(), Record::all_of(&text));
        // The next session adds to what it finds.
        let mut log = MetricsLog::open(&path, 1).unwrap();
        log.add(of(1, "c", 6.0)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert_eq!(Record::all_of(&text)[1].values["c"], 6.0);
    }

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
        // Only a log with records has events.
        let n_events = || {
            let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().starts_with("events.out.tfevents.")).count()
        };
        assert_eq!(n_events(), 1);
        let mut resumed = resumed;
        resumed.append(Record::at(30)).unwrap();
        assert_eq!(n_events(), 2);
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
