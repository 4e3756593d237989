//! Memory and processor time of a forward and backward pass over packed rows, by what moves and whether layers are computed again:
//! `cargo run --release -p vigorl-training --example memory`
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use candle_core::{Device, Tensor};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use vigorl_qwen::{Model, PackedBatch};
use vigorl_training::adapter::{Lora, LoraConfig};
use vigorl_training::config::{Freeze, InitConfig, SftConfig};
use vigorl_training::fresh;
use vigorl_training::loss::{Target, TokenKind, soft_cross_entropy};
use vigorl_training::work::Trained;
use vigorl_training::workers::Workers;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const N_ROWS: usize = 2;
const N_TOKENS: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let recipe = SftConfig::parse(include_str!("../configs/nano.toml"), Path::new("nano.toml"))?;
    let InitConfig::New(mut new) = recipe.init else { return Err("the recipe is for a new model".into()) };
    new.text.hidden_size = 1024;
    new.text.intermediate_size = 4096;
    new.text.num_hidden_layers = 8;
    new.text.num_attention_heads = 16;
    new.text.num_key_value_heads = 4;
    new.vision.out_hidden_size = 1024;
    let files = fresh::files(&new)?;
    let config = files.config()?;
    let weights = fresh::weights(&config, &new.weights, 0, 1)?;
    let n_weights: usize = weights.values().map(Tensor::elem_count).sum();
    println!("{} million weights, {N_ROWS} rows of {N_TOKENS} tokens", n_weights / 1_000_000);
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let lora = LoraConfig { rank: 16, alpha: 32.0, targets: targets.map(str::to_owned).to_vec() };
    let lora = Lora::fresh(lora, &config, 1)?;
    let adapted = Trained::with_adapters(files.clone(), &weights, &lora)?;
    let one = Workers::new(1)?;
    for (what, trained) in
        [("adapters", adapted), ("everything", Trained::new(files, weights, Freeze::Vision)?)]
    {
        for is_checkpointed in [false, true] {
            for _ in 0..2 {
                let before = ALLOCATED.current_usage();
                ALLOCATED.reset_peak_usage();
                let started = processor_secs();
                one.map(&[()], |()| pass(&trained.model, is_checkpointed)).pop().ok_or("no worker")??;
                let (secs, bytes) = (processor_secs() - started, ALLOCATED.peak_usage() - before);
                let again = if is_checkpointed { "computed again" } else { "kept" };
                println!("{what:10} move, layers {again:14}: {:5} MB, {secs:.1} s", bytes / 1_000_000);
            }
        }
    }
    Ok(())
}

/// Time that processors spent on this program: a busy machine does not lengthen it.
fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A loss on every eighth token, and its gradients.
fn pass(model: &Model, is_checkpointed: bool) -> candle_core::Result<()> {
    let ids = (0..N_TOKENS as u32).map(|at| at % 100);
    let positions = (0..N_TOKENS as u32).map(|at| [at; 3]);
    let batch = PackedBatch {
        ids: vec![ids.collect(); N_ROWS],
        positions: vec![positions.collect(); N_ROWS],
        segments: vec![vec![0; N_TOKENS]; N_ROWS],
        patches: Tensor::zeros((0, 1), candle_core::DType::F32, &Device::Cpu)?,
        grids: vec![],
    };
    let places: Vec<_> =
        (0..N_ROWS).flat_map(|row| (0..N_TOKENS).step_by(8).map(move |index| (row, index))).collect();
    let target = Target { distribution: vec![(1, 1.0)], truth: 1, weight: 1.0, kind: TokenKind::Word };
    let targets = vec![target; places.len()];
    let loss =
        |pass: &_| soft_cross_entropy(&model.logits_at(pass, &places)?, &targets).map(|loss| loss.surrogate);
    match is_checkpointed {
        true => model.packed_checkpointed(&batch, |pass| Ok::<_, candle_core::Error>((loss(pass)?, ())))?.0,
        false => loss(&model.packed(&batch)?)?.backward()?,
    };
    Ok(())
}
