//! Draws `curves.png` from the records of a run, one panel for each of its kind, and the curves of several runs.
//!
//! Invariant: which metric is drawn where is said by the tables of `vigorl_metrics`, so no curve is of a name that is not
//! logged, and a page of the same run has the same panels.

use std::io::Cursor;
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::prelude::*;
use plotters::style::FontStyle;
use vigorl_files::write_whole;
use vigorl_metrics::{ComparedChart, Comparison, Kind, Record, Scale, curves, smooth};

use crate::error::TrainingError;

/// Width and height of a panel.
const PANEL: (u32, u32) = (688, 433);
const FONT: &str = "curves";
/// A part of DejaVu Sans (see `assets/LICENSE`), so that drawing needs no installed font.
const FONT_FILE: &[u8] = include_bytes!("../assets/sans.ttf");
const INK: RGBColor = RGBColor(45, 52, 64);
const FAINT: RGBColor = RGBColor(225, 229, 235);
const COLORS: [RGBColor; 10] = [
    RGBColor(31, 98, 196),
    RGBColor(220, 92, 30),
    RGBColor(26, 150, 102),
    RGBColor(150, 60, 170),
    RGBColor(200, 40, 80),
    RGBColor(90, 110, 130),
    RGBColor(190, 150, 20),
    RGBColor(20, 160, 180),
    RGBColor(120, 170, 40),
    RGBColor(110, 70, 40),
];

/// One line of a panel.
struct Line {
    /// Its words in the legend; none where another line of its color has them.
    label: Option<String>,
    color: RGBColor,
    width: u32,
    /// Whether each of its points is marked.
    marked: bool,
    points: Vec<(f64, f64)>,
}

/// One panel: a title and its lines.
struct Drawing {
    title: String,
    scale: Scale,
    lines: Vec<Line>,
}

/// A finished stage: the step at its end and the name of the next one.
pub type StageMark = (u64, String);

/// Draws the curves of a run; `marks` are the borders between stages.
///
/// # Errors
/// [`TrainingError::Plot`].
pub fn draw(path: &Path, records: &[Record], marks: &[StageMark]) -> Result<(), TrainingError> {
    let last_step = records.last().map_or(0, |record| record.step);
    write(path, &drawings(records), last_step, marks)
}

/// Draws the curves of several runs: a color for each group, thin lines for its runs, a thick one for their mean.
///
/// # Errors
/// [`TrainingError::Plot`].
pub fn draw_comparison(path: &Path, comparison: &Comparison) -> Result<(), TrainingError> {
    let drawings: Vec<Drawing> =
        comparison.charts().into_iter().map(|chart| compared(comparison, chart)).collect();
    let last_step = comparison.members.iter().map(|member| member.training.step()).max().unwrap_or_default();
    write(path, &drawings, last_step, &[])
}

fn write(
    path: &Path,
    drawings: &[Drawing],
    last_step: u64,
    marks: &[StageMark],
) -> Result<(), TrainingError> {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // The embedded font is valid, so this cannot fail; a failure would show as a drawing error below.
        plotters::style::register_font(FONT, FontStyle::Normal, FONT_FILE).ok();
    });
    if drawings.is_empty() {
        return Ok(());
    }
    let png = draw_all(drawings, last_step, marks)
        .map_err(|e| TrainingError::Plot { path: path.to_owned(), detail: e.to_string() })?;
    write_whole(path, &png).map_err(TrainingError::file("write", path))
}

type DrawResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The panels as PNG: two in a row, or three where they are many.
fn draw_all(drawings: &[Drawing], last_step: u64, marks: &[StageMark]) -> DrawResult<Vec<u8>> {
    let columns = if drawings.len() > 4 { 3 } else { 2.min(drawings.len()) };
    let rows = drawings.len().div_ceil(columns);
    let size = (24 + columns as u32 * PANEL.0, 34 + rows as u32 * PANEL.1);
    let mut pixels = RgbImage::new(size.0, size.1);
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE)?;
        let areas = root.margin(10, 14, 10, 24).split_evenly((rows, columns));
        for (area, panel) in areas.iter().zip(drawings) {
            draw_panel(area, panel, last_step, marks)?;
        }
        root.present()?;
    }
    let mut png = Cursor::new(Vec::new());
    pixels.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// The panels of a run. Nothing is drawn of a run that has logged nothing.
