//! What the viewer answers: pages about the runs and trainings of one folder, or about one of them.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use vigorl_metrics::{FolderError, Standing, Training};
use vigorl_runs::{Recorded, run_version};

use super::gate::{self, Asked, RunAt};
use super::rows::{Marks, Rows};
use super::wish::Wish;
use crate::training::{parts_of, render_served_training};
use crate::{ListPage, Side, TrainingRow, render_comparison, render_list, render_served};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PNG: &str = "image/png";

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The type of the body.
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Words for whoever asked.
    pub(super) fn text(status: u16, words: &str) -> Self {
        Self { status, kind: TEXT, body: format!("{words}\n").into_bytes() }
    }

    fn page(html: String) -> Self {
        Self { status: 200, kind: HTML, body: html.into_bytes() }
    }

    fn version(version: &str) -> Self {
        Self { status: 200, kind: JSON, body: json!({ "version": version }).to_string().into_bytes() }
    }

    fn missing(what: &str) -> Self {
        Self::text(404, &format!("there is no {what}"))
    }
}

/// Nothing can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// It was mistyped, or nothing was recorded yet.
    #[error("there is no folder `{0}`: record a run first (`vigorl demo`), or name the folder of your runs")]
    NoFolder(String),
    /// It begins with a dot, or is not text.
    #[error("`{0}` has a name that no address can hold: rename it")]
    NoAddress(String),
}

/// The runs that are shown.
#[derive(Debug)]
pub struct Site {
    /// The folder of the runs, without links.
    root: PathBuf,
    /// The only run or training that is shown, if one was asked for.
    only: Option<String>,
    /// The folder as it was typed.
    shown: String,
    /// What was read of the runs.
    rows: Rows,
}

/// What lies in the folder.
struct Listed {
    runs: Vec<(String, Marks)>,
    trainings: Vec<String>,
}

impl Site {
    /// Shows the runs and trainings in `folder`, or the one that it is.
    ///
    /// # Errors
    /// [`SiteError`] if there is no such folder, or it has no name for an address.
    pub fn open(folder: &Path) -> Result<Self, SiteError> {
        let shown = folder.display().to_string();
        let found = folder.canonicalize().ok().filter(|found| found.is_dir());
        let Some(found) = found else {
            return Err(SiteError::NoFolder(shown));
        };
        if !found.join("run.json").is_file() && !Training::is_at(&found) {
            return Ok(Self { root: found, only: None, shown, rows: Rows::default() });
        }
        let name = found.file_name().and_then(|name| name.to_str()).filter(|name| gate::is_plain(name));
        let (Some(root), Some(name)) = (found.parent(), name) else {
            return Err(SiteError::NoAddress(shown));
        };
        Ok(Self { root: root.to_owned(), only: Some(name.to_owned()), shown, rows: Rows::default() })
    }

    /// Where a browser begins.
    pub fn start(&self) -> String {
        match self.only.as_deref() {
            Some(name) if gate::training_folder(&self.root, name).is_some() => training_address(name),
            Some(name) => run_address(name),
            None => "/".to_owned(),
        }
    }

    /// The answer to a request that was let in.
    pub(super) fn answer(&self, target: &str) -> Reply {
        let answered = match gate::asked(target) {
            None => Ok(Reply::missing("such page")),
            Some(Asked::List(wish)) => self.list(&wish),
            Some(Asked::ListVersion) => self.listed().map(|listed| Reply::version(&self.version(&listed))),
            Some(Asked::Comparison { a, b }) => Ok(self.comparison(&a, &b)),
            Some(Asked::Training(name)) => Ok(self.training(&name)),
            Some(Asked::TrainingVersion(name)) => Ok(match self.training_folder(&name) {
                Some(folder) => Reply::version(&training_version(&folder)),
                None => Reply::missing("such training"),
            }),
            Some(Asked::BeforeAfter(name)) => Ok(self.before_and_after(&name)),
            Some(Asked::Run(run)) => Ok(self.run(&run)),
            Some(Asked::RunVersion(run)) => Ok(match self.folder(&run) {
                Some(folder) => Reply::version(&run_version(&folder)),
                None => Reply::missing("such run"),
            }),
            Some(Asked::Picture { run, step, file }) => Ok(self.picture(&run, &step, &file)),
        };
        answered.unwrap_or_else(|error| Reply::text(500, &format!("cannot read `{}`: {error}", self.shown)))
    }

