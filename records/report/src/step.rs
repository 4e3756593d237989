//! One step of the report: the picture, what the policy said beside it, where the time went.
//!
//! Invariant: a step looks the same in a report and beside another run's, but for identifiers, which are unique in a page.

use maud::{Markup, html};
use vigorl_interface::{Effect, TroubleKind, print_chord};
use vigorl_runs::RecordedStep;
use vigorl_runs::record::{ActionRecord, Box4, GroundingRecord, StepRecord, TextRecord, Timings};
use vigorl_tasks::Verification;

use crate::html::{Pictures, count, dotted, duration, number};
use crate::overlay::{self, Frame};
use crate::said::{conclusion, said};

/// Width in display pixels a screenshot is enlarged to by whole factors.
const STAGE_WIDTH: u32 = 768;

/// The identifier of a step's first picture, which the gallery shares.
pub(crate) fn picture_id(step: usize) -> String {
    format!("s{step}-before")
}

/// How many times a screenshot of this width is enlarged.
fn enlargement(width: u32) -> u32 {
    (STAGE_WIDTH / width.max(1)).max(1)
}

/// The section of one step.
pub(crate) fn section(
    step: &RecordedStep,
    number_in_episode: usize,
    target: Option<Box4>,
    pictures: Pictures<'_>,
) -> Markup {
    html! {
        section.step id={ "s" (step.step) } {
            (heading(step, number_in_episode))
            div.cols {
                div.seen {
                    (stage(step, target_of(step, target), pictures, Some(picture_id(step.step))))
                    @if let Some(action) = &step.action {
                        (timing_bar(&action.millis)) (after_facts(action)) (troubles(action))
                    }
                    @if let Some(texts) = &step.texts { (read(texts)) }
                }
                div.said {
                    @match &step.model {
                        Some(model) => (said(step, model, pictures)),
                        None => (keyboard(step)),
                    }
                }
            }
        }
    }
}

/// A step in half the width, beside that of another run.
pub(crate) fn half(
    step: &RecordedStep,
    number_in_episode: usize,
    target: Option<Box4>,
    pictures: Pictures<'_>,
) -> Markup {
    html! {
        section.step {
            (heading(step, number_in_episode))
            (stage(step, target_of(step, target), pictures, None))
            @match &step.model {
                Some(model) => {
                    div.outcome { (conclusion(step, model)) }
                    details { summary { "what was said" } (said(step, model, pictures)) }
                }
                None => (keyboard(step)),
            }
            @if let Some(action) = &step.action { (after_facts(action)) (troubles(action)) }
        }
    }
}

/// What the task knows of this step goes before what it knows of all.
fn target_of(step: &RecordedStep, of_episode: Option<Box4>) -> Option<Box4> {
    step.action.as_ref().and_then(|action| action.place).or(of_episode)
}

fn heading(step: &RecordedStep, number_in_episode: usize) -> Markup {
    let pill = |class: &str, words: &str| html! { span.pill.state.(class) { (words) } };
    html! {
        h4 {
            "Step " (number_in_episode) " " span { (step.instruction) }
            @match &step.action {
                None => (pill("open", "never finished")),
                Some(action) => {
                    (pill(effect_class(action.effect), &action.effect.as_str().replace('_', " ")))
                    // Nobody is asked before the last step: that goes without saying.
                    @if action.verification != Verification::Unknown {
                        (pill(verification_class(action.verification), action.verification.as_str()))
                    }
                }
            }
        }
    }
}

/// A step that asked the policy nothing: what was typed or pressed.
fn keyboard(step: &RecordedStep) -> Markup {
    let words = match &step.action {
        Some(action) if action.place.is_some() => "the task names the place itself: nobody looked",
        Some(_) => "nothing had to be found in this step",
        None => "the run ended before anything was said in this step",
    };
    html! {
        div.keys {
            @match step.action.as_ref().and_then(|record| record.action.as_ref()) {
                Some(ActionRecord::Type { text }) => span.typed { (text) },
                Some(ActionRecord::Press { chord }) => (keys(&print_chord(chord))),
                _ => {}
            }
            p.labels { (words) }
        }
    }
}

/// `Control+a` as two keys.
fn keys(chord: &str) -> Markup {
    let names = chord.split_inclusive('+').map(|key| match key.strip_suffix('+') {
        // The plus key itself is the only one that may be empty here.
        Some(name) if !name.is_empty() => name,
        _ => key,
    });
    html! {
        @for (idx, name) in names.enumerate() {
            @if idx > 0 { " " }
            kbd { (name) }
        }
    }
}

fn effect_class(effect: Effect) -> &'static str {
    match effect {
        Effect::Confirmed => "hit",
        Effect::Partial | Effect::Unverifiable => "open",
        Effect::SuspectedNoop | Effect::Refused => "miss",
    }
}

fn verification_class(verification: Verification) -> &'static str {
    match verification {
        Verification::Satisfied => "hit",
        Verification::Unsatisfied => "miss",
        Verification::Unknown => "open",
    }
}

