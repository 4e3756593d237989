//! The folder of an evaluation's record: its head, and a line for each item, written as soon as the item was played.
//!
//! Invariants: a line is whole or it is not there: what a kill or a full disk cut off is taken away when the run goes on; no
//! item of a mode and draw has two lines; one process at a time writes; a record goes on only for the very same run. Items on
//! which the world failed are played again when it goes on, because nobody judged them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use vigorl_files::write_whole;

use crate::head::Head;
use crate::line::{Key, Line};

/// The head.
const HEAD: &str = "head.json";
/// The lines.
pub const LINES: &str = "items.jsonl";
/// What says that somebody writes.
const LOCK: &str = ".lock";

/// Why a record cannot be read or written, for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file could not be read or written.
    #[error("cannot {what} `{}`: {source}", path.display())]
    File {
        /// `read`, `write` or `make`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no record.
    #[error("`{}` has no record of an evaluation: there is no {HEAD}; `vigorl eval … --out DIR` writes one", .0.display())]
    NoRecord(PathBuf),
    /// What stands in a file is not what this program writes.
    #[error("`{}`{}: {why}", path.display(), line.map_or(String::new(), |line| format!(", line {line}")))]
    Content {
        /// Which file.
        path: PathBuf,
        /// Which line of it.
        line: Option<usize>,
        /// What is wrong.
        why: String,
    },
    /// Another run is recorded there.
    #[error(
        "`{}` has the record of another run: {} differs; name another folder, or take that one away",
        path.display(), differences.join(", ")
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What differs.
        differences: Vec<&'static str>,
    },
    /// There are lines of which nobody knows what they are of.
    #[error(
        "`{}` has {LINES} without {HEAD}, so nobody can tell of which run: name another folder, or take it away",
        .0.display()
    )]
    NoHead(PathBuf),
    /// Somebody else writes there.
    #[error("another program is writing to `{}`: wait for it, or give each part a folder of its own", .0.display())]
    Busy(PathBuf),
}

impl FolderError {
    /// Whether another command cures it; what a disk, or another program, does is no error of whoever typed this one.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoRecord(_) | Self::Content { .. } | Self::OtherRun { .. } | Self::NoHead(_) => true,
            Self::File { what, source, .. } => *what == "read" && source.kind() == ErrorKind::NotFound,
            Self::Busy(_) => false,
        }
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::File { what, path, source }
}

/// A record that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its head.
    pub head: Head,
    /// Its lines, in the order in which they were written.
    pub lines: Vec<Line>,
}

impl Recorded {
    /// Reads the record of a folder.
    ///
    /// # Errors
    /// [`FolderError`]; a last line that was cut off is not there.
    pub fn read(folder: &Path) -> Result<Self, FolderError> {
        let head = read_head(folder)?.ok_or_else(|| FolderError::NoRecord(folder.to_owned()))?;
        let path = folder.join(LINES);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let lines = parse(&text[..whole_lines(&text)], &path)?;
        Ok(Self { head, lines })
    }
}

fn read_head(folder: &Path) -> Result<Option<Head>, FolderError> {
    let path = folder.join(HEAD);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| FolderError::Content {
        path,
        line: None,
        why: error.to_string(),
    })
}

