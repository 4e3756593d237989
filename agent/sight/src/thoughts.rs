//! What the reader thought, in the form in which a policy's thoughts are recorded and drawn: words, each with its point.

use std::time::Duration;

use vigorl_geometry::{Point, Screen};
use vigorl_policy::{Completion, Finish, Grounding, Thought, Turn};
use vigorl_reader::{Candidate, Findings};

/// Candidates that are told, the best first.
const TOLD: usize = 8;

/// A grounding of one turn: what was read, and the answer.
pub(crate) fn grounding(
    findings: &Findings,
    answer: Option<Point<Screen>>,
    confidence: Option<f64>,
    reading: Duration,
) -> Grounding {
    let thoughts: Vec<Thought> = findings.candidates.iter().take(TOLD).map(thought).collect();
    let thoughts = if thoughts.is_empty() {
        vec![Thought { text: format!("I read no `{}`.", findings.query.name), points: Vec::new() }]
    } else {
        thoughts
    };
    let answer_text = answer.map(|at| format!("({:.0}, {:.0})", at.x, at.y));
    let words: Vec<&str> = thoughts.iter().map(|thought| thought.text.as_str()).collect();
    let text = format!(
        "<think>{}</think>{}",
        words.join(" "),
        answer_text.as_ref().map_or(String::new(), |answer| format!("<answer>{answer}</answer>"))
    );
    let completion = Completion {
        text,
        token_ids: Vec::new(),
        logprobs: Vec::new(),
        token_ends: Vec::new(),
        ends_inside_token: false,
        forced: Vec::new(),
        n_passes: 0,
        n_prompt_tokens: 0,
        n_cached_tokens: 0,
        finish: Finish::EndOfTurn,
        vision: reading,
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    };
    let turn = Turn {
        completion,
        thoughts,
        zoom: None,
        crop: None,
        forced: false,
        malformed: None,
        went_back: false,
        checked: false,
        n_thrown_away: 0,
    };
    Grounding { turns: vec![turn], answer, answer_text, confidence, malformed: None, cancelled: false }
}

/// Whether a turn is the reader's: a policy is always prompted.
pub(crate) fn is_read(turn: &Turn) -> bool {
    turn.completion.n_prompt_tokens == 0 && turn.completion.n_passes == 0 && turn.zoom.is_none()
}

fn thought(candidate: &Candidate) -> Thought {
    let (name, at) = (candidate.name.center(), candidate.at());
    let Candidate { shown, why, .. } = candidate;
    let place = |at: Point<Screen>| format!("({:.0}, {:.0})", at.x, at.y);
    if candidate.name.contains(at) || candidate.rect.contains(name) {
        let read = if shown.is_empty() { "I see it".to_owned() } else { format!("I read `{shown}`") };
        return Thought { text: format!("{read} at {}, {why}.", place(at)), points: vec![at] };
    }
    // A field, a checkbox or an icon: the name leads to it.
    let text = format!("I read `{shown}` at {}, {why}; what belongs to it is at {}.", place(name), place(at));
    Thought { text, points: vec![name, at] }
}
