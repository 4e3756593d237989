//! Rows of sampled conversations: what a group shares once, then what each sample said as a branch.
//!
//! Invariants: a token is learned if and only if it was sampled, and its id is the one that was sampled, because a row is
//! made of prompts as the engine made them, with the recorded ids behind. What was shown, forced or written by the
//! template has no place in [`Tree::tokens`].

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use image::RgbImage;
use vigorl_policy::{Conversation, Message};
use vigorl_qwen::mrope::next_position;
use vigorl_qwen::{Checkpoint, Grid, PackedBatch, Prompt};
use vigorl_rollouts::ActionSample;

use crate::error::TrainingError;

/// A sampled token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoken {
    /// Index in its row; its logits are those of the place that predicts it.
    pub index: usize,
    /// Index of the token before it, which predicts it: for the first token of a branch that is the last one of the prefix.
    pub from: usize,
    /// The token.
    pub id: u32,
    /// Its log-probability as the sampler found it, at temperature 1.
    pub logprob: f32,
    /// Which sample said it: the number that its action was given.
    pub sample: usize,
}

/// One row: a prefix and its branches.
#[derive(Debug, Clone)]
pub struct Tree {
    /// All tokens.
    pub ids: Vec<u32>,
    /// The position that each would have alone behind the prefix.
    pub positions: Vec<[u32; 3]>,
    /// 0 for the prefix, then 1 for the first branch, and so on.
    pub segments: Vec<u32>,
    /// The pictures in the order of their pads.
    pub images: Vec<(Arc<RgbImage>, Grid)>,
    /// What was sampled.
    pub tokens: Vec<Spoken>,
}

/// One conversation, from its first prompt to the last token that was sampled.
#[derive(Debug)]
struct Sequence {
    /// What the first prompt is: equal for all samples that were asked the same on the same screenshot.
    opening: Vec<u64>,
    whole: Prompt,
    /// Index in `whole`, id and log-probability.
    said: Vec<(usize, u32, f32)>,
    sample: usize,
}

/// Opens a picture of recorded rollouts by its name.
pub type OpenImage<'a> = &'a mut dyn FnMut(&str) -> Result<Arc<RgbImage>, TrainingError>;

/// Rows of at most `max_tokens` tokens, or of one branch, from actions and the samples that they are of.
///
/// # Errors
/// If a picture is missing, or the recorded conversation is not the one that this checkpoint would have been given.
pub fn trees<'s>(
    checkpoint: &Checkpoint,
    actions: impl IntoIterator<Item = (usize, &'s ActionSample)>,
    max_tokens: usize,
    open: OpenImage<'_>,
) -> Result<Vec<Tree>, TrainingError> {
    let mut rows: Vec<Tree> = Vec::new();
    let mut row_of: HashMap<Vec<u64>, usize> = HashMap::new();
    for (sample, action) in actions {
        for sequence in sequences(checkpoint, sample, action, open)? {
            let n_new = sequence.whole.ids.len() - sequence.opening.len();
            let room = |row: &&usize| rows[**row].ids.len() + n_new <= max_tokens;
            let row = row_of.get(&sequence.opening).filter(room).copied().unwrap_or_else(|| {
                rows.push(Tree::of_prefix(&sequence));
                row_of.insert(sequence.opening.clone(), rows.len() - 1);
                rows.len() - 1
            });
            rows[row].add(&sequence);
        }
    }
    Ok(rows)
}

/// The conversations of an action. It is one, unless what a later turn was shown does not continue what was sampled: then
/// each such turn begins a conversation of its own.
fn sequences(
    checkpoint: &Checkpoint,
    sample: usize,
    action: &ActionSample,
    open: OpenImage<'_>,
) -> Result<Vec<Sequence>, TrainingError> {
    let mut sequences: Vec<Sequence> = Vec::new();
    let mut messages: Vec<Message> = Vec::new();
    for turn in &action.turns {
        for message in &turn.messages {
            messages.push(message.message(open)?);
        }
        let conversation =
            Conversation { messages: messages.clone(), forced_prefix: turn.forced_prefix.clone() };
        let prompt = checkpoint.prompt(&conversation).map_err(|e| TrainingError::Row(e.to_string()))?;
        if prompt.ids.len() != turn.n_prompt_tokens {
            return Err(TrainingError::Row(format!(
                "a recorded turn was asked in {} tokens, this checkpoint asks it in {}: it is of another policy, or was \
                 sampled with another pixel budget",
                turn.n_prompt_tokens,
                prompt.ids.len()
            )));
        }
        let continues = sequences.last().is_some_and(|known| prompt.keys().starts_with(&known.whole.keys()));
        if !continues {
            sequences.push(Sequence {
                opening: prompt.keys(),
                whole: prompt.clone(),
                said: Vec::new(),
                sample,
            });
        }
        let Some(sequence) = sequences.last_mut() else { unreachable!("one was just begun") };
        sequence.whole = prompt;
        let whole = &mut sequence.whole;
        for (&id, &logprob) in turn.ids.iter().zip(&turn.logprobs) {
            sequence.said.push((whole.ids.len(), id, logprob));
            let position = next_position(&whole.positions);
            whole.ids.push(id);
            whole.positions.push([position; 3]);
        }
    }
    Ok(sequences)
}

