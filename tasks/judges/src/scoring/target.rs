//! The rule of ScreenSpot and ScreenSpot-Pro: a point is right if it lies in the box, edges included, where both are shares of
//! the sides of the original image.
//!
//! Invariants: a box lies in its image. Its edges belong to it, so one without a width or a height is a line, or a point, on which
//! a point can lie: the harnesses judge such items, and they stay in every denominator. A share is the quotient of two doubles,
//! rounded once, as in the harnesses: where two quotients are the same double, the point is on the edge and right.

use thiserror::Error;

use super::Correctness;

/// Where the answer is: a box in an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Left, top, right and bottom as shares.
    edges: [f64; 4],
    size: [u32; 2],
}

/// Why there is no target.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// An image without pixels.
    #[error("`img_size` is {width}x{height}: an image has a pixel at least in both directions")]
    NoPixels {
        /// Of the image.
        width: u32,
        /// Of the image.
        height: u32,
    },
    /// An edge that is no number.
    #[error("`bbox[{idx}]` is {edge}, and no finite number")]
    NotFinite {
        /// Which of the four.
        idx: usize,
        /// What it is.
        edge: f64,
    },
    /// A box whose edges are in the wrong order.
    #[error(
        "`bbox` is swapped: its first {axis} is {first} and its second {second}; it is [left, top, right, bottom], and not \
         [x, y, width, height]"
    )]
    Swapped {
        /// `x` or `y`.
        axis: &'static str,
        /// The edge that must be smaller.
        first: f64,
        /// The edge that must be larger.
        second: f64,
    },
    /// A box that is not inside of its image.
    #[error(
        "`bbox` reaches beyond the image: its {axis} goes from {first} to {second}, and `img_size` is {side} there"
    )]
    Outside {
        /// `x` or `y`.
        axis: &'static str,
        /// The smaller edge.
        first: f64,
        /// The larger edge.
        second: f64,
        /// The side of the image.
        side: u32,
    },
}

impl Target {
    /// A box, as left, top, right and bottom, in the pixels of an image of this width and height.
    ///
    /// # Errors
    /// If there is no such box in such an image.
    pub fn try_new(bbox: [f64; 4], size: [u32; 2]) -> Result<Self, TargetError> {
        let [width, height] = size;
        if width == 0 || height == 0 {
            return Err(TargetError::NoPixels { width, height });
        }
        if let Some((idx, &edge)) = bbox.iter().enumerate().find(|(_, edge)| !edge.is_finite()) {
            return Err(TargetError::NotFinite { idx, edge });
        }
        let [left, top, right, bottom] = bbox;
        for (axis, first, second, side) in [("x", left, right, width), ("y", top, bottom, height)] {
            if first > second {
                return Err(TargetError::Swapped { axis, first, second });
            }
            if first < 0.0 || second > f64::from(side) {
                return Err(TargetError::Outside { axis, first, second, side });
            }
        }
        let ([left, top], [right, bottom]) = (shares([left, top], size), shares([right, bottom], size));
        Ok(Self { edges: [left, top, right, bottom], size })
    }

    /// The width and the height of the original image, whose pixels a prediction may count.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// The verdict on a prediction, or on an answer in which none was found.
    pub fn judge(&self, prediction: Option<&Prediction>) -> Correctness {
        let Some(prediction) = prediction else { return Correctness::WrongFormat };
        let ([x, y], [left, top, right, bottom]) = (prediction.point(), self.edges);
        // What is no number lies nowhere.
        Correctness::of(left <= x && x <= right && top <= y && y <= bottom)
    }
}

/// What was predicted, in the numbers in which it was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The numbers.
    pub shape: Shape,
    /// What they count.
    pub space: Space,
}

/// The numbers of a prediction. They are whatever was said: outside of the image, too, or no finite numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// x and y.
    Point([f64; 2]),
    /// Two corners, x and y of each. A box stands for its centre.
    Box([f64; 4]),
}

/// What the numbers of a prediction count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Shares of the sides of the image, from 0 to 1.
    Normalized,
    /// Pixels of an image of this width and height: the original one, or the one that was shown to the model.
    Pixels([u32; 2]),
}

impl Shape {
    /// The point that this many numbers are: two are a point, four a box.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        match *numbers {
            [x, y] => Some(Self::Point([x, y])),
            [left, top, right, bottom] => Some(Self::Box([left, top, right, bottom])),
            _ => None,
        }
    }

    /// The point, or the centre of the box.
    pub fn center(self) -> [f64; 2] {
        match self {
            Self::Point(point) => point,
            Self::Box([left, top, right, bottom]) => [(left + right) / 2.0, (top + bottom) / 2.0],
        }
    }
}

impl Prediction {
    /// The point as shares of the sides of the image. The centre of a box is taken before the division, as in the harnesses.
    pub fn point(&self) -> [f64; 2] {
        let center = self.shape.center();
        match self.space {
            Space::Normalized => center,
            Space::Pixels(size) => shares(center, size),
        }
    }
}

