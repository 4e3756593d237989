//! The page of a suite: every task that one command played, what became of it, and why not all of it was solved. It lies in a
//! folder beside copies of the runs' reports, which `folder` puts there.
//!
//! Invariant: a task counts as solved only if each time was; what nobody played is told apart from what failed. The page works
//! from a file, loads nothing but the pictures beside it, and shows everything where no script runs.

mod folder;

use maud::{Markup, html};

use crate::html::{self, Shown, count, date, dotted, duration, facts};
use crate::run::ring;
use crate::standing::Standing;

pub use folder::{KeptRun, Sight, SuiteError, SuiteFolder};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct SuitePage {
    /// When the first task began; empty if that is not known.
    pub started_at: String,
    /// In the order in which they were named.
    pub tasks: Vec<SuiteTask>,
}

/// A task, or a task with one row of its table.
#[derive(Debug, Clone, Default)]
pub struct SuiteTask {
    /// For people.
    pub name: String,
    /// As it was typed: a file, or what to click.
    pub given: String,
    /// What it is marked with.
    pub tags: Vec<String>,
    /// Whether somebody says that it is solved; otherwise it is done when every step was.
    pub is_judged: bool,
    /// Each time that it was to be played.
    pub plays: Vec<SuitePlay>,
}

/// One time that a task is played.
#[derive(Debug, Clone)]
pub struct SuitePlay {
    /// Which one it is: `2`, or `row 3, 2`.
    pub label: String,
    /// How it ended.
    pub outcome: SuiteOutcome,
    /// The same in words, with the reason.
    pub words: String,
    /// How long it took.
    pub millis: f64,
    /// The first number that it drew from.
    pub seed: u64,
    /// What is kept of its run; absent if nothing was recorded.
    pub kept: Option<KeptRun>,
    /// What was tried before it and is not what counts, in order.
    pub earlier: Vec<SuitePlay>,
}

/// How a task ended, or one time that it was played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuiteOutcome {
    /// Solved, or done where nobody judges.
    Solved,
    /// The same, but not at once.
    Flaky,
    /// Not.
    NotSolved,
    /// The world failed: neither solved nor not.
    Failed,
    /// Not played at all, or not to its end.
    NotPlayed,
}

impl SuiteOutcome {
    /// Of several, the first that occurs is that of all.
    const ALL: [Self; 5] = [Self::NotSolved, Self::Failed, Self::NotPlayed, Self::Flaky, Self::Solved];

    /// In an address.
    fn name(self) -> &'static str {
        match self {
            Self::Solved => "solved",
            Self::Flaky => "flaky",
            Self::NotSolved => "not-solved",
            Self::Failed => "failed",
            Self::NotPlayed => "not-played",
        }
    }

    fn standing(self, is_judged: bool) -> Standing {
        let (class, mark, word) = match (self, is_judged) {
            (Self::Solved, true) => ("hit", "✓", "solved"),
            (Self::Solved, false) => ("hit", "✓", "done"),
            (Self::Flaky, _) => ("open", "~", "flaky"),
            (Self::NotSolved, true) => ("miss", "✗", "not solved"),
            (Self::NotSolved, false) => ("miss", "✗", "not done"),
            (Self::Failed, _) => ("miss", "!", "failed"),
            (Self::NotPlayed, _) => ("open", "…", "not played"),
        };
        Standing { class, mark, word }
    }
}

impl SuiteTask {
    fn outcome(&self) -> SuiteOutcome {
        let is_there = |wanted: &SuiteOutcome| self.plays.iter().any(|play| play.outcome == *wanted);
        SuiteOutcome::ALL.into_iter().find(is_there).unwrap_or(SuiteOutcome::NotPlayed)
    }

    fn n(&self, wanted: SuiteOutcome) -> usize {
        self.plays.iter().filter(|play| play.outcome == wanted).count()
    }

    fn standing(&self) -> Standing {
        self.outcome().standing(self.is_judged)
    }

    /// Every try, in order.
    fn tries(&self) -> impl Iterator<Item = &SuitePlay> {
        self.plays.iter().flat_map(|play| play.earlier.iter().chain(std::iter::once(play)))
    }

    fn millis(&self) -> f64 {
        self.tries().map(|play| play.millis).sum()
    }

    /// The first try that was not solved.
    fn first_failure(&self) -> Option<&SuitePlay> {
        self.tries().find(|play| matches!(play.outcome, SuiteOutcome::NotSolved | SuiteOutcome::Failed))
    }
}

/// What the page is called, by which its folder is known again.
const BRAND: &str = "suite report";

