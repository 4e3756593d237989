//! Practice pages in a real browser: what they say about themselves, how they judge, and that a tile of a
//! data set has the pixels of the live page.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

use image::RgbImage;
use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{Action, MouseButton};
use vigorl_tasks::practice::dataset::{Dataset, DatasetError, DatasetSpec, render_dataset};
use vigorl_tasks::practice::{
    Episode, Kind, Outcome, PageSpec, PracticeEnv, PracticeError, Reason, Split, Widget,
};
use vigorl_webdriver::{Options, WebDriver};

fn browser(width: u32, height: u32) -> WebDriver {
    WebDriver::start(Options::headless(width, height)).unwrap()
}

/// Clicks at a CSS pixel; the device pixel ratio is 1 in all tests that click.
fn click(env: &mut PracticeEnv<'_>, x: i32, y: i32, button: MouseButton) -> Outcome {
    let at = Point::<Screen>::new(x.into(), y.into());
    env.driver().act(&Action::Click { at, button, count: 1 }).unwrap();
    env.outcome().unwrap()
}

/// A pixel of the page in no widget.
fn empty_pixel(episode: &Episode) -> (i32, i32) {
    let canvas = episode.page.spec.canvas;
    let pixels = (0..canvas.height as i32).flat_map(|y| (0..canvas.width as i32).map(move |x| (x, y)));
    let point = |(x, y): (i32, i32)| Point::new(x.into(), y.into());
    let free =
        |at: &(i32, i32)| episode.page.widgets.iter().all(|w| !w.bounds.in_viewport().contains(point(*at)));
    pixels.into_iter().find(free).unwrap()
}

/// Whether the widget's own color fills enough of its box, and stands in its middle if it is a shape.
fn shows_its_color(pixels: &RgbImage, widget: &Widget) -> bool {
    let b = widget.bounds;
    let at = |x: i32, y: i32| pixels.get_pixel(x as u32, y as u32).0;
    let n = (b.top..b.bottom).flat_map(|y| (b.left..b.right).map(move |x| (x, y)));
    let n = n.filter(|(x, y)| at(*x, *y) == widget.rgb).count() as i32;
    let middle = at((b.left + b.right) / 2, (b.top + b.bottom) / 2) == widget.rgb;
    match widget.kind {
        Kind::Icon => middle && n * 20 >= b.width() * b.height(),
        _ => n >= b.short_side() / 4,
    }
}

#[test]
fn pages_are_where_and_what_they_say() {
    let mut driver = browser(192, 160);
    let mut env = PracticeEnv::new(&mut driver);
    let specs = |seed| [PageSpec::icons(seed, Split::HeldOut), PageSpec::words(seed, Split::Train, 160)];
    for spec in (0..40).flat_map(specs) {
        let episode = env.reset(&spec).unwrap();
        let boxes: Vec<Rect<_>> = episode.page.widgets.iter().map(|w| w.bounds.in_viewport()).collect();
        assert_eq!(env.boxes().unwrap(), boxes, "{episode:?}");
        let screenshot = env.driver().screenshot().unwrap();
        for widget in episode.page.widgets.iter().filter(|w| w.color.is_some()) {
            assert!(shows_its_color(&screenshot.pixels, widget), "{widget:?} of {spec:?}");
        }
        let overflow = env.driver().evaluate(
            "return [...document.querySelectorAll('span, input')].filter((e) => e.scrollWidth > e.clientWidth).length;",
        );
        assert_eq!(overflow.unwrap(), "0", "a word does not fit its box: {episode:?}");
    }
}

