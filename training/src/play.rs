//! Episodes of the policy under training: groups to learn from, and held-out ones to measure it by.
//!
//! Invariant: while episodes are played the weights stand still, because the policy that plays borrows what moves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vigorl_agent::Cancel;
use vigorl_policy::{Policy, Preset, Sampling, SpokenTo, share};
use vigorl_qwen::{Checkpoint, Engine, ModelSource};
use vigorl_rollouts::{
    CollectError, Collected, Collecting, Group, Images, Kit, SaidBy, Sample, Store, Tape, Wanted, collect,
};
use vigorl_tasks::Failure;
use vigorl_tasks::sources::{Part, Source};

use crate::compute::Compute;
use crate::error::TrainingError;
use crate::files::TEMPORARY;
use crate::grpo_config::{GrpoConfig, HeldOutConfig};
use crate::metrics::{Record, held_out_key};
use crate::work::Trained;

/// Opens an environment by its name, or says why that cannot be done.
pub type OpenSource<'a> = dyn Fn(&str) -> Result<Box<dyn Source>, Failure> + 'a;

/// What a training needs of the world.
pub struct Worlds<'a> {
    /// Opens an environment by its name.
    pub open: &'a OpenSource<'a>,
    /// Browsers and judges for threads.
    pub kit: &'a dyn Kit,
    /// Records episodes under a name, for people to look at: `before` and `after`.
    pub film: &'a Film<'a>,
    /// Where the policy is computed, while it plays and while it learns.
    pub compute: &'a Compute,
    /// Ends it all.
    pub cancel: &'a Cancel,
}

/// Records episodes under a name.
pub type Film<'a> = dyn Fn(&str, &[Tape]) -> Result<(), Failure> + 'a;

impl std::fmt::Debug for Worlds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worlds")
    }
}

/// The environments of a run.
#[derive(Debug)]
pub(crate) struct Sources {
    /// To learn in, in the order of the configuration.
    pub(crate) training: Vec<Box<dyn Source>>,
    heldout: Vec<Box<dyn Source>>,
}

