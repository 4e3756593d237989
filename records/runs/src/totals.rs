//! What steps and episodes come to together. Invariant: the only place that adds them up, for a run that goes on, for its
//! summary, for lists and for reports.

use crate::record::{EpisodeRecord, GroundingRecord, Timings, TokensRecord};
use crate::recorded::RecordedStep;

/// The sum of steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Steps begun.
    pub n_steps: usize,
    /// Crops that the policy was shown.
    pub n_zooms: usize,
    /// Tokens of all turns.
    pub tokens: TokensRecord,
    /// Things that went wrong inside pages.
    pub n_troubles: usize,
    /// Where the time of the finished steps went.
    pub timings: Timings,
    /// Milliseconds of each finished step.
    pub step_millis: Vec<f64>,
}

impl Totals {
    /// The sum of recorded steps.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a RecordedStep>) -> Self {
        let mut totals = Self::default();
        for step in steps {
            totals.n_steps += 1;
            if let Some(action) = &step.action {
                totals.add_time(&action.millis);
                totals.n_troubles += action.n_troubles();
            }
            if let Some(model) = &step.model {
                totals.add_said(model);
            }
        }
        totals
    }

    /// Adds the time of a finished step.
    pub fn add_time(&mut self, millis: &Timings) {
        self.timings.add(millis);
        self.step_millis.push(millis.total());
    }

    /// Adds what the policy said in a step.
    pub fn add_said(&mut self, said: &GroundingRecord) {
        for turn in &said.turns {
            self.n_zooms += usize::from(turn.crop.is_some());
            self.tokens.prompt += turn.n_prompt_tokens;
            self.tokens.cached += turn.n_cached_tokens;
            self.tokens.completion += turn.n_completion_tokens;
        }
    }

    /// The middle one of the steps' times, the later one of two; `None` without any.
    pub fn median_step_millis(&self) -> Option<f64> {
        let mut each = self.step_millis.clone();
        each.sort_by(f64::total_cmp);
        each.get(each.len() / 2).copied()
    }
}

/// What became of episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Judged {
    /// Episodes of which it is known whether they were solved.
    pub n: usize,
    /// Those that were.
    pub n_success: usize,
    /// The mean reward; `None` where there is none.
    pub reward: Option<f64>,
}

impl Judged {
    /// What became of these.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a EpisodeRecord>) -> Self {
        let (mut judged, mut rewards) = (Self::default(), Vec::new());
        for outcome in outcomes {
            judged.n += usize::from(outcome.success.is_some());
            judged.n_success += usize::from(outcome.success == Some(true));
            rewards.extend(outcome.reward);
        }
        judged.reward = (!rewards.is_empty()).then(|| rewards.iter().sum::<f64>() / rewards.len() as f64);
        judged
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::record::{Plain, TurnRecord};

    use super::*;

    #[test]
    fn turns_are_added_and_a_step_that_never_ended_has_no_time() {
        let turn = |crop| TurnRecord {
            n_prompt_tokens: 7,
            n_cached_tokens: 2,
            n_completion_tokens: 3,
            crop,
            ..TurnRecord::default()
        };
        let said = GroundingRecord {
            turns: vec![turn(Some([Plain(0.0); 4])), turn(None)],
            ..GroundingRecord::default()
        };
        let step = RecordedStep {
            step: 1,
            instruction: String::new(),
            folder: PathBuf::new(),
            image_size: None,
            action: None,
            texts: None,
            model: Some(said),
        };
        let mut totals = Totals::of([&step, &step]);
        assert_eq!((totals.n_steps, totals.n_zooms, totals.median_step_millis()), (2, 2, None));
        assert_eq!(totals.tokens, TokensRecord { prompt: 28, cached: 8, completion: 12 });
        for act in [30.0, 10.0, 20.0] {
            totals.add_time(&Timings { act: Plain(act), ..Timings::default() });
        }
        assert_eq!((totals.timings.act, totals.median_step_millis()), (Plain(60.0), Some(20.0)));
    }

    #[test]
    fn an_episode_that_nobody_judged_is_neither_success_nor_failure() {
        let outcome = |success: Option<bool>| EpisodeRecord {
            success,
            reward: success.map(f64::from),
            ..EpisodeRecord::default()
        };
        let outcomes = [outcome(Some(true)), outcome(None), outcome(Some(false))];
        assert_eq!(Judged::of(&outcomes), Judged { n: 2, n_success: 1, reward: Some(0.5) });
        assert_eq!(Judged::of(&[outcome(None)]), Judged::default());
    }
}
