//! The reader of this program. Invariant: it is made of the models that were built in, or there is none, which is said.

use std::sync::Arc;

use image::RgbImage;
use vigorl_agent::{Eyes, PolicyEyes};
use vigorl_reader::{Line, NAME, Reader, Reading, Weights};
use vigorl_runs::ReadTexts;
use vigorl_runs::record::{LineRecord, box4};
use vigorl_sight::{AutoEyes, ReaderEyes, ReaderSenses, SharedReader};
use vigorl_tasks::Senses;

use crate::exit::usage;
use crate::eyes::Together;
use crate::interrupt;
use crate::parts::Part;

/// A reader that is ready.
#[derive(Debug, Clone)]
pub(crate) struct LoadedReader(SharedReader);

/// Whether this program can read.
pub(crate) fn is_there() -> bool {
    Weights::embedded().is_some()
}

/// The models' name, or `none`.
pub(crate) fn name() -> &'static str {
    if is_there() { NAME } else { "none" }
}

/// What a fitted confidence of the reader belongs to.
pub(crate) fn sha256() -> String {
    vigorl_reader::sha256()
}

/// The reader itself.
pub(crate) fn reader() -> anyhow::Result<Reader> {
    Part::Reader.needed()?;
    Reader::embedded()?.ok_or_else(|| {
        usage(
            "this program was built without the text models: `make setup` fetches them, `make build` builds them in"
                .to_owned(),
        )
    })
}

impl LoadedReader {
    /// Loads the models.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let reader = SharedReader::new(reader()?);
        reader.stop_when(interrupt::flag());
        Ok(Self(reader))
    }

    /// The same for a thread beside this one.
    pub(crate) fn beside(&self) -> Self {
        Self(self.0.beside())
    }

    /// The same, of whose texts nothing is quoted in thoughts and reasons.
    pub(crate) fn discreet(self) -> Self {
        Self(self.0.discreet())
    }

    /// It, for a record of all text.
    pub(crate) fn for_record(&self) -> Box<dyn ReadTexts> {
        Box::new(self.clone())
    }

    /// All text of a picture.
    pub(crate) fn read(&self, picture: &RgbImage) -> anyhow::Result<Arc<Reading>> {
        Ok(self.0.read(picture)?)
    }

    #[cfg(feature = "desktop")]
    /// What the thing at a pixel of a picture is called, if that can be read.
    pub(crate) fn name_at(&self, picture: &RgbImage, [x, y]: [f64; 2]) -> Option<String> {
        vigorl_reader::name_at(&*self.0.read(picture).ok()?, picture, vigorl_geometry::Point::new(x, y))
    }

    /// It, as eyes of an agent.
    pub(crate) fn eyes(&self) -> Box<dyn Eyes> {
        Box::new(ReaderEyes(self.0.clone()))
    }

    /// It, with a policy for what it cannot read.
    pub(crate) fn with_policy<'a>(&self, policy: PolicyEyes<'a>, together: Together) -> Box<dyn Eyes + 'a> {
        let eyes = AutoEyes::new(self.0.clone(), policy, together.min_confidence);
        Box::new(eyes.suggesting_regions(together.suggests_regions))
    }

    /// It, for clauses about pixels.
    pub(crate) fn senses(&self) -> Box<dyn Senses> {
        Box::new(ReaderSenses::new(self.0.clone()))
    }
}

impl ReadTexts for LoadedReader {
    fn lines(&mut self, picture: &RgbImage) -> Result<Vec<LineRecord>, String> {
        let reading = self.0.read(picture).map_err(|error| error.to_string())?;
        let line = |line: &Line| LineRecord {
            text: line.text.clone(),
            rect: box4(line.rect),
            confidence: line.confidence,
        };
        Ok(reading.lines.iter().map(line).collect())
    }
}
