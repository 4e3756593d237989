//! Shows training rows to a person: every token, colored by whether and how much it counts.
//!
//! One HTML file per run, `rows.html`, with a few rows of every stage. Whoever doubts a loss mask looks here.

use std::collections::HashMap;

use maud::{DOCTYPE, html};

use crate::loss::TokenKind;
use crate::sample::{Encoder, MicroBatch, PlacedTarget};

const STYLE: &str = "body{font:14px/1.9 monospace;margin:24px;color:#2d3440}h2{font:600 16px sans-serif}\
p{border-left:3px solid #e1e5eb;padding-left:10px;white-space:pre-wrap}span{border-radius:3px;padding:1px 0}\
.number{background:#ffd9a8}.copied{background:#fff0d8}.word{background:#c6e5c9}.syntax{background:#e3e9f4}\
.none{color:#8a92a0}";

/// A page with the rows of each titled batch.
pub fn transcript(encoder: &Encoder, batches: &[(String, MicroBatch)]) -> String {
    let page = html! {
        (DOCTYPE)
        meta charset="utf-8";
        title { "rows" }
        style { (STYLE) }
        p {
            "Tokens with a target: " span.number { "coordinate" } " " span.copied { "copied coordinate" } " "
            span.word { "word or decision" } " " span.syntax { "syntax" } "; "
            span.none { "gray tokens have none" } ". Hover for the weight."
        }
        @for (title, batch) in batches {
            h2 { (title) }
            @for row in 0..batch.packed.ids.len() {
                @for segment in segments_of(encoder, batch, row) {
                    p {
                        @for token in segment {
                            span class=(token.class) title=[token.weight] { (token.text) }
                            // A place where the line may be broken.
                            "\u{200b}"
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What is shown of a token, or of all the pads of a picture.
struct Shown {
    class: &'static str,
    weight: Option<f32>,
    text: String,
}

/// The tokens of a row, its prefix and its branches apart.
fn segments_of(encoder: &Encoder, batch: &MicroBatch, row: usize) -> Vec<Vec<Shown>> {
    let targets: HashMap<usize, &PlacedTarget> =
        batch.targets.iter().filter(|t| t.row == row).map(|t| (t.index, t)).collect();
    let (ids, segments) = (&batch.packed.ids[row], &batch.packed.segments[row]);
    let mut shown: Vec<Vec<Shown>> = Vec::new();
    let mut index = 0;
    while index < ids.len() && segments[index] != u32::MAX {
        if index == 0 || segments[index] != segments[index - 1] {
            shown.push(Vec::new());
        }
        let Some(segment) = shown.last_mut() else { unreachable!("the first token begins a segment") };
        // A screenshot is hundreds of pads: one sign is enough.
        let run = ids[index..].iter().take_while(|&&id| id == encoder.config().image_token_id).count();
        if run > 0 {
            segment.push(Shown { class: "none", weight: None, text: format!("[{run} visual tokens]") });
            index += run;
            continue;
        }
        let (class, weight) = match targets.get(&index) {
            Some(placed) => (class_of(placed.target.kind), placed.target.weight),
            None => ("none", 0.0),
        };
        segment.push(Shown { class, weight: Some(weight), text: encoder.text_of(ids[index]) });
        index += 1;
    }
    shown
}

fn class_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Number => "number",
        TokenKind::CopiedNumber => "copied",
        TokenKind::Word => "word",
        _ => "syntax",
    }
}
