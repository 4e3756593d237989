//! Plays episodes of a source side by side, each with the draws of its key.
//!
//! Invariants: an episode in which the world failed, or took too long, is tried once more in a fresh world, and then counted as
//! failed; it is no sample. A dialog that a page opens is dismissed and noted, and the episode goes on. Groups are handed over in
//! their order, each when its last episode has ended. When somebody asks to stop, or a group cannot be kept, what was played
//! whole is handed over and no thread is left.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vigorl_agent::{
    Agent, BlindfoldedEyes, Cancel, Checks, Ending, Eyes, Hands, Held, Leash, NamesTexts, ToldEyes,
    TowardsGoal, WatchError, run_episode,
};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::Rewards;
use vigorl_policy::{Policy, Preset, Sampling};
use vigorl_tasks::sources::{Part, Source, Stage};
use vigorl_tasks::{Environment, Failure, Senses, Undisturbed};

use crate::noted::{Noted, Notes};
use crate::sample::{Around, SaidBy, Sample, Times, millis};
use crate::seeds::SampleKey;
use crate::spoken::SamplingEyes;
use crate::store::{Images, StoreError};
use crate::tape::Tape;

/// So many episodes in a row that fail, or that nobody could say the worth of, mean that nothing useful will come any more.
const MAX_FAILURES_IN_A_ROW: usize = 5;

/// What every thread needs of its own, besides a policy.
pub trait Kit: Sync {
    /// A browser of this visible area.
    ///
    /// # Errors
    /// If there is none.
    fn driver(&self, viewport: Size<Viewport>) -> Result<Box<dyn Driver>, Failure>;

    /// Whoever looks at pixels for judges.
    ///
    /// # Errors
    /// If they cannot look.
    fn senses(&self) -> Result<Box<dyn Senses>, Failure>;

    /// The world of this thread has failed, so that the next one is to be another one, with another browser.
    fn world_failed(&self) {}

    /// The browsers' device pixel ratio.
    fn device_pixel_ratio(&self) -> DevicePixelRatio;

    /// Whoever tells the policy where the words of the goal stand, if it is told.
    ///
    /// # Errors
    /// If they cannot read.
    fn named_texts(&self) -> Result<Option<Box<dyn NamesTexts>>, Failure> {
        Ok(None)
    }

    /// Who says what a sample is worth; by itself, what the environment pays.
    ///
    /// # Errors
    /// If they cannot be asked at all.
    fn rewards(&self) -> Result<Option<Rewards>, Failure> {
        Ok(None)
    }
}

/// What is played, and how.
pub struct Collecting<'a> {
    /// Where episodes come from.
    pub source: &'a dyn Source,
    /// What threads need.
    pub kit: &'a dyn Kit,
    /// A policy for a thread. Policies of several threads may share what they compute with.
    pub policy: &'a (dyn Fn() -> Box<dyn Policy + Send> + Sync),
    /// How the policy is spoken to: [`Preset::for_rollouts`] of its own.
    pub preset: &'a Preset,
    /// How it is sampled; seeds are those of the keys.
    pub sampling: &'a Sampling,
    /// Whether the policy is told where the words of the goal stand, by [`Kit::named_texts`].
    pub is_told: bool,
    /// Whether policy and reader are shown an empty screen: a control.
    pub is_blindfolded: bool,
    /// Who it is.
    pub said_by: &'a SaidBy,
    /// Where pictures are kept.
    pub images: &'a Images,
    /// Longest wait for a quiet page.
    pub settle_cap: Duration,
    /// Longest time of an episode; one that takes longer has failed.
    pub max_time: Option<Duration>,
    /// Ends it all.
    pub cancel: &'a Cancel,
    /// Episodes that are played at once.
    pub n_at_once: usize,
}

impl fmt::Debug for Collecting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collecting").field("source", &self.source).finish_non_exhaustive()
    }
}

/// An episode to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is.
    pub key: SampleKey,
    /// Whether it is for learning.
    pub part: Part,
    /// The number of its group.
    pub group: u64,
}

impl Wanted {
    /// Groups of `size` samples each, of the episodes of a part from `first` on.
    pub fn groups(
        source: &dyn Source,
        part: Part,
        first: u64,
        n: u64,
        size: u64,
        run: u64,
        step: u64,
    ) -> Vec<Self> {
        let of_group = |group: u64| {
            let (seed, source) = (source.seed(part, first + group), source.name().to_owned());
            (0..size).map(move |sample| Self {
                key: SampleKey { run, step, source: source.clone(), seed, sample },
                part,
                group,
            })
        };
        (0..n).flat_map(of_group).collect()
    }
}

