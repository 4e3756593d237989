//! Native lists and file fields, whose own windows no page shows. Invariant: what is at the point is what is changed, or
//! the request is refused and nothing is.

use std::path::PathBuf;

use serde_json::{Value, json};
use thirtyfour::common::command::Command;
use thirtyfour::common::types::ElementId;
use vigorl_geometry::{Point, Viewport};
use vigorl_interface::DriverError;

use crate::session::Session;

/// Finds the element at a point, and what it is a label of. Needs deepest.js.
const AT_POINT: &str = "
    const found = deepest(document, arguments[0], arguments[1]).element;
    const label = found && found.closest('label');
    const element = (label && label.control) || found;
";
/// The element at a point, through shadow roots and frames.
const DEEPEST: &str = include_str!("deepest.js");

/// Chooses an option by its text, as a person would: the page is told by the usual events.
pub(crate) fn select(session: &Session, at: Point<Viewport>, option: &str) -> Result<(), DriverError> {
    let script = format!(
        "{DEEPEST}{AT_POINT}
        const list = element && element.closest('select');
        if (!list) return 'there is no list at this point';
        if (list.disabled) return 'the list is disabled';
        const even = (text) => text.replace(/\\s+/g, ' ').trim();
        const options = [...list.options].filter((option) => !option.disabled);
        const wanted = options.find((option) => even(option.label) === even(arguments[2]));
        if (!wanted) return 'the list has ' + options.map((option) => even(option.label)).slice(0, 20).join(', ');
        list.focus();
        if (list.multiple) wanted.selected = true; else list.selectedIndex = wanted.index;
        for (const kind of ['input', 'change']) list.dispatchEvent(new Event(kind, {{ bubbles: true }}));
        return true;"
    );
    let arguments = vec![json!(at.x), json!(at.y), json!(option)];
    match session.script("select", &script, arguments)? {
        Value::Bool(true) => Ok(()),
        reason => Err(refused("select", reason.as_str().unwrap_or("the page gave no answer"))),
    }
}

/// Hands files over.
pub(crate) fn upload(session: &Session, at: Point<Viewport>, files: &[PathBuf]) -> Result<(), DriverError> {
    if files.is_empty() {
        return Err(refused("upload", "no file is named"));
    }
    let script = format!(
        "{DEEPEST}{AT_POINT}
        // A button is often what shows of a field beside it.
        const near = element && element.closest('button, a, [role=button]');
        const field = element && element.matches('input[type=file]')
            ? element : near && near.parentElement.querySelector('input[type=file]');
        if (!field) return 'there is no file field at this point';
        if (arguments[2] > 1 && !field.multiple) return 'the field takes one file';
        return field;"
    );
    let arguments = vec![json!(at.x), json!(at.y), json!(files.len())];
    let answer = session.script("upload", &script, arguments)?;
    let Some(id) = answer.as_object().and_then(|found| found.values().next()?.as_str()) else {
        return Err(refused("upload", answer.as_str().unwrap_or("the page gave no answer")));
    };
    // The browser silently hands over nothing for a path with `..` in it.
    let path = |file: &PathBuf| {
        let found = file.canonicalize().ok().filter(|found| found.is_file());
        let missing = || refused("upload", &format!("there is no file `{}`", file.display()));
        found.map(|found| found.display().to_string()).ok_or_else(missing)
    };
    let keys = files.iter().map(path).collect::<Result<Vec<_>, _>>()?.join("\n");
    session.send("upload", Command::ElementSendKeys(ElementId::from(id), keys.as_str().into())).map(drop)
}

fn refused(request: &'static str, detail: &str) -> DriverError {
    DriverError::Refused { request, detail: detail.to_owned() }
}
