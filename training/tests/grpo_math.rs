//! Advantages, losses and gradients against torch (`reference/grpo_vectors.py`), on both ways to compute them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use candle_core::{Device, Tensor, Var};
use serde::Deserialize;
use vigorl_training::advantage::{Scale, advantages};
use vigorl_training::objective::{
    CutOff, Denominator, Drawn, Objective, ObjectiveConfig, logprobs, policy_loss, policy_loss_composed,
};

const VECTORS: &str = include_str!("fixtures/grpo.json");
const SIZE: usize = 7;

#[derive(Deserialize)]
struct Vectors {
    advantages: Vec<OfGroup>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct OfGroup {
    rewards: Vec<f64>,
    std: Vec<f64>,
    none: Vec<f64>,
}

#[derive(Deserialize)]
struct Settings {
    clip_low: f64,
    clip_high: f64,
    dual_clip: f64,
    kl: f64,
    kl_clamp: f64,
}

#[derive(Deserialize)]
struct Token {
    id: u32,
    old: Option<f32>,
    reference: Option<f32>,
    advantage: f32,
}

#[derive(Deserialize)]
struct Both<T> {
    global: T,
    micro_batch: T,
}

#[derive(Deserialize)]
struct Case {
    config: Settings,
    temperature: f64,
    n_micro_batches: usize,
    logits: Vec<f32>,
    tokens: Vec<Token>,
    policy: Vec<f64>,
    kl: Vec<f64>,
    entropy: Vec<f64>,
    clipped: Vec<bool>,
    dual_clipped: Vec<bool>,
    total: Both<f64>,
    gradients: Both<Vec<f64>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).unwrap()
}

impl Case {
    fn config(&self, denominator: Denominator) -> ObjectiveConfig {
        let Settings { clip_low, clip_high, dual_clip, kl, kl_clamp } = self.config;
        let (objective, token_limit) = (Objective::Grpo, CutOff::Mask);
        ObjectiveConfig { objective, clip_low, clip_high, dual_clip, kl, kl_clamp, denominator, token_limit }
    }

    fn drawn(&self, denominator: Denominator) -> Vec<Drawn> {
        let n = self.tokens.len();
        let size = |part: usize| (part..n).step_by(self.n_micro_batches).count() as f64;
        let token = |(at, token): (usize, &Token)| Drawn {
            id: token.id,
            old_logprob: token.old,
            reference_logprob: token.reference,
            advantage: token.advantage,
            weight: match denominator {
                Denominator::Global => 1.0 / n as f64,
                Denominator::MicroBatch => {
                    1.0 / (size(at % self.n_micro_batches) * self.n_micro_batches as f64)
                }
            } as f32,
        };
        self.tokens.iter().enumerate().map(token).collect()
    }
}

/// Largest difference, relative to the largest value.
fn relative_error(found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let error = found.iter().zip(wanted).fold(0.0_f64, |most, (a, b)| most.max((f64::from(*a) - b).abs()));
    error / largest.max(1e-12)
}

#[test]
fn advantages_are_those_of_torch() {
    for OfGroup { rewards, std, none } in vectors().advantages {
        for (scale, wanted) in [(Scale::Std, std), (Scale::None, none)] {
            let found = advantages(&rewards, scale).unwrap();
            let is_near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs()));
            assert!(is_near, "{rewards:?}, {scale:?}: {found:?}, not {wanted:?}");
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_torch() {
    for (number, case) in vectors().cases.iter().enumerate() {
        for denominator in [Denominator::Global, Denominator::MicroBatch] {
            let (total, gradient) = match denominator {
                Denominator::Global => (case.total.global, &case.gradients.global),
                Denominator::MicroBatch => (case.total.micro_batch, &case.gradients.micro_batch),
            };
            let (config, drawn) = (case.config(denominator), case.drawn(denominator));
            for compute in [policy_loss, policy_loss_composed] {
                let logits = Var::from_slice(&case.logits, (case.tokens.len(), SIZE), &Device::Cpu).unwrap();
                let loss = compute(logits.as_tensor(), &drawn, &config, case.temperature).unwrap();
                let of = |value: fn(&vigorl_training::objective::TokenOutcome) -> f32| {
                    loss.outcomes.iter().map(value).collect::<Vec<f32>>()
                };
                assert!(relative_error(&of(|o| o.loss), &case.policy) < 1e-5, "case {number}");
                assert!(relative_error(&of(|o| o.entropy), &case.entropy) < 1e-5, "case {number}");
                if config.kl > 0.0 {
                    assert!(relative_error(&of(|o| o.kl), &case.kl) < 1e-4, "case {number}");
                }
                let flags: Vec<_> = loss.outcomes.iter().map(|o| (o.is_clipped, o.is_dual_clipped)).collect();
                let wanted: Vec<_> =
                    case.clipped.iter().copied().zip(case.dual_clipped.iter().copied()).collect();
                assert_eq!(flags, wanted, "case {number}");
                let sum: f64 = loss
                    .outcomes
                    .iter()
                    .zip(&drawn)
                    .map(|(o, d)| f64::from(d.weight) * (f64::from(o.loss) + config.kl * f64::from(o.kl)))
                    .sum();
                assert!(
                    (sum - total).abs() < 1e-5 * (1.0 + total.abs()),
                    "case {number}: {sum}, not {total}"
                );
                let found = loss.surrogate.backward().unwrap();
                let found = found.get(&logits).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let error = relative_error(&found, gradient);
                assert!(error < 1e-4, "case {number}, {denominator:?}: relative error {error}");
            }
        }
    }
}

#[test]
fn filtered_tuning_is_the_likelihood_of_the_best() {
    let logits = Tensor::new(&[[0.5_f32, -1.0, 2.0], [0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let config = ObjectiveConfig {
        objective: Objective::BestOfGroup,
        ..vectors().cases[1].config(Denominator::Global)
    };
    let drawn = |id| Drawn {
        id,
        // A ratio far from 1 changes nothing.
        old_logprob: Some(-9.0),
        reference_logprob: None,
        advantage: 1.0,
        weight: 1.0,
    };
    let loss = policy_loss(&logits, &[drawn(2), drawn(0)], &config, 1.0).unwrap();
    let found = logprobs(&logits, &[2, 0], 1.0).unwrap();
    for (outcome, logprob) in loss.outcomes.iter().zip(found) {
        assert!((outcome.loss + logprob).abs() < 1e-6 && !outcome.is_clipped && !outcome.is_dual_clipped);
    }
    assert!((loss.outcomes[1].loss - 3.0_f32.ln()).abs() < 1e-6);
}
