//! The policy's side of the protocol: conversation, grammar, crops, zoom turns. Knows no model.
//!
//! Start with [`ground()`]: one instruction on one screenshot, told as the algorithm. Invariant: prompts, turns
//! and crops are made by the same functions for demo, evaluation and training.

mod acts;
mod answer;
mod conversation;
mod crops;
mod form;
pub mod grammar;
mod ground;
mod grounders;
mod policy;
mod preset;
pub mod resize;
mod scripted;
mod shared;
mod spoken_to;
mod template;
mod view;
pub mod wire;

pub use conversation::{Conversation, Message, Part, Role};
pub use crops::{Border, CropSettings, KeptCrop, ShownCrop};
pub use form::{Next, Opening, TurnForm};
pub use grammar::Malformed;
pub use ground::{GroundObserver, Grounding, Thought, Turn, ground, ground_closer, ground_part};
pub use policy::{
    Ask, Asks, Completion, Finish, HeldToForm, ManyTokenStream, Policy, PolicyError, Sampling, TokenStream,
};
pub use preset::{AnswerKind, Conduct, ImageGap, Limits, PixelLimits, Preset, Query, Search, Turns};
pub use scripted::{ScriptBreaksForm, ScriptExhausted, ScriptedPolicy};
pub use shared::{PolicyEnded, SharedPolicy, share};
pub use spoken_to::SpokenTo;
pub use template::{ChatTemplate, RenderedPrompt, TEMPLATE_FILES, assistant_words, without_control_tokens};
pub use view::{AnswerSpace, View};
