//! What can be chosen when a browser is started. Invariant: says nothing that the page can change later.

use std::path::PathBuf;
use std::time::Duration;

use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Visitor;

use crate::attached::BrowserAddress;
use crate::hosts::AllowedHosts;

/// Whether the browser shows a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// No display is needed.
    Headless,
    /// A window on the current display.
    Headed,
}

/// Who serves the WebDriver protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// An own chromedriver on a free port, ended with the driver.
    Own {
        /// The program; `None` finds `chromedriver` in `PATH`.
        chromedriver: Option<PathBuf>,
    },
    /// A server that runs already and stays; only the session is ended.
    Running {
        /// Its address, e.g. `http://127.0.0.1:9515`.
        url: String,
    },
}

/// How a browser is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Visible area of every tab, in CSS pixels.
    pub viewport: Size<Viewport>,
    /// Screenshot pixels per CSS pixel; 1, 1.5 and 2 are tested. Of a browser that runs already, it is its own.
    pub device_pixel_ratio: DevicePixelRatio,
    /// With or without a window.
    pub window: Window,
    /// Who serves the protocol.
    pub server: Server,
    /// A browser that runs already and stays, in a tab of its own, instead of one that is started: what says how one is started is
    /// of no use then. It needs an own chromedriver.
    pub attach: Option<BrowserAddress>,
    /// The browser program; `None` leaves the search to chromedriver.
    pub browser: Option<PathBuf>,
    /// Hosts that may be reached at all; `None` allows every one.
    pub allowed_hosts: Option<AllowedHosts>,
    /// Whether all that pages write to their console is kept, for [`crate::WebDriver::heard`], and not only errors.
    pub console: bool,
    /// Who visits the pages of every tab.
    pub visitor: Visitor,
    /// Whether it is kept which origins are visited, for [`storage`](vigorl_interface::Driver::storage).
    pub origins: bool,
    /// Longest wait for chromedriver, and then for the browser, to start.
    pub start_deadline: Duration,
    /// Longest wait for the answer to one request.
    pub deadline: Duration,
}

impl Options {
    /// A headless browser with a viewport of `width` x `height` CSS pixels and one screenshot pixel for each,
    /// on an own chromedriver, with a deadline of 60 s for starting and 30 s for each request.
    pub fn headless(width: u32, height: u32) -> Self {
        Self {
            viewport: Size::of_pixels(width, height),
            device_pixel_ratio: one_to_one(),
            window: Window::Headless,
            server: Server::Own { chromedriver: None },
            attach: None,
            browser: None,
            allowed_hosts: None,
            console: false,
            visitor: Visitor::default(),
            origins: false,
            start_deadline: Duration::from_secs(60),
            deadline: Duration::from_secs(30),
        }
    }
}

fn one_to_one() -> DevicePixelRatio {
    match DevicePixelRatio::new(1.0) {
        Some(ratio) => ratio,
        None => unreachable!("1 is finite and positive"),
    }
}
