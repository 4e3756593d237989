//! Programs that this one starts, so that nothing of them can stay behind.
//!
//! Invariant: a program and everything it starts live in one process group of their own, led by a small shell that
//! reads from a pipe we hold. Dropping [`Group`] kills the group. If this program dies without dropping (SIGKILL,
//! abort), the pipe closes, and the shell ends the group and removes its folder itself; this needs no `unsafe` code
//! after the fork. A program that leaves the group on purpose (`setsid`, as daemons do) is not ended. Unix only.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// Leader of the group. "$1" is the folder, "$2" where the program's standard error goes, "$3" ... the program.
///
/// Descriptor 3 is the pipe on which the program's exit code is told. The program itself does not inherit it, so that
/// the pipe closes when the code was told, whatever else goes on in the group. Afterwards the leader waits for the end
/// of its own input: that is the end of this program, or of the [`Group`].
const LEADER: &str = r#"
folder=$1
errors=$2
shift 2
[ ! -d "$folder/bin" ] || PATH="$folder/bin:$PATH"
command -v "$1" >/dev/null 2>&1 || exit 127
exec 3>&2
if [ "$errors" = output ]; then exec 2>&1; else exec 2>/dev/null; fi
{ "$@" </dev/null 3>&-; echo $? >&3; } &
exec >/dev/null 2>&1 3>&-
trap '' TERM
cat
kill -TERM 0
sleep 1
rm -rf -- "$folder"
kill -KILL 0
"#;

/// The shell's code for a program that was not found.
const NOT_FOUND: i32 = 127;

/// What was started and is not all gone: an entry stays until its folder is removed, so that whoever ends this
/// program meanwhile can finish the work.
static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

struct Started {
    /// The group while it may be killed: its number belongs to others once the leader was collected.
    group: Option<Pid>,
    folder: PathBuf,
}

impl Started {
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // An error means that the group is empty already.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

fn started() -> MutexGuard<'static, Vec<Started>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends everything this program has started, at once, and removes its folders.
///
/// For an interrupt handler that runs on a thread of its own (it takes a lock).
pub fn kill_all_started() {
    let kill = |entry: &mut Started| {
        entry.kill();
        entry.folder.clone()
    };
    let folders: Vec<PathBuf> = started().iter_mut().map(kill).collect();
    for folder in &folders {
        remove_folder(folder);
    }
    started().retain(|entry| !folders.contains(&entry.folder));
}

/// Where a program's output goes.
#[derive(Debug)]
pub enum Output {
    /// To [`Group::take_output`]; what it says on its standard error is dropped.
    Pipe,
    /// Everything to a file.
    File(File),
    /// Nowhere.
    Nothing,
}

/// How a wait for a program's end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The program has ended with this exit code; 128 and the signal's number if a signal ended it.
    Ended(i32),
    /// The time is over, and the program runs on.
    OutOfTime,
    /// Whoever waited does not want to any more, and the program runs on.
    Cancelled,
}

/// What is started, and how.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its name, or its path.
    pub program: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [&'a OsStr],
    /// Environment variables besides those of this program; [`Group::start`] adds `TMPDIR`, the group's folder.
    pub environment: &'a [(&'a str, &'a OsStr)],
    /// Names of programs that it does not find in `PATH`: instead of each it finds one that fails.
    pub without: &'a [&'a str],
    /// Where it runs; the folder of this program if absent.
    pub working_folder: Option<&'a Path>,
    /// Where its output goes.
    pub output: Output,
}

/// A running program and everything it started.
#[derive(Debug)]
pub struct Group {
    leader: Child,
    group: Pid,
    folder: PathBuf,
}

