//! The report of a run: one HTML file a person can open offline, send and enjoy.
//!
//! Invariant: nothing is loaded from anywhere (the page's own policy forbids it), every image is inside, every
//! text from the run is escaped, and any run directory that can be read gives a report, finished or not.

mod gallery;
mod html;
mod overlay;
mod step;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::interval::wilson95;
use crate::record::{Summary, Timings, TokensRecord};
use crate::recorded::{Recorded, RecordedEpisode, RecordedStep};
use crate::run_dir::RunDirError;

use html::{count, duration, escape};

/// Writes `report.html` into the run directory and returns its path.
///
/// # Errors
/// [`RunDirError`] if the run cannot be read or the file cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, RunDirError> {
    let recorded = Recorded::read(run_dir)?;
    let path = run_dir.join("report.html");
    fs::write(&path, render(&recorded))
        .map_err(|source| RunDirError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// The report as HTML.
pub fn render(recorded: &Recorded) -> String {
    let title = escape(&recorded.run.task);
    let mut out = String::with_capacity(1 << 20);
    write!(
        out,
        concat!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{} · vigorl</title>",
            "<link rel=\"icon\" href=\"data:,\"><style>{}</style><noscript><style>.episode{{display:block!important}}</style></noscript></head>",
            "<body><div class=\"wrap\">"
        ),
        title,
        include_str!("report/page.css")
    )
    .ok();
    header(&mut out, recorded);
    if recorded.episodes.len() > 1 {
        out.push_str(&gallery::breakdown(&recorded.episodes));
        out.push_str(&gallery::cards(&recorded.episodes));
    }
    for (idx, episode) in recorded.episodes.iter().enumerate() {
        episode_section(&mut out, idx + 1, episode);
    }
    footer(&mut out, recorded);
    writeln!(out, "</div><script>{}</script></body></html>", include_str!("report/page.js")).ok();
    out
}

