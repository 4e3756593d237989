//! The files of a run as types: the only place where a run is turned into JSON and back.
//!
//! Invariant: a record is evidence, never an input of the loop. Positions are screenshot pixels, durations are
//! milliseconds, images are named by file and never inlined. The names are those of the run directory's
//! format; readers tolerate unknown fields and unknown events.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigorl_agent::Sighting;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Act, Action, Effect, TroubleKind};
use vigorl_policy::{Grounding, Turn};
use vigorl_tasks::Verification;
use vigorl_tasks::practice::PageSpec;

/// Version of the run directory's format.
pub const FORMAT: u32 = 1;

/// A number of pixels or milliseconds that prints without `.0` when whole.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Plain(pub f64);

/// For people: at most one decimal.
impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 10.0).round() / 10.0;
        if rounded.fract() == 0.0 { write!(f, "{rounded:.0}") } else { write!(f, "{rounded:.1}") }
    }
}

impl Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// `[x, y]`.
pub type Xy = [Plain; 2];
/// `[left, top, right, bottom]`.
pub type Box4 = [Plain; 4];

/// The record of a point.
pub fn xy(point: Point<Screen>) -> Xy {
    [Plain(point.x), Plain(point.y)]
}

/// The record of a rectangle.
pub fn box4(rect: Rect<Screen>) -> Box4 {
    [Plain(rect.left), Plain(rect.top), Plain(rect.right), Plain(rect.bottom)]
}

/// Milliseconds with three decimals.
pub fn millis(duration: Duration) -> Plain {
    Plain((duration.as_secs_f64() * 1e6).round() / 1e3)
}

/// Which weights were asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// `nano`, a folder, a hub name, or the name under which a server has it.
    pub name: String,
    /// SHA-256 of the weights; absent for a policy without any, and unknown behind an [endpoint](Self::endpoint).
    pub sha256: Option<String>,
    /// Screenshots and crops of more pixels were reduced to these before the network saw them.
    #[serde(default)]
    pub max_pixels: Option<u64>,
    /// Whether turns were held to their form.
    #[serde(default)]
    pub constrained: bool,
    /// The server that was asked, where the weights are not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointRecord>,
}

/// Who was asked in place of weights of one's own, and what was found out about them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The server's address; it carries no secret.
    pub base_url: String,
    /// The name under which it has the model.
    pub served_model: String,
    /// What it takes, refuses or ignores, in words, by name.
    pub found: BTreeMap<String, String>,
    /// How many pixels it is stated to show its model, least and most.
    pub pixels: [u64; 2],
    /// What is known of its weights.
    pub weights: String,
}

/// `run.json`: everything needed to understand and to repeat the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// What the run is about, for people.
    pub task: String,
    /// What was to be done, as given.
    #[serde(default)]
    pub input: InputRecord,
    /// The policy.
    pub model: ModelRecord,
    /// Resolved settings with the origin of each value.
    pub settings: serde_json::Value,
    /// Every seed by name.
    pub seeds: BTreeMap<String, u64>,
    /// Versions of programs and libraries by name.
    pub versions: BTreeMap<String, String>,
    /// Date of the start.
    pub started_at: String,
}

/// What a run was given to do: with the settings, enough to do it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The text of the task file.
    pub task_file: Option<String>,
    /// Its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Values of its variables that were given from outside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// The page it started on.
    pub url: Option<String>,
    /// The file of cookies and local storage that was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<PathBuf>,
    /// Host and port of the browser that ran already and was worked in; absent if the run had one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<String>,
    /// Width and height of the visible area in CSS pixels.
    pub viewport: Option<[u32; 2]>,
    /// The practice pages.
    pub pages: Option<PagesRecord>,
    /// What another evaluation played: its name and version, and the items in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<serde_json::Value>,
    /// Steps that might be taken.
    pub max_steps: Option<usize>,
    /// Whether nothing was to be done to the page.
    pub dry_run: bool,
    /// Whether targets were found by the places that the task names, without a policy.
    #[serde(default)]
    pub places: bool,
}

/// Which practice pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PagesRecord {
    /// The first one: seed, split, tier, size, number and size of widgets. The others count its seed up.
    pub first: PageSpec,
    /// How many.
    pub n_pages: u64,
}

