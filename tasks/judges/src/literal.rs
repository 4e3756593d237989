//! Coordinates as Python literals: what `ast.literal_eval` makes a tuple or a list of numbers.
//!
//! Invariant: exactly those texts are accepted that CPython 3.11 evaluates to a tuple or a list of as many numbers as are
//! asked for. Everything else that Python can evaluate (strings, sums, sets) is no coordinate, and refused without being
//! looked at closely.

use crate::integer::{Integer, Number};
use crate::python::{MAX_DIGITS, is_digits};
use crate::reward::Mode;

/// Python's limit for brackets inside of brackets.
const MAX_DEPTH: usize = 200;

/// A list of numbers, and how it was written.
#[derive(Debug)]
pub(crate) struct Numbers<const N: usize> {
    /// In the order of the text.
    pub(crate) numbers: [Number; N],
    /// Whether it is a tuple, and not a list.
    pub(crate) is_tuple: bool,
}

/// Reads `N` numbers. In mode `reference` floats are none; `True` is 1, as in Python.
pub(crate) fn numbers<const N: usize>(text: &str, mode: Mode) -> Option<Numbers<N>> {
    let (items, is_tuple) = match evaluate(text)? {
        Node::Tuple(items) => (items, true),
        Node::List(items) => (items, false),
        _ => return None,
    };
    let number = |node: Node| match node {
        Node::Number(number) | Node::Signed(number) | Node::Bool(number) => Some(number),
        Node::Tuple(_) | Node::List(_) => None,
    };
    let numbers: Vec<Number> = items.into_iter().map(number).collect::<Option<_>>()?;
    let fits = |number: &Number| match number {
        Number::Whole(_) => true,
        Number::Float(float) => mode == Mode::Fixed && float.is_finite(),
    };
    if !numbers.iter().all(fits) {
        return None;
    }
    Some(Numbers { numbers: numbers.try_into().ok()?, is_tuple })
}

/// A value, as far as it can be part of a coordinate.
#[derive(Debug)]
enum Node {
    Number(Number),
    /// A number with a sign: it takes no other.
    Signed(Number),
    /// It takes no sign at all.
    Bool(Number),
    Tuple(Vec<Node>),
    List(Vec<Node>),
}

#[derive(Debug, Clone)]
enum Token {
    Open(char),
    Close(char),
    Comma,
    Plus,
    Minus,
    Number(Number),
    Bool(bool),
}

fn evaluate(text: &str) -> Option<Node> {
    if text.contains('\0') {
        return None;
    }
    // Python reads every kind of line end as one.
    let text = text.trim_start_matches([' ', '\t']).replace("\r\n", "\n").replace('\r', "\n");
    let mut parser = Parser { tokens: tokens(&text)?, at: 0 };
    let node = parser.several(None)?;
    (parser.at == parser.tokens.len()).then_some(node)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Values up to a closing bracket, or to the end; one without a comma is itself, but in a list.
    fn several(&mut self, close: Option<char>) -> Option<Node> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            match (self.peek(), close) {
                (Some(Token::Close(found)), Some(close)) if *found == close => {
                    self.at += 1;
                    break;
                }
                (None, None) if !items.is_empty() => break,
                (None | Some(Token::Close(_)), _) => return None,
                (Some(_), _) if items.is_empty() || has_comma => {
                    items.push(self.one()?);
                    has_comma = matches!(self.peek(), Some(Token::Comma));
                    if has_comma {
                        self.at += 1;
                    }
                }
                // Two values without a comma between them.
                (Some(_), _) => return None,
            }
        }
        if close == Some(']') {
            return Some(Node::List(items));
        }
        if items.len() == 1 && !has_comma { items.pop() } else { Some(Node::Tuple(items)) }
    }

    fn one(&mut self) -> Option<Node> {
        match self.next()? {
            Token::Number(number) => Some(Node::Number(number)),
            Token::Bool(value) => {
                Some(Node::Bool(Number::Whole(Integer::of_digits(if value { "1" } else { "0" }, 10))))
            }
            Token::Open('(') => self.several(Some(')')),
            Token::Open(_) => self.several(Some(']')),
            Token::Plus => match self.one()? {
                Node::Number(number) => Some(Node::Signed(number)),
                _ => None,
            },
            Token::Minus => match self.one()? {
                Node::Number(Number::Whole(whole)) => Some(Node::Signed(Number::Whole(whole.negated()))),
                Node::Number(Number::Float(float)) => Some(Node::Signed(Number::Float(-float))),
                _ => None,
            },
            Token::Close(_) | Token::Comma => None,
        }
    }
}

