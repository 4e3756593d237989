//! The form of a turn as a state machine over the text said so far: what must come now, and what may.
//!
//! Invariant: a turn that only ever says what [`TurnForm::allows`] permits, up to [`Next::End`], is read by
//! [`crate::grammar`] as a zoom or as an answer, and its coordinates lie on the screenshot. Knows no tokens: texts
//! alone decide.
//!
//! The form is narrower than the grammar, which reads whatever a policy wrote: it is what the weights were trained
//! to write (specification, section 1.1). One thought, if the family thinks, then one action; coordinates are whole
//! numbers. In a thought everything may be said but the other tags.

use std::borrow::Cow;

use crate::acts::{CALL, Part, WORDS, filled, point_in_form};
use crate::grammar::AnswerForm;
use crate::preset::{AnswerKind, Preset};
use crate::view::View;
use crate::wire::{ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, TOOL_CALL_CLOSE, TOOL_CALL_OPEN};

/// The form of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnForm {
    /// Where the turn begins.
    pub opening: Opening,
    /// Whether the turn may end in a zoom.
    pub may_zoom: bool,
    /// What is answered.
    pub answer: AnswerKind,
    /// How a point is written as the answer.
    pub written: AnswerForm,
    /// The first number of a coordinate is below this, and the second below that.
    pub below: [u32; 2],
}

/// Where a turn begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// With a thought.
    Thought,
    /// Behind `<answer>`, which was said for the policy.
    Answer,
    /// With a point as the answer, without a thought.
    Bare,
}

/// What comes after a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Almost anything: what [`TurnForm::allows`] does.
    Free,
    /// One of few texts, such as a digit or a bracket: what [`TurnForm::allows`] does, written in
    /// [`TurnForm::is_protocol_char`]s.
    Choice,
    /// This text and no other.
    Literal {
        /// The text.
        text: String,
        /// Texts that may follow it, one of each sort; the empty text where nothing does. How the literal is best
        /// cut into tokens may depend on what follows.
        then: Vec<String>,
    },
    /// Nothing: the turn is complete.
    End,
}

/// Stands before the text of a turn whose answer was opened for the policy.
const OPENED: &str = "\n<answer>";

/// How a number may begin, in one token or two.
const NUMBERS: [&str; 2] = ["7", "10"];

/// How a free text may begin.
const FREE: [&str; 3] = [" The", " a", "a"];

/// Where a text stands in a list of parts.
enum Stand {
    /// No such text begins so.
    Outside,
    /// This must come, and then the next part.
    Literal(&'static str, &'static [Part]),
    /// A number, or more of it.
    Number,
    /// An answer in words so far.
    Words(WordsStand),
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WordsStand {
    /// Nothing was said yet.
    Blank,
    Said,
}

impl TurnForm {
    /// The form of a turn under `preset`, on a screenshot as `view` shows it; a `forced` turn begins behind
    /// [`crate::wire::FORCED_FINAL_PREFIX`]. `None` for an answer in words without tags: any text has that form.
    pub fn of_turn(preset: &Preset, view: &View, forced: bool) -> Option<Self> {
        let opening = match (forced, preset.answer_form) {
            (true, _) => Opening::Answer,
            (false, AnswerForm::Tagged | AnswerForm::PointsJson) => Opening::Thought,
            (false, _) => Opening::Bare,
        };
        let form = Self {
            opening,
            may_zoom: preset.zooms() && opening == Opening::Thought,
            answer: preset.answer_kind,
            written: if forced { AnswerForm::Tagged } else { preset.answer_form },
            below: view.written_below(),
        };
        (opening != Opening::Bare || form.answer == AnswerKind::Point).then_some(form)
    }

