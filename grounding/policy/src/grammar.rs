//! Reads and writes one assistant turn: thoughts, then a zoom or an answer.
//!
//! Invariants: any text parses, what is malformed is a value with a reason; `parse(print(parse(x)))` equals
//! `parse(x)`; every coordinate is finite. Coordinates are as written: [`crate::View`] gives them a space.
//!
//! Rules, from the evaluation loop of grounded-rl@e7970c0 (specification, section 1.9):
//! - the first `<answer>` decides, wherever it stands; it may lack its closing tag;
//! - else the first `<tool_call>` decides; its tool name is not checked, as in the reference;
//! - a thought without a closing tag ends where an answer or a tool call begins.
//!
//! We differ in one way: tags inside a closed thought are text of the thought.
//!
//! Families that know nothing of this protocol ([`AnswerForm::has_protocol_tags`]) say their answer behind the last
//! thought, or at once.

use std::fmt;
use std::ops::Range;

pub use crate::answer::AnswerForm;
use crate::answer::{coordinates_in, of_json};
use crate::wire::{
    ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, TOOL_CALL_CLOSE, TOOL_CALL_OPEN, ZOOM_TOOL,
};

/// A pair of numbers as the policy wrote them, before they get a space. Always finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinate {
    /// The first number.
    pub x: f64,
    /// The second number.
    pub y: f64,
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.x, self.y)
    }
}

/// One `<think>` block.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenThought {
    /// What is between the tags, trimmed.
    pub text: String,
    /// Every `(x, y)` in it, in order.
    pub points: Vec<Coordinate>,
}

impl WrittenThought {
    /// A thought of the given text.
    pub fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        Self { points: coordinates_in(&text), text }
    }
}

/// What a turn does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Asks for a crop around a coordinate.
    Zoom(Coordinate),
    /// Ends the episode.
    Answer {
        /// The answer, trimmed and not empty.
        text: String,
        /// The answer as a coordinate, if the whole of it is one.
        point: Option<Coordinate>,
        /// How it was written.
        form: AnswerForm,
    },
    /// Neither can be read.
    Malformed {
        /// Why.
        reason: Malformed,
        /// The whole completion, unchanged.
        raw: String,
    },
}

/// Why a completion, or the answer in it, cannot be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Malformed {
    /// Nothing was said.
    Empty,
    /// There is neither an answer nor a tool call.
    NoAction,
    /// The answer is empty.
    EmptyAnswer,
    /// The tool call has no closing tag.
    UnclosedToolCall,
    /// The tool call is not JSON.
    ToolCallNotJson,
    /// `arguments.coordinate` of the tool call is not a list of two numbers.
    ToolCallWithoutCoordinate,
    /// A zoom where only an answer is allowed.
    ZoomInsteadOfAnswer,
    /// A point was asked for and the answer is something else.
    AnswerNotAPoint,
    /// The answer lies outside the screenshot. The numbers are as written.
    AnswerOutside(Coordinate),
    /// The turns and crops so far no longer fit into the policy's context.
    OutgrewContext {
        /// Tokens of the conversation.
        n_tokens: usize,
        /// Tokens the policy takes.
        limit: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the completion is empty",
            Self::NoAction => "there is neither an answer nor a tool call",
            Self::EmptyAnswer => "the answer is empty",
            Self::UnclosedToolCall => "the tool call has no closing tag",
            Self::ToolCallNotJson => "the tool call is not JSON",
            Self::ToolCallWithoutCoordinate => "the tool call has no coordinate of two numbers",
            Self::ZoomInsteadOfAnswer => "a zoom where only an answer is allowed",
            Self::AnswerNotAPoint => "the answer is not a point",
            Self::AnswerOutside(point) => return write!(f, "the answer {point} is outside the screenshot"),
            Self::OutgrewContext { n_tokens, limit } => {
                return write!(
                    f,
                    "the conversation has grown to {n_tokens} tokens, the policy takes {limit}"
                );
            }
        })
    }
}

