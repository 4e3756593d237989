//! A line of JSON for each item of an evaluation.
//!
//! Invariants: `id` is the item's own and the same in every run; `outcome` is `correct`, `wrong`, `wrong_format`, or `error`
//! where the world failed, and null where nobody could judge.

use serde_json::json;
use vigorl_benchmarks::{Item, Mode, Played};
use vigorl_tasks::picture::Region;

/// What was asked, what was answered, and whether that was right.
pub(super) fn played(mode: Mode, played: &Played) -> serde_json::Value {
    let sighting = played.sighting();
    let confidence = sighting.and_then(|sighting| sighting.confidence.as_ref());
    let steps = &played.episode.steps;
    json!({
        "id": played.item.id,
        "item": played.item.seed,
        "mode": mode,
        "outcome": played.outcome(),
        "instruction": played.item.instruction,
        "values": played.item.values.iter().map(|(group, value)| json!([group, value])).collect::<Vec<_>>(),
        "targets": played.item.targets.iter().map(Region::numbers).collect::<Vec<_>>(),
        "finding": sighting.map(|sighting| sighting.finding.name()),
        "decided_by": sighting.map(|sighting| &sighting.decided_by),
        "point": sighting.and_then(|sighting| sighting.grounding.answer).map(|at| [at.x, at.y]),
        "is_answered": played.is_answered(),
        "is_right": played.is_right(),
        "confidence": confidence.map(|confidence| confidence.value),
        "calibrated_on": confidence.and_then(|confidence| confidence.domain.as_ref()),
        "features": confidence.map(|confidence| &confidence.features),
        "why": steps.iter().rev().find_map(|step| step.detail.as_ref()),
    })
}

/// What was asked where the world failed: nothing was answered.
pub(super) fn failed(mode: Mode, item: &Item, why: &str) -> serde_json::Value {
    json!({
        "id": item.id,
        "item": item.seed,
        "mode": mode,
        "outcome": "error",
        "instruction": item.instruction,
        "values": item.values.iter().map(|(group, value)| json!([group, value])).collect::<Vec<_>>(),
        "targets": item.targets.iter().map(Region::numbers).collect::<Vec<_>>(),
        "is_answered": false,
        "is_right": null,
        "why": why,
    })
}
