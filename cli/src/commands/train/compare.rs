//! `vigorl train compare`: several trainings in a table, as JSON, and as a page and a picture of their curves.
//!
//! Invariant: an interval is Wilson's of one measurement, a range is of seeds, and neither is shown for the other.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use vigorl_files::write_whole;
use vigorl_metrics::{Comparison, Group, HeldOut, Measured, Member, Spread, Training};
use vigorl_report::render_training_comparison;
use vigorl_runs::wilson95;
use vigorl_training::plot;

use crate::args::TrainCompareArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::terminal;

/// Reads the trainings and prints what they came to.
pub(crate) fn compare(args: &TrainCompareArgs, form: Form) -> anyhow::Result<Ending> {
    if let Some(output) = &args.output
        && output.extension().is_none_or(|end| end != "html")
    {
        return Err(usage(format!("--output is `{}`: end it in .html", output.display())));
    }
    let read = |dir: &std::path::PathBuf| {
        let training = Training::read(dir).map_err(|error| usage(with_cause(&error)))?;
        Ok((dir.display().to_string(), training))
    };
    let trainings = args.dirs.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let comparison = Comparison::of(trainings, args.measure.as_deref());
    if let Some(measure) = &args.measure
        && comparison.sets().is_empty()
    {
        return Err(usage(format!(
            "no training has a held-out metric `{measure}`: by reward there are greedy, greedy_search, mean_at_k and \
             pass_at_k, supervised in_box and others"
        )));
    }
    if let Some(output) = &args.output {
        write(&comparison, output)?;
    }
    terminal::data(&match form {
        Form::Json => pretty(&json(&comparison)),
        Form::Text => text(&comparison),
    });
    Ok(Ending::Done)
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The page, and the picture beside it.
fn write(comparison: &Comparison, output: &Path) -> anyhow::Result<()> {
    write_whole(output, render_training_comparison(comparison).as_bytes())
        .with_context(|| format!("cannot write `{}`", output.display()))?;
    Ok(plot::draw_comparison(&output.with_extension("png"), comparison)?)
}

fn json(comparison: &Comparison) -> Value {
    let measured = |measured: &Measured| {
        let interval = measured.n.map(|n| <[f64; 2]>::from(interval(measured.share, n)));
        json!({ "step": measured.step, "share": measured.share, "n": measured.n, "wilson95": interval })
    };
    let held_out = |held_out: &HeldOut| {
        json!({ "set": held_out.set, "measure": held_out.measure, "first": measured(&held_out.first),
                "best": measured(&held_out.best), "last": measured(&held_out.last) })
    };
    let ends = |(first, last): (f64, f64)| json!({ "first_tenth": first, "last_tenth": last });
    let member = |member: &Member| {
        json!({ "dir": member.name, "kind": member.training.kind.word(), "seed": member.seed,
                "steps": member.training.step(), "state": member.training.standing.word(),
                "held_out": member.held_out.iter().map(held_out).collect::<Vec<_>>(),
                "reward": member.reward.map(ends) })
    };
    let spread = |spread: Option<Spread>| {
        spread.map(|Spread { n, mean, min, max }| json!({ "n": n, "mean": mean, "min": min, "max": max }))
    };
    let group = |group: &Group| {
        let over = comparison.over_seeds(group);
        let sets = over.held_out.iter().map(|of_set| {
            json!({ "set": of_set.set, "first": spread(Some(of_set.first)), "best": spread(Some(of_set.best)),
                    "last": spread(Some(of_set.last)) })
        });
        json!({
            "differs": group.differs.iter().map(|(key, value)| (key.clone(), value.clone().into()))
                .collect::<serde_json::Map<_, _>>(),
            "trainings": comparison.of_group(group).map(member).collect::<Vec<_>>(),
            "over_seeds": { "held_out": sets.collect::<Vec<_>>(),
                            "reward": { "first_tenth": spread(over.reward_first), "last_tenth": spread(over.reward_last) } },
        })
    };
    json!({ "groups": comparison.groups.iter().map(group).collect::<Vec<_>>() })
}

fn interval(share: f64, n: usize) -> (f64, f64) {
    wilson95((share * n as f64).round() as usize, n)
}

/// A table for each group.
fn text(comparison: &Comparison) -> String {
    let mut rows = Vec::new();
    for (index, group) in comparison.groups.iter().enumerate() {
        rows.push(Row::Words(format!(
            "{}{}",
            if index > 0 { "\n" } else { "" },
            comparison.group_name(index)
        )));
        rows.push(Row::cells([
            "training",
            "seed",
            "steps",
            "held out",
            "first",
            "best",
            "last",
            "reward first",
            "last",
        ]));
        for member in comparison.of_group(group) {
            rows.extend(rows_of(member));
        }
        if group.members.len() > 1 {
            rows.extend(means(comparison, group));
        }
    }
    let widths: Vec<usize> = (0..Row::N)
        .map(|column| rows.iter().filter_map(|row| row.width(column)).max().unwrap_or_default())
        .collect();
    let mut lines: Vec<String> = rows.iter().map(|row| row.line(&widths)).collect();
    lines.push(
        "\nIntervals are Wilson's at 95 %, of the episodes of one measurement; ranges are of seeds. The best of several \
         measurements flatters. Rewards are means over the first and the last tenth of the log."
            .to_owned(),
    );
    lines.join("\n")
}

/// A line of the output.
enum Row {
    Words(String),
    Cells([String; Row::N]),
}

impl Row {
    const N: usize = 9;

    fn cells(cells: [&str; Self::N]) -> Self {
        Self::Cells(cells.map(str::to_owned))
    }

    fn width(&self, column: usize) -> Option<usize> {
        match self {
            Self::Words(_) => None,
            Self::Cells(cells) => Some(cells[column].chars().count()),
        }
    }

    fn line(&self, widths: &[usize]) -> String {
        match self {
            Self::Words(words) => words.clone(),
            Self::Cells(cells) => {
                let padded = cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}"));
                format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
            }
        }
    }
}

