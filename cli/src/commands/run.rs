//! `vigorl run`: a task file, alone or with each row of its table, or one thing to click, in a live browser or on the desktop.

mod jobs;
pub(crate) mod said;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::{Agent, Cancel, Checks, Confirm, Ending as Ended, Hands, Leash, Scripted, run_episode};
use vigorl_files::write_whole_for_owner;
use vigorl_geometry::{Size, Viewport};
use vigorl_interface::{Area, Downloads, Effect, StorageState};
use vigorl_report::write_report;
use vigorl_rollouts::{Images, Noted, Ordinary, Overheard, SaidBy, Sample, SampleKey, Store, StoreError};
use vigorl_runs::record::{InputRecord, StepRecord, Summary};
use vigorl_runs::{Hidden, Recorded, Run};
use vigorl_tasks::scripted::{Open, Opened, Script, ScriptedTask, ScriptedWorld, Secret, Surroundings};
use vigorl_webdriver::Options;

pub(crate) use self::jobs::jobs;
use self::said::{Doubtful, Why, doubtful};
use crate::args::{RepetitionArgs, RunArgs};
use crate::commands::{Form, attach, browser, desktop, pretty, repeat};
use crate::confirm::{self, AtTerminal, Kinds};
use crate::exit::{Ending, usage};
use crate::eyes::LoadedEyes;
use crate::model::LoadedPolicy;
use crate::settings::Settings;
use crate::{interrupt, record, secrets, terminal};

/// What is to be done, from a file or from the command line.
pub(crate) struct Job {
    /// As it was typed: a file, or what to click.
    pub(crate) given: String,
    /// Where its programs run and its files are.
    folder: PathBuf,
    pub(crate) place: Place,
    pub(crate) task: ScriptedTask,
    secrets: Vec<Secret>,
    /// The text of the file, or of a file that says the same without any other one; absent if the task is what was typed.
    text: Option<String>,
    /// Which row of a table it is played with, if it is.
    pub(crate) row: Option<JobRow>,
}

/// A row of a task's table.
pub(crate) struct JobRow {
    /// From 1.
    pub(crate) number: usize,
    /// What the task is called without it, whose variables are not filled in.
    pub(crate) of_task: String,
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
    let jobs = args.tasks.iter().map(|given| jobs(given, &folder_of(given), args, settings));
    run_all(jobs, args, settings, form)
}

/// The same with another folder than the task files' for their programs and files, and with values that are hidden besides
/// the secrets that the tasks name.
pub(crate) fn run_in(
    folder: &Path,
    hidden: Vec<Secret>,
    args: &RunArgs,
    settings: &Settings,
    form: Form,
) -> anyhow::Result<Ending> {
    let jobs = args.tasks.iter().map(|given| {
        let mut jobs = jobs(given, folder, args, settings)?;
        for job in &mut jobs {
            let is_new = |secret: &&Secret| job.secrets.iter().all(|known| known.name != secret.name);
            let further: Vec<Secret> = hidden.iter().filter(is_new).cloned().collect();
            job.secrets.extend(further);
        }
        Ok(jobs)
    });
    run_all(jobs, args, settings, form)
}

fn run_all(
    jobs: impl Iterator<Item = anyhow::Result<Vec<Job>>>,
    args: &RunArgs,
    settings: &Settings,
    form: Form,
) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if !args.dry_run {
        confirm::check(settings)?;
    }
    let jobs = chosen(jobs.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect(), args)?;
    attach::check(&jobs, args, settings)?;
    check_save_storage(&jobs, args, settings)?;
    let [job] = &jobs[..] else { return repeat::run(&jobs, args, settings, form, &cancel) };
    if args.repetitions.are_asked_for() || job.row.is_some() {
        return repeat::run(&jobs, args, settings, form, &cancel);
    }
    record::check_output(settings)?;
    let mut eyes = LoadedEyes::load(args.eyes(), settings)?;
    let Some(played) = play_once(job, &mut eyes, args, settings, &cancel, terminal::note)? else {
        return Ok(Ending::Interrupted);
    };
    print(&played, form)?;
    if cancel.is_set() {
        return Ok(Ending::Interrupted);
    }
    job.ending(&played, args)
}

