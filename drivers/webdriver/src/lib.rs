//! The browser driver: thirtyfour outside, chromedriver and chromium behind it, blocking at the surface.
//!
//! Invariants: every request ends within [`Options::deadline`]; every process and folder that was started or
//! made here is gone when the [`WebDriver`] is dropped, when [`vigorl_processes::kill_all_started`] was called, and shortly after
//! this program died without a chance to clean up. A browser that ran already stays as it was, without the tabs that were opened
//! here, unless this program died. A position is converted from screenshot pixels to CSS pixels once, in `wire`.
//!
//! Start with [`WebDriver::start`]. Must not be used inside another async runtime: it owns one and blocks.
//! Unix only: process groups end what was started.

mod address;
mod attached;
mod attendant;
mod camera;
mod chooser;
mod connection;
mod console;
mod driver;
mod fill;
mod forms;
mod frames;
mod history;
mod hosts;
mod lists;
mod login;
mod options;
mod own_tab;
mod page_state;
mod person;
mod process;
mod session;
mod settle;
mod storage;
mod tabs;
mod visitor;
mod wire;

pub use attached::BrowserAddress;
pub use driver::WebDriver;
pub use hosts::AllowedHosts;
pub use options::{Options, Server, Window};
