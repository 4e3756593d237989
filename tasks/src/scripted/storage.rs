//! The file of cookies and local storage that a task begins with. Invariant: what stands in it is secret, and no error or record
//! shows it.

use std::path::Path;

use vigorl_interface::StorageState;

use super::Secret;

/// What stands in a record instead of what a browser keeps.
const NAME: &str = "storage";

/// Reads a file of cookies and local storage.
///
/// # Errors
/// Says why it cannot be read, or what in it is wrong.
pub fn read_storage(file: &Path) -> Result<StorageState, String> {
    let shown = file.display();
    let text = vigorl_files::read_text(file).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    StorageState::parse(&text).map_err(|why| format!("`{shown}`: {why}"))
}

/// What of it must be hidden.
pub fn stored_secrets(state: &StorageState) -> Vec<Secret> {
    let secret = |value| Secret { name: NAME.to_owned(), value, is_stored: true };
    state.secrets().into_iter().map(secret).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_wrong_with_it_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let missing = read_storage(&file).unwrap_err();
        assert!(missing.starts_with("cannot read `") && missing.contains("state.json"), "{missing}");
        let text =
            r#"{ "cookies": [{ "name": "sid", "value": "k7Xq-1234", "domain": "a.test", "path": "/" }] }"#;
        std::fs::write(&file, text).unwrap();
        let secrets = stored_secrets(&read_storage(&file).unwrap());
        assert_eq!(secrets.len(), 1);
        assert!(secrets[0].is_stored && secrets[0].value == "k7Xq-1234");
        assert!(!format!("{secrets:?}").contains("k7Xq"));
        std::fs::write(&file, &text[..text.len() - 9]).unwrap();
        let cut = read_storage(&file).unwrap_err();
        assert!(cut.contains("state.json`: it ends in line 1") && !cut.contains("k7Xq"), "{cut}");
    }
}
