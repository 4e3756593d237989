//! Which windows input may reach.
//!
//! Invariant: a window is told by its application first. A title alone would not do: a web page and a document choose
//! the title of the window that they are shown in.

/// Applications, such as `galculator`, or one's windows with a title, such as `Mousepad:notes.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedWindows(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    application: String,
    /// A part of the title.
    title: Option<String>,
}

impl AllowedWindows {
    /// Reads entries separated by commas; case does not count.
    ///
    /// # Errors
    /// Names the part that is no entry.
    ///
    /// ```
    /// use vigorl_interface::AllowedWindows;
    /// let allowed = AllowedWindows::parse("galculator, Mousepad:notes.txt").unwrap();
    /// assert!(allowed.allow("Galculator", "whatever"));
    /// assert!(allowed.allow("Mousepad", "*notes.txt - Mousepad") && !allowed.allow("Mousepad", "Settings"));
    /// assert!(!allowed.allow("Chromium", "galculator"));
    /// assert!(AllowedWindows::parse("galculator,").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = |part: &str| {
            let (application, title) = part.split_once(':').unwrap_or((part, ""));
            let (application, title) = (application.trim().to_lowercase(), title.trim().to_lowercase());
            let is_whole = !application.is_empty() && (!title.is_empty() || !part.contains(':'));
            let entry = Entry { application, title: Some(title).filter(|title| !title.is_empty()) };
            is_whole.then_some(entry).ok_or_else(|| {
                format!(
                    "`{part}` is no window; write APPLICATION, or APPLICATION:TITLE for a part of the title"
                )
            })
        };
        text.split(',').map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether input may reach a window with this title, of this application.
    pub fn allow(&self, application: &str, title: &str) -> bool {
        let (application, title) = (application.to_lowercase(), title.to_lowercase());
        self.0.iter().any(|entry| {
            entry.application == application
                && entry.title.as_ref().is_none_or(|part| title.contains(part.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_alone_is_not_enough() {
        for text in ["", "a,,b", ":notes", "editor:", " : "] {
            assert!(AllowedWindows::parse(text).is_err(), "{text}");
        }
    }
}
