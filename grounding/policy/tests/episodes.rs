//! Zoom episodes with a scripted policy.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::ops::ControlFlow;
use std::sync::Arc;

use image::RgbImage;
use vigorl_geometry::fit::PixelBudget;
use vigorl_geometry::{Point, Rect};
use vigorl_policy::grammar::{AnswerForm, Coordinate, Reply};
use vigorl_policy::wire::FORCED_FINAL_PREFIX;
use vigorl_policy::{
    AnswerKind, AnswerSpace, Completion, Conversation, Finish, GroundObserver, Grounding, Limits, Malformed,
    Opening, Part, Policy, PolicyError, Preset, Role, Sampling, ScriptedPolicy, Search, ShownCrop,
    TokenStream, Turn, TurnForm, ground, ground_closer,
};

fn screenshot() -> Arc<RgbImage> {
    Arc::new(RgbImage::new(640, 480))
}

fn sampling() -> Sampling {
    Sampling { temperature: 0.5, top_p: 0.99, seed: 7, ..Sampling::greedy(1_000_000) }
}

/// The embedded policy's preset with three turns at most, for screenshots of any size.
fn three_turns() -> Preset {
    let limits = Limits { max_turns: 3, max_images: 3, ..Preset::nano().limits };
    Preset { limits, search: None, max_image_pixels: u64::MAX, ..Preset::nano() }
}

fn zoom(x: f64, y: f64) -> String {
    Reply::zoom(&format!("Look at ({x}, {y})."), Coordinate { x, y }).to_string()
}

fn play(preset: &Preset, replies: &[&str]) -> (Grounding, ScriptedPolicy) {
    let mut policy = ScriptedPolicy::new(replies.iter().copied());
    let grounding = ground(&mut policy, &screenshot(), "the menu", preset, &sampling(), &mut ()).unwrap();
    assert_eq!(grounding.turns.len(), policy.asked().len());
    (grounding, policy)
}

#[track_caller]
fn check_point(grounding: &Grounding, x: f64, y: f64) {
    let answer = grounding.answer.expect("an answer");
    assert!(answer.distance(Point::new(x, y)) < 1e-9, "{answer:?}");
    assert_eq!(grounding.malformed, None);
}

#[track_caller]
fn check_malformed(preset: &Preset, replies: &[&str], reason: Malformed) {
    let (grounding, _) = play(preset, replies);
    assert_eq!((grounding.answer, grounding.confidence), (None, None));
    assert_eq!(grounding.malformed, Some(reason));
}

fn last_text(policy: &ScriptedPolicy, turn_idx: usize) -> &str {
    let message = policy.asked()[turn_idx].0.messages.last().unwrap();
    message.parts.iter().rev().find_map(Part::text).unwrap()
}

#[test]
fn a_single_turn_answers() {
    let (grounding, policy) = play(
        &Preset::web_grounding(),
        &["<think> at (3, 4) and (9999, 4) </think>\n<answer> (100, 50) </answer>"],
    );
    check_point(&grounding, 100.0, 50.0);
    assert_eq!(grounding.answer_text.as_deref(), Some("(100, 50)"));
    let turn = &grounding.turns[0];
    assert_eq!(turn.thoughts[0].points, [Point::new(3.0, 4.0)]);
    assert_eq!(turn.completion.finish, Finish::StopString);
    assert!(!turn.forced);
    assert_eq!(policy.asked()[0].0.messages.len(), 1);
}

