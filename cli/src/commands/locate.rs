//! `vigorl locate`: one screenshot, one instruction, one point.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::{Ask, Cancel, Candidate, Confidence};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Screenshot;
use vigorl_policy::{AnswerKind, GroundObserver};
use vigorl_report::marks;
use vigorl_runs::record::GroundingRecord;
use vigorl_tasks::scripted::Target;

use crate::args::LocateArgs;
use crate::commands::{Form, check_instruction, picture, pretty};
use crate::exit::Ending;
use crate::eyes::LoadedEyes;
use crate::settings::Settings;
use crate::{eyes, interrupt, reading, terminal};

/// Finds what the instruction describes.
pub(crate) fn locate(args: &LocateArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if let Some(path) = &args.overlay {
        picture::check_target("--overlay", path, |format| format.writing_enabled(), ".png")?;
    }
    check_instruction(&args.instruction)?;
    let screenshot = picture::read(&args.image)?;
    let mut eyes = LoadedEyes::load(args.eyes.as_deref().unwrap_or(eyes::by_default()), settings)?;
    let size = screenshot.dimensions();
    let cannot_look = || format!("cannot look at `{}`", args.image.display());
    // A picture that the policy cannot be shown may still be read; the eyes say so.
    let seen = eyes.policy().and_then(|policy| policy.seen(size).ok());
    if let Some(seen) = eyes.policy().and_then(|policy| policy.describe_seen(size).ok()) {
        terminal::detail(&seen);
    }
    let kind = eyes.policy().map_or(AnswerKind::Point, |policy| policy.preset.answer_kind);
    let device_pixel_ratio = DevicePixelRatio::new(1.0).context("1 is a ratio")?;
    let shot = Screenshot { pixels: screenshot.clone(), device_pixel_ratio };
    let target = Target::from(args.instruction.clone());
    let ask = Ask { screenshot: &shot, target: &target, place: None, nth: 0, in_vain: None, read: &[] };
    let sighting = eyes
        .eyes()
        .find(&ask, &mut Follow(cancel))
        .with_context(cannot_look)?
        .held_to(settings.min_confidence);
    if sighting.grounding.cancelled {
        return Ok(Ending::Interrupted);
    }
    // What is not sure enough to act on is told, and is no answer.
    let mut record = GroundingRecord::from(&sighting);
    let refusal = sighting.finding.point().err().filter(|_| kind == AnswerKind::Point);
    if refusal.is_some() {
        record.answer = None;
    }
    terminal::data(&match form {
        Form::Json => {
            let mut said = json!({
                "point": record.answer,
                "answer_text": record.answer_text,
                "confidence": sighting.confidence.as_ref().map(|confidence| confidence.value),
                "calibrated_on": sighting.confidence.as_ref().and_then(|confidence| confidence.domain.as_ref()),
                "features": sighting.confidence.as_ref().map(|confidence| &confidence.features),
                "decided_by": sighting.decided_by,
                "finding": sighting.finding.name(),
                "why_not": refusal,
                "turns": record.turns,
                "image_size": [screenshot.width(), screenshot.height()],
                "seen": seen.map(|seen| json!({ "size": [seen.width, seen.height], "n_visual_tokens": seen.n_tokens })),
                "model": eyes.record()?,
                "reader": reading::name(),
                "malformed": record.malformed,
            });
            if args.all {
                said["candidates"] = sighting.candidates.iter().map(as_json).collect();
            }
            pretty(&said)
        }
        Form::Text => {
            let mut lines = text(&record, kind, refusal.as_deref(), sighting.confidence.as_ref());
            if args.all {
                let candidate = |one: &Candidate| format!("\n({}, {})  {}", one.at.x, one.at.y, one.why);
                lines.extend(sighting.candidates.iter().map(candidate));
            }
            lines
        }
    });
    if let Some(path) = &args.overlay {
        let drawn = marks::drawn(&screenshot, &record);
        drawn.save(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        terminal::note(&format!("drawn into {}", path.display()));
    }
    Ok(if answer(&record, kind).is_some() { Ending::Done } else { Ending::NotDone })
}

fn as_json(candidate: &Candidate) -> serde_json::Value {
    json!({ "at": [candidate.at.x, candidate.at.y], "why": candidate.why, "confidence": candidate.confidence })
}

/// What was asked for, as it is printed.
fn answer(record: &GroundingRecord, kind: AnswerKind) -> Option<String> {
    match (kind, record.answer) {
        (AnswerKind::Point, point) => point.map(|[x, y]| format!("({x}, {y})")),
        (AnswerKind::Text, _) => record.answer_text.clone().filter(|_| record.malformed.is_none()),
    }
}

fn text(
    record: &GroundingRecord,
    kind: AnswerKind,
    refusal: Option<&str>,
    confidence: Option<&Confidence>,
) -> String {
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
    lines.push(match (answer(record, kind), confidence) {
        (Some(answer), Some(confidence)) => format!("{answer}  {}", confidence.in_words()),
        (Some(answer), None) => answer,
        (None, _) => {
            let reason = refusal.or(record.malformed.as_deref()).unwrap_or("the policy answered none");
            format!("no {wanted}: {reason}")
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
    use vigorl_agent::Features;
    use vigorl_runs::record::Plain;

    use super::*;

    #[track_caller]
    fn check(record: GroundingRecord, kind: AnswerKind, line: &str, is_answer: bool) {
        let sure =
            record.confidence.map(|value| Confidence { value, domain: None, features: Features::new() });
        assert_eq!(text(&record, kind, None, sure.as_ref()), line);
        assert_eq!(answer(&record, kind).is_some(), is_answer);
    }

    #[test]
    fn a_point_or_a_text_is_an_answer_where_it_was_asked_for() {
        let said = GroundingRecord { answer_text: Some("left".to_owned()), ..GroundingRecord::default() };
        let sure = GroundingRecord { confidence: Some(0.5), ..said.clone() };
        check(said.clone(), AnswerKind::Text, "left", true);
        check(sure, AnswerKind::Text, "left  confidence 0.50 (uncalibrated)", true);
        let no_point = GroundingRecord { malformed: Some("no point".to_owned()), ..said };
        check(no_point, AnswerKind::Point, "no point: no point", false);
        check(GroundingRecord::default(), AnswerKind::Text, "no answer: the policy answered none", false);
        let point = GroundingRecord { answer: Some([Plain(3.0), Plain(4.0)]), ..GroundingRecord::default() };
        check(point, AnswerKind::Point, "(3, 4)", true);
    }
}
