//! Which keys go to the window manager.
//!
//! Invariant: where input may reach some windows alone, no key is pressed that the manager may keep for itself.

use vigorl_interface::Key;

/// Whether window managers usually keep these keys for themselves, to switch windows or to start programs: then they
/// do not go to the window that has the keyboard.
pub(crate) fn is_for_the_manager(chord: &[Key]) -> bool {
    let has = |key: Key| chord.contains(&key);
    let with_either = chord.iter().any(|key| matches!(key, Key::Escape | Key::Function(_)));
    let with_alt =
        |key: &Key| matches!(key, Key::Tab | Key::Space | Key::Insert | Key::Delete | Key::Char('`'));
    has(Key::Meta)
        || has(Key::Control) && has(Key::Alt)
        || (has(Key::Control) || has(Key::Alt)) && with_either
        || has(Key::Alt) && chord.iter().any(with_alt)
}

#[cfg(test)]
mod tests {
    use vigorl_interface::parse_chord;

    use super::*;

    #[test]
    fn keys_that_switch_windows_or_start_programs_are_told_from_others() {
        let check = |chord: &str| is_for_the_manager(&parse_chord(chord).unwrap());
        for chord in [
            "Alt+Tab",
            "Alt+Shift+Tab",
            "Meta",
            "Meta+r",
            "Alt+F2",
            "Control+Alt+t",
            "Alt+Space",
            "Alt+`",
            "Control+Escape",
            "F2+Control",
        ] {
            assert!(check(chord), "{chord}");
        }
        for chord in ["Tab", "Control+s", "Alt+f", "F2", "Control+Shift+t", "Escape", "Shift+Space"] {
            assert!(!check(chord), "{chord}");
        }
    }
}
