//! What a sampled token contributes to the loss of learning by reward. Source: GRPO (arXiv 2402.03300, equation 3) with the
//! clip of two widths of DAPO (arXiv 2503.14476, equation 10), the dual clip of arXiv 1912.09729 (equation 9) and the KL
//! estimator "k3" (arXiv 2402.03300, equation 4; <http://joschu.net/blog/kl-approx.html>).
//!
//! Invariant: only sampled tokens have a row here, so nothing else has a gradient.
//!
//! With `r = exp(logprob - old)` and advantage `A`, a token's loss is
//!
//! ```text
//! max(-A r, -A clamp(r, 1 - low, 1 + high)), at most -A dual if A < 0,   + kl * (exp(d) - d - 1),   d = reference - logprob
//! ```

use candle_core::{D, DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What is learned from the samples of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Every sample, by its advantage.
    Grpo,
    /// The best samples of groups whose rewards differ, as if they were written by a teacher (filtered SFT).
    BestOfGroup,
}

/// How tokens count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// What is learned.
    pub objective: Objective,
    /// How far the ratio may fall below 1.
    pub clip_low: f64,
    /// How far the ratio may rise above 1.
    pub clip_high: f64,
    /// Largest loss of a token with a negative advantage, in advantages; 0 is no limit.
    pub dual_clip: f64,
    /// Weight of the distance to the reference, which is the model that the run began with; 0 computes none.
    pub kl: f64,
    /// Bound of a token's distance.
    pub kl_clamp: f64,
    /// What the sum over tokens is divided by.
    pub denominator: Denominator,
    /// What is made of samples that were cut off by the limit of tokens.
    pub token_limit: CutOff,
}

/// What the sum over tokens is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denominator {
    /// The number of tokens of the update: one micro-batch of eight rows is eight of one.
    Global,
    /// The number of tokens of each micro-batch, and then the number of micro-batches, as the reference does.
    MicroBatch,
}

/// What is made of samples that were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOff {
    /// Their rewards count in their groups, their tokens teach nothing.
    Mask,
    /// They are like all others.
    Learn,
}

/// A token that was sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// The token.
    pub id: u32,
    /// Its log-probability when it was sampled, or rather before this update; none in the first update of a batch, in which
    /// that is the value itself and the ratio is 1.
    pub old_logprob: Option<f32>,
    /// Its log-probability under the reference.
    pub reference_logprob: Option<f32>,
    /// Of its sample.
    pub advantage: f32,
    /// Multiplies everything that it contributes.
    pub weight: f32,
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenOutcome {
    /// Natural logarithm of its probability, at the sampling temperature.
    pub logprob: f32,
    /// Entropy of the distribution it was drawn from, nats.
    pub entropy: f32,
    /// Probability over the one before the update.
    pub ratio: f32,
    /// What it contributes, without its weight and without the KL term.
    pub loss: f32,
    /// Estimated distance to the reference, clamped, nats; 0 without a reference.
    pub kl: f32,
    /// Whether the clip holds it: it has no gradient but that of the KL term.
    pub is_clipped: bool,
    /// Whether the dual clip does.
    pub is_dual_clipped: bool,
}

/// A loss summed over tokens.
#[derive(Debug)]
pub struct PolicyLoss {
    /// A scalar whose gradient is that of the weighted sum of losses; its value is meaningless (see [`crate::loss::Loss`]).
    pub surrogate: Tensor,
    /// One entry per token, in order.
    pub outcomes: Vec<TokenOutcome>,
}

impl ObjectiveConfig {
    /// Loss and slope of a token in its log-probability.
    fn token(&self, drawn: &Drawn, logprob: f64, entropy: f64) -> (TokenOutcome, f64) {
        let old = drawn.old_logprob.map_or(logprob, f64::from);
        let a = f64::from(drawn.advantage);
        let log_ratio = logprob - old;
        let ratio = log_ratio.exp();
        let (mut loss, mut slope, mut is_clipped, mut is_dual_clipped) = match self.objective {
            // The ratio plays no part: a teacher's words are as likely as the pupil finds them.
            Objective::BestOfGroup => (-a * logprob, -a, false, false),
            Objective::Grpo => {
                let held = log_ratio.clamp((1.0 - self.clip_low).ln(), (1.0 + self.clip_high).ln());
                let (free, clipped) = (-a * ratio, -a * held.exp());
                if clipped > free { (clipped, 0.0, true, false) } else { (free, -a * ratio, false, false) }
            }
        };
        if self.objective == Objective::Grpo && self.dual_clip > 0.0 && a < 0.0 && loss > -a * self.dual_clip
        {
            (loss, slope, is_clipped, is_dual_clipped) = (-a * self.dual_clip, 0.0, false, true);
        }
        let mut kl = 0.0;
        if let Some(reference) = drawn.reference_logprob {
            let distance = f64::from(reference) - logprob;
            let estimate = distance.exp() - distance - 1.0;
            kl = estimate.clamp(-self.kl_clamp, self.kl_clamp);
            if kl == estimate {
                slope += self.kl * (1.0 - distance.exp());
            }
        }
        let outcome = TokenOutcome {
            logprob: logprob as f32,
            entropy: entropy as f32,
            ratio: ratio as f32,
            loss: loss as f32,
            kl: kl as f32,
            is_clipped,
            is_dual_clipped,
        };
        (outcome, slope * f64::from(drawn.weight))
    }
}

