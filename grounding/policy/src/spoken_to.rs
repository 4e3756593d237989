//! How a checkpoint wants to be spoken to: a file beside its weights, written by whoever trained it.
//!
//! Invariant: what a person says goes before the file, and the file before the checkpoint's name.

use serde::{Deserialize, Serialize};

/// The content of [`SpokenTo::FILE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenTo {
    /// Name of the preset that it was trained with.
    pub preset: String,
    /// Whether it was told which words of its instruction stand on the screen, and where.
    #[serde(default)]
    pub told_texts: bool,
    /// Pixels of a screenshot that it was taught to see, if they are more than its preset shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_image_pixels: Option<u64>,
    /// Whether it learned from reward what is right where it is used: then it is asked before a reader, and what it is sure
    /// of is not overruled.
    #[serde(default)]
    pub learned_from_reward: bool,
}

impl SpokenTo {
    /// Its name in the folder of a checkpoint.
    pub const FILE: &str = "vigorl.json";
}
