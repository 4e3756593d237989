//! Screenshots with labels as an evaluation: a folder with `pages.json` beside its pictures.
//!
//! Invariants: no browser is needed; a point is right in the label's text or in the control that it stands in; what a
//! page says is absent is right if nothing is clicked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use serde::Deserialize;
use vigorl_geometry::{DevicePixelRatio, Rect, Screen, Size, Viewport};
use vigorl_interface::{Driver, Screenshot};
use vigorl_tasks::picture::{PictureWorld, Region};
use vigorl_tasks::{Environment, Failure};

use crate::evaluation::{Evaluation, Item, Pictured};
use crate::pictures::{self, Pictures};

/// The file of a folder that lists its pages.
const LIST: &str = "pages.json";
/// Labels that stand on every page of a set tell nothing of the eyes.
const ON_EVERY_PAGE: [&str; 3] = ["Last ", "Time left", "Episodes"];

/// Labelled screenshots.
#[derive(Debug)]
pub struct PagesSet {
    folders: Vec<PathBuf>,
    pages: Vec<Page>,
    asked: Vec<Asked>,
    wordings: Vec<String>,
    /// Items are ordered by page.
    pictures: Pictures<usize>,
}

/// A screenshot and what is on it.
#[derive(Debug, Deserialize)]
struct Page {
    file: PathBuf,
    #[serde(default)]
    group: String,
    w: u32,
    h: u32,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    absent: Vec<Absent>,
    #[serde(default)]
    asks: Vec<Written>,
}

/// A text on a page: asked for if it stands there once.
#[derive(Debug, Deserialize)]
struct Label {
    text: String,
    #[serde(rename = "box")]
    text_box: [f64; 4],
    #[serde(default)]
    click: Option<[f64; 4]>,
    #[serde(default)]
    unique: bool,
}

/// A text that is not on a page.
#[derive(Debug, Deserialize)]
struct Absent {
    text: String,
    kind: String,
}

/// An instruction as it is, and where what it means stands.
#[derive(Debug, Deserialize)]
struct Written {
    instruction: String,
    kind: String,
    #[serde(rename = "box", default)]
    first: Option<[f64; 4]>,
    #[serde(default)]
    boxes: Vec<[f64; 4]>,
}

/// One item: a page, what is asked, and where it is.
#[derive(Debug)]
struct Asked {
    page: usize,
    instruction: String,
    kind: String,
    wording: Option<usize>,
    targets: Vec<Rect<Screen>>,
}

impl PagesSet {
    /// Reads the lists of folders. Labels and absent texts are asked for in each of the `wordings`, in which `{}` stands
    /// for the text; instructions of the list are asked as they are.
    ///
    /// # Errors
    /// What is wrong with the folder, for people.
    pub fn open(folders: &[PathBuf], wordings: &[String]) -> Result<Self, String> {
        let mut pages = Vec::new();
        for folder in folders {
            pages.extend(listed(folder)?);
        }
        if let Some(wording) = wordings.iter().find(|wording| !wording.contains("{}")) {
            return Err(format!("the wording `{wording}` has no place for the text: write `{{}}` there"));
        }
        let plain = ["{}".to_owned()];
        let wordings = if wordings.is_empty() { &plain[..] } else { wordings };
        let mut asked = Vec::new();
        for (page, of) in pages.iter().enumerate() {
            for (n, wording) in wordings.iter().enumerate() {
                let add = |text: &str, kind: &str, targets: Vec<Rect<Screen>>| Asked {
                    page,
                    instruction: wording.replace("{}", text),
                    kind: kind.to_owned(),
                    wording: (wordings.len() > 1).then_some(n),
                    targets,
                };
                let labels = of.labels.iter().filter(|label| label.is_asked());
                asked.extend(labels.map(|label| add(&label.text, "label", label.targets())));
                asked.extend(of.absent.iter().map(|absent| add(&absent.text, &absent.kind, Vec::new())));
            }
            asked.extend(of.asks.iter().map(|written| Asked {
                page,
                instruction: written.instruction.clone(),
                kind: written.kind.clone(),
                wording: None,
                targets: written.first.iter().chain(&written.boxes).copied().map(rect).collect(),
            }));
        }
        if asked.is_empty() {
            return Err(format!("{LIST} asks for nothing: it has no labels, no absent texts and no asks"));
        }
        Ok(Self {
            folders: folders.to_vec(),
            pages,
            asked,
            wordings: wordings.to_vec(),
            pictures: Pictures::default(),
        })
    }

