//! A step that was played: each sample beside its group.
//!
//! Invariant: a group is what the world and the judges left of it. What has no reward is no part of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom as _;
use vigorl_rollouts::{Ended, Sample};

use crate::advantage::{advantages, has_variance};
use crate::grpo_config::GrpoConfig;
use crate::metrics::Record;
use crate::objective::Objective;
use crate::play::PlayedStep;
use crate::seed::stream;

/// How many groups of these samples teach anything.
pub(crate) fn n_with_variance(samples: &[Sample]) -> u64 {
    let groups = groups_of(samples);
    groups.values().filter(|group| has_variance(&rewards_of(group))).count() as u64
}

/// What is left of a group: its samples and their advantages.
pub(crate) struct GroupOfStep {
    /// By the number of the sample.
    pub(crate) advantages: Vec<(usize, f64)>,
}

/// A step that was played, each sample beside its group.
pub(crate) struct Compared {
    pub(crate) samples: Vec<Sample>,
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) folder_of: Vec<PathBuf>,
    pub(crate) groups: Vec<GroupOfStep>,
    pub(crate) advantage_of: BTreeMap<usize, f64>,
    /// Groups of each environment, and how many of them have different rewards.
    pub(crate) teaching_of: BTreeMap<String, (usize, usize)>,
    n_errors: usize,
    n_groups: usize,
    n_dropped: usize,
    n_with_variance: usize,
    n_solved: usize,
    n_failed: usize,
}

impl Compared {
    pub(crate) fn new(played: Vec<PlayedStep>, config: &GrpoConfig, step: u64) -> Self {
        let mut compared = Self {
            samples: Vec::new(),
            folders: played.iter().map(|round| round.folder.clone()).collect(),
            folder_of: Vec::new(),
            groups: Vec::new(),
            advantage_of: BTreeMap::new(),
            teaching_of: BTreeMap::new(),
            n_errors: played.iter().map(|round| round.n_errors).sum(),
            n_groups: 0,
            n_dropped: 0,
            n_with_variance: 0,
            n_solved: 0,
            n_failed: 0,
        };
        for round in played {
            compared.folder_of.extend(round.samples.iter().map(|_| round.folder.clone()));
            compared.samples.extend(round.samples);
        }
        if config.control.permute_rewards {
            let mut rewards: Vec<Option<f64>> = compared.samples.iter().map(|sample| sample.reward).collect();
            rewards.shuffle(&mut stream(config.run.seed, &[step, u64::MAX, 1]));
            compared.samples.iter_mut().zip(rewards).for_each(|(sample, reward)| sample.reward = reward);
        }
        for numbers in numbers_of_groups(&compared.samples, &compared.folder_of) {
            compared.compare(&numbers, config);
        }
        compared
    }

    fn compare(&mut self, numbers: &[usize], config: &GrpoConfig) {
        self.n_groups += 1;
        let of_group = |n: &usize| self.samples[*n].reward.map(|reward| (*n, reward));
        let known: Vec<(usize, f64)> = numbers.iter().filter_map(of_group).collect();
        let rewards: Vec<f64> = known.iter().map(|(_, reward)| *reward).collect();
        let solved = numbers.iter().filter(|n| self.samples[**n].success == Some(true)).count();
        self.n_solved += usize::from(solved == numbers.len());
        self.n_failed += usize::from(solved == 0);
        let differs = has_variance(&rewards);
        self.n_with_variance += usize::from(differs);
        let source = self.samples[numbers[0]].key.source.clone();
        let (n, n_teaching) = self.teaching_of.entry(source).or_default();
        (*n, *n_teaching) = (*n + 1, *n_teaching + usize::from(differs));
        let Some(of_group) = advantages(&rewards, config.group.scale) else {
            self.n_dropped += 1;
            return;
        };
        if !differs && config.group.rounds > 1 {
            return;
        }
        let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let taught = known.iter().zip(of_group).map(|(&(number, reward), advantage)| {
            let advantage = match config.objective.objective {
                Objective::Grpo => advantage,
                Objective::BestOfGroup => f64::from(u8::from(differs && reward == best)),
            };
            (number, advantage)
        });
        let advantages: Vec<(usize, f64)> = taught.collect();
        self.advantage_of.extend(advantages.iter().copied());
        self.groups.push(GroupOfStep { advantages });
    }

    pub(crate) fn record(&self, record: &mut Record) {
        let n = self.samples.len().max(1) as f64;
        let rewards: Vec<f64> = self.samples.iter().filter_map(|sample| sample.reward).collect();
        if !rewards.is_empty() {
            let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
            let variance = rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / rewards.len() as f64;
            record.set("reward/mean", mean);
            record.set("reward/std", variance.sqrt());
        }
        let mut terms: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for entry in self.samples.iter().flat_map(|s| &s.judged).flat_map(|judged| &judged.entries) {
            if let Ok(value) = entry.value() {
                let (n, sum) = terms.entry(&entry.name).or_default();
                (*n, *sum) = (*n + 1.0, *sum + value);
            }
        }
        for (name, (n, sum)) in terms {
            record.set(format!("reward/term/{name}"), sum / n);
        }
        let share = |of: &dyn Fn(&Sample) -> bool| self.samples.iter().filter(|s| of(s)).count() as f64 / n;
        record.set("success/train", share(&|sample| sample.success == Some(true)));
        record.set("ends/judged", share(&|sample| sample.ended == Ended::Judged));
        record.set("ends/step_limit", share(&|sample| sample.ended == Ended::StepLimit));
        record.set("ends/token_limit", share(&|sample| sample.ended == Ended::TokenLimit));
        record.set("ends/errors", self.n_errors as f64);
        let n_groups = self.n_groups.max(1) as f64;
        record.set("groups/with_variance", self.n_with_variance as f64 / n_groups);
        record.set("groups/solved", self.n_solved as f64 / n_groups);
        record.set("groups/failed", self.n_failed as f64 / n_groups);
        record.set("groups/dropped", self.n_dropped as f64);
        let turns = || self.samples.iter().flat_map(|s| &s.actions).flat_map(|action| &action.turns);
        record.set("rollout/tokens_per_sample", turns().map(|turn| turn.ids.len()).sum::<usize>() as f64 / n);
        record.set("rollout/turns_per_sample", turns().count() as f64 / n);
        let n_actions: usize = self.samples.iter().map(|sample| sample.actions.len()).sum();
        record.set("rollout/actions_per_sample", n_actions as f64 / n);
    }
}

