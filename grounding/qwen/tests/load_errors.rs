//! Broken checkpoints: each is refused with an error that names the file or tensor at fault.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tempfile::TempDir;
use vigorl_qwen::{Engine, EngineError, LoadOptions, ModelSource};

/// A copy of a committed checkpoint that a test may break.
struct Broken {
    folder: TempDir,
}

impl Broken {
    fn copy_of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name);
        for entry in fs::read_dir(source).unwrap() {
            let file = entry.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn edit_json(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        edit(&mut value);
        fs::write(self.path(file), value.to_string()).unwrap();
    }

    fn edit_weights(&self, edit: impl FnOnce(&mut HashMap<String, Tensor>)) {
        let path = self.path("model.safetensors");
        let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        edit(&mut tensors);
        candle_core::safetensors::save(&tensors, &path).unwrap();
    }

    fn truncate(&self, file: &str, keep: impl FnOnce(u64) -> u64) {
        let file = fs::OpenOptions::new().write(true).open(self.path(file)).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(keep(length)).unwrap();
    }

    fn load(&self) -> Result<Engine, EngineError> {
        Engine::load(&ModelSource::Dir(self.folder.path().to_owned()), &LoadOptions::default())
    }

    #[track_caller]
    fn error(&self) -> EngineError {
        self.load().expect_err("a broken checkpoint was loaded")
    }
}

