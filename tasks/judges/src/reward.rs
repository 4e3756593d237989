//! The rewards of the reference.
//!
//! Invariants: in mode [`Mode::Reference`] every number is the reference's, also where that is surprising. Mode
//! [`Mode::Fixed`] differs in what [`Mode::DIFFERENCES`] names, and in nothing else. Both read texts alone, so the same
//! texts give the same numbers.
//! Source: grounded-rl@e7970c0, as summarised in the specification's section 3.

use serde::{Deserialize, Serialize};

use crate::action;
use crate::answer::{first, has_form, in_any_case, over_lines, thinks_with_a_point, without_letter};
use crate::literal::{Numbers, numbers};
use crate::python::strip;
use crate::record::{Entry, Judgement, Mixture, Unrewarded};
use crate::turns::{self, Wanted};

/// How exactly the reference is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As it is.
    Reference,
    /// As it was meant.
    Fixed,
}

impl Mode {
    /// All of them, by their names.
    pub const NAMED: [(&str, Self, &str); 2] = [
        ("reference", Self::Reference, "exactly as the published rewards are, with what is wrong with them"),
        ("fixed", Self::Fixed, "repaired in nine places, which --list names"),
    ];

    /// What mode `fixed` does differently, in words.
    pub const DIFFERENCES: [&str; 9] = [
        "an answer may go over several lines",
        "the truth of string_match_grounded_thinking and string_match is compared without regard to case",
        "an action is the first word of an answer, not any part of it",
        "what is typed is compared, too",
        "numbers with fractions are accepted wherever a coordinate is read",
        "the format is worth 1 at most; distinct coordinates are a term of their own, diversity",
        "diversity is paid only if the answer is right",
        "the form of a single turn is that of the answer that is compared, not of another one",
        "diversity is worth 0.6 at most: four distinct coordinates, as many as the reference's turns allow",
    ];
}

/// A reward function of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reward {
    /// One turn that thinks with a point and answers with one inside of a box.
    PointInBboxGroundedThinking,
    /// Several turns with zooms, and a point inside of a box.
    PointInBboxMulticrop,
    /// One turn that thinks with a point and answers with a text.
    StringMatchGroundedThinking,
    /// Several turns with zooms, and a text.
    StringMatchMultiturn,
    /// One turn that thinks with a point and answers with an action.
    WebActionGroundedThinking,
    /// A point inside of a box.
    PointInBbox,
    /// A text.
    StringMatch,
    /// An action.
    WebAction,
}

/// What an answer is worth, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth {
    /// The mixture of the terms.
    pub overall: f64,
    /// How well the form is kept.
    pub format: f64,
    /// Whether the answer is right.
    pub accuracy: f64,
    /// Every term, also those that count through others.
    pub judgement: Judgement,
}

/// Names of terms.
pub(crate) const ACCURACY: &str = "accuracy";
pub(crate) const FORMAT: &str = "format";
pub(crate) const DIVERSITY: &str = "diversity";
/// The two halves of the format of a single turn; they count through it.
pub(crate) const TAGS: &str = "tags";
pub(crate) const GROUNDING: &str = "grounding";

const ONE: [f64; 2] = [0.0, 1.0];

/// What is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Point,
    Text,
    Action,
}

/// What is asked of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Thoughts and an answer.
    Plain,
    /// Thoughts with a point, and an answer.
    Grounded,
    /// Turns with zooms.
    Turns,
}

