//! The engine against transformers, stage by stage, on the conversations in `fixtures/golden`.
//!
//! `reference/make_fixtures.py` writes them. `VIGORL_GOLDEN` names another folder of the same form, which is
//! how `reference/parity.py` has freshly generated checkpoints checked. `VIGORL_DEVICE=cuda` computes on the card,
//! with the feature `cuda`, and fails where there is none.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]
#![expect(clippy::disallowed_methods, reason = "who runs the tests says by a variable where they compute")]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use vigorl_policy::{Conversation, Finish, Message, Part, Policy, Role, Sampling};
use vigorl_qwen::{Engine, Inspection, LoadOptions, ModelSource, Place, inspect_forward};

/// What the processor computes from bytes: only the last rounding may differ.
const PIXEL_TOLERANCE: f64 = 1e-6;
/// What the network computes, in f32.
const TOLERANCE: f64 = 2e-4;

struct Case {
    name: String,
    checkpoint: PathBuf,
    conversation: Conversation,
    /// The rendered text, one pad per image.
    prompt: String,
    greedy_ids: Vec<u32>,
    repetition_penalty: f32,
    penalized_ids: Vec<u32>,
    tensors: HashMap<String, Tensor>,
}

fn cases() -> Vec<Case> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let (folder, at_least) = std::env::var_os("VIGORL_GOLDEN").map_or((committed, 8), |dir| (dir.into(), 1));
    let entries = std::fs::read_dir(&folder).expect("a folder of golden cases");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= at_least, "{} golden cases in {}", files.len(), folder.display());
    files.iter().map(|file| read_case(file)).collect()
}

fn read_case(file: &Path) -> Case {
    let json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let folder = file.parent().unwrap();
    let text = |field: &str| json[field].as_str().map(str::to_owned);
    let ids = |field: &str| serde_json::from_value(json[field].clone()).unwrap();
    let messages = json["messages"].as_array().unwrap().iter().map(|message| read_message(message, folder));
    Case {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        checkpoint: folder.join(text("checkpoint").unwrap()),
        conversation: Conversation { messages: messages.collect(), forced_prefix: text("forced_prefix") },
        prompt: text("prompt").unwrap(),
        greedy_ids: ids("greedy_ids"),
        repetition_penalty: json["repetition_penalty"].as_f64().unwrap() as f32,
        penalized_ids: ids("penalized_ids"),
        tensors: candle_core::safetensors::load(file.with_extension("safetensors"), &Device::Cpu).unwrap(),
    }
}

fn read_message(json: &Value, folder: &Path) -> Message {
    let role = match json["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => panic!("unknown role {other}"),
    };
    if let Some(text) = json["content"].as_str() {
        return Message::text(role, text);
    }
    let parts = json["content"].as_array().unwrap().iter().map(|part| match part["image"].as_str() {
        Some(image) => Part::Image(Arc::new(image::open(folder.join(image)).unwrap().into_rgb8())),
        None => Part::Text(part["text"].as_str().unwrap().to_owned()),
    });
    Message { role, parts: parts.collect() }
}

fn load(checkpoint: &Path) -> Engine {
    let place = match std::env::var("VIGORL_DEVICE").as_deref() {
        Ok("cuda") => Place::Cuda,
        _ => Place::Cpu,
    };
    let options = LoadOptions { device: place.device().unwrap(), ..LoadOptions::default() };
    Engine::load(&ModelSource::Dir(checkpoint.to_owned()), &options).unwrap()
}

/// Name, computed tensor and tolerance, in the order in which the stages depend on each other.
fn stages(seen: &Inspection) -> Vec<(String, Option<Tensor>, f64)> {
    let n_blocks = seen.vision_blocks.first().map_or(0, Vec::len);
    // The reference computes all images as one sequence, the engine image by image.
    let block = |i: usize| {
        let images: Vec<&Tensor> = seen.vision_blocks.iter().map(|blocks| &blocks[i]).collect();
        Tensor::cat(&images, 0).unwrap()
    };
    let mut stages = vec![
        ("input_ids".to_owned(), Some(seen.input_ids.clone()), 0.0),
        ("position_ids".to_owned(), Some(seen.position_ids.clone()), 0.0),
        ("image_grid_thw".to_owned(), seen.image_grid_thw.clone(), 0.0),
        ("pixel_values".to_owned(), seen.pixel_values.clone(), PIXEL_TOLERANCE),
    ];
    stages.extend((0..n_blocks).map(|i| (format!("vision.blocks.{i}"), Some(block(i)), TOLERANCE)));
    stages.push(("image_embeds".to_owned(), seen.image_embeds.clone(), TOLERANCE));
    let layers = seen.layers.iter().enumerate();
    stages.extend(layers.map(|(i, layer)| (format!("layers.{i}"), Some(layer.clone()), TOLERANCE)));
    stages.push(("hidden_states".to_owned(), Some(seen.hidden_states.clone()), TOLERANCE));
    stages.push(("logits".to_owned(), Some(seen.logits.clone()), TOLERANCE));
    stages
}

/// Values in f64 and the shape.
fn values(tensor: &Tensor) -> (Vec<f64>, Vec<usize>) {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    (flat.to_vec1().unwrap(), tensor.dims().to_vec())
}

/// The place where two tensors differ most, and by how much.
struct Difference {
    max: f64,
    mean: f64,
    text: String,
}

