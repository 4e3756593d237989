//! The decoding loop: sample, stream, stop.
//!
//! Invariant: the pieces that are streamed are the text: nothing behind a stop string, and nothing less.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::{Finish, Sampling, TokenStream};

use crate::error::LoadError;
use crate::model::{KvCache, Model, Probe};
use crate::sampling::sample;
use crate::tokenizer::{TextStream, Tokenizer};

/// What one decoding loop produced.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) text: String,
    /// Sampled ids, the end-of-turn token included.
    pub(crate) ids: Vec<u32>,
    pub(crate) logprobs: Vec<f32>,
    /// For each sampled id, where its text ends in `text`.
    pub(crate) ends: Vec<usize>,
    pub(crate) finish: Finish,
    /// Whether the text ends inside what the last token says.
    pub(crate) splits_token: bool,
}

impl Generated {
    fn new() -> Self {
        Self {
            text: String::new(),
            ids: vec![],
            logprobs: vec![],
            ends: vec![],
            finish: Finish::Length,
            splits_token: false,
        }
    }

    /// The ids that say exactly the text; none if there are no such ids. The end of a turn is not among them.
    pub(crate) fn ids_of_text(&self) -> Option<Vec<u32>> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let said = self.ids.iter().zip(starts).filter(|(_, start)| **start < self.text.len());
        (!self.splits_token).then(|| said.map(|(id, _)| *id).collect())
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

/// A conversation whose prompt is already in the cache.
pub(crate) struct Decoding<'a> {
    pub(crate) model: &'a Model,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) cache: &'a mut KvCache,
    /// Ids in the cache, for the repetition penalty; sampled ids are appended as they are fed.
    pub(crate) fed: &'a mut Vec<u32>,
    /// Position of the next token on all axes.
    pub(crate) next_position: u32,
    /// Tokens that fit into the context.
    pub(crate) context_limit: usize,
}

impl Decoding<'_> {
    /// Samples from `hidden` (1, 1, D) on until a turn ends.
    pub(crate) fn run(
        mut self,
        hidden: &Tensor,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Generated, LoadError> {
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        let mut out = Generated::new();
        let mut pieces = TextStream::default();
        let mut hidden = hidden.clone();
        while out.ids.len() < sampling.max_new_tokens && self.fed.len() < self.context_limit {
            let logits = self.model.logits(&hidden)?.flatten_all()?.to_dtype(candle_core::DType::F32)?;
            let sampled = sample(&logits.to_vec1::<f32>()?, self.fed, sampling, &mut rng)?;
            out.ids.push(sampled.id);
            out.logprobs.push(sampled.logprob);
            if sampled.id == self.tokenizer.end_of_turn || Some(sampled.id) == self.tokenizer.end_of_text {
                out.finish = Finish::EndOfTurn;
                break;
            }
            let piece = pieces.push(sampled.id, self.tokenizer)?;
            let flow = out.say(&piece, &sampling.stop, stream);
            out.ends.push(out.text.len());
            if flow.is_break() {
                break;
            }
            hidden = self.feed(sampled.id)?;
        }
        if out.finish != Finish::StopString {
            self.say_rest(&mut out, &mut pieces, sampling, stream)?;
        }
        // The end-of-turn token says nothing.
        out.ends.resize(out.ids.len(), out.text.len());
        Ok(out)
    }

    /// What was held back because a character is incomplete.
    fn say_rest(
        &self,
        out: &mut Generated,
        pieces: &mut TextStream,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<(), LoadError> {
        let rest = pieces.finish(self.tokenizer)?;
        if rest.is_empty() {
            return Ok(());
        }
        let finish = out.finish;
        // Nothing is left to break off, so only a stop string changes how the turn ended.
        if out.say(&rest, &sampling.stop, stream).is_continue() || out.finish == Finish::Cancelled {
            out.finish = finish;
        }
        if let Some(end) = out.ends.last_mut() {
            *end = out.text.len();
        }
        Ok(())
    }

    fn feed(&mut self, id: u32) -> Result<Tensor, LoadError> {
        let positions = [[self.next_position; 3]];
        let hidden = self.model.extend(&[id], &positions, None, self.cache, &mut Probe::default())?;
        self.fed.push(id);
        self.next_position += 1;
        Ok(hidden)
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
        assert_eq!(out.ids_of_text().as_deref(), remembered);
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