    /// The same with its first `n` items alone.
    #[must_use]
    pub fn limited(mut self, n: u64) -> Self {
        self.asked.truncate(usize::try_from(n).unwrap_or(usize::MAX));
        self
    }

    fn asked(&self, idx: u64) -> Result<&Asked, Failure> {
        let asked = usize::try_from(idx).ok().and_then(|idx| self.asked.get(idx));
        asked.ok_or_else(|| format!("there is no item {idx}").into())
    }

    fn picture(&self, page: usize) -> Result<Arc<RgbImage>, Failure> {
        self.pictures.get(&page, || {
            let Page { file, w, h, .. } = &self.pages[page];
            let picture = pictures::open(file)?;
            let (width, height) = picture.dimensions();
            match (width, height) == (*w, *h) {
                true => Ok(picture),
                false => Err(format!(
                    "`{}` has {width}x{height} pixels, and `{LIST}` says {w}x{h}",
                    file.display()
                )),
            }
        })
    }

    fn distinct(&self, of: impl Fn(&Asked) -> String) -> Vec<String> {
        self.asked.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The pages of a folder, with the paths of their pictures.
fn listed(folder: &Path) -> Result<Vec<Page>, String> {
    let path = folder.join(LIST);
    let text = vigorl_files::read_text(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let mut pages: Vec<Page> =
        serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
    for page in &mut pages {
        page.file = folder.join(&page.file);
    }
    Ok(pages)
}

impl Label {
    fn is_asked(&self) -> bool {
        self.unique && !ON_EVERY_PAGE.iter().any(|start| self.text.starts_with(start))
    }

    fn targets(&self) -> Vec<Rect<Screen>> {
        [Some(self.text_box), self.click].into_iter().flatten().map(rect).collect()
    }
}

fn rect([left, top, right, bottom]: [f64; 4]) -> Rect<Screen> {
    Rect::new(left, top, right, bottom)
}

impl Evaluation for PagesSet {
    fn id(&self) -> &'static str {
        "pages/v1"
    }

    fn title(&self) -> String {
        format!("{} screenshots, {} items", self.pages.len(), self.asked.len())
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "folders": self.folders,
            "n_pages": self.pages.len(),
            "n_items": self.asked.len(),
            "wordings": self.wordings,
        })
    }

    fn n_items(&self) -> u64 {
        self.asked.len() as u64
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        None
    }

    fn groups(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut groups = vec![("kind", self.distinct(|asked| asked.kind.clone()))];
        if self.wordings.len() > 1 {
            groups.push(("wording", self.wordings.clone()));
        }
        groups.push(("group", self.distinct(|asked| self.pages[asked.page].group.clone())));
        groups
    }

    fn item(&self, idx: u64) -> Result<Item, Failure> {
        let asked = self.asked(idx)?;
        let page = &self.pages[asked.page];
        let mut values = vec![("kind", asked.kind.clone()), ("group", page.group.clone())];
        values.extend(asked.wording.map(|n| ("wording", self.wordings[n].clone())));
        let area = f64::from(page.w) * f64::from(page.h);
        let largest = asked.targets.iter().map(|target| target.size().area()).fold(0.0, f64::max);
        Ok(Item {
            id: format!("item-{idx}"),
            seed: idx,
            instruction: asked.instruction.clone(),
            values,
            chance: Some(if asked.targets.is_empty() { 0.0 } else { largest / area }),
            targets: asked.targets.iter().copied().map(Region::Box).collect(),
            is_absent: asked.targets.is_empty(),
            circle: None,
            picture: Some(Pictured { name: page.file.display().to_string(), size: [page.w, page.h] }),
        })
    }

    fn prepare(&self, idx: u64) {
        // Whoever plays it is told what is wrong with it.
        drop(self.screenshot(idx));
    }

    fn expect(&self, n_at_once: usize) {
        self.pictures.expect(n_at_once);
    }

    fn screenshot(&self, idx: u64) -> Result<Option<Arc<RgbImage>>, Failure> {
        self.picture(self.asked(idx)?.page).map(Some)
    }

    fn world<'w>(
        &'w self,
        idx: u64,
        _driver: Option<&'w mut dyn Driver>,
        device_pixel_ratio: DevicePixelRatio,
        _labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure> {
        let asked = self.asked(idx)?;
        let screenshot = Screenshot { pixels: self.picture(asked.page)?, device_pixel_ratio };
        Ok(Box::new(PictureWorld::new(screenshot, asked.instruction.clone(), asked.targets.clone())))
    }
}
