//! MiniWoB++ as an evaluation: success by task and by part of the split, and two clickers that look at nothing.
//!
//! Invariants: the seeds of the pages are the protocol's; what a clicker without eyes is fitted on are seeds to learn from;
//! episodes are played task after task and then anew, so that what was broken off has seen all tasks alike.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::Serialize;
use vigorl_agent::{Decide, TowardsGoal};
use vigorl_geometry::{DevicePixelRatio, Point, Screen, Size, Viewport};
use vigorl_interface::{Action, Driver};
use vigorl_tasks::miniwob::{Area, DEFAULT_FOLDER, MiniWobWorld, Pages, Part, Protocol, Task, training_seed};
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Performed};

use crate::evaluation::{Evaluation, Item};
use crate::result::Rate;

/// What is wanted of MiniWoB++.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Names of tasks; all of the protocol if there are none.
    pub tasks: Vec<String>,
    /// The rules.
    pub protocol: Protocol,
    /// What is to be seen; the protocol's own if absent.
    pub area: Option<Area>,
    /// The pages: a folder or a wheel; [`DEFAULT_FOLDER`] if absent.
    pub pages: Option<PathBuf>,
}

/// Tasks of MiniWoB++ under a protocol.
#[derive(Debug)]
pub struct MiniWobSet {
    pages: Pages,
    protocol: Protocol,
    area: Area,
    tasks: Vec<&'static Task>,
    /// Of each task.
    n_episodes: u64,
}

impl MiniWobSet {
    /// `n_episodes` of each task, or as many as the protocol has.
    ///
    /// # Errors
    /// If there are no pages, or there is no such task.
    pub fn open(choice: &Choice, n_episodes: Option<u64>) -> Result<Self, String> {
        let protocol = choice.protocol;
        let tasks = match &choice.tasks[..] {
            [] => protocol.tasks(),
            names => names.iter().map(|name| named(name)).collect::<Result<_, _>>()?,
        };
        let folder = choice.pages.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FOLDER));
        let pages = Pages::open(&folder).map_err(|error| error.to_string())?;
        Ok(Self {
            pages,
            protocol,
            area: choice.area.unwrap_or(protocol.area()),
            tasks,
            n_episodes: n_episodes.unwrap_or(protocol.n_episodes()),
        })
    }

    /// How many tasks there are.
    pub fn n_tasks(&self) -> u64 {
        self.tasks.len() as u64
    }

    /// The task and the number of the episode of an item.
    fn place(&self, idx: u64) -> Result<(&'static Task, u64), Failure> {
        let n_tasks = self.tasks.len() as u64;
        if idx >= self.n_items() {
            return Err(format!("there is no item {idx}").into());
        }
        Ok((self.tasks[(idx % n_tasks) as usize], idx / n_tasks))
    }
}

fn named(name: &str) -> Result<&'static Task, String> {
    Task::named(name).ok_or_else(|| format!("MiniWoB++ has no task `{name}`"))
}

fn part(task: &Task) -> &'static str {
    match task.part {
        Part::Train => "train part",
        Part::Test => "test part",
    }
}

impl Evaluation for MiniWobSet {
    fn id(&self) -> &'static str {
        "miniwob/v1"
    }

    fn title(&self) -> String {
        let pages = if self.pages.are_published() { "miniwob 1.1.0" } else { "other pages" };
        format!(
            "{} · {} · {} tasks · {} episodes · {pages}",
            self.protocol.as_str(),
            self.area.as_str(),
            self.tasks.len(),
            self.n_items()
        )
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "protocol": self.protocol,
            "area": self.area,
            "tasks": self.tasks.iter().map(|task| task.name).collect::<Vec<_>>(),
            "n_episodes_of_each": self.n_episodes,
            "pages_sha256": self.pages.sha256(),
            "pages_are_published": self.pages.are_published(),
        })
    }

    fn n_items(&self) -> u64 {
        self.tasks.len() as u64 * self.n_episodes
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        Some(self.area.viewport())
    }

    fn device_pixel_ratio(&self) -> Option<DevicePixelRatio> {
        DevicePixelRatio::new(self.protocol.zoom())
    }

    fn groups(&self) -> Vec<(&'static str, Vec<String>)> {
        let names = self.tasks.iter().map(|task| task.name.to_owned()).collect();
        vec![("part", vec!["train part".to_owned(), "test part".to_owned()]), ("task", names)]
    }

    fn item(&self, idx: u64) -> Result<Item, Failure> {
        let (task, episode) = self.place(idx)?;
        Ok(Item {
            id: format!("{}/{episode}", task.name),
            seed: self.protocol.page_seed(task, episode),
            // The page says what is asked when it is there.
            instruction: task.name.to_owned(),
            values: vec![("part", part(task).to_owned()), ("task", task.name.to_owned())],
            chance: None,
            targets: Vec::new(),
            is_absent: false,
            picture: None,
            circle: None,
        })
    }

    fn world<'w>(
        &'w self,
        idx: u64,
        driver: Option<&'w mut dyn Driver>,
        _device_pixel_ratio: DevicePixelRatio,
        labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure> {
        let (task, _) = self.place(idx)?;
        let driver = driver.ok_or("a page of MiniWoB++ needs a browser")?;
        Ok(Box::new(MiniWobWorld::new(driver, &self.pages, task, self.protocol, labels)))
    }

    /// The eyes are asked again before each of the protocol's steps.
    fn plan(&self, _item: &Item) -> Box<dyn Decide> {
        Box::new(TowardsGoal::default())
    }
}

