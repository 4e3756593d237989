//! `vigorl run`: a task file, or one thing to click, in a live browser or on the desktop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::{
    Agent, Cancel, Checks, Confirm, Eyes, Hands, Intent, Judge, Leash, Nobody, Run, ScriptedJudge, Steps,
    Task, run_episode, steps_of,
};
use vigorl_geometry::{Size, Viewport};
use vigorl_interface::{Action, Area, Driver, DriverError};
use vigorl_report::write_report;
use vigorl_runs::record::{InputRecord, ModelRecord, Summary};
use vigorl_runs::{Recorded, RunDirError};
use vigorl_tasks::scripted::{Plan, ScriptedTask, Secret, Step, Surroundings, World};

use crate::args::RunArgs;
use crate::commands::programs::Programs;
use crate::commands::{Form, browser, desktop, pretty, repeat};
use crate::confirm::{self, AtTerminal};
use crate::exit::{Ending, usage};
use crate::model::{self, LoadedPolicy};
use crate::parts::Part;
use crate::secrets::{self, Secrets};
use crate::settings::Settings;
use crate::{interrupt, record, terminal};

/// What is to be done, from a file or from the command line.
pub(crate) struct Job {
    /// As it was typed: a file, or what to click.
    pub(crate) given: String,
    /// Where its programs run and its files are.
    folder: PathBuf,
    pub(crate) name: String,
    pub(crate) place: Place,
    task: Option<ScriptedTask>,
    secrets: Vec<Secret>,
    /// The text of the file.
    text: Option<String>,
}

/// Where it is to be done.
pub(crate) enum Place {
    Page { url: String, viewport: Size<Viewport> },
    Desktop(Area),
}

/// A run that was recorded.
pub(crate) struct Played {
    pub(crate) path: PathBuf,
    pub(crate) report: PathBuf,
    pub(crate) summary: Summary,
}

/// Does the task and records it.
pub(crate) fn run(args: &RunArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let jobs = args.tasks.iter().map(|given| job(given, &folder_of(given), args, settings));
    run_all(jobs, args, settings, form)
}

/// The same with another folder than the task files' for their programs and files.
pub(crate) fn run_in(
    folder: &Path,
    args: &RunArgs,
    settings: &Settings,
    form: Form,
) -> anyhow::Result<Ending> {
    run_all(args.tasks.iter().map(|given| job(given, folder, args, settings)), args, settings, form)
}

fn run_all(
    jobs: impl Iterator<Item = anyhow::Result<Job>>,
    args: &RunArgs,
    settings: &Settings,
    form: Form,
) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if !args.dry_run {
        confirm::check(settings)?;
    }
    let jobs: Vec<Job> = jobs.collect::<anyhow::Result<_>>()?;
    let [job] = &jobs[..] else { return repeat::run(&jobs, args, settings, form, &cancel) };
    if args.repetitions.are_asked_for() {
        return repeat::run(&jobs, args, settings, form, &cancel);
    }
    record::check_output(settings)?;
    let mut looks = if args.places { None } else { Some(model::load(settings)?) };
    let Some(played) = play_once(job, looks.as_mut(), args, settings, &cancel, terminal::note)? else {
        return Ok(Ending::Interrupted);
    };
    print(&played, form)?;
    if cancel.is_set() {
        return Ok(Ending::Interrupted);
    }
    job.ending(&played, args)
}