/// A sample, and what a run directory is told of it.
#[derive(Debug, Clone)]
pub struct Played {
    /// The sample.
    pub sample: Sample,
    /// As it was told.
    pub tape: Tape,
}

/// An episode that is no sample, because the world failed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What it would have been.
    pub key: SampleKey,
    /// Why.
    pub error: String,
}

/// The samples of one episode.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its number.
    pub number: u64,
    /// In order of their numbers.
    pub samples: Vec<Played>,
    /// Those that are none.
    pub failed: Vec<Failed>,
    /// Whether all of them began with the same pixels.
    pub is_same_start: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Samples that were handed over.
    pub n_samples: usize,
    /// Episodes that failed, also those that were played again.
    pub n_errors: usize,
    /// What they failed of, each with how often.
    pub errors: BTreeMap<String, usize>,
    /// Episodes that failed for good, by their source.
    pub failed: BTreeMap<String, usize>,
    /// Whether somebody ended it.
    pub is_cancelled: bool,
}

impl Collected {
    fn failed_of(&mut self, error: String) {
        self.n_errors += 1;
        *self.errors.entry(error).or_default() += 1;
    }
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// Nothing can be kept any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A watcher could not keep an episode.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The world fails again and again.
    #[error("{n} episodes in a row failed, the last one: {error}")]
    KeepsFailing {
        /// How many.
        n: usize,
        /// Why the last one did.
        error: String,
    },
    /// A reward of one's own fails again and again.
    #[error(
        "{n} samples in a row have no reward, the last one because of {error}; they are kept without one"
    )]
    NoReward {
        /// How many.
        n: usize,
        /// Why the last one has none.
        error: String,
    },
}

/// Plays what is wanted and hands over each group as soon as it is whole.
///
/// # Errors
/// [`CollectError`]; what was played whole before was handed over.
pub fn collect(
    how: &Collecting<'_>,
    wanted: &[Wanted],
    hand_over: &mut dyn FnMut(Group) -> Result<(), CollectError>,
) -> Result<Collected, CollectError> {
    let next = AtomicUsize::new(0);
    // A thread that stops leaves what nobody has begun.
    let stop = Cancel::default();
    let (send, receive) = mpsc::sync_channel(how.n_at_once);
    std::thread::scope(|scope| {
        for _ in 0..how.n_at_once.clamp(1, wanted.len().max(1)) {
            let (send, next, stop) = (send.clone(), &next, &stop);
            scope.spawn(move || work(how, wanted, next, stop, &send));
        }
        drop(send);
        let mut gathering = Gathering::new(wanted);
        let result = receive.iter().try_for_each(|said: Said| gathering.take(said, hand_over));
        // Behind an error, threads end with the episodes that they are playing.
        stop.set();
        drop(receive);
        match result {
            Ok(()) => {}
            Err(error @ (CollectError::Store(_) | CollectError::Watch(_))) => return Err(error),
            Err(error) => {
                gathering.finish(hand_over)?;
                return Err(error);
            }
        }
        gathering.is_cancelled = how.cancel.is_set();
        gathering.finish(hand_over)
    })
}

/// What a thread says.
enum Said {
    Played {
        idx: usize,
        played: Box<Played>,
        /// Why a reward of one's own has none for it.
        unrewarded: Option<String>,
    },
    /// The first try failed of this, and there is another one.
    Again(String),
    Failed {
        idx: usize,
        failed: Failed,
    },
    Stopped(StoreError),
}

/// Puts groups together.
struct Gathering<'a> {
    wanted: &'a [Wanted],
    /// How many of each group are still to come.
    left: BTreeMap<u64, usize>,
    open: BTreeMap<u64, Group>,
    collected: Collected,
    n_in_a_row: usize,
    n_unrewarded_in_a_row: usize,
    is_cancelled: bool,
}

impl<'a> Gathering<'a> {
    fn new(wanted: &'a [Wanted]) -> Self {
        let mut left = BTreeMap::new();
        for one in wanted {
            *left.entry(one.group).or_insert(0) += 1;
        }
        let (open, collected) = (BTreeMap::new(), Collected::default());
        Self { wanted, left, open, collected, n_in_a_row: 0, n_unrewarded_in_a_row: 0, is_cancelled: false }
    }