#[track_caller]
fn assert_says(error: &EngineError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn unbroken_copies_load() {
    for name in ["tied_patch7", "untied_patch14", "head_dim_128"] {
        Broken::copy_of(name).load().unwrap();
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"] {
        let broken = Broken::copy_of("tied_patch7");
        fs::remove_file(broken.path(file)).unwrap();
        let error = broken.error();
        assert!(matches!(error, EngineError::MissingFile { .. }), "{error:?}");
        assert_says(&error, &[file]);
    }
    let broken = Broken::copy_of("tied_patch7");
    fs::remove_file(broken.path("chat_template.json")).unwrap();
    assert!(matches!(broken.error(), EngineError::Template(_)));
}

/// Moves the image processor into the one file that transformers 5 writes.
fn with_joint_processor(edit: impl FnOnce(&mut Value)) -> Broken {
    let broken = Broken::copy_of("tied_patch7");
    let own = broken.path("preprocessor_config.json");
    let mut inner: Value = serde_json::from_slice(&fs::read(&own).unwrap()).unwrap();
    let (min, max) = (inner["min_pixels"].take(), inner["max_pixels"].take());
    inner["size"] = json!({ "shortest_edge": min, "longest_edge": max });
    let mut joint = json!({ "image_processor": inner, "processor_class": "Qwen2_5_VLProcessor" });
    edit(&mut joint);
    fs::write(broken.path("processor_config.json"), joint.to_string()).unwrap();
    fs::remove_file(own).unwrap();
    broken
}

#[test]
fn the_image_processor_of_a_joint_file_is_read() {
    let expected = Broken::copy_of("tied_patch7").load().unwrap().checkpoint().processor.clone();
    let joint = with_joint_processor(|_| ()).load().unwrap();
    assert_eq!(joint.checkpoint().processor, expected);

    let broken = with_joint_processor(|joint| joint["image_processor"] = Value::Null);
    assert_says(&broken.error(), &["`processor_config.json`", "image_processor", "preprocessor_config.json"]);
    let broken = with_joint_processor(|joint| joint["image_processor"]["patch_size"] = json!(0));
    assert_says(&broken.error(), &["`processor_config.json`", "patch"]);
    let broken = with_joint_processor(|_| ());
    fs::remove_file(broken.path("processor_config.json")).unwrap();
    assert_says(&broken.error(), &["preprocessor_config.json", " processor_config.json"]);
}

#[test]
fn a_missing_shard_is_named() {
    let broken = Broken::copy_of("untied_patch14");
    fs::remove_file(broken.path("model-00002-of-00003.safetensors")).unwrap();
    let error = broken.error();
    assert!(matches!(error, EngineError::MissingShard { .. }), "{error:?}");
    assert_says(&error, &["model-00002-of-00003.safetensors", "model.safetensors.index.json"]);
}

#[test]
fn an_index_cannot_reach_outside_its_folder() {
    let broken = Broken::copy_of("untied_patch14");
    fs::create_dir(broken.path("inner")).unwrap();
    let outside = broken.path("inner/outside.safetensors");
    fs::copy(broken.path("model-00001-of-00003.safetensors"), &outside).unwrap();
    let absolute = outside.display().to_string();
    for shard in ["inner/outside.safetensors", r"inner\outside.safetensors", "..", ".", "", &absolute] {
        broken.edit_json("model.safetensors.index.json", |index| {
            index["weight_map"]["lm_head.weight"] = json!(shard);
        });
        let error = broken.error();
        assert!(matches!(error, EngineError::Config { .. }), "{error:?}");
        assert_says(&error, &["model.safetensors.index.json", &format!("`{shard}`"), "plain file name"]);
    }
}

#[test]
fn a_truncated_file_is_named() {
    let keeps: [fn(u64) -> u64; 5] = [|_| 0, |_| 5, |_| 100, |length| length / 2, |length| length - 1];
    for keep in keeps {
        let broken = Broken::copy_of("tied_patch7");
        broken.truncate("model.safetensors", keep);
        let error = broken.error();
        assert!(matches!(error, EngineError::Corrupt { .. }), "{error:?}");
        assert_says(&error, &["model.safetensors", "truncated"]);
    }
    let broken = Broken::copy_of("untied_patch14");
    broken.truncate("model-00003-of-00003.safetensors", |length| length - 1);
    assert_says(&broken.error(), &["model-00003-of-00003.safetensors"]);
}

/// Replaces the header's JSON, padded with spaces so that the data stays in place.
fn edit_header(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let text = format!("{:<length$}", header.to_string());
    assert_eq!(text.len(), length);
    bytes[8..8 + length].copy_from_slice(text.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_broken_shard_is_named_and_not_another() {
    const SHARD: &str = "model-00002-of-00003.safetensors";
    let check = |edit: fn(&mut Value)| {
        let broken = Broken::copy_of("untied_patch14");
        edit_header(&broken.path(SHARD), edit);
        let error = broken.error();
        assert!(matches!(error, EngineError::Corrupt { .. }), "{error:?}");
        assert_says(&error, &[SHARD]);
    };
    check(|header| first_tensor(header)["shape"] = json!([1, 1]));
    check(|header| first_tensor(header)["data_offsets"] = json!([8, 4]));
    check(|header| first_tensor(header)["dtype"] = json!("X9"));
}

fn first_tensor(header: &mut Value) -> &mut Value {
    let mut tensors = header.as_object_mut().unwrap().iter_mut();
    tensors.find(|(name, _)| *name != "__metadata__").unwrap().1
}

#[test]
fn a_folder_in_place_of_a_file_is_said_to_be_one() {
    for (checkpoint, file) in
        [("tied_patch7", "model.safetensors"), ("untied_patch14", "model-00002-of-00003.safetensors")]
    {
        let broken = Broken::copy_of(checkpoint);
        fs::remove_file(broken.path(file)).unwrap();
        fs::create_dir(broken.path(file)).unwrap();
        let error = broken.error();
        assert!(matches!(error, EngineError::Read { .. }), "{error:?}");
        assert_says(&error, &[file, "folder"]);
    }
}

#[test]
fn a_tensor_in_another_number_format_is_named_with_it() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_weights(|tensors| {
        let bytes = tensors["model.norm.weight"].to_dtype(candle_core::DType::U8).unwrap();
        tensors.insert("model.norm.weight".to_owned(), bytes);
    });
    let error = broken.error();
    assert!(matches!(error, EngineError::StoredAs { .. }), "{error:?}");
    assert_says(&error, &["model.norm.weight", "U8"]);
}

#[test]
fn a_file_that_is_no_safetensors_is_named() {
    for bytes in [&b"<html><body>502 Bad Gateway</body></html>"[..], &[0xFF; 64], &[0; 64]] {
        let broken = Broken::copy_of("tied_patch7");
        fs::write(broken.path("model.safetensors"), bytes).unwrap();
        let error = broken.error();
        assert!(matches!(error, EngineError::Corrupt { .. }), "{error:?}");
    }
}

#[test]
fn another_architecture_is_named() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| config["model_type"] = json!("qwen3_vl"));
    let error = broken.error();
    assert!(matches!(&error, EngineError::Architecture { found } if found == "qwen3_vl"), "{error:?}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_weights(|tensors| {
        let down = &tensors["model.layers.1.mlp.down_proj.weight"];
        let transposed = down.t().unwrap().contiguous().unwrap();
        tensors.insert("model.layers.1.mlp.down_proj.weight".to_owned(), transposed);
    });
    let error = broken.error();
    let EngineError::Shape { name, expected, got } = &error else { panic!("{error:?}") };
    assert_eq!(name, "model.layers.1.mlp.down_proj.weight");
    assert_eq!((expected.as_slice(), got.as_slice()), (&[48, 80][..], &[80, 48][..]));
    assert_says(&error, &["model.layers.1.mlp.down_proj.weight", "[48, 80]", "[80, 48]"]);
}

