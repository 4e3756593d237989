//! Starts the browser that the settings describe.

use anyhow::Context as _;
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver as _;
use vigorl_tasks::scripted::{Start, World};
use vigorl_webdriver::{BrowserAddress, Options, Server, WebDriver, Window};

use crate::exit::usage;
use crate::settings::{self, Settings};
use crate::terminal;

/// A browser with a visible area of `viewport`.
pub(crate) fn start(settings: &Settings, viewport: Size<Viewport>) -> anyhow::Result<WebDriver> {
    start_with(settings, viewport, Options::headless(1, 1))
}

/// The same with as many screenshot pixels per CSS pixel as somebody else names; nothing leaves it to the settings.
pub(crate) fn start_at(
    settings: &Settings,
    viewport: Size<Viewport>,
    device_pixel_ratio: Option<DevicePixelRatio>,
) -> anyhow::Result<WebDriver> {
    let mut settings = settings.clone();
    settings.device_pixel_ratio = device_pixel_ratio.unwrap_or(settings.device_pixel_ratio);
    start(&settings, viewport)
}

/// What a browser is to be besides the settings for a task that begins like this.
pub(crate) fn options_for(settings: &Settings, start: &Start) -> anyhow::Result<Options> {
    Ok(Options { visitor: settings.visitor_of(start)?, ..Options::headless(1, 1) })
}

/// A tab with that visible area in a browser that runs already.
pub(crate) fn attach(
    settings: &Settings,
    viewport: Size<Viewport>,
    address: BrowserAddress,
) -> anyhow::Result<WebDriver> {
    check(settings)?;
    let server = Server::Own { chromedriver: settings.chromedriver.clone() };
    let options = Options { viewport, server, attach: Some(address), ..Options::headless(1, 1) };
    terminal::detail(&format!("opening a tab in the browser at {address}"));
    WebDriver::start(options).with_context(|| format!("cannot attach to the browser at {address}"))
}

/// Whether the settings ask for something else than a browser.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if settings.driver == World::Desktop {
        let origin = settings.origin_of("driver");
        return Err(usage(format!(
            "this command needs a browser, but {origin} asks for the desktop: --driver web"
        )));
    }
    Ok(())
}

/// A browser that is also what these options say besides the settings; the deadlines are the driver's own.
pub(crate) fn start_with(
    settings: &Settings,
    viewport: Size<Viewport>,
    options: Options,
) -> anyhow::Result<WebDriver> {
    check(settings)?;
    let server = match &settings.webdriver_url {
        Some(url) => Server::Running { url: url.clone() },
        None => Server::Own { chromedriver: settings.chromedriver.clone() },
    };
    let options = Options {
        viewport,
        device_pixel_ratio: settings.device_pixel_ratio,
        window: match settings.window {
            settings::Window::Headless => Window::Headless,
            settings::Window::Headed => Window::Headed,
        },
        server,
        browser: settings.browser.clone(),
        allowed_hosts: settings.allowed_hosts.clone(),
        ..options
    };
    terminal::detail(&format!("starting a browser of {} x {} CSS pixels", viewport.width, viewport.height));
    WebDriver::start(options).context("no browser; `vigorl doctor` says what is missing")
}

/// Name and version of the running browser.
pub(crate) fn version(driver: &mut WebDriver) -> String {
    let agent =
        driver.evaluate("return navigator.userAgent").ok().and_then(|json| serde_json::from_str(&json).ok());
    let agent: String = agent.unwrap_or_default();
    let chrome = agent.split_whitespace().find(|word| word.contains("Chrome/"));
    chrome.map_or(agent.clone(), str::to_owned)
}
