//! Builds the tokenizer of a new model: a small byte-level vocabulary in which a whole turn of the protocol
//! takes about fifteen tokens.
//!
//! Invariant: every text can be encoded and decodes to itself; a number below the limit and every known word
//! is exactly one token, and the id of a number is its value.
//! The file is a plain `tokenizer.json`: byte-level BPE without merges, in which a piece of text that is in
//! the vocabulary is taken whole (`ignore_merges`) and any other piece is spelled in bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vigorl_policy::wire;
use vigorl_tasks::practice::{Color, Kind, Shape, WORDS};

use crate::config::TokenizerConfig;

/// Splits text into pieces: the comma of a coordinate, words, numbers, punctuation, white space.
const PIECES: &str = r", (?=\p{N})| ?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+|\s";

/// Ends a text; also pads.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// Control tokens of the architecture's chat form.
const SPECIAL: [&str; 7] = [
    END_OF_TEXT,
    "<|im_start|>",
    wire::IM_END,
    wire::VISION_START,
    wire::VISION_END,
    wire::IMAGE_PAD,
    "<|video_pad|>",
];

/// The content of `tokenizer.json`.
pub fn tokenizer_json(config: &TokenizerConfig) -> Value {
    let pieces = vocabulary(config);
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(pieces.len()),
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        ]},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocab,
            "merges": [],
        },
    })
}

/// The content of `tokenizer_config.json`.
pub fn tokenizer_config_json(chat_template: &str) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        // Without it AutoTokenizer also returns token_type_ids, which the model refuses.
        "model_input_names": ["input_ids", "attention_mask"],
        "processor_class": "Qwen2_5_VLProcessor",
        "eos_token": wire::IM_END,
        "pad_token": END_OF_TEXT,
        "bos_token": null,
        "unk_token": null,
        "additional_special_tokens": SPECIAL[1..],
        "clean_up_tokenization_spaces": false,
        "model_max_length": 32768,
        "chat_template": chat_template,
    })
}

/// Pieces by id, in the byte alphabet: numbers, single bytes, words.
fn vocabulary(config: &TokenizerConfig) -> Vec<String> {
    let mut pieces: Vec<String> = (0..config.numbers).map(|n| n.to_string()).collect();
    let mut known: BTreeSet<String> = pieces.iter().cloned().collect();
    let mut add = |piece: String| {
        if known.insert(piece.clone()) {
            pieces.push(piece);
        }
    };
    (0..=255).for_each(|byte| add(letter_of(byte).to_string()));
    [", ", " (", ")", " \"", ")?", "?"].into_iter().for_each(|mark| add(spell(mark)));
    for word in words(config) {
        add(spell(&format!(" {word}")));
        add(spell(&word));
    }
    pieces
}

/// Words of the configuration and of the practice pages.
fn words(config: &TokenizerConfig) -> Vec<String> {
    let practice = Kind::ALL
        .map(Kind::word)
        .into_iter()
        .chain(Color::ALL.map(Color::word))
        .chain(Shape::ALL.map(Shape::word))
        .chain(["checked", "unchecked", "selected", "unselected"])
        .chain(WORDS)
        .flat_map(str::split_whitespace);
    practice.map(str::to_owned).chain(config.words.iter().cloned()).collect()
}

/// The protocol's literals as single tokens. Where two overlap, the longer wins.
fn literals() -> Vec<String> {
    let call = format!("\n{{\"name\": \"{}\", \"arguments\": {{\"coordinate\": [", wire::ZOOM_TOOL);
    let (think_close, answer, tool) = (wire::THINK_CLOSE, wire::ANSWER_OPEN, wire::TOOL_CALL_OPEN);
    let mut literals: Vec<String> = [
        wire::THINK_OPEN,
        think_close,
        answer,
        wire::ANSWER_CLOSE,
        tool,
        wire::TOOL_CALL_CLOSE,
        "system\n",
        "user\n",
        "assistant\n",
        wire::FORCED_FINAL_PREFIX,
    ]
    .map(str::to_owned)
    .to_vec();
    literals.extend([
        format!("{answer} ("),
        format!(") {}", wire::ANSWER_CLOSE),
        format!(") {think_close}\n{answer} ("),
        format!(") {think_close}\n{tool}{call}"),
        format!("]}}}}\n{}", wire::TOOL_CALL_CLOSE),
    ]);
    for dot in [wire::Dot::Omit, wire::Dot::Draw] {
        let (before, after) = wire::Observation::Rollout.around_image(dot);
        literals.push(before);
        literals.push(after.to_owned());
    }
    let mut known = BTreeSet::new();
    literals.retain(|literal| known.insert(literal.clone()));
    literals
}

