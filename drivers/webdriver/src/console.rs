//! The log that the browser keeps of its pages' consoles: what a script of ours says there, and what goes wrong in a page.
//!
//! Invariants: reading the log takes it away, and is all that it costs; every tab writes into it, and it outlives a page that
//! is left. Frames of another origin do not write into it (chromedriver 156).

use std::sync::Arc;

use reqwest::Url;
use serde_json::{Value, json};
use thirtyfour::common::command::{Command, ExtensionCommand};
use vigorl_interface::{DriverError, Trouble, TroubleKind};

use crate::session::Session;

/// Longest text of one trouble, in characters. It is far longer than what a record shows, so that what has to be hidden in it
/// is whole.
const MOST_LETTERS: usize = 4000;
/// How the text of a request that failed begins.
const FAILED: &str = "Failed to load resource: ";
const WITH_STATUS: &str = "the server responded with a status of ";

#[derive(Debug)]
struct ConsoleLog;

impl ExtensionCommand for ConsoleLog {
    fn parameters_json(&self) -> Option<Value> {
        Some(json!({ "type": "browser" }))
    }

    fn method(&self) -> reqwest::Method {
        reqwest::Method::POST
    }

    fn endpoint(&self) -> Arc<str> {
        "/se/log".into()
    }
}

/// The entries since the last call.
pub(crate) fn take_log(session: &Session) -> Result<Vec<Value>, DriverError> {
    let log = session.send("console", Command::ExtensionCommand(Box::new(ConsoleLog)))?;
    Ok(match log {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    })
}

/// What is wrong by an entry of the log; nothing where it is no error of the page.
pub(crate) fn trouble(entry: &Value) -> Option<Trouble> {
    if entry["level"] != "SEVERE" {
        return None;
    }
    let message = entry["message"].as_str()?;
    let (origin, line, said) = parts(message).unwrap_or(("", "", message));
    let (kind, text) = match (entry["source"].as_str()?, said.strip_prefix(FAILED)) {
        // Browsers ask for this by themselves where a page names no picture of its own.
        ("network", _) if Url::parse(origin).is_ok_and(|url| url.path() == "/favicon.ico") => return None,
        ("network", Some(why)) => {
            (TroubleKind::Request, format!("{} {origin}", why.strip_prefix(WITH_STATUS).unwrap_or(why)))
        }
        (source, _) => {
            let kind = match source {
                "network" => TroubleKind::Request,
                "console-api" => TroubleKind::Console,
                _ if said.starts_with("Uncaught") => TroubleKind::Exception,
                _ => TroubleKind::Other,
            };
            let said = if kind == TroubleKind::Console { unquoted(said) } else { said.to_owned() };
            // Of a page that is its own address, the server names the source in the address's place.
            let is_address = origin.contains(':') && !origin.starts_with("data:");
            match (origin, line) {
                ("", _) => (kind, said),
                (origin, "-") => (kind, format!("{said} ({origin})")),
                (origin, line) if is_address => (kind, format!("{said} ({origin} {line})")),
                (_, line) => (kind, format!("{said} (the page {line})")),
            }
        }
    };
    Some(Trouble { kind, text: text.chars().take(MOST_LETTERS).collect() })
}

/// Address, line and text of a message: `http://localhost/a.js 3:14 Uncaught Error: no`. Without a line, `-` stands there.
fn parts(message: &str) -> Option<(&str, &str, &str)> {
    let (origin, rest) = message.split_once(' ')?;
    let (line, said) = rest.split_once(' ')?;
    let is_line = line == "-" || line.split(':').all(is_number);
    is_line.then_some((origin, line, said))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a script gave to its console, with its texts as they are: they come as JSON, in which a secret may look otherwise.
fn unquoted(said: &str) -> String {
    let (mut words, mut rest) = (Vec::new(), said.trim_start());
    while !rest.is_empty() {
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let text = rest.starts_with('"').then(|| texts.next()).flatten().and_then(Result::ok);
        let (word, behind) = match text {
            Some(text) => (text, &rest[texts.byte_offset()..]),
            None => {
                let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
                (word.to_owned(), behind)
            }
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, message: &str, expected: Option<(TroubleKind, &str)>) {
        let entry = json!({ "level": "SEVERE", "source": source, "message": message, "timestamp": 1 });
        let expected = expected.map(|(kind, text)| Trouble { kind, text: text.to_owned() });
        assert_eq!(trouble(&entry), expected);
    }

    /// As chromedriver 156 writes them.
    #[test]
    fn an_entry_says_what_went_wrong_and_where() {
        use TroubleKind::{Console, Exception, Other, Request};
        let page = "http://127.0.0.1:3503/errs";
        check(
            "network",
            &format!(
                "{page}?img - Failed to load resource: the server responded with a status of 404 (Not Found)"
            ),
            Some((Request, "404 (Not Found) http://127.0.0.1:3503/errs?img")),
        );
        check(
            "network",
            "http://127.0.0.1:1/ - Failed to load resource: net::ERR_CONNECTION_REFUSED",
            Some((Request, "net::ERR_CONNECTION_REFUSED http://127.0.0.1:1/")),
        );
        check(
            "console-api",
            &format!("{page} 0:63 \"bad \\\"q\\\" \\u003Cthing>\" Object 7 \"end\""),
            Some((Console, "bad \"q\" <thing> Object 7 end (http://127.0.0.1:3503/errs 0:63)")),
        );
        check(
            "javascript",
            &format!("{page} 0:245 Uncaught Error: boom"),
            Some((Exception, "Uncaught Error: boom (http://127.0.0.1:3503/errs 0:245)")),
        );
        check(
            "worker",
            "blob:http://127.0.0.1:3503/b490 0 Uncaught Error: inside",
            Some((Exception, "Uncaught Error: inside (blob:http://127.0.0.1:3503/b490 0)")),
        );
        check(
            "security",
            &format!("{page} - Refused to load the script"),
            Some((Other, "Refused to load the script (http://127.0.0.1:3503/errs)")),
        );
        check(
            "javascript",
            "javascript 0:30 Uncaught Error: x",
            Some((Exception, "Uncaught Error: x (the page 0:30)")),
        );
        // Whatever another version may write is told as it is.
        check("other", "out of the blue", Some((Other, "out of the blue")));
        check("console-api", "console-api 2:3 \"not closed", Some((Console, "\"not closed (the page 2:3)")));
        check("console-api", "", Some((Console, "")));
    }

    #[test]
    fn what_is_no_error_of_the_page_is_none() {
        check(
            "network",
            "http://x.test/favicon.ico - Failed to load resource: the server responded with a status of 404 (Not Found)",
            None,
        );
        let warning =
            json!({ "level": "WARNING", "source": "console-api", "message": "http://x.test/ 1:1 \"hm\"" });
        assert_eq!(trouble(&warning), None);
        assert_eq!(trouble(&json!({})), None);
    }

    #[test]
    fn a_text_has_an_end() {
        let message = format!("http://x.test/ 1:1 \"{}\"", "ä".repeat(9000));
        let entry = json!({ "level": "SEVERE", "source": "console-api", "message": message });
        assert_eq!(trouble(&entry).map(|trouble| trouble.text.chars().count()), Some(MOST_LETTERS));
    }
}
