//! `vigorl view` from outside: what it answers, what it refuses, how it ends, and its pages in a real browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod world;
mod written;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;

use std::process::Command;
use std::time::{Duration, Instant};

use vigorl_interface::{Action, Driver, Effect};
use vigorl_runs::record::{RunRecord, Summary};

use world::browser;
use written::{Viewer, Writing, name, train, two_runs, xy};

#[test]
fn runs_are_listed_shown_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let [good, bad] = two_runs(&folder.path().join("runs"));
    // Where runs are recorded, unless told otherwise.
    let viewer = Viewer::start(&[], folder.path());
    let (status, list) = viewer.get("/");
    assert_eq!(status, 200);
    for words in [name(&good), name(&bad), "✓ solved", "✗ not solved", "failures 1", "2026-01-01 12:00 UTC"]
    {
        assert!(list.contains(words), "{words}");
    }
    let (status, run) = viewer.get(&format!("/run/{}/", name(&good)));
    assert_eq!(status, 200);
    for words in ["the &lt;blue&gt; box", "step 1 of 2", r#"src="steps/0002/after.png""#] {
        assert!(run.contains(words), "{words}");
    }
    assert!(!run.contains("<blue>") && !run.contains("data-follow"));
    let picture = format!("/run/{}/steps/0001/before.png", name(&good));
    let (status, png) = viewer.ask("GET", &picture, "localhost");
    assert_eq!((status, png), (200, fs::read(good.join("steps/0001/before.png")).unwrap()));
    assert_eq!(viewer.ask("HEAD", &picture, "localhost"), (200, Vec::new()));
    let (status, both) = viewer.get(&format!("/compare?a={}&b={}", name(&good), name(&bad)));
    assert_eq!(status, 200);
    for words in ["1 of 1 episodes end differently · 2 of 3 steps differ", "points 120 px apart", "only in B"]
    {
        assert!(both.contains(words), "{words}");
    }
}

#[test]
fn nothing_but_runs_is_served_and_only_to_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let [good, bad] = two_runs(&runs);
    fs::write(folder.path().join("secret.png"), "secret").unwrap();
    symlink(folder.path().join("secret.png"), bad.join("steps/0001/crop_9.png")).unwrap();
    symlink(folder.path(), runs.join("out")).unwrap();
    let viewer = Viewer::start(&["runs"], folder.path());
    let run = format!("/run/{}", name(&good));
    for target in [
        "/../secret.png".to_owned(),
        "/run/../secret.png".to_owned(),
        "/run/%2e%2e/secret.png".to_owned(),
        "/run/out/".to_owned(),
        format!("{run}/run.json"),
        format!("{run}/events.jsonl"),
        format!("{run}/steps/0001/model.json"),
        format!("{run}/steps/0001/../../../../secret.png"),
        format!("{run}/steps/0001/..%2f..%2f..%2f..%2fsecret.png"),
        format!("{run}/steps/0009/before.png"),
    ] {
        assert_eq!(viewer.get(&target).0, 404, "{target}");
    }
    let linked = viewer.get(&format!("/run/{}/steps/0001/crop_9.png", name(&bad)));
    assert!(linked.0 == 403 && !linked.1.contains("secret\n"), "{linked:?}");
    assert_eq!(viewer.get(&format!("/run/{}/", name(&bad))).0, 403, "a link leads out of it");
    assert!(!viewer.get("/").1.contains("/run/out/"));

    for host in ["example.org", "127.0.0.1.example.org", ""] {
        assert_eq!(viewer.ask("GET", "/", host).0, 403, "{host}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(viewer.ask(method, "/", "localhost").0, 405, "{method}");
    }
    let port = viewer.address.rsplit(':').next().unwrap();
    let addresses = Command::new("hostname").arg("-I").output().map(|output| output.stdout);
    let addresses = String::from_utf8(addresses.unwrap_or_default()).unwrap();
    for address in addresses.split_whitespace().filter(|address| address.contains('.')) {
        assert!(TcpStream::connect(format!("{address}:{port}")).is_err(), "{address} answers");
    }
}

