//! Pictures that are read whole.
//!
//! Invariant: a picture that lost its end is an error, as the formats other than JPEG are by themselves: decoders of JPEG make
//! up the pixels that are missing, and whoever looks at them would believe them.

use std::fs;
use std::path::Path;

use image::error::{DecodingError, ImageFormatHint};
use image::{DynamicImage, ImageError, ImageFormat, ImageResult};

/// The picture of a file, whatever its name says that it is.
///
/// # Errors
/// If the file cannot be read, is no picture, or lost its end.
pub fn open_picture(path: &Path) -> ImageResult<DynamicImage> {
    load_picture(&fs::read(path)?)
}

/// The picture of a file's bytes.
///
/// # Errors
/// As [`open_picture`].
pub fn load_picture(bytes: &[u8]) -> ImageResult<DynamicImage> {
    check_whole(bytes)?;
    image::load_from_memory(bytes)
}

/// Whether a picture has its end; what is no JPEG is told by its own decoder.
///
/// # Errors
/// [`ImageError::Decoding`] if it lost it.
pub fn check_whole(bytes: &[u8]) -> ImageResult<()> {
    if !bytes.starts_with(&[MARKER, START_OF_IMAGE]) || has_end(bytes).is_some() {
        return Ok(());
    }
    let format = ImageFormatHint::Exact(ImageFormat::Jpeg);
    Err(ImageError::Decoding(DecodingError::new(format, "the file lost its end, so pixels are missing")))
}

const MARKER: u8 = 0xff;
const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
/// Markers without a length: those that restart a scan, and one that stands for itself.
const LONELY: [std::ops::RangeInclusive<u8>; 2] = [0xd0..=0xd8, 0x01..=0x01];

/// Walks over the segments and scans of a JPEG to the marker that ends it; nothing if the bytes end before. Pictures inside of
/// segments, such as thumbnails, have ends of their own and are stepped over.
fn has_end(bytes: &[u8]) -> Option<()> {
    let mut at = 2;
    let mut in_scan = false;
    loop {
        if in_scan {
            // Behind a marker byte, 0 is a byte of the scan.
            at += bytes.get(at..)?.windows(2).position(|pair| pair[0] == MARKER && pair[1] != 0)?;
        }
        // Any number of marker bytes may stand before a marker.
        while *bytes.get(at)? != MARKER {
            at += 1;
        }
        while *bytes.get(at)? == MARKER {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        if marker == END_OF_IMAGE {
            return Some(());
        }
        if marker == 0 || LONELY.iter().any(|range| range.contains(&marker)) {
            continue;
        }
        let length = bytes.get(at..at + 2)?;
        at += usize::from(u16::from_be_bytes([length[0], length[1]]));
        in_scan = marker == START_OF_SCAN;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};

    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, ((x * y) % 251) as u8]))
    }

    fn written(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_that_lost_its_end_is_an_error_in_every_format() {
        let formats =
            [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp];
        for format in formats {
            let bytes = written(format);
            assert_eq!(load_picture(&bytes).unwrap().into_rgb8().dimensions(), (64, 48), "{format:?}");
            for share in [0.3, 0.5, 0.8, 0.95] {
                let cut = &bytes[..(bytes.len() as f64 * share) as usize];
                assert!(load_picture(cut).is_err(), "{share} of a {format:?} is a picture");
            }
        }
        let jpeg = written(ImageFormat::Jpeg);
        for n in 2..40 {
            assert!(
                load_picture(&jpeg[..jpeg.len() - n]).is_err(),
                "a JPEG without its last {n} bytes is a picture"
            );
        }
    }

    #[test]
    fn what_stands_behind_the_end_or_inside_of_a_segment_is_no_end() {
        let jpeg = written(ImageFormat::Jpeg);
        let mut thumbnail = Vec::new();
        JpegEncoder::new(&mut thumbnail).encode_image(&RgbImage::new(8, 8)).unwrap();
        let length = (thumbnail.len() as u16 + 2).to_be_bytes();
        let with_thumbnail =
            [&jpeg[..2], &[0xff, 0xe1], &length, &thumbnail, &jpeg[2..], b"what a camera adds"].concat();
        assert!(check_whole(&with_thumbnail).is_ok() && load_picture(&with_thumbnail).is_ok());
        let half = &with_thumbnail[..thumbnail.len() + jpeg.len() / 2];
        assert!(check_whole(half).is_err(), "the end of the thumbnail is not that of the picture");
    }
}
