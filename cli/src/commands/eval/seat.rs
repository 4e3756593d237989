//! Who plays the items of an evaluation: eyes, and a browser where one is needed.
//!
//! Invariant: an item is played alike whoever plays it and whatever was played before: its world is reset, and its draw has a
//! seed of its own.

use std::ops::ControlFlow;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use vigorl_agent::{Agent, Cancel, Checks, Ending as EpisodeEnding, Hands, Leash};
use vigorl_benchmarks::runner::Player;
use vigorl_benchmarks::{Evaluation, Key, Line, Mode, PlayError, Played, play};
use vigorl_interface::Driver;
use vigorl_policy::{GroundObserver, Preset, ground};
use vigorl_runs::Run;
use vigorl_tasks::Blind;
use vigorl_webdriver::WebDriver;

use super::ratio_of;
use crate::commands::browser;
use crate::exit;
use crate::eyes::LoadedEyes;
use crate::settings::Settings;
use crate::terminal;

/// After so many pages in a row on which the world failed, nothing useful will come any more.
const MAX_FAILURES_IN_A_ROW: usize = 5;

/// What all seats share.
pub(super) struct Room<'a> {
    pub(super) evaluation: &'a dyn Evaluation,
    pub(super) settings: &'a Settings,
    pub(super) min_confidence: f64,
    pub(super) cancel: &'a Cancel,
    /// How the policy is spoken to in each mode.
    pub(super) modes: Vec<(Mode, Option<Preset>)>,
    /// Begins the record of the episodes, told the browser's version; only where there is one seat.
    pub(super) begin_run: Option<BeginRun<'a>>,
    pub(super) run: OnceLock<Mutex<Run>>,
}

type BeginRun<'a> = &'a (dyn Fn(String) -> anyhow::Result<Run> + Sync);

/// A thread that plays.
pub(super) struct Seat<'a> {
    room: &'a Room<'a>,
    eyes: LoadedEyes,
    driver: Option<WebDriver>,
    n_failures: usize,
}

impl<'a> Room<'a> {
    pub(super) fn seat(&'a self, eyes: LoadedEyes) -> anyhow::Result<Seat<'a>> {
        let mut seat = Seat { room: self, eyes, driver: None, n_failures: 0 };
        seat.start_browser()?;
        if let Some(begin) = self.begin_run {
            let version = seat.driver.as_mut().map_or_else(|| "no browser".to_owned(), browser::version);
            let run = begin(version)?;
            self.run.get_or_init(|| Mutex::new(run));
        }
        Ok(seat)
    }
}

impl Player for Seat<'_> {
    type Error = anyhow::Error;

    fn play(&mut self, turn: Key) -> anyhow::Result<Option<Line>> {
        if self.room.cancel.is_set() {
            return Ok(None);
        }
        let clock = Instant::now();
        if self.room.evaluation.is_in_words() {
            return self.ask(turn, clock);
        }
        let played = self.play_turn(turn)?;
        if played.episode.ending == EpisodeEnding::Cancelled {
            return Ok(None);
        }
        let line = Line::of(&played, turn.mode, turn.draw, turn.item, clock.elapsed());
        match played.episode.error() {
            None => self.n_failures = 0,
            Some(message) => self.recover(message, played.episode.start.is_some())?,
        }
        Ok(Some(line))
    }
}

