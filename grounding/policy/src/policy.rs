//! The [`Policy`] trait: anything that continues a conversation. Invariant: what a policy says is never an error.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use vigorl_geometry::fit::{FitError, PixelBudget};

use crate::{Conversation, Message, Part, Role, TurnForm};

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
    /// Holds the completion to this form, if any: what the form leaves no choice about is appended without being
    /// sampled, and the rest is drawn from what the form allows. A policy that cannot do this refuses it
    /// ([`Policy::holds_forms`]).
    pub form: Option<TurnForm>,
}

impl Sampling {
    /// The likeliest token each time, at most `max_new_tokens` of them, and nothing else asked for.
    pub const fn greedy(max_new_tokens: usize) -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            max_new_tokens,
            stop: Vec::new(),
            seed: 0,
            form: None,
        }
    }
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

/// The tokens of one turn.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The text, without the forced prefix and without the end-of-turn token.
    pub text: String,
    /// Token ids in order; empty if the policy does not expose them.
    pub token_ids: Vec<u32>,
    /// Natural logarithm of the probability of each token under the unscaled distribution over all tokens; 0 for
    /// a forced one, which left nothing to chance.
    pub logprobs: Vec<f32>,
    /// For each token, where it ends in `text`, in bytes; empty if the policy does not know.
    pub token_ends: Vec<usize>,
    /// Whether the text ends inside what the last token says: a stop string ended there.
    pub ends_inside_token: bool,
    /// Under a form, for each token whether the form forced it, so that it was not sampled; else empty. Who learns
    /// from log-probabilities takes them from [`Self::sampled_logprobs`], which refuses such completions.
    pub forced: Vec<bool>,
    /// Whether the conversation's forced prefix was only asked for in words, because this policy cannot be made to begin
    /// with it: then the text is all that was said, with a beginning of the policy's own.
    pub prefix_in_words: bool,
    /// Passes of the network behind the prompt: one per sampled token that something follows.
    pub n_passes: usize,
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

/// A completion was held to a form, so its log-probabilities are not those it was sampled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{n_forced} of {n_tokens} tokens were forced by the form of a turn and the others drawn from what it allows: \
     they cannot be learned from as if they were sampled; sample without a form"
)]
pub struct HeldToForm {
    /// Forced tokens.
    pub n_forced: usize,
    /// All tokens.
    pub n_tokens: usize,
}

impl Completion {
    /// The tokens that say exactly the text, so without one that ends the turn; `None` if the policy does not tell
    /// them, or if there are no such tokens.
    pub fn text_ids(&self) -> Option<&[u32]> {
        let starts = std::iter::once(0).chain(self.token_ends.iter().copied());
        let n = self.token_ids.iter().zip(starts).filter(|(_, start)| *start < self.text.len()).count();
        (n > 0 && !self.ends_inside_token).then(|| &self.token_ids[..n])
    }

    /// What was said, as the message with which its conversation goes on.
    pub fn message(&self) -> Message {
        match self.text_ids() {
            Some(ids) => Message {
                role: Role::Assistant,
                parts: vec![Part::Sampled { text: self.text.clone(), ids: ids.to_vec() }],
            },
            None => Message::text(Role::Assistant, &self.text),
        }
    }

    /// The completion that would have been, had it been cancelled behind its first `n_tokens`, which say `n_bytes`.
    pub(crate) fn cancelled_behind(mut self, n_tokens: usize, n_bytes: usize) -> Self {
        let goes_on = n_tokens < self.token_ends.len() || n_bytes < self.text.len();
        if goes_on || self.finish != Finish::StopString {
            self.text.truncate(n_bytes);
            self.token_ids.truncate(n_tokens);
            self.logprobs.truncate(n_tokens);
            self.token_ends.truncate(n_tokens);
            self.forced.truncate(n_tokens);
            self.n_passes = self.n_passes.min(n_tokens);
            self.ends_inside_token = false;
            self.finish = Finish::Cancelled;
        }
        self
    }

    /// Tokens that were sampled, as far as the policy tells: one that tells none may still count its passes.
    pub fn n_tokens(&self) -> usize {
        self.token_ids.len().max(self.logprobs.len()).max(self.n_passes)
    }