/// Cuts a text into tokens, with Python's rules for lines: inside of brackets they mean nothing, outside of them one line
/// says it all, and nothing else may follow or be indented.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut open: Vec<char> = Vec::new();
    let mut rest = text;
    // Whether a line has ended on which a value stood.
    let mut is_over = false;
    let mut begins_line = true;
    loop {
        if begins_line && open.is_empty() {
            let (column, behind) = indentation(rest)?;
            rest = behind;
            // Lines that are empty, or hold nothing but a comment, may be indented.
            if column > 0 && !rest.starts_with(['#', '\n']) {
                return None;
            }
        }
        begins_line = false;
        let Some(c) = rest.chars().next() else { break };
        match c {
            ' ' | '\t' | '\x0c' => rest = &rest[1..],
            '#' => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
            '\\' => rest = continued(rest)?,
            '\n' => {
                rest = &rest[1..];
                begins_line = true;
                is_over |= open.is_empty() && !tokens.is_empty();
            }
            _ if is_over => return None,
            '(' | '[' => {
                open.push(if c == '(' { ')' } else { ']' });
                if open.len() > MAX_DEPTH {
                    return None;
                }
                tokens.push(Token::Open(c));
                rest = &rest[1..];
            }
            ')' | ']' => {
                if open.pop() != Some(c) {
                    return None;
                }
                tokens.push(Token::Close(c));
                rest = &rest[1..];
            }
            ',' | '+' | '-' => {
                tokens.push(match c {
                    ',' => Token::Comma,
                    '+' => Token::Plus,
                    _ => Token::Minus,
                });
                rest = &rest[1..];
            }
            '0'..='9' | '.' => {
                let (number, behind) = number(rest)?;
                tokens.push(Token::Number(number));
                rest = behind;
            }
            'T' | 'F' => {
                let behind = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
                match &rest[..rest.len() - behind.len()] {
                    "True" => tokens.push(Token::Bool(true)),
                    "False" => tokens.push(Token::Bool(false)),
                    _ => return None,
                }
                rest = behind;
            }
            _ => return None,
        }
    }
    open.is_empty().then_some(tokens)
}

/// The column in which a line begins, and the line from there on. A form feed begins anew; a line that is continued
/// before it has begun keeps the column in which that was said.
fn indentation(line: &str) -> Option<(usize, &str)> {
    let (mut column, mut before, mut rest) = (0, 0, line);
    loop {
        match rest.chars().next() {
            Some(' ') | Some('\t') => column += 1,
            Some('\x0c') => column = 0,
            Some('\\') => {
                before = if before > 0 { before } else { column };
                rest = continued(rest)?;
                continue;
            }
            _ => return Some((if before > 0 { before } else { column }, rest)),
        }
        rest = &rest[1..];
    }
}

/// What follows a line that a backslash continues.
fn continued(rest: &str) -> Option<&str> {
    rest.strip_prefix("\\\n").filter(|behind| !behind.is_empty())
}

/// The number at the beginning of a text.
fn number(text: &str) -> Option<(Number, &str)> {
    let bases = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some((prefix, base)) = bases.into_iter().find(|(prefix, _)| text.starts_with(prefix)) {
        let behind = text[prefix.len()..].trim_start_matches(is_part);
        let digits = &text[prefix.len()..text.len() - behind.len()];
        // One underscore may stand right behind the prefix.
        let mut groups = digits.strip_prefix('_').unwrap_or(digits).split('_');
        let fits = groups.all(|group| !group.is_empty() && group.chars().all(|c| c.is_digit(base)));
        return fits.then(|| (Number::Whole(Integer::of_digits(&digits.replace('_', ""), base)), behind));
    }
    let (whole, behind) = split_digits(text);
    if !behind.starts_with(['.', 'e', 'E']) {
        // Letters right behind a number make it another one, or none.
        if !is_digits(whole) || behind.starts_with(is_part) {
            return None;
        }
        let digits = whole.replace('_', "");
        if digits.len() > MAX_DIGITS && !digits.bytes().all(|byte| byte == b'0') {
            return None;
        }
        // Only zero may begin with zeros.
        if digits.starts_with('0') && !digits.bytes().all(|byte| byte == b'0') {
            return None;
        }
        return Some((Number::Whole(Integer::of_digits(&digits, 10)), behind));
    }
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => split_digits(behind),
        None => ("", behind),
    };
    let (exponent, behind) = match behind.strip_prefix(['e', 'E']) {
        Some(behind) => {
            let unsigned = behind.strip_prefix(['+', '-']).unwrap_or(behind);
            let (digits, behind_digits) = split_digits(unsigned);
            if !is_digits(digits) {
                return None;
            }
            (&behind[..behind.len() - behind_digits.len()], behind_digits)
        }
        None => ("0", behind),
    };
    let fits = |digits: &str| digits.is_empty() || is_digits(digits);
    let is_number = !(whole.is_empty() && fraction.is_empty()) && fits(whole) && fits(fraction);
    if !is_number || behind.starts_with(|c| is_part(c) || c == '.') {
        return None;
    }
    let written = format!("{whole}.{fraction}e{exponent}").replace('_', "");
    Some((Number::Float(written.parse().ok()?), behind))
}

