//! How families write a final answer, and which point it means.
//!
//! Invariants: any text is read without an error, and what is not written in the asked form has no point; every point is
//! finite. One family's form is one name here, not a parser of its own: all of them are lists of numbers in brackets, or
//! JSON, inside the words around them.

use serde_json::Value;

use crate::grammar::Coordinate;
use crate::wire::STOP_STRINGS;

/// How a final answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Inside `<answer>` tags.
    Tagged,
    /// A completion without any tag is the answer itself: models that were not trained on the protocol.
    Bare,
    /// `(x,y)`: the first pair in what is said counts.
    Pair,
    /// `[x1,y1,x2,y2]`: the middle of the first box counts.
    Corners,
    /// `Action: click(point='<point>x y</point>')`, or `click(start_box='(x,y)')`.
    Click,
    /// `{"action": "click_absolute", "x": 1, "y": 2}`.
    ClickJson,
    /// `[{"point_2d": [x, y]}, …]`, best first, behind a thought.
    PointsJson,
}

impl AnswerForm {
    /// All forms.
    pub const ALL: [Self; 7] =
        [Self::Tagged, Self::Bare, Self::Pair, Self::Corners, Self::Click, Self::ClickJson, Self::PointsJson];

    /// Whether turns are written in the tags of ViGoRL, so that they may zoom; in every other form what is said behind the
    /// thoughts is the answer, and tags of the protocol are text of it.
    pub fn has_protocol_tags(self) -> bool {
        matches!(self, Self::Tagged | Self::Bare)
    }

    /// Texts that end a completion, beside the token that ends the turn.
    pub fn stop_strings(self) -> &'static [&'static str] {
        if self.has_protocol_tags() { &STOP_STRINGS } else { &[] }
    }

    /// Length of what stands in front of the answer behind the thoughts, in bytes.
    pub(crate) fn lead(self, text: &str) -> usize {
        const ACTION: &str = "Action:";
        match self {
            Self::Click => text.rfind(ACTION).map_or(0, |at| at + ACTION.len()),
            _ => 0,
        }
    }

    /// The point of the answer `text`, without the space around it.
    pub(crate) fn point_in(self, text: &str) -> Option<Coordinate> {
        match self {
            Self::Tagged | Self::Bare => coordinate_alone(text),
            Self::Pair => lists_in(text, ['(', ')']).find_map(|list| pair(&list)),
            Self::Corners => lists_in(text, ['[', ']']).find_map(|list| middle(&list)),
            Self::Click => click_target(text),
            Self::ClickJson => click_in_json(text),
            Self::PointsJson => first_of_points(text),
        }
    }
}

/// The whole of `text` as `(x, y)`, `[x, y]` or `x, y`: what the reference's judge takes for a point.
fn coordinate_alone(text: &str) -> Option<Coordinate> {
    let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let alone = inner('(', ')').or_else(|| inner('[', ']')).unwrap_or(text);
    let (list, rest) = numbers(alone, ',');
    pair(&list).filter(|_| rest.trim_start().is_empty())
}

/// Every `(x, y)` in `text`.
pub(crate) fn coordinates_in(text: &str) -> Vec<Coordinate> {
    lists_in(text, ['(', ')']).filter_map(|list| pair(&list)).collect()
}

/// What a click is aimed at. Another action than a click has no point: where it would be done is not what was asked.
fn click_target(text: &str) -> Option<Coordinate> {
    let (name, aim) = text.split_once('(')?;
    if name.trim() != "click" {
        return None;
    }
    if let Some((_, inside)) = aim.split_once("<point>") {
        let (list, rest) = numbers(inside, ' ');
        return pair(&list).filter(|_| rest.trim_start().starts_with("</point>"));
    }
    lists_in(aim, ['(', ')']).find_map(|list| pair(&list).or_else(|| middle(&list)))
}

fn click_in_json(text: &str) -> Option<Coordinate> {
    let click = json_between(text, ['{', '}'])?;
    let is_click = click.get("action").is_none_or(|action| action == "click_absolute");
    is_click.then(|| of_json(&click["x"], &click["y"])).flatten()
}

fn first_of_points(text: &str) -> Option<Coordinate> {
    let points = json_between(text, ['[', ']'])?;
    let point = points.get(0)?.get("point_2d")?.as_array()?;
    let [x, y] = point.as_slice() else { return None };
    of_json(x, y)
}

/// The JSON from the first opening bracket to the last closing one.
fn json_between(text: &str, [open, close]: [char; 2]) -> Option<Value> {
    let (start, end) = (text.find(open)?, text.rfind(close)?);
    serde_json::from_str(text.get(start..=end)?).ok()
}

/// Two JSON numbers as a coordinate.
pub(crate) fn of_json(x: &Value, y: &Value) -> Option<Coordinate> {
    let (x, y) = (x.as_f64()?, y.as_f64()?);
    (x.is_finite() && y.is_finite()).then_some(Coordinate { x, y })
}

fn pair(list: &[f64]) -> Option<Coordinate> {
    let &[x, y] = list else { return None };
    Some(Coordinate { x, y })
}

fn middle(list: &[f64]) -> Option<Coordinate> {
    let &[x1, y1, x2, y2] = list else { return None };
    // Halved first: the sum of two finite numbers may not be finite.
    Some(Coordinate { x: x1 / 2.0 + x2 / 2.0, y: y1 / 2.0 + y2 / 2.0 })
}

