//! `vigorl run` of several tasks, or several times, or with the rows of a table: each time a run of its own, some side by
//! side, and their sum.
//!
//! Invariants: a repetition has its own browser, programs, folder and record; whatever ends the command, what is
//! known by then is printed, in the JUnit file, and in the report of all.
//!
//! Repetitions side by side are threads of this program, not programs of their own: one flag stops them all on
//! Ctrl-C, what they started is ended in the one place that ends all of it, also when this program is killed, their
//! threads share the cores instead of each counting on all of them, and weights are loaded and hashed once for all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use vigorl_agent::Cancel;
use vigorl_runs::{Recorded, Stamp};

use crate::args::RunArgs;
use crate::commands::run::said::{Doubtful, doubtful};
use crate::commands::run::{Job, Place, Played, play_once};
use crate::commands::{Form, pretty};
use crate::exit::{self, Ending, Usage, usage};
use crate::eyes::LoadedEyes;
use crate::parts::Part;
use crate::settings::Settings;
use crate::suite::{self, Counts, Outcome, PlayedRow, Repetition, Suite};
use crate::suite_report::SuiteReport;
use crate::{junit, record, terminal};

/// Plays every job as often as asked and sums up.
pub(crate) fn run(
    jobs: &[Job],
    args: &RunArgs,
    settings: &Settings,
    form: Form,
    cancel: &Cancel,
) -> anyhow::Result<Ending> {
    let n_times = args.repetitions.repeat.unwrap_or(1);
    let n_threads = n_side_by_side(jobs, args, settings)?;
    record::check_output(settings)?;
    let turns: Vec<(usize, u64)> =
        (0..jobs.len()).flat_map(|job| (0..n_times).map(move |time| (job, time))).collect();
    let book = Book::open(jobs, n_times, args, settings, form)?;
    let eyes = LoadedEyes::load(args.eyes(), settings)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || turns.get(next.fetch_add(1, Ordering::SeqCst)).copied();
        let played = play_turns(jobs, &take, &eyes, &book, args, settings, cancel);
        if !matches!(played, Ok(Going::On)) {
            // The others have no use any more.
            next.store(turns.len(), Ordering::SeqCst);
        }
        played.map(drop)
    };
    let played = if n_threads.min(turns.len()) == 1 {
        work()
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..n_threads.min(turns.len())).map(|_| scope.spawn(work)).collect();
            let mut ends = threads.into_iter().map(|thread| thread.join());
            ends.try_for_each(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    };
    let counts = book.close();
    played?;
    Ok(match counts? {
        _ if cancel.is_set() => Ending::Interrupted,
        counts if counts.n_solved == counts.n() => Ending::Done,
        _ => Ending::NotDone,
    })
}

/// How many may be played at a time.
fn n_side_by_side(jobs: &[Job], args: &RunArgs, settings: &Settings) -> anyhow::Result<usize> {
    let wanted = args.repetitions.parallel.unwrap_or(1);
    let on_desktop = jobs.iter().find(|job| matches!(job.place, Place::Desktop(_)));
    if let (Some(job), true) = (on_desktop, wanted > 1) {
        return Err(usage(format!(
            "--parallel {wanted}: `{}` is played on the desktop, which has one pointer: leave --parallel out",
            job.given
        )));
    }
    if settings.confirm_actions.is_some() && !args.dry_run && wanted > 1 {
        let origin = settings.origin_of("confirm_actions");
        return Err(usage(format!(
            "--parallel {wanted}: {origin} asks a person, who is asked about one run at a time: leave one out"
        )));
    }
    Ok(usize::try_from(wanted).unwrap_or(usize::MAX))
}

