//! The judges of ViGoRL's evaluation: strict for grounding, lenient for texts.
//!
//! Invariants: the answer is that of the first turn that gives one. A turn before it without its thoughts makes the whole
//! rollout one of wrong format. A true answer that every answer would meet is refused.
//! Source: grounded-rl@e7970c0, as summarised in the specification's sections 1.9 (turns and tags) and 7.5 (judges). Scores
//! there are 1 for `correct`, and 0 for both others.

use serde_json::{Value, json};
use thiserror::Error;

use super::Correctness;
use crate::answer::{ANSWER, final_answer, has_thoughts};
use crate::home::{Lines, kind, text};
use crate::literal;
use crate::python::strip;
use crate::reward::Mode;

const END_CALL: &str = "</tool_call>";

/// How far an answer and the true text agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextMatch {
    /// The reference's rule: the true text is the answer, or any part of it.
    pub lenient: bool,
    /// The true text is the answer.
    pub strict: bool,
}

/// Compares texts without white space at their ends, spaces, punctuation and case. Nothing if no letter of the true text is
/// left: the lenient rule would hold for every answer.
pub fn text_match(answer: &str, truth: &str) -> Option<TextMatch> {
    let (answer, truth) = (plain(answer), plain(truth));
    (!truth.is_empty()).then(|| TextMatch { lenient: answer.contains(&truth), strict: answer == truth })
}

/// A text as it is compared. Line breaks inside of it stay.
fn plain(text: &str) -> String {
    const LEFT_OUT: &str = ".?!,;:'\"()[]{}<>/\\|=+-_*&^%$#@`~ ";
    strip(text).replace(|c: char| LEFT_OUT.contains(c), "").to_lowercase()
}

/// Why a rollout has no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// The truth is no box.
    #[error("`ground_truth` is no tuple of four whole numbers: left, top, right, bottom")]
    NoBox,
    /// The truth is a box in which nothing lies.
    #[error("`ground_truth` is swapped: it is (left, top, right, bottom)")]
    Swapped,
    /// The truth is a text that would be part of every answer.
    #[error(
        "`ground_truth` has nothing but punctuation and spaces, which are not compared: every answer would be right"
    )]
    NothingToCompare,
    /// An episode that goes on behind its end.
    #[error("`response[{turn_idx}]` answers, and turns follow it: an answer ends the episode")]
    TurnsFollow {
        /// Which turn answers.
        turn_idx: usize,
    },
}

/// The verdict on turns that answer with a point, by the strict judge: the answer is two whole numbers as Python writes them,
/// and `bbox` four. Edges are inside.
///
/// # Errors
/// If `bbox` is no such box, or turns follow the answer.
pub fn vigorl_grounding(turns: &[&str], bbox: &str) -> Result<Correctness, RolloutError> {
    let answer = answer_of(turns)?;
    let found = literal::numbers::<4>(strip(bbox), Mode::Reference);
    let Some(literal::Numbers { numbers: edges, .. }) = found else { return Err(RolloutError::NoBox) };
    let [left, top, right, bottom] = &edges;
    if !(left.is_at_most(right) && top.is_at_most(bottom)) {
        return Err(RolloutError::Swapped);
    }
    let point = answer.and_then(|answer| literal::numbers::<2>(answer, Mode::Reference));
    let Some(literal::Numbers { numbers: [x, y], .. }) = point else { return Ok(Correctness::WrongFormat) };
    let is_inside = left.is_at_most(&x) && x.is_at_most(right) && top.is_at_most(&y) && y.is_at_most(bottom);
    Ok(Correctness::of(is_inside))
}

/// The verdicts on turns that answer with a text: by the reference's lenient rule, and by the strict one.
///
/// # Errors
/// If nothing of the true text can be compared, or turns follow the answer.
pub fn vigorl_text(turns: &[&str], truth: &str) -> Result<[Correctness; 2], RolloutError> {
    let compared = |answer| text_match(answer, truth).ok_or(RolloutError::NothingToCompare);
    let answer = answer_of(turns)?;
    // The truth is looked at even where there is no answer.
    let TextMatch { lenient, strict } = compared(answer.unwrap_or_default())?;
    Ok(match answer {
        Some(_) => [lenient, strict].map(Correctness::of),
        None => [Correctness::WrongFormat; 2],
    })
}

/// The final answer of a rollout; nothing if there is none, or a turn before it lacks its thoughts.
fn answer_of<'a>(turns: &[&'a str]) -> Result<Option<&'a str>, RolloutError> {
    let Some(turn_idx) = turns.iter().position(|turn| turn.contains(ANSWER)) else { return Ok(None) };
    if turn_idx + 1 < turns.len() {
        return Err(RolloutError::TurnsFollow { turn_idx });
    }
    let (last, before) = (turns[turn_idx], &turns[..turn_idx]);
    Ok(final_answer(last).filter(|_| before.iter().all(|turn| has_thoughts(turn))))
}

/// The turns of one text: in front of its answer, each ends behind its tool call.
fn turns_of(response: &str) -> Vec<&str> {
    let before = response.split_once(ANSWER).map_or(response, |(before, _)| before);
    let ends = before.match_indices(END_CALL).map(|(at, tag)| at + tag.len());
    let mut begin = 0;
    let mut turns = Vec::new();
    for end in ends.chain([response.len()]) {
        turns.push(&response[begin..end]);
        begin = end;
    }
    turns
}

/// The judges of lines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Judge {
    /// `vigorl-grounding`
    Grounding,
    /// `vigorl-text`
    Text,
}

