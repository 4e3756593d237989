//! The contract of every driver, on an X11 display.

#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod support;

use support::display::two_monitors;
use support::surface::DesktopEcho;
use support::{is_inside, on_display, on_own_display};
use vigorl_desktop::{DesktopDriver, EchoWindow, Options};
use vigorl_geometry::Point;
use vigorl_interface::conformance::check_driver;
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
    if !rustix::process::geteuid().is_root() {
        eprintln!("{name} was not run: Xorg with a configuration of its own needs root");
        return false;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (server, display) = two_monitors(folder.path(), mode, pos);
    on_display(name, &display, &server);
    false
}

#[test]
fn the_contract_holds_on_the_second_of_two_monitors_that_do_not_line_up() {
    let name = "the_contract_holds_on_the_second_of_two_monitors_that_do_not_line_up";
    if on_two_monitors(name, "1024x768", "800x100") {
        check(Area::Monitor { name: "DUMMY1".to_owned() }, 1024.0, 768.0);
    }
}

#[test]
fn the_contract_holds_on_two_monitors_together() {
    if on_two_monitors("the_contract_holds_on_two_monitors_together", "800x600", "800x0") {
        check(Area::Screen, 1600.0, 600.0);
    }
}

#[test]
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
