//! What a backward pass holds at once. One test in a file of its own, because it counts what the whole program allocates.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod support;

use peak_alloc::PeakAlloc;
use support::{config, encoder, model, pages, some_pages};
use vigorl_training::adapter::{Lora, LoraConfig};
use vigorl_training::config::InitConfig;
use vigorl_training::sample::Encoder;
use vigorl_training::work::{Trained, Work, contribution};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

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
