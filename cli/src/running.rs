//! Which runs are going on, so that `vigorl stop` finds them.
//!
//! Invariant: a file named by the process stands for each, in a folder that only this user can write; a file whose
//! process is gone, or is another program by now, counts for nothing.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, geteuid, getpid, kill_process, test_kill_process};

use crate::env;

/// Longest wait for a run to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);

/// Marks this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(PathBuf);

impl Running {
    /// Without a folder for it, the run goes on unmarked: Ctrl-C still stops it.
    pub(crate) fn mark(what: &str) -> Option<Self> {
        let file = folder().ok()?.join(getpid().as_raw_nonzero().to_string());
        fs::write(&file, what).ok()?;
        Some(Self(file))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// A run of this user.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) pid: Pid,
    /// What it was started with.
    pub(crate) what: String,
}

/// All runs of this user but this process.
pub(crate) fn all() -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder()?)? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != getpid()) else { continue };
        if is_ours(pid) {
            found.push(Found { pid, what: fs::read_to_string(&path).unwrap_or_default() });
        } else {
            fs::remove_file(&path).ok();
        }
    }
    Ok(found)
}

/// Asks a run to end, as Ctrl-C does; with `at_once`, twice. Says whether it has ended.
pub(crate) fn stop(found: &Found, at_once: bool) -> bool {
    for _ in 0..if at_once { 2 } else { 1 } {
        kill_process(found.pid, Signal::INT).ok();
        std::thread::sleep(TICK);
    }
    let end = Instant::now() + ENDS_WITHIN;
    while is_ours(found.pid) && Instant::now() < end {
        std::thread::sleep(TICK);
    }
    !is_ours(found.pid)
}

/// Whether the process is there and runs this program.
fn is_ours(pid: Pid) -> bool {
    let program = |of: &str| fs::read_link(Path::new("/proc").join(of).join("exe")).ok();
    let number = pid.as_raw_nonzero().to_string();
    // A process that has ended but was not collected has no program any more.
    test_kill_process(pid).is_ok() && program(&number).is_some_and(|found| program("self") == Some(found))
}

fn folder() -> anyhow::Result<PathBuf> {
    let folder = env::temporary_folder().join(format!("vigorl-running-{}", geteuid().as_raw()));
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(|| shown(&folder))?;
    let owner = fs::symlink_metadata(&folder).with_context(|| shown(&folder))?;
    anyhow::ensure!(
        owner.is_dir() && owner.uid() == geteuid().as_raw(),
        "`{}` is not ours",
        folder.display()
    );
    Ok(folder)
}

fn shown(folder: &Path) -> String {
    format!("cannot use `{}`", folder.display())
}
