//! A white window that says which input events arrive where: what calibration and the tests click on.
//!
//! Invariant: positions are the window's own pixels, as the server reports them, so nothing of the driver is believed.
//! They are those of a screenshot of the area that the window covers.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigorl_geometry::{Desktop, Point, Rect, Screen};
use vigorl_interface::conformance::{Echo, MARK};
use vigorl_interface::{DriverError, MouseButton, wait_until};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ButtonPressEvent, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask, Gcontext, InputFocus,
    KeyPressEvent, Rectangle, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::lost;
use crate::checks::refused;

/// Half the side of the square around a press.
const MARK_REACH_PX: i16 = 3;
/// Longest wait for the window to be there.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// The window. Closed when dropped.
#[derive(Debug)]
pub struct EchoWindow {
    conn: RustConnection,
    window: Window,
    pen: Gcontext,
}

/// A key event as the server numbers it: its code, and the modifiers that were down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEcho {
    /// Number of the key.
    pub code: u8,
    /// Bits of the modifiers.
    pub state: u16,
    /// Down or up.
    pub is_down: bool,
}

/// What happened to the window.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A pointer event. The wheel is reported in clicks, to the right and downwards.
    Pointer(Echo),
    /// A key event.
    Key(KeyEcho),
}

impl EchoWindow {
    /// Covers `place` and takes the keyboard. It has no frame and no window manager touches it.
    ///
    /// # Errors
    /// If there is no display, or the window does not appear.
    pub fn open(place: Rect<Desktop>) -> Result<Self, DriverError> {
        let (conn, screen) = x11rb::connect(None).map_err(lost)?;
        let screen = &conn.setup().roots[screen];
        let (root, white) = (screen.root, screen.white_pixel);
        let (window, pen) = (conn.generate_id().map_err(lost)?, conn.generate_id().map_err(lost)?);
        let mask = EventMask::EXPOSURE
            | EventMask::BUTTON_PRESS
            | EventMask::BUTTON_RELEASE
            | EventMask::POINTER_MOTION
            | EventMask::KEY_PRESS
            | EventMask::KEY_RELEASE;
        let aux = CreateWindowAux::new().background_pixel(white).override_redirect(1).event_mask(mask);
        let (x, y) = (place.left as i16, place.top as i16);
        let (width, height) = (place.width() as u16, place.height() as u16);
        conn.create_window(
            COPY_DEPTH_FROM_PARENT,
            window,
            root,
            x,
            y,
            width,
            height,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &aux,
        )
        .map_err(lost)?;
        let [red, green, blue] = MARK.map(u32::from);
        let color = CreateGCAux::new().foreground(red << 16 | green << 8 | blue);
        conn.create_gc(pen, window, &color).map_err(lost)?;
        conn.map_window(window).map_err(lost)?;
        let opened = Self { conn, window, pen };
        opened.wait_until_shown()?;
        opened.conn.set_input_focus(InputFocus::POINTER_ROOT, window, x11rb::CURRENT_TIME).map_err(lost)?;
        opened.conn.sync().map_err(lost)?;
        Ok(opened)
    }

    fn wait_until_shown(&self) -> Result<(), DriverError> {
        self.conn.flush().map_err(lost)?;
        let shown = wait_until(Some(Instant::now() + SHOWN_WITHIN), || -> Result<_, DriverError> {
            Ok(match self.conn.poll_for_event().map_err(lost)? {
                Some(Event::Expose(_)) => ControlFlow::Break(()),
                Some(_) => ControlFlow::Continue(Duration::ZERO),
                None => ControlFlow::Continue(Duration::from_millis(2)),
            })
        })?;
        shown.ok_or_else(|| refused("show a window", "it did not appear"))
    }

    /// The window's number.
    pub fn id(&self) -> u32 {
        self.window
    }

    /// The window's connection, for what a test adds to it.
    pub fn connection(&self) -> &RustConnection {
        &self.conn
    }

    /// Paints everything white, and then these boxes black.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn clear(&self, boxes: &[Rect<Screen>]) -> Result<(), DriverError> {
        self.conn.clear_area(false, self.window, 0, 0, 0, 0).map_err(lost)?;
        let black = self.conn.generate_id().map_err(lost)?;
        self.conn.create_gc(black, self.window, &CreateGCAux::new().foreground(0)).map_err(lost)?;
        let inside = |r: &Rect<Screen>| Rectangle {
            x: r.left as i16,
            y: r.top as i16,
            width: r.width() as u16,
            height: r.height() as u16,
        };
        let boxes: Vec<Rectangle> = boxes.iter().map(inside).collect();
        self.conn.poly_fill_rectangle(self.window, black, &boxes).map_err(lost)?;
        self.conn.free_gc(black).map_err(lost)?;
        self.conn.sync().map_err(lost)
    }

    /// Everything since the last call, in order. Each press leaves a mark. Other events of the connection go to `other`.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn take(&self, mut other: impl FnMut(Event)) -> Result<Vec<Seen>, DriverError> {
        // Whatever was sent before this reply is here.
        self.conn.sync().map_err(lost)?;
        let mut all = Vec::new();
        while let Some(event) = self.conn.poll_for_event().map_err(lost)? {
            match event {
                Event::MotionNotify(e) => {
                    all.push(Seen::Pointer(Echo::Moved { at: place(e.event_x, e.event_y) }))
                }
                Event::ButtonPress(e) => {
                    all.extend(self.pressed(&e)?.map(Seen::Pointer));
                }
                Event::ButtonRelease(e) => {
                    let at = place(e.event_x, e.event_y);
                    all.extend(button(e.detail).map(|button| Seen::Pointer(Echo::Released { at, button })));
                }
                Event::KeyPress(e) => all.push(Seen::Key(key(&e, true))),
                Event::KeyRelease(e) => all.push(Seen::Key(key(&e, false))),
                event => other(event),
            }
        }
        self.conn.sync().map_err(lost)?;
        Ok(all)
    }

    fn pressed(&self, e: &ButtonPressEvent) -> Result<Option<Echo>, DriverError> {
        let at = place(e.event_x, e.event_y);
        if let Some(button) = button(e.detail) {
            let side = (2 * MARK_REACH_PX + 1) as u16;
            let mark = Rectangle {
                x: e.event_x - MARK_REACH_PX,
                y: e.event_y - MARK_REACH_PX,
                width: side,
                height: side,
            };
            self.conn.poly_fill_rectangle(self.window, self.pen, &[mark]).map_err(lost)?;
            return Ok(Some(Echo::Pressed { at, button }));
        }
        let clicks = match e.detail {
            4 => (0.0, -1.0),
            5 => (0.0, 1.0),
            6 => (-1.0, 0.0),
            7 => (1.0, 0.0),
            _ => return Ok(None),
        };
        Ok(Some(Echo::Scrolled { at, dx_px: clicks.0, dy_px: clicks.1 }))
    }
}

impl Drop for EchoWindow {
    fn drop(&mut self) {
        // A connection that fails has lost its window already.
        self.conn.destroy_window(self.window).ok();
        self.conn.flush().ok();
    }
}

fn place(x: i16, y: i16) -> Point<Screen> {
    Point::new(f64::from(x), f64::from(y))
}

fn button(detail: u8) -> Option<MouseButton> {
    match detail {
        1 => Some(MouseButton::Left),
        2 => Some(MouseButton::Middle),
        3 => Some(MouseButton::Right),
        _ => None,
    }
}

fn key(e: &KeyPressEvent, is_down: bool) -> KeyEcho {
    KeyEcho { code: e.detail, state: u16::from(e.state), is_down }
}