#[test]
fn turns_are_held_to_their_form_where_the_preset_says_so() {
    let replies = [zoom(10.0, 20.0), zoom(200.0, 300.0), " (7, 8) </answer>".to_owned()];
    let replies = replies.each_ref().map(String::as_str);
    let (free, asked) = play(&three_turns(), &replies);
    assert!(asked.asked().iter().all(|(_, sampling)| sampling.form.is_none()));
    let (held, asked) = play(&Preset { constrain: true, ..three_turns() }, &replies);
    assert_eq!((held.answer, held.turns.len()), (free.answer, 3));
    let forms: Vec<TurnForm> = asked.asked().iter().map(|(_, sampling)| sampling.form.unwrap()).collect();
    let opening = TurnForm {
        opening: Opening::Thought,
        may_zoom: true,
        answer: AnswerKind::Point,
        written: AnswerForm::Tagged,
        below: [640, 480],
    };
    let forced = TurnForm { opening: Opening::Answer, may_zoom: false, ..opening };
    assert_eq!(forms, [opening, opening, forced]);
    // In pixels of what it sees, and on the grid.
    let below = |preset: Preset| {
        let (_, asked) = play(&Preset { constrain: true, ..preset }, &["(7, 8)"]);
        asked.asked()[0].1.form.map(|form| (form.opening, form.below))
    };
    assert_eq!(below(Preset::qwen2_5_vl()), Some((Opening::Bare, [644, 476])));
    let grid = Preset { answer_space: AnswerSpace::Thousand, ..Preset::qwen2_5_vl() };
    assert_eq!(below(grid.clone()), Some((Opening::Bare, [1000, 1000])));
    assert_eq!(below(Preset { answer_kind: AnswerKind::Text, ..grid }), None);
}

#[test]
fn who_cannot_be_held_to_a_form_is_not_asked() {
    let constrained = Preset { constrain: true, ..three_turns() };
    let mut policy = Short { says: ScriptedPolicy::new(["<answer> (3, 4) </answer>"]), max_messages: 9 };
    let asked = ground(&mut policy, &screenshot(), "it", &constrained, &sampling(), &mut ());
    let error = asked.unwrap_err();
    assert!(matches!(&error, PolicyError::HoldsNoForms { policy } if policy == "short"), "{error}");
    assert!(policy.says.asked().is_empty());
    // A script that breaks the form is not taken for one that has it.
    let mut policy = ScriptedPolicy::new(["no tags"]);
    let asked = ground(&mut policy, &screenshot(), "it", &constrained, &sampling(), &mut ());
    assert!(matches!(asked, Err(PolicyError::Backend(_))), "{asked:?}");
}

#[test]
fn confidence_is_the_probability_of_the_answer_text() {
    let (grounding, _) =
        play(&Preset::web_grounding(), &["<think> x </think>\n<answer> (100, 50) </answer>"]);
    // The script has one token per character and `(100, 50)` has nine.
    let expected = (9.0 * f64::from(ScriptedPolicy::LOGPROB)).exp();
    assert!((grounding.confidence.unwrap() - expected).abs() < 1e-12);
}

#[test]
fn confidence_of_a_forced_answer_counts_from_the_completion() {
    let preset = three_turns();
    let (grounding, _) = play(&preset, &[&zoom(1.0, 1.0), &zoom(2.0, 2.0), " (10, 5) </answer>"]);
    let expected = (7.0 * f64::from(ScriptedPolicy::LOGPROB)).exp();
    assert!((grounding.confidence.unwrap() - expected).abs() < 1e-12);
}

#[test]
fn a_zoom_is_answered_with_the_crop_and_the_answer_refers_to_the_screenshot() {
    let first = zoom(600.0, 20.0);
    let (grounding, policy) = play(
        &Preset::web_grounding_multiturn(),
        &[&first, "<think> there </think>\n<answer> (610, 25) </answer>"],
    );
    check_point(&grounding, 610.0, 25.0);
    let turn = &grounding.turns[0];
    assert_eq!(turn.zoom, Some(Point::new(600.0, 20.0)));
    let crop = turn.crop.as_ref().unwrap();
    assert_eq!(crop.plan.window, Rect::new(500.0, 0.0, 640.0, 120.0));
    let shown = crop.pixels.as_ref().unwrap();
    assert_eq!(shown.dimensions(), (504, 504));
    let second = &policy.asked()[1].0;
    let roles: Vec<Role> = second.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert!(matches!(&second.messages[1].parts[..], [Part::Text(text)] if *text == first));
    assert!(second.images().nth(1).is_some_and(|image| Arc::ptr_eq(image, shown)));
}

