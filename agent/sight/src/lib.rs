//! Eyes that read: what the reader finds on a screenshot, as an answer to an agent, and a mixture that knows whom to ask.
//!
//! Invariants: the pixels alone decide, no page is asked; a sure reading is the answer and a policy is not asked then; what
//! names a text is nowhere clicked where another text stands.

mod auto;
mod reader;
mod senses;
mod thoughts;
mod told;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::RgbImage;
use vigorl_reader::{Reader, ReaderError, Reading};

pub use auto::AutoEyes;
pub use reader::{READER, ReaderEyes, Seen, look};
pub use senses::ReaderSenses;
pub use told::{SharedTexts, ToldByReader};

/// A reader that eyes and senses of one agent share, and with it what is known of the last screenshot.
#[derive(Debug, Clone)]
pub struct SharedReader {
    reader: Arc<Mutex<Reader>>,
    /// Whether thoughts and reasons quote what was read.
    tells: bool,
}

impl SharedReader {
    /// Shares a reader.
    pub fn new(reader: Reader) -> Self {
        Self { reader: Arc::new(Mutex::new(reader)), tells: true }
    }

    /// The same reader, of whose texts thoughts and reasons quote none: they name places, and what the task says itself.
    #[must_use]
    pub fn discreet(self) -> Self {
        Self { tells: false, ..self }
    }

    /// Breaks off what is read once `stop` is set.
    pub fn stop_when(&self, stop: &'static AtomicBool) {
        self.lock().stop_when(stop);
    }

    /// The same models for a thread beside this one, with a memory of its own.
    pub fn beside(&self) -> Self {
        Self { tells: self.tells, ..Self::new(self.lock().beside()) }
    }

    /// All text of a picture.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read(&self, picture: &RgbImage) -> Result<Arc<Reading>, ReaderError> {
        self.lock().read(picture)
    }

    /// The same, where nothing is taken from memory.
    pub(crate) fn read_anew(&self, picture: &RgbImage) -> Result<Arc<Reading>, ReaderError> {
        self.lock().read_anew(picture)
    }

    fn lock(&self) -> MutexGuard<'_, Reader> {
        // A reading that panicked left nothing half done: the memory is put back last.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reason, or as much of it as may be told.
    fn told(&self, reason: String, discreet: &str) -> String {
        if self.tells { reason } else { discreet.to_owned() }
    }
}
