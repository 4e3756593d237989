//! The decoding loop: sample, stream, stop, for one completion or several of one prompt.
//!
//! Invariant: the pieces that are streamed are the text: nothing behind a stop string, and nothing less.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::{Finish, Sampling, TokenStream};

use crate::error::LoadError;
use crate::kv_cache::Branches;
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
    /// How many of the ids were fed.
    pub(crate) n_fed: usize,
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
            n_fed: 0,
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
    /// Ids in the cache, for the repetition penalty.
    pub(crate) prompt: &'a [u32],
    /// Position of the next token on all axes.
    pub(crate) next_position: u32,
    /// Tokens that fit into the context.
    pub(crate) context_limit: usize,
}

/// One completion in the making.
struct Branch<'a> {
    sampling: &'a Sampling,
    rng: ChaCha8Rng,
    /// The prompt, and every sampled id that was fed.
    fed: Vec<u32>,
    pieces: TextStream,
    out: Generated,
}

impl Decoding<'_> {
    /// Samples one completion per entry of `samplings` behind the prompt, whose last hidden state (1, 1, D) is
    /// `hidden`. One alone stays in the cache; several grow side by side, each weight read once for all of them,
    /// and leave the prompt in the cache. `stream` gets the index of a completion and its new text.
    pub(crate) fn run(
        mut self,
        hidden: &Tensor,
        samplings: &[Sampling],
        stream: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>, LoadError> {
        let mut branches: Vec<Branch<'_>> = samplings.iter().map(|s| Branch::new(s, self.prompt)).collect();
        let room = samplings.iter().map(|sampling| sampling.max_new_tokens).max().unwrap_or(0);
        let mut side_by_side = Branches::new(self.prompt.len(), branches.len(), room.min(self.room()));
        let mut growing: Vec<usize> = (0..branches.len()).collect();
        let mut logits = self.logits(hidden)?.repeat((branches.len(), 1))?;
        loop {
            let mut next = Vec::new();
            for (row, branch_idx) in logits.to_vec2::<f32>()?.iter().zip(growing) {
                let branch = &mut branches[branch_idx];
                if branch.is_full(self.context_limit) {
                    continue;
                }
                let mut stream = |piece: &str| stream(branch_idx, piece);
                if let Some(id) = branch.push(row, self.tokenizer, &mut stream)? {
                    next.push((branch_idx, id));
                }
            }
            if next.is_empty() {
                break;
            }
            let ids: Vec<u32>;
            (growing, ids) = next.into_iter().unzip();
            let hidden = match branches.len() {
                1 => self.feed(ids[0])?,
                _ => self.feed_branches(&ids, &growing, &mut side_by_side)?,
            };
            logits = self.logits(&hidden)?;
        }
        let finish = |(branch_idx, branch): (usize, Branch<'_>)| {
            branch.finish(self.tokenizer, &mut |piece: &str| stream(branch_idx, piece))
        };
        branches.into_iter().enumerate().map(finish).collect()
    }

    /// Tokens that fit behind the prompt.
    fn room(&self) -> usize {
        self.context_limit.saturating_sub(self.prompt.len())
    }

    /// (1, T, D) → (T, V).
    fn logits(&self, hidden: &Tensor) -> Result<Tensor, LoadError> {
        Ok(self.model.logits(hidden)?.squeeze(0)?.to_dtype(candle_core::DType::F32)?)
    }

    fn feed(&mut self, id: u32) -> Result<Tensor, LoadError> {
        let positions = [[self.next_position; 3]];
        self.next_position += 1;
        Ok(self.model.extend(&[id], &positions, None, self.cache, &mut Probe::default())?)
    }

    fn feed_branches(
        &mut self,
        ids: &[u32],
        growing: &[usize],
        branches: &mut Branches,
    ) -> Result<Tensor, LoadError> {
        let position = |&branch: &usize| [self.next_position + branches.len(branch) as u32; 3];
        let positions: Vec<[u32; 3]> = growing.iter().map(position).collect();
        Ok(self.model.extend_branches(ids, &positions, growing, branches, self.cache)?)
    }
}

impl<'a> Branch<'a> {
    fn new(sampling: &'a Sampling, prompt: &[u32]) -> Self {
        Self {
            sampling,
            rng: ChaCha8Rng::seed_from_u64(sampling.seed),
            fed: prompt.to_vec(),
            pieces: TextStream::default(),
            out: Generated::new(),
        }
    }

    fn is_full(&self, context_limit: usize) -> bool {
        self.out.ids.len() >= self.sampling.max_new_tokens || self.fed.len() >= context_limit
    }

    /// Samples a token. The id to feed next, or none if the completion ends with it.
    fn push(
        &mut self,
        logits: &[f32],
        tokenizer: &Tokenizer,
        stream: &mut TokenStream<'_>,
    ) -> Result<Option<u32>, LoadError> {
        let out = &mut self.out;
        let sampled = sample(logits, &self.fed, self.sampling, &mut self.rng)?;
        out.ids.push(sampled.id);
        out.logprobs.push(sampled.logprob);
        if sampled.id == tokenizer.end_of_turn || Some(sampled.id) == tokenizer.end_of_text {
            out.finish = Finish::EndOfTurn;
            return Ok(None);
        }
        let piece = self.pieces.push(sampled.id, tokenizer)?;
        let flow = out.say(&piece, &self.sampling.stop, stream);
        out.ends.push(out.text.len());
        if flow.is_break() {
            return Ok(None);
        }
        self.fed.push(sampled.id);
        out.n_fed += 1;
        Ok(Some(sampled.id))
    }

    /// Says what was held back because a character is incomplete.
    fn finish(mut self, tokenizer: &Tokenizer, stream: &mut TokenStream<'_>) -> Result<Generated, LoadError> {
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
