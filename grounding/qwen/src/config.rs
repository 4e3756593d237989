//! `config.json`, field by field. Invariant: no size is a constant in this crate; all come from here.
//!
//! Source: transformers `configuration_qwen2_5_vl.py` (4.51 to 4.57). The published checkpoints are flat
//! (decoder fields at the top level); newer ones nest them under `text_config`, and transformers 5 moves the
//! rotary fields into `rope_parameters`. All are read, the flat form is written.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::EngineError;

/// Largest patch, merge and frame size that is believed; published are 14, 2 and 2.
pub(crate) const MAX_SIDE: usize = 1_024;

/// The sizes of a whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The decoder.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Id of `<|image_pad|>`.
    pub image_token_id: u32,
    /// Id of `<|vision_start|>`.
    pub vision_start_token_id: u32,
}

/// The decoder's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Rotary frequencies that turn with time, height and width.
    pub rope_scaling: RopeScaling,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Whether the output layer is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
}

/// The multi-section part of the rotary configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RopeScaling {
    /// How many of the head's frequencies belong to time, height and width.
    pub mrope_section: [usize; 3],
    /// `mrope` or `default`; both mean the multi-section form in this architecture.
    #[serde(default = "mrope", rename = "type")]
    pub kind: String,
}

fn mrope() -> String {
    "mrope".to_owned()
}

/// The vision tower's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width handed to the decoder.
    pub out_hidden_size: usize,
    /// Color channels.
    #[serde(alias = "in_chans", default = "three")]
    pub in_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Patches per side of a merged patch.
    pub spatial_merge_size: usize,
    /// Frames per patch.
    #[serde(default = "two")]
    pub temporal_patch_size: usize,
    /// Side of an attention window in pixels.
    pub window_size: usize,
    /// Blocks that attend over the whole image.
    pub fullatt_block_indexes: Vec<usize>,
}

fn three() -> usize {
    3
}
fn two() -> usize {
    2
}

impl VisionConfig {
    /// Values of one flattened patch: channels, frames, rows, columns.
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Side of an attention window in merged patches.
    pub fn window_in_merged_patches(&self) -> usize {
        (self.window_size / self.patch_size / self.spatial_merge_size).max(1)
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Weights of all blocks' matrices: what every patch is multiplied by.
    pub fn n_block_weights(&self) -> u64 {
        let (d, f) = (self.hidden_size as u64, self.intermediate_size as u64);
        self.depth as u64 * (4 * d * d + 3 * d * f)
    }

    /// Weights of the merger's matrices: what every visual token is multiplied by.
    pub fn n_merger_weights(&self) -> u64 {
        let wide = (self.hidden_size * self.spatial_merge_size.pow(2)) as u64;
        wide * wide + wide * self.out_hidden_size as u64
    }
}

impl TextConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Weights of all layers' matrices: what every token is multiplied by.
    pub fn n_layer_weights(&self) -> u64 {
        let (d, f) = (self.hidden_size as u64, self.intermediate_size as u64);
        let heads = (2 * self.num_attention_heads + 2 * self.num_key_value_heads) * self.head_dim();
        self.num_hidden_layers as u64 * (d * heads as u64 + 3 * d * f)
    }

    /// Weights of the output layer.
    pub fn n_output_weights(&self) -> u64 {
        (self.vocab_size * self.hidden_size) as u64
    }
}

