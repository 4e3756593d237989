//! ScreenSpot (arXiv 2401.10935) and ScreenSpot-v2 (arXiv 2410.23218): three lists with boxes in pixels, or a parquet file
//! with boxes in shares.
//!
//! Invariants: left, top, width and height in pixels is the format of the lists, left, top, right and bottom in shares that of
//! the mirrors on the hub (`rootsautomation/ScreenSpot`, `HongxinLi/ScreenSpot_v2`); one version is never taken for the other
//! where the counts of their cells tell them apart.

use std::path::Path;

use serde::Deserialize;

use super::boxes::{BoxFormat, Convention};
use super::item::{Making, SetItem, asked, cells, completeness, counted, make, one_of};
use super::parquet_rows::Source;
use super::rows::{Pictures, Written, of_json, of_parquet, parquet_files};
use super::{Read, SetChoice};

const PLATFORMS: [&str; 3] = ["mobile", "desktop", "web"];
const TYPES: [&str; 2] = ["text", "icon"];
/// Which platform a source is of.
const SOURCES: [(&str, &str); 8] = [
    ("ios", "mobile"),
    ("android", "mobile"),
    ("windows", "desktop"),
    ("macos", "desktop"),
    ("shop", "web"),
    ("forum", "web"),
    ("tool", "web"),
    ("gitlab", "web"),
];
/// The practice pictures in this program; `reference/make_sets.py` writes the file.
const BUNDLED: &[u8] = include_bytes!("../../../fixtures/sets/screenspot.parquet");

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

impl Version {
    /// Items of each cell. The counts follow from the published rates, which are shares of them.
    fn published(self) -> [(&'static str, usize); 6] {
        let [mobile_text, mobile_icon, web_text, web_icon] = match self {
            Self::V1 => [273, 229, 230, 206],
            Self::V2 => [290, 211, 234, 203],
        };
        [
            ("mobile text", mobile_text),
            ("mobile icon", mobile_icon),
            ("desktop text", 194),
            ("desktop icon", 140),
            ("web text", web_text),
            ("web icon", web_icon),
        ]
    }

    fn other(self) -> (Self, &'static str) {
        match self {
            Self::V1 => (Self::V2, "screenspot-v2"),
            Self::V2 => (Self::V1, "screenspot"),
        }
    }

    fn file(self, platform: &str) -> String {
        match self {
            Self::V1 => format!("screenspot_{platform}.json"),
            Self::V2 => format!("screenspot_{platform}_v2.json"),
        }
    }

    fn pictures(self) -> [&'static str; 2] {
        match self {
            Self::V1 => ["screenspot_imgs", "images"],
            Self::V2 => ["screenspotv2_image", "images"],
        }
    }
}

#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(alias = "file_name", default)]
    img_filename: String,
    instruction: String,
    bbox: [f64; 4],
    data_type: String,
    data_source: String,
}

/// The pictures in this program.
pub(crate) fn bundled(choice: &SetChoice) -> Result<Read, String> {
    let written = of_parquet(&[Source::Bundled(BUNDLED)])?;
    let mut read = items(&written, Path::new(""), Version::V1, BoxFormat::XyxyNorm, choice)?;
    read.layout = "bundled";
    read.notes = vec![
        "These are practice pictures that come with the program, in the layout of ScreenSpot: their numbers are not \
         ScreenSpot's, and the platforms are names alone. --data DIR measures on ScreenSpot itself."
            .to_owned(),
    ];
    Ok(read)
}

