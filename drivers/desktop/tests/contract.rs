//! The contract of every driver, on an X11 display.

#![cfg(target_os = "linux")]

mod support;

use support::on_own_display;
use support::surface::DesktopEcho;
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_interface::conformance::check_driver;
use vigorl_interface::{Area, Driver as _};

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
