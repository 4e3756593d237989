//! Stands in for `train.rs` in a program that is built without the trainer.
//!
//! Invariant: every function ends as wrong usage and names the command that builds what is missing.

use std::path::Path;

use crate::args::{BenchTrainArgs, TrainCompareArgs, TrainGrpoArgs, TrainSftArgs};
use crate::commands::Form;
use crate::exit::Ending;
use crate::parts::Part;
use crate::settings::Settings;

pub(crate) fn sft(_: &TrainSftArgs, _: &Settings) -> anyhow::Result<Ending> {
    Err(Part::Training.missing())
}

pub(crate) fn grpo(_: &TrainGrpoArgs, _: &Settings, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Training.missing())
}

pub(crate) fn compare(_: &TrainCompareArgs, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Training.missing())
}

pub(crate) fn bench(_: &BenchTrainArgs, _: &Settings, _: Form) -> anyhow::Result<Ending> {
    Err(Part::Training.missing())
}

pub(crate) fn write_random(_: &str, _: &Path, _: &mut dyn FnMut(u64, u64)) -> anyhow::Result<()> {
    Err(Part::Training.missing())
}
