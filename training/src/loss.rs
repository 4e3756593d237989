//! Cross entropy against soft targets. Invariant: only positions with a [`Target`] count, and a target exists
//! only for a token of the policy.
//!
//! A coordinate is one token, and a neighbor of the right pixel is nearly right: its target is a bell curve
//! over the number tokens. The reported value is the divergence (cross entropy minus the target's own
//! entropy), so that 0 is perfect for soft and hard targets alike.

use candle_core::{DType, Result, Tensor};

/// What a supervised token is for; decides its weight and where it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// First mention of a coordinate in a turn.
    Number,
    /// A coordinate copied from earlier in the turn.
    CopiedNumber,
    /// A word about a widget, or a decision of what to do next.
    Word,
    /// Tags, brackets, end of turn.
    Syntax,
    /// Not a token of a conversation: a merged patch that shows a widget (see [`crate::patches`]).
    Patch,
    /// A merged patch that shows none.
    EmptyPatch,
    /// Not a token: where a head looks (see [`crate::gaze`]).
    Gaze,
}

/// The wanted distribution of one token.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Probabilities by token id; they sum to 1.
    pub distribution: Vec<(u32, f32)>,
    /// The token that stands in the text.
    pub truth: u32,
    /// How much the token counts.
    pub weight: f32,
    /// What it is for.
    pub kind: TokenKind,
}

/// One token's outcome, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Divergence from the target in nats, not weighted.
    pub divergence: f32,
    /// The likeliest token.
    pub argmax: u32,
    /// The token in the text.
    pub truth: u32,
    /// What it is for.
    pub kind: TokenKind,
    /// How much it counts.
    pub weight: f32,
}

/// A loss summed over tokens; divide gradients by the sum of weights of the whole step.
#[derive(Debug)]
pub struct Loss {
    /// A scalar whose gradient is the gradient of the weighted sum of divergences.
    ///
    /// Its value is meaningless: it is `sum(logits * g)` with the analytic gradient `g` held constant, which
    /// spares the backward pass every operation of a softmax.
    pub surrogate: Tensor,
    /// One entry per target, in order.
    pub outcomes: Vec<Outcome>,
}

impl Loss {
    /// Both losses added up.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn and(mut self, other: Self) -> Result<Self> {
        self.outcomes.extend(other.outcomes);
        Ok(Self { surrogate: (self.surrogate + other.surrogate)?, outcomes: self.outcomes })
    }
}

/// Computes loss and outcomes of `logits` against one target per row.
///
/// # Shapes
/// `logits`: (K, V) for K targets.
///
/// # Errors
/// Only if the tensor library fails.
///
/// # Panics
/// If the number of targets is not K (caller's bug).
pub fn soft_cross_entropy(logits: &Tensor, targets: &[Target]) -> Result<Loss> {
    let (k, v) = logits.dims2()?;
    assert_eq!(k, targets.len(), "one target per row of logits");
    let logits = &logits.to_dtype(DType::F32)?;
    // (K, V), turned in place from logits into weight * (softmax - target).
    let mut gradient = logits.flatten_all()?.to_vec1::<f32>()?;
    let outcomes =
        gradient.chunks_mut(v).zip(targets).map(|(row, target)| row_gradient(row, target)).collect();
    let gradient = Tensor::from_vec(gradient, (k, v), logits.device())?;
    Ok(Loss { surrogate: (logits * gradient)?.sum_all()?, outcomes })
}

fn row_gradient(row: &mut [f32], target: &Target) -> Outcome {
    let larger = |best: (usize, f32), x: (usize, f32)| if x.1 > best.1 { x } else { best };
    let (argmax, max) = row.iter().copied().enumerate().fold((0, f32::NEG_INFINITY), larger);
    // A patch has several right words; it is judged by the last of them against the wrong ones.
    let is_other_right = |id: usize| {
        target.kind == TokenKind::Patch
            && id != target.truth as usize
            && target.distribution.iter().any(|(right, _)| *right as usize == id)
    };
    let argmax = match is_other_right(argmax) {
        true => {
            let judged = row.iter().copied().enumerate().filter(|(id, _)| !is_other_right(*id));
            judged.fold((0, f32::NEG_INFINITY), larger).0
        }
        false => argmax,
    };
    let normalizer: f32 = row.iter().map(|x| (x - max).exp()).sum();
    let log_normalizer = max + normalizer.ln();
    let divergence: f32 = target
        .distribution
        .iter()
        .filter(|(_, p)| *p > 0.0)
        .map(|&(id, p)| p * (p.ln() - (row[id as usize] - log_normalizer)))
        .sum();
    for x in row.iter_mut() {
        *x = target.weight * (*x - log_normalizer).exp();
    }
    for &(id, p) in &target.distribution {
        row[id as usize] -= target.weight * p;
    }
    Outcome {
        divergence,
        argmax: argmax as u32,
        truth: target.truth,
        kind: target.kind,
        weight: target.weight,
    }
}

