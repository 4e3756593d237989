//! The [`Policy`] trait: anything that continues a conversation. Invariant: what a policy says is never an error.

use std::ops::ControlFlow;
use std::time::Duration;

use vigorl_geometry::fit::{FitError, PixelBudget};

use crate::Conversation;

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus mass, 1 keeps all.
    pub top_p: f64,
    /// Divides the logits of tokens already seen, 1 is off.
    pub repetition_penalty: f32,
    /// Tokens of one completion at most.
    pub max_new_tokens: usize,
    /// Generation ends after any of these texts, which stay in the completion.
    pub stop: Vec<String>,
    /// Seed of the random draws.
    pub seed: u64,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The end-of-turn token.
    EndOfTurn,
    /// A stop string.
    StopString,
    /// The token limit.
    Length,
    /// The caller broke off.
    Cancelled,
}

/// The tokens sampled in one turn.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The text, without the forced prefix and without the end-of-turn token.
    pub text: String,
    /// Sampled token ids; empty if the policy does not expose them.
    pub token_ids: Vec<u32>,
    /// Natural logarithm of the probability of each sampled token under the unscaled distribution.
    pub logprobs: Vec<f32>,
    /// For each sampled token, where it ends in `text`, in bytes; empty if the policy does not know.
    pub token_ends: Vec<usize>,
    /// Tokens in front of the completion, images included.
    pub n_prompt_tokens: usize,
    /// Of these, how many were computed in an earlier turn.
    pub n_cached_tokens: usize,
    /// Why it ended.
    pub finish: Finish,
    /// Time for images.
    pub vision: Duration,
    /// Time for the new prompt tokens.
    pub prefill: Duration,
    /// Time for sampling.
    pub decode: Duration,
}

/// Called with every new piece of text; `Break` cancels between tokens.
pub type TokenStream<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// As [`TokenStream`], for several completions by their index.
pub type ManyTokenStream<'a> = dyn FnMut(usize, &str) -> ControlFlow<()> + 'a;

/// The policy could not be asked: the world failed. What it says is never an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// An image cannot be shown to the network.
    #[error("cannot show this image to the policy: {0}")]
    Image(#[from] FitError),
    /// The conversation is longer than the context.
    #[error("the conversation has {n_tokens} tokens, the policy takes {limit}")]
    TooLong {
        /// Tokens of the conversation.
        n_tokens: usize,
        /// Tokens the policy takes.
        limit: usize,
    },
    /// The chat template failed.
    #[error("the checkpoint's chat template failed: {0}")]
    Template(String),
    /// The engine or the server failed.
    #[error("the policy failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Anything that continues a conversation.
pub trait Policy {
    /// Continues `conversation` with one assistant turn.
    ///
    /// # Errors
    /// Only if the policy could not be asked; malformed text is a [`Completion`].
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError>;

    /// Continues `conversation` once per entry of `samplings`: what [`Self::complete`] gives for each, up to the
    /// rounding of sums. Policies that share the work between completions say so by their own version. `stream`
    /// gets the index of a completion with its new text; `Break` cancels that one.
    ///
    /// # Errors
    /// As [`Self::complete`].
    fn complete_many(
        &mut self,
        conversation: &Conversation,
        samplings: &[Sampling],
        stream: &mut ManyTokenStream<'_>,
    ) -> Result<Vec<Completion>, PolicyError> {
        let one = |(i, sampling)| self.complete(conversation, sampling, &mut |piece| stream(i, piece));
        samplings.iter().enumerate().map(one).collect()
    }

    /// How many pixels the network may be shown, and the factor of both sides.
    fn pixel_budget(&self) -> PixelBudget;

    /// A name for records: `nano`, a folder, or a hub name.
    fn name(&self) -> &str;
}
