//! macOS and Windows through xcap and enigo.
//!
//! Invariant: positions pass through the map of the capture, whose two sides are both measured: the picture's pixels,
//! and the monitor's place in the units in which these systems take input.
//!
//! Checked by the compiler alone: nobody has run this yet. What X11 guarantees by sending an action in one write (no
//! death of this program leaves a key down) holds here only for errors and panics: enigo releases what it holds.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enigo::{Axis, Button, Coordinate, Direction, Enigo, Keyboard as _, Mouse as _, Settings};
use image::RgbImage;
use vigorl_geometry::{Capture, Desktop, DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{
    Action, AllowedWindows, Area, Driver, DriverError, Key, MouseButton, PageState, Screenshot, Settled,
    same_but_for_a_caret, wait_until, wait_while,
};

use crate::checks::{self, refused};
use crate::manager::is_for_the_manager;
use crate::options::Options;

/// Pause between two looks while waiting for a quiet screen.
const TICK: Duration = Duration::from_millis(20);

/// A desktop.
#[derive(Debug)]
pub struct DesktopDriver {
    options: Options,
    /// The latest screenshot.
    shown: Option<Capture>,
}

fn lost(error: impl std::fmt::Display) -> DriverError {
    DriverError::Gone { what: "desktop", detail: error.to_string() }
}

impl DesktopDriver {
    /// Finds the area.
    ///
    /// # Errors
    /// [`DriverError::Gone`] if there is no such monitor or window, [`DriverError::Unsupported`] for all of several
    /// monitors together.
    pub fn start(options: Options) -> Result<Self, DriverError> {
        let mut driver = Self { options, shown: None };
        driver.place()?;
        Ok(driver)
    }

    /// Where the area is, in the units of input.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn place(&mut self) -> Result<Rect<Desktop>, DriverError> {
        match self.window()? {
            Some(window) => place_of_window(&window),
            None => place_of_monitor(&self.monitor()?),
        }
    }

    fn monitor(&self) -> Result<xcap::Monitor, DriverError> {
        let mut monitors = xcap::Monitor::all().map_err(lost)?;
        monitors.sort_by_key(|monitor| monitor.x().unwrap_or_default());
        match &self.options.area {
            Area::Screen if monitors.len() > 1 => Err(DriverError::Unsupported {
                what: "show several monitors together; name one with monitor:NUMBER",
            }),
            Area::Monitor { name } => {
                let by_name = |monitor: &xcap::Monitor| monitor.name().is_ok_and(|known| known == *name);
                let by_number = || name.parse::<usize>().ok()?.checked_sub(1);
                let at = monitors.iter().position(by_name).or_else(by_number);
                at.and_then(|at| monitors.into_iter().nth(at))
                    .ok_or_else(|| DriverError::Gone { what: "monitor", detail: format!("no `{name}`") })
            }
            Area::Screen | Area::Window { .. } => {
                monitors.into_iter().next().ok_or_else(|| lost("there is no monitor"))
            }
        }
    }

    fn window(&self) -> Result<Option<xcap::Window>, DriverError> {
        let Area::Window { name } = &self.options.area else { return Ok(None) };
        let wanted = name.to_lowercase();
        let is_it = |window: &xcap::Window| {
            let texts = [window.title(), window.app_name()];
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&wanted))
        };
        let found = xcap::Window::all().map_err(lost)?.into_iter().find(is_it);
        found.map(Some).ok_or_else(|| DriverError::Gone { what: "window", detail: format!("no `{name}`") })
    }

    fn capture(&self) -> Result<(RgbImage, Rect<Desktop>), DriverError> {
        let window = self.window()?;
        let monitor = match &window {
            Some(window) => window.current_monitor().map_err(lost)?,
            None => self.monitor()?,
        };
        let whole = monitor.capture_image().map_err(lost)?;
        let whole = RgbImage::from_fn(whole.width(), whole.height(), |x, y| {
            let [red, green, blue, _] = whole.get_pixel(x, y).0;
            image::Rgb([red, green, blue])
        });
        let place = place_of_monitor(&monitor)?;
        let Some(window) = window else { return Ok((whole, place)) };
        // The window's pixels out of the monitor's: scaled as the capture is.
        let inside = place_of_window(&window)?;
        let seen = Rect::new(
            inside.left.max(place.left),
            inside.top.max(place.top),
            inside.right.min(place.right),
            inside.bottom.min(place.bottom),
        );
        if seen.width() < 1.0 || seen.height() < 1.0 {
            return Err(DriverError::Gone { what: "window", detail: "it is on no monitor".to_owned() });
        }
        let captured = Capture::of(place, whole.width(), whole.height());
        let captured = captured.ok_or_else(|| lost("the monitor is empty"))?;
        let pixels = captured.screen_from_desktop().apply_rect(seen);
        let (x, y) = (pixels.left.round() as u32, pixels.top.round() as u32);
        let (width, height) = (pixels.width().round() as u32, pixels.height().round() as u32);
        Ok((image::imageops::crop_imm(&whole, x, y, width.max(1), height.max(1)).to_image(), seen))
    }

    /// A position on the latest screenshot, in the units of input.
    fn on_desktop(&mut self, request: &'static str, at: Point<Screen>) -> Result<(i32, i32), DriverError> {
        if self.shown.is_none() {
            self.screenshot()?;
        }
        let Some(shown) = self.shown else { return Err(lost("nothing was captured")) };
        checks::expect_inside(shown, at)?;
        // The middle of the pixel: one unit may be several of them.
        let middle = Point::new(at.x.floor() + 0.5, at.y.floor() + 0.5);
        let at = shown.screen_from_desktop().inverse().apply(middle);
        if let Some(window) = self.window()? {
            if place_of_window(&window)? != shown.place() {
                return Err(refused(request, "the window has moved or changed since the screenshot"));
            }
            expect_on_top(request, &window, at)?;
        }
        if let Some(allowed) = &self.options.allowed_windows {
            match topmost_at(at)? {
                Some(top) => expect_allowed(request, &top, allowed)?,
                None => {
                    return Err(refused(request, "only the background is there, and no allowed window"));
                }
            }
        }
        Ok((at.x.floor() as i32, at.y.floor() as i32))
    }

    fn expect_focus(&self, request: &'static str) -> Result<(), DriverError> {
        match self.window()? {
            Some(window) if !window.is_focused().map_err(lost)? => {
                return Err(refused(request, "the window does not have the keyboard: click into it first"));
            }
            _ => {}
        }
        let Some(allowed) = &self.options.allowed_windows else { return Ok(()) };
        let has_keyboard = |window: &xcap::Window| window.is_focused().unwrap_or_default();
        match xcap::Window::all().map_err(lost)?.into_iter().find(has_keyboard) {
            Some(focused) => expect_allowed(request, &focused, allowed),
            None => Err(refused(request, "no window has the keyboard: click into an allowed one first")),
        }
    }
}

