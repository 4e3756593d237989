//! `vigorl data app`: screenshots of somebody's own app with names and boxes of what stands there, labelled by nobody.
//!
//! Invariants: what a step of a task asks for is no pair, by its words, its name or its place; a pair's instruction names one
//! thing on its picture; pages of held-out episodes are held out; a command that fails leaves nothing behind.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::NamesTexts;
use vigorl_files::write_whole;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_interface::{Act, Action, Driver, MouseButton, Screenshot};
use vigorl_rollouts::Images;
use vigorl_runs::ReadTexts;
use vigorl_tasks::environment::behind_dialog;
use vigorl_tasks::scripted::{
    Place, Plan, Script, ScriptedTask, ScriptedWorld, Step, Surroundings, Target, Thing, What, things,
};
use vigorl_tasks::sources::{Part, Source, Stage};
use vigorl_tasks::{Allowance, Environment, Failure, Senses, dismiss_dialogs};

use crate::args::DataAppArgs;
use crate::commands::run::folder_of;
use crate::commands::{Form, browser, pretty, sources};
use crate::exit::{Ending, usage};
use crate::reading::{self, LoadedReader};
use crate::settings::Settings;
use crate::{env, interrupt, terminal};

/// The list of pairs: an environment of its own (`vigorl env list`).
pub(crate) const LIST: &str = "pairs.jsonl";
/// Lines that are read less surely are no pairs.
const MIN_CONFIDENCE: f32 = 0.9;
/// Longer lines are sentences.
const MAX_CHARACTERS: usize = 40;
/// Share of what is on view by which a page is scrolled.
const SCROLLED: f64 = 0.8;
/// The golden section: its multiples, without what stands before the point, fall evenly into every part of 0 to 1.
const SECTION: f64 = 0.618_033_988_749_895;

/// `vigorl data app`: writes the pairs of all that was named.
pub(crate) fn app(args: &DataAppArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let wanted = Wanted {
        names: &args.names,
        episodes: args.episodes,
        scrolls: args.scrolls,
        clicks: args.clicks,
        texts: true,
    };
    let written = write(&args.folder, &wanted, settings, &|| cancel.is_set())?;
    let Written { list, n_pairs, n_pictures, by } = &written;
    terminal::data(&match form {
        Form::Json => {
            pretty(&json!({ "list": list, "n_pairs": n_pairs, "n_pictures": n_pictures, "by": by }))
        }
        Form::Text => {
            let by: Vec<String> = by.iter().map(|(by, n)| format!("{n} by {by}")).collect();
            format!("{n_pairs} pairs on {n_pictures} pictures in {}: {}", list.display(), by.join(", "))
        }
    });
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

/// What is shown.
pub(crate) struct Wanted<'a> {
    /// Tasks and environments.
    pub(crate) names: &'a [String],
    /// Episodes of each part of each, if there are so many.
    pub(crate) episodes: u64,
    /// How often each page is scrolled down.
    pub(crate) scrolls: u64,
    /// Clicks behind each first page, on what has a name there, whose pages are shown as well.
    pub(crate) clicks: u64,
    /// Whether what is read is a pair of its own, too.
    pub(crate) texts: bool,
}

/// What came of it.
pub(crate) struct Written {
    pub(crate) list: PathBuf,
    pub(crate) n_pairs: usize,
    pub(crate) n_pictures: usize,
    /// How many pairs who named.
    pub(crate) by: BTreeMap<&'static str, usize>,
}

