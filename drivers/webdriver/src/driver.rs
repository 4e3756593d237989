//! [`WebDriver`]: the driver trait on one browser session.
//!
//! Invariant: the current tab always has exactly the viewport and device pixel ratio that were asked for; in a browser that ran
//! already, the ratio is that browser's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use thirtyfour::WindowHandle;
use thirtyfour::common::command::{Actions, Command};
use thirtyfour::common::types::OptionRect;
use vigorl_geometry::{DevicePixelRatio, Point, Size, Viewport};
use vigorl_interface::{
    Action, Driver, DriverError, Framed, Login, MouseButton, Note, PageState, Screenshot, Settled,
    StorageState, TabId, Trouble, WhichTab, wait_until,
};

use crate::console::{take_log, trouble};
use crate::fill::{self, Wanted};
use crate::frames::{self, REACH};
use crate::options::{Options, Window};
use crate::page_state;
use crate::session::Session;
use crate::settle::{Endless, settle, settle_and_capture};
use crate::storage::EmptyPages;
use crate::wire::{self, Geometry, Typing};
use crate::{chooser, forms, visitor};

/// Longest wait for a window to get another size: a display may be smaller.
const FITS_WITHIN: Duration = Duration::from_secs(2);
/// Pause between two looks at it.
const FIT_TICK: Duration = Duration::from_millis(50);

/// A browser behind the WebDriver protocol.
#[derive(Debug)]
pub struct WebDriver {
    pub(crate) session: Session,
    pub(crate) options: Options,
    pub(crate) tab: TabId,
    /// Tabs that were current before, the latest last: where a person is when this one closes.
    pub(crate) left: Vec<TabId>,
    /// What was typed into the open dialog.
    dialog_text: String,
    /// What moves without end on the pages that were waited for.
    endless: Endless,
    /// Of the latest screenshot of the current tab.
    geometry: Option<Geometry>,
    /// Of the latest action.
    pub(crate) note: Note,
    /// Origins whose storage was put back.
    restored: BTreeSet<String>,
    /// Logins that the browser remembers, by their origins.
    pub(crate) logins: BTreeMap<String, Login>,
}

impl WebDriver {
    /// Starts a browser with one empty tab, or opens one in a browser that runs already.
    ///
    /// # Errors
    /// [`DriverError::Start`] names the program and the cure.
    pub fn start(options: Options) -> Result<Self, DriverError> {
        let session = Session::start(&options)?;
        let tab = match session.attached() {
            Some(attached) => TabId(attached.first.clone()),
            None => {
                TabId(text_of("window handle", session.send("window handle", Command::GetWindowHandle)?)?)
            }
        };
        let mut driver = Self {
            session,
            endless: Endless::new(options.device_pixel_ratio),
            options,
            tab: tab.clone(),
            left: Vec::new(),
            dialog_text: String::new(),
            geometry: None,
            note: Note::default(),
            restored: BTreeSet::new(),
            logins: BTreeMap::new(),
        };
        if driver.session.attached().is_some() {
            driver.keep_ratio(&tab)?;
            driver.endless = Endless::new(driver.options.device_pixel_ratio);
        }
        if driver.options.window == Window::Headed && driver.session.attached().is_none() {
            driver.fit_window()?;
        }
        driver.enter(tab)?;
        // With a profile of its own the browser opens its new-tab page. From there, chromedriver 156 is lost for
        // good when the first server it is sent to never answers; from any other page it is not.
        driver.navigate("about:blank")?;
        driver.session.devtools("forget the new-tab page", "Page.resetNavigationHistory", json!({}))?;
        visitor::check(&driver.session, &driver.options.visitor)?;
        Ok(driver)
    }

    /// Leaves a browser its own ratio: another one alone would make pages see other wheel distances.
    fn keep_ratio(&mut self, tab: &TabId) -> Result<(), DriverError> {
        self.session.send("switch tab", Command::SwitchToWindow(WindowHandle::from(tab.0.as_str())))?;
        let ratio = self.session.script("device pixel ratio", "return devicePixelRatio", Vec::new())?;
        let known = ratio.as_f64().and_then(DevicePixelRatio::new);
        self.options.device_pixel_ratio = known.ok_or_else(|| unexpected("device pixel ratio", &ratio))?;
        Ok(())
    }

