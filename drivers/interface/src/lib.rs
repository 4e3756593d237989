//! The vocabulary between agent and driver: screenshots, actions, and the [`Driver`] trait with its contract.
//!
//! Invariant: knows no browser, no operating system and no model.

mod act;
mod allowed;
mod area;
mod chord;
pub mod conformance;
mod downloads;
mod driver;
mod effect;
mod error;
mod login;
mod note;
mod screenshot;
mod storage;
mod tab;
mod trouble;
mod visitor;
mod wait;

pub use act::{Act, ActKind, Action, Key, MouseButton};
pub use allowed::AllowedWindows;
pub use area::{AREA_HELP, Area};
pub use chord::{ChordError, parse_chord, print_chord};
pub use downloads::Downloads;
pub use driver::{Driver, Framed, PageState, Settled, TabId};
pub use effect::{
    Effect, PixelChange, classify, is_caret, pixel_change, pixel_change_beside, same_but_for_a_caret,
};
pub use error::DriverError;
pub use login::Login;
pub use note::Note;
pub use screenshot::Screenshot;
pub use storage::{Cookie, OriginStorage, StorageState, StoredItem};
pub use tab::{TabSearch, WhichTab};
pub use trouble::{Trouble, TroubleKind};
pub use visitor::{
    ACCURACY, Allowed, CERTIFICATES_HELP, Certificates, GEOLOCATION_HELP, Geolocation, LOCALE_HELP, Locale,
    PERMISSIONS, Permissions, TIME_ZONE_HELP, TimeZone, Visitor,
};
pub use wait::{wait_until, wait_while};