/// What is saved is that of one run, and can be written.
fn check_save_storage(jobs: &[Job], args: &RunArgs, settings: &Settings) -> anyhow::Result<()> {
    let Some(file) = &args.save_storage else { return Ok(()) };
    let shown = file.display();
    let n = jobs.len() as u64 * args.repetitions.repeat.unwrap_or(1);
    if n > 1 {
        return Err(usage(format!(
            "--save-storage {shown}: of {n} runs, nobody can tell whose cookies are meant: save those of one, and begin the others \
             with --storage {shown}"
        )));
    }
    if jobs.iter().any(|job| matches!(job.place, Place::Desktop(_))) {
        return Err(usage("--save-storage belongs to a browser, and the desktop has none: leave it out"));
    }
    if settings.webdriver_url.is_some() {
        return Err(usage(format!(
            "--save-storage needs a browser that this program starts, but {} names a server: leave one of them out",
            settings.origin_of("webdriver_url")
        )));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            Err(usage(format!("--save-storage: there is no folder `{}`: make it first", folder.display())))
        }
        None => Ok(()),
    }
}

/// The jobs that are asked for by tags, and of these the part that is played here.
fn chosen(jobs: Vec<Job>, args: &RunArgs) -> anyhow::Result<Vec<Job>> {
    let RepetitionArgs { tags, shard, .. } = &args.repetitions;
    let is_tagged = |job: &Job| tags.is_empty() || job.task.tags.iter().any(|tag| tags.contains(tag));
    let known: BTreeSet<String> = jobs.iter().flat_map(|job| job.task.tags.iter().cloned()).collect();
    let mut jobs: Vec<Job> = jobs.into_iter().filter(is_tagged).collect();
    if jobs.is_empty() {
        let known = match known.is_empty() {
            true => "no task has a tag (`tags: [smoke]` in a task file)".to_owned(),
            false => format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        return Err(usage(format!("--tag {}: no task has it; {known}", tags.join(", "))));
    }
    let Some(shard) = shard else { return Ok(jobs) };
    let n = jobs.len();
    let part = shard.items(n as u64);
    let mut number = 0..;
    jobs.retain(|_| number.next().is_some_and(|number: u64| part.contains(&number)));
    match jobs.is_empty() {
        true => Err(usage(format!(
            "--shard {shard}: there are {n} tasks, and none for this part; make fewer parts"
        ))),
        false => Ok(jobs),
    }
}

/// Plays a job once, as a run of its own; nothing if it was interrupted before there was anything to record.
pub(crate) fn play_once(
    job: &Job,
    eyes: &mut LoadedEyes,
    args: &RunArgs,
    settings: &Settings,
    cancel: &Cancel,
    say: fn(&str),
) -> anyhow::Result<Option<Played>> {
    let is_cancelled = || cancel.is_set();
    let Some(mut world) = world(job, args, settings, &is_cancelled)? else {
        return Ok(None);
    };
    let model = eyes.record()?;
    let version = world.version().to_owned();
    let mut record = record::of_run(&job.task.name, job.input(args, settings)?, model, settings, version);
    record::note_visitor(&mut record, &settings.visitor_of(&job.task.start)?);
    let written = job.text.as_deref().and_then(|text| ScriptedTask::parse(text).ok());
    if written.is_some_and(|task| settings.login_is_of(&task.start)) {
        record::note_login_of_task(&mut record);
    }
    let brake = matches!(job.place, Place::Desktop(_)).then(|| desktop::brake(cancel)).transpose()?;
    let mut run = record::begin(settings, &job.task.name, &record, &job.secrets, eyes)?;
    say(&format!("recording into {}", run.path().unwrap_or(Path::new("")).display()));
    let played = play(job, &mut world, eyes, args, settings, cancel, &mut run);
    let (summary, path) = run.finish()?;
    // Where the browser puts them is gone with it.
    let kept = match world.surroundings().downloads.as_ref().zip(path.as_ref()) {
        Some((from, root)) => keep_downloads(from, &root.join("downloads")),
        None => Ok(()),
    };
    // It goes with the browser, too, and whether it counts is told by the record.
    let storage = args.save_storage.as_deref().map(|file| (file, world.storage()));
    drop(world);
    drop(brake);
    played?;
    kept?;
    let path = path.context("the run was not recorded")?;
    let report = write_report(&path)?;
    // What was written has no secrets in it, what is in memory may.
    let summary = Recorded::read(&path)?.summary.unwrap_or(summary);
    let played = Played { path, report, summary };
    if let Some((file, storage)) = storage {
        match job.ending(&played, args) {
            Ok(Ending::Done | Ending::NotJudged) if !cancel.is_set() => save_storage(file, &storage?)?,
            _ => terminal::note(&format!(
                "`{}` was not written: what a task keeps that is not solved is no login",
                file.display()
            )),
        }
    }
    Ok(Some(played))
}

/// Writes cookies and local storage for the person alone.
fn save_storage(file: &Path, storage: &StorageState) -> anyhow::Result<()> {
    let shown = file.display();
    let text = storage.to_json().map_err(anyhow::Error::msg)?;
    write_whole_for_owner(file, text.as_bytes()).with_context(|| format!("cannot write `{shown}`"))?;
    let (n_cookies, n_origins) = (storage.cookies.len(), storage.origins.len());
    terminal::note(&format!(
        "{n_cookies} cookies and the local storage of {n_origins} origins are in {shown}: whoever has the file is logged in"
    ));
    Ok(())
}

/// Copies what the browser has downloaded into the folder of the run; what it is still at is left out.
fn keep_downloads(from: &Path, to: &Path) -> anyhow::Result<()> {
    let found = Downloads::in_folder(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    for file in found.whole {
        let kept = to.join(file.file_name().unwrap_or_default());
        fs::create_dir_all(to)
            .and_then(|()| fs::copy(&file, &kept))
            .with_context(|| format!("cannot write `{}`", kept.display()))?;
    }
    Ok(())
}

/// The world that a job is played in; nothing if it was interrupted while it came up.
fn world<'a>(
    job: &'a Job,
    args: &'a RunArgs,
    settings: &'a Settings,
    is_cancelled: &'a dyn Fn() -> bool,
) -> anyhow::Result<Option<ScriptedWorld<'a>>> {
    let (saves_storage, at_rest) = (args.save_storage.is_some(), args.dry_run);
    let (url, open): (_, Box<Open<'a>>) = match &job.place {
        Place::Page { url, viewport } => {
            browser::check(settings)?;
            let of_task = browser::options_for(settings, &job.task.start)?;
            let options = Options { origins: saves_storage, ..of_task };
            let open = move || {
                let mut driver = match args.attach {
                    Some(address) => browser::attach(settings, *viewport, address)?,
                    None => browser::start_with(settings, *viewport, options.clone())?,
                };
                let version = browser::version(&mut driver);
                Ok(Opened { driver: Box::new(driver), version })
            };
            (Some(url.clone()), Box::new(open))
        }
        Place::Desktop(area) => {
            let open = || {
                let mut driver = desktop::start(area, settings.allowed_windows.as_ref())?;
                // A window is there before it is drawn.
                driver.settle(settings.settle_cap)?;
                Ok(Opened { driver, version: desktop::version() })
            };
            (None, Box::new(open))
        }
    };
    let cap = settings.settle_cap;
    let around = Surroundings { at_rest, ..Surroundings::in_folder(&job.folder) };
    match ScriptedWorld::start(Cow::Borrowed(&job.task), around, url, cap, is_cancelled, open) {
        Ok(world) => Ok(Some(world.with_max_steps(settings.max_steps.or(job.task.max_steps)))),
        Err(_) if is_cancelled() && matches!(job.place, Place::Desktop(_)) => Ok(None),
        Err(error) => Err(anyhow::Error::from_boxed(error)),
    }
}

