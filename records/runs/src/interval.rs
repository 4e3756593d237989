//! How sure a success rate is. Invariant: the interval lies in 0..=1 and contains the rate.

/// Wilson's 95 % score interval of `n_success` out of `n`; the whole range when nothing was tried.
///
/// # Source
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
pub fn wilson95(n_success: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (k, n) = (n_success as f64, n as f64);
    let rate = k / n;
    let denominator = 1.0 + Z * Z / n;
    let center = (rate + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((center - half).max(0.0), (center + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_intervals() {
        let check = |k, n, low: f64, high: f64| {
            let (a, b) = wilson95(k, n);
            assert!((a - low).abs() < 5e-5 && (b - high).abs() < 5e-5, "{k}/{n}: {a} {b}");
        };
        check(0, 0, 0.0, 1.0);
        check(0, 10, 0.0, 0.27753);
        check(10, 10, 0.72247, 1.0);
        check(81, 263, 0.25527, 0.36621);
    }
}
