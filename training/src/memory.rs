//! How much memory learning by reward takes on a card, part by part, from the shapes of the tensors.
//!
//! Invariants: nothing is measured and nothing is allocated. Rows and pictures are counted at their longest, and each sample
//! as if it said the most that one turn may have. What each part is, is said with it, so that whoever has too little sees
//! what to change. What the card's own libraries take is not counted.

use serde::Serialize;
use vigorl_qwen::{Checkpoint, Config, MAX_SCORES, ModelSource};

use crate::adapter::LoraConfig;
use crate::compute::Compute;
use crate::config::{Freeze, MatrixRule};
use crate::error::TrainingError;
use crate::fresh::tensor_shapes;
use crate::grpo_config::GrpoConfig;
use crate::optim::is_matrix;
use crate::published::{MAX_PIXELS, PublishedSize};

/// Bytes of a number of 32 bits.
const F32: u64 = 4;
/// Scores of an attention that are computed at once.
const SCORES_AT_ONCE: u64 = MAX_SCORES as u64;
/// The model that the preset `3b` names: where it is not there, the shapes of the published one are counted.
const OF_PRESET_3B: &str = "models/vigorl-3b";
/// Tensors of a softmax's size, in f32, that are there at once while its slope is computed.
const N_SLOPES: u64 = 5;
/// Tensors of the logits' size, in f32, that are there at once in the backward pass of the loss.
const N_LOGITS: u64 = 9;

/// Something that takes memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPart {
    /// What.
    pub name: &'static str,
    /// How much.
    pub bytes: u64,
    /// What it is made of, and which values of the configuration change it.
    pub why: String,
}

/// What a run holds at its worst moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What is there all the time.
    pub always: Vec<MemoryPart>,
    /// What an update takes beside it.
    pub update: Vec<MemoryPart>,
    /// What playing takes beside it: never while an update does.
    pub play: Vec<MemoryPart>,
}

impl Memory {
    /// At the worst moment.
    pub fn total(&self) -> u64 {
        let sum = |parts: &[MemoryPart]| parts.iter().map(|part| part.bytes).sum::<u64>();
        sum(&self.always) + sum(&self.update).max(sum(&self.play))
    }

    /// Of a run of this configuration; and whose shapes were counted, if the model of the preset `3b` is not there.
    ///
    /// # Errors
    /// If the model cannot be opened, or the adapters cannot be of it.
    pub fn of_run(
        config: &GrpoConfig,
        compute: &Compute,
    ) -> Result<(Self, Option<&'static str>), TrainingError> {
        let source = ModelSource::named(&config.init.model);
        let (model, max_pixels, instead) = if !source.is_there() && config.init.model == OF_PRESET_3B {
            (PublishedSize::B3.shapes()?, MAX_PIXELS, Some("Qwen2.5-VL-3B"))
        } else {
            let checkpoint = Checkpoint::open(&source)?;
            (checkpoint.config.clone(), checkpoint.processor.max_pixels, None)
        };
        let max_pixels = config.init.max_pixels.unwrap_or(max_pixels);
        Ok((Self::of(config, &model, max_pixels, compute)?, instead))
    }

    /// Of a run of this configuration with a model of these shapes, which sees at most `max_pixels`.
    ///
    /// # Errors
    /// If the adapters cannot be of this model.
    pub fn of(
        config: &GrpoConfig,
        model: &Config,
        max_pixels: u64,
        compute: &Compute,
    ) -> Result<Self, TrainingError> {
        let frozen_bytes = compute.frozen.size_in_bytes() as u64;
        let lora = config.adapters();
        let sizes = Sizes {
            config,
            model,
            lora,
            // A row may be one branch that is longer than what is wanted; then it stands alone.
            n_tokens: config.update.micro_batch_tokens.max(config.update.row_tokens) as u64,
            n_row: config.update.row_tokens as u64,
            n_patches_seen: max_pixels / (model.vision.patch_size as u64).pow(2),
            n_weights: tensor_shapes(model).iter().map(|(_, shape)| elements(shape)).sum(),
            n_moving: Moving::of(config, model, lora)?,
            frozen_bytes,
            // What the modules compute in.
            width: if lora.is_some() { frozen_bytes } else { F32 },
        };
        Ok(Self { always: sizes.always(), update: sizes.update(), play: sizes.play() })
    }
}

/// "3.75 billion".
fn counted(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} billion", n as f64 / 1e9),
        _ => format!("{:.1} million", n as f64 / 1e6),
    }
}

fn elements(shape: &[usize]) -> u64 {
    shape.iter().map(|side| *side as u64).product()
}

