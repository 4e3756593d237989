//! A line of an evaluation's record: one item in one mode and one draw, what was said, and whether that was right.
//!
//! Invariants: everything that is counted is counted of lines, so a table can be made again, and merged from parts of a run,
//! without the model and without the set; `id` is the item's own and the same in every run; `outcome` is `correct`, `wrong`,
//! `wrong_format`, or `error` where the world failed, and null where nobody could judge.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use vigorl_agent::{Ending, Features, Finding};
use vigorl_geometry::{Point, Rect};
use vigorl_judges::scoring::{Correctness, vigorl_text};
use vigorl_policy::wire::FORCED_FINAL_PREFIX;
use vigorl_policy::{Finish, Grounding, Turn};
use vigorl_tasks::picture::Region;

use crate::answers::pointed;
use crate::evaluation::{Circle, Item, Mode, Pictured, Played};

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is right.
    Correct,
    /// It could be read, and is not right.
    Wrong,
    /// It could not be read, and counts as wrong.
    WrongFormat,
    /// The world failed: nothing was answered, and nothing is counted.
    Error,
}

impl From<Correctness> for Outcome {
    fn from(correctness: Correctness) -> Self {
        match correctness {
            Correctness::Correct => Self::Correct,
            Correctness::Wrong => Self::Wrong,
            Correctness::WrongFormat => Self::WrongFormat,
        }
    }
}

impl Outcome {
    /// The verdict on an answer; nothing where the world failed.
    pub fn correctness(self) -> Option<Correctness> {
        match self {
            Self::Correct => Some(Correctness::Correct),
            Self::Wrong => Some(Correctness::Wrong),
            Self::WrongFormat => Some(Correctness::WrongFormat),
            Self::Error => None,
        }
    }

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        self.correctness().map_or("error", Correctness::as_str)
    }
}

/// Which item, how it is asked, and in which draw: no run has two lines of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The number of the item in its set.
    pub item: u64,
    /// How the policy is asked.
    pub mode: Mode,
    /// Which of the draws, from 0.
    pub draw: u64,
}

/// One item in one mode and one draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The item's own name.
    pub id: String,
    /// Its number in the set.
    pub item: u64,
    /// How the policy was asked.
    pub mode: Mode,
    /// Which of the draws, from 0.
    #[serde(default)]
    pub draw: u64,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// What was asked.
    pub instruction: String,
    /// What the policy was asked first, as a hash of the whole conversation's text; nothing if no policy was asked.
    #[serde(default)]
    pub prompt_sha256: Option<String>,
    /// The groups that the item belongs to, each with the value.
    pub values: Vec<(String, String)>,
    /// The screenshot that it was asked on, where it lies in a file.
    #[serde(default)]
    pub picture: Option<Pictured>,
    /// Where it is, in pixels of the screenshot: left, top, right and bottom of a box, or the corners of an outline.
    pub targets: Vec<Vec<f64>>,
    /// Whether it is not there.
    #[serde(default)]
    pub is_absent: bool,
    /// Probability of a uniform click to solve it, where that is known.
    #[serde(default)]
    pub chance: Option<f64>,
    /// `found`, `absent`, `ambiguous`, `unsure` or `malformed`.
    pub finding: Option<String>,
    /// Who said so.
    pub decided_by: Option<String>,
    /// The point, in pixels of the screenshot, acted on or not.
    pub point: Option<[f64; 2]>,
    /// Whether that point is right, acted on or not.
    #[serde(default)]
    pub is_point_right: Option<bool>,
    /// Whether something was done.
    pub is_answered: bool,
    /// Whether the item was solved; nothing if nobody could judge.
    pub is_right: Option<bool>,
    /// How sure the eyes were.
    pub confidence: Option<f64>,
    /// What that confidence was fitted on.
    pub calibrated_on: Option<String>,
    /// What it was made of.
    pub features: Option<Features>,
    /// Why nothing was done, or what else is known.
    pub why: Option<String>,
    /// The question that this is one asking of, where each is asked with its options in several orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circle: Option<Circle>,
    /// The answer, of a question that is answered in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The right answer in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// Whether the answer in words is the right one and nothing else; `is_right` also takes one that contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_right_strict: Option<bool>,
    /// All turns of all steps.
    #[serde(default)]
    pub turns: Vec<Said>,
    /// How the episode ended: `judged`, `step_limit`, `token_limit` or `error`.
    #[serde(default)]
    pub ending: String,
    /// From the first screenshot to the verdict; nothing if the world could not begin.
    #[serde(default)]
    pub millis: Option<f64>,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// What the policy said.
    pub text: String,
    /// Whether it was made to answer: the forced beginning is not in the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_forced: bool,
    /// Whether the conversation ended with it, and the next turn knows nothing of it but where it looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_given_up: bool,
    /// Whether a limit of tokens cut it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// The points of its thoughts, in pixels of the screenshot.
    pub points: Vec<[f64; 2]>,
    /// Where it zoomed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zoom: Option<[f64; 2]>,
    /// What it was shown for that: left, top, right and bottom on the screenshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[f64; 4]>,
    /// Tokens in front of it, images included; 0 where that is not told.
    pub n_prompt_tokens: usize,
    /// Tokens of it; 0 where they are not told.
    pub n_tokens: usize,
    /// For images, prompt and sampling.
    pub millis: f64,
}