/// Every list of numbers between such brackets in `text`, whatever its length.
fn lists_in(text: &str, [open, close]: [char; 2]) -> impl Iterator<Item = Vec<f64>> {
    text.match_indices(open).filter_map(move |(at, _)| {
        let (list, rest) = numbers(&text[at + open.len_utf8()..], ',');
        rest.trim_start().starts_with(close).then_some(list)
    })
}

/// Numbers with `separator` between them at the start of `text`, and what follows the last of them. Where the separator is
/// a space, any space is one.
fn numbers(text: &str, separator: char) -> (Vec<f64>, &str) {
    let (mut list, mut rest) = (Vec::new(), text);
    while let Some((value, behind)) = number(rest) {
        list.push(value);
        let next = behind.trim_start();
        match next.strip_prefix(separator) {
            Some(next) if number(next).is_some() => rest = next,
            None if separator == ' ' && next.len() < behind.len() => rest = next,
            _ => return (list, behind),
        }
    }
    (list, rest)
}

/// A finite decimal number, after optional space, and what follows.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let n_whole = digits(unsigned);
    let n_fraction = unsigned[n_whole..].strip_prefix('.').map_or(0, |fraction| 1 + digits(fraction));
    if n_whole == 0 {
        return None;
    }
    let (number, rest) = text.split_at(text.len() - unsigned.len() + n_whole + n_fraction);
    number.parse().ok().filter(|value: &f64| value.is_finite()).map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: AnswerForm, text: &str, expected: Option<(f64, f64)>) {
        let expected = expected.map(|(x, y)| Coordinate { x, y });
        assert_eq!(form.point_in(text), expected, "{text:?} as {form:?}");
    }

    #[test]
    fn the_first_pair_counts() {
        let check = |text, expected| check(AnswerForm::Pair, text, expected);
        check("(384,941)", Some((384.0, 941.0)));
        check("It is at ( 3.5 , -4. ), not at (5,6).", Some((3.5, -4.0)));
        check("(1) (1,2,3) (7,8)", Some((7.0, 8.0)));
        for text in ["", "384,941", "[384,941]", "(384,941", "(384;941)", "(x,y)", "(1,)", "(1e3,2)", "(é,1)"]
        {
            check(text, None);
        }
    }

    #[test]
    fn the_middle_of_a_box_counts() {
        let check = |text, expected| check(AnswerForm::Corners, text, expected);
        check("[850,1149,967,1177]", Some((908.5, 1163.0)));
        check("[[10, 20, 30, 40]]", Some((20.0, 30.0)));
        // The corners may come in any order.
        check("[30,40,10,20]", Some((20.0, 30.0)));
        for text in ["[1,2]", "[1,2,3]", "[1,2,3,4,5]", "(1,2,3,4)", "[1,2,3,4", "[a,b,c,d]", "1,2,3,4"] {
            check(text, None);
        }
        let largest = format!("[{0},{0},{0},{0}]", f64::MAX);
        assert!(AnswerForm::Corners.point_in(&largest).unwrap().x.is_finite());
    }

    #[test]
    fn a_click_has_the_point_it_is_aimed_at() {
        let check = |text, expected| check(AnswerForm::Click, text, expected);
        check("click(point='<point>197 525</point>')", Some((197.0, 525.0)));
        // As the prompt has it.
        check("click(point='<point> 197\n525 </point>\'')", Some((197.0, 525.0)));
        check("click(start_box='(197,525)')", Some((197.0, 525.0)));
        check("click(start_box='<|box_start|>(197,525)<|box_end|>')", Some((197.0, 525.0)));
        check("click(start_box='(10,20,30,40)')", Some((20.0, 30.0)));
        for text in [
            "click()",
            "click(point='<point>197</point>')",
            "click(point='<point>1 2 3</point>')",
            "click(point='<point>1 2')",
            "click(point='<point>x1 y1</point>')",
            "left_double(start_box='(197,525)')",
            "finished(content='(197,525)')",
            "(197,525)",
            "wait()",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_click_may_be_json() {
        let check = |text, expected| check(AnswerForm::ClickJson, text, expected);
        check(r#"{"action": "click_absolute", "x": 947, "y": 338}"#, Some((947.0, 338.0)));
        check("```json\n{\"x\": 1, \"y\": 2.5}\n```", Some((1.0, 2.5)));
        for text in [
            "{",
            "}{",
            "Click(947, 338)",
            r#"{"action": "click_absolute", "x": 947}"#,
            r#"{"action": "write", "x": 947, "y": 338}"#,
            r#"{"x": "947", "y": 338}"#,
            r#"{"x": 1e999, "y": 338}"#,
            r#"{"x": 1, "y": 2} {"x": 3, "y": 4}"#,
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_first_of_several_points_counts() {
        let check = |text, expected| check(AnswerForm::PointsJson, text, expected);
        check(r#"[{"point_2d": [12, 34]}]"#, Some((12.0, 34.0)));
        check(
            "```json\n[{\"point_2d\": [1, 2], \"label\": \"[a]\"}, {\"point_2d\": [3, 4]}]\n```",
            Some((1.0, 2.0)),
        );
        for text in [
            "[]",
            "][",
            "[12, 34]",
            r#"{"point_2d": [12, 34]}"#,
            r#"[{"point_2d": [12]}]"#,
            r#"[{"point_2d": ["12", 34]}]"#,
            r#"[{"label": "a"}, {"point_2d": [3, 4]}]"#,
            r#"[{"point_2d": [12, 34]}"#,
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_form_of_other_families_ends_with_its_turn() {
        let stopped = AnswerForm::ALL.into_iter().filter(|form| !form.stop_strings().is_empty());
        assert_eq!(stopped.collect::<Vec<_>>(), [AnswerForm::Tagged, AnswerForm::Bare]);
    }
}
