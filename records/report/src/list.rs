//! The start page of `vigorl view`: the runs of a folder, one a row, or its tasks, each with what its latest runs came to. Words
//! and outcomes choose among them. Two runs can be chosen to be compared. Trainings of the folder stand above them.
//! Invariants: a run or training that cannot be read has a row that says why; of a long list a part is shown, and what is counted
//! is counted of all.

use std::borrow::Borrow;
use std::collections::HashMap;

use maud::{Markup, html};
use vigorl_metrics::{FolderError, Training};
use vigorl_runs::{Glance, RunDirError};

use crate::html::{self, Follow, Shown, count, date, duration, facts};
use crate::standing::Standing;
use crate::training;
use crate::view::{Ended, Wish, run_address};

/// Rows that are shown at a time.
const PART: usize = 100;
/// Latest runs of a task that are shown as a strip.
const LATEST: usize = 12;

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

/// A run of the list.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Its folder's name.
    pub name: String,
    /// What is known of it, or why it cannot be read.
    pub(crate) known: Result<Known, String>,
    /// All words that it is found by, in small letters.
    words: String,
}

/// What the list knows of a run.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    task: String,
    model: String,
    started_at: String,
    standing: Standing,
    n_steps: usize,
    n_judged: usize,
    n_success: usize,
    reward: Option<f64>,
    /// Milliseconds; absent as long as it goes on.
    took: Option<f64>,
}

impl RunRow {
    /// What the list says of a run.
    pub fn of(name: &str, glance: &Result<Glance, RunDirError>) -> Self {
        let known = glance.as_ref().map_err(ToString::to_string).map(|glance| Known {
            task: if glance.run.task.is_empty() { name } else { &glance.run.task }.to_owned(),
            model: glance.run.model.name.clone(),
            started_at: glance.run.started_at.clone(),
            standing: Standing::of(glance.success, glance.summary.as_ref()),
            n_steps: glance.n_steps,
            n_judged: glance.n_judged,
            n_success: glance.n_success,
            reward: glance.reward,
            took: glance.summary.as_ref().map(|summary| summary.wall_millis.0),
        });
        let words = match &known {
            Ok(known) => format!("{name}\n{}\n{}", known.task, known.model),
            Err(why) => format!("{name}\n{why}"),
        };
        Self { name: name.to_owned(), known, words: words.to_lowercase() }
    }

    fn standing(&self) -> Standing {
        match &self.known {
            Ok(known) => known.standing,
            Err(_) => Standing { class: "miss", mark: "!", word: "cannot be read" },
        }
    }

    fn ended(&self) -> Ended {
        let class = self.standing().class;
        Ended::ALL.into_iter().find(|ended| ended.class() == class).unwrap_or(Ended::Undecided)
    }

    /// The task that it did; what cannot be read is a task of its own.
    fn task(&self) -> &str {
        self.known.as_ref().map_or(&self.name, |known| &known.task)
    }

    /// What the latest run is known by; what cannot be read has no time and comes last.
    fn age(&self) -> (&str, &str) {
        (self.known.as_ref().map_or("", |known| &known.started_at), &self.name)
    }
}

/// What the page is made of.
#[derive(Debug)]
pub struct ListPage<'a, R> {
    /// The folder, as it was typed.
    pub folder: &'a str,
    /// Its trainings, in the order in which they are shown.
    pub trainings: &'a [TrainingRow],
    /// Its runs, in any order.
    pub runs: &'a [R],
    /// What is to be shown of them.
    pub wish: &'a Wish,
    /// The version of the whole list, which the server has under `/state`.
    pub version: &'a str,
}

/// The page.
pub fn render_list<R: Borrow<RunRow>>(page: &ListPage<'_, R>) -> String {
    let ListPage { folder, trainings, wish, version, .. } = *page;
    let mut runs: Vec<&RunRow> = page.runs.iter().map(Borrow::borrow).collect();
    runs.sort_by(|a, b| b.age().cmp(&a.age()));
    let content = html! {
        (header(folder, trainings.len(), &runs))
        // Also where it is empty: what is renewed is put in the place of what was there.
        div data-renew="trainings" {
            @if !trainings.is_empty() && wish.is_all() { (trainings_table(trainings)) }
        }
        @if runs.is_empty() && trainings.is_empty() {
            div.panel {
                p.empty { "No run is recorded here yet. This page shows it as soon as one begins." }
            }
        } @else if !runs.is_empty() {
            div.panel { (find(wish)) (found(wish, &runs)) }
            footer { p { kbd { "/" } " search · the address keeps what is chosen" } }
        }
    };
    let follow = Some(Follow { address: "/state", version, in_place: true });
    html::page(folder, Shown::Served { follow }, &content)
}

