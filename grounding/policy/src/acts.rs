//! How turns end, piece by piece. Invariant: filled with whole numbers, each list of parts is what the grammar prints or
//! what a family was trained to write, and the grammar reads it; the tests of the forms hold both together.

use crate::grammar::AnswerForm;

/// A piece of the form behind the thought.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Text(&'static str),
    /// A whole number, along this axis.
    Number(usize),
    /// Words, and the closing tag.
    Words,
}

/// A zoom.
pub(crate) const CALL: [Part; 5] = [
    Part::Text("\n<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": ["),
    Part::Number(0),
    Part::Text(", "),
    Part::Number(1),
    Part::Text("]}}\n</tool_call>"),
];
/// An answer in words.
pub(crate) const WORDS: [Part; 2] = [Part::Text("\n<answer>"), Part::Words];

const POINT: [Part; 5] = [
    Part::Text("\n<answer> ("),
    Part::Number(0),
    Part::Text(", "),
    Part::Number(1),
    Part::Text(") </answer>"),
];
const BARE_POINT: [Part; 5] =
    [Part::Text("("), Part::Number(0), Part::Text(", "), Part::Number(1), Part::Text(")")];
const PAIR: [Part; 5] = [Part::Text("("), Part::Number(0), Part::Text(","), Part::Number(1), Part::Text(")")];
const CORNERS: [Part; 9] = [
    Part::Text("["),
    Part::Number(0),
    Part::Text(","),
    Part::Number(1),
    Part::Text(","),
    Part::Number(0),
    Part::Text(","),
    Part::Number(1),
    Part::Text("]"),
];
const CLICK: [Part; 5] = [
    Part::Text("Action: click(point='<point>"),
    Part::Number(0),
    Part::Text(" "),
    Part::Number(1),
    Part::Text("</point>')"),
];
const CLICK_JSON: [Part; 5] = [
    Part::Text("{\"action\": \"click_absolute\", \"x\": "),
    Part::Number(0),
    Part::Text(", \"y\": "),
    Part::Number(1),
    Part::Text("}"),
];
const POINTS_JSON: [Part; 5] = [
    Part::Text("\n[{\"point_2d\": ["),
    Part::Number(0),
    Part::Text(", "),
    Part::Number(1),
    Part::Text("]}]"),
];

/// An answer that is a point.
pub(crate) fn point_in_form(form: AnswerForm) -> &'static [Part] {
    match form {
        AnswerForm::Tagged => &POINT,
        AnswerForm::Bare => &BARE_POINT,
        AnswerForm::Pair => &PAIR,
        AnswerForm::Corners => &CORNERS,
        AnswerForm::Click => &CLICK,
        AnswerForm::ClickJson => &CLICK_JSON,
        AnswerForm::PointsJson => &POINTS_JSON,
    }
}

/// `parts` with these numbers, by axis, and without words.
pub(crate) fn filled(parts: &[Part], numbers: [u32; 2]) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Number(axis) => numbers[*axis].to_string(),
        Part::Words => String::new(),
    };
    parts.iter().map(text).collect()
}
