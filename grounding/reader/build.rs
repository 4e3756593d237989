//! Packs the text models into the crate: half the numbers' bits, and the characters apart.
//!
//! Invariant: only files whose SHA-256 is that of `weights.lock` are packed. Without them the crate builds as well and
//! says that it has none.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

#[path = "build/halve.rs"]
mod halve;
#[path = "src/onnx.rs"]
mod onnx;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_weights)");
    println!("cargo::rerun-if-changed=weights.lock");
    println!("cargo::rerun-if-changed=weights");
    let lock = fs::read_to_string("weights.lock").expect("weights.lock is part of the repository");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let files: Option<Vec<_>> =
        lock.lines().filter_map(entry).map(|(hash, name)| locked(hash, name)).collect();
    let Some(files) = files else { return };
    let [detector, recogniser] = files.as_slice() else { panic!("weights.lock names two files") };
    let pack = |name: &str, bytes: &[u8]| {
        let packed = halve::halved(bytes).expect("a file with the locked hash is a model");
        fs::write(out.join(name), packed).expect("OUT_DIR can be written");
    };
    pack("detector.onnx", detector);
    pack("recogniser.onnx", recogniser);
    let characters = onnx::metadata(recogniser, "character").expect("the recogniser names its characters");
    fs::write(out.join("characters.txt"), characters).expect("OUT_DIR can be written");
    println!("cargo::rustc-cfg=has_weights");
}

/// `HASH  NAME` of a line that is no comment.
fn entry(line: &str) -> Option<(&str, &str)> {
    line.split_once("  ").filter(|_| !line.starts_with('#'))
}

fn locked(hash: &str, name: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(Path::new("weights").join(name)).ok()?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == hash {
        return Some(bytes);
    }
    println!("cargo::warning=weights/{name} is not the file of weights.lock and is left out");
    None
}
