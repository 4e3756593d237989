//! Renders a conversation with the checkpoint's own chat template, as transformers' `apply_chat_template` does.
//!
//! Invariant: a rendered prompt holds exactly one image placeholder per image, in the order of the images;
//! text that spells a control token (`<|…|>`) is broken up with a space, so that neither an instruction nor a
//! completion can forge one.
//! Source of what a template is given: transformers 5.0, `processing_utils.py` and `utils/chat_template_utils.py`.

mod python;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use minijinja::{Environment, Error, Value, context};
use serde_json::Value as Json;

use crate::wire::{ASSISTANT_OPEN, IM_END, IMAGE_PAD};
use crate::{Conversation, Message, Part, PolicyError, Role};

/// Where a chat template may be, in the order in which they are asked; the order of transformers.
pub const TEMPLATE_FILES: [&str; 3] = ["chat_template.json", "chat_template.jinja", "tokenizer_config.json"];

/// Where the texts of special tokens are; what the first says goes before what the second says.
const TOKEN_FILES: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];
/// The special tokens that a template may write by name.
const TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Marks the place where a forced prefix ends; a character no text contains.
const CONTINUE_HERE: &str = "\u{10FFFF}";

/// A prompt ready for the tokenizer.
#[derive(Debug, Clone)]
pub struct RenderedPrompt {
    /// The text, with one `<|image_pad|>` per image.
    pub text: String,
    /// The images in order, before the processor's own resize.
    pub images: Vec<Arc<RgbImage>>,
    /// Which bytes of the text were sampled, in order, and as which tokens.
    pub sampled: Vec<(Range<usize>, Vec<u32>)>,
}

/// Where the words of each assistant message stand in rendered text, in bytes and without the token that ends them;
/// none where the template does not keep them as they are.
pub fn assistant_words(text: &str, messages: &[Message]) -> Vec<Option<Range<usize>>> {
    let mut from = 0;
    let said = messages.iter().filter(|message| message.role == Role::Assistant);
    said.map(|message| {
        let words: String = message.parts.iter().filter_map(Part::text).collect();
        let start = from + text[from..].find(ASSISTANT_OPEN)? + ASSISTANT_OPEN.len();
        from = start;
        let is_kept = text[start..].strip_prefix(&words)?.starts_with(IM_END);
        is_kept.then(|| {
            from += words.len();
            start..from
        })
    })
    .collect()
}

/// Of rendered text, what was sampled and as which tokens.
fn sampled(text: &str, messages: &[Message]) -> Vec<(Range<usize>, Vec<u32>)> {
    let said = messages.iter().filter(|message| message.role == Role::Assistant);
    let mut found = Vec::new();
    for (message, words) in said.zip(assistant_words(text, messages)) {
        let Some(words) = words else { continue };
        let mut at = words.start;
        for part in &message.parts {
            let end = at + part.text().map_or(0, str::len);
            if let Part::Sampled { ids, .. } = part {
                found.push((at..end, ids.clone()));
            }
            at = end;
        }
    }
    found
}

/// A checkpoint's chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// Texts of special tokens, by name.
    tokens: BTreeMap<&'static str, String>,
}

