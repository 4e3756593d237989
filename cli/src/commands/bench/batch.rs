//! `vigorl bench batch`: several conversations of the embedded policy at once, and one after the other, in one run.

use anyhow::Context as _;
use vigorl_benchmarks::batch::{BatchResult, group, rounds};
use vigorl_files::write_whole;
use vigorl_qwen::{Engine, LoadOptions, ModelSource, WeightFormat};

use crate::args::BenchBatchArgs;
use crate::commands::bench::peer::{machine, peak_rss_gb};
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::{record, terminal};

/// Measures and prints.
pub(crate) fn batch(args: &BenchBatchArgs, form: Form) -> anyhow::Result<Ending> {
    let format = WeightFormat::named(&args.dtype).context("which dtype?")?;
    let engine = Engine::load(&ModelSource::Nano, &LoadOptions { format, ..LoadOptions::default() })?;
    let beside = || engine.beside();
    let (n, n_rounds) = (usize::from(args.conversations), usize::from(args.rounds));
    let bar = terminal::bar(n_rounds as u64 + 1, "rounds");
    let rounds = rounds(&beside, n, n_rounds, &mut || bar.inc(1))?;
    bar.finish_and_clear();
    let peak_rss_gb_before = peak_rss_gb()?;
    let group = group(&beside, usize::from(args.group))?;
    let result = BatchResult {
        commit: record::COMMIT.to_owned(),
        machine: machine(),
        n_threads: std::thread::available_parallelism().map_or(0, usize::from),
        policy: [engine.checkpoint().name.clone(), format.name().to_owned()],
        n,
        rounds,
        group,
        peak_rss_gb_before,
        peak_rss_gb: peak_rss_gb()?,
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
