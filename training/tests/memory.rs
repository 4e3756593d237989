//! What a backward pass holds at once. In a file of its own, because what the whole program allocates is counted.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod support;

use std::path::Path;
use std::sync::Mutex;

use peak_alloc::PeakAlloc;
use support::{config, encoder, model, pages, some_pages};
use vigorl_training::adapter::{Lora, LoraConfig};
use vigorl_training::config::InitConfig;
use vigorl_training::memory::Memory;
use vigorl_training::sample::Encoder;
use vigorl_training::work::{Trained, Work, contribution};
use vigorl_training::{Compute, GrpoConfig};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// One test at a time: what is counted is what the whole program allocates.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that computing the contribution takes at its worst moment, besides what was there before.
fn peak(trained: &mut Trained, is_checkpointed: bool, work: &Work, encoder: &Encoder) -> usize {
    trained.is_checkpointed = is_checkpointed;
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    contribution(trained, work, encoder).unwrap();
    ALLOCATED.peak_usage() - before
}

#[test]
fn layers_computed_again_are_not_held() {
    let _alone = ALONE.lock();
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 2));
    let InitConfig::New(new) = &mut config.init else { panic!("the recipe starts from random weights") };
    new.text.num_hidden_layers = 12;
    let mut full = model(&config);
    let encoder = encoder(&full, &config);
    let work = Work::Turns(encoder.pack(&some_pages(&encoder, &data, 2)).unwrap());
    let lora = LoraConfig { rank: 2, alpha: 2.0, targets: vec!["q_proj".to_owned(), "down_proj".to_owned()] };
    let lora = Lora::fresh(lora, &full.files.config().unwrap(), 1).unwrap();
    let mut adapted = Trained::with_adapters(full.files.clone(), &full.base, &lora).unwrap();
    for trained in [&mut full, &mut adapted] {
        let [plain, again] =
            [false, true].map(|is_checkpointed| peak(trained, is_checkpointed, &work, &encoder));
        assert!(2 * again < plain, "{again} bytes instead of {plain}");
    }
}

/// What is counted from shapes is no less than what an update allocates, and not of another kind.
#[test]
fn what_is_counted_from_shapes_holds() {
    let _alone = ALONE.lock();
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 2));
    let InitConfig::New(new) = &mut config.init else { panic!("the recipe starts from random weights") };
    new.text.num_hidden_layers = 12;
    let mut trained = model(&config);
    let encoder = encoder(&trained, &config);
    let batch = encoder.pack(&some_pages(&encoder, &data, 2)).unwrap();
    let n_tokens = batch.packed.ids.len() * batch.packed.ids[0].len();
    let model = trained.files.config().unwrap();
    let work = Work::Turns(batch);
    for is_checkpointed in [false, true] {
        let text = format!(
            "preset = 'nano'\n[run]\noutput_dir = 'x'\n[[environment]]\nname = 'y'\nweight = 1\n\
             [update]\nmicro_batch_tokens = {n_tokens}\nrow_tokens = {}\nrecompute_layers = {is_checkpointed}\n",
            n_tokens / 2
        );
        let of_run = GrpoConfig::parse(&text, Path::new("test.toml"), &[]).unwrap();
        let counted = Memory::of(&of_run, &model, 64 * 64, &Compute::CPU).unwrap();
        let counted = counted.update.iter().map(|part| part.bytes as usize).sum::<usize>();
        let held = peak(&mut trained, is_checkpointed, &work, &encoder);
        assert!(held < counted && counted < 12 * held, "{counted} counted, {held} held ({is_checkpointed})");
    }
}
