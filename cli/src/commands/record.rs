//! `vigorl record`: a person does it once, and a task file is written.
//!
//! Invariant: nothing is clicked or typed but by the person; what was recorded is written however the recording ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_desktop::{DesktopDriver, Person, PersonInput};
use vigorl_geometry::{Desktop, Point, Screen};
use vigorl_interface::{Action, Driver as _, DriverError, MouseButton, Screenshot};
use vigorl_tasks::scripted::{
    Clause, PersonButton, PersonDeed, Plan, Recording, RewardRule, ScriptedTask, Start, Target, World,
    listener,
};
use vigorl_webdriver::WebDriver;

use crate::args::RecordArgs;
use crate::commands::picture::cut;
use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::{Ending, usage};
use crate::settings::{Settings, Window};
use crate::{env, interrupt, terminal};

/// Pause between two looks at what the person did.
const TICK: Duration = Duration::from_millis(50);
/// Longest wait of a `wait_for` in what is recorded.
const PATIENCE: Duration = Duration::from_secs(10);
/// Two clicks within this time and distance are one double click.
const DOUBLE: (Duration, f64) = (Duration::from_millis(400), 5.0);
/// A button that comes up farther away than this has dragged.
const DRAG_PX: f64 = 8.0;

/// Records until the person closes the browser or presses Ctrl-C.
pub(crate) fn record(args: &RecordArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    check(&args.file)?;
    let cancel = interrupt::install()?;
    let (start, recorded) = match (settings.driver, &args.url) {
        (World::Web, Some(url)) => {
            let start = Start {
                driver: World::Web,
                url: Some(url.clone()),
                viewport: Some(settings.viewport),
                ..Start::default()
            };
            (start, in_browser(url, settings, &cancel)?)
        }
        (World::Web, None) => {
            return Err(usage("where? name a page with --url, or --driver desktop".to_owned()));
        }
        (World::Desktop, Some(_)) => {
            return Err(usage("--url names a page, and --driver desktop has none: leave one out".to_owned()));
        }
        (World::Desktop, None) => {
            let start =
                Start { driver: World::Desktop, area: Some(settings.area.clone()), ..Start::default() };
            (start, on_desktop(&args.file, settings, &cancel)?)
        }
    };
    let Recorded { recording, expect, failure } = recorded;
    let steps = recording.into_steps();
    if steps.is_empty() {
        failure?;
        return Err(anyhow::anyhow!("nothing was recorded"));
    }
    let n_steps = steps.len();
    let name = args.name.clone().unwrap_or_else(|| stem(&args.file));
    let task = ScriptedTask {
        name,
        vars: BTreeMap::new(),
        start,
        plan: Plan::Steps(steps),
        expect,
        reward: RewardRule::All,
        patience: PATIENCE,
    };
    let shown = args.file.display();
    std::fs::write(&args.file, task.to_yaml()?).with_context(|| format!("cannot write `{shown}`"))?;
    failure?;
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "task": args.file, "n_steps": n_steps })),
        Form::Text => format!("{n_steps} steps in {shown}\ntry it: vigorl run {shown} --places"),
    });
    Ok(Ending::Done)
}

/// What came of it.
struct Recorded {
    recording: Recording,
    expect: Vec<Clause>,
    /// The world failed; what was recorded before is kept.
    failure: Result<(), DriverError>,
}

