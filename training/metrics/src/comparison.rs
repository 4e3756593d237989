//! Several trainings beside each other: what each came to, and seeds of one configuration as a group.
//!
//! Invariant: trainings are of one group if their configurations differ in `run.seed` and `run.output_dir` alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::folder::Training;
use crate::record::Record;
use crate::tables::{Kind, Scale, Unit, held_out_key, set_and_name};

/// A held-out measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Steps done before it.
    pub step: u64,
    /// The share that is right.
    pub share: f64,
    /// Of how many, if the log says so.
    pub n: Option<usize>,
}

/// What was measured on a held-out set.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// The name of the set.
    pub set: String,
    /// The name of the metric.
    pub measure: String,
    /// The first measurement.
    pub first: Measured,
    /// The highest one; the earliest of several. The best of many measurements flatters.
    pub best: Measured,
    /// The last one.
    pub last: Measured,
}

/// One training of a comparison.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it is called: its folder as it was named.
    pub name: String,
    /// What its folder says.
    pub training: Training,
    /// `run.seed` of its configuration.
    pub seed: Option<i64>,
    /// What was measured, set by set.
    pub held_out: Vec<HeldOut>,
    /// The mean training reward over the first and the last tenth of the log.
    pub reward: Option<(f64, f64)>,
}

/// Trainings that differ in their seeds.
#[derive(Debug, Clone)]
pub struct Group {
    /// Indices of [`Comparison::members`].
    pub members: Vec<usize>,
    /// Dotted keys and values in which its configuration differs from that of another group.
    pub differs: Vec<(String, String)>,
}

/// Values over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// Of some values; nothing if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        (n > 0).then(|| Self {
            n,
            mean: values.iter().sum::<f64>() / n as f64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// What the seeds of a group came to.
#[derive(Debug, Clone)]
pub struct GroupSpread {
    /// Set by set.
    pub held_out: Vec<OverSeeds>,
    /// The reward of the first tenth of the logs.
    pub reward_first: Option<Spread>,
    /// The reward of the last tenth.
    pub reward_last: Option<Spread>,
}

/// What the seeds of a group came to on a held-out set.
#[derive(Debug, Clone)]
pub struct OverSeeds {
    /// The name of the set.
    pub set: String,
    /// Of the first measurements.
    pub first: Spread,
    /// Of the highest ones.
    pub best: Spread,
    /// Of the last ones.
    pub last: Spread,
}

/// One metric of all trainings.
#[derive(Debug, Clone)]
pub struct ComparedChart {
    /// What stands above it: the name of the metric.
    pub title: String,
    /// What the metric says.
    pub about: &'static str,
    /// How its vertical axis runs.
    pub scale: Scale,
    /// What its values count.
    pub unit: Unit,
    /// Whether its points are few, and marked.
    pub held_out: bool,
    /// One line for each training, and one for the mean of each group of several.
    pub lines: Vec<ComparedLine>,
}

/// A line of a [`ComparedChart`].
#[derive(Debug, Clone)]
pub struct ComparedLine {
    /// The index of the group.
    pub group: usize,
    /// The index of the training; none for the group's mean.
    pub member: Option<usize>,
    /// Steps and values.
    pub points: Vec<(f64, f64)>,
}

/// Trainings and their groups.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The trainings, in the order in which they were named.
    pub members: Vec<Member>,
    /// Their groups, in the order of their first members.
    pub groups: Vec<Group>,
}