/// How many of them ended so.
fn n<'r>(runs: impl IntoIterator<Item = &'r RunRow>, ended: Ended) -> usize {
    runs.into_iter().filter(|run| run.ended() == ended).count()
}

fn header(folder: &str, n_trainings: usize, runs: &[&RunRow]) -> Markup {
    let n = |ended| n(runs.iter().copied(), ended);
    let mut numbers =
        vec![("runs", runs.len()), ("solved", n(Ended::Solved)), ("failures", n(Ended::Failed))];
    if n_trainings > 0 {
        numbers.insert(0, ("trainings", n_trainings));
    }
    html! {
        div.panel data-renew="numbers" {
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
                    td.name { (name) small { (error) } }
                    td {} td { span.pill.state { "! cannot be read" } } td {} td {} td {}
                }
            };
        }
    };
    let [class, mark, word] = training::standing(training.standing, Shown::Served { follow: None });
    let steps = count(training.step() as usize);
    html! {
        tr.run.(class) {
            td.name { a href=(address) { (name) } small { (training.kind.word()) } }
            td data-label="last line" { (training::written(training)) }
            td { span.pill.state { (mark) " " (word) } }
            td.n data-label="steps" { (steps) @if let Some(total) = training.total_steps() { small { "of " (count(total as usize)) } } }
            td.n data-label="held out" {
                @match training::newest_held_out(training) {
                    Some((held_out, share)) => { (share) small { (held_out.set) } }
                    None => "–",
                }
            }
            td.n data-label="took" { (training.newest("time/secs").map_or_else(|| "–".to_owned(), |(_, secs)| training::span(secs))) }
        }
    }
}

/// The field for words. What else is chosen stays chosen.
fn find(wish: &Wish) -> Markup {
    html! {
        form.find action="/" role="search" {
            input type="search" name="q" value=(wish.words) placeholder="words of a task, a run, a model"
                aria-label="words of a task, a run, a model";
            @for (name, value) in wish.named().filter(|(name, _)| *name != "q") {
                input type="hidden" name=(name) value=(value);
            }
            button { "Search" }
        }
    }
}

/// What is chosen of the runs.
fn found(wish: &Wish, runs: &[&RunRow]) -> Markup {
    let words: Vec<String> = wish.words.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let is_meant = |run: &&&RunRow| {
        words.iter().all(|word| run.words.contains(word))
            && wish.task.as_deref().is_none_or(|task| run.task() == task)
    };
    let meant: Vec<&RunRow> = runs.iter().filter(is_meant).copied().collect();
    let is_shown = |ended: Ended| wish.ended.is_none_or(|wanted| ended == wanted);
    html! {
        div.found data-renew="found" {
            @if wish.by_task {
                @let tasks = tasks_of(&meant);
                @let ended: Vec<Ended> = tasks.iter().filter_map(|task| Some(task.first()?.ended())).collect();
                (choices(wish, &ended))
                @let shown: Vec<_> = tasks.iter().zip(ended).filter(|(_, ended)| is_shown(*ended)).map(|(task, _)| task).collect();
                @if shown.is_empty() { (nothing(wish)) } @else { (task_table(wish, part_of(wish, &shown))) }
                (parts(wish, shown.len(), "tasks"))
            } @else {
                @let ended: Vec<Ended> = meant.iter().map(|run| run.ended()).collect();
                (choices(wish, &ended))
                @let shown: Vec<&RunRow> = meant.into_iter().filter(|run| is_shown(run.ended())).collect();
                @if shown.is_empty() { (nothing(wish)) } @else { (run_table(part_of(wish, &shown))) }
                (parts(wish, shown.len(), "runs"))
            }
        }
    }
}

/// The runs of each task, the latest first, and the task with the latest run first.
fn tasks_of<'r>(runs: &[&'r RunRow]) -> Vec<Vec<&'r RunRow>> {
    let mut tasks: Vec<Vec<&RunRow>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for run in runs {
        let place = *places.entry(run.task()).or_insert(tasks.len());
        match tasks.get_mut(place) {
            Some(task) => task.push(run),
            None => tasks.push(vec![run]),
        }
    }
    tasks
}

