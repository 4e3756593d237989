//! Brings one request to a server and its answer back.
//!
//! Invariants: an attempt ends within its limit, body included; what may pass is tried again, a bounded number of times with
//! growing pauses, and not before the server wants it; an answer is whole, or it is an error. A redirection is no answer,
//! because it would carry the screen to somebody who was not named.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::address::{ApiKey, BaseUrl};
use crate::answer::{Answer, Wrong, said_of};
use crate::error::{EndpointError, causes, quoted};

/// The longest answer that is read; a turn is a few kilobytes, and its log-probabilities some hundred times that.
const MAX_ANSWER: usize = 16 << 20;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that wants to be left alone for longer is not waited for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// Why an answer ends that is whole, or was cut at its limit or by a filter, in the words of OpenAI and of TGI. Every other
/// reason, such as `abort`, is that of the server.
const WHOLE: [&str; 7] =
    ["stop", "length", "tool_calls", "function_call", "content_filter", "eos_token", "stop_sequence"];

/// How long a server is waited for, and how often it is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Within which a whole answer must come.
    pub limit: Duration,
    /// Further tries, where a failure may pass.
    pub n_retries: u32,
    /// The pause before the second try; each further one is twice as long.
    pub first_pause: Duration,
}

impl Patience {
    /// As often as a server needs that is busy or being started again: about a quarter of a minute.
    pub fn within(limit: Duration) -> Self {
        Self { limit, n_retries: 5, first_pause: Duration::from_millis(500) }
    }

    /// The pause behind the failure with this number, counted from 1. Half of it is drawn, so that those who failed
    /// together do not come back together.
    fn pause(&self, n_failed: u32, asked: Option<Duration>) -> Duration {
        let whole =
            self.first_pause.saturating_mul(1 << n_failed.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        let drawn = whole.mul_f64(rand::random_range(0.5..=1.0));
        asked.map_or(drawn, |asked| asked.saturating_add(drawn))
    }
}

/// A question as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request.
    pub(crate) body: String,
    /// Texts that end the answer.
    pub(crate) stops: Vec<String>,
    /// Whether the server knows them, and so ends by itself.
    pub(crate) ends_itself: bool,
}

/// An answer, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Brought {
    pub(crate) answer: Answer,
    /// Until something was said.
    pub(crate) first: Duration,
    /// Until everything was.
    pub(crate) whole: Duration,
}

/// Knows the way to a server.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    client: Client,
    address: BaseUrl,
    key: Option<ApiKey>,
    pub(crate) patience: Patience,
}

impl Courier {
    pub(crate) fn try_new(
        address: BaseUrl,
        key: Option<ApiKey>,
        patience: Patience,
    ) -> Result<Self, EndpointError> {
        let mut client = Client::builder().redirect(Policy::none());
        if address.is_here() {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| EndpointError::NoClient { address: address.to_string(), why: causes(&error) })?;
        Ok(Self { client, address, key, patience })
    }

    /// The same with another patience.
    pub(crate) fn with(&self, patience: Patience) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The JSON at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, EndpointError> {
        let address = self.address.join(path);
        let fetch = async || {
            let body = self.whole(self.send(self.client.get(&address), &address).await?, &address).await?;
            serde_json::from_slice(&body).map_err(|error| match error.is_eof() {
                true => truncated(&address, "its JSON has no end"),
                false => {
                    garbage(&address, format!("{error} in `{}`", quoted(&String::from_utf8_lossy(&body))))
                }
            })
        };
        self.again_and_again(&address, fetch).await
    }

    /// The answer to a question.
    pub(crate) async fn ask(&self, asked: &Asked) -> Result<Brought, EndpointError> {
        let address = self.address.join("chat/completions");
        self.again_and_again(&address, async || self.once(&address, asked).await).await
    }

