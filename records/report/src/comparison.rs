//! Two runs side by side: which episodes ended differently, and in which step they parted.
//!
//! Invariant: a difference is read off the records alone: what was done, where, and what came of it. Times and the
//! words of thoughts are no difference.

use std::collections::VecDeque;
use std::fmt::Write as _;

use vigorl_interface::print_chord;
use vigorl_runs::record::{ActionRecord, Xy};
use vigorl_runs::{Recorded, RecordedEpisode, RecordedStep};

use crate::html::{self, Pictures, Shown, count, date, duration, escape};
use crate::{Standing, Totals, gallery, outcome_words, step};

/// One of the two runs.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its folder's name.
    pub name: &'a str,
    /// Where the server shows it, with a slash at the end.
    pub address: &'a str,
    /// What happened.
    pub recorded: &'a Recorded,
}

/// The page that shows both.
pub fn render_comparison(a: &Side<'_>, b: &Side<'_>) -> String {
    let pairs: Vec<EpisodePair<'_>> =
        matched(&a.recorded.episodes, &b.recorded.episodes).into_iter().map(EpisodePair::of).collect();
    let mut out = String::with_capacity(1 << 18);
    html::open_page(&mut out, &format!("{} · {}", a.name, b.name), Shown::Served { follow: None });
    header(&mut out, [a, b], &pairs);
    for pair in &pairs {
        episodes(&mut out, [a, b], pair);
    }
    html::close_page(&mut out);
    out
}

/// The same thing in both runs; one side may lack it.
type Pair<'a, T> = [Option<&'a T>; 2];

/// Episodes with the same name and seed belong together. If no two are alike, they are taken in order: two runs of
/// one task that was renamed are still two runs of it.
fn matched<'a>(a: &'a [RecordedEpisode], b: &'a [RecordedEpisode]) -> Vec<Pair<'a, RecordedEpisode>> {
    let is_same =
        |one: &RecordedEpisode, other: &RecordedEpisode| one.name == other.name && one.seed == other.seed;
    if !a.iter().any(|one| b.iter().any(|other| is_same(one, other))) {
        return (0..a.len().max(b.len())).map(|idx| [a.get(idx), b.get(idx)]).collect();
    }
    let mut rest: VecDeque<&RecordedEpisode> = b.iter().collect();
    let mut pairs: Vec<Pair<'a, RecordedEpisode>> = Vec::new();
    for one in a {
        let found = rest.iter().position(|other| is_same(one, other)).and_then(|idx| rest.remove(idx));
        pairs.push([Some(one), found]);
    }
    pairs.extend(rest.into_iter().map(|other| [None, Some(other)]));
    pairs
}

struct EpisodePair<'a> {
    sides: Pair<'a, RecordedEpisode>,
    /// Whether one was solved and the other not.
    ends_differently: bool,
    /// Steps and how they differ.
    steps: Vec<(Pair<'a, RecordedStep>, Vec<String>)>,
}

impl<'a> EpisodePair<'a> {
    fn of(sides: Pair<'a, RecordedEpisode>) -> Self {
        let steps_of = |side: Option<&'a RecordedEpisode>| side.map_or(&[][..], |episode| &episode.steps);
        let [of_a, of_b] = sides.map(steps_of);
        let steps = (0..of_a.len().max(of_b.len()))
            .map(|idx| [of_a.get(idx), of_b.get(idx)])
            .map(|pair| (pair, differences(pair)))
            .collect();
        let end = |side: Option<&RecordedEpisode>| {
            side.map(|episode| {
                episode.outcome.as_ref().map(|outcome| (outcome.success, outcome.reward.map(f64::to_bits)))
            })
        };
        Self { sides, ends_differently: end(sides[0]) != end(sides[1]), steps }
    }

    fn n_different_steps(&self) -> usize {
        self.steps.iter().filter(|(_, differences)| !differences.is_empty()).count()
    }

    fn is_same(&self) -> bool {
        !self.ends_differently && self.n_different_steps() == 0
    }
}

