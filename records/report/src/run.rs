//! The report of one run, as a file and as a page of the viewer.
//!
//! Invariant: the page is [`PANELS`] in order and nothing else; a panel that has nothing to say is left out. Any run
//! directory that can be read gives a report, finished or not.

use maud::{Markup, html};
use vigorl_runs::record::Summary;
use vigorl_runs::{Judged, Recorded, Totals, wilson95};

use crate::html::{self, Follow, Pictures, Shown, count, date, duration, facts};
use crate::standing::Standing;
use crate::{episode, gallery};

/// What a panel is about.
#[derive(Clone, Copy)]
pub(crate) struct Report<'a> {
    pub(crate) recorded: &'a Recorded,
    pub(crate) shown: Shown<'a>,
    pub(crate) pictures: Pictures<'a>,
}

/// A part of the page; `None` where it has nothing to say about this run.
type Panel = fn(Report<'_>) -> Option<Markup>;

/// The page from top to bottom. A new panel is a function with an entry here.
const PANELS: [Panel; 7] =
    [head, gallery::breakdown, gallery::cards, player, episode::sections, settings, keys];

/// The report as a file.
pub fn render(recorded: &Recorded) -> String {
    page(Report { recorded, shown: Shown::Alone, pictures: Pictures::Inside })
}

/// The report as a page of a server that has the run directory's pictures below the page's address, and under
/// `state` its version. A run without a summary is followed.
pub fn render_served(recorded: &Recorded, version: &str) -> String {
    let follow = recorded.summary.is_none().then_some(Follow { address: "state", version, in_place: false });
    page(Report { recorded, shown: Shown::Served { follow }, pictures: Pictures::Under("") })
}

fn page(report: Report<'_>) -> String {
    let panels = html! { @for panel in PANELS { @if let Some(panel) = panel(report) { (panel) } } };
    html::page(&report.recorded.run.task, report.shown, &panels)
}

/// What was to be done, with what, and what came of it.
fn head(report: Report<'_>) -> Option<Markup> {
    let Report { recorded, shown, .. } = report;
    Some(html! {
        div.panel {
            div.top {
                div.words {
                    div.brand {
                        "vigorl " span { "run report" }
                        @if let Shown::Served { .. } = shown { " " a href="/" { "all runs" } }
                    }
                    h1 { (recorded.run.task) }
                    (numbers(recorded))
                }
                (verdict(recorded))
            }
            (notices(recorded))
        }
    })
}

fn numbers(recorded: &Recorded) -> Markup {
    let totals = Totals::of(recorded.episodes.iter().flat_map(|episode| &episode.steps));
    let run = &recorded.run;
    let model = html! {
        (run.model.name)
        @if let Some(sha256) = &run.model.sha256 {
            " " code title=(sha256) { (sha256.get(..8).unwrap_or(sha256)) }
        }
        @if let Some(endpoint) = &run.model.endpoint {
            " at " code title=(endpoint.weights) { (endpoint.base_url) }
        }
    };
    let text = |text: String| html! { (text) };
    let mut all = vec![("model", model), ("started", text(date(&run.started_at)))];
    all.extend(run.input.attached.as_ref().map(|address| ("in the running browser at", html! { (address) })));
    if recorded.episodes.len() > 1 {
        all.push(("episodes", text(count(recorded.episodes.len()))));
    }
    all.push(("steps", text(count(totals.n_steps))));
    all.push(("zooms", text(count(totals.n_zooms))));
    let tokens = format!("{} / {}", count(totals.tokens.prompt), count(totals.tokens.completion));
    all.push(("tokens read / written", text(tokens)));
    if totals.n_troubles > 0 {
        all.push(("errors of pages", text(count(totals.n_troubles))));
    }
    if let Some(median) = totals.median_step_millis() {
        all.push(("median step", text(duration(median))));
    }
    all.push(("steps in total", text(duration(totals.timings.total()))));
    facts(all)
}

fn verdict(recorded: &Recorded) -> Markup {
    let outcomes = || recorded.episodes.iter().filter_map(|episode| episode.outcome.as_ref());
    let judged = Judged::of(outcomes());
    if let Some(summary) = &recorded.summary
        && is_log_cut(recorded, summary)
    {
        // The share of what is left would be a share of another run.
        return standing(summary.success, Some(summary));
    }
    if recorded.episodes.len() > 1 && judged.n > 0 {
        return ring(judged.n_success, judged.n);
    }
    let success = outcomes().find_map(|outcome| outcome.success);
    standing(success, recorded.summary.as_ref())
}

fn standing(success: Option<bool>, summary: Option<&Summary>) -> Markup {
    let Standing { class, mark, word } = Standing::of(success, summary);
    html! { div.verdict.(class) { span { b { (mark) } (word) } } }
}

/// The share of solved episodes as a part of a circle.
pub(crate) fn ring(k: usize, n: usize) -> Markup {
    let (low, high) = wilson95(k, n);
    // The circumference is 2π·52.
    let filled = (k as f64 / n as f64 * 326.7).max(0.1);
    html! {
        svg.ring.none[k == 0] viewBox="0 0 128 128" role="img" aria-label={ (k) " of " (n) " solved" } {
            circle.track cx="64" cy="64" r="52" {}
            circle.fill cx="64" cy="64" r="52" stroke-dasharray=(format!("{filled:.1} 400")) transform="rotate(-90 64 64)" {}
            text.long[k.to_string().len() + n.to_string().len() > 4] x="64" y="66" { (k) "/" (n) }
            text.small x="64" y="84" { (format!("{:.0} – {:.0} %", low * 100.0, high * 100.0)) }
        }
    }
}

fn notices(recorded: &Recorded) -> Markup {
    let Some(summary) = &recorded.summary else {
        return html! {
            p.notice {
                "The run is still going on, or was cut off before it wrote its summary. Everything below comes from its event log."
            }
        };
    };
    html! {
        @if is_log_cut(recorded, summary) {
            p.notice.bad {
                "The event log is incomplete: its summary counts " (summary.n_steps) " steps and "
                (summary.judged()) " judged episodes. Everything below comes from what is left of the log."
            }
        }
        @if let Some(error) = &summary.err_msg { p.notice.bad { (error) } }
        @if summary.truncated { p.notice { (what_was_cut(recorded, summary)) } }
    }
}

/// One episode is the run; of several, each may have a limit of its own.
fn what_was_cut(recorded: &Recorded, summary: &Summary) -> String {
    let ends = || recorded.episodes.iter().filter_map(|episode| episode.outcome.as_ref());
    match (ends().filter(|end| end.truncated).count(), recorded.episodes.len()) {
        (n_cut, n) if n > 1 && n_cut > 0 => {
            format!("{n_cut} of {n} episodes were ended by a limit of theirs, or from outside.")
        }
        _ => format!("The run was ended from outside: {}.", who_ended_it(recorded, summary)),
    }
}

/// The summary is written after the last event, so a log that holds less than the summary counts has lost its end.
fn is_log_cut(recorded: &Recorded, summary: &Summary) -> bool {
    let judged = Judged::of(recorded.episodes.iter().filter_map(|episode| episode.outcome.as_ref()));
    n_steps(recorded) < summary.n_steps || judged.n < summary.judged()
}

/// The first limit that ended an episode, as its record says it; otherwise what it can have been.
fn who_ended_it<'a>(recorded: &'a Recorded, summary: &Summary) -> &'a str {
    let outcomes = recorded.episodes.iter().filter_map(|episode| episode.outcome.as_ref());
    let detail = outcomes.filter(|outcome| outcome.truncated).find_map(|outcome| outcome.detail.as_deref());
    // With an error, the detail is about that.
    let detail = detail.filter(|detail| summary.err_msg.is_none() && !detail.is_empty());
    detail.unwrap_or("interrupted, or out of steps, actions or time")
}

