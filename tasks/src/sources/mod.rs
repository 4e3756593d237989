//! Where episodes come from: worlds under a name, of which a seed draws the episode.
//!
//! Start reading here. Invariants: what a source gives for learning and what it holds out never meet: [`Source::seed`]
//! keeps their seeds apart, and [`check()`] looks whether an instruction and its first screenshot are in both. The same
//! seed gives the same episode.

mod check;
mod miniwob;
mod pictures;
mod practice;
mod tasks;

use std::fmt;

use serde::{Deserialize, Serialize};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;

pub use check::{Checked, Outcome, Thoroughness, check};
pub use miniwob::MiniWobSource;
pub use pictures::{Pair, PictureSource, Told};
pub use practice::PracticeSource;
pub use tasks::{OpenTask, TaskSource};

use crate::{Environment, Failure};

/// What an episode is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// For learning.
    Train,
    /// For measuring what was learned.
    HeldOut,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Train, Self::HeldOut];

    /// The seed of an episode by its number, of sources whose seeds have no order of their own: even ones are for learning,
    /// odd ones are held out.
    pub fn seed(self, number: u64) -> u64 {
        number.wrapping_mul(2).wrapping_add(u64::from(self == Self::HeldOut))
    }

    /// The part and the number of a [`seed`](Self::seed).
    pub fn of_seed(seed: u64) -> (Self, u64) {
        (if seed.is_multiple_of(2) { Self::Train } else { Self::HeldOut }, seed / 2)
    }

    /// The word in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "held_out",
        }
    }
}

/// What a world is given to show itself in.
pub struct Stage<'w> {
    /// A browser of [`Source::viewport`], where the source asks for one.
    pub driver: Option<&'w mut dyn Driver>,
    /// Its device pixel ratio.
    pub device_pixel_ratio: DevicePixelRatio,
    /// Whether somebody has asked to stop.
    pub is_cancelled: &'w dyn Fn() -> bool,
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("device_pixel_ratio", &self.device_pixel_ratio).finish_non_exhaustive()
    }
}

/// Worlds of one name.
pub trait Source: fmt::Debug + Send + Sync {
    /// The name that it is asked for by.
    fn name(&self) -> &str;

    /// What it is, in a line, for people.
    fn about(&self) -> String;

    /// The visible area of the browser that [`Stage::driver`] must be; nothing if its worlds need none, or open their own.
    fn viewport(&self) -> Option<Size<Viewport>> {
        None
    }

    /// How many different episodes there are; nothing if there is no end to them.
    fn n_episodes(&self, _part: Part) -> Option<u64> {
        None
    }

    /// The seed of an episode by its number. Below [`n_episodes`](Self::n_episodes), different numbers are different
    /// episodes; the seeds of the two parts are different.
    fn seed(&self, part: Part, number: u64) -> u64;

    /// Why its first screenshots may differ, if they move by themselves.
    fn animated(&self) -> Option<&str> {
        None
    }

    /// Whether its episodes are a list that is there, and cheap to look at from one end to the other.
    fn is_list(&self) -> bool {
        false
    }

    /// Whether a protocol that others publish numbers by holds out seeds alone: two seeds may then show and ask the same.
    fn is_held_out_by_seed(&self) -> bool {
        false
    }

    /// Its world, whose reset takes seeds of [`seed`](Self::seed).
    ///
    /// # Errors
    /// If there is no such world now.
    fn world<'w>(&'w self, stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure>;
}

/// A number for a text that stays the same for ever (FNV-1a, 64 bits).
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
