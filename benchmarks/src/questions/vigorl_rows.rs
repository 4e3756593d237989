//! Rows as ViGoRL publishes its test sets: `id`, `image` and a conversation whose human part is the question with its options,
//! and whose other part is the right answer.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Question, Shown, json_lines, name_of, size_of};

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
    let mut questions = Vec::new();
    for (number, (at, row)) in (1..).zip(json_lines::<Row>(&path)?) {
        let said = |who: &[&str]| row.conversations.iter().find(|said| who.contains(&&*said.from));
        let (Some(human), Some(answer)) = (said(&["human", "user"]), said(&["gpt", "assistant"])) else {
            return Err(at.wrong("its conversation is not a question and its answer"));
        };
        let id = row.id.as_ref().and_then(name_of).unwrap_or_else(|| format!("row {number}"));
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
