//! Keyboards that are laid out in other ways, and displays whose pixels are.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "a test waits for other programs")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::display::{self, Ends, manager, xvfb_of_depth};
use support::{driver_of, is_inside, on_display, on_own_display};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_interface::{Action, Driver as _, DriverError, parse_chord};
use x11rb::protocol::xkb::{ConnectionExt as _, Group, ID};
use x11rb::protocol::xproto::{ConnectionExt as _, ModMask};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// All of ASCII that is printed, but for some letters and digits.
const ASCII: &str = r##"user@host ~/a\b {1} [2] | ^x `y` 'q' "z" $H #! %&*()_+-=;:,.<>? Az"##;
/// Few characters, so that each gets a key where none has one.
const SHORT: &str = "cat ~/a@b | tac";

/// What is done to the keyboard before something is typed.
struct Laid {
    /// In the words of `setxkbmap`.
    layout: &'static [&'static str],
    caps: bool,
    group: Group,
    text: &'static str,
}

const LAYOUTS: [Laid; 9] = [
    Laid { layout: &["us"], caps: true, group: Group::M1, text: ASCII },
    Laid { layout: &["de"], caps: false, group: Group::M1, text: ASCII },
    Laid { layout: &["de"], caps: true, group: Group::M1, text: ASCII },
    Laid { layout: &["fr"], caps: false, group: Group::M1, text: ASCII },
    Laid { layout: &["es"], caps: false, group: Group::M1, text: ASCII },
    Laid { layout: &["us", "-variant", "dvorak"], caps: false, group: Group::M1, text: ASCII },
    Laid { layout: &["us,ru"], caps: false, group: Group::M2, text: ASCII },
    Laid { layout: &["us,de"], caps: true, group: Group::M2, text: ASCII },
    Laid { layout: &["ru"], caps: false, group: Group::M1, text: SHORT },
];

impl Laid {
    fn lay(&self, display: &RustConnection) {
        let done = Command::new("setxkbmap").args(self.layout).status();
        assert!(done.expect("setxkbmap (Debian package x11-xkb-utils)").success());
        let (none, caps) = (ModMask::from(0u16), if self.caps { ModMask::LOCK } else { ModMask::from(0u16) });
        let keyboard = ID::USE_CORE_KBD.into();
        display
            .xkb_latch_lock_state(keyboard, ModMask::LOCK, caps, true, self.group, none, false, 0)
            .expect("a display");
        display.sync().expect("a display");
    }

    /// That Caps Lock and the chosen layout are as the person had them.
    fn holds(&self, display: &RustConnection) {
        let state =
            display.xkb_get_state(ID::USE_CORE_KBD.into()).expect("a display").reply().expect("its state");
        assert_eq!((state.locked_mods.contains(ModMask::LOCK), state.locked_group), (self.caps, self.group));
    }
}

fn display() -> RustConnection {
    let (display, _) = x11rb::connect(None).expect("a display");
    display.xkb_use_extension(1, 0).expect("a display").reply().expect("a keyboard");
    display
}

/// What all keys mean.
fn keys(display: &RustConnection) -> Vec<u32> {
    display.get_keyboard_mapping(8, 248).expect("a display").reply().expect("its keys").keysyms
}

fn start(program: &str, arguments: &[&str], home: &Path) -> Ends {
    display::start(program, arguments, home, None)
}

