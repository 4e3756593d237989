//! A task's steps, taken one after the other.
//!
//! Invariant: the next step depends on what became of the one before it, so steps are interpreted while they are taken.
//! Where a [`Script`] stands is a stack of blocks that lie inside one another, as they do in the task file.

use std::time::{Duration, Instant};

use vigorl_interface::Act;

use super::step::{Block, CheckStep, ReadStep, RetryStep, Step, length};
use super::{Clause, ScriptError, ScriptedTask, Surroundings, Target, Values};

/// The steps of a task, and how far they have come.
#[derive(Debug, Clone)]
pub struct Script<'t> {
    task: &'t ScriptedTask,
    surroundings: &'t Surroundings,
    values: Values,
    /// From the task's own steps to those of the innermost block.
    frames: Vec<Frame<'t>>,
    n: usize,
    is_over: bool,
}

/// A list of steps that is being taken.
#[derive(Debug, Clone)]
struct Frame<'t> {
    steps: &'t [Step],
    /// The step that is taken, or the number of steps.
    at: usize,
    kind: Kind<'t>,
    /// Number of the block's first step, in the first round.
    base: usize,
    /// Rounds that are over.
    round: usize,
}

#[derive(Debug, Clone)]
enum Kind<'t> {
    Task,
    Repeat {
        times: usize,
    },
    /// With `asks`, the steps of this round are done and what they are for is awaited.
    Retry {
        retry: &'t RetryStep,
        asks: bool,
    },
    Within {
        until: Option<Instant>,
        time: Duration,
    },
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Something is done to the screen.
    Act(Act<Target>),
    /// Something must hold, or come to hold within this time.
    Check {
        /// What.
        clause: Clause,
        /// How long it may take; nothing checks once.
        within: Duration,
    },
    /// Something is read.
    Read(ReadStep),
}

/// The end of a part's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When the step must be done.
    pub until: Instant,
    /// How long the part may take.
    pub time: Duration,
    /// Which of the open blocks it is.
    depth: usize,
}

/// One step as it is to be taken now.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What.
    pub what: What,
    /// Its number among the steps that are taken at most, from 0.
    pub idx: usize,
    /// The part that ends first.
    pub deadline: Option<Deadline>,
    /// How long what it names by a place may take to come.
    pub patience: Duration,
    /// Whether it is tried again if it is not done.
    pub is_tried: bool,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was not.
    NotDone,
    /// It was not, because the time of a part was over: only what encloses that part is tried again.
    OutOfTime(Deadline),
}

impl<'t> Script<'t> {
    /// The steps of a task whose variables are filled in.
    pub fn new(task: &'t ScriptedTask, surroundings: &'t Surroundings) -> Self {
        let steps = task.steps();
        let all = Frame { steps, at: 0, kind: Kind::Task, base: 0, round: 0 };
        let (values, n) = (task.values.clone(), length(steps));
        Self { task, surroundings, values, frames: vec![all], n, is_over: false }
    }

    /// How many steps are taken at most.
    pub fn n_steps(&self) -> usize {
        self.n
    }

    /// Keeps what a [`What::Read`] has read.
    pub fn keep(&mut self, name: &str, text: String) {
        self.values.keep(name, text);
    }

    /// The variables so far.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The step that follows on the one before, of which `last` tells what became of it. Nothing if the steps are over,
    /// or one was not done and is not tried again.
    ///
    /// # Errors
    /// If a variable of the step was not read.
    pub fn next(&mut self, last: Option<Ended>) -> Result<Option<Line>, ScriptError> {
        match last {
            None => {}
            Some(Ended::Done) => self.go_on(),
            Some(Ended::NotDone) => self.is_over |= !self.try_again(self.frames.len()),
            Some(Ended::OutOfTime(deadline)) => self.is_over |= !self.try_again(deadline.depth),
        }
        if self.is_over {
            return Ok(None);
        }
        let Some(step) = self.enter() else {
            self.is_over = true;
            return Ok(None);
        };
        let what = self.what(&step)?;
        let (idx, deadline, patience) = (self.idx(), self.deadline(), self.patience());
        Ok(Some(Line { what, idx, deadline, patience, is_tried: self.is_tried() }))
    }

    /// Leaves the step that was done.
    fn go_on(&mut self) {
        // What was awaited holds: no more tries.
        if matches!(self.frames.last(), Some(Frame { kind: Kind::Retry { asks: true, .. }, .. })) {
            self.frames.pop();
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
        }
    }

    /// Goes back to the innermost block outside of `depth` that has a try left; false if there is none.
    fn try_again(&mut self, depth: usize) -> bool {
        self.frames.truncate(depth);
        while let Some(mut frame) = self.frames.pop() {
            if let Kind::Retry { retry, asks } = &mut frame.kind
                && frame.round + 1 < usize::from(retry.times)
            {
                *asks = false;
                (frame.round, frame.at) = (frame.round + 1, 0);
                self.frames.push(frame);
                return true;
            }
        }
        false
    }