#[test]
fn ctrl_c_ends_it_with_exit_code_130() {
    let folder = tempfile::tempdir().unwrap();
    let [good, _] = two_runs(&folder.path().join("runs"));
    let mut viewer = Viewer::start(&[good.to_str().unwrap()], folder.path());
    assert_eq!(viewer.url, format!("http://{}/run/{}/", viewer.address, name(&good)));
    // Connections on which nothing is said keep nobody waiting, and it from ending.
    let _silent: Vec<TcpStream> = (0..24).map(|_| TcpStream::connect(&viewer.address).unwrap()).collect();
    assert_eq!(viewer.get(&format!("/run/{}/", name(&good))).0, 200);
    Command::new("kill").args(["-INT", &viewer.child.id().to_string()]).status().unwrap();
    let clock = Instant::now();
    assert_eq!(viewer.child.wait().unwrap().code(), Some(130));
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
}

#[test]
fn a_folder_that_is_not_there_and_a_port_that_is_taken_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let view = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        let output = command.arg("view").args(args).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = view(&["nowhere"]);
    assert!(code == Some(2) && said.contains("`nowhere`") && said.contains("vigorl demo"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = view(&[".", "--port", &port]);
    assert!(code == Some(1) && said.contains(&format!("port {port}")), "{said}");
}

/// Asks the page until it answers as expected.
#[track_caller]
fn until(driver: &mut dyn Driver, script: &str, expect: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        // While a page loads itself again there is none to ask.
        let answer = driver.evaluate(script).unwrap_or_default();
        if answer == expect {
            return;
        }
        assert!(Instant::now() < end, "{script}: {answer}, not {expect}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SHOWN: &str = "return document.querySelector('.player output').textContent + ' ' + \
    [...document.querySelectorAll('.step')].filter((step) => step.checkVisibility()).map((step) => step.id)";

fn press(what: &str, then: &str) -> String {
    format!("document.querySelector('{what}').click(); {then}")
}

#[test]
fn a_run_is_walked_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let [_, bad] = two_runs(folder.path());
    let viewer = Viewer::start(&[bad.to_str().unwrap()], folder.path());
    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: viewer.url.clone() }).unwrap();
    let ask = |driver: &mut dyn Driver, script: &str| driver.evaluate(script).unwrap();
    assert_eq!(ask(&mut driver, SHOWN), "\"step 1 of 3 s1,s2,s3\"");
    assert_eq!(ask(&mut driver, &press("[data-go=\"1\"]", SHOWN)), "\"step 2 of 3 s2\"");
    let key = |name: &str| {
        format!(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{name}', bubbles: true}})); {SHOWN}"
        )
    };
    assert_eq!(ask(&mut driver, &key("ArrowRight")), "\"step 3 of 3 s3\"");
    assert_eq!(ask(&mut driver, &key("ArrowRight")), "\"step 3 of 3 s3\"");
    assert_eq!(ask(&mut driver, &key("ArrowLeft")), "\"step 2 of 3 s2\"");
    let slide = format!(
        "const slider = document.querySelector('.player input'); slider.value = 1; \
         slider.dispatchEvent(new Event('input')); {SHOWN}"
    );
    assert_eq!(ask(&mut driver, &slide), "\"step 1 of 3 s1\"");
    assert_eq!(ask(&mut driver, "return location.hash"), "\"#step-1\"");
    let loaded = "const image = document.querySelector('.step.current .before'); return image.complete && image.naturalWidth";
    until(&mut driver, loaded, "320");
    // It plays to its end by itself and stops there.
    ask(&mut driver, &press("[data-do=film]", "return 0"));
    until(&mut driver, SHOWN, "\"step 3 of 3 s3\"");
    until(&mut driver, "return document.querySelector('[data-do=film]').textContent", "\"Play\"");
    assert_eq!(ask(&mut driver, &press("[data-do=list]", SHOWN)), "\"step 3 of 3 s1,s2,s3\"");
}

