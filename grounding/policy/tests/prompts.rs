//! Prompts, byte for byte, rendered with the published template of Qwen2.5-VL.
//!
//! The expected texts were compared once with `apply_chat_template` of transformers 4.57.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;

use image::RgbImage;
use vigorl_policy::grammar::{Coordinate, Reply};
use vigorl_policy::wire::{Dot, FORCED_FINAL_PREFIX, Observation, Question, web_action_query};
use vigorl_policy::{ChatTemplate, Conversation, ImageGap, Message, Part, Preset, Query, Role, View};

fn qwen() -> ChatTemplate {
    let file = include_bytes!("chat_template.json");
    ChatTemplate::from_files(|name| Ok((name == "chat_template.json").then(|| file.to_vec()))).unwrap()
}

fn screenshot() -> Arc<RgbImage> {
    Arc::new(RgbImage::new(640, 480))
}

#[track_caller]
fn check(conversation: &Conversation, expected: &str) {
    let prompt = qwen().render(conversation).unwrap();
    assert_eq!(prompt.text, expected);
    assert_eq!(prompt.images.len(), expected.matches("<|image_pad|>").count());
}

#[test]
fn the_template_of_a_folder_is_found() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let conversation = Preset::nano().opening(screenshot(), "the blue cross");
    let from_folder = ChatTemplate::from_folder(&folder).unwrap().render(&conversation).unwrap();
    assert_eq!(from_folder.text, qwen().render(&conversation).unwrap().text);
}

#[test]
fn web_grounding_asks_with_the_image_first() {
    check(
        &Preset::web_grounding().opening(screenshot(), "the search box"),
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n\
         <|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\nDescription: the search box<|im_end|>\n\
         <|im_start|>assistant\n",
    );
}

#[test]
fn the_newline_after_the_image_may_be_left_out() {
    let preset = Preset { after_image: ImageGap::Nothing, ..Preset::nano() };
    check(
        &preset.opening(screenshot(), "the red circle"),
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n\
         <|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>the red circle<|im_end|>\n\
         <|im_start|>assistant\n",
    );
}

#[test]
fn an_own_task_prompt_replaces_the_default_of_the_template() {
    let preset = Preset { system: Some("Point at it.".to_owned()), ..Preset::qwen2_5_vl() };
    check(
        &preset.opening(screenshot(), "the logo"),
        "<|im_start|>system\nPoint at it.<|im_end|>\n\
         <|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Description: the logo<|im_end|>\n\
         <|im_start|>assistant\n",
    );
}

#[test]
fn a_web_action_question_lists_what_was_done() {
    let previous = ["type  [INPUT] [] [Questions]".to_owned(), "scroll [down]".to_owned()];
    assert_eq!(
        web_action_query("find the forum", &previous),
        "OBJECTIVE: find the forum\n\nPREVIOUS ACTIONS: \n1. type  [INPUT] [] [Questions]\n2. scroll [down]\n\nIMAGE:\n"
    );
}

#[test]
fn a_preset_without_zooms_has_a_single_turn() {
    for preset in [Preset::nano(), Preset::web_grounding_multiturn()] {
        assert!(!preset.is_single_turn() && preset.without_zooms().is_single_turn());
    }
    assert!(Preset::web_grounding().is_single_turn());
}

#[test]
fn earlier_actions_stand_where_a_family_expects_them() {
    let earlier = ["click (3, 4)".to_owned(), "nothing".to_owned()];
    let asked = |preset: Preset| {
        let question = Question { instruction: "find the forum", earlier: &earlier, read: &[] };
        let Conversation { messages, .. } = preset.opening(screenshot(), question);
        messages.last().unwrap().parts.iter().filter_map(Part::text).collect::<String>()
    };
    let objective = Preset { query: Query::Objective, ..Preset::web_grounding() };
    let said = asked(objective);
    assert!(said.ends_with(&web_action_query("find the forum", &earlier)), "{said}");
    let said = asked(Preset::nano());
    assert!(said.ends_with("find the forum\n\nPREVIOUS ACTIONS:\n1. click (3, 4)\n2. nothing"), "{said}");
}

