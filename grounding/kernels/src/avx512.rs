//! The products with AVX-512 and 8-bit dot products. Invariant: called only after [`crate::Isa::detect`] found
//! both; on other architectures this file is the portable code.

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::multiply;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use crate::portable::multiply;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions read through pointers")]
mod x86 {
    use std::arch::x86_64::*;
    use std::ops::Range;

    use crate::activations::Tile;
    use crate::matrix::{LINES_4, LINES_8, Line, Panels};
    use crate::{BLOCK, GROUPS, LANES};

    /// `sums`: `[row][panel][lane]`, overwritten.
    pub(crate) fn multiply(
        weights: &Panels,
        n_in: usize,
        tile: &Tile,
        panels: Range<usize>,
        sums: &mut [[f32; LANES]],
    ) {
        let n_blocks = n_in.div_ceil(BLOCK);
        let inputs = Inputs { n_blocks, tile, panels: panels.clone() };
        // SAFETY: the instructions were detected; sizes are checked in `Inputs::check`.
        match weights {
            Panels::Bits8 { lines, scales } => {
                inputs.check(lines.len(), LINES_8, scales.len(), 1, sums.len());
                macro_rules! call {
                    ($($rows:literal, $panels:literal);*) => {
                        match (tile.height, panels.len()) {
                            $(($rows, $panels) => unsafe { bits_8::<$rows, $panels>(&inputs, lines, scales, sums) },)*
                            (height, n) => unreachable!("no kernel for {height} rows and {n} panels"),
                        }
                    };
                }
                call!(1, 1; 1, 2; 1, 3; 1, 4; 2, 1; 2, 2; 2, 3; 2, 4; 4, 1; 4, 2; 8, 1; 8, 2; 12, 1; 12, 2);
            }
            Panels::Bits4 { lines, scales, minima } => {
                inputs.check(lines.len(), LINES_4, scales.len().min(minima.len()), 2, sums.len());
                macro_rules! call {
                    ($($rows:literal, $panels:literal);*) => {
                        match (tile.height, panels.len()) {
                            $(($rows, $panels) => unsafe {
                                bits_4::<$rows, $panels>(&inputs, lines, scales, minima, sums)
                            },)*
                            (height, n) => unreachable!("no kernel for {height} rows and {n} panels"),
                        }
                    };
                }
                call!(1, 1; 1, 2; 1, 3; 1, 4; 2, 1; 2, 2; 2, 3; 2, 4; 4, 1; 4, 2; 8, 1; 8, 2; 12, 1; 12, 2);
            }
        }
    }

