//! What mode `fixed` does differently, each with both sides, and that it does nothing else differently.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use proptest::prelude::*;
use vigorl_judges::{Mode, Reward};

const BOX: &str = "(0, 0, 10, 10)";

/// Overall, format and accuracy.
fn judged(name: &str, mode: Mode, response: &str, truth: &str) -> [f64; 3] {
    let verdict = Reward::named(name).unwrap().worth(mode, response, truth).unwrap();
    [verdict.overall, verdict.format, verdict.accuracy]
}

#[track_caller]
fn check(name: &str, response: &str, truth: &str, reference: [f64; 3], fixed: [f64; 3]) {
    for (mode, expected) in [(Mode::Reference, reference), (Mode::Fixed, fixed)] {
        let judged = judged(name, mode, response, truth);
        let is_near = judged.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(is_near, "{mode:?}: {judged:?} and not {expected:?} for {response}");
    }
}

fn grounded(answer: &str) -> String {
    format!("<think>it is at (5, 6)</think>\n<answer>{answer}</answer>")
}

/// A conversation with calls at these places.
fn turns(calls: &[&str], answer: &str) -> String {
    let call = |place: &&str| {
        format!(
            "<think>look</think>\n<tool_call>\n{{\"name\": \"search_coordinate\", \"arguments\": {{\"coordinate\": [{place}]}}}}\n\
             </tool_call>user\n<observation>\n</observation>\nassistant\n"
        )
    };
    format!("{}<think>there</think>\n<answer>{answer}</answer>", calls.iter().map(call).collect::<String>())
}

#[test]
fn answers_over_several_lines() {
    let (half, all) = ([0.5, 1.0, 0.0], [1.0; 3]);
    check("point_in_bbox_grounded_thinking", &grounded("\n(5, 5)\n"), BOX, half, all);
    check("point_in_bbox_grounded_thinking", &grounded("(5,\n5)"), BOX, half, all);
    check("string_match_grounded_thinking", &grounded("A.\nleft"), "left", half, all);
    // Without an answer the reference judges all of the text, thoughts included.
    let scrolls = "<think>(5, 6), then scroll</think><answer>\nclick [12]\n</answer>";
    check("web_action_grounded_thinking", scrolls, "click [12]", half, all);
    check("point_in_bbox_multicrop", &turns(&[], "\n(5, 5)\n"), BOX, [0.4, 1.0, 0.0], all);
    // One line.
    check("point_in_bbox_grounded_thinking", &grounded("(5, 5)"), BOX, all, all);
}

#[test]
fn the_truth_without_regard_to_case() {
    check("string_match_grounded_thinking", &grounded("left"), "Left", [0.5, 1.0, 0.0], [1.0; 3]);
    check("string_match", &grounded("A. LEFT"), " LEFT\n", [0.5, 1.0, 0.0], [1.0; 3]);
    check("string_match_grounded_thinking", &grounded("LEFT"), "left", [1.0; 3], [1.0; 3]);
    check("string_match_grounded_thinking", &grounded("right"), "Left", [0.5, 1.0, 0.0], [0.5, 1.0, 0.0]);
}

#[test]
fn the_action_is_the_first_word() {
    let name = "web_action_grounded_thinking";
    check(name, &grounded("I click [12]"), "click [12]", [1.0; 3], [0.5, 1.0, 0.0]);
    check(name, &grounded("type [12] [stop]"), "stop []", [1.0; 3], [0.5, 1.0, 0.0]);
    check(name, &grounded("type [12] [go_back]"), "type [12] [go_back]", [1.0; 3], [1.0; 3]);
    check(name, &grounded("click [12]"), "type [1] [click here]", [0.75, 1.0, 0.5], [0.5, 1.0, 0.0]);
    check(name, &grounded("click [12]"), "click [12]", [1.0; 3], [1.0; 3]);
}

#[test]
fn typed_text_is_compared() {
    let name = "web_action_grounded_thinking";
    check(name, &grounded("type [12] [hello]"), "type [12] [bye]", [1.0; 3], [0.75, 1.0, 0.5]);
    check(name, &grounded("type [12] [hello]"), "type [12] [hello]", [1.0; 3], [1.0; 3]);
    check(name, &grounded("type [12] [hello]"), "type [13] [hello]", [0.75, 1.0, 0.5], [0.75, 1.0, 0.5]);
}

