//! Questions about pictures that are answered in words: V*Bench, BLINK and SAT-2.
//!
//! Invariants: the answer is one of the options, written out; it is judged by the rule of the reference, which also takes an
//! answer that contains the right option, and beside it by equality; an order of the options depends on the item alone, so it
//! is the same in every run; a question whose answer nobody may know (a hidden test part), or whose right answer has nothing
//! in it to compare, is refused before anything is asked.
//! Source: the specification's section 4 (harnesses of V*, BLINK and SAT, and ViGoRL's evaluation).

mod blink;
mod sat;
mod vigorl_rows;
mod vstar;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{Rgb, RgbImage, imageops};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::scoring::text_match;
use vigorl_policy::resize::{Filter, resize};
use vigorl_tasks::{Environment, Failure};

use crate::draw::{below, first_of_shuffle, of_name, rank};
use crate::evaluation::{Circle, Evaluation, InWords, Item, Pictured};
use crate::fields;
use crate::pictures::{self, Pictures};
use crate::sets::parquet_rows::{self, Embedded, Source};

/// A set of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownQuestions {
    /// V*Bench.
    VStar,
    /// BLINK.
    Blink,
    /// SAT-2.
    Sat2,
}

/// In which order the options of a question are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionOrder {
    /// As the set has them.
    AsGiven,
    /// In an order that depends on the item alone.
    Shuffled,
    /// Every option first once: a question counts as solved only if it is answered rightly each time.
    Circular,
}

/// What is asked of a set of questions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QuestionChoice {
    /// Its folder.
    pub folder: Option<PathBuf>,
    /// So many questions, the first ones of a shuffle that is always the same; all if absent.
    pub limit: Option<u64>,
    /// The order of the options; the set's own way if absent.
    pub options: Option<OptionOrder>,
    /// Which part: `val` or `test`.
    pub part: Option<String>,
}

/// Where the pictures of a question are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Files(Vec<PathBuf>),
    Embedded(Embedded),
}

/// A question as a set has it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) id: String,
    pub(crate) shown: Shown,
    /// What tells its picture apart from others of the set.
    pub(crate) picture: String,
    /// Width and height of its pictures, one after the other.
    pub(crate) sizes: Vec<(u32, u32)>,
    pub(crate) text: String,
    /// All options; none where the text names them itself.
    pub(crate) options: Vec<String>,
    pub(crate) truth: String,
    pub(crate) values: Vec<(&'static str, String)>,
}

/// What was read of a set.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) questions: Vec<Question>,
    pub(crate) groups: Vec<(&'static str, Vec<String>)>,
    pub(crate) macro_groups: Vec<&'static str>,
    pub(crate) notes: Vec<String>,
    pub(crate) layout: &'static str,
    /// Pictures are made so wide or high at most.
    pub(crate) max_side_px: Option<u32>,
    /// How many questions the published set has.
    pub(crate) n_published: usize,
}

impl KnownQuestions {
    fn title(self) -> &'static str {
        match self {
            Self::VStar => "V*Bench",
            Self::Blink => "BLINK",
            Self::Sat2 => "SAT-2",
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::VStar => "vstar/v1",
            Self::Blink => "blink/v1",
            Self::Sat2 => "sat2/v1",
        }
    }

    /// The first option of V* is the right one, and SAT's own harness shuffles; BLINK's asks as given.
    fn order(self) -> OptionOrder {
        match self {
            Self::VStar | Self::Sat2 => OptionOrder::Shuffled,
            Self::Blink => OptionOrder::AsGiven,
        }
    }

    fn read(self, folder: &Path, choice: &QuestionChoice) -> Result<Read, String> {
        match self {
            Self::VStar => vstar::read(folder, choice),
            Self::Blink => blink::read(folder, choice),
            Self::Sat2 => sat::read(folder, choice),
        }
    }
}

/// One asking of a question.
#[derive(Debug)]
struct Asking {
    question: usize,
    /// Which turn of the circle, where the options go round.
    turn: Option<usize>,
    /// The options in the order in which they are told.
    options: Vec<usize>,
}

/// Questions as an evaluation.
#[derive(Debug)]
pub struct QuestionSet {
    known: KnownQuestions,
    choice: QuestionChoice,
    order: OptionOrder,
    read: Read,
    askings: Vec<Asking>,
    pictures: Pictures<usize>,
}

