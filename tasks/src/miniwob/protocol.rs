//! Under which rules a task is played: steps, time, seeds, screen and what counts as success.
//!
//! Invariants: a seed of a page that a protocol measures with is never one to learn from, whoever draws it
//! ([`training_seed`]); everything that can move a score is in here or in the pages.

use serde::Serialize;
use vigorl_geometry::{Size, Viewport};

use super::list::{PIX2ACT, TASKS, Task};
use super::random_state::RandomState;

/// The rules of one line of publications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// `browsergym-miniwob` 0.14.3.
    #[default]
    Browsergym,
    /// Pix2Act's evaluation.
    Pix2act,
    /// SeeClick's evaluation.
    Seeclick,
}

/// What of the page is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The window of BrowserGym, 332x214 CSS pixels: the task and what is around it.
    Page,
    /// The task alone, 160x210 CSS pixels.
    Task,
}

impl Area {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Task => "task",
        }
    }

    /// The visible area, in CSS pixels.
    pub fn viewport(self) -> Size<Viewport> {
        match self {
            Self::Page => Size::of_pixels(332, 214),
            Self::Task => Size::of_pixels(160, 210),
        }
    }
}

/// How many seeds of a task BrowserGym knows: its code writes `2 ^ 32`, which is an exclusive or in its language.
const N_TASK_SEEDS: u32 = 34;
/// Seeds of pages are below this one.
const N_PAGE_SEEDS: u32 = 1_000_000;
/// The number that all of BrowserGym's seeds come from.
const META_SEED: u32 = 42;
/// Episodes of each task in BrowserGym.
const N_REPEATS: u64 = 5;
/// The first of Pix2Act's seeds; the others count up.
const PIX2ACT_FIRST_SEED: u64 = 1_201_539_860;
/// Success in SeeClick is more than this.
const SEECLICK_ENOUGH: f64 = 0.8;

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Browsergym, Self::Pix2act, Self::Seeclick];

    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browsergym => "browsergym",
            Self::Pix2act => "pix2act",
            Self::Seeclick => "seeclick",
        }
    }

    /// Steps of an episode at most.
    pub fn max_steps(self, task: &Task) -> usize {
        match self {
            Self::Browsergym => 10,
            Self::Pix2act => 30,
            Self::Seeclick if ["guess-number", "use-slider", "choose-date"].contains(&task.name) => 30,
            Self::Seeclick => 10,
        }
    }

    /// How long the page waits before it ends an episode, in milliseconds; nothing leaves the page its own limit.
    pub fn time_limit_ms(self) -> Option<u32> {
        match self {
            Self::Browsergym => Some(1_000_000),
            Self::Pix2act => Some(3_600_000),
            Self::Seeclick => None,
        }
    }

    /// Whether the page's utterance is taken off the page: then the goal alone says what is to be done.
    pub fn hides_query(self) -> bool {
        self == Self::Browsergym
    }

    /// What of the page is to be seen, where nothing else is wanted.
    pub fn area(self) -> Area {
        match self {
            Self::Browsergym => Area::Page,
            Self::Pix2act | Self::Seeclick => Area::Task,
        }
    }

    /// Screenshot pixels per CSS pixel.
    pub fn zoom(self) -> f64 {
        match self {
            Self::Browsergym => 1.5,
            Self::Pix2act | Self::Seeclick => 1.0,
        }
    }

    /// Which of its two distributions a page draws from; nothing leaves it as it is loaded.
    pub(crate) fn data_mode(self) -> Option<&'static str> {
        match self {
            Self::Browsergym => None,
            Self::Pix2act | Self::Seeclick => Some("train"),
        }
    }

    /// Whether an episode with these rewards of the page, raw and decayed with time, is solved.
    pub fn is_success(self, raw: f64, decayed: f64) -> bool {
        match self {
            Self::Browsergym | Self::Pix2act => raw > 0.0,
            Self::Seeclick => decayed > SEECLICK_ENOUGH,
        }
    }

    /// The tasks that it plays. SeeClick's own list is part of a data set that is not published with its code.
    pub fn tasks(self) -> Vec<&'static Task> {
        match self {
            Self::Browsergym | Self::Seeclick => TASKS.iter().collect(),
            Self::Pix2act => PIX2ACT.iter().filter_map(|name| Task::named(name)).collect(),
        }
    }

    /// Episodes of each task.
    pub fn n_episodes(self) -> u64 {
        match self {
            Self::Browsergym => N_REPEATS,
            Self::Pix2act => 100,
            Self::Seeclick => 10,
        }
    }

    /// The seed of the page in the episode of that number. Behind BrowserGym's five the 34 are gone through in order;
    /// SeeClick has none of its own, so they are drawn from the task.
    pub fn page_seed(self, task: &Task, episode: u64) -> u64 {
        match self {
            Self::Browsergym if episode < N_REPEATS => {
                let mut seeds = RandomState::new(META_SEED);
                let before = task.place() as u64 * N_REPEATS + episode;
                for _ in 0..before {
                    seeds.below(N_TASK_SEEDS);
                }
                in_page(seeds.below(N_TASK_SEEDS))
            }
            Self::Browsergym => in_page(((episode - N_REPEATS) % u64::from(N_TASK_SEEDS)) as u32),
            Self::Pix2act => PIX2ACT_FIRST_SEED + episode,
            Self::Seeclick => {
                let mut seeds = RandomState::new(task.place() as u32);
                for _ in 0..episode {
                    seeds.below(N_PAGE_SEEDS);
                }
                u64::from(seeds.below(N_PAGE_SEEDS))
            }
        }
    }
}

