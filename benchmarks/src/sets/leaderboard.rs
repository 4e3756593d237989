//! What the leaderboard of ScreenSpot-Pro and -v2 takes: an entry of its own file for a model.
//!
//! Invariants: every share is over items (micro), and of answers that were judged; a cell without items is not there. `link` and
//! `description` are the submitter's to fill in.
//! Source: the files `results/screenspot_pro.json` and `results/screenspot_v2.json` of GUI-Agent/grounding-leaderboard (@ef17af0).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vigorl_judges::scoring::{Cell, Correctness};

use crate::line::Line;

/// Counts a line, if it was judged.
fn add(cell: &mut Cell, line: &Line) {
    let of = if line.value("type") == Some("text") { &mut cell.text } else { &mut cell.icon };
    if let Some(is_right) = line.is_right {
        of.add(Correctness::of(is_right));
    }
}

/// The shares of a cell, each where there is one.
fn shares(cell: Cell) -> Value {
    let shares = [("icon", cell.icon), ("text", cell.text), ("avg", cell.all())];
    let known =
        shares.into_iter().filter_map(|(name, tally)| Some((name.to_owned(), json!(tally.accuracy()?))));
    Value::Object(known.collect())
}

/// A cell for each value of a group.
fn by(group: &str, lines: &[&Line]) -> Value {
    let mut cells: BTreeMap<&str, Cell> = BTreeMap::new();
    for line in lines {
        if let Some(value) = line.value(group) {
            add(cells.entry(value).or_default(), line);
        }
    }
    cells.iter().map(|(value, cell)| ((*value).to_owned(), shares(*cell))).collect()
}

fn overall(lines: &[&Line]) -> Value {
    let mut all = Cell::default();
    lines.iter().for_each(|line| add(&mut all, line));
    shares(all)
}

fn entry(model: &str, results: &Value) -> Value {
    json!({ model: { "link": "", "description": "", "results": results } })
}

/// ScreenSpot-Pro.
pub(crate) fn pro(model: &str, lines: &[&Line]) -> Value {
    let results = json!({ "group": by("group", lines), "application": by("application", lines), "overall": overall(lines) });
    entry(model, &results)
}

/// ScreenSpot-v2.
pub(crate) fn v2(model: &str, lines: &[&Line]) -> Value {
    entry(model, &json!({ "platform": by("platform", lines), "overall_avg": overall(lines)["avg"] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: u64, kind: &str, is_right: Option<bool>) -> Line {
        serde_json::from_value(json!({
            "id": item.to_string(), "item": item, "mode": "single_turn", "outcome": "wrong", "instruction": "",
            "values": [["type", kind], ["platform", "web"], ["group", "Dev"], ["application", "vscode"]],
            "targets": [], "is_answered": true, "is_right": is_right,
        }))
        .unwrap()
    }

    #[test]
    fn shares_are_over_items_and_errors_are_in_none() {
        let lines = [
            line(0, "text", Some(true)),
            line(1, "text", Some(true)),
            line(2, "icon", Some(false)),
            line(3, "text", Some(false)),
            line(4, "icon", None),
        ];
        let lines: Vec<&Line> = lines.iter().collect();
        let cell = json!({ "icon": 0.0, "text": 2.0 / 3.0, "avg": 0.5 });
        let entry = &pro("ours", &lines)["ours"]["results"];
        assert_eq!(
            (&entry["group"]["Dev"], &entry["application"]["vscode"], &entry["overall"]),
            (&cell, &cell, &cell)
        );
        let entry = &v2("ours", &lines)["ours"]["results"];
        assert_eq!((&entry["platform"]["web"], &entry["overall_avg"]), (&cell, &json!(0.5)));
        assert!(
            v2("ours", &lines[4..])["ours"]["results"]["platform"]["web"].as_object().unwrap().is_empty()
        );
    }
}
