//! The table whose rows a task is played with: a CSV file whose first line names the columns.
//!
//! Invariant: every row of the file is there, with a value for each column, or the file is refused with its line: a row
//! that is lost would be a case that nobody has played.

use std::collections::BTreeMap;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

/// Stands alone in the last line if no quotation mark before it was left open. No text that a person writes has it.
const END: &str = "\u{0}";

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line of the file in which it begins, from 1.
    pub line: u64,
    /// The value of each column.
    pub values: BTreeMap<String, String>,
}

/// The rows of a CSV file.
///
/// # Errors
/// If it cannot be read, has no row, names no column or one twice, or has a row with more or fewer values; the message
/// names file and line.
pub fn read_rows(path: &Path) -> Result<Vec<Row>, String> {
    let shown = path.display();
    let text = vigorl_files::read_text(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    parse(&text).map_err(|(line, message)| match line {
        Some(line) => format!("`{shown}`, line {line}: {message}"),
        None => format!("`{shown}` {message}"),
    })
}

/// What is wrong, and in which line.
type Fault = (Option<u64>, String);

fn parse(text: &str) -> Result<Vec<Row>, Fault> {
    // One kind of line break, so that lines are counted, and typed, the same for all editors.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let whole = format!("{text}\n{END}\n");
    let mut records = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(whole.as_bytes());
    let mut rows = Vec::new();
    for record in records.records() {
        let record = record.map_err(|error| (None, format!("is no CSV: {error}")))?;
        rows.push((line_of(&record, &whole), record));
    }
    match rows.pop() {
        Some((_, last)) if last.iter().eq([END]) => {}
        Some((line, _)) => return Err((Some(line), "a quotation mark is not closed".to_owned())),
        None => {}
    }
    let mut rows = rows.into_iter();
    let Some((line, header)) = rows.next() else {
        return Err((None, "is empty: its first line names the columns".to_owned()));
    };
    let columns: Vec<&str> = header.iter().map(str::trim).collect();
    if let Some(message) = columns_fault(&columns) {
        return Err((Some(line), message));
    }
    let row = |(line, record): (u64, StringRecord)| {
        let (n, n_columns) = (record.len(), columns.len());
        if n != n_columns {
            return Err((Some(line), format!("{n} values for {n_columns} columns ({})", columns.join(", "))));
        }
        let values = columns.iter().zip(&record);
        Ok(Row { line, values: values.map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect() })
    };
    let rows = rows.map(row).collect::<Result<Vec<_>, _>>()?;
    match rows.is_empty() {
        true => Err((Some(line), "there is no row below the names of the columns".to_owned())),
        false => Ok(rows),
    }
}

/// The line in which a record begins. The reader counts from where the one before has ended, and leaves out empty lines.
fn line_of(record: &StringRecord, text: &str) -> u64 {
    let Some(at) = record.position() else { return 1 };
    let from = usize::try_from(at.byte()).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
    let n_empty = from.iter().take_while(|byte| **byte == b'\n').count();
    at.line() + n_empty as u64
}

/// Why names cannot be those of columns.
fn columns_fault(columns: &[&str]) -> Option<String> {
    let known = columns.join(", ");
    if let [one] = columns
        && let Some(other) = [';', '\t', '|'].iter().find(|other| one.contains(**other))
    {
        return Some(format!("columns are separated by commas, and `{known}` by {other:?}"));
    }
    columns.iter().enumerate().find_map(|(idx, name)| {
        if name.is_empty() {
            return Some(format!("column {} has no name ({known})", idx + 1));
        }
        if columns[..idx].contains(name) {
            return Some(format!("there are two columns `{name}`"));
        }
        // No text could call it.
        let is_no_name = name.contains(['{', '}']) || name.starts_with("secret:");
        is_no_name.then(|| format!("`{name}` is no name for a variable: `${{…}}` could not hold it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and values of each row.
    fn rows(text: &str) -> Vec<(u64, Vec<(String, String)>)> {
        let rows = parse(text).unwrap();
        rows.into_iter().map(|row| (row.line, row.values.into_iter().collect())).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(u64, [&str; 2])]) {
        let named = |[name, note]: [&str; 2]| {
            vec![("name".to_owned(), name.to_owned()), ("note".to_owned(), note.to_owned())]
        };
        let expected: Vec<_> = expected.iter().map(|(line, values)| (*line, named(*values))).collect();
        assert_eq!(rows(text), expected, "{text:?}");
    }

    #[test]
    fn tables_of_any_editor_are_read_and_their_lines_are_known() {
        check("name,note\nAda,one\nBob,two\n", &[(2, ["Ada", "one"]), (3, ["Bob", "two"])]);
        check("name,note\r\nAda,one\r\nBob,two", &[(2, ["Ada", "one"]), (3, ["Bob", "two"])]);
        check(" name , note\n\nAda, one\n\n\nBob,\n\n", &[(3, ["Ada", " one"]), (6, ["Bob", ""])]);
        let quoted = "name,note\n\"Ada, \"\"A\"\"\",\"two\r\nlines\"\nBob,\"\"\n";
        check(quoted, &[(2, ["Ada, \"A\"", "two\nlines"]), (4, ["Bob", ""])]);
        check("name,note\rAda,${x}\r", &[(2, ["Ada", "${x}"])]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_column() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        std::fs::write(&file, "\u{feff}name\nAda\n").unwrap();
        let read = read_rows(&file).unwrap();
        assert_eq!(read[0].values, BTreeMap::from([("name".to_owned(), "Ada".to_owned())]));
        std::fs::write(&file, "name\n").unwrap();
        let error = read_rows(&file).unwrap_err();
        assert!(error.contains("people.csv`, line 1: there is no row"), "{error}");
        std::fs::write(&file, b"name\n\xff\n").unwrap();
        assert!(read_rows(&file).unwrap_err().contains("people.csv"));
        std::fs::remove_file(&file).unwrap();
        assert!(read_rows(&file).unwrap_err().starts_with("cannot read `"));
    }

    #[test]
    fn a_table_with_a_fault_is_refused_with_its_line() {
        for (text, line, words) in [
            ("", None, "is empty"),
            ("\n\r\n", None, "is empty"),
            ("name,note\n", Some(1), "no row below"),
            ("name,note\nAda,one\nBob\n", Some(3), "1 values for 2 columns (name, note)"),
            ("name,note\n\nAda,one,two\n", Some(3), "3 values for 2 columns"),
            ("name,note,name\nAda,one,x\n", Some(1), "two columns `name`"),
            ("name,,note\nAda,one,x\n", Some(1), "column 2 has no name"),
            ("name,secret:X\nAda,one\n", Some(1), "`secret:X` is no name"),
            ("name;note\nAda;one\n", Some(1), "separated by commas"),
            ("name\nAda\n\"Bob\nEve\n", Some(3), "a quotation mark is not closed"),
            ("\"name\nAda\n", Some(1), "a quotation mark is not closed"),
        ] {
            let (at, message) = parse(text).unwrap_err();
            assert!(at == line && message.contains(words), "{text:?}: {at:?} {message}");
        }
    }
}
