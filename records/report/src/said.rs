//! What the policy said in one step, turn by turn. Invariant: where nothing could be read, the raw text is open.

use maud::{Markup, html};
use vigorl_interface::Effect;
use vigorl_runs::RecordedStep;
use vigorl_runs::record::{ActionRecord, GroundingRecord, TurnRecord, Xy};

use crate::html::{Pictures, count, duration, number};
use crate::overlay::{self, Frame, Pins, hue, pins};

/// Side of a crop on the page.
const TILE: f64 = 190.0;

/// All turns.
pub(crate) fn said(step: &RecordedStep, model: &GroundingRecord, pictures: Pictures<'_>) -> Markup {
    let numbered = pins(model);
    html! {
        p.labels {
            "numbers inside a thought are as the policy wrote them; zoom, crop and answer are pixels of the screenshot"
        }
        @for (turn_idx, turn) in model.turns.iter().enumerate() {
            div.turn.(hue(turn_idx)) {
                (turn_head(turn_idx, turn))
                (thoughts(turn_idx, turn, &numbered))
                @if let Some(at) = turn.zoom { (zoom(turn_idx, turn.checked, at)) }
                (crop_tile(step, model, turn_idx, pictures))
                @if turn.went_back { p.labels { "leads nowhere: back to the whole page" } }
                @if turn_idx + 1 == model.turns.len() {
                    (conclusion(step, model))
                } @else if let Some(at) = answer_after(model, turn_idx) {
                    (deed("found", "click", at))
                }
                details open[turn.thoughts.is_empty() && turn.zoom.is_none()] {
                    summary { "raw text" }
                    pre { (turn.completion) }
                }
            }
        }
    }
}

fn turn_head(turn_idx: usize, turn: &TurnRecord) -> Markup {
    let millis = turn.millis.vision.0 + turn.millis.prefill.0 + turn.millis.decode.0;
    html! {
        div.head {
            b { "Turn " (turn_idx + 1) @if turn.forced { " (forced" @if turn.prefix_in_words { " in words" } ")" } }
            span {
                (count(turn.n_prompt_tokens)) " in"
                @if turn.n_cached_tokens > 0 { ", " (count(turn.n_cached_tokens)) " cached" }
                " · " (count(turn.n_completion_tokens)) " out"
                @if let Some(n) = turn.n_forced_tokens.filter(|n| *n > 0) { ", " (count(n)) " by form" }
                " · " (duration(millis))
                @match turn.n_thrown_away {
                    0 => {}
                    1 => " · 1 look thrown away before",
                    n => { " · " (n) " looks thrown away before" }
                }
            }
        }
    }
}

/// The thoughts with the numbers of their points.
fn thoughts(turn_idx: usize, turn: &TurnRecord, numbered: &Pins<'_>) -> Markup {
    let numbers = |thought_idx: usize| {
        let is_its = move |turn: usize, thought: usize| turn == turn_idx && thought == thought_idx;
        numbered.pins.iter().filter(move |pin| is_its(pin.turn, pin.thought)).map(|pin| pin.number)
    };
    html! {
        ol {
            @for (thought_idx, thought) in turn.thoughts.iter().enumerate() {
                li tabindex="0" data-p={ (turn_idx) "-" (thought_idx) } {
                    span.no {
                        @for number in numbers(thought_idx) { b { (number) } }
                        @if numbers(thought_idx).next().is_none() { b.none { "–" } }
                    }
                    span.text { (thought.text) }
                }
            }
        }
    }
}

// The icons are drawn, because the symbols are missing from many fonts.
fn zoom(turn_idx: usize, is_check: bool, at: Xy) -> Markup {
    html! {
        span.deed.zoom tabindex="0" data-p={ "zoom-" (turn_idx) } {
            svg.icon viewBox="0 0 16 16" { circle cx="6.5" cy="6.5" r="4.5" {} path d="M10 10l4.5 4.5" {} }
            " " (if is_check { "checks its answer at" } else { "zoom" }) " " (point(at))
        }
    }
}

fn deed(word: &str, mark: &str, at: Xy) -> Markup {
    html! {
        span.deed.click tabindex="0" data-p=(mark) {
            svg.icon viewBox="0 0 16 16" { circle cx="8" cy="8" r="4.5" {} path d="M8 .5v5M8 10.5v5M.5 8h5M10.5 8h5" {} }
            " " (word) " " (point(at))
        }
    }
}

fn point([x, y]: Xy) -> String {
    format!("({}, {})", number(x.0), number(y.0))
}

/// What the policy was shown when it zoomed.
fn crop_tile(
    step: &RecordedStep,
    model: &GroundingRecord,
    turn_idx: usize,
    pictures: Pictures<'_>,
) -> Markup {
    let n_before = model.turns[..turn_idx].iter().filter(|turn| turn.crop.is_some()).count();
    let window = model.turns[turn_idx].crop;
    let Some((window, crop)) = window.zip(pictures.source(step, &format!("crop_{}.png", n_before + 1)))
    else {
        return html! {};
    };
    let [l, t, r, b] = window.map(|side| side.0);
    let frame = Frame { window: [l, t, r, b], zoom: TILE / (r - l).max(1.0) };
    let click = step
        .action
        .as_ref()
        .and_then(|s| s.action.as_ref())
        .and_then(ActionRecord::at)
        .copied()
        .or(model.answer);
    html! {
        div.crop {
            div.tile data-p={ "zoom-" (turn_idx) } {
                img.pixel alt="the crop" loading=[crop.loading] src=(crop.address);
                (overlay::on_crop(frame, model, turn_idx, click))
            }
            div.cap {
                "sees " (number(r - l)) " × " (number(b - t)) " px" br;
                "from " (point([window[0], window[1]])) br;
                "to " (point([window[2], window[3]]))
            }
        }
    }
}

/// The answer and what was done with it, or why there is none.
pub(crate) fn conclusion(step: &RecordedStep, model: &GroundingRecord) -> Markup {
    let action = step.action.as_ref().and_then(|step| step.action.as_ref());
    html! {
        @if let Some(reason) = &model.malformed {
            // What the step says of it names the pixels it speaks of.
            @let known = step.action.as_ref().filter(|action| action.effect == Effect::Refused);
            p.deed.bad { "no answer: " (known.and_then(|action| action.detail.as_ref()).unwrap_or(reason)) }
        } @else if let Some(at) = model.answer {
            (deed(action.map_or("answer", ActionRecord::verb), "click", at))
            @if let Some(to) = action.and_then(ActionRecord::to).copied() { (deed("to", "release", to)) }
        }
        @if let Some(confidence) = model.confidence {
            @let percent = format!("{:.0}", (confidence * 100.0).clamp(0.0, 100.0));
            p.labels {
                span.meter { i style={ "width:" (percent) "%" } {} }
                "confidence " (percent) " %"
                @if model.calibrated_on.is_none() { ", uncalibrated" }
                @if let Some(who) = &model.decided_by { " · " (who) }
            }
        }
    }
}

/// The point that was answered when one of several things was found, by the turn that said it.
fn answer_after(model: &GroundingRecord, turn_idx: usize) -> Option<Xy> {
    let mut n_turns = 0;
    model.found.iter().find_map(|found| {
        n_turns += found.n_turns;
        (n_turns == turn_idx + 1).then_some(found.answer).flatten()
    })
}