    /// Makes the window so large that a person sees all of the viewport in it, as far as the display does: the size of a window
    /// counts its bars, too.
    fn fit_window(&self) -> Result<(), DriverError> {
        const WINDOW: &str = "return [innerWidth, innerHeight, outerWidth, outerHeight]";
        let wanted = self.options.viewport;
        wait_until(Some(Instant::now() + FITS_WITHIN), || -> Result<_, DriverError> {
            let said = self.session.script("fit window", WINDOW, Vec::new())?;
            let [inside_x, inside_y, width, height] = serde_json::from_value::<[f64; 4]>(said.clone())
                .map_err(|_e| unexpected("fit window", &said))?;
            if inside_x >= wanted.width && inside_y >= wanted.height {
                return Ok(ControlFlow::Break(()));
            }
            let (width, height) = (wanted.width + width - inside_x, wanted.height + height - inside_y);
            let rect = OptionRect::new().with_size(width as i64, height as i64);
            self.session.send("fit window", Command::SetWindowRect(rect))?;
            Ok(ControlFlow::Continue(FIT_TICK))
        })
        .map(drop)
    }

    /// The connection.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Makes `tab` current, shown, and exactly as large as asked for: a new tab starts with the window's size.
    pub(crate) fn enter(&mut self, tab: TabId) -> Result<(), DriverError> {
        self.session.send("switch tab", Command::SwitchToWindow(WindowHandle::from(tab.0.as_str())))?;
        self.session.look_at(&tab.0);
        let before = std::mem::replace(&mut self.tab, tab);
        self.left.retain(|left| *left != self.tab);
        if before != self.tab {
            self.left.push(before);
        }
        self.geometry = None;
        let size = self.options.viewport;
        let metrics = json!({
            "width": size.width, "height": size.height, "screenWidth": size.width, "screenHeight": size.height,
            "deviceScaleFactor": self.options.device_pixel_ratio.get(), "mobile": false,
        });
        // A tab in the background gets no frames.
        self.session.devtools("show tab", "Page.bringToFront", json!({}))?;
        self.session.devtools("set viewport", "Emulation.setDeviceMetricsOverride", metrics)?;
        Ok(())
    }

    /// Geometry of the latest screenshot; takes one if there is none of this tab.
    fn geometry(&mut self) -> Result<Geometry, DriverError> {
        match self.geometry {
            Some(geometry) => Ok(geometry),
            // Of this tab: if it has closed itself, what is meant for it is not done to another one.
            None => {
                let pixels = capture(&self.session)?;
                let shown = self.screenshot_of(pixels)?;
                Ok(Geometry { size: shown.size(), device_pixel_ratio: shown.device_pixel_ratio })
            }
        }
    }