/// Plays the job's steps in its world.
fn play(
    job: &Job,
    world: &mut ScriptedWorld<'_>,
    eyes: &mut LoadedEyes,
    args: &RunArgs,
    settings: &Settings,
    cancel: &Cancel,
    run: &mut Run,
) -> anyhow::Result<()> {
    // Somebody at a terminal is asked about what nobody is sure of, too.
    let nothing = Kinds::default();
    let kinds = settings.confirm_actions.as_ref().or_else(|| terminal::is_attended().then_some(&nothing));
    let mut person = kinds.map(|kinds| AtTerminal::new(kinds, &job.secrets, cancel));
    let confirm = person.as_mut().map(|person| person as &mut dyn Confirm);
    let mut senses = eyes.senses(settings)?;
    let calls = args.record_rollouts.then(|| eyes.keep_turns());
    let mut looking = eyes.eyes();
    let mut agent = Agent {
        eyes: &mut *looking,
        min_confidence: settings.min_confidence,
        checks: Checks::Elements,
        senses: &mut *senses,
        settle_cap: settings.settle_cap,
        hands: if args.dry_run { Hands::Rest } else { Hands::Act },
        cancel,
        leash: Leash::new(settings.max_actions, settings.max_time, confirm),
    };
    let surroundings = world.surroundings().clone();
    let mut plan = Scripted::new(Script::new(&job.task, &surroundings));
    let Some(calls) = calls else {
        run_episode(&mut agent, &mut plan, world, settings.seed, run)?;
        return Ok(());
    };
    let root = run.path().context("a rollout is recorded in a run directory")?.to_owned();
    let (mut world, mut run) = (Noted::new(world), Overheard::new(run, calls));
    let episode = run_episode(&mut agent, &mut plan, &mut world, settings.seed, &mut run)?;
    drop(looking);
    if matches!(episode.ending, Ended::Error(_) | Ended::Cancelled) {
        terminal::note("no rollout: an episode that was broken off is no sample");
        return Ok(());
    }
    keep_rollout(job, eyes, settings, &root, |ordinary| run.sample(ordinary, &episode, &world))
}

