//! Learning by reward with the embedded policy on painted screens: the whole loop, in which nothing is faked but the world.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use vigorl_agent::Cancel;
use vigorl_geometry::{DevicePixelRatio, Rect, Size, Viewport};
use vigorl_interface::{Action, Driver, Screenshot};
use vigorl_qwen::{Checkpoint, ModelSource, WeightFormat};
use vigorl_rollouts::{Kit, Sample, read_samples};
use vigorl_tasks::picture::PictureWorld;
use vigorl_tasks::sources::{Part, Source, Stage};
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict};
use vigorl_training::bench::{UpdateStep, Workload as _, measure};
use vigorl_training::checkpoint::{Precision, export, named_weights, read_weights};
use vigorl_training::config::Freeze;
use vigorl_training::files::ModelFiles;
use vigorl_training::fresh::tensor_shapes;
use vigorl_training::metrics::{Kind, Record};
use vigorl_training::objective::{CutOff, Denominator, Drawn, Objective, ObjectiveConfig, policy_loss};
use vigorl_training::trees::{Tree, micro_batches, pack, places, trees};
use vigorl_training::work::Trained;
use vigorl_training::{Compute, GrpoConfig, GrpoEnd, GrpoProgress, TrainingError, Worlds, run_grpo};

/// A light screen with a dark square somewhere; right is whatever lies in the left half. The first `fail` judges fail.
#[derive(Debug, Default)]
struct LeftHalf {
    fail: AtomicUsize,
}

struct Screen<'s>(&'s LeftHalf, PictureWorld);

/// That of practice pages, the only one that the policy knows.
const SIZE: (u32, u32) = (192, 160);

fn screen(seed: u64) -> PictureWorld {
    let mut pixels = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([250; 3]));
    // Around the middle, so that samples of one screen differ in what they earn.
    let (left, top) = (78 + (seed * 37 % 12) as u32, 8 + (seed * 23 % 120) as u32);
    for (x, y) in (left..left + 24).flat_map(|x| (top..top + 24).map(move |y| (x, y))) {
        pixels.put_pixel(x, y, Rgb([200, 30, 40]));
    }
    let screenshot = Screenshot { pixels: Arc::new(pixels), device_pixel_ratio: DevicePixelRatio::ONE };
    let half = Rect::new(0.0, 0.0, f64::from(SIZE.0) / 2.0, f64::from(SIZE.1));
    PictureWorld::new(screenshot, "click the red square", vec![half])
}

impl Source for LeftHalf {
    fn name(&self) -> &str {
        "left"
    }
    fn about(&self) -> String {
        "the left half".to_owned()
    }
    fn seed(&self, part: Part, number: u64) -> u64 {
        part.seed(number)
    }
    fn world<'w>(&'w self, _stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(Screen(self, screen(0))))
    }
}

impl Environment for Screen<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.1 = screen(seed);
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
        if self.0.fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err("no judge".into());
        }
        self.1.judge(answer, senses, allowance)
    }
}

struct NoBrowser;

impl Kit for NoBrowser {
    fn driver(&self, _viewport: Size<Viewport>) -> Result<Box<dyn Driver>, Failure> {
        Err("no browser is needed".into())
    }
    fn senses(&self) -> Result<Box<dyn Senses>, Failure> {
        Ok(Box::new(Blind))
    }
    fn device_pixel_ratio(&self) -> DevicePixelRatio {
        DevicePixelRatio::ONE
    }
}

fn config(dir: &Path, settings: &[&str]) -> GrpoConfig {
    let text = format!(
        "preset = 'nano'\n[run]\noutput_dir = {:?}\nsteps = 3\ncheckpoint_every = 100\n[[environment]]\nname = 'left'\n\
         weight = 1\n[group]\nsize = 4\nper_step = 3\n",
        dir.join("run")
    );
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    GrpoConfig::parse(&text, Path::new("test.toml"), &settings).unwrap()
}

/// Runs, cancelled behind step `stop` if there is one; what was logged.
fn run(
    config: GrpoConfig,
    fail: usize,
    stop: Option<u64>,
) -> (Result<GrpoEnd, TrainingError>, Vec<Record>, Vec<String>) {
    run_in(config, &Compute::CPU, fail, stop)
}