/// The rows of the part that is shown.
fn part_of<'s, T>(wish: &Wish, rows: &'s [T]) -> &'s [T] {
    rows.chunks(PART).nth(wish.part).unwrap_or_default()
}

/// Runs or tasks, and how they ended. Of tasks, their latest run is counted.
fn choices(wish: &Wish, ended: &[Ended]) -> Markup {
    let chip = |is_chosen: bool, wish: &Wish, words: &dyn std::fmt::Display| {
        html! { a.chip href=(wish.address()) aria-current=[is_chosen.then_some("true")] { (words) } }
    };
    let n = |wanted| ended.iter().filter(|&&ended| ended == wanted).count();
    html! {
        div.bar {
            nav.chips aria-label="runs or tasks" {
                (chip(!wish.by_task, &wish.with(|wish| wish.by_task = false), &"runs"))
                (chip(wish.by_task, &wish.with(|wish| (wish.by_task, wish.task) = (true, None)), &"by task"))
            }
            nav.chips aria-label=(if wish.by_task { "how the latest run ended" } else { "how it ended" }) {
                (chip(wish.ended.is_none(), &wish.with(|wish| wish.ended = None), &format!("all {}", count(ended.len()))))
                @for (one, n) in Ended::ALL.map(|one| (one, n(one))).into_iter().filter(|(one, n)| *n > 0 || wish.ended == Some(*one)) {
                    (chip(wish.ended == Some(one), &wish.with(|wish| wish.ended = Some(one)), &format!("{} {}", one.word(), count(n))))
                }
            }
        }
        @if let Some(task) = &wish.task {
            p.of-task {
                "runs of " b { (task) } " "
                a.chip href=(wish.with(|wish| wish.task = None).address()) { "✗ all tasks" }
            }
        }
    }
}

fn nothing(wish: &Wish) -> Markup {
    html! {
        p.empty {
            "Nothing here is as it was asked for. "
            a href=(Wish { by_task: wish.by_task, ..Wish::default() }.address()) { "Show all" }
        }
    }
}

/// Which part it is, and where the others are.
fn parts(wish: &Wish, n: usize, what: &str) -> Markup {
    let first = wish.part.saturating_mul(PART);
    let last = first.saturating_add(PART).min(n);
    let to = |part: usize, words: &str| {
        html! { a.chip href=(Wish { part, ..wish.clone() }.address()) { (words) } }
    };
    html! {
        @if n > PART || wish.part > 0 {
            nav.parts aria-label="parts of the list" {
                @if wish.part > 0 { (to((wish.part - 1).min((n.max(1) - 1) / PART), "← newer")) }
                span { @if first < n { (count(first + 1)) " – " (count(last)) " of " } (count(n)) " " (what) }
                @if last < n { (to(wish.part + 1, "older →")) }
            }
        }
    }
}

fn run_table(runs: &[&RunRow]) -> Markup {
    let can_compare = runs.len() > 1;
    html! {
        form action="/compare" {
            @if can_compare { div.bar.compare { span.labels { "choose A and B" } div.chips { button { "Compare" } } } }
            table.runs {
                thead {
                    tr {
                        @if can_compare { th.pick { "A" } th.pick { "B" } }
                        th { "run" } th { "started" } th { "outcome" }
                        th.n { "steps" } th.n { "reward" } th.n { "took" }
                    }
                }
                tbody { @for run in runs { (tr(run, can_compare)) } }
            }
        }
    }
}

fn tr(run: &RunRow, can_compare: bool) -> Markup {
    html! {
        tr.run.(run.standing().class) {
            @if can_compare { (pick(run, "a", "A")) (pick(run, "b", "B")) }
            @match &run.known {
                Ok(known) => (cells(run, known)),
                Err(error) => {
                    td.name { (run.name) small { (error) } }
                    td {}
                    td { (pill(run.standing())) }
                    td {} td {} td {}
                }
            }
        }
    }
}

/// The choice of a run as one side of a comparison.
fn pick(run: &RunRow, side: &str, letter: &str) -> Markup {
    let can_be_read = run.known.is_ok();
    html! {
        td.pick {
            label {
                input type="radio" name=(side) value=(run.name) required[can_be_read] disabled[!can_be_read]
                    aria-label={ (letter) ": " (run.name) };
                span aria-hidden="true" { (letter) }
            }
        }
    }
}

fn pill(Standing { mark, word, .. }: Standing) -> Markup {
    html! { span.pill.state { (mark) " " (word) } }
}

