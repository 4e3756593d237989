//! What supervised lessons are about: screens with named boxes, rendered as practice pages or found in a file of screenshots.
//!
//! Invariant: a lesson set is of one part. What a file holds out is never taught, and what it teaches is never measured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use vigorl_agent::NamesTexts;
use vigorl_files::open_picture;
use vigorl_geometry::{DevicePixelRatio, Point};
use vigorl_interface::Screenshot;
use vigorl_policy::wire::ReadText;
use vigorl_tasks::practice::dataset::{Dataset, Record};
use vigorl_tasks::practice::{PixelBox, SizeClass};
use vigorl_tasks::sources::{Pair, Part, PictureSource, Told};

use crate::error::TrainingError;

/// What an instruction says between a thing and its row.
pub(crate) const IN_ROW: &str = " in the row of ";

/// A thing on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Where it is, in pixels of the screen.
    pub bounds: PixelBox,
    /// What the policy calls it in its thoughts.
    pub name: String,
    /// What it shares with things that it is easily mistaken for.
    pub traits: Vec<String>,
}

/// What is asked about a screen.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledTask {
    /// "click the red circle".
    pub instruction: String,
    /// Index into the screen's things.
    pub target: usize,
    /// Which words of the instruction stand on the screen, where somebody has told.
    pub read: Vec<ReadText>,
    /// The same, if it is known: it is told only to a policy that is told.
    pub known: Option<Vec<ReadText>>,
}

/// A screen and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPage {
    /// Everything that has a name.
    pub things: Vec<Labelled>,
    /// What is asked.
    pub tasks: Vec<LabelledTask>,
    /// Whether nothing else stands on it: then places without a thing are known to be empty.
    pub is_complete: bool,
}

/// Screens to teach or to measure with.
#[derive(Debug)]
pub struct LessonSet {
    pages: Vec<LabelledPage>,
    images: ImagesOf,
}

#[derive(Debug)]
enum ImagesOf {
    Pages(Dataset),
    Files(Vec<PathBuf>),
}

impl LessonSet {
    /// Opens a folder of rendered practice pages, or of a file of screenshots what belongs to `part`.
    ///
    /// # Errors
    /// What is wrong with it, and where; also if it is empty.
    pub fn open(path: &Path, part: Part) -> Result<Self, TrainingError> {
        let set = match path.extension().is_some_and(|extension| extension == "jsonl") {
            true => Self::of_file(path, part)?,
            false => Self::of_pages(Dataset::open(path)?),
        };
        match set.is_empty() {
            false => Ok(set),
            true => Err(TrainingError::Content {
                path: path.to_owned(),
                detail: format!("it has nothing in the part `{}`", part.as_str()),
            }),
        }
    }

    /// Rendered practice pages.
    pub fn of_pages(pages: Dataset) -> Self {
        let labelled = pages.records().iter().map(LabelledPage::from).collect();
        Self { pages: labelled, images: ImagesOf::Pages(pages) }
    }

    fn of_file(path: &Path, part: Part) -> Result<Self, TrainingError> {
        let content = |detail| TrainingError::Content { path: path.to_owned(), detail };
        let source = PictureSource::open(path.to_string_lossy(), path).map_err(content)?;
        let mut of_image: BTreeMap<PathBuf, LabelledPage> = BTreeMap::new();
        for pair in source.labelled(part) {
            let page = of_image.entry(pair.image.to_owned()).or_insert_with(|| LabelledPage {
                things: Vec::new(),
                tasks: Vec::new(),
                is_complete: false,
            });
            page.ask(pair);
        }
        let (images, pages) = of_image.into_iter().unzip();
        Ok(Self { pages, images: ImagesOf::Files(images) })
    }

