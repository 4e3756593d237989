//! Published tables, and whether their rows can be true.
//!
//! Invariants: numbers are those that are printed, with their decimals, and each table names where it was read; a row is
//! compared with counts of items that were known without it, or the report says that they were not; nothing is mended.

use serde::Deserialize;
use vigorl_judges::scoring::consistency::{Printed, check};

/// The tables, in the repository.
const TABLES: &str = include_str!("../published.toml");

/// A table as it is printed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The name of the evaluation.
    pub benchmark: String,
    /// Where it was read.
    pub source: String,
    /// Its address.
    pub url: String,
    /// What its columns are.
    pub columns: Vec<String>,
    /// Its rows.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// A row as it is printed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Whose numbers they are.
    pub model: String,
    /// Percent, in the order of the columns.
    pub cells: Vec<String>,
    /// Percent.
    pub average: String,
    /// Percent, group by group, where these are printed.
    #[serde(default)]
    pub group_averages: Vec<String>,
}

/// All tables.
///
/// # Panics
/// If the file in the repository is none: a test reads it.
pub fn tables() -> Vec<Table> {
    #[derive(Deserialize)]
    struct File {
        table: Vec<Table>,
    }
    let file: Result<File, _> = toml::from_str(TABLES);
    file.unwrap_or_else(|error| panic!("benchmarks/published.toml: {error}")).table
}

/// The tables of an evaluation, by the beginning of its [`id`](crate::Evaluation::id).
pub fn tables_of(benchmark: &str) -> Vec<Table> {
    let name = benchmark.split('/').next().unwrap_or_default();
    tables().into_iter().filter(|table| table.benchmark == name).collect()
}

/// How many items each cell has, and how that is known.
struct Sizes {
    of: &'static str,
    n: &'static [u64],
    origin: &'static str,
}

/// How counts are known that nobody prints.
const DERIVED: &str =
    "counts derived from rows of several tables; their sum is the number of items of the published set";
/// Texts and icons of mobile, desktop and web.
const V1: Sizes = Sizes { of: "ScreenSpot", n: &[273, 229, 194, 140, 230, 206], origin: DERIVED };
const V2: Sizes = Sizes { of: "ScreenSpot-v2", n: &[290, 211, 194, 140, 234, 203], origin: DERIVED };
/// Texts and icons of Dev, Creative, CAD, Scientific, Office and OS.
const PRO: Sizes = Sizes {
    of: "ScreenSpot-Pro",
    n: &[154, 145, 198, 143, 197, 64, 144, 110, 177, 53, 107, 89],
    origin: DERIVED,
};
/// Basic and advanced instructions of Windows, macOS, Linux, iOS, Android and the web.
const MMBENCH: Sizes = Sizes {
    of: "MMBench-GUI L2",
    n: &[271, 272, 345, 346, 191, 196, 314, 330, 356, 355, 310, 308],
    origin: "derived from InfiGUI-G1's six own rows, which fit no other counts: for these rows the gate proves nothing",
};

fn sizes(benchmark: &str) -> Option<&'static Sizes> {
    match benchmark {
        "screenspot" => Some(&V1),
        "screenspot-v2" => Some(&V2),
        "screenspot-pro" => Some(&PRO),
        "mmbench-gui" => Some(&MMBENCH),
        _ => None,
    }
}

/// What the average of a row is of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mean {
    Micro,
    Macro,
    Both,
    Neither,
}

impl Mean {
    fn as_str(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Macro => "macro",
            Self::Both => "micro and macro",
            Self::Neither => "neither",
        }
    }
}

/// What was found out about a row.
struct Finding {
    /// Cells of which no whole number of right answers gives what is printed.
    n_misfits: usize,
    mean: Mean,
    /// Why the row fails; empty if it does not.
    why: Vec<String>,
}

fn printed(text: &str) -> Printed {
    text.parse().unwrap_or_else(|error| panic!("benchmarks/published.toml: {error}"))
}

/// Whether a share is one of `n` answers if it was cut off behind its last decimal, and not rounded.
fn fits_if_cut(share: Printed, n: u64) -> bool {
    let unit = unit(share);
    let first = (share.share() * n as f64 - 1e-9).ceil().max(0.0);
    first / (n as f64) < share.share() + unit - 1e-12
}

/// The last decimal, as a share.
fn unit(share: Printed) -> f64 {
    let text = share.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, rest)| rest.len());
    10_f64.powi(-2 - decimals as i32)
}

