//! Where the pages of MiniWoB++ are: an unpacked copy, or a wheel, which is unpacked for as long as it is needed.
//!
//! Invariant: the pages are not ours and not in the repository; nothing of a wheel is written outside of the folder that
//! it is unpacked into.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::Failure;

/// Where the pages are put by `scripts/setup.sh miniwob`, from the root of the source folder.
pub const DEFAULT_FOLDER: &str = "data/miniwob";
/// What the pages need: themselves, what they share, and the core that judges.
const PARTS: [&str; 3] = ["common", "core", "miniwob"];
/// The SHA-256 over all files of the parts of `miniwob` 1.1.0: of each its path, its length and its bytes.
const PUBLISHED: &str = "8738dcd703c876d129a065e2bc6dec38c4022a82458251e3a2b21dc046d785e8";

/// The pages.
#[derive(Debug)]
pub struct Pages {
    root: PathBuf,
    sha256: String,
    /// Lives as long as the pages of a wheel are needed.
    _unpacked: Option<TempDir>,
}

impl Pages {
    /// Those of a folder or a wheel.
    ///
    /// # Errors
    /// If they are not there: what was looked for, and how to get them.
    pub fn open(place: &Path) -> Result<Self, Failure> {
        let unpacked = if place.is_file() { Some(unpack(place)?) } else { None };
        let top = unpacked.as_ref().map_or(place, TempDir::path);
        let is_root = |root: &PathBuf| PARTS.iter().all(|part| root.join(part).is_dir());
        let roots = ["", "html", "miniwob/html"].map(|below| top.join(below));
        let Some(root) = roots.into_iter().find(is_root) else {
            return Err(format!(
                "the pages of MiniWoB++ are not in `{}`: run `scripts/setup.sh miniwob`, or name a folder that \
                 `miniwob` 1.1.0 was unpacked into, or its wheel",
                place.display()
            )
            .into());
        };
        let root = root.canonicalize()?;
        Ok(Self { sha256: digest(&root)?, root, _unpacked: unpacked })
    }

    /// The address of a task's page.
    pub(crate) fn url(&self, task: &str) -> String {
        // What has a meaning of its own in an address; anything else is what a browser makes of it.
        let mut folder = String::new();
        for character in self.root.display().to_string().chars() {
            match character {
                '%' | '?' | '#' | ' ' => folder += &format!("%{:02X}", u32::from(character)),
                other => folder.push(other),
            }
        }
        format!("file://{folder}/miniwob/{task}.html")
    }

    /// Whether there is a page of a task.
    pub fn has(&self, task: &str) -> bool {
        self.root.join("miniwob").join(format!("{task}.html")).is_file()
    }

    /// The SHA-256 over all of them.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether they are those that numbers are reported on, `miniwob` 1.1.0, unchanged.
    pub fn are_published(&self) -> bool {
        self.sha256 == PUBLISHED
    }
}

/// All files of the parts, by their names below the root, in order.
fn files(root: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    let mut folders: Vec<(String, PathBuf)> =
        PARTS.iter().map(|part| ((*part).to_owned(), root.join(part))).collect();
    while let Some((name, folder)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let below = (format!("{name}/{}", entry.file_name().to_string_lossy()), entry.path());
            if entry.file_type()?.is_dir() { folders.push(below) } else { found.push(below) }
        }
    }
    found.sort();
    Ok(found)
}