/// Whoever clicks without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clicker {
    /// Uniformly over the screen, one click.
    Random,
    /// The same, as many clicks as the protocol has steps.
    RandomAllSteps,
    /// For each task, the point of a grid that earned most on seeds to learn from, one click.
    Constant,
}

/// What a clicker earned in one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clicked {
    /// The task.
    pub task: &'static str,
    /// Successes on the protocol's seeds.
    pub rate: Rate,
    /// Episodes in which the world failed.
    pub n_errors: usize,
    /// Why, in the first of them.
    pub error: Option<String>,
    /// The point that was clicked, as a share of width and height, where it is always the same.
    pub point: Option<(f64, f64)>,
}

impl Clicked {
    /// All tasks together, each episode counted alike.
    pub fn all(clicked: &[Self]) -> Rate {
        let n = |of: fn(&Rate) -> usize| clicked.iter().map(|clicked| of(&clicked.rate)).sum();
        let (n_success, n): (usize, usize) = (n(|rate| rate.n_success), n(|rate| rate.n));
        Rate::of((0..n).map(|idx| idx < n_success))
    }
}

/// Columns and rows of the grid of points.
const GRID: (u32, u32) = (6, 6);
/// What the grid covers: the task's area without the words on top, in CSS pixels.
const GRID_AREA: (f64, f64, f64, f64) = (0.0, 50.0, 160.0, 160.0);
/// Seeds to learn from that a point is tried on again where it earned something at all.
const N_FITTING: u64 = 4;
/// How long a page may take to judge a click.
const JUDGED_WITHIN: Duration = Duration::from_millis(500);

impl MiniWobSet {
    /// Plays each task with clicks at nothing in particular; `seed` is that of the draws. `until` is asked before every
    /// task whether to go on, and tells of the task.
    ///
    /// # Errors
    /// If the world fails at every episode of a task.
    pub fn clicked(
        &self,
        clicker: Clicker,
        seed: u64,
        driver: &mut dyn Driver,
        go_on: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Vec<Clicked>, Failure> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for task in &self.tasks {
            if !go_on(task.name) {
                break;
            }
            let n_clicks = match clicker {
                Clicker::RandomAllSteps => self.protocol.max_steps(task),
                Clicker::Random | Clicker::Constant => 1,
            };
            let mut world = MiniWobWorld::new(&mut *driver, &self.pages, task, self.protocol, &[]);
            let point = match clicker {
                Clicker::Constant => Some(self.best_point(&mut world)?),
                Clicker::Random | Clicker::RandomAllSteps => None,
            };
            let (mut successes, mut errors) = (Vec::new(), Vec::new());
            for episode in 0..self.n_episodes {
                let draw = &mut || point.unwrap_or_else(|| (share(&mut random), share(&mut random)));
                match self.click(&mut world, self.protocol.page_seed(task, episode), n_clicks, draw) {
                    Ok(is_success) => successes.push(is_success),
                    Err(error) => errors.push(error),
                }
            }
            if successes.is_empty() && !errors.is_empty() {
                return Err(errors.swap_remove(0));
            }
            let rate = Rate::of(successes.into_iter());
            let error = errors.first().map(ToString::to_string);
            all.push(Clicked { task: task.name, rate, n_errors: errors.len(), error, point });
        }
        Ok(all)
    }