impl Lines for Judge {
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String> {
        let (turns, truth) = (turns(line)?, text(line, "ground_truth")?);
        let verdict = match self {
            Self::Grounding => {
                vigorl_grounding(&turns, truth).map(|correctness| json!({ "correctness": correctness }))
            }
            Self::Text => vigorl_text(&turns, truth)
                .map(|[lenient, strict]| json!({ "correctness": lenient, "strict": strict })),
        };
        verdict.map(Some).map_err(|why| why.to_string())
    }
}

/// What was said: a list of turns, or a text.
fn turns<'a>(line: &'a Value) -> Result<Vec<&'a str>, String> {
    const KEY: &str = "response";
    let Some(Value::Array(turns)) = line.get(KEY) else { return text(line, KEY).map(turns_of) };
    let turn = |(idx, turn): (usize, &'a Value)| {
        turn.as_str().ok_or_else(|| format!("`{KEY}[{idx}]` is {}, and not a text", kind(turn)))
    };
    turns.iter().enumerate().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Correctness::{Correct, Wrong, WrongFormat};

    const BOX: &str = "(10, 20, 30, 40)";

    #[track_caller]
    fn check(response: Value, expected: Correctness) {
        let line = json!({ "response": response, "ground_truth": BOX });
        let verdict = Judge::Grounding.line(&line);
        assert_eq!(verdict, Ok(Some(json!({ "correctness": expected }))), "{response}");
    }

    fn why(mut judge: Judge, response: Value, truth: &str) -> String {
        judge.line(&json!({ "response": response, "ground_truth": truth })).unwrap_err()
    }

    #[test]
    fn a_point_is_two_whole_numbers_with_the_edges_inside() {
        for (answer, expected) in [
            ("(10, 40)", Correct),
            ("[30, 20]", Correct),
            ("20, 30", Correct),
            ("(9, 40)", Wrong),
            ("(20, 41)", Wrong),
            ("(20.0, 30)", WrongFormat),
            ("(20, 30, 40, 50)", WrongFormat),
            ("x=20, y=30", WrongFormat),
            ("", WrongFormat),
        ] {
            check(json!(format!("<think> (1, 2) </think>\n<answer> {answer} </answer>")), expected);
            check(json!(format!("<answer>{answer}")), expected);
        }
        check(json!("(20, 30)"), WrongFormat);
    }

    #[test]
    fn every_turn_before_the_answer_has_its_thoughts() {
        let call = "<tool_call>\n{}\n</tool_call>";
        let (thoughts, answer) = ("<think> a </think>", "<answer> (20, 30) </answer>");
        let turn = format!("{thoughts}\n{call}");
        check(json!([turn, turn, answer]), Correct);
        check(json!([turn, call, answer]), WrongFormat);
        check(json!([format!("<think> a {call}"), answer]), WrongFormat);
        check(json!([turn, turn]), WrongFormat);
        check(json!([]), WrongFormat);
        let look = "user\n<observation>\n</observation>assistant\n";
        check(json!(format!("{turn}{look}{turn}{look}{answer}")), Correct);
        check(json!(format!("{turn}{look}{call}{look}{thoughts}{answer}")), WrongFormat);
        check(json!(format!("{call}{thoughts}{answer}")), WrongFormat);
        // Behind the answer nothing is looked at.
        check(json!(format!("{answer}{call}")), Correct);
    }

    #[test]
    fn rollouts_that_cannot_be_judged_are_refused_and_the_key_is_named() {
        for (response, truth, words) in [
            (json!("x"), "(1, 2, 3)", "`ground_truth` is no tuple"),
            (json!("x"), "(1.0, 2, 3, 4)", "`ground_truth` is no tuple"),
            (json!("x"), "(3, 2, 1, 4)", "`ground_truth` is swapped"),
            (
                json!(["<answer>(1, 2)</answer>", "x"]),
                "(1, 2, 3, 4)",
                "`response[0]` answers, and turns follow",
            ),
            (json!(["x", 1]), "(1, 2, 3, 4)", "`response[1]` is a number"),
            (json!(null), "(1, 2, 3, 4)", "`response` is null"),
        ] {
            let said = why(Judge::Grounding, response, truth);
            assert!(said.starts_with(words), "{said}");
        }
        for response in [json!("<answer>no</answer>"), json!("x")] {
            let said = why(Judge::Text, response, " (?) ");
            assert!(said.starts_with("`ground_truth` has nothing but punctuation"), "{said}");
        }
    }

    #[test]
    fn the_lenient_rule_takes_a_part_and_the_strict_one_stands_beside_it() {
        let verdict = |answer: &str, truth: &str| {
            let response = format!("<think>a</think><answer> {answer} </answer>");
            let line = json!({ "response": response, "ground_truth": truth });
            Judge::Text.line(&line).unwrap().unwrap()
        };
        for (answer, truth, lenient, strict) in [
            ("Red", "red", Correct, Correct),
            ("(A) re-d!", "a red.", Correct, Correct),
            ("The car is red", "red", Correct, Wrong),
            ("cannot", "no", Correct, Wrong),
            ("left or right", "right", Correct, Wrong),
            ("blue", "red", Wrong, Wrong),
            // Spaces are left out, line breaks are not.
            ("r e d", "red", Correct, Correct),
            ("r\ned", "red", Wrong, Wrong),
            ("", "red", Wrong, Wrong),
        ] {
            let expected = json!({ "correctness": lenient, "strict": strict });
            assert_eq!(verdict(answer, truth), expected, "{answer} {truth}");
        }
        let line = json!({ "response": "red", "ground_truth": "red" });
        let expected = json!({ "correctness": WrongFormat, "strict": WrongFormat });
        assert_eq!(Judge::Text.line(&line), Ok(Some(expected)));
        assert_eq!(text_match("x", "!"), None);
    }
}
