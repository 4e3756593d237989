//! `vigorl stop`: ends what is running.

use serde_json::json;

use crate::args::StopArgs;
use crate::commands::{Form, pretty};
use crate::exit::Ending;
use crate::running::{self, Stopped};
use crate::terminal;

/// Asks every run of this user to end, and waits for it.
pub(crate) fn stop(args: &StopArgs, form: Form) -> anyhow::Result<Ending> {
    let runs = running::all()?;
    let stopped: Vec<_> = runs.iter().map(|run| (run, running::stop(run, args.force))).collect();
    let all_ended = stopped.iter().all(|(_, stopped)| *stopped == Stopped::Ended);
    terminal::data(&match form {
        Form::Json => {
            let runs = stopped.iter().map(|(run, stopped)| {
                let ended = *stopped == Stopped::Ended;
                json!({ "pid": run.pid.as_raw_nonzero().get(), "command": run.what, "ended": ended })
            });
            pretty(&json!({ "ok": all_ended, "runs": runs.collect::<Vec<_>>() }))
        }
        Form::Text if stopped.is_empty() => "nothing is running".to_owned(),
        Form::Text => {
            let lines = stopped.iter().map(|(run, stopped)| {
                let word = match stopped {
                    Stopped::Ended => "ended",
                    Stopped::GoesOn => "goes on; --force ends it at once",
                    Stopped::Elsewhere => "goes on; it was started in another container: stop it there",
                };
                format!("{}  {}  {word}", run.pid.as_raw_nonzero(), run.what)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    });
    Ok(if all_ended { Ending::Done } else { Ending::NotDone })
}
