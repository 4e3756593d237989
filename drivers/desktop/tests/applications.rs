//! Real applications of Debian on an X11 display of their own, with a window manager.

#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Ends, on_own_display};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_geometry::Point;
use vigorl_interface::{Action, Area, Driver as _, DriverError, MouseButton, parse_chord};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};

fn start(program: &str, arguments: &[&str], home: &Path) -> Ends {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home).env("NO_AT_BRIDGE", "1").env("GSETTINGS_BACKEND", "memory");
    let started = command.spawn();
    Ends(started.unwrap_or_else(|e| panic!("{program} (a Debian package): {e}")))
}

/// A window manager that manages: a window that is shown while it starts may be missed for good.
fn manager(home: &Path) -> Ends {
    let manager = start("openbox", &[], home);
    let (conn, screen) = x11rb::connect(None).expect("a display");
    let root = conn.setup().roots[screen].root;
    let name = b"_NET_CLIENT_LIST_STACKING";
    let list = conn.intern_atom(false, name).expect("a display").reply().expect("a name").atom;
    let end = Instant::now() + Duration::from_secs(10);
    let is_there = || {
        let property = conn.get_property(false, root, list, AtomEnum::ANY, 0, 1).expect("a display");
        property.reply().expect("a display").type_ != x11rb::NONE
    };
    while !is_there() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    manager
}

/// Waits for a window, and for it to have been drawn.
fn driver_of(window: &str) -> DesktopDriver {
    let area = Area::Window { name: window.to_owned() };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match DesktopDriver::start(Options { area: area.clone(), ..Options::default() }) {
            Ok(mut driver) => {
                driver.settle(Duration::from_secs(5)).expect("a display");
                std::thread::sleep(Duration::from_millis(300));
                return driver;
            }
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn press(driver: &mut DesktopDriver, chord: &str) {
    driver.act(&Action::Press { chord: parse_chord(chord).expect("a chord") }).expect(chord);
    driver.settle(Duration::from_secs(2)).expect("a display");
}

fn type_text(driver: &mut DesktopDriver, text: &str) {
    driver.act(&Action::Type { text: text.to_owned() }).expect("typing");
}

fn clipboard() -> String {
    arboard::Clipboard::new().and_then(|mut clipboard| clipboard.get_text()).unwrap_or_default()
}

/// What the editor holds, by way of the clipboard.
fn copied(driver: &mut DesktopDriver) -> String {
    const NOTHING: &str = "nothing was copied";
    let mut holder = arboard::Clipboard::new().expect("a clipboard");
    holder.set_text(NOTHING).expect("a clipboard");
    press(driver, "Control+a");
    press(driver, "Control+c");
    // An application may still be busy with what it got before.
    let end = Instant::now() + Duration::from_secs(10);
    while holder.get_text().is_ok_and(|text| text == NOTHING) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    clipboard()
}

/// 1,000 characters of ASCII in lines, and 300 of other scripts.
fn long_texts() -> [String; 2] {
    let ascii: String = (0..1000_u32)
        .map(|i| if i % 50 == 49 { '\n' } else { char::from_u32(33 + (i * 7 + i / 50) % 94).expect("ASCII") })
        .collect();
    let other: String = "Привет, аа! 世界 ΐé ñß€ „Zitat“ עברית 😀👍🏽 ".chars().cycle().take(300).collect();
    [ascii, other]
}

#[test]
fn text_arrives_exactly_in_an_editor() {
    if !on_own_display("text_arrives_exactly_in_an_editor", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path());
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let mut driver = driver_of("mousepad");
    for round in 0..20 {
        for text in long_texts() {
            press(&mut driver, "Control+a");
            press(&mut driver, "Delete");
            type_text(&mut driver, &text);
            let got = copied(&mut driver);
            assert_eq!(got, text, "round {round}");
        }
    }
}

#[test]
fn the_clipboard_is_put_back() {
    if !on_own_display("the_clipboard_is_put_back", "800x600") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path());
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let mut driver = driver_of("mousepad");
    let mut before = arboard::Clipboard::new().expect("a clipboard");
    before.set_text("what a person had copied").expect("a clipboard");
    type_text(&mut driver, "мир");
    assert_eq!(clipboard(), "what a person had copied");
    let image = arboard::ImageData { width: 1, height: 2, bytes: vec![1, 2, 3, 255, 4, 5, 6, 255].into() };
    before.set_image(image).expect("a clipboard");
    type_text(&mut driver, "мир");
    let image =
        arboard::Clipboard::new().and_then(|mut clipboard| clipboard.get_image()).expect("the picture");
    assert_eq!((image.width, image.height, &image.bytes[..3]), (1, 2, &[1, 2, 3][..]));
    assert_eq!(copied(&mut driver), "мирмир");
}

#[test]
fn a_calculator_calculates() {
    if !on_own_display("a_calculator_calculates", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path());
    let _calculator = start("galculator", &[], home.path());
    let mut driver = driver_of("galculator");
    type_text(&mut driver, "12+5");
    press(&mut driver, "Enter");
    press(&mut driver, "Control+c");
    assert_eq!(clipboard(), "17");
}

#[test]
fn a_terminal_runs_what_is_typed() {
    if !on_own_display("a_terminal_runs_what_is_typed", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path());
    let _terminal = start("xterm", &["-fa", "Monospace", "-e", "/bin/sh"], home.path());
    let mut driver = driver_of("xterm");
    type_text(&mut driver, "echo 'It is {done}; \"quoted\" & ~|' > $HOME/out\n");
    let (deadline, out) = (Instant::now() + Duration::from_secs(5), home.path().join("out"));
    while std::fs::read_to_string(&out).unwrap_or_default().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(&out).unwrap_or_default(), "It is {done}; \"quoted\" & ~|\n");
}

#[test]
fn input_for_a_window_never_reaches_another() {
    if !on_own_display("input_for_a_window_never_reaches_another", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path());
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let mut driver = driver_of("mousepad");
    let screenshot = driver.screenshot().expect("a screenshot");
    let at =
        Point::new(f64::from(screenshot.pixels.width()) / 2.0, f64::from(screenshot.pixels.height()) / 2.0);
    let click = Action::Click { at, button: MouseButton::Left, count: 1 };
    driver.act(&click).expect("the window is free");
    let cover = start("xterm", &["-geometry", "200x60+0+0", "-T", "the cover"], home.path());
    drop(driver_of("the cover"));
    let answer = driver.act(&click);
    assert!(
        matches!(&answer, Err(DriverError::Refused { detail, .. }) if detail.contains("the cover")),
        "{answer:?}"
    );
    // The keyboard goes to the window that was named, not to the one on top.
    type_text(&mut driver, "for the editor");
    assert_eq!(copied(&mut driver), "for the editor");
    drop(cover);
    drop(_editor);
    let answer = driver.screenshot();
    assert!(matches!(answer, Err(DriverError::Gone { what: "window", .. })), "{answer:?}");
}
