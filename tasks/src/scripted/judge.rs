//! Checks the clauses of a task. Invariant: unknown is never success.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use vigorl_interface::{Driver, DriverError};

use super::target::is_shown;
use super::{Clause, FileClause, RewardRule, ScriptedTask};
use crate::Verification;

/// The judgment of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// One entry per clause, in their order.
    pub clauses: Vec<Verification>,
    /// From 0 to 1, by the task's rule.
    pub reward: f64,
}

impl Verdict {
    /// Whether every clause holds.
    pub fn success(&self) -> bool {
        self.clauses.iter().all(|clause| *clause == Verification::Satisfied)
    }
}

/// What a task has besides its world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The folder of its file: where commands run and relative paths begin.
    pub folder: PathBuf,
    /// The folder that its programs share, `$TMPDIR` in paths and commands.
    pub temporary: Option<PathBuf>,
}

/// What begins a path in the folder of the task's programs.
const TMPDIR: &str = "$TMPDIR/";
/// Longest time that the command of a clause may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

impl ScriptedTask {
    /// Checks every clause against the world as it is now.
    ///
    /// # Errors
    /// Only if the world failed; a driver without pages, a dialog that covers the page, and a command that cannot be
    /// run leave a clause [`Verification::Unknown`].
    pub fn judge(
        &self,
        driver: &mut dyn Driver,
        surroundings: &Surroundings,
    ) -> Result<Verdict, DriverError> {
        let verify = |clause: &Clause| clause.verify(driver, surroundings);
        let clauses = self.expect.iter().map(verify).collect::<Result<Vec<_>, _>>()?;
        let reward = reward(self.reward, &clauses);
        Ok(Verdict { clauses, reward })
    }
}

fn reward(rule: RewardRule, clauses: &[Verification]) -> f64 {
    let satisfied = clauses.iter().filter(|clause| **clause == Verification::Satisfied).count();
    match rule {
        RewardRule::All if satisfied == clauses.len() => 1.0,
        RewardRule::All => 0.0,
        RewardRule::Mean => satisfied as f64 / clauses.len().max(1) as f64,
    }
}

impl Clause {
    /// Whether the clause holds now.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn verify(
        &self,
        driver: &mut dyn Driver,
        surroundings: &Surroundings,
    ) -> Result<Verification, DriverError> {
        let holds = match self {
            Self::UrlContains(part) => driver.page_state()?.url.map(|url| url.contains(part)),
            Self::TitleContains(part) => driver.page_state()?.title.map(|title| title.contains(part)),
            Self::TextVisible(text) => truth(driver.evaluate(&text_script(text)))?,
            Self::Javascript(expression) => truth(driver.evaluate(&format!("return !!({expression}\n)")))?,
            Self::Element(element) => truth(driver.evaluate(&element.script()))?,
            Self::Picture(file) => match known(driver.screenshot())? {
                Some(screenshot) => is_shown(&surroundings.resolve(file), &screenshot.pixels),
                None => None,
            },
            Self::Clipboard(text) => known(driver.clipboard())?.map(|found| found == *text),
            Self::File(file) => surroundings.check(file),
            Self::Command(line) => surroundings.run(line),
        };
        Ok(match holds {
            Some(true) => Verification::Satisfied,
            Some(false) => Verification::Unsatisfied,
            None => Verification::Unknown,
        })
    }
}

