//! The parts of one reply: its form, its first thoughts, its answer.
//!
//! Invariant: each function finds what the pattern that it names finds in Python. `.` means every character but `\n`,
//! unless a function says otherwise.
//! Source: grounded-rl@e7970c0, as summarised in the specification's sections 3.1 and 3.3 to 3.5.

use crate::python::{skip_digits, skip_spaces, strip};
use crate::reward::Mode;

/// The tag behind which an answer stands.
pub(crate) const ANSWER: &str = "<answer>";
const END_ANSWER: &str = "</answer>";
const THINK: &str = "<think>";
const END_THINK: &str = "</think>";

/// Whether the whole text is `<think>.*?</think>\s*<answer>.*?</answer>`, where `.` is every character.
pub(crate) fn has_form(text: &str) -> bool {
    let inner = text.strip_prefix(THINK).and_then(|rest| rest.strip_suffix(END_ANSWER));
    // The first place where one ends and the other begins leaves the most room for the rest.
    inner.is_some_and(|inner| {
        inner
            .match_indices(END_THINK)
            .any(|(at, tag)| skip_spaces(&inner[at + tag.len()..]).starts_with(ANSWER))
    })
}

/// The first `<answer>(.*?)</answer>`, where `.` is every character.
pub(crate) fn over_lines(text: &str) -> Option<&str> {
    between(text, ANSWER, END_ANSWER)
}

/// The first `<answer>(.*?)</answer>`. If there is none, mode `fixed` takes one that goes over several lines: what the
/// reference finds, it finds, too, such as the answer behind thoughts that mention the tag.
pub(crate) fn first(text: &str, mode: Mode) -> Option<&str> {
    let on_one_line = text.split('\n').find_map(over_lines);
    on_one_line.or_else(|| over_lines(text).filter(|_| mode == Mode::Fixed))
}

/// The first `<answer>(.*?)</answer>` in whatever letters, where `.` is every character.
pub(crate) fn in_any_case(text: &str) -> Option<&str> {
    let start = text
        .match_indices('<')
        .find_map(|(at, _)| tag_at(&text[at..], "answer>").map(|rest| text.len() - rest.len()))?;
    let inner = &text[start..];
    let end = inner.match_indices('<').find(|(at, _)| tag_at(&inner[*at..], "/answer>").is_some())?;
    Some(&inner[..end.0])
}

/// What the evaluation of the reference takes for the final answer: what stands behind the first `<answer>`, up to the next
/// `</answer>`, or all of it where that does not come.
/// Source: the specification's section 1.9.
pub(crate) fn final_answer(text: &str) -> Option<&str> {
    let (_, inner) = text.split_once(ANSWER)?;
    Some(strip(inner.split_once(END_ANSWER).map_or(inner, |(inner, _)| inner)))
}

/// Whether both tags of thoughts are somewhere in a text.
pub(crate) fn has_thoughts(text: &str) -> bool {
    text.contains(THINK) && text.contains(END_THINK)
}

/// What is left behind `<` and this name in whatever letters, as Python's `re.IGNORECASE` compares them.
pub(crate) fn tag_at<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text.strip_prefix('<')?.chars();
    for wanted in name.chars() {
        let found = rest.next()?;
        let is_same = match wanted {
            'i' => matches!(found, '\u{130}' | '\u{131}'),
            'k' => found == '\u{212a}',
            's' => found == '\u{17f}',
            _ => false,
        };
        if !is_same && !found.eq_ignore_ascii_case(&wanted) {
            return None;
        }
    }
    Some(rest.as_str())
}

/// Whether the first `<think>(.*?)</think>`, where `.` is every character, holds a point: `\((\d+)\s*,\s*(\d+)\)`. In
/// mode `fixed` its numbers may have fractions.
pub(crate) fn thinks_with_a_point(text: &str, mode: Mode) -> bool {
    let Some(thoughts) = between(text, THINK, END_THINK) else { return false };
    let is_point = |at: usize| -> Option<()> {
        let rest = skip_spaces(skip_number(&thoughts[at + 1..], mode)?).strip_prefix(',')?;
        skip_number(skip_spaces(rest), mode)?.starts_with(')').then_some(())
    };
    thoughts.match_indices('(').any(|(at, _)| is_point(at).is_some())
}

fn skip_number(text: &str, mode: Mode) -> Option<&str> {
    let rest = skip_digits(text)?;
    let fraction = rest.strip_prefix('.').filter(|_| mode == Mode::Fixed);
    Some(fraction.and_then(skip_digits).unwrap_or(rest))
}

/// The digits of the first `\[(\d+)\]`.
pub(crate) fn number_in_brackets(text: &str) -> Option<&str> {
    text.match_indices('[').find_map(|(at, _)| {
        let inner = &text[at + 1..];
        let rest = skip_digits(inner)?;
        rest.starts_with(']').then(|| &inner[..inner.len() - rest.len()])
    })
}

