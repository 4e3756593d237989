//! Logs in where a server asks for a user and a password by HTTP (Basic or Digest).
//!
//! The page is asked for once in a tab of our own, and what it asks for is answered there. From then on the browser itself
//! answers what the same origin asks for in the same realm, in all windows, frames and workers: it remembers the login, in
//! memory alone, for the server that asked. So no page of a task is held up, and a window that a page opens waits for nobody.
//! A header that is added to requests (`Network.setExtraHTTPHeaders`) would go to every server instead, and an address with
//! the password in it would be read by the page.
//!
//! Invariants: the password goes to the origin of the address, and to no other one; nothing of the page runs in our tab, and
//! nothing of it is shown; a password that is not taken is an error.

use reqwest::Url;
use serde_json::{Value, json};
use vigorl_interface::{DriverError, Login};

use crate::WebDriver;
use crate::history::{Trouble, not_loaded};
use crate::own_tab::Answers;

/// What is done.
const REQUEST: &str = "log in";
/// The ways to ask for a user and a password.
const SCHEMES: [&str; 2] = ["basic", "digest"];

/// Answers the requests of our tab on the way to the page.
#[derive(Debug)]
struct Attempt {
    login: Login,
    origin: String,
    is_given: bool,
    end: Option<End>,
}

/// Where the way ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The page came, with this HTTP status.
    Page(u64),
    /// They are asked for once more.
    Wrong,
    /// Another server asks.
    Elsewhere(String),
    /// They are asked for in a way that has no password.
    Otherwise(String),
}

impl Attempt {
    fn new(login: &Login, origin: &str) -> Self {
        Self { login: login.clone(), origin: origin.to_owned(), is_given: false, end: None }
    }

    /// What is answered to a server that asks who is there.
    fn authenticate(&mut self, challenge: &Value) -> Value {
        let text = |name: &str| challenge[name].as_str().unwrap_or_default().to_owned();
        let asks = origin_of(&text("origin")).unwrap_or_default();
        let scheme = text("scheme").to_lowercase();
        let refused = match () {
            () if asks != self.origin || text("source") != "Server" => Some(End::Elsewhere(text("origin"))),
            () if !SCHEMES.contains(&scheme.as_str()) => Some(End::Otherwise(scheme)),
            () if self.is_given => Some(End::Wrong),
            () => None,
        };
        match refused {
            Some(end) => {
                self.end = Some(end);
                json!({ "response": "CancelAuth" })
            }
            None => {
                self.is_given = true;
                let (user, password) = (self.login.user(), self.login.password());
                json!({ "response": "ProvideCredentials", "username": user, "password": password })
            }
        }
    }
}

impl Answers for Attempt {
    fn wanted(&self) -> Value {
        // Nobody is asked to authenticate in a request that is not stopped at its beginning.
        let of = |stage: &str| json!({ "urlPattern": "*", "requestStage": stage });
        json!({ "handleAuthRequests": true, "patterns": [of("Request"), of("Response")] })
    }

    fn answer(&mut self, event: &Value) -> Option<(&'static str, Value)> {
        let asked = &event["params"];
        let id = &asked["requestId"];
        match event["method"].as_str()? {
            "Fetch.authRequired" => {
                let answer = self.authenticate(&asked["authChallenge"]);
                Some(("Fetch.continueWithAuth", json!({ "requestId": id, "authChallengeResponse": answer })))
            }
            "Fetch.requestPaused" => {
                let status = asked["responseStatusCode"].as_u64();
                match status.filter(|status| !(300..400).contains(status)) {
                    // It begins, leads on, or has failed.
                    None => Some(("Fetch.continueRequest", json!({ "requestId": id }))),
                    Some(status) => {
                        self.end.get_or_insert(End::Page(status));
                        Some(("Fetch.failRequest", json!({ "requestId": id, "errorReason": "Aborted" })))
                    }
                }
            }
            _ => None,
        }
    }
}

/// The origin of an address of HTTP.
fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    Some(url.origin().ascii_serialization())
}

