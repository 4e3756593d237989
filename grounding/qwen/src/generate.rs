//! One completion in the making: sample, stream, stop.
//!
//! Invariants: the pieces that are streamed are the text: nothing behind a stop string, and nothing less. Tokens
//! that a form forces are fed in the same pass as the sampled token before them, or with the prompt.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::{Completion, Finish, Sampling, TokenStream};

use crate::error::EngineError;
use crate::hold::{Hold, Wanted};
use crate::sampling::{Sampled, sample, sample_among};
use crate::tokenizer::{TextStream, Tokenizer};

/// What a completion consists of.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) text: String,
    /// All ids, the end-of-turn token included.
    pub(crate) ids: Vec<u32>,
    pub(crate) logprobs: Vec<f32>,
    /// For each id, whether a form forced it; empty without a form.
    pub(crate) forced: Vec<bool>,
    /// For each id, where its text ends in `text`.
    pub(crate) ends: Vec<usize>,
    pub(crate) finish: Finish,
    /// Passes of the network behind the prompt.
    pub(crate) n_passes: usize,
    /// Whether the text ends inside what the last token says.
    pub(crate) splits_token: bool,
}

/// What a prompt has cost, together with those computed at the same time, and the completion behind it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PromptCost {
    pub(crate) n_tokens: usize,
    /// Of these, how many were in the cache.
    pub(crate) n_cached: usize,
    pub(crate) vision: Duration,
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

impl Generated {
    fn new() -> Self {
        Self {
            text: String::new(),
            ids: vec![],
            logprobs: vec![],
            forced: vec![],
            ends: vec![],
            finish: Finish::Length,
            n_passes: 0,
            splits_token: false,
        }
    }

    pub(crate) fn completion(self, cost: PromptCost) -> Completion {
        Completion {
            text: self.text,
            token_ids: self.ids,
            token_ends: self.ends,
            ends_inside_token: self.splits_token,
            logprobs: self.logprobs,
            forced: self.forced,
            prefix_in_words: false,
            n_passes: self.n_passes,
            n_prompt_tokens: cost.n_tokens,
            n_cached_tokens: cost.n_cached,
            finish: self.finish,
            vision: cost.vision,
            prefill: cost.prefill,
            decode: cost.decode,
        }
    }

