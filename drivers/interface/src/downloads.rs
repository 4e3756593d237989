//! What lies in a driver's folder of downloads. Invariant: what is not whole is never taken for a file that was downloaded.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What a browser adds to the name of a file that it still writes.
const UNDER_WAY: &str = ".crdownload";
/// How the name of a file begins whose own name the browser has not settled yet.
const UNCONFIRMED: &str = "Unconfirmed ";
/// How often a folder is looked through until two looks agree: one that meets a file as it gets its name may overlook it.
const LOOKS: usize = 10;

/// What was downloaded, and what is about to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Downloads {
    /// The files that are whole, in the order of their names.
    pub whole: Vec<PathBuf>,
    /// Those that are under way, or were broken off: the names that they will have, as far as they are known.
    pub under_way: Vec<Option<String>>,
}

impl Downloads {
    /// What lies in a folder. One that is not there holds nothing: a browser makes it for the first file.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut names = names_in(folder)?;
        for _ in 1..LOOKS {
            let again = names_in(folder)?;
            if std::mem::replace(&mut names, again.clone()) == again {
                break;
            }
        }
        let mut downloads = Self::default();
        for name in names {
            match under_way(&name.to_string_lossy()) {
                Some(will_be) => downloads.under_way.push(will_be),
                None if folder.join(&name).is_file() => downloads.whole.push(folder.join(&name)),
                None => {}
            }
        }
        Ok(downloads)
    }
}

/// The names of what lies in a folder, in their order.
fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Of a file that is not whole, the name that it will have, if that is known. A browser never gives a file that is whole a
/// name with a dot in front.
fn under_way(name: &str) -> Option<Option<String>> {
    match name.strip_suffix(UNDER_WAY) {
        Some(will_be) => Some((!will_be.starts_with(UNCONFIRMED)).then(|| will_be.to_owned())),
        None => name.starts_with('.').then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whether_a_file_is_whole() {
        let check = |name: &str, expected: Option<Option<&str>>| {
            assert_eq!(under_way(name), expected.map(|name| name.map(str::to_owned)), "{name}");
        };
        check("report.csv", None);
        check("crdownload", None);
        check("a.crdownload.txt", None);
        check("Unconfirmed order.pdf", None);
        check("report (1).csv.crdownload", Some(Some("report (1).csv")));
        check("Unconfirmed 40817.crdownload", Some(None));
        // As chromium 156 begins every file.
        check(".org.chromium.Chromium.mh8fu3", Some(None));
    }

    #[test]
    fn a_folder_holds_what_is_whole_and_what_is_not() {
        let missing = Path::new("no/such/folder");
        assert_eq!(Downloads::in_folder(missing).unwrap(), Downloads::default());
        assert!(Downloads::in_folder(Path::new("Cargo.toml")).is_err(), "a file is no folder");
        let manifest = env!("CARGO_MANIFEST_DIR");
        let found = Downloads::in_folder(Path::new(manifest)).unwrap();
        assert_eq!(found.whole, [Path::new(manifest).join("Cargo.toml")], "a folder is no file");
        assert_eq!(found.under_way, []);
    }
}
