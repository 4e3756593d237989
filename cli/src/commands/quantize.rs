//! `vigorl quantize`: writes quantized weights beside a checkpoint.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde_json::json;
use vigorl_qwen::WeightFormat;

use crate::args::QuantizeArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::{interrupt, model, terminal};

/// Prints the path of the file.
pub(crate) fn quantize(args: &QuantizeArgs, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let source = model::source(&args.model)?;
    let format = WeightFormat::named(&args.dtype).context("which dtype?")?;
    let checkpoint = model::open(&source)?;
    let (quantizing, on_quantized) = model::quantizing();
    let writing = terminal::bar(0, "bytes written");
    let path = checkpoint
        .write_quantized(format, Some(on_quantized), &mut |done, all| {
            writing.set_length(all);
            writing.set_position(done);
            if cancel.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .with_context(|| format!("cannot quantize `{source}`"))?;
    quantizing.finish_and_clear();
    writing.finish_and_clear();
    let Some(path) = path else { return Ok(Ending::Interrupted) };
    let n_bytes = std::fs::metadata(&path)?.len();
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "path": path, "bytes": n_bytes })),
        Form::Text => format!("{} ({:.1} MB)", path.display(), n_bytes as f64 / 1e6),
    });
    Ok(Ending::Done)
}
