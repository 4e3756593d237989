//! Starts chromedriver so that nothing of it can stay behind.
//!
//! Invariant: chromedriver and the browser live in one process group of their own, led by a small shell that
//! reads from a pipe we hold. Dropping [`Chromedriver`] kills the group. If this program dies without dropping
//! (SIGKILL, abort), the pipe closes and the shell ends the group and removes the folder itself; this needs no
//! `unsafe` code after the fork. Chromium's crash handlers leave the group but exit with their browser.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use vigorl_interface::DriverError;

/// Leader of the group: starts the program ("$1" ...), then waits for the end of its own input.
/// 127 is the shell's own code for a program that was not found.
const LEADER: &str = r#"
command -v "$1" >/dev/null 2>&1 || exit 127
"$@" </dev/null &
exec >/dev/null 2>&1
trap '' TERM
cat
kill -TERM 0
sleep 1
rm -rf -- "$TMPDIR"
kill -KILL 0
"#;
const NOT_FOUND: i32 = 127;

/// What chromedriver says when another program took its port: it picks a free one for IPv6 and then wants the
/// same for IPv4, so that two that start at once can meet. Trying again picks another.
const PORT_TAKEN: &str = "port not available";

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
            kill_group(group);
        }
    }
}

fn started() -> MutexGuard<'static, Vec<Started>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every chromedriver and browser this program has started, at once, and removes their folders.
///
/// For an interrupt handler that runs on a thread of its own (it takes a lock). Drivers still in use
/// fail with [`DriverError::Gone`] afterwards.
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

/// A running chromedriver.
#[derive(Debug)]
pub(crate) struct Chromedriver {
    leader: Child,
    group: Pid,
    /// For the browser profile and everything else the two programs write.
    folder: PathBuf,
    port: u16,
}

impl Chromedriver {
    /// Starts `program` on a free port and waits until it listens.
    pub(crate) fn start(program: &Path, deadline: Duration) -> Result<Self, DriverError> {
        let end = Instant::now() + deadline;
        loop {
            match Self::start_once(program, end.saturating_duration_since(Instant::now())) {
                Err(DriverError::Start { detail, .. })
                    if detail.contains(PORT_TAKEN) && Instant::now() < end => {}
                started_or_failed => return started_or_failed,
            }
        }
    }

    fn start_once(program: &Path, deadline: Duration) -> Result<Self, DriverError> {
        let failed = |detail: String| DriverError::Start { program: program.display().to_string(), detail };
        let folder = tempfile::Builder::new()
            .prefix("vigorl-browser-")
            .tempdir()
            .map_err(|e| failed(format!("no temporary folder: {e}")))?;
        let mut leader = Command::new("/bin/sh")
            .args(["-c", LEADER, "sh"])
            .arg(program)
            .arg("--port=0")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| failed(format!("cannot run /bin/sh: {e}")))?;
        let group = Pid::from_child(&leader);
        let output = leader.stdout.take();
        let mut this = Self { leader, group, folder: folder.keep(), port: 0 };
        started().push(Started { group: Some(group), folder: this.folder.clone() });
        this.port = match output {
            Some(output) => port_of(output, deadline).map_err(|said| failed(this.explain(&said)))?,
            None => return Err(failed("its output is not readable".to_owned())),
        };
        Ok(this)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn explain(&mut self, said: &str) -> String {
        let ended = self.leader.try_wait().ok().flatten().and_then(|status| status.code());
        if ended == Some(NOT_FOUND) {
            "it was not found; install it (Debian: apt-get install chromium chromium-driver), name its path, \
             or use a WebDriver server that runs already"
                .to_owned()
        } else {
            format!("it did not start to listen; its last words: {said:?}")
        }
    }
}

impl Drop for Chromedriver {
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

/// Reads until chromedriver names its port, and keeps reading so that it never blocks on a full pipe.
/// An error carries the last line it said.
fn port_of(output: ChildStdout, deadline: Duration) -> Result<u16, String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens once the port is known.
            sender.send(line).ok();
        }
    });
    let end = Instant::now() + deadline;
    let mut last = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                // An earlier line says "on port 0", what was asked for.
                let port =
                    line.split_once("successfully on port ").map(|(_, rest)| rest.trim_end_matches('.'));
                if let Some(port) = port.and_then(|text| text.parse().ok()) {
                    return Ok(port);
                }
                last = line;
            }
            Err(RecvTimeoutError::Timeout) => return Err(last),
            Err(RecvTimeoutError::Disconnected) => {
                // The pipe closes a moment before the exit status can be read.
                std::thread::sleep(Duration::from_millis(20));
                return Err(last);
            }
        }
    }
}

fn kill_group(group: Pid) {
    // An error means that the group is empty already.
    kill_process_group(group, Signal::KILL).ok();
}

/// Killed processes take a moment to go; those that nobody collects count until then, so this is limited.
fn wait_until_empty(group: Pid) {
    let end = Instant::now() + Duration::from_millis(200);
    while test_kill_process_group(group).is_ok() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes the folder; dying processes may still write, so this is tried for a moment.
fn remove_folder(folder: &Path) {
    for _ in 0..50 {
        if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
