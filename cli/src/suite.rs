//! What became of tasks that are played several times.
//!
//! Invariant: what has not been played is in it from the start, so that it can be written down at any moment; where
//! the world failed, a task is neither solved nor not, and is counted apart.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use vigorl_runs::{Stamp, wilson95};

/// One task, all its repetitions.
#[derive(Debug)]
pub(crate) struct Suite {
    /// As it was typed: a file, or what to click.
    pub(crate) given: String,
    /// For people.
    pub(crate) name: String,
    /// What its file marks it with.
    pub(crate) tags: Vec<String>,
    /// Whether somebody says that it is solved; otherwise it is done when every step was.
    pub(crate) is_judged: bool,
    pub(crate) started_at: Stamp,
    /// How often it is played, each row of its table for itself.
    pub(crate) n_times: usize,
    /// All times of the first row, then those of the next one.
    pub(crate) repetitions: Vec<Repetition>,
}

/// The row of a task's table that it is played with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlayedRow {
    /// From 1.
    pub(crate) number: usize,
    /// What the task is called with it.
    pub(crate) name: String,
}

/// One time that a task is played.
#[derive(Debug)]
pub(crate) struct Repetition {
    pub(crate) row: Option<PlayedRow>,
    pub(crate) seed: u64,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// The folder of its run and its report, if there was something to record.
    pub(crate) record: Option<(PathBuf, PathBuf)>,
    /// What was tried before it and is not what counts, in order.
    pub(crate) earlier: Vec<Repetition>,
}

impl Repetition {
    /// Solved, but not at once.
    pub(crate) fn is_flaky(&self) -> bool {
        self.outcome == Outcome::Solved && !self.earlier.is_empty()
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Solved, or done where nobody judges.
    Solved,
    /// Why not.
    NotSolved(String),
    /// What failed in the world.
    Failed(String),
    /// Not at all, or not to its end.
    NotPlayed,
}

/// How many ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) n_solved: usize,
    /// Of these, not at once.
    pub(crate) n_flaky: usize,
    pub(crate) n_not_solved: usize,
    pub(crate) n_failed: usize,
    pub(crate) n_not_played: usize,
}

impl Counts {
    pub(crate) fn of<'a>(suites: impl IntoIterator<Item = &'a Suite>) -> Self {
        let mut counts = Self::default();
        for repetition in suites.into_iter().flat_map(|suite| &suite.repetitions) {
            *match repetition.outcome {
                Outcome::Solved => &mut counts.n_solved,
                Outcome::NotSolved(_) => &mut counts.n_not_solved,
                Outcome::Failed(_) => &mut counts.n_failed,
                Outcome::NotPlayed => &mut counts.n_not_played,
            } += 1;
            counts.n_flaky += usize::from(repetition.is_flaky());
        }
        counts
    }

    /// All of them.
    pub(crate) fn n(self) -> usize {
        self.n_judged() + self.n_failed + self.n_not_played
    }

    fn n_judged(self) -> usize {
        self.n_solved + self.n_not_solved
    }

    /// `3 of 4 solved = 75 %  (95 % interval 30 to 95 %), 1 failed`.
    pub(crate) fn in_words(self, solved: &str) -> String {
        let (k, n) = (self.n_solved, self.n_judged());
        let rate = match n {
            0 => format!("none {solved}"),
            n => {
                let (low, high) = wilson95(k, n);
                let [rate, low, high] = [k as f64 / n as f64, low, high].map(|share| share * 100.0);
                format!("{k} of {n} {solved} = {rate:.0} %  (95 % interval {low:.0} to {high:.0} %)")
            }
        };
        let rest = [(self.n_flaky, "flaky"), (self.n_failed, "failed"), (self.n_not_played, "not played")];
        let rest = rest.iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!(", {n} {how}"));
        rest.fold(rate, |words, more| format!("{words}{more}"))
    }

    fn to_json(self) -> Value {
        json!({
            "n_solved": self.n_solved, "n_flaky": self.n_flaky, "n_not_solved": self.n_not_solved,
            "n_failed": self.n_failed, "n_not_played": self.n_not_played, "success_wilson95": wilson95(self.n_solved, self.n_judged()),
        })
    }
}

impl Repetition {
    fn to_json(&self) -> Value {
        let (outcome, detail) = match &self.outcome {
            Outcome::Solved => ("solved", None),
            Outcome::NotSolved(detail) => ("not_solved", Some(detail)),
            Outcome::Failed(message) => ("failed", Some(message)),
            Outcome::NotPlayed => ("not_played", None),
        };
        let (run_dir, report) = self.record.as_ref().map(|(dir, report)| (dir, report)).unzip();
        let mut all = json!({
            "outcome": outcome, "detail": detail, "seed": self.seed,
            "secs": (self.took.as_secs_f64() * 1e3).round() / 1e3, "run_dir": run_dir, "report": report,
        });
        if let Some(row) = &self.row {
            (all["row"], all["name"]) = (row.number.into(), row.name.as_str().into());
        }
        if !self.earlier.is_empty() {
            all["flaky"] = self.is_flaky().into();
            all["earlier"] = self.earlier.iter().map(Self::to_json).collect();
        }
        all
    }
}

