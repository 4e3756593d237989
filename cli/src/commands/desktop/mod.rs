//! The desktop that the settings describe: everything of this program that needs the desktop driver.
//!
//! Invariant: `desktop_absent.rs` has the same functions, for a program without the driver, and each of them fails.

mod counter;
mod person;
mod window;

use vigorl_agent::Cancel;
use vigorl_agent::calibration::{Calibration, calibrate};
use vigorl_desktop::{DesktopDriver, Options, Session};
use vigorl_interface::{AllowedWindows, Area, Driver, DriverError};

use crate::{env, terminal};

pub(crate) use counter::Counter;
pub(crate) use person::record;
pub(crate) use vigorl_desktop::Brake;

/// The desktop that `DISPLAY` names.
pub(crate) fn start(
    area: &Area,
    allowed_windows: Option<&AllowedWindows>,
) -> Result<Box<dyn Driver>, DriverError> {
    Ok(Box::new(connect(area, allowed_windows)?))
}

fn connect(area: &Area, allowed_windows: Option<&AllowedWindows>) -> Result<DesktopDriver, DriverError> {
    let session = if env::is_wayland() { Session::Wayland } else { Session::X11 };
    let allowed_windows = allowed_windows.cloned();
    DesktopDriver::start(Options { area: area.clone(), allowed_windows, session, ..Options::default() })
}

/// Clicks known places of a window that covers the area and tells where it was clicked.
pub(crate) fn calibration(area: &Area) -> Result<Calibration, DriverError> {
    let mut driver = connect(area, None)?;
    let mut window = window::Window::open(&mut driver)?;
    calibrate(&mut driver, &mut window)
}

/// A desktop whose area a window covers in which something moves at every click.
pub(crate) fn with_counter(area: &Area) -> Result<(Box<dyn Driver>, Counter), DriverError> {
    let mut driver = connect(area, None)?;
    let counter = Counter::open(&mut driver)?;
    Ok((Box::new(driver), counter))
}

/// Lets a person stop the run from the keyboard, whatever window has it.
pub(crate) fn brake(cancel: &Cancel) -> Result<Brake, DriverError> {
    let cancel = cancel.clone();
    let brake = Brake::watch(move || {
        cancel.set();
        terminal::note("stopped: Escape was held");
    })?;
    terminal::note(Brake::HOW);
    Ok(brake)
}

/// What the desktop is, for records.
pub(crate) fn version() -> String {
    format!("X11 display {}", env::display().unwrap_or_default())
}
