//! `vigorl train`, and whatever else of this program needs the trainer.
//!
//! Invariant: `train_absent.rs` has the same functions, for a program without the trainer, and each of them fails.

mod compare;

use std::path::Path;

use anyhow::Context as _;
use vigorl_report::write_training_report;

use vigorl_training::published::{self, PublishedSize};
use vigorl_training::{SftConfig, SftEnd, run_sft};

use crate::args::{BenchTrainArgs, TrainCompareArgs, TrainSftArgs};
use crate::commands::{Form, bench};
use crate::exit::{Ending, usage};
use crate::training_bar::TrainingBar;
use crate::{interrupt, terminal};

/// The supervised warm start.
pub(crate) fn sft(args: &TrainSftArgs) -> anyhow::Result<Ending> {
    if !args.config.is_file() {
        let shown = args.config.display();
        return Err(usage(format!("`{shown}` is no file; an example is training/configs/nano.toml")));
    }
    let cancel = interrupt::install()?;
    let mut bar = TrainingBar::default();
    let end = run_sft(&args.config, cancel.flag(), &mut |progress| bar.show(progress))?;
    let folder = SftConfig::read(&args.config)?.run.output_dir;
    let report = write_training_report(&folder).context("the training is done; its report is not")?;
    terminal::note(&format!("report: {}", report.display()));
    Ok(match end {
        SftEnd::Finished => Ending::Done,
        SftEnd::Interrupted { step } => {
            terminal::note(&format!("stopped after step {step}; the same command continues"));
            Ending::Interrupted
        }
    })
}

/// Several trainings side by side.
pub(crate) fn compare(args: &TrainCompareArgs, form: Form) -> anyhow::Result<Ending> {
    compare::compare(args, form)
}

/// How long a step of the trainer takes.
pub(crate) fn bench(args: &BenchTrainArgs, form: Form) -> anyhow::Result<Ending> {
    bench::train::train(args, form)
}

/// Writes a checkpoint of a published size, `3b` or `7b`, with random weights.
pub(crate) fn write_random(
    size: &str,
    folder: &Path,
    on_bytes: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<()> {
    let size = if size == "7b" { PublishedSize::B7 } else { PublishedSize::B3 };
    Ok(published::write_random(size, folder, on_bytes)?)
}
