//! Parts that a build can leave out: `make demo` builds only what the demo needs.
//!
//! Invariant: what was left out stays in the help; asked for, it ends as wrong usage and names the command that builds
//! it, before anything else is done.

use crate::exit::usage;

/// A feature of this crate, by what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Checkpoints by their names on the hub.
    Hub,
    /// The desktop driver.
    Desktop,
    /// The trainer.
    Training,
    /// Results as JUnit's XML.
    Junit,
    /// The reader of text.
    Reader,
}

impl Part {
    /// Ends as wrong usage if this program has no such part.
    pub(crate) fn needed(self) -> anyhow::Result<()> {
        if self.is_there() { Ok(()) } else { Err(self.missing()) }
    }

    /// Says that this program has no such part.
    pub(crate) fn missing(self) -> anyhow::Error {
        usage(format!("{} is not in this program: {}", self.name(), self.cure()))
    }

    /// How to get it.
    pub(crate) fn cure(self) -> String {
        "`make build` in its source folder builds it with every part".to_owned()
    }

    fn is_there(self) -> bool {
        match self {
            Self::Hub => cfg!(feature = "hub"),
            Self::Desktop => cfg!(feature = "desktop"),
            Self::Training => cfg!(feature = "training"),
            Self::Junit => cfg!(feature = "junit"),
            Self::Reader => cfg!(feature = "reader"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hub => "the hub's client, which fetches ORG/NAME",
            Self::Desktop => "the desktop driver",
            Self::Training => "the trainer",
            Self::Junit => "JUnit's XML, which --junit writes,",
            Self::Reader => "the reader of text",
        }
    }
}
