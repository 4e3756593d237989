//! Conversations with published grounders, beside what the makers' own programs ask and read (`reference/grounders.py`).

use std::sync::Arc;

use image::RgbImage;
use serde::Deserialize;
use vigorl_geometry::Point;
use vigorl_geometry::fit::PixelBudget;

use super::GROUNDERS;
use crate::{
    ChatTemplate, Completion, Conversation, Grounding, Malformed, Policy, PolicyError, Preset, Sampling,
    ScriptedPolicy, TokenStream, Turns, View, ground, ground_closer,
};

/// One line of the fixture.
#[derive(Debug, Deserialize)]
struct Golden {
    preset: String,
    screenshot: [u32; 2],
    seen: [u32; 2],
    instruction: String,
    prompt: String,
    answer: String,
    point: [f64; 2],
}

fn golden() -> Vec<Golden> {
    let lines = include_str!("../../../../fixtures/grounders.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn preset(name: &str) -> Preset {
    Preset::named(name).unwrap()
}

/// A script behind a processor that obeys a preset.
struct Obedient {
    says: ScriptedPolicy,
    budget: PixelBudget,
}

impl Obedient {
    fn new(preset: &Preset, replies: &[&str]) -> Self {
        let limits = preset.pixels.unwrap();
        let budget = PixelBudget { factor: 28, min_pixels: limits.min, max_pixels: limits.max };
        Self { says: ScriptedPolicy::new(replies.iter().copied()), budget }
    }
}

impl Policy for Obedient {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        self.says.complete(conversation, sampling, stream)
    }

    fn holds_forms(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        "obedient"
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.budget
    }
}

fn ask(
    preset: &Preset,
    [width, height]: [u32; 2],
    instruction: &str,
    reply: &str,
) -> (Grounding, ScriptedPolicy) {
    let mut policy = Obedient::new(preset, &[reply]);
    let screenshot = Arc::new(RgbImage::new(width, height));
    let sampling = Sampling::greedy(1_000_000);
    let grounding = ground(&mut policy, &screenshot, instruction, preset, &sampling, &mut ()).unwrap();
    (grounding, policy.says)
}

#[test]
fn every_conversation_is_that_of_its_makers() {
    let file = include_bytes!("../../tests/chat_template.json");
    let template =
        ChatTemplate::from_files(|name| Ok((name == "chat_template.json").then(|| file.to_vec()))).unwrap();
    let mut n_of_preset = [0; GROUNDERS.len()];
    for line in golden() {
        let preset = preset(&line.preset);
        for constrain in [false, true] {
            // A script answers in its own words; the form allows the first of several points alone.
            if constrain && line.preset == "infigui-g1" {
                continue;
            }
            let preset = Preset { constrain, ..preset.clone() };
            let (grounding, asked) = ask(&preset, line.screenshot, &line.instruction, &line.answer);
            let what = format!("{} on {:?}", line.preset, line.screenshot);
            let [(conversation, sampling)] = asked.asked() else { panic!("{what}: one turn") };
            assert_eq!(template.render(conversation).unwrap().text, line.prompt, "{what}");
            assert_eq!(conversation.forced_prefix, None, "{what}");
            assert_eq!((grounding.malformed, grounding.turns.len()), (None, 1), "{what}");
            let answer = grounding.answer.unwrap();
            assert!(answer.distance(Point::new(line.point[0], line.point[1])) < 1e-6, "{what}: {answer:?}");
            assert!(grounding.confidence.is_some(), "{what}");
            assert!(sampling.stop.is_empty(), "{what}");
            assert_eq!(sampling.max_new_tokens, preset.limits.max_tokens_per_turn, "{what}");
        }
        let [width, height] = line.screenshot;
        let budget = Obedient::new(&preset, &[]).budget;
        let seen = View::seen_size((width, height), preset.answer_space, preset.max_image_pixels, budget);
        assert_eq!(seen, Ok((line.seen[0], line.seen[1])), "{} on {width}x{height}", line.preset);
        n_of_preset[GROUNDERS.iter().position(|name| *name == line.preset).unwrap()] += 1;
    }
    assert_eq!(n_of_preset, [3; GROUNDERS.len()]);
}

#[test]
fn thoughts_are_kept_with_the_points_in_them() {
    let reply = "<think> The icon is at (386, 568). </think>\n[{\"point_2d\": [644, 406]}]";
    let (grounding, _) = ask(&preset("infigui-g1"), [1280, 800], "it", reply);
    let thought = &grounding.turns[0].thoughts[0];
    assert_eq!(thought.text, "The icon is at (386, 568).");
    assert!(thought.points[0].distance(Point::new(386.0 / 1.00625, 568.0 / 1.015)) < 1e-9);
    assert!(grounding.answer.unwrap().distance(Point::new(640.0, 400.0)) < 1e-9);
}

