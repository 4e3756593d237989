//! `vigorl eval NAME`: success by the groups of an evaluation, several modes on the same items.

mod lines;

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::json;
use vigorl_agent::{Agent, Cancel, Checks, ConfidenceMap, Ending as EpisodeEnding, Hands, Leash};
use vigorl_benchmarks::miniwob::{Choice, Clicked, Clicker, MiniWobSet};
use vigorl_benchmarks::sets::{BoxFormat, GtType, InstructionStyle, Language};
use vigorl_benchmarks::{
    EVALUATIONS, Evaluation, EvaluationResult, Mode, ModeResult, PlayError, Played, RandomClicker, SetChoice,
    Tally, Wanted, fit, play,
};
use vigorl_files::write_whole;
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Driver;
use vigorl_policy::{Preset, Turns};
use vigorl_report::write_report;
use vigorl_runs::Run;
use vigorl_tasks::Blind;
use vigorl_tasks::miniwob::{Area, Protocol};
use vigorl_tasks::practice::Split;
use vigorl_webdriver::WebDriver;

use crate::args::{
    BoxFormatArg, ClickerArg, EvalArgs, GtTypeArg, InstructionStyleArg, LanguageArg, ProtocolArg, TurnsArg,
    ViewArg,
};
use crate::commands::{Form, browser, pages, pretty};
use crate::exit::{Ending, usage};
use crate::eyes::{self, LoadedEyes};
use crate::settings::Settings;
use crate::{env, interrupt, reading, record, terminal};

/// After so many pages in a row on which the world failed, nothing useful will come any more.
const MAX_FAILURES_IN_A_ROW: usize = 5;

