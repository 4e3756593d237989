//! What an agent is asked to do, in which world, and how the world judges it.
//!
//! Start reading here:
//! - [`Environment`]: the contract; [`practice`], [`scripted`], [`miniwob`] and [`picture`] keep it
//! - [`practice`]: generated pages that judge real clicks themselves, live and as data sets
//! - [`scripted`]: tasks a person writes in YAML
//! - [`miniwob`]: the tasks of MiniWoB++, on pages of others
//!
//! Invariant: an environment talks to the world through [`vigorl_interface::Driver`] alone, but for files and
//! commands that a task's own clauses name; a failure of the world is an error and never a reward.

mod dice;
pub mod environment;
pub mod gym;
pub mod miniwob;
pub mod picture;
pub mod practice;
pub mod scripted;
pub mod sources;
mod undisturbed;
pub mod unjudged;
mod verdict;

pub use environment::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start};
pub use undisturbed::{Undisturbed, dismiss_dialogs};
pub use verdict::{Verdict, Verification};