#[test]
fn the_first_real_click_decides() {
    let mut driver = browser(192, 160);
    let mut env = PracticeEnv::new(&mut driver);
    for seed in 0..12 {
        let spec = match seed % 2 {
            0 => PageSpec::icons(seed, Split::HeldOut),
            _ => PageSpec::words(seed, Split::HeldOut, 40),
        };
        let episode = env.reset(&spec).unwrap();
        assert_eq!(episode.instruction, episode.page.tasks[0].instruction);
        let undecided = Outcome { reward: 0.0, done: false, reason: Reason::Undecided, clicked: None };
        assert_eq!(env.outcome().unwrap(), undecided);

        let target = episode.page.tasks[0].target;
        let script = format!("document.querySelectorAll('[data-widget]')[{target}].click();");
        env.driver().evaluate(&script).unwrap();
        assert_eq!(env.outcome().unwrap(), undecided, "a click made by a script counted");

        let b = episode.page.target().bounds;
        let (x, y) = if seed % 4 < 2 { (b.left, b.top) } else { (b.right - 1, b.bottom - 1) };
        let hit = Outcome { reward: 1.0, done: true, reason: Reason::Hit, clicked: Some(target) };
        assert_eq!(click(&mut env, x, y, MouseButton::Left), hit, "{episode:?}");
        let (x, y) = empty_pixel(&episode);
        assert_eq!(click(&mut env, x, y, MouseButton::Left), hit, "a later click changed the verdict");

        let again = env.reset(&spec).unwrap();
        let miss = Outcome { reward: 0.0, done: true, reason: Reason::Miss, clicked: None };
        assert_eq!(click(&mut env, x, y, MouseButton::Left), miss, "{again:?}");
        assert_eq!(click(&mut env, b.left, b.top, MouseButton::Left), miss, "a second try counted");

        env.reset(&spec).unwrap();
        let other = (0..episode.page.widgets.len()).find(|i| *i != target).unwrap();
        let o = episode.page.widgets[other].bounds;
        let wrong = Outcome { clicked: Some(other), ..miss };
        assert_eq!(click(&mut env, o.left + 1, o.top + 1, MouseButton::Left), wrong);

        env.reset(&spec).unwrap();
        let right = Outcome { reason: Reason::WrongButton, clicked: Some(target), ..miss };
        assert_eq!(click(&mut env, b.left, b.top, MouseButton::Right), right);
    }
}

/// How many pixels of the screen have exactly this color.
fn n_pixels_of(env: &mut PracticeEnv<'_>, color: [u8; 3]) -> usize {
    env.driver().screenshot().unwrap().pixels.pixels().filter(|pixel| pixel.0 == color).count()
}

#[test]
fn the_page_shows_its_verdict_and_only_after_it() {
    const GREEN: [u8; 3] = [10, 143, 60];
    const RED: [u8; 3] = [208, 20, 20];
    let mut driver = browser(192, 160);
    let mut env = PracticeEnv::new(&mut driver);
    let spec = PageSpec::icons(4, Split::HeldOut);
    let episode = env.reset(&spec).unwrap();
    let b = episode.page.target().bounds;
    let before = env.driver().screenshot().unwrap();
    env.reset(&spec).unwrap();
    assert_eq!(env.driver().screenshot().unwrap().pixels, before.pixels, "nothing is drawn before a click");
    let (green, red) = (n_pixels_of(&mut env, GREEN), n_pixels_of(&mut env, RED));
    click(&mut env, b.left, b.top, MouseButton::Left);
    assert!(n_pixels_of(&mut env, GREEN) >= green + 50, "a hit is green");
    env.reset(&spec).unwrap();
    let (x, y) = empty_pixel(&episode);
    click(&mut env, x, y, MouseButton::Left);
    assert!(n_pixels_of(&mut env, RED) >= red + 30, "a miss is red");
    assert_eq!(env.boxes().unwrap().len(), episode.page.widgets.len(), "the mark is no widget");
}

#[test]
fn what_keeps_the_page_from_judging_is_an_error() {
    let mut driver = browser(192, 160);
    let mut env = PracticeEnv::new(&mut driver);
    let other_size = env.reset(&PageSpec::icons(0, Split::Train).on_canvas(96, 96));
    assert!(matches!(other_size, Err(PracticeError::Viewport { .. })), "{other_size:?}");

    env.reset(&PageSpec::icons(0, Split::Train)).unwrap();
    let elsewhere = Action::Navigate { url: "data:text/html,elsewhere".to_owned() };
    env.driver().act(&elsewhere).unwrap();
    let outcome = env.outcome();
    assert!(matches!(outcome, Err(PracticeError::NoAnswer { .. })), "{outcome:?}");
    // The next episode finds its way back.
    env.reset(&PageSpec::icons(1, Split::Train)).unwrap();
    assert!(!env.outcome().unwrap().done);
}

