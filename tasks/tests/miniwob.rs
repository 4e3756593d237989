//! MiniWoB++ in a real browser: every task's page keeps the contract of an environment, and no cheat pays.
//!
//! These tests need the pages: `scripts/setup.sh miniwob` fetches them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use vigorl_geometry::DevicePixelRatio;
use vigorl_tasks::miniwob::{ANIMATED, Area, MiniWobWorld, Pages, Protocol, TASKS};
use vigorl_tasks::{Allowance, Blind, Environment, Verdict, Verification};
use vigorl_webdriver::{Options, WebDriver};

fn pages() -> Pages {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/miniwob");
    Pages::open(&folder).unwrap_or_else(|error| panic!("{error}"))
}

fn browser(protocol: Protocol, area: Area) -> WebDriver {
    let device_pixel_ratio = DevicePixelRatio::new(protocol.zoom()).unwrap();
    let options = Options::headless(1, 1);
    WebDriver::start(Options { viewport: area.viewport(), device_pixel_ratio, ..options }).unwrap()
}

fn judge(world: &mut dyn Environment) -> Verdict {
    world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap()
}

#[test]
fn the_pages_are_the_published_ones_and_hold_every_task() {
    let pages = pages();
    assert!(pages.are_published(), "these are other pages: {}", pages.sha256());
    assert!(TASKS.iter().all(|task| pages.has(task.name)));
}

#[test]
fn every_task_begins_alike_for_a_seed_and_pays_nothing_for_nothing() {
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let (mut times, mut wrong) = (Vec::new(), Vec::new());
    let mut differs: BTreeMap<&str, usize> = BTreeMap::new();
    for task in &TASKS {
        let mut world = MiniWobWorld::new(&mut driver, &pages, task, Protocol::Browsergym, &[]);
        let mut goals = Vec::new();
        for seed in [985_772, 42_241] {
            let mut firsts = Vec::new();
            for _ in 0..3 {
                let clock = Instant::now();
                let start = world.reset(seed).unwrap_or_else(|error| panic!("{}: {error}", task.name));
                times.push((clock.elapsed(), task.name));
                let seen = world.observe().unwrap().screenshot.unwrap();
                assert_eq!(seen.pixels.dimensions(), (498, 321), "{}", task.name);
                assert_eq!((start.seed, start.max_steps), (Some(seed), Some(10)));
                firsts.push((start.goal, seen.pixels));
            }
            if firsts.iter().any(|(goal, _)| goal.is_empty() || *goal != firsts[0].0) {
                wrong.push(format!(
                    "{}: {:?}",
                    task.name,
                    firsts.iter().map(|one| &one.0).collect::<Vec<_>>()
                ));
            }
            let n = firsts[1..].iter().filter(|(_, pixels)| *pixels != firsts[0].1).count();
            *differs.entry(task.name).or_default() += n;
            let verdict = judge(&mut world);
            let expected = (Verification::Unsatisfied, Some(0.0), true);
            if (verdict.verification, verdict.reward, verdict.may_change) != expected {
                wrong.push(format!("{}: {verdict:?}", task.name));
            }
            goals.push(firsts.swap_remove(0));
        }
        if goals[0] == goals[1] {
            wrong.push(format!("{}: two seeds have one problem", task.name));
        }
    }
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("reset: median {median:?}, most {most:?} of {}", times.len());
    println!("{:?}", &times[times.len() - 12..]);
    differs.retain(|_, n| *n > 0);
    println!("first screenshots that differ, of 4: {differs:?}");
    differs.retain(|name, _| ANIMATED.iter().all(|(known, _)| known != name));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(differs.is_empty(), "the same seed, another first screenshot: {differs:?}");
    assert!(median.0 < Duration::from_millis(500), "{median:?}");
}
