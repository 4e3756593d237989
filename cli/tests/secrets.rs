//! Secrets that stand on the screen: everything there is read into the record, and none of them is in any of its files.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Of every alphabet that passwords and keys are made of, from 4 to 40 characters.
const SECRETS: [&str; 44] = [
    "k7#q",
    "Xy9!",
    "zQ4w",
    "tango",
    "Il1O0o",
    "S5B8s5",
    "739184",
    "O0Q0O0",
    "hunter22",
    "Tr0ub4dor&3",
    "p@ssw0rd!",
    "Zx81-Qy44",
    "20480-77310",
    "4012888888881881",
    "correct horse battery staple",
    "purple monkey dishwasher",
    "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "deadbeefcafebabe",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "sk-proj-4hD9kQ2mW7xZ1vB8nT5r",
    "eyJhbGciOiJIUzI1NiJ9",
    "xoxb-17653672481-19874698323",
    "550e8400-e29b-41d4-a716-446655440000",
    "MFRGGZDFMZTWQ2LK",
    "JBSWY3DPEHPK3PXP",
    "QmFzZTY0IGlzIGZ1bg==",
    "c2VjcmV0L3BhdGg+eA==",
    "pä$$wörd-Übung",
    "señal-número-9",
    "密码很长很安全",
    "秘密の合言葉です",
    "snow*Leopard_42",
    "B1ue-J4y.N3st",
    "m00nL1ght;Son@ta",
    "q-W-e-R-t-Y-8-8",
    "a1b2c3d4e5f6",
    "RIVER.STONE.KITE.77",
    "lowercaseonlysecret",
    "UPPERCASEONLYSECRET",
    "camelCaseSecretValue",
    "<b>&amp;\"quoted\"'s",
    "100%+50%=what?",
];

/// A page that shows every secret in a way of its own, one after the other.
fn page(action: &str) -> String {
    let html = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let shown = |(n, secret): (usize, &&str)| {
        let text = html(secret);
        match n % 11 {
            0 => format!("<p>Your new password is {text}</p>"),
            1 => format!("<p><input value=\"{text}\" style='width: 420px'></p>"),
            2 => format!("<table border=1><tr><td>Token {n}<td>{text}<td>active</table>"),
            3 => format!("<p style='width: 90px; word-break: break-all'>{text}</p>"),
            4 => format!("<p style='font-size: 9px'>tiny: {text}</p>"),
            5 => format!("<p style='background: #111; color: #999'>dark: {text}</p>"),
            6 => format!("<p style='letter-spacing: 7px'>{text}</p>"),
            7 => format!("<p><input value=\"{text}\" style='width: 64px'></p>"),
            8 => format!("<p style='text-transform: uppercase'>key {text}</p>"),
            9 => format!(
                "<pre style='width: 160px; white-space: pre-wrap; word-break: break-all'>key={text}</pre>"
            ),
            _ => format!("<p><b style='font: italic 22px serif'>{text}</b></p>"),
        }
    };
    let all: String = SECRETS.iter().enumerate().map(shown).collect();
    let title = html(SECRETS[14]);
    format!(
        "<!doctype html><meta charset=utf-8><title>in {title}</title>\
         <body style='columns: 3; margin: 10px; font: 15px sans-serif; background: #fff'>{all}\
         <form action=\"{action}\"><textarea name=q autofocus rows=9 cols=44></textarea>\
         <button aria-label=\"Send {text}\">Send</button></form>",
        text = html(SECRETS[33]),
    )
}

/// As a reader, or somebody who searches, takes them for the same.
fn folded(text: &str) -> String {
    let alike = |c: char| match c {
        '0' | 'O' | 'o' => 'o',
        '1' | 'l' | 'L' | 'I' | 'i' | '|' | '!' => 'l',
        c => c.to_lowercase().next().unwrap_or(c),
    };
    text.chars().filter(|c| !c.is_whitespace()).map(alike).collect()
}

