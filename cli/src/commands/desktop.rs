//! Connects to the desktop that the settings describe.

use vigorl_desktop::{DesktopDriver, Options, Session};
use vigorl_interface::{Area, DriverError};

use crate::env;

/// The desktop that `DISPLAY` names.
pub(crate) fn start(area: &Area) -> Result<DesktopDriver, DriverError> {
    let session = if env::is_wayland() { Session::Wayland } else { Session::X11 };
    DesktopDriver::start(Options { area: area.clone(), session, ..Options::default() })
}

/// What the desktop is, for records.
pub(crate) fn version() -> String {
    format!("X11 display {}", env::display().unwrap_or_default())
}
