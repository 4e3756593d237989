//! Measures what is judged and read on pixels, on the pages of `benchmarks/pages/exact_cases.py`:
//!
//! ```sh
//! cargo run --release -p vigorl-sight --example exact -- FOLDER
//! ```
//!
//! Of `text_gone`, `text_visible` and `read`, each with how often it was right, how often nobody could tell, and what was
//! wrong. A wrong answer is printed; with `VERBOSE` as second argument, a refused one as well.

#![expect(clippy::print_stdout, reason = "it measures, and prints what it measured")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Screenshot;
use vigorl_reader::Reader;
use vigorl_sight::{ReaderSenses, SharedReader};
use vigorl_tasks::scripted::{ScreenSource, TextClause};
use vigorl_tasks::{Failure, Senses as _, Verification};

#[derive(Deserialize)]
struct GonePage {
    before: String,
    after: String,
    texts: Vec<GoneText>,
}

#[derive(Deserialize)]
struct GoneText {
    text: String,
    what: String,
    is_gone: bool,
}

#[derive(Deserialize)]
struct NumbersPage {
    page: String,
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Value {
    label: String,
    side: String,
    value: String,
}

/// Right, refused and wrong answers, by kind.
#[derive(Default)]
struct Tally(BTreeMap<String, [usize; 3]>);

impl Tally {
    fn add(&mut self, kind: &str, answer: usize) {
        self.0.entry(kind.to_owned()).or_default()[answer] += 1;
        self.0.entry("all".to_owned()).or_default()[answer] += 1;
    }

    fn print(&self, name: &str) {
        for (kind, [right, refused, wrong]) in &self.0 {
            let n = right + refused + wrong;
            println!("{name} {kind}: n {n}, right {right}, refused {refused}, wrong {wrong}");
        }
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: exact FOLDER [VERBOSE]")?;
    let (folder, is_verbose) = (Path::new(&folder), arguments.next().is_some());
    let reader = Reader::embedded()?.ok_or("the text models are missing: `make setup` fetches them")?;
    let reader = SharedReader::new(reader);
    gone(&folder.join("gone"), &reader, is_verbose)?;
    numbers(&folder.join("numbers"), &reader, is_verbose)
}

fn picture(file: &Path) -> Result<Screenshot, Failure> {
    let pixels = Arc::new(image::open(file)?.into_rgb8());
    let device_pixel_ratio = DevicePixelRatio::new(1.0).ok_or("1 is a ratio")?;
    Ok(Screenshot { pixels, device_pixel_ratio })
}

fn gone(folder: &Path, reader: &SharedReader, is_verbose: bool) -> Result<(), Failure> {
    let pages: Vec<GonePage> = serde_json::from_slice(&std::fs::read(folder.join("cases.json"))?)?;
    let (mut gone, mut visible) = (Tally::default(), Tally::default());
    for page in pages {
        let mut senses = ReaderSenses::new(reader.beside());
        let (before, after) = (picture(&folder.join(&page.before))?, picture(&folder.join(&page.after))?);
        senses.begin();
        senses.saw(&before);
        for GoneText { text, what, is_gone } in &page.texts {
            let clause = TextClause::from(text.as_str());
            let add = |tally: &mut Tally,
                       name: &str,
                       should_hold: bool,
                       check: vigorl_tasks::scripted::Check| {
                let answer = match check.holds {
                    Verification::Unknown => 1,
                    Verification::Satisfied => {
                        if should_hold {
                            0
                        } else {
                            2
                        }
                    }
                    Verification::Unsatisfied => {
                        if should_hold {
                            2
                        } else {
                            0
                        }
                    }
                };
                tally.add(what, answer);
                if answer == 2 || (answer == 1 && is_verbose) {
                    println!("{name} {}: {text:?} ({what}): {:?} {:?}", page.after, check.holds, check.why);
                }
            };
            let check = senses.text_is_gone([&after, &after], &clause)?;
            add(&mut gone, "text_gone", *is_gone, check);
            let check = senses.shows_text(&after, &clause)?;
            add(&mut visible, "text_visible", !*is_gone, check);
        }
    }
    gone.print("text_gone");
    visible.print("text_visible");
    Ok(())
}

fn numbers(folder: &Path, reader: &SharedReader, is_verbose: bool) -> Result<(), Failure> {
    let pages: Vec<NumbersPage> = serde_json::from_slice(&std::fs::read(folder.join("cases.json"))?)?;
    let mut read = Tally::default();
    for page in pages {
        let mut senses = ReaderSenses::new(reader.beside());
        let screen = picture(&folder.join(&page.page))?;
        for Value { label, side, value } in &page.values {
            let place = |wanted: &str| (side == wanted).then(|| label.clone());
            let source = ScreenSource { beside: place("beside"), below: place("below"), matches: None };
            let said = senses.read_text(&screen, &source)?;
            let answer = match &said {
                Ok(text) if text == value => 0,
                Ok(_) => 2,
                Err(_) => 1,
            };
            read.add(side, answer);
            if answer == 2 || (answer == 1 && is_verbose) {
                println!("read {} {label:?} {side}: {value:?} {said:?}", page.page);
            }
        }
    }
    read.print("read");
    Ok(())
}
