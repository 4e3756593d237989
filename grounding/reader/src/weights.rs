//! The files of the text models. Invariant: they are those of `weights.lock`, or there are none.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::onnx;
use crate::reader::ReaderError;

/// What the models are called in records.
pub const NAME: &str = "PP-OCRv6 small";

/// `HASH  NAME` a line: detector, then recogniser.
const LOCK: &str = include_str!("../weights.lock");

/// SHA-256 of the lock, and so of both files: what a fitted confidence belongs to.
pub fn sha256() -> String {
    hashed(LOCK.as_bytes())
}

fn hashed(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn another_file(found: &str, wanted: &str) -> String {
    format!("its SHA-256 is {found}, not {wanted}")
}

/// The bytes of both models, and the characters that the second can name.
#[derive(Clone)]
pub struct Weights {
    pub(crate) detector: Cow<'static, [u8]>,
    pub(crate) recogniser: Cow<'static, [u8]>,
    pub(crate) characters: Cow<'static, str>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.detector.len() + self.recogniser.len();
        f.debug_struct("Weights").field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl Weights {
    /// What was built in; nothing if the files were not there.
    #[cfg(has_weights)]
    pub fn embedded() -> Option<Self> {
        Some(Self {
            detector: Cow::Borrowed(include_bytes!(concat!(env!("OUT_DIR"), "/detector.onnx"))),
            recogniser: Cow::Borrowed(include_bytes!(concat!(env!("OUT_DIR"), "/recogniser.onnx"))),
            characters: Cow::Borrowed(include_str!(concat!(env!("OUT_DIR"), "/characters.txt"))),
        })
    }

    /// What was built in; nothing if the files were not there.
    #[cfg(not(has_weights))]
    pub fn embedded() -> Option<Self> {
        None
    }

    /// The files of a folder, under the names of `weights.lock`.
    ///
    /// # Errors
    /// [`ReaderError::Weights`] if one is missing or is another file.
    pub fn of_folder(folder: &Path) -> Result<Self, ReaderError> {
        let mut files = locked().map(|(hash, name)| {
            let path = folder.join(name);
            let broken = |detail: String| ReaderError::Weights { file: path.display().to_string(), detail };
            let bytes = fs::read(&path).map_err(|error| broken(error.to_string()))?;
            let found = hashed(&bytes);
            if found == hash { Ok(bytes) } else { Err(broken(another_file(&found, hash))) }
        });
        let mut next = || files.next().unwrap_or_else(|| unreachable!("weights.lock names two files"));
        let (detector, recogniser) = (next()?, next()?);
        Ok(Self::of_models(detector, recogniser))
    }

    /// Whether the bytes are those of a file of `weights.lock`.
    ///
    /// # Errors
    /// [`ReaderError::Weights`] if it has another SHA-256.
    pub fn check(name: &str, bytes: &[u8]) -> Result<(), ReaderError> {
        let broken = |detail: String| ReaderError::Weights { file: name.to_owned(), detail };
        let hash = locked().find(|(_, known)| *known == name).map(|(hash, _)| hash);
        let (hash, found) = (hash.ok_or_else(|| broken("it is no text model".to_owned()))?, hashed(bytes));
        if found == hash { Ok(()) } else { Err(broken(another_file(&found, hash))) }
    }

    /// Any two models of this kind. Whether they are is found out when they are loaded.
    pub fn of_models(detector: Vec<u8>, recogniser: Vec<u8>) -> Self {
        let characters = onnx::metadata(&recogniser, "character").unwrap_or_default();
        Self { detector: detector.into(), recogniser: recogniser.into(), characters: characters.into() }
    }
}

/// What both files are called: the detector's, then the recogniser's.
///
/// # Panics
/// Never: `weights.lock` names two files.
pub fn file_names() -> [&'static str; 2] {
    let mut names = locked().map(|(_, name)| name);
    [(); 2].map(|()| names.next().unwrap_or_else(|| unreachable!("weights.lock names two files")))
}

/// Hash and name of each file.
pub(crate) fn locked() -> impl Iterator<Item = (&'static str, &'static str)> {
    LOCK.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once("  "))
}
