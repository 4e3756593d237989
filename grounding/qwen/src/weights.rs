//! Finds, checks and hands out a checkpoint's tensors.
//!
//! Invariant: callers ask by the published name (`visual.*`, `model.*`, `lm_head.weight`) and the shape that
//! `config.json` implies; a file in the newer layout (`model.visual.*`, `model.language_model.*`) is renamed
//! here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::safetensors::{BufferedSafetensors, MmapedSafetensors};
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use vigorl_kernels::{Format, QuantizedMatrix};

use crate::error::EngineError;
use crate::format::WeightFormat;
use crate::linear::Adapter;
use crate::quantized_file::QuantizedFile;

enum Source {
    Mapped(MmapedSafetensors),
    Embedded(BufferedSafetensors),
    /// Tensors that someone else owns, such as a trainer's variables: used as they are.
    Shared(BTreeMap<String, Tensor>),
}

/// The tensors of one checkpoint on one device in one format.
pub struct Weights {
    source: Arc<Source>,
    nested_names: bool,
    device: Device,
    format: WeightFormat,
    on_quantized: Option<OnQuantized>,
    /// Matrices that were quantized before.
    quantized: Option<QuantizedFile>,
    /// Collects every matrix that is quantized, by its published name.
    made: Option<Mutex<Vec<Made>>>,
    adapters: Option<Adapters>,
}

/// Low-rank updates of linear layers: a layer P gets `P.lora_A.weight` (rank, in) and `P.lora_B.weight` (out, rank), if
/// they are there. Names of no layer are not looked at; whoever reads a folder checks them.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Tensors by name, used as they are.
    pub tensors: BTreeMap<String, Tensor>,
    /// Factor of every update.
    pub scale: f64,
}

/// A quantized matrix and its published name.
pub(crate) type Made = (String, Arc<QuantizedMatrix>);

