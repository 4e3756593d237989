//! Shows a step of learning by reward to a person: what was said, token by token, and which tokens are learned.
//!
//! Invariant: what is colored is what has a loss. Whoever doubts the mask looks here.

use std::collections::BTreeMap;

use maud::{DOCTYPE, html};
use vigorl_qwen::Checkpoint;

use crate::trees::{Spoken, Tree};

const STYLE: &str = "body{font:14px/1.9 monospace;margin:24px;color:#2d3440}h2{font:600 16px sans-serif}\
p{border-left:3px solid #e1e5eb;padding-left:10px;white-space:pre-wrap}span{border-radius:3px;padding:1px 0}\
.up{background:#c6e5c9}.down{background:#ffd0cc}.even{background:#e3e9f4}.none{color:#8a92a0}";

/// A token, or all the pads of a picture.
struct Shown {
    class: &'static str,
    text: String,
    hint: Option<String>,
}

/// A page with rows, each a prefix and its branches, and the advantage of every sample.
pub(crate) fn said(
    checkpoint: &Checkpoint,
    rows: &[&Tree],
    advantage_of: &BTreeMap<usize, f64>,
    step: u64,
) -> String {
    let page = html! {
        (DOCTYPE)
        meta charset="utf-8";
        title { "what was said in step " (step) }
        style { (STYLE) }
        h2 { "Step " (step) ": what was said, and what is learned from it" }
        p {
            "Sampled tokens: " span.up { "better than the group" } " " span.down { "worse" } " "
            span.even { "no different" } "; " span.none { "gray tokens were not sampled and have no loss" }
            ". Hover for the advantage and the log-probability."
        }
        @for (number, row) in rows.iter().enumerate() {
            h2 { "group " (number + 1) }
            @for segment in segments(checkpoint, row, advantage_of) {
                p {
                    @for token in segment {
                        span class=(token.class) title=[token.hint] { (token.text) }
                        // A place where the line may be broken.
                        "\u{200b}"
                    }
                }
            }
        }
    };
    page.into_string()
}

/// The prefix and the branches of a row, apart.
fn segments(checkpoint: &Checkpoint, row: &Tree, advantage_of: &BTreeMap<usize, f64>) -> Vec<Vec<Shown>> {
    let said: BTreeMap<usize, &Spoken> = row.tokens.iter().map(|token| (token.index, token)).collect();
    let mut segments: Vec<Vec<Shown>> = Vec::new();
    let mut index = 0;
    while index < row.ids.len() {
        if index == 0 || row.segments[index] != row.segments[index - 1] {
            segments.push(Vec::new());
        }
        let Some(segment) = segments.last_mut() else { unreachable!("the first token begins a segment") };
        let pad = checkpoint.config.image_token_id;
        let n_pads = row.ids[index..].iter().take_while(|id| **id == pad).count();
        if n_pads > 0 {
            segment.push(Shown { class: "none", text: format!("[{n_pads} visual tokens]"), hint: None });
            index += n_pads;
            continue;
        }
        let id = row.ids[index];
        let text = checkpoint.tokenizer.decode(&[id]).unwrap_or_else(|_| format!("[{id}]"));
        segment.push(match said.get(&index) {
            None => Shown { class: "none", text, hint: None },
            Some(token) => {
                let advantage = advantage_of.get(&token.sample).copied().unwrap_or(0.0);
                let class = if advantage > 0.0 {
                    "up"
                } else if advantage < 0.0 {
                    "down"
                } else {
                    "even"
                };
                let hint = format!("advantage {advantage:.3}, log-probability {:.3}", token.logprob);
                Shown { class, text, hint: Some(hint) }
            }
        });
        index += 1;
    }
    segments
}
