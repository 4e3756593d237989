//! `vigorl train grpo --memory`: what a training would hold, part by part, beside the memory of a card.
//!
//! Invariant: nothing is loaded and nothing is learned; an answer is one of shapes and not of a measurement, and says so.

use serde_json::json;
use vigorl_training::memory::{Memory, MemoryPart};
use vigorl_training::{Compute, GrpoConfig};

use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::terminal;

/// Counts, prints, and fails if it is too much.
pub(crate) fn memory(config: &GrpoConfig, compute: &Compute, gib: f64, form: Form) -> anyhow::Result<Ending> {
    let (memory, instead) = Memory::of_run(config, compute)?;
    if let Some(instead) = instead {
        terminal::note(&format!("`{}` is not there: the shapes of {instead} are counted", config.init.model));
    }
    let fits = in_gib(memory.total()) <= gib;
    terminal::data(&match form {
        Form::Json => pretty(&json!({
            "parts": memory,
            "shapes_of": instead.unwrap_or(&config.init.model),
            "total_bytes": memory.total(),
            "card_gib": gib,
            "fits": fits,
        })),
        Form::Text => text(&memory, gib, fits),
    });
    Ok(if fits { Ending::Done } else { Ending::NotDone })
}

fn text(memory: &Memory, gib: f64, fits: bool) -> String {
    let row =
        |part: &MemoryPart| format!("  {:<16} {:>8.2} GiB   {}", part.name, in_gib(part.bytes), part.why);
    let mut lines = Vec::new();
    for (when, parts) in
        [("always", &memory.always), ("while it learns", &memory.update), ("while it plays", &memory.play)]
    {
        lines.push(when.to_owned());
        lines.extend(parts.iter().map(row));
    }
    let verdict = if fits { "fits" } else { "does not fit" };
    lines.push(format!(
        "about {:.1} GiB, by the shapes of its tensors: that {verdict} {gib} GiB",
        in_gib(memory.total())
    ));
    lines.join("\n")
}

fn in_gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
