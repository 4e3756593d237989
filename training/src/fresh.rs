//! A model that does not exist yet: its files in Hugging Face layout and its random weights.
//!
//! Invariant: the same configuration and seed give the same bytes.

use std::collections::BTreeMap;
use std::f64::consts::{PI, SQRT_2};

use candle_core::{Device, Result, Tensor};
use rand::RngExt;
use serde_json::json;
use vigorl_policy::wire;
use vigorl_qwen::{Config, Processor};

use crate::config::{NewModelConfig, NumberEmbedding, WeightsConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::seed::{number_of, stream};
use crate::tokenizer::{END_OF_TEXT, tokenizer_config_json, tokenizer_json};

/// Periods, in pixels, of the slowest and fastest wave in the smooth embedding of numbers.
const NUMBER_PERIODS_PX: (f64, f64) = (8.0, 800.0);

/// Every file of the new model except its weights.
///
/// # Errors
/// [`TrainingError::Tokenizer`] if the tokenizer's file is refused by its own library.
pub fn files(new: &NewModelConfig) -> std::result::Result<ModelFiles, TrainingError> {
    let template = chat_template(&new.system_prompt);
    let tokenizer = tokenizer_json(&new.tokenizer);
    let known = tokenizers::Tokenizer::from_bytes(tokenizer.to_string())
        .map_err(|e| TrainingError::Tokenizer(e.to_string()))?;
    let id = |token: &str| known.token_to_id(token).unwrap_or_default();
    let mut text = new.text.clone();
    text.vocab_size = known.get_vocab_size(true);
    let config = Config {
        text,
        vision: new.vision.clone(),
        image_token_id: id(wire::IMAGE_PAD),
        vision_start_token_id: id(wire::VISION_START),
    };
    let mut config = config.to_json();
    config["vision_end_token_id"] = id(wire::VISION_END).into();
    config["video_token_id"] = id("<|video_pad|>").into();
    config["eos_token_id"] = id(wire::IM_END).into();
    config["pad_token_id"] = id(END_OF_TEXT).into();
    let generation = json!({
        "do_sample": false,
        "eos_token_id": [id(wire::IM_END), id(END_OF_TEXT)],
        "pad_token_id": id(END_OF_TEXT),
    });
    let mut files = ModelFiles::default();
    files.set_json("config.json", &config);
    files.set_json("generation_config.json", &generation);
    files.set_json("preprocessor_config.json", &processor(new).to_json());
    files.set_json("tokenizer.json", &tokenizer);
    files.set_json("tokenizer_config.json", &tokenizer_config_json(&template));
    files.set_json("chat_template.json", &json!({ "chat_template": template }));
    Ok(files)
}

fn processor(new: &NewModelConfig) -> Processor {
    Processor {
        patch_size: new.vision.patch_size,
        temporal_patch_size: new.vision.temporal_patch_size,
        merge_size: new.vision.spatial_merge_size,
        min_pixels: new.processor.min_pixels,
        max_pixels: new.processor.max_pixels,
        image_mean: new.processor.image_mean.map(|v| v as f32),
        image_std: new.processor.image_std.map(|v| v as f32),
    }
}

/// The architecture's published chat form with `system_prompt` as the default system message.
fn chat_template(system_prompt: &str) -> String {
    let start = "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n";
    let message = "<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n\
        {% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}\
        {% for content in message['content'] %}\
        {% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}\
        <|vision_start|><|image_pad|><|vision_end|>\
        {% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}";
    let end = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    format!("{start}{system_prompt}{message}{end}")
}

/// Random weights by published name.
///
/// # Errors
/// Only if the tensor library fails.
pub fn weights(
    config: &Config,
    spread: &WeightsConfig,
    n_numbers: u32,
    seed: u64,
) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for (name, shape) in tensor_shapes(config) {
        let count = shape.iter().product();
        let values = if name.contains("norm") || name.ends_with("ln_q.weight") {
            vec![1.0; count]
        } else if name.ends_with(".bias") {
            vec![0.0; count]
        } else {
            let std = standard_deviation(&name, &shape, spread);
            let draw = normal(seed ^ number_of(&name), count);
            draw.into_iter().map(|v| v * std as f32).collect()
        };
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    if spread.numbers == NumberEmbedding::Smooth {
        let table = &tensors["model.embed_tokens.weight"];
        let (rows, width) = table.dims2()?;
        let n = (n_numbers as usize).min(rows);
        let numbers =
            Tensor::from_vec(smooth_numbers(n, width, spread.embedding_std), (n, width), &Device::Cpu)?;
        let table = Tensor::cat(&[numbers, table.narrow(0, n, rows - n)?], 0)?;
        tensors.insert("model.embed_tokens.weight".to_owned(), table);
    }
    Ok(tensors)
}

fn standard_deviation(name: &str, shape: &[usize], spread: &WeightsConfig) -> f64 {
    if name.contains("embed_tokens") {
        return spread.embedding_std;
    }
    let writes_into_stream = ["attn.proj.weight", "down_proj.weight", "o_proj.weight"];
    let is_residual = writes_into_stream.iter().any(|end| name.ends_with(end));
    let gain = if is_residual { spread.residual_gain } else { spread.gain };
    gain / (shape[1..].iter().product::<usize>() as f64).sqrt()
}

/// Every tensor of the architecture by its published name, and its shape.
pub fn tensor_shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (t, v) = (&config.text, &config.vision);
    let mut shapes = vec![(
        "visual.patch_embed.proj.weight".to_owned(),
        vec![v.hidden_size, v.in_channels, v.temporal_patch_size, v.patch_size, v.patch_size],
    )];
    let mut linear = |name: String, n_out: usize, n_in: usize, with_bias: &[&str]| {
        shapes.push((format!("{name}.weight"), vec![n_out, n_in]));
        shapes.extend(with_bias.iter().map(|bias| (format!("{name}.{bias}"), vec![n_out])));
    };
    const BIAS: &[&str] = &["bias"];
    const NO_BIAS: &[&str] = &[];
    for i in 0..v.depth {
        let name = |part: &str| format!("visual.blocks.{i}.{part}");
        linear(name("attn.qkv"), 3 * v.hidden_size, v.hidden_size, BIAS);
        linear(name("attn.proj"), v.hidden_size, v.hidden_size, BIAS);
        linear(name("mlp.gate_proj"), v.intermediate_size, v.hidden_size, BIAS);
        linear(name("mlp.up_proj"), v.intermediate_size, v.hidden_size, BIAS);
        linear(name("mlp.down_proj"), v.hidden_size, v.intermediate_size, BIAS);
    }
    let merged = v.hidden_size * v.spatial_merge_size.pow(2);
    linear("visual.merger.mlp.0".to_owned(), merged, merged, BIAS);
    linear("visual.merger.mlp.2".to_owned(), v.out_hidden_size, merged, BIAS);
    let (q, kv) = (t.num_attention_heads * t.head_dim(), t.num_key_value_heads * t.head_dim());
    for i in 0..t.num_hidden_layers {
        let name = |part: &str| format!("model.layers.{i}.{part}");
        linear(name("self_attn.q_proj"), q, t.hidden_size, BIAS);
        linear(name("self_attn.k_proj"), kv, t.hidden_size, BIAS);
        linear(name("self_attn.v_proj"), kv, t.hidden_size, BIAS);
        linear(name("self_attn.o_proj"), t.hidden_size, q, NO_BIAS);
        linear(name("mlp.gate_proj"), t.intermediate_size, t.hidden_size, NO_BIAS);
        linear(name("mlp.up_proj"), t.intermediate_size, t.hidden_size, NO_BIAS);
        linear(name("mlp.down_proj"), t.hidden_size, t.intermediate_size, NO_BIAS);
    }
    linear("model.embed_tokens".to_owned(), t.vocab_size, t.hidden_size, NO_BIAS);
    if !t.tie_word_embeddings {
        linear("lm_head".to_owned(), t.vocab_size, t.hidden_size, NO_BIAS);
    }
    shapes.extend(norms(config));
    shapes
}

