//! UI-Vision (arXiv 2503.15661), element grounding: three lists with boxes in pixels whose corners stand in any order.
//!
//! Invariant: corners that are swapped are sorted, as the set's own scorer does, and counted.

use std::path::Path;

use serde::Deserialize;

use super::boxes::{BoxFormat, Convention, Fault};
use super::item::{Making, SetItem, asked, distinct, make, told};
use super::rows::{Pictures, Written, of_json};
use super::{Read, SetChoice};

/// The three lists, whose mean is the published number.
const SPLITS: [&str; 3] = ["basic", "functional", "spatial"];

#[derive(Debug, Deserialize)]
struct Fields {
    image_path: String,
    #[serde(default)]
    image_size: Option<[f64; 2]>,
    prompt_to_evaluate: String,
    bbox: [f64; 4],
    #[serde(default)]
    platform: String,
    #[serde(default)]
    element_type: String,
}

/// A folder with `annotations/element_grounding` and `images`.
pub(crate) fn read(folder: &Path, choice: &SetChoice) -> Result<Read, String> {
    let places =
        [folder.join("annotations/element_grounding"), folder.join("annotations"), folder.to_owned()];
    let file = |split: &str| format!("element_grounding_{split}.json");
    let place = places.iter().find(|place| SPLITS.iter().any(|split| place.join(file(split)).is_file()));
    let place = place.ok_or_else(|| {
        format!(
            "`{}` has no `annotations/element_grounding/{}`: docs/evaluation.md says where it is from",
            folder.display(),
            file(SPLITS[0])
        )
    })?;
    let (mut written, mut notes) = (Vec::new(), Vec::new());
    for split in SPLITS {
        let path = place.join(file(split));
        match path.is_file() {
            true => written.extend(of_json(&path)?),
            false if choice.skip_broken => {
                notes.push(format!("`{}` is not there: nothing of it is measured", path.display()));
            }
            false => {
                return Err(format!(
                    "`{}` is not there, and the set has three lists: fetch it; --skip-broken measures without",
                    path.display()
                ));
            }
        }
    }
    let convention =
        Convention { is_unordered: true, ..Convention::new(BoxFormat::XyxyPx, choice.box_format) };
    let mut making = Making::new(Pictures::of(folder, &["images"]), convention);
    let (items, skipped) =
        make(&written, choice.skip_broken, |written| item(written, &mut making).map(Some))?;
    notes.push(format!("{} boxes have swapped corners, which were sorted", making.n_swapped));
    notes.extend(making.flat_boxes());
    let groups = vec![
        ("split", SPLITS.map(str::to_owned).to_vec()),
        ("type", distinct(&items, "type")),
        ("platform", distinct(&items, "platform")),
    ];
    Ok(Read {
        items,
        skipped,
        groups,
        macro_groups: vec!["split"],
        notes,
        layout: "lists",
        convention,
        is_whole: false,
    })
}

fn item(written: &Written, making: &mut Making) -> Result<SetItem, Fault> {
    let fields: Fields = written.parsed()?;
    let instruction = asked("prompt_to_evaluate", &fields.prompt_to_evaluate)?;
    let (picture, size) = making.picture(written, &fields.image_path, fields.image_size)?;
    let region = making.region(fields.bbox, size)?;
    let split = written.file.rsplit('_').next().unwrap_or_default().to_owned();
    let mut values = vec![("split", split)];
    values.extend(told("element_type", &fields.element_type)?.map(|kind| ("type", kind)));
    values.extend(told("platform", &fields.platform)?.map(|platform| ("platform", platform)));
    let told = written.fields.clone();
    Ok(SetItem { id: written.id.clone(), picture, size, instruction, region: Some(region), values, told })
}
