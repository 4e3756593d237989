//! The engine as a policy: what it streams, where it stops, what it remembers. With the embedded weights.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod support;

use std::ops::ControlFlow;
use std::sync::Arc;

use image::{Rgb, RgbImage};
use vigorl_policy::{
    Completion, Conversation, Finish, Message, Part, Policy, PolicyError, Preset, Role, Sampling,
};
use vigorl_qwen::{Engine, LoadOptions, ModelSource, inspect_forward};

use crate::support::{complete, nano, uncached_logprobs};

fn question() -> Conversation {
    let page = RgbImage::from_fn(192, 160, |x, y| {
        let inside = (30..50).contains(&x) && (40..60).contains(&y);
        if inside { Rgb([216, 30, 36]) } else { Rgb([250, 250, 250]) }
    });
    Preset::nano().opening(Arc::new(page), "click the red square")
}

/// The conversation goes on: what was said, and one more question.
fn after(said: &Completion) -> Conversation {
    continued(said.message())
}

fn continued(said: Message) -> Conversation {
    support::continued(question(), said)
}

fn greedy() -> Sampling {
    Sampling::greedy(24)
}

fn seeded(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, seed, ..greedy() }
}

fn stopping_at(stop: &str) -> Sampling {
    Sampling { stop: vec![stop.to_owned()], ..greedy() }
}

/// The next turn on the same engine is that of an engine without memories.
#[track_caller]
fn check_goes_on(engine: &mut Engine, said: &Completion) {
    let next = complete(engine, &after(said), &greedy());
    assert!(next.n_cached_tokens > 0);
    let afresh = complete(&mut nano(), &after(said), &greedy());
    assert_eq!((next.n_prompt_tokens, next.text), (afresh.n_prompt_tokens, afresh.text));
    // Another prompt of as many tokens may be answered alike, but not with the same confidence.
    for (got, expected) in next.logprobs.iter().zip(&afresh.logprobs) {
        assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
    }
}

#[test]
fn pieces_are_the_text() {
    let mut engine = nano();
    for seed in 0..8 {
        complete(&mut engine, &question(), &Sampling { temperature: 2.0, ..seeded(seed) });
    }
}

#[test]
fn several_completions_at_once_are_those_asked_one_after_the_other() {
    let mut engine = nano();
    let samplings = [
        greedy(),
        Sampling { temperature: 2.0, ..seeded(3) },
        stopping_at(")"),
        Sampling { temperature: 2.0, repetition_penalty: 1.3, ..seeded(4) },
        Sampling { max_new_tokens: 2, ..seeded(5) },
    ];
    let mut streamed = vec![String::new(); samplings.len()];
    let mut stream = |i: usize, piece: &str| {
        streamed[i].push_str(piece);
        ControlFlow::Continue(())
    };
    let together = engine.complete_many(&question(), &samplings, &mut stream).unwrap();
    assert_eq!(together.len(), samplings.len());
    for ((together, sampling), streamed) in together.iter().zip(&samplings).zip(&streamed) {
        let alone = complete(&mut nano(), &question(), sampling);
        assert_eq!((&together.text, &together.token_ids), (&alone.text, &alone.token_ids));
        assert_eq!((together.finish, &together.token_ends), (alone.finish, &alone.token_ends));
        assert_eq!(streamed, &alone.text);
        for (got, expected) in together.logprobs.iter().zip(&alone.logprobs) {
            assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
        }
    }
    // What grew beside it is forgotten: the conversation goes on behind any of them.
    check_goes_on(&mut engine, &together[2]);
    check_goes_on(&mut engine, &together[0]);
}

