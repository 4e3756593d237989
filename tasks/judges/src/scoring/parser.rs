//! How a point is read out of a response: by the rules of the harnesses, under the names of the formats.
//!
//! Invariant: what a response says is data. Where nothing is found, or too much, there is no prediction; nothing is guessed.
//! White space and digits are those of Unicode, as in Python.
//! Source: `seeclick` is SeeClick's ScreenSpot scorer (@0ef37ac). `qwen-tool-call` and `qwen-box` are the adapters of
//! Qwen2.5-VL and Qwen2-VL in ScreenSpot-Pro (@bd8bbbb). `vigorl` is the answer of ViGoRL's evaluation (grounded-rl@e7970c0).

use super::target::{Prediction, Shape, Space};
use crate::answer::final_answer;
use crate::literal;
use crate::python::{MAX_DIGITS, float, numbers_in, skip_digits};
use crate::reward::Mode;
use crate::toolcall;

/// A rule by which a response is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parser {
    /// SeeClick's own.
    SeeClick,
    /// The tool call of Qwen2.5-VL.
    QwenToolCall,
    /// The box of Qwen2-VL.
    QwenBox,
    /// The tuple of ViGoRL.
    Vigorl,
    /// Two or four numbers.
    Numbers,
}

/// What the numbers of a format count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// The format says itself what part of the image they are.
    Shares,
    /// Pixels of the original image, or of the one that was shown to the model.
    Pixels,
    /// Pixels of the image that was shown to the model, which is hardly ever the original one.
    PixelsShown,
    /// The format does not say.
    Either,
}

impl Parser {
    /// All of them, by their names, with what they read.
    pub const NAMED: [(&str, Self, &str); 5] = [
        (
            "seeclick",
            Self::SeeClick,
            "where `box` is written, the first <box>(x,y),(x,y)</box> in thousandths; else two or four numbers from 0 to 1",
        ),
        (
            "qwen-tool-call",
            Self::QwenToolCall,
            "arguments.coordinate of the first <tool_call>, in pixels of `resized_size`",
        ),
        (
            "qwen-box",
            Self::QwenBox,
            "the last <|box_start|>(x,y),(x,y)<|box_end|>, or two or four numbers, in thousandths",
        ),
        (
            "vigorl",
            Self::Vigorl,
            "two whole numbers behind the first <answer>, as Python writes them, in pixels",
        ),
        ("numbers", Self::Numbers, "two or four numbers, in `point_space`"),
    ];

    /// The parser of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, ..)| *known == name).map(|(_, parser, _)| *parser)
    }

    /// What is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::SeeClick => "seeclick",
            Self::QwenToolCall => "qwen-tool-call",
            Self::QwenBox => "qwen-box",
            Self::Vigorl => "vigorl",
            Self::Numbers => "numbers",
        }
    }

    /// What its numbers count.
    pub fn counts(self) -> Counts {
        match self {
            Self::SeeClick | Self::QwenBox => Counts::Shares,
            Self::QwenToolCall => Counts::PixelsShown,
            Self::Vigorl => Counts::Pixels,
            Self::Numbers => Counts::Either,
        }
    }

    /// What a response predicts; nothing if that cannot be read. `space` is what its numbers count, where
    /// [`Parser::counts`] leaves that open; formats of [`Counts::Shares`] do not look at it.
    pub fn read(self, response: &str, space: Space) -> Option<Prediction> {
        let (shape, space) = match self {
            Self::SeeClick if response.contains("box") => {
                (in_thousandths(first_box(response)?)?, Space::Normalized)
            }
            Self::SeeClick => (numbers(response)?, Space::Normalized),
            Self::QwenBox => (qwen_box(response)?, Space::Normalized),
            Self::QwenToolCall => (Shape::of(&toolcall::floats(tool_call(response)?)?)?, space),
            Self::Vigorl => {
                let found = literal::numbers::<2>(final_answer(response)?, Mode::Reference)?;
                (Shape::Point(found.numbers.each_ref().map(|number| number.to_float())), space)
            }
            Self::Numbers => (numbers(response)?, space),
        };
        Some(Prediction { shape, space })
    }
}

/// All numbers of a response, if they are two or four.
fn numbers(response: &str) -> Option<Shape> {
    let numbers: Vec<f64> = numbers_in(response).into_iter().map(float).collect::<Option<_>>()?;
    Shape::of(&numbers)
}