fn ratio_of(pixels: &RgbImage, place: Rect<Desktop>) -> Result<DevicePixelRatio, DriverError> {
    DevicePixelRatio::new(f64::from(pixels.width()) / place.width())
        .ok_or_else(|| lost("the area has no size that can be measured"))
}

/// Nothing else may lie on top of the window at a place.
fn expect_on_top(
    request: &'static str,
    window: &xcap::Window,
    at: Point<Desktop>,
) -> Result<(), DriverError> {
    let top = topmost_at(at)?;
    let own = window.pid().map_err(lost)?;
    match top {
        Some(top) if top.pid().map_err(lost)? != own => {
            let title = top.title().unwrap_or_default();
            Err(refused(request, format!("another window covers that place: `{title}`")))
        }
        _ => Ok(()),
    }
}

fn topmost_at(at: Point<Desktop>) -> Result<Option<xcap::Window>, DriverError> {
    let covers = |other: &xcap::Window| {
        !other.is_minimized().unwrap_or(true) && place_of_window(other).is_ok_and(|place| place.contains(at))
    };
    // The topmost first.
    Ok(xcap::Window::all().map_err(lost)?.into_iter().find(covers))
}

fn expect_allowed(
    request: &'static str,
    window: &xcap::Window,
    allowed: &AllowedWindows,
) -> Result<(), DriverError> {
    let (application, title) = (window.app_name().unwrap_or_default(), window.title().unwrap_or_default());
    match allowed.allow(&application, &title) {
        true => Ok(()),
        false => Err(refused(
            request,
            format!("the window there is not an allowed one: `{title}` of {application}"),
        )),
    }
}

