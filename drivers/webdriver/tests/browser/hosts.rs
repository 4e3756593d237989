//! Twenty-four ways out of the allowed hosts, against a server that counts who gets there.
//!
//! `localhost` is allowed and `127.0.0.1` is not; both are the same server. Without the list the ways lead there, so
//! they are real.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vigorl_interface::{Action, Driver, DriverError};
use vigorl_webdriver::{AllowedHosts, Options, WebDriver};

use crate::pages::options;

/// What a page does to get to `OUT/<name>`.
const WAYS: [(&str, &str); 24] = [
    ("location", "location = 'OUT/location'"),
    ("replace", "location.replace('OUT/replace')"),
    (
        "link",
        "const a = document.createElement('a'); a.href = 'OUT/link'; document.body.append(a); a.click()",
    ),
    (
        "blank",
        "const a = document.createElement('a'); a.href = 'OUT/blank'; a.target = '_blank'; document.body.append(a); a.click()",
    ),
    ("open", "window.open('OUT/open')"),
    ("refresh", "document.head.innerHTML += '<meta http-equiv=refresh content=\"0; url=OUT/refresh\">'"),
    ("redirect", "location = '/redirect?OUT/redirect'"),
    ("frame", "document.body.innerHTML = '<iframe src=OUT/frame></iframe>'"),
    ("frame-redirect", "document.body.innerHTML = '<iframe src=\"/redirect?OUT/frame-redirect\"></iframe>'"),
    ("srcdoc", "document.body.innerHTML = '<iframe srcdoc=\"<img src=OUT/srcdoc>\"></iframe>'"),
    (
        "data-frame",
        "document.body.innerHTML = '<iframe src=\"data:text/html,<img src=OUT/data-frame>\"></iframe>'",
    ),
    (
        "blob-frame",
        "const f = document.createElement('iframe'); f.src = URL.createObjectURL(new Blob(['<img src=OUT/blob-frame>'], { type: 'text/html' })); document.body.append(f)",
    ),
    (
        "form",
        "document.body.innerHTML = '<form method=post action=OUT/form></form>'; document.forms[0].submit()",
    ),
    ("fetch", "fetch('OUT/fetch', { mode: 'no-cors' }).catch(() => 0)"),
    ("xhr", "const x = new XMLHttpRequest(); x.open('GET', 'OUT/xhr'); x.send()"),
    ("beacon", "navigator.sendBeacon('OUT/beacon', 'x')"),
    ("image", "document.body.innerHTML = '<img src=OUT/image>'"),
    ("script", "const s = document.createElement('script'); s.src = 'OUT/script'; document.body.append(s)"),
    ("style", "document.head.innerHTML += '<style>@import url(OUT/style);</style>'"),
    ("object", "document.body.innerHTML = '<object data=OUT/object></object>'"),
    ("events", "new EventSource('OUT/events')"),
    ("socket", "new WebSocket('OUT/socket'.replace('http', 'ws'))"),
    (
        "download",
        "const a = document.createElement('a'); a.href = 'OUT/download'; a.download = 'x'; document.body.append(a); a.click()",
    ),
    ("history", "history.pushState(0, '', '/redirect?OUT/history'); location.reload()"),
];

/// Serves a page, redirects `/redirect?URL`, and notes the path of every other request.
fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let reached = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&reached);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), noted) = (stream, Arc::clone(&noted)) else { continue };
            std::thread::spawn(move || {
                let mut lines =
                    BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                for line in lines {
                    if line.is_empty() {
                        break;
                    }
                }
                let answer = match path.strip_prefix("/redirect?") {
                    Some(url) => {
                        format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
                    }
                    None => {
                        noted.lock().expect("the list").push(path);
                        let page = "<title>inside</title><body>here";
                        format!(
                            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                            page.len()
                        )
                    }
                };
                stream.write_all(answer.as_bytes()).ok();
            });
        }
    });
    (port, reached)
}

/// Which ways led out.
fn ways_out(allowed: Option<&str>) -> Vec<&'static str> {
    let (port, reached) = server();
    let allowed_hosts = allowed.map(|hosts| AllowedHosts::parse(hosts).expect("hosts"));
    let mut driver = WebDriver::start(Options { allowed_hosts, ..options(1.0) }).expect("a browser");
    let first = driver.tabs().expect("tabs")[0].clone();
    for (_, script) in WAYS {
        driver.act(&Action::Navigate { url: format!("http://localhost:{port}/") }).expect("the allowed host");
        driver.evaluate(&script.replace("OUT", &format!("http://127.0.0.1:{port}"))).ok();
        std::thread::sleep(Duration::from_millis(150));
        if allowed.is_some() {
            // Nowhere else, or on the browser's own page that says so.
            let state = driver.page_state().expect("a page");
            let url = state.url.unwrap_or_default();
            assert!(url.contains("localhost") || url.starts_with("chrome-error:"), "{script}: {url}");
        }
        for tab in driver.tabs().expect("tabs").into_iter().filter(|tab| *tab != first) {
            driver
                .act(&Action::SwitchTab { tab })
                .and_then(|()| driver.act(&Action::CloseTab))
                .expect("a tab");
        }
        driver.act(&Action::SwitchTab { tab: first.clone() }).expect("the first tab");
    }
    let reached = reached.lock().expect("the list");
    WAYS.iter()
        .map(|(name, _)| *name)
        .filter(|name| reached.iter().any(|path| *path == format!("/{name}")))
        .collect()
}

#[test]
fn nothing_on_a_page_leaves_the_allowed_hosts() {
    assert_eq!(ways_out(Some("localhost")), Vec::<&str>::new());
}

#[test]
fn without_the_list_the_same_ways_lead_out() {
    let out = ways_out(None);
    let inside: Vec<&str> = WAYS.iter().map(|(name, _)| *name).filter(|name| !out.contains(name)).collect();
    assert!(inside.is_empty(), "these ways of the test lead nowhere: {inside:?}");
}

#[test]
fn what_is_asked_for_by_name_is_refused_as_well() {
    let allowed_hosts = Some(AllowedHosts::parse("localhost").expect("hosts"));
    let mut driver = WebDriver::start(Options { allowed_hosts, ..options(1.0) }).expect("a browser");
    for url in [
        "http://127.0.0.1/",
        "https://example.org/",
        "file:///etc/passwd",
        "data:text/html,x",
        "chrome://version",
        "view-source:http://localhost/",
    ] {
        let answer = driver.act(&Action::Navigate { url: url.to_owned() });
        assert!(matches!(answer, Err(DriverError::Refused { .. })), "{url}: {answer:?}");
    }
}
