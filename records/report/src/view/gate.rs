//! What may be asked of the viewer, and which files it may open.
//!
//! Invariant: a request is answered only if the browser was told a loopback address, so that a page elsewhere cannot
//! reach the runs under a name of its own (DNS rebinding). A name in an address is one plain component, and what is
//! opened lies in the run's own folder after all links are followed.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use vigorl_metrics::Training;

use super::site::Reply;
use super::wish::Wish;

/// What is asked for, by its address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The list of runs, or what of it is wanted.
    List(Wish),
    /// Its version.
    ListVersion,
    /// Two runs side by side.
    Comparison { a: String, b: String },
    /// A run.
    Run(RunAt),
    /// Its version.
    RunVersion(RunAt),
    /// A picture of a step.
    Picture { run: RunAt, step: String, file: String },
    /// A training.
    Training(String),
    /// Its version.
    TrainingVersion(String),
    /// What the policy did before and after a training, side by side.
    BeforeAfter(String),
}

/// Where a run lies: its own name alone, or that of a training, of a folder in it, and perhaps of a run in that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunAt(Vec<String>);

impl RunAt {
    fn of(names: &[&str]) -> Option<Self> {
        let is_named = names.iter().all(|name| is_plain(name));
        is_named.then(|| Self(names.iter().map(|&name| name.to_owned()).collect()))
    }

    /// A run by its own name.
    pub(super) fn alone(name: &str) -> Option<Self> {
        Self::of(&[name])
    }

    /// A run in the folder of a training, which is one of the parts that a training has.
    pub(super) fn in_training(training: &str, part: &str) -> Option<Self> {
        Self::of(&[training, part])
    }

    /// The name in the root: that of the run, or of the training that it belongs to.
    pub(super) fn outermost(&self) -> &str {
        &self.0[0]
    }

    /// Its folder in `root`, which is canonical; `None` if there is none, also if a link stands for it, or for a folder
    /// around it.
    pub(super) fn folder(&self, root: &Path) -> Option<PathBuf> {
        let (name, around) = self.0.split_last()?;
        let mut folder = root.to_owned();
        for name in around {
            folder.push(name);
            if !is_folder(&folder) {
                return None;
            }
        }
        run_folder(&folder, name)
    }
}

/// Why a request is not answered at all; `None` if it is.
pub(super) fn refusal(is_reading: bool, hosts: &[&str]) -> Option<Reply> {
    let is_local = match hosts {
        [host] => is_loopback(host),
        _ => false,
    };
    if !is_local {
        return Some(Reply::text(403, "refused: ask for 127.0.0.1 or localhost"));
    }
    (!is_reading).then(|| Reply::text(405, "refused: the viewer only shows; ask with GET or HEAD"))
}

/// Whether a `Host` header names this machine, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")
}

/// What an address asks for; `None` if there is no such thing.
pub(super) fn asked(target: &str) -> Option<Asked> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decoded).collect::<Option<_>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        [""] => Wish::of(query).map(Asked::List),
        ["state"] => Some(Asked::ListVersion),
        ["compare"] => Some(Asked::Comparison { a: value(query, "a")?, b: value(query, "b")? }),
        ["run", run, ref rest @ ..] => of_run(RunAt::alone(run)?, rest),
        ["training", training, "run", part, ref rest @ ..] => {
            of_run(RunAt::in_training(training, part)?, rest)
        }
        ["training", training, "runs", part, run, ref rest @ ..] => {
            of_run(RunAt::of(&[training, part, run])?, rest)
        }
        ["training", training, rest] if is_plain(training) => match rest {
            "" => Some(Asked::Training(training.to_owned())),
            "state" => Some(Asked::TrainingVersion(training.to_owned())),
            "compare" => Some(Asked::BeforeAfter(training.to_owned())),
            _ => None,
        },
        _ => None,
    }
}

/// What is asked for of a run, by the rest of an address.
fn of_run(run: RunAt, rest: &[&str]) -> Option<Asked> {
    match *rest {
        [""] => Some(Asked::Run(run)),
        ["state"] => Some(Asked::RunVersion(run)),
        ["steps", step, file] if is_step(step) && is_picture(file) => {
            Some(Asked::Picture { run, step: step.to_owned(), file: file.to_owned() })
        }
        _ => None,
    }
}

/// A plain value of a query, as a form writes it.
fn value(query: &str, wanted: &str) -> Option<String> {
    let found = query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == wanted));
    decoded(&found?.1.replace('+', " ")).filter(|value| is_plain(value))
}

/// Text without `%41`; `None` if a `%` begins no such thing, or the bytes are no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = percent_decode_str(text);
    // The decoder leaves such a `%` as it is. An address that a browser writes has none.
    let mut after_percent = text.split('%').skip(1).map(|rest| rest.as_bytes().get(..2));
    let is_whole = after_percent.all(|two| two.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)));
    is_whole.then(|| bytes.decode_utf8().ok().map(Cow::into_owned)).flatten()
}