impl Sources {
    pub(crate) fn open(config: &GrpoConfig, worlds: &Worlds<'_>) -> Result<Self, TrainingError> {
        let open = |name: &str, part: Part| {
            let source = (worlds.open)(name).map_err(|error| TrainingError::Environment {
                name: name.to_owned(),
                detail: error.to_string(),
            })?;
            match source.n_episodes(part) {
                Some(0) => Err(TrainingError::Environment {
                    name: name.to_owned(),
                    detail: format!("it has no episode in the part `{}`", part.as_str()),
                }),
                _ => Ok(source),
            }
        };
        Ok(Self {
            training: config
                .environments
                .iter()
                .map(|of| open(&of.name, Part::Train))
                .collect::<Result<_, _>>()?,
            heldout: config
                .heldout
                .iter()
                .map(|set| open(&set.environment, Part::HeldOut))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Who plays.
pub(crate) enum Player<'a> {
    /// The policy under training.
    Trained {
        checkpoint: &'a Checkpoint,
        trained: &'a Trained,
        /// Updates behind the weights.
        version: u64,
    },
    /// The policy that the run was given, as it is: with its own eyes, and told what it says that it wants to be told.
    Given,
    /// A policy that the run has written, by its folder.
    Written(PathBuf),
}

/// Everything that playing needs.
pub(crate) struct Players<'a> {
    pub(crate) config: &'a GrpoConfig,
    pub(crate) worlds: &'a Worlds<'a>,
    pub(crate) sources: &'a Sources,
    pub(crate) player: Player<'a>,
    /// What the policy that the run was given says of itself.
    pub(crate) given: &'a Option<SpokenTo>,
}

/// The samples of a step, in a folder.
#[derive(Debug)]
pub(crate) struct PlayedStep {
    pub(crate) folder: PathBuf,
    pub(crate) samples: Vec<Sample>,
    /// Episodes that the world failed, the repeated ones included.
    pub(crate) n_errors: usize,
}

impl Players<'_> {
    /// Plays groups and keeps them under `folder`, which then has a whole step; nothing if somebody ended it.
    ///
    /// A folder that is there is a whole step that was played before, by the same weights: its samples are read.
    pub(crate) fn play(
        &self,
        folder: &Path,
        wanted: &[(usize, Wanted)],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Option<PlayedStep>, TrainingError> {
        let partial = folder.with_extension(TEMPORARY);
        if partial.exists() {
            std::fs::remove_dir_all(&partial).map_err(TrainingError::file("remove", &partial))?;
        }
        std::fs::create_dir_all(&partial).map_err(TrainingError::file("create", &partial))?;
        let (mut store, images) = (Store::create(&partial)?, Images::under(&partial));
        let (mut n_errors, mut n_played) = (0, 0);
        let preset = self.preset().for_rollouts();
        for (index, source) in self.sources.training.iter().enumerate() {
            let of_source: Vec<Wanted> =
                wanted.iter().filter(|(of, _)| *of == index).map(|(_, wanted)| wanted.clone()).collect();
            if of_source.is_empty() {
                continue;
            }
            let mut keep = |group: Group| -> Result<(), CollectError> {
                for played in &group.samples {
                    store.add(&played.sample)?;
                }
                n_played += group.samples.len() + group.failed.len();
                progress(n_played);
                Ok(())
            };
            let collected =
                self.collect(&**source, &preset, &self.sampling(), &images, &of_source, &mut keep)?;
            n_errors += collected.n_errors;
            if collected.is_cancelled {
                return Ok(None);
            }
        }
        let errors = partial.join(ERRORS);
        std::fs::write(&errors, n_errors.to_string()).map_err(TrainingError::file("write", &errors))?;
        std::fs::rename(&partial, folder).map_err(TrainingError::file("rename", &partial))?;
        Self::read(folder)
    }

    /// A step that was played whole; nothing if there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<PlayedStep>, TrainingError> {
        if !folder.exists() {
            return Ok(None);
        }
        let errors = folder.join(ERRORS);
        let text = std::fs::read_to_string(&errors).map_err(TrainingError::file("read", &errors))?;
        let n_errors = text.trim().parse().map_err(TrainingError::content(&errors))?;
        let samples = vigorl_rollouts::read_samples(folder)?;
        Ok(Some(PlayedStep { folder: folder.to_owned(), samples, n_errors }))
    }

    /// Measures the policy on the first held-out episodes of a set, and keeps some of them; false if somebody ended it.
    pub(crate) fn measure(
        &self,
        set: usize,
        record: &mut Record,
        film: &mut Vec<Tape>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<bool, TrainingError> {
        let (set, source) = (&self.config.heldout[set], &*self.sources.heldout[set]);
        let is_given = matches!(self.player, Player::Given);
        let greedily = if is_given { "given" } else { "greedy" };
        let mut ways = vec![(greedily, self.preset().for_rollouts(), greedy(self.sampling()), 1)];
        if set.search && !is_given {
            ways.push(("greedy_search", self.preset(), greedy(self.sampling()), 1));
        }
        if set.samples > 0 && !is_given {
            ways.push(("at_k", self.preset().for_rollouts(), self.sampling(), set.samples));
        }
        let mut n_played = 0;
        for (name, preset, sampling, size) in ways {
            let wanted = self.held_out(source, set, size);
            let mut groups: Vec<Vec<bool>> = Vec::new();
            let mut keep = |group: Group| -> Result<(), CollectError> {
                // What nobody could tell was not solved, as far as anybody knows.
                let solved = group.samples.iter().map(|played| played.sample.success == Some(true));
                groups.push(solved.collect());
                if name == greedily && groups.len() <= FILMED {
                    film.extend(group.samples.iter().map(|played| played.tape.clone()));
                }
                n_played += group.samples.len() + group.failed.len();
                progress(n_played);
                Ok(())
            };
            let images = Images::nowhere();
            let collected = self.collect(source, &preset, &sampling, &images, &wanted, &mut keep)?;
            if collected.is_cancelled {
                return Ok(false);
            }
            groups.retain(|group| !group.is_empty());
            let n = groups.len().max(1) as f64;
            let share = |solved: usize| solved as f64 / n;
            let mut put = |name: &str, value: f64| record.set(held_out_key(&set.name, name), value);
            if name == "at_k" {
                let mean = |group: &Vec<bool>| {
                    group.iter().filter(|solved| **solved).count() as f64 / group.len() as f64
                };
                put("mean_at_k", groups.iter().map(mean).sum::<f64>() / n);
                put("pass_at_k", share(groups.iter().filter(|group| group.contains(&true)).count()));
            } else {
                put(name, share(groups.iter().filter(|group| group[0]).count()));
                if !is_given {
                    put("n", groups.len() as f64);
                }
            }
        }
        Ok(true)
    }

    fn held_out(&self, source: &dyn Source, set: &HeldOutConfig, size: u64) -> Vec<Wanted> {
        let n = source.n_episodes(Part::HeldOut).map_or(set.episodes, |there| there.min(set.episodes));
        Wanted::groups(source, Part::HeldOut, 0, n, size, self.config.run.seed, 0)
    }

    pub(crate) fn preset(&self) -> Preset {
        let name = &self.config.init.preset;
        let preset =
            Preset::named(name).unwrap_or_else(|| unreachable!("reading a configuration checks `{name}`"));
        match self.player {
            // As it says of itself.
            Player::Given => match &self.given {
                Some(spoken_to) => preset.seeing(spoken_to.max_image_pixels),
                None => preset,
            },
            Player::Trained { .. } | Player::Written(_) => preset.seeing(self.config.init.max_pixels),
        }
    }

    fn is_told(&self) -> bool {
        match self.player {
            Player::Given => self.given.as_ref().is_some_and(|spoken_to| spoken_to.told_texts),
            Player::Trained { .. } | Player::Written(_) => self.config.init.told_texts,
        }
    }

    pub(crate) fn sampling(&self) -> Sampling {
        let of = &self.config.sampling;
        Sampling { temperature: of.temperature, top_p: of.top_p, ..Sampling::greedy(of.max_new_tokens) }
    }

    /// The engine, its name and the updates behind its weights.
    fn engine(&self) -> Result<(Engine, String, u64), TrainingError> {
        let (config, compute) = (self.config, self.worlds.compute);
        match &self.player {
            Player::Trained { checkpoint, trained, version } => {
                // It computes in the numbers of what is trained.
                let options = compute.engine(trained.dtype());
                let engine = Engine::from_model((*checkpoint).clone(), trained.sampler()?, &options)?;
                Ok((engine, checkpoint.name.clone(), *version))
            }
            Player::Given => {
                let engine =
                    Engine::load(&ModelSource::named(&config.init.model), &compute.engine(compute.frozen))?;
                Ok((engine, config.init.model.clone(), 0))
            }
            Player::Written(folder) => {
                let source = ModelSource::Dir(folder.clone());
                let engine = Engine::load(&source, &compute.engine(compute.frozen))?;
                Ok((engine, folder.display().to_string(), 0))
            }
        }
    }

    pub(crate) fn collect(
        &self,
        source: &dyn Source,
        preset: &Preset,
        sampling: &Sampling,
        images: &Images,
        wanted: &[Wanted],
        hand_over: &mut dyn FnMut(Group) -> Result<(), CollectError>,
    ) -> Result<Collected, TrainingError> {
        let (mut engine, policy, weights_version) = self.engine()?;
        let preset_name = preset.name.to_owned();
        let said_by = SaidBy { policy, weights_sha256: None, weights_version, preset: preset_name };
        let GrpoConfig { play, control, .. } = self.config;
        let collected = share(&mut engine, |policy| {
            let of_thread = || Box::new(policy.clone()) as Box<dyn Policy + Send>;
            let how = Collecting {
                source,
                kit: self.worlds.kit,
                policy: &of_thread,
                preset,
                sampling,
                is_told: self.is_told(),
                is_blindfolded: control.blank_screen,
                said_by: &said_by,
                images,
                settle_cap: Duration::from_secs_f64(play.settle_secs),
                max_time: Some(Duration::from_secs_f64(play.episode_secs)),
                cancel: self.worlds.cancel,
                n_at_once: play.at_once,
            };
            collect(&how, wanted, hand_over)
        });
        collected.map_err(|error| TrainingError::Environment {
            name: source.name().to_owned(),
            detail: error.to_string(),
        })
    }
}

/// Held-out episodes of each set that are kept of a measurement, for people to look at.
const FILMED: usize = 8;
/// How many episodes of a step the world failed, beside its samples.
const ERRORS: &str = "errors";

pub(crate) fn greedy(sampling: Sampling) -> Sampling {
    Sampling { temperature: 0.0, ..sampling }
}
