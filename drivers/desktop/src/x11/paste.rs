//! Text that no key gives: offered on the clipboard until the application has taken it.
//!
//! Invariant: what was on the clipboard before is put back. It comes back as plain text or as a picture; other forms
//! that an application offered beside these are lost. Source: ICCCM 2.0, section 2 (selections).

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use arboard::{Clipboard, ImageData};
use vigorl_interface::{DriverError, wait_until};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Property,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::windows::same_client;
use super::{Atoms, lost};
use crate::checks::refused;

/// Longest wait for an application to ask for the text.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait, after that, for it to say that it has read it; not every application does.
const READ_WITHIN: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(1);

/// The clipboard, with a connection and a window of its own.
pub(super) struct Paste {
    conn: RustConnection,
    window: Window,
    atoms: Atoms,
    /// Opened when something has to be put back.
    keeper: Option<Clipboard>,
    text: String,
}

/// What was on the clipboard.
pub(super) enum Kept {
    Text(String),
    Image(ImageData<'static>),
    Nothing,
}

impl Paste {
    pub(super) fn open(atoms: Atoms) -> Result<Self, DriverError> {
        let (conn, screen) = x11rb::connect(None).map_err(lost)?;
        let window = conn.generate_id().map_err(lost)?;
        let root = conn.setup().roots[screen].root;
        let (class, aux) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
        conn.create_window(COPY_DEPTH_FROM_PARENT, window, root, -1, -1, 1, 1, 0, class, 0, &aux)
            .map_err(lost)?;
        conn.sync().map_err(lost)?;
        Ok(Self { conn, window, atoms, keeper: None, text: String::new() })
    }

    /// Reads what is on the clipboard.
    pub(super) fn keep(&mut self) -> Result<Kept, DriverError> {
        let broken = |e: arboard::Error| refused("type", format!("the clipboard cannot be used: {e}"));
        let keeper = match &mut self.keeper {
            Some(keeper) => keeper,
            none => none.insert(Clipboard::new().map_err(broken)?),
        };
        Ok(match (keeper.get_text(), keeper.get_image()) {
            (Ok(text), _) => Kept::Text(text),
            (_, Ok(image)) => Kept::Image(image),
            _ => Kept::Nothing,
        })
    }

    /// Puts it back.
    pub(super) fn put_back(&mut self, kept: Kept) -> Result<(), DriverError> {
        self.text.clear();
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let put = match kept {
            Kept::Text(text) => keeper.set_text(text),
            Kept::Image(image) => keeper.set_image(image),
            Kept::Nothing => {
                let clipboard = self.atoms.CLIPBOARD;
                self.conn.set_selection_owner(x11rb::NONE, clipboard, x11rb::CURRENT_TIME).map_err(lost)?;
                return self.conn.sync().map_err(lost);
            }
        };
        put.map_err(|e| refused("type", format!("typed, but the clipboard could not be restored: {e}")))
    }

    /// Offers `text`.
    pub(super) fn offer(&mut self, text: &str) -> Result<(), DriverError> {
        self.text = text.to_owned();
        self.conn
            .set_selection_owner(self.window, self.atoms.CLIPBOARD, x11rb::CURRENT_TIME)
            .map_err(lost)?;
        match self.is_owner()? {
            true => Ok(()),
            false => Err(refused("type", "another program holds the clipboard")),
        }
    }

    fn is_owner(&self) -> Result<bool, DriverError> {
        let owner = self.conn.get_selection_owner(self.atoms.CLIPBOARD).map_err(lost)?;
        Ok(owner.reply().map_err(lost)?.owner == self.window)
    }

    /// Hands the text to whoever asks, until the application of `focus` has read it.
    pub(super) fn serve(&mut self, focus: Window) -> Result<(), DriverError> {
        let asked_at = Instant::now();
        let mut given: Option<(Window, u32, Instant)> = None;
        let done = wait_until(None, || -> Result<_, DriverError> {
            while let Some(event) = self.conn.poll_for_event().map_err(lost)? {
                match event {
                    Event::SelectionRequest(request) => {
                        let is_text = self.answer(&request)?;
                        if is_text && same_client(&self.conn, request.requestor, focus) {
                            given = Some((request.requestor, request.property, Instant::now()));
                        }
                    }
                    Event::PropertyNotify(notify)
                        if notify.state == Property::DELETE
                            && given.is_some_and(|(window, atom, _)| {
                                (window, atom) == (notify.window, notify.atom)
                            }) =>
                    {
                        return Ok(ControlFlow::Break(()));
                    }
                    // It may speak of an earlier offer.
                    Event::SelectionClear(_) if !self.is_owner()? => {
                        return Err(refused("type", "another program took the clipboard meanwhile"));
                    }
                    _ => {}
                }
            }
            match given {
                Some((_, _, at)) if at.elapsed() > READ_WITHIN => Ok(ControlFlow::Break(())),
                None if asked_at.elapsed() > TAKEN_WITHIN => {
                    // Without the text itself, which may be a secret.
                    let cause = "nothing took the pasted text: does a text field have the focus?";
                    Err(refused("type", cause))
                }
                _ => Ok(ControlFlow::Continue(TICK)),
            }
        });
        done.map(drop)
    }

    /// Answers a request; says whether the text was handed out.
    fn answer(&self, request: &SelectionRequestEvent) -> Result<bool, DriverError> {
        let atoms = &self.atoms;
        // Old programs name no property.
        let property = if request.property == x11rb::NONE { request.target } else { request.property };
        let to = request.requestor;
        let texts = [atoms.UTF8_STRING, atoms.TEXT_PLAIN];
        let is_text = texts.contains(&request.target);
        let given = if request.target == atoms.TARGETS {
            let targets = [atoms.TARGETS, atoms.UTF8_STRING, atoms.TEXT_PLAIN];
            self.conn
                .change_property32(PropMode::REPLACE, to, property, AtomEnum::ATOM, &targets)
                .map_err(lost)?;
            property
        } else if is_text {
            let watch = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
            self.conn.change_window_attributes(to, &watch).map_err(lost)?;
            let text = self.text.as_bytes();
            self.conn
                .change_property8(PropMode::REPLACE, to, property, request.target, text)
                .map_err(lost)?;
            property
        } else {
            x11rb::NONE
        };
        let notify = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: to,
            selection: request.selection,
            target: request.target,
            property: given,
        };
        self.conn.send_event(false, to, EventMask::NO_EVENT, notify).map_err(lost)?;
        self.conn.flush().map_err(lost)?;
        Ok(is_text)
    }
}
