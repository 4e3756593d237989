//! What an answer is worth: the rewards of the reference, their repaired forms, mixtures of them, rewards of one's own, and
//! the verdicts of benchmarks.
//!
//! Start reading here:
//! - [`Reward`]: the functions of the reference, each in two modes ([`Mode`])
//! - [`Judgement`] and [`Mixture`]: what was said about an answer, and the number that is made of it
//! - [`scoring`]: the published rules of benchmarks: verdicts, parsers, metrics, and whether a printed row can be true
//! - [`JUDGES`]: the home of every judge that reads lines and writes verdicts
//! - [`own`]: rewards by a command or an address, the only part that talks to anything
//!
//! Invariants: no model, no browser and no screen is known here, and outside of [`own`] nothing but the arguments decides.
//! A reward is a finite number. What nobody can tell, and what failed, is never a reward of 0.

mod action;
mod answer;
mod config;
mod home;
mod integer;
mod literal;
pub mod own;
mod python;
mod record;
mod reward;
pub mod scoring;
mod toolcall;
mod turns;

pub use config::{CLAUSES, ConfigError, ENVIRONMENT, InWorld, OwnConfig, Rewards, RewardsConfig};
pub use home::{Choices, JUDGES, Lines, Named, find};
pub use record::{Entry, Judgement, Mixture, Said, Unrewarded, Verification};
pub use reward::{Mode, Reward, Worth};
