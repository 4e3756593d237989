//! How sure eyes are of an answer, as the share of such answers that is right.
//!
//! Eyes tell features of an answer. A [`ConfidenceMap`], fitted on answers whose truth is known, makes a probability of
//! them. Invariants: a map holds for the weights that it was fitted for and names its domain; without a map a confidence
//! only orders answers, and says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vigorl_geometry::{Screen, Size};

/// How sure eyes are.
#[derive(Debug, Clone, PartialEq)]
pub struct Confidence {
    /// With a domain: the share of such answers that was right there. Without: larger where the eyes are surer. 0..=1.
    pub value: f64,
    /// What its map was fitted on; nothing where it is not calibrated.
    pub domain: Option<String>,
    /// What it was made of.
    pub features: Features,
}

/// What eyes tell of an answer, by name.
pub type Features = BTreeMap<String, f64>;

impl Confidence {
    /// Of an answer with these features, by the first map that holds for a screenshot of this size; `raw` where none does.
    pub fn new<'m>(
        maps: impl IntoIterator<Item = &'m ConfidenceMap>,
        size: Size<Screen>,
        features: Features,
        raw: f64,
    ) -> Self {
        match maps.into_iter().find(|map| map.holds_for(size)) {
            Some(map) => Self { value: map.apply(&features), domain: Some(map.domain.clone()), features },
            None => Self { value: raw, domain: None, features },
        }
    }

    /// For people: the number, and whether it means a share.
    pub fn in_words(&self) -> String {
        let kind = self.domain.as_ref().map_or(" (uncalibrated)", |_| "");
        format!("confidence {:.2}{kind}", self.value)
    }
}

/// A logistic map from features to the share of right answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfidenceMap {
    /// The name of what it was fitted on.
    pub domain: String,
    /// The largest screenshot that it holds for, in pixels: width, height. Every size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<[f64; 2]>,
    /// Whether it was fitted on answers of a single turn: without zooms a policy is far less sure of a pixel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_turn: bool,
    /// SHA-256 of the weights that answered.
    pub weights_sha256: String,
    /// How many answers it was fitted on.
    pub n: usize,
    /// Log-odds where every feature is 0.
    pub intercept: f64,
    /// What each feature adds to the log-odds; one that is not named adds nothing.
    pub slopes: BTreeMap<String, f64>,
}

/// An answer whose truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What the eyes told of it.
    pub features: Features,
    /// Whether it was right.
    pub is_right: bool,
}

/// Weight of a slope's square: keeps slopes finite where answers can be told apart without error.
const RIDGE: f64 = 0.3;
/// Newton's steps. The loss is convex: a dozen are enough.
const STEPS: usize = 40;

impl ConfidenceMap {
    /// The file of a checkpoint that holds its maps: the first one that holds for a screenshot is used.
    pub const FILE: &str = "confidence.json";

    /// Whether it was fitted on screenshots like one of this size.
    fn holds_for(&self, size: Size<Screen>) -> bool {
        self.max_size.is_none_or(|[width, height]| size.width <= width && size.height <= height)
    }

    /// The share of answers with these features that is right.
    pub fn apply(&self, features: &Features) -> f64 {
        let add = |(name, slope): (&String, &f64)| slope * features.get(name).copied().unwrap_or_default();
        logistic(self.intercept + self.slopes.iter().map(add).sum::<f64>())
    }

