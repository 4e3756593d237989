//! Renders a data set. Invariant: sheets are complete or absent, records follow their sheet.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use vigorl_files::write_whole;
use vigorl_geometry::{Map, Point, Screen, Viewport};
use vigorl_interface::Driver;

use super::{DatasetError, DatasetSpec, FORMAT, Manifest, Record, at_path, read_records};
use crate::practice::environment::{PracticeError, show};
use crate::practice::html::sheet_document;
use crate::practice::page::{GENERATOR, PracticePage};
use crate::practice::spec::{Canvas, PageSpec};
use crate::practice::widget::PixelBox;

/// How far a rendering has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pages on disk.
    pub done: u64,
    /// Pages wanted.
    pub total: u64,
}

/// Renders `spec` into `folder` through the driver's current tab, as many pages per screenshot as the
/// viewport holds. Continues an interrupted rendering of the same specification.
///
/// # Errors
/// [`DatasetError`]; everything rendered before it stays.
pub fn render_dataset(
    driver: &mut dyn Driver,
    spec: &DatasetSpec,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest, DatasetError> {
    fs::create_dir_all(folder).map_err(at_path(folder))?;
    let manifest = open_manifest(driver, spec, folder)?;
    let records = folder.join("pages.jsonl");
    let per_sheet = u64::from(manifest.columns * manifest.rows);
    let mut done = truncate_to_whole_sheets(&records, per_sheet, spec.pages)?;
    progress(Progress { done, total: spec.pages });
    while done < spec.pages {
        let n = per_sheet.min(spec.pages - done);
        render_sheet(driver, &manifest, folder, done, n)?;
        done += n;
        progress(Progress { done, total: spec.pages });
    }
    Ok(manifest)
}

/// Reads the folder's manifest, or writes one that fits the driver's viewport.
fn open_manifest(
    driver: &mut dyn Driver,
    spec: &DatasetSpec,
    folder: &Path,
) -> Result<Manifest, DatasetError> {
    let viewport = show(driver, &sheet_document([]))?;
    let ratio = driver.screenshot().map_err(PracticeError::from)?.device_pixel_ratio.get();
    let canvas = spec.first.canvas;
    let path = folder.join("dataset.json");
    let manifest = if path.exists() {
        let text = fs::read_to_string(&path).map_err(at_path(&path))?;
        let known: Manifest =
            serde_json::from_str(&text).map_err(|e| DatasetError::content(&path, None, e))?;
        let expected = Manifest {
            format: FORMAT,
            generator: GENERATOR,
            spec: *spec,
            device_pixel_ratio: ratio,
            ..known
        };
        if known != expected {
            return Err(DatasetError::OtherSpec { path: folder.to_owned() });
        }
        known
    } else {
        let (columns, rows) = (viewport.width / canvas.width, viewport.height / canvas.height);
        Manifest {
            format: FORMAT,
            generator: GENERATOR,
            spec: *spec,
            columns,
            rows,
            device_pixel_ratio: ratio,
        }
    };
    let (width, height) = (manifest.columns * canvas.width, manifest.rows * canvas.height);
    if width.min(height) == 0 || width > viewport.width || height > viewport.height {
        return Err(DatasetError::ViewportTooSmall {
            width: canvas.width.max(width),
            height: canvas.height.max(height),
            viewport_width: viewport.width,
            viewport_height: viewport.height,
        });
    }
    let text = serde_json::to_string_pretty(&manifest).map_err(|e| DatasetError::content(&path, None, e))?;
    write_whole(&path, text.as_bytes()).map_err(at_path(&path))?;
    Ok(manifest)
}

/// Drops the records of a sheet that was not finished; returns how many pages remain.
fn truncate_to_whole_sheets(path: &Path, per_sheet: u64, total: u64) -> Result<u64, DatasetError> {
    let mut records = read_records(path)?;
    let n = records.len() as u64;
    if n < total {
        records.truncate((n - n % per_sheet) as usize);
    }
    if path.exists() {
        write_whole(path, &to_lines(path, &records)?).map_err(at_path(path))?;
    }
    Ok(records.len() as u64)
}

fn to_lines(path: &Path, records: &[Record]) -> Result<Vec<u8>, DatasetError> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record).map_err(|e| DatasetError::content(path, None, e))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn render_sheet(
    driver: &mut dyn Driver,
    manifest: &Manifest,
    folder: &Path,
    first: u64,
    n: u64,
) -> Result<(), DatasetError> {
    let pages = generate(&manifest.spec.first, first, n)?;
    let canvas = manifest.spec.first.canvas;
    let offset = |i: usize| {
        let (column, row) = (i as u32 % manifest.columns, i as u32 / manifest.columns);
        (column * canvas.width, row * canvas.height)
    };
    let tiles = pages.iter().enumerate().map(|(i, page)| (page, offset(i).0, offset(i).1));
    show(driver, &sheet_document(tiles))?;
    let screenshot = driver.screenshot().map_err(PracticeError::from)?;
    let screen_from_viewport = screenshot.viewport_from_screen().inverse();

    let name = format!("sheet-{:05}.png", first / u64::from(manifest.columns * manifest.rows));
    let path = folder.join(&name);
    let used_rows = (n as u32).div_ceil(manifest.columns);
    let sheet = Canvas { width: manifest.columns * canvas.width, height: used_rows * canvas.height };
    let sheet = to_pixels(screen_from_viewport, PixelBox::at(0, 0, sheet.width as i32, sheet.height as i32));
    let pixels = crop(&screenshot.pixels, sheet, &path)?;
    write_whole(&path, &encode(&pixels, &path)?).map_err(at_path(&path))?;

    let records: Vec<_> = pages
        .into_iter()
        .enumerate()
        .map(|(i, page)| {
            let (x, y) = offset(i);
            let tile = PixelBox::at(x as i32, y as i32, canvas.width as i32, canvas.height as i32);
            Record::new(page, &name, to_pixels(screen_from_viewport, tile), |b| {
                to_pixels(screen_from_viewport, b)
            })
        })
        .collect();
    let path = folder.join("pages.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(at_path(&path))?;
    file.write_all(&to_lines(&path, &records)?).map_err(at_path(&path))
}

fn generate(first: &PageSpec, from: u64, n: u64) -> Result<Vec<PracticePage>, DatasetError> {
    let page = |i| {
        let seed = first.seed.wrapping_add(i);
        PracticePage::generate(&first.with_seed(seed)).map_err(|source| DatasetError::Page { seed, source })
    };
    (from..from + n).map(page).collect()
}

/// The whole screen pixels nearest to a box of CSS pixels.
fn to_pixels(screen_from_viewport: Map<Screen, Viewport>, b: PixelBox) -> PixelBox {
    let corner = |x: i32, y: i32| screen_from_viewport.apply(Point::new(x.into(), y.into()));
    let (a, b) = (corner(b.left, b.top), corner(b.right, b.bottom));
    [a.x, a.y, b.x, b.y].map(|v| v.round() as i32).into()
}

fn crop(pixels: &RgbImage, part: PixelBox, path: &Path) -> Result<RgbImage, DatasetError> {
    let (width, height) = (part.width() as u32, part.height() as u32);
    if width > pixels.width() || height > pixels.height() {
        let detail = format!("the screenshot is {}x{}, too small", pixels.width(), pixels.height());
        return Err(DatasetError::content(path, None, detail));
    }
    Ok(image::imageops::crop_imm(pixels, 0, 0, width, height).to_image())
}

fn encode(pixels: &RgbImage, path: &Path) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up)
        .write_image(pixels, pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
        .map_err(|e| DatasetError::content(path, None, e))?;
    Ok(bytes)
}