impl Tree {
    fn of_prefix(sequence: &Sequence) -> Self {
        let n = sequence.opening.len();
        let Prompt { ids, positions, images } = &sequence.whole;
        let images = images.iter().filter(|image| image.start < n);
        Self {
            ids: ids[..n].to_vec(),
            positions: positions[..n].to_vec(),
            segments: vec![0; n],
            images: images.map(|image| (Arc::clone(&image.pixels), image.grid)).collect(),
            tokens: Vec::new(),
        }
    }

    fn add(&mut self, sequence: &Sequence) {
        let (n_prefix, start) = (sequence.opening.len(), self.ids.len());
        let Prompt { ids, positions, images } = &sequence.whole;
        let moved = |index: usize| if index < n_prefix { index } else { index - n_prefix + start };
        let segment = self.segments.last().map_or(1, |last| last + 1);
        self.segments.extend(std::iter::repeat_n(segment, ids.len() - n_prefix));
        self.ids.extend(&ids[n_prefix..]);
        self.positions.extend(&positions[n_prefix..]);
        let new = images.iter().filter(|image| image.start >= n_prefix);
        self.images.extend(new.map(|image| (Arc::clone(&image.pixels), image.grid)));
        self.tokens.extend(sequence.said.iter().map(|&(index, id, logprob)| Spoken {
            index: moved(index),
            from: moved(index - 1),
            id,
            logprob,
            sample: sequence.sample,
        }));
    }
}

/// Splits rows, longest first, into micro-batches of at most `max_tokens` with padding; a row that is longer is alone.
pub fn micro_batches(mut rows: Vec<Tree>, max_tokens: usize) -> Vec<Vec<Tree>> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
    let mut batches: Vec<Vec<Tree>> = Vec::new();
    for row in rows {
        match batches.last_mut().filter(|batch| batch[0].ids.len() * (batch.len() + 1) <= max_tokens) {
            Some(batch) => batch.push(row),
            None => batches.push(vec![row]),
        }
    }
    batches
}

/// The (row, index) places whose logits predict the sampled tokens, in the order of rows and of their tokens.
pub fn places(rows: &[Tree]) -> Vec<(usize, usize)> {
    let of_row =
        |(row, tree): (usize, &Tree)| tree.tokens.iter().map(move |t| (row, t.from)).collect::<Vec<_>>();
    rows.iter().enumerate().flat_map(of_row).collect()
}

/// What the model takes for some rows.
///
/// # Errors
/// If the processor refuses a picture that it took when it was sampled.
pub fn pack(checkpoint: &Checkpoint, rows: &[Tree]) -> Result<PackedBatch, TrainingError> {
    let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let padded = |row: &Tree| longest - row.ids.len();
    let mut patches = Vec::new();
    let mut grids = Vec::new();
    for (pixels, grid) in rows.iter().flat_map(|row| &row.images) {
        let of_image = checkpoint.processor.patches(pixels).map_err(|e| TrainingError::Row(e.to_string()))?;
        patches.extend(of_image.values);
        grids.push(*grid);
    }
    let width = checkpoint.config.vision.patch_values();
    let n_patches = patches.len() / width;
    let with = |row: &Tree| (row.ids.clone(), row.positions.clone(), row.segments.clone(), padded(row));
    let (mut ids, mut positions, mut segments) = (Vec::new(), Vec::new(), Vec::new());
    for (mut of_ids, mut of_positions, mut of_segments, n) in rows.iter().map(with) {
        of_ids.extend(std::iter::repeat_n(0, n));
        of_positions.extend(std::iter::repeat_n([0; 3], n));
        of_segments.extend(std::iter::repeat_n(u32::MAX, n));
        ids.push(of_ids);
        positions.push(of_positions);
        segments.push(of_segments);
    }
    let patches = Tensor::from_vec(patches, (n_patches, width), &Device::Cpu)?;
    Ok(PackedBatch { ids, positions, segments, patches, grids })
}
