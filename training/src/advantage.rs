//! How much better a sample is than its group (GRPO, arXiv 2402.03300 section 4.1.2; the divisor is left out in arXiv
//! 2503.20783 section 3.1).
//!
//! Invariant: a group is what is left of it. A sample without a reward is no part of it, so mean and standard deviation are
//! those of the others, and fewer than two samples are no group.

use serde::{Deserialize, Serialize};

/// What the distance from the mean is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The standard deviation of the group, that of a sample (n - 1), plus 1e-6.
    Std,
    /// Nothing: groups that hardly differ then count little.
    None,
}

/// Keeps groups without variance at 0 instead of dividing by it.
const EPSILON: f64 = 1e-6;

/// The advantage of each reward of a group; nothing for fewer than two.
pub fn advantages(rewards: &[f64], scale: Scale) -> Option<Vec<f64>> {
    if rewards.len() < 2 {
        return None;
    }
    let n = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / n;
    let divisor = match scale {
        Scale::Std => (rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() + EPSILON,
        Scale::None => 1.0,
    };
    Some(rewards.iter().map(|reward| (reward - mean) / divisor).collect())
}

/// Whether a group teaches anything: its rewards differ.
pub fn has_variance(rewards: &[f64]) -> bool {
    rewards.iter().any(|reward| *reward != rewards[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}, not {wanted:?}");
    }

    #[test]
    fn by_hand() {
        // Mean 0.5, squares 4 x 0.25, over 3: standard deviation 0.577350269…
        let std = (1.0_f64 / 3.0).sqrt() + 1e-6;
        near(
            &advantages(&[1.0, 0.0, 1.0, 0.0], Scale::Std).unwrap(),
            &[0.5, -0.5, 0.5, -0.5].map(|d| d / std),
        );
        near(&advantages(&[1.0, 0.0, 1.0, 0.0], Scale::None).unwrap(), &[0.5, -0.5, 0.5, -0.5]);
        near(&advantages(&[2.0, 1.0, 0.0], Scale::Std).unwrap(), &[1.0, 0.0, -1.0].map(|d| d / (1.0 + 1e-6)));
    }

    #[test]
    fn a_group_without_variance_has_no_advantage_and_one_sample_is_no_group() {
        near(&advantages(&[0.7; 5], Scale::Std).unwrap(), &[0.0; 5]);
        assert_eq!(advantages(&[1.0], Scale::Std), None);
        assert_eq!(advantages(&[], Scale::None), None);
        assert!(!has_variance(&[]) && !has_variance(&[1.0]) && !has_variance(&[1.0, 1.0]));
        assert!(has_variance(&[1.0, 1.0, 0.9]));
    }
}
