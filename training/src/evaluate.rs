//! Measures a model on pages it is never trained on, teacher-forced: cheap enough to run inside training.
//!
//! The live evaluation (`vigorl eval practice`) is the real judge; these numbers only show the direction.

use vigorl_qwen::Model;
use vigorl_tasks::practice::SizeClass;

use crate::config::{HeldOutConfig, Objective, QuestionForm};
use crate::error::TrainingError;
use crate::lessons::LessonSet;
use crate::loss::{Outcome, TokenKind, soft_cross_entropy};
use crate::metrics::{Record, Tally, held_out_key};
use crate::patches::patch_batch;
use crate::sample::{Asked, Axis, Encoder, MicroBatch};
use crate::seed::{number_of, stream};
use crate::work::{asked_page, named_image, turns_loss};
use crate::workers::Workers;

/// Pages that are computed together.
const PAGES_PER_JOB: usize = 4;

/// Measures `set` and adds its metrics to `record`.
///
/// # Errors
/// If a page cannot be read or the tensor library fails.
pub fn evaluate(
    model: &Model,
    encoder: &Encoder,
    data: &LessonSet,
    set: &HeldOutConfig,
    workers: &Workers,
    record: &mut Record,
) -> Result<(), TrainingError> {
    let pages: Vec<usize> = (0..set.pages.min(data.len())).collect();
    let jobs: Vec<&[usize]> = pages.chunks(PAGES_PER_JOB).collect();
    let parts = workers.map(&jobs, |pages| measure(model, encoder, data, set, pages));
    let (mut tally, mut answers) = (Tally::default(), Vec::new());
    for part in parts {
        let part = part?;
        tally.merge(&part.0);
        answers.extend(part.1);
    }
    let mut put = |name: &str, value: Option<f64>| record.set(held_out_key(&set.name, name), value);
    put("loss_number", tally.loss(TokenKind::Number));
    put("accuracy_word", tally.accuracy(TokenKind::Word));
    put("accuracy_patch", tally.accuracy(TokenKind::Patch));
    put("accuracy_gaze", tally.accuracy(TokenKind::Gaze));
    put("error_median_px", tally.median_error_px());
    put("in_box", share(&answers, |_| true));
    put("in_box_small", share(&answers, |a| a.size_class == SizeClass::Small));
    put("in_box_medium", share(&answers, |a| a.size_class == SizeClass::Medium));
    put("in_box_large", share(&answers, |a| a.size_class == SizeClass::Large));
    put("in_box_zoomed", share(&answers, |a| a.form == QuestionForm::Zoom));
    Ok(())
}

/// Whether one question's answer was right.
#[derive(Debug, Clone, Copy)]
struct Answer {
    size_class: SizeClass,
    form: QuestionForm,
    is_hit: bool,
}

fn share(answers: &[Answer], of: impl Fn(&Answer) -> bool) -> Option<f64> {
    let chosen: Vec<&Answer> = answers.iter().filter(|a| of(a)).collect();
    let hits = chosen.iter().filter(|a| a.is_hit).count();
    (!chosen.is_empty()).then(|| hits as f64 / chosen.len() as f64)
}

fn measure(
    model: &Model,
    encoder: &Encoder,
    data: &LessonSet,
    set: &HeldOutConfig,
    pages: &[usize],
) -> Result<(Tally, Vec<Answer>), TrainingError> {
    // The same questions and crops at every measurement and in every run.
    let drawn = pages.iter().map(|&page| (page, stream(number_of(&set.name), &[page as u64])));
    let mut tally = Tally::default();
    if set.objective != Objective::Turns {
        let images = drawn.map(|(page, mut rng)| named_image(encoder, data, page, set.objective, &mut rng));
        let batch = patch_batch(encoder, &images.collect::<Result<Vec<_>, _>>()?)?;
        let loss = soft_cross_entropy(&batch.logits(model)?.detach(), &batch.targets)?;
        loss.outcomes.iter().for_each(|outcome| tally.add(outcome, encoder.numbers()));
        return Ok((tally, Vec::new()));
    }
    let asked = drawn.map(|(page, mut rng)| {
        asked_page(encoder, data, page, &set.questions, set.questions_per_page, None, &mut rng)
    });
    let batch = encoder.pack(&asked.collect::<Result<Vec<_>, _>>()?)?;
    let outcomes = turns_loss(model, &batch, encoder)?.outcomes;
    outcomes.iter().for_each(|outcome| tally.add(outcome, encoder.numbers()));
    Ok((tally, answers(&batch, &outcomes, encoder)))
}

fn answers(batch: &MicroBatch, outcomes: &[Outcome], encoder: &Encoder) -> Vec<Answer> {
    let said = |question: usize, axis: Axis| {
        let at = batch.targets.iter().position(|t| t.question == question && t.answer_axis == Some(axis))?;
        Some(encoder.numbers().value_of(outcomes[at].argmax))
    };
    let answer = |(question, asked): (usize, &Asked)| {
        let (x, y) = (said(question, Axis::X)?, said(question, Axis::Y)?);
        let is_hit = x.zip(y).is_some_and(|(x, y)| asked.is_hit(x, y));
        Some(Answer { size_class: asked.size_class, form: asked.form, is_hit })
    };
    batch.asked.iter().enumerate().filter_map(answer).collect()
}
