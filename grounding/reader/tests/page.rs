//! The reader on a page that is known: what it reads, where, and what instructions find there.
//!
//! The boxes are the browser's own, of `fixtures/reader/page.html` at 640x420, and of `settings.html` there with two pixels
//! for one of the page. These tests need the text models, which `make setup` fetches; without them they fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::{Arc, LazyLock};

use image::{Rgb, RgbImage, imageops};
use vigorl_geometry::{Point, Rect, Screen, Size};
use vigorl_reader::{
    Findings, Frame, Glyph, Line, Reader, Reading, Weights, contradiction, file_names, find,
};

static PAGE: LazyLock<RgbImage> = LazyLock::new(|| picture("page.png"));
static SETTINGS: LazyLock<RgbImage> = LazyLock::new(|| picture("settings.png"));
static FIRST: LazyLock<Reader> = LazyLock::new(|| {
    let weights = Weights::embedded().expect("the text models are missing: `make setup` fetches them");
    Reader::new(weights).unwrap()
});

fn picture(name: &str) -> RgbImage {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reader/");
    image::open(format!("{folder}{name}")).unwrap().into_rgb8()
}

fn reader() -> Reader {
    FIRST.beside()
}

fn read(image: &RgbImage) -> Arc<Reading> {
    reader().read(image).unwrap()
}

fn ask(instruction: &str) -> Findings {
    static READING: LazyLock<Arc<Reading>> = LazyLock::new(|| read(&PAGE));
    find(&READING, &PAGE, instruction)
}

fn ask_settings(instruction: &str) -> Findings {
    static READING: LazyLock<Arc<Reading>> = LazyLock::new(|| read(&SETTINGS));
    find(&READING, &SETTINGS, instruction)
}

#[track_caller]
fn finds(instruction: &str, place: [f64; 4]) {
    is_at(instruction, &ask(instruction), place);
}

#[track_caller]
fn finds_in_settings(instruction: &str, place: [f64; 4]) {
    is_at(instruction, &ask_settings(instruction), place);
}

#[track_caller]
fn is_at(instruction: &str, found: &Findings, [left, top, right, bottom]: [f64; 4]) {
    let at: Point<Screen> = found.best().unwrap_or_else(|| panic!("{instruction}: {found:?}")).at();
    let place = Rect::new(left, top, right, bottom);
    assert!(place.contains(at), "{instruction}: {at:?} is not in {place:?}: {found:?}");
}

#[test]
fn every_line_is_read_letter_by_letter() {
    let lines: Vec<String> = read(&PAGE).lines.iter().map(|line| line.text.clone()).collect();
    for text in
        ["First name", "E-mail", "name@example.org", "Save", "Delete", "Red Fox", "Grass Snake", "Événements"]
    {
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:?}");
    }
}

#[test]
fn a_name_is_found_where_it_stands() {
    finds("Members", [108.0, 12.0, 174.0, 28.0]);
    finds("Événements", [201.0, 12.0, 289.0, 28.0]);
    finds("uber uns", [317.0, 12.0, 381.0, 28.0]);
    finds("\"privacy notice\"", [382.0, 196.0, 454.0, 211.0]);
    finds("Red Fox", [22.0, 264.0, 127.0, 293.0]);
}

#[test]
fn a_control_comes_before_the_same_word_in_a_sentence() {
    finds("Save", [20.0, 187.0, 89.0, 217.0]);
    finds("save", [20.0, 187.0, 89.0, 217.0]);
    finds("click on the \"Save\" button.", [20.0, 187.0, 89.0, 217.0]);
    finds("the Delete button", [92.0, 187.0, 173.0, 217.0]);
}

#[test]
fn fields_and_boxes_are_found_by_their_texts() {
    finds("the First name field", [130.0, 70.0, 364.0, 98.0]);
    finds("field \"E-mail\"", [130.0, 112.0, 364.0, 140.0]);
    finds("the name@example.org field", [130.0, 112.0, 364.0, 140.0]);
    finds("checkbox I agree to the rules", [24.0, 157.0, 37.0, 170.0]);
    finds("the \"Send me news\" checkbox", [195.0, 157.0, 209.0, 170.0]);
}