    /// What comes after `said`, the text of the turn without a forced prefix. In `haste` a thought or an answer in
    /// words is closed.
    pub fn next(&self, said: &str, haste: bool) -> Next {
        let acts = match self.split(said) {
            Split::Thought(rest) => return self.next_in_thought(rest, haste),
            Split::Act(acts) => acts,
            Split::Outside => return Next::Choice,
        };
        let mut literals = Vec::new();
        for parts in self.acts() {
            match stand(parts, &acts, self.below) {
                Stand::Outside => {}
                Stand::Literal(text, then) => literals.push((text, then)),
                Stand::Number => return Next::Choice,
                Stand::Words(WordsStand::Said) if haste => {
                    let text = overlap(&acts, " </answer>");
                    return Next::Literal { text: text.to_owned(), then: vec![String::new()] };
                }
                Stand::Words(_) => return Next::Free,
                Stand::Complete => return Next::End,
            }
        }
        common(&literals)
    }

    fn next_in_thought(&self, rest: &str, haste: bool) -> Next {
        if let Some(missing) = THINK_OPEN.strip_prefix(rest).filter(|missing| !missing.is_empty()) {
            return Next::Literal { text: missing.to_owned(), then: FREE.map(str::to_owned).to_vec() };
        }
        if !haste {
            return Next::Free;
        }
        let closing = overlap(rest, " </think>");
        let literals = self.acts().filter_map(|parts| match stand(parts, "", self.below) {
            Stand::Literal(text, then) => Some((text, then)),
            _ => None,
        });
        match common(&literals.collect::<Vec<_>>()) {
            Next::Literal { text, then } => Next::Literal { text: format!("{closing}{text}"), then },
            other => other,
        }
    }

    /// Whether `said` may go on with `piece`. Whatever was said so far is not judged again.
    pub fn allows(&self, said: &str, piece: &str) -> bool {
        self.continuations(said)(piece)
    }

    /// What [`Self::allows`] says behind `said`, for many pieces.
    pub fn continuations(&self, said: &str) -> impl FnMut(&str) -> bool {
        let form = *self;
        // Of a long thought only what stands behind it is looked at again.
        let (is_act, mut text) = match self.split(said) {
            Split::Act(acts) => (true, acts.into_owned()),
            _ => (false, said.to_owned()),
        };
        let n_said = text.len();
        move |piece| {
            text.truncate(n_said);
            text.push_str(piece);
            if is_act { form.acts_allow(&text) } else { form.allows_whole(&text) }
        }
    }

    fn allows_whole(&self, said: &str) -> bool {
        match self.split(said) {
            Split::Outside => false,
            // What would end the thought early, or is no text at all.
            Split::Thought(rest) => {
                let inner = rest.strip_prefix(THINK_OPEN).unwrap_or_default();
                let others = [THINK_OPEN, TOOL_CALL_OPEN, TOOL_CALL_CLOSE, ANSWER_OPEN, ANSWER_CLOSE, "<|"];
                !others.iter().any(|tag| inner.contains(tag))
            }
            Split::Act(acts) => self.acts_allow(&acts),
        }
    }

    fn acts_allow(&self, acts: &str) -> bool {
        self.acts().any(|parts| !matches!(stand(parts, acts, self.below), Stand::Outside))
    }

    /// Whether the turn may end behind `said`: also behind an answer in words that was not closed.
    pub fn may_end(&self, said: &str) -> bool {
        let Split::Act(acts) = self.split(said) else { return false };
        self.acts().any(|parts| {
            matches!(stand(parts, &acts, self.below), Stand::Complete | Stand::Words(WordsStand::Said))
        })
    }

    /// The longest text that a turn in haste still has to say.
    pub fn longest_ending(&self) -> String {
        let last = self.below.map(|below| below.saturating_sub(1));
        let point = filled(point_in_form(self.written), last);
        match (self.opening, self.may_zoom) {
            (Opening::Bare, _) => point,
            (Opening::Answer, _) => point.strip_prefix(OPENED).unwrap_or(&point).to_owned(),
            (Opening::Thought, false) => format!(" {THINK_CLOSE}{point}"),
            (Opening::Thought, true) => format!(" {THINK_CLOSE}{}", filled(&CALL, last)),
        }
    }

