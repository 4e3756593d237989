//! `vigorl replay`: a recorded run once more, without its model or with another one.
//!
//! Invariants: without a model, nothing is clicked that does not look as it did when it was recorded; with a model,
//! nothing is done at all. A secret is not in the record, so it is asked for again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_geometry::{Point, Rect, Screen, Size};
use vigorl_interface::{Act, Effect};
use vigorl_policy::{GroundObserver, ground};
use vigorl_runs::record::{InputRecord, Plain};
use vigorl_runs::{Hidden, Recorded, RecordedStep};
use vigorl_tasks::Verification;
use vigorl_tasks::scripted::{
    Clause, Place, Plan, RewardRule, ScriptedTask, Secret, Start, Step, Target, Values, World,
};

use crate::args::{ReplayArgs, RunArgs};
use crate::commands::picture::{self, cut};
use crate::commands::{Form, pretty, run};
use crate::exit::{Ending, usage};
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::{interrupt, model, terminal};

/// A pixel of a screenshot.
type Xy = [f64; 2];
/// Left, top, right and bottom on a screenshot.
type Box4 = [f64; 4];

/// The numbers of a record.
fn numbers<const N: usize>(of: [Plain; N]) -> [f64; N] {
    of.map(|number| number.0)
}

/// Answers closer than this count as the same decision: half of the smallest target that interfaces usually have.
const SAME_WITHIN_PX: f64 = 7.0;

/// Does the run again, or asks another model.
pub(crate) fn replay(args: &ReplayArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    if !args.run_dir.join("run.json").is_file() {
        let shown = args.run_dir.display();
        return Err(usage(format!("`{shown}` is no run directory: it has no run.json")));
    }
    let mut recorded = Recorded::read(&args.run_dir)?;
    let secrets = Secrets::read(args.secrets.as_deref())?;
    // What is put back must not be told again.
    let steps = recorded.episodes.iter().flat_map(|episode| &episode.steps);
    let instructions = steps.map(|step| step.instruction.as_str());
    let named = instructions.fold(serde_json::to_string(&recorded.run)?, |all, said| all + "\n" + said);
    let named = secrets.named_in(&named);
    let hidden = Hidden::of(&named);
    put_back(&mut recorded, &secrets)?;
    if settings.is_typed("model") || settings.is_typed("base_url") {
        ask(&recorded, &hidden, settings, form)
    } else {
        repeat(args, &recorded, named, settings, form)
    }
}

/// Puts the values of secrets back where the record must be understood: into a task that cannot be read with their names,
/// and into what it was run with. In other tasks their names stay, for a task fills them into typed text itself.
fn put_back(recorded: &mut Recorded, secrets: &Secrets) -> anyhow::Result<()> {
    let run = &mut recorded.run;
    let vars = &run.input.vars;
    let is_readable = |text: &str| {
        let mut task = ScriptedTask::parse(text)?;
        // Elsewhere than in typed text, a secret's name is refused here.
        task.fill(vars, &|name| Some(secrets.get(name).unwrap_or("unknown".to_owned()))).map(drop)
    };
    if let Some(text) = &run.input.task_file
        && let Err(error) = is_readable(text)
        && text.contains("${secret:")
    {
        let whole = secrets.put_back(text);
        let cure = "please give the same --secrets as to the run";
        is_readable(&whole).map_err(|_| {
            usage(format!("the task in this record cannot be read, because it has secrets: {error}; {cure}"))
        })?;
        run.input.task_file = Some(whole);
    }
    run.input.url = run.input.url.as_deref().map(|url| secrets.put_back(url));
    run.input.folder = run.input.folder.as_deref().map(|folder| match folder.to_str() {
        Some(folder) => secrets.put_back(folder).into(),
        None => folder.to_owned(),
    });
    for step in recorded.episodes.iter_mut().flat_map(|episode| &mut episode.steps) {
        step.instruction = secrets.put_back(&step.instruction);
    }
    for (name, setting) in run.settings.as_object_mut().into_iter().flatten() {
        // Here it is the name that is meant.
        if name != "basic_auth" {
            put_back_into(setting, secrets);
        }
    }
    Ok(())
}

