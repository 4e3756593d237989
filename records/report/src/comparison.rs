//! Two runs side by side: which episodes ended differently, and in which step they parted.
//!
//! Invariant: a difference is read off the records alone: what was done, where, and what came of it. Times and the
//! words of thoughts are no difference.

use std::collections::VecDeque;

use maud::{Markup, html};
use vigorl_runs::{Recorded, RecordedEpisode, RecordedStep, Totals};

use crate::align::{Numbered, aligned, deed_of, points};
use crate::html::{self, Pictures, Shown, count, date, duration, facts};
use crate::standing::{Standing, outcome_words, state};
use crate::step;

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
    let content = html! {
        (header([a, b], &pairs))
        @for pair in &pairs { (episodes([a, b], pair)) }
    };
    html::page(&format!("{} · {}", a.name, b.name), Shown::Served { follow: None }, &content)
}

/// The same thing in both runs; one side may lack it.
type Pair<T> = [Option<T>; 2];

/// Episodes with the same name and seed belong together. If no two are alike, they are taken in order: two runs of
/// one task that was renamed are still two runs of it.
fn matched<'a>(a: &'a [RecordedEpisode], b: &'a [RecordedEpisode]) -> Vec<Pair<&'a RecordedEpisode>> {
    let is_same =
        |one: &RecordedEpisode, other: &RecordedEpisode| one.name == other.name && one.seed == other.seed;
    if !a.iter().any(|one| b.iter().any(|other| is_same(one, other))) {
        return (0..a.len().max(b.len())).map(|idx| [a.get(idx), b.get(idx)]).collect();
    }
    let mut rest: VecDeque<&RecordedEpisode> = b.iter().collect();
    let mut pairs: Vec<Pair<&'a RecordedEpisode>> = Vec::new();
    for one in a {
        let found = rest.iter().position(|other| is_same(one, other)).and_then(|idx| rest.remove(idx));
        pairs.push([Some(one), found]);
    }
    pairs.extend(rest.into_iter().map(|other| [None, Some(other)]));
    pairs
}

struct EpisodePair<'a> {
    sides: Pair<&'a RecordedEpisode>,
    /// Whether one was solved and the other not.
    ends_differently: bool,
    /// Steps and how they differ.
    steps: Vec<(Pair<Numbered<'a>>, Vec<String>)>,
}