#[test]
fn what_is_no_point_on_the_screenshot_is_none_and_no_error() {
    let not_a_point: [(&str, &[&str]); 5] = [
        ("gta1", &["I cannot see it.", "384,941", "[384,941]", "(384,", "<answer> 1, 2 </answer>"]),
        (
            "ui-tars-1.5",
            &["Action: wait()", "Action: click()", "(12,34)", "Action: finished(content='(1,2)')"],
        ),
        ("infigui-g1", &["<think> a </think>[]", "<think> a </think>(1, 2)", "[{\"point_2d\": \"1, 2\"}]"]),
        ("holo1.5", &["{", "Click(1, 2)", "{\"action\": \"scroll\", \"x\": 1, \"y\": 2}", "{\"x\": 1}"]),
        ("gui-g2", &["[1,2]", "[-1]", "[a,b,c,d]", "[1,2,3,4"]),
    ];
    for (name, replies) in not_a_point {
        for reply in replies {
            let (grounding, _) = ask(&preset(name), [1280, 800], "it", reply);
            let found = (grounding.answer, grounding.malformed, grounding.confidence);
            assert_eq!(found, (None, Some(Malformed::AnswerNotAPoint), None), "{name}: {reply}");
        }
        for (reply, reason) in [("", Malformed::Empty), ("<think> cut", Malformed::NoAction)] {
            // Only a family that thinks has unfinished thoughts; for all others that is no other answer either.
            let (grounding, _) = ask(&preset(name), [1280, 800], "it", reply);
            assert_eq!((grounding.answer, grounding.malformed), (None, Some(reason)), "{name}: {reply}");
        }
    }
    for (name, reply) in [
        ("gta1", "(1300,10)"),
        ("ui-tars-1.5", "Action: click(start_box='(-1,10)')"),
        ("infigui-g1", "[{\"point_2d\": [10, 900]}]"),
        ("holo1.5", "{\"x\": 10, \"y\": 9000}"),
        ("gui-g2", "[1280,10,1300,20]"),
    ] {
        let (grounding, _) = ask(&preset(name), [1280, 800], "it", reply);
        assert!(matches!(grounding.malformed, Some(Malformed::AnswerOutside(_))), "{name}: {reply}");
        assert_eq!(grounding.answer, None, "{name}: {reply}");
    }
}

#[test]
fn an_answer_that_was_cut_is_no_answer() {
    let long = format!("{}(1,2)", "a".repeat(40));
    let (grounding, _) = ask(&preset("gta1"), [1280, 800], "it", &long);
    assert!(grounding.out_of_tokens() && grounding.answer.is_none());
    // A number that was cut is another number.
    for cut in ["[{\"point_2d\": [12", "[{\"point_2d\": [12, 3"] {
        let (grounding, _) = ask(&preset("infigui-g1"), [1280, 800], "it", cut);
        assert_eq!(grounding.malformed, Some(Malformed::AnswerNotAPoint));
    }
}

#[test]
fn small_screenshots_are_enlarged_where_a_family_wants_that() {
    let seen = |name| {
        let preset = preset(name);
        let budget = Obedient::new(&preset, &[]).budget;
        View::seen_size((200, 150), preset.answer_space, preset.max_image_pixels, budget).unwrap()
    };
    assert_eq!((seen("gta1"), seen("ui-tars-1.5"), seen("gui-g2")), ((196, 140), (336, 252), (336, 252)));
}

#[test]
fn infigui_may_see_a_column_less_than_its_makers_show() {
    // They reduce to the limit first and round to whole patches then, up or down: 2800x1568. One step rounds down.
    let preset = preset("infigui-g1");
    let budget = Obedient::new(&preset, &[]).budget;
    let seen = View::seen_size((3840, 2160), preset.answer_space, preset.max_image_pixels, budget);
    assert_eq!(seen, Ok((2772, 1568)));
}

#[test]
fn who_cannot_write_a_zoom_is_never_made_to_zoom_or_to_answer_in_other_words() {
    for name in GROUNDERS {
        let mut preset = Preset { turns: Turns::Multi, ..preset(name) };
        preset.limits.max_turns = 5;
        assert!(preset.is_single_turn() && !preset.can_zoom(), "{name}");
        let zoom = "<tool_call>\n{\"arguments\": {\"coordinate\": [1, 2]}}\n</tool_call>";
        let (grounding, asked) = ask(&preset, [1280, 800], "it", zoom);
        assert_eq!((asked.asked().len(), grounding.answer), (1, None), "{name}");
        assert!(!grounding.turns[0].forced && grounding.turns[0].zoom.is_none(), "{name}");
    }
}

#[test]
fn asked_again_in_vain_it_is_asked_the_same() {
    let preset = preset("gta1");
    let screenshot = Arc::new(RgbImage::new(1280, 800));
    let mut policy = Obedient::new(&preset, &["(10,20)", "(30,40)"]);
    let sampling = Sampling::greedy(1_000_000);
    let first = ground(&mut policy, &screenshot, "it", &preset, &sampling, &mut ()).unwrap();
    let again = ground_closer(&mut policy, &screenshot, "it", &preset, &sampling, first, &mut ()).unwrap();
    assert!(again.answer.unwrap().distance(Point::new(30.0 / 1.00625, 40.0 / 1.015)) < 1e-9);
    let [(first, _), (second, _)] = policy.says.asked() else { panic!("two turns") };
    assert_eq!(first.messages.len(), second.messages.len());
}
