//! Variables and secrets for a task. Invariant: a secret's value is never printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vigorl_tasks::scripted::Secret;

use crate::env;
use crate::exit::usage;

/// The pairs of `--var`.
pub(crate) fn vars(typed: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| usage(format!("--var `{text}`: expected NAME=VALUE")))
    };
    typed.iter().map(pair).collect()
}

/// Secrets of a file, or of the environment.
#[derive(Default)]
pub(crate) struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Reads lines `NAME=VALUE`; empty lines and such that begin with `#` are left out, quotes around a value too.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self::default()) };
        let shown = file.display();
        let text = vigorl_files::read_text(file)
            .map_err(|error| usage(format!("cannot read `{shown}`: {error}")))?;
        let mut secrets = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is not repeated: it may hold a secret.
            let wrong = || usage(format!("`{shown}`, line {}: expected NAME=VALUE", number + 1));
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            let value = value.trim();
            let unquoted =
                ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            secrets.insert(name.trim().to_owned(), unquoted.unwrap_or(value).to_owned());
        }
        Ok(Self(secrets))
    }

    /// The value of a secret.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| env::secret(name))
    }

    /// The known secrets that a text names: where [`Self::put_back`] puts their values, they must be hidden again.
    pub(crate) fn named_in(&self, text: &str) -> Vec<Secret> {
        let names = text.split("${secret:").skip(1).filter_map(|part| Some(part.split_once('}')?.0));
        let names: BTreeSet<&str> = names.collect();
        let known =
            |name: &str| Some(Secret { name: name.to_owned(), value: self.get(name)?, is_stored: false });
        names.into_iter().filter_map(known).collect()
    }

    /// The same text with the values of known secrets where their names stand. A record names them wherever their values
    /// stood, also where such a value was a word of the task or a number of its own.
    pub(crate) fn put_back(&self, text: &str) -> String {
        const OPEN: &str = "${secret:";
        let mut parts = text.split(OPEN);
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.split_once('}').and_then(|(name, rest)| Some((self.get(name)?, rest))) {
                Some((value, rest)) => whole.extend([value.as_str(), rest]),
                None => whole.extend([OPEN, part]),
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_secrets_are_read_and_their_faults_do_not_repeat_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "# mine\n\nA = one two \nB='x=y'\nC=\"\"\n").unwrap();
        let secrets = Secrets::read(Some(&file)).unwrap();
        assert_eq!(["A", "B", "C"].map(|name| secrets.get(name).unwrap()), ["one two", "x=y", ""]);
        std::fs::write(&file, "A=1\nhunter2\n").unwrap();
        let error = Secrets::read(Some(&file)).err().unwrap().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        assert!(vars(&["a=b=c".to_owned()]).unwrap()["a"] == "b=c" && vars(&["a".to_owned()]).is_err());
    }
}
