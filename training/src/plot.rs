//! Draws `curves.png` from the records of a run: loss, coordinate error, accuracy, points in the box.
//!
//! Invariant: which metric is drawn where is said by the metrics themselves, so no curve is of a name that is not logged.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::Once;

use image::{ImageFormat, RgbImage};
use plotters::prelude::*;
use plotters::style::FontStyle;
use vigorl_files::write_whole;

use crate::error::TrainingError;
use crate::metrics::{HELD_OUT, METRICS, Metric, Panel, Record, held_out_key, set_and_name};

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
struct Drawing {
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
    for (area, panel) in areas.iter().zip(drawings(records)) {
        draw_panel(area, &panel, records.last().map_or(1, |r| r.step), marks)?;
    }
    root.present()?;
    Ok(())
}

fn drawings(records: &[Record]) -> [Drawing; 4] {
    let of = |panel, title, scale| Drawing { title, curves: curves(records, panel), scale };
    [
        of(Panel::Loss, "loss (nats per token)", Scale::FromZero),
        of(Panel::Error, "median error of a coordinate (px)", Scale::FromZero),
        of(Panel::Right, "right tokens, and the learning rate", Scale::Share),
        of(Panel::InBox, "held-out: point in the box", Scale::Share),
    ]
}

/// The curves of a panel: those of training smoothed, and one for each held-out set.
fn curves(records: &[Record], panel: Panel) -> Vec<Curve> {
    let points = |key: &str| -> Vec<(f64, f64)> {
        records.iter().filter_map(|r| Some((r.step as f64, *r.values.get(key)?))).collect()
    };
    let label = |metric: &Metric| metric.curve.filter(|(of, _)| *of == panel).map(|(_, label)| label);
    let of_training = METRICS.iter().filter_map(|metric| {
        Some(Curve { label: label(metric)?.to_owned(), points: smooth(points(metric.name)) })
    });
    let keys = records.iter().flat_map(|record| record.values.keys());
    let sets: BTreeSet<&str> = keys.filter_map(|key| Some(set_and_name(key)?.0)).collect();
    let held_out = HELD_OUT.iter().filter(|metric| label(metric).is_some()).flat_map(|metric| {
        sets.iter()
            .map(|set| Curve { label: (*set).to_owned(), points: points(&held_out_key(set, metric.name)) })
    });
    of_training.chain(held_out).collect()
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
    panel: &Drawing,
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
    fn every_curve_is_of_what_is_logged() {
        let mut record = Record::at(1);
        METRICS.iter().for_each(|metric| record.set(metric.name, 0.5));
        HELD_OUT.iter().for_each(|metric| record.set(held_out_key("icons", metric.name), 0.5));
        let drawn: Vec<(&str, Vec<String>)> = drawings(&[record])
            .into_iter()
            .map(|drawing| {
                assert!(drawing.curves.iter().all(|curve| curve.points == [(1.0, 0.5)]), "{}", drawing.title);
                (drawing.title, drawing.curves.into_iter().map(|curve| curve.label).collect())
            })
            .collect();
        let labels = |panel: usize| drawn[panel].1.join(", ");
        assert_eq!(labels(0), "all, coordinates, words, patches, looks");
        assert_eq!(labels(1), "training, icons");
        assert_eq!(labels(2), "words, coordinates, exact, patches, learning rate / peak");
        assert_eq!(labels(3), "icons");
    }

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
