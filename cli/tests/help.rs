//! The help of every verb, word for word. `UPDATE_HELP=1 cargo test -p vigorl --test help` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

const VERBS: [&[&str]; 22] = [
    &[],
    &["demo"],
    &["locate"],
    &["run"],
    &["record"],
    &["replay"],
    &["stop"],
    &["calibrate"],
    &["report"],
    &["schema"],
    &["view"],
    &["eval"],
    &["train", "sft"],
    &["data", "practice"],
    &["inspect"],
    &["inspect", "forward"],
    &["inspect", "generate"],
    &["quantize"],
    &["bench", "step"],
    &["bench", "engine"],
    &["bench", "train"],
    &["doctor"],
];

fn help_of(verb: &[&str], flag: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vigorl"))
        .args(verb)
        .arg(flag)
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{verb:?}");
    assert!(output.stderr.is_empty(), "{verb:?}: help is data and goes to standard output");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut changed = Vec::new();
    for verb in VERBS {
        let name = if verb.is_empty() { "vigorl".to_owned() } else { verb.join("-") };
        let path = folder.join(format!("{name}.txt"));
        let help = help_of(verb, "--help");
        if std::env::var_os("UPDATE_HELP").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &help).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != help {
            changed.push(name);
        }
    }
    assert!(
        changed.is_empty(),
        "the help of {changed:?} changed; run with UPDATE_HELP=1 and look at the difference"
    );
}

#[test]
fn short_help_is_shorter_and_every_verb_teaches_with_an_example() {
    assert!(help_of(&[], "-h").len() <= help_of(&[], "--help").len());
    for verb in VERBS
        .into_iter()
        .filter(|verb| ["demo", "locate", "run", "report", "view"].contains(verb.first().unwrap_or(&"")))
    {
        let help = help_of(verb, "--help");
        assert!(help.contains("Example") && help.contains(&format!("vigorl {}", verb.join(" "))), "{verb:?}");
    }
}
