//! One step of the report: the picture, what the policy said beside it, where the time went.

use std::fmt::Write as _;

use vigorl_interface::{Effect, MouseButton, print_chord};
use vigorl_tasks::Verification;

use vigorl_runs::RecordedStep;
use vigorl_runs::record::{ActionRecord, Box4, GroundingRecord, StepRecord, Timings, TurnRecord, Xy};

use crate::html::{Pictures, count, duration, escape, number};
use crate::overlay::{self, Frame, hue, pins};

/// Width in display pixels a screenshot is enlarged to by whole factors.
const STAGE_WIDTH: u32 = 768;
/// Side of a crop on the page.
const TILE: f64 = 190.0;
// Drawn, because the symbols are missing from many fonts.
const ZOOM_ICON: &str = r#"<svg class="icon" viewBox="0 0 16 16"><circle cx="6.5" cy="6.5" r="4.5"/><path d="M10 10l4.5 4.5"/></svg>"#;
const CLICK_ICON: &str = r#"<svg class="icon" viewBox="0 0 16 16"><circle cx="8" cy="8" r="4.5"/><path d="M8 .5v5M8 10.5v5M.5 8h5M10.5 8h5"/></svg>"#;

/// The identifier of a step's first picture, which the gallery shares.
pub(crate) fn picture_id(step: usize) -> String {
    format!("s{step}-before")
}

/// How many times a screenshot of this width is enlarged.
pub(crate) fn enlargement(width: u32) -> u32 {
    (STAGE_WIDTH / width.max(1)).max(1)
}