/// One zoom after the question, with the given spelling.
fn zoomed(observation: Observation, dot: Dot) -> Conversation {
    let mut preset = Preset { observation, ..Preset::web_grounding_multiturn() };
    preset.crop.dot = dot;
    let budget = vigorl_geometry::fit::PixelBudget { factor: 28, min_pixels: 3_136, max_pixels: 12_845_056 };
    let view = View::new(&screenshot(), preset.answer_space, preset.max_image_pixels, budget).unwrap();
    let at = Coordinate { x: 12.0, y: 34.0 };
    let mut conversation = preset.opening(view.image().clone(), "the menu");
    conversation.messages.push(Message::text(Role::Assistant, Reply::zoom("Near (12, 34).", at).to_string()));
    conversation.messages.push(preset.observation_of(&view.crop(at, preset.crop).unwrap()));
    conversation
}

#[track_caller]
fn check_observation(observation: Observation, dot: Dot, message: &str) {
    let question = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n\
        <|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\nDescription: the menu<|im_end|>\n";
    let zoom = "<|im_start|>assistant\n<think> Near (12, 34). </think>\n<tool_call>\n\
        {\"name\": \"search_coordinate\", \"arguments\": {\"coordinate\": [12, 34]}}\n</tool_call><|im_end|>\n";
    check(
        &zoomed(observation, dot),
        &format!("{question}{zoom}<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n"),
    );
}

#[test]
fn every_spelling_of_the_observation_is_exact() {
    const WITH_DOT: &str = "Here is the crop of the image centered on the coordinate, with a red dot at the coordinate location:";
    const NO_DOT: &str = "Here is the crop of the image centered on the coordinate:";
    const IMG: &str = "<|vision_start|><|image_pad|><|vision_end|>";
    for (dot, lead) in [(Dot::Draw, WITH_DOT), (Dot::Omit, NO_DOT)] {
        let spelled = |spelling, text: String| check_observation(spelling, dot, &text);
        spelled(Observation::Rollout, format!("<observation>\n{lead}\n{IMG}</observation>"));
        spelled(Observation::SupervisedData, format!("<observation>\n{lead}\n{IMG}\n</observation>"));
        spelled(Observation::RetiredRollout, format!("<observation>\n{WITH_DOT}\n{IMG}\n</observation>"));
        spelled(Observation::Evaluation, format!("<observation>\n{NO_DOT}{IMG}\n</observation>"));
        spelled(Observation::Demo, format!("<observation>\n{NO_DOT}\n</observation>{IMG}"));
    }
}

#[test]
fn a_forced_answer_continues_an_open_assistant_message() {
    let mut conversation = zoomed(Observation::Rollout, Dot::Draw);
    let open = qwen().render(&conversation).unwrap().text;
    conversation.forced_prefix = Some(FORCED_FINAL_PREFIX.to_owned());
    check(
        &conversation,
        &format!(
            "{open}<think> Based on all the information I've gathered, I'll now provide my final answer. </think>\n<answer>"
        ),
    );
}

#[test]
fn white_space_at_the_end_of_a_forced_prefix_is_kept() {
    let mut conversation = Preset::nano().opening(screenshot(), "it");
    conversation.forced_prefix = Some("<think> \n ".to_owned());
    assert!(qwen().render(&conversation).unwrap().text.ends_with("<|im_start|>assistant\n<think> \n "));
}

#[test]
fn a_later_prompt_begins_with_the_earlier_prompt_and_its_completion() {
    // This is what makes a cached prefix useful.
    let later = qwen().render(&zoomed(Observation::Rollout, Dot::Draw)).unwrap().text;
    let earlier = qwen().render(&Preset::web_grounding().opening(screenshot(), "the menu")).unwrap().text;
    let completion = Reply::zoom("Near (12, 34).", Coordinate { x: 12.0, y: 34.0 }).to_string();
    assert!(later.starts_with(&format!("{earlier}{completion}<|im_end|>\n<|im_start|>user\n<observation>")));
}

#[test]
fn a_finished_conversation_ends_with_its_last_message() {
    let mut messages = Preset::nano().opening(screenshot(), "it").messages;
    messages.push(Message::text(Role::Assistant, "<answer> (1, 2) </answer>"));
    let text = qwen().render_finished(&messages).unwrap().text;
    assert!(text.ends_with("<|im_start|>assistant\n<answer> (1, 2) </answer><|im_end|>\n"));
}

#[test]
fn images_come_in_the_order_of_their_placeholders() {
    let conversation = zoomed(Observation::Rollout, Dot::Draw);
    let sizes: Vec<_> =
        qwen().render(&conversation).unwrap().images.iter().map(|image| image.dimensions()).collect();
    assert_eq!(sizes, [(640, 480), (504, 504)]);
}