#[test]
fn of_several_alike_the_ordinal_or_the_row_tells() {
    let found = ask("Edit");
    assert_eq!((found.n_best, found.best()), (3, None), "{found:#?}");
    finds("the second Edit", [185.0, 301.0, 213.0, 317.0]);
    finds("the last Edit link", [185.0, 332.0, 213.0, 348.0]);
    finds("Edit in the row of Red Fox", [185.0, 270.0, 213.0, 286.0]);
    finds("the Edit link in the row of \"Snow Owl\"", [185.0, 301.0, 213.0, 317.0]);
    finds("2 right of Snow Owl", [128.0, 295.0, 184.0, 324.0]);
    finds("Snow Owl below Red Fox", [22.0, 295.0, 127.0, 324.0]);
}

const NIGHT: [f64; 4] = [1160.0, 90.0, 1240.0, 134.0];
const SPOKEN: [f64; 4] = [1160.0, 168.0, 1240.0, 212.0];
const USAGE: [f64; 4] = [1160.0, 246.0, 1240.0, 290.0];
const STREET: [f64; 4] = [516.0, 332.0, 1240.0, 390.0];
const TOWN: [f64; 4] = [516.0, 406.0, 1240.0, 464.0];
const COUNTRY: [f64; 4] = [516.0, 480.0, 1240.0, 538.0];

#[test]
fn a_switch_is_found_where_two_pixels_are_one_of_the_page() {
    finds_in_settings("the Night mode switch", NIGHT);
    finds_in_settings("switch \"Spoken hints\"", SPOKEN);
    finds_in_settings("the Usage statistics toggle", USAGE);
    finds_in_settings("the Spoken hints checkbox", SPOKEN);
    finds_in_settings("the switch in the row of Usage statistics", USAGE);
    finds_in_settings("the switch right of Spoken hints", SPOKEN);
}

#[test]
fn a_thing_that_is_ticked_and_not_seen_is_not_its_text() {
    for instruction in ["the Rewire the hall switch", "the Storage checkbox", "the Members radio button"] {
        let found = ask_settings(instruction);
        let first = found.candidates.first();
        assert!(first.is_none_or(|one| !one.is_seen && one.cost >= 1.5), "{instruction}: {found:#?}");
    }
}

#[test]
fn a_whole_line_is_a_name_whatever_words_are_in_it() {
    finds_in_settings("Reports of outages", [280.0, 20.0, 1240.0, 62.0]);
    finds_in_settings("the Reports of outages heading", [280.0, 20.0, 1240.0, 62.0]);
    finds_in_settings("Reports", [24.0, 24.0, 216.0, 78.0]);
    let blank = RgbImage::from_pixel(640, 420, Rgb([255; 3]));
    for name in [
        "Reset button",
        "Terms of use",
        "Delivery for members",
        "Open link",
        "Field next to gate",
        "Check box",
    ] {
        let first = name.split(' ').next().unwrap();
        let lines = |beside: &str| {
            let (mut both, other) = (one_line(name), one_line(beside));
            let down =
                |line: &Line| Line { rect: Rect::new(20.0, 80.0, line.rect.right, 100.0), ..line.clone() };
            both.lines.extend(other.lines.iter().map(down));
            both
        };
        let found = find(&lines(first), &blank, name);
        assert_eq!(found.best().map(|best| best.shown.as_str()), Some(name), "{found:#?}");
    }
}

#[test]
fn what_stands_in_the_same_column_comes_before_what_stands_beside() {
    finds_in_settings("Add note below Planned", [296.0, 686.0, 444.0, 740.0]);
    finds_in_settings("Add note below Started", [620.0, 752.0, 768.0, 806.0]);
    finds_in_settings("the Add note button below Started", [620.0, 752.0, 768.0, 806.0]);
    finds_in_settings("Add note below Finished", [944.0, 620.0, 1092.0, 674.0]);
}

#[test]
fn a_field_stands_below_or_above_a_label_that_stands_beside_its_own() {
    finds_in_settings("the Town field", TOWN);
    finds_in_settings("field below Street", TOWN);
    finds_in_settings("the field below Town", COUNTRY);
    finds_in_settings("the field above Town", STREET);
    finds_in_settings("field above Country", TOWN);
    finds_in_settings("the first field", STREET);
    finds_in_settings("the second field", TOWN);
    finds_in_settings("the third field", COUNTRY);
}

