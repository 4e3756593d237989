//! A page of tokens, colored by what is learned from them, for whoever doubts what a training does.
//!
//! Invariant: a token is shown as it was cut, and what is known of it besides its color can be read with a pointer and by a touch.

use maud::{Markup, html};

use crate::html::{self, Shown};

/// A token, or something that stands for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its color: `good`, `bad`, `even`, `first`, `second` or `none`.
    pub class: &'static str,
    /// Its text.
    pub text: String,
    /// What is known of it.
    pub hint: Option<String>,
}

/// Tokens under one title, in parts that stand apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBlock {
    /// Above it.
    pub title: String,
    /// Its parts.
    pub parts: Vec<Vec<Token>>,
}

/// The page, as a file. `key` says what the colors mean.
pub fn render_tokens(title: &str, key: &Markup, blocks: &[TokenBlock]) -> String {
    let content = html! {
        div.panel.tokens {
            div.brand { "vigorl " span { "what is learned" } }
            h1 { (title) }
            p { (key) }
            @for block in blocks {
                h2 { (block.title) }
                @for part in &block.parts {
                    p {
                        @for token in part {
                            span class=(token.class) title=[&token.hint] { (token.text) }
                            // A place where the line may be broken.
                            "\u{200b}"
                        }
                    }
                }
            }
        }
        output.hint {}
        footer { p { "this file needs no network" } }
    };
    html::page(title, Shown::Alone, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_its_text_and_what_is_known_of_it_and_neither_leaves_its_place() {
        let token = Token { class: "good", text: "<i>".to_owned(), hint: Some("weight \"1\"".to_owned()) };
        let block = TokenBlock { title: "group <1>".to_owned(), parts: vec![vec![token]] };
        let html = render_tokens("rows", &html! { span.good { "better" } }, &[block]);
        for words in [
            "<span class=\"good\" title=\"weight &quot;1&quot;\">&lt;i&gt;</span>",
            "group &lt;1&gt;",
            "<span class=\"good\">better</span>",
            "width=device-width",
        ] {
            assert!(html.contains(words), "{words}: {html}");
        }
        assert!(!html.contains("<i>"));
    }
}
