//! The loop: observe, ground with zooms, act, settle, observe again, verify; its records and its report.
//!
//! Start with [`run_episode`]: one episode, told as the algorithm; then [`run_step`]. Invariant: a failure of the world is an error and
//! has no reward; a malformed answer is a refused step; unknown is never success.

pub mod calibration;
mod cancel;
mod clock;
mod episode;
mod glance;
mod hidden;
mod interval;
mod judges;
mod leash;
mod look;
pub mod record;
mod recorded;
mod report;
mod run;
mod run_dir;
mod step;
mod steps;

pub use cancel::Cancel;
pub use clock::Stamp;
pub use episode::{Failure, Judge, Nobody, Task, Verdict, run_episode};
pub use glance::{Glance, run_version};
pub use hidden::Hidden;
pub use interval::wilson95;
pub use judges::{PracticeJudge, ScriptedJudge, steps_of};
pub use leash::{Confirm, Consent, Held, Leash, Question};
pub use recorded::{Recorded, RecordedEpisode, RecordedStep};
pub use report::{Side, render, render_comparison, render_list, render_served, write_report};
pub use run::{Run, StepCost};
pub use run_dir::{RunDir, RunDirError};
pub use step::{
    Agent, Checks, Deed, Eyes, Hands, InVain, Intent, Seen, StepError, StepOutcome, StepTimes, Watch,
    run_step,
};
pub use steps::{Attempt, Steps, TimeLimit};