fn put_back_into(json: &mut serde_json::Value, secrets: &Secrets) {
    match json {
        serde_json::Value::String(text) => *text = secrets.put_back(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| put_back_into(item, secrets)),
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|field| put_back_into(field, secrets));
        }
        _ => {}
    }
}

/// Writes the run as a task whose targets are pictures of what was clicked, and runs that.
fn repeat(
    args: &ReplayArgs,
    recorded: &Recorded,
    hidden: Vec<Secret>,
    settings: &Settings,
    form: Form,
) -> anyhow::Result<Ending> {
    let [episode] = recorded.episodes.as_slice() else {
        return Err(usage(format!(
            "`{}` has {} episodes: only the run of one task can be done again; with --model or --base-url another model can be asked",
            args.run_dir.display(),
            recorded.episodes.len()
        )));
    };
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let (task, only) = task_of(recorded, &episode.steps, folder.path())?;
    let file = folder.path().join("task.yaml");
    std::fs::write(&file, task.to_yaml()?).with_context(|| format!("cannot write `{}`", file.display()))?;
    let settings = settings.as_recorded(&recorded.run.settings, only)?;
    if let Some(address) = &recorded.run.input.attached {
        terminal::note(&format!(
            "the run was in the browser that ran at {address}; this one begins in a browser of its own, where nobody is logged in \
             (--storage)"
        ));
    }
    let again = RunArgs::by_places(&file, args, recorded.run.input.storage.clone());
    let of_task = recorded.run.input.folder.clone().unwrap_or_else(|| folder.path().to_owned());
    run::run_in(&of_task, hidden, &again, &settings, form)
}

/// The run's task, each target replaced by a picture of what was clicked, and how many of its steps can be done again, if
/// the run did not do all. The steps behind them stay in the task: what was not done keeps it from being solved.
fn task_of(
    recorded: &Recorded,
    steps: &[RecordedStep],
    folder: &Path,
) -> anyhow::Result<(ScriptedTask, Option<usize>)> {
    let mut task = match &recorded.run.input.task_file {
        Some(text) => {
            let mut task = ScriptedTask::parse(text)?;
            task.vars.extend(recorded.run.input.vars.clone());
            task
        }
        None => single_step(recorded, steps)?,
    };
    let has_blocks = task.all_steps().any(|step| matches!(step, Step::Block(_)));
    let ScriptedTask { before, plan: Plan::Steps(plan), after, .. } = &mut task else {
        return Ok((task, None));
    };
    if has_blocks {
        return Err(usage(
            "this run's task has blocks of steps, so its record cannot be played step by step: run the task itself, with --places"
                .to_owned(),
        ));
    }
    let done = steps.iter().take_while(|step| step.action.as_ref().is_some_and(is_done)).count();
    if done == 0 {
        return Err(usage("nothing was done in this run".to_owned()));
    }
    let (n_judged, n_after) = (before.len() + plan.len(), after.len());
    // A step of the record does not say which list it is of: only where none was left out they follow from their order.
    if n_after > 0 && steps.len() < n_judged + n_after {
        return Err(usage(
            "this run ended before all of its steps were taken, and its task has steps under `after`, so nobody can tell which \
             ones were taken: run the task itself, with --places"
                .to_owned(),
        ));
    }
    let only = (done < n_judged).then_some(done);
    if done < n_judged + n_after {
        let n = n_judged + n_after;
        terminal::note(&format!("the run did {done} of {n} steps: only these are done again"));
    }
    // These come whatever became of the others, so that those which cannot be done again must not stay.
    after.truncate(done.saturating_sub(n_judged));
    let again = before.iter_mut().chain(plan.iter_mut()).chain(after.iter_mut());
    for (step, recorded) in again.zip(&steps[..done]) {
        let points = points_of(recorded);
        for (number, (target, at)) in step.targets_mut().into_iter().zip(points).enumerate() {
            let file = folder.join(format!("{:04}-{number}.png", recorded.step));
            let shown = picture::read(&recorded.folder.join("before.png"))?;
            cut(&shown, at).save(&file).with_context(|| format!("cannot write `{}`", file.display()))?;
            target.place = Some(Place::Picture { file, near: Some(at) });
            // The picture is of the very point.
            target.offset = None;
        }
    }
    // Nobody comes to these.
    for target in before.iter_mut().chain(plan).skip(done).flat_map(Step::targets_mut) {
        target.place = Some(Place::At([0.0, 0.0]));
    }
    Ok((task, only))
}