/// How many values move.
struct Moving {
    all: u64,
    /// Those of matrices.
    matrices: u64,
}

impl Moving {
    fn of(config: &GrpoConfig, model: &Config, lora: Option<&LoraConfig>) -> Result<Self, TrainingError> {
        if let Some(lora) = lora {
            let layers = lora.layers(model)?;
            let n = layers.values().map(|[n_out, n_in]| (lora.rank * (n_out + n_in)) as u64).sum();
            return Ok(Self { all: n, matrices: n });
        }
        let shapes = tensor_shapes(model);
        let mut moving = Self { all: 0, matrices: 0 };
        for (name, shape) in shapes.iter().filter(|(name, _)| config.optimizer.freeze.moves(name)) {
            let n = elements(shape);
            moving.all += n;
            moving.matrices += if is_matrix(name, shape.len()) { n } else { 0 };
        }
        Ok(moving)
    }
}

/// What parts are made of.
struct Sizes<'a> {
    config: &'a GrpoConfig,
    model: &'a Config,
    lora: Option<&'a LoraConfig>,
    /// Tokens of a micro-batch, and of one row of it.
    n_tokens: u64,
    n_row: u64,
    /// Patches of one picture.
    n_patches_seen: u64,
    n_weights: u64,
    n_moving: Moving,
    /// Bytes of a weight that stays as it is, and of a value that is computed.
    frozen_bytes: u64,
    width: u64,
}

