//! Run directories in the folder of a training: what the policy did before and after it, and the episodes it learned
//! from. Invariant: a link leads to what is there.

use std::fs;
use std::path::Path;

use maud::{Markup, html};
use vigorl_metrics::Training;

use crate::html::{Shown, dotted};

/// The folders that are looked into, and what is in them.
const PARTS: [(&str, &str); 4] = [
    ("before", "Before the training"),
    ("warm-start", "Behind the warm start"),
    ("after", "After the training"),
    ("rollouts", "Episodes it learned from"),
];
/// Runs of a part that are linked at most: the newest ones.
const MAX_LINKS: usize = 24;

/// The runs of a part.
pub(crate) struct PartRuns {
    pub(crate) part: &'static str,
    words: &'static str,
    /// Names of run directories in the part's folder; none if that is one itself.
    pub(crate) names: Option<Vec<String>>,
}

/// The parts that hold a run.
pub(crate) fn parts_of(root: &Path) -> Vec<PartRuns> {
    let of = |(part, words): (&'static str, &'static str)| {
        let folder = root.join(part);
        if is_run(&folder) {
            return Some(PartRuns { part, words, names: None });
        }
        let entries = fs::read_dir(folder).ok()?.flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| is_run(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        (!names.is_empty()).then_some(PartRuns { part, words, names: Some(names) })
    };
    PARTS.into_iter().filter_map(of).collect()
}

fn is_run(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) && folder.join("run.json").is_file()
}

/// Links to the reports of the runs.
pub(super) fn links(training: &Training, shown: Shown<'_>) -> Markup {
    let parts = parts_of(&training.root);
    let is_one = |name: &str| parts.iter().any(|part| part.part == name && part.names.is_none());
    let can_compare = matches!(shown, Shown::Served { .. }) && is_one("before") && is_one("after");
    let mut items = Vec::new();
    for PartRuns { part, words, names } in &parts {
        let Some(names) = names else {
            items.extend(
                link(training, shown, part, None).map(|address| html! { a href=(address) { (words) } }),
            );
            continue;
        };
        let links: Vec<Markup> = names
            .iter()
            .take(MAX_LINKS)
            .filter_map(|name| Some((name, link(training, shown, part, Some(name))?)))
            .map(|(name, address)| html! { a href=(address) { (name) } })
            .collect();
        if !links.is_empty() {
            items.push(html! { (words) ": " (dotted(&links)) });
        }
    }
    html! {
        @if !items.is_empty() {
            div.panel {
                h2 { "Reports" }
                ul.reports {
                    @for item in items { li { (item) } }
                    @if can_compare { li { a href="compare" { "Before and after, side by side" } } }
                }
            }
        }
    }
}

/// Where the report of a run is, seen from the page; nothing if it was not written.
fn link(training: &Training, shown: Shown<'_>, part: &str, name: Option<&str>) -> Option<String> {
    let encoded = name.map(crate::view::encoded);
    match shown {
        Shown::Served { .. } => Some(match encoded {
            Some(name) => format!("runs/{part}/{name}/"),
            None => format!("run/{part}/"),
        }),
        Shown::Alone | Shown::Beside => {
            let folder = training.root.join(part);
            let folder = name.map_or_else(|| folder.clone(), |name| folder.join(name));
            let path = encoded.map_or_else(|| part.to_owned(), |name| format!("{part}/{name}"));
            folder.join("report.html").is_file().then(|| format!("{path}/report.html"))
        }
    }
}
