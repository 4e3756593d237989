//! A policy that says what it was told to say: for tests of everything around a policy.
//!
//! Invariant: it obeys stop strings and cancellation as an engine does, and never looks at an image. It cannot change
//! its script to a form, so it fails where the script breaks one.

use std::collections::VecDeque;
use std::time::Duration;

use vigorl_geometry::fit::PixelBudget;

use crate::{Completion, Conversation, Finish, Policy, PolicyError, Sampling, TokenStream};

/// Says the given completions one after the other, one token per character.
#[derive(Debug)]
pub struct ScriptedPolicy {
    replies: VecDeque<String>,
    asked: Vec<(Conversation, Sampling)>,
}

/// A scripted policy was asked more often than it has replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the script has no reply for turn {turn_idx}")]
pub struct ScriptExhausted {
    /// The turn asked for, counted from 0.
    pub turn_idx: usize,
}

/// A scripted policy was held to a form that its reply does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the script's reply for turn {turn_idx} does not have the form that was asked for")]
pub struct ScriptBreaksForm {
    /// The turn asked for, counted from 0.
    pub turn_idx: usize,
}

impl ScriptedPolicy {
    /// Log-probability of every token.
    pub const LOGPROB: f32 = -0.01;

    /// A policy that says `replies` in order.
    pub fn new<S: Into<String>>(replies: impl IntoIterator<Item = S>) -> Self {
        Self { replies: replies.into_iter().map(Into::into).collect(), asked: Vec::new() }
    }

    /// What it was asked to continue, and how, in order.
    pub fn asked(&self) -> &[(Conversation, Sampling)] {
        &self.asked
    }
}

impl Policy for ScriptedPolicy {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let turn_idx = self.asked.len();
        self.asked.push((conversation.clone(), sampling.clone()));
        let reply = self
            .replies
            .pop_front()
            .ok_or_else(|| PolicyError::Backend(Box::new(ScriptExhausted { turn_idx })))?;
        if sampling.form.is_some_and(|form| !form.allows("", &reply)) {
            return Err(PolicyError::Backend(Box::new(ScriptBreaksForm { turn_idx })));
        }
        let mut text = String::new();
        let mut token_ends = Vec::new();
        let mut finish = Finish::EndOfTurn;
        for token in reply.chars() {
            if token_ends.len() == sampling.max_new_tokens {
                finish = Finish::Length;
                break;
            }
            text.push(token);
            token_ends.push(text.len());
            if stream(token.encode_utf8(&mut [0; 4])).is_break() {
                finish = Finish::Cancelled;
                break;
            }
            if sampling.stop.iter().any(|stop| text.ends_with(stop.as_str())) {
                finish = Finish::StopString;
                break;
            }
        }
        Ok(Completion {
            text,
            token_ids: Vec::new(),
            logprobs: vec![Self::LOGPROB; token_ends.len()],
            token_ends,
            ends_inside_token: false,
            forced: Vec::new(),
            prefix_in_words: false,
            n_passes: 0,
            n_prompt_tokens: 0,
            n_cached_tokens: 0,
            finish,
            vision: Duration::ZERO,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
        })
    }

    fn holds_forms(&self) -> bool {
        true
    }

    fn pixel_budget(&self) -> PixelBudget {
        PixelBudget { factor: 28, min_pixels: 56 * 56, max_pixels: 28 * 28 * 16_384 }
    }

    fn name(&self) -> &str {
        "scripted"
    }
}
