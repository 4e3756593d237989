//! Displays without a screen, and what runs on them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vigorl_interface::wait_while;

/// A process that ends with the value.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts an X server without a screen of its own and returns its display.
pub fn xvfb(size: &str) -> (Ends, String) {
    xvfb_of_depth(size, 24)
}

/// The same with pixels of so many bits.
pub fn xvfb_of_depth(size: &str, depth: u8) -> (Ends, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0", &format!("{size}x{depth}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb (Debian package xvfb)");
    let mut line = String::new();
    let output = server.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("the number of its display");
    (Ends(server), format!(":{}", line.trim()))
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

/// Starts a program that writes into `home` alone, on `display` or else on that of the environment.
pub fn start(program: &str, arguments: &[&str], home: &Path, display: Option<&str>) -> Ends {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home).env("NO_AT_BRIDGE", "1").env("GSETTINGS_BACKEND", "memory");
    command.envs(display.map(|display| ("DISPLAY", display)));
    Ends(command.spawn().unwrap_or_else(|e| panic!("{program} (a Debian package): {e}")))
}

/// A window manager that manages: a window that is shown while it starts may be missed for good.
pub fn manager(home: &Path, display: Option<&str>) -> Ends {
    let ready = home.join("managed");
    // That of another display may be there.
    // There may be none yet.
    std::fs::remove_file(&ready).ok();
    let touch = format!("touch '{}'", ready.display());
    let manager = start("openbox", &["--startup", &touch], home, display);
    let end = Instant::now() + Duration::from_secs(10);
    let is_missing = wait_while(Some(end), Duration::from_millis(5), || !ready.exists());
    assert!(!is_missing, "openbox does not start");
    manager
}
