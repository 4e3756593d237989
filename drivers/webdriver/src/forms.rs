//! Fields for dates, and file fields, whose own window no page shows. Invariant: what is at the point, or has the focus, is what
//! is changed, or the request is refused and nothing is.

use std::path::PathBuf;

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use thirtyfour::common::types::ElementId;
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::DriverError;

use crate::fill::FIELDS;
use crate::frames::{REACH, in_frame_at};
use crate::session::Session;

/// Finds the element at a point, and what it is a label of. Needs reach.js.
const AT_POINT: &str = "
    const found = deepest(arguments[0], arguments[1]).element;
    const label = found && closestIn(found, 'label');
    const element = (label && label.control) || found;
";

/// Writes a date or a time into the field that has the focus, if it takes one: its parts stand there in the order of the
/// browser's language, so keys would write something else. Digits alone, and AM or PM behind those of a time, are what a
/// person types, part by part. The type of the field; nothing if no such field has the focus.
pub(crate) fn write_date(session: &Session, text: &str) -> Result<Option<String>, DriverError> {
    let script = format!(
        "{REACH}{FIELDS}
        const field = focused();
        const isDate = field && nameIs(field) === 'input' && /^(date|month|week|time|datetime-local)$/.test(field.type);
        // Digits, and behind those of a time a half of the day.
        const keyed = isDate && field.type === 'time' ? /^\\d+([ap]m?)?$/i : /^\\d+$/;
        if (!isDate || keyed.test(arguments[0]) || !/\\S/.test(arguments[0])) return null;
        const [pattern, words] = FORMS[field.type];
        const how = 'a field for a ' + field.type + ' takes ' + words + ', or digits as they are typed';
        if (!pattern.test(arguments[0])) return {{ reason: how }};
        if (field.readOnly || isDisabled(field)) return {{ reason: 'the field takes no text' }};
        return setAs(field, arguments[0]) ? {{ type: field.type }} : {{ reason: how + ': there is no ' + arguments[0] }};"
    );
    let said = session.script("type", &script, vec![json!(text)])?;
    match (said["type"].as_str(), &said["reason"]) {
        (Some(kind), _) => Ok(Some(kind.to_owned())),
        (None, Value::String(reason)) => Err(refused("type", reason)),
        (None, _) if said.is_null() => Ok(None),
        (None, _) => Err(refused("type", "the page gave no answer")),
    }
}

/// The files as the browser takes them, whole: it silently hands over nothing for a path with `..` in it.
pub(crate) fn whole_paths(files: &[PathBuf]) -> Result<Vec<String>, DriverError> {
    if files.is_empty() {
        return Err(refused("upload", "no file is named"));
    }
    let path = |file: &PathBuf| {
        let found = file.canonicalize().ok().filter(|found| found.is_file());
        let missing = || refused("upload", &format!("there is no file `{}`", file.display()));
        found.map(|found| found.display().to_string()).ok_or_else(missing)
    };
    files.iter().map(path).collect()
}

/// Hands files over to the field at a point. False if there is none: then a click there may ask for them.
pub(crate) fn upload(session: &Session, at: Point<Viewport>, files: &[String]) -> Result<bool, DriverError> {
    let script = format!(
        "{REACH}{AT_POINT}
        const field = element && matches(element, 'input[type=file]') ? element : null;
        if (!field) return false;
        if (isDisabled(field) || isDisabled(found)) return 'the file field is disabled';
        if (arguments[2] > 1 && !field.multiple) return 'the field takes one file';
        return field;"
    );
    in_frame_at(session, at, |session, at, _| {
        let arguments = vec![json!(at.x), json!(at.y), json!(files.len())];
        let answer = session.script("upload", &script, arguments)?;
        if answer == Value::Bool(false) {
            return Ok(false);
        }
        let Some(id) = answer.as_object().and_then(|found| found.values().next()?.as_str()) else {
            return Err(refused("upload", answer.as_str().unwrap_or("the page gave no answer")));
        };
        let keys = files.join("\n");
        session
            .send("upload", Command::ElementSendKeys(ElementId::from(id), keys.as_str().into()))
            .map(|_| true)
    })
}

fn refused(request: &'static str, detail: &str) -> DriverError {
    DriverError::Refused { request, detail: detail.to_owned() }
}
