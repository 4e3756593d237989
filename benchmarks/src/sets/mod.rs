//! Published data sets of GUI grounding as evaluations: one screenshot, one instruction, one click.
//!
//! Invariants: how a set writes its boxes is known from its layout, or a person said it; what contradicts that is refused before
//! anything is played, and so is what is broken, unless it is to be left out: then it is counted and told. A click is right in
//! the region or on the edge of its box, in pixels of the original picture. Every item that is asked for stays in every
//! denominator; only where the world failed it is counted apart.

mod boxes;
mod item;
mod leaderboard;
mod mmbench;
mod osworld_g;
pub(crate) mod parquet_rows;
mod pro;
mod pro_output;
mod rows;
mod screenspot;
mod shown;
#[cfg(test)]
mod tests;
mod ui_vision;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_tasks::{Environment, Failure};

pub use boxes::BoxFormat;
pub use pro::{GtType, InstructionStyle, Language};

use boxes::Convention;
use item::{Picture, Place, SetItem, Skipped, named};
use screenspot::Version;
use shown::Shown;

use crate::draw::{first_of_shuffle, rank};
use crate::evaluation::{Evaluation, Item, Pictured};
use crate::line::Line;
use crate::pictures::{self, Pictures};

/// A published set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// ScreenSpot.
    ScreenSpot,
    /// ScreenSpot-v2.
    ScreenSpotV2,
    /// ScreenSpot-Pro.
    ScreenSpotPro,
    /// OSWorld-G.
    OsworldG,
    /// UI-Vision, element grounding.
    UiVision,
    /// MMBench-GUI, level 2.
    MmbenchGui,
}

impl Known {
    fn title(self) -> &'static str {
        match self {
            Self::ScreenSpot => "ScreenSpot",
            Self::ScreenSpotV2 => "ScreenSpot-v2",
            Self::ScreenSpotPro => "ScreenSpot-Pro",
            Self::OsworldG => "OSWorld-G",
            Self::UiVision => "UI-Vision element grounding",
            Self::MmbenchGui => "MMBench-GUI L2",
        }
    }

    /// Name and version of the evaluation.
    fn id(self) -> &'static str {
        match self {
            Self::ScreenSpot => "screenspot/v1",
            Self::ScreenSpotV2 => "screenspot-v2/v1",
            Self::ScreenSpotPro => "screenspot-pro/v1",
            Self::OsworldG => "osworld-g/v1",
            Self::UiVision => "ui-vision/v1",
            Self::MmbenchGui => "mmbench-gui/v1",
        }
    }

    fn read(self, folder: &Path, choice: &SetChoice) -> Result<Read, String> {
        match self {
            Self::ScreenSpot => screenspot::read(folder, Version::V1, choice),
            Self::ScreenSpotV2 => screenspot::read(folder, Version::V2, choice),
            Self::ScreenSpotPro => pro::read(folder, choice),
            Self::OsworldG => osworld_g::read(folder, choice),
            Self::UiVision => ui_vision::read(folder, choice),
            Self::MmbenchGui => mmbench::read(folder, choice),
        }
    }
}

/// What is asked of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SetChoice {
    /// Its folder.
    pub folder: Option<PathBuf>,
    /// So many items, the first ones of a shuffle that is always the same; all if absent.
    pub limit: Option<u64>,
    /// What the boxes are, whatever the layout says.
    pub box_format: Option<BoxFormat>,
    /// Whether broken items are left out.
    pub skip_broken: bool,
    /// For ScreenSpot-Pro: in which words.
    pub instruction_style: Option<InstructionStyle>,
    /// For ScreenSpot-Pro: in which language.
    pub language: Option<Language>,
    /// For ScreenSpot-Pro: which items.
    pub gt_type: Option<GtType>,
    /// For OSWorld-G: the refined instructions.
    pub refined: bool,
}

impl SetChoice {
    /// Whether anything of it was asked for besides the folder.
    pub fn is_any(&self) -> bool {
        let is_common = self.limit.is_some() || self.box_format.is_some() || self.skip_broken;
        is_common || self.is_of_pro() || self.refined
    }

    fn is_of_pro(&self) -> bool {
        self.instruction_style.is_some() || self.language.is_some() || self.gt_type.is_some()
    }

    /// Whether it can be asked of this set.
    fn check(&self, set: Known) -> Result<(), String> {
        if self.is_of_pro() && set != Known::ScreenSpotPro {
            return Err(
                "--instruction-style, --language and --gt-type are for screenspot-pro: leave them out"
                    .to_owned(),
            );
        }
        if self.refined && set != Known::OsworldG {
            return Err("--refined is for osworld-g: leave it out".to_owned());
        }
        Ok(())
    }
}