    /// Tries as often as its failures may pass.
    async fn again_and_again<T>(
        &self,
        address: &str,
        attempt: impl AsyncFn() -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        let mut n_failed = 0;
        loop {
            let limit = self.patience.limit;
            let done = tokio::time::timeout(limit, attempt()).await;
            let failure = match done {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_elapsed) => EndpointError::OutOfTime { address: address.to_owned(), limit },
            };
            n_failed += 1;
            let asked = failure.retry_after();
            let is_over =
                n_failed > self.patience.n_retries || asked.is_some_and(|asked| asked > LONGEST_ASKED);
            if is_over || !failure.may_pass() {
                return Err(failure.after(n_failed));
            }
            tokio::time::sleep(self.patience.pause(n_failed, asked)).await;
        }
    }

    async fn once(&self, address: &str, asked: &Asked) -> Result<Brought, EndpointError> {
        let clock = Instant::now();
        let request =
            self.client.post(address).header(CONTENT_TYPE, "application/json").body(asked.body.clone());
        let response = self.send(request, address).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let (answer, first) = if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            self.follow(response, address, asked, clock).await?
        } else {
            let body = self.whole(response, address).await?;
            let mut answer = Answer::default();
            let taken = answer.take(&String::from_utf8_lossy(&body));
            taken.map_err(|wrong| self.wrong(wrong, address))?;
            (answer, clock.elapsed())
        };
        if !ends(&answer, &asked.stops) {
            match answer.finish.as_deref() {
                None => return Err(truncated(address, "it does not say why it ended")),
                Some(reason) if !WHOLE.contains(&reason) => {
                    return Err(truncated(address, &format!("it ended for the reason `{}`", quoted(reason))));
                }
                Some(_) => {}
            }
        }
        Ok(Brought { answer, first, whole: clock.elapsed() })
    }

    /// Reads a stream up to its end, or up to a text that ends the answer.
    async fn follow(
        &self,
        mut response: Response,
        address: &str,
        asked: &Asked,
        clock: Instant,
    ) -> Result<(Answer, Duration), EndpointError> {
        let (mut events, mut answer, mut first, mut n_read) =
            (crate::stream::Events::default(), Answer::default(), None, 0);
        loop {
            let chunk = match response.chunk().await {
                Ok(chunk) => chunk,
                // Everything was said; what is missing is the end of the stream.
                Err(_) if answer.finish.is_some() => None,
                Err(error) => return Err(truncated(address, &causes(&error.without_url()))),
            };
            let (said, is_over) = match chunk {
                Some(bytes) => {
                    n_read += bytes.len();
                    (events.take(&bytes), false)
                }
                None => (std::mem::take(&mut events).finish().into_iter().collect(), true),
            };
            if n_read > MAX_ANSWER {
                return Err(garbage(address, format!("it is longer than {} MiB", MAX_ANSWER >> 20)));
            }
            for event in said {
                if event == "[DONE]" {
                    return Ok((answer, first.unwrap_or_else(|| clock.elapsed())));
                }
                answer.take(&event).map_err(|wrong| self.wrong(wrong, address))?;
                first.get_or_insert_with(|| clock.elapsed());
            }
            // A server that does not know what ends the answer would go on.
            if is_over || !asked.ends_itself && ends(&answer, &asked.stops) {
                return Ok((answer, first.unwrap_or_else(|| clock.elapsed())));
            }
        }
    }

    /// Sends a request; what comes back says that it was accepted.
    async fn send(&self, request: RequestBuilder, address: &str) -> Result<Response, EndpointError> {
        let request = match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.header.clone()),
            None => request,
        };
        let response = request.send().await.map_err(|error| {
            let (is_connect, why) = (error.is_connect(), causes(&error.without_url()));
            match is_connect {
                true => EndpointError::Unreachable { address: address.to_owned(), why, n_tries: 1 },
                false => truncated(address, &why),
            }
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response, address).await)
    }

    /// What a status says that is no success.
    async fn refusal(&self, response: Response, address: &str) -> EndpointError {
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let body = self.whole(response, address).await.unwrap_or_default();
        let said = self.hidden(&said_in(&body));
        let address = address.to_owned();
        match status {
            401 | 403 => EndpointError::Unauthorized { address, status, said },
            404 if said_in(&body).contains("model") => EndpointError::Refused { address, status, said },
            404 => EndpointError::NotThere { address, said },
            408 | 429 | 500.. => EndpointError::Busy { address, status, said, retry_after, n_tries: 1 },
            _ => match too_long(&said) {
                Some((n_tokens, limit)) => EndpointError::TooLong { n_tokens, limit },
                None => EndpointError::Refused { address, status, said },
            },
        }
    }

    /// The whole body.
    async fn whole(&self, mut response: Response, address: &str) -> Result<Vec<u8>, EndpointError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(body),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) => return Err(truncated(address, &causes(&error.without_url()))),
            }
            if body.len() > MAX_ANSWER {
                return Err(garbage(address, format!("it is longer than {} MiB", MAX_ANSWER >> 20)));
            }
        }
    }

    fn wrong(&self, wrong: Wrong, address: &str) -> EndpointError {
        match wrong {
            Wrong::Cut => truncated(address, "its JSON has no end"),
            Wrong::Garbage(why) => garbage(address, self.hidden(&why)),
            Wrong::Failed(said) => truncated(address, &format!("the server says: {}", self.hidden(&said))),
            Wrong::TakesThoughts => EndpointError::TakesThoughts,
        }
    }

    fn hidden(&self, said: &str) -> String {
        self.key.as_ref().map_or_else(|| said.to_owned(), |key| key.hidden_in(said))
    }
}

