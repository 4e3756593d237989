//! Groups of episodes with a policy that draws its answer from its seed, on worlds that are pictures and that may fail.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::completion;
use image::RgbImage;
use vigorl_agent::Cancel;
use vigorl_geometry::fit::PixelBudget;
use vigorl_geometry::{DevicePixelRatio, Rect, Size, Viewport};
use vigorl_interface::{Action, Driver, Screenshot};
use vigorl_judges::{Mixture, Rewards, RewardsConfig};
use vigorl_policy::{Completion, Conversation, Finish, Policy, PolicyError, Preset, Sampling, TokenStream};
use vigorl_rollouts::{
    CollectError, Collected, Collecting, Ended, Group, Images, Kit, SaidBy, Sample, Store, Wanted, collect,
    compare, read_samples,
};
use vigorl_tasks::picture::PictureWorld;
use vigorl_tasks::sources::{Part, Source, Stage};
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict};

/// Answers a place that its seed draws, or says nothing that can be read.
struct Drawing;

impl Policy for Drawing {
    fn complete(
        &mut self,
        _conversation: &Conversation,
        sampling: &Sampling,
        _stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let x = sampling.seed % 40;
        let text = match sampling.seed % 7 {
            0 => "nothing".to_owned(),
            _ => format!("<think> There ({x}, 5). </think>\n<answer> ({x}, 5) </answer>"),
        };
        Ok(completion(&text, Finish::StopString))
    }

    fn pixel_budget(&self) -> PixelBudget {
        PixelBudget { min_pixels: 1, max_pixels: 1 << 24, factor: 1 }
    }

    fn name(&self) -> &str {
        "drawing"
    }
}

#[derive(Default)]
struct Tools {
    /// A file of rewards.
    rewards: Option<&'static str>,
}

impl Kit for Tools {
    fn driver(&self, _viewport: Size<Viewport>) -> Result<Box<dyn Driver>, Failure> {
        Err("no browser is needed".into())
    }
    fn senses(&self) -> Result<Box<dyn Senses>, Failure> {
        Ok(Box::new(Blind))
    }
    fn device_pixel_ratio(&self) -> DevicePixelRatio {
        DevicePixelRatio::ONE
    }
    fn rewards(&self) -> Result<Option<Rewards>, Failure> {
        let config: Option<RewardsConfig> = self.rewards.map(toml::from_str).transpose()?;
        Ok(config.as_ref().map(Rewards::in_worlds).transpose()?)
    }
}

/// Pictures whose shade is the seed. A reset, and then a judge, may fail so many times.
#[derive(Debug, Default)]
struct Pictures {
    resets_fail: AtomicUsize,
    judges_fail: AtomicUsize,
    changes: bool,
    n_resets: AtomicUsize,
}

struct World<'s>(&'s Pictures, PictureWorld);

/// One less, and whether there was one.
fn takes_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

fn picture(shade: u8) -> PictureWorld {
    let pixels = Arc::new(RgbImage::from_pixel(40, 20, image::Rgb([shade; 3])));
    let screenshot = Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::ONE };
    PictureWorld::new(screenshot, format!("the box of {shade}"), vec![Rect::new(0.0, 0.0, 20.0, 20.0)])
}

impl Source for Pictures {
    fn name(&self) -> &str {
        "pictures"
    }
    fn about(&self) -> String {
        "pictures".to_owned()
    }
    fn seed(&self, part: Part, number: u64) -> u64 {
        2 * number + u64::from(part == Part::HeldOut)
    }
    fn world<'w>(&'w self, _stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(World(self, picture(0))))
    }
}

impl Environment for World<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        let n = self.0.n_resets.fetch_add(1, Ordering::SeqCst);
        if takes_one(&self.0.resets_fail) {
            return Err("no reset".into());
        }
        self.1 = picture(if self.0.changes { n as u8 } else { seed as u8 });
        Ok(Start { max_steps: Some(1), ..self.1.reset(seed)? })
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.1.observe()
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.1.perform(act)
    }
    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        match takes_one(&self.0.judges_fail) {
            true => Err("no judge".into()),
            false => self.1.judge(answer, senses, allowance),
        }
    }
}

