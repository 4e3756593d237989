//! What can be chosen when the driver is started.

use std::time::Duration;

use vigorl_interface::{AllowedWindows, Area};

/// Which kind of desktop this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// The display that `DISPLAY` names.
    X11,
    /// Not supported.
    Wayland,
}

/// How the driver is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is captured, and where input may go.
    pub area: Area,
    /// The only windows that input may reach, within the area; `None` allows all.
    pub allowed_windows: Option<AllowedWindows>,
    /// Which kind of desktop this is.
    pub session: Session,
    /// Screenshot pixels that one click of the wheel stands for: the desktop knows no smaller distance, and what an
    /// application makes of it is its own.
    pub wheel_step_px: u32,
    /// How long nothing may change until the screen counts as quiet.
    pub quiet: Duration,
    /// Longest wait for the answer to one request.
    pub deadline: Duration,
}

impl Default for Options {
    /// The whole screen of an X11 display, quiet after 60 ms, 10 s for each request.
    fn default() -> Self {
        Self {
            area: Area::Screen,
            allowed_windows: None,
            session: Session::X11,
            wheel_step_px: 60,
            quiet: Duration::from_millis(60),
            deadline: Duration::from_secs(10),
        }
    }
}
