//! Real applications of Debian on an X11 display of their own, with a window manager.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::display::{self, Ends, manager};
use support::{driver_of, on_own_display};
use vigorl_desktop::{DesktopDriver, Options};
use vigorl_geometry::{Point, Screen};
use vigorl_interface::{
    Action, AllowedWindows, Driver as _, DriverError, MouseButton, parse_chord, wait_while,
};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

fn start(program: &str, arguments: &[&str], home: &Path) -> Ends {
    display::start(program, arguments, home, None)
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
    let _manager = manager(home.path(), None);
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
    let _manager = manager(home.path(), None);
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
fn what_is_dragged_is_dropped() {
    if !on_own_display("what_is_dragged_is_dropped", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let mut driver = driver_of("mousepad");
    type_text(&mut driver, "alpha beta\n\n\n");
    press(&mut driver, "Control+Home");
    let before = driver.screenshot().expect("a screenshot").pixels;
    press(&mut driver, "Shift+End");
    let after = driver.screenshot().expect("a screenshot").pixels;
    // What is selected is where the picture changed, but for the line of the status bar.
    let is_changed = |(x, y): (u32, u32)| before.get_pixel(x, y) != after.get_pixel(x, y);
    let top = (0..after.height()).find(|&y| (0..60).any(|x| is_changed((x, y)))).expect("a selection");
    let bottom = (top..after.height()).find(|&y| !(0..60).any(|x| is_changed((x, y)))).expect("its end");
    let (middle, line) = (f64::from(top + bottom) / 2.0, f64::from(bottom - top));
    let (from, to) = (Point::new(30.0, middle), Point::new(30.0, middle + 2.0 * line));
    driver.act(&Action::Drag { from, to }).expect("a drag");
    driver.settle(Duration::from_secs(2)).expect("a display");
    assert_eq!(copied(&mut driver), "\n\nalpha beta\n");
}

#[test]
fn a_calculator_calculates() {
    if !on_own_display("a_calculator_calculates", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
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
    let _manager = manager(home.path(), None);
    let _terminal = start("xterm", &["-fa", "Monospace", "-e", "/bin/sh"], home.path());
    let mut driver = driver_of("xterm");
    type_text(&mut driver, "echo 'It is {done}; \"quoted\" & ~|' > $HOME/out\n");
    let (deadline, out) = (Instant::now() + Duration::from_secs(5), home.path().join("out"));
    while std::fs::read_to_string(&out).unwrap_or_default().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(&out).unwrap_or_default(), "It is {done}; \"quoted\" & ~|\n");
    // It does not paste with Control+v: nothing is lost silently, and the clipboard is as it was.
    let mut before = arboard::Clipboard::new().expect("a clipboard");
    before.set_text("kept").expect("a clipboard");
    let answer = driver.act(&Action::Type { text: "мир".to_owned() });
    assert!(
        matches!(&answer, Err(DriverError::Refused { detail, .. }) if detail.contains("nothing took")),
        "{answer:?}"
    );
    assert_eq!(clipboard(), "kept");
}

/// A window of this process that lies over the whole screen, past the window manager, and claims another's process.
struct ForgedMenu {
    conn: RustConnection,
    window: u32,
}

impl ForgedMenu {
    fn over_everything(class: &str) -> Self {
        let (conn, screen) = x11rb::connect(None).expect("a display");
        let root = conn.setup().roots[screen].root;
        let atom =
            |name: &[u8]| conn.intern_atom(false, name).expect("an atom").reply().expect("an atom").atom;
        let (list, process) = (atom(b"_NET_CLIENT_LIST"), atom(b"_NET_WM_PID"));
        let property = |window, property| {
            let asked = conn.get_property(false, window, property, AtomEnum::ANY, 0, 99).expect("a property");
            asked.reply().expect("a property")
        };
        let windows: Vec<u32> = property(root, list).value32().expect("windows").collect();
        let is_of = |window: &&u32| {
            let class_of = property(**window, AtomEnum::WM_CLASS.into()).value;
            String::from_utf8_lossy(&class_of).to_lowercase().contains(class)
        };
        let victim = *windows.iter().find(is_of).expect("the application");
        let claimed: Vec<u32> = property(victim, process).value32().expect("a process").collect();
        let window = conn.generate_id().expect("a number");
        let aux = CreateWindowAux::new().override_redirect(1).event_mask(EventMask::BUTTON_PRESS);
        let (kind, depth) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_DEPTH_FROM_PARENT);
        conn.create_window(depth, window, root, 0, 0, 1280, 800, 0, kind, 0, &aux).expect("a window");
        conn.change_property32(PropMode::REPLACE, window, process, AtomEnum::CARDINAL, &claimed)
            .expect("a claim");
        conn.map_window(window).expect("a window");
        conn.sync().expect("a display");
        Self { conn, window }
    }
}

impl Drop for ForgedMenu {
    fn drop(&mut self) {
        self.conn.destroy_window(self.window).expect("a window");
        self.conn.sync().expect("a display");
    }
}

#[test]
fn input_for_a_window_never_reaches_another() {
    if !on_own_display("input_for_a_window_never_reaches_another", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let mut driver = driver_of("mousepad");
    let screenshot = driver.screenshot().expect("a screenshot");
    let at =
        Point::new(f64::from(screenshot.pixels.width()) / 2.0, f64::from(screenshot.pixels.height()) / 2.0);
    let click = Action::Click { at, button: MouseButton::Left, count: 1 };
    driver.act(&click).expect("the window is free");
    // A menu of the same application is another window to the server, but not to a person.
    let file_menu = Action::Click { at: Point::new(22.0, 12.0), button: MouseButton::Left, count: 1 };
    driver.act(&file_menu).expect("the menu bar");
    driver.settle(Duration::from_secs(2)).expect("a display");
    let (x, y) = (60_u32, 40_u32);
    // On a busy machine it comes late.
    let is_closed = || {
        let now = driver.screenshot().expect("a screenshot");
        now.pixels.get_pixel(x, y) == screenshot.pixels.get_pixel(x, y)
    };
    let end = Some(Instant::now() + Duration::from_secs(10));
    assert!(!wait_while(end, Duration::from_millis(20), is_closed), "the menu did not open");
    let item = Point::new(f64::from(x), f64::from(y));
    driver.act(&Action::Hover { at: item }).expect("the menu belongs to the window");
    press(&mut driver, "Escape");
    // A window that claims the editor's process, as its menu does, is not the editor's.
    let forged = ForgedMenu::over_everything("mousepad");
    let answer = driver.act(&click);
    assert!(matches!(&answer, Err(DriverError::Refused { .. })), "{answer:?}");
    drop(forged);
    driver.act(&click).expect("the window is free again");
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

#[test]
fn input_reaches_allowed_windows_alone() {
    if !on_own_display("input_reaches_allowed_windows_alone", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let _editor = start("mousepad", &["--disable-server"], home.path());
    let place = driver_of("mousepad").place().expect("the editor");
    let with = |allowed: &str| {
        let allowed_windows = Some(AllowedWindows::parse(allowed).expect("a list"));
        DesktopDriver::start(Options { allowed_windows, ..Options::default() }).expect("a display")
    };
    let click = |at: Point<Screen>| Action::Click { at, button: MouseButton::Left, count: 1 };
    let editor = Point::new(place.left + place.width() / 2.0, place.top + place.height() / 2.0);
    let title_bar = Point::new(place.left + place.width() / 2.0, place.top - 8.0);
    let refused = |answer: Result<(), DriverError>, why: &str| match answer {
        Err(DriverError::Refused { detail, .. }) => assert!(detail.contains(why), "{detail}, not {why}"),
        answer => panic!("{answer:?}, not {why}"),
    };

    let mut driver = with("Galculator, mousepad");
    driver.act(&click(editor)).expect("it is allowed");
    type_text(&mut driver, "kept");
    // Its menu is a window of its own to the server.
    let menu = Point::new(place.left + 22.0, place.top + 12.0);
    driver.act(&click(menu)).expect("the menu bar");
    driver.settle(Duration::from_secs(2)).expect("a display");
    driver
        .act(&Action::Hover { at: Point::new(menu.x + 38.0, menu.y + 28.0) })
        .expect("the menu is the editor's");
    press(&mut driver, "Escape");
    refused(driver.act(&click(Point::new(1270.0, 790.0))), "only the background");
    refused(driver.act(&click(title_bar)), "not an allowed one");
    for chord in ["Alt+Tab", "Alt+F4", "Meta+r", "Control+Alt+t"] {
        refused(driver.act(&Action::Press { chord: parse_chord(chord).unwrap() }), "the window manager");
    }

    // The same editor, another title: what it shows chooses that.
    refused(with("Mousepad:notes.txt").act(&click(editor)), "of Mousepad");
    with("Mousepad:untitled").act(&click(editor)).expect("a part of the title");
    // A window that calls itself like an allowed one is none, and it gets neither clicks nor keys.
    let cover = start("xterm", &["-geometry", "200x60+0+0", "-T", "mousepad"], home.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    // A click would raise the editor again.
    while driver.act(&Action::Hover { at: editor }).is_ok() {
        assert!(Instant::now() < deadline, "the terminal does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
    refused(driver.act(&click(editor)), "`mousepad` of XTerm");
    refused(driver.act(&Action::Type { text: "rm -r x\n".to_owned() }), "XTerm");
    let drag = Action::Drag { from: editor, to: Point::new(1270.0, 790.0) };
    refused(driver.act(&drag), "");
    drop(cover);
    let mut driver = driver_of("mousepad");
    assert_eq!(copied(&mut driver), "kept");
}

#[test]
fn a_window_that_moved_is_followed_and_one_of_another_size_is_refused() {
    if !on_own_display("a_window_that_moved_is_followed_and_one_of_another_size_is_refused", "1280x800") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let _manager = manager(home.path(), None);
    let (conn, screen) = x11rb::connect(None).expect("a display");
    let (root, white) = (conn.setup().roots[screen].root, conn.setup().roots[screen].white_pixel);
    let window = conn.generate_id().expect("a number");
    let aux = CreateWindowAux::new().background_pixel(white).event_mask(EventMask::BUTTON_PRESS);
    let (class, depth) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_DEPTH_FROM_PARENT);
    conn.create_window(depth, window, root, 50, 50, 300, 200, 0, class, 0, &aux).expect("a window");
    let (mode, kind) = (PropMode::REPLACE, AtomEnum::STRING);
    conn.change_property8(mode, window, AtomEnum::WM_NAME, kind, b"the target").expect("a title");
    conn.map_window(window).expect("a window");
    conn.sync().expect("a display");
    let mut driver = driver_of("the target");
    let before = driver.place().expect("the window");
    assert_eq!(driver.screenshot().expect("a screenshot").pixels.dimensions(), (300, 200));
    let change = |driver: &mut DesktopDriver, aux: ConfigureWindowAux| {
        let was = driver.place().expect("the window");
        conn.configure_window(window, &aux).expect("a window");
        conn.sync().expect("a display");
        let end = Instant::now() + Duration::from_secs(5);
        while driver.place().expect("the window") == was && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_ne!(driver.place().expect("the window"), was, "the window manager did nothing");
    };
    change(&mut driver, ConfigureWindowAux::new().x(600).y(400));
    let click = Action::Click { at: Point::new(120.0, 70.0), button: MouseButton::Left, count: 1 };
    driver.act(&click).expect("the window is there, elsewhere");
    assert_ne!(driver.place().expect("the window"), before);
    let Ok(Event::ButtonPress(press)) = conn.wait_for_event() else { panic!("no click arrived") };
    assert_eq!((press.event_x, press.event_y), (120, 70));
    change(&mut driver, ConfigureWindowAux::new().width(310));
    let answer = driver.act(&click);
    assert!(
        matches!(&answer, Err(DriverError::Refused { detail, .. }) if detail.contains("310x200")),
        "{answer:?}"
    );
    driver.screenshot().expect("a screenshot");
    driver.act(&click).expect("a screenshot of the new size");
}
