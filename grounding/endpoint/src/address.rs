//! Where a server is, and the key that it wants. Invariant: an address carries no secret, and a key is never printed.

use std::fmt;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::error::EndpointError;

/// The address below which the paths of the API lie, such as `http://localhost:8000/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// If it is none, carries what could be a secret, or begins with `https` in a program that is built without that.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        // What was typed is not repeated: it may be what is refused, a secret.
        let no_address = |why: &str| EndpointError::NoAddress { why: why.to_owned() };
        let url = Url::parse(text.trim_end_matches('/'))
            .map_err(|error| no_address(&format!("{error}; it looks like http://localhost:8000/v1")))?;
        match url.scheme() {
            "http" => {}
            "https" if cfg!(feature = "https") => {}
            "https" => {
                return Err(no_address(
                    "this program is built without https: `make build` builds it with every part",
                ));
            }
            other => {
                return Err(no_address(&format!("it begins with `{other}`, and not with `http` or `https`")));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(no_address("it carries a name or a password: put the key into OPENAI_API_KEY"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(no_address("it has something behind `?` or `#`: leave that out"));
        }
        Ok(Self(url))
    }

    /// The address of a path of the API.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{self}/{path}")
    }

    /// Whether it is this machine's own: a proxy stands elsewhere, and cannot reach it.
    pub(crate) fn is_here(&self) -> bool {
        self.0
            .host_str()
            .is_some_and(|host| host == "localhost" || host == "[::1]" || host.starts_with("127."))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What a server wants to see before it answers.
#[derive(Clone)]
pub struct ApiKey {
    text: String,
    pub(crate) header: HeaderValue,
}

impl ApiKey {
    /// A key as it is written in the environment.
    ///
    /// # Errors
    /// If it has characters that no header can carry.
    pub fn new(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim().to_owned();
        let mut header =
            HeaderValue::try_from(format!("Bearer {text}")).map_err(|_invalid| EndpointError::OddKey)?;
        header.set_sensitive(true);
        Ok(Self { text, header })
    }

    /// What a server said, without the key in it: some servers repeat it.
    pub(crate) fn hidden_in(&self, said: &str) -> String {
        if self.text.is_empty() { said.to_owned() } else { said.replace(&self.text, "[key]") }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_one_way() {
        for text in ["http://localhost:8000/v1", "http://localhost:8000/v1/", "http://LOCALHOST:8000/v1//"] {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), "http://localhost:8000/v1");
            assert_eq!(url.join("models"), "http://localhost:8000/v1/models");
            assert!(url.is_here());
        }
        assert_eq!(BaseUrl::parse("http://host").unwrap().join("models"), "http://host/models");
        assert!(!BaseUrl::parse("http://host").unwrap().is_here());
    }

    #[test]
    fn what_could_be_a_secret_is_refused_and_not_repeated() {
        for (text, why) in [
            ("http://me:hush@host/v1", "OPENAI_API_KEY"),
            ("http://hush@host/v1", "OPENAI_API_KEY"),
            ("http://host/v1?key=hush", "leave that out"),
            ("http://host/v1#hush", "leave that out"),
            ("ftp://host/v1", "it begins with `ftp`"),
            ("host/v1", "it looks like http://localhost:8000/v1"),
            ("localhost:8000", "it begins with `localhost`"),
        ] {
            let said = BaseUrl::parse(text).unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hush"), "{text}: {said}");
        }
        if cfg!(not(feature = "https")) {
            assert!(BaseUrl::parse("https://host/v1").unwrap_err().to_string().contains("`make build`"));
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = ApiKey::new(" sk-hush\n").unwrap();
        assert_eq!(key.header, "Bearer sk-hush");
        let printed =
            format!("{key:?} {:?} {}", key.header, key.hidden_in("Incorrect API key provided: sk-hush."));
        assert!(!printed.contains("hush"), "{printed}");
        assert!(matches!(ApiKey::new("a\u{7}b"), Err(EndpointError::OddKey)));
    }
}
