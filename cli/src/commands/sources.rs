//! `vigorl env`: the environments by their names, and whether they keep their promises.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use vigorl_interface::Driver;
use vigorl_rollouts::{ClickSource, clicks};
use vigorl_tasks::miniwob::DEFAULT_FOLDER;
use vigorl_tasks::practice::{PageSpec, Split, Tier};
use vigorl_tasks::scripted::{Opened, Plan, ScriptedTask, Secret, World, read_storage, stored_secrets};
use vigorl_tasks::sources::{
    self, Checked, MiniWobSource, OpenTask, Outcome, PictureSource, PracticeSource, Source, Stage,
    TaskSource, Thoroughness,
};
use vigorl_tasks::{Failure, Senses};

use crate::args::EnvCheckArgs;
use crate::commands::run::folder_of;
use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::{Ending, usage};
use crate::eyes::{self, LoadedEyes};
use crate::settings::Settings;
use crate::{env, interrupt, terminal};

/// Words of practice pages with words.
const VOCABULARY: usize = 40;
/// Actions of an episode of a task.
const MAX_STEPS: usize = 10;

/// What names look like, and what they are.
const NAMED: [(&str, &str); 7] = [
    ("practice", "generated pages of coloured shapes and marks; one click decides"),
    ("practice/words", "generated pages of buttons, links and fields with a word each; one click decides"),
    (
        "miniwob/TASK",
        "one of the 125 tasks of MiniWoB++, 10 clicks at most; `scripts/setup.sh miniwob` fetches the pages",
    ),
    (
        "miniwob/TASK@area",
        "the same, the task area alone; behind @ may also stand `page` and a protocol: browsergym, pix2act, seeclick",
    ),
    (
        "FILE.jsonl",
        "screenshots with boxes: lines of {\"image\", \"instruction\", \"box\"} or {\"problem\", \"answer\", \"images\"}",
    ),
    ("FILE.yaml", "a task with a `goal`, whose variables under `draw` differ from episode to episode"),
    (
        "FILE.yaml#N",
        "step N of a task with steps, if it is a click; the steps before it are done by their places",
    ),
];

/// The environment of a name.
pub(crate) fn open(name: &str, settings: &Settings) -> anyhow::Result<Box<dyn Source>> {
    open_in(name, settings, &opener(settings))
}

/// The same, whose tasks are opened by somebody else.
pub(crate) fn open_in(
    name: &str,
    settings: &Settings,
    opener: &Arc<OpenTask>,
) -> anyhow::Result<Box<dyn Source>> {
    let words = |spec: PageSpec| PageSpec { tier: Tier::Words { vocabulary: VOCABULARY }, ..spec };
    let page = PageSpec::icons(0, Split::Train);
    Ok(match (name, Path::new(name).extension().and_then(|extension| extension.to_str())) {
        ("practice", _) => Box::new(PracticeSource::new(name, page)),
        ("practice/words", _) => Box::new(PracticeSource::new(name, words(page))),
        (name, _) if name.starts_with("miniwob/") => {
            let task = name.trim_start_matches("miniwob/");
            let source = MiniWobSource::open(name, task, Path::new(DEFAULT_FOLDER));
            Box::new(source.map_err(usage)?)
        }
        (_, Some("jsonl")) => Box::new(PictureSource::open(name, Path::new(name)).map_err(usage)?),
        (_, Some("yaml" | "yml")) => Box::new(task(name, settings, opener)?),
        (_, Some(extension)) if extension.starts_with("yaml#") => Box::new(click(name, settings, opener)?),
        _ => {
            let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
            return Err(usage(format!("`{name}` is no environment; there are {}", names.join(", "))));
        }
    })
}

/// Several environments of one name: a task with steps has one for each of its clicks, which may be none.
fn expanded(name: &str) -> anyhow::Result<Vec<String>> {
    if !name.ends_with(".yaml") {
        return Ok(vec![name.to_owned()]);
    }
    let task = read_task(name)?;
    if matches!(task.plan, Plan::Goal(_)) {
        return Ok(vec![name.to_owned()]);
    }
    Ok(clicks(&task).iter().map(|step| format!("{name}#{}", step + 1)).collect())
}

