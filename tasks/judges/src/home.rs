//! The home of every judge that reads lines and writes verdicts.
//!
//! Invariant: a judge is named here once, with what it reads and what it writes. It sees the lines in their order, and
//! nothing but them. A line that it refuses changes nothing for the lines after it.

use serde_json::{Value, json};

use crate::record::Judgement;
use crate::reward::{Mode, Reward, Worth};
use crate::scoring::{Parser, ProMetrics, line::ScreenSpot, vigorl};

/// A judge, by its name.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// What is typed.
    pub name: &'static str,
    /// What it judges, in one line.
    pub about: &'static str,
    /// What a line must be, in the words of JSON.
    pub input: &'static str,
    /// What it writes for a line.
    pub output: &'static str,
    /// How it begins.
    open: Open,
}

/// How a judge begins.
#[derive(Debug, Clone, Copy)]
enum Open {
    /// A reward of the reference, in one of its modes.
    Reward(Reward),
    /// The rule of ScreenSpot, with one of the parsers.
    ScreenSpot,
    /// A judge of ViGoRL's evaluation.
    Vigorl(vigorl::Judge),
    /// The metrics of ScreenSpot-Pro.
    ProMetrics,
}

/// What is chosen besides a judge's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// How exactly the reference is followed; without a mode as it is. For judges that know modes.
    pub mode: Option<Mode>,
    /// How responses are read. For judges that know parsers.
    pub parser: Option<Parser>,
}

/// A judge at work.
pub trait Lines {
    /// Judges a line. Nothing, if its verdict comes at the end.
    ///
    /// # Errors
    /// In words, why the line cannot be judged.
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String>;

    /// What is said after the last line, when so many lines had no verdict.
    ///
    /// # Errors
    /// In words, why nothing can be said, although this judge says something there.
    fn end(&mut self, _n_refused: u64) -> Result<Option<Value>, String> {
        Ok(None)
    }
}

impl Named {
    /// Whether it knows modes.
    pub fn has_modes(&self) -> bool {
        matches!(self.open, Open::Reward(_))
    }

    /// Whether it knows parsers.
    pub fn has_parsers(&self) -> bool {
        matches!(self.open, Open::ScreenSpot)
    }

    /// Begins.
    pub fn open(&self, Choices { mode, parser }: Choices) -> Box<dyn Lines> {
        match self.open {
            Open::Reward(reward) => Box::new(ByReward { reward, mode: mode.unwrap_or(Mode::Reference) }),
            Open::ScreenSpot => Box::new(ScreenSpot { parser }),
            Open::Vigorl(judge) => Box::new(judge),
            Open::ProMetrics => Box::new(ProMetrics::default()),
        }
    }
}

const RESPONSE: &str = r#"{"response": str, "ground_truth": str}"#;
const THREE: &str = r#"{"overall": f, "format": f, "accuracy": f}"#;

const CORRECTNESS: &str = r#"{"correctness": "correct|wrong|wrong_format"}"#;
const ROLLOUT: &str = r#"{"response": str | [str, …], "ground_truth": str}"#;

/// The judges of benchmarks.
const SCORING: [Named; 4] = [
    Named {
        name: "screenspot",
        about: "whether a point, or one that --parser reads in a response, lies in the box: the rule of ScreenSpot, v2 and Pro",
        input: r#"{"bbox": [x1, y1, x2, y2], "img_size": [w, h], "point": [x, y] | [x1, y1, x2, y2] | null, "point_space": "normalized|pixel", "resized_size": [w, h]}, or "response": str instead of "point""#,
        output: CORRECTNESS,
        open: Open::ScreenSpot,
    },
    Named {
        name: "screenspot-pro-metrics",
        about: "the five views of ScreenSpot-Pro, after the last line",
        input: r#"{"group": str, "platform": str, "application": str, "instruction_style": "instruction|action|description", "gt_type": "positive|negative", "ui_type": "text|icon", "correctness": "correct|wrong|wrong_format"}"#,
        output: r#"{"fine_grained": {cell: metrics}, "seeclick_style": …, "leaderboard_detailed_style": …, "leaderboard_simple_style": …, "overall": metrics}, metrics being {"num_correct_action": n, "num_total": n, "wrong_format_num": n, "action_acc": f | null, "text_acc": f | null, "icon_acc": f | null}"#,
        open: Open::ProMetrics,
    },
    Named {
        name: "vigorl-grounding",
        about: "the strict judge of ViGoRL's evaluation: two whole numbers in the true box, and thoughts in every turn before",
        input: ROLLOUT,
        output: CORRECTNESS,
        open: Open::Vigorl(vigorl::Judge::Grounding),
    },
    Named {
        name: "vigorl-text",
        about: "the lenient judge of ViGoRL's evaluation: the true text is a part of the answer; `strict` is whether it is all of it",
        input: ROLLOUT,
        output: r#"{"correctness": "correct|wrong|wrong_format", "strict": "correct|wrong|wrong_format"}"#,
        open: Open::Vigorl(vigorl::Judge::Text),
    },
];

