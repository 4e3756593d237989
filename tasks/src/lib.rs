//! What an agent is asked to do, in which world, and how the world judges it.
//!
//! Start reading here:
//! - [`practice`]: generated pages that judge real clicks themselves, live and as data sets
//! - [`scripted`]: tasks a person writes in YAML
//!
//! Invariant: an environment talks to the world through [`vigorl_interface::Driver`] alone, but for files and
//! commands that a task's own clauses name; a failure of the world is an error and never a reward.

pub mod practice;
pub mod scripted;
mod verdict;

pub use verdict::Verification;
