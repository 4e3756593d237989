//! What was said about an answer, and the one number that is made of it.
//!
//! Invariant: the number is a pure function of the record. What nobody can tell, what failed, what is missing and what is
//! no number leave no reward: never 0.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Whether something that was wanted holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// It was checked and holds.
    Satisfied,
    /// It was checked and does not hold.
    Unsatisfied,
    /// Nobody could tell. Never counted as success.
    Unknown,
}

impl Verification {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::Unsatisfied => "unsatisfied",
            Self::Unknown => "unknown",
        }
    }
}

/// What a judge said about one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// So much.
    Worth {
        /// Within the bounds.
        value: f64,
        /// The least and the most that could be said.
        bounds: [f64; 2],
    },
    /// Whether a clause holds: worth 1 or 0.
    Holds {
        /// What the check found.
        holds: Verification,
        /// Why nobody can tell, or why it does not hold, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Nothing, because whoever was asked failed.
    Failed {
        /// What went wrong.
        error: String,
    },
}

/// One line of a judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is judged; a name occurs once in a judgement.
    pub name: String,
    /// What was said.
    #[serde(flatten)]
    pub said: Said,
}

impl Entry {
    /// A value with its bounds. One that is no finite number, or out of bounds, is recorded as a failure.
    pub fn worth(name: impl Into<String>, value: f64, bounds: [f64; 2]) -> Self {
        let said = match check(value, bounds) {
            Ok(()) => Said::Worth { value, bounds },
            Err(error) => Said::Failed { error },
        };
        Self { name: name.into(), said }
    }

    /// What a check of a clause found, and why.
    pub fn holds(name: impl Into<String>, holds: Verification, why: Option<String>) -> Self {
        Self { name: name.into(), said: Said::Holds { holds, why } }
    }

    /// A failure of whoever was asked.
    pub fn failed(name: impl Into<String>, error: impl fmt::Display) -> Self {
        Self { name: name.into(), said: Said::Failed { error: error.to_string() } }
    }

    /// The number that a mixture takes.
    ///
    /// # Errors
    /// If there is none.
    pub fn value(&self) -> Result<f64, Unrewarded> {
        let name = || self.name.clone();
        match &self.said {
            Said::Worth { value, bounds } => match check(*value, *bounds) {
                Ok(()) => Ok(*value),
                Err(error) => Err(Unrewarded::Failed { name: name(), error }),
            },
            Said::Holds { holds: Verification::Satisfied, .. } => Ok(1.0),
            Said::Holds { holds: Verification::Unsatisfied, .. } => Ok(0.0),
            Said::Holds { holds: Verification::Unknown, why } => {
                Err(Unrewarded::Unknown { name: name(), why: why.clone() })
            }
            Said::Failed { error } => Err(Unrewarded::Failed { name: name(), error: error.clone() }),
        }
    }
}

/// Whether a value is a finite number within finite bounds.
fn check(value: f64, [least, most]: [f64; 2]) -> Result<(), String> {
    if !value.is_finite() {
        return Err(format!("{value} is not a finite number"));
    }
    let is_bounded = least.is_finite() && most.is_finite() && (least..=most).contains(&value);
    if is_bounded { Ok(()) } else { Err(format!("{value} is not from {least} to {most}")) }
}

/// Everything that was said about an answer, or about the world at the end of an episode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Judgement {
    /// In the order in which it was said.
    pub entries: Vec<Entry>,
}

impl Judgement {
    /// What was said about a name.
    ///
    /// # Errors
    /// If nothing was said, or something twice.
    pub fn entry(&self, name: &str) -> Result<&Entry, Unrewarded> {
        let mut found = self.entries.iter().filter(|entry| entry.name == name);
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => Err(Unrewarded::Missing { name: name.to_owned() }),
            (Some(_), Some(_)) => Err(Unrewarded::Twice { name: name.to_owned() }),
        }
    }
}

/// Weights of names: the reward is the sum of what was said, each times its weight, in the order of the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    weights: Vec<(String, f64)>,
}

impl Mixture {
    /// A mixture of at least one name, each with a finite weight.
    ///
    /// # Errors
    /// In words, what is wrong with the weights.
    pub fn try_new(weights: Vec<(String, f64)>) -> Result<Self, String> {
        if weights.is_empty() {
            return Err("a mixture needs a weight".to_owned());
        }
        for (idx, (name, weight)) in weights.iter().enumerate() {
            if !weight.is_finite() {
                return Err(format!("the weight of `{name}` is {weight}, which is not a finite number"));
            }
            if weights[..idx].iter().any(|(other, _)| other == name) {
                return Err(format!("`{name}` has two weights"));
            }
        }
        Ok(Self { weights })
    }

    /// Every name with its weight.
    pub fn weights(&self) -> impl Iterator<Item = (&str, f64)> {
        self.weights.iter().map(|(name, weight)| (name.as_str(), *weight))
    }

    /// The reward. A weight of 0 is for what is recorded and does not count, whatever was said about it.
    ///
    /// # Errors
    /// If something that counts was not said, is not known, or failed.
    pub fn reward(&self, judgement: &Judgement) -> Result<f64, Unrewarded> {
        let mut sum = 0.0;
        for (name, weight) in self.weights().filter(|(_, weight)| *weight != 0.0) {
            sum += weight * judgement.entry(name)?.value()?;
        }
        if sum.is_finite() { Ok(sum) } else { Err(Unrewarded::TooLarge) }
    }
}

