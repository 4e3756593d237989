//! What an update of learning by reward is computed from: micro-batches of sampled rows, each token with what it is compared
//! with, and what they contribute.
//!
//! Invariant: a token's weight follows from the whole update, never from the micro-batch that it happens to be in, unless
//! the configuration says so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use image::RgbImage;
use vigorl_qwen::{Checkpoint, Model};
use vigorl_rollouts::Ended;

use crate::compared::{Compared, GroupOfStep};
use crate::error::TrainingError;
use crate::grpo_config::GrpoConfig;
use crate::objective::{
    CutOff, Denominator, Drawn, Objective, ObjectiveConfig, TokenOutcome, logprobs, policy_loss,
};
use crate::trees::{Tree, micro_batches, pack, places, trees};
use crate::work::{Contribution, Seen, Trained};
use crate::workers::Workers;

/// Makes micro-batches of what was played.
pub(crate) struct Batches<'a> {
    pub(crate) config: &'a GrpoConfig,
    pub(crate) checkpoint: &'a Checkpoint,
    /// The model that the run began with, if the distance to it counts.
    pub(crate) reference: Option<&'a Model>,
    pub(crate) workers: &'a Workers,
}

impl Batches<'_> {
    /// The micro-batches of some groups, and the weight of tokens that need no computing. With `old`, tokens are compared
    /// with their log-probabilities under that model.
    pub(crate) fn jobs<'g>(
        &self,
        step: &Compared,
        groups: impl Iterator<Item = &'g GroupOfStep>,
        old: Option<&Model>,
    ) -> Result<(Vec<Said>, f64), TrainingError> {
        let GrpoConfig { objective, update, sampling, .. } = self.config;
        let mut taught = Vec::new();
        let mut n_beside = 0;
        for of_group in groups {
            for &(sample, advantage) in &of_group.advantages {
                let said = &step.samples[sample];
                if said.ended == Ended::TokenLimit && objective.token_limit == CutOff::Mask {
                    continue;
                }
                let actions = said.actions.iter().filter(|action| action.is_trainable);
                if advantage != 0.0 || objective.kl > 0.0 {
                    taught.extend(actions.map(|action| (sample, action)));
                } else if objective.objective == Objective::Grpo {
                    n_beside += actions.flat_map(|a| &a.turns).map(|turn| turn.ids.len()).sum::<usize>();
                }
            }
        }
        let mut known: BTreeMap<(PathBuf, String), Arc<RgbImage>> = BTreeMap::new();
        let mut rows = Vec::new();
        // Pictures lie beside the lines of the round that they were played in.
        for folder in &step.folders {
            let of_folder =
                taught.iter().filter(|(sample, _)| step.folder_of[*sample] == *folder).map(|(s, a)| (*s, *a));
            let mut open = |name: &str| open_image(&mut known, folder, name);
            rows.extend(trees(self.checkpoint, of_folder, update.row_tokens, &mut open)?);
        }
        let batches = micro_batches(rows, update.micro_batch_tokens);
        let n_tokens: usize = batches.iter().flatten().map(|row| row.tokens.len()).sum();
        let n_batches = batches.len() as f64;
        let mut jobs = Vec::new();
        for rows in batches {
            let n: usize = rows.iter().map(|row| row.tokens.len()).sum();
            let weight = match objective.denominator {
                Denominator::Global => 1.0,
                Denominator::MicroBatch => n_tokens as f64 / (n as f64 * n_batches),
            };
            let tokens = rows.iter().flat_map(|row| &row.tokens);
            let drawn = tokens.map(|token| Drawn {
                id: token.id,
                old_logprob: None,
                reference_logprob: None,
                advantage: step.advantage_of[&token.sample] as f32,
                weight: weight as f32,
            });
            let drawn = drawn.collect();
            jobs.push(Said { rows, drawn, at_first: OnceLock::new() });
        }
        if let Some(reference) = self.reference {
            let found = self.score(reference, &jobs, sampling.temperature)?;
            for (job, found) in jobs.iter_mut().zip(found) {
                job.drawn.iter_mut().zip(found).for_each(|(drawn, at)| drawn.reference_logprob = Some(at));
            }
        }
        if let Some(old) = old {
            let found = self.score(old, &jobs, sampling.temperature)?;
            for (job, found) in jobs.iter_mut().zip(found) {
                job.drawn.iter_mut().zip(found).for_each(|(drawn, at)| drawn.old_logprob = Some(at));
            }
        }
        let n_beside = match objective.denominator {
            Denominator::Global => n_beside as f64,
            Denominator::MicroBatch => 0.0,
        };
        Ok((jobs, n_beside))
    }

    /// The log-probabilities of what was said under a model, job by job.
    fn score(&self, model: &Model, jobs: &[Said], temperature: f64) -> Result<Vec<Vec<f32>>, TrainingError> {
        let checkpoint = self.checkpoint;
        let score = |job: &Said| -> Result<Vec<f32>, TrainingError> {
            let batch = pack(checkpoint, &job.rows)?;
            let pass = model.packed(&batch)?;
            let ids: Vec<u32> = job.drawn.iter().map(|drawn| drawn.id).collect();
            Ok(logprobs(&model.logits_at(&pass, &places(&job.rows))?, &ids, temperature)?)
        };
        self.workers.map(jobs, score).into_iter().collect()
    }
}