/// Plays groups of four, and keeps them.
fn played(
    source: &Pictures,
    n_groups: u64,
    n_at_once: usize,
    cancel: &Cancel,
) -> (Vec<Group>, Result<Collected, CollectError>) {
    played_with(&Tools::default(), source, n_groups, n_at_once, cancel)
}

fn played_with(
    kit: &Tools,
    source: &Pictures,
    n_groups: u64,
    n_at_once: usize,
    cancel: &Cancel,
) -> (Vec<Group>, Result<Collected, CollectError>) {
    let sampling = Sampling { temperature: 1.0, top_p: 0.99, ..Sampling::greedy(100) };
    played_as(kit, source, n_groups, n_at_once, cancel, &sampling)
}

fn played_as(
    kit: &Tools,
    source: &Pictures,
    n_groups: u64,
    n_at_once: usize,
    cancel: &Cancel,
    sampling: &Sampling,
) -> (Vec<Group>, Result<Collected, CollectError>) {
    let preset = Preset::web_grounding_multiturn().for_rollouts();
    let said_by = SaidBy { policy: "drawing".to_owned(), ..SaidBy::default() };
    let how = Collecting {
        source,
        kit,
        policy: &|| Box::new(Drawing),
        preset: &preset,
        sampling,
        is_told: false,
        is_blindfolded: false,
        said_by: &said_by,
        images: &Images::nowhere(),
        settle_cap: Duration::ZERO,
        max_time: None,
        cancel,
        n_at_once,
    };
    let wanted = Wanted::groups(source, Part::Train, 0, n_groups, 4, 11, 0);
    let mut groups = Vec::new();
    let result = collect(&how, &wanted, &mut |group| {
        groups.push(group);
        Ok(())
    });
    (groups, result)
}

fn samples(groups: &[Group]) -> Vec<Sample> {
    groups.iter().flat_map(|group| &group.samples).map(|played| played.sample.clone()).collect()
}

#[test]
fn groups_come_in_order_and_samples_do_not_depend_on_who_plays_them() {
    let (alone, collected) = played(&Pictures::default(), 6, 1, &Cancel::default());
    let collected = collected.unwrap();
    assert_eq!((collected.n_samples, collected.n_errors, collected.is_cancelled), (24, 0, false));
    let numbers: Vec<(u64, usize, bool)> =
        alone.iter().map(|group| (group.number, group.samples.len(), group.is_same_start)).collect();
    assert_eq!(numbers, (0..6).map(|n| (n, 4, true)).collect::<Vec<_>>());
    let (beside, _) = played(&Pictures::default(), 6, 5, &Cancel::default());
    let (alone, beside) = (samples(&alone), samples(&beside));
    for (one, other) in alone.iter().zip(&beside) {
        assert_eq!(compare(one, other), None);
        assert_eq!(one.key, other.key);
    }
    // Equal questions have different draws, and what cannot be read ends the conversation and earns nothing.
    let texts: BTreeSet<&str> = alone.iter().map(|sample| &*sample.actions[0].turns[0].text).collect();
    assert!(texts.len() > 10, "{texts:?}");
    let malformed: Vec<&Sample> =
        alone.iter().filter(|sample| sample.actions[0].malformed.is_some()).collect();
    assert!(!malformed.is_empty());
    for sample in malformed {
        assert_eq!((sample.actions[0].turns.len(), sample.reward), (1, Some(0.0)));
        assert_eq!((sample.ended, sample.actions[0].done), (Ended::StepLimit, false));
    }
    for sample in alone.iter().filter(|sample| sample.actions[0].done) {
        let is_hit = sample.actions[0].answer.unwrap()[0] <= 20.0;
        assert_eq!((sample.reward, sample.ended), (Some(f64::from(u8::from(is_hit))), Ended::Judged));
        let turn = &sample.actions[0].turns[0];
        assert_eq!((turn.ids.len(), turn.logprobs.len()), (turn.text.len(), turn.text.len()));
    }
}

