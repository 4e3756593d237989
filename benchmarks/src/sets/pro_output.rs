//! What ScreenSpot-Pro's own harness writes: an entry for each item, and the five views of its metrics.
//!
//! Invariants: `details` says of each judged item what the harness says, in the same words; an item on which the world failed
//! is in `errors` and in no count, which the harness has no place for; the views are a pure function of `details`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vigorl_agent::Finding;

use super::item::SetItem;
use crate::evaluation::{Outcome, Played, Tally};

/// The whole file. `item` finds what the set says of an item.
pub(crate) fn output<'i>(tally: &Tally, item: impl Fn(u64) -> Option<&'i SetItem>) -> Value {
    let details: Vec<Value> =
        tally.played.iter().filter_map(|played| Some(detail(played, item(played.item.seed)?))).collect();
    let errors: Vec<Value> =
        tally.errors.iter().map(|(item, why)| json!({ "id": item.id, "error": why })).collect();
    let metrics = views(&details);
    json!({ "metrics": metrics, "details": details, "errors": errors })
}

fn detail(played: &Played, item: &SetItem) -> Value {
    let mut all = item.told.clone();
    let sighting = played.sighting();
    let point = sighting.and_then(|sighting| match sighting.finding {
        Finding::Found(at) | Finding::Unsure(at, _) => Some([at.x, at.y]),
        Finding::Absent(_) | Finding::Ambiguous(_) | Finding::Malformed(_) => None,
    });
    let turns = sighting.map_or(&[][..], |sighting| &sighting.grounding.turns);
    let said: Vec<&str> = turns.iter().map(|turn| &*turn.completion.text).collect();
    all.insert("pred".to_owned(), json!(point));
    all.insert("raw_response".to_owned(), json!((!said.is_empty()).then(|| said.join("\n"))));
    all.insert("correctness".to_owned(), json!(played.outcome().unwrap_or(Outcome::Wrong)));
    Value::Object(all)
}

/// The five views of the harness.
fn views(details: &[Value]) -> Value {
    let by = |keys: &[(&str, &str)]| {
        let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for detail in details {
            let name = |(label, field): &(&str, &str)| {
                let value = &detail[*field];
                format!("{label}:{}", value.as_str().unwrap_or("None"))
            };
            let names: Vec<String> = keys.iter().map(name).collect();
            groups.entry(names.join(" ")).or_default().push(detail);
        }
        groups.into_iter().map(|(name, details)| (name, metric(&details))).collect::<Map<_, _>>()
    };
    let (platform, application) = (("plat", "platform"), ("app", "application"));
    let (style, gt_type) = (("inst_style", "instruction_style"), ("gt_type", "gt_type"));
    json!({
        "fine_grained": by(&[platform, application, style, gt_type]),
        "seeclick_style": by(&[platform, style, gt_type]),
        "leaderboard_simple_style": by(&[("group", "group")]),
        "leaderboard_detailed_style": by(&[application]),
        "overall": metric(&details.iter().collect::<Vec<_>>()),
    })
}

/// The counts and rates of the harness; a rate of nothing is 0 there.
fn metric(details: &[&Value]) -> Value {
    let is = |detail: &Value, word: &str| detail["correctness"] == word;
    let rate = |kind: Option<&str>| {
        let of: Vec<_> =
            details.iter().filter(|one| kind.is_none_or(|kind| one["ui_type"] == kind)).collect();
        let n_right = of.iter().filter(|one| is(one, "correct")).count();
        n_right as f64 / of.len().max(1) as f64
    };
    json!({
        "num_correct_action": details.iter().filter(|one| is(one, "correct")).count(),
        "num_total": details.len(),
        "wrong_format_num": details.iter().filter(|one| is(one, "wrong_format")).count(),
        "action_acc": rate(None),
        "text_acc": rate(Some("text")),
        "icon_acc": rate(Some("icon")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_views_count_what_is_in_the_details() {
        let detail = |platform: &str, application: &str, group: Value, kind: &str, correctness: &str| {
            json!({
                "platform": platform, "application": application, "group": group, "ui_type": kind,
                "instruction_style": "instruction", "gt_type": "positive", "correctness": correctness,
            })
        };
        let details = [
            detail("windows", "blender", json!("Creative"), "text", "correct"),
            detail("windows", "blender", json!("Creative"), "icon", "wrong_format"),
            detail("windows", "stata", json!("Scientific"), "text", "wrong"),
            detail("macos", "excel", Value::Null, "text", "correct"),
        ];
        let views = views(&details);
        let overall = &views["overall"];
        assert_eq!((&overall["num_correct_action"], &overall["num_total"]), (&json!(2), &json!(4)));
        assert_eq!((&overall["wrong_format_num"], &overall["action_acc"]), (&json!(1), &json!(0.5)));
        assert_eq!((&overall["text_acc"], &overall["icon_acc"]), (&json!(2.0 / 3.0), &json!(0.0)));
        let fine = &views["fine_grained"]["plat:windows app:blender inst_style:instruction gt_type:positive"];
        assert_eq!((&fine["num_total"], &fine["text_acc"]), (&json!(2), &json!(1.0)));
        assert_eq!(
            views["seeclick_style"]["plat:windows inst_style:instruction gt_type:positive"]["num_total"],
            3
        );
        assert_eq!(views["leaderboard_detailed_style"]["app:stata"]["num_correct_action"], 0);
        assert_eq!(views["leaderboard_simple_style"]["group:Creative"]["num_total"], 2);
        assert_eq!(
            views["leaderboard_simple_style"]["group:None"]["num_total"], 1,
            "as Python writes nothing"
        );
    }
}
