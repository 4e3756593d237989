//! A data set as a file of screenshots with boxes, one line for each page: an environment that needs no browser.
//!
//! Invariant: the picture is the page's own pixels, and the instruction is that of the page's live episode.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use serde_json::json;
use vigorl_files::write_whole;

use super::{Dataset, DatasetError, at_path};
use crate::practice::Split;

/// The file, in the folder of the data set.
pub const SCREENS: &str = "screens.jsonl";
/// The folder of the pictures beside it.
const PICTURES: &str = "screens";

impl Dataset {
    /// Writes a picture of each page and [`SCREENS`], and calls `on_page` after each; the path of the file.
    ///
    /// # Errors
    /// If a sheet cannot be read or a file not be written.
    pub fn write_screens(
        &self,
        folder: &Path,
        on_page: &mut dyn FnMut(usize),
    ) -> Result<PathBuf, DatasetError> {
        let pictures = folder.join(PICTURES);
        fs::create_dir_all(&pictures).map_err(at_path(&pictures))?;
        let mut lines = String::new();
        for (index, record) in self.records().iter().enumerate() {
            let name = format!("{PICTURES}/{index:06}.png");
            let path = folder.join(&name);
            let mut bytes = Cursor::new(Vec::new());
            self.image(index)?
                .write_to(&mut bytes, ImageFormat::Png)
                .map_err(|error| DatasetError::content(&path, None, error))?;
            write_whole(&path, bytes.get_ref()).map_err(at_path(&path))?;
            let task = &record.tasks[0];
            let bounds = record.widgets[task.target].bounds;
            let split = match record.spec.split {
                Split::Train => "train",
                Split::HeldOut | Split::HeldOutWords => "held_out",
            };
            let line = json!({
                "image": name,
                "instruction": task.instruction,
                // The edges of a box belong to it there.
                "box": [bounds.left, bounds.top, bounds.right - 1, bounds.bottom - 1],
                "split": split,
            });
            lines.push_str(&format!("{line}\n"));
            on_page(index + 1);
        }
        let path = folder.join(SCREENS);
        write_whole(&path, lines.as_bytes()).map_err(at_path(&path))?;
        Ok(path)
    }
}