#[test]
fn one_of_several_completions_can_be_cancelled() {
    let mut engine = nano();
    let whole = complete(&mut engine, &question(), &greedy());
    let mut n_pieces = 0;
    let mut stream = |i: usize, _: &str| {
        n_pieces += usize::from(i == 0);
        if i == 0 && n_pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let said = engine.complete_many(&question(), &[greedy(), greedy()], &mut stream).unwrap();
    assert_eq!((said[0].finish, said[0].token_ids.len()), (Finish::Cancelled, 3));
    assert_eq!((&said[1].text, said[1].finish), (&whole.text, whole.finish));
    assert!(
        engine.complete_many(&question(), &[], &mut |_, _| ControlFlow::Continue(())).unwrap().is_empty()
    );
}

#[test]
fn a_stop_string_may_span_tokens_and_end_inside_one() {
    let mut engine = nano();
    let whole = complete(&mut engine, &question(), &greedy());
    let end_of = |token: usize| whole.token_ends[token];
    // A token of several characters, behind others, in which a stop string can end.
    let split = (4..whole.token_ends.len()).find(|&i| end_of(i) - end_of(i - 1) > 1).unwrap();
    for end in [end_of(split), end_of(split - 1) + 1] {
        let stop = &whole.text[end_of(split - 4)..end];
        let end = whole.text.find(stop).unwrap() + stop.len();
        let said = complete(&mut engine, &question(), &stopping_at(stop));
        assert_eq!((said.text.as_str(), said.finish), (&whole.text[..end], Finish::StopString));
        assert_eq!(said.token_ids, whole.token_ids[..said.token_ids.len()]);
        check_goes_on(&mut engine, &said);
    }
}

#[test]
fn a_completion_can_be_cancelled_between_tokens() {
    let mut engine = nano();
    let whole = complete(&mut engine, &question(), &greedy());
    let mut n_pieces = 0;
    let mut stream = |_: &str| {
        n_pieces += 1;
        if n_pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let said = engine.complete(&question(), &greedy(), &mut stream).unwrap();
    assert_eq!((said.finish, said.token_ids.len(), n_pieces), (Finish::Cancelled, 3, 3));
    assert_eq!(said.text, whole.text[..whole.token_ends[2]]);
    assert_eq!(complete(&mut engine, &question(), &greedy()).token_ids, whole.token_ids);
    check_goes_on(&mut engine, &said);
}

#[test]
fn a_seed_gives_its_tokens_and_another_seed_others() {
    let mut engine = nano();
    let ids = |engine: &mut Engine, seed| complete(engine, &question(), &seeded(seed)).token_ids;
    let first = ids(&mut engine, 1);
    assert_eq!(ids(&mut engine, 1), first);
    assert_eq!(ids(&mut nano(), 1), first);
    assert_ne!(ids(&mut engine, 2), first);
}

/// Whether `conversation` is fed with these ids in a row.
fn is_fed(engine: &Engine, conversation: &Conversation, ids: &[u32]) -> bool {
    let fed = inspect_forward(engine, conversation).unwrap().input_ids.to_vec1::<i64>().unwrap();
    fed.windows(ids.len()).any(|window| window.iter().zip(ids).all(|(fed, id)| *fed == i64::from(*id)))
}

#[test]
fn a_conversation_goes_on_behind_the_ids_that_were_sampled_however_many_others_were() {
    let mut engine = nano();
    let wild = |seed| Sampling { temperature: 3.0, max_new_tokens: 12, ..seeded(seed) };
    let said: Vec<Completion> = (0..65).map(|seed| complete(&mut engine, &question(), &wild(seed))).collect();
    // The text of a completion can often be cut into other tokens than those it was sampled as.
    let is_cut_otherwise = |said: &&Completion| {
        let text = Message::text(Role::Assistant, &said.text);
        said.finish == Finish::Length && !is_fed(&nano(), &continued(text), &said.token_ids)
    };
    let first = said[..30].iter().find(is_cut_otherwise).expect("a text that is cut otherwise");
    assert!(is_fed(&engine, &after(first), &first.token_ids));
    // Others that read the same do not stand in for it.
    let text = Message::text(Role::Assistant, &first.text);
    assert!(!is_fed(&engine, &continued(text), &first.token_ids));
}

#[track_caller]
fn check_logprobs(engine: &Engine, conversation: &Conversation, said: &Completion) {
    let expected = uncached_logprobs(engine, conversation, &said.token_ids);
    for (at, (got, expected)) in said.logprobs.iter().zip(&expected).enumerate() {
        assert!((got - expected).abs() < 1e-3, "token {at}: {got} instead of {expected}");
    }
}

#[test]
fn logprobs_are_those_of_an_uncached_pass() {
    let mut engine = nano();
    for seed in [3, 4] {
        let first = complete(&mut engine, &question(), &seeded(seed));
        check_logprobs(&engine, &question(), &first);
        let second = complete(&mut engine, &after(&first), &seeded(seed));
        assert!(second.n_cached_tokens > 0);
        check_logprobs(&engine, &after(&first), &second);
    }
}

#[test]
fn a_prompt_that_is_too_long_is_an_error() {
    let mut conversation = question();
    conversation.messages[0].parts.push(Part::Text(" the".repeat(5_000)));
    let mut engine = nano();
    let error = engine.complete(&conversation, &greedy(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    let PolicyError::TooLong { n_tokens, limit } = error else { panic!("{error}") };
    assert!(n_tokens > 5_000 && limit == 4_096, "{n_tokens} tokens, limit {limit}");
    // The engine is as good as before.
    complete(&mut engine, &question(), &greedy());
}

#[test]
fn an_engine_beside_another_has_its_weights_and_none_of_its_memories() {
    // A folder of its own, so that it can be taken away.
    let folder = tempfile::tempdir().unwrap();
    let nano = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/nano");
    for file in std::fs::read_dir(nano).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let source = ModelSource::Dir(folder.path().to_owned());
    let mut engine = Engine::load(&source, &LoadOptions::default()).unwrap();
    let sha256 = engine.checkpoint().weights_sha256().unwrap();
    let said = complete(&mut engine, &question(), &greedy());
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let mut beside = engine.beside();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| complete(&mut beside, &question(), &greedy()));
        let again = complete(&mut engine, &question(), &greedy());
        let other = other.join().unwrap();
        assert_eq!((&again.token_ids, &other.token_ids), (&said.token_ids, &said.token_ids));
        assert!(again.n_cached_tokens > 0 && other.n_cached_tokens == 0);
    });
    assert_eq!(beside.checkpoint().weights_sha256().unwrap(), sha256, "files are hashed once");
}
