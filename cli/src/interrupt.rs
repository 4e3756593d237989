//! Ctrl-C. Invariant: the first one ends the loop at its next look and still gives a summary; the second one
//! ends every browser that was started and then this program, at once.

use std::sync::OnceLock;

use anyhow::Context as _;
use vigorl_agent::Cancel;

use crate::terminal;

static CANCEL: OnceLock<Cancel> = OnceLock::new();

/// Installs the handler once, and returns the flag it sets.
pub(crate) fn install() -> anyhow::Result<Cancel> {
    if let Some(cancel) = CANCEL.get() {
        return Ok(cancel.clone());
    }
    let cancel = CANCEL.get_or_init(Cancel::default).clone();
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