#[test]
fn a_failed_world_is_tried_once_more_and_is_never_a_reward_of_0() {
    for fails in [
        Pictures { resets_fail: 1.into(), ..Pictures::default() },
        Pictures { judges_fail: 1.into(), ..Pictures::default() },
    ] {
        let (groups, collected) = played(&fails, 3, 1, &Cancel::default());
        let collected = collected.unwrap();
        assert_eq!((collected.n_samples, collected.n_errors, collected.failed.len()), (12, 1, 0));
        assert_eq!(
            collected.errors.values().collect::<Vec<_>>(),
            [&1],
            "also what went well the second time"
        );
        let (well, _) = played(&Pictures::default(), 3, 1, &Cancel::default());
        assert!(samples(&groups).iter().zip(&samples(&well)).all(|(a, b)| compare(a, b).is_none()));
    }
    // Twice: the group is smaller.
    let fails = Pictures { judges_fail: 2.into(), ..Pictures::default() };
    let (groups, collected) = played(&fails, 3, 1, &Cancel::default());
    let collected = collected.unwrap();
    assert_eq!((collected.n_samples, collected.n_errors, collected.failed["pictures"]), (11, 2, 1));
    assert_eq!(collected.errors.into_iter().collect::<Vec<_>>(), [("no judge".to_owned(), 2)]);
    assert_eq!((groups[0].samples.len(), groups[0].failed.len()), (3, 1));
    assert_eq!(groups[0].failed[0].error, "no judge");
    assert!(groups[0].samples.iter().all(|played| played.sample.key.sample != 0));
}

#[test]
fn a_world_that_keeps_failing_ends_it_with_its_words() {
    for n_at_once in [1, 3] {
        let fails = Pictures { judges_fail: usize::MAX.into(), ..Pictures::default() };
        let (groups, result) = played(&fails, 50, n_at_once, &Cancel::default());
        let error = result.unwrap_err().to_string();
        assert_eq!(error, "5 episodes in a row failed, the last one: no judge");
        assert!(samples(&groups).is_empty());
        assert!(fails.n_resets.load(Ordering::SeqCst) < 40, "nobody goes on");
    }
}

#[test]
fn what_was_played_is_handed_over_when_somebody_ends_it() {
    let cancel = Cancel::default();
    cancel.set();
    let (groups, collected) = played(&Pictures::default(), 3, 2, &cancel);
    assert_eq!((groups.len(), collected.unwrap().is_cancelled), (0, true));
}

#[test]
fn a_group_whose_first_screenshots_differ_is_told() {
    let changing = Pictures { changes: true, ..Pictures::default() };
    let (groups, _) = played(&changing, 2, 1, &Cancel::default());
    assert!(groups.iter().all(|group| !group.is_same_start));
}

#[test]
fn lines_are_read_back_and_a_torn_last_one_loses_nothing_else() {
    let (groups, _) = played(&Pictures::default(), 2, 1, &Cancel::default());
    let all = samples(&groups);
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::create(folder.path()).unwrap();
    all.iter().for_each(|sample| store.add(sample).unwrap());
    assert_eq!(read_samples(folder.path()).unwrap(), all);
    assert!(Store::create(folder.path()).is_err(), "nothing is written over");
    let path = folder.path().join("rollouts.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 30]).unwrap();
    assert_eq!(read_samples(folder.path()).unwrap(), all[..7]);
    fs::write(&path, format!("{{}}\n{text}")).unwrap();
    let error = read_samples(&path).unwrap_err().to_string();
    assert!(error.contains("line 1 is damaged"), "{error}");
}

#[test]
fn numbers_are_read_back_to_the_last_bit() {
    let (groups, _) = played(&Pictures::default(), 1, 1, &Cancel::default());
    let sample = samples(&groups).into_iter().find(|sample| sample.actions[0].done).unwrap();
    // Neighbours of what a sloppy reader makes of their digits.
    let mut numbers = vec![127.062_500_000_000_01, 0.1 + 0.2, 5e-324, 1.0 / 3.0, 64.062_500_000_000_01];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.push((state >> 11) as f64 / 4_398_046_511_104.0);
    }
    for number in numbers {
        let mut written = sample.clone();
        written.actions[0].answer = Some([number, -number]);
        (written.paid, written.reward) = (Some(number), Some(number));
        written.actions[0].turns[0].logprobs[0] = number as f32;
        let read: Sample = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        assert_eq!(read, written, "{number}");
        assert_eq!(compare(&written, &read), None);
    }
}

