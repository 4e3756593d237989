//! What a person does on the desktop, as the deeds of a task, with pictures of what was clicked.
//!
//! Invariant: a picture shows the screen as it was before the button went down; what lies outside of the area is left
//! out, and that is said.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use image::RgbImage;
use image::imageops::crop_imm;
use vigorl_agent::Cancel;
use vigorl_desktop::{DesktopDriver, Person, PersonInput};
use vigorl_geometry::{Desktop, Point, Screen};
use vigorl_interface::{Act, Driver as _, MouseButton, Screenshot, wait_until};
use vigorl_tasks::scripted::{Clause, PersonDeed, Recording, Target};

use crate::commands::picture::cut;
use crate::commands::record::{Recorded, TICK, add, stem};
use crate::reading::{self, LoadedReader};
use crate::settings::Settings;
use crate::terminal;

/// Two clicks within this time and distance are one double click.
const DOUBLE: (Duration, f64) = (Duration::from_millis(400), 5.0);
/// A button that comes up farther away than this has dragged.
const DRAG_PX: f64 = 8.0;

/// Records until the person presses Ctrl-C, or the desktop is gone.
pub(crate) fn record(file: &Path, settings: &Settings, cancel: &Cancel) -> anyhow::Result<Recorded> {
    let mut driver = super::connect(&settings.area, settings.allowed_windows.as_ref())?;
    let mut person = Person::watch()?;
    let mut watched =
        Watched { pictures: Pictures::beside(file), shown: driver.screenshot()?, down: None, clicked: None };
    terminal::note(
        "recording what you do on the desktop, and all that you type, passwords too; press Ctrl-C here when it is done",
    );
    let mut recording = Recording::default();
    let mut title = None;
    let failure = wait_until(None, || -> anyhow::Result<_> {
        if cancel.is_set() {
            return Ok(ControlFlow::Break(Ok(())));
        }
        let seen = person.did().and_then(|inputs| Ok((inputs, driver.page_state()?.title)));
        let (inputs, active) = match seen {
            Ok(seen) => seen,
            Err(error) => return Ok(ControlFlow::Break(Err(error))),
        };
        for input in inputs {
            if let Some(deed) = watched.deed(&driver, input)? {
                add(&mut recording, deed);
            }
        }
        // While a button is down, the picture from before it is what counts.
        if watched.down.is_none() {
            match driver.screenshot() {
                Ok(shown) => watched.shown = shown,
                Err(error) => return Ok(ControlFlow::Break(Err(error))),
            }
        }
        title = active.or(title.take());
        Ok(ControlFlow::Continue(TICK))
    })?;
    watched.pictures.name(&mut recording);
    let expect = title.filter(|title| !title.is_empty()).map(Clause::TitleContains);
    Ok(Recorded { recording, expect: expect.into_iter().collect(), failure: failure.unwrap_or(Ok(())) })
}

/// Turns inputs into deeds with pictures.
struct Watched {
    pictures: Pictures,
    /// What the screen showed just before.
    shown: Screenshot,
    /// A button that is down, and where.
    down: Option<(MouseButton, Point<Screen>, Target)>,
    /// The last click: when, where, on what.
    clicked: Option<(Instant, Point<Screen>, Target)>,
}

impl Watched {
    fn deed(&mut self, driver: &DesktopDriver, input: PersonInput) -> anyhow::Result<Option<PersonDeed>> {
        Ok(match input {
            PersonInput::Down { at, button } => {
                self.down = self.target(driver, at)?.map(|(at, target)| (button, at, target));
                None
            }
            PersonInput::Up { at, .. } => match (self.down.take(), driver.on_screenshot(at)) {
                (Some((button, from, target)), Some(to)) => self.released(button, from, target, to)?,
                _ => None,
            },
            PersonInput::Wheel { at, down } => self.target(driver, at)?.map(|(_, target)| {
                let dy_px = f64::from(down) * driver.wheel_step_px();
                PersonDeed::Act(Act::Scroll { at: target, dx_px: 0.0, dy_px })
            }),
            PersonInput::Text(character) => Some(PersonDeed::Act(Act::Type { text: character.to_string() })),
            PersonInput::Keys(chord) => Some(PersonDeed::Act(Act::Press { chord })),
        })
    }

