//! Shows a step of learning by reward to a person: what was said, token by token, and which tokens are learned.
//!
//! Invariant: what is colored is what has a loss. Whoever doubts the mask looks here.

use std::collections::BTreeMap;

use maud::html;
use vigorl_qwen::Checkpoint;
use vigorl_report::{Token, TokenBlock, render_tokens};

use crate::trees::{Spoken, Tree};

/// A page with rows, each a prefix and its branches, and the advantage of every sample.
pub(crate) fn said(
    checkpoint: &Checkpoint,
    rows: &[&Tree],
    advantage_of: &BTreeMap<usize, f64>,
    step: u64,
) -> String {
    let key = html! {
        "Sampled tokens: " span.good { "better than the group" } " " span.bad { "worse" } " "
        span.even { "no different" } "; " span.none { "gray tokens were not sampled and have no loss" }
        ". Point at a token, or touch it, for the advantage and the log-probability."
    };
    let of_row = |(number, row): (usize, &&Tree)| TokenBlock {
        title: format!("group {number}"),
        parts: segments(checkpoint, row, advantage_of),
    };
    let blocks: Vec<TokenBlock> = (1..).zip(rows).map(of_row).collect();
    render_tokens(&format!("Step {step}: what was said, and what is learned from it"), &key, &blocks)
}

/// The prefix and the branches of a row, apart.
fn segments(checkpoint: &Checkpoint, row: &Tree, advantage_of: &BTreeMap<usize, f64>) -> Vec<Vec<Token>> {
    let said: BTreeMap<usize, &Spoken> = row.tokens.iter().map(|token| (token.index, token)).collect();
    let mut segments: Vec<Vec<Token>> = Vec::new();
    let mut index = 0;
    while index < row.ids.len() {
        if index == 0 || row.segments[index] != row.segments[index - 1] {
            segments.push(Vec::new());
        }
        let Some(segment) = segments.last_mut() else { unreachable!("the first token begins a segment") };
        let pad = checkpoint.config.image_token_id;
        let n_pads = row.ids[index..].iter().take_while(|id| **id == pad).count();
        if n_pads > 0 {
            segment.push(Token { class: "none", text: format!("[{n_pads} visual tokens]"), hint: None });
            index += n_pads;
            continue;
        }
        let id = row.ids[index];
        let text = checkpoint.tokenizer.decode(&[id]).unwrap_or_else(|_| format!("[{id}]"));
        segment.push(match said.get(&index) {
            None => Token { class: "none", text, hint: None },
            Some(token) => {
                let advantage = advantage_of.get(&token.sample).copied().unwrap_or(0.0);
                let class = if advantage > 0.0 {
                    "good"
                } else if advantage < 0.0 {
                    "bad"
                } else {
                    "even"
                };
                let hint = format!("advantage {advantage:.3}, log-probability {:.3}", token.logprob);
                Token { class, text, hint: Some(hint) }
            }
        });
        index += 1;
    }
    segments
}