impl QuestionSet {
    /// Reads a set.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn open(known: KnownQuestions, choice: &QuestionChoice) -> Result<Self, String> {
        let Some(folder) = &choice.folder else {
            return Err(format!(
                "name its folder: --data DIR; docs/evaluation.md says where {} is from",
                known.title()
            ));
        };
        if !folder.is_dir() {
            return Err(format!("--data: there is no folder `{}`", folder.display()));
        }
        let read = known.read(folder, choice)?;
        if read.questions.is_empty() {
            return Err(format!("`{}` has no question", folder.display()));
        }
        let mut ids = std::collections::BTreeSet::new();
        if let Some(twice) = read.questions.iter().find(|question| !ids.insert(&question.id)) {
            return Err(format!("two questions have the id `{}`", twice.id));
        }
        if let Some(empty) = read.questions.iter().find(|question| text_match("", &question.truth).is_none())
        {
            return Err(format!(
                "`{}`: its right answer `{}` has nothing in it to compare with",
                empty.id, empty.truth
            ));
        }
        if let Some((id, what, text)) = read.questions.iter().find_map(missing) {
            return Err(format!("`{id}`: its {what} is `{text}`, as programs write a text that is missing"));
        }
        let names_options = read.questions.iter().any(|question| question.options.is_empty());
        let order = match choice.options {
            Some(order @ (OptionOrder::Shuffled | OptionOrder::Circular)) if names_options => {
                let name = if order == OptionOrder::Shuffled { "shuffled" } else { "circular" };
                return Err(format!(
                    "--options {name}: the text of these questions names the options itself; leave --options out"
                ));
            }
            _ if names_options => OptionOrder::AsGiven,
            typed => typed.unwrap_or(known.order()),
        };
        let askings = askings(&read.questions, order, choice.limit);
        Ok(Self { known, choice: choice.clone(), order, read, askings, pictures: Pictures::default() })
    }

    fn at(&self, idx: u64) -> Result<(&Question, &Asking), Failure> {
        let asking = usize::try_from(idx).ok().and_then(|idx| self.askings.get(idx));
        let asking = asking.ok_or_else(|| Failure::from(format!("there is no question {idx}")))?;
        Ok((&self.read.questions[asking.question], asking))
    }

    fn pixels(&self, idx: u64) -> Result<Arc<RgbImage>, Failure> {
        let (question, asking) = self.at(idx)?;
        self.pictures.get(&asking.question, || {
            let pictures = match &question.shown {
                Shown::Embedded(at) => at.all_pixels()?,
                Shown::Files(paths) => {
                    paths.iter().map(|path| pictures::open(path)).collect::<Result<Vec<_>, _>>()?
                }
            };
            let sizes: Vec<(u32, u32)> = pictures.iter().map(RgbImage::dimensions).collect();
            if sizes != question.sizes {
                return Err(format!(
                    "the pictures of `{}` are not those that were there before",
                    question.id
                ));
            }
            let joined = joined(pictures);
            let (width, height) = fitted(joined.dimensions(), self.read.max_side_px);
            Ok(match (width, height) == joined.dimensions() {
                true => joined,
                false => resize(&joined, width, height, Filter::Bicubic),
            })
        })
    }

    fn size(&self, question: &Question) -> (u32, u32) {
        let width = question.sizes.iter().map(|(width, _)| width).sum();
        let height = question.sizes.iter().map(|(_, height)| *height).max().unwrap_or(0);
        fitted((width, height), self.read.max_side_px)
    }
}

/// The id of a question of which a text is missing, which text that is, and what stands there.
fn missing(question: &Question) -> Option<(&str, &'static str, &str)> {
    let of_options = question.options.iter().map(|option| ("option", option));
    let mut all =
        [("question", &question.text), ("right answer", &question.truth)].into_iter().chain(of_options);
    all.find(|(_, text)| fields::is_missing(text)).map(|(what, text)| (&*question.id, what, &**text))
}

