//! What pages, browsers and programs make of a text when they pass it on: the forms in which a secret may stand in an address, a
//! message or a page's source. Invariant: no form is so short that it would stand in many other texts by chance.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A shorter form says too little, and stands in too much else.
const SHORTEST: usize = 6;
/// How often an address is put into another one.
const NESTED: usize = 3;

/// Other forms of a text, the longest first; the text itself is none of them.
pub(crate) fn encodings(text: &str) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for keeps in [in_component, in_form, in_every_byte] {
        let mut nested = text.to_owned();
        for _ in 0..NESTED {
            nested = percent(&nested, keeps);
            forms.push(nested.clone());
            forms.push(lower_escapes(&nested));
        }
    }
    let each = |form: &dyn Fn(char) -> String| text.chars().map(form).collect::<String>();
    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let beyond_ascii = |c: char| if c.is_ascii() { c.to_string() } else { units(c) };
    let written = each(&units);
    forms.extend([written.replace("\\u", "\\U"), upper_digits(&written), written, each(&beyond_ascii)]);
    let json = serde_json::Value::from(text).to_string();
    forms.push(json[1..json.len() - 1].to_owned());
    let decimal = each(&|c| format!("&#{};", u32::from(c)));
    let hexadecimal = each(&|c| format!("&#x{:x};", u32::from(c)));
    forms.extend([decimal, hexadecimal.to_uppercase().replace("&#X", "&#x"), hexadecimal]);
    forms.extend([
        escaped(text, "&#39;"),
        escaped(text, "&apos;"),
        escaped(text, "&#x27;"),
        escaped(text, "'"),
    ]);
    let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([bytes.to_uppercase(), bytes]);
    forms.push(text.chars().rev().collect());
    for piece in in_base64(text) {
        let nested = percent(&piece, in_component);
        forms.extend([percent(&nested, in_component), nested, piece]);
    }
    forms.retain(|form| form != text && form.chars().count() >= SHORTEST);
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

/// What `encodeURIComponent` leaves as it is.
fn in_component(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// What a form leaves as it is.
pub(crate) fn in_form(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte)
}

fn in_every_byte(_: u8) -> bool {
    false
}

/// The same with `%` and two digits for each byte that does not stay.
pub(crate) fn percent(text: &str, keeps: fn(u8) -> bool) -> String {
    let byte = |byte: u8| match keeps(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The same with the digits behind each `%` in lower case.
fn lower_escapes(text: &str) -> String {
    let mut left = 0;
    let lower = |c: char| match (c, left) {
        ('%', _) => {
            left = 2;
            c
        }
        (_, 0) => c,
        _ => {
            left -= 1;
            c.to_ascii_lowercase()
        }
    };
    text.chars().map(lower).collect()
}

fn upper_digits(text: &str) -> String {
    text.to_uppercase().replace("\\U", "\\u")
}

/// As in the source of a page, with one of the ways to write an apostrophe.
fn escaped(text: &str, apostrophe: &str) -> String {
    let named = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    named.replace('\'', apostrophe)
}

/// What of it stands in the base64 of a longer text for sure, wherever it begins there.
fn in_base64(text: &str) -> Vec<String> {
    let pieces = (0..3).flat_map(|n_before| {
        let whole = [&[0; 2][..n_before], text.as_bytes()].concat();
        // Six bits a character: those that the text shares with what is around it are left out.
        let (from, to) = ((n_before * 8).div_ceil(6), whole.len() * 8 / 6);
        [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)]
            .map(|encoded| encoded.get(from..to).unwrap_or_default().to_owned())
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_in_the_forms_that_pages_pass_on() {
        let all = encodings("hunter2@home");
        for form in [
            "hunter2%40home",
            "hunter2%2540home",
            "hunter2%252540home",
            "%68%75%6E%74%65%72%32%40%68%6F%6D%65",
            "%68%75%6e%74%65%72%32%40%68%6f%6d%65",
            "68756e7465723240686f6d65",
            "68756E7465723240686F6D65",
            "aHVudGVyMkBob21l",
            "\\u0068\\u0075\\u006e\\u0074\\u0065\\u0072\\u0032\\u0040\\u0068\\u006f\\u006d\\u0065",
            "&#104;&#117;&#110;&#116;&#101;&#114;&#50;&#64;&#104;&#111;&#109;&#101;",
            "&#x68;&#x75;&#x6e;&#x74;&#x65;&#x72;&#x32;&#x40;&#x68;&#x6f;&#x6d;&#x65;",
            "emoh@2retnuh",
        ] {
            assert!(all.contains(&form.to_owned()), "{form}: {all:?}");
        }
        assert!(!all.contains(&"hunter2@home".to_owned()));
        // In the base64 of a longer text, whatever comes before it.
        for before in ["", "a", "ab", "ann:", "user=ada&password="] {
            let whole = STANDARD_NO_PAD.encode(format!("{before}hunter2@home and more"));
            assert!(all.iter().any(|form| whole.contains(form.as_str())), "{whole}");
        }
        assert!(encodings("a'b&c<d\"").contains(&"a&#39;b&amp;c&lt;d&quot;".to_owned()));
        assert!(encodings("naïve😀").contains(&"na\\u00efve\\ud83d\\ude00".to_owned()));
    }

    #[test]
    fn a_short_text_has_no_form_that_stands_in_others_by_chance() {
        for text in ["", "a", "ab", "abc", "abcd"] {
            assert!(encodings(text).iter().all(|form| form.chars().count() >= SHORTEST), "{text}");
        }
    }
}
