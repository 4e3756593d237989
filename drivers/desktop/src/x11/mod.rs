//! An X11 display: monitors and windows, capture, input, and what changes on it.
//!
//! Invariants: what an action presses and releases goes to the server in one write, so that it is done whole even
//! if this program dies right behind it; positions are pixels of the root window, whatever scale a toolkit or
//! `Xft.dpi` speaks of.

mod brake;
mod echo;
mod hold;
mod keyboard;
mod own;
mod paste;
mod person;
mod pixels;
mod windows;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_geometry::{Desktop, DevicePixelRatio, Point, Rect};
use vigorl_interface::{AllowedWindows, Area, DriverError, Key, MouseButton, Settled, is_caret, wait_until};
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::Event;
use x11rb::protocol::damage::{self, ConnectionExt as _};
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::res::{self, ConnectionExt as _};
use x11rb::protocol::xkb::{self, ConnectionExt as _, ID};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT, ModMask, Window,
};
use x11rb::protocol::xtest::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::checks::refused;
use crate::manager::is_for_the_manager;
use crate::options::Options;
use hold::Held;
use keyboard::{Keyboard, Locks, PASTES, Stroke};
use paste::{Kept, Paste};
use pixels::Layout;

pub use brake::Brake;
pub use echo::{EchoWindow, KeyEcho, Seen};
pub use person::{Person, PersonInput};

x11rb::atom_manager! {
    /// Names that the server knows by number.
    pub(crate) Atoms: AtomsCookie {
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST_STACKING,
        _NET_SUPPORTING_WM_CHECK,
        _NET_WM_NAME,
        _NET_WM_PID,
        UTF8_STRING,
        CLIPBOARD,
        TARGETS,
        TEXT_PLAIN: b"text/plain;charset=utf-8",
        VIGORL,
    }
}

/// One input event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    Move(Point<Desktop>),
    ButtonDown(MouseButton),
    ButtonUp(MouseButton),
    /// A click of the wheel, by the number of its button.
    Wheel(u8),
    KeyDown(u8),
    KeyUp(u8),
    /// From now on this spare key means this, by the number of its keysym.
    Mean(u8, u32),
    /// From now on these locks hold.
    Lock(Locks),
}

/// Longest wait for a window to become the active one.
const ACTIVATION: Duration = Duration::from_secs(2);
/// Time after which a window manager that did nothing is asked for it again.
const ASKED_AGAIN: Duration = Duration::from_millis(100);
/// Pause between two looks at something awaited.
const TICK: Duration = Duration::from_millis(4);
/// The server's number of the primary button.
const PRIMARY: u8 = 1;
/// Clicks of the wheel in one write: with more of them the connection's buffer would be flushed between a press and its
/// release.
const WHEEL_CLICKS_AT_ONCE: usize = 100;

/// A connection to a display.
pub(crate) struct X11 {
    conn: RustConnection,
    root: Window,
    atoms: Atoms,
    area: Area,
    allowed: Option<AllowedWindows>,
    /// The window of the area, once found: another one with the same title is another window.
    window: Option<Window>,
    tells_processes: bool,
    /// Processes whose windows are own ones.
    ancestors: Vec<u32>,
    /// The number of the extension's requests.
    xtest: u8,
    cameras: Vec<Camera>,
    /// How pixels are laid out, if not as usual.
    layout: Option<Layout>,
    paste: Paste,
    /// Spare keys that got a meaning.
    given: BTreeMap<u8, u32>,
    quiet: Duration,
    /// When something larger than a caret changed, or might have, as an action was just done.
    changed: Instant,
}

/// A monitor and what captures it.
struct Camera {
    monitor: Monitor,
    camera: xcap::Monitor,
}

/// A monitor of the display.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Monitor {
    name: String,
    output: u32,
    place: Rect<Desktop>,
}