impl Said {
    fn of(turn: &Turn) -> Self {
        let said = &turn.completion;
        let time = said.vision + said.prefill + said.decode;
        Self {
            text: said.text.clone(),
            is_forced: turn.forced,
            is_given_up: turn.went_back || turn.checked,
            is_cut: said.finish == Finish::Length,
            points: turn.thoughts.iter().flat_map(|thought| &thought.points).map(|at| [at.x, at.y]).collect(),
            zoom: turn.zoom.map(|at| [at.x, at.y]),
            crop: turn.crop.as_ref().map(|crop| {
                let window = &crop.plan.window;
                [window.left, window.top, window.right, window.bottom]
            }),
            n_prompt_tokens: said.n_prompt_tokens,
            n_tokens: said.token_ids.len(),
            millis: millis(time),
        }
    }
}

/// To a tenth of a millisecond: what is beyond it is noise.
fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

impl Line {
    /// Whether another line is of the same item, as far as what is asked tells.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        self.asked() == other.asked()
    }

    fn asked(&self) -> impl PartialEq + '_ {
        let Self { instruction, picture, targets, is_absent, circle, truth, .. } = self;
        (instruction, picture, targets, is_absent, circle, truth)
    }

    /// The line of an item that was played, which took `time`.
    pub fn of(played: &Played, mode: Mode, draw: u64, number: u64, time: std::time::Duration) -> Self {
        let Played { item, episode } = played;
        let sighting = played.sighting();
        let confidence = sighting.and_then(|sighting| sighting.confidence.as_ref());
        let error = episode.error();
        let sightings = || episode.steps.iter().flat_map(|step| &step.sightings);
        let at = sighting.and_then(|sighting| match sighting.finding {
            Finding::Found(at) | Finding::Unsure(at, _) => Some(at),
            Finding::Absent(_) | Finding::Ambiguous(_) | Finding::Malformed(_) => None,
        });
        let why = episode.steps.iter().rev().find_map(|step| step.detail.as_deref());
        Self {
            id: item.id.clone(),
            item: number,
            mode,
            draw,
            outcome: match error {
                Some(_) => Some(Outcome::Error),
                None => played.outcome().map(Outcome::from),
            },
            instruction: item.instruction.clone(),
            prompt_sha256: sightings().find_map(|sighting| sighting.grounding.prompt_sha256.clone()),
            values: item.values.iter().map(|(group, value)| ((*group).to_owned(), value.clone())).collect(),
            picture: item.picture.clone(),
            targets: item.targets.iter().map(Region::numbers).collect(),
            is_absent: item.is_absent,
            chance: item.chance,
            finding: sighting.map(|sighting| sighting.finding.name().to_owned()),
            decided_by: sighting.map(|sighting| sighting.decided_by.clone()),
            point: at.map(|at| [at.x, at.y]),
            is_point_right: pointed(played),
            is_answered: error.is_none() && played.is_answered(),
            is_right: error.is_none().then(|| played.is_right()).flatten(),
            confidence: confidence.map(|confidence| confidence.value),
            calibrated_on: confidence.and_then(|confidence| confidence.domain.clone()),
            features: confidence.map(|confidence| confidence.features.clone()),
            why: error.or(why).map(str::to_owned),
            circle: item.circle.clone(),
            answer: None,
            truth: None,
            is_right_strict: None,
            turns: sightings().flat_map(|sighting| &sighting.grounding.turns).map(Said::of).collect(),
            ending: match &episode.ending {
                Ending::Judged | Ending::Cancelled => "judged",
                Ending::StepLimit => STEP_LIMIT,
                Ending::TokenLimit => TOKEN_LIMIT,
                Ending::Error(_) => "error",
            }
            .to_owned(),
            millis: episode.start.is_some().then(|| millis(time)),
        }
    }

    /// The line of a question that was answered in words, or that nobody could ask.
    pub fn in_words(
        item: &Item,
        truth: &str,
        said: Result<&Grounding, &str>,
        (mode, draw, number): (Mode, u64, u64),
        time: std::time::Duration,
    ) -> Self {
        let turns: Vec<Said> = said.map_or(Vec::new(), |said| said.turns.iter().map(Said::of).collect());
        let verdict = said.map_err(str::to_owned).and_then(|_| {
            vigorl_text(&final_turns(&turns).iter().map(|turn| &**turn).collect::<Vec<_>>(), truth)
                .map_err(|error| error.to_string())
        });
        let correctness = verdict.as_ref().ok();
        Self {
            id: item.id.clone(),
            item: number,
            mode,
            draw,
            outcome: Some(correctness.map_or(Outcome::Error, |[lenient, _]| Outcome::from(*lenient))),
            instruction: item.instruction.clone(),
            prompt_sha256: said.ok().and_then(|said| said.prompt_sha256.clone()),
            values: item.values.iter().map(|(group, value)| ((*group).to_owned(), value.clone())).collect(),
            picture: item.picture.clone(),
            targets: Vec::new(),
            is_absent: false,
            chance: item.chance,
            finding: None,
            decided_by: None,
            point: None,
            is_point_right: None,
            is_answered: said.is_ok_and(|said| said.answer_text.is_some()),
            is_right: correctness.map(|[lenient, _]| *lenient == Correctness::Correct),
            confidence: said.ok().and_then(|said| said.confidence),
            calibrated_on: None,
            features: None,
            why: verdict.as_ref().err().cloned(),
            circle: item.circle.clone(),
            answer: said.ok().and_then(|said| said.answer_text.clone()),
            truth: Some(truth.to_owned()),
            is_right_strict: correctness.map(|[_, strict]| *strict == Correctness::Correct),
            turns,
            ending: match said {
                Err(_) => "error",
                Ok(said) if said.out_of_tokens() => TOKEN_LIMIT,
                Ok(_) => "judged",
            }
            .to_owned(),
            millis: Some(millis(time)),
        }
    }

    /// The same under the strict rule, of an answer in words.
    pub(crate) fn strict(&self) -> Self {
        let outcome = match (self.outcome, self.is_right_strict) {
            (Some(Outcome::Correct | Outcome::Wrong), Some(is_right)) => {
                Some(Outcome::from(Correctness::of(is_right)))
            }
            (outcome, _) => outcome,
        };
        Self { outcome, is_right: self.is_right_strict, ..self.clone() }
    }

    /// Which line it is.
    pub fn key(&self) -> Key {
        Key { item: self.item, mode: self.mode, draw: self.draw }
    }

    /// Whether the item has this value of this group.
    pub fn is_of(&self, group: &str, value: &str) -> bool {
        self.values.iter().any(|(of, its)| of == group && its == value)
    }

    /// The first value of a group.
    pub fn value(&self, group: &str) -> Option<&str> {
        self.values.iter().find(|(of, _)| of == group).map(|(_, value)| &**value)
    }

    /// Whether the world failed.
    pub fn is_error(&self) -> bool {
        self.outcome == Some(Outcome::Error)
    }

    /// Crops that were shown.
    pub fn n_zooms(&self) -> usize {
        self.turns.iter().filter(|turn| turn.crop.is_some()).count()
    }

    /// What shares its luck: items on the same screenshot are no independent observations.
    pub fn cluster(&self) -> &str {
        self.picture.as_ref().map_or(&self.id, |picture| &picture.name)
    }

    /// Where it is.
    pub fn regions(&self) -> Vec<Region> {
        let region = |numbers: &Vec<f64>| match numbers[..] {
            [left, top, right, bottom] => Region::Box(Rect::new(left, top, right, bottom)),
            ref corners => {
                Region::Polygon(corners.chunks_exact(2).map(|at| Point::new(at[0], at[1])).collect())
            }
        };
        self.targets.iter().map(region).collect()
    }

    /// The area of the first target in pixels of the screenshot, where it is known.
    pub fn target_area(&self) -> Option<f64> {
        self.regions().first().map(Region::area)
    }
}

/// What was said in the conversation that led to the answer, turn by turn, as judges read it: with the beginning that a turn was
/// made to have, and without the turns of conversations that were given up.
pub(crate) fn final_turns(turns: &[Said]) -> Vec<Cow<'_, str>> {
    fn words(turn: &Said) -> Cow<'_, str> {
        match turn.is_forced {
            true => Cow::Owned(format!("{FORCED_FINAL_PREFIX}{}", turn.text)),
            false => Cow::Borrowed(&turn.text),
        }
    }
    let begin = turns.iter().rposition(|turn| turn.is_given_up).map_or(0, |at| at + 1);
    turns[begin..].iter().map(words).collect()
}

/// An ending by a limit of steps, actions or time.
pub(crate) const STEP_LIMIT: &str = "step_limit";
/// An ending by a limit of tokens.
pub(crate) const TOKEN_LIMIT: &str = "token_limit";
