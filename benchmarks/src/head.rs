//! What a record of an evaluation begins with: what was asked of whom.
//!
//! Invariant: two records with the same head, but for their shards, are parts of one run; nothing that can move a score is
//! missing here.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vigorl_runs::record::EndpointRecord;

use crate::evaluation::{Evaluation, Mode};
use crate::line::Key;

/// What must be known of an evaluation to make its table of lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// Name and version.
    pub benchmark: String,
    /// What is played, for people.
    pub title: String,
    /// The same for programs.
    pub set: Value,
    /// How many items there are.
    pub n_items: u64,
    /// SHA-256 of what they ask: names, instructions, targets, groups, and names and sizes of their pictures.
    #[serde(default)]
    pub items_sha256: String,
    /// The groups that results are told apart by, each with its values, as rows of the table.
    pub groups: Vec<(String, Vec<String>)>,
    /// Groups over whose values the mean is published too.
    pub macro_groups: Vec<String>,
    /// What must be known of the set to read its numbers.
    pub notes: Vec<String>,
    /// Whether its items are answered in words: then two rules judge them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_in_words: bool,
}

impl Described {
    /// Of an evaluation.
    pub fn of(evaluation: &dyn Evaluation) -> Self {
        let groups = evaluation.groups().into_iter();
        Self {
            benchmark: evaluation.id().to_owned(),
            title: evaluation.title(),
            set: evaluation.to_json(),
            n_items: evaluation.n_items(),
            items_sha256: items_sha256(evaluation),
            groups: groups.map(|(group, values)| (group.to_owned(), values)).collect(),
            macro_groups: evaluation.macro_groups().into_iter().map(str::to_owned).collect(),
            notes: evaluation.notes(),
            is_in_words: evaluation.is_in_words(),
        }
    }
}