/// A reading of one line, as if every letter was read for sure.
fn one_line(text: &str) -> Reading {
    let glyph = |(n, character): (usize, char)| {
        let left = 20.0 + 8.0 * n as f64;
        Glyph { character, left, right: left + 8.0, confidence: 1.0, frame: n }
    };
    let glyphs: Vec<Glyph> = text.chars().enumerate().map(glyph).collect();
    let frames = text.chars().map(|c| Frame { blank: 0.0, likely: vec![(c, 1.0)] }).collect();
    let rect = Rect::new(20.0, 20.0, 20.0 + 8.0 * glyphs.len() as f64, 40.0);
    let line = Line { text: text.to_owned(), rect, confidence: 1.0, glyphs, frames };
    Reading { size: Size::of_pixels(640, 420), lines: vec![line] }
}

#[test]
fn a_sentence_that_says_what_to_do_is_not_what_is_to_be_done() {
    let blank = RgbImage::from_pixel(640, 420, Rgb([255; 3]));
    for told in ["click the Publish button", "the \"Publish\" button", "the Publish button"] {
        let found = find(&one_line(&format!("Now {told} to go on with it.")), &blank, told);
        assert_eq!(found.best(), None, "{told}: {found:#?}");
    }
    // A name that begins with a verb is a name.
    let here = find(&one_line("Click here"), &blank, "Click here");
    assert!(here.best().is_some(), "{here:#?}");
}

#[test]
fn a_thing_without_a_name_is_found_by_what_stands_beside_it() {
    finds("checkbox left of Send me news", [195.0, 157.0, 209.0, 170.0]);
    finds("the field to the right of E-mail", [130.0, 112.0, 364.0, 140.0]);
    finds("in the row of Snow Owl, Edit", [185.0, 301.0, 213.0, 317.0]);
    finds("Edit in the Grass Snake row", [185.0, 332.0, 213.0, 348.0]);
}

#[test]
fn a_name_is_no_instruction_because_a_word_of_it_names_a_kind() {
    // Nothing is called so: neither a link `news` nor something `Send` is meant.
    for name in ["Send link", "Select news", "Link rules", "Choose work"] {
        assert!(ask(name).candidates.iter().all(|one| one.cost > 1.0), "{name}: {:#?}", ask(name));
    }
}

#[test]
fn a_point_contradicts_an_instruction_where_another_text_stands() {
    let reading = read(&PAGE);
    let says = |instruction: &str, x: f64, y: f64| {
        contradiction(&reading, &PAGE, &ask(instruction), Point::new(x, y))
    };
    // On another control, on another text, on empty ground; and where a text in quotes is written nowhere.
    for (instruction, x, y) in [
        ("the Save button", 130.0, 202.0),
        ("Save", 60.0, 279.0),
        ("the Delete button", 600.0, 400.0),
        ("field \"E-mail\"", 200.0, 196.0),
        ("\"Cancel\"", 54.0, 202.0),
    ] {
        assert!(says(instruction, x, y).is_some(), "{instruction} ({x}, {y})");
    }
    // On the control's edge, in its field, on its checkbox, and where no text is named.
    for (instruction, x, y) in [
        ("the Save button", 21.0, 188.0),
        ("Save", 87.0, 215.0),
        ("field \"E-mail\"", 360.0, 126.0),
        ("checkbox I agree to the rules", 30.0, 163.0),
        ("the green rectangle", 130.0, 202.0),
        ("Edit", 199.0, 309.0),
    ] {
        assert_eq!(says(instruction, x, y), None, "{instruction} ({x}, {y})");
    }
}

#[test]
fn a_row_reacts_behind_its_icon_but_not_behind_a_border_or_another_text() {
    let with = |drawn: &[[u32; 4]]| {
        let mut page = PAGE.clone();
        for &[left, top, right, bottom] in drawn {
            for (x, y) in (left..right).flat_map(|x| (top..bottom).map(move |y| (x, y))) {
                page.put_pixel(x, y, Rgb([200, 210, 230]));
            }
        }
        page
    };
    let says = |page: &RgbImage, x: f64| {
        let reading = read(page);
        contradiction(&reading, page, &find(&reading, page, "Über uns"), Point::new(x, 20.0))
    };
    assert_eq!(says(&PAGE, 440.0), None, "nothing is drawn there");
    assert_eq!(says(&with(&[[410, 16, 420, 25]]), 440.0), None, "an icon");
    assert!(says(&with(&[[412, 0, 414, 40]]), 440.0).is_some(), "a border");
    // `Members` stands between.
    assert!(says(&PAGE, 190.0).is_some());
}

