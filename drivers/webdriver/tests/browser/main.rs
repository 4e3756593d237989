//! The driver against a real headless browser.

mod behavior;
mod conformance;
mod echo;
#[path = "../pages/mod.rs"]
mod pages;