    /// What was captured becomes what positions refer to.
    fn screenshot_of(&mut self, pixels: RgbImage) -> Result<Screenshot, DriverError> {
        let size = Size::of_pixels(pixels.width(), pixels.height());
        // The viewport of a tab is fixed, so its ratio is measured again only when the size tells otherwise.
        let device_pixel_ratio = match self.geometry {
            Some(known) if known.size == size => known.device_pixel_ratio,
            _ => measure_ratio(&self.session, pixels.width())?,
        };
        self.geometry = Some(Geometry { size, device_pixel_ratio });
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio })
    }

    /// Sends an action in one request. If it opens a dialog, the rest of it waits: a button that is down comes up
    /// when the dialog is answered.
    pub(crate) fn perform(&self, request: &'static str, actions: Value) -> Result<(), DriverError> {
        self.session.send(request, Command::PerformActions(Actions::from(actions))).map(drop)
    }

    fn type_text(&mut self, text: &str) -> Result<(), DriverError> {
        match forms::write_date(&self.session, text) {
            Err(DriverError::DialogOpen { .. }) => return self.type_into_dialog(text),
            Ok(Some(kind)) => {
                self.note = Note::default().with(fill::by_script(&kind));
                return Ok(());
            }
            Ok(None) => {}
            Err(error) => return Err(error),
        }
        let (begin, end) = wire::before_last_key(wire::plan_typing(text)?);
        if !begin.is_empty() {
            self.type_parts("type", begin).and_then(|()| self.expect_no_dialog()).map_err(
                |error| match error {
                    DriverError::DialogOpen { text } => {
                        let detail = format!("a dialog opened before all of the text was typed: {text}");
                        DriverError::Refused { request: "type", detail }
                    }
                    error => error,
                },
            )?;
        }
        self.type_parts("type", end)
    }

    /// Fails if a dialog is open.
    fn expect_no_dialog(&self) -> Result<(), DriverError> {
        self.session.script("type", "return null", Vec::new()).map(drop)
    }

    pub(crate) fn type_parts(&self, request: &'static str, parts: Vec<Typing>) -> Result<(), DriverError> {
        parts.into_iter().try_for_each(|part| match part {
            Typing::Keys(values) => self.perform(request, wire::type_keys(&values)),
            Typing::Insert(text) => self.insert(&text),
        })
    }

    /// Types into the field of a dialog, which is answered later. The server takes its text whole.
    fn type_into_dialog(&mut self, text: &str) -> Result<(), DriverError> {
        let whole = format!("{}{text}", self.dialog_text);
        self.session.send("type", Command::SendAlertText(whole.as_str().into()))?;
        self.dialog_text = whole;
        Ok(())
    }

    /// Inserts text without keys. The browser drops it silently where nothing can take it, so that is refused.
    fn insert(&self, text: &str) -> Result<(), DriverError> {
        const TAKES_TEXT: &str = "const e = window.Object.getOwnPropertyDescriptor(window.Document.prototype, 'activeElement').get.call(document);
            return !!e && (e.isContentEditable || e.matches('input,textarea,iframe,frame') || !!e.shadowRoot)";
        if self.session.script("type", TAKES_TEXT, Vec::new())? != Value::Bool(true) {
            let detail = "nothing that takes text has the focus".to_owned();
            return Err(DriverError::Refused { request: "type", detail });
        }
        self.session.devtools("type", "Input.insertText", json!({ "text": text })).map(drop)
    }

    /// Hands files to the field at a point, or to whoever asks for some behind a click there.
    fn upload(&self, at: Point<Viewport>, files: &[String]) -> Result<(), DriverError> {
        if forms::upload(&self.session, at, files)? {
            return Ok(());
        }
        let click = || self.perform("upload", wire::click(at, MouseButton::Left, 1));
        chooser::upload(self.session.port().as_ref(), &self.tab.0, files, click)
    }

    fn answer_dialog(&mut self, accept: bool, text: Option<&str>) -> Result<(), DriverError> {
        self.dialog_text.clear();
        if let Some(text) = text {
            self.session.send("answer dialog", Command::SendAlertText(text.into()))?;
        }
        let answer = if accept { Command::AcceptAlert } else { Command::DismissAlert };
        self.session.send("answer dialog", answer)?;
        // A dialog that opened while a button was held stopped the action before the release.
        match self.session.send("release", Command::ReleaseActions) {
            // The release opened the next dialog; the next request reports it.
            Err(DriverError::DialogOpen { .. }) => Ok(()),
            released => released.map(drop),
        }
    }

    /// Does something that looks at the current tab; where that has closed itself, at the one that is left.
    fn on_open_tab<T>(
        &mut self,
        look: impl Fn(&mut Self) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        match look(self) {
            Err(gone @ DriverError::Gone { what: "tab" | "browser's camera", .. }) => {
                if self.leave_closed_tab()? { look(self) } else { Err(gone) }
            }
            done => done,
        }
    }
}