#[test]
fn what_is_not_there_is_not_found() {
    for absent in
        ["Cancel", "Savee", "Sive", "Red Box", "\"Delete all\"", "name@example.com", "3", "", "   ", "\"\""]
    {
        let found = ask(absent);
        assert_eq!(found.best(), None, "{absent}: {found:#?}");
    }
}

#[test]
fn a_text_is_read_wherever_it_is_scrolled_to_and_only_what_is_new_is_read() {
    let tall = RgbImage::from_fn(640, 900, |x, y| match y {
        120..540 => *PAGE.get_pixel(x, y - 120),
        _ => Rgb([255; 3]),
    });
    let view = |top: u32| imageops::crop_imm(&tall, 0, top, 640, 480).to_image();
    let mut reader = reader();
    reader.read(&view(0)).unwrap();
    for top in [60, 120, 90, 300] {
        let (again, fresh) = (reader.read(&view(top)).unwrap(), read(&view(top)));
        let texts =
            |reading: &Reading| reading.lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&again), texts(&fresh), "scrolled to {top}");
        for (a, b) in again.lines.iter().zip(&fresh.lines) {
            let (a, b) = (a.rect.center(), b.rect.center());
            assert!(a.distance(b) < 3.0, "scrolled to {top}: {a:?} {b:?}");
        }
    }
}

#[test]
fn a_change_in_place_is_read_and_the_rest_stays() {
    let mut reader = reader();
    let before = reader.read(&PAGE).unwrap();
    let mut changed = PAGE.clone();
    // The word moves into the empty field.
    let word = imageops::crop_imm(&*PAGE, 20, 76, 76, 18).to_image();
    imageops::replace(&mut changed, &word, 140, 75);
    let after = reader.read(&changed).unwrap();
    let n = |reading: &Reading| reading.lines.iter().filter(|line| line.text == "First name").count();
    let texts = |reading: &Reading| reading.lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!((n(&before), n(&after)), (1, 2), "{:?}", texts(&after));
    assert_eq!(texts(&reader.read(&PAGE).unwrap()), texts(&before));
}

#[test]
fn pictures_without_text_and_odd_ones_are_no_trouble() {
    let mut reader = reader();
    let mut seed = 7_u32;
    let noise = RgbImage::from_fn(320, 200, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(seed >> 24) as u8, (seed >> 16) as u8, (seed >> 8) as u8])
    });
    let odd = [
        RgbImage::new(1, 1),
        RgbImage::new(1, 700),
        RgbImage::new(20_000, 1),
        RgbImage::from_pixel(640, 480, Rgb([120; 3])),
        noise,
    ];
    for picture in &odd {
        let reading = reader.read(picture).unwrap();
        assert!(reading.lines.len() < 40, "{:?}: {}", picture.dimensions(), reading.lines.len());
    }
    assert!(read(&RgbImage::new(0, 0)).lines.is_empty());
}

#[test]
fn what_is_no_model_is_refused() {
    let whole = Weights::embedded().unwrap();
    for (detector, recogniser) in [(vec![], vec![]), (b"junk".to_vec(), b"junk".to_vec())] {
        assert!(Reader::new(Weights::of_models(detector, recogniser)).is_err());
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let error = Weights::of_folder(folder.as_ref()).unwrap_err().to_string();
    assert!(error.contains("PP-OCRv6_det_small.onnx"), "{error}");
    drop(whole);
}

#[test]
fn models_of_another_kind_and_cut_ones_are_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let [detector, recogniser] = file_names().map(|name| std::fs::read(folder.join(name)).unwrap());
    let half = |model: &[u8]| model[..model.len() / 2].to_vec();
    let refused = |detector: &[u8], recogniser: &[u8]| {
        Reader::new(Weights::of_models(detector.to_vec(), recogniser.to_vec())).is_err()
    };
    assert!(!refused(&detector, &recogniser));
    assert!(refused(&recogniser, &detector), "one for the other");
    assert!(refused(&recogniser, &recogniser) && refused(&detector, &detector), "one of them twice");
    assert!(refused(&half(&detector), &recogniser) && refused(&detector, &half(&recogniser)), "cut");
}
