//! A window on the desktop in which something moves at every click, for measuring.
//!
//! Invariant: it answers on a thread of its own and is gone when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use vigorl_desktop::{DesktopDriver, EchoWindow, Seen};
use vigorl_geometry::Rect;
use vigorl_interface::conformance::Echo;
use vigorl_interface::{DriverError, wait_while};

/// Pause between two looks at what arrived.
const TICK: Duration = Duration::from_millis(1);
/// Side of what moves, and how far it does.
const BOX_PX: f64 = 40.0;
const STEPS: u32 = 10;

/// The window, which lives on a thread of its own, as an application's does.
pub(crate) struct Counter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counter {
    /// Covers the driver's area.
    pub(crate) fn open(driver: &mut DesktopDriver) -> Result<Self, DriverError> {
        let window = EchoWindow::open(driver.place()?)?;
        let stop = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut n_clicks = 0;
            wait_while(None, TICK, || {
                // A window that is gone shows in the driver's own answers.
                let Ok(seen) = window.take(drop) else { return false };
                if seen.iter().any(|seen| matches!(seen, Seen::Pointer(Echo::Pressed { .. }))) {
                    n_clicks += 1;
                    let at = f64::from(n_clicks % STEPS) * BOX_PX;
                    if window.clear(&[Rect::new(at, BOX_PX, at + BOX_PX, 2.0 * BOX_PX)]).is_err() {
                        return false;
                    }
                }
                !of_thread.load(Ordering::Relaxed)
            });
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            thread.join().ok();
        }
    }
}
