//! What `vigorl run` is given to do, before anything is played: a click that was typed, or a task file, alone or once for
//! each row of its table.
//!
//! Invariant: what is wrong is said before anything starts; the text that is recorded says the whole task without any
//! other file than those that it shows to the world.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vigorl_interface::Act;
use vigorl_tasks::scripted::{
    Plan, RewardRule, Row, ScriptedTask, Secret, Start, Step, Target, Values, World, read_rows, read_storage,
    stored_secrets,
};

use super::{Job, JobRow, Place};
use crate::args::RunArgs;
use crate::commands::check_instruction;
use crate::exit::{Usage, usage};
use crate::parts::Part;
use crate::secrets::{self, Secrets};
use crate::settings::Settings;
use crate::terminal;

/// What a task file, or a text, asks for: one job, or one for each row of the table that the task names.
pub(crate) fn jobs(
    given: &str,
    folder: &Path,
    args: &RunArgs,
    settings: &Settings,
) -> anyhow::Result<Vec<Job>> {
    let path = Path::new(given);
    let is_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_file {
        return Ok(vec![typed_job(given, folder, args, settings)?]);
    }
    let shown = path.display();
    let text =
        vigorl_files::read_text(path).map_err(|error| usage(format!("cannot read `{shown}`: {error}")))?;
    let task = ScriptedTask::parse_file(&text, path).map_err(|error| usage(format!("`{shown}`: {error}")))?;
    let Some(table) = &task.rows else {
        // Of a task that uses steps of other files, a record is repeated without them.
        let whole = if ScriptedTask::parse(&text).is_ok() { text } else { task.to_yaml()? };
        return Ok(vec![file_job(given, folder, (task, whole), args, settings)?]);
    };
    let (file, known) = (path.parent().unwrap_or(Path::new("")).join(table), secrets::vars(&args.vars)?);
    let table = file.display();
    let job = |(number, row): (usize, Row)| {
        let Row { line, values } = row;
        if let Some(name) = values.keys().find(|name| known.contains_key(*name)) {
            return Err(usage(format!(
                "--var {name}: `{name}` is a column of `{table}`; leave one of them out"
            )));
        }
        if let Some(name) = values.keys().find(|name| task.draw.contains_key(*name)) {
            return Err(usage(format!(
                "`{shown}`: `{name}` is under `draw` and a column of `{table}`; leave one of them out"
            )));
        }
        let columns = values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut of_row = ScriptedTask { rows: None, ..task.clone() };
        of_row.name = format!("{}, row {number}", task.name);
        of_row.vars.extend(values);
        // What is recorded is played with this row again.
        let whole = of_row.to_yaml()?;
        let job = file_job(given, folder, (of_row, whole), args, settings).map_err(|error| {
            let at = format!("with line {line} of `{table}`, whose columns (line 1) are {columns}");
            if error.is::<Usage>() { usage(format!("{error}; {at}")) } else { error.context(at) }
        })?;
        Ok(Job { row: Some(JobRow { number, of_task: task.name.clone() }), ..job })
    };
    let rows = read_rows(&file).map_err(|error| usage(format!("`{shown}`: {error}")))?;
    (1..).zip(rows).map(job).collect()
}

/// The click that a text asks for.
fn typed_job(given: &str, folder: &Path, args: &RunArgs, settings: &Settings) -> anyhow::Result<Job> {
    if args.tasks.len() > 1 {
        return Err(usage(format!(
            "`{given}` is no .yaml file: several tasks are files, and what to click is one text, in quotes"
        )));
    }
    check_instruction(given)?;
    if args.is_by_places() {
        return Err(usage("--places needs a task file that names places".to_owned()));
    }
    let place = match (settings.driver, &args.url) {
        (World::Desktop, None) => {
            Part::Desktop.needed()?;
            Place::Desktop(settings.area.clone())
        }
        (World::Desktop, Some(_)) => {
            return Err(usage("--url names a page, and --driver desktop has none: leave one out".to_owned()));
        }
        (World::Web, Some(url)) => Place::Page { url: url.clone(), viewport: settings.viewport },
        (World::Web, None) => {
            return Err(usage(format!(
                "where? `{given}` is no .yaml file, so it needs a page (--url https://…) or --driver desktop"
            )));
        }
    };
    let (mut task, given, folder) = (one_click(given), given.to_owned(), folder.to_owned());
    let mut secrets = Vec::new();
    if matches!(place, Place::Page { .. }) {
        let known = Secrets::read(args.secrets.as_deref())?;
        task.start.basic_auth = settings.login_of(&task.start);
        let filled = task.start.fill_login(&BTreeMap::new(), &|name| known.get(name));
        secrets = filled.map_err(|error| usage(format!("{}: {error}", settings.origin_of("basic_auth"))))?;
    }
    secrets.extend(begin_with(&mut task, &folder, args.storage.as_deref(), &place)?);
    Ok(Job { given, folder, place, task, secrets, text: None, row: None })
}