impl Sizes<'_> {
    fn always(&self) -> Vec<MemoryPart> {
        let (config, moving) = (self.config, &self.n_moving);
        let weights = match self.lora {
            Some(_) => MemoryPart {
                name: "weights",
                bytes: self.n_weights * self.frozen_bytes + moving.all * F32,
                why: format!(
                    "{}, {} bytes each, and {} of adapters in f32",
                    counted(self.n_weights),
                    self.frozen_bytes,
                    counted(moving.all)
                ),
            },
            None => MemoryPart {
                name: "weights",
                bytes: self.n_weights * F32,
                why: format!("{}, 4 bytes each", counted(self.n_weights)),
            },
        };
        let n_moments = match config.optimizer.matrix_rule {
            MatrixRule::AdamW => 2 * moving.all,
            MatrixRule::Muon => moving.matrices + 2 * (moving.all - moving.matrices),
        };
        let (reference, why) = match (config.objective.kl > 0.0, self.lora) {
            (false, _) => (0, "none: objective.kl is 0"),
            (true, Some(_)) => (0, "the same weights without adapters"),
            (true, None) => (self.n_weights * F32, "the weights as they were; objective.kl = 0 needs none"),
        };
        vec![
            weights,
            MemoryPart {
                name: "optimizer",
                bytes: n_moments * F32,
                why: format!("moments of {} values that move", counted(moving.all)),
            },
            MemoryPart { name: "reference", bytes: reference, why: why.to_owned() },
        ]
    }

    fn update(&self) -> Vec<MemoryPart> {
        let GrpoConfig { update, group, sampling, .. } = self.config;
        let (layers, depth) = (self.model.text.num_hidden_layers as u64, self.model.vision.depth);
        let (kept, slopes) = (self.decoder_layer(self.n_tokens), self.decoder_slopes(self.n_tokens));
        let (decoder, how) = match update.recompute_layers {
            // What each layer began with stays.
            true => {
                let inputs = layers * self.n_tokens * self.model.text.hidden_size as u64 * self.width;
                (kept + slopes + inputs, "one at a time: they are computed again".to_owned())
            }
            false => (
                layers * kept + slopes,
                format!("{layers} of them; update.recompute_layers = true keeps one at a time"),
            ),
        };
        let n_sampled = (group.size * sampling.max_new_tokens as u64).min(self.n_tokens);
        let n_vocabulary = self.model.text.vocab_size as u64;
        // Every token may be one of a picture.
        let merge = (self.model.vision.spatial_merge_size as u64).pow(2);
        let n_patches = (self.n_tokens * merge).max(self.n_patches_seen);
        let moves_vision = match self.lora {
            Some(lora) => lora.targets.iter().any(|target| target.starts_with("visual.")),
            None => self.config.optimizer.freeze == Freeze::Nothing,
        };
        let (vision, how_vision) = match moves_vision {
            true => (self.vision_kept(n_patches), format!("all {depth} layers: the tower moves, too")),
            false => {
                (self.vision_layer(n_patches), "one layer at a time: the tower stays as it is".to_owned())
            }
        };
        vec![
            MemoryPart {
                name: "gradients",
                bytes: 2 * self.n_moving.all * F32,
                why: "their sum, and those of the micro-batch that is added".to_owned(),
            },
            MemoryPart {
                name: "decoder layers",
                bytes: decoder,
                why: format!("{} tokens (update.micro_batch_tokens), {how}", self.n_tokens),
            },
            MemoryPart {
                name: "logits",
                bytes: n_sampled * n_vocabulary * (self.width + N_LOGITS * F32),
                why: format!(
                    "{n_vocabulary} at each of {n_sampled} sampled tokens (group.size x sampling.max_new_tokens)"
                ),
            },
            MemoryPart {
                name: "vision tower",
                bytes: vision,
                why: format!("{n_patches} patches, {how_vision}"),
            },
        ]
    }

    fn play(&self) -> Vec<MemoryPart> {
        let (text, at_once) = (&self.model.text, self.config.play.at_once as u64);
        let of_token =
            2 * (text.num_hidden_layers * text.num_key_value_heads * text.head_dim()) as u64 * self.width;
        let n_tokens = self.n_row + self.config.sampling.max_new_tokens as u64;
        vec![
            MemoryPart {
                name: "another policy",
                bytes: self.n_weights * self.frozen_bytes,
                why: "the one that was given, or one that was written, while it is measured".to_owned(),
            },
            MemoryPart {
                name: "keys and values",
                bytes: at_once * n_tokens * of_token,
                why: format!("{at_once} conversations (play.at_once) of {n_tokens} tokens"),
            },
            MemoryPart {
                name: "a prompt",
                bytes: self.decoder_layer(n_tokens).max(self.vision_layer(self.n_patches_seen)),
                why: format!("{} patches or {n_tokens} tokens, one layer at a time", self.n_patches_seen),
            },
        ]
    }

    /// Values of a decoder layer that its backward pass needs. A norm keeps four in f32; six have the width of the feed-forward
    /// part; queries and keys are there before and behind their rotation; scores are there with their softmax.
    fn decoder_layer(&self, n_tokens: u64) -> u64 {
        let text = &self.model.text;
        let (h, i) = (text.hidden_size as u64, text.intermediate_size as u64);
        let q = (text.num_attention_heads * text.head_dim()) as u64;
        let kv = (text.num_key_value_heads * text.head_dim()) as u64;
        let of_token = (4 * h + 6 * i + 8 * q + 7 * kv) * self.width + 8 * h * F32;
        let n_scores = text.num_attention_heads as u64 * n_tokens * self.n_row.min(n_tokens);
        n_tokens * of_token + n_scores * 2 * self.width
    }

    /// The slopes that are there at once: of the widest values of a layer, and of one block of scores.
    fn decoder_slopes(&self, n_tokens: u64) -> u64 {
        let text = &self.model.text;
        let n_scores =
            (text.num_attention_heads as u64 * n_tokens * self.n_row.min(n_tokens)).min(SCORES_AT_ONCE);
        let values = n_tokens * (4 * text.intermediate_size as u64 + 8 * text.hidden_size as u64);
        values * self.width + n_scores * N_SLOPES * F32
    }

    /// Values of a layer of the vision tower, without scores.
    fn vision_values(&self, n_patches: u64) -> u64 {
        let vision = &self.model.vision;
        let (h, i) = (vision.hidden_size as u64, vision.intermediate_size as u64);
        n_patches * ((4 * h + 6 * i + 8 * h) * self.width + 8 * h * F32)
    }

    /// One layer that looks at all of a picture, where nothing is kept.
    fn vision_layer(&self, n_patches: u64) -> u64 {
        let n_scores = (self.model.vision.num_heads as u64 * self.n_patches_seen.pow(2)).min(SCORES_AT_ONCE);
        self.vision_values(n_patches) + n_scores * (2 * self.width + 2 * F32)
    }

    /// All layers, for a backward pass: a few look at all of a picture, the others at a window.
    fn vision_kept(&self, n_patches: u64) -> u64 {
        let vision = &self.model.vision;
        let n_full = vision.fullatt_block_indexes.len() as u64;
        let n_windowed = (vision.depth as u64).saturating_sub(n_full);
        let of_window = ((vision.window_size / vision.patch_size) as u64).pow(2);
        let heads = vision.num_heads as u64;
        let n_scores =
            heads * n_patches * (n_full * self.n_patches_seen.min(n_patches) + n_windowed * of_window);
        let values = vision.depth as u64 * self.vision_values(n_patches);
        values + n_scores * 2 * self.width + SCORES_AT_ONCE.min(n_scores) * N_SLOPES * F32
    }
}
