//! Log in once: what a run saves of cookies and local storage, others begin with; and nothing of it is in a record.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the server gives to whoever logs in.
const SESSION: &str = "Zq81-session-77";
/// What its page keeps.
const TOKEN: &str = "tk.94-local-token";

/// Shows who comes, by a cookie that no script may read, and by what its page keeps; `/login` goes over another origin.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), port));
        }
    });
    port
}

fn answer(mut stream: TcpStream, port: u16) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let is_known =
        head.iter().any(|line| line.to_lowercase().starts_with("cookie:") && line.contains(SESSION));
    let mut cookie = String::new();
    let body = match path.as_str() {
        "/login" => {
            format!("<title>login</title><a id=in href='http://localhost:{port}/other'>Log in</a><p>not yet")
        }
        // On its way, another origin keeps something of its own.
        "/other" => format!(
            "<script>localStorage.other = 'of-another-1'; location.replace('http://127.0.0.1:{port}/welcome')</script>"
        ),
        "/welcome" => {
            cookie = format!("Set-Cookie: sid={SESSION}; HttpOnly; Path=/; Max-Age=3600\r\n");
            format!("<title>welcome</title><script>localStorage.token = '{TOKEN}'</script><p>Welcome")
        }
        _ => {
            let who = if is_known { "Hello again" } else { "Who is there?" };
            format!(
                "<title>shop</title><p>{who}<p id=kept><script>kept.textContent = \
                 localStorage.token === '{TOKEN}' ? 'kept' : 'not kept'</script>"
            )
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{cookie}");
    // A browser that goes leaves the rest.
    write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").ok();
}

fn write_tasks(folder: &Path, port: u16) {
    let task = |path: &str, start: &str, steps: &str, expect: &str| {
        format!(
            "name: t\nstart: {{ url: 'http://127.0.0.1:{port}/{path}', viewport: 600x500{start} }}\nsteps: [{steps}]\nexpect: [{expect}]\n"
        )
    };
    let click = "click: { what: the login, name: Log in }";
    let login = format!("{{ {click} }}, {{ wait_for: {{ text_visible: Welcome }} }}");
    let is_in = "{ text_visible: Hello again }, { element: { selector: '#kept', text: kept } }, \
                 { not: { text_visible: not kept } }";
    let look = "assert: { title_contains: shop }";
    let write = |name: &str, yaml: String| fs::write(folder.join(name), yaml).unwrap();
    write("login.yaml", task("login", "", &login, "title_contains: welcome"));
    write("unsolved.yaml", task("login", "", &login, "title_contains: nowhere"));
    write("shop.yaml", task("", "", look, is_in));
    write("with.yaml", task("", ", storage: saved/state.json", look, is_in));
}

fn vigorl(folder: &Path, arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command.args(arguments.split(' ')).current_dir(folder);
    let output = command.env("XDG_CONFIG_HOME", folder.join("user")).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

#[track_caller]
fn check(folder: &Path, arguments: &str, code: i32, words: &str) {
    let (got, said) = vigorl(folder, arguments);
    assert_eq!(got, Some(code), "{arguments}: {said}");
    assert!(said.contains(words), "{arguments}: {said}");
    for value in [SESSION, TOKEN] {
        assert!(!said.contains(value), "{arguments}: {said}");
    }
}

/// All text of all files below a folder.
fn texts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.push_str(&texts(&path)),
            false => all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap())),
        }
    }
    all
}

