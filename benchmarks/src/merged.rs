//! Records of several folders: parts of one run are put together, and runs on the same set are compared.
//!
//! Invariants: what two folders both have is an error and not counted twice; what is missing is said; the table of parts is that
//! of the whole, to the letter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::evaluation::Mode;
use crate::folder::Recorded;
use crate::head::{Head, Shard};
use crate::line::Line;
use crate::result::{EvaluationResult, ModeResult};
use crate::statistics::{Clustered, Paired};

/// A run, from one folder or from those of its parts.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The folders.
    pub folders: Vec<PathBuf>,
    /// What was asked of whom, as a whole.
    pub head: Head,
    /// All lines, in the order of the set.
    pub lines: Vec<Line>,
    /// Which parts are there, if it was played in parts.
    pub shards: Vec<Shard>,
}

/// Puts parts of one run together.
///
/// # Errors
/// If two folders have the same item, for people.
pub fn merge(records: impl IntoIterator<Item = (PathBuf, Recorded)>) -> Result<Vec<Merged>, String> {
    let mut runs: Vec<Merged> = Vec::new();
    for (folder, Recorded { head, lines }) in records {
        let shard = head.shard;
        match runs.iter_mut().find(|run| run.head.is_of(&head)) {
            Some(run) => {
                let keys: BTreeSet<_> = run.lines.iter().map(Line::key).collect();
                if let Some(twice) = lines.iter().find(|line| keys.contains(&line.key())) {
                    return Err(format!(
                        "`{}` and {} are of the same run, and both have the item `{}`: name each part once",
                        folder.display(),
                        named(&run.folders),
                        twice.id
                    ));
                }
                run.folders.push(folder);
                run.lines.extend(lines);
                run.shards.push(shard);
            }
            None => {
                // One part alone keeps its number, so that its table says that it is one.
                runs.push(Merged { folders: vec![folder], head, lines, shards: vec![shard] });
            }
        }
    }
    for run in &mut runs {
        run.lines.sort_by_key(Line::key);
        if run.shards.len() > 1 {
            run.head.shard = Shard::WHOLE;
        }
    }
    Ok(runs)
}

fn named(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| format!("`{}`", folder.display())).collect::<Vec<_>>().join(", ")
}

impl Merged {
    /// Its numbers.
    pub fn result(&self, command: String) -> EvaluationResult {
        EvaluationResult::of(&self.head, &self.lines, command)
    }

    /// A short name, for tables.
    pub fn name(&self) -> String {
        let stem =
            |folder: &Path| folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let names: Vec<String> = self.folders.iter().map(|folder| stem(folder)).collect();
        names.join("+")
    }

    /// The lines of one mode and draw.
    pub fn column(&self, mode: Mode, draw: u64) -> Vec<&Line> {
        self.lines.iter().filter(|line| line.mode == mode && line.draw == draw).collect()
    }

    /// Which items nobody has played yet, by number: how many, and what to do.
    pub fn missing(&self) -> Option<String> {
        let n_wanted = self.head.described.n_items * self.head.modes.len() as u64 * self.head.n_draws;
        let n_missing = n_wanted.saturating_sub(self.lines.len() as u64);
        let of = self.shards.iter().map(|shard| shard.of).max().unwrap_or(1);
        let absent: Vec<String> = (1..=of)
            .filter(|number| !self.shards.iter().any(|shard| shard.of == of && shard.number == *number))
            .map(|number| Shard { number, of }.to_string())
            .collect();
        let parts = if absent.is_empty() {
            String::new()
        } else {
            format!("; parts that are not here: {}", absent.join(", "))
        };
        (n_missing > 0).then(|| format!("{n_missing} of {n_wanted} answers are missing{parts}"))
    }
}

/// One column of one run, with what its share can be trusted for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// The run and how it was asked.
    pub name: String,
    /// Name and version of the evaluation.
    pub benchmark: String,
    /// Its numbers.
    #[serde(flatten)]
    pub numbers: ModeResult,
    /// The interval that knows which items share a screenshot.
    pub clustered: Option<Clustered>,
}

/// Two columns on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The first.
    pub first: String,
    /// The second.
    pub second: String,
    /// What came of it.
    #[serde(flatten)]
    pub paired: Paired,
}

/// Every column of every run, and every two of them that share a set.
pub fn compare(runs: &[Merged]) -> (Vec<Column>, Vec<Compared>) {
    let mut columns = Vec::new();
    let mut lines: Vec<(String, &Merged, Vec<Line>)> = Vec::new();
    for run in runs {
        let result = run.result(String::new());
        let n_rules = if run.head.described.is_in_words { 2 } else { 1 };
        let asked = run.head.columns().flat_map(|asked| std::iter::repeat_n(asked, n_rules));
        for (numbers, (mode, draw)) in result.modes.into_iter().zip(asked) {
            let is_strict = numbers.rule == Some("strict");
            let of: Vec<Line> = run
                .column(mode, draw)
                .into_iter()
                .map(|line| match is_strict {
                    true => line.strict(),
                    false => line.clone(),
                })
                .collect();
            let name = match runs.len() {
                1 => numbers.label(),
                _ => format!("{} {}", run.name(), numbers.label()),
            };
            columns.push(Column {
                name: name.clone(),
                benchmark: run.head.described.benchmark.clone(),
                numbers,
                clustered: Clustered::of(&of.iter().collect::<Vec<_>>()),
            });
            lines.push((name, run, of));
        }
    }
    let mut compared = Vec::new();
    for (at, (first, of_first, lines_first)) in lines.iter().enumerate() {
        for (second, of_second, lines_second) in &lines[at + 1..] {
            if of_first.head.described.benchmark != of_second.head.described.benchmark {
                continue;
            }
            let [one, other] = [lines_first, lines_second].map(|lines| lines.iter().collect::<Vec<_>>());
            if let Some(paired) = Paired::of(&one, &other) {
                compared.push(Compared { first: first.clone(), second: second.clone(), paired });
            }
        }
    }
    (columns, compared)
}
