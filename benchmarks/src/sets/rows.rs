//! What stands in the files of a data set, item by item, before anybody knows what it means.
//!
//! Invariants: a file that is cut is an error that names the last whole item; one in which a value is none, such as NaN, is read,
//! and the item whose field that is, is broken; an id is the file's own, or the name of the file
//! and the number of the item in it, so it is the same in every run; only the part of a set that is for testing is read.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::boxes::Fault;
use super::parquet_rows::{self, Found, Source, stem};
use crate::{fields, pictures};

/// The part of a set that numbers are published on.
const TEST: &str = "test";
/// Other parts of a set, by the names that hubs give them.
const OTHER_PARTS: [&str; 4] = ["train", "validation", "val", "dev"];

/// An item as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Its own id, or the file and its number there.
    pub(crate) id: String,
    /// The stem of the file.
    pub(crate) file: String,
    pub(crate) fields: Map<String, Value>,
    /// Its picture, where that is in the same file.
    pub(crate) embedded: Option<Found>,
}

impl Written {
    fn new(file: &str, number: usize, fields: Map<String, Value>) -> Self {
        let own = match fields.get("id") {
            Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let id = own.unwrap_or_else(|| format!("{file}/{number}"));
        Self { id, file: file.to_owned(), fields, embedded: None }
    }

    /// Its fields as a type.
    pub(crate) fn parsed<T: serde::de::DeserializeOwned>(&self) -> Result<T, Fault> {
        if let Some(split) = self.text("split")?.filter(|split| *split != TEST) {
            return Err(format!("it belongs to the split `{split}`, and `{TEST}` is what is measured").into());
        }
        fields::parsed(self.fields.clone()).map_err(|why| Fault::Broken(format!("it cannot be read: {why}")))
    }

    /// The text of a field; nothing if it has none.
    pub(crate) fn text(&self, field: &str) -> Result<Option<&str>, Fault> {
        fields::text(&self.fields, field).map_err(Fault::Broken)
    }
}

/// The items of a JSON list.
pub(crate) fn of_json(path: &Path) -> Result<Vec<Written>, String> {
    let shown = path.display();
    let text = vigorl_files::read_text(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let (file, n_whole) = (stem(path), Cell::new(0));
    let text = fields::readable(&text);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let fields = reader.deserialize_seq(List(&n_whole)).and_then(|list| reader.end().map(|()| list));
    let fields = fields.map_err(|error| match n_whole.get() {
        0 => format!("`{shown}` is no list of items: {error}; fetch the file again"),
        n => format!(
            "`{shown}` is whole up to item `{file}/{}`, and then: {error}; fetch the file again",
            n - 1
        ),
    })?;
    Ok((0..).zip(fields).map(|(number, fields)| Written::new(&file, number, fields)).collect())
}

/// Reads a list and counts what is whole.
struct List<'a>(&'a Cell<usize>);

impl<'de> Visitor<'de> for List<'_> {
    type Value = Vec<Map<String, Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            match item {
                Value::Object(fields) => items.push(fields),
                other => return Err(A::Error::custom(format!("{other} is no object"))),
            }
            self.0.set(items.len());
        }
        Ok(items)
    }
}

/// The items of parquet files.
pub(crate) fn of_parquet(sources: &[Source]) -> Result<Vec<Written>, String> {
    let mut all = Vec::new();
    for source in sources {
        let file = source.stem();
        for (number, row) in (0..).zip(parquet_rows::rows(source)?) {
            let written = Written::new(&file, number, row.columns);
            all.push(Written { embedded: row.picture, ..written });
        }
    }
    Ok(all)
}

/// The parquet files of a folder that hold the test part; none if it has no parquet files at all.
pub(crate) fn parquet_files(folder: &Path) -> Result<Vec<Source>, String> {
    let mut files = Vec::new();
    for place in [folder.to_owned(), folder.join("data")] {
        let listed = fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.path());
        files.extend(listed.filter(|path| path.extension().is_some_and(|kind| kind == "parquet")));
    }
    files.sort();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let part_of = |path: &PathBuf| {
        let name = stem(path).to_lowercase();
        let part = name.split(['-', '_', '.']).next().unwrap_or_default().to_owned();
        [&[TEST], &OTHER_PARTS[..]].concat().contains(&&*part).then_some(part)
    };
    // A file that names no part is the set itself.
    let (wanted, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| part_of(path).is_none_or(|part| part == TEST));
    if wanted.is_empty() {
        let names: Vec<String> = others.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(format!(
            "{} is of another split than `{TEST}`, which is what is measured: fetch the files of that split",
            names.join(", ")
        ));
    }
    shards_are_complete(&wanted)?;
    Ok(wanted.into_iter().map(Source::File).collect())
}

