//! `vigorl bench train`: a training step of the embedded policy, or an update of learning by reward, beside the same step
//! in another program.
//!
//! Invariant: both programs start from the same weights and see the same rows; a peer whose first loss or gradient
//! is another than ours did not take the same step, and no ratio is printed.

use std::thread::available_parallelism;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vigorl_files::write_whole;
use vigorl_training::Compute;
use vigorl_training::bench::{
    LessonsSize, LessonsStep, StepSpeed, UpdateSize, UpdateStep, WARM_UP, Workload, measure,
};
use vigorl_training::config::MatrixRule;

use crate::args::BenchTrainArgs;
use crate::commands::bench::peer::{self, machine};
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::{record, terminal};

const TRANSFORMERS: &str = include_str!("../../../../benchmarks/peers/transformers_train.py");
/// How far losses and gradients of the first step may differ, relative to ours.
const TOLERANCE: f64 = 1e-3;
/// What moves the matrices: peers have the first, the recipe of `nano` the second.
const ADAMW: &str = "AdamW";
const MUON: &str = "Muon, AdamW";

/// Our step with one optimizer.
#[derive(Debug, Serialize)]
struct Measured {
    optimizer: &'static str,
    #[serde(flatten)]
    speed: StepSpeed,
}

/// Another program on the same rows, with AdamW.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    system: String,
    n_threads: usize,
    measured: Vec<PeerMeasured>,
}

/// One way to take the step there.
#[derive(Debug, Serialize, Deserialize)]
struct PeerMeasured {
    /// How rows are put together.
    rows: String,
    #[serde(flatten)]
    speed: StepSpeed,
}

/// What a step computes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Size {
    Lessons(LessonsSize),
    Update(UpdateSize),
}

/// Measures and prints.
pub(crate) fn train(args: &BenchTrainArgs, compute: &Compute, form: Form) -> anyhow::Result<Ending> {
    let mut workloads: Vec<(&str, Box<dyn Workload>)> = Vec::new();
    let size = if let Some(run) = &args.update {
        let update = UpdateStep::of_run(run, compute)?;
        let size = update.size();
        workloads.push((ADAMW, Box::new(update)));
        Size::Update(size)
    } else {
        let mut size = LessonsSize::default();
        for (name, rule) in [(ADAMW, MatrixRule::AdamW), (MUON, MatrixRule::Muon)] {
            let lessons = LessonsStep::nano(rule, compute)?;
            size = lessons.size();
            workloads.push((name, Box::new(lessons)));
        }
        Size::Lessons(size)
    };
    let (_, first) = workloads.first().context("which optimizer?")?;
    let n_workers = first.n_workers();
    // First, because it is what can be missing.
    let peer = args.against.as_ref().map(|name| ask(args, name, &**first)).transpose()?;
    let mut measured = Vec::new();
    for (optimizer, workload) in &mut workloads {
        terminal::note(&format!("vigorl with {optimizer}: {} steps", WARM_UP + usize::from(args.steps)));
        let bar = terminal::bar((WARM_UP + usize::from(args.steps)) as u64, "steps");
        let speed = measure(&mut **workload, args.steps.into(), &mut || bar.inc(1))?;
        bar.finish_and_clear();
        measured.push(Measured { optimizer, speed });
    }
    let ours = measured.first().context("which optimizer?")?.speed;
    for there in peer.iter().flat_map(|peer| &peer.measured) {
        is_same_step(&ours, there)?;
    }
    let json = json!({
        "commit": record::COMMIT,
        "machine": machine(),
        "n_threads": available_parallelism().map_or(0, usize::from),
        "n_workers": n_workers,
        "size": size,
        "measured": measured,
        "peers": peer.as_slice(),
    });
    if let Some(path) = &args.result {
        write_whole(path, pretty(&json).as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => text(&size, n_workers, &measured, peer.as_ref()),
    });
    Ok(Ending::Done)
}

fn ask(args: &BenchTrainArgs, name: &str, workload: &dyn Workload) -> anyhow::Result<Peer> {
    let folder = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    workload.write(folder.path())?;
    terminal::note(&format!("{name}: {} steps in each of its ways", WARM_UP + usize::from(args.steps)));
    let n_steps = args.steps.to_string();
    let device = if workload.is_on_card() { "cuda" } else { "cpu" };
    let of_peer = [
        folder.path().as_os_str(),
        "--steps".as_ref(),
        n_steps.as_ref(),
        "--device".as_ref(),
        device.as_ref(),
    ];
    peer::ask((name, peer::TORCH), &args.python, TRANSFORMERS, &of_peer)
}

