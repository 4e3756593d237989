//! `vigorl eval practice`: success by kind and size, several modes on the same live pages.

use std::time::Instant;

use anyhow::Context as _;
use indicatif::ProgressBar;
use vigorl_agent::{Agent, Cancel, Checks, Ending as EpisodeEnding, Hands, Leash, PolicyEyes};
use vigorl_benchmarks::{
    Mode, ModeResult, PRACTICE_ID, PlayError, PracticeEpisode, PracticeResult, PracticeSet, RandomClicker,
    Tally, play_practice,
};
use vigorl_geometry::{Size, Viewport};
use vigorl_policy::{Preset, Turns};
use vigorl_report::write_report;
use vigorl_runs::Run;
use vigorl_tasks::Blind;
use vigorl_tasks::practice::{PageSpec, Split};
use vigorl_webdriver::WebDriver;

use crate::args::{EvalPracticeArgs, TurnsArg};
use crate::commands::{Form, browser, pages, pretty};
use crate::exit::Ending;
use crate::model::LoadedPolicy;
use crate::settings::Settings;
use crate::{env, interrupt, model, record, terminal};

/// Pages, unless said otherwise.
const EPISODES: u64 = 500;
/// After so many pages in a row on which the world failed, nothing useful will come any more.
const MAX_FAILURES_IN_A_ROW: usize = 5;

/// Measures and prints the table.
pub(crate) fn practice(args: &EvalPracticeArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let first = pages::first_page(&args.pages, settings, Split::HeldOut)?;
    let set = pages::set(first, args.episodes.unwrap_or(EPISODES))?;
    if args.record {
        record::check_output(settings)?;
    }
    let eyes = model::load(settings)?;
    let mut table = Table::new(args, settings, eyes, &set, &cancel)?;
    let bar = terminal::bar(set.n_episodes, "pages");
    for spec in set.specs() {
        if cancel.is_set() {
            break;
        }
        table.play(&spec, &bar)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let result = table.finish(set)?;
    let json = serde_json::to_value(&result)?;
    if let Some(path) = &args.result {
        std::fs::write(path, pretty(&json)).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json),
        Form::Text => result.table(),
    });
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
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
    viewport: Size<Viewport>,
}

impl<'a> Table<'a> {
    fn new(
        args: &EvalPracticeArgs,
        settings: &'a Settings,
        eyes: LoadedPolicy,
        set: &PracticeSet,
        cancel: &'a Cancel,
    ) -> anyhow::Result<Self> {
        let viewport = pages::viewport(&set.first);
        let mut driver = browser::start(settings, viewport)?;
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
                "eval practice",
                record::of_pages(set),
                eyes.record.clone(),
                settings,
                version,
            );
            Run::recorded(&settings.output_dir, "eval-practice", &record, &[])?
        } else {
            Run::unrecorded()
        };
        Ok(Self { settings, cancel, eyes, driver, modes, run, n_failures: 0, viewport })
    }

    /// Plays one page in every mode.
    fn play(&mut self, spec: &PageSpec, bar: &ProgressBar) -> anyhow::Result<()> {
        for idx in 0..self.modes.len() {
            if self.cancel.is_set() {
                self.run.interrupt();
                break;
            }
            let clock = Instant::now();
            let episode = self.play_in(idx, spec)?;
            if episode.outcome.ending == EpisodeEnding::Cancelled {
                break;
            }
            let failure = episode.outcome.error().map(str::to_owned);
            let tally = &mut self.modes[idx].2;
            if episode.outcome.start.is_some() {
                tally.millis.push(clock.elapsed().as_secs_f64() * 1e3);
                tally.n_zooms += episode.outcome.n_zooms();
            }
            tally.add(episode);
            match failure {
                None => self.n_failures = 0,
                Some(message) => self.recover(message)?,
            }
        }
        bar.set_message(self.standing());
        Ok(())
    }

    fn play_in(&mut self, idx: usize, spec: &PageSpec) -> Result<PracticeEpisode, PlayError> {
        let (mode, preset, _) = &self.modes[idx];
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
        play_practice(&mut agent, &mut self.driver, spec, ratio, &labels, &mut self.run)
    }

    /// A new browser after a failure, unless it fails again and again.
    fn recover(&mut self, message: String) -> anyhow::Result<()> {
        self.n_failures += 1;
        if self.n_failures >= MAX_FAILURES_IN_A_ROW {
            anyhow::bail!("{} pages failed in a row, the last one: {message}", self.n_failures);
        }
        terminal::note(&format!("a page failed ({message}); starting the browser again"));
        self.driver = browser::start(self.settings, self.viewport)?;
        Ok(())
    }

    fn standing(&self) -> String {
        let rates = self.modes.iter().map(|(mode, _, tally)| {
            let all = ModeResult::new(*mode, tally).all;
            format!("{} {:.0} %", mode.label(), all.rate * 100.0)
        });
        rates.collect::<Vec<_>>().join(", ")
    }

    fn finish(self, set: PracticeSet) -> anyhow::Result<PracticeResult> {
        let (_, path) = self.run.finish()?;
        if let Some(path) = path {
            terminal::note(&format!("report  {}", write_report(&path)?.display()));
        }
        // A page on which the world failed counts as played: it is among the errors.
        let played =
            || self.modes.iter().map(|(.., tally)| (tally.episodes.len() + tally.errors.len()) as u64);
        let truncated = played().min().unwrap_or(0) < set.n_episodes;
        let set = PracticeSet { n_episodes: played().max().unwrap_or(0), ..set };
        let longest =
            self.modes.iter().map(|(.., tally)| &tally.episodes).max_by_key(|episodes| episodes.len());
        let random_clicker = RandomClicker::on(longest.map_or(&[][..], |episodes| episodes));
        Ok(PracticeResult {
            benchmark: PRACTICE_ID,
            model: self.eyes.record.name,
            weights_sha256: self.eyes.record.sha256,
            command: env::command_line(),
            commit: record::COMMIT.to_owned(),
            set,
            truncated,
            modes: self.modes.iter().map(|(mode, _, tally)| ModeResult::new(*mode, tally)).collect(),
            random_clicker,
        })
    }
}
