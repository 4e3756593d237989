//! Conversations side by side say what each says alone, to the last bit: with the embedded weights, random ones, and
//! quantized ones. Where one goes on behind another one's beginning, sums are made in another order, and
//! log-probabilities agree within 1e-5. On the CPU.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use image::{Rgb, RgbImage};
use vigorl_policy::grammar::AnswerForm;
use vigorl_policy::wire::STOP_STRINGS;
use vigorl_policy::{
    AnswerKind, Completion, Conversation, Finish, Grounding, Message, Opening, Part, Policy, PolicyError,
    Preset, Role, Sampling, TurnForm, ground, share,
};
use vigorl_qwen::{Engine, LoadOptions, ModelSource, WeightFormat};

const FORM: TurnForm = TurnForm {
    opening: Opening::Thought,
    may_zoom: true,
    answer: AnswerKind::Point,
    written: AnswerForm::Tagged,
    below: [192, 160],
};

fn load(source: &ModelSource, format: WeightFormat) -> Engine {
    Engine::load(source, &LoadOptions { format, ..LoadOptions::default() }).unwrap()
}

fn nano() -> Engine {
    load(&ModelSource::Nano, WeightFormat::NAMED[0].1)
}

/// The conversation goes on: what was said, and one more question.
fn continued(mut conversation: Conversation, said: Message) -> Conversation {
    conversation.messages.extend([said, Message::text(Role::User, "click the blue circle")]);
    conversation
}

/// Random weights, and a tokenizer that cuts as that of published checkpoints does.
fn random() -> ModelSource {
    ModelSource::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/tied_patch7"))
}

/// A page with widgets of two colours.
fn page(seed: u32) -> Arc<RgbImage> {
    let place = |n: u32| (10 + (seed + n) * 29 % 150, 12 + (seed + n) * 47 % 120);
    let (red, blue) = (place(0), place(5));
    Arc::new(RgbImage::from_fn(192, 160, |x, y| {
        let inside = |(left, top): (u32, u32)| (left..left + 20).contains(&x) && (top..top + 14).contains(&y);
        match (inside(red), inside(blue)) {
            (true, _) => Rgb([216, 30, 36]),
            (_, true) => Rgb([30, 60, 210]),
            _ => Rgb([250, 250, 250]),
        }
    }))
}

fn sampling(seed: u64) -> Sampling {
    let stop = STOP_STRINGS.map(str::to_owned).to_vec();
    Sampling { temperature: 1.0, top_p: 0.99, stop, seed, ..Sampling::greedy(48) }
}

/// Prompts of different lengths, stop strings, limits and forms.
fn asks() -> Vec<(Conversation, Sampling)> {
    let mut asks = Vec::new();
    for i in 0..17_u64 {
        // Some see the same page, and some of these are asked the same.
        let words = ["click the red square", "click the blue square, which is smaller than the other one"];
        let mut talk = Preset::nano().opening(page(i as u32 / 3), words[(i / 2) as usize % 2]);
        if i % 5 == 4 {
            talk.messages[0].parts.push(Part::Text(" and then the other one".repeat(i as usize)));
        }
        let mut sampling = sampling(i);
        match i % 6 {
            1 => sampling.max_new_tokens = 3,
            2 => sampling.stop = vec![")".to_owned()],
            3 => sampling.form = Some(FORM),
            4 => (sampling.temperature, sampling.repetition_penalty) = (2.0, 1.3),
            _ => {}
        }
        asks.push((talk, sampling));
    }
    asks
}

#[track_caller]
fn check_same(together: &Completion, alone: &Completion) {
    assert_eq!((&together.text, &together.token_ids), (&alone.text, &alone.token_ids));
    assert_eq!((together.finish, &together.token_ends), (alone.finish, &alone.token_ends));
    assert_eq!((together.n_passes, &together.forced), (alone.n_passes, &alone.forced));
    assert_eq!(together.logprobs, alone.logprobs, "{}", alone.text);
}

