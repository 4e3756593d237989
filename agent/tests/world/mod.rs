//! A world in memory: one box that turns green when it is clicked. For tests only.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use image::{Rgb, RgbImage};
use vigorl_agent::{Judge, Verdict, Verification};
use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{Action, Driver, DriverError, PageState, Screenshot, Settled, TabId};

/// Where the box is.
pub(crate) const BOX: [u32; 4] = [120, 40, 140, 60];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The browser dies when it is asked to act.
    GoneOnAct,
    /// A click opens a dialog.
    DialogOnAct,
    /// The page never becomes quiet.
    Restless,
    /// A dialog is open from the start.
    DialogFromStart,
}

/// The driver.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// What was done.
    pub(crate) acts: Vec<Action>,
    /// How often the screen was captured.
    pub(crate) n_screenshots: usize,
    green: bool,
    dialog: Option<String>,
}

impl Fake {
    /// A world with a fault.
    pub(crate) fn with(fault: Fault) -> Self {
        let dialog = (fault == Fault::DialogFromStart).then(|| "Leave?".to_owned());
        Self { fault, dialog, ..Self::default() }
    }
}

impl Driver for Fake {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        if let Some(text) = self.dialog.clone() {
            return Err(DriverError::DialogOpen { text });
        }
        self.n_screenshots += 1;
        let fill = if self.green { Rgb([20, 160, 80]) } else { Rgb([40, 80, 220]) };
        let pixels = RgbImage::from_fn(200, 100, |x, y| {
            let inside = x >= BOX[0] && y >= BOX[1] && x < BOX[2] && y < BOX[3];
            if inside { fill } else { Rgb([255, 255, 255]) }
        });
        let device_pixel_ratio = DevicePixelRatio::new(1.0).unwrap();
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        if self.fault == Fault::GoneOnAct {
            return Err(DriverError::Gone { what: "browser", detail: "connection refused".to_owned() });
        }
        self.acts.push(action.clone());
        if let Action::Click { at, .. } = action {
            let [l, t, r, b] = BOX.map(f64::from);
            self.green |= Rect::<Screen>::new(l, t, r, b).contains(*at);
            if self.fault == Fault::DialogOnAct {
                self.dialog = Some("Are you sure?".to_owned());
            }
        }
        Ok(())
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        Ok(match self.fault {
            Fault::Restless => Settled::Capped { after: cap },
            _ => Settled::Quiet { after: Duration::ZERO },
        })
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        let url = Some("fake:one".to_owned());
        Ok(PageState { url, title: Some("one".to_owned()), dialog: self.dialog.clone() })
    }

    fn evaluate(&mut self, _script: &str) -> Result<String, DriverError> {
        Ok(self.green.to_string())
    }

    fn answer_dialog(&mut self, _accept: bool, _text: Option<&str>) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "answer dialogs" })
    }

    fn open_tab(&mut self) -> Result<TabId, DriverError> {
        Err(DriverError::Unsupported { what: "open tabs" })
    }

    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        Err(DriverError::Unsupported { what: "list tabs" })
    }

    fn switch_tab(&mut self, _tab: &TabId) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "switch tabs" })
    }

    fn close_tab(&mut self) -> Result<(), DriverError> {
        Err(DriverError::Unsupported { what: "close tabs" })
    }
}

/// Satisfied when the box is green.
#[derive(Debug)]
pub(crate) struct IsGreen;

impl Judge for IsGreen {
    fn judge(&mut self, driver: &mut dyn Driver) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        let green = driver.evaluate("green")? == "true";
        let verification = if green { Verification::Satisfied } else { Verification::Unsatisfied };
        Ok(Verdict { verification, reward: Some(f64::from(u8::from(green))), detail: None })
    }
}

/// The middle of the box.
pub(crate) fn middle() -> Point<Screen> {
    Point::new(130.0, 50.0)
}
