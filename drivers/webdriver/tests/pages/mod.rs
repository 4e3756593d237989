//! Pages and browsers for the tests.

use std::fmt::Write as _;

use serde_json::Value;
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{Action, Driver, DriverError};
use vigorl_webdriver::{Options, WebDriver};

/// Options with a small viewport, which is faster.
pub(crate) fn options(ratio: f64) -> Options {
    let device_pixel_ratio = DevicePixelRatio::new(ratio).expect("a ratio");
    Options { device_pixel_ratio, ..Options::headless(640, 400) }
}

pub(crate) fn start() -> WebDriver {
    WebDriver::start(options(1.0)).expect("a browser")
}

/// Loads a page given as HTML.
pub(crate) fn open(driver: &mut WebDriver, html: &str) {
    driver.act(&Action::Navigate { url: data_url(html) }).expect("the page loads");
}

pub(crate) fn data_url(html: &str) -> String {
    let mut url = "data:text/html;charset=utf-8,".to_owned();
    for byte in html.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            write!(url, "%{byte:02X}").expect("writing to a string");
        }
    }
    url
}

pub(crate) fn evaluate(driver: &mut dyn Driver, body: &str) -> Result<Value, DriverError> {
    Ok(serde_json::from_str(&driver.evaluate(body)?).expect("JSON"))
}