    fn list(&self, wish: &Wish) -> io::Result<Reply> {
        let listed = self.listed()?;
        let version = self.version(&listed);
        let Listed { runs, trainings } = listed;
        let runs = self.rows.of(&self.root, runs);
        let of_training = |name: String| {
            let folder = self.root.join(&name);
            let training = match gate::check_training(&folder) {
                Ok(()) => Training::read(&folder),
                Err(source) => Err(FolderError::Read { path: folder, source }),
            };
            TrainingRow { address: training_address(&name), name, training }
        };
        let mut trainings: Vec<_> = trainings.into_iter().map(of_training).collect();
        trainings.sort_by_key(|row| {
            std::cmp::Reverse(row.training.as_ref().ok().map(|training| training.written))
        });
        let (folder, trainings, version) = (&*self.shown, &*trainings, &*version);
        Ok(Reply::page(render_list(&ListPage { folder, trainings, runs: &runs, wish, version })))
    }

    fn training(&self, name: &str) -> Reply {
        let Some(folder) = self.training_folder(name) else { return Reply::missing("such training") };
        let version = training_version(&folder);
        if let Err(error) = gate::check_training(&folder) {
            return Reply::text(403, &format!("refused: {error}"));
        }
        match Training::read(&folder) {
            Ok(training) => Reply::page(render_served_training(&training, &version)),
            Err(error) => Reply::text(500, &error.to_string()),
        }
    }

    fn before_and_after(&self, name: &str) -> Reply {
        let part = |part: &str| RunAt::in_training(name, part).and_then(|run| self.folder(&run));
        let (Some(before), Some(after)) = (part("before"), part("after")) else {
            return Reply::missing("run before and after it");
        };
        sides([("before", "run/before/", &before), ("after", "run/after/", &after)])
    }

    fn run(&self, run: &RunAt) -> Reply {
        let Some(folder) = self.folder(run) else { return Reply::missing("such run") };
        let version = run_version(&folder);
        match read(&folder) {
            Ok(recorded) => Reply::page(render_served(&recorded, &version)),
            Err(refused) => refused,
        }
    }

    fn comparison(&self, a: &str, b: &str) -> Reply {
        let folder = |name: &str| RunAt::alone(name).and_then(|run| self.folder(&run));
        let (Some(folder_a), Some(folder_b)) = (folder(a), folder(b)) else {
            return Reply::missing("such run");
        };
        sides([(a, &run_address(a), &folder_a), (b, &run_address(b), &folder_b)])
    }

    fn picture(&self, run: &RunAt, step: &str, file: &str) -> Reply {
        let Some(folder) = self.folder(run) else { return Reply::missing("such run") };
        match gate::read_inside(&folder, &folder.join("steps").join(step).join(file)) {
            Ok(body) => Reply { status: 200, kind: PNG, body },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reply::missing("such picture"),
            Err(error) => Reply::text(403, &format!("refused: {error}")),
        }
    }

    fn folder(&self, run: &RunAt) -> Option<PathBuf> {
        self.shows(run.outermost()).then(|| run.folder(&self.root)).flatten()
    }

    fn training_folder(&self, name: &str) -> Option<PathBuf> {
        self.shows(name).then(|| gate::training_folder(&self.root, name)).flatten()
    }

