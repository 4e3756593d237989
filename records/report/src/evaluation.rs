//! The page of an evaluation: its tables, and what went wrong item by item, to be filtered and sorted.
//!
//! Invariant: a picture carries what is known of the item and nothing else: where the target is, what was pointed at in which
//! thought, what was zoomed, and where the answer is. The page is a file that needs no network.

use base64::Engine as _;
use maud::{Markup, html};

use crate::html::{self, Shown, count, duration, facts};

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct EvaluationPage {
    /// What was played.
    pub title: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// One below the other.
    pub tables: Vec<Table>,
    /// What must be known to read the numbers.
    pub notes: Vec<String>,
    /// Items, those that are shown first in front.
    pub items: Vec<Shot>,
    /// How many more there are that are not shown.
    pub n_left_out: usize,
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Above it.
    pub caption: String,
    /// Its head.
    pub head: Vec<String>,
    /// Its rows, as wide as the head.
    pub rows: Vec<Vec<String>>,
    /// The address that it is from.
    pub url: Option<String>,
}

/// An item with its picture.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Its name.
    pub id: String,
    /// Which run it is from, where there are several.
    pub run: Option<String>,
    /// What was asked.
    pub instruction: String,
    /// `correct`, `wrong`, `wrong_format` or `error`.
    pub outcome: &'static str,
    /// Groups and values.
    pub values: Vec<(String, String)>,
    /// How sure the eyes were.
    pub confidence: Option<f64>,
    /// The area of the target, as a share of the picture.
    pub target_share: Option<f64>,
    /// How long it took.
    pub millis: Option<f64>,
    /// The picture, as JPEG, or why there is none.
    pub picture: Result<Vec<u8>, String>,
    /// Width and height of the screenshot, in its own pixels: what everything below is in.
    pub size: [u32; 2],
    /// Boxes (left, top, right, bottom) and outlines (corners).
    pub targets: Vec<Vec<f64>>,
    /// The answer.
    pub point: Option<[f64; 2]>,
    /// What was said.
    pub turns: Vec<ShotTurn>,
    /// Why nothing was done, or what failed.
    pub why: Option<String>,
}

/// A turn of an item.
#[derive(Debug, Clone, Default)]
pub struct ShotTurn {
    /// The words.
    pub text: String,
    /// Where its thoughts pointed.
    pub points: Vec<[f64; 2]>,
    /// What a zoom showed: left, top, right, bottom.
    pub crop: Option<[f64; 4]>,
}

/// The page, as a file.
pub fn render_evaluation(page: &EvaluationPage) -> String {
    let content = html! {
        div.panel {
            div.brand { "vigorl " span { "evaluation" } }
            h1 { (page.title) }
            (facts(page.facts.iter().map(|(name, value)| (&**name, html! { (value) }))))
            @for note in &page.notes { p.notice { (note) } }
        }
        @for table in &page.tables { (render_table(table)) }
        @if !page.items.is_empty() { (browser(page)) }
        footer { p { "Green: where it is. Red: the answer. Blue: what thoughts pointed at. Orange: what a zoom showed · this file needs no network" } }
    };
    html::page(&page.title, Shown::Alone, &content)
}

fn render_table(table: &Table) -> Markup {
    html! {
        div.panel {
            h2 { (table.caption) }
            div.scrolls.pinned {
                table.numbers {
                    thead { tr { @for (at, cell) in table.head.iter().enumerate() { th.n[at > 0] { (cell) } } } }
                    tbody {
                        @for row in &table.rows {
                            tr { @for (at, cell) in row.iter().enumerate() { td.n[at > 0] { (cell) } } }
                        }
                    }
                }
            }
            @if let Some(url) = &table.url { p.labels { a href=(url) rel="noreferrer" { (url) } } }
        }
    }
}

