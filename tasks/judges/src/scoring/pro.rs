//! The metrics of ScreenSpot-Pro: five views of the same verdicts.
//!
//! Invariants: every row is counted once in each view, and rows of wrong format stay in every denominator. A share of no rows
//! is `null`; the harness writes 0 there. If one row cannot be read, there are no metrics, because a denominator would be too
//! small.
//! Source: ScreenSpot-Pro's harness (@bd8bbbb), whose names of views, cells and numbers these are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Correctness, Tally};
use crate::home::{Lines, text};

/// What a row must say to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProRow<'a> {
    /// Such as `Dev`.
    pub group: &'a str,
    /// Such as `windows`.
    pub platform: &'a str,
    /// Such as `photoshop`.
    pub application: &'a str,
    /// `instruction`, `action` or `description`.
    pub instruction_style: &'a str,
    /// `positive` or `negative`.
    pub gt_type: &'a str,
    /// Whether the target is an icon, and not a text.
    pub is_icon: bool,
    /// The verdict.
    pub correctness: Correctness,
}

/// Rows of one cell, by what their targets are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// Targets that are texts.
    pub text: Tally,
    /// Targets that are icons.
    pub icon: Tally,
}

/// The five views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProMetrics {
    fine_grained: BTreeMap<String, Cell>,
    seeclick_style: BTreeMap<String, Cell>,
    leaderboard_detailed_style: BTreeMap<String, Cell>,
    leaderboard_simple_style: BTreeMap<String, Cell>,
    overall: Cell,
}

impl Cell {
    fn add(&mut self, row: &ProRow<'_>) {
        if row.is_icon { &mut self.icon } else { &mut self.text }.add(row.correctness);
    }

    /// All rows.
    pub fn all(self) -> Tally {
        self.text.and(self.icon)
    }

    /// The six numbers of the harness.
    pub fn to_json(self) -> Value {
        let all = self.all();
        json!({
            "num_correct_action": all.n_correct(),
            "num_total": all.n(),
            "wrong_format_num": all.n_wrong_format(),
            "action_acc": all.accuracy(),
            "text_acc": self.text.accuracy(),
            "icon_acc": self.icon.accuracy(),
        })
    }
}

impl ProMetrics {
    /// Counts a row in every view.
    pub fn add(&mut self, row: &ProRow<'_>) {
        let ProRow { group, platform, application, instruction_style, gt_type, .. } = row;
        let asked = format!("inst_style:{instruction_style} gt_type:{gt_type}");
        for (view, cell) in [
            (&mut self.fine_grained, format!("plat:{platform} app:{application} {asked}")),
            (&mut self.seeclick_style, format!("plat:{platform} {asked}")),
            (&mut self.leaderboard_detailed_style, format!("app:{application}")),
            (&mut self.leaderboard_simple_style, format!("group:{group}")),
        ] {
            view.entry(cell).or_default().add(row);
        }
        self.overall.add(row);
    }

    /// Every view but the overall one, by its name, with its cells in the order of their names.
    pub fn views(&self) -> [(&'static str, &BTreeMap<String, Cell>); 4] {
        [
            ("fine_grained", &self.fine_grained),
            ("seeclick_style", &self.seeclick_style),
            ("leaderboard_detailed_style", &self.leaderboard_detailed_style),
            ("leaderboard_simple_style", &self.leaderboard_simple_style),
        ]
    }

    /// All rows.
    pub fn overall(&self) -> Cell {
        self.overall
    }

    /// The metrics as the harness writes them.
    pub fn to_json(&self) -> Value {
        let cells = |view: &BTreeMap<String, Cell>| {
            view.iter().map(|(name, cell)| (name.clone(), cell.to_json())).collect::<Map<_, _>>()
        };
        let views = self.views().map(|(name, view)| (name.to_owned(), Value::Object(cells(view))));
        let overall = ("overall".to_owned(), self.overall.to_json());
        Value::Object(views.into_iter().chain([overall]).collect())
    }
}

impl<'a> ProRow<'a> {
    /// Reads a row. Other keys are left alone: the details of the harness have more of them.
    ///
    /// # Errors
    /// In words, what is missing or wrong.
    pub fn read(row: &'a Value) -> Result<Self, String> {
        let name = |key: &str| {
            let name = text(row, key)?;
            (!name.trim().is_empty()).then_some(name).ok_or_else(|| format!("`{key}` is empty"))
        };
        Ok(Self {
            group: name("group")?,
            platform: name("platform")?,
            application: name("application")?,
            instruction_style: one_of(row, "instruction_style", &STYLES.map(|word| (word, word)))?,
            gt_type: one_of(row, "gt_type", &GT_TYPES.map(|word| (word, word)))?,
            is_icon: one_of(row, "ui_type", &[("text", false), ("icon", true)])?,
            correctness: one_of(row, "correctness", &Correctness::NAMED)?,
        })
    }
}

const STYLES: [&str; 3] = ["instruction", "action", "description"];
const GT_TYPES: [&str; 2] = ["positive", "negative"];

/// What the word of a key means.
fn one_of<T: Copy>(row: &Value, key: &str, known: &[(&str, T)]) -> Result<T, String> {
    let said = text(row, key)?;
    let meant = known.iter().find(|(word, _)| *word == said).map(|(_, meant)| *meant);
    let words = || known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    meant.ok_or_else(|| format!("`{key}` is `{said}`: it is one of {}", words()))
}

/// The judge `screenspot-pro-metrics` at work.
impl Lines for ProMetrics {
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String> {
        self.add(&ProRow::read(line)?);
        Ok(None)
    }

