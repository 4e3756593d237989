//! From logits to the next token. Invariant: the reported log-probability is that of the raw distribution,
//! before penalty, temperature and nucleus, as a trainer needs it; and a seed draws the same tokens for ever.
//!
//! candle-transformers has a sampler, too. It tells no log-probabilities, and it draws from a generator whose numbers
//! may change with its version. The tests hold both samplers to the same choices and the same distribution.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::Sampling;

use crate::error::EngineError;

/// Candidates that are sorted at first, and where these do not suffice: a policy is seldom in doubt between many.
const HEADS: [usize; 2] = [32, 512];

/// A sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    /// In nats, under the raw logits.
    pub(crate) logprob: f32,
}

/// Chooses a token; `seen` are the ids that the repetition penalty applies to.
///
/// # Errors
/// [`EngineError::NotNumbers`]: with such logits any token would be as good as any other.
pub(crate) fn sample(
    logits: &[f32],
    seen: &[u32],
    sampling: &Sampling,
    rng: &mut ChaCha8Rng,
) -> Result<Sampled, EngineError> {
    sample_among(logits, logits, seen, sampling, rng)
}

/// Chooses a token as [`sample`] does, but by `allowed`: the logits with those of refused tokens at negative
/// infinity.
///
/// # Errors
/// As [`sample`], and [`EngineError::NoTokenAllowed`] if all are refused.
pub(crate) fn sample_among(
    allowed: &[f32],
    logits: &[f32],
    seen: &[u32],
    sampling: &Sampling,
    rng: &mut ChaCha8Rng,
) -> Result<Sampled, EngineError> {
    let norm = log_sum_exp(logits);
    // NaN and positive infinity spread into the sum; it is negative infinity if all are.
    if !norm.is_finite() {
        return Err(EngineError::NotNumbers);
    }
    let id = choose(allowed, seen, sampling, rng);
    match allowed[id] {
        f32::NEG_INFINITY => Err(EngineError::NoTokenAllowed),
        _ => Ok(Sampled { id: id as u32, logprob: logits[id] - norm }),
    }
}

fn choose(logits: &[f32], seen: &[u32], sampling: &Sampling, rng: &mut ChaCha8Rng) -> usize {
    let mut scores = logits.to_vec();
    if sampling.repetition_penalty != 1.0 {
        penalize(&mut scores, seen, sampling.repetition_penalty);
    }
    let best = argmax(&scores);
    if sampling.temperature <= 0.0 {
        return best;
    }
    // Differences to the largest: however small the temperature, nothing overflows but towards probability 0.
    let weight = |score: f32| (f64::from(score - scores[best]) / sampling.temperature).exp();
    let mut candidates: Vec<(usize, f64)> = scores.iter().map(|s| weight(*s)).enumerate().collect();
    let by_weight = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let (mass, place) = (candidates.iter().map(|c| c.1).sum::<f64>(), rng.random::<f64>());
    if sampling.top_p >= 1.0 {
        // Any order will do.
        return drawn(&candidates, place).unwrap_or(best);
    }
    // Of a large vocabulary hardly more than these can be drawn, and sorting all takes longer than a small model.
    let n_candidates = candidates.len();
    for n_head in HEADS.into_iter().filter(|n_head| n_candidates > *n_head) {
        let (head, _, _) = candidates.select_nth_unstable_by(n_head, by_weight);
        head.sort_unstable_by(by_weight);
        let head_mass: f64 = head.iter().map(|c| c.1).sum();
        if sampling.top_p * mass <= head_mass {
            let nucleus = &head[..nucleus_size(head, sampling.top_p * mass)];
            return drawn(nucleus, place).unwrap_or(best);
        }
    }
    candidates.sort_unstable_by(by_weight);
    candidates.truncate(nucleus_size(&candidates, sampling.top_p * mass));
    drawn(&candidates, place).unwrap_or(best)
}

/// The candidate in whose share of the mass `place` in 0..1 lies; none if it lies in the sliver that rounding may leave
/// behind the last one. Weights need not sum to 1.
fn drawn(candidates: &[(usize, f64)], place: f64) -> Option<usize> {
    let mass: f64 = candidates.iter().map(|c| c.1).sum();
    let mut rest = place * mass;
    for &(id, weight) in candidates {
        rest -= weight;
        if rest <= 0.0 && weight > 0.0 {
            return Some(id);
        }
    }
    None
}