    /// What a kernel reads besides weights.
    struct Inputs<'a> {
        n_blocks: usize,
        tile: &'a Tile,
        panels: Range<usize>,
    }

    impl Inputs<'_> {
        fn check(&self, n_lines: usize, lines: usize, n_scales: usize, scales: usize, n_sums: usize) {
            let Self { n_blocks, tile, panels } = self;
            assert!(panels.end * n_blocks * lines <= n_lines && panels.end * n_blocks * scales <= n_scales);
            assert!(tile.values.len() >= n_blocks * BLOCK * tile.height);
            assert!(tile.scales.len() >= n_blocks * tile.height);
            assert!(tile.half_sums.len() >= 2 * n_blocks * tile.height);
            assert_eq!(n_sums, tile.height * panels.len());
        }
    }

    /// 4 values of one row, in every lane.
    ///
    /// # Safety
    /// `values` holds group `group` of a tile of `R` rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn broadcast<const R: usize>(values: *const i8, group: usize, row: usize) -> __m512i {
        unsafe { _mm512_set1_epi32(values.cast::<i32>().add(group * R + row).read_unaligned()) }
    }

    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn bits_8<const R: usize, const P: usize>(
        inputs: &Inputs<'_>,
        lines: &[Line],
        scales: &[[f32; LANES]],
        sums: &mut [[f32; LANES]],
    ) {
        let (n_blocks, tile, first) = (inputs.n_blocks, inputs.tile, inputs.panels.start);
        let mut totals = [[_mm512_setzero_ps(); P]; R];
        unsafe {
            for block in 0..n_blocks {
                let values = tile.values.as_ptr().add(block * BLOCK * R);
                let halves = tile.half_sums.as_ptr().add(block * 2 * R);
                let weights: [*const u8; P] = std::array::from_fn(|p| {
                    lines.as_ptr().add(((first + p) * n_blocks + block) * LINES_8).cast()
                });
                // Weights are stored with 128 added, which is taken off here.
                let mut dots: [[__m512i; P]; R] = std::array::from_fn(|row| {
                    [_mm512_set1_epi32(-128 * (*halves.add(row) + *halves.add(R + row))); P]
                });
                for group in 0..GROUPS {
                    let weights: [__m512i; P] =
                        std::array::from_fn(|p| _mm512_load_si512(weights[p].add(group * 64).cast()));
                    for (row, dots) in dots.iter_mut().enumerate() {
                        let x = broadcast::<R>(values, group, row);
                        for p in 0..P {
                            dots[p] = _mm512_dpbusd_epi32(dots[p], weights[p], x);
                        }
                    }
                }
                let scales: [__m512; P] = std::array::from_fn(|p| {
                    _mm512_loadu_ps(scales.as_ptr().add((first + p) * n_blocks + block).cast())
                });
                for row in 0..R {
                    let scale = _mm512_set1_ps(*tile.scales.as_ptr().add(block * R + row));
                    for p in 0..P {
                        let dot = _mm512_cvtepi32_ps(dots[row][p]);
                        let both = _mm512_mul_ps(scales[p], scale);
                        totals[row][p] = _mm512_fmadd_ps(dot, both, totals[row][p]);
                    }
                }
            }
            store(&totals, sums);
        }
    }

    /// The upper halves of 16 f32.
    ///
    /// # Safety
    /// `upper` points to 16 values.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn widened(upper: *const u16) -> __m512 {
        let upper = unsafe { _mm256_loadu_si256(upper.cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(upper)))
    }

    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn bits_4<const R: usize, const P: usize>(
        inputs: &Inputs<'_>,
        lines: &[Line],
        scales: &[[u16; LANES]],
        minima: &[[u16; LANES]],
        sums: &mut [[f32; LANES]],
    ) {
        let (n_blocks, tile, first) = (inputs.n_blocks, inputs.tile, inputs.panels.start);
        let mut totals = [[_mm512_setzero_ps(); P]; R];
        let low = _mm512_set1_epi8(15);
        unsafe {
            for block in 0..n_blocks {
                for half in 0..2 {
                    let values = tile.values.as_ptr().add((block * GROUPS + half * LINES_4) * 4 * R);
                    let mut dots = [[_mm512_setzero_si512(); P]; R];
                    for group in 0..LINES_4 {
                        let weights: [__m512i; P] = std::array::from_fn(|p| {
                            let line = ((first + p) * n_blocks + block) * LINES_4 + group;
                            let both = _mm512_load_si512(lines.as_ptr().add(line).cast());
                            let nibbles = if half == 0 { both } else { _mm512_srli_epi16::<4>(both) };
                            _mm512_and_si512(nibbles, low)
                        });
                        for (row, dots) in dots.iter_mut().enumerate() {
                            let x = broadcast::<R>(values, group, row);
                            for p in 0..P {
                                dots[p] = _mm512_dpbusd_epi32(dots[p], weights[p], x);
                            }
                        }
                    }
                    let at = |p: usize| ((first + p) * n_blocks + block) * 2 + half;
                    let weight_scales: [__m512; P] =
                        std::array::from_fn(|p| widened(scales.as_ptr().add(at(p)).cast()));
                    let weight_minima: [__m512; P] =
                        std::array::from_fn(|p| widened(minima.as_ptr().add(at(p)).cast()));
                    for row in 0..R {
                        let scale = *tile.scales.as_ptr().add(block * R + row);
                        let sum = *tile.half_sums.as_ptr().add((block * 2 + half) * R + row);
                        let (scale, sum) = (_mm512_set1_ps(scale), _mm512_set1_ps(sum as f32 * scale));
                        for p in 0..P {
                            let dot = _mm512_cvtepi32_ps(dots[row][p]);
                            let both = _mm512_mul_ps(weight_scales[p], scale);
                            let total = _mm512_fmadd_ps(dot, both, totals[row][p]);
                            totals[row][p] = _mm512_fmadd_ps(sum, weight_minima[p], total);
                        }
                    }
                }
            }
            store(&totals, sums);
        }
    }

    /// # Safety
    /// `sums` holds R x P entries.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn store<const R: usize, const P: usize>(totals: &[[__m512; P]; R], sums: &mut [[f32; LANES]]) {
        for (row, totals) in totals.iter().enumerate() {
            for (p, total) in totals.iter().enumerate() {
                unsafe { _mm512_storeu_ps(sums.as_mut_ptr().add(row * P + p).cast(), *total) };
            }
        }
    }
}