/// The page, for a file beside the folder of its runs.
pub fn render_suite(page: &SuitePage) -> String {
    let content = html! {
        (head(page))
        @if !page.tasks.is_empty() { (browse(page)) }
        @for (number, task) in page.tasks.iter().enumerate() { (article(number, task)) }
        footer { p { kbd { "/" } " search · this page and the reports beside it need no network" } }
    };
    html::page(&headline(page), Shown::Beside, &content)
}

/// How many times a task ended so.
fn n(page: &SuitePage, wanted: SuiteOutcome) -> usize {
    page.tasks.iter().map(|task| task.n(wanted)).sum()
}

/// Those that were solved, and those that somebody could tell of.
fn solved(page: &SuitePage) -> (usize, usize) {
    let n_solved = n(page, SuiteOutcome::Solved) + n(page, SuiteOutcome::Flaky);
    (n_solved, n_solved + n(page, SuiteOutcome::NotSolved))
}

/// What it is called where it is said of several tasks.
fn word(page: &SuitePage, outcome: SuiteOutcome) -> &'static str {
    outcome.standing(page.tasks.iter().all(|task| task.is_judged)).word
}

fn headline(page: &SuitePage) -> String {
    let word = word(page, SuiteOutcome::Solved);
    match solved(page) {
        (_, 0) => format!("none {word}"),
        (k, n) => format!("{k} of {n} {word}"),
    }
}

fn head(page: &SuitePage) -> Markup {
    let n_plays: usize = page.tasks.iter().map(|task| task.plays.len()).sum();
    let (n_solved, n_told) = solved(page);
    let mut all = vec![("tasks", count(page.tasks.len())), ("runs", count(n_plays))];
    let others = SuiteOutcome::ALL.into_iter().filter(|outcome| *outcome != SuiteOutcome::Solved);
    let counted = others.map(|outcome| (word(page, outcome), n(page, outcome)));
    all.extend(counted.filter(|(_, n)| *n > 0).map(|(word, n)| (word, count(n))));
    all.push(("time in runs", duration(page.tasks.iter().map(SuiteTask::millis).sum())));
    if !page.started_at.is_empty() {
        all.push(("started", date(&page.started_at)));
    }
    let exit = match (n_solved == n_plays, n(page, SuiteOutcome::NotPlayed)) {
        (true, _) => "exit code 0: each time was solved".to_owned(),
        (false, 0) => "exit code 1: not each time was solved".to_owned(),
        (false, n) => format!(
            "exit code 1, or 130 after Ctrl-C: {} not played to the end, or not yet",
            if n == 1 { "1 run was".to_owned() } else { format!("{} runs were", count(n)) }
        ),
    };
    html! {
        div.panel {
            div.top {
                div.words {
                    div.brand { "vigorl " span { (BRAND) } }
                    h1 { (headline(page)) }
                    (facts(all.into_iter().map(|(name, value)| (name, html! { (value) }))))
                    p.labels { (exit) }
                }
                @if n_told > 0 { (ring(n_solved, n_told)) }
            }
        }
    }
}

/// What chooses among the tasks.
fn browse(page: &SuitePage) -> Markup {
    let n_tasks = |wanted| page.tasks.iter().filter(|task| task.outcome() == wanted).count();
    let outcomes = SuiteOutcome::ALL.map(|outcome| (outcome, n_tasks(outcome)));
    let mut tags: Vec<&str> = page.tasks.iter().flat_map(|task| &task.tags).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    html! {
        section.panel.browse aria-label="choose tasks" {
            div.controls {
                input type="search" name="q" placeholder="words of a name, a file, a reason" aria-label="words of a name, a file, a reason";
                @if !tags.is_empty() {
                    select data-by="tag" aria-label="tag" {
                        option value="" { "every tag" }
                        @for tag in &tags { option { (tag) } }
                    }
                }
                select data-sort aria-label="order" {
                    option value="-listed" { "as named" }
                    option value="time" { "slowest first" }
                }
                output {}
            }
            div.chips role="group" aria-label="outcome" {
                button type="button" data-by="outcome" data-is="" aria-pressed="true" { "all " (count(page.tasks.len())) }
                @for (outcome, n) in outcomes.into_iter().filter(|(_, n)| *n > 0) {
                    button type="button" data-by="outcome" data-is=(outcome.name()) aria-pressed="false" { (word(page, outcome)) " " (count(n)) }
                }
            }
        }
    }
}