/// Plays a job once, as a run of its own; nothing if it was interrupted before there was anything to record.
pub(crate) fn play_once(
    job: &Job,
    looks: Option<&mut LoadedPolicy>,
    args: &RunArgs,
    settings: &Settings,
    cancel: &Cancel,
    say: fn(&str),
) -> anyhow::Result<Option<Played>> {
    let folder = &job.folder;
    let programs = match &job.task {
        Some(task) => Programs::start(&task.start.programs, folder)?,
        None => None,
    };
    let temporary = programs.as_ref().map(|programs| programs.folder().to_owned());
    let surroundings = Surroundings { folder: folder.to_owned(), temporary };
    let plan = match &job.task {
        Some(task) => steps_of(task, &surroundings),
        None => vec![Intent::click(job.name.clone())].into(),
    };
    let (mut driver, version): (Box<dyn Driver>, String) = match &job.place {
        Place::Page { viewport, .. } => {
            let mut driver = browser::start(settings, *viewport)?;
            let version = browser::version(&mut driver);
            (Box::new(driver), version)
        }
        Place::Desktop(area) => {
            let driver = Programs::until_ready(programs.as_ref(), cancel, || {
                let mut driver = desktop::start(area, settings.allowed_windows.as_ref())?;
                // A window is there before it is drawn.
                driver.settle(settings.settle_cap).map(|_| driver)
            });
            if driver.is_err() && cancel.is_set() {
                return Ok(None);
            }
            (driver?, desktop::version())
        }
    };
    let model = match &looks {
        Some(eyes) => eyes.record.clone(),
        None => ModelRecord { name: "places".to_owned(), ..ModelRecord::default() },
    };
    let record = record::of_run(&job.name, job.input(args, settings)?, model, settings, version);
    let brake = matches!(job.place, Place::Desktop(_)).then(|| desktop::brake(cancel)).transpose()?;
    let mut run = Run::recorded(&settings.output_dir, &job.name, &record, &job.secrets)?;
    say(&format!("recording into {}", run.path().unwrap_or(Path::new("")).display()));
    let kinds = settings.confirm_actions.as_ref();
    let mut person = kinds.map(|kinds| AtTerminal::new(kinds, &job.secrets, cancel));
    let confirm = person.as_mut().map(|person| person as &mut dyn Confirm);
    let mut agent = Agent {
        driver: &mut *driver,
        eyes: match looks {
            Some(LoadedPolicy { policy, preset, sampling, .. }) => {
                Eyes::Policy { policy, preset, sampling, checks: Checks::Elements }
            }
            None => Eyes::Places,
        },
        settle_cap: settings.settle_cap,
        hands: if args.dry_run { Hands::Rest } else { Hands::Act },
        cancel,
        leash: Leash::new(settings.max_actions, settings.max_time, confirm),
    };
    let opened = match &job.place {
        Place::Page { url, .. } => Programs::until_ready(programs.as_ref(), cancel, || open(&mut agent, url))
            .map_err(|error| format!("cannot open `{url}`: {error:#}")),
        Place::Desktop(_) => Ok(()),
    };
    let played = match opened {
        Ok(()) => play(&mut agent, job, plan, &surroundings, settings, &mut run),
        Err(error) => run.fail(error),
    };
    let (summary, path) = run.finish()?;
    drop(driver);
    drop(brake);
    drop(programs);
    played?;
    let path = path.context("the run was not recorded")?;
    let report = write_report(&path)?;
    // What was written has no secrets in it, what is in memory may.
    let summary = Recorded::read(&path)?.summary.unwrap_or(summary);
    Ok(Some(Played { path, report, summary }))
}

/// Shows the page that the task starts on.
fn open(agent: &mut Agent<'_>, url: &str) -> Result<(), DriverError> {
    agent.driver.act(&Action::Navigate { url: url.to_owned() })?;
    agent.driver.settle(agent.settle_cap).map(drop)
}

fn play(
    agent: &mut Agent<'_>,
    job: &Job,
    steps: Steps,
    surroundings: &Surroundings,
    settings: &Settings,
    run: &mut Run,
) -> Result<(), RunDirError> {
    let cancel = agent.cancel;
    let mut scripted = job.task.as_ref().map(|task| ScriptedJudge { task, surroundings, cancel });
    let mut nobody = Nobody;
    let judge: &mut dyn Judge = match &mut scripted {
        Some(judge) => judge,
        None => &mut nobody,
    };
    let mut task = Task {
        name: &job.name,
        labels: BTreeMap::new(),
        seed: None,
        steps,
        max_steps: settings.max_steps,
        target: None,
        judge,
    };
    run_episode(agent, &mut task, run).map(drop)
}

impl Job {
    fn input(&self, args: &RunArgs, settings: &Settings) -> anyhow::Result<InputRecord> {
        let (url, viewport) = match &self.place {
            Place::Page { url, viewport } => (Some(url.clone()), Some(record::sides(*viewport))),
            Place::Desktop(_) => (None, None),
        };
        Ok(InputRecord {
            task_file: self.text.clone(),
            folder: self.text.is_some().then(|| std::path::absolute(&self.folder)).transpose()?,
            vars: secrets::vars(&args.vars)?,
            url,
            viewport,
            pages: None,
            max_steps: settings.max_steps,
            dry_run: args.dry_run,
            places: args.places,
        })
    }

    /// Whether its end is judged.
    pub(crate) fn is_judged(&self, args: &RunArgs) -> bool {
        self.task.is_some() && !args.dry_run
    }

    /// A judged task is done if it is solved; an unjudged click, or a dry run, if every step had an action.
    pub(crate) fn ending(&self, played: &Played, args: &RunArgs) -> anyhow::Result<Ending> {
        if let Some(error) = &played.summary.err_msg {
            anyhow::bail!("{error}");
        }
        let done = match self.is_judged(args) {
            true => played.summary.success == Some(true),
            false => {
                let recorded = Recorded::read(&played.path)?;
                let mut steps = recorded.episodes.iter().flat_map(|episode| &episode.steps);
                steps.all(|step| step.action.as_ref().is_some_and(|action| action.action.is_some()))
            }
        };
        Ok(if done { Ending::Done } else { Ending::NotDone })
    }
}

