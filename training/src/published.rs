//! Checkpoints of the published sizes with random weights.
//!
//! Invariant: sizes and tensor names are those of the published `config.json`; the tokenizer is the embedded
//! policy's, so only speed and memory mean anything, and neither depends on values.
//! Source of the sizes: `config.json` of Qwen/Qwen2.5-VL-3B-Instruct and -7B-Instruct.

use std::fs;
use std::io::Write;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use vigorl_files::write_whole_with;
use vigorl_qwen::{Config, RopeScaling, TextConfig, VisionConfig};

use crate::config::{InitConfig, SftConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::fresh;

/// What the published processor takes at most.
pub const MAX_PIXELS: u64 = 12_845_056;

/// A published size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedSize {
    /// Qwen2.5-VL-3B, tied output layer.
    B3,
    /// Qwen2.5-VL-7B.
    B7,
}

impl PublishedSize {
    fn text(self) -> TextConfig {
        let three = TextConfig {
            vocab_size: 151_936,
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
        match self {
            Self::B3 => three,
            Self::B7 => TextConfig {
                vocab_size: 152_064,
                hidden_size: 3584,
                intermediate_size: 18_944,
                num_hidden_layers: 28,
                num_attention_heads: 28,
                num_key_value_heads: 4,
                tie_word_embeddings: false,
                ..three
            },
        }
    }

    /// All of its shapes.
    ///
    /// # Errors
    /// None is expected of embedded files.
    pub fn shapes(self) -> Result<Config, TrainingError> {
        let config = ModelFiles::embedded().config()?;
        Ok(Config { text: self.text(), vision: self.vision(), ..config })
    }

    fn vision(self) -> VisionConfig {
        VisionConfig {
            depth: 32,
            hidden_size: 1280,
            intermediate_size: 3420,
            num_heads: 16,
            out_hidden_size: self.text().hidden_size,
            in_channels: 3,
            patch_size: 14,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            window_size: 112,
            fullatt_block_indexes: vec![7, 15, 23, 31],
        }
    }
}

/// Writes a bf16 checkpoint into `folder`, its weights last and under another name until they are complete.
/// `on_bytes` follows them: written so far, and all.
///
/// # Errors
/// [`TrainingError::File`] if the folder cannot be written, such as on a full disk.
pub fn write_random(
    size: PublishedSize,
    folder: &Path,
    on_bytes: &mut dyn FnMut(u64, u64),
) -> Result<(), TrainingError> {
    let recipe = SftConfig::parse(include_str!("../configs/nano.toml"), Path::new("nano.toml"))?;
    let InitConfig::New(mut new) = recipe.init else {
        unreachable!("the recipe of the embedded policy starts from random weights")
    };
    (new.text, new.vision) = (size.text(), size.vision());
    new.processor.max_pixels = MAX_PIXELS;
    let mut files = fresh::files(&new)?;
    let mut config = files.config()?;
    config.text.vocab_size = size.text().vocab_size;
    files.set_json("config.json", &config.to_json());
    fs::create_dir_all(folder).map_err(TrainingError::file("create", folder))?;
    files.write(folder)?;
    let path = folder.join("model.safetensors");
    write_whole_with(&path, |out| write_tensors(&fresh::tensor_shapes(&config), out, on_bytes))
        .map_err(TrainingError::file("write", &path))
}

/// Norms are 1, biases 0, matrices uniform of spread 1 / sqrt(inputs).
fn write_tensors(
    shapes: &[(String, Vec<usize>)],
    out: &mut impl Write,
    on_bytes: &mut dyn FnMut(u64, u64),
) -> std::io::Result<()> {
    let mut header = serde_json::Map::new();
    let mut n_bytes = 0;
    for (name, shape) in shapes {
        let end = n_bytes + 2 * shape.iter().product::<usize>();
        header
            .insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [n_bytes, end] }));
        n_bytes = end;
    }
    let header = serde_json::to_vec(&header)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let upper_half = |value: f32| ((value.to_bits() >> 16) as u16).to_le_bytes();
    let mut done = 0;
    for (name, shape) in shapes {
        let n: usize = shape.iter().product();
        let bytes = if shape.len() > 1 {
            let reach = (3.0 / shape[1..].iter().product::<usize>() as f32).sqrt() / f32::from(i16::MAX);
            let mut raw = vec![0_u8; 2 * n];
            rng.fill_bytes(&mut raw);
            for pair in raw.chunks_exact_mut(2) {
                let drawn = f32::from(i16::from_le_bytes([pair[0], pair[1]]));
                pair.copy_from_slice(&upper_half(drawn * reach));
            }
            raw
        } else {
            let is_norm = name.contains("norm") || name.ends_with("ln_q.weight");
            upper_half(f32::from(u8::from(is_norm))).repeat(n)
        };
        out.write_all(&bytes)?;
        done += bytes.len();
        on_bytes(done as u64, n_bytes as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;
    use vigorl_qwen::Config;

    use super::*;

    #[test]
    fn tensors_are_written_as_safetensors_reads_them() {
        let shapes = [("a.norm.weight", vec![4]), ("b.weight", vec![300, 5]), ("b.bias", vec![300])];
        let shapes = shapes.map(|(name, shape)| (name.to_owned(), shape));
        let (mut seen, mut bytes) = (Vec::new(), Vec::new());
        write_tensors(&shapes, &mut bytes, &mut |done, all| seen.push((done, all))).unwrap();
        assert_eq!(seen, [(8, 3608), (3008, 3608), (3608, 3608)]);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let pairs = tensors.tensor(name).unwrap().data().to_vec();
            pairs.chunks(2).map(|p| f32::from_bits(u32::from_le_bytes([0, 0, p[0], p[1]]))).collect()
        };
        assert_eq!(values("a.norm.weight"), [1.0; 4]);
        assert_eq!(tensors.tensor("b.weight").unwrap().shape(), [300, 5]);
        let square: f32 = values("b.weight").iter().map(|v| v * v).sum::<f32>() / 1500.0;
        assert!((square * 5.0 - 1.0).abs() < 0.1, "{square}");
        assert!(values("b.bias").iter().all(|v| *v == 0.0));
    }

    #[test]
    fn published_sizes_have_the_published_number_of_weights() {
        let count = |size: PublishedSize| -> usize {
            let (text, vision) = (size.text(), size.vision());
            let config = Config { text, vision, image_token_id: 0, vision_start_token_id: 0 };
            fresh::tensor_shapes(&config).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        // As the hub counts them: 3.75 and 8.29 billion.
        assert_eq!(count(PublishedSize::B3) / 1_000_000, 3754);
        assert_eq!(count(PublishedSize::B7) / 1_000_000, 8292);
        // Nearly all of them are in matrices that products read.
        let (text, vision) = (PublishedSize::B3.text(), PublishedSize::B3.vision());
        let vision = vision.n_block_weights() + vision.n_merger_weights();
        let matrices = text.n_layer_weights() + text.n_output_weights() + vision;
        assert!((0.999..1.0).contains(&(matrices as f64 / count(PublishedSize::B3) as f64)), "{matrices}");
    }
}
