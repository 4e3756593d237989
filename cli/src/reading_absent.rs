//! Stands in for `reading.rs` in a program that is built without the reader. Invariant: there is none.

use std::convert::Infallible;

#[cfg(feature = "desktop")]
use image::RgbImage;
use vigorl_agent::{Eyes, NamesTexts, PolicyEyes};
use vigorl_runs::ReadTexts;
use vigorl_tasks::Senses;

use crate::eyes::Together;
use crate::parts::Part;

/// Nothing of it can be made; nobody outside of this file knows, so that code for a reader is no dead code.
#[derive(Debug, Clone)]
pub(crate) struct LoadedReader(Infallible);

pub(crate) fn is_there() -> bool {
    false
}

pub(crate) fn name() -> &'static str {
    "none"
}

pub(crate) fn sha256() -> String {
    String::new()
}

pub(crate) type SharedTexts = Box<dyn Fn() -> Box<dyn NamesTexts> + Send + Sync>;

impl LoadedReader {
    pub(crate) fn load() -> anyhow::Result<Self> {
        Err(Part::Reader.missing())
    }

    pub(crate) fn until_interrupted(self) -> Self {
        match self.0 {}
    }

    pub(crate) fn beside(&self) -> Self {
        match self.0 {}
    }

    pub(crate) fn discreet(self) -> Self {
        match self.0 {}
    }

    pub(crate) fn for_record(&self) -> Box<dyn ReadTexts> {
        match self.0 {}
    }

    #[cfg(feature = "desktop")]
    pub(crate) fn name_at(&self, _: &RgbImage, _: [f64; 2]) -> Option<String> {
        match self.0 {}
    }

    pub(crate) fn eyes(&self) -> Box<dyn Eyes> {
        match self.0 {}
    }

    pub(crate) fn with_policy<'a>(&self, _: PolicyEyes<'a>, _: Together) -> Box<dyn Eyes + 'a> {
        match self.0 {}
    }

    pub(crate) fn telling<'a>(&self, _: Box<dyn Eyes + 'a>) -> Box<dyn Eyes + 'a> {
        match self.0 {}
    }

    pub(crate) fn named_texts(&self) -> Box<dyn NamesTexts> {
        match self.0 {}
    }

    pub(crate) fn shared_texts(&self) -> SharedTexts {
        match self.0 {}
    }

    pub(crate) fn senses(&self) -> Box<dyn Senses> {
        match self.0 {}
    }
}
