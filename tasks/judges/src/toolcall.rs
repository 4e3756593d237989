//! The JSON of a tool call, as Python's `json.loads` reads it, as far as its coordinate goes.
//!
//! Invariant: exactly those texts are accepted that Python reads as an object whose `arguments.coordinate` is a list of the
//! numbers that are asked for: two whole ones, in mode `fixed` two finite ones, or any. Of a repeated key the last one
//! counts; `NaN` and `Infinity` are numbers; whole numbers have any size up to Python's limit.

use crate::integer::{Integer, Number};
use crate::python::MAX_DIGITS;
use crate::reward::Mode;

/// Python gives up at about a thousand values inside of each other.
const MAX_DEPTH: usize = 990;

/// The coordinate of a tool call.
pub(crate) fn coordinate(json: &str, mode: Mode) -> Option<[Number; 2]> {
    let number = |item: &Json| match item {
        Json::Whole(whole) => Some(Number::Whole(whole.clone())),
        Json::Float(float) if mode == Mode::Fixed && float.is_finite() => Some(Number::Float(*float)),
        // Python's booleans are whole numbers.
        Json::Bool(value) => Some(Number::Whole(Integer::of_digits(if *value { "1" } else { "0" }, 10))),
        _ => None,
    };
    match items(json)?.as_slice() {
        [x, y] => Some([number(x)?, number(y)?]),
        _ => None,
    }
}

/// The numbers of a tool call's coordinate as floats, however many there are. `NaN` and `Infinity` are floats; a whole number
/// beyond every float is none, because Python cannot divide it.
pub(crate) fn floats(json: &str) -> Option<Vec<f64>> {
    let number = |item: &Json| match item {
        Json::Whole(whole) => Some(Number::Whole(whole.clone()).to_float()).filter(|float| float.is_finite()),
        Json::Float(float) => Some(*float),
        Json::Bool(value) => Some(f64::from(*value)),
        _ => None,
    };
    items(json)?.iter().map(number).collect()
}

/// What stands in the list `arguments.coordinate`.
fn items(json: &str) -> Option<Vec<Json>> {
    let mut reader = Reader { text: json, depth: 0 };
    reader.skip_spaces();
    let mut call = reader.value()?;
    reader.skip_spaces();
    if !reader.text.is_empty() {
        return None;
    }
    match call.take("arguments")?.take("coordinate")? {
        Json::List(items) => Some(items),
        _ => None,
    }
}

#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Whole(Integer),
    Float(f64),
    Text,
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Takes the last value of a key out of an object.
    fn take(&mut self, key: &str) -> Option<Json> {
        let Self::Object(entries) = self else { return None };
        let at = entries.iter().rposition(|(name, _)| name == key)?;
        Some(entries.swap_remove(at).1)
    }
}

