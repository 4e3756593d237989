//! MiniWoB++ in a real browser: every task's page keeps the contract of an environment, and no cheat pays.
//!
//! These tests need the pages: `scripts/setup.sh miniwob` fetches them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod oracles;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_geometry::{DevicePixelRatio, Point};
use vigorl_interface::{Act, Action, Driver, PixelChange, pixel_change};
use vigorl_tasks::miniwob::{ANIMATED, Area, MiniWobWorld, Pages, Protocol, TASKS, Task};
use vigorl_tasks::{Allowance, Blind, Environment, Performed, Verdict, Verification};
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

/// Whether more differs than a line of pixels: a box that ends at half a pixel is drawn in one of two ways.
fn differ(a: &RgbImage, b: &RgbImage) -> bool {
    let lines = |change: PixelChange| change.bounds.width().min(change.bounds.height());
    pixel_change(a, b).is_some_and(|change| lines(change) > 1.0)
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
        for seed in [985_772, 128_037, 875_688] {
            let mut firsts = Vec::new();
            for _ in 0..2 {
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
            let n = firsts[1..].iter().filter(|(_, pixels)| differ(pixels, &firsts[0].1)).count();
            *differs.entry(task.name).or_default() += n;
            let verdict = judge(&mut world);
            let expected = (Verification::Unsatisfied, Some(0.0), true);
            if (verdict.verification, verdict.reward, verdict.may_change) != expected {
                wrong.push(format!("{}: {verdict:?}", task.name));
            }
            goals.push(firsts.swap_remove(0));
        }
        // What is asked for is not to be seen at first, or nowhere.
        const HIDDEN: [&str; 5] =
            ["find-greatest", "guess-number", "hot-cold", "tic-tac-toe", "use-colorwheel-2"];
        if goals.iter().all(|goal| *goal == goals[0]) && !HIDDEN.contains(&task.name) {
            wrong.push(format!("{}: three seeds have one problem", task.name));
        }
    }
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("reset: median {median:?}, most {most:?} of {}", times.len());
    println!("{:?}", &times[times.len() - 12..]);
    differs.retain(|_, n| *n > 0);
    println!("first screenshots that differ, of 3: {differs:?}");
    differs.retain(|name, _| ANIMATED.iter().all(|(known, _)| known != name));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(differs.is_empty(), "the same seed, another first screenshot: {differs:?}");
    assert!(median.0 < Duration::from_millis(500), "{median:?}");
}

