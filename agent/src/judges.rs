//! The environments of the task crate, as this loop sees them: steps to take and a judge to ask.
//!
//! Invariant: the judge is the environment's own; here its words are only translated.

use std::time::Duration;

use vigorl_interface::{Action, Driver, MouseButton};
use vigorl_tasks::Verification;
use vigorl_tasks::practice::{PracticeEnv, Reason};
use vigorl_tasks::scripted::{
    Allowance, Check, Clause, FileClause, Plan, ScriptedTask, Step, Surroundings, Target,
};

use crate::cancel::Cancel;
use crate::episode::{Failure, Judge, Verdict};
use crate::step::{Deed, Intent};
use crate::steps::{Attempt, Steps, TimeLimit};

/// What the steps of a scripted task ask of the loop; none for a task with a goal.
pub fn steps_of(task: &ScriptedTask, surroundings: &Surroundings) -> Steps {
    let mut laid_out = Steps::default();
    if let Plan::Steps(steps) = &task.plan {
        lay_out(steps, task.patience, task.patience, surroundings, &mut laid_out);
    }
    laid_out
}

/// Writes repetitions out one behind the other. `wait` is the longest wait of a `wait_for`, and `patience` that behind a
/// try: there, all the time of a limited part would leave none for the next try.
fn lay_out(steps: &[Step], wait: Duration, patience: Duration, surroundings: &Surroundings, out: &mut Steps) {
    for step in steps {
        match step {
            Step::Repeat(repeat) => {
                (0..repeat.times).for_each(|_| lay_out(&repeat.steps, wait, patience, surroundings, out));
            }
            Step::Within(within) => {
                let (start, time) = (out.len(), within.time());
                // What is left of the time is how long it waits.
                lay_out(&within.steps, time, patience, surroundings, out);
                out.limits.push(TimeLimit { steps: start..out.len(), time });
            }
            Step::Retry(retry) => {
                let mut tries = Vec::new();
                for _ in 0..retry.times {
                    let start = out.len();
                    lay_out(&retry.steps, wait, patience, surroundings, out);
                    out.intents.push(intent_of(&Step::WaitFor(retry.until.clone()), patience, surroundings));
                    tries.push(start..out.len());
                }
                // The last one must succeed.
                tries.pop();
                let end = out.len();
                out.attempts.extend(tries.into_iter().map(|steps| Attempt { steps, end }));
            }
            step => out.intents.push(intent_of(step, wait, surroundings)),
        }
    }
}

/// What a step asks that is not made of others.
fn intent_of(step: &Step, wait: Duration, surroundings: &Surroundings) -> Intent {
    let expect = |clause: &Clause, within: Duration| Intent::Expect {
        clause: clause.clone(),
        surroundings: surroundings.clone(),
        within,
    };
    let target = |target: &Target| target.within(&surroundings.folder);
    let at = |found: &Target, deed: Deed| Intent::At { target: target(found), deed };
    let click = |button, count| Deed::Click { button, count };
    match step {
        Step::Click(what) => at(what, Deed::CLICK),
        Step::DoubleClick(what) => at(what, click(MouseButton::Left, 2)),
        Step::RightClick(what) => at(what, click(MouseButton::Right, 1)),
        Step::Hover(what) => at(what, Deed::Hover),
        Step::Drag(drag) => at(&drag.from, Deed::DragTo { target: target(&drag.to) }),
        Step::Scroll(scroll) => at(&scroll.target, Deed::Scroll { dx_px: 0.0, dy_px: scroll.by }),
        Step::Select(list) => at(&list.target, Deed::Select { option: list.option.clone() }),
        Step::Upload(field) => {
            let files = field.files.iter().map(|file| surroundings.resolve(file)).collect();
            at(&field.target, Deed::Upload { files })
        }
        Step::Type(text) => Intent::Do(Action::Type { text: text.clone() }),
        Step::Press(chord) => Intent::Do(Action::Press { chord: chord.0.clone() }),
        Step::Navigate(url) => Intent::Do(Action::Navigate { url: url.clone() }),
        // Laid out before.
        Step::Repeat(_) | Step::Retry(_) | Step::Within(_) => Intent::Do(Action::Press { chord: Vec::new() }),
        Step::WaitFor(clause) => expect(clause, wait),
        Step::Assert(clause) => expect(clause, Duration::ZERO),
    }
}

