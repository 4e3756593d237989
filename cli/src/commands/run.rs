//! `vigorl run`: a task file, or one thing to click, in a live browser.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::record::{InputRecord, Summary};
use vigorl_agent::{
    Agent, Hands, Intent, Judge, Nobody, Recorded, Run, RunDirError, ScriptedJudge, Task, intent_of,
    run_episode, write_report,
};
use vigorl_geometry::{Size, Viewport};
use vigorl_interface::{Action, DriverError};
use vigorl_tasks::scripted::{Plan, ScriptedTask, World};

use crate::args::RunArgs;
use crate::commands::{Form, browser, pretty};
use crate::exit::{Ending, usage};
use crate::settings::Settings;
use crate::{interrupt, model, record, terminal};

/// What is to be done, from a file or from the command line.
struct Job {
    name: String,
    url: String,
    viewport: Size<Viewport>,
    steps: Vec<Intent>,
    task: Option<ScriptedTask>,
    /// The text of the file.
    text: Option<String>,
}

/// Does the task and records it.
pub(crate) fn run(args: &RunArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let job = job(args, settings)?;
    record::check_output(settings)?;
    let mut eyes = model::load(settings)?;
    let mut driver = browser::start(settings, job.viewport)?;
    let version = browser::version(&mut driver);
    let record = record::of_run(&job.name, job.input(args), eyes.record.clone(), settings, version);
    let mut run = Run::recorded(&settings.output_dir, &job.name, &record)?;
    terminal::note(&format!("recording into {}", run.path().unwrap_or(Path::new("")).display()));
    let mut agent = Agent {
        driver: &mut driver,
        policy: &mut eyes.policy,
        preset: &eyes.preset,
        sampling: &eyes.sampling,
        settle_cap: settings.settle_cap,
        hands: if args.dry_run { Hands::Rest } else { Hands::Act },
        cancel: &cancel,
    };
    let played = match open(&mut agent, &job.url) {
        Ok(()) => play(&mut agent, &job, args, &mut run),
        Err(error) => run.fail(format!("cannot open `{}`: {error}", job.url)),
    };
    let (summary, path) = run.finish()?;
    drop(driver);
    played?;
    let path = path.context("the run was not recorded")?;
    let report = write_report(&path)?;
    print(&path, &report, &summary, form)?;
    if cancel.is_set() {
        return Ok(Ending::Interrupted);
    }
    ending(&path, &summary, job.task.is_some() && !args.dry_run)
}

/// Shows the page that the task starts on.
fn open(agent: &mut Agent<'_>, url: &str) -> Result<(), DriverError> {
    agent.driver.act(&Action::Navigate { url: url.to_owned() })?;
    agent.driver.settle(agent.settle_cap).map(drop)
}

fn play(agent: &mut Agent<'_>, job: &Job, args: &RunArgs, run: &mut Run) -> Result<(), RunDirError> {
    let mut scripted = job.task.as_ref().map(ScriptedJudge);
    let mut nobody = Nobody;
    let judge: &mut dyn Judge = match &mut scripted {
        Some(judge) => judge,
        None => &mut nobody,
    };
    let mut task = Task {
        name: &job.name,
        labels: BTreeMap::new(),
        seed: None,
        steps: job.steps.clone(),
        max_steps: max_steps(args),
        target: None,
        judge,
    };
    run_episode(agent, &mut task, run).map(drop)
}

fn max_steps(args: &RunArgs) -> Option<usize> {
    args.max_steps.map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

impl Job {
    fn input(&self, args: &RunArgs) -> InputRecord {
        InputRecord {
            task_file: self.text.clone(),
            url: Some(self.url.clone()),
            viewport: Some(record::sides(self.viewport)),
            pages: None,
            max_steps: max_steps(args),
            dry_run: args.dry_run,
        }
    }
}

fn job(args: &RunArgs, settings: &Settings) -> anyhow::Result<Job> {
    let path = Path::new(&args.task);
    let is_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_file {
        let url = args.url.clone().ok_or_else(|| {
            usage(format!("where? `{}` is no .yaml file, so it needs a page: --url https://…", args.task))
        })?;
        let steps = vec![Intent::click(args.task.clone())];
        let (name, viewport) = (args.task.clone(), settings.viewport);
        return Ok(Job { name, url, viewport, steps, task: None, text: None });
    }
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| usage(format!("cannot read `{shown}`: {error}")))?;
    let task = ScriptedTask::parse(&text).map_err(|error| usage(format!("`{shown}`: {error}")))?;
    if task.start.driver == World::Desktop {
        return Err(usage(format!("`{shown}`: `driver: desktop` cannot be run here, only `web`")));
    }
    let url = args.url.clone().or_else(|| task.start.url.clone());
    let url = url.ok_or_else(|| usage(format!("`{shown}` has no `start.url`: add one, or --url")))?;
    let steps = match &task.plan {
        Plan::Steps(steps) => steps.iter().map(intent_of).collect(),
        Plan::Goal(_) => {
            return Err(usage(format!(
                "`{shown}` has a `goal`: that needs a policy which chooses its own actions; write `steps`"
            )));
        }
    };
    let of_task = task.start.viewport.filter(|_| !settings.is_typed("viewport"));
    let viewport = of_task.unwrap_or(settings.viewport);
    Ok(Job { name: task.name.clone(), url, viewport, steps, task: Some(task), text: Some(text) })
}

fn print(path: &Path, report: &Path, summary: &Summary, form: Form) -> anyhow::Result<()> {
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

/// A judged task is done if it is solved; an unjudged click, or a dry run, if every step had an action.
fn ending(path: &Path, summary: &Summary, judged: bool) -> anyhow::Result<Ending> {
    if let Some(error) = &summary.err_msg {
        anyhow::bail!("{error}");
    }
    let done = match judged {
        true => summary.success == Some(true),
        false => {
            let recorded = Recorded::read(path)?;
            let mut steps = recorded.episodes.iter().flat_map(|episode| &episode.steps);
            steps.all(|step| step.action.as_ref().is_some_and(|action| action.action.is_some()))
        }
    };
    Ok(if done { Ending::Done } else { Ending::NotDone })
}
