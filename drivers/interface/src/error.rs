//! Why a driver could not do what it was asked.

use std::time::Duration;

use crate::{Act, ActKind};

/// The world failed, or the request cannot be executed here. Never a reward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A position that is not on the latest screenshot.
    #[error("({x}, {y}) is outside the {width}x{height} screenshot")]
    OutsideScreenshot {
        /// Horizontal position in screenshot pixels.
        x: f64,
        /// Vertical position in screenshot pixels.
        y: f64,
        /// Screenshot width.
        width: u32,
        /// Screenshot height.
        height: u32,
    },
    /// A dialog blocks the page.
    #[error("a dialog is open: {text}")]
    DialogOpen {
        /// What the dialog says.
        text: String,
    },
    /// No answer within the deadline.
    #[error("no answer to `{request}` within {deadline:?}")]
    Deadline {
        /// What was asked.
        request: &'static str,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The browser, window or display is gone.
    #[error("the {what} is gone: {detail}")]
    Gone {
        /// Browser, window, display, tab.
        what: &'static str,
        /// What the other side said.
        detail: String,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {detail}")]
    Start {
        /// The program.
        program: String,
        /// Cause and cure.
        detail: String,
    },
    /// This driver has no such notion.
    #[error("this driver cannot {what}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },
    /// A server is not trusted, or does not trust us, and waiting changes nothing about it.
    #[error("no access: {detail}")]
    NoAccess {
        /// Cause and cure.
        detail: String,
    },
    /// The other side refused.
    #[error("`{request}` was refused: {detail}")]
    Refused {
        /// What was asked.
        request: &'static str,
        /// Why.
        detail: String,
    },
}

impl DriverError {
    /// What a driver answers to an act that it has no notion of.
    pub fn unsupported<P>(act: &Act<P>) -> Self {
        let what = match act.kind() {
            ActKind::Select => "choose an option otherwise than by clicks",
            ActKind::Upload => "hand over files otherwise than by their dialog",
            ActKind::Navigate => match act {
                Act::Back => "go back in a history",
                Act::Forward => "go forward in a history",
                Act::Reload => "load a page again",
                _ => "load a URL",
            },
            ActKind::Type if matches!(act, Act::Fill { .. }) => {
                "fill or clear a field, because nothing tells what stands in it: click it, press Control+a and type"
            }
            ActKind::Dialog => "answer a dialog otherwise than by a click",
            ActKind::Tab => "tell tabs apart",
            _ => act.verb(),
        };
        Self::Unsupported { what }
    }
}
