//! The loop in a real browser, and the report of a run opened in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod world;

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{Action, Driver, Effect};
use vigorl_policy::ScriptedPolicy;
use vigorl_report::write_report;
use vigorl_runs::Recorded;
use vigorl_tasks::practice::{PageSpec, PracticeEnv, PracticeWorld, Split};
use vigorl_tasks::scripted::ScriptedTask;

use world::{BUTTON, ByClauses, HIT, browser, click, click_in, play, show};

#[test]
fn a_page_that_never_settles_is_clicked_and_left_at_the_cap() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    let restless = "<p id=n>0</p><script>setInterval(() => n.textContent++, 5)</script>";
    show(&mut driver, &format!("{BUTTON}{restless}"));
    let clock = Instant::now();
    let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), output.path());
    assert!(clock.elapsed() < Duration::from_secs(10), "{:?}", clock.elapsed());
    assert_eq!(ended.record.err_msg, None);
    let step = Recorded::read(&ended.path).unwrap().episodes[0].steps[0].action.clone().unwrap();
    assert_eq!((step.effect, step.settled), (Effect::Unverifiable, false));
    assert_eq!((ended.summary.n_steps, ended.summary.success), (1, None));
}

#[test]
fn a_dialog_is_an_effect() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    let button = BUTTON.replace("<button ", "<button onclick=\"alert('Are you sure?')\" ");
    show(&mut driver, &button);
    let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), output.path());
    assert_eq!(ended.record.err_msg, None);
    let step = Recorded::read(&ended.path).unwrap().episodes[0].steps[0].action.clone().unwrap();
    assert_eq!((step.effect, step.dialog.as_deref()), (Effect::Confirmed, Some("Are you sure?")));
}

/// Serves `page`, and answers anything else after a while.
fn slow_server(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let page = page.clone();
            std::thread::spawn(move || answer(stream, &page));
        }
    });
    url
}

fn answer(mut stream: TcpStream, page: &str) {
    let mut request = [0; 2048];
    let n_bytes = stream.read(&mut request).unwrap_or(0);
    let is_page = request[..n_bytes].starts_with(b"GET / ");
    if !is_page {
        std::thread::sleep(LATE);
    }
    let body = if is_page { page } else { "arrived" };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    write!(stream, "{head} {}\r\n\r\n{body}", body.len()).ok();
}

const LATE: Duration = Duration::from_millis(800);

#[test]
fn what_a_server_answers_late_is_judged_and_seen() {
    let output = tempfile::tempdir().unwrap();
    let mut driver = browser(320, 200);
    let fetch = "fetch('/late').then((said) => said.text()).then((text) => { late.textContent = text; })";
    let button = BUTTON.replace("<button ", &format!("<button onclick=\"{fetch}\" "));
    let late = "<div id=late style='position:absolute;top:100px;font-size:40px;background:#0f0'></div>";
    let url = slow_server(format!("{button}{late}"));
    driver.act(&Action::Navigate { url }).unwrap();
    let yaml = "name: n\nstart: {}\nsteps: [click: it]\nexpect: [text_visible: arrived]\n";
    let task = ScriptedTask::parse(yaml).unwrap();
    let mut policy = ScriptedPolicy::new([HIT]);
    let mut world = ByClauses { driver: &mut driver, task: &task };
    let ended = click_in(&mut world, 0, &mut policy, output.path());
    assert_eq!((ended.record.success, ended.record.reward), (Some(true), Some(1.0)), "{:?}", ended.record);
    let after = image::open(ended.path.join("steps/0001/after.png")).unwrap().into_rgb8();
    assert!(after.pixels().any(|pixel| pixel.0 == [0, 255, 0]), "the last screenshot shows what arrived");
}

#[test]
fn a_tab_that_a_link_opens_is_followed() {
    let at_once = "window.open('about:blank').document.title = 'two'";
    let late = format!("setTimeout(() => {{ {at_once} }}, 30)");
    for script in [at_once, &late] {
        let output = tempfile::tempdir().unwrap();
        let mut driver = browser(320, 200);
        show(&mut driver, &BUTTON.replace("<button ", &format!("<button onclick=\"{script}\" ")));
        let begin = Instant::now();
        let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), output.path());
        // The page behind the tab gets no frames: who waited for it would wait for 3 s.
        assert!(begin.elapsed() < Duration::from_millis(2_500), "{:?}", begin.elapsed());
        let step = Recorded::read(&ended.path).unwrap().episodes[0].steps[0].action.clone().unwrap();
        assert_eq!((step.effect, step.detail.as_deref()), (Effect::Confirmed, Some("opened a tab")));
        assert_eq!(step.title.as_deref(), Some("two"));
        assert_eq!(driver.tabs().unwrap().len(), 2);
        let after = image::open(ended.path.join("steps/0001/after.png")).unwrap();
        assert_eq!((after.width(), after.height()), (320, 200), "the new tab is as large");
    }
}

/// Answers the middle of the page's own target.
fn oracle(driver: &mut dyn Driver, spec: &PageSpec) -> String {
    let episode = PracticeEnv::new(driver).reset(spec).unwrap();
    let target = episode.page.tasks[0].target;
    let at = episode.page.widgets[target].bounds.in_viewport().center();
    format!(
        "<think> There it is ({}, {}). </think>\n<answer> ({}, {}) </answer>",
        at.x.floor(),
        at.y.floor(),
        at.x.floor(),
        at.y.floor()
    )
}

