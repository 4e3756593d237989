//! Captures of displays whose pixels are laid out in another way than 8 bits of red, green and blue in 24 or 32.
//!
//! Invariant: what a pixel means is read off the display's visual, never guessed; a display whose pixels have no fixed
//! meaning is an error.

use image::{Rgba, RgbaImage};
use vigorl_geometry::{Desktop, Rect};
use vigorl_interface::DriverError;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    ConnectionExt as _, ImageFormat, ImageOrder, Screen, Setup, VisualClass, Visualtype, Window,
};
use x11rb::rust_connection::RustConnection;

use super::lost;

/// How the pixels of a display are laid out.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: Window,
    bits_per_pixel: u8,
    scanline_pad: u8,
    order: ImageOrder,
    meaning: Meaning,
}

/// What the bits of a pixel mean.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// Where red, green and blue are.
    Masks([u32; 3]),
    /// The colors of a palette that nobody can change.
    Palette(Vec<[u8; 3]>),
}

impl Layout {
    /// That of a screen, or nothing if it is the usual one, which `xcap` reads.
    pub(super) fn of(conn: &RustConnection, screen: &Screen) -> Result<Option<Self>, DriverError> {
        let visuals = screen.allowed_depths.iter().flat_map(|depth| &depth.visuals);
        let Some(visual) = visuals.into_iter().find(|visual| visual.visual_id == screen.root_visual) else {
            return Err(lost("it does not say what its pixels mean"));
        };
        if is_usual(visual, screen.root_depth) {
            return Ok(None);
        }
        let setup = conn.setup();
        let (bits_per_pixel, scanline_pad) = format_of(setup, screen.root_depth)?;
        let masks = [visual.red_mask, visual.green_mask, visual.blue_mask];
        let meaning = match visual.class {
            VisualClass::TRUE_COLOR if masks.iter().all(|mask| *mask != 0) => Meaning::Masks(masks),
            VisualClass::STATIC_COLOR | VisualClass::STATIC_GRAY => {
                let pixels: Vec<u32> = (0..u32::from(visual.colormap_entries)).collect();
                let asked = conn.query_colors(screen.default_colormap, &pixels).map_err(lost)?;
                let colors = asked.reply().map_err(lost)?.colors;
                let high = |value: u16| (value >> 8) as u8;
                Meaning::Palette(colors.iter().map(|c| [high(c.red), high(c.green), high(c.blue)]).collect())
            }
            class => {
                return Err(lost(format!(
                    "its pixels of {} bits have no fixed meaning ({class:?}); a display of 24 bits has",
                    screen.root_depth
                )));
            }
        };
        let order = setup.image_byte_order;
        Ok(Some(Self { root: screen.root, bits_per_pixel, scanline_pad, order, meaning }))
    }

    /// What is shown at a place.
    pub(super) fn capture(
        &self,
        conn: &RustConnection,
        place: Rect<Desktop>,
    ) -> Result<RgbaImage, DriverError> {
        let (left, top) = (place.left as i16, place.top as i16);
        let (width, height) = (place.width() as u16, place.height() as u16);
        let format = ImageFormat::Z_PIXMAP;
        let asked = conn.get_image(format, self.root, left, top, width, height, u32::MAX).map_err(lost)?;
        let data = asked.reply().map_err(lost)?.data;
        let stride = self.stride(width);
        if data.len() < stride * usize::from(height) {
            return Err(lost(format!("{width}x{height} pixels were captured as {} bytes", data.len())));
        }
        Ok(RgbaImage::from_fn(width.into(), height.into(), |x, y| {
            self.color(self.pixel(&data[y as usize * stride..], x as usize))
        }))
    }

    /// Bytes of a row.
    fn stride(&self, width: u16) -> usize {
        let (bits, pad) =
            (usize::from(width) * usize::from(self.bits_per_pixel), usize::from(self.scanline_pad));
        bits.div_ceil(pad) * pad / 8
    }

    /// The number that stands for a pixel of a row.
    fn pixel(&self, row: &[u8], x: usize) -> u32 {
        let bytes = usize::from(self.bits_per_pixel / 8);
        let of_pixel = &row[x * bytes..][..bytes];
        let add = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        match self.order {
            ImageOrder::MSB_FIRST => of_pixel.iter().fold(0, add),
            _ => of_pixel.iter().rev().fold(0, add),
        }
    }

    fn color(&self, pixel: u32) -> Rgba<u8> {
        let [red, green, blue] = match &self.meaning {
            Meaning::Masks(masks) => masks.map(|mask| share(pixel, mask)),
            Meaning::Palette(colors) => colors.get(pixel as usize).copied().unwrap_or_default(),
        };
        Rgba([red, green, blue, u8::MAX])
    }
}

/// Whether these are 8 bits of each color, with blue at the end.
fn is_usual(visual: &Visualtype, depth: u8) -> bool {
    matches!(depth, 24 | 32)
        && visual.class == VisualClass::TRUE_COLOR
        && [visual.red_mask, visual.green_mask, visual.blue_mask] == [0x00ff_0000, 0xff00, 0xff]
}

/// How many bits a pixel of this depth takes, and to what rows are filled up.
fn format_of(setup: &Setup, depth: u8) -> Result<(u8, u8), DriverError> {
    let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
    match format.map(|format| (format.bits_per_pixel, format.scanline_pad)) {
        Some((bits @ (8 | 16 | 24 | 32), pad @ (8 | 16 | 32))) => Ok((bits, pad)),
        Some((bits, _)) => Err(lost(format!("its pixels of {bits} bits cannot be read; those of 24 can"))),
        None => Err(lost(format!("it does not say how its pixels of {depth} bits are laid out"))),
    }
}

/// The bits of a mask as a share of 255.
fn share(pixel: u32, mask: u32) -> u8 {
    let most = u64::from(mask >> mask.trailing_zeros());
    let value = u64::from((pixel & mask) >> mask.trailing_zeros());
    ((value * 255 + most / 2) / most) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bits_per_pixel: u8, order: ImageOrder, meaning: Meaning) -> Layout {
        Layout { root: 0, bits_per_pixel, scanline_pad: 32, order, meaning }
    }

    #[test]
    fn colors_are_read_by_their_masks() {
        let ten = layout(32, ImageOrder::LSB_FIRST, Meaning::Masks([0x3ff0_0000, 0xf_fc00, 0x3ff]));
        let row = [0x3ff0_0000u32, 0x000f_fc00, 0x0000_03ff, 0x2000_0000].map(u32::to_le_bytes).concat();
        let colors: Vec<[u8; 4]> = (0..4).map(|x| ten.color(ten.pixel(&row, x)).0).collect();
        assert_eq!(colors, [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [128, 0, 0, 255]]);

        let high = layout(16, ImageOrder::MSB_FIRST, Meaning::Masks([0xf800, 0x07e0, 0x001f]));
        let row = [0xf800u16, 0x07e0, 0x001f, 0x8410].map(u16::to_be_bytes).concat();
        let colors: Vec<[u8; 4]> = (0..4).map(|x| high.color(high.pixel(&row, x)).0).collect();
        assert_eq!(colors, [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [132, 130, 132, 255]]);
    }

    #[test]
    fn colors_of_a_palette_are_looked_up_and_rows_are_filled_up() {
        let palette = Meaning::Palette(vec![[0, 0, 0], [9, 8, 7]]);
        let eight = layout(8, ImageOrder::LSB_FIRST, palette);
        assert_eq!(eight.color(eight.pixel(&[0, 1], 1)).0, [9, 8, 7, 255]);
        assert_eq!((eight.stride(4), eight.stride(5)), (4, 8));
    }
}