    /// Fits a map: logistic regression with a ridge, by Newton's method. Nothing if there is no answer to fit.
    pub fn fit(domain: &str, weights_sha256: &str, told: &[Told]) -> Option<Self> {
        let names: Vec<&String> = told
            .iter()
            .flat_map(|one| one.features.keys())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let rows: Vec<Vec<f64>> = told
            .iter()
            .map(|one| {
                let of = |name: &&String| one.features.get(*name).copied().unwrap_or_default();
                std::iter::once(1.0).chain(names.iter().map(of)).collect()
            })
            .collect();
        let n = names.len() + 1;
        let mut weights = vec![0.0; n];
        for _ in 0..STEPS {
            let (mut gradient, mut curvature) = (vec![0.0; n], vec![vec![0.0; n]; n]);
            for (row, one) in rows.iter().zip(told) {
                let p = logistic(row.iter().zip(&weights).map(|(x, w)| x * w).sum());
                let error = p - f64::from(u8::from(one.is_right));
                for i in 0..n {
                    gradient[i] += error * row[i];
                    for j in 0..n {
                        curvature[i][j] += p * (1.0 - p) * row[i] * row[j];
                    }
                }
            }
            for i in 0..n {
                // The intercept is free, but for what keeps it finite where all answers are right.
                let ridge = if i == 0 { RIDGE / 10.0 } else { RIDGE };
                gradient[i] += ridge * weights[i];
                curvature[i][i] += ridge;
            }
            let step = solved(curvature, gradient);
            weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight -= step);
        }
        let is_finite = weights.iter().all(|weight| weight.is_finite());
        (is_finite && !told.is_empty()).then(|| Self {
            domain: domain.to_owned(),
            max_size: None,
            single_turn: false,
            weights_sha256: weights_sha256.to_owned(),
            n: told.len(),
            intercept: weights[0],
            slopes: names.into_iter().cloned().zip(weights[1..].iter().copied()).collect(),
        })
    }
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Solves a system with a positive definite matrix by elimination.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for i in 0..n {
        let pivot = matrix[i].clone();
        for j in i + 1..n {
            let by = matrix[j][i] / pivot[i];
            matrix[j].iter_mut().zip(&pivot).skip(i).for_each(|(below, above)| *below -= by * above);
            right[j] -= by * right[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(x: f64, is_right: bool) -> Told {
        Told { features: [("x".to_owned(), x)].into(), is_right }
    }

    #[test]
    fn a_fit_gives_the_shares_that_it_was_shown() {
        // Of answers at 0 a tenth is right, of those at 1 nine tenths.
        let some = |x: f64, n_right: usize| (0..200).map(move |n| told(x, n < n_right));
        let all: Vec<Told> = some(0.0, 20).chain(some(1.0, 180)).collect();
        let map = ConfidenceMap::fit("made up", "sha", &all).unwrap();
        let at = |x: f64| map.apply(&told(x, true).features);
        assert!((at(0.0) - 0.1).abs() < 0.02 && (at(1.0) - 0.9).abs() < 0.02, "{} {}", at(0.0), at(1.0));
        assert_eq!(map.n, 400);
    }

    #[test]
    fn a_fit_stays_finite_where_all_are_right_or_nothing_is_there() {
        let all: Vec<Told> = (0..50).map(|n| told(f64::from(n), true)).collect();
        let map = ConfidenceMap::fit("made up", "sha", &all).unwrap();
        let sure = map.apply(&all[20].features);
        assert!(sure > 0.9 && sure <= 1.0, "{sure}");
        assert_eq!(ConfidenceMap::fit("made up", "sha", &[]), None);
    }

    #[test]
    fn a_map_holds_up_to_its_size_and_without_one_a_confidence_is_uncalibrated() {
        let all: Vec<Told> = (0..50).map(|n| told(f64::from(n % 2), n % 2 == 0)).collect();
        let map = ConfidenceMap {
            max_size: Some([200.0, 100.0]),
            ..ConfidenceMap::fit("small", "sha", &all).unwrap()
        };
        let of = |width: u32, height: u32| {
            let size = Size::<Screen>::of_pixels(width, height);
            Confidence::new(std::slice::from_ref(&map), size, told(0.0, true).features, 0.4)
        };
        assert_eq!((of(200, 100).domain.as_deref(), of(201, 100).domain), (Some("small"), None));
        assert_eq!(of(201, 100).value, 0.4);
        assert!(
            of(201, 100).in_words().contains("uncalibrated")
                && !of(200, 100).in_words().contains("uncalibrated")
        );
    }
}
