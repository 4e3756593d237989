//! Fields for dates, and file fields, whose own window no page shows. Invariant: what is at the point, or has the focus, is what
//! is changed, or the request is refused and nothing is.

use std::path::PathBuf;

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use thirtyfour::common::types::ElementId;
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::DriverError;

use crate::fill::FIELDS;
use crate::frames::{MOST_DEEP, REACH, in_frame_at};
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
        const drawn = field && nameIs(field) === 'input' && /^(range|color)$/.test(field.type) ? field.type : null;
        if (drawn) return {{ reason: 'a field of type ' + drawn + ' takes no text that is typed: `fill` sets it' }};
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
        return documentOf(field) === document ? {{ field }} : {{ frame: nextTo(frameAround(documentOf(field))) }};"
    );
    in_frame_at(session, at, |session, at, _| {
        let mut n_entered = 0;
        let handed = loop {
            // A session takes an element only where it looks, and a point of the outermost document is one everywhere in it.
            let arguments = vec![json!(at.x), json!(at.y), json!(files.len())];
            let answer = session.script("upload", &script, arguments)?;
            if answer == Value::Bool(false) {
                break Ok(false);
            }
            let id_of =
                |part: &str| Some(ElementId::from(answer[part].as_object()?.values().next()?.as_str()?));
            if let Some(field) = id_of("field") {
                let keys = files.join("\n");
                let command = Command::ElementSendKeys(field, keys.as_str().into());
                break session.send("upload", command).map(|_| true);
            }
            let Some(frame) = id_of("frame").filter(|_| n_entered < MOST_DEEP) else {
                break Err(refused("upload", answer.as_str().unwrap_or("the page gave no answer")));
            };
            if let Err(error) = session.send("look into a frame", Command::SwitchToFrameElement(frame)) {
                break Err(error);
            }
            n_entered += 1;
        };
        for _ in 0..n_entered {
            session.send("leave a frame", Command::SwitchToParentFrame)?;
        }
        handed
    })
}

fn refused(request: &'static str, detail: &str) -> DriverError {
    DriverError::Refused { request, detail: detail.to_owned() }
}
