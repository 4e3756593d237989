//! What the viewer answers: pages about the runs of one folder, or about one run.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use vigorl_runs::{Glance, Recorded, RunDirError, run_version};

use super::gate::{self, Asked};
use crate::{Side, render_comparison, render_list, render_served};

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
    /// The only run that is shown, if one was asked for.
    only: Option<String>,
    /// The folder as it was typed.
    shown: String,
}

impl Site {
    /// Shows the runs in `folder`, or the one that it is.
    ///
    /// # Errors
    /// [`SiteError`] if there is no such folder, or it has no name for an address.
    pub fn open(folder: &Path) -> Result<Self, SiteError> {
        let shown = folder.display().to_string();
        let found = folder.canonicalize().ok().filter(|found| found.is_dir());
        let Some(found) = found else {
            return Err(SiteError::NoFolder(shown));
        };
        if !found.join("run.json").is_file() {
            return Ok(Self { root: found, only: None, shown });
        }
        let name = found.file_name().and_then(|name| name.to_str()).filter(|name| gate::is_plain(name));
        let (Some(root), Some(name)) = (found.parent(), name) else {
            return Err(SiteError::NoAddress(shown));
        };
        Ok(Self { root: root.to_owned(), only: Some(name.to_owned()), shown })
    }

    /// Where a browser begins.
    pub fn start(&self) -> String {
        self.only.as_deref().map_or_else(|| "/".to_owned(), address)
    }

    /// The answer to a request that was let in.
    pub(super) fn answer(&self, target: &str) -> Reply {
        let answered = match gate::asked(target) {
            None => Ok(Reply::missing("such page")),
            Some(Asked::List) => self.list(),
            Some(Asked::ListVersion) => self.names().map(|names| Reply::version(&self.version(&names))),
            Some(Asked::Comparison { a, b }) => Ok(self.comparison(&a, &b)),
            Some(Asked::Run(run)) => Ok(self.run(&run)),
            Some(Asked::RunVersion(run)) => Ok(match self.folder(&run) {
                Some(folder) => Reply::version(&run_version(&folder)),
                None => Reply::missing("such run"),
            }),
            Some(Asked::Picture { run, step, file }) => Ok(self.picture(&run, &step, &file)),
        };
        answered.unwrap_or_else(|error| Reply::text(500, &format!("cannot read `{}`: {error}", self.shown)))
    }

    fn list(&self) -> io::Result<Reply> {
        let names = self.names()?;
        let version = self.version(&names);
        let glance = |name: String| {
            let folder = self.root.join(&name);
            let glance = match gate::check_entries(&folder, &folder) {
                Ok(_) => Glance::read(&folder),
                Err(source) => Err(RunDirError::Read { path: folder, source }),
            };
            (name, glance)
        };
        let mut runs: Vec<_> = names.into_iter().map(glance).collect();
        // The latest first; what cannot be read has no time and goes last.
        let started = |glance: &Result<Glance, RunDirError>| {
            glance.as_ref().map(|glance| glance.run.started_at.clone()).unwrap_or_default()
        };
        runs.sort_by_cached_key(|(name, glance)| std::cmp::Reverse((started(glance), name.clone())));
        Ok(Reply::page(render_list(&self.shown, &runs, address, &version)))
    }

    fn run(&self, name: &str) -> Reply {
        let Some(folder) = self.folder(name) else { return Reply::missing("such run") };
        let version = run_version(&folder);
        match read(&folder) {
            Ok(recorded) => Reply::page(render_served(&recorded, &version)),
            Err(refused) => refused,
        }
    }

    fn comparison(&self, a: &str, b: &str) -> Reply {
        let (Some(folder_a), Some(folder_b)) = (self.folder(a), self.folder(b)) else {
            return Reply::missing("such run");
        };
        match (read(&folder_a), read(&folder_b)) {
            (Ok(recorded_a), Ok(recorded_b)) => Reply::page(render_comparison(
                &Side { name: a, address: &address(a), recorded: &recorded_a },
                &Side { name: b, address: &address(b), recorded: &recorded_b },
            )),
            (Err(refused), _) | (_, Err(refused)) => refused,
        }
    }

    fn picture(&self, run: &str, step: &str, file: &str) -> Reply {
        let Some(folder) = self.folder(run) else { return Reply::missing("such run") };
        match gate::read_inside(&folder, &folder.join("steps").join(step).join(file)) {
            Ok(body) => Reply { status: 200, kind: PNG, body },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reply::missing("such picture"),
            Err(error) => Reply::text(403, &format!("refused: {error}")),
        }
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        let is_shown = self.only.as_ref().is_none_or(|only| only == name);
        is_shown.then(|| gate::run_folder(&self.root, name)).flatten()
    }

    /// The names of the runs, sorted.
    fn names(&self) -> io::Result<Vec<String>> {
        if let Some(only) = &self.only {
            return Ok(vec![only.clone()]);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_str().map(str::to_owned);
            names.extend(name.filter(|name| gate::run_folder(&self.root, name).is_some()));
        }
        names.sort();
        Ok(names)
    }

    /// Changes whenever one of the runs goes on, begins, or is removed.
    fn version(&self, names: &[String]) -> String {
        let mut hasher = DefaultHasher::new();
        for name in names {
            (name, run_version(&self.root.join(name))).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// Where a run is shown.
fn address(name: &str) -> String {
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
