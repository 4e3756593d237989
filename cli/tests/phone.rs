//! Every page that this program makes, on a phone of 390 CSS px: nothing is wider than the page, no text is small or cut off,
//! what is touched is large enough and stands apart, and what is drawn over a picture is where it belongs. The same pages are
//! looked at in a wide window for all of that but the size of what is touched.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod world;
mod written;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use image::{Rgb, RgbImage};
use maud::html;
use serde_json::{Value, json};
use vigorl_interface::{Action, Driver, Effect, MouseButton, TroubleKind};
use vigorl_metrics::{Comparison, Training};
use vigorl_report::{
    EvaluationPage, Shot, ShotTurn, Table, Token, TokenBlock, render_evaluation, render_tokens,
    render_training_comparison, write_report, write_training_report,
};
use vigorl_runs::RunDir;
use vigorl_runs::record::{
    ActionRecord, EpisodeRecord, Event, GroundingRecord, InputRecord, LineRecord, MapsRecord, ModelRecord,
    Plain, ReadingRecord, RunRecord, StepRecord, Summary, TextRecord, ThoughtRecord, Timings, TroubleRecord,
    TurnRecord,
};
use vigorl_tasks::Verification;
use vigorl_webdriver::WebDriver;

use world::browser;
use written::{Viewer, name, train, two_runs, xy};

/// What is wrong with the page that is shown, in words; `isPhone` asks for what is touched, too.
const WRONG: &str = r#"
const wrong = new Set();
const called = (of) => `${of.tagName.toLowerCase()}.${of.getAttribute('class') || ''} "${(of.textContent || '').trim().slice(0, 30)}"`;
for (const details of document.querySelectorAll('details')) details.open = true;
if (document.documentElement.scrollWidth > innerWidth) wrong.add(`the page is ${document.documentElement.scrollWidth} px wide`);
const isShown = (of) => of.checkVisibility({ visibilityProperty: true });
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let n = 0;
while (texts.nextNode()) {
  const text = texts.currentNode, of = text.parentElement;
  if (!text.data.trim() || of.closest('script, style, noscript, title, option') || !isShown(of)) continue;
  const range = document.createRange();
  range.selectNodeContents(text);
  const boxes = [...range.getClientRects()].filter((box) => box.width > 0 && box.height > 0);
  if (!boxes.length) continue;
  n += 1;
  const scale = of instanceof SVGElement ? of.getScreenCTM().a : 1;
  const size = parseFloat(getComputedStyle(of).fontSize) * scale;
  if (size < 11.95) wrong.add(`${size.toFixed(1)} px: ${called(of)}`);
  for (const box of boxes) {
    if (!of.closest('.scrolls') && (box.left < -0.5 || box.right > innerWidth + 0.5)) wrong.add(`beyond the page: ${called(of)}`);
    for (let around = of; around && around !== document.body; around = around.parentElement) {
      if (around.classList.contains('scrolls')) break;
      const style = getComputedStyle(around), edge = around.getBoundingClientRect();
      // Names of cards are cut after two lines in a wide window, with a sign; the whole one is their title.
      if (!isPhone && style.webkitLineClamp !== 'none') break;
      if (style.display === 'inline' || around instanceof SVGElement && around.tagName !== 'svg') continue;
      const isCut = (how, before, after) => how !== 'visible' && (before > 1.5 || after > 1.5);
      if (isCut(style.overflowX, edge.left - box.left, box.right - edge.right)
        || isCut(style.overflowY, edge.top - box.top, box.bottom - edge.bottom)) wrong.add(`cut off by ${called(around)}: ${called(of)}`);
    }
  }
}
if (n < 5) wrong.add(`only ${n} texts are shown`);
if (isPhone) {
  const found = document.querySelectorAll('a[href], button, summary, select, input:not([type=hidden]), [tabindex="0"]');
  const touched = [...new Set([...found].filter(isShown).map((one) => one.closest('label') || one))];
  if (touched.length < atLeast) wrong.add(`only ${touched.length} things can be touched`);
  for (const one of touched) {
    one.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const { left, top, width, height } = one.getBoundingClientRect();
    if (width < 24 || height < 24) wrong.add(`${width.toFixed(1)} x ${height.toFixed(1)} px: ${called(one)}`);
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    if (!hit || !(one.contains(hit) || hit.contains(one))) wrong.add(`covered by ${hit && called(hit)}: ${called(one)}`);
  }
  scrollTo(0, 0);
  const isPinned = (one) => one.closest('.player');
  const places = touched.filter((one) => !isPinned(one)).map((one) => [one, one.getBoundingClientRect()]);
  places.forEach(([one, a], at) => places.slice(at + 1).forEach(([other, b]) => {
    const isInside = one.contains(other) || other.contains(one);
    if (!isInside && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) {
      wrong.add(`${called(one)} lies over ${called(other)}`);
    }
  }));
}
return [...wrong];
"#;

