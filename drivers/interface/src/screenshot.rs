//! A capture and the geometry it was taken with.

use std::sync::Arc;

use image::RgbImage;
use vigorl_geometry::{DevicePixelRatio, Map, Screen, Size, Viewport};

/// One lossless capture. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Screenshot {
    /// The pixels, RGB8.
    pub pixels: Arc<RgbImage>,
    /// Screen pixels per CSS (or logical) pixel at the moment of capture.
    pub device_pixel_ratio: DevicePixelRatio,
}

impl Screenshot {
    /// Size in screen pixels.
    pub fn size(&self) -> Size<Screen> {
        Size::of_pixels(self.pixels.width(), self.pixels.height())
    }

    /// From its pixels to the page's own units.
    pub fn viewport_from_screen(&self) -> Map<Viewport, Screen> {
        self.device_pixel_ratio.viewport_from_screen()
    }
}
