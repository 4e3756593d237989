//! The desktop driver: the same hands and camera as in the browser, for whatever stands on the screen.
//!
//! Invariants: every position passes through the map of the capture it was found on; what an action presses it
//! releases in the same request to the display server, so that no death of this program leaves a key or a button
//! down; input meant for one window never reaches another.
//!
//! Start with [`DesktopDriver::start`]. X11 is implemented. On Wayland, macOS and Windows starting is refused with
//! a typed error: everything else here compiles there.

mod driver;
mod options;
#[cfg(target_os = "linux")]
mod worker;
#[cfg(target_os = "linux")]
mod x11;

pub use driver::DesktopDriver;
pub use options::{Options, Session};
#[cfg(target_os = "linux")]
pub use x11::{EchoWindow, KeyEcho, Seen};
