//! The form of a conversation with zooms: which tags follow each other, which calls it makes, and how far they are apart.
//!
//! Invariant: a conversation whose form is broken anywhere has no form, and no coordinates that count.
//! Source: grounded-rl@e7970c0, as summarised in the specification's sections 3.2 and 3.4.

use std::collections::BTreeMap;

use crate::answer::{in_any_case, tag_at};
use crate::integer::{Number, are_near, cell};
use crate::python::{is_finite_float, is_int, skip_spaces, strip};
use crate::reward::Mode;
use crate::toolcall;

/// What every coordinate but the first one is worth.
const WORTH_OF_A_COORDINATE: f64 = 0.2;
/// Zooms of a conversation, as the reference's turns allow: five turns, of which the last one answers.
const MOST_ZOOMS: usize = 4;
/// What distinct coordinates are worth at most in mode `fixed`, however many calls a response spells.
pub(crate) const MOST_DIVERSITY: f64 = worth(MOST_ZOOMS);

/// What the last turn must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A point in round brackets.
    Point,
    /// Any text.
    Text,
}

/// A conversation whose form is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Form {
    /// What its distinct coordinates are worth.
    pub(crate) diversity: f64,
    /// What they could be worth: all coordinates distinct.
    pub(crate) most: f64,
}

/// The form of a conversation; nothing if it has none.
pub(crate) fn form(text: &str, wanted: Wanted, mode: Mode) -> Option<Form> {
    let stripped = strip(text);
    let ends = stripped.strip_suffix("<|im_end|>").unwrap_or(stripped).ends_with("</answer>");
    if !ends || !is_in_order(text) {
        return None;
    }
    let calls =
        calls(text).into_iter().map(|json| toolcall::coordinate(json, mode)).collect::<Option<Vec<_>>>()?;
    let is_answered = match wanted {
        Wanted::Point => has_point(text, mode),
        Wanted::Text => in_any_case(text).is_some_and(|answer| !strip(answer).is_empty()),
    };
    is_answered.then(|| Form { diversity: worth(n_distinct(&calls)), most: worth(calls.len()) })
}

/// What so many distinct coordinates are worth.
const fn worth(n: usize) -> f64 {
    WORTH_OF_A_COORDINATE * n.saturating_sub(1) as f64
}

/// Whether the tags come in the one order that is allowed. What stands between them does not matter.
fn is_in_order(text: &str) -> bool {
    /// Names of the tags, each with the states from which and to which it leads. Of a state before an end tag there is one
    /// way on; behind the thoughts there are two.
    const STEPS: [(&str, usize, usize); 8] = [
        ("think>", 0, 1),
        ("/think>", 1, 2),
        ("tool_call>", 2, 3),
        ("/tool_call>", 3, 4),
        ("observation>", 4, 5),
        ("/observation>", 5, 0),
        ("answer>", 2, 6),
        ("/answer>", 6, 7),
    ];
    const END: usize = 7;
    let tag = |at: usize| STEPS.iter().find(|(name, ..)| tag_at(&text[at..], name).is_some());
    let mut state = 0;
    for (_, from, to) in text.match_indices('<').filter_map(|(at, _)| tag(at)) {
        if state != *from {
            return false;
        }
        state = *to;
    }
    state == END
}

/// The groups of all `<tool_call>\s*({.*?})\s*</tool_call>`, where `.` is every character.
fn calls(text: &str) -> Vec<&str> {
    const CALL: &str = "<tool_call>";
    const END_CALL: &str = "</tool_call>";
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(CALL) {
        rest = behind;
        let json = skip_spaces(behind);
        if !json.starts_with('{') {
            continue;
        }
        let end = json.match_indices('}').find(|(at, _)| skip_spaces(&json[at + 1..]).starts_with(END_CALL));
        // Without an end behind this call there is none behind a later one.
        let Some((end, _)) = end else { break };
        found.push(&json[..=end]);
        rest = &skip_spaces(&json[end + 1..])[END_CALL.len()..];
    }
    found
}

/// Whether some `<answer>\s*\(([^)]*)\)\s*</answer>` holds two whole numbers.
fn has_point(text: &str, mode: Mode) -> bool {
    let is_number = |text: &str| is_int(text) || (mode == Mode::Fixed && is_finite_float(text));
    text.match_indices("<answer>").any(|(at, tag)| {
        let inside = skip_spaces(&text[at + tag.len()..]).strip_prefix('(');
        let Some((inside, behind)) = inside.and_then(|inside| inside.split_once(')')) else { return false };
        let is_pair = || inside.split_once(',').is_some_and(|(x, y)| is_number(x) && is_number(y));
        skip_spaces(behind).starts_with("</answer>") && is_pair()
    })
}

