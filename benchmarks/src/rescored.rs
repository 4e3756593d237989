//! Recorded answers under another judge: no model is asked, and no picture is looked at.
//!
//! Invariants: a judge sees what was said and where the target is, and nothing of the former verdict; an answer that was not
//! given stays in every denominator; an item on which the world failed stays an error.

use vigorl_geometry::Point;
use vigorl_judges::scoring::{Correctness, vigorl_grounding, vigorl_text};

use crate::line::{Line, Outcome, final_turns};

/// A judge of recorded answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejudge {
    /// The point in the region, edges included.
    ScreenSpot,
    /// ViGoRL's own: the last turn's answer must be two whole numbers, and every turn before it must think.
    VigorlGrounding,
    /// ViGoRL's own for texts: the right option is the answer, or a part of it.
    VigorlText,
}

impl Rejudge {
    /// By name, with what it asks for.
    pub const NAMED: [(&str, Self, &str); 3] = [
        ("screenspot", Self::ScreenSpot, "the point lies in the box, on its edge, or in the outline"),
        (
            "vigorl-grounding",
            Self::VigorlGrounding,
            "the same, and the answer is a tuple of two whole numbers behind thoughts in their tags",
        ),
        ("vigorl-text", Self::VigorlText, "the right option is the answer in words, or a part of it"),
    ];

    /// The judge of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, ..)| *known == name).map(|(_, judge, _)| *judge)
    }

    /// The same line under this judge.
    ///
    /// # Errors
    /// Why it cannot judge such an item, for people.
    pub fn judge(self, line: &Line) -> Result<Line, String> {
        if line.is_error() {
            return Ok(line.clone());
        }
        let correctness = match (self, &line.truth) {
            (Self::VigorlText, Some(truth)) => return in_words(line, truth),
            (Self::VigorlText, None) => {
                return Err(format!(
                    "`{}` is answered by a point: vigorl-text judges answers in words",
                    line.id
                ));
            }
            (Self::ScreenSpot | Self::VigorlGrounding, Some(_)) => {
                return Err(format!("`{}` is answered in words: vigorl-text judges such answers", line.id));
            }
            (Self::ScreenSpot, None) => screenspot(line),
            (Self::VigorlGrounding, None) => vigorl(line)?,
        };
        Ok(Line {
            outcome: Some(Outcome::from(correctness)),
            is_right: Some(correctness == Correctness::Correct),
            is_point_right: line.point.map(|_| correctness == Correctness::Correct),
            ..line.clone()
        })
    }
}

fn in_words(line: &Line, truth: &str) -> Result<Line, String> {
    let turns = final_turns(&line.turns);
    let turns: Vec<&str> = turns.iter().map(|turn| &**turn).collect();
    let [lenient, strict] = vigorl_text(&turns, truth).map_err(|error| format!("`{}`: {error}", line.id))?;
    Ok(Line {
        outcome: Some(Outcome::from(lenient)),
        is_right: Some(lenient == Correctness::Correct),
        is_right_strict: Some(strict == Correctness::Correct),
        ..line.clone()
    })
}

/// Whether a point lies in one of the item's regions.
fn holds(line: &Line, [x, y]: [f64; 2]) -> bool {
    line.regions().iter().any(|region| region.holds(Point::new(x, y)))
}

fn screenspot(line: &Line) -> Correctness {
    match line.point {
        Some(at) => Correctness::of(!line.is_absent && holds(line, at)),
        None if line.finding.as_deref() == Some("malformed") => Correctness::WrongFormat,
        // Nothing was pointed at on purpose.
        None => Correctness::of(line.is_absent),
    }
}

fn vigorl(line: &Line) -> Result<Correctness, String> {
    if line.turns.is_empty() {
        return Err(format!("`{}` has no words: no policy was asked", line.id));
    }
    let turns = final_turns(&line.turns);
    let turns: Vec<&str> = turns.iter().map(|turn| &**turn).collect();
    // The words decide on the format alone: the policy's pixels need not be those of the screenshot, but the point's are.
    let said = vigorl_grounding(&turns, ANY_BOX).map_err(|error| format!("`{}`: {error}", line.id))?;
    Ok(match said {
        Correctness::WrongFormat => Correctness::WrongFormat,
        Correctness::Correct | Correctness::Wrong => {
            Correctness::of(line.point.is_some_and(|at| !line.is_absent && holds(line, at)))
        }
    })
}

/// A box that can be read.
const ANY_BOX: &str = "(0, 0, 1, 1)";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(turns: &[(String, bool)], point: Option<[f64; 2]>) -> Line {
        let turns: Vec<_> = turns
            .iter()
            .map(|(text, is_given_up)| {
                serde_json::json!({
                    "text": text, "points": [], "n_prompt_tokens": 1, "n_tokens": 1, "millis": 1.0,
                    "is_given_up": is_given_up,
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "id": "a", "item": 0, "mode": "multi_turn", "outcome": "wrong", "instruction": "", "values": [],
            "targets": [[10.0, 20.0, 30.0, 40.0]], "is_answered": true, "point": point, "turns": turns,
            "finding": if point.is_some() { "found" } else { "malformed" },
        }))
        .unwrap()
    }

    fn under(judge: Rejudge, line: &Line) -> Outcome {
        judge.judge(line).unwrap().outcome.unwrap()
    }

    #[test]
    fn the_strict_judge_wants_whole_numbers_and_thoughts_in_every_turn() {
        let words = |words: &str| (words.to_owned(), false);
        let zoom = || words("<think> a (1, 2) </think><tool_call>{}</tool_call>");
        let say = |at: &str| words(&format!("<think> there (20, 30) </think><answer> {at} </answer>"));
        let at = |x| Some([x, 40.0]);
        let cases = [
            (vec![say("(30, 40)")], at(30.0), Outcome::Correct, Outcome::Correct),
            (vec![say("(30.5, 40)")], at(30.0), Outcome::WrongFormat, Outcome::Correct),
            (vec![zoom(), say("(31, 40)")], at(31.0), Outcome::Wrong, Outcome::Wrong),
            (vec![words("no thoughts"), say("(30, 40)")], at(30.0), Outcome::WrongFormat, Outcome::Correct),
            // What was given up is in no later conversation.
            (vec![(say("(1, 1)").0, true), say("(30, 40)")], at(30.0), Outcome::Correct, Outcome::Correct),
            (vec![words("it is there")], None, Outcome::WrongFormat, Outcome::WrongFormat),
        ];
        for (turns, point, strict, lenient) in cases {
            let line = line(&turns, point);
            assert_eq!(under(Rejudge::VigorlGrounding, &line), strict, "{turns:?}");
            assert_eq!(under(Rejudge::ScreenSpot, &line), lenient, "{turns:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_right_if_nothing_is_pointed_at() {
        let mut absent = line(&[("nothing".to_owned(), false)], None);
        (absent.is_absent, absent.finding, absent.targets) = (true, Some("absent".to_owned()), Vec::new());
        assert_eq!(under(Rejudge::ScreenSpot, &absent), Outcome::Correct);
        absent.point = Some([1.0, 1.0]);
        assert_eq!(under(Rejudge::ScreenSpot, &absent), Outcome::Wrong);
    }

    #[test]
    fn an_error_stays_one() {
        let mut failed = line(&[], None);
        failed.outcome = Some(Outcome::Error);
        assert_eq!(Rejudge::VigorlGrounding.judge(&failed).unwrap(), failed);
        failed.outcome = Some(Outcome::Wrong);
        assert!(Rejudge::VigorlGrounding.judge(&failed).unwrap_err().contains("no words"));
    }
}
