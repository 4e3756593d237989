//! What a browser keeps of who uses it: cookies, and the local storage of origins.
//!
//! Invariant: what is kept is secret, so that neither an error nor `Debug` shows a value.
//!
//! The JSON is that of Playwright's `storageState`, because people have such files:
//! <https://playwright.dev/docs/api/class-browsercontext#browser-context-storage-state>. Playwright's own `_crHasCrossSiteAncestor`
//! says of a cookie that is kept apart for one site whether another site's frame lies between.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// What a file looks like.
const FORM: &str = "a storage state is `{ \"cookies\": […], \"origins\": […] }`, as Playwright writes it";
/// The kinds of `sameSite`.
const SAME_SITE: [&str; 3] = ["Strict", "Lax", "None"];

/// Cookies and local storage, such as of somebody who is logged in.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct StorageState {
    /// All cookies.
    pub cookies: Vec<Cookie>,
    /// What pages have stored, by their origins.
    pub origins: Vec<OriginStorage>,
    /// Whether the file that it was read from also has databases (`indexedDB`), which are not restored.
    #[serde(skip)]
    pub has_databases: bool,
}

/// A cookie.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value, which is secret.
    pub value: String,
    /// The host that gets it; with a dot in front, those below it as well.
    pub domain: String,
    /// Where the paths begin that get it.
    pub path: String,
    /// When it expires, in seconds since 1970; -1 if it ends with the browser.
    #[serde(serialize_with = "seconds")]
    pub expires: f64,
    /// Whether no script may read it.
    pub http_only: bool,
    /// Whether it is sent encrypted alone.
    pub secure: bool,
    /// `Strict`, `Lax` or `None`; what the browser takes by itself if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<String>,
    /// The site on whose pages alone it counts, if it is kept apart for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// Of such a cookie, whether a frame of another site lies between.
    #[serde(rename = "_crHasCrossSiteAncestor", skip_serializing_if = "Option::is_none")]
    pub has_cross_site_ancestor: Option<bool>,
}

/// What the pages of an origin have stored.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginStorage {
    /// Scheme, host, and port where it is not the usual one: `https://example.org`.
    pub origin: String,
    /// Each item by its name.
    pub local_storage: Vec<StoredItem>,
}

/// An item of a local storage.
#[derive(Clone, PartialEq, Serialize)]
pub struct StoredItem {
    /// Its name.
    pub name: String,
    /// Its value, which is secret.
    pub value: String,
}

/// A number of seconds, as a whole one where it is.
fn seconds<S: Serializer>(secs: &f64, to: S) -> Result<S::Ok, S::Error> {
    match *secs as i64 {
        whole if whole as f64 == *secs => whole.serialize(to),
        _ => secs.serialize(to),
    }
}

impl fmt::Debug for StorageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageState({} cookies, {} origins)", self.cookies.len(), self.origins.len())
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} of {}{})", self.name, self.domain, self.path)
    }
}

impl fmt::Debug for OriginStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OriginStorage({}, {:?})", self.origin, self.local_storage)
    }
}

impl fmt::Debug for StoredItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredItem({})", self.name)
    }
}

impl Cookie {
    /// Whether it has expired at this second since 1970: a browser does not take it any more.
    pub fn is_expired(&self, now: f64) -> bool {
        self.expires >= 0.0 && self.expires <= now
    }
}

impl StorageState {
    /// Reads a file of such a state.
    ///
    /// # Errors
    /// Says what is wrong where, without a value of the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| match error.is_eof() {
            true if text.trim().is_empty() => "it is empty".to_owned(),
            true => format!("it ends in line {} before it is whole: it was cut off", error.line()),
            // What the parser says of it may quote what stands there.
            false => format!("it is no JSON from line {}, column {} on", error.line(), error.column()),
        })?;
        let state = json.as_object().ok_or(FORM)?;
        if !state.contains_key("cookies") && !state.contains_key("origins") {
            return Err(format!("it has neither `cookies` nor `origins`: {FORM}"));
        }
        let mut has_databases = false;
        let cookies =
            listed(state, "cookies", "")?.map(|(at, json)| cookie(&at, json)).collect::<Result<_, _>>()?;
        let mut origin = |(at, json): (String, &Value)| {
            let (origin, with_databases) = origin_storage(&at, json)?;
            has_databases |= with_databases;
            Ok(origin)
        };
        let origins = listed(state, "origins", "")?.map(&mut origin).collect::<Result<_, String>>()?;
        Ok(Self { cookies, origins, has_databases })
    }

    /// The text of a file that says the same.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }

    /// What must not be told: the values, and the texts in those that are JSON themselves. What is too short to be hidden, or
    /// looks like an ordinary word or number, is not among them: a record without these could not be read.
    pub fn secrets(&self) -> BTreeSet<String> {
        let mut secrets = BTreeSet::new();
        for Cookie { value, http_only, .. } in &self.cookies {
            // What no script may read is nothing but a key.
            if looks_secret(value) || *http_only && value.chars().count() >= SHORTEST {
                secrets.insert(value.clone());
            }
        }
        for StoredItem { value, .. } in self.origins.iter().flat_map(|origin| &origin.local_storage) {
            if looks_secret(value) {
                secrets.insert(value.clone());
            }
            if let Ok(json @ (Value::Object(_) | Value::Array(_) | Value::String(_))) =
                serde_json::from_str(value)
            {
                add_texts(&json, &mut secrets);
            }
        }
        secrets
    }
}

