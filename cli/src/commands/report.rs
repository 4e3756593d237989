//! `vigorl report`: the report of a run that was recorded, finished or not, and the run as a film.

use image::ImageFormat;
use serde_json::json;
use vigorl_agent::{Recorded, write_report};

use crate::args::ReportArgs;
use crate::commands::{Form, film, picture, pretty};
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
    if let Some(gif) = &args.gif {
        let ending = film::write(&Recorded::read(&args.run_dir)?, gif, &interrupt::install()?)?;
        if ending == Ending::Interrupted {
            return Ok(ending);
        }
    }
    terminal::data(&match (form, &args.gif) {
        (Form::Json, None) => pretty(&json!({ "report": path })),
        (Form::Json, Some(gif)) => pretty(&json!({ "report": path, "gif": gif })),
        (Form::Text, None) => path.display().to_string(),
        (Form::Text, Some(gif)) => format!("{}\n{}", path.display(), gif.display()),
    });
    Ok(Ending::Done)
}