fn drawings(records: &[Record]) -> Vec<Drawing> {
    let panels = if records.is_empty() { &[] } else { Kind::of(records).panels() };
    panels
        .iter()
        .map(|&panel| {
            let lines = curves(records, panel).into_iter().enumerate().map(|(i, curve)| Line {
                label: Some(curve.label),
                color: COLORS[i % COLORS.len()],
                width: 2,
                marked: curve.held_out,
                // Lines of single steps hide the trend; held-out points are few.
                points: if curve.held_out {
                    curve.points
                } else {
                    smooth(&curve.points, curve.points.len() / 200)
                },
            });
            Drawing { title: panel.title().to_owned(), scale: panel.scale(), lines: lines.collect() }
        })
        .collect()
}

fn compared(comparison: &Comparison, chart: ComparedChart) -> Drawing {
    let lines = chart.lines.into_iter().map(|line| {
        let is_thick = line.member.is_none() || comparison.groups[line.group].members.len() == 1;
        let color = COLORS[line.group % COLORS.len()];
        let half = if chart.held_out { 0 } else { line.points.len() / 40 };
        Line {
            label: is_thick.then(|| comparison.group_name(line.group)),
            color: if is_thick { color } else { pale(color) },
            width: if is_thick { 3 } else { 1 },
            marked: chart.held_out && is_thick,
            points: if is_thick { smooth(&line.points, half) } else { line.points },
        }
    });
    Drawing { title: chart.title, scale: chart.scale, lines: lines.collect() }
}

/// Halfway to white.
fn pale(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let half = |channel: u8| channel / 2 + 127;
    RGBColor(half(r), half(g), half(b))
}

