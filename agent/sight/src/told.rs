//! Reads for a policy that cannot: which words of an instruction stand on the screen, and where.

use vigorl_agent::{Ask, Eyes, NamesTexts, Sighting, ToldEyes};
use vigorl_interface::Screenshot;
use vigorl_policy::wire::ReadText;
use vigorl_policy::{GroundObserver, PolicyError};
use vigorl_reader::{ReaderError, named_texts};

use crate::SharedReader;

impl NamesTexts for SharedReader {
    fn named_texts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
    ) -> Result<Vec<ReadText>, PolicyError> {
        let reading = match self.read(&screenshot.pixels) {
            Ok(reading) => reading,
            // Then the policy looks without.
            Err(ReaderError::TooLarge { .. } | ReaderError::Stopped) => return Ok(Vec::new()),
            Err(error) => return Err(PolicyError::Beside(error.into())),
        };
        let named = named_texts(&reading, instruction).into_iter();
        Ok(named.map(|named| ReadText { text: named.text, at: named.at }).collect())
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
