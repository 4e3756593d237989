//! The embedded policy in tests: asked, continued, and compared with a pass without a cache.

use std::ops::ControlFlow;

use candle_core::{DType, Tensor};
use vigorl_policy::{Completion, Conversation, Message, Policy, Role, Sampling};
use vigorl_qwen::mrope::next_position;
use vigorl_qwen::{Engine, KvCache, LoadOptions, ModelSource, Probe, inspect_forward};

pub(crate) fn nano() -> Engine {
    Engine::load(&ModelSource::Nano, &LoadOptions::default()).unwrap()
}

/// The conversation goes on: what was said, and one more question.
pub(crate) fn continued(mut conversation: Conversation, said: Message) -> Conversation {
    conversation.messages.extend([said, Message::text(Role::User, "click the blue circle")]);
    conversation
}

/// A completion, after checking that its pieces and its tokens are its text.
#[track_caller]
pub(crate) fn complete(engine: &mut Engine, conversation: &Conversation, sampling: &Sampling) -> Completion {
    let mut streamed = String::new();
    let mut stream = |piece: &str| {
        streamed.push_str(piece);
        ControlFlow::Continue(())
    };
    let said = engine.complete(conversation, sampling, &mut stream).unwrap();
    assert_eq!(streamed, said.text);
    assert_eq!((said.token_ids.len(), said.logprobs.len()), (said.token_ends.len(), said.token_ends.len()));
    assert!(said.token_ends.is_sorted());
    assert_eq!(said.token_ends.last().copied(), Some(said.text.len()));
    said
}

/// Log-probabilities of all ids in one pass over everything, without a cache.
pub(crate) fn uncached_logprobs(engine: &Engine, conversation: &Conversation, ids: &[u32]) -> Vec<f32> {
    let seen = inspect_forward(engine, conversation).unwrap();
    let prompt = seen.input_ids.to_vec1::<i64>().unwrap();
    let axes = seen.position_ids.to_vec2::<i64>().unwrap();
    let mut positions: Vec<[u32; 3]> =
        (0..prompt.len()).map(|at| std::array::from_fn(|axis| axes[axis][at] as u32)).collect();
    let next = next_position(&positions);
    positions.extend((next..).take(ids.len()).map(|position| [position; 3]));
    let all: Vec<u32> = prompt.iter().map(|&id| id as u32).chain(ids.iter().copied()).collect();
    let mut cache = KvCache::new(&engine.model().config().text);
    let images = seen.image_embeds.as_ref();
    let hidden = engine.model().extend(&all, &positions, images, &mut cache, &mut Probe::default()).unwrap();
    // The state before a token predicts it.
    let predicting = hidden.narrow(1, prompt.len() - 1, ids.len()).unwrap();
    let logits = engine.model().logits(&predicting).unwrap().squeeze(0).unwrap();
    let logprob = |(row, id): (usize, &u32)| log_softmax(&logits.get(row).unwrap(), *id as usize);
    ids.iter().enumerate().map(logprob).collect()
}

fn log_softmax(logits: &Tensor, at: usize) -> f32 {
    let logits = logits.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (logits[at] - max - logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()) as f32
}
