//! The products with AVX-512 and dot products of 8 bits or of bf16. Invariant: called only after the instructions
//! were found ([`crate::Isa::detect`]; bf16 by its own question); on other architectures this file is the portable
//! code.

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{dot_products, multiply, multiply_pairs, multiply_panel, scores_of_keys};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use crate::portable::multiply;

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn scores_of_keys<const N: usize>(
    lanes: &[[f32; crate::LANES]],
    keys: [&[f32]; N],
) -> [[f32; crate::LANES]; N] {
    keys.map(|key| crate::portable::scores_of_key(lanes, key))
}

/// Rows of bf16, two neighbours along the sum in 32 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairs<'a> {
    pub(crate) values: &'a [u32],
    /// Entries from one row to the next.
    pub(crate) row: usize,
    /// Entries from one pair to the next.
    pub(crate) pair: usize,
}

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn multiply_pairs(
    _: Pairs<'_>,
    _: &[[u32; crate::LANES]],
    _: [usize; 3],
    _: &mut [[f32; crate::LANES]],
    _: [usize; 2],
) {
    unreachable!("products of bf16 run only where the instruction was found")
}

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn dot_products(_: &[f32], _: usize, _: &[f32], _: &mut [f32]) {
    unreachable!("products of few rows run only where the instructions were found")
}

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn multiply_panel(_: &[f32], _: usize, _: &[f32], _: &mut [f32], _: [usize; 3]) {
    unreachable!("products of many rows run only where the instructions were found")
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions read through pointers")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Pairs;
    use crate::activations::Tile;
    use crate::matrix::{Format, Line, Meeting};
    use crate::{BLOCK, GROUPS, LANES, PART, PART_GROUPS, PARTS};

    /// `sums`: `[row][panel][lane]`, added to.
    pub(crate) fn multiply(meeting: &Meeting<'_>, sums: &mut [[f32; LANES]]) {
        check(meeting, sums.len());
        macro_rules! call {
            ($kernel:ident: $($rows:literal, $panels:literal);*) => {
                match (meeting.tile.height, meeting.panels.len()) {
                    // SAFETY: the instructions were detected, the sizes are checked above.
                    $(($rows, $panels) => unsafe { $kernel::<$rows, $panels>(meeting, sums) },)*
                    (height, n) => unreachable!("no kernel for {height} rows and {n} panels"),
                }
            };
        }
        match meeting.format {
            Format::Bits8 => {
                call!(bits_8: 1, 1; 1, 2; 1, 3; 1, 4; 2, 1; 2, 2; 2, 3; 2, 4; 4, 1; 4, 2; 8, 1; 8, 2; 12, 1; 12, 2);
            }
            Format::Bits4 if meeting.tile.height <= 2 => {
                call!(bits_4_few: 1, 1; 1, 2; 2, 1; 2, 2);
            }
            Format::Bits4 => call!(bits_4: 4, 1; 4, 2; 8, 1; 8, 2; 12, 1; 12, 2),
        }
    }

    fn check(meeting: &Meeting<'_>, n_sums: usize) {
        let Meeting { format, lines, n_blocks, panels, blocks, tile } = meeting;
        assert!(panels.end * n_blocks * format.lines() <= lines.len() && blocks.end <= *n_blocks);
        assert!(tile.values.len() >= n_blocks * BLOCK * tile.height);
        assert!(tile.scales.len() >= n_blocks * tile.height);
        assert!(tile.sums.len() >= n_blocks * tile.height);
        assert!(tile.part_sums.len() >= n_blocks * PARTS * tile.height);
        assert_eq!(n_sums, tile.height * panels.len());
    }

    /// As [`crate::portable::scores_of_key`], of several keys whose sums do not wait for each other.
    pub(crate) fn scores_of_keys<const N: usize>(
        lanes: &[[f32; LANES]],
        keys: [&[f32]; N],
    ) -> [[f32; LANES]; N] {
        assert!(keys.iter().all(|key| key.len() == lanes.len()), "width of keys");
        // SAFETY: the instructions were detected, and each key has a value for each of the lanes.
        unsafe { sums_of_keys(lanes, keys) }
    }

    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn sums_of_keys<const N: usize>(lanes: &[[f32; LANES]], keys: [&[f32]; N]) -> [[f32; LANES]; N] {
        let mut sums = [_mm512_setzero_ps(); N];
        for (input, lanes) in lanes.iter().enumerate() {
            let lanes = unsafe { _mm512_loadu_ps(lanes.as_ptr()) };
            // Keys lie close together: those of the next call are on their way meanwhile.
            if input.is_multiple_of(LANES) {
                for key in &keys {
                    _mm_prefetch::<_MM_HINT_T0>(key.as_ptr().wrapping_add(input + N * key.len()).cast());
                }
            }
            for (sum, key) in sums.iter_mut().zip(&keys) {
                *sum = _mm512_fmadd_ps(_mm512_set1_ps(unsafe { *key.get_unchecked(input) }), lanes, *sum);
            }
        }
        sums.map(|sum| {
            let mut lanes = [0.0_f32; LANES];
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
            lanes
        })
    }

    /// The dot products of rows with weights, both rows of `n_in` values: `[row][output]`. Each is summed in the same
    /// order, whatever stands beside it.
    pub(crate) fn dot_products(x: &[f32], n_in: usize, weights: &[f32], y: &mut [f32]) {
        let (n_rows, n_out) = (x.len() / n_in, weights.len() / n_in);
        assert_eq!(y.len(), n_rows * n_out, "results of a product");
        // Weights that stay in the first-level cache while the rows pass over them.
        const IN_CACHE: usize = (16 << 10) / size_of::<f32>();
        let at_once = (IN_CACHE / n_in).max(1).next_multiple_of(4);
        for first in (0..n_out).step_by(at_once) {
            let last = n_out.min(first + at_once);
            let mut row = 0;
            while row < n_rows {
                let height = [4, 2, 1].into_iter().find(|height| n_rows - row >= *height).unwrap_or(1);
                let mut output = first;
                while output < last {
                    // SAFETY: the instructions were detected; rows and outputs are inside the matrices.
                    let (width, sums) = unsafe {
                        let (x, w) = (x.as_ptr().add(row * n_in), weights.as_ptr().add(output * n_in));
                        match (height, last - output) {
                            (4, 4..) => (4, dots::<4, 4>(x, w, n_in)),
                            (4, _) => (1, dots::<4, 1>(x, w, n_in)),
                            (2, 4..) => (4, dots::<2, 4>(x, w, n_in)),
                            (2, _) => (1, dots::<2, 1>(x, w, n_in)),
                            // More at once, because no sum can wait for itself.
                            (_, 8..) => (8, dots::<1, 8>(x, w, n_in)),
                            (_, 4..) => (4, dots::<1, 4>(x, w, n_in)),
                            _ => (1, dots::<1, 1>(x, w, n_in)),
                        }
                    };
                    for (row, sums) in (row..row + height).zip(sums.chunks_exact(width)) {
                        y[row * n_out + output..][..width].copy_from_slice(sums);
                    }
                    output += width;
                }
                row += height;
            }
        }
    }

    /// Products of rows of `n_in` values with a panel of weights, `[input][output of the panel]`, two registers wide. They
    /// are written to rows of `n_out` values, `width` of them from `first` on.
    pub(crate) fn multiply_panel(
        x: &[f32],
        n_in: usize,
        panel: &[f32],
        y: &mut [f32],
        [first, width, n_out]: [usize; 3],
    ) {
        let n_rows = x.len() / n_in;
        assert!(panel.len() == n_in * 2 * LANES && width <= 2 * LANES && first + width <= n_out);
        assert_eq!(y.len(), n_rows * n_out, "results of a product");
        let mask = |width: usize| ((1_u32 << width.min(LANES)) - 1) as u16;
        let masks = [mask(width), mask(width.saturating_sub(LANES))];
        let mut row = 0;
        while row < n_rows {
            // SAFETY: the instructions were detected; rows, panel and results were checked above.
            row += unsafe {
                let (x, y) = (x.as_ptr().add(row * n_in), y.as_mut_ptr().add(row * n_out + first));
                match n_rows - row {
                    12.. => rows_by_panel::<12>(x, n_in, panel.as_ptr(), y, n_out, masks),
                    6.. => rows_by_panel::<6>(x, n_in, panel.as_ptr(), y, n_out, masks),
                    3.. => rows_by_panel::<3>(x, n_in, panel.as_ptr(), y, n_out, masks),
                    _ => rows_by_panel::<1>(x, n_in, panel.as_ptr(), y, n_out, masks),
                }
            };
        }
    }

    /// `R` rows by a panel; says how many rows.
    ///
    /// # Safety
    /// The instructions exist; rows, panel and results lie behind the pointers.
    #[target_feature(enable = "avx512f")]
    unsafe fn rows_by_panel<const R: usize>(
        x: *const f32,
        n_in: usize,
        panel: *const f32,
        y: *mut f32,
        n_out: usize,
        masks: [u16; 2],
    ) -> usize {
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        for input in 0..n_in {
            // SAFETY: the caller's.
            unsafe {
                let at = panel.add(input * 2 * LANES);
                let weights = [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(LANES))];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*x.add(row * n_in + input));
                    *sums =
                        [_mm512_fmadd_ps(x, weights[0], sums[0]), _mm512_fmadd_ps(x, weights[1], sums[1])];
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: the caller's; a mask without a lane writes nothing.
            unsafe {
                let y = y.add(row * n_out);
                _mm512_mask_storeu_ps(y, masks[0], sums[0]);
                _mm512_mask_storeu_ps(y.wrapping_add(LANES), masks[1], sums[1]);
            }
        }
        R
    }

    /// The dot products of `R` rows with `O` outputs, `[row][output]`, 16 at most; what is beyond them is 0.
    ///
    /// # Safety
    /// The instructions exist; the rows and the weights lie behind the pointers, `k` values each.
    #[target_feature(enable = "avx512f")]
    unsafe fn dots<const R: usize, const O: usize>(
        x: *const f32,
        weights: *const f32,
        k: usize,
    ) -> [f32; LANES] {
        let mut sums = [_mm512_setzero_ps(); LANES];
        let rest = k % LANES;
        for at in (0..k - rest).step_by(LANES) {
            let x: [__m512; R] = std::array::from_fn(|r| unsafe { _mm512_loadu_ps(x.add(r * k + at)) });
            for o in 0..O {
                let weights = unsafe { _mm512_loadu_ps(weights.add(o * k + at)) };
                for (r, x) in x.iter().enumerate() {
                    sums[r * O + o] = _mm512_fmadd_ps(*x, weights, sums[r * O + o]);
                }
            }
        }
        if rest > 0 {
            let (at, mask) = (k - rest, (1_u16 << rest) - 1);
            let x: [__m512; R] =
                std::array::from_fn(|r| unsafe { _mm512_maskz_loadu_ps(mask, x.add(r * k + at)) });
            for o in 0..O {
                let weights = unsafe { _mm512_maskz_loadu_ps(mask, weights.add(o * k + at)) };
                for (r, x) in x.iter().enumerate() {
                    sums[r * O + o] = _mm512_fmadd_ps(*x, weights, sums[r * O + o]);
                }
            }
        }
        let mut lanes = [0.0_f32; LANES];
        let total = sums_of_lanes(&sums);
        // SAFETY: as many values as the array has.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), total) };
        lanes
    }

    /// The sum of each register's lanes, always in the same order.
    #[target_feature(enable = "avx512f")]
    fn sums_of_lanes(sums: &[__m512; LANES]) -> __m512 {
        // In each quarter of a register, a lane for each of four.
        let fours: [__m512; 4] = std::array::from_fn(|i| {
            let [a, b, c, d] = std::array::from_fn(|j| sums[4 * i + j]);
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            _mm512_add_ps(_mm512_shuffle_ps::<0x44>(ab, cd), _mm512_shuffle_ps::<0xEE>(ab, cd))
        });
        let quarters = |a: __m512, b: __m512| {
            _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b))
        };
        quarters(quarters(fours[0], fours[1]), quarters(fours[2], fours[3]))
    }

    /// Adds products of rows of bf16 with panels of bf16 columns, in f32.
    ///
    /// # Shapes
    /// `[m, k, n]` are rows, pairs and panels. a: m rows of k pairs, b: `[panel][pair][lane]`, sums: entry
    /// `row * strides[0] + panel * strides[1]` for each of m rows and n panels.
    pub(crate) fn multiply_pairs(
        a: Pairs<'_>,
        b: &[[u32; LANES]],
        [m, k, n]: [usize; 3],
        sums: &mut [[f32; LANES]],
        strides: [usize; 2],
    ) {
        assert!(m > 0 && k > 0 && n > 0, "an empty product");
        assert!((m - 1) * a.row + (k - 1) * a.pair < a.values.len(), "rows of a product");
        assert_eq!(b.len(), k * n, "columns of a product");
        assert!((m - 1) * strides[0] + (n - 1) * strides[1] < sums.len(), "sums of a product");
        let mut panel = 0;
        while panel < n {
            // Four panels are two and two: one alone would leave most of its time to loads.
            let width = match n - panel {
                4 => 2,
                left => left.min(3),
            };
            let mut row = 0;
            while row < m {
                let height = [8, 4, 2, 1].into_iter().find(|height| m - row >= *height).unwrap_or(1);
                // SAFETY: the instructions were detected; rows, columns and sums are inside their slices, as just
                // checked for the last of each.
                unsafe {
                    let a = (a.values.as_ptr().add(row * a.row), a.row, a.pair);
                    let b = b.as_ptr().add(panel * k);
                    let sums = sums.as_mut_ptr().add(row * strides[0] + panel * strides[1]);
                    macro_rules! call {
                        ($($rows:literal, $panels:literal);*) => {
                            match (height, width) {
                                $(($rows, $panels) => pairs::<$rows, $panels>(a, b, k, sums, strides),)*
                                _ => unreachable!("no kernel for {height} rows and {width} panels"),
                            }
                        };
                    }
                    call!(8, 3; 8, 2; 8, 1; 4, 3; 4, 2; 4, 1; 2, 3; 2, 2; 2, 1; 1, 3; 1, 2; 1, 1);
                }
                row += height;
            }
            panel += width;
        }
    }

    /// # Safety
    /// The instructions exist; `R` rows of `k` pairs, `P` panels and the sums of both lie behind the pointers.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pairs<const R: usize, const P: usize>(
        (a, row, pair): (*const u32, usize, usize),
        b: *const [u32; LANES],
        k: usize,
        sums: *mut [f32; LANES],
        strides: [usize; 2],
    ) {
        unsafe {
            let at = |r: usize, p: usize| sums.add(r * strides[0] + p * strides[1]).cast::<f32>();
            let mut totals: [[__m512; P]; R] =
                std::array::from_fn(|r| std::array::from_fn(|p| _mm512_loadu_ps(at(r, p))));
            for i in 0..k {
                let columns: [__m512bh; P] = std::array::from_fn(|p| {
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(b.add(p * k + i).cast()))
                });
                for (r, totals) in totals.iter_mut().enumerate() {
                    let value = _mm512_set1_epi32(a.add(r * row + i * pair).read().cast_signed());
                    let value = std::mem::transmute::<__m512i, __m512bh>(value);
                    for (total, column) in totals.iter_mut().zip(columns) {
                        *total = _mm512_dpbf16_ps(*total, column, value);
                    }
                }
            }
            for (r, totals) in totals.iter().enumerate() {
                for (p, total) in totals.iter().enumerate() {
                    _mm512_storeu_ps(at(r, p), *total);
                }
            }
        }
    }

    /// The lines of one block of `P` panels.
    ///
    /// # Safety
    /// The block is one of the meeting's.
    #[inline]
    unsafe fn lines<const P: usize>(meeting: &Meeting<'_>, block: usize) -> [*const Line; P] {
        std::array::from_fn(|p| {
            let at = (meeting.panels.start + p) * meeting.n_blocks + block;
            unsafe { meeting.lines.as_ptr().add(at * meeting.format.lines()) }
        })
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
    unsafe fn bits_8<const R: usize, const P: usize>(meeting: &Meeting<'_>, sums: &mut [[f32; LANES]]) {
        let tile = meeting.tile;
        unsafe {
            let mut totals = load::<R, P>(sums);
            for block in meeting.blocks.clone() {
                let values = tile.values.as_ptr().add(block * BLOCK * R);
                let sums = tile.sums.as_ptr().add(block * R);
                let lines = lines::<P>(meeting, block);
                // Weights are stored with 128 added, which is taken off here.
                let mut dots: [[__m512i; P]; R] =
                    std::array::from_fn(|row| [_mm512_set1_epi32(-128 * *sums.add(row)); P]);
                for group in 0..GROUPS {
                    let weights: [__m512i; P] =
                        std::array::from_fn(|p| _mm512_load_si512(lines[p].add(group).cast()));
                    for (row, dots) in dots.iter_mut().enumerate() {
                        let x = broadcast::<R>(values, group, row);
                        for p in 0..P {
                            dots[p] = _mm512_dpbusd_epi32(dots[p], weights[p], x);
                        }
                    }
                }
                let scales: [__m512; P] =
                    std::array::from_fn(|p| _mm512_load_ps(lines[p].add(GROUPS).cast()));
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

    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn bits_4<const R: usize, const P: usize>(meeting: &Meeting<'_>, sums: &mut [[f32; LANES]]) {
        let tile = meeting.tile;
        let low = _mm512_set1_epi8(15);
        unsafe {
            let mut totals = load::<R, P>(sums);
            for block in meeting.blocks.clone() {
                let lines = lines::<P>(meeting, block);
                for part in 0..PARTS {
                    let values = tile.values.as_ptr().add((block * BLOCK + part * PART) * R);
                    let mut dots = [[_mm512_setzero_si512(); P]; R];
                    for group in 0..PART_GROUPS {
                        let weights: [__m512i; P] = std::array::from_fn(|p| {
                            let both = _mm512_load_si512(lines[p].add(part / 2 * PART_GROUPS + group).cast());
                            let nibbles = if part % 2 == 0 { both } else { _mm512_srli_epi16::<4>(both) };
                            _mm512_and_si512(nibbles, low)
                        });
                        for (row, dots) in dots.iter_mut().enumerate() {
                            let x = broadcast::<R>(values, group, row);
                            for p in 0..P {
                                dots[p] = _mm512_dpbusd_epi32(dots[p], weights[p], x);
                            }
                        }
                    }
                    add_part::<R, P>(tile, block, part, lines, &dots, &mut totals);
                }
            }
            store(&totals, sums);
        }
    }

    /// The same for few rows: each line is read once, for both of its parts, whose sums fit the registers.
    ///
    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn bits_4_few<const R: usize, const P: usize>(meeting: &Meeting<'_>, sums: &mut [[f32; LANES]]) {
        let tile = meeting.tile;
        let low = _mm512_set1_epi8(15);
        unsafe {
            let mut totals = load::<R, P>(sums);
            for block in meeting.blocks.clone() {
                let lines = lines::<P>(meeting, block);
                for pair in 0..PARTS / 2 {
                    let even = tile.values.as_ptr().add((block * BLOCK + 2 * pair * PART) * R);
                    let odd = even.add(PART * R);
                    let mut dots = [[[_mm512_setzero_si512(); P]; R]; 2];
                    for group in 0..PART_GROUPS {
                        let both: [__m512i; P] = std::array::from_fn(|p| {
                            _mm512_load_si512(lines[p].add(pair * PART_GROUPS + group).cast())
                        });
                        let [of_even, of_odd] = &mut dots;
                        for (row, (of_even, of_odd)) in of_even.iter_mut().zip(of_odd).enumerate() {
                            let x = broadcast::<R>(even, group, row);
                            let y = broadcast::<R>(odd, group, row);
                            for p in 0..P {
                                let high = _mm512_and_si512(_mm512_srli_epi16::<4>(both[p]), low);
                                of_even[p] =
                                    _mm512_dpbusd_epi32(of_even[p], _mm512_and_si512(both[p], low), x);
                                of_odd[p] = _mm512_dpbusd_epi32(of_odd[p], high, y);
                            }
                        }
                    }
                    for (half, dots) in dots.iter().enumerate() {
                        add_part::<R, P>(tile, block, 2 * pair + half, lines, dots, &mut totals);
                    }
                }
            }
            store(&totals, sums);
        }
    }

    /// Adds the dot products of a part, in the units of its weights and activations.
    ///
    /// # Safety
    /// The instructions exist and the sizes were checked.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add_part<const R: usize, const P: usize>(
        tile: &Tile,
        block: usize,
        part: usize,
        lines: [*const Line; P],
        dots: &[[__m512i; P]; R],
        totals: &mut [[__m512; P]; R],
    ) {
        unsafe {
            // Scales in the lower half of the line, minima in the upper one.
            let steps: [__m512i; P] =
                std::array::from_fn(|p| _mm512_load_si512(lines[p].add(GROUPS / 2 + part).cast()));
            let scales: [__m512; P] = std::array::from_fn(|p| widened(_mm512_castsi512_si256(steps[p])));
            let minima: [__m512; P] =
                std::array::from_fn(|p| widened(_mm512_extracti64x4_epi64::<1>(steps[p])));
            for row in 0..R {
                let scale = *tile.scales.as_ptr().add(block * R + row);
                let sum = *tile.part_sums.as_ptr().add((block * PARTS + part) * R + row);
                let (scale, sum) = (_mm512_set1_ps(scale), _mm512_set1_ps(sum as f32 * scale));
                for p in 0..P {
                    let dot = _mm512_cvtepi32_ps(dots[row][p]);
                    let both = _mm512_mul_ps(scales[p], scale);
                    let total = _mm512_fmadd_ps(dot, both, totals[row][p]);
                    totals[row][p] = _mm512_fmadd_ps(sum, minima[p], total);
                }
            }
        }
    }

    /// The f32 with these upper halves.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn widened(upper: __m256i) -> __m512 {
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(upper)))
    }

    /// # Safety
    /// `sums` holds R x P entries.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn load<const R: usize, const P: usize>(sums: &[[f32; LANES]]) -> [[__m512; P]; R] {
        std::array::from_fn(|row| {
            std::array::from_fn(|p| unsafe { _mm512_loadu_ps(sums.as_ptr().add(row * P + p).cast()) })
        })
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
