//! The contract of every driver, on an X11 display.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod support;

use std::time::{Duration, Instant};

use support::display::two_monitors;
use support::surface::DesktopEcho;
use support::{is_inside, on_display, on_own_display};
use vigorl_desktop::{DesktopDriver, EchoWindow, Options, Seen};
use vigorl_geometry::Point;
use vigorl_interface::conformance::{Echo, check_driver};
use vigorl_interface::{Action, Area, Driver as _, DriverError, MouseButton};

#[track_caller]
fn check(area: Area, width: f64, height: f64) {
    let mut driver = DesktopDriver::start(Options { area, ..Options::default() }).expect("a display");
    let place = driver.place().expect("the area");
    let mut page = DesktopEcho::open(place);
    let screenshot = driver.screenshot().expect("a screenshot");
    assert_eq!(screenshot.pixels.dimensions(), (width as u32, height as u32));
    check_driver(&mut driver, &mut page).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_contract_holds_on_the_whole_screen() {
    if on_own_display("the_contract_holds_on_the_whole_screen", "640x400") {
        check(Area::Screen, 640.0, 400.0);
    }
}

#[test]
fn the_contract_holds_on_a_monitor_by_number() {
    if on_own_display("the_contract_holds_on_a_monitor_by_number", "1283x801") {
        check(Area::Monitor { name: "1".to_owned() }, 1283.0, 801.0);
    }
}

/// On two monitors: 800x600, and the other as it is given.
fn on_two_monitors(name: &str, mode: &str, pos: &str) -> bool {
    if is_inside() {
        return true;
    }
    assert!(rustix::process::geteuid().is_root(), "Xorg takes a configuration of its own from root alone");
    let folder = tempfile::tempdir().expect("a folder");
    let (server, display) = two_monitors(folder.path(), mode, pos);
    on_display(name, &display, &server);
    false
}

#[test]
#[ignore = "needs root, for two monitors: scripts/test.sh runs it as root"]
fn the_contract_holds_on_the_second_of_two_monitors_that_do_not_line_up() {
    let name = "the_contract_holds_on_the_second_of_two_monitors_that_do_not_line_up";
    if on_two_monitors(name, "1024x768", "800x100") {
        check(Area::Monitor { name: "DUMMY1".to_owned() }, 1024.0, 768.0);
    }
}

#[test]
#[ignore = "needs root, for two monitors: scripts/test.sh runs it as root"]
fn the_contract_holds_on_two_monitors_together() {
    if on_two_monitors("the_contract_holds_on_two_monitors_together", "800x600", "800x0") {
        check(Area::Screen, 1600.0, 600.0);
    }
}

#[test]
#[ignore = "needs root, for two monitors: scripts/test.sh runs it as root"]
fn what_no_monitor_shows_is_black_and_cannot_be_clicked() {
    if !on_two_monitors("what_no_monitor_shows_is_black_and_cannot_be_clicked", "1024x768", "800x100") {
        return;
    }
    let mut driver = DesktopDriver::start(Options::default()).expect("a display");
    let window = EchoWindow::open(driver.place().expect("the area")).expect("a window");
    let screenshot = driver.screenshot().expect("a screenshot");
    assert_eq!(screenshot.pixels.dimensions(), (1824, 868));
    let color = |x, y| screenshot.pixels.get_pixel(x, y).0;
    assert_eq!(
        [color(0, 0), color(1823, 867), color(1000, 50), color(100, 700)],
        [[255; 3], [255; 3], [0; 3], [0; 3]]
    );
    let click = |x, y| Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 };
    for (x, y) in [(1000.0, 50.0), (100.0, 700.0)] {
        let answer = driver.act(&click(x, y));
        assert!(matches!(answer, Err(DriverError::Refused { .. })), "{answer:?}");
    }
    assert!(window.take(drop).expect("a display").is_empty());
    driver.act(&click(1823.0, 867.0)).expect("a place that is shown");
}

#[test]
fn a_scroll_that_no_hand_would_make_is_refused_at_once_and_a_long_one_arrives_whole() {
    let name = "a_scroll_that_no_hand_would_make_is_refused_at_once_and_a_long_one_arrives_whole";
    if !on_own_display(name, "640x400") {
        return;
    }
    let mut driver = DesktopDriver::start(Options::default()).expect("a display");
    let window = EchoWindow::open(driver.place().expect("the area")).expect("a window");
    driver.screenshot().expect("a screenshot");
    let at = Point::new(100.0, 100.0);
    let clock = Instant::now();
    let far = driver.act(&Action::Scroll { at, dx_px: 0.0, dy_px: 1e12 });
    assert!(matches!(far, Err(DriverError::Refused { request: "scroll", .. })), "{far:?}");
    assert!(clock.elapsed() < Duration::from_secs(2), "{:?}", clock.elapsed());
    assert!(window.take(drop).expect("a display").is_empty());
    // More than fits into one write.
    driver
        .act(&Action::Scroll { at, dx_px: 0.0, dy_px: 1_000.0 * driver.wheel_step_px() })
        .expect("a scroll");
    let is_click = |seen: &Seen| matches!(seen, Seen::Pointer(Echo::Scrolled { dy_px, .. }) if *dy_px > 0.0);
    let n_clicks = window.take(drop).expect("a display").iter().filter(|seen| is_click(seen)).count();
    assert_eq!(n_clicks, 1_000);
}
