//! What every driver must do: checks against a surface that tells which input events it got.
//!
//! Invariant: knows no driver and no surface. A driver's tests implement [`EchoPage`] for a page, window or
//! screen of their own and call [`check_driver`]. Positions are compared as screenshot pixels, so the same checks
//! hold for every device pixel ratio.

use std::time::{Duration, Instant};

use vigorl_geometry::{Point, Screen};

use crate::{Action, Driver, DriverError, Key, MouseButton, Screenshot, TabId, parse_chord};

/// An input event as the other side saw it.
#[derive(Debug, Clone, PartialEq)]
pub enum Echo {
    /// The pointer moved.
    Moved {
        /// Where to.
        at: Point<Screen>,
    },
    /// A button went down.
    Pressed {
        /// Where.
        at: Point<Screen>,
        /// Which.
        button: MouseButton,
    },
    /// A button came up.
    Released {
        /// Where.
        at: Point<Screen>,
        /// Which.
        button: MouseButton,
    },
    /// The surface understood `count` clicks of the left button in a row.
    Clicked {
        /// 2 is a double click.
        count: u8,
    },
    /// The wheel turned.
    Scrolled {
        /// Where the pointer was.
        at: Point<Screen>,
        /// To the right, in screenshot pixels.
        dx_px: f64,
        /// Downwards, in screenshot pixels.
        dy_px: f64,
    },
    /// A key went down.
    KeyDown(Key),
    /// A key came up.
    KeyUp(Key),
}

/// A white surface that fills the screenshot, records every input event it gets, paints a square of
/// [`MARK`] of at least 5 screenshot pixels around each press, and has a field for several lines of text.
pub trait EchoPage {
    /// Forgets events and marks and empties the field, which must not have the focus.
    ///
    /// # Errors
    /// If the driver failed.
    fn reset(&mut self, driver: &mut dyn Driver) -> Result<(), DriverError>;

    /// All events since the last reset, in order.
    ///
    /// # Errors
    /// If the driver failed.
    fn events(&mut self, driver: &mut dyn Driver) -> Result<Vec<Echo>, DriverError>;

    /// What the text field holds.
    ///
    /// # Errors
    /// If the driver failed.
    fn text(&mut self, driver: &mut dyn Driver) -> Result<String, DriverError>;

    /// A pixel of the text field.
    ///
    /// # Errors
    /// If the driver failed.
    fn text_field(&mut self, driver: &mut dyn Driver) -> Result<Point<Screen>, DriverError>;
}

/// Color of the square painted around each press.
pub const MARK: [u8; 3] = [255, 0, 0];

/// A driver that does not keep the contract.
#[derive(Debug, thiserror::Error)]
#[error("{check}: {detail}")]
pub struct Failure {
    /// Which rule was broken.
    pub check: &'static str,
    /// What was expected and what happened.
    pub detail: String,
}

/// Longest wait for a page that must become quiet.
const CAP: Duration = Duration::from_secs(5);
/// Time a call may take beyond the limit it was given.
const SLACK: Duration = Duration::from_secs(2);

type Check = fn(&mut dyn Driver, &mut dyn EchoPage) -> Result<(), String>;

const CHECKS: [(&str, Check); 12] = [
    ("clicks arrive at their pixel, and only they", clicks),
    ("several clicks count as one double or triple click", repeated_clicks),
    ("keys are down while a click holds them, and the button as long as it is held", held_clicks),
    ("hovering only moves", hover),
    ("a drag presses at one point and releases at the other", drag),
    ("the wheel turns by the distance asked for", scroll),
    ("text arrives exactly", typing),
    ("chords press in order and release in reverse", chords),
    ("a field that is filled holds the text and nothing else", filling),
    ("a position outside the screenshot is refused and nothing is sent", outside),
    ("an action without content is refused and nothing is sent", empty_actions),
    ("tabs are like the first one, or unsupported as a whole", tabs),
];

/// Runs every check.
///
/// # Errors
/// The first rule that the driver broke.
pub fn check_driver(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), Failure> {
    for (check, run) in CHECKS {
        let ready = page.reset(driver).and_then(|()| settle(driver));
        ready.map_err(said).and_then(|()| run(driver, page)).map_err(|detail| Failure { check, detail })?;
    }
    Ok(())
}

fn said(error: DriverError) -> String {
    format!("the driver failed: {error}")
}

