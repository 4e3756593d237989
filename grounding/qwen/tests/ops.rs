//! Each fused operation against its slow twin and against finite differences.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use vigorl_qwen::mrope::RotaryTable;
use vigorl_qwen::ops::{Mask, Visible, masked_softmax, rms_norm, rotary, swiglu};

/// Values that are the same on every run.
fn values(shape: &[usize], seed: u32) -> Result<Tensor> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    let n = shape.iter().product();
    Tensor::from_vec(std::iter::repeat_with(next).take(n).collect::<Vec<f64>>(), shape, &Device::Cpu)
}

fn max_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (a.to_dtype(DType::F64)?, b.to_dtype(DType::F64)?);
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()
}

/// Runs `f` fused (f32) and composed (f64) on the same inputs and compares results and gradients.
#[track_caller]
fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    let run = |dtype: DType| -> Result<(Tensor, Vec<Tensor>)> {
        let vars: Vec<Var> =
            inputs.iter().map(|t| Var::from_tensor(&t.to_dtype(dtype)?)).collect::<Result<_>>()?;
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let out = f(&tensors)?;
        // A loss whose gradient differs at every place.
        let weights = values(out.dims(), 99)?.to_dtype(dtype)?;
        let grads = (&out * weights)?.sum_all()?.backward()?;
        let grads = vars.iter().map(|v| grads.get(v).cloned().expect("an input has a gradient"));
        Ok((out, grads.collect()))
    };
    let (fused, fused_grads) = run(DType::F32)?;
    let (slow, slow_grads) = run(DType::F64)?;
    let difference = max_difference(&fused, &slow)?;
    assert!(difference < 1e-5, "forward differs by {difference}");
    for (i, (a, b)) in fused_grads.iter().zip(&slow_grads).enumerate() {
        let difference = max_difference(a, b)?;
        assert!(difference < 2e-5, "gradient of input {i} differs by {difference}");
    }
    Ok(())
}

#[test]
fn rms_norm_equals_its_slow_twin() -> Result<()> {
    check(&[values(&[3, 5, 8], 1)?, values(&[8], 2)?], |x| rms_norm(&x[0], &x[1], 1e-6))
}

#[test]
fn swiglu_equals_its_slow_twin() -> Result<()> {
    check(&[values(&[7, 9], 3)?, values(&[7, 9], 4)?], |x| swiglu(&x[0], &x[1]))
}

#[test]
fn rotary_equals_its_slow_twin() -> Result<()> {
    let places: Vec<[u32; 2]> = (0..6).map(|i| [i / 3, i % 3]).collect();
    let table = Arc::new(RotaryTable::for_vision(&places, 8));
    check(&[values(&[6, 2, 8], 5)?], |x| rotary(&x[0], &table))
}

#[test]
fn masked_softmax_equals_its_slow_twin() -> Result<()> {
    let scores = values(&[2, 3, 8, 6], 6)?;
    check(std::slice::from_ref(&scores), |x| masked_softmax(&x[0], None))?;
    // Two query groups of four queries behind two cached keys.
    let causal = Mask::causal(2, 4);
    let twice = Mask { rows: Arc::new([causal.rows.as_slice(), &causal.rows].concat()), n_queries: 4 };
    check(&[scores], |x| masked_softmax(&x[0], Some(&twice)))
}

#[test]
fn a_branch_sees_the_prefix_and_itself() -> Result<()> {
    let rows = vec![Visible { prefix: 2, start: 4, end: 6 }];
    let mask = Mask { rows: Arc::new(rows), n_queries: 1 };
    let p = masked_softmax(&values(&[1, 1, 1, 7], 7)?.to_dtype(DType::F32)?, Some(&mask))?;
    let p = p.flatten_all()?.to_vec1::<f32>()?;
    let seen: Vec<bool> = p.iter().map(|&p| p > 0.0).collect();
    assert_eq!(seen, [true, true, false, false, true, true, false]);
    assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    check(&[values(&[1, 1, 1, 7], 7)?], |x| masked_softmax(&x[0], Some(&mask)))
}

/// Scores of many keys, computed in `dtype` and in f32 from the same rounded values.
fn check_narrow_softmax(dtype: DType) -> Result<()> {
    const N_KEYS: usize = 4_000;
    let scores = values(&[1, 2, 3, N_KEYS], 8)?.to_dtype(dtype)?;
    let mask = Mask::causal(N_KEYS - 3, 3);
    let narrow = masked_softmax(&scores, Some(&mask))?;
    assert_eq!(narrow.dtype(), dtype);
    let narrow = narrow.to_dtype(DType::F32)?;
    let wide = masked_softmax(&scores.to_dtype(DType::F32)?, Some(&mask))?;
    // A probability near 1/4000 rounded to 8 bits is off by at most 1/256 of itself.
    let difference = max_difference(&(&narrow * N_KEYS as f64)?, &(wide * N_KEYS as f64)?)?;
    assert!(difference < 0.02, "{dtype:?} differs by {difference} of a uniform probability");
    let sums = narrow.sum(3)?.flatten_all()?.to_vec1::<f32>()?;
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 0.01), "{dtype:?} sums to {sums:?}");
    Ok(())
}

#[test]
fn a_softmax_over_many_keys_does_not_stall_in_narrow_numbers() -> Result<()> {
    check_narrow_softmax(DType::BF16)?;
    check_narrow_softmax(DType::F16)
}
