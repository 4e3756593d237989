//! Who says where a target is.
//!
//! Invariant: eyes look and say what they found; they act on nothing. What a policy says is data, so an answer that
//! cannot be read is a [`Finding`], never an error.

use std::sync::Arc;

use vigorl_geometry::crop::PlannedCrop;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::Screenshot;
use vigorl_policy::wire::{Question, ReadText};
use vigorl_policy::{
    GroundObserver, Grounding, Malformed, Policy, PolicyError, Preset, Sampling, View, ground, ground_closer,
    ground_part,
};
use vigorl_tasks::scripted::Target;

use crate::confidence::{Confidence, ConfidenceMap};

/// Anything that finds targets on screenshots.
pub trait Eyes {
    /// For records: who decides.
    fn name(&self) -> &str;

    /// Looks for a target.
    ///
    /// # Errors
    /// Only if the eyes could not be asked.
    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError>;

    /// Whether they may err, so that what is known of a place may contradict them.
    fn may_err(&self) -> bool {
        true
    }

    /// Whether they may say something else when they are asked again.
    fn may_differ(&self) -> bool {
        false
    }
}

/// What eyes are asked.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What is to be seen.
    pub screenshot: &'a Screenshot,
    /// What is looked for.
    pub target: &'a Target,
    /// Where the task says that it is, or why it is not there. Whoever looks at pixels does not use it.
    pub place: Option<&'a Result<Rect<Screen>, String>>,
    /// How often the same was asked before: the answer should be drawn anew.
    pub nth: u64,
    /// An answer that led nowhere; the place is looked at closer.
    pub in_vain: Option<Grounding>,
    /// Texts on the screenshot that stand in what is looked for, where somebody tells them.
    pub read: &'a [ReadText],
}

impl<'a> Ask<'a> {
    /// As a policy is asked.
    pub fn question(&self) -> Question<'a> {
        Question { instruction: &self.target.description, earlier: &self.target.earlier, read: self.read }
    }
}

/// What eyes found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The target is there.
    Found(Point<Screen>),
    /// It is not there, and why.
    Absent(String),
    /// Several things are meant alike.
    Ambiguous(String),
    /// It may be there, but not surely enough to act.
    Unsure(Point<Screen>, String),
    /// The answer could not be read.
    Malformed(String),
}

impl Finding {
    /// In one word, for records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Absent(_) => "absent",
            Self::Ambiguous(_) => "ambiguous",
            Self::Unsure(..) => "unsure",
            Self::Malformed(_) => "malformed",
        }
    }

    /// Where to act, or why not to.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn point(&self) -> Result<Point<Screen>, String> {
        match self {
            Self::Found(at) => Ok(*at),
            Self::Absent(reason) | Self::Ambiguous(reason) | Self::Malformed(reason) => Err(reason.clone()),
            Self::Unsure(at, reason) => Err(format!("unsure of ({:.0}, {:.0}): {reason}", at.x, at.y)),
        }
    }
}

/// Something that could be meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Where it is.
    pub at: Point<Screen>,
    /// Why it was not chosen, or what speaks for it.
    pub why: String,
    /// Confidence in 0..=1, where there is one.
    pub confidence: Option<f64>,
}

/// The answer of one pair of eyes.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What was found.
    pub finding: Finding,
    /// How sure the eyes are of the point, where they can tell.
    pub confidence: Option<Confidence>,
    /// What else could be meant.
    pub candidates: Vec<Candidate>,
    /// Who decided: [`Eyes::name`].
    pub decided_by: String,
    /// Whether the eyes learned from reward what is right here, and tell how sure they are of it by what they learned:
    /// nothing else contradicts a point that they are sure of.
    pub is_learned: bool,
    /// What was said on the way.
    pub grounding: Grounding,
}