/// The clauses of a scripted task.
#[derive(Debug)]
pub struct ScriptedJudge<'a> {
    /// The task.
    pub task: &'a ScriptedTask,
    /// Where its files are.
    pub surroundings: &'a Surroundings,
    /// Ends a check from outside.
    pub cancel: &'a Cancel,
}

impl Judge for ScriptedJudge<'_> {
    fn judge(&mut self, driver: &mut dyn Driver) -> Result<Verdict, Failure> {
        let is_cancelled = || self.cancel.is_set();
        let allowance = Allowance { until: None, is_cancelled: &is_cancelled };
        let said = self.task.judge(driver, self.surroundings, &allowance)?;
        let any = |wanted| said.clauses.iter().any(|clause| clause.holds == wanted);
        let verification = if said.success() {
            Verification::Satisfied
        } else if any(Verification::Unsatisfied) {
            Verification::Unsatisfied
        } else {
            Verification::Unknown
        };
        let failed = self.task.expect.iter().zip(&said.clauses);
        let failed: Vec<String> = failed.filter_map(|(clause, check)| failure_of(clause, check)).collect();
        let reward = (verification != Verification::Unknown).then_some(said.reward);
        Ok(Verdict { verification, reward, detail: (!failed.is_empty()).then(|| failed.join(", ")) })
    }

    fn may_change(&self) -> bool {
        true
    }
}

/// Why a clause is not satisfied, in words; nothing if it is.
pub(crate) fn failure_of(clause: &Clause, check: &Check) -> Option<String> {
    let what = in_words(clause);
    match (check.holds, &check.why) {
        (Verification::Satisfied, _) => None,
        (Verification::Unsatisfied, _) => Some(format!("it does not hold that {what}")),
        (Verification::Unknown, None) => Some(format!("cannot tell whether {what}")),
        (Verification::Unknown, Some(why)) => Some(format!("cannot tell whether {what}: {why}")),
    }
}

/// What must hold, as the end of a sentence.
pub(crate) fn in_words(clause: &Clause) -> String {
    match clause {
        Clause::UrlContains(part) => format!("the address contains `{part}`"),
        Clause::TextVisible(text) => format!("the page shows `{text}`"),
        Clause::TitleContains(part) => format!("the title contains `{part}`"),
        Clause::Javascript(expression) => format!("`{expression}` is true in the page"),
        Clause::Element(element) => {
            let role = element.role.as_deref().unwrap_or("element");
            let which = match (&element.selector, &element.name) {
                (Some(selector), _) => format!("`{selector}`"),
                (None, Some(name)) => format!("{role} `{name}`"),
                (None, None) => "page".to_owned(),
            };
            format!("the {which} is {}", format!("{:?}", element.is).to_lowercase())
        }
        Clause::Picture(file) => format!("the screen shows `{file}`"),
        Clause::Clipboard(text) => format!("the clipboard holds `{text}`"),
        Clause::File(FileClause { path, contains: None }) => format!("the file `{path}` is there"),
        Clause::File(FileClause { path, contains: Some(part) }) => {
            format!("the file `{path}` contains `{part}`")
        }
        Clause::Command(line) => format!("the command `{line}` succeeds"),
    }
}

/// The practice page that is on the screen.
#[derive(Debug, Clone, Copy)]
pub struct PracticeJudge;

impl Judge for PracticeJudge {
    fn judge(&mut self, driver: &mut dyn Driver) -> Result<Verdict, Failure> {
        let said = PracticeEnv::new(driver).outcome()?;
        let hit = said.reason == Reason::Hit;
        let detail = match said.reason {
            Reason::Hit => None,
            Reason::Undecided => Some("the page saw no click".to_owned()),
            Reason::WrongButton => Some("the page saw another button".to_owned()),
            Reason::Miss => Some(match said.clicked {
                Some(index) => format!("the page saw a click on its widget {}", index + 1),
                None => "the page saw a click beside every widget".to_owned(),
            }),
        };
        let verification = if hit { Verification::Satisfied } else { Verification::Unsatisfied };
        Ok(Verdict { verification, reward: Some(said.reward), detail })
    }
}
