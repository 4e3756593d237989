//! The format of a run directory: its files as types, how they are written while a run goes on, and how they are read back.
//!
//! Start with [`record`], the files as types; a [`Run`] watches episodes, [`RunDir`] writes the files and [`Recorded`] reads
//! them. Invariants: what was written stays readable whatever happens next; files of older versions are read; no file
//! contains a secret.

mod clock;
mod encoded;
mod glance;
mod hidden;
mod interval;
mod misread;
mod pieces;
pub mod record;
mod recorded;
mod run;
mod run_dir;
mod totals;
mod troubles;

pub use clock::Stamp;
pub use glance::{Glance, run_version};
pub use hidden::Hidden;
pub use interval::wilson95;
pub use recorded::{Recorded, RecordedEpisode, RecordedStep};
pub use run::{ReadTexts, Run, StepCost};
pub use run_dir::{RunDir, RunDirError};
pub use totals::{Judged, Totals};
