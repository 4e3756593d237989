//! Adapters: their gradients, merging, the folders of PEFT, what is shared; and that layers which are computed again in
//! the backward pass give the same gradients.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "support/slopes.rs"]
mod slopes;
mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use rand::RngExt;
use serde_json::{Value, json};
use slopes::check_slopes;
use support::{config, encoder, model, pages, some_pages};
use vigorl_policy::{Conversation, Message, Part, Policy as _, Role, Sampling};
use vigorl_qwen::{
    Checkpoint, Engine, KvCache, LoadOptions, Model, ModelSource, Probe, WeightFormat, inspect_forward,
};
use vigorl_training::adapter::{Lora, LoraConfig};
use vigorl_training::checkpoint::named_weights;
use vigorl_training::config::Freeze;
use vigorl_training::files::ModelFiles;
use vigorl_training::fresh::tensor_shapes;
use vigorl_training::seed::{number_of, stream};
use vigorl_training::work::{Trained, Work, contribution, frozen_model};

/// Every kind of projection, of both towers.
fn lora_config() -> LoraConfig {
    let targets = [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "visual.attn.qkv",
        "visual.mlp.up_proj",
        "visual.merger.mlp.0",
    ];
    LoraConfig { rank: 2, alpha: 3.0, targets: targets.map(str::to_owned).to_vec() }
}

fn drawn(name: &str, shape: &[usize]) -> Tensor {
    let mut rng = stream(3, &[number_of(name)]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-0.3..0.3)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Adapters as they could be after training: B is not 0.
fn learned(config: LoraConfig, model: &vigorl_qwen::Config) -> Lora {
    let mut lora = Lora::fresh(config, model, 1).unwrap();
    for (name, tensor) in &mut lora.tensors {
        if name.ends_with("lora_B.weight") {
            *tensor = drawn(name, tensor.dims());
        }
    }
    lora
}

fn adapted(base: &Trained) -> Trained {
    let lora = learned(lora_config(), &base.files.config().unwrap());
    Trained::with_adapters(base.files.clone(), &base.base, &lora).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest difference as a share of the largest value.
fn relative(a: &Tensor, b: &Tensor) -> f32 {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(largest > 0.0);
    a.iter().zip(&b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn gradients_of_adapters_are_those_of_finite_differences() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 2));
    let trained = adapted(&model(&config));
    let encoder = encoder(&trained, &config);
    let batch = encoder.pack(&some_pages(&encoder, &data, 2)).unwrap();
    let gradients = contribution(&trained, &Work::Turns(batch.clone()), &encoder).unwrap().gradients;
    // Seven projections in two layers; two in the tower's two blocks, and one of the merger.
    assert_eq!(gradients.len(), 2 * (7 * 2 + 2 * 2 + 1));
    check_slopes(&trained, &batch, &encoder, &gradients);
}

/// Logits of a text that is read in three parts: many tokens, one, and a few.
fn cached_logits(model: &Model) -> Tensor {
    let mut cache = KvCache::new(&model.config().text);
    let mut logits = Vec::new();
    for part in [0..40, 40..41, 41..45_u32] {
        let positions: Vec<[u32; 3]> = part.clone().map(|at| [at; 3]).collect();
        let ids: Vec<u32> = part.map(|at| 7 * at % 100).collect();
        let hidden = model.extend(&ids, &positions, None, &mut cache, &mut Probe::default()).unwrap();
        logits.push(model.logits(&hidden.squeeze(0).unwrap()).unwrap());
    }
    Tensor::cat(&logits, 0).unwrap()
}

#[test]
fn merged_adapters_compute_what_they_compute_beside_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 2));
    let trained = adapted(&model(&config));
    let encoder = encoder(&trained, &config);
    let batch = encoder.pack(&some_pages(&encoder, &data, 2)).unwrap();
    let lora = trained.adapters().unwrap();
    let merged = frozen_model(&trained.files, &lora.merged(&trained.base).unwrap(), None).unwrap();
    let reference = frozen_model(&trained.files, &trained.base, None).unwrap();
    let sampler = trained.sampler().unwrap();
    let packed = |model: &Model| {
        let pass = model.packed(&batch.packed).unwrap();
        model.logits_at(&pass, &batch.places()).unwrap()
    };
    let expected = packed(&merged);
    for model in [&trained.model, &sampler] {
        assert!(relative(&packed(model), &expected) < 1e-4);
    }
    assert!(relative(&packed(&reference), &expected) > 0.01, "the adapters change something");
    let expected = cached_logits(&merged);
    for model in [&trained.model, &sampler] {
        assert!(relative(&cached_logits(model), &expected) < 1e-4);
    }
    assert!(relative(&cached_logits(&reference), &expected) > 0.01, "the adapters change something");
}