#[test]
fn what_is_greedy_was_not_drawn_and_teaches_nothing() {
    for (temperature, is_trainable) in [(1.0, true), (0.3, true), (0.0, false)] {
        let sampling = Sampling { temperature, ..Sampling::greedy(100) };
        let (groups, _) =
            played_as(&Tools::default(), &Pictures::default(), 2, 1, &Cancel::default(), &sampling);
        let all = samples(&groups);
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|sample| sample.actions[0].is_trainable == is_trainable), "{temperature}");
    }
}

#[test]
fn a_picture_is_kept_once_and_before_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = Images::under(folder.path());
    let pixels = Arc::new(RgbImage::from_pixel(4, 3, image::Rgb([9; 3])));
    let name = images.keep(&pixels).unwrap();
    assert_eq!(images.keep(&Arc::new((*pixels).clone())).unwrap(), name);
    assert_eq!(image::open(folder.path().join(&name)).unwrap().into_rgb8(), *pixels);
    let turned = Arc::new(RgbImage::from_pixel(3, 4, image::Rgb([9; 3])));
    assert_ne!(images.keep(&turned).unwrap(), name, "the same bytes in another shape");
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    fs::write(folder.path().join("images"), "a file").unwrap();
    assert!(images.keep(&Arc::new(RgbImage::new(1, 1))).unwrap_err().to_string().contains("cannot write"));
}

#[test]
fn what_differs_in_a_repetition_is_named() {
    let (groups, _) = played(&Pictures::default(), 1, 1, &Cancel::default());
    let sample = samples(&groups).into_iter().find(|sample| sample.actions[0].done).unwrap();
    assert_eq!(compare(&sample, &sample), None);
    let changed = |change: &dyn Fn(&mut Sample)| {
        let mut other = sample.clone();
        change(&mut other);
        compare(&sample, &other).map(|difference| difference.to_string()).unwrap_or_default()
    };
    for (change, words) in [
        (&(|s: &mut Sample| s.goal.clear()) as &dyn Fn(&mut Sample), "it asked for"),
        (&|s| s.first_screenshot = None, "first screenshot"),
        (&|s| s.actions[0].turns[0].ids[2] += 1, "token 3 is another one"),
        (&|s| s.actions[0].turns[0].messages.clear(), "it was asked something else"),
        (&|s| s.actions[0].answer = None, "and now nothing"),
        (&|s| s.actions[0].answer = Some([1.5, 2.0]), "and now (1.5, 2)"),
        (&|s| s.actions.clear(), "had 1 actions"),
        (&|s| (s.paid, s.reward) = (Some(7.0), None), "and now it was ended by the judge, "),
        (&|s| (s.paid, s.reward) = (Some(7.0), None), ", paid 7"),
        (&|s| (s.paid, s.reward) = (None, None), "nothing is known of its pay"),
        (&|s| s.ended = Ended::TokenLimit, "and now it ended at the limit of tokens"),
        (&|s| s.success = None, "nobody could tell whether it was solved"),
    ] {
        let said = changed(change);
        assert!(said.contains(words), "{words}: {said}");
        for debug in ["Some", "None", "StepLimit", "TokenLimit", "Judged", "[", "true", "false"] {
            assert!(!said.contains(debug), "as a program would say it: {said}");
        }
    }
    // What a clock decides does not count, nor what rewards of one's own make of it.
    assert_eq!(changed(&|s| s.millis.total += 5.0), "");
    assert_eq!(changed(&|s| s.reward = None), "");
    // Lines from before there were mixtures say only the reward.
    assert_eq!(changed(&|s| s.paid = None), "");
}