fn run_in(
    config: GrpoConfig,
    compute: &Compute,
    fail: usize,
    stop: Option<u64>,
) -> (Result<GrpoEnd, TrainingError>, Vec<Record>, Vec<String>) {
    let cancel = Cancel::default();
    let open = |_: &str| Ok(Box::new(LeftHalf { fail: fail.into() }) as Box<dyn Source>);
    let worlds = Worlds { open: &open, kit: &NoBrowser, film: &|_, _| Ok(()), compute, cancel: &cancel };
    let (mut records, mut warnings) = (Vec::new(), Vec::new());
    let end = run_grpo(config, &worlds, &mut |progress| match progress {
        GrpoProgress::Stepped { step, record, .. } => {
            records.push(record.clone());
            if stop == Some(*step) {
                cancel.set();
            }
        }
        GrpoProgress::Warning(text) => warnings.push(text.clone()),
        GrpoProgress::Playing { .. } => {}
    });
    (end, records, warnings)
}

fn weights(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let shapes = tensor_shapes(&ModelFiles::read(folder).unwrap().config().unwrap());
    let tensors = read_weights(folder, &shapes).unwrap();
    tensors.into_iter().map(|(name, t)| (name, t.flatten_all().unwrap().to_vec1().unwrap())).collect()
}

/// What was logged of a step.
fn at(records: &[Record], step: u64) -> &Record {
    records.iter().find(|record| record.step == step).unwrap()
}

fn without_times(records: &[Record]) -> Vec<BTreeMap<String, f64>> {
    let kept = |record: &Record| {
        record
            .values
            .iter()
            .filter(|(name, _)| !name.starts_with("time/"))
            .map(|(n, v)| (n.clone(), *v))
            .collect()
    };
    records.iter().map(kept).collect()
}

#[test]
fn what_is_rewarded_becomes_more_likely() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        config(dir.path(), &["run.steps=12", "group.size=8", "group.per_step=4", "optimizer.matrix_lr=3e-4"]);
    let (end, records, warnings) = run(config, 0, None);
    assert_eq!(end.unwrap(), GrpoEnd::Finished { step: 12 });
    assert!(warnings.is_empty(), "{warnings:?}");
    for name in records.iter().flat_map(|record| record.values.keys()) {
        assert!(Kind::ByReward.metric(name).is_some(), "`{name}` is logged and means nothing");
    }
    let success = |records: &[Record]| {
        records.iter().map(|record| record.values["success/train"]).sum::<f64>() / records.len() as f64
    };
    let steps: Vec<Record> = records.into_iter().filter(|record| record.step > 0).collect();
    let (first, last) = (success(&steps[..3]), success(&steps[9..]));
    assert!(
        last > 0.85 && last > first + 0.1,
        "the left half is clicked in {first:.2}, then {last:.2} of all"
    );
    assert!(steps[0].values.contains_key("policy/ratio_error"));
    // A step in which all groups agree has no tokens to learn from.
    let of_steps = |name: &'static str| steps.iter().filter_map(move |record| record.values.get(name));
    assert!(of_steps("policy/ratio_error").all(|error| *error < 1e-4));
    assert!(
        of_steps("policy/clip_share").all(|share| *share == 0.0),
        "the first update of a batch clips nothing"
    );
    assert!(dir.path().join("run/model/model.safetensors").exists());
    assert!(dir.path().join("run/curves.png").exists());
    let rows = std::fs::read_to_string(dir.path().join("run/rows.html")).unwrap();
    assert!(
        rows.contains("class=\"good\"") && rows.contains("class=\"bad\"") && rows.contains("visual tokens]")
    );
}