impl Config {
    /// Reads the text of a `config.json`, flat or nested.
    ///
    /// # Errors
    /// [`EngineError::Config`] names the field; [`EngineError::Architecture`] if it is another model.
    pub fn from_json(text: &str) -> Result<Self, EngineError> {
        let root: Value = serde_json::from_str(text).map_err(|e| EngineError::config("config.json", e))?;
        let model_type = root.get("model_type").and_then(Value::as_str).unwrap_or("(none)");
        if model_type != "qwen2_5_vl" {
            return Err(EngineError::Architecture { found: model_type.to_owned() });
        }
        let text_fields = root.get("text_config").filter(|t| t.get("hidden_size").is_some()).unwrap_or(&root);
        let text_fields = with_rope_fields(text_fields.clone());
        refuse_other_decoders(&text_fields)?;
        let mut text: TextConfig = fields_of("config.json (decoder)", text_fields)?;
        // The nested form keeps this flag at the top level.
        if let Some(tied) = root.get("tie_word_embeddings").and_then(Value::as_bool) {
            text.tie_word_embeddings = tied;
        }
        let vision = root.get("vision_config").cloned().unwrap_or(Value::Null);
        // Stock files carry both spellings of the channel count; the alias accepts one.
        let vision = without_duplicate_channels(vision);
        refuse_other_activation(&vision, "vision_config.hidden_act")?;
        let vision: VisionConfig = fields_of("config.json (vision_config)", vision)?;
        let id = |key: &'static str, default: u32| {
            root.get(key).and_then(Value::as_u64).map_or(default, |v| v as u32)
        };
        let config = Self {
            text,
            vision,
            image_token_id: id("image_token_id", 151_655),
            vision_start_token_id: id("vision_start_token_id", 151_652),
        };
        config.check()?;
        Ok(config)
    }

    /// The flat published form, loadable by transformers.
    pub fn to_json(&self) -> Value {
        let mut root = serde_json::to_value(&self.text).unwrap_or_default();
        let mut vision = serde_json::to_value(&self.vision).unwrap_or_default();
        vision["in_chans"] = self.vision.in_channels.into();
        vision["hidden_act"] = "silu".into();
        vision["tokens_per_second"] = 2.into();
        vision["model_type"] = "qwen2_5_vl".into();
        root["architectures"] = serde_json::json!(["Qwen2_5_VLForConditionalGeneration"]);
        root["model_type"] = "qwen2_5_vl".into();
        root["hidden_act"] = "silu".into();
        root["image_token_id"] = self.image_token_id.into();
        root["vision_start_token_id"] = self.vision_start_token_id.into();
        root["use_sliding_window"] = false.into();
        root["attention_dropout"] = 0.0.into();
        root["torch_dtype"] = "float32".into();
        root["vision_config"] = vision;
        root
    }

    /// Every size with the largest that is believed: their products then stay far from overflow.
    fn sizes(&self) -> [(&'static str, usize, usize); 17] {
        /// Rows, or columns, of a matrix.
        const WIDTH: usize = 1 << 24;
        /// Blocks, or heads.
        const COUNT: usize = 1 << 16;
        let (t, v) = (&self.text, &self.vision);
        [
            ("vocab_size", t.vocab_size, WIDTH),
            ("hidden_size", t.hidden_size, WIDTH),
            ("intermediate_size", t.intermediate_size, WIDTH),
            ("num_hidden_layers", t.num_hidden_layers, COUNT),
            ("num_attention_heads", t.num_attention_heads, COUNT),
            ("num_key_value_heads", t.num_key_value_heads, COUNT),
            ("max_position_embeddings", t.max_position_embeddings, 1 << 31),
            ("vision_config.depth", v.depth, COUNT),
            ("vision_config.hidden_size", v.hidden_size, WIDTH),
            ("vision_config.intermediate_size", v.intermediate_size, WIDTH),
            ("vision_config.num_heads", v.num_heads, COUNT),
            ("vision_config.out_hidden_size", v.out_hidden_size, WIDTH),
            ("vision_config.in_channels", v.in_channels, WIDTH),
            ("vision_config.patch_size", v.patch_size, MAX_SIDE),
            ("vision_config.spatial_merge_size", v.spatial_merge_size, MAX_SIDE),
            ("vision_config.temporal_patch_size", v.temporal_patch_size, MAX_SIDE),
            ("vision_config.window_size", v.window_size, WIDTH),
        ]
    }

    fn check(&self) -> Result<(), EngineError> {
        let fail = |detail: String| Err(EngineError::Config { file: "config.json".to_owned(), detail });
        let (t, v) = (&self.text, &self.vision);
        for (name, size, largest) in self.sizes() {
            if !(1..=largest).contains(&size) {
                return fail(format!("{name} is {size}: 1 to {largest} is possible"));
            }
        }
        if v.in_channels != 3 {
            return fail(format!("vision_config.in_channels is {}: images have 3", v.in_channels));
        }
        if t.num_attention_heads == 0 || t.hidden_size % t.num_attention_heads != 0 {
            return fail("hidden_size is not a multiple of num_attention_heads".to_owned());
        }
        if t.num_key_value_heads == 0 || t.num_attention_heads % t.num_key_value_heads != 0 {
            return fail("num_attention_heads is not a multiple of num_key_value_heads".to_owned());
        }
        let sections = t.rope_scaling.mrope_section;
        let (sum, half) = (sections.iter().fold(0, |sum: usize, n| sum.saturating_add(*n)), t.head_dim() / 2);
        if t.head_dim() % 2 != 0 {
            return fail("hidden_size / num_attention_heads is odd: a head needs pairs to turn".to_owned());
        }
        if sum != half {
            return fail(format!("rope_scaling.mrope_section sums to {sum}, half a head is {half}"));
        }
        if v.num_heads == 0 || v.hidden_size % v.num_heads != 0 || v.head_dim() % 4 != 0 {
            return fail("vision_config: a head's width must be whole and a multiple of 4".to_owned());
        }
        if v.out_hidden_size != t.hidden_size {
            return fail(format!(
                "vision_config.out_hidden_size is {}, the decoder's hidden_size {}",
                v.out_hidden_size, t.hidden_size
            ));
        }
        Ok(())
    }
}