#[test]
fn the_last_turn_is_made_to_answer_greedily() {
    let preset = three_turns();
    let (grounding, policy) = play(&preset, &[&zoom(1.0, 1.0), &zoom(2.0, 2.0), " (3, 4) </answer>"]);
    check_point(&grounding, 3.0, 4.0);
    let forced: Vec<bool> = grounding.turns.iter().map(|turn| turn.forced).collect();
    assert_eq!(forced, [false, false, true]);
    let prefixes: Vec<_> = policy.asked().iter().map(|(asked, _)| asked.forced_prefix.as_deref()).collect();
    assert_eq!(prefixes, [None, None, Some(FORCED_FINAL_PREFIX)]);
    let temperatures: Vec<f64> = policy.asked().iter().map(|(_, sampling)| sampling.temperature).collect();
    assert_eq!(temperatures, [0.5, 0.5, 0.0]);
    assert!(grounding.turns[2].thoughts[0].text.starts_with("Based on all the information"));
}

fn searching(samples: usize) -> Preset {
    Preset { search: Some(Search { temperature: 0.9, samples, checks: 0 }), ..three_turns() }
}

#[test]
fn a_dead_end_goes_back_to_the_opening_and_looks_elsewhere() {
    let replies = [zoom(20.0, 20.0), zoom(21.0, 19.0), zoom(20.0, 20.0), zoom(60.0, 30.0)];
    let replies = replies.iter().map(String::as_str).chain(["<answer> (3, 4) </answer>"]);
    let mut policy = ScriptedPolicy::new(replies);
    let grounding =
        ground(&mut policy, &screenshot(), "the menu", &searching(4), &sampling(), &mut ()).unwrap();
    // The second turn says what the first crop showed and leads nowhere; the sampled first look at the same
    // place is thrown away, the one at another place is followed.
    let turns = grounding.turns.iter();
    let seen: Vec<_> = turns.map(|t| (t.zoom.map(|at| at.x), t.crop.is_some(), t.went_back)).collect();
    let (first, back, elsewhere) =
        ((Some(20.0), true, false), (Some(21.0), false, true), (Some(60.0), true, false));
    assert_eq!(seen, [first, back, elsewhere, (None, false, false)]);
    let thrown_away: Vec<usize> = grounding.turns.iter().map(|turn| turn.n_thrown_away).collect();
    assert_eq!(thrown_away, [0, 0, 1, 0]);
    // The conversation begins anew each time, so the fifth reply is neither the third turn nor the last.
    let asked = policy.asked();
    let lengths: Vec<usize> = asked.iter().map(|(conversation, _)| conversation.messages.len()).collect();
    assert_eq!(lengths, [1, 3, 1, 1, 3]);
    // Only first looks are sampled at the higher temperature, and no two with the same seed.
    let sampled: Vec<_> = asked.iter().map(|(_, sampling)| (sampling.temperature, sampling.seed)).collect();
    assert_eq!(sampled, [(0.5, 7), (0.5, 8), (0.9, 9), (0.9, 10), (0.5, 11)]);
    check_point(&grounding, 3.0, 4.0);
}

#[test]
fn when_no_place_is_left_the_opening_is_answered_at_once() {
    let place = zoom(20.0, 20.0);
    let mut policy = ScriptedPolicy::new([
        place.as_str(),
        &place,
        "<answer> (9, 9) </answer>",
        &place,
        " (3, 4) </answer>",
    ]);
    let grounding =
        ground(&mut policy, &screenshot(), "the menu", &searching(2), &sampling(), &mut ()).unwrap();
    let last = grounding.turns.last().unwrap();
    // An answer sampled without a look proves nothing and is thrown away, too.
    assert_eq!((last.forced, last.n_thrown_away, grounding.turns.len()), (true, 2, 3));
    let (conversation, sampling) = policy.asked().last().unwrap();
    assert_eq!((conversation.messages.len(), sampling.temperature), (1, 0.0));
    check_point(&grounding, 3.0, 4.0);
}

