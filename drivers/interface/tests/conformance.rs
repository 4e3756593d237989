//! The conformance suite itself: a driver in memory that keeps the contract passes, and one that breaks a rule
//! fails at that rule.

#![expect(clippy::unwrap_used, reason = "a lock is poisoned only by a failed test")]

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use vigorl_geometry::{DevicePixelRatio, Point, Screen, Size};
use vigorl_interface::conformance::{Echo, EchoPage, MARK, check_driver};
use vigorl_interface::{
    Action, Driver, DriverError, Key, MouseButton, Note, PageState, Screenshot, Settled, TabId, WhichTab,
};

const SIZE: (u32, u32) = (200, 120);

/// The rule that the driver breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    ClicksBeside,
    CountsNoClicks,
    ForgetsHeldKeys,
    LetsGoAtOnce,
    PressesOnHover,
    ReleasesEarly,
    TurnsTheWheelBackwards,
    DropsAccents,
    ReleasesInOrder,
    TypesBehindTheOld,
    ClampsPositions,
    AcceptsNothing,
    OpensSmallTabs,
}

/// What driver and page share: the surface of the first tab.
#[derive(Debug, Default)]
struct Surface {
    events: Vec<Echo>,
    presses: Vec<Point<Screen>>,
    text: String,
    has_focus: bool,
    is_selected: bool,
}

impl Surface {
    fn press(&mut self, at: Point<Screen>, button: MouseButton) {
        self.events.push(Echo::Pressed { at, button });
        self.presses.push(at);
        self.has_focus = (at.x - 20.0).abs() < 10.0 && (at.y - 20.0).abs() < 5.0;
    }

    fn key(&mut self, chord: &[Key]) {
        match chord {
            [Key::Control, Key::Char('a')] | [Key::Shift, Key::Home] => self.is_selected = true,
            [Key::Delete] => self.write(""),
            [Key::Char(character)] => self.write(&character.to_string()),
            _ => {}
        }
    }

    fn write(&mut self, text: &str) {
        if std::mem::take(&mut self.is_selected) {
            self.text.clear();
        }
        if self.has_focus {
            self.text.push_str(text);
        }
    }
}

struct Fake {
    surface: Arc<Mutex<Surface>>,
    fault: Fault,
    /// The current one first.
    tabs: Vec<TabId>,
}

struct Page(Arc<Mutex<Surface>>);

impl EchoPage for Page {
    fn reset(&mut self, _driver: &mut dyn Driver) -> Result<(), DriverError> {
        *self.0.lock().unwrap() = Surface::default();
        Ok(())
    }

    fn events(&mut self, _driver: &mut dyn Driver) -> Result<Vec<Echo>, DriverError> {
        Ok(self.0.lock().unwrap().events.clone())
    }

    fn text(&mut self, _driver: &mut dyn Driver) -> Result<String, DriverError> {
        Ok(self.0.lock().unwrap().text.clone())
    }

    fn text_field(&mut self, _driver: &mut dyn Driver) -> Result<Point<Screen>, DriverError> {
        Ok(Point::new(20.0, 20.0))
    }
}

fn refused(detail: &str) -> DriverError {
    DriverError::Refused { request: "act", detail: detail.to_owned() }
}

