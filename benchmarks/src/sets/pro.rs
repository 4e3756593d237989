//! ScreenSpot-Pro (arXiv 2504.07981): a list of items for each application, boxes in pixels.
//!
//! Invariants: a part of the published set is never taken for all of it: where some of its lists are missing, that is refused, or
//! told with the numbers; the group of an item is the one that it says, never that of its file's name; an item that is asked in a style or
//! a language has words in it, or it is broken: the plain words are never taken under another name.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::boxes::{BoxFormat, Convention, Fault};
use super::item::{Making, SetItem, asked, cells, completeness, distinct, known_first, make, one_of, told};
use super::rows::{Pictures, Written, of_json, of_parquet, parquet_files};
use super::{Read, SetChoice};

const TYPES: [&str; 2] = ["text", "icon"];
const GROUPS: [&str; 6] = ["Dev", "Creative", "CAD", "Scientific", "Office", "OS"];
/// Items of each cell. The counts follow from the published rates, which are shares of them.
const PUBLISHED: [(&str, usize); 12] = [
    ("Dev text", 154),
    ("Dev icon", 145),
    ("Creative text", 198),
    ("Creative icon", 143),
    ("CAD text", 197),
    ("CAD icon", 64),
    ("Scientific text", 144),
    ("Scientific icon", 110),
    ("Office text", 177),
    ("Office icon", 53),
    ("OS text", 107),
    ("OS icon", 89),
];
/// The lists of the published set, by the stems of their files.
pub(super) const FILES: [&str; 26] = [
    "android_studio_macos",
    "autocad_windows",
    "blender_windows",
    "davinci_macos",
    "eviews_windows",
    "excel_macos",
    "fruitloops_windows",
    "illustrator_windows",
    "inventor_windows",
    "linux_common_linux",
    "macos_common_macos",
    "matlab_macos",
    "origin_windows",
    "photoshop_windows",
    "powerpoint_windows",
    "premiere_windows",
    "pycharm_macos",
    "quartus_windows",
    "solidworks_windows",
    "stata_windows",
    "unreal_engine_windows",
    "vivado_windows",
    "vmware_macos",
    "vscode_macos",
    "windows_common_windows",
    "word_macos",
];
/// So many missing files are named.
const MAX_NAMED: usize = 5;
/// What the harness calls items whose target is there.
const POSITIVE: &str = "positive";
/// And those whose target is not.
const NEGATIVE: &str = "negative";

/// In which words an item is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionStyle {
    /// The field `instruction`.
    Instruction,
    /// The field `action`.
    Action,
    /// The field `description`.
    Description,
}

/// In which language an item is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Cn,
}

/// Which items are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GtType {
    /// Those whose target is there.
    Positive,
    /// Those whose target is not.
    Negative,
    /// Both.
    All,
}

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(default)]
    img_filename: String,
    #[serde(default)]
    bbox: Option<[f64; 4]>,
    #[serde(default)]
    img_size: Option<[f64; 2]>,
    ui_type: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    platform: String,
    #[serde(default)]
    application: String,
    #[serde(default)]
    gt_type: Option<String>,
}

/// What is asked of the set.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    style: InstructionStyle,
    language: Language,
    gt_type: GtType,
}

impl Wanted {
    fn new(choice: &SetChoice) -> Result<Self, String> {
        let wanted = Self {
            style: choice.instruction_style.unwrap_or(InstructionStyle::Instruction),
            language: choice.language.unwrap_or(Language::En),
            gt_type: choice.gt_type.unwrap_or(GtType::Positive),
        };
        let is_plain = wanted.style == InstructionStyle::Instruction && wanted.gt_type == GtType::Positive;
        match wanted.language == Language::Cn && !is_plain {
            true => Err("only positive items in the style `instruction` are written in Chinese: leave out \
                         --instruction-style and --gt-type, or --language cn"
                .to_owned()),
            false => Ok(wanted),
        }
    }

    /// The field that holds the words.
    fn field(self) -> &'static str {
        match (self.language, self.style) {
            (Language::Cn, _) => "instruction_cn",
            (Language::En, InstructionStyle::Instruction) => "instruction",
            (Language::En, InstructionStyle::Action) => "action",
            (Language::En, InstructionStyle::Description) => "description",
        }
    }
}

