//! Whoever attends every tab and frame of the browser, over a connection of their own: tells them what is wished, and keeps
//! which origins are visited.
//!
//! Invariants: no page waits for it, so that one in a new window may run before it was told; tabs that are there at the start
//! are told before any page is loaded; if the connection breaks, whoever drives is told with the next request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vigorl_interface::{Allowed, DriverError, Geolocation, Locale, Permissions, Visitor};

use crate::connection::{Connection, Port, Said};
use crate::options::Options;

/// The permission to know where somebody is.
const GEOLOCATION: &str = "geolocation";
/// What the browser says where another tab has set this locale for the process that both share.
const ALREADY: &str = "already in effect";

/// What is wished of a browser that it is not started with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wishes {
    /// That it is kept which origins are visited.
    origins: bool,
    /// How numbers and dates are written, told to each tab.
    locale: Option<Locale>,
    /// Where its pages are visited from, told to each tab.
    geolocation: Option<Geolocation>,
    /// What pages are answered that want a permission, told to the browser once.
    permissions: Vec<(String, Allowed)>,
}

impl Wishes {
    /// What these options ask for.
    pub(crate) fn of(options: &Options) -> Self {
        let Visitor { locale, geolocation, permissions, .. } = options.visitor.clone();
        let mut permissions: Vec<_> = permissions
            .iter()
            .flat_map(Permissions::iter)
            .map(|(name, allowed)| (name.to_owned(), allowed))
            .collect();
        // Whoever says where the visitor is wants pages to know it, unless the answer is another one.
        let is_said = permissions.iter().any(|(name, _)| name == GEOLOCATION);
        if geolocation.is_some() && !is_said {
            permissions.push((GEOLOCATION.to_owned(), Allowed::Granted));
        }
        Self { origins: options.origins, locale, geolocation, permissions }
    }

    /// Whether nobody has to attend.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is to be told to tabs, or heard of them.
    fn is_about_tabs(&self) -> bool {
        self.origins || self.locale.is_some() || self.geolocation.is_some()
    }
}

/// The attendant, until it is dropped.
#[derive(Debug)]
pub(crate) struct Attendant {
    known: Arc<Mutex<Known>>,
    /// The other end of its connection.
    end: TcpStream,
    thread: Option<JoinHandle<()>>,
}

/// What it knows.
#[derive(Debug, Default)]
struct Known {
    /// Of the pages that were visited, in frames too.
    origins: BTreeSet<String>,
    /// Why it attends no more.
    broken: Option<String>,
}

impl Attendant {
    /// Attends the browser at this port. Tabs that are there are attended to when this returns.
    ///
    /// # Errors
    /// Why that cannot be, or which wish the browser refuses.
    pub(crate) fn start(port: &Port, wishes: Wishes, deadline: Duration) -> Result<Self, String> {
        let connection = Connection::open_browser(port)?
            .ok_or("this browser offers no connection of its own to the program that drives it")?;
        let end = connection.end().map_err(|error| error.to_string())?;
        let known = Arc::new(Mutex::new(Known::default()));
        let mut work = Work {
            connection,
            wishes,
            known: Arc::clone(&known),
            tabs: BTreeSet::new(),
            asked: BTreeMap::new(),
            begins: true,
        };
        work.begin(deadline)?;
        let thread = std::thread::Builder::new().name("attendant".to_owned()).spawn(move || work.go_on());
        let thread = thread.map_err(|error| format!("no thread: {error}"))?;
        Ok(Self { known, end, thread: Some(thread) })
    }

    /// Whether it still attends.
    ///
    /// # Errors
    /// Why not: new tabs are told nothing any more, and nobody knows which origins are visited.
    pub(crate) fn check(&self) -> Result<(), DriverError> {
        match &locked(&self.known).broken {
            None => Ok(()),
            Some(why) => Err(DriverError::Gone { what: "browser's attendant", detail: why.clone() }),
        }
    }

    /// The origins that were visited.
    pub(crate) fn origins(&self) -> BTreeSet<String> {
        locked(&self.known).origins.clone()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        locked(&self.known).origins.clear();
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        // An error means that the browser has closed it already.
        self.end.shutdown(Shutdown::Both).ok();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been told where it was.
            thread.join().ok();
        }
    }
}

fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread does.
struct Work {
    connection: Connection,
    wishes: Wishes,
    known: Arc<Mutex<Known>>,
    /// The sessions of tabs and frames that are there.
    tabs: BTreeSet<String>,
    /// Requests without an answer yet: in which session, and whether a refusal matters.
    asked: BTreeMap<u64, (Option<String>, Matters)>,
    /// Whether no page is loaded yet.
    begins: bool,
}

/// Whether a refusal of a request matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matters {
    Yes,
    /// The tab may be gone by now.
    No,
}

/// What it ends with, as words.
type Broken = String;

impl Work {
    /// Attends to what is there.
    fn begin(&mut self, deadline: Duration) -> Result<(), Broken> {
        // Over this connection, because they are forgotten with it.
        for (name, allowed) in self.wishes.permissions.clone() {
            let permission = json!({ "permission": { "name": name }, "setting": allowed.as_str() });
            self.ask(None, "Browser.setPermission", &permission, Matters::Yes)?;
        }
        if self.wishes.is_about_tabs() {
            self.look_out()?;
        }
        let end = Instant::now() + deadline;
        // What is there is told before this is answered.
        while !self.asked.is_empty() {
            if Instant::now() >= end {
                return Err(format!("the browser does not answer within {deadline:?}"));
            }
            self.hear()?;
        }
        self.begins = false;
        Ok(())
    }

