//! Trains policies: the supervised warm start, and learning by reward.
//!
//! Start reading at [`sft`] or [`mod@grpo`]: each is the loop, told as the algorithm. Around them:
//!
//! | module | does |
//! |---|---|
//! | [`config`] | the configuration file, every value explicit |
//! | [`question`], [`sample`] | what is asked about a page; ids, positions, visibility and targets of training rows |
//! | [`patches`], [`gaze`] | what a visual token shows, where a head looks: lessons besides the words |
//! | [`loss`], [`optim`], [`schedule`] | soft-label cross entropy; Muon and AdamW; the learning rate |
//! | [`evaluate`], [`metrics`], [`events`], [`plot`] | held-out measurements; what is logged, also for TensorBoard; the curves |
//! | [`transcript`] | training rows for a person to look at, with the loss mask in color |
//! | [`checkpoint`], [`files`] | folders in Hugging Face layout, resumable |
//! | [`adapter`] | low-rank adapters, in and out as PEFT writes them |
//! | [`fresh`], [`tokenizer`] | a model that does not exist yet |
//! | [`published`] | random checkpoints of the published sizes, for measuring speed |
//! | [`grpo`], [`grpo_config`], [`play`] | learning by reward: the loop, its file, its episodes |
//! | [`advantage`], [`objective`], [`trees`] | how much better than its group; the loss of a sampled token; rows of what was said |
//! | [`lessons`], [`warm_start`] | screens with named boxes, to teach with; what is taught before reward |
//! | [`mod@bench`] | a step of either, to measure and to hand to another program |
//! | [`work`], [`step`] | a model under training; what a micro-batch contributes; one step of the optimizer |
//! | [`seed`], [`workers`] | random streams; threads that compute whole micro-batches |
//!
//! Invariant: training runs the modules, prompts, crops and tokenization of inference, never a twin of them.

pub mod adapter;
pub mod advantage;
pub mod bench;
pub mod checkpoint;
mod compared;
pub mod compute;
pub mod config;
mod drawn;
mod error;
pub mod evaluate;
pub mod events;
pub mod files;
pub mod fresh;
pub mod gaze;
pub mod grpo;
pub mod grpo_config;
pub mod lessons;
pub mod loss;
pub mod memory;
pub mod metrics;
pub mod objective;
pub mod optim;
pub mod patches;
pub mod play;
pub mod plot;
pub mod published;
pub mod question;
mod said;
pub mod sample;
pub mod schedule;
pub mod seed;
pub mod sft;
pub mod step;
mod sureness;
mod teacher;
pub mod tokenizer;
pub mod transcript;
pub mod trees;
mod update;
pub mod warm_start;
pub mod work;
pub mod workers;

pub use compute::Compute;
pub use config::SftConfig;
pub use error::TrainingError;
pub use grpo::{GrpoEnd, GrpoProgress, run_grpo};
pub use grpo_config::GrpoConfig;
pub use play::Worlds;
pub use sft::{SftEnd, SftProgress, run_sft};
pub use teacher::LoadTexts;
pub use warm_start::WarmStart;