impl Fake {
    fn surface(&self) -> MutexGuard<'_, Surface> {
        self.surface.lock().unwrap()
    }

    fn checked(&self, at: Point<Screen>) -> Result<Point<Screen>, DriverError> {
        let (width, height) = SIZE;
        if Size::<Screen>::of_pixels(width, height).contains(at) {
            Ok(at)
        } else if self.fault == Fault::ClampsPositions && at.x.is_finite() {
            Ok(Point::new(at.x.clamp(0.0, 199.0), at.y.clamp(0.0, 119.0)))
        } else {
            Err(DriverError::OutsideScreenshot { x: at.x, y: at.y, width, height })
        }
    }

    fn click(&self, at: Point<Screen>, button: MouseButton, count: u8) {
        let beside = if self.fault == Fault::ClicksBeside { 1.0 } else { 0.0 };
        let at = Point::new(at.x - beside, at.y);
        self.surface().events.push(Echo::Moved { at });
        self.press_at(at, button, count);
    }

    fn press_at(&self, at: Point<Screen>, button: MouseButton, count: u8) {
        let mut surface = self.surface();
        for nth in 1..=count {
            surface.press(at, button);
            surface.events.push(Echo::Released { at, button });
            if button == MouseButton::Left {
                let count = if self.fault == Fault::CountsNoClicks { 1 } else { nth };
                surface.events.push(Echo::Clicked { count });
            }
        }
    }

    fn held_click(&self, at: Point<Screen>, keys: &[Key], hold_ms: u32) {
        self.surface().events.push(Echo::Moved { at });
        let keys = if self.fault == Fault::ForgetsHeldKeys { &[] } else { keys };
        self.surface().events.extend(keys.iter().map(|key| Echo::KeyDown(*key)));
        self.press_at(at, MouseButton::Left, 1);
        self.surface().events.extend(keys.iter().rev().map(|key| Echo::KeyUp(*key)));
        if self.fault != Fault::LetsGoAtOnce {
            let end = Instant::now() + Duration::from_millis(hold_ms.into());
            while Instant::now() < end {}
        }
    }

    fn fill(&self, text: &str) {
        let mut surface = self.surface();
        if self.fault != Fault::TypesBehindTheOld {
            surface.text.clear();
        }
        surface.text.push_str(text);
    }

    fn drag(&self, from: Point<Screen>, to: Point<Screen>) {
        let mut surface = self.surface();
        surface.events.push(Echo::Moved { at: from });
        surface.press(from, MouseButton::Left);
        let end = if self.fault == Fault::ReleasesEarly { from } else { to };
        surface
            .events
            .extend([Echo::Moved { at: end }, Echo::Released { at: end, button: MouseButton::Left }]);
    }

    fn press(&self, chord: &[Key]) {
        let mut surface = self.surface();
        surface.events.extend(chord.iter().map(|key| Echo::KeyDown(*key)));
        let up = chord.iter().map(|key| Echo::KeyUp(*key));
        match self.fault {
            Fault::ReleasesInOrder => surface.events.extend(up),
            _ => surface.events.extend(up.rev()),
        }
        surface.key(chord);
    }
}

impl Driver for Fake {
    fn screenshot(&mut self) -> Result<Screenshot, DriverError> {
        let small = self.fault == Fault::OpensSmallTabs && self.tabs[0].0 == "two";
        let (width, height) = if small { (100, 60) } else { SIZE };
        let presses = self.surface().presses.clone();
        let near = |x: u32, y: u32| {
            let near =
                |at: &Point<Screen>| (at.x - f64::from(x)).abs() <= 2.0 && (at.y - f64::from(y)).abs() <= 2.0;
            presses.iter().any(near)
        };
        let pixels = RgbImage::from_fn(width, height, |x, y| Rgb(if near(x, y) { MARK } else { [255; 3] }));
        let device_pixel_ratio = DevicePixelRatio::new(1.0).unwrap();
        Ok(Screenshot { pixels: Arc::new(pixels), device_pixel_ratio })
    }