/// Nothing is overwritten, and nobody records for a file that cannot be written.
fn check(file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    if file.exists() {
        return Err(usage(format!("`{shown}` is there already: name another file")));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(usage(format!("there is no folder `{}`: make it first", folder.display())));
    }
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Notes what was recorded, for the person to see.
fn add(recording: &mut Recording, deed: PersonDeed) {
    let words = match &deed {
        PersonDeed::Click { target, count: 2, .. } => format!("double click {target}"),
        PersonDeed::Click { target, button: PersonButton::Right, .. } => format!("right click {target}"),
        PersonDeed::Click { target, .. } => format!("click {target}"),
        PersonDeed::Drag { from, to } => format!("drag {from} to {to}"),
        PersonDeed::Scroll { target, by } => format!("scroll {target} by {by}"),
        PersonDeed::Select { target, option } => format!("select `{option}` in {target}"),
        PersonDeed::Upload { target, .. } => format!("upload to {target}"),
        PersonDeed::Press { chord } => format!("press {chord}"),
        PersonDeed::Text { .. } | PersonDeed::Secret => String::new(),
    };
    if !words.is_empty() {
        terminal::note(&words);
    }
    recording.add(deed);
}

fn in_browser(url: &str, settings: &Settings, cancel: &Cancel) -> anyhow::Result<Recorded> {
    if env::display().is_none() && !env::is_wayland() {
        anyhow::bail!("a person needs a display to see the browser, and there is none: set DISPLAY");
    }
    let mut settings = settings.clone();
    settings.window = Window::Headed;
    let mut driver = browser::start_with_console(&settings, settings.viewport)?;
    // Pages must not be able to speak in its place.
    let prefix = format!("vigorl-{:016x} ", token());
    let script = listener(&prefix);
    driver.listen(&script)?;
    driver.act(&Action::Navigate { url: url.to_owned() }).with_context(|| format!("cannot open `{url}`"))?;
    terminal::note("recording what you do in the browser; close it, or press Ctrl-C here, when it is done");
    let mut recording = Recording::default();
    let mut last = (Some(url.to_owned()), None);
    let failure = listen(&mut driver, &script, &prefix, cancel, &mut recording, &mut last);
    let failure = match failure {
        // The person closed it.
        Err(DriverError::Gone { .. }) => Ok(()),
        other => other,
    };
    let (url, title) = last;
    let expect = match (url, title) {
        (_, Some(title)) if !title.is_empty() => vec![Clause::TitleContains(title)],
        (url, _) => vec![Clause::UrlContains(url.unwrap_or_default())],
    };
    Ok(Recorded { recording, expect, failure })
}

/// A number that a page cannot know.
fn token() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn listen(
    driver: &mut WebDriver,
    script: &str,
    prefix: &str,
    cancel: &Cancel,
    recording: &mut Recording,
    last: &mut (Option<String>, Option<String>),
) -> Result<(), DriverError> {
    let mut tabs = driver.tabs()?;
    while !cancel.is_set() {
        for line in driver.heard(prefix)? {
            match serde_json::from_str(&line) {
                Ok(deed) => add(recording, deed),
                Err(error) => terminal::note(&format!("not understood: {line} ({error})")),
            }
        }
        if driver.follow(&mut tabs)? {
            driver.listen(script)?;
        }
        let page = driver.page_state()?;
        if page.dialog.is_none() {
            *last = (page.url, page.title);
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

fn on_desktop(file: &Path, settings: &Settings, cancel: &Cancel) -> anyhow::Result<Recorded> {
    let mut driver = desktop::start(&settings.area, settings.allowed_windows.as_ref())?;
    let mut person = Person::watch()?;
    let mut watched =
        Watched { pictures: Pictures::beside(file), shown: driver.screenshot()?, down: None, clicked: None };
    terminal::note(
        "recording what you do on the desktop, and all that you type, passwords too; press Ctrl-C here when it is done",
    );
    let mut recording = Recording::default();
    let mut title = None;
    let mut failure = Ok(());
    while !cancel.is_set() {
        let step = person.did().and_then(|inputs| Ok((inputs, driver.page_state()?.title)));
        let (inputs, active) = match step {
            Ok(step) => step,
            Err(error) => {
                failure = Err(error);
                break;
            }
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
                Err(error) => {
                    failure = Err(error);
                    break;
                }
            }
        }
        title = active.or(title);
        std::thread::sleep(TICK);
    }
    let expect = vec![Clause::TitleContains(title.unwrap_or_default())];
    Ok(Recorded { recording, expect, failure })
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
                PersonDeed::Scroll { target, by: f64::from(down) * driver.wheel_step_px() }
            }),
            PersonInput::Text(character) => Some(PersonDeed::Text { text: character.to_string() }),
            PersonInput::Keys(keys) => {
                Some(PersonDeed::Press { chord: vigorl_interface::print_chord(&keys) })
            }
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
            return Ok(Some(PersonDeed::Drag { from: target, to }));
        }
        let button = match button {
            MouseButton::Left => PersonButton::Left,
            MouseButton::Right => PersonButton::Right,
            MouseButton::Middle => return Ok(None),
        };
        let again = self.clicked.take().filter(|(when, at, _)| {
            button == PersonButton::Left && when.elapsed() < DOUBLE.0 && distance(*at, from) <= DOUBLE.1
        });
        Ok(Some(match again {
            // What was clicked may look different after the first click.
            Some((_, _, target)) => PersonDeed::Click { target, button, count: 2 },
            None => {
                self.clicked = Some((Instant::now(), from, target.clone()));
                PersonDeed::Click { target, button, count: 1 }
            }
        }))
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
}

impl Pictures {
    fn beside(file: &Path) -> Self {
        let named = PathBuf::from(format!("{}.pictures", stem(file)));
        Self { folder: file.with_file_name(&named), named, n: 0 }
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
        Ok(Target::pictured(what, self.named.join(name), [at.x, at.y]))
    }
}
