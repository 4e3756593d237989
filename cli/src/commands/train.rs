//! `vigorl train`, and whatever else of this program needs the trainer.
//!
//! Invariant: `train_absent.rs` has the same functions, for a program without the trainer, and each of them fails.

mod compare;

use std::path::Path;

use anyhow::Context as _;
use vigorl_judges::Rewards;
use vigorl_report::write_training_report;
use vigorl_training::published::{self, PublishedSize};
use vigorl_training::{GrpoConfig, GrpoEnd, SftConfig, SftEnd, TrainingError, Worlds, run_grpo, run_sft};

use crate::args::{BenchTrainArgs, TrainCompareArgs, TrainGrpoArgs, TrainSftArgs};
use crate::commands::judge::rewards_config;
use crate::commands::rollout::Tools;
use crate::commands::{Form, bench, sources};
use crate::exit::{Ending, usage};
use crate::reading::LoadedReader;
use crate::settings::Settings;
use crate::training_bar::{RewardBar, TrainingBar};
use crate::{interrupt, terminal};

/// The supervised warm start.
pub(crate) fn sft(args: &TrainSftArgs) -> anyhow::Result<Ending> {
    if !args.config.is_file() {
        let shown = args.config.display();
        return Err(usage(format!("`{shown}` is no file; an example is training/configs/nano.toml")));
    }
    let cancel = interrupt::install()?;
    let mut bar = TrainingBar::default();
    let end = run_sft(
        &args.config,
        &mut || Ok(LoadedReader::load()?.named_texts()),
        cancel.flag(),
        &mut |progress| bar.show(progress),
    )?;
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

/// Learning by reward.
pub(crate) fn grpo(args: &TrainGrpoArgs, settings: &Settings) -> anyhow::Result<Ending> {
    let config = GrpoConfig::read(&args.config, &args.set).map_err(|error| match error {
        error @ (TrainingError::Syntax { .. } | TrainingError::Value { .. } | TrainingError::File { .. }) => {
            usage(error.to_string())
        }
        error => error.into(),
    })?;
    let rewards = config.play.rewards.as_deref().map(rewards_config).transpose()?;
    if let (Some(rewards), Some(path)) = (&rewards, &config.play.rewards) {
        Rewards::in_worlds(rewards).map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
    }
    let mut settings = settings.clone();
    settings.max_steps = config.play.max_steps.or(settings.max_steps);
    let cancel = interrupt::install()?;
    let reader = config.init.told_texts.then(LoadedReader::load).transpose()?;
    let tools = Tools { settings: &settings, rewards: rewards.as_ref(), reader };
    let open = |name: &str| sources::open(name, &settings).map_err(Into::into);
    let worlds = Worlds { open: &open, kit: &tools, cancel: &cancel };
    let folder = config.run.output_dir.clone();
    let mut bar = RewardBar::new(config.run.minutes);
    let end = run_grpo(config, &worlds, &mut |progress| bar.show(progress));
    bar.finish();
    let end = end?;
    let report = write_training_report(&folder).context("the training is done; its report is not")?;
    terminal::note(&format!("report: {}", report.display()));
    Ok(match end {
        GrpoEnd::Finished { step } => {
            terminal::data(&format!("{step} steps; the model is `{}`", folder.join("model").display()));
            Ending::Done
        }
        GrpoEnd::Interrupted { step } => {
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