#[test]
fn samples_that_are_learned_from_again_meet_the_clip() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["run.steps=2", "group.size=8", "update.epochs=4", "optimizer.matrix_lr=1e-3"];
    let (end, records, _) = run(config(dir.path(), &settings), 0, None);
    end.unwrap();
    let clipped: Vec<f64> =
        records.iter().filter_map(|record| record.values.get("policy/clip_share").copied()).collect();
    assert!(clipped.iter().any(|share| *share > 0.0), "{clipped:?}");
    // What the sampler recorded is compared before the first move.
    assert!(records.iter().filter_map(|r| r.values.get("policy/ratio_error")).all(|error| *error < 1e-4));
}

#[test]
fn behind_a_blindfold_nothing_is_shown_and_all_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (end, records, _) = run(
        config(dir.path(), &["run.steps=1", "control.blank_screen=true", "group.size=2", "group.per_step=1"]),
        0,
        None,
    );
    end.unwrap();
    assert!(records.last().unwrap().values.contains_key("success/train"));
    let rollouts = dir.path().join("run/rollouts/step-00000001-0");
    // What the policy was shown; the first screenshot of the world is kept beside it.
    let samples = read_samples(&rollouts).unwrap();
    let told: Vec<String> =
        samples.iter().map(|sample| serde_json::to_string(&sample.actions).unwrap()).collect();
    let names = told.iter().flat_map(|told| told.split('"').filter(|text| text.starts_with("images/")));
    let shown: Vec<RgbImage> =
        names.map(|name| image::open(rollouts.join(name)).unwrap().into_rgb8()).collect();
    let is_empty = |picture: &RgbImage| picture.pixels().all(|pixel| pixel == picture.get_pixel(0, 0));
    let screens: Vec<&RgbImage> = shown.iter().filter(|picture| picture.dimensions() == SIZE).collect();
    assert!(!screens.is_empty() && screens.into_iter().all(is_empty));
}

/// A folder as a warm start leaves it: the embedded policy, and a few screens with names.
fn warm_start(folder: &Path) {
    let checkpoint = Checkpoint::open(&ModelSource::Nano).unwrap();
    let weights = checkpoint.weights(&Device::Cpu, WeightFormat::Dense(DType::F32)).unwrap();
    let weights = named_weights(&weights, &tensor_shapes(&checkpoint.config)).unwrap();
    let trained = Trained::new(ModelFiles::embedded(), weights, Freeze::Nothing).unwrap();
    export(&folder.join("model"), &trained.files, &trained.parameters, Precision::Half).unwrap();
    std::fs::create_dir_all(folder.join("screens")).unwrap();
    let mut lines = Vec::new();
    for seed in 0..4 {
        let name = format!("{seed}.png");
        let shown = screen(seed).observe().unwrap().screenshot.unwrap();
        shown.pixels.save(folder.join("screens").join(&name)).unwrap();
        let split = if seed == 3 { "held_out" } else { "train" };
        let (image, left, top) = (&name, 78 + seed * 37 % 12, 8 + seed * 23 % 120);
        lines.push(format!(
            r#"{{"image":"{image}","instruction":"the red button","box":[{left},{top},{},{}],"split":"{split}"}}"#,
            left + 23,
            top + 23
        ));
    }
    std::fs::write(folder.join("screens/pairs.jsonl"), lines.join("\n")).unwrap();
}

const WARM_START: [&str; 8] = [
    "warm_start.steps=10",
    "warm_start.episodes=4",
    "warm_start.texts=false",
    "warm_start.practice_pages=0",
    "warm_start.practice_share=0.0",
    "warm_start.lessons_weight=0.5",
    "warm_start.lessons_per_move=2",
    "run.steps=2",
];

