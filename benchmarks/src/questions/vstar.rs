//! V*Bench: a folder of JSON files beside their pictures, one list with letters, or rows of ViGoRL.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Question, QuestionChoice, Read, Shown, checked, json_lines, name_of, size_of, vigorl_rows};
use crate::fields;

/// Its two categories, which are the names of folders.
const CATEGORIES: [&str; 2] = ["direct_attributes", "relative_position"];
const N_PUBLISHED: usize = 191;
const LIST: &str = "test_questions.jsonl";

pub(super) fn read(folder: &Path, choice: &QuestionChoice) -> Result<Read, String> {
    if choice.part.is_some() {
        return Err("--part is for blink and sat2: V*Bench has one part".to_owned());
    }
    let (questions, layout) = if CATEGORIES.iter().any(|category| folder.join(category).is_dir()) {
        let all =
            CATEGORIES.iter().map(|category| of_folder(folder, category)).collect::<Result<Vec<_>, _>>()?;
        (all.concat(), "files")
    } else if folder.join(LIST).is_file() {
        (of_list(folder)?, "list with letters")
    } else if let Some(questions) =
        vigorl_rows::read(folder, &["vstarbench_test.jsonl", "vstar/vstarbench_test.jsonl"])?
    {
        (questions, "rows of ViGoRL")
    } else {
        return Err(format!(
            "`{}` has none of: {}/, {}/, {LIST}, vstarbench_test.jsonl; docs/evaluation.md says where V*Bench is from",
            folder.display(),
            CATEGORIES[0],
            CATEGORIES[1]
        ));
    };
    let known = questions.iter().any(|question| !question.values.is_empty());
    let groups = if known { vec![("category", CATEGORIES.map(str::to_owned).to_vec())] } else { Vec::new() };
    Ok(Read {
        macro_groups: if known { vec!["category"] } else { Vec::new() },
        groups,
        questions,
        notes: Vec::new(),
        layout,
        max_side_px: None,
        n_published: N_PUBLISHED,
    })
}

/// A file beside its picture. The first option is the right one.
#[derive(Deserialize)]
struct Fields {
    question: String,
    options: Vec<String>,
}

fn of_folder(folder: &Path, category: &str) -> Result<Vec<Question>, String> {
    let place = folder.join(category);
    let listed =
        fs::read_dir(&place).map_err(|error| format!("cannot read `{}`: {error}", place.display()))?;
    let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let lists = paths.iter().filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let mut questions = Vec::new();
    for path in lists {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let id = format!("{category}/{stem}");
        let text = vigorl_files::read_text(path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let fields: Fields = fields::of_text(&text).map_err(|why| format!("`{}`: {why}", path.display()))?;
        let is_picture = |other: &&PathBuf| {
            let kind = other.extension().map(|kind| kind.to_string_lossy().to_lowercase());
            other.file_stem() == path.file_stem()
                && kind.is_some_and(|kind| ["jpg", "jpeg", "png"].contains(&&*kind))
        };
        let picture = paths.iter().find(is_picture);
        let picture =
            picture.ok_or_else(|| format!("`{id}`: its picture is not beside `{}`", path.display()))?;
        let truth = fields.options.first().cloned().ok_or_else(|| format!("`{id}` has no options"))?;
        let options = checked(&id, &fields.options, &truth)?;
        questions.push(Question {
            picture: id.clone(),
            sizes: vec![size_of(picture, &id)?],
            shown: Shown::Files(vec![picture.clone()]),
            text: fields.question,
            options,
            truth,
            values: vec![("category", category.to_owned())],
            id,
        });
    }
    Ok(questions)
}

/// A row of the list: the options stand in the text behind letters, and the label is a letter.
#[derive(Deserialize)]
struct Row {
    question_id: Value,
    image: String,
    text: String,
    category: String,
    label: String,
}

fn of_list(folder: &Path) -> Result<Vec<Question>, String> {
    let mut questions = Vec::new();
    for (at, row) in json_lines::<Row>(&folder.join(LIST))? {
        if !CATEGORIES.contains(&&*row.category) {
            return Err(at.wrong(format!(
                "its category is `{}`, which is none of: {}",
                row.category,
                CATEGORIES.join(", ")
            )));
        }
        let (text, options) =
            lettered(&row.text).ok_or_else(|| at.wrong("its text has no options (A), (B), …"))?;
        let truth = at.lettered("label", &row.label, &options)?;
        let id = name_of(&row.question_id)
            .ok_or_else(|| at.wrong(format!("its question_id `{}` is no name", row.question_id)))?;
        let options = checked(&id, &options, &truth)?;
        let picture = folder.join(&row.image);
        questions.push(Question {
            picture: row.image,
            sizes: vec![size_of(&picture, &id)?],
            shown: Shown::Files(vec![picture]),
            text,
            options,
            truth,
            values: vec![("category", row.category)],
            id,
        });
    }
    Ok(questions)
}

/// The question, and the options behind `(A)`, `(B)` and so on, each on a line of its own; what stands behind them is left out.
pub(super) fn lettered(text: &str) -> Option<(String, Vec<String>)> {
    let (question, rest) = text.split_once("(A)")?;
    let mut options = Vec::new();
    for (at, line) in format!("(A){rest}").lines().enumerate() {
        let letter = char::from(b'A' + u8::try_from(at).ok()?);
        match line.trim().strip_prefix(&format!("({letter})")) {
            Some(option) => options.push(option.trim().to_owned()),
            None => break,
        }
    }
    (options.len() > 1).then(|| (question.trim().to_owned(), options))
}
