//! What an evaluation is: worlds one after the other, played in several modes.
//!
//! Invariants: every mode sees the same items in the same order, each world reset afresh; the verdict is the world's own;
//! an answer that cannot be read is a wrong one, and is counted as such; an episode in which the world failed is counted
//! apart.

use std::sync::Arc;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use vigorl_agent::{Agent, Decide, Episode, Finding, InOrder, Sighting, Watch, WatchError, run_episode};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::scoring::Correctness;
use vigorl_policy::Malformed;
use vigorl_policy::grammar::Coordinate;
use vigorl_tasks::picture::Region;
use vigorl_tasks::{Environment, Failure};

use crate::line::Line;
use crate::practice::PracticeSet;

/// A list of worlds to play, and how the results are told apart. Several threads play it at the same time.
pub trait Evaluation: Sync {
    /// Name and version; whatever can move a score changes it.
    fn id(&self) -> &'static str;

    /// What is played, for people.
    fn title(&self) -> String;

    /// The same for programs.
    fn to_json(&self) -> serde_json::Value;

    /// How many items there are.
    fn n_items(&self) -> u64;

    /// The visible area that an item needs in a browser, in CSS pixels; nothing if it needs no browser.
    fn viewport(&self) -> Option<Size<Viewport>>;

    /// The groups that results are told apart by, each with its values, as rows of the table.
    fn groups(&self) -> Vec<(&'static str, Vec<String>)>;

    /// Screenshot pixels per CSS pixel, where the rules of the evaluation name them.
    fn device_pixel_ratio(&self) -> Option<DevicePixelRatio> {
        None
    }

    /// The item of a number below [`n_items`](Self::n_items).
    ///
    /// # Errors
    /// If there is no such item.
    fn item(&self, idx: u64) -> Result<Item, Failure>;

    /// Makes ready what its world will need, while another one is played: whatever is wrong with it is said then.
    fn prepare(&self, _idx: u64) {}

    /// So many items may be made ready at the same time.
    fn expect(&self, _n_at_once: usize) {}

    /// Its screenshot, where there is one without a browser.
    ///
    /// # Errors
    /// If it cannot be read.
    fn screenshot(&self, _idx: u64) -> Result<Option<Arc<RgbImage>>, Failure> {
        Ok(None)
    }

    /// Whether its items are questions that are answered in words.
    fn is_in_words(&self) -> bool {
        false
    }

    /// The question of an item, where it is answered in words: then nobody asks for its world.
    ///
    /// # Errors
    /// If its picture cannot be read.
    fn in_words(&self, _idx: u64) -> Result<Option<InWords>, Failure> {
        Ok(None)
    }

    /// Its world, in a browser of [`viewport`](Self::viewport) if it needs one. `labels` are added to those of the episode.
    ///
    /// # Errors
    /// If there is no such world.
    fn world<'w>(
        &'w self,
        idx: u64,
        driver: Option<&'w mut dyn Driver>,
        device_pixel_ratio: DevicePixelRatio,
        labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure>;

    /// What is done in it: by default, the policy is asked once and clicks.
    fn plan(&self, item: &Item) -> Box<dyn Decide> {
        Box::new(InOrder::click(item.instruction.clone()))
    }

    /// The practice pages, if it is them, for the record of the run.
    fn pages(&self) -> Option<PracticeSet> {
        None
    }

    /// Groups over whose values the mean is published too: an average in which every value weighs alike.
    fn macro_groups(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What must be known of the set to read its numbers, one sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What `model` did in a mode, in the formats of the evaluation's own harness and of its leaderboard, where it has such:
    /// the stem of a file's name, and the content.
    fn reference_outputs(&self, _model: &str, _lines: &[&Line]) -> Vec<(&'static str, serde_json::Value)> {
        Vec::new()
    }
}

/// One thing to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its name, the same in every run of the same set.
    pub id: String,
    /// What its world is reset with.
    pub seed: u64,
    /// What is asked.
    pub instruction: String,
    /// The groups that it belongs to: group and value. A group may have several.
    pub values: Vec<(&'static str, String)>,
    /// Probability of a uniform click to solve it, where that is known without playing it.
    pub chance: Option<f64>,
    /// Where it is on the screenshot, as far as that is known without playing it.
    pub targets: Vec<Region>,
    /// Whether what is asked for is not there: then it is right to do nothing.
    pub is_absent: bool,
    /// The screenshot that it is asked on, where that lies in a file.
    pub picture: Option<Pictured>,
    /// The question that it is one asking of, where each is asked several times with its options in another order.
    pub circle: Option<Circle>,
}

/// A question that is asked once for each order of its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// Its id.
    pub question: String,
    /// How many orders there are.
    pub n_orders: u64,
}

/// A question that is answered in words.
#[derive(Debug, Clone)]
pub struct InWords {
    /// What is shown.
    pub picture: Arc<RgbImage>,
    /// What is asked, with the options.
    pub question: String,
    /// The right answer.
    pub truth: String,
}

/// A screenshot that several items can share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pictured {
    /// What the set calls it.
    pub name: String,
    /// Width and height in pixels.
    pub size: [u32; 2],
}