/// Digits and underscores, and what follows them.
fn split_digits(text: &str) -> (&str, &str) {
    let behind = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    text.split_at(text.len() - behind.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, mode: Mode, expected: Option<bool>) {
        assert_eq!(numbers::<2>(text, mode).map(|found| found.is_tuple), expected, "{text:?}");
    }

    #[test]
    fn tuples_and_lists_of_whole_numbers_are_read_as_python_reads_them() {
        for text in [
            "(5, 5)",
            "(1_000, 5)",
            "(+5, 5)",
            "(0x10, 2)",
            "(True, 3)",
            "(5,5,)",
            "5, 5",
            "5, 5,",
            "  (5, 5)",
            "\n(5, 5)",
            "\x0c(5, 5)",
            "(5, \\\n 5)",
            "\\\n(5, 5)",
            "(5,\r5)",
            "(5, 5) # c",
            "# c\n(5, 5)",
            "(5, # c\n 5)",
            "(0_0, 00)",
            "(0x_1, 5)",
            "(0b1_1,0O17)",
            "(- 5, 5)",
            "(-\n5, 5)",
            "(-(5), 5)",
            "(5),(5)",
            "((5,5))",
            "(5,5)\n  # c",
            "(5,5)\\\n\n",
            "(5,5) \\\n# c",
            "(5,\\\r\n5)",
            "\n\t\n(5,5)",
            "\n \x0c(5,5)",
            "(((5)),((+(5))))",
            "(5,5)\n#\\",
        ] {
            check(text, Mode::Reference, Some(true));
        }
        for text in ["[5, 5]", "([5,5])", "[5,5,]", "[True, -0]"] {
            check(text, Mode::Reference, Some(false));
        }
    }

    #[test]
    fn everything_else_is_no_coordinate() {
        for text in [
            "",
            "#",
            "5",
            "()",
            "(5,)",
            "(5 5)",
            "(5,,5)",
            "(,5,5)",
            "(007, 5)",
            "(0_0_, 0)",
            "(1__0, 0)",
            "(0x, 5)",
            "(0b12,5)",
            "(--5, 5)",
            "(-True, 5)",
            "(+(+5),5)",
            "(5j,5)",
            "((5,5),)",
            "[5,5],",
            "{5,5}",
            "(5if 1else 6,5)",
            "\n (5, 5)",
            "# c\n (5, 5)",
            "(5, 5)\\",
            "(5, 5)\\\n",
            "(5,5)\n5",
            "5,\n5",
            "(5,５)",
            "(5,\u{a0}5)",
            "(5,\x0b5)",
            "(5, 5);",
            "((5,5)",
            "(5,5]",
            "(*(5,5),)",
            "(5,5)(5)",
            "(5)5,5",
            "(true, 5)",
            "(1+2, 5)",
            "(1+2j, 3)",
            "(5,5)''",
            "\u{feff}(5,5)",
            "(5,5)#\0",
            "(5_,5)",
            "(_5,5)",
            "(5a,5)",
            "(5True,5)",
            "(True5,5)",
            "(5, 5, 5)",
            "\\\n  (5,5)",
        ] {
            check(text, Mode::Reference, None);
            check(text, Mode::Fixed, None);
        }
    }

    #[test]
    fn floats_are_read_in_mode_fixed_alone() {
        for text in [
            "(5., 5)",
            "(5e0,5)",
            "(00.5,1)",
            "(0009.5,1)",
            "(0_9e1,1)",
            "(1e1_0,5)",
            "(.5,5)",
            "(1e+5,5)",
            "(-.5,5)",
        ] {
            check(text, Mode::Reference, None);
            check(text, Mode::Fixed, Some(true));
        }
        for text in [
            "(5e,5)",
            "(._1,5)",
            "(1_.5,5)",
            "(1._5,5)",
            "(1.5.5,5)",
            "(1..5,5)",
            "(1e+,5)",
            "(1e999,5)",
            "(.,5)",
        ] {
            check(text, Mode::Fixed, None);
        }
    }

    #[test]
    fn brackets_and_digits_have_pythons_limits() {
        let nested = |n: usize| format!("{}5, 5{}", "(".repeat(n), ")".repeat(n));
        check(&nested(200), Mode::Reference, Some(true));
        check(&nested(201), Mode::Reference, None);
        check(&format!("({}, 5)", "9".repeat(4_300)), Mode::Reference, Some(true));
        check(&format!("({}, 5)", "9".repeat(4_301)), Mode::Reference, None);
        check(&format!("({}, 5)", "0".repeat(5_000)), Mode::Reference, Some(true));
        check(&format!("(0x{}, 5)", "f".repeat(6_000)), Mode::Reference, Some(true));
    }
}