    fn released(
        &mut self,
        button: MouseButton,
        from: Point<Screen>,
        target: Target,
        to: Point<Screen>,
    ) -> anyhow::Result<Option<PersonDeed>> {
        let distance = |a: Point<Screen>, b: Point<Screen>| (a.x - b.x).hypot(a.y - b.y);
        if button == MouseButton::Left && distance(from, to) > DRAG_PX {
            self.clicked = None;
            let to = self.pictures.target(&self.shown, to)?;
            return Ok(Some(PersonDeed::Act(Act::Drag { from: target, to })));
        }
        if button == MouseButton::Middle {
            return Ok(None);
        }
        let again = self.clicked.take().filter(|(when, at, _)| {
            button == MouseButton::Left && when.elapsed() < DOUBLE.0 && distance(*at, from) <= DOUBLE.1
        });
        let (at, count) = match again {
            // What was clicked may look different after the first click.
            Some((_, _, target)) => (target, 2),
            None => {
                self.clicked = Some((Instant::now(), from, target.clone()));
                (target, 1)
            }
        };
        Ok(Some(PersonDeed::Act(Act::Click { at, button, count })))
    }

    /// What is at a pixel of the desktop; nothing outside of the area.
    fn target(
        &mut self,
        driver: &DesktopDriver,
        at: Point<Desktop>,
    ) -> anyhow::Result<Option<(Point<Screen>, Target)>> {
        let Some(at) = driver.on_screenshot(at) else {
            terminal::note("left out: a click outside of the area");
            return Ok(None);
        };
        Ok(Some((at, self.pictures.target(&self.shown, at)?)))
    }
}

/// The folder of the pictures that a task on the desktop needs.
struct Pictures {
    folder: PathBuf,
    /// As the task file names it.
    named: PathBuf,
    n: usize,
    around: Vec<Around>,
}

/// What was around a place, so that its name can be read when there is time for it.
struct Around {
    /// The place's description until then.
    what: String,
    part: RgbImage,
    /// The place in it.
    at: [f64; 2],
}

/// How far around a place its name may stand, in pixels.
const AROUND_PX: [f64; 2] = [320.0, 80.0];

impl Pictures {
    fn beside(file: &Path) -> Self {
        let named = PathBuf::from(format!("{}.pictures", stem(file)));
        Self { folder: file.with_file_name(&named), named, n: 0, around: Vec::new() }
    }

    fn target(&mut self, shown: &Screenshot, at: Point<Screen>) -> anyhow::Result<Target> {
        self.n += 1;
        let name = format!("{:03}.png", self.n);
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make `{folder}`"))?;
        let path = self.folder.join(&name);
        let part = cut(&shown.pixels, [at.x, at.y]);
        part.save(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
        let what = format!("what {name} shows");
        let (left, top) = ((at.x - AROUND_PX[0]).max(0.0).floor(), (at.y - AROUND_PX[1]).max(0.0).floor());
        let [across, down] = AROUND_PX.map(|side| 2 * side as u32);
        let part = crop_imm(&*shown.pixels, left as u32, top as u32, across, down).to_image();
        self.around.push(Around { what: what.clone(), part, at: [at.x - left, at.y - top] });
        Ok(Target::pictured(what, self.named.join(name), [at.x, at.y]))
    }

    /// Describes what was aimed at by the name that is read there. That takes too long while a person acts: the next
    /// picture would be late.
    fn name(&self, recording: &mut Recording) {
        let Some(reader) = reading::is_there().then(LoadedReader::load).and_then(Result::ok) else { return };
        for target in recording.targets_mut() {
            let around = self.around.iter().find(|around| around.what == target.description);
            if let Some(name) = around.and_then(|around| reader.name_at(&around.part, around.at)) {
                // What is read must not read as a variable.
                target.description = format!("\"{}\"", name.replace("${", "$${"));
            }
        }
    }
}
