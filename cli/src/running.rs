//! Which runs are going on, so that `vigorl stop` finds them.
//!
//! Invariant: a file named by the process stands for each, in a folder that only this user can write. The process holds
//! the file's lock as long as it lives, whatever becomes of its program's file; a mark that nobody holds counts for
//! nothing.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, getpid, kill_process};
use vigorl_interface::wait_while;

use crate::env;

/// Longest wait for a run to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);
/// The folder of the marks, below whatever holds it.
const FOLDER: &str = "vigorl-running";

/// Marks this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    path: PathBuf,
    /// Holds the lock.
    _mark: File,
}

impl Running {
    /// Without a folder for it, the run goes on unmarked: Ctrl-C still stops it.
    pub(crate) fn mark(what: &str) -> Option<Self> {
        Self::try_mark(what).ok()
    }

    fn try_mark(what: &str) -> anyhow::Result<Self> {
        let folder = folder()?;
        let path = folder.join(getpid().as_raw_nonzero().to_string());
        // Nobody may find it before it is locked: it would count for nothing, and be removed.
        let hidden = path.with_extension("new");
        let mut mark = File::create(&hidden)?;
        flock(&mark, FlockOperation::NonBlockingLockExclusive)?;
        mark.write_all(what.as_bytes())?;
        fs::rename(&hidden, &path)?;
        Ok(Self { path, _mark: mark })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// A run of this user.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) pid: Pid,
    /// What it was started with.
    pub(crate) what: String,
    mark: File,
}

/// What became of a run that was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It is over.
    Ended,
    /// It did not end in time.
    GoesOn,
    /// The number is another process's here, as in another container: nothing was asked.
    Elsewhere,
}

/// All runs of this user but this process.
pub(crate) fn all() -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder()?)? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != getpid()) else { continue };
        // A run that ends meanwhile takes its mark along.
        let Ok(mark) = File::open(&path) else { continue };
        if is_held(&mark) {
            found.push(Found { pid, what: fs::read_to_string(&path).unwrap_or_default(), mark });
        } else {
            fs::remove_file(&path).ok();
        }
    }
    Ok(found)
}

/// Asks a run to end, as Ctrl-C does; with `at_once`, twice.
pub(crate) fn stop(found: &Found, at_once: bool) -> Stopped {
    if !has_open(found.pid, &found.mark) {
        return if is_held(&found.mark) { Stopped::Elsewhere } else { Stopped::Ended };
    }
    for _ in 0..if at_once { 2 } else { 1 } {
        kill_process(found.pid, Signal::INT).ok();
        // Two signals that come at once are one.
        wait_while(Some(Instant::now() + TICK), TICK, || is_held(&found.mark));
    }
    let goes_on = wait_while(Some(Instant::now() + ENDS_WITHIN), TICK, || is_held(&found.mark));
    if goes_on { Stopped::GoesOn } else { Stopped::Ended }
}

/// Whether a process holds the mark. What cannot be told counts as held: a run is rather found than forgotten.
fn is_held(mark: &File) -> bool {
    match flock(mark, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            flock(mark, FlockOperation::Unlock).ok();
            false
        }
        Err(_) => true,
    }
}

/// Whether the process of this number has the file open. Only then is it the one that wrote the mark.
fn has_open(pid: Pid, mark: &File) -> bool {
    let descriptors = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("fd");
    let (Ok(mark), Ok(descriptors)) = (mark.metadata(), fs::read_dir(descriptors)) else { return false };
    let is_mark = |there: fs::Metadata| (there.dev(), there.ino()) == (mark.dev(), mark.ino());
    descriptors.flatten().filter_map(|entry| fs::metadata(entry.path()).ok()).any(is_mark)
}

/// The same for every process of this user, whatever its environment says, unless it names a folder of its own: what the
/// system gives each user until the last logout, or else a folder of our own.
fn folder() -> anyhow::Result<PathBuf> {
    let user = geteuid().as_raw();
    let of_user = env::runtime_folder().into_iter().chain([PathBuf::from(format!("/run/user/{user}"))]);
    let folder = of_user
        .filter(|folder| is_ours(folder).is_ok_and(|ours| ours))
        .map(|folder| folder.join(FOLDER))
        .next()
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/{FOLDER}-{user}")));
    let shown = || format!("cannot use `{}`", folder.display());
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).with_context(shown)?,
        _ => {}
    }
    anyhow::ensure!(is_ours(&folder).with_context(shown)?, "`{}` is not ours", folder.display());
    Ok(folder)
}

/// Whether it is a folder of this user, and no link to one.
fn is_ours(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == geteuid().as_raw())
}
