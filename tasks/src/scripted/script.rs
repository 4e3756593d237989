//! A task's steps, taken one after the other.
//!
//! Invariant: the next step depends on what became of the one before it, so steps are interpreted while they are taken.
//! Where a [`Script`] stands is a [`Phase`], and in it a stack of blocks that lie inside one another, as they do in the task
//! file.

use std::time::{Duration, Instant};

use vigorl_interface::Act;

use super::step::{Block, CheckStep, ReadStep, RetryStep, Step, length};
use super::{Clause, IfStep, ScriptError, ScriptedTask, Surroundings, Target, Values};

/// Which of a task's lists of steps is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What the task needs to begin with.
    Before,
    /// What is judged.
    Steps,
    /// What comes behind the judgement.
    After,
}

/// The steps of a task, and how far they have come.
#[derive(Debug, Clone)]
pub struct Script<'t> {
    task: &'t ScriptedTask,
    surroundings: &'t Surroundings,
    values: Values,
    phase: Phase,
    /// From the steps of the phase to those of the innermost block.
    frames: Vec<Frame<'t>>,
    is_over: bool,
    is_complete: bool,
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
    /// With `asks`, what decides is looked at; then the steps are those that follow from it.
    If {
        branch: &'t IfStep,
        asks: bool,
    },
    Optional {
        until: Option<Instant>,
        time: Option<Duration>,
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
    /// Whether something holds decides what follows.
    Ask {
        /// What.
        clause: Clause,
        /// How long it may take until it holds.
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
    /// How many of the open blocks go on when it is over.
    depth: usize,
}

/// One step as it is to be taken now.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What.
    pub what: What,
    /// Its number among the steps that are taken at most in its phase, from 0.
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
    /// It was asked whether something holds, and it does not.
    DoesNotHold,
    /// It was not, because the time of a part was over: only what encloses that part is tried again.
    OutOfTime(Deadline),
}

impl<'t> Script<'t> {
    /// The steps of a task whose variables are filled in.
    pub fn new(task: &'t ScriptedTask, surroundings: &'t Surroundings) -> Self {
        let phase = if task.before.is_empty() { Phase::Steps } else { Phase::Before };
        let (values, frames) = (task.values.clone(), Vec::new());
        let mut script =
            Self { task, surroundings, values, phase, frames, is_over: false, is_complete: false };
        script.open(phase);
        script
    }

    /// Goes to the first step of a phase.
    fn open(&mut self, phase: Phase) {
        self.phase = phase;
        self.frames = vec![Frame { steps: self.steps(), at: 0, kind: Kind::Task, base: 0, round: 0 }];
    }