/// Shorter values stand everywhere.
const SHORTEST: usize = 4;
/// From so many characters on, a value that is one word and mixes letters and digits is taken for a key.
const SHORTEST_MIXED: usize = 6;
/// From so many characters on, any value that is one word is.
const SHORTEST_LONG: usize = 16;

/// Whether a value is more likely a key than a word or a number that pages say.
fn looks_secret(value: &str) -> bool {
    let has = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    let is_mixed = has(|c| c.is_ascii_digit()) && has(|c| c.is_alphabetic());
    let n = value.chars().count();
    !value.contains(char::is_whitespace) && (n >= SHORTEST_LONG || is_mixed && n >= SHORTEST_MIXED)
}

/// The texts in a value.
fn add_texts(json: &Value, secrets: &mut BTreeSet<String>) {
    match json {
        Value::String(text) if looks_secret(text) => {
            secrets.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, secrets)),
        Value::Object(fields) => fields.values().for_each(|field| add_texts(field, secrets)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The entries of a list, each with how it is called; none where the list is absent.
fn listed<'j>(
    of: &'j Map<String, Value>,
    name: &str,
    above: &str,
) -> Result<impl Iterator<Item = (String, &'j Value)> + use<'j>, String> {
    let called = format!("{above}{name}");
    let items = match of.get(name) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => &items[..],
        Some(_) => return Err(format!("`{called}` is no list")),
    };
    Ok(items.iter().enumerate().map(move |(n, json)| (format!("{called}[{n}]"), json)))
}

fn object<'j>(at: &str, json: &'j Value) -> Result<&'j Map<String, Value>, String> {
    json.as_object().ok_or_else(|| format!("`{at}` is no object"))
}