/// The text of the first `\[(.*?)\]`.
pub(crate) fn text_in_brackets(text: &str) -> Option<&str> {
    text.split('\n').find_map(|line| between(line, "[", "]"))
}

/// The choice without its letter: the group of `^[A-Za-z][.)]\s*(.*)`, or all of it. In mode `fixed` the group goes on
/// over several lines.
pub(crate) fn without_letter(choice: &str, mode: Mode) -> &str {
    let rest =
        choice.strip_prefix(|c: char| c.is_ascii_alphabetic()).and_then(|rest| rest.strip_prefix(['.', ')']));
    let Some(rest) = rest.map(skip_spaces) else { return choice };
    match mode {
        Mode::Fixed => rest,
        Mode::Reference => rest.split('\n').next().unwrap_or(rest),
    }
}

/// What stands between the first `begin` and the next `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, inner) = text.split_once(begin)?;
    Some(inner.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_of_the_whole_text() {
        assert!(has_form("<think>a\nb</think>\u{a0}\n<answer>c\nd</answer>"));
        assert!(has_form("<think></think><answer></answer>"));
        assert!(has_form("<think>a</think> b</think><answer>c</answer></answer>"));
        for text in [
            "",
            "<think>a</think><answer>b</answer>\n",
            " <think>a</think><answer>b</answer>",
            "<think>a</think> x <answer>b</answer>",
            "<think>a<answer>b</answer>",
            "<think>a</think><answer>b",
            "<think></think><answer></answer",
            "<THINK>a</THINK><answer>b</answer>",
        ] {
            assert!(!has_form(text), "{text:?}");
        }
    }

    #[test]
    fn an_answer_over_several_lines_is_found_in_mode_fixed_alone() {
        let text = "<answer>a\nb</answer> <answer>c";
        assert_eq!(first(text, Mode::Reference), None);
        assert_eq!(first(text, Mode::Fixed), Some("a\nb"));
        for mode in [Mode::Reference, Mode::Fixed] {
            assert_eq!(first("I <answer>\n<answer>a\nb</answer> <answer>c</answer>", mode), Some("c"));
        }
        // Python's dot does not stop at other line ends.
        assert_eq!(first("<answer>a\rb\u{2028}</answer>", Mode::Reference), Some("a\rb\u{2028}"));
        assert_eq!(first("<answer>a<answer>b</answer>", Mode::Reference), Some("a<answer>b"));
        assert_eq!(first("<answer>a\n<answer>b</answer>", Mode::Reference), Some("b"));
    }

    #[test]
    fn a_final_answer_need_not_end() {
        assert_eq!(final_answer("a <answer>\u{a0}b\nc \n</answer> d</answer>"), Some("b\nc"));
        assert_eq!(final_answer("<answer> b <answer>"), Some("b <answer>"));
        assert_eq!(final_answer("b</answer>"), None);
    }

    #[test]
    fn letters_that_python_takes_for_one_another_are_taken_for_one_another() {
        assert_eq!(in_any_case("x <ANſwER>a</aNswer>b</answer>"), Some("a"));
        assert_eq!(tag_at("<TH\u{130}N\u{212a}>rest", "think>"), Some("rest"));
        assert_eq!(tag_at("<think", "think>"), None);
        assert_eq!(in_any_case("<answer>a"), None);
    }

    #[test]
    fn a_point_has_digits_of_any_script_and_no_space_behind_its_bracket() {
        let thinks = |thoughts: &str, mode| thinks_with_a_point(&format!("<think>{thoughts}</think>"), mode);
        for point in ["(5, 6)", "((5 \u{2003},\n6)", "x(\u{665},6)y", "(1(2,3)"] {
            assert!(thinks(point, Mode::Reference) && thinks(point, Mode::Fixed), "{point}");
        }
        for point in ["( 5, 6)", "(5, 6 )", "(-5, 6)", "(5; 6)", "5, 6", "(5, 6", "(5., 6)"] {
            assert!(!thinks(point, Mode::Reference) && !thinks(point, Mode::Fixed), "{point}");
        }
        assert!(!thinks("(5.5, 6.0)", Mode::Reference) && thinks("(5.5, 6.0)", Mode::Fixed));
        assert!(!thinks_with_a_point("<think>a</think><think>(5, 6)</think>", Mode::Reference));
    }

    #[test]
    fn brackets_and_letters() {
        assert_eq!(number_in_brackets("[a] [12 [\u{661}2] [3]"), Some("\u{661}2"));
        assert_eq!(text_in_brackets("[a\nb] [c]"), Some("c"));
        assert_eq!(text_in_brackets("[]"), Some(""));
        assert_eq!(without_letter("A. Left \nx", Mode::Reference), "Left ");
        assert_eq!(without_letter("A. Left \nx", Mode::Fixed), "Left \nx");
        assert_eq!(without_letter("A)\n\nleft", Mode::Reference), "left");
        assert_eq!(without_letter("Ä. left", Mode::Reference), "Ä. left");
        assert_eq!(without_letter("AB. left", Mode::Reference), "AB. left");
    }
}
