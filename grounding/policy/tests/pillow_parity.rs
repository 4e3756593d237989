//! The resize against Pillow 12.0.0, byte for byte, through hashes in `fixtures/pillow_resize.csv`.
//!
//! `reference/pictures.py` defines the input images, `reference/pillow_resize.py` writes the hashes.

use std::fmt::Write as _;

use image::{Rgb, RgbImage};
use sha2::{Digest, Sha256};
use vigorl_policy::resize::{Filter, resize};

const CASES: &str = include_str!("../../../fixtures/pillow_resize.csv");

fn mix(seed: u64, counter: u64) -> u64 {
    let z = seed.wrapping_add((counter + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn draw(kind: &str, seed: u64, width: u32, height: u32) -> RgbImage {
    let (a, b) = (1 + mix(seed, 0) % 23, 1 + mix(seed, 1) % 23);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y, row_len) = (u64::from(x), u64::from(y), u64::from(width));
        Rgb([0_u64, 1, 2].map(|c| match kind {
            "noise" => (mix(seed, 2 + (y * row_len + x) * 3 + c) >> 56) as u8,
            "edges" => (mix(seed, 2 + (y / b * row_len + x / a) * 3 + c) >> 63) as u8 * 255,
            "gradient" => ((x * a + y * b + c * 85) >> 2) as u8,
            "lines" if x.is_multiple_of(a + 1) || y.is_multiple_of(b + 1) => 0,
            "lines" => 255 - c as u8 * 40,
            other => panic!("unknown kind of image: {other}"),
        }))
    })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn mismatches(filter_name: &str, filter: Filter) -> (usize, Vec<&'static str>) {
    let rows = CASES.lines().filter(|row| row.split(',').next() == Some(filter_name));
    let mut n_cases = 0;
    let wrong = rows
        .inspect(|_| n_cases += 1)
        .filter(|row| {
            let fields: Vec<&str> = row.split(',').collect();
            let number = |idx: usize| fields[idx].parse::<u32>().expect("a side");
            let image = draw(fields[1], fields[2].parse().expect("a seed"), number(3), number(4));
            sha256(resize(&image, number(5), number(6), filter).as_raw()) != fields[7]
        })
        .collect();
    (n_cases, wrong)
}

#[test]
fn bicubic_is_pillow() {
    let (n_cases, wrong) = mismatches("bicubic", Filter::Bicubic);
    assert!(n_cases >= 200, "only {n_cases} cases");
    assert!(wrong.is_empty(), "{} of {n_cases} differ: {wrong:#?}", wrong.len());
}

#[test]
fn lanczos_is_pillow() {
    let (n_cases, wrong) = mismatches("lanczos", Filter::Lanczos);
    assert!(n_cases >= 200, "only {n_cases} cases");
    assert!(wrong.is_empty(), "{} of {n_cases} differ: {wrong:#?}", wrong.len());
}
