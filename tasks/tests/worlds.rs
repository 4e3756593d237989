//! Worlds as environments: what a reset leaves of the episode before, what a task reads, and a world of one picture.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use vigorl_geometry::{DevicePixelRatio, Point, Rect};
use vigorl_interface::{Act, Action, Screenshot};
use vigorl_tasks::picture::PictureWorld;
use vigorl_tasks::scripted::{Ended, Opened, Script, ScriptedTask, ScriptedWorld, Surroundings, What};
use vigorl_tasks::{Allowance, Blind, Environment, Performed, Verification};
use vigorl_webdriver::{Options, WebDriver};

const SETTLE: Duration = Duration::from_secs(5);

/// Serves a page that shows what the browser remembers of the last time, and then makes it remember something.
fn forgetful_server() -> String {
    const PAGE: &str = "<!doctype html><title>Home</title><p id=seen></p><p id=order>no. 4711</p><input id=field><input type=password id=secret value=hunter2>
        <script>seen.textContent = [document.cookie, localStorage.length, sessionStorage.length, history.length].join('|');
        document.cookie = 'who=me; max-age=9999'; localStorage.a = 1; sessionStorage.b = 2; history.pushState(1, '', '#x');
        indexedDB.open('kept');</script>";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _n_read = stream.read(&mut request).unwrap_or(0);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
            write!(stream, "{head} {}\r\n\r\n{PAGE}", PAGE.len()).ok();
        }
    });
    url
}

fn task(steps: &str, expect: &str) -> ScriptedTask {
    let yaml = format!("name: n\nstart: {{}}\nsteps: [{steps}]\nexpect: [{expect}]\n");
    let mut task = ScriptedTask::parse(&yaml).unwrap();
    task.fill(&BTreeMap::new(), &|_| None).unwrap();
    task
}

#[test]
fn a_reset_keeps_the_browser_and_nothing_of_the_episode_before() {
    let (url, task, n_opened) =
        (forgetful_server(), task("press: Enter", "title_contains: Home"), Cell::new(0));
    let open = || {
        n_opened.set(n_opened.get() + 1);
        let driver = WebDriver::start(Options::headless(400, 300))?;
        Ok(Opened { driver: Box::new(driver), version: "a browser".to_owned() })
    };
    let never = || false;
    let (folder, url) = (PathBuf::from("."), Some(url));
    let mut world = ScriptedWorld::start(
        Cow::Borrowed(&task),
        Surroundings::in_folder(folder),
        url,
        SETTLE,
        &never,
        Box::new(open),
    )
    .unwrap();
    for episode in 0..3 {
        world.reset(episode).unwrap();
        let driver = world.driver().unwrap();
        let seen = driver.evaluate("return seen.textContent").unwrap();
        assert_eq!(
            seen, "\"|0|0|2\"",
            "episode {episode}: cookie, two storages, history with the blank page"
        );
        // The page asks for it, and gets it a while later.
        let kept = "return (async () => { for (let n = 0; n < 100; n++) { \
                        const all = await indexedDB.databases(); \
                        if (all.length) return all.map((one) => one.name); \
                        await new Promise((next) => setTimeout(next, 20)); \
                    } return []; })()";
        assert_eq!(driver.evaluate(kept).unwrap(), "[\"kept\"]", "the page made it itself");
        assert_eq!(driver.tabs().unwrap().len(), 1);
        driver.act(&Action::OpenTab).unwrap();
        driver
            .act(&Action::Navigate { url: "data:text/html,<script>alert('left open')</script>".to_owned() })
            .ok();
        let verdict = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
        assert_ne!(verdict.verification, Verification::Satisfied, "a dialog covers another page");
    }
    assert_eq!(n_opened.get(), 1, "it is the same browser");
}