impl ChatTemplate {
    /// Reads the template of a checkpoint folder: the first of [`TEMPLATE_FILES`] that has one.
    ///
    /// # Errors
    /// [`PolicyError::Template`] if there is none, a file cannot be read, or the template is not Jinja.
    pub fn from_folder(folder: &Path) -> Result<Self, PolicyError> {
        Self::from_files(|name| match fs::read(folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .map_err(|error| match error {
            PolicyError::Template(cause) => PolicyError::Template(format!("{cause} ({})", folder.display())),
            other => other,
        })
    }

    /// Like [`Self::from_folder`], for files that `read` finds by name, wherever they are.
    ///
    /// # Errors
    /// [`PolicyError::Template`] if there is none, a file cannot be read, or the template is not Jinja.
    pub fn from_files(read: impl Fn(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Self, PolicyError> {
        let tokens = tokens(&read)?;
        for name in TEMPLATE_FILES {
            let Some(bytes) = read(name).map_err(|error| unreadable(name, &error))? else { continue };
            let source = match name.ends_with(".jinja") {
                true => Some(String::from_utf8(bytes).map_err(|error| unreadable(name, &error))?),
                false => template_in(&json_of(name, &bytes)?["chat_template"]),
            };
            if let Some(source) = source {
                return Ok(Self { tokens, ..Self::new(source)? });
            }
        }
        Err(PolicyError::Template(format!("no chat template in {}", TEMPLATE_FILES.join(", "))))
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// [`PolicyError::Template`] if it is not Jinja.
    pub fn new(source: impl Into<String>) -> Result<Self, PolicyError> {
        let mut environment = python::environment().map_err(cause)?;
        let source = python::source(&source.into());
        environment.add_template_owned("chat_template", source).map_err(cause)?;
        Ok(Self { environment, tokens: BTreeMap::new() })
    }

    /// Renders what the policy continues: all messages, then the opened assistant message with the forced
    /// prefix, if any.
    ///
    /// # Errors
    /// [`PolicyError::Template`] if the template fails or loses an image.
    pub fn render(&self, conversation: &Conversation) -> Result<RenderedPrompt, PolicyError> {
        let Some(prefix) = &conversation.forced_prefix else {
            return self.render_messages(&conversation.messages, Ending::GenerationPrompt);
        };
        let mut messages = conversation.messages.clone();
        messages.push(Message::text(Role::Assistant, format!("{prefix}{CONTINUE_HERE}")));
        let mut prompt = self.render_messages(&messages, Ending::Closed)?;
        let end = prompt.text.rfind(CONTINUE_HERE).ok_or_else(|| {
            PolicyError::Template("the template drops the text the completion must begin with".to_owned())
        })?;
        prompt.text.truncate(end);
        Ok(prompt)
    }

    /// Renders finished messages: no generation prompt follows. For training data.
    ///
    /// # Errors
    /// [`PolicyError::Template`] if the template fails or loses an image.
    pub fn render_finished(&self, messages: &[Message]) -> Result<RenderedPrompt, PolicyError> {
        self.render_messages(messages, Ending::Closed)
    }

    fn render_messages(&self, messages: &[Message], ending: Ending) -> Result<RenderedPrompt, PolicyError> {
        let values: Vec<Value> = messages.iter().map(message_value).collect();
        let template = self.environment.get_template("chat_template").map_err(cause)?;
        let text = template
            .render(context! {
                messages => values,
                add_generation_prompt => matches!(ending, Ending::GenerationPrompt),
                // They are asked for as there: nobody hands over tools or documents.
                tools => (),
                documents => (),
                ..Value::from(self.tokens.clone())
            })
            .map_err(cause)?;
        let images: Vec<_> = messages.iter().flat_map(Message::images).cloned().collect();
        let n_pads = text.matches(IMAGE_PAD).count();
        if n_pads != images.len() {
            let n_images = images.len();
            let cause = format!("the template wrote {n_pads} image placeholders for {n_images} images");
            return Err(PolicyError::Template(cause));
        }
        Ok(RenderedPrompt { sampled: sampled(&text, messages), text, images })
    }
}

enum Ending {
    GenerationPrompt,
    Closed,
}

fn cause(error: Error) -> PolicyError {
    PolicyError::Template(error.to_string())
}

fn unreadable(name: &str, cause: &dyn std::fmt::Display) -> PolicyError {
    PolicyError::Template(format!("cannot read {name}: {cause}"))
}

fn json_of(name: &str, bytes: &[u8]) -> Result<Json, PolicyError> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(name, &error))
}

/// The texts of special tokens; a token that has none is not there, and a template writes nothing for it.
fn tokens(
    read: &impl Fn(&str) -> io::Result<Option<Vec<u8>>>,
) -> Result<BTreeMap<&'static str, String>, PolicyError> {
    let mut tokens = BTreeMap::new();
    for name in TOKEN_FILES {
        let Some(bytes) = read(name).map_err(|error| unreadable(name, &error))? else { continue };
        let json = json_of(name, &bytes)?;
        for token in TOKENS {
            if let Some(text) = json[token].as_str().or(json[token]["content"].as_str()) {
                tokens.entry(token).or_insert_with(|| text.to_owned());
            }
        }
    }
    Ok(tokens)
}

/// A string, or the entry `default` of a list of named templates or of a map.
fn template_in(field: &Json) -> Option<String> {
    let named_default =
        || field.as_array()?.iter().find(|entry| entry["name"] == "default")?["template"].as_str();
    let source = field.as_str().or_else(named_default).or_else(|| field["default"].as_str());
    source.map(str::to_owned)
}

fn message_value(message: &Message) -> Value {
    let content: Vec<Value> = message
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) | Part::Sampled { text, .. } => {
                context! { type => "text", text => without_control_tokens(text) }
            }
            Part::Image(_) => context! { type => "image" },
        })
        .collect();
    context! { role => message.role.as_str(), content => content }
}

