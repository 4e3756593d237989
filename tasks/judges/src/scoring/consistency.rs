//! Whether a printed row of shares can be true: each cell must be some whole number of right answers of its size, and the
//! average must be the mean of what is printed beside it.
//!
//! Invariants: cells and the mean over all answers are compared in whole numbers. Nothing is rounded, and a share that lies
//! half-way between two printed ones fits both. A cell that fits no whole number is not mended: the average is then compared
//! with all that its print allows.
//! Source: the specification's section 1.8, which found three published rows that do not fit.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// A share in percent as it was printed, such as `82.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printed {
    /// The number without its point.
    units: u64,
    decimals: u32,
}

/// Why a row cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowError {
    /// What is printed is no share.
    #[error(
        "`{text}` is no share in percent: it is a number from 0 to 100 with at most {MAX_DECIMALS} decimals, such as 82.5"
    )]
    NoShare {
        /// What is printed.
        text: String,
    },
    /// A row without cells.
    #[error("the row has no cell")]
    NoCell,
    /// A cell of no answers, or of more than can be counted.
    #[error("cell {cell_idx} has {n} answers: it is from 1 to {MAX_ANSWERS}")]
    Answers {
        /// Which cell, from 0 on.
        cell_idx: usize,
        /// How many answers it should have.
        n: u64,
    },
}

/// With more of them products would leave 128 bits.
const MAX_DECIMALS: u32 = 6;
const MAX_ANSWERS: u64 = 1 << 40;

/// A printed cell, and of how many answers it is the share.
pub type PrintedCell = (Printed, u64);

/// What was found out about a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFit {
    /// For each cell how many right answers give what is printed; nothing if no whole number does.
    pub counts: Vec<Option<RangeInclusive<u64>>>,
    /// Whether the average is the mean over all answers: the sum of right ones by the sum of all.
    pub is_micro: bool,
    /// Whether the average is the mean of the cells.
    pub is_macro: bool,
}

impl RowFit {
    /// Whether every cell is a whole number of right answers, and the average their mean over all answers. This is what a
    /// table of our own must be.
    pub fn is_consistent(&self) -> bool {
        self.is_micro && self.counts.iter().all(Option::is_some)
    }
}

/// Looks at a row of cells and its average.
///
/// # Errors
/// If there is no cell, or one that counts nothing.
pub fn check(cells: &[PrintedCell], average: Printed) -> Result<RowFit, RowError> {
    if cells.is_empty() {
        return Err(RowError::NoCell);
    }
    if let Some((cell_idx, &(_, n))) =
        cells.iter().enumerate().find(|(_, (_, n))| !(1..=MAX_ANSWERS).contains(n))
    {
        return Err(RowError::Answers { cell_idx, n });
    }
    let counts: Vec<_> = cells.iter().map(|(printed, n)| printed.counts(*n)).collect();
    let is_micro = is_micro(cells, &counts, average);
    let is_macro = is_macro(cells, &counts, average);
    Ok(RowFit { counts, is_micro, is_macro })
}

/// Right answers of a cell in parts of one, so that bounds of what is printed are whole numbers, too: the least and the most.
fn bounds((printed, n): PrintedCell, counts: Option<&RangeInclusive<u64>>) -> [i128; 2] {
    match counts {
        Some(counts) => [counts.start(), counts.end()].map(|count| i128::from(*count) * PARTS),
        None => printed.bounds().map(|bound| bound * i128::from(n)),
    }
}

fn is_micro(cells: &[PrintedCell], counts: &[Option<RangeInclusive<u64>>], average: Printed) -> bool {
    let n: u64 = cells.iter().map(|(_, n)| n).sum();
    let bounds = cells.iter().zip(counts).map(|(cell, counts)| bounds(*cell, counts.as_ref()));
    let [least, most] = bounds.fold([0, 0], |[a, b], [least, most]| [a + least, b + most]);
    if counts.iter().all(Option::is_some) {
        // Only whole numbers of right answers are possible.
        let Some(wanted) = average.counts(n) else { return false };
        return i128::from(*wanted.start()) * PARTS <= most && least <= i128::from(*wanted.end()) * PARTS;
    }
    let [low, high] = average.bounds().map(|bound| bound * i128::from(n));
    low <= most && least <= high
}

