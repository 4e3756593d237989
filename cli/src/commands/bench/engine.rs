//! `vigorl bench engine`: the engine's speed at the sizes of published checkpoints.
//!
//! Invariant: each storage of the weights is loaded and measured in a process of its own, because the largest
//! memory a process ever took cannot be counted for one part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vigorl_benchmarks::engine::{Ceilings, EngineSpeed, ceilings, measure};
use vigorl_qwen::{Engine, LoadOptions, ModelSource, WeightFormat};
use vigorl_training::published::{PublishedSize, write_random};

use crate::args::BenchEngineArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::{record, terminal};

/// One storage of the weights.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    dtype: String,
    load_secs: f64,
    peak_rss_gb: f64,
    #[serde(flatten)]
    speed: EngineSpeed,
}

/// Writes the checkpoint where it is missing, measures, and prints.
pub(crate) fn engine(args: &BenchEngineArgs, form: Form) -> anyhow::Result<Ending> {
    let folder = args.checkpoint.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from(format!("data/bench-engine-{}", args.size)));
    if args.alone {
        let dtype = args.dtype.first().context("which dtype?")?;
        let measured = alone(&folder, dtype, usize::from(args.repeats))?;
        terminal::data(&serde_json::to_string(&measured)?);
        return Ok(Ending::Done);
    }
    if !folder.join("model.safetensors").exists() {
        let size = if args.size == "7b" { PublishedSize::B7 } else { PublishedSize::B3 };
        let bar = terminal::bar(0, "bytes written");
        write_random(size, &folder, &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
    }
    terminal::note("measuring this machine");
    let ceilings = ceilings();
    let measured = args.dtype.iter().map(|dtype| in_own_process(args, &folder, dtype));
    let measured = measured.collect::<anyhow::Result<Vec<_>>>()?;
    terminal::data(&match form {
        Form::Json => pretty(&json!({
            "commit": record::COMMIT,
            "n_threads": std::thread::available_parallelism().map_or(0, usize::from),
            "size": args.size,
            "ceilings": ceilings,
            "measured": measured,
        })),
        Form::Text => text(&args.size, &ceilings, &measured),
    });
    Ok(Ending::Done)
}

fn in_own_process(args: &BenchEngineArgs, folder: &Path, dtype: &str) -> anyhow::Result<Measured> {
    terminal::note(&format!("{dtype}: loading, then {} repetitions", u16::from(args.repeats) + 1));
    let said = Command::new(std::env::current_exe()?)
        .args(["bench", "engine", "--alone", "--dtype", dtype, "--repeats", &args.repeats.to_string()])
        .arg("--checkpoint")
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(said.status.success(), "the measurement of {dtype} ended with {}", said.status);
    Ok(serde_json::from_slice(&said.stdout)?)
}

fn alone(folder: &Path, dtype: &str, n_repeats: usize) -> anyhow::Result<Measured> {
    let named = WeightFormat::NAMED.iter().find(|(name, _)| *name == dtype);
    let options = LoadOptions { format: named.context("which dtype?")?.1, ..LoadOptions::default() };
    let start = Instant::now();
    let mut engine = Engine::load(&ModelSource::Dir(folder.to_owned()), &options)?;
    let load_secs = start.elapsed().as_secs_f64();
    let bar = terminal::bar(n_repeats as u64 + 1, "repetitions");
    let speed = measure(&mut engine, n_repeats, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(Measured { dtype: dtype.to_owned(), load_secs, peak_rss_gb: peak_rss_gb()?, speed })
}

/// The most memory this process ever had, mapped files included.
fn peak_rss_gb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux counts peak memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e9)
}

fn text(size: &str, ceilings: &Ceilings, measured: &[Measured]) -> String {
    let mut lines = vec![
        format!(
            "this machine: {:.0} billion 8-bit operations and {:.1} GB read a second",
            ceilings.int8_gops, ceilings.read_gb_per_sec
        ),
        format!(
            "Qwen2.5-VL-{} with random weights, a 1280x800 screenshot, a zoom, another instruction",
            size.to_uppercase()
        ),
        format!(
            "{:<6} {:>9} {:>10} {:>11} {:>12} {:>8} {:>8} {:>8} {:>9}",
            "dtype",
            "vision s",
            "prefill s",
            "prefill t/s",
            "decode t/s",
            "zoom s",
            "again s",
            "load s",
            "peak GB"
        ),
    ];
    lines.extend(measured.iter().map(|m| {
        let s = &m.speed;
        format!(
            "{:<6} {:>9.2} {:>10.2} {:>11.0} {:>12.2} {:>8.2} {:>8.2} {:>8.1} {:>9.2}",
            m.dtype,
            s.vision_secs,
            s.prefill_secs,
            s.n_prompt_tokens as f64 / s.prefill_secs,
            s.decode_per_sec,
            s.zoom_secs,
            s.second_instruction_secs,
            m.load_secs,
            m.peak_rss_gb
        )
    }));
    lines.join("\n")
}
