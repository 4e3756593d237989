//! How answers are scored by the published rules of benchmarks: verdicts, what is counted of them, and their shares.
//!
//! Invariants: an answer of which nothing could be read is wrong and stays in every denominator. A share of no answers is not
//! known; it is not 0.
//! Source: the harnesses of ScreenSpot (SeeClick@0ef37ac), ScreenSpot-Pro (@bd8bbbb) and ViGoRL (grounded-rl@e7970c0), as
//! summarised in the specification's sections on single-step grounding and on judges.

use serde::{Deserialize, Serialize};

pub mod consistency;
pub(crate) mod line;
mod parser;
mod pro;
mod target;
pub(crate) mod vigorl;

pub use parser::{Counts, Parser};
pub use pro::{Cell, ProMetrics, ProRow};
pub use target::{Prediction, Shape, Space, Target, TargetError};
pub use vigorl::{RolloutError, TextMatch, text_match, vigorl_grounding, vigorl_text};

/// The verdict on one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correctness {
    /// It is right.
    Correct,
    /// It could be read, and it is not right.
    Wrong,
    /// Nothing could be read. It counts as a wrong answer, and is counted apart as well.
    WrongFormat,
}

impl Correctness {
    /// All of them, by the words that harnesses write.
    pub const NAMED: [(&str, Self); 3] =
        [("correct", Self::Correct), ("wrong", Self::Wrong), ("wrong_format", Self::WrongFormat)];

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::WrongFormat => "wrong_format",
        }
    }

    /// The verdict on an answer that could be read.
    pub fn of(is_right: bool) -> Self {
        if is_right { Self::Correct } else { Self::Wrong }
    }
}

/// What is counted of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    n: u64,
    n_correct: u64,
    n_wrong_format: u64,
}

impl Tally {
    /// Counts an answer.
    pub fn add(&mut self, correctness: Correctness) {
        self.n += 1;
        self.n_correct += u64::from(correctness == Correctness::Correct);
        self.n_wrong_format += u64::from(correctness == Correctness::WrongFormat);
    }

    /// All answers.
    pub fn n(self) -> u64 {
        self.n
    }

    /// Those that are right.
    pub fn n_correct(self) -> u64 {
        self.n_correct
    }

    /// Those of which nothing could be read.
    pub fn n_wrong_format(self) -> u64 {
        self.n_wrong_format
    }

    /// The share of right answers, from 0 to 1; nothing if there are no answers.
    pub fn accuracy(self) -> Option<f64> {
        (self.n > 0).then(|| self.n_correct as f64 / self.n as f64)
    }

    /// The answers of two cells together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            n_correct: self.n_correct + other.n_correct,
            n_wrong_format: self.n_wrong_format + other.n_wrong_format,
        }
    }
}

impl FromIterator<Correctness> for Tally {
    fn from_iter<I: IntoIterator<Item = Correctness>>(verdicts: I) -> Self {
        let mut tally = Self::default();
        verdicts.into_iter().for_each(|verdict| tally.add(verdict));
        tally
    }
}

/// The mean over all answers of some cells: right ones by all of them. Nothing if there are no answers.
pub fn micro_mean(cells: &[Tally]) -> Option<f64> {
    cells.iter().copied().fold(Tally::default(), Tally::and).accuracy()
}

/// The mean of the cells' shares, whatever their sizes. Nothing if there is no cell, or one without answers.
pub fn macro_mean(cells: &[Tally]) -> Option<f64> {
    let shares: Vec<f64> = cells.iter().map(|cell| cell.accuracy()).collect::<Option<_>>()?;
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(n_correct: usize, n_wrong: usize, n_wrong_format: usize) -> Tally {
        let of = |n, correctness| std::iter::repeat_n(correctness, n);
        of(n_correct, Correctness::Correct)
            .chain(of(n_wrong, Correctness::Wrong))
            .chain(of(n_wrong_format, Correctness::WrongFormat))
            .collect()
    }

    #[test]
    fn what_could_not_be_read_stays_in_the_denominator() {
        let tally = cell(1, 2, 1);
        assert_eq!((tally.n(), tally.n_correct(), tally.n_wrong_format()), (4, 1, 1));
        assert_eq!(tally.accuracy(), Some(0.25));
    }

    #[test]
    fn a_share_of_nothing_is_not_known() {
        let none = Tally::default();
        assert_eq!(none.accuracy(), None);
        assert_eq!((micro_mean(&[]), macro_mean(&[])), (None, None));
        assert_eq!((micro_mean(&[none]), macro_mean(&[none])), (None, None));
        // A mean over answers does not miss a cell that has none; a mean over cells does.
        assert_eq!(
            (micro_mean(&[cell(1, 1, 0), none]), macro_mean(&[cell(1, 1, 0), none])),
            (Some(0.5), None)
        );
    }

    #[test]
    fn micro_and_macro_means_differ_where_cells_differ_in_size() {
        let cells = [cell(9, 0, 0), cell(0, 1, 0)];
        assert_eq!((micro_mean(&cells), macro_mean(&cells)), (Some(0.9), Some(0.5)));
    }

    #[test]
    fn verdicts_have_the_words_of_the_harnesses() {
        for (word, correctness) in Correctness::NAMED {
            assert_eq!(correctness.as_str(), word);
            assert_eq!(serde_json::to_value(correctness).unwrap(), word);
        }
    }
}