    /// Whether `c` stands in the protocol's own texts: where [`Next::Choice`] comes, no other does.
    pub fn is_protocol_char(c: char) -> bool {
        let of_parts =
            |parts: &[Part]| parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(c)));
        let mut points = AnswerForm::ALL.into_iter().map(point_in_form);
        c.is_ascii_digit() || THINK_OPEN.contains(c) || of_parts(&CALL) || points.any(of_parts)
    }

    /// The actions that the turn may end in, as they are written.
    fn acts(&self) -> impl Iterator<Item = &'static [Part]> {
        let answer = match self.answer {
            AnswerKind::Point => point_in_form(self.written),
            AnswerKind::Text => &WORDS,
        };
        self.may_zoom.then_some(CALL.as_slice()).into_iter().chain([answer])
    }

    /// Thought and action of the text of a turn.
    fn split<'s>(&self, said: &'s str) -> Split<'s> {
        match self.opening {
            Opening::Bare => Split::Act(said.into()),
            Opening::Answer => Split::Act(format!("{OPENED}{said}").into()),
            Opening::Thought => match said.strip_prefix(THINK_OPEN) {
                None if THINK_OPEN.starts_with(said) => Split::Thought(said),
                None => Split::Outside,
                Some(inner) => match inner.split_once(THINK_CLOSE) {
                    None => Split::Thought(said),
                    Some((_, acts)) => Split::Act(acts.into()),
                },
            },
        }
    }
}

enum Split<'s> {
    /// The thought is not closed; with its opening tag.
    Thought(&'s str),
    /// What stands behind the thought.
    Act(Cow<'s, str>),
    /// The turn did not begin with a thought.
    Outside,
}

/// Where `said` stands in `parts`.
fn stand(parts: &'static [Part], said: &str, below: [u32; 2]) -> Stand {
    let mut rest = said;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => match rest.strip_prefix(text) {
                Some(behind) => rest = behind,
                None => match text.strip_prefix(rest) {
                    Some(missing) => return Stand::Literal(missing, &parts[at + 1..]),
                    None => return Stand::Outside,
                },
            },
            Part::Number(axis) => {
                let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (digits, behind) = rest.split_at(n_digits);
                if digits.is_empty() {
                    return if behind.is_empty() { Stand::Number } else { Stand::Outside };
                }
                let Some(may_grow) = number(digits, below[*axis]) else { return Stand::Outside };
                if behind.is_empty() && may_grow {
                    return Stand::Number;
                }
                rest = behind;
            }
            Part::Words => return words(rest),
        }
    }
    if rest.is_empty() { Stand::Complete } else { Stand::Outside }
}

/// Whether more digits may follow `digits` in a number below `below`; none if there is no such number.
fn number(digits: &str, below: u32) -> Option<bool> {
    let value: u64 = digits.parse().ok()?;
    let is_canonical = digits.len() == 1 || !digits.starts_with('0');
    (is_canonical && value < u64::from(below)).then(|| value > 0 && value * 10 < u64::from(below))
}

/// Where an answer in words stands.
fn words(said: &str) -> Stand {
    let (inner, behind) = said.split_once(ANSWER_CLOSE).map_or((said, None), |(i, b)| (i, Some(b)));
    let is_blank = inner.trim().is_empty();
    let others = [THINK_OPEN, THINK_CLOSE, TOOL_CALL_OPEN, TOOL_CALL_CLOSE, ANSWER_OPEN, "<|"];
    match behind {
        _ if others.iter().any(|tag| inner.contains(tag)) => Stand::Outside,
        Some("") if !is_blank => Stand::Complete,
        Some(_) => Stand::Outside,
        // One space, or the answer would be put off for ever.
        None if is_blank && inner.len() > 1 => Stand::Outside,
        None if is_blank => Stand::Words(WordsStand::Blank),
        None => Stand::Words(WordsStand::Said),
    }
}

/// What may follow a literal, one of each sort.
fn after(parts: &[Part]) -> Vec<&'static str> {
    match parts.first() {
        None => vec![""],
        Some(Part::Text(text)) => vec![text],
        Some(Part::Number(_)) => NUMBERS.to_vec(),
        Some(Part::Words) => FREE.to_vec(),
    }
}