/// How two steps differ, in words.
fn differences(pair: Pair<'_, RecordedStep>) -> Vec<String> {
    let (a, b) = match pair {
        [Some(a), Some(b)] => (a, b),
        [Some(_), None] => return vec!["only in A".to_owned()],
        [None, Some(_)] => return vec!["only in B".to_owned()],
        [None, None] => return Vec::new(),
    };
    let mut found = Vec::new();
    if a.instruction != b.instruction {
        found.push("another instruction".to_owned());
    }
    let deeds = [deed(a), deed(b)];
    if deeds[0] != deeds[1] {
        found.push(format!("{} / {}", deeds[0], deeds[1]));
    }
    match (points(a), points(b)) {
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) if ours.len() == theirs.len() => {
            let apart = ours.iter().zip(&theirs).map(|(p, q)| (p[0].0 - q[0].0).hypot(p[1].0 - q[1].0));
            found.push(format!("points {} px apart", html::number(apart.fold(0.0, f64::max))));
        }
        (ours, _) if ours.is_empty() => found.push("no point / a point".to_owned()),
        (_, theirs) if theirs.is_empty() => found.push("a point / no point".to_owned()),
        _ => found.push("other points".to_owned()),
    }
    let words = |step: &RecordedStep| {
        let action = step.action.as_ref();
        let effect = action.map_or("never finished", |action| action.effect.as_str()).replace('_', " ");
        (effect, action.map_or("unknown", |action| action.verification.as_str()))
    };
    let ((effect_a, verified_a), (effect_b, verified_b)) = (words(a), words(b));
    if effect_a != effect_b {
        found.push(format!("{effect_a} / {effect_b}"));
    }
    if verified_a != verified_b {
        found.push(format!("{verified_a} / {verified_b}"));
    }
    found
}

/// What was done, without where: a click elsewhere is a different point, not a different deed.
fn deed(step: &RecordedStep) -> String {
    let Some(action) = step.action.as_ref().and_then(|record| record.action.as_ref()) else {
        return "nothing done".to_owned();
    };
    let verb = step::verb(action);
    match action {
        ActionRecord::Type { text } => format!("{verb} {text:?}"),
        ActionRecord::Press { chord } => format!("{verb} {}", print_chord(chord)),
        ActionRecord::Navigate { url } => format!("{verb} {url}"),
        ActionRecord::Select { option, .. } => format!("{verb} {option:?}"),
        ActionRecord::Upload { files, .. } => format!("{verb} {files:?}"),
        ActionRecord::Scroll { dx_px, dy_px, .. } => format!("{verb} by ({dx_px}, {dy_px})"),
        _ => verb.to_owned(),
    }
}

/// Where: the action's points, or the answer that led to none.
fn points(step: &RecordedStep) -> Vec<Xy> {
    let action = step.action.as_ref().and_then(|record| record.action.as_ref());
    let answer = step.model.as_ref().and_then(|model| model.answer);
    let first = action.and_then(ActionRecord::at).copied().or(answer);
    first.into_iter().chain(action.and_then(ActionRecord::to).copied()).collect()
}