/// A row for each set that was measured; one without any otherwise.
fn rows_of(member: &Member) -> Vec<Row> {
    let none = || "–".to_owned();
    let reward = |reward: Option<f64>| reward.map_or_else(none, |reward| format!("{reward:.3}"));
    let row = |index: usize, held_out: Option<&HeldOut>| {
        let own = |text: String| if index == 0 { text } else { String::new() };
        let cell = |of: fn(&HeldOut) -> Measured| held_out.map_or_else(none, |held_out| words(of(held_out)));
        Row::Cells([
            own(member.name.clone()),
            own(member.seed.map_or_else(none, |seed| seed.to_string())),
            own(member.training.step().to_string()),
            held_out.map_or_else(none, |held_out| format!("{} {}", held_out.set, held_out.measure)),
            cell(|held_out| held_out.first),
            cell(|held_out| held_out.best),
            cell(|held_out| held_out.last),
            own(reward(member.reward.map(|ends| ends.0))),
            own(reward(member.reward.map(|ends| ends.1))),
        ])
    };
    if member.held_out.is_empty() {
        return vec![row(0, None)];
    }
    member.held_out.iter().enumerate().map(|(index, held_out)| row(index, Some(held_out))).collect()
}

/// `97.5 % (94.3 to 98.9, n 200) @220`.
fn words(Measured { step, share, n }: Measured) -> String {
    let interval = n.map(|n| {
        let (low, high) = interval(share, n);
        format!(" ({:.1} to {:.1}, n {n})", low * 100.0, high * 100.0)
    });
    format!("{:.1} %{} @{step}", share * 100.0, interval.unwrap_or_default())
}

/// The mean and the range of a group's seeds, a row for each set.
fn means(comparison: &Comparison, group: &Group) -> Vec<Row> {
    let over = comparison.over_seeds(group);
    let share = |s: Spread| format!("{:.1} % [{:.1} to {:.1}]", s.mean * 100.0, s.min * 100.0, s.max * 100.0);
    let reward = |s: Option<Spread>| {
        s.map_or_else(|| "–".to_owned(), |s| format!("{:.3} [{:.3} to {:.3}]", s.mean, s.min, s.max))
    };
    let row = |(index, of_set): (usize, &vigorl_metrics::OverSeeds)| {
        let own = |text: String| if index == 0 { text } else { String::new() };
        Row::Cells([
            format!("mean [range] of {} seeds", of_set.last.n),
            String::new(),
            String::new(),
            of_set.set.clone(),
            share(of_set.first),
            share(of_set.best),
            share(of_set.last),
            own(reward(over.reward_first)),
            own(reward(over.reward_last)),
        ])
    };
    over.held_out.iter().enumerate().map(row).collect()
}
