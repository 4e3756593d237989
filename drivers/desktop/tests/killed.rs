//! No death of the program leaves a key or a button down.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::display::xvfb;
use support::{SERVER, on_own_display};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_geometry::Point;
use vigorl_interface::{Action, Driver as _, DriverError, parse_chord};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, KeyButMask};

/// Set in the copy of this program that is killed.
const VICTIM: &str = "VIGORL_TEST_VICTIM";

/// How often the program is killed.
const ROUNDS: u64 = 20;

#[test]
fn a_program_killed_at_any_time_leaves_nothing_down() {
    if std::env::var_os(VICTIM).is_some() {
        let mut driver = DesktopDriver::start(Options::default()).expect("a display");
        println!("started");
        loop {
            let (from, to) = (Point::new(10.0, 10.0), Point::new(300.0, 200.0));
            driver.act(&Action::Drag { from, to }).expect("a drag");
            driver
                .act(&Action::Press { chord: parse_chord("Control+Shift+x").expect("a chord") })
                .expect("keys");
            driver.act(&Action::Type { text: "Ab".repeat(50) }).expect("typing");
        }
    }
    let (_server, display) = xvfb("640x400");
    let (conn, screen) = x11rb::connect(Some(&display)).expect("a display");
    let root = conn.setup().roots[screen].root;
    let what_is_down = || {
        let buttons = KeyButMask::BUTTON1 | KeyButMask::BUTTON2 | KeyButMask::BUTTON3;
        let mask = conn.query_pointer(root).expect("a display").reply().expect("a display").mask;
        let keys = conn.query_keymap().expect("a display").reply().expect("a display").keys;
        (u16::from(mask & buttons), keys.iter().map(|byte| byte.count_ones()).sum::<u32>())
    };
    for round in 0..ROUNDS {
        let mut victim = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "a_program_killed_at_any_time_leaves_nothing_down", "--nocapture"])
            .env(VICTIM, "1")
            .env("DISPLAY", &display)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program again");
        let said = BufReader::new(victim.stdout.take().expect("its output")).lines();
        assert!(said.map_while(Result::ok).any(|line| line.contains("started")), "it never started");
        // A drag takes a third of a second, so most of them die with the button down.
        std::thread::sleep(Duration::from_micros(20_000 + 17_310 * round));
        victim.kill().expect("SIGKILL");
        victim.wait().expect("its end");
        let end = Instant::now() + Duration::from_secs(1);
        while what_is_down() != (0, 0) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(what_is_down(), (0, 0), "round {round}");
    }
}

#[test]
fn a_display_that_hangs_or_dies_is_an_error_in_time() {
    if !on_own_display("a_display_that_hangs_or_dies_is_an_error_in_time", "640x400") {
        return;
    }
    let number = std::env::var(SERVER).expect("its process").parse().expect("a number");
    let server = rustix::process::Pid::from_raw(number).expect("a process");
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