#[test]
fn a_run_that_goes_on_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Writing::begin(folder.path(), "goes on");
    run.step(xy(80.0, 50.0), Effect::Confirmed);
    run.step(xy(80.0, 50.0), Effect::Confirmed);
    let viewer = Viewer::start(&[run.dir.path().to_str().unwrap()], folder.path());
    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: viewer.url.clone() }).unwrap();
    let verdict = "return document.querySelector('.verdict').innerText.replace(/\\s+/g, ' ')";
    assert_eq!(driver.evaluate(verdict).unwrap(), "\"… unfinished\"");
    assert_eq!(driver.evaluate(&press("[data-go=\"1\"]", SHOWN)).unwrap(), "\"step 2 of 2 s2\"");
    run.step(xy(90.0, 50.0), Effect::Confirmed);
    // Whoever looks at the last step sees the newest one.
    until(&mut driver, SHOWN, "\"step 3 of 3 s3\"");
    run.end(true);
    until(&mut driver, verdict, "\"✓ solved\"");
    assert_eq!(driver.evaluate(SHOWN).unwrap(), "\"step 3 of 3 s3\"");
    assert_eq!(driver.evaluate("return document.body.dataset.follow ?? null").unwrap(), "null");
}

#[test]
fn the_list_filters_failures_and_leads_to_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let [good, bad] = two_runs(folder.path());
    let viewer = Viewer::start(&["."], folder.path());
    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: viewer.url.clone() }).unwrap();
    let rows =
        "return [...document.querySelectorAll('tr.run')].filter((row) => row.checkVisibility()).length";
    assert_eq!(driver.evaluate(rows).unwrap(), "2");
    driver.evaluate(&press(".found a[href*=failures]", "return 0")).unwrap();
    until(&mut driver, rows, "1");
    // A run that begins appears by itself, and the filter stays; what is marked here would be gone with the page.
    driver.evaluate("window.marked = true; return 0").unwrap();
    let mut third = Writing::begin(folder.path(), "third");
    third.step(xy(1.0, 1.0), Effect::SuspectedNoop);
    third.end(false);
    until(&mut driver, rows, "2");
    assert_eq!(driver.evaluate("return window.marked && location.search").unwrap(), "\"?ended=failures\"");
    driver.evaluate(&press(".found a[href=\"/\"]", "return 0")).unwrap();
    until(&mut driver, rows, "3");
    let choose = format!(
        "for (const [side, run] of [['a', '{}'], ['b', '{}']]) \
           document.querySelector(`input[name=${{side}}][value='${{run}}']`).checked = true; \
         document.querySelector('form[action=\"/compare\"]').requestSubmit(); return 0",
        name(&good),
        name(&bad)
    );
    driver.evaluate(&choose).unwrap();
    let rows = "return [...document.querySelectorAll('.row')].filter((row) => row.checkVisibility()).length";
    until(&mut driver, rows, "3");
    assert_eq!(driver.evaluate(&press("[data-do=differences]", rows)).unwrap(), "2");
    let pictures = "return [...document.querySelectorAll('.row:not(.same) .before')] \
                    .every((image) => { image.loading = 'eager'; return image.complete && image.naturalWidth === 320; })";
    until(&mut driver, pictures, "true");
}