/// Waits until pictures are there, also those that come when they are looked at.
const LOADED: &str = "for (const image of document.images) image.loading = 'eager'; \
    return [...document.images].every((image) => image.complete && image.naturalWidth > 0)";

fn shown(driver: &mut WebDriver, url: &str) {
    driver.act(&Action::Navigate { url: url.to_owned() }).unwrap();
    let is_loaded = |driver: &mut WebDriver| driver.evaluate(LOADED).unwrap() == "true";
    let end = std::time::Instant::now() + Duration::from_secs(20);
    vigorl_interface::wait_while(Some(end), Duration::from_millis(20), || !is_loaded(driver));
    assert!(is_loaded(driver), "a picture is missing in {url}");
}

fn asked(driver: &mut WebDriver, script: &str) -> Value {
    serde_json::from_str(&driver.evaluate(script).unwrap()).unwrap()
}

/// The page on a phone and in a wide window; `at_least` says how many things can be touched, and `drawn` what must be over a
/// picture.
#[track_caller]
fn check(url: &str, at_least: usize, drawn: &[Drawn<'_>]) {
    for (width, height) in [(390, 844), (1280, 900)] {
        let mut driver = browser(width, height);
        shown(&mut driver, url);
        let script = format!("const isPhone = {}, atLeast = {at_least};{WRONG}", width < 400);
        assert_eq!(asked(&mut driver, &script), json!([]), "{url} at {width} px");
        for drawn in drawn {
            drawn.check(&mut driver, url);
        }
    }
}

/// Something that is drawn over a picture.
struct Drawn<'a> {
    /// The picture.
    picture: &'a str,
    /// What of the screenshot it shows: left, top, right, bottom.
    window: [f64; 4],
    /// The mark.
    mark: &'a str,
    /// Left, top, right, bottom of the mark on the screenshot; a point has no size.
    at: [f64; 4],
}

impl Drawn<'_> {
    fn check(&self, driver: &mut WebDriver, url: &str) {
        let Self { picture, window: [left, top, right, bottom], mark, at } = self;
        let mut boxed = |what: &str| -> Vec<f64> {
            let script = format!(
                "const box = document.querySelector('{what}').getBoundingClientRect(); \
                 return [box.left, box.top, box.right, box.bottom]"
            );
            serde_json::from_value(asked(driver, &script)).unwrap()
        };
        let (boxed_picture, boxed_mark) = (boxed(picture), boxed(mark));
        let (width, height) = (boxed_picture[2] - boxed_picture[0], boxed_picture[3] - boxed_picture[1]);
        let x = |x: f64| boxed_picture[0] + (x - left) / (right - left) * width;
        let y = |y: f64| boxed_picture[1] + (y - top) / (bottom - top) * height;
        let is_point = at[0] == at[2];
        let (expected, found) = if is_point {
            let middle = [(boxed_mark[0] + boxed_mark[2]) / 2.0, (boxed_mark[1] + boxed_mark[3]) / 2.0];
            // The middle of the pixel.
            (vec![x(at[0] + 0.5), y(at[1] + 0.5)], middle.to_vec())
        } else {
            (vec![x(at[0]), y(at[1]), x(at[2]), y(at[3])], boxed_mark)
        };
        let apart = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart <= 1.6, "{mark} in {url}, {width} px wide: {found:?}, not {expected:?}");
    }
}

