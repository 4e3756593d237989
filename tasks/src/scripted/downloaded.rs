//! The clause that a file was downloaded: which, and what must be true of it.
//!
//! Invariant: a file that is not whole is none, and while one that may be meant is under way, nobody can tell.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use vigorl_interface::Downloads;

use super::Check;
use super::asked::quoted;
use super::target::pattern_fault;

/// How many of the files that were downloaded are named where none of them is meant.
const MOST_NAMED: usize = 5;
/// Digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// A file that was downloaded in this episode, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownloadClause {
    /// Its name, letter by letter.
    pub name: Option<String>,
    /// A regular expression for something in its name, instead.
    pub name_matches: Option<String>,
    /// How many bytes it has at least.
    pub at_least_bytes: Option<u64>,
    /// A text that it contains.
    pub contains: Option<String>,
    /// The SHA-256 of its content, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// A file that was downloaded, by its name or a pattern for it, and what must be true of it.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DownloadClause")]
struct Written {
    /// Its name, letter by letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A regular expression for something in its name, instead of `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_matches: Option<String>,
    /// How many bytes it has at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    at_least_bytes: Option<u64>,
    /// A text that it contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    /// The SHA-256 of its content: 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl From<&str> for DownloadClause {
    fn from(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for DownloadClause {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = DownloadClause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a file, or `{ name: …, contains: … }`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<DownloadClause, E> {
                Ok(name.into())
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<DownloadClause, M::Error> {
                let Written { name, name_matches, at_least_bytes, contains, sha256 } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(DownloadClause { name, name_matches, at_least_bytes, contains, sha256 })
            }
        }
        source.deserialize_any(Either)
    }
}

impl Serialize for DownloadClause {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { name, name_matches, at_least_bytes, contains, sha256 } = self.clone();
        match name {
            Some(name) if *self == Self::from(name.as_str()) => name.serialize(to),
            name => Written { name, name_matches, at_least_bytes, contains, sha256 }.serialize(to),
        }
    }
}

impl JsonSchema for DownloadClause {
    fn schema_name() -> Cow<'static, str> {
        "NameOrDownloadClause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<String>(), generator.subschema_for::<Written>());
        json_schema!({ "description": "The name of a file, or a file and what must be true of it", "anyOf": [short, long] })
    }
}

/// The file that is meant, and what must be true of it, as the end of a sentence.
impl fmt::Display for DownloadClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.name_matches) {
            (Some(name), _) => write!(f, "the file `{name}` was downloaded")?,
            (None, pattern) => {
                let pattern = pattern.as_deref().unwrap_or_default();
                write!(f, "a file was downloaded whose name matches `{pattern}`")?;
            }
        }
        if let Some(least) = self.at_least_bytes {
            write!(f, ", with {least} bytes at least")?;
        }
        if let Some(part) = &self.contains {
            write!(f, ", with `{part}` in it")?;
        }
        if let Some(sha256) = &self.sha256 {
            write!(f, ", with the SHA-256 {sha256}")?;
        }
        Ok(())
    }
}

impl DownloadClause {
    /// Why it says nothing, or can never hold. What a variable is still to be filled into is not wrong yet.
    pub(super) fn fault(&self) -> Option<String> {
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let is_hash = |text: &str| text.len() == SHA256_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        match self {
            Self { name: Some(_), name_matches: Some(_), .. } => {
                Some("`downloaded` takes a `name` or `name_matches`, not both".to_owned())
            }
            Self { name: None, name_matches: None, .. } => Some(
                "`downloaded` needs the `name` of the file, or `name_matches`, such as `\\.pdf$`".to_owned(),
            ),
            Self { name, .. } if is_empty(name) => {
                Some("`name` is empty, and no file is called so: give it a text".to_owned())
            }
            Self { name: Some(name), .. } if name.contains('/') => Some(format!(
                "`{name}` is a path, and what was downloaded has a name alone: leave out what is in front of it"
            )),
            Self { at_least_bytes: Some(0), .. } => {
                Some("`at_least_bytes: 0` says nothing: every file has so many".to_owned())
            }
            Self { contains: Some(text), .. } if text.is_empty() => {
                Some("`contains` is empty, so it says nothing: leave it out".to_owned())
            }
            Self { sha256: Some(text), .. } if !is_hash(text) && !text.contains("${") => {
                Some(format!("`{text}` is no SHA-256: that has {SHA256_DIGITS} hexadecimal digits"))
            }
            Self { name_matches, .. } => name_matches.as_deref().and_then(pattern_fault),
        }
    }

