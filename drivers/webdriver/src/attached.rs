//! A browser that runs already and is a person's: where it is, and which of its tabs are ours.
//!
//! Invariants: nothing is done to a tab that neither we nor a page in a tab of ours has opened; the browser's last tab is
//! never closed, because the browser would end with it; what the browser keeps of the person stays as it is.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vigorl_interface::{DriverError, TabId};

use crate::connection::{Connection, Port, Said};

/// How long the browser may take to say what it is, and to answer about its tabs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a browser that runs already offers its debugging port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserAddress(SocketAddrV4);

impl BrowserAddress {
    /// Reads `127.0.0.1:9222`; a name is looked up, because a browser answers to numbers and `localhost` alone.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "write host and port, such as 127.0.0.1:9222";
        if text.contains('[') || text.matches(':').count() > 1 {
            return Err(format!("chromedriver takes no address of IPv6, and no URL: {FORM}"));
        }
        let (host, port) = text.split_once(':').ok_or(FORM)?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?;
        if host.is_empty() {
            return Err(FORM.to_owned());
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(Self(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)));
        }
        let found =
            (host, port).to_socket_addrs().map_err(|error| format!("`{host}` is not found: {error}"))?;
        let v4 = |address| match address {
            SocketAddr::V4(address) => Some(Self(address)),
            SocketAddr::V6(_) => None,
        };
        found.into_iter().find_map(v4).ok_or_else(|| format!("`{host}` has no address of IPv4: {FORM}"))
    }

    /// Whether nobody but this machine can reach it.
    pub fn is_of_this_machine(self) -> bool {
        self.0.ip().is_loopback()
    }
}

impl fmt::Display for BrowserAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The browser, with a tab of ours, which is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Attached {
    address: BrowserAddress,
    /// How its own protocol is reached.
    port: Port,
    /// The tab that was opened first.
    pub(crate) first: String,
    /// All tabs that were ever ours, also those that are closed: what they have opened is ours, too.
    ours: RefCell<BTreeSet<String>>,
    connection: RefCell<Option<Connection>>,
}

impl Attached {
    /// Opens an empty tab in the browser at this address.
    ///
    /// # Errors
    /// [`DriverError::Refused`] says what is there instead of a browser, and the cure.
    pub(crate) fn open(
        address: BrowserAddress,
        runtime: &Runtime,
        http: &reqwest::Client,
    ) -> Result<Self, DriverError> {
        let failed = |detail: String| DriverError::Refused { request: "attach", detail };
        let path = runtime.block_on(asked(address, http)).map_err(failed)?;
        let mut attached = Self {
            address,
            port: Port::Known { address: address.0, path },
            first: String::new(),
            ours: RefCell::default(),
            connection: RefCell::default(),
        };
        let tab = attached.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let tab = tab.map_err(|error| failed(error.to_string()))?;
        let tab = tab["targetId"].as_str().ok_or_else(|| failed(format!("it answered {tab}")))?;
        attached.first = tab.to_owned();
        attached.is_ours_now(tab);
        Ok(attached)
    }

    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// We have opened this tab.
    pub(crate) fn is_ours_now(&self, tab: &str) {
        self.ours.borrow_mut().insert(tab.to_owned());
    }

    /// Those of the tabs that are ours, in the same order.
    pub(crate) fn ours_of(&self, tabs: Vec<TabId>) -> Result<Vec<TabId>, DriverError> {
        self.pages()?;
        let ours = self.ours.borrow();
        Ok(tabs.into_iter().filter(|tab| ours.contains(&tab.0)).collect())
    }

