//! MMBench-GUI L2 (arXiv 2507.19478): one list with boxes in shares of the picture.
//!
//! Invariant: the published number is the mean of two levels, each over its items; -1 stands for 0, as in the set's own scorer,
//! and is counted.

use std::path::Path;

use serde::Deserialize;

use super::boxes::{BoxFormat, Convention, Fault};
use super::item::{Making, SetItem, asked, distinct, make, one_of, told};
use super::rows::{Pictures, Written, of_json};
use super::{Read, SetChoice};

const LIST: &str = "L2_annotations.json";
const LEVELS: [&str; 2] = ["basic", "advanced"];
const TYPES: [&str; 2] = ["text", "icon"];

#[derive(Debug, Deserialize)]
struct Fields {
    image_path: String,
    platform: String,
    instruction: String,
    bbox: [f64; 4],
    grounding_type: String,
    data_type: String,
    #[serde(default)]
    app_name: String,
}

/// A folder with `L2_annotations.json` and `offline_images/PLATFORM`.
pub(crate) fn read(folder: &Path, choice: &SetChoice) -> Result<Read, String> {
    let list = folder.join(LIST);
    if !list.is_file() {
        return Err(format!(
            "`{}` has no `{LIST}`: docs/evaluation.md says where it is from",
            folder.display()
        ));
    }
    let written = of_json(&list)?;
    let convention = Convention::new(BoxFormat::XyxyNorm, choice.box_format);
    let mut making = Making::new(Pictures::of(folder, &["offline_images", "images"]), convention);
    let mut n_minus = 0;
    let (items, skipped) =
        make(&written, choice.skip_broken, |written| item(written, &mut making, &mut n_minus).map(Some))?;
    let mut notes = vec![format!("{n_minus} boxes have an edge of -1, which stands for 0")];
    notes.extend(making.flat_boxes());
    let groups = vec![
        ("level", LEVELS.map(str::to_owned).to_vec()),
        ("type", TYPES.map(str::to_owned).to_vec()),
        ("platform", distinct(&items, "platform")),
        ("cell", distinct(&items, "cell")),
        ("application", distinct(&items, "application")),
    ];
    Ok(Read {
        items,
        skipped,
        groups,
        macro_groups: vec!["level"],
        notes,
        layout: "lists",
        convention,
        is_whole: false,
    })
}

fn item(written: &Written, making: &mut Making, n_minus: &mut usize) -> Result<SetItem, Fault> {
    let fields: Fields = written.parsed()?;
    let instruction = asked("instruction", &fields.instruction)?;
    let level = one_of("grounding_type", &fields.grounding_type, &LEVELS)?;
    let kind = one_of("data_type", &fields.data_type, &TYPES)?;
    // The pictures of a platform lie in its own folder.
    let name = format!("{}/{}", fields.platform, fields.image_path);
    let (picture, size) = making.picture(written, &name, None)?;
    *n_minus += usize::from(fields.bbox.contains(&-1.0));
    let bbox = fields.bbox.map(|edge| if edge == -1.0 { 0.0 } else { edge });
    let region = making.region(bbox, size)?;
    let mut values = vec![
        ("cell", format!("{level} {} {kind}", fields.platform)),
        ("level", level),
        ("type", kind),
        ("platform", fields.platform.clone()),
    ];
    values.extend(told("app_name", &fields.app_name)?.map(|name| ("application", name)));
    let told = written.fields.clone();
    Ok(SetItem { id: written.id.clone(), picture, size, instruction, region: Some(region), values, told })
}
