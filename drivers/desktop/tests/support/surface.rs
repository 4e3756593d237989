//! The echo surface on a display: a window over the whole screen with a text field that a person could use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vigorl_desktop::{EchoWindow, KeyEcho, Seen};
use vigorl_geometry::{Desktop, Point, Rect, Screen};
use vigorl_interface::conformance::{Echo, EchoPage};
use vigorl_interface::{Driver, DriverError, Key, MouseButton};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};
use xkeysym::Keysym;

/// What one click of the wheel is to the driver.
const WHEEL_STEP_PX: f64 = 60.0;
/// Longest time between the clicks of a double click.
const DOUBLE: Duration = Duration::from_millis(400);

/// The page, whose window lives on a thread, as an application's does.
pub struct DesktopEcho {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    field: Rect<Screen>,
}

struct Shared {
    state: Mutex<State>,
    window: EchoWindow,
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    events: Vec<Echo>,
    text: String,
    has_focus: bool,
    is_selected: bool,
    /// When and where the last click was, and the how many-th it was.
    last: Option<(Instant, Point<Screen>, u8)>,
    pressed: Option<Point<Screen>>,
}

struct Layout {
    first: u8,
    per_key: usize,
    keysyms: Vec<u32>,
}

impl DesktopEcho {
    /// Covers `place`.
    pub fn open(place: Rect<Desktop>) -> Self {
        let window = EchoWindow::open(place).expect("a window");
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), window, stop: AtomicBool::new(false) });
        let field = Rect::new(30.0, 30.0, 230.0, 60.0);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || of_thread.run(field));
        Self { shared, thread: Some(thread), field }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the window's thread")
    }
}

impl Drop for DesktopEcho {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn run(&self, field: Rect<Screen>) {
        let conn = self.window.connection();
        let (first, last) = (conn.setup().min_keycode, conn.setup().max_keycode);
        let mapping =
            conn.get_keyboard_mapping(first, last - first + 1).expect("a layout").reply().expect("a layout");
        let layout =
            Layout { first, per_key: usize::from(mapping.keysyms_per_keycode), keysyms: mapping.keysyms };
        while !self.stop.load(Ordering::Relaxed) {
            let mut pasted = None;
            let seen = self.window.take(|event| {
                if let Event::SelectionNotify(notify) = event
                    && notify.property != x11rb::NONE
                {
                    pasted = Some(notify.property);
                }
            });
            let mut state = self.state.lock().expect("the test");
            for seen in seen.expect("a display") {
                match seen {
                    Seen::Pointer(echo) => state.point(echo, field),
                    Seen::Key(key) => self.key(&mut state, &layout, key),
                }
            }
            if let Some(property) = pasted {
                let any = AtomEnum::ANY;
                let reply =
                    conn.get_property(true, self.window.id(), property, any, 0, 1 << 20).expect("a display");
                let text = String::from_utf8(reply.reply().expect("the text").value).expect("UTF-8");
                state.write(&text);
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn key(&self, state: &mut State, layout: &Layout, key: KeyEcho) {
        let is_shifted = key.state & 1 != 0;
        let column = usize::from(is_shifted);
        let row = usize::from(key.code - layout.first) * layout.per_key;
        // A key without a second meaning keeps its first.
        let keysym = Keysym::new(
            [layout.keysyms[row + column], layout.keysyms[row]].into_iter().find(|k| *k != 0).unwrap_or(0),
        );
        let named = key_of(keysym);
        state.events.push(if key.is_down { Echo::KeyDown(named) } else { Echo::KeyUp(named) });
        if !key.is_down || !state.has_focus {
            return;
        }
        let with_control = key.state & 4 != 0;
        match named {
            Key::Char('a') if with_control => state.is_selected = true,
            Key::Char('v') if with_control => {
                let conn = self.window.connection();
                let atom = |name: &str| {
                    conn.intern_atom(false, name.as_bytes()).expect("a display").reply().expect("a name").atom
                };
                let (clipboard, text) = (atom("CLIPBOARD"), atom("UTF8_STRING"));
                conn.convert_selection(self.window.id(), clipboard, text, text, x11rb::CURRENT_TIME)
                    .expect("a display");
                conn.flush().expect("a display");
            }
            Key::Char(character) => state.write(&character.to_string()),
            Key::Space => state.write(" "),
            Key::Enter => state.write("\n"),
            Key::Delete => state.write(""),
            Key::Home if is_shifted => state.is_selected = true,
            _ => {}
        }
    }
}

impl State {
    fn point(&mut self, echo: Echo, field: Rect<Screen>) {
        match &echo {
            Echo::Pressed { at, .. } => {
                self.pressed = Some(*at);
                self.has_focus = field.contains(*at);
            }
            // A turn of the wheel is one event for each click of it.
            Echo::Scrolled { at, dx_px, dy_px } => {
                let (dx, dy) = (dx_px * WHEEL_STEP_PX, dy_px * WHEEL_STEP_PX);
                match self.events.last_mut() {
                    Some(Echo::Scrolled { at: before, dx_px, dy_px }) if before == at => {
                        (*dx_px, *dy_px) = (*dx_px + dx, *dy_px + dy);
                    }
                    _ => self.events.push(Echo::Scrolled { at: *at, dx_px: dx, dy_px: dy }),
                }
                return;
            }
            _ => {}
        }
        self.events.push(echo.clone());
        if let Echo::Released { at, button: MouseButton::Left } = echo
            && self.pressed == Some(at)
        {
            let count = match self.last {
                Some((when, before, count)) if before == at && when.elapsed() < DOUBLE => count + 1,
                _ => 1,
            };
            self.last = Some((Instant::now(), at, count));
            self.events.push(Echo::Clicked { count });
        }
    }

    fn write(&mut self, text: &str) {
        if std::mem::take(&mut self.is_selected) {
            self.text.clear();
        }
        self.text.push_str(text);
    }
}

fn key_of(keysym: Keysym) -> Key {
    match keysym {
        Keysym::Return => Key::Enter,
        Keysym::space => Key::Space,
        Keysym::Control_L => Key::Control,
        Keysym::Shift_L => Key::Shift,
        Keysym::Home => Key::Home,
        Keysym::Delete => Key::Delete,
        other => Key::Char(other.key_char().unwrap_or_else(|| panic!("the test knows no key {other:?}"))),
    }
}

impl EchoPage for DesktopEcho {
    fn reset(&mut self, _driver: &mut dyn Driver) -> Result<(), DriverError> {
        // Everything that was sent has arrived.
        std::thread::sleep(Duration::from_millis(10));
        *self.state() = State::default();
        self.shared.window.clear(&[])
    }

    fn events(&mut self, _driver: &mut dyn Driver) -> Result<Vec<Echo>, DriverError> {
        std::thread::sleep(Duration::from_millis(10));
        Ok(self.state().events.clone())
    }

    fn text(&mut self, _driver: &mut dyn Driver) -> Result<String, DriverError> {
        Ok(self.state().text.clone())
    }

    fn text_field(&mut self, _driver: &mut dyn Driver) -> Result<Point<Screen>, DriverError> {
        let field = self.field;
        Ok(Point::new((field.left + field.right) / 2.0, (field.top + field.bottom) / 2.0))
    }
}
