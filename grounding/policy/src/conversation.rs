//! What a policy is asked to continue. Invariant: images stay where they were said, between the texts.

use std::sync::Arc;

use image::RgbImage;
use sha2::{Digest as _, Sha256};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The task prompt; normally the checkpoint's own default is used instead.
    System,
    /// The person, and the observations of zoom turns.
    User,
    /// The policy.
    Assistant,
}

impl Role {
    /// The name a chat template knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A piece of a message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(String),
    /// What a policy said, with the tokens of its vocabulary that it was sampled as: another turn is fed with these,
    /// because the same text can often be cut otherwise.
    Sampled {
        /// The text.
        text: String,
        /// Its tokens in order.
        ids: Vec<u32>,
    },
    /// An image as handed to the message builder, before the processor's own resize.
    Image(Arc<RgbImage>),
}

impl Part {
    /// The text, of a part that is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Sampled { text, .. } => Some(text),
            Self::Image(_) => None,
        }
    }

    /// The image, of a part that is one.
    pub fn image(&self) -> Option<&Arc<RgbImage>> {
        match self {
            Self::Image(image) => Some(image),
            Self::Text(_) | Self::Sampled { .. } => None,
        }
    }
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Text and images in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }

    /// The images of the message in order.
    pub fn images(&self) -> impl Iterator<Item = &Arc<RgbImage>> {
        self.parts.iter().filter_map(Part::image)
    }
}

/// All messages so far. A policy keeps what it computed for a conversation and only computes what was added.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// The messages in order.
    pub messages: Vec<Message>,
    /// Text with which the next completion is forced to begin (`continue_final_message`).
    pub forced_prefix: Option<String>,
}

impl Conversation {
    /// SHA-256, in hexadecimal digits, of all that is said: roles, texts, and of each image how large it is. Its pixels are
    /// left out: hashing those of a large screenshot takes longer than deciding about it.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        // Lengths keep a text from ending in the words of the next one.
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for message in &self.messages {
            add(message.role.as_str().as_bytes());
            for part in &message.parts {
                match part {
                    Part::Image(pixels) => {
                        add(format!("image {}x{}", pixels.width(), pixels.height()).as_bytes());
                    }
                    Part::Text(text) | Part::Sampled { text, .. } => add(text.as_bytes()),
                }
            }
        }
        add(self.forced_prefix.as_deref().unwrap_or_default().as_bytes());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The images of all messages in order.
    pub fn images(&self) -> impl Iterator<Item = &Arc<RgbImage>> {
        self.messages.iter().flat_map(Message::images)
    }
}
