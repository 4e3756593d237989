//! `vigorl train`: what is drawn on a terminal, and what a kill costs.

#![cfg(feature = "training")]
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "../../training/tests/support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use vigorl_interface::wait_until;

/// Two steps of a tiny model, with standard error on a terminal: what the terminal shows.
fn said_on_a_terminal(flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    support::pages(folder.path(), 2);
    let mut config = support::config(folder.path());
    config.stages[0].steps = 2;
    let file = folder.path().join("config.toml");
    fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["train", "sft", file.to_str().unwrap()]).args(flags).current_dir(folder.path());
    // A dumb terminal gets no bar.
    let mut child = command
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    // The command holds the other side, too.
    drop(command);
    let (mut said, mut master) = (Vec::new(), File::from(master));
    // An error is the end of the other side.
    master.read_to_end(&mut said).ok();
    assert!(child.wait().unwrap().success());
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_quiet_training_draws_nothing() {
    let said = said_on_a_terminal(&[]);
    assert!(said.contains("2/2 steps") && said.contains("step 2: "), "{said}");
    assert_eq!(said_on_a_terminal(&["--quiet"]), "");
}

/// A training that learns from practice pages in a browser; two steps, with a checkpoint behind each. At this temperature the
/// samples of a group earn different rewards, so each step moves the weights.
fn learning(folder: &Path, name: &str) -> Child {
    let text = format!(
        "preset = 'nano'\n[run]\noutput_dir = '{name}'\nsteps = 2\nminutes = 0.0\ncheckpoint_every = 1\n\
         [group]\nsize = 4\nper_step = 4\n[sampling]\ntemperature = 2.0\n\
         [play]\nat_once = 2\n[[environment]]\nname = 'practice'\nweight = 1\n"
    );
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["train", "grpo"]).arg(&file).current_dir(folder).env("XDG_CONFIG_HOME", folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// Waits until something is there, and then ends the training as nothing can be ended more rudely.
#[track_caller]
fn kill_once_there(mut training: Child, path: &Path) {
    let end = Instant::now() + Duration::from_secs(300);
    let there = wait_until(Some(end), || {
        if path.exists() {
            return Ok(ControlFlow::Break(()));
        }
        assert!(training.try_wait()?.is_none(), "it ended before {} was there", path.display());
        Ok::<_, std::io::Error>(ControlFlow::Continue(Duration::from_millis(20)))
    });
    assert!(there.unwrap().is_some(), "{} never came", path.display());
    training.kill().unwrap();
    training.wait().unwrap();
}

#[test]
fn a_training_in_a_browser_that_was_killed_and_resumed_is_the_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let step = |name: &str, n: u32| folder.path().join(name).join(format!("checkpoints/step-0000000{n}"));
    let second = |name: &str| step(name, 2);
    kill_once_there(learning(folder.path(), "whole"), &second("whole"));
    // In the middle of the second step's episodes.
    let partial = folder.path().join("broken/rollouts/step-00000002-0.partial");
    kill_once_there(learning(folder.path(), "broken"), &partial);
    assert!(!second("broken").exists());
    kill_once_there(learning(folder.path(), "broken"), &second("broken"));
    let read = |name: &str, n: u32, file: &str| fs::read(step(name, n).join(file)).unwrap();
    for file in ["model.safetensors", "optimizer.safetensors"] {
        assert!(read("whole", 2, file) == read("broken", 2, file), "{file} differs");
        assert!(read("whole", 1, file) != read("whole", 2, file), "{file} did not move");
    }
}

#[test]
fn a_count_of_memory_says_whether_a_card_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "preset = '3b'\n[run]\noutput_dir = 'x'\n[[environment]]\nname = 'y'\nweight = 1\n";
    fs::write(folder.path().join("large.toml"), text).unwrap();
    let counted = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(["train", "grpo", "large.toml", "--json"]).args(flags).current_dir(folder.path());
        let output = command.env("XDG_CONFIG_HOME", folder.path()).stdin(Stdio::null()).output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = counted(&["--memory", "--dtype", "bf16"]);
    assert_eq!((code, &said["fits"], &said["card_gib"]), (Some(0), &true.into(), &80.0.into()), "{said}");
    assert_eq!(said["shapes_of"], "Qwen2.5-VL-3B");
    let bytes = |said: &serde_json::Value| said["parts"]["always"][0]["bytes"].as_u64().unwrap();
    // 3.75 billion weights of two bytes, and a few adapters.
    assert!((7_500_000_000..8_100_000_000).contains(&bytes(&said)), "{said}");
    let (code, in_f32) = counted(&["--memory=16"]);
    assert_eq!((code, &in_f32["fits"]), (Some(1), &false.into()), "{in_f32}");
    assert!(bytes(&in_f32) > bytes(&said) + 7_000_000_000);
    assert!(folder.path().read_dir().unwrap().count() == 1, "nothing is written");
    // Another model that is not there is not counted as if it were a published one.
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    nowhere.args(["train", "grpo", "large.toml", "--memory", "--set", "init.model=nowhere"]);
    nowhere.current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path()).stdin(Stdio::null());
    let output = nowhere.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("nowhere/config.json"), "{said}");
}