fn digest(root: &Path) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    for (name, path) in files(root)? {
        let content = fs::read(path)?;
        hash.update(format!("{name}\n{}\n", content.len()));
        hash.update(content);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks the pages of a wheel, which is a ZIP archive.
fn unpack(wheel: &Path) -> Result<TempDir, Failure> {
    let bytes = fs::read(wheel)?;
    let folder = tempfile::tempdir()?;
    let broken = |why: &str| format!("`{}` is no wheel that can be unpacked: {why}", wheel.display());
    for member in members(&bytes).ok_or_else(|| broken("there is no list of its files"))? {
        let is_wanted = member.name.starts_with("miniwob/html/") && !member.name.ends_with('/');
        let is_below = !member.name.split('/').any(|part| part == "..") && !member.name.contains('\\');
        if !(is_wanted && is_below) {
            continue;
        }
        let content = member.content(&bytes).ok_or_else(|| broken(&member.name))?;
        let path = folder.path().join(&member.name);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(path, content)?;
    }
    Ok(folder)
}

/// A file of an archive.
struct Member {
    name: String,
    method: u16,
    packed_len: usize,
    len: usize,
    header: usize,
}

/// The files that the directory at an archive's end lists.
fn members(bytes: &[u8]) -> Option<Vec<Member>> {
    const END: [u8; 4] = [b'P', b'K', 5, 6];
    const ENTRY: [u8; 4] = [b'P', b'K', 1, 2];
    let end = bytes.windows(4).rposition(|window| window == END)?;
    let (n, mut at) = (half(bytes, end + 10)?, word(bytes, end + 16)?);
    let mut all = Vec::new();
    for _ in 0..n {
        if bytes.get(at..at + 4)? != ENTRY {
            return None;
        }
        let name_len = usize::from(half(bytes, at + 28)?);
        let behind = usize::from(half(bytes, at + 30)?) + usize::from(half(bytes, at + 32)?);
        let name = String::from_utf8(bytes.get(at + 46..at + 46 + name_len)?.to_vec()).ok()?;
        all.push(Member {
            name,
            method: half(bytes, at + 10)?,
            packed_len: word(bytes, at + 20)?,
            len: word(bytes, at + 24)?,
            header: word(bytes, at + 42)?,
        });
        at += 46 + name_len + behind;
    }
    Some(all)
}

impl Member {
    fn content(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let names = usize::from(half(bytes, self.header + 26)?) + usize::from(half(bytes, self.header + 28)?);
        let begin = self.header + 30 + names;
        let packed = bytes.get(begin..begin + self.packed_len)?;
        let content = match self.method {
            0 => packed.to_vec(),
            8 => {
                let mut content = Vec::new();
                // One byte more than it says would be another file.
                let most = self.len as u64 + 1;
                DeflateDecoder::new(packed).take(most).read_to_end(&mut content).ok()?;
                content
            }
            _ => return None,
        };
        (content.len() == self.len).then_some(content)
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_says_how_to_get_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = Pages::open(empty.path()).unwrap_err().to_string();
        assert!(error.contains("scripts/setup.sh miniwob"), "{error}");
        let file = empty.path().join("a.whl");
        fs::write(&file, b"PK nothing").unwrap();
        let error = Pages::open(&file).unwrap_err().to_string();
        assert!(error.contains("there is no list of its files"), "{error}");
    }

    #[test]
    fn a_wheel_is_unpacked_into_its_own_folder() {
        // Stored members, as Python's zipfile writes them without compression: two pages, and one that wants to leave.
        let names = [
            "miniwob/html/core/core.js",
            "miniwob/html/common/a b.js",
            "miniwob/html/miniwob/click-test.html",
            "miniwob/html/../../../outside.html",
            "miniwob/other.py",
        ];
        let (mut archive, mut list) = (Vec::new(), Vec::new());
        for name in names {
            let header = archive.len() as u32;
            let len = |of: usize| (of as u32).to_le_bytes();
            let name_len = (name.len() as u16).to_le_bytes();
            archive.extend(b"PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
            archive.extend([len(3), len(3)].concat());
            archive.extend([&name_len[..], &[0, 0], name.as_bytes(), b"abc"].concat());
            list.extend(b"PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
            list.extend([len(3), len(3)].concat());
            list.extend([&name_len[..], &[0; 12][..], &header.to_le_bytes(), name.as_bytes()].concat());
        }
        let at = (archive.len() as u32).to_le_bytes();
        let (n, list_len) = ((names.len() as u16).to_le_bytes(), (list.len() as u32).to_le_bytes());
        archive.extend(list);
        archive.extend([b"PK\x05\x06\0\0\0\0", &n[..], &n[..], &list_len[..], &at[..], &[0, 0][..]].concat());
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("a.whl");
        fs::write(&wheel, archive).unwrap();
        let pages = Pages::open(&wheel).unwrap();
        assert!(pages.has("click-test") && !pages.has("click-link"));
        assert!(!pages.are_published());
        let found: Vec<String> = files(&pages.root).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["common/a b.js", "core/core.js", "miniwob/click-test.html"]);
        let unpacked = pages.root.clone();
        drop(pages);
        assert!(!unpacked.exists(), "what was unpacked goes with the pages");
    }
}
