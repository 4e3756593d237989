//! The fields of an item, as files write them: also what is no value, which other programs write where one is missing.
//!
//! Invariants: NaN, an infinity, or a number that is too large is never a number, a text or nothing: whoever reads such a field
//! is told so, with its name. In a field that nobody reads it does no harm, and neither does it to other items of the file.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

/// The key of an object that stands for what is no value: no file has such a key, and no type of a field can be read of it.
const NO_VALUE: &str = "\0";
/// What other programs write into JSON, which has no such words.
const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A number, or what stands for one that is none.
pub(crate) fn number(number: f64) -> Value {
    match number.is_finite() {
        true => number.into(),
        false => Value::Object(Map::from_iter([(NO_VALUE.to_owned(), number.to_string().into())])),
    }
}

/// The word that a file has where a value should be, if it is none.
fn no_value(value: &Value) -> Option<&str> {
    value.get(NO_VALUE)?.as_str()
}

/// Whether a text is what programs make of a text that is missing.
pub(crate) fn is_missing(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("nan")
}

/// The text of a field; nothing if there is no such field, or nothing in it.
///
/// # Errors
/// If it is no text, or one that is missing, with its name.
pub(crate) fn text<'f>(fields: &'f Map<String, Value>, field: &str) -> Result<Option<&'f str>, String> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let shown = no_value(other).map_or_else(|| other.to_string(), str::to_owned);
            Err(format!("its `{field}` is {shown}, which is no text"))
        }
    }
}

/// Fields as a type.
///
/// # Errors
/// Which of them cannot be read, and why.
pub(crate) fn parsed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    let all = Value::Object(fields);
    serde_path_to_error::deserialize(&all).map_err(|error| {
        let (path, why) = (error.path(), error.inner());
        match at(&all, path).and_then(no_value) {
            Some(word) => format!("its `{path}` is {word}, which is no value"),
            // What is missing has no place.
            None if path.iter().next().is_none() => why.to_string(),
            None => format!("its `{path}`: {why}"),
        }
    })
}

/// A JSON object as a type.
///
/// # Errors
/// As [`parsed`], and if it is no object.
pub(crate) fn of_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    parsed(serde_json::from_str(&readable(text)).map_err(|error| error.to_string())?)
}

fn at<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Seq { index } => value.get(*index),
        Segment::Map { key } => value.get(key.as_str()),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// A text in JSON, with what is no value in a form that can be read.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut out, mut n_copied, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let begin = at;
        at = match bytes[at] {
            b'"' => behind_string(bytes, at),
            byte if is_of_word(byte) => at + bytes[at..].iter().take_while(|byte| is_of_word(**byte)).count(),
            _ => at + 1,
        };
        let word = &bytes[begin..at];
        if let Ok(word) = std::str::from_utf8(word)
            && is_no_value(word)
        {
            out.push_str(&text[n_copied..begin]);
            out.push_str(&format!("{{\"\\u0000\":\"{word}\"}}"));
            n_copied = at;
        }
    }
    if n_copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[n_copied..]);
    Cow::Owned(out)
}

/// Where a string that begins here has ended.
fn behind_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether numbers and words such as `null` are made of it.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

fn is_no_value(word: &str) -> bool {
    let is_number = word.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    NOT_FINITE.contains(&word) || (is_number && word.parse().is_ok_and(f64::is_infinite))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Item {
        words: String,
        bbox: [f64; 4],
        #[serde(default)]
        size: Option<[f64; 2]>,
        #[serde(default)]
        many: Vec<f64>,
    }

    #[test]
    fn what_is_no_value_is_named_with_the_field_that_holds_it() {
        let written = |field: &str, value: &str| {
            let mut fields = vec![("words", "\"a\""), ("bbox", "[1, 2, 3, 4]"), ("size", "[5, 6]")];
            fields.retain(|(name, _)| *name != field);
            fields.push((field, value));
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            of_text::<Item>(&format!("{{{}}}", fields.join(", ")))
        };
        for (field, value, expected) in [
            ("bbox", "[1, 2, NaN, 4]", "its `bbox[2]` is NaN"),
            ("bbox", "[-Infinity, 2, 3, 4]", "its `bbox[0]` is -Infinity"),
            ("bbox", "[1, 1e999, 3, 4]", "its `bbox[1]` is 1e999"),
            ("bbox", "NaN", "its `bbox` is NaN"),
            ("size", "[5, Infinity]", "its `size[1]` is Infinity"),
            ("many", "[5, -1E+400]", "its `many[1]` is -1E+400"),
            ("words", "NaN", "its `words` is NaN"),
            ("words", "5", "its `words`: invalid type: integer `5`"),
            ("bbox", "[1, \"2\", 3, 4]", "its `bbox[1]`: invalid type: string"),
        ] {
            let error = written(field, value).unwrap_err();
            assert!(error.starts_with(expected), "{field} {value}: {error}");
        }
        let missing = of_text::<Item>("{\"words\": \"a\"}").unwrap_err();
        assert_eq!(missing, "missing field `bbox`");
        assert!(of_text::<Item>("[1]").is_err() && of_text::<Item>("{\"words\": nan}").is_err());
        // Nobody reads it.
        assert_eq!(written("note", "NaN").unwrap().bbox, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(written("size", "null").unwrap().size, None);
    }

    #[test]
    fn strings_and_numbers_stay_as_they_are() {
        for text in [
            "{\"a\": \"NaN\", \"NaN\": [1e308, -12.5e-400, 0, true, null]}",
            "{\"a\": \"a \\\" NaN\", \"b\": \"\\\\\"}",
            "{\"a\": \"ä NaN ü\"}",
            "[\"NaN",
            "[\"\\",
            "",
        ] {
            assert!(matches!(readable(text), Cow::Borrowed(_)), "{text}: {}", readable(text));
        }
        let read: Value = serde_json::from_str(&readable("[\"NaN\", NaN,-Infinity , \"ü\", 2]")).unwrap();
        assert_eq!(read[0], "NaN");
        assert_eq!([no_value(&read[1]), no_value(&read[2])], [Some("NaN"), Some("-Infinity")]);
        assert_eq!((&read[3], &read[4]), (&json!("ü"), &json!(2)));
    }

    #[test]
    fn numbers_and_texts_that_are_none_are_no_values() {
        assert_eq!(number(2.5), json!(2.5));
        for (none, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
            assert_eq!(no_value(&number(none)), Some(word));
        }
        assert!(["nan", "NaN", " NaN\n"].into_iter().all(is_missing));
        assert!(!["", "none", "nano", "the NaN"].into_iter().any(is_missing));
        let all = json!({ "a": "b", "n": null, "x": number(f64::NAN), "y": 5 });
        let of = |field: &str| text(all.as_object().unwrap(), field);
        assert_eq!([of("a"), of("n"), of("none")], [Ok(Some("b")), Ok(None), Ok(None)]);
        assert_eq!(of("x"), Err("its `x` is NaN, which is no text".to_owned()));
        assert_eq!(of("y"), Err("its `y` is 5, which is no text".to_owned()));
    }
}
