//! Measures the veto by reading, on folders of labelled screenshots (`vigorl eval pages` has their format):
//!
//! ```sh
//! cargo run --release -p vigorl-sight --example veto -- FOLDER…
//! ```
//!
//! Of every label a point is moved onto another label of its page, which must be stopped; points on what is asked for, in
//! the middle and at its edges, must not be.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_reader::Reader;
use vigorl_sight::{SharedReader, look};

#[derive(Deserialize)]
struct Page {
    file: PathBuf,
    labels: Vec<Label>,
    #[serde(default)]
    asks: Vec<Ask>,
}

#[derive(Deserialize)]
struct Label {
    text: String,
    #[serde(rename = "box")]
    rect: [f64; 4],
    #[serde(default)]
    click: Option<[f64; 4]>,
    #[serde(default)]
    unique: bool,
}

#[derive(Deserialize)]
struct Ask {
    instruction: String,
    kind: String,
    #[serde(rename = "box", default)]
    rect: Option<[f64; 4]>,
}

/// Points that were stopped, of how many.
type Counts = BTreeMap<String, (usize, usize)>;

fn rect([left, top, right, bottom]: [f64; 4]) -> Rect<Screen> {
    Rect::new(left, top, right, bottom)
}

/// The middle, and a pixel inside of the middle of each edge.
fn points(rect: Rect<Screen>) -> [Point<Screen>; 5] {
    let (middle, inset) = (rect.center(), 2.0);
    [
        middle,
        Point::new(rect.left + inset, middle.y),
        Point::new(rect.right - inset, middle.y),
        Point::new(middle.x, rect.top + inset),
        Point::new(middle.x, rect.bottom - inset),
    ]
}

fn measure(folder: &Path, reader: &SharedReader, counts: &mut Counts) {
    let pages: Vec<Page> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("pages.json")).unwrap()).unwrap();
    for page in pages {
        let image = Arc::new(image::open(folder.join(&page.file)).unwrap().into_rgb8());
        let mut count = |what: &str, instruction: &str, at: Point<Screen>| {
            let reason = look(reader, &image, instruction).unwrap().contradiction(at);
            let (stopped, n) = counts.entry(what.to_owned()).or_default();
            (*stopped, *n) = (*stopped + usize::from(reason.is_some()), *n + 1);
            if reason.is_some() != what.starts_with("moved") {
                println!(
                    "{} {what} {instruction:?} ({:.0}, {:.0}) {reason:?}",
                    page.file.display(),
                    at.x,
                    at.y
                );
            }
        };
        let labels: Vec<&Label> = page.labels.iter().filter(|label| label.unique).collect();
        for (n, label) in labels.iter().enumerate() {
            let own = [Some(label.rect), label.click].into_iter().flatten().map(rect);
            let own: Vec<Rect<Screen>> = own.collect();
            for at in points(own[0]) {
                count("right: labels", &label.text, at);
            }
            if let Some(click) = own.get(1) {
                points(*click).into_iter().for_each(|at| count("right: controls of labels", &label.text, at));
            }
            // The next label of the page that stands elsewhere.
            let others = (1..labels.len()).map(|by| labels[(n + by) % labels.len()]);
            let elsewhere = others
                .map(|other| rect(other.rect).center())
                .find(|at| own.iter().all(|own| !own.contains(*at)));
            if let Some(at) = elsewhere {
                count("moved", &label.text, at);
            }
        }
        for ask in page.asks.iter().filter(|ask| ask.kind != "label") {
            let Some(target) = ask.rect.map(rect) else { continue };
            points(target)
                .into_iter()
                .for_each(|at| count(&format!("right: {}", ask.kind), &ask.instruction, at));
        }
    }
}

fn main() {
    let reader = SharedReader::new(Reader::embedded().unwrap().expect("the text models are missing"));
    let mut counts = Counts::new();
    for folder in std::env::args().skip(1) {
        measure(Path::new(&folder), &reader, &mut counts);
    }
    for (what, (stopped, n)) in counts {
        println!("{what}: stopped {stopped} of {n} = {:.2} %", 100.0 * stopped as f64 / n as f64);
    }
}
