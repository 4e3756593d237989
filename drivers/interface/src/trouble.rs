//! What goes wrong inside a page. Invariant: it is what the page's own console shows as an error; nothing is decided by it.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A script threw something that nobody caught.
    Exception,
    /// A script wrote it to the console as an error.
    Console,
    /// Something that the page asked for did not come, or came with an HTTP status that is an error.
    Request,
    /// What else the browser calls an error, such as what a policy of the page forbids, or a kind of a newer version.
    #[serde(other)]
    Other,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of thing.
    pub kind: TroubleKind,
    /// In the page's words, with the address and the line where it happened.
    pub text: String,
}