fn added_tokens(first_id: usize) -> Vec<Value> {
    let literals = literals();
    let tokens = literals.iter().map(|text| (text.as_str(), false)).chain(SPECIAL.map(|text| (text, true)));
    let entry = |(at, (content, special)): (usize, (&str, bool))| {
        json!({
            "id": first_id + at,
            "content": content,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": special,
        })
    };
    tokens.enumerate().map(entry).collect()
}

/// `text` in the byte alphabet.
fn spell(text: &str) -> String {
    text.bytes().map(letter_of).collect()
}

/// The printable character that stands for a byte, as in GPT-2's byte-level vocabulary.
fn letter_of(byte: u8) -> char {
    let is_printable = |b: u8| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if is_printable(byte) {
        return char::from(byte);
    }
    let n_before = (0..byte).filter(|&b| !is_printable(b)).count() as u32;
    char::from_u32(256 + n_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use tokenizers::Tokenizer;

    use super::*;

    fn tokenizer() -> Tokenizer {
        let config = TokenizerConfig { numbers: 320, words: vec!["Description".into(), "point".into()] };
        Tokenizer::from_bytes(tokenizer_json(&config).to_string()).unwrap()
    }

    fn pieces(text: &str) -> Vec<String> {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
        ids.iter().map(|&id| tokenizer.decode(&[id], false).unwrap()).collect()
    }

    #[test]
    fn every_number_is_one_token_whose_id_is_its_value() {
        let tokenizer = tokenizer();
        for n in 0..320 {
            assert_eq!(tokenizer.encode(n.to_string(), false).unwrap().get_ids(), [n]);
        }
        assert_eq!(pieces("320"), ["3", "2", "0"]);
    }

    #[test]
    fn a_turn_takes_few_tokens() {
        assert_eq!(
            pieces("<think> red star (12, 34) </think>\n<answer> (12, 34) </answer>"),
            [
                "<think>",
                " red",
                " star",
                " (",
                "12",
                ", ",
                "34",
                ") </think>\n<answer> (",
                "12",
                ", ",
                "34",
                ") </answer>"
            ]
        );
        let call = "{\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [5, 319]}}";
        let turn = pieces(&format!("<think> \"save\" (5, 319) </think>\n<tool_call>\n{call}\n</tool_call>"));
        assert_eq!(turn.len(), 13, "{turn:?}");
        let (before, after) = wire::Observation::Rollout.around_image(wire::Dot::Omit);
        assert_eq!(pieces(&format!("{before}<|vision_start|>")).len(), 2);
        assert_eq!(pieces(after).len(), 1);
    }

    #[test]
    fn any_text_decodes_to_itself() {
        let tokenizer = tokenizer();
        for text in
            ["", " a  b\n\n c\t", "Grüße, 日本 🙂 1234,5 (x)", "<answer>(1,2)</answer>", "\u{0}\u{7f}\u{ad}"]
        {
            let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
    }

    #[test]
    fn special_tokens_are_skipped_and_literals_are_kept() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("<tool_call>x</tool_call><|im_end|>", false).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), "<tool_call>x</tool_call>");
    }

    #[test]
    fn the_byte_alphabet_has_256_letters() {
        assert_eq!((0..=255).map(letter_of).collect::<BTreeSet<_>>().len(), 256);
        assert_eq!((letter_of(b' '), letter_of(b'\n'), letter_of(b'a')), ('Ġ', 'Ċ', 'a'));
    }
}
