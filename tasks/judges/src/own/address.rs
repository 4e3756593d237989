//! A reward by an address: a POST of the line as JSON. Invariants: a request ends within its limit, body included; a
//! redirection is no answer, because it would carry the line to somebody who was not named.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{MAX_ANSWER, OwnError, OwnReward, number};

/// Somebody who answers requests.
#[derive(Debug)]
pub struct Address {
    url: Url,
    limit: Duration,
    client: Client,
    runtime: Runtime,
}

impl Address {
    /// Prepares to ask at an address; nothing is sent yet.
    ///
    /// # Errors
    /// If it is no address, or begins with `https` in a program that is built without that.
    pub fn try_new(url: &str, limit: Duration) -> Result<Self, OwnError> {
        let no_address = |why: String| OwnError::NoAddress { address: shown(url), why };
        let parsed = Url::parse(url).map_err(|error| no_address(error.to_string()))?;
        match parsed.scheme() {
            "http" => {}
            "https" if cfg!(feature = "https") => {}
            "https" => {
                return Err(no_address(
                    "this program is built without https: `make build` builds it".to_owned(),
                ));
            }
            other => {
                return Err(no_address(format!("it begins with `{other}`, and not with `http` or `https`")));
            }
        }
        let mut client = Client::builder().redirect(Policy::none());
        let is_here = parsed
            .host_str()
            .is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."));
        if is_here {
            // A proxy stands elsewhere, and cannot reach this machine's own addresses.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| no_address(causes(&error)))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| no_address(error.to_string()))?;
        Ok(Self { url: parsed, limit, client, runtime })
    }

    async fn post(&self, body: String) -> Result<f64, OwnError> {
        let unreachable = |error: reqwest::Error| OwnError::Unreachable {
            address: shown(self.url.as_str()),
            why: causes(&error.without_url()),
        };
        let request =
            self.client.post(self.url.clone()).header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(OwnError::Refused { address: shown(self.url.as_str()), status });
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER {
                return Err(OwnError::TooLong);
            }
        }
        number(&answer)
    }
}

impl OwnReward for Address {
    fn ask(&mut self, line: &Value) -> Result<f64, OwnError> {
        let answer = async { tokio::time::timeout(self.limit, self.post(line.to_string())).await };
        self.runtime.block_on(answer).map_err(|_elapsed| OwnError::OutOfTime { limit: self.limit })?
    }
}

/// An address without the parts in which people put secrets: a name with a password, and what follows a question mark.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

/// An error and its causes: the outer ones say little.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_an_address_are_not_shown() {
        assert_eq!(shown("http://me:pw@host:80/a/b?key=1#x"), "http://host:80/a/b");
        assert_eq!(shown("host?key=1"), "host");
    }

    #[test]
    fn what_is_no_address_says_so() {
        let why = |url: &str| Address::try_new(url, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(why("ftp://host/").contains("it begins with `ftp`"));
        assert!(why("host/path").contains("`host/path` is no address"));
        if cfg!(not(feature = "https")) {
            assert!(why("https://host/").contains("`make build`"));
        }
    }
}