impl Comparison {
    /// Compares trainings. `measure` is the held-out metric; without one it is the one of each training's kind.
    pub fn of(trainings: Vec<(String, Training)>, measure: Option<&str>) -> Self {
        let members: Vec<Member> =
            trainings.into_iter().map(|(name, training)| Member::of(name, training, measure)).collect();
        let configs: Vec<BTreeMap<String, String>> =
            members.iter().map(|member| settings(&member.training.config)).collect();
        let mut groups: Vec<Group> = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            match groups.iter_mut().find(|group| &configs[group.members[0]] == config) {
                Some(group) => group.members.push(index),
                None => groups.push(Group { members: vec![index], differs: Vec::new() }),
            }
        }
        let firsts: Vec<&BTreeMap<String, String>> =
            groups.iter().map(|group| &configs[group.members[0]]).collect();
        let keys: BTreeSet<&String> = firsts.iter().flat_map(|config| config.keys()).collect();
        let differing: Vec<&String> = keys
            .into_iter()
            .filter(|key| firsts.iter().any(|config| config.get(*key) != firsts[0].get(*key)))
            .collect();
        for group in &mut groups {
            let config = &configs[group.members[0]];
            let value = |key: &String| config.get(key).cloned().unwrap_or_else(|| "(not set)".to_owned());
            group.differs = differing.iter().map(|key| ((*key).clone(), value(key))).collect();
        }
        Self { members, groups }
    }

    /// The held-out sets that any training measured.
    pub fn sets(&self) -> BTreeSet<&str> {
        self.members
            .iter()
            .flat_map(|member| &member.held_out)
            .map(|held_out| held_out.set.as_str())
            .collect()
    }

    /// What a group is called: in what its configuration differs from the others', or its only training.
    pub fn group_name(&self, index: usize) -> String {
        let group = &self.groups[index];
        let settings: Vec<String> =
            group.differs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        if !settings.is_empty() {
            return settings.join(", ");
        }
        match self.groups[index].members[..] {
            [only] => self.members[only].name.clone(),
            _ => "one configuration".to_owned(),
        }
    }

    /// The members of a group.
    pub fn of_group<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Member> {
        group.members.iter().map(|&index| &self.members[index])
    }

    /// Means and ranges over the seeds of a group.
    pub fn over_seeds(&self, group: &Group) -> GroupSpread {
        let of_set = |set: &str| {
            let found = || {
                self.of_group(group).filter_map(|m| m.held_out.iter().find(|held_out| held_out.set == set))
            };
            let spread =
                |of: fn(&HeldOut) -> Measured| Spread::of(found().map(|held_out| of(held_out).share));
            Some(OverSeeds {
                set: set.to_owned(),
                first: spread(|held_out| held_out.first)?,
                best: spread(|held_out| held_out.best)?,
                last: spread(|held_out| held_out.last)?,
            })
        };
        let reward = |of: fn((f64, f64)) -> f64| {
            Spread::of(self.of_group(group).filter_map(|member| member.reward.map(of)))
        };
        GroupSpread {
            held_out: self.sets().into_iter().filter_map(of_set).collect(),
            reward_first: reward(|ends| ends.0),
            reward_last: reward(|ends| ends.1),
        }
    }

    /// Every metric that is worth a chart: the held-out one of each set, and the first of each panel.
    pub fn charts(&self) -> Vec<ComparedChart> {
        let mut charts = Vec::new();
        for set in self.sets() {
            let of_set = |member: &Member| {
                let held_out = member.held_out.iter().find(|held_out| held_out.set == set)?;
                Some(held_out_key(set, &held_out.measure))
            };
            // Trainings of several kinds measure different things: the chart is called by the first of them.
            let mut keys =
                self.members.iter().filter_map(|member| Some((member.training.kind, of_set(member)?)));
            let Some((kind, title)) = keys.next() else { continue };
            let about = kind.metric(&title).map_or("", |metric| metric.definition);
            charts.push(self.chart((title, about), (Scale::Share, Unit::Share), true, of_set));
        }
        let mut seen = BTreeSet::new();
        let kinds = self.members.iter().map(|member| member.training.kind);
        for panel in kinds.clone().flat_map(Kind::panels) {
            let is_first = |kind: Kind| {
                kind.metrics().iter().find(|metric| metric.curve.is_some_and(|(of, _)| of == *panel))
            };
            let first = kinds.clone().find_map(is_first);
            let Some(metric) = first.filter(|metric| seen.insert(metric.name)) else { continue };
            let words = (metric.name.to_owned(), metric.definition);
            let key = |_: &Member| Some(metric.name.to_owned());
            charts.push(self.chart(words, (panel.scale(), metric.unit), false, key));
        }
        charts.retain(|chart| !chart.lines.is_empty());
        charts
    }

    fn chart(
        &self,
        (title, about): (String, &'static str),
        (scale, unit): (Scale, Unit),
        held_out: bool,
        key: impl Fn(&Member) -> Option<String>,
    ) -> ComparedChart {
        let of_member = |&index: &usize| {
            let member = &self.members[index];
            let points = points(&member.training.records, &key(member)?);
            (!points.is_empty()).then_some((index, points))
        };
        let mut lines = Vec::new();
        for (group, of_group) in self.groups.iter().enumerate() {
            let of_members: Vec<(usize, Vec<(f64, f64)>)> =
                of_group.members.iter().filter_map(of_member).collect();
            let all: Vec<&[(f64, f64)]> = of_members.iter().map(|(_, points)| points.as_slice()).collect();
            let mean = (all.len() > 1).then(|| mean_line(&all));
            lines.extend(of_members.into_iter().map(|(index, points)| ComparedLine {
                group,
                member: Some(index),
                points,
            }));
            lines.extend(mean.map(|points| ComparedLine { group, member: None, points }));
        }
        ComparedChart { title, about, scale, unit, held_out, lines }
    }
}

impl Member {
    fn of(name: String, training: Training, measure: Option<&str>) -> Self {
        let measure = measure.unwrap_or(training.kind.success());
        let seed =
            training.config.get("run").and_then(|run| run.get("seed")).and_then(toml::Value::as_integer);
        let rewards = training.values("reward/mean");
        let tenth = rewards.len().div_ceil(10);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let reward = (tenth > 0).then(|| (mean(&rewards[..tenth]), mean(&rewards[rewards.len() - tenth..])));
        let keys = training.records.iter().flat_map(|record| record.values.keys());
        let sets: BTreeSet<&str> = keys.filter_map(|key| Some(set_and_name(key)?.0)).collect();
        let held_out =
            sets.into_iter().filter_map(|set| HeldOut::of(&training.records, set, measure)).collect();
        Self { name, seed, held_out, reward, training }
    }
}