/// What all of the literals begin with, and how each goes on.
fn common(literals: &[(&'static str, &'static [Part])]) -> Next {
    let Some((first, then)) = literals.first() else { return Next::Choice };
    if literals.len() == 1 {
        return Next::Literal {
            text: (*first).to_owned(),
            then: after(then).iter().map(ToString::to_string).collect(),
        };
    }
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let n_shared = literals.iter().map(|(text, _)| shared(first, text)).min().unwrap_or(0);
    match n_shared {
        0 => Next::Choice,
        n => Next::Literal {
            text: first[..n].to_owned(),
            then: literals.iter().map(|(text, _)| text[n..].to_owned()).collect(),
        },
    }
}

/// What is missing of `closing` where `text` may end inside it already.
fn overlap<'c>(text: &str, closing: &'c str) -> &'c str {
    // A lone space at the end was said as part of the text, and is a beginning all the same.
    let begun = (1..closing.len()).rev().find(|&n| text.ends_with(&closing[..n]));
    let tag = closing.trim_start();
    let tag_begun = (1..tag.len()).rev().find(|&n| text.ends_with(&tag[..n]));
    match (begun, tag_begun) {
        (Some(n), _) => &closing[n..],
        (None, Some(n)) => &tag[n..],
        (None, None) => closing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Action, Coordinate, Reply, parse};

    const ZOOMING: TurnForm = TurnForm {
        opening: Opening::Thought,
        may_zoom: true,
        answer: AnswerKind::Point,
        written: AnswerForm::Tagged,
        below: [192, 160],
    };
    const BARE: TurnForm =
        TurnForm { opening: Opening::Bare, may_zoom: false, written: AnswerForm::Bare, ..ZOOMING };

    fn answering(opening: Opening, answer: AnswerKind) -> TurnForm {
        TurnForm { opening, may_zoom: false, answer, ..ZOOMING }
    }

    #[track_caller]
    fn check_literal(form: TurnForm, said: &str, expected: &str) {
        match form.next(said, false) {
            Next::Literal { text, then } => {
                assert_eq!(text, expected, "after {said:?}");
                assert!(!then.is_empty() && form.allows(said, &text), "{said:?}");
            }
            other => panic!("{other:?} after {said:?}"),
        }
    }

    #[track_caller]
    fn check_next(form: TurnForm, said: &str, expected: &Next) {
        assert_eq!(form.next(said, false), *expected, "after {said:?}");
    }

    #[test]
    fn every_prefix_of_what_the_grammar_prints_is_allowed_and_leads_to_the_end() {
        let at = Coordinate { x: 100.0, y: 7.0 };
        let answer = Reply::answer("red (3, 4)", &at.to_string()).to_string();
        let zoom = Reply::zoom("red (3, 4)", at).to_string();
        let words = Reply::answer("it", "left of it").to_string();
        let tail = |text: &str| text[text.find(ANSWER_OPEN).unwrap() + ANSWER_OPEN.len()..].to_owned();
        for (form, text) in [
            (ZOOMING, zoom.clone()),
            (ZOOMING, answer.clone()),
            (answering(Opening::Thought, AnswerKind::Point), answer.clone()),
            (answering(Opening::Thought, AnswerKind::Text), words.clone()),
            (TurnForm { answer: AnswerKind::Text, ..ZOOMING }, zoom),
            (answering(Opening::Answer, AnswerKind::Point), tail(&answer)),
            (answering(Opening::Answer, AnswerKind::Text), tail(&words)),
            (BARE, at.to_string()),
        ]
        .into_iter()
        .chain(other_families())
        {
            for end in 0..=text.len() {
                let said = &text[..end];
                assert!(form.allows("", said), "{said:?}");
                for cut in 0..end {
                    assert!(form.allows(&text[..cut], &text[cut..end]), "{:?} + {:?}", &text[..cut], said);
                }
                if let Next::Literal { text: literal, .. } = form.next(said, false) {
                    assert!(text[end..].starts_with(&literal), "{literal:?} after {said:?}");
                }
                if form.next(said, false) == Next::Choice {
                    let next = text[end..].chars().next().unwrap();
                    assert!(TurnForm::is_protocol_char(next), "{next:?} after {said:?}");
                }
                assert_eq!(form.next(said, false) == Next::End, end == text.len(), "after {said:?}");
            }
            assert!(form.may_end(&text));
        }
    }

    /// A turn that may end in no other way than with a point written so, and one such turn.
    fn other_families() -> Vec<(TurnForm, String)> {
        let forms = AnswerForm::ALL.into_iter().filter(|written| !written.has_protocol_tags());
        let turn = |written| {
            let point = filled(point_in_form(written), [100, 7]);
            match written {
                AnswerForm::PointsJson => {
                    let form = TurnForm { written, ..answering(Opening::Thought, AnswerKind::Point) };
                    (form, format!("<think> red (3, 4) </think>{point}"))
                }
                _ => (TurnForm { written, ..BARE }, point),
            }
        };
        forms.map(turn).collect()
    }

    #[test]
    fn literals_come_where_nothing_else_may() {
        check_literal(ZOOMING, "", "<think>");
        check_literal(ZOOMING, "<thi", "nk>");
        check_next(ZOOMING, "<think>", &Next::Free);
        check_next(ZOOMING, "<think> a </think", &Next::Free);
        // An action is chosen, but its tag begins alike.
        check_literal(ZOOMING, "<think> a </think>", "\n<");
        check_next(ZOOMING, "<think> a </think>\n<", &Next::Choice);
        check_literal(ZOOMING, "<think> a </think>\n<a", "nswer> (");
        let call = "{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [";
        check_literal(ZOOMING, "<think> a </think>\n<tool_call>", &format!("\n{call}"));
        check_literal(answering(Opening::Thought, AnswerKind::Point), "<think>a</think>", "\n<answer> (");
        check_literal(answering(Opening::Answer, AnswerKind::Point), "", " (");
        check_literal(BARE, "", "(");
        check_next(BARE, "(1, 2)", &Next::End);
    }

    #[test]
    fn other_families_are_held_to_their_own_form() {
        for (form, turn) in other_families() {
            let ending = form.longest_ending();
            assert!(parse(&ending, form.written).action != parse(&turn, form.written).action, "{ending}");
            let last = Some(Coordinate { x: 191.0, y: 159.0 });
            let reply = parse(&ending.replace(" </think>", "<think> </think>"), form.written);
            assert!(matches!(&reply.action, Action::Answer { point, .. } if *point == last), "{ending}");
        }
        let pair = TurnForm { written: AnswerForm::Pair, ..BARE };
        check_literal(pair, "(20", ",");
        assert!(!pair.allows("(20", ", "));
        let click = TurnForm { written: AnswerForm::Click, ..BARE };
        check_literal(click, "", "Action: click(point='<point>");
        assert!(!click.allows("", "<think>"));
    }

    #[test]
    fn numbers_are_those_of_the_screenshot() {
        let form = BARE;
        for said in ["(", "(1", "(19", "(16, ", "(16, 15"] {
            check_next(form, said, &Next::Choice);
        }
        // 192 is no column, and neither is 200.
        for said in ["(0", "(20", "(191", "(119"] {
            check_literal(form, said, ", ");
        }
        check_literal(form, "(5, 16", ")");
        check_literal(form, "(5, 0", ")");
        for (said, piece) in
            [("(", "192"), ("(19", "2"), ("(0", "1"), ("(", "-1"), ("(1", ".5"), ("(1", ",,")]
        {
            assert!(!form.allows(said, piece), "{said:?} + {piece:?}");
        }
        for (said, piece) in [("(", "191"), ("(19", "1"), ("(1", ","), ("(1", ", 1"), ("(1, 1", ")")] {
            assert!(form.allows(said, piece), "{said:?} + {piece:?}");
        }
        assert!(!form.allows("(1, 1", ") "), "nothing follows the end");
    }

    #[test]
    fn a_thought_holds_no_other_tags_and_does_not_end_the_turn() {
        for piece in ["<answer>", "</answer>", "<tool_call>", "</tool_call>", "<|im_end|>", "<think>"] {
            assert!(!ZOOMING.allows("<think> a ", piece), "{piece}");
        }
        assert!(!ZOOMING.allows("<think> a </tool_call", ">"));
        assert!(!ZOOMING.allows("", "Sure"));
        assert!(!ZOOMING.allows("<think> a </think>", "\n\n"));
        assert!(ZOOMING.allows("<think> a ", "</think>\n<tool_call>\n{"));
        assert!(!ZOOMING.may_end("<think> a") && !ZOOMING.may_end("<think> a </think>\n<answer> (1, 2"));
        assert!(!answering(Opening::Thought, AnswerKind::Point).allows("<think>a</think>", "\n<tool_call>"));
    }

    #[test]
    fn an_answer_in_words_is_not_empty() {
        let form = answering(Opening::Answer, AnswerKind::Text);
        check_next(form, "", &Next::Free);
        check_next(form, " left", &Next::Free);
        for (said, piece) in [("", " </answer>"), (" ", " "), (" ", "</answer>"), (" left", "<|im_end|>")] {
            assert!(!form.allows(said, piece), "{said:?} + {piece:?}");
        }
        assert!(form.allows(" left", " </answer>") && !form.may_end(" ") && form.may_end(" left"));
    }

    #[test]
    fn in_haste_what_is_open_is_closed() {
        #[track_caller]
        fn check(form: TurnForm, said: &str, expected: &str) {
            let Next::Literal { text, .. } = form.next(said, true) else {
                panic!("no literal after {said:?}")
            };
            assert_eq!(text, expected, "after {said:?}");
            assert!(form.allows(said, &text));
        }
        check(ZOOMING, "<think> a", " </think>\n<");
        check(ZOOMING, "<think> a ", "</think>\n<");
        check(ZOOMING, "<think> a </th", "ink>\n<");
        check(ZOOMING, "<think> a</th", "ink>\n<");
        check(ZOOMING, "<think> a </think>", "\n<");
        check(answering(Opening::Answer, AnswerKind::Text), " left", " </answer>");
        let blank = answering(Opening::Answer, AnswerKind::Text).next(" ", true);
        assert_eq!(blank, Next::Free, "there is nothing to close yet");
    }

    /// Takes whatever comes next, as a policy that chooses at random would.
    fn drift(form: TurnForm, seed: usize) -> String {
        let pieces =
            ["a", " ", "7", "1", "0", "</", "think>", ">", "\n", "<", "(", ", ", ")", "]}}", "t", "é"];
        let mut said = String::new();
        for step in 0..400 {
            match form.next(&said, step > 40) {
                Next::End => break,
                Next::Literal { text, .. } => said.push_str(&text),
                Next::Free | Next::Choice => {
                    let at = (0..pieces.len())
                        .map(|i| (seed * 31 + step * 17 + i * (seed % 7 + 1)) % pieces.len());
                    let singles = ('!'..='~').map(String::from);
                    let options = at.map(|i| pieces[i].to_owned()).chain(singles);
                    let piece = options.into_iter().find(|piece| form.allows(&said, piece));
                    said.push_str(&piece.expect("some text goes on"));
                }
            }
        }
        said
    }

    #[test]
    fn what_drifts_inside_the_form_can_be_read() {
        for seed in 0..500 {
            let read = |form: TurnForm, answer_form| parse(&drift(form, seed), answer_form).action;
            let zooming = read(ZOOMING, AnswerForm::Tagged);
            assert!(
                matches!(zooming, Action::Zoom(_) | Action::Answer { point: Some(_), .. }),
                "{zooming:?}"
            );
            let single = read(answering(Opening::Thought, AnswerKind::Point), AnswerForm::Tagged);
            assert!(matches!(single, Action::Answer { point: Some(_), .. }), "{single:?}");
            let bare = read(BARE, AnswerForm::Bare);
            assert!(matches!(bare, Action::Answer { point: Some(_), .. }), "{bare:?}");
            let words = read(answering(Opening::Thought, AnswerKind::Text), AnswerForm::Tagged);
            assert!(matches!(words, Action::Answer { .. }), "{words:?}");
            for (form, _) in other_families() {
                let other = read(form, form.written);
                assert!(matches!(other, Action::Answer { point: Some(_), .. }), "{other:?}");
            }
        }
    }
}
