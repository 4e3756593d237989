//! A display of a test's own.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::process::Command;
use std::time::{Duration, Instant};

pub mod display;
pub mod surface;

use display::{Ends, xvfb};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_interface::{Area, Driver as _};

/// Set where a test runs on its own display.
const INSIDE: &str = "VIGORL_TEST_ON_OWN_DISPLAY";

/// Number of the display server's process, for tests that run on a display of their own.
pub const SERVER: &str = "VIGORL_TEST_SERVER";

/// Whether this process is the one on the display.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test named `name` again, in a process of its own on a display of its own; true inside of that. The
/// environment names the display for everything in a process, so tests cannot share one.
#[track_caller]
pub fn on_own_display(name: &str, size: &str) -> bool {
    if is_inside() {
        return true;
    }
    let (server, display) = xvfb(size);
    on_display(name, &display, &server);
    false
}

/// As [`on_own_display`], on a display that is there.
#[track_caller]
pub fn on_display(name: &str, display: &str, server: &Ends) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .env("DISPLAY", display)
        .env(SERVER, server.0.id().to_string())
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XDG_SESSION_TYPE")
        .output()
        .expect("this program again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} on {display}:\n{out}\n{err}");
    assert!(out.contains("1 passed"), "no test is called {name}:\n{out}");
}

/// Waits for a window, and for it to have been drawn.
#[expect(clippy::disallowed_methods, reason = "a test waits for other programs")]
pub fn driver_of(window: &str) -> DesktopDriver {
    let area = Area::Window { name: window.to_owned() };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match DesktopDriver::start(Options { area: area.clone(), ..Options::default() }) {
            Ok(mut driver) => {
                driver.settle(Duration::from_secs(5)).expect("a display");
                std::thread::sleep(Duration::from_millis(300));
                return driver;
            }
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
