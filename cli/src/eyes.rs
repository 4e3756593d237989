//! Which eyes a run has: the one place that turns a name into eyes.
//!
//! Invariant: [`NAMED`] and [`LoadedEyes`] know the same names; what needs a model loads it before anything begins.

use vigorl_agent::{Eyes, PlaceEyes};
use vigorl_policy::Preset;
use vigorl_rollouts::Calls;
use vigorl_runs::ReadTexts;
use vigorl_runs::record::ModelRecord;
use vigorl_tasks::{Blind, Senses};

use crate::model::{self, LoadedPolicy};
use crate::reading::{self, LoadedReader};
use crate::settings::{RecordText, Settings};

/// Every pair of eyes, and who decides.
pub(crate) const NAMED: [(&str, &str); 4] = [
    (AUTO, "texts are read; a model looks for what has none [default]"),
    (READER, "texts are read, and nobody else looks"),
    (POLICY, "a model looks at the screenshot"),
    (PLACES, "nobody looks: targets are where the task file says (selector, name, picture, at)"),
];
/// The reader, and the policy for the rest.
pub(crate) const AUTO: &str = "auto";
/// The reader alone.
pub(crate) const READER: &str = "reader";
/// The policy alone.
pub(crate) const POLICY: &str = "policy";
/// Those of `--places`.
pub(crate) const PLACES: &str = "places";

/// How a reader and a policy work together.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "reader"), expect(dead_code, reason = "only a reader works together with a policy"))]
pub(crate) struct Together {
    /// From which confidence on a reading is the answer.
    pub(crate) min_confidence: f64,
    /// Whether the policy looks first at what is around readings that are not sure.
    pub(crate) suggests_regions: bool,
}

/// Eyes that are ready.
#[derive(Debug)]
pub(crate) enum LoadedEyes {
    Auto(LoadedReader, Box<LoadedPolicy>, Together),
    Reader(LoadedReader),
    /// With whoever tells it where the words of its instruction stand, if it is told.
    Policy(Box<LoadedPolicy>, Option<LoadedReader>),
    Places,
}

/// Those that are meant where none are named: in a program that cannot read, which `doctor` says, the policy alone.
pub(crate) fn by_default() -> &'static str {
    if reading::is_there() { AUTO } else { POLICY }
}

impl LoadedEyes {
    /// The eyes of that name.
    pub(crate) fn load(name: &str, settings: &Settings) -> anyhow::Result<Self> {
        Ok(match name {
            PLACES => Self::Places,
            READER => Self::Reader(load_reader(settings)?),
            AUTO => {
                let Settings { min_confidence, suggest_regions: suggests_regions, .. } = *settings;
                let together = Together { min_confidence, suggests_regions };
                Self::Auto(load_reader(settings)?, Box::new(model::load(settings)?), together)
            }
            _ => {
                let policy = model::load(settings)?;
                let reader = policy.told_texts.then(|| load_reader(settings)).transpose()?;
                Self::Policy(Box::new(policy), reader)
            }
        })
    }

    /// The same for a thread beside this one.
    pub(crate) fn beside(&self) -> Self {
        match self {
            Self::Auto(reader, policy, how) => Self::Auto(reader.beside(), Box::new(policy.beside()), *how),
            Self::Reader(reader) => Self::Reader(reader.beside()),
            Self::Policy(policy, reader) => {
                Self::Policy(Box::new(policy.beside()), reader.as_ref().map(LoadedReader::beside))
            }
            Self::Places => Self::Places,
        }
    }

    /// The same with other random draws.
    pub(crate) fn with_seed(&mut self, seed: u64) {
        match self {
            Self::Policy(policy, _) | Self::Auto(_, policy, _) => policy.sampling.seed = seed,
            Self::Places | Self::Reader(_) => {}
        }
    }

