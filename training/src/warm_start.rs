//! The supervised start of a learning by reward, and lessons that go on beside it.
//!
//! Invariant: what is taught is what the environments show for learning, labelled by nobody, and practice pages; how it is
//! taught is in one file, `training/configs/warm_start.toml`.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::{InitConfig, SftConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::grpo_config::GrpoConfig;
use crate::play::Worlds;
use crate::teacher::Teacher;
use crate::update::Reinforced;
use crate::work::{Contribution, Trained};

const RECIPE: &str = include_str!("../configs/warm_start.toml");
/// Of the recipe: the mixture of screenshots of the environments, and that of practice pages.
const SCREENS_MIX: usize = 0;
const PRACTICE_MIX: usize = 1;

/// What is taught before anything is learned from reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmStartConfig {
    /// Supervised steps; 0 is no warm start.
    pub steps: u64,
    /// Episodes of each environment, and of each part, whose first page is labelled.
    pub episodes: u64,
    /// Clicks behind each of these pages, on what has a name there, whose pages are labelled as well.
    #[serde(default)]
    pub clicks: u64,
    /// Whether texts that are read are taught as places of their own. Where what is written is not what is clicked, a policy
    /// that was taught them clicks on them first.
    pub texts: bool,
    /// Practice pages that are taught beside them, so that they are not forgotten; 0 teaches none.
    pub practice_pages: u64,
    /// Share of the lessons that are about practice pages.
    pub practice_share: f64,
    /// How much a lesson counts in each move of the weights beside what is learned from reward, which counts 1; 0 teaches
    /// nothing more behind the warm start.
    pub lessons_weight: f64,
    /// Micro-batches of lessons in such a move.
    pub lessons_per_move: usize,
}

/// Where a warm start lies, and how it is made.
#[derive(Debug, Clone)]
pub struct WarmStart {
    /// Everything of it.
    pub folder: PathBuf,
    /// What `vigorl data app` writes.
    pub screens: PathBuf,
    /// Rendered practice pages; nothing if there are to be none.
    pub practice: Option<PathBuf>,
    /// What a supervised run does with them.
    pub config: SftConfig,
}

impl GrpoConfig {
    /// The warm start of this run, if it has one.
    ///
    /// # Errors
    /// If the recipe cannot be used.
    pub fn warm_start(&self) -> Result<Option<WarmStart>, TrainingError> {
        let warm_start = &self.warm_start;
        if warm_start.steps == 0 {
            return Ok(None);
        }
        let folder = self.run.output_dir.join("warm_start");
        let mut config = SftConfig::parse(RECIPE, Path::new("warm_start.toml"))?;
        config.run.seed = self.run.seed;
        config.run.workers = self.run.workers;
        config.run.output_dir = folder.clone();
        config.policy.preset.clone_from(&self.init.preset);
        config.policy.told_texts = self.init.told_texts;
        config.policy.max_image_pixels = self.init.max_pixels;
        if let InitConfig::Checkpoint(from) = &mut config.init {
            from.folder = PathBuf::from(&self.init.model);
            from.max_pixels = self.init.max_pixels;
        }
        let screens = folder.join("screens");
        let list = screens.join("pairs.jsonl");
        config.heldout.iter_mut().for_each(|set| set.data.clone_from(&list));
        let practice = (warm_start.practice_pages > 0).then(|| folder.join("practice"));
        let stage = &mut config.stages[0];
        stage.steps = warm_start.steps;
        stage.mixes[SCREENS_MIX].data = list;
        stage.mixes[SCREENS_MIX].weight = 1.0 - warm_start.practice_share;
        match &practice {
            Some(practice) => {
                stage.mixes[PRACTICE_MIX].data.clone_from(practice);
                stage.mixes[PRACTICE_MIX].weight = warm_start.practice_share;
            }
            None => drop(stage.mixes.remove(PRACTICE_MIX)),
        }
        Ok(Some(WarmStart { folder, screens, practice, config }))
    }
}

impl WarmStart {
    /// What comes of it: the model that learning by reward begins with.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model")
    }
}

/// Lessons that go on beside what is learned from reward.
#[derive(Debug)]
pub(crate) struct Lessons {
    config: SftConfig,
    teacher: Teacher,
    /// How much a lesson counts beside what is learned from reward.
    weight: f64,
    /// Micro-batches of each move.
    pub(crate) per_move: usize,
}

impl Lessons {
    /// Opens those of a run, if it has some.
    pub(crate) fn open(
        config: &GrpoConfig,
        files: &ModelFiles,
        worlds: &Worlds<'_>,
    ) -> Result<Option<Self>, TrainingError> {
        let of = &config.warm_start;
        let Some(WarmStart { config, .. }) = config.warm_start()?.filter(|_| of.lessons_weight > 0.0) else {
            return Ok(None);
        };
        let mut texts = || worlds.kit.named_texts()?.ok_or_else(|| "nobody reads".into());
        let teacher = Teacher::new(&config, files, &mut texts)?;
        Ok(Some(Self { config, teacher, weight: of.lessons_weight, per_move: of.lessons_per_move }))
    }

    /// What a lesson contributes to a move in which what was said weighs `weight`: it counts as much as the configuration
    /// says, however many tokens it has.
    pub(crate) fn contribution(
        &self,
        trained: &Trained,
        path: [u64; 2],
        weight: f64,
    ) -> Result<Contribution<Reinforced>, TrainingError> {
        let (mixes, seed) = (&self.config.stages[0].mixes, self.config.run.seed);
        let lesson = self.teacher.lesson(trained, mixes, seed, path)?;
        let share = self.weight * weight / (self.per_move as f64 * lesson.weight);
        let scaled =
            |gradient: Option<Tensor>| gradient.map(|gradient| gradient.affine(share, 0.0)).transpose();
        let gradients = lesson.gradients.into_iter().map(scaled).collect::<Result<_, _>>()?;
        let seen =
            Reinforced { lessons_loss: lesson.loss / lesson.weight, n_lessons: 1, ..Reinforced::default() };
        Ok(Contribution { gradients, weight: 0.0, loss: share * lesson.loss, seen })
    }
}
