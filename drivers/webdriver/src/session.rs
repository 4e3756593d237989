//! One WebDriver session with its runtime. Invariant: every request has a deadline and every failure is typed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::ToSocketAddrs as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use thirtyfour::common::command::Command;
use thirtyfour::error::{WebDriverError, WebDriverErrorInfo, WebDriverErrorInner};
use thirtyfour::{Capabilities, TimeoutConfiguration};
use tokio::runtime::Runtime;
use vigorl_interface::{Certificates, Downloads, DriverError, Visitor};

use crate::attached::Attached;
use crate::attendant::{Attendant, Wishes};
use crate::camera::Camera;
use crate::connection::{Connection, Port};
use crate::hosts::AllowedHosts;
use crate::options::{Options, Server, Window};
use crate::own_tab::OwnTab;
use crate::process::Chromedriver;

/// Flags for every browser: no traffic of its own, the same colors, glyphs and layout everywhere, and no
/// scrolling that goes on after the event. Scrollbars are hidden so that a page's layout does not depend on
/// whether it overflows. `--disable-crashpad-for-testing` must not be added: chromium 156 then hangs.
const FLAGS: [&str; 15] = [
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-breakpad",
    "--disable-quic",
    "--disable-smooth-scrolling",
    "--no-first-run",
    "--no-default-browser-check",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--password-store=basic",
    // Scripts may ask how elements are called: `computedName` and `computedRole`.
    "--enable-blink-features=ComputedAccessibilityInfo",
];

/// Which browsers more can be asked of.
const OWN_ALONE: &str = "one that this program starts itself, and not of one that runs already";

/// A connection to one browser.
#[derive(Debug)]
pub(crate) struct Session {
    runtime: Runtime,
    /// `None` only while being dropped.
    client: Option<thirtyfour::WebDriver>,
    deadline: Duration,
    /// The tab that is captured, and the connection for that, once there is one.
    camera: RefCell<(String, Option<Camera>)>,
    /// Whoever attends every tab, if something is wished of them.
    attendant: Option<Attendant>,
    /// The browser of a person, if it is one. Dropped before the server, which has a connection to it.
    attached: Option<Attached>,
    /// Declared last: ended after the client.
    own: Option<Chromedriver>,
}

