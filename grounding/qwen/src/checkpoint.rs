//! A checkpoint: configuration, processor, tokenizer, chat template and weights, from a folder or from the binary
//! itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;
use vigorl_policy::{ChatTemplate, SpokenTo};

use crate::config::Config;
use crate::error::EngineError;
use crate::format::WeightFormat;
use crate::memory;
use crate::model::Model;
use crate::nano::{self, Embedded};
use crate::processor::Processor;
use crate::quantized_file::{self, OnWritten, QuantizedFile};
use crate::tokenizer::Tokenizer;
use crate::weights::{OnQuantized, Weights};

/// Where a checkpoint lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The policy embedded in the binary.
    Nano,
    /// The one that learns in an app: it sees small pages as they are.
    NanoFull,
    /// A checkpoint folder.
    Dir(PathBuf),
}

impl std::fmt::Display for ModelSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nano => f.write_str(nano::NANO.name),
            Self::NanoFull => f.write_str(nano::NANO_FULL.name),
            Self::Dir(dir) => write!(f, "{}", dir.display()),
        }
    }
}

impl ModelSource {
    /// Those in the binary.
    pub const EMBEDDED: [Self; 2] = [Self::Nano, Self::NanoFull];

    /// A policy of the binary by its name, or a folder.
    pub fn named(name: &str) -> Self {
        let embedded = Self::EMBEDDED.into_iter().find(|source| source.to_string() == name);
        embedded.unwrap_or_else(|| Self::Dir(PathBuf::from(name)))
    }

    /// Whether it is one of the binary, or a folder that exists.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Nano | Self::NanoFull => true,
            Self::Dir(folder) => folder.is_dir(),
        }
    }

    /// The files of a policy in the binary besides its weights, by name: what a copy of it needs. Nothing of a folder.
    pub fn embedded_files(&self) -> Option<[(&'static str, &'static [u8]); 6]> {
        self.embedded().map(Embedded::files)
    }

    fn embedded(&self) -> Option<&'static Embedded> {
        match self {
            Self::Nano => Some(&nano::NANO),
            Self::NanoFull => Some(&nano::NANO_FULL),
            Self::Dir(_) => None,
        }
    }
}

/// Where the weights are.
#[derive(Debug, Clone)]
enum Stored {
    In(PathBuf),
    Embedded(&'static Embedded),
}

/// Everything of a checkpoint but the built model.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Name for records.
    pub name: String,
    /// Sizes.
    pub config: Config,
    /// Image processor.
    pub processor: Processor,
    /// Tokenizer.
    pub tokenizer: Tokenizer,
    /// Chat template, which holds the default system prompt.
    pub template: ChatTemplate,
    stored: Stored,
    /// Of the weights, once somebody has asked; clones ask once together.
    sha256: Arc<Mutex<Option<String>>>,
}

impl Checkpoint {
    /// Opens a checkpoint. Weights are not read yet.
    ///
    /// # Errors
    /// [`EngineError`] names the file and the cure.
    pub fn open(source: &ModelSource) -> Result<Self, EngineError> {
        match source {
            ModelSource::Nano => Self::embedded(&nano::NANO),
            ModelSource::NanoFull => Self::embedded(&nano::NANO_FULL),
            ModelSource::Dir(dir) => Self::open_dir(dir, source.to_string()),
        }
    }

    /// Opens a folder in Hugging Face layout.
    ///
    /// # Errors
    /// [`EngineError`] names the file and the cure.
    pub fn open_dir(dir: &Path, name: String) -> Result<Self, EngineError> {
        let config = Config::from_json(&read_text(dir, "config.json", "its config.json")?)?;
        let processor = read_processor(dir)?;
        let tokenizer = Tokenizer::open(dir)?;
        let template = ChatTemplate::from_folder(dir).map_err(|e| EngineError::Template(e.to_string()))?;
        let stored = Stored::In(dir.to_owned());
        let sha256 = Arc::default();
        Self { name, config, processor, tokenizer, template, stored, sha256 }.checked()
    }

    fn embedded(policy: &'static Embedded) -> Result<Self, EngineError> {
        let template =
            ChatTemplate::new(nano::chat_template()?).map_err(|e| EngineError::Template(e.to_string()))?;
        let checkpoint = Self {
            name: policy.name.to_owned(),
            config: Config::from_json(nano::CONFIG)?,
            processor: Processor::from_json(policy.preprocessor)?,
            tokenizer: Tokenizer::from_bytes(nano::TOKENIZER)?,
            template,
            stored: Stored::Embedded(policy),
            sha256: Arc::default(),
        };
        checkpoint.checked()
    }

    /// What it says itself of how it is spoken to; nothing if it says nothing.
    ///
    /// # Errors
    /// If it says something that cannot be read or understood.
    pub fn spoken_to(&self) -> Result<Option<SpokenTo>, EngineError> {
        let name = SpokenTo::FILE;
        let path = match &self.stored {
            Stored::In(dir) => dir.join(name),
            Stored::Embedded(_) => PathBuf::from(name),
        };
        let text = self.text_of(name);
        let text =
            text.map_err(|error| EngineError::Read { path: path.clone(), detail: error.to_string() })?;
        let read = text.map(|text| serde_json::from_str(&text)).transpose();
        read.map_err(|error| EngineError::config(&path.display().to_string(), error))
    }

