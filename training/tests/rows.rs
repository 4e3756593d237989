//! Training rows: what has a target, and that packing changes nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod support;

use image::RgbImage;
use support::{config, encoder, model, pages};
use vigorl_geometry::Point;
use vigorl_policy::grammar::{Action, AnswerForm, Coordinate, parse};
use vigorl_policy::wire::{ANSWER_CLOSE, FORCED_FINAL_PREFIX, IM_END, ReadText, TOOL_CALL_CLOSE};
use vigorl_policy::{AnswerSpace, Preset};
use vigorl_policy::{Message, Part, Role};
use vigorl_tasks::practice::PixelBox;
use vigorl_training::config::InitConfig;
use vigorl_training::config::{QuestionForm, QuestionMix};
use vigorl_training::lessons::{Labelled, LabelledPage, LabelledTask};
use vigorl_training::loss::TokenKind;
use vigorl_training::question::{Lesson, Question, draw_questions};
use vigorl_training::sample::{AskedPage, Axis, Encoder, MicroBatch};
use vigorl_training::seed::stream;
use vigorl_training::work::asked_page;

/// Decodes the targets' tokens of one question, in order.
fn learned_text(batch: &MicroBatch, question: usize, tokenizer: &tokenizers::Tokenizer) -> String {
    let of_question = batch.targets.iter().filter(|t| t.question == question);
    let ids: Vec<u32> = of_question.map(|t| batch.packed.ids[t.row][t.index]).collect();
    tokenizer.decode(&ids, false).unwrap()
}

/// Where an assistant message zooms.
fn zoom_of(message: &Message) -> Option<Coordinate> {
    let Part::Text(text) = message.parts.first().filter(|_| message.role == Role::Assistant)? else {
        return None;
    };
    match parse(text, AnswerForm::Tagged).action {
        Action::Zoom(at) => Some(at),
        _ => None,
    }
}

#[test]
fn a_token_has_a_target_if_and_only_if_the_policy_should_learn_to_say_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 4));
    // So small that a crop of a wrong widget rarely shows the right one, too.
    config.policy.crop_offset_px = 8;
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
    // Every form, and zooms without and with a crop before the lesson, have been looked at.
    for expected in [
        (QuestionForm::Name, 1),
        (QuestionForm::Point, 1),
        (QuestionForm::Think, 1),
        (QuestionForm::Zoom, 1),
        (QuestionForm::Zoom, 2),
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

/// A page with three rows of two things each, of which somebody has told where the row's name stands.
fn page_of_rows() -> LabelledPage {
    let rows = ["Red Fox", "Hare", "Blue Jay"];
    let (mut things, mut tasks) = (Vec::new(), Vec::new());
    for (number, row) in (0..).zip(rows) {
        for (at, kind) in [(30, "button"), (45, "checkbox")] {
            let (left, top) = (at, 20 * number);
            let bounds = PixelBox { left, top, right: left + 10, bottom: top + 10 };
            things.push(Labelled { bounds, name: kind.to_owned(), traits: Vec::new() });
            let read = vec![ReadText { text: row.to_owned(), at: Point::new(10.0, f64::from(top) + 5.0) }];
            let instruction = format!("the {kind} in the row of {row}");
            tasks.push(LabelledTask { instruction, target: things.len() - 1, read, known: None });
        }
    }
    LabelledPage { things, tasks, is_complete: false }
}

#[test]
fn an_unknown_word_or_another_row_leads_into_the_rows_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let trained = model(&config);
    let encoder = encoder(&trained, &config);
    let view = encoder.view(RgbImage::new(support::SIDE, support::SIDE)).unwrap();
    let page = page_of_rows();
    let names = ["Red Fox", "Hare", "Blue Jay"];
    let mix = QuestionMix { think: 1.0, unknown: 1.0, ..QuestionMix::default() };
    let (mut n_words, mut n_first, mut n_last) = (0, 0, 0);
    for index in 0..60 {
        let rng = &mut stream(3, &[index]);
        let drawn = draw_questions(&page, &view, encoder.preset(), &mix, 1, None, rng).unwrap();
        let Part::Text(asked) =
            drawn[0].messages.iter().rev().find(|m| m.role == Role::User).unwrap().parts.last().unwrap()
        else {
            panic!("a question ends with its words")
        };
        let mut lines = asked.trim_start().lines();
        let instruction = lines.next().unwrap();
        let told: Vec<&str> = lines.map(|line| line.split(" (").next().unwrap()).collect();
        let named: Vec<&str> = names.into_iter().filter(|name| instruction.contains(name)).collect();
        let row = names[drawn[0].target / 2];
        assert!(named.contains(&row), "{instruction}: what is in {row} is meant");
        // What is told is what is named, the longest first.
        let mut wanted = named.clone();
        wanted.sort_by_key(|name| std::cmp::Reverse(name.len()));
        assert_eq!(told, wanted, "{asked}");
        match named.len() {
            1 => n_words += 1,
            _ if instruction.starts_with(row) => n_first += 1,
            _ => n_last += 1,
        }
    }
    assert!(n_words > 10 && n_first > 5 && n_last > 5, "{n_words} {n_first} {n_last}");
}

