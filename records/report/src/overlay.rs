//! What is drawn over a screenshot: points, zoom windows, the click, the true target.
//!
//! Invariant: positions are fractions of the screenshot, marks have a constant size on the page, so the
//! drawing stays right at any display size. Marks carry `data-p` (links them to the list of thoughts) and
//! `data-order` (when they appear in the replay).

use std::fmt::Write as _;

use vigorl_runs::record::{ActionRecord, Box4, GroundingRecord, StepRecord, Xy};

use crate::html::{escape, number};
use crate::step::verb;

/// Distance of a badge from its point, in display pixels.
const BADGE_REACH: f64 = 27.0;
/// Radius of a badge plus its outline.
const BADGE_RADIUS: f64 = 11.0;

/// A numbered point of a thought.
pub(crate) struct Pin<'a> {
    /// Number in the step, from 1.
    pub(crate) number: usize,
    /// Index of the turn, from 0.
    pub(crate) turn: usize,
    /// Index of the thought in its turn.
    pub(crate) thought: usize,
    /// Moment of the replay.
    pub(crate) order: usize,
    /// Where.
    pub(crate) at: Xy,
    /// The thought.
    pub(crate) text: &'a str,
}

/// All points of a step in the order in which they were named, and the moments at which zooms and the
/// answer happen.
pub(crate) struct Pins<'a> {
    pub(crate) pins: Vec<Pin<'a>>,
    pub(crate) zoom_order: Vec<usize>,
    pub(crate) answer_order: usize,
}

/// Numbers the points of all thoughts.
pub(crate) fn pins(model: &GroundingRecord) -> Pins<'_> {
    let (mut pins, mut zoom_order, mut order) = (Vec::new(), Vec::new(), 0);
    for (turn, said) in model.turns.iter().enumerate() {
        for (thought, t) in said.thoughts.iter().enumerate() {
            for at in &t.points {
                pins.push(Pin { number: pins.len() + 1, turn, thought, order, at: *at, text: &t.text });
            }
            order += 1;
        }
        zoom_order.push(order);
        order += usize::from(said.crop.is_some());
    }
    Pins { pins, zoom_order, answer_order: order }
}

/// A size of something in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// The part of the screenshot that is shown.
    pub(crate) window: [f64; 4],
    /// Display pixels per screenshot pixel.
    pub(crate) zoom: f64,
}

impl Frame {
    /// A whole screenshot.
    pub(crate) fn whole(size: [u32; 2], zoom: f64) -> Self {
        Self { window: [0.0, 0.0, f64::from(size[0]), f64::from(size[1])], zoom }
    }

    fn size(self) -> (f64, f64) {
        (self.window[2] - self.window[0], self.window[3] - self.window[1])
    }

    /// Percentages of the middle of the pixel at `at`.
    fn percent(self, at: Xy) -> (f64, f64) {
        let (w, h) = self.size();
        ((at[0].0 + 0.5 - self.window[0]) / w * 100.0, (at[1].0 + 0.5 - self.window[1]) / h * 100.0)
    }

    fn display(self, at: Xy) -> (f64, f64) {
        ((at[0].0 + 0.5 - self.window[0]) * self.zoom, (at[1].0 + 0.5 - self.window[1]) * self.zoom)
    }

    fn shows(self, at: Xy) -> bool {
        let [l, t, r, b] = self.window;
        at[0].0 >= l && at[1].0 >= t && at[0].0 < r && at[1].0 < b
    }

    /// `x="…" y="…" width="…" height="…"` of a box.
    fn rect(self, b: Box4) -> String {
        let (w, h) = self.size();
        format!(
            r#"x="{:.3}%" y="{:.3}%" width="{:.3}%" height="{:.3}%""#,
            (b[0].0 - self.window[0]) / w * 100.0,
            (b[1].0 - self.window[1]) / h * 100.0,
            (b[2].0 - b[0].0) / w * 100.0,
            (b[3].0 - b[1].0) / h * 100.0
        )
    }
}

