//! Rewards as a configuration names them: a judge, rewards of one's own, and weights.
//!
//! Invariant: nothing has a hidden default; every weight names something that is said, and everything of one's own has a
//! weight.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::home::{Lines, terms, text};
use crate::own::{Address, Command, OwnError, OwnReward};
use crate::record::{Entry, Judgement, Mixture, Said, Unrewarded};
use crate::reward::{Mode, Reward};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardsConfig {
    /// The name of a reward of the reference, if one is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// How exactly it follows the reference; named wherever a judge is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What counts how much.
    pub weights: Mixture,
    /// Rewards of one's own, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<String, OwnConfig>,
}

/// One reward of one's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnConfig {
    /// A line of the shell that reads JSON and writes a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Or an address that is sent JSON and answers with a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many seconds one answer may take.
    pub limit_secs: f64,
    /// The least and the most that it can say; what is beyond is an error.
    pub bounds: [f64; 2],
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such reward.
    #[error("there is no reward `{name}`: `vigorl judge --list` names them")]
    NoJudge {
        /// What was named.
        name: String,
    },
    /// A judge without a mode, or the other way round.
    #[error("`judge` and `mode` belong together: name both or neither")]
    Half,
    /// A weight for what nobody says.
    #[error("nobody says `{name}`: weights can be given to {}", known.join(", "))]
    NobodySays {
        /// What has a weight.
        name: String,
        /// What can have one.
        known: Vec<String>,
    },
    /// A reward of one's own without a weight, or with the name of something else.
    #[error("`own.{name}`: {why}")]
    Own {
        /// Which one.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// An address that cannot be asked.
    #[error("`own.{name}`: {source}")]
    Address {
        /// Which one.
        name: String,
        /// Why not.
        source: OwnError,
    },
}

/// What a world paid for an episode.
pub const ENVIRONMENT: &str = "environment";
/// The share of its clauses that hold.
pub const CLAUSES: &str = "clauses";
/// What a world pays at least and at most.
const PAID: [f64; 2] = [-1.0, 1.0];

/// What is known of an episode in a world.
#[derive(Debug, Clone, Copy)]
pub struct InWorld<'a> {
    /// What was said, action by action.
    pub responses: &'a [String],
    /// What the world paid; nothing if nobody could tell.
    pub paid: Option<f64>,
    /// What its judge said, clause by clause.
    pub clauses: &'a [Entry],
    /// What rewards of one's own are asked about.
    pub line: &'a Value,
}

/// Rewards that are ready to judge.
#[derive(Debug)]
pub struct Rewards {
    judge: Option<(Reward, Mode)>,
    mixture: Mixture,
    own: Vec<Own>,
}

#[derive(Debug)]
struct Own {
    name: String,
    bounds: [f64; 2],
    asked: Box<dyn OwnReward>,
}

impl Rewards {
    /// Checks a configuration and prepares what it names.
    ///
    /// # Errors
    /// If it does not make sense.
    pub fn try_new(config: &RewardsConfig) -> Result<Self, ConfigError> {
        Self::checked(config, &[])
    }

    /// The same for episodes in worlds, which say [`ENVIRONMENT`] and [`CLAUSES`] as well.
    ///
    /// # Errors
    /// If it does not make sense.
    pub fn in_worlds(config: &RewardsConfig) -> Result<Self, ConfigError> {
        Self::checked(config, &[ENVIRONMENT, CLAUSES])
    }

    fn checked(config: &RewardsConfig, of_world: &[&str]) -> Result<Self, ConfigError> {
        let judge = match (&config.judge, config.mode) {
            (Some(name), Some(mode)) => {
                let reward =
                    Reward::named(name).ok_or_else(|| ConfigError::NoJudge { name: name.clone() })?;
                Some((reward, mode))
            }
            (None, None) => None,
            _ => return Err(ConfigError::Half),
        };
        let said = judge.map_or(&[][..], |(reward, mode)| reward.terms(mode));
        let said: Vec<&str> = said.iter().chain(of_world).copied().collect();
        let known = || said.iter().copied().chain(config.own.keys().map(String::as_str));
        for (name, _) in config.weights.weights() {
            if !known().any(|other| other == name) {
                let known = known().map(str::to_owned).collect();
                return Err(ConfigError::NobodySays { name: name.to_owned(), known });
            }
        }
        let own = config.own.iter().map(|(name, own)| {
            let wrong = |why| ConfigError::Own { name: name.clone(), why };
            if said.contains(&name.as_str()) {
                return Err(wrong("something of this name is said already"));
            }
            if !config.weights.weights().any(|(other, _)| other == name) {
                return Err(wrong("it has no weight; 0 is one, for what is only looked at"));
            }
            own.check().map_err(wrong)?;
            let limit = Duration::from_secs_f64(own.limit_secs);
            let asked: Box<dyn OwnReward> = match (&own.command, &own.url) {
                (Some(line), None) => Box::new(Command { line: line.clone(), limit }),
                (None, Some(url)) => {
                    let address = Address::try_new(url, limit);
                    Box::new(address.map_err(|source| ConfigError::Address { name: name.clone(), source })?)
                }
                _ => return Err(wrong("it needs one of `command` and `url`")),
            };
            Ok(Own { name: name.clone(), bounds: own.bounds, asked })
        });
        let own = own.collect::<Result<_, _>>()?;
        Ok(Self { judge, mixture: config.weights.clone(), own })
    }

