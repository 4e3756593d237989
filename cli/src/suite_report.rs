//! What `vigorl run --report` writes: all that one command plays, as a folder that can be opened anywhere.
//!
//! Invariant: the page says what is known so far, whatever ends the command; a run is copied as soon as it is over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vigorl_report::{KeptRun, SuiteError, SuiteFolder, SuiteOutcome, SuitePage, SuitePlay, SuiteTask};

use crate::exit::usage;
use crate::suite::{Outcome, Repetition, Suite};

/// Between two times that the page is written: of thousands of short runs it takes longer than one of them.
const PAUSE: Duration = Duration::from_secs(1);

/// A folder that is written while a suite is played.
#[derive(Debug)]
pub(crate) struct SuiteReport {
    folder: SuiteFolder,
    /// What is kept of each run, by its folder.
    kept: BTreeMap<PathBuf, KeptRun>,
    /// When the page was written last.
    written: Instant,
}

impl SuiteReport {
    /// Begins before anything slow does: whether it can be written is known then.
    pub(crate) fn open(path: &Path, suites: &[Suite]) -> anyhow::Result<Self> {
        let folder = SuiteFolder::open(path).map_err(with_cure)?;
        let report = Self { folder, kept: BTreeMap::new(), written: Instant::now() };
        report.write(suites)?;
        Ok(report)
    }

    /// Keeps what was recorded of a repetition, which is entered into `suites`.
    pub(crate) fn enter(&mut self, suites: &[Suite], repetition: &Repetition) -> anyhow::Result<()> {
        for tried in repetition.earlier.iter().chain([repetition]) {
            let Some((run_dir, _)) = &tried.record else { continue };
            let has_failed = matches!(tried.outcome, Outcome::NotSolved(_) | Outcome::Failed(_));
            let kept = self.folder.keep(run_dir, has_failed).map_err(with_cure)?;
            self.kept.insert(run_dir.clone(), kept);
        }
        if self.written.elapsed() < PAUSE {
            return Ok(());
        }
        self.written = Instant::now();
        self.write(suites)
    }

    /// Writes the page.
    pub(crate) fn write(&self, suites: &[Suite]) -> anyhow::Result<()> {
        self.folder.write(&self.page(suites)).map_err(with_cure)
    }

    fn page(&self, suites: &[Suite]) -> SuitePage {
        let started_at = suites.first().map_or_else(String::new, |suite| suite.started_at.iso());
        SuitePage { started_at, tasks: suites.iter().flat_map(|suite| self.tasks(suite)).collect() }
    }

    /// A task for each row of a table, or one.
    fn tasks(&self, suite: &Suite) -> Vec<SuiteTask> {
        let of_row = |times: &[Repetition]| {
            let row = times.first().and_then(|repetition| repetition.row.as_ref());
            SuiteTask {
                name: row.map_or(&suite.name, |row| &row.name).clone(),
                given: suite.given.clone(),
                tags: suite.tags.clone(),
                is_judged: suite.is_judged,
                plays: (1..).zip(times).map(|(number, time)| self.play(suite, number, time)).collect(),
            }
        };
        suite.repetitions.chunks(suite.n_times.max(1)).map(of_row).collect()
    }

    fn play(&self, suite: &Suite, number: usize, repetition: &Repetition) -> SuitePlay {
        let outcome = match &repetition.outcome {
            Outcome::Solved if repetition.is_flaky() => SuiteOutcome::Flaky,
            Outcome::Solved => SuiteOutcome::Solved,
            Outcome::NotSolved(_) => SuiteOutcome::NotSolved,
            Outcome::Failed(_) => SuiteOutcome::Failed,
            Outcome::NotPlayed => SuiteOutcome::NotPlayed,
        };
        SuitePlay {
            label: number.to_string(),
            outcome,
            words: suite.in_words(repetition),
            millis: repetition.took.as_secs_f64() * 1e3,
            seed: repetition.seed,
            kept: repetition.record.as_ref().and_then(|(run_dir, _)| self.kept.get(run_dir).cloned()),
            earlier: repetition.earlier.iter().map(|tried| self.play(suite, number, tried)).collect(),
        }
    }
}

fn with_cure(error: SuiteError) -> anyhow::Error {
    match error {
        SuiteError::Taken(_) => usage(format!("--report: {error}")),
        SuiteError::Write { .. } => anyhow::anyhow!("{error}; choose another --report"),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use vigorl_runs::Stamp;

    use super::*;
    use crate::suite::PlayedRow;

    #[test]
    fn rows_are_tasks_of_their_own_and_a_later_try_is_flaky() {
        let repetition = |row: Option<usize>, outcome, earlier| Repetition {
            row: row.map(|number| PlayedRow { number, name: format!("greet, row {number}") }),
            seed: 0,
            outcome,
            took: Duration::from_millis(1500),
            record: Some((PathBuf::from("runs/a"), PathBuf::from("runs/a/report.html"))),
            earlier,
        };
        let no = || repetition(Some(2), Outcome::NotSolved("late".to_owned()), Vec::new());
        let suite = Suite {
            given: "a.yaml".to_owned(),
            name: "greet ${who}".to_owned(),
            tags: vec!["smoke".to_owned()],
            is_judged: true,
            started_at: Stamp::from_unix_millis(0),
            n_times: 2,
            repetitions: vec![
                repetition(Some(1), Outcome::Solved, Vec::new()),
                repetition(Some(1), Outcome::NotPlayed, Vec::new()),
                repetition(Some(2), Outcome::Solved, vec![no()]),
                repetition(Some(2), Outcome::Failed("gone".to_owned()), Vec::new()),
            ],
        };
        let folder = tempfile::tempdir().unwrap();
        let mut report = SuiteReport::open(&folder.path().join("report"), &[]).unwrap();
        let kept = KeptRun { report: "runs/a.html".to_owned(), sight: None };
        report.kept.insert(PathBuf::from("runs/a"), kept.clone());
        let page = report.page(&[suite]);
        assert_eq!(page.started_at, "1970-01-01T00:00:00.000Z");
        let names: Vec<(&str, usize)> =
            page.tasks.iter().map(|task| (&*task.name, task.plays.len())).collect();
        assert_eq!(names, [("greet, row 1", 2), ("greet, row 2", 2)]);
        let of_second: Vec<_> = page.tasks[1].plays.iter().map(|play| (&*play.label, play.outcome)).collect();
        assert_eq!(of_second, [("1", SuiteOutcome::Flaky), ("2", SuiteOutcome::Failed)]);
        let flaky = &page.tasks[1].plays[0];
        assert_eq!(flaky.words, "solved in try 2, so it is flaky");
        assert_eq!(
            (flaky.earlier[0].outcome, &*flaky.earlier[0].words),
            (SuiteOutcome::NotSolved, "not solved: late")
        );
        assert_eq!((flaky.kept.as_ref(), flaky.millis), (Some(&kept), 1500.0));
    }

    #[test]
    fn a_folder_that_is_not_ours_is_wrong_usage_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.txt"), "x").unwrap();
        let error = SuiteReport::open(folder.path(), &[]).unwrap_err();
        assert!(error.is::<crate::exit::Usage>() && error.to_string().contains("--report"), "{error}");
        let error = SuiteReport::open(&folder.path().join("mine.txt"), &[]).unwrap_err();
        assert!(error.to_string().ends_with("; choose another --report"), "{error}");
    }
}
