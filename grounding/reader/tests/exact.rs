//! What is judged, found and read by its text alone, on a page that is known: `fixtures/reader/page.html` at 640x420.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::{Arc, LazyLock};

use image::{Rgb, RgbImage, imageops};
use regex::Regex;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_reader::{
    Asked, Certainty, Fate, Reader, Reading, Side, Wanted, Weights, Wording, name_at, place_of_text,
};

static PAGE: LazyLock<RgbImage> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reader/page.png");
    image::open(path).unwrap().into_rgb8()
});
static READER: LazyLock<Reader> = LazyLock::new(|| {
    let weights = Weights::embedded().expect("the text models are missing: `make setup` fetches them");
    Reader::new(weights).unwrap()
});
static READING: LazyLock<Arc<Reading>> = LazyLock::new(|| read(&PAGE));

fn read(image: &RgbImage) -> Arc<Reading> {
    READER.beside().read(image).unwrap()
}

/// The page with something done to it.
fn page(change: impl FnOnce(&mut RgbImage)) -> RgbImage {
    let mut page = PAGE.clone();
    change(&mut page);
    page
}

/// Covers a rectangle with the page's ground.
fn erase(page: &mut RgbImage, (left, top, right, bottom): (u32, u32, u32, u32)) {
    let ground = RgbImage::from_pixel(right - left, bottom - top, Rgb([255; 3]));
    imageops::replace(page, &ground, left.into(), top.into());
}

/// Draws a part of the page somewhere else.
fn copy(page: &mut RgbImage, (left, top, right, bottom): (u32, u32, u32, u32), to: (i64, i64)) {
    let part = imageops::crop_imm(&*PAGE, left, top, right - left, bottom - top).to_image();
    imageops::replace(page, &part, to.0, to.1);
}

const RED_FOX: (u32, u32, u32, u32) = (18, 266, 90, 290);
const SNOW_OWL: (u32, u32, u32, u32) = (18, 297, 90, 321);

#[track_caller]
fn stands(text: &str, expected: &[&str]) {
    let found = READER.standing(&PAGE, &READING, text).unwrap();
    let words: Vec<&str> = found
        .iter()
        .map(|place| match place.certainty {
            Certainty::Sure => "sure",
            Certainty::Doubtful(_) => "doubtful",
            Certainty::Inside => "inside",
        })
        .collect();
    assert_eq!(words, expected, "{text}: {found:#?}");
}

#[test]
fn a_text_stands_where_it_is_written_letter_by_letter() {
    stands("Red Fox", &["sure"]);
    stands("press Save", &["sure"]);
    stands("privacy notice first.", &["sure"]);
    stands("name@example.org", &["sure"]);
    stands("Edit", &["sure", "sure", "sure"]);
    stands("4", &["sure"]);
    stands("red fox", &["doubtful"]);
    stands("Evenements", &["doubtful"]);
    stands("Red Box", &[]);
    stands("5", &[]);
    // A part of a word is another word.
    stands("embers", &["inside"]);
    stands("name@example", &["sure"]);
}

#[track_caller]
fn place(text: Wording<'_>, within: Option<&str>, nth: Option<usize>, expected: Result<[f64; 4], &str>) {
    match (place_of_text(&READING, &PAGE, &Asked { text, within, nth }), expected) {
        (Ok(got), Ok([left, top, right, bottom])) => {
            let place = Rect::<Screen>::new(left, top, right, bottom);
            assert!(place.contains(got.center()), "{text:?}: {got:?} is not in {place:?}");
        }
        (Err(reason), Err(words)) => assert!(reason.contains(words), "{text:?}: {reason}"),
        (got, expected) => panic!("{text:?}: {got:?} instead of {expected:?}"),
    }
}

