//! The desktop driver: the same hands and camera as in the browser, for whatever stands on the screen.
//!
//! Invariants: every position passes through the map of the capture it was found on; what an action presses it
//! releases in the same request to the display server (a drag has somebody else who would), so that no death of this
//! program leaves a key or a button down; input meant for one window never reaches another.
//!
//! Start with [`DesktopDriver::start`]. X11 is what is used and tested. macOS and Windows go through xcap and enigo and
//! are checked by the compiler alone; on Wayland starting is refused with a typed error.

mod checks;
#[cfg(target_os = "linux")]
mod driver;
mod manager;
#[cfg(not(target_os = "linux"))]
mod native;
mod options;
#[cfg(target_os = "linux")]
mod worker;
#[cfg(target_os = "linux")]
mod x11;

#[cfg(target_os = "linux")]
pub use driver::DesktopDriver;
#[cfg(not(target_os = "linux"))]
pub use native::DesktopDriver;
pub use options::{Options, Session};
#[cfg(target_os = "linux")]
pub use x11::{Brake, EchoWindow, KeyEcho, Person, PersonInput, Seen};
