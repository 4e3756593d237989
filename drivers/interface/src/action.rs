//! What an agent can do. Invariant: every position is a screenshot pixel; the driver converts and rounds.

use std::path::PathBuf;

use vigorl_geometry::{Point, Screen};

/// A mouse button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseButton {
    /// The primary button.
    Left,
    /// The wheel button.
    Middle,
    /// The context-menu button.
    Right,
}

/// A key of a chord: a named key or the character it types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those on the keyboard")]
pub enum Key {
    Char(char),
    Enter,
    Tab,
    Escape,
    Backspace,
    Delete,
    Space,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Insert,
    Control,
    Shift,
    Alt,
    Meta,
    /// F1 to F12.
    Function(u8),
}

/// One thing done to the screen. Executed whole or refused with an error; nothing is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Press and release `button` at a point, `count` times (2 is a double click).
    Click {
        /// Where.
        at: Point<Screen>,
        /// Which button.
        button: MouseButton,
        /// How often.
        count: u8,
    },
    /// Move the pointer.
    Hover {
        /// Where to.
        at: Point<Screen>,
    },
    /// Press the left button at one point and release it at another.
    Drag {
        /// Where the button goes down.
        from: Point<Screen>,
        /// Where it is released.
        to: Point<Screen>,
    },
    /// Turn the wheel with the pointer at a point; positive is right and down, in screenshot pixels.
    Scroll {
        /// Where the pointer is.
        at: Point<Screen>,
        /// Horizontal distance in screenshot pixels.
        dx_px: f64,
        /// Vertical distance in screenshot pixels.
        dy_px: f64,
    },
    /// Type text into whatever has the focus, any Unicode. A line break is the Enter key. A tab is inserted and
    /// does not move the focus. Other control characters are refused.
    Type {
        /// The text, typed exactly.
        text: String,
    },
    /// Press keys together, release in reverse order.
    Press {
        /// Modifiers first.
        chord: Vec<Key>,
    },
    /// Choose an option of the native list at a point: the list that opens is drawn by the system, so no screenshot of
    /// a page shows it.
    Select {
        /// A point of the list.
        at: Point<Screen>,
        /// The option's text.
        option: String,
    },
    /// Hand files to the native file field at a point, as its system dialog would.
    Upload {
        /// A point of the field or of its label.
        at: Point<Screen>,
        /// The files, as absolute paths.
        files: Vec<PathBuf>,
    },
    /// Load a URL in the current tab.
    Navigate {
        /// The URL.
        url: String,
    },
    /// Go back in the tab's history.
    Back,
}