#[test]
fn a_branch_that_is_used_up_is_judged_freely_and_then_left() {
    let (first, second) = (zoom(20.0, 20.0), zoom(40.0, 20.0));
    let far = zoom(80.0, 20.0);
    // Three turns at most: the third may answer, and is left because it zooms, though to a new place.
    let replies = [&first, &second, &zoom(60.0, 20.0), &far, "<answer> (3, 4) </answer>"];
    let mut policy = ScriptedPolicy::new(replies);
    let grounding = ground(&mut policy, &screenshot(), "it", &searching(4), &sampling(), &mut ()).unwrap();
    let went_back: Vec<bool> = grounding.turns.iter().map(|turn| turn.went_back).collect();
    assert_eq!(went_back, [false, false, true, false, false]);
    assert!(grounding.turns.iter().all(|turn| !turn.forced));
    check_point(&grounding, 3.0, 4.0);
    // What cannot be read there is left as well, and without zooms the policy is made to answer.
    let replies = [&first, &second, "no tags", &far, "<answer> (3, 4) </answer>"];
    let mut policy = ScriptedPolicy::new(replies);
    let grounding = ground(&mut policy, &screenshot(), "it", &searching(4), &sampling(), &mut ()).unwrap();
    assert!(grounding.turns[2].went_back);
    check_point(&grounding, 3.0, 4.0);
    let (grounding, _) = play(&searching(4).without_zooms(), &[" (3, 4) </answer>"]);
    assert!(grounding.turns[0].forced);
}

fn checking(checks: usize) -> Preset {
    Preset { search: Some(Search { temperature: 0.9, samples: 4, checks }), ..three_turns() }
}

fn answer(x: f64, y: f64) -> String {
    Reply::answer(&format!("the menu ({x}, {y})"), &format!("({x}, {y})")).to_string()
}

#[test]
fn an_answer_off_its_look_is_looked_at_again_until_it_stays() {
    let replies = [zoom(20.0, 20.0), answer(26.0, 20.0), answer(28.0, 20.0), answer(27.0, 20.0)];
    let mut policy = ScriptedPolicy::new(replies.iter().map(String::as_str));
    let grounding = ground(&mut policy, &screenshot(), "it", &checking(4), &sampling(), &mut ()).unwrap();
    check_point(&grounding, 27.0, 20.0);
    let checked: Vec<bool> = grounding.turns.iter().map(|turn| turn.checked).collect();
    assert_eq!(checked, [false, true, true, false]);
    // Each check is a conversation of its own, in which the policy's own words look at its answer.
    let (talk, _) = &policy.asked()[2];
    assert_eq!(talk.messages.len(), 3);
    let Part::Text(said) = &talk.messages[1].parts[0] else { panic!("words") };
    assert_eq!(*said, Reply::zoom("the menu (26, 20)", Coordinate { x: 26.0, y: 20.0 }).to_string());
    assert_eq!(grounding.turns[1].zoom, Some(Point::new(26.0, 20.0)));
    assert!(grounding.turns[1].crop.is_some());
}

#[test]
fn an_answer_in_vain_is_looked_at_closer_by_who_zooms_and_asked_for_again_by_who_does_not() {
    for (preset, n_messages) in [(three_turns(), 3), (Preset::web_grounding(), 1)] {
        let replies = [answer(26.0, 20.0), answer(90.0, 70.0)];
        let mut policy = ScriptedPolicy::new(replies.iter().map(String::as_str));
        let first = ground(&mut policy, &screenshot(), "it", &preset, &sampling(), &mut ()).unwrap();
        let again =
            ground_closer(&mut policy, &screenshot(), "it", &preset, &sampling(), first, &mut ()).unwrap();
        check_point(&again, 90.0, 70.0);
        let looked = n_messages == 3;
        let checked: Vec<bool> = again.turns.iter().map(|turn| turn.checked).collect();
        assert_eq!(checked, [looked, false]);
        assert_eq!(again.turns[0].zoom, looked.then_some(Point::new(26.0, 20.0)));
        assert_eq!(policy.asked()[1].0.messages.len(), n_messages);
    }
}

