//! What is drawn over a screenshot: points, zoom windows, the click, the true target.
//!
//! Invariant: positions are fractions of the screenshot, marks have a constant size on the page, so the
//! drawing stays right at any display size. Marks carry `data-p` (links them to the list of thoughts) and
//! `data-order` (when they appear in the replay).

use maud::{Markup, html};
use vigorl_runs::record::{ActionRecord, Box4, GroundingRecord, StepRecord, Xy};

use crate::html::number;

/// Distance of a badge from its point, in display pixels.
const BADGE_REACH: f64 = 27.0;
/// Radius of a badge plus its outline.
const BADGE_RADIUS: f64 = 11.0;
/// Width in display pixels at which a phone shows a picture that is wider.
const NARROWEST: f64 = 330.0;

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

    /// Left, top, width and height of a box, as attributes want them.
    fn rect(self, b: Box4) -> [String; 4] {
        let (w, h) = self.size();
        [
            (b[0].0 - self.window[0]) / w,
            (b[1].0 - self.window[1]) / h,
            (b[2].0 - b[0].0) / w,
            (b[3].0 - b[1].0) / h,
        ]
        .map(|share| percent(share * 100.0))
    }

    /// What is drawn in display pixels around the middle of the pixel at `at`, whatever the size of the page.
    fn around(self, at: Xy, drawn: &Markup) -> Markup {
        let (x, y) = self.percent(at);
        html! { svg x=(percent(x)) y=(percent(y)) overflow="visible" { (drawn) } }
    }
}

fn percent(value: f64) -> String {
    format!("{value:.3}%")
}

fn overlay(content: &Markup) -> Markup {
    html! { svg.overlay role="presentation" { (content) } }
}

/// The overlay of the whole screenshot.
pub(crate) fn full(
    frame: Frame,
    model: Option<&GroundingRecord>,
    step: Option<&StepRecord>,
    target: Option<Box4>,
) -> Markup {
    let action = step.and_then(|step| step.action.as_ref());
    let click = action.and_then(ActionRecord::at).copied().or(model.and_then(|m| m.answer));
    // An action at a place that the task named has no thoughts, but a mark.
    let nobody = GroundingRecord::default();
    let model = model.or(click.map(|_| &nobody));
    overlay(&html! {
        @if let Some(target) = target {
            @let [x, y, w, h] = frame.rect(target);
            rect.truth rx="3" x=(x) y=(y) width=(w) height=(h) { title { "the target, as the page reports it" } }
        }
        @if let Some(model) = model { (marks(frame, model, action, click)) }
    })
}

fn marks(frame: Frame, model: &GroundingRecord, action: Option<&ActionRecord>, click: Option<Xy>) -> Markup {
    let pins = pins(model);
    let released = click.zip(action.and_then(ActionRecord::to).copied());
    html! {
        (windows(frame, model, &pins))
        (trail(frame, &pins))
        (draw_pins(frame, &pins, click))
        @if let Some((from, to)) = released {
            (line(frame, [from, to], pins.answer_order + 1))
            (cross(frame, to, ("release", "released"), pins.answer_order + 1))
        }
        @if let Some(at) = click { (cross(frame, at, ("click", action.map_or("answer", ActionRecord::verb)), pins.answer_order)) }
    }
}

/// The overlay of the crop of turn `turn`: what the following turn and the click point at inside it.
pub(crate) fn on_crop(frame: Frame, model: &GroundingRecord, turn: usize, click: Option<Xy>) -> Markup {
    let pins = pins(model);
    let shown = pins.pins.iter().filter(|pin| pin.turn == turn + 1 && frame.shows(pin.at));
    overlay(&html! {
        @for pin in shown {
            (frame.around(pin.at, &html! {
                g.pin.(hue(pin.turn)) data-p={ (pin.turn) "-" (pin.thought) } {
                    circle.halo r="13" {}
                    circle.dot r="4" {}
                }
            }))
        }
        @if let Some(at) = click.filter(|at| frame.shows(*at)) { (cross(frame, at, ("click", "click"), 0)) }
    })
}

/// The color class of a turn.
pub(crate) fn hue(turn: usize) -> &'static str {
    ["t1", "t2", "t3", "t4", "t5", "t6"][turn % 6]
}

fn windows(frame: Frame, model: &GroundingRecord, pins: &Pins<'_>) -> Markup {
    let window = |turn: usize, window: Box4| {
        let [x, y, w, h] = frame.rect(window);
        html! {
            g.window.(hue(turn)) data-p={ "zoom-" (turn) } data-order=(pins.zoom_order[turn]) {
                rect rx="3" x=(x) y=(y) width=(w) height=(h) {}
                svg x=(x) y=(y) overflow="visible" {
                    rect.tag width=(if turn + 1 < 10 { 58 } else { 66 }) height="17" rx="3" {}
                    text x="6" y="12.5" { "zoom " (turn + 1) }
                }
            }
        }
    };
    let windows = model.turns.iter().enumerate().filter_map(|(turn, said)| Some(window(turn, said.crop?)));
    html! { @for window in windows { (window) } }
}

/// Dotted lines from one looked-at point to the next.
fn trail(frame: Frame, pins: &Pins<'_>) -> Markup {
    let moved = pins.pins.windows(2).filter(|pair| pair[0].at != pair[1].at);
    html! { @for pair in moved { (line(frame, [pair[0].at, pair[1].at], pair[1].order)) } }
}

