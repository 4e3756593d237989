//! The hand on the brake: a key that a person holds down to stop everything.
//!
//! Invariant: the keyboard itself is asked, so it works whatever window has the focus. A key that the driver presses is
//! up again at once and never counts as held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vigorl_interface::{DriverError, wait_while};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::ConnectionExt as _;
use xkeysym::Keysym;

use super::lost;

/// How long Escape must be held.
const HELD_FOR: Duration = Duration::from_millis(500);
/// Pause between two looks at the keyboard.
const TICK: Duration = Duration::from_millis(25);

/// Watches the keyboard until it is dropped.
#[derive(Debug)]
pub struct Brake {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Brake {
    /// What a person has to do, for messages.
    pub const HOW: &'static str = "hold Escape for half a second to stop";

    /// Calls `pulled` once when Escape is held.
    ///
    /// # Errors
    /// If there is no display, or its keyboard has no Escape.
    pub fn watch(pulled: impl FnOnce() + Send + 'static) -> Result<Self, DriverError> {
        let (conn, _) = x11rb::connect(None).map_err(lost)?;
        let (first, last) = (conn.setup().min_keycode, conn.setup().max_keycode);
        let mapping = conn.get_keyboard_mapping(first, last - first + 1).map_err(lost)?;
        let mapping = mapping.reply().map_err(lost)?;
        let per_key = usize::from(mapping.keysyms_per_keycode).max(1);
        let has_escape = |keysyms: &[u32]| keysyms.contains(&Keysym::Escape.raw());
        let keys = (first..=last).zip(mapping.keysyms.chunks(per_key));
        let codes: Vec<u8> = keys.filter(|(_, keysyms)| has_escape(keysyms)).map(|(code, _)| code).collect();
        if codes.is_empty() {
            return Err(DriverError::Unsupported { what: "be stopped by a key: the keyboard has no Escape" });
        }
        let stop = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut since: Option<Instant> = None;
            let is_held = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= HELD_FOR);
            wait_while(None, TICK, || {
                // A display that is gone ends the run by itself.
                let Some(keymap) = conn.query_keymap().ok().and_then(|cookie| cookie.reply().ok()) else {
                    return false;
                };
                let is_down = |code: &u8| keymap.keys[usize::from(code / 8)] & (1 << (code % 8)) != 0;
                since = codes.iter().any(is_down).then(|| since.unwrap_or_else(Instant::now));
                !of_thread.load(Ordering::Relaxed) && !is_held(since)
            });
            if is_held(since) {
                pulled();
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Brake {
    /// Does not wait for a server that hangs.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take());
    }
}