    /// A text file of the checkpoint that the engine itself does not need; nothing if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn text_of(&self, name: &str) -> std::io::Result<Option<String>> {
        let dir = match &self.stored {
            Stored::In(dir) => dir,
            Stored::Embedded(policy) => return Ok(policy.beside(name).map(str::to_owned)),
        };
        match std::fs::read_to_string(dir.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The weights on `device` in `format`.
    ///
    /// # Errors
    /// Missing, truncated or broken weight files, or too little memory for them.
    pub fn weights(&self, device: &Device, format: WeightFormat) -> Result<Weights, EngineError> {
        let weights = match &self.stored {
            Stored::In(dir) => {
                Weights::open(dir, device, format)?.quantized_before(self.quantized_file(format)?)
            }
            Stored::Embedded(policy) => Weights::from_bytes(policy.weights.to_vec(), device, format)?,
        };
        if matches!(device, Device::Cpu) {
            let working = memory::working_bytes(&self.config, &self.processor, format.compute_dtype());
            memory::check(weights.n_bytes() + working)?;
        }
        Ok(weights)
    }

    fn quantized_file(&self, format: WeightFormat) -> Result<Option<QuantizedFile>, EngineError> {
        match (&self.stored, format.of_layer()) {
            (Stored::In(dir), Some(_)) => QuantizedFile::open(dir, format),
            _ => Ok(None),
        }
    }

    /// Quantizes the weights and writes them beside the checkpoint, where [`Self::weights`] finds them the next
    /// time. The path of the file; `None` if `on_bytes` gave up, and then there is no file.
    ///
    /// # Errors
    /// Those of [`Self::weights`]; [`EngineError::Write`]; [`EngineError::NothingToQuantize`] for the embedded policy
    /// or a format that is not quantized.
    pub fn write_quantized(
        &self,
        format: WeightFormat,
        on_quantized: Option<OnQuantized>,
        on_bytes: OnWritten<'_>,
    ) -> Result<Option<PathBuf>, EngineError> {
        let (Stored::In(dir), Some(_)) = (&self.stored, format.of_layer()) else {
            return Err(EngineError::NothingToQuantize);
        };
        let weights = self.weights(&Device::Cpu, format)?.quantized_before(None);
        let weights = weights.collecting().on_quantized(on_quantized);
        // Building the model is what asks for every matrix in its format.
        let model = Model::load(&self.config, &weights)?;
        let sha256 = self.weights_sha256()?;
        let path = quantized_file::write(dir, format, &sha256, &weights.made(), on_bytes)?;
        drop(model);
        Ok(path)
    }

    /// SHA-256 over the weight files in name order, as hexadecimal: which weights produced a run. Files are read the
    /// first time only, which takes seconds for a large checkpoint.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn weights_sha256(&self) -> Result<String, EngineError> {
        let mut known = self.sha256.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(sha256) => Ok(sha256.clone()),
            None => Ok(known.insert(self.hashed_weights()?).clone()),
        }
    }

    fn hashed_weights(&self) -> Result<String, EngineError> {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        match &self.stored {
            Stored::Embedded(policy) => hasher.update(policy.weights),
            Stored::In(dir) => {
                if let Some(known) = quantized_file::known_sha256(dir) {
                    return Ok(known);
                }
                for path in crate::weights::weight_files(dir)? {
                    let read =
                        |e: std::io::Error| EngineError::Read { path: path.clone(), detail: e.to_string() };
                    let mut file = std::fs::File::open(&path).map_err(read)?;
                    std::io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(read)?;
                }
            }
        }
        Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Processor and tokenizer must belong to the configuration.
    fn checked(self) -> Result<Self, EngineError> {
        let (v, p) = (&self.config.vision, &self.processor);
        if (p.patch_size, p.merge_size, p.temporal_patch_size)
            != (v.patch_size, v.spatial_merge_size, v.temporal_patch_size)
        {
            let detail = "patch, merge or frame size differs from config.json's vision_config";
            return Err(EngineError::config("preprocessor_config.json", detail));
        }
        if self.tokenizer.image_pad != self.config.image_token_id {
            let detail = format!(
                "`<|image_pad|>` is {}, config.json's image_token_id {}",
                self.tokenizer.image_pad, self.config.image_token_id
            );
            return Err(EngineError::config("tokenizer.json", detail));
        }
        let (largest_id, vocab_size) = (self.tokenizer.largest_id(), self.config.text.vocab_size);
        if largest_id as usize >= vocab_size {
            let detail = format!("its largest id is {largest_id}, config.json's vocab_size {vocab_size}");
            return Err(EngineError::config("tokenizer.json", detail));
        }
        Ok(self)
    }
}

fn read_text(dir: &Path, file: &str, needs: &'static str) -> Result<String, EngineError> {
    let path = dir.join(file);
    if !path.exists() {
        return Err(EngineError::MissingFile { path, needs });
    }
    std::fs::read_to_string(&path).map_err(|e| EngineError::Read { path, detail: e.to_string() })
}

/// `preprocessor_config.json`, or the object in `processor_config.json`, which is all that transformers 5 writes.
fn read_processor(dir: &Path) -> Result<Processor, EngineError> {
    const NEEDS: &str = "its preprocessor_config.json, or a processor_config.json with an `image_processor`";
    let (own, joint) = (Processor::FILE, Processor::JOINT_FILE);
    if !dir.join(own).exists() && dir.join(joint).exists() {
        return Processor::from_joint_json(&read_text(dir, joint, NEEDS)?);
    }
    Processor::from_json(&read_text(dir, own, NEEDS)?)
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