/// What was read of a set.
#[derive(Debug)]
pub(crate) struct Read {
    items: Vec<SetItem>,
    skipped: Vec<Skipped>,
    groups: Vec<(&'static str, Vec<String>)>,
    macro_groups: Vec<&'static str>,
    notes: Vec<String>,
    layout: &'static str,
    convention: Convention,
    /// Whether these are all items of the published set, as far as its counts are known.
    is_whole: bool,
}

/// A published set as an evaluation.
#[derive(Debug)]
pub struct GroundingSet {
    set: Known,
    choice: SetChoice,
    read: Read,
    /// Items that can be played, of which `read.items` are those that are.
    n_readable: usize,
    /// Items of one picture stand together.
    pictures: Pictures<Picture>,
}

impl GroundingSet {
    /// Reads a set, and of its pictures how large they are. Without a folder, the pictures in this program stand for
    /// ScreenSpot.
    ///
    /// # Errors
    /// What is wrong with the set, for people, with the items named.
    pub fn open(set: Known, choice: &SetChoice) -> Result<Self, String> {
        choice.check(set)?;
        let mut read = match &choice.folder {
            Some(folder) if !folder.is_dir() => {
                return Err(format!("--data: there is no folder `{}`", folder.display()));
            }
            Some(folder) => set.read(folder, choice)?,
            None if set == Known::ScreenSpot => screenspot::bundled(choice)?,
            None => {
                return Err(format!(
                    "name its folder: --data DIR; docs/evaluation.md says where {} is from",
                    set.title()
                ));
            }
        };
        let n_readable = read.items.len();
        read.items = first_of_shuffle(read.items, choice.limit, |item| rank(&item.id));
        Ok(Self { set, choice: choice.clone(), read, n_readable, pictures: Pictures::default() })
    }

    fn is_bundled(&self) -> bool {
        self.choice.folder.is_none()
    }

    fn at(&self, idx: u64) -> Result<&SetItem, Failure> {
        let item = usize::try_from(idx).ok().and_then(|idx| self.read.items.get(idx));
        item.ok_or_else(|| format!("there is no item {idx}").into())
    }

    fn pixels(&self, item: &SetItem) -> Result<Arc<RgbImage>, Failure> {
        let pixels = self.pictures.get(&item.picture, || match &item.picture.at {
            Place::Embedded(at) => at.pixels(),
            Place::File(path) => pictures::open(path),
        })?;
        if pixels.dimensions() != item.size {
            return Err(format!("the picture of `{}` is not the one that was there before", item.id).into());
        }
        Ok(pixels)
    }
}

impl Evaluation for GroundingSet {
    fn id(&self) -> &'static str {
        if self.is_bundled() { "screenspot-bundled/v1" } else { self.set.id() }
    }

    fn title(&self) -> String {
        let name = if self.is_bundled() { "bundled practice pictures" } else { self.set.title() };
        let (format, n_items) = (self.read.convention.format, self.n_items());
        format!("{name} · {} · {format} · {n_items} of {} items", self.read.layout, self.n_readable)
    }

    fn to_json(&self) -> Value {
        let skipped: Vec<Value> =
            self.read.skipped.iter().map(|one| json!({ "id": one.id, "why": one.why })).collect();
        let mut all = json!({
            "set": if self.is_bundled() { "bundled" } else { self.set.title() },
            "folder": self.choice.folder,
            "layout": self.read.layout,
            "bbox_format": self.read.convention.format,
            "bbox_format_is_told": self.read.convention.is_told,
            "n_items": self.n_readable,
            "n_skipped": skipped.len(),
            "skipped": skipped,
            "limit": self.choice.limit,
            "n_asked": self.n_items(),
            "is_published": self.read.is_whole && self.n_readable == self.read.items.len(),
        });
        if self.set == Known::ScreenSpotPro {
            all["instruction_style"] =
                json!(self.choice.instruction_style.unwrap_or(InstructionStyle::Instruction));
            all["language"] = json!(self.choice.language.unwrap_or(Language::En));
            all["gt_type"] = json!(self.choice.gt_type.unwrap_or(GtType::Positive));
        }
        if self.set == Known::OsworldG {
            all["instructions"] = json!(if self.choice.refined { "refined" } else { "original" });
        }
        all
    }

    fn n_items(&self) -> u64 {
        self.read.items.len() as u64
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        None
    }

    fn groups(&self) -> Vec<(&'static str, Vec<String>)> {
        self.read.groups.clone()
    }

    fn item(&self, idx: u64) -> Result<Item, Failure> {
        let item = self.at(idx)?;
        let area = f64::from(item.size.0) * f64::from(item.size.1);
        let chance = item.region.as_ref().map_or(0.0, |region| (region.area() / area).min(1.0));
        Ok(Item {
            id: item.id.clone(),
            seed: idx,
            instruction: item.instruction.clone(),
            values: item.values.clone(),
            chance: Some(chance),
            targets: item.region.iter().cloned().collect(),
            is_absent: item.region.is_none(),
            picture: Some(Pictured { name: item.picture.name.clone(), size: [item.size.0, item.size.1] }),
            circle: None,
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
        self.pixels(self.at(idx)?).map(Some)
    }

    fn world<'w>(
        &'w self,
        idx: u64,
        _driver: Option<&'w mut dyn Driver>,
        _device_pixel_ratio: DevicePixelRatio,
        _labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(Shown::new(self, self.at(idx)?)))
    }

    fn macro_groups(&self) -> Vec<&'static str> {
        self.read.macro_groups.clone()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.read.notes.clone();
        if !self.read.skipped.is_empty() {
            let n = self.read.skipped.len();
            notes.push(format!(
                "{n} broken items were left out and are in no number:\n{}",
                named(&self.read.skipped)
            ));
        }
        notes
    }

    fn reference_outputs(&self, model: &str, lines: &[&Line]) -> Vec<(&'static str, Value)> {
        match self.set {
            Known::ScreenSpotPro => vec![
                ("screenspot_pro", pro_output::output(lines, |idx| self.at(idx).ok())),
                ("leaderboard", leaderboard::pro(model, lines)),
            ],
            Known::ScreenSpotV2 => vec![("leaderboard", leaderboard::v2(model, lines))],
            _ => Vec::new(),
        }
    }
}