/// Time of one turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnMillis {
    /// Images.
    pub vision: Plain,
    /// New prompt tokens.
    pub prefill: Plain,
    /// Sampling.
    pub decode: Plain,
}

/// A thought and where it looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ThoughtRecord {
    /// The sentence.
    pub text: String,
    /// The points it names.
    pub points: Vec<Xy>,
}

/// One turn of the policy in `model.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// The sampled text.
    pub completion: String,
    /// The thoughts in order.
    pub thoughts: Vec<ThoughtRecord>,
    /// Where the turn asked to zoom.
    pub zoom: Option<Xy>,
    /// The window that was shown for it.
    pub crop: Option<Box4>,
    /// Tokens in front of the completion.
    pub n_prompt_tokens: usize,
    /// Tokens of the completion.
    pub n_completion_tokens: usize,
    /// Sum of the log-probabilities of the sampled tokens.
    pub logprob_sum: f64,
    /// Where the time went.
    pub millis: TurnMillis,
    /// Of the completion's tokens, how many the form of the turn forced, so that they were not sampled; absent
    /// without a form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_forced_tokens: Option<usize>,
    /// Passes of the network behind the prompt.
    #[serde(default)]
    pub n_passes: usize,
    /// Of the prompt tokens, how many were computed in an earlier turn.
    #[serde(default)]
    pub n_cached_tokens: usize,
    /// Whether the final answer was forced.
    #[serde(default)]
    pub forced: bool,
    /// Whether its beginning was only asked for in words, because the policy could not be made to begin so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prefix_in_words: bool,
    /// Why the turn could not be used, where the episode went on nevertheless.
    #[serde(default)]
    pub malformed: Option<String>,
    /// Whether it ran into a dead end: the next turn continues the opening, and knows nothing of this one.
    #[serde(default)]
    pub went_back: bool,
    /// Whether its answer is checked: the next turn judges a crop taken there, and knows nothing else.
    #[serde(default)]
    pub checked: bool,
    /// First looks thrown away before this one, because they showed nothing new.
    #[serde(default)]
    pub n_thrown_away: usize,
}

/// `model.json`: what the policy said in one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroundingRecord {
    /// All turns.
    pub turns: Vec<TurnRecord>,
    /// The point answered.
    pub answer: Option<Xy>,
    /// The answer as written, point or not.
    #[serde(default)]
    pub answer_text: Option<String>,
    /// Confidence in 0..=1.
    pub confidence: Option<f64>,
    /// What the confidence was fitted on: it is a share of right answers there. Absent where it is not calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_on: Option<String>,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why there is no answer.
    pub malformed: Option<String>,
    /// Each thing that had to be found, in order, where it was more than one; the first is the one above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<FoundRecord>,
}

/// One of several things that had to be found in one step, such as the end of a drag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FoundRecord {
    /// How many of the step's turns looked for it.
    pub n_turns: usize,
    /// The point answered.
    pub answer: Option<Xy>,
    /// Confidence in 0..=1.
    pub confidence: Option<f64>,
    /// Why there is no answer.
    pub malformed: Option<String>,
}

impl From<&Turn> for TurnRecord {
    fn from(turn: &Turn) -> Self {
        let said = &turn.completion;
        let thoughts = turn.thoughts.iter().map(|thought| ThoughtRecord {
            text: thought.text.clone(),
            points: thought.points.iter().copied().map(xy).collect(),
        });
        Self {
            completion: said.text.clone(),
            thoughts: thoughts.collect(),
            zoom: turn.zoom.map(xy),
            crop: turn.crop.as_ref().map(|crop| box4(crop.plan.window)),
            n_prompt_tokens: said.n_prompt_tokens,
            n_completion_tokens: said.n_tokens(),
            n_forced_tokens: (!said.forced.is_empty()).then(|| said.n_forced()),
            n_passes: said.n_passes,
            logprob_sum: said.logprobs.iter().copied().map(f64::from).sum(),
            millis: TurnMillis {
                vision: millis(said.vision),
                prefill: millis(said.prefill),
                decode: millis(said.decode),
            },
            n_cached_tokens: said.n_cached_tokens,
            forced: turn.forced,
            prefix_in_words: said.prefix_in_words,
            malformed: turn.malformed.as_ref().map(ToString::to_string),
            went_back: turn.went_back,
            checked: turn.checked,
            n_thrown_away: turn.n_thrown_away,
        }
    }
}

