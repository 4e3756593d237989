//! Keeps secrets out of what is written and shown. Invariant: a secret's name stands wherever its value would.

use vigorl_tasks::scripted::Secret;

/// Secrets, and what stands instead of them.
#[derive(Clone, Default)]
pub struct Hidden {
    /// As they stand in JSON.
    in_json: Vec<(Vec<u8>, Vec<u8>)>,
    /// As they stand in a text for people.
    in_text: Vec<(String, String)>,
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hidden({})", self.in_json.len())
    }
}

impl Hidden {
    /// Hides the values of `secrets`.
    pub fn of(secrets: &[Secret]) -> Self {
        // Instructions and errors quote texts as Rust does, also before they become JSON.
        let quoted = |text: &str| {
            let quoted = format!("{text:?}");
            quoted[1..quoted.len() - 1].to_owned()
        };
        let forms = |secret: &Secret| {
            let name = format!("${{secret:{}}}", secret.name);
            [secret.value.clone(), quoted(&secret.value)].map(|form| (form, name.clone()))
        };
        let mut in_text: Vec<_> = secrets.iter().flat_map(forms).collect();
        // A secret that contains another one goes first.
        in_text.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let pairs = in_text.iter().map(|(value, name)| (json_of(value), json_of(name)));
        let mut in_json: Vec<_> = pairs.collect();
        in_json.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { in_json, in_text }
    }

    /// The same JSON without secrets.
    pub(crate) fn in_json(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.in_json.iter().fold(bytes, |bytes, (value, name)| {
            let mut out = Vec::with_capacity(bytes.len());
            let mut rest = &bytes[..];
            while let Some(at) = rest.windows(value.len()).position(|part| part == &value[..]) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(name);
                rest = &rest[at + value.len()..];
            }
            out.extend_from_slice(rest);
            out
        })
    }

    /// The same text without secrets, as they are or quoted as Rust does.
    pub fn in_text(&self, text: &str) -> String {
        self.in_text.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value, name))
    }
}

/// What stands between the quotes of a JSON string.
fn json_of(text: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_values_in_texts_and_in_json() {
        let secret = |name: &str, value: &str| Secret { name: name.to_owned(), value: value.to_owned() };
        let hidden = Hidden::of(&[secret("SHORT", "pa\"ss"), secret("LONG", "my pa\"ss wörd")]);
        let check = |text: &str, expected: &str| {
            assert_eq!(hidden.in_text(text), expected);
            assert_eq!(hidden.in_text(&format!("{text:?}")), format!("{expected:?}"));
            let json = serde_json::to_vec(&format!("type {text:?}")).unwrap();
            let json: String = serde_json::from_slice(&hidden.in_json(json)).unwrap();
            assert_eq!(json, format!("type {expected:?}"));
        };
        check("pa\"ss, twice: pa\"ss", "${secret:SHORT}, twice: ${secret:SHORT}");
        check("it is my pa\"ss wörd.", "it is ${secret:LONG}.");
        check("pass", "pass");
        assert_eq!(format!("{hidden:?}"), "Hidden(4)");
    }
}
