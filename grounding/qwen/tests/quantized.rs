//! Weights in 8 and 4 bits, on the embedded policy: what they change of its words and its certainty.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use image::{Rgb, RgbImage};
use vigorl_policy::{Completion, Conversation, Policy, Preset, Sampling};
use vigorl_qwen::{Engine, LoadOptions, ModelSource, WeightFormat, inspect_forward};

fn engine(format: WeightFormat) -> Engine {
    Engine::load(&ModelSource::Nano, &LoadOptions { format, ..LoadOptions::default() }).unwrap()
}

/// A page with a colored square on a light ground, and what is asked about it.
fn question(color: [u8; 3], name: &str, left: u32) -> Conversation {
    let inside = |x: u32, y: u32| (left..left + 20).contains(&x) && (60..80).contains(&y);
    let page = RgbImage::from_fn(192, 160, |x, y| Rgb(if inside(x, y) { color } else { [245, 245, 245] }));
    Preset::nano().opening(Arc::new(page), &format!("click the {name} square"))
}

fn questions() -> Vec<Conversation> {
    let colors = [([216, 30, 36], "red"), ([30, 158, 62], "green"), ([36, 76, 226], "blue")];
    colors.iter().flat_map(|(rgb, name)| [60, 100, 150].map(|left| question(*rgb, name, left))).collect()
}

fn answer(engine: &mut Engine, question: &Conversation) -> Completion {
    let sampling = Sampling {
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        max_new_tokens: 40,
        stop: vec!["</tool_call>".to_owned(), "</answer>".to_owned()],
        seed: 0,
        form: None,
    };
    engine.complete(question, &sampling, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Mean divergence from f32 (in nats) and share of equal likeliest tokens, over all positions of all questions.
fn against_f32(format: WeightFormat) -> (f64, f64) {
    let (exact, quantized) = (engine(WeightFormat::NAMED[0].1), engine(format));
    let (mut divergence, mut n_equal, mut n) = (0.0, 0, 0);
    for question in questions() {
        let logits =
            |engine: &Engine| inspect_forward(engine, &question).unwrap().logits.to_vec2::<f32>().unwrap();
        for (a, b) in logits(&exact).iter().zip(&logits(&quantized)) {
            let (p, q) = (log_softmax(a), log_softmax(b));
            divergence += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            let likeliest = |x: &[f64]| (0..x.len()).max_by(|i, j| x[*i].total_cmp(&x[*j]));
            n_equal += usize::from(likeliest(&p) == likeliest(&q));
            n += 1;
        }
    }
    (divergence / f64::from(n), n_equal as f64 / f64::from(n))
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|v| f64::from(v - max).exp()).sum();
    logits.iter().map(|v| f64::from(v - max) - sum.ln()).collect()
}

#[test]
fn eight_bits_change_next_to_nothing_and_four_bits_little() {
    let (divergence, equal) = against_f32(WeightFormat::Q8);
    assert!(divergence < 0.005 && equal > 0.97, "8 bits: {divergence} nats, {equal}");
    let (divergence, equal) = against_f32(WeightFormat::Q4);
    assert!(divergence < 0.5 && equal > 0.7, "4 bits: {divergence} nats, {equal}");
}

/// The words of a completion and its points.
fn words_and_points(text: &str) -> (String, Vec<i64>) {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (text.replace(|c: char| c.is_ascii_digit(), ""), numbers.collect())
}

#[test]
fn eight_bits_say_what_f32_says_of_points_close_by() {
    let (mut exact, mut quantized) = (engine(WeightFormat::NAMED[0].1), engine(WeightFormat::Q8));
    let mut distances = Vec::new();
    for question in questions() {
        let (exact, quantized) = (answer(&mut exact, &question).text, answer(&mut quantized, &question).text);
        let ((words, points), (same_words, close_points)) =
            (words_and_points(&exact), words_and_points(&quantized));
        assert_eq!(words, same_words);
        assert_eq!((points.len(), close_points.len()), (4, 4), "{exact} {quantized}");
        distances.extend(points.iter().zip(&close_points).map(|(a, b)| (a - b).abs()));
    }
    // A coordinate between two equally likely ones may fall either way, but few do.
    let mean = distances.iter().sum::<i64>() as f64 / distances.len() as f64;
    assert!(mean <= 1.0 && distances.iter().all(|d| *d <= 8), "pixels apart: {distances:?}");
}

#[test]
fn quantizing_reports_its_progress() {
    let done = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&done);
    let on_quantized: Arc<dyn Fn(u64, u64) + Send + Sync> = Arc::new(move |n, all| {
        assert!(seen.fetch_add(n, Ordering::Relaxed) + n <= all);
    });
    let options =
        LoadOptions { format: WeightFormat::Q8, on_quantized: Some(on_quantized), ..LoadOptions::default() };
    Engine::load(&ModelSource::Nano, &options).unwrap();
    assert!(done.load(Ordering::Relaxed) > 2_000_000);
}