/// The picture with its marks; `id` is that of the first image.
fn stage(step: &RecordedStep, target: Option<Box4>, pictures: Pictures<'_>, id: Option<String>) -> Markup {
    let Some((before, size)) = pictures.source(step, "before.png").zip(step.image_size) else {
        return match step.action {
            Some(_) => html! { p.empty { "A dialog covered the page: there is no screenshot." } },
            None => html! { p.empty { "The screenshot was not written." } },
        };
    };
    let after = pictures.source(step, "after.png");
    let zoom = enlargement(size[0]);
    let frame = Frame::whole(size, f64::from(zoom));
    html! {
        div.stage style=(format!("width:{}px", size[0] * zoom)) {
            img.before.pixel[zoom > 1] id=[id] alt="the screen before the action" loading=[before.loading] src=(before.address);
            @if let Some(after) = &after {
                img.after.pixel[zoom > 1] alt="the screen after the action" loading=[after.loading] src=(after.address);
            }
            (overlay::full(frame, step.model.as_ref(), step.action.as_ref(), target))
        }
        div.controls {
            @if after.is_some() {
                button data-show="before" aria-pressed="true" { "Before" }
                button data-show="after" aria-pressed="false" { "After" }
            }
            button data-do="play" { "Replay" }
            button data-do="bare" aria-pressed="true" { "Marks" }
            button data-do="wide" aria-pressed="false" { "Wide" }
            span.legend { (legend(step, target)) }
        }
    }
}

fn legend(step: &RecordedStep, target: Option<Box4>) -> Markup {
    let turns = step.model.as_ref().map_or(&[][..], |model: &GroundingRecord| &model.turns);
    let acted = step.action.as_ref().and_then(|a| a.action.as_ref()).and_then(ActionRecord::at).is_some();
    let thought = turns.iter().any(|t| t.thoughts.iter().any(|th| !th.points.is_empty()));
    let entries = [
        (thought, "i-pin", "thought"),
        (turns.iter().any(|t| t.crop.is_some()), "i-crop", "zoom"),
        (acted, "i-click", "action"),
        (target.is_some(), "i-truth", "true target"),
    ];
    html! {
        @for (_, class, word) in entries.into_iter().filter(|(is_shown, ..)| *is_shown) {
            span { i.(class) {} (word) }
        }
    }
}

/// A stacked bar of the phases and their durations.
fn timing_bar(timings: &Timings) -> Markup {
    let phases: Vec<_> = timings.phases().into_iter().filter(|(_, millis)| *millis >= 0.05).collect();
    let color = |name: &str| format!("background:var(--{name})");
    html! {
        div.time {
            @for (name, millis) in &phases {
                i style=(format!("flex:{millis:.2};{}", color(name))) title={ (name) " " (duration(*millis)) } {}
            }
        }
        div.times {
            span { b { (duration(timings.total())) } }
            @for (name, millis) in &phases { span { i style=(color(name)) {} (name) " " (duration(*millis)) } }
        }
    }
}

/// All that was read, folded away: each line with its box, once where the action changed none.
fn read(texts: &TextRecord) -> Markup {
    let after = texts.after.as_ref().filter(|after| texts.before.as_ref() != Some(after));
    let readings = [("before", texts.before.as_ref()), ("after", after)];
    html! {
        @for (when, reading) in readings.into_iter().filter_map(|(when, found)| Some((when, found?))) {
            details {
                summary { (count(reading.lines.len())) " lines that were read " (when) " the action" }
                @if let Some(why) = &reading.unread { p.labels { (why) } }
                table.read {
                    @for line in &reading.lines {
                        @let [left, top, right, bottom] = line.rect.map(|edge| number(edge.0));
                        tr {
                            td { (left) ", " (top) " to " (right) ", " (bottom) }
                            td { bdi { (line.text) } }
                        }
                    }
                }
            }
        }
    }
}

/// So many are shown at once; of more, how many there are.
const MOST_UNFOLDED: usize = 3;

/// What went wrong inside the pages.
fn troubles(action: &StepRecord) -> Markup {
    let StepRecord { troubles, n_more_troubles, .. } = action;
    let summary = match action.n_troubles() {
        0 => return html! {},
        1 => "1 error of the page".to_owned(),
        n => format!("{} errors of the page", count(n)),
    };
    html! {
        details.troubles open[troubles.len() <= MOST_UNFOLDED] {
            summary { (summary) }
            table.read {
                @for trouble in troubles {
                    tr {
                        td { (kind(trouble.kind)) @if trouble.n_times > 1 { " × " (count(trouble.n_times)) } }
                        td { bdi { (trouble.text) } }
                    }
                }
            }
            @if *n_more_troubles > 0 { p.labels { "and " (count(*n_more_troubles)) " more" } }
        }
    }
}

fn kind(kind: TroubleKind) -> &'static str {
    match kind {
        TroubleKind::Exception => "not caught",
        TroubleKind::Console => "console",
        TroubleKind::Request => "request",
        TroubleKind::Other => "browser",
    }
}

fn after_facts(action: &StepRecord) -> Markup {
    let mut facts = Vec::new();
    if let Some(n) = action.n_changed_pixels {
        facts.push(html! { (count(usize::try_from(n).unwrap_or(usize::MAX))) " pixels changed" });
    }
    if !action.settled {
        facts.push(html! { "the page kept changing until the cap" });
    }
    if let Some(dialog) = &action.dialog {
        facts.push(html! { "dialog: " (dialog) });
    }
    if let Some(title) = action.title.as_ref().filter(|title| !title.is_empty()) {
        facts.push(html! { (title) });
    }
    if let Some(url) = action.url.as_ref().filter(|url| !url.starts_with("data:")) {
        facts.push(html! { code { (url) } });
    }
    if let Some(detail) = &action.detail {
        facts.push(html! { (detail) });
    }
    html! { p.after-facts { (dotted(&facts)) } }
}
