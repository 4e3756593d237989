//! Twenty-four ways out of the allowed hosts, against a server that counts who gets there, and those of WebRTC, against
//! a port that takes whatever comes.
//!
//! `localhost` is allowed and `127.0.0.1` is not; both are the same server. Without the list the ways lead there, so
//! they are real.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
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
                .act(&Action::SwitchTab { tab: tab.into() })
                .and_then(|()| driver.act(&Action::CloseTab))
                .expect("a tab");
        }
        driver.act(&Action::SwitchTab { tab: first.clone().into() }).expect("the first tab");
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

/// How WebRTC gets to the port `OUT` of 127.0.0.1: what a page says of a peer, or of a server that helps to find one.
/// Each carries text of the page: the name and password that are sent are the page's choice.
const PEER_WAYS: [(&str, &str); 5] = [
    ("peer-udp", "peer({}, 'candidate:1 1 udp 2122260223 127.0.0.1 OUT typ host')"),
    ("peer-tcp", "peer({}, 'candidate:1 1 tcp 1518280447 127.0.0.1 OUT typ host tcptype passive')"),
    ("stun", "peer({ iceServers: [{ urls: 'stun:127.0.0.1:OUT' }] })"),
    (
        "turn-udp",
        "peer({ iceServers: [{ urls: 'turn:127.0.0.1:OUT?transport=udp', username: 'text', credential: 'x' }] })",
    ),
    (
        "turn-tcp",
        "peer({ iceServers: [{ urls: 'turn:127.0.0.1:OUT?transport=tcp', username: 'text', credential: 'x' }] })",
    ),
];

/// A peer that is answered by itself, so that it believes to know the other one.
const PEER: &str = "const peer = (configuration, candidate) => {
  (async () => {
    const own = window.own = new RTCPeerConnection(configuration);
    own.createDataChannel('x');
    await own.setLocalDescription(await own.createOffer());
    if (!candidate) return;
    const sdp = own.localDescription.sdp.replace('actpass', 'active').replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:text');
    await own.setRemoteDescription({ type: 'answer', sdp });
    await own.addIceCandidate({ candidate, sdpMLineIndex: 0 });
  })();
};";

/// A port of 127.0.0.1 that takes datagrams and connections; something is sent once either came.
fn port_for_everything() -> (u16, Receiver<()>) {
    let (came, comes) = channel();
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")) {
            break (tcp, udp);
        }
    };
    let port = udp.local_addr().expect("an address").port();
    let of_tcp = came.clone();
    std::thread::spawn(move || {
        udp.recv(&mut [0; 2048]).expect("a datagram");
        // The test may be over.
        came.send(()).ok();
    });
    std::thread::spawn(move || {
        tcp.accept().expect("a connection");
        of_tcp.send(()).ok();
    });
    (port, comes)
}

/// Which ways of WebRTC led out within this time each.
fn peer_ways_out(allowed: Option<&str>, patience: Duration) -> Vec<&'static str> {
    let (port, _) = server();
    let allowed_hosts = allowed.map(|hosts| AllowedHosts::parse(hosts).expect("hosts"));
    let mut driver = WebDriver::start(Options { allowed_hosts, ..options(1.0) }).expect("a browser");
    let mut leads_out = |script: &str| {
        let (out, comes) = port_for_everything();
        driver.act(&Action::Navigate { url: format!("http://localhost:{port}/") }).expect("the allowed host");
        driver.evaluate(&format!("{PEER}\n{}", script.replace("OUT", &out.to_string()))).expect("WebRTC");
        comes.recv_timeout(patience).is_ok()
    };
    PEER_WAYS.iter().filter(|(_, script)| leads_out(script)).map(|(name, _)| *name).collect()
}

#[test]
fn nothing_leaves_the_allowed_hosts_by_webrtc() {
    assert_eq!(peer_ways_out(Some("localhost"), Duration::from_secs(4)), Vec::<&str>::new());
}

#[test]
fn without_the_list_webrtc_leads_out() {
    let out = peer_ways_out(None, Duration::from_secs(20));
    assert_eq!(out, PEER_WAYS.map(|(name, _)| name), "the ways of the test must be real");
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

#[test]
fn history_leads_to_no_other_host_either() {
    let (port, reached) = server();
    let allowed_hosts = Some(AllowedHosts::parse("localhost").expect("hosts"));
    let mut driver = WebDriver::start(Options { allowed_hosts, ..options(1.0) }).expect("a browser");
    // Without a scheme, an address is completed before it is looked at.
    driver.act(&Action::Navigate { url: format!("localhost:{port}/") }).expect("the allowed host");
    for url in [format!("127.0.0.1:{port}/x"), format!("//127.0.0.1:{port}/x"), "/x".to_owned()] {
        let done = driver.act(&Action::Navigate { url: url.clone() });
        let is_refused =
            matches!(&done, Err(DriverError::Refused { detail, .. }) if detail.contains("allowed host"));
        assert_eq!(is_refused, url != "/x", "{url}: {done:?}");
    }
    driver.evaluate(&format!("location.href = 'http://127.0.0.1:{port}/out'")).expect("a page");
    driver.settle(Duration::from_secs(2)).expect("a page");
    driver.act(&Action::Back).expect("an allowed page");
    let done = driver.act(&Action::Forward);
    assert!(
        matches!(&done, Err(DriverError::Refused { request: "forward", detail }) if detail.contains("allowed host")),
        "{done:?}"
    );
    assert!(driver.page_state().expect("a page").url.is_some_and(|url| url.contains("localhost")));
    assert!(!reached.lock().expect("the list").iter().any(|path| path == "/out"));
}