fn place_of_monitor(monitor: &xcap::Monitor) -> Result<Rect<Desktop>, DriverError> {
    let (x, y) = (f64::from(monitor.x().map_err(lost)?), f64::from(monitor.y().map_err(lost)?));
    let (width, height) = (monitor.width().map_err(lost)?, monitor.height().map_err(lost)?);
    Ok(Rect::new(x, y, x + f64::from(width), y + f64::from(height)))
}

fn place_of_window(window: &xcap::Window) -> Result<Rect<Desktop>, DriverError> {
    let (x, y) = (f64::from(window.x().map_err(lost)?), f64::from(window.y().map_err(lost)?));
    let (width, height) = (window.width().map_err(lost)?, window.height().map_err(lost)?);
    Ok(Rect::new(x, y, x + f64::from(width), y + f64::from(height)))
}

/// Hands for one action: whatever they still hold is released when they are dropped.
fn hands() -> Result<Enigo, DriverError> {
    Enigo::new(&Settings::default()).map_err(|e| DriverError::Start {
        program: "the desktop driver".to_owned(),
        detail: format!("no input is allowed ({e}); grant this program the right to control the computer"),
    })
}

fn button(button: MouseButton) -> Button {
    match button {
        MouseButton::Left => Button::Left,
        MouseButton::Middle => Button::Middle,
        MouseButton::Right => Button::Right,
    }
}

fn key(key: Key) -> Result<enigo::Key, DriverError> {
    Ok(match key {
        Key::Char(character) => enigo::Key::Unicode(character),
        Key::Enter => enigo::Key::Return,
        Key::Tab => enigo::Key::Tab,
        Key::Escape => enigo::Key::Escape,
        Key::Backspace => enigo::Key::Backspace,
        Key::Delete => enigo::Key::Delete,
        Key::Space => enigo::Key::Space,
        Key::Left => enigo::Key::LeftArrow,
        Key::Right => enigo::Key::RightArrow,
        Key::Up => enigo::Key::UpArrow,
        Key::Down => enigo::Key::DownArrow,
        Key::Home => enigo::Key::Home,
        Key::End => enigo::Key::End,
        Key::PageUp => enigo::Key::PageUp,
        Key::PageDown => enigo::Key::PageDown,
        Key::Control => enigo::Key::Control,
        Key::Shift => enigo::Key::Shift,
        Key::Alt => enigo::Key::Alt,
        Key::Meta => enigo::Key::Meta,
        Key::Function(1) => enigo::Key::F1,
        Key::Function(2) => enigo::Key::F2,
        Key::Function(3) => enigo::Key::F3,
        Key::Function(4) => enigo::Key::F4,
        Key::Function(5) => enigo::Key::F5,
        Key::Function(6) => enigo::Key::F6,
        Key::Function(7) => enigo::Key::F7,
        Key::Function(8) => enigo::Key::F8,
        Key::Function(9) => enigo::Key::F9,
        Key::Function(10) => enigo::Key::F10,
        Key::Function(11) => enigo::Key::F11,
        Key::Function(12) => enigo::Key::F12,
        other => return Err(refused("press", format!("this system has no key {other}"))),
    })
}

fn input<T>(result: enigo::InputResult<T>) -> Result<T, DriverError> {
    result.map_err(lost)
}

/// Clicks while keys are held, or with the button down for a while each time.
fn held_click(
    (x, y): (i32, i32),
    button: Button,
    count: u8,
    keys: &[enigo::Key],
    hold: Duration,
) -> Result<(), DriverError> {
    let mut hands = hands()?;
    input(hands.move_mouse(x, y, Coordinate::Abs))?;
    for key in keys {
        input(hands.key(*key, Direction::Press))?;
    }
    let clicked = (0..count).try_for_each(|_| {
        input(hands.button(button, Direction::Press))?;
        wait_while(Instant::now().checked_add(hold), TICK, || true);
        input(hands.button(button, Direction::Release))
    });
    // Also if it could not be clicked.
    keys.iter().rev().try_for_each(|key| input(hands.key(*key, Direction::Release))).and(clicked)
}