    fn act(&mut self, action: &Action) -> Result<(), DriverError> {
        let is_nothing = match action {
            Action::Click { count, .. } => *count == 0,
            Action::HeldClick { count, keys, .. } => *count == 0 || keys.contains(&Key::Enter),
            Action::Press { chord } => chord.is_empty() || chord.contains(&Key::Function(13)),
            Action::Scroll { dx_px, dy_px, .. } => dx_px.is_nan() || (*dx_px, *dy_px) == (0.0, 0.0),
            Action::Type { text } => text.contains('\u{7}'),
            _ => false,
        };
        if is_nothing {
            return if self.fault == Fault::AcceptsNothing { Ok(()) } else { Err(refused("nothing to do")) };
        }
        match action {
            Action::Click { at, button, count } => self.click(self.checked(*at)?, *button, *count),
            Action::HeldClick { at, keys, hold_ms, .. } => {
                self.held_click(self.checked(*at)?, keys, *hold_ms)
            }
            Action::ScrollTo { at } => self.checked(*at).map(drop)?,
            Action::Fill { at, text, .. } => {
                self.checked(*at)?;
                self.fill(text);
            }
            Action::Hover { at } => {
                let at = self.checked(*at)?;
                self.surface().events.push(Echo::Moved { at });
                if self.fault == Fault::PressesOnHover {
                    self.surface().press(at, MouseButton::Left);
                }
            }
            Action::Drag { from, to } => self.drag(self.checked(*from)?, self.checked(*to)?),
            Action::Scroll { at, dx_px, dy_px } => {
                let at = self.checked(*at)?;
                let sign = if self.fault == Fault::TurnsTheWheelBackwards { -1.0 } else { 1.0 };
                let turned = Echo::Scrolled { at, dx_px: sign * dx_px, dy_px: sign * dy_px };
                self.surface().events.extend([Echo::Moved { at }, turned]);
            }
            Action::Type { text } => {
                let kept = |c: &char| self.fault != Fault::DropsAccents || *c != 'é';
                self.surface().write(&text.chars().filter(kept).collect::<String>());
            }
            Action::Press { chord } => self.press(chord),
            Action::OpenTab => self.tabs.insert(0, TabId("two".to_owned())),
            Action::SwitchTab { tab: WhichTab::Id(tab) } => self.switch_tab(tab)?,
            Action::CloseTab => self.close_tab()?,
            other => return Err(DriverError::unsupported(other)),
        }
        Ok(())
    }

    fn note(&self) -> Note {
        Note::there()
    }

    fn settle(&mut self, _cap: Duration) -> Result<Settled, DriverError> {
        Ok(Settled::Quiet { after: Duration::ZERO })
    }

    fn page_state(&mut self) -> Result<PageState, DriverError> {
        Ok(PageState::default())
    }

    fn evaluate(&mut self, _script: &str) -> Result<String, DriverError> {
        Err(DriverError::Unsupported { what: "evaluate scripts" })
    }

    fn tabs(&mut self) -> Result<Vec<TabId>, DriverError> {
        Ok(self.tabs.clone())
    }
}

impl Fake {
    fn switch_tab(&mut self, tab: &TabId) -> Result<(), DriverError> {
        let place = self.tabs.iter().position(|known| known == tab).ok_or_else(|| refused("no such tab"))?;
        self.tabs.swap(0, place);
        Ok(())
    }

    fn close_tab(&mut self) -> Result<(), DriverError> {
        if self.tabs.len() == 1 {
            return Err(refused("it is the last one"));
        }
        self.tabs.remove(0);
        Ok(())
    }
}

/// The rule that a driver with this fault breaks, by the suite's own words.
fn broken_rule(fault: Fault) -> Option<&'static str> {
    let surface = Arc::new(Mutex::new(Surface::default()));
    let tabs = vec![TabId("one".to_owned())];
    let mut driver = Fake { surface: Arc::clone(&surface), fault, tabs };
    check_driver(&mut driver, &mut Page(surface)).err().map(|failure| failure.check)
}

#[test]
fn a_driver_that_keeps_the_contract_passes() {
    assert_eq!(broken_rule(Fault::None), None);
}

#[test]
fn every_rule_can_be_broken() {
    for (fault, rule) in [
        (Fault::ClicksBeside, "clicks arrive at their pixel"),
        (Fault::CountsNoClicks, "several clicks count"),
        (Fault::ForgetsHeldKeys, "keys are down while a click holds them"),
        (Fault::LetsGoAtOnce, "keys are down while a click holds them"),
        (Fault::PressesOnHover, "hovering only moves"),
        (Fault::ReleasesEarly, "a drag presses at one point"),
        (Fault::TurnsTheWheelBackwards, "the wheel turns"),
        (Fault::DropsAccents, "text arrives exactly"),
        (Fault::ReleasesInOrder, "chords press in order"),
        (Fault::TypesBehindTheOld, "a field that is filled"),
        (Fault::ClampsPositions, "a position outside the screenshot"),
        (Fault::AcceptsNothing, "an action without content"),
        (Fault::OpensSmallTabs, "tabs are like the first one"),
    ] {
        let broken = broken_rule(fault).unwrap_or_default();
        assert!(broken.starts_with(rule), "{fault:?} broke `{broken}`");
    }
}