/// Which questions are asked how often, in the order of the set.
fn askings(questions: &[Question], order: OptionOrder, limit: Option<u64>) -> Vec<Asking> {
    let asked = first_of_shuffle((0..questions.len()).collect(), limit, |idx| rank(&questions[*idx].id));
    let asking = |question: usize| {
        let n = questions[question].options.len();
        let given: Vec<usize> = (0..n).collect();
        let turned = |turn: usize| given.iter().map(|at| (at + turn) % n).collect();
        match order {
            OptionOrder::AsGiven => vec![Asking { question, turn: None, options: given }],
            OptionOrder::Shuffled => {
                vec![Asking { question, turn: None, options: shuffled(given, &questions[question].id) }]
            }
            OptionOrder::Circular => {
                (0..n).map(|turn| Asking { question, turn: Some(turn), options: turned(turn) }).collect()
            }
        }
    };
    asked.into_iter().flat_map(asking).collect()
}

/// Fisher and Yates, by the item's name.
fn shuffled(mut options: Vec<usize>, id: &str) -> Vec<usize> {
    let mut random = of_name(&format!("options of {id}"));
    for last in (1..options.len()).rev() {
        options.swap(below(&mut random, last + 1), last);
    }
    options
}

/// Several pictures side by side, from the left, on white where one is less high.
fn joined(mut pictures: Vec<RgbImage>) -> RgbImage {
    if pictures.len() == 1 {
        return pictures.remove(0);
    }
    let width = pictures.iter().map(RgbImage::width).sum();
    let height = pictures.iter().map(RgbImage::height).max().unwrap_or(0);
    let mut all = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    let mut left = 0;
    for picture in &pictures {
        imageops::replace(&mut all, picture, i64::from(left), 0);
        left += picture.width();
    }
    all
}

/// The size of a picture that is made smaller until no side is longer than this.
fn fitted((width, height): (u32, u32), max_side_px: Option<u32>) -> (u32, u32) {
    let longest = width.max(height);
    match max_side_px {
        Some(max) if longest > max => {
            let side = |px: u32| (u64::from(px) * u64::from(max) / u64::from(longest)).max(1) as u32;
            (side(width), side(height))
        }
        _ => (width, height),
    }
}

/// The question with its options.
fn told(question: &Question, asking: &Asking) -> String {
    if question.options.is_empty() {
        return question.text.clone();
    }
    let options: Vec<&str> = asking.options.iter().map(|at| &*question.options[*at]).collect();
    format!("{}\nOptions: {}\nAnswer with the exact text of one option.", question.text, options.join("; "))
}

impl Evaluation for QuestionSet {
    fn id(&self) -> &'static str {
        self.known.id()
    }

    fn title(&self) -> String {
        let n_questions =
            self.askings.iter().filter(|asking| asking.turn.is_none_or(|turn| turn == 0)).count();
        let of = self.read.questions.len();
        let asked = match self.order {
            OptionOrder::Circular => {
                format!("{n_questions} of {of} questions, asked {} times", self.askings.len())
            }
            OptionOrder::AsGiven | OptionOrder::Shuffled => format!("{n_questions} of {of} questions"),
        };
        format!("{} · {} · {asked}", self.known.title(), self.read.layout)
    }

    fn to_json(&self) -> Value {
        json!({
            "set": self.known.title(),
            "folder": self.choice.folder,
            "layout": self.read.layout,
            "options": self.order,
            "part": self.choice.part,
            "limit": self.choice.limit,
            "n_items": self.read.questions.len(),
            "n_asked": self.askings.len(),
            "max_side_px": self.read.max_side_px,
            "is_published": self.choice.limit.is_none() && self.read.questions.len() == self.read.n_published,
        })
    }

    fn n_items(&self) -> u64 {
        self.askings.len() as u64
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        None
    }

    fn groups(&self) -> Vec<(&'static str, Vec<String>)> {
        self.read.groups.clone()
    }

    fn item(&self, idx: u64) -> Result<Item, Failure> {
        let (question, asking) = self.at(idx)?;
        let n_options = asking.options.len();
        let size = self.size(question);
        Ok(Item {
            id: asking.turn.map_or_else(|| question.id.clone(), |turn| format!("{}#{turn}", question.id)),
            seed: idx,
            instruction: told(question, asking),
            values: question.values.clone(),
            chance: (n_options > 0).then(|| 1.0 / n_options as f64),
            targets: Vec::new(),
            is_absent: false,
            picture: Some(Pictured { name: question.picture.clone(), size: [size.0, size.1] }),
            circle: asking.turn.map(|_| Circle { question: question.id.clone(), n_orders: n_options as u64 }),
        })
    }

    fn prepare(&self, idx: u64) {
        // Whoever asks is told what is wrong with it.
        drop(self.pixels(idx));
    }

    fn expect(&self, n_at_once: usize) {
        self.pictures.expect(n_at_once);
    }

    fn screenshot(&self, idx: u64) -> Result<Option<Arc<RgbImage>>, Failure> {
        self.pixels(idx).map(Some)
    }

    fn is_in_words(&self) -> bool {
        true
    }

    fn in_words(&self, idx: u64) -> Result<Option<InWords>, Failure> {
        let (question, asking) = self.at(idx)?;
        let (picture, truth) = (self.pixels(idx)?, question.truth.clone());
        Ok(Some(InWords { picture, question: told(question, asking), truth }))
    }

    fn world<'w>(
        &'w self,
        _idx: u64,
        _driver: Option<&'w mut dyn Driver>,
        _device_pixel_ratio: DevicePixelRatio,
        _labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure> {
        Err("a question is answered in words: there is nothing to click".into())
    }

    fn macro_groups(&self) -> Vec<&'static str> {
        self.read.macro_groups.clone()
    }

    fn notes(&self) -> Vec<String> {
        let (n, n_published) = (self.read.questions.len(), self.read.n_published);
        let mut notes = self.read.notes.clone();
        if n != n_published {
            notes.push(format!(
                "these are {n} questions, not the {n_published} of the published set: its published numbers are of others"
            ));
        }
        notes
    }
}