/// One assistant turn, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The thoughts up to the answer, in order.
    pub thoughts: Vec<WrittenThought>,
    /// What the turn does.
    pub action: Action,
}

impl Reply {
    /// A turn that thinks once and then zooms.
    pub fn zoom(thought: &str, point: Coordinate) -> Self {
        Self { thoughts: vec![WrittenThought::new(thought)], action: Action::Zoom(point) }
    }

    /// A turn that thinks once and then answers.
    ///
    /// # Panics
    /// If the answer is empty: no turn says that.
    pub fn answer(thought: &str, answer: &str) -> Self {
        let text = answer.trim().to_owned();
        assert!(!text.is_empty(), "an answer has text");
        let form = AnswerForm::Tagged;
        let action = Action::Answer { point: form.point_in(&text), text, form };
        Self { thoughts: vec![WrittenThought::new(thought)], action }
    }
}

/// The turn as the weights were trained to write it; a malformed one is returned unchanged.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Action::Malformed { raw, .. } = &self.action {
            return f.write_str(raw);
        }
        for thought in &self.thoughts {
            writeln!(f, "{THINK_OPEN} {} {THINK_CLOSE}", thought.text)?;
        }
        match &self.action {
            Action::Zoom(Coordinate { x, y }) => write!(
                f,
                "{TOOL_CALL_OPEN}\n{{\"name\": \"{ZOOM_TOOL}\", \"arguments\": {{\"coordinate\": [{x}, {y}]}}}}\n{TOOL_CALL_CLOSE}"
            ),
            Action::Answer { text, form: AnswerForm::Tagged, .. } => {
                write!(f, "{ANSWER_OPEN} {text} {ANSWER_CLOSE}")
            }
            Action::Answer { text, .. } => f.write_str(text),
            Action::Malformed { .. } => Ok(()),
        }
    }
}

/// Reads one assistant turn, the forced prefix included.
pub fn parse(text: &str, form: AnswerForm) -> Reply {
    let layout = Layout::of(text, form);
    let thoughts = layout.thoughts.iter().map(|range| WrittenThought::new(&text[range.clone()])).collect();
    let action = match (layout.answer, layout.tool_call) {
        (Some(range), _) => answer_action(&text[range], layout.form),
        (None, Some(ToolCall::Closed(range))) => zoom_target(&text[range]).map(Action::Zoom),
        (None, Some(ToolCall::Unclosed)) => Err(Malformed::UnclosedToolCall),
        (None, None) if text.trim().is_empty() => Err(Malformed::Empty),
        (None, None) => Err(Malformed::NoAction),
    };
    let action = action.unwrap_or_else(|reason| Action::Malformed { reason, raw: text.to_owned() });
    Reply { thoughts, action }
}

/// Where the answer stands in `text`, in bytes and without the space around it.
pub fn answer_range(text: &str, form: AnswerForm) -> Option<Range<usize>> {
    let range = Layout::of(text, form).answer?;
    let inner = &text[range.clone()];
    let start = range.start + (inner.len() - inner.trim_start().len());
    let trimmed = inner.trim();
    (!trimmed.is_empty()).then_some(start..start + trimmed.len())
}

enum ToolCall {
    Closed(Range<usize>),
    Unclosed,
}

/// Where the pieces of a completion stand.
struct Layout {
    thoughts: Vec<Range<usize>>,
    tool_call: Option<ToolCall>,
    answer: Option<Range<usize>>,
    form: AnswerForm,
}

impl Layout {
    fn of(text: &str, form: AnswerForm) -> Self {
        if form.has_protocol_tags() {
            Self::in_protocol(text, form)
        } else {
            Self::behind_thoughts(text, form)
        }
    }

