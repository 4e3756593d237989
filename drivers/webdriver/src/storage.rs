//! Cookies and local storage, taken and put back over a connection of our own to the browser.
//!
//! Invariants: no server is asked for anything, because a tab of our own shows an empty page in the place of each origin whose
//! storage is looked up; the tab is closed afterwards; what was put back is there, or the error names what is not; no value
//! becomes a part of an error.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use vigorl_interface::{Cookie, DriverError, OriginStorage, StorageState, StoredItem};

use crate::own_tab::{Answers, OwnTab};

/// What stands in the place of a page.
const EMPTY_PAGE: &[u8] = b"<!doctype html>";

/// All that is stored.
const ITEMS: &str = "Array.from({ length: localStorage.length }, (_, n) => localStorage.key(n)) \
                     .map((name) => [name, localStorage.getItem(name)])";
/// Stores items, and says which are not there afterwards.
const STORE: &str = "(argument.forEach(([name, value]) => localStorage.setItem(name, value)), \
                     argument.filter(([name, value]) => localStorage.getItem(name) !== value).map(([name]) => name))";

/// Answers every request of a tab with an empty page, in the place of the server.
#[derive(Debug)]
pub(crate) struct EmptyPages;

/// Whoever takes and puts back cookies and local storage.
pub(crate) type Keeper = OwnTab<EmptyPages>;

impl Answers for EmptyPages {
    fn wanted(&self) -> Value {
        json!({ "patterns": [{ "urlPattern": "*" }] })
    }

    fn answer(&mut self, event: &Value) -> Option<(&'static str, Value)> {
        let answer = json!({
            "requestId": event["params"]["requestId"], "responseCode": 200,
            "responseHeaders": [{ "name": "Content-Type", "value": "text/html" }],
            "body": BASE64_STANDARD.encode(EMPTY_PAGE),
        });
        (event["method"] == "Fetch.requestPaused").then_some(("Fetch.fulfillRequest", answer))
    }
}

impl Keeper {
    /// All cookies, and what these origins have stored.
    pub(crate) fn take(&mut self, origins: &BTreeSet<String>) -> Result<StorageState, DriverError> {
        let cookies = self.cookies()?.iter().filter_map(cookie).collect();
        let origins = match origins.is_empty() {
            true => Vec::new(),
            false => self.in_tab(|keeper, tab| {
                origins.iter().map(|origin| keeper.stored(tab, origin)).collect::<Result<Vec<_>, _>>()
            })?,
        };
        let origins = origins.into_iter().filter(|origin| !origin.local_storage.is_empty()).collect();
        Ok(StorageState { cookies, origins, has_databases: false })
    }

    /// Puts back what is given, but for cookies that have expired.
    pub(crate) fn put_back(&mut self, state: &StorageState) -> Result<(), DriverError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let valid: Vec<&Cookie> = state.cookies.iter().filter(|cookie| !cookie.is_expired(now)).collect();
        for cookie in &valid {
            let all = json!({ "cookies": [parameters_of(cookie)] });
            self.ask(None, "Storage.setCookies", &all).map_err(|error| match error {
                DriverError::Refused { detail, .. } => self.untaken(cookie, &format!(": {detail}")),
                other => other,
            })?;
        }
        // Some are left out without a word.
        let there: Vec<Cookie> = self.cookies()?.iter().filter_map(cookie).collect();
        let is_there = |wanted: &&&Cookie| there.iter().any(|cookie| is_same(cookie, wanted));
        if let Some(missing) = valid.iter().find(|wanted| !is_there(wanted)) {
            return Err(self.untaken(missing, ""));
        }
        let filled: Vec<_> = state.origins.iter().filter(|origin| !origin.local_storage.is_empty()).collect();
        if filled.is_empty() {
            return Ok(());
        }
        self.in_tab(|keeper, tab| filled.iter().try_for_each(|origin| keeper.store(tab, origin)))
    }

    fn cookies(&mut self) -> Result<Vec<Value>, DriverError> {
        let mut all = self.ask(None, "Storage.getCookies", &json!({}))?;
        match all["cookies"].take() {
            Value::Array(cookies) => Ok(cookies),
            _ => Err(self.refused("the browser does not say which cookies it has".to_owned())),
        }
    }

    fn stored(&mut self, tab: &str, origin: &str) -> Result<OriginStorage, DriverError> {
        let items = self.evaluate(tab, origin, ITEMS, &Value::Null)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let item = |pair: &Value| Some(StoredItem { name: text(&pair[0])?, value: text(&pair[1])? });
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut local_storage: Vec<StoredItem> = items.iter().filter_map(item).collect();
        // A browser has them in no order.
        local_storage.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(OriginStorage { origin: origin.to_owned(), local_storage })
    }

    fn store(&mut self, tab: &str, storage: &OriginStorage) -> Result<(), DriverError> {
        let OriginStorage { origin, local_storage } = storage;
        let items: Vec<Value> = local_storage.iter().map(|item| json!([item.name, item.value])).collect();
        let missing = self.evaluate(tab, origin, STORE, &items.into())?;
        match missing.as_array().map(Vec::as_slice) {
            Some([]) => Ok(()),
            Some([first, ..]) => {
                Err(self.refused(format!("the browser does not take the item {first} of {origin}")))
            }
            None => Err(self.refused(format!("{origin} does not say what it has stored"))),
        }
    }

    /// What an expression is on the empty page of an origin.
    fn evaluate(
        &mut self,
        tab: &str,
        origin: &str,
        expression: &str,
        argument: &Value,
    ) -> Result<Value, DriverError> {
        let there = self.ask(Some(tab), "Page.navigate", &json!({ "url": format!("{origin}/") }))?;
        if let Some(why) = there["errorText"].as_str() {
            return Err(self.refused(format!("{origin}: {why}")));
        }
        let quoted = Value::from(origin);
        let expression = format!(
            "((argument) => {{ if (location.origin !== new URL({quoted}).origin) \
             throw new Error('this page is of ' + location.origin); return {expression}; }})({argument})"
        );
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let mut said = self.ask(Some(tab), "Runtime.evaluate", &parameters)?;
        match said["exceptionDetails"]["exception"]["description"].as_str() {
            Some(thrown) => {
                let why = thrown.lines().next().unwrap_or_default();
                Err(self.refused(format!("{origin}: {why}")))
            }
            None => Ok(said["result"]["value"].take()),
        }
    }

    fn untaken(&self, cookie: &Cookie, why: &str) -> DriverError {
        let Cookie { name, domain, path, .. } = cookie;
        self.refused(format!("the browser does not take the cookie `{name}` of {domain}{path}{why}"))
    }
}

