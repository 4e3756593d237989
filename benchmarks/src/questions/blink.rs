//! BLINK: a folder of parquet files for each of its fourteen subtasks, or rows of ViGoRL.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{PictureRow, Question, QuestionChoice, Read, checked, parquet_rows, vigorl_rows};

/// The subtasks, with the numbers of their validation parts.
const SUBTASKS: [(&str, usize); 14] = [
    ("Art_Style", 117),
    ("Counting", 120),
    ("Forensic_Detection", 132),
    ("Functional_Correspondence", 130),
    ("IQ_Test", 150),
    ("Jigsaw", 150),
    ("Multi-view_Reasoning", 133),
    ("Object_Localization", 122),
    ("Relative_Depth", 124),
    ("Relative_Reflectance", 134),
    ("Semantic_Correspondence", 139),
    ("Spatial_Relation", 143),
    ("Visual_Correspondence", 172),
    ("Visual_Similarity", 135),
];
/// Those that ViGoRL is measured on, all their items together.
const OF_VIGORL: [&str; 3] = ["Relative_Depth", "Multi-view_Reasoning", "Spatial_Relation"];
const VIGORL: &str = "the three of ViGoRL";
const MAX_SIDE_PX: u32 = 1260;

pub(super) fn read(folder: &Path, choice: &QuestionChoice) -> Result<Read, String> {
    match choice.part.as_deref() {
        None | Some("val") => {}
        Some("test") => {
            return Err("--part test: the answers of BLINK's test part are not published; leave --part out"
                .to_owned());
        }
        Some(part) => return Err(format!("--part {part}: BLINK's part with answers is `val`")),
    }
    let names = ["blink_validation.jsonl", "blink/blink_validation.jsonl"];
    if let Some(questions) = vigorl_rows::read(folder, &names)? {
        return Ok(Read {
            questions,
            groups: Vec::new(),
            macro_groups: Vec::new(),
            notes: vec![
                "rows of ViGoRL do not say of which subtask they are: the mean is over items alone"
                    .to_owned(),
            ],
            layout: "rows of ViGoRL",
            max_side_px: Some(MAX_SIDE_PX),
            n_published: 400,
        });
    }
    let mut questions = Vec::new();
    for (subtask, _) in SUBTASKS {
        for file in files(&folder.join(subtask))? {
            questions.extend(of_file(subtask, &file)?);
        }
    }
    if questions.is_empty() {
        return Err(format!(
            "`{}` has no folder of a subtask with val-*.parquet, such as `Counting`, and no blink_validation.jsonl; \
             docs/evaluation.md says where BLINK is from",
            folder.display()
        ));
    }
    let there = |(subtask, _): &(&str, usize)| {
        questions.iter().any(|question| question.values.contains(&("subtask", (*subtask).to_owned())))
    };
    let absent: Vec<&str> =
        SUBTASKS.iter().filter(|subtask| !there(subtask)).map(|(name, _)| *name).collect();
    let notes = match absent.is_empty() {
        true => Vec::new(),
        false => vec![format!("subtasks that are not there: {}", absent.join(", "))],
    };
    let names = SUBTASKS.map(|(name, _)| name.to_owned()).to_vec();
    Ok(Read {
        questions,
        groups: vec![("subtask", names), ("part", vec![VIGORL.to_owned()])],
        macro_groups: vec!["subtask"],
        notes,
        layout: "parquet",
        max_side_px: Some(MAX_SIDE_PX),
        n_published: SUBTASKS.iter().map(|(_, n)| n).sum(),
    })
}

/// The validation part of a subtask.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listed =
        fs::read_dir(folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
    let is_val = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("val") && name.ends_with(".parquet")
    };
    let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).filter(is_val).collect();
    files.sort();
    Ok(files)
}

#[derive(Deserialize)]
struct Fields {
    idx: String,
    #[serde(default)]
    question: String,
    choices: Vec<String>,
    answer: String,
}

fn of_file(subtask: &str, path: &Path) -> Result<Vec<Question>, String> {
    let mut questions = Vec::new();
    for PictureRow { at, shown, sizes, fields, .. } in parquet_rows::<Fields>(path)? {
        let truth = at.lettered("answer", &fields.answer, &fields.choices)?;
        let options = checked(&fields.idx, &fields.choices, &truth)?;
        let mut values = vec![("subtask", subtask.to_owned())];
        if OF_VIGORL.contains(&subtask) {
            values.push(("part", VIGORL.to_owned()));
        }
        questions.push(Question {
            sizes,
            shown,
            picture: fields.idx.clone(),
            text: fields.question,
            options,
            truth,
            values,
            id: fields.idx,
        });
    }
    Ok(questions)
}