#[test]
fn an_engine_over_adapted_weights_says_what_it_says_over_merged_ones() {
    let files = ModelFiles::embedded();
    let sizes = files.config().unwrap();
    let checkpoint = || Checkpoint::open(&ModelSource::Nano).unwrap();
    let weights = checkpoint().weights(&Device::Cpu, WeightFormat::Dense(DType::F32)).unwrap();
    let base = named_weights(&weights, &tensor_shapes(&sizes)).unwrap();
    let lora = learned(lora_config(), &sizes);
    let options = LoadOptions::default();
    let engine = |base: &_, lora| {
        let model = frozen_model(&files, base, lora).unwrap();
        Engine::from_model(checkpoint(), model, &options).unwrap()
    };
    let mut engines = [
        engine(&base, Some(&lora)),
        engine(&lora.merged(&base).unwrap(), None),
        Engine::load(&ModelSource::Nano, &options).unwrap(),
    ];
    let text = Part::Text("click the red square".to_owned());
    let picture = Part::Image(Arc::new(RgbImage::from_pixel(96, 64, Rgb([200, 30, 30]))));
    let user = Message { role: Role::User, parts: vec![picture, text] };
    let conversation = Conversation { messages: vec![user], forced_prefix: None };
    let said = engines.each_mut().map(|engine| {
        let sampling = Sampling::greedy(12);
        engine.complete(&conversation, &sampling, &mut |_| ControlFlow::Continue(())).unwrap().token_ids
    });
    assert_eq!(said[0], said[1]);
    let [adapted, merged, plain] =
        engines.each_ref().map(|engine| inspect_forward(engine, &conversation).unwrap().logits);
    let (difference, change) = (relative(&adapted, &merged), relative(&plain, &merged));
    assert!(difference < 1e-4 && change > 0.01, "{difference} {change}");
}

#[test]
fn fresh_adapters_change_nothing_and_a_sampler_follows_them() {
    let dir = tempfile::tempdir().unwrap();
    let base = model(&config(dir.path()));
    let sizes = base.files.config().unwrap();
    let lora = Lora::fresh(lora_config(), &sizes, 1).unwrap();
    let a = values(&lora.tensors["model.layers.0.mlp.down_proj.lora_A.weight"]);
    let bound = (sizes.text.intermediate_size as f32).sqrt().recip();
    let largest = a.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(largest <= bound && largest > 0.9 * bound, "{largest} of {bound}");

    let trained = Trained::with_adapters(base.files.clone(), &base.base, &lora).unwrap();
    let (sampler, reference) =
        (trained.sampler().unwrap(), frozen_model(&trained.files, &trained.base, None).unwrap());
    let before = values(&cached_logits(&reference));
    assert_eq!(values(&cached_logits(&sampler)), before);
    for parameter in &trained.moving {
        parameter.var.set(&drawn(&parameter.name, parameter.var.dims())).unwrap();
    }
    assert!(relative(&cached_logits(&sampler), &cached_logits(&reference)) > 0.01);
    assert_eq!(values(&cached_logits(&reference)), before, "the base stays");
    // One copy of the base: whoever changed it would change the trainer's and the reference's at once.
    let weight = base.parameters.iter().find(|p| p.name == "model.layers.0.self_attn.q_proj.weight").unwrap();
    weight.var.set(&weight.var.zeros_like().unwrap()).unwrap();
    assert!(values(&trained.base[&weight.name]).iter().all(|value| *value == 0.0));
    assert_ne!(values(&cached_logits(&reference)), before);
}

/// The gradients of a trained model, plainly and with layers computed again.
fn both_gradients(trained: &mut Trained, dir: &Path) -> [Vec<Option<Tensor>>; 2] {
    let (config, data) = (config(dir), pages(dir, 2));
    let encoder = encoder(trained, &config);
    let work = Work::Turns(encoder.pack(&some_pages(&encoder, &data, 2)).unwrap());
    [false, true].map(|is_checkpointed| {
        trained.is_checkpointed = is_checkpointed;
        contribution(trained, &work, &encoder).unwrap().gradients
    })
}

#[test]
fn layers_computed_again_give_the_same_gradients() {
    let dir = tempfile::tempdir().unwrap();
    let full = model(&config(dir.path()));
    let decoder_only =
        LoraConfig { targets: vec!["v_proj".to_owned(), "down_proj".to_owned()], ..lora_config() };
    let decoder_only = learned(decoder_only, &full.files.config().unwrap());
    let decoder_only = Trained::with_adapters(full.files.clone(), &full.base, &decoder_only).unwrap();
    let frozen_tower = Trained::new(full.files.clone(), full.base.clone(), Freeze::Vision).unwrap();
    let of_all = adapted(&full);
    for (what, mut trained) in
        [("full", full), ("frozen tower", frozen_tower), ("both towers", of_all), ("decoder", decoder_only)]
    {
        let [plain, again] = both_gradients(&mut trained, dir.path());
        for ((plain, again), parameter) in plain.iter().zip(&again).zip(&trained.moving) {
            let (plain, again) = (plain.as_ref().unwrap(), again.as_ref().unwrap());
            let difference = relative(again, plain);
            assert!(difference < 1e-5, "{what}, {}: {difference}", parameter.name);
        }
    }
}

