//! How sure a policy that learned from reward is of its answers: a map that is fitted on episodes to learn from, and lies
//! beside its weights.
//!
//! Invariant: nothing that is held out is looked at. An action of an episode that was not solved counts as wrong, so that a
//! confidence errs on the low side where episodes have several actions.

use std::path::Path;

use vigorl_agent::{ConfidenceMap, Sighting, StepOutcome, Told, Watch, Watched};
use vigorl_files::write_whole;
use vigorl_interface::Screenshot;
use vigorl_qwen::{Checkpoint, ModelSource};
use vigorl_rollouts::{CollectError, Group, Images, Wanted};
use vigorl_tasks::Verification;
use vigorl_tasks::sources::Part;

use crate::error::TrainingError;
use crate::play::{Players, greedy};

/// Episodes that are played, in all environments together.
const EPISODES: u64 = 160;

/// Answers whose worth is known.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    told: Vec<Told>,
    /// Where they were given.
    domain: String,
    /// The largest screenshot among them, in pixels.
    size: [f64; 2],
    is_single_turn: bool,
}

impl Players<'_> {
    /// Asks the policy as `vigorl run` does, on episodes to learn from; nothing if somebody ended it.
    pub(crate) fn answers(
        &self,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Option<Answers>, TrainingError> {
        let sources = &self.sources.training;
        let n_each = EPISODES.div_ceil(sources.len() as u64);
        let (preset, sampling) = (self.preset(), greedy(self.sampling()));
        let mut answers = Answers {
            domain: sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", "),
            is_single_turn: preset.is_single_turn(),
            ..Answers::default()
        };
        let mut n_played = 0;
        for source in sources {
            let n = source.n_episodes(Part::Train).map_or(n_each, |there| there.min(n_each));
            let wanted = Wanted::groups(&**source, Part::Train, 0, n, 1, self.config.run.seed, 0);
            let mut keep = |group: Group| -> Result<(), CollectError> {
                for played in &group.samples {
                    let mut heard = Heard::default();
                    played.tape.tell(&mut heard)?;
                    answers.take(heard, played.sample.success == Some(true));
                }
                n_played += group.samples.len() + group.failed.len();
                progress(n_played, (n_each as usize) * sources.len());
                Ok(())
            };
            let collected =
                self.collect(&**source, &preset, &sampling, &Images::nowhere(), &wanted, &mut keep)?;
            if collected.is_cancelled {
                return Ok(None);
            }
        }
        Ok(Some(answers))
    }
}

impl Answers {
    fn take(&mut self, heard: Heard, is_right: bool) {
        self.size = [0, 1].map(|axis| self.size[axis].max(heard.size[axis]));
        let features = heard.answers.into_iter().filter_map(|said| said.confidence);
        self.told.extend(features.map(|confidence| Told { features: confidence.features, is_right }));
    }

    /// Writes the map beside the weights in a folder; none if there was no answer.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TrainingError> {
        let weights = Checkpoint::open(&ModelSource::Dir(folder.to_owned()))?.weights_sha256()?;
        let map = ConfidenceMap::fit(&self.domain, &weights, &self.told).map(|map| ConfidenceMap {
            max_size: Some(self.size),
            single_turn: self.is_single_turn,
            ..map
        });
        let path = folder.join(ConfidenceMap::FILE);
        let maps = Vec::from_iter(map);
        let text = serde_json::to_string_pretty(&maps).map_err(TrainingError::content(&path))?;
        write_whole(&path, text.as_bytes()).map_err(TrainingError::file("write", &path))
    }
}

/// What was answered in an episode.
#[derive(Debug, Default)]
struct Heard {
    /// Of the step that is under way.
    last: Option<Sighting>,
    answers: Vec<Sighting>,
    size: [f64; 2],
}

impl Watch for Heard {
    fn observed(&mut self, before: &Screenshot) -> Watched {
        let size = before.size();
        self.size = [self.size[0].max(size.width), self.size[1].max(size.height)];
        Ok(())
    }

    fn found(&mut self, sightings: &[Sighting]) -> Watched {
        self.last = sightings.last().cloned();
        Ok(())
    }

    fn step_ended(&mut self, _outcome: &StepOutcome, _verification: Verification) -> Watched {
        self.answers.extend(self.last.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vigorl_agent::{Confidence, Features, Finding};
    use vigorl_policy::Grounding;

    use super::*;

    fn said(log_odds: f64) -> Sighting {
        let features = Features::from([("log_odds".to_owned(), log_odds)]);
        Sighting {
            finding: Finding::Found(vigorl_geometry::Point::new(1.0, 1.0)),
            confidence: Some(Confidence { value: 0.5, domain: None, features }),
            candidates: Vec::new(),
            decided_by: "policy".to_owned(),
            is_learned: false,
            grounding: Grounding::known(None),
        }
    }

    #[test]
    fn an_answer_counts_by_what_its_episode_was_worth() {
        let mut answers = Answers::default();
        for n in 0..100 {
            let is_right = n % 2 == 0;
            let log_odds = if is_right { 3.0 } else { -1.0 };
            let heard = Heard { answers: vec![said(log_odds); 2], size: [200.0, f64::from(n)], last: None };
            answers.take(heard, is_right);
        }
        assert_eq!((answers.told.len(), answers.size), (200, [200.0, 99.0]));
        let map = ConfidenceMap::fit("x", "sha", &answers.told).unwrap();
        assert!(map.apply(&answers.told[0].features) > 0.9);
        assert!(map.apply(&answers.told[2].features) < 0.1);
    }
}
