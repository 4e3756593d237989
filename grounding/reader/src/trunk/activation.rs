//! What is done to each number behind a layer.
//!
//! Source: GELU (arXiv 1606.08415) with the error function of Abramowitz and Stegun 7.1.26, whose error is below 1.5e-7;
//! the exponential is a polynomial of degree 6 on half an octave (Cephes).

#![expect(unsafe_code, reason = "instructions that were detected at run time")]

use crate::trunk::vectors::{Isa, Vector, dispatched};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    None,
    Relu,
    Gelu,
    /// `alpha * x + beta`, between 0 and 1.
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    Sigmoid,
}

/// Applies it to each number.
pub(super) fn activate(isa: Isa, activation: Activation, numbers: &mut [f32]) {
    if activation != Activation::None {
        // SAFETY: the instructions were detected; nothing else is asked.
        unsafe { activate_all(isa, activation, numbers) };
    }
}

dispatched!(
    /// # Safety
    /// None but the instructions.
    fn activate_all, activate_body, (activation: Activation, numbers: &mut [f32])
);

/// Loops that the compiler turns into the instructions of the function that they stand in.
#[inline(always)]
unsafe fn activate_body<V: Vector>(activation: Activation, numbers: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => numbers.iter_mut().for_each(|x| *x = x.max(0.0)),
        Activation::Gelu => numbers.iter_mut().for_each(|x| *x = gelu(*x)),
        Activation::HardSigmoid { alpha, beta } => {
            numbers.iter_mut().for_each(|x| *x = (alpha * *x + beta).clamp(0.0, 1.0));
        }
        Activation::Sigmoid => numbers.iter_mut().for_each(|x| *x = 1.0 / (1.0 + exponential(-*x))),
    }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z.abs());
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let erf = (1.0 - sum * exponential(-z * z)).copysign(z);
    0.5 * x * (1.0 + erf)
}

#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    // Adding it leaves a whole number in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    let scaled = (x * std::f32::consts::LOG2_E).clamp(-126.0, 126.0);
    let shifted = scaled + SHIFT;
    let rest = (scaled - (shifted - SHIFT)) * std::f32::consts::LN_2;
    let octaves = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let tail = ((1.388_888_9e-3 * rest + 8.333_334e-3) * rest + 4.166_666_6e-2) * rest + 1.666_666_7e-1;
    octaves * (((tail * rest + 0.5) * rest + 1.0) * rest + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_what_they_are_called() {
        let inputs: Vec<f32> = (-800..800).map(|n| n as f32 / 50.0).collect();
        for isa in [Isa::detect(), Isa::Portable] {
            let of = |activation| {
                let mut numbers = inputs.clone();
                activate(isa, activation, &mut numbers);
                numbers
            };
            for ((x, gelu), sigmoid) in inputs.iter().zip(of(Activation::Gelu)).zip(of(Activation::Sigmoid)) {
                // tanh's form is within 5e-4 of the exact one.
                let near = 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x.powi(3))).tanh());
                assert!((gelu - near).abs() < 6e-4, "gelu({x}) = {gelu}, near {near}");
                assert!((sigmoid - 1.0 / (1.0 + (-x).exp())).abs() < 1e-6, "sigmoid({x}) = {sigmoid}");
            }
            assert_eq!(of(Activation::Relu)[0], 0.0);
            let hard = of(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 });
            assert!((hard[800] - 0.5).abs() < 1e-6 && hard[0] == 0.0 && hard[1599] == 1.0);
        }
    }
}