/// A folder with one of the layouts.
pub(crate) fn read(folder: &Path, version: Version, choice: &SetChoice) -> Result<Read, String> {
    let shown = folder.display();
    let lists: Vec<_> = PLATFORMS.iter().map(|platform| folder.join(version.file(platform))).collect();
    let (there, missing): (Vec<_>, Vec<_>) = lists.iter().partition(|path| path.is_file());
    let files = parquet_files(folder)?;
    let (written, format) = match (there.is_empty(), files.is_empty()) {
        (false, false) => {
            return Err(format!(
                "`{shown}` has both lists and parquet files: name a folder with one of them"
            ));
        }
        (true, false) => (of_parquet(&files)?, BoxFormat::XyxyNorm),
        (true, true) => return Err(nothing_there(folder, version)),
        (false, true) => {
            if let Some(missing) = missing.first().filter(|_| !choice.skip_broken) {
                return Err(format!(
                    "`{}` is not there, and the set has three lists: fetch it; --skip-broken measures without",
                    missing.display()
                ));
            }
            let lists: Result<Vec<_>, _> = there.iter().map(|path| of_json(path)).collect();
            (lists?.concat(), BoxFormat::XywhPx)
        }
    };
    let mut read = items(&written, folder, version, format, choice)?;
    read.notes.extend(
        missing
            .iter()
            .filter(|_| files.is_empty())
            .map(|path| format!("`{}` is not there: nothing of it is measured", path.display())),
    );
    let (other, name) = version.other();
    if counted(&read.items, "cell") == other.published().into_iter().collect() {
        return Err(format!(
            "the counts of the cells say that this is the other version: vigorl eval {name}"
        ));
    }
    let (is_whole, words) = completeness(&read.items, "cell", &version.published());
    read.is_whole = is_whole;
    read.notes.push(words);
    Ok(read)
}

fn nothing_there(folder: &Path, version: Version) -> String {
    let (other, name) = version.other();
    let shown = folder.display();
    if folder.join(other.file(PLATFORMS[0])).is_file() {
        return format!("`{shown}` holds the other version: vigorl eval {name} --data {shown}");
    }
    format!(
        "`{shown}` has neither `{}` and its two sisters nor parquet files: docs/evaluation.md says where they are from",
        version.file(PLATFORMS[0])
    )
}

fn items(
    written: &[Written],
    folder: &Path,
    version: Version,
    format: BoxFormat,
    choice: &SetChoice,
) -> Result<Read, String> {
    let convention = Convention::new(format, choice.box_format);
    let mut making = Making::new(Pictures::of(folder, &version.pictures()), convention);
    let (items, skipped) = make(written, choice.skip_broken, |written| item(written, &mut making).map(Some))?;
    let groups = vec![
        ("type", TYPES.map(str::to_owned).to_vec()),
        ("platform", PLATFORMS.map(str::to_owned).to_vec()),
        ("cell", cells(&PLATFORMS, &TYPES)),
        ("source", SOURCES.map(|(source, _)| source.to_owned()).to_vec()),
    ];
    let layout = if format == BoxFormat::XywhPx { "lists" } else { "parquet" };
    Ok(Read {
        items,
        skipped,
        groups,
        macro_groups: vec!["cell"],
        notes: making.flat_boxes().into_iter().collect(),
        layout,
        convention,
        is_whole: false,
    })
}

fn item(written: &Written, making: &mut Making) -> Result<SetItem, super::boxes::Fault> {
    let fields: Fields = written.parsed()?;
    let instruction = asked("instruction", &fields.instruction)?;
    let kind = one_of("data_type", &fields.data_type, &TYPES)?;
    let source = one_of("data_source", &fields.data_source, &SOURCES.map(|(source, _)| source))?;
    let platform = SOURCES.iter().find(|(name, _)| *name == source).map_or("", |(_, platform)| *platform);
    // A list is of one platform.
    let of_list = PLATFORMS.iter().find(|name| written.file.split('_').any(|part| part == **name));
    if let Some(of_list) = of_list.filter(|of_list| **of_list != platform) {
        return Err(
            format!("its data_source `{source}` is not of the platform of its list, {of_list}").into()
        );
    }
    let (picture, size) = making.picture(written, &fields.img_filename, None)?;
    let region = making.region(fields.bbox, size)?;
    let values = vec![
        ("type", kind.clone()),
        ("platform", platform.to_owned()),
        ("cell", format!("{platform} {kind}")),
        ("source", source),
    ];
    let told = written.fields.clone();
    Ok(SetItem { id: written.id.clone(), picture, size, instruction, region: Some(region), values, told })
}