#[test]
fn an_answer_is_checked_only_where_it_moved_and_only_so_often() {
    let (look, first) = (zoom(20.0, 20.0), answer(26.0, 20.0));
    let check = |checks: usize, replies: &[&str], x: f64| {
        let mut policy = ScriptedPolicy::new(replies.iter().copied());
        let grounding =
            ground(&mut policy, &screenshot(), "it", &checking(checks), &sampling(), &mut ()).unwrap();
        assert_eq!(grounding.turns.len(), replies.len());
        check_point(&grounding, x, 20.0);
    };
    check(1, &[&look, &first, &answer(30.0, 20.0)], 30.0);
    check(0, &[&look, &first], 26.0);
    // The answer of a first turn has no look to compare with, and one at its look needs no check.
    check(4, &[&first], 26.0);
    check(4, &[&look, &answer(21.0, 20.0)], 21.0);
    // A check that shows something else goes on like any look, here to another place.
    check(4, &[&look, &first, &zoom(90.0, 20.0), &answer(90.0, 20.0)], 90.0);
}

#[test]
fn an_answer_outside_the_screenshot_cannot_be_checked() {
    let (grounding, _) = play(&checking(4), &[&zoom(20.0, 20.0), "<answer> (7000, 20) </answer>"]);
    assert!(matches!(grounding.malformed, Some(Malformed::AnswerOutside(_))));
}

#[test]
fn a_dead_end_that_is_broken_off_ends_the_episode() {
    let (first, second) = (zoom(20.0, 20.0), zoom(21.0, 21.0));
    let mut policy = ScriptedPolicy::new([first.as_str(), second.as_str()]);
    let mut diary = Diary { break_after: Some("[21, 21]}}\n</tool_call>"), ..Diary::default() };
    let grounding = ground(&mut policy, &screenshot(), "it", &searching(8), &sampling(), &mut diary).unwrap();
    assert!(grounding.cancelled);
    assert_eq!(policy.asked().len(), 2);
}

#[test]
fn used_up_images_force_the_answer_before_the_turns_do() {
    let mut preset = three_turns();
    preset.limits.max_images = 2;
    preset.limits.max_turns = 9;
    let (grounding, _) = play(&preset, &[&zoom(1.0, 1.0), " (3, 4) </answer>"]);
    assert!(grounding.turns[1].forced);
    check_point(&grounding, 3.0, 4.0);
}

#[track_caller]
fn check_forced_at(max_response_tokens: usize, forced: bool) {
    let mut preset = three_turns();
    preset.limits.max_response_tokens = max_response_tokens;
    let last = if forced { " (3, 4) </answer>" } else { "<answer> (3, 4) </answer>" };
    let (grounding, _) = play(&preset, &[&zoom(1.0, 1.0), last]);
    assert_eq!(grounding.turns[1].forced, forced, "with {max_response_tokens} tokens");
    check_point(&grounding, 3.0, 4.0);
}

#[test]
fn used_up_response_tokens_force_the_answer() {
    // One token per character, and 84 x 84 pixels are 9 merged patches of 28 x 28.
    let used = zoom(1.0, 1.0).len().min(128) + 9;
    check_forced_at(used, true);
    check_forced_at(used + 1, false);
}

#[test]
fn every_turn_has_its_own_seed_the_protocols_stops_and_the_token_limit() {
    let (_, policy) = play(&three_turns(), &[&zoom(1.0, 1.0), "<answer> (3, 4) </answer>"]);
    let [(_, first), (_, second)] = policy.asked() else { panic!("two turns") };
    assert_eq!((first.seed, second.seed), (7, 8));
    assert_eq!(first.stop, ["</tool_call>", "</answer>"]);
    assert_eq!(first.max_new_tokens, 128);
}

