//! Captures of a part of a desktop. Invariant: a capture's map belongs to the place that the area had, and follows it
//! only where the picture still fits.

use crate::map::Map;
use crate::shape::{Rect, Size};
use crate::space::{Desktop, Screen};

/// Where a screenshot of a monitor or a window was taken, and how large the picture is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capture {
    place: Rect<Desktop>,
    size: Size<Screen>,
}

impl Capture {
    /// A picture of `width` x `height` pixels that shows the area at `place`; `None` if one of them is empty.
    pub fn of(place: Rect<Desktop>, width: u32, height: u32) -> Option<Self> {
        let is_empty = !(place.width() > 0.0 && place.height() > 0.0) || width == 0 || height == 0;
        (!is_empty).then(|| Self { place, size: Size::of_pixels(width, height) })
    }

    /// Where the area was.
    pub fn place(self) -> Rect<Desktop> {
        self.place
    }

    /// Size of the picture.
    pub fn size(self) -> Size<Screen> {
        self.size
    }

    /// The same picture of an area that is at `place` now; `None` if it has another size there: then the picture no
    /// longer says what is where.
    pub fn moved_to(self, place: Rect<Desktop>) -> Option<Self> {
        (place.size() == self.place.size()).then_some(Self { place, ..self })
    }

    /// From pixels of the desktop to pixels of the screenshot.
    pub fn screen_from_desktop(self) -> Map<Screen, Desktop> {
        Map::stretch(self.place, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Point;

    #[test]
    fn a_capture_follows_its_area_as_long_as_the_size_stays() {
        let capture = Capture::of(Rect::new(100.0, 50.0, 420.0, 290.0), 640, 480).unwrap();
        let at = |capture: Capture, x, y| capture.screen_from_desktop().apply(Point::new(x, y));
        assert_eq!(at(capture, 100.0, 50.0), Point::new(0.0, 0.0));
        assert_eq!(at(capture, 420.0, 290.0), Point::new(640.0, 480.0));
        let moved = capture.moved_to(Rect::new(0.0, 0.0, 320.0, 240.0)).unwrap();
        assert_eq!((moved.size(), at(moved, 320.0, 240.0)), (capture.size(), Point::new(640.0, 480.0)));
        assert_eq!(capture.moved_to(Rect::new(100.0, 50.0, 421.0, 290.0)), None);
    }

    #[test]
    fn nothing_is_no_capture() {
        let place = Rect::new(0.0, 0.0, 10.0, 10.0);
        assert_eq!(Capture::of(place, 0, 10), None);
        assert_eq!(Capture::of(Rect::new(0.0, 0.0, 0.0, 10.0), 10, 10), None);
        assert_eq!(Capture::of(Rect::new(0.0, 0.0, f64::NAN, 10.0), 10, 10), None);
    }
}
