//! What a server takes of a request, refuses, or ignores. Invariant: what was not seen to work is not relied on.

use std::fmt;

use serde::Serialize;

/// What becomes of something optional in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// It does what it says.
    Taken,
    /// The server answers as if it were not there.
    Ignored,
    /// The server refuses the request.
    Refused,
    /// Nobody can tell, or no answer came.
    #[default]
    Unknown,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "taken",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        })
    }
}

/// What becomes of a text at which the answer is to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stops {
    /// The answer ends with it.
    Kept,
    /// The answer ends before it, and the server says which one it was.
    Named,
    /// The answer ends before it, and nothing says that it was there.
    Stripped,
    /// The answer goes on.
    Ignored,
    /// The server refuses the request, or the wish to keep such a text.
    Refused,
    /// Nobody can tell, or no answer came.
    #[default]
    Unknown,
}

impl Stops {
    /// Whether they are sent. Where they are stripped in silence, nothing would tell whether the turn was complete: then
    /// the answer is cut here, as it comes.
    pub fn are_sent(self) -> bool {
        matches!(self, Self::Kept | Self::Named)
    }
}

impl fmt::Display for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Named => "stripped, and named",
            Self::Stripped => "stripped in silence, so cut here",
            Self::Ignored => "ignored, so cut here",
            Self::Refused => "refused, so cut here",
            Self::Unknown => "unknown, so cut here",
        })
    }
}

/// How many pictures a conversation may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pictures {
    /// One.
    #[default]
    One,
    /// Two at least.
    Several,
}

impl fmt::Display for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one in a conversation",
            Self::Several => "several",
        })
    }
}

/// Whether a picture costs as many tokens as it must, seen as it is stated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VisualTokens {
    /// It does.
    AsStated,
    /// It costs another number: the server makes other pixels of it.
    Other {
        /// What it was seen to cost.
        seen: i64,
        /// What it must cost.
        stated: i64,
    },
    /// The server does not count.
    #[default]
    Unknown,
}

impl fmt::Display for VisualTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsStated => f.write_str("as many as stated"),
            Self::Other { seen, stated } => write!(f, "{seen} where {stated} are stated"),
            Self::Unknown => f.write_str("not counted"),
        }
    }
}

/// Whether a further turn is answered alike, whatever the server remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FurtherTurns {
    /// It is.
    Alike,
    /// It is answered in one way right behind the turn before, and in another way alone, each time.
    Mixed,
    /// It is answered in several ways, or not at all.
    #[default]
    Unknown,
}

impl fmt::Display for FurtherTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alike => "answered as alone",
            Self::Mixed => "mixed up with what was asked before",
            Self::Unknown => "unknown",
        })
    }
}

/// Everything that was found out about a server and its model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Pictures in one conversation.
    pub pictures: Pictures,
    /// What they cost.
    pub visual_tokens: VisualTokens,
    /// How a conversation goes on.
    pub further_turns: FurtherTurns,
    /// Whether a begun answer is continued (`continue_final_message`).
    pub continued: Offer,
    /// Whether log-probabilities are told, token by token.
    pub logprobs: Offer,
    /// What becomes of `stop`.
    pub stops: Stops,
    /// Whether several answers come at once (`n`). They are asked for one by one all the same, each with its own seed.
    pub several: Offer,
    /// Whether the checkpoint's own `repetition_penalty` and `top_k` can be turned off.
    pub neutral: Offer,
    /// Whether tokens are counted, also of a stream.
    pub usage: Offer,
    /// Whether the server says that an answer was cut at its limit.
    pub tells_length: Offer,
}

impl Found {
    /// What was found, in words, by name: for people and for records.
    pub fn entries(&self) -> [(&'static str, String); 10] {
        [
            ("pictures", self.pictures.to_string()),
            ("visual tokens", self.visual_tokens.to_string()),
            ("further turns", self.further_turns.to_string()),
            ("continued messages", self.continued.to_string()),
            ("logprobs", self.logprobs.to_string()),
            ("stop", self.stops.to_string()),
            ("n", self.several.to_string()),
            ("repetition_penalty and top_k", self.neutral.to_string()),
            ("usage", self.usage.to_string()),
            ("finish_reason length", self.tells_length.to_string()),
        ]
    }

    /// What a user has to know of what does not work.
    pub fn shortcomings(&self) -> Vec<&'static str> {
        let mut all = Vec::new();
        if self.continued != Offer::Taken {
            all.push("a forced answer is asked for in words, and marked so");
        }
        if self.logprobs != Offer::Taken {
            all.push("confidence is unknown");
        }
        if self.pictures == Pictures::One {
            all.push("there are no zooms");
        }
        if self.further_turns == FurtherTurns::Mixed {
            all.push("further turns are mixed up with what was asked before");
        }
        if self.neutral != Offer::Taken {
            all.push("the checkpoint's generation_config.json may change how tokens are drawn");
        }
        if self.visual_tokens == VisualTokens::Unknown {
            all.push("nobody checks how many pixels the model is shown");
        }
        if self.tells_length != Offer::Taken {
            all.push("a turn that is cut at its limit looks as if it had ended");
        }
        all
    }
}