/// Whether of files named `…-00001-of-00003` every one is there.
fn shards_are_complete(files: &[PathBuf]) -> Result<(), String> {
    let mut seen: BTreeMap<(String, usize), Vec<usize>> = BTreeMap::new();
    for path in files {
        let name = stem(path);
        let Some((rest, n)) = name.rsplit_once("-of-") else { continue };
        let Some((start, number)) = rest.rsplit_once('-') else { continue };
        // What a hub appends behind the number is no part of it.
        let n = n.split('-').next().unwrap_or(n);
        if let (Ok(n), Ok(number)) = (n.parse(), number.parse()) {
            seen.entry((start.to_owned(), n)).or_default().push(number);
        }
    }
    for ((start, n), numbers) in seen {
        if let Some(missing) = (0..n).find(|number| !numbers.contains(number)) {
            return Err(format!(
                "`{start}-{missing:05}-of-{n:05}.parquet` is not there, and the files beside it say that it is a part of \
                 the set: fetch it"
            ));
        }
    }
    Ok(())
}

/// The pictures of a set that are files, and how large they are.
#[derive(Debug)]
pub(crate) struct Pictures {
    folder: PathBuf,
    sizes: BTreeMap<String, Result<(u32, u32), String>>,
}

impl Pictures {
    /// Those in the first of these folders that is there.
    pub(crate) fn of(folder: &Path, names: &[&str]) -> Self {
        let there = names.iter().map(|name| folder.join(name)).find(|place| place.is_dir());
        Self { folder: there.unwrap_or_else(|| folder.to_owned()), sizes: BTreeMap::new() }
    }

    /// Where a picture is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How large a picture is.
    pub(crate) fn size(&mut self, name: &str) -> Result<(u32, u32), String> {
        if let Some(known) = self.sizes.get(name) {
            return known.clone();
        }
        let size = self.measured(name);
        self.sizes.insert(name.to_owned(), size.clone());
        size
    }

    fn measured(&self, name: &str) -> Result<(u32, u32), String> {
        let stays = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !stays {
            return Err(format!(
                "its picture is named `{name}`, which is no path inside of the set's folder"
            ));
        }
        let path = self.path(name);
        if !path.is_file() {
            return Err(format!("its picture `{}` is not there", path.display()));
        }
        pictures::dimensions(&path).map_err(|why| format!("its picture {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_names_its_last_whole_item() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.json");
        let check = |text: &str, words: &[&str]| {
            fs::write(&path, text).unwrap();
            let error = of_json(&path).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        check("[{\"a\": 1}, {\"a\": 2}, {\"a\"", &["whole up to item `web/1`", "web.json", "fetch"]);
        check("[{\"a\": 1}", &["whole up to item `web/0`"]);
        check("", &["no list of items"]);
        check("{\"a\": 1}", &["no list of items"]);
        check("[{\"a\": 1}, 5]", &["whole up to item `web/0`", "5 is no object"]);
        check("[{\"a\": 1}] []", &["whole up to item `web/0`"]);
        fs::write(&path, "[{\"a\": 1}, {\"id\": \"own\"}, {\"id\": 7}]").unwrap();
        let ids: Vec<String> = of_json(&path).unwrap().into_iter().map(|item| item.id).collect();
        assert_eq!(ids, ["web/0", "own", "7"]);
    }

    #[test]
    fn only_whole_sets_of_the_test_split_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let add = |name: &str| fs::write(data.join(name), "").unwrap();
        let files = || parquet_files(folder.path());
        assert_eq!(files().unwrap(), []);
        add("train-00000-of-00001.parquet");
        let error = files().unwrap_err();
        assert!(error.contains("train-00000") && error.contains("another split than `test`"), "{error}");
        add("test-00001-of-00002.parquet");
        let error = files().unwrap_err();
        assert!(error.contains("`test-00000-of-00002.parquet` is not there"), "{error}");
        add("test-00000-of-00002.parquet");
        let stems: Vec<String> = files().unwrap().iter().map(Source::stem).collect();
        assert_eq!(
            stems,
            ["test-00000-of-00002", "test-00001-of-00002"],
            "and the train part is not among them"
        );
    }
}
