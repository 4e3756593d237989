//! `vigorl run --attach`: a run in a browser that a person uses, which stays as it was, whatever becomes of the run.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Pages that know whoever was at `/login`, by a cookie and by what is stored.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let is_known =
        head.iter().any(|line| line.to_lowercase().starts_with("cookie:") && line.contains("sid=7"));
    let (mut cookie, who) = ("", if is_known { "Hello again" } else { "Who is there?" });
    let body = match &*path {
        "/login" => {
            cookie = "Set-Cookie: sid=7; Path=/; Max-Age=3600\r\n";
            // A console that must not come into a record, and a question that only its person answers.
            "<title>Mine</title><script>localStorage.kept = 'kept'; setInterval(() => console.error('mine'), 50)</script>"
                .to_owned()
        }
        "/other" => "<title>Other</title><p>other".to_owned(),
        _ => format!(
            "<title>Shop</title><p>{who}<p id=kept><script>kept.textContent = localStorage.kept || 'not kept'</script>\
             <a href=/other target=_blank>Blank</a> <button onclick=\"window.open('/other')\">Window</button>\
             <script>console.error('of the shop')</script><p style='height: 3000px'>"
        ),
    };
    let length = body.len();
    // A browser that goes leaves the rest.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{cookie}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok();
}

/// A browser that a person has started, and that is logged in.
struct Mine {
    child: Child,
    port: u16,
    pages: u16,
    folder: tempfile::TempDir,
}

impl Mine {
    fn start(more: &[&str]) -> Self {
        let (folder, pages) = (tempfile::tempdir().unwrap(), serve());
        let profile = folder.path().join("profile");
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--no-first-run", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(more)
            .arg(format!("http://127.0.0.1:{pages}/login"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = command.spawn().unwrap();
        let mut mine = Self { child, port: 0, pages, folder };
        let end = Instant::now() + PATIENCE;
        while mine.port == 0 || mine.tabs().iter().all(|(_, title, _)| title != "Mine") {
            assert!(Instant::now() < end, "the browser does not come up");
            std::thread::sleep(Duration::from_millis(50));
            let written = fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
            mine.port = written.lines().next().and_then(|line| line.parse().ok()).unwrap_or_default();
        }
        mine
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What the browser itself answers.
    fn ask(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return String::new() };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address())
            .unwrap();
        // It keeps the connection open, whatever it is asked.
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if answer.read_line(&mut line).unwrap_or_default() == 0 {
                return String::new();
            }
            if let Some(told) = line.to_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).map_or_else(|_| String::new(), |()| String::from_utf8(body).unwrap())
    }

    /// Its tabs: what each is, its title and its address.
    fn tabs(&self) -> Vec<(String, String, String)> {
        let listed: Value = serde_json::from_str(&self.ask("/json/list")).unwrap_or_default();
        let word = |tab: &Value, name: &str| tab[name].as_str().unwrap().to_owned();
        let pages = listed.as_array().into_iter().flatten().filter(|tab| tab["type"] == "page");
        let mut tabs: Vec<_> =
            pages.map(|tab| (word(tab, "id"), word(tab, "title"), word(tab, "url"))).collect();
        tabs.sort();
        tabs
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none() && self.ask("/json/version").contains("webSocketDebuggerUrl")
    }

    fn task(&self, steps: &str, expect: &str) {
        let yaml = format!(
            "name: shop\nstart: {{ url: 'http://127.0.0.1:{}/shop', viewport: 600x500 }}\nwait_secs: 20\nsteps: [{steps}]\n\
             expect: [{expect}]\n",
            self.pages
        );
        fs::write(self.home().join("task.yaml"), yaml).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(arguments).current_dir(self.home()).env("XDG_CONFIG_HOME", self.home().join("user"));
        command
    }

