//! Draws `curves.png` from the records of a run: loss, coordinate error, accuracy, points in the box.

use std::io::Cursor;
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::prelude::*;
use plotters::style::FontStyle;
use vigorl_files::write_whole;

use crate::error::TrainingError;
use crate::metrics::Record;

const SIZE: (u32, u32) = (1400, 900);
const FONT: &str = "curves";
/// A part of DejaVu Sans (see `assets/LICENSE`), so that drawing needs no installed font.
const FONT_FILE: &[u8] = include_bytes!("../assets/sans.ttf");
const INK: RGBColor = RGBColor(45, 52, 64);
const FAINT: RGBColor = RGBColor(225, 229, 235);
const COLORS: [RGBColor; 8] = [
    RGBColor(31, 98, 196),
    RGBColor(220, 92, 30),
    RGBColor(26, 150, 102),
    RGBColor(150, 60, 170),
    RGBColor(200, 40, 80),
    RGBColor(90, 110, 130),
    RGBColor(190, 150, 20),
    RGBColor(20, 160, 180),
];

/// One line of a panel.
struct Curve {
    label: String,
    points: Vec<(f64, f64)>,
}

/// One panel: a title and its curves.
struct Panel {
    title: &'static str,
    curves: Vec<Curve>,
    scale: Scale,
}

/// How the vertical axis runs.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    /// From 0 to the largest value.
    FromZero,
    /// Shares, from 0 to 1.
    Share,
}

/// A finished stage: the step at its end and the name of the next one.
pub type StageMark = (u64, String);

/// Draws the curves of a run; `marks` are the borders between stages.
///
/// # Errors
/// [`TrainingError::Plot`].
pub fn draw(path: &Path, records: &[Record], marks: &[StageMark]) -> Result<(), TrainingError> {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // The embedded font is valid, so this cannot fail; a failure would show as a drawing error below.
        plotters::style::register_font(FONT, FontStyle::Normal, FONT_FILE).ok();
    });
    if records.is_empty() {
        return Ok(());
    }
    let png = draw_all(records, marks)
        .map_err(|e| TrainingError::Plot { path: path.to_owned(), detail: e.to_string() })?;
    write_whole(path, &png).map_err(TrainingError::file("write", path))
}

type DrawResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The curves as PNG.
fn draw_all(records: &[Record], marks: &[StageMark]) -> DrawResult<Vec<u8>> {
    let mut pixels = RgbImage::new(SIZE.0, SIZE.1);
    draw_panels(&mut pixels, records, marks)?;
    let mut png = Cursor::new(Vec::new());
    pixels.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn draw_panels(pixels: &mut RgbImage, records: &[Record], marks: &[StageMark]) -> DrawResult {
    let root = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.margin(10, 14, 10, 24).split_evenly((2, 2));
    for (area, panel) in areas.iter().zip(panels(records)) {
        draw_panel(area, &panel, records.last().map_or(1, |r| r.step), marks)?;
    }
    root.present()?;
    Ok(())
}

fn panels(records: &[Record]) -> [Panel; 4] {
    let curve = |label: &str, name: &str| Curve {
        label: label.to_owned(),
        points: smooth(records.iter().filter_map(|r| Some((r.step as f64, *r.values.get(name)?))).collect()),
    };
    let held_out = |metric: &str| -> Vec<Curve> {
        let mut names: Vec<&String> = records
            .iter()
            .flat_map(|r| r.values.keys())
            .filter(|name| name.starts_with("heldout/"))
            .collect();
        names.sort();
        names.dedup();
        let end = format!("/{metric}");
        let sets = names.iter().filter_map(|name| name.strip_prefix("heldout/")?.strip_suffix(&end));
        sets.map(|set| Curve { label: set.to_owned(), ..raw(records, &format!("heldout/{set}{end}")) })
            .collect()
    };
    [
        Panel {
            title: "loss (nats per token)",
            curves: vec![
                curve("all", "loss/total"),
                curve("coordinates", "loss/number"),
                curve("words", "loss/word"),
                curve("patches", "loss/patch"),
                curve("places", "loss/place"),
            ],
            scale: Scale::FromZero,
        },
        Panel {
            title: "median error of a coordinate (px)",
            curves: [curve("training", "error/number_median_px")]
                .into_iter()
                .chain(held_out("error_median_px"))
                .collect(),
            scale: Scale::FromZero,
        },
        Panel {
            title: "right tokens, and the learning rate",
            curves: vec![
                curve("words", "accuracy/word"),
                curve("coordinates, exact", "accuracy/number"),
                curve("patches", "accuracy/patch"),
                curve("learning rate / peak", "optim/lr_share"),
            ],
            scale: Scale::Share,
        },
        Panel { title: "held-out: point in the box", curves: held_out("in_box"), scale: Scale::Share },
    ]
}

fn raw(records: &[Record], name: &str) -> Curve {
    let points = records.iter().filter_map(|r| Some((r.step as f64, *r.values.get(name)?))).collect();
    Curve { label: String::new(), points }
}

/// Means over a window of a hundredth of the points: lines of single steps hide the trend.
fn smooth(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let half = points.len() / 200;
    let mean = |i: usize| {
        let window = &points[i.saturating_sub(half)..(i + half + 1).min(points.len())];
        window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}

fn draw_panel(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    panel: &Panel,
    last_step: u64,
    marks: &[StageMark],
) -> DrawResult {
    let values = panel.curves.iter().flat_map(|c| &c.points).map(|p| p.1).filter(|v| v.is_finite());
    let top = match panel.scale {
        Scale::Share => 1.0,
        Scale::FromZero => values.fold(0.0, f64::max).max(1e-3) * 1.05,
    };
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, (FONT, 19).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(30)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last_step.max(1) as f64, 0.0..top)?;
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
        chart.draw_series(DashedLineSeries::new([(x, 0.0), (x, top)], 4, 4, INK.mix(0.35).into()))?;
    }
    for (i, curve) in panel.curves.iter().filter(|c| !c.points.is_empty()).enumerate() {
        let color = COLORS[i % COLORS.len()];
        let style = color.stroke_width(2);
        let series = chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
        series.label(&curve.label).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT)
        .label_font(label)
        .draw()?;
    Ok(())
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
        assert_eq!(image.dimensions(), SIZE);
        // Every curve's color is somewhere, and so is dark text.
        for color in [COLORS[0], INK] {
            let is_near = |p: &image::Rgb<u8>| {
                p.0.iter().zip([color.0, color.1, color.2]).all(|(a, b)| a.abs_diff(b) < 12)
            };
            assert!(image.pixels().filter(|p| is_near(p)).count() > 200, "{color:?}");
        }
    }
}