/// The values of one group that occur, in order.
fn values_of<'p>(page: &'p EvaluationPage, group: &str) -> Vec<&'p str> {
    let values = page.items.iter().flat_map(|item| &item.values).filter(|(of, _)| of == group);
    let mut values: Vec<&str> = values.map(|(_, value)| &**value).collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn browser(page: &EvaluationPage) -> Markup {
    let mut groups: Vec<&str> = Vec::new();
    for (group, _) in page.items.iter().flat_map(|item| &item.values) {
        if !groups.contains(&&**group) {
            groups.push(group);
        }
    }
    let outcomes = ["wrong", "wrong_format", "error", "correct"];
    let outcomes = outcomes.iter().filter(|outcome| page.items.iter().any(|item| item.outcome == **outcome));
    html! {
        section.panel.browse {
            h2 { (count(page.items.len())) " items" }
            @if page.n_left_out > 0 {
                p.labels { (count(page.n_left_out)) " more are not shown: --failures N shows more, --all-items those that are right, too." }
            }
            div.controls {
                select data-by="outcome" aria-label="outcome" {
                    option value="" { "every outcome" }
                    @for outcome in outcomes { option { (outcome) } }
                }
                @for group in groups {
                    @let values = values_of(page, group);
                    @if values.len() > 1 {
                        select data-by=(group) aria-label=(group) {
                            option value="" { "every " (group) }
                            @for value in values { option { (value) } }
                        }
                    }
                }
                input type="search" placeholder="words of the instruction" aria-label="words of the instruction";
                select data-sort aria-label="order" {
                    option value="confidence" { "surest first" }
                    option value="-confidence" { "least sure first" }
                    option value="-target" { "smallest target first" }
                    option value="target" { "largest target first" }
                    option value="time" { "slowest first" }
                }
                output {}
            }
        }
        @for item in &page.items { (shot(item)) }
    }
}

fn shot(item: &Shot) -> Markup {
    let state = if item.outcome == "correct" {
        "hit"
    } else if item.outcome == "error" {
        "open"
    } else {
        "miss"
    };
    let number = |value: Option<f64>| value.map(|value| format!("{value:.6}"));
    // Filters compare whole words of it.
    let values = item.values.iter().map(|(group, value)| format!("{group}={value}"));
    let values = values.chain([format!("outcome={}", item.outcome)]).collect::<Vec<_>>().join("\n");
    html! {
        article.panel.shot data-values=(values) data-words=(item.instruction.to_lowercase())
            data-confidence=[number(item.confidence)] data-target=[number(item.target_share)] data-time=[number(item.millis)] {
            div.seen { (picture(item)) }
            div.words {
                h3 { (item.instruction) }
                p {
                    span.pill.state class=(state) { (item.outcome) } " "
                    @if let Some(run) = &item.run { span.pill { (run) } " " }
                    span.labels { (item.id) }
                }
                (facts([
                    item.confidence.map(|value| ("confidence", html! { (format!("{value:.2}")) })),
                    item.target_share.map(|share| ("target", html! { (format!("{:.3} %", share * 100.0)) })),
                    item.point.map(|[x, y]| ("answer", html! { (format!("({x:.0}, {y:.0})")) })),
                    item.millis.map(|millis| ("time", html! { (duration(millis)) })),
                ].into_iter().flatten()))
                p.labels { (item.values.iter().map(|(group, value)| format!("{group} {value}")).collect::<Vec<_>>().join(" · ")) }
                @if let Some(why) = &item.why { p { (why) } }
                @for (at, turn) in item.turns.iter().enumerate() {
                    details open[at + 1 == item.turns.len()] {
                        summary { "turn " (at + 1) }
                        p.mono { (turn.text) }
                    }
                }
            }
        }
    }
}

fn picture(item: &Shot) -> Markup {
    let bytes = match &item.picture {
        Ok(bytes) => bytes,
        Err(why) => return html! { p.empty { "no picture: " (why) } },
    };
    let [width, height] = item.size;
    let address =
        format!("data:image/jpeg;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes));
    // Marks are as large on a 4K screenshot as on a small one.
    let unit = f64::from(width.max(height)) / 100.0;
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(item.instruction) {
            image href=(address) width=(width) height=(height) {}
            @for target in &item.targets { (outline(target, "truth", unit)) }
            @for turn in &item.turns {
                @if let Some([left, top, right, bottom]) = turn.crop {
                    (outline(&[left, top, right, bottom], "zoomed", unit))
                }
            }
            @for (at, [x, y]) in item.turns.iter().flat_map(|turn| &turn.points).enumerate() {
                circle.thought cx=(x) cy=(y) r=(unit * 0.9) { title { "point " (at + 1) " of the thoughts" } }
            }
            @if let Some([x, y]) = item.point {
                circle.answered cx=(x) cy=(y) r=(unit * 1.4) stroke-width=(unit * 0.5) {}
                circle.answered.dot cx=(x) cy=(y) r=(unit * 0.35) {}
            }
        }
    }
}