    /// What everybody says about a line: the record that [`Self::reward`] is made of. Whoever fails is recorded as that.
    ///
    /// # Errors
    /// In words, if the line is no answer with its truth.
    pub fn judge(&mut self, line: &Value) -> Result<Judgement, String> {
        let (response, truth) = (text(line, "response")?, text(line, "ground_truth")?);
        let mut judgement =
            self.judge.map_or_else(Judgement::default, |(reward, mode)| reward.judge(mode, response, truth));
        self.ask_own(line, &mut judgement);
        Ok(judgement)
    }

    /// What everybody says about an episode: the world, the judge, to whom the world says whether the answers are right, and
    /// rewards of one's own. A term of the judge is the mean over the actions.
    pub fn judge_in_world(&mut self, InWorld { responses, paid, clauses, line }: InWorld<'_>) -> Judgement {
        /// Why something is not known.
        const UNTOLD: &str = "the world could not tell whether it is solved";
        let paid = paid.map(|paid| (paid, PAID)).ok_or(UNTOLD);
        let mut judgement = Judgement::default();
        judgement.entries.push(match paid {
            Ok((paid, bounds)) => Entry::worth(ENVIRONMENT, paid, bounds),
            Err(why) => Entry::failed(ENVIRONMENT, why),
        });
        judgement.entries.push(share_that_holds(clauses));
        if let Some((reward, mode)) = self.judge {
            let said: Vec<_> = responses.iter().map(|response| reward.said(mode, response, paid)).collect();
            judgement.entries.extend(reward.terms(mode).iter().map(|term| mean(term, &said)));
        }
        self.ask_own(line, &mut judgement);
        judgement
    }

    fn ask_own(&mut self, line: &Value, judgement: &mut Judgement) {
        for own in &mut self.own {
            judgement.entries.push(match own.asked.ask(line) {
                Ok(value) => Entry::worth(&own.name, value, own.bounds),
                Err(error) => Entry::failed(&own.name, error),
            });
        }
    }

    /// The first reward of one's own that failed, and why: the world and the judge are not to blame for it.
    pub fn own_failure(&self, judgement: &Judgement) -> Option<Unrewarded> {
        let is_own = |entry: &&Entry| self.own.iter().any(|own| own.name == entry.name);
        judgement.entries.iter().filter(is_own).find_map(|entry| entry.value().err())
    }

    /// The number that the weights make of a record, now or later.
    ///
    /// # Errors
    /// If something that counts is not known.
    pub fn reward(&self, judgement: &Judgement) -> Result<f64, Unrewarded> {
        self.mixture.reward(judgement)
    }
}

/// The share of clauses that hold; not known if one of them is not, or if there is none.
fn share_that_holds(clauses: &[Entry]) -> Entry {
    if clauses.is_empty() {
        return Entry::failed(CLAUSES, "the world has no clauses");
    }
    match clauses.iter().map(Entry::value).sum::<Result<f64, _>>() {
        Ok(sum) => Entry::worth(CLAUSES, sum / clauses.len() as f64, [0.0, 1.0]),
        Err(why) => Entry::failed(CLAUSES, why),
    }
}