#[test]
fn the_list_is_searched_while_one_types_and_the_address_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    for (task, success) in [("open the door", true), ("open the window", false), ("shut the door", false)] {
        let mut run = Writing::begin(folder.path(), task);
        run.step(xy(80.0, 50.0), Effect::Confirmed);
        run.end(success);
    }
    let viewer = Viewer::start(&["."], folder.path());
    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: viewer.url.clone() }).unwrap();
    let shown = "return [location.search, [...document.querySelectorAll('.found .name a')].map((a) => a.textContent).sort().join(), \
                 document.activeElement.name ?? '', document.querySelector('.find input').value].join(' | ')";
    let key = |driver: &mut dyn Driver, text: &str| {
        driver.act(&Action::Type { text: text.to_owned() }).unwrap();
    };
    // The key of the search, which is not written into it.
    key(&mut driver, "/");
    key(&mut driver, "DOOR");
    until(&mut driver, shown, "\"?q=DOOR | open the door,shut the door | q | DOOR\"");
    driver.evaluate(&press(".found a[href*=failures]", "return 0")).unwrap();
    until(&mut driver, shown, "\"?q=DOOR&ended=failures | shut the door |  | DOOR\"");
    // What else is chosen stays while one goes on typing.
    key(&mut driver, "/");
    key(&mut driver, "the");
    until(&mut driver, shown, "\"?q=the&ended=failures | open the window,shut the door | q | the\"");
    // Whoever is sent the address sees the same, also where no script runs.
    let (status, same) = viewer.get("/?q=the&ended=failures");
    assert_eq!(status, 200);
    assert!(same.contains(">shut the door</a>") && !same.contains(">open the door</a>"), "{same}");
    let (_, tasks) = viewer.get("/?by=task&q=door");
    assert!(tasks.contains("href=\"/?q=door&amp;task=shut%20the%20door\""), "{tasks}");
    for target in ["/?ended=never", "/?part=0", "/?q=%zz"] {
        assert_eq!(viewer.get(target).0, 404, "{target}");
    }
}

