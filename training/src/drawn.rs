//! Which episodes a step of learning by reward plays.
//!
//! Invariant: they follow from the seed, the step and, with a curriculum, from how often environments taught anything.

use std::collections::BTreeMap;

use rand::RngExt;
use vigorl_rollouts::{SampleKey, Wanted};
use vigorl_tasks::sources::Part;

use crate::checkpoint::{RewardState, TrainerState};
use crate::grpo_config::{EnvironmentConfig, GrpoConfig};
use crate::play::Sources;
use crate::seed::stream;

/// How fast it is forgotten how much an environment taught, for the curriculum.
const FORGETTING: f64 = 0.2;
/// Chance of an environment that teaches nothing, relative to one whose every group does.
const LEAST_CHANCE: f64 = 0.1;

/// Which episodes a round plays, and in which environment.
pub(crate) fn wanted(
    config: &GrpoConfig,
    sources: &Sources,
    state: &TrainerState,
    round: u64,
) -> Vec<(usize, Wanted)> {
    let GrpoConfig { run, group, .. } = config;
    let chances = chances(config, &state.reward);
    let mut drawn: Vec<(usize, u64)> = Vec::new();
    let mut rng = stream(run.seed, &[state.step, round, 0]);
    let mut wanted = Vec::new();
    for number in 0..group.per_step {
        // The same episode twice would be the same samples twice; a small set may have no other.
        let mut episode = (0, 0);
        for _ in 0..100 {
            let index = draw(&chances, rng.random());
            let source = &sources.training[index];
            let n = source.n_episodes(Part::Train).unwrap_or(1 << 40);
            episode = (index, source.seed(Part::Train, rng.random_range(0..n)));
            if !drawn.contains(&episode) {
                break;
            }
        }
        drawn.push(episode);
        let (index, seed) = episode;
        let source = sources.training[index].name().to_owned();
        wanted.extend((0..group.size).map(|sample| {
            // Each round has draws of its own, and so has an episode that comes twice.
            let sample = (round * group.per_step + number) * group.size + sample;
            let key = SampleKey { run: run.seed, step: state.step, source: source.clone(), seed, sample };
            (index, Wanted { key, part: Part::Train, group: number })
        }));
    }
    wanted
}

/// The chance of each environment, not normalised.
fn chances(config: &GrpoConfig, known: &RewardState) -> Vec<f64> {
    let of_environment = |environment: &EnvironmentConfig| {
        let teaching = known.teaching.get(&environment.name).copied().unwrap_or(1.0);
        match config.group.curriculum {
            true => environment.weight * (LEAST_CHANCE + (1.0 - LEAST_CHANCE) * teaching),
            false => environment.weight,
        }
    };
    config.environments.iter().map(of_environment).collect()
}

/// Takes in how much each environment taught in a step: its groups, and how many of them have different rewards. Rewards that
/// are paid in parts teach before anything is solved, so success would say less.
pub(crate) fn remember_teaching(known: &mut RewardState, teaching_of: &BTreeMap<String, (usize, usize)>) {
    for (source, (n, n_teaching)) in teaching_of {
        let share = *n_teaching as f64 / *n as f64;
        let known = known.teaching.entry(source.clone()).or_insert(share);
        *known += FORGETTING * (share - *known);
    }
}

/// Which of the chances a number from 0 to 1 falls on.
fn draw(chances: &[f64], at: f64) -> usize {
    let mut left = at * chances.iter().sum::<f64>();
    for (index, chance) in chances.iter().enumerate() {
        left -= chance;
        if left < 0.0 {
            return index;
        }
    }
    chances.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(curriculum: bool) -> GrpoConfig {
        let text = format!(
            "preset = 'nano'\n[run]\noutput_dir = 'out'\n[group]\ncurriculum = {curriculum}\n\
             [[environment]]\nname = 'easy'\nweight = 1\n[[environment]]\nname = 'half'\nweight = 1\n\
             [[environment]]\nname = 'new'\nweight = 2\n"
        );
        GrpoConfig::parse(&text, std::path::Path::new("test.toml"), &[]).unwrap()
    }

    #[test]
    fn a_curriculum_draws_what_teaches() {
        let mut known = RewardState::default();
        let of =
            |easy, half| BTreeMap::from([("easy".to_owned(), (4, easy)), ("half".to_owned(), (4, half))]);
        remember_teaching(&mut known, &of(0, 2));
        assert_eq!(chances(&config(false), &known), [1.0, 1.0, 2.0]);
        // What nobody has played yet may teach.
        assert_eq!(chances(&config(true), &known), [0.1, 0.55, 2.0]);
        // What stops to teach is forgotten slowly.
        remember_teaching(&mut known, &of(0, 0));
        let half = chances(&config(true), &known)[1];
        assert!((half - (0.1 + 0.9 * 0.4)).abs() < 1e-12, "{half}");
    }

    #[test]
    fn draws_follow_the_chances() {
        let drawn: Vec<usize> = (0..10).map(|n| draw(&[1.0, 0.0, 3.0, 1.0], f64::from(n) / 10.0)).collect();
        assert_eq!(drawn, [0, 0, 2, 2, 2, 2, 2, 2, 3, 3]);
        assert_eq!(draw(&[1.0, 1.0], 1.0), 1);
    }
}
