//! Checks the clauses of a task.
//!
//! Invariants: unknown is never success, and says why nobody can tell; what a clause starts ends with its check.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vigorl_interface::{Driver, DriverError};
use vigorl_judges::Entry;
use vigorl_processes::{Group, Output, Program, Wait};

use super::asked::matches_line;
use super::programs::script;
use super::target::is_shown;
use super::{Clause, FileClause, On, RewardRule, ScriptedTask, TextClause, Values, page};
use crate::{Allowance, Failure, Senses, Verdict, Verification};

/// What a check of one clause found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether the clause holds.
    pub holds: Verification,
    /// Why nobody can tell, if nobody can, or what is there instead.
    pub why: Option<String>,
}

impl Check {
    /// Nobody can tell, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::of(Err(why.into()))
    }

    /// It does not hold: this is there instead.
    pub(super) fn not_so(why: impl Into<String>) -> Self {
        Self { holds: Verification::Unsatisfied, why: Some(why.into()) }
    }

    /// That the opposite holds. What nobody can tell, nobody can tell of its opposite.
    #[must_use]
    fn not(self) -> Self {
        let holds = match self.holds {
            Verification::Satisfied => Verification::Unsatisfied,
            Verification::Unsatisfied => Verification::Satisfied,
            Verification::Unknown => Verification::Unknown,
        };
        Self { holds, ..self }
    }

    pub(super) fn of(answer: Answer) -> Self {
        match answer {
            Ok(true) => Self { holds: Verification::Satisfied, why: None },
            Ok(false) => Self { holds: Verification::Unsatisfied, why: None },
            Err(why) => Self { holds: Verification::Unknown, why: Some(why) },
        }
    }
}

/// What a clause is checked against.
pub struct Scene<'a> {
    /// The browser or the desktop.
    pub driver: &'a mut dyn Driver,
    /// What the task has besides.
    pub surroundings: &'a Surroundings,
    /// Who looks at pixels.
    pub senses: &'a mut dyn Senses,
    /// How long it may take.
    pub allowance: Allowance<'a>,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Scene");
        shown
            .field("surroundings", &self.surroundings)
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

/// What a task has besides its world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The folder of its file: where commands run and relative paths begin.
    pub folder: PathBuf,
    /// The folder that its programs share, `$TMPDIR` in paths and commands.
    pub temporary: Option<PathBuf>,
    /// The folder of what the browser has downloaded, `$DOWNLOADS` in paths and commands.
    pub downloads: Option<PathBuf>,
    /// Nothing that the task brings along is executed, no program, command or script: a dry run.
    pub at_rest: bool,
}

/// What begins a path in the folder of the task's programs.
pub(super) const TMPDIR: &str = "$TMPDIR/";
/// What begins a path in the folder of what was downloaded.
pub(super) const DOWNLOADS: &str = "$DOWNLOADS/";
/// Why what a task would execute has no answer in a dry run.
const AT_REST: &str = "a dry run executes no commands and no scripts of a task";
/// Longest time that a command may take, or a page to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why a pattern is not looked for in pixels: of what is not read for sure nobody can say that it does not match.
const NO_LINES: &str = "there is no page here, and patterns are looked for in pages alone: on the screen, \
                        `read: { of: { screen: { matches: … } } }` reads what matches";

/// Whether a clause holds, or why nobody can tell.
type Answer = Result<bool, String>;

impl ScriptedTask {
    /// Checks every clause, with these values filled in, against the world as it is now. A task without clauses is
    /// judged by nobody.
    ///
    /// # Errors
    /// Only if the world failed; a driver without pages, a dialog that covers the page, and a command that cannot be
    /// run leave a clause [`Verification::Unknown`].
    pub fn judge(&self, values: &Values, scene: &mut Scene<'_>) -> Result<Verdict, Failure> {
        if self.expect.is_empty() {
            return Ok(Verdict::UNKNOWN);
        }
        let mut values = values.clone();
        let mut check = |clause: &Clause| match values.fill_clause(clause) {
            Ok(filled) => filled.verify(scene).map(|check| (filled, check)),
            // What was to be read for it was not, or was empty: nobody can tell.
            Err(error) => Ok((clause.clone(), Check::of(Err(error.message)))),
        };
        let checked = self.expect.iter().map(&mut check).collect::<Result<Vec<_>, _>>()?;
        let failed: Vec<String> =
            checked.iter().filter_map(|(clause, check)| clause.failure(check)).collect();
        let judged = |(clause, check): &(Clause, Check)| {
            Entry::holds(clause.to_string(), check.holds, check.why.clone())
        };
        let clauses = checked.iter().map(judged).collect();
        let checks: Vec<Check> = checked.into_iter().map(|(_, check)| check).collect();
        let verification = all_hold(&checks);
        Ok(Verdict {
            verification,
            reward: (verification != Verification::Unknown).then(|| reward(self.reward, &checks)),
            detail: (!failed.is_empty()).then(|| failed.join(", ")),
            may_change: true,
            is_final: false,
            clauses,
        })
    }
}

