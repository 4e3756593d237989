//! Random and mutated completions: nothing panics, printing is stable, no point outside the screenshot leaves.

use std::sync::Arc;

use image::RgbImage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use vigorl_geometry::Size;
use vigorl_policy::grammar::{Action, AnswerForm, Coordinate, Reply, answer_range, parse};
use vigorl_policy::wire::Dot;
use vigorl_policy::{AnswerSpace, Border, CropSettings, Preset, Sampling, ScriptedPolicy, Search, ground};

const FRAGMENTS: [&str; 60] = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<tool_call>",
    "</tool_call>",
    "<observation>",
    "</observation>",
    "<think",
    "think>",
    "</",
    "<|im_end|>",
    "<|image_pad|>",
    "{\"name\": \"search_coordinate\"",
    "\"arguments\": ",
    "{\"coordinate\": [",
    "{\"arguments\": {\"coordinate\": [12, 34]}}",
    "{\"arguments\": {\"coordinate\": [1e999, 3]}}",
    "{\"arguments\": {\"coordinate\": [-0, 1e308]}}",
    "{\"arguments\": {\"coordinate\": [18446744073709551616, 0.1]}}",
    "]}}",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ",",
    ", ",
    ".",
    "-",
    "1e9",
    "(1, 2)",
    "(96, 60)",
    "(97, 61)",
    "(-3.5, 7.)",
    "0",
    "12",
    "99999999999999999999999",
    "\"",
    "\\",
    "\n",
    " ",
    "\u{a0}",
    "é",
    "🦀",
    "\u{0}",
    "click [12]",
    "Action:",
    "Thought: ",
    "click(",
    "<point>",
    "</point>",
    "12 34",
    "start_box='(12,34)'",
    "[12,34,56,78]",
    "{\"action\": \"click_absolute\", \"x\": 12, \"y\": 34}",
    "{\"x\": -1e308, \"y\": ",
    "[{\"point_2d\": [12, 34]}]",
    "\"point_2d\": ",
];

fn soup(rng: &mut StdRng) -> String {
    (0..rng.random_range(0..14)).map(|_| FRAGMENTS[rng.random_range(0..FRAGMENTS.len())]).collect()
}

