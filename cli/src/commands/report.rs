//! `vigorl report`: the report of a run that was recorded, finished or not.

use serde_json::json;
use vigorl_agent::write_report;

use crate::args::ReportArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::terminal;

/// Writes the report and names it.
pub(crate) fn report(args: &ReportArgs, form: Form) -> anyhow::Result<Ending> {
    if !args.run_dir.join("run.json").is_file() {
        let shown = args.run_dir.display();
        return Err(usage(format!("`{shown}` is no run directory: it has no run.json")));
    }
    let path = write_report(&args.run_dir)?;
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "report": path })),
        Form::Text => path.display().to_string(),
    });
    Ok(Ending::Done)
}
