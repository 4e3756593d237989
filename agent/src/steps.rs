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
    /// step was not done. Where it was not because the time of `expired` is over, only what encloses that part is
    /// tried again.
    pub(crate) fn after(&self, idx: usize, is_done: bool, expired: Option<&TimeLimit>) -> Option<usize> {
        let encloses = |attempt: &Attempt, part: &Range<usize>| {
            attempt.steps.start <= part.start && part.end <= attempt.steps.end
        };
        let holds = |attempt: &&Attempt| {
            attempt.steps.contains(&idx) && expired.is_none_or(|limit| encloses(attempt, &limit.steps))
        };
        let innermost = self.attempts.iter().filter(holds).min_by_key(|attempt| attempt.steps.len());
        match (innermost, is_done) {
            (Some(attempt), true) if idx + 1 == attempt.steps.end => Some(attempt.end),
            (_, true) => Some(idx + 1),
            (Some(attempt), false) => Some(attempt.steps.end),
            (None, false) => None,
        }
    }

    /// Whether the step may be tried again.
    pub(crate) fn is_tried(&self, idx: usize) -> bool {
        self.attempts.iter().any(|attempt| attempt.steps.contains(&idx))
    }
}

/// Which of the limits run, and until when.
#[derive(Debug)]
pub(crate) struct Clocks(Vec<Option<Instant>>);

impl Clocks {
    pub(crate) fn new(steps: &Steps) -> Self {
        Self(vec![None; steps.limits.len()])
    }

    /// Step `idx` begins: the limit that ends first, and when.
    pub(crate) fn begin<'a>(&mut self, steps: &'a Steps, idx: usize) -> Option<(Instant, &'a TimeLimit)> {
        let mut first: Option<(Instant, &TimeLimit)> = None;
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
                first = Some((until, limit));
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
        let times: Vec<_> =
            (0..5).map(|idx| clocks.begin(&steps, idx).map(|(_, limit)| limit.time)).collect();
        assert_eq!(times, [None, Some(secs(50)), Some(secs(10)), Some(secs(50)), None]);
        let first = clocks.begin(&steps, 1).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(clocks.begin(&steps, 1).unwrap().0 > first.0, "a step that comes again has its time again");
    }

    #[test]
    fn what_is_tried_again_when_time_is_over_encloses_the_part_it_was_for() {
        // Two tries of three steps; in each, the first step is tried twice, in the first one within a limit.
        let attempts = vec![
            Attempt { steps: 0..1, end: 2 },
            Attempt { steps: 0..3, end: 6 },
            Attempt { steps: 3..4, end: 5 },
        ];
        let limits = vec![TimeLimit { steps: 0..2, time: Duration::ZERO }];
        let steps = Steps { attempts, limits, ..Steps::default() };
        assert_eq!(steps.after(0, false, None), Some(1), "the next try inside");
        assert_eq!(steps.after(0, false, steps.limits.first()), Some(3), "the next try of the whole part");
        assert_eq!(steps.after(3, false, steps.limits.first()), None);
    }
}