impl Sighting {
    /// The same, where a point that is less sure than `min` is unsure.
    #[must_use]
    pub fn held_to(mut self, min: f64) -> Self {
        if let (Finding::Found(at), Some(confidence)) = (&self.finding, &self.confidence)
            && confidence.value < min
        {
            let reason = format!("{}, and {min:.2} is needed", confidence.in_words());
            self.finding = Finding::Unsure(*at, reason);
        }
        self
    }
}

/// A policy that looks at the screenshot.
pub struct PolicyEyes<'a> {
    /// Who is asked.
    pub policy: &'a mut dyn Policy,
    /// How it is spoken to.
    pub preset: &'a Preset,
    /// How it samples.
    pub sampling: &'a Sampling,
    /// What its confidence means, where that was measured.
    pub maps: &'a [ConfidenceMap],
    /// Whether it learned from reward what is right where it is asked.
    pub learned_from_reward: bool,
}

impl std::fmt::Debug for PolicyEyes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PolicyEyes").field(&self.preset.name).finish()
    }
}

impl<'a> PolicyEyes<'a> {
    /// A policy of whose confidence nothing is known.
    pub fn new(policy: &'a mut dyn Policy, preset: &'a Preset, sampling: &'a Sampling) -> Self {
        Self { policy, preset, sampling, maps: &[], learned_from_reward: false }
    }
}

impl PolicyEyes<'_> {
    /// The same question has the same greedy answer, so others are drawn when it is asked again.
    fn sampling(&self, nth: u64) -> Sampling {
        let first = self.sampling.clone();
        match nth {
            0 => first,
            nth => Sampling {
                temperature: first.temperature.max(1.0),
                seed: first.seed.wrapping_add(nth),
                ..first
            },
        }
    }
}

/// Policies that are surer than this are equally sure.
const MAX_LOG_ODDS: f64 = 12.0;

impl PolicyEyes<'_> {
    /// The part of the screenshot that the policy can be shown where `wanted` is to be looked at first; nothing where it
    /// would see too little of it.
    pub fn region(&self, ask: &Ask<'_>, wanted: Rect<Screen>) -> Option<PlannedCrop> {
        let (space, max_pixels) = (self.preset.answer_space, self.preset.max_image_pixels);
        let size = ask.screenshot.pixels.dimensions();
        View::region(wanted, size, space, max_pixels, self.policy.pixel_budget()).ok().flatten()
    }

    /// Looks for a target where only a part of the screenshot is shown.
    ///
    /// # Errors
    /// As [`Eyes::find`].
    pub fn find_in(
        &mut self,
        ask: &Ask<'_>,
        part: PlannedCrop,
        observer: &mut dyn GroundObserver,
    ) -> Result<Sighting, PolicyError> {
        let sampling = self.sampling(ask.nth);
        let (pixels, question) = (&ask.screenshot.pixels, ask.question());
        let said = ground_part(self.policy, pixels, part, question, self.preset, &sampling, observer)?;
        // What its confidence is worth on a part was not measured.
        Ok(self.sighting(ask, said, &[]))
    }

    fn sighting(&self, ask: &Ask<'_>, grounding: Grounding, maps: &[ConfidenceMap]) -> Sighting {
        let finding = match (&grounding.malformed, grounding.answer) {
            (Some(reason @ Malformed::AnswerOutside(_)), _) => {
                Finding::Malformed(format!("{reason}; these are the policy's own numbers"))
            }
            (Some(reason), _) => Finding::Malformed(reason.to_string()),
            (None, Some(at)) => Finding::Found(at),
            (None, None) => Finding::Absent("the policy answered no point".to_owned()),
        };
        let size = ask.screenshot.size();
        let confidence = grounding.confidence.map(|raw| {
            let log_odds = (raw / (1.0 - raw)).ln().clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS);
            let maps = maps.iter().filter(|map| map.single_turn == self.preset.is_single_turn());
            Confidence::new(maps, size, [("log_odds".to_owned(), log_odds)].into(), raw)
        });
        let is_calibrated = confidence.as_ref().is_some_and(|confidence| confidence.domain.is_some());
        let is_learned = self.learned_from_reward && is_calibrated;
        let decided_by = self.policy.name().to_owned();
        Sighting { finding, confidence, candidates: Vec::new(), decided_by, is_learned, grounding }
    }
}

