//! How a policy looks: what the record itself says, and what a judge that reads its words says.
//!
//! Invariants: what is counted of points needs no judge; what a judge says is data, and a reply without a number is counted apart
//! and is in no mean.
//! Source: the four behaviours of ViGoRL's analysis (specification, section 8: behaviour analysis), in words of our own.

use serde::Serialize;
use vigorl_policy::{Conversation, Message, Part, Role};

use crate::line::Line;

/// Points that are closer than this, in pixels of the screenshot, are one region: the distance that ViGoRL's reward pays for.
const REGION_PX: f64 = 10.0;

/// What is counted of lines, each a mean over items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Looks {
    /// Turns.
    pub turns: f64,
    /// Points that thoughts named.
    pub points: f64,
    /// Points and zooms that are no closer than ten pixels to an earlier one.
    pub regions: f64,
    /// Crops that were shown.
    pub zooms: f64,
    /// Tokens that were said, where they are told.
    pub tokens: f64,
}

impl Looks {
    /// Of lines that are no errors; nothing if there are none.
    pub fn of(lines: &[&Line]) -> Option<Self> {
        let lines: Vec<&&Line> = lines.iter().filter(|line| !line.is_error()).collect();
        let mean = |count: &dyn Fn(&Line) -> usize| {
            lines.iter().map(|line| count(line) as f64).sum::<f64>() / lines.len() as f64
        };
        (!lines.is_empty()).then(|| Self {
            turns: mean(&|line| line.turns.len()),
            points: mean(&|line| line.turns.iter().map(|turn| turn.points.len()).sum()),
            regions: mean(&regions),
            zooms: mean(&Line::n_zooms),
            tokens: mean(&|line| line.turns.iter().map(|turn| turn.n_tokens).sum()),
        })
    }
}

/// How many regions the thoughts and zooms of an item looked at.
fn regions(line: &Line) -> usize {
    let mut seen: Vec<[f64; 2]> = Vec::new();
    for at in line.turns.iter().flat_map(|turn| turn.points.iter().chain(&turn.zoom)) {
        let is_close = |one: &[f64; 2]| (one[0] - at[0]).hypot(one[1] - at[1]) < REGION_PX;
        if !seen.iter().any(is_close) {
            seen.push(*at);
        }
    }
    seen.len()
}

/// A behaviour that a judge counts in the words of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Its name in records.
    pub name: &'static str,
    /// What the judge is asked to count.
    asked: &'static str,
}

/// All of them.
pub const BEHAVIOURS: [Behaviour; 4] = [
    Behaviour {
        name: "regions",
        asked: "different places of the picture that are described or pointed at; a place that is named twice counts once",
    },
    Behaviour {
        name: "subgoals",
        asked: "steps that are planned before they are taken, such as `first I look for the menu` or `next I compare both`",
    },
    Behaviour {
        name: "verification",
        asked: "times that something is checked or confirmed after it was found, such as `this is indeed the save button`",
    },
    Behaviour {
        name: "backtracking",
        asked: "times that an earlier view is given up or revised, such as `no, that is the wrong one, I look elsewhere`",
    },
];

impl Behaviour {
    /// What the judge is asked about an item; nothing if nothing was said.
    pub fn question(self, line: &Line) -> Option<Conversation> {
        let words: Vec<&str> = line.turns.iter().map(|turn| &*turn.text).collect();
        if words.is_empty() {
            return None;
        }
        let text = format!(
            "Someone thought aloud about a picture. Count in the text below: {}.\nReply with the number alone, between tags: \
             <count>0</count> if there are none.\n\nThe task was: {}\n\nThe text:\n{}",
            self.asked,
            line.instruction,
            words.join("\n")
        );
        let message = Message { role: Role::User, parts: vec![Part::Text(text)] };
        Some(Conversation { messages: vec![message], forced_prefix: None })
    }

    /// The number in a judge's reply.
    pub fn count(reply: &str) -> Option<u64> {
        let (_, rest) = reply.rsplit_once("<count>")?;
        rest.split_once("</count>")?.0.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[&[[f64; 2]]], outcome: &str) -> Line {
        let turns: Vec<_> = points
            .iter()
            .map(|points| {
                serde_json::json!({ "text": "I look", "points": points, "n_prompt_tokens": 1, "n_tokens": 4, "millis": 1.0 })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "id": "a", "item": 0, "mode": "multi_turn", "outcome": outcome, "instruction": "the dog", "values": [],
            "targets": [], "is_answered": true, "turns": turns,
        }))
        .unwrap()
    }

    #[test]
    fn regions_are_points_that_are_apart() {
        let one = line(&[&[[0.0, 0.0], [6.0, 7.9]], &[[6.0, 8.0], [100.0, 0.0]]], "correct");
        assert_eq!(regions(&one), 3, "ten pixels are apart");
        let failed = line(&[&[[0.0, 0.0]]], "error");
        let looks = Looks::of(&[&one, &failed]).unwrap();
        assert_eq!((looks.turns, looks.points, looks.regions, looks.tokens), (2.0, 4.0, 3.0, 8.0));
        assert_eq!(Looks::of(&[&failed]), None);
    }

    #[test]
    fn a_reply_without_a_number_is_none() {
        for (reply, expected) in [
            ("<count>3</count>", Some(3)),
            ("I see two: <count> 2 </count>.", Some(2)),
            ("<count>1</count> no, <count>4</count>", Some(4)),
            ("three", None),
            ("<count>many</count>", None),
            ("<count>-1</count>", None),
            ("<count>3", None),
        ] {
            assert_eq!(Behaviour::count(reply), expected, "{reply}");
        }
    }

    #[test]
    fn the_judge_is_asked_about_what_was_said() {
        let question = BEHAVIOURS[2].question(&line(&[&[]], "wrong")).unwrap();
        let text = question.messages[0].parts[0].text().unwrap();
        assert!(text.contains("the dog") && text.ends_with("The text:\nI look"), "{text}");
        assert!(BEHAVIOURS[0].question(&line(&[], "wrong")).is_none());
    }
}