/// Compares tensors of equal shape, or says that the shapes differ.
fn difference(expected: &Tensor, got: &Tensor) -> Result<Difference, String> {
    let ((want, want_shape), (have, have_shape)) = (values(expected), values(got));
    if want_shape != have_shape {
        return Err(format!("shape {have_shape:?} instead of {want_shape:?}"));
    }
    // A NaN on either side counts as infinitely far away.
    let far = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    let distances: Vec<f64> = want.iter().zip(&have).map(far).collect();
    let at = (0..distances.len()).max_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    let at = at.ok_or("an empty tensor")?;
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let text = format!("{:?} is {} instead of {}", index_of(at, &want_shape), have[at], want[at]);
    Ok(Difference { max: distances[at], mean, text })
}

fn index_of(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (axis, side) in shape.iter().enumerate().rev() {
        index[axis] = flat % side;
        flat /= side;
    }
    index
}

/// Fails at the first stage that is wrong; otherwise the largest difference of any stage.
fn check_stages(case: &Case) -> Result<f64, String> {
    let engine = load(&case.checkpoint);
    let rendered = engine.checkpoint().template.render(&case.conversation).unwrap().text;
    if rendered != case.prompt {
        return Err(format!("the prompt is {rendered:?} instead of {:?}", case.prompt));
    }
    let stages = stages(&inspect_forward(&engine, &case.conversation).unwrap());
    if let Some(name) = case.tensors.keys().find(|name| !stages.iter().any(|(stage, ..)| stage == *name)) {
        return Err(format!("{name} is not computed"));
    }
    let mut largest = 0.0_f64;
    for (name, got, tolerance) in &stages {
        let (expected, got) = match (case.tensors.get(name), got) {
            (None, None) => continue,
            (Some(expected), Some(got)) => (expected, got),
            (Some(_), None) => return Err(format!("{name} is missing")),
            (None, Some(_)) => return Err(format!("{name} is not in the reference")),
        };
        let Difference { max, mean, text } =
            difference(expected, got).map_err(|problem| format!("{name}: {problem}"))?;
        if max > *tolerance {
            return Err(format!("{name}: max difference {max:.3e}, mean {mean:.3e}; {text}"));
        }
        largest = largest.max(max);
    }
    Ok(largest)
}

#[test]
fn every_stage_is_that_of_transformers() {
    let mut wrong = Vec::new();
    for case in cases() {
        match check_stages(&case) {
            Ok(largest) => println!("{}: largest difference {largest:.1e}", case.name),
            Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn greedy(max_new_tokens: usize) -> Sampling {
    Sampling::greedy(max_new_tokens)
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for case in cases() {
        let mut engine = load(&case.checkpoint);
        let ignore = &mut |_: &str| ControlFlow::Continue(());
        let sampling = greedy(case.greedy_ids.len());
        let completion = engine.complete(&case.conversation, &sampling, ignore).unwrap();
        assert_eq!(completion.token_ids, case.greedy_ids, "{}", case.name);
        assert_eq!(completion.finish, Finish::Length, "{}", case.name);
        assert_eq!(completion.n_cached_tokens, 0, "{}", case.name);
        let last = case.tensors["logits"].get(completion.n_prompt_tokens - 1).unwrap();
        let expected = log_softmax(&values(&last).0, case.greedy_ids[0] as usize);
        let got = f64::from(completion.logprobs[0]);
        assert!((got - expected).abs() <= TOLERANCE, "{}: {got} instead of {expected}", case.name);

        let penalized = Sampling { repetition_penalty: case.repetition_penalty, ..sampling };
        let completion = engine.complete(&case.conversation, &penalized, ignore).unwrap();
        assert_eq!(completion.token_ids, case.penalized_ids, "{} with a repetition penalty", case.name);
    }
}

fn log_softmax(logits: &[f64], at: usize) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits[at] - max - logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()
}

#[test]
fn a_later_turn_from_the_cache_says_what_it_would_say_afresh() {
    let mut n_later_turns = 0;
    for case in cases().into_iter().filter(|case| case.conversation.messages.len() > 2) {
        n_later_turns += 1;
        let mut engine = load(&case.checkpoint);
        let first_turn =
            Conversation { messages: case.conversation.messages[..1].to_vec(), forced_prefix: None };
        let ignore = &mut |_: &str| ControlFlow::Continue(());
        let first = engine.complete(&first_turn, &greedy(5), ignore).unwrap();
        let later = engine.complete(&case.conversation, &greedy(case.greedy_ids.len()), ignore).unwrap();
        // At least the first prompt; more if the first sampled ids happen to be those of the history.
        assert!(later.n_cached_tokens >= first.n_prompt_tokens, "{}", case.name);
        assert_eq!(later.token_ids, case.greedy_ids, "{}", case.name);

        let again = engine.complete(&case.conversation, &greedy(case.greedy_ids.len()), ignore).unwrap();
        // All of a prompt is known, with the state behind it.
        assert_eq!(again.n_cached_tokens, again.n_prompt_tokens, "{}", case.name);
        assert_eq!(again.token_ids, case.greedy_ids, "{}", case.name);
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4;
        assert!(!later.logprobs.iter().zip(&again.logprobs).any(far), "{}", case.name);
    }
    assert!(n_later_turns > 0, "no golden case has a second turn");
}