#[test]
fn a_mixture_is_made_of_what_everybody_said_and_can_be_made_again() {
    let rewards = "judge = 'point_in_bbox_grounded_thinking'\nmode = 'fixed'\n\
                   [weights]\naccuracy = 0.6\nformat = 0.3\nwords = 0.1\nenvironment = 0\n\
                   [own.words]\ncommand = 'grep -c think; true'\n\
                   limit_secs = 20\nbounds = [0, 1]\n";
    let kit = Tools { rewards: Some(rewards) };
    let (groups, collected) = played_with(&kit, &Pictures::default(), 2, 2, &Cancel::default());
    assert_eq!(collected.unwrap().n_samples, 8);
    let weights = [("accuracy", 0.6), ("format", 0.3), ("words", 0.1)];
    let mixture = Mixture::try_new(weights.map(|(name, weight)| (name.to_owned(), weight)).into()).unwrap();
    for sample in samples(&groups) {
        let judged = sample.judged.clone().unwrap();
        let value = |name: &str| judged.entry(name).unwrap().value().unwrap();
        let is_right = sample.paid == Some(1.0);
        let is_read = sample.actions[0].malformed.is_none();
        assert_eq!((value("environment"), value("accuracy")), (sample.paid.unwrap(), sample.paid.unwrap()));
        assert_eq!(
            (value("format"), value("words")),
            (f64::from(u8::from(is_read)), f64::from(u8::from(is_read)))
        );
        let expected = 0.6 * f64::from(u8::from(is_right)) + 0.4 * f64::from(u8::from(is_read));
        assert!((sample.reward.unwrap() - expected).abs() < 1e-12, "{sample:?}");
        let line = serde_json::to_string(&sample).unwrap();
        let again: Sample = serde_json::from_str(&line).unwrap();
        assert_eq!(mixture.reward(&again.judged.unwrap()).ok(), sample.reward);
    }
}

#[test]
fn a_reward_that_is_no_number_or_comes_from_nowhere_ends_it_and_loses_nothing() {
    for (own, words) in [
        ("command = 'echo NaN'", "which is no finite number"),
        ("command = 'exit 3'", "ended with code 3"),
        ("url = 'http://127.0.0.1:9/reward'", "cannot be reached"),
        ("command = 'echo 7'", "7 is not from 0 to 1"),
    ] {
        let text = format!(
            "[weights]\nenvironment = 1\nmine = 1\n[own.mine]\n{own}\nlimit_secs = 20\nbounds = [0, 1]\n"
        );
        let kit = Tools { rewards: Some(text.leak()) };
        let (groups, result) = played_with(&kit, &Pictures::default(), 50, 1, &Cancel::default());
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with("5 samples in a row have no reward, the last one because of `mine`"),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
        let kept = samples(&groups);
        assert_eq!(kept.len(), 5, "those of a group that is not whole, too");
        for sample in kept {
            assert_eq!(sample.reward, None, "never 0");
            assert!(sample.unrewarded.unwrap().contains(words));
            assert!(sample.paid.is_some(), "what the world paid is known all the same");
        }
    }
}

#[test]
fn a_reward_that_counts_for_nothing_may_fail() {
    let text = "[weights]\nenvironment = 1\nmine = 0\n[own.mine]\ncommand = 'exit 3'\nlimit_secs = 20\n\
                bounds = [0, 1]\n";
    let (groups, collected) =
        played_with(&Tools { rewards: Some(text) }, &Pictures::default(), 2, 1, &Cancel::default());
    assert_eq!(collected.unwrap().n_samples, 8);
    assert!(samples(&groups).iter().all(|sample| sample.reward == sample.paid));
}

#[test]
fn what_no_world_says_has_no_weight() {
    let config: RewardsConfig = toml::from_str("[weights]\nspeed = 1\n").unwrap();
    let error = Rewards::in_worlds(&config).unwrap_err().to_string();
    assert_eq!(error, "nobody says `speed`: weights can be given to environment, clauses");
}