impl Protocol {
    /// The seeds of pages that it measures a task with, each once: of BrowserGym's all that there are.
    pub fn measured_seeds(self, task: &Task) -> Vec<u64> {
        if self == Self::Browsergym {
            return browsergym_page_seeds();
        }
        let mut seeds = Vec::new();
        for seed in (0..self.n_episodes()).map(|episode| self.page_seed(task, episode)) {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
        seeds
    }
}

/// The seed of a page of BrowserGym, from that of the task.
fn in_page(task_seed: u32) -> u64 {
    u64::from(RandomState::new(task_seed).below(N_PAGE_SEEDS))
}

/// The seeds of pages that BrowserGym's protocol measures with, all that there are.
pub fn browsergym_page_seeds() -> Vec<u64> {
    (0..N_TASK_SEEDS).map(in_page).collect()
}

/// Seeds to learn from begin here: those of every protocol are below.
const FIRST_TRAINING_SEED: u64 = 1 << 32;
/// And end here: a page keeps a seed as a number with 53 bits.
const N_TRAINING_SEEDS: u64 = 1 << 52;

/// The `idx`-th seed to learn from. No protocol measures with one of them, because theirs are all below 2 to the power
/// of 32, and these are not.
pub fn training_seed(idx: u64) -> u64 {
    FIRST_TRAINING_SEED + idx % N_TRAINING_SEEDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seeds_of(name: &str) -> Vec<u64> {
        let task = Task::named(name).unwrap();
        (0..N_REPEATS).map(|episode| Protocol::Browsergym.page_seed(task, episode)).collect()
    }

    #[test]
    fn the_seeds_of_browsergym_are_those_that_numpy_draws() {
        let drawn = BROWSERGYM;
        assert_eq!(browsergym_page_seeds(), drawn);
        // Seeds of tasks: 28, 14, 7, 20, 18 and 20, 5, 0, 4, 11.
        let of = |places: [usize; 5]| places.map(|place| drawn[place]).to_vec();
        assert_eq!(seeds_of("ascending-numbers"), of([28, 14, 7, 20, 18]));
        assert_eq!(seeds_of("bisect-angle"), of([22, 10, 10, 23, 23]));
        assert_eq!(seeds_of("visual-addition"), of([20, 5, 0, 4, 11]));
    }

    #[test]
    fn a_third_of_the_tasks_has_a_seed_twice() {
        let is_twice = |task: &&Task| seeds_of(task.name).into_iter().collect::<BTreeSet<_>>().len() < 5;
        assert_eq!(TASKS.iter().filter(is_twice).count(), 33);
    }

    #[test]
    fn no_seed_to_learn_from_is_one_to_measure_with() {
        let mut measured: BTreeSet<u64> = browsergym_page_seeds().into_iter().collect();
        assert_eq!(measured.len(), 34);
        for protocol in Protocol::ALL {
            let tasks = protocol.tasks();
            let seeds =
                tasks.iter().flat_map(|task| (0..200).map(|episode| protocol.page_seed(task, episode)));
            measured.extend(seeds);
        }
        let most = measured.last().copied().unwrap();
        assert!(most < FIRST_TRAINING_SEED, "{most}");
        for idx in [0, 1, 999_999, N_TRAINING_SEEDS - 1, N_TRAINING_SEEDS, u64::MAX] {
            let seed = training_seed(idx);
            assert!(seed > most && seed < 1 << 53, "{idx}: {seed}");
        }
        let first: BTreeSet<u64> = (0..10_000).map(training_seed).collect();
        assert_eq!(first.len(), 10_000);
    }

    #[test]
    fn success_is_what_each_protocol_calls_it() {
        let is_success = |raw, decayed| Protocol::ALL.map(|protocol| protocol.is_success(raw, decayed));
        assert_eq!(is_success(0.1, 0.05), [true, true, false], "partial credit counts in two of them");
        assert_eq!(is_success(1.0, 0.7), [true, true, false], "a slow solution");
        assert_eq!(is_success(1.0, 0.9), [true; 3]);
        assert_eq!(is_success(-1.0, -1.0), [false; 3]);
        assert_eq!(is_success(0.0, 0.0), [false; 3]);
    }

    const BROWSERGYM: [u64; 34] = [
        985_772, 128_037, 875_688, 71_530, 991_406, 297_827, 162_698, 585_903, 594_371, 516_478, 345_353,
        403_353, 472_907, 491_858, 117_355, 794_056, 629_417, 993_903, 978_218, 521_821, 879_066, 605_129,
        895_861, 893_523, 242_082, 29_828, 316_213, 791_571, 42_241, 272_893, 431_909, 709_330, 10_967,
        941_076,
    ];
}