/// The mean of a term over several judgements; not known if one of them is not, or if there is none.
fn mean(term: &str, said: &[Vec<Entry>]) -> Entry {
    let of_term = said.iter().flatten().filter(|entry| entry.name == term);
    let values: Result<Vec<f64>, _> = of_term.clone().map(Entry::value).collect();
    match values {
        Ok(values) if values.is_empty() => Entry::failed(term, "nothing was said"),
        Ok(values) => {
            let bounds = of_term.filter_map(|entry| match entry.said {
                Said::Worth { bounds, .. } => Some(bounds),
                _ => None,
            });
            let (least, most) =
                bounds.fold((0.0, 0.0), |(a, b): (f64, f64), [least, most]| (a.min(least), b.max(most)));
            Entry::worth(term, values.iter().sum::<f64>() / values.len() as f64, [least, most])
        }
        Err(why) => Entry::failed(term, why),
    }
}

impl OwnConfig {
    fn check(&self) -> Result<(), &'static str> {
        /// A year is no limit any more, and a clock has an end.
        const MAX_LIMIT_SECS: f64 = 365.0 * 86_400.0;
        let [least, most] = self.bounds;
        if !(self.limit_secs > 0.0 && self.limit_secs <= MAX_LIMIT_SECS) {
            return Err("`limit_secs` must be more than 0 and at most a year");
        }
        if !(least.is_finite() && most.is_finite() && least < most) {
            return Err("`bounds` must be two numbers, the smaller one first");
        }
        Ok(())
    }
}

impl Lines for Rewards {
    fn line(&mut self, line: &Value) -> Result<Option<Value>, String> {
        let judgement = self.judge(line)?;
        let overall = self.reward(&judgement).map_err(|why| why.to_string())?;
        Ok(Some(json!({ "overall": overall, "terms": terms(&judgement) })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rewards, String> {
        let config: RewardsConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        let back: RewardsConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        // In words, because no number that is none equals another one.
        assert_eq!(format!("{back:?}"), format!("{config:?}"));
        Rewards::try_new(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_configuration_that_makes_no_sense_is_refused_in_words() {
        let multi = "judge = 'point_in_bbox_multicrop'\nmode = 'fixed'\n";
        let own = "[own.length]\ncommand = 'echo 1'\nlimit_secs = 5\nbounds = [0, 1]\n";
        for (text, words) in [
            ("judge = 'x'\nmode = 'fixed'\n[weights]\na = 1\n".to_owned(), "there is no reward `x`"),
            ("judge = 'web_action'\n[weights]\naccuracy = 1\n".to_owned(), "belong together"),
            ("[weights]\naccuracy = 1\n".to_owned(), "nobody says `accuracy`"),
            (format!("{multi}[weights]\nspeed = 1\n"), "weights can be given to accuracy, format, diversity"),
            (format!("{multi}[weights]\naccuracy = 1\n{own}"), "`own.length`: it has no weight"),
            (
                format!("{multi}[weights]\nlength = 1\n{}", own.replace("command = 'echo 1'\n", "")),
                "it needs one of",
            ),
            (format!("{multi}[weights]\nlength = 1\n{own}url = 'http://127.0.0.1:1/'\n"), "it needs one of"),
            (format!("{multi}[weights]\nlength = 1\n{}", own.replace('5', "0")), "`limit_secs`"),
            (format!("{multi}[weights]\nlength = 1\n{}", own.replace('5', "nan")), "`limit_secs`"),
            (format!("{multi}[weights]\nlength = 1\n{}", own.replace("[0, 1]", "[1, 1]")), "`bounds`"),
            (
                format!("{multi}[weights]\naccuracy = 1\n{}", own.replace("length", "accuracy")),
                "of this name is said already",
            ),
            (format!("{multi}[weights]\nlength = 1\nlength = 2\n{own}"), "duplicate key"),
            (format!("{multi}[weights]\naccuracy = 1\n[own]\nx = 1\n"), "invalid type"),
            (format!("{multi}seed = 1\n[weights]\naccuracy = 1\n"), "unknown field"),
        ] {
            let why = read(&text).unwrap_err();
            assert!(why.contains(words), "{text}\n{why}");
        }
    }

    #[test]
    fn terms_are_mixed_with_the_given_weights() {
        let mut rewards = read(
            "judge = 'point_in_bbox'\nmode = 'fixed'\n[weights]\naccuracy = 2\nlength = 0.5\n\
             [own.length]\ncommand = 'wc -l'\nlimit_secs = 20\nbounds = [0, 1]\n",
        )
        .unwrap();
        let line = json!({ "response": "(1, 2)", "ground_truth": "(0, 0, 5, 5)" });
        let said = rewards.line(&line).unwrap().unwrap();
        assert_eq!(
            said,
            json!({ "overall": 2.5, "terms": { "accuracy": 1.0, "format": 0.0, "length": 1.0 } })
        );
    }
}