impl Eyes for PolicyEyes<'_> {
    fn name(&self) -> &str {
        self.policy.name()
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        let (sampling, preset) = (self.sampling(ask.nth), self.preset);
        let (pixels, question) = (&ask.screenshot.pixels, ask.question());
        let grounding = match ask.in_vain.clone() {
            None => ground(self.policy, pixels, question, preset, &sampling, observer)?,
            Some(in_vain) => {
                ground_closer(self.policy, pixels, question, preset, &sampling, in_vain, observer)?
            }
        };
        Ok(self.sighting(ask, grounding, self.maps))
    }

    fn may_differ(&self) -> bool {
        true
    }
}

/// Whoever reads for a policy that cannot.
pub trait NamesTexts {
    /// The texts of a screenshot that stand in an instruction.
    ///
    /// # Errors
    /// If nobody can look.
    fn named_texts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
    ) -> Result<Vec<ReadText>, PolicyError>;
}

/// Eyes that are told where the words of what they look for stand.
pub struct ToldEyes<'a> {
    /// Who looks.
    pub eyes: &'a mut dyn Eyes,
    /// Who reads.
    pub texts: &'a mut dyn NamesTexts,
}

impl std::fmt::Debug for ToldEyes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToldEyes").field("eyes", &self.eyes.name()).finish_non_exhaustive()
    }
}

impl Eyes for ToldEyes<'_> {
    fn name(&self) -> &str {
        self.eyes.name()
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        let read = self.texts.named_texts(ask.screenshot, &ask.target.description)?;
        self.eyes.find(&Ask { read: &read, in_vain: ask.in_vain.clone(), ..*ask }, observer)
    }

    fn may_err(&self) -> bool {
        self.eyes.may_err()
    }

    fn may_differ(&self) -> bool {
        self.eyes.may_differ()
    }
}

/// Eyes that are shown an empty screen instead of the one that is there: whatever is solved so was not seen.
pub struct BlindfoldedEyes<'a> {
    /// Who looks.
    pub eyes: &'a mut dyn Eyes,
}

impl std::fmt::Debug for BlindfoldedEyes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlindfoldedEyes").field("eyes", &self.eyes.name()).finish()
    }
}

impl Eyes for BlindfoldedEyes<'_> {
    fn name(&self) -> &str {
        self.eyes.name()
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        const GRAY: image::Rgb<u8> = image::Rgb([128; 3]);
        let (width, height) = ask.screenshot.pixels.dimensions();
        let pixels = Arc::new(image::RgbImage::from_pixel(width, height, GRAY));
        let screenshot = Screenshot { pixels, ..ask.screenshot.clone() };
        self.eyes.find(&Ask { screenshot: &screenshot, in_vain: ask.in_vain.clone(), ..*ask }, observer)
    }

    fn may_err(&self) -> bool {
        self.eyes.may_err()
    }

    fn may_differ(&self) -> bool {
        self.eyes.may_differ()
    }
}

/// Nobody looks: the places that the targets name themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlaceEyes;

impl Eyes for PlaceEyes {
    fn name(&self) -> &str {
        "places"
    }

    fn may_err(&self) -> bool {
        false
    }

    fn find(&mut self, ask: &Ask<'_>, _observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        let finding = match ask.place {
            Some(Ok(place)) => Finding::Found(place.center()),
            Some(Err(reason)) => Finding::Absent(reason.clone()),
            None => Finding::Absent("the task names no place for this, and nobody looks".to_owned()),
        };
        let grounding = Grounding::known(finding.point().ok());
        let decided_by = self.name().to_owned();
        let (confidence, is_learned) = (None, false);
        Ok(Sighting { finding, confidence, candidates: Vec::new(), decided_by, is_learned, grounding })
    }
}