impl HeldOut {
    /// What was measured on a set; nothing if it never was.
    pub fn of(records: &[Record], set: &str, measure: &str) -> Option<Self> {
        let (key, n_key) = (held_out_key(set, measure), held_out_key(set, "n"));
        let measured = |record: &Record| {
            let share = *record.values.get(&key)?;
            let n = record.values.get(&n_key).map(|n| n.round() as usize);
            Some(Measured { step: record.step, share, n })
        };
        let all: Vec<Measured> = records.iter().filter_map(measured).collect();
        let (&first, &last) = (all.first()?, all.last()?);
        let best =
            all.iter().copied().fold(first, |best, one| if one.share > best.share { one } else { best });
        Some(Self { set: set.to_owned(), measure: measure.to_owned(), first, best, last })
    }
}

/// The mean of several lines, at the steps that all of them have: where one ends, another mean would begin.
pub fn mean_line(lines: &[&[(f64, f64)]]) -> Vec<(f64, f64)> {
    let mut sums: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for &(step, value) in lines.iter().copied().flatten() {
        let sum = sums.entry(step as u64).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }
    let whole = sums.into_iter().filter(|(_, (_, n))| *n == lines.len());
    whole.map(|(step, (sum, n))| (step as f64, sum / n as f64)).collect()
}

fn points(records: &[Record], key: &str) -> Vec<(f64, f64)> {
    let value = |record: &Record| record.values.get(key).copied().filter(|value| value.is_finite());
    records.iter().filter_map(|record| Some((record.step as f64, value(record)?))).collect()
}

/// A configuration as dotted keys and values, without what may differ between seeds.
fn settings(config: &toml::Table) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    flatten("", &toml::Value::Table(config.clone()), &mut out);
    out.remove("run.seed");
    out.remove("run.output_dir");
    out
}

fn flatten(prefix: &str, value: &toml::Value, out: &mut BTreeMap<String, String>) {
    let below = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(name, value)| flatten(&below(name), value, out)),
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            values.iter().enumerate().for_each(|(i, value)| flatten(&below(&i.to_string()), value, out));
        }
        value => {
            out.insert(prefix.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn training(config: &str, shares: &[(u64, f64)]) -> (String, Training) {
        let dir = tempfile::tempdir().unwrap();
        let line = |&(step, share): &(u64, f64)| {
            let mut record = Record::at(step);
            record.set("heldout/icons/greedy", share);
            record.set("heldout/icons/n", 50.0);
            record.set("reward/mean", share / 2.0);
            record.to_line()
        };
        fs::write(dir.path().join("config.toml"), config).unwrap();
        fs::write(dir.path().join("metrics.jsonl"), shares.iter().map(line).collect::<String>()).unwrap();
        ("it".to_owned(), Training::read(dir.path()).unwrap())
    }

    #[test]
    fn seeds_of_one_configuration_are_a_group() {
        let config =
            |seed: u64, lr: f64| format!("[run]\nseed = {seed}\noutput_dir = \"{seed}\"\n[grpo]\nlr = {lr}");
        let comparison = Comparison::of(
            vec![
                training(&config(1, 0.5), &[(0, 0.2), (10, 0.8), (20, 0.6)]),
                training(&config(2, 0.25), &[(0, 0.2)]),
                training(&config(3, 0.5), &[(0, 0.4), (10, 0.6)]),
            ],
            None,
        );
        let members: Vec<_> = comparison.groups.iter().map(|group| group.members.clone()).collect();
        assert_eq!(members, [vec![0, 2], vec![1]]);
        let differs: Vec<_> = comparison.groups.iter().map(|group| group.differs.clone()).collect();
        assert_eq!(differs[0], [("grpo.lr".to_owned(), "0.5".to_owned())]);
        assert_eq!(differs[1], [("grpo.lr".to_owned(), "0.25".to_owned())]);
        let first = &comparison.members[0];
        let at = |step, share| Measured { step, share, n: Some(50) };
        assert_eq!((first.seed, first.reward), (Some(1), Some((0.1, 0.3))));
        let icons = &first.held_out[0];
        assert_eq!([icons.first, icons.best, icons.last], [at(0, 0.2), at(10, 0.8), at(20, 0.6)]);
        let charts = comparison.charts();
        let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["heldout/icons/greedy", "reward/mean"]);
        let lines: Vec<_> =
            charts[0].lines.iter().map(|line| (line.group, line.member, line.points.len())).collect();
        assert_eq!(lines, [(0, Some(0), 3), (0, Some(2), 2), (0, None, 2), (1, Some(1), 1)]);
        let mean = &charts[0].lines[2].points;
        assert!((mean[0].1 - 0.3).abs() < 1e-12 && (mean[1].1 - 0.7).abs() < 1e-12, "{mean:?}");
    }

    #[test]
    fn what_was_never_measured_is_no_measurement() {
        let comparison = Comparison::of(vec![training("", &[(0, 0.2)])], Some("pass_at_k"));
        assert!(comparison.members[0].held_out.is_empty() && comparison.sets().is_empty());
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1.0, 4.0]), Some(Spread { n: 2, mean: 2.5, min: 1.0, max: 4.0 }));
    }
}
