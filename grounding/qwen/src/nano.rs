//! The embedded default policy: a checkpoint folder compiled into the binary.
//! It is made by `make nano`.

use crate::error::EngineError;

pub(crate) const CONFIG: &str = include_str!("../assets/nano/config.json");
pub(crate) const PREPROCESSOR: &str = include_str!("../assets/nano/preprocessor_config.json");
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../assets/nano/tokenizer.json");
pub(crate) const WEIGHTS: &[u8] = include_bytes!("../assets/nano/model.safetensors");
const CHAT_TEMPLATE: &str = include_str!("../assets/nano/chat_template.json");

/// The folder's files besides the weights, by name: what a copy of it needs.
pub const NANO_FILES: [(&str, &[u8]); 6] = [
    ("config.json", CONFIG.as_bytes()),
    ("generation_config.json", include_bytes!("../assets/nano/generation_config.json")),
    ("preprocessor_config.json", PREPROCESSOR.as_bytes()),
    ("tokenizer.json", TOKENIZER),
    ("tokenizer_config.json", include_bytes!("../assets/nano/tokenizer_config.json")),
    ("chat_template.json", CHAT_TEMPLATE.as_bytes()),
];

/// What its weights alone belong to, and so no copy of the folder with others.
pub(crate) fn beside(name: &str) -> Option<&'static str> {
    (name == "confidence.json").then_some(include_str!("../assets/nano/confidence.json"))
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
