//! `vigorl bench engine`: the engine's speed at the sizes of published checkpoints.
//!
//! Invariant: each storage of the weights is loaded and measured in a process of its own, because the largest
//! memory a process ever took cannot be counted for one part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use image::RgbImage;
use vigorl_benchmarks::engine::{SCREENSHOT_PX, ceilings, measure};
use vigorl_benchmarks::engine_result::{EngineResult, Measured, Peer, Work};
use vigorl_files::write_whole;
use vigorl_qwen::{Engine, LoadOptions, ModelSource, WeightFormat};

use crate::args::BenchEngineArgs;
use crate::commands::bench::peer;
use crate::commands::{Form, pretty, train};
use crate::exit::{Ending, usage};
use crate::parts::Part;
use crate::settings::Device;
use crate::{model, record, terminal};

/// Writes the checkpoint where it is missing, measures, and prints.
pub(crate) fn engine(args: &BenchEngineArgs, form: Form) -> anyhow::Result<Ending> {
    let device = Device::named(&args.device).context("which device?")?;
    for name in &args.dtype {
        model::place(device, format(name)?)?;
    }
    let unmeasured = |peer: &&String| !["transformers-f32", "transformers-bf16"].contains(&peer.as_str());
    if let (Some(peer), false) = (args.against.iter().find(unmeasured), device == Device::Cpu) {
        return Err(usage(format!("{peer} is measured on the CPU: leave out --device")));
    }
    let folder = args.checkpoint.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from(format!("data/bench-engine-{}", args.size)));
    if args.alone {
        let dtype = args.dtype.first().context("which dtype?")?;
        let measured = alone(&folder, device, dtype, usize::from(args.repeats))?;
        terminal::data(&serde_json::to_string(&measured)?);
        return Ok(Ending::Done);
    }
    if !folder.join("model.safetensors").exists() {
        Part::Training.needed()?;
        let bar = terminal::bar(0, "bytes written");
        train::write_random(&args.size, &folder, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
    }
    // They are the processor's.
    let ceilings = (device == Device::Cpu).then(|| {
        terminal::note("measuring this machine");
        ceilings()
    });
    let measured = args.dtype.iter().map(|dtype| in_own_process(args, &folder, dtype));
    let measured = measured.collect::<anyhow::Result<Vec<_>>>()?;
    let tokens = measured.first().map(|m| (m.speed.n_prompt_tokens, m.speed.n_zoom_tokens));
    let (n_prompt, n_zoom) = tokens.context("which dtype?")?;
    let peers = args.against.iter().map(|peer| peer_in_own_process(args, &folder, peer, n_prompt, n_zoom));
    let peers = peers.collect::<anyhow::Result<Vec<_>>>()?;
    let result = EngineResult {
        commit: record::COMMIT.to_owned(),
        machine: match device {
            Device::Cuda => peer::nvidia_card(),
            Device::Cpu | Device::Metal => peer::machine(),
        },
        n_threads: std::thread::available_parallelism().map_or(0, usize::from),
        size: args.size.clone(),
        ceilings,
        measured,
        peers,
    };
    let json = pretty(&serde_json::to_value(&result)?);
    if let Some(path) = &args.result {
        write_whole(path, json.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => json,
        Form::Text => result.text(),
    });
    Ok(Ending::Done)
}

/// The scripts that measure other programs, by the name in front of the dtype.
const PEERS: [(&str, &str); 2] = [
    ("transformers", include_str!("../../../../benchmarks/peers/transformers_speed.py")),
    ("llama.cpp", include_str!("../../../../benchmarks/peers/llama_cpp_speed.py")),
];

fn peer_in_own_process(
    args: &BenchEngineArgs,
    folder: &Path,
    peer: &str,
    n_prompt_tokens: usize,
    n_zoom_tokens: usize,
) -> anyhow::Result<Peer> {
    let (name, dtype) = peer.split_once('-').context("a peer has a name and a dtype")?;
    let script = PEERS.iter().find(|(known, _)| *known == name).context("which peer?")?.1;
    terminal::note(&format!("{peer}: loading, then {} repetitions", u16::from(args.repeats) + 1));
    let repeats = args.repeats.to_string();
    let (n_prompt, n_zoom) = (n_prompt_tokens.to_string(), n_zoom_tokens.to_string());
    let folder = folder.to_string_lossy();
    let mut of_peer = vec![&*folder, "--dtype", dtype, "--repeats", &repeats];
    of_peer.extend(["--prompt-tokens", &n_prompt, "--zoom-tokens", &n_zoom]);
    if args.device != "cpu" {
        of_peer.extend(["--device", &args.device]);
    }
    peer::ask((peer, peer::TORCH), &args.python, script, &of_peer)
}

fn in_own_process(args: &BenchEngineArgs, folder: &Path, dtype: &str) -> anyhow::Result<Measured> {
    terminal::note(&format!("{dtype}: loading, then {} repetitions", u16::from(args.repeats) + 1));
    let said = Command::new(std::env::current_exe()?)
        .args(["bench", "engine", "--alone", "--dtype", dtype, "--repeats", &args.repeats.to_string()])
        .args(["--device", &args.device])
        .arg("--checkpoint")
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(said.status.success(), "the measurement of {dtype} ended with {}", said.status);
    Ok(serde_json::from_slice(&said.stdout)?)
}

fn format(dtype: &str) -> anyhow::Result<WeightFormat> {
    WeightFormat::named(dtype).context("which dtype?")
}

fn alone(folder: &Path, device: Device, dtype: &str, n_repeats: usize) -> anyhow::Result<Measured> {
    let format = format(dtype)?;
    let device = model::place(device, format)?.device().context("--device")?;
    let options = LoadOptions { device, format, ..LoadOptions::default() };
    let start = Instant::now();
    let mut engine = Engine::load(&ModelSource::Dir(folder.to_owned()), &options)?;
    let load_secs = start.elapsed().as_secs_f64();
    let bar = terminal::bar(n_repeats as u64 + 1, "repetitions");
    let speed = measure(&mut engine, n_repeats, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let work = work(&engine, options.format, speed.n_prompt_tokens)?;
    Ok(Measured {
        dtype: format.name().to_owned(),
        load_secs,
        peak_rss_gb: peer::peak_rss_gb()?,
        work,
        speed,
    })
}

/// The matrix products of W1.
fn work(engine: &Engine, format: WeightFormat, n_prompt_tokens: usize) -> anyhow::Result<Work> {
    let checkpoint = engine.checkpoint();
    let config = &checkpoint.config;
    let n_patches =
        checkpoint.processor.patches(&RgbImage::new(SCREENSHOT_PX.0, SCREENSHOT_PX.1))?.grid.n_patches();
    let gops = |n_weights: u64, n_rows: usize| 2.0 * n_weights as f64 * n_rows as f64 / 1e9;
    let n_visual = n_patches / config.vision.spatial_merge_size.pow(2);
    let output = config.text.n_output_weights();
    Ok(Work {
        vision_gops: gops(config.vision.n_block_weights(), n_patches)
            + gops(config.vision.n_merger_weights(), n_visual),
        prefill_gops: gops(config.text.n_layer_weights(), n_prompt_tokens),
        decode_gb: (format.bytes_of(config.text.n_layer_weights()) + format.bytes_of_output(output)) as f64
            / 1e9,
        is_int8: !matches!(format, WeightFormat::Dense(_)),
    })
}
