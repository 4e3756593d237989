//! Results as JUnit's XML, which test dashboards read: a suite per task, a case per repetition.
//!
//! Invariant: the file appears whole, by rename, and any text gives well-formed XML.
//! There is no standard: elements, attributes and their order are those that Jenkins, GitLab and pytest agree on.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use quick_xml::events::{BytesDecl, BytesText, Event};
use quick_xml::writer::Writer;

use crate::suite::{Counts, Outcome, Repetition, Suite};

/// Writes the file anew.
pub(crate) fn write(path: &Path, suites: &[Suite]) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    xml(suites)
        .and_then(|bytes| fs::write(&partial, bytes))
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write `{}`; choose another --junit", path.display()))
}

fn xml(suites: &[Suite]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let numbers = numbers(suites);
    let root = writer.create_element("testsuites").with_attribute(("name", "vigorl"));
    let root = numbers.iter().fold(root, |root, (name, n)| root.with_attribute((*name, n.as_str())));
    root.write_inner_content(|writer| suites.iter().try_for_each(|suite| write_suite(writer, suite)))?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

/// The attributes that suites and their sum have alike.
fn numbers(suites: &[Suite]) -> [(&'static str, String); 5] {
    let counts = Counts::of(suites);
    let took = suites.iter().flat_map(|suite| &suite.repetitions).map(|repetition| repetition.took).sum();
    [
        ("tests", counts.n().to_string()),
        ("failures", counts.n_not_solved.to_string()),
        ("errors", counts.n_failed.to_string()),
        ("skipped", counts.n_not_played.to_string()),
        ("time", secs(took)),
    ]
}

fn write_suite(writer: &mut Writer<Vec<u8>>, suite: &Suite) -> io::Result<()> {
    let (given, numbers) = (in_attribute(&suite.given), numbers(std::slice::from_ref(suite)));
    // Whole seconds without a zone, as the readers want it.
    let stamp = suite.started_at.iso();
    let stamp = stamp.split('.').next().unwrap_or_default();
    let element = writer.create_element("testsuite").with_attribute(("name", given.as_str()));
    let element =
        numbers.iter().fold(element, |element, (name, n)| element.with_attribute((*name, n.as_str())));
    let element = element.with_attribute(("timestamp", stamp));
    element.write_inner_content(|writer| {
        let mut cases = suite.repetitions.iter().enumerate();
        cases.try_for_each(|(idx, repetition)| write_case(writer, suite, idx, repetition))
    })?;
    Ok(())
}

fn write_case(
    writer: &mut Writer<Vec<u8>>,
    suite: &Suite,
    idx: usize,
    repetition: &Repetition,
) -> io::Result<()> {
    let name = match suite.repetitions.len() {
        1 => suite.name.clone(),
        _ => format!("{} #{}", suite.name, idx + 1),
    };
    let (name, given, took) = (in_attribute(&name), in_attribute(&suite.given), secs(repetition.took));
    let case = writer.create_element("testcase");
    let case = case.with_attributes([
        ("classname", given.as_str()),
        ("name", name.as_str()),
        ("time", took.as_str()),
    ]);
    case.write_inner_content(|writer| {
        let said = match &repetition.outcome {
            Outcome::Solved => None,
            Outcome::NotSolved(detail) => Some(("failure", Some("not solved"), detail.as_str())),
            Outcome::Failed(message) => Some(("error", Some("the world failed"), message.as_str())),
            Outcome::NotPlayed => Some(("skipped", None, "not played to its end")),
        };
        if let Some((element, kind, text)) = said {
            let message = in_attribute(text);
            let element = writer.create_element(element).with_attribute(("message", message.as_str()));
            match kind {
                None => element.write_empty()?,
                Some(kind) => {
                    let text = legal(text);
                    element.with_attribute(("type", kind)).write_text_content(BytesText::new(&text))?
                }
            };
        }
        if let Some((run_dir, report)) = &repetition.record {
            let text = legal(&format!("{}\n{}\n", run_dir.display(), report.display()));
            writer.create_element("system-out").write_text_content(BytesText::new(&text))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn secs(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// Readers turn line breaks of attributes into spaces.
fn in_attribute(text: &str) -> String {
    legal(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// XML has no way to write most control characters, not even escaped.
fn legal(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::events::Event;
    use quick_xml::reader::Reader;
    use vigorl_runs::Stamp;

    use super::*;

    fn suites() -> Vec<Suite> {
        let run = || Some(("runs/a".into(), "runs/a/report.html".into()));
        let repetition =
            |outcome, record| Repetition { seed: 0, outcome, took: Duration::from_millis(1500), record };
        let suite = |given: &str, repetitions| Suite {
            given: given.to_owned(),
            name: "find <it> & \"that\"".to_owned(),
            is_judged: true,
            started_at: Stamp::from_unix_millis(951_782_399_999),
            repetitions,
        };
        let evil = "no \u{1b}[31m]]> <b>\nsecond \u{ffff} line";
        vec![
            suite(
                "a.yaml",
                vec![
                    repetition(Outcome::Solved, run()),
                    repetition(Outcome::NotSolved(evil.to_owned()), run()),
                ],
            ),
            suite("b.yaml", vec![repetition(Outcome::Failed("gone".to_owned()), None)]),
            suite("c.yaml", vec![repetition(Outcome::NotPlayed, None)]),
        ]
    }

    #[test]
    fn a_suite_per_task_and_a_case_per_repetition() {
        let xml = String::from_utf8(xml(&suites()).unwrap()).unwrap();
        for words in [
            "<testsuites name=\"vigorl\" tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\" time=\"6.000\">",
            "<testsuite name=\"a.yaml\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"3.000\" \
             timestamp=\"2000-02-28T23:59:59\">",
            "<testcase classname=\"a.yaml\" name=\"find &lt;it&gt; &amp; &quot;that&quot; #2\" time=\"1.500\">",
            "<testcase classname=\"b.yaml\" name=\"find &lt;it&gt; &amp; &quot;that&quot;\" time=\"1.500\">",
            "<error message=\"gone\" type=\"the world failed\">gone</error>",
            "<skipped message=\"not played to its end\"/>",
            "<system-out>runs/a\nruns/a/report.html\n</system-out>",
        ] {
            assert!(xml.contains(words), "{words}\n{xml}");
        }
    }

    #[test]
    fn any_text_gives_xml_that_reads_back() {
        let xml = xml(&suites()).unwrap();
        let mut reader = Reader::from_reader(&xml[..]);
        let (mut failure, mut depth, mut inside) = (String::new(), 0, false);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    depth += 1;
                    inside = start.name().as_ref() == b"failure";
                    for attribute in start.attributes() {
                        let attribute = attribute.unwrap();
                        assert!(attribute.value.is_ascii() || attribute.key.as_ref() == b"message");
                    }
                }
                Event::End(_) => (depth, inside) = (depth - 1, false),
                Event::Text(text) if inside => failure.push_str(&text.decode().unwrap()),
                Event::GeneralRef(name) if inside => {
                    failure.push_str(&format!("&{};", name.decode().unwrap()))
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
        assert_eq!(failure, "no \u{fffd}[31m]]&gt; &lt;b&gt;\nsecond \u{fffd} line");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("none/junit.xml"), &[]).unwrap_err();
        assert!(error.to_string().contains("none/junit.xml`; choose another --junit"), "{error}");
        let path = folder.path().join("junit.xml");
        write(&path, &suites()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the file");
    }
}
