//! The contract of every driver, in a real browser: each device pixel ratio, plain and scrolled.

use vigorl_interface::Driver;
use vigorl_interface::conformance::check_driver;
use vigorl_webdriver::WebDriver;

use crate::echo::WebEcho;
use crate::pages::options;

#[track_caller]
fn check(ratio: f64, scrolled_to: (u32, u32)) {
    let mut driver = WebDriver::start(options(ratio)).expect("a browser");
    let mut page = WebEcho::open(&mut driver, scrolled_to);
    let screenshot = driver.screenshot().expect("a screenshot");
    assert_eq!(screenshot.device_pixel_ratio.get(), ratio);
    assert_eq!(screenshot.pixels.dimensions(), ((640.0 * ratio) as u32, (400.0 * ratio) as u32));
    check_driver(&mut driver, &mut page).unwrap_or_else(|failure| panic!("at ratio {ratio}: {failure}"));
}

#[test]
fn the_contract_holds_at_ratio_1() {
    check(1.0, (0, 0));
}

#[test]
fn the_contract_holds_at_ratio_1_5_on_a_scrolled_page() {
    check(1.5, (334, 778));
}

#[test]
fn the_contract_holds_at_ratio_2_on_a_scrolled_page() {
    check(2.0, (1000, 501));
}