/// What the driver can tell; nothing where it has no such notion, a dialog is in the way, or the page refuses.
pub(super) fn known<T>(answer: Result<T, DriverError>) -> Result<Option<T>, DriverError> {
    use DriverError::{DialogOpen, Refused, Unsupported};
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Unsupported { .. } | DialogOpen { .. } | Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn truth(answer: Result<String, DriverError>) -> Result<Option<bool>, DriverError> {
    Ok(known(answer)?.and_then(|json| serde_json::from_str(&json).ok()))
}

impl Surroundings {
    /// Where a path of the task leads, as an absolute path.
    pub fn resolve(&self, path: &str) -> PathBuf {
        let found = match (path.strip_prefix(TMPDIR), &self.temporary) {
            (Some(path), Some(temporary)) => temporary.join(path),
            _ => self.folder.join(path),
        };
        std::path::absolute(&found).unwrap_or(found)
    }

    fn check(&self, file: &FileClause) -> Option<bool> {
        if file.path.starts_with(TMPDIR) && self.temporary.is_none() {
            return None;
        }
        let path = self.resolve(&file.path);
        match (std::fs::read(&path), &file.contains) {
            (Ok(bytes), Some(part)) => Some(String::from_utf8_lossy(&bytes).contains(part)),
            (Ok(_), None) => Some(true),
            (Err(error), _) if error.kind() == ErrorKind::NotFound => Some(false),
            (Err(_), _) => None,
        }
    }

    /// Whether the command succeeds; nothing if it cannot be run or takes too long.
    fn run(&self, line: &str) -> Option<bool> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !self.folder.as_os_str().is_empty() {
            command.current_dir(&self.folder);
        }
        if let Some(temporary) = &self.temporary {
            command.env("TMPDIR", temporary);
        }
        // A group of its own, so that what it starts ends with it.
        let mut child = command.process_group(0).spawn().ok()?;
        let end = Instant::now() + COMMAND_WITHIN;
        loop {
            match child.try_wait().ok()? {
                Some(status) => return Some(status.success()),
                None if Instant::now() < end => std::thread::sleep(TICK),
                None => {
                    kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
                    child.wait().ok();
                    return None;
                }
            }
        }
    }
}

/// Rendered text and what stands in fields, with white space evened out on both sides.
fn text_script(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        "const even = (text) => text.replace(/\\s+/g, ' ').trim(); \
         const fields = [...document.querySelectorAll('input:not([type=password]), textarea')] \
             .filter((field) => field.checkVisibility()).map((field) => field.value); \
         const shown = [document.body ? document.body.innerText : '', ...fields]; \
         const wanted = even({text}); \
         return shown.some((part) => even(part).includes(wanted));"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_never_success() {
        use Verification::{Satisfied, Unknown, Unsatisfied};
        assert_eq!(reward(RewardRule::All, &[Satisfied, Satisfied]), 1.0);
        assert_eq!(reward(RewardRule::All, &[Satisfied, Unknown]), 0.0);
        assert_eq!(reward(RewardRule::Mean, &[Satisfied, Unknown, Unsatisfied, Satisfied]), 0.5);
        assert!(!Verdict { clauses: vec![Satisfied, Unknown], reward: 0.5 }.success());
    }
    #[test]
    fn files_and_commands_are_checked_where_the_task_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("out.txt"), "12+5=17").unwrap();
        let around = Surroundings { folder: folder.path().to_owned(), temporary: None };
        let file = |path: &str, contains: Option<&str>| FileClause {
            path: path.to_owned(),
            contains: contains.map(str::to_owned),
        };
        assert_eq!(around.check(&file("out.txt", Some("17"))), Some(true));
        assert_eq!(around.check(&file("out.txt", Some("18"))), Some(false));
        assert_eq!(around.check(&file("out.txt", None)), Some(true));
        assert_eq!(around.check(&file("other.txt", None)), Some(false));
        // A folder is there, but cannot be read as a file; a task without programs has no temporary folder.
        assert_eq!(around.check(&file(".", None)), None);
        assert_eq!(around.check(&file("$TMPDIR/x", None)), None);
        assert_eq!(around.run("grep -q 17 out.txt"), Some(true));
        assert_eq!(around.run("grep -q 18 out.txt"), Some(false));
        let with_programs =
            Surroundings { temporary: Some(folder.path().to_owned()), ..Surroundings::default() };
        assert_eq!(with_programs.check(&file("$TMPDIR/out.txt", Some("12"))), Some(true));
        assert_eq!(with_programs.run("test -e $TMPDIR/out.txt"), Some(true));
    }
}