/// The section of one step.
pub(crate) fn section(
    step: &RecordedStep,
    number_in_episode: usize,
    target: Option<Box4>,
    pictures: Pictures<'_>,
) -> String {
    let target = target_of(step, target);
    let mut out = format!(r#"<section class="step" id="s{}">"#, step.step);
    heading(&mut out, step, number_in_episode);
    out.push_str(r#"<div class="cols"><div class="seen">"#);
    let id = format!(r#" id="{}""#, picture_id(step.step));
    stage(&mut out, step, target, pictures, &id);
    if let Some(action) = &step.action {
        timing_bar(&mut out, &action.millis);
        after_facts(&mut out, action);
    }
    out.push_str(r#"</div><div class="said">"#);
    match &step.model {
        Some(model) => said(&mut out, step, model, pictures),
        None => keyboard(&mut out, step),
    }
    out.push_str("</div></div></section>");
    out
}

/// What the task knows of this step goes before what it knows of all.
fn target_of(step: &RecordedStep, of_episode: Option<Box4>) -> Option<Box4> {
    step.action.as_ref().and_then(|action| action.place).or(of_episode)
}

/// A step in half the width, beside that of another run: without identifiers, which must be unique in a page.
pub(crate) fn half(
    step: &RecordedStep,
    number_in_episode: usize,
    target: Option<Box4>,
    pictures: Pictures<'_>,
) -> String {
    let mut out = String::from(r#"<section class="step">"#);
    heading(&mut out, step, number_in_episode);
    stage(&mut out, step, target_of(step, target), pictures, "");
    match &step.model {
        Some(model) => {
            out.push_str(r#"<div class="outcome">"#);
            conclusion(&mut out, step, model);
            out.push_str("</div><details><summary>what was said</summary>");
            said(&mut out, step, model, pictures);
            out.push_str("</details>");
        }
        None => keyboard(&mut out, step),
    }
    if let Some(action) = &step.action {
        after_facts(&mut out, action);
    }
    out.push_str("</section>");
    out
}

fn heading(out: &mut String, step: &RecordedStep, number_in_episode: usize) {
    write!(out, "<h4>Step {number_in_episode} <span>{}</span>", escape(&step.instruction)).ok();
    match &step.action {
        None => out.push_str(r#"<span class="pill state open">never finished</span>"#),
        Some(action) => {
            write!(
                out,
                r#"<span class="pill state {}">{}</span>"#,
                effect_class(action.effect),
                action.effect.as_str().replace('_', " ")
            )
            .ok();
            // Nobody is asked before the last step: that goes without saying.
            if action.verification != Verification::Unknown {
                write!(
                    out,
                    r#"<span class="pill state {}">{}</span>"#,
                    verification_class(action.verification),
                    action.verification.as_str()
                )
                .ok();
            }
        }
    }
    out.push_str("</h4>");
}

/// A step that asked the policy nothing: what was typed or pressed.
fn keyboard(out: &mut String, step: &RecordedStep) {
    let keys = match step.action.as_ref().and_then(|record| record.action.as_ref()) {
        Some(ActionRecord::Type { text }) => format!(r#"<span class="typed">{}</span>"#, escape(text)),
        Some(ActionRecord::Press { chord }) => {
            let chord = print_chord(chord);
            let keys = chord.split_inclusive('+').map(|key| match key.strip_suffix('+') {
                // The plus key itself is the only one that may be empty here.
                Some(name) if !name.is_empty() => format!("<kbd>{}</kbd>", escape(name)),
                _ => format!("<kbd>{}</kbd>", escape(key)),
            });
            keys.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let words = match &step.action {
        Some(action) if action.place.is_some() => "the task names the place itself: nobody looked",
        Some(_) => "nothing had to be found in this step",
        None => "the run ended before anything was said in this step",
    };
    write!(out, r#"<div class="keys">{keys}<p class="labels">{words}</p></div>"#).ok();
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

/// The picture with its marks; `id` is an attribute of the first image, or nothing.
fn stage(out: &mut String, step: &RecordedStep, target: Option<Box4>, pictures: Pictures<'_>, id: &str) {
    let Some((before, size)) = pictures.source(step, "before.png").zip(step.image_size) else {
        let words = match step.action {
            Some(_) => "A dialog covered the page: there is no screenshot.",
            None => "The screenshot was not written.",
        };
        write!(out, r#"<p class="empty">{words}</p>"#).ok();
        return;
    };
    let zoom = enlargement(size[0]);
    let pixel = if zoom > 1 { " pixel" } else { "" };
    write!(
        out,
        r#"<div class="stage" style="width:{}px"><img class="before{pixel}"{id} alt="the screen before the action" {before}>"#,
        size[0] * zoom,
    )
    .ok();
    let after = pictures.source(step, "after.png");
    if let Some(after) = &after {
        write!(out, r#"<img class="after{pixel}" alt="the screen after the action" {after}>"#).ok();
    }
    out.push_str(&overlay::full(
        Frame::whole(size, f64::from(zoom)),
        step.model.as_ref(),
        step.action.as_ref(),
        target,
    ));
    out.push_str(r#"</div><div class="controls">"#);
    if after.is_some() {
        out.push_str(concat!(
            r#"<button data-show="before" aria-pressed="true">Before</button>"#,
            r#"<button data-show="after" aria-pressed="false">After</button>"#
        ));
    }
    out.push_str(concat!(
        r#"<button data-do="play">Replay</button><button data-do="bare" aria-pressed="true">Marks</button>"#,
        r#"<button data-do="wide" aria-pressed="false">Wide</button><span class="legend">"#
    ));
    legend(out, step, target);
    out.push_str("</span></div>");
}

fn legend(out: &mut String, step: &RecordedStep, target: Option<Box4>) {
    let turns = step.model.as_ref().map_or(&[][..], |model| &model.turns);
    let mut entry = |shown: bool, class: &str, word: &str| {
        if shown {
            write!(out, r#"<span><i class="{class}"></i>{word}</span>"#).ok();
        }
    };
    entry(turns.iter().any(|t| t.thoughts.iter().any(|th| !th.points.is_empty())), "i-pin", "thought");
    entry(turns.iter().any(|t| t.crop.is_some()), "i-crop", "zoom");
    entry(
        step.action.as_ref().and_then(|a| a.action.as_ref()).and_then(ActionRecord::at).copied().is_some(),
        "i-click",
        "action",
    );
    entry(target.is_some(), "i-truth", "true target");
}

/// A stacked bar of the phases and their durations.
pub(crate) fn timing_bar(out: &mut String, timings: &Timings) {
    let phases: Vec<_> = timings.phases().into_iter().filter(|(_, millis)| *millis >= 0.05).collect();
    out.push_str(r#"<div class="time">"#);
    for (name, millis) in &phases {
        write!(
            out,
            r#"<i style="flex:{millis:.2};background:var(--{name})" title="{name} {}"></i>"#,
            duration(*millis)
        )
        .ok();
    }
    write!(out, r#"</div><div class="times"><span><b>{}</b></span>"#, duration(timings.total())).ok();
    for (name, millis) in &phases {
        write!(out, r#"<span><i style="background:var(--{name})"></i>{name} {}</span>"#, duration(*millis))
            .ok();
    }
    out.push_str("</div>");
}

fn after_facts(out: &mut String, action: &StepRecord) {
    let mut facts = Vec::new();
    if let Some(n) = action.n_changed_pixels {
        facts.push(format!("{} pixels changed", count(usize::try_from(n).unwrap_or(usize::MAX))));
    }
    if !action.settled {
        facts.push("the page kept changing until the cap".to_owned());
    }
    if let Some(dialog) = &action.dialog {
        facts.push(format!("dialog: {}", escape(dialog)));
    }
    if let Some(title) = action.title.as_ref().filter(|title| !title.is_empty()) {
        facts.push(escape(title));
    }
    if let Some(url) = action.url.as_ref().filter(|url| !url.starts_with("data:")) {
        facts.push(format!("<code>{}</code>", escape(url)));
    }
    if let Some(detail) = &action.detail {
        facts.push(escape(detail));
    }
    write!(out, r#"<p class="after-facts">{}</p>"#, facts.join(" · ")).ok();
}

fn said(out: &mut String, step: &RecordedStep, model: &GroundingRecord, pictures: Pictures<'_>) {
    let numbered = pins(model);
    out.push_str(concat!(
        r#"<p class="labels">numbers inside a thought are as the policy wrote them; "#,
        r#"zoom, crop and answer are pixels of the screenshot</p>"#
    ));
    for (turn_idx, turn) in model.turns.iter().enumerate() {
        write!(out, r#"<div class="turn t{}">"#, hue(turn_idx)).ok();
        turn_head(out, turn_idx, turn);
        out.push_str("<ol>");
        for (thought_idx, thought) in turn.thoughts.iter().enumerate() {
            write!(out, r#"<li tabindex="0" data-p="{turn_idx}-{thought_idx}"><span class="no">"#).ok();
            let numbers: Vec<_> = numbered
                .pins
                .iter()
                .filter(|pin| pin.turn == turn_idx && pin.thought == thought_idx)
                .map(|pin| format!("<b>{}</b>", pin.number))
                .collect();
            out.push_str(&if numbers.is_empty() {
                r#"<b class="none">–</b>"#.to_owned()
            } else {
                numbers.concat()
            });
            write!(out, r#"</span><span class="text">{}</span></li>"#, escape(&thought.text)).ok();
        }
        out.push_str("</ol>");
        if let Some(zoom) = turn.zoom {
            write!(
                out,
                r#"<span class="deed zoom" tabindex="0" data-p="zoom-{turn_idx}">{ZOOM_ICON} {} ({}, {})</span>"#,
                if turn.checked { "checks its answer at" } else { "zoom" },
                number(zoom[0].0),
                number(zoom[1].0)
            )
            .ok();
        }
        crop_tile(out, step, model, turn_idx, pictures);
        if turn.went_back {
            out.push_str(r#"<p class="labels">leads nowhere: back to the whole page</p>"#);
        }
        if turn_idx + 1 == model.turns.len() {
            conclusion(out, step, model);
        } else if let Some(at) = answer_after(model, turn_idx) {
            deed(out, "found", "click", at);
        }
        // Where nothing could be read, the raw text is all there is to see.
        let open = if turn.thoughts.is_empty() && turn.zoom.is_none() { " open" } else { "" };
        let raw = escape(&turn.completion);
        write!(out, "<details{open}><summary>raw text</summary><pre>{raw}</pre></details></div>").ok();
    }
}

fn turn_head(out: &mut String, turn_idx: usize, turn: &TurnRecord) {
    let millis = turn.millis.vision.0 + turn.millis.prefill.0 + turn.millis.decode.0;
    let cached = if turn.n_cached_tokens > 0 {
        format!(", {} cached", count(turn.n_cached_tokens))
    } else {
        String::new()
    };
    let forced = match turn.n_forced_tokens {
        None | Some(0) => String::new(),
        Some(n) => format!(", {} by form", count(n)),
    };
    let thrown_away = match turn.n_thrown_away {
        0 => String::new(),
        1 => " · 1 look thrown away before".to_owned(),
        n => format!(" · {n} looks thrown away before"),
    };
    write!(
        out,
        r#"<div class="head"><b>Turn {}{}</b><span>{} in{cached} · {} out{forced} · {}{thrown_away}</span></div>"#,
        turn_idx + 1,
        if turn.forced { " (forced)" } else { "" },
        count(turn.n_prompt_tokens),
        count(turn.n_completion_tokens),
        duration(millis)
    )
    .ok();
}

fn crop_tile(
    out: &mut String,
    step: &RecordedStep,
    model: &GroundingRecord,
    turn_idx: usize,
    pictures: Pictures<'_>,
) {
    let Some(window) = model.turns[turn_idx].crop else { return };
    let n_before = model.turns[..turn_idx].iter().filter(|turn| turn.crop.is_some()).count();
    let Some(crop) = pictures.source(step, &format!("crop_{}.png", n_before + 1)) else { return };
    let [l, t, r, b] = window.map(|side| side.0);
    let frame = Frame { window: [l, t, r, b], zoom: TILE / (r - l).max(1.0) };
    let click = step
        .action
        .as_ref()
        .and_then(|s| s.action.as_ref())
        .and_then(ActionRecord::at)
        .copied()
        .or(model.answer);
    write!(
        out,
        concat!(
            r#"<div class="crop"><div class="tile" data-p="zoom-{turn_idx}"><img class="pixel" alt="the crop" {crop}>{marks}</div>"#,
            r#"<div class="cap">sees {w} × {h} px<br>from ({l}, {t})<br>to ({r}, {b})</div></div>"#
        ),
        marks = overlay::on_crop(frame, model, turn_idx, click),
        w = number(r - l), h = number(b - t), l = number(l), t = number(t), r = number(r), b = number(b),
        turn_idx = turn_idx, crop = crop,
    )
    .ok();
}

fn conclusion(out: &mut String, step: &RecordedStep, model: &GroundingRecord) {
    if let Some(reason) = &model.malformed {
        // What the step says of it names the pixels it speaks of.
        let known = step.action.as_ref().filter(|action| action.effect == Effect::Refused);
        let reason = known.and_then(|action| action.detail.as_ref()).unwrap_or(reason);
        write!(out, r#"<p class="deed bad">no answer: {}</p>"#, escape(reason)).ok();
    } else if let Some(at) = model.answer {
        let action = step.action.as_ref().and_then(|step| step.action.as_ref());
        deed(out, action.map_or("answer", verb), "click", at);
        if let Some(to) = action.and_then(ActionRecord::to).copied() {
            deed(out, "to", "release", to);
        }
    }
    if let Some(confidence) = model.confidence {
        let percent = (confidence * 100.0).clamp(0.0, 100.0);
        write!(
            out,
            r#"<p class="labels"><span class="meter"><i style="width:{percent:.0}%"></i></span>confidence {percent:.0} %</p>"#
        )
        .ok();
    }
}

fn deed(out: &mut String, word: &str, mark: &str, at: Xy) {
    write!(
        out,
        r#"<span class="deed click" tabindex="0" data-p="{mark}">{CLICK_ICON} {word} ({}, {})</span>"#,
        number(at[0].0),
        number(at[1].0)
    )
    .ok();
}

/// The point that was answered when one of several things was found, by the turn that said it.
fn answer_after(model: &GroundingRecord, turn_idx: usize) -> Option<Xy> {
    let mut n_turns = 0;
    model.found.iter().find_map(|found| {
        n_turns += found.n_turns;
        (n_turns == turn_idx + 1).then_some(found.answer).flatten()
    })
}

pub(crate) fn verb(action: &ActionRecord) -> &'static str {
    match action {
        ActionRecord::Click { count: 2, .. } => "double click",
        ActionRecord::Click { button: MouseButton::Right, .. } => "right click",
        ActionRecord::Navigate { .. } => "open",
        ActionRecord::Back => "back",
        other => other.kind().as_str(),
    }
}
