//! Jinja as transformers 5 sets it up for chat templates, where that is not what minijinja does by itself.
//!
//! Invariant: a template means what it means there, or is refused with the cause; nothing of it is left out in silence.
//! Source: transformers 5.0, `utils/chat_template_utils.py` (its environment, `tojson`, `strftime_now`, the tag `generation`), and
//! Jinja 3.1, which reads every line break as `\n` and lets Python's `%` format texts.

use std::sync::LazyLock;

use chrono::Local;
use chrono::format::{Item, StrftimeItems};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;

/// An environment without templates.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| strftime_now(&format));
    environment.add_filter("tojson", |value: Value, options: Kwargs| tojson(&value, &options));
    Ok(environment)
}

/// The source of a template in what minijinja understands.
pub(super) fn source(text: &str) -> String {
    #[expect(clippy::unwrap_used, reason = "the pattern is fixed, and tested")]
    static GENERATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").unwrap());
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // It marks what the assistant says, for masks of a loss, and writes nothing.
    let text = GENERATION.replace_all(&text, |tag: &regex::Captures<'_>| {
        let what = if tag.get(2).is_some() { "endif" } else { "if true" };
        format!("{{%{} {what} {}%}}", &tag[1], &tag[3])
    });
    with_formats(&text)
}

fn strftime_now(format: &str) -> Result<String, Error> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("`{format}` is no format of a time")));
    }
    Ok(Local::now().format_with_items(items.into_iter()).to_string())
}

/// How JSON is written: Python's `json.dumps`, but letters stay letters.
struct Json {
    ensure_ascii: bool,
    indent: Option<usize>,
    between: String,
    behind_key: String,
    sort_keys: bool,
}

fn tojson(value: &Value, options: &Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get::<Option<usize>>("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let [between, behind_key] = match separators.as_deref() {
        None => [if indent.is_some() { "," } else { ", " }, ": "].map(str::to_owned),
        Some([between, behind_key]) => [between.clone(), behind_key.clone()],
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "`separators` are two texts")),
    };
    let json = Json {
        ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        between,
        behind_key,
    };
    options.assert_all_used()?;
    let mut out = String::new();
    json.write(value, 0, &mut out)?;
    Ok(Value::from(out))
}

impl Json {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&value.to_string()),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(('[', ']'), &items, depth, out, |item, out| self.write(item, depth + 1, out))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.list(('{', '}'), &keys, depth, out, |key, out| {
                    self.text(key.as_str().unwrap_or(&key.to_string()), out);
                    out.push_str(&self.behind_key);
                    self.write(&value.get_item(key)?, depth + 1, out)
                })?;
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("{kind} cannot be written as JSON"),
                ));
            }
        }
        Ok(())
    }

    fn list(
        &self,
        (open, close): (char, char),
        items: &[Value],
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let new_line = |depth: usize, out: &mut String| {
            if let Some(indent) = self.indent.filter(|_| !items.is_empty()) {
                out.push('\n');
                out.push_str(&" ".repeat(indent * depth));
            }
        };
        out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(&self.between);
            }
            new_line(depth + 1, out);
            write(item, out)?;
        }
        new_line(depth, out);
        out.push(close);
        Ok(())
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ensure_ascii && !c.is_ascii()) => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units)
                        .iter()
                        .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// Writes `'…' % (a, b)` and `'…' % a`, which Python formats, as `'…' | format(a, b)`.
fn with_formats(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = match tag.as_bytes()[1] {
            b'#' => tag.find("#}").map_or(tag.len(), |end| end + 2),
            kind => end_of_tag(tag, if kind == b'{' { "}}" } else { "%}" }),
        };
        let (tag, behind) = tag.split_at(end);
        if tag.starts_with("{#") {
            out.push_str(tag)
        } else {
            formatted(tag, &mut out)
        };
        rest = behind;
    }
    out + rest
}

/// Where a tag ends: its closing sign outside of texts.
fn end_of_tag(tag: &str, sign: &str) -> usize {
    let mut at = 2;
    while at < tag.len() {
        if tag[at..].starts_with(sign) {
            return at + sign.len();
        }
        at = next(tag, at);
    }
    tag.len()
}

