//! Connects to the desktop that the settings describe.

use vigorl_agent::Cancel;
use vigorl_desktop::{AllowedWindows, Brake, DesktopDriver, Options, Session};
use vigorl_interface::{Area, DriverError};

use crate::{env, terminal};

/// The desktop that `DISPLAY` names.
pub(crate) fn start(
    area: &Area,
    allowed_windows: Option<&AllowedWindows>,
) -> Result<DesktopDriver, DriverError> {
    let session = if env::is_wayland() { Session::Wayland } else { Session::X11 };
    let allowed_windows = allowed_windows.cloned();
    DesktopDriver::start(Options { area: area.clone(), allowed_windows, session, ..Options::default() })
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