    /// Adds the text of the last id up to the first stop string that it completes, and streams that.
    fn say(&mut self, piece: &str, stops: &[String], stream: &mut TokenStream<'_>) -> ControlFlow<()> {
        let said = self.text.len();
        self.text.push_str(piece);
        let stop = end_of_stop(&self.text, piece.len(), stops);
        self.splits_token = stop.is_some_and(|end| end < self.text.len());
        self.text.truncate(stop.unwrap_or(self.text.len()));
        let cancelled = stream(&self.text[said..]).is_break();
        if stop.is_some() {
            self.finish = Finish::StopString;
            return ControlFlow::Break(());
        }
        if cancelled {
            self.finish = Finish::Cancelled;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// One completion in the making.
#[derive(Debug)]
pub(crate) struct Making<'a, 'e> {
    sampling: Cow<'a, Sampling>,
    hold: Option<Hold<'e>>,
    rng: ChaCha8Rng,
    /// The prompt, and every id that was fed behind it.
    fed: Vec<u32>,
    pieces: TextStream,
    out: Generated,
}

impl<'a, 'e> Making<'a, 'e> {
    /// A completion behind the ids of `prompt`.
    pub(crate) fn new(sampling: Cow<'a, Sampling>, hold: Option<Hold<'e>>, prompt: Vec<u32>) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(sampling.seed),
            sampling,
            hold,
            fed: prompt,
            pieces: TextStream::default(),
            out: Generated::new(),
        }
    }

    /// Tokens that the completion may still get.
    pub(crate) fn room(&self, context_limit: usize) -> usize {
        let of_sampling = self.sampling.max_new_tokens.saturating_sub(self.out.ids.len());
        of_sampling.min(context_limit.saturating_sub(self.fed.len()))
    }

    /// Says the tokens that its form begins with: the last ones of the prompt.
    pub(crate) fn begin(
        &mut self,
        lead: &[u32],
        tokenizer: &Tokenizer,
        stream: &mut TokenStream<'_>,
    ) -> Result<ControlFlow<()>, EngineError> {
        for &id in lead {
            let flow = self.add(Sampled { id, logprob: 0.0 }, true, tokenizer, stream)?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds a token that was [drawn](Self::draw), and what the form forces behind it. The ids to feed next; none if the
    /// completion ends with them.
    pub(crate) fn push(
        &mut self,
        drawn: Sampled,
        tokenizer: &Tokenizer,
        context_limit: usize,
        stream: &mut TokenStream<'_>,
    ) -> Result<Vec<u32>, EngineError> {
        let mut next = vec![drawn.id];
        let mut flow = self.add(drawn, false, tokenizer, stream)?;
        while let (ControlFlow::Continue(()), Some(hold)) = (flow, &self.hold) {
            let room = self.room(context_limit).saturating_sub(next.len());
            let Wanted::Forced(mut ids) = hold.wanted(&self.out.text, &self.out.ids, room)? else { break };
            ids.truncate(room);
            if ids.is_empty() {
                break;
            }
            for id in ids {
                flow = self.add(Sampled { id, logprob: 0.0 }, true, tokenizer, stream)?;
                if flow.is_break() {
                    break;
                }
                next.push(id);
            }
        }
        self.fed.extend(&next);
        if flow.is_break() || self.room(context_limit) == 0 {
            return Ok(Vec::new());
        }
        self.out.n_passes += 1;
        Ok(next)
    }

    /// A token that the form allows.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> Result<Sampled, EngineError> {
        let Some(hold) = &self.hold else { return sample(logits, &self.fed, &self.sampling, &mut self.rng) };
        let said = &self.out.text;
        if let Some(narrowed) = hold.narrowed(said, logits)? {
            return sample_among(&narrowed, logits, &self.fed, &self.sampling, &mut self.rng);
        }
        let mut allowed = logits.to_vec();
        loop {
            let sampled = sample_among(&allowed, logits, &self.fed, &self.sampling, &mut self.rng)?;
            if hold.fits(said, sampled.id, &mut self.pieces)? {
                return Ok(sampled);
            }
            allowed[sampled.id as usize] = f32::NEG_INFINITY;
        }
    }

    /// Says a token.
    fn add(
        &mut self,
        token: Sampled,
        forced: bool,
        tokenizer: &Tokenizer,
        stream: &mut TokenStream<'_>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let out = &mut self.out;
        out.ids.push(token.id);
        out.logprobs.push(token.logprob);
        if self.hold.is_some() {
            out.forced.push(forced);
        }
        if token.id == tokenizer.end_of_turn || Some(token.id) == tokenizer.end_of_text {
            out.finish = Finish::EndOfTurn;
            return Ok(ControlFlow::Break(()));
        }
        let piece = self.pieces.push(token.id, tokenizer)?;
        let flow = out.say(&piece, &self.sampling.stop, stream);
        out.ends.push(out.text.len());
        Ok(flow)
    }

    /// Says what was held back because a character is incomplete.
    pub(crate) fn finish(
        mut self,
        tokenizer: &Tokenizer,
        stream: &mut TokenStream<'_>,
    ) -> Result<Generated, EngineError> {
        let mut out = self.out;
        let rest = match out.finish {
            Finish::StopString => String::new(),
            _ => self.pieces.finish(tokenizer)?,
        };
        if !rest.is_empty() {
            let finish = out.finish;
            // Nothing is left to break off, so only a stop string changes how the turn ended.
            if out.say(&rest, &self.sampling.stop, stream).is_continue() || out.finish == Finish::Cancelled {
                out.finish = finish;
            }
            if let Some(end) = out.ends.last_mut() {
                *end = out.text.len();
            }
        }
        // The end-of-turn token says nothing.
        out.ends.resize(out.ids.len(), out.text.len());
        Ok(out)
    }
}

/// Where the first stop string that the last `n_new` bytes completed ends. It may have begun earlier.
fn end_of_stop(text: &str, n_new: usize, stops: &[String]) -> Option<usize> {
    let longest = stops.iter().map(String::len).max()?;
    let mut from = text.len().saturating_sub(n_new + longest);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    stops.iter().filter(|s| !s.is_empty()).filter_map(|s| Some(from + text[from..].find(s)? + s.len())).min()
}

/// Time since `from`, and a new start.
pub(crate) fn lap(from: &mut Instant) -> std::time::Duration {
    let elapsed = from.elapsed();
    *from = Instant::now();
    elapsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_string_may_span_tokens_and_carry_a_tail() {
        let stops = vec!["</answer>".to_owned(), "<|im_end|>".to_owned()];
        assert_eq!(end_of_stop("(1, 2) </ans", 5, &stops), None);
        assert_eq!(end_of_stop("(1, 2) </answer>", 4, &stops), Some(16));
        assert_eq!(end_of_stop("(1, 2) </answer>\nfoo", 8, &stops), Some(16));
        assert_eq!(end_of_stop("ü</answer>", 1, &stops), Some(11));
        assert_eq!(end_of_stop("plain", 5, &[]), None);
    }

    /// Says `pieces`, one per id, and checks what is kept, streamed and remembered.
    #[track_caller]
    fn check_said(pieces: &[&str], text: &str, ends: &[usize], remembered: Option<&[u32]>) {
        let stops = ["</a>".to_owned()];
        let (mut out, mut streamed) = (Generated::new(), String::new());
        let mut stream = |piece: &str| {
            streamed.push_str(piece);
            ControlFlow::Continue(())
        };
        for (id, piece) in (0..).zip(pieces) {
            out.ids.push(id);
            let flow = out.say(piece, &stops, &mut stream);
            out.ends.push(out.text.len());
            assert_eq!(flow.is_break(), out.finish == Finish::StopString);
        }
        assert_eq!((out.text.as_str(), streamed.as_str()), (text, text));
        assert_eq!(out.ends, ends);
        assert_eq!(out.completion(PromptCost::default()).text_ids(), remembered);
    }

    #[test]
    fn what_is_kept_is_streamed_and_remembered() {
        check_said(&["(1)", "</a", ">"], "(1)</a>", &[3, 6, 7], Some(&[0, 1, 2]));
        // The stop string ends inside a token: no ids say this text.
        check_said(&["(1)", "</a", ">\n"], "(1)</a>", &[3, 6, 7], None);
        // A held-back piece belongs to the token that completes it.
        check_said(&["", "ü", "x"], "üx", &[0, 2, 3], Some(&[0, 1, 2]));
        // An id that says nothing at the end, such as the end of the turn.
        check_said(&["x", ""], "x", &[1, 1], Some(&[0]));
    }
}
