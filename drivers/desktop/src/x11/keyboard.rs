//! The keyboard: which key, with which of Shift and AltGr, gives a character in the layout of the moment.
//!
//! Invariants: keys are those of the first layout without Caps Lock, which is what holds while they are pressed; afterwards
//! the person's layout and Caps Lock hold again, by the same write to the server. What letters of the layout mean is never
//! changed. An ASCII character without a key, such as `^` where it is a dead key, gets a spare key that meant nothing, and
//! keeps it as long as the driver lives: were it taken away at once, an application that is slow to read would read another
//! character. Other characters without a key are pasted, because each new key makes every application read the layout again.
//!
//! Source: The X Keyboard Extension: Protocol Specification 1.0, sections 4.2 (locks), 7.2 (key types) and 15.

use std::collections::{BTreeSet, HashMap};

use vigorl_interface::{DriverError, Key};
use x11rb::protocol::xkb::{ConnectionExt as _, GetMapMap, Group, ID, KeySymMap, KeyType, MapPart};
use x11rb::protocol::xproto::{ConnectionExt as _, KeyButMask, Keycode, ModMask, Window};
use x11rb::rust_connection::RustConnection;
use xkeysym::Keysym;

use super::{Input, lost};
use crate::checks::refused;

/// The key that pastes, with Control.
pub(super) const PASTES: char = 'v';

/// How many characters of a text get keys at most: with each of them every application reads the layout again, and a window
/// manager that is still at it gives no window the keyboard.
const MOST_GIVEN: usize = 8;

/// A key, and what is held down with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    code: Keycode,
    with_shift: bool,
    with_alt_gr: bool,
}

/// What the server keeps of Caps Lock and of the layout that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locks {
    /// Whether Caps Lock is on.
    pub(super) caps: bool,
    /// Which of the layouts.
    pub(super) layout: Group,
}

impl Locks {
    /// What keys are pressed with.
    const NONE: Self = Self { caps: false, layout: Group::M1 };
}

/// The layout and the state of the keyboard.
pub(super) struct Keyboard {
    places: HashMap<u32, Place>,
    /// Keys that mean nothing, from the last one on.
    spare: Vec<Keycode>,
    /// What spare keys are to mean.
    new: Vec<Input>,
    state: u16,
    locks: Locks,
}

/// A part of a text.
#[derive(Debug)]
pub(super) enum Stroke {
    /// Press and release these.
    Keys(Vec<Input>),
    /// No key gives these.
    Paste(String),
}

impl Keyboard {
    /// Reads layout and state.
    pub(super) fn read(conn: &RustConnection, root: Window) -> Result<Self, DriverError> {
        let parts = MapPart::KEY_TYPES | MapPart::KEY_SYMS | MapPart::MODIFIER_MAP;
        let core: u16 = ID::USE_CORE_KBD.into();
        let map = conn.xkb_get_map(
            core,
            parts,
            MapPart::from(0u16),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0u16.into(),
            0,
            0,
            0,
            0,
            0,
            0,
        );
        let (map, state) = (map.map_err(lost)?, conn.xkb_get_state(core).map_err(lost)?);
        let pointer = conn.query_pointer(root).map_err(lost)?;
        let (map, state) = (map.reply().map_err(lost)?, state.reply().map_err(lost)?);
        let locks = Locks { caps: state.locked_mods.contains(ModMask::LOCK), layout: state.locked_group };
        let pointer = u16::from(pointer.reply().map_err(lost)?.mask);
        let (places, spare) = read_map(map.first_key_sym, &map.map);
        Ok(Self { places, spare, new: Vec::new(), state: pointer, locks })
    }