fn article(number: usize, task: &SuiteTask) -> Markup {
    let Standing { class, mark, word } = task.standing();
    let failure = task.first_failure();
    let values = task.tags.iter().map(|tag| format!("tag={tag}"));
    let values = values.chain([format!("outcome={}", task.outcome().name())]).collect::<Vec<_>>().join("\n");
    let reasons = task.tries().map(|play| play.words.as_str());
    let words =
        [&*task.name, &*task.given].into_iter().chain(reasons).chain(task.tags.iter().map(String::as_str));
    let words = words.collect::<Vec<_>>().join("\n").to_lowercase();
    let shown = failure.or(task.plays.first()).and_then(|play| play.kept.as_ref());
    html! {
        article.panel.task.(class) data-values=(values) data-words=(words) data-time=(format!("{:.0}", task.millis())) data-listed=(number) {
            header {
                h3 {
                    @match shown {
                        Some(kept) => a href=(kept.report) { (task.name) },
                        None => (task.name),
                    }
                }
                span.pill.state { (mark) " " (word) }
            }
            p.labels { (dotted(&labels(task))) }
            @if !task.tags.is_empty() { p.tags { @for tag in &task.tags { span.pill { (tag) } " " } } }
            @if task.tries().count() > 1 { (tries(task)) }
            @if let Some(failure) = failure { (cause(task, failure)) }
        }
    }
}

/// What is to be known of a task besides its outcome.
fn labels(task: &SuiteTask) -> Vec<Markup> {
    let mut labels = vec![html! { code { (task.given) } }];
    let (n_plays, n_flaky) = (task.plays.len(), task.n(SuiteOutcome::Flaky));
    if n_plays > 1 {
        let solved = SuiteOutcome::Solved.standing(task.is_judged).word;
        let n_solved = task.n(SuiteOutcome::Solved) + n_flaky;
        labels.push(html! { (count(n_solved)) " of " (count(n_plays)) " " (solved) });
        if n_flaky > 0 {
            labels.push(html! { (count(n_flaky)) " flaky" });
        }
    }
    if task.millis() > 0.0 {
        labels.push(html! { (duration(task.millis())) });
    }
    labels
}

/// All tries, each with its report.
fn tries(task: &SuiteTask) -> Markup {
    let label = |play: &SuitePlay, idx: usize| match (task.plays.len(), play.earlier.len()) {
        (_, 0) => play.label.clone(),
        (1, _) => format!("try {}", idx + 1),
        (_, _) => format!("{}, try {}", play.label, idx + 1),
    };
    html! {
        ol.tries {
            @for play in &task.plays {
                @for (idx, tried) in play.earlier.iter().enumerate() { (one_try(task, tried, &label(play, idx))) }
                (one_try(task, play, &label(play, play.earlier.len())))
            }
        }
    }
}

fn one_try(task: &SuiteTask, play: &SuitePlay, label: &str) -> Markup {
    // What is solved in its last try was solved in that try.
    let outcome = if play.outcome == SuiteOutcome::Flaky { SuiteOutcome::Solved } else { play.outcome };
    let Standing { class, mark, word } = outcome.standing(task.is_judged);
    let about = format!("{label}: {word}, {}, seed {}", duration(play.millis), play.seed);
    html! {
        li.(class) {
            @match &play.kept {
                Some(kept) => a.try href=(kept.report) title=(about) { (mark) " " (label) },
                None => span.try title=(about) { (mark) " " (label) },
            }
        }
    }
}