#[test]
fn a_login_is_saved_once_and_others_begin_with_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let port = serve();
    write_tasks(folder, port);
    fs::create_dir(folder.join("saved")).unwrap();
    check(folder, "run shop.yaml --places", 1, "Hello again");
    let saved = "run login.yaml --places --save-storage saved/state.json";
    check(folder, saved, 0, "1 cookies and the local storage of 2 origins");

    let file = folder.join("saved/state.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let state: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let cookie = &state["cookies"][0];
    let of = ["name", "value", "domain", "path", "sameSite"].map(|name| cookie[name].as_str().unwrap());
    assert_eq!(of, ["sid", SESSION, "127.0.0.1", "/", "Lax"]);
    assert!(
        cookie["httpOnly"] == true && cookie["secure"] == false && cookie["expires"].as_f64() > Some(1e9)
    );
    let origins = state["origins"].as_array().unwrap();
    let stored = |origin: &Value| {
        let item = &origin["localStorage"][0];
        [&origin["origin"], &item["name"], &item["value"]].map(|text| text.as_str().unwrap().to_owned())
    };
    let expected = [
        [format!("http://127.0.0.1:{port}"), "token".to_owned(), TOKEN.to_owned()],
        [format!("http://localhost:{port}"), "other".to_owned(), "of-another-1".to_owned()],
    ];
    assert_eq!([stored(&origins[0]), stored(&origins[1])], expected);

    fs::remove_dir_all(folder.join("runs")).unwrap();
    check(folder, "run shop.yaml --places --storage saved/state.json", 0, "solved");
    check(folder, "run with.yaml --places", 0, "solved");
    check(
        folder,
        "run with.yaml shop.yaml --places --storage saved/state.json --repeat 2 --parallel 2",
        0,
        "all:",
    );
    let written = texts(&folder.join("runs"));
    assert!(written.contains("saved/state.json"), "the record names the file");
    for value in [SESSION, TOKEN, "of-another-1"] {
        assert!(!written.contains(value), "{value} is in a record");
    }
    // A state that was begun with is saved again whole, also where nobody went.
    check(
        folder,
        "run shop.yaml --places --storage saved/state.json --save-storage again.json",
        0,
        "2 origins",
    );
}

#[test]
fn a_run_is_done_again_with_what_it_began_with() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_tasks(folder, serve());
    check(folder, "run login.yaml --places --save-storage state.json --output-dir first", 0, "solved");
    check(folder, "run shop.yaml --places --storage state.json", 0, "solved");
    let run = fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path();
    let again = format!("replay {} --output-dir again", run.display());
    check(folder, &again, 0, "solved");
    fs::rename(folder.join("state.json"), folder.join("moved.json")).unwrap();
    check(folder, &again, 2, "--storage: cannot read");
    check(folder, &format!("{again} --storage moved.json"), 0, "solved");
}

#[test]
fn what_is_no_login_is_not_saved() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_tasks(folder, serve());
    check(folder, "run unsolved.yaml --places --save-storage state.json", 1, "`state.json` was not written");
    assert!(!folder.join("state.json").exists());
    check(folder, "run login.yaml --places --save-storage state.json --repeat 2", 2, "of 2 runs");
    check(folder, "run login.yaml shop.yaml --places --save-storage state.json", 2, "of 2 runs");
    check(folder, "run login.yaml --places --save-storage no/state.json", 2, "there is no folder `no`");
    check(folder, "run login.yaml --places --save-storage state.json --dry-run", 2, "--dry-run");
    assert!(!folder.join("state.json").exists() && !folder.join("runs").join("state.json").exists());
}

#[test]
fn a_wrong_file_is_wrong_usage_and_its_values_are_not_told() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write_tasks(folder, serve());
    let whole = format!(
        r#"{{"cookies":[{{"name":"sid","value":"{SESSION}","domain":"127.0.0.1","path":"/","expires":-1,"sameSite":"Lax"}}],"origins":[]}}"#
    );
    let wrong = |text: &str, words: &str| {
        fs::write(folder.join("state.json"), text).unwrap();
        check(folder, "run shop.yaml --places --storage state.json", 2, words);
    };
    wrong(&whole[..whole.len() - 20], "it was cut off");
    wrong("", "it is empty");
    wrong(&format!("sid={SESSION}"), "no JSON from line 1");
    wrong("[]", "as Playwright writes it");
    wrong(&whole.replace(&format!("\"{SESSION}\""), "7"), "`cookies[0].value` is no text");
    wrong(&whole.replace("Lax", "lax"), "is none of Strict, Lax, None");
    check(folder, "run shop.yaml --places --storage none.json", 2, "--storage: cannot read");
    check(folder, "run with.yaml --places", 2, "start.storage: cannot read `./saved/state.json`");
    assert!(!folder.join("runs").exists(), "nothing was begun");

    // What the browser does not take is no login either.
    let insecure = whole.replace("\"sameSite\":\"Lax\"", "\"sameSite\":\"None\",\"secure\":false");
    fs::write(folder.join("state.json"), insecure).unwrap();
    let refused = "the browser does not take the cookie `sid` of 127.0.0.1/";
    check(folder, "run shop.yaml --places --storage state.json", 1, refused);
    let expired = whole.replace("-1", "1000000000");
    fs::write(folder.join("state.json"), expired).unwrap();
    check(folder, "run shop.yaml --places --storage state.json", 1, "1 of 1 cookies in");
}