fn settle(driver: &mut dyn Driver) -> Result<(), DriverError> {
    driver.settle(CAP).map(drop)
}

fn expect(holds: bool, detail: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(detail()) }
}

/// Corners, the last pixel, and pixels that are no whole CSS pixels at ratios of 1.5 and 2.
fn pixels_of(screenshot: &Screenshot) -> Vec<Point<Screen>> {
    let (right, bottom) = (screenshot.size().width - 1.0, screenshot.size().height - 1.0);
    let (x, y) = ((right * 0.7).floor(), (bottom * 0.8).floor());
    [(0.0, 0.0), (right, bottom), (right, 0.0), (0.0, bottom), (x, y), (x + 1.0, y + 1.0), (x + 2.0, y + 2.0)]
        .map(|(x, y)| Point::new(x, y))
        .to_vec()
}

fn middle_of(driver: &mut dyn Driver) -> Result<Point<Screen>, String> {
    pixels_of(&driver.screenshot().map_err(said)?).get(4).copied().ok_or_else(|| "no pixels".to_owned())
}

/// Whether the place that a surface reports is the pixel that was meant. Browsers report whole CSS pixels, which
/// hold several screenshot pixels or parts of them; then the two must overlap.
fn same_place(reported: Point<Screen>, meant: Point<Screen>, css_px: f64) -> bool {
    let overlap = |reported: f64, meant: f64| {
        let pixel = meant.floor();
        // A little less than both, because ratios such as 1.5 are not exact in products.
        reported < pixel + 0.999 && reported + css_px > pixel + 0.001
    };
    overlap(reported.x, meant.x) && overlap(reported.y, meant.y)
}

/// Whether two events are the same, up to how far the wheel turns at least.
fn matches(got: &Echo, wanted: &Echo, css_px: f64, wheel_step_px: f64) -> bool {
    match (got, wanted) {
        (Echo::Moved { at: a }, Echo::Moved { at: b }) => same_place(*a, *b, css_px),
        (Echo::Pressed { at: a, button: i }, Echo::Pressed { at: b, button: j })
        | (Echo::Released { at: a, button: i }, Echo::Released { at: b, button: j }) => {
            same_place(*a, *b, css_px) && i == j
        }
        (Echo::Scrolled { at: a, dx_px: ax, dy_px: ay }, Echo::Scrolled { at: b, dx_px: bx, dy_px: by }) => {
            let same = |a: f64, b: f64| (a - b).abs() <= wheel_step_px / 2.0;
            same_place(*a, *b, css_px) && same(*ax, *bx) && same(*ay, *by)
        }
        (got, wanted) => got == wanted,
    }
}

/// Acts, then compares all events. Moves to the first place are not compared one by one: a pointer that
/// is there already does not move.
fn act_and_compare(
    driver: &mut dyn Driver,
    page: &mut dyn EchoPage,
    action: &Action,
    wanted: &[Echo],
) -> Result<(), String> {
    page.reset(driver).map_err(said)?;
    let css_px = driver.screenshot().map_err(said)?.device_pixel_ratio.get();
    let wheel_step_px = driver.wheel_step_px();
    driver.act(action).and_then(|()| settle(driver)).map_err(said)?;
    let got = page.events(driver).map_err(said)?;
    let first = got.iter().position(|event| !matches!(event, Echo::Moved { .. })).unwrap_or(got.len());
    let (approach, rest) = got.split_at(first);
    let to = match action {
        Action::Click { at, .. }
        | Action::HeldClick { at, .. }
        | Action::Hover { at }
        | Action::Scroll { at, .. } => Some(*at),
        Action::Drag { from, .. } => Some(*from),
        _ => None,
    };
    let astray = approach
        .iter()
        .find(|event| !matches!((event, to), (Echo::Moved { at }, Some(to)) if same_place(*at, to, css_px)));
    expect(astray.is_none(), || format!("{action:?} moved the pointer: {astray:?}"))?;
    let same = rest.len() == wanted.len()
        && rest.iter().zip(wanted).all(|(a, b)| matches(a, b, css_px, wheel_step_px));
    expect(same, || format!("{action:?} was expected to cause {wanted:?}, but caused {got:?}"))
}

fn press_and_release(at: Point<Screen>, button: MouseButton) -> [Echo; 2] {
    [Echo::Pressed { at, button }, Echo::Released { at, button }]
}