    /// Goes into blocks and out of those that are done, to the next step that is none.
    fn enter(&mut self) -> Option<Step> {
        loop {
            let base = self.idx();
            let frame = self.frames.last_mut()?;
            match (frame.steps.get(frame.at), &mut frame.kind) {
                (Some(Step::Block(block)), _) => self.frames.push(Frame::of(block, base)),
                (Some(step), _) => return Some(step.clone()),
                (None, Kind::Task) => return None,
                (None, Kind::Repeat { times }) if frame.round + 1 < *times => {
                    (frame.round, frame.at) = (frame.round + 1, 0);
                }
                (None, Kind::Retry { retry, asks }) => {
                    *asks = true;
                    return Some(Step::Check(CheckStep { clause: retry.until.clone(), waits: true }));
                }
                (None, Kind::Repeat { .. } | Kind::Within { .. }) => {
                    self.frames.pop();
                    self.frames.last_mut()?.at += 1;
                }
            }
        }
    }

    fn what(&mut self, step: &Step) -> Result<What, ScriptError> {
        let folder = &self.surroundings.folder;
        Ok(match self.values.fill_step(step)? {
            Step::Act(act) => {
                let mut act = act.map(|target| target.within(folder));
                if let Act::Upload { files, .. } = &mut act {
                    for file in files {
                        *file = self.surroundings.resolve(&file.to_string_lossy());
                    }
                }
                What::Act(act)
            }
            Step::Check(CheckStep { clause, waits: false }) => What::Check { clause, within: Duration::ZERO },
            Step::Check(CheckStep { clause, waits: true }) => What::Check { clause, within: self.patience() },
            Step::Read(read) => What::Read(read),
            Step::Block(_) => unreachable!("blocks are entered"),
        })
    }

    /// How long is waited: for what is left of a part's time; behind a try as long as the task says, because all the
    /// time of a part would leave none for the next try.
    fn patience(&self) -> Duration {
        let mut frames = self.frames.iter().rev();
        let behind_a_try =
            matches!(self.frames.last(), Some(Frame { kind: Kind::Retry { asks: true, .. }, .. }));
        let of_part = frames.find_map(|frame| match frame.kind {
            Kind::Within { time, .. } => Some(time),
            _ => None,
        });
        of_part.filter(|_| !behind_a_try).unwrap_or(self.task.patience)
    }

    /// The open part that ends first.
    fn deadline(&self) -> Option<Deadline> {
        let ends = self.frames.iter().enumerate().filter_map(|(depth, frame)| match frame.kind {
            // A time too long for the clock has no end.
            Kind::Within { until: Some(until), time } => Some(Deadline { until, time, depth }),
            _ => None,
        });
        ends.min_by_key(|deadline| deadline.until)
    }

    /// The last try is none: it must succeed.
    fn is_tried(&self) -> bool {
        self.frames.iter().any(|frame| match frame.kind {
            Kind::Retry { retry, .. } => frame.round + 1 < usize::from(retry.times),
            _ => false,
        })
    }

    /// Number of the step that is taken, were every round of every block taken.
    fn idx(&self) -> usize {
        let Some(frame) = self.frames.last() else { return self.n };
        let once = length(frame.steps) + usize::from(matches!(frame.kind, Kind::Retry { .. }));
        frame.base + frame.round * once + length(&frame.steps[..frame.at])
    }
}

