//! `vigorl eval miniwob --clicker NAME`: what clicks earn that look at nothing.

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_benchmarks::Evaluation as _;
use vigorl_benchmarks::miniwob::{Clicked, Clicker, MiniWobSet};
use vigorl_files::write_whole;

use crate::args::{ClickerArg, EvalArgs};
use crate::commands::{Form, browser, pretty};
use crate::exit::{Ending, usage};
use crate::settings::Settings;
use crate::{env, record, terminal};

/// The baselines of MiniWoB++: what clicks earn that look at nothing.
pub(super) fn click_without_eyes(
    args: &EvalArgs,
    clicker: ClickerArg,
    settings: &Settings,
    form: Form,
    cancel: &Cancel,
) -> anyhow::Result<Ending> {
    let set = MiniWobSet::open(&args.choice(), args.episodes).map_err(usage)?;
    let clicker = match clicker {
        ClickerArg::Random => Clicker::Random,
        ClickerArg::RandomAllSteps => Clicker::RandomAllSteps,
        ClickerArg::Constant => Clicker::Constant,
    };
    let viewport = set.viewport().context("its pages need a browser")?;
    let mut driver = browser::start_at(settings, viewport, set.device_pixel_ratio())?;
    let bar = terminal::bar(set.n_tasks(), "tasks");
    let mut go_on = |task: &str| {
        bar.set_message(task.to_owned());
        bar.inc(1);
        !cancel.is_set()
    };
    let clicked = set
        .clicked(clicker, settings.seed, &mut driver, &mut go_on)
        .map_err(|error| anyhow::anyhow!("a page failed: {error}"))?;
    bar.finish_and_clear();
    let all = Clicked::all(&clicked);
    let n_errors: usize = clicked.iter().map(|clicked| clicked.n_errors).sum();
    let json = json!({
        "benchmark": set.id(),
        "clicker": clicker,
        "command": env::command_line(),
        "commit": record::COMMIT,
        "seed": settings.seed,
        "set": set.to_json(),
        "all": all,
        "n_errors": n_errors,
        "by_task": clicked,
    });
    if let Some(path) = &args.result {
        write_whole(path, pretty(&json).as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => {
            let lines = clicked.iter().map(|one| format!("{:<32}{}\n", one.task, one.rate.in_words()));
            format!(
                "{} · {} · commit {}\n\n{:<32}{}\n{}\n{n_errors} episodes not judged because the world failed\n",
                set.id(),
                set.title(),
                record::COMMIT,
                "all",
                all.in_words(),
                lines.collect::<String>()
            )
        }
    });
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}
