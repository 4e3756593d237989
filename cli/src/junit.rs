//! Results as JUnit's XML, which test dashboards read: a suite per task, a case per repetition and per row of its table.
//!
//! Invariant: the file appears whole, by rename, and any text gives well-formed XML. There is no standard: elements and attributes are those that Jenkins, GitLab and pytest agree on.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use vigorl_files::write_whole;

use crate::suite::{Counts, Outcome, Repetition, Suite};

/// Writes the file anew.
pub(crate) fn write(path: &Path, suites: &[Suite]) -> anyhow::Result<()> {
    xml(suites)
        .and_then(|xml| write_whole(path, xml.as_bytes()))
        .with_context(|| format!("cannot write `{}`; choose another --junit", path.display()))
}

fn xml(suites: &[Suite]) -> io::Result<String> {
    let mut report = Report::new("vigorl");
    report
        .set_time(suites.iter().flat_map(|suite| &suite.repetitions).map(|repetition| repetition.took).sum());
    report.add_test_suites(suites.iter().map(test_suite));
    report.to_string().map_err(io::Error::other)
}

fn test_suite(suite: &Suite) -> TestSuite {
    let mut written = TestSuite::new(in_attribute(&suite.given));
    written.set_time(suite.repetitions.iter().map(|repetition| repetition.took).sum());
    // Whole seconds without a zone, as the readers want it.
    let stamp = suite.started_at.iso();
    let stamp = stamp.split('.').next().unwrap_or_default();
    written.extra.insert("timestamp".into(), stamp.into());
    let n_skipped = Counts::of([suite]).n_not_played.to_string();
    written.extra.insert("skipped".into(), n_skipped.into());
    let cases = suite.repetitions.iter().enumerate();
    written.add_test_cases(cases.map(|(idx, repetition)| test_case(suite, idx, repetition)));
    written
}

fn test_case(suite: &Suite, idx: usize, repetition: &Repetition) -> TestCase {
    let name = repetition.row.as_ref().map_or(&suite.name, |row| &row.name);
    let name = match suite.n_times {
        1 => name.clone(),
        n => format!("{name} #{}", idx % n + 1),
    };
    let mut status = status(&repetition.outcome);
    status.add_reruns(repetition.earlier.iter().filter_map(rerun));
    let mut case = TestCase::new(in_attribute(&name), status);
    case.set_classname(in_attribute(&suite.given)).set_time(repetition.took);
    if let Some((run_dir, report)) = &repetition.record {
        case.set_system_out(legal(&format!("{}\n{}\n", run_dir.display(), report.display())));
    }
    case
}

fn status(outcome: &Outcome) -> TestCaseStatus {
    if *outcome == Outcome::Solved {
        return TestCaseStatus::success();
    }
    let Some((kind, what, said)) = failure(outcome) else {
        let mut status = TestCaseStatus::skipped();
        status.set_message("not played to its end");
        return status;
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(in_attribute(said)).set_type(what).set_description(legal(said));
    status
}

/// A try that is not what counts.
fn rerun(tried: &Repetition) -> Option<TestRerun> {
    let (kind, what, said) = failure(&tried.outcome)?;
    let mut rerun = TestRerun::new(kind);
    rerun.set_time(tried.took).set_message(in_attribute(said)).set_type(what).set_description(legal(said));
    Some(rerun)
}

fn failure(outcome: &Outcome) -> Option<(NonSuccessKind, &'static str, &str)> {
    match outcome {
        Outcome::Solved | Outcome::NotPlayed => None,
        Outcome::NotSolved(detail) => Some((NonSuccessKind::Failure, "not solved", detail)),
        Outcome::Failed(message) => Some((NonSuccessKind::Error, "the world failed", message)),
    }
}

/// Readers turn line breaks of attributes into spaces.
fn in_attribute(text: &str) -> String {
    legal(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Of what XML cannot hold, the crate leaves out control characters but lets these two pass.
fn legal(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use quick_xml::events::Event;
    use quick_xml::reader::Reader;
    use vigorl_runs::Stamp;

    use super::*;

    fn suites() -> Vec<Suite> {
        let run = || Some(("runs/a".into(), "runs/a/report.html".into()));
        let repetition = |outcome, record| {
            let (took, earlier) = (Duration::from_millis(1500), Vec::new());
            Repetition { row: None, seed: 0, outcome, took, record, earlier }
        };
        let suite = |given: &str, repetitions: Vec<Repetition>| Suite {
            given: given.to_owned(),
            name: "find <it> & \"that\"".to_owned(),
            tags: Vec::new(),
            is_judged: true,
            started_at: Stamp::from_unix_millis(951_782_399_999),
            n_times: repetitions.len(),
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
        let xml = xml(&suites()).unwrap();
        for words in [
            "<testsuites name=\"vigorl\" tests=\"4\" failures=\"1\" errors=\"1\" time=\"6.000\">",
            "<testsuite name=\"a.yaml\" tests=\"2\" disabled=\"0\" errors=\"0\" failures=\"1\" time=\"3.000\" \
             timestamp=\"2000-02-28T23:59:59\" skipped=\"0\">",
            "<testsuite name=\"c.yaml\" tests=\"1\" disabled=\"1\" errors=\"0\" failures=\"0\" time=\"1.500\" \
             timestamp=\"2000-02-28T23:59:59\" skipped=\"1\">",
            "<testcase name=\"find &lt;it&gt; &amp; &quot;that&quot; #2\" classname=\"a.yaml\" time=\"1.500\">",
            "<testcase name=\"find &lt;it&gt; &amp; &quot;that&quot;\" classname=\"b.yaml\" time=\"1.500\">",
            "<error message=\"gone\" type=\"the world failed\">gone</error>",
            "<skipped message=\"not played to its end\"/>",
            "<system-out>runs/a\nruns/a/report.html\n</system-out>",
        ] {
            assert!(xml.contains(words), "{words}\n{xml}");
        }
    }

    #[test]
    fn a_row_of_a_table_is_a_case_with_its_own_name() {
        let mut rows = suites().remove(0);
        for (idx, repetition) in rows.repetitions.iter_mut().enumerate() {
            let name = format!("greet {idx}, row {}", idx + 1);
            repetition.row = Some(crate::suite::PlayedRow { number: idx + 1, name });
        }
        rows.n_times = 1;
        let xml = xml(&[rows]).unwrap();
        for words in ["<testcase name=\"greet 0, row 1\"", "<testcase name=\"greet 1, row 2\"", "tests=\"2\""]
        {
            assert!(xml.contains(words), "{words}\n{xml}");
        }
    }

    #[test]
    fn any_text_gives_xml_that_reads_back() {
        let xml = xml(&suites()).unwrap();
        let mut reader = Reader::from_reader(xml.as_bytes());
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
        assert_eq!(failure, "no ]]&gt; &lt;b&gt;\nsecond \u{fffd} line");
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