/// Fails if `there` computed something else.
fn is_same_step(ours: &StepSpeed, there: &PeerMeasured) -> anyhow::Result<()> {
    let of = &there.speed;
    for (what, ours, theirs) in [
        ("loss", ours.first_loss, of.first_loss),
        ("gradient's length", ours.first_gradient_norm, of.first_gradient_norm),
    ] {
        anyhow::ensure!(
            (ours - theirs).abs() <= TOLERANCE * ours.abs(),
            "the first step's {what} is {ours} here and {theirs} there ({}): not the same step, so no comparison",
            there.rows
        );
    }
    Ok(())
}

impl Size {
    /// What is counted in a second, and how many of them a step has.
    fn unit(&self) -> (&'static str, usize) {
        match self {
            Self::Lessons(size) => ("questions/s", size.n_questions),
            Self::Update(size) => ("answers/s", size.n_conversations),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Lessons(size) => vec![
                format!(
                    "a step of nano's last recipe: {} questions on {} pages in {} micro-batches, {} tokens ({} with \
                     padding)",
                    size.n_questions, size.n_pages, size.n_micro_batches, size.n_tokens, size.n_padded_tokens
                ),
                format!(
                    "{} images of {} patches, {} visual tokens; {} tokens, {} looks and {} visual tokens are learned",
                    size.n_images,
                    size.n_patches,
                    size.n_visual_tokens,
                    size.n_targets,
                    size.n_looks,
                    size.n_named
                ),
            ],
            Self::Update(size) => vec![
                format!(
                    "an update of learning by reward: {} conversations in {} rows and {} micro-batches, {} tokens, {} \
                     patches; {} tokens were sampled",
                    size.n_conversations,
                    size.n_rows,
                    size.n_micro_batches,
                    size.n_tokens,
                    size.n_patches,
                    size.n_sampled
                ),
                format!(
                    "with a row for each conversation: {} tokens, {} patches",
                    size.n_tokens_apart, size.n_patches_apart
                ),
            ],
        }
    }
}

fn text(size: &Size, n_workers: usize, measured: &[Measured], peer: Option<&Peer>) -> String {
    let (unit, n_units) = size.unit();
    let threads = available_parallelism().map_or(0, usize::from);
    let mut lines = vec![format!("this machine: {}, {threads} threads", machine())];
    lines.extend(size.lines());
    lines.push(format!(
        "{:<56} {:>8} {:>9} {:>11} {:>11} {:>11} {:>14} {:>10}",
        "", "s a step", "fastest s", "processor s", unit, "first loss", "first gradient", "last loss"
    ));
    let row = |name: &str, s: &StepSpeed| {
        let per_sec = n_units as f64 / s.step_secs;
        format!(
            "{name:<56} {:>8.3} {:>9.3} {:>11.3} {per_sec:>11.1} {:>11.5} {:>14.4} {:>10.5}",
            s.step_secs, s.fastest_secs, s.processor_secs, s.first_loss, s.first_gradient_norm, s.last_loss
        )
    };
    let ours = measured.iter();
    lines.extend(ours.map(|m| row(&format!("vigorl, {n_workers} workers, {}", m.optimizer), &m.speed)));
    if let Some(peer) = peer {
        let name = |way: &PeerMeasured| {
            let system = peer.system.split("+").next().unwrap_or_default();
            format!("{system}, {}, AdamW", way.rows)
        };
        lines.extend(peer.measured.iter().map(|way| row(&name(way), &way.speed)));
        let fastest = peer.measured.iter().min_by(|a, b| a.speed.step_secs.total_cmp(&b.speed.step_secs));
        for (way, m) in fastest.into_iter().flat_map(|way| measured.iter().map(move |m| (way, m))) {
            lines.push(format!(
                "vigorl with {} takes {:.2} of the time of {} with {} threads, {}",
                m.optimizer,
                m.speed.step_secs / way.speed.step_secs,
                peer.system,
                peer.n_threads,
                way.rows
            ));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_loss_or_gradient_is_no_comparison() {
        let ours = StepSpeed {
            n_steps: 1,
            step_secs: 1.0,
            fastest_secs: 1.0,
            processor_secs: 1.0,
            first_loss: 2.0,
            first_gradient_norm: 5.0,
            last_loss: 1.0,
        };
        let there = |first_loss: f64, first_gradient_norm: f64| PeerMeasured {
            rows: "micro-batches".to_owned(),
            speed: StepSpeed { first_loss, first_gradient_norm, ..ours },
        };
        assert!(is_same_step(&ours, &there(2.001, 4.996)).is_ok());
        let said = is_same_step(&ours, &there(2.003, 5.0)).unwrap_err().to_string();
        assert!(said.contains("loss is 2 here and 2.003 there (micro-batches)"), "{said}");
        let said = is_same_step(&ours, &there(2.0, f64::NAN)).unwrap_err().to_string();
        assert!(said.contains("gradient"), "{said}");
    }
}