fn header(out: &mut String, recorded: &Recorded) {
    let run = &recorded.run;
    out.push_str(r#"<div class="panel"><div class="top"><div class="words"><div class="brand">vigorl <span>run report</span></div>"#);
    write!(out, r#"<h1>{}</h1><dl class="facts">"#, escape(&run.task)).ok();
    let totals = Totals::of(recorded);
    let mut model = escape(&run.model.name);
    if let Some(sha256) = &run.model.sha256 {
        write!(
            model,
            r#" <code title="{0}">{1}</code>"#,
            escape(sha256),
            escape(sha256.get(..8).unwrap_or(sha256))
        )
        .ok();
    }
    let mut facts = vec![("model", model), ("started", escape(&date(&run.started_at)))];
    if recorded.episodes.len() > 1 {
        facts.push(("episodes", count(recorded.episodes.len())));
    }
    facts.push(("steps", count(totals.n_steps)));
    facts.push(("zooms", count(totals.n_zooms)));
    facts.push((
        "tokens read / written",
        format!("{} / {}", count(totals.tokens.prompt), count(totals.tokens.completion)),
    ));
    if let Some(median) = totals.median_step_millis {
        facts.push(("median step", duration(median)));
    }
    facts.push(("steps in total", duration(totals.timings.total())));
    for (name, value) in facts {
        write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>").ok();
    }
    out.push_str("</dl></div>");
    verdict(out, recorded);
    out.push_str("</div>");
    notices(out, recorded.summary.as_ref());
    out.push_str("</div>");
}

/// `2026-11-22 23:00 UTC` from the recorded stamp.
fn date(stamp: &str) -> String {
    stamp.get(..16).map_or_else(|| stamp.to_owned(), |minutes| format!("{} UTC", minutes.replace('T', " ")))
}

fn verdict(out: &mut String, recorded: &Recorded) {
    let judged: Vec<bool> =
        recorded.episodes.iter().filter_map(|e| e.outcome.as_ref().and_then(|o| o.success)).collect();
    let (k, n) = (judged.iter().filter(|success| **success).count(), judged.len());
    if recorded.episodes.len() > 1 && n > 0 {
        let (low, high) = wilson95(k, n);
        let rate = k as f64 / n as f64;
        // The circumference is 2π·52.
        write!(
            out,
            concat!(
                r#"<svg class="ring{}" viewBox="0 0 128 128" role="img" aria-label="{k} of {n} solved"><circle class="track" cx="64" cy="64" r="52"/>"#,
                r#"<circle class="fill" cx="64" cy="64" r="52" stroke-dasharray="{:.1} 400" transform="rotate(-90 64 64)"/>"#,
                r#"<text x="64" y="66">{k}/{n}</text><text class="small" x="64" y="84">{:.0} – {:.0} %</text></svg>"#
            ),
            if k == 0 { " none" } else { "" },
            (rate * 326.7).max(0.1),
            low * 100.0,
            high * 100.0,
            k = k,
            n = n,
        )
        .ok();
        return;
    }
    let (class, mark, word) = match (recorded.summary.as_ref(), judged.first()) {
        (_, Some(true)) => ("hit", "✓", "solved"),
        (_, Some(false)) => ("miss", "✗", "not solved"),
        (Some(summary), None) if summary.err_msg.is_some() => ("miss", "!", "failed"),
        (Some(summary), None) if summary.truncated => ("open", "▪", "interrupted"),
        (Some(_), None) => ("open", "?", "not judged"),
        (None, None) => ("open", "…", "unfinished"),
    };
    write!(out, r#"<div class="verdict {class}"><span><b>{mark}</b>{word}</span></div>"#).ok();
}

fn notices(out: &mut String, summary: Option<&Summary>) {
    match summary {
        None => out.push_str(
            r#"<p class="notice">The run was cut off before it wrote its summary. Everything below was recovered from its event log.</p>"#,
        ),
        Some(summary) => {
            if let Some(error) = &summary.err_msg {
                write!(out, r#"<p class="notice bad">{}</p>"#, escape(error)).ok();
            }
            if summary.truncated {
                out.push_str(r#"<p class="notice">The run was ended from outside: interrupted, or out of steps.</p>"#);
            }
        }
    }
}

fn episode_section(out: &mut String, number: usize, episode: &RecordedEpisode) {
    let state = gallery::state(episode);
    write!(
        out,
        r#"<article class="panel episode" id="e{number}" data-number="{number}"{}><header><h3>{}</h3>"#,
        if number > 1 { " hidden" } else { "" },
        escape(&episode.name)
    )
    .ok();
    let word = match state {
        "hit" => "solved",
        "miss" => "not solved",
        _ => "not judged",
    };
    let reward = episode.outcome.as_ref().and_then(|outcome| outcome.reward);
    let reward = reward.map_or(String::new(), |reward| format!(" · reward {}", html::number(reward)));
    write!(out, r#"<span class="pill state {state}">{word}{reward}</span></header><p class="labels">"#).ok();
    let mut words: Vec<String> =
        episode.labels.iter().map(|(label, value)| format!("{}: {}", escape(label), escape(value))).collect();
    words.extend(episode.seed.map(|seed| format!("seed {seed}")));
    if let Some(outcome) = &episode.outcome {
        words.extend(outcome.detail.iter().chain(&outcome.err_msg).map(|text| escape(text)));
    }
    write!(out, "{}</p>", words.join(" · ")).ok();
    let target = episode.outcome.as_ref().and_then(|outcome| outcome.target);
    for (idx, recorded_step) in episode.steps.iter().enumerate() {
        out.push_str(&step::section(recorded_step, idx + 1, target));
    }
    if episode.steps.is_empty() {
        out.push_str(r#"<p class="empty">No step was taken.</p>"#);
    }
    out.push_str("</article>");
}

fn footer(out: &mut String, recorded: &Recorded) {
    out.push_str(r#"<div class="panel"><details><summary>settings, seeds, versions</summary><pre>"#);
    let record = serde_json::to_string_pretty(&recorded.run).unwrap_or_default();
    write!(out, "{}</pre></details></div><footer><p>", escape(&record)).ok();
    if recorded.episodes.len() > 1 {
        out.push_str("<kbd>←</kbd> <kbd>→</kbd> other episodes · ");
    }
    out.push_str(
        "<kbd>b</kbd> before and after · <kbd>p</kbd> replay · this file needs no network</p></footer>",
    );
}

struct Totals {
    n_steps: usize,
    n_zooms: usize,
    tokens: TokensRecord,
    timings: Timings,
    median_step_millis: Option<f64>,
}

impl Totals {
    fn of(recorded: &Recorded) -> Self {
        let steps: Vec<&RecordedStep> = recorded.episodes.iter().flat_map(|e| &e.steps).collect();
        let turns = || steps.iter().filter_map(|step| step.model.as_ref()).flat_map(|model| &model.turns);
        let mut timings = Timings::default();
        let mut each: Vec<f64> = Vec::new();
        for action in steps.iter().filter_map(|step| step.action.as_ref()) {
            timings.add(&action.millis);
            each.push(action.millis.total());
        }
        each.sort_by(f64::total_cmp);
        Self {
            n_steps: steps.len(),
            n_zooms: turns().filter(|turn| turn.crop.is_some()).count(),
            tokens: TokensRecord {
                prompt: turns().map(|turn| turn.n_prompt_tokens).sum(),
                cached: turns().map(|turn| turn.n_cached_tokens).sum(),
                completion: turns().map(|turn| turn.n_completion_tokens).sum(),
            },
            timings,
            median_step_millis: each.get(each.len() / 2).copied(),
        }
    }
}
