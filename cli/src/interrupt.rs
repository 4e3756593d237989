//! Ctrl-C. Invariant: the first one ends the loop at its next look and still gives a summary; the second one
//! ends every browser that was started and then this program, at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use vigorl_agent::Cancel;

use crate::terminal;

static CANCEL: OnceLock<Cancel> = OnceLock::new();

/// What Ctrl-C sets, for whoever does not come back to look for a while.
pub(crate) fn flag() -> &'static AtomicBool {
    CANCEL.get_or_init(Cancel::default).flag()
}

/// Installs the handler once, and returns the flag it sets.
pub(crate) fn install() -> anyhow::Result<Cancel> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    let cancel = CANCEL.get_or_init(Cancel::default).clone();
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return Ok(cancel);
    }
    let flag = cancel.clone();
    ctrlc::set_handler(move || {
        if flag.is_set() {
            vigorl_processes::kill_all_started();
            std::process::exit(130);
        }
        flag.set();
        terminal::note("interrupted: finishing what was begun, press Ctrl-C again to stop at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(cancel)
}
