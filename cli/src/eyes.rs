//! Which eyes a run has: the one place that turns a name into eyes.
//!
//! Invariant: [`NAMED`] and [`LoadedEyes`] know the same names; what needs a model loads it before anything begins.

use vigorl_agent::{Eyes, PlaceEyes};
use vigorl_runs::record::ModelRecord;

use crate::model::{self, LoadedPolicy};
use crate::settings::Settings;

/// Every pair of eyes, and who decides.
pub(crate) const NAMED: [(&str, &str); 2] = [
    (POLICY, "a model looks at the screenshot"),
    (PLACES, "nobody looks: targets are where the task file says (selector, name, picture, at)"),
];
/// The default.
pub(crate) const POLICY: &str = "policy";
/// Those of `--places`.
pub(crate) const PLACES: &str = "places";

/// Eyes that are ready.
#[derive(Debug)]
pub(crate) enum LoadedEyes {
    Policy(Box<LoadedPolicy>),
    Places,
}

impl LoadedEyes {
    /// The eyes of that name.
    pub(crate) fn load(name: &str, settings: &Settings) -> anyhow::Result<Self> {
        Ok(match name {
            PLACES => Self::Places,
            _ => Self::Policy(Box::new(model::load(settings)?)),
        })
    }

    /// The same for a thread beside this one.
    pub(crate) fn beside(&self) -> Self {
        match self {
            Self::Policy(policy) => Self::Policy(Box::new(policy.beside())),
            Self::Places => Self::Places,
        }
    }

    /// The same with other random draws.
    pub(crate) fn with_seed(&mut self, seed: u64) {
        match self {
            Self::Policy(policy) => policy.sampling.seed = seed,
            Self::Places => {}
        }
    }

    /// As an agent takes them.
    pub(crate) fn eyes(&mut self) -> Box<dyn Eyes + '_> {
        match self {
            Self::Policy(policy) => Box::new(policy.eyes()),
            Self::Places => Box::new(PlaceEyes),
        }
    }

    /// What a record says of them.
    pub(crate) fn record(&self) -> anyhow::Result<ModelRecord> {
        match self {
            Self::Policy(policy) => policy.record(),
            Self::Places => Ok(ModelRecord { name: PLACES.to_owned(), ..ModelRecord::default() }),
        }
    }
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