impl<'a> EpisodePair<'a> {
    fn of(sides: Pair<&'a RecordedEpisode>) -> Self {
        let [of_a, of_b] = sides.map(|side| side.map_or(&[][..], |episode| &episode.steps));
        let steps = aligned(of_a, of_b)
            .into_iter()
            .map(|pair| (pair, differences(pair.map(|side| side.map(|(_, step)| step)))))
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

    /// The name of the episode, or both if it was renamed.
    fn name(&self) -> String {
        let mut names: Vec<&str> = self.sides.iter().flatten().map(|episode| episode.name.as_str()).collect();
        names.dedup();
        names.join(" / ")
    }
}

/// How two steps differ, in words.
fn differences(pair: Pair<&RecordedStep>) -> Vec<String> {
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
    let either = |of: fn(&RecordedStep) -> String| {
        let [of_a, of_b] = [of(a), of(b)];
        (of_a != of_b).then(|| format!("{of_a} / {of_b}"))
    };
    found.extend(either(deed_of));
    found.extend(apart(a, b));
    found.extend(either(effect));
    found.extend(either(verification));
    found
}

fn effect(step: &RecordedStep) -> String {
    step.action.as_ref().map_or("never finished", |action| action.effect.as_str()).replace('_', " ")
}

fn verification(step: &RecordedStep) -> String {
    step.action.as_ref().map_or("unknown", |action| action.verification.as_str()).to_owned()
}

/// How their points differ, if they do.
fn apart(a: &RecordedStep, b: &RecordedStep) -> Option<String> {
    match (points(a), points(b)) {
        (ours, theirs) if ours == theirs => None,
        (ours, theirs) if ours.len() == theirs.len() => {
            let apart = ours.iter().zip(&theirs).map(|(p, q)| (p[0].0 - q[0].0).hypot(p[1].0 - q[1].0));
            Some(format!("points {} px apart", html::number(apart.fold(0.0, f64::max))))
        }
        (ours, _) if ours.is_empty() => Some("no point / a point".to_owned()),
        (_, theirs) if theirs.is_empty() => Some("a point / no point".to_owned()),
        _ => Some("other points".to_owned()),
    }
}

fn header(sides: [&Side<'_>; 2], pairs: &[EpisodePair<'_>]) -> Markup {
    let n_ends = pairs.iter().filter(|pair| pair.ends_differently).count();
    let n_steps: usize = pairs.iter().map(|pair| pair.steps.len()).sum();
    let n_different: usize = pairs.iter().map(EpisodePair::n_different_steps).sum();
    html! {
        div.panel {
            div.brand { "vigorl " span { "two runs" } " " a href="/" { "all runs" } }
            div.halves { @for (letter, side) in ["A", "B"].into_iter().zip(sides) { (run(letter, side)) } }
            div.bar.verdicts {
                p {
                    (count(n_ends)) " of " (count(pairs.len())) " episodes end differently · "
                    (count(n_different)) " of " (count(n_steps)) " steps differ"
                }
                div.chips { button data-do="differences" aria-pressed="false" { "Only differences" } }
            }
        }
        @if pairs.iter().all(EpisodePair::is_same) {
            div.panel.nothing { p.empty { "The two runs do not differ." } }
        }
    }
}

fn run(letter: &str, side: &Side<'_>) -> Markup {
    let recorded = side.recorded;
    let success = recorded.summary.as_ref().and_then(|summary| summary.success);
    let Standing { class, mark, word } = Standing::of(success, recorded.summary.as_ref());
    let totals = Totals::of(recorded.episodes.iter().flat_map(|episode| &episode.steps));
    let numbers = [
        ("model", recorded.run.model.name.clone()),
        ("started", date(&recorded.run.started_at)),
        ("steps", count(totals.n_steps)),
        ("zooms", count(totals.n_zooms)),
        ("steps in total", duration(totals.timings.total())),
    ];
    html! {
        div {
            h1 { span.letter { (letter) } " " a href=(side.address) { (recorded.run.task) } }
            p.labels { (side.name) }
            p.(class) { span.pill.state { (mark) " " (word) } }
            (facts(numbers.map(|(name, value)| (name, html! { (value) }))))
        }
    }
}

fn episodes(sides: [&Side<'_>; 2], pair: &EpisodePair<'_>) -> Markup {
    html! {
        article.panel.pair.same[pair.is_same()] {
            header {
                h3 { (pair.name()) }
                @if pair.ends_differently { span.pill.differs { "ends differently" } }
            }
            div.halves {
                @for (letter, episode) in ["A", "B"].into_iter().zip(pair.sides) { (end(letter, episode)) }
            }
            @for (steps, differences) in &pair.steps { (row(sides, pair, *steps, differences)) }
        }
    }
}

/// How an episode ended in one of the runs.
fn end(letter: &str, episode: Option<&RecordedEpisode>) -> Markup {
    let (state, words) = match episode.map(|episode| episode.outcome.as_ref()) {
        Some(outcome) => (state(outcome), outcome_words(outcome)),
        None => ("open", "not in this run".to_owned()),
    };
    html! { p.(state) { span.letter { (letter) } " " span.pill.state { (words) } } }
}

fn row(
    sides: [&Side<'_>; 2],
    pair: &EpisodePair<'_>,
    steps: Pair<Numbered<'_>>,
    differences: &[String],
) -> Markup {
    let targets = pair.sides.map(|episode| episode?.outcome.as_ref()?.target);
    html! {
        div.row.same[differences.is_empty()] {
            p.how { @for difference in differences { span.pill.differs { (difference) } } }
            div.halves {
                @for ((side, step), target) in sides.into_iter().zip(steps).zip(targets) {
                    @match step {
                        Some((number, step)) => (step::half(step, number, target, Pictures::Under(side.address))),
                        None => p.empty { "no such step" },
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use vigorl_interface::{Effect, MouseButton};
    use vigorl_runs::record::{
        ActionRecord, EpisodeRecord, MapsRecord, Plain, RunRecord, StepRecord, Timings,
    };
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
            troubles: Vec::new(),
            n_more_troubles: 0,
            place: None,
            element: None,
            finding: None,
            maps: MapsRecord::default(),
            millis: Timings::default(),
        };
        RecordedStep {
            step: 1,
            instruction: instruction.to_owned(),
            folder: PathBuf::new(),
            image_size: Some([4, 4]),
            action: Some(record),
            texts: None,
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
            &["click … / nothing done", "a point / no point", "confirmed / refused"],
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

    #[test]
    fn an_extra_step_leaves_those_behind_it_beside_their_counterparts() {
        let click = |what: &str, x| step(what, Some(click(x, 2.0)), Effect::Confirmed);
        let a = || vec![click("one", 1.0), click("two", 2.0), click("three", 3.0)];
        let mut b = a();
        b.insert(1, step("one", None, Effect::Refused));
        let (a, b) = (run(vec![("p", true, a())]), run(vec![("p", true, b)]));
        for (sides, only) in [([&a, &b], "only in B"), ([&b, &a], "only in A")] {
            let html = page(sides[0], sides[1]);
            assert!(html.contains("0 of 1 episodes end differently · 1 of 4 steps differ"), "{html}");
            assert_eq!(html.matches(only).count(), 1);
            assert_eq!(html.matches("Step 3 <span>two").count(), 1, "it has the number of its own run");
        }
    }

    #[test]
    fn a_retry_is_paired_with_what_it_shares_most_with() {
        let done = |x| step("it", Some(click(x, 2.0)), Effect::Confirmed);
        let rows = |a: &[RecordedStep], b: &[RecordedStep]| -> Vec<[usize; 2]> {
            aligned(a, b)
                .into_iter()
                .map(|row| row.map(|side| side.map_or(0, |(number, _)| number)))
                .collect()
        };
        assert_eq!(rows(&[done(1.0)], &[done(9.0), done(1.0)]), [[0, 1], [1, 2]]);
        assert_eq!(
            rows(&[done(1.0), done(1.0)], &[done(1.0)]),
            [[1, 1], [2, 0]],
            "early, where it is all the same"
        );
        let other = step("other", None, Effect::Refused);
        assert_eq!(rows(&[done(1.0)], &[other]), [[1, 0], [0, 1]], "nothing in common");
        assert_eq!(rows(&[], &[]), [[0; 2]; 0]);
    }
}