#[test]
fn a_target_by_text_is_in_one_place_or_in_none() {
    let pattern = |text: &str| Regex::new(text).unwrap();
    place(Wording::Folded("save"), None, None, Ok([20.0, 187.0, 89.0, 217.0]));
    place(Wording::Exact("Save"), None, None, Ok([20.0, 187.0, 89.0, 217.0]));
    place(Wording::Exact("save"), None, None, Err("is written nowhere here; read was `Save` at (5"));
    place(Wording::Exact("To save your work"), None, None, Err("written nowhere"));
    place(Wording::Folded("privacy notice"), None, None, Ok([382.0, 196.0, 454.0, 211.0]));
    place(Wording::Folded("Log out"), None, None, Err("`Log out` is written nowhere here"));
    place(Wording::Folded("Edit"), None, None, Err("3 places alike: `Edit` at (199, 278), `Edit` at"));
    place(Wording::Folded("Edit"), None, Some(2), Ok([185.0, 301.0, 213.0, 317.0]));
    place(Wording::Folded("Edit"), None, Some(4), Err("only 3 times"));
    place(Wording::Folded("Edit"), Some("Grass Snake"), None, Ok([185.0, 332.0, 213.0, 348.0]));
    place(Wording::Folded("Edit"), Some("Gras Snake"), None, Err("`Gras Snake` is written nowhere"));
    place(Wording::Folded("Save"), Some("Red Fox"), None, Err("not in the row or box of `Red Fox`"));
    place(Wording::Pattern(&pattern("^Red [A-Z]")), None, None, Ok([22.0, 264.0, 127.0, 293.0]));
    place(Wording::Pattern(&pattern("^Fox$")), None, None, Err("matches `^Fox$` is written nowhere"));
    place(Wording::Pattern(&pattern("^[0-9]$")), None, None, Err("3 places alike"));
    place(Wording::Pattern(&pattern("^[0-9]$")), Some("Snow Owl"), None, Ok([128.0, 295.0, 184.0, 324.0]));
    // A digit is never taken for another one.
    place(Wording::Folded("8"), None, None, Err("written nowhere"));
}

#[test]
fn a_thing_is_called_by_the_text_at_the_place_or_in_its_box() {
    let called = |x: f64, y: f64| name_at(&READING, &PAGE, Point::new(x, y));
    assert_eq!(called(50.0, 202.0).as_deref(), Some("Save"));
    // Beside the letters, but on the button.
    assert_eq!(called(27.0, 202.0).as_deref(), Some("Save"));
    assert_eq!(called(200.0, 126.0).as_deref(), Some("name@example.org"));
    assert_eq!(called(600.0, 400.0), None);
}

#[test]
fn a_box_holds_what_stands_in_it() {
    // Two panels, each with a heading and the same words below it, and a border around each.
    let mut panels = RgbImage::from_pixel(640, 240, Rgb([255; 3]));
    for (left, heading) in [(20_u32, RED_FOX), (330, SNOW_OWL)] {
        for x in left..left + 290 {
            panels.put_pixel(x, 10, Rgb([90; 3]));
            panels.put_pixel(x, 229, Rgb([90; 3]));
        }
        for y in 10..230 {
            panels.put_pixel(left, y, Rgb([90; 3]));
            panels.put_pixel(left + 289, y, Rgb([90; 3]));
        }
        copy(&mut panels, heading, (i64::from(left) + 14, 20));
        copy(&mut panels, (180, 268, 220, 288), (i64::from(left) + 40, 180));
    }
    let reading = read(&panels);
    let edit = |within: &str| {
        let asked = Asked { text: Wording::Folded("Edit"), within: Some(within), nth: None };
        place_of_text(&reading, &panels, &asked)
    };
    let texts: Vec<&str> = reading.lines.iter().map(|line| line.text.as_str()).collect();
    assert!(edit("Red Fox").is_ok_and(|place| place.right < 310.0), "{texts:?} {:?}", edit("Red Fox"));
    assert!(edit("Snow Owl").is_ok_and(|place| place.left > 330.0), "{texts:?} {:?}", edit("Snow Owl"));
}

#[track_caller]
fn value(label: Option<(Side, &str)>, pattern: Option<&str>, expected: Result<&str, &str>) {
    let pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
    let wanted = Wanted { label, pattern: pattern.as_ref() };
    match (READER.value(&PAGE, &READING, &wanted).unwrap(), expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(reason), Err(words)) => assert!(reason.contains(words), "{label:?}: {reason}"),
        (got, expected) => panic!("{label:?} {pattern:?}: {got:?} instead of {expected:?}"),
    }
}