/// How many bytes whole lines take.
fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// Reads lines of JSON.
///
/// # Errors
/// [`FolderError::Content`] with the line that is none, or that stands there twice.
pub fn parse(text: &[u8], path: &Path) -> Result<Vec<Line>, FolderError> {
    let wrong =
        |line: usize, why: String| FolderError::Content { path: path.to_owned(), line: Some(line), why };
    let mut keys = BTreeSet::new();
    let mut lines = Vec::new();
    for (idx, text) in text.split(|byte| *byte == b'\n').enumerate() {
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(text).map_err(|error| wrong(idx + 1, error.to_string()))?;
        if !keys.insert(line.key()) {
            return Err(wrong(
                idx + 1,
                format!("a line before it has the same item, mode and draw: `{}`", line.id),
            ));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// A record that is written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    written: Mutex<Written>,
    /// Held as long as this record is written.
    _lock: Option<File>,
}

#[derive(Debug)]
struct Written {
    file: Option<File>,
    lines: Vec<Line>,
    keys: BTreeSet<Key>,
}

impl Folder {
    /// A record in memory alone.
    pub fn in_memory() -> Self {
        let written = Written { file: None, lines: Vec::new(), keys: BTreeSet::new() };
        Self { path: PathBuf::new(), written: Mutex::new(written), _lock: None }
    }

    /// Begins a record in a folder, or goes on with the one that is there.
    ///
    /// # Errors
    /// [`FolderError`], also if another run is recorded there.
    pub fn open(path: &Path, head: &Head) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(failed("make", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(failed("write", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed("write", &lock_path)(error)),
        }
        let lines_path = path.join(LINES);
        let lines = match read_head(path)? {
            Some(before) => {
                let differences = before.differences(head);
                if !differences.is_empty() {
                    return Err(FolderError::OtherRun { path: path.to_owned(), differences });
                }
                let Recorded { mut lines, .. } = Recorded::read(path)?;
                lines.retain(|line| !line.is_error());
                lines
            }
            None if fs::metadata(&lines_path).is_ok_and(|file| file.len() > 0) => {
                return Err(FolderError::NoHead(path.to_owned()));
            }
            None => Vec::new(),
        };
        // What was cut off and what failed is taken away. Lines come first: a head without lines is a run that begins, and
        // lines without a head would be another's.
        let text: String = lines.iter().map(written).collect();
        write_whole(&lines_path, text.as_bytes()).map_err(failed("write", &lines_path))?;
        let head_path = path.join(HEAD);
        let json = serde_json::to_string_pretty(head).unwrap_or_default();
        write_whole(&head_path, json.as_bytes()).map_err(failed("write", &head_path))?;
        let file = OpenOptions::new().append(true).open(&lines_path).map_err(failed("write", &lines_path))?;
        let keys = lines.iter().map(Line::key).collect();
        let written = Written { file: Some(file), lines, keys };
        Ok(Self { path: path.to_owned(), written: Mutex::new(written), _lock: Some(lock) })
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line is there.
    pub fn has(&self, key: Key) -> bool {
        self.written().keys.contains(&key)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.written().lines.clone()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`FolderError`] if it could not be written whole: then it counts as not there when the run goes on.
    ///
    /// # Panics
    /// If there is a line of this item, mode and draw: an item is judged once.
    pub fn add(&self, line: Line) -> Result<(), FolderError> {
        let mut all = self.written();
        assert!(all.keys.insert(line.key()), "`{}` was judged twice", line.id);
        if let Some(file) = &mut all.file {
            // Each line is one write, so that a kill cuts the last one at most.
            file.write_all(written(&line).as_bytes()).map_err(failed("write", &self.path.join(LINES)))?;
        }
        all.lines.push(line);
        Ok(())
    }
}

/// A line as it stands in a file.
pub fn written(line: &Line) -> String {
    let json = serde_json::to_string(line).unwrap_or_else(|error| unreachable!("a line is JSON: {error}"));
    format!("{json}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Mode;
    use crate::head::{Asked, Described, Shard};

    fn head() -> Head {
        let described = Described {
            benchmark: "set/v1".to_owned(),
            title: String::new(),
            set: serde_json::Value::Null,
            n_items: 4,
            items_sha256: String::new(),
            groups: Vec::new(),
            macro_groups: Vec::new(),
            notes: Vec::new(),
            is_in_words: false,
        };
        Head {
            described,
            asked: Asked { model: "nano".to_owned(), ..Asked::default() },
            modes: vec![Mode::MultiTurn],
            n_draws: 1,
            seed: 0,
            commit: "c".to_owned(),
            shard: Shard::WHOLE,
            opened: serde_json::Value::Null,
        }
    }

    fn line(item: u64, outcome: &str) -> Line {
        serde_json::from_value(serde_json::json!({
            "id": format!("item-{item}"), "item": item, "mode": "multi_turn", "outcome": outcome,
            "instruction": "the \"red\"\nbutton", "values": [["type", "icon"]], "targets": [[1.0, 2.0, 3.0, 4.0]],
            "is_answered": outcome != "error", "is_right": (outcome != "error").then_some(outcome == "correct"),
        }))
        .unwrap()
    }

    #[test]
    fn a_record_goes_on_wherever_it_was_cut_and_has_every_line_once() {
        let unbroken = [line(0, "correct"), line(1, "wrong"), line(2, "wrong_format"), line(3, "correct")];
        let whole: String = unbroken.iter().map(written).collect();
        for cut in 0..=whole.len() {
            let folder = tempfile::tempdir().unwrap();
            drop(Folder::open(folder.path(), &head()).unwrap());
            fs::write(folder.path().join(LINES), &whole.as_bytes()[..cut]).unwrap();
            let record = Folder::open(folder.path(), &head()).unwrap();
            for line in unbroken.iter().filter(|line| !record.has(line.key())) {
                record.add(line.clone()).unwrap();
            }
            assert_eq!(fs::read_to_string(folder.path().join(LINES)).unwrap(), whole, "cut at {cut}");
            assert_eq!(Recorded::read(folder.path()).unwrap().lines, unbroken);
        }
    }

    #[test]
    fn what_nobody_judged_is_played_again() {
        let folder = tempfile::tempdir().unwrap();
        let record = Folder::open(folder.path(), &head()).unwrap();
        record.add(line(0, "error")).unwrap();
        record.add(line(1, "correct")).unwrap();
        drop(record);
        let record = Folder::open(folder.path(), &head()).unwrap();
        assert!(!record.has(line(0, "error").key()) && record.has(line(1, "correct").key()));
        record.add(line(0, "wrong")).unwrap();
        assert_eq!(Recorded::read(folder.path()).unwrap().lines, [line(1, "correct"), line(0, "wrong")]);
    }

    #[test]
    fn another_run_and_another_writer_are_refused_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let record = Folder::open(folder.path(), &head()).unwrap();
        record.add(line(0, "correct")).unwrap();
        let busy = Folder::open(folder.path(), &head()).unwrap_err();
        assert!(matches!(busy, FolderError::Busy(_)), "{busy}");
        drop(record);
        let mut other = head();
        other.asked.model = "nano-full".to_owned();
        other.shard = Shard { number: 1, of: 2 };
        let said = Folder::open(folder.path(), &other).unwrap_err().to_string();
        assert!(said.contains("the model, the shard differs"), "{said}");
        assert_eq!(Recorded::read(folder.path()).unwrap().lines, [line(0, "correct")]);
    }

    #[test]
    fn what_is_asked_and_how_many_pixels_are_shown_tell_runs_apart() {
        type Change<'c> = (&'c dyn Fn(&mut Head), &'c str);
        let changes: [Change<'_>; 4] = [
            (&|head| head.described.items_sha256 = "1".repeat(64), "the set differs"),
            (&|head| head.described.items_sha256 = String::new(), "the set differs"),
            (&|head| head.asked.how["max_pixels"] = 3136.into(), "how it is asked differs"),
            (&|head| head.asked.how["max_pixels"] = serde_json::Value::Null, "how it is asked differs"),
        ];
        let mut ours = head();
        ours.described.items_sha256 = "0".repeat(64);
        ours.asked.how = serde_json::json!({ "max_pixels": 6400 });
        for (change, expected) in changes {
            let folder = tempfile::tempdir().unwrap();
            let record = Folder::open(folder.path(), &ours).unwrap();
            record.add(line(0, "correct")).unwrap();
            drop(record);
            let mut other = ours.clone();
            change(&mut other);
            let error = Folder::open(folder.path(), &other).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(expected), "{error}");
            let recorded = Recorded::read(folder.path()).unwrap();
            assert_eq!((&recorded.head, &recorded.lines), (&ours, &vec![line(0, "correct")]));
            assert!(Folder::open(folder.path(), &ours).is_ok(), "the same run goes on");
            let theirs = Recorded { head: other, lines: vec![line(1, "wrong")] };
            let runs = crate::merged::merge([("a".into(), recorded), ("b".into(), theirs)]).unwrap();
            assert_eq!(runs.len(), 2, "and is not put together with another one");
        }
    }

    #[test]
    fn a_record_of_an_older_version_is_read_and_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let mut ours = head();
        ours.described.items_sha256 = "0".repeat(64);
        drop(Folder::open(folder.path(), &ours).unwrap());
        let path = folder.path().join(HEAD);
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(json["described"].as_object_mut().unwrap().remove("items_sha256").is_some());
        fs::write(&path, json.to_string()).unwrap();
        assert_eq!(Recorded::read(folder.path()).unwrap().head.described.items_sha256, "");
        let error = Folder::open(folder.path(), &ours).unwrap_err();
        assert!(error.to_string().contains("the set differs"), "{error}");
    }

    #[test]
    fn a_record_that_was_changed_by_hand_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let said = Recorded::read(folder.path()).unwrap_err().to_string();
        assert!(said.contains("no head.json"), "{said}");
        drop(Folder::open(folder.path(), &head()).unwrap());
        let twice = format!("{0}{0}", written(&line(0, "correct")));
        for (text, expected) in
            [(&*twice, "line 2: a line before it"), ("{}\n", "line 1: missing field"), ("[\n", "line 1")]
        {
            fs::write(folder.path().join(LINES), text).unwrap();
            let said = Recorded::read(folder.path()).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        fs::write(folder.path().join(HEAD), "{").unwrap();
        let said = Folder::open(folder.path(), &head()).unwrap_err().to_string();
        assert!(said.contains(HEAD), "{said}");
        fs::remove_file(folder.path().join(HEAD)).unwrap();
        let error = Folder::open(folder.path(), &head()).unwrap_err();
        assert!(matches!(error, FolderError::NoHead(_)), "{error}");
        assert!(fs::metadata(folder.path().join(LINES)).unwrap().len() > 0, "nothing is lost");
    }
}
