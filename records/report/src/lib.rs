//! The report of a run: one HTML file a person can open offline, send and enjoy; and the pages of `vigorl view`,
//! which show the same report, the list of all runs, and two runs side by side.
//!
//! Invariant: the file loads nothing from anywhere (the page's own policy forbids it), every image is inside; a
//! served page loads pictures from its own server alone. Every text from the run is escaped, and any run
//! directory that can be read gives a report, finished or not.

mod comparison;
mod film;
mod gallery;
mod html;
mod list;
pub mod marks;
mod overlay;
mod step;
pub mod view;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vigorl_files::write_whole;
use vigorl_runs::RunDirError;
use vigorl_runs::record::{EpisodeRecord, Summary, Timings, TokensRecord};
use vigorl_runs::wilson95;
use vigorl_runs::{Recorded, RecordedEpisode, RecordedStep};

use html::{Follow, Pictures, Shown, count, date, duration, escape};

pub use comparison::{Side, render_comparison};
pub use film::{FilmError, Filmed, write_film};
pub use list::render_list;

/// Writes `report.html` into the run directory and returns its path.
///
/// # Errors
/// [`RunDirError`] if the run cannot be read or the file cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, RunDirError> {
    let recorded = Recorded::read(run_dir)?;
    let path = run_dir.join("report.html");
    write_whole(&path, render(&recorded).as_bytes())
        .map_err(|source| RunDirError::Write { path: path.clone(), source })?;
    Ok(path)
}

/// The report as a file.
pub fn render(recorded: &Recorded) -> String {
    page(recorded, Shown::Alone, Pictures::Inside)
}

/// The report as a page of a server that has the run directory's pictures below the page's address, and under
/// `state` its version. A run without a summary is followed.
pub fn render_served(recorded: &Recorded, version: &str) -> String {
    let follow = recorded.summary.is_none().then_some(Follow { address: "state", version });
    page(recorded, Shown::Served { follow }, Pictures::Under(""))
}

fn page(recorded: &Recorded, shown: Shown<'_>, pictures: Pictures<'_>) -> String {
    let mut out = String::with_capacity(1 << 20);
    html::open_page(&mut out, &recorded.run.task, shown);
    header(&mut out, recorded, shown);
    if recorded.episodes.len() > 1 {
        out.push_str(&gallery::breakdown(&recorded.episodes));
        out.push_str(&gallery::cards(&recorded.episodes));
    }
    player(&mut out, recorded);
    for (idx, episode) in recorded.episodes.iter().enumerate() {
        episode_section(&mut out, idx + 1, episode, pictures);
    }
    footer(&mut out, recorded, shown);
    html::close_page(&mut out);
    out
}

/// The buttons and the slider that show one step at a time.
fn player(out: &mut String, recorded: &Recorded) {
    let n_steps: usize = recorded.episodes.iter().map(|episode| episode.steps.len()).sum();
    if n_steps < 2 {
        return;
    }
    write!(
        out,
        concat!(
            r#"<div class="film"></div><div class="panel player" role="group" aria-label="step by step"><div class="chips">"#,
            r#"<button data-go="-1">Previous</button><button data-do="film" aria-pressed="false">Play</button><button data-go="1">Next</button></div>"#,
            r#"<input type="range" min="1" max="{n_steps}" value="1" aria-label="step"><output>step 1 of {n_steps}</output>"#,
            r#"<div class="chips"><button data-do="list" aria-pressed="true">All steps</button></div></div>"#
        ),
        n_steps = n_steps
    )
    .ok();
}

