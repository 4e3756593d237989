//! `vigorl stop`: ends what is running.

use serde_json::json;

use crate::args::StopArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::{running, terminal};

/// Asks every run of this user to end, and waits for it.
pub(crate) fn stop(args: &StopArgs, form: Form) -> anyhow::Result<Ending> {
    let runs = running::all()?;
    let stopped: Vec<_> = runs.iter().map(|run| (run, running::stop(run, args.force))).collect();
    let all_ended = stopped.iter().all(|(_, ended)| *ended);
    terminal::data(&match form {
        Form::Json => {
            let runs = stopped.iter().map(|(run, ended)| {
                json!({ "pid": run.pid.as_raw_nonzero().get(), "command": run.what, "ended": ended })
            });
            pretty(&json!({ "ok": all_ended, "runs": runs.collect::<Vec<_>>() }))
        }
        Form::Text if stopped.is_empty() => "nothing is running".to_owned(),
        Form::Text => {
            let lines = stopped.iter().map(|(run, ended)| {
                let word = if *ended { "ended" } else { "goes on; --force ends it at once" };
                format!("{}  {}  {word}", run.pid.as_raw_nonzero(), run.what)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    });
    Ok(if all_ended { Ending::Done } else { Ending::NotDone })
}