/// An item that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// The item.
    pub item: Item,
    /// What came of it.
    pub episode: Episode,
}

impl Played {
    /// Whether it was solved; unknown if nobody could judge. What is not there is solved by doing nothing on purpose: an
    /// answer that cannot be read is none, and a point of negative numbers says that there is no place.
    pub fn is_right(&self) -> Option<bool> {
        match self.item.is_absent && self.episode.error().is_none() {
            true => Some(!self.is_answered() && !self.is_unread() && !self.is_elsewhere()),
            false => self.episode.success,
        }
    }

    /// What the answer came to; unknown if nobody could judge.
    pub fn outcome(&self) -> Option<Correctness> {
        Some(match self.is_right()? {
            true => Correctness::Correct,
            false if self.is_unread() => Correctness::WrongFormat,
            false => Correctness::Wrong,
        })
    }

    /// Whether the last answer could not be read. A point outside of the screen could be, and is wrong.
    fn is_unread(&self) -> bool {
        let sighting = self.sighting();
        let is_malformed = sighting.is_some_and(|sighting| matches!(sighting.finding, Finding::Malformed(_)));
        is_malformed && self.outside().is_none()
    }

    /// Whether the last answer is a place outside of the screen.
    fn is_elsewhere(&self) -> bool {
        self.outside().is_some_and(|at| at.x >= 0.0 || at.y >= 0.0)
    }

    /// The last answer, if it is outside of the screen, as it was written.
    fn outside(&self) -> Option<Coordinate> {
        match self.sighting()?.grounding.malformed.as_ref()? {
            Malformed::AnswerOutside(at) => Some(*at),
            _ => None,
        }
    }

    /// Whether something was done.
    pub fn is_answered(&self) -> bool {
        self.episode.steps.iter().any(|step| step.action.is_some())
    }

    /// What the eyes said last.
    pub fn sighting(&self) -> Option<&Sighting> {
        self.episode.steps.iter().flat_map(|step| &step.sightings).next_back()
    }
}

/// Why an item could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// There is no such item.
    #[error("{0}")]
    Item(#[source] Failure),
    /// The episode could not be kept.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// Plays an item; `device_pixel_ratio` is the driver's, `labels` are added to the record's.
///
/// # Errors
/// [`PlayError`] if there is no such item or a watcher failed; a world that fails is in the episode.
pub fn play<'w>(
    agent: &mut Agent<'_>,
    evaluation: &'w dyn Evaluation,
    idx: u64,
    driver: Option<&'w mut dyn Driver>,
    device_pixel_ratio: DevicePixelRatio,
    labels: &[(&str, &str)],
    watch: &mut dyn Watch,
) -> Result<Played, PlayError> {
    let item = evaluation.item(idx).map_err(PlayError::Item)?;
    let mut world = evaluation.world(idx, driver, device_pixel_ratio, labels).map_err(PlayError::Item)?;
    let episode = run_episode(agent, &mut *evaluation.plan(&item), &mut *world, item.seed, watch)?;
    drop(world);
    Ok(Played { item, episode })
}

/// How the policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With zoom turns.
    MultiTurn,
    /// One turn, which answers.
    SingleTurn,
    /// No policy is asked.
    Reading,
}

impl Mode {
    /// For tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::MultiTurn => "multi-turn",
            Self::SingleTurn => "single-turn",
            Self::Reading => "reading",
        }
    }
}
