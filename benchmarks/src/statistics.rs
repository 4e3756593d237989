//! How far a difference, or a share, can be trusted.
//!
//! Invariants: the same lines give the same numbers, because the draws have a seed of their own; items on one screenshot share
//! their luck, so whole screenshots are drawn; two runs are compared on the items that both have judged, and on no other.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::Serialize;

use crate::draw::below;
use crate::line::Line;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;
/// Of every bootstrap.
const SEED: u64 = 95;

/// The share of right items with an interval that knows which items share a screenshot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clustered {
    /// How many screenshots there are.
    pub n_clusters: usize,
    /// The 2.5th and the 97.5th percentile of the share, over bootstrap samples of screenshots.
    pub bootstrap95: (f64, f64),
}

/// Right items and all items of each cluster.
fn clusters(lines: &[&Line]) -> Vec<[u64; 2]> {
    let mut clusters: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for line in lines {
        if let Some(is_right) = line.is_right {
            let [n_right, n] = clusters.entry(line.cluster()).or_default();
            (*n_right, *n) = (*n_right + u64::from(is_right), *n + 1);
        }
    }
    clusters.into_values().collect()
}

impl Clustered {
    /// Of the lines of one mode and draw; nothing if nothing was judged.
    pub fn of(lines: &[&Line]) -> Option<Self> {
        let clusters = clusters(lines);
        if clusters.is_empty() {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut shares: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn = (0..clusters.len()).map(|_| clusters[below(&mut random, clusters.len())]);
                let [n_right, n] = drawn.fold([0, 0], |[k, n], [of_k, of_n]| [k + of_k, n + of_n]);
                n_right as f64 / n as f64
            })
            .collect();
        shares.sort_by(f64::total_cmp);
        let at = |share: f64| shares[((RESAMPLES - 1) as f64 * share).round() as usize];
        Some(Self { n_clusters: clusters.len(), bootstrap95: (at(0.025), at(0.975)) })
    }
}

/// Two runs on the same items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Items that both have judged.
    pub n: u64,
    /// Of these, solved by the first alone.
    pub n_first_alone: u64,
    /// Solved by the second alone.
    pub n_second_alone: u64,
    /// The second's share less the first's.
    pub difference: f64,
    /// McNemar's exact two-sided test of the items that one alone has solved.
    pub p_mcnemar: f64,
}

impl Paired {
    /// Of the lines of two runs; nothing if they have no judged item in common. An item of the same name that asks for something
    /// else is another one: names of a set may be no more than places in its lists.
    pub fn of(first: &[&Line], second: &[&Line]) -> Option<Self> {
        let by_id: BTreeMap<&str, &Line> = first.iter().map(|line| (&*line.id, *line)).collect();
        let (mut n, mut n_first_alone, mut n_second_alone) = (0, 0, 0);
        for line in second {
            let other = by_id.get(&*line.id).filter(|other| other.asks_the_same(line));
            let Some((of_first, of_second)) = other.and_then(|other| other.is_right).zip(line.is_right)
            else {
                continue;
            };
            n += 1;
            n_first_alone += u64::from(of_first && !of_second);
            n_second_alone += u64::from(of_second && !of_first);
        }
        (n > 0).then(|| Self {
            n,
            n_first_alone,
            n_second_alone,
            difference: (n_second_alone as f64 - n_first_alone as f64) / n as f64,
            p_mcnemar: mcnemar(n_first_alone, n_second_alone),
        })
    }
}

/// The probability that fair coins fall at least as unevenly as this.
fn mcnemar(b: u64, c: u64) -> f64 {
    let n = b + c;
    // ln of n over k by 2^n, from one k to the next.
    let mut ln_share = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=b.min(c) {
        tail += ln_share.exp();
        ln_share += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: usize, picture: usize, is_right: bool) -> Line {
        serde_json::from_value(serde_json::json!({
            "id": format!("item-{id}"), "item": id, "mode": "single_turn", "outcome": "correct", "instruction": "",
            "values": [], "targets": [], "is_answered": true, "is_right": is_right,
            "picture": { "name": format!("{picture}.png"), "size": [100, 100] },
        }))
        .unwrap()
    }

    fn of(lines: &[Line]) -> Vec<&Line> {
        lines.iter().collect()
    }

    #[test]
    fn mcnemar_is_the_binomial_test() {
        // By hand: 2 (1 + 6) / 2^6, and 2 (1 + 10 + 45) / 2^10.
        assert!((mcnemar(1, 5) - 2.0 * 7.0 / 64.0).abs() < 1e-12);
        assert!((mcnemar(8, 2) - 2.0 * 56.0 / 1024.0).abs() < 1e-12);
        assert_eq!((mcnemar(0, 0), mcnemar(4, 4)), (1.0, 1.0));
        assert!((mcnemar(0, 2000)).abs() < 1e-300 && mcnemar(990, 1010) > 0.6);
    }

    #[test]
    fn runs_are_compared_on_what_both_have_judged() {
        let first: Vec<Line> = (0..10).map(|id| line(id, id, id < 5)).collect();
        let mut second: Vec<Line> = (2..14).map(|id| line(id, id, id % 2 == 0)).collect();
        second[1].is_right = None;
        // Both: 2 and 4 to 9. The first alone has 5 wrong in none; the second alone has 6 and 8.
        let paired = Paired::of(&of(&first), &of(&second)).unwrap();
        assert_eq!((paired.n, paired.n_first_alone, paired.n_second_alone), (7, 0, 2));
        assert!((paired.difference - 2.0 / 7.0).abs() < 1e-12 && (paired.p_mcnemar - 0.5).abs() < 1e-12);
        assert_eq!(Paired::of(&of(&first), &[]), None);
        let mut other: Vec<Line> = (2..14).map(|id| line(id, id, true)).collect();
        other[0].instruction = "another".to_owned();
        other[1].targets = vec![vec![1.0, 2.0, 3.0, 4.0]];
        other[2].is_absent = true;
        assert_eq!(
            Paired::of(&of(&first), &of(&other)).unwrap().n,
            5,
            "what asks for something else is another item"
        );
        let elsewhere: Vec<Line> = (0..10).map(|id| line(id, 9 - id, true)).collect();
        assert_eq!(Paired::of(&of(&first), &of(&elsewhere)), None);
    }

    #[test]
    fn items_that_share_a_screenshot_widen_the_interval() {
        // 100 items, 60 right: each on a screenshot of its own, and ten of a kind on ten screenshots.
        let apart: Vec<Line> = (0..100).map(|id| line(id, id, id < 60)).collect();
        let together: Vec<Line> = (0..100).map(|id| line(id, id / 10, id < 60)).collect();
        let width = |lines: &[Line]| {
            let Clustered { bootstrap95: (low, high), .. } = Clustered::of(&of(lines)).unwrap();
            assert!(low < 0.6 && 0.6 < high);
            high - low
        };
        let (apart, together) = (width(&apart), width(&together));
        assert!((apart - 0.19).abs() < 0.02, "as wide as a binomial interval: {apart}");
        assert!(together > 2.5 * apart, "{together}");
    }
}