impl From<&Grounding> for GroundingRecord {
    fn from(grounding: &Grounding) -> Self {
        Self {
            turns: grounding.turns.iter().map(TurnRecord::from).collect(),
            answer: grounding.answer.map(xy),
            answer_text: grounding.answer_text.clone(),
            confidence: grounding.confidence,
            calibrated_on: None,
            decided_by: None,
            malformed: grounding.malformed.as_ref().map(ToString::to_string),
            found: Vec::new(),
        }
    }
}

impl From<&Sighting> for GroundingRecord {
    fn from(sighting: &Sighting) -> Self {
        let confidence = sighting.confidence.as_ref();
        Self {
            confidence: confidence.map(|confidence| confidence.value),
            calibrated_on: confidence.and_then(|confidence| confidence.domain.clone()),
            decided_by: Some(sighting.decided_by.clone()),
            ..Self::from(&sighting.grounding)
        }
    }
}

impl GroundingRecord {
    /// The record of what was said in one step; `None` if nothing was asked.
    ///
    /// With two things to find (a drag), the turns of both are listed and the answer is the first one's.
    pub fn of(sightings: &[Sighting]) -> Option<Self> {
        let all: Vec<Self> = sightings.iter().map(Self::from).collect();
        let mut record = all.first()?.clone();
        for further in &all[1..] {
            record.turns.extend_from_slice(&further.turns);
            record.malformed = record.malformed.or_else(|| further.malformed.clone());
        }
        if all.len() > 1 {
            record.found = all.into_iter().map(FoundRecord::from).collect();
        }
        Some(record)
    }
}

impl From<GroundingRecord> for FoundRecord {
    fn from(one: GroundingRecord) -> Self {
        let GroundingRecord { turns, answer, confidence, malformed, .. } = one;
        Self { n_turns: turns.len(), answer, confidence, malformed }
    }
}

/// An executed or intended action.
pub type ActionRecord = Act<Xy>;

/// The record of an action.
pub fn action_record(action: &Action) -> ActionRecord {
    action.map(|at| xy(*at))
}

/// Where the time of a step, an episode or a run went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Screenshots and page state.
    pub capture: Plain,
    /// The policy's images.
    pub vision: Plain,
    /// The policy's new prompt tokens.
    pub prefill: Plain,
    /// The policy's sampling.
    pub decode: Plain,
    /// The rest of grounding: prompt, crops, parsing.
    #[serde(default)]
    pub protocol: Plain,
    /// The input events.
    pub act: Plain,
    /// Waiting for the page to become quiet.
    #[serde(default)]
    pub settle: Plain,
    /// Comparing before and after, asking the judge.
    #[serde(default)]
    pub verify: Plain,
    /// Writing records.
    #[serde(default)]
    pub record: Plain,
}

impl Timings {
    /// The phases by name, in the order in which they happen.
    pub fn phases(&self) -> [(&'static str, f64); 9] {
        [
            ("capture", self.capture.0),
            ("vision", self.vision.0),
            ("prefill", self.prefill.0),
            ("decode", self.decode.0),
            ("protocol", self.protocol.0),
            ("act", self.act.0),
            ("settle", self.settle.0),
            ("verify", self.verify.0),
            ("record", self.record.0),
        ]
    }

    /// All phases together.
    pub fn total(&self) -> f64 {
        self.phases().iter().map(|(_, millis)| millis).sum()
    }

    /// All phases but the policy's.
    pub fn overhead(&self) -> f64 {
        self.total() - self.vision.0 - self.prefill.0 - self.decode.0
    }

    /// Adds another step's times.
    pub fn add(&mut self, other: &Self) {
        *self = self.zip(other, |a, b| a + b);
    }

    /// What was added since these were `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        self.zip(earlier, |a, b| a - b)
    }

    fn zip(&self, other: &Self, with: impl Fn(f64, f64) -> f64) -> Self {
        let phase = |a: Plain, b: Plain| Plain((with(a.0, b.0) * 1e3).round() / 1e3);
        Self {
            capture: phase(self.capture, other.capture),
            vision: phase(self.vision, other.vision),
            prefill: phase(self.prefill, other.prefill),
            decode: phase(self.decode, other.decode),
            protocol: phase(self.protocol, other.protocol),
            act: phase(self.act, other.act),
            settle: phase(self.settle, other.settle),
            verify: phase(self.verify, other.verify),
            record: phase(self.record, other.record),
        }
    }
}