/// A cookie as the browser tells it.
fn cookie(json: &Value) -> Option<Cookie> {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let partition = &json["partitionKey"];
    Some(Cookie {
        name: text("name")?,
        value: text("value")?,
        domain: text("domain")?,
        path: text("path")?,
        expires: json["expires"].as_f64().unwrap_or(-1.0),
        http_only: json["httpOnly"].as_bool().unwrap_or(false),
        secure: json["secure"].as_bool().unwrap_or(false),
        // What it takes by itself.
        same_site: Some(text("sameSite").unwrap_or_else(|| "Lax".to_owned())),
        partition_key: partition["topLevelSite"].as_str().map(str::to_owned),
        has_cross_site_ancestor: partition["hasCrossSiteAncestor"].as_bool(),
    })
}

/// A cookie as the browser is told it.
fn parameters_of(cookie: &Cookie) -> Value {
    let Cookie { name, value, domain, path, http_only, secure, .. } = cookie;
    let mut parameters = json!({
        "name": name, "value": value, "domain": domain, "path": path, "httpOnly": http_only, "secure": secure,
    });
    if cookie.expires >= 0.0 {
        parameters["expires"] = cookie.expires.into();
    }
    if let Some(same_site) = &cookie.same_site {
        parameters["sameSite"] = same_site.as_str().into();
    }
    if let Some(site) = &cookie.partition_key {
        let has_ancestor = cookie.has_cross_site_ancestor.unwrap_or(false);
        parameters["partitionKey"] = json!({ "topLevelSite": site, "hasCrossSiteAncestor": has_ancestor });
    }
    parameters
}

/// Whether both are the same cookie, whatever the browser has made of the spelling of its host.
fn is_same(one: &Cookie, other: &Cookie) -> bool {
    let host = |cookie: &Cookie| cookie.domain.trim_start_matches('.').to_lowercase();
    (&one.name, &one.path, &one.value, host(one)) == (&other.name, &other.path, &other.value, host(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_told_as_it_was_said() {
        let said = json!({
            "name": "sid", "value": "v", "domain": ".example.org", "path": "/x", "expires": 1796070699.2, "size": 4,
            "httpOnly": true, "secure": true, "session": false, "sameSite": "None", "priority": "Medium",
            "partitionKey": { "topLevelSite": "https://top.test", "hasCrossSiteAncestor": true },
        });
        let told = parameters_of(&cookie(&said).unwrap());
        for (name, value) in told.as_object().unwrap() {
            assert_eq!(said[name], *value, "{name}");
        }
        assert_eq!(told.as_object().unwrap().len(), 9);
        let session = json!({ "name": "a", "value": "b", "domain": "h", "path": "/", "expires": -1 });
        let session = parameters_of(&cookie(&session).unwrap());
        assert_eq!((&session["expires"], &session["sameSite"]), (&Value::Null, &json!("Lax")));
        assert_eq!(cookie(&json!({ "name": "a" })), None);
    }

    #[test]
    fn a_cookie_is_the_same_however_its_host_is_spelled() {
        let of = |domain: &str, value: &str| {
            cookie(&json!({ "name": "a", "value": value, "domain": domain, "path": "/" })).unwrap()
        };
        assert!(is_same(&of(".Example.org", "b"), &of("example.org", "b")));
        assert!(!is_same(&of("example.org", "b"), &of("example.org", "c")));
        assert!(!is_same(&of("example.org", "b"), &of("example.com", "b")));
    }
}