/// How many coordinates are kept, in order, where one is left out that is near one that was kept.
fn n_distinct(coordinates: &[[Number; 2]]) -> usize {
    // Only what was kept in the cells around a coordinate can be near it: comparing with all would take time in squares.
    let mut kept: BTreeMap<[i64; 2], Vec<&[Number; 2]>> = BTreeMap::new();
    let mut n_kept = 0;
    for coordinate in coordinates {
        let [column, row] = cell(coordinate);
        let around = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| [column + dx, row + dy]));
        let mut near = around.filter_map(|cell| kept.get(&cell)).flatten();
        if !near.any(|other| are_near(coordinate, other)) {
            kept.entry([column, row]).or_default().push(coordinate);
            n_kept += 1;
        }
    }
    n_kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integer::Integer;

    #[test]
    fn tags_have_one_order() {
        assert!(is_in_order("a<think>b</think>c<answer>d</answer>e"));
        assert!(is_in_order(
            "<Think></THINK><tool_call></tool_call>user<observation></observation>assistant<think></think><answer></answer>"
        ));
        for text in [
            "",
            "<answer></answer>",
            "<think></think>",
            "<think></think><answer></answer><think>",
            "<think></think><tool_call></tool_call><think></think><answer></answer>",
            "<think><answer></think><answer></answer>",
            "<think></think><tool_call></tool_call><observation></observation><answer></answer>",
        ] {
            assert!(!is_in_order(text), "{text}");
        }
    }

    #[test]
    fn calls_with_braces_are_found() {
        let text = "<tool_call> {a}} </tool_call><tool_call>1,1</tool_call><tool_call>{b</tool_call>{c}\n</tool_call><tool_call>{d";
        assert_eq!(calls(text), ["{a}}", "{b</tool_call>{c}"]);
    }

    #[test]
    fn a_point_is_two_whole_numbers() {
        let has = |inside: &str, mode| has_point(&format!("<answer>\n{inside}\u{2003}</answer>"), mode);
        for point in ["(1, 2)", "( \u{665},1_0 )", "(+1,-2)", "(007,\n5)"] {
            assert!(has(point, Mode::Reference) && has(point, Mode::Fixed), "{point}");
        }
        for point in [
            "(1)",
            "(1, 2, 3)",
            "(1, 2,)",
            "(0x1, 2)",
            "(True, 2)",
            "(1, 2) x",
            "((1, 2))",
            "[1, 2]",
            "(1, )",
        ] {
            assert!(!has(point, Mode::Reference) && !has(point, Mode::Fixed), "{point}");
        }
        assert!(!has("(1.5, 2)", Mode::Reference) && has("(1.5, 2)", Mode::Fixed));
    }

    #[test]
    fn what_is_distinct_is_what_comparing_with_all_says() {
        let number = |text: &str| {
            let whole = Integer::of_digits(text.trim_start_matches('-'), 10);
            Number::Whole(if text.starts_with('-') { whole.negated() } else { whole })
        };
        let places = [
            "-11",
            "-9",
            "0",
            "9",
            "10",
            "19",
            "20",
            "9007199254740999",
            "9007199254741005",
            "99999999999999999999",
        ];
        let floats = [-0.5, 9.75, 1e300].map(Number::Float);
        let numbers: Vec<Number> = places.iter().map(|place| number(place)).chain(floats).collect();
        let pairs = numbers.iter().flat_map(|x| numbers.iter().map(|y| [x.clone(), y.clone()]));
        let coordinates: Vec<[Number; 2]> = pairs.collect();
        let mut kept: Vec<&[Number; 2]> = Vec::new();
        for coordinate in &coordinates {
            if !kept.iter().any(|other| are_near(coordinate, other)) {
                kept.push(coordinate);
            }
        }
        assert_eq!(n_distinct(&coordinates), kept.len());
    }

    #[test]
    fn the_end_is_an_answer() {
        let text = "<think>a</think><answer>b</answer>";
        let is_form = |text: &str| form(text, Wanted::Text, Mode::Reference).is_some();
        assert!(is_form(text) && is_form(&format!("{text}<|im_end|>\n")));
        assert!(!is_form(&format!("{text} <|im_end|>")) && !is_form(&format!("{text}.")));
        assert!(!is_form("<think>a</think><answer> \n</answer>"));
        assert!(
            !is_form("<think>a</think><answer>b</ANSWER>") && is_form("<think>a</think><ANSWER>b</answer>")
        );
    }
}