/// The point, or the centre of a box, of numbers that count thousandths: the centre first, then the division.
fn in_thousandths(shape: Shape) -> Option<Shape> {
    let center = shape.center();
    // Python does not divide a whole number that is beyond every float.
    center.iter().all(|value| value.is_finite()).then(|| Shape::Point(center.map(|value| value / 1000.0)))
}

/// The first `<box>\((\d+,\d+)\),\((\d+,\d+)\)</box>`.
fn first_box(response: &str) -> Option<Shape> {
    boxes(response, "<box>", "</box>").next().map(Shape::Box)
}

/// Of Qwen2-VL's reply: thousandths of a box, or numbers where there is none. Here the corners are divided first.
fn qwen_box(response: &str) -> Option<Shape> {
    const BEGIN: &str = "<|box_start|>";
    const END: &str = "<|box_end|>";
    if !(response.contains(BEGIN) && response.contains(END)) {
        return Some(Shape::Point(numbers(response)?.center().map(|value| value / 1000.0)));
    }
    let corners = boxes(response, BEGIN, END).last()?;
    corners.iter().all(|value| value.is_finite()).then(|| Shape::Box(corners.map(|value| value / 1000.0)))
}

/// Every `\((\d+),(\d+)\),\((\d+),(\d+)\)` between these two.
fn boxes(response: &str, begin: &'static str, end: &'static str) -> impl Iterator<Item = [f64; 4]> {
    response.match_indices(begin).filter_map(move |(at, _)| {
        let (left, rest) = whole(response[at..].strip_prefix(begin)?.strip_prefix('(')?)?;
        let (top, rest) = whole(rest.strip_prefix(',')?)?;
        let (right, rest) = whole(rest.strip_prefix("),(")?)?;
        let (bottom, rest) = whole(rest.strip_prefix(',')?)?;
        rest.strip_prefix(')')?.starts_with(end).then_some([left, top, right, bottom])
    })
}

/// The whole number at the beginning of a text, and what follows it.
fn whole(text: &str) -> Option<(f64, &str)> {
    let rest = skip_digits(text)?;
    let digits = &text[..text.len() - rest.len()];
    (digits.chars().count() <= MAX_DIGITS).then_some((float(digits)?, rest))
}

