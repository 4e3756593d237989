//! Each episode of a run, step by step. Invariant: all of them are in the page; the first is shown until another is chosen.

use maud::{Markup, html};
use vigorl_runs::RecordedEpisode;

use crate::html::{Pictures, dotted};
use crate::run::Report;
use crate::standing::{outcome_words, state};
use crate::step;

/// The sections of all episodes.
pub(crate) fn sections(report: Report<'_>) -> Option<Markup> {
    Some(html! {
        @for (idx, episode) in report.recorded.episodes.iter().enumerate() {
            (section(idx + 1, episode, report.pictures))
        }
    })
}

fn section(number: usize, episode: &RecordedEpisode, pictures: Pictures<'_>) -> Markup {
    let outcome = episode.outcome.as_ref();
    let target = outcome.and_then(|outcome| outcome.target);
    html! {
        article.panel.episode id={ "e" (number) } data-number=(number) hidden[number > 1] {
            header {
                h3 { (episode.name) }
                span.pill.state.(state(outcome)) { (outcome_words(outcome)) }
            }
            p.labels { (dotted(&labels(episode))) }
            @for (idx, step) in episode.steps.iter().enumerate() { (step::section(step, idx + 1, target, pictures)) }
            @if episode.steps.is_empty() { p.empty { "No step was taken." } }
        }
    }
}

fn labels(episode: &RecordedEpisode) -> Vec<Markup> {
    let mut labels: Vec<Markup> =
        episode.labels.iter().map(|(label, value)| html! { (label) ": " (value) }).collect();
    labels.extend(episode.seed.map(|seed| html! { "seed " (seed) }));
    if let Some(outcome) = &episode.outcome {
        labels.extend(outcome.detail.iter().chain(&outcome.err_msg).map(|text| html! { (text) }));
    }
    labels
}