    /// The list of the phase.
    fn steps(&self) -> &'t [Step] {
        match self.phase {
            Phase::Before => &self.task.before,
            Phase::Steps => self.task.steps(),
            Phase::After => &self.task.after,
        }
    }

    /// Which list the latest step belongs to.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Goes on with what comes behind the judgement, however far the steps have come; false if there is nothing.
    pub fn wind_up(&mut self) -> bool {
        let is_due = self.phase != Phase::After && !self.task.after.is_empty();
        if is_due {
            self.open(Phase::After);
            (self.is_over, self.is_complete) = (false, false);
        }
        is_due
    }

    /// How many steps are taken at most in this phase.
    pub fn n_steps(&self) -> usize {
        length(self.steps())
    }

    /// Keeps what a [`What::Read`] has read.
    pub fn keep(&mut self, name: &str, text: String) {
        self.values.keep(name, text);
    }

    /// The variables so far.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Whether the steps are over because the last one was reached.
    pub fn is_complete(&self) -> bool {
        self.is_complete
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
            Some(Ended::DoesNotHold) if self.asks_if() => self.take(|branch| &branch.otherwise),
            Some(Ended::NotDone | Ended::DoesNotHold) => {
                self.is_over |= !self.go_on_without(self.frames.len());
            }
            Some(Ended::OutOfTime(deadline)) => self.is_over |= !self.go_on_without(deadline.depth),
        }
        if self.is_over {
            return Ok(None);
        }
        let Some(step) = self.enter() else {
            (self.is_over, self.is_complete) = (true, true);
            return Ok(None);
        };
        let what = self.what(&step)?;
        let (idx, deadline, patience) = (self.idx(), self.deadline(), self.patience());
        Ok(Some(Line { what, idx, deadline, patience, is_tried: self.is_tried() }))
    }

    /// Whether the step that is taken decides what follows.
    fn asks_if(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { kind: Kind::If { asks: true, .. }, .. }))
    }

    /// Takes one of the two lists of an `if` whose question was answered.
    fn take(&mut self, list: impl FnOnce(&'t IfStep) -> &'t [Step]) {
        if let Some(Frame { kind: Kind::If { branch, asks }, steps, .. }) = self.frames.last_mut() {
            let branch = *branch;
            (*asks, *steps) = (false, list(branch));
        }
    }

    /// Leaves the step that was done.
    fn go_on(&mut self) {
        if self.asks_if() {
            return self.take(|branch| &branch.steps);
        }
        // What was awaited holds: no more tries.
        if matches!(self.frames.last(), Some(Frame { kind: Kind::Retry { asks: true, .. }, .. })) {
            self.frames.pop();
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
        }
    }

    /// Goes on although a step was not done: back to the innermost block, of the `depth` outer ones, that has a try left,
    /// or behind one that is optional; false if there is none.
    fn go_on_without(&mut self, depth: usize) -> bool {
        self.frames.truncate(depth);
        while let Some(mut frame) = self.frames.pop() {
            match &mut frame.kind {
                Kind::Retry { retry, asks } if frame.round + 1 < usize::from(retry.times) => {
                    *asks = false;
                    (frame.round, frame.at) = (frame.round + 1, 0);
                    self.frames.push(frame);
                    return true;
                }
                Kind::Optional { .. } => {
                    self.go_on();
                    return true;
                }
                _ => {}
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
                (_, Kind::If { branch, asks: true }) => {
                    let clause = branch.holds.clone();
                    let check = CheckStep { clause, waits: false, within_secs: branch.within_secs };
                    return Some(Step::Check(check));
                }
                (Some(Step::Block(block)), _) => self.frames.push(Frame::of(block, base)),
                (Some(step), _) => return Some(step.clone()),
                (None, Kind::Task) if self.phase == Phase::Before => self.open(Phase::Steps),
                (None, Kind::Task) => return None,
                (None, Kind::Repeat { times }) if frame.round + 1 < *times => {
                    (frame.round, frame.at) = (frame.round + 1, 0);
                }
                (None, Kind::Retry { retry, asks }) => {
                    *asks = true;
                    let clause = retry.until.clone();
                    return Some(Step::Check(CheckStep { clause, waits: true, within_secs: None }));
                }
                (
                    None,
                    Kind::Repeat { .. } | Kind::Within { .. } | Kind::If { .. } | Kind::Optional { .. },
                ) => {
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
            Step::Check(check) => {
                let default = if check.waits { self.patience() } else { Duration::ZERO };
                let (within, clause) = (check.own_time().unwrap_or(default), check.clause);
                if self.asks_if() { What::Ask { clause, within } } else { What::Check { clause, within } }
            }
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
            Kind::Optional { time, .. } => time,
            _ => None,
        });
        of_part.filter(|_| !behind_a_try).unwrap_or(self.task.patience)
    }

    /// The open part that ends first.
    fn deadline(&self) -> Option<Deadline> {
        let ends = self.frames.iter().enumerate().filter_map(|(depth, frame)| match frame.kind {
            // A time too long for the clock has no end.
            Kind::Within { until: Some(until), time } => Some(Deadline { until, time, depth }),
            Kind::Optional { until: Some(until), time: Some(time) } => {
                Some(Deadline { until, time, depth: depth + 1 })
            }
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

    /// Number of the step that is taken in its phase, were every round of every block taken.
    fn idx(&self) -> usize {
        let Some(frame) = self.frames.last() else { return self.n_steps() };
        let once = length(frame.steps) + usize::from(matches!(frame.kind, Kind::Retry { .. }));
        let asked = usize::from(matches!(frame.kind, Kind::If { asks: false, .. }));
        frame.base + frame.round * once + asked + length(&frame.steps[..frame.at])
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
            Block::If(branch) => Kind::If { branch, asks: true },
            Block::Optional(optional) => {
                let time = optional.time();
                Kind::Optional { until: time.and_then(|time| Instant::now().checked_add(time)), time }
            }
        };
        let [steps, _] = block.lists();
        Self { steps, at: 0, kind, base, round: 0 }
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
                What::Ask { clause, within } => format!("if {clause} {}", within.as_secs()),
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
    fn what_a_task_needs_comes_first_and_what_is_behind_the_judgement_comes_whatever_became_of_it() {
        let yaml = "name: n\nstart: {}\nbefore: [{type: a}, {type: b}]\nsteps: [{type: c}, {type: d}]\n\
                    after: [{type: e}, {type: f}]\nexpect: [url_contains: x]\n";
        let (task, around) = (ScriptedTask::parse(yaml).unwrap(), Surroundings::default());
        let play = |not_done: &str| {
            let (mut script, mut taken) = (Script::new(&task, &around), Vec::new());
            let mut last = None;
            let mut go_on = |script: &mut Script<'_>| {
                while let Some(line) = script.next(last.take()).unwrap() {
                    let What::Act(Act::Type { text }) = line.what else { panic!("{line:?}") };
                    assert_eq!(script.n_steps(), 2);
                    last = Some(if text == not_done { Ended::NotDone } else { Ended::Done });
                    taken.push(format!("{text}{:?}{}", script.phase(), line.idx));
                }
                last = None;
                script.is_complete()
            };
            let is_complete = go_on(&mut script);
            assert!(script.wind_up());
            go_on(&mut script);
            assert!(!script.wind_up());
            (taken.join(" "), is_complete)
        };
        let all = "aBefore0 bBefore1 cSteps0 dSteps1 eAfter0 fAfter1";
        assert_eq!(play(""), (all.to_owned(), true));
        assert_eq!(play("a"), ("aBefore0 eAfter0 fAfter1".to_owned(), false));
        assert_eq!(play("c"), ("aBefore0 bBefore1 cSteps0 eAfter0 fAfter1".to_owned(), false));
        assert_eq!(play("e").0, "aBefore0 bBefore1 cSteps0 dSteps1 eAfter0");
        let plain = self::task("{type: a}");
        assert!(!Script::new(&plain, &around).wind_up());
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
    /// What is said of each text; all else is done.
    fn ends(said: &[(&str, Ended)]) -> impl FnMut(&str, Option<Deadline>) -> Ended {
        move |text, _| said.iter().find(|(of, _)| *of == text).map_or(Ended::Done, |(_, ended)| *ended)
    }

    const IF: &str = "if the address contains `u` 2";

    #[test]
    fn what_holds_decides_which_steps_are_taken() {
        let steps = "{type: a}, {if: { holds: { url_contains: u }, within_secs: 2, steps: [{type: b}, {type: c}], else: [{type: d}, \
                     {repeat: { times: 2, steps: [{type: e}] }}, {type: f}] }}, {type: g}";
        check(steps, ends(&[]), &[(0, "a"), (1, IF), (2, "b"), (3, "c"), (6, "g")]);
        let not = [(IF, Ended::DoesNotHold)];
        check(steps, ends(&not), &[(0, "a"), (1, IF), (2, "d"), (3, "e"), (4, "e"), (5, "f"), (6, "g")]);
        // What nobody can tell, or came too late, is no answer.
        check(steps, ends(&[(IF, Ended::NotDone)]), &[(0, "a"), (1, IF)]);
        let only = "{if: { holds: { url_contains: u }, steps: [{type: b}] }}, {type: g}";
        let now = "if the address contains `u` 0";
        check(only, ends(&[(now, Ended::DoesNotHold)]), &[(0, now), (2, "g")]);
        let only_else = "{if: { holds: { url_contains: u }, else: [{type: b}] }}, {type: g}";
        check(only_else, ends(&[]), &[(0, now), (2, "g")]);
        // A check that does not hold is a step that was not done.
        let asserted = "{assert: { url_contains: u }}, {type: g}";
        let said = "the address contains `u` 0";
        check(asserted, ends(&[(said, Ended::DoesNotHold)]), &[(0, said)]);
    }

    #[test]
    fn optional_steps_end_where_one_cannot_be_done_and_the_rest_goes_on() {
        let steps = "{optional: { steps: [{type: a}, {type: b}, {type: c}] }}, {type: d}";
        check(steps, ends(&[]), &[(0, "a"), (1, "b"), (2, "c"), (3, "d")]);
        check(steps, ends(&[("b", Ended::NotDone)]), &[(0, "a"), (1, "b"), (3, "d")]);
        let in_if = "{if: { holds: { url_contains: u }, within_secs: 2, steps: [{optional: { steps: [{type: a}] }}, {type: b}] }}, {type: c}";
        check(in_if, ends(&[("a", Ended::NotDone)]), &[(0, IF), (1, "a"), (2, "b"), (3, "c")]);
        check(in_if, ends(&[("b", Ended::NotDone)]), &[(0, IF), (1, "a"), (2, "b")]);
        // What is tried again inside of it is tried first, and what is around it never.
        let tried = "{retry: { times: 2, until: { url_contains: u }, steps: [ \
                     {optional: { steps: [{retry: { times: 2, until: { url_contains: u }, steps: [{type: a}] }}] }}, {type: b}] }}";
        let expected = [(0, "a"), (2, "a"), (4, "b"), (5, UNTIL)];
        check(tried, ends(&[("a", Ended::NotDone)]), &expected);
        // The last step of all may be such a step.
        let last = task("{type: a}, {optional: { steps: [{type: b}] }}");
        let around = Surroundings::default();
        let mut script = Script::new(&last, &around);
        for end in [None, Some(Ended::Done)] {
            assert!(script.next(end).unwrap().is_some() && !script.is_complete());
        }
        assert!(script.next(Some(Ended::NotDone)).unwrap().is_none() && script.is_complete());
        let mut script = Script::new(&last, &around);
        script.next(None).unwrap();
        assert!(script.next(Some(Ended::NotDone)).unwrap().is_none() && !script.is_complete());
    }

    #[test]
    fn the_time_of_optional_steps_ends_them_and_nothing_around_them() {
        let late = |text: &str, deadline: Option<Deadline>| match text {
            "a" => Ended::OutOfTime(deadline.unwrap()),
            _ => Ended::Done,
        };
        check(
            "{optional: { secs: 60, steps: [{type: a}, {type: b}] }}, {type: c}",
            late,
            &[(0, "a"), (2, "c")],
        );
        // The time of what is around them ends that.
        let around = "{within: { secs: 10, steps: [{optional: { secs: 60, steps: [{type: a}] }}, {type: b}] }}, {type: c}";
        check(around, late, &[(0, "a")]);
        let inside = "{optional: { steps: [{within: { secs: 10, steps: [{type: a}] }}] }}, {type: c}";
        check(inside, late, &[(0, "a"), (1, "c")]);
        let waits = "{optional: { secs: 3, steps: [{wait_for: { url_contains: u }}] }}";
        check(waits, ends(&[]), &[(0, "the address contains `u` 3")]);
    }

    #[test]
    fn a_check_takes_the_time_that_it_says_itself() {
        let steps = "{assert: { that: { url_contains: u }, within_secs: 3 }}, {wait_for: { that: { url_contains: u }, within_secs: 4 }}, \
                     {assert: { url_contains: u }}";
        let waits = ["3", "4", "0"].map(|secs| format!("the address contains `u` {secs}"));
        let expected: Vec<(usize, &str)> = (0..).zip(waits.iter().map(String::as_str)).collect();
        check(steps, ends(&[]), &expected);
    }
}