fn header(out: &mut String, recorded: &Recorded, shown: Shown<'_>) {
    let run = &recorded.run;
    let home = match shown {
        Shown::Alone => "",
        Shown::Served { .. } => r#" <a href="/">all runs</a>"#,
    };
    write!(
        out,
        r#"<div class="panel"><div class="top"><div class="words"><div class="brand">vigorl <span>run report</span>{home}</div>"#
    )
    .ok();
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
    let Standing { class, mark, word } = Standing::of(judged.first().copied(), recorded.summary.as_ref());
    write!(out, r#"<div class="verdict {class}"><span><b>{mark}</b>{word}</span></div>"#).ok();
}

/// How a run stands, as a color, a sign and words.
#[derive(Clone, Copy)]
struct Standing {
    class: &'static str,
    mark: &'static str,
    word: &'static str,
}

impl Standing {
    /// `success` is what is known of it, with or without a summary.
    fn of(success: Option<bool>, summary: Option<&Summary>) -> Self {
        let (class, mark, word) = match (summary, success) {
            (_, Some(true)) => ("hit", "✓", "solved"),
            (_, Some(false)) => ("miss", "✗", "not solved"),
            (Some(summary), None) if summary.err_msg.is_some() => ("miss", "!", "failed"),
            (Some(summary), None) if summary.truncated => ("open", "▪", "interrupted"),
            (Some(_), None) => ("open", "?", "not judged"),
            (None, None) => ("open", "…", "unfinished"),
        };
        Self { class, mark, word }
    }
}

fn notices(out: &mut String, summary: Option<&Summary>) {
    match summary {
        None => out.push_str(
            r#"<p class="notice">The run is still going on, or was cut off before it wrote its summary. Everything below comes from its event log.</p>"#,
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

fn episode_section(out: &mut String, number: usize, episode: &RecordedEpisode, pictures: Pictures<'_>) {
    let state = gallery::state(episode);
    write!(
        out,
        r#"<article class="panel episode" id="e{number}" data-number="{number}"{}><header><h3>{}</h3>"#,
        if number > 1 { " hidden" } else { "" },
        escape(&episode.name)
    )
    .ok();
    let words = outcome_words(episode.outcome.as_ref());
    write!(out, r#"<span class="pill state {state}">{words}</span></header><p class="labels">"#).ok();
    let mut words: Vec<String> =
        episode.labels.iter().map(|(label, value)| format!("{}: {}", escape(label), escape(value))).collect();
    words.extend(episode.seed.map(|seed| format!("seed {seed}")));
    if let Some(outcome) = &episode.outcome {
        words.extend(outcome.detail.iter().chain(&outcome.err_msg).map(|text| escape(text)));
    }
    write!(out, "{}</p>", words.join(" · ")).ok();
    let target = episode.outcome.as_ref().and_then(|outcome| outcome.target);
    for (idx, recorded_step) in episode.steps.iter().enumerate() {
        out.push_str(&step::section(recorded_step, idx + 1, target, pictures));
    }
    if episode.steps.is_empty() {
        out.push_str(r#"<p class="empty">No step was taken.</p>"#);
    }
    out.push_str("</article>");
}

/// `solved · reward 1`.
fn outcome_words(outcome: Option<&EpisodeRecord>) -> String {
    let word = match outcome.and_then(|outcome| outcome.success) {
        Some(true) => "solved",
        Some(false) => "not solved",
        None => "not judged",
    };
    let reward = outcome.and_then(|outcome| outcome.reward);
    reward.map_or_else(|| word.to_owned(), |reward| format!("{word} · reward {}", html::reward(reward)))
}

fn footer(out: &mut String, recorded: &Recorded, shown: Shown<'_>) {
    out.push_str(r#"<div class="panel"><details><summary>settings, seeds, versions</summary><pre>"#);
    let record = serde_json::to_string_pretty(&recorded.run).unwrap_or_default();
    write!(out, "{}</pre></details></div><footer><p>", escape(&record)).ok();
    if recorded.episodes.iter().map(|episode| episode.steps.len()).sum::<usize>() > 1 {
        out.push_str("<kbd>←</kbd> <kbd>→</kbd> other steps · ");
    }
    out.push_str("<kbd>b</kbd> before and after · <kbd>p</kbd> replay");
    if matches!(shown, Shown::Alone) {
        out.push_str(" · this file needs no network");
    }
    out.push_str("</p></footer>");
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