fn norms(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (t, v) = (&config.text, &config.vision);
    let in_vision = (0..v.depth).flat_map(|i| {
        ["norm1", "norm2"].map(|norm| (format!("visual.blocks.{i}.{norm}.weight"), vec![v.hidden_size]))
    });
    let in_text = (0..t.num_hidden_layers).flat_map(|i| {
        ["input_layernorm", "post_attention_layernorm"]
            .map(|norm| (format!("model.layers.{i}.{norm}.weight"), vec![t.hidden_size]))
    });
    let last = [("visual.merger.ln_q.weight", v.hidden_size), ("model.norm.weight", t.hidden_size)];
    in_vision.chain(in_text).chain(last.map(|(name, width)| (name.to_owned(), vec![width]))).collect()
}

/// Row n: cosines, then sines, of n at wavelengths spaced evenly on a logarithmic scale, so that the
/// similarity of two numbers falls with their distance.
fn smooth_numbers(n: usize, width: usize, std: f64) -> Vec<f32> {
    let half = width / 2;
    let (shortest, longest) = NUMBER_PERIODS_PX;
    let steps = (half.max(2) - 1) as f64;
    let frequency = |i: usize| 2.0 * PI / (shortest * (longest / shortest).powf(i as f64 / steps));
    let row = |value: usize| {
        (0..width).map(move |column| {
            let angle = value as f64 * frequency(column % half.max(1));
            let wave = if column < half { angle.cos() } else { angle.sin() };
            (wave * SQRT_2 * std) as f32
        })
    };
    (0..n).flat_map(row).collect()
}

/// Standard normal numbers (Box-Muller).
pub(crate) fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = stream(seed, &[number_of("weights")]);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        let radius = (-2.0 * u.ln()).sqrt();
        values.push((radius * (2.0 * PI * v).cos()) as f32);
        values.push((radius * (2.0 * PI * v).sin()) as f32);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let values = normal(3, 20_001);
        let mean = values.iter().sum::<f32>() / 20_001.0;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / 20_001.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }

    #[test]
    fn near_numbers_begin_more_alike_than_far_ones() {
        let table = smooth_numbers(320, 64, 0.05);
        let dot = |a: usize, b: usize| (0..64).map(|i| table[a * 64 + i] * table[b * 64 + i]).sum::<f32>();
        assert!(dot(100, 101) > dot(100, 110) && dot(100, 110) > dot(100, 200));
        assert!((dot(5, 5) / 64.0 - 0.0025).abs() < 1e-5);
    }
}
