//! Numbers of coordinates: whole ones of any size, and in mode `fixed` also floats.
//!
//! Invariant: comparisons and distances are exact, as Python's are; a float is finite.

use std::cmp::Ordering;

/// A whole number of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Integer {
    is_negative: bool,
    /// Of base 2^32, the least significant first, without zeros at the end.
    limbs: Vec<u32>,
}

impl Integer {
    /// The number of digits in a base up to 16, without sign and underscores.
    pub(crate) fn of_digits(digits: &str, base: u32) -> Self {
        let values = digits.chars().filter_map(|c| c.to_digit(base));
        let mut limbs: Vec<u32> = Vec::new();
        if base.is_power_of_two() {
            // Such digits are bits: without this, very long ones would take time in squares.
            let (mut room, mut n_bits) = (0_u64, 0);
            for value in values.rev() {
                room |= u64::from(value) << n_bits;
                n_bits += base.trailing_zeros();
                if n_bits >= 32 {
                    limbs.push(low(room));
                    room >>= 32;
                    n_bits -= 32;
                }
            }
            limbs.push(low(room));
        } else {
            for value in values {
                let mut carry = u64::from(value);
                for limb in &mut limbs {
                    carry += u64::from(*limb) * u64::from(base);
                    *limb = low(carry);
                    carry >>= 32;
                }
                limbs.push(low(carry));
                trim(&mut limbs);
            }
        }
        Self::new(false, limbs)
    }

    /// The whole part of a finite float.
    fn of_float(value: f64) -> Self {
        let bits = value.abs().to_bits();
        let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1_075;
        let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
        if exponent < 0 {
            let whole = mantissa.checked_shr(exponent.unsigned_abs()).unwrap_or(0);
            return Self::new(value < 0.0, vec![low(whole), low(whole >> 32)]);
        }
        let shift = exponent.unsigned_abs();
        let mut limbs = vec![0; shift as usize / 32];
        let moved = u128::from(mantissa) << (shift % 32);
        limbs.extend([0, 32, 64].map(|at| low((moved >> at) as u64)));
        Self::new(value < 0.0, limbs)
    }

    fn new(is_negative: bool, mut limbs: Vec<u32>) -> Self {
        trim(&mut limbs);
        Self { is_negative: is_negative && !limbs.is_empty(), limbs }
    }

    /// The opposite number.
    pub(crate) fn negated(self) -> Self {
        Self::new(!self.is_negative, self.limbs)
    }