impl Seat<'_> {
    fn play_turn(&mut self, turn: Key) -> Result<Played, PlayError> {
        let Room { evaluation, settings, min_confidence, cancel, modes, run, .. } = self.room;
        let preset =
            modes.iter().find(|(mode, _)| *mode == turn.mode).and_then(|(_, preset)| preset.as_ref());
        self.eyes.with_seed(settings.seed.wrapping_add(turn.draw));
        let mut agent = Agent {
            eyes: &mut *self.eyes.spoken_to(preset),
            min_confidence: *min_confidence,
            checks: Checks::Nobody,
            senses: &mut Blind,
            settle_cap: settings.settle_cap,
            hands: Hands::Act,
            cancel,
            leash: Leash::default(),
        };
        let labels = [("turns", turn.mode.label())];
        let ratio = ratio_of(*evaluation, settings).unwrap_or(settings.device_pixel_ratio);
        let driver = self.driver.as_mut().map(|driver| driver as &mut dyn Driver);
        let played = |run: &mut Run| play(&mut agent, *evaluation, turn.item, driver, ratio, &labels, run);
        match run.get() {
            Some(run) => {
                let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
                let played = played(&mut run);
                if cancel.is_set() {
                    run.interrupt();
                }
                played
            }
            None => played(&mut Run::unrecorded()),
        }
    }

    /// Asks a question that is answered in words.
    fn ask(&mut self, turn: Key, clock: Instant) -> anyhow::Result<Option<Line>> {
        let Room { evaluation, settings, cancel, modes, .. } = self.room;
        let item = evaluation.item(turn.item).map_err(|error| anyhow::anyhow!("{error}"))?;
        let preset =
            modes.iter().find(|(mode, _)| *mode == turn.mode).and_then(|(_, preset)| preset.as_ref());
        self.eyes.with_seed(settings.seed.wrapping_add(turn.draw));
        let at = (turn.mode, turn.draw, turn.item);
        let asked = match evaluation.in_words(turn.item) {
            Ok(asked) => asked.context("a question is asked in words")?,
            Err(error) => {
                terminal::note(&format!("a picture failed ({error})"));
                return Ok(Some(Line::in_words(&item, "", Err(&error.to_string()), at, clock.elapsed())));
            }
        };
        let policy = self.eyes.policy_mut().context("questions are answered by a policy")?;
        let vigorl_agent::PolicyEyes { policy, preset, sampling, .. } = policy.spoken_to(preset);
        let said = ground(policy, &asked.picture, &*asked.question, preset, sampling, &mut Until(cancel));
        let said = match &said {
            Ok(said) if said.cancelled => return Ok(None),
            Ok(said) => {
                self.n_failures = 0;
                Ok(said)
            }
            Err(error) => {
                let why = exit::chain(&anyhow::Error::msg(error.to_string()));
                self.n_failures += 1;
                if self.n_failures >= MAX_FAILURES_IN_A_ROW {
                    anyhow::bail!("{} questions failed in a row, the last one: {why}", self.n_failures);
                }
                terminal::note(&format!("a question failed ({why})"));
                Err(why)
            }
        };
        let said = said.as_ref().map(|said| *said).map_err(String::as_str);
        Ok(Some(Line::in_words(&item, &asked.truth, said, at, clock.elapsed())))
    }

    /// What comes behind a failure: a new browser, or the next picture, unless it fails again and again.
    fn recover(&mut self, message: &str, has_begun: bool) -> anyhow::Result<()> {
        if self.driver.is_none() && !has_begun {
            // Items can share a broken picture, which says nothing of the others.
            terminal::note(&format!("a picture failed ({message})"));
            return Ok(());
        }
        self.n_failures += 1;
        let what = if self.driver.is_some() { "pages" } else { "items" };
        if self.n_failures >= MAX_FAILURES_IN_A_ROW {
            anyhow::bail!("{} {what} failed in a row, the last one: {message}", self.n_failures);
        }
        if self.driver.is_none() {
            terminal::note(&format!("an item failed ({message})"));
            return Ok(());
        }
        terminal::note(&format!("a page failed ({message}); starting the browser again"));
        self.start_browser()
    }

    fn start_browser(&mut self) -> anyhow::Result<()> {
        let Room { evaluation, settings, .. } = self.room;
        let start = |viewport| browser::start_at(settings, viewport, ratio_of(*evaluation, settings));
        self.driver = evaluation.viewport().map(start).transpose()?;
        Ok(())
    }
}

/// Breaks a conversation off when the command is.
struct Until<'c>(&'c Cancel);

impl GroundObserver for Until<'_> {
    fn turn_started(&mut self, _turn_idx: usize, _forced: bool) -> ControlFlow<()> {
        self.text("")
    }

    fn text(&mut self, _piece: &str) -> ControlFlow<()> {
        if self.0.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