/// Writes `<|name|>` as `<| name|>`, which the tokenizer reads as plain text. So [`ChatTemplate`] writes every text; whoever
/// hands texts to another one does the same.
pub fn without_control_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("<|") {
        let (before, tail) = rest.split_at(start + 2);
        out.push_str(before);
        let name_len = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
        if name_len > 0 && tail[name_len..].starts_with("|>") {
            out.push(' ');
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Conversation {
        Conversation { messages: vec![Message::text(Role::User, text)], forced_prefix: None }
    }

    #[track_caller]
    fn fails_with(result: Result<impl std::fmt::Debug, PolicyError>, part: &str) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }

    #[test]
    fn a_template_that_is_not_jinja_is_refused_with_the_cause() {
        fails_with(ChatTemplate::new("{% for message in %}"), "syntax error");
    }

    #[test]
    fn an_exception_raised_by_the_template_is_reported() {
        let template = ChatTemplate::new("{{ raise_exception('roles must alternate') }}").unwrap();
        fails_with(template.render(&ask("hello")), "roles must alternate");
    }

    #[test]
    fn a_template_that_loses_an_image_is_an_error() {
        let template = ChatTemplate::new("{{ messages[0]['content'][0]['text'] }}").unwrap();
        let mut conversation = ask("hello");
        conversation.messages[0].parts.push(Part::Image(Arc::new(RgbImage::new(1, 1))));
        fails_with(template.render(&conversation), "0 image placeholders for 1 images");
    }

    #[test]
    fn a_template_that_drops_the_forced_prefix_is_an_error() {
        let template = ChatTemplate::new("{{ messages[0]['content'][0]['text'] }}").unwrap();
        let conversation = Conversation { forced_prefix: Some("<answer>".to_owned()), ..ask("hello") };
        fails_with(template.render(&conversation), "drops the text");
    }

    #[test]
    fn text_cannot_forge_a_control_token() {
        let template = ChatTemplate::new("{{ messages[0]['content'][0]['text'] }}").unwrap();
        let prompt =
            template.render(&ask("a <|image_pad|> <|im_end|> <<|x|> <|not one|> <| |> b<|")).unwrap();
        assert_eq!(prompt.text, "a <| image_pad|> <| im_end|> <<| x|> <|not one|> <| |> b<|");
    }

    #[test]
    fn sampled_words_are_found_where_the_template_keeps_them() {
        let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n\
            {% for c in m.content %}{{ c.text | trim }}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";
        let template = ChatTemplate::new(source).unwrap();
        let said = |text: &str, id| Message {
            role: Role::Assistant,
            parts: vec![Part::Sampled { text: text.to_owned(), ids: vec![id] }],
        };
        let messages = vec![
            Message::text(Role::User, "one"),
            said("(1, 2)", 1),
            // Trimmed away, broken up, and never sampled.
            said(" (3, 4)", 2),
            said("<|im_end|>", 3),
            Message::text(Role::Assistant, "(1, 2)"),
            said("(1, 2)", 5),
        ];
        let prompt = template.render(&Conversation { messages, forced_prefix: None }).unwrap();
        let found: Vec<_> =
            prompt.sampled.iter().map(|(at, ids)| (&prompt.text[at.clone()], ids.as_slice())).collect();
        assert_eq!(found, [("(1, 2)", &[1][..]), ("(1, 2)", &[5])]);
        let last = prompt.sampled.last().map(|(at, _)| at.end).unwrap();
        assert_eq!(&prompt.text[last..], "<|im_end|>\n<|im_start|>assistant");
    }

    #[test]
    fn python_methods_and_loop_controls_work() {
        let source = "{% for m in messages %}{{ m.role.upper() }}{% break %}{% endfor %}\n";
        let prompt = ChatTemplate::new(source).unwrap().render(&ask("hello")).unwrap();
        assert_eq!(prompt.text, "USER");
    }

    #[test]
    fn what_transformers_hands_to_a_template_is_there() {
        let config =
            r#"{"bos_token": null, "eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>"}}"#;
        let source = "{{ bos_token }}{{ eos_token }}{{ pad_token }}{% if tools is not none %}T{% endif %}\
                      {% if documents is not none %}D{% endif %}{% if not tools is defined %}U{% endif %}";
        let files = [("chat_template.jinja", source), ("tokenizer_config.json", config)];
        assert_eq!(found_among(&files).unwrap(), "<|im_end|><|endoftext|>");
        let other = ("special_tokens_map.json", r#"{"eos_token": "no", "bos_token": "<s>"}"#);
        assert_eq!(found_among(&[files[0], files[1], other]).unwrap(), "<s><|im_end|><|endoftext|>");
    }

    #[test]
    fn a_message_is_written_as_json_with_its_keys_in_order() {
        let template = ChatTemplate::new("{{ messages[0].content[0] | tojson }}").unwrap();
        assert_eq!(template.render(&ask("a")).unwrap().text, r#"{"type": "text", "text": "a"}"#);
    }

    fn found_among(files: &[(&str, &str)]) -> Result<String, PolicyError> {
        let read = |name: &str| {
            Ok(files.iter().find(|(file, _)| *file == name).map(|(_, text)| text.as_bytes().to_vec()))
        };
        Ok(ChatTemplate::from_files(read)?.render(&ask("hello"))?.text)
    }

    #[test]
    fn the_processors_template_wins_over_the_tokenizers() {
        let json = ("chat_template.json", r#"{"chat_template": "json"}"#);
        let jinja = ("chat_template.jinja", "jinja");
        let list = r#"{"chat_template": [{"name": "tools", "template": "no"}, {"name": "default", "template": "list"}]}"#;
        let tokenizer = ("tokenizer_config.json", list);
        assert_eq!(found_among(&[tokenizer, jinja, json]).unwrap(), "json");
        assert_eq!(found_among(&[tokenizer, jinja]).unwrap(), "jinja");
        assert_eq!(found_among(&[tokenizer]).unwrap(), "list");
        fails_with(found_among(&[]), "no chat template in chat_template.json, chat_template.jinja");
        fails_with(found_among(&[("chat_template.json", "{")]), "cannot read chat_template.json");
    }
}
