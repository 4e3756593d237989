//! The programs that a task starts. Invariant: they end with the task, also when this program is killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use vigorl_agent::Cancel;
use vigorl_interface::DriverError;
use vigorl_processes::{Group, Output, Program};

/// Longest wait for what the programs are to show or serve.
const READY_WITHIN: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);
/// How much of what they say is shown when they do not get ready.
const LAST_WORDS: usize = 400;

/// Running programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Dropped last.
    log: tempfile::NamedTempFile,
    group: Group,
}

impl Programs {
    /// Starts command lines in `folder`; nothing if there are none.
    pub(crate) fn start(commands: &[String], folder: &Path) -> anyhow::Result<Option<Self>> {
        if commands.is_empty() {
            return Ok(None);
        }
        let log = tempfile::NamedTempFile::new().context("no temporary file")?;
        // All of one shell, so that they share a folder.
        let lines: Vec<String> = commands.iter().map(|command| format!("(\n{command}\n) &\n")).collect();
        let script = format!("{}wait", lines.concat());
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let what = Program {
            program: OsStr::new("/bin/sh"),
            arguments: &[OsStr::new("-c"), OsStr::new(&script)],
            environment: &[],
            without: &[],
            working_folder: Some(folder),
            output: Output::File(File::options().append(true).open(log.path())?),
        };
        let group = Group::start("vigorl-task-", what).context("the task's programs cannot be started")?;
        Ok(Some(Self { log, group }))
    }

    /// The folder that they share.
    pub(crate) fn folder(&self) -> &Path {
        self.group.folder()
    }

    /// Tries until it works, while the world still comes up.
    pub(crate) fn until_ready<T>(
        this: Option<&Self>,
        cancel: &Cancel,
        mut attempt: impl FnMut() -> Result<T, DriverError>,
    ) -> anyhow::Result<T> {
        let Some(this) = this else { return Ok(attempt()?) };
        let end = Instant::now() + READY_WITHIN;
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(error @ (DriverError::Refused { .. } | DriverError::Gone { .. })) => {
                    if Instant::now() > end || cancel.is_set() {
                        return Err(error).with_context(|| this.last_words());
                    }
                    std::thread::sleep(TICK);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn last_words(&self) -> String {
        let said = fs::read(self.log.path()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).trim().to_owned();
        format!("the task's programs did not get ready within {READY_WITHIN:?}; they said: {said:?}")
    }
}