fn is_macro(cells: &[PrintedCell], counts: &[Option<RangeInclusive<u64>>], average: Printed) -> bool {
    /// Sums of doubles are this exact, and half of the last decimal is far more.
    const EXACT: f64 = 1e-12;
    let mean = |shares: Vec<f64>| shares.iter().sum::<f64>() / cells.len() as f64;
    let bound = |idx: usize| {
        let share_of = |(cell, counts): (&PrintedCell, &Option<RangeInclusive<u64>>)| {
            share(bounds(*cell, counts.as_ref())[idx]) / cell.1 as f64
        };
        mean(cells.iter().zip(counts).map(share_of).collect())
    };
    // Some take the mean of the shares that they print.
    let printed = mean(cells.iter().map(|(printed, _)| printed.share()).collect());
    let [low, high] = average.bounds().map(share);
    let meets = |least: f64, most: f64| low <= most + EXACT && least <= high + EXACT;
    meets(bound(0), bound(1)) || meets(printed, printed)
}

/// How many parts one right answer has: twice a hundred percent of the most decimals.
const PARTS: i128 = 200 * 10_i128.pow(MAX_DECIMALS);

fn share(parts: i128) -> f64 {
    parts as f64 / PARTS as f64
}

impl Printed {
    /// The share, from 0 to 1.
    pub fn share(self) -> f64 {
        self.units as f64 / (100 * 10_u64.pow(self.decimals)) as f64
    }

    /// How many of `n` answers give what is printed; nothing if no whole number does.
    pub fn counts(self, n: u64) -> Option<RangeInclusive<u64>> {
        let n = i128::from(n);
        let [least, most] = self.bounds().map(|bound| bound * n);
        let first = least.max(0).div_euclid(PARTS) + i128::from(least.max(0).rem_euclid(PARTS) > 0);
        let last = most.div_euclid(PARTS).min(n);
        let counts = u64::try_from(first).ok()?..=u64::try_from(last).ok()?;
        (!counts.is_empty()).then_some(counts)
    }

    /// The least and the most that is printed so, in parts of one.
    fn bounds(self) -> [i128; 2] {
        let unit = 10_i128.pow(MAX_DECIMALS - self.decimals);
        [-unit, unit].map(|half| 2 * i128::from(self.units) * unit + half)
    }
}

impl FromStr for Printed {
    type Err = RowError;

