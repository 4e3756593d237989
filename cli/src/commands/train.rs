//! `vigorl train`, and whatever else of this program needs the trainer.
//!
//! Invariant: `train_absent.rs` has the same functions, for a program without the trainer, and each of them fails.

mod compare;
mod memory;

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_judges::Rewards;
use vigorl_qwen::WeightFormat;
use vigorl_report::{write_report, write_training_report};
use vigorl_rollouts::Tape;
use vigorl_runs::Run;
use vigorl_runs::record::{InputRecord, ModelRecord};
use vigorl_tasks::practice::{PageSpec, Split};
use vigorl_training::published::{self, PublishedSize};
use vigorl_training::{
    Compute, GrpoConfig, GrpoEnd, SftConfig, SftEnd, TrainingError, Worlds, run_grpo, run_sft,
};

use crate::args::{BenchTrainArgs, TrainCompareArgs, TrainGrpoArgs, TrainSftArgs};
use crate::commands::browsers::Browsers;
use crate::commands::judge::rewards_config;
use crate::commands::rollout::Tools;
use crate::commands::{Form, app_data, bench, data, sources};
use crate::exit::{Ending, usage};
use crate::model::place;
use crate::reading::LoadedReader;
use crate::settings::Settings;
use crate::training_bar::{RewardBar, TrainingBar};
use crate::{interrupt, record, terminal};

/// Supervised learning.
pub(crate) fn sft(args: &TrainSftArgs, settings: &Settings) -> anyhow::Result<Ending> {
    if !args.config.is_file() {
        let shown = args.config.display();
        return Err(usage(format!("`{shown}` is no file; an example is training/configs/nano.toml")));
    }
    let config = SftConfig::read(&args.config)?;
    let compute = compute(settings, false)?;
    let cancel = interrupt::install()?;
    supervised(config, &compute, &cancel)
}

/// Where it is computed; numbers narrower than f32 are for weights that stay as they are beside adapters.
fn compute(settings: &Settings, has_adapters: bool) -> anyhow::Result<Compute> {
    let device = place(settings.device, format(settings))?.device().context("--device")?;
    Ok(Compute { device, ..numbers(settings, has_adapters)? })
}

/// The same on the processor, which need not be asked whether it is there.
fn numbers(settings: &Settings, has_adapters: bool) -> anyhow::Result<Compute> {
    Compute::on_cpu(format(settings), has_adapters)
        .map_err(|reason| usage(format!("{}: {reason}", settings.origin_of("dtype"))))
}

/// As it was typed: what somebody prefers elsewhere is for looking, not for learning.
fn format(settings: &Settings) -> WeightFormat {
    if settings.is_typed("dtype") { settings.dtype } else { WeightFormat::default() }
}