impl<'t> Frame<'t> {
    fn of(block: &'t Block, base: usize) -> Self {
        let kind = match block {
            Block::Repeat(_) => Kind::Repeat { times: block.times() },
            Block::Retry(retry) => Kind::Retry { retry, asks: false },
            Block::Within(within) => {
                let time = within.time();
                Kind::Within { until: Instant::now().checked_add(time), time }
            }
        };
        Self { steps: block.steps(), at: 0, kind, base, round: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(steps: &str) -> ScriptedTask {
        let yaml =
            format!("name: n\nstart: {{}}\nwait_secs: 7\nsteps: [{steps}]\nexpect: [url_contains: x]\n");
        ScriptedTask::parse(&yaml).unwrap()
    }

    /// Takes the steps; of each typed text and each check, whether it is done. Gives the texts, with the numbers.
    fn taken(steps: &str, mut ends: impl FnMut(&str, Option<Deadline>) -> Ended) -> Vec<(usize, String)> {
        let (task, around) = (task(steps), Surroundings::default());
        let mut script = Script::new(&task, &around);
        let (mut last, mut all) = (None, Vec::new());
        while let Some(line) = script.next(last).unwrap() {
            let text = match line.what {
                What::Act(Act::Type { text }) => text,
                What::Check { clause, within } => format!("{clause} {}", within.as_secs()),
                other => format!("{other:?}"),
            };
            last = Some(ends(&text, line.deadline));
            all.push((line.idx, text));
            assert!(all.len() < 100 && line.idx < script.n_steps());
        }
        all
    }

    #[track_caller]
    fn check(steps: &str, ends: impl FnMut(&str, Option<Deadline>) -> Ended, expected: &[(usize, &str)]) {
        let expected: Vec<(usize, String)> =
            expected.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
        assert_eq!(taken(steps, ends), expected);
    }

    const UNTIL: &str = "the address contains `u` 7";

    #[test]
    fn steps_are_taken_in_order_and_blocks_as_often_as_they_say() {
        let done = |_: &str, _: Option<Deadline>| Ended::Done;
        let steps = "{type: a}, {repeat: { times: 2, steps: [{type: b}, {type: c}] }}, {type: d}";
        check(steps, done, &[(0, "a"), (1, "b"), (2, "c"), (3, "b"), (4, "c"), (5, "d")]);
    }

    #[test]
    fn a_step_that_is_not_done_ends_the_script_unless_it_is_tried_again() {
        let not_b = |text: &str, _: Option<Deadline>| if text == "b" { Ended::NotDone } else { Ended::Done };
        check("{type: a}, {type: b}, {type: c}", not_b, &[(0, "a"), (1, "b")]);
        let twice =
            "{retry: { times: 2, until: { url_contains: u }, steps: [{type: a}, {type: b}] }}, {type: c}";
        check(twice, not_b, &[(0, "a"), (1, "b"), (3, "a"), (4, "b")]);
    }

    #[test]
    fn what_was_awaited_ends_the_tries() {
        let twice = "{retry: { times: 3, until: { url_contains: u }, steps: [{type: a}] }}, {type: c}";
        let mut n = 0;
        let second = |text: &str, _: Option<Deadline>| {
            n += usize::from(text == UNTIL);
            if text == UNTIL && n < 2 { Ended::NotDone } else { Ended::Done }
        };
        check(twice, second, &[(0, "a"), (1, UNTIL), (2, "a"), (3, UNTIL), (6, "c")]);
    }

    #[test]
    fn waits_are_as_long_as_their_part_and_behind_a_try_as_long_as_the_task_says() {
        let inside = "{within: { secs: 60, steps: [{wait_for: { url_contains: u }}, \
                      {retry: { times: 1, until: { url_contains: u }, steps: [{wait_for: { url_contains: u }}] }}] }}, \
                      {wait_for: { url_contains: u }}, {assert: { url_contains: u }}";
        let done = |_: &str, _: Option<Deadline>| Ended::Done;
        let waits: Vec<String> = taken(inside, done).into_iter().map(|(_, text)| text).collect();
        let secs: Vec<&str> = waits.iter().map(|text| text.rsplit(' ').next().unwrap()).collect();
        assert_eq!(secs, ["60", "60", "7", "7", "0"]);
    }

    #[test]
    fn what_is_tried_again_when_time_is_over_encloses_the_part_it_was_for() {
        // Two tries of three steps; in each, the first step is tried twice, inside of a part.
        let steps = "{retry: { times: 2, until: { url_contains: u }, steps: [ \
                     {within: { secs: 60, steps: [{retry: { times: 2, until: { url_contains: u }, steps: [{type: a}] }}] }}] }}";
        let late = |text: &str, deadline: Option<Deadline>| match text {
            "a" => Ended::OutOfTime(deadline.unwrap()),
            _ => Ended::Done,
        };
        check(steps, late, &[(0, "a"), (5, "a")]);
        let not_done =
            |text: &str, _: Option<Deadline>| if text == "a" { Ended::NotDone } else { Ended::Done };
        check(steps, not_done, &[(0, "a"), (2, "a"), (5, "a"), (7, "a")]);
    }

    #[test]
    fn the_limit_that_ends_first_holds_and_each_begins_with_its_first_step() {
        let steps = "{type: a}, {within: { secs: 50, steps: [{type: b}, {within: { secs: 10, steps: [{type: c}] }}, \
                     {within: { secs: 90, steps: [{type: d}] }}] }}, {type: e}";
        let mut times = Vec::new();
        taken(steps, |_, deadline| {
            times.push(deadline.map(|deadline| deadline.time.as_secs()));
            Ended::Done
        });
        assert_eq!(times, [None, Some(50), Some(10), Some(50), None]);
        let again = "{repeat: { times: 2, steps: [{within: { secs: 50, steps: [{type: b}] }}] }}";
        let mut ends = Vec::new();
        taken(again, |_, deadline| {
            ends.push(deadline.unwrap().until);
            let now = Instant::now();
            while now == Instant::now() {}
            Ended::Done
        });
        assert!(ends[1] > ends[0], "a part that comes again has its time again");
    }
}