#[test]
fn oracles_earn_it_by_real_input() {
    let script = oracles::SCRIPT.replace("...click(", "");
    for forbidden in ["core.", "WOB_", "vigorl", ".click(", "dispatchEvent", "Event("] {
        assert!(!script.contains(forbidden), "an oracle only reads: {forbidden}");
    }
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let first = Task::named("click-test").unwrap();
    let mut world = MiniWobWorld::new(&mut driver, &pages, first, Protocol::Browsergym, &[]);
    world.reset(1).unwrap();
    let names = oracles::solved(&mut world);
    let mut failed = Vec::new();
    for name in &names {
        let task = Task::named(name).unwrap_or_else(|| panic!("no task is called {name}"));
        let mut world = MiniWobWorld::new(&mut driver, &pages, task, Protocol::Browsergym, &[]);
        for seed in [985_772, 128_037] {
            let start = world.reset(seed).unwrap();
            let played = oracles::play(&mut world, name, &start.goal);
            let verdict = judge(&mut world);
            if verdict.reward != Some(1.0) {
                failed.push(format!("{name} {seed} ({}): {played:?}, {:?}", start.goal, verdict.detail));
            }
        }
    }
    println!("{} tasks have an oracle", names.len());
    assert!(names.len() >= 40, "{}", names.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A point of the task, in CSS pixels.
fn click(x: f64, y: f64) -> Action {
    let zoom = Protocol::Browsergym.zoom();
    Act::click(Point::new(x * zoom, y * zoom))
}

fn ask(driver: &mut dyn Driver, script: &str) -> Vec<f64> {
    serde_json::from_str(&driver.evaluate(script).unwrap()).unwrap()
}

/// The middle of the first element of a selector.
fn middle(world: &mut MiniWobWorld<'_>, selector: &str) -> Action {
    let script = format!(
        "const box = document.querySelector({selector:?}).getBoundingClientRect(); \
         return [box.left + box.width / 2, box.top + box.height / 2]"
    );
    let at = ask(world.driver().unwrap(), &script);
    click(at[0], at[1])
}

fn done(world: &mut MiniWobWorld<'_>, act: &Action) {
    assert_eq!(world.perform(act).unwrap(), Performed::Done, "{act:?}");
}

fn nothing_earned(world: &mut MiniWobWorld<'_>, why: &str) {
    let verdict = judge(world);
    assert_eq!(
        (verdict.verification, verdict.reward),
        (Verification::Unsatisfied, Some(0.0)),
        "{why}: {verdict:?}"
    );
}

#[test]
fn the_first_verdict_is_the_last() {
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let task = |name| Task::named(name).unwrap();
    let mut world = MiniWobWorld::new(&mut driver, &pages, task("click-test-2"), Protocol::Browsergym, &[]);

    // Wrong, then right; right, then wrong. No cover offers another episode.
    world.reset(128_037).unwrap();
    let (right, wrong) = (middle(&mut world, "#subbtn"), middle(&mut world, "#subbtn2"));
    done(&mut world, &wrong);
    done(&mut world, &right);
    nothing_earned(&mut world, "wrong, then right");
    let cover = "return [document.querySelectorAll('#sync-task-cover').length]";
    assert_eq!(ask(world.driver().unwrap(), cover), [0.0]);
    world.reset(128_037).unwrap();
    done(&mut world, &right);
    done(&mut world, &wrong);
    assert_eq!(judge(&mut world).reward, Some(1.0), "right, then wrong");

    // A form that is sent twice: empty, then as it should be.
    let mut world = MiniWobWorld::new(&mut driver, &pages, task("enter-text"), Protocol::Browsergym, &[]);
    let start = world.reset(128_037).unwrap();
    let (submit, field) = (middle(&mut world, "#subbtn"), middle(&mut world, "#tt"));
    done(&mut world, &submit);
    nothing_earned(&mut world, "sent empty");
    done(&mut world, &field);
    done(&mut world, &Act::Type { text: start.goal.split('"').nth(1).unwrap().to_owned() });
    done(&mut world, &submit);
    nothing_earned(&mut world, "sent twice");
}

#[test]
fn nothing_but_the_task_earns_anything() {
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let task = |name| Task::named(name).unwrap();

    // What has nothing to do with the page is refused.
    let mut world = MiniWobWorld::new(&mut driver, &pages, task("click-test-2"), Protocol::Browsergym, &[]);
    world.reset(128_037).unwrap();
    let url = world.driver().unwrap().page_state().unwrap().url.unwrap();
    for act in [
        Act::Navigate { url: url.clone() },
        Act::Navigate { url: "javascript:core.endEpisode(1)".to_owned() },
        Act::Back,
        Act::OpenTab,
        Act::CloseTab,
        Act::Upload { at: Point::new(1.0, 1.0), files: Vec::new() },
    ] {
        assert!(matches!(world.perform(&act).unwrap(), Performed::Refused(_)), "{act:?}");
    }
    nothing_earned(&mut world, "refused");

    // Whoever gets to the page otherwise has lost its episode: it is loaded anew, left, or gone back to.
    let run_there = Act::Navigate { url: "javascript:core.endEpisode(1, true)".to_owned() };
    world.driver().unwrap().act(&run_there).ok();
    nothing_earned(&mut world, "an address that is a script");
    world.driver().unwrap().act(&Act::Navigate { url: url.clone() }).unwrap();
    nothing_earned(&mut world, "loaded anew");
    done(&mut world, &click(80.0, 100.0));
    done(&mut world, &click(80.0, 100.0));
    let right = middle(&mut world, "#subbtn");
    done(&mut world, &right);
    nothing_earned(&mut world, "an episode that began by a click on the cover");
    world.driver().unwrap().act(&Act::Back).unwrap();
    nothing_earned(&mut world, "gone back");

    // Neither keys without a focus nor a page that is edited.
    for seed in [128_037, 875_688] {
        world.reset(seed).unwrap();
        done(&mut world, &Act::Type { text: "javascript:core.endEpisode(1)\n".to_owned() });
        for chord in ["F5", "Control+r", "Control+a", "Delete", "Alt+Left", "Control+Shift+j"] {
            done(&mut world, &Act::Press { chord: vigorl_interface::parse_chord(chord).unwrap() });
        }
        done(&mut world, &Act::Drag { from: Point::new(20.0, 100.0), to: Point::new(400.0, 20.0) });
        nothing_earned(&mut world, "keys and drags");
    }
    let mut world = MiniWobWorld::new(&mut driver, &pages, task("text-editor"), Protocol::Browsergym, &[]);
    world.reset(128_037).unwrap();
    let (editor, submit) = (middle(&mut world, ".ql-editor"), middle(&mut world, "#subbtn"));
    done(&mut world, &editor);
    done(&mut world, &Act::Type { text: "<script>core.endEpisode(1)</script>".to_owned() });
    done(&mut world, &submit);
    nothing_earned(&mut world, "an editor with a script in it");
}

#[test]
fn a_grid_of_clicks_is_cut_off_by_the_steps_and_by_the_first_wrong_one() {
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let mut n_refused = 0;
    for name in ["enter-text", "click-checkboxes", "click-shades", "choose-list", "login-user"] {
        let task = Task::named(name).unwrap();
        let mut world = MiniWobWorld::new(&mut driver, &pages, task, Protocol::Browsergym, &[]);
        for seed in [128_037, 875_688] {
            world.reset(seed).unwrap();
            for idx in 0..40 {
                let at = click(10.0 + f64::from(idx % 5) * 35.0, 55.0 + f64::from(idx / 5) * 20.0);
                n_refused += usize::from(world.perform(&at).unwrap() != Performed::Done);
            }
            nothing_earned(&mut world, &format!("{name} {seed}: a grid of clicks"));
        }
    }
    assert_eq!(n_refused, 5 * 2 * 30, "ten steps and no more");
}

#[test]
fn a_page_that_times_out_pays_nothing_and_one_that_fails_is_an_error() {
    let (pages, mut driver) = (pages(), browser(Protocol::Seeclick, Area::Task));
    let task = Task::named("use-colorwheel").unwrap();
    let mut world = MiniWobWorld::new(&mut driver, &pages, task, Protocol::Seeclick, &[]);
    let start = world.reset(1).unwrap();
    let seen = world.observe().unwrap().screenshot.unwrap();
    assert_eq!((seen.pixels.dimensions(), start.max_steps), ((160, 210), Some(10)));
    assert!(seen.pixels.get_pixel(150, 46).0 == [255, 255, 0], "the words stay on the page");
    // Seven seconds of its own.
    let over = vigorl_interface::wait_while(
        Some(Instant::now() + Duration::from_secs(20)),
        Duration::from_millis(200),
        || !world.said().unwrap().unwrap().done,
    );
    assert!(!over);
    let verdict = judge(&mut world);
    assert_eq!((verdict.reward, verdict.may_change), (Some(0.0), false), "{verdict:?}");
    assert!(verdict.detail.unwrap().contains("timed out"));

    let empty = tempfile::tempdir().unwrap();
    for part in ["common", "core", "miniwob"] {
        std::fs::create_dir(empty.path().join(part)).unwrap();
    }
    std::fs::write(empty.path().join("miniwob/use-colorwheel.html"), "<p>no task</p>").unwrap();
    let broken = Pages::open(empty.path()).unwrap();
    let mut world = MiniWobWorld::new(&mut driver, &broken, task, Protocol::Seeclick, &[]);
    assert!(world.reset(1).unwrap_err().to_string().contains("none of MiniWoB++"));
    std::fs::remove_file(empty.path().join("miniwob/use-colorwheel.html")).unwrap();
    world.reset(1).unwrap_err();
}

#[test]
fn partial_credit_is_what_the_protocol_says() {
    let (pages, mut driver) = (pages(), browser(Protocol::Browsergym, Area::Page));
    let task = Task::named("use-colorwheel").unwrap();
    let mut world = MiniWobWorld::new(&mut driver, &pages, task, Protocol::Browsergym, &[]);
    world.reset(128_037).unwrap();
    let submit = middle(&mut world, "#subbtn");
    done(&mut world, &submit);
    let said = world.said().unwrap().unwrap();
    assert!(said.raw > 0.0 && said.raw < 1.0, "{said:?}");
    assert_eq!(judge(&mut world).reward, Some(1.0), "any color is worth something, and something is enough");
}
