//! Finds, checks and hands out a checkpoint's tensors.
//!
//! Invariant: callers ask by the published name (`visual.*`, `model.*`, `lm_head.weight`) and the shape that
//! `config.json` implies; a file in the newer layout (`model.visual.*`, `model.language_model.*`) is renamed
//! here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::safetensors::{BufferedSafetensors, MmapedSafetensors};
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::error::LoadError;

enum Source {
    Mapped(MmapedSafetensors),
    Embedded(BufferedSafetensors),
    /// Tensors that someone else owns, such as a trainer's variables: used as they are.
    Shared(BTreeMap<String, Tensor>),
}

/// The tensors of one checkpoint on one device in one dtype.
pub struct Weights {
    source: Source,
    nested_names: bool,
    device: Device,
    dtype: DType,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("device", &self.device)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Memory-maps the safetensors of a checkpoint folder, single file or sharded.
    ///
    /// # Errors
    /// Missing or truncated files, by name.
    pub fn open(dir: &Path, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let files = weight_files(dir)?;
        for file in &files {
            check_file(file)?;
        }
        // SAFETY: a mapped file must not change while it is mapped. Checkpoints are written to a new name
        // and renamed, by our trainer and by the hub client alike, so an open one is never modified.
        #[expect(unsafe_code, reason = "memory-mapping a 7 GB checkpoint is the point")]
        let mapped = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|e| LoadError::Corrupt { path: files[0].clone(), detail: e.to_string() })?;
        let nested_names = mapped.tensors().iter().any(|(name, _)| name.starts_with("model.language_model."));
        Ok(Self { source: Source::Mapped(mapped), nested_names, device: device.clone(), dtype })
    }

    /// Reads safetensors held in memory, such as the ones embedded in the binary.
    ///
    /// # Errors
    /// [`LoadError::Corrupt`].
    pub fn from_bytes(bytes: Vec<u8>, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let buffered = BufferedSafetensors::new(bytes)
            .map_err(|e| LoadError::Corrupt { path: PathBuf::from("(embedded)"), detail: e.to_string() })?;
        Ok(Self { source: Source::Embedded(buffered), nested_names: false, device: device.clone(), dtype })
    }

    /// Uses tensors that live elsewhere; a trainer passes its variables, so that updates are seen at once.
    pub fn shared(tensors: BTreeMap<String, Tensor>, device: &Device) -> Self {
        Self {
            source: Source::Shared(tensors),
            nested_names: false,
            device: device.clone(),
            dtype: DType::F32,
        }
    }

    /// Bytes the weights take on the device.
    pub fn n_bytes(&self) -> u64 {
        let count = |shape: &[usize]| shape.iter().product::<usize>() * self.dtype.size_in_bytes();
        let total: usize = match &self.source {
            Source::Mapped(m) => m.tensors().iter().map(|(_, view)| count(view.shape())).sum(),
            Source::Embedded(b) => b.tensors().iter().map(|(_, view)| count(view.shape())).sum(),
            Source::Shared(map) => map.values().map(|t| count(t.dims())).sum(),
        };
        total as u64
    }

    /// The device that tensors are loaded to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether a tensor of this published name exists.
    pub fn contains(&self, name: &str) -> bool {
        let stored = self.stored_name(name);
        match &self.source {
            Source::Mapped(m) => m.get(&stored).is_ok(),
            Source::Embedded(b) => b.get(&stored).is_ok(),
            Source::Shared(map) => map.contains_key(name),
        }
    }

    /// The tensor of this published name, checked against the shape that `config.json` implies.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::Shape`], [`LoadError::StoredAs`].
    pub fn get(&self, name: &str, expected: &[usize]) -> Result<Tensor, LoadError> {
        let stored = self.stored_name(name);
        let found = match &self.source {
            Source::Mapped(m) => m.get(&stored).ok().map(|v| (v.shape().to_vec(), v.dtype())),
            Source::Embedded(b) => b.get(&stored).ok().map(|v| (v.shape().to_vec(), v.dtype())),
            Source::Shared(map) => map.get(name).map(|t| (t.dims().to_vec(), Dtype::F32)),
        };
        let (got, dtype) = found.ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() })?;
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(LoadError::StoredAs { name: name.to_owned(), dtype: format!("{dtype:?}") });
        }
        if got != expected {
            return Err(LoadError::Shape { name: name.to_owned(), expected: expected.to_vec(), got });
        }
        Ok(match &self.source {
            Source::Mapped(m) => m.load(&stored, &self.device)?.to_dtype(self.dtype)?,
            Source::Embedded(b) => b.load(&stored, &self.device)?.to_dtype(self.dtype)?,
            Source::Shared(map) => map[name].clone(),
        })
    }

    fn stored_name(&self, name: &str) -> String {
        if !self.nested_names {
            return name.to_owned();
        }
        match name.strip_prefix("model.") {
            Some(rest) => format!("model.language_model.{rest}"),
            None if name.starts_with("visual.") => format!("model.{name}"),
            None => name.to_owned(),
        }
    }
}

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The safetensors of a folder: the shards of `model.safetensors.index.json`, or `model.safetensors`.
pub(crate) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        let single = dir.join("model.safetensors");
        return match single.exists() {
            true => Ok(vec![single]),
            false => Err(LoadError::MissingFile { path: single, needs: "its weights as safetensors" }),
        };
    }
    let text = std::fs::read_to_string(&index)
        .map_err(|e| LoadError::Read { path: index.clone(), detail: e.to_string() })?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| LoadError::config("model.safetensors.index.json", e))?;
    let map = json.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| {
        LoadError::config("model.safetensors.index.json", "there is no `weight_map` object")
    })?;
    let shards: BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    let mut files = Vec::new();
    for shard in shards {
        // An index must not reach outside its folder.
        if shard.contains(['/', '\\']) || [".", "..", ""].contains(&shard) {
            let detail = format!("the shard `{shard}` is not a plain file name");
            return Err(LoadError::config("model.safetensors.index.json", detail));
        }
        let path = dir.join(shard);
        if !path.exists() {
            return Err(LoadError::MissingShard { index, shard: shard.to_owned() });
        }
        files.push(path);
    }
    Ok(files)
}

/// Compares a file with what its header promises, so that a broken download is named as such, by its own path.
fn check_file(path: &Path) -> Result<(), LoadError> {
    use std::io::Read;
    let read = |e: std::io::Error| LoadError::Read { path: path.to_owned(), detail: e.to_string() };
    let corrupt = |detail: String| LoadError::Corrupt { path: path.to_owned(), detail };
    if path.is_dir() {
        let detail = "it is a folder, a file of weights is expected".to_owned();
        return Err(LoadError::Read { path: path.to_owned(), detail });
    }
    let mut file = std::fs::File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut prefix = [0_u8; 8];
    file.read_exact(&mut prefix).map_err(|_| corrupt(format!("only {length} bytes long")))?;
    let header_length = u64::from_le_bytes(prefix);
    if header_length > length.saturating_sub(8) {
        return Err(corrupt(format!("{length} bytes long, the header alone has {header_length}")));
    }
    if header_length > MAX_HEADER_BYTES {
        return Err(corrupt(format!("its header has {header_length} bytes")));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header).map_err(read)?;
    // Reading it also compares every tensor's bytes with its shape and its neighbours.
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|e| corrupt(format!("unreadable header: {e}")))?;
    let promised = (header.data_len() as u64).saturating_add(8 + header_length);
    if promised != length {
        return Err(corrupt(format!("{length} bytes long, the header promises {promised}")));
    }
    Ok(())
}
