//! `vigorl eval NAME`: success by the groups of an evaluation, several modes on the same live items.

use std::time::Instant;

use anyhow::Context as _;
use indicatif::ProgressBar;
use vigorl_agent::{Agent, Cancel, Checks, Ending as EpisodeEnding, Hands, Leash, PolicyEyes};
use vigorl_benchmarks::{
    EVALUATIONS, Evaluation, EvaluationResult, Mode, ModeResult, PlayError, Played, RandomClicker, Tally,
    Wanted, play,
};
use vigorl_files::write_whole;
use vigorl_policy::{Preset, Turns};
use vigorl_report::write_report;
use vigorl_runs::Run;
use vigorl_tasks::Blind;
use vigorl_tasks::practice::Split;
use vigorl_webdriver::WebDriver;

use crate::args::{EvalArgs, TurnsArg};
use crate::commands::{Form, browser, pages, pretty};
use crate::exit::{Ending, usage};
use crate::model::LoadedPolicy;
use crate::settings::Settings;
use crate::{env, interrupt, model, record, terminal};

/// After so many pages in a row on which the world failed, nothing useful will come any more.
const MAX_FAILURES_IN_A_ROW: usize = 5;

/// Measures and prints the table.
pub(crate) fn eval(args: &EvalArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let evaluation = open(args, settings)?;
    if args.record {
        record::check_output(settings)?;
    }
    let eyes = model::load(settings)?;
    let mut table = Table::new(args, settings, eyes, &*evaluation, &cancel)?;
    let bar = terminal::bar(evaluation.n_items(), "pages");
    for idx in 0..evaluation.n_items() {
        if cancel.is_set() {
            break;
        }
        table.play(idx, &bar)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let result = table.finish()?;
    let json = serde_json::to_value(&result)?;
    if let Some(path) = &args.result {
        write_whole(path, pretty(&json).as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => result.table(),
    });
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

/// The evaluation of that name.
fn open(args: &EvalArgs, settings: &Settings) -> anyhow::Result<Box<dyn Evaluation>> {
    let named = EVALUATIONS.iter().find(|named| named.name == args.name).context("no such evaluation")?;
    if args.name != "practice" && args.pages.is_any() {
        return Err(usage(format!(
            "`{}` has no practice pages: leave out what says how they are",
            args.name
        )));
    }
    let first_page = pages::first_page(&args.pages, settings, Split::HeldOut)?;
    let n = args.episodes.unwrap_or(named.n_default);
    (named.open)(&Wanted { n, seed: settings.seed, first_page }).map_err(usage)
}

/// The modes, each with its count.
struct Table<'a> {
    settings: &'a Settings,
    cancel: &'a Cancel,
    eyes: LoadedPolicy,
    driver: WebDriver,
    modes: Vec<(Mode, Preset, Tally)>,
    run: Run,
    n_failures: usize,
    evaluation: &'a dyn Evaluation,
}

impl<'a> Table<'a> {
    fn new(
        args: &EvalArgs,
        settings: &'a Settings,
        eyes: LoadedPolicy,
        evaluation: &'a dyn Evaluation,
        cancel: &'a Cancel,
    ) -> anyhow::Result<Self> {
        let mut driver = browser::start(settings, evaluation.viewport())?;
        let wanted: &[Mode] = match args.turns.unwrap_or(TurnsArg::Both) {
            TurnsArg::Multi => &[Mode::MultiTurn],
            TurnsArg::Single => &[Mode::SingleTurn],
            TurnsArg::Both => &[Mode::MultiTurn, Mode::SingleTurn],
        };
        let preset_of = |mode: Mode| {
            let preset = eyes.preset.clone();
            match mode {
                Mode::MultiTurn => Preset { turns: Turns::Multi, ..preset },
                Mode::SingleTurn => preset.without_zooms(),
            }
        };
        let modes = wanted.iter().map(|mode| (*mode, preset_of(*mode), Tally::default())).collect();
        let run = if args.record {
            let version = browser::version(&mut driver);
            let record = record::of_run(
                &format!("eval {}", args.name),
                record::of_evaluation(evaluation),
                eyes.record()?,
                settings,
                version,
            );
            Run::recorded(&settings.output_dir, &format!("eval-{}", args.name), &record, &[])?
        } else {
            Run::unrecorded()
        };
        Ok(Self { settings, cancel, eyes, driver, modes, run, n_failures: 0, evaluation })
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
        let (policy, sampling) = (&mut self.eyes.policy, &self.eyes.sampling);
        let mut agent = Agent {
            eyes: &mut PolicyEyes { policy, preset, sampling },
            checks: Checks::Nobody,
            senses: &mut Blind,
            settle_cap: self.settings.settle_cap,
            hands: Hands::Act,
            cancel: self.cancel,
            leash: Leash::default(),
        };
        let labels = [("turns", mode.label())];
        let ratio = self.settings.device_pixel_ratio;
        play(&mut agent, self.evaluation, idx, &mut self.driver, ratio, &labels, &mut self.run)
    }

    /// A new browser after a failure, unless it fails again and again.
    fn recover(&mut self, message: String) -> anyhow::Result<()> {
        self.n_failures += 1;
        if self.n_failures >= MAX_FAILURES_IN_A_ROW {
            anyhow::bail!("{} pages failed in a row, the last one: {message}", self.n_failures);
        }
        terminal::note(&format!("a page failed ({message}); starting the browser again"));
        self.driver = browser::start(self.settings, self.evaluation.viewport())?;
        Ok(())
    }

    fn standing(&self) -> String {
        let rates = self.modes.iter().map(|(mode, _, tally)| {
            let all = ModeResult::new(*mode, tally, self.evaluation).all;
            format!("{} {:.0} %", mode.label(), all.rate * 100.0)
        });
        rates.collect::<Vec<_>>().join(", ")
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
            command: env::command_line(),
            commit: record::COMMIT.to_owned(),
            set: evaluation.to_json(n_played),
            truncated,
            modes: modes.collect(),
            random_clicker,
            title: evaluation.title(n_played),
            n_played,
            groups: evaluation.groups(),
        })
    }
}