/// A bell curve over the numbers `0..numbers` around `truth`, cut off at three standard deviations; one-hot
/// if `sigma` is 0. Ids equal values in `id_of`.
pub fn bell(truth: u32, sigma: f64, numbers: u32, id_of: impl Fn(u32) -> u32) -> Vec<(u32, f32)> {
    if sigma <= 0.0 {
        return vec![(id_of(truth), 1.0)];
    }
    let reach = (3.0 * sigma).ceil() as u32;
    let values = truth.saturating_sub(reach)..=(truth + reach).min(numbers - 1);
    let height = |value: u32| (-0.5 * ((f64::from(value) - f64::from(truth)) / sigma).powi(2)).exp();
    let sum: f64 = values.clone().map(height).sum();
    values.map(|value| (id_of(value), (height(value) / sum) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn targets() -> Vec<Target> {
        let soft =
            Target { distribution: bell(2, 1.0, 6, |v| v), truth: 2, weight: 0.7, kind: TokenKind::Number };
        let hard = Target { distribution: vec![(5, 1.0)], truth: 5, weight: 0.2, kind: TokenKind::Word };
        vec![soft, hard]
    }

    const LOGITS: [f32; 12] = [0.3, -0.4, 1.1, 0.2, -2.0, 0.5, 0.0, 3.0, -1.0, 0.7, 0.1, -0.6];

    /// The definition, term by term.
    fn slow_loss(logits: &[f32]) -> f64 {
        let mut loss = 0.0;
        for (row, target) in logits.chunks(6).zip(targets()) {
            let normalizer = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            for (id, p) in target.distribution {
                let (p, logit) = (f64::from(p), f64::from(row[id as usize]));
                loss += f64::from(target.weight) * p * (p.ln() - (logit - normalizer));
            }
        }
        loss
    }

    #[test]
    fn value_and_gradient_are_those_of_the_definition() {
        let var = Var::from_slice(&LOGITS, (2, 6), &Device::Cpu).unwrap();
        let loss = soft_cross_entropy(var.as_tensor(), &targets()).unwrap();
        let sum: f64 = loss.outcomes.iter().map(|o| f64::from(o.divergence * o.weight)).sum();
        assert!((sum - slow_loss(&LOGITS)).abs() < 1e-5, "{sum} against {}", slow_loss(&LOGITS));
        let gradient = loss.surrogate.backward().unwrap();
        let gradient = gradient.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in 0..12 {
            let nudge = |by: f32| {
                let mut logits = LOGITS;
                logits[i] += by;
                slow_loss(&logits)
            };
            let numeric = (nudge(1e-2) - nudge(-1e-2)) / 2e-2;
            assert!(
                (f64::from(gradient[i]) - numeric).abs() < 1e-4,
                "{i}: {} against {numeric}",
                gradient[i]
            );
        }
    }

    #[test]
    fn outcomes_name_the_likeliest_token() {
        let logits = Tensor::from_slice(&LOGITS, (2, 6), &Device::Cpu).unwrap();
        let loss = soft_cross_entropy(&logits, &targets()).unwrap();
        assert_eq!(loss.outcomes.iter().map(|o| o.argmax).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_bell_sums_to_one_also_at_the_ends() {
        for (truth, sigma) in [(0, 2.0), (100, 0.5), (319, 9.0), (17, 0.0)] {
            let bell = bell(truth, sigma, 320, |v| v);
            assert!((bell.iter().map(|(_, p)| p).sum::<f32>() - 1.0).abs() < 1e-5);
            let best = bell.iter().copied().fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
            assert_eq!(best.0, truth);
        }
    }
}
