//! Sources of episodes: what they draw, and what the checks say of good ones and of bad ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;
use vigorl_geometry::{DevicePixelRatio, Point, Rect};
use vigorl_interface::{Action, Driver, MouseButton, Screenshot};
use vigorl_tasks::gym::{Gym, StepError};
use vigorl_tasks::picture::PictureWorld;
use vigorl_tasks::practice::{PageSpec, Split};
use vigorl_tasks::scripted::{Opened, ScriptedTask};
use vigorl_tasks::sources::{
    Checked, Outcome, Part, PictureSource, PracticeSource, Source, Stage, TaskSource, Thoroughness, check,
};
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict};
use vigorl_webdriver::{Options, WebDriver};

const SETTLE: Duration = Duration::from_secs(5);
const HOW: Thoroughness = Thoroughness { n_seeds: 2, n_compared: None, settle_cap: SETTLE };

fn stage<'w>(driver: Option<&'w mut dyn Driver>, is_cancelled: &'w dyn Fn() -> bool) -> Stage<'w> {
    Stage { driver, device_pixel_ratio: DevicePixelRatio::ONE, is_cancelled }
}

fn outcomes(checked: &[Checked]) -> BTreeMap<&'static str, Outcome> {
    checked.iter().map(|checked| (checked.check, checked.outcome)).collect()
}

#[track_caller]
fn none_failed(checked: &[Checked]) {
    let failed: Vec<&Checked> = checked.iter().filter(|checked| checked.outcome == Outcome::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn browser(width: u32, height: u32) -> WebDriver {
    WebDriver::start(Options::headless(width, height)).unwrap()
}

#[test]
fn practice_pages_keep_every_promise() {
    let source = PracticeSource::new("practice", PageSpec::icons(0, Split::Train));
    let size = source.viewport().unwrap();
    let mut driver = browser(size.width as u32, size.height as u32);
    let checked = check(&source, stage(Some(&mut driver), &|| false), &mut Blind, HOW).unwrap();
    assert!(checked.iter().all(|checked| checked.outcome == Outcome::Passed), "{checked:#?}");
}

fn write_pictures(folder: &Path, lines: &[&str]) -> std::path::PathBuf {
    for n in 0..3_u8 {
        RgbImage::from_pixel(100, 80, image::Rgb([n; 3])).save(folder.join(format!("{n}.png"))).unwrap();
    }
    let list = folder.join("list.jsonl");
    fs::write(&list, lines.join("\n")).unwrap();
    list
}

#[test]
fn a_file_of_screenshots_is_an_environment_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let list = write_pictures(
        folder.path(),
        &[
            r#"{"problem": "<image>\nthe red box", "answer": "(10, 20, 30, 40)", "images": ["0.png"]}"#,
            "",
            r#"{"image": "1.png", "instruction": "the blue box", "box": [0, 0, 9.5, 9], "split": "held_out"}"#,
            r#"{"image": "2.png", "instruction": "a star", "box": [1, 1, 5, 5], "split": "train"}"#,
        ],
    );
    let source = PictureSource::open("list.jsonl", &list).unwrap();
    let never = || false;
    none_failed(&check(&source, stage(None, &never), &mut Blind, HOW).unwrap_or_default());
    let seeds =
        |part| (0..source.n_episodes(part).unwrap()).map(|n| source.seed(part, n)).collect::<Vec<_>>();
    let mut all = [seeds(Part::Train), seeds(Part::HeldOut)].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
    assert_eq!(seeds(Part::HeldOut).iter().filter(|seed| **seed == 2).count(), 0, "the file says so");

    let mut world = source.world(stage(None, &never)).unwrap();
    let mut blind = Blind;
    let mut gym = Gym::new(&mut *world, &mut blind, SETTLE);
    let (start, seen) = gym.reset(0).unwrap();
    assert_eq!(
        (start.goal.as_str(), seen.screenshot.unwrap().pixels.dimensions()),
        ("the red box", (100, 80))
    );
    let click = |x: f64, y: f64| Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 };
    let hit = gym.step(Some(&click(30.0, 40.0))).unwrap();
    assert_eq!(
        (hit.reward, hit.terminated, hit.truncated),
        (Some(1.0), true, false),
        "edges belong to the box"
    );
    assert!(matches!(gym.step(None), Err(StepError::IsOver)));
    gym.reset(0).unwrap();
    let miss = gym.step(Some(&click(31.0, 40.0))).unwrap();
    assert_eq!((miss.reward, miss.terminated), (Some(0.0), true));
    assert!(gym.reset(3).unwrap_err().to_string().contains("no row 3"));
}

