//! Maps between spaces. Invariant: a map is made by the operation that changed the pixels, and only there.

use std::fmt;
use std::marker::PhantomData;

use crate::shape::{Point, Rect, Size};
use crate::space::{Screen, Space, Thousand, Viewport};

/// An axis-wise affine map from `Src` to `Dst`: `dst = src * scale + offset`.
///
/// Names read right to left and cancel: `shown_from_screen.apply(point_in_screen)`.
pub struct Map<Dst, Src> {
    scale: (f64, f64),
    offset: (f64, f64),
    spaces: PhantomData<(Dst, Src)>,
}

impl<D, S> Clone for Map<D, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<D, S> Copy for Map<D, S> {}
impl<D, S> PartialEq for Map<D, S> {
    fn eq(&self, other: &Self) -> bool {
        self.scale == other.scale && self.offset == other.offset
    }
}
impl<D: Space, S: Space> fmt::Debug for Map<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_from_{}(scale {:?}, offset {:?})", D::NAME, S::NAME, self.scale, self.offset)
    }
}

impl<D, S> Map<D, S> {
    /// The map that takes the whole of `src` onto an image of size `dst`: a crop followed by a resize, or,
    /// with a `src` that starts at the origin, a plain resize.
    ///
    /// # Panics
    /// If a side is not positive: an empty image has no map, which is the caller's bug.
    pub(crate) fn stretch(src: Rect<S>, dst: Size<D>) -> Self {
        assert!(src.width() > 0.0 && src.height() > 0.0, "cannot stretch an empty rectangle");
        assert!(dst.width > 0.0 && dst.height > 0.0, "cannot stretch onto an empty image");
        let scale = (dst.width / src.width(), dst.height / src.height());
        Self { scale, offset: (-src.left * scale.0, -src.top * scale.1), spaces: PhantomData }
    }

    /// The same position, expressed in `D`.
    pub fn apply(self, point: Point<S>) -> Point<D> {
        Point::new(point.x * self.scale.0 + self.offset.0, point.y * self.scale.1 + self.offset.1)
    }

    /// The same rectangle, expressed in `D`.
    pub fn apply_rect(self, rect: Rect<S>) -> Rect<D> {
        let (a, b) =
            (self.apply(Point::new(rect.left, rect.top)), self.apply(Point::new(rect.right, rect.bottom)));
        Rect::new(a.x, a.y, b.x, b.y)
    }

    /// The map in the other direction.
    pub fn inverse(self) -> Map<S, D> {
        let scale = (1.0 / self.scale.0, 1.0 / self.scale.1);
        Map { scale, offset: (-self.offset.0 * scale.0, -self.offset.1 * scale.1), spaces: PhantomData }
    }

    /// `self` after `first`: `a_from_b.after(b_from_c)` is `a_from_c`.
    pub fn after<T>(self, first: Map<S, T>) -> Map<D, T> {
        Map {
            scale: (self.scale.0 * first.scale.0, self.scale.1 * first.scale.1),
            offset: (
                first.offset.0 * self.scale.0 + self.offset.0,
                first.offset.1 * self.scale.1 + self.offset.1,
            ),
            spaces: PhantomData,
        }
    }

    /// `[scale_x, scale_y, offset_x, offset_y]`, for records; a record is evidence, never an input.
    pub fn coefficients(self) -> [f64; 4] {
        [self.scale.0, self.scale.1, self.offset.0, self.offset.1]
    }
}

/// Screen pixels per CSS pixel, measured from a capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DevicePixelRatio(f64);

impl DevicePixelRatio {
    /// One screenshot pixel for each CSS pixel.
    pub const ONE: Self = Self(1.0);

    /// A ratio, or `None` unless it is finite and positive.
    pub fn new(ratio: f64) -> Option<Self> {
        (ratio.is_finite() && ratio > 0.0).then_some(Self(ratio))
    }

    /// The ratio as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The map of an unscrolled capture of the whole viewport.
    pub fn viewport_from_screen(self) -> Map<Viewport, Screen> {
        Map { scale: (1.0 / self.0, 1.0 / self.0), offset: (0.0, 0.0), spaces: PhantomData }
    }
}

/// The map onto the 0-1000 grid for a screenshot of `size`.
pub fn thousand_from_screen(size: Size<Screen>) -> Map<Thousand, Screen> {
    thousand_from_part(size.whole())
}

/// The map onto the 0-1000 grid over the part of a screenshot that is shown.
pub fn thousand_from_part(part: Rect<Screen>) -> Map<Thousand, Screen> {
    Map::stretch(part, Size::new(1000.0, 1000.0))
}