impl Group {
    /// Starts a program with an empty folder of its own for whatever it writes (`TMPDIR`), which is removed with it.
    ///
    /// # Errors
    /// If there is no shell or no temporary folder. A program that does not exist ends at once:
    /// [`Self::was_not_found`].
    pub fn start(prefix: &str, program: Program<'_>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let mut command = Command::new("/bin/sh");
        let errors = if matches!(program.output, Output::File(_)) { "output" } else { "nowhere" };
        command.args(["-c", LEADER, "sh"]).arg(folder.path()).arg(errors);
        command.arg(program.program).args(program.arguments);
        command.env("TMPDIR", folder.path()).envs(program.environment.iter().copied());
        if !program.without.is_empty() {
            write_failing(program.without, &folder.path().join("bin"))?;
        }
        if let Some(working_folder) = program.working_folder {
            command.current_dir(working_folder);
        }
        match program.output {
            Output::Pipe => command.stdout(Stdio::piped()),
            Output::File(file) => command.stdout(file),
            Output::Nothing => command.stdout(Stdio::null()),
        };
        let leader = command.stdin(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
        let group = Pid::from_child(&leader);
        let this = Self { leader, group, folder: folder.keep() };
        started().push(Started { group: Some(group), folder: this.folder.clone() });
        Ok(this)
    }

    /// What the program says; once.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.leader.stdout.take()
    }

    /// Waits until the program itself has ended, whatever it has started and left running.
    ///
    /// # Errors
    /// If its end cannot be known: it does not exist ([`Self::was_not_found`]), or it has ended its own group.
    pub fn wait_for_end(&mut self, until: Instant, is_cancelled: &dyn Fn() -> bool) -> io::Result<Wait> {
        /// How soon a cancellation is noticed.
        const SLICE: Duration = Duration::from_millis(50);
        let ends_unseen = || io::Error::other("the program's end was not seen");
        let told = self.leader.stderr.as_mut().ok_or_else(ends_unseen)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if is_readable(told, left.min(SLICE))? {
                let mut code = String::new();
                told.read_to_string(&mut code)?;
                return code.trim().parse().map(Wait::Ended).map_err(|_not_told| ends_unseen());
            }
            if is_cancelled() {
                return Ok(Wait::Cancelled);
            }
            if left.is_zero() {
                return Ok(Wait::OutOfTime);
            }
        }
    }

    /// The program's own folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the program does not exist.
    pub fn was_not_found(&mut self) -> bool {
        self.leader.try_wait().ok().flatten().and_then(|status| status.code()) == Some(NOT_FOUND)
    }
}

/// Whether there is something to read, or the end, within this time.
fn is_readable(pipe: &ChildStderr, within: Duration) -> io::Result<bool> {
    let within = Timespec::try_from(within).map_err(io::Error::other)?;
    let mut waited_for = [PollFd::new(pipe, PollFlags::IN)];
    match poll(&mut waited_for, Some(&within)) {
        Ok(n_ready) => Ok(n_ready > 0),
        // A signal came; whoever waits asks again.
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes programs that fail into a folder, which the leader puts before all others.
fn write_failing(names: &[&str], bin: &Path) -> io::Result<()> {
    fs::create_dir(bin)?;
    for name in names {
        let program = bin.join(name);
        fs::write(&program, "#!/bin/sh\nexit 1\n")?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

impl Drop for Group {
    fn drop(&mut self) {
        for entry in started().iter_mut().filter(|entry| entry.folder == self.folder) {
            entry.kill();
        }
        // The leader is dead by now, so this only collects its exit status.
        self.leader.wait().ok();
        wait_until_empty(self.group);
        remove_folder(&self.folder);
        started().retain(|entry| entry.folder != self.folder);
    }
}

/// Killed processes take a moment to go; those that nobody collects count until then, so this is limited.
fn wait_until_empty(group: Pid) {
    within(Duration::from_millis(200), || test_kill_process_group(group).is_err());
}

/// Removes the folder; dying processes may still write, so this is tried for a moment.
fn remove_folder(folder: &Path) {
    within(Duration::from_millis(500), || fs::remove_dir_all(folder).is_ok() || !folder.exists());
}

/// Tries until it works or the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "the system tells nobody that a group is empty or a folder at rest"
)]
fn within(time: Duration, mut is_done: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !is_done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}