const SIZE: [u32; 2] = [1280, 800];

fn screenshot(color: [u8; 3], [width, height]: [u32; 2]) -> Arc<RgbImage> {
    let is_box = |x: u32, y: u32| x * 8 > width * 7 && y * 8 < height;
    Arc::new(RgbImage::from_fn(width, height, |x, y| Rgb(if is_box(x, y) { color } else { [246, 247, 251] })))
}

const LONG: &str = "https://shop.example.org/department/of/very/long/paths/with_a_name_without_any_place_to_break_it_anywhere?and=queries";

/// A run with all that a report can show, in the words of whoever breaks layouts.
fn wide_run(folder: &Path) -> PathBuf {
    let record = RunRecord {
        format: 1,
        task: format!("open {LONG} and read it"),
        model: ModelRecord {
            name: "a-policy-with-a-long-name-7b-instruct".to_owned(),
            ..ModelRecord::default()
        },
        input: InputRecord { attached: Some("127.0.0.1:9222".to_owned()), ..InputRecord::default() },
        started_at: "2026-01-01T12:00:00.000Z".to_owned(),
        ..RunRecord::default()
    };
    let mut dir = RunDir::create(folder, "wide", &record, &[]).unwrap();
    let mut step = 0;
    for episode in 1..=6 {
        let (name, success) = (format!("the button that {LONG} has in its corner"), episode % 2 == 0);
        let kind = if episode < 4 { "text button with a long kind" } else { "icon" };
        let labels = std::collections::BTreeMap::from([("kind".to_owned(), kind.to_owned())]);
        dir.event(&Event::EpisodeStarted { episode, name, labels, seed: Some(episode as u64) }).unwrap();
        for _ in 0..2 {
            step += 1;
            wide_step(&mut dir, step, episode);
        }
        let outcome = EpisodeRecord {
            success: Some(success),
            reward: Some(f64::from(success)),
            detail: Some(format!("the page shows no `{LONG}`")),
            target: Some([Plain(1120.0), Plain(20.0), Plain(1270.0), Plain(90.0)]),
            ..EpisodeRecord::default()
        };
        dir.event(&Event::EpisodeEnded { episode, outcome }).unwrap();
    }
    let summary = Summary {
        success: Some(false),
        n_steps: step,
        n_episodes: 6,
        n_success: 3,
        err_msg: Some(format!("cannot open `{LONG}`")),
        ..Summary::default()
    };
    dir.finish(&summary).unwrap()
}

