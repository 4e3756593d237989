//! What the reader thought, in the form in which a policy's thoughts are recorded and drawn: words, each with its point.

use std::sync::Arc;
use std::time::Duration;

use image::{RgbImage, imageops};
use vigorl_geometry::crop::PlannedCrop;
use vigorl_geometry::{Point, Screen};
use vigorl_policy::{Completion, Finish, Grounding, KeptCrop, Thought, Turn};
use vigorl_reader::Candidate;

use crate::reader::Seen;

/// Candidates that are told, the best first.
const TOLD: usize = 8;

/// A grounding of one turn: what was read, and the answer.
pub(crate) fn grounding(seen: &Seen, answer: Option<Point<Screen>>, confidence: Option<f64>) -> Grounding {
    let findings = &seen.findings;
    let told = findings.candidates.iter().take(TOLD);
    let thoughts: Vec<Thought> = told.map(|candidate| thought(candidate, seen.tells)).collect();
    let thoughts = if thoughts.is_empty() {
        vec![Thought { text: format!("I read no `{}`.", findings.query.name), points: Vec::new() }]
    } else {
        thoughts
    };
    let answer_text = answer.map(|at| format!("({:.0}, {:.0})", at.x, at.y));
    let words: Vec<&str> = thoughts.iter().map(|thought| thought.text.as_str()).collect();
    // What stands on a screen is no tag of the turn.
    let text = format!(
        "<think>{}</think>{}",
        words.join(" ").replace('<', "< "),
        answer_text.as_ref().map_or(String::new(), |answer| format!("<answer>{answer}</answer>"))
    );
    let turn = turn(text, thoughts, seen.took);
    Grounding { turns: vec![turn], answer_text, confidence, ..Grounding::known(answer) }
}

/// A turn in which nobody pointed anywhere, and why.
pub(crate) fn remark(text: String) -> Turn {
    turn(format!("<think>{text}</think>"), vec![Thought { text, points: Vec::new() }], Duration::ZERO)
}

/// A turn after which the policy is shown a part of the screen.
pub(crate) fn look_at(screenshot: &RgbImage, part: PlannedCrop) -> Turn {
    let [left, top, right, bottom] =
        [part.window.left, part.window.top, part.window.right, part.window.bottom];
    let turn = remark(format!(
        "The policy looks first at ({left:.0}, {top:.0}) to ({right:.0}, {bottom:.0}), around what was read."
    ));
    // The window is of whole pixels on the screenshot, so the casts are exact.
    let [x, y, width, height] =
        [left, top, part.window.width(), part.window.height()].map(|side| side as u32);
    let pixels = Arc::new(imageops::crop_imm(screenshot, x, y, width, height).to_image());
    let crop = KeptCrop { plan: part, pixels: Some(pixels) };
    Turn { zoom: Some(part.window.center()), crop: Some(crop), ..turn }
}

/// A turn without a prompt.
fn turn(text: String, thoughts: Vec<Thought>, reading: Duration) -> Turn {
    let completion = Completion {
        text,
        token_ids: Vec::new(),
        logprobs: Vec::new(),
        token_ends: Vec::new(),
        ends_inside_token: false,
        forced: Vec::new(),
        prefix_in_words: false,
        n_passes: 0,
        n_prompt_tokens: 0,
        n_cached_tokens: 0,
        finish: Finish::EndOfTurn,
        vision: reading,
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    };
    Turn {
        completion,
        thoughts,
        zoom: None,
        crop: None,
        forced: false,
        malformed: None,
        went_back: false,
        checked: false,
        n_thrown_away: 0,
    }
}

/// Whether a turn is the reader's: a policy is always prompted, and one whose server counts nothing still takes its time.
pub(crate) fn is_read(turn: &Turn) -> bool {
    let said = &turn.completion;
    let is_prompted = said.n_prompt_tokens > 0 || said.n_passes > 0 || !said.prefill.is_zero();
    !is_prompted && turn.zoom.is_none()
}

fn thought(candidate: &Candidate, tells: bool) -> Thought {
    let (name, at) = (candidate.name.center(), candidate.at());
    let Candidate { shown, why, .. } = candidate;
    let place = |at: Point<Screen>| format!("({:.0}, {:.0})", at.x, at.y);
    let read = match (shown.is_empty(), tells) {
        (true, _) => "I see it".to_owned(),
        (false, true) => format!("I read `{shown}`"),
        (false, false) => "I read it".to_owned(),
    };
    if candidate.name.contains(at) || candidate.rect.contains(name) {
        return Thought { text: format!("{read} at {}, {why}.", place(at)), points: vec![at] };
    }
    // A field, a checkbox or an icon: the name leads to it.
    let text = format!("{read} at {}, {why}; what belongs to it is at {}.", place(name), place(at));
    Thought { text, points: vec![name, at] }
}