/// The text of a field; nothing if it is absent.
fn text(at: &str, of: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{at}.{name}` is no text")),
    }
}

fn needed(at: &str, of: &Map<String, Value>, name: &str) -> Result<String, String> {
    text(at, of, name)?.ok_or_else(|| format!("`{at}.{name}` is missing"))
}

fn flag(at: &str, of: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(is_so)) => Ok(Some(*is_so)),
        Some(_) => Err(format!("`{at}.{name}` is neither true nor false")),
    }
}

fn cookie(at: &str, json: &Value) -> Result<Cookie, String> {
    let of = object(at, json)?;
    let same_site = text(at, of, "sameSite")?;
    if same_site.as_deref().is_some_and(|kind| !SAME_SITE.contains(&kind)) {
        return Err(format!("`{at}.sameSite` is none of {}", SAME_SITE.join(", ")));
    }
    let domain = needed(at, of, "domain")?;
    if domain.trim_start_matches('.').is_empty() {
        return Err(format!("`{at}.domain` is empty"));
    }
    let expires = match of.get("expires") {
        None | Some(Value::Null) => -1.0,
        Some(number) => number.as_f64().ok_or_else(|| format!("`{at}.expires` is no number"))?,
    };
    Ok(Cookie {
        name: needed(at, of, "name")?,
        value: needed(at, of, "value")?,
        domain,
        path: text(at, of, "path")?.unwrap_or_else(|| "/".to_owned()),
        expires,
        http_only: flag(at, of, "httpOnly")?.unwrap_or(false),
        secure: flag(at, of, "secure")?.unwrap_or(false),
        same_site,
        partition_key: text(at, of, "partitionKey")?,
        has_cross_site_ancestor: flag(at, of, "_crHasCrossSiteAncestor")?,
    })
}

/// Besides, whether it has databases.
fn origin_storage(at: &str, json: &Value) -> Result<(OriginStorage, bool), String> {
    let of = object(at, json)?;
    let origin = needed(at, of, "origin")?;
    let origin = origin.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_origin = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']));
    if !is_origin {
        return Err(format!("`{at}.origin` is no origin, such as https://example.org"));
    }
    let item = |(at, json): (String, &Value)| {
        let of = object(&at, json)?;
        Ok(StoredItem { name: needed(&at, of, "name")?, value: needed(&at, of, "value")? })
    };
    let items = listed(of, "localStorage", &format!("{at}."))?;
    let local_storage = items.map(item).collect::<Result<_, String>>()?;
    let has_databases = of.get("indexedDB").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    Ok((OriginStorage { origin: origin.to_owned(), local_storage }, has_databases))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Playwright 1.5x writes it.
    const STATE: &str = r#"{
  "cookies": [
    { "name": "sid", "value": "k7Xq-1234", "domain": "127.0.0.1", "path": "/", "expires": -1,
      "httpOnly": true, "secure": false, "sameSite": "Lax" },
    { "name": "theme", "value": "dark", "domain": ".example.org", "path": "/shop", "expires": 1999999999.5,
      "httpOnly": false, "secure": true, "sameSite": "None" }
  ],
  "origins": [
    { "origin": "https://example.org", "localStorage": [
      { "name": "token", "value": "{\"access\":\"eyJhbGciOi.J9\",\"role\":\"admin\",\"list\":[\"abcdefghijklmnopq\"]}" },
      { "name": "language", "value": "en-US" } ] }
  ]
}"#;

    #[test]
    fn what_playwright_writes_is_read_and_written_as_it_was() {
        let state = StorageState::parse(STATE).unwrap();
        assert_eq!(format!("{state:?}"), "StorageState(2 cookies, 1 origins)");
        let shown = format!("{:?} {:?}", state.cookies, state.origins);
        let expected = "[Cookie(sid of 127.0.0.1/), Cookie(theme of .example.org/shop)] \
                        [OriginStorage(https://example.org, [StoredItem(token), StoredItem(language)])]";
        assert_eq!(shown, expected, "no value is shown");
        let [sid, theme] = &state.cookies[..] else { panic!("{state:?}") };
        assert!(sid.http_only && !sid.secure && sid.expires == -1.0 && !sid.is_expired(9e9));
        assert!(theme.is_expired(2e9) && !theme.is_expired(1.9e9));
        assert_eq!(state.origins[0].local_storage[1].value, "en-US");
        let written = state.to_json().unwrap();
        assert_eq!(StorageState::parse(&written), Ok(state.clone()));
        let [ours, theirs] = [&written, STATE].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(ours, theirs);
        let with_databases = STATE.replace("\"localStorage\"", "\"indexedDB\": [{}], \"localStorage\"");
        assert!(StorageState::parse(&with_databases).unwrap().has_databases && !state.has_databases);
        assert!(StorageState::parse("{ \"cookies\": [] }").unwrap().origins.is_empty());
    }

    #[test]
    fn keys_are_secrets_and_words_are_not() {
        let secrets = StorageState::parse(STATE).unwrap().secrets();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let whole = "{\"access\":\"eyJhbGciOi.J9\",\"role\":\"admin\",\"list\":[\"abcdefghijklmnopq\"]}";
        assert_eq!(secrets, ["abcdefghijklmnopq", "eyJhbGciOi.J9", "k7Xq-1234", whole]);
        for (value, expected) in [
            ("k7Xq-1", true),
            ("aaaa0", false),
            ("accepted", false),
            ("1767225600000", false),
            ("12345678901234567890", true),
            ("hello you, this is a long text", false),
            ("", false),
        ] {
            assert_eq!(looks_secret(value), expected, "{value}");
        }
        let short = STATE.replace("k7Xq-1234", "open").replace("\"dark\"", "\"open\"");
        assert!(StorageState::parse(&short).unwrap().secrets().contains("open"), "no script may read it");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_a_value() {
        let check = |text: &str, words: &str| {
            let error = StorageState::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("k7Xq") && !error.contains("hunter2"), "{error}");
        };
        check("", "it is empty");
        check(&STATE[..STATE.len() / 2], "it was cut off");
        check(&STATE[..STATE.len() - 2], "it was cut off");
        check("hunter2", "no JSON from line 1");
        check(&STATE.replace("\"sid\",", "\"sid\" hunter2"), "no JSON from line 3");
        check("[{ \"name\": \"hunter2\" }]", "as Playwright writes it");
        check("{}", "neither `cookies` nor `origins`");
        check("{ \"cookies\": \"hunter2\" }", "`cookies` is no list");
        check("{ \"cookies\": [\"hunter2\"] }", "`cookies[0]` is no object");
        check(&STATE.replace("\"k7Xq-1234\"", "7"), "`cookies[0].value` is no text");
        check(&STATE.replace("\"name\": \"theme\", ", ""), "`cookies[1].name` is missing");
        check(&STATE.replace("\"127.0.0.1\"", "\".\""), "`cookies[0].domain` is empty");
        check(&STATE.replace("-1,", "\"hunter2\","), "`cookies[0].expires` is no number");
        check(&STATE.replace("\"secure\": false", "\"secure\": \"hunter2\""), "neither true nor false");
        check(&STATE.replace("\"Lax\"", "\"lax\""), "is none of Strict, Lax, None");
        check(
            &STATE.replace("https://example.org", "example.org/hunter2"),
            "`origins[0].origin` is no origin",
        );
        check(&STATE.replace("https://example.org", "https://a.b/hunter2"), "is no origin");
        check(&STATE.replace("\"name\": \"language\", ", ""), "`origins[0].localStorage[1].name` is missing");
    }
}