#[test]
fn behind_a_warm_start_lessons_go_on_and_all_three_policies_are_measured_and_filmed() {
    let dir = tempfile::tempdir().unwrap();
    warm_start(&dir.path().join("run/warm_start"));
    let heldout = "heldout=[{name='left', environment='left', episodes=6, samples=0, search=false}]";
    let settings: Vec<&str> = WARM_START.into_iter().chain([heldout]).collect();
    let config = config(dir.path(), &settings);
    assert!(config.begins_with().unwrap().ends_with("warm_start/model"));
    let cancel = Cancel::default();
    let open = |_: &str| Ok(Box::<LeftHalf>::default() as Box<dyn Source>);
    let films = std::cell::RefCell::new(Vec::new());
    let film = |name: &str, tapes: &[vigorl_rollouts::Tape]| {
        films.borrow_mut().push((name.to_owned(), tapes.len()));
        Ok(())
    };
    let worlds =
        Worlds { open: &open, kit: &NoBrowser, film: &film, compute: &Compute::CPU, cancel: &cancel };
    let mut records = Vec::new();
    let mut keep = |progress: &GrpoProgress| {
        if let GrpoProgress::Stepped { record, .. } = progress {
            records.push(record.clone());
        }
    };
    run_grpo(config, &worlds, &mut keep).unwrap();
    let filmed: Vec<(String, usize)> = films.into_inner();
    let names: Vec<&str> = filmed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["before", "warm-start", "after"]);
    assert!(filmed.iter().all(|(_, n)| *n == 6), "{filmed:?}");
    let start = &records[0].values;
    // Both are the embedded policy here.
    assert_eq!(start["heldout/left/given"], start["heldout/left/greedy"]);
    assert!(
        records
            .iter()
            .filter(|r| r.values.contains_key("policy/loss"))
            .all(|r| r.values["loss/lessons"] > 0.0)
    );
    for name in records.iter().flat_map(|record| record.values.keys()) {
        assert!(Kind::ByReward.metric(name).is_some(), "`{name}` is logged and means nothing");
    }
}

#[test]
fn what_was_learned_says_so_and_how_sure_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (end, _, _) = run(config(dir.path(), &["run.steps=1"]), 0, None);
    end.unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join("run/model").join(name)).unwrap();
    let spoken_to: vigorl_policy::SpokenTo = serde_json::from_str(&read("vigorl.json")).unwrap();
    assert!(spoken_to.learned_from_reward && !spoken_to.told_texts);
    let maps: Vec<vigorl_agent::ConfidenceMap> = serde_json::from_str(&read("confidence.json")).unwrap();
    let [map] = &maps[..] else { panic!("{maps:?}") };
    assert_eq!((map.domain.as_str(), map.max_size), ("left", Some([192.0, 160.0])));
    let model = Checkpoint::open(&ModelSource::Dir(dir.path().join("run/model"))).unwrap();
    assert_eq!(map.weights_sha256, model.weights_sha256().unwrap());
    assert!(map.n >= 100, "{map:?}");
}

#[test]
fn a_run_that_was_stopped_and_resumed_is_the_unbroken_one() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parted) = (dir.path().join("whole"), dir.path().join("parted"));
    let (end, records, _) = run(config(&whole, &[]), 0, None);
    assert_eq!(end.unwrap(), GrpoEnd::Finished { step: 3 });
    let (end, mut resumed, _) = run(config(&parted, &[]), 0, Some(1));
    assert_eq!(end.unwrap(), GrpoEnd::Interrupted { step: 1 });
    resumed.extend(run(config(&parted, &[]), 0, None).1);
    assert_eq!(without_times(&records), without_times(&resumed));
    assert_eq!(weights(&whole.join("run/model")), weights(&parted.join("run/model")));
}