/// One micro-batch of what was said.
pub(crate) struct Said {
    pub(crate) rows: Vec<Tree>,
    pub(crate) drawn: Vec<Drawn>,
    /// The log-probabilities of its tokens when they were gone through for the first time.
    at_first: OnceLock<Vec<f32>>,
}

impl Said {
    /// What its tokens contribute to a move of the weights.
    pub(crate) fn learned(
        &self,
        trained: &Trained,
        checkpoint: &Checkpoint,
        objective: &ObjectiveConfig,
        temperature: f64,
    ) -> Result<Contribution<Reinforced>, TrainingError> {
        let batch = pack(checkpoint, &self.rows)?;
        let (gradients, outcomes) = trained.gradients(&batch, |pass| {
            let logits = trained.model.logits_at(pass, &places(&self.rows))?;
            let loss = policy_loss(&logits, &self.compared(), objective, temperature)?;
            Ok((loss.surrogate, loss.outcomes))
        })?;
        self.keep(&outcomes);
        Ok(self.contribution(gradients, &outcomes, objective.kl))
    }

    /// Its tokens. What was gone through before, and is not compared with anything else, is compared with the first time: the
    /// weights had not moved then.
    fn compared(&self) -> Cow<'_, [Drawn]> {
        let Some(at_first) = self.at_first.get() else { return Cow::Borrowed(&self.drawn) };
        let with_first = |(drawn, at): (&Drawn, &f32)| Drawn {
            old_logprob: Some(drawn.old_logprob.unwrap_or(*at)),
            ..*drawn
        };
        Cow::Owned(self.drawn.iter().zip(at_first).map(with_first).collect())
    }

    /// Keeps what its tokens were worth, if this is the first time.
    fn keep(&self, outcomes: &[TokenOutcome]) {
        self.at_first.get_or_init(|| outcomes.iter().map(|outcome| outcome.logprob).collect());
    }

    /// The weight of all its tokens.
    pub(crate) fn weight(&self) -> f64 {
        self.drawn.iter().map(|drawn| f64::from(drawn.weight)).sum()
    }

    fn contribution(
        &self,
        gradients: Vec<Option<Tensor>>,
        outcomes: &[TokenOutcome],
        kl: f64,
    ) -> Contribution<Reinforced> {
        let mut seen = Reinforced::default();
        let (mut weight, mut loss) = (0.0, 0.0);
        let tokens = self.rows.iter().flat_map(|row| &row.tokens);
        for ((outcome, drawn), token) in outcomes.iter().zip(&self.drawn).zip(tokens) {
            let of_token = f64::from(drawn.weight);
            weight += of_token;
            loss += of_token * (f64::from(outcome.loss) + kl * f64::from(outcome.kl));
            seen.n_tokens += 1;
            seen.n_clipped += u64::from(outcome.is_clipped);
            seen.n_dual_clipped += u64::from(outcome.is_dual_clipped);
            seen.kl += f64::from(outcome.kl);
            seen.entropy += f64::from(outcome.entropy);
            let error = f64::from(outcome.logprob - token.logprob).exp() - 1.0;
            seen.ratio_error = seen.ratio_error.max(error.abs());
            seen.ratio_errors += error.abs();
        }
        Contribution { gradients, weight, loss, seen }
    }
}

/// One micro-batch of a move of the weights.
pub(crate) enum Job<'s> {
    /// Of what was said.
    Said(&'s Said),
    /// The lesson of this number.
    Taught([u64; 2]),
}

/// What an update saw of its tokens; sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reinforced {
    pub(crate) n_tokens: u64,
    pub(crate) n_clipped: u64,
    pub(crate) n_dual_clipped: u64,
    pub(crate) kl: f64,
    pub(crate) entropy: f64,
    /// Largest distance from 1 of a token's probability over the one that the sampler recorded.
    pub(crate) ratio_error: f64,
    /// All of these distances.
    pub(crate) ratio_errors: f64,
    /// Mean losses of lessons, added up, and how many there were.
    pub(crate) lessons_loss: f64,
    pub(crate) n_lessons: u64,
}

impl Seen for Reinforced {
    fn merge(&mut self, other: &Self) {
        self.n_tokens += other.n_tokens;
        self.n_clipped += other.n_clipped;
        self.n_dual_clipped += other.n_dual_clipped;
        self.kl += other.kl;
        self.entropy += other.entropy;
        self.ratio_error = self.ratio_error.max(other.ratio_error);
        self.ratio_errors += other.ratio_errors;
        self.lessons_loss += other.lessons_loss;
        self.n_lessons += other.n_lessons;
    }
}

fn open_image(
    known: &mut BTreeMap<(PathBuf, String), Arc<RgbImage>>,
    folder: &Path,
    name: &str,
) -> Result<Arc<RgbImage>, TrainingError> {
    let key = (folder.to_owned(), name.to_owned());
    if let Some(image) = known.get(&key) {
        return Ok(Arc::clone(image));
    }
    let path = folder.join(name);
    let image = image::open(&path).map_err(TrainingError::content(&path))?.to_rgb8();
    Ok(Arc::clone(known.entry(key).or_insert_with(|| Arc::new(image))))
}