#[test]
fn of_two_thousand_runs_a_part_is_shown_and_each_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..2000 {
        let root = folder.path().join(format!("run-{n:04}"));
        fs::create_dir(&root).unwrap();
        let record = RunRecord {
            task: format!("task {}", n % 40),
            started_at: format!("2026-01-01T{:02}:{:02}:00.000Z", n / 60 % 24, n % 60),
            ..RunRecord::default()
        };
        let summary = Summary { success: Some(n % 5 > 0), n_steps: 1, n_episodes: 1, ..Summary::default() };
        fs::write(root.join("run.json"), serde_json::to_vec(&record).unwrap()).unwrap();
        fs::write(root.join("summary.json"), serde_json::to_vec(&summary).unwrap()).unwrap();
        fs::write(root.join("events.jsonl"), "").unwrap();
        // What is new might change without another time.
        let an_hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        for path in ["run.json", "summary.json", "events.jsonl", ""].map(|file| root.join(file)) {
            fs::File::open(path).unwrap().set_modified(an_hour_ago).unwrap();
        }
    }
    let viewer = Viewer::start(&["."], folder.path());
    let (_, list) = viewer.get("/");
    for words in ["1 – 100 of 2,000 runs", ">all 2,000</a>", ">failures 400</a>", ">solved 1,600</a>"] {
        assert!(list.contains(words), "{words}");
    }
    assert_eq!(list.matches("<tr class=\"run").count(), 100);
    let (_, tasks) = viewer.get("/?by=task");
    assert_eq!(
        (tasks.matches("<small>50 runs</small>").count(), tasks.matches("class=\"strip\"").count()),
        (40, 40)
    );
    assert_eq!(tasks.matches("href=\"/run/").count(), 40 * 12);
    let (_, last) = viewer.get("/?q=run-19&ended=failures");
    assert_eq!(last.matches("<tr class=\"run miss\"").count(), 20);
    // Files that look as they did are not opened again: these could not be read.
    for n in 0..2000 {
        let path = folder.path().join(format!("run-{n:04}/run.json"));
        let (length, time) = {
            let of = fs::metadata(&path).unwrap();
            (usize::try_from(of.len()).unwrap(), of.modified().unwrap())
        };
        fs::write(&path, vec![b'x'; length]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    assert_eq!(viewer.get("/").1, list);
    // One that is really another one is.
    fs::write(folder.path().join("run-1999/run.json"), "{}").unwrap();
    let (_, changed) = viewer.get("/?q=run-1999");
    assert!(changed.contains("is damaged"), "{changed}");
}

#[test]
fn a_training_is_listed_followed_and_read_off() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("icons");
    train(&root, 1..21);
    let mut before = Writing::begin(&root, "before");
    before.step(xy(80.0, 50.0), Effect::Confirmed);
    fs::rename(before.end(true), root.join("before")).unwrap();
    let viewer = Viewer::start(&["."], folder.path());
    let (_, list) = viewer.get("/");
    for words in ["href=\"/training/icons/\"", "▶ running", "of 50", "20.0 %"] {
        assert!(list.contains(words), "{words}");
    }
    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: format!("{}training/icons/", viewer.url) }).unwrap();
    let shown = |what: &str| format!("return document.querySelector('{what}').textContent");
    let steps = shown(".facts dd");
    assert_eq!(driver.evaluate(&steps).unwrap(), "\"20 of 50\"");
    // A pointer in the middle of the second chart: both charts show step 10.
    let point = "const at = document.querySelectorAll('.chart svg')[1]; const box = at.getBoundingClientRect(); \
        const middle = box.left + box.width * (46 + 211) / 480; \
        at.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: middle, clientY: box.top + 9 })); \
        return [...document.querySelectorAll('.chart')].map((chart) => chart.querySelector('output').textContent + \
            [...chart.querySelectorAll('.key b')].map((value) => ' ' + value.textContent)).join('; ')";
    assert_eq!(driver.evaluate(point).unwrap(), "\"step 10 10.0 %, 10.0 %; step 10 0.100\"");
    // It follows without loading itself again: what is marked here would be gone, and the step is still shown.
    driver.evaluate("window.marked = true; document.querySelector('details').open = true; return 0").unwrap();
    train(&root, 21..31);
    until(&mut driver, &steps, "\"30 of 50\"");
    assert_eq!(
        driver.evaluate("return window.marked && document.querySelector('details').open").unwrap(),
        "true"
    );
    assert_eq!(driver.evaluate(&shown(".chart output")).unwrap(), "\"step 10\"");
    // What the policy did before is a run like any other.
    driver.evaluate("document.querySelector('.reports a').click(); return 0").unwrap();
    until(&mut driver, "return document.querySelector('h1')?.textContent", "\"before\"");
    let loaded =
        "const image = document.querySelector('.before'); image.loading = 'eager'; return image.naturalWidth";
    until(&mut driver, loaded, "320");
    // Once there is a model, it is finished and followed no more.
    fs::create_dir(root.join("model")).unwrap();
    let (_, page) = viewer.get("/training/icons/");
    assert!(page.contains("✓ finished") && !page.contains("data-follow"));
    assert!(viewer.get("/").1.contains("✓ finished"));
    let alone = Viewer::start(&["icons"], folder.path());
    assert_eq!(alone.url, format!("http://{}/training/icons/", alone.address));
    for target in [
        "/training/icons/config.toml",
        "/training/icons/metrics.jsonl",
        "/training/..%2f/",
        "/training/other/",
    ] {
        assert_eq!(alone.get(target).0, 404, "{target}");
    }
}

#[test]
fn a_run_is_written_as_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let [good, _] = two_runs(folder.path());
    let report = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.arg("report").arg(&good).args(args).current_dir(folder.path()).output().unwrap()
    };
    let output = report(&["--gif", "film.gif"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("report.html\nfilm.gif\n"));
    let bytes = fs::read(folder.path().join("film.gif")).unwrap();
    let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(bytes)).unwrap();
    let frames = image::AnimationDecoder::into_frames(decoder).collect_frames().unwrap();
    assert_eq!(frames.len(), 4, "two steps, before and after");
    let at = |frame: &image::Frame, x: u32, y: u32| frame.buffer().get_pixel(2 * x, 2 * y).0;
    assert_eq!(frames[0].buffer().dimensions(), (640, 405), "twice as large, and the strip");
    assert_eq!(at(&frames[0], 45, 60), [59, 108, 246, 255], "before");
    assert_eq!(at(&frames[1], 45, 60), [18, 161, 80, 255], "after");
    assert!(!folder.path().join("film.partial").exists());

    let wrong = report(&["--gif", "film.mp4"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("end it in .gif"));
}
