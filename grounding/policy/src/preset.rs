//! Presets: how each checkpoint family is spoken to. Invariant: every field may be overridden on its own.
//!
//! Source: vigorl.md sections 1.2, 1.3, 1.8 and 2.4; where the reference differs between its stages, the
//! values of its evaluation, except the spelling of observations and the newline after the image, which are
//! those of the RL rollouts that the weights saw last.

use std::sync::Arc;

use image::RgbImage;
use vigorl_geometry::fit::PixelBudget;

use crate::crops::{Border, CropSettings, ShownCrop};
use crate::grammar::AnswerForm;
use crate::view::{AnswerSpace, View};
use crate::wire::{Dot, Observation, Question, WrittenText, filled_in, web_action_query};
use crate::{Conversation, Message, Part, Role};

/// Whether the policy may zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// One turn, which answers.
    Single,
    /// Zoom turns, then an answer.
    Multi,
}

/// What the policy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// A point; any other answer is malformed.
    Point,
    /// Text: an option, a free answer or an action.
    Text,
}

/// How an instruction becomes the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The instruction itself.
    Instruction,
    /// `Description: ` and the instruction.
    Description,
    /// The instruction as the objective of [`web_action_query`], and what was done before as its previous actions.
    Objective,
    /// The words of a family around the instruction: `{instruction}`, and `{width}` and `{height}` of what the network
    /// sees, are filled in.
    Words(&'static str),
}

/// How many pixels of an image the network is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLimits {
    /// Smaller images are enlarged.
    pub min: u64,
    /// Larger images are reduced.
    pub max: u64,
}

/// What stands between the image and the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageGap {
    /// A newline: supervised data and RL.
    Newline,
    /// Nothing: the reference's evaluation.
    Nothing,
}

/// When an episode is brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Assistant turns at most; the last one is made to answer.
    pub max_turns: usize,
    /// Images at most, the screenshot included; when they are used up, the next turn is made to answer.
    pub max_images: usize,
    /// Sampled tokens of one turn at most.
    pub max_tokens_per_turn: usize,
    /// Tokens of the whole response at most, those of crops included; when they are used up, the next turn is
    /// made to answer.
    pub max_response_tokens: usize,
}

/// How an episode searches beyond what the policy asks for. For a policy that judges crops well, but from a crop
/// of the wrong place does not know where to look next.
///
/// A zoom that goes where a crop was taken already, or beyond the limits, is a dead end. The episode then goes
/// back to its opening, where the right place is among the policy's less likely first looks, and samples such
/// looks until one shows something new. When all samples are used up, the opening is answered at once. Turns and
/// images count from the opening.
///
/// And an answer that is not where its crop was taken is checked: the next turn judges a crop taken there, as if the
/// policy had looked there first, until an answer stays where it is. Off the middle of a crop, a policy corrects its
/// look by less than it should.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Of the sampled first looks, if the episode's own is lower.
    pub temperature: f64,
    /// First looks sampled at most in an episode.
    pub samples: usize,
    /// Answers checked at most in an episode.
    pub checks: usize,
}

/// What becomes of turns that nobody chose, and of those that cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conduct {
    /// As the reference evaluates: a turn that is made to answer takes the likeliest tokens, and a turn that cannot be used
    /// is shown to the policy, which goes on.
    #[default]
    Evaluation,
    /// As learning needs it: a turn that is made to answer is sampled like every other one, and a turn that cannot be used
    /// ends the episode.
    Rollout,
}

/// How a checkpoint family is spoken to.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// Whether it may zoom.
    pub turns: Turns,
    /// What a zoom shows.
    pub crop: CropSettings,
    /// How the message around a crop is spelled.
    pub observation: Observation,
    /// In which space coordinates are written.
    pub answer_space: AnswerSpace,
    /// What is asked for.
    pub answer_kind: AnswerKind,
    /// How the answer is marked.
    pub answer_form: AnswerForm,
    /// How the instruction becomes the question.
    pub query: Query,
    /// What stands between image and question.
    pub after_image: ImageGap,
    /// The task prompt, where the checkpoint's own template has none; filled in as [`Query::Words`] is.
    pub system: Option<String>,
    /// When the episode ends.
    pub limits: Limits,
    /// Larger screenshots are resized before they are shown.
    pub max_image_pixels: u64,
    /// What the processor is held to where a family is evaluated with other limits than its checkpoint's own file says.
    /// Whoever loads the checkpoint obeys; points are right whatever limits are used.
    pub pixels: Option<PixelLimits>,
    /// Whether its turns are held to their form ([`TurnForm`](crate::TurnForm)); without, they are sampled freely,
    /// as in the reference.
    pub constrain: bool,
    /// Whether it searches; without, an episode goes on as in the reference.
    pub search: Option<Search>,
    /// How turns are treated that nobody chose, or that cannot be used.
    pub conduct: Conduct,
}

