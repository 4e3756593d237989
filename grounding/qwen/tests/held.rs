//! Completions held to the form of a turn: the same answers in fewer passes, and a turn that can be read from any
//! weights. With the embedded weights, and with random ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod support;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use image::{Rgb, RgbImage};
use vigorl_policy::grammar::{self, Action, AnswerForm};
use vigorl_policy::wire::{FORCED_FINAL_PREFIX, STOP_STRINGS};
use vigorl_policy::{
    AnswerKind, Completion, Conversation, Finish, Grounding, Opening, Policy, Preset, Sampling, TurnForm,
    Turns, ground,
};
use vigorl_qwen::{Engine, LoadOptions, ModelSource};

use crate::support::{nano, uncached_logprobs};

const FORM: TurnForm = TurnForm {
    opening: Opening::Thought,
    may_zoom: true,
    answer: AnswerKind::Point,
    written: AnswerForm::Tagged,
    below: [192, 160],
};

/// Random weights, and a tokenizer that cuts as that of published checkpoints does.
fn random() -> Engine {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/tied_patch7");
    Engine::load(&ModelSource::Dir(folder), &LoadOptions::default()).unwrap()
}

/// A page with a red square in one of several places.
fn page(place: u32) -> Arc<RgbImage> {
    let (left, top) = (10 + place * 29 % 150, 12 + place * 47 % 120);
    Arc::new(RgbImage::from_fn(192, 160, |x, y| {
        let inside = (left..left + 20).contains(&x) && (top..top + 20).contains(&y);
        if inside { Rgb([216, 30, 36]) } else { Rgb([250, 250, 250]) }
    }))
}

fn question() -> Conversation {
    Preset::nano().opening(page(1), "click the red square")
}

fn after(said: &Completion) -> Conversation {
    support::continued(question(), said.message())
}

fn free() -> Sampling {
    Sampling { stop: STOP_STRINGS.map(str::to_owned).to_vec(), ..Sampling::greedy(128) }
}

fn held() -> Sampling {
    Sampling { form: Some(FORM), ..free() }
}

/// A completion, after checking that it says which tokens were forced.
#[track_caller]
fn complete(engine: &mut Engine, conversation: &Conversation, sampling: &Sampling) -> Completion {
    let said = support::complete(engine, conversation, sampling);
    let n = said.token_ids.len();
    assert_eq!(said.forced.len(), if sampling.form.is_some() { n } else { 0 });
    assert!(said.forced.iter().zip(&said.logprobs).all(|(forced, logprob)| !forced || *logprob == 0.0));
    said
}

/// The next turn is computed behind the very tokens that were said.
#[track_caller]
fn check_goes_on(engine: &mut Engine, said: &Completion) {
    let next = complete(engine, &after(said), &free());
    assert!(next.n_cached_tokens > 0);
    let expected = uncached_logprobs(engine, &after(said), &next.token_ids);
    for (got, expected) in next.logprobs.iter().zip(&expected) {
        assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
    }
}

fn find(engine: &mut Engine, place: u32, preset: &Preset) -> Grounding {
    ground(engine, &page(place), "click the red square", preset, &free(), &mut ()).unwrap()
}

#[test]
fn the_same_answers_take_fewer_passes() {
    let mut engine = nano();
    let constrained = Preset { constrain: true, ..Preset::nano() };
    let (mut n_free, mut n_held) = (0, 0);
    for place in 0..8 {
        let freely = find(&mut engine, place, &Preset::nano());
        let within = find(&mut engine, place, &constrained);
        assert!(freely.answer.is_some());
        assert_eq!((within.answer, within.turns.len()), (freely.answer, freely.turns.len()));
        for (freely, within) in freely.turns.iter().zip(&within.turns) {
            let (freely, within) = (&freely.completion, &within.completion);
            assert_eq!((&within.text, &within.token_ids), (&freely.text, &freely.token_ids));
            // The last token of a turn is not fed, and the first one is sampled from the prompt.
            assert_eq!(freely.n_passes, freely.token_ids.len() - 1);
            assert!(within.n_passes < freely.n_passes && within.n_forced() > 0);
            n_free += freely.n_passes;
            n_held += within.n_passes;
        }
    }
    assert!(n_held * 10 < n_free * 8, "{n_held} passes instead of {n_free}");
}