    /// A key that changes what others mean and is down at the moment, by a person's hand.
    pub(super) fn held(&self) -> Option<&'static str> {
        let keys = [
            (KeyButMask::SHIFT, "Shift"),
            (KeyButMask::CONTROL, "Control"),
            (KeyButMask::MOD1, "Alt"),
            (KeyButMask::MOD4, "Meta"),
            (KeyButMask::MOD5, "AltGr"),
        ];
        keys.into_iter().find(|(bit, _)| self.state & u16::from(*bit) != 0).map(|(_, name)| name)
    }

    fn place(&self, keysym: Keysym) -> Option<Place> {
        self.places.get(&keysym.raw()).copied()
    }

    /// Gives spare keys to those of these characters that have none, if they are few and there are enough. One is kept for the
    /// key that pastes.
    fn give_keys(&mut self, characters: impl Iterator<Item = char>) {
        let missing: BTreeSet<char> = characters
            .filter(|character| matches!(character, ' '..='~'))
            .filter(|character| self.place(Keysym::from_char(*character)).is_none())
            .collect();
        let pastes = self.place(Keysym::from_char(PASTES)).is_some() || missing.contains(&PASTES);
        let Some(n_left) = self.spare.len().checked_sub(missing.len()) else { return };
        if missing.len() > MOST_GIVEN || (n_left == 0 && !pastes) {
            return;
        }
        for (character, code) in missing.into_iter().zip(self.spare.split_off(n_left)) {
            let keysym = Keysym::from_char(character).raw();
            self.places.insert(keysym, Place { code, with_shift: false, with_alt_gr: false });
            self.new.push(Input::Mean(code, keysym));
        }
    }

    /// The codes that a key of a chord presses: more than one where it needs Shift or AltGr.
    pub(super) fn key(&mut self, key: Key) -> Result<Vec<Keycode>, DriverError> {
        let missing = || refused("press", format!("the keyboard has no key {key}"));
        let keysym = match key {
            Key::Char(character) => {
                self.give_keys(std::iter::once(character));
                Keysym::from_char(character)
            }
            named => named_keysym(named).ok_or_else(missing)?,
        };
        let place = self.place(keysym).ok_or_else(missing)?;
        let mut codes = self.holding(place).ok_or_else(missing)?;
        codes.push(place.code);
        Ok(codes)
    }

    /// The codes that are held down for a place.
    fn holding(&self, place: Place) -> Option<Vec<Keycode>> {
        let held = [(place.with_shift, Keysym::Shift_L), (place.with_alt_gr, Keysym::ISO_Level3_Shift)];
        let held = held.into_iter().filter(|(is_held, _)| *is_held);
        held.map(|(_, keysym)| Some(self.place(keysym)?.code)).collect()
    }

    /// How a text is typed.
    pub(super) fn plan(&mut self, text: &str) -> Vec<Stroke> {
        self.give_keys(text.chars());
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
        let place = match character {
            '\n' => self.place(Keysym::Return)?,
            // The key would move the focus.
            '\t' => return None,
            character => self.place(Keysym::from_char(character))?,
        };
        let mut codes = self.holding(place)?;
        codes.push(place.code);
        let down = codes.iter().map(|code| Input::KeyDown(*code));
        Some(down.chain(codes.iter().rev().map(|code| Input::KeyUp(*code))).collect())
    }

    /// All of these, with the keys as they were read, and whatever was locked before locked again behind them.
    pub(super) fn unlocked(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Input> {
        let is_locked = self.locks != Locks::NONE;
        let locked = |locks| is_locked.then_some(Input::Lock(locks));
        let new = std::mem::take(&mut self.new);
        new.into_iter().chain(locked(Locks::NONE)).chain(inputs).chain(locked(self.locks)).collect()
    }
}

/// What the keys give in the first layout, and which ones give nothing in any.
fn read_map(first: Keycode, map: &GetMapMap) -> (HashMap<u32, Place>, Vec<Keycode>) {
    let (types, keys) = (map.types_rtrn.as_deref().unwrap_or(&[]), map.syms_rtrn.as_deref().unwrap_or(&[]));
    let modifiers = map.modmap_rtrn.as_deref().unwrap_or(&[]);
    let modifiers_of =
        |code: Keycode| modifiers.iter().find(|key| key.keycode == code).map_or(0, |key| u16::from(key.mods));
    let codes = || (first..=Keycode::MAX).zip(keys);
    // The modifier of AltGr, which key it is on.
    let alt_gr = codes()
        .filter(|(_, key)| key.syms.first() == Some(&Keysym::ISO_Level3_Shift.raw()))
        .map(|(code, _)| modifiers_of(code))
        .find(|modifiers| *modifiers != 0)
        .unwrap_or(0);
    let mut places = HashMap::new();
    // What needs less is preferred, and then the first key.
    for (with_shift, with_alt_gr) in [(false, false), (true, false), (false, true), (true, true)] {
        if with_alt_gr && alt_gr == 0 {
            continue;
        }
        let held =
            if with_shift { u16::from(ModMask::SHIFT) } else { 0 } | if with_alt_gr { alt_gr } else { 0 };
        for (code, key) in codes() {
            if let Some(keysym) = meaning(key, types, held) {
                places.entry(keysym).or_insert(Place { code, with_shift, with_alt_gr });
            }
        }
    }
    let is_spare = |(code, key): &(Keycode, &KeySymMap)| {
        key.syms.iter().all(|keysym| *keysym == 0) && modifiers_of(*code) == 0
    };
    (places, codes().filter(is_spare).map(|(code, _)| code).collect())
}

/// What a key gives in the first layout with exactly these modifiers; nothing if it would be the same without one of them.
fn meaning(key: &KeySymMap, types: &[KeyType], held: u16) -> Option<u32> {
    let of_type = types.get(usize::from(key.kt_index[0]))?;
    let relevant = u16::from(of_type.mods_mask);
    if held & !relevant != 0 {
        return None;
    }
    let with = |entry: &&x11rb::protocol::xkb::KTMapEntry| entry.active && u16::from(entry.mods_mask) == held;
    let level = of_type.map.iter().find(with).map_or(0, |entry| usize::from(entry.level));
    let has_first_layout = key.group_info & 0x0f > 0;
    let keysym = key.syms.get(level).filter(|_| has_first_layout && level < usize::from(key.width))?;
    (*keysym != 0).then_some(*keysym)
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