impl Session {
    /// Starts chromedriver if asked to, and the browser, or a tab in one that runs already.
    pub(crate) fn start(options: &Options) -> Result<Self, DriverError> {
        let failed = |detail: String| DriverError::Start { program: "the browser".to_owned(), detail };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed(format!("no async runtime: {e}")))?;
        let is_own = options.attach.is_none() && matches!(options.server, Server::Own { .. });
        if !is_own && options.visitor != Visitor::default() {
            return Err(failed(format!("who visits its pages can be said of {OWN_ALONE}")));
        }
        let attached = match options.attach {
            Some(address) => {
                if let Server::Running { .. } = options.server {
                    return Err(failed("a browser that runs already needs an own chromedriver".to_owned()));
                }
                let http = reqwest::Client::builder().no_proxy().build();
                let http = http.map_err(|e| failed(format!("no HTTP client: {e}")))?;
                Some(Attached::open(address, &runtime, &http)?)
            }
            None => None,
        };
        let own = match &options.server {
            Server::Own { chromedriver } => {
                let program = chromedriver.as_deref().unwrap_or("chromedriver".as_ref());
                // The browser has it of its server, and every page and worker of the browser.
                let zone = options.visitor.time_zone.as_ref().map(|zone| ("TZ", OsStr::new(zone.as_str())));
                Some(Chromedriver::start(program, zone.as_slice(), options.start_deadline)?)
            }
            Server::Running { .. } => None,
        };
        let url = match (&own, &options.server) {
            (Some(own), _) => own.url(),
            (None, Server::Running { url }) => url.clone(),
            (None, Server::Own { .. }) => String::new(),
        };
        // A proxy of the environment must not see requests to this machine.
        let mut http = reqwest::Client::builder();
        if own.is_some() {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|e| failed(format!("no HTTP client: {e}")))?;
        let connect = thirtyfour::WebDriver::builder(url, capabilities(options, own.as_ref())).client(http);
        let client = runtime
            .block_on(async { tokio::time::timeout(options.start_deadline, connect.connect()).await })
            .map_err(|_elapsed| failed(format!("no session within {:?}", options.start_deadline)))?
            .map_err(|e| failed(explain_start(&e)))?;
        let mut session = Self {
            runtime,
            client: Some(client),
            deadline: options.deadline,
            camera: RefCell::default(),
            attendant: None,
            attached,
            own,
        };
        session.limit_waits()?;
        session.attend(Wishes::of(options)).map_err(failed)?;
        Ok(session)
    }

    /// Has every tab attended, if something is wished.
    fn attend(&mut self, wishes: Wishes) -> Result<(), String> {
        if wishes.is_empty() {
            return Ok(());
        }
        let port = self.own_port().ok_or_else(|| format!("this can be had of {OWN_ALONE}"))?;
        self.attendant = Some(Attendant::start(&port, wishes, self.deadline)?);
        Ok(())
    }

    /// Whether every tab is still attended, if something is wished of them.
    pub(crate) fn expect_attended(&self) -> Result<(), DriverError> {
        let Some(Err(broken)) = self.attendant.as_ref().map(Attendant::check) else { return Ok(()) };
        // A browser that is gone is the cause where it is.
        self.send("tabs", Command::GetWindowHandle)?;
        Err(broken)
    }

    /// The origins that were visited, where that is kept.
    pub(crate) fn visited(&self) -> Option<BTreeSet<String>> {
        self.attendant.as_ref().map(Attendant::origins)
    }

    /// Forgets them.
    pub(crate) fn forget_visited(&self) {
        if let Some(attendant) = &self.attendant {
            attendant.forget();
        }
    }

    /// A tab of our own, in which this is answered.
    pub(crate) fn own_tab<A>(&self, request: &'static str, answers: A) -> Result<OwnTab<A>, DriverError> {
        let port = self.own_port().ok_or(DriverError::Unsupported {
            what: "reach the storage or the logins of a browser of somebody else",
        })?;
        let refused = |detail: String| DriverError::Refused { request, detail };
        let connection = Connection::open_browser(&port).map_err(refused)?.ok_or_else(|| {
            refused("this browser offers no connection of its own to the program that drives it".to_owned())
        })?;
        Ok(OwnTab::new(connection, request, self.deadline, answers))
    }

    /// Makes the server give up a little earlier than we do, so that it is free for the next request.
    fn limit_waits(&self) -> Result<(), DriverError> {
        let limit = self.deadline.mul_f64(0.9);
        let timeouts = TimeoutConfiguration::new(Some(limit), Some(limit), Some(Duration::ZERO));
        self.send("set timeouts", Command::SetTimeouts(timeouts)).map(drop)
    }

    /// Sends one command and returns the `value` of its answer.
    pub(crate) fn send(&self, request: &'static str, command: Command) -> Result<Value, DriverError> {
        let Some(client) = &self.client else {
            return Err(DriverError::Gone { what: "browser", detail: "the session has ended".to_owned() });
        };
        let deadline = self.deadline;
        self.runtime
            .block_on(async { tokio::time::timeout(deadline, client.cmd(command)).await })
            .map_err(|_elapsed| DriverError::Deadline { request, deadline })?
            .and_then(|answer| answer.value_json())
            .map_err(|e| self.with_cure(classify(request, deadline, e)))
    }

    /// Nobody but its person starts a browser again that was attached to.
    fn with_cure(&self, error: DriverError) -> DriverError {
        match (error, &self.attached) {
            (DriverError::Gone { what: "browser", detail }, Some(attached)) => attached.gone(&detail),
            (error, _) => error,
        }
    }

    /// Sends one DevTools command to the current tab.
    pub(crate) fn devtools(
        &self,
        request: &'static str,
        method: &str,
        parameters: Value,
    ) -> Result<Value, DriverError> {
        let Some(client) = &self.client else {
            return Err(DriverError::Gone { what: "browser", detail: "the session has ended".to_owned() });
        };
        let deadline = self.deadline;
        self.runtime
            .block_on(async {
                tokio::time::timeout(deadline, client.cdp().send_raw(method, parameters)).await
            })
            .map_err(|_elapsed| DriverError::Deadline { request, deadline })?
            .map_err(|e| self.with_cure(classify(request, deadline, e)))
    }

    /// Runs a function body in the page; a promise is awaited. A dialog that opens meanwhile is an error.
    pub(crate) fn script(
        &self,
        request: &'static str,
        body: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, DriverError> {
        let answer = self.send(request, Command::ExecuteScript(body.into(), arguments.into()))?;
        // The server answers null as well when a dialog stopped the script.
        if answer.is_null()
            && let Ok(Value::String(text)) = self.send(request, Command::GetAlertText)
        {
            return Err(DriverError::DialogOpen { text });
        }
        Ok(answer)
    }

    /// The tab that is captured from now on.
    pub(crate) fn look_at(&self, tab: &str) {
        *self.camera.borrow_mut() = (tab.to_owned(), None);
    }

    /// What is visible: PNG in base64.
    pub(crate) fn capture(&self) -> Result<String, DriverError> {
        // `optimizeForSpeed` is a faster, larger PNG with the same pixels.
        let parameters = json!({ "format": "png", "optimizeForSpeed": true });
        if let Some(port) = self.port()
            && let Some(picture) = self.capture_over_camera(&port, &parameters)?
        {
            return Ok(picture);
        }
        let ask = || self.devtools("screenshot", "Page.captureScreenshot", parameters.clone());
        let mut answer = ask()?;
        if answer.is_null() {
            // A dialog opened or the tab closed meanwhile; the next answer says which.
            answer = ask()?;
        }
        match answer["data"].take() {
            Value::String(picture) => Ok(picture),
            _ => Err(DriverError::Refused {
                request: "screenshot",
                detail: format!("the server answered {answer}"),
            }),
        }
    }

    /// The same over our own connection; nothing if the browser offers none. A connection that breaks is opened once
    /// more: the server would wait for a capture that is never answered, and the session with it.
    fn capture_over_camera(&self, port: &Port, parameters: &Value) -> Result<Option<String>, DriverError> {
        let (tab, camera) = &mut *self.camera.borrow_mut();
        let mut broken = String::new();
        for _ in 0..2 {
            if camera.is_none() {
                match Camera::open(port, tab) {
                    Ok(Some(opened)) => *camera = Some(opened),
                    Ok(None) => return Ok(None),
                    Err(why) => broken = why,
                }
            }
            if let Some(open) = camera {
                let captured = open.capture(parameters, self.deadline, || self.expect_no_dialog());
                match captured.map_err(|error| self.why_no_picture(error))? {
                    Some(picture) => return Ok(Some(picture)),
                    None => broken = "the connection for captures was closed".to_owned(),
                }
            }
            *camera = None;
            // A closed tab, or a dialog, is the cause where there is one.
            self.send("screenshot", Command::GetWindowHandle)?;
            self.expect_no_dialog()?;
        }
        Err(DriverError::Gone { what: "browser's camera", detail: broken })
    }

    /// A person may look at another tab of their browser.
    fn why_no_picture(&self, error: DriverError) -> DriverError {
        let is_hidden = || self.script("screenshot", "return document.hidden", Vec::new());
        match error {
            DriverError::Deadline { request, .. }
                if self.attached.is_some() && is_hidden().is_ok_and(|hidden| hidden == true) =>
            {
                let detail = "the tab of this run is in the background, where a browser draws nothing: leave it in front";
                DriverError::Refused { request, detail: detail.to_owned() }
            }
            other => other,
        }
    }

    fn expect_no_dialog(&self) -> Result<(), DriverError> {
        match self.send("screenshot", Command::GetAlertText) {
            Ok(Value::String(text)) => Err(DriverError::DialogOpen { text }),
            // There is none.
            Ok(_) | Err(DriverError::Refused { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// The browser of a person, if it is one.
    pub(crate) fn attached(&self) -> Option<&Attached> {
        self.attached.as_ref()
    }

    /// Where the browser offers connections; one behind somebody else's server offers us none.
    pub(crate) fn port(&self) -> Option<Port> {
        match &self.attached {
            Some(attached) => Some(attached.port().clone()),
            None => self.own_port(),
        }
    }

    /// The same of a browser that was started here: what it keeps is nobody's.
    fn own_port(&self) -> Option<Port> {
        self.own_browser().map(|own| Port::InProfile(profile_of(own)))
    }

    /// Whoever has started the browser, if that was here.
    fn own_browser(&self) -> Option<&Chromedriver> {
        self.own.as_ref().filter(|_| self.attached.is_none())
    }

    /// The folder for what pages give to download; a browser of somebody else has its own.
    pub(crate) fn downloads(&self) -> Option<PathBuf> {
        self.own_browser().map(downloads_of)
    }

    /// Takes away what was downloaded. A browser that still downloads something cannot forget it: the file would come to lie
    /// in the folder later (chromium 156 writes it anew, empty, where it was taken away).
    pub(crate) fn forget_downloads(&self) -> Result<(), DriverError> {
        let Some(folder) = self.downloads() else { return Ok(()) };
        let refused = |detail: String| DriverError::Refused { request: "forget", detail };
        let emptied = Downloads::in_folder(&folder).and_then(|found| match &found.under_way[..] {
            [] => found.whole.iter().try_for_each(std::fs::remove_file).map(|()| true),
            _ => Ok(false),
        });
        match emptied {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused("something is still being downloaded".to_owned())),
            Err(error) => Err(refused(format!("`{}` cannot be emptied: {error}", folder.display()))),
        }
    }

    /// Sleeps; the server is not asked.
    pub(crate) fn pause(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if self.own.is_none() {
            let quit = client.clone().quit();
            // The server is not ours: if it does not answer, there is nothing left to end.
            self.runtime.block_on(async { tokio::time::timeout(self.deadline, quit).await }).ok();
        }
        // Our own chromedriver is killed with the browser in a moment; an error means that it has quit already.
        client.leak().ok();
    }
}

/// The folder of the browser's profile.
fn profile_of(own: &Chromedriver) -> PathBuf {
    own.folder().join("profile")
}

/// The folder for what pages give to download; the browser makes it.
fn downloads_of(own: &Chromedriver) -> PathBuf {
    own.folder().join("downloads")
}

/// In smaller windows headless Chromium never answers a request for a screenshot (seen from 64x64 to 160x120).
/// The emulated viewport may be smaller than its window.
const SMALLEST_WINDOW: (f64, f64) = (500.0, 400.0);

fn capabilities(options: &Options, own: Option<&Chromedriver>) -> Capabilities {
    let browser = match options.attach {
        // It was started with what the person wanted.
        Some(address) => json!({ "debuggerAddress": address.to_string() }),
        None => started_with(options, own),
    };
    let mut all = Map::new();
    all.insert("browserName".to_owned(), json!("chrome"));
    // A hanging image must not make every command wait; settling looks at what is visible.
    all.insert("pageLoadStrategy".to_owned(), json!("eager"));
    // The default answers dialogs behind the agent's back.
    all.insert("unhandledPromptBehavior".to_owned(), json!("ignore"));
    // By itself, the server keeps warnings as well, for ever.
    let heard = if options.console { "ALL" } else { "SEVERE" };
    all.insert("goog:loggingPrefs".to_owned(), json!({ "browser": heard }));
    all.insert("goog:chromeOptions".to_owned(), browser);
    Capabilities::from(all)
}

/// How a browser is started.
fn started_with(options: &Options, own: Option<&Chromedriver>) -> Value {
    let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    // Pop-ups take the window's size before their viewport is set.
    let (width, height) = SMALLEST_WINDOW;
    let (width, height) = (options.viewport.width.max(width), options.viewport.height.max(height));
    flags.push(format!("--window-size={width},{height}"));
    // The emulated viewport sets the ratio as well, but alone it makes the page see other wheel distances.
    flags.push(format!("--force-device-scale-factor={}", options.device_pixel_ratio.get()));
    if options.window == Window::Headless {
        flags.push("--headless=new".to_owned());
    }
    // The sandbox refuses to run as root.
    if rustix::process::geteuid().is_root() {
        flags.push("--no-sandbox".to_owned());
    }
    if let Some(own) = own {
        flags.push(format!("--user-data-dir={}", profile_of(own).display()));
    }
    flags.extend(options.allowed_hosts.iter().flat_map(AllowedHosts::flags));
    // Flags hold for what workers and new windows ask for, too.
    flags.extend(options.visitor.certificates.as_ref().map(|certificates| match certificates {
        Certificates::AcceptAny => "--ignore-certificate-errors".to_owned(),
        Certificates::OfKeys(keys) => format!("--ignore-certificate-errors-spki-list={}", keys.join(",")),
    }));
    let mut browser = json!({ "args": flags });
    if let Some(own) = own {
        // Nothing that a page gives lands among the person's own files, and nobody is asked where to.
        browser["prefs"] = json!({
            "download.default_directory": downloads_of(own),
            "download.prompt_for_download": false,
            "profile.default_content_setting_values.automatic_downloads": 1,
        });
        // What it tells servers and pages; how dates and numbers are written is told to each tab.
        if let Some(locale) = &options.visitor.locale {
            browser["prefs"]["intl.accept_languages"] = locale.languages().into();
        }
    }
    if let Some(program) = &options.browser {
        browser["binary"] = Value::String(program.display().to_string());
    }
    browser
}

fn explain_start(error: &WebDriverError) -> String {
    let said = match error.as_inner() {
        WebDriverErrorInner::SessionNotCreated(info) | WebDriverErrorInner::UnknownError(info) => {
            headline(info)
        }
        _ => error.to_string(),
    };
    if said.contains("cannot find") || said.contains("no chrome binary") {
        format!("{said}; install chromium (Debian: apt-get install chromium) or name its path")
    } else if said.contains("unable to connect") && ("localhost", 0).to_socket_addrs().is_err() {
        // Chromedriver asks the browser by this name, and opens its connections to it.
        format!("{said}; the name localhost has no address here: add `127.0.0.1 localhost` to /etc/hosts")
    } else if said.contains("only supports Chrome version") {
        format!("{said}; install chromium and chromedriver of one version, or name the path of another")
    } else {
        said
    }
}

/// What the server said, without the versions and the stack that follow.
fn headline(info: &WebDriverErrorInfo) -> String {
    let lines = info.value.message.lines().map(str::trim);
    lines.take_while(|line| !line.starts_with("(Session info")).collect::<Vec<_>>().join(" ")
}

/// Phrases by which chromedriver says that the browser is not there any more.
const BROWSER_GONE: [&str; 5] = [
    "disconnected",
    "chrome not reachable",
    "session deleted",
    "not connected to DevTools",
    "web view not found",
];

fn classify(request: &'static str, deadline: Duration, error: WebDriverError) -> DriverError {
    use WebDriverErrorInner as E;
    match error.into_inner() {
        E::UnexpectedAlertOpen(info) => DriverError::DialogOpen { text: dialog_text(&info) },
        E::InvalidSessionId(info) => DriverError::Gone { what: "browser", detail: headline(&info) },
        E::NoSuchWindow(info) => DriverError::Gone { what: "tab", detail: headline(&info) },
        // The server says so at once where a script's page was left before the script was done.
        E::ScriptTimeout(info) | E::WebDriverTimeout(info)
            if headline(&info).contains("aborted by navigation") =>
        {
            DriverError::Refused { request, detail: "the page was left before it answered".to_owned() }
        }
        E::ScriptTimeout(_) | E::WebDriverTimeout(_) | E::Timeout(_) => {
            DriverError::Deadline { request, deadline }
        }
        E::HttpError(detail) | E::RequestFailed(detail) => {
            DriverError::Gone { what: "WebDriver server", detail }
        }
        E::IoError(e) => DriverError::Gone { what: "WebDriver server", detail: e.to_string() },
        E::NotInSpec(info) | E::UnknownError(info) | E::JavascriptError(info) => {
            classify_by_words(request, &info)
        }
        E::InvalidArgument(info)
        | E::NoSuchAlert(info)
        | E::ElementNotInteractable(info)
        | E::MoveTargetOutOfBounds(info)
        | E::UnsupportedOperation(info)
        | E::UnableToCaptureScreen(info)
        | E::SessionNotCreated(info) => DriverError::Refused { request, detail: headline(&info) },
        other => DriverError::Refused { request, detail: other.to_string() },
    }
}

/// For errors whose code does not say what happened.
fn classify_by_words(request: &'static str, info: &WebDriverErrorInfo) -> DriverError {
    let detail = headline(info);
    if detail.contains("tab crashed") {
        DriverError::Gone { what: "tab", detail }
    } else if BROWSER_GONE.iter().any(|words| detail.contains(words)) {
        DriverError::Gone { what: "browser", detail }
    } else {
        DriverError::Refused { request, detail }
    }
}

fn dialog_text(info: &WebDriverErrorInfo) -> String {
    let text = info.value.data.as_ref().and_then(|data| data["text"].as_str());
    text.map_or_else(|| headline(info), str::to_owned)
}