/// A folder with `annotations` and `images`, or with parquet files.
pub(crate) fn read(folder: &Path, choice: &SetChoice) -> Result<Read, String> {
    let wanted = Wanted::new(choice)?;
    let shown = folder.display();
    let annotations = folder.join("annotations");
    let files = parquet_files(folder)?;
    let mut notes = Vec::new();
    let (written, layout) = if annotations.is_dir() {
        let listed =
            std::fs::read_dir(&annotations).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let mut lists: Vec<_> = listed.flatten().map(|entry| entry.path()).collect();
        lists.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
        lists.sort();
        if let Some(part) = part_of_set(&lists) {
            if !choice.skip_broken {
                return Err(format!(
                    "`{}` has {part}: fetch what is missing; --skip-broken measures without",
                    annotations.display()
                ));
            }
            notes.push(format!("{part}: nothing of it is measured"));
        }
        let lists: Result<Vec<_>, _> = lists.iter().map(|path| of_json(path)).collect();
        (lists?.concat(), "lists")
    } else if files.is_empty() {
        return Err(format!(
            "`{shown}` has neither a folder `annotations` nor parquet files: docs/evaluation.md says where they are from"
        ));
    } else {
        (of_parquet(&files)?, "parquet")
    };
    // The mirrors that leave out the sizes of the pictures do not say in what their boxes are written.
    let says_sizes =
        written.iter().all(|written| written.fields.get("img_size").is_some_and(Value::is_array));
    if layout == "parquet" && !says_sizes && choice.box_format.is_none() {
        return Err(format!(
            "`{shown}` has no column `img_size`, so its layout does not say what its boxes are: say it with --bbox-format"
        ));
    }
    let convention = Convention::new(BoxFormat::XyxyPx, choice.box_format);
    let mut making = Making::new(Pictures::of(folder, &["images"]), convention);
    let mut n_left_out = 0;
    let (items, skipped) = make(&written, choice.skip_broken, |written| {
        let item = item(written, &mut making, wanted)?;
        n_left_out += usize::from(item.is_none());
        Ok(item)
    })?;
    if n_left_out > 0 {
        notes.push(format!(
            "{n_left_out} items of the other kind are in the files and were not asked for: --gt-type all"
        ));
    }
    notes.extend(making.flat_boxes());
    let (is_whole, words) = completeness(&items, "cell", &PUBLISHED);
    notes.push(words);
    let groups = vec![
        ("type", TYPES.map(str::to_owned).to_vec()),
        ("group", known_first(GROUPS.map(str::to_owned).to_vec(), &items, "group")),
        ("cell", known_first(cells(&GROUPS, &TYPES), &items, "cell")),
        ("gt_type", [POSITIVE, NEGATIVE].map(str::to_owned).to_vec()),
        ("platform", distinct(&items, "platform")),
        ("application", distinct(&items, "application")),
    ];
    Ok(Read { items, skipped, groups, macro_groups: vec!["cell"], notes, layout, convention, is_whole })
}

/// How many lists of the published set there are, and which are not; nothing if all are there, or none, as in another set of
/// this layout.
fn part_of_set(lists: &[PathBuf]) -> Option<String> {
    let missing: Vec<&str> = FILES
        .into_iter()
        .filter(|name| !lists.iter().any(|path| path.file_stem().is_some_and(|stem| stem == *name)))
        .collect();
    let n_there = FILES.len() - missing.len();
    if missing.is_empty() || n_there == 0 {
        return None;
    }
    let named: Vec<String> = missing.iter().take(MAX_NAMED).map(|name| format!("`{name}.json`")).collect();
    let more = match missing.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let is = if missing.len() == 1 { "is" } else { "are" };
    Some(format!("{n_there} of {} files, and {}{more} {is} not there", FILES.len(), named.join(", ")))
}

fn item(written: &Written, making: &mut Making, wanted: Wanted) -> Result<Option<SetItem>, Fault> {
    let fields: Fields = written.parsed()?;
    let gt_type = one_of("gt_type", fields.gt_type.as_deref().unwrap_or(POSITIVE), &[POSITIVE, NEGATIVE])?;
    let is_there = gt_type == POSITIVE;
    if wanted.gt_type == (if is_there { GtType::Negative } else { GtType::Positive }) {
        return Ok(None);
    }
    let field = wanted.field();
    let Some(words) = written.text(field)? else {
        return Err(format!("it has no field `{field}`, so it cannot be asked for in these words").into());
    };
    let instruction = asked(field, words)?;
    let kind = one_of("ui_type", &fields.ui_type, &TYPES)?;
    let (picture, size) = making.picture(written, &fields.img_filename, fields.img_size)?;
    let region = match (is_there, fields.bbox) {
        (true, None) => return Err("it has no bbox".into()),
        (true, Some(bbox)) => Some(making.region(bbox, size)?),
        (false, _) => None,
    };
    let mut values = vec![("type", kind.clone()), ("gt_type", gt_type.clone())];
    if let Some(group) = &fields.group {
        let group = one_of("group", group, &GROUPS)?;
        values.extend([("cell", format!("{group} {kind}")), ("group", group.clone())]);
    }
    values.extend(told("platform", &fields.platform)?.map(|platform| ("platform", platform)));
    values.extend(told("application", &fields.application)?.map(|application| ("application", application)));
    let path = match &written.embedded {
        Some(_) => fields.img_filename.clone(),
        None => making.pictures.path(&fields.img_filename).display().to_string(),
    };
    let mut told = Map::new();
    for (name, value) in [
        ("id", json!(written.id)),
        ("img_path", json!(path)),
        ("group", json!(fields.group)),
        ("platform", json!(fields.platform)),
        ("application", json!(fields.application)),
        ("lang", json!(wanted.language)),
        ("instruction_style", json!(wanted.style)),
        ("prompt_to_evaluate", json!(instruction)),
        ("gt_type", json!(gt_type)),
        ("ui_type", json!(kind)),
        ("task_filename", json!(written.file)),
    ] {
        told.insert(name.to_owned(), value);
    }
    // As the file has it: whoever reads the output knows the file's own convention.
    if let Some(bbox) = fields.bbox.filter(|_| is_there) {
        told.insert("bbox".to_owned(), json!(bbox));
    }
    Ok(Some(SetItem { id: written.id.clone(), picture, size, instruction, region, values, told }))
}