/// Plays the next turn that nobody has taken until there is none.
fn play_turns(
    jobs: &[Job],
    take: &dyn Fn() -> Option<(usize, u64)>,
    eyes: &LoadedEyes,
    book: &Book<'_>,
    args: &RunArgs,
    settings: &Settings,
    cancel: &Cancel,
) -> anyhow::Result<Going> {
    let mut eyes = eyes.beside();
    while !cancel.is_set() {
        let Some((job_idx, time)) = take() else { break };
        let job = &jobs[job_idx];
        let mut earlier = Vec::new();
        let repetition = loop {
            // Each samples on its own, and can be played alone with --seed.
            let nth = time.wrapping_add(book.n_times.wrapping_mul(earlier.len() as u64));
            let settings = settings.with_seed(settings.seed.wrapping_add(nth));
            eyes.with_seed(settings.seed);
            let clock = Instant::now();
            let played = play_once(job, &mut eyes, args, &settings, cancel, terminal::detail);
            let (outcome, record) = outcome_of(played, job, args, cancel)?;
            let took = clock.elapsed();
            let tried = Repetition {
                row: played_row(job),
                seed: settings.seed,
                outcome,
                took,
                record,
                earlier: Vec::new(),
            };
            let is_over = matches!(tried.outcome, Outcome::Solved | Outcome::NotPlayed) || cancel.is_set();
            if is_over || earlier.len() as u64 >= args.repetitions.retries.unwrap_or(0) {
                break Repetition { earlier, ..tried };
            }
            earlier.push(tried);
        };
        let is_solved = repetition.outcome == Outcome::Solved;
        book.enter(job_idx, time, repetition)?;
        if args.repetitions.fail_fast && !is_solved {
            return Ok(Going::Ends);
        }
    }
    Ok(Going::On)
}

/// Whether others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Ends,
}

/// How a repetition ended, and its folder and report.
fn outcome_of(
    played: anyhow::Result<Option<Played>>,
    job: &Job,
    args: &RunArgs,
    cancel: &Cancel,
) -> anyhow::Result<(Outcome, Option<(PathBuf, PathBuf)>)> {
    let played = match played {
        Ok(Some(played)) => played,
        // It would be wrong the next time, too.
        Err(error) if error.is::<Usage>() => return Err(error),
        Err(error) if !cancel.is_set() => return Ok((Outcome::Failed(exit::chain(&error)), None)),
        Ok(None) | Err(_) => return Ok((Outcome::NotPlayed, None)),
    };
    // What is on disk names no secrets.
    let recorded = Recorded::read(&played.path)?;
    let failure = recorded.summary.as_ref().and_then(|summary| summary.err_msg.clone());
    let outcome = match failure {
        _ if cancel.is_set() && played.summary.truncated => Outcome::NotPlayed,
        Some(message) => Outcome::Failed(message),
        None => match job.ending(&played, args)? {
            Ending::Done => Outcome::Solved,
            Ending::NotJudged => {
                let words: Vec<String> = doubtful(&recorded).into_iter().map(Doubtful::in_words).collect();
                Outcome::NotSolved(words.join("; "))
            }
            Ending::NotDone | Ending::Interrupted => {
                let end = recorded.episodes.first().and_then(|episode| episode.outcome.as_ref());
                let detail = end.and_then(|end| end.detail.clone());
                Outcome::NotSolved(detail.unwrap_or_else(|| "not every step was done".to_owned()))
            }
        },
    };
    Ok((outcome, Some((played.path, played.report))))
}

/// The row that a job is played with.
fn played_row(job: &Job) -> Option<PlayedRow> {
    let number = job.row.as_ref()?.number;
    Some(PlayedRow { number, name: job.task.name.clone() })
}

/// Where all repetitions are entered.
struct Book<'a> {
    suites: Mutex<Vec<Suite>>,
    /// Of each job, its suite and its first repetition there.
    places: Vec<(usize, usize)>,
    /// How often each task is played.
    n_times: u64,
    bar: ProgressBar,
    junit: Option<&'a Path>,
    report: Option<Mutex<SuiteReport>>,
    form: Form,
}