impl Reward {
    /// All of them, by their names, with what they judge.
    pub const NAMED: [(&str, Self, &str); 8] = [
        (
            "point_in_bbox_grounded_thinking",
            Self::PointInBboxGroundedThinking,
            "one turn that thinks with a point, and a point inside of the true box",
        ),
        (
            "point_in_bbox_multicrop",
            Self::PointInBboxMulticrop,
            "several turns with zooms, and a point inside of the true box",
        ),
        (
            "string_match_grounded_thinking",
            Self::StringMatchGroundedThinking,
            "one turn that thinks with a point, and the true text",
        ),
        ("string_match_multiturn", Self::StringMatchMultiturn, "several turns with zooms, and the true text"),
        (
            "web_action_grounded_thinking",
            Self::WebActionGroundedThinking,
            "one turn that thinks with a point, and the true action",
        ),
        ("point_in_bbox", Self::PointInBbox, "one turn, and a point inside of the true box"),
        ("string_match", Self::StringMatch, "one turn, and the true text"),
        ("web_action", Self::WebAction, "one turn, and the true action"),
    ];

    /// The reward of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, ..)| *known == name).map(|(_, reward, _)| *reward)
    }

    fn parts(self) -> (Answered, Form) {
        match self {
            Self::PointInBboxGroundedThinking => (Answered::Point, Form::Grounded),
            Self::PointInBboxMulticrop => (Answered::Point, Form::Turns),
            Self::StringMatchGroundedThinking => (Answered::Text, Form::Grounded),
            Self::StringMatchMultiturn => (Answered::Text, Form::Turns),
            Self::WebActionGroundedThinking => (Answered::Action, Form::Grounded),
            Self::PointInBbox => (Answered::Point, Form::Plain),
            Self::StringMatch => (Answered::Text, Form::Plain),
            Self::WebAction => (Answered::Action, Form::Plain),
        }
    }

    /// The names of what [`Self::judge`] says.
    pub fn terms(self, mode: Mode) -> &'static [&'static str] {
        match (self.parts().1, mode) {
            (Form::Plain, _) => &[ACCURACY, FORMAT],
            (Form::Grounded, _) => &[ACCURACY, FORMAT, TAGS, GROUNDING],
            (Form::Turns, Mode::Reference) => &[ACCURACY, FORMAT],
            (Form::Turns, Mode::Fixed) => &[ACCURACY, FORMAT, DIVERSITY],
        }
    }

    /// How the function itself weighs its terms.
    pub fn mixture(self, mode: Mode) -> Mixture {
        let weights: &[(&str, f64)] = match (self.parts().1, mode) {
            (Form::Plain | Form::Grounded, _) => &[(ACCURACY, 0.5), (FORMAT, 0.5)],
            (Form::Turns, Mode::Reference) => &[(ACCURACY, 0.6), (FORMAT, 0.4)],
            (Form::Turns, Mode::Fixed) => &[(ACCURACY, 0.6), (FORMAT, 0.4), (DIVERSITY, 0.4)],
        };
        let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        Mixture::try_new(weights).unwrap_or_else(|why| unreachable!("{why}"))
    }

    /// Says what a response is worth, term by term.
    pub fn judge(self, mode: Mode, response: &str, truth: &str) -> Judgement {
        let (answered, form) = self.parts();
        let accuracy = match answered {
            Answered::Point => f64::from(is_in_box(response, truth, mode)),
            Answered::Text if form == Form::Turns => f64::from(is_said_in_any_case(response, truth)),
            Answered::Text => f64::from(is_said(response, truth, mode)),
            Answered::Action => action::worth(answer(response, mode), truth, mode),
        };
        Judgement { entries: self.said(mode, response, Ok((accuracy, ONE))) }
    }

    /// The same where a world says whether the answer is right: so much, within these bounds, or why nobody knows.
    pub(crate) fn said(
        self,
        mode: Mode,
        response: &str,
        accuracy: Result<(f64, [f64; 2]), &str>,
    ) -> Vec<Entry> {
        let (answered, form) = self.parts();
        let mut entries = vec![match accuracy {
            Ok((accuracy, bounds)) => Entry::worth(ACCURACY, accuracy, bounds),
            Err(why) => Entry::failed(ACCURACY, why),
        }];
        let tags = || f64::from(has_answer_of(answered, response, mode));
        match form {
            Form::Plain => entries.push(Entry::worth(FORMAT, tags(), ONE)),
            Form::Grounded => {
                let (tags, grounding) = (tags(), f64::from(thinks_with_a_point(response, mode)));
                entries.push(Entry::worth(FORMAT, tags * grounding, ONE));
                entries.push(Entry::worth(TAGS, tags, ONE));
                entries.push(Entry::worth(GROUNDING, grounding, ONE));
            }
            Form::Turns => {
                let wanted = if answered == Answered::Point { Wanted::Point } else { Wanted::Text };
                let form = turns::form(response, wanted, mode);
                let (kept, diversity, most) =
                    form.map_or((0.0, 0.0, 0.0), |form| (1.0, form.diversity, form.most));
                let bound = turns::MOST_DIVERSITY;
                if mode == Mode::Reference {
                    entries.push(Entry::worth(FORMAT, kept + diversity, [0.0, 1.0 + most]));
                } else {
                    entries.push(Entry::worth(FORMAT, kept, ONE));
                    entries.push(match accuracy {
                        Ok((accuracy, _)) => {
                            let right = accuracy.clamp(0.0, 1.0);
                            Entry::worth(DIVERSITY, diversity.min(bound) * right, [0.0, bound])
                        }
                        Err(why) => Entry::failed(DIVERSITY, why),
                    });
                }
            }
        }
        entries
    }

    /// Says what a response is worth, in the three numbers of the reference.
    ///
    /// # Errors
    /// Never with the function's own terms; the mixture of a record can fail, and this is one.
    pub fn worth(self, mode: Mode, response: &str, truth: &str) -> Result<Worth, Unrewarded> {
        let judgement = self.judge(mode, response, truth);
        Ok(Worth {
            overall: self.mixture(mode).reward(&judgement)?,
            format: judgement.entry(FORMAT)?.value()?,
            accuracy: judgement.entry(ACCURACY)?.value()?,
            judgement,
        })
    }
}