/// Whether every clause holds: one that does not is enough, otherwise one that nobody can tell.
fn all_hold(checks: &[Check]) -> Verification {
    let any = |wanted| checks.iter().any(|check| check.holds == wanted);
    match (any(Verification::Unsatisfied), any(Verification::Unknown)) {
        (true, _) => Verification::Unsatisfied,
        (false, true) => Verification::Unknown,
        (false, false) => Verification::Satisfied,
    }
}

fn reward(rule: RewardRule, clauses: &[Check]) -> f64 {
    let satisfied = clauses.iter().filter(|clause| clause.holds == Verification::Satisfied).count();
    match rule {
        RewardRule::All if satisfied == clauses.len() => 1.0,
        RewardRule::All => 0.0,
        RewardRule::Mean => satisfied as f64 / clauses.len().max(1) as f64,
    }
}

impl Clause {
    /// Whether the clause holds now.
    ///
    /// # Errors
    /// Only if the world failed.
    pub fn verify(&self, scene: &mut Scene<'_>) -> Result<Check, Failure> {
        let answer = match self {
            Self::TextVisible(text) => return scene.shows_text(text),
            Self::TextGone(text) => return scene.text_is_gone(text),
            Self::TextMatches(pattern) => {
                let check = matches_line(scene.driver, pattern)?;
                return Ok(check.unwrap_or_else(|| Check::unknown(NO_LINES)));
            }
            Self::Not(part) => return Ok(part.denied(part.verify(scene)?)),
            Self::Any(parts) => return one_holds(parts, scene),
            Self::All(parts) => return all_of_them_hold(parts, scene),
            Self::UrlContains(part) => {
                contains(scene.driver.page_state()?.url, part, "there is no address here")
            }
            Self::TitleContains(part) => {
                contains(scene.driver.page_state()?.title, part, "there is no title here")
            }
            Self::Javascript(_) | Self::Command(_) if scene.surroundings.at_rest => Err(AT_REST.to_owned()),
            Self::Javascript(expression) => {
                let script = javascript_script(expression, scene.allowance.end(ANSWER_WITHIN));
                truth(scene.driver.evaluate(&script))?
            }
            Self::Element(element) => return Ok(element.check(scene.driver)?),
            Self::Count(count) => return Ok(count.check(scene.driver)?),
            Self::Picture(file) => told(scene.driver.screenshot())?
                .and_then(|screenshot| is_shown(&scene.surroundings.resolve(file), &screenshot.pixels)),
            Self::Clipboard(text) => told(scene.driver.clipboard())?.map(|found| found == *text),
            Self::File(file) => scene.surroundings.check(file),
            Self::Downloaded(download) => {
                return Ok(download.check(scene.surroundings.downloads.as_deref()));
            }
            Self::Command(line) => scene.surroundings.run(line, &scene.allowance),
        };
        Ok(Check::of(answer))
    }

    /// Why the clause is not satisfied, in words; nothing if it is. Of one that is put together it is said which parts are
    /// to blame.
    pub fn failure(&self, check: &Check) -> Option<String> {
        let why = check.why.as_deref();
        let because = why.map(|why| format!(": {why}")).unwrap_or_default();
        match (self, check.holds) {
            (_, Verification::Satisfied) => None,
            // What is said of the part says it all.
            (Self::Not(_) | Self::All(_), _) if why.is_some() => why.map(str::to_owned),
            (Self::Any(_), Verification::Unsatisfied) => Some(format!("none of these holds{because}")),
            (Self::Any(_), Verification::Unknown) => {
                Some(format!("cannot tell whether one of these holds{because}"))
            }
            (_, Verification::Unsatisfied) => Some(format!("it does not hold that {self}{because}")),
            (_, Verification::Unknown) => Some(format!("cannot tell whether {self}{because}")),
        }
    }

