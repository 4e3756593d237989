//! A world that is only a picture: one screenshot, one instruction, and the regions of which a click must hit one.
//! Where there is no region, what is asked for is not there, and nothing must be clicked.
//!
//! Invariant: the first click decides, as on a practice page; the picture never changes.

use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Action, PageState, Screenshot};

use crate::Verdict;
use crate::environment::{Allowance, Environment, Failure, Observation, Performed, Senses, Start};

/// Where a click is right.
#[derive(Debug, Clone, PartialEq)]
pub enum Region {
    /// A box, whose edges belong to it.
    Box(Rect<Screen>),
    /// What a closed outline holds, by the even-odd rule. A point belongs to it if a ray from it to the right crosses the
    /// outline an odd number of times, so its left and upper edges do and its right and lower ones do not.
    Polygon(Vec<Point<Screen>>),
}

impl Region {
    /// Whether a click at this point is right.
    pub fn holds(&self, at: Point<Screen>) -> bool {
        match self {
            Self::Box(bounds) => bounds.touches(at),
            Self::Polygon(corners) => {
                let crossings = sides(corners).filter(|(from, to)| {
                    let spans = (from.y > at.y) != (to.y > at.y);
                    spans && at.x < (to.x - from.x) * (at.y - from.y) / (to.y - from.y) + from.x
                });
                crossings.count() % 2 == 1
            }
        }
    }

    /// The smallest box around it.
    pub fn bounds(&self) -> Rect<Screen> {
        match self {
            Self::Box(bounds) => *bounds,
            Self::Polygon(corners) => {
                let boxes = corners.iter().map(|corner| Rect::new(corner.x, corner.y, corner.x, corner.y));
                boxes.reduce(Rect::with).unwrap_or(Rect::new(0.0, 0.0, 0.0, 0.0))
            }
        }
    }

    /// Its area in pixels; of an outline that crosses itself, the area with its sign.
    pub fn area(&self) -> f64 {
        match self {
            Self::Box(bounds) => bounds.size().area(),
            Self::Polygon(corners) => {
                let twice: f64 = sides(corners).map(|(from, to)| from.x * to.y - to.x * from.y).sum();
                twice.abs() / 2.0
            }
        }
    }

    /// Its numbers in pixels: the four edges of a box, or the corners of an outline one after the other.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Box(bounds) => vec![bounds.left, bounds.top, bounds.right, bounds.bottom],
            Self::Polygon(corners) => corners.iter().flat_map(|corner| [corner.x, corner.y]).collect(),
        }
    }
}

/// The sides of a closed outline, each from a corner to the next.
fn sides(corners: &[Point<Screen>]) -> impl Iterator<Item = (Point<Screen>, Point<Screen>)> {
    corners.iter().copied().zip(corners.iter().copied().cycle().skip(1))
}

/// One labelled screenshot.
#[derive(Debug, Clone)]
pub struct PictureWorld {
    /// What is shown.
    pub screenshot: Screenshot,
    /// What is to be clicked.
    pub instruction: String,
    /// Where it is; none if it is not there.
    pub targets: Vec<Region>,
    clicked: Option<Point<Screen>>,
}

impl PictureWorld {
    /// A world in which `instruction` names what each of the `targets` holds.
    pub fn new(screenshot: Screenshot, instruction: impl Into<String>, targets: Vec<Rect<Screen>>) -> Self {
        Self::with_regions(screenshot, instruction, targets.into_iter().map(Region::Box).collect())
    }

    /// The same where targets may have other shapes than boxes.
    pub fn with_regions(
        screenshot: Screenshot,
        instruction: impl Into<String>,
        targets: Vec<Region>,
    ) -> Self {
        Self { screenshot, instruction: instruction.into(), targets, clicked: None }
    }
}

impl Environment for PictureWorld {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.clicked = None;
        Ok(Start {
            goal: self.instruction.clone(),
            seed: Some(seed),
            target: self.targets.first().map(Region::bounds),
            ..Start::default()
        })
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        let screenshot = Some(self.screenshot.clone());
        Ok(Observation { screenshot, page: PageState::default(), tabs: Vec::new() })
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let Action::Click { at, .. } = act else {
            return Ok(Performed::Refused(format!(
                "a picture can be clicked, nothing else: not {}",
                act.kind().as_str()
            )));
        };
        if !self.screenshot.size().contains(*at) {
            return Ok(Performed::Refused(format!("({}, {}) is outside the picture", at.x, at.y)));
        }
        self.clicked.get_or_insert(*at);
        Ok(Performed::Done)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let targets = &self.targets;
        let is_hit = |at| targets.iter().any(|target| target.holds(at));
        Ok(Verdict::of_point(self.clicked, targets.is_empty(), is_hit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(numbers: &[f64]) -> Region {
        Region::Polygon(numbers.chunks(2).map(|corner| Point::new(corner[0], corner[1])).collect())
    }

    #[test]
    fn a_point_is_in_an_outline_if_a_ray_leaves_it_an_odd_number_of_times() {
        // The letter L: what is right of its upright and above its foot is outside.
        let outline = polygon(&[0.0, 0.0, 10.0, 0.0, 10.0, 20.0, 30.0, 20.0, 30.0, 30.0, 0.0, 30.0]);
        for (x, y, is_in) in [
            (5.0, 5.0, true),
            (20.0, 25.0, true),
            (20.0, 10.0, false),
            (29.9, 19.9, false),
            (31.0, 25.0, false),
            (-1.0, 25.0, false),
            (0.0, 0.0, true),
            (30.0, 25.0, false),
        ] {
            assert_eq!(outline.holds(Point::new(x, y)), is_in, "({x}, {y})");
        }
        assert!((outline.area() - 500.0).abs() < 1e-9);
        assert_eq!(outline.bounds(), Rect::new(0.0, 0.0, 30.0, 30.0));
    }

    #[test]
    fn the_edges_of_a_box_belong_to_it() {
        let bounds = Region::Box(Rect::new(10.0, 20.0, 30.0, 40.0));
        assert!(bounds.holds(Point::new(30.0, 40.0)) && bounds.holds(Point::new(10.0, 20.0)));
        assert!(!bounds.holds(Point::new(30.1, 40.0)) && !bounds.holds(Point::new(9.9, 20.0)));
    }

    #[test]
    fn an_outline_without_corners_holds_nothing() {
        let nothing = polygon(&[]);
        assert!(!nothing.holds(Point::new(0.0, 0.0)) && nothing.area() == 0.0);
    }
}