#[test]
fn the_report_works_in_a_browser_without_any_other_file() -> Result<(), Box<dyn Error>> {
    let output = tempfile::tempdir()?;
    let spec = PageSpec::icons(3, Split::HeldOut);
    let mut driver = browser(spec.canvas.width, spec.canvas.height);
    let reply = oracle(&mut driver, &spec);
    let ratio = DevicePixelRatio::new(1.0).unwrap();
    let mut world = PracticeWorld::new(&mut driver, spec, ratio, &[]);
    let ended = click_in(&mut world, spec.seed, &mut ScriptedPolicy::new([reply]), output.path());
    assert_eq!(ended.record.success, Some(true), "{:?}", ended.record);
    // Alone in another folder.
    let alone = output.path().join("alone.html");
    fs::rename(write_report(&ended.path)?, &alone)?;
    drop(driver);

    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: format!("file://{}", alone.display()) })?;
    let mut ask = |script: &str| driver.evaluate(script);
    assert_eq!(ask("return performance.getEntriesByType('resource').length")?, "0");
    assert_eq!(
        ask("return [...document.images].every((image) => image.complete && image.naturalWidth > 0)")?,
        "true"
    );
    // Hovering a thought lights up its point; the buttons change the picture.
    let hover = "document.querySelector('.said li').dispatchEvent(new MouseEvent('mouseover', {bubbles: true})); \
                 return document.querySelector('.pin').classList.contains('hot')";
    assert_eq!(ask(hover)?, "true");
    let after = "document.querySelector('[data-show=after]').click(); \
                 return getComputedStyle(document.querySelector('.stage')).position + document.querySelector('.stage').className";
    assert_eq!(ask(after)?, "\"relativestage shows-after\"");
    Ok(())
}

#[test]
fn the_gallery_filters_and_is_walked_with_the_arrow_keys() -> Result<(), Box<dyn Error>> {
    let output = tempfile::tempdir()?;
    let specs = [3, 4, 5].map(|seed| PageSpec::icons(seed, Split::HeldOut));
    let mut driver = browser(specs[0].canvas.width, specs[0].canvas.height);
    let mut replies: Vec<String> = specs.iter().map(|spec| oracle(&mut driver, spec)).collect();
    replies[1] = "<answer> (0, 0) </answer>".to_owned();
    let path = play(&mut driver, &specs, &replies, output.path());
    let step = Recorded::read(&path)?.episodes[0].steps[0].action.clone().ok_or("an action")?;
    assert_eq!(step.effect, Effect::Confirmed, "the page shows its verdict");
    let report = write_report(&path)?;
    drop(driver);

    let mut driver = browser(1200, 900);
    driver.act(&Action::Navigate { url: format!("file://{}", report.display()) })?;
    let mut ask = |script: &str| driver.evaluate(script);
    let open = "return document.querySelector('.episode:not([hidden])').dataset.number";
    let key = |key: &str| {
        format!(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})); {open}"
        )
    };
    assert_eq!(ask(open)?, "\"1\"");
    assert_eq!(ask(&key("ArrowRight"))?, "\"2\"");
    assert_eq!(ask(&key("ArrowLeft"))?, "\"1\"");
    let shown =
        "return [...document.querySelectorAll('.card')].filter((card) => card.checkVisibility()).length";
    assert_eq!(ask(shown)?, "3");
    assert_eq!(ask(&format!("document.querySelector('[data-filter=hit]').click(); {shown}"))?, "2");
    assert_eq!(ask(&key("ArrowRight"))?, "\"3\"", "what is filtered out is passed over");
    assert_eq!(ask(&format!("document.querySelector('.card').click(); {open}"))?, "\"1\"");
    Ok(())
}

#[test]
fn the_report_of_a_crashed_run_opens() -> Result<(), Box<dyn Error>> {
    let output = tempfile::tempdir()?;
    let mut driver = browser(320, 200);
    show(&mut driver, BUTTON);
    let ended = click(&mut driver, &mut ScriptedPolicy::new([HIT]), output.path());
    for file in ["summary.json", "steps/0001/action.json", "steps/0001/model.json", "steps/0001/after.png"] {
        fs::remove_file(ended.path.join(file))?;
    }
    let log = fs::read_to_string(ended.path.join("events.jsonl"))?;
    let before = log.lines().take_while(|line| !line.contains("step_ended")).collect::<Vec<_>>().join("\n");
    fs::write(ended.path.join("events.jsonl"), &before[..before.len() - 3])?;
    let report = write_report(&ended.path)?;

    driver.act(&Action::Navigate { url: format!("file://{}", report.display()) })?;
    let mut ask = |script: &str| driver.evaluate(script);
    let says = |words: &str| format!("return document.body.innerText.includes('{words}')");
    for words in ["cut off before", "The button (80, 50).", "never finished"] {
        assert_eq!(ask(&says(words))?, "true", "{words}");
    }
    assert_eq!(ask(&says("nothing had to be found"))?, "false");
    let picture = "const image = document.querySelector('.stage img'); \
                   return [image.naturalWidth, image.naturalHeight, document.querySelectorAll('.pin').length]";
    assert_eq!(ask(picture)?, "[320,200,1]");
    Ok(())
}
