//! Kernels against plain f32 products, and against each other.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Sums of uniform draws: close to a normal distribution of spread 1.
fn normal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0).collect()
}

fn product(x: &[f32], w: &[f32], n_in: usize) -> Vec<f32> {
    let n_out = w.len() / n_in;
    let row = |x: &[f32]| -> Vec<f32> {
        (0..n_out)
            .map(|o| {
                x.iter().zip(&w[o * n_in..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            })
            .collect()
    };
    x.chunks(n_in).flat_map(row).collect()
}

fn relative_error(got: &[f32], expected: &[f32]) -> f64 {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let error: f64 = got.iter().zip(expected).map(|(g, e)| square(g - e)).sum();
    (error / expected.iter().map(|e| square(*e)).sum::<f64>()).sqrt()
}

fn quantized(w: &[f32], n_in: usize, format: Format) -> QuantizedMatrix {
    QuantizedMatrix::quantize(w.len() / n_in, n_in, format, |row, to| {
        to.copy_from_slice(&w[row * n_in..][..n_in]);
    })
}

fn multiply(matrix: &QuantizedMatrix, isa: Isa, x: &[f32]) -> Vec<f32> {
    matrix.multiply(isa, x, Rows::Together, Added::default())
}

#[track_caller]
fn check(n_rows: usize, n_in: usize, n_out: usize, format: Format, limit: f64) {
    let mut rng = ChaCha8Rng::seed_from_u64((n_rows * n_in + n_out) as u64);
    let (x, w) = (normal(&mut rng, n_rows * n_in), normal(&mut rng, n_out * n_in));
    let matrix = quantized(&w, n_in, format);
    let expected = product(&x, &w, n_in);
    let portable = multiply(&matrix, Isa::Portable, &x);
    let error = relative_error(&portable, &expected);
    assert!(error < limit, "{n_rows}x{n_in}x{n_out} {format:?}: {error}");
    // Another order of f32 additions, the same integers.
    assert!(relative_error(&multiply(&matrix, Isa::detect(), &x), &portable) < 1e-6);
    // The product of what is stored leaves only the error of the activations.
    let stored: Vec<f32> = (0..n_out).flat_map(|output| matrix.row(output)).collect();
    assert!(relative_error(&portable, &product(&x, &stored, n_in)) < 0.007);
}

#[test]
fn products_are_close_to_those_in_f32() {
    for (n_rows, n_in, n_out) in
        [(1, 64, 16), (1, 2048, 50), (2, 100, 33), (3, 3420, 17), (7, 65, 100), (12, 256, 64), (25, 130, 35)]
    {
        check(n_rows, n_in, n_out, Format::Bits8, 0.01);
        check(n_rows, n_in, n_out, Format::Bits4, 0.11);
    }
}

#[test]
fn a_few_channels_far_larger_than_the_rest_cost_no_accuracy() {
    let (n_in, n_out) = (1024, 64);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (n_rows, factor) in [(1, 50.0), (1, 100.0), (40, 50.0), (40, 100.0)] {
        let (mut x, w) = (normal(&mut rng, n_rows * n_in), normal(&mut rng, n_out * n_in));
        for row in x.chunks_mut(n_in) {
            for channel in [3, 4, 500, 1023] {
                row[channel] *= factor;
            }
        }
        let matrix = quantized(&w, n_in, Format::Bits8);
        let error = relative_error(&multiply(&matrix, Isa::detect(), &x), &product(&x, &w, n_in));
        println!("{n_rows} rows, outliers of {factor}: {error:.5}");
        assert!(error < 0.01, "{n_rows} rows, {factor}: {error}");
        // Without their own product they would be the largest part of the error of everything else.
        let rest = |x: &[f32]| -> Vec<f32> {
            let keep = |(i, v): (usize, &f32)| if [3, 4, 500, 1023].contains(&(i % n_in)) { 0.0 } else { *v };
            x.iter().enumerate().map(keep).collect()
        };
        let large: Vec<f32> = x.iter().zip(rest(&x)).map(|(all, rest)| all - rest).collect();
        let stored: Vec<f32> = (0..n_out).flat_map(|output| matrix.row(output)).collect();
        let of_rest: Vec<f32> = multiply(&matrix, Isa::detect(), &x)
            .iter()
            .zip(product(&large, &stored, n_in))
            .map(|(all, large)| all - large)
            .collect();
        let error = relative_error(&of_rest, &product(&rest(&x), &stored, n_in));
        println!("{n_rows} rows, outliers of {factor}: {error:.5} of what is left");
        assert!(error < 0.01, "{n_rows} rows, {factor}: {error} of what is left");
    }
}

#[test]
fn a_bias_is_added_and_zeros_stay_zeros() {
    let matrix = quantized(&[0.0; 20 * 70], 70, Format::Bits8);
    let bias: Vec<f32> = (0..20).map(|i| i as f32).collect();
    let y = matrix.multiply(
        Isa::detect(),
        &[0.0; 3 * 70],
        Rows::Together,
        Added { bias: Some(&bias), base: None },
    );
    assert_eq!(y, [&bias[..], &bias, &bias].concat());
    let base: Vec<f32> = (0..60).map(|i| -(i as f32)).collect();
    let y = matrix.multiply(
        Isa::detect(),
        &[0.0; 3 * 70],
        Rows::Together,
        Added { bias: Some(&bias), base: Some(&base) },
    );
    assert_eq!(y, (0..60).map(|i| (i % 20) as f32 - i as f32).collect::<Vec<_>>());
}

#[test]
fn a_gated_mlp_in_blocks_of_rows_is_its_three_products() {
    let (n_in, n_hidden, n_out, n_rows) = (70, 33, 20, 401);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut matrix =
        |n_out: usize, n_in: usize| quantized(&normal(&mut rng, n_out * n_in), n_in, Format::Bits8);
    let (gate, up, down) = (matrix(n_hidden, n_in), matrix(n_hidden, n_in), matrix(n_out, n_hidden));
    let (x, base) = (normal(&mut rng, n_rows * n_in), normal(&mut rng, n_rows * n_out));
    let bias = vec![0.25; n_hidden];
    let mlp = GatedMlp { gate: (&gate, Some(&bias)), up: (&up, None), down: (&down, None) };
    for isa in [Isa::detect(), Isa::Portable] {
        let (g, u) = (multiply(&gate, isa, &x), multiply(&up, isa, &x));
        let gated = |(g, u): (&f32, &f32)| (g + 0.25) / (1.0 + (-(g + 0.25)).exp()) * u;
        let hidden: Vec<f32> = g.iter().zip(&u).map(gated).collect();
        let expected = down.multiply(isa, &hidden, Rows::Together, Added { bias: None, base: Some(&base) });
        let got = mlp.forward(isa, &x, Rows::Together, &base);
        // Which channels are outliers is decided block by block.
        assert!(relative_error(&got, &expected) < 0.01);
        assert!(mlp.forward(isa, &[], Rows::Together, &[]).is_empty());
    }
}

#[test]
fn memory_is_what_the_formats_promise() {
    let w = vec![1.0; 128 * 256];
    let bits = |format| quantized(&w, 256, format).n_bytes() as f64 * 8.0 / (128.0 * 256.0);
    assert_eq!((bits(Format::Bits8), bits(Format::Bits4)), (8.25, 4.5));
}

#[test]
fn a_matrix_in_shared_bytes_is_the_same_matrix() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (w, x) = (normal(&mut rng, 20 * 200), normal(&mut rng, 3 * 200));
    for format in [Format::Bits8, Format::Bits4] {
        let matrix = quantized(&w, 200, format);
        let n = format.n_bytes(20, 200);
        assert_eq!(matrix.as_bytes().len(), n);
        // Somewhere on a boundary, behind something else.
        let mut bytes = vec![7_u8; n + 192];
        let start = 64 + bytes[64..].as_ptr().align_offset(64);
        bytes[start..start + n].copy_from_slice(matrix.as_bytes());
        let bytes: SharedBytes = std::sync::Arc::new(bytes);
        let shared = |at| QuantizedMatrix::from_bytes(20, 200, format, bytes.clone(), at);
        let same = shared(start..start + n).unwrap();
        assert_eq!(multiply(&same, Isa::detect(), &x), multiply(&matrix, Isa::detect(), &x));
        for wrong in [start..start + n - 64, start + 4..start + n + 4, start..start + n + 4096] {
            assert!(shared(wrong).is_none());
        }
    }
}

#[test]
fn rows_apart_get_what_each_gets_alone() {
    let (n_in, n_out, n_rows) = (300, 50, 29);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (mut x, w) = (normal(&mut rng, n_rows * n_in), normal(&mut rng, n_out * n_in));
    // Some rows have outliers, and not the same ones.
    for (row, x) in x.chunks_mut(n_in).enumerate().step_by(3) {
        x[row * 7 % n_in] *= 80.0;
        x[(row * 11 + 5) % n_in] *= -60.0;
    }
    for (format, isa) in [Format::Bits8, Format::Bits4]
        .into_iter()
        .flat_map(|format| [(format, Isa::detect()), (format, Isa::Portable)])
    {
        let matrix = quantized(&w, n_in, format);
        let together = matrix.multiply(isa, &x, Rows::Apart, Added::default());
        for (x, together) in x.chunks(n_in).zip(together.chunks(n_out)) {
            assert_eq!(multiply(&matrix, isa, x), together);
        }
    }
}