    /// Whether it holds of what lies in a folder of downloads.
    pub(super) fn check(&self, folder: Option<&Path>) -> Check {
        let Some(folder) = folder else {
            return Check::unknown(
                "there is no browser of its own that downloads, so nobody knows what was downloaded",
            );
        };
        let is_named = match self.names() {
            Ok(is_named) => is_named,
            Err(why) => return Check::unknown(why),
        };
        let found = match Downloads::in_folder(folder) {
            Ok(found) => found,
            Err(error) => {
                return Check::unknown(format!("what was downloaded cannot be looked through: {error}"));
            }
        };
        let (mut wrong, mut unread, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for file in &found.whole {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if !is_named(&name) {
                others.push(format!("`{}`", quoted(&name)));
                continue;
            }
            match self.read(file) {
                Err(error) => unread.push(format!("`{}` cannot be read: {error}", quoted(&name))),
                Ok(content) => match self.missing_in(&content) {
                    None => return Check::of(Ok(true)),
                    Some(why) => wrong.push(format!("`{}` {why}", quoted(&name))),
                },
            }
        }
        // Of a file whose name is not known yet, it may be the one.
        let mut may_come = found.under_way.iter().filter(|name| name.as_deref().is_none_or(&is_named));
        if let Some(name) = may_come.next() {
            let name = name.as_deref().map_or("something".to_owned(), |name| format!("`{}`", quoted(name)));
            unread.push(format!("{name} is still being downloaded, or was broken off"));
        }
        if !unread.is_empty() {
            return Check::unknown(unread.join("; "));
        }
        Check::not_so(match (wrong.is_empty(), others.is_empty()) {
            (false, _) => wrong.join("; "),
            (true, true) => "nothing was downloaded".to_owned(),
            (true, false) => {
                let more = match others.len().saturating_sub(MOST_NAMED) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                others.truncate(MOST_NAMED);
                format!("what was downloaded is {}{more}", others.join(", "))
            }
        })
    }

    /// Whether a file of a name is meant; why nobody can tell, where the pattern is none.
    fn names(&self) -> Result<impl Fn(&str) -> bool, String> {
        let pattern = self.name_matches.as_deref().map(regex::Regex::new).transpose();
        let pattern = pattern.map_err(|error| error.to_string())?;
        let name = self.name.clone();
        Ok(move |found: &str| match (&name, &pattern) {
            (Some(name), _) => found == name,
            (None, pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(found)),
        })
    }

    /// Reads a file once, piece by piece: what is downloaded may be larger than memory.
    fn read(&self, file: &Path) -> io::Result<Content> {
        let wanted = self.contains.as_deref().unwrap_or_default().as_bytes();
        let mut content = Content { n_bytes: 0, has_text: wanted.is_empty(), sha256: String::new() };
        let mut hash = self.sha256.is_some().then(Sha256::new);
        let (mut file, mut piece) = (File::open(file)?, vec![0; 1 << 16]);
        // What a piece ends with may be the beginning of the text.
        let mut seen = Vec::new();
        loop {
            let read = match file.read(&mut piece)? {
                0 => break,
                n => &piece[..n],
            };
            content.n_bytes += read.len() as u64;
            if let Some(hash) = &mut hash {
                hash.update(read);
            }
            if !content.has_text {
                seen.extend_from_slice(read);
                content.has_text = seen.windows(wanted.len()).any(|part| part == wanted);
                seen.drain(..seen.len().saturating_sub(wanted.len() - 1));
            }
        }
        if let Some(hash) = hash {
            content.sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        }
        Ok(content)
    }

    /// What is missing in a file of the right name, if something is.
    fn missing_in(&self, content: &Content) -> Option<String> {
        let Content { n_bytes, has_text, sha256 } = content;
        if self.at_least_bytes.is_some_and(|least| *n_bytes < least) {
            return Some(format!("has {n_bytes} bytes"));
        }
        if !has_text {
            return Some(format!("does not contain it, in {n_bytes} bytes"));
        }
        let is_other = self.sha256.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(sha256));
        is_other.then(|| format!("has the SHA-256 {sha256}"))
    }
}

/// What is known of a file.
struct Content {
    n_bytes: u64,
    /// Whether it has the text that is asked for; true if none is.
    has_text: bool,
    /// Empty where none is asked for.
    sha256: String,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vigorl_judges::Verification::{self, Satisfied, Unknown, Unsatisfied};

    use super::*;

    fn clause(yaml: &str) -> DownloadClause {
        serde_norway::from_str(yaml).unwrap()
    }

    /// The SHA-256 of something else.
    const HASH: &str = "f6abe73e2ff07ffaecfd22f0ab5e3ba6d2ee42f59f88a6b36a4c8a4a3bf5fd4c";

