//! `vigorl data practice`: renders practice pages with their truth.

use std::path::Path;

use serde_json::json;
use vigorl_benchmarks::PracticeSet;
use vigorl_tasks::practice::dataset::{Dataset, DatasetSpec, Manifest, render_dataset};
use vigorl_tasks::practice::{PageSpec, Split};

use crate::args::DataPracticeArgs;
use crate::commands::{Form, browser, pages, pretty};
use crate::exit::{Ending, usage};
use crate::settings::Settings;
use crate::terminal;

/// Renders what is missing of the data set.
pub(crate) fn practice(args: &DataPracticeArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let first = pages::first_page(&args.page, settings, Split::Train)?;
    let manifest = render(first, args.pages, &args.folder, settings)?;
    if args.screens {
        let bar = terminal::bar(args.pages, "screenshots");
        let path =
            Dataset::open(&args.folder)?.write_screens(&args.folder, &mut |n| bar.set_position(n as u64))?;
        bar.finish_and_clear();
        terminal::note(&format!("screenshots with boxes are in {}", path.display()));
    }
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "folder": args.folder, "dataset": manifest })),
        Form::Text => format!(
            "{} pages in {}, {} x {} on a sheet",
            args.pages,
            args.folder.display(),
            manifest.columns,
            manifest.rows
        ),
    });
    Ok(Ending::Done)
}

/// Renders what is missing of a data set, and shows how far it is.
pub(crate) fn render(
    first: PageSpec,
    pages: u64,
    folder: &Path,
    settings: &Settings,
) -> anyhow::Result<Manifest> {
    PracticeSet::new(first, pages).map_err(usage)?;
    let spec = DatasetSpec { first, pages };
    let mut driver = browser::start(settings, settings.viewport)?;
    let bar = terminal::bar(pages, "pages");
    let manifest =
        render_dataset(&mut driver, &spec, folder, &mut |progress| bar.set_position(progress.done))?;
    bar.finish_and_clear();
    Ok(manifest)
}