/// The affine maps of a step as `[scale_x, scale_y, offset_x, offset_y]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MapsRecord {
    /// CSS pixels from screenshot pixels.
    pub viewport_from_screen: [f64; 4],
    /// Pixels of each zoom's crop from screenshot pixels.
    pub crop_from_screen: Vec<[f64; 4]>,
}

/// `action.json`: one step of the loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Number of the step in the run, from 1; the folder's name.
    pub step: usize,
    /// Number of the episode, from 1.
    pub episode: usize,
    /// What the step was to do.
    pub instruction: String,
    /// The box of what the step is about, where the task tells it; the policy never sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Box4>,
    /// What the page says is at the point, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<ElementRecord>,
    /// What the eyes found last: `found`, `absent`, `ambiguous`, `unsure`, `malformed`, or `vetoed` where the page or what
    /// is written there contradicts them. Absent where nothing had to be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// What was done; null if refused.
    pub action: Option<ActionRecord>,
    /// What it did to the screen.
    pub effect: Effect,
    /// Why it was refused, or what else is known.
    pub detail: Option<String>,
    /// Whether the step's or the task's goal holds.
    pub verification: Verification,
    /// Width and height of the screenshot.
    pub image_size: [u32; 2],
    /// Number of pixels that changed; null without a second capture.
    pub n_changed_pixels: Option<u64>,
    /// Address after the step.
    pub url: Option<String>,
    /// Title after the step.
    pub title: Option<String>,
    /// Dialog open after the step.
    pub dialog: Option<String>,
    /// Whether the page became quiet within the cap.
    pub settled: bool,
    /// What went wrong inside the pages since the step before, or since the episode began: the first ones that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleRecord>,
    /// How many more things went wrong.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_more_troubles: usize,
    /// The chain of maps.
    pub maps: MapsRecord,
    /// Where the time went.
    pub millis: Timings,
}

impl StepRecord {
    /// How many things went wrong inside the pages in all.
    pub fn n_troubles(&self) -> usize {
        self.troubles.iter().map(|trouble| trouble.n_times).sum::<usize>() + self.n_more_troubles
    }
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Something that went wrong inside a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TroubleRecord {
    /// `exception`, `console`, `request` or `other`.
    pub kind: TroubleKind,
    /// In the page's words, and where it happened.
    pub text: String,
    /// How often.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub n_times: usize,
}

fn once() -> usize {
    1
}

fn is_once(n: &usize) -> bool {
    *n == 1
}

/// `text.json`: all that was read on the screenshots of one step, in runs that record it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextRecord {
    /// On `before.png`.
    pub before: Option<ReadingRecord>,
    /// On `after.png`.
    pub after: Option<ReadingRecord>,
}

/// All that was read on one screenshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadingRecord {
    /// From top to bottom.
    pub lines: Vec<LineRecord>,
    /// Why nothing was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// A line that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LineRecord {
    /// What it says.
    pub text: String,
    /// Where it stands.
    #[serde(rename = "box")]
    pub rect: Box4,
    /// Confidence in 0..=1.
    pub confidence: f32,
}

impl LineRecord {
    /// Left, top, right and bottom.
    pub(crate) fn edges(&self) -> [f64; 4] {
        self.rect.map(|edge| edge.0)
    }
}

/// An element of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementRecord {
    /// `button`, `link`, `textbox`, …
    pub role: String,
    /// As assistive software would say it.
    pub name: String,
}

