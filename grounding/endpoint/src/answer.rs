//! What a server answered, put together from its pieces. Invariant: it is complete only if the server said why it ended.
//!
//! A server may take a tool call out of the text and tell it apart. The policy said it as text, so it is written back there,
//! in the spelling of the protocol: that text was put together, and no token positions are known of it.

use serde::Deserialize;
use serde_json::Value;
use vigorl_policy::wire::{TOOL_CALL_CLOSE, TOOL_CALL_OPEN};

use crate::error::quoted;

/// Everything that was said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The text outside of tool calls.
    content: String,
    calls: Vec<Call>,
    /// The tokens of `content`, where the server tells them.
    pub(crate) tokens: Vec<SaidToken>,
    /// Why it ended.
    pub(crate) finish: Option<String>,
    /// The stop string that ended it, if the server names it.
    pub(crate) stopped_by: Option<String>,
    /// What it cost, if the server counts.
    pub(crate) usage: Option<Usage>,
    /// Further answers to the same question that ended.
    pub(crate) n_others: usize,
}

/// A tool call that the server told apart.
#[derive(Debug, Clone, Default)]
struct Call {
    name: String,
    arguments: String,
}

/// One token, as the server tells it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SaidToken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) logprob: f32,
}

/// What the server counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: usize,
    #[serde(default)]
    pub(crate) completion_tokens: usize,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<usize>,
}

impl Usage {
    /// Tokens of the prompt that were computed before.
    pub(crate) fn n_cached(&self) -> usize {
        self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0)
    }
}

/// Why a piece is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is cut off.
    Cut,
    /// It is something else.
    Garbage(String),
    /// The server says that it failed.
    Failed(String),
    /// The thoughts were taken out of the text.
    TakesThoughts,
}

/// A piece of a stream, or a whole answer: both have the same fields, but for one name.
#[derive(Debug, Deserialize)]
struct Piece {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(alias = "message")]
    delta: Option<Delta>,
    finish_reason: Option<String>,
    stop_reason: Option<Value>,
    matched_stop: Option<Value>,
    logprobs: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
    // Two names of one thing, and some servers tell both.
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Debug, Deserialize)]
struct CallPiece {
    function: Option<FunctionPiece>,
}

#[derive(Debug, Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Logprobs {
    content: Option<Vec<TokenPiece>>,
}

#[derive(Debug, Deserialize)]
struct TokenPiece {
    token: String,
    logprob: Option<f32>,
    bytes: Option<Vec<u8>>,
}

impl Answer {
    /// Adds what a piece says.
    pub(crate) fn take(&mut self, json: &str) -> Result<(), Wrong> {
        let piece: Piece = serde_json::from_str(json).map_err(|error| match error.is_eof() {
            true => Wrong::Cut,
            false => Wrong::Garbage(format!("{error} in `{}`", quoted(json))),
        })?;
        if let Some(error) = &piece.error {
            return Err(Wrong::Failed(said_of(error)));
        }
        if piece.choices.is_none() && piece.usage.is_none() {
            return Err(Wrong::Garbage(format!("there are no `choices` in `{}`", quoted(json))));
        }
        self.usage = piece.usage.or(self.usage);
        for choice in piece.choices.into_iter().flatten() {
            self.take_choice(choice)?;
        }
        Ok(())
    }

    fn take_choice(&mut self, choice: Choice) -> Result<(), Wrong> {
        if choice.index > 0 {
            self.n_others += usize::from(choice.finish_reason.is_some());
            return Ok(());
        }
        let said = choice.delta.unwrap_or_default();
        let mut thoughts = said.reasoning_content.iter().chain(&said.reasoning);
        if thoughts.any(|thoughts| !thoughts.is_empty()) {
            return Err(Wrong::TakesThoughts);
        }
        self.content.push_str(said.content.as_deref().unwrap_or_default());
        for function in said.tool_calls.into_iter().flatten().filter_map(|call| call.function) {
            self.take_call(function);
        }
        for token in choice.logprobs.and_then(|logprobs| logprobs.content).into_iter().flatten() {
            // A token without a number would make all positions behind it wrong.
            let logprob = token.logprob.unwrap_or(f32::NAN);
            self.tokens
                .push(SaidToken { bytes: token.bytes.unwrap_or_else(|| token.token.into_bytes()), logprob });
        }
        // Some servers say twice that they ended; the first reason says more.
        if self.finish.is_none() {
            self.finish = choice.finish_reason;
        }
        let named = choice.stop_reason.or(choice.matched_stop);
        if let Some(Value::String(stop)) = named {
            self.stopped_by = Some(stop);
        }
        Ok(())
    }

    fn take_call(&mut self, piece: FunctionPiece) {
        if let Some(name) = piece.name.filter(|name| !name.is_empty()) {
            self.calls.push(Call { name, arguments: String::new() });
        }
        let arguments = piece.arguments.unwrap_or_default();
        match self.calls.last_mut() {
            Some(call) => call.arguments.push_str(&arguments),
            None => self.calls.push(Call { name: String::new(), arguments }),
        }
    }

    /// Whether a part of the text was told apart and is written back.
    pub(crate) fn is_put_together(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Everything that was said, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = self.content.clone();
        for call in &self.calls {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            let name = Value::from(call.name.as_str());
            text.push_str(&format!(
                "{TOOL_CALL_OPEN}\n{{\"name\": {name}, \"arguments\": {}",
                call.arguments
            ));
            // Arguments that end in their middle are those of a call that was cut.
            if serde_json::from_str::<Value>(&call.arguments).is_ok() {
                text.push_str(&format!("}}\n{TOOL_CALL_CLOSE}"));
            }
        }
        text
    }
}

