//! [`DesktopDriver`]: the driver trait on an X11 display.
//!
//! Invariant: rounds once, here: a position is the pixel it lies in.

use std::sync::Arc;
use std::time::Duration;

use vigorl_geometry::{Capture, Desktop, Point, Rect, Screen};
use vigorl_interface::{Action, Driver, DriverError, Key, MouseButton, PageState, Screenshot, Settled};

use crate::checks::{self, refused};
use crate::options::{Options, Session};
use crate::worker::Worker;
use crate::x11::{Input, X11, one_to_one};

/// Longest part of a text that is typed in one request.
const CHARS_PER_REQUEST: usize = 100;
/// Time that typing a part may take.
const TYPING: Duration = Duration::from_secs(10);
/// Time that scrolling may take.
const SCROLLING: Duration = Duration::from_secs(10);
/// Time that a drag may take.
const DRAGGING: Duration = Duration::from_secs(2);
/// Time that holding a button may take.
const HOLDING: Duration = Duration::from_secs(12);

/// A desktop behind a display server.
#[derive(Debug)]
pub struct DesktopDriver {
    worker: Worker,
    options: Options,
    /// The latest screenshot.
    shown: Option<Capture>,
}

impl DesktopDriver {
    /// Connects to the desktop.
    ///
    /// # Errors
    /// [`DriverError::Start`] if there is no display, [`DriverError::Gone`] if there is no such monitor or window.
    pub fn start(options: Options) -> Result<Self, DriverError> {
        if options.session == Session::Wayland {
            return Err(DriverError::Unsupported {
                what: "see or touch a Wayland session; log in to an X11 session, or start the program under Xvfb",
            });
        }
        let wanted = options.clone();
        let worker = Worker::start(options.deadline, move || X11::open(wanted))?;
        Ok(Self { worker, options, shown: None })
    }

    /// Where the area is on the desktop now.
    ///
    /// # Errors
    /// If the window or the display is gone.
    pub fn place(&mut self) -> Result<Rect<Desktop>, DriverError> {
        self.worker.ask("place", Duration::ZERO, |system| system.place())
    }

    fn shown(&mut self) -> Result<Capture, DriverError> {
        if self.shown.is_none() {
            self.screenshot()?;
        }
        self.shown.ok_or(DriverError::Gone { what: "display", detail: "nothing was captured".to_owned() })
    }

    /// Where the latest screenshot shows a pixel of the desktop; nothing if it does not.
    pub fn on_screenshot(&self, at: Point<Desktop>) -> Option<Point<Screen>> {
        let shown = self.shown?;
        let at = shown.screen_from_desktop().apply(at);
        shown.size().contains(at).then_some(at)
    }

    /// The pixels of the desktop that positions on the latest screenshot are, now. A window that was moved
    /// since then is followed; one that has another size looks different as well, so that is refused.
    fn on_desktop<const N: usize>(
        &mut self,
        request: &'static str,
        points: [Point<Screen>; N],
    ) -> Result<[Point<Desktop>; N], DriverError> {
        let shown = self.shown()?;
        for at in points {
            checks::expect_inside(shown, at)?;
        }
        let place = self.place()?;
        let Some(moved) = shown.moved_to(place) else {
            let (was, is) = (shown.place().size(), place.size());
            let detail = format!(
                "it was {}x{} pixels large on the screenshot and is {}x{} now",
                was.width, was.height, is.width, is.height
            );
            return Err(refused(request, detail));
        };
        let desktop_from_screen = moved.screen_from_desktop().inverse();
        let on_desktop = points.map(|at| {
            let at = desktop_from_screen.apply(Point::new(at.x.floor(), at.y.floor()));
            Point::new(at.x.round(), at.y.round())
        });
        self.worker.ask(request, Duration::ZERO, move |system| system.expect_ours(request, &on_desktop))?;
        Ok(on_desktop)
    }

    fn perform(&mut self, request: &'static str, inputs: Vec<Input>) -> Result<(), DriverError> {
        self.worker.ask(request, TYPING, move |system| system.perform(&inputs))
    }

    fn type_text(&mut self, text: &str) -> Result<(), DriverError> {
        let characters: Vec<char> = checks::typed(text)?.chars().collect();
        // A line ends a part: Enter may close the window, and what follows must not go to the next one.
        let lines = characters.split_inclusive(|c| *c == '\n');
        for part in lines.flat_map(|line| line.chunks(CHARS_PER_REQUEST)) {
            let part: String = part.iter().collect();
            self.worker.ask("type", TYPING, move |system| system.type_text(&part))?;
        }
        Ok(())
    }
}

fn clicks(button: MouseButton, count: u8) -> impl Iterator<Item = Input> {
    (0..count).flat_map(move |_| [Input::ButtonDown(button), Input::ButtonUp(button)])
}

impl Driver for DesktopDriver {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        let (pixels, place) = self.worker.ask("screenshot", Duration::ZERO, |system| system.capture())?;
        self.shown = Capture::of(place, pixels.width(), pixels.height());
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio: one_to_one() })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        match action {
            Action::Click { at, button, count } => {
                checks::expect_count(*count)?;
                let [at] = self.on_desktop("click", [*at])?;
                let inputs = [Input::Move(at)].into_iter().chain(clicks(*button, *count)).collect();
                self.perform("click", inputs)
            }
            Action::HeldClick { at, button, count, keys, hold_ms } => {
                let hold = checks::held(*count, keys, *hold_ms)?;
                let [at] = self.on_desktop("click", [*at])?;
                let (button, count, keys) = (*button, *count, keys.clone());
                let click: Vec<Input> = [Input::Move(at)].into_iter().chain(clicks(button, count)).collect();
                match hold.is_zero() {
                    true => self.worker.ask("click", TYPING, move |system| system.click_with(&keys, &click)),
                    false => {
                        self.worker.ask("click", HOLDING, move |system| system.hold(at, button, count, hold))
                    }
                }
            }
            Action::ScrollTo { at } => {
                let shown = self.shown()?;
                checks::expect_inside(shown, *at)
            }
            Action::Hover { at } => {
                let [at] = self.on_desktop("hover", [*at])?;
                self.perform("hover", vec![Input::Move(at)])
            }
            Action::Drag { from, to } => {
                let [from, to] = self.on_desktop("drag", [*from, *to])?;
                self.worker.ask("drag", DRAGGING, move |system| system.drag(from, to))
            }
            Action::Scroll { at, dx_px, dy_px } => {
                let (right, down) = checks::wheel_clicks(*dx_px, *dy_px, self.options.wheel_step_px)?;
                let [at] = self.on_desktop("scroll", [*at])?;
                self.worker.ask("scroll", SCROLLING, move |system| system.scroll(at, right, down))
            }
            Action::Type { text } => self.type_text(text),
            Action::Press { chord } => {
                checks::expect_keys(chord)?;
                let keys: Vec<Key> = chord.clone();
                self.worker.ask("press", Duration::ZERO, move |system| system.press(&keys))
            }
            other => Err(DriverError::unsupported(other)),
        }
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        self.worker.ask("settle", cap, move |system| system.settle(cap))
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        let title = self.worker.ask("page state", Duration::ZERO, |system| system.title())?;
        Ok(PageState { title, ..PageState::default() })
    }

    fn clipboard(&mut self) -> Result<String, DriverError> {
        self.worker.ask("clipboard", Duration::ZERO, |system| system.clipboard())
    }

    fn wheel_step_px(&self) -> f64 {
        f64::from(self.options.wheel_step_px)
    }
}
