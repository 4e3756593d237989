//! Charts as SVG inside the page. Invariant: what can be read off a chart with a pointer is what was drawn: the points
//! stand beside their line.

use maud::{Markup, html};
use vigorl_metrics::{Scale, Unit};

/// Size of a chart, and the room around its plot.
const SIZE: [f64; 2] = [480.0, 220.0];
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;
/// Names that find room below a chart; more of them stand beside it.
const MAX_BELOW: usize = 6;
/// So many charts stand in rows of two.
const MAX_FEW: usize = 4;
/// Colors of lines in `page.css`.
const N_COLORS: usize = 10;

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Faint: single values, or one of several seeds.
    Thin,
    /// As usual.
    Normal,
    /// A mean over seeds.
    Thick,
}

impl Weight {
    const fn class(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Normal => "normal",
            Self::Thick => "thick",
        }
    }
}

/// A line of a chart.
pub(super) struct Line {
    /// Its name in the key; a line without one is not read off.
    pub(super) label: Option<String>,
    pub(super) color: usize,
    pub(super) unit: Unit,
    pub(super) weight: Weight,
    /// Whether each point is marked.
    pub(super) marked: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: String,
    /// What is drawn, in words.
    pub(super) about: Option<&'static str>,
    pub(super) scale: Scale,
    pub(super) lines: Vec<Line>,
}

/// Charts beside each other, over the same steps; `marks` are borders between stages.
pub(super) fn charts(
    charts: impl IntoIterator<Item = Chart>,
    last_step: f64,
    marks: &[(u64, String)],
) -> Markup {
    let charts: Vec<Chart> = charts.into_iter().collect();
    html! {
        div.charts.few[charts.len() <= MAX_FEW] {
            @for chart in &charts { (panel(chart, last_step.max(1.0), marks)) }
        }
    }
}

fn panel(chart: &Chart, last_step: f64, marks: &[(u64, String)]) -> Markup {
    let n_named = chart.lines.iter().filter(|line| line.label.is_some()).count();
    html! {
        figure.panel.chart.wide[n_named > MAX_BELOW] data-last=(last_step) {
            figcaption {
                h3 { (chart.title) }
                output {}
                @if let Some(about) = chart.about { p { (about) } }
            }
            (svg(chart, last_step, marks))
            div.key {
                @for (index, line) in chart.lines.iter().enumerate() {
                    @if let Some(label) = &line.label {
                        span class=(format!("k{}", line.color % N_COLORS)) {
                            i.marked[line.marked] {}
                            (label) " "
                            b data-line=(index) { @if let Some(last) = line.points.last() { (value(line.unit, last.1)) } }
                        }
                    }
                }
            }
        }
    }
}

/// From steps and values to the picture.
struct Frame {
    last_step: f64,
    bottom: f64,
    top: f64,
}

impl Frame {
    fn of(chart: &Chart, last_step: f64) -> Self {
        let values = || chart.lines.iter().flat_map(|line| &line.points).map(|at| at.1);
        let (bottom, top) = match chart.scale {
            Scale::Share => (0.0, 1.0),
            Scale::FromZero => {
                let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
                let high = if low == high { 1.0 } else { high };
                (low * 1.05, high * 1.05)
            }
        };
        Self { last_step, bottom, top }
    }

    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.last_step * (SIZE[0] - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.bottom) / (self.top - self.bottom);
        SIZE[1] - BOTTOM - share * (SIZE[1] - TOP - BOTTOM)
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (i, &(step, value)) in points.iter().enumerate() {
            let sign = if i == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{sign}{:.1} {:.1}", self.x(step), self.y(value)));
        }
        path
    }
}

fn svg(chart: &Chart, last_step: f64, marks: &[(u64, String)]) -> Markup {
    let frame = Frame::of(chart, last_step);
    let [width, height] = SIZE;
    let floor = height - BOTTOM;
    let steps = ticks(0.0, last_step, 6);
    let values = ticks(frame.bottom, frame.top, 5);
    let decimals = decimals(&values);
    let mut lines: Vec<(usize, &Line)> = chart.lines.iter().enumerate().collect();
    // Thin lines lie below thick ones.
    lines.sort_by_key(|(_, line)| line.weight);
    let words = chart.title.as_str();
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(words)
            data-frame=(format!("[{LEFT},{},{TOP},{floor},{},{}]", width - RIGHT, frame.bottom, frame.top)) {
            g.grid {
                @for &v in &values {
                    line x1=(LEFT) x2=(width - RIGHT) y1=(format!("{:.1}", frame.y(v))) y2=(format!("{:.1}", frame.y(v))) {}
                    text x=(LEFT - 6.0) y=(format!("{:.1}", frame.y(v) + 3.5)) text-anchor="end" { (format!("{v:.decimals$}")) }
                }
                @for &step in &steps {
                    text x=(format!("{:.1}", frame.x(step))) y=(height - 7.0) text-anchor="middle" { (step) }
                }
            }
            @for (step, name) in marks.iter().filter(|(step, _)| (*step as f64) < last_step) {
                line.mark x1=(format!("{:.1}", frame.x(*step as f64))) x2=(format!("{:.1}", frame.x(*step as f64)))
                    y1=(TOP) y2=(floor) { title { "stage: " (name) } }
            }
            @for (index, line) in lines {
                g class=(format!("k{} {}", line.color % N_COLORS, line.weight.class())) {
                    path d=(frame.path(&line.points)) data-line=[line.label.as_ref().map(|_| index)]
                        data-unit=[line.label.as_ref().map(|_| unit_name(line.unit))]
                        data-points=[line.label.as_ref().map(|_| json(&line.points))] {}
                    // A single point has no line.
                    @if line.marked || line.points.len() == 1 {
                        @for &(step, v) in &line.points {
                            circle cx=(format!("{:.1}", frame.x(step))) cy=(format!("{:.1}", frame.y(v))) r="2.6" {}
                        }
                    }
                }
            }
            line.rule x1="0" x2="0" y1=(TOP) y2=(floor) hidden {}
            g.dots {}
        }
    }
}