fn clicks(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let pixels = pixels_of(&driver.screenshot().map_err(said)?);
    for &at in &pixels {
        let mut wanted = press_and_release(at, MouseButton::Left).to_vec();
        wanted.push(Echo::Clicked { count: 1 });
        act_and_compare(driver, page, &Action::Click { at, button: MouseButton::Left, count: 1 }, &wanted)?;
        expect_mark(&driver.screenshot().map_err(said)?, at)?;
    }
    for button in [MouseButton::Middle, MouseButton::Right] {
        let at = pixels[4];
        let wanted = press_and_release(at, button);
        act_and_compare(driver, page, &Action::Click { at, button, count: 1 }, &wanted)?;
    }
    Ok(())
}

/// The screenshot must show the mark where the event was: camera and hands agree about the place.
fn expect_mark(screenshot: &Screenshot, at: Point<Screen>) -> Result<(), String> {
    let (x, y) = (at.x as u32, at.y as u32);
    let color = screenshot.pixels.get_pixel(x, y).0;
    expect(color == MARK, || format!("({x}, {y}) was clicked, but the screenshot shows {color:?} there"))?;
    let n_marked = screenshot.pixels.pixels().filter(|pixel| pixel.0 == MARK).count();
    expect(n_marked < 5000, || format!("{n_marked} pixels are marked after one click"))
}

fn repeated_clicks(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let at = middle_of(driver)?;
    for count in [2, 3] {
        let mut wanted = Vec::new();
        for nth in 1..=count {
            wanted.extend(press_and_release(at, MouseButton::Left));
            wanted.push(Echo::Clicked { count: nth });
        }
        act_and_compare(driver, page, &Action::Click { at, button: MouseButton::Left, count }, &wanted)?;
    }
    Ok(())
}

fn held_clicks(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    const HOLD: Duration = Duration::from_millis(300);
    let at = middle_of(driver)?;
    let keys = vec![Key::Control, Key::Shift];
    let held = |keys: &[Key], hold_ms| Action::HeldClick {
        at,
        button: MouseButton::Left,
        count: 1,
        keys: keys.to_vec(),
        hold_ms,
    };
    let clicked = || press_and_release(at, MouseButton::Left).into_iter().chain([Echo::Clicked { count: 1 }]);
    let down = keys.iter().map(|key| Echo::KeyDown(*key));
    let up = keys.iter().rev().map(|key| Echo::KeyUp(*key));
    let wanted: Vec<Echo> = down.chain(clicked()).chain(up).collect();
    // A surface in a page gets keys once it was clicked.
    focus_field(driver, page)?;
    act_and_compare(driver, page, &held(&keys, 0), &wanted)?;
    let began = Instant::now();
    act_and_compare(driver, page, &held(&[], HOLD.as_millis() as u32), &clicked().collect::<Vec<_>>())?;
    expect(began.elapsed() >= HOLD, || format!("a click of {HOLD:?} took {:?}", began.elapsed()))
}

fn hover(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let screenshot = driver.screenshot().map_err(said)?;
    let pixels = pixels_of(&screenshot);
    for &at in &pixels {
        // From elsewhere, so that there is a move to report.
        let elsewhere = if at == pixels[0] { pixels[1] } else { pixels[0] };
        driver.act(&Action::Hover { at: elsewhere }).and_then(|()| settle(driver)).map_err(said)?;
        act_and_compare(driver, page, &Action::Hover { at }, &[])?;
        let n_events = page.events(driver).map_err(said)?.len();
        expect(n_events > 0, || format!("nothing moved to {at:?}"))?;
    }
    Ok(())
}

fn drag(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let screenshot = driver.screenshot().map_err(said)?;
    let (css_px, wheel_step_px) = (screenshot.device_pixel_ratio.get(), driver.wheel_step_px());
    let pixels = pixels_of(&screenshot);
    for (from, to) in [(pixels[4], pixels[1]), (pixels[0], pixels[5])] {
        page.reset(driver).map_err(said)?;
        driver.act(&Action::Drag { from, to }).and_then(|()| settle(driver)).map_err(said)?;
        let got = page.events(driver).map_err(said)?;
        let [pressed, released] = [from, to].map(|at| press_and_release(at, MouseButton::Left));
        let is = |event: Option<&Echo>, wanted: &Echo| {
            event.is_some_and(|got| matches(got, wanted, css_px, wheel_step_px))
        };
        let mut others = got.iter().filter(|event| !matches!(event, Echo::Moved { .. }));
        // After the release the surface may or may not count a click.
        let ends = is(others.next(), &pressed[0]) && is(others.next(), &released[1]);
        expect(ends, || format!("the drag from {from:?} to {to:?} caused {got:?}"))?;
        let release = got.iter().position(|event| matches!(event, Echo::Released { .. })).unwrap_or(0);
        let arrived = release.checked_sub(1).and_then(|before| got.get(before));
        let there = is(arrived, &Echo::Moved { at: to });
        expect(there, || format!("released before arriving at {to:?}: {got:?}"))?;
    }
    Ok(())
}

