//! The frame of a page, its pictures, and numbers for people.
//!
//! Invariant: pages are built by [`maud::html`], which escapes everything but what is marked as HTML; in this crate that
//! is the style, the script and nothing that comes from a run. A page loads nothing but what its own policy names:
//! nothing at all, or pictures from where the page itself comes from.

use std::fs;

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use vigorl_runs::RecordedStep;

/// Where a page finds the pictures of a run.
#[derive(Clone, Copy)]
pub(crate) enum Pictures<'a> {
    /// Inside the page, so that it is a file that can be sent.
    Inside,
    /// Under this address, as in the run directory. The browser asks for those that come into view.
    Under(&'a str),
}

/// What an `img` shows.
pub(crate) struct Source {
    pub(crate) address: String,
    /// The attribute `loading`: a picture inside the page needs none.
    pub(crate) loading: Option<&'static str>,
}

impl Pictures<'_> {
    /// A step's file, or `None` if it was never written.
    pub(crate) fn source(self, step: &RecordedStep, file: &str) -> Option<Source> {
        let path = step.folder.join(file);
        match self {
            Self::Inside => {
                let text = base64::engine::general_purpose::STANDARD.encode(fs::read(path).ok()?);
                Some(Source { address: format!("data:image/png;base64,{text}"), loading: None })
            }
            Self::Under(address) => path.is_file().then(|| Source {
                address: format!("{address}steps/{:04}/{file}", step.step),
                loading: Some("lazy"),
            }),
        }
    }
}

/// Who shows a page.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// A file, offline.
    Alone,
    /// A file, offline, with pictures beside it.
    Beside,
    /// `vigorl view`. While what it shows goes on, the page asks the address for the version and loads itself
    /// again when that is another one.
    Served { follow: Option<Follow<'a>> },
}

/// How a served page stays up to date.
#[derive(Clone, Copy)]
pub(crate) struct Follow<'a> {
    /// Answers `{"version": "…"}`.
    pub(crate) address: &'a str,
    /// What is shown.
    pub(crate) version: &'a str,
    /// Whether what is new is put in the place of the old, instead of loading the page again.
    pub(crate) in_place: bool,
}

/// The whole page.
pub(crate) fn page(title: &str, shown: Shown<'_>, content: &Markup) -> String {
    let (images, requests, follow) = match shown {
        Shown::Alone => ("data:", "'none'", None),
        // Not every browser takes a file for the origin of the files beside it.
        Shown::Beside => ("data: 'self' file:", "'none'", None),
        Shown::Served { follow } => ("data: 'self'", "'self'", follow),
    };
    let policy = format!(
        "default-src 'none'; img-src {images}; connect-src {requests}; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · vigorl" }
                link rel="icon" href="data:,";
                style { (PreEscaped(include_str!("page.css"))) }
                noscript { style { ".episode{display:block!important}.player,.browse{display:none}" } }
            }
            body data-follow=[follow.map(|follow| follow.address)] data-version=[follow.map(|follow| follow.version)]
                data-in-place[follow.is_some_and(|follow| follow.in_place)] {
                div.wrap { (content) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    // Control characters other than these are not allowed in HTML, and maud lets them pass.
    let is_legal = |c: char| !c.is_control() || c == '\n' || c == '\t';
    let mut text = page.into_string();
    if !text.chars().all(is_legal) {
        text = text.chars().map(|c| if is_legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    }
    text.push('\n');
    text
}

/// A name and a value for each.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Buttons that show some of what is listed: for each its filter, its word, and how many it shows.
pub(crate) fn filters(filters: [(&str, &str, usize); 4]) -> Markup {
    html! {
        div.chips {
            @for (filter, word, n) in filters {
                @if n > 0 {
                    button type="button" data-filter=(filter) aria-pressed=(filter == "all") { (word) " " (n) }
                }
            }
        }
    }
}

/// Parts with a dot between them.
pub(crate) fn dotted(parts: &[Markup]) -> Markup {
    html! {
        @for (idx, part) in parts.iter().enumerate() {
            @if idx > 0 { " · " }
            (part)
        }
    }
}

/// At most one decimal.
pub(crate) fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

/// `850 ms` or `12.3 s`.
pub(crate) fn duration(millis: f64) -> String {
    match millis {
        m if m < 10.0 => format!("{m:.1} ms"),
        m if m < 1000.0 => format!("{m:.0} ms"),
        m if m < 60_000.0 => format!("{:.1} s", m / 1000.0),
        m => format!("{:.0} min {:02.0} s", (m / 60_000.0).floor(), (m % 60_000.0) / 1000.0),
    }
}

/// `12,345`.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `2026-11-22 23:00 UTC` from the recorded stamp.
pub(crate) fn date(stamp: &str) -> String {
    stamp.get(..16).map_or_else(|| stamp.to_owned(), |minutes| format!("{} UTC", minutes.replace('T', " ")))
}

/// A reward: at most two decimals.
pub(crate) fn reward(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let evil = "<img src=x onerror='a(\"&\")'>\u{1}";
        let html = page(evil, Shown::Alone, &html! { p title=(evil) { (evil) } });
        let safe = "&lt;img src=x onerror='a(&quot;&amp;&quot;)'&gt;\u{fffd}";
        assert!(html.contains(&format!("<p title=\"{safe}\">{safe}</p>")), "{html}");
        assert!(html.contains(&format!("<title>{safe} · vigorl</title>")) && !html.contains("<img"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!((number(12.0), number(12.34)), ("12".to_owned(), "12.3".to_owned()));
        assert_eq!((duration(3.21), duration(850.4)), ("3.2 ms".to_owned(), "850 ms".to_owned()));
        assert_eq!((duration(12_340.0), duration(125_000.0)), ("12.3 s".to_owned(), "2 min 05 s".to_owned()));
        assert_eq!(
            (reward(1.0), reward(0.5), reward(0.987), reward(0.0)),
            ("1".to_owned(), "0.5".to_owned(), "0.99".to_owned(), "0".to_owned())
        );
        assert_eq!(
            (count(7), count(1234), count(123_456)),
            ("7".to_owned(), "1,234".to_owned(), "123,456".to_owned())
        );
    }
}