    fn from_str(text: &str) -> Result<Self, RowError> {
        let none = || RowError::NoShare { text: text.to_owned() };
        let (whole, fraction) =
            text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let fraction = match fraction {
            Some(fraction) if !is_number(fraction) => return Err(none()),
            Some(fraction) => fraction,
            None => "",
        };
        let decimals = u32::try_from(fraction.len()).ok().filter(|&decimals| decimals <= MAX_DECIMALS);
        let (Some(decimals), true) = (decimals, is_number(whole)) else { return Err(none()) };
        let units: u64 = format!("{whole}{fraction}").parse().map_err(|_too_large| none())?;
        if units > 100 * 10_u64.pow(decimals) { Err(none()) } else { Ok(Self { units, decimals }) }
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = 10_u64.pow(self.decimals);
        let (whole, rest) = (self.units / scale, self.units % scale);
        match self.decimals {
            0 => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{rest:0width$}", width = decimals as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of ScreenSpot: texts and icons of mobile, desktop and web.
    const V1: [u64; 6] = [273, 229, 194, 140, 230, 206];
    const V2: [u64; 6] = [290, 211, 194, 140, 234, 203];
    /// Cells of ScreenSpot-Pro: texts and icons of Dev, Creative, CAD, Scientific, Office and OS.
    const PRO: [u64; 12] = [154, 145, 198, 143, 197, 64, 144, 110, 177, 53, 107, 89];

    fn printed(text: &str) -> Printed {
        text.parse().unwrap()
    }

    fn row(sizes: &[u64], row: &str) -> RowFit {
        let mut shares: Vec<Printed> = row.split_whitespace().map(printed).collect();
        let average = shares.pop().unwrap();
        assert_eq!(shares.len(), sizes.len(), "{row}");
        let cells: Vec<_> = shares.into_iter().zip(sizes.iter().copied()).collect();
        check(&cells, average).unwrap()
    }

    /// How many cells fit, and which mean the average is.
    #[track_caller]
    fn expect(sizes: &[u64], text: &str, n_fit: usize, is_micro: bool, is_macro: bool) {
        let fit = row(sizes, text);
        let found = fit.counts.iter().flatten().count();
        assert_eq!(
            (found, fit.is_micro, fit.is_macro),
            (n_fit, is_micro, is_macro),
            "{text} {:?}",
            fit.counts
        );
        assert_eq!(fit.is_consistent(), is_micro && n_fit == sizes.len());
    }

    // The rows are those of the tables in UI-TARS' README (@main, README_v1.md) and of GUI-G2's page. The last number of each
    // is the average.

    #[test]
    fn later_rows_of_v1_are_means_over_answers() {
        expect(&V1, "93.0 72.9 91.8 62.9 90.9 74.3 82.5", 6, true, false); // OS-Atlas-7B
        expect(&V1, "94.5 85.2 95.9 85.7 90.0 83.5 89.5", 6, true, false); // UI-TARS-7B
    }

    #[test]
    fn first_rows_of_v1_are_means_of_cells() {
        expect(&V1, "78.0 52.0 72.2 30.0 55.7 32.5 53.4", 6, false, true); // SeeClick
        expect(&V1, "82.8 60.3 82.5 63.6 80.4 70.4 73.3", 6, false, true); // UGround-7B
        expect(&V1, "93.4 76.9 92.8 67.9 88.7 68.9 81.4", 6, false, true); // GPT-4o plans for UGround-7B
        // Some of their cells are no whole number of answers.
        expect(&V1, "20.2 24.9 21.1 23.6 12.2 7.8 18.3", 5, false, true); // GPT-4o
    }

    #[test]
    fn a_row_of_v2_tells_its_sizes() {
        let os_atlas = "95.2 75.8 90.7 63.6 90.6 77.3";
        expect(&V2, &format!("{os_atlas} 84.1"), 6, true, false);
        expect(&V2, &format!("{os_atlas} 85.1"), 6, false, false);
        // The row of SeeClick was measured on v1: there all of it fits.
        let seeclick = "78.4 50.7 70.1 29.3 55.2 32.5 55.1";
        expect(&V1, seeclick, 6, true, false);
        let on_v2 = row(&V2, seeclick);
        assert!(!on_v2.is_consistent() && !on_v2.is_micro, "{on_v2:?}");
    }

    #[test]
    fn rows_of_pro_fit_or_do_not() {
        // OS-Atlas-7B
        expect(&PRO, "33.1 1.4 28.8 2.8 12.2 4.7 37.5 7.3 33.9 5.7 27.1 4.5 18.9", 12, true, false);
        // GUI-R1-7B: a cell is cut and not rounded, and the average is another one.
        let gui_r1 = "49.4 4.8 38.9 8.4 23.9 6.3 55.6 11.8 58.7 26.4 42.1 16.9";
        expect(&PRO, &format!("{gui_r1} 31.0"), 11, false, false);
        expect(&PRO, &format!("{gui_r1} 31.2"), 11, true, false);
        // Claude Computer Use: hardly a cell is a whole number of answers, and the average is right.
        let claude = row(&PRO, "22.0 3.9 25.9 3.4 14.5 3.7 33.9 15.8 30.1 16.3 11.0 4.5 17.1");
        assert!(claude.is_micro && !claude.is_consistent(), "{claude:?}");
        assert_eq!(claude.counts[0], None);
    }

    #[test]
    fn counts_are_those_that_print_so() {
        for n in [1_u64, 3, 64, 200, 1_000, 2_001] {
            for k in 0..=n {
                // The tenths of a percent below and above the share: the nearer one is printed, or either of them.
                let below = 1_000 * k / n;
                for units in below..=1_000.min(below + 1) {
                    let is_printed = (1_000 * k).abs_diff(units * n) * 2 <= n;
                    let printed = Printed { units, decimals: 1 };
                    let is_counted = printed.counts(n).is_some_and(|counts| counts.contains(&k));
                    assert_eq!(is_counted, is_printed, "{k} of {n}: {printed}");
                }
            }
        }
        assert_eq!(printed("50").counts(3), None);
        assert_eq!(printed("33").counts(3), Some(1..=1));
        assert_eq!(printed("0.0").counts(10_000), Some(0..=5));
        assert_eq!(printed("100").counts(7), Some(7..=7));
        assert_eq!(printed("6.3").counts(64), Some(4..=4));
        assert_eq!(printed("6.2").counts(64), Some(4..=4));
    }

    #[test]
    fn what_is_printed_is_read_and_written() {
        for text in ["0", "0.0", "82.5", "7.05", "100", "100.00", "0.000001"] {
            assert_eq!(printed(text).to_string(), text);
        }
        for text in [
            "",
            ".5",
            "5.",
            "-1",
            "+1",
            "100.1",
            "101",
            "1e1",
            "82,5",
            "5.0000000",
            "NaN",
            " 5",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Printed>().is_err(), "{text}");
        }
        assert_eq!(check(&[], printed("1")), Err(RowError::NoCell));
        let none = check(&[(printed("1"), 1), (printed("1"), 0)], printed("1"));
        assert_eq!(none, Err(RowError::Answers { cell_idx: 1, n: 0 }));
    }
}