    fn shows(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// What is a run, or a training, by its name in order.
    fn listed(&self) -> io::Result<Listed> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_str().map(str::to_owned);
            names.extend(name.filter(|name| self.shows(name) && gate::is_plain(name)));
        }
        names.sort_unstable();
        let mut listed = Listed { runs: Vec::new(), trainings: Vec::new() };
        for name in names {
            match Marks::of(&self.root.join(&name)) {
                Some(marks) => listed.runs.push((name, marks)),
                None if gate::training_folder(&self.root, &name).is_some() => listed.trainings.push(name),
                None => {}
            }
        }
        Ok(listed)
    }

    /// Changes whenever one of the runs or trainings goes on, begins, or is removed.
    fn version(&self, listed: &Listed) -> String {
        let mut hasher = DefaultHasher::new();
        listed.runs.hash(&mut hasher);
        for name in &listed.trainings {
            (name, training_version(&self.root.join(name))).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// Two runs side by side: for each its name, its address and its folder.
fn sides(sides: [(&str, &str, &Path); 2]) -> Reply {
    let [(name_a, address_a, folder_a), (name_b, address_b, folder_b)] = sides;
    match (read(folder_a), read(folder_b)) {
        (Ok(recorded_a), Ok(recorded_b)) => Reply::page(render_comparison(
            &Side { name: name_a, address: address_a, recorded: &recorded_a },
            &Side { name: name_b, address: address_b, recorded: &recorded_b },
        )),
        (Err(refused), _) | (_, Err(refused)) => refused,
    }
}

/// Changes whenever a training writes a line, stands otherwise, or has more runs.
fn training_version(folder: &Path) -> String {
    let [_, metrics] = Training::files(folder);
    let n_bytes = fs::metadata(metrics).map_or(0, |file| file.len());
    let standing = Training::standing_at(folder).map_or("unknown", Standing::word);
    let n_runs: usize = parts_of(folder).iter().map(|part| part.names.as_ref().map_or(1, Vec::len)).sum();
    format!("{n_bytes}-{standing}-{n_runs}")
}

/// Where a training is shown.
fn training_address(name: &str) -> String {
    format!("/training/{}/", gate::encoded(name))
}

/// Where a run is shown.
pub(crate) fn run_address(name: &str) -> String {
    format!("/run/{}/", gate::encoded(name))
}

/// What was recorded, or why nothing of it is shown.
fn read(folder: &Path) -> Result<Recorded, Reply> {
    gate::check_run(folder).map_err(|error| Reply::text(403, &format!("refused: {error}")))?;
    Recorded::read(folder).map_err(|error| Reply::text(500, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use vigorl_runs::RunDir;
    use vigorl_runs::record::{RunRecord, Summary};

    use super::*;

    fn record(folder: &Path, name: &str) -> String {
        let record = RunRecord { task: name.to_owned(), ..RunRecord::default() };
        let run = RunDir::create(folder, name, &record, &[]).unwrap();
        let path = run.finish(&Summary::default()).unwrap();
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn body(site: &Site, target: &str) -> (u16, String) {
        let reply = site.answer(target);
        (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
    }

    #[test]
    fn a_folder_shows_its_runs_and_one_run_shows_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (record(folder.path(), "one"), record(folder.path(), "two"));
        let all = Site::open(folder.path()).unwrap();
        let (status, list) = body(&all, "/");
        assert_eq!((status, all.start().as_str()), (200, "/"));
        assert!(list.contains(&one) && list.contains(&two));
        assert_eq!(body(&all, &format!("/run/{two}/")).0, 200);
        assert_eq!(body(&all, &format!("/compare?a={one}&b={two}")).0, 200);

        let alone = Site::open(&folder.path().join(&one)).unwrap();
        assert_eq!(alone.start(), format!("/run/{one}/"));
        assert!(!body(&alone, "/").1.contains(&two));
        assert_eq!(body(&alone, &format!("/run/{one}/")).0, 200);
        assert_eq!(body(&alone, &format!("/run/{two}/")).0, 404);
        assert_eq!(body(&alone, &format!("/compare?a={one}&b={two}")).0, 404);
    }

    #[test]
    fn the_version_changes_when_a_run_goes_on_and_when_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::open(folder.path()).unwrap();
        let empty = body(&site, "/state");
        let one = record(folder.path(), "one");
        let first = body(&site, "/state");
        assert_ne!(empty, first);
        assert_eq!(first, body(&site, "/state"));
        let log = folder.path().join(&one).join("events.jsonl");
        fs::write(&log, fs::read_to_string(&log).unwrap() + "{}\n").unwrap();
        assert_ne!(first, body(&site, "/state"));
    }

    #[test]
    fn a_damaged_run_is_listed_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let name = record(folder.path(), "one");
        fs::write(folder.path().join(&name).join("run.json"), "{").unwrap();
        let site = Site::open(folder.path()).unwrap();
        let (status, list) = body(&site, "/");
        assert!(status == 200 && list.contains("cannot be read") && list.contains("is damaged"), "{list}");
        assert_eq!(body(&site, &format!("/run/{name}/")).0, 500);
    }
}