/// Called with the number of weights quantized since the last call, and that of all weights.
pub type OnQuantized = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// An (out, in) matrix as the format wants it.
#[derive(Debug, Clone)]
pub(crate) enum Matrix {
    Dense(Tensor),
    Quantized(Arc<QuantizedMatrix>),
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("device", &self.device)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Memory-maps the safetensors of a checkpoint folder, single file or sharded.
    ///
    /// # Errors
    /// Missing or truncated files, by name.
    pub fn open(dir: &Path, device: &Device, format: WeightFormat) -> Result<Self, EngineError> {
        let files = weight_files(dir)?;
        for file in &files {
            check_file(file)?;
        }
        // SAFETY: a mapped file must not change while it is mapped. Checkpoints are written to a new name
        // and renamed, by our trainer and by the hub client alike, so an open one is never modified.
        #[expect(unsafe_code, reason = "memory-mapping a 7 GB checkpoint is the point")]
        let mapped = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|e| EngineError::Corrupt { path: files[0].clone(), detail: e.to_string() })?;
        let nested_names = mapped.tensors().iter().any(|(name, _)| name.starts_with("model.language_model."));
        Ok(Self::new(Source::Mapped(mapped), nested_names, device, format))
    }

    /// Reads safetensors held in memory, such as the ones embedded in the binary.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`].
    pub fn from_bytes(bytes: Vec<u8>, device: &Device, format: WeightFormat) -> Result<Self, EngineError> {
        let buffered = BufferedSafetensors::new(bytes)
            .map_err(|e| EngineError::Corrupt { path: PathBuf::from("(embedded)"), detail: e.to_string() })?;
        Ok(Self::new(Source::Embedded(buffered), false, device, format))
    }

    /// Uses tensors that live elsewhere; a trainer passes its variables, so that updates are seen at once.
    pub fn shared(tensors: BTreeMap<String, Tensor>, device: &Device) -> Self {
        Self::new(Source::Shared(tensors), false, device, WeightFormat::Dense(DType::F32))
    }

    fn new(source: Source, nested_names: bool, device: &Device, format: WeightFormat) -> Self {
        let source = Arc::new(source);
        let device = device.clone();
        Self {
            source,
            nested_names,
            device,
            format,
            on_quantized: None,
            quantized: None,
            made: None,
            adapters: None,
        }
    }

    /// Adds `adapters` to the layers they name.
    #[must_use]
    pub fn adapted(self, adapters: Adapters) -> Self {
        Self { adapters: Some(adapters), ..self }
    }

    /// The adapter of the layer `prefix`, if it has one.
    pub(crate) fn adapter(
        &self,
        prefix: &str,
        n_out: usize,
        n_in: usize,
    ) -> Result<Option<Adapter>, EngineError> {
        let Some(Adapters { tensors, scale }) = &self.adapters else { return Ok(None) };
        let [of_a, of_b] = ["A", "B"].map(|part| format!("{prefix}.lora_{part}.weight"));
        let (a, b) = match (tensors.get(&of_a), tensors.get(&of_b)) {
            (None, None) => return Ok(None),
            (None, _) => return Err(EngineError::MissingTensor { name: of_a }),
            (_, None) => return Err(EngineError::MissingTensor { name: of_b }),
            (Some(a), Some(b)) => (a, b),
        };
        let rank = a.dims().first().copied().unwrap_or_default();
        for (name, tensor, expected) in [(of_a, a, [rank, n_in]), (of_b, b, [n_out, rank])] {
            if tensor.dims() != expected {
                let (expected, got) = (expected.to_vec(), tensor.dims().to_vec());
                return Err(EngineError::Shape { name, expected, got });
            }
        }
        Ok(Some(Adapter { a: a.clone(), b: b.clone(), scale: *scale }))
    }

    /// Takes matrices from `file` instead of quantizing them.
    #[must_use]
    pub(crate) fn quantized_before(self, file: Option<QuantizedFile>) -> Self {
        Self { quantized: file, ..self }
    }

    /// Collects what is quantized from now on, for [`Self::made`].
    #[must_use]
    pub(crate) fn collecting(self) -> Self {
        Self { made: Some(Mutex::default()), ..self }
    }

    /// All matrices that were quantized, in the order in which the model asked for them.
    pub(crate) fn made(self) -> Vec<Made> {
        let made = self.made.unwrap_or_default();
        made.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports progress while matrices are quantized.
    #[must_use]
    pub fn on_quantized(self, report: Option<OnQuantized>) -> Self {
        Self { on_quantized: report, ..self }
    }

    /// How the weights are held.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    /// Weights in all tensors.
    pub fn n_weights(&self) -> u64 {
        let count = |shape: &[usize]| shape.iter().product::<usize>() as u64;
        match &*self.source {
            Source::Mapped(m) => m.tensors().iter().map(|(_, view)| count(view.shape())).sum(),
            Source::Embedded(b) => b.tensors().iter().map(|(_, view)| count(view.shape())).sum(),
            Source::Shared(map) => map.values().map(|t| count(t.dims())).sum(),
        }
    }

    /// Bytes the weights take on the device.
    pub fn n_bytes(&self) -> u64 {
        self.format.bytes_of(self.n_weights())
    }

    /// The device that tensors are loaded to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether a tensor of this published name exists.
    pub fn contains(&self, name: &str) -> bool {
        let stored = self.stored_name(name);
        match &*self.source {
            Source::Mapped(m) => m.get(&stored).is_ok(),
            Source::Embedded(b) => b.get(&stored).is_ok(),
            Source::Shared(map) => map.contains_key(name),
        }
    }

    /// The tensor of this published name, checked against the shape that `config.json` implies.
    ///
    /// # Errors
    /// [`EngineError::MissingTensor`], [`EngineError::Shape`], [`EngineError::StoredAs`].
    pub fn get(&self, name: &str, expected: &[usize]) -> Result<Tensor, EngineError> {
        let stored = self.checked_name(name, expected)?;
        let dtype = self.format.compute_dtype();
        Ok(match &*self.source {
            Source::Mapped(m) => m.load(&stored, &self.device)?.to_dtype(dtype)?,
            Source::Embedded(b) => b.load(&stored, &self.device)?.to_dtype(dtype)?,
            Source::Shared(map) => map[name].clone(),
        })
    }

    /// The matrix of this published name, quantized if the format says so.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Matrix, EngineError> {
        self.matrix_as(name, shape, self.format.of_layer())
    }

    /// The same for the output layer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn output_matrix(&self, name: &str, shape: [usize; 2]) -> Result<Matrix, EngineError> {
        self.matrix_as(name, shape, self.format.of_output_layer())
    }

    fn matrix_as(
        &self,
        name: &str,
        [n_out, n_in]: [usize; 2],
        format: Option<Format>,
    ) -> Result<Matrix, EngineError> {
        let Some(format) = format else { return Ok(Matrix::Dense(self.get(name, &[n_out, n_in])?)) };
        let stored = self.stored(name, &[n_out, n_in])?;
        if let Some(file) = &self.quantized {
            return Ok(Matrix::Quantized(Arc::new(file.matrix(name, n_out, n_in, format)?)));
        }
        let matrix = Arc::new(stored.quantized(n_out, n_in, format)?);
        if let Some(report) = &self.on_quantized {
            report((n_out * n_in) as u64, self.n_weights());
        }
        if let Some(made) = &self.made {
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((name.to_owned(), Arc::clone(&matrix)));
        }
        Ok(Matrix::Quantized(matrix))
    }

    /// The tensor of this published name where the file holds it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn stored(&self, name: &str, expected: &[usize]) -> Result<StoredTensor, EngineError> {
        let stored = self.checked_name(name, expected)?;
        let row_len = expected.last().copied().unwrap_or(1);
        Ok(StoredTensor { source: Arc::clone(&self.source), name: stored, row_len })
    }

    /// The name in the file, of a tensor that has the expected shape and a usable dtype.
    fn checked_name(&self, name: &str, expected: &[usize]) -> Result<String, EngineError> {
        let stored = self.stored_name(name);
        let found = match &*self.source {
            Source::Mapped(m) => m.get(&stored).ok().map(|v| (v.shape().to_vec(), v.dtype())),
            Source::Embedded(b) => b.get(&stored).ok().map(|v| (v.shape().to_vec(), v.dtype())),
            Source::Shared(map) => map.get(name).map(|t| (t.dims().to_vec(), Dtype::F32)),
        };
        let (got, dtype) = found.ok_or_else(|| EngineError::MissingTensor { name: name.to_owned() })?;
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(EngineError::StoredAs { name: name.to_owned(), dtype: format!("{dtype:?}") });
        }
        if got != expected {
            return Err(EngineError::Shape { name: name.to_owned(), expected: expected.to_vec(), got });
        }
        Ok(stored)
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