fn shares([x, y]: [f64; 2], [width, height]: [u32; 2]) -> [f64; 2] {
    [x / f64::from(width), y / f64::from(height)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(shape: Shape, space: Space) -> Correctness {
        let target = Target::try_new([10.0, 20.0, 30.0, 40.0], [100, 200]).unwrap();
        target.judge(Some(&Prediction { shape, space }))
    }

    #[test]
    fn edges_are_inside_and_what_is_beyond_them_is_not() {
        let pixels = |x, y| verdict(Shape::Point([x, y]), Space::Pixels([100, 200]));
        for (x, y) in [(10.0, 20.0), (30.0, 40.0), (10.0, 40.0), (20.0, 30.5)] {
            assert_eq!(pixels(x, y), Correctness::Correct, "{x} {y}");
        }
        for (x, y) in
            [(9.99, 30.0), (30.01, 30.0), (20.0, 19.99), (20.0, 40.01), (-20.0, 30.0), (f64::NAN, 30.0)]
        {
            assert_eq!(pixels(x, y), Correctness::Wrong, "{x} {y}");
        }
    }

    #[test]
    fn a_box_without_a_width_or_a_height_holds_what_lies_on_it() {
        let judged = |bbox, x, y| {
            let target = Target::try_new(bbox, [100, 200]).unwrap();
            target.judge(Some(&Prediction { shape: Shape::Point([x, y]), space: Space::Pixels([100, 200]) }))
        };
        let (line, level, dot) =
            ([10.0, 20.0, 10.0, 40.0], [10.0, 20.0, 30.0, 20.0], [10.5, 20.0, 10.5, 20.0]);
        for (bbox, x, y) in [
            (line, 10.0, 20.0),
            (line, 10.0, 33.3),
            (level, 29.9, 20.0),
            (dot, 10.5, 20.0),
            ([0.0; 4], 0.0, 0.0),
        ] {
            assert_eq!(judged(bbox, x, y), Correctness::Correct, "{bbox:?}: ({x}, {y})");
        }
        for (bbox, x, y) in [
            (line, 10.1, 30.0),
            (line, 10.0, 40.1),
            (level, 20.0, 19.9),
            (dot, 10.0, 20.0),
            ([0.0; 4], 1.0, 0.0),
        ] {
            assert_eq!(judged(bbox, x, y), Correctness::Wrong, "{bbox:?}: ({x}, {y})");
        }
    }

    #[test]
    fn the_same_place_is_right_in_every_space() {
        assert_eq!(verdict(Shape::Point([0.1, 0.2]), Space::Normalized), Correctness::Correct);
        assert_eq!(verdict(Shape::Point([20.0, 20.0]), Space::Pixels([200, 100])), Correctness::Correct);
        assert_eq!(verdict(Shape::Point([20.0, 30.0]), Space::Pixels([200, 100])), Correctness::Wrong);
    }

    #[test]
    fn a_box_stands_for_its_centre() {
        let corners = |corners| verdict(Shape::Box(corners), Space::Pixels([100, 200]));
        assert_eq!(corners([0.0, 0.0, 40.0, 60.0]), Correctness::Correct);
        assert_eq!(corners([40.0, 60.0, 0.0, 0.0]), Correctness::Correct);
        assert_eq!(corners([10.0, 20.0, 60.0, 40.0]), Correctness::Wrong);
        assert_eq!(Shape::of(&[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn nothing_is_a_wrong_format() {
        let target = Target::try_new([0.0, 0.0, 1.0, 1.0], [1, 1]).unwrap();
        assert_eq!(target.judge(None), Correctness::WrongFormat);
    }

    #[test]
    fn a_box_that_is_none_is_refused_in_words() {
        let why = |bbox, size| Target::try_new(bbox, size).unwrap_err().to_string();
        for (bbox, words) in [
            ([30.0, 20.0, 10.0, 40.0], "`bbox` is swapped: its first x is 30 and its second 10"),
            ([10.0, 40.0, 30.0, 20.0], "`bbox` is swapped: its first y is 40 and its second 20"),
            ([-1.0, 20.0, 10.0, 40.0], "its x goes from -1 to 10, and `img_size` is 100 there"),
            ([1.0, 20.0, 10.0, 200.5], "its y goes from 20 to 200.5, and `img_size` is 200 there"),
            ([1.0, f64::NAN, 10.0, 40.0], "`bbox[1]` is NaN, and no finite number"),
            ([1.0, 2.0, f64::INFINITY, 40.0], "`bbox[2]` is inf"),
        ] {
            assert!(why(bbox, [100, 200]).contains(words), "{}", why(bbox, [100, 200]));
        }
        assert!(why([0.0, 0.0, 1.0, 1.0], [100, 0]).starts_with("`img_size` is 100x0"));
        assert!(Target::try_new([0.0, 0.0, 100.0, 200.0], [100, 200]).is_ok());
    }
}