#[test]
fn each_reset_puts_back_what_the_task_begins_with_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let url = forgetful_server();
    let origin = url.trim_end_matches('/').to_owned();
    let state = format!(
        r#"{{ "cookies": [{{ "name": "sid", "value": "k7", "domain": "127.0.0.1", "path": "/", "expires": -1 }},
            {{ "name": "old", "value": "gone", "domain": "127.0.0.1", "path": "/", "expires": 1000 }}],
            "origins": [{{ "origin": "{origin}", "localStorage": [{{ "name": "x", "value": "1" }}, {{ "name": "y", "value": "2" }}] }}] }}"#
    );
    std::fs::write(folder.path().join("state.json"), state).unwrap();
    let mut task = task("press: Enter", "title_contains: Home");
    task.start.storage = Some("state.json".to_owned());
    let open = || {
        let driver = WebDriver::start(Options::headless(400, 300))?;
        Ok(Opened { driver: Box::new(driver), version: String::new() })
    };
    let (never, at) = (|| false, folder.path().to_owned());
    let mut world = ScriptedWorld::start(
        Cow::Borrowed(&task),
        Surroundings::in_folder(at),
        Some(url),
        SETTLE,
        &never,
        Box::new(open),
    )
    .unwrap();
    for episode in 0..3 {
        world.reset(episode).unwrap();
        let driver = world.driver().unwrap();
        let seen = driver.evaluate("return seen.textContent").unwrap();
        assert_eq!(
            seen, "\"sid=k7|2|0|2\"",
            "episode {episode}: no tab and no page of its own is left behind"
        );
        assert_eq!(driver.tabs().unwrap().len(), 1);
        // What an episode changes is changed for itself.
        driver.evaluate("document.cookie = 'sid=other'; localStorage.clear()").unwrap();
    }
    std::fs::write(folder.path().join("state.json"), "{ \"cookies\": [").unwrap();
    let broken = world.reset(3).unwrap_err().to_string();
    assert!(broken.contains("state.json`: it ends in line 1"), "{broken}");
}

#[test]
fn what_a_step_reads_is_used_by_later_steps_and_by_the_clauses() {
    let read = |of: &str, name: &str| format!("read: {{ of: {of}, into: {name} }}");
    let steps = [
        read("{ element: { selector: '#order' } }", "order"),
        read("title", "title"),
        "type: '${order} at ${title}'".to_owned(),
        read("{ element: { selector: '#secret' } }", "password"),
    ];
    let steps = steps.map(|step| format!("{{{step}}}")).join(", ");
    let task = task(&steps, "text_visible: '${order}', title_contains: '${title}'");
    let open = || {
        let driver = WebDriver::start(Options::headless(400, 300))?;
        Ok(Opened { driver: Box::new(driver), version: String::new() })
    };
    let (url, never) = (Some(forgetful_server()), || false);
    let mut world = ScriptedWorld::start(
        Cow::Borrowed(&task),
        Surroundings::in_folder("."),
        url,
        SETTLE,
        &never,
        Box::new(open),
    )
    .unwrap();
    world.reset(0).unwrap();
    let early = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
    assert_eq!((early.verification, early.reward), (Verification::Unknown, None));
    assert!(early.detail.unwrap().contains("nothing was read into `order` yet"));
    let surroundings = world.surroundings().clone();
    let mut script = Script::new(&task, &surroundings);
    let (mut last, mut typed, mut refused) = (None, String::new(), String::new());
    while let Some(line) = script.next(last).unwrap() {
        last = Some(match line.what {
            What::Read(read) => match world.read(&read, &mut Blind).unwrap() {
                Ok(text) => {
                    script.keep(&read.into, text);
                    Ended::Done
                }
                Err(reason) => {
                    refused = reason;
                    Ended::NotDone
                }
            },
            What::Act(Act::Type { text }) => {
                typed = text;
                Ended::Done
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(typed, "no. 4711 at Home");
    assert!(refused.contains("is a password field, which is never read"), "{refused}");
    let verdict = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
    assert_eq!((verdict.verification, verdict.reward), (Verification::Satisfied, Some(1.0)));
}

#[test]
fn a_picture_is_a_world_whose_first_click_decides() {
    let pixels = Arc::new(RgbImage::new(100, 80));
    let screenshot = Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() };
    let mut world = PictureWorld::new(screenshot, "the box", vec![Rect::new(10.0, 10.0, 20.0, 20.0)]);
    let click = |x: f64, y: f64| Action::click(Point::new(x, y));
    let mut play = |acts: &[Action]| {
        let start = world.reset(5).unwrap();
        assert_eq!((start.goal.as_str(), start.seed), ("the box", Some(5)));
        let performed: Vec<Performed> = acts.iter().map(|act| world.perform(act).unwrap()).collect();
        let verdict = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
        (performed, verdict.verification, verdict.reward)
    };
    let (done, hit, reward) = play(&[click(15.0, 15.0), click(50.0, 50.0)]);
    assert_eq!((done, hit, reward), (vec![Performed::Done; 2], Verification::Satisfied, Some(1.0)));
    assert_eq!(play(&[click(50.0, 50.0), click(15.0, 15.0)]).1, Verification::Unsatisfied);
    assert_eq!(play(&[]).2, Some(0.0));
    let (refused, ..) = play(&[click(150.0, 15.0), Action::Back]);
    assert!(refused.iter().all(|performed| matches!(performed, Performed::Refused(_))), "{refused:?}");
}