/// The buttons and the slider that show one step at a time.
fn player(report: Report<'_>) -> Option<Markup> {
    let n_steps = n_steps(report.recorded);
    let buttons = html! {
        div.film {}
        div.panel.player role="group" aria-label="step by step" {
            div.chips {
                button data-go="-1" { "Previous" }
                button data-do="film" aria-pressed="false" { "Play" }
                button data-go="1" { "Next" }
            }
            input type="range" min="1" max=(n_steps) value="1" aria-label="step";
            output { "step 1 of " (n_steps) }
            div.chips { button data-do="list" aria-pressed="true" { "All steps" } }
        }
    };
    (n_steps > 1).then_some(buttons)
}

/// Everything needed to understand and to repeat the run.
fn settings(report: Report<'_>) -> Option<Markup> {
    let record = serde_json::to_string_pretty(&report.recorded.run).ok()?;
    Some(html! { div.panel { details { summary { "settings, seeds, versions" } pre { (record) } } } })
}

/// What the keyboard does here.
fn keys(report: Report<'_>) -> Option<Markup> {
    Some(html! {
        footer {
            p {
                @if n_steps(report.recorded) > 1 { kbd { "←" } " " kbd { "→" } " other steps · " }
                kbd { "b" } " before and after · " kbd { "p" } " replay"
                @if let Shown::Alone = report.shown { " · this file needs no network" }
            }
        }
    })
}

