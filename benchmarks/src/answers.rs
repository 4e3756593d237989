//! What answers were worth where some of what is asked for is not there: how many were answered, how many of these were
//! right, how much was rightly refused, and whether confidences say so.

use std::collections::BTreeMap;

use serde::Serialize;
use vigorl_agent::{ConfidenceMap, Finding, Told};

use crate::evaluation::{Item, Played};
use crate::line::Line;

/// Confidences are compared with shares in so many bins of equal width.
const BINS: usize = 10;

/// Answers and refusals of one mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Answers {
    /// Items whose target is there.
    pub n_there: usize,
    /// Those of them that were answered.
    pub n_answered: usize,
    /// Those of these that were right.
    pub n_right: usize,
    /// Items whose target is not there.
    pub n_absent: usize,
    /// Those of them where nothing was done on purpose.
    pub n_refused: usize,
    /// Expected calibration error of the points that have a confidence, acted on or not: mean distance, over ten bins,
    /// between confidence and share of right ones.
    pub ece: f64,
    /// Probability that a right point has a higher confidence than a wrong one.
    pub auroc: Option<f64>,
}

impl Answers {
    /// Of lines of which none is an error; nothing if every target is there.
    pub(crate) fn of(lines: &[&Line]) -> Option<Self> {
        let points = points(lines);
        let count = |keep: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| keep(line)).count();
        let n_absent = count(&|line| line.is_absent);
        if n_absent == 0 {
            return None;
        }
        Some(Self {
            n_there: lines.len() - n_absent,
            n_answered: count(&|line| !line.is_absent && line.is_answered),
            n_right: count(&|line| !line.is_absent && line.is_right == Some(true)),
            n_absent,
            n_refused: count(&|line| line.is_absent && line.is_right == Some(true)),
            ece: ece(&points),
            auroc: auroc(&points),
        })
    }

    pub(crate) fn in_words(&self) -> String {
        let share = |n: usize, of: usize| format!("{n}/{of} = {:.2} %", 100.0 * n as f64 / of.max(1) as f64);
        let auroc = self.auroc.map_or_else(|| "none".to_owned(), |auroc| format!("{auroc:.3}"));
        format!(
            "  there: answered {}, right {}; of the answers right {}\n  not there: refused {}\n  \
             confidence: ECE {:.3}, AUROC {auroc}\n",
            share(self.n_answered, self.n_there),
            share(self.n_right, self.n_there),
            share(self.n_right, self.n_answered),
            share(self.n_refused, self.n_absent),
            self.ece
        )
    }
}

/// Each point that was pointed out with a confidence, and whether it was right, whether or not it was acted on.
fn points(lines: &[&Line]) -> Vec<(f64, bool)> {
    lines.iter().filter_map(|line| Some((line.confidence?, line.is_point_right?))).collect()
}

/// Whether the point that the eyes pointed out is right, surely or not; nothing if there is none.
pub(crate) fn pointed(played: &Played) -> Option<bool> {
    let at = match played.sighting()?.finding {
        Finding::Found(at) | Finding::Unsure(at, _) => at,
        Finding::Absent(_) | Finding::Ambiguous(_) | Finding::Malformed(_) => return None,
    };
    let Item { targets, is_absent, .. } = &played.item;
    match targets.is_empty() && !is_absent {
        // Only the world knows where it is.
        true => played.is_right(),
        false => Some(targets.iter().any(|target| target.holds(at))),
    }
}

/// Mean distance between confidence and share of right ones, by bins of equal width.
fn ece(points: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (confidence, is_right) in points {
        let bin = ((confidence * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(*is_right));
    }
    let apart: f64 = bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum();
    apart / points.len().max(1) as f64
}

/// Probability that a right point has a higher confidence than a wrong one; nothing if there are not both.
fn auroc(points: &[(f64, bool)]) -> Option<f64> {
    let (right, wrong): (Vec<&(f64, bool)>, Vec<_>) = points.iter().partition(|(_, is_right)| *is_right);
    let above = |a: f64, b: f64| match a.total_cmp(&b) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let pairs = right.iter().flat_map(|(a, _)| wrong.iter().map(move |(b, _)| above(*a, *b)));
    let n = right.len() * wrong.len();
    (n > 0).then(|| pairs.sum::<f64>() / n as f64)
}

/// A fitted map, and what confidences are worth on answers that it was not fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Of all answers.
    pub map: ConfidenceMap,
    /// Expected calibration error, each group by a map of the other groups.
    pub ece: f64,
    /// AUROC, the same way.
    pub auroc: Option<f64>,
    /// Answers and whether they were right, the same way.
    pub points: Vec<(f64, bool)>,
}

/// Fits a map on the points of lines; those of one group, such as a site, are held out together.
pub fn fit(lines: &[&Line], domain: &str, weights_sha256: &str) -> Option<Fitted> {
    let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for line in lines {
        if let Some((features, is_right)) = line.features.clone().zip(line.is_point_right) {
            let group = line.value("group").unwrap_or_default().to_owned();
            told.entry(group).or_default().push(Told { features, is_right });
        }
    }
    let all: Vec<Told> = told.values().flatten().cloned().collect();
    let map = ConfidenceMap::fit(domain, weights_sha256, &all)?;
    let mut points = Vec::new();
    for (name, held_out) in &told {
        let others = told.iter().filter(|(other, _)| *other != name).flat_map(|(_, told)| told);
        let others: Vec<Told> = others.cloned().collect();
        // Where there is one group alone, there is nothing to hold out.
        let of_others = ConfidenceMap::fit(domain, weights_sha256, &others).unwrap_or_else(|| map.clone());
        points.extend(held_out.iter().map(|one| (of_others.apply(&one.features), one.is_right)));
    }
    Some(Fitted { map, ece: ece(&points), auroc: auroc(&points), points })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidences_that_are_shares_have_no_error_and_the_surer_ones_are_right() {
        let some = |confidence: f64, n_right: usize| (0..10).map(move |n| (confidence, n < n_right));
        let honest: Vec<_> = some(0.25, 2).chain(some(0.95, 10)).collect();
        assert!(ece(&honest) < 0.051, "{}", ece(&honest));
        let boasting: Vec<_> = some(0.95, 2).collect();
        assert!((ece(&boasting) - 0.75).abs() < 1e-9);
        assert_eq!(auroc(&[(0.9, true), (0.8, true), (0.1, false)]), Some(1.0));
        assert_eq!(auroc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auroc(&[(0.5, true)]), None);
    }
}