fn is_done(step: &vigorl_runs::record::StepRecord) -> bool {
    // The last step's verification is the task's own, which can hold although the step was refused.
    let is_checked = step.verification == Verification::Satisfied && step.effect != Effect::Refused;
    step.action.is_some() || is_checked
}

/// The points of the step's action, in the order of its targets.
fn points_of(step: &RecordedStep) -> Vec<Xy> {
    let action = step.action.as_ref().and_then(|record| record.action.as_ref());
    action.map_or_else(Vec::new, |action| action.places().copied().map(numbers).collect())
}

/// A run that had no task file: one click. What is expected is where it led.
fn single_step(recorded: &Recorded, steps: &[RecordedStep]) -> anyhow::Result<ScriptedTask> {
    let record = steps.first().and_then(|step| step.action.as_ref()).context("the run took no step")?;
    let InputRecord { url, viewport, .. } = &recorded.run.input;
    let setting = |name: &str| Some(recorded.run.settings.get(name)?.get("value")?.as_str()?.to_owned());
    let driver = if url.is_some() { World::Web } else { World::Desktop };
    let expect = match (&record.url, &record.title) {
        (Some(url), _) => Clause::UrlContains(url.clone()),
        (None, Some(title)) => Clause::TitleContains(title.clone()),
        (None, None) => return Err(usage("the record does not say where the click led".to_owned())),
    };
    Ok(ScriptedTask {
        name: recorded.run.task.clone(),
        vars: BTreeMap::new(),
        draw: BTreeMap::new(),
        tags: Vec::new(),
        animated: None,
        max_steps: None,
        rows: None,
        start: Start {
            driver,
            area: setting("area").filter(|_| driver == World::Desktop).and_then(|area| area.parse().ok()),
            url: url.clone(),
            viewport: viewport.map(|[width, height]| Size::of_pixels(width, height)),
            ..Start::default()
        },
        before: Vec::new(),
        plan: Plan::Steps(vec![Step::Act(Act::click(Target::from(record.instruction.replace("${", "$${"))))]),
        after: Vec::new(),
        expect: vec![expect],
        reward: RewardRule::All,
        patience: std::time::Duration::ZERO,
        values: Values::default(),
    })
}

/// What another model decided.
#[derive(Debug, Serialize)]
struct Decision {
    step: usize,
    instruction: String,
    recorded: Option<Xy>,
    now: Option<Xy>,
    /// Why there is no point now.
    malformed: Option<String>,
    /// Whether both points mean the same.
    same: bool,
    /// The box of what was meant, if the record tells it.
    place: Option<Box4>,
    /// Whether the points lie in it.
    recorded_hits: Option<bool>,
    now_hits: Option<bool>,
}