/// How many of the most probable candidates reach a mass of `enough`; at least one.
fn nucleus_size(candidates: &[(usize, f64)], enough: f64) -> usize {
    let mut mass = 0.0;
    for (n, (_, weight)) in candidates.iter().enumerate() {
        mass += weight;
        if mass >= enough {
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

/// The first of the largest values.
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
    use candle_core::{Device, Tensor};
    use candle_transformers::generation::LogitsProcessor;
    use candle_transformers::utils::apply_repeat_penalty;
    use rand::SeedableRng;

    use super::*;

    fn sampling(temperature: f64, top_p: f64) -> Sampling {
        Sampling { temperature, top_p, ..Sampling::greedy(1) }
    }

    #[test]
    fn temperature_zero_takes_the_largest_logit() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let sampled = sample(&[0.0, 3.0, 1.0], &[], &sampling(0.0, 1.0), &mut rng).unwrap();
        assert_eq!(sampled.id, 1);
        let expected = 3.0 - (1.0_f32 + 3.0_f32.exp() + 1.0_f32.exp()).ln();
        assert!((sampled.logprob - expected).abs() < 1e-5);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let logits = [0.0_f32, 4.0_f32.ln(), f32::NEG_INFINITY];
        let draws = 20_000;
        let mut draw = || sample(&logits, &[], &sampling(1.0, 1.0), &mut rng).unwrap().id;
        let ones = (0..draws).filter(|_| draw() == 1).count();
        assert!((ones as f64 / f64::from(draws) - 0.8).abs() < 0.01, "{ones}");
    }

    #[test]
    fn nucleus_drops_the_tail() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let logits = [2.0_f32, 1.9, -3.0, -3.0];
        for _ in 0..2000 {
            assert!(sample(&logits, &[], &sampling(1.0, 0.9), &mut rng).unwrap().id < 2);
        }
    }

    #[test]
    fn of_a_large_vocabulary_the_same_tokens_are_drawn_as_of_all_in_order() {
        let logits: Vec<f32> = (0..5000).map(|i| ((i * 7919 % 5000) as f32 / 500.0).sin() * 3.0).collect();
        for (seed, (temperature, top_p)) in
            (0..).zip([(1.0, 1.0), (1.0, 0.9), (1.0, 0.01), (0.2, 1.0), (50.0, 0.99)].repeat(200))
        {
            let sampling = sampling(temperature, top_p);
            let place: f64 = ChaCha8Rng::seed_from_u64(seed).random();
            let mut all: Vec<(usize, f64)> =
                logits.iter().map(|l| f64::from(*l / temperature as f32).exp()).enumerate().collect();
            if top_p < 1.0 {
                all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            }
            let mass: f64 = all.iter().map(|c| c.1).sum();
            let n = nucleus_size(&all, top_p * mass);
            let got = sample(&logits, &[], &sampling, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap().id;
            // Sums in another order may choose the neighbor.
            let expected = [place - 1e-9, place, place + 1e-9].map(|place| drawn(&all[..n], place));
            assert!(expected.contains(&Some(got as usize)), "{got} instead of {expected:?}");
        }
    }

    #[test]
    fn a_refused_token_is_not_drawn_and_the_others_keep_their_logprobs() {
        let logits: Vec<f32> = (0..2000).map(|i| (i % 7) as f32).collect();
        let mut allowed = vec![f32::NEG_INFINITY; logits.len()];
        allowed[3] = logits[3];
        allowed[1500] = logits[1500];
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut drawn = std::collections::BTreeSet::new();
        for temperature in [0.0, 1.0, 100.0].repeat(50) {
            let sampled =
                sample_among(&allowed, &logits, &[], &sampling(temperature, 0.9), &mut rng).unwrap();
            assert_eq!(sampled.logprob, logits[sampled.id as usize] - log_sum_exp(&logits));
            drawn.insert(sampled.id);
        }
        assert_eq!(drawn, [3, 1500].into());
        let nothing = vec![f32::NEG_INFINITY; logits.len()];
        let result = sample_among(&nothing, &logits, &[], &sampling(1.0, 1.0), &mut rng);
        assert!(matches!(result, Err(EngineError::NoTokenAllowed)), "{result:?}");
    }

    #[test]
    fn penalty_makes_seen_tokens_less_likely() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut greedy = sampling(0.0, 1.0);
        greedy.repetition_penalty = 1.5;
        assert_eq!(sample(&[1.0, 1.2], &[1, 1], &greedy, &mut rng).unwrap().id, 0);
        assert_eq!(sample(&[-1.2, -1.0], &[1], &greedy, &mut rng).unwrap().id, 0);
    }

    #[test]
    fn a_temperature_near_0_is_greedy() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for temperature in [1e-3, 1e-30, 1e-300, f64::MIN_POSITIVE] {
            let sampled = sample(&[-80.0, 90.0, 89.0], &[], &sampling(temperature, 1.0), &mut rng).unwrap();
            assert_eq!(sampled.id, 1, "at temperature {temperature}");
        }
    }

    #[track_caller]
    fn check_refused(logits: &[f32]) {
        for temperature in [0.0, 1.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            let result = sample(logits, &[], &sampling(temperature, 1.0), &mut rng);
            assert!(matches!(result, Err(EngineError::NotNumbers)), "{logits:?} gave {result:?}");
        }
    }

    #[test]
    fn logits_that_are_not_numbers_give_no_token() {
        check_refused(&[0.0, f32::NAN, 1.0]);
        check_refused(&[0.0, f32::INFINITY, 1.0]);
        check_refused(&[f32::NEG_INFINITY; 3]);
        check_refused(&[f32::NAN; 3]);
    }

    /// Thirty logits in no order, none equal to another.
    fn scattered(seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..30).map(|_| rng.random::<f32>() * 8.0 - 4.0).collect()
    }

    fn as_tensor(logits: &[f32]) -> Tensor {
        Tensor::from_slice(logits, logits.len(), &Device::Cpu).unwrap()
    }

    #[test]
    fn greedy_picks_and_penalties_are_those_of_candle_transformers() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for seed in 0..200 {
            let (logits, seen) = (scattered(seed), [(seed % 30) as u32, 3, 3, 29]);
            let mut greedy = Sampling { repetition_penalty: 1.3, ..sampling(0.0, 1.0) };
            let penalized = apply_repeat_penalty(&as_tensor(&logits), 1.3, &seen).unwrap();
            let mut ours = logits.clone();
            penalize(&mut ours, &seen, 1.3);
            assert_eq!(ours, penalized.to_vec1::<f32>().unwrap());
            let theirs = LogitsProcessor::new(0, None, None).sample(&penalized).unwrap();
            assert_eq!(sample(&logits, &seen, &greedy, &mut rng).unwrap().id, theirs);
            greedy.repetition_penalty = 1.0;
            let theirs = LogitsProcessor::new(0, None, None).sample(&as_tensor(&logits)).unwrap();
            assert_eq!(sample(&logits, &seen, &greedy, &mut rng).unwrap().id, theirs);
        }
    }

    #[test]
    fn draws_are_distributed_as_those_of_candle_transformers() {
        const N: usize = 20_000;
        for (seed, (temperature, top_p)) in
            (0..).zip([(1.0, 1.0), (0.3, 1.0), (1.0, 0.9), (2.0, 0.5), (0.5, 0.05), (20.0, 0.99)])
        {
            let logits = scattered(seed);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut processor = LogitsProcessor::new(seed, Some(temperature), Some(top_p));
            let tensor = as_tensor(&logits);
            let (mut ours, mut theirs) = ([0_usize; 30], [0_usize; 30]);
            for _ in 0..N {
                ours[sample(&logits, &[], &sampling(temperature, top_p), &mut rng).unwrap().id as usize] += 1;
                theirs[processor.sample(&tensor).unwrap() as usize] += 1;
            }
            let whole: f64 = logits.iter().map(|l| (f64::from(*l) / temperature).exp()).sum();
            for (id, (&ours, &theirs)) in ours.iter().zip(&theirs).enumerate() {
                // Five standard deviations of the difference of two counts.
                let share = (ours + theirs) as f64 / (2 * N) as f64;
                let most = 5.0 * (2.0 * N as f64 * share * (1.0 - share)).sqrt();
                let differ = ours.abs_diff(theirs) as f64;
                assert!(differ <= most, "{id} at {temperature}, {top_p}: {ours} and {theirs} times");
                // What one of them drops from the nucleus, the other drops, too.
                let expected = N as f64 * (f64::from(logits[id]) / temperature).exp() / whole;
                if expected > 50.0 {
                    assert_eq!(ours == 0, theirs == 0, "{id} at {temperature}, {top_p}");
                }
            }
        }
    }

    #[test]
    fn what_rounding_leaves_over_is_nobodys_and_what_is_impossible_is_not_drawn() {
        let candidates = [(5, 0.0), (7, 0.7), (3, 0.3), (9, 1e-12)];
        assert_eq!((drawn(&candidates, 0.0), drawn(&candidates, 0.8)), (Some(7), Some(3)));
        assert_eq!(drawn(&candidates, 1.0 + 1e-9), None);
    }
}