/// The display server failed or is gone.
pub(crate) fn lost(error: impl std::fmt::Display) -> DriverError {
    DriverError::Gone { what: "display", detail: error.to_string() }
}

impl X11 {
    /// Connects to the display that `DISPLAY` names.
    pub(crate) fn open(options: Options) -> Result<Self, DriverError> {
        let failed = |detail: String| DriverError::Start { program: "the desktop driver".to_owned(), detail };
        let (conn, screen) = x11rb::connect(None).map_err(|e| {
            failed(format!("no X11 display ({e}); set DISPLAY, or start the program with `xvfb-run -a`"))
        })?;
        let root = conn.setup().roots[screen].root;
        let opcode_of = |extension: &'static str| {
            let known = conn.extension_information(extension).map_err(lost)?;
            let known = known.ok_or_else(|| failed(format!("the display has no extension {extension}")))?;
            Ok::<u8, DriverError>(known.major_opcode)
        };
        let xtest = opcode_of(xtest::X11_EXTENSION_NAME)?;
        opcode_of(damage::X11_EXTENSION_NAME)?;
        opcode_of(xkb::X11_EXTENSION_NAME)?;
        conn.xkb_use_extension(1, 0).map_err(lost)?.reply().map_err(lost)?;
        let atoms = Atoms::new(&conn).map_err(lost)?.reply().map_err(lost)?;
        conn.damage_query_version(1, 1).map_err(lost)?.reply().map_err(lost)?;
        let damage = conn.generate_id().map_err(lost)?;
        conn.damage_create(damage, root, damage::ReportLevel::RAW_RECTANGLES).map_err(lost)?;
        let tells_processes = Self::tells_processes(&conn)?;
        let paste = Paste::open(atoms)?;
        let layout = Layout::of(&conn, &conn.setup().roots[screen])?;
        let mut opened = Self {
            conn,
            root,
            atoms,
            area: options.area,
            allowed: options.allowed_windows,
            window: None,
            tells_processes,
            ancestors: own::ancestors(),
            xtest,
            cameras: Vec::new(),
            layout,
            paste,
            given: BTreeMap::new(),
            quiet: options.quiet,
            changed: Instant::now(),
        };
        opened.look_for_monitors()?;
        opened.place()?;
        Ok(opened)
    }

    /// Whether the server can say which process made a window (X-Resource 1.2).
    fn tells_processes(conn: &RustConnection) -> Result<bool, DriverError> {
        if conn.extension_information(res::X11_EXTENSION_NAME).map_err(lost)?.is_none() {
            return Ok(false);
        }
        let version = conn.res_query_version(1, 2).map_err(lost)?.reply().map_err(lost)?;
        Ok((version.server_major, version.server_minor) >= (1, 2))
    }

    fn look_for_monitors(&mut self) -> Result<(), DriverError> {
        let monitors = self.monitors()?;
        if self.cameras.iter().map(|camera| &camera.monitor).eq(&monitors) {
            return Ok(());
        }
        let all = xcap::Monitor::all().map_err(lost)?;
        self.cameras.clear();
        for monitor in monitors {
            let found = all.iter().find(|camera| camera.id().ok() == Some(monitor.output)).cloned();
            let Some(camera) = found else {
                return Err(lost(format!("monitor {} cannot be captured", monitor.name)));
            };
            self.cameras.push(Camera { monitor, camera });
        }
        Ok(())
    }

    /// All monitors, from left to right.
    fn monitors(&self) -> Result<Vec<Monitor>, DriverError> {
        let reply = self.conn.randr_get_monitors(self.root, true).map_err(lost)?.reply().map_err(lost)?;
        let mut monitors = Vec::new();
        for monitor in &reply.monitors {
            let Some(&output) = monitor.outputs.first() else { continue };
            let name = self.conn.get_atom_name(monitor.name).map_err(lost)?.reply().map_err(lost)?;
            let place = rect(monitor.x, monitor.y, monitor.width, monitor.height);
            monitors.push(Monitor { name: String::from_utf8_lossy(&name.name).into_owned(), output, place });
        }
        if monitors.is_empty() {
            return Err(lost("it has no monitor"));
        }
        monitors.sort_by(|a, b| {
            (a.place.left, a.place.top)
                .partial_cmp(&(b.place.left, b.place.top))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(monitors)
    }

    /// Where the area is now.
    pub(crate) fn place(&mut self) -> Result<Rect<Desktop>, DriverError> {
        match self.area.clone() {
            Area::Screen => {
                let monitors = self.cameras.iter().map(|camera| camera.monitor.place);
                monitors.reduce(Rect::with).ok_or_else(|| lost("it has no monitor"))
            }
            Area::Monitor { name } => self.monitor_named(&name),
            Area::Window { name } => {
                let window = match self.window {
                    Some(window) => window,
                    None => self.window_named(&name)?,
                };
                self.window = Some(window);
                self.place_of(window)
                    .map_err(|_| DriverError::Gone { what: "window", detail: format!("`{name}` was closed") })
            }
        }
    }

    fn monitor_named(&self, name: &str) -> Result<Rect<Desktop>, DriverError> {
        let numbered = |number: usize| number.checked_sub(1).and_then(|index| self.cameras.get(index));
        let found = self.cameras.iter().find(|camera| camera.monitor.name == name);
        let found = found.or_else(|| name.parse().ok().and_then(numbered));
        found.map(|camera| camera.monitor.place).ok_or_else(|| {
            let names: Vec<&str> = self.cameras.iter().map(|camera| camera.monitor.name.as_str()).collect();
            DriverError::Gone {
                what: "monitor",
                detail: format!("no `{name}`; there are {}", names.join(", ")),
            }
        })
    }

    fn window_named(&self, name: &str) -> Result<Window, DriverError> {
        let wanted = name.to_lowercase();
        let mut titles = Vec::new();
        // The topmost first.
        for window in self.windows()?.into_iter().rev() {
            let (title, application) = (self.title_of(window)?, self.application_of(window)?);
            if [&title, &application].iter().any(|text| text.to_lowercase().contains(&wanted)) {
                return Ok(window);
            }
            titles.push(format!("`{title}`"));
        }
        let there = if titles.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", titles.join(", "))
        };
        Err(DriverError::Gone { what: "window", detail: format!("no `{name}`; {there}") })
    }

    /// The pixels of the area and where it is.
    pub(crate) fn capture(&mut self) -> Result<(RgbImage, Rect<Desktop>), DriverError> {
        self.look_for_monitors()?;
        let place = self.place()?;
        let (width, height) = (place.width() as u32, place.height() as u32);
        let mut pixels = RgbImage::new(width, height);
        for Camera { monitor, camera } in &self.cameras {
            let seen = intersection(place, monitor.place);
            if seen.width() <= 0.0 || seen.height() <= 0.0 {
                continue;
            }
            let captured = match &self.layout {
                None => camera.capture_image().map_err(lost)?,
                Some(layout) => layout.capture(&self.conn, monitor.place)?,
            };
            // The captured size is the truth; a size that was asked for may be a toolkit's.
            let size = (monitor.place.width() as u32, monitor.place.height() as u32);
            if captured.dimensions() != size {
                let (width, height) = captured.dimensions();
                return Err(lost(format!(
                    "monitor {} of {}x{} pixels was captured as {width}x{height}",
                    monitor.name, size.0, size.1
                )));
            }
            let columns = seen.width() as usize;
            let (from_x, to_x) =
                ((seen.left - monitor.place.left) as usize, (seen.left - place.left) as usize);
            let (from_stride, to_stride) = (size.0 as usize * 4, width as usize * 3);
            for row in 0..seen.height() as usize {
                let from_y = row + (seen.top - monitor.place.top) as usize;
                let to_y = row + (seen.top - place.top) as usize;
                let from = &captured.as_raw()[from_y * from_stride + from_x * 4..][..columns * 4];
                let to = &mut pixels.as_mut()[to_y * to_stride + to_x * 3..][..columns * 3];
                for (from, to) in from.chunks_exact(4).zip(to.chunks_exact_mut(3)) {
                    to.copy_from_slice(&from[..3]);
                }
            }
        }
        self.leave_out_own(&mut pixels, place)?;
        Ok((pixels, place))
    }

    /// Whether input at these places goes to the area: for a window, nothing else may lie on top of it there.
    pub(crate) fn expect_ours(
        &mut self,
        request: &'static str,
        points: &[Point<Desktop>],
    ) -> Result<(), DriverError> {
        for at in points {
            // The server would move the pointer to the nearest place that is shown.
            if !self.cameras.iter().any(|camera| camera.monitor.place.contains(*at)) {
                return Err(refused(request, "no monitor shows that place"));
            }
        }
        if self.window.is_none() && self.allowed.is_none() {
            return Ok(());
        }
        for at in points {
            let top = self.topmost_at(*at)?;
            if let Some(window) = self.window
                && !self.belongs_to(&top, window)?
            {
                let over = top.first().map_or(Ok(String::new()), |window| self.name_of(*window))?;
                return Err(refused(request, format!("another window covers that place: {over}")));
            }
            self.expect_allowed(request, &top)?;
        }
        Ok(())
    }

    /// Whether input that goes to these windows, one inside the other, may.
    fn expect_allowed(&self, request: &'static str, chain: &[Window]) -> Result<(), DriverError> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        if self.is_allowed(chain, allowed)? {
            return Ok(());
        }
        if self.windows()?.is_empty() {
            let detail = "the window manager lists no windows, so it is not known which one is allowed";
            return Err(refused(request, detail));
        }
        let Some(outermost) = chain.first() else {
            return Err(refused(request, "only the background is there, and no allowed window"));
        };
        let (name, application) = (self.name_of(*outermost)?, self.application_inside(chain)?);
        let of = if application.is_empty() { String::new() } else { format!(" of {application}") };
        Err(refused(request, format!("the window there is not an allowed one: {name}{of}")))
    }

    /// Makes sure that keys go to the area's window.
    fn expect_focus(&mut self, request: &'static str) -> Result<(), DriverError> {
        self.expect_focus_of_the_area(request)?;
        if self.allowed.is_none() {
            return Ok(());
        }
        match self.focused()? {
            Some(focused) => self.expect_allowed(request, &[focused]),
            None => Err(refused(request, "no window has the keyboard: click into an allowed one first")),
        }
    }

    fn expect_focus_of_the_area(&mut self, request: &'static str) -> Result<(), DriverError> {
        let Some(window) = self.window else { return Ok(()) };
        let mut asked_at: Option<Instant> = None;
        let has_it = wait_until(Some(Instant::now() + ACTIVATION), || -> Result<_, DriverError> {
            if let Some(active) = self.focused()?
                && self.same_application(active, window)?
            {
                return Ok(ControlFlow::Break(()));
            }
            // A window manager forgets what it was asked before it knew the window.
            if asked_at.is_none_or(|at| at.elapsed() > ASKED_AGAIN) {
                self.activate(window)?;
                asked_at = Some(Instant::now());
            }
            Ok(ControlFlow::Continue(TICK))
        })?;
        match has_it {
            Some(()) => Ok(()),
            None => {
                let title = self.title_of(window)?;
                Err(refused(request, format!("`{title}` does not get the keyboard")))
            }
        }
    }

    /// Turns the wheel at a place; negative is left and up. What one click presses it releases in the same write.
    pub(crate) fn scroll(&mut self, at: Point<Desktop>, right: i32, down: i32) -> Result<(), DriverError> {
        let clicks = |n: i32, (negative, positive): (u8, u8)| {
            let which = if n < 0 { negative } else { positive };
            std::iter::repeat_n(Input::Wheel(which), n.unsigned_abs() as usize)
        };
        self.perform(&[Input::Move(at)])?;
        let all: Vec<Input> = clicks(right, (6, 7)).chain(clicks(down, (4, 5))).collect();
        all.chunks(WHEEL_CLICKS_AT_ONCE).try_for_each(|some| self.perform(some))
    }

    /// Sends all events in one write.
    pub(crate) fn perform(&mut self, inputs: &[Input]) -> Result<(), DriverError> {
        for input in inputs {
            if let Input::Mean(code, keysym) = input {
                self.given.insert(*code, *keysym);
            }
            self.queue(*input).map_err(lost)?;
        }
        self.sync().map_err(lost)?;
        self.changed = Instant::now();
        Ok(())
    }

    /// Drags with the primary button, as slowly as a hand in a hurry: an application that moves things between windows
    /// grabs the pointer when the drag begins and asks the window below at each step, and would miss a release that
    /// came at once.
    pub(crate) fn drag(&mut self, from: Point<Desktop>, to: Point<Desktop>) -> Result<(), DriverError> {
        const STEPS: i32 = 12;
        const STEP: Duration = Duration::from_millis(12);
        /// For the answers of both applications, at the beginning and at the end.
        const REST: Duration = Duration::from_millis(80);
        let along = |step: i32| {
            let between = |a: f64, b: f64| (a + (b - a) * f64::from(step) / f64::from(STEPS)).round();
            Input::Move(Point::new(between(from.x, to.x), between(from.y, to.y)))
        };
        let held = Held::watch(self.xtest, self.root, PRIMARY)?;
        self.perform(&[Input::Move(from), Input::ButtonDown(MouseButton::Left)])?;
        for step in 1..=STEPS {
            pace(STEP);
            self.perform(&[along(step)])?;
            if step == 1 {
                pace(REST);
            }
        }
        pace(REST);
        self.perform(&[Input::ButtonUp(MouseButton::Left)])?;
        held.was_released();
        Ok(())
    }

    /// Sends these while keys are down, all in one write.
    pub(crate) fn click_with(&mut self, keys: &[Key], click: &[Input]) -> Result<(), DriverError> {
        if self.allowed.is_some() && keys.iter().any(|key| matches!(key, Key::Alt | Key::Meta)) {
            let detail = "the window manager takes such clicks, and only some windows are allowed";
            return Err(refused("click", detail));
        }
        let mut keyboard = self.free_keyboard("click")?;
        let codes = keys.iter().map(|key| keyboard.key(*key)).collect::<Result<Vec<_>, _>>()?.concat();
        let (to, clicks) = click.split_at(1);
        let down = codes.iter().map(|code| Input::KeyDown(*code));
        let up = codes.iter().rev().map(|code| Input::KeyUp(*code));
        let all: Vec<Input> =
            to.iter().copied().chain(down).chain(clicks.iter().copied()).chain(up).collect();
        self.perform(&keyboard.unlocked(all))
    }

    /// Clicks with the button down for a while each time.
    pub(crate) fn hold(
        &mut self,
        at: Point<Desktop>,
        button: MouseButton,
        count: u8,
        time: Duration,
    ) -> Result<(), DriverError> {
        for _ in 0..count {
            let held = Held::watch(self.xtest, self.root, number_of(button))?;
            self.perform(&[Input::Move(at), Input::ButtonDown(button)])?;
            pace(time);
            self.perform(&[Input::ButtonUp(button)])?;
            held.was_released();
        }
        Ok(())
    }

    /// Puts an event into the buffer of the connection, which is large enough for any action.
    fn queue(&self, input: Input) -> Result<(), ConnectionError> {
        let send = |kind: u8, detail: u8, x: i16, y: i16| {
            self.conn.xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, self.root, x, y, 0).map(drop)
        };
        match input {
            Input::Move(at) => send(MOTION_NOTIFY_EVENT, 0, at.x as i16, at.y as i16),
            Input::ButtonDown(which) => send(BUTTON_PRESS_EVENT, number_of(which), 0, 0),
            Input::ButtonUp(which) => send(BUTTON_RELEASE_EVENT, number_of(which), 0, 0),
            Input::KeyDown(code) => send(KEY_PRESS_EVENT, code, 0, 0),
            Input::KeyUp(code) => send(KEY_RELEASE_EVENT, code, 0, 0),
            // With Shift, too, so that Caps Lock makes nothing else of it.
            Input::Mean(code, keysym) => {
                self.conn.change_keyboard_mapping(1, code, 2, &[keysym, keysym]).map(drop)
            }
            Input::Lock(Locks { caps, layout }) => {
                let caps = if caps { ModMask::LOCK } else { ModMask::from(0u16) };
                let none = ModMask::from(0u16);
                let keyboard = ID::USE_CORE_KBD.into();
                self.conn
                    .xkb_latch_lock_state(keyboard, ModMask::LOCK, caps, true, layout, none, false, 0)
                    .map(drop)
            }
            Input::Wheel(which) => {
                send(BUTTON_PRESS_EVENT, which, 0, 0)?;
                send(BUTTON_RELEASE_EVENT, which, 0, 0)
            }
        }
    }

    /// Waits until the server has done everything.
    fn sync(&self) -> Result<(), ReplyError> {
        self.conn.sync()
    }

    /// Presses keys together.
    pub(crate) fn press(&mut self, keys: &[Key]) -> Result<(), DriverError> {
        if self.allowed.is_some() && is_for_the_manager(keys) {
            let detail = "the window manager takes these keys, and only some windows are allowed";
            return Err(refused("press", detail));
        }
        self.expect_focus("press")?;
        let mut keyboard = self.free_keyboard("press")?;
        let codes = keys.iter().map(|key| keyboard.key(*key)).collect::<Result<Vec<_>, _>>()?;
        self.perform(&keyboard.unlocked(together(&codes.concat())))
    }

    /// Types a part of a text: with keys where the keyboard has them, through the clipboard where it has not.
    pub(crate) fn type_text(&mut self, text: &str) -> Result<(), DriverError> {
        self.expect_focus("type")?;
        let mut keyboard = self.free_keyboard("type")?;
        let plan = keyboard.plan(text);
        let kept = match plan.iter().any(|stroke| matches!(stroke, Stroke::Paste(_))) {
            true => Some(self.paste.keep()?),
            false => None,
        };
        let typed = plan.into_iter().try_for_each(|stroke| {
            // What was typed before may have closed the window, and a paste takes its time.
            self.expect_focus("type")?;
            match stroke {
                Stroke::Keys(inputs) => self.perform(&keyboard.unlocked(inputs)),
                Stroke::Paste(text) => self.paste_text(&text, &mut keyboard),
            }
        });
        let put_back = kept.map_or(Ok(()), |kept| self.paste.put_back(kept));
        typed.and(put_back)
    }

    fn paste_text(&mut self, text: &str, keyboard: &mut Keyboard) -> Result<(), DriverError> {
        let Some(focus) = self.focused()? else {
            return Err(refused("type", "no window has the keyboard"));
        };
        self.paste.offer(text)?;
        let chord = [keyboard.key(Key::Control)?, keyboard.key(Key::Char(PASTES))?].concat();
        self.perform(&keyboard.unlocked(together(&chord)))?;
        self.paste.serve(focus)?;
        self.changed = Instant::now();
        Ok(())
    }

    /// The keyboard as it is laid out now, if nobody holds a key that would change what is typed.
    fn free_keyboard(&self, request: &'static str) -> Result<Keyboard, DriverError> {
        let keyboard = Keyboard::read(&self.conn, self.root)?;
        match keyboard.held() {
            None => Ok(keyboard),
            Some(held) => Err(refused(request, format!("{held} is held down on the keyboard"))),
        }
    }

    /// Waits until nothing changes but a blinking caret.
    pub(crate) fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        let start = Instant::now();
        let quiet = wait_until(start.checked_add(cap), || -> Result<_, DriverError> {
            self.notice_changes()?;
            let left = self.quiet.saturating_sub(self.changed.elapsed());
            Ok(if left.is_zero() { ControlFlow::Break(()) } else { ControlFlow::Continue(TICK.min(left)) })
        })?;
        let after = start.elapsed();
        Ok(if quiet.is_some() { Settled::Quiet { after } } else { Settled::Capped { after } })
    }

    fn notice_changes(&mut self) -> Result<(), DriverError> {
        while let Some(event) = self.conn.poll_for_event().map_err(lost)? {
            if let Event::DamageNotify(notify) = event
                && !is_caret(
                    rect(notify.area.x, notify.area.y, notify.area.width, notify.area.height),
                    one_to_one(),
                )
            {
                self.changed = Instant::now();
            }
        }
        Ok(())
    }

    /// The text on the clipboard.
    pub(crate) fn clipboard(&mut self) -> Result<String, DriverError> {
        Ok(match self.paste.keep()? {
            Kept::Text(text) => text,
            Kept::Image(_) | Kept::Nothing => String::new(),
        })
    }

    /// Title of the area's window, or of the active one.
    pub(crate) fn title(&mut self) -> Result<Option<String>, DriverError> {
        let window = match self.window {
            Some(window) => Some(window),
            None => self.active()?,
        };
        window.map(|window| self.title_of(window)).transpose()
    }
}

