//! `vigorl eval NAME`: success by the groups of an evaluation, several modes on the same items.

mod asked;
mod behaviour;
mod clickers;
mod report;
mod seat;

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use serde_json::{Value, json};
use vigorl_agent::ConfidenceMap;
use vigorl_benchmarks::{
    Asked, Evaluation, EvaluationResult, Folder, FolderError, Head, Key, LINES, Line, Mode, Shard, fit,
    runner, written,
};
use vigorl_files::write_whole;
use vigorl_geometry::DevicePixelRatio;
use vigorl_policy::{AnswerKind, Preset, Query, Turns};
use vigorl_report::write_report;

use self::asked::open;
use self::seat::Room;
use crate::args::{EvalArgs, EvalCommand, EvalRecordedCommand, TurnsArg};
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::eyes::LoadedEyes;
use crate::settings::Settings;
use crate::{env, interrupt, reading, record, terminal};

/// Measures, or says what was measured before.
pub(crate) fn command(command: &EvalCommand, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    match &command.recorded {
        Some(EvalRecordedCommand::Report(args)) => report::report(args, form),
        Some(EvalRecordedCommand::Rescore(args)) => report::rescore(args, form),
        Some(EvalRecordedCommand::Behaviour(args)) => behaviour::behaviour(args, settings, form),
        Some(EvalRecordedCommand::Published) => Ok(report::published(form)),
        None => eval(&command.args, settings, form),
    }
}

/// Measures and prints the table.
fn eval(args: &EvalArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if args.name() != "miniwob" && args.miniwob.is_any() {
        let said =
            format!("`{}` is not miniwob: leave out its tasks, protocol, view and clicker", args.name());
        return Err(usage(said));
    }
    args.check_set()?;
    args.check_run(settings)?;
    if let Some(clicker) = args.miniwob.clicker {
        return clickers::click_without_eyes(args, clicker, settings, form, &cancel);
    }
    let evaluation = open(args, settings)?;
    let evaluation = &*evaluation;
    if args.record {
        record::check_output(settings)?;
    }
    let eyes = LoadedEyes::load(args.eyes(), settings)?;
    let modes = modes(args, &eyes)?;
    if evaluation.is_in_words() {
        check_answers_in_words(&eyes)?;
    }
    let head = head(args, settings, evaluation, &eyes, &modes)?;
    let folder = match &args.out {
        Some(path) => Folder::open(path, &head).map_err(in_class)?,
        None => Folder::in_memory(),
    };
    let begin_run = |version| {
        let (task, input) = (format!("eval {}", args.name()), record::of_evaluation(evaluation));
        let record = record::of_run(&task, input, eyes.record()?, settings, version);
        record::begin(settings, &format!("eval-{}", args.name()), &record, &[], &eyes)
    };
    let room = Room {
        evaluation,
        settings,
        min_confidence: args.min_confidence(settings).unwrap_or(0.0),
        cancel: &cancel,
        modes,
        begin_run: args.record.then_some(&begin_run),
        run: OnceLock::new(),
    };
    play(room, args, &eyes, &head, &folder)?;
    let lines = folder.lines();
    let fitted = args.fit_confidence.as_deref().zip(args.domain.as_deref());
    let fitted =
        fitted.map(|(path, domain)| fit_to(path, domain, &eyes, evaluation, &head, &lines)).transpose()?;
    let result = EvaluationResult::of(&head, &lines, env::command_line());
    write_files(args, evaluation, &head, &lines, &result)?;
    terminal::data(&match form {
        Form::Json => pretty(&serde_json::to_value(&result)?),
        Form::Text => result.table(),
    });
    terminal::note(&result.speed());
    if let Some(fitted) = fitted {
        terminal::note(&fitted);
    }
    if cancel.is_set() {
        return Ok(Ending::Interrupted);
    }
    match lines.iter().filter(|line| line.is_error()).count() {
        0 => Ok(Ending::Done),
        n => Err(unjudged(n, lines.len(), args.out.as_deref())),
    }
}