fn noise(rng: &mut StdRng) -> String {
    let bytes: Vec<u8> = (0..rng.random_range(0..60)).map(|_| rng.random()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn well_formed(rng: &mut StdRng) -> String {
    let (x, y) = (rng.random_range(-20..120), rng.random_range(-20..90));
    let thought = format!("I look at ({x}, {y}) {}", ["", "first.", "(é) then"][rng.random_range(0..3)]);
    let at = Coordinate { x: f64::from(x), y: f64::from(y) };
    match rng.random_range(0..3) {
        0 => Reply::zoom(&thought, at).to_string(),
        1 => Reply::answer(&thought, &at.to_string()).to_string(),
        _ => Reply::answer(&thought, "click [12]").to_string(),
    }
}

/// Deletes, doubles, replaces or cuts a few times, at character borders.
fn mutated(rng: &mut StdRng) -> String {
    let mut text: Vec<char> = well_formed(rng).chars().collect();
    for _ in 0..rng.random_range(1..4) {
        let (a, b) = (rng.random_range(0..=text.len()), rng.random_range(0..=text.len()));
        let (start, end) = (a.min(b), a.max(b).min(a.min(b) + 12));
        match rng.random_range(0..4) {
            0 => drop(text.drain(start..end)),
            1 => {
                let copy = text[start..end].to_vec();
                text.splice(start..start, copy);
            }
            2 => drop(text.splice(start..end, FRAGMENTS[rng.random_range(0..FRAGMENTS.len())].chars())),
            _ => text.truncate(start.max(4).min(text.len())),
        }
    }
    text.into_iter().collect()
}

fn any_completion(rng: &mut StdRng) -> String {
    match rng.random_range(0..8) {
        0 => noise(rng),
        1..4 => soup(rng),
        4 => well_formed(rng),
        _ => mutated(rng),
    }
}

fn check_grammar(text: &str, form: AnswerForm) -> Reply {
    let reply = parse(text, form);
    let printed = reply.to_string();
    assert_eq!(parse(&printed, form), reply, "{text:?} printed as {printed:?}");
    assert_eq!(parse(&printed, form).to_string(), printed, "{text:?}");
    let points = reply.thoughts.iter().flat_map(|thought| &thought.points);
    assert!(points.into_iter().all(|point| point.x.is_finite() && point.y.is_finite()), "{text:?}");
    let located = answer_range(text, form).map(|range| text[range].to_owned());
    match &reply.action {
        Action::Answer { text: answer, point, .. } => {
            assert_eq!(located.as_ref(), Some(answer), "{text:?}");
            assert!(point.is_none_or(|point| point.x.is_finite() && point.y.is_finite()), "{text:?}");
        }
        Action::Zoom(point) => assert!(point.x.is_finite() && point.y.is_finite(), "{text:?}"),
        Action::Malformed { raw, .. } => assert_eq!(raw, text),
    }
    reply
}

#[test]
fn any_completion_parses_and_prints_stably() {
    let mut rng = StdRng::seed_from_u64(2);
    let (mut n_answers, mut n_zooms, mut n_malformed) = (0, 0, 0);
    let mut n_points = [0; AnswerForm::ALL.len()];
    for _ in 0..150_000 {
        let text = any_completion(&mut rng);
        for form in AnswerForm::ALL.into_iter().filter(|form| *form != AnswerForm::Tagged) {
            let reply = check_grammar(&text, form);
            let has_point = matches!(&reply.action, Action::Answer { point: Some(_), .. });
            n_points[form as usize] += usize::from(has_point);
        }
        match check_grammar(&text, AnswerForm::Tagged).action {
            Action::Answer { .. } => n_answers += 1,
            Action::Zoom(_) => n_zooms += 1,
            Action::Malformed { .. } => n_malformed += 1,
        }
    }
    // The generator reaches every outcome often enough to mean something.
    assert!(n_answers.min(n_zooms).min(n_malformed) > 5_000, "{n_answers} {n_zooms} {n_malformed}");
    assert!(n_points.iter().skip(1).all(|n| *n > 20), "{n_points:?}");
}

#[test]
fn no_point_outside_the_screenshot_leaves_an_episode() {
    let mut rng = StdRng::seed_from_u64(3);
    let screenshot = Arc::new(RgbImage::new(97, 61));
    let size = Size::of_pixels(97, 61);
    let sampling = Sampling::greedy(4_096);
    let crop = CropSettings { offset_px: 8, side_px: 28, dot: Dot::Draw, border: Border::Cut };
    let mut n_answers = 0;
    for episode in 0..40_000 {
        let answer_space = [AnswerSpace::Image, AnswerSpace::Resized, AnswerSpace::Thousand][episode % 3];
        let answer_form = AnswerForm::ALL[episode / 6 % AnswerForm::ALL.len()];
        // Every other episode searches: up to five branches of four turns and a forced answer.
        let search = episode.is_multiple_of(2).then_some(Search { temperature: 1.0, samples: 3, checks: 2 });
        let preset = Preset { crop, answer_space, answer_form, search, ..Preset::nano() };
        let n_replies = if search.is_some() { 21 } else { 4 };
        let mut policy = ScriptedPolicy::new((0..n_replies).map(|_| any_completion(&mut rng)));
        let grounding = ground(&mut policy, &screenshot, "it", &preset, &sampling, &mut ()).unwrap();
        assert_eq!(grounding.answer.is_some(), grounding.malformed.is_none());
        n_answers += usize::from(grounding.answer.is_some());
        for turn in &grounding.turns {
            let points = turn.thoughts.iter().flat_map(|thought| &thought.points);
            for point in points.chain(&turn.zoom).chain(&grounding.answer) {
                assert!(size.contains(*point), "{point:?} after {:?}", turn.completion.text);
            }
            let window = turn.crop.as_ref().map(|crop| crop.plan.window);
            assert!(
                window.is_none_or(|w| w.left >= 0.0 && w.top >= 0.0 && w.right <= 97.0 && w.bottom <= 61.0)
            );
        }
    }
    assert!(n_answers > 2_000, "{n_answers}");
}
