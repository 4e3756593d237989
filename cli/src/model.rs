//! Which eyes: the one place that turns `--model` and its companions into a policy.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use vigorl_agent::record::ModelRecord;
use vigorl_policy::{Preset, Sampling, Turns};
use vigorl_qwen::{Checkpoint, Engine, HubAccess, LoadOptions, ModelSource, Network, Place, WeightFormat};

use crate::env;
use crate::exit::usage;
use crate::settings::{Device, Settings};
use crate::terminal;

/// A policy and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Eyes {
    pub(crate) policy: Engine,
    pub(crate) preset: Preset,
    pub(crate) sampling: Sampling,
    pub(crate) record: ModelRecord,
}

/// Loads the policy that the settings name.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<Eyes> {
    source(settings)?;
    let preset = preset(settings)?;
    let policy = load_engine(settings)?;
    let sha256 = policy.checkpoint().weights_sha256()?;
    let record = ModelRecord { name: settings.model.clone(), sha256: Some(sha256) };
    Ok(Eyes { policy, preset, sampling: sampling(settings), record })
}

/// Loads the engine alone.
pub(crate) fn load_engine(settings: &Settings) -> anyhow::Result<Engine> {
    let source = source(settings)?;
    let bar = terminal::bar(0, "bytes");
    let shown = bar.clone();
    let on_bytes = Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    });
    let network = if env::hub_is_offline() { Network::CacheOnly } else { Network::Allowed };
    let hub = HubAccess { network, on_bytes: Some(on_bytes) };
    let place = match settings.device {
        Device::Cpu => Place::Cpu,
        Device::Cuda => Place::Cuda,
        Device::Metal => Place::Metal,
    };
    if !matches!(settings.dtype, WeightFormat::Dense(_)) && settings.device != Device::Cpu {
        return Err(usage(
            "quantized weights are computed on the CPU: leave out --device, or choose --dtype bf16",
        ));
    }
    let device = place.device().context("--device")?;
    let mut options = LoadOptions { hub, device, format: settings.dtype, ..LoadOptions::default() };
    let quantized = terminal::bar(0, "weights quantized");
    let shown = quantized.clone();
    options.on_quantized = Some(Arc::new(move |n, all| {
        shown.set_length(all);
        shown.inc(n);
    }));
    let checkpoint =
        Checkpoint::open(&source, &options.hub).with_context(|| format!("cannot use `{source}`"))?;
    let engine =
        Engine::from_checkpoint(checkpoint, &options).with_context(|| format!("cannot use `{source}`"))?;
    bar.finish_and_clear();
    quantized.finish_and_clear();
    Ok(engine)
}

/// Where the checkpoint is; a folder must exist.
fn source(settings: &Settings) -> anyhow::Result<ModelSource> {
    let source = ModelSource::parse(&settings.model);
    match &source {
        ModelSource::Dir(dir) if !dir.is_dir() => Err(usage(format!(
            "`{}` is no folder and no hub name; --model takes `nano`, a checkpoint folder, or ORG/NAME",
            settings.model
        ))),
        _ => Ok(source),
    }
}

/// The preset of the settings or of the checkpoint's name, with single values replaced.
fn preset(settings: &Settings) -> anyhow::Result<Preset> {
    let mut preset = match &settings.preset {
        Some(name) => Preset::named(name).with_context(|| format!("there is no preset `{name}`"))?,
        None => Preset::for_checkpoint(&full_name(&settings.model)).ok_or_else(|| {
            usage(format!(
                "the name `{}` does not say how this checkpoint is spoken to: add --preset, one of {}",
                settings.model,
                Preset::NAMES.join(", ")
            ))
        })?,
    };
    if let Some(max_turns) = settings.max_turns {
        allow_turns(&mut preset, max_turns);
    }
    preset.crop.offset_px = settings.crop_offset_px.unwrap_or(preset.crop.offset_px);
    preset.crop.side_px = settings.crop_size_px.unwrap_or(preset.crop.side_px);
    preset.crop.dot = settings.dot.unwrap_or(preset.crop.dot);
    Ok(preset)
}

fn allow_turns(preset: &mut Preset, max_turns: usize) {
    preset.limits.max_turns = max_turns;
    // The screenshot and a crop for every turn but the last, or the images would run out first.
    preset.limits.max_images = preset.limits.max_images.max(max_turns);
    // A multi-turn policy with one turn is made to answer in it.
    if max_turns > 1 {
        preset.turns = Turns::Multi;
    }
}

/// A folder's full path says more than `.`.
fn full_name(model: &str) -> String {
    let path = Path::new(model);
    let full = path.is_dir().then(|| path.canonicalize().ok()).flatten();
    full.map_or_else(|| model.to_owned(), |path| path.display().to_string())
}

fn sampling(settings: &Settings) -> Sampling {
    Sampling {
        temperature: settings.temperature,
        top_p: settings.top_p,
        repetition_penalty: 1.0,
        // The preset's own limit is smaller.
        max_new_tokens: usize::MAX,
        stop: Vec::new(),
        seed: settings.seed,
        form: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_turns(mut preset: Preset, max_turns: usize, n_images: usize, turns: Turns) {
        allow_turns(&mut preset, max_turns);
        assert_eq!((preset.limits.max_turns, preset.limits.max_images), (max_turns, n_images));
        assert_eq!(preset.turns, turns);
    }

    #[test]
    fn more_turns_bring_their_images() {
        check_turns(Preset::web_grounding_multiturn(), 9, 9, Turns::Multi);
        check_turns(Preset::web_grounding_multiturn(), 2, 5, Turns::Multi);
        check_turns(Preset::web_grounding(), 1, 5, Turns::Single);
        check_turns(Preset::nano(), 1, 4, Turns::Multi);
    }
}
