//! An answer as a completion. Invariant: what the server did not tell is empty or unknown; an answer that it broke off is an
//! error.

use std::time::Duration;

use vigorl_policy::{Completion, Finish};

use crate::answer::Answer;
use crate::courier::Brought;
use crate::error::EndpointError;
use crate::request::About;

/// Reads what was brought.
pub(crate) fn completion(brought: Brought, about: &About) -> Result<Completion, EndpointError> {
    let Brought { answer, first, whole } = brought;
    let usage = answer.usage.unwrap_or_default();
    if let (Some(n_visual), Some(_)) = (about.n_visual, answer.usage)
        && usage.prompt_tokens < n_visual
    {
        return Err(EndpointError::ShowsLess { n_prompt: usage.prompt_tokens, n_visual });
    }
    let (text, finish) = said(&answer, about)?;
    let Positions { logprobs, token_ends, ends_inside_token } =
        Positions::of(&answer, &text).unwrap_or_default();
    Ok(Completion {
        text,
        token_ids: Vec::new(),
        n_passes: usage.completion_tokens.max(logprobs.len()).saturating_sub(1),
        logprobs,
        token_ends,
        ends_inside_token,
        forced: Vec::new(),
        prefix_in_words: about.is_in_words,
        n_prompt_tokens: usage.prompt_tokens,
        n_cached_tokens: usage.n_cached(),
        finish,
        vision: Duration::ZERO,
        prefill: first,
        decode: whole.saturating_sub(first),
    })
}

/// What there is of an answer that nobody waits for any more.
pub(crate) fn cancelled(about: &About) -> Completion {
    Completion {
        text: String::new(),
        token_ids: Vec::new(),
        n_passes: 0,
        logprobs: Vec::new(),
        token_ends: Vec::new(),
        ends_inside_token: false,
        forced: Vec::new(),
        prefix_in_words: about.is_in_words,
        n_prompt_tokens: 0,
        n_cached_tokens: 0,
        finish: Finish::Cancelled,
        vision: Duration::ZERO,
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    }
}

/// The text of the turn, and why it ended.
fn said(answer: &Answer, about: &About) -> Result<(String, Finish), EndpointError> {
    let mut text = answer.text();
    // Some servers repeat what they were made to continue.
    if let Some(behind) = about.continued.as_deref().and_then(|begun| text.strip_prefix(begun)) {
        text = behind.to_owned();
    }
    let ends = about.stops.iter().filter_map(|stop| Some(text.find(stop.as_str())? + stop.len()));
    if let Some(end) = ends.min() {
        text.truncate(end);
        return Ok((text, Finish::StopString));
    }
    let named = answer.stopped_by.as_ref().filter(|stop| about.stops.contains(stop));
    match (answer.finish.as_deref(), named) {
        (Some("stop"), Some(stop)) => {
            text.push_str(stop);
            Ok((text, Finish::StopString))
        }
        (Some("length"), _) => Ok((text, Finish::Length)),
        (Some("content_filter"), _) => Err(EndpointError::Filtered),
        // The courier brings no answer that ended for a reason of the server's.
        _ => Ok((text, Finish::EndOfTurn)),
    }
}

/// Where tokens stand in a text, and how likely they were.
#[derive(Debug, Default, PartialEq)]
struct Positions {
    logprobs: Vec<f32>,
    token_ends: Vec<usize>,
    ends_inside_token: bool,
}