#[test]
fn a_measurement_that_was_broken_off_is_made_again_and_logged_whole() {
    const HELD_OUT: [&str; 3] = [
        "run.eval_every=2",
        "heldout=[{name='left', environment='left', episodes=6, samples=0, search=false}, \
         {name='again', environment='left', episodes=6, samples=0, search=false}]",
        "run.steps=3",
    ];
    let dir = tempfile::tempdir().unwrap();
    let (whole, parted) = (dir.path().join("whole"), dir.path().join("parted"));
    let log = |of: &Path| {
        let records = Record::all_of(&std::fs::read_to_string(of.join("run/metrics.jsonl")).unwrap());
        (records.iter().map(|record| record.step).collect::<Vec<_>>(), without_times(&records))
    };
    run(config(&whole, &HELD_OUT), 0, None).0.unwrap();
    assert_eq!(log(&whole).0, [0, 1, 2, 3]);
    // Ended in the second set before the first step, behind step 2, and at the end.
    for (step, n_logged) in [(0, 0), (2, 3), (3, 4)] {
        let cancel = Cancel::default();
        let open = |_: &str| Ok(Box::<LeftHalf>::default() as Box<dyn Source>);
        let worlds = Worlds {
            open: &open,
            kit: &NoBrowser,
            film: &|_, _| Ok(()),
            compute: &Compute::CPU,
            cancel: &cancel,
        };
        let mut done = 0;
        let end = run_grpo(config(&parted, &HELD_OUT), &worlds, &mut |progress| match progress {
            GrpoProgress::Stepped { step, .. } => done = *step,
            GrpoProgress::Playing { what, .. } if done == step && what == "held out: again" => cancel.set(),
            _ => {}
        });
        assert_eq!(end.unwrap(), GrpoEnd::Interrupted { step });
        let text = std::fs::read_to_string(parted.join("run/metrics.jsonl")).unwrap_or_default();
        let records = Record::all_of(&text);
        assert_eq!(records.len(), n_logged, "{step}");
        assert!(
            records.last().is_none_or(|last| !last.values.keys().any(|name| name.starts_with("heldout/")))
        );
    }
    let (end, _, _) = run(config(&parted, &HELD_OUT), 0, None);
    assert_eq!(end.unwrap(), GrpoEnd::Finished { step: 3 });
    assert_eq!(log(&whole), log(&parted));
    assert_eq!(weights(&whole.join("run/model")), weights(&parted.join("run/model")));
    assert_eq!(weights(&whole.join("run/best")), weights(&parted.join("run/best")));
}

#[test]
fn a_killed_run_takes_the_rollouts_that_were_whole_and_loses_a_step_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let (end, records, _) = run(config(dir.path(), &["run.keep_rollouts_every=1"]), 0, None);
    end.unwrap();
    // As if it had been killed behind the rollouts of step 2: its checkpoint is that of the start.
    let again = dir.path().join("again");
    let rollouts = again.join("run/rollouts");
    std::fs::create_dir_all(&rollouts).unwrap();
    for step in ["step-00000001-0", "step-00000002-0"] {
        copy(&dir.path().join("run/rollouts").join(step), &rollouts.join(step));
    }
    // A step that was under way is played again.
    std::fs::create_dir_all(rollouts.join("step-00000003-0.partial")).unwrap();
    let played =
        std::fs::metadata(rollouts.join("step-00000002-0/rollouts.jsonl")).unwrap().modified().unwrap();
    let (end, resumed, _) = run(config(&again, &[]), 0, None);
    end.unwrap();
    let after =
        std::fs::metadata(rollouts.join("step-00000002-0/rollouts.jsonl")).unwrap().modified().unwrap();
    assert_eq!(played, after, "what was whole is not played again");
    assert_eq!(without_times(&records), without_times(&resumed));
    assert_eq!(weights(&dir.path().join("run/model")), weights(&again.join("run/model")));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &there) } else { std::fs::copy(&path, &there).map(drop).unwrap() }
    }
}

