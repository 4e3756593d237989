//! OSWorld-G (arXiv 2505.13227): boxes, outlines, and things that are not there.
//!
//! Invariants: what is not there counts among all items, and both numbers are told, with it and without; the instructions are
//! the original ones unless the refined ones are asked for, and the result says which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::boxes::{BoxFormat, Convention, Fault};
use super::item::{Making, SetItem, asked, completeness, distinct, make, one_of};
use super::rows::{Pictures, Written, of_json, of_parquet, parquet_files};
use super::{Read, SetChoice};

/// Kinds of regions, the last of which is none.
const KINDS: [&str; 3] = ["bbox", "polygon", "refusal"];
/// Items, and those among them whose target is there: 564 and 510 in the published set.
const COUNTED: [&str; 2] = ["with refusals", "without refusals"];
/// The file that names the classes of items.
const CLASSES: &str = "classification_result.json";

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(default)]
    image_path: String,
    #[serde(default)]
    image_size: Option<[f64; 2]>,
    instruction: String,
    box_type: String,
    #[serde(default)]
    box_coordinates: Vec<f64>,
}

/// A folder with `OSWorld-G.json`, `OSWorld-G_refined.json` and `images`, or the repository with them in `benchmark`.
pub(crate) fn read(folder: &Path, choice: &SetChoice) -> Result<Read, String> {
    let name = if choice.refined { "OSWorld-G_refined.json" } else { "OSWorld-G.json" };
    let places = [folder.to_owned(), folder.join("benchmark")];
    let files = parquet_files(folder)?;
    let place = places.iter().find(|place| place.join(name).is_file());
    let (written, place, layout) = match place {
        Some(place) => (of_json(&place.join(name))?, place, "lists"),
        None if files.is_empty() => {
            return Err(format!(
                "`{}` has neither `{name}` nor parquet files: docs/evaluation.md says where they are from",
                folder.display()
            ));
        }
        None if choice.refined => {
            return Err(
                "a parquet file does not say which instructions it holds: leave out --refined".to_owned()
            );
        }
        None => (of_parquet(&files)?, &places[0], "parquet"),
    };
    let classes = classes(&place.join(CLASSES))?;
    let convention = Convention::new(BoxFormat::XywhPx, choice.box_format);
    let mut making = Making::new(Pictures::of(place, &["images"]), convention);
    let (items, skipped) =
        make(&written, choice.skip_broken, |written| item(written, &mut making, classes.as_ref()).map(Some))?;
    let mut notes = vec![format!(
        "the instructions are the {} ones",
        if choice.refined { "refined" } else { "original" }
    )];
    let n_refusals = items.iter().filter(|item| item.region.is_none()).count();
    notes.push(format!(
        "{n_refusals} of {} items ask for something that is not there; `{}` leaves them out",
        items.len(),
        COUNTED[1]
    ));
    if classes.is_none() {
        notes.push(format!("`{CLASSES}` is not there, so nothing is told by class of capability"));
    }
    notes.extend(making.flat_boxes());
    let (is_whole, words) = completeness(&items, "presence", &[("refusal", 54), ("there", 510)]);
    notes.push(words);
    let groups = vec![
        ("counted", COUNTED.map(str::to_owned).to_vec()),
        ("class", distinct(&items, "class")),
        ("box", KINDS.map(str::to_owned).to_vec()),
    ];
    let macro_groups = if classes.is_some() { vec!["class"] } else { Vec::new() };
    Ok(Read { items, skipped, groups, macro_groups, notes, layout, convention, is_whole })
}

/// The classes of each item, if the file is there: `{"classified": {CLASS: [ID or {"id": ID}]}}`.
fn classes(path: &PathBuf) -> Result<Option<BTreeMap<String, Vec<String>>>, String> {
    if !path.is_file() {
        return Ok(None);
    }
    let shown = path.display();
    let text = vigorl_files::read_text(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let json: Value =
        serde_json::from_str(&text).map_err(|error| format!("`{shown}`: {error}; fetch it again"))?;
    let classified = json.get("classified").and_then(Value::as_object);
    let classified =
        classified.ok_or_else(|| format!("`{shown}` has no object `classified`: fetch it again"))?;
    let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (class, of) in classified {
        for one in of.as_array().into_iter().flatten() {
            let id = one.get("id").unwrap_or(one);
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            classes.entry(id).or_default().push(class.clone());
        }
    }
    Ok(Some(classes))
}

fn item(
    written: &Written,
    making: &mut Making,
    classes: Option<&BTreeMap<String, Vec<String>>>,
) -> Result<SetItem, Fault> {
    let fields: Fields = written.parsed()?;
    let instruction = asked("instruction", &fields.instruction)?;
    let kind = one_of("box_type", &fields.box_type, &KINDS)?;
    let (picture, size) = making.picture(written, &fields.image_path, fields.image_size)?;
    let numbers = &fields.box_coordinates;
    let region = match &*kind {
        "bbox" => {
            let bbox = <[f64; 4]>::try_from(&**numbers).map_err(|_| {
                Fault::Broken(format!("its box has {} numbers, and a bbox has four", numbers.len()))
            })?;
            Some(making.region(bbox, size)?)
        }
        "polygon" => Some(making.outline(numbers, size)?),
        _ => None,
    };
    let mut values = vec![("box", kind), ("counted", COUNTED[0].to_owned())];
    if region.is_some() {
        values.push(("counted", COUNTED[1].to_owned()));
    }
    values.push(("presence", if region.is_some() { "there" } else { "refusal" }.to_owned()));
    let of_item = classes.and_then(|classes| classes.get(&written.id));
    values.extend(of_item.into_iter().flatten().map(|class| ("class", class.clone())));
    let told = written.fields.clone();
    Ok(SetItem { id: written.id.clone(), picture, size, instruction, region, values, told })
}
