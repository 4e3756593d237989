//! A training as a page: how it stands, the newest numbers in words, curves, and everything else that its folder tells.
//!
//! Invariant: like a report, the page says nothing that is not in the folder; it is the same page for every kind of
//! training, because the tables of `vigorl_metrics` say what is drawn.

mod chart;
mod compared;
mod runs;
mod words;

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use maud::{Markup, html};
use vigorl_files::write_whole;
use vigorl_metrics::{FolderError, HeldOut, Panel, Standing, Training, curves, smooth};
use vigorl_runs::Stamp;

use crate::html::{self, Follow, Shown, count, date, facts};
use crate::run::ring;
use chart::{Chart, Line, Weight, charts, value};

pub use compared::render_training_comparison;
pub(crate) use runs::parts_of;
pub(crate) use words::span;

/// Points of a curve that are drawn at most: more than there are pixels show nothing more.
const MAX_POINTS: usize = 1000;
/// A curve of fewer points is its own trend.
const MIN_FOR_TREND: usize = 20;

/// Writes `report.html` into the folder of a training and returns its path.
///
/// # Errors
/// [`ReportError`] if the folder cannot be read, or the file cannot be written.
pub fn write_training_report(root: &Path) -> Result<PathBuf, ReportError> {
    let training = Training::read(root)?;
    let path = root.join("report.html");
    write_whole(&path, render_training(&training).as_bytes())
        .map_err(|source| ReportError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// The report of a training cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There is no training, or it cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The page as a file.
pub fn render_training(training: &Training) -> String {
    page(training, Shown::Alone)
}

/// The page of a server that has its version below the page's address, under `state`. A training that is not finished
/// is followed.
pub(crate) fn render_served_training(training: &Training, version: &str) -> String {
    let follow = (training.standing != Standing::Finished).then_some(Follow {
        address: "state",
        version,
        in_place: true,
    });
    page(training, Shown::Served { follow })
}

fn page(training: &Training, shown: Shown<'_>) -> String {
    let content = html! {
        (head(training, shown))
        @if training.records.is_empty() {
            div.panel { p.empty { "No step is logged yet." } }
        } @else {
            (said(training, shown))
            (runs::links(training, shown))
            (panels(training))
            (table(training))
        }
        div.panel { details { summary { "configuration" } pre { (training.config_text) } } }
        footer { p {
            "Move over a chart, or touch it, to read off its values; all charts show the same step."
            @if let Shown::Alone = shown { " · this file needs no network" }
        } }
    };
    html::page(&training.name(), shown, &content)
}

/// How a training stands, as a class, a sign and a word.
///
/// A file does not know whether what it tells of goes on.
pub(crate) fn standing(standing: Standing, shown: Shown<'_>) -> [&'static str; 3] {
    match (standing, shown) {
        (Standing::Finished, _) => ["hit", "✓", standing.word()],
        (Standing::Running, Shown::Served { .. }) => ["going", "▶", standing.word()],
        (Standing::Stopped, Shown::Served { .. }) => ["open", "▪", standing.word()],
        (_, Shown::Alone | Shown::Beside) => ["open", "▪", "not finished"],
    }
}

fn head(training: &Training, shown: Shown<'_>) -> Markup {
    let [class, mark, word] = standing(training.standing, shown);
    let total = training.total_steps();
    let text = |text: String| html! { (text) };
    let steps = match total {
        Some(total) => format!("{} of {}", count(training.step() as usize), count(total as usize)),
        None => count(training.step() as usize),
    };
    let mut all = vec![("steps", text(steps)), ("learns", text(training.kind.word().to_owned()))];
    if let Some(seed) = training.config.get("run").and_then(|run| run.get("seed")) {
        all.push(("seed", text(seed.to_string())));
    }
    if let Some((_, secs)) = training.newest("time/secs") {
        all.push(("time in steps", text(span(secs))));
    }
    let episodes =
        ["data/episodes", "data/questions"].into_iter().find_map(|key| Some((key, training.newest(key)?.1)));
    if let Some((key, n)) = episodes {
        all.push((key.trim_start_matches("data/"), text(count(n as usize))));
    }
    all.push(("last line", text(written(training))));
    html! {
        div.panel {
            div.top {
                div.words {
                    div.brand {
                        "vigorl " span { "training" }
                        @if let Shown::Served { .. } = shown { " " a href="/" { "all runs" } }
                    }
                    h1 { (training.name()) " " span.standing.(class) { span.pill.state { (mark) " " (word) } } }
                    (facts(all))
                    @if let Some(total) = total.filter(|&total| total > 0 && training.standing != Standing::Finished) {
                        div.progress role="progressbar" aria-valuemin="0" aria-valuemax=(total) aria-valuenow=(training.step()) {
                            i style=(format!("width:{:.2}%", (training.step() as f64 / total as f64 * 100.0).min(100.0))) {}
                        }
                    }
                }
                @if let Some((set, (k, n))) = solved(training) {
                    figure.solved { (ring(k, n)) figcaption { "held out: " (set) } }
                }
            }
        }
    }
}

/// What the newest measurement of the first held-out set solved, and of how many.
fn solved(training: &Training) -> Option<(String, (usize, usize))> {
    let held_out = words::held_out(training).into_iter().next()?;
    let n = held_out.last.n.filter(|&n| n > 0)?;
    Some((held_out.set, ((held_out.last.share * n as f64).round() as usize, n)))
}

/// When the last line was written.
pub(crate) fn written(training: &Training) -> String {
    let since = training.written.duration_since(UNIX_EPOCH).unwrap_or_default();
    date(&Stamp::from_unix_millis(since.as_millis() as u64).iso())
}

fn said(training: &Training, shown: Shown<'_>) -> Markup {
    let goes_on = training.standing == Standing::Running && matches!(shown, Shown::Served { .. });
    let sentences = words::sentences(training, goes_on);
    html! {
        @if !sentences.is_empty() {
            div.panel.said { h2 { "In words" } ul { @for sentence in sentences { li { (sentence) } } } }
        }
    }
}

fn panels(training: &Training) -> Markup {
    let marks = training.stage_marks();
    let drawn = training.kind.panels().iter().filter_map(|&panel| chart_of(training, panel));
    html! { (charts(drawn, training.step() as f64, &marks)) }
}

/// The chart of a panel; none without a value.
fn chart_of(training: &Training, panel: Panel) -> Option<Chart> {
    let mut lines = Vec::new();
    for (color, curve) in curves(&training.records, panel).into_iter().enumerate() {
        let points = thinned(curve.points);
        let has_trend = !curve.held_out && points.len() >= MIN_FOR_TREND;
        let line = |weight, label, points| Line {
            label,
            color,
            unit: curve.unit,
            weight,
            marked: curve.held_out,
            points,
        };
        if has_trend {
            let trend = smooth(&points, points.len() / 40);
            lines.push(line(Weight::Thin, Some(curve.label), points));
            lines.push(line(Weight::Normal, None, trend));
        } else {
            lines.push(line(Weight::Normal, Some(curve.label), points));
        }
    }
    (!lines.is_empty()).then(|| Chart {
        title: panel.title().to_owned(),
        about: None,
        scale: panel.scale(),
        lines,
    })
}

/// Every so many of too many points, and the last one.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (last - i).is_multiple_of(every))
        .map(|(_, at)| at)
        .collect()
}

/// Every name with its first and its newest value, and what it means.
fn table(training: &Training) -> Markup {
    let names: std::collections::BTreeSet<&String> =
        training.records.iter().flat_map(|record| record.values.keys()).collect();
    let rows = names.into_iter().filter_map(|name| {
        let (step, newest) = training.newest(name)?;
        let metric = training.kind.metric(name);
        let shown = |v: f64| {
            metric.map_or_else(|| value(vigorl_metrics::Unit::Plain, v), |metric| value(metric.unit, v))
        };
        let first = training.values(name).first().copied()?;
        Some(html! {
            tr {
                td { code { (name) } }
                td.n { (shown(first)) } td.n { (shown(newest)) } td.n { (step) }
                td { (metric.map_or("", |metric| metric.definition)) }
            }
        })
    });
    html! {
        div.panel {
            details {
                summary { "all numbers, and what they mean" }
                div.scrolls.pinned {
                    table.numbers {
                        thead { tr { th { "name" } th.n { "first" } th.n { "newest" } th.n { "at step" } th { "meaning" } } }
                        tbody { @for row in rows { (row) } }
                    }
                }
            }
        }
    }
}

/// The newest held-out share of the first set, for a list of trainings.
pub(crate) fn newest_held_out(training: &Training) -> Option<(HeldOut, String)> {
    let held_out = words::held_out(training).into_iter().next()?;
    let said = value(vigorl_metrics::Unit::Share, held_out.last.share);
    Some((held_out, said))
}
