//! Stands in for `hub.rs` in a program that is built without the hub's client. Invariant: it fetches nothing.

use std::path::PathBuf;

use crate::parts::Part;

pub(crate) fn fetch(_: &str) -> anyhow::Result<PathBuf> {
    Err(Part::Hub.missing())
}

#[cfg(feature = "reader")]
pub(crate) fn fetch_files(_: &str, _: &[String]) -> anyhow::Result<PathBuf> {
    Err(Part::Hub.missing())
}
