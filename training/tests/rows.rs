//! Training rows: what has a target, and that packing changes nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod support;

use support::{config, encoder, model, pages};
use vigorl_policy::wire::{ANSWER_CLOSE, FORCED_FINAL_PREFIX, IM_END};
use vigorl_training::config::QuestionForm;
use vigorl_training::loss::TokenKind;
use vigorl_training::question::Question;
use vigorl_training::sample::{AskedPage, Axis, MicroBatch};
use vigorl_training::seed::stream;
use vigorl_training::work::asked_page;

/// Decodes the targets' tokens of one question, in order.
fn learned_text(batch: &MicroBatch, question: usize, tokenizer: &tokenizers::Tokenizer) -> String {
    let of_question = batch.targets.iter().filter(|t| t.question == question);
    let ids: Vec<u32> = of_question.map(|t| batch.packed.ids[t.row][t.index]).collect();
    tokenizer.decode(&ids, false).unwrap()
}

#[test]
fn a_token_has_a_target_if_and_only_if_the_policy_should_learn_to_say_it() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 4));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let tokenizer = trained.files.tokenizer().unwrap();
    let mut seen = Vec::new();
    for index in 0..40 {
        let mut rng = stream(9, &[index]);
        let page = asked_page(&encoder, &data, index as usize % 4, &support::every_form(), 4, None, &mut rng)
            .unwrap();
        let batch = encoder.pack(std::slice::from_ref(&page)).unwrap();
        for (number, question) in page.questions.iter().enumerate() {
            let said = question.messages.iter().filter(|m| m.role == vigorl_policy::Role::Assistant);
            let learned = said.zip(&question.lessons).filter_map(|(message, lesson)| {
                let vigorl_policy::Part::Text(text) = &message.parts[0] else { return None };
                let is_learned = *lesson != vigorl_training::question::Lesson::Injected;
                // A forced beginning is not sampled, so it is not learned.
                let sampled = text.strip_prefix(FORCED_FINAL_PREFIX).unwrap_or(text);
                is_learned.then(|| format!("{sampled}{IM_END}"))
            });
            assert_eq!(learned_text(&batch, number, &tokenizer), learned.collect::<String>());
            seen.push((question.form, question.lessons.len()));
        }
        for target in &batch.targets {
            assert_eq!(target.target.truth, batch.packed.ids[target.row][target.index]);
        }
    }
    // Every form, and zooms with one and two crops, have been looked at.
    for expected in [
        (QuestionForm::Name, 1),
        (QuestionForm::Point, 1),
        (QuestionForm::Think, 1),
        (QuestionForm::Zoom, 2),
        (QuestionForm::Zoom, 3),
    ] {
        assert!(seen.contains(&expected), "{expected:?} was never drawn");
    }
}

#[test]
fn the_answers_coordinates_are_soft_around_the_middle_of_the_box_and_hit_it() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 4));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let page = asked_page(&encoder, &data, 0, &support::every_form(), 6, None, &mut stream(1, &[])).unwrap();
    let batch = encoder.pack(&[page]).unwrap();
    for (number, asked) in batch.asked.iter().enumerate() {
        let said = |axis| {
            let target =
                batch.targets.iter().find(|t| t.question == number && t.answer_axis == Some(axis))?;
            assert_eq!(target.target.kind, TokenKind::Number);
            assert!(target.target.distribution.len() > 5);
            encoder.numbers().value_of(target.target.truth)
        };
        match (said(Axis::X), said(Axis::Y)) {
            (Some(x), Some(y)) => {
                assert!(asked.is_hit(x, y));
                assert!(!asked.is_hit(x + 40, y) && !asked.is_hit(x, y + 40));
            }
            other => assert_eq!((asked.form, other), (QuestionForm::Name, (None, None))),
        }
    }
}

#[test]
fn packed_branches_have_the_logits_of_separate_sequences() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 4));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let asked = |index: usize| {
        let mut rng = stream(3, &[index as u64]);
        asked_page(&encoder, &data, index, &support::every_form(), 3 + index, None, &mut rng).unwrap()
    };
    let (first, second) = (asked(0), asked(1));
    let alone: Vec<AskedPage> = [&first, &second]
        .into_iter()
        .flat_map(|page| {
            let one = |q: &Question| AskedPage {
                view: page.view.clone(),
                named: page.named.clone(),
                questions: vec![q.clone()],
            };
            page.questions.iter().map(one)
        })
        .collect();
    let logits = |pages: &[AskedPage]| {
        let batch = encoder.pack(pages).unwrap();
        let pass = trained.model.packed(&batch.packed).unwrap();
        trained.model.logits_at(&pass, &batch.places()).unwrap().to_vec2::<f32>().unwrap()
    };
    let packed = logits(&[first, second]);
    let separate: Vec<Vec<f32>> = alone.iter().flat_map(|page| logits(std::slice::from_ref(page))).collect();
    assert_eq!(packed.len(), separate.len());
    let difference = packed
        .iter()
        .flatten()
        .zip(separate.iter().flatten())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(difference < 2e-5, "largest difference {difference}");
}

#[test]
fn a_turn_of_the_protocol_stays_short() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (config(dir.path()), pages(dir.path(), 4));
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let tokenizer = trained.files.tokenizer().unwrap();
    for index in 0..4 {
        let page =
            asked_page(&encoder, &data, index, &support::every_form(), 4, None, &mut stream(2, &[])).unwrap();
        let batch = encoder.pack(std::slice::from_ref(&page)).unwrap();
        for (number, question) in page.questions.iter().enumerate() {
            let n = batch.targets.iter().filter(|t| t.question == number).count();
            let text = learned_text(&batch, number, &tokenizer);
            assert!(n <= 16 * question.lessons.len(), "{n} tokens: {text}");
            assert!(text.contains(ANSWER_CLOSE));
        }
    }
}
