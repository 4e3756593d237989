//! The newest numbers of a training as sentences. Invariant: a sentence whose number was not logged is not said.

use std::collections::BTreeSet;

use vigorl_metrics::{HeldOut, Kind, Training, Unit, held_out_key, set_and_name};
use vigorl_runs::wilson95;

use super::chart::value;
use crate::html::count;

/// What is known, in the order in which a person asks.
///
/// `goes_on` says whether anybody knows that it still does.
pub(super) fn sentences(training: &Training, goes_on: bool) -> Vec<String> {
    let mut all: Vec<Option<String>> =
        held_out(training).iter().map(|set| Some(of_set(training, set))).collect();
    match training.kind {
        Kind::ByReward => all.extend([
            solved(training),
            reward(training),
            groups(training),
            policy(training),
            losses(training),
        ]),
        Kind::Supervised => all.push(loss(training)),
    }
    all.push(pace(training, goes_on));
    // A sign stays with its number.
    all.into_iter().flatten().map(|said| said.replace(" %", "\u{a0}%")).collect()
}

/// What was measured on each held-out set.
pub(super) fn held_out(training: &Training) -> Vec<HeldOut> {
    let keys = training.records.iter().flat_map(|record| record.values.keys());
    let sets: BTreeSet<&str> = keys.filter_map(|key| Some(set_and_name(key)?.0)).collect();
    let of = |set| HeldOut::of(&training.records, set, training.kind.success());
    sets.into_iter().filter_map(of).collect()
}

fn share(v: f64) -> String {
    value(Unit::Share, v)
}

fn of_set(training: &Training, HeldOut { set, first, best, last, .. }: &HeldOut) -> String {
    let what = match training.kind {
        Kind::Supervised => "answers lie in the target box",
        Kind::ByReward => "episodes are solved by the likeliest tokens",
    };
    let of = last.n.map_or_else(|| "of the".to_owned(), |n| format!("of {}", count(n)));
    let mut said = format!("Held out, {set}: {} {of} {what}", share(last.share));
    if let Some(n) = last.n {
        let (low, high) = wilson95((last.share * n as f64).round() as usize, n);
        said.push_str(&format!(" (95 % interval {:.1} to {:.1} %)", low * 100.0, high * 100.0));
    }
    said.push_str(&format!(", measured after step {}", count(last.step as usize)));
    if first.step < last.step {
        said.push_str(&format!("; after step {} it was {}", count(first.step as usize), share(first.share)));
    }
    if best.share > last.share {
        said.push_str(&format!(
            ", and at its best, after step {}, {}",
            count(best.step as usize),
            share(best.share)
        ));
    }
    said.push('.');
    let newest = |name: &str| training.newest(&held_out_key(set, name)).map(|(_, v)| share(v));
    if let Some(v) = newest("greedy_search") {
        said.push_str(&format!(" With the search that it is used with, it is {v}."));
    }
    if let (Some(mean), Some(pass)) = (newest("mean_at_k"), newest("pass_at_k")) {
        said.push_str(&format!(
            " Of k samples each, {mean} are solved; at least one is in {pass} of the episodes."
        ));
    }
    said
}

/// Means over the first and the last tenth of the values, and how many lines that is.
fn ends(training: &Training, key: &str) -> Option<(f64, f64, usize)> {
    let values = training.values(key);
    let tenth = values.len().div_ceil(10);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (tenth > 0).then(|| (mean(&values[..tenth]), mean(&values[values.len() - tenth..]), tenth))
}

/// `in the last 24 lines`, or in the last one.
fn last(n: usize) -> String {
    if n == 1 { "in the last line".to_owned() } else { format!("in the last {n} lines") }
}

fn solved(training: &Training) -> Option<String> {
    let (before, now, n) = ends(training, "success/train")?;
    Some(format!(
        "In training, {} of the samples are solved {}; at first it was {}.",
        share(now),
        last(n),
        share(before)
    ))
}

fn reward(training: &Training) -> Option<String> {
    let (before, now, n) = ends(training, "reward/mean")?;
    Some(format!("The mean reward is {now:.3} {}; at first it was {before:.3}.", last(n)))
}

fn groups(training: &Training) -> Option<String> {
    let (_, now, n) = ends(training, "groups/with_variance")?;
    Some(format!(
        "{} of the groups had samples of different reward {}. Only these teach.",
        share(now),
        last(n)
    ))
}

/// How far the policy went, how much of that was cut off, and how undecided it is. Without a reference there is no distance.
fn policy(training: &Training) -> Option<String> {
    let mut said = Vec::new();
    if let Some((_, kl, _)) = ends(training, "policy/kl") {
        said.push(format!("the policy is {kl:.3} nats per token away from its reference"));
    }
    if let Some((_, clipped, n)) = ends(training, "policy/clip_share") {
        said.push(format!("{} of the tokens were clipped {}", share(clipped), last(n)));
    }
    if let Some((before, now, _)) = ends(training, "policy/entropy") {
        said.push(format!("the entropy of the policy went from {before:.2} to {now:.2} nats"));
    }
    let said = said.join("; ");
    let mut letters = said.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn losses(training: &Training) -> Option<String> {
    let lost: f64 = training.values("ends/errors").iter().sum();
    let skipped = training.newest("optim/skipped_steps").map_or(0.0, |(_, n)| n);
    let mut said = Vec::new();
    if lost > 0.0 {
        said.push(format!("The world failed in {}: such episodes are no samples.", several(lost, "episode")));
    }
    if skipped > 0.0 {
        said.push(format!("{} had nothing to teach and moved nothing.", several(skipped, "step")));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// `1 step`, `1,200 steps`.
fn several(n: f64, what: &str) -> String {
    let n = n.round() as usize;
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

fn loss(training: &Training) -> Option<String> {
    let (before, now, n) = ends(training, "loss/total")?;
    Some(format!("The loss is {now:.3} nats per token {}; at first it was {before:.3}.", last(n)))
}

/// How fast it goes, and how long it still takes.
fn pace(training: &Training, goes_on: bool) -> Option<String> {
    let secs = training.newest("time/secs")?.1;
    let speed = [
        ("time/episodes_per_min", "episodes are played in a minute"),
        ("time/questions_per_sec", "questions are learned from in a second"),
    ];
    let said = speed
        .iter()
        .find_map(|(key, words)| Some(format!("{} {words}", value(Unit::PerMinute, ends(training, key)?.1))));
    let step = training.step().max(1) as f64;
    let by_steps = training.total_steps().map(|total| (total as f64 - step) * secs / step);
    let by_clock = training.limit_secs().map(|limit| limit - secs);
    let left = by_steps.into_iter().chain(by_clock).reduce(f64::min).filter(|&left| left > 0.0);
    let mut said = said.unwrap_or_else(|| format!("A step takes {}", span(secs / step)));
    if let Some(left) = left.filter(|_| goes_on) {
        said.push_str(&format!("; at this pace, {} of steps are left", span(left)));
    }
    said.push('.');
    Some(said)
}

/// `42 s`, `12 min`, or `4 h 10 min`.
pub(crate) fn span(secs: f64) -> String {
    let minutes = (secs / 60.0).round() as u64;
    match minutes {
        0 => format!("{secs:.0} s"),
        1..60 if secs < 60.0 => format!("{secs:.0} s"),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}
