//! Pictures that are read whole.
//!
//! Invariant: a picture that lost its end, or that is damaged as far as its container tells, is an error. Decoders of JPEG make
//! up the pixels that are missing, and whoever looks at them would believe them. A JPEG has no checksum: damage of its scans
//! that leaves its markers alone is not found here, and hardly by any decoder.

use std::fs;
use std::path::Path;

use image::error::{DecodingError, ImageFormatHint};
use image::{DynamicImage, ImageError, ImageFormat, ImageResult};

/// The picture of a file, whatever its name says that it is.
///
/// # Errors
/// If the file cannot be read, is no picture, lost its end, or is damaged.
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

/// Whether a picture is whole, without decoding it: a JPEG has its end, and no marker in its scans that has no place there; a
/// PNG has its end, and every chunk that matters its checksum; a WebP is as long as it says. Others are told by their decoders
/// alone.
///
/// # Errors
/// [`ImageError::Decoding`] if it lost its end or is damaged.
pub fn check_whole(bytes: &[u8]) -> ImageResult<()> {
    let (format, checked) = match bytes {
        [MARKER, START_OF_IMAGE, rest @ ..] => (ImageFormat::Jpeg, check_jpeg(rest)),
        _ if bytes.starts_with(PNG) => (ImageFormat::Png, check_png(&bytes[PNG.len()..])),
        [b'R', b'I', b'F', b'F', a, b, c, d, rest @ ..] if rest.starts_with(b"WEBP") => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            (ImageFormat::WebP, if rest.len() < length { Err(CUT.to_owned()) } else { Ok(()) })
        }
        _ => return Ok(()),
    };
    let format = ImageFormatHint::Exact(format);
    checked.map_err(|why| ImageError::Decoding(DecodingError::new(format, why)))
}

/// What is said of a picture that ends too early.
const CUT: &str = "the file lost its end, so pixels are missing";

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The chunks of a PNG that hold its pixels, and the one that ends it.
const PIXELS: &[u8] = b"IDAT";
const END: &[u8] = b"IEND";
/// A letter of a chunk's name that is small says that decoders may leave the chunk out.
const CAN_BE_LEFT_OUT: u8 = 0x20;

/// Walks over the chunks of a PNG behind its signature: length, name, content and checksum.
fn check_png(mut rest: &[u8]) -> Result<(), String> {
    let mut has_pixels = false;
    loop {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(CUT)?;
        let length = u32::from_be_bytes(*length) as usize;
        let checked = length.checked_add(4).and_then(|length| behind.get(..length)).ok_or(CUT)?;
        let (told, behind) = behind[checked.len()..].split_first_chunk::<4>().ok_or(CUT)?;
        let name = &checked[..4];
        let matters = name[0] & CAN_BE_LEFT_OUT == 0;
        if matters && crc32fast::hash(checked) != u32::from_be_bytes(*told) {
            let name = name.escape_ascii();
            return Err(format!("the file is damaged: its chunk `{name}` has another checksum than it says"));
        }
        has_pixels |= name == PIXELS;
        if name == END {
            let none = || "the file is damaged: it holds no pixels".to_owned();
            return has_pixels.then_some(()).ok_or_else(none);
        }
        rest = behind;
    }
}

const MARKER: u8 = 0xff;
const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
/// Markers without a length: those that restart a scan, and one that stands for itself.
const LONELY: [std::ops::RangeInclusive<u8>; 2] = [0xd0..=0xd8, 0x01..=0x01];
/// Markers that may stand behind the first byte of a scan: restarts, the end, another scan, and tables, lengths, comments and
/// what applications add between two scans.
const BEHIND_SCANS: [std::ops::RangeInclusive<u8>; 6] =
    [0xd0..=0xd7, 0xd9..=0xdd, 0xc4..=0xc4, 0xcc..=0xcc, 0xe0..=0xef, 0xfe..=0xfe];