    /// All tabs of the browser, the person's among them. Which of them are ours is known then.
    fn pages(&self) -> Result<Vec<String>, DriverError> {
        let answer = self.ask("Target.getTargets", &json!({}))?;
        let word = |target: &Value, name: &str| target[name].as_str().unwrap_or_default().to_owned();
        let targets = answer["targetInfos"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What the browser loads ahead is no tab yet.
        let is_page = |target: &&Value| target["type"] == "page" && word(target, "subtype").is_empty();
        let pages: Vec<(String, String)> = targets
            .iter()
            .filter(is_page)
            .map(|target| (word(target, "targetId"), word(target, "openerId")))
            .collect();
        let mut ours = self.ours.borrow_mut();
        // A tab may be opened by one that is named behind it.
        while let Some((tab, _)) =
            pages.iter().find(|(tab, opener)| ours.contains(opener) && !ours.contains(tab))
        {
            ours.insert(tab.clone());
        }
        Ok(pages.into_iter().map(|(tab, _)| tab).collect())
    }

    /// Closes what is ours and still there; if nothing else is there, one tab is left, and is empty.
    fn close(&self) -> Result<(), DriverError> {
        let (ours, others): (Vec<String>, Vec<String>) = {
            let pages = self.pages()?;
            let ours = self.ours.borrow();
            pages.into_iter().partition(|tab| ours.contains(tab))
        };
        let mut ours = ours.iter();
        if others.is_empty()
            && let Some(left) = ours.next()
        {
            self.empty(left);
        }
        for tab in ours {
            // One that has closed itself meanwhile keeps no other one open.
            self.ask("Target.closeTarget", &json!({ "targetId": tab })).ok();
        }
        Ok(())
    }

    /// Leaves the page of a tab.
    fn empty(&self, tab: &str) {
        if let Ok(Some(mut connection)) = Connection::open(&self.port, tab) {
            // Where it cannot be left, it stays: the tab is closed by whoever closes the browser.
            answer_of(&mut connection, "Page.navigate", &json!({ "url": "about:blank" })).ok();
        }
    }

    /// It is gone, and what helps.
    pub(crate) fn gone(&self, detail: &str) -> DriverError {
        let detail = format!("{detail}; start it again, with its debugging port at {}", self.address);
        DriverError::Gone { what: "browser that was attached to", detail }
    }

    /// A request to the browser and its answer. A connection that is of no use any more is opened once more.
    fn ask(&self, method: &str, parameters: &Value) -> Result<Value, DriverError> {
        let gone = |detail: String| self.gone(&detail);
        let mut kept = self.connection.borrow_mut();
        if let Some(connection) = kept.as_mut()
            && let Ok(answer) = answer_of(connection, method, parameters)
        {
            return answer;
        }
        *kept = None;
        let opened = Connection::open_browser(&self.port).map_err(gone)?;
        let connection = kept.insert(opened.ok_or_else(|| gone("it offers no connection".to_owned()))?);
        answer_of(connection, method, parameters).map_err(|why| gone(why.to_owned()))?
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // A browser that is gone has no tabs to close.
        self.close().ok();
    }
}

/// A request over a connection and what was answered.
///
/// # Errors
/// Why the connection is of no use.
fn answer_of(
    connection: &mut Connection,
    method: &str,
    parameters: &Value,
) -> Result<Result<Value, DriverError>, &'static str> {
    const CLOSED: &str = "its connection was closed";
    let id = connection.ask(method, parameters).ok_or(CLOSED)?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        match connection.hear() {
            Said::Message(mut message) if message["id"] == id => {
                return Ok(match message["error"]["message"].as_str() {
                    Some(why) => Err(DriverError::Refused { request: "tabs", detail: why.to_owned() }),
                    None => Ok(message["result"].take()),
                });
            }
            Said::Message(_) | Said::Silence => {}
            Said::Useless => return Err(CLOSED),
        }
    }
    Err("it does not answer")
}

/// Asks who is there; where the browser's own protocol begins, if it is one.
async fn asked(address: BrowserAddress, http: &reqwest::Client) -> Result<String, String> {
    const CURE: &str = "start the browser with --remote-debugging-port=PORT and, as Chrome wants it, with \
                        --user-data-dir=FOLDER, and name its host and port";
    let url = format!("http://{address}/json/version");
    let told = |error: &reqwest::Error| {
        let what = if error.is_connect() {
            "nobody listens there"
        } else if error.is_timeout() {
            "who listens there does not answer"
        } else {
            "who listens there is no browser"
        };
        format!("{what}: {CURE}")
    };
    let answer = http.get(url).timeout(PATIENCE).send().await.map_err(|error| told(&error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| told(&error))?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    // `ws://HOST:PORT/devtools/browser/…`
    let rest = said["webSocketDebuggerUrl"].as_str().and_then(|url| url.strip_prefix("ws://"));
    let path = rest.and_then(|rest| Some(rest[rest.find('/')?..].to_owned()));
    path.ok_or_else(|| {
        let begin: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
        format!("who listens there is no browser (it answered {} `{begin}`): {CURE}", status.as_u16())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text: &str| BrowserAddress::parse(text).map(|address| address.to_string());
        assert_eq!(shown("127.0.0.1:9222").unwrap(), "127.0.0.1:9222");
        assert_eq!(shown("LocalHost:1").unwrap(), "127.0.0.1:1");
        for wrong in ["", "9222", ":9222", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "h:x"]
        {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains("such as 127.0.0.1:9222"), "{wrong}: {error}");
        }
        for wrong in ["[::1]:9222", "http://127.0.0.1:9222", "::1:9222"] {
            assert!(shown(wrong).unwrap_err().contains("no address of IPv6, and no URL"), "{wrong}");
        }
    }

    #[test]
    fn this_machine_is_what_nobody_else_reaches() {
        let is_ours = |text: &str| BrowserAddress::parse(text).unwrap().is_of_this_machine();
        assert!(is_ours("127.0.0.1:9222") && is_ours("127.8.8.8:9222") && is_ours("localhost:9222"));
        assert!(!is_ours("192.0.2.7:9222") && !is_ours("0.0.0.0:9222") && !is_ours("10.0.0.1:9222"));
    }
}