/// The JSON of the first tool call: up to the last `}` of the response, and between the tags, which have lines of their own.
fn tool_call(response: &str) -> Option<&str> {
    const BEGIN: &str = "<tool_call>\n";
    const END: &str = "\n</tool_call>";
    let response = response.rfind('}').map_or(response, |end| &response[..=end]);
    let (_, call) = response.split_once(BEGIN)?;
    let call = call.split(BEGIN).next()?;
    call.split(END).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::python::digit;

    fn read(parser: Parser, response: &str) -> Option<[f64; 2]> {
        parser.read(response, Space::Pixels([1000, 500])).map(|prediction| prediction.point())
    }

    #[test]
    fn seeclick_reads_points_and_boxes_as_shares_and_qwens_boxes_as_thousandths() {
        for (response, expected) in [
            ("(0.49, 0.40)", Some([0.49, 0.4])),
            ("0.1,0.2,0.3,0.4", Some([0.2, 0.30000000000000004])),
            ("<ref>x</ref><box>(100,200),(300,401)</box>", Some([0.2, 0.3005])),
            ("<box>(1,2),(3,4)</box><box>(5,6),(7,8)</box>", Some([0.002, 0.003])),
            // A space, a fraction, or the word alone: the box cannot be read, and no number is looked for.
            ("<box>(100, 200),(300,400)</box>", None),
            ("<box>(0.1,0.2),(0.3,0.4)</box>", None),
            ("the box is at (0.5, 0.5)", None),
            ("the checkbox: (0.5, 0.5)", None),
            ("point 1: (0.5, 0.5)", None),
            ("", None),
        ] {
            assert_eq!(read(Parser::SeeClick, response), expected, "{response}");
        }
        let huge = "9".repeat(400);
        assert_eq!(read(Parser::SeeClick, &format!("({huge}, 0)")), Some([f64::INFINITY, 0.0]));
        assert_eq!(read(Parser::SeeClick, &format!("<box>({huge},0),(1,1)</box>")), None);
    }

    #[test]
    fn a_tool_call_is_cut_behind_its_last_brace() {
        let call = |list: &str| {
            format!(
                "<tool_call>\n{{\"name\": \"computer_use\", \"arguments\": {{\"action\": \"left_click\", \"coordinate\": {list}}}}}"
            )
        };
        for behind in ["", "\n</tool_call>", "\n</tool_call> and so on", "]]"] {
            let response = call("[500, 125.0]") + behind;
            assert_eq!(read(Parser::QwenToolCall, &response), Some([0.5, 0.25]), "{response}");
        }
        assert_eq!(read(Parser::QwenToolCall, &call("[100, 0, 300, 100]")), Some([0.2, 0.1]));
        for response in [
            call("[1, 2, 3]"),
            call("[\"1\", 2]"),
            call("\"12\""),
            call("[1, 2]") + "}",
            call("[1, 2]").replace("<tool_call>\n", "<tool_call>"),
            call("[1, 2]").replace("coordinate", "point"),
            "(1, 2)".to_owned(),
        ] {
            assert_eq!(read(Parser::QwenToolCall, &response), None, "{response}");
        }
    }

    #[test]
    fn of_several_qwen_boxes_the_last_one_counts() {
        let response = "<|box_start|>(1,2),(3,4)<|box_end|> <|box_start|>(100,200),(300,400)<|box_end|>";
        assert_eq!(read(Parser::QwenBox, response), Some([0.2, 0.30000000000000004]));
        assert_eq!(read(Parser::QwenBox, "<|box_start|>(1,2)<|box_end|>"), None);
        assert_eq!(read(Parser::QwenBox, "(250, 500)"), Some([0.25, 0.5]));
    }

    #[test]
    fn vigorl_reads_two_whole_numbers_behind_the_first_answer() {
        for (response, expected) in [
            ("<think> (1, 2) </think>\n<answer> (500, 125) </answer>", Some([0.5, 0.25])),
            ("<answer>[500, 125]", Some([0.5, 0.25])),
            ("<answer>500, 125</answer> <answer>(1, 2)</answer>", Some([0.5, 0.25])),
            ("<answer>(500.0, 125)</answer>", None),
            ("<answer>(1, 2, 3, 4)</answer>", None),
            ("<think>an <answer> here</think><answer>(500, 125)</answer>", None),
            ("(500, 125)", None),
        ] {
            assert_eq!(read(Parser::Vigorl, response), expected, "{response}");
        }
    }

    #[test]
    fn numbers_are_in_the_space_that_is_given() {
        assert_eq!(read(Parser::Numbers, "click(500, 125)"), Some([0.5, 0.25]));
        assert_eq!(read(Parser::Numbers, "box (0,0,1000,500)"), Some([0.5, 0.5]));
        let normalized = Parser::Numbers.read("(0.5, 0.25)", Space::Normalized).unwrap();
        assert_eq!(normalized.point(), [0.5, 0.25]);
    }

    #[test]
    fn names_are_found_again() {
        for (name, parser, _) in Parser::NAMED {
            assert_eq!((Parser::named(name), parser.name()), (Some(parser), name));
        }
        assert_eq!(Parser::named("qwen"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_said_two_or_four_numbers_are_read_or_nothing(
            parts in prop::collection::vec(prop_oneof![
                "\\PC{0,3}",
                prop::sample::select(vec![
                    "<box>", "</box>", "<|box_start|>", "<|box_end|>", "<tool_call>\n", "\n</tool_call>", "<answer>", "</answer>",
                    "{\"arguments\": {\"coordinate\": ", "}}", "[", "]", "(", ")", "),(", ",", "-", ".", "7", "\u{665}", "99",
                ]).prop_map(str::to_owned),
            ], 0..24),
        ) {
            let response = parts.concat();
            for (name, parser, _) in Parser::NAMED {
                let Some(prediction) = parser.read(&response, Space::Pixels([10, 10])) else { continue };
                let is_share = parser.counts() == Counts::Shares;
                prop_assert_eq!(prediction.space == Space::Normalized, is_share, "{}: {}", name, response);
                // Without a digit or a truth value nothing can be a number.
                prop_assert!(response.contains(|c: char| digit(c).is_some()) || response.contains("True"), "{}: {}", name, response);
            }
        }
    }
}
