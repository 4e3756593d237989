//! Text and pictures for pages. Invariant: everything that comes from a run passes through [`escape`], and a page
//! loads nothing but what its own policy names: nothing at all, or pictures from where the page itself comes from.

use std::fmt::Write as _;
use std::fs;

use base64::Engine as _;

use vigorl_runs::RecordedStep;

/// Where a page finds the pictures of a run.
#[derive(Clone, Copy)]
pub(crate) enum Pictures<'a> {
    /// Inside the page, so that it is a file that can be sent.
    Inside,
    /// Under this address, as in the run directory. The browser asks for those that come into view.
    Under(&'a str),
}

impl Pictures<'_> {
    /// The attributes of an `img` that shows a step's file, or `None` if it was never written.
    pub(crate) fn source(self, step: &RecordedStep, file: &str) -> Option<String> {
        let path = step.folder.join(file);
        match self {
            Self::Inside => {
                let bytes = fs::read(path).ok()?;
                let text = base64::engine::general_purpose::STANDARD.encode(bytes);
                Some(format!(r#"src="data:image/png;base64,{text}""#))
            }
            Self::Under(address) => path
                .is_file()
                .then(|| format!(r#"loading="lazy" src="{}steps/{:04}/{file}""#, escape(address), step.step)),
        }
    }
}

/// Who shows a page.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// A file, offline.
    Alone,
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
}

/// Everything in front of the page's own content. `title` is escaped here.
pub(crate) fn open_page(out: &mut String, title: &str, shown: Shown<'_>) {
    let (images, requests) = match shown {
        Shown::Alone => ("data:", "'none'"),
        Shown::Served { .. } => ("data: 'self'", "'self'"),
    };
    write!(
        out,
        concat!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src {images}; connect-src {requests}; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} · vigorl</title>",
            "<link rel=\"icon\" href=\"data:,\"><style>{style}</style>",
            "<noscript><style>.episode{{display:block!important}}.player{{display:none}}</style></noscript></head><body"
        ),
        images = images,
        requests = requests,
        title = escape(title),
        style = include_str!("page.css"),
    )
    .ok();
    if let Shown::Served { follow: Some(Follow { address, version }) } = shown {
        write!(out, r#" data-follow="{}" data-version="{}""#, escape(address), escape(version)).ok();
    }
    out.push_str(r#"><div class="wrap">"#);
}

/// Everything behind it.
pub(crate) fn close_page(out: &mut String) {
    writeln!(out, "</div><script>{}</script></body></html>", include_str!("page.js")).ok();
}

/// Text that is safe between tags and inside double-quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Other control characters are not allowed in HTML.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
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
        assert_eq!(
            escape("<img src=x onerror='a(\"&\")'>\u{1}"),
            "&lt;img src=x onerror=&#39;a(&quot;&amp;&quot;)&#39;&gt;\u{fffd}"
        );
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
