//! Points, sizes and rectangles that carry their space in the type.

use std::fmt;
use std::marker::PhantomData;

use crate::space::Space;

/// A position in space `S`. Coordinate 0 is a valid coordinate; absence is `Option<Point<S>>`.
pub struct Point<S> {
    /// Distance from the left edge, in pixels of `S`.
    pub x: f64,
    /// Distance from the top edge, in pixels of `S`.
    pub y: f64,
    space: PhantomData<S>,
}

/// Width and height in pixels of space `S`.
pub struct Size<S> {
    /// Pixels from left to right.
    pub width: f64,
    /// Pixels from top to bottom.
    pub height: f64,
    space: PhantomData<S>,
}

/// An axis-parallel rectangle in space `S`: left and top edge inclusive, right and bottom exclusive.
pub struct Rect<S> {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge (exclusive).
    pub right: f64,
    /// Bottom edge (exclusive).
    pub bottom: f64,
    space: PhantomData<S>,
}

macro_rules! value_traits {
    ($name:ident { $($field:ident),* }) => {
        impl<S> Clone for $name<S> { fn clone(&self) -> Self { *self } }
        impl<S> Copy for $name<S> {}
        impl<S> PartialEq for $name<S> {
            fn eq(&self, other: &Self) -> bool { $(self.$field == other.$field)&&* }
        }
        impl<S: Space> fmt::Debug for $name<S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}<{}>", stringify!($name), S::NAME)?;
                f.debug_list()$(.entry(&self.$field))*.finish()
            }
        }
    };
}
value_traits!(Point { x, y });
value_traits!(Size { width, height });
value_traits!(Rect { left, top, right, bottom });

impl<S> Point<S> {
    /// A point at (`x`, `y`).
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y, space: PhantomData }
    }

    /// Euclidean distance to `other`, in pixels of `S`.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The nearest point whose pixel lies inside an image of `size`: 0 to size - 1 on each axis.
    pub fn clamped(self, size: Size<S>) -> Self {
        let limit = |v: f64, side: f64| v.clamp(0.0, (side - 1.0).max(0.0));
        Self::new(limit(self.x, size.width), limit(self.y, size.height))
    }
}

impl<S> From<Point<S>> for (f64, f64) {
    fn from(point: Point<S>) -> Self {
        (point.x, point.y)
    }
}

impl<S> Size<S> {
    /// A size of `width` x `height`.
    pub const fn new(width: f64, height: f64) -> Self {
        Self { width, height, space: PhantomData }
    }

    /// The size of an image of whole pixels.
    pub fn of_pixels(width: u32, height: u32) -> Self {
        Self::new(f64::from(width), f64::from(height))
    }

    /// All of an image of this size.
    pub fn whole(self) -> Rect<S> {
        Rect::new(0.0, 0.0, self.width, self.height)
    }

    /// Whether `point` lies on a pixel of an image of this size.
    pub fn contains(self, point: Point<S>) -> bool {
        point.x >= 0.0 && point.y >= 0.0 && point.x < self.width && point.y < self.height
    }

    /// Number of pixels.
    pub fn area(self) -> f64 {
        self.width * self.height
    }
}

impl<S> Rect<S> {
    /// A rectangle from its four edges.
    pub const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self { left, top, right, bottom, space: PhantomData }
    }

    /// Pixels from left to right edge.
    pub fn width(self) -> f64 {
        self.right - self.left
    }

    /// Pixels from top to bottom edge.
    pub fn height(self) -> f64 {
        self.bottom - self.top
    }

    /// Width and height.
    pub fn size(self) -> Size<S> {
        Size::new(self.width(), self.height())
    }

    /// The middle of the rectangle.
    pub fn center(self) -> Point<S> {
        Point::new((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    /// Whether `point` lies inside (left and top inclusive, right and bottom exclusive).
    pub fn contains(self, point: Point<S>) -> bool {
        point.x >= self.left && point.y >= self.top && point.x < self.right && point.y < self.bottom
    }

    /// Whether `point` lies inside or on an edge, as benchmarks judge points.
    pub fn touches(self, point: Point<S>) -> bool {
        (self.left..=self.right).contains(&point.x) && (self.top..=self.bottom).contains(&point.y)
    }

    /// The smallest rectangle around both.
    pub fn with(self, other: Self) -> Self {
        Self::new(
            self.left.min(other.left),
            self.top.min(other.top),
            self.right.max(other.right),
            self.bottom.max(other.bottom),
        )
    }

    /// The same with this much more on its left and right, and above and below; less where that is negative.
    pub fn grown(self, across: f64, down: f64) -> Self {
        Self::new(self.left - across, self.top - down, self.right + across, self.bottom + down)
    }

    /// Whether the two rectangles share any area.
    pub fn intersects(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}
