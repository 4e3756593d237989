//! Files that appear whole: [`write_whole`]; texts as people write them: [`read_text`]; pictures that are read whole:
//! [`open_picture`].
//!
//! Invariant: whoever opens the path finds the old content or the new one, never a part. Content is written to a
//! temporary file beside it, whose name ends in `.partial`, and takes the path's place by rename when nothing failed.
//! A program that is killed while it writes can leave such a file behind. A link keeps its place: what it leads to is
//! replaced. What is no file, such as a pipe or a terminal, has no old content: it is written as it comes.

mod picture;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::Builder;

pub use picture::{check_whole, load_picture, open_picture};

/// Writes `bytes` into the file at `path`.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.txt");
/// vigorl_files::write_whole(&path, b"all of it")?;
/// assert_eq!(std::fs::read(&path)?, b"all of it");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the folder is missing or cannot be written, or the disk is full. The old file stays.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |out| out.write_all(bytes))
}

/// The same for its owner's eyes alone, whoever might read the old file.
///
/// # Errors
/// As [`write_whole`].
pub fn write_whole_for_owner(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, None, |out| out.write_all(bytes))
}

/// Writes into the file at `path` what `fill` writes, for content that is not held in memory.
///
/// # Errors
/// The error of `fill`, and those of [`write_whole`]. The old file stays.
pub fn write_whole_with<T, E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T, E>,
) -> Result<T, E> {
    write_with(path, ordinary(), fill)
}

/// With these permissions, or for its owner alone.
fn write_with<T, E: From<io::Error>>(
    path: &Path,
    permissions: Option<Permissions>,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T, E>,
) -> Result<T, E> {
    // A path that leads nowhere yet is a new file.
    let resolved = path.canonicalize();
    let path = resolved.as_deref().unwrap_or(path);
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut stream = File::options().write(true).open(path)?;
        let mut out = BufWriter::new(&mut stream);
        let filled = fill(&mut out)?;
        out.flush()?;
        return Ok(filled);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename).map_err(io::Error::from)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    let mut partial = builder.tempfile_in(folder)?;
    let mut out = BufWriter::new(partial.as_file_mut());
    let filled = fill(&mut out)?;
    out.flush()?;
    drop(out);
    partial.persist(path).map_err(|error| error.error)?;
    Ok(filled)
}

/// The text of a file that a person, or a person's program, has written: without the byte order mark that some editors put in
/// front of it, which is no part of the text.
///
/// # Errors
/// If the file cannot be read, or is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// What any new file may have, less what the process masks: temporary files are for their owner alone otherwise.
#[cfg(unix)]
fn ordinary() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn ordinary() -> Option<Permissions> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_whole_and_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for content in ["old", "new"] {
            write_whole(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["a.json"], "nothing but the file");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_for_its_owner_is_for_nobody_else_whatever_the_old_file_was() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        write_whole(&path, b"open").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write_whole_for_owner(&path, b"secret").unwrap();
        assert_eq!((mode(), fs::read_to_string(&path).unwrap().as_str()), (0o600, "secret"));
        assert_eq!(names(folder.path()), ["state.json"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        for (written, text) in
            [("\u{feff}name: a", "name: a"), ("name: a\u{feff}", "name: a\u{feff}"), ("", "")]
        {
            fs::write(&path, written).unwrap();
            assert_eq!(read_text(&path).unwrap(), text);
        }
        fs::write(&path, b"\xff\xfea\0").unwrap();
        assert_eq!(read_text(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_pipe_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write_whole(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(!pipe.is_file(), "and it is no file now");
        write_whole(Path::new("/dev/null"), b"nowhere").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_failure_in_the_middle_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, b"old").unwrap();
        let error = write_whole_with(&path, |out| {
            out.write_all(b"half of it")?;
            out.flush()?;
            assert_eq!(names(folder.path()).len(), 2, "it is written beside the old one");
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_missing_folder_and_a_path_without_a_name_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let missing = write_whole(&folder.path().join("none/a.json"), b"").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(write_whole(Path::new("/"), b"").unwrap_err().kind(), io::ErrorKind::InvalidFilename);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_they_may_read_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let [ours, usual] = ["ours", "usual"].map(|name| folder.path().join(name));
        write_whole(&ours, b"x").unwrap();
        fs::write(&usual, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
