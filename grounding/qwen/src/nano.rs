//! The embedded policies: checkpoint folders compiled into the binary. `make nano` makes them.
//!
//! Invariant: they differ in their weights, in how large they see a screen, and in what belongs to their weights alone; sizes,
//! tokenizer and template are the same.

use crate::error::EngineError;

pub(crate) const CONFIG: &str = include_str!("../assets/nano/config.json");
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../assets/nano/tokenizer.json");
const CHAT_TEMPLATE: &str = include_str!("../assets/nano/chat_template.json");

/// A policy in the binary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Embedded {
    /// As people call it.
    pub(crate) name: &'static str,
    pub(crate) weights: &'static [u8],
    pub(crate) preprocessor: &'static str,
    /// What its weights alone belong to, and so no copy of the folder with others.
    beside: &'static [(&'static str, &'static str)],
}

/// Sees a small page at two fifths of its size, and zooms.
pub(crate) static NANO: Embedded = Embedded {
    name: "nano",
    weights: include_bytes!("../assets/nano/model.safetensors"),
    preprocessor: include_str!("../assets/nano/preprocessor_config.json"),
    beside: &[("confidence.json", include_str!("../assets/nano/confidence.json"))],
};

/// Sees a small page as it is, and is told which words of its instruction stand there: what learns in an app begins with it.
pub(crate) static NANO_FULL: Embedded = Embedded {
    name: "nano-full",
    weights: include_bytes!("../assets/nano-full/model.safetensors"),
    preprocessor: include_str!("../assets/nano-full/preprocessor_config.json"),
    beside: &[("vigorl.json", include_str!("../assets/nano-full/vigorl.json"))],
};

impl Embedded {
    /// The folder's files besides the weights, by name: what a copy of it needs.
    pub(crate) fn files(&self) -> [(&'static str, &'static [u8]); 6] {
        [
            ("config.json", CONFIG.as_bytes()),
            ("generation_config.json", include_bytes!("../assets/nano/generation_config.json")),
            ("preprocessor_config.json", self.preprocessor.as_bytes()),
            ("tokenizer.json", TOKENIZER),
            ("tokenizer_config.json", include_bytes!("../assets/nano/tokenizer_config.json")),
            ("chat_template.json", CHAT_TEMPLATE.as_bytes()),
        ]
    }

    /// A file that belongs to the weights alone.
    pub(crate) fn beside(&self, name: &str) -> Option<&'static str> {
        self.beside.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

/// The template text inside `chat_template.json`.
pub(crate) fn chat_template() -> Result<String, EngineError> {
    let json: serde_json::Value =
        serde_json::from_str(CHAT_TEMPLATE).map_err(|e| EngineError::config("chat_template.json", e))?;
    json["chat_template"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| EngineError::config("chat_template.json", "there is no `chat_template` text"))
}