/// Behind the letter, or the whole text in quotes, that begins here.
fn next(text: &str, at: usize) -> usize {
    let mut letters = text[at..].char_indices();
    let Some((_, quote)) = letters.next() else { return text.len() };
    if !matches!(quote, '\'' | '"') {
        return at + quote.len_utf8();
    }
    let mut is_escaped = false;
    for (idx, letter) in letters {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            letter if letter == quote => return at + idx + 1,
            _ => {}
        }
    }
    text.len()
}

fn formatted(tag: &str, out: &mut String) {
    let mut at = 0;
    while at < tag.len() {
        let end = next(tag, at);
        out.push_str(&tag[at..end]);
        let is_text = tag[at..].starts_with(['\'', '"']);
        at = end;
        let Some(operand) = tag[at..].trim_start().strip_prefix('%').filter(|_| is_text) else { continue };
        // The end of the tag.
        if operand.starts_with('}') {
            continue;
        }
        let operand = operand.trim_start();
        let length = primary(operand);
        let (value, behind) = operand.split_at(length);
        let list = value.strip_prefix('(').and_then(|value| value.strip_suffix(')')).unwrap_or(value);
        out.push_str(" | format(");
        formatted(list, out);
        out.push(')');
        at = tag.len() - behind.len();
    }
}

/// How long the value is that begins here: a text, a name or a group in parentheses, with what is taken of it.
fn primary(text: &str) -> usize {
    let mut at = 0;
    let mut depth = 0_usize;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'(' | b'[' => depth += 1,
            b')' | b']' if depth > 0 => depth -= 1,
            b'\'' | b'"' => {}
            letter if depth == 0 && !letter.is_ascii_alphanumeric() && !b"_.".contains(&letter) => break,
            _ => {}
        }
        at = next(text, at);
    }
    at
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let mut environment = environment().unwrap();
        environment.add_template_owned("t", source(template)).unwrap();
        let (none, list) = (Value::from(()), Vec::<Value>::new());
        let map = context! { b => vec![1, 2], a => none };
        let messages = vec![context! { n => 3, text => "ä<'\n", list, map }];
        let said = environment.get_template("t").unwrap().render(context! { messages }).unwrap();
        assert_eq!(said, expected, "{template}");
    }

    // The expected texts are what Jinja 3.1 and json.dumps of Python 3.11 give.
    #[test]
    fn texts_are_formatted_as_python_does() {
        check("{{ '%s-%d' % ('a', 3) }}", "a-3");
        check("{{ \"%s\" % messages[0].n }}!", "3!");
        check("{{ 'n=%s' % messages[0]['n'] ~ ';' }}", "n=3;");
        check("{% set x = '%03d' % 7 %}{{ x }} 5 % 3", "007 5 % 3");
        check("{{ 7 % 4 }}{% if 'a' %}b{% endif %}{{ '}} %s' % ('{{',) }}", "3b}} {{");
        check("{# '%s' % 1 #}{{ 'a{}b'.format(1) }}{{ 'A b'.title() }}", "a1bA B");
    }

    #[test]
    fn json_is_written_as_python_does() {
        check("{{ messages[0].text | tojson }}", "\"ä<'\\n\"");
        check("{{ messages[0].text | tojson(ensure_ascii=true) }}", "\"\\u00e4<'\\n\"");
        check("{{ messages[0].map | tojson(sort_keys=true) }}", "{\"a\": null, \"b\": [1, 2]}");
        check("{{ messages[0].list | tojson(indent=2) }}", "[]");
        check("{{ [1, true] | tojson(indent=2) }}", "[\n  1,\n  true\n]");
        check("{{ {'z': 1.5, 'a': 'b'} | tojson }}", "{\"z\": 1.5, \"a\": \"b\"}");
        check("{{ [1, 2] | tojson(separators=(',', ':')) }}", "[1,2]");
    }

    #[test]
    fn line_breaks_are_those_of_jinja_and_masks_write_nothing() {
        check("{% if true %}\r\na\r\n{% endif %}\r\nb", "a\nb");
        check("a\rb", "a\nb");
        check("{% generation %}\nsaid\n{%- endgeneration -%}\n!", "said!");
    }

    #[test]
    fn the_time_is_told_and_a_wrong_format_of_it_is_refused() {
        let year = strftime_now("%Y").unwrap();
        assert!(year.len() == 4 && year.parse::<u32>().unwrap() >= 2025, "{year}");
        assert!(strftime_now("%Q%").unwrap_err().to_string().contains("no format"));
    }
}
