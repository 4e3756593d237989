//! The driver against a real headless browser.

mod behavior;
mod conformance;
mod echo;
mod hosts;
#[path = "../pages/mod.rs"]
mod pages;