    /// Attends until the connection is closed.
    fn go_on(mut self) {
        let broken = loop {
            if let Err(broken) = self.hear() {
                break broken;
            }
        };
        locked(&self.known).broken = Some(broken);
    }

    fn hear(&mut self) -> Result<(), Broken> {
        match self.connection.hear() {
            Said::Message(message) => self.handle(&message),
            Said::Silence => Ok(()),
            Said::Useless => Err("its connection was closed".to_owned()),
        }
    }

    fn handle(&mut self, message: &Value) -> Result<(), Broken> {
        if let Some(id) = message["id"].as_u64() {
            let matters = self.asked.remove(&id).map_or(Matters::No, |(_, matters)| matters);
            self.visited_in(&message["result"]["frameTree"]);
            return match (matters, message["error"]["message"].as_str()) {
                (Matters::Yes, Some(why)) if !why.contains(ALREADY) => Err(why.to_owned()),
                _ => Ok(()),
            };
        }
        let parameters = &message["params"];
        let text = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
        match message["method"].as_str() {
            Some("Target.targetCreated") => {
                self.attend_to(parameters["targetInfo"]["targetId"].as_str().unwrap_or_default())
            }
            Some("Target.attachedToTarget") => self.attended(&text("sessionId")),
            Some("Target.detachedFromTarget") => {
                let gone = text("sessionId");
                self.tabs.remove(&gone);
                // Nobody answers there any more.
                self.asked.retain(|_, (session, _)| session.as_ref() != Some(&gone));
                self.tell_locale_again()
            }
            Some("Page.frameNavigated") => {
                let frame = &parameters["frame"];
                self.visited(frame);
                // A tab that was refused beside another one of its process may have got a process of its own.
                if frame["parentId"].is_null() { self.tell_locale_again() } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Asks to be told of tabs and frames, those that are there among them.
    fn look_out(&mut self) -> Result<(), Broken> {
        let parameters = json!({
            "discover": true,
            "filter": [{ "type": "page" }, { "type": "iframe" }, { "exclude": true }],
        });
        self.ask(None, "Target.setDiscoverTargets", &parameters, Matters::Yes)
    }

    /// Attends to a tab, or a frame of another site. The browser could do so by itself (`Target.setAutoAttach`), but a window
    /// that a page opens never begins then (chromium 156 beside its driver).
    fn attend_to(&mut self, target: &str) -> Result<(), Broken> {
        let parameters = json!({ "targetId": target, "flatten": true });
        self.ask(None, "Target.attachToTarget", &parameters, Matters::No)
    }

    /// What is attended to may have come to its page before anybody was told of it.
    fn attended(&mut self, session: &str) -> Result<(), Broken> {
        self.tabs.insert(session.to_owned());
        // First what pages may look at right away.
        self.tell_locale(session)?;
        if let Some(Geolocation { latitude, longitude, accuracy }) = self.wishes.geolocation {
            let place = json!({ "latitude": latitude, "longitude": longitude, "accuracy": accuracy });
            self.ask(Some(session), "Emulation.setGeolocationOverride", &place, self.of_tab())?;
        }
        self.ask(Some(session), "Page.enable", &json!({}), Matters::No)?;
        // Where it has come to its page in between, nobody was told, and the locale was that of another process.
        self.tell_locale(session)?;
        match self.wishes.origins {
            true => self.ask(Some(session), "Page.getFrameTree", &json!({}), Matters::No),
            false => Ok(()),
        }
    }

    /// Whether a refusal matters in a tab: those that are there at the beginning stay for a while.
    fn of_tab(&self) -> Matters {
        if self.begins { Matters::Yes } else { Matters::No }
    }

    fn tell_locale(&mut self, session: &str) -> Result<(), Broken> {
        let Some(locale) = &self.wishes.locale else { return Ok(()) };
        let locale = json!({ "locale": locale.as_str() });
        self.ask(Some(session), "Emulation.setLocaleOverride", &locale, self.of_tab())
    }

    /// Tabs of one site share a process, and in it the locale belongs to the tab that has set it first: once that one is gone,
    /// or shows another site, another must set it.
    fn tell_locale_again(&mut self) -> Result<(), Broken> {
        if self.wishes.locale.is_none() {
            return Ok(());
        }
        let all: Vec<String> = self.tabs.iter().cloned().collect();
        all.iter().try_for_each(|session| self.tell_locale(session))
    }

    fn ask(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        matters: Matters,
    ) -> Result<(), Broken> {
        let id = self.connection.ask_in(session, method, parameters);
        let id = id.ok_or_else(|| "its connection was closed".to_owned())?;
        self.asked.insert(id, (session.map(str::to_owned), matters));
        Ok(())
    }

    /// The pages that a frame and those inside of it show.
    fn visited_in(&mut self, tree: &Value) {
        self.visited(&tree["frame"]);
        tree["childFrames"].as_array().into_iter().flatten().for_each(|inside| self.visited_in(inside));
    }

    /// A frame shows a page.
    fn visited(&mut self, frame: &Value) {
        let origin = frame["securityOrigin"].as_str().unwrap_or_default();
        if self.wishes.origins && (origin.starts_with("http://") || origin.starts_with("https://")) {
            locked(&self.known).origins.insert(origin.to_owned());
        }
    }
}
