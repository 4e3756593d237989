//! Many episodes at a glance: success by kind, and a card for each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vigorl_runs::RecordedEpisode;
use vigorl_runs::record::ActionRecord;
use vigorl_runs::wilson95;

use crate::html::escape;
use crate::overlay::{Frame, thumbnail};
use crate::step::picture_id;

/// Display width of a card's picture.
const THUMB_WIDTH: f64 = 160.0;

/// `hit`, `miss`, or `open` where nobody could tell.
pub(crate) fn state(episode: &RecordedEpisode) -> &'static str {
    match episode.outcome.as_ref().and_then(|outcome| outcome.success) {
        Some(true) => "hit",
        Some(false) => "miss",
        None => "open",
    }
}

/// The success rate of every value of every label that has at least two values.
pub(crate) fn breakdown(episodes: &[RecordedEpisode]) -> String {
    let mut tables: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
    for episode in episodes {
        let Some(success) = episode.outcome.as_ref().and_then(|outcome| outcome.success) else { continue };
        for (label, value) in &episode.labels {
            let cell = tables.entry(label).or_default().entry(value).or_default();
            *cell = (cell.0 + usize::from(success), cell.1 + 1);
        }
    }
    tables.retain(|_, values| values.len() > 1 && values.len() < episodes.len().max(3));
    if tables.is_empty() {
        return String::new();
    }
    let mut out = String::from(r#"<div class="panel"><div class="split">"#);
    for (label, values) in &tables {
        write!(out, "<div><h2>Success by {}</h2>", escape(label)).ok();
        let mut values: Vec<_> = values.iter().collect();
        values.sort_by(|a, b| size_in(a.0).total_cmp(&size_in(b.0)));
        for (value, (k, n)) in values {
            rate_row(&mut out, value, *k, *n);
        }
        out.push_str("</div>");
    }
    out.push_str("</div></div>");
    out
}

/// The first number of a label, so that sizes are in order: `under 14`, `14-24`, `over 24`; 0 without one.
fn size_in(label: &str) -> f64 {
    let digits = label.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: f64 = digits[..end].parse().unwrap_or_default();
    if label.starts_with("under") { number - 0.5 } else { number }
}

fn rate_row(out: &mut String, value: &str, k: usize, n: usize) {
    let (low, high) = wilson95(k, n);
    write!(
        out,
        concat!(
            r#"<div class="rate"><span>{}</span><span class="track" title="95 % interval {:.0} to {:.0} %"><i class="fill" style="width:{:.1}%"></i>"#,
            r#"<i class="whisker" style="left:{:.1}%;width:{:.1}%"></i></span><span class="n">{k}/{n}</span></div>"#
        ),
        escape(value), low * 100.0, high * 100.0, k as f64 / n as f64 * 100.0, low * 100.0, (high - low) * 100.0,
        k = k, n = n,
    )
    .ok();
}

/// The cards.
pub(crate) fn cards(episodes: &[RecordedEpisode]) -> String {
    let n = |wanted: &str| episodes.iter().filter(|e| state(e) == wanted).count();
    let mut out = String::from(r#"<div class="panel"><div class="bar"><h2>Episodes</h2><div class="chips">"#);
    for (filter, word, n) in [
        ("all", "all", episodes.len()),
        ("hit", "solved", n("hit")),
        ("miss", "missed", n("miss")),
        ("open", "not judged", n("open")),
    ] {
        if n > 0 {
            write!(
                out,
                r#"<button data-filter="{filter}" aria-pressed="{}">{word} {n}</button>"#,
                filter == "all"
            )
            .ok();
        }
    }
    out.push_str(r#"</div></div><div class="gallery">"#);
    for (idx, episode) in episodes.iter().enumerate() {
        card(&mut out, idx + 1, episode);
    }
    out.push_str("</div></div>");
    out
}

fn card(out: &mut String, number: usize, episode: &RecordedEpisode) {
    let state = state(episode);
    let mark = match state {
        "hit" => "✓",
        "miss" => "✗",
        _ => "?",
    };
    write!(
        out,
        r#"<button class="card {state}" data-episode="{number}" aria-current="{}" title="{name}">"#,
        number == 1,
        name = escape(&episode.name)
    )
    .ok();
    let last = episode.steps.iter().rev().find_map(|step| step.action.as_ref().map(|action| (step, action)));
    let [w, h] = last.map_or([16, 10], |(_, action)| action.image_size);
    write!(out, r#"<span class="thumb" style="aspect-ratio:{w}/{h}">"#).ok();
    if let Some((step, action)) = last {
        let click = action.action.as_ref().and_then(ActionRecord::at).copied();
        let target = episode.outcome.as_ref().and_then(|outcome| outcome.target);
        let frame = Frame::whole(action.image_size, THUMB_WIDTH / f64::from(w.max(1)));
        write!(
            out,
            r#"<img class="pixel" alt="" data-of="{}">{}"#,
            picture_id(step.step),
            thumbnail(frame, click, target)
        )
        .ok();
    }
    write!(
        out,
        r#"</span><span class="cap"><span class="mark">{mark}</span><span class="what">{}</span></span></button>"#,
        escape(&episode.name)
    )
    .ok();
}
