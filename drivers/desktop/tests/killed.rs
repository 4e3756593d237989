//! No death of the program leaves a key or a button down.

#![cfg(target_os = "linux")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{on_own_display, xvfb};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver as _, DriverError};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, KeyButMask};

/// Set in the copy of this program that is killed.
const VICTIM: &str = "VIGORL_TEST_VICTIM";

#[test]
fn a_program_killed_in_a_drag_leaves_no_button_down() {
    if std::env::var_os(VICTIM).is_some() {
        let mut driver = DesktopDriver::start(Options::default()).expect("a display");
        loop {
            let (from, to) = (Point::new(10.0, 10.0), Point::new(300.0, 200.0));
            driver.act(&Action::Drag { from, to }).expect("a drag");
        }
    }
    let (_server, display) = xvfb("640x400");
    let (conn, screen) = x11rb::connect(Some(&display)).expect("a display");
    let root = conn.setup().roots[screen].root;
    let held = || {
        let mask = conn.query_pointer(root).expect("a display").reply().expect("a display").mask;
        u16::from(mask) & u16::from(KeyButMask::BUTTON1) != 0
    };
    let until = |wanted: bool| {
        let end = Instant::now() + Duration::from_secs(10);
        while held() != wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        held() == wanted
    };
    for round in 0..5 {
        let mut victim = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "a_program_killed_in_a_drag_leaves_no_button_down", "--nocapture"])
            .env(VICTIM, "1")
            .env("DISPLAY", &display)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program again");
        assert!(until(true), "round {round}: nothing was dragged");
        victim.kill().expect("SIGKILL");
        victim.wait().expect("its end");
        // What was sent is still done, the release included.
        assert!(until(false), "round {round}: the button stayed down");
        std::thread::sleep(Duration::from_millis(200));
        assert!(!held(), "round {round}: the button went down again");
    }
}

#[test]
fn a_display_that_hangs_or_dies_is_an_error_in_time() {
    if !on_own_display("a_display_that_hangs_or_dies_is_an_error_in_time", "640x400") {
        return;
    }
    let name = std::env::var("DISPLAY").expect("its name");
    let number = name.trim_start_matches(':');
    let lock = std::fs::read_to_string(format!("/tmp/.X{number}-lock")).expect("the server's lock file");
    let server =
        rustix::process::Pid::from_raw(lock.trim().parse().expect("its process")).expect("a process");
    let deadline = Duration::from_millis(500);
    let start = || DesktopDriver::start(Options { deadline, ..Options::default() });
    let mut hanging = start().expect("a display");
    let mut dying = start().expect("a display");
    rustix::process::kill_process(server, rustix::process::Signal::STOP).expect("to stop it");
    let clock = Instant::now();
    let answer = hanging.screenshot();
    assert!(matches!(answer, Err(DriverError::Deadline { .. })), "{answer:?}");
    let answer = hanging.screenshot();
    assert!(matches!(answer, Err(DriverError::Gone { .. })), "{answer:?}");
    drop(hanging);
    assert!(clock.elapsed() < Duration::from_secs(3), "{:?}", clock.elapsed());
    rustix::process::kill_process(server, rustix::process::Signal::CONT).expect("to go on");
    rustix::process::kill_process(server, rustix::process::Signal::KILL).expect("to end it");
    let answer = dying.screenshot();
    assert!(matches!(answer, Err(DriverError::Gone { .. })), "{answer:?}");
    let answer = start();
    assert!(matches!(answer, Err(DriverError::Start { .. })), "{answer:?}");
}