fn wide_step(dir: &mut RunDir, step: usize, episode: usize) {
    let instruction = format!("click the button of {LONG}");
    dir.event(&Event::StepStarted { step, episode, instruction: instruction.clone() }).unwrap();
    dir.image(step, "before.png", &screenshot([59, 108, 246], SIZE)).unwrap();
    dir.event(&Event::Observed { step, image_size: SIZE }).unwrap();
    dir.image(step, "after.png", &screenshot([18, 161, 80], SIZE)).unwrap();
    dir.image(step, "crop_1.png", &screenshot([59, 108, 246], [280, 280])).unwrap();
    // Points near all edges, whose numbers must find room inside of a small picture.
    let thought = |text: &str, points: &[(f64, f64)]| ThoughtRecord {
        text: text.to_owned(),
        points: points.iter().map(|(x, y)| xy(*x, *y)).collect(),
    };
    let zooms = TurnRecord {
        completion: format!("<think> {LONG} </think>"),
        thoughts: vec![
            thought(&format!("It may be in {LONG}."), &[(1262.0, 15.0), (20.0, 400.0)]),
            thought("Or below.", &[(640.0, 785.0), (1200.0, 60.0), (1262.0, 780.0)]),
        ],
        zoom: Some(xy(1200.0, 60.0)),
        crop: Some([1000.0, 0.0, 1280.0, 280.0].map(Plain)),
        n_prompt_tokens: 123_456,
        n_cached_tokens: 120_000,
        n_completion_tokens: 1234,
        ..TurnRecord::default()
    };
    let answers =
        TurnRecord { thoughts: vec![thought("There it is.", &[(1210.0, 50.0)])], ..TurnRecord::default() };
    let model = GroundingRecord {
        turns: vec![zooms, answers],
        answer: Some(xy(1210.0, 50.0)),
        confidence: Some(0.37),
        decided_by: Some("the policy and the reader of text".to_owned()),
        ..GroundingRecord::default()
    };
    dir.json(step, "model.json", &model).unwrap();
    let line =
        LineRecord { text: LONG.to_owned(), rect: [1000.5, 20.0, 1270.5, 44.0].map(Plain), confidence: 0.9 };
    let before = Some(ReadingRecord { lines: vec![line; 3], unread: None });
    dir.json(step, "text.json", &TextRecord { before, after: None }).unwrap();
    let trouble =
        TroubleRecord { kind: TroubleKind::Console, text: format!("cannot load {LONG}"), n_times: 12 };
    let record = StepRecord {
        step,
        episode,
        instruction,
        action: Some(ActionRecord::Click { at: xy(1210.0, 50.0), button: MouseButton::Left, count: 1 }),
        effect: Effect::SuspectedNoop,
        detail: Some(format!("nothing changed; {LONG}")),
        verification: Verification::Unsatisfied,
        image_size: SIZE,
        n_changed_pixels: Some(1_234_567),
        url: Some(LONG.to_owned()),
        title: Some(LONG.to_owned()),
        dialog: Some(LONG.to_owned()),
        settled: false,
        troubles: vec![trouble; 4],
        n_more_troubles: 3,
        place: None,
        element: None,
        finding: Some("found".to_owned()),
        maps: MapsRecord::default(),
        millis: Timings {
            act: Plain(4321.0),
            settle: Plain(777.0),
            capture: Plain(99.0),
            ..Timings::default()
        },
    };
    dir.json(step, "action.json", &record).unwrap();
    let (effect, detail, dialog, millis) = (record.effect, None, None, Timings::default());
    dir.event(&Event::StepEnded { step, effect, detail, dialog, millis }).unwrap();
}

fn point<'a>(picture: &'a str, mark: &'a str, (x, y): (f64, f64)) -> Drawn<'a> {
    Drawn { picture, window: [0.0, 0.0, 1280.0, 800.0], mark, at: [x, y, x, y] }
}

fn file(path: &Path) -> String {
    format!("file://{}", path.canonicalize().unwrap().display())
}

/// What the first step of a wide run draws, and where.
fn drawn_in_a_step() -> Vec<Drawn<'static>> {
    let boxed = |mark, at| Drawn { at, ..point("#s1 .before", mark, (0.0, 0.0)) };
    vec![
        point("#s1 .before", "#s1 .stage .cross .core", (1210.0, 50.0)),
        point("#s1 .before", "#s1 .stage .pin .dot", (1262.0, 15.0)),
        boxed("#s1 .stage .truth", [1120.0, 20.0, 1270.0, 90.0]),
        boxed("#s1 .stage .window > rect", [1000.0, 0.0, 1280.0, 280.0]),
        Drawn {
            picture: "#s1 .tile img",
            window: [1000.0, 0.0, 1280.0, 280.0],
            mark: "#s1 .tile .cross .core",
            at: [1210.0, 50.0, 1210.0, 50.0],
        },
    ]
}

#[test]
fn the_report_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = wide_run(folder.path());
    let report = write_report(&run).unwrap();
    check(&file(&report), 20, &drawn_in_a_step());
    // The numbers of points near all edges are inside of the picture that a phone shows.
    let mut driver = browser(390, 844);
    shown(&mut driver, &file(&report));
    let outside = "const edge = document.querySelector('#s1 .stage').getBoundingClientRect(); \
        const all = [...document.querySelectorAll('#s1 .stage .badge')].map((badge) => badge.getBoundingClientRect()); \
        return [all.length, all.filter((b) => b.left < edge.left || b.right > edge.right || b.top < edge.top || b.bottom > edge.bottom).length]";
    assert_eq!(asked(&mut driver, outside), json!([6, 0]));
}