/// Computes loss and outcomes of `logits` against one sampled token per row; logits are divided by `temperature` first.
///
/// # Shapes
/// `logits`: (K, V) for K tokens.
///
/// # Errors
/// Only if the tensor library fails.
///
/// # Panics
/// If the number of tokens is not K (caller's bug).
pub fn policy_loss(
    logits: &Tensor,
    drawn: &[Drawn],
    config: &ObjectiveConfig,
    temperature: f64,
) -> Result<PolicyLoss> {
    let (k, v) = logits.dims2()?;
    assert_eq!(k, drawn.len(), "one token per row of logits");
    if !logits.device().is_cpu() || logits.dtype() != DType::F32 {
        return policy_loss_composed(logits, drawn, config, temperature);
    }
    // (K, V), turned in place from logits into the analytic gradient.
    let mut gradient = logits.flatten_all()?.to_vec1::<f32>()?;
    let outcomes = gradient
        .chunks_mut(v)
        .zip(drawn)
        .map(|(row, drawn)| {
            let (logprob, entropy) = probabilities(row, drawn.id, temperature);
            let (outcome, slope) = config.token(drawn, logprob, entropy);
            let slope = slope / temperature;
            row.iter_mut().for_each(|p| *p = (-slope * f64::from(*p)) as f32);
            row[drawn.id as usize] += slope as f32;
            outcome
        })
        .collect();
    let gradient = Tensor::from_vec(gradient, (k, v), logits.device())?;
    Ok(PolicyLoss { surrogate: (logits * gradient)?.sum_all()?, outcomes })
}

/// Log-probabilities and entropies of sampled tokens, without a gradient.
///
/// # Shapes
/// `logits`: (K, V) for K tokens.
///
/// # Errors
/// Only if the tensor library fails.
pub fn logprobs(logits: &Tensor, ids: &[u32], temperature: f64) -> Result<Vec<f32>> {
    let (_, v) = logits.dims2()?;
    if !logits.device().is_cpu() {
        return gathered(logits, ids, temperature)?.0.to_vec1();
    }
    let mut values = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let rows = values.chunks_mut(v).zip(ids);
    Ok(rows.map(|(row, &id)| probabilities(row, id, temperature).0 as f32).collect())
}

/// Turns logits into probabilities in place; the log-probability of `id`, and the entropy.
fn probabilities(row: &mut [f32], id: u32, temperature: f64) -> (f64, f64) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scaled = |x: f32| f64::from(x - max) / temperature;
    let normalizer: f64 = row.iter().map(|&x| scaled(x).exp()).sum();
    let log_normalizer = normalizer.ln();
    let logprob = scaled(row[id as usize]) - log_normalizer;
    let mut entropy = 0.0;
    for x in row {
        let logprob = scaled(*x) - log_normalizer;
        let p = logprob.exp();
        // What has no probability has no part in the entropy.
        entropy -= if p > 0.0 { p * logprob } else { 0.0 };
        *x = p as f32;
    }
    (logprob, entropy)
}

/// The same as [`policy_loss`] by the tensor library's own operations, for cards and for other numbers than f32.
///
/// # Errors
/// Only if the tensor library fails.
pub fn policy_loss_composed(
    logits: &Tensor,
    drawn: &[Drawn],
    config: &ObjectiveConfig,
    temperature: f64,
) -> Result<PolicyLoss> {
    let ids: Vec<u32> = drawn.iter().map(|drawn| drawn.id).collect();
    let (logprob, entropy) = gathered(logits, &ids, temperature)?;
    let (values, entropies) = (logprob.to_vec1::<f32>()?, entropy.to_vec1::<f32>()?);
    let (outcomes, slopes): (Vec<_>, Vec<_>) = drawn
        .iter()
        .zip(values.iter().zip(&entropies))
        .map(|(drawn, (&logprob, &entropy))| {
            let (outcome, slope) = config.token(drawn, logprob.into(), entropy.into());
            (outcome, slope as f32)
        })
        .unzip();
    let slopes = Tensor::from_vec(slopes, drawn.len(), logits.device())?;
    Ok(PolicyLoss { surrogate: (logprob * slopes)?.sum_all()?, outcomes })
}

/// (K) log-probabilities, differentiable, and (K) entropies.
fn gathered(logits: &Tensor, ids: &[u32], temperature: f64) -> Result<(Tensor, Tensor)> {
    let all = candle_nn::ops::log_softmax(&(logits.to_dtype(DType::F32)? / temperature)?, D::Minus1)?;
    let entropy = (all.detach().exp()? * all.detach())?.sum(D::Minus1)?.neg()?;
    let ids = Tensor::new(ids, logits.device())?.unsqueeze(1)?;
    Ok((all.gather(&ids, 1)?.squeeze(1)?, entropy))
}