/// Why the first try that was not solved was not, and what was seen then.
fn cause(task: &SuiteTask, failure: &SuitePlay) -> Markup {
    let kept = failure.kept.as_ref();
    let sight = kept.and_then(|kept| Some((kept, kept.sight.as_ref()?)));
    let is_one = task.tries().count() == 1;
    html! {
        div.cause {
            @if let Some((kept, Sight { step, picture, size: [width, height] })) = sight {
                a.sight href=(format!("{}#step-{step}", kept.report)) {
                    img src=(picture) width=(width) height=(height) loading="lazy"
                        alt={ "what was seen last, in step " (step) };
                }
            }
            p {
                @if !is_one { span.labels { "the first failure" br; } }
                (failure.words)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(label: &str, outcome: SuiteOutcome, words: &str) -> SuitePlay {
        SuitePlay {
            label: label.to_owned(),
            outcome,
            words: words.to_owned(),
            millis: 1500.0,
            seed: 7,
            kept: Some(KeptRun { report: format!("runs/{label}.html"), sight: None }),
            earlier: Vec::new(),
        }
    }

    fn task(name: &str, plays: Vec<SuitePlay>) -> SuiteTask {
        let (name, given) = (name.to_owned(), format!("{name}.yaml"));
        SuiteTask { name, given, tags: vec!["smoke".to_owned()], is_judged: true, plays }
    }

    fn page(tasks: Vec<SuiteTask>) -> String {
        render_suite(&SuitePage { started_at: "2026-01-01T12:00:00.000Z".to_owned(), tasks })
    }

    use SuiteOutcome::{Failed, Flaky, NotPlayed, NotSolved, Solved};

    #[test]
    fn a_task_is_solved_only_if_each_time_was() {
        for (plays, expected) in [
            (vec![Solved, Solved], Solved),
            (vec![Solved, Flaky], Flaky),
            (vec![Solved, NotPlayed], NotPlayed),
            (vec![Flaky, Failed, NotPlayed], Failed),
            (vec![Solved, Failed, NotSolved], NotSolved),
            (vec![], NotPlayed),
        ] {
            let plays = plays.into_iter().map(|outcome| play("1", outcome, "x")).collect();
            assert_eq!(task("a", plays).outcome(), expected);
        }
    }

    #[test]
    fn each_task_says_what_became_of_it_and_leads_to_its_runs() {
        let mut failed = play("2", NotSolved, "not solved: the page shows no `two`");
        failed.kept.as_mut().unwrap().sight =
            Some(Sight { step: 3, picture: "runs/2.png".to_owned(), size: [1280, 800] });
        let mut flaky = play("1", Flaky, "solved in try 2");
        flaky.earlier = vec![play("0", NotSolved, "not solved: too late")];
        let html = page(vec![
            task("good", vec![play("1", Solved, "solved")]),
            task("bad", vec![play("1", Solved, "solved"), failed]),
            task("late", vec![flaky]),
            task("never", vec![SuitePlay { kept: None, ..play("1", NotPlayed, "not played to its end") }]),
        ]);
        for words in [
            "<h1>3 of 4 solved</h1>",
            "exit code 1, or 130 after Ctrl-C: 1 run was not played to the end, or not yet",
            "2026-01-01 12:00 UTC",
            r#"aria-pressed="true">all 4</button>"#,
            r#"data-is="not-solved" aria-pressed="false">not solved 1</button>"#,
            r#"data-is="flaky" aria-pressed="false">flaky 1</button>"#,
            "<option>smoke</option>",
            "data-values=\"tag=smoke\noutcome=not-solved\"",
            // Also the reason is found.
            "bad\nbad.yaml\nsolved\nnot solved: the page shows no `two`\nsmoke",
            r#"<h3><a href="runs/2.html">bad</a></h3>"#,
            r#"href="runs/2.html#step-3"><img src="runs/2.png" width="1280" height="800""#,
            "1 of 2 solved",
            ">✗ try 1</a>",
            ">✓ try 2</a>",
            "not solved: too late",
            "<h3>never</h3>",
        ] {
            assert!(html.contains(words), "{words}\n{html}");
        }
        // What is solved has no cause, and one try is no list of them.
        assert_eq!(
            (html.matches("class=\"cause\"").count(), html.matches("<ol class=\"tries\"").count()),
            (2, 2)
        );
    }

    #[test]
    fn the_exit_code_is_that_of_the_command() {
        let code = |outcomes: &[SuiteOutcome]| {
            let plays = outcomes.iter().map(|&outcome| play("1", outcome, "x")).collect();
            let html = page(vec![task("a", plays)]);
            let at = html.find("exit code ").unwrap();
            html[at + 10..].split([':', ',']).next().unwrap().to_owned()
        };
        assert_eq!(code(&[Solved, Flaky]), "0");
        assert_eq!(code(&[Solved, NotSolved]), "1");
        assert_eq!(code(&[Failed]), "1");
        assert!(page(vec![task("a", vec![play("1", Failed, "gone")])]).contains("<h1>none solved</h1>"));
    }

    #[test]
    fn what_nobody_judges_is_done_and_texts_stay_in_their_place() {
        let mut clicked = task("<b>\"", vec![play("1", NotSolved, "not done: <img src=x>")]);
        clicked.is_judged = false;
        clicked.tags = vec!["\" onload=x".to_owned()];
        let html = page(vec![clicked]);
        assert!(html.contains("<h1>0 of 1 done</h1>") && html.contains("✗ not done"), "{html}");
        assert!(!html.contains("<b>") && !html.contains("<img src=x") && !html.contains("\" onload=x"));
        assert!(html.contains("img-src data: 'self' file:;"), "pictures lie beside it");
    }
}