/// Samples by their environment and group.
fn groups_of(samples: &[Sample]) -> BTreeMap<(&str, u64), Vec<&Sample>> {
    let mut groups: BTreeMap<(&str, u64), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        groups.entry((&sample.key.source, sample.group)).or_default().push(sample);
    }
    groups
}

fn rewards_of(group: &[&Sample]) -> Vec<f64> {
    group.iter().filter_map(|sample| sample.reward).collect()
}

/// The numbers of the samples of each group; a group is of one round.
fn numbers_of_groups(samples: &[Sample], folder_of: &[PathBuf]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(&Path, u64, &str), Vec<usize>> = BTreeMap::new();
    for (number, (sample, folder)) in samples.iter().zip(folder_of).enumerate() {
        groups.entry((folder, sample.group, &sample.key.source)).or_default().push(number);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Samples of groups: the reward of each, or none.
    fn played(groups: &[&[Option<f64>]]) -> Vec<PlayedStep> {
        let mut samples = Vec::new();
        for (group, rewards) in groups.iter().enumerate() {
            for (number, reward) in rewards.iter().enumerate() {
                let sample: Value = json!({
                    "format": 1, "run": 1, "step": 0, "source": "left", "seed": group, "sample": number,
                    "part": "train", "group": group, "goal": "", "first_screenshot": null,
                    "said_by": { "policy": "nano", "weights_sha256": null, "preset": "nano" },
                    "sampled_as": { "temperature": 1.0, "top_p": 0.99 },
                    "ended": "judged", "success": reward.map(|reward| reward > 0.0), "reward": reward,
                    "verification": "unknown", "clauses": [], "detail": null, "actions": [],
                    "millis": { "total": 1.0, "world": 0.5, "inference": 0.5 },
                });
                samples.push(serde_json::from_value(sample).unwrap());
            }
        }
        vec![PlayedStep { folder: PathBuf::from("rollouts"), samples, n_errors: 3 }]
    }

    fn compared(groups: &[&[Option<f64>]], settings: &[&str]) -> (Compared, Record) {
        let text = "preset = 'nano'\n[run]\noutput_dir = 'out'\n[[environment]]\nname = 'left'\nweight = 1\n";
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let config = GrpoConfig::parse(text, Path::new("test.toml"), &settings).unwrap();
        let compared = Compared::new(played(groups), &config, 7);
        let mut record = Record::at(1);
        compared.record(&mut record);
        (compared, record)
    }

    const GROUPS: [&[Option<f64>]; 4] = [
        &[Some(1.0), Some(0.0), None, Some(0.0)],
        &[Some(0.0), Some(0.0)],
        &[Some(1.0), None],
        &[Some(1.0), Some(1.0)],
    ];

    #[test]
    fn what_has_no_reward_is_no_part_of_its_group_and_one_sample_is_none() {
        let (compared, record) = compared(&GROUPS, &["group.scale=none"]);
        // The first group is three samples with the mean 1/3; the third is dropped.
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}, not {wanted}");
        for (number, wanted) in [(0, 2.0 / 3.0), (1, -1.0 / 3.0), (3, -1.0 / 3.0), (4, 0.0), (9, 0.0)] {
            near(compared.advantage_of[&number], wanted);
        }
        assert!(!compared.advantage_of.contains_key(&2) && !compared.advantage_of.contains_key(&6));
        assert_eq!(compared.groups.len(), 3);
        let value = |name: &str| record.values[name];
        assert_eq!((value("groups/with_variance"), value("groups/dropped")), (0.25, 1.0));
        assert_eq!((value("groups/solved"), value("groups/failed")), (0.25, 0.25));
        assert_eq!((value("ends/errors"), value("reward/mean")), (3.0, 0.5));
    }

    #[test]
    fn dynamic_sampling_leaves_out_groups_that_agree_and_filtering_takes_the_best() {
        let (dynamic, _) = compared(&GROUPS, &["group.rounds=4"]);
        assert_eq!(dynamic.groups.len(), 1);
        let (filtered, _) = compared(&GROUPS, &["objective.objective=best_of_group"]);
        let best: Vec<usize> =
            filtered.advantage_of.iter().filter(|(_, a)| **a == 1.0).map(|(n, _)| *n).collect();
        assert_eq!(best, [0], "and nothing of groups that agree");
        assert!(filtered.advantage_of.values().all(|advantage| [0.0, 1.0].contains(advantage)));
    }

    #[test]
    fn permuted_rewards_are_the_same_rewards_in_other_hands() {
        let many: Vec<Option<f64>> = (0..40).map(|n| Some(f64::from(n))).collect();
        let rewards = |settings: &[&str]| -> Vec<Option<f64>> {
            compared(&[&many], settings).0.samples.iter().map(|sample| sample.reward).collect()
        };
        let mut permuted = rewards(&["control.permute_rewards=true"]);
        assert_ne!(permuted, many);
        permuted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(permuted, rewards(&[]));
    }
}