/// The numbers are of fewer items than were asked for, and nobody who only looks at the exit code may take them for whole.
fn unjudged(n: usize, of: usize, out: Option<&Path>) -> anyhow::Error {
    let cure = match out {
        Some(folder) => {
            format!(
                "`why` in `{}` says what failed, and the same command plays them again",
                folder.join(LINES).display()
            )
        }
        None => "with --out DIR a record says what failed, and the same command plays them again".to_owned(),
    };
    anyhow::anyhow!("{n} of {of} answers were not judged, because the world failed: {cure}")
}

/// What is wrong with a record: of whoever typed the command, or of the machine.
pub(super) fn in_class(error: FolderError) -> anyhow::Error {
    if error.is_usage() { usage(error.to_string()) } else { error.into() }
}

/// Plays what has no line yet.
fn play(
    room: Room<'_>,
    args: &EvalArgs,
    eyes: &LoadedEyes,
    head: &Head,
    folder: &Folder,
) -> anyhow::Result<()> {
    let all = head.turns();
    let n_turns = all.len() as u64;
    let turns: Vec<Key> = all.into_iter().filter(|turn| !folder.has(*turn)).collect();
    let n_there = n_turns - turns.len() as u64;
    if n_there > 0 {
        terminal::note(&format!("{n_there} of {n_turns} are there already"));
    }
    if turns.is_empty() {
        return Ok(());
    }
    let bar = terminal::bar(n_turns, if head.modes.len() > 1 { "turns" } else { "items" });
    bar.set_position(n_there);
    bar.reset_eta();
    let counts = Counts::default();
    let keep = |line: Line| {
        counts.add(&line);
        folder.add(line)?;
        bar.inc(1);
        bar.set_message(counts.in_words());
        Ok(!room.cancel.is_set())
    };
    let n_at_once = usize::try_from(args.concurrency.unwrap_or(1)).unwrap_or(usize::MAX);
    let played = runner::run(room.evaluation, &turns, n_at_once, &|| room.seat(eyes.beside()), &keep);
    bar.finish_and_clear();
    if let Some(run) = room.run.into_inner() {
        let run = run.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let (_, Some(path)) = run.finish()? {
            terminal::note(&format!("report  {}", write_report(&path)?.display()));
        }
    }
    match (played, &args.out) {
        (Err(error), Some(path)) => Err(error.context(format!(
            "what was played is in `{}`: the same command goes on with it",
            path.display()
        ))),
        (played, _) => played,
    }
}

/// What is told while it goes on.
#[derive(Default)]
struct Counts {
    n: std::sync::atomic::AtomicU64,
    n_right: std::sync::atomic::AtomicU64,
    n_errors: std::sync::atomic::AtomicU64,
}

impl Counts {
    fn add(&self, line: &Line) {
        use std::sync::atomic::Ordering::Relaxed;
        if line.is_error() {
            self.n_errors.fetch_add(1, Relaxed);
        } else {
            self.n.fetch_add(1, Relaxed);
            self.n_right.fetch_add(u64::from(line.is_right == Some(true)), Relaxed);
        }
    }

    fn in_words(&self) -> String {
        use std::sync::atomic::Ordering::Relaxed;
        let (n, n_right) = (self.n.load(Relaxed), self.n_right.load(Relaxed));
        let errors = match self.n_errors.load(Relaxed) {
            0 => String::new(),
            n => format!(", {n} errors"),
        };
        format!("{:.0} % right{errors}", 100.0 * n_right as f64 / n.max(1) as f64)
    }
}

