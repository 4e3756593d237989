//! Finds out what a server takes, refuses or ignores, by asking it. Invariant: something counts as taken only if the answer
//! shows that it did what it says.
//!
//! Every question is a few tokens long and greedy, so that two answers to the same question are the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde_json::{Map, Value, json};
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{Conversation, Message, Part, Role};

use crate::answer::{Answer, Usage};
use crate::courier::{Asked, Courier, Patience};
use crate::error::EndpointError;
use crate::found::{Found, FurtherTurns, Offer, Pictures, Stops, VisualTokens};
use crate::request::{Shown, continue_last, count, draw_freely, n_tokens_of, stop_at};

/// What is asked.
const QUESTION: &str = "Count from one to ten in words.";
/// Tokens of an answer in which something is to be seen.
const N_TOKENS: usize = 12;
/// An optional thing gets so long, or so many times as long as the same question without it: a server may be stuck with it.
const LEAST_LIMIT: Duration = Duration::from_secs(10);
const TIMES: u32 = 4;
/// Changes what comes next wherever it is heeded. vLLM takes any number above 0, SGLang none above 2.
const STRONG_PENALTY: f64 = 2.0;

/// What came of something optional.
enum Tried {
    Answered(Answer),
    Refused,
    Silent,
}

/// Asks one model.
struct Probe<'a> {
    courier: &'a Courier,
    /// For what may be refused.
    hasty: Courier,
    model: &'a str,
    budget: PixelBudget,
    counts: bool,
}

/// Finds out what there is to know of a model.
pub(crate) async fn probe(
    courier: &Courier,
    model: &str,
    budget: PixelBudget,
) -> Result<Found, EndpointError> {
    let mut probe = Probe { courier, hasty: courier.clone(), model, budget, counts: true };
    let mut found = Found::default();
    let clock = Instant::now();
    let plain = probe.plain(&mut found).await?;
    let limit = LEAST_LIMIT.max(clock.elapsed() * TIMES).min(courier.patience.limit);
    probe.hasty =
        courier.with(Patience { limit, n_retries: courier.patience.n_retries.min(1), ..courier.patience });
    probe.pictures(&plain, &mut found).await?;
    found.further_turns = probe.further_turns(&plain.text()).await?;
    found.logprobs = probe.logprobs().await?;
    found.stops = probe.stops(&plain.text()).await?;
    found.continued = probe.continued(&plain.text()).await?;
    found.several = probe.several().await?;
    found.neutral = probe.neutral(&plain.text()).await?;
    Ok(found)
}