/// Why a task is no environment, if it has neither a goal nor such a click.
const NO_CLICK: &str = "it has no `goal`, and none of its steps is a click on a place with an extent";

pub(crate) fn read_task(name: &str) -> anyhow::Result<ScriptedTask> {
    let text =
        vigorl_files::read_text(name).map_err(|error| usage(format!("cannot read `{name}`: {error}")))?;
    let task = ScriptedTask::parse_file(&text, Path::new(name));
    let task = task.map_err(|error| usage(format!("`{name}`: {error}")))?;
    match &task.rows {
        Some(_) => Err(usage(format!(
            "`{name}` has `rows`, which `vigorl run` plays one by one: variables of an environment are under `draw`"
        ))),
        None => Ok(task),
    }
}

/// What must be hidden of what a task begins with: the file of cookies and local storage, and the login.
pub(crate) fn secrets(name: &str) -> anyhow::Result<Vec<Secret>> {
    let file = name.split('#').next().unwrap_or(name);
    if !file.ends_with(".yaml") && !file.ends_with(".yml") {
        return Ok(Vec::new());
    }
    let mut task = read_task(file)?;
    let mut secrets = log_in(file, &mut task)?;
    // One that is drawn is another one in each episode.
    if let Some(storage) = task.start.storage.filter(|storage| !storage.contains("${")) {
        let state = read_storage(&folder_of(file).join(storage));
        let state = state.map_err(|error| usage(format!("`{file}`: start.storage: {error}")))?;
        secrets.extend(stored_secrets(&state));
    }
    Ok(secrets)
}

/// Fills the login in with which a task begins, and returns what must be hidden of it. A policy that learns never sees it: the
/// browser alone is told.
fn log_in(name: &str, task: &mut ScriptedTask) -> anyhow::Result<Vec<Secret>> {
    let filled = task.start.fill_login(&task.vars, &env::secret);
    filled.map_err(|error| usage(format!("`{name}`: start.basic_auth: {error}")))
}

fn task(name: &str, settings: &Settings, opener: &Arc<OpenTask>) -> anyhow::Result<TaskSource> {
    let mut task = read_task(name)?;
    log_in(name, &mut task)?;
    if matches!(task.plan, Plan::Steps(_)) {
        let clicks = expanded(name)?.join(", ");
        return Err(usage(match clicks.is_empty() {
            true => format!("there is nothing to sample in `{name}`: {NO_CLICK}"),
            false => format!("`{name}` has steps: say which click of it, {clicks}"),
        }));
    }
    let (folder, cap) = (folder_of(name), settings.settle_cap);
    let max_steps = settings.max_steps.unwrap_or(MAX_STEPS);
    TaskSource::new(name, task, folder, cap, max_steps, Arc::clone(opener))
        .map_err(|error| usage(format!("`{name}`: {error}")))
}

fn click(name: &str, settings: &Settings, opener: &Arc<OpenTask>) -> anyhow::Result<ClickSource> {
    let (file, step) = name.rsplit_once('#').unwrap_or((name, ""));
    let step: usize = step
        .parse()
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(|| usage(format!("`{name}`: behind # stands the number of a step, from 1")))?;
    let task = read_task(file)?;
    let secret = Arc::new(|name: &str| env::secret(name));
    ClickSource::new(name, task, step - 1, folder_of(file), settings.settle_cap, Arc::clone(opener), secret)
        .map_err(|error| usage(format!("`{name}`: {error}")))
}

