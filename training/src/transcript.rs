//! Shows training rows to a person: every token, colored by whether and how much it counts.
//!
//! One HTML file per run, `rows.html`, with a few rows of every stage. Whoever doubts a loss mask looks here.

use std::collections::HashMap;

use maud::html;
use vigorl_report::{Token, TokenBlock, render_tokens};

use crate::loss::TokenKind;
use crate::sample::{Encoder, MicroBatch, PlacedTarget};

/// A page with the rows of each titled batch.
pub fn transcript(encoder: &Encoder, batches: &[(String, MicroBatch)]) -> String {
    let key = html! {
        "Tokens with a target: " span.first { "coordinate" } " " span.second { "copied coordinate" } " "
        span.good { "word or decision" } " " span.even { "syntax" } "; "
        span.none { "gray tokens have none" } ". Point at a token, or touch it, for its weight."
    };
    let of_batch = |(title, batch): &(String, MicroBatch)| TokenBlock {
        title: title.clone(),
        parts: (0..batch.packed.ids.len()).flat_map(|row| segments_of(encoder, batch, row)).collect(),
    };
    let blocks: Vec<TokenBlock> = batches.iter().map(of_batch).collect();
    render_tokens("rows", &key, &blocks)
}

/// The tokens of a row, its prefix and its branches apart.
fn segments_of(encoder: &Encoder, batch: &MicroBatch, row: usize) -> Vec<Vec<Token>> {
    let targets: HashMap<usize, &PlacedTarget> =
        batch.targets.iter().filter(|t| t.row == row).map(|t| (t.index, t)).collect();
    let (ids, segments) = (&batch.packed.ids[row], &batch.packed.segments[row]);
    let mut shown: Vec<Vec<Token>> = Vec::new();
    let mut index = 0;
    while index < ids.len() && segments[index] != u32::MAX {
        if index == 0 || segments[index] != segments[index - 1] {
            shown.push(Vec::new());
        }
        let Some(segment) = shown.last_mut() else { unreachable!("the first token begins a segment") };
        // A screenshot is hundreds of pads: one sign is enough.
        let run = ids[index..].iter().take_while(|&&id| id == encoder.config().image_token_id).count();
        if run > 0 {
            segment.push(Token { class: "none", hint: None, text: format!("[{run} visual tokens]") });
            index += run;
            continue;
        }
        let (class, weight) = match targets.get(&index) {
            Some(placed) => (class_of(placed.target.kind), placed.target.weight),
            None => ("none", 0.0),
        };
        let hint = Some(format!("weight {weight}"));
        segment.push(Token { class, hint, text: encoder.text_of(ids[index]) });
        index += 1;
    }
    shown
}

fn class_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Number => "first",
        TokenKind::CopiedNumber => "second",
        TokenKind::Word => "good",
        _ => "even",
    }
}
