//! What a person does with mouse and keyboard, in whatever window.
//!
//! Invariant: only listens, through the server's own record of its devices: each event comes with the pointer and the
//! modifiers of its moment, however late it is read.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use vigorl_geometry::{Desktop, Point};
use vigorl_interface::{DriverError, Key, MouseButton};
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::record::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ButtonPressEvent, ConnectionExt as _, KEY_PRESS_EVENT,
    KeyButMask, KeyPressEvent,
};
use x11rb::rust_connection::RustConnection;
use x11rb::x11_utils::TryParse as _;
use xkeysym::Keysym;

use super::keyboard::named_keysym;
use super::lost;

/// Longest wait until the server listens.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// One thing a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum PersonInput {
    /// A button went down.
    Down {
        /// Where.
        at: Point<Desktop>,
        /// Which.
        button: MouseButton,
    },
    /// A button came up.
    Up {
        /// Where.
        at: Point<Desktop>,
        /// Which.
        button: MouseButton,
    },
    /// The wheel was turned by so many clicks, downwards.
    Wheel {
        /// Where.
        at: Point<Desktop>,
        /// Negative is upwards.
        down: i32,
    },
    /// A key that types a character.
    Text(char),
    /// A key that does something else, with the modifiers that were held.
    Keys(Vec<Key>),
}

/// Listens to a person until it is dropped.
#[derive(Debug)]
pub struct Person {
    control: RustConnection,
    context: record::Context,
    events: Receiver<Heard>,
    layout: Layout,
}

/// What the server says of a device: codes, with pointer and modifiers as they were at that moment.
#[derive(Debug)]
enum Heard {
    Key { code: u8, state: u16 },
    Button { is_down: bool, detail: u8, at: Point<Desktop> },
}

/// What the keys mean.
#[derive(Debug)]
struct Layout {
    first_code: u8,
    per_key: usize,
    keysyms: Vec<u32>,
}

/// Keys that have a name in chords.
const NAMED: [Key; 15] = [
    Key::Enter,
    Key::Tab,
    Key::Escape,
    Key::Backspace,
    Key::Delete,
    Key::Left,
    Key::Right,
    Key::Up,
    Key::Down,
    Key::Home,
    Key::End,
    Key::PageUp,
    Key::PageDown,
    Key::Insert,
    Key::Space,
];

impl Person {
    /// Listens on the display that `DISPLAY` names.
    ///
    /// # Errors
    /// If there is no display, or it does not tell what its devices do.
    pub fn watch() -> Result<Self, DriverError> {
        let (control, _) = x11rb::connect(None).map_err(lost)?;
        let (conn, _) = x11rb::connect(None).map_err(lost)?;
        if control.extension_information(record::X11_EXTENSION_NAME).map_err(lost)?.is_none() {
            return Err(DriverError::Unsupported {
                what: "watch a person: the display has no extension RECORD",
            });
        }
        let (first, last) = (control.setup().min_keycode, control.setup().max_keycode);
        let mapping = control.get_keyboard_mapping(first, last - first + 1).map_err(lost)?;
        let mapping = mapping.reply().map_err(lost)?;
        let per_key = usize::from(mapping.keysyms_per_keycode).max(1);
        let layout = Layout { first_code: first, per_key, keysyms: mapping.keysyms };
        let context = control.generate_id().map_err(lost)?;
        let wanted = record::Range {
            device_events: record::Range8 { first: KEY_PRESS_EVENT, last: BUTTON_RELEASE_EVENT },
            ..record::Range::default()
        };
        let clients = [u8::from(record::CS::ALL_CLIENTS).into()];
        let created = control.record_create_context(context, 0, &clients, &[wanted]).map_err(lost)?;
        created.check().map_err(lost)?;
        let (tell, events) = channel();
        let (tell_ready, ready) = channel();
        std::thread::spawn(move || listen(&conn, context, &tell, &tell_ready));
        let not_ready = |_| lost("it does not tell what its devices do");
        ready.recv_timeout(READY_WITHIN).map_err(not_ready)?;
        Ok(Self { control, context, events, layout })
    }

    /// What was done since the last call.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn did(&mut self) -> Result<Vec<PersonInput>, DriverError> {
        let mut done = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(Heard::Key { code, state }) => done.extend(self.layout.key(code, state)),
                Ok(Heard::Button { is_down, detail, at }) => done.extend(button(is_down, detail, at)),
                Err(TryRecvError::Empty) => return Ok(done),
                Err(TryRecvError::Disconnected) => return Err(lost("the connection has ended")),
            }
        }
    }
}