#[test]
fn tiles_have_the_pixels_of_the_live_page() {
    let folder = tempfile::tempdir().unwrap();
    let full = PageSpec::icons(0, Split::HeldOut);
    let sets = [
        ("icons", full),
        ("words", PageSpec::words(0, Split::Train, 160)),
        ("large", full.on_canvas(320, 240)),
    ];
    let mut wide = browser(1000, 700);
    for (name, first) in sets {
        let folder = folder.path().join(name);
        let spec = DatasetSpec { first, pages: 40 };
        render_dataset(&mut wide, &spec, &folder, &mut |_| {}).unwrap();
        let dataset = Dataset::open(&folder).unwrap();
        assert_eq!(dataset.len(), 40);

        let mut driver = browser(first.canvas.width, first.canvas.height);
        let mut env = PracticeEnv::new(&mut driver);
        for (i, record) in dataset.records().iter().enumerate() {
            let episode = env.reset(&record.spec).unwrap();
            assert_eq!((&record.widgets, &record.tasks), (&episode.page.widgets, &episode.page.tasks));
            let live = env.driver().screenshot().unwrap();
            let tile = dataset.image(i).unwrap();
            let differing = live.pixels.pixels().zip(tile.pixels()).filter(|(a, b)| a != b).count();
            assert_eq!((live.pixels.dimensions(), differing), (tile.dimensions(), 0), "{name} {i}");
        }
    }
}

#[test]
fn a_rendering_continues_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let spec = DatasetSpec { first: PageSpec::icons(7, Split::Train), pages: 9 };
    let mut driver = browser(400, 330);
    let mut seen = Vec::new();
    render_dataset(&mut driver, &spec, folder, &mut |progress| seen.push(progress.done)).unwrap();
    assert_eq!(seen, [0, 4, 8, 9]);
    let records = std::fs::read(folder.join("pages.jsonl")).unwrap();
    let sheet = std::fs::read(folder.join("sheet-00001.png")).unwrap();

    // As if it had been interrupted while the records of the second sheet were written.
    let lines: Vec<_> = records.split_inclusive(|byte| *byte == b'\n').collect();
    let torn = [lines[..5].concat(), lines[5][..40].to_vec()].concat();
    std::fs::write(folder.join("pages.jsonl"), torn).unwrap();
    std::fs::remove_file(folder.join("sheet-00001.png")).unwrap();
    seen.clear();
    render_dataset(&mut driver, &spec, folder, &mut |progress| seen.push(progress.done)).unwrap();
    assert_eq!(seen, [4, 8, 9]);
    assert!(std::fs::read(folder.join("pages.jsonl")).unwrap() == records, "other records");
    assert!(std::fs::read(folder.join("sheet-00001.png")).unwrap() == sheet, "another sheet");

    let other = DatasetSpec { first: PageSpec::icons(8, Split::Train), pages: 9 };
    let refused = render_dataset(&mut driver, &other, folder, &mut |_| {});
    assert!(matches!(refused, Err(DatasetError::OtherSpec { .. })), "{refused:?}");

    // A cache of one byte holds one sheet at a time.
    let dataset = Dataset::open_with_cache(folder, 1).unwrap();
    let first = dataset.image(0).unwrap();
    assert!(dataset.image(8).unwrap() != first);
    assert!(dataset.image(0).unwrap() == first);
}

#[test]
fn boxes_of_a_data_set_are_pixels_of_its_images() {
    let folder = tempfile::tempdir().unwrap();
    let device_pixel_ratio = DevicePixelRatio::new(2.0).unwrap();
    let mut driver = WebDriver::start(Options { device_pixel_ratio, ..Options::headless(400, 330) }).unwrap();
    let first = PageSpec::icons(3, Split::Train);
    render_dataset(&mut driver, &DatasetSpec { first, pages: 4 }, folder.path(), &mut |_| {}).unwrap();
    let dataset = Dataset::open(folder.path()).unwrap();
    for (i, record) in dataset.records().iter().enumerate() {
        let image = dataset.image(i).unwrap();
        assert_eq!(image.dimensions(), (384, 320));
        for widget in record.widgets.iter().filter(|w| w.color.is_some()) {
            assert!(shows_its_color(&image, widget), "{widget:?}");
        }
    }
}