/// Takes the file of cookies and local storage that was typed for the task's own, and reads what the task begins with then,
/// so that it is known what must be hidden and whether it is of use.
fn begin_with(
    task: &mut ScriptedTask,
    folder: &Path,
    typed: Option<&Path>,
    place: &Place,
) -> anyhow::Result<Vec<Secret>> {
    if let Some(typed) = typed {
        if let Place::Desktop(_) = place {
            return Err(usage("--storage belongs to a browser, and the desktop has none: leave it out"));
        }
        // What was typed begins where it was typed, and not at the task.
        let whole = std::path::absolute(typed)?;
        let text = whole.to_str().ok_or_else(|| usage("--storage: the path is no UTF-8"))?;
        task.start.storage = Some(text.to_owned());
    }
    let Some(file) = &task.start.storage else { return Ok(Vec::new()) };
    let origin = if typed.is_some() { "--storage" } else { "start.storage" };
    let state = read_storage(&folder.join(file)).map_err(|error| usage(format!("{origin}: {error}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let n_expired = state.cookies.iter().filter(|cookie| cookie.is_expired(now)).count();
    if n_expired > 0 {
        terminal::note(&format!(
            "{origin}: {n_expired} of {} cookies in `{file}` have expired: log in anew (--save-storage) if that was the login",
            state.cookies.len()
        ));
    }
    if state.has_databases {
        terminal::note(&format!("{origin}: the databases (indexedDB) in `{file}` are not restored"));
    }
    Ok(stored_secrets(&state))
}

/// What a task asks for that was read from a file; `text` says the same.
fn file_job(
    given: &str,
    folder: &Path,
    (mut task, text): (ScriptedTask, String),
    args: &RunArgs,
    settings: &Settings,
) -> anyhow::Result<Job> {
    let shown = given;
    let known = Secrets::read(args.secrets.as_deref())?;
    if task.start.driver == World::Web {
        task.start.basic_auth = settings.login_of(&task.start);
    }
    let mut secrets = task
        .fill(&secrets::vars(&args.vars)?, &|name| known.get(name))
        .map_err(|error| usage(format!("`{shown}`: {error}")))?;
    let place = match task.start.driver {
        World::Web => {
            let url = args.url.clone().or_else(|| task.start.address(folder));
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
    if args.is_by_places() {
        check_places(&task, &shown)?;
    }
    secrets.extend(begin_with(&mut task, folder, args.storage.as_deref(), &place)?);
    if args.record_rollouts && !task.after.is_empty() {
        return Err(usage(format!(
            "--record-rollouts: what `{shown}` does `after` its judgement is nothing to learn from; leave one of them out"
        )));
    }
    let (given, folder) = (given.to_owned(), folder.to_owned());
    Ok(Job { given, folder, place, task, secrets, text: Some(text), row: None })
}

/// One click on what was typed, which nobody judges.
fn one_click(what: &str) -> ScriptedTask {
    // It is no text of a task file: it has no variables.
    let target = Target::from(what.replace("${", "$${"));
    ScriptedTask {
        name: what.to_owned(),
        vars: BTreeMap::new(),
        draw: BTreeMap::new(),
        tags: Vec::new(),
        animated: None,
        max_steps: None,
        rows: None,
        start: Start::default(),
        before: Vec::new(),
        plan: Plan::Steps(vec![Step::Act(Act::click(target))]),
        after: Vec::new(),
        expect: Vec::new(),
        reward: RewardRule::All,
        patience: Duration::ZERO,
        values: Values::default(),
    }
}

/// Every target must have a place if nobody looks.
fn check_places(task: &ScriptedTask, shown: &dyn std::fmt::Display) -> anyhow::Result<()> {
    match task.all_steps().flat_map(Step::targets).find(|target| target.place.is_none()) {
        None => Ok(()),
        Some(target) => Err(usage(format!(
            "`{shown}` names no place for `{target}`, which --places needs: write {{ what: {target}, selector: … }} \
             (or name, picture, at), or leave out --places so that a model looks"
        ))),
    }
}
