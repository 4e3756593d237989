//! `vigorl eval report DIR…`, `eval rescore` and `eval published`: what recorded answers come to, without a model.
//!
//! Invariant: nothing is played; a report is a pure function of the records, and of the pictures of their set where these are
//! still where they were.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;

use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use serde_json::json;
use vigorl_benchmarks::miniwob::Choice;
use vigorl_benchmarks::published::{self, tables_of};
use vigorl_benchmarks::{
    Column, Compared, EVALUATIONS, Evaluation, LINES, Line, Merged, Outcome, Rate, Recorded, Rejudge,
    SetChoice, Wanted, compare, merge, written,
};
use vigorl_files::write_whole;
use vigorl_report::{EvaluationPage, Shot, ShotTurn, Table, render_evaluation};
use vigorl_tasks::practice::{PageSpec, Split};

use super::in_class;
use crate::args::{EvalReportArgs, EvalRescoreArgs};
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::{env, terminal};

/// Pictures of a report are this wide or high at most.
const MAX_SIDE_PX: u32 = 1000;
const JPEG_QUALITY: u8 = 80;

/// Prints what records come to, and writes the page.
pub(crate) fn report(args: &EvalReportArgs, form: Form) -> anyhow::Result<Ending> {
    let runs = read(&args.folders)?;
    let (columns, compared) = compare(&runs);
    match form {
        Form::Json => {
            let results = runs.iter().map(|run| serde_json::to_value(run.result(env::command_line())));
            let results = results.collect::<Result<Vec<_>, _>>()?;
            let missing: Vec<_> = runs.iter().map(Merged::missing).collect();
            terminal::data(&pretty(&json!({
                "results": results, "columns": columns, "compared": compared, "missing": missing,
            })));
        }
        Form::Text => terminal::data(&in_words(&runs, &columns, &compared)),
    }
    let path = args.html.clone().unwrap_or_else(|| args.folders[0].join("report.html"));
    let page = page(&runs, &columns, &compared, args)?;
    write_whole(&path, render_evaluation(&page).as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    terminal::note(&format!("report  {}", path.display()));
    Ok(Ending::Done)
}

/// Judges recorded answers again.
pub(crate) fn rescore(args: &EvalRescoreArgs, form: Form) -> anyhow::Result<Ending> {
    let judge = Rejudge::named(&args.judge).context("no such judge")?;
    let mut runs = read(&args.folders)?;
    let [run] = &mut runs[..] else {
        return Err(usage("these folders are of different runs: rescore them one after the other"));
    };
    let before: Vec<Option<Outcome>> = run.lines.iter().map(|line| line.outcome).collect();
    let judged: Result<Vec<Line>, String> = run.lines.iter().map(|line| judge.judge(line)).collect();
    run.lines = judged.map_err(usage)?;
    let n_changed = before.iter().zip(&run.lines).filter(|(before, line)| **before != line.outcome).count();
    if let Some(path) = &args.items {
        write_whole(path, run.lines.iter().map(written).collect::<String>().as_bytes())
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let result = run.result(env::command_line());
    terminal::data(&match form {
        Form::Json => {
            let mut all = serde_json::to_value(&result)?;
            all["judge"] = json!(args.judge);
            all["n_changed"] = json!(n_changed);
            pretty(&all)
        }
        Form::Text => format!(
            "judge {} · {n_changed} of {} verdicts are others than those that were recorded\n{}",
            args.judge,
            run.lines.len(),
            result.table()
        ),
    });
    Ok(Ending::Done)
}

/// Prints which published rows can be true.
pub(crate) fn published(form: Form) -> Ending {
    match form {
        Form::Text => terminal::data(published::report().trim_end()),
        Form::Json => {
            let table = |table: published::Table| {
                let rows = table
                    .rows
                    .into_iter()
                    .map(|row| json!({ "model": row.model, "cells": row.cells, "average": row.average }));
                json!({
                    "benchmark": table.benchmark, "source": table.source, "url": table.url,
                    "columns": table.columns, "rows": rows.collect::<Vec<_>>(),
                })
            };
            terminal::data(&pretty(&json!(published::tables().into_iter().map(table).collect::<Vec<_>>())));
        }
    }
    Ending::Done
}

pub(super) fn read(folders: &[PathBuf]) -> anyhow::Result<Vec<Merged>> {
    let records: Result<Vec<_>, _> = folders
        .iter()
        .map(|folder| {
            // A file of the folder may be named as well.
            let folder = if folder.ends_with(LINES) { folder.parent().unwrap_or(folder) } else { folder };
            Recorded::read(folder).map(|recorded| (folder.to_owned(), recorded))
        })
        .collect();
    let records = records.map_err(in_class)?;
    merge(records).map_err(usage)
}

fn in_words(runs: &[Merged], columns: &[Column], compared: &[Compared]) -> String {
    let mut out = String::new();
    for run in runs {
        out += &run.result(String::new()).table();
        if let Some(missing) = run.missing() {
            out += &format!("{missing}\n");
        }
        out += "\n";
    }
    for table in
        [intervals(columns), pairs(compared)].into_iter().flatten().chain(beside_published(runs, columns))
    {
        out += &text_table(&table);
        out += "\n";
    }
    out.trim_end().to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Every column with both intervals.
fn intervals(columns: &[Column]) -> Option<Table> {
    let row = |column: &Column| {
        let Rate { n_success, n, rate, wilson95: (low, high) } = column.numbers.all;
        let clustered = column.clustered.as_ref().map_or_else(String::new, |clustered| {
            let (low, high) = clustered.bootstrap95;
            format!("{} to {} ({} screenshots)", percent(low), percent(high), clustered.n_clusters)
        });
        vec![
            column.name.clone(),
            format!("{n_success}/{n} = {}", percent(rate)),
            format!("{} to {}", percent(low), percent(high)),
            clustered,
            column.numbers.n_wrong_format.to_string(),
            column.numbers.n_errors.to_string(),
        ]
    };
    (!columns.is_empty()).then(|| Table {
        caption: "95 % intervals".to_owned(),
        head: ["", "right", "Wilson", "bootstrap over screenshots", "wrong format", "errors"]
            .map(str::to_owned)
            .to_vec(),
        rows: columns.iter().map(row).collect(),
        url: None,
    })
}

/// Every two columns on the same items.
fn pairs(compared: &[Compared]) -> Option<Table> {
    let row = |one: &Compared| {
        let paired = &one.paired;
        vec![
            format!("{} → {}", one.first, one.second),
            paired.n.to_string(),
            format!("{:+.1} points", paired.difference * 100.0),
            format!("{} and {}", paired.n_first_alone, paired.n_second_alone),
            format!("{:.3}", paired.p_mcnemar),
        ]
    };
    (!compared.is_empty()).then(|| Table {
        caption: "On the same items (McNemar's exact test)".to_owned(),
        head: ["", "items", "difference", "solved by one alone", "p"].map(str::to_owned).to_vec(),
        rows: compared.iter().map(row).collect(),
        url: None,
    })
}

/// Published tables with our rows in front, where these are of all items of the same set.
fn beside_published(runs: &[Merged], columns: &[Column]) -> Vec<Table> {
    let benchmarks: BTreeSet<&str> = runs.iter().map(|run| &*run.head.described.benchmark).collect();
    let mut tables = Vec::new();
    for benchmark in benchmarks {
        let of_set = runs.iter().any(|run| {
            run.head.described.benchmark == benchmark && run.head.described.set["is_published"] == json!(true)
        });
        if !of_set {
            continue;
        }
        for table in tables_of(benchmark) {
            let ours = columns.iter().filter(|column| column.benchmark == benchmark).map(|column| {
                let cell = |name: &String| {
                    let rates = column.numbers.by.values().find_map(|values| values.get(name));
                    rates.map_or_else(String::new, |rate| format!("{:.1}", rate.rate * 100.0))
                };
                let cells = table.columns.iter().map(cell);
                [column.name.clone()]
                    .into_iter()
                    .chain(cells)
                    .chain([format!("{:.1}", column.numbers.all.rate * 100.0)])
                    .collect()
            });
            let theirs = table.rows.iter().map(|row| {
                [row.model.clone()]
                    .into_iter()
                    .chain(row.cells.clone())
                    .chain([row.average.clone()])
                    .collect()
            });
            tables.push(Table {
                caption: format!("beside {}", table.source),
                head: [String::new()]
                    .into_iter()
                    .chain(table.columns.clone())
                    .chain(["average".to_owned()])
                    .collect(),
                rows: ours.chain(theirs).collect(),
                url: Some(table.url.clone()),
            });
        }
    }
    tables
}

/// A table in a terminal.
fn text_table(table: &Table) -> String {
    let width = |at: usize| {
        let cells = [&table.head].into_iter().chain(&table.rows).filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("{cell:<width$}", width = width(at)),
            _ => format!("{cell:>width$}", width = width(at)),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rows: String = [&table.head].into_iter().chain(&table.rows).map(line).collect();
    format!("{}\n{rows}", table.caption)
}

fn page(
    runs: &[Merged],
    columns: &[Column],
    compared: &[Compared],
    args: &EvalReportArgs,
) -> anyhow::Result<EvaluationPage> {
    let mut page = EvaluationPage {
        title: runs
            .iter()
            .map(|run| run.head.described.title.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join("; "),
        ..EvaluationPage::default()
    };
    for run in runs {
        let name = if runs.len() > 1 { format!("{}: ", run.name()) } else { String::new() };
        page.facts.push((format!("{name}model"), run.head.asked.model.clone()));
        page.facts.extend(run.head.how().into_iter().map(|(what, words)| (format!("{name}{what}"), words)));
        page.facts.push((format!("{name}commit"), run.head.commit.clone()));
        page.notes.extend(run.head.described.notes.iter().cloned());
        page.notes.extend(run.missing());
    }
    page.notes.dedup();
    page.tables.extend(intervals(columns));
    page.tables.extend(pairs(compared));
    page.tables.extend(cells(runs, columns));
    page.tables.extend(beside_published(runs, columns));
    for run in runs {
        shots(run, runs.len() > 1, args, &mut page)?;
    }
    Ok(page)
}

/// Rates by the groups of each set.
fn cells(runs: &[Merged], columns: &[Column]) -> Vec<Table> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for group in runs.iter().flat_map(|run| &run.head.described.groups) {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let table = |(group, values): (String, Vec<String>)| {
        let rates = |value: &String| {
            let cells = columns.iter().map(|column| {
                let rate = column.numbers.by.get(&format!("by_{group}")).and_then(|by| by.get(value));
                rate.map_or_else(String::new, |rate| {
                    format!("{}/{} = {}", rate.n_success, rate.n, percent(rate.rate))
                })
            });
            let row: Vec<String> = [value.clone()].into_iter().chain(cells).collect();
            row[1..].iter().any(|cell| !cell.is_empty()).then_some(row)
        };
        let head = [group.clone()].into_iter().chain(columns.iter().map(|column| column.name.clone()));
        let rows = values.iter().filter_map(rates).collect();
        Table { caption: format!("by {group}"), head: head.collect(), rows, url: None }
    };
    groups.into_iter().map(table).filter(|table| !table.rows.is_empty()).collect()
}

/// Items with their pictures, the surest wrong ones first.
fn shots(
    run: &Merged,
    is_named: bool,
    args: &EvalReportArgs,
    page: &mut EvaluationPage,
) -> anyhow::Result<()> {
    let mut lines: Vec<&Line> =
        run.lines.iter().filter(|line| args.all_items || line.is_right != Some(true)).collect();
    lines.sort_by(|a, b| b.confidence.unwrap_or(-1.0).total_cmp(&a.confidence.unwrap_or(-1.0)));
    let n_shown = usize::try_from(args.failures.unwrap_or(100)).unwrap_or(usize::MAX);
    page.n_left_out += lines.len().saturating_sub(n_shown);
    let evaluation = opened(run);
    let bar = terminal::bar(lines.len().min(n_shown) as u64, "pictures");
    for line in lines.into_iter().take(n_shown) {
        page.items.push(shot(line, is_named.then(|| run.name()), evaluation.as_deref()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The set of a run, where it is still there.
fn opened(run: &Merged) -> Result<Box<dyn Evaluation>, String> {
    let opened = &run.head.opened;
    let name = opened["name"].as_str().unwrap_or_default();
    let Some(named) = EVALUATIONS.iter().find(|named| named.name == name) else {
        return Err("the record does not say of which set it is".to_owned());
    };
    let set: SetChoice = serde_json::from_value(opened["set"].clone()).unwrap_or_default();
    let data: Vec<PathBuf> = serde_json::from_value(opened["folders"].clone()).unwrap_or_default();
    if ["practice", "miniwob"].contains(&name) {
        return Err("its screenshots are of a browser, and are gone: --record keeps them".to_owned());
    }
    let wordings = run.head.described.set["wordings"].clone();
    let wordings = serde_json::from_value(wordings).unwrap_or_default();
    let first_page = PageSpec::icons(0, Split::HeldOut);
    let questions = serde_json::from_value(opened["questions"].clone()).unwrap_or_default();
    (named.open)(&Wanted { n: None, first_page, data, wordings, miniwob: Choice::default(), set, questions })
}

fn shot(line: &Line, run: Option<String>, evaluation: Result<&(dyn Evaluation + 'static), &String>) -> Shot {
    let picture = evaluation.map_err(Clone::clone).and_then(|evaluation| {
        let is_same = evaluation.item(line.item).is_ok_and(|item| item.id == line.id);
        if !is_same {
            return Err("the set is another one than it was".to_owned());
        }
        let screenshot = evaluation.screenshot(line.item).map_err(|error| error.to_string())?;
        let pixels = screenshot.ok_or("the item has none")?;
        jpeg(&pixels).map(|bytes| (bytes, [pixels.width(), pixels.height()]))
    });
    let size = picture.as_ref().map_or([1, 1], |(_, size)| *size);
    let area = f64::from(size[0]) * f64::from(size[1]);
    Shot {
        id: line.id.clone(),
        run,
        instruction: line.instruction.clone(),
        outcome: line.outcome.map_or("not judged", Outcome::as_str),
        values: line
            .values
            .iter()
            .cloned()
            .chain([("mode".to_owned(), line.mode.label().to_owned())])
            .collect(),
        confidence: line.confidence,
        target_share: line.target_area().filter(|_| picture.is_ok()).map(|target| target / area),
        millis: line.millis,
        picture: picture.map(|(bytes, _)| bytes),
        size,
        targets: line.targets.clone(),
        point: line.point,
        turns: line
            .turns
            .iter()
            .map(|turn| ShotTurn { text: turn.text.clone(), points: turn.points.clone(), crop: turn.crop })
            .collect(),
        why: match (&line.truth, &line.answer) {
            (Some(truth), answer) if line.why.is_none() => Some(format!(
                "right: {truth} · answered: {}",
                answer.as_deref().unwrap_or("nothing that could be read")
            )),
            _ => line.why.clone(),
        },
    }
}

/// A picture that is small enough for a page with many.
fn jpeg(pixels: &image::RgbImage) -> Result<Vec<u8>, String> {
    let (width, height) = pixels.dimensions();
    let scale = (f64::from(MAX_SIDE_PX) / f64::from(width.max(height))).min(1.0);
    let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
    let mut bytes = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    let written = match scale < 1.0 {
        true => imageops::resize(pixels, side(width), side(height), FilterType::Triangle)
            .write_with_encoder(encoder),
        false => pixels.write_with_encoder(encoder),
    };
    written.map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}