#[test]
fn a_folder_of_peft_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = model(&config(dir.path())).files.config().unwrap();
    let lora = learned(lora_config(), &sizes);
    let folder = dir.path().join("adapter");
    lora.write(&folder, "some/base").unwrap();
    let read = Lora::read(&folder, &sizes).unwrap();
    assert!(read.config.targets.iter().all(|target| lora.config.targets.contains(target)));
    assert_eq!(read.config.targets.len(), lora.config.targets.len());
    assert_eq!((read.config.rank, read.config.alpha), (2, 3.0));
    let all =
        |lora: &Lora| lora.tensors.iter().map(|(n, t)| (n.clone(), values(t))).collect::<BTreeMap<_, _>>();
    assert_eq!(all(&read), all(&lora));

    // The layout of older transformers, and rank-stabilized scaling: 3 / sqrt(2).
    let weights = folder.join("adapter_model.safetensors");
    let stored = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    assert!(stored.contains_key("base_model.model.model.language_model.layers.1.mlp.up_proj.lora_B.weight"));
    assert!(stored.contains_key("base_model.model.model.visual.merger.mlp.0.lora_A.weight"));
    let older =
        |name: &str| name.replace("model.language_model.", "model.").replace("model.visual.", "visual.");
    let older = stored.iter().map(|(name, tensor)| (older(name), tensor.clone())).collect();
    candle_core::safetensors::save(&older, &weights).unwrap();
    change(&folder, "use_rslora", json!(true));
    let read = Lora::read(&folder, &sizes).unwrap();
    assert_eq!(all(&read), all(&lora));
    assert!((read.config.scale() - 3.0 / 2.0_f64.sqrt()).abs() < 1e-12);
}

/// What makes adapters unreadable.
type Break = fn(&mut Lora);

/// Sets one option of a PEFT folder.
fn change(folder: &Path, name: &str, value: Value) {
    let path = folder.join("adapter_config.json");
    let mut options: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    options[name] = value;
    std::fs::write(&path, options.to_string()).unwrap();
}

#[test]
fn what_would_compute_something_else_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = model(&config(dir.path())).files.config().unwrap();
    let folder = dir.path().join("adapter");
    let options = [
        ("peft_type", json!("LOHA")),
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({ "q_proj": 4 })),
        ("alpha_pattern", json!({ "q_proj": 4 })),
        ("layers_to_transform", json!([0])),
        ("init_lora_weights", json!("pissa")),
        ("something_new", json!(1.5)),
        ("r", json!(0)),
    ];
    for (name, value) in options {
        learned(lora_config(), &sizes).write(&folder, "base").unwrap();
        change(&folder, name, value);
        let refused = Lora::read(&folder, &sizes).unwrap_err().to_string();
        assert!(refused.contains(&format!("`{name}`")), "{name}: {refused}");
    }
    let broken: [(&str, Break); 3] = [
        ("belongs to no layer", |lora| {
            for part in ["A", "B"] {
                let name = |layer| format!("model.layers.{layer}.mlp.up_proj.lora_{part}.weight");
                let moved = lora.tensors.remove(&name(0)).unwrap();
                lora.tensors.insert(name(9), moved);
            }
        }),
        ("no `model.layers.0.mlp.up_proj.lora_A.weight`", |lora| {
            lora.tensors.remove("model.layers.0.mlp.up_proj.lora_A.weight");
        }),
        ("shape", |lora| lora.config.rank = 5),
    ];
    for (expected, break_it) in broken {
        let mut lora = learned(lora_config(), &sizes);
        break_it(&mut lora);
        lora.write(&folder, "base").unwrap();
        let refused = Lora::read(&folder, &sizes).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    for (targets, rank, expected) in [
        (vec!["c_proj"], 2, "no layer is called `c_proj`; there are down_proj"),
        (vec!["lm_head"], 2, "no layer is called `lm_head`"),
        (vec![], 2, "no targets"),
        (vec!["q_proj"], 0, "rank 0"),
    ] {
        let targets = targets.into_iter().map(str::to_owned).collect();
        let refused =
            Lora::fresh(LoraConfig { rank, alpha: 1.0, targets }, &sizes, 1).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}