/// A place in a file, for errors.
#[derive(Debug, Clone)]
struct At {
    path: PathBuf,
    /// Such as `line 3`.
    place: String,
}

impl At {
    fn wrong(&self, why: impl std::fmt::Display) -> String {
        format!("`{}`, {}: {why}", self.path.display(), self.place)
    }

    /// The option that a letter names, as `B` or `(B)`.
    fn lettered(&self, what: &str, letter: &str, options: &[String]) -> Result<String, String> {
        let place = match letter.trim().trim_matches(['(', ')']).as_bytes() {
            [letter] => Some(usize::from(letter.wrapping_sub(b'A'))),
            _ => None,
        };
        let option = place.and_then(|place| options.get(place)).cloned();
        option.ok_or_else(|| self.wrong(format!("its {what} `{letter}` is no letter of its options")))
    }
}

/// The lines of a file, each a JSON object; empty ones are left out.
fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<(At, T)>, String> {
    let text = vigorl_files::read_text(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let at = At { path: path.to_owned(), place: format!("line {number}") };
            let row = fields::of_text(line).map_err(|why| at.wrong(why))?;
            Ok((at, row))
        })
        .collect()
}

/// A row of a parquet file whose pictures could be read.
struct PictureRow<T> {
    at: At,
    number: usize,
    shown: Shown,
    sizes: Vec<(u32, u32)>,
    fields: T,
}

fn parquet_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<PictureRow<T>>, String> {
    let rows = parquet_rows::rows(&Source::File(path.to_owned()))?.into_iter().enumerate();
    rows.map(|(number, row)| {
        let at = At { path: path.to_owned(), place: format!("row {number}") };
        let (embedded, _) = row.picture.ok_or_else(|| at.wrong("it has no picture"))?;
        let fields = fields::parsed(row.columns).map_err(|why| at.wrong(why))?;
        let sizes = row.sizes.map_err(|why| at.wrong(why))?;
        Ok(PictureRow { at, number, shown: Shown::Embedded(embedded), sizes, fields })
    })
    .collect()
}

/// A name that is a text or a number.
fn name_of(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(name) => Some(name.to_string()),
        _ => None,
    }
}

/// The options, each once; the right one must be among them.
fn checked(id: &str, options: &[String], truth: &str) -> Result<Vec<String>, String> {
    let mut once: Vec<String> = Vec::new();
    for option in options {
        if !once.contains(option) {
            once.push(option.clone());
        }
    }
    match once.iter().any(|option| option == truth) {
        true => Ok(once),
        false => Err(format!("`{id}`: the right answer `{truth}` is not among the options {options:?}")),
    }
}

/// The size of a picture in a file.
fn size_of(path: &Path, id: &str) -> Result<(u32, u32), String> {
    pictures::dimensions(path).map_err(|why| format!("`{id}`: {why}"))
}

#[cfg(test)]
mod tests;