/// Every judge: the rewards, then those of benchmarks.
pub static JUDGES: [Named; Reward::NAMED.len() + SCORING.len()] = {
    let mut all = [SCORING[0]; Reward::NAMED.len() + SCORING.len()];
    let mut idx = 0;
    while idx < all.len() {
        all[idx] =
            if idx < Reward::NAMED.len() { of_reward(idx) } else { SCORING[idx - Reward::NAMED.len()] };
        idx += 1;
    }
    all
};

const fn of_reward(idx: usize) -> Named {
    let (name, reward, about) = Reward::NAMED[idx];
    Named { name, about, input: RESPONSE, output: THREE, open: Open::Reward(reward) }
}

/// The judge of this name.
pub fn find(name: &str) -> Option<&'static Named> {
    JUDGES.iter().find(|named| named.name == name)
}

struct ByReward {
    reward: Reward,
    mode: Mode,
}

impl Lines for ByReward {
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String> {
        let (response, truth) = (text(line, "response")?, text(line, "ground_truth")?);
        let verdict = self.reward.worth(self.mode, response, truth).map_err(|why| why.to_string())?;
        let Worth { overall, format, accuracy, .. } = verdict;
        Ok(Some(json!({ "overall": overall, "format": format, "accuracy": accuracy })))
    }
}

/// The text of a key.
pub(crate) fn text<'a>(line: &'a Value, key: &str) -> Result<&'a str, String> {
    let object = line.as_object().ok_or_else(|| format!("{} is no JSON object", kind(line)))?;
    let value = object.get(key).ok_or_else(|| format!("the key `{key}` is missing"))?;
    value.as_str().ok_or_else(|| format!("`{key}` is {}, and not a text", kind(value)))
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A judgement as a line says it: each name with its value, or with why there is none.
pub(crate) fn terms(judgement: &Judgement) -> Value {
    let terms = judgement.entries.iter().map(|entry| {
        let said = match entry.value() {
            Ok(value) => json!(value),
            Err(why) => json!({ "error": why.to_string() }),
        };
        (entry.name.clone(), said)
    });
    Value::Object(terms.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_once() {
        for named in JUDGES {
            assert_eq!(JUDGES.iter().filter(|other| other.name == named.name).count(), 1);
            assert!(find(named.name).is_some());
            assert_eq!(named.has_modes(), Reward::named(named.name).is_some());
            assert_eq!(named.has_parsers(), named.name == "screenspot");
        }
        assert!(find("point").is_none());
    }

    #[test]
    fn a_line_that_is_no_answer_is_refused_in_words() {
        let mut judge = find("string_match").unwrap().open(Choices::default());
        let mut why = |line: Value| judge.line(&line).unwrap_err();
        assert_eq!(why(json!([1])), "a list is no JSON object");
        assert_eq!(why(json!({ "response": "x" })), "the key `ground_truth` is missing");
        assert_eq!(
            why(json!({ "response": 1, "ground_truth": "x" })),
            "`response` is a number, and not a text"
        );
        assert_eq!(
            why(json!({ "response": "x", "ground_truth": null })),
            "`ground_truth` is null, and not a text"
        );
        let verdict = judge.line(&json!({ "response": "x", "ground_truth": "x", "more": 1 }));
        assert_eq!(verdict, Ok(Some(json!({ "overall": 0.5, "format": 0.0, "accuracy": 1.0 }))));
        assert_eq!(judge.end(0), Ok(None));
    }
}
