//! A conversation as a request. Invariant: texts and pictures stay in their order, a picture is sent in the size in which the
//! network sees it, and no text can forge a control token of the template.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use serde_json::{Map, Value, json};
use vigorl_geometry::fit::{FitError, PixelBudget, smart_resize};
use vigorl_policy::resize::{Filter, resize};
use vigorl_policy::{Conversation, Message, Part, Role, Sampling, without_control_tokens};

use crate::courier::Asked;
use crate::error::EndpointError;
use crate::found::{Found, Offer, Pictures};

/// What asks for a beginning where the server cannot be made to continue one.
const BEGIN_WITH: &str = "\n\nBegin your reply with exactly this, and go on from there:\n";

/// What is known of a question when its answer is read.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// Texts that end the answer, and belong to it.
    pub(crate) stops: Vec<String>,
    /// The beginning that the server was made to continue.
    pub(crate) continued: Option<String>,
    /// Whether a beginning was asked for in words.
    pub(crate) is_in_words: bool,
    /// Visual tokens of all pictures, if the server is known to count them so.
    pub(crate) n_visual: Option<usize>,
}

/// Asks one model of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) model: &'a str,
    pub(crate) budget: PixelBudget,
    pub(crate) found: &'a Found,
}

impl Asking<'_> {
    /// The request that continues `conversation`.
    pub(crate) fn request(
        &self,
        conversation: &Conversation,
        sampling: &Sampling,
    ) -> Result<(Asked, About), EndpointError> {
        let Found { continued, logprobs, stops, neutral, usage, pictures, .. } = *self.found;
        let n_pictures = conversation.images().count();
        if pictures == Pictures::One && n_pictures > 1 {
            return Err(EndpointError::OnePicture { n: n_pictures });
        }
        let shown = Shown::of(conversation, self.budget)?;
        let mut messages = shown.messages;
        let mut body = Map::new();
        let prefix = conversation.forced_prefix.as_deref();
        let is_continued = prefix.is_some() && continued == Offer::Taken;
        match prefix {
            Some(prefix) if is_continued => {
                messages.push(json!({ "role": Role::Assistant.as_str(), "content": prefix }));
                continue_last(&mut body);
            }
            Some(prefix) => ask_in_words(&mut messages, prefix),
            None => {}
        }
        body.insert("model".to_owned(), self.model.into());
        body.insert("messages".to_owned(), messages.into());
        body.insert("stream".to_owned(), true.into());
        body.insert("temperature".to_owned(), sampling.temperature.into());
        body.insert("top_p".to_owned(), sampling.top_p.into());
        if sampling.temperature > 0.0 {
            // Some servers keep it in 64 bits with a sign.
            body.insert("seed".to_owned(), (sampling.seed >> 1).into());
        }
        // More is no limit, and some servers hold it against the length of the context.
        if u32::try_from(sampling.max_new_tokens).is_ok() {
            body.insert("max_tokens".to_owned(), sampling.max_new_tokens.into());
        }
        if usage == Offer::Taken {
            count(&mut body);
        }
        if logprobs == Offer::Taken {
            body.insert("logprobs".to_owned(), true.into());
        }
        if neutral == Offer::Taken {
            draw_freely(&mut body, f64::from(sampling.repetition_penalty));
        }
        let ends_itself = stops.are_sent() && !sampling.stop.is_empty();
        if ends_itself {
            stop_at(&mut body, &sampling.stop);
        }
        let about = About {
            stops: sampling.stop.clone(),
            continued: prefix.filter(|_| is_continued).map(str::to_owned),
            is_in_words: prefix.is_some() && !is_continued,
            n_visual: (self.found.visual_tokens == crate::VisualTokens::AsStated).then_some(shown.n_visual),
        };
        Ok((Asked { body: Value::from(body).to_string(), stops: sampling.stop.clone(), ends_itself }, about))
    }
}

/// Has the last message gone on with, as vLLM and SGLang take it.
pub(crate) fn continue_last(body: &mut Map<String, Value>) {
    body.insert("continue_final_message".to_owned(), true.into());
    body.insert("add_generation_prompt".to_owned(), false.into());
}