/// Refuses what would load and compute something else than the reference.
fn refuse_other_decoders(text: &Value) -> Result<(), EngineError> {
    for key in ["type", "rope_type"] {
        let kind = text["rope_scaling"][key].as_str().unwrap_or("default");
        if !["mrope", "default"].contains(&kind) {
            let detail = format!("rope_scaling.{key} is `{kind}`: only `mrope` and `default` are computed");
            return Err(EngineError::config("config.json", detail));
        }
    }
    if text["use_sliding_window"].as_bool() == Some(true) {
        let detail = "use_sliding_window is true: only attention over the whole context is computed";
        return Err(EngineError::config("config.json", detail));
    }
    refuse_other_activation(text, "hidden_act")
}

/// `field` is the full name of `hidden_act` in `fields`.
fn refuse_other_activation(fields: &Value, field: &str) -> Result<(), EngineError> {
    match fields["hidden_act"].as_str() {
        None | Some("silu") => Ok(()),
        Some(other) => {
            let detail = format!("{field} is `{other}`: only `silu` is computed");
            Err(EngineError::config("config.json", detail))
        }
    }
}

/// Deserializes with the path of the offending field in the message.
fn fields_of<T: serde::de::DeserializeOwned>(file: &str, value: Value) -> Result<T, EngineError> {
    serde_path_to_error::deserialize(value).map_err(|e| EngineError::config(file, e))
}

/// transformers 5 keeps both rotary fields in one object, `rope_parameters`.
fn with_rope_fields(mut text: Value) -> Value {
    if let Some(rope) = text.get("rope_parameters").cloned() {
        for (key, value) in [("rope_theta", rope["rope_theta"].clone()), ("rope_scaling", rope.clone())] {
            if text[key].is_null() && !value.is_null() {
                text[key] = value;
            }
        }
    }
    text
}

fn without_duplicate_channels(mut vision: Value) -> Value {
    if let Some(fields) = vision.as_object_mut()
        && let Some(channels) = fields.remove("in_chans")
    {
        fields.entry("in_channels").or_insert(channels);
    }
    vision
}
