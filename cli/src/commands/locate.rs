//! `vigorl locate`: one screenshot, one instruction, one point.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_policy::{AnswerKind, GroundObserver, ground};
use vigorl_report::marks;
use vigorl_runs::record::GroundingRecord;

use crate::args::LocateArgs;
use crate::commands::{Form, picture, pretty};
use crate::exit::Ending;
use crate::settings::Settings;
use crate::{interrupt, model, terminal};

/// Finds what the instruction describes.
pub(crate) fn locate(args: &LocateArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if let Some(path) = &args.overlay {
        picture::check_target("--overlay", path, |format| format.writing_enabled(), ".png")?;
    }
    let screenshot = picture::read(&args.image)?;
    let mut eyes = model::load(settings)?;
    let size = screenshot.dimensions();
    let cannot_look = || format!("cannot look at `{}`", args.image.display());
    let seen = eyes.seen(size).with_context(cannot_look)?;
    terminal::detail(&eyes.describe_seen(size).with_context(cannot_look)?);
    let mut follow = Follow(cancel);
    let grounding =
        ground(&mut eyes.policy, &screenshot, &args.instruction, &eyes.preset, &eyes.sampling, &mut follow)
            .with_context(cannot_look)?;
    if grounding.cancelled {
        return Ok(Ending::Interrupted);
    }
    let record = GroundingRecord::from(&grounding);
    terminal::data(&match form {
        Form::Json => pretty(&json!({
            "point": record.answer,
            "answer_text": record.answer_text,
            "confidence": record.confidence,
            "turns": record.turns,
            "image_size": [screenshot.width(), screenshot.height()],
            "seen": { "size": [seen.width, seen.height], "n_visual_tokens": seen.n_tokens },
            "model": eyes.record()?,
            "malformed": record.malformed,
        })),
        Form::Text => text(&record, eyes.preset.answer_kind),
    });
    if let Some(path) = &args.overlay {
        let drawn = marks::drawn(&screenshot, &record);
        drawn.save(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        terminal::note(&format!("drawn into {}", path.display()));
    }
    Ok(if answer(&record, eyes.preset.answer_kind).is_some() { Ending::Done } else { Ending::NotDone })
}

/// What was asked for, as it is printed.
fn answer(record: &GroundingRecord, kind: AnswerKind) -> Option<String> {
    match (kind, record.answer) {
        (AnswerKind::Point, point) => point.map(|[x, y]| format!("({x}, {y})")),
        (AnswerKind::Text, _) => record.answer_text.clone().filter(|_| record.malformed.is_none()),
    }
}

fn text(record: &GroundingRecord, kind: AnswerKind) -> String {
    let mut lines = Vec::new();
    for (idx, turn) in record.turns.iter().enumerate() {
        lines.extend(turn.thoughts.iter().map(|thought| format!("{}  {}", idx + 1, thought.text)));
        if let (Some([x, y]), Some([l, t, r, b])) = (turn.zoom, turn.crop) {
            let turn = idx + 1;
            let deed = if record.turns[idx].checked { "checks its answer" } else { "zoom" };
            lines.push(format!("{turn}  {deed} at ({x}, {y}): sees ({l}, {t}) to ({r}, {b})"));
        } else if let (Some([x, y]), true) = (turn.zoom, turn.went_back) {
            lines.push(format!(
                "{}  zoom at ({x}, {y}): leads nowhere, back to the whole screenshot",
                idx + 1
            ));
        }
    }
    let wanted = if kind == AnswerKind::Point { "point" } else { "answer" };
    lines.push(match (answer(record, kind), record.confidence, &record.malformed) {
        (Some(answer), Some(confidence), _) => format!("{answer}  confidence {confidence:.2}"),
        (Some(answer), None, _) => answer,
        (None, _, reason) => {
            format!("no {wanted}: {}", reason.as_deref().unwrap_or("the policy answered none"))
        }
    });
    lines.join("\n")
}

/// Breaks off between tokens.
struct Follow(Cancel);

impl Follow {
    fn flow(&self) -> ControlFlow<()> {
        if self.0.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl GroundObserver for Follow {
    fn turn_started(&mut self, turn_idx: usize, forced: bool) -> ControlFlow<()> {
        terminal::detail(&format!("turn {}{}", turn_idx + 1, if forced { " (must answer)" } else { "" }));
        self.flow()
    }

    fn text(&mut self, _piece: &str) -> ControlFlow<()> {
        self.flow()
    }
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::Plain;

    use super::*;

    #[track_caller]
    fn check(record: GroundingRecord, kind: AnswerKind, line: &str, is_answer: bool) {
        assert_eq!(text(&record, kind), line);
        assert_eq!(answer(&record, kind).is_some(), is_answer);
    }

    #[test]
    fn a_point_or_a_text_is_an_answer_where_it_was_asked_for() {
        let said = GroundingRecord { answer_text: Some("left".to_owned()), ..GroundingRecord::default() };
        let sure = GroundingRecord { confidence: Some(0.5), ..said.clone() };
        check(said.clone(), AnswerKind::Text, "left", true);
        check(sure, AnswerKind::Text, "left  confidence 0.50", true);
        let no_point = GroundingRecord { malformed: Some("no point".to_owned()), ..said };
        check(no_point, AnswerKind::Point, "no point: no point", false);
        check(GroundingRecord::default(), AnswerKind::Text, "no answer: the policy answered none", false);
        let point = GroundingRecord { answer: Some([Plain(3.0), Plain(4.0)]), ..GroundingRecord::default() };
        check(point, AnswerKind::Point, "(3, 4)", true);
    }
}