impl WebDriver {
    /// Logs in where an address leads to. Whoever has logged in there before is not asked any more.
    pub(crate) fn log_in_to(&mut self, url: &str, login: &Login) -> Result<(), DriverError> {
        let url = &self.address(REQUEST, url)?;
        let Some(origin) = origin_of(url) else {
            let detail =
                format!("`basic_auth` is for a page of HTTP, and {url} is none: leave one of them out");
            return Err(DriverError::NoAccess { detail });
        };
        let before = self.logins.get(&origin);
        if before.is_some_and(|before| before != login) {
            let detail = format!("this browser is logged in to {origin} as somebody else: open it anew");
            return Err(DriverError::NoAccess { detail });
        }
        let mut tab = self.session().own_tab(REQUEST, Attempt::new(login, &origin))?;
        let went =
            tab.in_tab(|tab, session| tab.ask(Some(session), "Page.navigate", &json!({ "url": url })))?;
        let ours = tab.answers;
        let failed = went["errorText"].as_str().unwrap_or_default();
        let no_access = |detail: String| Err(DriverError::NoAccess { detail });
        match ours.end {
            Some(End::Page(_)) if ours.is_given => {
                self.logins.insert(origin, login.clone());
                Ok(())
            }
            Some(End::Page(status)) if status >= 400 => Err(DriverError::Refused {
                request: REQUEST,
                detail: format!("{url} answered {status}, and did not ask for a user and a password"),
            }),
            Some(End::Page(_)) if before.is_some() => Ok(()),
            Some(End::Page(_)) => no_access(format!(
                "{url} does not ask for a user and a password, so that nobody was given those of `basic_auth`: leave them out, \
                 or let `start.url` name a page that asks for them"
            )),
            Some(End::Wrong) => no_access(format!(
                "{origin} does not take the user and the password of `basic_auth`: one of them is wrong there"
            )),
            Some(End::Elsewhere(other)) => no_access(format!(
                "{url} leads to {other}, which asks for a user and a password, and those of `basic_auth` are for {origin} alone: \
                 let `start.url` name the page that asks for them"
            )),
            Some(End::Otherwise(scheme)) => no_access(format!(
                "{origin} asks who is there in the way `{scheme}`, and `basic_auth` knows {}",
                SCHEMES.join(" and ")
            )),
            None => Err(not_loaded(
                REQUEST,
                url,
                &Trouble { code: failed, status: 0 },
                self.options.visitor.certificates.as_ref(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(origin: &str, scheme: &str) -> Value {
        let challenge = json!({ "source": "Server", "origin": origin, "scheme": scheme, "realm": "r" });
        json!({ "method": "Fetch.authRequired", "params": { "requestId": "1", "authChallenge": challenge } })
    }

    /// What is answered to each of these, and where the way ends.
    fn answered(events: &[Value]) -> (Vec<String>, Option<End>) {
        let login = Login::new("ada", "hunter2").unwrap();
        let mut attempt = Attempt::new(&login, "https://a.test");
        let answers = events.iter().filter_map(|event| attempt.answer(event));
        let told = answers.map(|(method, parameters)| match parameters["authChallengeResponse"]["response"]
            .as_str()
        {
            Some(response) => response.to_owned(),
            None => method.to_owned(),
        });
        (told.collect(), attempt.end)
    }

    #[test]
    fn the_password_is_given_once_and_to_its_origin_alone() {
        for (asker, scheme, end) in [
            ("https://b.test", "basic", End::Elsewhere("https://b.test".to_owned())),
            ("http://a.test", "basic", End::Elsewhere("http://a.test".to_owned())),
            ("https://a.test:8443", "basic", End::Elsewhere("https://a.test:8443".to_owned())),
            ("https://a.test", "negotiate", End::Otherwise("negotiate".to_owned())),
        ] {
            assert_eq!(answered(&[asks(asker, scheme)]), (vec!["CancelAuth".to_owned()], Some(end)));
        }
        let (answers, end) =
            answered(&[asks("https://a.test:443", "Basic"), asks("https://a.test", "basic")]);
        assert_eq!(answers, ["ProvideCredentials", "CancelAuth"]);
        assert_eq!(end, Some(End::Wrong));
        let proxy = json!({ "method": "Fetch.authRequired", "params": { "authChallenge": { "source": "Proxy",
            "origin": "https://a.test", "scheme": "basic" } } });
        assert_eq!(answered(&[proxy]).0, ["CancelAuth"]);
    }

    #[test]
    fn the_page_itself_is_never_shown() {
        let paused = |status: Value| json!({ "method": "Fetch.requestPaused", "params": { "responseStatusCode": status } });
        let way = [
            paused(Value::Null),
            paused(302.into()),
            paused(Value::Null),
            asks("https://a.test", "basic"),
            paused(200.into()),
        ];
        let (answers, end) = answered(&way);
        let on = "Fetch.continueRequest";
        assert_eq!(answers, [on, on, on, "ProvideCredentials", "Fetch.failRequest"]);
        assert_eq!(end, Some(End::Page(200)));
        // What a server shows to whoever is refused changes nothing.
        let (_, end) = answered(&[asks("https://b.test", "basic"), paused(401.into())]);
        assert_eq!(end, Some(End::Elsewhere("https://b.test".to_owned())));
    }
}
