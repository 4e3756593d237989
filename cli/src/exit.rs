//! Exit codes. Invariant: what the user typed wrong is 2, what failed is 1, what nobody can judge is 3, an interruption is 130.

use std::fmt;
use std::process::ExitCode;

use crate::terminal;

/// The user erred; the message says how to do it right.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The user broke off what cannot be done by half.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was done.
    Done,
    /// It ran to its end, and the end was not success.
    NotDone,
    /// Everything was done, and nothing tells whether it did anything.
    NotJudged,
    /// The user broke it off.
    Interrupted,
}

/// A usage error.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// Reports a failure and gives the exit code. Data that could not be written is a failure of whatever was done.
pub(crate) fn code(result: anyhow::Result<Ending>) -> ExitCode {
    if let Some(why) = terminal::unwritten() {
        terminal::error(&why);
        if result.is_ok() {
            return ExitCode::from(1);
        }
    }
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::NotDone) => ExitCode::from(1),
        Ok(Ending::NotJudged) => ExitCode::from(3),
        Ok(Ending::Interrupted) => ExitCode::from(130),
        Err(error) => {
            terminal::error(&chain(&error));
            ExitCode::from(match error {
                error if error.is::<Usage>() => 2,
                error if error.is::<Interrupted>() => 130,
                _ => 1,
            })
        }
    }
}

/// The error and its causes, each said once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if text.is_empty() {
            text = words;
        } else if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("disk full");
        let middle =
            anyhow::Error::new(inner).context("cannot write `x`: disk full").context("the run failed");
        assert_eq!(chain(&middle), "the run failed: cannot write `x`: disk full");
    }
}