impl Driver for DesktopDriver {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        let (pixels, place) = self.capture()?;
        let captured = Capture::of(place, pixels.width(), pixels.height());
        self.shown = Some(captured.ok_or_else(|| lost("the area is empty"))?);
        let device_pixel_ratio = ratio_of(&pixels, place)?;
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        match action {
            Action::Click { at, button: which, count } => {
                checks::expect_count(*count)?;
                let (x, y) = self.on_desktop("click", *at)?;
                let mut hands = hands()?;
                input(hands.move_mouse(x, y, Coordinate::Abs))?;
                (0..*count).try_for_each(|_| input(hands.button(button(*which), Direction::Click)))
            }
            Action::HeldClick { at, button: which, count, keys, hold_ms } => {
                let hold = checks::held(*count, keys, *hold_ms)?;
                if self.options.allowed_windows.is_some()
                    && keys.iter().any(|key| matches!(key, Key::Alt | Key::Meta))
                {
                    let detail = "the window manager takes such clicks, and only some windows are allowed";
                    return Err(refused("click", detail));
                }
                let keys = keys.iter().map(|named| key(*named)).collect::<Result<Vec<_>, _>>()?;
                let (x, y) = self.on_desktop("click", *at)?;
                held_click((x, y), button(*which), *count, &keys, hold)
            }
            Action::ScrollTo { at } => self.on_desktop("scroll to", *at).map(drop),
            Action::Hover { at } => {
                let (x, y) = self.on_desktop("hover", *at)?;
                input(hands()?.move_mouse(x, y, Coordinate::Abs))
            }
            Action::Drag { from, to } => {
                let (from, to) = (self.on_desktop("drag", *from)?, self.on_desktop("drag", *to)?);
                let mut hands = hands()?;
                input(hands.move_mouse(from.0, from.1, Coordinate::Abs))?;
                input(hands.button(Button::Left, Direction::Press))?;
                let moved = input(hands.move_mouse(to.0, to.1, Coordinate::Abs));
                // Also if it could not be moved.
                input(hands.button(Button::Left, Direction::Release)).and(moved)
            }
            Action::Scroll { at, dx_px, dy_px } => {
                let (right, down) = checks::wheel_clicks(*dx_px, *dy_px, self.options.wheel_step_px)?;
                let (x, y) = self.on_desktop("scroll", *at)?;
                let mut hands = hands()?;
                input(hands.move_mouse(x, y, Coordinate::Abs))?;
                for (clicks, axis) in [(right, Axis::Horizontal), (down, Axis::Vertical)] {
                    if clicks != 0 {
                        input(hands.scroll(clicks, axis))?;
                    }
                }
                Ok(())
            }
            Action::Type { text } => {
                let text = checks::typed(text)?;
                self.expect_focus("type")?;
                let mut hands = hands()?;
                for (at, line) in text.split('\n').enumerate() {
                    if at > 0 {
                        input(hands.key(enigo::Key::Return, Direction::Click))?;
                    }
                    input(hands.text(line))?;
                }
                Ok(())
            }
            Action::Press { chord } => {
                checks::expect_keys(chord)?;
                if self.options.allowed_windows.is_some() && is_for_the_manager(chord) {
                    let detail = "the window manager takes these keys, and only some windows are allowed";
                    return Err(refused("press", detail));
                }
                let keys = chord.iter().map(|named| key(*named)).collect::<Result<Vec<_>, _>>()?;
                self.expect_focus("press")?;
                let mut hands = hands()?;
                for key in &keys {
                    input(hands.key(*key, Direction::Press))?;
                }
                keys.iter().rev().try_for_each(|key| input(hands.key(*key, Direction::Release)))
            }
            other => Err(DriverError::unsupported(other)),
        }
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        let start = Instant::now();
        let (mut before, mut changed) = (self.capture()?.0, start);
        let quiet = wait_until(start.checked_add(cap), || -> Result<_, DriverError> {
            let (now, place) = self.capture()?;
            if !same_but_for_a_caret(&before, &now, ratio_of(&now, place)?) {
                (before, changed) = (now, Instant::now());
            }
            let is_quiet = changed.elapsed() >= self.options.quiet;
            Ok(if is_quiet { ControlFlow::Break(()) } else { ControlFlow::Continue(TICK) })
        })?;
        let after = start.elapsed();
        Ok(if quiet.is_some() { Settled::Quiet { after } } else { Settled::Capped { after } })
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        let window = match self.window()? {
            Some(window) => Some(window),
            None => {
                let focused = |window: &xcap::Window| window.is_focused().unwrap_or_default();
                xcap::Window::all().map_err(lost)?.into_iter().find(focused)
            }
        };
        Ok(PageState { title: window.and_then(|window| window.title().ok()), ..PageState::default() })
    }

    fn wheel_step_px(&self) -> f64 {
        f64::from(self.options.wheel_step_px)
    }
}