/// Opens the browser or the desktop of a task, as the settings say.
pub(crate) fn opener(settings: &Settings) -> Arc<OpenTask> {
    let settings = settings.clone();
    Arc::new(move |task: &ScriptedTask| -> Result<Opened, Failure> {
        Ok(match task.start.driver {
            World::Web => {
                let viewport = task.start.viewport.unwrap_or(settings.viewport);
                let options = browser::options_for(&settings, &task.start)?;
                let mut driver = browser::start_with(&settings, viewport, options)?;
                let version = browser::version(&mut driver);
                Opened { driver: Box::new(driver), version }
            }
            World::Desktop => {
                let area = task.start.area.as_ref().unwrap_or(&settings.area);
                let mut driver = desktop::start(area, settings.allowed_windows.as_ref())?;
                driver.settle(settings.settle_cap)?;
                Opened { driver, version: desktop::version() }
            }
        })
    })
}

/// Who looks at pixels for judges.
pub(crate) fn senses(settings: &Settings) -> anyhow::Result<Box<dyn Senses>> {
    LoadedEyes::load(eyes::PLACES, settings)?.senses(settings)
}

/// Says what there is.
pub(crate) fn list(form: Form) -> Ending {
    terminal::data(&match form {
        Form::Json => {
            let named = NAMED.map(|(name, about)| json!({ "name": name, "about": about }));
            pretty(&json!(named))
        }
        Form::Text => NAMED.map(|(name, about)| format!("{name:<19}{about}")).join("\n"),
    });
    Ending::Done
}

/// Checks environments one after the other.
pub(crate) fn check(args: &EnvCheckArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let how =
        Thoroughness { n_seeds: args.seeds, n_compared: args.compared, settle_cap: settings.settle_cap };
    let (mut all, mut has_failed) = (Vec::new(), false);
    let (mut names, mut empty) = (Vec::new(), Vec::new());
    for name in &args.names {
        let of_name = expanded(name)?;
        if of_name.is_empty() {
            empty.push(name);
        }
        names.extend(of_name);
    }
    // What was named wrong is known before the first one is played.
    let opened = names.iter().map(|name| open(name, settings)).collect::<anyhow::Result<Vec<_>>>()?;
    for name in &empty {
        match form {
            Form::Json => all.push(json!({ "name": name, "about": NO_CLICK, "checks": [] })),
            Form::Text => terminal::data(&format!("{name}: nothing to check: {NO_CLICK}")),
        }
    }
    for (name, source) in names.iter().zip(&opened) {
        let mut driver = source.viewport().map(|viewport| browser::start(settings, viewport)).transpose()?;
        let mut senses = senses(settings)?;
        let is_cancelled = || cancel.is_set();
        let stage = Stage {
            driver: driver.as_mut().map(|driver| driver as &mut dyn Driver),
            device_pixel_ratio: settings.device_pixel_ratio,
            is_cancelled: &is_cancelled,
        };
        let checked = sources::check(&**source, stage, &mut *senses, how);
        let checked = checked.map_err(anyhow::Error::from_boxed).with_context(|| format!("`{name}`"))?;
        if cancel.is_set() {
            return Ok(Ending::Interrupted);
        }
        has_failed |= checked.iter().any(|checked| checked.outcome == Outcome::Failed);
        match form {
            Form::Json => all.push(json!({ "name": name, "about": source.about(), "checks": checked })),
            Form::Text => terminal::data(&told(name, &source.about(), &checked)),
        }
    }
    if form == Form::Json {
        terminal::data(&pretty(&json!(all)));
    }
    if names.is_empty() {
        return Err(usage(
            "nothing could be checked: a task needs a `goal`, or a click on a place with an extent",
        ));
    }
    Ok(if has_failed { Ending::NotDone } else { Ending::Done })
}

fn told(name: &str, about: &str, checked: &[Checked]) -> String {
    let lines = checked.iter().map(|Checked { check, outcome, detail }| {
        let word = match outcome {
            Outcome::Passed => "holds   ",
            Outcome::Failed => "FAILS   ",
            Outcome::NotApplicable => "nothing ",
        };
        let detail = detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        format!("  {word}{check}{detail}")
    });
    std::iter::once(format!("{name}: {about}")).chain(lines).collect::<Vec<_>>().join("\n")
}