    /// Tells what of everything that is asked stands on its screen; what the file does not know is read.
    ///
    /// # Errors
    /// If a picture cannot be opened or nobody can read.
    pub fn tell(&mut self, texts: &mut dyn NamesTexts) -> Result<(), TrainingError> {
        for index in 0..self.len() {
            let is_unknown = |task: &LabelledTask| task.known.is_none();
            // Only what is read needs its pixels.
            let screenshot = match self.pages[index].tasks.iter().any(is_unknown) {
                true => Some(Screenshot {
                    pixels: Arc::new(self.image(index)?),
                    device_pixel_ratio: DevicePixelRatio::ONE,
                }),
                false => None,
            };
            for task in &mut self.pages[index].tasks {
                task.read = match (&task.known, &screenshot) {
                    (Some(known), _) => known.clone(),
                    (None, Some(screenshot)) => texts
                        .named_texts(screenshot, &task.instruction)
                        .map_err(|error| TrainingError::Row(error.to_string()))?,
                    (None, None) => Vec::new(),
                };
            }
        }
        Ok(())
    }

    /// The same, where things of a file are called by their kind alone.
    #[must_use]
    pub fn called_by_kind(mut self) -> Self {
        if matches!(self.images, ImagesOf::Files(_)) {
            for LabelledPage { things, tasks, .. } in &mut self.pages {
                for task in tasks {
                    things[task.target].name = kind_in(&task.instruction).to_owned();
                }
            }
        }
        self
    }

    /// How many screens there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What is known of a screen.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    pub fn page(&self, index: usize) -> &LabelledPage {
        &self.pages[index]
    }

    /// The pixels of a screen.
    ///
    /// # Errors
    /// If they cannot be read.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    pub fn image(&self, index: usize) -> Result<RgbImage, TrainingError> {
        match &self.images {
            ImagesOf::Pages(pages) => Ok(pages.image(index)?),
            ImagesOf::Files(images) => {
                let path = &images[index];
                Ok(open_picture(path).map_err(TrainingError::content(path))?.into_rgb8())
            }
        }
    }
}

impl Labelled {
    /// The class of its size.
    pub fn size_class(&self) -> SizeClass {
        SizeClass::of(self.bounds)
    }
}

impl LabelledPage {
    /// Adds something that a file asks for. The edges of its box belong to it.
    fn ask(&mut self, Pair { instruction, target, told, .. }: Pair<'_>) {
        let pixel = |edge: f64| edge.round() as i32;
        let bounds = PixelBox {
            left: pixel(target.left),
            top: pixel(target.top),
            right: pixel(target.right) + 1,
            bottom: pixel(target.bottom) + 1,
        };
        let thing = Labelled { bounds, name: name_in(instruction).to_owned(), traits: Vec::new() };
        let target = self.things.iter().position(|known| *known == thing).unwrap_or_else(|| {
            self.things.push(thing);
            self.things.len() - 1
        });
        let read = |(text, x, y): &Told| ReadText { text: text.clone(), at: Point::new(*x, *y) };
        let known = told.map(|told| told.iter().map(read).collect());
        self.tasks.push(LabelledTask {
            instruction: instruction.to_owned(),
            target,
            read: Vec::new(),
            known,
        });
    }
}

/// What an instruction asks for, without the verb; of a thing in a row, the row, which says it in fewer words.
fn name_in(instruction: &str) -> &str {
    if let Some((_, row)) = instruction.split_once(IN_ROW) {
        return row.trim_end_matches('.');
    }
    let without_verb = ["click on ", "click ", "Click on ", "Click "]
        .iter()
        .find_map(|verb| instruction.strip_prefix(verb))
        .unwrap_or(instruction);
    without_verb.strip_prefix("the ").unwrap_or(without_verb).trim_end_matches('.')
}

/// The kind of what an instruction asks for: its last word, if that is one; of a text in quotes, "text".
fn kind_in(instruction: &str) -> &str {
    const KINDS: [&str; 13] = [
        "button", "link", "field", "checkbox", "radio", "tab", "dropdown", "item", "option", "switch",
        "slider", "icon", "label",
    ];
    let thing = instruction.split(IN_ROW).next().unwrap_or(instruction);
    let last = thing.trim_end_matches('.').rsplit(' ').next().unwrap_or(thing);
    match KINDS.contains(&last) {
        true => last,
        false if thing.contains('"') => "text",
        false => name_in(instruction),
    }
}

