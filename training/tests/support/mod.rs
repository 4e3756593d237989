//! A tiny model and a tiny data set whose widgets are plain colored boxes: no browser is needed.
#![allow(dead_code, reason = "every test file uses a part")]

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use vigorl_tasks::practice::dataset::{DatasetSpec, Manifest, Record};
use vigorl_tasks::practice::{PageSpec, PracticePage, Split};
use vigorl_tasks::sources::Part;
use vigorl_training::config::{Freeze, InitConfig, Objective, QuestionMix, SftConfig};
use vigorl_training::fresh;
use vigorl_training::lessons::LessonSet;
use vigorl_training::sample::{AskedPage, Encoder, MicroBatch};
use vigorl_training::seed::stream;
use vigorl_training::work::{Trained, asked_page, turns_loss};

/// Side of a page.
pub(crate) const SIDE: u32 = 64;

/// The recipe's file with everything made small.
pub(crate) fn config(dir: &Path) -> SftConfig {
    let text = include_str!("../../configs/nano.toml");
    let mut config = SftConfig::parse(text, Path::new("nano.toml")).unwrap();
    config.run.output_dir = dir.join("run");
    config.run.log_every = 1;
    config.run.eval_every = 1000;
    config.run.checkpoint_every = 1000;
    let InitConfig::New(new) = &mut config.init else { panic!("the recipe starts from random weights") };
    new.text.hidden_size = 32;
    new.text.intermediate_size = 48;
    new.text.num_hidden_layers = 2;
    new.text.num_attention_heads = 2;
    new.text.num_key_value_heads = 1;
    new.text.rope_scaling.mrope_section = [2, 3, 3];
    new.vision.hidden_size = 32;
    new.vision.intermediate_size = 48;
    new.vision.depth = 2;
    new.vision.num_heads = 2;
    new.vision.out_hidden_size = 32;
    new.vision.fullatt_block_indexes = vec![1];
    config.heldout.truncate(1);
    config.heldout[0].data = dir.join("pages");
    config.heldout[0].pages = 2;
    config.heldout[0].objective = Objective::Turns;
    config.stages.truncate(1);
    let stage = &mut config.stages[0];
    stage.steps = 4;
    stage.micro_batches = 2;
    stage.mixes.truncate(1);
    stage.mixes[0].data = dir.join("pages");
    stage.mixes[0].pages = 2;
    stage.mixes[0].questions_per_page = 3;
    stage.mixes[0].objective = Objective::Turns;
    stage.mixes[0].questions = every_form();
    config.optimizer.schedule.warmup_steps = 2;
    config.loss.gaze_layer = 1;
    config
}

/// All forms of questions.
pub(crate) fn every_form() -> QuestionMix {
    QuestionMix { name: 1.0, point: 1.0, think: 1.0, zoom: 1.0, ..QuestionMix::default() }
}

/// A fresh tiny model.
pub(crate) fn model(config: &SftConfig) -> Trained {
    let InitConfig::New(new) = &config.init else { panic!("the recipe starts from random weights") };
    let files = fresh::files(new).unwrap();
    let weights =
        fresh::weights(&files.config().unwrap(), &new.weights, new.tokenizer.numbers, config.run.seed)
            .unwrap();
    Trained::new(files, weights, Freeze::Nothing).unwrap()
}

/// The encoder of a model.
pub(crate) fn encoder(trained: &Trained, config: &SftConfig) -> Encoder {
    Encoder::new(&trained.files, config.policy.preset(), &config.loss).unwrap()
}

/// The loss of a batch, summed over its weighted targets.
pub(crate) fn weighted_loss(trained: &Trained, batch: &MicroBatch, encoder: &Encoder) -> f64 {
    let loss = turns_loss(&trained.model, batch, encoder).unwrap();
    loss.outcomes.iter().map(|o| f64::from(o.divergence) * f64::from(o.weight)).sum()
}

/// Three questions of any form about each of the first `n` pages.
pub(crate) fn some_pages(encoder: &Encoder, data: &LessonSet, n: usize) -> Vec<AskedPage> {
    let asked = |index: usize| {
        let mut rng = stream(5, &[index as u64]);
        asked_page(encoder, data, index, &every_form(), 3, None, &mut rng).unwrap()
    };
    (0..n).map(asked).collect()
}

/// Writes `n` pages into `dir/pages` and opens them.
pub(crate) fn pages(dir: &Path, n: u64) -> LessonSet {
    let folder = dir.join("pages");
    fs::create_dir_all(&folder).unwrap();
    let first =
        PageSpec::icons(0, Split::Train).on_canvas(SIDE, SIDE).with_distractors(2..=2).with_sizes(10..=16);
    let manifest = Manifest {
        format: 1,
        generator: 1,
        spec: DatasetSpec { first, pages: n },
        columns: n as u32,
        rows: 1,
        device_pixel_ratio: 1.0,
    };
    fs::write(folder.join("dataset.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
    let mut sheet = RgbImage::from_pixel(SIDE * n as u32, SIDE, Rgb([250, 250, 250]));
    let mut lines = String::new();
    for seed in 0..n {
        let page = PracticePage::generate(&first.with_seed(seed)).unwrap();
        for widget in &page.widgets {
            let bounds = widget.bounds;
            for y in bounds.top..bounds.bottom {
                for x in bounds.left..bounds.right {
                    sheet.put_pixel(SIDE * seed as u32 + x as u32, y as u32, Rgb(widget.rgb));
                }
            }
        }
        let record = Record {
            sheet: "sheet-00000.png".to_owned(),
            x: SIDE * seed as u32,
            y: 0,
            width: SIDE,
            height: SIDE,
            spec: page.spec,
            look: page.look,
            layout: page.layout,
            held_out: page.held_out,
            widgets: page.widgets,
            tasks: page.tasks,
        };
        lines.push_str(&serde_json::to_string(&record).unwrap());
        lines.push('\n');
    }
    sheet.save(folder.join("sheet-00000.png")).unwrap();
    fs::write(folder.join("pages.jsonl"), lines).unwrap();
    LessonSet::open(&folder, Part::Train).unwrap()
}