#[test]
fn a_configuration_that_disagrees_with_the_weights_names_a_tensor() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| config["vision_config"]["intermediate_size"] = json!(45));
    let error = broken.error();
    let EngineError::Shape { name, .. } = &error else { panic!("{error:?}") };
    assert!(name.starts_with("visual.blocks.0.mlp."), "{name}");
}

#[test]
fn a_missing_tensor_is_named() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_weights(|tensors| {
        tensors.remove("visual.blocks.1.attn.qkv.bias").unwrap();
    });
    let error = broken.error();
    let EngineError::MissingTensor { name } = &error else { panic!("{error:?}") };
    assert_eq!(name, "visual.blocks.1.attn.qkv.bias");
    // An untied checkpoint needs its own output layer; a tied one does without.
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| config["tie_word_embeddings"] = json!(false));
    assert_says(&broken.error(), &["lm_head.weight"]);
}

#[test]
fn a_tokenizer_without_the_vision_tokens_is_refused() {
    for token in ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|im_start|>", "<|im_end|>"] {
        let broken = Broken::copy_of("tied_patch7");
        broken.edit_json("tokenizer.json", |tokenizer| {
            let added = tokenizer["added_tokens"].as_array_mut().unwrap();
            added.retain(|entry| entry["content"] != token);
        });
        let error = broken.error();
        assert!(
            matches!(&error, EngineError::MissingToken { token: missing } if *missing == token),
            "{error:?}"
        );
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("preprocessor_config.json", |processor| processor["patch_size"] = json!(14));
    assert_says(&broken.error(), &["preprocessor_config.json"]);

    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| config["image_token_id"] = json!(151_655));
    assert_says(&broken.error(), &["<|image_pad|>", "151655"]);

    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| config["vocab_size"] = json!(300));
    assert_says(&broken.error(), &["tokenizer.json", "largest id", "vocab_size 300"]);
}

#[test]
fn impossible_configurations_are_refused() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 7] = [
        ("num_attention_heads", |config| config["num_attention_heads"] = json!(0)),
        ("num_attention_heads", |config| config["num_attention_heads"] = json!(5)),
        ("num_key_value_heads", |config| config["num_key_value_heads"] = json!(2)),
        ("mrope_section", |config| config["rope_scaling"]["mrope_section"] = json!([2, 3, 4])),
        ("out_hidden_size", |config| config["vision_config"]["out_hidden_size"] = json!(47)),
        ("patch", |config| config["vision_config"]["patch_size"] = json!(0)),
        ("rms_norm_eps", |config| drop(config.as_object_mut().unwrap().remove("rms_norm_eps"))),
    ];
    for (part, edit) in edits {
        let broken = Broken::copy_of("tied_patch7");
        broken.edit_json("config.json", edit);
        let error = broken.error();
        assert!(matches!(error, EngineError::Config { .. }), "{error:?}");
        assert_says(&error, &["config.json", part]);
    }
}

type Edit = fn(&mut Value);

