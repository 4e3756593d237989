//! Why a server could not be asked. Invariant: each error names its cause and its cure, and carries no secret.

use std::time::Duration;

use vigorl_geometry::fit::FitError;
use vigorl_policy::PolicyError;

/// Why a server could not be asked, or why what came back is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No request can be made to this address.
    #[error("this is no address of a server: {why}")]
    NoAddress {
        /// What is wrong with it.
        why: String,
    },
    /// The key cannot be sent.
    #[error("OPENAI_API_KEY has characters that cannot be sent: write the key alone")]
    OddKey,
    /// The client of this machine cannot be set up.
    #[error("the client for `{address}` cannot be set up: {why}")]
    NoClient {
        /// The address.
        address: String,
        /// What the client said.
        why: String,
    },
    /// Nobody answers there.
    #[error("`{address}` cannot be reached{}: {why}; is the server running, and is --base-url right?", tries(*n_tries))]
    Unreachable {
        /// The address.
        address: String,
        /// What the network said.
        why: String,
        /// How often it was tried.
        n_tries: u32,
    },
    /// The whole answer did not come in time.
    #[error(
        "`{address}` gave no whole answer within {} s: ask it for less at once, or wait longer with --request-secs",
        limit.as_secs_f64()
    )]
    OutOfTime {
        /// The address.
        address: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The server says that it cannot answer now.
    #[error("`{address}` answered with status {status}{}: {said}", tries(*n_tries))]
    Busy {
        /// The address.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// What the server said.
        said: String,
        /// After how long it asks to be asked again.
        retry_after: Option<Duration>,
        /// How often it was tried.
        n_tries: u32,
    },
    /// The server wants another key, or one at all.
    #[error("`{address}` refuses the key (status {status}: {said}): put the right one into OPENAI_API_KEY")]
    Unauthorized {
        /// The address.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// There is nothing at this address.
    #[error("`{address}` is not there (status 404: {said}): --base-url usually ends in /v1")]
    NotThere {
        /// The address.
        address: String,
        /// What the server said.
        said: String,
    },
    /// The server refuses the request as it is.
    #[error("`{address}` refuses the request (status {status}): {said}")]
    Refused {
        /// The address.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// What the server said.
        said: String,
    },
    /// The answer ended before it was complete.
    #[error("the answer of `{address}` ended too early{}: {why}; nothing is made of half an answer", tries(*n_tries))]
    Truncated {
        /// The address.
        address: String,
        /// How that was noticed.
        why: String,
        /// How often it was tried.
        n_tries: u32,
    },
    /// The answer is not what the API says.
    #[error(
        "`{address}` answered what is no chat completion ({why}): does this server speak OpenAI's API there?"
    )]
    Garbage {
        /// The address.
        address: String,
        /// What is wrong, with the beginning of what came.
        why: String,
    },
    /// The server has no such model.
    #[error(
        "the server has no model `{wanted}` ({said}); it has {}: choose one with --served-model",
        listed(there)
    )]
    NoModel {
        /// The name that was asked for.
        wanted: String,
        /// How that is known.
        said: String,
        /// The names that there are.
        there: Vec<String>,
    },
    /// A name is needed, because there are several.
    #[error("the server has {} models, {}: choose one with --served-model", there.len(), listed(there))]
    SeveralModels {
        /// The names that there are.
        there: Vec<String>,
    },
    /// A name is needed, because the server tells none.
    #[error("the server lists no models ({why}): name the one to ask with --served-model")]
    NoList {
        /// What was answered.
        why: String,
    },
    /// The model does not see.
    #[error("`{model}` takes no pictures ({said}): serve a model that sees, with its image processor")]
    Blind {
        /// The model.
        model: String,
        /// What showed it.
        said: String,
    },
    /// The server takes one picture in a conversation, and zooms need several.
    #[error(
        "the server takes one picture in a conversation, and here are {n}: allow several (vLLM: --limit-mm-per-prompt), or \
         forbid zooms with --max-turns 1"
    )]
    OnePicture {
        /// How many were to be shown.
        n: usize,
    },
    /// The network does not see what is stated.
    #[error(
        "the server made {n_prompt} tokens of a conversation whose pictures alone are {n_visual}: it shows its model fewer \
         pixels than is stated; state its own limit with --served-max-pixels"
    )]
    ShowsLess {
        /// Tokens of the whole prompt, as the server counted.
        n_prompt: usize,
        /// Visual tokens of the pictures as they were sent.
        n_visual: usize,
    },
    /// What the server remembers of a conversation changes how it goes on.
    #[error(
        "the server answers a further turn otherwise right behind the turn before than when it is asked alone, so zooms would \
         be answered wrongly: serve the model with another program, or forbid zooms with --max-turns 1"
    )]
    MixesTurns,
    /// A parser of the server takes the thoughts out of the text.
    #[error("the server takes the thoughts out of its answers: start it without a reasoning parser")]
    TakesThoughts,
    /// The server withholds the answer.
    #[error("the server withholds the answer: its filter ended it")]
    Filtered,
    /// The conversation is longer than the context.
    #[error("the conversation has {n_tokens} tokens, the server takes {limit}")]
    TooLong {
        /// Tokens of the conversation, as the server counted.
        n_tokens: usize,
        /// Tokens that it takes.
        limit: usize,
    },
    /// An image cannot be shown to the network.
    #[error("cannot show this image to the policy: {0}")]
    Image(#[from] FitError),
    /// Whoever asked does not wait any more.
    #[error("it was broken off while the server was asked")]
    Cancelled,
}

impl EndpointError {
    /// Whether the same request may be answered when it is made again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Truncated { .. })
    }

    /// After how long the server asks to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same, after so many tries.
    pub(crate) fn after(mut self, tries: u32) -> Self {
        if let Self::Unreachable { n_tries, .. }
        | Self::Busy { n_tries, .. }
        | Self::Truncated { n_tries, .. } = &mut self
        {
            *n_tries = tries;
        }
        self
    }

    /// Whether the server was asked and does not answer to what was in the request; nothing is wrong with the way to it.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::Busy { .. }
                | Self::Truncated { .. }
                | Self::Garbage { .. }
                | Self::NotThere { .. }
        )
    }

    /// Whether what was typed is wrong.
    pub fn is_of_usage(&self) -> bool {
        matches!(
            self,
            Self::NoAddress { .. }
                | Self::OddKey
                | Self::NoModel { .. }
                | Self::SeveralModels { .. }
                | Self::NoList { .. }
        )
    }
}

impl From<EndpointError> for PolicyError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::TooLong { n_tokens, limit } => Self::TooLong { n_tokens, limit },
            EndpointError::Image(error) => Self::Image(error),
            error => Self::Backend(Box::new(error)),
        }
    }
}

fn tries(n: u32) -> String {
    if n > 1 { format!(" in {n} tries") } else { String::new() }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", quoted(name))).collect();
    if names.is_empty() {
        shown.push("none".to_owned());
    } else if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

/// The beginning of what was said, on one line.
pub(crate) fn quoted(said: &str) -> String {
    const SHOWN: usize = 300;
    let words: Vec<&str> = said.split_whitespace().collect();
    let words = words.join(" ");
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: String = words.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    shown
}

/// An error and its causes: the outer ones say little.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
