//! Who somebody is to a server that asks for a user and a password. Invariant: the password is in no text but its own.

use std::fmt;

/// A user and a password, as HTTP has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// A login.
    ///
    /// # Errors
    /// What is wrong with the user; the password is not told.
    pub fn new(user: &str, password: &str) -> Result<Self, String> {
        match () {
            () if user.contains(':') => Err(format!(
                "the user `{user}` has a colon, behind which a server takes the password to begin"
            )),
            () if user.is_empty() => Err("there is no user".to_owned()),
            () if [user, password].iter().any(|text| text.contains(char::is_control)) => {
                Err("the user or the password has a character that cannot be typed".to_owned())
            }
            () => Ok(Self { user: user.to_owned(), password: password.to_owned() }),
        }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_does_not_tell_its_password() {
        let login = Login::new("ada", "pa:ss wörd").unwrap();
        assert_eq!((login.user(), login.password()), ("ada", "pa:ss wörd"));
        assert!(!format!("{login:?}").contains("pa:ss"), "{login:?}");
        for (user, password, words) in [
            ("a:b", "hunter2", "has a colon"),
            ("", "hunter2", "no user"),
            ("a", "hunter2\n", "cannot be typed"),
        ] {
            let why = Login::new(user, password).unwrap_err();
            assert!(why.contains(words) && !why.contains("hunter2"), "{why}");
        }
    }
}