fn supervised(config: SftConfig, compute: &Compute, cancel: &Cancel) -> anyhow::Result<Ending> {
    let folder = config.run.output_dir.clone();
    let mut bar = TrainingBar::default();
    let mut reader = || Ok(LoadedReader::load()?.named_texts());
    let end = run_sft(config, &mut reader, cancel.flag(), compute, &mut |progress| bar.show(progress))?;
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

/// What a run learns before it learns from reward; what is there of it is not made again.
fn warm_start(
    config: &GrpoConfig,
    settings: &Settings,
    compute: &Compute,
    cancel: &Cancel,
) -> anyhow::Result<Ending> {
    let of = &config.warm_start;
    let Some(warm_start) = config.warm_start()? else { return Ok(Ending::Done) };
    if warm_start.model().is_dir() {
        return Ok(Ending::Done);
    }
    if !warm_start.screens.join(app_data::LIST).is_file() {
        let names: Vec<String> = config.environments.iter().map(|of| of.name.clone()).collect();
        let wanted = app_data::Wanted {
            names: &names,
            episodes: of.episodes,
            scrolls: 0,
            clicks: of.clicks,
            texts: of.texts,
        };
        let written = app_data::write(&warm_start.screens, &wanted, settings, &|| cancel.is_set())?;
        if cancel.is_set() {
            // A list that is not whole would be taken for one.
            std::fs::remove_dir_all(&warm_start.screens)?;
            return Ok(Ending::Interrupted);
        }
        let app_data::Written { n_pairs, n_pictures, .. } = written;
        terminal::note(&format!("warm start: {n_pairs} names and places on {n_pictures} screenshots"));
    }
    if let Some(folder) = &warm_start.practice {
        let first = PageSpec::icons(settings.seed, Split::Train);
        data::render(first, of.practice_pages, folder, settings)?;
    }
    supervised(warm_start.config, compute, cancel)
}

/// Learning by reward.
pub(crate) fn grpo(args: &TrainGrpoArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let config = GrpoConfig::read(&args.config, &args.set).map_err(|error| match error {
        error @ (TrainingError::Syntax { .. } | TrainingError::Value { .. } | TrainingError::File { .. }) => {
            usage(error.to_string())
        }
        error => error.into(),
    })?;
    let has_adapters = config.lora.as_ref().is_some_and(|lora| lora.rank > 0);
    if let Some(gib) = args.memory {
        return memory::memory(&config, &numbers(settings, has_adapters)?, gib, form);
    }
    let compute = compute(settings, has_adapters)?;
    let rewards = config.play.rewards.as_deref().map(rewards_config).transpose()?;
    if let (Some(rewards), Some(path)) = (&rewards, &config.play.rewards) {
        Rewards::in_worlds(rewards).map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
    }
    let mut settings = settings.clone();
    settings.max_steps = config.play.max_steps.or(settings.max_steps);
    let cancel = interrupt::install()?;
    // Who cannot read finds out before anything slow begins.
    let reader = config.needs_reader()?.then(LoadedReader::load).transpose()?;
    match warm_start(&config, &settings, &compute, &cancel)? {
        Ending::Done => {}
        ended => return Ok(ended),
    }
    let texts = reader.as_ref().map(LoadedReader::shared_texts);
    let browsers = Browsers::new(&settings);
    let opener = browsers.opener();
    let tools = Tools { settings: &settings, browsers, rewards: rewards.as_ref(), texts };
    let open = |name: &str| sources::open_in(name, &settings, &opener).map_err(Into::into);
    let folder = config.run.output_dir.clone();
    let film = |name: &str, tapes: &[Tape]| Ok(film(&folder, name, tapes, &settings)?);
    let worlds = Worlds { open: &open, kit: &tools, film: &film, compute: &compute, cancel: &cancel };
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

/// Records episodes of a measurement in the folder of a training, instead of those that were recorded there before.
fn film(folder: &Path, name: &str, tapes: &[Tape], settings: &Settings) -> anyhow::Result<()> {
    let told = match name {
        "before" => "before the training".to_owned(),
        "after" => "after the training".to_owned(),
        name => format!("behind the {}", name.replace('-', " ")),
    };
    let evaluation = Some(json!({ "id": "training/1", "training": folder, "film": name }));
    let input = InputRecord { evaluation, ..InputRecord::default() };
    let model = ModelRecord { name: told.clone(), ..ModelRecord::default() };
    let record = record::of_run(&told, input, model, settings, "see the episodes".to_owned());
    let mut run = Run::recorded(folder, name, &record, &[])?;
    for tape in tapes {
        tape.tell(&mut run)?;
    }
    let (_, path) = run.finish()?;
    let path = path.context("a film is recorded")?;
    let kept = folder.join(name);
    if kept.exists() {
        std::fs::remove_dir_all(&kept)?;
    }
    std::fs::rename(path, &kept)?;
    write_report(&kept)?;
    Ok(())
}

/// Several trainings side by side.
pub(crate) fn compare(args: &TrainCompareArgs, form: Form) -> anyhow::Result<Ending> {
    compare::compare(args, form)
}

/// How long a step of the trainer takes.
pub(crate) fn bench(args: &BenchTrainArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    bench::train::train(args, &compute(settings, false)?, form)
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
