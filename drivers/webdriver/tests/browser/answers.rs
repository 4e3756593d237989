//! The HTTP status with which a page answers, and what goes wrong inside of it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use vigorl_interface::{Action, Driver, Trouble, TroubleKind};

use crate::pages::{data_url, start};

const CAP: Duration = Duration::from_secs(5);

/// Scripts and requests of this page fail in every way.
const FAULTY: &str = "<title>faulty</title><img src=/404/picture><script>
    console.error('no \\'price\\'', 7); console.warn('w'); console.log('l');
    fetch('/500/answer').then(() => setTimeout(() => { document.title = 'all'; throw new Error('boom'); }));</script>";

/// Answers `/404/…` with that status, `/to/404` by sending on to it, `/file` with a file for the disk, `/faulty` with that
/// page, and anything else with a page.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        // A connection that the browser opens and does not use must not keep the others waiting.
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let n_bytes = stream.read(&mut request).unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..n_bytes]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or("/");
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (status, headers, body) = match parts[..] {
        ["to", there] => ("302", format!("Location: /{there}/x\r\n"), "moved"),
        ["file"] => ("200", "Content-Disposition: attachment; filename=x\r\n".to_owned(), "x"),
        ["faulty"] => ("200", String::new(), FAULTY),
        [status @ ("404" | "500"), _] => (status, String::new(), "<title>error</title>nothing here"),
        _ => ("200", String::new(), "<title>page</title>here<link rel=icon href='data:,'>"),
    };
    let headers =
        format!("{headers}Content-Type: text/html\r\nConnection: close\r\nContent-Length: {}", body.len());
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}\r\n\r\n{body}").ok();
}

#[test]
fn a_page_says_with_which_status_it_answered_and_what_goes_wrong_inside_of_it_is_told_once() {
    let (mut driver, base) = (start(), serve());
    let there = |path: &str| Action::Navigate { url: format!("{base}{path}") };
    for (action, status) in [
        (there("/"), Some(200)),
        (there("/to/404"), Some(404)),
        (Action::Reload, Some(404)),
        (there("/404/x#below"), Some(404)),
        // No page is loaded, and the one before stays.
        (there("/file"), Some(404)),
        (Action::Navigate { url: data_url("<title>alone</title>") }, None),
        (Action::Navigate { url: "about:blank".to_owned() }, None),
        (there("/"), Some(200)),
        (Action::Navigate { url: "/500/x".to_owned() }, Some(500)),
        (Action::Back, Some(200)),
        (Action::Forward, Some(500)),
    ] {
        driver.act(&action).expect("it is loaded");
        assert_eq!(driver.page_state().expect("a page").status, status, "{action:?}");
    }
    let troubles = driver.troubles();
    assert!(troubles.iter().all(|trouble| trouble.kind == TroubleKind::Request), "{troubles:?}");
    assert!(troubles.len() >= 3, "pages that answered with an error: {troubles:?}");

    // Of every tab, also of one that is closed then.
    driver.act(&Action::OpenTab).expect("a tab");
    driver.act(&there("/faulty")).expect("a page");
    driver.settle(CAP).expect("a quiet page");
    let all = "return new Promise((done) => { const look = () => document.title == 'all' ? setTimeout(done, 50) : setTimeout(look, 10); look(); })";
    driver.evaluate(all).expect("it has thrown");
    driver.act(&Action::CloseTab).expect("another tab");
    let mut troubles: Vec<(TroubleKind, String)> =
        driver.troubles().into_iter().map(|Trouble { kind, text }| (kind, text.replace(&base, ""))).collect();
    troubles.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [
        (TroubleKind::Request, "404 (X) /404/picture"),
        (TroubleKind::Request, "500 (X) /500/answer"),
        (TroubleKind::Exception, "Uncaught Error: boom (/faulty 2:"),
        (TroubleKind::Console, "no 'price' 7 (/faulty 1:"),
    ];
    assert_eq!(troubles.len(), expected.len(), "{troubles:?}");
    for ((kind, text), (expected, words)) in troubles.iter().zip(expected) {
        assert!(*kind == expected && text.starts_with(words), "{troubles:?}");
    }
    assert_eq!(driver.troubles(), []);
}