    /// What a check of this clause says of its opposite.
    fn denied(&self, check: Check) -> Check {
        let why = match check.holds {
            Verification::Satisfied => Some(format!("it holds that {self}, which must not be")),
            Verification::Unsatisfied => None,
            Verification::Unknown => self.failure(&check),
        };
        Check { why, ..check.not() }
    }
}

/// Whether one of the clauses holds: those behind the first that does are not asked. If none does, one that nobody can
/// tell is enough for nobody to tell.
fn one_holds(parts: &[Clause], scene: &mut Scene<'_>) -> Result<Check, Failure> {
    let (mut holds, mut failures) = (Verification::Unsatisfied, Vec::new());
    for part in parts {
        let check = part.verify(scene)?;
        match part.failure(&check) {
            None => return Ok(check),
            Some(failure) => failures.push(failure),
        }
        if check.holds == Verification::Unknown {
            holds = Verification::Unknown;
        }
    }
    Ok(Check { holds, why: Some(failures.join("; ")) })
}

/// Whether all clauses hold: those behind the first that does not are not asked. If all others do, one that nobody can
/// tell is enough for nobody to tell.
fn all_of_them_hold(parts: &[Clause], scene: &mut Scene<'_>) -> Result<Check, Failure> {
    let mut unknown = Vec::new();
    for part in parts {
        let check = part.verify(scene)?;
        match check.holds {
            Verification::Satisfied => {}
            Verification::Unsatisfied => return Ok(Check { why: part.failure(&check), ..check }),
            Verification::Unknown => unknown.extend(part.failure(&check)),
        }
    }
    Ok(match unknown.is_empty() {
        true => Check::of(Ok(true)),
        false => Check::unknown(unknown.join("; ")),
    })
}

impl Scene<'_> {
    /// Asks the page; where there is none, or the clause is about pixels, whoever looks at them.
    fn shows_text(&mut self, clause: &TextClause) -> Result<Check, Failure> {
        if let Some(check) = self.asked_of_page(clause, page::about_text(&clause.text))? {
            return Ok(check);
        }
        match told(self.driver.screenshot())? {
            Ok(screenshot) => self.senses.shows_text(&screenshot, clause),
            Err(why) => Ok(Check::unknown(why)),
        }
    }

    fn text_is_gone(&mut self, clause: &TextClause) -> Result<Check, Failure> {
        if let Some(shown) = self.asked_of_page(clause, loaded_text_script(&clause.text))? {
            return Ok(shown.not());
        }
        match (told(self.driver.screenshot())?, told(self.driver.screenshot())?) {
            (Ok(one), Ok(other)) => self.senses.text_is_gone([&one, &other], clause),
            (Err(why), _) | (_, Err(why)) => Ok(Check::unknown(why)),
        }
    }

    /// What the page says; nothing where there is none, or where it is not asked.
    fn asked_of_page(&mut self, clause: &TextClause, script: String) -> Result<Option<Check>, DriverError> {
        if clause.on == Some(On::Screen) {
            return Ok(None);
        }
        let answers = page::ask_if_any(self.driver, &script)?;
        Ok(answers.map(|answers| {
            Check::of(answers.and_then(|answers| {
                // It is shown if any frame shows it.
                let shown = answers.iter().find(|answer| answer.said == true).or(answers.first());
                shown.map_or_else(unanswered, |answer| truth_of(&answer.said))
            }))
        }))
    }
}

fn contains(whole: Option<String>, part: &str, absent: &str) -> Answer {
    whole.map(|whole| whole.contains(part)).ok_or_else(|| absent.to_owned())
}

