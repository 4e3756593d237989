//! Reads a data set. Invariant: decoded sheets take no more memory than the given budget, plus one sheet.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::{ImageFormat, RgbImage};

use super::{DatasetError, FORMAT, Manifest, Record, at_path, read_records};

/// Bytes of decoded sheets kept by [`Dataset::open`]: enough for 20,000 pages of 192x160.
const CACHE_BYTES: usize = 2 << 30;

/// A rendered data set. Pages can be read in any order and from several threads.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    manifest: Manifest,
    records: Vec<Record>,
    cache: Mutex<Cache>,
}

/// Decoded sheets, the most recently used last.
#[derive(Debug)]
struct Cache {
    sheets: Vec<(String, Arc<RgbImage>)>,
    bytes: usize,
    budget: usize,
}

impl Dataset {
    /// Opens a folder written by [`render_dataset`](super::render_dataset); a partial one is as long as it is.
    ///
    /// # Errors
    /// If it is none, or of another format.
    pub fn open(folder: &Path) -> Result<Self, DatasetError> {
        Self::open_with_cache(folder, CACHE_BYTES)
    }

    /// Opens a folder, keeping at most `cache_bytes` of decoded sheets.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_cache(folder: &Path, cache_bytes: usize) -> Result<Self, DatasetError> {
        let path = folder.join("dataset.json");
        let text = fs::read_to_string(&path).map_err(at_path(&path))?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|e| DatasetError::content(&path, None, e))?;
        if manifest.format != FORMAT {
            let detail = format!("format {} instead of {FORMAT}", manifest.format);
            return Err(DatasetError::content(&path, None, detail));
        }
        let records = read_records(&folder.join("pages.jsonl"))?;
        let cache = Mutex::new(Cache { sheets: Vec::new(), bytes: 0, budget: cache_bytes });
        Ok(Self { folder: folder.to_owned(), manifest, records, cache })
    }

    /// What it was rendered from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The records, in the order of the seeds.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Number of pages.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no page has been rendered yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The image of page `index`.
    ///
    /// # Errors
    /// If its sheet cannot be read or is too small.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    pub fn image(&self, index: usize) -> Result<RgbImage, DatasetError> {
        let record = &self.records[index];
        let sheet = self.sheet(&record.sheet)?;
        let (right, bottom) = (record.x + record.width, record.y + record.height);
        if right > sheet.width() || bottom > sheet.height() {
            let detail = format!("page {index} reaches to ({right}, {bottom}), beyond the sheet");
            return Err(DatasetError::content(&self.folder.join(&record.sheet), None, detail));
        }
        Ok(image::imageops::crop_imm(&*sheet, record.x, record.y, record.width, record.height).to_image())
    }

    fn sheet(&self, name: &str) -> Result<Arc<RgbImage>, DatasetError> {
        // A panic elsewhere leaves the cache consistent: it is changed only by whole statements below.
        if let Some(sheet) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(sheet);
        }
        let path = self.folder.join(name);
        let bytes = fs::read(&path).map_err(at_path(&path))?;
        let decoded = image::load_from_memory_with_format(&bytes, ImageFormat::Png)
            .map_err(|e| DatasetError::content(&path, None, e))?;
        let sheet = Arc::new(decoded.into_rgb8());
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(name, &sheet);
        Ok(sheet)
    }
}

impl Cache {
    fn get(&mut self, name: &str) -> Option<Arc<RgbImage>> {
        let at = self.sheets.iter().position(|(known, _)| known == name)?;
        let entry = self.sheets.remove(at);
        let sheet = Arc::clone(&entry.1);
        self.sheets.push(entry);
        Some(sheet)
    }

    fn put(&mut self, name: &str, sheet: &Arc<RgbImage>) {
        if self.sheets.iter().any(|(known, _)| known == name) {
            return;
        }
        self.bytes += sheet.as_raw().len();
        self.sheets.push((name.to_owned(), Arc::clone(sheet)));
        while self.bytes > self.budget && self.sheets.len() > 1 {
            let (_, oldest) = self.sheets.remove(0);
            self.bytes -= oldest.as_raw().len();
        }
    }
}