/// A tensor that stays in its file and is read row by row.
#[derive(Clone)]
pub(crate) struct StoredTensor {
    source: Arc<Source>,
    name: String,
    row_len: usize,
}

impl std::fmt::Debug for StoredTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredTensor").field("name", &self.name).finish_non_exhaustive()
    }
}

impl StoredTensor {
    /// Values of the last axis.
    pub(crate) fn row_len(&self) -> usize {
        self.row_len
    }

    fn view(&self) -> candle_core::Result<TensorView<'_>> {
        match &*self.source {
            Source::Mapped(m) => m.get(&self.name),
            Source::Embedded(b) => b.get(&self.name),
            Source::Shared(_) => candle_core::bail!("`{}` is no stored tensor", self.name),
        }
    }

    /// Prepares for single rows here and there: otherwise each one brings sixteen pages into memory.
    pub(crate) fn expect_single_rows(&self) -> candle_core::Result<()> {
        if matches!(&*self.source, Source::Mapped(_)) {
            advise(self.view()?.data(), Advice::Random);
        }
        Ok(())
    }

    /// Reads a row as f32.
    pub(crate) fn read_row(&self, row: usize, to: &mut [f32]) -> candle_core::Result<()> {
        let view = self.view()?;
        read_row(view.data(), view.dtype(), row, to);
        Ok(())
    }

    fn quantized(&self, n_out: usize, n_in: usize, format: Format) -> Result<QuantizedMatrix, EngineError> {
        let view = self.view()?;
        let (bytes, dtype) = (view.data(), view.dtype());
        let matrix =
            QuantizedMatrix::quantize(n_out, n_in, format, |row, to| read_row(bytes, dtype, row, to));
        if matches!(&*self.source, Source::Mapped(_)) {
            advise(bytes, Advice::Forget);
        }
        Ok(matrix)
    }
}