impl Driver for WebDriver {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        self.on_open_tab(|driver| {
            let pixels = capture(&driver.session)?;
            driver.screenshot_of(pixels)
        })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        self.note = Note::default();
        self.session.expect_attended()?;
        match action {
            Action::Click { count: 0, .. } | Action::HeldClick { count: 0, .. } => {
                Err(DriverError::Refused { request: "click", detail: "the count is 0".to_owned() })
            }
            Action::Click { at, button, count } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.perform("click", wire::click(at, *button, *count))
            }
            Action::HeldClick { at, button, count, keys, hold_ms } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.perform("click", wire::held_click(at, *button, *count, keys, *hold_ms)?)
            }
            Action::Hover { at } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.perform("hover", wire::hover(at))
            }
            Action::Drag { from, to } => {
                let geometry = self.geometry()?;
                let (from, to) = (geometry.in_viewport(*from)?, geometry.in_viewport(*to)?);
                self.perform("drag", wire::drag(from, to))
            }
            Action::Scroll { at, dx_px, dy_px } => {
                let geometry = self.geometry()?;
                let delta = geometry.wheel_delta(*dx_px, *dy_px)?;
                self.perform("scroll", wire::wheel(geometry.in_viewport(*at)?, delta))
            }
            Action::ScrollTo { at } => self.geometry()?.in_viewport(*at).map(drop),
            Action::Fill { at, text, has_secret } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.note = self.fill(Wanted { at, text, has_secret: *has_secret })?;
                Ok(())
            }
            Action::Type { text } => self.type_text(text),
            Action::Press { chord } => self.perform("press", wire::chord(chord)?),
            Action::Select { at, option } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.note = self.select(at, option)?;
                Ok(())
            }
            Action::Upload { at, files } => {
                let at = self.geometry()?.in_viewport(*at)?;
                self.upload(at, &forms::whole_paths(files)?)
            }
            Action::Navigate { url } => self.navigate(url),
            Action::Back => self.go("back", Command::Back, -1),
            Action::Forward => self.go("forward", Command::Forward, 1),
            Action::Reload => self.reload(),
            Action::AnswerDialog { accept, text } => self.answer_dialog(*accept, text.as_deref()),
            Action::OpenTab => self.open_tab(),
            Action::SwitchTab { tab } => {
                let tab = match tab {
                    WhichTab::Id(tab) => tab.clone(),
                    WhichTab::Found(search) => self.find_tab(search)?,
                };
                self.enter(tab)
            }
            Action::CloseTab => self.close_tab(),
        }
    }

    fn note(&self) -> Note {
        self.note.clone()
    }

    fn troubles(&mut self) -> Vec<Trouble> {
        // The server's log has the console of the person's own pages in it, and does not say of which page a line is.
        if self.session.attached().is_some() {
            return Vec::new();
        }
        // Not every server keeps such a log.
        let log = take_log(&self.session).unwrap_or_default();
        log.iter().filter_map(trouble).collect()
    }

    fn settle(&mut self, cap: Duration) -> Result<Settled, DriverError> {
        self.on_open_tab(|driver| settle(&driver.session, cap, &mut driver.endless))
    }

    fn settled_screenshot(&mut self, cap: Duration) -> Result<(Settled, Screenshot), DriverError> {
        self.on_open_tab(|driver| {
            let (settled, pixels) = settle_and_capture(&driver.session, cap, &mut driver.endless)?;
            Ok((settled, driver.screenshot_of(pixels)?))
        })
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        self.on_open_tab(|driver| page_state::ask(&driver.session))
    }

    fn evaluate(&mut self, script: &str) -> Result<String, DriverError> {
        self.on_open_tab(|driver| driver.session.script("evaluate", script, Vec::new()))
            .map(|value| value.to_string())
    }

    fn evaluate_in_frames(&mut self, script: &str) -> Result<Vec<Framed>, DriverError> {
        self.on_open_tab(|driver| frames::evaluate_in_frames(&driver.session, script))
    }

    fn evaluate_at(&mut self, at: Point<Viewport>, script: &str) -> Result<Framed, DriverError> {
        frames::evaluate_at(&self.session, at, script)
    }

    fn reacts_at(&mut self, at: Point<Viewport>) -> Result<Option<bool>, DriverError> {
        let reacts = include_str!("reacts.js").trim_end();
        let expression =
            format!("(() => {{ {REACH} const reacts = {reacts}; return reacts({}, {}); }})()", at.x, at.y);
        let parameters =
            json!({ "expression": expression, "includeCommandLineAPI": true, "returnByValue": true });
        let answer = self.session.devtools("ask what reacts", "Runtime.evaluate", parameters)?;
        Ok(answer["result"]["value"].as_bool())
    }

    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        let mut tabs = self.handles()?;
        if !tabs.contains(&self.tab) && self.leave_closed_tab()? {
            tabs = self.handles()?;
        }
        // Stable: the others keep their order.
        tabs.sort_by_key(|tab| *tab != self.tab);
        Ok(tabs)
    }

    fn forget(&mut self) -> Result<(), DriverError> {
        if self.session.attached().is_some() {
            return Err(DriverError::Unsupported { what: "forget what the browser of a person keeps" });
        }
        // Dialogs stand in the way of everything else.
        while let Some(text) = self.page_state()?.dialog {
            self.answer_dialog(false, None).map_err(|error| match error {
                DriverError::Refused { request, detail } => {
                    DriverError::Refused { request, detail: format!("{detail} (the dialog `{text}`)") }
                }
                other => other,
            })?;
        }
        while self.tabs()?.len() > 1 {
            self.close_tab()?;
        }
        // A page that is left may still write while it is shown.
        self.navigate_to("about:blank")?;
        self.session.devtools("forget", "Network.clearBrowserCookies", json!({}))?;
        self.session.devtools("forget", "Network.clearBrowserCache", json!({}))?;
        let all = json!({ "origin": "*", "storageTypes": "all" });
        self.session.devtools("forget", "Storage.clearDataForOrigin", all)?;
        self.session.devtools("forget", "Page.resetNavigationHistory", json!({}))?;
        self.session.forget_downloads()?;
        self.session.forget_visited();
        self.restored.clear();
        self.troubles();
        self.geometry = None;
        Ok(())
    }

    fn storage(&mut self) -> Result<StorageState, DriverError> {
        let visited = self.session.visited().filter(|_| self.options.origins);
        let mut origins =
            visited.ok_or(DriverError::Unsupported { what: "say which origins it has visited" })?;
        origins.extend(self.restored.iter().cloned());
        self.session.own_tab("save the storage", EmptyPages)?.take(&origins)
    }

    fn restore(&mut self, state: &StorageState) -> Result<(), DriverError> {
        self.session.own_tab("restore the storage", EmptyPages)?.put_back(state)?;
        self.restored.extend(state.origins.iter().map(|origin| origin.origin.clone()));
        Ok(())
    }

    fn log_in(&mut self, url: &str, login: &Login) -> Result<(), DriverError> {
        self.log_in_to(url, login)
    }

    fn downloads(&self) -> Option<PathBuf> {
        self.session.downloads()
    }

    fn wheel_step_px(&self) -> f64 {
        self.options.device_pixel_ratio.get()
    }
}

