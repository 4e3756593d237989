//! Nothing that was started stays behind: after a drop, a panic, a dead browser, an interrupt, a killed program.
//! One test at a time, because ending everything that was started is global.

#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod pages;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pages::{evaluate, open, options, start};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use vigorl_interface::{Driver, DriverError};
use vigorl_processes::kill_all_started;
use vigorl_webdriver::{Options, Server, WebDriver};

/// Set in a copy of this program that starts a browser and waits to be killed.
const VICTIM: &str = "VIGORL_TEST_VICTIM";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Process id and `TMPDIR` of every living process whose `TMPDIR` is a browser folder of ours. Everything that
/// chromedriver starts inherits it; the environment of a zombie is empty.
fn browser_processes() -> Vec<(i32, PathBuf)> {
    let ids = std::fs::read_dir("/proc").expect("a process list").flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let folder_of = |id: &i32| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).ok()?;
        let variables =
            environment.split(|&byte| byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
        let folder = variables
            .filter_map(|text| text.strip_prefix("TMPDIR="))
            .find(|text| text.contains("vigorl-browser-"))?;
        Some((*id, PathBuf::from(folder)))
    };
    ids.filter_map(|id| folder_of(&id)).collect()
}

/// Folders of the browsers that process `starter` has running; other programs may run browsers too.
fn folders_of(starter: u32) -> Vec<PathBuf> {
    let is_child = |id: i32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parent.and_then(|text| text.trim().parse().ok()) == Some(starter)
    };
    let leaders = browser_processes().into_iter().filter(|(id, _)| is_child(*id));
    leaders.map(|(_, folder)| folder).collect()
}

fn own_folders() -> Vec<PathBuf> {
    folders_of(std::process::id())
}

#[track_caller]
fn assert_gone(folders: &[PathBuf], within: Duration) {
    assert!(!folders.is_empty(), "the browser must have been found while it ran");
    let end = Instant::now() + within;
    loop {
        let left: Vec<_> =
            browser_processes().into_iter().filter(|(_, folder)| folders.contains(folder)).collect();
        let kept: Vec<_> = folders.iter().filter(|folder| folder.exists()).collect();
        if left.is_empty() && kept.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left behind: {left:?} {kept:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The browser itself: neither shell nor chromedriver nor one of its own children.
fn browser_main(folders: &[PathBuf]) -> i32 {
    let is_browser = |id: &i32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("--remote-debugging-p") && !line.contains("--type=")
    };
    let ours = browser_processes().into_iter().filter(|(_, folder)| folders.contains(folder));
    ours.map(|(id, _)| id).find(is_browser).expect("a browser process")
}

#[test]
fn nothing_is_left_after_a_drop_or_a_panic() {
    let _alone = alone();
    let driver = start();
    let folders = own_folders();
    drop(driver);
    assert_gone(&folders, Duration::from_secs(2));

    let panicking = std::thread::spawn(|| {
        let _driver = start();
        std::panic::panic_any(own_folders());
    });
    let folders = panicking.join().unwrap_err().downcast::<Vec<PathBuf>>().unwrap();
    assert_gone(&folders, Duration::from_secs(2));
}

#[test]
fn a_killed_browser_is_an_error_within_the_deadline_and_leaves_nothing() {
    let _alone = alone();
    let mut driver = start();
    open(&mut driver, "<p>soon gone");
    let folders = own_folders();
    kill_process(Pid::from_raw(browser_main(&folders)).unwrap(), Signal::KILL).unwrap();
    for _ in 0..2 {
        let begin = Instant::now();
        let answer = driver.screenshot();
        assert!(matches!(answer, Err(DriverError::Gone { what: "browser", .. })), "{answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
    assert!(matches!(driver.settle(Duration::from_secs(5)), Err(DriverError::Gone { .. })));
    drop(driver);
    assert_gone(&folders, Duration::from_secs(2));
}

#[test]
fn an_interrupt_handler_ends_all_browsers() {
    let _alone = alone();
    let mut drivers = [start(), start()];
    let folders = own_folders();
    assert_eq!(folders.len(), 2);
    std::thread::spawn(kill_all_started).join().unwrap();
    assert_gone(&folders, Duration::from_secs(2));
    for driver in &mut drivers {
        let answer = driver.screenshot();
        assert!(matches!(answer, Err(DriverError::Gone { what: "WebDriver server", .. })), "{answer:?}");
    }
}

#[test]
fn an_interrupt_while_a_driver_is_dropped_leaves_no_folder() {
    let _alone = alone();
    let driver = start();
    let folders = own_folders();
    let dropping = std::thread::spawn(move || drop(driver));
    while !own_folders().is_empty() {
        std::thread::yield_now();
    }
    // The processes are dead and their folder is being removed: the handler would end this program now.
    kill_all_started();
    let left: Vec<_> = folders.iter().filter(|folder| folder.exists()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    dropping.join().unwrap();
}

#[test]
fn a_program_that_is_killed_takes_its_browser_with_it() {
    let name = "a_program_that_is_killed_takes_its_browser_with_it";
    if std::env::var_os(VICTIM).is_some() {
        let _driver = start();
        eprintln!("started");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let _alone = alone();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "started"), "the copy did not start a browser");
    let folders = folders_of(victim.id());
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_gone(&folders, Duration::from_secs(5));
}

#[test]
fn a_missing_program_is_named_with_its_cure() {
    let _alone = alone();
    let own = |path: &str| Server::Own { chromedriver: Some(path.into()) };
    let missing = Options { server: own("no-such-chromedriver"), ..options(1.0) };
    let browser = Options { browser: Some("/no/such/browser".into()), ..options(1.0) };
    let ends_at_once = Options { server: own("/bin/false"), ..options(1.0) };
    for (options, named, cure) in [
        (missing, "no-such-chromedriver", "apt-get install"),
        (browser, "the browser", "apt-get install"),
        (ends_at_once, "/bin/false", "did not start to listen"),
    ] {
        match WebDriver::start(options) {
            Err(DriverError::Start { program, detail }) => {
                assert_eq!(program, named);
                assert!(detail.contains(cure), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    let nobody =
        Options { server: Server::Running { url: "http://127.0.0.1:1/".to_owned() }, ..options(1.0) };
    let answer = WebDriver::start(nobody);
    assert!(matches!(answer, Err(DriverError::Start { .. })), "{answer:?}");
}

#[test]
fn a_camera_that_is_offered_and_cannot_be_had_is_an_error() {
    let _alone = alone();
    let mut driver = start();
    let port = own_folders()[0].join("profile/DevToolsActivePort");
    let written = std::fs::read(&port).unwrap();
    // Nobody listens there.
    std::fs::write(&port, "1\n/devtools/browser/none").unwrap();
    match driver.screenshot() {
        Err(DriverError::Gone { what, detail }) => {
            assert_eq!(what, "browser's camera");
            assert!(detail.contains("port 1 "), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    std::fs::write(&port, written).unwrap();
    driver.screenshot().unwrap();
}

#[test]
fn a_server_that_runs_already_is_used_and_stays() {
    let _alone = alone();
    let mut server = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, port) = line.split_once("successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    let url = format!("http://127.0.0.1:{}/", port.unwrap());
    for _ in 0..2 {
        let options = Options { server: Server::Running { url: url.clone() }, ..options(1.0) };
        let mut driver = WebDriver::start(options).unwrap();
        assert_eq!(evaluate(&mut driver, "return innerWidth").unwrap(), json!(640));
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