/// Measures and prints the table.
pub(crate) fn eval(args: &EvalArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    if args.name != "miniwob" && args.miniwob.is_any() {
        let said = format!("`{}` is not miniwob: leave out its tasks, protocol, view and clicker", args.name);
        return Err(usage(said));
    }
    args.check_set()?;
    if let Some(clicker) = args.miniwob.clicker {
        return click_without_eyes(args, clicker, settings, form, &cancel);
    }
    let evaluation = open(args, settings)?;
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    }
    if args.record {
        record::check_output(settings)?;
    }
    let eyes = LoadedEyes::load(args.eyes(), settings)?;
    let mut table = Table::new(args, settings, eyes, &*evaluation, &cancel)?;
    let bar = terminal::bar(evaluation.n_items(), "items");
    for idx in 0..evaluation.n_items() {
        if cancel.is_set() {
            break;
        }
        table.play(idx, &bar)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(path) = &args.items {
        write(path, &table.lines())?;
    }
    if let Some(folder) = &args.out {
        write(&folder.join("items.jsonl"), &table.lines())?;
        for (name, content) in table.reference_outputs() {
            write(&folder.join(name), &pretty(&content))?;
        }
    }
    let fitted = args.fit_confidence.as_deref().zip(args.domain.as_deref());
    let fitted = fitted.map(|(path, domain)| table.fit(path, domain)).transpose()?;
    let result = table.finish()?;
    let json = serde_json::to_value(&result)?;
    let of_folder = args.out.as_ref().map(|folder| folder.join("result.json"));
    for path in args.result.iter().chain(&of_folder) {
        write(path, &pretty(&json))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => result.table(),
    });
    if let Some(fitted) = fitted {
        terminal::note(&fitted);
    }
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_whole(path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The evaluation of that name.
fn open(args: &EvalArgs, settings: &Settings) -> anyhow::Result<Box<dyn Evaluation>> {
    let named = EVALUATIONS.iter().find(|named| named.name == args.name).context("no such evaluation")?;
    if !args.is_practice() && args.pages.is_any() {
        return Err(usage(format!(
            "`{}` has no practice pages: leave out what says how they are",
            args.name
        )));
    }
    if args.is_practice() && !(args.folders.is_empty() && args.wordings.is_empty()) {
        return Err(usage("practice pages are generated: leave out the folder and --wording"));
    }
    let first_page = pages::first_page(&args.pages, settings, Split::HeldOut)?;
    let (data, wordings) = (args.folders.clone(), args.wordings.clone());
    let (miniwob, set) = (args.choice(), args.set_choice());
    (named.open)(&Wanted { n: args.episodes, first_page, data, wordings, miniwob, set }).map_err(usage)
}

impl EvalArgs {
    fn is_practice(&self) -> bool {
        self.name == "practice"
    }

    /// Whether it is a published data set.
    fn is_set(&self) -> bool {
        !["practice", "pages", "miniwob"].contains(&&*self.name)
    }

    /// Whether what is for published data sets was typed for one, and nothing else for it.
    fn check_set(&self) -> anyhow::Result<()> {
        let has_words = !(self.folders.is_empty() && self.wordings.is_empty());
        let wrong = match self.is_set() {
            true if has_words => {
                "a data set has its own words: name its folder with --data, and leave out --wording"
                    .to_owned()
            }
            false if self.set_choice().is_any() => format!(
                "`{}` is no published data set: leave out --limit, and what says how a set is read",
                self.name
            ),
            false if self.data.is_some() && self.name != "miniwob" => {
                "--data is the folder of a data set: name folders of pages without it".to_owned()
            }
            _ => return Ok(()),
        };
        Err(usage(wrong))
    }

    /// What of a published data set.
    fn set_choice(&self) -> SetChoice {
        let args = &self.set;
        SetChoice {
            folder: self.data.clone().filter(|_| self.is_set()),
            limit: args.limit,
            box_format: args.bbox_format.map(|format| match format {
                BoxFormatArg::XywhPx => BoxFormat::XywhPx,
                BoxFormatArg::XyxyPx => BoxFormat::XyxyPx,
                BoxFormatArg::XywhNorm => BoxFormat::XywhNorm,
                BoxFormatArg::XyxyNorm => BoxFormat::XyxyNorm,
            }),
            skip_broken: args.skip_broken,
            instruction_style: args.instruction_style.map(|style| match style {
                InstructionStyleArg::Instruction => InstructionStyle::Instruction,
                InstructionStyleArg::Action => InstructionStyle::Action,
                InstructionStyleArg::Description => InstructionStyle::Description,
            }),
            language: args.language.map(|language| match language {
                LanguageArg::En => Language::En,
                LanguageArg::Cn => Language::Cn,
            }),
            gt_type: args.gt_type.map(|gt_type| match gt_type {
                GtTypeArg::Positive => GtType::Positive,
                GtTypeArg::Negative => GtType::Negative,
                GtTypeArg::All => GtType::All,
            }),
            refined: args.refined,
        }
    }

    /// What of MiniWoB++.
    fn choice(&self) -> Choice {
        Choice {
            tasks: self.miniwob.tasks.clone(),
            protocol: match self.miniwob.protocol {
                None | Some(ProtocolArg::Browsergym) => Protocol::Browsergym,
                Some(ProtocolArg::Pix2act) => Protocol::Pix2act,
                Some(ProtocolArg::Seeclick) => Protocol::Seeclick,
            },
            area: self.miniwob.view.map(|view| match view {
                ViewArg::Page => Area::Page,
                ViewArg::Task => Area::Task,
            }),
            pages: self.data.clone(),
        }
    }

    /// Whether the eyes are measured, and not what they are held to.
    fn measures_eyes(&self) -> bool {
        self.is_practice() || self.name == "miniwob" || self.is_set()
    }

    /// The policy alone where it is what is measured.
    fn eyes(&self) -> &str {
        let by_itself = if self.is_practice() || self.is_set() { eyes::POLICY } else { eyes::by_default() };
        self.eyes.as_deref().unwrap_or(by_itself)
    }
}

/// Screenshot pixels per CSS pixel, where the evaluation names them and nobody typed another number.
fn ratio_of(evaluation: &dyn Evaluation, settings: &Settings) -> Option<DevicePixelRatio> {
    evaluation.device_pixel_ratio().filter(|_| !settings.is_typed("device_pixel_ratio"))
}

/// The baselines of MiniWoB++: what clicks earn that look at nothing.
fn click_without_eyes(
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
        "set": set.to_json(all.n as u64),
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
                set.title(all.n as u64),
                record::COMMIT,
                "all",
                all.in_words(),
                lines.collect::<String>()
            )
        }
    });
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