impl Positions {
    /// Those of the tokens that say exactly `text`; none if the server's tokens say something else.
    fn of(answer: &Answer, text: &str) -> Option<Self> {
        if answer.is_put_together() || !answer.tokens.iter().all(|token| token.logprob.is_finite()) {
            return None;
        }
        let all: Vec<u8> = answer.tokens.iter().flat_map(|token| token.bytes.iter().copied()).collect();
        if !all.starts_with(text.as_bytes()) {
            return None;
        }
        let mut positions = Self::default();
        let mut end = 0;
        // What stands behind the text ended it: a stop string that was cut off, or the end of the turn.
        for token in answer.tokens.iter().take_while(|token| {
            let is_inside = end < text.len();
            end += token.bytes.len();
            is_inside
        }) {
            let start = positions.token_ends.last().copied().unwrap_or(0);
            positions.token_ends.push((start + token.bytes.len()).min(text.len()));
            positions.ends_inside_token = start + token.bytes.len() > text.len();
            positions.logprobs.push(token.logprob);
        }
        Some(positions)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(stops: &[&str], continued: Option<&str>) -> About {
        About {
            stops: stops.iter().map(ToString::to_string).collect(),
            continued: continued.map(str::to_owned),
            is_in_words: false,
            n_visual: None,
        }
    }

    /// An answer of these tokens and this text.
    fn brought(tokens: &[&str], text: &str, finish: &str, stop_reason: Option<&str>) -> Brought {
        let mut answer = Answer::default();
        let tokens: Vec<_> = tokens.iter().map(|token| json!({ "token": token, "logprob": -0.5 })).collect();
        let choice = json!({ "message": { "content": text }, "finish_reason": finish, "stop_reason": stop_reason,
            "logprobs": { "content": tokens } });
        answer.take(&json!({ "choices": [choice] }).to_string()).unwrap();
        Brought { answer, first: Duration::from_millis(2), whole: Duration::from_millis(5) }
    }

    #[test]
    fn a_turn_ends_behind_its_stop_string_however_the_server_treats_it() {
        let stops = ["</tool_call>", "</answer>"];
        let tokens = ["<answer>", " (1, 2) ", "</", "answer", ">"];
        let whole = "<answer> (1, 2) </answer>";
        for (tokens, text, finish, named) in [
            // Kept.
            (&tokens[..], whole, "stop", Some("</answer>")),
            // Stripped, and named; the tokens are all there.
            (&tokens[..], "<answer> (1, 2) ", "stop", Some("</answer>")),
            // Not known to the server, which went on.
            (&[&tokens[..], &["\n", "more"]].concat()[..], "<answer> (1, 2) </answer>\nmore", "length", None),
        ] {
            let said = completion(brought(tokens, text, finish, named), &about(&stops, None)).unwrap();
            assert_eq!((said.text.as_str(), said.finish), (whole, Finish::StopString));
            assert_eq!(said.token_ends, [8, 16, 18, 24, 25]);
            assert_eq!((said.logprobs.len(), said.ends_inside_token), (5, false));
            assert_eq!((said.prefill, said.decode), (Duration::from_millis(2), Duration::from_millis(3)));
        }
        // Stripped in silence: it is not known that it was said.
        let said =
            completion(brought(&tokens, "<answer> (1, 2) ", "stop", None), &about(&stops, None)).unwrap();
        assert_eq!((said.text.as_str(), said.finish), ("<answer> (1, 2) ", Finish::EndOfTurn));
    }

    #[test]
    fn a_stop_string_may_end_inside_a_token() {
        let said =
            completion(brought(&["(1)", "</a>\n"], "(1)</a>\n", "stop", None), &about(&["</a>"], None));
        let said = said.unwrap();
        assert_eq!((said.text.as_str(), said.token_ends.as_slice()), ("(1)</a>", &[3, 7][..]));
        assert!(said.ends_inside_token);
    }

    #[test]
    fn positions_are_unknown_where_the_tokens_say_something_else() {
        for (tokens, text) in [(&[][..], "(1)"), (&["(2", ")"], "(1)"), (&["(", "1"], "(1)")] {
            let said = completion(brought(tokens, text, "stop", None), &about(&[], None)).unwrap();
            assert!(said.logprobs.is_empty() && said.token_ends.is_empty(), "{tokens:?}");
            assert_eq!((said.text.as_str(), said.finish), ("(1)", Finish::EndOfTurn));
        }
    }

    #[test]
    fn what_was_continued_is_not_part_of_what_was_said() {
        let echoed = brought(&[], "<answer> (1, 2)", "stop", None);
        assert_eq!(completion(echoed, &about(&[], Some("<answer>"))).unwrap().text, " (1, 2)");
        let continued = brought(&[" (1", ", 2)"], " (1, 2)", "stop", None);
        let said = completion(continued, &about(&[], Some("<answer>"))).unwrap();
        assert_eq!((said.text.as_str(), said.token_ends.len()), (" (1, 2)", 2));
    }

    #[test]
    fn an_answer_that_a_filter_ended_is_no_completion() {
        let of = |finish: &str| completion(brought(&[], "(1", finish, None), &about(&[], None));
        assert_eq!(of("length").unwrap().finish, Finish::Length);
        assert!(matches!(of("content_filter"), Err(EndpointError::Filtered)));
    }

    #[test]
    fn fewer_tokens_than_the_pictures_need_are_an_error() {
        let mut brought = brought(&[], "(1)", "stop", None);
        brought.answer.take(r#"{"choices": [], "usage": {"prompt_tokens": 99}}"#).unwrap();
        let of = |n_visual| completion(brought.clone(), &About { n_visual, ..about(&[], None) });
        assert_eq!(of(Some(99)).unwrap().n_prompt_tokens, 99);
        assert_eq!(of(None).unwrap().n_prompt_tokens, 99);
        assert!(matches!(of(Some(100)), Err(EndpointError::ShowsLess { n_prompt: 99, n_visual: 100 })));
    }
}