/// What an error object says for people.
pub(crate) fn said_of(error: &Value) -> String {
    match error.get("message").unwrap_or(error) {
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pieces: &[&str]) -> Result<Answer, Wrong> {
        let mut answer = Answer::default();
        for piece in pieces {
            answer.take(piece)?;
        }
        Ok(answer)
    }

    #[test]
    fn a_whole_answer_and_its_stream_say_the_same() {
        let whole = taken(&[
            r#"{"choices": [{"index": 0, "message": {"role": "assistant", "content": "(1, 2)"},
            "finish_reason": "stop", "stop_reason": null, "logprobs": {"content": [
                {"token": "(1", "logprob": -0.5, "bytes": [40, 49], "top_logprobs": []},
                {"token": ", 2)", "logprob": -1.0, "bytes": null}]}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}}"#,
        ]);
        let stream = taken(&[
            r#"{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}"#,
            r#"{"choices": [{"delta": {"content": "(1"}, "logprobs": {"content": [{"token": "(1", "logprob": -0.5}]}}]}"#,
            r#"{"choices": [{"delta": {"content": ", 2)"}, "logprobs": {"content": [{"token": ", 2)", "logprob": -1}]}}]}"#,
            r#"{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": null}"#,
            r#"{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}}"#,
        ]);
        let (whole, stream) = (whole.unwrap(), stream.unwrap());
        assert_eq!(whole.text(), "(1, 2)");
        assert_eq!((whole.text(), &whole.tokens, whole.usage), (stream.text(), &stream.tokens, stream.usage));
        assert_eq!((whole.finish.as_deref(), stream.finish.as_deref()), (Some("stop"), Some("stop")));
        assert_eq!(whole.usage.unwrap().n_cached(), 4);
        assert!(!whole.is_put_together());
    }

    #[test]
    fn a_tool_call_that_was_taken_out_is_written_back_as_it_is_spelled() {
        let name =
            r#"{"choices": [{"delta": {"tool_calls": [{"function": {"name": "search_coordinate"}}]}}]}"#;
        let arguments = |text: &str| {
            format!(
                r#"{{"choices": [{{"delta": {{"tool_calls": [{{"function": {{"arguments": "{text}"}}}}]}}}}]}}"#
            )
        };
        let thought = r#"{"choices": [{"delta": {"content": "<think> a </think>\n"}}]}"#;
        let (begun, ended) = (arguments(r#"{\"coordinate\": "#), arguments("[12, 34]}"));
        let ends = r#"{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}"#;
        let twice = r#"{"choices": [{"delta": {}, "finish_reason": "stop"}]}"#;
        let said = taken(&[thought, name, &begun, &ended, ends, twice]).unwrap();
        assert_eq!(
            said.text(),
            "<think> a </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [12, 34]}}\n</tool_call>"
        );
        assert_eq!(said.finish.as_deref(), Some("tool_calls"));
        assert!(said.is_put_together());
        let cut = taken(&[thought, name, &begun]).unwrap().text();
        assert!(cut.ends_with("\"arguments\": {\"coordinate\": "), "{cut}");
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        assert_eq!(taken(&[r#"{"choices": [{"delta": {"cont"#]).unwrap_err(), Wrong::Cut);
        assert_eq!(
            taken(&[r#"{"error": {"message": "out of memory"}}"#]).unwrap_err(),
            Wrong::Failed("out of memory".to_owned())
        );
        assert_eq!(taken(&[r#"{"error": "no"}"#]).unwrap_err(), Wrong::Failed("no".to_owned()));
        for thoughts in [
            r#"{"reasoning_content": "hm"}"#,
            r#"{"reasoning": "hm"}"#,
            r#"{"content": "a", "reasoning_content": "hm", "reasoning": "hm"}"#,
            r#"{"content": "a", "reasoning_content": null, "reasoning": "hm"}"#,
        ] {
            let piece = format!(r#"{{"choices": [{{"delta": {thoughts}}}]}}"#);
            assert_eq!(taken(&[&piece]).unwrap_err(), Wrong::TakesThoughts, "{thoughts}");
        }
        for garbage in
            ["<html>", "{}", "[]", "1", r#"{"choices": 3}"#, r#"{"choices": [{"delta": {"content": 3}}]}"#]
        {
            assert!(matches!(taken(&[garbage]), Err(Wrong::Garbage(_))), "{garbage}");
        }
    }

    #[test]
    fn an_answer_without_thoughts_may_have_both_names_for_them() {
        let said = r#"{"choices": [{"delta": {"content": "a", "reasoning_content": null, "reasoning": null, "tool_calls": null}}]}"#;
        let both = r#"{"choices": [{"message": {"content": "b", "reasoning_content": "", "reasoning": ""}, "finish_reason": "stop"}]}"#;
        assert_eq!(taken(&[said, both]).unwrap().text(), "ab");
    }

    #[test]
    fn a_stop_string_is_known_where_the_server_names_it() {
        let by = |field: &str| {
            let json = format!(
                r#"{{"choices": [{{"delta": {{"content": "a"}}, "finish_reason": "stop", {field}}}]}}"#
            );
            taken(&[&json]).unwrap().stopped_by
        };
        assert_eq!(by(r#""stop_reason": "</answer>""#).as_deref(), Some("</answer>"));
        assert_eq!(by(r#""matched_stop": "</answer>""#).as_deref(), Some("</answer>"));
        // The id of a token that ends a turn.
        assert_eq!(by(r#""matched_stop": 151645"#), None);
        assert_eq!(by(r#""stop_reason": null"#), None);
    }
}