#[test]
fn the_pages_of_the_viewer() {
    let folder = tempfile::tempdir().unwrap();
    let wide = wide_run(folder.path());
    let other = wide_run(folder.path());
    two_runs(folder.path());
    train(&folder.path().join("icons"), 1..21);
    let broken = folder.path().join("a_run_that_cannot_be_read_because_its_record_is_damaged_somewhere");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("run.json"), "{").unwrap();
    let viewer = Viewer::start(&["."], folder.path());
    let at = |path: &str| format!("http://{}{path}", viewer.address);
    check(&at("/"), 15, &[]);
    check(&at("/?by=task"), 10, &[]);
    check(&at("/?q=click&ended=failures"), 5, &[]);
    check(&at("/?q=nothing+of+this+name"), 4, &[]);
    check(&at(&format!("/run/{}/", name(&wide))), 20, &drawn_in_a_step());
    let core = ".halves .stage .cross .core";
    let drawn = [point(".halves .stage .before", core, (1210.0, 50.0))];
    check(&at(&format!("/compare?a={}&b={}", name(&wide), name(&other))), 20, &drawn);
    check(&at("/training/icons/"), 2, &[]);
}

#[test]
fn the_report_of_a_suite() {
    let folder = tempfile::tempdir().unwrap();
    let page = "data:text/html,<title>Shop</title><button>Save</button>";
    let task = |name: &str, expect: &str| {
        let yaml = format!(
            "name: {name} {LONG}\ntags: [smoke, a-tag-with-a-long-name]\nstart: {{ url: '{page}' }}\n\
             steps: [{{ click: {{ what: the button, name: Save }} }}]\nexpect: [{{ title_contains: {expect} }}]\n"
        );
        fs::write(folder.path().join(format!("{}.yaml", name.replace(' ', "-"))), yaml).unwrap();
    };
    task("find the shop at", "Shop");
    task("lose the shop at", "no_such_title_can_be_seen_on_this_page_however_long_somebody_waits_for_it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(["run", "find-the-shop-at.yaml", "lose-the-shop-at.yaml", "--places", "--retries", "2"]);
    let output = command
        .args(["--report", "report"])
        .current_dir(folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    check(&file(&folder.path().join("report/index.html")), 10, &[]);
    // It leads to the reports of its runs.
    let runs = fs::read_dir(folder.path().join("report/runs")).unwrap().map(|entry| entry.unwrap().path());
    let reports: Vec<PathBuf> = runs.filter(|path| path.extension().is_some_and(|it| it == "html")).collect();
    assert!(!reports.is_empty());
    check(&file(&reports[0]), 5, &[]);
}

/// A training by reward whose log has long names and large numbers.
fn trained(root: &Path, seed: u64) -> Training {
    fs::create_dir_all(root).unwrap();
    let config =
        format!("[run]\nseed = {seed}\noutput_dir = \"{seed}\"\nsteps = 200000\n[grpo]\nnote = \"{LONG}\"\n");
    fs::write(root.join("config.toml"), config).unwrap();
    let line = |step: u64| {
        let mut line = json!({
            "step": step * 1000, "success/train": 0.5, "reward/mean": 0.25, "policy/kl": 0.0123, "time/secs": 3600 * step,
            "reward/term/a_term_with_a_long_name_that_cannot_be_broken": 0.9, "data/episodes": 123_456 * step,
        });
        if step.is_multiple_of(10) {
            line["heldout/icons/greedy"] = 0.5.into();
            line["heldout/icons/n"] = 100.into();
        }
        format!("{line}\n")
    };
    fs::write(root.join("metrics.jsonl"), (1..=100).map(line).collect::<String>()).unwrap();
    Training::read(root).unwrap()
}

#[test]
fn the_pages_of_trainings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a-training-with-a-long-name");
    trained(&root, 1);
    let report = write_training_report(&root).unwrap();
    check(&file(&report), 2, &[]);
    let members = [1, 2, 3].map(|seed| {
        let name = format!("a-training-with-a-long-name-{seed}");
        (name.clone(), trained(&folder.path().join(name), seed))
    });
    let compared = folder.path().join("compared.html");
    fs::write(&compared, render_training_comparison(&Comparison::of(members.into(), None))).unwrap();
    check(&file(&compared), 0, &[]);
    let tokens =
        |text: &str, class| Token { class, text: text.to_owned(), hint: Some("weight 0.5".to_owned()) };
    let part = ["Find ", "it: ", LONG, " at ", "(", "12", ",", " 34", ")"].map(|text| tokens(text, "good"));
    let block = TokenBlock {
        title: format!("stage one, {LONG}"),
        parts: vec![part.to_vec(), vec![tokens("x", "first")]],
    };
    let rows = folder.path().join("rows.html");
    fs::write(&rows, render_tokens("rows", &html! { "Tokens: " span.good { "good" } }, &[block])).unwrap();
    check(&file(&rows), 0, &[]);
    // What a pointer would show is told by a touch.
    let mut driver = browser(390, 844);
    shown(&mut driver, &file(&rows));
    let touch = "document.querySelector('.tokens span[title]').click(); return document.querySelector('.hint').textContent";
    assert_eq!(asked(&mut driver, touch), "weight 0.5");
}

#[test]
fn the_report_of_an_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let mut jpeg = Vec::new();
    let picture = image::DynamicImage::from((*screenshot([59, 108, 246], [640, 400])).clone());
    picture.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    let shot = |id: &str, outcome| Shot {
        id: format!("{id}/{LONG}"),
        run: Some("a run with a long name".to_owned()),
        instruction: format!("the button of {LONG}"),
        outcome,
        values: vec![
            ("platform".to_owned(), format!("{id} with a long name")),
            ("type".to_owned(), "icon".to_owned()),
        ],
        confidence: Some(0.9),
        target_share: Some(0.0125),
        millis: Some(1234.0),
        picture: Ok(jpeg.clone()),
        size: SIZE,
        targets: vec![vec![1120.0, 20.0, 1270.0, 90.0]],
        point: Some([1210.0, 50.0]),
        turns: vec![ShotTurn {
            text: format!("<think> {LONG} </think>"),
            points: vec![[640.0, 400.0]],
            crop: None,
        }],
        why: Some(format!("refused: {LONG}")),
    };
    let columns =
        ["set", "n", "all", "text", "icon", "desktop", "mobile", "web", "95 % interval", "as published"];
    let row = |name: &str| {
        let numbers = (1..columns.len()).map(|at| format!("{at}2.34 %"));
        std::iter::once(name.to_owned()).chain(numbers).collect::<Vec<_>>()
    };
    let page = EvaluationPage {
        title: format!("ScreenSpot of {LONG}"),
        facts: vec![
            ("weights".to_owned(), "0123456789abcdef".repeat(4)),
            ("n".to_owned(), "1,272".to_owned()),
        ],
        tables: vec![Table {
            caption: "by platform and type".to_owned(),
            head: columns.map(str::to_owned).to_vec(),
            rows: vec![row("a set with a long name"), row("another")],
            url: Some(LONG.to_owned()),
        }],
        notes: vec![format!("2 of 1272 items are broken: {LONG}")],
        items: vec![
            shot("one", "wrong"),
            shot("two", "correct"),
            Shot { picture: Err(LONG.to_owned()), ..shot("three", "error") },
        ],
        n_left_out: 7,
    };
    let path = folder.path().join("report.html");
    fs::write(&path, render_evaluation(&page)).unwrap();
    let drawn = [
        Drawn { at: [1120.0, 20.0, 1270.0, 90.0], ..point(".shot image", ".shot .truth", (0.0, 0.0)) },
        // A point of an evaluation lies on the corner of its pixel.
        point(".shot image", ".shot .answered.dot", (1209.5, 49.5)),
    ];
    check(&file(&path), 8, &drawn);
}