    fn end(&mut self, n_refused: u64) -> Result<Option<Value>, String> {
        if n_refused > 0 {
            return Err(format!(
                "there are no metrics, because rows are missing in them: mend or remove {n_refused}"
            ));
        }
        if self.overall.all().n() == 0 {
            return Err("there are no metrics, because there is no row".to_owned());
        }
        Ok(Some(self.to_json()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(application: &str, ui_type: &str, correctness: &str) -> Value {
        let group = if application == "word" { "Office" } else { "Dev" };
        json!({
            "group": group, "platform": "macos", "application": application, "instruction_style": "instruction",
            "gt_type": "positive", "ui_type": ui_type, "correctness": correctness, "id": "left alone",
        })
    }

    #[test]
    fn five_views_count_the_same_rows() {
        let mut metrics = ProMetrics::default();
        for (application, ui_type, correctness) in [
            ("word", "text", "correct"),
            ("word", "text", "wrong_format"),
            ("vscode", "text", "correct"),
            ("vscode", "icon", "wrong"),
            ("pycharm", "icon", "correct"),
        ] {
            assert_eq!(metrics.line(&row(application, ui_type, correctness)), Ok(None));
        }
        let cell = |correct: u64, total: u64, wrong_format: u64, shares: [Option<f64>; 3]| {
            json!({
                "num_correct_action": correct, "num_total": total, "wrong_format_num": wrong_format,
                "action_acc": shares[0], "text_acc": shares[1], "icon_acc": shares[2],
            })
        };
        let said = metrics.end(0).unwrap().unwrap();
        let word = cell(1, 2, 1, [Some(0.5), Some(0.5), None]);
        let pycharm = cell(1, 1, 0, [Some(1.0), None, Some(1.0)]);
        let vscode = cell(1, 2, 0, [Some(0.5), Some(1.0), Some(0.0)]);
        let all = cell(3, 5, 1, [Some(0.6), Some(2.0 / 3.0), Some(0.5)]);
        assert_eq!(
            said,
            json!({
                "fine_grained": {
                    "plat:macos app:pycharm inst_style:instruction gt_type:positive": pycharm,
                    "plat:macos app:vscode inst_style:instruction gt_type:positive": vscode,
                    "plat:macos app:word inst_style:instruction gt_type:positive": word,
                },
                "seeclick_style": { "plat:macos inst_style:instruction gt_type:positive": all },
                "leaderboard_detailed_style": { "app:pycharm": pycharm, "app:vscode": vscode, "app:word": word },
                "leaderboard_simple_style": {
                    "group:Dev": cell(2, 3, 0, [Some(2.0 / 3.0), Some(1.0), Some(0.5)]),
                    "group:Office": word,
                },
                "overall": all,
            })
        );
        for (_, view) in metrics.views() {
            assert_eq!(view.values().map(|cell| cell.all().n()).sum::<u64>(), metrics.overall().all().n());
        }
    }

    #[test]
    fn rows_that_are_none_leave_no_metrics() {
        let mut metrics = ProMetrics::default();
        assert_eq!(metrics.end(0), Err("there are no metrics, because there is no row".to_owned()));
        metrics.line(&row("word", "text", "correct")).unwrap();
        for (key, value, words) in [
            ("ui_type", json!("Icon"), "`ui_type` is `Icon`: it is one of text, icon"),
            (
                "correctness",
                json!("right"),
                "`correctness` is `right`: it is one of correct, wrong, wrong_format",
            ),
            ("gt_type", json!(null), "`gt_type` is null"),
            ("instruction_style", json!("short"), "`instruction_style` is `short`"),
            ("group", json!(" "), "`group` is empty"),
        ] {
            let mut row = row("word", "text", "correct");
            row[key] = value;
            let why = metrics.line(&row).unwrap_err();
            assert!(why.starts_with(words), "{why}");
            row.as_object_mut().unwrap().remove(key);
            assert_eq!(metrics.line(&row), Err(format!("the key `{key}` is missing")));
        }
        assert!(metrics.end(5).unwrap_err().contains("rows are missing"));
        assert_eq!(metrics.overall().all().n(), 1);
    }
}
