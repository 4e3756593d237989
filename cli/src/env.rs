//! Environment variables. Invariant: the only place that reads them.
//!
//! Every setting has a variable: `VIGORL_` and its name in capitals, `--max-turns` is `VIGORL_MAX_TURNS`.
//! `HF_HOME`, `HF_ENDPOINT` and `HF_TOKEN` are read by the hub's own client.

#![expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]

use std::path::PathBuf;

/// `NO_COLOR`: any value keeps colors out of messages.
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// `HF_HUB_OFFLINE`: the hub may not be asked, only its cache.
#[cfg(feature = "hub")]
pub(crate) fn hub_is_offline() -> bool {
    std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| is_yes(&value))
}

/// What the hub's own client takes for yes.
#[cfg(feature = "hub")]
fn is_yes(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}

/// The variable of a setting, `VIGORL_MAX_TURNS` for `max_turns`.
pub(crate) fn variable_of(setting: &str) -> String {
    format!("VIGORL_{}", setting.to_uppercase())
}

/// The value of a setting's variable.
pub(crate) fn setting(setting: &str) -> Option<String> {
    std::env::var(variable_of(setting)).ok().filter(|value| !value.is_empty())
}

/// `$XDG_CONFIG_HOME/vigorl/config.toml`, or the same under `$HOME/.config`.
pub(crate) fn user_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))?;
    Some(config.join("vigorl").join("config.toml"))
}

/// `$XDG_CACHE_HOME/vigorl`, or the same under `$HOME/.cache`.
#[cfg(feature = "reader")]
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("vigorl"))
}

/// Whether the desktop is a Wayland session.
pub(crate) fn is_wayland() -> bool {
    std::env::var("XDG_SESSION_TYPE").is_ok_and(|kind| kind == "wayland")
        || std::env::var("WAYLAND_DISPLAY").is_ok_and(|display| !display.is_empty())
}

/// `OPENAI_API_KEY`: what a server wants to see before it answers.
pub(crate) fn api_key() -> Option<String> {
    std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.trim().is_empty())
}

/// A secret of a task, by its own name.
pub(crate) fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `VIGORL_RUNTIME_DIR`: a folder whose runs are apart from the user's others.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    std::env::var_os("VIGORL_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// The X11 display, as programs name it.
pub(crate) fn display() -> Option<String> {
    std::env::var("DISPLAY").ok().filter(|display| !display.is_empty())
}

/// Where a program is found in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What was typed, for records.
pub(crate) fn command_line() -> String {
    let words = std::env::args().enumerate().map(|(idx, word)| match idx {
        // The program's folder says nothing about the run.
        0 => "vigorl".to_owned(),
        _ if word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c))
            && !word.is_empty() =>
        {
            word
        }
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, feature = "hub"))]
mod tests {
    use super::*;

    #[test]
    fn yes_is_said_in_any_case() {
        for value in ["1", "true", "TRUE", "Yes", "On"] {
            assert!(is_yes(value), "{value}");
        }
        for value in ["", "0", "false", "no", "2"] {
            assert!(!is_yes(value), "{value}");
        }
    }
}
