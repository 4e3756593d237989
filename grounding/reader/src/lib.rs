//! Reads the text on a screenshot, and finds what an instruction names by its words.
//!
//! A [`Reader`] turns pixels into a [`Reading`]: lines, the characters in them, and where each stands. [`find()`] turns an
//! instruction and a reading into candidates with ranks. Nothing here acts, and nothing here asks a page.
//!
//! Invariants: what is read is data, never an error and never executed; a screenshot is read whole, so that a text is
//! found in every region that holds it; a reading from memory has the lines that a fresh one has.
//!
//! The text models are published ones (PP-OCRv6 small, Apache-2.0): `weights.lock` names the files by their hashes. They
//! are computed by `rten`. A build without the files has no reader, and says so ([`Reader::embedded`]).

mod asked;
mod boxes;
mod contradiction;
mod description;
mod detector;
mod evidence;
mod exact;
mod find;
mod gone;
mod instruction;
mod kinds;
mod marks;
mod memory;
mod named;
mod networks;
mod occurrences;
mod onnx;
mod pieces;
mod reader;
mod reading;
mod recogniser;
mod shapes;
mod signs;
mod spelling;
mod trunk;
mod value;
mod weights;

pub use asked::{Asked, Wording, name_at, place_of_text};
pub use contradiction::contradiction;
pub use exact::{Certainty, Standing};
pub use find::{Candidate, Findings, find, may_name_a_sign};
pub use gone::Fate;
pub use instruction::{Kind, Nth, Query, Relation, interpretations};
pub use named::{NamedText, named_texts};
pub use networks::Networks;
pub use occurrences::{Extent, Spelled, spelled};
pub use reader::{Reader, ReaderError};
pub use reading::{Frame, Glyph, Line, Reading};
pub use spelling::Spelling;
pub use value::{Side, Wanted};
pub use weights::{NAME, Weights, file_names, sha256};
