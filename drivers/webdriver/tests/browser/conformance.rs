//! The contract of every driver, in a real browser: each device pixel ratio, plain and scrolled.

use vigorl_interface::conformance::{EchoPage as _, check_driver};
use vigorl_interface::{Action, Driver, MouseButton};
use vigorl_webdriver::WebDriver;

use crate::echo::WebEcho;
use crate::pages::options;

#[track_caller]
fn check(ratio: f64, scrolled_to: (u32, u32)) {
    let mut driver = WebDriver::start(options(ratio)).expect("a browser");
    let page = WebEcho::open(&mut driver, scrolled_to);
    check_on(&mut driver, page, ratio);
}

#[track_caller]
fn check_on(driver: &mut WebDriver, mut page: WebEcho, ratio: f64) {
    let screenshot = driver.screenshot().expect("a screenshot");
    assert_eq!(screenshot.device_pixel_ratio.get(), ratio);
    assert_eq!(screenshot.pixels.dimensions(), ((640.0 * ratio) as u32, (400.0 * ratio) as u32));
    check_driver(driver, &mut page).unwrap_or_else(|failure| panic!("at ratio {ratio}: {failure}"));
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

#[test]
fn the_contract_holds_in_nested_frames_of_scrolled_pages() {
    for ratio in [1.0, 1.5] {
        let mut driver = WebDriver::start(options(ratio)).expect("a browser");
        let page = WebEcho::open_nested(&mut driver);
        check_on(&mut driver, page, ratio);
    }
}

/// 1,000 characters of ASCII in lines, and 300 of other scripts.
fn long_texts() -> [String; 2] {
    let ascii =
        (0..1000_u32).map(|i| if i % 50 == 49 { '\n' } else { char::from(33 + (i * 7 + i / 50) as u8 % 94) });
    let other = "Привет, аа! 世界 ΐé ñß€ „Zitat“ עברית 😀👍🏽 ".chars().cycle().take(300);
    [ascii.collect(), other.collect()]
}

#[test]
fn long_texts_arrive_exactly() {
    const ROUNDS: usize = 3;
    let mut driver = WebDriver::start(options(1.0)).expect("a browser");
    let mut page = WebEcho::open(&mut driver, (0, 0));
    for round in 0..ROUNDS {
        for text in long_texts() {
            page.reset(&mut driver).expect("the page");
            let at = page.text_field(&mut driver).expect("the field");
            driver.act(&Action::Click { at, button: MouseButton::Left, count: 1 }).expect("a click");
            driver.act(&Action::Type { text: text.clone() }).expect("typing");
            assert_eq!(page.text(&mut driver).expect("the field"), text, "round {round}");
        }
    }
}
