//! `vigorl record`: a person does it once, and a task file is written.
//!
//! Invariant: nothing is clicked or typed but by the person; what was recorded is written however the recording ends.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::Cancel;
use vigorl_files::write_whole;
use vigorl_interface::{Act, Action, Driver as _, DriverError, wait_until};
use vigorl_tasks::scripted::{
    Clause, PersonDeed, Plan, Recording, RewardRule, ScriptedTask, Start, Values, World, listener,
};
use vigorl_webdriver::{Options, WebDriver};

use crate::args::RecordArgs;
use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::{Ending, usage};
use crate::parts::Part;
use crate::settings::{Settings, Window};
use crate::{env, interrupt, terminal};

/// Pause between two looks at what the person did.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// Longest wait of a `wait_for` in what is recorded.
const PATIENCE: Duration = Duration::from_secs(10);

/// Records until the person closes the browser or presses Ctrl-C.
pub(crate) fn record(args: &RecordArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    check(&args.file)?;
    let cancel = interrupt::install()?;
    let (start, recorded) = match (settings.driver, &args.url) {
        (World::Web, Some(url)) => {
            let (recorded, status) = in_browser(url, settings, &cancel)?;
            let start = Start {
                driver: World::Web,
                url: Some(url.clone()),
                // The person saw the page, and went on.
                status,
                viewport: Some(settings.viewport),
                basic_auth: settings.login_of(&Start::default()),
                ..Start::default().visited_by(&settings.visitor_of(&Start::default())?)
            };
            (start, recorded)
        }
        (World::Web, None) => {
            return Err(usage("where? name a page with --url, or --driver desktop".to_owned()));
        }
        (World::Desktop, Some(_)) => {
            return Err(usage("--url names a page, and --driver desktop has none: leave one out".to_owned()));
        }
        (World::Desktop, None) => {
            Part::Desktop.needed()?;
            let start =
                Start { driver: World::Desktop, area: Some(settings.area.clone()), ..Start::default() };
            (start, desktop::record(&args.file, settings, &cancel)?)
        }
    };
    let Recorded { recording, expect, failure } = recorded;
    // They stand at the head of the file.
    let remarks: String = recording.remarks().iter().map(|remark| format!("# {remark}\n")).collect();
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
        draw: BTreeMap::new(),
        tags: Vec::new(),
        animated: None,
        max_steps: None,
        rows: None,
        start,
        before: Vec::new(),
        plan: Plan::Steps(steps),
        after: Vec::new(),
        expect,
        reward: RewardRule::All,
        patience: PATIENCE,
        values: Values::default(),
    };
    let shown = args.file.display();
    let written = format!("{remarks}{}", task.to_yaml()?);
    write_whole(&args.file, written.as_bytes()).with_context(|| format!("cannot write `{shown}`"))?;
    failure?;
    if task.expect.is_empty() {
        terminal::note(
            "the world had neither title nor address at the end: write into `expect` what must hold then",
        );
    }
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "task": args.file, "n_steps": n_steps })),
        Form::Text => format!("{n_steps} steps in {shown}\ntry it: vigorl run {shown} --places"),
    });
    Ok(Ending::Done)
}

/// What came of it.
pub(crate) struct Recorded {
    pub(crate) recording: Recording,
    pub(crate) expect: Vec<Clause>,
    /// The world failed; what was recorded before is kept.
    pub(crate) failure: Result<(), DriverError>,
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

pub(crate) fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Notes what was recorded, for the person to see.
pub(crate) fn add(recording: &mut Recording, deed: PersonDeed) {
    match &deed {
        // What is typed is told by the keys, one by one.
        PersonDeed::Act(Act::Type { .. }) | PersonDeed::Secret { .. } => {}
        PersonDeed::Remark { remark } => terminal::note(remark),
        PersonDeed::Act(act) => terminal::note(&act.to_string()),
    }
    recording.add(deed);
}

/// What came of it, and the HTTP status with which the first page answered, if that is one of an error.
fn in_browser(url: &str, settings: &Settings, cancel: &Cancel) -> anyhow::Result<(Recorded, Option<u16>)> {
    if env::display().is_none() && !env::is_wayland() {
        anyhow::bail!("a person needs a display to see the browser, and there is none: set DISPLAY");
    }
    let mut settings = settings.clone();
    settings.window = Window::Headed;
    let of_person = browser::options_for(&settings, &Start::default())?;
    let mut driver =
        browser::start_with(&settings, settings.viewport, Options { console: true, ..of_person })?;
    // Pages must not be able to speak in its place.
    let prefix = format!("vigorl-{:016x} ", token());
    let script = listener(&prefix);
    driver.listen(&script)?;
    let mut start = Start { basic_auth: settings.login_of(&Start::default()), ..Start::default() };
    start.fill_login(&BTreeMap::new(), &env::secret).map_err(|error| {
        usage(format!("{}: {error} (`record` has no --secrets)", settings.origin_of("basic_auth")))
    })?;
    if let Some(login) = start.login().map_err(usage)? {
        driver.log_in(url, &login).with_context(|| format!("cannot open `{url}`"))?;
    }
    driver.act(&Action::Navigate { url: url.to_owned() }).with_context(|| format!("cannot open `{url}`"))?;
    let status = driver.page_state()?.error_status();
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
        (url, _) => url.filter(|url| !url.is_empty()).map(Clause::UrlContains).into_iter().collect(),
    };
    Ok((Recorded { recording, expect, failure }, status))
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
    let listening = wait_until(None, || -> Result<_, DriverError> {
        if cancel.is_set() {
            return Ok(ControlFlow::Break(()));
        }
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
        Ok(ControlFlow::Continue(TICK))
    });
    listening.map(drop)
}
