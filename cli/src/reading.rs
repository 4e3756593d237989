//! The reader of this program. Invariant: it is made of the models that were built in, or else of those that `vigorl fetch
//! reader` fetched, which have the same hashes; or there is none, which is said.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use image::RgbImage;
use vigorl_agent::{Eyes, NamesTexts, PolicyEyes};
use vigorl_reader::{Line, NAME, Reader, Reading, Weights, file_names};
use vigorl_runs::ReadTexts;
use vigorl_runs::record::{LineRecord, box4};
use vigorl_sight::{AutoEyes, ReaderEyes, ReaderSenses, SharedReader, ToldByReader};
use vigorl_tasks::Senses;

use crate::env;
use crate::exit::usage;
use crate::eyes::Together;
use crate::interrupt;
use crate::parts::Part;

/// A reader that is ready.
#[derive(Debug, Clone)]
pub(crate) struct LoadedReader(SharedReader);

/// Whether this program can read.
pub(crate) fn is_there() -> bool {
    Weights::embedded().is_some() || fetched().is_some()
}

/// Where `vigorl fetch reader` puts the models of this program.
pub(crate) fn folder() -> Option<PathBuf> {
    env::cache_folder().map(|cache| cache.join("reader").join(&sha256()[..16]))
}

/// The same, if both are there.
fn fetched() -> Option<PathBuf> {
    folder().filter(|folder| file_names().iter().all(|name| folder.join(name).is_file()))
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
    Ok(Reader::new(weights(Weights::embedded(), fetched())?)?)
}

/// What was built in, or what was fetched.
fn weights(embedded: Option<Weights>, fetched: Option<PathBuf>) -> anyhow::Result<Weights> {
    match (embedded, fetched) {
        (Some(weights), _) => Ok(weights),
        (None, Some(folder)) => Weights::of_folder(&folder).context("`vigorl fetch reader` fetches them again"),
        (None, None) => Err(usage(
            "this program was built without the text models: `vigorl fetch reader` fetches them from the hub; or \
             `make setup` fetches them and `make build` builds them in"
                .to_owned(),
        )),
    }
}

impl LoadedReader {
    /// Loads the models.
    pub(crate) fn load() -> anyhow::Result<Self> {
        Ok(Self(SharedReader::new(reader()?)))
    }

    /// It, whose readings end with Ctrl-C. Whoever records ends with Ctrl-C and reads then.
    pub(crate) fn until_interrupted(self) -> Self {
        self.0.stop_when(interrupt::flag());
        self
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

    /// Eyes whose policy it tells where the words of an instruction stand.
    pub(crate) fn telling<'a>(&self, eyes: Box<dyn Eyes + 'a>) -> Box<dyn Eyes + 'a> {
        Box::new(ToldByReader { eyes, reader: self.0.clone() })
    }

    /// It, for a policy that is told.
    pub(crate) fn named_texts(&self) -> Box<dyn NamesTexts> {
        Box::new(self.0.clone())
    }

    /// It, for policies that are told, in threads that show the same screenshots.
    pub(crate) fn shared_texts(&self) -> SharedTexts {
        let shared = vigorl_sight::SharedTexts::new(self.0.clone());
        Box::new(move || Box::new(shared.beside()))
    }

    /// It, for clauses about pixels.
    pub(crate) fn senses(&self) -> Box<dyn Senses> {
        Box::new(ReaderSenses::new(self.0.clone()))
    }
}

/// Gives each thread a reader that knows what the others have read.
pub(crate) type SharedTexts = Box<dyn Fn() -> Box<dyn NamesTexts> + Send + Sync>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_models_reads_with_fetched_ones() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../grounding/reader/weights");
        let mut reader = Reader::new(weights(None, Some(folder.into())).unwrap()).unwrap();
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/reader/page.png");
        let reading = reader.read(&image::open(page).unwrap().into_rgb8()).unwrap();
        assert!(reading.lines.iter().any(|line| line.text == "Members"), "{reading:?}");
        let said = weights(None, None).unwrap_err().to_string();
        assert!(said.contains("vigorl fetch reader"), "{said}");
    }
}
