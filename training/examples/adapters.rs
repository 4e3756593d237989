//! Adapters of a checkpoint, as folders of PEFT:
//! `cargo run --release -p vigorl-training --example adapters -- draw CHECKPOINT FOLDER TARGET...`
//! writes random ones of rank 4 that change what the model says;
//! `… -- merge CHECKPOINT ADAPTERS FOLDER` writes the checkpoint in f32 with them merged into it.

use std::path::Path;

use candle_core::{Device, Tensor};
use rand::RngExt;
use vigorl_training::adapter::{Lora, LoraConfig};
use vigorl_training::checkpoint::{Precision, export_tensors, read_weights};
use vigorl_training::files::ModelFiles;
use vigorl_training::fresh::tensor_shapes;
use vigorl_training::seed::{number_of, stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["draw", checkpoint, folder, ref targets @ ..] => {
            let targets = targets.iter().map(|target| (*target).to_owned()).collect();
            let model = ModelFiles::read(Path::new(checkpoint))?.config()?;
            let mut lora = Lora::fresh(LoraConfig { rank: 4, alpha: 6.0, targets }, &model, 1)?;
            for (name, tensor) in &mut lora.tensors {
                if name.ends_with("lora_B.weight") {
                    let mut rng = stream(2, &[number_of(name)]);
                    let values = (0..tensor.elem_count()).map(|_| rng.random_range(-0.1_f32..0.1)).collect();
                    *tensor = Tensor::from_vec(values, tensor.shape(), &Device::Cpu)?;
                }
            }
            lora.write(Path::new(folder), checkpoint)?;
        }
        ["merge", checkpoint, adapters, folder] => {
            let files = ModelFiles::read(Path::new(checkpoint))?;
            let model = files.config()?;
            let base = read_weights(Path::new(checkpoint), &tensor_shapes(&model))?;
            let merged = Lora::read(Path::new(adapters), &model)?.merged(&base)?;
            export_tensors(Path::new(folder), &files, merged, Precision::Full)?;
        }
        _ => return Err("draw CHECKPOINT FOLDER TARGET..., or merge CHECKPOINT ADAPTERS FOLDER".into()),
    }
    Ok(())
}
