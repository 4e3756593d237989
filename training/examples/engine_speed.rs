//! Times the engine at the true sizes of Qwen2.5-VL-3B, with random weights (speed does not depend on values):
//! `cargo run --release -p vigorl-training --example engine_speed -- FOLDER FORMAT [REPEATS]`
//!
//! The checkpoint (7.5 GB, bf16) is written into FOLDER unless it is there. W1 is one 1280x800 screenshot, W2 the
//! next zoom turn with a 392x392 crop.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use vigorl_policy::{Completion, Conversation, Message, Part, Policy, Role, Sampling};
use vigorl_qwen::{Engine, LoadOptions, ModelSource, RopeScaling, TextConfig, VisionConfig, WeightFormat};
use vigorl_training::config::{InitConfig, SftConfig};
use vigorl_training::fresh;

type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> AnyResult<()> {
    let args: Vec<String> = std::env::args().collect();
    let (folder, format) = (Path::new(&args[1]), args.get(2).map_or("q8_0", String::as_str));
    let repeats: usize = args.get(3).map_or(Ok(3), |n| n.parse())?;
    if !folder.join("model.safetensors").exists() {
        write_checkpoint(folder)?;
    }
    let format = WeightFormat::NAMED.iter().find(|(name, _)| *name == format).ok_or("which format?")?.1;
    let start = Instant::now();
    let options = LoadOptions { format, ..LoadOptions::default() };
    let mut engine = Engine::load(&ModelSource::Dir(folder.to_owned()), &options)?;
    println!("loaded in {:.1} s, peak {:.2} GB", start.elapsed().as_secs_f64(), peak_gb()?);
    for repeat in 0..repeats {
        let (first, second, again) = turns(&mut engine, repeat as u8)?;
        println!(
            "W1 {} tokens: vision {:.2} s, prefill {:.2} s ({:.0} tok/s), decode {:.2} tok/s | W2 {} new: {:.2} s | \
             second instruction {:.2} s",
            first.n_prompt_tokens,
            first.vision.as_secs_f64(),
            first.prefill.as_secs_f64(),
            first.n_prompt_tokens as f64 / first.prefill.as_secs_f64(),
            first.token_ids.len() as f64 / first.decode.as_secs_f64(),
            second.n_prompt_tokens - second.n_cached_tokens,
            (second.vision + second.prefill).as_secs_f64(),
            (again.vision + again.prefill).as_secs_f64(),
        );
    }
    println!("peak {:.2} GB", peak_gb()?);
    Ok(())
}

fn turns(engine: &mut Engine, shade: u8) -> AnyResult<(Completion, Completion, Completion)> {
    let words = "Look at the screen and find what is asked for ".repeat(8);
    let sampling = Sampling {
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        max_new_tokens: 16,
        stop: Vec::new(),
        seed: 0,
    };
    let picture = |w, h| {
        Arc::new(RgbImage::from_fn(w, h, |x, y| image::Rgb([(x * y % 251) as u8, (x + y) as u8, shade])))
    };
    let user = |image: Arc<RgbImage>, text: &str| Message {
        role: Role::User,
        parts: vec![Part::Image(image), Part::Text(text.to_owned())],
    };
    let screenshot = picture(1280, 800);
    let mut talk = Conversation { messages: vec![user(screenshot.clone(), &words)], forced_prefix: None };
    let mut ask =
        |talk: &Conversation| engine.complete(talk, &sampling, &mut |_| std::ops::ControlFlow::Continue(()));
    let first = ask(&talk)?;
    talk.messages.push(Message::text(Role::Assistant, &first.text));
    talk.messages.push(user(picture(392, 392), "Here is the crop of the image"));
    let second = ask(&talk)?;
    let other = Conversation {
        messages: vec![user(screenshot, "click the red circle then answer")],
        forced_prefix: None,
    };
    let again = ask(&other)?;
    Ok((first, second, again))
}

fn peak_gb() -> AnyResult<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1e6)
}

fn write_checkpoint(folder: &Path) -> AnyResult<()> {
    let recipe = include_str!("../configs/nano.toml");
    let InitConfig::New(mut new) = SftConfig::parse(recipe, Path::new("nano.toml"))?.init else {
        return Err("the recipe starts from random weights".into());
    };
    new.text = TextConfig {
        vocab_size: 0,
        hidden_size: 2048,
        intermediate_size: 11_008,
        num_hidden_layers: 36,
        num_attention_heads: 16,
        num_key_value_heads: 2,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        rope_scaling: RopeScaling { mrope_section: [16, 24, 24], kind: "mrope".to_owned() },
        max_position_embeddings: 128_000,
        tie_word_embeddings: true,
    };
    new.vision = VisionConfig {
        depth: 32,
        hidden_size: 1280,
        intermediate_size: 3420,
        num_heads: 16,
        out_hidden_size: 2048,
        in_channels: 3,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
        window_size: 112,
        fullatt_block_indexes: vec![7, 15, 23, 31],
    };
    new.processor.max_pixels = 12_845_056;
    let files = fresh::files(&new)?;
    fs::create_dir_all(folder)?;
    files.write(folder)?;
    let mut config = files.config()?;
    config.text.vocab_size = 151_936;
    fs::write(folder.join("config.json"), format!("{:#}", config.to_json()))?;
    let shapes = fresh::tensor_shapes(&config);
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in &shapes {
        let end = at + 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] }));
        at = end;
    }
    let header = serde_json::to_vec(&header)?;
    let partial = folder.join("model.partial");
    let mut out = BufWriter::with_capacity(1 << 22, File::create(&partial)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, shape) in &shapes {
        let n: usize = shape.iter().product();
        let bytes: Vec<u8> = if shape.len() > 1 {
            // Uniform, of the spread 1 / sqrt(inputs).
            let reach = (3.0 / shape[1..].iter().product::<usize>() as f32).sqrt() / f32::from(i16::MAX);
            let mut raw = vec![0_u8; 2 * n];
            rng.fill_bytes(&mut raw);
            for pair in raw.chunks_exact_mut(2) {
                let value = f32::from(i16::from_le_bytes([pair[0], pair[1]])) * reach;
                pair.copy_from_slice(&((value.to_bits() >> 16) as u16).to_le_bytes());
            }
            raw
        } else {
            let value: f32 = if name.contains("norm") || name.ends_with("ln_q.weight") { 1.0 } else { 0.0 };
            ((value.to_bits() >> 16) as u16).to_le_bytes().repeat(n)
        };
        out.write_all(&bytes)?;
    }
    out.flush()?;
    fs::rename(partial, folder.join("model.safetensors"))?;
    Ok(())
}