/// The pixels of the viewport.
pub(crate) fn capture(session: &Session) -> Result<RgbImage, DriverError> {
    let encoded = session.capture()?;
    let broken = |detail: String| DriverError::Refused { request: "screenshot", detail };
    let png = BASE64_STANDARD.decode(encoded).map_err(|e| broken(e.to_string()))?;
    let pixels =
        image::load_from_memory_with_format(&png, ImageFormat::Png).map_err(|e| broken(e.to_string()))?;
    Ok(pixels.into_rgb8())
}

/// Screenshot pixels per CSS pixel, from a capture of `width_px`.
fn measure_ratio(session: &Session, width_px: u32) -> Result<DevicePixelRatio, DriverError> {
    let css_width = session.script("screenshot", "return innerWidth", Vec::new())?;
    let ratio = css_width.as_f64().map(|css_width| f64::from(width_px) / css_width);
    ratio.and_then(DevicePixelRatio::new).ok_or_else(|| unexpected("screenshot", &css_width))
}

pub(crate) fn text_of(request: &'static str, value: Value) -> Result<String, DriverError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(unexpected(request, &other)),
    }
}

pub(crate) fn unexpected(request: &'static str, answer: &Value) -> DriverError {
    DriverError::Refused { request, detail: format!("the server answered {answer}") }
}