fn header(out: &mut String, sides: [&Side<'_>; 2], pairs: &[EpisodePair<'_>]) {
    let n_ends = pairs.iter().filter(|pair| pair.ends_differently).count();
    let n_steps: usize = pairs.iter().map(|pair| pair.steps.len()).sum();
    let n_different: usize = pairs.iter().map(EpisodePair::n_different_steps).sum();
    out.push_str(
        r#"<div class="panel"><div class="brand">vigorl <span>two runs</span> <a href="/">all runs</a></div><div class="halves">"#,
    );
    for (letter, side) in ["A", "B"].into_iter().zip(sides) {
        run(out, letter, side);
    }
    write!(
        out,
        concat!(
            r#"</div><div class="bar verdicts"><p>{n_ends} of {n_episodes} episodes end differently · {n_different} of {n_steps} steps differ</p>"#,
            r#"<div class="chips"><button data-do="differences" aria-pressed="false">Only differences</button></div></div></div>"#
        ),
        n_ends = count(n_ends),
        n_episodes = count(pairs.len()),
        n_different = count(n_different),
        n_steps = count(n_steps),
    )
    .ok();
    if pairs.iter().all(EpisodePair::is_same) {
        out.push_str(r#"<div class="panel nothing"><p class="empty">The two runs do not differ.</p></div>"#);
    }
}

fn run(out: &mut String, letter: &str, side: &Side<'_>) {
    let recorded = side.recorded;
    let success = recorded.summary.as_ref().and_then(|summary| summary.success);
    let Standing { class, mark, word } = Standing::of(success, recorded.summary.as_ref());
    let totals = Totals::of(recorded);
    write!(
        out,
        concat!(
            r#"<div><h1><span class="letter">{letter}</span> <a href="{address}">{task}</a></h1><p class="labels">{name}</p>"#,
            r#"<p class="{class}"><span class="pill state">{mark} {word}</span></p><dl class="facts">"#
        ),
        letter = letter,
        address = escape(side.address),
        task = escape(&recorded.run.task),
        name = escape(side.name),
        class = class,
        mark = mark,
        word = word,
    )
    .ok();
    for (name, value) in [
        ("model", escape(&recorded.run.model.name)),
        ("started", escape(&date(&recorded.run.started_at))),
        ("steps", count(totals.n_steps)),
        ("zooms", count(totals.n_zooms)),
        ("steps in total", duration(totals.timings.total())),
    ] {
        write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>").ok();
    }
    out.push_str("</dl></div>");
}

fn episodes(out: &mut String, sides: [&Side<'_>; 2], pair: &EpisodePair<'_>) {
    let names: Vec<&str> = pair.sides.iter().flatten().map(|episode| episode.name.as_str()).collect();
    let name = match names[..] {
        [a, b] if a != b => format!("{} / {}", escape(a), escape(b)),
        [name, ..] => escape(name),
        [] => String::new(),
    };
    let same = if pair.is_same() { " same" } else { "" };
    write!(out, r#"<article class="panel pair{same}"><header><h3>{name}</h3>"#).ok();
    if pair.ends_differently {
        out.push_str(r#"<span class="pill differs">ends differently</span>"#);
    }
    out.push_str(r#"</header><div class="halves">"#);
    for (letter, episode) in ["A", "B"].into_iter().zip(pair.sides) {
        let (state, words) = match episode {
            Some(episode) => (gallery::state(episode), outcome_words(episode.outcome.as_ref())),
            None => ("open", "not in this run".to_owned()),
        };
        write!(out, r#"<p class="{state}"><span class="letter">{letter}</span> <span class="pill state">{words}</span></p>"#)
            .ok();
    }
    out.push_str("</div>");
    for (idx, (steps, differences)) in pair.steps.iter().enumerate() {
        let same = if differences.is_empty() { " same" } else { "" };
        write!(out, r#"<div class="row{same}"><p class="how">"#).ok();
        for difference in differences {
            write!(out, r#"<span class="pill differs">{}</span>"#, escape(difference)).ok();
        }
        out.push_str(r#"</p><div class="halves">"#);
        for ((side, step), episode) in sides.into_iter().zip(steps).zip(pair.sides) {
            let target =
                episode.and_then(|episode| episode.outcome.as_ref()).and_then(|outcome| outcome.target);
            match step {
                Some(step) => out.push_str(&step::half(step, idx + 1, target, Pictures::Under(side.address))),
                None => out.push_str(r#"<p class="empty">no such step</p>"#),
            }
        }
        out.push_str("</div></div>");
    }
    out.push_str("</article>");
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use vigorl_interface::{Effect, MouseButton};
    use vigorl_runs::record::{EpisodeRecord, MapsRecord, Plain, RunRecord, StepRecord, Timings};
    use vigorl_tasks::Verification;

    use super::*;

    fn click(x: f64, y: f64) -> ActionRecord {
        ActionRecord::Click { at: [Plain(x), Plain(y)], button: MouseButton::Left, count: 1 }
    }

    fn step(instruction: &str, action: Option<ActionRecord>, effect: Effect) -> RecordedStep {
        let record = StepRecord {
            step: 1,
            episode: 1,
            instruction: instruction.to_owned(),
            action,
            effect,
            detail: None,
            verification: Verification::Unknown,
            image_size: [4, 4],
            n_changed_pixels: None,
            url: None,
            title: None,
            dialog: None,
            settled: true,
            place: None,
            element: None,
            maps: MapsRecord::default(),
            millis: Timings::default(),
        };
        RecordedStep {
            step: 1,
            instruction: instruction.to_owned(),
            folder: PathBuf::new(),
            image_size: Some([4, 4]),
            action: Some(record),
            model: None,
        }
    }

    fn run(episodes: Vec<(&str, bool, Vec<RecordedStep>)>) -> Recorded {
        let episodes = episodes.into_iter().map(|(name, success, steps)| RecordedEpisode {
            name: name.to_owned(),
            outcome: Some(EpisodeRecord { success: Some(success), ..EpisodeRecord::default() }),
            steps,
            ..RecordedEpisode::default()
        });
        Recorded {
            root: PathBuf::new(),
            run: RunRecord::default(),
            events: Vec::new(),
            episodes: episodes.collect(),
            summary: None,
        }
    }

    fn page(a: &Recorded, b: &Recorded) -> String {
        render_comparison(
            &Side { name: "a", address: "/run/a/", recorded: a },
            &Side { name: "b", address: "/run/b/", recorded: b },
        )
    }

    #[test]
    fn differences_are_named() {
        let check = |a: RecordedStep, b: RecordedStep, expect: &[&str]| {
            assert_eq!(differences([Some(&a), Some(&b)]), expect);
        };
        let done = Effect::Confirmed;
        check(step("it", Some(click(1.0, 2.0)), done), step("it", Some(click(1.0, 2.0)), done), &[]);
        check(
            step("it", Some(click(1.0, 2.0)), done),
            step("it", Some(click(4.0, 6.0)), Effect::SuspectedNoop),
            &["points 5 px apart", "confirmed / suspected noop"],
        );
        check(
            step("it", Some(click(1.0, 2.0)), done),
            step("it", None, Effect::Refused),
            &["click / nothing done", "a point / no point", "confirmed / refused"],
        );
        let typed = |text: &str| step("type", Some(ActionRecord::Type { text: text.to_owned() }), done);
        check(typed("a"), typed("b"), &["type \"a\" / type \"b\""]);
        assert_eq!(differences([Some(&typed("a")), None]), ["only in A"]);
    }

    #[test]
    fn episodes_are_matched_by_name_and_otherwise_by_order() {
        let names = |a: &Recorded, b: &Recorded| -> Vec<String> {
            let name = |side: Option<&RecordedEpisode>| side.map_or("-", |episode| &episode.name).to_owned();
            matched(&a.episodes, &b.episodes)
                .into_iter()
                .map(|[a, b]| format!("{} {}", name(a), name(b)))
                .collect()
        };
        let one = run(vec![("p", true, vec![]), ("q", true, vec![])]);
        let other = run(vec![("q", true, vec![]), ("r", true, vec![])]);
        assert_eq!(names(&one, &other), ["p -", "q q", "- r"]);
        let renamed = run(vec![("s", true, vec![])]);
        assert_eq!(names(&one, &renamed), ["p s", "q -"]);
    }

    #[test]
    fn what_is_the_same_can_be_left_out() {
        let same = || step("<it>", Some(click(1.0, 2.0)), Effect::Confirmed);
        let other = step("<it>", Some(click(3.0, 2.0)), Effect::Confirmed);
        let a = run(vec![("p", true, vec![same(), same()]), ("q", true, vec![])]);
        let b = run(vec![("p", false, vec![same(), other]), ("q", true, vec![])]);
        let html = page(&a, &b);
        assert!(html.contains("1 of 2 episodes end differently · 1 of 2 steps differ"));
        assert_eq!(html.matches(r#"class="row same""#).count(), 1);
        assert_eq!(html.matches(r#"class="panel pair same""#).count(), 1);
        assert!(html.contains("points 2 px apart") && !html.contains("<it>"));
        assert!(page(&a, &a).contains("The two runs do not differ."));
    }
}
