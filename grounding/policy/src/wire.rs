//! The literals of the protocol. Invariant: every byte that the weights were trained on is written down once, here.
//!
//! Source: grounded-rl@e7970c0 as summarised in the specification's sections 1.1 and 1.2.

use vigorl_geometry::{Point, Screen};

use crate::grammar::Coordinate;

/// Opens a thought.
pub const THINK_OPEN: &str = "<think>";
/// Closes a thought.
pub const THINK_CLOSE: &str = "</think>";
/// Opens the final answer.
pub const ANSWER_OPEN: &str = "<answer>";
/// Closes the final answer.
pub const ANSWER_CLOSE: &str = "</answer>";
/// Opens a tool call.
pub const TOOL_CALL_OPEN: &str = "<tool_call>";
/// Closes a tool call.
pub const TOOL_CALL_CLOSE: &str = "</tool_call>";
/// Name of the one tool, which shows a crop.
pub const ZOOM_TOOL: &str = "search_coordinate";

/// A completion ends after any of these; the end-of-turn token is the engine's own business.
pub const STOP_STRINGS: [&str; 2] = [TOOL_CALL_CLOSE, ANSWER_CLOSE];

/// With this text the policy is made to answer when it may not zoom again.
pub const FORCED_FINAL_PREFIX: &str = "<think> Based on all the information I've gathered, I'll now provide my final answer. </think>\n<answer>";

/// Opens a message of the policy.
pub const ASSISTANT_OPEN: &str = "<|im_start|>assistant\n";
/// Ends a message.
pub const IM_END: &str = "<|im_end|>";
/// Opens an image.
pub const VISION_START: &str = "<|vision_start|>";
/// Stands for one image; the engine repeats it once per merged patch.
pub const IMAGE_PAD: &str = "<|image_pad|>";
/// Closes an image.
pub const VISION_END: &str = "<|vision_end|>";

const LEAD: &str = "Here is the crop of the image centered on the coordinate:";
const LEAD_WITH_DOT: &str =
    "Here is the crop of the image centered on the coordinate, with a red dot at the coordinate location:";

/// Whether the zoomed point is marked in the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dot {
    /// A red dot with a white rim.
    Draw,
    /// The bare crop.
    Omit,
}

/// How the message around a crop is spelled. The reference spells it in five ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The RL rollouts: what RL-trained multi-turn weights saw last. No newline before the closing tag.
    Rollout,
    /// The data of the supervised warm start.
    SupervisedData,
    /// An RL rollout path that no longer runs: always speaks of a dot.
    RetiredRollout,
    /// The evaluation: no newline before the image, never speaks of a dot.
    Evaluation,
    /// The demo: the image follows the closing tag, never speaks of a dot.
    Demo,
}

impl Observation {
    /// All spellings.
    pub const ALL: [Self; 5] =
        [Self::Rollout, Self::SupervisedData, Self::RetiredRollout, Self::Evaluation, Self::Demo];

    /// The text before and after the image.
    pub fn around_image(self, dot: Dot) -> (String, &'static str) {
        let drawn_lead = match dot {
            Dot::Draw => LEAD_WITH_DOT,
            Dot::Omit => LEAD,
        };
        match self {
            Self::Rollout => (format!("<observation>\n{drawn_lead}\n"), "</observation>"),
            Self::SupervisedData => (format!("<observation>\n{drawn_lead}\n"), "\n</observation>"),
            Self::RetiredRollout => (format!("<observation>\n{LEAD_WITH_DOT}\n"), "\n</observation>"),
            Self::Evaluation => (format!("<observation>\n{LEAD}"), "\n</observation>"),
            Self::Demo => (format!("<observation>\n{LEAD}\n</observation>"), ""),
        }
    }
}

/// What a policy is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'a> {
    /// What is to be found or done.
    pub instruction: &'a str,
    /// What was done before for the same goal, a line for each action.
    pub earlier: &'a [String],
    /// Texts on the screen that stand in the instruction, for a policy that is told what it cannot read.
    pub read: &'a [ReadText],
}

/// A text on the screen and its middle.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadText {
    /// The text.
    pub text: String,
    /// In screenshot pixels.
    pub at: Point<Screen>,
}

/// The same in the numbers that a policy writes, whole ones.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenText {
    /// The text.
    pub text: String,
    /// Its middle.
    pub at: Coordinate,
}

impl Question<'_> {
    /// As it is asked where a family has no form of its own for it: the instruction, below it what was read, and what was
    /// done before. `read` is [`Self::read`] in the numbers that the policy writes.
    pub fn in_words(&self, read: &[WrittenText]) -> String {
        let mut text = self.instruction.to_owned();
        for WrittenText { text: read, at } in read {
            text.push_str(&format!("\n{read} {at}"));
        }
        if !self.earlier.is_empty() {
            text.push_str("\n\nPREVIOUS ACTIONS:");
        }
        for (n, line) in (1..).zip(self.earlier) {
            text.push_str(&format!("\n{n}. {line}"));
        }
        text
    }
}

impl<'a> From<&'a str> for Question<'a> {
    fn from(instruction: &'a str) -> Self {
        Self { instruction, earlier: &[], read: &[] }
    }
}

impl<'a> From<&'a String> for Question<'a> {
    fn from(instruction: &'a String) -> Self {
        Self::from(instruction.as_str())
    }
}

/// The question of a web-action policy: the goal and what was done so far, in words.
///
/// The screenshot given along must already carry the set-of-marks boxes.
pub fn web_action_query(objective: &str, previous_actions: &[String]) -> String {
    let numbered: Vec<String> =
        previous_actions.iter().zip(1..).map(|(action, n)| format!("{n}. {action}")).collect();
    format!("OBJECTIVE: {objective}\n\nPREVIOUS ACTIONS: \n{}\n\nIMAGE:\n", numbered.join("\n"))
}

/// `words` with what stands for the instruction and for the size that the network sees; what is filled in is not looked at
/// again, whatever it says.
pub(crate) fn filled_in(words: &str, instruction: &str, (width, height): (u32, u32)) -> String {
    let values = [
        ("{instruction}", instruction.to_owned()),
        ("{width}", width.to_string()),
        ("{height}", height.to_string()),
    ];
    let (mut out, mut rest) = (String::with_capacity(words.len() + instruction.len()), words);
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        out.push_str(before);
        match values.iter().find_map(|(name, value)| Some((value, tail.strip_prefix(name)?))) {
            Some((value, behind)) => {
                out.push_str(value);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_family_left_open_is_filled_in() {
        let said =
            filled_in("{{width}}x{height} {\"a\": {instruction}} {", "the {width} {instruction}", (640, 480));
        assert_eq!(said, "{640}x480 {\"a\": the {width} {instruction}} {");
    }
}
