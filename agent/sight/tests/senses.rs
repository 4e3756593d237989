//! What senses say of an episode's screenshots: a text that is shown, that is gone, that the run typed itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::{Arc, LazyLock};

use image::{Rgb, RgbImage, imageops};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Screenshot;
use vigorl_reader::Reader;
use vigorl_sight::{ReaderSenses, SharedReader};
use vigorl_tasks::scripted::{Check, ScreenSource, TextClause, TextPlace};
use vigorl_tasks::{Blind, Senses, Verification};

static READER: LazyLock<SharedReader> = LazyLock::new(|| {
    let reader = Reader::embedded().unwrap().expect("the text models are missing: `make setup` fetches them");
    SharedReader::new(reader)
});

fn senses() -> ReaderSenses {
    ReaderSenses::new(READER.beside())
}

fn screenshot(pixels: RgbImage) -> Screenshot {
    Screenshot { pixels: Arc::new(pixels), device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() }
}

fn page() -> Screenshot {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reader/page.png");
    screenshot(image::open(path).unwrap().into_rgb8())
}

/// The page without `Red Fox`.
fn without_fox() -> Screenshot {
    let mut pixels = page().pixels.as_ref().clone();
    imageops::replace(&mut pixels, &RgbImage::from_pixel(72, 24, Rgb([255; 3])), 18, 266);
    screenshot(pixels)
}

#[track_caller]
fn holds(check: &Check, expected: Verification, words: &str) {
    assert_eq!(check.holds, expected, "{check:?}");
    assert!(check.why.as_deref().unwrap_or_default().contains(words), "{check:?}");
}

fn gone(senses: &mut dyn Senses, now: &Screenshot, text: &str) -> Check {
    senses.text_is_gone([now, now], &text.into()).unwrap()
}

#[test]
fn what_is_shown_is_told_letter_by_letter() {
    let mut senses = senses();
    for (text, expected, words) in [
        ("Red Fox", Verification::Satisfied, ""),
        ("press Save", Verification::Satisfied, ""),
        ("Red Box", Verification::Unsatisfied, ""),
        ("red fox", Verification::Unknown, "`Red Fox` was read, which is spelled otherwise"),
        ("Log out", Verification::Unsatisfied, ""),
    ] {
        holds(&senses.shows_text(&page(), &text.into()).unwrap(), expected, words);
    }
}

#[test]
fn what_the_run_typed_itself_counts_only_where_a_clause_says_so() {
    let mut senses = senses();
    senses.begin();
    senses.typed("red ");
    let fox = TextClause::from("Red Fox");
    holds(&senses.shows_text(&page(), &fox).unwrap(), Verification::Satisfied, "");
    senses.typed("fox");
    holds(&senses.shows_text(&page(), &fox).unwrap(), Verification::Unknown, "the run typed that itself");
    let typed = TextClause { typed: true, ..fox.clone() };
    holds(&senses.shows_text(&page(), &typed).unwrap(), Verification::Satisfied, "");
    // What it did not type says something, and what is not there does not become doubtful.
    holds(&senses.shows_text(&page(), &"Snow Owl".into()).unwrap(), Verification::Satisfied, "");
    holds(&senses.shows_text(&without_fox(), &fox).unwrap(), Verification::Unsatisfied, "");
    senses.begin();
    holds(&senses.shows_text(&page(), &fox).unwrap(), Verification::Satisfied, "");
    assert!(!format!("{senses:?}").contains("fox"));
}

#[test]
fn a_text_is_gone_only_from_where_it_was_seen_in_this_episode() {
    let (mut senses, now) = (senses(), without_fox());
    senses.begin();
    holds(&gone(&mut senses, &now, "Red Fox"), Verification::Unknown, "was not read on the last");
    senses.saw(&page());
    holds(&gone(&mut senses, &page(), "Red Fox"), Verification::Unsatisfied, "");
    holds(&gone(&mut senses, &now, "Red Fox"), Verification::Satisfied, "");
    // One of two captures still shows it.
    let changing = senses.text_is_gone([&now, &page()], &"Red Fox".into()).unwrap();
    holds(&changing, Verification::Unsatisfied, "");
    // Another text of the same screenshot is looked up there as well, and one that never was is not gone.
    holds(&gone(&mut senses, &now, "Snow Owl"), Verification::Unsatisfied, "");
    holds(&gone(&mut senses, &now, "Blue Whale"), Verification::Unknown, "was not read");
    let smaller = screenshot(imageops::crop_imm(&*now.pixels, 0, 0, 600, 400).to_image());
    holds(&gone(&mut senses, &smaller, "Red Fox"), Verification::Unknown, "another size");
    senses.begin();
    holds(&gone(&mut senses, &now, "Red Fox"), Verification::Unknown, "was not read");
}

#[test]
fn where_a_clause_saw_a_text_it_may_be_gone_from() {
    let mut senses = senses();
    senses.begin();
    senses.shows_text(&page(), &"Red Fox".into()).unwrap();
    holds(&gone(&mut senses, &without_fox(), "Red Fox"), Verification::Satisfied, "");
}

#[test]
fn targets_and_values_are_read() {
    let mut senses = senses();
    let edit = TextPlace {
        text: Some("Edit".to_owned()),
        within: Some("Snow Owl".to_owned()),
        ..TextPlace::default()
    };
    let place = senses.place_of(&page(), &edit).unwrap().unwrap();
    assert!((295.0..324.0).contains(&place.center().y), "{place:?}");
    let refused = senses.place_of(&page(), &TextPlace { within: None, ..edit }).unwrap().unwrap_err();
    assert!(refused.contains("3 places alike"), "{refused}");
    let legs = ScreenSource { beside: None, below: Some("Legs".to_owned()), matches: None };
    assert_eq!(senses.read_text(&page(), &legs).unwrap(), Ok("4".to_owned()));
}

#[test]
fn who_reads_nothing_says_so() {
    let clause = TextClause::from("Red Fox");
    holds(&Blind.shows_text(&page(), &clause).unwrap(), Verification::Unknown, "nobody reads");
    holds(&gone(&mut Blind, &page(), "Red Fox"), Verification::Unknown, "nobody reads");
    let place = TextPlace { text: Some("Edit".to_owned()), ..TextPlace::default() };
    assert!(Blind.place_of(&page(), &place).unwrap().unwrap_err().contains("nobody reads"));
}