    /// Tokens that the form forced.
    pub fn n_forced(&self) -> usize {
        self.forced.iter().filter(|forced| **forced).count()
    }

    /// The log-probability of every token, where each was sampled from the distribution over all tokens: what
    /// policy gradients need.
    ///
    /// # Errors
    /// [`HeldToForm`] if the completion was made under a form.
    pub fn sampled_logprobs(&self) -> Result<&[f32], HeldToForm> {
        match self.forced.len() {
            0 => Ok(&self.logprobs),
            n_tokens => Err(HeldToForm { n_forced: self.n_forced(), n_tokens }),
        }
    }
}

/// Called with every new piece of text; `Break` cancels between tokens. A policy that waits for somebody else calls it with
/// an empty piece now and then, to hear whether it shall wait on.
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
    /// A form was asked for that the policy cannot be held to.
    #[error("the policy `{policy}` cannot be held to the form of a turn: leave out --constrain")]
    HoldsNoForms {
        /// Its name.
        policy: String,
    },
    /// The chat template failed.
    #[error("the checkpoint's chat template failed: {0}")]
    Template(String),
    /// The engine or the server failed.
    #[error("the policy failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody who looks beside a policy, or instead of one, cannot.
    #[error(transparent)]
    Beside(Box<dyn std::error::Error + Send + Sync>),
}

impl PolicyError {
    /// Whether it is this image that the policy cannot be shown: it may be asked about others.
    pub fn is_of_image(&self) -> bool {
        matches!(self, Self::Image(_) | Self::TooLong { .. })
    }
}

/// A conversation that is to be continued.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// By which its answer is known; its asker's choice.
    pub id: usize,
    /// What is continued.
    pub conversation: Cow<'a, Conversation>,
    /// How.
    pub sampling: Cow<'a, Sampling>,
}

/// Where conversations come from, and where their completions go, while a policy [serves](Policy::serve).
pub trait Asks<'a> {
    /// What has been asked since the last call. If `is_idle`, this waits until something is, and nothing means that
    /// nothing will be asked any more; else nothing may mean "not now".
    fn take(&mut self, is_idle: bool) -> Vec<Ask<'a>>;

    /// A completion got some more text; `Break` cancels that one between tokens.
    fn said(&mut self, id: usize, piece: &str) -> ControlFlow<()>;

    /// A completion is done, or that one conversation could not be continued.
    fn answer(&mut self, id: usize, completion: Result<Completion, PolicyError>);
}

/// Anything that continues a conversation.
pub trait Policy {
    /// Continues `conversation` with one assistant turn.
    ///
    /// # Errors
    /// Only if the policy could not be asked; malformed text is a [`Completion`]. A policy that does not
    /// [hold forms](Self::holds_forms) refuses a sampling with one.
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError>;

    /// Continues conversations as they come, until no more will: what [`Self::complete`] gives for each. A policy that
    /// works on several at once says so by its own version; then one that comes later joins those under way, and
    /// each is answered as soon as it is complete.
    fn serve<'a>(&mut self, asks: &mut dyn Asks<'a>) {
        loop {
            let taken = asks.take(true);
            if taken.is_empty() {
                return;
            }
            for Ask { id, conversation, sampling } in taken {
                let said = self.complete(&conversation, &sampling, &mut |piece| asks.said(id, piece));
                asks.answer(id, said);
            }
        }
    }

    /// Continues several conversations at once: what [`Self::complete`] gives for each, in their order. An error of one
    /// leaves the others as they are. `stream` gets the index of a conversation with its new text; `Break` cancels that
    /// one.
    fn complete_batch(
        &mut self,
        asks: &[(&Conversation, &Sampling)],
        stream: &mut ManyTokenStream<'_>,
    ) -> Vec<Result<Completion, PolicyError>> {
        let mut batch = Batch { asks: Some(asks), stream, answers: asks.iter().map(|_| None).collect() };
        self.serve(&mut batch);
        let unanswered = || Err(PolicyError::Backend(Box::new(Unanswered)));
        batch.answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// Continues `conversation` once per entry of `samplings`: what [`Self::complete`] gives for each. `stream` gets
    /// the index of a completion with its new text; `Break` cancels that one.
    ///
    /// # Errors
    /// As [`Self::complete`]; the first one, if there are several.
    fn complete_many(
        &mut self,
        conversation: &Conversation,
        samplings: &[Sampling],
        stream: &mut ManyTokenStream<'_>,
    ) -> Result<Vec<Completion>, PolicyError> {
        let asks: Vec<_> = samplings.iter().map(|sampling| (conversation, sampling)).collect();
        self.complete_batch(&asks, stream).into_iter().collect()
    }

    /// Whether completions can be held to [`Sampling::form`].
    fn holds_forms(&self) -> bool {
        false
    }

    /// How many pixels the network may be shown, and the factor of both sides.
    fn pixel_budget(&self) -> PixelBudget;

    /// A name for records: `nano`, a folder, or a hub name.
    fn name(&self) -> &str;
}

