//! The checkpoint's tokenizer, with the protocol's special tokens by name.

use std::path::Path;

use crate::error::EngineError;

/// Text to token ids and back.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// `<|image_pad|>`.
    pub image_pad: u32,
    /// `<|im_end|>`, which ends a turn.
    pub end_of_turn: u32,
    /// `<|endoftext|>`, which ends a text.
    pub end_of_text: Option<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a checkpoint folder.
    ///
    /// # Errors
    /// A missing or unreadable file, or a tokenizer without the vision tokens.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        let path = dir.join("tokenizer.json");
        if !path.exists() {
            return Err(EngineError::MissingFile { path, needs: "its tokenizer.json" });
        }
        let bytes = std::fs::read(&path).map_err(|e| EngineError::Read { path, detail: e.to_string() })?;
        Self::from_bytes(&bytes)
    }

    /// Reads the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// An unreadable file, or a tokenizer without the vision tokens.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let inner =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| EngineError::config("tokenizer.json", e))?;
        let id = |token: &'static str| inner.token_to_id(token).ok_or(EngineError::MissingToken { token });
        id("<|vision_start|>")?;
        id("<|vision_end|>")?;
        id("<|im_start|>")?;
        let (image_pad, end_of_turn) = (id("<|image_pad|>")?, id("<|im_end|>")?);
        let end_of_text = inner.token_to_id("<|endoftext|>");
        Ok(Self { inner, image_pad, end_of_turn, end_of_text })
    }

    /// Ids of `text`; special tokens written in it become their ids.
    ///
    /// # Errors
    /// Only if the tokenizer is broken.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|e| EngineError::config("tokenizer.json", e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids`, special tokens included.
    ///
    /// # Errors
    /// Only if the tokenizer is broken.
    pub fn decode(&self, ids: &[u32]) -> Result<String, EngineError> {
        self.inner.decode(ids, false).map_err(|e| EngineError::config("tokenizer.json", e))
    }

    /// Every token that is written in the given characters alone, with its text.
    pub(crate) fn written_in(
        &self,
        is_among: impl Fn(char) -> bool,
    ) -> Result<Vec<(u32, String)>, EngineError> {
        // Byte-level vocabularies write a space and a newline so.
        let may_be = |token: &str| token.chars().all(|c| is_among(c) || matches!(c, '\u{120}' | '\u{10A}'));
        let mut found = Vec::new();
        for (token, id) in self.inner.get_vocab(true) {
            if may_be(&token) {
                let text = self.decode(&[id])?;
                if !text.is_empty() && text.chars().all(&is_among) {
                    found.push((id, text));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Id of a token by its exact text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The largest id, added tokens included.
    pub(crate) fn largest_id(&self) -> u32 {
        self.inner.get_vocab(true).into_values().max().unwrap_or(0)
    }

    /// Number of ids, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}

/// Turns sampled ids into text piece by piece; a piece is held back while a character is incomplete.
#[derive(Debug, Default)]
pub(crate) struct TextStream {
    ids: Vec<u32>,
    /// Ids before this index only give context for the first character of the next piece.
    context: usize,
    emitted: usize,
}

impl TextStream {
    /// Adds an id and returns the text that became complete.
    pub(crate) fn push(&mut self, id: u32, tokenizer: &Tokenizer) -> Result<String, EngineError> {
        self.ids.push(id);
        self.take(tokenizer, false)
    }

    /// The text that [`Self::push`] would return.
    pub(crate) fn peek(&mut self, id: u32, tokenizer: &Tokenizer) -> Result<String, EngineError> {
        let before = (self.context, self.emitted);
        let piece = self.push(id, tokenizer);
        self.ids.pop();
        (self.context, self.emitted) = before;
        piece
    }

    /// The rest, complete or not.
    pub(crate) fn finish(&mut self, tokenizer: &Tokenizer) -> Result<String, EngineError> {
        self.take(tokenizer, true)
    }

    fn take(&mut self, tokenizer: &Tokenizer, even_incomplete: bool) -> Result<String, EngineError> {
        let known = tokenizer.decode(&self.ids[self.context..self.emitted])?;
        let text = tokenizer.decode(&self.ids[self.context..])?;
        if text.len() <= known.len() || (text.ends_with('\u{FFFD}') && !even_incomplete) {
            return Ok(String::new());
        }
        let piece = text.get(known.len()..).unwrap_or_default().to_owned();
        (self.context, self.emitted) = (self.emitted, self.ids.len());
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Streams `ids` and then the rest; both must be `text`, without an incomplete character on the way.
    #[track_caller]
    fn check_streamed(tokenizer: &Tokenizer, ids: &[u32], text: &str) {
        let mut stream = TextStream::default();
        let mut streamed = String::new();
        for &id in ids {
            let piece = stream.push(id, tokenizer).unwrap();
            assert!(!piece.contains('\u{FFFD}'), "{piece:?}");
            streamed.push_str(&piece);
        }
        streamed.push_str(&stream.finish(tokenizer).unwrap());
        assert_eq!(streamed, text);
    }

    #[test]
    fn a_character_split_over_tokens_is_held_back_until_it_is_complete() {
        let tokenizer = Tokenizer::from_bytes(crate::nano::TOKENIZER).unwrap();
        for text in ["ü", "a€b", "😀", "click the ü, 12", "日本語"] {
            let ids = tokenizer.encode(text).unwrap();
            check_streamed(&tokenizer, &ids, text);
        }
        let ids = tokenizer.encode("a😀").unwrap();
        assert!(ids.len() > 2, "this tokenizer splits no character");
        check_streamed(&tokenizer, &ids[..ids.len() - 1], "a\u{FFFD}");
    }
}
