//! `vigorl read`: all text of a screenshot, with its places.

use anyhow::Context as _;
use serde_json::json;
use vigorl_reader::{Line, NAME};
use vigorl_report::marks;

use crate::args::ReadArgs;
use crate::commands::{Form, picture, pretty};
use crate::exit::Ending;
use crate::reading::LoadedReader;
use crate::terminal;

/// Reads what is written on a picture.
pub(crate) fn read(args: &ReadArgs, form: Form) -> anyhow::Result<Ending> {
    if let Some(path) = &args.overlay {
        picture::check_target("--overlay", path, |format| format.writing_enabled(), ".png")?;
    }
    let screenshot = picture::read(&args.image)?;
    let reading = LoadedReader::load()?
        .until_interrupted()
        .read(&screenshot)
        .with_context(|| format!("cannot read the text on `{}`", args.image.display()))?;
    terminal::data(&match form {
        Form::Json => pretty(&json!({
            "image_size": [screenshot.width(), screenshot.height()],
            "reader": NAME,
            "lines": reading.lines.iter().map(as_json).collect::<Vec<_>>(),
        })),
        Form::Text => reading.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n"),
    });
    if reading.lines.is_empty() {
        terminal::note("no text is read on this picture");
    }
    if let Some(path) = &args.overlay {
        let edges = |line: &Line| [line.rect.left, line.rect.top, line.rect.right, line.rect.bottom];
        let boxes: Vec<[f64; 4]> = reading.lines.iter().map(edges).collect();
        let drawn = marks::framed(&screenshot, &boxes);
        drawn.save(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        terminal::note(&format!("drawn into {}", path.display()));
    }
    Ok(Ending::Done)
}

/// Edges in pixels of the picture: left, top, right, bottom; each character with its left and right one.
fn as_json(line: &Line) -> serde_json::Value {
    let edges = |edge: f64| (edge * 10.0).round() / 10.0;
    let rect = line.rect;
    let glyphs =
        line.glyphs.iter().map(|glyph| json!([glyph.character, edges(glyph.left), edges(glyph.right)]));
    json!({
        "text": line.text,
        "box": [edges(rect.left), edges(rect.top), edges(rect.right), edges(rect.bottom)],
        "confidence": line.confidence,
        "characters": glyphs.collect::<Vec<_>>(),
    })
}