    #[test]
    fn a_file_is_named_alone_or_with_what_must_be_true_of_it() {
        let check = |yaml: &str, words: &str| {
            let read = clause(yaml);
            assert_eq!((read.to_string().as_str(), read.fault()), (words, None), "{yaml}");
            let written = serde_norway::to_string(&read).unwrap();
            assert_eq!(clause(&written), read, "{written}");
        };
        check("report.csv", "the file `report.csv` was downloaded");
        check("{ name: a.pdf }", "the file `a.pdf` was downloaded");
        check("{ name_matches: '^a.*z$' }", "a file was downloaded whose name matches `^a.*z$`");
        check(
            "{ name: a.pdf, at_least_bytes: 9, contains: total }",
            "the file `a.pdf` was downloaded, with 9 bytes at least, with `total` in it",
        );
        check(
            &format!("{{ name: a, sha256: '{HASH}' }}"),
            &format!("the file `a` was downloaded, with the SHA-256 {HASH}"),
        );
        assert_eq!(serde_norway::to_string(&clause("{ name: a.pdf }")).unwrap(), "a.pdf\n");
        assert_eq!(clause("{ name: a, sha256: '${hash}' }").fault(), None);
        for (yaml, words) in [
            ("' '", "`name` is empty"),
            ("{ contains: a }", "needs the `name`"),
            ("{ name: a, name_matches: b }", "not both"),
            ("{ name_matches: '' }", "matches everything"),
            ("{ name_matches: '(' }", "is no pattern"),
            ("{ name: in/a.pdf }", "is a path"),
            ("{ name: a, at_least_bytes: 0 }", "says nothing"),
            ("{ name: a, contains: '' }", "says nothing"),
            ("{ name: a, sha256: abc }", "no SHA-256"),
        ] {
            let fault = clause(yaml).fault().unwrap_or_default();
            assert!(fault.contains(words), "{yaml}: {fault}");
        }
        for yaml in ["{ path: a }", "[a]", "{ name: a, at_least_bytes: -1 }"] {
            assert!(serde_norway::from_str::<DownloadClause>(yaml).is_err(), "{yaml}");
        }
    }

    #[track_caller]
    fn check(folder: &Path, yaml: &str, holds: Verification, words: &str) {
        let check = clause(yaml).check(Some(folder));
        let why = check.why.unwrap_or_default();
        assert!(check.holds == holds && why.contains(words), "{yaml}: {:?}, {why}", check.holds);
    }

    #[test]
    fn what_was_downloaded_whole_holds_and_what_is_under_way_is_unknown() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        check(&folder.join("none"), "report.csv", Unsatisfied, "nothing was downloaded");
        let at = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        at(".org.chromium.Chromium.x", "a,b");
        check(folder, "report.csv", Unknown, "something is still being downloaded");
        fs::remove_file(folder.join(".org.chromium.Chromium.x")).unwrap();
        at("report.csv.crdownload", "a,b");
        check(folder, "report.csv", Unknown, "`report.csv` is still being downloaded");
        check(folder, "{ name_matches: '^report' }", Unknown, "is still being downloaded");
        check(folder, "other.csv", Unsatisfied, "nothing was downloaded");
        check(folder, "report.csv.crdownload", Unsatisfied, "nothing was downloaded");
        fs::rename(folder.join("report.csv.crdownload"), folder.join("report.csv")).unwrap();
        check(folder, "report.csv", Satisfied, "");
        check(folder, "other.csv", Unsatisfied, "what was downloaded is `report.csv`");
        check(folder, "Report.csv", Unsatisfied, "`report.csv`");
        // One that is whole is enough; otherwise the next one may be the one.
        at("Unconfirmed 12.crdownload", "");
        check(folder, "{ name_matches: 'csv$' }", Satisfied, "");
        check(folder, "{ name_matches: 'csv$', contains: x }", Unknown, "something is still");
        let nobody = clause("report.csv").check(None);
        assert_eq!(nobody.holds, Unknown, "a browser of somebody else");
    }

    #[test]
    fn what_must_be_true_of_a_file_is_true_of_one_of_those_that_are_meant() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let hash: String = Sha256::digest(b"a,b\n1,2\n").iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(folder.join("report.csv"), "a,b\n1,2\n").unwrap();
        fs::write(folder.join("report (1).csv"), "c,d\n").unwrap();
        check(folder, "{ name: report.csv, at_least_bytes: 8, contains: '1,2' }", Satisfied, "");
        check(folder, "{ name: report.csv, at_least_bytes: 9 }", Unsatisfied, "`report.csv` has 8 bytes");
        check(folder, "{ name: report.csv, contains: 'c,d' }", Unsatisfied, "does not contain it");
        check(folder, &format!("{{ name: report.csv, sha256: {} }}", hash.to_uppercase()), Satisfied, "");
        check(folder, &format!("{{ name: report.csv, sha256: '{HASH}' }}"), Unsatisfied, &hash);
        check(folder, "{ name_matches: '^report', contains: 'c,d' }", Satisfied, "");
        check(folder, "{ name_matches: '^report', contains: 'e,f' }", Unsatisfied, "`report (1).csv` does");
        // A text may stand between two pieces that are read.
        let long = format!("{}needle{}", "x".repeat((1 << 16) - 3), "y".repeat(1 << 16));
        fs::write(folder.join("long.txt"), long).unwrap();
        check(folder, "{ name: long.txt, contains: xneedley }", Satisfied, "");
        check(folder, "{ name: long.txt, contains: needlex }", Unsatisfied, "in 131075 bytes");
        fs::write(folder.join("empty"), "").unwrap();
        check(folder, "empty", Satisfied, "");
        check(folder, "{ name: empty, contains: a }", Unsatisfied, "in 0 bytes");
    }
}
