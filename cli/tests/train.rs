//! `vigorl train sft` on a terminal: what is drawn there.

#![cfg(feature = "training")]
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

#[path = "../../training/tests/support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
