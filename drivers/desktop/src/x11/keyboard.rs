//! The keyboard: which key, with or without Shift, gives a character in the layout of the moment.
//!
//! Invariant: the layout is read, never changed. A character without a key is pasted: binding it to a spare key
//! would make every application read the layout again, and letters are lost meanwhile.

use std::collections::HashMap;

use vigorl_interface::{DriverError, Key};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, KeyButMask, Window};
use x11rb::rust_connection::RustConnection;
use xkeysym::Keysym;

use super::{Input, lost};
use crate::checks::refused;

/// Code of a key, and whether Shift is needed.
type Place = (u8, bool);

/// The layout and the state of the keyboard.
pub(super) struct Keyboard {
    places: HashMap<u32, Place>,
    state: u16,
}

/// A part of a text.
#[derive(Debug)]
pub(super) enum Stroke {
    /// Press and release these.
    Keys(Vec<Input>),
    /// No key gives these.
    Paste(String),
}

/// Bits of the state that say which of several layouts is active.
const GROUP: u16 = 0x6000;

impl Keyboard {
    /// Reads layout and state.
    pub(super) fn read(conn: &RustConnection, root: Window) -> Result<Self, DriverError> {
        let (first, last) = (conn.setup().min_keycode, conn.setup().max_keycode);
        let asked = conn.get_keyboard_mapping(first, last - first + 1).map_err(lost)?;
        let pointer = conn.query_pointer(root).map_err(lost)?;
        let (mapping, pointer) = (asked.reply().map_err(lost)?, pointer.reply().map_err(lost)?);
        let mut places = HashMap::new();
        let per_key = usize::from(mapping.keysyms_per_keycode).max(1);
        // A key that gives a character without Shift is preferred to one that needs it.
        for level in [0, 1] {
            for (code, keysyms) in (first..=last).zip(mapping.keysyms.chunks(per_key)) {
                if let Some(&keysym) = keysyms.get(level).filter(|keysym| **keysym != 0) {
                    places.entry(keysym).or_insert((code, level == 1));
                }
            }
        }
        Ok(Self { places, state: u16::from(pointer.mask) })
    }

    /// A key that changes what others mean and is down at the moment, by a person's hand.
    pub(super) fn held(&self) -> Option<&'static str> {
        let keys = [
            (KeyButMask::SHIFT, "Shift"),
            (KeyButMask::CONTROL, "Control"),
            (KeyButMask::MOD1, "Alt"),
            (KeyButMask::MOD4, "Meta"),
        ];
        keys.into_iter().find(|(bit, _)| self.state & u16::from(*bit) != 0).map(|(_, name)| name)
    }

    /// Whether keys give what the layout says: not with Caps Lock, and not in another layout than the first.
    fn is_plain(&self) -> bool {
        self.state & (u16::from(KeyButMask::LOCK) | GROUP) == 0
    }

    fn place(&self, keysym: Keysym) -> Option<Place> {
        self.places.get(&keysym.raw()).copied()
    }

    fn place_of_char(&self, character: char) -> Option<Place> {
        self.place(Keysym::from_char(character))
    }

    /// The codes that a key of a chord presses: two where it needs Shift.
    pub(super) fn key(&self, key: Key) -> Result<Vec<u8>, DriverError> {
        let missing = || refused("press", format!("the keyboard has no key {key}"));
        let place = match key {
            Key::Char(character) => self.place_of_char(character),
            named => named_keysym(named).and_then(|keysym| self.place(keysym)),
        };
        let (code, needs_shift) = place.ok_or_else(missing)?;
        match needs_shift {
            false => Ok(vec![code]),
            true => Ok(vec![self.place(Keysym::Shift_L).ok_or_else(missing)?.0, code]),
        }
    }

    /// How a text is typed.
    pub(super) fn plan(&self, text: &str) -> Vec<Stroke> {
        let mut plan = Vec::new();
        for character in text.chars() {
            match self.strokes(character) {
                Some(inputs) => match plan.last_mut() {
                    Some(Stroke::Keys(before)) => before.extend(inputs),
                    _ => plan.push(Stroke::Keys(inputs)),
                },
                None => match plan.last_mut() {
                    Some(Stroke::Paste(before)) => before.push(character),
                    _ => plan.push(Stroke::Paste(character.to_string())),
                },
            }
        }
        plan
    }

    fn strokes(&self, character: char) -> Option<Vec<Input>> {
        let (code, needs_shift) = match character {
            '\n' => self.place(Keysym::Return)?,
            // The key would move the focus.
            '\t' => return None,
            character if self.is_plain() => self.place_of_char(character)?,
            _ => return None,
        };
        let (down, up) = (Input::KeyDown(code), Input::KeyUp(code));
        if !needs_shift {
            return Some(vec![down, up]);
        }
        let (shift, _) = self.place(Keysym::Shift_L)?;
        Some(vec![Input::KeyDown(shift), down, up, Input::KeyUp(shift)])
    }
}

pub(super) fn named_keysym(key: Key) -> Option<Keysym> {
    Some(match key {
        Key::Char(_) => return None,
        Key::Enter => Keysym::Return,
        Key::Tab => Keysym::Tab,
        Key::Escape => Keysym::Escape,
        Key::Backspace => Keysym::BackSpace,
        Key::Delete => Keysym::Delete,
        Key::Space => Keysym::space,
        Key::Left => Keysym::Left,
        Key::Right => Keysym::Right,
        Key::Up => Keysym::Up,
        Key::Down => Keysym::Down,
        Key::Home => Keysym::Home,
        Key::End => Keysym::End,
        Key::PageUp => Keysym::Page_Up,
        Key::PageDown => Keysym::Page_Down,
        Key::Insert => Keysym::Insert,
        Key::Control => Keysym::Control_L,
        Key::Shift => Keysym::Shift_L,
        Key::Alt => Keysym::Alt_L,
        Key::Meta => Keysym::Super_L,
        Key::Function(n @ 1..=12) => Keysym::new(Keysym::F1.raw() + u32::from(n) - 1),
        Key::Function(_) => return None,
    })
}