/// The overlay of the whole screenshot.
pub(crate) fn full(
    frame: Frame,
    model: Option<&GroundingRecord>,
    step: Option<&StepRecord>,
    target: Option<Box4>,
) -> String {
    let mut out = String::from(r#"<svg class="overlay" role="presentation">"#);
    if let Some(target) = target {
        write!(
            out,
            r#"<rect class="truth" rx="3" {}><title>the target, as the page reports it</title></rect>"#,
            frame.rect(target)
        )
        .ok();
    }
    let action = step.and_then(|step| step.action.as_ref());
    let click = action.and_then(ActionRecord::at).copied().or(model.and_then(|m| m.answer));
    // An action at a place that the task named has no thoughts, but a mark.
    let nobody = GroundingRecord::default();
    if let Some(model) = model.or(click.map(|_| &nobody)) {
        let pins = pins(model);
        windows(&mut out, frame, model, &pins);
        trail(&mut out, frame, &pins);
        draw_pins(&mut out, frame, &pins, click);
        let end = action.and_then(ActionRecord::to).copied();
        if let Some((from, to)) = click.zip(end) {
            line(&mut out, frame, [from, to], pins.answer_order + 1);
            cross(&mut out, frame, to, ("release", "released"), pins.answer_order + 1);
        }
        if let Some(at) = click {
            cross(&mut out, frame, at, ("click", action.map_or("answer", verb)), pins.answer_order);
        }
    }
    out.push_str("</svg>");
    out
}

/// The overlay of the crop of turn `turn`: what the following turn and the click point at inside it.
pub(crate) fn on_crop(frame: Frame, model: &GroundingRecord, turn: usize, click: Option<Xy>) -> String {
    let mut out = String::from(r#"<svg class="overlay" role="presentation">"#);
    for pin in pins(model).pins.iter().filter(|pin| pin.turn == turn + 1 && frame.shows(pin.at)) {
        let (x, y) = frame.percent(pin.at);
        write!(
            out,
            r#"<svg x="{x:.3}%" y="{y:.3}%" overflow="visible"><g class="pin t{}" data-p="{}-{}"><circle class="halo" r="13"/><circle class="dot" r="4"/></g></svg>"#,
            hue(pin.turn), pin.turn, pin.thought
        )
        .ok();
    }
    if let Some(at) = click.filter(|at| frame.shows(*at)) {
        cross(&mut out, frame, at, ("click", "click"), 0);
    }
    out.push_str("</svg>");
    out
}

/// The color class of a turn.
pub(crate) fn hue(turn: usize) -> usize {
    turn % 6 + 1
}

fn windows(out: &mut String, frame: Frame, model: &GroundingRecord, pins: &Pins<'_>) {
    for (turn, said) in model.turns.iter().enumerate() {
        let Some(window) = said.crop else { continue };
        let (w, h) = frame.size();
        let (x, y) =
            ((window[0].0 - frame.window[0]) / w * 100.0, (window[1].0 - frame.window[1]) / h * 100.0);
        write!(
            out,
            concat!(
                r#"<g class="window t{}" data-p="zoom-{turn}" data-order="{}"><rect rx="3" {}/>"#,
                r#"<svg x="{x:.3}%" y="{y:.3}%" overflow="visible"><rect class="tag" width="{}" height="17" rx="3"/>"#,
                r#"<text x="6" y="12.5">zoom {}</text></svg></g>"#
            ),
            hue(turn),
            pins.zoom_order[turn],
            frame.rect(window),
            if turn + 1 < 10 { 54 } else { 62 },
            turn + 1,
            turn = turn, x = x, y = y,
        )
        .ok();
    }
}

/// Dotted lines from one looked-at point to the next.
fn trail(out: &mut String, frame: Frame, pins: &Pins<'_>) {
    for pair in pins.pins.windows(2).filter(|pair| pair[0].at != pair[1].at) {
        line(out, frame, [pair[0].at, pair[1].at], pair[1].order);
    }
}

fn line(out: &mut String, frame: Frame, ends: [Xy; 2], order: usize) {
    let [(x1, y1), (x2, y2)] = ends.map(|at| frame.percent(at));
    write!(
        out,
        r#"<line class="trail" data-order="{order}" x1="{x1:.3}%" y1="{y1:.3}%" x2="{x2:.3}%" y2="{y2:.3}%"/>"#,
    )
    .ok();
}

/// A dot at the point itself and a numbered badge where there is room beside it.
fn draw_pins(out: &mut String, frame: Frame, pins: &Pins<'_>, click: Option<Xy>) {
    let mut taken: Vec<(f64, f64)> =
        pins.pins.iter().map(|pin| pin.at).chain(click).map(|at| frame.display(at)).collect();
    for pin in &pins.pins {
        let (x, y) = frame.percent(pin.at);
        let (dx, dy) = free_direction(frame, frame.display(pin.at), &taken);
        let (px, py) = frame.display(pin.at);
        taken.push((px + dx, py + dy));
        write!(
            out,
            concat!(
                r#"<svg x="{x:.3}%" y="{y:.3}%" overflow="visible"><g class="pin t{hue}" data-p="{turn}-{thought}" data-order="{order}">"#,
                r#"<title>{title}</title><circle class="halo" r="17"/><line x2="{dx:.1}" y2="{dy:.1}"/><circle class="dot" r="4"/>"#,
                r#"<circle class="badge" cx="{dx:.1}" cy="{dy:.1}" r="10"/><text x="{dx:.1}" y="{dy:.1}">{number}</text></g></svg>"#
            ),
            hue = hue(pin.turn), turn = pin.turn, thought = pin.thought, order = pin.order, number = pin.number,
            title = escape(&format!("{} ({}, {})", pin.text, number(pin.at[0].0), number(pin.at[1].0))),
            x = x, y = y, dx = dx, dy = dy,
        )
        .ok();
    }
}

/// The offset, among twelve directions on two rings, whose badge stays in the picture and apart from other
/// marks; the near ring is preferred.
fn free_direction(frame: Frame, (px, py): (f64, f64), taken: &[(f64, f64)]) -> (f64, f64) {
    let (w, h) = (frame.size().0 * frame.zoom, frame.size().1 * frame.zoom);
    let room = |(dx, dy): (f64, f64)| {
        let (x, y) = (px + dx, py + dy);
        let inside = x >= BADGE_RADIUS && y >= BADGE_RADIUS && x <= w - BADGE_RADIUS && y <= h - BADGE_RADIUS;
        let nearest = taken.iter().map(|(a, b)| (a - x).hypot(b - y)).fold(f64::INFINITY, f64::min);
        let room = nearest.min(2.2 * BADGE_RADIUS) - 0.05 * dx.hypot(dy);
        if inside { room } else { room - 1000.0 }
    };
    let offset = |reach: f64, twelfth: i32| {
        let angle = (f64::from(twelfth) * 30.0 - 120.0).to_radians();
        (reach * angle.cos(), reach * angle.sin())
    };
    [BADGE_REACH, 1.8 * BADGE_REACH]
        .into_iter()
        .flat_map(|reach| (0..12).map(move |twelfth| offset(reach, twelfth)))
        .max_by(|a, b| room(*a).total_cmp(&room(*b)))
        .unwrap_or((BADGE_REACH, 0.0))
}

/// A target mark; `mark` links it to its words, `word` says what happened there.
fn cross(out: &mut String, frame: Frame, at: Xy, (mark, word): (&str, &str), order: usize) {
    let (x, y) = frame.percent(at);
    let lines = "M-19 0H-7M19 0H7M0 -19V-7M0 19V7M-12.5 0a12.5 12.5 0 1 0 25 0a12.5 12.5 0 1 0 -25 0";
    write!(
        out,
        concat!(
            r#"<svg x="{x:.3}%" y="{y:.3}%" overflow="visible"><g class="cross" data-p="{mark}" data-order="{order}">"#,
            r#"<title>{word} at ({}, {})</title><path class="under" d="{lines}"/><path class="over" d="{lines}"/><circle class="core" r="2"/></g></svg>"#
        ),
        number(at[0].0), number(at[1].0), x = x, y = y, order = order, lines = lines,
        mark = mark, word = word,
    )
    .ok();
}

/// A small overlay for the gallery: only the target and the click.
pub(crate) fn thumbnail(frame: Frame, click: Option<Xy>, target: Option<Box4>) -> String {
    let mut out = String::from(r#"<svg class="overlay" role="presentation">"#);
    if let Some(target) = target {
        write!(out, r#"<rect class="truth" rx="2" {}/>"#, frame.rect(target)).ok();
    }
    if let Some(at) = click {
        let (x, y) = frame.percent(at);
        write!(
            out,
            r#"<svg x="{x:.3}%" y="{y:.3}%" overflow="visible"><g class="cross"><circle class="under" r="6.5"/><circle class="over" r="6.5"/><circle class="core" r="1.8"/></g></svg>"#
        )
        .ok();
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::Plain;

    use super::*;

    #[test]
    fn badges_stay_inside_and_apart() {
        let frame = Frame::whole([192, 160], 4.0);
        for corner in [[0.0, 0.0], [191.0, 0.0], [0.0, 159.0], [191.0, 159.0], [96.0, 80.0]] {
            let (px, py) = frame.display([Plain(corner[0]), Plain(corner[1])]);
            let mut taken = vec![(px, py)];
            for _ in 0..3 {
                let (dx, dy) = free_direction(frame, (px, py), &taken);
                let (x, y) = (px + dx, py + dy);
                assert!(x >= 11.0 && y >= 11.0 && x <= 757.0 && y <= 629.0, "{corner:?}: {x} {y}");
                assert!(taken.iter().all(|(a, b)| (a - x).hypot(b - y) > 20.0), "{corner:?}");
                taken.push((x, y));
            }
        }
    }
}
