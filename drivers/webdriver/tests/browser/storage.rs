//! Cookies and local storage, taken and put back.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;
use vigorl_interface::{Action, Driver, DriverError, StorageState};
use vigorl_webdriver::{AllowedHosts, Options, WebDriver};

use crate::pages::{evaluate, options, start};

/// Serves a page to whoever asks.
fn serve(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _n_bytes = stream.read(&mut [0; 4096]).unwrap_or(0);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
            write!(stream, "{head} {}\r\n\r\n{html}", html.len()).ok();
        }
    });
    origin
}

fn state(text: &str) -> StorageState {
    StorageState::parse(text).expect("a storage state")
}

fn navigate(driver: &mut WebDriver, url: &str) {
    driver.act(&Action::Navigate { url: url.to_owned() }).expect("the page loads");
}

#[test]
fn what_is_put_back_is_taken_again_although_no_server_is_there() {
    let hosts = AllowedHosts::parse("127.0.0.1").expect("a host");
    let mut driver = WebDriver::start(Options { origins: true, allowed_hosts: Some(hosts), ..options(1.0) })
        .expect("a browser");
    // A name that nobody has, and a port at which nobody listens.
    let text = r#"{
        "cookies": [
            { "name": "a", "value": "1", "domain": "shop.invalid", "path": "/", "expires": -1,
              "httpOnly": true, "secure": true, "sameSite": "None" },
            { "name": "b", "value": "2", "domain": ".shop.invalid", "path": "/x", "expires": 1999999999,
              "httpOnly": false, "secure": false, "sameSite": "Strict" }],
        "origins": [
            { "origin": "http://127.0.0.1:1", "localStorage": [{ "name": "length", "value": "a \"q\" \u2028 ä" }] },
            { "origin": "https://shop.invalid", "localStorage": [{ "name": "", "value": "" }, { "name": "token", "value": "t" }] }]
    }"#;
    let given = state(text);
    driver.restore(&given).unwrap();
    assert_eq!(driver.tabs().unwrap().len(), 1, "the tab of our own is gone");
    let url = driver.page_state().unwrap().url;
    assert_eq!(url.as_deref(), Some("about:blank"), "what is shown stays");
    let mut taken = driver.storage().unwrap();
    taken.cookies.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(taken.origins, given.origins);
    for (got, wanted) in taken.cookies.iter().zip(&given.cookies) {
        // A browser keeps none for longer than 400 days.
        let expires = if wanted.expires < 0.0 { wanted.expires } else { got.expires };
        assert!(expires == -1.0 || expires > 1e9, "{expires}");
        assert_eq!(*got, vigorl_interface::Cookie { expires, ..wanted.clone() });
    }
    driver.forget().unwrap();
    assert_eq!(driver.storage().unwrap(), StorageState::default());
}

#[test]
fn what_the_browser_does_not_take_is_named_without_its_value() {
    let mut driver = start();
    let cookie = |more: &str| {
        format!(
            r#"{{ "cookies": [{{ "name": "fine", "value": "1", "domain": "a.test", "path": "/" }},
            {{ "name": "sid", "value": "hunter2", "domain": "a.test", "path": "/", {more} }}] }}"#
        )
    };
    for more in [r#""sameSite": "None", "secure": false"#, r#""path": "nowhere", "name": "__Host-x""#] {
        let refused = driver.restore(&state(&cookie(more))).unwrap_err().to_string();
        assert!(refused.contains("does not take the cookie `") && !refused.contains("hunter2"), "{refused}");
    }
    let large = "x".repeat(6 << 20);
    let text = json!({ "origins": [{ "origin": "https://a.test", "localStorage": [{ "name": "big", "value": large }] }] });
    let refused = driver.restore(&state(&text.to_string())).unwrap_err().to_string();
    assert!(refused.contains("https://a.test") && refused.contains("quota"), "{refused}");
    assert_eq!(driver.tabs().unwrap().len(), 1, "the tab of our own is gone all the same");
}

#[test]
fn all_origins_that_were_visited_are_taken_those_of_frames_and_of_tabs_that_were_closed_as_well() {
    const PAGE: &str = "<title>x</title><script>localStorage.at = location.pathname</script>";
    let [first, second, third] = [serve(PAGE), serve(PAGE), serve(PAGE)];
    let mut driver = WebDriver::start(Options { origins: true, ..options(1.0) }).expect("a browser");
    navigate(&mut driver, &format!("{first}/one"));
    driver.act(&Action::OpenTab).unwrap();
    navigate(&mut driver, &format!("{second}/two"));
    driver.act(&Action::CloseTab).unwrap();
    // The same host at another port is of the same site, so that its frame has the storage of the origin.
    let frame = format!(
        "return new Promise((done) => {{ const frame = document.createElement('iframe'); frame.src = '{third}/three'; \
         frame.onload = () => done(1); document.body.append(frame); }})"
    );
    assert_eq!(evaluate(&mut driver, &frame).unwrap(), 1);
    let taken = driver.storage().unwrap();
    let mut taken: Vec<(String, String)> =
        taken.origins.iter().map(|of| (of.origin.clone(), of.local_storage[0].value.clone())).collect();
    taken.sort();
    let mut expected =
        vec![(first, "/one".to_owned()), (second, "/two".to_owned()), (third, "/three".to_owned())];
    expected.sort();
    assert_eq!(taken, expected);
}

#[test]
fn nobody_says_what_was_visited_who_was_not_asked_to_keep_it() {
    let storage = start().storage();
    assert!(matches!(storage, Err(DriverError::Unsupported { .. })), "{storage:?}");
}

#[test]
fn windows_and_workers_that_a_page_opens_begin_and_are_taken() {
    // Each opens in its own way: in the process of the page that opens it, in another, and as a worker.
    let elsewhere = serve("<script>localStorage.where = 'elsewhere'</script>");
    let page = "<title>shop</title><script>
        localStorage.where = 'here';
        const code = URL.createObjectURL(new Blob(['postMessage(1)']));
        const worker = new Worker(code);
        worker.onmessage = () => { document.title = 'worked' };
        </script>";
    let here = serve(page);
    let mut driver = WebDriver::start(Options { origins: true, ..options(1.0) }).expect("a browser");
    navigate(&mut driver, &here);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let until = |driver: &mut WebDriver, script: &str, what: &str| {
        while evaluate(driver, script).unwrap() != json!(true) {
            assert!(std::time::Instant::now() < deadline, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    until(&mut driver, "return document.title === 'worked'", "the worker never began");
    let open = "window.same = open('/same'); return typeof same === 'object'";
    assert_eq!(evaluate(&mut driver, open).unwrap(), json!(true));
    until(&mut driver, "return same.document.title === 'worked'", "the window of the same site never began");
    evaluate(&mut driver, &format!("window.other = open('{elsewhere}'); return true")).unwrap();
    let of = |driver: &mut WebDriver| {
        let taken = driver.storage().unwrap();
        taken.origins.into_iter().map(|origin| origin.origin).collect::<Vec<_>>()
    };
    while !of(&mut driver).contains(&elsewhere) {
        assert!(std::time::Instant::now() < deadline, "{:?}", of(&mut driver));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(of(&mut driver).contains(&here));
}
