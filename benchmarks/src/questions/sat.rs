//! SAT-2: a parquet file for each part, or rows of ViGoRL.

use std::path::Path;

use serde::Deserialize;

use super::{PictureRow, Question, QuestionChoice, Read, checked, parquet_rows, vigorl_rows};
use crate::sets::parquet_rows::stem;

const MAX_SIDE_PX: u32 = 1260;
/// Questions of each part, as far as they are published: `val` is what ViGoRL calls SAT-2, `test` has real pictures.
const N_VAL: usize = 4001;
const N_TEST: usize = 150;
/// Words that the reference takes out of answers.
const LEFT_OUT: &str = "in the first frame";

#[derive(Deserialize)]
struct Fields {
    question: String,
    answers: Vec<String>,
    #[serde(default)]
    question_type: String,
    correct_answer: String,
}

pub(super) fn read(folder: &Path, choice: &QuestionChoice) -> Result<Read, String> {
    let part = choice.part.as_deref().unwrap_or("val");
    if !["val", "test"].contains(&part) {
        return Err(format!("--part {part}: the parts of SAT-2 are val and test"));
    }
    let n_published = if part == "val" { N_VAL } else { N_TEST };
    let names = [format!("SAT_{part}.parquet"), format!("data/SAT_{part}.parquet")];
    if let Some(path) = names.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        let questions = of_file(&path)?;
        let mut types: Vec<String> = questions.iter().map(|question| question.values[0].1.clone()).collect();
        types.sort();
        types.dedup();
        return Ok(Read {
            questions,
            groups: vec![("type", types)],
            macro_groups: vec!["type"],
            notes: vec![format!("part {part}")],
            layout: "parquet",
            max_side_px: Some(MAX_SIDE_PX),
            n_published,
        });
    }
    if let Some(questions) = vigorl_rows::read(folder, &["sat2_test.jsonl", "sat2_test/sat2_test.jsonl"])? {
        return Ok(Read {
            questions,
            groups: Vec::new(),
            macro_groups: Vec::new(),
            notes: Vec::new(),
            layout: "rows of ViGoRL",
            max_side_px: Some(MAX_SIDE_PX),
            n_published: N_VAL,
        });
    }
    Err(format!(
        "`{}` has neither SAT_{part}.parquet nor sat2_test.jsonl; docs/evaluation.md says where SAT-2 is from",
        folder.display()
    ))
}

fn of_file(path: &Path) -> Result<Vec<Question>, String> {
    let mut questions = Vec::new();
    for PictureRow { number, shown, sizes, fields, .. } in parquet_rows::<Fields>(path)? {
        let id = format!("{}/{number}", stem(path));
        let plain =
            |text: &String| text.replace(LEFT_OUT, "").split_whitespace().collect::<Vec<_>>().join(" ");
        let options: Vec<String> = fields.answers.iter().map(plain).collect();
        let truth = plain(&fields.correct_answer);
        let options = checked(&id, &options, &truth)?;
        questions.push(Question {
            sizes,
            shown,
            picture: id.clone(),
            text: fields.question,
            options,
            truth,
            values: vec![("type", fields.question_type)],
            id,
        });
    }
    Ok(questions)
}
