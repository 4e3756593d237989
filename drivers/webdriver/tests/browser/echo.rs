//! The echo page in the browser.

use serde_json::Value;
use vigorl_geometry::{Point, Screen};
use vigorl_interface::conformance::{Echo, EchoPage};
use vigorl_interface::{Driver, DriverError, Key, MouseButton, parse_chord};
use vigorl_webdriver::WebDriver;

use crate::pages::{evaluate, open};

/// The echo page, scrolled to a place in CSS pixels.
pub(crate) struct WebEcho {
    pub(crate) scrolled_to: (u32, u32),
}

impl WebEcho {
    pub(crate) fn open(driver: &mut WebDriver, scrolled_to: (u32, u32)) -> Self {
        open(driver, include_str!("echo.html"));
        Self { scrolled_to }
    }
}

impl EchoPage for WebEcho {
    fn reset(&mut self, driver: &mut dyn Driver) -> Result<(), DriverError> {
        let (left, top) = self.scrolled_to;
        let at = evaluate(driver, &format!("return reset({left}, {top})"))?;
        assert_eq!(at, serde_json::json!([left, top]), "the page must be scrolled");
        Ok(())
    }

    fn events(&mut self, driver: &mut dyn Driver) -> Result<Vec<Echo>, DriverError> {
        let events = evaluate(driver, "return events")?;
        Ok(events.as_array().expect("a list").iter().map(echo_of).collect())
    }

    fn text(&mut self, driver: &mut dyn Driver) -> Result<String, DriverError> {
        Ok(evaluate(driver, "return field.value")?.as_str().expect("a text").to_owned())
    }

    fn text_field(&mut self, driver: &mut dyn Driver) -> Result<Point<Screen>, DriverError> {
        let body = "const b = field.getBoundingClientRect(), r = devicePixelRatio;
                    return { x: (b.left + b.right) / 2 * r, y: (b.top + b.bottom) / 2 * r }";
        Ok(place(&evaluate(driver, body)?))
    }
}

fn place(event: &Value) -> Point<Screen> {
    Point::new(event["x"].as_f64().expect("x"), event["y"].as_f64().expect("y"))
}

fn echo_of(event: &Value) -> Echo {
    let at = || place(event);
    let number = |name: &str| event[name].as_f64().expect("a number");
    let button = || match event["button"].as_u64() {
        Some(0) => MouseButton::Left,
        Some(1) => MouseButton::Middle,
        Some(2) => MouseButton::Right,
        other => panic!("no mouse button: {other:?}"),
    };
    match event["kind"].as_str().expect("a kind") {
        "moved" => Echo::Moved { at: at() },
        "pressed" => Echo::Pressed { at: at(), button: button() },
        "released" => Echo::Released { at: at(), button: button() },
        "clicked" => Echo::Clicked { count: number("count") as u8 },
        "scrolled" => Echo::Scrolled { at: at(), dx_px: number("dx"), dy_px: number("dy") },
        "down" => Echo::KeyDown(key(event)),
        "up" => Echo::KeyUp(key(event)),
        other => panic!("unknown event {other}"),
    }
}

fn key(event: &Value) -> Key {
    parse_chord(event["key"].as_str().expect("a key")).expect("a key's name")[0]
}
