//! Writes an update of learning by reward for `reference/grpo_gradients.py`, which computes it again in torch.
//!
//! Usage: cargo run --release -p vigorl-training --example grpo_gradients -- ROLLOUTS OUT
//!
//! ROLLOUTS is a folder with `rollouts.jsonl` of the embedded policy. OUT gets the model, each conversation alone (ids,
//! patches, tokens with what they are compared with), and our loss and gradients, which are computed from packed rows:
//! whoever computes the conversations one by one must come to the same numbers. Old and reference log-probabilities are set
//! beside the recorded ones by amounts that follow from the token's number, so that every branch of the loss is taken.

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use serde_json::json;
use vigorl_qwen::{Checkpoint, ModelSource, WeightFormat};
use vigorl_rollouts::{Sample, read_samples};
use vigorl_training::TrainingError;
use vigorl_training::checkpoint::{Precision, export, named_weights};
use vigorl_training::config::Freeze;
use vigorl_training::files::ModelFiles;
use vigorl_training::fresh::tensor_shapes;
use vigorl_training::objective::{CutOff, Denominator, Drawn, Objective, ObjectiveConfig, policy_loss};
use vigorl_training::trees::{Spoken, Tree, micro_batches, pack, places, trees};
use vigorl_training::work::Trained;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let (Some(rollouts), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: grpo_gradients ROLLOUTS OUT".into());
    };
    std::fs::create_dir_all(&out)?;
    let checkpoint = Checkpoint::open(&ModelSource::Nano)?;
    let weights = checkpoint.weights(&Device::Cpu, WeightFormat::Dense(DType::F32))?;
    let weights = named_weights(&weights, &tensor_shapes(&checkpoint.config))?;
    let trained = Trained::new(ModelFiles::embedded(), weights, Freeze::Nothing)?;
    export(&out.join("model"), &trained.files, &trained.parameters, Precision::Full)?;
    let samples = read_samples(&rollouts)?;
    let config = ObjectiveConfig {
        objective: Objective::Grpo,
        clip_low: 0.2,
        clip_high: 0.28,
        dual_clip: 3.0,
        kl: 0.05,
        kl_clamp: 10.0,
        denominator: Denominator::Global,
        token_limit: CutOff::Mask,
    };
    write_sequences(&checkpoint, &rollouts, &samples, &config, &out)?;
    write_gradients(&checkpoint, &trained, &rollouts, &samples, &config, &out)?;
    Ok(())
}

fn rows(
    checkpoint: &Checkpoint,
    folder: &Path,
    samples: &[Sample],
    max_tokens: usize,
) -> Result<Vec<Tree>, TrainingError> {
    let mut open = |name: &str| -> Result<Arc<RgbImage>, TrainingError> {
        let image = image::open(folder.join(name)).map_err(|e| TrainingError::Row(e.to_string()))?;
        Ok(Arc::new(image.to_rgb8()))
    };
    let actions = samples.iter().enumerate().flat_map(|(n, s)| s.actions.iter().map(move |a| (n, a)));
    trees(checkpoint, actions, max_tokens, &mut open)
}

/// The same for a token wherever it stands, because it depends on nothing but the token's number in its sample.
fn drawn(token: &Spoken, number: usize) -> Drawn {
    let near = [0.0, 0.05, -0.05, 0.4, -0.4, 1.5, -1.5][number % 7];
    Drawn {
        id: token.id,
        old_logprob: Some(token.logprob + near),
        reference_logprob: Some(token.logprob - 0.3 * near + 0.01),
        advantage: [1.2, -0.7, 0.4, -1.6][token.sample % 4],
        weight: 1.0,
    }
}

/// Every token of some rows with its number in its sample.
fn numbered(rows: &[Tree]) -> Vec<(Spoken, usize)> {
    let mut of_sample = std::collections::HashMap::new();
    let tokens = rows.iter().flat_map(|row| &row.tokens);
    tokens
        .map(|token| {
            let number = of_sample.entry(token.sample).or_insert(0);
            *number += 1;
            (*token, *number - 1)
        })
        .collect()
}

fn write_sequences(
    checkpoint: &Checkpoint,
    folder: &Path,
    samples: &[Sample],
    config: &ObjectiveConfig,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut tensors = Vec::new();
    let mut described = Vec::new();
    for (number, row) in rows(checkpoint, folder, samples, 1)?.into_iter().enumerate() {
        let of_row = [row];
        let batch = pack(checkpoint, &of_row)?;
        tensors.push((format!("{number}.patches"), batch.patches.clone()));
        let tokens: Vec<_> = numbered(&of_row)
            .into_iter()
            .map(|(token, n)| {
                let Drawn { id, old_logprob, reference_logprob, advantage, .. } = drawn(&token, n);
                json!({ "id": id, "from": token.from, "old": old_logprob, "reference": reference_logprob,
                        "advantage": advantage, "sampled": token.logprob })
            })
            .collect();
        let grids: Vec<_> = batch.grids.iter().map(|grid| [grid.t, grid.h, grid.w]).collect();
        described.push(json!({ "ids": of_row[0].ids, "grids": grids, "tokens": tokens }));
    }
    candle_save(&out.join("patches.safetensors"), tensors)?;
    let update = json!({ "config": config, "sequences": described });
    std::fs::write(out.join("update.json"), update.to_string())?;
    Ok(())
}

fn write_gradients(
    checkpoint: &Checkpoint,
    trained: &Trained,
    folder: &Path,
    samples: &[Sample],
    config: &ObjectiveConfig,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut sums: Vec<Option<Tensor>> = vec![None; trained.moving.len()];
    let (mut loss, mut n_tokens) = (0.0, 0_usize);
    let (mut n_clipped, mut n_dual_clipped) = (0, 0);
    for rows in micro_batches(rows(checkpoint, folder, samples, 4096)?, 8192) {
        let batch = pack(checkpoint, &rows)?;
        let drawn: Vec<Drawn> = numbered(&rows).iter().map(|(token, n)| drawn(token, *n)).collect();
        let (gradients, outcomes) = trained.gradients(&batch, |pass| {
            let logits = trained.model.logits_at(pass, &places(&rows))?;
            let loss = policy_loss(&logits, &drawn, config, 1.0)?;
            Ok((loss.surrogate, loss.outcomes))
        })?;
        for outcome in &outcomes {
            loss += f64::from(outcome.loss) + config.kl * f64::from(outcome.kl);
            n_clipped += usize::from(outcome.is_clipped);
            n_dual_clipped += usize::from(outcome.is_dual_clipped);
        }
        n_tokens += drawn.len();
        for (sum, gradient) in sums.iter_mut().zip(gradients) {
            *sum = match (sum.take(), gradient) {
                (Some(sum), Some(gradient)) => Some((sum + gradient)?),
                (sum, gradient) => sum.or(gradient),
            };
        }
    }
    let mut tensors = Vec::new();
    for (parameter, sum) in trained.moving.iter().zip(sums) {
        if let Some(sum) = sum {
            tensors.push((parameter.name.clone(), (sum / n_tokens as f64)?));
        }
    }
    candle_save(&out.join("gradients.safetensors"), tensors)?;
    let loss = loss / n_tokens as f64;
    let ours = json!({ "loss": loss, "n_tokens": n_tokens, "n_clipped": n_clipped, "n_dual_clipped": n_dual_clipped });
    std::fs::write(out.join("ours.json"), ours.to_string())?;
    println!("{ours}");
    Ok(())
}

fn candle_save(path: &Path, tensors: Vec<(String, Tensor)>) -> candle_core::Result<()> {
    candle_core::safetensors::save(&tensors.into_iter().collect(), path)
}