/// Every text of every file below a folder, but for pictures.
fn texts_below(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        match path.extension().and_then(|ending| ending.to_str()) {
            _ if path.is_dir() => all.extend(texts_below(&path)),
            Some("png") => {}
            _ => all.push((name, without_pictures(&fs::read_to_string(&path).unwrap()))),
        }
        all.push(("a name".to_owned(), path.file_name().unwrap().to_string_lossy().into_owned()));
    }
    all
}

/// A report has its pictures inside.
fn without_pictures(text: &str) -> String {
    let mut parts = text.split("base64,");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/=".contains(c)));
    }
    out
}

/// The longest stretch of a secret that a text has, in characters.
fn longest_part(secret: &str, text: &str) -> usize {
    let secret: Vec<char> = secret.chars().collect();
    let has = |len: usize| secret.windows(len).any(|part| text.contains(&part.iter().collect::<String>()));
    (1..=secret.len()).rev().find(|len| has(*len)).unwrap_or(0)
}

#[test]
fn none_of_the_secrets_on_the_screen_is_in_any_file_of_a_run_that_records_all_text() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("page.html"), page(&format!("file://{}", at("page.html").display()))).unwrap();
    let env: Vec<String> =
        SECRETS.iter().enumerate().map(|(n, secret)| format!("S{n:02}={secret}\n")).collect();
    fs::write(at("my.env"), env.concat()).unwrap();
    let typed: Vec<String> = (0..SECRETS.len()).map(|n| format!("${{secret:S{n:02}}}")).collect();
    let yaml = format!(
        "name: log in as ${{who}}\nvars: {{ who: me }}\n\
         start: {{ url: 'file://{}', viewport: 1280x1200 }}\nsteps:\n  - wait_for: {{ title_contains: in }}\n  \
         - type: '{}'\n  - click: the Send button\n  \
         - read: {{ of: {{ screen: {{ beside: Token 24 }} }}, into: token }}\n\
         expect: [{{ text_visible: {{ text: purple monkey dishwasher, on: screen }} }}]\n",
        at("page.html").display(),
        typed.join(" "),
    );
    fs::write(at("task.yaml"), yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigorl"));
    command
        .args([
            "run",
            "task.yaml",
            "--secrets",
            "my.env",
            "--record-text",
            "all",
            "--eyes",
            "reader",
            "-v",
            "--record-rollouts",
        ])
        .args(["--var", &format!("who={}", SECRETS[8])])
        .current_dir(folder.path())
        .env("XDG_CONFIG_HOME", folder.path().join("user"));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut written = texts_below(&at("runs"));
    written.push(("what was printed".to_owned(), said.concat()));

    // All was read, and is in the record and the report.
    let read = |ending: &str| {
        let files = written.iter().filter(|(name, _)| name.ends_with(ending));
        files.map(|(_, text)| text.as_str()).collect::<String>()
    };
    for (file, words) in [("text.json", "Token 35"), ("report.html", "lines that were read")] {
        assert!(read(file).contains(words), "{file}: {}\n{}", read("text.json"), said.concat());
    }
    let named = (0..SECRETS.len()).filter(|n| read("text.json").contains(&format!("${{secret:S{n:02}}}")));
    let n_named = named.count();
    println!("{n_named} of {} secrets are named in what was read", SECRETS.len());
    assert!(n_named >= 40, "{n_named}");

    let mut found = Vec::new();
    for secret in SECRETS {
        let short = folded(secret);
        for (name, text) in &written {
            if text.contains(secret) || folded(text).contains(&short) {
                found.push(format!("`{secret}` is in {name}"));
            }
            let part = longest_part(&short, &folded(text));
            if short.chars().count() >= 8 && 4 * part >= 3 * short.chars().count() {
                found.push(format!("{part} characters of `{secret}` are in {name}"));
            }
        }
    }
    assert!(found.is_empty(), "{}\n{}", found.join("\n"), said.concat());
}