    fn behind_thoughts(text: &str, form: AnswerForm) -> Self {
        let mut layout = Self { thoughts: Vec::new(), tool_call: None, answer: None, form };
        let mut at = 0;
        while let Some((tag, open)) = first_of(text, at, &[THINK_OPEN]) {
            let inner = open + tag.len();
            let Some(len) = text[inner..].find(THINK_CLOSE) else {
                layout.thoughts.push(inner..text.len());
                return layout;
            };
            layout.thoughts.push(inner..inner + len);
            at = inner + len + THINK_CLOSE.len();
        }
        at += form.lead(&text[at..]);
        layout.answer = (!text[at..].trim().is_empty()).then_some(at..text.len());
        layout
    }

    fn in_protocol(text: &str, form: AnswerForm) -> Self {
        let mut layout =
            Self { thoughts: Vec::new(), tool_call: None, answer: None, form: AnswerForm::Tagged };
        let mut at = 0;
        while let Some((tag, open)) = first_of(text, at, &[THINK_OPEN, TOOL_CALL_OPEN, ANSWER_OPEN]) {
            let inner = open + tag.len();
            let closed = |close: &str| text[inner..].find(close).map(|len| inner + len);
            match tag {
                THINK_OPEN => {
                    let end = closed(THINK_CLOSE)
                        .or_else(|| first_of(text, inner, &[TOOL_CALL_OPEN, ANSWER_OPEN]).map(|(_, end)| end))
                        .unwrap_or(text.len());
                    layout.thoughts.push(inner..end);
                    at = end;
                }
                TOOL_CALL_OPEN => {
                    let end = closed(TOOL_CALL_CLOSE);
                    let call = end.map_or(ToolCall::Unclosed, |end| ToolCall::Closed(inner..end));
                    layout.tool_call.get_or_insert(call);
                    at = end.unwrap_or(inner);
                }
                _ => {
                    layout.answer = Some(inner..closed(ANSWER_CLOSE).unwrap_or(text.len()));
                    return layout;
                }
            }
        }
        let untagged = layout.thoughts.is_empty() && layout.tool_call.is_none();
        if form == AnswerForm::Bare && untagged && !text.trim().is_empty() {
            layout.answer = Some(0..text.len());
            layout.form = AnswerForm::Bare;
        }
        layout
    }
}