fn ignore(_: usize, _: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn alone(engine: &mut Engine, (talk, sampling): &(Conversation, Sampling)) -> Completion {
    engine.beside().complete(talk, sampling, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn conversations_side_by_side_say_what_each_says_alone_in_every_format() {
    let asks = asks();
    for source in [ModelSource::Nano, random()] {
        for (_, format) in [WeightFormat::NAMED[0], ("", WeightFormat::Int8), ("", WeightFormat::Int4)] {
            let mut engine = load(&source, format);
            let alone: Vec<Completion> = asks.iter().map(|ask| alone(&mut engine, ask)).collect();
            for n in [3, 8, 17] {
                let mut engine = engine.beside();
                let together: Vec<_> = asks[..n].iter().map(|(talk, sampling)| (talk, sampling)).collect();
                let said = engine.complete_batch(&together, &mut ignore);
                for (said, alone) in said.iter().zip(&alone) {
                    check_same(said.as_ref().unwrap(), alone);
                }
                // The conversations go on, each behind what it said.
                let next: Vec<_> = asks[..n]
                    .iter()
                    .zip(&said)
                    .map(|((talk, sampling), said)| {
                        let next = continued(talk.clone(), said.as_ref().unwrap().message());
                        (next, Sampling { form: None, ..sampling.clone() })
                    })
                    .collect();
                let together: Vec<_> = next.iter().map(|(talk, sampling)| (talk, sampling)).collect();
                for ((said, next), ask) in
                    engine.complete_batch(&together, &mut ignore).iter().zip(&next).zip(&asks)
                {
                    let said = said.as_ref().unwrap();
                    assert!(said.n_cached_tokens > 0);
                    let mut engine = engine.beside();
                    engine.complete(&ask.0, &ask.1, &mut |_| ControlFlow::Continue(())).unwrap();
                    let alone =
                        engine.complete(&next.0, &next.1, &mut |_| ControlFlow::Continue(())).unwrap();
                    check_same(said, &alone);
                }
            }
        }
    }
}

#[test]
fn a_large_group_shares_its_prompt_and_each_samples_what_it_samples_alone() {
    let mut engine = nano();
    let talk = Preset::nano().opening(page(1), "click the red square");
    let samplings: Vec<Sampling> = (0..256).map(sampling).collect();
    let together = engine.complete_many(&talk, &samplings, &mut ignore).unwrap();
    for (together, sampling) in together.iter().zip(&samplings) {
        check_same(together, &alone(&mut engine, &(talk.clone(), sampling.clone())));
    }
    // The prompt is known by now, with what comes behind it.
    let again = engine.complete(&talk, &samplings[3], &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(again.n_cached_tokens, again.n_prompt_tokens);
    check_same(&again, &together[3]);
}

#[test]
fn what_fails_or_is_cancelled_leaves_the_others_as_they_are() {
    let mut engine = nano();
    let asks = asks();
    let mut long = asks[0].0.clone();
    long.messages[0].parts.push(Part::Text(" the".repeat(5_000)));
    let mut narrow = asks[0].0.clone();
    narrow.messages[0].parts.push(Part::Image(Arc::new(RgbImage::new(3_000, 2))));
    let batch = [
        (&asks[0].0, &asks[0].1),
        (&long, &asks[0].1),
        (&asks[5].0, &asks[5].1),
        (&narrow, &asks[0].1),
        (&asks[6].0, &asks[6].1),
    ];
    let mut n_pieces = 0;
    let said = engine.complete_batch(&batch, &mut |i, _| {
        n_pieces += usize::from(i == 2);
        if i == 2 && n_pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(said[1], Err(PolicyError::TooLong { limit: 4_096, .. })));
    assert!(matches!(said[3], Err(PolicyError::Image(_))));
    let cancelled = said[2].as_ref().unwrap();
    assert_eq!((cancelled.finish, cancelled.token_ids.len()), (Finish::Cancelled, 3));
    check_same(said[0].as_ref().unwrap(), &alone(&mut engine, &asks[0]));
    check_same(said[4].as_ref().unwrap(), &alone(&mut engine, &asks[6]));
}

fn episode(policy: &mut dyn Policy, seed: u32, preset: &Preset) -> Grounding {
    let words = ["click the red square", "click the blue square"][seed as usize % 2];
    ground(policy, &page(seed / 4), words, preset, &sampling(u64::from(seed)), &mut ()).unwrap()
}

#[track_caller]
fn check_same_episodes(together: &Grounding, alone: &Grounding) {
    assert_eq!(together.turns.len(), alone.turns.len());
    for (together, alone) in together.turns.iter().zip(&alone.turns) {
        let (together, alone) = (&together.completion, &alone.completion);
        assert_eq!((&together.text, &together.token_ids), (&alone.text, &alone.token_ids));
        assert_eq!((together.finish, &together.forced), (alone.finish, &alone.forced));
        for (together, alone) in together.logprobs.iter().zip(&alone.logprobs) {
            assert!((together - alone).abs() < 5e-5, "{together} instead of {alone}");
        }
    }
    assert_eq!(together.answer, alone.answer);
}

#[test]
fn episodes_of_many_threads_are_those_played_alone() {
    for (n, preset) in [
        (3, Preset::nano()),
        (24, Preset::nano()),
        (8, Preset { constrain: true, ..Preset::nano() }),
        (64, Preset { search: None, ..Preset::nano() }),
    ] {
        let mut engine = nano();
        let alone: Vec<Grounding> = (0..n).map(|seed| episode(&mut engine.beside(), seed, &preset)).collect();
        assert!(alone.iter().any(|episode| episode.turns.len() > 1), "nobody zooms");
        let preset = &preset;
        let together: Vec<Grounding> = share(&mut engine, |policy| {
            thread::scope(|scope| {
                let play = |seed| {
                    let mut policy = policy.clone();
                    scope.spawn(move || episode(&mut policy, seed, preset))
                };
                let playing: Vec<_> = (0..n).map(play).collect();
                playing.into_iter().map(|episode| episode.join().unwrap()).collect()
            })
        });
        for (together, alone) in together.iter().zip(&alone) {
            check_same_episodes(together, alone);
        }
    }
}

#[test]
fn what_is_remembered_stays_within_its_bound() {
    let options = LoadOptions { n_remembered: Some(400), ..LoadOptions::default() };
    let mut engine = Engine::load(&ModelSource::Nano, &options).unwrap();
    let ask = |engine: &mut Engine, i| {
        let talk = Preset::nano().opening(page(i), "click the red square");
        engine.complete(&talk, &sampling(1), &mut |_| ControlFlow::Continue(())).unwrap()
    };
    for i in 0..6 {
        assert_eq!(ask(&mut engine, i).n_cached_tokens, 0);
    }
    // The last one and one before it are known, the first one is not.
    for (i, is_known) in [(5, true), (4, true), (0, false)] {
        assert_eq!(ask(&mut engine, i).n_cached_tokens > 0, is_known, "{i}");
    }
}
