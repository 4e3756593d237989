//! The start page of `vigorl view`: every run of a folder, one a row. Two can be chosen to be compared. Trainings of the
//! folder stand above them.
//! Invariant: a run or training that cannot be read has a row that says why.

use maud::{Markup, html};
use vigorl_metrics::{FolderError, Training};
use vigorl_runs::{Glance, RunDirError};

use crate::html::{self, Follow, Shown, count, date, duration, facts, filters};
use crate::standing::Standing;
use crate::training;

/// A training of the list.
#[derive(Debug)]
pub struct TrainingRow {
    /// Its folder's name.
    pub name: String,
    /// Where the server shows it.
    pub address: String,
    /// What is known of it.
    pub training: Result<Training, FolderError>,
}

/// The page. `runs` are names and what is known of them; `address` says where a run is shown; `version` is that of
/// the whole list, which the server has under `/state`.
pub fn render_list(
    folder: &str,
    trainings: &[TrainingRow],
    runs: &[(String, Result<Glance, RunDirError>)],
    address: impl Fn(&str) -> String,
    version: &str,
) -> String {
    let rows: Vec<Row<'_>> = runs.iter().map(|(name, glance)| Row::of(name, glance, address(name))).collect();
    let content = html! {
        (header(folder, trainings.len(), &rows))
        @if !trainings.is_empty() { (trainings_table(trainings)) }
        @if rows.is_empty() && trainings.is_empty() {
            div.panel {
                p.empty { "No run is recorded here yet. This page shows it as soon as one begins." }
            }
        } @else if !rows.is_empty() {
            (table(&rows))
        }
    };
    let follow = Some(Follow { address: "/state", version, in_place: false });
    html::page(folder, Shown::Served { follow }, &content)
}

/// A run, or why it cannot be read.
struct Row<'a> {
    name: &'a str,
    address: String,
    standing: Standing,
    glance: Result<&'a Glance, &'a RunDirError>,
}

impl<'a> Row<'a> {
    fn of(name: &'a str, glance: &'a Result<Glance, RunDirError>, address: String) -> Self {
        let standing = match glance {
            Ok(glance) => Standing::of(glance.success, glance.summary.as_ref()),
            Err(_) => Standing { class: "miss", mark: "!", word: "cannot be read" },
        };
        Self { name, address, standing, glance: glance.as_ref() }
    }
}

