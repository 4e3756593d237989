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
    /// Whether it is the page itself, or in a frame of a frame.
    is_nested: bool,
}

impl WebEcho {
    pub(crate) fn open(driver: &mut WebDriver, scrolled_to: (u32, u32)) -> Self {
        open(driver, include_str!("echo.html"));
        Self { scrolled_to, is_nested: false }
    }

    /// The echo page in a frame of a frame. Both frames are as large as the viewport and stand elsewhere in their
    /// pages, which are scrolled there.
    pub(crate) fn open_nested(driver: &mut WebDriver) -> Self {
        let framed = |html: &str, left: u32, top: u32| {
            let html = html.replace('&', "&amp;").replace('"', "&quot;");
            format!(
                "<!doctype html><body style='margin:0;width:4000px;height:4000px'>\
                 <iframe style='position:absolute;left:{left}px;top:{top}px;width:100vw;height:100vh;border:0' \
                 srcdoc=\"{html}\"></iframe><script>scrollTo({left}, {top})</script>"
            )
        };
        open(driver, &framed(&framed(include_str!("echo.html"), 120, 250), 334, 778));
        // Scrolled itself, so that the wheel turns it in every direction and not the pages around it.
        Self { scrolled_to: (500, 500), is_nested: true }
    }

    fn evaluate(&self, driver: &mut dyn Driver, body: &str) -> Result<Value, DriverError> {
        match self.is_nested {
            false => evaluate(driver, body),
            true => {
                let call = Value::from(format!("(() => {{ {body} }})()"));
                evaluate(driver, &format!("return frames[0].frames[0].eval({call})"))
            }
        }
    }
}

impl EchoPage for WebEcho {
    fn reset(&mut self, driver: &mut dyn Driver) -> Result<(), DriverError> {
        let (left, top) = self.scrolled_to;
        let at = self.evaluate(driver, &format!("return reset({left}, {top})"))?;
        assert_eq!(at, serde_json::json!([left, top]), "the page must be scrolled");
        Ok(())
    }

    fn events(&mut self, driver: &mut dyn Driver) -> Result<Vec<Echo>, DriverError> {
        let events = self.evaluate(driver, "return events")?;
        Ok(events.as_array().expect("a list").iter().map(echo_of).collect())
    }

    fn text(&mut self, driver: &mut dyn Driver) -> Result<String, DriverError> {
        Ok(self.evaluate(driver, "return field.value")?.as_str().expect("a text").to_owned())
    }

    fn text_field(&mut self, driver: &mut dyn Driver) -> Result<Point<Screen>, DriverError> {
        let body = "const b = field.getBoundingClientRect(), r = devicePixelRatio;
                    return { x: (b.left + b.right) / 2 * r, y: (b.top + b.bottom) / 2 * r }";
        Ok(place(&self.evaluate(driver, body)?))
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
