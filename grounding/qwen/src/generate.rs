//! The decoding loop: sample, stream, stop.

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
        let mut out = Generated {
            text: String::new(),
            ids: vec![],
            logprobs: vec![],
            ends: vec![],
            finish: Finish::Length,
        };
        let mut pieces = TextStream::default();
        let mut hidden = hidden.clone();
        while out.ids.len() < sampling.max_new_tokens && self.fed.len() < self.context_limit {
            let logits = self.model.logits(&hidden)?.flatten_all()?.to_dtype(candle_core::DType::F32)?;
            let sampled = sample(&logits.to_vec1::<f32>()?, self.fed, sampling, &mut rng)?;
            out.ids.push(sampled.id);
            out.logprobs.push(sampled.logprob);
            if sampled.id == self.tokenizer.end_of_turn || Some(sampled.id) == self.tokenizer.end_of_text {
                out.ends.push(out.text.len());
                out.finish = Finish::EndOfTurn;
                break;
            }
            let piece = pieces.push(sampled.id, self.tokenizer)?;
            out.text.push_str(&piece);
            out.ends.push(out.text.len());
            let cancelled = stream(&piece) == ControlFlow::Break(());
            if let Some(end) = end_of_stop(&out.text, piece.len(), &sampling.stop) {
                out.text.truncate(end);
                out.ends.iter_mut().for_each(|e| *e = (*e).min(end));
                out.finish = Finish::StopString;
                return Ok(out);
            }
            if cancelled {
                out.finish = Finish::Cancelled;
                break;
            }
            hidden = self.feed(sampled.id)?;
        }
        out.text.push_str(&pieces.finish(self.tokenizer)?);
        Ok(out)
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
}
