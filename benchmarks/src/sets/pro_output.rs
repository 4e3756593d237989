//! What ScreenSpot-Pro's own harness writes: an entry for each item, and the five views of its metrics.
//!
//! Invariants: `details` says of each judged item what the harness says, in the same words; an item on which the world failed
//! is in `errors` and in no count, which the harness has no place for; the views are a pure function of `details`.

use serde_json::{Value, json};
use vigorl_judges::scoring::{Correctness, ProMetrics, ProRow};

use super::item::SetItem;
use crate::line::{Line, Outcome};

/// The whole file. `item` finds what the set says of an item.
pub(crate) fn output<'i>(lines: &[&Line], item: impl Fn(u64) -> Option<&'i SetItem>) -> Value {
    let (mut details, mut errors) = (Vec::new(), Vec::new());
    for line in lines {
        let Some(item) = item(line.item) else { continue };
        match line.outcome.map(Outcome::correctness) {
            Some(Some(correctness)) => details.push(detail(line, item, correctness)),
            Some(None) => errors.push(json!({ "id": line.id, "error": line.why })),
            None => errors.push(json!({ "id": line.id, "error": "nobody could judge the answer" })),
        }
    }
    let metrics = metrics(&details).to_json();
    let details: Vec<Value> = details.into_iter().map(|(detail, _)| detail).collect();
    json!({ "metrics": metrics, "details": details, "errors": errors })
}

fn detail(line: &Line, item: &SetItem, correctness: Correctness) -> (Value, Correctness) {
    let mut all = item.told.clone();
    let said: Vec<&str> = line.turns.iter().map(|turn| &*turn.text).collect();
    all.insert("pred".to_owned(), json!(line.point));
    all.insert("raw_response".to_owned(), json!((!said.is_empty()).then(|| said.join("\n"))));
    all.insert("correctness".to_owned(), json!(correctness));
    (Value::Object(all), correctness)
}

/// The five views of the harness. What an entry does not say is called as Python calls nothing.
fn metrics(details: &[(Value, Correctness)]) -> ProMetrics {
    let mut metrics = ProMetrics::default();
    for (detail, correctness) in details {
        let word = |key: &str| detail[key].as_str().unwrap_or("None");
        metrics.add(&ProRow {
            group: word("group"),
            platform: word("platform"),
            application: word("application"),
            instruction_style: word("instruction_style"),
            gt_type: word("gt_type"),
            is_icon: word("ui_type") == "icon",
            correctness: *correctness,
        });
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_views_count_what_is_in_the_details() {
        let detail = |platform: &str, application: &str, group: Value, kind: &str, correctness| {
            let detail = json!({
                "platform": platform, "application": application, "group": group, "ui_type": kind,
                "instruction_style": "instruction", "gt_type": "positive",
            });
            (detail, correctness)
        };
        let details = [
            detail("windows", "blender", json!("Creative"), "text", Correctness::Correct),
            detail("windows", "blender", json!("Creative"), "icon", Correctness::WrongFormat),
            detail("windows", "stata", json!("Scientific"), "text", Correctness::Wrong),
            detail("macos", "excel", Value::Null, "text", Correctness::Correct),
        ];
        let views = metrics(&details).to_json();
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