/// What a file holds, once it ends as it should.
fn written(file: &Path, end: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with(end) || Instant::now() > deadline {
            return text;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn type_text(driver: &mut DesktopDriver, text: &str) -> Result<(), DriverError> {
    driver.act(&Action::Type { text: text.to_owned() })
}

#[test]
fn ascii_is_typed_exactly_in_every_layout() {
    if !on_own_display("ascii_is_typed_exactly_in_every_layout", "800x600") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let (_manager, display) = (manager(home.path(), None), display());
    for (n, laid) in LAYOUTS.iter().enumerate() {
        let out = home.path().join(format!("out-{n}"));
        let (title, shell) = (format!("terminal-{n}"), format!("stty -echo; head -n 1 > {}", out.display()));
        let _terminal = start("xterm", &["-T", &title, "-e", "sh", "-c", &shell], home.path());
        let mut driver = driver_of(&title);
        laid.lay(&display);
        let before = keys(&display);
        let text = format!("{}\n", laid.text);
        type_text(&mut driver, &text).unwrap_or_else(|error| panic!("{:?}: {error}", laid.layout));
        assert_eq!(written(&out, "\n"), text, "{:?}", laid.layout);
        laid.holds(&display);
        // What keys were given is taken back.
        drop(driver);
        let deadline = Instant::now() + Duration::from_secs(10);
        while keys(&display) != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(keys(&display), before, "{:?}", laid.layout);
    }
}

#[test]
fn what_no_key_gives_is_pasted_where_the_layout_has_no_v() {
    if !on_own_display("what_no_key_gives_is_pasted_where_the_layout_has_no_v", "800x600") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let out = home.path().join("out");
    let text = "user@host a|b ^x `y` 'q' \"z\" é ñ 日本 привет 😀 end";
    let layouts = [("ru", &[][..]), ("us,ru", &[]), ("gr", &[]), ("de", &["-variant", "neo"])];
    for (n, (layout, variant)) in layouts.into_iter().enumerate() {
        let done = Command::new("setxkbmap").arg(layout).args(variant).status();
        assert!(done.expect("setxkbmap (Debian package x11-xkb-utils)").success());
        // A window of its own: the one before may still be listed.
        let title = format!("asks-{n}");
        let command = format!("exec zenity --entry --title {title} > {}", out.display());
        let _asks = start("sh", &["-c", &command], home.path());
        let mut driver = driver_of(&title);
        type_text(&mut driver, text).unwrap_or_else(|error| panic!("{layout}: {error}"));
        driver.act(&Action::Press { chord: parse_chord("Enter").expect("a chord") }).expect("a key");
        assert_eq!(written(&out, "end\n"), format!("{text}\n"), "{layout}");
        std::fs::remove_file(&out).expect("it was written");
    }
}

/// Tk's windows say nothing of a process, and a window manager puts a frame of its own around them.
#[test]
fn a_window_that_names_no_process_takes_what_is_pasted() {
    if !on_own_display("a_window_that_names_no_process_takes_what_is_pasted", "800x600") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let (out, script) = (home.path().join("out"), home.path().join("entry.tcl"));
    let lines = format!(
        "fconfigure stdout -encoding utf-8\nwm title . entrybox\npack [entry .e -width 60 -textvariable v]\n\
         focus -force .e\ntrace add variable v write {{apply {{args {{set f [open {} w]; \
         fconfigure $f -encoding utf-8; puts -nonewline $f $::v; close $f}}}}}}\n",
        out.display()
    );
    std::fs::write(&script, lines).expect("a file");
    let _entry = start("wish", &[script.to_str().expect("a path")], home.path());
    let mut of_window = driver_of("entrybox");
    type_text(&mut of_window, "hello é ").expect("typing");
    assert_eq!(written(&out, "é "), "hello é ");
    let mut of_screen = DesktopDriver::start(Options::default()).expect("a display");
    type_text(&mut of_screen, "мир").expect("typing");
    assert_eq!(written(&out, "мир"), "hello é мир");
}

#[test]
fn colors_are_right_on_displays_of_any_depth() {
    const NAME: &str = "colors_are_right_on_displays_of_any_depth";
    if !is_inside() {
        for depth in [24, 30, 16, 15] {
            let (server, display) = xvfb_of_depth("320x200", depth);
            on_display(NAME, &display, &server);
        }
        return;
    }
    for (name, color) in [("#ff8000", [255, 128, 0]), ("#1060c0", [16, 96, 192])] {
        let done = Command::new("xsetroot").args(["-solid", name]).status();
        assert!(done.expect("xsetroot (Debian package x11-xserver-utils)").success());
        let mut driver = DesktopDriver::start(Options::default()).expect("a display");
        let seen = driver.screenshot().expect("a screenshot").pixels;
        assert_eq!(seen.dimensions(), (320, 200));
        for (x, y) in [(0, 0), (319, 199), (100, 50)] {
            let near =
                seen.get_pixel(x, y).0.iter().zip(color).all(|(seen, meant)| seen.abs_diff(meant) <= 8);
            assert!(near, "{name} at ({x}, {y}): {:?}", seen.get_pixel(x, y));
        }
    }
}

#[test]
fn a_display_whose_pixels_mean_what_somebody_says_is_refused() {
    const NAME: &str = "a_display_whose_pixels_mean_what_somebody_says_is_refused";
    if !is_inside() {
        let (server, display) = xvfb_of_depth("320x200", 8);
        return on_display(NAME, &display, &server);
    }
    let error = DesktopDriver::start(Options::default()).expect_err("a palette").to_string();
    assert!(error.contains("no fixed meaning") && error.contains("24 bits"), "{error}");
}
