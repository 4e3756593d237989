//! From logits to the next token. Invariant: the reported log-probability is that of the raw distribution,
//! before penalty, temperature and nucleus, as a trainer needs it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::Sampling;

/// A sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    /// In nats, under the raw logits.
    pub(crate) logprob: f32,
}

/// Chooses a token; `seen` are the ids that the repetition penalty applies to.
pub(crate) fn sample(logits: &[f32], seen: &[u32], sampling: &Sampling, rng: &mut ChaCha8Rng) -> Sampled {
    let id = choose(logits, seen, sampling, rng);
    Sampled { id: id as u32, logprob: logits[id] - log_sum_exp(logits) }
}

fn choose(logits: &[f32], seen: &[u32], sampling: &Sampling, rng: &mut ChaCha8Rng) -> usize {
    let mut scores = logits.to_vec();
    if sampling.repetition_penalty != 1.0 {
        penalize(&mut scores, seen, sampling.repetition_penalty);
    }
    if sampling.temperature <= 0.0 {
        return argmax(&scores);
    }
    let temperature = sampling.temperature as f32;
    scores.iter_mut().for_each(|s| *s /= temperature);
    let norm = log_sum_exp(&scores);
    let mut candidates: Vec<(usize, f32)> =
        scores.iter().enumerate().map(|(id, s)| (id, (s - norm).exp())).collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let kept = nucleus_size(&candidates, sampling.top_p);
    let mass: f32 = candidates[..kept].iter().map(|c| c.1).sum();
    let mut rest = rng.random::<f32>() * mass;
    for &(id, p) in &candidates[..kept] {
        rest -= p;
        if rest <= 0.0 {
            return id;
        }
    }
    // Rounding may leave a sliver of mass behind the last candidate.
    candidates[kept - 1].0
}

/// How many of the most probable candidates reach mass `top_p`; at least one.
fn nucleus_size(candidates: &[(usize, f32)], top_p: f64) -> usize {
    let mut mass = 0.0;
    for (n, (_, p)) in candidates.iter().enumerate() {
        mass += f64::from(*p);
        if mass >= top_p {
            return n + 1;
        }
    }
    candidates.len()
}

/// Divides positive and multiplies negative logits of seen tokens (as in CTRL and transformers), once each.
fn penalize(scores: &mut [f32], seen: &[u32], penalty: f32) {
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    for &&id in &distinct {
        let score = &mut scores[id as usize];
        *score = if *score > 0.0 { *score / penalty } else { *score * penalty };
    }
}

/// The first of the largest values; a row of NaN gives 0.
fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (id, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = id;
        }
    }
    best
}

fn log_sum_exp(scores: &[f32]) -> f32 {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + scores.iter().map(|s| (s - max).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn sampling(temperature: f64, top_p: f64) -> Sampling {
        Sampling { temperature, top_p, repetition_penalty: 1.0, max_new_tokens: 1, stop: vec![], seed: 0 }
    }

    #[test]
    fn temperature_zero_takes_the_largest_logit() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let sampled = sample(&[0.0, 3.0, 1.0], &[], &sampling(0.0, 1.0), &mut rng);
        assert_eq!(sampled.id, 1);
        let expected = 3.0 - (1.0_f32 + 3.0_f32.exp() + 1.0_f32.exp()).ln();
        assert!((sampled.logprob - expected).abs() < 1e-5);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let logits = [0.0_f32, 4.0_f32.ln(), f32::NEG_INFINITY];
        let draws = 20_000;
        let ones = (0..draws).filter(|_| sample(&logits, &[], &sampling(1.0, 1.0), &mut rng).id == 1).count();
        assert!((ones as f64 / f64::from(draws) - 0.8).abs() < 0.01, "{ones}");
    }

    #[test]
    fn nucleus_drops_the_tail() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let logits = [2.0_f32, 1.9, -3.0, -3.0];
        for _ in 0..2000 {
            assert!(sample(&logits, &[], &sampling(1.0, 0.9), &mut rng).id < 2);
        }
    }

    #[test]
    fn penalty_makes_seen_tokens_less_likely() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut greedy = sampling(0.0, 1.0);
        greedy.repetition_penalty = 1.5;
        assert_eq!(sample(&[1.0, 1.2], &[1, 1], &greedy, &mut rng).id, 0);
        assert_eq!(sample(&[-1.2, -1.0], &[1], &greedy, &mut rng).id, 0);
    }
}
