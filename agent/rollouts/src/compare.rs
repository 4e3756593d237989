//! Whether an episode that is played again is the same. Invariant: what decides a sample is compared, and nothing that a
//! clock decides.

use std::fmt;

use crate::sample::{Ended, Sample};

/// Where two samples part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The first difference between a sample and its repetition; nothing if they are the same.
pub fn compare(recorded: &Sample, again: &Sample) -> Option<Difference> {
    let differs = |what: String| Some(Difference { what });
    if recorded.goal != again.goal {
        return differs(format!("it asked for `{}`, and now for `{}`", recorded.goal, again.goal));
    }
    if recorded.first_screenshot != again.first_screenshot {
        return differs("its first screenshot shows something else".to_owned());
    }
    for (n, (one, other)) in (1..).zip(recorded.actions.iter().zip(&again.actions)) {
        for (turn, (one, other)) in (1..).zip(one.turns.iter().zip(&other.turns)) {
            if one.messages != other.messages || one.forced_prefix != other.forced_prefix {
                return differs(format!("action {n}, turn {turn}: it was asked something else"));
            }
            if one.ids != other.ids {
                let at = one.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count();
                return differs(format!(
                    "action {n}, turn {turn}: token {} is another one: `{}`, and now `{}`",
                    at + 1,
                    one.text,
                    other.text
                ));
            }
            if one.finish != other.finish {
                return differs(format!(
                    "action {n}, turn {turn}: it ended by {}, and now by {}",
                    one.finish, other.finish
                ));
            }
        }
        if one.turns.len() != other.turns.len() {
            return differs(format!(
                "action {n} had {} turns, and now has {}",
                one.turns.len(),
                other.turns.len()
            ));
        }
        if one.answer != other.answer {
            let [one, other] = [one.answer, other.answer].map(place);
            return differs(format!("action {n} answered {one}, and now {other}"));
        }
    }
    if recorded.actions.len() != again.actions.len() {
        return differs(format!(
            "it had {} actions, and now has {}",
            recorded.actions.len(),
            again.actions.len()
        ));
    }
    if (recorded.ended, recorded.success, recorded.paid()) != (again.ended, again.success, again.paid()) {
        return differs(format!("it {}, and now it {}", end(recorded), end(again)));
    }
    None
}

/// Where somebody answered, in words.
fn place(answer: Option<[f64; 2]>) -> String {
    answer.map_or_else(|| "nothing".to_owned(), |[x, y]| format!("({x}, {y})"))
}

/// How a sample ended, in words.
fn end(sample: &Sample) -> String {
    let how = match sample.ended {
        Ended::Judged => "was ended by the judge",
        Ended::StepLimit => "ended at the limit of steps",
        Ended::TokenLimit => "ended at the limit of tokens",
    };
    let success = match sample.success {
        Some(true) => "solved",
        Some(false) => "not solved",
        None => "nobody could tell whether it was solved",
    };
    let paid =
        sample.paid().map_or_else(|| "nothing is known of its pay".to_owned(), |paid| format!("paid {paid}"));
    format!("{how}, {success}, {paid}")
}
