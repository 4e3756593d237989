//! Actions on a page, compared with the true one.
//!
//! Invariant: the worth of an action is 0, 0.5 or 1.
//! Source: grounded-rl@e7970c0, as summarised in the specification's section 3.5.

use crate::answer::{number_in_brackets, text_in_brackets};
use crate::python::{is_space, strip};
use crate::reward::Mode;

/// What an answer is worth.
pub(crate) fn worth(answer: &str, truth: &str, mode: Mode) -> f64 {
    match mode {
        Mode::Reference => by_parts(answer, truth).unwrap_or(0.0),
        Mode::Fixed => by_first_word(answer, truth).unwrap_or(0.0),
    }
}

/// As the reference does: an action is named wherever its name is part of the text, the first of this order.
fn by_parts(answer: &str, truth: &str) -> Option<f64> {
    let both = |part: &str| answer.contains(part) && truth.contains(part);
    let name =
        ["go_back", "stop", "scroll", "click", "type"].into_iter().find(|name| answer.contains(name))?;
    Some(match name {
        "scroll" => f64::from(both("[down]") || both("[up]")),
        "click" => {
            let (id, true_id) = (number_in_brackets(answer)?, number_in_brackets(truth)?);
            halves(truth.contains(name), id == true_id)
        }
        "type" => halves(truth.contains(name), text_in_brackets(answer)? == text_in_brackets(truth)?),
        _ => f64::from(truth.contains(name)),
    })
}

/// As mode `fixed` does: an action is named by the first word, and what is typed counts.
fn by_first_word(answer: &str, truth: &str) -> Option<f64> {
    let (name, rest) = first_word(strip(answer));
    let (true_name, true_rest) = first_word(strip(truth));
    let is_same = name == true_name;
    let both = |part: &str| rest.contains(part) && true_rest.contains(part);
    match name {
        "go_back" | "stop" => Some(f64::from(is_same)),
        "scroll" => Some(f64::from(is_same && (both("[down]") || both("[up]")))),
        "click" => {
            let (id, true_id) = (number_in_brackets(rest)?, number_in_brackets(true_rest)?);
            Some(halves(is_same, id == true_id))
        }
        "type" => {
            let ((id, text), (true_id, true_text)) = (typed(rest)?, typed(true_rest)?);
            // Another action types nothing, so there only the place can be the same.
            Some(halves(is_same, id == true_id && (text == true_text || !is_same)))
        }
        _ => None,
    }
}

fn halves(one: bool, other: bool) -> f64 {
    0.5 * f64::from(one) + 0.5 * f64::from(other)
}

/// Letters and underscores at the beginning, and what follows them.
fn first_word(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
    text.split_at(text.len() - rest.len())
}

/// The first brackets, and the text of all that follows in brackets: it may hold brackets itself.
fn typed(text: &str) -> Option<(&str, Option<&str>)> {
    let (_, inner) = text.split_once('[')?;
    let (id, rest) = inner.split_once(']')?;
    let rest = rest.trim_matches(is_space);
    Some((id, rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, truth: &str, reference: f64, fixed: f64) {
        assert_eq!(worth(answer, truth, Mode::Reference), reference, "{answer} / {truth}, reference");
        assert_eq!(worth(answer, truth, Mode::Fixed), fixed, "{answer} / {truth}, fixed");
    }

    #[test]
    fn both_modes_agree_on_what_is_written_as_it_should_be() {
        check("click [12]", "click [12]", 1.0, 1.0);
        check("click [12]", "click [13]", 0.5, 0.5);
        check("click [12]", "type [12] [x]", 0.5, 0.5);
        check("type [12] [x]", "click [12]", 0.5, 0.5);
        check("click [12]", "scroll [down]", 0.0, 0.0);
        check("scroll [down]", "scroll [down]", 1.0, 1.0);
        check("scroll [down]", "scroll [up]", 0.0, 0.0);
        check("scroll down", "scroll [down]", 0.0, 0.0);
        check("click 12", "click [12]", 0.0, 0.0);
        check("CLICK [12]", "click [12]", 0.0, 0.0);
        check("go_back", "go_back", 1.0, 1.0);
        check("stop [blue]", "stop [red]", 1.0, 1.0);
        check("type [12] [hello]", "type [12] [hello]", 1.0, 1.0);
        check("type [12]", "type [12]", 1.0, 1.0);
        check("hover [12]", "click [12]", 0.0, 0.0);
        check("", "", 0.0, 0.0);
    }

    #[test]
    fn an_action_is_its_first_word_in_mode_fixed() {
        check("type [12] [click here]", "type [12] [click here]", 1.0, 1.0);
        check("type [12] [stop sign]", "type [12] [stop sign]", 1.0, 1.0);
        check("type [12] [stop sign]", "stop []", 1.0, 0.0);
        check("type [12] [stop sign]", "type [12] [bye]", 0.0, 0.5);
        check("type [12] [click here]", "click [12]", 1.0, 0.5);
        check("I click [12]", "click [12]", 1.0, 0.0);
        check("scroll [down]", "type [1] [down]", 1.0, 0.0);
    }

    #[test]
    fn what_is_typed_counts_in_mode_fixed() {
        check("type [12] [hello]", "type [12] [bye]", 1.0, 0.5);
        check("type [12] [hello]", "type [13] [hello]", 0.5, 0.5);
        check("type [12] [a [b]]", "type [12] [a [c]]", 1.0, 0.5);
        check("type [12]", "type [12] [hello]", 1.0, 0.5);
        check("type [12][hello]", "type [12]  [hello]", 1.0, 1.0);
    }
}