impl Drop for Person {
    /// Ends the thread.
    fn drop(&mut self) {
        self.control.record_disable_context(self.context).ok();
        self.control.flush().ok();
    }
}

/// Passes on what the server tells until the context is disabled, the display is gone, or nobody listens.
fn listen(conn: &RustConnection, context: record::Context, tell: &Sender<Heard>, ready: &Sender<()>) {
    /// Categories of replies.
    const FROM_SERVER: u8 = 0;
    const STARTS: u8 = 4;
    let Ok(replies) = conn.record_enable_context(context) else { return };
    for reply in replies {
        let Ok(reply) = reply else { return };
        if reply.category == STARTS {
            ready.send(()).ok();
        }
        if reply.category != FROM_SERVER || reply.client_swapped {
            continue;
        }
        // Each event is 32 bytes.
        for event in reply.data.chunks_exact(32) {
            let heard = match event[0] & 0x7f {
                KEY_PRESS_EVENT => KeyPressEvent::try_parse(event)
                    .map(|(key, _)| Heard::Key { code: key.detail, state: u16::from(key.state) }),
                kind @ (BUTTON_PRESS_EVENT | BUTTON_RELEASE_EVENT) => {
                    ButtonPressEvent::try_parse(event).map(|(button, _)| Heard::Button {
                        is_down: kind == BUTTON_PRESS_EVENT,
                        detail: button.detail,
                        at: Point::new(f64::from(button.root_x), f64::from(button.root_y)),
                    })
                }
                _ => continue,
            };
            if heard.is_ok_and(|heard| tell.send(heard).is_err()) {
                return;
            }
        }
    }
}

impl Layout {
    /// The meaning of a key with these modifiers; nothing for a modifier itself.
    fn key(&self, code: u8, state: u16) -> Option<PersonInput> {
        let held = |bit: KeyButMask| state & u16::from(bit) != 0;
        let at = usize::from(code.checked_sub(self.first_code)?) * self.per_key;
        let levels = self.keysyms.get(at..at + self.per_key)?;
        let plain = levels.first().copied().filter(|keysym| *keysym != 0)?;
        let shifted = levels.get(1).copied().filter(|keysym| *keysym != 0).unwrap_or(plain);
        let modifiers = [
            (KeyButMask::CONTROL, Key::Control),
            (KeyButMask::MOD1, Key::Alt),
            (KeyButMask::MOD4, Key::Meta),
        ];
        let mut chord: Vec<Key> =
            modifiers.into_iter().filter(|(bit, _)| held(*bit)).map(|(_, key)| key).collect();
        let named = NAMED
            .into_iter()
            .chain((1..=12).map(Key::Function))
            .find(|key| named_keysym(*key).is_some_and(|keysym| keysym.raw() == plain));
        let letter = Keysym::new(plain).key_char().filter(|character| !character.is_control());
        // Caps Lock changes letters alone.
        let is_letter = letter.is_some_and(char::is_alphabetic);
        let is_shifted = held(KeyButMask::SHIFT) != (is_letter && held(KeyButMask::LOCK));
        match (named, letter) {
            (Some(Key::Space), _) if chord.is_empty() => Some(PersonInput::Text(' ')),
            (Some(key), _) => {
                if held(KeyButMask::SHIFT) {
                    chord.push(Key::Shift);
                }
                chord.push(key);
                Some(PersonInput::Keys(chord))
            }
            (None, Some(character)) if !chord.is_empty() => {
                if held(KeyButMask::SHIFT) {
                    chord.push(Key::Shift);
                }
                chord.push(Key::Char(character));
                Some(PersonInput::Keys(chord))
            }
            (None, Some(character)) => {
                let typed = if is_shifted { Keysym::new(shifted).key_char() } else { Some(character) };
                typed.map(PersonInput::Text)
            }
            (None, None) => None,
        }
    }
}

/// Buttons 4 and 5 are the wheel; others than the first three are not used by tasks.
fn button(is_down: bool, detail: u8, at: Point<Desktop>) -> Option<PersonInput> {
    let button = match detail {
        1 => MouseButton::Left,
        2 => MouseButton::Middle,
        3 => MouseButton::Right,
        4 if is_down => return Some(PersonInput::Wheel { at, down: -1 }),
        5 if is_down => return Some(PersonInput::Wheel { at, down: 1 }),
        _ => return None,
    };
    Some(if is_down { PersonInput::Down { at, button } } else { PersonInput::Up { at, button } })
}
