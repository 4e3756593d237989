//! The loop: observe, ground with zooms, act, settle, observe again, verify.
//!
//! Start with [`run_episode`]: one episode, told as the algorithm; then [`run_step`]. Invariant: a failure of the world is an error and
//! has no reward; a malformed answer is a refused step; unknown is never success.

pub mod calibration;
mod cancel;
mod episode;
mod judges;
mod leash;
mod look;
mod run;
mod step;
mod steps;

pub use cancel::Cancel;
pub use episode::{Failure, Judge, Nobody, Task, Verdict, run_episode};
pub use judges::{PracticeJudge, ScriptedJudge, steps_of};
pub use leash::{Confirm, Consent, Held, Leash, Question};
pub use run::{Run, StepCost};
pub use step::{
    Agent, Checks, Deed, Eyes, Hands, InVain, Intent, Seen, StepError, StepOutcome, StepTimes, Watch,
    run_step,
};
pub use steps::{Attempt, Steps, TimeLimit};
