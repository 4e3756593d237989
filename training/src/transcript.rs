//! Shows training rows to a person: every token, colored by whether and how much it counts.
//!
//! One HTML file per run, `rows.html`, with a few rows of every stage. Whoever doubts a loss mask looks here.

use std::collections::HashMap;

use crate::loss::TokenKind;
use crate::sample::{Encoder, MicroBatch, PlacedTarget};

const STYLE: &str = "body{font:14px/1.9 monospace;margin:24px;color:#2d3440}h2{font:600 16px sans-serif}\
p{border-left:3px solid #e1e5eb;padding-left:10px;white-space:pre-wrap}span{border-radius:3px;padding:1px 0}\
.number{background:#ffd9a8}.copied{background:#fff0d8}.word{background:#c6e5c9}.syntax{background:#e3e9f4}\
.none{color:#8a92a0}";

/// A page with the rows of each titled batch.
pub fn transcript(encoder: &Encoder, batches: &[(String, MicroBatch)]) -> String {
    let mut html =
        format!("<!doctype html><meta charset=\"utf-8\"><title>rows</title><style>{STYLE}</style>");
    html.push_str(
        "<p>Tokens with a target: <span class=number>coordinate</span> <span class=copied>copied coordinate</span> \
         <span class=word>word or decision</span> <span class=syntax>syntax</span>; \
         <span class=none>gray tokens have none</span>. Hover for the weight.</p>",
    );
    for (title, batch) in batches {
        html.push_str(&format!("<h2>{}</h2>", escape(title)));
        for row in 0..batch.packed.ids.len() {
            html.push_str(&row_html(encoder, batch, row));
        }
    }
    html
}

fn row_html(encoder: &Encoder, batch: &MicroBatch, row: usize) -> String {
    let targets: HashMap<usize, &PlacedTarget> =
        batch.targets.iter().filter(|t| t.row == row).map(|t| (t.index, t)).collect();
    let (ids, segments) = (&batch.packed.ids[row], &batch.packed.segments[row]);
    let mut html = String::new();
    let mut index = 0;
    while index < ids.len() && segments[index] != u32::MAX {
        if index == 0 || segments[index] != segments[index - 1] {
            html.push_str("<p>");
        }
        // A screenshot is hundreds of pads: one sign is enough.
        let run = ids[index..].iter().take_while(|&&id| id == encoder.config().image_token_id).count();
        if run > 0 {
            html.push_str(&format!("<span class=none>[{run} visual tokens]</span>"));
            index += run;
            continue;
        }
        let text = escape(&encoder.text_of(ids[index]));
        let (class, weight) = match targets.get(&index) {
            Some(placed) => (class_of(placed.target.kind), placed.target.weight),
            None => ("none", 0.0),
        };
        html.push_str(&format!("<span class={class} title=\"{weight}\">{text}</span>\u{200b}"));
        index += 1;
    }
    html
}

fn class_of(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Number => "number",
        TokenKind::CopiedNumber => "copied",
        TokenKind::Word => "word",
        _ => "syntax",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
