//! A browser whose page a test writes itself: what is found in it, and what holds there.

use std::time::Duration;

use vigorl_geometry::{Point, Screen};
use vigorl_interface::{Action, Driver};
use vigorl_tasks::scripted::{Check, Clause, Cure, Place, Purpose, Scene, Surroundings};
use vigorl_tasks::{Allowance, Blind};
use vigorl_webdriver::{Options, WebDriver};

/// The browser.
pub(crate) struct Page(pub(crate) WebDriver);

/// What is said of a place that is nowhere, and what may help.
pub(crate) type Refused = (String, Cure);

impl Page {
    /// A browser that shows nothing yet, in a viewport of `width` x `height` CSS pixels.
    pub(crate) fn start(width: u32, height: u32) -> Self {
        Self(WebDriver::start(Options::headless(width, height)).unwrap())
    }

    /// Shows a page whose body is `html`, without a margin.
    pub(crate) fn show(&mut self, html: &str) {
        let whole = format!("<!doctype html><meta charset=utf-8><body style='margin:0'>{html}");
        let encoded: String = whole.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.0.act(&Action::Navigate { url: format!("data:text/html,{encoded}") }).unwrap();
        self.0.settle(Duration::from_secs(2)).unwrap();
    }

    /// Where somebody who acts there would aim, or why nowhere.
    pub(crate) fn aim_at(&mut self, place: &Place) -> Result<Point<Screen>, Refused> {
        let screenshot = self.0.screenshot().unwrap();
        let found = place.aim(Some(&mut self.0), &mut Blind, &screenshot, Purpose::Act).unwrap();
        found.map(|part| part.center()).map_err(|absence| (absence.reason, absence.cure))
    }

    /// Whether a clause holds in the page.
    pub(crate) fn verify(&mut self, clause: &Clause) -> Check {
        let surroundings = Surroundings::default();
        let mut scene = Scene {
            driver: &mut self.0,
            surroundings: &surroundings,
            senses: &mut Blind,
            allowance: Allowance::UNLIMITED,
        };
        clause.verify(&mut scene).unwrap()
    }
}
