//! Another program, measured on the same machine in the same run.
//!
//! Invariant: a peer is a Python script in the binary; it gets its arguments, says one JSON object in its last line,
//! and whatever goes wrong with it is said with its name and the cure.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

/// Runs `script` in `python` and reads what it says; `name` is for messages, `cure` says how such a Python is made.
///
/// # Errors
/// A program that is missing, fails, or says something else.
pub(crate) fn ask<T: DeserializeOwned>(
    (name, cure): (&str, &str),
    python: &Path,
    script: &str,
    args: &[impl AsRef<OsStr>],
) -> anyhow::Result<T> {
    let mut program = Command::new(python)
        .arg("-")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| {
            format!("cannot start `{}`; {cure}, or name another with --python", python.display())
        })?;
    // Taken out of the process, so that it is closed behind the script.
    let mut input = program.stdin.take().context("a process without input")?;
    let written = input.write_all(script.as_bytes());
    drop(input);
    let said = program.wait_with_output()?;
    anyhow::ensure!(said.status.success(), "the measurement of {name} ended with {}", said.status);
    // A program that does not read the script usually says more by how it ended.
    written.with_context(|| format!("cannot hand the script to {name}"))?;
    let said = String::from_utf8_lossy(&said.stdout);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("{name} printed `{last}`"))
}

/// How the Python of the other benchmarks is made.
pub(crate) const TORCH: &str = "`make parity` makes it with torch and transformers";

/// The name of the first NVIDIA card.
pub(crate) fn nvidia_card() -> String {
    let name = Command::new("nvidia-smi").args(["--query-gpu=name", "--format=csv,noheader"]).output();
    let name = name.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    name.lines().next().map_or_else(|| "an NVIDIA card".to_owned(), |name| name.trim().to_owned())
}

/// The processor's name.
pub(crate) fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |name| name.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

/// The most memory this process ever had, mapped files included.
pub(crate) fn peak_rss_gb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux counts peak memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0 / 1e9)
}
