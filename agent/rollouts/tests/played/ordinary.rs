//! Ordinary runs as samples: what can be learned from, and what must not be written.

use std::sync::Arc;
use std::time::Duration;

use crate::common::Saying;
use image::RgbImage;
use vigorl_agent::{Agent, Cancel, Checks, Eyes, Hands, InOrder, Leash, PlaceEyes, PolicyEyes, run_episode};
use vigorl_geometry::{DevicePixelRatio, Rect};
use vigorl_interface::Screenshot;
use vigorl_policy::{Preset, Sampling};
use vigorl_rollouts::{Calls, Images, Kept, Noted, Ordinary, Overheard, SaidBy, Sample, SampleKey};
use vigorl_tasks::Blind;
use vigorl_tasks::picture::PictureWorld;

const CLICK: &str = "<think> hunter2 is there (5, 5). </think>\n<answer> (5, 5) </answer>";

fn world() -> PictureWorld {
    let pixels = Arc::new(RgbImage::from_pixel(40, 20, image::Rgb([9; 3])));
    let screenshot = Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::ONE };
    PictureWorld::new(screenshot, "the box", vec![Rect::new(0.0, 0.0, 20.0, 20.0)])
}

fn key() -> SampleKey {
    SampleKey { run: 0, step: 0, source: "hunter2.yaml".to_owned(), seed: 0, sample: 0 }
}

/// One click as an ordinary run; nothing looks if there is no policy.
fn played(asked_as: Option<(&Sampling, &Preset)>, hide: &dyn Fn(&str) -> String) -> Sample {
    let calls = Calls::default();
    let mut policy = Kept { policy: Saying(CLICK), calls: Some(calls.clone()) };
    let mut eyes: Box<dyn Eyes + '_> = match asked_as {
        Some((sampling, preset)) => Box::new(PolicyEyes::new(&mut policy, preset, sampling)),
        None => Box::new(PlaceEyes),
    };
    let (mut world, mut nobody) = (world(), ());
    let (mut noted, mut overheard) = (Noted::new(&mut world), Overheard::new(&mut nobody, calls));
    let mut agent = Agent {
        eyes: &mut *eyes,
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::ZERO,
        hands: Hands::Act,
        cancel: &Cancel::default(),
        leash: Leash::new(None, None, None),
    };
    let mut plan = InOrder::click("the box");
    let episode = run_episode(&mut agent, &mut plan, &mut noted, 0, &mut overheard).unwrap();
    let said_by = SaidBy { policy: "saying".to_owned(), ..SaidBy::default() };
    let (key, images) = (key(), Images::nowhere());
    let ordinary = Ordinary { key: &key, said_by: &said_by, asked_as, hide, images: &images };
    overheard.sample(ordinary, &episode, &noted).unwrap()
}

fn free() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::greedy(100) }
}

#[test]
fn what_a_policy_chose_freely_can_be_learned_from() {
    let sample = played(Some((&free(), &Preset::web_grounding().for_rollouts())), &str::to_owned);
    assert_eq!((sample.paid, sample.reward, sample.success), (Some(1.0), Some(1.0), Some(true)));
    let [action] = &sample.actions[..] else { panic!("{sample:#?}") };
    assert!(action.is_trainable && action.done);
    assert_eq!((action.answer, &*action.turns[0].text), (Some([5.0, 5.0]), CLICK));
    assert_eq!(action.turns[0].ids.len(), CLICK.len());
    assert!(sample.first_screenshot.is_some());
}

#[test]
fn what_was_held_or_greedy_or_decided_by_somebody_else_teaches_nothing() {
    let rollouts = Preset::web_grounding().for_rollouts();
    let held = Preset { constrain: true, ..rollouts.clone() };
    let greedy = Sampling::greedy(100);
    for asked_as in [Some((&greedy, &rollouts)), Some((&free(), &Preset::nano())), None] {
        let sample = played(asked_as, &str::to_owned);
        assert!(sample.actions.iter().all(|action| !action.is_trainable), "{sample:#?}");
    }
    // A policy that holds no forms is not asked for one, and its preset says so all the same.
    assert_ne!(held, held.clone().for_rollouts());
}

#[test]
fn what_is_hidden_has_no_tokens_and_teaches_nothing() {
    let hide = |text: &str| text.replace("hunter2", "${secret:PASSWORD}");
    let sample = played(Some((&free(), &Preset::web_grounding().for_rollouts())), &hide);
    let line = serde_json::to_string(&sample).unwrap();
    assert!(!line.contains("hunter2"), "{line}");
    let turn = &sample.actions[0].turns[0];
    assert!(turn.text.contains("${secret:PASSWORD}") && turn.ids.is_empty() && turn.logprobs.is_empty());
    assert!(!sample.actions[0].is_trainable);
}