/// The modes, each with its count.
struct Table<'a> {
    settings: &'a Settings,
    min_confidence: f64,
    cancel: &'a Cancel,
    eyes: LoadedEyes,
    driver: Option<WebDriver>,
    modes: Vec<(Mode, Option<Preset>, Tally)>,
    run: Run,
    n_failures: usize,
    evaluation: &'a dyn Evaluation,
}

impl<'a> Table<'a> {
    fn new(
        args: &EvalArgs,
        settings: &'a Settings,
        eyes: LoadedEyes,
        evaluation: &'a dyn Evaluation,
        cancel: &'a Cancel,
    ) -> anyhow::Result<Self> {
        let device_pixel_ratio = ratio_of(evaluation, settings);
        let start = |viewport| browser::start_at(settings, viewport, device_pixel_ratio);
        let mut driver = evaluation.viewport().map(start).transpose()?;
        let by_itself = if args.is_practice() { TurnsArg::Both } else { TurnsArg::Multi };
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
        let modes = wanted.iter().map(|mode| (*mode, preset_of(*mode), Tally::default())).collect();
        let run = if args.record {
            let version = driver.as_mut().map_or_else(|| "no browser".to_owned(), browser::version);
            let record = record::of_run(
                &format!("eval {}", args.name),
                record::of_evaluation(evaluation),
                eyes.record()?,
                settings,
                version,
            );
            record::begin(settings, &format!("eval-{}", args.name), &record, &[], &eyes)?
        } else {
            Run::unrecorded()
        };
        let is_held = !args.measures_eyes() || settings.is_typed("min_confidence");
        let min_confidence = if is_held { settings.min_confidence } else { 0.0 };
        Ok(Self { settings, min_confidence, cancel, eyes, driver, modes, run, n_failures: 0, evaluation })
    }

    /// Plays one item in every mode.
    fn play(&mut self, idx: u64, bar: &ProgressBar) -> anyhow::Result<()> {
        for mode in 0..self.modes.len() {
            if self.cancel.is_set() {
                self.run.interrupt();
                break;
            }
            let clock = Instant::now();
            let played = self.play_in(mode, idx)?;
            if played.episode.ending == EpisodeEnding::Cancelled {
                break;
            }
            let failure = played.episode.error().map(str::to_owned);
            let tally = &mut self.modes[mode].2;
            if played.episode.start.is_some() {
                tally.millis.push(clock.elapsed().as_secs_f64() * 1e3);
            }
            tally.add(played);
            match failure {
                None => self.n_failures = 0,
                Some(message) => self.recover(message)?,
            }
        }
        bar.set_message(self.standing());
        Ok(())
    }

    fn play_in(&mut self, mode: usize, idx: u64) -> Result<Played, PlayError> {
        let (mode, preset, _) = &self.modes[mode];
        let mut agent = Agent {
            eyes: &mut *self.eyes.spoken_to(preset.as_ref()),
            min_confidence: self.min_confidence,
            checks: Checks::Nobody,
            senses: &mut Blind,
            settle_cap: self.settings.settle_cap,
            hands: Hands::Act,
            cancel: self.cancel,
            leash: Leash::default(),
        };
        let labels = [("turns", mode.label())];
        let ratio = ratio_of(self.evaluation, self.settings).unwrap_or(self.settings.device_pixel_ratio);
        let driver = self.driver.as_mut().map(|driver| driver as &mut dyn Driver);
        play(&mut agent, self.evaluation, idx, driver, ratio, &labels, &mut self.run)
    }

    /// A new browser after a failure, unless it fails again and again.
    fn recover(&mut self, message: String) -> anyhow::Result<()> {
        self.n_failures += 1;
        let Some(viewport) = self.evaluation.viewport() else {
            // Items can share a broken picture, which says nothing of the others.
            terminal::note(&format!("a picture failed ({message})"));
            return Ok(());
        };
        if self.n_failures >= MAX_FAILURES_IN_A_ROW {
            anyhow::bail!("{} pages failed in a row, the last one: {message}", self.n_failures);
        }
        terminal::note(&format!("a page failed ({message}); starting the browser again"));
        let ratio = ratio_of(self.evaluation, self.settings);
        self.driver = Some(browser::start_at(self.settings, viewport, ratio)?);
        Ok(())
    }