#[test]
fn a_bad_tool_call_is_told_back_as_a_previous_thought() {
    let bad = "<think> over there </think>\n<tool_call>\n(5, 6)\n</tool_call>";
    let (grounding, policy) = play(
        &Preset::web_grounding_multiturn(),
        &[bad, "<think>hm</think>", &zoom(9.0, 9.0), "no tags", "<answer> (3, 4) </answer>"],
    );
    check_point(&grounding, 3.0, 4.0);
    let reasons: Vec<_> = grounding.turns.iter().map(|turn| turn.malformed).collect();
    let no_action = Some(Malformed::NoAction);
    assert_eq!(reasons, [Some(Malformed::ToolCallNotJson), no_action, None, no_action, None]);
    assert_eq!(
        last_text(&policy, 2),
        "\nDescription: the menu\n\nPrevious thought 1: over there \n<tool_call>\n(5, 6)\n</tool_call>\n\nPrevious thought 2: hm"
    );
    assert_eq!(last_text(&policy, 4), "</observation>\n\nPrevious thought 4: no tags");
    // The fifth turn is forced and opened its answer once more.
    assert!(grounding.turns[4].forced);
    assert_eq!(grounding.answer_text.as_deref(), Some("(3, 4)"));
}

#[test]
fn a_zoom_outside_shows_the_nearest_pixels_and_is_recorded_on_the_screenshot() {
    let (grounding, _) =
        play(&Preset::web_grounding_multiturn(), &[&zoom(5_000.0, -40.0), "<answer> (3, 4) </answer>"]);
    let turn = &grounding.turns[0];
    assert_eq!(turn.zoom, Some(Point::new(639.0, 0.0)));
    assert_eq!(turn.crop.as_ref().unwrap().plan.window, Rect::new(639.0, 0.0, 640.0, 60.0));
    assert_eq!(turn.thoughts[0].points, []);
}

#[test]
fn unusable_answers_have_a_reason() {
    let single = Preset::web_grounding();
    let outside = |x, y| Malformed::AnswerOutside(Coordinate { x, y });
    check_malformed(&single, &["<answer> (640, 10) </answer>"], outside(640.0, 10.0));
    check_malformed(&single, &["<answer> (-1, 10) </answer>"], outside(-1.0, 10.0));
    check_malformed(&single, &["<answer> the menu </answer>"], Malformed::AnswerNotAPoint);
    check_malformed(&single, &["<answer></answer>"], Malformed::EmptyAnswer);
    check_malformed(&single, &["I do not know"], Malformed::NoAction);
    check_malformed(&single, &[""], Malformed::Empty);
    check_malformed(&single, &[&zoom(1.0, 1.0)], Malformed::ZoomInsteadOfAnswer);
    let multi = three_turns();
    check_malformed(&multi, &["<answer></answer>"], Malformed::EmptyAnswer);
    check_malformed(&multi, &[&zoom(1.0, 1.0), &zoom(2.0, 2.0), "</answer>"], Malformed::EmptyAnswer);
}

#[test]
fn the_first_and_the_last_pixel_are_answers() {
    let single = Preset::web_grounding();
    check_point(&play(&single, &["<answer> (0, 0) </answer>"]).0, 0.0, 0.0);
    check_point(&play(&single, &["<answer> (639, 479) </answer>"]).0, 639.0, 479.0);
}

#[test]
fn a_text_answer_is_kept_and_need_not_be_a_point() {
    let (grounding, _) = play(&Preset::spatial(), &["<think> x </think>\n<answer> to the left </answer>"]);
    assert_eq!(grounding.answer_text.as_deref(), Some("to the left"));
    assert_eq!((grounding.answer, grounding.malformed), (None, None));
    assert!(grounding.confidence.is_some());
}

#[test]
fn answers_on_other_grids_are_mapped_to_the_screenshot() {
    // The network sees 640 x 480 as 644 x 476.
    let (grounding, _) = play(&Preset::qwen2_5_vl(), &["(322, 119)"]);
    check_point(&grounding, 320.0, 120.0);
    let thousand = Preset { answer_space: AnswerSpace::Thousand, ..Preset::web_grounding() };
    check_point(&play(&thousand, &["<answer> (500, 250) </answer>"]).0, 320.0, 120.0);
}