/// Asks a model on the recorded screenshots.
fn ask(recorded: &Recorded, hidden: &Hidden, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let questions: Vec<Question<'_>> = questions(recorded).collect();
    if questions.is_empty() {
        return Err(usage(format!("nothing had to be found in `{}`", recorded.root.display())));
    }
    let cancel = interrupt::install()?;
    let mut eyes = model::load(settings)?;
    let bar = terminal::bar(questions.len() as u64, "steps");
    let mut decisions = Vec::new();
    for Question { step, instruction, recorded, place } in questions {
        let screenshot = picture::read(&step.folder.join("before.png"))?;
        let mut follow = Follow(cancel.clone());
        let said =
            ground(&mut eyes.policy, &screenshot, &instruction, &eyes.preset, &eyes.sampling, &mut follow)?;
        if said.cancelled {
            break;
        }
        let now = said.answer.map(|at| [at.x, at.y]);
        let malformed = said.malformed.as_ref().map(ToString::to_string);
        decisions.push(decision(step.step, hidden.in_text(&instruction), [recorded, now], malformed, place));
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&recorded.run.model.name, &eyes.name, &decisions, form);
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

struct Question<'a> {
    step: &'a RecordedStep,
    instruction: String,
    recorded: Option<Xy>,
    place: Option<Box4>,
}

/// Every target that had to be found, in the words that were used.
fn questions(recorded: &Recorded) -> impl Iterator<Item = Question<'_>> {
    let acts = acts_of(recorded);
    recorded.episodes.iter().flat_map(move |episode| {
        let of_page = episode.outcome.as_ref().and_then(|outcome| outcome.target).map(numbers);
        let asked = episode.steps.iter().flat_map(|step| questions_of(written(&acts, step), step, of_page));
        asked.collect::<Vec<_>>()
    })
}

/// The act that a step was: it says what it was to do, wherever in the task's blocks that stands.
fn written<'a>(acts: &'a [Act<Target>], step: &RecordedStep) -> Option<&'a Act<Target>> {
    let words = |act: &Act<Target>| vigorl_agent::Decision::Act(act.clone()).to_string();
    acts.iter().find(|act| words(act) == step.instruction)
}

/// What the run's task may have done, with its variables filled in; nothing of a run without a task file.
fn acts_of(recorded: &Recorded) -> Vec<Act<Target>> {
    let task = recorded.run.input.task_file.as_deref().and_then(|text| ScriptedTask::parse(text).ok());
    let Some(mut task) = task else { return Vec::new() };
    // Secrets are never part of a target.
    task.fill(&recorded.run.input.vars, &|_| Some("unknown".to_owned())).ok();
    let mut values = task.values.clone();
    let acts = task.all_steps().flat_map(Step::acts);
    let filled = acts.filter_map(|act| match values.fill_step(&Step::Act(act.clone())) {
        Ok(Step::Act(act)) => Some(act),
        // It needs what was read then, which is not known now.
        _ => None,
    });
    filled.collect()
}

fn questions_of<'a>(
    written: Option<&Act<Target>>,
    step: &'a RecordedStep,
    of_page: Option<Box4>,
) -> Vec<Question<'a>> {
    let points = points_of(step);
    let answer = step.model.as_ref().and_then(|model| model.answer).map(numbers);
    let place = step.action.as_ref().and_then(|action| action.place).map(numbers).or(of_page);
    let one = |instruction: String, nth: usize| Question {
        step,
        instruction,
        recorded: points.get(nth).copied().or(answer.filter(|_| nth == 0)),
        place: place.filter(|_| nth == 0),
    };
    match written {
        Some(act) => act.places().enumerate().map(|(nth, what)| one(what.to_string(), nth)).collect(),
        None if step.model.is_some() => vec![one(step.instruction.clone(), 0)],
        None => Vec::new(),
    }
}

fn decision(
    step: usize,
    instruction: String,
    [recorded, now]: [Option<Xy>; 2],
    malformed: Option<String>,
    place: Option<Box4>,
) -> Decision {
    let hits = |at: Option<Xy>| {
        let [left, top, right, bottom] = place?;
        let place = Rect::<Screen>::new(left, top, right, bottom);
        Some(at.is_some_and(|[x, y]| place.contains(Point::new(x, y))))
    };
    let near = match (recorded, now) {
        (Some([ax, ay]), Some([bx, by])) => (ax - bx).hypot(ay - by) <= SAME_WITHIN_PX,
        (None, None) => true,
        _ => false,
    };
    // Two points in the box of what was meant are the same decision, however large the box.
    let both_hit = hits(recorded) == Some(true) && hits(now) == Some(true);
    Decision {
        step,
        instruction,
        recorded,
        now,
        malformed,
        same: near || both_hit,
        place,
        recorded_hits: hits(recorded),
        now_hits: hits(now),
    }
}