/// Writes the sample of a run beside its record.
fn keep_rollout(
    job: &Job,
    eyes: &LoadedEyes,
    settings: &Settings,
    root: &Path,
    sample: impl FnOnce(Ordinary<'_>) -> Result<Sample, StoreError>,
) -> anyhow::Result<()> {
    let policy = eyes.policy();
    let sampling = policy.map(|policy| &policy.sampling);
    let said = policy.map_or_else(|| eyes.record(), LoadedPolicy::record)?;
    let said_by = SaidBy {
        policy: said.name,
        weights_sha256: said.sha256,
        weights_version: 0,
        preset: policy.map_or_else(String::new, |policy| policy.preset.name.to_owned()),
    };
    let key = SampleKey {
        run: settings.seed,
        step: 0,
        source: job.given.clone(),
        seed: sampling.map_or(settings.seed, |sampling| sampling.seed),
        sample: 0,
    };
    let (hidden, images) = (Hidden::of(&job.secrets), Images::under(root));
    let sample = sample(Ordinary {
        key: &key,
        said_by: &said_by,
        asked_as: policy.map(|policy| (&policy.sampling, &policy.preset)),
        hide: &|text| hidden.in_text(text),
        images: &images,
    })?;
    Store::create(root)?.add(&Sample { episode: Some(1), ..sample })?;
    Ok(())
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
            storage: args.storage.as_deref().map(std::path::absolute).transpose()?,
            attached: args.attach.map(|address| address.to_string()),
            viewport,
            pages: None,
            evaluation: None,
            max_steps: settings.max_steps,
            dry_run: args.dry_run,
            places: args.is_by_places(),
        })
    }

    /// The number of its row, from 1; 0 without one.
    pub(crate) fn number(&self) -> usize {
        self.row.as_ref().map_or(0, |row| row.number)
    }

    /// Whether its end is judged.
    pub(crate) fn is_judged(&self, args: &RunArgs) -> bool {
        !self.task.expect.is_empty() && !args.dry_run
    }

    /// A judged task is done if it is solved; an unjudged click, or a dry run, if every step was done. What was done without
    /// anybody being able to tell what it did was judged by nobody.
    pub(crate) fn ending(&self, played: &Played, args: &RunArgs) -> anyhow::Result<Ending> {
        if let Some(error) = &played.summary.err_msg {
            anyhow::bail!("{error}");
        }
        if self.is_judged(args) {
            let is_solved = played.summary.success == Some(true);
            return Ok(if is_solved { Ending::Done } else { Ending::NotDone });
        }
        let recorded = Recorded::read(&played.path)?;
        let steps: Vec<_> = recorded.episodes.iter().flat_map(|episode| &episode.steps).collect();
        let is_done = |step: &StepRecord| step.action.is_some() || step.effect != Effect::Refused;
        // Of a run without a step nothing was done.
        let is_all_done =
            !steps.is_empty() && steps.iter().all(|step| step.action.as_ref().is_some_and(is_done));
        let is_open =
            doubtful(&recorded).iter().any(|step| matches!(step.why, Why::Noop | Why::Unverifiable));
        Ok(match (is_all_done, is_open) {
            (false, _) => Ending::NotDone,
            (true, true) => Ending::NotJudged,
            (true, false) => Ending::Done,
        })
    }
}

/// The folder of a task file.
pub(crate) fn folder_of(task: &str) -> PathBuf {
    match Path::new(task).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Says what came of it.
pub(crate) fn print(played: &Played, form: Form) -> anyhow::Result<()> {
    let Played { path, report, summary } = played;
    let recorded = Recorded::read(path)?;
    let doubtful = doubtful(&recorded);
    if form == Form::Json {
        let doubtful: Vec<_> = doubtful.into_iter().map(Doubtful::to_json).collect();
        terminal::data(&pretty(&json!({
            "summary": summary, "steps": said::to_json(&recorded), "doubtful": doubtful, "run_dir": path,
            "report": report,
        })));
        return Ok(());
    }
    for line in said::lines(&recorded) {
        terminal::data(&line);
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
    if !doubtful.is_empty() {
        let words: Vec<String> = doubtful.into_iter().map(Doubtful::in_words).collect();
        terminal::data(&format!("in doubt  {}", words.join("; ")));
    }
    if let Some(troubles) = said::troubles(&recorded) {
        terminal::data(&format!("page  {troubles}"));
    }
    terminal::data(&format!("report  {}", report.display()));
    Ok(())
}