/// In which modes, and how a policy is spoken to in each.
fn modes(args: &EvalArgs, eyes: &LoadedEyes) -> anyhow::Result<Vec<(Mode, Option<Preset>)>> {
    let by_itself = match eyes.policy() {
        _ if args.is_practice() => TurnsArg::Both,
        // A checkpoint that was taught to answer at once is asked once, as its makers do.
        Some(policy) if policy.preset.turns == Turns::Single => TurnsArg::Single,
        _ => TurnsArg::Multi,
    };
    let never_zooms = eyes.policy().is_some_and(|policy| !policy.preset.can_zoom());
    let wanted: &[Mode] = match args.turns.unwrap_or(by_itself) {
        _ if eyes.policy().is_none() => &[Mode::Reading],
        TurnsArg::Multi | TurnsArg::Both if never_zooms && args.turns.is_some() => {
            return Err(usage(
                "--turns: the preset of this model answers in one turn and never zooms; leave it out, or choose single",
            ));
        }
        _ if never_zooms => &[Mode::SingleTurn],
        TurnsArg::Multi => &[Mode::MultiTurn],
        TurnsArg::Single => &[Mode::SingleTurn],
        TurnsArg::Both => &[Mode::MultiTurn, Mode::SingleTurn],
    };
    let preset_of = |mode: Mode| {
        let preset = eyes.policy()?.preset.clone();
        match mode {
            Mode::MultiTurn => Some(Preset { turns: Turns::Multi, ..preset }),
            Mode::SingleTurn => Some(preset.without_zooms()),
            Mode::Reading => None,
        }
    };
    Ok(wanted.iter().map(|mode| (*mode, preset_of(*mode))).collect())
}

/// Whether these eyes answer questions in words.
fn check_answers_in_words(eyes: &LoadedEyes) -> anyhow::Result<()> {
    let LoadedEyes::Policy(policy, None) = eyes else {
        return Err(usage("questions are answered by a policy alone: leave --eyes out"));
    };
    let preset = &policy.preset;
    match (preset.answer_kind, preset.query) {
        (AnswerKind::Text, Query::Instruction) => Ok(()),
        _ => Err(usage(format!(
            "the preset `{}` points at things and does not answer in words: choose --preset spatial, or visual-search",
            preset.name
        ))),
    }
}

/// What the record begins with.
fn head(
    args: &EvalArgs,
    settings: &Settings,
    evaluation: &dyn Evaluation,
    eyes: &LoadedEyes,
    modes: &[(Mode, Option<Preset>)],
) -> anyhow::Result<Head> {
    let model = eyes.record()?;
    let policy = eyes.policy();
    if args.seeds.is_some_and(|n| n > 1) && policy.is_none() {
        return Err(usage("--seeds draws answers of a policy, and these eyes have none: leave it out"));
    }
    let preset = |(mode, preset): &(Mode, Option<Preset>)| {
        (mode.label().to_owned(), preset.as_ref().map_or(Value::Null, |preset| format!("{preset:?}").into()))
    };
    let sampling = policy.map(|policy| {
        let sampling = &policy.sampling;
        json!({ "temperature": sampling.temperature, "top_p": sampling.top_p })
    });
    let how = json!({
        "eyes": args.eyes(),
        "min_confidence": args.min_confidence(settings),
        "preset": policy.map(|policy| policy.preset.name),
        "presets": modes.iter().map(preset).collect::<serde_json::Map<_, _>>(),
        "sampling": sampling,
        "max_pixels": model.max_pixels,
        "dtype": policy.map(|_| settings.dtype.name()),
    });
    let asked = Asked { model: model.name, weights_sha256: model.sha256, endpoint: model.endpoint, how };
    let modes = modes.iter().map(|(mode, _)| *mode).collect();
    Ok(Head {
        n_draws: args.seeds.unwrap_or(1),
        seed: settings.seed,
        commit: record::COMMIT.to_owned(),
        shard: args.shard.unwrap_or(Shard::WHOLE),
        opened: json!({
            "name": args.name(),
            "set": args.set_choice(),
            "questions": args.question_choice(),
            "folders": args.folders,
        }),
        ..Head::of(evaluation, asked, modes)
    })
}