fn scroll(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let at = middle_of(driver)?;
    for (dx_px, dy_px) in [(0.0, 120.0), (0.0, -120.0), (90.0, 0.0), (-30.0, 60.0)] {
        let wanted = [Echo::Scrolled { at, dx_px, dy_px }];
        act_and_compare(driver, page, &Action::Scroll { at, dx_px, dy_px }, &wanted)?;
    }
    Ok(())
}

fn focus_field(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    page.reset(driver).map_err(said)?;
    let at = page.text_field(driver).map_err(said)?;
    driver.act(&Action::Click { at, button: MouseButton::Left, count: 1 }).map_err(said)
}

/// Every printable ASCII character, repeated letters, other scripts, combining marks, emoji, line breaks, tabs.
const TEXTS: [&str; 5] = [
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
    "Привет, ааа! 世界 ΐ é e\u{301} ñ ß € „Zitat“ עברית",
    "😀👍🏽👩\u{200d}💻🇩🇪",
    "one\ntwo\n\nthree\tafter a tab\t\tend",
    "aAaAAbBB11!!",
];

fn typing(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    for text in TEXTS {
        focus_field(driver, page)?;
        driver.act(&Action::Type { text: text.to_owned() }).and_then(|()| settle(driver)).map_err(said)?;
        let got = page.text(driver).map_err(said)?;
        expect(got == text, || format!("{text:?} was typed, {got:?} arrived"))?;
    }
    Ok(())
}

fn chords(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    focus_field(driver, page)?;
    driver.act(&Action::Type { text: "to be replaced".to_owned() }).map_err(said)?;
    for name in ["Control+a", "x", "Shift+Home", "Delete"] {
        let chord = parse_chord(name).map_err(|e| e.to_string())?;
        let before = page.events(driver).map_err(said)?.len();
        driver.act(&Action::Press { chord: chord.clone() }).and_then(|()| settle(driver)).map_err(said)?;
        let events = page.events(driver).map_err(said)?;
        let got: Vec<_> = events.iter().skip(before).collect();
        let down = chord.iter().map(|key| Echo::KeyDown(*key));
        let wanted: Vec<_> = down.chain(chord.iter().rev().map(|key| Echo::KeyUp(*key))).collect();
        expect(got.iter().copied().eq(&wanted), || format!("{name} caused {got:?} instead of {wanted:?}"))?;
        let text = page.text(driver).map_err(said)?;
        let left = if name == "Control+a" {
            "to be replaced"
        } else if name == "Delete" {
            ""
        } else {
            "x"
        };
        expect(text == left, || format!("after {name} the field holds {text:?} instead of {left:?}"))?;
    }
    Ok(())
}

fn filling(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let at = page.text_field(driver).map_err(said)?;
    for text in ["first", "another one", "", "äöü 2"] {
        let fill = Action::Fill { at, text: text.to_owned(), has_secret: false };
        match driver.act(&fill).and_then(|()| settle(driver)) {
            Err(DriverError::Unsupported { .. }) => return expect_no_events(driver, page),
            done => done.map_err(said)?,
        }
        let got = page.text(driver).map_err(said)?;
        expect(got == text, || format!("the field was filled with {text:?} and holds {got:?}"))?;
        expect(driver.note().is_there, || "nothing tells that the text is there".to_owned())?;
    }
    Ok(())
}