/// Writes pairs into a new folder; what was found until somebody asked to stop.
pub(crate) fn write(
    folder: &Path,
    wanted: &Wanted<'_>,
    settings: &Settings,
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<Written> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("`{}` is not empty: name a new folder", folder.display())));
    }
    let apps: Vec<App> =
        wanted.names.iter().map(|name| App::open(name, settings)).collect::<anyhow::Result<_>>()?;
    let reader = reading::is_there().then(LoadedReader::load).transpose()?;
    let unfinished = Unfinished::create(folder)?;
    let n_pages = apps.iter().flat_map(|app| Part::ALL.map(|part| app.n_pages(part, wanted.episodes))).sum();
    let bar = terminal::bar(n_pages, "pages");
    let of_app = |app: &App| -> anyhow::Result<(Vec<PairLine>, Vec<String>)> {
        let reader = reader.as_ref().map(LoadedReader::beside);
        let mut senses = sources::senses(settings)?;
        let mut pairs = Pairs {
            images: Images::under(folder),
            texts: reader.as_ref().map(LoadedReader::named_texts),
            reader: reader.as_ref().filter(|_| wanted.texts).map(LoadedReader::for_record),
            lines: Vec::new(),
            shown: BTreeMap::new(),
            n_clicks: 0,
        };
        let mut show = |page: &mut dyn Environment, part: Part, asked: &[Target]| {
            bar.inc(1);
            bar.set_message(format!("{} pairs of {}", pairs.lines.len(), app.name));
            pairs.of_episode(page, part, wanted, settings, asked, &mut *senses)
        };
        app.each_page(wanted.episodes, settings, is_cancelled, &mut show)
            .map_err(anyhow::Error::from_boxed)
            .with_context(|| format!("`{}`", app.name))?;
        Ok((pairs.lines, pairs.shown.into_keys().collect()))
    };
    let found = side_by_side(&apps, of_app)?;
    bar.finish_and_clear();
    let list = folder.join(LIST);
    let (mut text, mut n_pairs, mut by) = (String::new(), 0, BTreeMap::new());
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for (lines, pictures) in found {
        // What another app has shown already has its lines.
        for line in lines.iter().filter(|line| !shown.contains(&line.image)) {
            text += &format!("{}\n", line.line);
            n_pairs += 1;
            *by.entry(line.by).or_default() += 1;
        }
        shown.extend(pictures);
    }
    let n_pictures = shown.len();
    if n_pairs == 0 && !is_cancelled() {
        anyhow::bail!(
            "nothing on {n_pictures} pictures has a name that stands there once and that no step asks for: \
             `{}` is not written",
            list.display()
        );
    }
    write_whole(&list, text.as_bytes()).with_context(|| format!("cannot write `{}`", list.display()))?;
    unfinished.keep();
    Ok(Written { list, n_pairs, n_pictures, by })
}