/// Walks over the segments and scans of a JPEG, behind its first marker, to the marker that ends it. Pictures inside of
/// segments, such as thumbnails, have ends of their own and are stepped over.
fn check_jpeg(bytes: &[u8]) -> Result<(), String> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(CUT);
    let is_in =
        |ranges: &[std::ops::RangeInclusive<u8>], marker| ranges.iter().any(|range| range.contains(&marker));
    let (mut at, mut in_scan, mut had_scan) = (0, false, false);
    loop {
        if in_scan {
            // Behind a marker byte, 0 is a byte of the scan.
            let is_marker = |pair: &[u8]| pair[0] == MARKER && pair[1] != 0;
            at += bytes.get(at..).and_then(|rest| rest.windows(2).position(is_marker)).ok_or(CUT)?;
        }
        // Any number of marker bytes may stand before a marker.
        while byte(at)? != MARKER {
            at += 1;
        }
        while byte(at)? == MARKER {
            at += 1;
        }
        let marker = byte(at)?;
        at += 1;
        if marker == END_OF_IMAGE {
            return Ok(());
        }
        if had_scan && marker != 0 && !is_in(&BEHIND_SCANS, marker) {
            return Err(format!(
                "the file is damaged: its scans hold the marker {marker:02x}, which has no place there"
            ));
        }
        if marker == 0 || is_in(&LONELY, marker) {
            continue;
        }
        let length = [byte(at)?, byte(at + 1)?];
        at += usize::from(u16::from_be_bytes(length));
        in_scan = marker == START_OF_SCAN;
        had_scan |= in_scan;
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
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = written(format);
            // A decoder of JPEG asks for no more than the first byte of the marker that ends it.
            for n in 2..40 {
                let cut = &bytes[..bytes.len() - n];
                let said = check_whole(cut).map_err(|error| error.to_string());
                assert!(
                    said.is_err_and(|said| said.contains("lost its end")),
                    "{format:?} without {n} bytes"
                );
                assert!(load_picture(cut).is_err(), "a {format:?} without its last {n} bytes is a picture");
            }
            assert!(check_whole(&bytes).is_ok(), "{format:?}");
        }
    }

    /// Where the content of the first chunk of this name begins.
    fn content_of(png: &[u8], name: &[u8]) -> usize {
        png.windows(4).position(|bytes| bytes == name).unwrap() + 4
    }

    #[test]
    fn a_png_whose_pixels_were_changed_is_damaged_wherever_that_is() {
        let whole = written(ImageFormat::Png);
        let begin = content_of(&whole, b"IDAT");
        for at in (begin..whole.len() - 16).step_by(11) {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            let said = check_whole(&changed).unwrap_err().to_string();
            assert!(said.contains("damaged") || said.contains("lost its end"), "byte {at}: {said}");
        }
        let mut head = whole.clone();
        head[content_of(&whole, b"IHDR") + 3] ^= 1;
        let said = check_whole(&head).unwrap_err().to_string();
        assert!(said.contains("`IHDR` has another checksum"), "{said}");
        let mut none = whole.clone();
        // As another chunk, its content is no pixels.
        none[begin - 4] = b'i';
        assert!(check_whole(&none).unwrap_err().to_string().contains("no pixels"));
    }

    #[test]
    fn what_a_png_may_hold_besides_its_pixels_does_not_matter() {
        let whole = written(ImageFormat::Png);
        let behind_head = content_of(&whole, b"IHDR") + 13 + 4;
        // A comment with a wrong checksum, and something behind the end.
        let comment = [&3_u32.to_be_bytes()[..], b"tEXt", b"a\0b", &[0; 4]].concat();
        let with_more = [&whole[..behind_head], &comment, &whole[behind_head..], b"more"].concat();
        assert!(check_whole(&with_more).is_ok() && load_picture(&with_more).is_ok());
    }

    #[test]
    fn a_jpeg_whose_scan_was_written_over_is_damaged_where_a_marker_shows_it() {
        let whole = written(ImageFormat::Jpeg);
        let scan = whole.windows(2).position(|pair| pair == [MARKER, START_OF_SCAN]).unwrap() + 20;
        for marker in [0x02, 0xc0, 0xd8, 0xf7] {
            let mut changed = whole.clone();
            changed[scan..scan + 2].copy_from_slice(&[MARKER, marker]);
            let said = check_whole(&changed).unwrap_err().to_string();
            assert!(said.contains(&format!("the marker {marker:02x}")), "{said}");
        }
        for fine in [[MARKER, 0x00], [MARKER, 0xd3]] {
            let mut changed = whole.clone();
            changed[scan..scan + 2].copy_from_slice(&fine);
            assert!(check_whole(&changed).is_ok(), "{fine:?} may stand in a scan");
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
