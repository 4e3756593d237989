//! `vigorl report`: the report of a run that was recorded, finished or not, and the run as a film.

use std::path::Path;

use image::ImageFormat;
use serde_json::json;
use vigorl_report::{Filmed, write_film, write_report};
use vigorl_runs::Recorded;

use crate::args::ReportArgs;
use crate::commands::{Form, picture, pretty};
use crate::exit::{Ending, usage};
use crate::{interrupt, terminal};

/// Writes the report, and the film if one is wanted, and names them.
pub(crate) fn report(args: &ReportArgs, form: Form) -> anyhow::Result<Ending> {
    if !args.run_dir.join("run.json").is_file() {
        let shown = args.run_dir.display();
        return Err(usage(format!("`{shown}` is no run directory: it has no run.json")));
    }
    if let Some(path) = &args.gif {
        picture::check_target("--gif", path, |format| format == ImageFormat::Gif, ".gif")?;
    }
    let path = write_report(&args.run_dir)?;
    if let Some(gif) = &args.gif
        && film(&Recorded::read(&args.run_dir)?, gif)? == Filmed::BrokenOff
    {
        return Ok(Ending::Interrupted);
    }
    terminal::data(&match (form, &args.gif) {
        (Form::Json, None) => pretty(&json!({ "report": path })),
        (Form::Json, Some(gif)) => pretty(&json!({ "report": path, "gif": gif })),
        (Form::Text, None) => path.display().to_string(),
        (Form::Text, Some(gif)) => format!("{}\n{}", path.display(), gif.display()),
    });
    Ok(Ending::Done)
}

/// Writes the film, with a bar for who waits, until Ctrl-C.
fn film(recorded: &Recorded, path: &Path) -> anyhow::Result<Filmed> {
    let cancel = interrupt::install()?;
    let bar = terminal::bar(0, "frames");
    let filmed = write_film(recorded, path, |n_done, n| {
        bar.set_length(n as u64);
        bar.set_position(n_done as u64);
        !cancel.is_set()
    });
    bar.finish_and_clear();
    Ok(filmed?)
}