    /// Runs the task there.
    fn run(&self, more: &[&str]) -> (Option<i32>, String) {
        let address = self.address();
        let arguments = [&["run", "task.yaml", "--places", "--attach", &address], more].concat();
        let output = self.command(&arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Begins to run the task there, and waits until it has opened the page.
    fn begin(&self) -> Child {
        let address = self.address();
        let child = self
            .command(&["run", "task.yaml", "--places", "--attach", &address])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let end = Instant::now() + PATIENCE;
        while self.tabs().iter().all(|(_, title, _)| title != "Shop") {
            assert!(Instant::now() < end, "the page is not opened: {:?}", self.tabs());
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    fn runs(&self) -> Vec<PathBuf> {
        fs::read_dir(self.home().join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        // Its group: it has started others.
        Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status().ok();
        self.child.wait().ok();
    }
}

fn interrupt(child: &Child) {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

const IS_IN: &str = "{ text_visible: Hello again }, { element: { selector: '#kept', text: kept } }";

#[test]
fn a_run_is_in_a_tab_of_its_own_and_leaves_the_browser_as_it_was() {
    let mut mine = Mine::start(&[]);
    let before = mine.tabs();
    assert_eq!(before.len(), 1, "{before:?}");
    // Tabs that pages and steps open are followed, and tabs are counted without those of the person.
    let blank = "click: { what: the link, name: Blank }";
    let window = "click: { what: the button, name: Window }";
    let other = "{ wait_for: { title_contains: Other } }";
    let steps = format!(
        "{{ {blank} }}, {other}, {{ switch_tab: {{ index: 1 }} }}, {{ {window} }}, {other}, close_tab, \
         {{ assert: {{ title_contains: Shop }} }}, open_tab, {{ switch_tab: {{ index: 3 }} }}, close_tab, \
         {{ switch_tab: {{ title_contains: Shop }} }}"
    );
    mine.task(&steps, IS_IN);
    let (code, said) = mine.run(&["--repeat", "2"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(mine.tabs(), before);
    assert!(mine.is_alive());
    let runs = mine.runs();
    assert_eq!(runs.len(), 2);
    for run in runs {
        let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
        assert_eq!(record["input"]["attached"], mine.address());
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
        assert!(!events.contains("mine"), "the console of the person's page: {events}");
        let report = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(report.contains(&format!("<dt>in the running browser at</dt><dd>{}</dd>", mine.address())));
    }
}

#[test]
fn tabs_of_the_person_are_out_of_reach() {
    let mine = Mine::start(&[]);
    let before = mine.tabs();
    for step in ["{ switch_tab: { title_contains: Mine } }", "{ switch_tab: { index: 2 } }", "close_tab"] {
        mine.task(step, IS_IN);
        let (code, said) = mine.run(&[]);
        assert_eq!(code, Some(1), "{step}: {said}");
        assert!(said.contains("refused") && !said.contains("/login"), "{step}: {said}");
        assert_eq!(mine.tabs(), before, "{step}");
    }
}

#[test]
fn ctrl_c_closes_the_tab_and_leaves_the_browser_running() {
    let mut mine = Mine::start(&[]);
    let before = mine.tabs();
    mine.task("{ wait_for: { text_visible: never } }", IS_IN);
    let child = mine.begin();
    assert_eq!(mine.tabs().len(), 2);
    interrupt(&child);
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(mine.tabs(), before);
    assert!(mine.is_alive());
}

#[test]
fn the_last_tab_is_left_empty_because_the_browser_would_end_with_it() {
    let mut mine = Mine::start(&[]);
    let before = mine.tabs();
    mine.task("{ wait_for: { text_visible: never } }", IS_IN);
    let child = mine.begin();
    mine.ask(&format!("/json/close/{}", before[0].0));
    interrupt(&child);
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    // Between two pages the browser names neither.
    let end = Instant::now() + PATIENCE;
    let mut left = mine.tabs();
    while left.iter().any(|(_, _, url)| url.is_empty()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
        left = mine.tabs();
    }
    assert_eq!((left.len(), &*left[0].2), (1, "about:blank"), "{left:?}");
    assert!(mine.is_alive());
}

#[test]
fn a_browser_that_dies_midway_is_an_error_that_says_so() {
    let mut mine = Mine::start(&[]);
    mine.task("{ wait_for: { text_visible: never } }", IS_IN);
    let child = mine.begin();
    mine.child.kill().unwrap();
    mine.child.wait().unwrap();
    let (code, said) = ended(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("gone") && said.contains("start it again"), "{said}");
    let summary = fs::read(mine.runs()[0].join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert!(
        summary["err_msg"].as_str().unwrap().contains("gone") && summary["success"].is_null(),
        "{summary}"
    );
}

#[test]
fn what_is_no_browser_is_told_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pages = format!("127.0.0.1:{}", serve());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs_up = silent.local_addr().unwrap();
    std::thread::spawn(move || silent.incoming().for_each(drop));
    let check = |address: &str, words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(["run", "the button", "--url", "about:blank", "--attach", address]);
        command.current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for words in [words, &format!("the browser at {address}"), "--remote-debugging-port=PORT"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    check(&free.to_string(), "nobody listens there");
    check(&pages, "who listens there is no browser (it answered 200 `<title>Shop");
    check(&hangs_up.to_string(), "who listens there is no browser");
}

#[test]
fn another_machine_is_attached_to_only_where_that_is_wanted() {
    let mine = Mine::start(&[]);
    let before = mine.tabs();
    mine.task("{ assert: { title_contains: Shop } }", IS_IN);
    // An address that is not of this machine alone, although this machine answers to it.
    let address = format!("0.0.0.0:{}", mine.port);
    let run = |more: &[&str]| {
        let arguments = [&["run", "task.yaml", "--places", "--attach", &address], more].concat();
        let output = mine.command(&arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("has no password") && said.contains("--attach-remote"), "{said}");
    let (code, said) = run(&["--attach-remote"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(mine.tabs(), before);
}

#[test]
fn a_screen_with_more_pixels_is_seen_and_scrolled_as_it_is() {
    let mine = Mine::start(&["--force-device-scale-factor=2"]);
    mine.task(
        "{ scroll: { target: { what: the page, at: [300, 300] }, by: 400 } }",
        "{ javascript: 'scrollY === 200' }",
    );
    let (code, said) = mine.run(&[]);
    assert_eq!(code, Some(0), "{said}");
    let action = fs::read(mine.runs()[0].join("steps/0001/action.json")).unwrap();
    let action: Value = serde_json::from_slice(&action).unwrap();
    assert_eq!(action["image_size"], serde_json::json!([1200, 1000]));
}

#[test]
fn what_needs_a_browser_of_its_own_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let task =
        "name: t\nstart: { url: 'about:blank' }\nsteps: [open_tab]\nexpect: [{ javascript: 'true' }]\n";
    fs::write(at("task.yaml"), task).unwrap();
    fs::write(at("stored.yaml"), task.replace("blank'", "blank', storage: state.json")).unwrap();
    fs::write(at("state.json"), r#"{"cookies":[],"origins":[]}"#).unwrap();
    let check_in = |environment: &[(&str, &str)], arguments: &str, words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
        command.args(arguments.split(' ')).current_dir(folder.path()).env("XDG_CONFIG_HOME", folder.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(words), "{arguments}: {words}: {said}");
        assert!(!at("runs").exists(), "{arguments}");
    };
    let check = |arguments: &str, words: &str| check_in(&[], arguments, words);
    // Nobody listens at this address: what is refused is refused before anybody looks.
    let run = "run task.yaml --places --attach 127.0.0.1:1";
    check(
        &format!("{run} --storage state.json"),
        "--storage would put cookies among those of the person: leave it out",
    );
    check(
        "run stored.yaml --places --attach 127.0.0.1:1",
        "`start.storage` of `stored.yaml` would put cookies",
    );
    check(&format!("{run} --save-storage new.json"), "--save-storage would write the logins of the person");
    check(
        &format!("{run} --allowed-hosts localhost"),
        "--allowed-hosts is kept by a browser that is started with it",
    );
    check_in(&[("VIGORL_ALLOWED_HOSTS", "localhost")], run, "VIGORL_ALLOWED_HOSTS is kept by a browser");
    check(
        &format!("{run} --device-pixel-ratio 2"),
        "--device-pixel-ratio is the running browser's own: leave it out",
    );
    let visitor = "certificate or login for `task.yaml` needs a browser that this program starts";
    for flag in ["--locale de-DE", "--time-zone UTC", "--permissions camera", "--certificates accept-any"] {
        check(&format!("{run} {flag}"), visitor);
    }
    for flag in ["--headed", "--headless", "--browser x", "--webdriver-url http://127.0.0.1:1"] {
        let name = flag.split(' ').next().unwrap();
        check(
            &format!("{run} {flag}"),
            &format!("{name} needs a browser that this program starts: leave one of them out"),
        );
    }
    check(
        &format!("{run} --repeat 2 --parallel 2"),
        "--parallel 2 would show one tab and hide the others: leave --parallel out",
    );
    for address in ["9222", "http://127.0.0.1:9222"] {
        check(&format!("run task.yaml --attach {address}"), "such as 127.0.0.1:9222");
    }
    check("run task.yaml --attach-remote", "--attach <HOST:PORT>");
    for command in [
        "demo",
        "eval practice",
        "rollout practice",
        "env check x",
        "train sft x.toml",
        "record x.yaml",
        "replay x",
    ] {
        check(&format!("{command} --attach 127.0.0.1:1"), "only `vigorl run` attaches to a running browser");
    }
}