#[test]
fn floats_are_accepted() {
    let name = "point_in_bbox_grounded_thinking";
    check(name, &grounded("(5.5, 5)"), BOX, [0.0; 3], [1.0; 3]);
    check(name, &grounded("(10.5, 5)"), BOX, [0.0; 3], [0.5, 1.0, 0.0]);
    check(name, &grounded("(5, 5)"), "(0.0, 0, 10.0, 10)", [0.5, 1.0, 0.0], [1.0; 3]);
    check(name, "<think>(5.5, 6)</think><answer>(5, 5)</answer>", BOX, [0.5, 0.0, 1.0], [1.0; 3]);
    check("point_in_bbox_multicrop", &turns(&["1.5, 2"], "(5, 5)"), BOX, [0.6, 0.0, 1.0], [1.0; 3]);
    check("point_in_bbox_multicrop", &turns(&["1, 2"], "(5.0, 5)"), BOX, [0.0; 3], [1.0; 3]);
    // Numbers without an end are accepted by nobody.
    check(name, &grounded("(1e999, 5)"), BOX, [0.0; 3], [0.0; 3]);
    check("point_in_bbox_multicrop", &turns(&["NaN, 2"], "(5, 5)"), BOX, [0.6, 0.0, 1.0], [0.6, 0.0, 1.0]);
}

#[test]
fn the_format_is_worth_one_at_most_and_diversity_is_apart() {
    let text = turns(&["0, 0", "50, 0", "100, 0"], "(5, 5)");
    check("point_in_bbox_multicrop", &text, BOX, [1.16, 1.4, 1.0], [1.16, 1.0, 1.0]);
    check("point_in_bbox_multicrop", &turns(&["0, 0"], "(5, 5)"), BOX, [1.0; 3], [1.0; 3]);
    let judgement = Reward::PointInBboxMulticrop.judge(Mode::Fixed, &text, BOX);
    assert_eq!(judgement.entry("diversity").unwrap().value(), Ok(0.4));
    assert!(Reward::PointInBboxMulticrop.judge(Mode::Reference, &text, BOX).entry("diversity").is_err());
}

#[test]
fn diversity_is_paid_only_if_the_answer_is_right() {
    let text = turns(&["0, 0", "50, 0", "100, 0"], "(11, 5)");
    check("point_in_bbox_multicrop", &text, BOX, [0.56, 1.4, 0.0], [0.4, 1.0, 0.0]);
    let text = turns(&["0, 0", "50, 0"], "blue");
    check("string_match_multiturn", &text, "red", [0.48, 1.2, 0.0], [0.4, 1.0, 0.0]);
    check("string_match_multiturn", &text, "BLUE", [1.08, 1.2, 1.0], [1.08, 1.0, 1.0]);
}

#[test]
fn format_and_accuracy_are_of_the_same_answer() {
    let two = |first: &str, second: &str| {
        format!("<think>a (1,2)</think><answer>{first}</answer><answer>{second}</answer>")
    };
    let name = "point_in_bbox_grounded_thinking";
    check(name, &two("(0,\n0)", "[5,5]"), BOX, [1.0; 3], [0.5, 0.0, 1.0]);
    check(name, &two("(0,\n0)", "5,5"), BOX, [1.0; 3], [0.5, 0.0, 1.0]);
    check(name, &two("[0,\n0]", "(5,5)"), BOX, [0.5, 0.0, 1.0], [1.0; 3]);
    check("point_in_bbox", &two("(0,\n0)", "[5,5]"), BOX, [1.0; 3], [0.5, 0.0, 1.0]);
    check("string_match", &two("le\nft", ""), "left", [0.5, 1.0, 0.0], [0.0; 3]);
    // Over several lines alone, or on one line alone, it is the first one.
    check(name, &two("[0,\n0]", "(50,\n5)"), BOX, [0.0; 3], [0.5, 0.0, 1.0]);
    check(name, &two("(5,5)", "[5,\n5]"), BOX, [1.0; 3], [1.0; 3]);
}