/// 3600 x 3600, the limit of the reference's evaluation.
const MAX_IMAGE_PIXELS: u64 = 12_960_000;

/// Our own words: the reference's task prompt for base models asks the same.
const BASE_SYSTEM: &str = "You find elements in screenshots. Reply with the pixel coordinate of the described \
element and nothing else, written as (x, y).";

impl Preset {
    /// The names of all presets.
    pub const NAMES: [&str; 12] = [
        "web-grounding",
        "web-grounding-multiturn",
        "web-action",
        "visual-search",
        "spatial",
        "qwen2.5-vl",
        "gta1",
        "ui-tars-1.5",
        "infigui-g1",
        "holo1.5",
        "gui-g2",
        "nano",
    ];

    /// The preset of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "web-grounding" => Self::web_grounding(),
            "web-grounding-multiturn" => Self::web_grounding_multiturn(),
            "web-action" => Self::web_action(),
            "visual-search" => Self::visual_search(),
            "spatial" => Self::spatial(),
            "qwen2.5-vl" => Self::qwen2_5_vl(),
            "gta1" => Self::gta1(),
            "ui-tars-1.5" => Self::ui_tars_1_5(),
            "infigui-g1" => Self::infigui_g1(),
            "holo1.5" => Self::holo1_5(),
            "gui-g2" => Self::gui_g2(),
            "nano" => Self::nano(),
            _ => return None,
        })
    }

    /// The preset for a checkpoint, from a hub name or a path: the last component that says something counts.
    pub fn for_checkpoint(checkpoint: &str) -> Option<Self> {
        checkpoint.rsplit(['/', '\\']).find_map(|component| {
            let component = component.to_ascii_lowercase();
            let has = |part: &str| component.contains(part);
            let mut preset = if component == "nano" || component.starts_with("nano-") {
                Self::nano()
            } else if let Some(grounder) = Self::of_grounder(&component) {
                grounder
            } else if has("qwen2.5-vl") {
                Self::qwen2_5_vl()
            } else if !has("vigorl") {
                return None;
            } else if has("web-action") {
                Self::web_action()
            } else if has("visual-search") {
                Self::visual_search()
            } else if has("spatial") {
                Self::spatial()
            } else if has("web-grounding") && has("multiturn") {
                Self::web_grounding_multiturn()
            } else if has("web-grounding") {
                Self::web_grounding()
            } else {
                return None;
            };
            if has("mcts-sft") {
                preset.observation = Observation::SupervisedData;
            }
            Some(preset)
        })
    }

    /// ViGoRL web grounding without zooms.
    pub fn web_grounding() -> Self {
        Self {
            name: "web-grounding",
            turns: Turns::Single,
            crop: CropSettings { offset_px: 100, side_px: 512, dot: Dot::Draw, border: Border::Cut },
            observation: Observation::Rollout,
            answer_space: AnswerSpace::Image,
            answer_kind: AnswerKind::Point,
            answer_form: AnswerForm::Tagged,
            query: Query::Description,
            after_image: ImageGap::Newline,
            system: None,
            // 4,096 response tokens as in the paper: the 2,048 of the released script leave no room for the
            // crops of visual search.
            limits: Limits {
                max_turns: 5,
                max_images: 5,
                max_tokens_per_turn: 1024,
                max_response_tokens: 4096,
            },
            max_image_pixels: MAX_IMAGE_PIXELS,
            pixels: None,
            constrain: false,
            search: None,
            conduct: Conduct::Evaluation,
        }
    }

    /// ViGoRL web grounding with zooms.
    pub fn web_grounding_multiturn() -> Self {
        Self { name: "web-grounding-multiturn", turns: Turns::Multi, ..Self::web_grounding() }
    }

    /// ViGoRL web actions on set-of-marks screenshots.
    pub fn web_action() -> Self {
        Self {
            name: "web-action",
            answer_kind: AnswerKind::Text,
            query: Query::Objective,
            ..Self::web_grounding()
        }
    }

    /// ViGoRL visual search (V*).
    pub fn visual_search() -> Self {
        Self {
            name: "visual-search",
            turns: Turns::Multi,
            crop: CropSettings { offset_px: 182, side_px: 672, dot: Dot::Omit, border: Border::Cut },
            answer_kind: AnswerKind::Text,
            query: Query::Instruction,
            ..Self::web_grounding()
        }
    }

    /// ViGoRL spatial questions (SAT-2, BLINK).
    pub fn spatial() -> Self {
        Self {
            name: "spatial",
            answer_kind: AnswerKind::Text,
            query: Query::Instruction,
            ..Self::web_grounding()
        }
    }

    /// Base Qwen2.5-VL, asked for a point without thoughts.
    pub fn qwen2_5_vl() -> Self {
        Self {
            name: "qwen2.5-vl",
            answer_space: AnswerSpace::Resized,
            answer_form: AnswerForm::Bare,
            after_image: ImageGap::Nothing,
            system: Some(BASE_SYSTEM.to_owned()),
            ..Self::web_grounding()
        }
    }

    /// The small policy embedded in the program.
    pub fn nano() -> Self {
        Self {
            name: "nano",
            turns: Turns::Multi,
            crop: CropSettings { offset_px: 26, side_px: 80, dot: Dot::Omit, border: Border::Move },
            answer_space: AnswerSpace::Screenshot,
            query: Query::Instruction,
            limits: Limits {
                max_turns: 4,
                max_images: 4,
                max_tokens_per_turn: 128,
                max_response_tokens: 2048,
            },
            // The largest page that its numbers reach over.
            max_image_pixels: 192 * 160,
            search: Some(Search { temperature: 2.0, samples: 32, checks: 4 }),
            conduct: Conduct::Evaluation,
            ..Self::web_grounding()
        }
    }

    /// How many pixels the published checkpoints of this family show their network, unless they are told otherwise: what
    /// their makers state ([`Self::pixels`]), or else what `preprocessor_config.json` says beside the weights of Qwen2.5-VL, which
    /// ViGoRL's are trained from, and beside nano's.
    pub fn published_budget(&self) -> PixelBudget {
        match (self.name, self.pixels) {
            ("nano", _) => PixelBudget { factor: 16, min_pixels: 4_096, max_pixels: 6_400 },
            (_, Some(PixelLimits { min, max })) => {
                PixelBudget { factor: 28, min_pixels: min, max_pixels: max }
            }
            (_, None) => PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 },
        }
    }

    /// The same, shown as many pixels of a screenshot as it was taught to see, if that is more.
    #[must_use]
    pub fn seeing(mut self, max_image_pixels: Option<u64>) -> Self {
        self.max_image_pixels = self.max_image_pixels.max(max_image_pixels.unwrap_or(0));
        self
    }

    /// Whether it asks for zooms: a family that has no way to write one never does, whatever its turns are.
    pub fn zooms(&self) -> bool {
        self.turns == Turns::Multi && self.can_zoom()
    }

    /// Whether it has a way to write a zoom, so that more turns than one mean something to it.
    pub fn can_zoom(&self) -> bool {
        self.answer_form.has_protocol_tags()
    }

    /// The same policy without zooms: a single-turn policy as it is, a multi-turn one made to answer at once.
    pub fn without_zooms(mut self) -> Self {
        if self.turns == Turns::Multi {
            self.limits.max_turns = 1;
        }
        self
    }

    /// Whether the first turn is the last one.
    pub fn is_single_turn(&self) -> bool {
        !self.zooms() || self.limits.max_turns <= 1
    }

    /// The same for episodes that are learned from: what is sampled is the policy's own choice, so nothing is held to a form,
    /// searched for or checked.
    pub fn for_rollouts(self) -> Self {
        Self { constrain: false, search: None, conduct: Conduct::Rollout, ..self }
    }

    /// The conversation that opens an episode: the task prompt, if any, then the image and the question. An image that the
    /// network sees as it is, or the sizes in a family's words are wrong: [`Self::opening_in`] knows what it sees.
    pub fn opening<'q>(&self, image: Arc<RgbImage>, question: impl Into<Question<'q>>) -> Conversation {
        let seen = image.dimensions();
        self.opened(image, seen, question.into(), &[])
    }

    /// The same about a screenshot as `view` shows it, with the texts that were read on it in the numbers that the policy
    /// writes.
    pub fn opening_in<'q>(&self, view: &View, question: impl Into<Question<'q>>) -> Conversation {
        let (question, seen) = (question.into(), view.seen());
        let read = view.texts_written(question.read);
        self.opened(view.image().clone(), (seen.width, seen.height), question, &read)
    }

    fn opened(
        &self,
        image: Arc<RgbImage>,
        seen: (u32, u32),
        asked: Question<'_>,
        read: &[WrittenText],
    ) -> Conversation {
        let gap = match self.after_image {
            ImageGap::Newline => "\n",
            ImageGap::Nothing => "",
        };
        let question = match self.query {
            Query::Instruction => asked.in_words(read),
            Query::Description => format!("Description: {}", asked.in_words(read)),
            Query::Objective => web_action_query(asked.instruction, asked.earlier),
            Query::Words(words) => filled_in(words, &asked.in_words(read), seen),
        };
        let parts = vec![Part::Image(image), Part::Text(format!("{gap}{question}"))];
        let system =
            self.system.iter().map(|prompt| Message::text(Role::System, filled_in(prompt, "", seen)));
        let messages = system.chain([Message { role: Role::User, parts }]).collect();
        Conversation { messages, forced_prefix: None }
    }

    /// The message that shows a crop.
    pub fn observation_of(&self, crop: &ShownCrop) -> Message {
        let (before, after) = self.observation.around_image(self.crop.dot);
        let mut parts = vec![Part::Text(before), Part::Image(crop.pixels.clone())];
        if !after.is_empty() {
            parts.push(Part::Text(after.to_owned()));
        }
        Message { role: Role::User, parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_preset() {
        for name in Preset::NAMES {
            assert_eq!(Preset::named(name).map(|preset| preset.name), Some(name));
        }
        assert_eq!(Preset::named("other"), None);
    }

    #[track_caller]
    fn check(checkpoint: &str, expected: Option<&str>) {
        assert_eq!(Preset::for_checkpoint(checkpoint).map(|preset| preset.name), expected, "{checkpoint}");
    }

    #[test]
    fn published_checkpoints_choose_their_preset() {
        check("gsarch/ViGoRL-3b-Web-Grounding", Some("web-grounding"));
        check("gsarch/ViGoRL-Multiturn-3b-Web-Grounding", Some("web-grounding-multiturn"));
        check("gsarch/ViGoRL-7b-Web-Action", Some("web-action"));
        check("gsarch/ViGoRL-Multiturn-7b-Visual-Search", Some("visual-search"));
        check("gsarch/ViGoRL-7b-Spatial", Some("spatial"));
        check("Qwen/Qwen2.5-VL-3B-Instruct", Some("qwen2.5-vl"));
        check("Salesforce/GTA1-7B-2507", Some("gta1"));
        check("ByteDance-Seed/UI-TARS-1.5-7B", Some("ui-tars-1.5"));
        check("InfiX-ai/InfiGUI-G1-3B", Some("infigui-g1"));
        check("Hcompany/Holo1.5-7B", Some("holo1.5"));
        check("/cache/models--inclusionAI--GUI-G2-7B/snapshots/0123", Some("gui-g2"));
        check("nano", Some("nano"));
        check("/models/nano/ViGoRL-3b-Spatial/snapshots/0123", Some("spatial"));
        check("/models/nano-2/", Some("nano"));
        check("/home/spatial/llama", None);
    }

    #[test]
    fn relatives_that_are_spoken_to_otherwise_choose_none() {
        // Qwen2-VL on a grid of 1,000, a thinking agent, other architectures.
        for name in [
            "ByteDance-Seed/UI-TARS-7B-DPO",
            "InfiX-ai/InfiGUI-R1-3B",
            "Hcompany/Holo1-7B",
            "Hcompany/Holo2-4B",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn warm_started_weights_get_the_spelling_of_their_data() {
        let spelling = |name| Preset::for_checkpoint(name).map(|preset| preset.observation);
        let rl = spelling("gsarch/ViGoRL-Multiturn-3b-Visual-Search");
        let sft = spelling("gsarch/ViGoRL-Multiturn-MCTS-SFT-3b-Visual-Search");
        assert_eq!((rl, sft), (Some(Observation::Rollout), Some(Observation::SupervisedData)));
    }
}
