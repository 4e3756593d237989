//! Rollouts: what a policy does when it is sampled, with all that learning from it needs.
//!
//! Start reading here:
//! - [`collect()`]: groups of episodes, played side by side in several browsers
//! - [`Sample`]: one episode as it is kept: every token, with the conversation that it was sampled in
//! - [`Overheard`]: the same of an ordinary run
//! - [`ClickSource`]: a click of a task with steps, as an environment of its own
//! - [`Tape`]: keeps what a watcher is told, for a run directory that takes one episode at a time
//! - [`export()`]: the same for trainers elsewhere
//! - [`compare()`]: whether an episode that is played again is the same
//!
//! Invariants: what is kept is what was sampled: no form, no search, no penalty, and a temperature that is stated. An episode
//! in which the world failed is no sample, and never a reward of 0. Seeds are hashes of what a sample is, so that one sample
//! depends on no other.

mod clicks;
mod collect;
mod compare;
mod export;
mod noted;
mod ordinary;
mod places;
mod sample;
mod seeds;
mod spoken;
mod store;
mod tape;

pub use clicks::{ClickSource, KnowsSecrets, clicks};
pub use collect::{CollectError, Collected, Collecting, Failed, Group, Kit, Played, Wanted, collect};
pub use compare::{Difference, compare};
pub use export::{Exported, Exporting, LeftOut, Trainer, export};
pub use noted::Noted;
pub use ordinary::{Ordinary, Overheard};
pub use places::{PlaceError, Places};
pub use sample::{
    ActionSample, Ended, MessageRecord, PartRecord, SaidBy, Sample, SampledAs, Times, TurnSample,
};
pub use seeds::SampleKey;
pub use spoken::{Calls, Kept};
pub use store::{Images, Samples, Store, StoreError, read_samples};
pub use tape::Tape;
