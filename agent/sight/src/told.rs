//! Reads for a policy that cannot: which words of an instruction stand on the screen, and where.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;
use vigorl_agent::{Ask, Eyes, NamesTexts, Sighting, ToldEyes};
use vigorl_interface::Screenshot;
use vigorl_policy::wire::ReadText;
use vigorl_policy::{GroundObserver, PolicyError};
use vigorl_reader::{ReaderError, Reading, named_texts};

use crate::SharedReader;

impl NamesTexts for SharedReader {
    fn named_texts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
    ) -> Result<Vec<ReadText>, PolicyError> {
        told(self.read(&screenshot.pixels), instruction)
    }
}

fn told(reading: Result<Arc<Reading>, ReaderError>, instruction: &str) -> Result<Vec<ReadText>, PolicyError> {
    let reading = match reading {
        Ok(reading) => reading,
        // Then the policy looks without.
        Err(ReaderError::TooLarge { .. } | ReaderError::Stopped) => return Ok(Vec::new()),
        Err(error) => return Err(PolicyError::Beside(error.into())),
    };
    let named = named_texts(&reading, instruction).into_iter();
    Ok(named.map(|named| ReadText { text: named.text, at: named.at }).collect())
}

/// Readings of screenshots that are remembered: the newest ones, by a hash of their pixels.
const REMEMBERED: usize = 2048;

/// A reader for episodes that are played at once: a screenshot that many of them show is read once.
///
/// Invariant: what is told depends on the screenshot alone, and not on what was read before it.
#[derive(Debug)]
pub struct SharedTexts {
    reader: SharedReader,
    known: Arc<Mutex<Known>>,
}

/// Of one screenshot; whoever holds it reads, and the others wait.
type Place = Arc<Mutex<Option<Arc<Reading>>>>;

#[derive(Debug, Default)]
struct Known {
    readings: HashMap<u64, Place>,
    /// Hashes, the oldest first.
    order: VecDeque<u64>,
    hashes: RandomState,
}

impl Known {
    /// The place of a picture's reading, which may be there, or be made by another thread at this moment.
    fn place_of(&mut self, picture: &RgbImage) -> Place {
        let hash = self.hashes.hash_one((picture.dimensions(), picture.as_raw()));
        if let Some(place) = self.readings.get(&hash) {
            return Arc::clone(place);
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.readings.remove(&oldest);
        }
        Arc::clone(self.readings.entry(hash).or_default())
    }
}

impl SharedTexts {
    /// Texts as this reader reads them.
    pub fn new(reader: SharedReader) -> Self {
        Self { reader, known: Arc::default() }
    }

    /// The same for a thread beside this one.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { reader: self.reader.beside(), known: Arc::clone(&self.known) }
    }
}

impl NamesTexts for SharedTexts {
    fn named_texts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
    ) -> Result<Vec<ReadText>, PolicyError> {
        let place = self.known.lock().unwrap_or_else(PoisonError::into_inner).place_of(&screenshot.pixels);
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = match &*known {
            Some(reading) => Ok(Arc::clone(reading)),
            // What failed is not remembered.
            None => self.reader.read_anew(&screenshot.pixels).inspect(|read| *known = Some(Arc::clone(read))),
        };
        told(reading, instruction)
    }
}

/// Eyes whose policy is told by a reader.
pub struct ToldByReader<'a> {
    /// Who looks.
    pub eyes: Box<dyn Eyes + 'a>,
    /// Who reads.
    pub reader: SharedReader,
}

impl std::fmt::Debug for ToldByReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToldByReader").field("eyes", &self.eyes.name()).finish_non_exhaustive()
    }
}

impl Eyes for ToldByReader<'_> {
    fn name(&self) -> &str {
        self.eyes.name()
    }

    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        ToldEyes { eyes: &mut *self.eyes, texts: &mut self.reader }.find(ask, observer)
    }

    fn may_err(&self) -> bool {
        self.eyes.may_err()
    }

    fn may_differ(&self) -> bool {
        self.eyes.may_differ()
    }
}