    /// Keeps the turns of the policy among them from now on.
    pub(crate) fn keep_turns(&mut self) -> Calls {
        let calls = Calls::default();
        if let Self::Policy(policy, _) | Self::Auto(_, policy, _) = self {
            policy.policy.calls = Some(calls.clone());
        }
        calls
    }

    /// As an agent takes them.
    pub(crate) fn eyes(&mut self) -> Box<dyn Eyes + '_> {
        self.spoken_to(None)
    }

    /// The same with another preset for the policy among them.
    pub(crate) fn spoken_to<'a>(&'a mut self, preset: Option<&'a Preset>) -> Box<dyn Eyes + 'a> {
        match self {
            Self::Auto(reader, policy, how) => {
                let is_told = policy.told_texts;
                let eyes = reader.with_policy(policy.spoken_to(preset), *how);
                if is_told { reader.telling(eyes) } else { eyes }
            }
            Self::Reader(reader) => reader.eyes(),
            Self::Policy(policy, reader) => {
                let eyes = Box::new(policy.spoken_to(preset));
                match reader {
                    Some(reader) => reader.telling(eyes),
                    None => eyes,
                }
            }
            Self::Places => Box::new(PlaceEyes),
        }
    }

    /// The policy among them, if there is one.
    pub(crate) fn policy(&self) -> Option<&LoadedPolicy> {
        match self {
            Self::Auto(_, policy, _) | Self::Policy(policy, _) => Some(policy),
            Self::Reader(_) | Self::Places => None,
        }
    }

    /// The same, to be asked.
    pub(crate) fn policy_mut(&mut self) -> Option<&mut LoadedPolicy> {
        match self {
            Self::Auto(_, policy, _) | Self::Policy(policy, _) => Some(policy),
            Self::Reader(_) | Self::Places => None,
        }
    }

    /// Whoever can look at pixels for clauses.
    pub(crate) fn senses(&self, settings: &Settings) -> anyhow::Result<Box<dyn Senses>> {
        Ok(match self {
            Self::Auto(reader, ..) | Self::Reader(reader) | Self::Policy(_, Some(reader)) => reader.senses(),
            Self::Policy(_, None) | Self::Places if reading::is_there() => load_reader(settings)?.senses(),
            Self::Policy(_, None) | Self::Places => Box::new(Blind),
        })
    }

    /// Whoever reads all text for a record.
    pub(crate) fn for_record(&self, settings: &Settings) -> anyhow::Result<Box<dyn ReadTexts>> {
        Ok(match self {
            Self::Auto(reader, ..) | Self::Reader(reader) | Self::Policy(_, Some(reader)) => {
                reader.for_record()
            }
            Self::Policy(_, None) | Self::Places => load_reader(settings)?.for_record(),
        })
    }

    /// What a record says of them.
    pub(crate) fn record(&self) -> anyhow::Result<ModelRecord> {
        match self {
            Self::Auto(_, policy, _) => {
                let record = policy.record()?;
                Ok(ModelRecord { name: format!("{AUTO}({})", record.name), ..record })
            }
            Self::Policy(policy, _) => policy.record(),
            Self::Reader(_) => Ok(ModelRecord { name: READER.to_owned(), ..ModelRecord::default() }),
            Self::Places => Ok(ModelRecord { name: PLACES.to_owned(), ..ModelRecord::default() }),
        }
    }
}

/// A reader that tells as much as may be recorded.
fn load_reader(settings: &Settings) -> anyhow::Result<LoadedReader> {
    let reader = LoadedReader::load()?.until_interrupted();
    Ok(if settings.record_text == RecordText::None { reader.discreet() } else { reader })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_eyes_that_say_who_decides() {
        let settings = Settings::resolve(crate::settings::Layer::default()).unwrap();
        for (name, _) in NAMED {
            let mut loaded = LoadedEyes::load(name, &settings).unwrap();
            let who = loaded.eyes().name().to_owned();
            assert_eq!(who, loaded.record().unwrap().name, "{name}");
            assert_eq!(loaded.beside().eyes().name(), who);
        }
    }
}