fn looked_at(table: &Table, row: &Row, sizes: &Sizes) -> Finding {
    let cells: Vec<(Printed, u64)> =
        row.cells.iter().map(|cell| printed(cell)).zip(sizes.n.iter().copied()).collect();
    let average = printed(&row.average);
    let fit = check(&cells, average).unwrap_or_else(|error| panic!("{}: {error}", row.model));
    let mean = match (fit.is_micro, fit.is_macro) {
        (true, true) => Mean::Both,
        (true, false) => Mean::Micro,
        (false, true) => Mean::Macro,
        (false, false) => Mean::Neither,
    };
    let misfits: Vec<usize> = (0..cells.len()).filter(|at| fit.counts[*at].is_none()).collect();
    let mut why = Vec::new();
    if !misfits.is_empty() {
        let named: Vec<String> = misfits
            .iter()
            .map(|at| {
                let (share, n) = cells[*at];
                let nearest = (share.share() * n as f64).round();
                format!("{} {share} ({nearest}/{n} = {:.2})", table.columns[*at], 100.0 * nearest / n as f64)
            })
            .collect();
        why.push(match named.len() {
            1..=4 => format!("no share of its n: {}", named.join(", ")),
            n => format!("{n} of {} cells are no share of their n, such as {}", cells.len(), named[0]),
        });
        if misfits.iter().all(|at| fits_if_cut(cells[*at].0, cells[*at].1)) {
            why.push("all of these fit if they were cut and not rounded".to_owned());
        }
        let other = [&V1, &V2].into_iter().find(|other| {
            other.of != sizes.of
                && other.n.len() == cells.len()
                && cells.iter().zip(other.n).all(|((share, _), n)| share.counts(*n).is_some())
        });
        if let Some(other) = other {
            why.push(format!("every cell is a share of the counts of {}", other.of));
        }
    }
    if mean == Mean::Neither {
        let n: u64 = sizes.n.iter().sum();
        let micro = cells.iter().map(|(share, n)| share.share() * *n as f64).sum::<f64>() / n as f64;
        let plain = cells.iter().map(|(share, _)| share.share()).sum::<f64>() / cells.len() as f64;
        let cut = (micro - average.share()) >= 0.0 && (micro - average.share()) < unit(average);
        why.push(format!(
            "the average is printed as {average}; its cells give {:.2} over items and {:.2} over cells{}",
            100.0 * micro,
            100.0 * plain,
            if cut { ", so the former was cut and not rounded" } else { "" }
        ));
    }
    let wrong_groups: Vec<String> = row
        .group_averages
        .iter()
        .enumerate()
        .filter_map(|(at, group)| {
            let fit = check(cells.get(2 * at..2 * at + 2)?, printed(group)).ok()?;
            let name = table.columns[2 * at].split(' ').next().unwrap_or_default();
            (!fit.is_micro).then(|| format!("{name} {group}"))
        })
        .collect();
    if !wrong_groups.is_empty() {
        why.push(format!(
            "averages of groups that are not those of their cells: {}",
            wrong_groups.join(", ")
        ));
    }
    Finding { n_misfits: misfits.len(), mean, why }
}

/// The report on all tables, as Markdown: what `docs/published.md` is.
pub fn report() -> String {
    let mut out = String::from(
        "# Published tables through the consistency gate\n\n\
         `vigorl eval published` writes this page. A cell of a table is the share of so many right answers of so many items: \
         where no whole number of right answers gives what is printed, the cell is wrong, or it is of other items. The average \
         must be the mean over all items (micro) or over the cells (macro). Numbers are those that are printed; \
         [`benchmarks/published.toml`](../benchmarks/published.toml) has them all. A row that fits is not proved to be true.\n",
    );
    let tables = tables();
    for table in &tables {
        let n = table.rows.len();
        out += &format!("\n## {}: {}\n\n<{}>\n\n", table.benchmark, table.source, table.url);
        let Some(sizes) = sizes(&table.benchmark) else {
            out += &without_sizes(table);
            continue;
        };
        let found: Vec<(&Row, Finding)> =
            table.rows.iter().map(|row| (row, looked_at(table, row, sizes))).collect();
        let count = |keep: &dyn Fn(&Finding) -> bool| found.iter().filter(|(_, one)| keep(one)).count();
        out += &format!(
            "{n} rows, compared with {} ({}). Every cell fits in {}. The average is micro in {}, macro alone in {}, neither \
             in {}.\n",
            sizes.of,
            sizes.origin,
            count(&|one| one.n_misfits == 0),
            count(&|one| matches!(one.mean, Mean::Micro | Mean::Both)),
            count(&|one| one.mean == Mean::Macro),
            count(&|one| one.mean == Mean::Neither)
        );
        let failing: Vec<_> = found.iter().filter(|(_, one)| !one.why.is_empty()).collect();
        if !failing.is_empty() {
            out += "\n| row that fails | average | why |\n|---|---|---|\n";
            for (row, one) in failing {
                out += &format!(
                    "| {} | {}, {} | {} |\n",
                    row.model,
                    row.average,
                    one.mean.as_str(),
                    one.why.join("; ")
                );
            }
        }
        let only_macro: Vec<&str> = found
            .iter()
            .filter(|(_, one)| one.why.is_empty() && one.mean == Mean::Macro)
            .map(|(row, _)| &*row.model)
            .collect();
        if !only_macro.is_empty() {
            out += &format!(
                "\nThese rows fit, but their average is the mean of the cells and must not be compared with the others: {}.\n",
                only_macro.join(", ")
            );
        }
    }
    out
}