fn outline(numbers: &[f64], class: &str, unit: f64) -> Markup {
    let width = unit * 0.35;
    match numbers {
        [left, top, right, bottom] => html! {
            // What has no width or no height would not be drawn.
            rect class=(class) x=(left) y=(top) width=((right - left).max(1.0)) height=((bottom - top).max(1.0))
                stroke-width=(width) {}
        },
        corners => {
            let points = corners.chunks_exact(2).map(|at| format!("{},{}", at[0], at[1])).collect::<Vec<_>>();
            html! { polygon class=(class) points=(points.join(" ")) stroke-width=(width) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> EvaluationPage {
        let shot = |id: &str, outcome, confidence| Shot {
            id: id.to_owned(),
            instruction: "the <b>red</b> \"button\"".to_owned(),
            outcome,
            values: vec![("type".to_owned(), "icon".to_owned()), ("platform".to_owned(), id.to_owned())],
            confidence,
            target_share: Some(0.0125),
            picture: Ok(vec![1, 2, 3]),
            size: [400, 300],
            targets: vec![vec![10.0, 20.0, 30.0, 40.0], vec![0.0, 0.0, 5.0, 0.0, 5.0, 9.0]],
            point: Some([7.0, 8.0]),
            turns: vec![ShotTurn {
                text: "<think> (1, 2) </think>".to_owned(),
                points: vec![[1.0, 2.0]],
                crop: Some([0.0, 0.0, 50.0, 60.0]),
            }],
            run: None,
            millis: None,
            why: None,
        };
        EvaluationPage {
            title: "ScreenSpot".to_owned(),
            items: vec![shot("a", "wrong", Some(0.9)), shot("b", "error", None)],
            n_left_out: 7,
            ..EvaluationPage::default()
        }
    }

    #[test]
    fn an_item_shows_its_target_its_points_its_zoom_and_its_answer() {
        let html = render_evaluation(&page());
        for part in [
            "<rect class=\"truth\" x=\"10\" y=\"20\" width=\"20\" height=\"20\"",
            "<polygon class=\"truth\" points=\"0,0 5,0 5,9\"",
            "<rect class=\"zoomed\" x=\"0\" y=\"0\" width=\"50\" height=\"60\"",
            "<circle class=\"thought\" cx=\"1\" cy=\"2\"",
            "<circle class=\"answered\" cx=\"7\" cy=\"8\"",
            "the &lt;b&gt;red&lt;/b&gt; &quot;button&quot;",
            "data-confidence=\"0.900000\"",
            "7 more are not shown",
        ] {
            assert!(html.contains(part), "`{part}` is missing");
        }
        assert!(html.contains("<option>a</option><option>b</option>"), "values to filter by");
        assert!(!html.contains("every type"), "one value alone is nothing to filter by");
    }

    #[test]
    fn a_target_without_a_width_or_a_height_is_seen() {
        let mut page = page();
        page.items[0].targets = vec![vec![10.0, 20.0, 10.0, 40.0], vec![50.0, 60.0, 50.0, 60.0]];
        let html = render_evaluation(&page);
        for size in
            ["x=\"10\" y=\"20\" width=\"1\" height=\"20\"", "x=\"50\" y=\"60\" width=\"1\" height=\"1\""]
        {
            assert!(html.contains(&format!("<rect class=\"truth\" {size}")), "`{size}` is missing");
        }
    }

    #[test]
    fn a_picture_that_is_not_there_is_told() {
        let mut page = page();
        page.items[0].picture = Err("`a.png` cannot be read".to_owned());
        assert!(render_evaluation(&page).contains("no picture: `a.png` cannot be read"));
    }
}
