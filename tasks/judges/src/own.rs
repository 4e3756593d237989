//! Rewards of one's own: a command or an address is given a line as JSON and answers with a number.
//!
//! Invariant: an answer is one finite number, or an object with such a `reward`. Everything else is an error that says what
//! came instead: a failure, silence beyond the limit, `NaN`, or something longer than an answer can be. None of these is a
//! reward. This is the only part of the crate that talks to anything.

mod address;
mod command;

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

pub use address::Address;
pub use command::Command;

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// Whoever says what an answer is worth, besides the judges of this program.
pub trait OwnReward: fmt::Debug {
    /// Asks about a line, an object that has at least `response` and `ground_truth`.
    ///
    /// # Errors
    /// If no number comes back within the limit.
    fn ask(&mut self, line: &Value) -> Result<f64, OwnError>;
}

/// Why nobody answered with a number.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OwnError {
    /// The command cannot be run at all.
    #[error("the command cannot be run: {0}")]
    NotRun(#[source] io::Error),
    /// The command says that it failed.
    #[error("the command ended with code {code}{}", last_words(said))]
    Failed {
        /// Its exit code; 128 and the signal's number if a signal ended it.
        code: i32,
        /// What it said on its standard error.
        said: String,
    },
    /// No answer came in time.
    #[error("no answer came within {} s", limit.as_secs_f64())]
    OutOfTime {
        /// How long was waited.
        limit: Duration,
    },
    /// No request can be made to this address.
    #[error("`{address}` is no address that can be asked: {why}")]
    NoAddress {
        /// As it was written, without what could be secret in it.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("`{address}` cannot be reached: {why}")]
    Unreachable {
        /// As it was written, without what could be secret in it.
        address: String,
        /// What the network said.
        why: String,
    },
    /// The answer says that there is none.
    #[error("`{address}` answered with status {status}")]
    Refused {
        /// As it was written, without what could be secret in it.
        address: String,
        /// The status of HTTP.
        status: u16,
    },
    /// The answer is no finite number.
    #[error("it answered {}, which is no finite number and no object with one as its `reward`", quoted(said))]
    NotANumber {
        /// What came instead.
        said: String,
    },
    /// The answer does not end.
    #[error("it answered with more than {} KiB", MAX_ANSWER >> 10)]
    TooLong,
}

/// The number of an answer.
fn number(answer: &[u8]) -> Result<f64, OwnError> {
    let not_a_number = || OwnError::NotANumber { said: String::from_utf8_lossy(answer).trim().to_owned() };
    let json: Value = serde_json::from_slice(answer).map_err(|_not_json| not_a_number())?;
    let value = json.as_object().map_or(Some(&json), |object| object.get("reward"));
    value.and_then(Value::as_f64).filter(|value| value.is_finite()).ok_or_else(not_a_number)
}

/// The beginning of what was said, in quotation marks.
fn quoted(said: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = said.chars().take(SHOWN).collect();
    if shown.is_empty() {
        return "nothing".to_owned();
    }
    if shown.len() < said.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The last line of what was said, where programs say why they failed.
fn last_words(said: &str) -> String {
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map_or_else(String::new, |line| format!(": {}", quoted(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_or_an_object_with_one() {
        for (answer, value) in
            [("1", 1.0), (" -0.5\n", -0.5), ("{\"reward\": 2, \"why\": \"x\"}", 2.0), ("1e3", 1e3)]
        {
            assert_eq!(number(answer.as_bytes()).unwrap(), value, "{answer}");
        }
    }

    #[test]
    fn everything_else_is_an_error_that_shows_it() {
        for answer in [
            "",
            "nan",
            "NaN",
            "inf",
            "1e999",
            "true",
            "null",
            "\"1\"",
            "1 2",
            "[1]",
            "{}",
            "{\"reward\": null}",
            "{\"reward\": NaN}",
        ] {
            let error = number(answer.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no finite number"), "{answer}: {error}");
            assert!(error.contains(if answer.is_empty() { "nothing" } else { answer }), "{answer}: {error}");
        }
        assert!(number(b"\xff").unwrap_err().to_string().contains('\u{fffd}'));
        assert!(number("x".repeat(1_000).as_bytes()).unwrap_err().to_string().len() < 200);
    }
}