/// A table of whose cells nobody says how many items they have: only the average can be looked at.
fn without_sizes(table: &Table) -> String {
    let last = table.columns.len().min(3);
    let splits: Vec<&str> = table.columns[table.columns.len() - last..].iter().map(String::as_str).collect();
    if table.benchmark != "ui-vision" {
        return format!(
            "{} rows. Nobody says how many items a cell has, and an item can be in several: nothing was compared.\n",
            table.rows.len()
        );
    }
    let mut off = Vec::new();
    for row in &table.rows {
        let cells = &row.cells[row.cells.len() - last..];
        let mean = cells.iter().map(|cell| printed(cell).share()).sum::<f64>() / last as f64;
        let average = printed(&row.average);
        // Each cell is off by half of its last decimal at most.
        let room = unit(average) / 2.0
            + cells.iter().map(|cell| unit(printed(cell)) / 2.0).sum::<f64>() / last as f64;
        if (mean - average.share()).abs() > room + 1e-12 {
            off.push(format!("{} (printed {average}, mean {:.2})", row.model, 100.0 * mean));
        }
    }
    let n = table.rows.len();
    format!(
        "{n} rows. How many items a split has is not known here, so cells were not compared. The average of {} is the mean of \
         the columns {}, as the set's authors take it.{}\n",
        n - off.len(),
        splits.join(", "),
        match off.is_empty() {
            true => String::new(),
            false => format!(" It is not in: {}.", off.join("; ")),
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_this_report() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/published.md");
        if std::env::var_os("UPDATE_PUBLISHED").is_some() {
            std::fs::write(page, report()).unwrap();
        }
        let written = std::fs::read_to_string(page).unwrap();
        assert_eq!(written, report(), "UPDATE_PUBLISHED=1 cargo test -p vigorl-benchmarks published");
    }

    #[test]
    fn rows_that_are_known_to_fail_fail_and_the_others_do_not() {
        let mut failing = Vec::new();
        for table in tables_of("screenspot-v2/v1").iter().filter(|table| table.source.contains("UI-TARS")) {
            for row in &table.rows {
                let found = looked_at(table, row, &V2);
                if !found.why.is_empty() {
                    failing.push((row.model.clone(), found.why.join("; ")));
                }
            }
        }
        let names: Vec<&str> = failing.iter().map(|(model, _)| &**model).collect();
        assert_eq!(names, ["GPT-4o (SeeClick)", "SeeClick"]);
        assert!(
            failing[1].1.contains("every cell is a share of the counts of ScreenSpot"),
            "{}",
            failing[1].1
        );
    }

    #[test]
    fn shares_that_were_cut_are_told_from_those_that_are_none() {
        // 174 of 234 is 74.358…: 74.4 rounded, 74.3 cut, and 74.1 neither.
        assert!(fits_if_cut(printed("74.3"), 234) && printed("74.3").counts(234).is_none());
        assert!(printed("74.4").counts(234).is_some());
        assert!(!fits_if_cut(printed("74.1"), 234));
    }

    #[test]
    fn every_row_has_a_number_for_every_column() {
        for table in tables() {
            for row in &table.rows {
                assert_eq!(row.cells.len(), table.columns.len(), "{} in {}", row.model, table.source);
                row.cells.iter().chain([&row.average]).chain(&row.group_averages).for_each(|text| {
                    printed(text);
                });
            }
        }
    }
}
