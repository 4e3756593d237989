//! Evaluation harnesses and the benchmarks of the loop's and the engine's own speed.
//!
//! Invariant: no result without its command, commit, seeds, number of episodes and interval; an episode in which
//! the world failed is counted apart and never as a failure of the policy.

pub mod engine;
pub mod engine_result;
mod practice;
pub mod speed;

pub use practice::{
    Mode, ModeResult, PRACTICE_ID, PlayError, PracticeEpisode, PracticeResult, PracticeSet, RandomClicker,
    Rate, Tally, play_practice,
};
