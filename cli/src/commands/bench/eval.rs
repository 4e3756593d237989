//! `vigorl bench eval`: what an evaluation costs besides the model.

use vigorl_benchmarks::eval_speed::{measure, write_set};

use crate::args::BenchEvalArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::terminal;

/// Items that are played, unless said otherwise.
const ITEMS: usize = 300;

/// Measures and prints.
pub(crate) fn eval(args: &BenchEvalArgs, form: Form) -> anyhow::Result<Ending> {
    let n_items = args.items.map_or(ITEMS, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let n_at_once = args.concurrency.map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let folder = tempfile::tempdir()?;
    let bar = terminal::bar(n_items.div_ceil(3) as u64, "pictures written");
    write_set(folder.path(), n_items, &mut || bar.inc(1)).map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    let bar = terminal::bar(n_items as u64, "items");
    let record = folder.path().join("record");
    let speed = measure(folder.path(), &record, args.policy_secs, n_at_once, &|| bar.inc(1))
        .map_err(anyhow::Error::msg)?;
    bar.finish_and_clear();
    terminal::data(&match form {
        Form::Json => pretty(&serde_json::to_value(speed)?),
        Form::Text => speed.text(),
    });
    Ok(Ending::Done)
}
