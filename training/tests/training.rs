//! Gradients, accumulation, resuming, and that a tiny model learns two pages by heart.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "support/slopes.rs"]
mod slopes;
mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use slopes::check_slopes;
use support::{config, encoder, model, pages, some_pages};
use vigorl_training::checkpoint::read_weights;
use vigorl_training::config::{Freeze, QuestionMix, SftConfig};
use vigorl_training::fresh::tensor_shapes;
use vigorl_training::loss::TokenKind;
use vigorl_training::metrics::{SUPERVISED, SUPERVISED_HELD_OUT, held_out_key};
use vigorl_training::optim::{Optimizer, normalize_and_clip};
use vigorl_training::patches::{NamedImage, patch_batch};
use vigorl_training::sample::AskedPage;
use vigorl_training::seed::stream;
use vigorl_training::work::{Contribution, Taught, Work, asked_page, contribution};
use vigorl_training::workers::Workers;
use vigorl_training::{Compute, SftEnd, run_sft};

#[test]
fn gradients_are_those_of_finite_differences() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 2));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let batch = encoder.pack(&some_pages(&encoder, &data, 2)).unwrap();
    let work = Work::Turns(batch.clone());
    let gradients = contribution(&trained, &work, &encoder).unwrap().gradients;
    check_slopes(&trained, &batch, &encoder, &gradients);
}

fn together(parts: Vec<Contribution<Taught>>) -> Contribution<Taught> {
    parts.into_iter().reduce(|sum, part| sum.and(part).unwrap()).unwrap()
}

#[test]
fn two_micro_batches_of_one_page_are_one_of_two() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 2));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let workers = Workers::new(2).unwrap();
    let pages = some_pages(&encoder, &data, 2);
    let gradients = |groups: Vec<&[AskedPage]>| {
        let parts = workers.map(&groups, |pages| {
            let work = Work::Turns(encoder.pack(pages).unwrap());
            contribution(&trained, &work, &encoder).unwrap()
        });
        let mut sum = together(parts);
        let weight = sum.weight;
        normalize_and_clip(&mut sum.gradients, weight, 1e9, &workers).unwrap();
        sum.gradients.into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    let apart = gradients(vec![&pages[..1], &pages[1..]]);
    let together = gradients(vec![&pages]);
    for ((a, b), parameter) in apart.iter().zip(&together).zip(&trained.moving) {
        let largest =
            |t: Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        let difference = largest((a - b).unwrap());
        assert!(difference < 1e-5 + 1e-4 * largest(b.clone()), "{}: {difference}", parameter.name);
    }
}

fn run(config: &SftConfig, stop_after: Option<u64>) -> (SftEnd, Vec<f64>) {
    let cancelled = AtomicBool::new(false);
    let mut losses = Vec::new();
    let end = run_sft(
        config.clone(),
        &mut || Err("nobody reads".into()),
        &cancelled,
        &Compute::CPU,
        &mut |progress| {
            losses.push(progress.loss);
            cancelled.store(Some(progress.step) == stop_after, Ordering::Relaxed);
        },
    );
    (end.unwrap(), losses)
}

#[test]
fn an_interrupted_and_resumed_run_is_the_uninterrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    pages(dir.path(), 4);
    let whole = SftConfig { run: config(dir.path()).run, ..config(dir.path()) };
    let mut parted = whole.clone();
    parted.run.output_dir = dir.path().join("parted");
    let (end, expected) = run(&whole, None);
    assert_eq!(end, SftEnd::Finished);
    let (end, mut losses) = run(&parted, Some(2));
    assert_eq!(end, SftEnd::Interrupted { step: 2 });
    losses.extend(run(&parted, None).1);
    assert_eq!(losses, expected);
    let lines = |config: &SftConfig| {
        let text = std::fs::read_to_string(config.run.output_dir.join("metrics.jsonl")).unwrap();
        let without_times = |line: &str| {
            let mut values: HashMap<String, f64> = serde_json::from_str(line).unwrap();
            values.retain(|name, _| !name.starts_with("time/"));
            values
        };
        text.lines().map(without_times).collect::<Vec<_>>()
    };
    assert_eq!(lines(&parted), lines(&whole));
    let weights = |config: &SftConfig| {
        let folder = config.run.output_dir.join("checkpoints/step-00000004");
        let files = vigorl_training::files::ModelFiles::read(&folder).unwrap();
        let weights = read_weights(&folder, &tensor_shapes(&files.config().unwrap())).unwrap();
        weights.into_values().map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(weights(&parted), weights(&whole));
    for file in ["curves.png", "config.toml", "rows.html", "model/model.safetensors", "model/tokenizer.json"]
    {
        assert!(whole.run.output_dir.join(file).exists(), "{file} is missing");
    }
}

