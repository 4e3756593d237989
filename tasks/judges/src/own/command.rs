//! A reward by a command. Invariants: the command reads the line on its standard input and writes the number; whatever it
//! has started ends with the answer, with the limit, and with this program.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::Value;
use vigorl_processes::{Group, Output, Program, Wait};

use super::{MAX_ANSWER, OwnError, OwnReward, number};

/// Reads from the file "$1", and keeps what the command line "$2" says of its failures.
const SCRIPT: &str = r#"exec <"$1" 2>"$TMPDIR/errors"; exec /bin/sh -c "$2""#;

/// A line of the shell.
#[derive(Debug, Clone)]
pub struct Command {
    /// The line.
    pub line: String,
    /// How long one answer may take.
    pub limit: Duration,
}

impl OwnReward for Command {
    fn ask(&mut self, line: &Value) -> Result<f64, OwnError> {
        // A file is read when the command likes, or not at all; a pipe would have to be written meanwhile.
        let mut input = tempfile::NamedTempFile::new().map_err(OwnError::NotRun)?;
        writeln!(input, "{line}").map_err(OwnError::NotRun)?;
        let arguments = [
            OsStr::new("-c"),
            OsStr::new(SCRIPT),
            OsStr::new("sh"),
            input.path().as_os_str(),
            OsStr::new(&self.line),
        ];
        let what = Program {
            program: OsStr::new("/bin/sh"),
            arguments: &arguments,
            environment: &[],
            without: &[],
            working_folder: None,
            output: Output::Pipe,
        };
        let end = Instant::now() + self.limit;
        let mut group = Group::start("vigorl-reward-", what).map_err(OwnError::NotRun)?;
        let output =
            group.take_output().ok_or_else(|| OwnError::NotRun(io::Error::other("it has no output")))?;
        // One byte more than is allowed tells that there is more. Then the pipe closes, and the command notices.
        let reader = std::thread::spawn(move || {
            let mut answer = Vec::new();
            output.take(MAX_ANSWER as u64 + 1).read_to_end(&mut answer).map(|_| answer)
        });
        let ended = group.wait_for_end(end, &|| false).map_err(OwnError::NotRun);
        let said = std::fs::read(group.folder().join("errors")).unwrap_or_default();
        // Ends what still holds the pipe, so that the reader comes to its end.
        drop(group);
        let answer = reader.join().unwrap_or_else(|_panic| Err(io::Error::other("its output was not read")));
        let answer = answer.map_err(OwnError::NotRun)?;
        if answer.len() > MAX_ANSWER {
            return Err(OwnError::TooLong);
        }
        match ended? {
            Wait::Ended(0) => number(&answer),
            Wait::Ended(code) => {
                Err(OwnError::Failed { code, said: String::from_utf8_lossy(&said).into_owned() })
            }
            Wait::OutOfTime | Wait::Cancelled => Err(OwnError::OutOfTime { limit: self.limit }),
        }
    }
}