#[derive(Default)]
struct Diary {
    lines: Vec<String>,
    heard: String,
    break_after: Option<&'static str>,
}

impl GroundObserver for Diary {
    fn turn_started(&mut self, turn_idx: usize, forced: bool) -> ControlFlow<()> {
        self.lines.push(format!("turn {turn_idx} forced {forced}"));
        ControlFlow::Continue(())
    }

    fn text(&mut self, piece: &str) -> ControlFlow<()> {
        self.heard.push_str(piece);
        match self.break_after {
            Some(text) if self.heard.ends_with(text) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn crop_shown(&mut self, crop: &ShownCrop) {
        self.lines.push(format!("crop of {}", crop.plan.side_px));
    }

    fn turn_ended(&mut self, turn: &Turn) {
        self.lines.push(format!("said {} characters", turn.completion.text.len()));
    }
}

#[test]
fn an_observer_follows_the_episode_in_order() {
    let (first, second) = (zoom(9.0, 9.0), "<answer> (3, 4) </answer>");
    let mut policy = ScriptedPolicy::new([first.as_str(), second]);
    let mut diary = Diary::default();
    ground(&mut policy, &screenshot(), "it", &three_turns(), &sampling(), &mut diary).unwrap();
    let said = |text: &str| format!("said {} characters", text.len());
    let expected = ["turn 0 forced false", "crop of 84", &said(&first), "turn 1 forced false", &said(second)];
    assert_eq!(diary.lines, expected);
    assert_eq!(diary.heard, format!("{first}{second}"));
}

#[test]
fn an_observer_can_break_off_between_tokens() {
    let mut policy = ScriptedPolicy::new(["<think> let me see </think>\n<answer> (3, 4) </answer>"]);
    let mut diary = Diary { break_after: Some("let me"), ..Diary::default() };
    let grounding =
        ground(&mut policy, &screenshot(), "it", &three_turns(), &sampling(), &mut diary).unwrap();
    assert!(grounding.cancelled);
    assert_eq!((grounding.answer, grounding.malformed), (None, None));
    assert_eq!(grounding.turns[0].completion.text, "<think> let me");
}

#[test]
fn a_policy_that_cannot_be_asked_is_an_error() {
    let mut nobody = ScriptedPolicy::new([] as [&str; 0]);
    let error = ground(&mut nobody, &screenshot(), "it", &three_turns(), &sampling(), &mut ()).unwrap_err();
    assert!(matches!(error, PolicyError::Backend(_)), "{error}");
    let thin = Arc::new(RgbImage::new(1, 500));
    let error = ground(&mut nobody, &thin, "it", &three_turns(), &sampling(), &mut ()).unwrap_err();
    assert!(matches!(error, PolicyError::Image(_)), "{error}");
}

/// Ends a turn at `max_new_tokens`, and takes no conversation of more than `max_messages`.
struct Short {
    says: ScriptedPolicy,
    max_messages: usize,
}

impl Policy for Short {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        match conversation.messages.len() {
            n_tokens if n_tokens > self.max_messages => {
                Err(PolicyError::TooLong { n_tokens, limit: self.max_messages })
            }
            _ => self.says.complete(conversation, sampling, stream),
        }
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.says.pixel_budget()
    }

    fn name(&self) -> &str {
        "short"
    }
}

/// What comes of `replies` with at most so many tokens a turn and messages a conversation.
fn cut(
    preset: &Preset,
    replies: &[&str],
    max_new_tokens: usize,
    max_messages: usize,
) -> Result<Grounding, PolicyError> {
    let mut policy = Short { says: ScriptedPolicy::new(replies.iter().copied()), max_messages };
    let sampling = Sampling { max_new_tokens, ..sampling() };
    ground(&mut policy, &screenshot(), "it", preset, &sampling, &mut ())
}

#[test]
fn an_episode_cut_by_a_limit_of_tokens_says_so() {
    let single = Preset::web_grounding();
    let whole = "<answer> (100, 50) </answer>";
    for (max_new_tokens, is_out) in [(0, true), (3, true), (8, true), (15, true), (28, false), (99, false)] {
        let grounding = cut(&single, &[whole], max_new_tokens, 9).unwrap();
        assert_eq!(
            (grounding.out_of_tokens(), grounding.answer.is_none()),
            (is_out, is_out),
            "{max_new_tokens}"
        );
    }
    // A closing tag is not needed, and an answer outside was not cut.
    let grounding = cut(&single, &[whole], 18, 9).unwrap();
    assert!(!grounding.out_of_tokens() && grounding.answer.is_some());
    assert!(!cut(&single, &["<answer> (9999, 50) </answer>"], 19, 9).unwrap().out_of_tokens());
    // Who says nothing usable of its own accord was not cut either, and neither was who was broken off.
    assert!(!cut(&single, &["no tags"], 99, 9).unwrap().out_of_tokens());
    let (mut policy, mut diary) =
        (ScriptedPolicy::new(["no tags"]), Diary { break_after: Some("no"), ..Diary::default() });
    let grounding = ground(&mut policy, &screenshot(), "it", &single, &sampling(), &mut diary).unwrap();
    assert!(grounding.cancelled && !grounding.out_of_tokens());
    assert!(!Grounding::known(None).out_of_tokens());
}

#[test]
fn a_conversation_that_outgrows_the_context_keeps_its_turns() {
    let looks = [zoom(1.0, 1.0), zoom(2.0, 2.0)];
    let grounding = cut(&three_turns(), &looks.each_ref().map(String::as_str), 999, 3).unwrap();
    assert_eq!(grounding.turns.len(), 2);
    assert_eq!(grounding.malformed, Some(Malformed::OutgrewContext { n_tokens: 5, limit: 3 }));
    assert!(grounding.out_of_tokens() && grounding.answer.is_none() && !grounding.cancelled);
    // An opening that does not fit is nothing that the policy said.
    let error = cut(&three_turns(), &[], 999, 0).unwrap_err();
    assert!(matches!(error, PolicyError::TooLong { .. }), "{error}");
}

#[test]
fn pictures_can_be_dropped_and_the_plans_stay() {
    let (grounding, _) =
        play(&Preset::web_grounding_multiturn(), &[&zoom(600.0, 20.0), &answer(610.0, 25.0)]);
    let plan = grounding.turns[0].crop.as_ref().unwrap().plan;
    let pixels = Arc::downgrade(grounding.turns[0].crop.as_ref().unwrap().pixels.as_ref().unwrap());
    let light = grounding.without_pictures();
    assert!(pixels.upgrade().is_none(), "the memory is free");
    assert_eq!(
        light.turns[0].crop.as_ref().map(|crop| (crop.plan, crop.pixels.is_none())),
        Some((plan, true))
    );
    check_point(&light, 610.0, 25.0);
}

#[test]
fn what_is_learned_from_is_sampled_and_a_turn_that_cannot_be_used_ends_it() {
    let preset = three_turns().for_rollouts();
    let replies = [zoom(10.0, 10.0), zoom(20.0, 20.0), answer(30.0, 30.0)];
    let (grounding, policy) = play(&preset, &replies.each_ref().map(String::as_str));
    check_point(&grounding, 30.0, 30.0);
    let asked: Vec<(f64, bool)> = policy
        .asked()
        .iter()
        .map(|(conversation, sampling)| (sampling.temperature, conversation.forced_prefix.is_some()))
        .collect();
    assert_eq!(asked, [(0.5, false), (0.5, false), (0.5, true)], "the forced answer is sampled, too");
    assert!(policy.asked().iter().all(|(_, sampling)| sampling.form.is_none()));

    let (broken, policy) = play(&preset, &["no tags at all"]);
    assert_eq!((broken.answer, policy.asked().len()), (None, 1));
    assert!(broken.malformed.is_some());
    assert_eq!(Preset::nano().for_rollouts().search, None);
}