/// All files that were asked for.
fn write_files(
    args: &EvalArgs,
    evaluation: &dyn Evaluation,
    head: &Head,
    lines: &[Line],
    result: &EvaluationResult,
) -> anyhow::Result<()> {
    if let Some(path) = &args.items {
        write(path, &lines.iter().map(written).collect::<String>())?;
    }
    let of_folder = args.out.as_ref().map(|folder| folder.join("result.json"));
    let json = pretty(&serde_json::to_value(result)?);
    for path in args.result.iter().chain(&of_folder) {
        write(path, &json)?;
    }
    let Some(folder) = &args.out else { return Ok(()) };
    for mode in &head.modes {
        let mut of: Vec<&Line> = lines.iter().filter(|line| line.mode == *mode && line.draw == 0).collect();
        of.sort_by_key(|line| line.key());
        for (stem, content) in evaluation.reference_outputs(&head.asked.model, &of) {
            let name = match head.modes.len() {
                1 => format!("{stem}.json"),
                _ => format!("{stem}_{}.json", mode.label().replace('-', "_")),
            };
            write(&folder.join(name), &pretty(&content))?;
        }
    }
    terminal::note(&format!("record  {}", folder.join(LINES).display()));
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_whole(path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Screenshot pixels per CSS pixel, where the evaluation names them and nobody typed another number.
fn ratio_of(evaluation: &dyn Evaluation, settings: &Settings) -> Option<DevicePixelRatio> {
    evaluation.device_pixel_ratio().filter(|_| !settings.is_typed("device_pixel_ratio"))
}

/// Fits a map on what the first mode answered, and puts it into a file beside the maps of other domains. What it is worth, in
/// words.
fn fit_to(
    path: &Path,
    domain: &str,
    eyes: &LoadedEyes,
    evaluation: &dyn Evaluation,
    head: &Head,
    lines: &[Line],
) -> anyhow::Result<String> {
    let weights = match eyes {
        LoadedEyes::Reader(_) => reading::sha256(),
        LoadedEyes::Policy(policy, _) => policy.record()?.sha256.ok_or_else(|| {
            usage("--fit-confidence fits a map to weights, and those behind --base-url are unknown")
        })?,
        LoadedEyes::Auto(..) | LoadedEyes::Places => {
            return Err(usage("--fit-confidence fits one pair of eyes: --eyes reader or --eyes policy"));
        }
    };
    let mode = head.modes.first().copied();
    let lines: Vec<&Line> =
        lines.iter().filter(|line| Some(line.mode) == mode && line.draw == 0 && !line.is_error()).collect();
    let fitted = fit(&lines, domain, &weights).context("there is no answer that tells features")?;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "[]".to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    let mut maps: Vec<ConfidenceMap> =
        serde_json::from_str(&text).map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
    let max_size = evaluation.viewport().map(|canvas| [canvas.width, canvas.height]);
    let single_turn = mode == Some(Mode::SingleTurn);
    let map = ConfidenceMap { max_size, single_turn, ..fitted.map.clone() };
    let place = maps.iter().position(|map| map.domain == domain && map.single_turn == single_turn);
    match place {
        Some(place) => maps[place] = map,
        // What holds for small screenshots alone comes first.
        None if max_size.is_some() => maps.insert(0, map),
        None => maps.push(map),
    }
    let json = serde_json::to_value(&maps)?;
    write_whole(path, format!("{}\n", pretty(&json)).as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    let n_right = fitted.points.iter().filter(|(_, is_right)| *is_right).count();
    Ok(format!(
        "fitted on {} points of `{domain}`, {n_right} of them right; each group by the others: ECE {:.3}, AUROC {}",
        fitted.points.len(),
        fitted.ece,
        fitted.auroc.map_or_else(|| "none".to_owned(), |auroc| format!("{auroc:.3}"))
    ))
}