impl Suite {
    /// Which repetition it is, for people: `2`, or `row 3`, or `row 3, 2`.
    pub(crate) fn label(&self, idx: usize) -> String {
        let time = idx % self.n_times.max(1) + 1;
        match self.repetitions.get(idx).and_then(|repetition| repetition.row.as_ref()) {
            None => time.to_string(),
            Some(row) if self.n_times > 1 => format!("row {}, {time}", row.number),
            Some(row) => format!("row {}", row.number),
        }
    }

    /// What it is to be a success.
    pub(crate) fn solved(&self) -> &'static str {
        if self.is_judged { "solved" } else { "done" }
    }

    /// How a repetition ended, for people.
    pub(crate) fn in_words(&self, repetition: &Repetition) -> String {
        match &repetition.outcome {
            Outcome::Solved if repetition.is_flaky() => {
                format!("{} in try {}, so it is flaky", self.solved(), repetition.earlier.len() + 1)
            }
            Outcome::Solved => self.solved().to_owned(),
            Outcome::NotSolved(detail) => format!("not {}: {detail}", self.solved()),
            Outcome::Failed(message) => format!("failed: {message}"),
            Outcome::NotPlayed => "not played to its end".to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        let mut all = json!({ "task": self.given, "name": self.name, "judged": self.is_judged });
        all["counts"] = Counts::of([self]).to_json();
        all["repetitions"] = self.repetitions.iter().map(Repetition::to_json).collect();
        all
    }
}

/// All of it, for programs.
pub(crate) fn to_json(suites: &[Suite]) -> Value {
    let tasks: Vec<Value> = suites.iter().map(Suite::to_json).collect();
    json!({ "tasks": tasks, "counts": Counts::of(suites).to_json() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(outcomes: impl IntoIterator<Item = Outcome>) -> Suite {
        let repetition = |outcome| {
            let (took, earlier) = (Duration::ZERO, Vec::new());
            Repetition { row: None, seed: 0, outcome, took, record: None, earlier }
        };
        Suite {
            given: "a.yaml".to_owned(),
            name: "a".to_owned(),
            tags: Vec::new(),
            is_judged: true,
            started_at: Stamp::from_unix_millis(0),
            n_times: 9,
            repetitions: outcomes.into_iter().map(repetition).collect(),
        }
    }

    #[test]
    fn repetitions_are_called_by_their_rows_and_by_their_number() {
        let mut suite = suite([Outcome::Solved, Outcome::Solved, Outcome::NotPlayed, Outcome::NotPlayed]);
        assert_eq!([0, 3].map(|idx| suite.label(idx)), ["1", "4"]);
        for (idx, repetition) in suite.repetitions.iter_mut().enumerate() {
            repetition.row = Some(PlayedRow { number: 3 + idx / 2, name: "greet Ada, row 3".to_owned() });
        }
        suite.n_times = 2;
        assert_eq!([0, 1, 2].map(|idx| suite.label(idx)), ["row 3, 1", "row 3, 2", "row 4, 1"]);
        let json = suite.to_json();
        let third = &json["repetitions"][2];
        assert_eq!((&third["row"], &third["name"]), (&4.into(), &"greet Ada, row 3".into()));
        suite.n_times = 1;
        assert_eq!(suite.label(3), "row 4");
    }

    #[test]
    fn failures_of_the_world_and_what_was_not_played_are_counted_apart() {
        let no = || Outcome::NotSolved("x".to_owned());
        let check = |outcomes: Vec<Outcome>, expected: &str| {
            assert_eq!(Counts::of([&suite(outcomes)]).in_words("solved"), expected);
        };
        check(vec![], "none solved");
        check(vec![Outcome::NotPlayed], "none solved, 1 not played");
        check(vec![Outcome::Solved, no()], "1 of 2 solved = 50 %  (95 % interval 9 to 91 %)");
        check(
            vec![Outcome::Solved, Outcome::Failed("x".to_owned()), Outcome::NotPlayed],
            "1 of 1 solved = 100 %  (95 % interval 21 to 100 %), 1 failed, 1 not played",
        );
        let mut flaky = suite([Outcome::Solved, no()]);
        flaky.repetitions[0].earlier = suite([no()]).repetitions;
        flaky.repetitions[1].earlier = suite([no()]).repetitions;
        let words = Counts::of([&flaky]).in_words("solved");
        assert_eq!(words, "1 of 2 solved = 50 %  (95 % interval 9 to 91 %), 1 flaky");
        let json = to_json(&[flaky]);
        let [first, second] = [0, 1].map(|at| json["tasks"][0]["repetitions"][at].clone());
        assert_eq!((&first["flaky"], &first["earlier"][0]["outcome"]), (&true.into(), &"not_solved".into()));
        assert_eq!(second["flaky"], false, "what stays unsolved is not flaky: {second}");
        let json = to_json(&[suite([Outcome::Solved, no()]), suite([no()])]);
        assert_eq!((&json["counts"]["n_solved"], &json["counts"]["n_not_solved"]), (&1.into(), &2.into()));
        assert_eq!(json["tasks"][0]["repetitions"][1]["detail"], "x");
    }
}