#[test]
fn the_update_of_a_run_is_measured_and_handed_over_with_its_rows_together_and_apart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["run.steps=1", "group.size=8", "optimizer.matrix_lr=1e-5", "optimizer.vector_lr=1e-5"];
    run(config(dir.path(), &settings), 0, None).0.unwrap();
    let folder = dir.path().join("run");
    let of_run = |folder: &Path| UpdateStep::of_run(folder, &Compute::CPU);
    let mut update = of_run(&folder).unwrap();
    let size = update.size();
    assert!(size.n_rows < size.n_conversations, "a group shares what it was asked: {size:?}");
    assert!(size.n_tokens < size.n_tokens_apart && size.n_patches < size.n_patches_apart, "{size:?}");
    let written = dir.path().join("written");
    std::fs::create_dir_all(&written).unwrap();
    update.write(&written).unwrap();
    let rows = candle_core::safetensors::load(written.join("rows.safetensors"), &Device::Cpu).unwrap();
    let of = |name: &str, is_apart: bool| -> Vec<Vec<f32>> {
        let tensors = rows
            .iter()
            .filter(|(key, _)| key.ends_with(&format!(".{name}")) && key.starts_with("apart.") == is_apart);
        tensors.map(|(_, t)| t.to_dtype(DType::F32).unwrap().to_vec1().unwrap()).collect()
    };
    for name in ["sampled", "advantages", "weights"] {
        let sorted = |is_apart| {
            let mut all: Vec<f32> = of(name, is_apart).concat();
            all.sort_by(f32::total_cmp);
            all
        };
        assert_eq!(sorted(false), sorted(true), "{name}");
        assert_eq!(sorted(false).len(), size.n_sampled, "{name}");
    }
    let speed = measure(&mut update, 1, &mut || ()).unwrap();
    assert!(speed.last_loss < speed.first_loss && speed.first_gradient_norm > 0.0, "{speed:?}");
    // What is none.
    let error = of_run(dir.path()).unwrap_err().to_string();
    assert!(error.contains("name the folder of a run"), "{error}");
    std::fs::remove_dir_all(folder.join("rollouts")).unwrap();
    assert!(of_run(&folder).unwrap_err().to_string().contains("no rollouts"));
    std::fs::write(
        folder.join("config.toml"),
        std::fs::read_to_string(folder.join("config.toml")).unwrap()
            + "\n[lora]\nrank = 2\nalpha = 4.0\ntargets = ['q_proj']\n",
    )
    .unwrap();
    assert!(of_run(&folder).unwrap_err().to_string().contains("adapters"));
}

#[test]
fn rollouts_of_other_weights_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    // With a distance to the reference every token is looked at, also where groups agree.
    let settings = ["run.steps=1", "run.keep_rollouts_every=1", "objective.kl=0.01"];
    run(config(dir.path(), &settings), 0, None).0.unwrap();
    let lines = dir.path().join("run/rollouts/step-00000001-0/rollouts.jsonl");
    let samples = read_samples(&lines).unwrap();
    let mut text = String::new();
    for mut sample in samples {
        sample.actions[0].turns[0].logprobs.iter_mut().for_each(|logprob| *logprob -= 0.5);
        text.push_str(&format!("{}\n", serde_json::to_string(&sample).unwrap()));
    }
    std::fs::remove_dir_all(dir.path().join("run/checkpoints")).unwrap();
    std::fs::write(&lines, text).unwrap();
    let error = run(config(dir.path(), &settings), 0, None).0.unwrap_err().to_string();
    assert!(error.contains("sampler and trainer disagree"), "{error}");
}

#[test]
fn what_the_world_failed_is_no_sample_and_a_broken_world_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["run.steps=1", "play.at_once=1", "run.keep_rollouts_every=1"];
    let (end, records, _) = run(config(dir.path(), &settings), 2, None);
    end.unwrap();
    let step = &at(&records, 1).values;
    assert_eq!((step["ends/errors"], step["data/episodes"]), (2.0, 11.0));
    let lines = read_samples(&dir.path().join("run/rollouts/step-00000001-0")).unwrap();
    assert_eq!(lines.len(), 11);
    let (end, ..) = run(config(&dir.path().join("other"), &settings), usize::MAX, None);
    let error = end.unwrap_err().to_string();
    assert!(error.contains("environment `left`") && error.contains("no judge"), "{error}");
}

#[test]
fn a_run_without_variance_says_so_and_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody can answer in three tokens.
    let settings = ["run.steps=1", "sampling.max_new_tokens=3", "objective.token_limit=mask"];
    let before = weights_of_nano();
    let (end, records, warnings) = run(config(dir.path(), &settings), 0, None);
    end.unwrap();
    assert_eq!(at(&records, 1).values["ends/token_limit"], 1.0);
    assert_eq!(at(&records, 1).values["groups/with_variance"], 0.0);
    assert!(
        warnings[0].contains("only 0 % of the groups") && warnings[0].contains("warm start"),
        "{warnings:?}"
    );
    // Nothing was learned from them.
    for (name, values) in weights(&dir.path().join("run/model")) {
        assert_eq!(values, before[&name], "{name} has moved");
    }
}

fn nano() -> Checkpoint {
    Checkpoint::open(&ModelSource::Nano).unwrap()
}

