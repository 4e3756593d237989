//! Stands in for `desktop/` in a program that is built without the desktop driver.
//!
//! Invariant: nothing here succeeds. Commands ask [`Part::Desktop`] before they begin, so that what is missing is said
//! as wrong usage; whoever forgets to gets a driver's error that says the same.

use std::convert::Infallible;
use std::path::Path;

use vigorl_agent::Cancel;
use vigorl_agent::calibration::Calibration;
use vigorl_interface::{AllowedWindows, Area, Driver, DriverError};

use crate::commands::record::Recorded;
use crate::parts::Part;
use crate::settings::Settings;

/// There is none.
#[derive(Debug)]
pub(crate) enum Counter {}

/// There is none. It is dropped where there is one, so the type must be one that dropping means something for.
pub(crate) type Brake = Box<Infallible>;

pub(crate) fn start(_: &Area, _: Option<&AllowedWindows>) -> Result<Box<dyn Driver>, DriverError> {
    Err(absent())
}

pub(crate) fn calibration(_: &Area) -> Result<Calibration, DriverError> {
    Err(absent())
}

pub(crate) fn with_counter(_: &Area) -> Result<(Box<dyn Driver>, Counter), DriverError> {
    Err(absent())
}

pub(crate) fn brake(_: &Cancel) -> Result<Brake, DriverError> {
    Err(absent())
}

pub(crate) fn record(_: &Path, _: &Settings, _: &Cancel) -> anyhow::Result<Recorded> {
    Err(absent().into())
}

pub(crate) fn version() -> String {
    String::new()
}

fn absent() -> DriverError {
    DriverError::Start { program: "the desktop driver".to_owned(), detail: Part::Desktop.cure() }
}