fn draw_panel(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    panel: &Drawing,
    last_step: u64,
    marks: &[StageMark],
) -> DrawResult {
    let values = || panel.lines.iter().flat_map(|line| &line.points).map(|p| p.1);
    let (bottom, top) = match panel.scale {
        Scale::Share => (0.0, 1.0),
        Scale::FromZero => (values().fold(0.0, f64::min) * 1.05, values().fold(1e-9, f64::max) * 1.05),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 19).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last_step.max(1) as f64, bottom..top)?;
    let label = (FONT, 14).into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .label_style(label.clone())
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    for (step, _) in marks.iter().filter(|(step, _)| *step < last_step) {
        let x = *step as f64;
        chart.draw_series(DashedLineSeries::new([(x, bottom), (x, top)], 4, 4, INK.mix(0.35).into()))?;
    }
    // Thin lines lie below thick ones.
    let mut lines: Vec<&Line> = panel.lines.iter().collect();
    lines.sort_by_key(|line| line.width);
    for line in lines {
        let style = line.color.stroke_width(line.width);
        let series = chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        if let Some(label) = &line.label {
            series.label(label).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        if line.marked {
            chart.draw_series(line.points.iter().map(|&at| Circle::new(at, 3, line.color.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(emptiest_place(panel, last_step, bottom, top))
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT)
        .label_font(label)
        .draw()?;
    Ok(())
}

/// The place at an edge where a legend hides the fewest points.
fn emptiest_place(panel: &Drawing, last_step: u64, bottom: f64, top: f64) -> SeriesLabelPosition {
    let n_labels = panel.lines.iter().filter(|line| line.label.is_some()).count();
    // A label is as wide as a third of a panel, and as high as a twentieth.
    let (width, height) = (0.36, (0.08 + 0.052 * n_labels as f64).min(0.6));
    // `from` is how far up the legend begins.
    let hidden = |is_right: bool, from: f64| {
        let is_below = |&&(x, y): &&(f64, f64)| {
            let across = x / last_step.max(1) as f64;
            let up = (y - bottom) / (top - bottom);
            (if is_right { 1.0 - across } else { across }) < width && up > from && up < from + height
        };
        let share = |line: &Line| {
            line.points.iter().filter(is_below).count() as f64 / line.points.len().max(1) as f64
        };
        panel.lines.iter().map(share).sum::<f64>()
    };
    let (upper, middle, lower) = (1.0 - height, (1.0 - height) / 2.0, -f64::EPSILON);
    let places = [
        (SeriesLabelPosition::UpperRight, hidden(true, upper)),
        (SeriesLabelPosition::LowerRight, hidden(true, lower)),
        (SeriesLabelPosition::UpperLeft, hidden(false, upper)),
        (SeriesLabelPosition::LowerLeft, hidden(false, lower)),
        (SeriesLabelPosition::MiddleRight, hidden(true, middle)),
        (SeriesLabelPosition::MiddleLeft, hidden(false, middle)),
    ];
    let [first, rest @ ..] = places;
    rest.into_iter().fold(first, |best, one| if one.1 < best.1 { one } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_as_a_png_of_the_right_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curves.png");
        let record = |step: u64| {
            let mut record = Record::at(step);
            record.set("loss/total", 3.0 / (1.0 + step as f64 / 50.0));
            record.set("error/number_median_px", 40.0 / (1.0 + step as f64 / 30.0));
            record.set("accuracy/word", 1.0 - 1.0 / (1.0 + step as f64 / 60.0));
            record.set("heldout/icons/in_box", step as f64 / 400.0);
            record
        };
        let records: Vec<Record> = (0..300).map(record).collect();
        draw(&path, &records, &[(100, "two".to_owned())]).unwrap();
        let image = image::open(&path).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (1400, 900));
        // Every curve's color is somewhere, and so is dark text.
        for color in [COLORS[0], INK] {
            let is_near = |p: &image::Rgb<u8>| {
                p.0.iter().zip([color.0, color.1, color.2]).all(|(a, b)| a.abs_diff(b) < 12)
            };
            assert!(image.pixels().filter(|p| is_near(p)).count() > 200, "{color:?}");
        }
    }
    #[test]
    fn every_panel_of_a_training_by_reward_is_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let record = |step: u64| {
            let mut record = Record::at(step);
            for metric in Kind::ByReward.metrics() {
                let name = metric.name.replace("term/", "term/format");
                record.set(name, -0.5 + step as f64 / 40.0);
            }
            record.set("heldout/icons/greedy", step.is_multiple_of(10).then_some(step as f64 / 100.0));
            record
        };
        let records: Vec<Record> = (0..50).map(record).collect();
        let drawn = drawings(&records);
        assert_eq!(drawn.len(), Kind::ByReward.panels().len());
        assert!(drawn.iter().all(|drawing| !drawing.lines.is_empty()), "a panel is empty");
        let marked: Vec<usize> = drawn
            .iter()
            .flat_map(|drawing| &drawing.lines)
            .filter(|l| l.marked)
            .map(|l| l.points.len())
            .collect();
        assert_eq!(marked, [5]);
        let read = |name: &str| image::open(dir.path().join(name)).unwrap().to_rgb8();
        draw(&dir.path().join("one.png"), &records, &[]).unwrap();
        let one = read("one.png");
        assert_eq!(one.dimensions(), (24 + 3 * 688, 34 + 4 * 433));
        draw(&dir.path().join("none.png"), &[], &[]).unwrap();
        assert!(!dir.path().join("none.png").exists());
    }

    #[test]
    fn a_legend_stands_where_no_line_is() {
        let place = |points: &[(f64, f64)]| {
            let line = Line {
                label: Some(String::new()),
                color: INK,
                width: 2,
                marked: false,
                points: points.to_vec(),
            };
            let drawing = Drawing { title: String::new(), scale: Scale::Share, lines: vec![line] };
            emptiest_place(&drawing, 100, 0.0, 1.0)
        };
        assert!(matches!(place(&[(5.0, 0.1), (95.0, 0.1)]), SeriesLabelPosition::UpperRight));
        assert!(matches!(place(&[(5.0, 0.1), (95.0, 0.95)]), SeriesLabelPosition::LowerRight));
        assert!(matches!(place(&[(90.0, 0.95), (95.0, 0.05), (5.0, 0.05)]), SeriesLabelPosition::UpperLeft));
        let everywhere = [(5.0, 0.01), (95.0, 0.01), (5.0, 0.99), (95.0, 0.99)];
        assert!(matches!(place(&everywhere), SeriesLabelPosition::MiddleRight));
    }
}
