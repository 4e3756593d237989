//! Typed pixel spaces and the affine maps between them: the only place where a coordinate is scaled.
//!
//! | space | unit, origin top left | made by |
//! |---|---|---|
//! | [`Screen`] | physical pixels of the screenshot | the driver's capture |
//! | [`Desktop`] | physical pixels of all monitors together | the capture of a monitor or window: its place |
//! | [`Viewport`] | CSS pixels of the page | [`DevicePixelRatio::viewport_from_screen`] |
//! | [`Model`] | pixels of the resized image the network sees | [`fit::fit_to_budget`] |
//! | [`Crop`] | pixels of a zoom crop after its own resize | [`crop::plan_crop`] |
//! | [`Thousand`] | the 0-1000 grid some model families answer in | [`thousand_from_screen`] |
//!
//! Invariant: a point leaves its space only through a [`Map`] returned by the operation that changed the
//! pixels. Values stay `f64`; rounding happens once, in the driver.

pub mod crop;
pub mod fit;
mod map;
mod shape;
mod space;

pub use map::{DevicePixelRatio, Map, thousand_from_screen};
pub use shape::{Point, Rect, Size};
pub use space::{Crop, Desktop, Model, Screen, Space, Thousand, Viewport};
