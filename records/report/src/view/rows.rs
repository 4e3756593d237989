//! The runs of a folder as rows of the list, read once and then only where something has changed.
//!
//! Invariant: a row says what its files say: it is read again as soon as one of them, or what lies in the folder, has another
//! length or time, and as long as they are so new that another change could have the same time. A folder that leads out of itself
//! is not read.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use vigorl_runs::{Glance, RunDirError};

use super::gate;
use crate::list::RunRow;

/// Changes that are no further apart may have the same time: no file system in use counts in longer steps.
const TICK: Duration = Duration::from_secs(2);

/// What changes when a run does: the folder, what it was to do, its log, and its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Marks([Option<(u64, SystemTime)>; 4]);

impl Marks {
    /// Of the run in a folder; `None` if there is none, also if a link stands for it.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let own = fs::symlink_metadata(folder).ok().filter(Metadata::is_dir)?;
        let run = fs::metadata(folder.join("run.json")).ok().filter(Metadata::is_file)?;
        let [log, end] = ["events.jsonl", "summary.json"].map(|file| fs::metadata(folder.join(file)).ok());
        let mark = |of: Metadata| Some((of.len(), of.modified().ok()?));
        Some(Self([Some(own), Some(run), log, end].map(|of| of.and_then(mark))))
    }

    /// Whether whatever changes from now on has another time.
    fn are_old(&self) -> bool {
        let now = SystemTime::now();
        self.0.iter().flatten().all(|(_, time)| now.duration_since(*time).is_ok_and(|age| age > TICK))
    }
}

/// The rows that were read and need not be read again as long as their marks are the same.
#[derive(Debug, Default)]
pub(super) struct Rows(Mutex<HashMap<String, (Marks, Arc<RunRow>)>>);

impl Rows {
    /// The rows of these runs of `root`; what is not among them any more is forgotten.
    pub(super) fn of(&self, root: &Path, runs: Vec<(String, Marks)>) -> Vec<Arc<RunRow>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        let row = |(name, marks): (String, Marks)| {
            let row = match before.remove(&name) {
                Some((then, row)) if then == marks => row,
                _ => Arc::new(read(root, &name)),
            };
            if marks.are_old() {
                known.insert(name, (marks, Arc::clone(&row)));
            }
            row
        };
        runs.into_iter().map(row).collect()
    }
}

fn read(root: &Path, name: &str) -> RunRow {
    let folder = root.join(name);
    let glance = match gate::check_entries(&folder, &folder) {
        Ok(_) => Glance::read(&folder),
        Err(source) => Err(RunDirError::Read { path: folder, source }),
    };
    RunRow::of(name, &glance)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use vigorl_runs::RunDir;
    use vigorl_runs::record::{RunRecord, Summary};

    use super::*;

    fn record(folder: &Path, task: &str) -> PathBuf {
        let record = RunRecord { task: task.to_owned(), ..RunRecord::default() };
        RunDir::create(folder, task, &record, &[]).unwrap().finish(&Summary::default()).unwrap()
    }

    fn runs(root: &Path) -> Vec<(String, Marks)> {
        let names =
            fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| Some((name.clone(), Marks::of(&root.join(name))?))).collect()
    }

    /// A run that was over an hour ago.
    fn old(folder: &Path, task: &str) -> PathBuf {
        let run = record(folder, task);
        let files = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
        for path in files.chain([run.clone()]) {
            File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        }
        run
    }

    /// Writes a file that looks as it did: as long, and of the same time.
    fn overwrite(path: &Path) {
        let (length, time) = {
            let of = fs::metadata(path).unwrap();
            (of.len(), of.modified().unwrap())
        };
        fs::write(path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn what_did_not_change_is_not_read_again_and_what_did_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (one, two) = (old(root, "one"), old(root, "two"));
        let rows = Rows::default();
        let readable = || {
            let mut found: Vec<(bool, String)> =
                rows.of(root, runs(root)).iter().map(|row| (row.known.is_ok(), row.name.clone())).collect();
            found.sort();
            found.into_iter().map(|(is_ok, _)| is_ok).collect::<Vec<_>>()
        };
        assert_eq!(readable(), [true, true]);
        // Nobody looks into a file that looks as it did.
        overwrite(&one.join("run.json"));
        assert_eq!(readable(), [true, true]);
        // A longer log, a summary of another time, and a file more are changes.
        fs::write(one.join("report.html"), "").unwrap();
        assert_eq!(readable(), [false, true]);
        fs::write(two.join("summary.json"), "{").unwrap();
        assert_eq!(readable(), [false, false]);
        fs::remove_dir_all(&one).unwrap();
        assert_eq!(readable(), [false]);
    }

    #[test]
    fn what_is_new_is_read_again_until_its_next_change_must_have_another_time() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let run = record(root, "one");
        let rows = Rows::default();
        assert!(rows.of(root, runs(root))[0].known.is_ok());
        overwrite(&run.join("run.json"));
        assert!(rows.of(root, runs(root))[0].known.is_err());
    }

    #[test]
    fn what_leads_out_of_a_run_is_seen_when_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("runs");
        let run = old(&root, "one");
        let rows = Rows::default();
        assert!(rows.of(&root, runs(&root))[0].known.is_ok());
        std::os::unix::fs::symlink(folder.path(), run.join("out")).unwrap();
        let row = rows.of(&root, runs(&root)).remove(0);
        assert!(row.known.as_ref().is_err_and(|why| why.contains("leads out")), "{row:?}");
        // A link is no run.
        std::os::unix::fs::symlink(&run, root.join("link")).unwrap();
        assert_eq!(runs(&root).len(), 1);
    }
}