impl From<&Record> for LabelledPage {
    fn from(record: &Record) -> Self {
        let things = record.widgets.iter().map(|widget| {
            let color = widget.color.map(|color| format!("{color:?}"));
            let shape = widget.shape.map(|shape| format!("{shape:?}"));
            let traits = [Some(format!("{:?}", widget.kind)), color, shape];
            Labelled {
                bounds: widget.bounds,
                name: widget.name(),
                traits: traits.into_iter().flatten().collect(),
            }
        });
        // A page of shapes has nothing to read.
        let known = record.widgets.iter().all(|widget| widget.label.is_none()).then(Vec::new);
        let tasks = record.tasks.iter().map(|task| LabelledTask {
            instruction: task.instruction.clone(),
            target: task.target,
            read: Vec::new(),
            known: known.clone(),
        });
        Self { things: things.collect(), tasks: tasks.collect(), is_complete: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_is_no_part_of_a_name() {
        for (instruction, name) in [
            ("click the red star", "red star"),
            ("Click on the Save button.", "Save button"),
            ("the bold icon", "bold icon"),
            ("clickable area", "clickable area"),
            ("the Edit button in the row of Red Fox", "Red Fox"),
        ] {
            assert_eq!(name_in(instruction), name);
        }
    }

    #[test]
    fn a_kind_is_the_last_word_of_what_is_asked() {
        for (instruction, kind) in [
            ("the Edit button in the row of Red Fox", "button"),
            ("the Save link.", "link"),
            ("\"Red Fox\"", "text"),
            ("the pencil", "pencil"),
        ] {
            assert_eq!(kind_in(instruction), kind);
        }
    }

    /// Reads the first word of an instruction in the corner of each picture.
    struct FirstWord;

    impl NamesTexts for FirstWord {
        fn named_texts(
            &mut self,
            screenshot: &Screenshot,
            instruction: &str,
        ) -> Result<Vec<ReadText>, vigorl_policy::PolicyError> {
            let text = instruction.split(' ').next().unwrap_or_default().to_owned();
            let at = vigorl_geometry::Point::new(f64::from(screenshot.pixels.width()) - 1.0, 2.0);
            Ok(vec![ReadText { text, at }])
        }
    }

    #[test]
    fn what_is_asked_is_told_with_what_stands_on_the_screen() {
        let dir = tempfile::tempdir().unwrap();
        RgbImage::new(40, 30).save(dir.path().join("a.png")).unwrap();
        let file = dir.path().join("pairs.jsonl");
        let line = r#"{"image":"a.png","instruction":"Save it","box":[10,5,19,14],"split":"train"}"#;
        std::fs::write(&file, line).unwrap();
        let mut set = LessonSet::open(&file, Part::Train).unwrap();
        assert!(set.page(0).tasks[0].read.is_empty());
        set.tell(&mut FirstWord).unwrap();
        let told = &set.page(0).tasks[0].read[0];
        assert_eq!((told.text.as_str(), told.at.x, told.at.y), ("Save", 39.0, 2.0));
    }

    #[test]
    fn a_file_is_taught_by_its_part_and_its_edges_belong_to_its_boxes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.png"] {
            RgbImage::new(40, 30).save(dir.path().join(name)).unwrap();
        }
        let file = dir.path().join("pairs.jsonl");
        let lines = [
            r#"{"image":"a.png","instruction":"click the star","box":[10,5,19,14],"split":"train"}"#,
            r#"{"image":"a.png","instruction":"the star","box":[10,5,19,14],"split":"train"}"#,
            r#"{"image":"b.png","instruction":"the moon","box":[0,0,9,9],"split":"held_out"}"#,
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let taught = LessonSet::open(&file, Part::Train).unwrap();
        assert_eq!(taught.len(), 1);
        let page = taught.page(0);
        assert_eq!((page.things.len(), page.tasks.len(), page.is_complete), (1, 2, false));
        let bounds = page.things[0].bounds;
        assert_eq!((bounds.left, bounds.top, bounds.right, bounds.bottom), (10, 5, 20, 15));
        assert_eq!(LessonSet::open(&file, Part::HeldOut).unwrap().page(0).things[0].name, "moon");
        std::fs::write(&file, lines[2]).unwrap();
        let error = LessonSet::open(&file, Part::Train).unwrap_err().to_string();
        assert!(error.contains("nothing in the part `train`"), "{error}");
    }
}