/// The first of `tags` in `text` from byte `at` on.
fn first_of(text: &str, at: usize, tags: &[&'static str]) -> Option<(&'static str, usize)> {
    let found = tags.iter().filter_map(|tag| text[at..].find(tag).map(|offset| (*tag, at + offset)));
    found.min_by_key(|(_, position)| *position)
}

fn answer_action(inner: &str, form: AnswerForm) -> Result<Action, Malformed> {
    let text = inner.trim();
    if text.is_empty() {
        return Err(Malformed::EmptyAnswer);
    }
    Ok(Action::Answer { text: text.to_owned(), point: form.point_in(text), form })
}

fn zoom_target(json: &str) -> Result<Coordinate, Malformed> {
    let call: serde_json::Value =
        serde_json::from_str(json.trim()).map_err(|_| Malformed::ToolCallNotJson)?;
    let coordinate = call["arguments"]["coordinate"].as_array().map(Vec::as_slice);
    let Some([x, y]) = coordinate else { return Err(Malformed::ToolCallWithoutCoordinate) };
    of_json(x, y).ok_or(Malformed::ToolCallWithoutCoordinate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64) -> Coordinate {
        Coordinate { x, y }
    }

    #[track_caller]
    fn check(text: &str, thoughts: &[(&str, &[Coordinate])], action: Action) {
        let thoughts = thoughts
            .iter()
            .map(|(text, points)| WrittenThought { text: (*text).to_owned(), points: points.to_vec() })
            .collect();
        assert_eq!(parse(text, AnswerForm::Tagged), Reply { thoughts, action });
    }

    fn point(text: &str, x: f64, y: f64) -> Action {
        Action::Answer { text: text.to_owned(), point: Some(at(x, y)), form: AnswerForm::Tagged }
    }

    fn words(text: &str) -> Action {
        Action::Answer { text: text.to_owned(), point: None, form: AnswerForm::Tagged }
    }

    #[track_caller]
    fn malformed(text: &str, expected: Malformed) {
        let reply = parse(text, AnswerForm::Tagged);
        assert_eq!(reply.action, Action::Malformed { reason: expected, raw: text.to_owned() });
        assert_eq!(reply.to_string(), text);
    }

    const ZOOM: &str = "<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [12, 34]}}\n</tool_call>";

    #[test]
    fn trained_turns_are_read_and_written_byte_for_byte() {
        for text in [
            "<think> see (5, 6) </think>\n<answer> (10, 10) </answer>".to_owned(),
            format!("<think> see (5, 6) </think>\n{ZOOM}"),
            "<think> a </think>\n<think> b </think>\n<answer> click [12] </answer>".to_owned(),
        ] {
            assert_eq!(parse(&text, AnswerForm::Tagged).to_string(), text);
        }
        assert_eq!(
            Reply::zoom("see (5, 6)", at(12.0, 34.0)).to_string(),
            format!("<think> see (5, 6) </think>\n{ZOOM}")
        );
        assert_eq!(Reply::answer("x", "(1, 2)").to_string(), "<think> x </think>\n<answer> (1, 2) </answer>");
    }

    #[test]
    fn all_points_of_a_thought_are_found() {
        check(
            "<think>from (1, 2) by ( 3.5 ,4.) and (-5,6) to (7), (8, 9, 10), f((11, 12)) (x, 1)</think><answer>a</answer>",
            &[(
                "from (1, 2) by ( 3.5 ,4.) and (-5,6) to (7), (8, 9, 10), f((11, 12)) (x, 1)",
                &[at(1.0, 2.0), at(3.5, 4.0), at(-5.0, 6.0), at(11.0, 12.0)],
            )],
            words("a"),
        );
    }

    #[test]
    fn an_answer_is_a_point_only_as_a_whole() {
        check("<answer> (12, 34.5) </answer>", &[], point("(12, 34.5)", 12.0, 34.5));
        check("<answer>[12, 34]</answer>", &[], point("[12, 34]", 12.0, 34.0));
        check("<answer>12, 34", &[], point("12, 34", 12.0, 34.0));
        check("<answer>\n(0, 0)\n</answer> trailing", &[], point("(0, 0)", 0.0, 0.0));
        for text in
            ["at (12, 34)", "(12, 34", "(12, 34]", "(1, 2, 3)", "(nan, 1)", "(inf, 1)", "(1e3, 2)", "(é, 1)"]
        {
            check(&format!("<answer> {text} </answer>"), &[], words(text));
        }
    }

    #[test]
    fn an_answer_wins_over_a_tool_call() {
        check(&format!("{ZOOM}<think>b</think><answer>c</answer>"), &[("b", &[])], words("c"));
    }

    #[test]
    fn only_the_first_tool_call_counts() {
        let second = ZOOM.replace("12", "56");
        check(&format!("<think>a</think>{ZOOM}{second}"), &[("a", &[])], Action::Zoom(at(12.0, 34.0)));
    }

    #[test]
    fn the_tool_name_is_not_checked() {
        check(&ZOOM.replace("search_coordinate", "zoom"), &[], Action::Zoom(at(12.0, 34.0)));
    }

    #[test]
    fn tags_inside_a_closed_thought_are_text() {
        check("<think>no <answer> yet</think><answer>a</answer>", &[("no <answer> yet", &[])], words("a"));
    }

    #[test]
    fn an_unclosed_thought_ends_at_the_action() {
        check("<think>look (1, 2)<answer>a</answer>", &[("look (1, 2)", &[at(1.0, 2.0)])], words("a"));
    }

    #[test]
    fn what_cannot_be_used_has_a_reason() {
        malformed("", Malformed::Empty);
        malformed(" \n", Malformed::Empty);
        malformed("hello (1, 2)", Malformed::NoAction);
        malformed("<think> for ever", Malformed::NoAction);
        malformed("<think>a</think><answer>  </answer>", Malformed::EmptyAnswer);
        malformed("<tool_call>\n{\"name\": ", Malformed::UnclosedToolCall);
        malformed("<tool_call>100,100</tool_call>", Malformed::ToolCallNotJson);
        for coordinate in ["[1]", "[1, 2, 3]", "[\"1\", 2]", "[true, 2]", "7", "null"] {
            let call = format!("<tool_call>{{\"arguments\": {{\"coordinate\": {coordinate}}}}}</tool_call>");
            malformed(&call, Malformed::ToolCallWithoutCoordinate);
        }
        malformed("<tool_call>[1, 2]</tool_call>", Malformed::ToolCallWithoutCoordinate);
    }

    #[test]
    fn a_bare_completion_is_an_answer_only_in_the_bare_form() {
        let reply = parse("(10, 20)\n", AnswerForm::Bare);
        let point = Some(at(10.0, 20.0));
        assert_eq!(
            reply.action,
            Action::Answer { text: "(10, 20)".to_owned(), point, form: AnswerForm::Bare }
        );
        assert_eq!(reply.to_string(), "(10, 20)");
        assert_eq!(parse("<answer>a</answer>", AnswerForm::Bare).action, words("a"));
        malformed("(10, 20)", Malformed::NoAction);
    }

    #[test]
    fn other_families_answer_behind_their_thoughts() {
        let read = |text: &str, form| parse(text, form);
        let text = "<think> at (9, 9) </think>\n[{\"point_2d\": [3, 4]}]";
        let reply = read(text, AnswerForm::PointsJson);
        assert_eq!(
            reply.thoughts,
            [WrittenThought { text: "at (9, 9)".to_owned(), points: vec![at(9.0, 9.0)] }]
        );
        let answer = Action::Answer {
            text: "[{\"point_2d\": [3, 4]}]".to_owned(),
            point: Some(at(3.0, 4.0)),
            form: AnswerForm::PointsJson,
        };
        assert_eq!((&reply.action, reply.to_string()), (&answer, text.to_owned()));
        // What comes behind the last thought counts, and tags of the protocol are text there.
        let reply = read("(5,6) <think>a</think> <answer> (3, 4)", AnswerForm::Pair);
        assert!(
            matches!(&reply.action, Action::Answer { text, .. } if text == "<answer> (3, 4)"),
            "{reply:?}"
        );
        let reply = read("Thought: I see it.\nAction: click(start_box='(3,4)')", AnswerForm::Click);
        assert!(
            matches!(&reply.action, Action::Answer { text, .. } if text == "click(start_box='(3,4)')"),
            "{reply:?}"
        );
        for (text, reason) in [
            (" \n", Malformed::Empty),
            ("<think> for ever (3,4)", Malformed::NoAction),
            ("<think>a</think>\n", Malformed::NoAction),
        ] {
            for form in AnswerForm::ALL.into_iter().filter(|form| !form.has_protocol_tags()) {
                assert_eq!(
                    read(text, form).action,
                    Action::Malformed { reason, raw: text.to_owned() },
                    "{form:?}"
                );
            }
        }
        assert_eq!(
            read("Action: ", AnswerForm::Click).action,
            Action::Malformed { reason: Malformed::NoAction, raw: "Action: ".to_owned() }
        );
    }

    #[test]
    fn the_answer_is_located_without_the_space_around_it() {
        let text = "<think> a </think>\n<answer> (1, 2) </answer>";
        assert_eq!(&text[answer_range(text, AnswerForm::Tagged).unwrap()], "(1, 2)");
        assert_eq!(answer_range(" (1, 2)\n", AnswerForm::Bare), Some(1..7));
        assert_eq!(answer_range("<answer> ", AnswerForm::Tagged), None);
        assert_eq!(answer_range(ZOOM, AnswerForm::Tagged), None);
    }
}
