//! Reads a picture as a policy sees it, and looks where one is to be written. Invariant: RGB, turned as a viewer shows it,
//! transparent pixels on white; a picture that would not fit into memory is refused by its size before it is decoded.

use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::path::Path;
use std::sync::Arc;

use image::{
    DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, ImageResult, Rgb, RgbImage,
};

use vigorl_files::check_whole;

use crate::exit::usage;

/// Pixels a picture may have: 10,000 x 10,000 take 300 MB decoded.
const MAX_PIXELS: u64 = 100_000_000;

/// Bytes that are read of a file: so many pixels are written with fewer, and what is no picture may be of any length.
const MAX_BYTES: u64 = 1 << 30;

/// The picture in a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Arc<RgbImage>> {
    let shown = path.display();
    let bytes = bytes_of(path).map_err(|error| usage(format!("cannot read `{shown}`: {error}")))?;
    let no_picture = |error: ImageError| usage(format!("`{shown}` is no picture: {error}"));
    let format = image::guess_format(&bytes).or_else(|_| ImageFormat::from_path(path)).map_err(no_picture)?;
    let reader = || ImageReader::with_format(Cursor::new(&bytes[..]), format);
    let (width, height) = reader().into_dimensions().map_err(no_picture)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(usage(format!(
            "`{shown}` is {width}x{height}: pictures of up to {} megapixels are read; cut it or make it smaller",
            MAX_PIXELS / 1_000_000
        )));
    }
    let picture = check_whole(&bytes).and_then(|()| decode(reader()));
    let picture = picture.map_err(|error| usage(format!("`{shown}` is damaged: {error}")))?;
    Ok(Arc::new(on_white(picture)))
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The picture, however large it is, and as a viewer turns it: cameras write down how they were held.
fn decode(mut reader: ImageReader<Cursor<&[u8]>>) -> ImageResult<DynamicImage> {
    reader.no_limits();
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
    let mixed = |color: u8, alpha: u8| {
        let (color, alpha) = (u16::from(color), u16::from(alpha));
        // At most 255, so the cast is exact.
        ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        Rgb([mixed(r, a), mixed(g, a), mixed(b, a)])
    })
}

/// Pixels on each side of a point that say what is there.
const AROUND_PX: u32 = 16;

/// What is around a pixel of a screenshot, which stays the middle; less near an edge.
pub(crate) fn cut(shown: &RgbImage, [x, y]: [f64; 2]) -> RgbImage {
    let inside = |at: f64, len: u32| (at.max(0.0) as u32).min(len.saturating_sub(1));
    let (x, y) = (inside(x, shown.width()), inside(y, shown.height()));
    let reach = |at: u32, len: u32| AROUND_PX.min(at).min(len.saturating_sub(at + 1));
    let (rx, ry) = (reach(x, shown.width()), reach(y, shown.height()));
    image::imageops::crop_imm(shown, x - rx, y - ry, 2 * rx + 1, 2 * ry + 1).to_image()
}

/// Whether a picture could be written to `path`, which `flag` named; said before anything slow begins.
pub(crate) fn check_target(
    flag: &str,
    path: &Path,
    fits: impl Fn(ImageFormat) -> bool,
    ending: &str,
) -> anyhow::Result<()> {
    let shown = path.display();
    if !ImageFormat::from_path(path).is_ok_and(fits) {
        return Err(usage(format!("{flag}: `{shown}` is no picture's name: end it in {ending}")));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(usage(format!("{flag}: there is no folder `{}`: make it first", folder.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_its_point_in_the_middle() {
        let shown = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, 0]));
        for (at, size) in [([20.0, 15.5], (33, 29)), ([0.0, 29.0], (1, 1)), ([38.9, 3.0], (3, 7))] {
            let part = cut(&shown, at);
            assert_eq!(part.dimensions(), size);
            let middle = part.get_pixel(size.0 / 2, size.1 / 2);
            assert_eq!(middle.0, [at[0] as u8, at[1] as u8, 0]);
        }
    }

    #[test]
    fn transparent_pixels_are_on_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut rgba = image::RgbaImage::new(2, 1);
        rgba.put_pixel(0, 0, image::Rgba([10, 20, 30, 0]));
        rgba.put_pixel(1, 0, image::Rgba([10, 20, 30, 255]));
        rgba.save(&path).unwrap();
        let read = read(&path).unwrap();
        assert_eq!((read.get_pixel(0, 0).0, read.get_pixel(1, 0).0), ([255; 3], [10, 20, 30]));
    }

    /// A JPEG, 48x16, whose left third is red, with a note of how the camera was held.
    fn held(orientation: u8) -> Vec<u8> {
        let red = |x: u32| if x < 16 { Rgb([255, 0, 0]) } else { Rgb([255; 3]) };
        let mut jpeg = std::io::Cursor::new(Vec::new());
        RgbImage::from_fn(48, 16, |x, _| red(x)).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let tag = [0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
        let note = [&b"Exif\0\0MM\0*\0\0\0\x08"[..], &tag].concat();
        let jpeg = jpeg.into_inner();
        [&jpeg[..2], &[0xff, 0xe1, 0, note.len() as u8 + 2], &note, &jpeg[2..]].concat()
    }

    #[test]
    fn a_picture_is_turned_as_a_viewer_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        // Where the red third is: a pixel in its middle.
        let upright = [(8, 8), (40, 8), (40, 8), (8, 8)];
        let turned = [(8, 8), (8, 8), (8, 40), (8, 40)];
        for (orientation, red) in (1..).zip([upright, turned].concat()) {
            std::fs::write(&path, held(orientation)).unwrap();
            let picture = read(&path).unwrap();
            assert_eq!(
                picture.dimensions(),
                if orientation < 5 { (48, 16) } else { (16, 48) },
                "{orientation}"
            );
            let is_red = |(x, y): (u32, u32)| {
                let [r, g, b] = picture.get_pixel(x, y).0;
                r > 200 && g < 60 && b < 60
            };
            let thirds = [(8, 8), (24, 8), (40, 8), (8, 24), (8, 40)];
            let inside = thirds.into_iter().filter(|(x, y)| *x < picture.width() && *y < picture.height());
            assert_eq!(inside.filter(|at| is_red(*at)).collect::<Vec<_>>(), [red], "{orientation}");
        }
    }

    #[test]
    fn what_is_no_picture_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, "no picture").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("is no picture"));
        assert!(format!("{:#}", read(&folder.path().join("b.png")).unwrap_err()).contains("cannot read"));
    }
}