/// The folder of a task file.
fn folder_of(task: &str) -> PathBuf {
    match Path::new(task).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Every target must have a place if nobody looks.
fn check_places(task: &ScriptedTask, shown: &dyn std::fmt::Display) -> anyhow::Result<()> {
    let Plan::Steps(steps) = &task.plan else { return Ok(()) };
    match steps.iter().flat_map(Step::targets).find(|target| target.place.is_none()) {
        None => Ok(()),
        Some(target) => Err(usage(format!(
            "`{shown}` names no place for `{target}`, which --places needs: write {{ what: {target}, selector: … }} \
             (or name, picture, at), or leave out --places so that a model looks"
        ))),
    }
}

fn job(given: &str, folder: &Path, args: &RunArgs, settings: &Settings) -> anyhow::Result<Job> {
    let path = Path::new(given);
    let is_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_file {
        if args.tasks.len() > 1 {
            return Err(usage(format!(
                "`{given}` is no .yaml file: several tasks are files, and what to click is one text, in quotes"
            )));
        }
        if args.places {
            return Err(usage("--places needs a task file that names places".to_owned()));
        }
        let place = match (settings.driver, &args.url) {
            (World::Desktop, None) => {
                Part::Desktop.needed()?;
                Place::Desktop(settings.area.clone())
            }
            (World::Desktop, Some(_)) => {
                return Err(usage(
                    "--url names a page, and --driver desktop has none: leave one out".to_owned(),
                ));
            }
            (World::Web, Some(url)) => Place::Page { url: url.clone(), viewport: settings.viewport },
            (World::Web, None) => {
                return Err(usage(format!(
                    "where? `{given}` is no .yaml file, so it needs a page (--url https://…) or --driver desktop"
                )));
            }
        };
        let (given, folder) = (given.to_owned(), folder.to_owned());
        return Ok(Job {
            name: given.clone(),
            given,
            folder,
            place,
            task: None,
            secrets: Vec::new(),
            text: None,
        });
    }
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| usage(format!("cannot read `{shown}`: {error}")))?;
    let faulty = |error| usage(format!("`{shown}`: {error}"));
    let mut task = ScriptedTask::parse(&text).map_err(faulty)?;
    let known = Secrets::read(args.secrets.as_deref())?;
    let secrets = task.fill(&secrets::vars(&args.vars)?, &|name| known.get(name)).map_err(faulty)?;
    let place = match task.start.driver {
        World::Web => {
            let url = args.url.clone().or_else(|| task.start.url.clone());
            let url = url.ok_or_else(|| usage(format!("`{shown}` has no `start.url`: add one, or --url")))?;
            let of_task = task.start.viewport.filter(|_| !settings.is_typed("viewport"));
            Place::Page { url, viewport: of_task.unwrap_or(settings.viewport) }
        }
        World::Desktop => {
            Part::Desktop.needed()?;
            let of_task = task.start.area.as_ref().filter(|_| !settings.is_typed("area"));
            Place::Desktop(of_task.unwrap_or(&settings.area).clone())
        }
    };
    if let Plan::Goal(_) = &task.plan {
        return Err(usage(format!(
            "`{shown}` has a `goal`: that needs a policy which chooses its own actions; write `steps`"
        )));
    }
    if args.places {
        check_places(&task, &shown)?;
    }
    let (given, name, folder) = (given.to_owned(), task.name.clone(), folder.to_owned());
    Ok(Job { given, folder, name, place, task: Some(task), secrets, text: Some(text) })
}

fn print(played: &Played, form: Form) -> anyhow::Result<()> {
    let Played { path, report, summary } = played;
    if form == Form::Json {
        terminal::data(&pretty(&json!({ "summary": summary, "run_dir": path, "report": report })));
        return Ok(());
    }
    let recorded = Recorded::read(path)?;
    for step in recorded.episodes.iter().flat_map(|episode| &episode.steps) {
        let Some(action) = &step.action else { continue };
        let at = action.action.as_ref().and_then(|action| action.at());
        let at = at.map_or_else(String::new, |[x, y]| format!(" at ({x}, {y})"));
        let to = action.action.as_ref().and_then(|action| action.to());
        let to = to.map_or_else(String::new, |[x, y]| format!(" to ({x}, {y})"));
        let dialog = action.dialog.as_ref().map(|text| format!("a dialog opened: {text}"));
        let details: Vec<&str> = action.detail.iter().chain(&dialog).map(String::as_str).collect();
        let detail = if details.is_empty() { String::new() } else { format!(": {}", details.join(", ")) };
        let (effect, millis) = (action.effect.as_str(), action.millis.total());
        terminal::data(&format!("{}{at}{to}  {effect}{detail}  {millis:.0} ms", step.instruction));
    }
    let outcome = recorded.episodes.first().and_then(|episode| episode.outcome.as_ref());
    let detail = outcome.and_then(|outcome| outcome.detail.as_ref());
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    terminal::data(&match (summary.success, &summary.err_msg) {
        (Some(true), _) => "solved".to_owned(),
        (Some(false), _) => format!("not solved{detail}"),
        (None, None) => format!("not judged{detail}"),
        (None, Some(_)) => "failed".to_owned(),
    });
    terminal::data(&format!("report  {}", report.display()));
    Ok(())
}