#[track_caller]
fn check_edited(file: &str, edit: Edit, part: &str) {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json(file, edit);
    let error = broken.error();
    assert!(matches!(error, EngineError::Config { .. }), "{error:?}");
    assert_says(&error, &[file, part]);
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let config = |edit, part| check_edited("config.json", edit, part);
    config(|c| c["rope_scaling"]["type"] = json!("yarn"), "rope_scaling.type is `yarn`");
    config(|c| c["rope_scaling"]["rope_type"] = json!("linear"), "rope_scaling.rope_type is `linear`");
    let parameters: Edit = |c| {
        let mut rope = c["rope_scaling"].take();
        (rope["rope_type"], rope["rope_theta"]) = (json!("dynamic"), json!(1e6));
        c["rope_parameters"] = rope;
    };
    config(parameters, "rope_scaling.rope_type is `dynamic`");
    config(|c| c["use_sliding_window"] = json!(true), "use_sliding_window");
    config(|c| c["hidden_act"] = json!("gelu"), "hidden_act is `gelu`");
    config(|c| c["vision_config"]["hidden_act"] = json!("quick_gelu"), "vision_config.hidden_act");
    let processor = |edit, part| check_edited("preprocessor_config.json", edit, part);
    processor(|p| p["rescale_factor"] = json!(1.0 / 127.5), "rescale_factor");
    processor(|p| p["do_resize"] = json!(false), "do_resize");
    processor(|p| p["do_rescale"] = json!(false), "do_rescale");
    processor(|p| p["do_normalize"] = json!(false), "do_normalize");
}

#[test]
fn sizes_that_would_overflow_are_refused() {
    let config = |edit, part| check_edited("config.json", edit, part);
    config(|c| c["hidden_size"] = json!(u64::MAX), "hidden_size");
    config(|c| c["num_attention_heads"] = json!(1_u64 << 40), "num_attention_heads");
    config(|c| c["rope_scaling"]["mrope_section"] = json!([u64::MAX, 2, 3]), "mrope_section");
    config(|c| c["num_hidden_layers"] = json!(1_u64 << 60), "num_hidden_layers");
    for field in ["patch_size", "spatial_merge_size", "temporal_patch_size"] {
        let broken = Broken::copy_of("tied_patch7");
        for size in [0, 1_025, u64::MAX] {
            broken.edit_json("config.json", |c| c["vision_config"][field] = json!(size));
            assert_says(&broken.error(), &["config.json", field, "1 to 1024"]);
        }
    }
    config(|c| c["vision_config"]["in_chans"] = json!(4), "in_channels");
    let processor = |edit, part| check_edited("preprocessor_config.json", edit, part);
    for field in ["patch_size", "merge_size", "temporal_patch_size"] {
        let broken = Broken::copy_of("tied_patch7");
        broken.edit_json("preprocessor_config.json", |p| p[field] = json!(u64::MAX));
        assert_says(&broken.error(), &["preprocessor_config.json", field, "1 to 1024"]);
    }
    processor(|p| (p["patch_size"], p["merge_size"]) = (json!(1_024), json!(1_024)), "patch_size times");
    let huge: Edit = |p| (p["min_pixels"], p["max_pixels"]) = (json!(1_u64 << 60), json!(1_u64 << 61));
    processor(huge, "min_pixels is 1152921504606846976");
}

#[test]
fn published_spellings_load() {
    let broken = Broken::copy_of("tied_patch7");
    broken.edit_json("config.json", |config| {
        config["rope_scaling"] =
            json!({ "rope_type": "default", "type": "default", "mrope_section": [2, 3, 3] });
        config["sliding_window"] = json!(32_768);
    });
    broken.edit_json("preprocessor_config.json", |processor| {
        processor["rescale_factor"] = json!(0.003_921_568_627_450_98);
        (processor["do_rescale"], processor["do_normalize"]) = (json!(true), json!(true));
    });
    broken.load().unwrap();
}

#[test]
fn text_that_is_no_json_is_named() {
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        let broken = Broken::copy_of("tied_patch7");
        broken.truncate(file, |length| length / 2);
        let error = broken.error();
        assert!(matches!(error, EngineError::Config { .. }), "{error:?}");
        assert_says(&error, &[file]);
    }
}

#[test]
fn weights_that_do_not_fit_into_memory_are_refused_before_they_are_read() {
    const VALUES: u64 = 1 << 41;
    let broken = Broken::copy_of("tied_patch7");
    let header =
        json!({"huge": {"dtype": "F32", "shape": [VALUES], "data_offsets": [0, VALUES * 4]}}).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    fs::write(broken.path("model.safetensors"), &bytes).unwrap();
    // A sparse file: 8 TiB long, a few bytes on disk.
    broken.truncate("model.safetensors", |header_length| header_length + VALUES * 4);
    let error = broken.error();
    assert!(matches!(error, EngineError::Memory { .. }), "{error:?}");
    assert_says(&error, &["8192.", "GiB"]);
}
