//! What a driver knows of an action besides what can be seen. Invariant: it was looked up, and is no guess.

/// What is to be said of an action that was executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// In words, for records.
    pub detail: Option<String>,
    /// Whether it was looked up that what the action is for is there: then nothing has to change on the screen.
    pub is_there: bool,
}

impl Note {
    /// What the action is for is there.
    pub fn there() -> Self {
        Self { detail: None, is_there: true }
    }

    /// The same with these words.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}
