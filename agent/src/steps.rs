//! The steps of a task, laid out one behind the other, and how they hang together.
//!
//! Invariant: parts lie inside one another or apart, as the blocks of a task file do.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::step::Intent;

/// Steps in order. A list of intents is one without parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// The steps; the policy sees each target's description and nothing else.
    pub intents: Vec<Intent>,
    /// Parts that may fail, because they are tried again behind.
    pub attempts: Vec<Attempt>,
    /// Parts that may take only so long.
    pub limits: Vec<TimeLimit>,
}

/// Steps that are tried, and tried again if one is not done. The last try is no attempt: it must succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The steps; the last one checks whether it was successful, and the next try begins behind it.
    pub steps: Range<usize>,
    /// The step behind all tries.
    pub end: usize,
}

/// Steps that may take only so long together; one that is not done by then is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimit {
    /// The steps.
    pub steps: Range<usize>,
    /// From the beginning of the first one on.
    pub time: Duration,
}

impl From<Vec<Intent>> for Steps {
    fn from(intents: Vec<Intent>) -> Self {
        Self { intents, ..Self::default() }
    }
}

impl Steps {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.intents.len()
    }

    /// The step that follows on `idx`; the number of steps if there is none. Nothing if the episode ends because the
    /// step was not done.
    pub(crate) fn after(&self, idx: usize, is_done: bool) -> Option<usize> {
        // The innermost one is the one that begins last.
        let holds = |attempt: &&Attempt| attempt.steps.contains(&idx);
        match (self.attempts.iter().filter(holds).max_by_key(|attempt| attempt.steps.start), is_done) {
            (Some(attempt), true) if idx + 1 == attempt.steps.end => Some(attempt.end),
            (_, true) => Some(idx + 1),
            (Some(attempt), false) => Some(attempt.steps.end),
            (None, false) => None,
        }
    }
}

/// Which of the limits run, and until when.
#[derive(Debug)]
pub(crate) struct Clocks(Vec<Option<Instant>>);

impl Clocks {
    pub(crate) fn new(steps: &Steps) -> Self {
        Self(vec![None; steps.limits.len()])
    }

    /// Step `idx` begins: what it may take, by the limit that ends first.
    pub(crate) fn begin(&mut self, steps: &Steps, idx: usize) -> Option<(Instant, Duration)> {
        let mut first: Option<(Instant, Duration)> = None;
        for (limit, until) in steps.limits.iter().zip(&mut self.0) {
            if !limit.steps.contains(&idx) {
                continue;
            }
            if idx == limit.steps.start {
                // A time too long for the clock has no end.
                *until = Instant::now().checked_add(limit.time);
            }
            if let Some(until) = *until
                && first.is_none_or(|(first, _)| until < first)
            {
                first = Some((until, limit.time));
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_ends_first_holds_and_each_begins_with_its_first_step() {
        let secs = Duration::from_secs;
        let limits = vec![
            TimeLimit { steps: 1..4, time: secs(50) },
            TimeLimit { steps: 2..3, time: secs(10) },
            TimeLimit { steps: 3..4, time: secs(90) },
        ];
        let steps = Steps { limits, ..Steps::default() };
        let mut clocks = Clocks::new(&steps);
        let times: Vec<_> = (0..5).map(|idx| clocks.begin(&steps, idx).map(|(_, time)| time)).collect();
        assert_eq!(times, [None, Some(secs(50)), Some(secs(10)), Some(secs(50)), None]);
        let first = clocks.begin(&steps, 1).unwrap();
        assert!(clocks.begin(&steps, 1).unwrap().0 >= first.0, "a step that comes again has its time again");
    }
}