#[test]
fn what_was_forced_is_said_and_cannot_be_learned_from() {
    let mut engine = nano();
    let freely = complete(&mut engine, &question(), &free());
    assert_eq!(freely.sampled_logprobs(), Ok(&freely.logprobs[..]));
    let said = complete(&mut engine, &question(), &held());
    let refused = said.sampled_logprobs().unwrap_err();
    assert_eq!((refused.n_forced, refused.n_tokens), (said.n_forced(), said.token_ids.len()));
    // Of what was sampled, the log-probability is that over all tokens.
    for ((got, expected), forced) in said.logprobs.iter().zip(&freely.logprobs).zip(&said.forced) {
        assert!(*forced || (got - expected).abs() < 1e-3, "{got} instead of {expected}");
    }
}

#[test]
fn the_cache_holds_what_was_forced() {
    for mut engine in [nano(), random()] {
        for (seed, temperature) in (1..).zip([0.0, 1.0, 3.0]) {
            let sampling = Sampling { temperature, seed, ..held() };
            let said = complete(&mut engine, &question(), &sampling);
            check_goes_on(&mut engine, &said);
        }
        // And what came before the turn is still there.
        let again = complete(&mut engine, &question(), &held());
        assert!(again.n_cached_tokens > 0 && again.n_cached_tokens <= again.n_prompt_tokens);
    }
}

#[test]
fn tokens_behind_a_forced_one_see_it() {
    let mut engine = random();
    for seed in 0..4 {
        let said = complete(&mut engine, &question(), &Sampling { temperature: 1.0, seed, ..held() });
        let expected = uncached_logprobs(&engine, &question(), &said.token_ids);
        for (at, (got, expected)) in said.logprobs.iter().zip(&expected).enumerate() {
            assert!(said.forced[at] || (got - expected).abs() < 1e-3, "token {at}: {got}, not {expected}");
        }
    }
}

#[test]
fn several_held_completions_at_once_are_those_asked_one_after_the_other() {
    let answering = TurnForm { may_zoom: false, ..FORM };
    let alike = |seed| Sampling { temperature: 1.5, seed, ..held() };
    let differing = [held(), free(), Sampling { form: Some(answering), ..alike(3) }, alike(4)];
    for make in [nano, random] {
        for samplings in [[held(), alike(1), alike(2), alike(5)], differing.clone()] {
            let mut engine = make();
            let mut ignore = |_: usize, _: &str| ControlFlow::Continue(());
            let together = engine.complete_many(&question(), &samplings, &mut ignore).unwrap();
            let mut other = make();
            for (together, sampling) in together.iter().zip(&samplings) {
                let alone = complete(&mut other, &question(), sampling);
                assert_eq!((&together.text, &together.token_ids), (&alone.text, &alone.token_ids));
                assert_eq!(together.finish, alone.finish);
                for (got, expected) in together.logprobs.iter().zip(&alone.logprobs) {
                    assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
                }
            }
            check_goes_on(&mut engine, &together[0]);
        }
    }
}

