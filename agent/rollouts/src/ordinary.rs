//! An ordinary run as a sample: what a policy said while it worked.
//!
//! Invariants: a step that the policy did not decide, or in which it was not free, is marked as not trainable; what was hidden
//! in a text is hidden in its sample, and its tokens are left out.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_agent::{Episode, Sighting, StepOutcome, Watch, Watched};
use vigorl_interface::{Action, Screenshot};
use vigorl_policy::{Preset, Sampling, Turn};
use vigorl_tasks::sources::Part;
use vigorl_tasks::{Start, Verification};

use crate::noted::Noted;
use crate::sample::{Around, SaidBy, Sample, Times, millis};
use crate::seeds::SampleKey;
use crate::spoken::{Calls, Spoken};
use crate::store::{Images, StoreError};

/// Tells another watcher everything, and keeps what belongs to each step.
pub struct Overheard<'w> {
    watch: &'w mut dyn Watch,
    calls: Calls,
    actions: Vec<Spoken>,
    first: Option<Arc<RgbImage>>,
    began: Instant,
}

impl fmt::Debug for Overheard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overheard").field("actions", &self.actions.len()).finish_non_exhaustive()
    }
}

/// Whose run it was.
#[derive(Clone, Copy)]
pub struct Ordinary<'a> {
    /// What it is.
    pub key: &'a SampleKey,
    /// Who looked.
    pub said_by: &'a SaidBy,
    /// How the policy among them is sampled, and spoken to.
    pub asked_as: Option<(&'a Sampling, &'a Preset)>,
    /// The same text without what must not be written.
    pub hide: &'a dyn Fn(&str) -> String,
    /// Where pictures are kept.
    pub images: &'a Images,
}

impl fmt::Debug for Ordinary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordinary").field("key", self.key).finish_non_exhaustive()
    }
}

impl Ordinary<'_> {
    /// Whether every token is drawn from the policy's own distribution.
    fn is_free(&self) -> bool {
        self.asked_as.is_some_and(|(sampling, preset)| {
            sampling.temperature > 0.0
                && sampling.repetition_penalty == 1.0
                && sampling.form.is_none()
                && *preset == preset.clone().for_rollouts()
        })
    }
}

impl<'w> Overheard<'w> {
    /// Listens to a policy whose `calls` are kept.
    pub fn new(watch: &'w mut dyn Watch, calls: Calls) -> Self {
        Self { watch, calls, actions: Vec::new(), first: None, began: Instant::now() }
    }

    /// The sample of the episode that was played in `world`.
    ///
    /// # Errors
    /// [`StoreError::Write`] if a picture cannot be kept.
    pub fn sample(
        mut self,
        of: Ordinary<'_>,
        episode: &Episode,
        world: &Noted<'_>,
    ) -> Result<Sample, StoreError> {
        self.close();
        let total = self.began.elapsed();
        let calls = self.actions.iter().flat_map(|spoken| &spoken.calls).map(|call| &call.completion);
        let inference: Duration = calls.map(|said| said.vision + said.prefill + said.decode).sum();
        let greedy = Sampling::greedy(0);
        let around = Around {
            key: of.key,
            part: Part::Train,
            group: 0,
            said_by: of.said_by,
            sampling: of.asked_as.map_or(&greedy, |(sampling, _)| sampling),
            millis: Times {
                total: millis(total),
                world: millis(world.notes.in_world),
                inference: millis(inference),
            },
        };
        let verdict = world.notes.verdict.as_ref();
        let mut sample =
            Sample::of(&around, episode, self.first.as_ref(), verdict, &self.actions, of.images)?;
        for (action, step) in sample.actions.iter_mut().zip(&episode.steps) {
            let decided_by = step.sightings.iter().map(|sighting| &*sighting.decided_by);
            let is_own = action.turns.len() == self_decided(&step.sightings)
                && decided_by.clone().count() > 0
                && decided_by.clone().all(|who| who == of.said_by.policy);
            action.is_trainable &= of.is_free() && is_own;
        }
        sample.hide(of.hide);
        Ok(sample)
    }

    /// What was said since the last step began belongs to that step.
    fn close(&mut self) {
        let calls = self.calls.take();
        if let Some(last) = self.actions.last_mut() {
            last.calls.extend(calls);
        }
    }
}

/// Turns that led to what was found: where there were more, some were thrown away or checked others.
fn self_decided(sightings: &[Sighting]) -> usize {
    sightings.iter().map(|sighting| sighting.grounding.turns.len()).sum()
}

impl Watch for Overheard<'_> {
    fn episode_started(&mut self, start: &Start) -> Watched {
        self.watch.episode_started(start)
    }
    fn step_started(&mut self, instruction: &str) -> Watched {
        self.close();
        self.actions.push(Spoken::default());
        self.watch.step_started(instruction)
    }
    fn observed(&mut self, before: &Screenshot) -> Watched {
        self.first.get_or_insert_with(|| Arc::clone(&before.pixels));
        self.watch.observed(before)
    }
    fn text(&mut self, piece: &str) {
        self.watch.text(piece);
    }
    fn turn(&mut self, turn: &Turn) -> Watched {
        self.watch.turn(turn)
    }
    fn turn_amended(&mut self, turn: &Turn) -> Watched {
        self.watch.turn_amended(turn)
    }
    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        self.watch.found(sightings)
    }
    fn acting(&mut self, action: &Action) -> Watched {
        self.watch.acting(action)
    }
    fn tab_opened(&mut self, n_tabs: usize) -> Watched {
        self.watch.tab_opened(n_tabs)
    }
    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        self.watch.step_ended(outcome, verification)
    }
    fn episode_ended(&mut self, episode: &Episode) -> Watched {
        self.watch.episode_ended(episode)
    }
}
