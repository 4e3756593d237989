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
    Action, Driver, DriverError, Framed, Note, PageState, Screenshot, Settled, StorageState, TabId, Trouble,
};
use vigorl_tasks::Failure;
use vigorl_tasks::scripted::{Opened, ScriptedTask, World};
use vigorl_tasks::sources::OpenTask;
use vigorl_webdriver::WebDriver;

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
    idle: Vec<(Size<Viewport>, WebDriver)>,
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
        let idle = {
            let State { idle, .. } = &mut *self.state();
            let found = idle.iter().position(|(of, _)| *of == viewport);
            found.map(|found| idle.swap_remove(found).1)
        };
        let driver = idle.map_or_else(|| browser::start(&self.settings, viewport), Ok)?;
        Ok(Lent { driver: Some(driver), viewport, is_sound: true, owner: Arc::clone(self) })
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
                let mut lent = browsers.lend(task.start.viewport.unwrap_or(browsers.settings.viewport))?;
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
    is_sound: bool,
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
        if self.is_sound && !has_failed && !thread::panicking() && driver.forget().is_ok() {
            self.owner.state().idle.push((self.viewport, driver));
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