    /// Clicks, and says whether that was a solution.
    fn click(
        &self,
        world: &mut MiniWobWorld<'_>,
        seed: u64,
        n_clicks: usize,
        draw: &mut dyn FnMut() -> (f64, f64),
    ) -> Result<bool, Failure> {
        world.reset(seed)?;
        let (size, zoom) = (self.area.viewport(), self.protocol.zoom());
        for _ in 0..n_clicks {
            let (x, y) = draw();
            let at = Point::<Screen>::new(size.width * x * zoom, size.height * y * zoom);
            if let Performed::Refused(why) = world.perform(&Action::click(at))? {
                return Err(why.into());
            }
        }
        let end = Instant::now() + JUDGED_WITHIN;
        let mut verdict = world.judge(None, &mut Blind, &Allowance::UNLIMITED)?;
        while verdict.may_change && Instant::now() < end {
            let Some(driver) = world.driver() else { break };
            let left = end.saturating_duration_since(Instant::now());
            driver.settle(left)?;
            let again = world.judge(None, &mut Blind, &Allowance::UNLIMITED)?;
            if again == verdict {
                break;
            }
            verdict = again;
        }
        Ok(verdict.reward == Some(1.0))
    }

    /// The point of the grid that earns most on seeds to learn from; the first one of several. A task in which no point
    /// earns anything for the first seed is looked at no further.
    fn best_point(&self, world: &mut MiniWobWorld<'_>) -> Result<(f64, f64), Failure> {
        let size = self.area.viewport();
        let (left, top, width, height) = GRID_AREA;
        let nth = |idx: u32, n: u32| (f64::from(idx) + 0.5) / f64::from(n);
        let points = (0..GRID.1).flat_map(|row| (0..GRID.0).map(move |column| (column, row)));
        let points: Vec<(f64, f64)> = points
            .map(|(column, row)| {
                let (x, y) = (left + width * nth(column, GRID.0), top + height * nth(row, GRID.1));
                (x / size.width, y / size.height)
            })
            .collect();
        let mut earned = vec![0; points.len()];
        for idx in 0..=N_FITTING {
            for (point, earned) in points.iter().zip(&mut earned) {
                *earned += usize::from(self.click(world, training_seed(idx), 1, &mut || *point)?);
            }
            if earned.iter().all(|n| *n == 0) {
                break;
            }
        }
        let most = earned.iter().copied().max().unwrap_or_default();
        let best = earned.iter().position(|n| *n == most).unwrap_or_default();
        Ok(points[best])
    }
}

/// A number from 0 to 1.
fn share(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn set(tasks: &[&str], n: Option<u64>) -> Result<MiniWobSet, String> {
        let pages = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DEFAULT_FOLDER));
        let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
        MiniWobSet::open(&Choice { tasks, pages, ..Choice::default() }, n)
    }

    #[test]
    fn the_set_is_the_protocols_own_unless_something_else_is_wanted() {
        let all = set(&[], None).unwrap();
        assert_eq!((all.n_items(), all.tasks.len()), (625, 125));
        assert_eq!(all.viewport(), Some(Size::of_pixels(332, 214)));
        assert_eq!(all.device_pixel_ratio().map(DevicePixelRatio::get), Some(1.5));
        let some = set(&["click-test", "miniwob/click-link"], Some(3)).unwrap();
        let names: Vec<String> = (0..6).map(|idx| some.item(idx).unwrap().instruction).collect();
        assert_eq!(names, ["click-test", "click-link"].repeat(3), "task after task, then anew");
        assert!(some.item(6).is_err());
        assert_eq!(set(&["no-task"], None).unwrap_err(), "MiniWoB++ has no task `no-task`");
    }

    #[test]
    fn every_value_of_an_item_has_its_row() {
        let all = set(&[], Some(1)).unwrap();
        let groups = all.groups();
        for idx in 0..all.n_items() {
            let item = all.item(idx).unwrap();
            let is_row = |(group, value): &(&str, String)| {
                groups.iter().any(|(known, values)| known == group && values.contains(value))
            };
            assert!(item.values.iter().all(is_row), "{item:?}");
        }
    }

    #[test]
    fn a_missing_page_says_how_to_get_it() {
        let choice = Choice { pages: Some(PathBuf::from("nowhere")), ..Choice::default() };
        let error = MiniWobSet::open(&choice, None).unwrap_err();
        assert!(error.contains("scripts/setup.sh miniwob"), "{error}");
    }

    #[test]
    fn what_clickers_draw_lies_on_the_screen() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&share(&mut random))));
    }
}