    fn group(&mut self, idx: usize) -> &mut Group {
        let number = self.wanted[idx].group;
        *self.left.entry(number).or_insert(1) -= 1;
        self.open.entry(number).or_insert_with(|| Group { number, ..Group::default() })
    }

    fn take(
        &mut self,
        said: Said,
        hand_over: &mut dyn FnMut(Group) -> Result<(), CollectError>,
    ) -> Result<(), CollectError> {
        match said {
            Said::Stopped(error) => return Err(error.into()),
            Said::Again(error) => self.collected.failed_of(error),
            Said::Played { idx, played, unrewarded } => {
                self.n_in_a_row = 0;
                self.group(idx).samples.push(*played);
                match unrewarded {
                    None => self.n_unrewarded_in_a_row = 0,
                    Some(error) => {
                        self.n_unrewarded_in_a_row += 1;
                        if self.n_unrewarded_in_a_row >= MAX_FAILURES_IN_A_ROW {
                            return Err(CollectError::NoReward { n: self.n_unrewarded_in_a_row, error });
                        }
                    }
                }
            }
            Said::Failed { idx, failed } => {
                let error = failed.error.clone();
                self.collected.failed_of(error.clone());
                self.n_in_a_row += 1;
                *self.collected.failed.entry(failed.key.source.clone()).or_default() += 1;
                self.group(idx).failed.push(failed);
                if self.n_in_a_row >= MAX_FAILURES_IN_A_ROW {
                    return Err(CollectError::KeepsFailing { n: self.n_in_a_row, error });
                }
            }
        }
        // In order, so that the same run has the same record.
        while let Some((&number, &left)) = self.left.first_key_value()
            && left == 0
        {
            self.left.remove(&number);
            if let Some(group) = self.open.remove(&number) {
                self.hand_over(group, hand_over)?;
            }
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        mut group: Group,
        hand_over: &mut dyn FnMut(Group) -> Result<(), CollectError>,
    ) -> Result<(), CollectError> {
        group.samples.sort_by_key(|played| played.sample.key.sample);
        let mut firsts = group.samples.iter().map(|played| &played.sample.first_screenshot);
        let first = firsts.next();
        group.is_same_start = firsts.all(|other| Some(other) == first);
        self.collected.n_samples += group.samples.len();
        hand_over(group)
    }

    /// What was not whole when it ended.
    fn finish(
        mut self,
        hand_over: &mut dyn FnMut(Group) -> Result<(), CollectError>,
    ) -> Result<Collected, CollectError> {
        for (_, group) in std::mem::take(&mut self.open) {
            self.hand_over(group, hand_over)?;
        }
        self.collected.is_cancelled = self.is_cancelled;
        Ok(self.collected)
    }
}

/// One thread: its browser, its world and its policy.
fn work(
    how: &Collecting<'_>,
    wanted: &[Wanted],
    next: &AtomicUsize,
    stop: &Cancel,
    send: &mpsc::SyncSender<Said>,
) {
    let is_over = || how.cancel.is_set() || stop.is_set();
    let mut policy = (how.policy)();
    let mut again: Option<usize> = None;
    while !is_over() {
        // A fresh world: the first one, or one behind a failure.
        let mut driver = None;
        let opened = how.source.viewport().map(|viewport| how.kit.driver(viewport)).transpose();
        let begun = opened.and_then(|opened| {
            let senses = how.kit.senses()?;
            let texts = match how.is_told {
                true => Some(
                    how.kit.named_texts()?.ok_or("nobody here tells the policy what stands on the screen")?,
                ),
                false => None,
            };
            Ok((driver.insert(opened), senses, texts, how.kit.rewards()?))
        });
        let mut take = || {
            again.take().map(|idx| (idx, true)).or_else(|| {
                let idx = next.fetch_add(1, Ordering::Relaxed);
                (idx < wanted.len()).then_some((idx, false))
            })
        };
        let failure = match begun {
            Err(error) => take().map(|(idx, is_again)| (idx, is_again, error.to_string())),
            Ok((driver, mut senses, mut texts, mut rewards)) => {
                let is_cancelled = || how.cancel.is_set();
                let stage = Stage {
                    driver: driver.as_mut().map(|driver| &mut **driver as &mut dyn Driver),
                    device_pixel_ratio: how.kit.device_pixel_ratio(),
                    is_cancelled: &is_cancelled,
                };
                match how.source.world(stage) {
                    Err(error) => {
                        how.kit.world_failed();
                        take().map(|(idx, is_again)| (idx, is_again, error.to_string()))
                    }
                    Ok(mut world) => loop {
                        if is_over() {
                            return;
                        }
                        let Some((idx, is_again)) = take() else { return };
                        let ended = play(
                            how,
                            &wanted[idx],
                            &mut *world,
                            &mut *policy,
                            &mut *senses,
                            texts.as_deref_mut(),
                        );
                        let said = match ended {
                            Ok(mut played) => {
                                let asked = rewards.as_mut();
                                let unrewarded = asked.and_then(|rewards| played.sample.judge(rewards));
                                Said::Played { idx, played: Box::new(played), unrewarded }
                            }
                            Err(Unplayed::Cancelled) => return,
                            Err(Unplayed::Store(error)) => Said::Stopped(error),
                            Err(Unplayed::World(error)) => {
                                how.kit.world_failed();
                                break Some((idx, is_again, error));
                            }
                        };
                        let is_last = matches!(said, Said::Stopped(_));
                        if send.send(said).is_err() || is_last {
                            return;
                        }
                    },
                }
            }
        };
        let Some((idx, is_again, error)) = failure else { return };
        let said = if is_again {
            Said::Failed { idx, failed: Failed { key: wanted[idx].key.clone(), error } }
        } else {
            again = Some(idx);
            Said::Again(error)
        };
        if send.send(said).is_err() {
            return;
        }
    }
}

/// Why an episode is no sample.
enum Unplayed {
    Cancelled,
    World(String),
    Store(StoreError),
}

fn play(
    how: &Collecting<'_>,
    wanted: &Wanted,
    world: &mut dyn Environment,
    policy: &mut dyn Policy,
    senses: &mut dyn Senses,
    texts: Option<&mut (dyn NamesTexts + '_)>,
) -> Result<Played, Unplayed> {
    let clock = Instant::now();
    let mut undisturbed = Undisturbed::new(world, how.settle_cap);
    let mut noted = Noted::new(&mut undisturbed);
    let mut eyes = SamplingEyes::new(policy, how.preset, how.sampling, &wanted.key);
    let mut tape = Tape::default();
    let mut told;
    let looking: &mut dyn Eyes = match texts {
        Some(texts) => {
            told = ToldEyes { eyes: &mut eyes, texts };
            &mut told
        }
        None => &mut eyes,
    };
    let mut blindfolded;
    let looking: &mut dyn Eyes = if how.is_blindfolded {
        blindfolded = BlindfoldedEyes { eyes: looking };
        &mut blindfolded
    } else {
        looking
    };
    let mut agent = Agent {
        eyes: looking,
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses,
        settle_cap: how.settle_cap,
        hands: Hands::Act,
        cancel: how.cancel,
        leash: Leash::new(None, how.max_time, None),
    };
    let played = run_episode(&mut agent, &mut TowardsGoal::default(), &mut noted, wanted.key.seed, &mut tape);
    let episode = played.map_err(|error| Unplayed::World(error.to_string()))?;
    match &episode.ending {
        Ending::Cancelled => return Err(Unplayed::Cancelled),
        Ending::Error(error) => return Err(Unplayed::World(error.clone())),
        Ending::Judged | Ending::StepLimit | Ending::TokenLimit => {}
    }
    // Steps and tokens bound the policy, so that only the world can be too slow: what it took is no fault to learn from.
    if let Some(held @ Held::OutOfTime(_)) = episode.steps.iter().find_map(|step| step.held) {
        return Err(Unplayed::World(format!("the episode is {held}")));
    }
    let inference =
        episode.steps.iter().flat_map(|step| &step.sightings).flat_map(|said| &said.grounding.turns);
    let inference: Duration =
        inference.map(|turn| &turn.completion).map(|said| said.vision + said.prefill + said.decode).sum();
    let Notes { first, verdict, in_world } = noted.notes;
    let around = Around {
        key: &wanted.key,
        part: wanted.part,
        group: wanted.group,
        said_by: how.said_by,
        sampling: how.sampling,
        millis: Times {
            total: millis(clock.elapsed()),
            world: millis(in_world),
            inference: millis(inference),
        },
    };
    let sample = Sample::of(&around, &episode, first.as_ref(), verdict.as_ref(), &eyes.actions, how.images)
        .map_err(Unplayed::Store)?;
    Ok(Played { sample, tape })
}