impl Drop for X11 {
    fn drop(&mut self) {
        // A display that is gone has no keys to be given back. What somebody has laid out anew meanwhile is left alone.
        for (code, keysym) in &self.given {
            let asked = self.conn.get_keyboard_mapping(*code, 1).ok().and_then(|asked| asked.reply().ok());
            if asked.is_some_and(|now| now.keysyms.first() == Some(keysym)) {
                self.conn.change_keyboard_mapping(1, *code, 1, &[0]).ok();
            }
        }
        self.sync().ok();
    }
}

/// The own time of a drag, or of a button that is held: an application says of nothing that it has seen it.
#[expect(clippy::disallowed_methods, reason = "there is nothing to await: the pause itself is what is done")]
fn pace(time: Duration) {
    std::thread::sleep(time);
}

/// A capture is in the pixels that input events count in, whatever a toolkit's scale is.
pub(crate) fn one_to_one() -> DevicePixelRatio {
    match DevicePixelRatio::new(1.0) {
        Some(ratio) => ratio,
        None => unreachable!("1 is finite and positive"),
    }
}

/// The server's number of a button.
fn number_of(button: MouseButton) -> u8 {
    match button {
        MouseButton::Left => PRIMARY,
        MouseButton::Middle => 2,
        MouseButton::Right => 3,
    }
}

/// Presses in order and releases in reverse.
fn together(codes: &[u8]) -> Vec<Input> {
    let down = codes.iter().map(|code| Input::KeyDown(*code));
    let up = codes.iter().rev().map(|code| Input::KeyUp(*code));
    down.chain(up).collect()
}

fn rect(x: i16, y: i16, width: u16, height: u16) -> Rect<Desktop> {
    let (x, y) = (f64::from(x), f64::from(y));
    Rect::new(x, y, x + f64::from(width), y + f64::from(height))
}

fn intersection(a: Rect<Desktop>, b: Rect<Desktop>) -> Rect<Desktop> {
    Rect::new(a.left.max(b.left), a.top.max(b.top), a.right.min(b.right), a.bottom.min(b.bottom))
}
