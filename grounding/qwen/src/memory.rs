//! Whether there is enough memory for a model and the largest screenshot it takes.
//!
//! Invariant: the estimate follows from the checkpoint's sizes alone; what the machine has is asked once,
//! before the weights are read.

use candle_core::DType;

use crate::attention::MAX_SCORES;
use crate::config::Config;
use crate::error::EngineError;
use crate::processor::Processor;

/// Bytes beside the weights, while one screenshot of `max_pixels` is looked at.
///
/// The two towers work one after the other, so the larger of their gated MLPs counts; the KV cache and one
/// block of attention scores are there besides.
pub(crate) fn working_bytes(config: &Config, processor: &Processor, dtype: DType) -> u64 {
    /// Tokens of prompt, crops and completions beside the screenshot.
    const TEXT_TOKENS: f64 = 2_048.0;
    let (text, vision) = (&config.text, &config.vision);
    let value_bytes = dtype.size_in_bytes() as f64;
    let patches = processor.max_pixels as f64 / (processor.patch_size as f64).powi(2);
    let tokens = patches / (processor.merge_size as f64).powi(2) + TEXT_TOKENS;
    let vision_mlp = patches * mlp_values(vision.hidden_size, vision.intermediate_size);
    let decoder_mlp = tokens * mlp_values(text.hidden_size, text.intermediate_size);
    let cache_width = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim();
    let cache = tokens * cache_width as f64;
    // Scores and their softmax, which is computed in f32 in any case.
    let all_scores = vision.num_heads as f64 * patches.powi(2);
    let score_bytes = 2.0 * 4.0 * all_scores.min(MAX_SCORES as f64);
    ((vision_mlp.max(decoder_mlp) + cache) * value_bytes + score_bytes) as u64
}

/// Values per row: residual stream and its norm; gate, up and their product.
fn mlp_values(hidden: usize, intermediate: usize) -> f64 {
    2.0 * hidden as f64 + 3.0 * intermediate as f64
}

/// Refuses a model that would push the machine into swap.
pub(crate) fn check(needed: u64) -> Result<(), EngineError> {
    const GIB: f64 = (1_u64 << 30) as f64;
    /// Below this the check only costs time.
    const NEGLIGIBLE_BYTES: u64 = 128 << 20;
    if needed < NEGLIGIBLE_BYTES {
        return Ok(());
    }
    // A system that does not tell its memory cannot be asked; loading then decides.
    let Ok(mut system) = sysinfo::System::new() else { return Ok(()) };
    system.refresh_memory();
    // The resident set and not the group's free memory: that counts cached files, which give way.
    let group = system.cgroup_limits().map(|group| group.total_memory.saturating_sub(group.rss));
    let available = system.available_memory().min(group.unwrap_or(u64::MAX));
    if needed > available {
        return Err(EngineError::Memory {
            needed_gib: needed as f64 / GIB,
            available_gib: available as f64 / GIB,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published sizes of Qwen2.5-VL-3B-Instruct.
    const CONFIG_3B: &str = r#"{"model_type": "qwen2_5_vl", "vocab_size": 151936, "hidden_size": 2048,
        "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 128000, "hidden_act": "silu",
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "use_sliding_window": false,
        "tie_word_embeddings": true, "vision_config": {"depth": 32, "hidden_act": "silu", "hidden_size": 1280,
        "intermediate_size": 3420, "num_heads": 16, "in_chans": 3, "out_hidden_size": 2048, "patch_size": 14,
        "spatial_merge_size": 2, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}}"#;
    const PROCESSOR: &str = r#"{"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2,
        "temporal_patch_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;

    #[track_caller]
    fn check_estimate(dtype: DType, max_pixels: u64, expected: u64) {
        let config = Config::from_json(CONFIG_3B).unwrap();
        let processor = Processor { max_pixels, ..Processor::from_json(PROCESSOR).unwrap() };
        assert_eq!(working_bytes(&config, &processor, dtype), expected);
    }

    #[test]
    fn the_working_set_of_3b_is_that_of_its_largest_screenshot() {
        // 65,536 patches of 2 x 1,280 + 3 x 3,420; 18,432 tokens of 2 x 36 x 2 x 128; twice 64 Mi scores.
        let (mlp, cache, scores) = (65_536 * 12_820, 18_432 * 18_432, 2 * 4 * (64 << 20));
        check_estimate(DType::F32, 12_845_056, 4 * (mlp + cache) + scores);
        check_estimate(DType::BF16, 12_845_056, 2 * (mlp + cache) + scores);
        // 1,024 patches: now 2,304 tokens in the decoder are more, and all scores fit into one block.
        let (mlp, cache, scores) = (2_304 * 37_120, 2_304 * 18_432, 2 * 4 * (16 << 20));
        check_estimate(DType::F32, 200_704, 4 * (mlp + cache) + scores);
    }
}