/// What the driver can tell, or why it cannot: it has no such notion, a dialog is in the way, or the page refuses.
pub(super) fn told<T>(answer: Result<T, DriverError>) -> Result<Result<T, String>, DriverError> {
    use DriverError::{DialogOpen, Refused, Unsupported};
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(Refused { detail, .. }) => Ok(Err(detail)),
        Err(error @ (Unsupported { .. } | DialogOpen { .. })) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn truth(answer: Result<String, DriverError>) -> Result<Answer, DriverError> {
    Ok(told(answer)?.and_then(|json| {
        let said = serde_json::from_str(&json).unwrap_or(serde_json::Value::String(json));
        truth_of(&said)
    }))
}

/// What an answer of the page says.
fn truth_of(said: &serde_json::Value) -> Answer {
    match said {
        serde_json::Value::Bool(holds) => Ok(*holds),
        serde_json::Value::Null => unanswered(),
        other => Err(format!("the page answered {other}")),
    }
}

fn unanswered() -> Answer {
    Err("the page has no answer to that".to_owned())
}

impl Surroundings {
    /// With the task's files in this folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }

    /// Where a path of the task leads, as an absolute path. What is not among the files of the task's programs may have
    /// been downloaded.
    pub fn resolve(&self, path: &str) -> PathBuf {
        let temporary = self.temporary.as_ref().zip(path.strip_prefix(TMPDIR));
        let name = path.strip_prefix(DOWNLOADS).or(path.strip_prefix(TMPDIR));
        let downloaded = self.downloads.as_ref().zip(name).map(|(folder, name)| folder.join(name));
        let found = match temporary.map(|(folder, path)| folder.join(path)) {
            Some(path) if path.exists() || !downloaded.as_ref().is_some_and(|path| path.exists()) => path,
            _ => downloaded.unwrap_or_else(|| self.folder.join(path)),
        };
        std::path::absolute(&found).unwrap_or(found)
    }

    fn check(&self, file: &FileClause) -> Answer {
        let no_downloads = self.downloads.is_none();
        if file.path.starts_with(TMPDIR) && self.temporary.is_none() && no_downloads {
            return Err("the task starts no programs, so there is no folder `$TMPDIR`".to_owned());
        }
        if file.path.starts_with(DOWNLOADS) && no_downloads {
            return Err(
                "there is no browser of its own that downloads, so there is no `$DOWNLOADS`".to_owned()
            );
        }
        let path = self.resolve(&file.path);
        match (std::fs::read(&path), &file.contains) {
            (Ok(bytes), Some(part)) => Ok(String::from_utf8_lossy(&bytes).contains(part)),
            (Ok(_), None) => Ok(true),
            (Err(error), _) if error.kind() == ErrorKind::NotFound => Ok(false),
            (Err(error), _) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }

    /// Whether the command succeeds. Whatever it has started ends here, with or without an answer.
    fn run(&self, line: &str, allowance: &Allowance<'_>) -> Answer {
        let folders = [("TMPDIR", &self.temporary), ("DOWNLOADS", &self.downloads)];
        let folders =
            folders.into_iter().filter_map(|(name, folder)| Some((name, folder.as_ref()?.as_os_str())));
        let environment: Vec<_> = folders.collect();
        let script = script(line);
        let what = Program {
            program: OsStr::new("/bin/sh"),
            arguments: &[OsStr::new("-c"), OsStr::new(&script)],
            environment: &environment,
            without: &[],
            working_folder: (!self.folder.as_os_str().is_empty()).then_some(&self.folder),
            output: Output::Nothing,
        };
        let (begin, end) = (Instant::now(), allowance.end(ANSWER_WITHIN));
        let mut group =
            Group::start("vigorl-clause-", what).map_err(|error| format!("it cannot be run: {error}"))?;
        match group.wait_for_end(end, allowance.is_cancelled) {
            Ok(Wait::Ended(code)) => Ok(code == 0),
            Ok(Wait::OutOfTime) => {
                Err(format!("it was not done within {:.1} s", (end - begin).as_secs_f64()))
            }
            Ok(Wait::Cancelled) => Err("it was interrupted".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Whether an expression is true; a promise is awaited, because a promise itself would count as true.
fn javascript_script(expression: &str, end: Instant) -> String {
    let left = end.saturating_duration_since(Instant::now());
    format!(
        "const late = new Promise((_, giveUp) => setTimeout( \
             () => giveUp(new Error('no answer within {:.1} s')), {})); \
         return Promise.race([(async () => !!(await ({expression}\n)))(), late]);",
        left.as_secs_f64(),
        left.as_millis()
    )
}

/// As [`page::about_text`], without an answer while the page is still loading: what is not there yet is not gone.
fn loaded_text_script(text: &str) -> String {
    let is_loading = "if (window.Object.getOwnPropertyDescriptor(window.Document.prototype, 'readyState').get.call(document) === 'loading') \
                      return { answer: null, foreign: 0 };";
    format!("{is_loading} {}", page::about_text(text))
}

#[cfg(test)]
mod tests {
    use super::super::element::testing::Pageless;
    use super::*;

    #[test]
    fn unknown_is_never_success() {
        use Verification::{Satisfied, Unknown, Unsatisfied};
        let checks = |all: &[Verification]| -> Vec<Check> {
            all.iter().map(|&holds| Check { holds, why: None }).collect()
        };
        assert_eq!(reward(RewardRule::All, &checks(&[Satisfied, Satisfied])), 1.0);
        assert_eq!(reward(RewardRule::All, &checks(&[Satisfied, Unknown])), 0.0);
        assert_eq!(reward(RewardRule::Mean, &checks(&[Satisfied, Unknown, Unsatisfied, Satisfied])), 0.5);
        assert_eq!(all_hold(&checks(&[Satisfied, Unknown])), Unknown);
        assert_eq!(all_hold(&checks(&[Unsatisfied, Unknown])), Unsatisfied);
        assert_eq!(all_hold(&checks(&[Satisfied, Satisfied])), Satisfied);
    }

    #[test]
    fn what_nobody_can_tell_nobody_can_tell_of_its_opposite() {
        use Verification::{Satisfied, Unknown, Unsatisfied};
        for (holds, opposite) in [(Satisfied, Unsatisfied), (Unsatisfied, Satisfied), (Unknown, Unknown)] {
            let check = Check { holds, why: Some("why".to_owned()) };
            assert_eq!(check.not(), Check { holds: opposite, why: Some("why".to_owned()) });
        }
    }

    #[test]
    fn clauses_that_are_put_together_are_three_valued_and_say_which_part_failed() {
        use Verification::{Satisfied, Unknown, Unsatisfied};
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("yes"), "").unwrap();
        let surroundings = Surroundings { folder: folder.path().to_owned(), ..Surroundings::default() };
        // There is a file `yes` and no file `no`, and there is no title.
        let (yes, no) = ("{ file: { path: yes } }", "{ file: { path: no } }");
        let unknown = "{ title_contains: x }";
        let no_failed = "it does not hold that the file `no` is there";
        let unknown_failed = "cannot tell whether the title contains `x`: there is no title here";
        let not_yes = "it holds that the file `yes` is there, which must not be";
        for (clause, holds, failure) in [
            (format!("not: {no}"), Satisfied, String::new()),
            (format!("not: {yes}"), Unsatisfied, not_yes.to_owned()),
            (format!("not: {unknown}"), Unknown, unknown_failed.to_owned()),
            (format!("not: {{ not: {yes} }}"), Satisfied, String::new()),
            (
                format!("not: {{ not: {no} }}"),
                Unsatisfied,
                "it holds that it is not so that the file `no` is there, which must not be".to_owned(),
            ),
            (format!("any: [{no}, {unknown}, {yes}]"), Satisfied, String::new()),
            (
                format!("any: [{no}, {no}]"),
                Unsatisfied,
                format!("none of these holds: {no_failed}; {no_failed}"),
            ),
            (
                format!("any: [{unknown}, {no}]"),
                Unknown,
                format!("cannot tell whether one of these holds: {unknown_failed}; {no_failed}"),
            ),
            (format!("all: [{yes}, {yes}]"), Satisfied, String::new()),
            (format!("all: [{yes}, {unknown}]"), Unknown, unknown_failed.to_owned()),
            (format!("all: [{unknown}, {no}]"), Unsatisfied, no_failed.to_owned()),
            (format!("all: [{yes}, {{ not: {yes} }}]"), Unsatisfied, not_yes.to_owned()),
            (
                format!("not: {{ any: [{no}, {unknown}] }}"),
                Unknown,
                format!("cannot tell whether one of these holds: {no_failed}; {unknown_failed}"),
            ),
            (format!("not: {{ all: [{no}, {unknown}] }}"), Satisfied, String::new()),
            (
                "text_matches: x".to_owned(),
                Unknown,
                format!("cannot tell whether the page shows what matches `x`: {NO_LINES}"),
            ),
            // What is behind the answer is not asked: it would leave a file.
            (format!("any: [{yes}, {{ command: touch left }}]"), Satisfied, String::new()),
            (format!("all: [{no}, {{ command: touch left }}]"), Unsatisfied, no_failed.to_owned()),
        ] {
            let yaml = format!("name: n\nstart: {{}}\ngoal: g\nexpect: [{{ {clause} }}]\n");
            let task = ScriptedTask::parse(&yaml).unwrap();
            let mut scene = Scene {
                driver: &mut Pageless,
                surroundings: &surroundings,
                senses: &mut crate::Blind,
                allowance: Allowance::UNLIMITED,
            };
            let check = task.expect[0].verify(&mut scene).unwrap();
            assert_eq!(check.holds, holds, "{clause}");
            assert_eq!(task.expect[0].failure(&check).unwrap_or_default(), failure, "{clause}");
        }
        assert!(!folder.path().join("left").exists());
    }

    #[test]
    fn files_and_commands_are_checked_where_the_task_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("out.txt"), "12+5=17").unwrap();
        let around = Surroundings { folder: folder.path().to_owned(), ..Surroundings::default() };
        let file = |path: &str, contains: Option<&str>| FileClause {
            path: path.to_owned(),
            contains: contains.map(str::to_owned),
        };
        assert_eq!(around.check(&file("out.txt", Some("17"))), Ok(true));
        assert_eq!(around.check(&file("out.txt", Some("18"))), Ok(false));
        assert_eq!(around.check(&file("out.txt", None)), Ok(true));
        assert_eq!(around.check(&file("other.txt", None)), Ok(false));
        // A folder is there, but cannot be read as a file; a task without programs has no temporary folder.
        assert!(around.check(&file(".", None)).unwrap_err().contains("cannot be read"));
        assert!(around.check(&file("$TMPDIR/x", None)).unwrap_err().contains("starts no programs"));
        let run = |around: &Surroundings, line: &str| around.run(line, &Allowance::UNLIMITED);
        assert_eq!(run(&around, "grep -q 17 out.txt"), Ok(true));
        assert_eq!(run(&around, "grep -q 18 out.txt"), Ok(false));
        let with_programs =
            Surroundings { temporary: Some(folder.path().to_owned()), ..Surroundings::default() };
        assert_eq!(with_programs.check(&file("$TMPDIR/out.txt", Some("12"))), Ok(true));
        assert_eq!(run(&with_programs, "test -e $TMPDIR/out.txt"), Ok(true));
    }

    #[test]
    fn what_was_downloaded_is_found_and_never_goes_before_the_files_of_programs() {
        let [programs, downloads] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let write = |folder: &tempfile::TempDir, name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write(&downloads, "report.csv", "a,b");
        write(&downloads, "both.txt", "downloaded");
        write(&programs, "both.txt", "written");
        let (temporary, downloads) = (Some(programs.path().to_owned()), Some(downloads.path().to_owned()));
        let around = Surroundings { temporary, downloads, ..Surroundings::default() };
        let contains = |path: &str, part: &str| {
            around.check(&FileClause { path: path.to_owned(), contains: Some(part.to_owned()) })
        };
        assert_eq!(contains("$DOWNLOADS/report.csv", "a,b"), Ok(true));
        assert_eq!(contains("$TMPDIR/report.csv", "a,b"), Ok(true));
        assert_eq!(contains("$TMPDIR/both.txt", "written"), Ok(true));
        assert_eq!(contains("$DOWNLOADS/both.txt", "downloaded"), Ok(true));
        assert_eq!(contains("$DOWNLOADS/other.csv", "a"), Ok(false));
        let run = |line: &str| around.run(line, &Allowance::UNLIMITED);
        assert_eq!(run("grep -q a,b $DOWNLOADS/report.csv && test -e $TMPDIR/both.txt"), Ok(true));
        let nobody = Surroundings::default();
        let absent = nobody.check(&FileClause { path: "$DOWNLOADS/x".to_owned(), contains: None });
        assert!(absent.unwrap_err().contains("no `$DOWNLOADS`"));
    }
}