#[test]
fn a_line_that_is_wrong_is_named_before_anything_is_played() {
    for (line, words) in [
        ("{", "it is neither"),
        (r#"{"image": "0.png"}"#, "it is neither"),
        (r#"{"image": "0.png", "instruction": "a unicorn", "box": null}"#, "it is neither"),
        (r#"{"image": "9.png", "instruction": "x", "box": [1, 1, 2, 2]}"#, "no picture"),
        (r#"{"image": "0.png", "instruction": " ", "box": [1, 1, 2, 2]}"#, "asks for nothing"),
        (r#"{"image": "0.png", "instruction": "x", "box": [9, 0, 3, 4]}"#, "left edge comes first"),
        (r#"{"problem": "<image>x", "answer": "(1, 2, 3)", "images": ["0.png"]}"#, "no box of four"),
        (r#"{"problem": "<image>x", "answer": "Save", "images": ["0.png"]}"#, "no box of four"),
        (r#"{"problem": "x", "answer": "(1, 2, 3, 4)", "images": []}"#, "0 images"),
        (r#"{"problem": "<image>", "answer": "(1, 2, 3, 4)", "images": ["0.png"]}"#, "asks for nothing"),
        (r#"{"image": "0.png", "instruction": "x", "box": [200, 0, 300, 4]}"#, "which has 100x80 pixels"),
        (r#"{"image": "0.png", "instruction": "x", "box": [-9, -9, -1, -1]}"#, "lies outside of"),
        (r#"{"problem": "<image>x", "answer": "(1, 90, 3, 94)", "images": ["0.png"]}"#, "lies outside of"),
        (r#"{"image": "bad.png", "instruction": "x", "box": [1, 1, 2, 2]}"#, "cannot be read"),
        (
            r#"{"image": "0.png", "instruction": "x", "box": [1, 1, 2, 2], "split": "test"}"#,
            r#"its split is "test": a split is "train" or "held_out""#,
        ),
        (
            r#"{"image": "0.png", "instruction": "x", "box": [1, 1, 2, 2], "split": 1}"#,
            r#"its split is 1: a split is "train" or "held_out""#,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let good = r#"{"image": "0.png", "instruction": "x", "box": [1, 1, 2, 2]}"#;
        fs::write(folder.path().join("bad.png"), "no picture").unwrap();
        let list = write_pictures(folder.path(), &[good, line]);
        let error = PictureSource::open("list", &list).unwrap_err();
        assert!(error.contains("line 2") && error.contains(words), "{line}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let list = write_pictures(folder.path(), &[""]);
    assert!(PictureSource::open("list", &list).unwrap_err().contains("no line"));
    // Both spellings of what is held out are read.
    let line = |split: &str| {
        format!(r#"{{"image": "0.png", "instruction": "x", "box": [1, 1, 2, 2], "split": "{split}"}}"#)
    };
    for (split, part) in [("train", Part::Train), ("held_out", Part::HeldOut), ("held-out", Part::HeldOut)] {
        let source = PictureSource::open("list", &write_pictures(folder.path(), &[&line(split)])).unwrap();
        assert_eq!(source.n_episodes(part), Some(1), "{split}");
    }
    // A picture that is spoilt later is an error of its episodes.
    let source = PictureSource::open("list", &write_pictures(folder.path(), &[&line("train")])).unwrap();
    let never = || false;
    fs::write(folder.path().join("0.png"), "no picture").unwrap();
    let error = source.world(stage(None, &never)).unwrap().reset(0).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_file_is_compared_whole_and_the_check_says_how_much_it_compared() {
    let folder = tempfile::tempdir().unwrap();
    // The last line that is held out shows and asks what the last one to learn from does.
    let line = |n: usize, split: &str| {
        format!(r#"{{"image": "0.png", "instruction": "box {n}", "box": [1, 1, 5, 5], "split": "{split}"}}"#)
    };
    let mut lines: Vec<String> = (0..30).map(|n| line(n, "train")).collect();
    lines.extend((100..124).map(|n| line(n, "held-out")));
    let said = |lines: &[String], n_compared: Option<u64>| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let source = PictureSource::open("list", &write_pictures(folder.path(), &lines)).unwrap();
        let how = Thoroughness { n_compared, ..HOW };
        check(&source, stage(None, &|| false), &mut Blind, how).unwrap().pop().unwrap()
    };
    let apart = said(&lines, None);
    assert_eq!(apart.outcome, Outcome::Passed);
    assert_eq!(apart.detail.unwrap(), "compared were 30 of 30 to learn from with 24 of 24 held out");
    lines.push(line(29, "held_out"));
    let both = said(&lines, None);
    assert_eq!(both.outcome, Outcome::Failed, "{both:?}");
    let some = said(&lines, Some(20));
    assert_eq!(some.outcome, Outcome::Passed, "only some were asked for");
    assert_eq!(some.detail.unwrap(), "compared were 20 of 30 to learn from with 20 of 25 held out");
}

/// A task on a page of its own.
fn on_page(folder: &Path, page: &str, url: &str) -> TaskSource {
    fs::write(folder.join("page.html"), page).unwrap();
    let yaml = format!(
        "name: go\ndraw: {{ word: [a, b] }}\nstart: {{ url: '{url}', viewport: 480x320 }}\ngoal: go to ${{word}}\n\
         expect: [{{ title_contains: done }}]\n"
    );
    let task = ScriptedTask::parse(&yaml).unwrap();
    let open = |_: &ScriptedTask| -> Result<Opened, Failure> {
        Ok(Opened { driver: Box::new(browser(480, 320)), version: "a browser".to_owned() })
    };
    TaskSource::new("go.yaml", task, folder.to_owned(), SETTLE, 4, Arc::new(open)).unwrap()
}

#[test]
fn a_page_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let absolute = format!("file://{}/no%20page.html", folder.path().display());
    for (url, file) in [
        ("gone.html", "gone.html"),
        ("gone.html?q=1#top", "gone.html"),
        ("sub/gone.html", "sub/gone.html"),
        (&absolute, "no page.html"),
    ] {
        let source = on_page(folder.path(), "<title>x</title>", url);
        let checked = check(&source, stage(None, &|| false), &mut Blind, HOW).unwrap();
        let file = folder.path().join(file);
        let words = format!("there is no file `{}`", file.display());
        let failed: Vec<&Checked> = checked.iter().filter(|said| said.outcome == Outcome::Failed).collect();
        assert!(!failed.is_empty());
        assert!(failed.iter().all(|said| said.detail.as_ref().unwrap().contains(&words)), "{failed:#?}");
    }
}

#[test]
fn pixels_that_differ_are_named_by_their_rectangle() {
    let folder = tempfile::tempdir().unwrap();
    let page = "<title>x</title><body style='margin:0'><div id=d style='position:absolute;left:40px;top:30px;width:20px;\
                height:10px'></div><script>d.style.background = '#' + String(performance.timeOrigin * 1000 % 1e6 | 0)\
                .padStart(6, '0')</script>";
    let source = on_page(folder.path(), page, "page.html");
    let checked = check(&source, stage(None, &|| false), &mut Blind, HOW).unwrap();
    let same = checked.iter().find(|said| said.check.starts_with("the same seed")).unwrap();
    let detail = same.detail.as_ref().unwrap();
    assert!(
        detail.contains("different pixels in the rectangle from (40, 30) to (60, 40), 200 of"),
        "{detail}"
    );
}

#[test]
fn a_dialog_is_dismissed_before_the_world_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let page = "<title>x</title><button style='position:fixed;inset:0'>Go</button><script>alert('hello');\
                document.querySelector('button').onclick = () => { if (!confirm('sure?')) document.title = 'done' }</script>";
    let source = on_page(folder.path(), page, "page.html");
    let never = || false;
    none_failed(&check(&source, stage(None, &never), &mut Blind, HOW).unwrap());
    let (mut world, mut blind) = (source.world(stage(None, &never)).unwrap(), Blind);
    let mut gym = Gym::new(&mut *world, &mut blind, SETTLE);
    for _ in 0..2 {
        let (_, seen) = gym.reset(0).unwrap();
        assert!(seen.screenshot.is_some() && seen.page.dialog.is_none());
        let click = Action::Click { at: Point::new(240.0, 160.0), button: MouseButton::Left, count: 1 };
        let done = gym.step(Some(&click)).unwrap();
        assert_eq!((done.reward, done.terminated, done.truncated), (Some(1.0), true, false));
        assert!(done.observation.screenshot.is_some());
        let detail = done.info.verdict.detail.unwrap();
        assert!(detail.contains("2 dialogs were dismissed, the last one: sure?"), "{detail}");
    }
}

/// Chooses a person, a size, and confirms: three clicks on one page without a server.
const SHOP: &str = "<!doctype html><title>shop</title><style>button{width:90px;height:40px}.on{background:gold}</style>
<p id=people></p><p id=sizes></p><p><button id=ok onclick='ok()'>Order</button></p><p id=done></p><script>
const chosen = {};
const row = (of, names) => names.forEach((name) => { const b = document.createElement('button'); b.textContent = name;
  b.onclick = () => { [...of.children].forEach((o) => o.className = ''); b.className = 'on'; chosen[of.id] = name; }; of.append(b); });
row(people, ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara']); row(sizes, ['small', 'large']);
function ok() { done.textContent = 'ordered ' + chosen.sizes + ' for ' + chosen.people; }
</script>";

fn shop(folder: &Path) -> TaskSource {
    fs::write(folder.join("shop.html"), SHOP).unwrap();
    let yaml = "name: order\ndraw: { who: [Ada, Grace, Alan, Edsger, Barbara], size: [small, large] }\n\
                start: { url: shop.html, viewport: 480x320 }\ngoal: order ${size} for ${who}\n\
                expect: [{ text_visible: 'ordered ${size} for ${who}' }]\n";
    let task = ScriptedTask::parse(yaml).unwrap();
    let open = |_: &ScriptedTask| -> Result<Opened, Failure> {
        Ok(Opened { driver: Box::new(browser(480, 320)), version: "a browser".to_owned() })
    };
    TaskSource::new("shop.yaml", task, folder.to_owned(), SETTLE, 4, Arc::new(open)).unwrap()
}

/// Clicks in the middle of a button.
fn press(env: &mut dyn Environment, name: &str) -> Action {
    let script = format!(
        "const b = [...document.querySelectorAll('button')].find((b) => b.textContent == '{name}').getBoundingClientRect();\
         return [b.x + b.width / 2, b.y + b.height / 2];"
    );
    let [x, y]: [f64; 2] = serde_json::from_str(&env.driver().unwrap().evaluate(&script).unwrap()).unwrap();
    Action::Click { at: Point::new(x.round(), y.round()), button: MouseButton::Left, count: 1 }
}

#[test]
fn a_task_with_a_goal_draws_its_variables_and_is_judged_after_every_action() {
    let folder = tempfile::tempdir().unwrap();
    let source = shop(folder.path());
    let never = || false;
    let checked = check(&source, stage(None, &never), &mut Blind, HOW).unwrap();
    none_failed(&checked);
    assert_eq!(outcomes(&checked)["an oracle earns 1"], Outcome::NotApplicable);
    assert_eq!(outcomes(&checked)["nothing that is held out is learned from"], Outcome::Passed);

    let mut world = source.world(stage(None, &never)).unwrap();
    for part in Part::ALL {
        let mut resets = Vec::new();
        for number in 0..source.n_episodes(part).unwrap() {
            let clock = Instant::now();
            let start = world.reset(source.seed(part, number)).unwrap();
            resets.push(clock.elapsed());
            let words: Vec<&str> = start.goal.split(' ').collect();
            let [_, size, _, who] = words[..] else { panic!("{}", start.goal) };
            for (name, holds) in [(who, false), (size, false), ("Order", true)] {
                let action = press(&mut *world, name);
                assert_eq!(world.perform(&action).unwrap(), Performed::Done);
                world.driver().unwrap().settle(SETTLE).unwrap();
                let said = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
                assert_eq!(said.reward, Some(f64::from(u8::from(holds))), "{} {name}: {said:?}", start.goal);
                assert_eq!(said.clauses.len(), 1);
            }
        }
        println!("{part:?}: resets {resets:?}");
    }
}

/// Breaks a promise.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    SameSeeds,
    Shared,
    SharedBySeed,
    Paid,
    Endless,
    Changing,
    Blind,
    Wrong,
}

#[derive(Debug)]
struct Faulty(Fault);

struct FaultyWorld(Fault, PictureWorld, u8);

impl Source for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn about(&self) -> String {
        format!("{:?}", self.0)
    }
    fn seed(&self, part: Part, number: u64) -> u64 {
        match self.0 {
            Fault::SameSeeds => number,
            _ => 2 * number + u64::from(part == Part::HeldOut),
        }
    }
    fn is_held_out_by_seed(&self) -> bool {
        self.0 == Fault::SharedBySeed
    }
    fn world<'w>(&'w self, _stage: Stage<'w>) -> Result<Box<dyn Environment + 'w>, Failure> {
        Ok(Box::new(FaultyWorld(self.0, picture(0, self.0), 0)))
    }
}

fn picture(shade: u8, fault: Fault) -> PictureWorld {
    let pixels = Arc::new(RgbImage::from_pixel(50, 50, image::Rgb([shade; 3])));
    let target = match fault {
        Fault::Paid => Vec::new(),
        _ => vec![Rect::new(1.0, 1.0, 9.0, 9.0)],
    };
    PictureWorld::new(Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::ONE }, "the box", target)
}

impl Environment for FaultyWorld {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.2 = self.2.wrapping_add(1);
        let shade = match self.0 {
            Fault::Changing => self.2,
            Fault::Shared | Fault::SharedBySeed => 7,
            _ => seed as u8,
        };
        self.1 = picture(shade, self.0);
        let start = Start { max_steps: Some(1), ..self.1.reset(seed)? };
        Ok(match self.0 {
            Fault::Endless => Start { max_steps: None, ..start },
            Fault::Wrong => Start { target: Some(Rect::new(20.0, 20.0, 30.0, 30.0)), ..start },
            _ => start,
        })
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.1.observe()
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.1.perform(act)
    }
    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        match self.0 {
            Fault::Blind => Ok(Verdict::UNKNOWN),
            _ => self.1.judge(answer, senses, allowance),
        }
    }
}

#[test]
fn every_broken_promise_is_found_by_its_check() {
    for (fault, broken) in [
        (Fault::None, &[][..]),
        (
            Fault::SameSeeds,
            &["the seeds of both parts are different", "nothing that is held out is learned from"],
        ),
        (Fault::Shared, &["nothing that is held out is learned from"]),
        (Fault::SharedBySeed, &[]),
        (Fault::Paid, &["doing nothing earns nothing"]),
        (Fault::Endless, &["only a limit truncates"]),
        (Fault::Changing, &["the same seed gives the same first screenshot"]),
        (Fault::Blind, &["doing nothing earns nothing", "an oracle earns 1"]),
        (Fault::Wrong, &["an oracle earns 1"]),
    ] {
        let checked = check(&Faulty(fault), stage(None, &|| false), &mut Blind, HOW).unwrap();
        let mut failed: Vec<&str> = checked
            .iter()
            .filter(|checked| checked.outcome == Outcome::Failed)
            .map(|checked| checked.check)
            .collect();
        failed.sort_unstable();
        let mut broken = broken.to_vec();
        broken.sort_unstable();
        assert_eq!(failed, broken, "{fault:?}: {checked:#?}");
        // What a protocol allows is said all the same.
        let held_out = checked.iter().find(|checked| checked.check.starts_with("nothing that is")).unwrap();
        let is_told =
            held_out.detail.as_ref().is_some_and(|detail| detail.contains("shows and asks what seed"));
        assert_eq!(is_told, held_out.outcome != Outcome::Passed, "{held_out:?}");
    }
}
