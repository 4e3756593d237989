//! Who teaches: screens with named boxes, drawn by weight and made into micro-batches of conversations.
//!
//! Invariant: a lesson depends on the seed, its number and, where own mistakes are asked for, on the weights; so any worker
//! can compute any lesson.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use rand::RngExt;
use vigorl_agent::NamesTexts;
use vigorl_tasks::Failure;
use vigorl_tasks::sources::Part;

use crate::config::{MixConfig, SftConfig, ThinksOf};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::lessons::LessonSet;
use crate::sample::Encoder;
use crate::seed::stream;
use crate::work::{Contribution, Taught, Trained, contribution, draw_work};

/// Loads whoever reads for a policy that is told texts.
pub type LoadTexts<'a> = dyn FnMut() -> Result<Box<dyn NamesTexts>, Failure> + 'a;

/// Lesson sets by where they lie and which part of them is meant.
type Data = BTreeMap<(PathBuf, Part), LessonSet>;

/// What is taught, and how it is written.
#[derive(Debug)]
pub(crate) struct Teacher {
    pub(crate) encoder: Encoder,
    data: Data,
}

impl Teacher {
    /// Opens what a configuration teaches and measures.
    pub(crate) fn new(
        config: &SftConfig,
        files: &ModelFiles,
        texts: &mut LoadTexts<'_>,
    ) -> Result<Self, TrainingError> {
        let encoder = Encoder::new(files, config.policy.preset(), &config.loss)?;
        let mut data = open_data(config)?;
        if config.policy.told_texts {
            let mut texts = texts().map_err(|error| TrainingError::Row(error.to_string()))?;
            data.values_mut().try_for_each(|set| set.tell(&mut *texts))?;
        }
        Ok(Self { encoder, data })
    }

    /// What is taught from a place.
    pub(crate) fn taught(&self, mix: &MixConfig) -> &LessonSet {
        &self.data[&(mix.data.clone(), Part::Train)]
    }

    /// What is measured of a place.
    pub(crate) fn measured(&self, place: &Path) -> &LessonSet {
        &self.data[&(place.to_owned(), Part::HeldOut)]
    }

    /// What one lesson of the mixtures contributes. `path` numbers it.
    pub(crate) fn lesson(
        &self,
        trained: &Trained,
        mixes: &[MixConfig],
        seed: u64,
        path: [u64; 2],
    ) -> Result<Contribution<Taught>, TrainingError> {
        let mix = drawn_mix(mixes, stream(seed, &[path[0], path[1], u64::MAX]).random());
        let work = draw_work(&self.encoder, &trained.model, self.taught(mix), mix, seed, &path)?;
        contribution(trained, &work, &self.encoder)
    }
}

fn open_data(config: &SftConfig) -> Result<Data, TrainingError> {
    let taught = config.stages.iter().flat_map(|stage| &stage.mixes).map(|mix| (&mix.data, Part::Train));
    let measured = config.heldout.iter().map(|set| (&set.data, Part::HeldOut));
    let mut opened = BTreeMap::new();
    for (path, part) in taught.chain(measured) {
        if let Entry::Vacant(set) = opened.entry((path.clone(), part)) {
            let opened = LessonSet::open(path, part)?;
            set.insert(match config.policy.thinks_of {
                ThinksOf::Names => opened,
                ThinksOf::Kinds => opened.called_by_kind(),
            });
        }
    }
    Ok(opened)
}

/// The mixture at `at` (0 to 1) of the weights laid end to end.
fn drawn_mix(mixes: &[MixConfig], at: f64) -> &MixConfig {
    let total: f64 = mixes.iter().map(|mix| mix.weight).sum();
    let mut left = at * total;
    let drawn = mixes.iter().find(|mix| {
        left -= mix.weight;
        left < 0.0
    });
    drawn.unwrap_or(&mixes[mixes.len() - 1])
}