    fn standing(&self) -> String {
        let rates = self.modes.iter().map(|(mode, _, tally)| {
            let all = ModeResult::new(*mode, tally, self.evaluation).all;
            format!("{} {:.0} %", mode.label(), all.rate * 100.0)
        });
        rates.collect::<Vec<_>>().join(", ")
    }

    /// A line for each item in each mode.
    fn lines(&self) -> String {
        let lines = self.modes.iter().flat_map(|(mode, _, tally)| {
            let played = tally.played.iter().map(|played| lines::played(*mode, played));
            let failed = tally.errors.iter().map(|(item, why)| lines::failed(*mode, item, why));
            played.chain(failed).map(|line| format!("{line}\n"))
        });
        lines.collect()
    }

    /// What each mode did, in the format of the evaluation's own harness, with the names of the files.
    fn reference_outputs(&self) -> Vec<(String, serde_json::Value)> {
        let outputs = self.modes.iter().filter_map(|(mode, _, tally)| {
            let (stem, content) = self.evaluation.reference_output(tally)?;
            let name = match self.modes.len() {
                1 => format!("{stem}.json"),
                _ => format!("{stem}_{}.json", mode.label().replace('-', "_")),
            };
            Some((name, content))
        });
        outputs.collect()
    }

    /// Fits a map on what the first mode answered, and puts it into a file beside the maps of other domains. What it is
    /// worth, in words.
    fn fit(&self, path: &Path, domain: &str) -> anyhow::Result<String> {
        let weights = match &self.eyes {
            LoadedEyes::Reader(_) => reading::sha256(),
            LoadedEyes::Policy(policy, _) => policy.record()?.sha256.ok_or_else(|| {
                usage("--fit-confidence fits a map to weights, and those behind --base-url are unknown")
            })?,
            LoadedEyes::Auto(..) | LoadedEyes::Places => {
                return Err(usage("--fit-confidence fits one pair of eyes: --eyes reader or --eyes policy"));
            }
        };
        let played = self.modes.first().map_or(&[][..], |(.., tally)| &tally.played);
        let group = |played: &Played| {
            let mut values = played.item.values.iter();
            values.find(|(group, _)| *group == "group").map_or_else(String::new, |(_, value)| value.clone())
        };
        let fitted =
            fit(played, domain, &weights, group).context("there is no answer that tells features")?;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "[]".to_owned(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let mut maps: Vec<ConfidenceMap> =
            serde_json::from_str(&text).map_err(|error| usage(format!("`{}`: {error}", path.display())))?;
        let max_size = self.evaluation.viewport().map(|canvas| [canvas.width, canvas.height]);
        let single_turn = self.modes.first().is_some_and(|(mode, ..)| matches!(mode, Mode::SingleTurn));
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

    fn finish(self) -> anyhow::Result<EvaluationResult> {
        let (_, path) = self.run.finish()?;
        if let Some(path) = path {
            terminal::note(&format!("report  {}", write_report(&path)?.display()));
        }
        let evaluation = self.evaluation;
        // An item on which the world failed counts as played: it is among the errors.
        let played = || self.modes.iter().map(|(.., tally)| tally.n());
        let truncated = played().min().unwrap_or(0) < evaluation.n_items();
        let n_played = played().max().unwrap_or(0);
        let longest = self.modes.iter().map(|(.., tally)| &tally.played).max_by_key(|played| played.len());
        let random_clicker = RandomClicker::on(longest.map_or(&[][..], |played| played), evaluation);
        let modes = self.modes.iter().map(|(mode, _, tally)| ModeResult::new(*mode, tally, evaluation));
        let model = self.eyes.record()?;
        Ok(EvaluationResult {
            benchmark: evaluation.id(),
            model: model.name,
            weights_sha256: model.sha256,
            endpoint: model.endpoint,
            command: env::command_line(),
            commit: record::COMMIT.to_owned(),
            set: evaluation.to_json(n_played),
            truncated,
            modes: modes.collect(),
            notes: evaluation.notes(),
            random_clicker,
            title: evaluation.title(n_played),
            n_played,
            groups: evaluation.groups(),
        })
    }
}
