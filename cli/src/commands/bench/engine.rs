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
use crate::commands::bench::peer::{self, machine};
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
    let tokens = measured.first().map(|m| (m.speed.n_prompt_tokens, m.speed.n_zoom_tokens));
    let (n_prompt, n_zoom) = tokens.context("which dtype?")?;
    let peers = args.against.iter().map(|peer| peer_in_own_process(args, &folder, peer, n_prompt, n_zoom));
    let peers = peers.collect::<anyhow::Result<Vec<_>>>()?;
    let json = json!({
        "commit": record::COMMIT,
        "machine": machine(),
        "n_threads": std::thread::available_parallelism().map_or(0, usize::from),
        "size": args.size,
        "ceilings": ceilings,
        "measured": measured,
        "peers": peers,
    });
    if let Some(path) = &args.result {
        std::fs::write(path, pretty(&json)).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => text(&args.size, &ceilings, &measured, &peers),
    });
    Ok(Ending::Done)
}

/// Another program on the same weights.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    system: String,
    dtype: String,
    n_threads: usize,
    n_repeats: usize,
    load_secs: f64,
    peak_rss_gb: f64,
    vision_secs: f64,
    prefill_secs: f64,
    decode_per_sec: f64,
    zoom_secs: f64,
}

const TRANSFORMERS: &str = include_str!("../../../../benchmarks/peers/transformers_speed.py");

fn peer_in_own_process(
    args: &BenchEngineArgs,
    folder: &Path,
    peer: &str,
    n_prompt_tokens: usize,
    n_zoom_tokens: usize,
) -> anyhow::Result<Peer> {
    let (_, dtype) = peer.split_once('-').context("a peer has a name and a dtype")?;
    terminal::note(&format!("{peer}: loading, then {} repetitions", u16::from(args.repeats) + 1));
    let repeats = args.repeats.to_string();
    let of_peer = [&folder.to_string_lossy(), "--dtype", dtype, "--repeats", &repeats].map(str::to_owned);
    let tokens =
        ["--prompt-tokens", &n_prompt_tokens.to_string(), "--zoom-tokens", &n_zoom_tokens.to_string()];
    peer::ask(peer, &args.python, TRANSFORMERS, &[&of_peer[..], &tokens.map(str::to_owned)].concat())
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

fn text(size: &str, ceilings: &Ceilings, measured: &[Measured], peers: &[Peer]) -> String {
    let mut lines = vec![
        format!(
            "this machine ({}): {:.0} billion 8-bit operations and {:.1} GB read a second",
            machine(),
            ceilings.int8_gops,
            ceilings.read_gb_per_sec
        ),
        format!(
            "Qwen2.5-VL-{} with random weights, a 1280x800 screenshot, a zoom, another instruction",
            size.to_uppercase()
        ),
        format!(
            "{:<18} {:>9} {:>10} {:>11} {:>11} {:>7} {:>8} {:>6} {:>7} {:>8}",
            "",
            "vision s",
            "prefill s",
            "prefill t/s",
            "decode t/s",
            "zoom s",
            "again s",
            "8 : 1",
            "load s",
            "peak GB"
        ),
    ];
    let row = |name: &str, of: [f64; 7], again: String, eight: String| {
        let [vision, prefill, per_sec, decode, zoom, load, peak] = of;
        format!(
            "{name:<18} {vision:>9.2} {prefill:>10.2} {per_sec:>11.0} {decode:>11.2} {zoom:>7.2} {again:>8} {eight:>6} {load:>7.1} {peak:>8.2}"
        )
    };
    lines.extend(measured.iter().map(|m| {
        let s = &m.speed;
        let per_sec = s.n_prompt_tokens as f64 / s.prefill_secs;
        let of = [
            s.vision_secs,
            s.prefill_secs,
            per_sec,
            s.decode_per_sec,
            s.zoom_secs,
            m.load_secs,
            m.peak_rss_gb,
        ];
        let eight = format!("{:.2}", s.eight_completions_secs / s.one_completion_secs);
        row(&m.dtype, of, format!("{:.2}", s.second_instruction_secs), eight)
    }));
    let n_prompt = measured.first().map_or(0, |m| m.speed.n_prompt_tokens) as f64;
    for peer in peers {
        let per_sec = n_prompt / peer.prefill_secs;
        let of = [
            peer.vision_secs,
            peer.prefill_secs,
            per_sec,
            peer.decode_per_sec,
            peer.zoom_secs,
            peer.load_secs,
            peer.peak_rss_gb,
        ];
        lines.push(row(&format!("transformers {}", peer.dtype), of, "-".to_owned(), "-".to_owned()));
    }
    lines
        .push("8 : 1 is the time of eight completions of 64 tokens side by side over that of one".to_owned());
    for peer in peers {
        for m in measured {
            let first = (m.speed.vision_secs + m.speed.prefill_secs) / (peer.vision_secs + peer.prefill_secs);
            let decode = m.speed.decode_per_sec / peer.decode_per_sec;
            let zoom = m.speed.zoom_secs / peer.zoom_secs;
            lines.push(format!(
                "{} against {} {}: {first:.2} of its time to the first token, {zoom:.2} of its time for a zoom, decodes {decode:.1} times as fast",
                m.dtype, peer.system, peer.dtype
            ));
        }
    }
    lines.join("\n")
}