/// The answer, or all of the response if nothing is marked as one.
fn answer(response: &str, mode: Mode) -> &str {
    strip(first(response, mode).unwrap_or(response))
}

/// Whether a response is thoughts and an answer of this kind, and nothing else.
fn has_answer_of(answered: Answered, response: &str, mode: Mode) -> bool {
    let answer = match mode {
        Mode::Reference => over_lines(response),
        // The answer whose accuracy is judged: two answers could otherwise earn one half each.
        Mode::Fixed => first(response, mode),
    };
    let answer = strip(answer.unwrap_or_default());
    let fits = || match answered {
        Answered::Point => {
            let is_tuple = |point: Numbers<2>| point.is_tuple;
            answer.starts_with('(')
                && answer.ends_with(')')
                && numbers::<2>(answer, mode).is_some_and(is_tuple)
        }
        Answered::Text => !answer.is_empty(),
        Answered::Action => true,
    };
    has_form(response) && fits()
}

fn is_in_box(response: &str, truth: &str, mode: Mode) -> bool {
    let (point, edges) = (numbers::<2>(answer(response, mode), mode), numbers::<4>(strip(truth), mode));
    let (Some(Numbers { numbers: [x, y], .. }), Some(Numbers { numbers: [left, top, right, bottom], .. })) =
        (point, edges)
    else {
        return false;
    };
    left.is_at_most(&x) && x.is_at_most(&right) && top.is_at_most(&y) && y.is_at_most(&bottom)
}

fn is_said(response: &str, truth: &str, mode: Mode) -> bool {
    let said = without_letter(answer(response, mode), mode).to_lowercase();
    let truth = strip(truth);
    match mode {
        // Only one side is in small letters: a truth with a capital is never said.
        Mode::Reference => said == truth,
        Mode::Fixed => said == truth.to_lowercase(),
    }
}

fn is_said_in_any_case(response: &str, truth: &str) -> bool {
    let said = strip(in_any_case(response).unwrap_or(response));
    said.to_lowercase() == strip(truth).to_lowercase()
}
