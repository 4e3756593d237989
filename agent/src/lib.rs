//! The loop: observe, find with zooms, act, settle, observe again, verify.
//!
//! Start with [`run_episode`]: one episode, told as the algorithm. An [`Agent`] has eyes and is held back by a leash; a
//! plan ([`Decide`]) says what is done next; a world ([`vigorl_tasks::Environment`]) is acted on and pays; watchers
//! ([`Watch`]) keep what happened. Invariant: a failure of the world is an error and has no reward; a malformed answer
//! is a refused step; unknown is never success.

mod agent;
mod arrive;
pub mod calibration;
mod cancel;
mod check;
mod confidence;
mod episode;
mod error;
mod eyes;
mod find;
mod leash;
mod look;
mod outcome;
mod plan;
mod step;
mod timed;
mod watch;

pub use agent::{Agent, Checks, Hands};
pub use cancel::Cancel;
pub use confidence::{Confidence, ConfidenceMap, Features, Told};
pub use episode::run_episode;
pub use error::{StepError, WatchError};
pub use eyes::{
    Ask, BlindfoldedEyes, Candidate, Eyes, Finding, NamesTexts, PlaceEyes, PolicyEyes, Sighting, ToldEyes,
};
pub use leash::{Confirm, Consent, Held, Leash, Question};
pub use outcome::{Ending, Episode, StepOutcome, StepTimes};
pub use plan::{Decide, Decision, InOrder, Planned, Scripted, TowardsGoal};
pub use watch::{Watch, Watched};