fn n_steps(recorded: &Recorded) -> usize {
    recorded.episodes.iter().map(|episode| episode.steps.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use vigorl_runs::RecordedEpisode;
    use vigorl_runs::record::{EpisodeRecord, RunRecord};

    use super::*;

    fn ended(outcome: EpisodeRecord, err_msg: Option<&str>) -> String {
        all_ended(vec![outcome], err_msg)
    }

    fn all_ended(outcomes: Vec<EpisodeRecord>, err_msg: Option<&str>) -> String {
        let summary = Summary { truncated: true, err_msg: err_msg.map(str::to_owned), ..Summary::default() };
        let of = |outcome| RecordedEpisode { outcome: Some(outcome), ..RecordedEpisode::default() };
        render(&Recorded {
            root: PathBuf::new(),
            run: RunRecord::default(),
            events: Vec::new(),
            episodes: outcomes.into_iter().map(of).collect(),
            summary: Some(summary),
        })
    }

    #[test]
    fn a_log_that_lost_its_end_shows_no_share_and_says_what_is_missing() {
        let solved = || RecordedEpisode {
            outcome: Some(EpisodeRecord { success: Some(true), ..EpisodeRecord::default() }),
            ..RecordedEpisode::default()
        };
        let shown = |n_steps: usize, n_judged: usize| {
            let (success, n_judged) = (Some(false), Some(n_judged));
            let summary = Summary { success, n_steps, n_judged, ..Summary::default() };
            render(&Recorded {
                root: PathBuf::new(),
                run: RunRecord::default(),
                events: Vec::new(),
                episodes: vec![solved(), solved()],
                summary: Some(summary),
            })
        };
        let is_whole = |page: &str| page.contains("2 of 2 solved") && !page.contains("log is incomplete");
        assert!(is_whole(&shown(0, 2)));
        for (n_steps, n_episodes) in [(0, 3), (1, 2), (24, 24)] {
            let page = shown(n_steps, n_episodes);
            assert!(page.contains("The event log is incomplete"), "{n_steps} steps, {n_episodes} episodes");
            assert!(!page.contains("2 of 2 solved"), "{n_steps} steps, {n_episodes} episodes");
        }
    }

    #[test]
    fn a_run_that_was_ended_from_outside_says_by_what() {
        let outcome = |truncated: bool, detail: &str| EpisodeRecord {
            truncated,
            detail: Some(detail.to_owned()),
            ..EpisodeRecord::default()
        };
        let said = ended(outcome(true, "out of actions: 3 were done"), None);
        assert!(said.contains("The run was ended from outside: out of actions: 3 were done."));
        let anything = "The run was ended from outside: interrupted, or out of steps, actions or time.";
        assert!(
            ended(EpisodeRecord { truncated: true, ..EpisodeRecord::default() }, None).contains(anything)
        );
        assert!(
            ended(outcome(false, "the clause holds"), None).contains(anything),
            "another episode was cut"
        );
        assert!(ended(outcome(true, "the page"), Some("the browser is gone")).contains(anything));
        // Groups of rollouts have limits of their own, and the last one speaks for no other.
        let outcomes = [true, false, true].map(|truncated| outcome(truncated, "it does not hold"));
        let said = all_ended(outcomes.to_vec(), None);
        assert!(said.contains("2 of 3 episodes were ended by a limit of theirs, or from outside."));
        assert!(!said.contains("The run was ended"));
    }
}
