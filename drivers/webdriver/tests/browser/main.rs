//! The driver against a real headless browser.

#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod answers;
mod behavior;
mod conformance;
mod echo;
mod fill;
mod hosts;
mod kinds;
mod lists;
#[path = "../pages/mod.rs"]
mod pages;
mod storage;
mod visitor;
mod vocabulary;
