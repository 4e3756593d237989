//! Rows as ViGoRL publishes its test sets: `id`, `image` and a conversation whose human part is the question with its options,
//! and whose other part is the right answer.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Question, Shown, size_of};

#[derive(Deserialize)]
struct Row {
    id: Option<Value>,
    image: String,
    conversations: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    from: String,
    value: String,
}

/// The questions of the first of these files that is there. Their text names the options itself.
pub(super) fn read(folder: &Path, names: &[&str]) -> Result<Option<Vec<Question>>, String> {
    let Some(path) = names.iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
        return Ok(None);
    };
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let mut questions = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| format!("`{}`, line {number}: {why}", path.display());
        let row: Row = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let said = |who: &[&str]| row.conversations.iter().find(|said| who.contains(&&*said.from));
        let (Some(human), Some(answer)) = (said(&["human", "user"]), said(&["gpt", "assistant"])) else {
            return Err(wrong("its conversation is not a question and its answer".to_owned()));
        };
        let id = match &row.id {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => format!("row {number}"),
        };
        let picture = folder.join(&row.image);
        questions.push(Question {
            sizes: vec![size_of(&picture, &id)?],
            shown: Shown::Files(vec![picture]),
            picture: row.image,
            // The picture is shown where this stands.
            text: human.value.replace("<image>", "").trim().to_owned(),
            options: Vec::new(),
            truth: answer.value.trim().to_owned(),
            values: Vec::new(),
            id,
        });
    }
    Ok(Some(questions))
}