/// All but letters, digits, and what RFC 3986 calls unreserved.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text as one component of an address.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Whether a name is a single component that is not hidden, so that it cannot lead up or away.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn is_step(name: &str) -> bool {
    (4..=9).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_picture(name: &str) -> bool {
    let is_word = |stem: &str| {
        !stem.is_empty()
            && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    name.strip_suffix(".png").is_some_and(is_word)
}

/// The folder of a run in `root`, which is canonical; `None` if there is none, also if a link stands for it.
pub(super) fn run_folder(root: &Path, name: &str) -> Option<PathBuf> {
    let folder = is_plain(name).then(|| root.join(name))?;
    (is_folder(&folder) && folder.join("run.json").is_file()).then_some(folder)
}

/// The folder of a training in `root`, likewise. A run is none.
pub(super) fn training_folder(root: &Path, name: &str) -> Option<PathBuf> {
    let folder = is_plain(name).then(|| root.join(name))?;
    let is_run = folder.join("run.json").is_file();
    (is_folder(&folder) && !is_run && Training::is_at(&folder)).then_some(folder)
}

/// Whether there is a folder itself, and no link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Finds what a page about a training would read.
///
/// # Errors
/// If one of the files leads out of the folder, or is no file.
pub(super) fn check_training(folder: &Path) -> io::Result<()> {
    for path in Training::files(folder) {
        if !path.canonicalize()?.starts_with(folder) {
            let words = format!("`{}` leads out of the training's folder", path.display());
            return Err(io::Error::other(words));
        }
    }
    Ok(())
}

/// The file at `path` if it lies in the canonical `folder` after all links are followed.
///
/// # Errors
/// If it leads out, is no file, or cannot be read.
pub(super) fn read_inside(folder: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let found = path.canonicalize()?;
    if !found.starts_with(folder) {
        return Err(io::Error::other("it leads out of the run's folder"));
    }
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    fs::read(found)
}

/// Finds what a page about the run would read: the folder itself, its steps, and their files.
///
/// # Errors
/// If one of them leads out of the folder, or is neither file nor folder: then nothing of the run is shown.
pub(super) fn check_run(folder: &Path) -> io::Result<()> {
    check_entries(folder, folder)?;
    let steps = folder.join("steps");
    if steps.is_dir() {
        for step in check_entries(folder, &steps)? {
            check_entries(folder, &step)?;
        }
    }
    Ok(())
}

/// Checks what lies directly in `place`, and returns the folders among it.
pub(super) fn check_entries(folder: &Path, place: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            folders.push(path);
        } else if !kind.is_file() {
            let fine = kind.is_symlink()
                && path.canonicalize().is_ok_and(|found| found.starts_with(folder) && found.is_file());
            if !fine {
                let words = format!("`{}` leads out of the run's folder, or is no file", path.display());
                return Err(io::Error::other(words));
            }
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_loopback_name_is_answered() {
        for host in ["127.0.0.1", "127.0.0.1:8090", "localhost:1", "LocalHost"] {
            assert!(refusal(true, &[host]).is_none(), "{host}");
        }
        for host in
            ["", "example.org", "127.0.0.1.example.org", "localhost.example.org:80", "[::1]", "127.0.0.1:x"]
        {
            assert_eq!(refusal(true, &[host]).map(|reply| reply.status), Some(403), "{host}");
        }
        assert_eq!(refusal(true, &[]).map(|reply| reply.status), Some(403));
        assert_eq!(refusal(true, &["localhost", "example.org"]).map(|reply| reply.status), Some(403));
        assert_eq!(refusal(false, &["localhost"]).map(|reply| reply.status), Some(405));
    }

    #[test]
    fn addresses_name_runs_and_pictures_and_nothing_else() {
        let at = |names: &[&str]| RunAt(names.iter().map(|&name| name.to_owned()).collect());
        let run = |name: &str| Some(Asked::Run(at(&[name])));
        assert_eq!(asked("/"), Some(Asked::List(Wish::default())));
        let wish = Wish { words: "a b".to_owned(), by_task: true, ..Wish::default() };
        assert_eq!(asked("/?q=a+b&by=task"), Some(Asked::List(wish)));
        assert_eq!(asked("/run/a%20b/"), run("a b"));
        assert_eq!(asked("/run/a/state?x=1"), Some(Asked::RunVersion(at(&["a"]))));
        let both = |a: &str, b: &str| Some(Asked::Comparison { a: a.to_owned(), b: b.to_owned() });
        assert_eq!(asked("/compare?b=2+%2B&a=1"), both("1", "2 +"));
        let picture = |run: &str, step: &str, file: &str| {
            let [step, file] = [step, file].map(str::to_owned);
            Some(Asked::Picture { run: at(&[run]), step, file })
        };
        assert_eq!(asked("/run/a/steps/0001/crop_1.png"), picture("a", "0001", "crop_1.png"));
        assert_eq!(asked("/training/t/"), Some(Asked::Training("t".to_owned())));
        assert_eq!(asked("/training/t/state"), Some(Asked::TrainingVersion("t".to_owned())));
        assert_eq!(asked("/training/t/compare"), Some(Asked::BeforeAfter("t".to_owned())));
        assert_eq!(asked("/training/t/run/before/"), Some(Asked::Run(at(&["t", "before"]))));
        assert_eq!(asked("/training/t/run/before/state"), Some(Asked::RunVersion(at(&["t", "before"]))));
        assert_eq!(
            asked("/training/t/runs/rollouts/state/"),
            Some(Asked::Run(at(&["t", "rollouts", "state"])))
        );
        let inner = Asked::Picture {
            run: at(&["t", "rollouts", "r"]),
            step: "0001".to_owned(),
            file: "before.png".to_owned(),
        };
        assert_eq!(asked("/training/t/runs/rollouts/r/steps/0001/before.png"), Some(inner));
        for target in [
            "",
            "/?ended=maybe",
            "/?part=0",
            "/training/t",
            "/training/../",
            "/training/t/config.toml",
            "/training/t/run/../",
            "/training/t/run/%2e%2e/",
            "/training/t/runs/before/../",
            "/training/t/runs/before/",
            "/training/t/run/before/run.json",
            "run/a/",
            "http://example.org/",
            "//run/a/",
            "/run/../",
            "/run/%2e%2e/",
            "/run/..%2fx/",
            "/run/a%5cb/",
            "/run/a%00/",
            "/run/.git/",
            "/run//",
            "/run/a/run.json",
            "/run/a/steps/../0001/before.png",
            "/run/a/steps/0001/../../run.json",
            "/run/a/steps/0001/..%2f..%2frun.json",
            "/run/a/steps/0001/.png",
            "/run/a/steps/0001/model.json",
            "/run/a/steps/1/before.png",
            "/run/%zz/",
            "/run/%4",
            "/run/%ff/",
            "/compare?a=1",
            "/compare?a=1&b=..%2f..",
        ] {
            assert_eq!(asked(target), None, "{target}");
        }
    }

    #[test]
    fn names_survive_an_address() {
        for name in ["20260101T120000Z-demo", "a b+c&d=e", "ü/%", "\"<>'"] {
            assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
            assert!(
                encoded(name).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte))
            );
        }
    }

    #[test]
    fn links_that_lead_out_open_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (run, secret) = (root.join("run"), root.join("secret.png"));
        fs::create_dir_all(run.join("steps/0001")).unwrap();
        fs::write(run.join("run.json"), "{}").unwrap();
        fs::write(&secret, "secret").unwrap();
        fs::write(run.join("steps/0001/before.png"), "inside").unwrap();
        symlink("before.png", run.join("steps/0001/after.png")).unwrap();
        assert_eq!(run_folder(&root, "run"), Some(run.clone()));
        check_run(&run).unwrap();
        let read = |file: &str| read_inside(&run, &run.join("steps/0001").join(file));
        assert_eq!(read("after.png").unwrap(), b"inside");
        symlink(&secret, run.join("steps/0001/crop_1.png")).unwrap();
        assert!(read("crop_1.png").unwrap_err().to_string().contains("leads out"));
        assert!(check_run(&run).unwrap_err().to_string().contains("crop_1.png"));
        symlink(&run, root.join("link")).unwrap();
        assert_eq!(run_folder(&root, "link"), None);
        assert_eq!(run_folder(&root, "missing"), None);
        assert_eq!(run_folder(&root, ".."), None);
        // A run in a training's folder is found, unless a link stands for it or for the folder around it.
        fs::create_dir_all(root.join("t/before")).unwrap();
        fs::write(root.join("t/before/run.json"), "{}").unwrap();
        let inner = |training: &str, part: &str| RunAt::in_training(training, part).unwrap().folder(&root);
        assert_eq!(inner("t", "before"), Some(root.join("t/before")));
        symlink(&run, root.join("t/after")).unwrap();
        symlink(root.join("t"), root.join("t_link")).unwrap();
        assert_eq!((inner("t", "after"), inner("t_link", "before")), (None, None));
        // So is a training, if its files are its own.
        fs::write(root.join("t/config.toml"), "").unwrap();
        symlink(&secret, root.join("t/metrics.jsonl")).unwrap();
        let training = training_folder(&root, "t").unwrap();
        assert!(check_training(&training).unwrap_err().to_string().contains("leads out"));
        fs::remove_file(root.join("t/metrics.jsonl")).unwrap();
        assert_eq!(training_folder(&root, "t"), None);
        fs::write(root.join("t/metrics.jsonl"), "").unwrap();
        check_training(&training).unwrap();
        assert_eq!(training_folder(&root, "t_link"), None);
    }
}
