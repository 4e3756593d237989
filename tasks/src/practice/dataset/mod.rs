//! Rendered data sets: many pages per screenshot.
//!
//! A data set is a folder:
//! - `dataset.json`: what it was rendered from ([`Manifest`])
//! - `sheet-00000.png`, …: many pages side by side
//! - `pages.jsonl`: one [`Record`] per page, in the order of the seeds
//! - `screens.jsonl` and `screens/`, where they were asked for: the pages as screenshots with boxes
//!
//! Invariant: a record is written after its sheet is complete on disk, so that what the records name exists;
//! an interrupted rendering continues where it stopped.

mod reader;
mod render;
mod screens;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use reader::Dataset;
pub use render::{Progress, render_dataset};
pub use screens::SCREENS;

use super::environment::PracticeError;
use super::page::{HeldOut, PageError, PracticePage, PracticeTask};
use super::spec::PageSpec;
use super::widget::{PixelBox, Widget};
use super::{Layout, Look};

/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// What to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSpec {
    /// The first page; the others count its seed up.
    pub first: PageSpec,
    /// How many pages.
    pub pages: u64,
}

/// `dataset.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the folder's layout.
    pub format: u32,
    /// Version of the generator that made the pages.
    pub generator: u32,
    /// What it was rendered from.
    pub spec: DatasetSpec,
    /// Pages side by side on a sheet.
    pub columns: u32,
    /// Rows of pages on a sheet.
    pub rows: u32,
    /// Screen pixels per CSS pixel.
    pub device_pixel_ratio: f64,
}

/// One line of `pages.jsonl`. Everything is in pixels of the page's own image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// File name of the sheet.
    pub sheet: String,
    /// Where the page is on the sheet.
    pub x: u32,
    /// Where the page is on the sheet.
    pub y: u32,
    /// Width of the page's image.
    pub width: u32,
    /// Height of the page's image.
    pub height: u32,
    /// What the page was made from.
    pub spec: PageSpec,
    /// Its colors, frames and typeface.
    pub look: Look,
    /// Its arrangement.
    pub layout: Layout,
    /// What of it no training page shows.
    pub held_out: Vec<HeldOut>,
    /// Its widgets; their boxes are in pixels of the image.
    pub widgets: Vec<Widget>,
    /// Its tasks, the one of the live episode first.
    pub tasks: Vec<PracticeTask>,
}

impl Record {
    fn new(
        page: PracticePage,
        sheet: &str,
        tile: PixelBox,
        to_pixels: impl Fn(PixelBox) -> PixelBox,
    ) -> Self {
        let PracticePage { spec, look, layout, held_out, mut widgets, tasks, .. } = page;
        for widget in &mut widgets {
            widget.bounds = to_pixels(widget.bounds);
        }
        Self {
            sheet: sheet.to_owned(),
            x: tile.left as u32,
            y: tile.top as u32,
            width: tile.width() as u32,
            height: tile.height() as u32,
            spec,
            look,
            layout,
            held_out,
            widgets,
            tasks,
        }
    }
}

/// Why a data set cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The browser failed.
    #[error(transparent)]
    Practice(#[from] PracticeError),
    /// A specification has no page.
    #[error("page {seed}: {source}")]
    Page {
        /// Its seed.
        seed: u64,
        /// Why.
        source: PageError,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}{}: {detail}", path.display(), line.map(|n| format!(", line {n}")).unwrap_or_default())]
    Content {
        /// Which.
        path: PathBuf,
        /// Line, from 1, where it has lines.
        line: Option<usize>,
        /// What is wrong.
        detail: String,
    },
    /// The folder holds another data set.
    #[error(
        "{} was rendered from another specification or generator; choose another folder or delete it",
        path.display()
    )]
    OtherSpec {
        /// The folder.
        path: PathBuf,
    },
    /// Not even one page fits.
    #[error("a page of {width}x{height} does not fit the viewport of {viewport_width}x{viewport_height}")]
    ViewportTooSmall {
        /// Page width.
        width: u32,
        /// Page height.
        height: u32,
        /// Viewport width.
        viewport_width: u32,
        /// Viewport height.
        viewport_height: u32,
    },
}

impl DatasetError {
    fn content(path: &Path, line: Option<usize>, detail: impl std::fmt::Display) -> Self {
        Self::Content { path: path.to_owned(), line, detail: detail.to_string() }
    }
}

fn at_path(path: &Path) -> impl FnOnce(std::io::Error) -> DatasetError {
    let path = path.to_owned();
    move |source| DatasetError::File { path, source }
}

/// The complete records of a folder; none if there is no file yet.
fn read_records(path: &Path) -> Result<Vec<Record>, DatasetError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(at_path(path)(error)),
    };
    // A line without its line feed was being written when the rendering stopped.
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let parse = |(index, line)| {
        serde_json::from_str(line).map_err(|e| DatasetError::content(path, Some(index + 1), e))
    };
    complete.enumerate().map(parse).collect()
}
