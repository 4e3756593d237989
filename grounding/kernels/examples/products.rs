//! Times the products at the shapes of Qwen2.5-VL-3B: `cargo run --release -p vigorl-kernels --example products`
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::hint::black_box;
use std::time::Instant;

use vigorl_kernels::{Added, Format, Isa, QuantizedMatrix, Rows};

fn main() {
    println!("{}, {} threads", Isa::detect().name(), rayon::current_num_threads());
    for format in [Format::Bits8, Format::Bits4] {
        for (n_rows, n_in, n_out) in [
            (1, 2048, 11008),
            (1, 11008, 2048),
            (1, 2048, 151_936),
            (8, 2048, 11008),
            (1416, 2048, 11008),
            (1416, 11008, 2048),
            (5336, 1280, 3420),
        ] {
            let matrix = QuantizedMatrix::quantize(n_out, n_in, format, |row, to| {
                for (i, v) in to.iter_mut().enumerate() {
                    *v = ((row * 31 + i * 17) % 255) as f32 / 127.0 - 1.0;
                }
            });
            let x: Vec<f32> = (0..n_rows * n_in).map(|i| (i * 13 % 97) as f32 / 48.0 - 1.0).collect();
            let mut best = f64::MAX;
            for _ in 0..if n_rows > 8 { 4 } else { 20 } {
                let start = Instant::now();
                black_box(matrix.multiply(Isa::detect(), &x, Rows::Together, Added::default()));
                best = best.min(start.elapsed().as_secs_f64());
            }
            let operations = 2.0 * (n_rows * n_in * n_out) as f64;
            println!(
                "{format:?} {n_rows}x{n_in} -> {n_out}: {:.2} ms, {:.0} GOP/s, weights at {:.1} GB/s",
                1e3 * best,
                operations / best / 1e9,
                matrix.n_bytes() as f64 / best / 1e9
            );
        }
    }
}