fn cells(run: &RunRow, known: &Known) -> Markup {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    html! {
        td.name { a href=(run_address(&run.name)) { (known.task) } small { (run.name) " · " (known.model) } }
        td data-label="started" { (date(&known.started_at)) }
        td {
            (pill(known.standing))
            @if known.n_judged > 1 { small { (count(known.n_success)) " of " (count(known.n_judged)) " solved" } }
        }
        td.n data-label="steps" { (count(known.n_steps)) }
        td.n data-label="reward" { (or_none(known.reward.map(html::reward))) }
        td.n data-label="took" { (or_none(known.took.map(duration))) }
    }
}

fn task_table(wish: &Wish, tasks: &[&Vec<&RunRow>]) -> Markup {
    html! {
        table.runs {
            thead {
                tr {
                    th { "task" } th { "latest runs" }
                    @for ended in Ended::ALL { th.n { (ended.word()) } }
                    th.n { "last" }
                }
            }
            tbody { @for task in tasks { (task_row(wish, task)) } }
        }
    }
}

/// A task with its runs, the latest first.
fn task_row(wish: &Wish, runs: &[&RunRow]) -> Markup {
    let Some(latest) = runs.first() else { return html! {} };
    let name = latest.task();
    let of_task =
        wish.with(|wish| (wish.by_task, wish.ended, wish.task) = (false, None, Some(name.to_owned())));
    html! {
        tr.run.(latest.standing().class) {
            td.name {
                a href=(of_task.address()) { (name) }
                small { (count(runs.len())) @if runs.len() == 1 { " run" } @else { " runs" } }
            }
            td { (strip(runs)) }
            @for ended in Ended::ALL { td.n data-label=(ended.word()) { (count(n(runs.iter().copied(), ended))) } }
            td.n data-label="last" { (latest.known.as_ref().map_or_else(|_| "–".to_owned(), |known| date(&known.started_at))) }
        }
    }
}

