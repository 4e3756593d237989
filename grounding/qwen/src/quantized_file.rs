//! Quantized matrices in a file beside the checkpoint, so that a second start maps them instead of quantizing.
//!
//! Invariant: the file is used only for the very weight files that it was made from (their names, lengths and
//! times are in its header) and in the layout that this program computes with; otherwise it is as if it were not
//! there. It is a safetensors file of plain bytes, each matrix on a boundary of 64.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use memmap2::Mmap;
use safetensors::SafeTensors;
use serde_json::json;
use vigorl_files::write_whole_with;
use vigorl_kernels::{Format, LAYOUT, QuantizedMatrix, SharedBytes};

use crate::error::EngineError;
use crate::format::WeightFormat;
use crate::weights::{check_file, weight_files};

/// Where a matrix may begin: a cache line and a vector register.
const ALIGNMENT: usize = 64;

/// Called with the bytes written so far and all; `Break` gives up.
pub type OnWritten<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// A mapped file of quantized matrices.
pub(crate) struct QuantizedFile {
    path: PathBuf,
    bytes: SharedBytes,
    matrices: BTreeMap<String, Range<usize>>,
    /// Of the weight files that it was made from.
    pub(crate) sha256: String,
}

/// `vigorl-int8.safetensors` in the checkpoint's folder, for instance.
pub(crate) fn path(dir: &Path, format: WeightFormat) -> PathBuf {
    path_of(dir, format.name())
}

fn path_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("vigorl-{name}.safetensors"))
}

/// Which files, how long, and when they were written.
fn source(dir: &Path) -> Result<String, EngineError> {
    let describe = |path: &PathBuf| {
        let read = |e: std::io::Error| EngineError::Read { path: path.clone(), detail: e.to_string() };
        let about = std::fs::metadata(path).map_err(read)?;
        let written = about.modified().map_err(read)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{name} {} {}", about.len(), written.as_nanos()))
    };
    Ok(weight_files(dir)?.iter().map(describe).collect::<Result<Vec<_>, EngineError>>()?.join(", "))
}

/// The hash of a folder's weight files, where a file of quantized matrices remembers it.
pub(crate) fn known_sha256(dir: &Path) -> Option<String> {
    let formats = WeightFormat::NAMED.into_iter().map(|(_, format)| format);
    let quantized = formats.filter(|format| format.of_layer().is_some());
    // A broken file is reported where it is used.
    quantized
        .filter_map(|format| QuantizedFile::open(dir, format).ok().flatten())
        .map(|file| file.sha256)
        .next()
}

impl QuantizedFile {
    /// Maps the file of a format; `None` if there is none that belongs to the checkpoint as it is now.
    ///
    /// # Errors
    /// [`EngineError::BrokenQuantized`], [`EngineError::Read`]: a file that is there but broken.
    pub(crate) fn open(dir: &Path, format: WeightFormat) -> Result<Option<Self>, EngineError> {
        let formerly = WeightFormat::FORMERLY.into_iter().filter(|(_, known)| *known == format);
        for name in std::iter::once(format.name()).chain(formerly.map(|(name, _)| name)) {
            if let Some(file) = Self::open_path(dir, path_of(dir, name))? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn open_path(dir: &Path, path: PathBuf) -> Result<Option<Self>, EngineError> {
        if !path.exists() {
            return Ok(None);
        }
        let broken = |detail: String| EngineError::BrokenQuantized { path: path.clone(), detail };
        check_file(&path).map_err(|e| match e {
            EngineError::Corrupt { detail, .. } => broken(detail),
            other => other,
        })?;
        let read = |e: std::io::Error| EngineError::Read { path: path.clone(), detail: e.to_string() };
        let file = File::open(&path).map_err(read)?;
        // SAFETY: a mapped file must not change while it is mapped; `write` makes a new one and renames it.
        #[expect(unsafe_code, reason = "memory-mapping some gigabytes is the point")]
        let mapped = unsafe { Mmap::map(&file) }.map_err(read)?;
        let (header_len, metadata) =
            SafeTensors::read_metadata(&mapped).map_err(|e| broken(e.to_string()))?;
        let said = metadata.metadata().clone().unwrap_or_default();
        let says = |key: &str, value: &str| said.get(key).is_some_and(|found| found == value);
        if !says("layout", LAYOUT) || !says("source", &source(dir)?) {
            return Ok(None);
        }
        let first = size_of::<u64>() + header_len;
        let at = |(from, to): (usize, usize)| first + from..first + to;
        let matrices = metadata.tensors().into_iter().map(|(name, info)| (name, at(info.data_offsets)));
        let matrices = matrices.collect();
        let sha256 = said.get("sha256").cloned().unwrap_or_default();
        Ok(Some(Self { path, bytes: Arc::new(mapped), matrices, sha256 }))
    }

    /// The matrix of this name.
    ///
    /// # Errors
    /// [`EngineError::BrokenQuantized`] if it is not there or of another size.
    pub(crate) fn matrix(
        &self,
        name: &str,
        n_out: usize,
        n_in: usize,
        format: Format,
    ) -> Result<QuantizedMatrix, EngineError> {
        let found = self.matrices.get(name).and_then(|at| {
            QuantizedMatrix::from_bytes(n_out, n_in, format, Arc::clone(&self.bytes), at.clone())
        });
        found.ok_or_else(|| EngineError::BrokenQuantized {
            path: self.path.clone(),
            detail: format!("`{name}` is missing or of another size"),
        })
    }
}

/// Writes the file of a format, under another name until it is complete. `on_bytes` follows: written so far, and
/// all; `Break` gives up, which is `None`.
///
/// # Errors
/// [`EngineError::Write`], such as on a full disk; then nothing is left behind.
pub(crate) fn write(
    dir: &Path,
    format: WeightFormat,
    sha256: &str,
    matrices: &[(String, Arc<QuantizedMatrix>)],
    on_bytes: OnWritten<'_>,
) -> Result<Option<PathBuf>, EngineError> {
    let path = path(dir, format);
    let said = [("format", format.name()), ("layout", LAYOUT), ("source", &source(dir)?), ("sha256", sha256)];
    let said: serde_json::Map<String, serde_json::Value> =
        said.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), said.into())]);
    let mut n_bytes = 0;
    for (name, matrix) in matrices {
        let n = matrix.as_bytes().len();
        let at = [n_bytes, n_bytes + n];
        header.insert(name.clone(), json!({ "dtype": "U8", "shape": [n], "data_offsets": at }));
        n_bytes += n;
    }
    let mut header = serde_json::Value::from(header).to_string().into_bytes();
    // The format lets a header end in spaces.
    header.resize((size_of::<u64>() + header.len()).next_multiple_of(ALIGNMENT) - size_of::<u64>(), b' ');
    let written = write_whole_with(&path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        let mut done = 0;
        for (_, matrix) in matrices {
            if on_bytes(done as u64, n_bytes as u64).is_break() {
                return Err(Unfinished::GivenUp);
            }
            out.write_all(matrix.as_bytes())?;
            done += matrix.as_bytes().len();
        }
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(())
    });
    match written {
        Ok(()) => Ok(Some(path)),
        Err(Unfinished::GivenUp) => Ok(None),
        Err(Unfinished::Failed(error)) => Err(EngineError::Write { path, detail: error.to_string() }),
    }
}

/// Why a file was not written.
enum Unfinished {
    GivenUp,
    Failed(std::io::Error),
}

impl From<std::io::Error> for Unfinished {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}