impl Serialize for Mixture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.weights.len()))?;
        for (name, weight) in self.weights() {
            map.serialize_entry(name, &weight)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Mixture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Weights;
        impl<'de> Visitor<'de> for Weights {
            type Value = Vec<(String, f64)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("weights of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut weights = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    weights.push(entry);
                }
                Ok(weights)
            }
        }
        Self::try_new(deserializer.deserialize_map(Weights)?).map_err(serde::de::Error::custom)
    }
}

/// Why there is no reward.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Unrewarded {
    /// The record has no such name.
    #[error("nothing was said about `{name}`")]
    Missing {
        /// What has a weight.
        name: String,
    },
    /// The record has the name more than once.
    #[error("`{name}` was judged twice")]
    Twice {
        /// What has a weight.
        name: String,
    },
    /// Nobody can tell.
    #[error("nobody can tell whether `{name}` holds{}", because(why.as_deref()))]
    Unknown {
        /// What has a weight.
        name: String,
        /// Why not, where that is known.
        why: Option<String>,
    },
    /// Whoever was asked failed.
    #[error("`{name}`: {error}")]
    Failed {
        /// What has a weight.
        name: String,
        /// What went wrong.
        error: String,
    },
    /// The sum is beyond every number.
    #[error("the weighted sum is not a finite number")]
    TooLarge,
}

fn because(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(weights: &[(&str, f64)]) -> Mixture {
        Mixture::try_new(weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect())
            .unwrap()
    }

    fn judgement() -> Judgement {
        Judgement {
            entries: vec![
                Entry::worth("accuracy", 1.0, [0.0, 1.0]),
                Entry::worth("format", 0.5, [0.0, 1.0]),
                Entry::holds("the title", Verification::Satisfied, None),
                Entry::holds("the address", Verification::Unsatisfied, Some("it is `/x`".to_owned())),
                Entry::holds("the basket", Verification::Unknown, Some("a dialog covers it".to_owned())),
                Entry::failed("style", "it answered nothing"),
                Entry::worth("broken", f64::NAN, [0.0, 1.0]),
                Entry::worth("beyond", 2.0, [0.0, 1.0]),
            ],
        }
    }

    #[test]
    fn the_reward_is_the_weighted_sum() {
        let said = judgement();
        assert_eq!(mixture(&[("accuracy", 0.6), ("format", 0.4)]).reward(&said), Ok(0.8));
        assert_eq!(mixture(&[("the title", 1.0), ("the address", -3.0)]).reward(&said), Ok(1.0));
        assert_eq!(mixture(&[("accuracy", 2.0), ("style", 0.0)]).reward(&said), Ok(2.0));
    }

    #[test]
    fn what_is_not_known_is_no_reward_and_says_why() {
        let said = judgement();
        let why =
            |name: &str| mixture(&[("accuracy", 1.0), (name, 1e-9)]).reward(&said).unwrap_err().to_string();
        assert_eq!(why("the basket"), "nobody can tell whether `the basket` holds: a dialog covers it");
        assert_eq!(why("style"), "`style`: it answered nothing");
        assert_eq!(why("broken"), "`broken`: NaN is not a finite number");
        assert_eq!(why("beyond"), "`beyond`: 2 is not from 0 to 1");
        assert_eq!(why("speed"), "nothing was said about `speed`");
        let twice = Judgement { entries: [said.entries.clone(), said.entries].concat() };
        assert_eq!(
            mixture(&[("format", 1.0)]).reward(&twice).unwrap_err().to_string(),
            "`format` was judged twice"
        );
        let huge = mixture(&[("accuracy", f64::MAX), ("format", f64::MAX)]);
        assert_eq!(huge.reward(&judgement()), Err(Unrewarded::TooLarge));
    }

    #[test]
    fn a_record_reads_back_as_the_same_record_with_the_same_reward() {
        let said = judgement();
        let json = serde_json::to_string(&said).unwrap();
        assert!(
            json.starts_with(r#"[{"name":"accuracy","said":"worth","value":1.0,"bounds":[0.0,1.0]},"#),
            "{json}"
        );
        assert!(json.contains(r#"{"name":"the title","said":"holds","holds":"satisfied"}"#), "{json}");
        let back: Judgement = serde_json::from_str(&json).unwrap();
        assert_eq!(back, said);
        // A record that was changed by hand is checked as well.
        let forged = r#"[{"name":"accuracy","said":"worth","value":5,"bounds":[0,1]}]"#;
        assert!(mixture(&[("accuracy", 1.0)]).reward(&serde_json::from_str(forged).unwrap()).is_err());
    }

    #[test]
    fn weights_are_read_from_a_configuration() {
        #[derive(Debug, Deserialize)]
        struct Config {
            weights: Mixture,
        }
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.weights);
        let weights = read("[weights]\naccuracy = 0.6\nformat = 1\n").unwrap();
        assert_eq!(weights, mixture(&[("accuracy", 0.6), ("format", 1.0)]));
        for text in [
            "[weights]\n",
            "[weights]\na = nan\n",
            "[weights]\na = inf\n",
            "[weights]\na = 'x'\n",
            "weights = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
