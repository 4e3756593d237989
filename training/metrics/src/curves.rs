//! Records as curves. Invariant: which metric is drawn where is said by the tables, so no curve is of a name that is
//! not logged.

use std::collections::BTreeSet;

use crate::record::Record;
use crate::tables::{Kind, Metric, Panel, Unit, held_out_key, set_and_name};

/// One line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is called in its panel.
    pub label: String,
    /// What its values count.
    pub unit: Unit,
    /// Whether it was measured on episodes or pages that are never learned from: such points are few, and marked.
    pub held_out: bool,
    /// Steps and values.
    pub points: Vec<(f64, f64)>,
}

/// The curves of a panel: those of training, then those of each held-out set. A curve without points is left out.
pub fn curves(records: &[Record], panel: Panel) -> Vec<Curve> {
    let kind = Kind::of(records);
    let keys: BTreeSet<&str> =
        records.iter().flat_map(|record| record.values.keys().map(String::as_str)).collect();
    let is_here = |metric: &&Metric| metric.curve.is_some_and(|(of, _)| of == panel);
    let label = |metric: &Metric| metric.curve.map_or("", |(_, label)| label);
    let of_training = kind.metrics().iter().filter(is_here).flat_map(|metric| {
        let named = keys.iter().filter(|key| metric.is_named(key));
        named.map(|key| {
            let label = if metric.name.ends_with('/') { &key[metric.name.len()..] } else { label(metric) };
            curve(records, key, label.to_owned(), metric.unit, false)
        })
    });
    let sets: BTreeSet<&str> = keys.iter().filter_map(|key| Some(set_and_name(key)?.0)).collect();
    let held_out = sets.iter().flat_map(|set| {
        kind.held_out().iter().filter(is_here).map(move |metric| {
            let label = format!("{set} {}", label(metric)).trim_end().to_owned();
            curve(records, &held_out_key(set, metric.name), label, metric.unit, true)
        })
    });
    of_training.chain(held_out).filter(|curve| !curve.points.is_empty()).collect()
}

fn curve(records: &[Record], key: &str, label: String, unit: Unit, held_out: bool) -> Curve {
    let value = |record: &Record| record.values.get(key).copied().filter(|value| value.is_finite());
    let points = records.iter().filter_map(|record| Some((record.step as f64, value(record)?))).collect();
    Curve { label, unit, held_out, points }
}

/// Means over a window of points, `half` to each side: lines of single steps hide the trend.
pub fn smooth(points: &[(f64, f64)], half: usize) -> Vec<(f64, f64)> {
    let mean = |i: usize| {
        let window = &points[i.saturating_sub(half)..(i + half + 1).min(points.len())];
        window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(record: &Record, panel: Panel) -> String {
        let curves = curves(std::slice::from_ref(record), panel);
        assert!(curves.iter().all(|curve| curve.points == [(1.0, 0.5)]), "{panel:?}");
        curves.into_iter().map(|curve| curve.label).collect::<Vec<_>>().join("; ")
    }

    fn all_of(kind: Kind) -> Record {
        let mut record = Record::at(1);
        for metric in kind.metrics().iter().filter(|metric| !metric.name.ends_with('/')) {
            record.set(metric.name, 0.5);
        }
        kind.held_out().iter().for_each(|metric| record.set(held_out_key("icons", metric.name), 0.5));
        record
    }

    #[test]
    fn every_panel_has_its_curves() {
        let record = all_of(Kind::Supervised);
        assert_eq!(labels(&record, Panel::Loss), "all; coordinates; words; patches; looks");
        assert_eq!(labels(&record, Panel::Error), "training; icons");
        assert_eq!(labels(&record, Panel::Right), "words; coordinates, exact; patches; learning rate / peak");
        assert_eq!(labels(&record, Panel::InBox), "icons");

        let mut record = all_of(Kind::ByReward);
        record.set("reward/term/format", 0.5);
        record.set("reward/term/a/b", 0.5);
        record.set("heldout/words/greedy", 0.5);
        record.set("heldout/words/mean_at_k", f64::NAN);
        assert_eq!(labels(&record, Panel::Reward), "reward; a/b; format");
        assert_eq!(
            labels(&record, Panel::Success),
            "in training; icons greedy; icons greedy with search; icons mean of k samples; \
             icons any of k samples; words greedy"
        );
        assert_eq!(labels(&record, Panel::Turns), "turns; actions");
        assert_eq!(labels(&record, Panel::Loss), "", "it is no panel of this kind");
    }

    #[test]
    fn windows_end_where_the_points_do() {
        let points = [(1.0, 3.0), (2.0, 0.0), (4.0, 6.0)];
        assert_eq!(smooth(&points, 0), points);
        assert_eq!(smooth(&points, 1), [(1.0, 1.5), (2.0, 3.0), (4.0, 3.0)]);
        assert!(smooth(&[], 1).is_empty());
    }
}
