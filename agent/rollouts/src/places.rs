//! Where the pictures of a run lie, as whoever reads an exported file finds them.
//!
//! Invariant: a place is that of a picture in the folder of the lines, and the picture is there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a picture has no place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The name leads elsewhere: an absolute path, or `..`.
    #[error("the picture `{0}` is not in the folder of the run")]
    Elsewhere(String),
    /// It was deleted or moved.
    #[error("there is no picture `{0}`: the run directory is not complete")]
    Missing(PathBuf),
    /// A folder's name is no Unicode.
    #[error("`{0}` cannot be written in JSON: its name is not UTF-8")]
    NotUtf8(PathBuf),
}

/// Finds pictures by their names.
#[derive(Debug)]
pub struct Places {
    run: PathBuf,
    /// Where the paths begin; nothing for absolute paths.
    from: Option<PathBuf>,
    known: BTreeMap<String, String>,
}

impl Places {
    /// Pictures of the folder `run`: by paths that begin in the folder `from`, or else by absolute ones.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn new(run: &Path, from: Option<&Path>) -> io::Result<Self> {
        let from = from.map(Path::canonicalize).transpose()?;
        Ok(Self { run: run.canonicalize()?, from, known: BTreeMap::new() })
    }

    /// The name of the folder of the run.
    pub fn run_name(&self) -> String {
        self.run.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The place of a picture by its name.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn of(&mut self, name: &str) -> Result<String, PlaceError> {
        if let Some(place) = self.known.get(name) {
            return Ok(place.clone());
        }
        // Whoever trains shows the file at this place to a policy: a line must not choose another one.
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(PlaceError::Elsewhere(name.to_owned()));
        }
        let path = self.run.join(name);
        if !path.is_file() {
            return Err(PlaceError::Missing(path));
        }
        let place = match &self.from {
            Some(from) => relative(from, &path),
            None => path.to_str().map(str::to_owned),
        };
        let place = place.ok_or(PlaceError::NotUtf8(path))?;
        self.known.insert(name.to_owned(), place.clone());
        Ok(place)
    }
}

/// The way from a folder to a file, both absolute. Where there is none, between two drives, the absolute path.
fn relative(from: &Path, to: &Path) -> Option<String> {
    let (mut ahead, mut behind) = (to.components().peekable(), from.components().peekable());
    if ahead.peek() != behind.peek() {
        return to.to_str().map(str::to_owned);
    }
    while ahead.peek().is_some() && ahead.peek() == behind.peek() {
        ahead.next();
        behind.next();
    }
    let up = behind.map(|_| Some(".."));
    let parts: Option<Vec<&str>> = up.chain(ahead.map(|part| part.as_os_str().to_str())).collect();
    parts.map(|parts| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_picture_is_found_from_the_folder_of_the_exported_file() {
        let folder = tempfile::tempdir().unwrap();
        let [run, data] = ["runs/a", "data"].map(|name| folder.path().join(name));
        fs::create_dir_all(run.join("images")).unwrap();
        fs::create_dir_all(&data).unwrap();
        fs::write(run.join("images/a.png"), "").unwrap();
        for (from, place) in
            [(&data, "../runs/a/images/a.png"), (&run, "images/a.png"), (&run.join("images"), "a.png")]
        {
            let mut places = Places::new(&run, Some(from)).unwrap();
            assert_eq!(places.run_name(), "a");
            for _ in 0..2 {
                assert_eq!(places.of("images/a.png").unwrap(), place);
            }
            assert!(from.join(place).is_file());
        }
        let absolute = Places::new(&run, None).unwrap().of("images/a.png").unwrap();
        assert!(Path::new(&absolute).is_absolute() && Path::new(&absolute).is_file());
    }

    #[test]
    fn what_is_missing_or_elsewhere_has_no_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("secret.png"), "").unwrap();
        let mut places = Places::new(&folder.path().join("a"), None).unwrap();
        assert!(matches!(places.of("images/a.png"), Err(PlaceError::Missing(_))));
        let absolute = folder.path().join("secret.png");
        for name in ["../secret.png", absolute.to_str().unwrap()] {
            assert!(matches!(places.of(name), Err(PlaceError::Elsewhere(_))), "{name}");
        }
        assert!(Places::new(&folder.path().join("none"), None).is_err());
    }
}