struct Reader<'a> {
    text: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip_spaces(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> bool {
        let rest = self.text.strip_prefix(word);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Json> {
        if !self.text.starts_with(['{', '[']) {
            return self.scalar();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = if self.take("{") { self.object() } else { self.list() };
        self.depth -= 1;
        value
    }

    /// A value that has no others inside. It stands apart so that little is on the stack for each level of nesting.
    fn scalar(&mut self) -> Option<Json> {
        let words = [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
            ("-Infinity", Json::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.take(word) {
                return Some(value);
            }
        }
        if self.take("\"") {
            return self.string().map(|_| Json::Text);
        }
        self.number()
    }

    fn object(&mut self) -> Option<Json> {
        let mut entries = Vec::new();
        self.skip_spaces();
        if self.take("}") {
            return Some(Json::Object(entries));
        }
        loop {
            self.skip_spaces();
            if !self.take("\"") {
                return None;
            }
            let key = self.string()?;
            self.skip_spaces();
            if !self.take(":") {
                return None;
            }
            self.skip_spaces();
            entries.push((key, self.value()?));
            self.skip_spaces();
            if self.take("}") {
                return Some(Json::Object(entries));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn list(&mut self) -> Option<Json> {
        self.take("[");
        let mut items = Vec::new();
        self.skip_spaces();
        if self.take("]") {
            return Some(Json::List(items));
        }
        loop {
            self.skip_spaces();
            items.push(self.value()?);
            self.skip_spaces();
            if self.take("]") {
                return Some(Json::List(items));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    /// The rest of a text whose quotation mark was taken.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let end = self.text.find(|c| c == '"' || c == '\\' || c < ' ')?;
            out.push_str(&self.text[..end]);
            self.text = &self.text[end..];
            if self.take("\"") {
                return Some(out);
            }
            if !self.take("\\") {
                return None;
            }
            let escaped = self.text.chars().next()?;
            self.text = &self.text[escaped.len_utf8()..];
            match escaped {
                '"' | '\\' | '/' => out.push(escaped),
                'b' => out.push('\x08'),
                'f' => out.push('\x0c'),
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                'u' => {
                    let hex =
                        self.text.get(..4).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
                    self.text = &self.text[4..];
                    // Half a pair of surrogates is a character in Python and none here; no key that counts has one.
                    out.push(
                        u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'),
                    );
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.text;
        let is_negative = self.take("-");
        let digits = self.digits();
        let whole = if digits.starts_with('0') { "0" } else { digits };
        if whole.is_empty() {
            return None;
        }
        // A number ends behind a leading zero; what follows it is an error that is found later.
        self.text = &start[usize::from(is_negative) + whole.len()..];
        let is_float = self.fraction() | self.exponent();
        if is_float {
            let written = &start[..start.len() - self.text.len()];
            return written.parse().ok().map(Json::Float);
        }
        if whole.len() > MAX_DIGITS {
            return None;
        }
        let size = Integer::of_digits(whole, 10);
        Some(Json::Whole(if is_negative { size.negated() } else { size }))
    }

    fn digits(&mut self) -> &'a str {
        let text = self.text;
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        self.text = rest;
        &text[..text.len() - rest.len()]
    }

    fn fraction(&mut self) -> bool {
        self.optional(|reader| reader.take("."))
    }

    fn exponent(&mut self) -> bool {
        self.optional(|reader| {
            let is_there = reader.take("e") || reader.take("E");
            if is_there && !reader.take("+") {
                reader.take("-");
            }
            is_there
        })
    }

    /// A part of a number that ends with digits, or nothing of it.
    fn optional(&mut self, begin: impl Fn(&mut Self) -> bool) -> bool {
        let before = self.text;
        let is_there = begin(self) && !self.digits().is_empty();
        if !is_there {
            self.text = before;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> String {
        format!("{{\"name\": \"search_coordinate\", \"arguments\": {arguments}}}")
    }

    #[test]
    fn what_python_reads_is_read() {
        for json in [
            call("{\"coordinate\": [1, 2]}"),
            call("{\"coordinate\":[1,-2] , \"x\": NaN}"),
            call("{\"coordinate\": 3, \"coordinate\": [true, 0]}"),
            call("{\"\\u0063oordinate\": [1, 2]}"),
            call("{\"coordinate\": [99999999999999999999999, -0], \"x\": [-Infinity, 1e999, \"\\ud800\"]}"),
            "{\"arguments\": 1, \"arguments\": {\"coordinate\": [1, 2]}}".to_owned(),
        ] {
            assert!(coordinate(&json, Mode::Reference).is_some(), "{json}");
        }
    }

    #[test]
    fn what_python_refuses_or_what_is_no_pair_is_refused() {
        for json in [
            call("{\"coordinate\": [1, 2],}"),
            call("{\"coordinate\": [1, 2,]}"),
            call("{\"coordinate\": [01, 2]}"),
            call("{\"coordinate\": [+1, 2]}"),
            call("{\"coordinate\": [1, 2, 3]}"),
            call("{\"coordinate\": \"[1, 2]\"}"),
            call("{\"coordinate\": [\"1\", 2]}"),
            call("{\"coordinate\": [1, null]}"),
            call("{'coordinate': [1, 2]}"),
            call("{\"coordinate\": [1, 2], \"x\": \"a\nb\"}"),
            call("{\"coordinate\": [1, 2]} x"),
            call("[1, 2]"),
            call("{\"coordinate\": [1, 2]}").replace("name", "na\\xme"),
            format!("{}{}", "{\"a\":".repeat(2_000), "}".repeat(2_000)),
        ] {
            for mode in [Mode::Reference, Mode::Fixed] {
                assert!(coordinate(&json, mode).is_none(), "{json}");
            }
        }
    }

    #[test]
    fn floats_are_coordinates_in_mode_fixed_alone() {
        for pair in ["[1.0, 2]", "[1e2, 2]", "[1.5e-1, 2]"] {
            let json = call(&format!("{{\"coordinate\": {pair}}}"));
            assert!(coordinate(&json, Mode::Reference).is_none(), "{json}");
            assert!(coordinate(&json, Mode::Fixed).is_some(), "{json}");
        }
        for pair in ["[NaN, 2]", "[1e999, 2]", "[1., 2]", "[.5, 2]", "[1e, 2]"] {
            let json = call(&format!("{{\"coordinate\": {pair}}}"));
            assert!(coordinate(&json, Mode::Fixed).is_none(), "{json}");
        }
    }

    #[test]
    fn floats_are_as_many_as_there_are() {
        let read = |list: &str| floats(&call(&format!("{{\"coordinate\": {list}}}")));
        assert_eq!(read("[1, 2.5, true, -0]"), Some(vec![1.0, 2.5, 1.0, 0.0]));
        assert_eq!(read("[]"), Some(vec![]));
        assert!(read("[NaN, -Infinity]").unwrap().iter().all(|float| !float.is_finite()));
        assert_eq!(read("[1e999, 2]"), Some(vec![f64::INFINITY, 2.0]));
        for list in ["[\"1\", 2]", "[[1], 2]", "[null, 2]", "\"12\"", "{\"x\": 1}"] {
            assert_eq!(read(list), None, "{list}");
        }
        assert_eq!(read(&format!("[{}, 2]", "9".repeat(400))), None);
    }
}
