//! How a run or an episode stands. Invariant: a color never says more than is known: what nobody judged is `open`.

use vigorl_runs::record::{EpisodeRecord, Summary};

use crate::html;

/// How a run stands, as a color, a sign and words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) class: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) word: &'static str,
}

impl Standing {
    /// `success` is what is known of it, with or without a summary.
    pub(crate) fn of(success: Option<bool>, summary: Option<&Summary>) -> Self {
        let (class, mark, word) = match (summary, success) {
            (_, Some(true)) => ("hit", "✓", "solved"),
            (_, Some(false)) => ("miss", "✗", "not solved"),
            (Some(summary), None) if summary.err_msg.is_some() => ("miss", "!", "failed"),
            (Some(summary), None) if summary.truncated => ("open", "▪", "interrupted"),
            (Some(_), None) => ("open", "?", "not judged"),
            (None, None) => ("open", "…", "unfinished"),
        };
        Self { class, mark, word }
    }
}

/// `hit`, `miss`, or `open` where nobody could tell.
pub(crate) fn state(outcome: Option<&EpisodeRecord>) -> &'static str {
    match outcome.and_then(|outcome| outcome.success) {
        Some(true) => "hit",
        Some(false) => "miss",
        None => "open",
    }
}

/// `solved · reward 1`.
pub(crate) fn outcome_words(outcome: Option<&EpisodeRecord>) -> String {
    let word = match outcome.and_then(|outcome| outcome.success) {
        Some(true) => "solved",
        Some(false) => "not solved",
        None => "not judged",
    };
    let reward = outcome.and_then(|outcome| outcome.reward);
    reward.map_or_else(|| word.to_owned(), |reward| format!("{word} · reward {}", html::reward(reward)))
}