#[test]
fn weights_that_drift_always_say_a_turn_that_can_be_read() {
    let presets = [
        Preset::nano(),
        Preset { search: None, ..Preset::nano() },
        Preset { turns: Turns::Single, ..Preset::nano() },
        Preset { answer_kind: AnswerKind::Text, ..Preset::nano() },
        Preset { answer_form: AnswerForm::Bare, turns: Turns::Single, ..Preset::nano() },
    ];
    for mut engine in [nano(), random()] {
        let mut n_free_malformed = 0;
        for (idx, preset) in (0..).zip(presets.iter().cycle().take(20)) {
            let sampling = Sampling { temperature: [1.0, 3.0, 30.0][idx as usize % 3], seed: idx, ..free() };
            let mut find = |constrain| {
                let preset = Preset { constrain, search: None, ..preset.clone() };
                ground(&mut engine, &page(3), "click the red square", &preset, &sampling, &mut ()).unwrap()
            };
            let within = find(true);
            assert_eq!(within.malformed, None, "{:?}", within.turns.last().map(|t| &t.completion.text));
            for turn in &within.turns {
                assert!(turn.malformed.is_none(), "{}", turn.completion.text);
                // Bare and in words, a turn may end without its closing tag.
                let whole = turn.completion.finish == Finish::StopString;
                assert!(
                    whole || preset.answer_kind == AnswerKind::Text || preset.answer_form == AnswerForm::Bare
                );
            }
            assert!(within.answer.is_some() || preset.answer_kind == AnswerKind::Text);
            n_free_malformed += usize::from(find(false).malformed.is_some());
        }
        assert!(n_free_malformed > 5, "it does not drift: {n_free_malformed} of 20");
    }
}

#[test]
fn weights_that_drift_answer_in_the_form_of_any_family() {
    let mut engine = random();
    let presets = ["gta1", "ui-tars-1.5", "infigui-g1", "holo1.5", "gui-g2"];
    for (seed, name) in (0..).zip(presets.iter().cycle().take(10)) {
        let preset = Preset { constrain: true, ..Preset::named(name).unwrap() };
        let sampling = Sampling { temperature: 30.0, seed, ..free() };
        let within =
            ground(&mut engine, &page(3), "click the red square", &preset, &sampling, &mut ()).unwrap();
        let said = &within.turns[0].completion;
        assert!(within.answer.is_some(), "{name}: {}", said.text);
        assert_eq!(said.finish, Finish::EndOfTurn, "{name}: {}", said.text);
    }
}

#[test]
fn a_turn_that_was_opened_begins_behind_that() {
    for mut engine in [nano(), random()] {
        let mut conversation = question();
        conversation.forced_prefix = Some(FORCED_FINAL_PREFIX.to_owned());
        let form = Some(TurnForm { opening: Opening::Answer, may_zoom: false, ..FORM });
        let said = complete(&mut engine, &conversation, &Sampling { temperature: 2.0, form, ..free() });
        assert!(said.text.starts_with(" ("), "{}", said.text);
        let whole = format!("{FORCED_FINAL_PREFIX}{}", said.text);
        let action = grammar::parse(&whole, AnswerForm::Tagged).action;
        assert!(matches!(action, Action::Answer { point: Some(_), .. }), "{whole}");
    }
}

#[test]
fn a_held_completion_can_be_cancelled_anywhere() {
    let mut engine = random();
    let whole = complete(&mut engine, &question(), &held());
    for n in 1..12 {
        let mut n_pieces = 0;
        let mut stream = |_: &str| {
            n_pieces += 1;
            if n_pieces == n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let said = engine.complete(&question(), &held(), &mut stream).unwrap();
        assert_eq!((said.finish, said.token_ids.len()), (Finish::Cancelled, n));
        assert!(whole.text.starts_with(&said.text));
        assert_eq!(complete(&mut engine, &question(), &held()).token_ids, whole.token_ids);
    }
}

#[test]
fn with_hardly_any_room_a_completion_ends_without_harm() {
    for mut engine in [nano(), random()] {
        for max_new_tokens in 0..12 {
            let sampling = Sampling { max_new_tokens, ..held() };
            let said = engine.complete(&question(), &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
            assert!(said.token_ids.len() <= max_new_tokens);
            assert_eq!(said.forced.len(), said.token_ids.len());
        }
    }
}