fn json(points: &[(f64, f64)]) -> String {
    // Six digits are what the log has.
    let one = |&(step, v): &(f64, f64)| {
        let short: f64 = format!("{v:.6e}").parse().unwrap_or(v);
        format!("[{step},{short}]")
    };
    format!("[{}]", points.iter().map(one).collect::<Vec<_>>().join(","))
}

/// Round values from `low` to `high`, about `n` of them.
fn ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let raw = (high - low) / n as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|&step| step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Digits behind the point that tell ticks apart.
fn decimals(ticks: &[f64]) -> usize {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    if step.is_finite() { (-step.log10() - 1e-9).ceil().max(0.0) as usize } else { 0 }
}

/// How the script of the page calls a unit.
const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Share => "share",
        _ => "number",
    }
}

/// A value for people: shares in percent, all else with three digits that count. The script of the page writes the same.
pub(super) fn value(unit: Unit, v: f64) -> String {
    if unit == Unit::Share {
        let decimals = if v > 0.0 && v < 0.01 { 2 } else { 1 };
        return format!("{:.decimals$} %", v * 100.0);
    }
    let size = v.abs();
    if size >= 100.0 {
        let whole = crate::html::count(size.round() as usize);
        return if v < 0.0 { format!("−{whole}") } else { whole };
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if size < 1e-4 {
        return format!("{v:.1e}");
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{v:.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_told_apart() {
        assert_eq!(ticks(0.0, 240.0, 6), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(ticks(-0.21, 1.05, 5), [0.0, 0.5, 1.0]);
        let small = ticks(0.0, 0.0157, 5);
        assert_eq!((small.len(), decimals(&small)), (4, 3));
        assert_eq!(decimals(&ticks(0.0, 1.0, 5)), 1);
        assert_eq!(decimals(&ticks(0.0, 96.0, 5)), 0);
    }

    #[test]
    fn values_are_short() {
        assert_eq!(
            (value(Unit::Share, 0.9149), value(Unit::Share, 0.0008)),
            ("91.5 %".to_owned(), "0.08 %".to_owned())
        );
        for (v, shown) in [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (1.0, "1.00"),
            (-0.2, "−0.200"),
            (42.26, "42.3"),
            (30_720.0, "30,720"),
            (1.5e-5, "1.5e-5"),
        ] {
            assert_eq!(value(Unit::Plain, v), shown);
        }
    }

    #[test]
    fn a_chart_holds_its_numbers_and_escapes_its_words() {
        let line = |points: &[(f64, f64)], label: Option<&str>| Line {
            label: label.map(str::to_owned),
            color: 11,
            unit: Unit::Plain,
            weight: Weight::Normal,
            marked: true,
            points: points.to_vec(),
        };
        let chart = Chart {
            title: "<t>".to_owned(),
            about: None,
            scale: Scale::FromZero,
            lines: vec![line(&[(0.0, 0.0), (10.0, 2.0)], Some("<l>")), line(&[(5.0, -1.0)], None)],
        };
        let html = charts([chart], 10.0, &[(4, "<m>".to_owned()), (10, "finale".to_owned())]).into_string();
        assert!(html.contains(r#"data-points="[[0,0],[10,2]]""#), "{html}");
        assert!(html.contains("stage: &lt;m&gt;") && !html.contains("finale"), "{html}");
        assert!(!html.contains("<t>") && !html.contains("<l>"));
        assert_eq!(html.matches("<circle").count(), 3);
        // The last value stands in the key, and the line ends at the right, 5 % of 2 below the upper edge: 3.05 of 3.15 up.
        assert!(html.contains(r#"data-line="0">2.00</b>"#) && html.contains("L468.0 15.9"), "{html}");
        let flat = Frame { last_step: 1.0, bottom: 0.0, top: 1.0 };
        assert_eq!(flat.path(&[(0.0, 0.0), (1.0, 1.0)]), "M46.0 196.0L468.0 10.0");
    }
}