/// Row number `row` of little-endian values, as f32.
fn read_row(bytes: &[u8], dtype: Dtype, row: usize, to: &mut [f32]) {
    let size = if dtype == Dtype::F32 { 4 } else { 2 };
    let bytes = &bytes[row * to.len() * size..][..to.len() * size];
    let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    match dtype {
        Dtype::BF16 => to.iter_mut().zip(pairs()).for_each(|(v, b)| *v = f32::from_bits(u32::from(b) << 16)),
        Dtype::F16 => to.iter_mut().zip(pairs()).for_each(|(v, b)| *v = half::f16::from_bits(b).to_f32()),
        _ => to
            .iter_mut()
            .zip(bytes.chunks_exact(4))
            .for_each(|(v, b)| *v = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
    }
}

/// What the system is told about mapped pages.
#[derive(Clone, Copy)]
enum Advice {
    /// They are not needed for now: they count as resident until then, and a checkpoint is larger than what is made
    /// of it. Read again, they come from the file.
    Forget,
    /// A page is read without its neighbours.
    Random,
}

/// Tells the system about the whole pages in `bytes`, which are those of a file.
fn advise(bytes: &[u8], advice: Advice) {
    #[cfg(target_os = "linux")]
    {
        let page = rustix::param::page_size();
        let start = (bytes.as_ptr() as usize).next_multiple_of(page);
        let end = (bytes.as_ptr() as usize + bytes.len()) / page * page;
        let advice = match advice {
            Advice::Forget => rustix::mm::Advice::LinuxDontNeed,
            Advice::Random => rustix::mm::Advice::Random,
        };
        if start < end {
            // SAFETY: whole pages of a read-only file mapping that outlives `bytes`; dropping them loses nothing.
            #[expect(unsafe_code, reason = "a system call on an address range")]
            let advised = unsafe { rustix::mm::madvise(start as *mut _, end - start, advice) };
            // Only advice: without it more memory is used, nothing else.
            advised.ok();
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (bytes, advice);
}

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The safetensors of a folder: the shards of `model.safetensors.index.json`, or `model.safetensors`.
pub(crate) fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        let single = dir.join("model.safetensors");
        return match single.exists() {
            true => Ok(vec![single]),
            false => Err(EngineError::MissingFile { path: single, needs: "its weights as safetensors" }),
        };
    }
    let text = std::fs::read_to_string(&index)
        .map_err(|e| EngineError::Read { path: index.clone(), detail: e.to_string() })?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| EngineError::config("model.safetensors.index.json", e))?;
    let map = json.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| {
        EngineError::config("model.safetensors.index.json", "there is no `weight_map` object")
    })?;
    let shards: BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    let mut files = Vec::new();
    for shard in shards {
        // An index must not reach outside its folder.
        if shard.contains(['/', '\\']) || [".", "..", ""].contains(&shard) {
            let detail = format!("the shard `{shard}` is not a plain file name");
            return Err(EngineError::config("model.safetensors.index.json", detail));
        }
        let path = dir.join(shard);
        if !path.exists() {
            return Err(EngineError::MissingShard { index, shard: shard.to_owned() });
        }
        files.push(path);
    }
    Ok(files)
}

/// Compares a file with what its header promises, so that a broken download is named as such, by its own path.
pub(crate) fn check_file(path: &Path) -> Result<(), EngineError> {
    use std::io::Read;
    let read = |e: std::io::Error| EngineError::Read { path: path.to_owned(), detail: e.to_string() };
    let corrupt = |detail: String| EngineError::Corrupt { path: path.to_owned(), detail };
    if path.is_dir() {
        let detail = "it is a folder, a file of weights is expected".to_owned();
        return Err(EngineError::Read { path: path.to_owned(), detail });
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