/// Of all items, in their order.
fn items_sha256(evaluation: &dyn Evaluation) -> String {
    let mut hash = Sha256::new();
    for idx in 0..evaluation.n_items() {
        let item = evaluation.item(idx).map_err(|failure| failure.to_string());
        hash.update(format!("{item:?}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who was asked, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The name of the eyes.
    pub model: String,
    /// SHA-256 of the weights.
    pub weights_sha256: Option<String>,
    /// The server that has them, where they are not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointRecord>,
    /// How they are spoken to: presets, sampling, what a click must be worth.
    pub how: Value,
}

/// A part of the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// The items of this part: as many as those of another, or one more, and neighbours, because they share screenshots.
    pub fn items(self, n_items: u64) -> std::ops::Range<u64> {
        let at = |number: u64| {
            let at = u128::from(n_items) * u128::from(number) / u128::from(self.of.max(1));
            u64::try_from(at).unwrap_or(n_items)
        };
        at(self.number.saturating_sub(1))..at(self.number)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shard = text.split_once('/').and_then(|(number, of)| {
            Some(Self { number: number.trim().parse().ok()?, of: of.trim().parse().ok()? })
        });
        match shard {
            Some(shard) if (1..=shard.of).contains(&shard.number) => Ok(shard),
            _ => Err(format!("`{text}` is no part of a whole: write i/n, such as 1/4 for the first of four")),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// The head of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// What is played.
    pub described: Described,
    /// Who is asked.
    pub asked: Asked,
    /// In which modes.
    pub modes: Vec<Mode>,
    /// How often each item is drawn in each mode.
    pub n_draws: u64,
    /// The first draw's seed; the others count up from it.
    pub seed: u64,
    /// The commit of the program.
    pub commit: String,
    /// Which part of the items.
    pub shard: Shard,
    /// How the set can be opened again, for its pictures.
    #[serde(default)]
    pub opened: Value,
}

impl Head {
    /// Of an evaluation that is asked once in each mode, and as a whole.
    pub fn of(evaluation: &dyn Evaluation, asked: Asked, modes: Vec<Mode>) -> Self {
        let (commit, opened) = (String::new(), Value::Null);
        Self {
            described: Described::of(evaluation),
            asked,
            modes,
            n_draws: 1,
            seed: 0,
            commit,
            shard: Shard::WHOLE,
            opened,
        }
    }

    /// How the policy was asked, for people: its preset, how many pixels it was shown, and how its tokens were chosen, each with
    /// its name. Nothing where no policy was asked. What an older record does not say is unknown.
    pub fn how(&self) -> Vec<(&'static str, String)> {
        let how = &self.asked.how;
        let Some(sampling) = how["sampling"].as_object() else { return Vec::new() };
        let unknown = || "unknown".to_owned();
        let pixels = how["max_pixels"].as_u64().map_or_else(unknown, |most| format!("at most {most}"));
        let pixels = match &self.asked.endpoint {
            Some(EndpointRecord { pixels: [least, most], .. }) => {
                format!("{pixels}; the server is said to show its model {least} to {most}")
            }
            None => pixels,
        };
        let number = |name: &str| sampling.get(name).and_then(Value::as_f64);
        let chosen = match (number("temperature"), number("top_p")) {
            (Some(temperature), _) if temperature <= 0.0 => "greedy".to_owned(),
            (Some(temperature), Some(top_p)) => {
                format!("sampled, temperature {temperature}, top_p {top_p}")
            }
            (Some(temperature), None) => format!("sampled, temperature {temperature}"),
            (None, _) => unknown(),
        };
        let last = self.seed.wrapping_add(self.n_draws.saturating_sub(1));
        let seeds = match self.n_draws {
            0 | 1 => format!("seed {}", self.seed),
            _ => format!("seeds {} to {last}", self.seed),
        };
        vec![
            ("preset", how["preset"].as_str().map_or_else(unknown, str::to_owned)),
            ("pixels", pixels),
            ("decoding", format!("{chosen}, {seeds}")),
        ]
    }

    /// Everything that is played in this part, item by item.
    pub fn turns(&self) -> Vec<Key> {
        let of_item = |item| self.columns().map(move |(mode, draw)| Key { item, mode, draw });
        self.shard.items(self.described.n_items).flat_map(of_item).collect()
    }

    /// The columns of its table: each draw of each mode.
    pub fn columns(&self) -> impl Iterator<Item = (Mode, u64)> {
        self.modes.iter().flat_map(|mode| (0..self.n_draws).map(move |draw| (*mode, draw)))
    }

    /// Whether both are parts of one run. Each part may have asked a server of its own for the same model.
    pub fn is_of(&self, other: &Self) -> bool {
        let whole = |head: &Self| Self { shard: Shard::WHOLE, opened: Value::Null, ..head.clone() };
        whole(self).differences(&whole(other)).is_empty()
    }

    /// What differs between two heads, by name. Where a server is, does not matter: it may come back somewhere else.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let server = |head: &Self| {
            head.asked.endpoint.clone().map(|endpoint| EndpointRecord { base_url: String::new(), ..endpoint })
        };
        let pairs = [
            ("the set", self.described == other.described),
            ("the model", self.asked.model == other.asked.model),
            ("its weights", self.asked.weights_sha256 == other.asked.weights_sha256),
            ("its server", server(self) == server(other)),
            ("how it is asked", self.asked.how == other.asked.how),
            ("the modes", self.modes == other.modes),
            ("the draws", (self.n_draws, self.seed) == (other.n_draws, other.seed)),
            ("the program", self.commit == other.commit),
            ("the shard", self.shard == other.shard),
        ];
        pairs.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_neighbours_and_hold_every_item_once() {
        for n_items in [0, 1, 7, 300, 1581] {
            for of in [1, 2, 4, 7, 13] {
                let parts: Vec<u64> =
                    (1..=of).flat_map(|number| Shard { number, of }.items(n_items)).collect();
                assert_eq!(parts, (0..n_items).collect::<Vec<_>>(), "{n_items} items in {of} parts");
            }
        }
    }

    /// A head whose policy was asked so.
    fn asked(how: Value, n_draws: u64, seed: u64) -> Head {
        let described: Described = serde_json::from_value(serde_json::json!({
            "benchmark": "set/v1", "title": "", "set": null, "n_items": 1, "groups": [], "macro_groups": [], "notes": [],
        }))
        .unwrap();
        Head {
            described,
            asked: Asked { how, ..Asked::default() },
            modes: vec![Mode::MultiTurn],
            n_draws,
            seed,
            commit: String::new(),
            shard: Shard::WHOLE,
            opened: Value::Null,
        }
    }

    #[test]
    fn how_a_policy_was_asked_names_preset_pixels_and_decoding() {
        let how = |temperature: f64, top_p: f64| {
            serde_json::json!({
                "preset": "nano", "max_pixels": 6400, "sampling": { "temperature": temperature, "top_p": top_p },
            })
        };
        let told = |head: &Head| {
            let all: Vec<String> = head.how().iter().map(|(name, words)| format!("{name} {words}")).collect();
            all.join(" | ")
        };
        assert_eq!(
            told(&asked(how(0.0, 1.0), 1, 7)),
            "preset nano | pixels at most 6400 | decoding greedy, seed 7"
        );
        assert_eq!(
            told(&asked(how(0.5, 0.99), 3, 7)),
            "preset nano | pixels at most 6400 | decoding sampled, temperature 0.5, top_p 0.99, seeds 7 to 9"
        );
        let mut served = asked(how(0.0, 1.0), 1, 0);
        served.asked.endpoint =
            Some(EndpointRecord { pixels: [3136, 1_003_520], ..EndpointRecord::default() });
        assert!(told(&served).contains("at most 6400; the server is said to show its model 3136 to 1003520"));
        // As an older version wrote it, and where nobody asked a policy.
        let old = serde_json::json!({ "sampling": { "temperature": 0.0, "top_p": 1.0 } });
        assert_eq!(told(&asked(old, 1, 0)), "preset unknown | pixels unknown | decoding greedy, seed 0");
        for nobody in [Value::Null, serde_json::json!({ "eyes": "reader", "sampling": null, "preset": null })]
        {
            assert!(asked(nobody, 1, 0).how().is_empty());
        }
    }

    #[test]
    fn a_shard_is_a_part_of_a_whole() {
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, of: 4 }));
        for text in ["0/4", "5/4", "1", "1/0", "a/b", "-1/2", ""] {
            assert!(text.parse::<Shard>().unwrap_err().contains("1/4"), "{text}");
        }
    }
}
