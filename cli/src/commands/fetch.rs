//! `vigorl fetch reader`: the text models from the hub.
//!
//! Invariant: a file is put into the cache only if its SHA-256 is the locked one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use vigorl_files::write_whole;
use vigorl_reader::{Weights, file_names};

use crate::args::FetchReaderArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::parts::Part;
use crate::{hub, reading, terminal};

/// Prints the folder of the models.
pub(crate) fn reader(args: &FetchReaderArgs, form: Form) -> anyhow::Result<Ending> {
    Part::Hub.needed()?;
    let folder =
        reading::folder().ok_or_else(|| usage("there is no cache: set HOME or XDG_CACHE_HOME".to_owned()))?;
    let patterns = file_names().map(|name| [name.to_owned(), format!("**/{name}")]).concat();
    let fetched = hub::fetch_files(&args.from, &patterns)?;
    let mut files = Vec::new();
    for name in file_names() {
        let path = find(&fetched, name)?.ok_or_else(|| {
            usage(format!("`{}` has no file {name}: --from names another repository", args.from))
        })?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Weights::check(name, &bytes).with_context(|| format!("`{}` has another file", args.from))?;
        files.push((name, bytes));
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for (name, bytes) in files {
        write_whole(&folder.join(name), &bytes).with_context(|| format!("cannot write `{name}`"))?;
    }
    if Weights::embedded().is_some() {
        terminal::note("this program has the same text models inside, and uses those");
    }
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "path": folder })),
        Form::Text => folder.display().to_string(),
    });
    Ok(Ending::Done)
}

/// The file of this name in a folder or one below it.
fn find(folder: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    let file = folder.join(name);
    if file.is_file() {
        return Ok(Some(file));
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if let Some(found) = find(&path, name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
