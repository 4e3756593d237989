//! A window on the desktop that tells where it was clicked, for calibration.
//!
//! Invariant: a click is told where the X server says that it arrived, not where it was meant.

use vigorl_agent::calibration::Target;
use vigorl_desktop::{DesktopDriver, EchoWindow, Seen};
use vigorl_geometry::{Rect, Screen};
use vigorl_interface::conformance::Echo;
use vigorl_interface::{Driver, DriverError};

/// A window over the whole area that tells where it was clicked.
#[derive(Debug)]
pub(super) struct Window {
    echo: EchoWindow,
}

impl Window {
    pub(super) fn open(driver: &mut DesktopDriver) -> Result<Self, DriverError> {
        Ok(Self { echo: EchoWindow::open(driver.place()?)? })
    }
}

impl Target for Window {
    fn last_hit(&mut self, _driver: &mut dyn Driver) -> Result<Option<Rect<Screen>>, DriverError> {
        let seen = self.echo.take(drop)?;
        let pressed = seen.into_iter().rev().find_map(|seen| match seen {
            Seen::Pointer(Echo::Pressed { at, .. }) => Some(at),
            _ => None,
        });
        Ok(pressed.map(|at| Rect::new(at.x, at.y, at.x + 1.0, at.y + 1.0)))
    }
}
