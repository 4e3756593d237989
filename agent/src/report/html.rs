//! Text for the report. Invariant: everything that comes from a run passes through [`escape`].

use std::fs;
use std::path::Path;

use base64::Engine as _;

/// Text that is safe between tags and inside double-quoted attributes.
pub(super) fn escape(text: &str) -> String {
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
pub(super) fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

/// `850 ms` or `12.3 s`.
pub(super) fn duration(millis: f64) -> String {
    match millis {
        m if m < 10.0 => format!("{m:.1} ms"),
        m if m < 1000.0 => format!("{m:.0} ms"),
        m if m < 60_000.0 => format!("{:.1} s", m / 1000.0),
        m => format!("{:.0} min {:02.0} s", (m / 60_000.0).floor(), (m % 60_000.0) / 1000.0),
    }
}

/// `12,345`.
pub(super) fn count(n: usize) -> String {
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

/// The image as a `data:` address, or `None` if it was never written.
pub(super) fn inline_png(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
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
            (count(7), count(1234), count(123_456)),
            ("7".to_owned(), "1,234".to_owned(), "123,456".to_owned())
        );
    }
}
