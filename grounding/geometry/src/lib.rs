//! Typed pixel spaces and the affine maps between them: the only place where a coordinate is scaled.
//!
//! | space | unit, origin top left | its map is made by |
//! |---|---|---|
//! | [`Screen`] | physical pixels of the screenshot | the driver's capture |
//! | [`Desktop`] | physical pixels of all monitors together | [`Capture::screen_from_desktop`], of a monitor or window |
//! | [`Viewport`] | CSS pixels of the page | [`DevicePixelRatio::viewport_from_screen`], measured from a screenshot |
//! | [`Shown`] | pixels of the image that the policy is spoken to about, under the preset's limit | [`fit::ShownFit`] |
//! | [`Crop`] | pixels of a zoom crop after its own resize | [`crop::plan_crop`], [`crop::plan_window`], [`crop::plan_region`] |
//! | [`Model`] | pixels of the network's own image of either | [`fit::fit_to_network`] |
//! | [`Patch`] | merged patches of the network's image | [`fit::fit_to_network`] |
//! | [`Thousand`] | the 0-1000 grid some model families answer in | [`thousand_from_screen`] |
//!
//! Invariant: a point leaves its space only through a [`Map`] returned by the operation that changed the
//! pixels. Values stay `f64`; rounding happens once, in the driver.
//!
//! Maps chain, and the chain says what it maps:
//!
//! ```
//! # use vigorl_geometry::fit::{FitError, PixelBudget, ShownFit, fit_to_network};
//! # use vigorl_geometry::{Model, Point, Screen, Size};
//! # let budget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 1_000_000 };
//! let screenshot: Size<Screen> = Size::of_pixels(2560, 1600);
//! let shown = ShownFit::within(screenshot, budget)?;
//! let seen = fit_to_network(shown.size(), budget)?;
//! let at: Point<Screen> = Point::new(1280.0, 800.0);
//! let at: Point<Model> = seen.model_from_image.after(shown.shown_from_screen).apply(at);
//! assert_eq!(at, Point::new(f64::from(seen.width) / 2.0, f64::from(seen.height) / 2.0));
//! # Ok::<(), FitError>(())
//! ```
//!
//! What the screenshot and the shown image call by the same numbers are two places, so this does not compile:
//!
//! ```compile_fail,E0308
//! # use vigorl_geometry::fit::{FitError, PixelBudget, ShownFit, fit_to_network};
//! # use vigorl_geometry::{Model, Point, Screen, Size};
//! # let budget = PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 1_000_000 };
//! let screenshot: Size<Screen> = Size::of_pixels(2560, 1600);
//! let shown = ShownFit::within(screenshot, budget)?;
//! let seen = fit_to_network(shown.size(), budget)?;
//! let at: Point<Screen> = Point::new(1280.0, 800.0);
//! let at: Point<Model> = seen.model_from_image.apply(at);
//! # Ok::<(), FitError>(())
//! ```
//!
//! And nobody else can make a map out of sizes:
//!
//! ```compile_fail,E0624
//! # use vigorl_geometry::{Crop, Map, Shown, Size};
//! let (page, crop): (Size<Shown>, Size<Crop>) = (Size::of_pixels(1288, 812), Size::of_pixels(504, 504));
//! let crop_from_page: Map<Crop, Shown> = Map::stretch(page.whole(), crop);
//! ```

mod capture;
pub mod crop;
pub mod fit;
mod map;
mod shape;
mod space;

pub use capture::Capture;
pub use map::{DevicePixelRatio, Map, thousand_from_part, thousand_from_screen};
pub use shape::{Point, Rect, Size};
pub use space::{Crop, Desktop, Model, Patch, Screen, Shown, Space, Thousand, Viewport};