#[test]
fn on_a_page_shown_smaller_the_policy_is_taught_to_look_where_the_widget_stands() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 4));
    let InitConfig::New(new) = &mut config.init else { panic!("the recipe starts from random weights") };
    // 32x32, so two by two visual tokens, and coordinates of half a pixel's precision.
    (new.processor.min_pixels, new.processor.max_pixels) = (256, 1024);
    let trained = model(&config);
    let preset = Preset { answer_space: AnswerSpace::Image, ..config.policy.preset() };
    let encoder = Encoder::new(&trained.files, preset, &config.loss).unwrap();
    let points = QuestionMix { point: 1.0, ..QuestionMix::default() };
    for index in 0..4 {
        let page = asked_page(&encoder, &data, index, &points, 3, None, &mut stream(1, &[])).unwrap();
        assert_eq!(page.view.image().dimensions(), (32, 32));
        let batch = encoder.pack(std::slice::from_ref(&page)).unwrap();
        let is_pad = |id: &u32| *id == encoder.config().image_token_id;
        let first = batch.packed.ids[0].iter().position(is_pad).unwrap();
        for target in batch.targets.iter().filter(|t| t.answer_axis.is_some()) {
            let bounds = batch.asked[target.question].bounds;
            let half = f64::from(support::SIDE) / 2.0;
            let covers = |low: f64, high: f64, cell: usize| {
                low < half * (cell + 1) as f64 && high > half * cell as f64
            };
            let shows = |cell: &usize| {
                covers(bounds.left, bounds.right, cell % 2) && covers(bounds.top, bounds.bottom, cell / 2)
            };
            let expected: Vec<usize> = (0..4).filter(shows).map(|cell| first + cell).collect();
            assert_eq!(target.gaze[..], expected, "{bounds:?}");
        }
        // The names, too, stand where the widgets are: a token without a widget shows nothing.
        for (token, shown) in &batch.shown {
            let (x, y) = ((token % 2) as f64 * 32.0, (token / 2) as f64 * 32.0);
            let overlaps = |w: &Labelled| {
                let b = w.bounds;
                f64::from(b.left) < x + 32.0
                    && f64::from(b.right) > x
                    && f64::from(b.top) < y + 32.0
                    && f64::from(b.bottom) > y
            };
            let is_named = shown.kind == TokenKind::Patch;
            assert!(!is_named || data.page(index).things.iter().any(overlaps));
        }
    }
}

#[test]
fn the_policys_own_mistakes_are_shown_in_its_order_and_not_learned() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 4));
    // So small that a crop hardly shows more than one widget.
    config.policy.crop_offset_px = 8;
    let encoder = encoder(&model(&config), &config);
    let zooms = QuestionMix { zoom: 1.0, ..QuestionMix::default() };
    let page = data.page(0);
    // Whatever is asked for, the policy prefers the two other widgets, the last one first.
    let others = |target: usize| (0..page.things.len()).rev().filter(|i| *i != target).take(2).collect();
    let mistakes: Vec<Vec<usize>> = page.tasks.iter().map(|task| others(task.target)).collect();
    let mut seen = [0; 4];
    for seed in 0..60 {
        let mut rng = stream(seed, &[]);
        let asked = asked_page(&encoder, &data, 0, &zooms, 1, Some(&mistakes), &mut rng).unwrap();
        let question = &asked.questions[0];
        let expected: Vec<usize> = others(question.target);
        let wrong = question.lessons.iter().take_while(|lesson| **lesson == Lesson::Injected).count();
        seen[wrong] += 1;
        let at: Vec<_> = question.messages.iter().filter_map(zoom_of).take(wrong).collect();
        for (zoom, widget) in at.iter().zip(expected) {
            let bounds = page.things[widget].bounds;
            let inside = |v: f64, low: i32, high: i32| f64::from(low) <= v && v <= f64::from(high);
            assert!(inside(zoom.x, bounds.left, bounds.right) && inside(zoom.y, bounds.top, bounds.bottom));
        }
    }
    // Mostly one or two wrong proposals, now and then what the first look should have been.
    assert!(seen[0] > 5 && seen[1] > 10 && seen[2] > 10 && seen[3] == 0, "{seen:?}");
}

#[test]
fn a_stray_look_shows_the_whole_widget_anywhere_in_its_crop_and_is_answered_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, data) = (config(dir.path()), pages(dir.path(), 4));
    config.policy.crop_offset_px = 16;
    let encoder = encoder(&model(&config), &config);
    let zooms = QuestionMix { zoom: 1.0, stray: 1.0, ..QuestionMix::default() };
    let mut farthest = 0.0_f64;
    for seed in 0..60 {
        let mut rng = stream(seed, &[]);
        let asked = asked_page(&encoder, &data, seed as usize % 4, &zooms, 1, None, &mut rng).unwrap();
        let question = &asked.questions[0];
        assert!(matches!(question.lessons[..], [Lesson::Injected, Lesson::Learned { .. }]));
        let at = question.messages.iter().find_map(zoom_of).unwrap();
        let window = asked.view.crop(at, encoder.preset().crop).unwrap().plan.window;
        let bounds = question.bounds;
        // A slider may be wider than a crop.
        if bounds.width().max(bounds.height()) > 30.0 {
            continue;
        }
        assert!(window.left <= bounds.left && window.right >= bounds.right, "{window:?} {bounds:?}");
        assert!(window.top <= bounds.top && window.bottom >= bounds.bottom, "{window:?} {bounds:?}");
        farthest = farthest.max((at.x - bounds.center().x).abs());
    }
    // Farther than half of most widgets.
    assert!(farthest > 8.0, "{farthest}");
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
            assert!(text.contains(ANSWER_CLOSE) || text.contains(TOOL_CALL_CLOSE), "{text}");
            assert_eq!(
                question.asks_for_point,
                text.contains(ANSWER_CLOSE) && question.form != QuestionForm::Name
            );
        }
    }
}