/// Has the tokens of a stream counted.
pub(crate) fn count(body: &mut Map<String, Value>) {
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
}

/// Turns off what the generation_config.json of a checkpoint would add to the drawing of tokens.
pub(crate) fn draw_freely(body: &mut Map<String, Value>, repetition_penalty: f64) {
    body.insert("repetition_penalty".to_owned(), repetition_penalty.into());
    body.insert("top_k".to_owned(), (-1).into());
}

/// Ends the answer behind these texts, and asks two servers in their own words to leave them in it.
pub(crate) fn stop_at(body: &mut Map<String, Value>, stops: &[String]) {
    body.insert("stop".to_owned(), stops.into());
    body.insert("include_stop_str_in_output".to_owned(), true.into());
    body.insert("no_stop_trim".to_owned(), true.into());
}

/// Appends to the last thing that was said to the policy.
fn ask_in_words(messages: &mut Vec<Value>, prefix: &str) {
    let words = format!("{BEGIN_WITH}{prefix}");
    let last = messages.last_mut().filter(|last| last["role"] == Role::User.as_str());
    match last.map(|last| &mut last["content"]) {
        Some(Value::String(text)) => text.push_str(&words),
        Some(Value::Array(parts)) => parts.push(json!({ "type": "text", "text": words })),
        _ => messages.push(json!({ "role": Role::User.as_str(), "content": words.trim_start() })),
    }
}

/// The messages of a conversation, and what their pictures cost.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) messages: Vec<Value>,
    pub(crate) n_visual: usize,
}

impl Shown {
    pub(crate) fn of(conversation: &Conversation, budget: PixelBudget) -> Result<Self, EndpointError> {
        let mut shown = Self { messages: Vec::new(), n_visual: 0 };
        for message in &conversation.messages {
            let content = shown.content(message, budget)?;
            shown.messages.push(json!({ "role": message.role.as_str(), "content": content }));
        }
        Ok(shown)
    }

    /// A text alone is a text; templates of models that only read take nothing else.
    fn content(&mut self, message: &Message, budget: PixelBudget) -> Result<Value, EndpointError> {
        let mut parts: Vec<Value> = Vec::new();
        let mut text = String::new();
        for part in &message.parts {
            match part {
                // Neighbours are one text: some servers would set something between two.
                Part::Text(said) | Part::Sampled { text: said, .. } => {
                    text.push_str(&without_control_tokens(said));
                }
                Part::Image(image) => {
                    push_text(&mut parts, &mut text);
                    let url = self.picture(image, budget)?;
                    parts.push(json!({ "type": "image_url", "image_url": { "url": url } }));
                }
            }
        }
        if parts.is_empty() {
            return Ok(text.into());
        }
        push_text(&mut parts, &mut text);
        Ok(parts.into())
    }

    /// A picture as the network sees it: what has that size already is not touched by the server's own resize.
    fn picture(&mut self, image: &RgbImage, budget: PixelBudget) -> Result<String, EndpointError> {
        let (width, height) = smart_resize(image.width(), image.height(), budget)?;
        self.n_visual += budget.n_tokens(width, height);
        let png = match image.dimensions() == (width, height) {
            true => png_of(image),
            false => png_of(&resize(image, width, height, Filter::Bicubic)),
        }?;
        Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
    }
}

fn push_text(parts: &mut Vec<Value>, text: &mut String) {
    if !text.is_empty() {
        parts.push(json!({ "type": "text", "text": std::mem::take(text) }));
    }
}

/// Visual tokens of a picture of any size.
pub(crate) fn n_tokens_of(width: u32, height: u32, budget: PixelBudget) -> Result<usize, FitError> {
    let (width, height) = smart_resize(width, height, budget)?;
    Ok(budget.n_tokens(width, height))
}

fn png_of(image: &RgbImage) -> Result<Vec<u8>, FitError> {
    let mut png = Cursor::new(Vec::new());
    match image.write_to(&mut png, ImageFormat::Png) {
        Ok(()) => Ok(png.into_inner()),
        // Nothing is written but to memory, so only a picture without pixels cannot be a PNG.
        Err(_) => Err(FitError::Empty),
    }
}
