//! One optimizer step: micro-batches by the workers, one sum, one clip, one move.
//!
//! Invariant: this is the only place where a step is put together; what feeds it (a run, a measurement) only
//! says what each micro-batch contributes.

use crate::error::TrainingError;
use crate::optim::{Optimizer, normalize_and_clip};
use crate::work::{Contribution, Seen, Trained};
use crate::workers::Workers;

/// What a step saw before it moved the weights.
#[derive(Debug)]
pub struct Stepped<S> {
    /// All micro-batches together; gradients are divided by the sum of weights, and clipped.
    pub sum: Contribution<S>,
    /// Weighted mean loss, per token.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Whether loss or gradient was no number, and the weights stayed as they were.
    pub is_skipped: bool,
}

/// Computes the contribution of each job on the workers, adds them up and moves the weights. `lr_share` scales the
/// learning rates; `weight_beside` is that of tokens that count and contribute nothing.
///
/// # Errors
/// Whatever `compute` says.
///
/// # Panics
/// If there are no jobs (caller's bug).
pub fn take_step<J: Sync, S: Seen>(
    trained: &Trained,
    optimizer: &mut Optimizer,
    workers: &Workers,
    lr_share: f64,
    jobs: &[J],
    weight_beside: f64,
    compute: impl Fn(&J) -> Result<Contribution<S>, TrainingError> + Sync,
) -> Result<Stepped<S>, TrainingError> {
    let mut sum: Option<Result<Contribution<S>, TrainingError>> = None;
    workers.each(jobs, compute, |part| {
        sum = Some(match sum.take() {
            None => part,
            Some(sum) => sum.and_then(|sum| sum.and(part?)),
        });
    });
    let Some(sum) = sum else { panic!("a step needs a job") };
    let mut sum = sum?;
    let weight = sum.weight + weight_beside;
    let loss = sum.loss / weight;
    let clip_norm = optimizer.config().clip_norm;
    let gradient_norm = normalize_and_clip(&mut sum.gradients, weight, clip_norm, workers)?;
    let is_skipped = !loss.is_finite() || !gradient_norm.is_finite();
    if !is_skipped {
        optimizer.step(&trained.moving, &sum.gradients, lr_share, workers)?;
    }
    Ok(Stepped { sum, loss, gradient_norm, is_skipped })
}