/// What `of` says of each app, in their order; several are asked at once, each in a browser of its own.
fn side_by_side<R: Send>(
    apps: &[App],
    of: impl Fn(&App) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let (next, n_threads) = (AtomicUsize::new(0), available_parallelism().map_or(1, usize::from));
    let found: Mutex<BTreeMap<usize, anyhow::Result<R>>> = Mutex::default();
    let is_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..n_threads.min(apps.len()) {
            scope.spawn(|| {
                while let Some((number, app)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    apps.get(number).filter(|_| !is_failed.load(Ordering::Relaxed)).map(|app| (number, app))
                } {
                    let said = of(app);
                    is_failed.fetch_or(said.is_err(), Ordering::Relaxed);
                    found.lock().unwrap_or_else(PoisonError::into_inner).insert(number, said);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Something that begins on a page.
struct App {
    name: String,
    begins: Begins,
}

/// Who opens the page.
enum Begins {
    /// A task with steps, which ask for things on it.
    Task(Box<ScriptedTask>),
    /// An environment.
    Environment(Box<dyn Source>),
}

/// Takes a page that is shown, which part it belongs to, and what is asked for on it.
type OnPage<'p> = dyn FnMut(&mut dyn Environment, Part, &[Target]) -> Result<(), Failure> + 'p;

impl App {
    /// Reads it and looks whether it can be filled in, before anything is written.
    fn open(name: &str, settings: &Settings) -> anyhow::Result<Self> {
        let is_task = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        let task = is_task.then(|| sources::read_task(name)).transpose()?;
        let begins = match task {
            Some(task) if matches!(task.plan, Plan::Steps(_)) => {
                for part in Part::ALL.into_iter().filter(|part| task.n_drawn(*part) > 0) {
                    filled(&task, part, 0).map_err(|error| usage(format!("`{name}`: {error:#}")))?;
                }
                Begins::Task(Box::new(task))
            }
            _ => Begins::Environment(sources::open(name, settings)?),
        };
        Ok(Self { name: name.to_owned(), begins })
    }

    /// How many pages of a part are shown, of `most` at most.
    fn n_pages(&self, part: Part, most: u64) -> u64 {
        match &self.begins {
            Begins::Task(task) => task.n_drawn(part).min(most),
            Begins::Environment(source) => source.n_episodes(part).map_or(most, |n| n.min(most)),
        }
    }

    fn each_page(
        &self,
        most: u64,
        settings: &Settings,
        is_cancelled: &dyn Fn() -> bool,
        on_page: &mut OnPage<'_>,
    ) -> Result<(), Failure> {
        let numbers =
            || Part::ALL.into_iter().flat_map(|part| (0..self.n_pages(part, most)).map(move |n| (part, n)));
        match &self.begins {
            Begins::Task(task) => {
                let folder = folder_of(&self.name);
                let mut world: Option<ScriptedWorld<'_>> = None;
                for (part, number) in numbers() {
                    if is_cancelled() {
                        return Ok(());
                    }
                    let number = task.nth_drawn(part, number);
                    let shown = filled(task, part, number)?;
                    show(&mut world, shown, &folder, settings, number, is_cancelled)?;
                    if let Some(world) = &mut world {
                        on_page(world, part, &asked_for(task, part, number, &folder))?;
                    }
                }
            }
            Begins::Environment(source) => {
                let viewport = source.viewport();
                let mut driver = viewport.map(|viewport| browser::start(settings, viewport)).transpose()?;
                let stage = Stage {
                    driver: driver.as_mut().map(|driver| driver as &mut dyn Driver),
                    device_pixel_ratio: settings.device_pixel_ratio,
                    is_cancelled,
                };
                let mut world = source.world(stage)?;
                for (part, number) in numbers() {
                    if is_cancelled() {
                        return Ok(());
                    }
                    world.reset(source.seed(part, number))?;
                    on_page(&mut *world, part, &[])?;
                }
            }
        }
        Ok(())
    }
}

/// A folder that is taken away again, with what was made in it and for it, unless it is kept.
struct Unfinished<'f> {
    folder: &'f Path,
    /// Folders that were not there, the innermost first.
    made: Vec<PathBuf>,
    is_kept: bool,
}

impl<'f> Unfinished<'f> {
    fn create(folder: &'f Path) -> anyhow::Result<Self> {
        let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = folder.ancestors().take_while(is_new).map(Path::to_owned).collect();
        let unfinished = Self { folder, made, is_kept: false };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        Ok(unfinished)
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // It was empty before, so that all in it is of this command. What cannot be removed stays.
        for entry in self.folder.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.ok();
        }
        for folder in &self.made {
            std::fs::remove_dir(folder).ok();
        }
    }
}

/// What the steps of an episode ask for, filled in as far as that is known before they are done.
fn asked_for(task: &ScriptedTask, part: Part, number: u64, folder: &Path) -> Vec<Target> {
    let drawn = task.drawn(part, number);
    let surroundings = Surroundings::in_folder(folder);
    let filled = |target: &Target| {
        let step = Step::Act(Act::click(target.clone()));
        let (plan, nothing) = (Plan::Steps(vec![step]), Vec::new);
        let mut alone =
            ScriptedTask { plan, before: nothing(), after: nothing(), expect: Vec::new(), ..drawn.clone() };
        alone.fill(&BTreeMap::new(), &|name| env::secret(name)).ok()?;
        match Script::new(&alone, &surroundings).next(None).ok()??.what {
            What::Act(Act::Click { at, .. }) => Some(at),
            _ => None,
        }
    };
    let targets = task.all_steps().flat_map(Step::targets);
    targets.map(|target| filled(target).unwrap_or_else(|| target.within(folder))).collect()
}

/// Whether a step means what is called so on its page, by its own words or by the name that it gives: rather once too often.
fn is_asked_for(name: &str, targets: &[Target]) -> bool {
    targets.iter().any(|target| {
        let is_named = match &target.place {
            Some(Place::Element(element)) => {
                element.may_be_named(name, |name, wanted| has_words(name, wanted) || has_words(wanted, name))
            }
            Some(Place::Text(place)) => {
                let is_text = |text: &String| has_words(name, text) || has_words(text, name);
                place.text.as_ref().is_some_and(is_text)
            }
            Some(Place::Picture { .. } | Place::At(_)) | None => false,
        };
        is_named || has_words(&target.description, name) || has_words(name, &essence(&target.description))
    })
}

/// Whether a text says all words of another one, in a row.
fn has_words(text: &str, words: &str) -> bool {
    let [text, words] = [text, words].map(folded);
    !words.is_empty() && format!(" {text} ").contains(&format!(" {words} "))
}

/// A description without the words that say what kind of thing it is.
fn essence(description: &str) -> String {
    const KINDS: [&str; 20] = [
        "the", "a", "an", "button", "link", "field", "dropdown", "menu", "item", "checkbox", "box", "tab",
        "radio", "option", "icon", "list", "entry", "row", "switch", "slider",
    ];
    let folded = folded(description);
    folded.split(' ').filter(|word| !KINDS.contains(word)).collect::<Vec<_>>().join(" ")
}

/// Whether a step acts there: in the middle of one lies the middle of the other, and neither is only a small part of it.
fn is_place_of(rect: Rect<Screen>, asked: &[Rect<Screen>]) -> bool {
    /// Smaller shares are things of their own, in a page or a list that is scrolled.
    const SHARE: f64 = 0.1;
    asked.iter().any(|place| {
        let is_part = rect.size().area() >= SHARE * place.size().area();
        rect.touches(place.center()) || (is_part && place.touches(rect.center()))
    })
}

/// The task of an episode, without its steps.
fn filled(task: &ScriptedTask, part: Part, number: u64) -> anyhow::Result<ScriptedTask> {
    // Nothing is done in it, so that nothing else need be known of it than where it starts.
    let goal = Plan::Goal(String::new());
    let mut task = ScriptedTask { plan: goal, expect: Vec::new(), ..task.drawn(part, number) };
    task.fill(&BTreeMap::new(), &|name| env::secret(name))?;
    Ok(task)
}

/// Shows where a task starts.
fn show<'w>(
    world: &mut Option<ScriptedWorld<'w>>,
    task: ScriptedTask,
    folder: &Path,
    settings: &Settings,
    seed: u64,
    is_cancelled: &'w dyn Fn() -> bool,
) -> Result<(), Failure> {
    let url = task.start.address(folder);
    world.take_if(|world| !world.can_become(&task));
    let world = match world {
        Some(world) => {
            world.change(Cow::Owned(task), url);
            world
        }
        none => {
            let (open, first) = (sources::opener(settings), task.clone());
            let open = Box::new(move || open(&first));
            none.insert(ScriptedWorld::start(
                Cow::Owned(task),
                Surroundings::in_folder(folder),
                url,
                settings.settle_cap,
                is_cancelled,
                open,
            )?)
        }
    };
    world.reset(seed).map(drop)
}

/// What was found so far.
struct Pairs {
    images: Images,
    reader: Option<Box<dyn ReadTexts>>,
    /// The same reader, for what it tells of an instruction.
    texts: Option<Box<dyn NamesTexts>>,
    lines: Vec<PairLine>,
    /// What may be clicked on pictures, by their names: the same one is not labelled twice.
    shown: BTreeMap<String, Vec<Rect<Screen>>>,
    /// Clicks so far.
    n_clicks: u64,
}

/// A line of the list.
struct PairLine {
    /// The picture, by its name.
    image: String,
    /// Who named the thing.
    by: &'static str,
    line: serde_json::Value,
}

impl Pairs {
    /// The page that an episode begins with, and those behind clicks on what stands there. A click that ends the episode, or
    /// leaves the app, is the last. What the clicks changed is undone by the next reset.
    fn of_episode(
        &mut self,
        world: &mut dyn Environment,
        part: Part,
        wanted: &Wanted<'_>,
        settings: &Settings,
        asked: &[Target],
        senses: &mut dyn Senses,
    ) -> Result<(), Failure> {
        senses.begin();
        let mut places = self.of_page(world, part, wanted.scrolls, settings, asked, senses)?;
        let began_on = world.observe()?.page.url;
        for _ in 0..wanted.clicks {
            let section = (self.n_clicks as f64 * SECTION).fract();
            let Some(place) = places.get((section * places.len() as f64) as usize) else { return Ok(()) };
            self.n_clicks += 1;
            let at = place.center();
            world.perform(&Action::Click { at, button: MouseButton::Left, count: 1 })?;
            if let Some(driver) = world.driver() {
                dismiss_dialogs(driver, settings.settle_cap)?;
                behind_dialog(driver.settle(settings.settle_cap))?;
            }
            let is_over = world.judge(None, senses, &Allowance::UNLIMITED)?.is_final;
            if is_over || !is_same_place(began_on.as_deref(), world.observe()?.page.url.as_deref()) {
                return Ok(());
            }
            places = self.of_page(world, part, 0, settings, asked, senses)?;
        }
        Ok(())
    }

    /// The page that is shown, from where it is down; what may be clicked on its last picture.
    fn of_page(
        &mut self,
        world: &mut dyn Environment,
        part: Part,
        n_scrolls: u64,
        settings: &Settings,
        asked: &[Target],
        senses: &mut dyn Senses,
    ) -> Result<Vec<Rect<Screen>>, Failure> {
        let mut clickable = Vec::new();
        for n_scrolled in 0..=n_scrolls {
            if let Some(driver) = world.driver() {
                dismiss_dialogs(driver, settings.settle_cap)?;
            }
            let Some(screenshot) = world.observe()?.screenshot else { return Ok(Vec::new()) };
            let name = self.images.keep(&screenshot.pixels)?;
            // The end of the page, or a page that draws the same every time.
            if let Some(known) = self.shown.get(&name) {
                return Ok(known.clone());
            }
            let Some(driver) = world.driver() else { return Ok(Vec::new()) };
            let named = things(driver, &screenshot)?;
            senses.saw(&screenshot);
            let mut places = Vec::new();
            for place in asked.iter().filter_map(|target| target.place.as_ref()) {
                places.extend(place.locate(world.driver(), senses, &screenshot)?.ok());
            }
            let of_page = called(named).map(|(thing, words)| ("page", thing.name, words, thing.rect));
            let read = self.read(&screenshot)?.into_iter().map(|(text, [left, top, right, bottom])| {
                let instruction = format!("\"{text}\"");
                ("reader", text, instruction, Rect::new(left, top, right, bottom))
            });
            let pairs: Vec<_> = of_page.chain(read).collect();
            clickable.clear();
            for (by, own_name, instruction, rect) in pairs {
                if is_asked_for(&own_name, asked) || is_place_of(rect, &places) {
                    continue;
                }
                if by == "page" {
                    clickable.push(rect);
                }
                let rect = [rect.left, rect.top, rect.right, rect.bottom];
                let mut line = json!({ "image": name, "instruction": instruction, "box": rect.map(f64::round), "split": part, "by": by });
                if let Some(texts) = &mut self.texts {
                    let told = texts.named_texts(&screenshot, &instruction)?;
                    line["told"] = told.iter().map(|told| json!([told.text, told.at.x, told.at.y])).collect();
                }
                self.lines.push(PairLine { image: name.clone(), by, line });
            }
            self.shown.insert(name, clickable.clone());
            if n_scrolled == n_scrolls {
                break;
            }
            let size = screenshot.size();
            let at = Point::new((size.width / 2.0).floor(), (size.height / 2.0).floor());
            world.perform(&Action::Scroll { at, dx_px: 0.0, dy_px: (SCROLLED * size.height).round() })?;
            if let Some(driver) = world.driver() {
                driver.settle(settings.settle_cap)?;
            }
        }
        Ok(clickable)
    }

    /// Short lines that are read for sure, and stand on the picture once.
    fn read(&mut self, screenshot: &Screenshot) -> Result<Vec<(String, [f64; 4])>, Failure> {
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        let lines = reader.lines(&screenshot.pixels)?;
        let all: Vec<String> = lines.iter().map(|line| folded(&line.text)).collect();
        let is_pair = |text: &str| {
            let n_letters = text.chars().filter(|c| c.is_alphanumeric()).count();
            n_letters >= 2
                && text.chars().count() <= MAX_CHARACTERS
                && !text.contains('"')
                && all.iter().filter(|other| other.contains(&folded(text))).count() == 1
        };
        let sure = lines.iter().filter(|line| line.confidence >= MIN_CONFIDENCE && is_pair(&line.text));
        Ok(sure.map(|line| (line.text.clone(), line.rect.map(|edge| edge.0))).collect())
    }
}

/// Whether two addresses are of one app: the same scheme and host, as far as there are such.
fn is_same_place(one: Option<&str>, other: Option<&str>) -> bool {
    let host = |url: &str| url.split('/').take(3).map(str::to_owned).collect::<Vec<_>>();
    one.map(host) == other.map(host)
}

/// Things and what people call them: in few words, unless these mean another one as well.
fn called(things: Vec<Thing>) -> impl Iterator<Item = (Thing, String)> {
    let in_few: Vec<String> = things.iter().map(|thing| in_words(thing, short(&thing.name))).collect();
    let mut n_of: BTreeMap<String, usize> = BTreeMap::new();
    in_few.iter().for_each(|words| *n_of.entry(words.clone()).or_default() += 1);
    things.into_iter().zip(in_few).map(move |(thing, words)| {
        let words = if n_of[&words] > 1 { in_words(&thing, &thing.name) } else { words };
        (thing, words)
    })
}

fn in_words(thing: &Thing, name: &str) -> String {
    let kind = match &*thing.role {
        "textbox" | "searchbox" | "spinbutton" => "field",
        "combobox" | "listbox" => "dropdown",
        "menuitem" => "menu item",
        other => other,
    };
    let row = thing.row.as_ref().map_or_else(String::new, |row| format!(" in the row of {row}"));
    let gap = if name.is_empty() { "" } else { " " };
    format!("the {name}{gap}{kind}{row}")
}

/// A name without what explains it: a shortcut in brackets, further sentences.
fn short(name: &str) -> &str {
    let end = [" (", ". ", ": "].iter().filter_map(|sign| name.find(sign)).filter(|end| *end > 0).min();
    name[..end.unwrap_or(name.len())].trim_end_matches('.')
}

/// Letters and digits alone, in small letters.
fn folded(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(steps: &str) -> Vec<Target> {
        let yaml = format!(
            "name: n\ndraw: {{ who: [Ada, Ada B] }}\nstart: {{ url: x.html }}\nsteps:\n{steps}\nexpect: [title_contains: x]\n"
        );
        let task = ScriptedTask::parse(&yaml).unwrap();
        asked_for(&task, Part::Train, 0, Path::new("folder"))
    }

    #[test]
    fn a_name_is_said_without_what_explains_it() {
        for (name, said) in [
            ("Save", "Save"),
            ("Undo (Ctrl+Z)", "Undo"),
            ("Opens this. With Ctrl, all of it.", "Opens this"),
            ("(none)", "(none)"),
            ("version 1.2", "version 1.2"),
        ] {
            assert_eq!(short(name), said);
        }
    }

    #[test]
    fn what_few_words_cannot_tell_apart_is_called_in_full() {
        let thing = |name: &str, row: Option<&str>| Thing {
            role: "button".to_owned(),
            name: name.to_owned(),
            row: row.map(str::to_owned),
            rect: Rect::new(0.0, 0.0, 1.0, 1.0),
        };
        let things = vec![
            thing("Size: small", None),
            thing("Size: large", None),
            thing("Undo (Ctrl+Z)", None),
            thing("Edit (E)", Some("Red Fox")),
            thing("Edit (E)", Some("Hare")),
            thing("", Some("Hare")),
        ];
        let words: Vec<String> = called(things).map(|(_, words)| words).collect();
        assert_eq!(
            words,
            [
                "the Size: small button",
                "the Size: large button",
                "the Undo button",
                "the Edit button in the row of Red Fox",
                "the Edit button in the row of Hare",
                "the button in the row of Hare",
            ]
        );
    }

    #[test]
    fn an_app_ends_where_its_host_does() {
        for (one, other, is_same) in [
            ("https://a.example/x", "https://a.example/y?z#w", true),
            ("https://a.example/x", "https://b.example/x", false),
            ("https://a.example/x", "http://a.example/x", false),
            ("file:///a/b.html", "file:///c.html", true),
            ("file:///a/b.html", "https://a.example/b.html", false),
        ] {
            assert_eq!(is_same_place(Some(one), Some(other)), is_same, "{one} {other}");
        }
        assert!(is_same_place(None, None), "a desktop has no addresses");
    }

    #[test]
    fn what_a_step_asks_for_is_left_out_by_its_words_and_its_name() {
        for (step, left_out, kept) in [
            ("click: First", &["First", "first!"][..], &["Second", "Fir"][..]),
            ("click: the First button", &["First", "First name"], &["Second"]),
            ("click: { what: the Preview button, name: Preview }", &["Preview"], &["Submit"]),
            ("click: { what: the left one, name: Save }", &["Save", "Save as"], &["Open"]),
            ("click: { what: it, text: Send now }", &["Send now", "Send"], &["Open"]),
            ("click: the field for ${who}", &["Ada"], &["Alan"]),
            ("drag: { from: the Box item, to: the Bin }", &["Box", "Bin"], &["Bag"]),
            ("within: { secs: 9, steps: [ { click: Deep } ] }", &["Deep"], &["Shallow"]),
        ] {
            let targets = targets(&format!("  - {step}"));
            for name in left_out {
                assert!(is_asked_for(name, &targets), "{step}: {name}");
            }
            for name in kept {
                assert!(!is_asked_for(name, &targets), "{step}: {name}");
            }
        }
    }

    #[test]
    fn what_stands_where_a_step_acts_is_left_out() {
        let button = Rect::new(100.0, 100.0, 180.0, 130.0);
        let is_place = |rect| is_place_of(rect, &[button]);
        assert!(is_place(button));
        assert!(is_place(Rect::new(120.0, 108.0, 160.0, 122.0)), "its text");
        assert!(is_place(Rect::new(90.0, 90.0, 300.0, 200.0)), "what it stands in the middle of");
        assert!(!is_place(Rect::new(100.0, 140.0, 180.0, 170.0)));
        let page = Rect::new(0.0, 0.0, 1000.0, 800.0);
        assert!(!is_place_of(button, &[page]), "a page that is scrolled is not all that stands on it");
    }

    #[test]
    fn a_folder_that_is_not_kept_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        let made = |folder: &Path| {
            std::fs::create_dir(folder.join("images")).unwrap();
            std::fs::write(folder.join("images/x.png"), "x").unwrap();
            std::fs::write(folder.join(LIST), "x").unwrap();
        };
        let unfinished = Unfinished::create(&folder).unwrap();
        made(&folder);
        drop(unfinished);
        assert_eq!(root.path().read_dir().unwrap().count(), 0);
        // What was there before stays.
        std::fs::create_dir_all(&folder).unwrap();
        let unfinished = Unfinished::create(&folder).unwrap();
        made(&folder);
        drop(unfinished);
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        let unfinished = Unfinished::create(&folder).unwrap();
        made(&folder);
        unfinished.keep();
        assert_eq!(folder.read_dir().unwrap().count(), 2);
    }
}
