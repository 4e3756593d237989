//! `vigorl data app`: screenshots of somebody's own app with names and boxes of what stands there, labelled by nobody.
//!
//! Invariants: what a step of a task asks for is no pair; a pair's instruction names one thing on its picture; pages of
//! held-out episodes are held out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigorl_files::write_whole;
use vigorl_geometry::Point;
use vigorl_interface::{Action, Screenshot};
use vigorl_rollouts::Images;
use vigorl_runs::ReadTexts;
use vigorl_tasks::Environment as _;
use vigorl_tasks::scripted::{Plan, ScriptedTask, ScriptedWorld, Step, things};
use vigorl_tasks::sources::Part;

use crate::args::DataAppArgs;
use crate::commands::run::folder_of;
use crate::commands::{Form, pretty, sources};
use crate::exit::{Ending, usage};
use crate::reading::{self, LoadedReader};
use crate::settings::Settings;
use crate::{env, interrupt, terminal};

/// The list of pairs: an environment of its own (`vigorl env list`).
const LIST: &str = "pairs.jsonl";
/// Lines that are read less surely are no pairs.
const MIN_CONFIDENCE: f32 = 0.9;
/// Longer lines are sentences.
const MAX_CHARACTERS: usize = 40;
/// Share of what is on view by which a page is scrolled.
const SCROLLED: f64 = 0.8;

/// Writes the pairs of all tasks.
pub(crate) fn app(args: &DataAppArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let folder = &args.folder;
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(usage(format!("`{}` is not empty: name a new folder", folder.display())));
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let reader = reading::is_there().then(LoadedReader::load).transpose()?.map(|reader| reader.for_record());
    let mut pairs = Pairs {
        images: Images::under(folder),
        reader,
        lines: Vec::new(),
        shown: BTreeSet::new(),
        n: BTreeMap::new(),
    };
    let bar = terminal::bar(args.tasks.len() as u64, "tasks");
    'tasks: for file in &args.tasks {
        let name = file.display().to_string();
        let task = sources::read_task(&name)?;
        let asked: BTreeSet<String> =
            task.steps().iter().flat_map(Step::targets).map(|target| folded(&target.description)).collect();
        let is_cancelled = || cancel.is_set();
        let mut world: Option<ScriptedWorld<'_>> = None;
        for part in Part::ALL {
            for number in 0..task.n_drawn(part).min(args.episodes) {
                if cancel.is_set() {
                    break 'tasks;
                }
                let shown = filled(&task, part, number).with_context(|| format!("`{name}`"))?;
                show(&mut world, shown, file, settings, number, &is_cancelled)
                    .map_err(anyhow::Error::from_boxed)
                    .with_context(|| format!("`{name}`"))?;
                let Some(world) = &mut world else { continue };
                pairs
                    .of_page(world, part, args.scrolls, settings, &asked)
                    .map_err(anyhow::Error::from_boxed)?;
                bar.set_message(format!("{} pairs", pairs.lines.len()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let list = folder.join(LIST);
    let text: String = pairs.lines.iter().map(|line| format!("{line}\n")).collect();
    write_whole(&list, text.as_bytes()).with_context(|| format!("cannot write `{}`", list.display()))?;
    let (n, n_pictures) = (pairs.lines.len(), pairs.shown.len());
    terminal::data(&match form {
        Form::Json => pretty(&json!({ "list": list, "n_pairs": n, "n_pictures": n_pictures, "by": pairs.n })),
        Form::Text => {
            let by: Vec<String> = pairs.n.iter().map(|(by, n)| format!("{n} by {by}")).collect();
            format!("{n} pairs on {n_pictures} pictures in {}: {}", list.display(), by.join(", "))
        }
    });
    Ok(match n {
        _ if cancel.is_set() => Ending::Interrupted,
        0 => Ending::NotDone,
        _ => Ending::Done,
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
    file: &Path,
    settings: &Settings,
    seed: u64,
    is_cancelled: &'w dyn Fn() -> bool,
) -> Result<(), vigorl_tasks::Failure> {
    let folder = folder_of(&file.display().to_string());
    let url = task.start.address(&folder);
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
                folder,
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
    lines: Vec<serde_json::Value>,
    /// Pictures by their names: the same one is not labelled twice.
    shown: BTreeSet<String>,
    n: BTreeMap<&'static str, usize>,
}

impl Pairs {
    /// The page that is shown, from where it is down.
    fn of_page(
        &mut self,
        world: &mut ScriptedWorld<'_>,
        part: Part,
        n_scrolls: u64,
        settings: &Settings,
        asked: &BTreeSet<String>,
    ) -> Result<(), vigorl_tasks::Failure> {
        for _ in 0..=n_scrolls {
            let Some(screenshot) = world.observe()?.screenshot else { return Ok(()) };
            let name = self.images.keep(&screenshot.pixels)?;
            // The end of the page, or a page that draws the same every time.
            if !self.shown.insert(name.clone()) {
                return Ok(());
            }
            let Some(driver) = world.driver() else { return Ok(()) };
            let named = things(driver, &screenshot)?;
            let mut pairs: Vec<(&'static str, String, [f64; 4])> = named
                .iter()
                .map(|thing| {
                    let rect = thing.rect;
                    (
                        "page",
                        in_words(&thing.role, &thing.name),
                        [rect.left, rect.top, rect.right, rect.bottom],
                    )
                })
                .collect();
            pairs.extend(
                self.read(&screenshot)?
                    .into_iter()
                    .map(|(text, rect)| ("reader", format!("\"{text}\""), rect)),
            );
            for (by, instruction, rect) in pairs {
                if asked.contains(&folded(&instruction)) {
                    continue;
                }
                *self.n.entry(by).or_default() += 1;
                self.lines.push(json!({ "image": name, "instruction": instruction, "box": rect.map(f64::round), "split": part, "by": by }));
            }
            let size = screenshot.size();
            let at = Point::new((size.width / 2.0).floor(), (size.height / 2.0).floor());
            world.perform(&Action::Scroll { at, dx_px: 0.0, dy_px: (SCROLLED * size.height).round() })?;
            if let Some(driver) = world.driver() {
                driver.settle(settings.settle_cap)?;
            }
        }
        Ok(())
    }

    /// Short lines that are read for sure, and stand on the picture once.
    fn read(&mut self, screenshot: &Screenshot) -> Result<Vec<(String, [f64; 4])>, vigorl_tasks::Failure> {
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

/// What people call a thing.
fn in_words(role: &str, name: &str) -> String {
    let kind = match role {
        "textbox" | "searchbox" | "spinbutton" => "field",
        "combobox" | "listbox" => "dropdown",
        "menuitem" => "menu item",
        other => other,
    };
    format!("the {name} {kind}")
}

/// Letters and digits alone, in small letters.
fn folded(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