fn outside(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let size = driver.screenshot().map_err(said)?.size();
    let inside = Point::new(1.0, 1.0);
    let far = [(-1.0, 5.0), (5.0, -0.5), (size.width, 5.0), (5.0, size.height), (1e9, 1e9), (f64::NAN, 5.0)];
    for at in far.map(|(x, y)| Point::new(x, y)) {
        for action in [
            Action::Click { at, button: MouseButton::Left, count: 1 },
            Action::Hover { at },
            Action::Drag { from: inside, to: at },
            Action::Drag { from: at, to: inside },
            Action::Scroll { at, dx_px: 0.0, dy_px: 50.0 },
            Action::HeldClick { at, button: MouseButton::Left, count: 1, keys: vec![Key::Shift], hold_ms: 0 },
            Action::ScrollTo { at },
            Action::Fill { at, text: "x".to_owned(), has_secret: false },
        ] {
            let answer = driver.act(&action);
            let is_unknown =
                matches!((&action, &answer), (Action::Fill { .. }, Err(DriverError::Unsupported { .. })));
            let refused = is_unknown || matches!(answer, Err(DriverError::OutsideScreenshot { .. }));
            expect(refused, || format!("{action:?} on {size:?} was answered by {answer:?}"))?;
        }
    }
    expect_no_events(driver, page)
}

fn empty_actions(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let at = middle_of(driver)?;
    for action in [
        Action::Click { at, button: MouseButton::Left, count: 0 },
        Action::HeldClick { at, button: MouseButton::Left, count: 0, keys: vec![Key::Shift], hold_ms: 0 },
        Action::HeldClick { at, button: MouseButton::Left, count: 1, keys: vec![Key::Enter], hold_ms: 0 },
        Action::Press { chord: Vec::new() },
        Action::Press { chord: vec![Key::Function(13)] },
        Action::Scroll { at, dx_px: 0.0, dy_px: 0.0 },
        Action::Scroll { at, dx_px: f64::NAN, dy_px: 50.0 },
        Action::Type { text: "\u{7}".to_owned() },
    ] {
        let answer = driver.act(&action);
        expect(answer.is_err(), || format!("{action:?} was accepted"))?;
    }
    expect_no_events(driver, page)
}

fn expect_no_events(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let events = page.events(driver).map_err(said)?;
    expect(events.is_empty(), || format!("refused actions caused {events:?}"))
}

/// Opens a tab and says which one it is.
fn open_tab(driver: &mut dyn Driver) -> Result<TabId, DriverError> {
    driver.act(&Action::OpenTab)?;
    let current = driver.tabs()?.into_iter().next();
    current.ok_or(DriverError::Gone { what: "tab", detail: "the driver lists none".to_owned() })
}

fn tabs(driver: &mut dyn Driver, page: &mut dyn EchoPage) -> Result<(), String> {
    let began = Instant::now();
    driver.settle(Duration::ZERO).map_err(said)?;
    expect(began.elapsed() < SLACK, || format!("settling without time took {:?}", began.elapsed()))?;
    let switch = |tab: &TabId| Action::SwitchTab { tab: tab.clone().into() };
    let first = match driver.tabs() {
        Err(DriverError::Unsupported { .. }) => {
            let opened = driver.act(&Action::OpenTab);
            let unsupported = matches!(opened, Err(DriverError::Unsupported { .. }));
            return expect(unsupported, || format!("tabs are unsupported, but opening one gave {opened:?}"));
        }
        tabs => tabs.map_err(said)?.into_iter().next().ok_or("there is no tab at all")?,
    };
    let before = driver.screenshot().map_err(said)?;
    let second = open_tab(driver).map_err(said)?;
    let listed = driver.tabs().map_err(said)?;
    expect(second != first && listed.contains(&first), || format!("tabs are {listed:?}"))?;
    let shown = driver.screenshot().map_err(said)?;
    let alike = shown.size() == before.size() && shown.device_pixel_ratio == before.device_pixel_ratio;
    expect(alike, || format!("the new tab shows {:?} instead of {:?}", shown.size(), before.size()))?;
    driver.act(&switch(&first)).map_err(said)?;
    expect_no_events(driver, page)?;
    driver.act(&switch(&second)).and_then(|()| driver.act(&Action::CloseTab)).map_err(said)?;
    let left = driver.tabs().map_err(said)?;
    expect(left.first() == Some(&first) && !left.contains(&second), || format!("{left:?} are left"))?;
    let gone = driver.act(&switch(&second));
    expect(gone.is_err(), || "a closed tab was made current".to_owned())?;
    let last = match left.len() {
        1 => driver.act(&Action::CloseTab),
        _ => Err(DriverError::Unsupported { what: "this" }),
    };
    expect(last.is_err(), || "the last tab was closed".to_owned())
}
