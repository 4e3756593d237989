//! Qwen2.5-VL on candle: processor, vision tower, decoder, KV cache, generation, weights; trainable.
//!
//! Shapes name their axes: B rows, T tokens, N patches, M merged patches, D hidden width, V vocabulary.
//!
//! Start with [`Engine`], which continues conversations, or [`Model`], which a trainer differentiates.

mod attention;
mod batch;
#[cfg(feature = "cuda")]
mod card;
mod checkpoint;
mod config;
mod embedding;
mod engine;
mod error;
mod format;
mod frozen;
mod generate;
mod hold;
mod inspect;
mod kv_cache;
mod linear;
mod memory;
mod mlp;
mod model;
pub mod mrope;
mod nano;
pub mod ops;
mod place;
mod processor;
mod prompt;
mod quantized_file;
mod sampling;
mod sessions;
mod text;
mod threads;
mod tokenizer;
mod vision;
mod weights;

pub use attention::MAX_SCORES;
pub use checkpoint::{Checkpoint, ModelSource};
pub use config::{Config, RopeScaling, TextConfig, VisionConfig};
pub use engine::{Engine, LoadOptions};
pub use error::EngineError;
pub use format::WeightFormat;
pub use inspect::{Inspection, inspect_forward};
pub use kv_cache::KvCache;
pub use model::{Model, OnLayer, PackedBatch, PackedPass, Probe};
pub use mrope::Grid;
pub use place::Place;
pub use processor::{Patches, Processor};
pub use prompt::{Prompt, PromptImage};
pub use quantized_file::OnWritten;
pub use tokenizer::Tokenizer;
pub use weights::{Adapters, OnQuantized, Weights};
