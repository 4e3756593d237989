//! `vigorl inspect forward` on a committed checkpoint: exactly the agreed tensors.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

fn forward(folder: &Path, more: &[&str]) -> Output {
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints/tied_patch7");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["inspect", "forward", "--text", "where is it?", "--output", "out.safetensors", "--model"]);
    let output = command.arg(checkpoint).args(more).current_dir(folder).env("XDG_CONFIG_HOME", folder);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

type Expected<'a> = (&'a str, Dtype, &'a [usize]);

#[track_caller]
fn check_file(folder: &Path, expected: &[Expected<'_>]) {
    let bytes = fs::read(folder.join("out.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let mut wanted: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    for (name, dtype, shape) in expected {
        let tensor = file.tensor(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (*dtype, *shape), "{name}");
    }
}

/// Tokens of the prompt.
fn n_tokens(folder: &Path) -> usize {
    let bytes = fs::read(folder.join("out.safetensors")).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().tensor("input_ids").unwrap().shape()[0]
}

#[test]
fn the_file_holds_the_agreed_tensors() {
    let folder = tempfile::tempdir().unwrap();
    // Both sides are multiples of 14 within the budget: 4 x 6 and 4 x 4 patches of 7.
    for (name, width) in [("a.png", 42), ("b.png", 28)] {
        let picture = RgbImage::from_fn(width, 28, |x, y| Rgb([x as u8, y as u8, 9]));
        picture.save(folder.path().join(name)).unwrap();
    }
    let output = forward(folder.path(), &["--image", "a.png", "--image", "b.png"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "out.safetensors");
    let t = n_tokens(folder.path());
    assert!(t > 10);
    let expected: [Expected<'_>; 7] = [
        ("input_ids", Dtype::I64, &[t]),
        ("position_ids", Dtype::I64, &[3, t]),
        ("pixel_values", Dtype::F32, &[24 + 16, 3 * 2 * 7 * 7]),
        ("image_grid_thw", Dtype::I64, &[2, 3]),
        ("image_embeds", Dtype::F32, &[6 + 4, 48]),
        ("hidden_states", Dtype::F32, &[t, 48]),
        ("logits", Dtype::F32, &[t, 368]),
    ];
    check_file(folder.path(), &expected);
    // The number format of the weights changes the numbers, not the file.
    forward(folder.path(), &["--image", "a.png", "--image", "b.png", "--dtype", "bf16"]);
    check_file(folder.path(), &expected);
}

#[test]
fn without_images_there_are_no_tensors_of_images_and_json_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = forward(folder.path(), &["--json"]);
    let t = n_tokens(folder.path());
    let expected: [Expected<'_>; 4] = [
        ("input_ids", Dtype::I64, &[t]),
        ("position_ids", Dtype::I64, &[3, t]),
        ("hidden_states", Dtype::F32, &[t, 48]),
        ("logits", Dtype::F32, &[t, 368]),
    ];
    check_file(folder.path(), &expected);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["output"], "out.safetensors");
    assert_eq!(json["tensors"]["logits"], serde_json::json!({ "shape": [t, 368], "dtype": "F32" }));
    assert_eq!(json["tensors"].as_object().unwrap().len(), 4);
}
