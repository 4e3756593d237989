//! The files of a checkpoint folder besides its weights: kept as they were read, written unchanged.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use vigorl_policy::{ChatTemplate, SpokenTo};
use vigorl_qwen::{Config, EngineError, ModelSource, Processor};

use crate::error::TrainingError;

/// Extension of a folder that is being written: one without it is whole.
pub(crate) const TEMPORARY: &str = "partial";

/// File contents by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelFiles(BTreeMap<String, Vec<u8>>);

impl ModelFiles {
    /// Reads the configuration files of a checkpoint folder.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn read(dir: &Path) -> Result<Self, TrainingError> {
        const NAMES: [&str; 12] = [
            SpokenTo::FILE,
            "config.json",
            "generation_config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.json",
            "chat_template.jinja",
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
        ];
        let mut files = BTreeMap::new();
        for name in NAMES {
            let path = dir.join(name);
            if path.exists() {
                files.insert(
                    name.to_owned(),
                    std::fs::read(&path).map_err(TrainingError::file("read", &path))?,
                );
            }
        }
        Ok(Self(files))
    }

    /// The files of the embedded policy `nano`.
    pub fn embedded() -> Self {
        let files = ModelSource::Nano.embedded_files().unwrap_or_else(|| unreachable!("it is in the binary"));
        Self(files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into())
    }

    /// Those of a policy in the binary, or of a folder.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(source: &ModelSource) -> Result<Self, TrainingError> {
        match (source.embedded_files(), source) {
            (Some(files), _) => Ok(Self(files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into())),
            (None, ModelSource::Dir(folder)) => Self::read(folder),
            (None, ModelSource::Nano | ModelSource::NanoFull) => unreachable!("they are in the binary"),
        }
    }

    /// Adds or replaces a JSON file.
    pub fn set_json(&mut self, name: &str, value: &Value) {
        self.0.insert(name.to_owned(), format!("{value:#}\n").into_bytes());
    }

    /// Says how the model is spoken to from now on.
    pub fn set_spoken_to(&mut self, spoken_to: &SpokenTo) {
        self.set_json(SpokenTo::FILE, &serde_json::json!(spoken_to));
    }

    /// Gives the processor another pixel budget; everything else of its file stays as it is.
    ///
    /// # Errors
    /// If `preprocessor_config.json` is missing or unusable.
    pub fn set_max_pixels(&mut self, max_pixels: u64) -> Result<(), TrainingError> {
        const NAME: &str = "preprocessor_config.json";
        let mut value: Value =
            serde_json::from_str(&self.text(NAME)?).map_err(TrainingError::content(Path::new(NAME)))?;
        value["max_pixels"] = max_pixels.into();
        // Newer files repeat it here.
        if let Some(longest) = value.pointer_mut("/size/longest_edge") {
            *longest = max_pixels.into();
        }
        self.set_json(NAME, &value);
        Ok(())
    }

    /// Writes all files into `dir`.
    ///
    /// # Errors
    /// [`TrainingError::File`].
    pub fn write(&self, dir: &Path) -> Result<(), TrainingError> {
        for (name, bytes) in &self.0 {
            let path = dir.join(name);
            std::fs::write(&path, bytes).map_err(TrainingError::file("write", &path))?;
        }
        Ok(())
    }

    /// The model's sizes.
    ///
    /// # Errors
    /// If `config.json` is missing or unusable.
    pub fn config(&self) -> Result<Config, TrainingError> {
        Ok(Config::from_json(&self.text("config.json")?)?)
    }

    /// How images become patches.
    ///
    /// # Errors
    /// If `preprocessor_config.json` is missing or unusable.
    pub fn processor(&self) -> Result<Processor, TrainingError> {
        Ok(Processor::from_json(&self.text("preprocessor_config.json")?)?)
    }

    /// Text to ids.
    ///
    /// # Errors
    /// If `tokenizer.json` is missing or unusable.
    pub fn tokenizer(&self) -> Result<tokenizers::Tokenizer, TrainingError> {
        tokenizers::Tokenizer::from_bytes(self.text("tokenizer.json")?)
            .map_err(|e| TrainingError::Tokenizer(e.to_string()))
    }

    /// Conversations to text.
    ///
    /// # Errors
    /// If there is no usable template.
    pub fn chat_template(&self) -> Result<ChatTemplate, TrainingError> {
        ChatTemplate::from_files(|name| Ok(self.0.get(name).cloned()))
            .map_err(|e| TrainingError::Row(e.to_string()))
    }

    fn text(&self, name: &'static str) -> Result<String, TrainingError> {
        let bytes = self.0.get(name);
        let missing = || EngineError::MissingFile { path: name.into(), needs: "it beside its weights" };
        let bytes = bytes.ok_or_else(missing)?;
        String::from_utf8(bytes.clone()).map_err(TrainingError::content(Path::new(name)))
    }
}
