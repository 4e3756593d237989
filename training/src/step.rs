//! One optimizer step: micro-batches by the workers, one sum, one clip, one move.
//!
//! Invariant: this is the only place where a step is put together; what feeds it (a run, a measurement) only
//! says what each micro-batch contributes.

use crate::error::TrainingError;
use crate::optim::{Optimizer, normalize_and_clip};
use crate::work::{Contribution, Trained, add_up};
use crate::workers::Workers;

/// What a step saw before it moved the weights.
#[derive(Debug)]
pub struct Stepped {
    /// All micro-batches together; gradients are divided by the sum of weights, and clipped.
    pub sum: Contribution,
    /// Weighted mean divergence, nats per token.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
}

/// Computes `n_micro_batches` contributions on the workers, adds them up and moves the weights. `lr_share` scales
/// the learning rates.
///
/// # Errors
/// Whatever `compute` says, or [`TrainingError::Diverged`], which leaves the weights as they were.
///
/// # Panics
/// If there are no micro-batches (caller's bug).
pub fn take_step(
    trained: &Trained,
    optimizer: &mut Optimizer,
    workers: &Workers,
    lr_share: f64,
    n_micro_batches: usize,
    compute: impl Fn(u64) -> Result<Contribution, TrainingError> + Sync,
) -> Result<Stepped, TrainingError> {
    let numbers: Vec<u64> = (0..n_micro_batches as u64).collect();
    let parts = workers.map(&numbers, |&number| compute(number));
    let mut sum = add_up(parts.into_iter().collect::<Result<_, _>>()?, workers)?;
    let loss = sum.tally.mean_loss();
    if !loss.is_finite() {
        return Err(TrainingError::Diverged { step: optimizer.n_steps(), loss });
    }
    let clip_norm = optimizer.config().clip_norm;
    let gradient_norm = normalize_and_clip(&mut sum.gradients, sum.tally.weight(), clip_norm, workers)?;
    optimizer.step(&trained.moving, &sum.gradients, lr_share, workers)?;
    Ok(Stepped { sum, loss, gradient_norm })
}
