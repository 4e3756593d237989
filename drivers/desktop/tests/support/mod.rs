//! A display of a test's own.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

pub mod surface;

/// Set where a test runs on its own display.
const INSIDE: &str = "VIGORL_TEST_ON_OWN_DISPLAY";

/// Number of the display server's process, for tests that run on a display of their own.
pub const SERVER: &str = "VIGORL_TEST_SERVER";

/// A process that ends with the value.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an X server without a screen of its own and returns its display.
pub fn xvfb(size: &str) -> (Ends, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0", &format!("{size}x24")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb (Debian package xvfb)");
    let mut line = String::new();
    let output = server.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("the number of its display");
    (Ends(server), format!(":{}", line.trim()))
}

/// Whether this process is the one on the display.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test named `name` again, in a process of its own on a display of its own; true inside of that. The
/// environment names the display for everything in a process, so tests cannot share one.
#[track_caller]
pub fn on_own_display(name: &str, size: &str) -> bool {
    if is_inside() {
        return true;
    }
    let (server, display) = xvfb(size);
    on_display(name, &display, &server);
    false
}

/// As [`on_own_display`], on a display that is there.
#[track_caller]
pub fn on_display(name: &str, display: &str, server: &Ends) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .env("DISPLAY", display)
        .env(SERVER, server.0.id().to_string())
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XDG_SESSION_TYPE")
        .output()
        .expect("this program again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} on {display}:\n{out}\n{err}");
    assert!(out.contains("1 passed"), "no test is called {name}:\n{out}");
}

/// What Xorg needs to have two monitors that exist nowhere.
const TWO_MONITORS: &str = r#"
Section "Device"
    Identifier "none"
    Driver "dummy"
    VideoRam 131072
EndSection
Section "Monitor"
    Identifier "none"
    HorizSync 5.0 - 1000.0
    VertRefresh 5.0 - 200.0
EndSection
Section "Screen"
    Identifier "none"
    Device "none"
    Monitor "none"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Virtual 3000 1500
    EndSubSection
EndSection
"#;

/// Starts an X server with two RandR outputs: DUMMY0 of 800x600, and DUMMY1 of `mode` at `pos`.
pub fn two_monitors(folder: &std::path::Path, mode: &str, pos: &str) -> (Ends, String) {
    let config = folder.join("xorg.conf");
    std::fs::write(&config, TWO_MONITORS).expect("a file");
    let mut server = Command::new("Xorg")
        .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-novtswitch", "-sharevts", "-config"])
        .arg(&config)
        .arg("-logfile")
        .arg(folder.join("xorg.log"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xorg (Debian packages xserver-xorg-core and xserver-xorg-video-dummy)");
    let mut line = String::new();
    let output = server.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("the number of its display");
    let display = format!(":{}", line.trim());
    let xrandr = |arguments: String| {
        let done = Command::new("xrandr").args(arguments.split(' ')).env("DISPLAY", &display).status();
        assert!(done.expect("xrandr (Debian package x11-xserver-utils)").success(), "{arguments}");
    };
    xrandr("--output DUMMY0 --mode 800x600 --pos 0x0".to_owned());
    xrandr(format!("--addmode DUMMY1 {mode}"));
    xrandr(format!("--output DUMMY1 --mode {mode} --pos {pos}"));
    (Ends(server), display)
}
