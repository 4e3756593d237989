//! The programs that a task starts. Invariant: they end with the task, also when this program is killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use vigorl_interface::{DriverError, wait_until};
use vigorl_processes::{Group, Output, Program};

use crate::Failure;

/// Longest wait for what the programs are to show or serve.
const READY_WITHIN: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);
/// How much of what they say is shown when they do not get ready.
const LAST_WORDS: usize = 400;

/// What `/bin/sh` is told to run `lines`. Where the environment names no language, as in a bare system or a container,
/// programs would write `?` for every letter beyond ASCII: they are told that texts are UTF-8.
pub(super) fn script(lines: &str) -> String {
    const IN_UTF8: &str = "[ -n \"${LC_ALL:-}${LC_CTYPE:-}${LANG:-}\" ] || export LC_CTYPE=C.UTF-8";
    format!("{IN_UTF8}\n{lines}")
}

/// Running programs.
#[derive(Debug)]
pub struct Programs {
    /// Dropped last.
    log: tempfile::NamedTempFile,
    group: Group,
}

impl Programs {
    /// Starts command lines in `folder`; nothing if there are none.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(commands: &[String], folder: &Path) -> Result<Option<Self>, Failure> {
        if commands.is_empty() {
            return Ok(None);
        }
        let log = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        // All of one shell, so that they share a folder.
        let lines: Vec<String> = commands.iter().map(|command| format!("(\n{command}\n) &\n")).collect();
        let script = script(&format!("{}wait", lines.concat()));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let what = Program {
            program: OsStr::new("/bin/sh"),
            arguments: &[OsStr::new("-c"), OsStr::new(&script)],
            environment: &[],
            without: &[],
            working_folder: Some(folder),
            output: Output::File(File::options().append(true).open(log.path())?),
        };
        let group = Group::start("vigorl-task-", what)
            .map_err(|error| format!("the task's programs cannot be started: {error}"))?;
        Ok(Some(Self { log, group }))
    }

    /// The folder that they share.
    pub fn folder(&self) -> &Path {
        self.group.folder()
    }

    /// Tries until it works, while the world still comes up.
    ///
    /// # Errors
    /// That of the last attempt, with what the programs said last.
    pub fn until_ready<T>(
        this: Option<&Self>,
        is_cancelled: &dyn Fn() -> bool,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(this) = this else { return attempt() };
        let mut missing = Failure::from("nobody looked");
        let ready = wait_until(Some(Instant::now() + READY_WITHIN), || {
            let error = match attempt() {
                Ok(done) => return Ok(ControlFlow::Break(Some(done))),
                Err(error) => error,
            };
            let may_come = matches!(
                error.downcast_ref::<DriverError>(),
                Some(DriverError::Refused { .. } | DriverError::Gone { .. })
            );
            if !may_come {
                return Err(error);
            }
            missing = error;
            Ok(if is_cancelled() { ControlFlow::Break(None) } else { ControlFlow::Continue(TICK) })
        })?;
        ready.flatten().ok_or_else(|| format!("{}: {missing}", this.last_words()).into())
    }

    fn last_words(&self) -> String {
        let said = fs::read(self.log.path()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
        format!("the task's programs did not get ready within {READY_WITHIN:?}; they said: {said:?}")
    }
}