impl Probe<'_> {
    /// A greedy question with these parts.
    fn question(
        &self,
        parts: Vec<Part>,
        max_tokens: usize,
    ) -> Result<(Map<String, Value>, usize), EndpointError> {
        self.conversation(vec![Message { role: Role::User, parts }], max_tokens)
    }

    /// A greedy conversation.
    fn conversation(
        &self,
        messages: Vec<Message>,
        max_tokens: usize,
    ) -> Result<(Map<String, Value>, usize), EndpointError> {
        let shown = Shown::of(&Conversation { messages, forced_prefix: None }, self.budget)?;
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.into());
        body.insert("messages".to_owned(), shown.messages.into());
        body.insert("max_tokens".to_owned(), max_tokens.into());
        body.insert("temperature".to_owned(), 0.into());
        body.insert("stream".to_owned(), true.into());
        if self.counts {
            count(&mut body);
        }
        Ok((body, shown.n_visual))
    }

    /// The question in words alone.
    fn words(&self, max_tokens: usize) -> Result<Map<String, Value>, EndpointError> {
        Ok(self.question(vec![Part::Text(QUESTION.to_owned())], max_tokens)?.0)
    }

    /// Asks what must be answered.
    async fn must(&self, body: Map<String, Value>) -> Result<Answer, EndpointError> {
        Ok(self.courier.ask(&asked(body)).await?.answer)
    }

    /// Asks what may be refused.
    async fn may(&self, body: Map<String, Value>) -> Result<Tried, EndpointError> {
        match self.hasty.ask(&asked(body)).await {
            Ok(brought) => Ok(Tried::Answered(brought.answer)),
            Err(error) if error.is_refusal() => Ok(Tried::Refused),
            Err(EndpointError::OutOfTime { .. }) => Ok(Tried::Silent),
            Err(error) => Err(error),
        }
    }

    /// The answer to the question in words, with its tokens counted where that is not refused.
    async fn plain(&mut self, found: &mut Found) -> Result<Answer, EndpointError> {
        let counted = self.must(self.words(N_TOKENS)?).await;
        let plain = match counted {
            Err(EndpointError::Refused { .. }) => {
                self.counts = false;
                found.usage = Offer::Refused;
                self.must(self.words(N_TOKENS)?).await?
            }
            answer => answer?,
        };
        if self.counts {
            found.usage = if plain.usage.is_some() { Offer::Taken } else { Offer::Ignored };
        }
        Ok(plain)
    }

    /// Shows one picture, a larger one, and two.
    async fn pictures(&self, plain: &Answer, found: &mut Found) -> Result<(), EndpointError> {
        let factor = self.budget.factor;
        let picture = |units: u32| {
            let side = units * factor;
            Part::Image(Arc::new(RgbImage::from_pixel(side, side, Rgb([200, 200, 200]))))
        };
        let (small, large) = (picture(2), picture(8));
        let asking = |mut parts: Vec<Part>| {
            parts.push(Part::Text(QUESTION.to_owned()));
            self.question(parts, 1)
        };
        let blind = |said: String| EndpointError::Blind { model: self.model.to_owned(), said };
        let one = match self.must(asking(vec![small.clone()])?.0).await {
            Err(EndpointError::Refused { said, .. }) => return Err(blind(said)),
            answer => answer?,
        };
        // One token that says something did not end the turn.
        found.tells_length = match one.finish.as_deref() {
            Some("length") => Offer::Taken,
            Some(_) if !one.text().is_empty() => Offer::Ignored,
            _ => Offer::Unknown,
        };
        let n_prompt = |answer: &Answer| answer.usage.map(|usage: Usage| usage.prompt_tokens);
        if let (Some(with), Some(without)) = (n_prompt(&one), n_prompt(plain))
            && with <= without
        {
            return Err(blind(format!("a picture adds no token to the {without} of its question")));
        }
        let larger = self.must(asking(vec![large])?.0).await?;
        let cost = |units: u32| n_tokens_of(units * factor, units * factor, self.budget).map(|n| n as i64);
        let stated = cost(8)? - cost(2)?;
        found.visual_tokens = match (n_prompt(&one), n_prompt(&larger)) {
            (Some(less), Some(more)) if stated > 0 => match more as i64 - less as i64 {
                seen if seen == stated => VisualTokens::AsStated,
                seen => VisualTokens::Other { seen, stated },
            },
            _ => VisualTokens::Unknown,
        };
        found.pictures = match self.may(asking(vec![small.clone(), small])?.0).await? {
            Tried::Answered(_) => Pictures::Several,
            Tried::Refused | Tried::Silent => Pictures::One,
        };
        Ok(())
    }

    /// Asks on with a picture, each time right behind the first turn and once more alone: a server may go on from what it
    /// remembers of the turn before, and lose the picture on the way.
    async fn further_turns(&self, plain: &str) -> Result<FurtherTurns, EndpointError> {
        let side = 4 * self.budget.factor;
        let striped = |x: u32, y: u32| {
            Rgb(if (x / 8 + y / 16).is_multiple_of(2) { [200, 30, 30] } else { [250, 250, 250] })
        };
        let picture = Part::Image(Arc::new(RgbImage::from_fn(side, side, striped)));
        let question = Message::text(Role::User, QUESTION);
        let messages = vec![
            question.clone(),
            Message::text(Role::Assistant, plain),
            Message { role: Role::User, parts: vec![picture, Part::Text(QUESTION.to_owned())] },
        ];
        let (mut behind, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            self.must(self.conversation(vec![question.clone()], N_TOKENS)?.0).await?;
            for answers in [&mut behind, &mut alone] {
                match self.may(self.conversation(messages.clone(), N_TOKENS)?.0).await? {
                    Tried::Answered(answer) => answers.push(answer.text()),
                    Tried::Refused | Tried::Silent => return Ok(FurtherTurns::Unknown),
                }
            }
            if behind.first() == alone.first() {
                return Ok(FurtherTurns::Alike);
            }
        }
        let is_steady =
            behind.iter().all(|said| *said == behind[0]) && alone.iter().all(|said| *said == alone[0]);
        Ok(if is_steady { FurtherTurns::Mixed } else { FurtherTurns::Unknown })
    }

    async fn logprobs(&self) -> Result<Offer, EndpointError> {
        let mut body = self.words(N_TOKENS)?;
        body.insert("logprobs".to_owned(), true.into());
        Ok(match self.may(body).await? {
            Tried::Refused => Offer::Refused,
            Tried::Silent => Offer::Unknown,
            Tried::Answered(answer) => {
                let said: Vec<u8> =
                    answer.tokens.iter().flat_map(|token| token.bytes.iter().copied()).collect();
                // Behind the text may stand what ends a turn.
                let is_told = !said.is_empty() && said.starts_with(answer.text().as_bytes());
                if is_told { Offer::Taken } else { Offer::Ignored }
            }
        })
    }

    /// Asks the same again, and to stop in the middle of the answer that is known. A server that refuses the wish to keep that
    /// text is not asked without: it would strip it in silence at best, and one gets stuck (docs/endpoint.md says which).
    async fn stops(&self, plain: &str) -> Result<Stops, EndpointError> {
        let Some(stop) = middle(plain) else { return Ok(Stops::Unknown) };
        let at = plain.find(stop).unwrap_or(0);
        let mut body = self.words(N_TOKENS)?;
        stop_at(&mut body, &[stop.to_owned()]);
        Ok(match self.may(body).await? {
            Tried::Refused => Stops::Refused,
            Tried::Silent => Stops::Unknown,
            Tried::Answered(answer) => match answer.text() {
                text if text == plain[..at + stop.len()] => Stops::Kept,
                text if text == plain[..at] => match answer.stopped_by.as_deref() {
                    Some(named) if named == stop => Stops::Named,
                    _ => Stops::Stripped,
                },
                text if text == plain => Stops::Ignored,
                _ => Stops::Unknown,
            },
        })
    }

    /// Has the beginning of the known answer continued: it must go on as it did; where the tokens are cut otherwise, the
    /// prompt must at least be shorter than one that ends the beginning as a message.
    async fn continued(&self, plain: &str) -> Result<Offer, EndpointError> {
        let Some(stop) = middle(plain) else { return Ok(Offer::Unknown) };
        let (begun, rest) = plain.split_at(plain.find(stop).unwrap_or(0));
        let asking = |is_continued: bool| -> Result<_, EndpointError> {
            let mut body = self.words(N_TOKENS)?;
            if let Some(Value::Array(messages)) = body.get_mut("messages") {
                messages.push(json!({ "role": Role::Assistant.as_str(), "content": begun }));
            }
            if is_continued {
                continue_last(&mut body);
            }
            Ok(body)
        };
        let continued = match self.may(asking(true)?).await? {
            Tried::Refused => return Ok(Offer::Refused),
            Tried::Silent => return Ok(Offer::Unknown),
            Tried::Answered(answer) => answer,
        };
        let text = continued.text();
        if !rest.is_empty() && text.starts_with(rest) {
            return Ok(Offer::Taken);
        }
        // A server that begins anew says the same as one that repeats the beginning: only the length of its prompt tells.
        let Some(of_continued) = continued.usage else { return Ok(Offer::Unknown) };
        Ok(match self.may(asking(false)?).await? {
            Tried::Answered(Answer { usage: Some(of_ended), .. }) => {
                let is_shorter = of_continued.prompt_tokens < of_ended.prompt_tokens;
                if is_shorter { Offer::Taken } else { Offer::Ignored }
            }
            Tried::Answered(_) | Tried::Refused | Tried::Silent => Offer::Unknown,
        })
    }

    async fn several(&self) -> Result<Offer, EndpointError> {
        let mut body = self.words(1)?;
        body.insert("n".to_owned(), 2.into());
        // Two greedy answers are one, and some servers refuse to give it twice.
        body.insert("temperature".to_owned(), 1.into());
        Ok(match self.may(body).await? {
            Tried::Refused => Offer::Refused,
            Tried::Silent => Offer::Unknown,
            Tried::Answered(answer) if answer.n_others > 0 => Offer::Taken,
            Tried::Answered(_) => Offer::Ignored,
        })
    }

    /// Penalises repetition so much that the answer must change, if the wish is heeded.
    async fn neutral(&self, plain: &str) -> Result<Offer, EndpointError> {
        let mut body = self.words(N_TOKENS)?;
        draw_freely(&mut body, STRONG_PENALTY);
        Ok(match self.may(body).await? {
            Tried::Refused => Offer::Refused,
            Tried::Silent => Offer::Unknown,
            Tried::Answered(answer) if answer.text() != plain => Offer::Taken,
            Tried::Answered(_) => Offer::Ignored,
        })
    }
}

fn asked(body: Map<String, Value>) -> Asked {
    Asked { body: Value::from(body).to_string(), stops: Vec::new(), ends_itself: true }
}

/// Up to three characters in the middle of a text, which stand nowhere before.
fn middle(text: &str) -> Option<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let half = starts.len() / 2;
    starts[half.min(starts.len())..].iter().find_map(|&at| {
        let stop = &text[at..text[at..].char_indices().nth(3).map_or(text.len(), |(len, _)| at + len)];
        (at > 0 && stop.trim() == stop && text.find(stop) == Some(at)).then_some(stop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_text_stands_nowhere_before() {
        // ", t" stands there twice, and a blank at an end may be lost on the way.
        assert_eq!(middle("One, two, three"), Some("thr"));
        assert_eq!(middle("aaaaaaaa"), None);
        assert_eq!(middle("aaaaaaabcd"), Some("aab"));
        for none in ["", "a", " "] {
            assert_eq!(middle(none), None, "{none:?}");
        }
        assert!(middle("äöüßé").is_some());
    }
}