impl<'a> Book<'a> {
    fn open(
        jobs: &[Job],
        n_times: u64,
        args: &'a RunArgs,
        settings: &Settings,
        form: Form,
    ) -> anyhow::Result<Self> {
        let repetition = |job: &Job, time| Repetition {
            row: played_row(job),
            seed: settings.seed.wrapping_add(time),
            outcome: Outcome::NotPlayed,
            took: Duration::ZERO,
            record: None,
            earlier: Vec::new(),
        };
        let (mut suites, mut places) = (Vec::<Suite>::new(), Vec::new());
        for (job, before) in jobs.iter().zip(std::iter::once(None).chain(jobs.iter().map(Some))) {
            // Rows of one table follow each other.
            let goes_on = |before: &Job| before.given == job.given && job.number() > before.number();
            if !before.is_some_and(goes_on) {
                suites.push(Suite {
                    given: job.given.clone(),
                    name: job.row.as_ref().map_or(&job.task.name, |row| &row.of_task).clone(),
                    tags: job.task.tags.clone(),
                    is_judged: job.is_judged(args),
                    started_at: Stamp::now(),
                    n_times: usize::try_from(n_times)?,
                    repetitions: Vec::new(),
                });
            }
            let idx = suites.len() - 1;
            places.push((idx, suites[idx].repetitions.len()));
            suites[idx].repetitions.extend((0..n_times).map(|time| repetition(job, time)));
        }
        let junit = args.repetitions.junit.as_deref();
        junit.map_or(Ok(()), |_| Part::Junit.needed())?;
        // Before anything slow begins: whether it can be written, and what a killed program leaves.
        junit.map_or(Ok(()), |path| junit::write(path, &suites))?;
        let report = args.repetitions.report.as_deref();
        let report = report.map(|path| SuiteReport::open(path, &suites)).transpose()?.map(Mutex::new);
        let bar = match &settings.confirm_actions {
            // It would be drawn over the question.
            Some(_) => ProgressBar::hidden(),
            None => terminal::bar(Counts::of(&suites).n() as u64, "runs"),
        };
        Ok(Self { suites: Mutex::new(suites), places, n_times, bar, junit, report, form })
    }

    /// Enters a repetition, and says and writes so.
    fn enter(&self, job_idx: usize, time: u64, repetition: Repetition) -> anyhow::Result<()> {
        let mut suites = self.suites.lock().unwrap_or_else(PoisonError::into_inner);
        let width = suites.iter().map(|suite| suite.given.chars().count()).max().unwrap_or(0);
        let (suite_idx, first) = self.places[job_idx];
        let (suite, idx) = (&mut suites[suite_idx], first + usize::try_from(time)?);
        let last = suite.label(suite.repetitions.len() - 1).chars().count();
        let run_dir = repetition.record.as_ref().map(|(path, _)| format!("  {}", path.display()));
        let line = format!(
            "{:<width$}  {:>last$}  {:>6.1} s  {}{}",
            suite.given,
            suite.label(idx),
            repetition.took.as_secs_f64(),
            suite.in_words(&repetition),
            run_dir.unwrap_or_default(),
        );
        suite.repetitions[idx] = repetition;
        self.bar.suspend(|| match self.form {
            Form::Text => terminal::data(&line),
            Form::Json => terminal::note(&line),
        });
        self.bar.inc(1);
        self.junit.map_or(Ok(()), |path| junit::write(path, &suites))?;
        let Some(report) = &self.report else { return Ok(()) };
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.enter(&suites, &suites[suite_idx].repetitions[idx])
    }

    /// Prints the sum.
    fn close(self) -> anyhow::Result<Counts> {
        self.bar.finish_and_clear();
        let suites = self.suites.into_inner().unwrap_or_else(PoisonError::into_inner);
        let report = self.report.map(|report| report.into_inner().unwrap_or_else(PoisonError::into_inner));
        let written = report.map_or(Ok(()), |report| report.write(&suites));
        let counts = Counts::of(&suites);
        if self.form == Form::Json {
            terminal::data(&pretty(&suite::to_json(&suites)));
            return written.map(|()| counts);
        }
        terminal::data("");
        for suite in &suites {
            terminal::data(&format!("{}: {}", suite.given, Counts::of([suite]).in_words(suite.solved())));
        }
        if suites.len() > 1 {
            let solved = suites.first().map_or("solved", Suite::solved);
            terminal::data(&format!("all: {}", counts.in_words(solved)));
        }
        written.map(|()| counts)
    }
}
