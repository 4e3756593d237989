//! Browsers that are used again: a training plays thousands of short episodes, a few at a time, and starts each browser once.
//!
//! Invariants: a browser that is lent remembers nothing of who had it before; one that failed, or in which a world failed, is
//! closed and never lent again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use vigorl_geometry::{Point, Size, Viewport};
use vigorl_interface::{
    Action, Driver, DriverError, Framed, Login, Note, PageState, Screenshot, Settled, StorageState, TabId,
    Trouble,
};
use vigorl_tasks::Failure;
use vigorl_tasks::scripted::{Opened, ScriptedTask, World};
use vigorl_tasks::sources::OpenTask;
use vigorl_webdriver::{Options, WebDriver};

use crate::commands::{browser, sources};
use crate::settings::Settings;

/// All browsers of a command.
#[derive(Debug)]
pub(crate) struct Browsers {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each with its visible area and what else it was started with.
    idle: Vec<(Size<Viewport>, Options, WebDriver)>,
    /// Threads whose worlds have failed since they last gave a browser back.
    failed: HashSet<ThreadId>,
}

impl Browsers {
    /// None is started yet.
    pub(crate) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self { settings: settings.clone(), state: Mutex::default() })
    }

    /// A browser of this visible area, until it is dropped.
    pub(crate) fn lend(self: &Arc<Self>, viewport: Size<Viewport>) -> Result<Lent, Failure> {
        self.lend_with(viewport, Options::headless(1, 1))
    }

    /// One that was started with these options besides.
    fn lend_with(self: &Arc<Self>, viewport: Size<Viewport>, options: Options) -> Result<Lent, Failure> {
        let idle = {
            let State { idle, .. } = &mut *self.state();
            let found = idle.iter().position(|(of, with, _)| *of == viewport && *with == options);
            found.map(|found| idle.swap_remove(found).2)
        };
        let start = || browser::start_with(&self.settings, viewport, options.clone());
        let driver = idle.map_or_else(start, Ok)?;
        Ok(Lent {
            driver: Some(driver),
            viewport,
            options,
            is_sound: true,
            is_logged_in: false,
            owner: Arc::clone(self),
        })
    }

    /// The world of this thread has failed: what it gives back next is closed.
    pub(crate) fn world_failed(&self) {
        self.state().failed.insert(thread::current().id());
    }

    /// Opens tasks in these browsers; desktops as ever.
    #[cfg_attr(
        not(feature = "training"),
        expect(dead_code, reason = "only a training opens its tasks in them")
    )]
    pub(crate) fn opener(self: &Arc<Self>) -> Arc<OpenTask> {
        let (browsers, others) = (Arc::clone(self), sources::opener(&self.settings));
        Arc::new(move |task: &ScriptedTask| match task.start.driver {
            World::Web => {
                let viewport = task.start.viewport.unwrap_or(browsers.settings.viewport);
                let options = browser::options_for(&browsers.settings, &task.start)?;
                let mut lent = browsers.lend_with(viewport, options)?;
                let version = lent.driver.as_mut().map(browser::version).unwrap_or_default();
                Ok(Opened { driver: Box::new(lent), version })
            }
            World::Desktop => others(task),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A browser that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lent {
    /// There until it is given back.
    driver: Option<WebDriver>,
    viewport: Size<Viewport>,
    options: Options,
    is_sound: bool,
    /// Whether it remembers a login: then nobody else gets it.
    is_logged_in: bool,
    owner: Arc<Browsers>,
}

impl Lent {
    fn ask<T>(
        &mut self,
        what: impl FnOnce(&mut WebDriver) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let Some(driver) = &mut self.driver else { unreachable!("it is there until it is dropped") };
        let said = what(driver);
        self.is_sound &= match &said {
            Ok(_) => true,
            Err(error) => !matches!(
                error,
                DriverError::Deadline { .. } | DriverError::Gone { .. } | DriverError::Start { .. }
            ),
        };
        said
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let has_failed = self.owner.state().failed.remove(&thread::current().id());
        let Some(mut driver) = self.driver.take() else { return };
        let is_free = self.is_sound && !self.is_logged_in;
        if is_free && !has_failed && !thread::panicking() && driver.forget().is_ok() {
            self.owner.state().idle.push((self.viewport, self.options.clone(), driver));
        }
    }
}

impl Driver for Lent {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        self.ask(WebDriver::screenshot)
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        self.ask(|driver| driver.act(action))
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        self.ask(|driver| driver.settle(cap))
    }

    fn settled_screenshot(&mut self, cap: Duration) -> Result<(Settled, Screenshot), DriverError> {
        self.ask(|driver| driver.settled_screenshot(cap))
    }

    fn note(&self) -> Note {
        self.driver.as_ref().map_or_else(Note::default, Driver::note)
    }

    fn troubles(&mut self) -> Vec<Trouble> {
        self.driver.as_mut().map_or_else(Vec::new, Driver::troubles)
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        self.ask(WebDriver::page_state)
    }

    fn evaluate(&mut self, script: &str) -> Result<String, DriverError> {
        self.ask(|driver| driver.evaluate(script))
    }

    fn evaluate_in_frames(&mut self, script: &str) -> Result<Vec<Framed>, DriverError> {
        self.ask(|driver| driver.evaluate_in_frames(script))
    }

    fn evaluate_at(&mut self, at: Point<Viewport>, script: &str) -> Result<Framed, DriverError> {
        self.ask(|driver| driver.evaluate_at(at, script))
    }

    fn reacts_at(&mut self, at: Point<Viewport>) -> Result<Option<bool>, DriverError> {
        self.ask(|driver| driver.reacts_at(at))
    }

    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        self.ask(WebDriver::tabs)
    }

    fn forget(&mut self) -> Result<(), DriverError> {
        self.ask(WebDriver::forget)
    }

    fn storage(&mut self) -> Result<StorageState, DriverError> {
        self.ask(WebDriver::storage)
    }

    fn restore(&mut self, state: &StorageState) -> Result<(), DriverError> {
        self.ask(|driver| driver.restore(state))
    }

    fn log_in(&mut self, url: &str, login: &Login) -> Result<(), DriverError> {
        self.is_logged_in = true;
        self.ask(|driver| driver.log_in(url, login))
    }

    fn clipboard(&mut self) -> Result<String, DriverError> {
        self.ask(WebDriver::clipboard)
    }

    fn downloads(&self) -> Option<PathBuf> {
        self.driver.as_ref().and_then(Driver::downloads)
    }

    fn wheel_step_px(&self) -> f64 {
        self.driver.as_ref().map_or(1.0, Driver::wheel_step_px)
    }
}