fn print(before: &str, after: &str, decisions: &[Decision], form: Form) {
    let n_flipped = decisions.iter().filter(|decision| !decision.same).count();
    let hits = |of: fn(&Decision) -> Option<bool>| {
        let judged: Vec<bool> = decisions.iter().filter_map(of).collect();
        (judged.iter().filter(|hit| **hit).count(), judged.len())
    };
    let (then, now) = (hits(|decision| decision.recorded_hits), hits(|decision| decision.now_hits));
    if form == Form::Json {
        terminal::data(&pretty(&json!({
            "recorded_model": before,
            "model": after,
            "n_decisions": decisions.len(),
            "n_flipped": n_flipped,
            "recorded_hits": then.0,
            "hits": now.0,
            "n_judged": now.1,
            "decisions": decisions,
        })));
        return;
    }
    let point = |at: Option<Xy>| at.map_or("no point".to_owned(), |[x, y]| format!("({x:.0}, {y:.0})"));
    let word = |hit: Option<bool>| match hit {
        Some(true) => " hit",
        Some(false) => " miss",
        None => "",
    };
    for decision in decisions {
        let Decision { step, instruction, recorded, now, same, recorded_hits, now_hits, .. } = decision;
        let mark = if *same { "same   " } else { "flipped" };
        let (then, now) = (point(*recorded), point(*now));
        let (of_then, of_now) = (word(*recorded_hits), word(*now_hits));
        terminal::data(&format!("{mark}  step {step}: {instruction}  {then}{of_then} -> {now}{of_now}"));
    }
    terminal::data(&format!("{n_flipped} of {} decisions flipped from {before} to {after}", decisions.len()));
    if now.1 > 0 {
        terminal::data(&format!(
            "in the box of what was meant: {} before, {} now, of {}",
            then.0, now.0, now.1
        ));
    }
}

/// Breaks off when asked to.
struct Follow(Cancel);

impl GroundObserver for Follow {
    fn text(&mut self, _piece: &str) -> ControlFlow<()> {
        if self.0.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl RunArgs {
    /// A task by its places, recorded like any other run; unless a file of cookies is typed, that of the run is taken again.
    fn by_places(task: &Path, args: &ReplayArgs, storage: Option<PathBuf>) -> Self {
        Self {
            secrets: args.secrets.clone(),
            storage: args.storage.clone().or(storage),
            places: true,
            policy: args.policy.clone(),
            endpoint: args.endpoint.clone(),
            browser: args.browser.clone(),
            visitor: args.visitor.clone(),
            run: args.run.clone(),
            ..Self::of_task(task)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_the_same_if_they_are_near_or_hit_the_same_box() {
        let check = |recorded, now, place, expected: (bool, Option<bool>)| {
            let decision = decision(1, String::new(), [recorded, now], None, place);
            assert_eq!((decision.same, decision.now_hits), expected);
        };
        let wide = Some([0.0, 0.0, 200.0, 20.0]);
        check(Some([5.0, 5.0]), Some([9.0, 8.0]), None, (true, None));
        check(Some([5.0, 5.0]), Some([15.0, 8.0]), None, (false, None));
        check(Some([5.0, 5.0]), Some([150.0, 8.0]), wide, (true, Some(true)));
        check(Some([5.0, 5.0]), Some([150.0, 28.0]), wide, (false, Some(false)));
        check(Some([5.0, 5.0]), None, wide, (false, Some(false)));
        check(None, None, None, (true, None));
    }
}