#[test]
fn every_name_of_the_log_is_a_metric_and_every_metric_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    pages(dir.path(), 4);
    let mut config = config(dir.path());
    config.stages[0].steps = 2;
    run(&config, None);
    let text = std::fs::read_to_string(config.run.output_dir.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<HashMap<String, f64>>(line).unwrap());
    let logged: BTreeSet<String> = lines.flat_map(HashMap::into_keys).filter(|key| key != "step").collect();
    let of_training = SUPERVISED.iter().map(|metric| metric.name.to_owned());
    let set = &config.heldout[0].name;
    let of_set = SUPERVISED_HELD_OUT.iter().map(|metric| held_out_key(set, metric.name));
    let known: BTreeSet<String> = of_training.chain(of_set).collect();
    assert!(logged.is_subset(&known), "{:?}", logged.difference(&known));
    // What two steps on four small pages have nothing of: a size, a form, a likeliest number.
    let of_the_data = [
        "in_box_small",
        "in_box_medium",
        "in_box_large",
        "in_box_zoomed",
        "accuracy_word",
        "error_median_px",
    ];
    let mut may_lack: BTreeSet<String> = of_the_data.iter().map(|name| held_out_key(set, name)).collect();
    may_lack.insert("error/number_median_px".to_owned());
    let absent: BTreeSet<String> = known.difference(&logged).cloned().collect();
    assert!(absent.is_subset(&may_lack), "never logged: {:?}", absent.difference(&may_lack));
}

#[test]
fn a_resume_keeps_the_seed_and_what_the_configuration_was() {
    let dir = tempfile::tempdir().unwrap();
    pages(dir.path(), 4);
    let mut config = config(dir.path());
    run(&config, Some(2));
    config.optimizer.clip_norm = 0.5;
    run(&config, Some(3));
    let read = |name: &str| std::fs::read_to_string(config.run.output_dir.join(name)).unwrap();
    assert!(read("config_until_step_2.toml").contains("clip_norm = 1.0"));
    assert!(read("config.toml").contains("clip_norm = 0.5"));

    config.run.seed += 1;
    let refused = run_sft(
        config,
        &mut || Err("nobody reads".into()),
        &AtomicBool::new(false),
        &Compute::CPU,
        &mut |_| {},
    )
    .unwrap_err()
    .to_string();
    assert!(refused.contains("began with seed 1") && refused.contains("says 2"), "{refused}");
}

#[test]
fn a_frozen_vision_tower_stays_and_the_rest_moves() {
    let dir = tempfile::tempdir().unwrap();
    pages(dir.path(), 4);
    let mut config = config(dir.path());
    config.optimizer.freeze = Freeze::Vision;
    let before: HashMap<String, Vec<f32>> =
        model(&config).parameters.iter().map(|p| (p.name.clone(), values(p.var.as_tensor()))).collect();
    run(&config, None);
    let folder = config.run.output_dir.join("checkpoints/step-00000004");
    let files = vigorl_training::files::ModelFiles::read(&folder).unwrap();
    let after = read_weights(&folder, &tensor_shapes(&files.config().unwrap())).unwrap();
    for (name, tensor) in after {
        let stayed = values(&tensor) == before[&name];
        assert_eq!(stayed, name.starts_with("visual."), "{name}");
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_tiny_model_learns_two_pages_by_heart() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 2));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let workers = Workers::new(2).unwrap();
    let mix = QuestionMix { point: 1.0, think: 1.0, ..QuestionMix::default() };
    let asked = |index: usize| {
        let page = asked_page(&encoder, &data, index, &mix, 3, None, &mut stream(4, &[index as u64]));
        Work::Turns(encoder.pack(&[page.unwrap()]).unwrap())
    };
    let batches = [asked(0), asked(1)];
    let mut optimizer = Optimizer::new(&trained.moving, &config.optimizer).unwrap();
    let mut losses = Vec::new();
    for _ in 0..120 {
        let parts = workers.map(&batches, |b| contribution(&trained, b, &encoder).unwrap());
        let mut sum = together(parts);
        losses.push(sum.loss / sum.weight);
        let weight = sum.weight;
        normalize_and_clip(&mut sum.gradients, weight, 1.0, &workers).unwrap();
        optimizer.step(&trained.moving, &sum.gradients, 1.0, &workers).unwrap();
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.1 * first, "loss went from {first} to {last}");
}

#[test]
fn visual_tokens_learn_to_name_what_they_show() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 3));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let workers = Workers::new(2).unwrap();
    let images: Vec<_> = (0..3)
        .map(|i| NamedImage::page(&encoder.view(data.image(i).unwrap()).unwrap(), data.page(i)))
        .collect();
    let batch = patch_batch(&encoder, &images).unwrap();
    // 64x64 pixels are 4x4 merged patches; each page has three widgets.
    assert_eq!(batch.targets.len(), 3 * 16);
    let shown = batch.targets.iter().filter(|t| t.kind == TokenKind::Patch).count();
    assert!((9..30).contains(&shown), "{shown}");
    let work = [Work::Patches(batch)];
    let mut optimizer = Optimizer::new(&trained.moving, &config.optimizer).unwrap();
    let mut accuracies = Vec::new();
    for _ in 0..80 {
        let parts = workers.map(&work, |w| contribution(&trained, w, &encoder).unwrap());
        let mut sum = together(parts);
        // The decoder's layers take no part; its embedding does.
        let part =
            |name: &str| trained.moving.iter().zip(&sum.gradients).find(|(p, _)| p.name == name).unwrap().1;
        assert!(
            part("model.layers.0.mlp.up_proj.weight").is_none()
                && part("model.embed_tokens.weight").is_some()
        );
        accuracies.push(sum.seen.tally.accuracy(TokenKind::Patch).unwrap());
        let weight = sum.weight;
        normalize_and_clip(&mut sum.gradients, weight, 1.0, &workers).unwrap();
        optimizer.step(&trained.moving, &sum.gradients, 1.0, &workers).unwrap();
    }
    assert!(accuracies[0] < 0.4 && accuracies[79] > 0.9, "{} to {}", accuracies[0], accuracies[79]);
}