/// How many runs stand so.
fn n(rows: &[Row<'_>], class: &str) -> usize {
    rows.iter().filter(|row| row.standing.class == class).count()
}

fn header(folder: &str, n_trainings: usize, rows: &[Row<'_>]) -> Markup {
    let mut numbers = vec![("runs", rows.len()), ("solved", n(rows, "hit")), ("failures", n(rows, "miss"))];
    if n_trainings > 0 {
        numbers.insert(0, ("trainings", n_trainings));
    }
    html! {
        div.panel {
            div.brand { "vigorl " span { "recorded runs" } }
            h1 { (folder) }
            (facts(numbers.into_iter().map(|(name, n)| (name, html! { (count(n)) }))))
        }
    }
}

fn trainings_table(trainings: &[TrainingRow]) -> Markup {
    html! {
        div.panel {
            div.bar { h2 { "Trainings" } }
            table.runs {
                thead { tr { th { "training" } th { "last line" } th { "state" } th.n { "steps" } th.n { "held out" } th.n { "took" } } }
                tbody { @for row in trainings { (training_row(row)) } }
            }
        }
    }
}

fn training_row(TrainingRow { name, address, training }: &TrainingRow) -> Markup {
    let training = match training {
        Ok(training) => training,
        Err(error) => {
            return html! {
                tr.run.miss {
                    td { (name) small { (error) } }
                    td {} td { span.pill.state { "! cannot be read" } } td {} td {} td {}
                }
            };
        }
    };
    let [class, mark, word] = training::standing(training.standing, Shown::Served { follow: None });
    let steps = count(training.step() as usize);
    html! {
        tr.run.(class) {
            td { a href=(address) { (name) } small { (training.kind.word()) } }
            td { (training::written(training)) }
            td { span.pill.state { (mark) " " (word) } }
            td.n { (steps) @if let Some(total) = training.total_steps() { small { "of " (count(total as usize)) } } }
            td.n {
                @match training::newest_held_out(training) {
                    Some((held_out, share)) => { (share) small { (held_out.set) } }
                    None => "–",
                }
            }
            td.n { (training.newest("time/secs").map_or_else(|| "–".to_owned(), |(_, secs)| training::span(secs))) }
        }
    }
}

fn table(rows: &[Row<'_>]) -> Markup {
    let can_compare = rows.len() > 1;
    html! {
        form.panel action="/compare" {
            div.bar {
                h2 { "Runs" }
                (filters([
                    ("all", "all", rows.len()),
                    ("hit", "solved", n(rows, "hit")),
                    ("miss", "failures", n(rows, "miss")),
                    ("open", "undecided", n(rows, "open")),
                ]))
                @if can_compare { div.chips { span.labels { "choose A and B" } button { "Compare" } } }
            }
            table.runs {
                thead {
                    tr {
                        @if can_compare { th.pick { "A" } th.pick { "B" } }
                        th { "run" } th { "started" } th { "outcome" }
                        th.n { "steps" } th.n { "reward" } th.n { "took" }
                    }
                }
                tbody { @for row in rows { (tr(row, can_compare)) } }
            }
        }
    }
}

fn tr(row: &Row<'_>, can_compare: bool) -> Markup {
    html! {
        tr.run.(row.standing.class) {
            @if can_compare { (pick(row, "a", "A")) (pick(row, "b", "B")) }
            @match row.glance {
                Ok(glance) => (cells(row, glance)),
                Err(error) => {
                    td { (row.name) small { (error) } }
                    td {}
                    td { (pill(row.standing)) }
                    td {} td {} td {}
                }
            }
        }
    }
}

/// The choice of a run as one side of a comparison.
fn pick(row: &Row<'_>, side: &str, letter: &str) -> Markup {
    let can_be_read = row.glance.is_ok();
    html! {
        td.pick {
            input type="radio" name=(side) value=(row.name) required[can_be_read] disabled[!can_be_read]
                aria-label={ (letter) ": " (row.name) };
        }
    }
}

fn pill(Standing { mark, word, .. }: Standing) -> Markup {
    html! { span.pill.state { (mark) " " (word) } }
}

fn cells(row: &Row<'_>, glance: &Glance) -> Markup {
    let run = &glance.run;
    let task = if run.task.is_empty() { row.name } else { &run.task };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let took = glance.summary.as_ref().map(|summary| duration(summary.wall_millis.0));
    html! {
        td { a href=(row.address) { (task) } small { (row.name) " · " (run.model.name) } }
        td { (date(&run.started_at)) }
        td {
            (pill(row.standing))
            @if glance.n_judged > 1 { small { (count(glance.n_success)) " of " (count(glance.n_judged)) " solved" } }
        }
        td.n { (count(glance.n_steps)) }
        td.n { (or_none(glance.reward.map(html::reward))) }
        td.n { (or_none(took)) }
    }
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::{RunRecord, Summary};

    use super::*;

    fn glance(task: &str, success: Option<bool>, err_msg: Option<&str>) -> Glance {
        let summary = Summary { success, err_msg: err_msg.map(str::to_owned), ..Summary::default() };
        let run = RunRecord { task: task.to_owned(), ..RunRecord::default() };
        Glance {
            run,
            success,
            reward: success.map(f64::from),
            n_steps: 3,
            n_judged: 1,
            n_success: 0,
            summary: Some(summary),
        }
    }

    fn page(runs: Vec<(&str, Glance)>) -> String {
        let runs: Vec<_> = runs.into_iter().map(|(name, glance)| (name.to_owned(), Ok(glance))).collect();
        render_list("runs", &[], &runs, |name| format!("/run/{name}/"), "7")
    }

    #[test]
    fn every_run_has_a_row_with_how_it_ended() {
        let html = page(vec![
            ("a", glance("find it", Some(true), None)),
            ("b", glance("lose it", Some(false), None)),
            ("c", glance("break it", None, Some("gone"))),
        ]);
        for words in [
            r#"<tr class="run hit">"#,
            "✓ solved",
            r#"<tr class="run miss">"#,
            "✗ not solved",
            "! failed",
            r#"<a href="/run/b/">lose it</a>"#,
            "failures 2",
            r#"data-follow="/state" data-version="7""#,
        ] {
            assert!(html.contains(words), "{words}");
        }
    }

    #[test]
    fn names_and_tasks_cannot_leave_their_place() {
        let html = page(vec![
            ("\"><script>x</script>", glance("<img src=x>", None, None)),
            ("b", glance("", None, None)),
        ]);
        assert!(!html.contains("<script>x") && !html.contains("<img src=x>"));
        assert!(html.contains("&lt;img src=x&gt;"));
    }
}
