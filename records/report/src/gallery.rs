//! Many episodes at a glance: success by kind, and a card for each. Invariant: a run of one episode has neither.

use std::collections::BTreeMap;

use maud::{Markup, html};
use vigorl_runs::record::ActionRecord;
use vigorl_runs::{RecordedEpisode, wilson95};

use crate::html::filters;
use crate::overlay::{Frame, thumbnail};
use crate::run::Report;
use crate::standing::state;
use crate::step::picture_id;

/// Display width of a card's picture.
const THUMB_WIDTH: f64 = 160.0;

/// The success rate of every value of every label that has at least two values.
pub(crate) fn breakdown(report: Report<'_>) -> Option<Markup> {
    let episodes = &report.recorded.episodes;
    let mut tables: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
    for episode in episodes {
        let Some(success) = episode.outcome.as_ref().and_then(|outcome| outcome.success) else { continue };
        for (label, value) in &episode.labels {
            let cell = tables.entry(label).or_default().entry(value).or_default();
            *cell = (cell.0 + usize::from(success), cell.1 + 1);
        }
    }
    tables.retain(|_, values| values.len() > 1 && values.len() < episodes.len().max(3));
    let panel = html! {
        div.panel {
            div.split {
                @for (label, values) in &tables { div { h2 { "Success by " (label) } (rates(values)) } }
            }
        }
    };
    (episodes.len() > 1 && !tables.is_empty()).then_some(panel)
}

fn rates(values: &BTreeMap<&str, (usize, usize)>) -> Markup {
    let mut values: Vec<_> = values.iter().collect();
    values.sort_by(|a, b| size_in(a.0).total_cmp(&size_in(b.0)));
    html! { @for (value, (k, n)) in values { (rate(value, *k, *n)) } }
}

/// The first number of a label, so that sizes are in order: `under 14`, `14-24`, `over 24`; 0 without one.
fn size_in(label: &str) -> f64 {
    let digits = label.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: f64 = digits[..end].parse().unwrap_or_default();
    if label.starts_with("under") { number - 0.5 } else { number }
}

fn rate(value: &str, k: usize, n: usize) -> Markup {
    let (low, high) = wilson95(k, n);
    let [low, high, rate] = [low, high, k as f64 / n as f64].map(|share| share * 100.0);
    html! {
        div.rate {
            span { (value) }
            span.track title=(format!("95 % interval {low:.0} to {high:.0} %")) {
                i.fill style=(format!("width:{rate:.1}%")) {}
                i.whisker style=(format!("left:{low:.1}%;width:{:.1}%", high - low)) {}
            }
            span.n { (k) "/" (n) }
        }
    }
}

/// The cards.
pub(crate) fn cards(report: Report<'_>) -> Option<Markup> {
    let episodes = &report.recorded.episodes;
    let n = |wanted: &str| episodes.iter().filter(|e| state(e.outcome.as_ref()) == wanted).count();
    let panel = html! {
        div.panel {
            div.bar {
                h2 { "Episodes" }
                (filters([
                    ("all", "all", episodes.len()),
                    ("hit", "solved", n("hit")),
                    ("miss", "missed", n("miss")),
                    ("open", "not judged", n("open")),
                ]))
            }
            div.gallery { @for (idx, episode) in episodes.iter().enumerate() { (card(idx + 1, episode)) } }
        }
    };
    (episodes.len() > 1).then_some(panel)
}

fn card(number: usize, episode: &RecordedEpisode) -> Markup {
    let state = state(episode.outcome.as_ref());
    let mark = match state {
        "hit" => "✓",
        "miss" => "✗",
        _ => "?",
    };
    html! {
        button.card.(state) data-episode=(number) aria-current=(number == 1) title=(episode.name) {
            (thumb(episode))
            span.cap { span.mark { (mark) } span.what { (episode.name) } }
        }
    }
}

/// The last screenshot with the click; a place of the usual shape if there is none.
fn thumb(episode: &RecordedEpisode) -> Markup {
    let last = episode.steps.iter().rev().find_map(|step| step.action.as_ref().map(|action| (step, action)));
    let [w, h] = last.map_or([16, 10], |(_, action)| action.image_size);
    let target = episode.outcome.as_ref().and_then(|outcome| outcome.target);
    html! {
        span.thumb style={ "aspect-ratio:" (w) "/" (h) } {
            @if let Some((step, action)) = last {
                img.pixel alt="" data-of=(picture_id(step.step));
                (thumbnail(
                    Frame::whole(action.image_size, THUMB_WIDTH / f64::from(w.max(1))),
                    action.action.as_ref().and_then(ActionRecord::at).copied(),
                    target,
                ))
            }
        }
    }
}