impl<P: Policy + ?Sized> Policy for &mut P {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        (**self).complete(conversation, sampling, stream)
    }

    fn serve<'a>(&mut self, asks: &mut dyn Asks<'a>) {
        (**self).serve(asks);
    }

    fn holds_forms(&self) -> bool {
        (**self).holds_forms()
    }

    fn pixel_budget(&self) -> PixelBudget {
        (**self).pixel_budget()
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// A policy came back from serving without having answered an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it did not answer: this is a defect of the policy")]
struct Unanswered;

/// Conversations that are asked at once.
struct Batch<'a, 's, 'f> {
    asks: Option<&'a [(&'a Conversation, &'a Sampling)]>,
    stream: &'s mut ManyTokenStream<'f>,
    answers: Vec<Option<Result<Completion, PolicyError>>>,
}

impl<'a> Asks<'a> for Batch<'a, '_, '_> {
    fn take(&mut self, _: bool) -> Vec<Ask<'a>> {
        let asks = self.asks.take().unwrap_or_default().iter().enumerate();
        let ask = |(id, (conversation, sampling)): (usize, &(&'a Conversation, &'a Sampling))| Ask {
            id,
            conversation: Cow::Borrowed(*conversation),
            sampling: Cow::Borrowed(*sampling),
        };
        asks.map(ask).collect()
    }

    fn said(&mut self, id: usize, piece: &str) -> ControlFlow<()> {
        (self.stream)(id, piece)
    }

    fn answer(&mut self, id: usize, completion: Result<Completion, PolicyError>) {
        self.answers[id] = Some(completion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A completion of `pieces`, whose ids are their places, that ends at `end` bytes.
    fn said(pieces: &[&str], end: usize) -> Completion {
        let whole = pieces.concat();
        let ends = pieces.iter().scan(0, |at, piece| {
            *at += piece.len();
            Some((*at).min(end))
        });
        Completion {
            text: whole[..end].to_owned(),
            token_ids: (0..pieces.len() as u32).collect(),
            logprobs: vec![0.0; pieces.len()],
            token_ends: ends.collect(),
            ends_inside_token: end < whole.len(),
            forced: Vec::new(),
            prefix_in_words: false,
            n_passes: 0,
            n_prompt_tokens: 0,
            n_cached_tokens: 0,
            finish: Finish::EndOfTurn,
            vision: Duration::ZERO,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
        }
    }

    #[test]
    fn a_message_carries_the_tokens_that_say_its_text_and_no_others() {
        // The end of a turn says nothing.
        for (pieces, end, ids) in [
            (&["(1", ")", ""][..], 3, Some(&[0, 1][..])),
            (&["(1", "", ")"], 3, Some(&[0, 1, 2])),
            (&["(1", ")\n"], 3, None),
            (&[""], 0, None),
            (&[], 0, None),
        ] {
            let said = said(pieces, end);
            assert_eq!(said.text_ids(), ids, "{pieces:?}");
            let message = said.message();
            assert_eq!((message.role, message.parts[0].text()), (Role::Assistant, Some(&*said.text)));
            let carried = match &message.parts[..] {
                [Part::Sampled { ids, .. }] => Some(ids.as_slice()),
                _ => None,
            };
            assert_eq!(carried, ids, "{pieces:?}");
        }
    }
}