fn trained() -> Trained {
    let checkpoint = nano();
    let weights = checkpoint.weights(&Device::Cpu, WeightFormat::Dense(DType::F32)).unwrap();
    let weights = named_weights(&weights, &tensor_shapes(&checkpoint.config)).unwrap();
    Trained::new(ModelFiles::embedded(), weights, Freeze::Nothing).unwrap()
}

fn weights_of_nano() -> BTreeMap<String, Vec<f32>> {
    let of = |p: &vigorl_training::optim::Parameter| {
        (p.name.clone(), p.var.as_tensor().flatten_all().unwrap().to_vec1().unwrap())
    };
    trained().parameters.iter().map(of).collect()
}

/// Gradients of all tokens of some micro-batches, in one vector for each parameter.
fn gradients(trained: &Trained, batches: &[Vec<Tree>], advantage: impl Fn(usize) -> f32) -> Vec<Vec<f32>> {
    let objective = ObjectiveConfig {
        objective: Objective::Grpo,
        clip_low: 0.2,
        clip_high: 0.28,
        dual_clip: 3.0,
        kl: 0.0,
        kl_clamp: 10.0,
        denominator: Denominator::Global,
        token_limit: CutOff::Mask,
    };
    let mut sums: Vec<Vec<f32>> = Vec::new();
    for rows in batches {
        let batch = pack(&nano(), rows).unwrap();
        let tokens = rows.iter().flat_map(|row| &row.tokens);
        let drawn: Vec<Drawn> = tokens
            .map(|t| Drawn {
                id: t.id,
                old_logprob: None,
                reference_logprob: None,
                advantage: advantage(t.sample),
                weight: 1.0,
            })
            .collect();
        let head = |pass: &vigorl_qwen::PackedPass| {
            let logits = trained.model.logits_at(pass, &places(rows))?;
            let loss = policy_loss(&logits, &drawn, &objective, 1.0)?;
            Ok((loss.surrogate, loss.outcomes))
        };
        let (found, outcomes) = trained.gradients(&batch, head).unwrap();
        for (token, outcome) in rows.iter().flat_map(|row| &row.tokens).zip(&outcomes) {
            let difference = (token.logprob - outcome.logprob).abs();
            assert!(difference <= 1e-4, "sampled with {}, learned with {}", token.logprob, outcome.logprob);
        }
        let flat =
            found.into_iter().map(|g| g.map_or(vec![], |g| g.flatten_all().unwrap().to_vec1().unwrap()));
        match sums.is_empty() {
            true => sums = flat.collect(),
            false => {
                for (sum, of_batch) in sums.iter_mut().zip(flat) {
                    if sum.is_empty() {
                        *sum = of_batch;
                    } else {
                        sum.iter_mut().zip(of_batch).for_each(|(sum, x)| *sum += x);
                    }
                }
            }
        }
    }
    sums
}