/// Whether one of the texts that end an answer was said.
fn ends(answer: &Answer, stops: &[String]) -> bool {
    let text = answer.text();
    stops.iter().any(|stop| text.contains(stop.as_str()))
}

fn truncated(address: &str, why: &str) -> EndpointError {
    EndpointError::Truncated { address: address.to_owned(), why: why.to_owned(), n_tries: 1 }
}

fn garbage(address: &str, why: String) -> EndpointError {
    EndpointError::Garbage { address: address.to_owned(), why }
}

/// What the body of a refusal says for people.
fn said_in(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => said_of(json.get("error").or_else(|| json.get("detail")).unwrap_or(&json)),
        Err(_not_json) => quoted(&String::from_utf8_lossy(body)),
    }
}

/// The tokens of a conversation and the limit, where a server refuses it as too long.
///
/// Source: the words of vLLM and OpenAI, which name the limit first: "maximum context length is 4096 tokens. However, you
/// requested 5000 tokens"; SGLang's name the length first: "The input (5000 tokens) is longer than the model's context length
/// (4096 tokens)". The smaller number is the limit in both.
fn too_long(said: &str) -> Option<(usize, usize)> {
    if !said.to_ascii_lowercase().contains("context length") {
        return None;
    }
    let numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<usize>().ok());
    let mut first_two = numbers.take(2).collect::<Vec<_>>();
    first_two.sort_unstable();
    match first_two[..] {
        [limit, n_tokens] => Some((n_tokens, limit)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_drawn_and_respect_what_is_asked() {
        let patience = Patience::within(Duration::from_secs(1));
        for (n_failed, whole) in [(1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (u32::MAX, 30.0)] {
            for _ in 0..20 {
                let pause = patience.pause(n_failed, None).as_secs_f64();
                assert!((whole / 2.0..=whole).contains(&pause), "{n_failed}: {pause}");
            }
        }
        assert!(patience.pause(1, Some(Duration::from_secs(7))) > Duration::from_secs(7));
    }

    #[test]
    fn what_is_too_long_is_told_from_other_refusals() {
        let vllm = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (3976 in the \
                    messages, 1024 in the completion).";
        assert_eq!(too_long(vllm), Some((5000, 4096)));
        let sglang = "The input (5000 tokens) is longer than the model's context length (4096 tokens).";
        assert_eq!(too_long(sglang), Some((5000, 4096)));
        assert_eq!(too_long("the context length is bad"), None);
        assert_eq!(too_long("n must be 1 when using greedy sampling, got 2"), None);
    }
}