/// How an episode ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Solved or not; null if it could not be judged.
    pub success: Option<bool>,
    /// The task's reward; null if it could not be judged. Never 0 for a failure of the world.
    pub reward: Option<f64>,
    /// Ended by the task or by the policy's last word.
    pub terminated: bool,
    /// Ended from outside: interrupted, or out of steps, actions or time.
    pub truncated: bool,
    /// Steps taken.
    pub n_steps: usize,
    /// What failed in the world.
    pub err_msg: Option<String>,
    /// What the judge says, in words.
    #[serde(default)]
    pub detail: Option<String>,
    /// The box that was to be hit, where the environment reports one.
    #[serde(default)]
    pub target: Option<Box4>,
    /// The point the policy answered last.
    #[serde(default)]
    pub point: Option<Xy>,
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the records above")]
pub enum Event {
    RunStarted {
        task: String,
    },
    EpisodeStarted {
        episode: usize,
        name: String,
        labels: BTreeMap<String, String>,
        seed: Option<u64>,
    },
    StepStarted {
        step: usize,
        episode: usize,
        instruction: String,
    },
    Observed {
        step: usize,
        image_size: [u32; 2],
    },
    TurnEnded {
        step: usize,
        turn: usize,
        completion: String,
        zoom: Option<Xy>,
        #[serde(default)]
        crop: Option<Box4>,
        #[serde(default)]
        thoughts: Vec<ThoughtRecord>,
    },
    Acting {
        step: usize,
        action: ActionRecord,
    },
    TabOpened {
        step: usize,
        n_tabs: usize,
    },
    StepEnded {
        step: usize,
        effect: Effect,
        detail: Option<String>,
        #[serde(default)]
        dialog: Option<String>,
        millis: Timings,
    },
    EpisodeEnded {
        episode: usize,
        outcome: EpisodeRecord,
    },
    RunFailed {
        err_msg: String,
    },
    RunEnded,
    /// An event of a newer version; this one writes none.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// Tokens of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TokensRecord {
    /// Prompt tokens, images included.
    pub prompt: usize,
    /// Of these, computed in an earlier turn.
    pub cached: usize,
    /// Sampled tokens.
    pub completion: usize,
}

/// `summary.json`: the end of a run.
///
/// With several episodes, `success` says whether all were solved, and `reward` is the mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Solved or not; null if it could not be judged.
    pub success: Option<bool>,
    /// Reward; null if it could not be judged.
    pub reward: Option<f64>,
    /// Every episode came to its end.
    pub terminated: bool,
    /// The run was ended from outside.
    pub truncated: bool,
    /// Steps taken.
    pub n_steps: usize,
    /// What failed in the world.
    pub err_msg: Option<String>,
    /// Milliseconds by phase.
    pub timings: Timings,
    /// Tokens.
    pub tokens: TokensRecord,
    /// Episodes played.
    pub n_episodes: usize,
    /// Of these, judged. Absent in older records, whose `n_episodes` are those that were judged.
    #[serde(default)]
    pub n_judged: Option<usize>,
    /// Episodes solved.
    pub n_success: usize,
    /// Wilson's 95 % interval of the success rate.
    pub success_wilson95: (f64, f64),
    /// Milliseconds from start to end.
    pub wall_millis: Plain,
}

impl Summary {
    /// Episodes that were judged.
    pub fn judged(&self) -> usize {
        self.n_judged.unwrap_or(self.n_episodes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use image::RgbImage;
    use vigorl_policy::{Preset, Sampling, ScriptedPolicy, ground};

    use super::*;

    fn said(preset: &Preset, replies: &[&str]) -> GroundingRecord {
        let mut policy = ScriptedPolicy::new(replies.iter().copied());
        let sampling = Sampling::greedy(512);
        let page = Arc::new(RgbImage::new(64, 48));
        GroundingRecord::from(&ground(&mut policy, &page, "it", preset, &sampling, &mut ()).unwrap())
    }

    #[test]
    fn a_record_says_what_was_wrong_with_a_turn_and_what_was_answered() {
        let record = said(&Preset::visual_search(), &["no tags", "<answer> left </answer>"]);
        assert_eq!(record.answer_text.as_deref(), Some("left"));
        assert_eq!((record.answer, record.malformed.as_deref()), (None, None));
        assert!(record.turns[0].malformed.is_some() && record.turns[1].malformed.is_none());
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!((&json["answer_text"], &json["turns"][1]["malformed"]), (&"left".into(), &().into()));
    }

    #[test]
    fn a_record_without_the_newer_fields_is_read() {
        let old = r#"{"turns": [], "answer": [1, 2], "confidence": null, "malformed": null}"#;
        let record: GroundingRecord = serde_json::from_str(old).unwrap();
        assert_eq!((record.answer, record.answer_text), (Some([Plain(1.0), Plain(2.0)]), None));
    }
}
