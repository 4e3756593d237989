//! Small sets in every layout, written by the tests themselves.

mod broken;
mod counts;
mod layouts;

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use tempfile::TempDir;
use vigorl_agent::{Agent, Cancel, Checks, Hands, Leash, PolicyEyes};
use vigorl_geometry::DevicePixelRatio;
use vigorl_policy::{Preset, Sampling, ScriptedPolicy};
use vigorl_runs::Run;
use vigorl_tasks::Blind;

use super::pro::FILES;
use super::{GroundingSet, Known, SetChoice};
use crate::evaluation::{Evaluation, Mode, play};
use crate::head::{Asked, Head};
use crate::line::Line;

/// Every picture of these sets.
const SIZE: (u32, u32) = (400, 300);

fn png() -> Vec<u8> {
    picture(ImageFormat::Png)
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(SIZE.0, SIZE.1).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A folder with a picture `a.png` in the folder of that name, and files of JSON.
fn folder(pictures: &str, files: &[(&str, Value)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write(&format!("{pictures}/a.png"), &png());
    for (name, json) in files {
        write(name, json.to_string().as_bytes());
    }
    folder
}

fn choice(folder: &Path) -> SetChoice {
    SetChoice { folder: Some(folder.to_owned()), ..SetChoice::default() }
}

fn open(set: Known, folder: &Path) -> Result<GroundingSet, String> {
    GroundingSet::open(set, &choice(folder))
}

/// Left, top, right and bottom of each item's box, or the corners of its outline; empty if it is not there.
fn regions(set: &GroundingSet) -> Vec<Vec<f64>> {
    let item =
        |idx| set.item(idx).unwrap().targets.first().map(|region| region.numbers()).unwrap_or_default();
    (0..set.n_items()).map(item).collect()
}

fn ids(set: &GroundingSet) -> Vec<String> {
    (0..set.n_items()).map(|idx| set.item(idx).unwrap().id).collect()
}

/// An item of ScreenSpot.
fn spot(bbox: Value, kind: &str, source: &str) -> Value {
    json!({
        "img_filename": "a.png", "bbox": bbox, "instruction": format!("the {kind} of {source}"),
        "data_type": kind, "data_source": source,
    })
}

/// Three lists of ScreenSpot, each with one item for each cell, all in the same place.
fn spots() -> TempDir {
    let of = |source: &str| {
        json!([spot(json!([10, 20, 30, 40]), "text", source), spot(json!([10, 20, 30, 40]), "icon", source)])
    };
    let files = [
        ("screenspot_mobile.json", of("ios")),
        ("screenspot_desktop.json", of("windows")),
        ("screenspot_web.json", of("shop")),
    ];
    folder("screenspot_imgs", &files)
}

/// An item of ScreenSpot-Pro.
fn pro_item(id: &str, kind: &str, group: &str) -> Value {
    json!({
        "id": id, "img_filename": "a.png", "bbox": [10, 20, 40, 60], "img_size": [SIZE.0, SIZE.1],
        "instruction": "the button", "instruction_cn": "按钮", "ui_type": kind, "group": group,
        "platform": "windows", "application": "blender",
    })
}

/// All lists of ScreenSpot-Pro, of which these have items.
fn pro_lists(files: &[(&str, Value)]) -> TempDir {
    let list = |stem: &str| {
        let of = files.iter().find(|(name, _)| *name == stem);
        of.map_or_else(|| json!([]), |(_, items)| items.clone())
    };
    let all: Vec<(String, Value)> =
        FILES.iter().map(|stem| (format!("annotations/{stem}.json"), list(stem))).collect();
    let all: Vec<(&str, Value)> = all.iter().map(|(name, items)| (&**name, items.clone())).collect();
    folder("images", &all)
}

/// A row as hubs mirror ScreenSpot.
struct HubRow {
    bbox: [f64; 4],
    instruction: &'static str,
    picture: Vec<u8>,
}

impl HubRow {
    fn new(bbox: [f64; 4]) -> Self {
        Self { bbox, instruction: "the button", picture: png() }
    }
}

/// Rows with pictures.
fn write_parquet(path: &Path, boxes: &[[f64; 4]]) {
    let rows: Vec<HubRow> = boxes.iter().map(|bbox| HubRow::new(*bbox)).collect();
    write_rows(path, &rows, Compression::UNCOMPRESSED);
}

/// Rows, compressed.
fn write_rows(path: &Path, rows: &[HubRow], compression: Compression) {
    let schema = parse_message_type(
        "message rows {
            required binary file_name (STRING);
            required group bbox (LIST) { repeated group list { required double element; } }
            required binary instruction (STRING);
            required binary data_type (STRING);
            required binary data_source (STRING);
            required group image { required binary bytes; required binary path (STRING); }
        }",
    )
    .unwrap();
    let file = File::create(path).unwrap();
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts: [fn(&HubRow) -> &[u8]; 6] = [
        |_| b"a.png",
        |row| row.instruction.as_bytes(),
        |_| b"icon",
        |_| b"macos",
        |row| &row.picture,
        |_| b"a.png",
    ];
    let mut texts = texts.into_iter();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        if number == 1 {
            let repetitions: Vec<i16> = rows.iter().flat_map(|_| [0, 1, 1, 1]).collect();
            let numbers: Vec<f64> = rows.iter().flat_map(|row| row.bbox).collect();
            let column = column.typed::<DoubleType>();
            column.write_batch(&numbers, Some(&vec![1; repetitions.len()]), Some(&repetitions)).unwrap();
        } else {
            let text = texts.next().unwrap();
            let values: Vec<_> = rows.iter().map(|row| ByteArray::from(text(row).to_vec())).collect();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        }
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// The head of a record of a set.
fn head(set: &GroundingSet) -> Head {
    let asked = Asked { model: "scripted".to_owned(), ..Asked::default() };
    Head::of(set, asked, vec![Mode::MultiTurn])
}

/// What a policy says that answers with these words.
fn answer(words: &str) -> String {
    format!("<think> It is there. </think>\n<answer> {words} </answer>")
}

/// Plays the items of a set with a policy that answers so, item by item.
fn played(set: &GroundingSet, answers: &[&str]) -> Vec<Line> {
    let mut policy = ScriptedPolicy::new(answers.iter().map(|words| answer(words)));
    let preset = Preset::web_grounding_multiturn();
    let (sampling, cancel) = (Sampling::greedy(512), Cancel::default());
    let mut agent = Agent {
        eyes: &mut PolicyEyes::new(&mut policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let mut line = |idx| {
        let ratio = DevicePixelRatio::ONE;
        let played = play(&mut agent, set, idx, None, ratio, &[], &mut Run::unrecorded()).unwrap();
        Line::of(&played, Mode::MultiTurn, 0, idx, Duration::from_millis(7))
    };
    (0..set.n_items()).map(&mut line).collect()
}