    fn size_cmp(&self, other: &Self) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// How far apart two numbers are, if that is less than 2^32.
    fn distance(&self, other: &Self) -> Option<u32> {
        if self.is_negative != other.is_negative {
            let small = |limbs: &[u32]| match *limbs {
                [] => Some(0),
                [limb] => Some(limb),
                _ => None,
            };
            return small(&self.limbs)?.checked_add(small(&other.limbs)?);
        }
        let (more, less) = match self.size_cmp(other) {
            Ordering::Less => (other, self),
            _ => (self, other),
        };
        let mut borrow = 0_i64;
        let mut rest = Vec::with_capacity(more.limbs.len());
        for (idx, &limb) in more.limbs.iter().enumerate() {
            let left = i64::from(limb) - i64::from(less.limbs.get(idx).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(left < 0);
            rest.push(low((left + (borrow << 32)) as u64));
        }
        trim(&mut rest);
        match *rest {
            [] => Some(0),
            [limb] => Some(limb),
            _ => None,
        }
    }

    fn to_float(&self) -> f64 {
        let size = self.limbs.iter().rev().fold(0.0, |sum, &limb| sum * 4_294_967_296.0 + f64::from(limb));
        if self.is_negative { -size } else { size }
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.size_cmp(other),
            (true, true) => other.size_cmp(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The lower half of a number.
fn low(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

fn trim(limbs: &mut Vec<u32>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// One number of a coordinate.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    /// Python's `int`; `True` and `False` are 1 and 0.
    Whole(Integer),
    /// Python's `float`, if it is finite.
    Float(f64),
}

impl Number {
    /// Whether it is at most the other one.
    pub(crate) fn is_at_most(&self, other: &Self) -> bool {
        self.compare(other) != Ordering::Greater
    }

    /// As Python compares: a whole number is not rounded to a float before.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Float(_), Self::Whole(_)) => other.compare(self).reverse(),
            (Self::Whole(a), Self::Float(b)) => {
                let fraction = 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal);
                a.cmp(&Integer::of_float(*b)).then(fraction)
            }
        }
    }

    /// As a float; a whole number beyond every float is infinite.
    pub(crate) fn to_float(&self) -> f64 {
        match self {
            Self::Whole(whole) => whole.to_float(),
            Self::Float(float) => *float,
        }
    }
}

/// Points that are less than this apart are near.
const NEAR_PX: u32 = 10;

/// A cell of a grid: points that are near lie in the same cell, or in cells that touch.
pub(crate) fn cell(point: &[Number; 2]) -> [i64; 2] {
    /// Within this, a division by ten is exact enough; all that is further out shares a cell.
    const EXACT: f64 = 1e12;
    point
        .each_ref()
        .map(|number| (number.to_float().clamp(-EXACT, EXACT) / f64::from(NEAR_PX)).floor() as i64)
}

/// Whether two points are less than 10 pixels apart.
pub(crate) fn are_near(one: &[Number; 2], other: &[Number; 2]) -> bool {
    let mut square = 0.0;
    for (a, b) in one.iter().zip(other) {
        square += match (a, b) {
            (Number::Whole(a), Number::Whole(b)) => match a.distance(b) {
                Some(distance) if distance < NEAR_PX => f64::from(distance * distance),
                _ => return false,
            },
            _ => (a.to_float() - b.to_float()).powi(2),
        };
    }
    // A distance of numbers beyond every float is no distance of less than ten.
    square < f64::from(NEAR_PX * NEAR_PX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Integer {
        let size = Integer::of_digits(text.trim_start_matches('-'), 10);
        if text.starts_with('-') { size.negated() } else { size }
    }

    #[test]
    fn order_and_distance_hold_at_every_size() {
        let numbers = [
            "-18446744073709551616",
            "-5",
            "-1",
            "0",
            "3",
            "4294967295",
            "4294967296",
            "18446744073709551615",
        ];
        for (i, a) in numbers.iter().enumerate() {
            for (j, b) in numbers.iter().enumerate() {
                assert_eq!(whole(a).cmp(&whole(b)), i.cmp(&j), "{a} {b}");
                let distance = (a.parse::<i128>().unwrap() - b.parse::<i128>().unwrap()).unsigned_abs();
                assert_eq!(whole(a).distance(&whole(b)), u32::try_from(distance).ok(), "{a} {b}");
            }
        }
        assert_eq!(whole("-0"), whole("0"));
    }

    #[test]
    fn bases_agree() {
        for value in [0_u64, 1, 31, 4_294_967_295, 4_294_967_296, u64::MAX] {
            let decimal = Integer::of_digits(&value.to_string(), 10);
            assert_eq!(Integer::of_digits(&format!("{value:x}"), 16), decimal);
            assert_eq!(Integer::of_digits(&format!("{value:o}"), 8), decimal);
            assert_eq!(Integer::of_digits(&format!("00{value:b}"), 2), decimal);
        }
    }

    #[test]
    fn whole_numbers_and_floats_compare_without_rounding() {
        let compare = |a: &str, b: f64| Number::Whole(whole(a)).compare(&Number::Float(b));
        assert_eq!(compare("9007199254740993", 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(compare("10", 10.5), Ordering::Less);
        assert_eq!(compare("-10", -10.5), Ordering::Greater);
        assert_eq!(compare("10", 10.0), Ordering::Equal);
        assert_eq!(compare("0", 0.25), Ordering::Less);
        assert_eq!(compare("0", -1e-300), Ordering::Greater);
        assert_eq!(
            compare("1267650600228229401496703205376", 1_267_650_600_228_229_401_496_703_205_376.0),
            Ordering::Equal
        );
        assert_eq!(compare("1", 1e300), Ordering::Less);
    }
}
