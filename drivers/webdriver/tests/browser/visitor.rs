//! Who visits, and who is logged in: both stay when a browser forgets an episode.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;
use vigorl_interface::{Action, Driver, DriverError, Login, Visitor};
use vigorl_webdriver::{Options, WebDriver};

use crate::pages::{evaluate, options, start};

/// A server that shows to `ada` that it knows her, and to everybody where it is open.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 4096];
            let n_bytes = stream.read(&mut asked).unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..n_bytes]).into_owned();
            // `ada:hunter2`
            let is_known = asked.contains("Authorization: Basic YWRhOmh1bnRlcjI=");
            let status = if is_known || asked.starts_with("GET /open") {
                "200 OK"
            } else {
                "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\""
            };
            let body = if is_known { "<title>known</title>" } else { "<title>open</title>" };
            let head = "Content-Type: text/html\r\nConnection: close\r\nContent-Length:";
            write!(stream, "HTTP/1.1 {status}\r\n{head} {}\r\n\r\n{body}", body.len()).ok();
        }
    });
    origin
}

fn navigate(driver: &mut WebDriver, url: &str) -> Result<(), DriverError> {
    driver.act(&Action::Navigate { url: url.to_owned() })
}

#[test]
fn a_visitor_stays_who_it_is_when_an_episode_is_forgotten() {
    let visitor = Visitor {
        locale: Some("de-DE".parse().unwrap()),
        time_zone: Some("Asia/Tokyo".parse().unwrap()),
        geolocation: Some("48.1,11.5".parse().unwrap()),
        permissions: Some("camera,notifications=denied".parse().unwrap()),
        certificates: None,
    };
    let mut driver = WebDriver::start(Options { visitor, ..options(1.0) }).expect("a browser");
    let url = format!("{}/open", serve());
    let seen = "const state = async (name) => (await navigator.permissions.query({ name })).state;
        return Promise.all([
            (1.5).toLocaleString(), navigator.language, new Date(0).getHours(),
            new Promise((done) => navigator.geolocation.getCurrentPosition(
                ({ coords }) => done(coords.latitude), ({ message }) => done(message))),
            state('camera'), state('notifications'),
        ])";
    let expected = json!(["1,5", "de-DE", 9, 48.1, "granted", "denied"]);
    for n in 0..3 {
        navigate(&mut driver, &url).unwrap();
        assert_eq!(evaluate(&mut driver, seen).unwrap(), expected, "in episode {n}");
        driver.act(&Action::OpenTab).unwrap();
        navigate(&mut driver, &url).unwrap();
        assert_eq!(evaluate(&mut driver, seen).unwrap(), expected, "in a tab of episode {n}");
        driver.forget().unwrap();
    }
}

#[test]
fn a_login_stays_when_an_episode_is_forgotten_and_is_that_of_one_person() {
    let (mut driver, origin) = (start(), serve());
    let (shop, open) = (format!("{origin}/shop"), format!("{origin}/open"));
    let login = |user: &str, password: &str| Login::new(user, password).unwrap();
    let ada = login("ada", "hunter2");
    let refused = |done: Result<(), DriverError>, words: &str| {
        let why = done.unwrap_err();
        assert!(matches!(why, DriverError::NoAccess { .. }), "{why}");
        let why = why.to_string();
        assert!(why.contains(words) && !why.contains("hunter"), "{why}");
    };
    refused(navigate(&mut driver, &shop), "HTTP status 401");
    refused(driver.log_in(&shop, &login("ada", "hunter3")), "one of them is wrong there");
    refused(navigate(&mut driver, &shop), "HTTP status 401");
    refused(driver.log_in(&open, &ada), "does not ask for a user and a password");
    for _ in 0..2 {
        driver.log_in(&shop, &ada).unwrap();
        assert_eq!(driver.tabs().unwrap().len(), 1, "the tab of our own is gone");
        navigate(&mut driver, &shop).unwrap();
        assert_eq!(driver.page_state().unwrap().title.as_deref(), Some("known"));
        driver.forget().unwrap();
    }
    // Whom the browser remembers, the server does not ask any more, and neither does it where everybody may come.
    driver.log_in(&open, &ada).unwrap();
    refused(driver.log_in(&shop, &login("eve", "hunter2")), "as somebody else");
    // Nobody is there.
    let gone = driver.log_in("http://127.0.0.1:9/", &ada).unwrap_err();
    assert!(matches!(gone, DriverError::Refused { .. }), "it may come: {gone}");
    let elsewhere = driver.log_in("file:///etc/hostname", &ada);
    refused(elsewhere, "is for a page of HTTP");
}