#[test]
fn a_tree_is_its_branches_and_padding_and_the_cut_into_micro_batches_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(config(dir.path(), &["run.steps=1", "run.keep_rollouts_every=1"]), 0, None).0.unwrap();
    let folder = dir.path().join("run/rollouts/step-00000001-0");
    let samples: Vec<Sample> = read_samples(&folder).unwrap();
    let open = |name: &str| -> Result<Arc<RgbImage>, TrainingError> {
        Ok(Arc::new(image::open(folder.join(name)).unwrap().to_rgb8()))
    };
    let rows = |max_tokens: usize| {
        let actions = samples.iter().enumerate().flat_map(|(n, s)| s.actions.iter().map(move |a| (n, a)));
        trees(&nano(), actions, max_tokens, &mut { open }).unwrap()
    };
    let shared = rows(4096);
    assert_eq!(shared.len(), 3, "a row for each group");
    // Every sampled token stands once, and nothing else is learned.
    let said: usize =
        samples.iter().flat_map(|s| &s.actions).flat_map(|a| &a.turns).map(|t| t.ids.len()).sum();
    assert_eq!(shared.iter().map(|row| row.tokens.len()).sum::<usize>(), said);
    for row in &shared {
        assert!(row.tokens.iter().all(|token| row.ids[token.index] == token.id));
        assert!(row.tokens.iter().all(|token| row.segments[token.index] > 0));
    }
    let alone = rows(1);
    assert_eq!(alone.len(), samples.len(), "a row for each sample");
    let trained = trained();
    let advantage = |sample: usize| [1.0, -0.5, 0.25, -2.0][sample % 4];
    // All in one batch with padding, each row alone, each sample alone: eight of one are one of eight.
    let together = gradients(&trained, &micro_batches(shared.clone(), usize::MAX), advantage);
    for other in [micro_batches(shared, 1), micro_batches(alone.clone(), 1), micro_batches(alone, 2_000)] {
        let apart = gradients(&trained, &other, advantage);
        let (mut drift, mut n) = (0.0, 0);
        for ((a, b), parameter) in together.iter().zip(&apart).zip(&trained.moving) {
            let largest = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let difference = a.iter().zip(b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(difference <= 1e-4 * largest + 1e-6, "{}: {difference} of {largest}", parameter.name);
            drift +=
                a.iter().zip(b).map(|(a, b)| f64::from(a - b) / f64::from(largest.max(1e-6))).sum::<f64>();
            n += a.len();
        }
        assert!((drift / n as f64).abs() < 1e-6, "a lost factor would show here: {}", drift / n as f64);
    }
}

/// What moves in a run with adapters.
const ADAPTERS: [&str; 3] = ["lora.rank=4", "lora.alpha=8.0", "lora.targets=[\"q_proj\", \"down_proj\"]"];

/// What stays as it is in 16 bits, what moves in 32: as on a card, by the operations that are composed for one.
#[test]
fn adapters_learn_beside_weights_of_16_bits() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        ["run.steps=2", ADAPTERS[0], ADAPTERS[1], ADAPTERS[2], "group.per_step=1", "objective.kl=0.01"];
    let compute = Compute { frozen: DType::BF16, ..Compute::CPU };
    // Behind one step, because 16 bits are slow on a processor.
    let (end, records, _) = run_in(config(dir.path(), &settings), &compute, 0, Some(1));
    end.unwrap();
    let adapters = dir.path().join("run/checkpoints/step-00000001/adapter_model.safetensors");
    let moved = candle_core::safetensors::load(adapters, &Device::Cpu).unwrap();
    let length = |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    let is_moved = |name: &str| moved.iter().any(|(at, tensor)| at.contains(name) && length(tensor) > 0.0);
    assert!(is_moved("q_proj.lora_B") && is_moved("down_proj.lora_B"), "B begins with 0");
    // Numbers of 8 bits: what sampler and trainer say differs, and not by much.
    let error = at(&records, 1).values["policy/ratio_error"];
    assert!(error < 0.5, "{error}");
}

#[test]
fn adapters_learn_with_layers_computed_again_and_a_resumed_run_is_the_unbroken_one() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "run.steps=2",
        ADAPTERS[0],
        ADAPTERS[1],
        ADAPTERS[2],
        "update.recompute_layers=true",
        "objective.kl=0.01",
    ];
    let (whole, parted) = (dir.path().join("whole"), dir.path().join("parted"));
    let (end, records, _) = run(config(&whole, &settings), 0, None);
    end.unwrap();
    assert!(
        at(&records, 1).values["policy/kl"] < 1e-9,
        "before the first update the policy is its own reference"
    );
    assert!(at(&records, 1).values["policy/ratio_error"] < 1e-4);
    run(config(&parted, &settings), 0, Some(1)).0.unwrap();
    run(config(&parted, &settings), 0, None).0.unwrap();
    let (learned, before) = (weights(&whole.join("run/model")), weights_of_nano());
    assert_eq!(learned, weights(&parted.join("run/model")));
    for (name, values) in &learned {
        let is_target = name.contains("q_proj.weight") || name.contains("down_proj.weight");
        assert_eq!(values != &before[name], is_target && name.starts_with("model."), "{name}");
    }
    assert!(whole.join("run/model-adapter/adapter_model.safetensors").exists());
}
