//! What is done to each number behind a layer.
//!
//! Source: GELU (arXiv 1606.08415); its polynomial was fitted for the smallest largest error, which is below 3e-6 from -12
//! to 12. The exponential is a polynomial of degree 6 on half an octave (Cephes).

#![expect(unsafe_code, reason = "instructions that were detected at run time")]

use crate::trunk::vectors::{Isa, Vector, dispatched, product_sum};

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
        Activation::Gelu => numbers.iter_mut().for_each(|x| *x = gelu::<V>(*x)),
        Activation::HardSigmoid { alpha, beta } => {
            numbers.iter_mut().for_each(|x| *x = (alpha * *x + beta).clamp(0.0, 1.0));
        }
        Activation::Sigmoid => numbers.iter_mut().for_each(|x| *x = 1.0 / (1.0 + exponential::<V>(-*x))),
    }
}

/// The normal distribution function is one half and an odd polynomial between -5 and 5, and as there beyond.
#[inline(always)]
fn gelu<V: Vector>(x: f32) -> f32 {
    const END: f32 = 5.0;
    /// Coefficients of `2 (x / END)^2 - 1`, from the highest power down.
    const ODD: [f32; 13] = [
        4.954_746e-4,
        -1.517_355_6e-3,
        1.997_162_8e-3,
        -2.908_959_8e-3,
        6.168_244e-3,
        -1.097_821e-2,
        1.649_715_4e-2,
        -2.333_517e-2,
        3.142_619e-2,
        -4.043_314e-2,
        5.152_143e-2,
        -7.029_664_5e-2,
        1.413_637_8e-1,
    ];
    let near = x.clamp(-END, END);
    let square = product_sum::<V>(near * near, 2.0 / (END * END), -1.0);
    let odd = ODD[1..].iter().fold(ODD[0], |sum, factor| product_sum::<V>(sum, square, *factor));
    x * product_sum::<V>(near, odd, 0.5)
}

#[inline(always)]
pub(super) fn exponential<V: Vector>(x: f32) -> f32 {
    // Adding it leaves a whole number in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    const TAYLOR: [f32; 7] = [1.388_888_9e-3, 8.333_334e-3, 4.166_666_6e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0];
    let scaled = (x * std::f32::consts::LOG2_E).clamp(-126.0, 126.0);
    let shifted = scaled + SHIFT;
    let rest = (scaled - (shifted - SHIFT)) * std::f32::consts::LN_2;
    let octaves = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    octaves * TAYLOR[1..].iter().fold(TAYLOR[0], |sum, factor| product_sum::<V>(sum, rest, *factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the error function's own series: each term is the one before times `-z^2 / n`, divided by `2 n + 1`.
    fn exact_gelu(x: f64) -> f64 {
        let z = x / std::f64::consts::SQRT_2;
        if z.abs() > 5.0 {
            return x.max(0.0);
        }
        let (mut power, mut sum) = (z, z);
        for n in 1..200 {
            power *= -z * z / f64::from(n);
            sum += power / f64::from(2 * n + 1);
        }
        0.5 * x * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * sum)
    }

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
                let exact = exact_gelu(f64::from(*x));
                assert!((f64::from(gelu) - exact).abs() < 4e-6, "gelu({x}) = {gelu}, not {exact}");
                assert!((sigmoid - 1.0 / (1.0 + (-x).exp())).abs() < 1e-6, "sigmoid({x}) = {sigmoid}");
            }
            assert_eq!(of(Activation::Relu)[0], 0.0);
            let hard = of(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 });
            assert!((hard[800] - 0.5).abs() < 1e-6 && hard[0] == 0.0 && hard[1599] == 1.0);
        }
    }
}