fn line(frame: Frame, ends: [Xy; 2], order: usize) -> Markup {
    let [(x1, y1), (x2, y2)] = ends.map(|at| frame.percent(at));
    html! {
        line.trail data-order=(order) x1=(percent(x1)) y1=(percent(y1)) x2=(percent(x2)) y2=(percent(y2)) {}
    }
}

/// A dot at the point itself and a numbered badge where there is room beside it.
fn draw_pins(frame: Frame, pins: &Pins<'_>, click: Option<Xy>) -> Markup {
    let mut taken: Vec<(f64, f64)> =
        pins.pins.iter().map(|pin| pin.at).chain(click).map(|at| frame.display(at)).collect();
    let mut drawn = Vec::new();
    for pin in &pins.pins {
        let (px, py) = frame.display(pin.at);
        let (dx, dy) = free_direction(frame, (px, py), &taken);
        taken.push((px + dx, py + dy));
        drawn.push(frame.around(pin.at, &draw_pin(pin, [dx, dy].map(|offset| format!("{offset:.1}")))));
    }
    html! { @for pin in drawn { (pin) } }
}

fn draw_pin(pin: &Pin<'_>, [dx, dy]: [String; 2]) -> Markup {
    html! {
        g.pin.(hue(pin.turn)) data-p={ (pin.turn) "-" (pin.thought) } data-order=(pin.order) {
            title { (pin.text) " (" (number(pin.at[0].0)) ", " (number(pin.at[1].0)) ")" }
            circle.halo r="17" {}
            line x2=(dx) y2=(dy) {}
            circle.dot r="4" {}
            circle.badge cx=(dx) cy=(dy) r="10" {}
            text x=(dx) y=(dy) { (pin.number) }
        }
    }
}

/// The offset, among twelve directions on two rings, whose badge stays in the picture and apart from other
/// marks; the near ring is preferred. A narrow page shows the picture smaller and the offset as it is: the badge is inside
/// there, too, and so at every width between.
fn free_direction(frame: Frame, (px, py): (f64, f64), taken: &[(f64, f64)]) -> (f64, f64) {
    let (w, h) = (frame.size().0 * frame.zoom, frame.size().1 * frame.zoom);
    let narrow = (NARROWEST / w).min(1.0);
    let is_inside = |(dx, dy): (f64, f64), scale: f64| {
        let (x, y) = (px * scale + dx, py * scale + dy);
        let least = BADGE_RADIUS;
        x >= least && y >= least && x <= w * scale - least && y <= h * scale - least
    };
    let room = |(dx, dy): (f64, f64)| {
        let (x, y) = (px + dx, py + dy);
        let nearest = taken.iter().map(|(a, b)| (a - x).hypot(b - y)).fold(f64::INFINITY, f64::min);
        let room = nearest.min(2.2 * BADGE_RADIUS) - 0.05 * dx.hypot(dy);
        let n_outside = [1.0, narrow].iter().filter(|scale| !is_inside((dx, dy), **scale)).count();
        room - 1000.0 * n_outside as f64
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
fn cross(frame: Frame, at: Xy, (mark, word): (&str, &str), order: usize) -> Markup {
    let lines = "M-19 0H-7M19 0H7M0 -19V-7M0 19V7M-12.5 0a12.5 12.5 0 1 0 25 0a12.5 12.5 0 1 0 -25 0";
    frame.around(
        at,
        &html! {
            g.cross data-p=(mark) data-order=(order) {
                title { (word) " at (" (number(at[0].0)) ", " (number(at[1].0)) ")" }
                path.under d=(lines) {}
                path.over d=(lines) {}
                circle.core r="2" {}
            }
        },
    )
}

/// A small overlay for the gallery: only the target and the click.
pub(crate) fn thumbnail(frame: Frame, click: Option<Xy>, target: Option<Box4>) -> Markup {
    let mark = html! {
        g.cross { circle.under r="6.5" {} circle.over r="6.5" {} circle.core r="1.8" {} }
    };
    overlay(&html! {
        @if let Some(target) = target {
            @let [x, y, w, h] = frame.rect(target);
            rect.truth rx="2" x=(x) y=(y) width=(w) height=(h) {}
        }
        @if let Some(at) = click { (frame.around(at, &mark)) }
    })
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::Plain;

    use super::*;

    #[test]
    fn badges_stay_inside_where_a_phone_shows_the_picture() {
        // 1280 px wide, shown 330 px wide: what is 30 px away from an edge comes as near as 8 px to it.
        let frame = Frame::whole([1280, 800], 1.0);
        for at in [[30.0, 400.0], [1250.0, 400.0], [640.0, 30.0], [640.0, 770.0]] {
            let (px, py) = frame.display([Plain(at[0]), Plain(at[1])]);
            let (dx, dy) = free_direction(frame, (px, py), &[(px, py)]);
            let (x, y) = (px * 330.0 / 1280.0 + dx, py * 330.0 / 1280.0 + dy);
            assert!((11.0..=319.0).contains(&x) && (11.0..=195.25).contains(&y), "{at:?}: {x} {y}");
        }
    }

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