#[test]
fn diversity_has_a_bound_that_no_response_moves() {
    let name = "point_in_bbox_multicrop";
    let spelled = |n: usize| {
        let places: Vec<String> = (0..n).map(|n| format!("{}, 0", 50 * n)).collect();
        turns(&places.iter().map(String::as_str).collect::<Vec<_>>(), "(5, 5)")
    };
    for n in [4, 5, 6, 300] {
        let text = spelled(n);
        let fixed = judged(name, Mode::Fixed, &text, BOX);
        assert!((fixed[0] - 1.24).abs() < 1e-12 && fixed[1..] == [1.0, 1.0], "{n}: {fixed:?}");
        let reference = judged(name, Mode::Reference, &text, BOX);
        assert!((reference[1] - (0.8 + 0.2 * n as f64)).abs() < 1e-9, "as many as there are: {reference:?}");
    }
    let bounds = |text: &str| match Reward::PointInBboxMulticrop.judge(Mode::Fixed, text, BOX).entries.pop() {
        Some(vigorl_judges::Entry { said: vigorl_judges::Said::Worth { bounds, .. }, .. }) => bounds,
        other => panic!("{other:?}"),
    };
    assert_eq!(bounds(&spelled(300)), bounds("no form"));
}

/// Answers that lie outside of all differences: on one line, in whole numbers, with the action first, and truths in small
/// letters.
fn plain_answer() -> impl Strategy<Value = (&'static str, String, String)> {
    let number = || (-20..30_i32).prop_map(|n| n.to_string());
    let point =
        (number(), number(), prop::sample::select(vec!["(@)", "[@]", "@", "(@", "((@))", "(@,)", "@ x"]))
            .prop_map(|(x, y, form)| form.replace('@', &format!("{x}, {y}")));
    let choice = || {
        prop::sample::select(vec!["left", "A. left", "b) right", "LEFT", "", "no"]).prop_map(str::to_owned)
    };
    let action = || {
        prop::sample::select(vec![
            "click [1]",
            "click [2]",
            "scroll [up]",
            "scroll [down]",
            "go_back",
            "stop [x]",
            "type [1] [a]",
            "hover",
        ])
        .prop_map(str::to_owned)
    };
    let small = choice().prop_map(|text| text.to_lowercase());
    prop_oneof![
        (Just("point"), point, Just(BOX.to_owned())),
        (Just("text"), choice(), small),
        (Just("action"), action(), action()),
    ]
}

proptest! {
    #[test]
    fn elsewhere_both_modes_agree(
        (kind, answer, truth) in plain_answer(),
        thoughts in prop::sample::select(vec!["(5, 6)", "( 5, 6)", "nothing", "(5,\n6)", ""]),
        between in prop::sample::select(vec!["", "\n", " x ", "\u{a0}"]),
        end in prop::sample::select(vec!["", "\n", "<|im_end|>"]),
        calls in prop::collection::vec(prop::sample::select(vec!["5, 5", "5, 14", "\"5\", 5", "true, 5"]), 0..2),
    ) {
        let single = format!("<think>{thoughts}</think>{between}<answer>{answer}</answer>{end}");
        let multi = format!("{}{end}", turns(&calls, &answer));
        let (names, of_turns): (&[&str], _) = match kind {
            "point" => (&["point_in_bbox", "point_in_bbox_grounded_thinking"], Some("point_in_bbox_multicrop")),
            "text" => (&["string_match", "string_match_grounded_thinking"], Some("string_match_multiturn")),
            _ => (&["web_action", "web_action_grounded_thinking"], None),
        };
        // Two typed texts differ only in `typed_text_is_compared`; here they are the same.
        for (name, text) in names.iter().map(|name| (*name, &single)).chain(of_turns.map(|name| (name, &multi))) {
            prop_assert_eq!(
                judged(name, Mode::Reference, text, &truth),
                judged(name, Mode::Fixed, text, &truth),
                "{} {:?} {:?}", name, text, truth
            );
        }
    }

    #[test]
    fn any_text_has_terms_within_their_bounds(response in ".{0,60}", truth in ".{0,20}", in_tags in any::<bool>()) {
        let response = if in_tags { grounded(&response) } else { response };
        for (_, reward, _) in Reward::NAMED {
            for mode in [Mode::Reference, Mode::Fixed] {
                let judgement = reward.judge(mode, &response, &truth);
                let names: Vec<&str> = judgement.entries.iter().map(|entry| entry.name.as_str()).collect();
                prop_assert_eq!(names, reward.terms(mode));
                for entry in &judgement.entries {
                    prop_assert!(entry.value().is_ok(), "{entry:?}");
                }
            }
        }
    }
}