#[test]
fn a_value_is_exact_or_there_is_none() {
    value(Some((Side::Beside, "Grass Snake")), None, Ok("0"));
    value(Some((Side::Below, "Legs")), None, Ok("4"));
    value(Some((Side::Below, "Red Fox")), None, Ok("Snow Owl"));
    value(Some((Side::Beside, "Red Fox")), Some("[a-z]+"), Err("which `[a-z]+` does not match"));
    value(Some((Side::Beside, "press")), Some("^([a-zA-Z]+)"), Ok("Save"));
    value(None, Some("^Grass ([a-zA-Z]+)$"), Ok("Snake"));
    value(None, Some("^[0-9]$"), Err("several texts: `4` at"));
    value(None, Some("^[0-9]{2}$"), Err("nothing that was read matches"));
    value(Some((Side::Beside, "Edit")), None, Err("`Edit` stands in 3 places"));
    value(Some((Side::Beside, "Purple Fox")), None, Err("written nowhere"));
    value(Some((Side::Below, "Grass Snake")), None, Err("nothing that was read stands below"));
}

#[test]
fn what_was_not_read_between_a_label_and_a_value_refuses_it() {
    // A disc, which is no text, stands between the animal and its number.
    let page = page(|page| {
        for y in 300..316_u32 {
            for x in 100..116_u32 {
                let (dx, dy) = (f64::from(x) - 107.5, f64::from(y) - 307.5);
                if dx * dx + dy * dy < 60.0 {
                    page.put_pixel(x, y, Rgb([200, 30, 30]));
                }
            }
        }
    });
    let wanted = Wanted { label: Some((Side::Beside, "Snow Owl")), pattern: None };
    let refused = READER.value(&page, &read(&page), &wanted).unwrap().unwrap_err();
    assert!(refused.contains("stands something that was not"), "{refused}");
}

fn fate(page: &RgbImage, text: &str) -> Fate {
    let former: Vec<Rect<Screen>> =
        READER.standing(&PAGE, &READING, text).unwrap().into_iter().map(|place| place.rect).collect();
    assert!(!former.is_empty(), "{text} was not there before");
    READER.fate(page, &read(page), text, &former).unwrap()
}

#[track_caller]
fn is_unknown(fate: &Fate, words: &str) {
    assert!(matches!(fate, Fate::Unknown(why) if why.contains(words)), "{fate:?}");
}

#[test]
fn a_text_is_gone_where_its_place_is_empty_or_says_something_else() {
    assert!(matches!(fate(&PAGE, "Red Fox"), Fate::Stands(_)));
    assert_eq!(fate(&page(|page| erase(page, RED_FOX)), "Red Fox"), Fate::Gone);
    assert_eq!(fate(&page(|page| copy(page, SNOW_OWL, (18, 266))), "Red Fox"), Fate::Gone);
}

#[test]
fn a_text_that_moved_is_not_gone() {
    let moved = page(|page| {
        erase(page, RED_FOX);
        copy(page, RED_FOX, (400, 60));
    });
    assert!(matches!(fate(&moved, "Red Fox"), Fate::Stands(rect) if rect.left > 380.0));
    // One of several is not all of them.
    let one_less = page(|page| erase(page, (180, 268, 220, 288)));
    assert!(matches!(fate(&one_less, "Edit"), Fate::Stands(_)));
}

#[test]
fn what_cannot_be_read_is_not_gone() {
    let blank = RgbImage::from_pixel(PAGE.width(), PAGE.height(), Rgb([255; 3]));
    is_unknown(&fate(&blank, "Red Fox"), "nothing is read on the whole screen");
    // Scribbled over.
    let scribble = page(|page| {
        for (n, x) in (20..88_u32).enumerate() {
            for by in [7, 11, 5, 13] {
                let y = 269 + (n as u32 * by) % 16;
                page.put_pixel(x, y, Rgb([20; 3]));
                page.put_pixel(x, y + 1, Rgb([60; 3]));
            }
        }
    });
    let fate_of_scribble = fate(&scribble, "Red Fox");
    assert!(matches!(fate_of_scribble, Fate::Unknown(_)), "{fate_of_scribble:?}");
    // Half of it is left: `Fox` alone.
    let half = page(|page| erase(page, (18, 266, 46, 290)));
    let fate_of_half = fate(&half, "Red Fox");
    assert!(!matches!(fate_of_half, Fate::Stands(_)), "{fate_of_half:?}");
    // Faded to where it can hardly be seen.
    let faded = page(|page| {
        for y in RED_FOX.1..RED_FOX.3 {
            for x in RED_FOX.0..RED_FOX.2 {
                let pixel = page.get_pixel_mut(x, y);
                pixel.0 = pixel.0.map(|c| 255 - (255 - c) / 16);
            }
        }
    });
    assert!(!matches!(fate(&faded, "Red Fox"), Fate::Gone));
}
