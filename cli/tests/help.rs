//! The help of every verb, word for word. `UPDATE_HELP=1 cargo test -p vigorl --test help` writes it anew.
//!
//! Invariant: the names of presets, eyes and evaluations are listed in the code alone, so that a new one changes no file
//! here. The written help has `…` instead of them; those of presets and evaluations are compared with the code's lists.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use vigorl_benchmarks::{EVALUATIONS, Named};
use vigorl_policy::Preset;

const VERBS: [&[&str]; 39] = [
    &[],
    &["demo"],
    &["locate"],
    &["read"],
    &["licenses"],
    &["run"],
    &["record"],
    &["replay"],
    &["stop"],
    &["calibrate"],
    &["report"],
    &["schema"],
    &["view"],
    &["eval"],
    &["eval", "report"],
    &["eval", "rescore"],
    &["eval", "behaviour"],
    &["eval", "published"],
    &["judge"],
    &["env", "list"],
    &["env", "check"],
    &["rollout"],
    &["train", "sft"],
    &["train", "compare"],
    &["train", "replay-rollout"],
    &["train", "export-rollouts"],
    &["data", "practice"],
    &["data", "app"],
    &["inspect"],
    &["inspect", "forward"],
    &["inspect", "generate"],
    &["quantize"],
    &["fetch", "reader"],
    &["bench", "step"],
    &["bench", "engine"],
    &["bench", "eval"],
    &["bench", "train"],
    &["bench", "read"],
    &["doctor"],
];

/// Lists of the code in the help: how one begins, which is its first entry, and what follows it.
const PRESETS: (&str, &str) = (" web-grounding,", "]");
const EYES: (&str, &str) = ("- auto: ", "\n\n");
const EVALUATED: (&str, &str) = ("- practice: ", "\n\n");

/// Puts `…` instead of a list; its words, if it is there.
fn take_list(help: &mut String, (begin, end): (&str, &str)) -> Option<String> {
    let at = help.find(begin)?;
    let len = help[at..].find(end).unwrap();
    let words = help[at..at + len].split_whitespace().collect::<Vec<_>>().join(" ");
    help.replace_range(at..at + len, "…");
    Some(words)
}

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

/// Puts `…` instead of every list of the code; those that a test can see must be complete.
fn take_lists(help: &mut String) {
    let evaluated = EVALUATIONS.map(|Named { name, about, .. }| format!("- {name}: {about}"));
    for (list, expected) in [(PRESETS, Preset::NAMES.join(", ")), (EVALUATED, evaluated.join(" "))] {
        if let Some(words) = take_list(help, list) {
            assert_eq!(words, expected);
        }
    }
    if let Some(words) = take_list(help, EYES) {
        assert!(words.contains(" - policy: "), "{words}");
    }
}

#[test]
fn help_is_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut changed = Vec::new();
    for verb in VERBS {
        let name = if verb.is_empty() { "vigorl".to_owned() } else { verb.join("-") };
        let path = folder.join(format!("{name}.txt"));
        let mut help = help_of(verb, "--help");
        take_lists(&mut help);
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
    for verb in VERBS.into_iter().filter(|verb| {
        ["demo", "locate", "run", "report", "view", "judge"].contains(verb.first().unwrap_or(&""))
    }) {
        let help = help_of(verb, "--help");
        assert!(help.contains("Example") && help.contains(&format!("vigorl {}", verb.join(" "))), "{verb:?}");
    }
}
