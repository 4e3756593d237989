//! The user and the password that the server of the start page asks for. Invariant: no text that is made of them tells the
//! password, but what is sent to the server and what is hidden.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigorl_interface::Login;

use super::Secret;
use super::values::SHORTEST_SECRET;

/// What stands in a record instead of a password that has no name.
const NAME: &str = "basic_auth";
/// How a login is typed.
pub const LOGIN_HELP: &str = "USER:${secret:NAME}";

/// A user and a password, as they stand in a task.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BasicAuth")]
pub struct WrittenLogin {
    /// The name of the user.
    pub user: String,
    /// The password: best a secret, `${secret:NAME}`.
    pub password: String,
    /// Whether variables and secrets are in their places.
    #[serde(skip)]
    is_filled: bool,
}

impl fmt::Debug for WrittenLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrittenLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Display for WrittenLogin {
    /// As it is typed: for what was typed alone, whose password is the name of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, if self.is_filled { "…" } else { &self.password })
    }
}

impl FromStr for WrittenLogin {
    type Err = String;

    /// What is typed stays in a shell's history and in records: it has the name of a secret in it, and no password.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(user, _)| !user.is_empty() && !user.contains("${"));
        let named = |password: &str| {
            let name = password.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}'));
            name.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}']))
        };
        match parts.filter(|(_, password)| named(password)) {
            Some((user, password)) => {
                Ok(Self { user: user.to_owned(), password: password.to_owned(), is_filled: false })
            }
            // It may hold a password, so it is not repeated.
            None => Err(format!(
                "expected {LOGIN_HELP} (in a shell in single quotes), where NAME is a secret of --secrets or the environment: a \
                 password itself is not typed"
            )),
        }
    }
}

impl WrittenLogin {
    /// One whose variables and secrets are in their places.
    pub(super) fn filled(user: String, password: String) -> Self {
        Self { user, password, is_filled: true }
    }

    pub(super) fn is_filled(&self) -> bool {
        self.is_filled
    }

    /// What must be hidden of one that is filled: the password, and what is sent to the server, which says the same.
    pub(super) fn hidden(&self) -> Result<Vec<Secret>, String> {
        if self.password.chars().count() < SHORTEST_SECRET {
            return Err(format!(
                "the password of `start.basic_auth` is shorter than {SHORTEST_SECRET} characters, which cannot be hidden in a record"
            ));
        }
        let sent = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        let hidden = [self.password.clone(), sent.trim_end_matches('=').to_owned()];
        Ok(hidden.map(|value| Secret { name: NAME.to_owned(), value, is_stored: false }).into())
    }

    /// Who it is; nothing while a variable or a secret is missing.
    pub(super) fn login(&self) -> Result<Option<Login>, String> {
        if !self.is_filled && [&self.user, &self.password].iter().any(|text| text.contains("${")) {
            return Ok(None);
        }
        Login::new(&self.user, &self.password).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_names_a_secret_and_a_password_is_not_repeated() {
        let typed = "ada:${secret:SHOP}";
        assert_eq!(typed.parse::<WrittenLogin>().map(|login| login.to_string()), Ok(typed.to_owned()));
        for wrong in [
            "ada",
            "ada:hunter2",
            ":${secret:X}",
            "ada:${secret:}",
            "ada:hunter2${secret:X}",
            "${secret:U}:${secret:X}",
        ] {
            let why = wrong.parse::<WrittenLogin>().unwrap_err();
            assert!(why.contains(LOGIN_HELP) && !why.contains("hunter2"), "{wrong}: {why}");
        }
    }
}
