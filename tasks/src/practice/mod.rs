//! Practice pages: a seeded generator of small web pages, each with instructions that name exactly one
//! widget, its truth boxes, and a script that judges real clicks.
//!
//! | module | does |
//! |---|---|
//! | [`PageSpec`] | what to generate: seed, split, tier, canvas, number and size of widgets |
//! | [`PracticePage`] | the generated page: a pure function of its specification |
//! | [`html`] | the page as HTML: alone with its judge, or many tiled on one sheet |
//! | [`PracticeEnv`] | live episodes through a driver |
//! | [`dataset`] | rendered sheets with records, and their reader |
//!
//! Invariants: widgets lie inside the canvas, on whole CSS pixels, and never overlap; the pages of different
//! splits come from different random streams; a tile of a sheet has the pixels of the live page.

pub mod dataset;
pub mod html;

mod cast;
mod environment;
mod layout;
mod look;
mod outline;
mod page;
mod spec;
mod widget;
mod words;
mod world;

pub use environment::{Episode, Outcome, PracticeEnv, PracticeError, Reason};
pub use layout::Layout;
pub use look::{Font, Frame, Look, Theme, Tick};
pub use page::{Decoration, GENERATOR, HeldOut, PageError, PracticePage, PracticeTask};
pub use spec::{Canvas, PageSpec, Span, Split, Tier};
pub use widget::{Chrome, Color, Kind, PixelBox, Shape, SizeClass, State, Widget};
pub use words::{HELD_OUT_WORDS, WORDS};
pub use world::PracticeWorld;
