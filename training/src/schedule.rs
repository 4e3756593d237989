//! The learning rate as a function of the step alone, so that a resumed run continues the same curve.

use crate::config::{Decay, ScheduleConfig};

/// Share of the peak rate at `step` (counted from 0) of `total`.
pub fn lr_share(step: u64, total: u64, config: &ScheduleConfig) -> f64 {
    let warmup = (step + 1) as f64 / config.warmup_steps.max(1) as f64;
    let left = total.saturating_sub(step) as f64 / total.max(1) as f64;
    // 1 until the fall begins, 0 at the very end.
    let height = if config.decay_share > 0.0 { (left / config.decay_share).min(1.0) } else { 1.0 };
    let shape = match config.decay {
        Decay::Constant => 1.0,
        Decay::Linear => height,
        Decay::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * height).cos(),
    };
    warmup.min(1.0) * (config.final_share + (1.0 - config.final_share) * shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(decay: Decay) -> ScheduleConfig {
        ScheduleConfig { warmup_steps: 10, decay_share: 0.5, decay, final_share: 0.1 }
    }

    #[test]
    fn rises_stays_and_falls() {
        for decay in [Decay::Linear, Decay::Cosine] {
            let at = |step| lr_share(step, 100, &config(decay));
            assert!((at(0) - 0.1).abs() < 1e-12);
            assert!((at(9) - 1.0).abs() < 1e-12);
            assert!((at(50) - 1.0).abs() < 1e-12);
            assert!((at(75) - 0.55).abs() < 1e-9, "half way down: {}", at(75));
            assert!(at(99) < 0.13 && at(99) >= 0.1);
        }
    }

    #[test]
    fn constant_does_not_fall() {
        assert_eq!(lr_share(99, 100, &config(Decay::Constant)), 1.0);
    }
}