/// The latest runs, the latest of them on the right.
fn strip(runs: &[&RunRow]) -> Markup {
    html! {
        span.strip {
            @for run in runs.iter().take(LATEST).rev() {
                @let Standing { class, mark, word } = run.standing();
                @let about = format!("{word}, {}", run.known.as_ref().map_or_else(|_| run.name.clone(), |known| date(&known.started_at)));
                @match &run.known {
                    Ok(_) => a.(class) href=(run_address(&run.name)) title=(about) aria-label=(about) { (mark) },
                    Err(_) => span.(class) title=(about) { (mark) },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vigorl_runs::record::{RunRecord, Summary};

    use super::*;

    fn run(name: &str, task: &str, started_at: &str, success: Option<bool>, err_msg: Option<&str>) -> RunRow {
        let summary = Summary { success, err_msg: err_msg.map(str::to_owned), ..Summary::default() };
        let run =
            RunRecord { task: task.to_owned(), started_at: started_at.to_owned(), ..RunRecord::default() };
        let glance = Glance {
            run,
            success,
            reward: success.map(f64::from),
            n_steps: 3,
            n_judged: 1,
            n_success: 0,
            summary: Some(summary),
        };
        RunRow::of(name, &Ok(glance))
    }

    fn page(runs: &[RunRow], query: &str) -> String {
        let wish = Wish::of(query).unwrap();
        render_list(&ListPage { folder: "runs", trainings: &[], runs, wish: &wish, version: "7" })
    }

    fn three() -> Vec<RunRow> {
        vec![
            run("a", "find it", "2026-01-03", Some(true), None),
            run("b", "lose it", "2026-01-02", Some(false), None),
            run("c", "break it", "2026-01-01", None, Some("gone")),
        ]
    }

    /// The names of runs that are shown, in order.
    fn shown(html: &str) -> Vec<&str> {
        html.split("name=\"a\" value=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect()
    }

    #[test]
    fn every_run_has_a_row_with_how_it_ended() {
        let html = page(&three(), "");
        for words in [
            r#"<tr class="run hit">"#,
            "✓ solved",
            r#"<tr class="run miss">"#,
            "✗ not solved",
            "! failed",
            r#"<a href="/run/b/">lose it</a>"#,
            r#"<a class="chip" href="/?ended=failures">failures 2</a>"#,
            r#"<a class="chip" href="/" aria-current="true">all 3</a>"#,
            r#"data-follow="/state" data-version="7""#,
        ] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        assert_eq!(shown(&html), ["a", "b", "c"], "the latest first");
    }

    #[test]
    fn words_tasks_and_outcomes_choose_and_the_counts_are_of_what_is_meant() {
        let runs = [three(), vec![run("d", "find it", "2026-01-04", Some(false), None)]].concat();
        assert_eq!(shown(&page(&runs, "ended=failures")), ["d", "b", "c"]);
        // All words, in any letter case, of the task or the folder's name.
        let html = page(&runs, "q=IT+find");
        assert_eq!(shown(&html), ["d", "a"]);
        assert!(html.contains(">all 2</a>") && html.contains(">failures 1</a>"), "{html}");
        assert!(html.contains(r#"href="/?q=IT%20find&amp;ended=failures""#), "the words stay");
        let html = page(&runs, "task=find+it&ended=failures");
        // One run has nothing to be compared with.
        assert!(html.contains("runs of <b>find it</b>") && !html.contains("Compare"), "{html}");
        assert!(html.contains(r#"<input type="hidden" name="task" value="find it">"#), "{html}");
        let html = page(&runs, "q=nowhere");
        assert!(
            html.contains("Nothing here is as it was asked for") && html.contains(">all 0</a>"),
            "{html}"
        );
    }

    #[test]
    fn tasks_have_their_counts_and_their_latest_runs_as_a_strip() {
        let mut runs: Vec<RunRow> = (10..40)
            .map(|day| run(&format!("r{day}"), "often", &format!("2026-01-{day}"), Some(day % 3 > 0), None))
            .collect();
        runs.extend(three());
        runs.push(RunRow::of(
            "broken",
            &Err(RunDirError::Read { path: "broken/run.json".into(), source: std::io::Error::other("gone") }),
        ));
        let html = page(&runs, "by=task");
        // Thirty runs, of which every third failed; the strip has the latest twelve, the last of them on the right.
        let strip: Vec<&str> = html.split("href=\"/run/r").skip(1).map(|part| &part[..2]).collect();
        assert_eq!(strip, (28..40).map(|day| day.to_string()).collect::<Vec<_>>());
        for words in [
            r#"<a href="/?task=often">often</a><small>30 runs</small>"#,
            r#"<td class="n" data-label="solved">20</td><td class="n" data-label="failures">10</td>"#,
            "<small>1 run</small>",
            "cannot be read, broken",
        ] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        // Of tasks the latest run counts: the one of day 39 failed, as two of the others and the broken one.
        assert!(
            html.contains(">all 5</a>") && html.contains(">failures 4</a>") && html.contains(">solved 1</a>")
        );
        let solved = page(&runs, "by=task&ended=solved");
        assert!(solved.contains(">find it</a>") && !solved.contains(">often</a>"), "{solved}");
    }

    #[test]
    fn of_a_long_list_a_part_is_shown_and_leads_to_the_others() {
        let runs: Vec<RunRow> = (0..250)
            .map(|n| run(&format!("r{n:03}"), "x", &format!("2026-{n:03}"), Some(true), None))
            .collect();
        let first = page(&runs, "");
        assert_eq!((shown(&first).len(), shown(&first)[0]), (100, "r249"));
        assert!(first.contains("1 – 100 of 250 runs") && first.contains(">all 250</a>"), "{first}");
        assert!(first.contains(r#"href="/?part=2">older →"#) && !first.contains("← newer"));
        let last = page(&runs, "q=r&part=3");
        assert_eq!((shown(&last).len(), shown(&last)[49]), (50, "r000"));
        assert!(last.contains(r#"href="/?q=r&amp;part=2">← newer"#) && !last.contains("older →"));
        assert!(last.contains(r#"href="/?q=r&amp;ended=solved""#), "another choice begins at its beginning");
        // What was shared may have become shorter.
        let beyond = page(&runs, "part=9");
        assert!(shown(&beyond).is_empty() && beyond.contains(r#"href="/?part=3">← newer"#), "{beyond}");
    }

    #[test]
    fn names_and_tasks_cannot_leave_their_place() {
        let runs =
            [run("\"><script>x</script>", "<img src=x>", "", None, None), run("b", "", "", None, None)];
        for query in ["", "by=task", "q=%22%3E%3Cscript%3Ex&task=%3Cimg+src%3Dx%3E"] {
            let html = page(&runs, query);
            assert!(!html.contains("<script>x") && !html.contains("<img src=x>"), "{query}");
            assert!(html.contains("&lt;img src=x&gt;"), "{query}");
        }
    }
}
