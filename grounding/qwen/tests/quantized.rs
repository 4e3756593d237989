//! Weights in 8 and 4 bits, on the embedded policy: what they change of its words and its certainty.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use image::{Rgb, RgbImage};
use vigorl_policy::{Completion, Conversation, Message, Part, Policy, Preset, Role, Sampling};
use vigorl_qwen::{Checkpoint, Engine, EngineError, LoadOptions, ModelSource, WeightFormat, inspect_forward};

fn engine(format: WeightFormat) -> Engine {
    engine_of(&ModelSource::Nano, format)
}

fn engine_of(source: &ModelSource, format: WeightFormat) -> Engine {
    Engine::load(source, &LoadOptions { format, ..LoadOptions::default() }).unwrap()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints")
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
    let sampling =
        Sampling { stop: vec!["</tool_call>".to_owned(), "</answer>".to_owned()], ..Sampling::greedy(40) };
    engine.complete(question, &sampling, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Mean divergence from f32 (in nats) and share of equal likeliest tokens, over all positions of all questions.
fn against_f32(source: &ModelSource, format: WeightFormat) -> (f64, f64) {
    let (exact, quantized) = (engine_of(source, WeightFormat::NAMED[0].1), engine_of(source, format));
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
    let (divergence, equal) = against_f32(&ModelSource::Nano, WeightFormat::Int8);
    println!("nano, 8 bits: {divergence:.6} nats, {equal:.4}");
    assert!(divergence < 0.005 && equal > 0.97, "8 bits: {divergence} nats, {equal}");
    let (divergence, equal) = against_f32(&ModelSource::Nano, WeightFormat::Int4);
    println!("nano, 4 bits: {divergence:.6} nats, {equal:.4}");
    assert!(divergence < 0.5 && equal > 0.7, "4 bits: {divergence} nats, {equal}");
}

#[test]
fn on_random_checkpoints_the_distribution_stays() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().display().to_string();
        let source = ModelSource::Dir(folder);
        for (format, most, least_equal) in [(WeightFormat::Int8, 0.005, 0.8), (WeightFormat::Int4, 0.5, 0.3)]
        {
            let (divergence, equal) = against_f32(&source, format);
            println!("{name}, {}: {divergence:.6} nats, {equal:.4}", format.name());
            assert!(
                divergence < most && equal > least_equal,
                "{name}, {format:?}: {divergence} nats, {equal}"
            );
        }
    }
}

/// The words of a completion and its points.
fn words_and_points(text: &str) -> (String, Vec<i64>) {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (text.replace(|c: char| c.is_ascii_digit(), ""), numbers.collect())
}

#[test]
fn eight_bits_say_what_f32_says_of_points_close_by() {
    let (mut exact, mut quantized) = (engine(WeightFormat::NAMED[0].1), engine(WeightFormat::Int8));
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
    let options = LoadOptions {
        format: WeightFormat::Int8,
        on_quantized: Some(on_quantized),
        ..LoadOptions::default()
    };
    Engine::load(&ModelSource::Nano, &options).unwrap();
    assert!(done.load(Ordering::Relaxed) > 2_000_000);
}

/// A copy of a committed checkpoint.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("tied_patch7")).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

fn quantize_ahead(folder: &Path, format: WeightFormat) -> Result<Option<PathBuf>, EngineError> {
    let checkpoint = Checkpoint::open_dir(folder, "copy".to_owned()).unwrap();
    checkpoint.write_quantized(format, None, &mut |_, _| ControlFlow::Continue(()))
}

/// What a folder's checkpoint says, and whether it had to be quantized for that.
fn loaded(folder: &Path, format: WeightFormat) -> Result<(Vec<Vec<f32>>, bool), EngineError> {
    let n_quantized = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&n_quantized);
    let on_quantized: Arc<dyn Fn(u64, u64) + Send + Sync> = Arc::new(move |n, _| {
        seen.fetch_add(n, Ordering::Relaxed);
    });
    let options = LoadOptions { format, on_quantized: Some(on_quantized), ..LoadOptions::default() };
    let engine = Engine::load(&ModelSource::Dir(folder.to_owned()), &options)?;
    let page = Arc::new(RgbImage::from_pixel(56, 56, Rgb([9, 90, 200])));
    let shown = Message { role: Role::User, parts: vec![Part::Image(page), Part::Text("where?".to_owned())] };
    let conversation = Conversation { messages: vec![shown], forced_prefix: None };
    let logits = inspect_forward(&engine, &conversation).unwrap().logits.to_vec2::<f32>().unwrap();
    Ok((logits, n_quantized.load(Ordering::Relaxed) > 0))
}

#[test]
fn weights_quantized_ahead_are_the_same_and_are_not_quantized_again() {
    let folder = copied();
    for format in [WeightFormat::Int8, WeightFormat::Int4] {
        let (expected, quantized) = loaded(folder.path(), format).unwrap();
        assert!(quantized);
        let checkpoint = Checkpoint::open_dir(folder.path(), "copy".to_owned()).unwrap();
        let hash = checkpoint.weights_sha256().unwrap();
        let path = quantize_ahead(folder.path(), format).unwrap().unwrap();
        // Other programs can look into it.
        let bytes = fs::read(&path).unwrap();
        assert!(safetensors::SafeTensors::deserialize(&bytes).unwrap().len() > 10);
        assert_eq!(loaded(folder.path(), format).unwrap(), (expected, false));
        assert_eq!(checkpoint.weights_sha256().unwrap(), hash);
    }
}

#[test]
fn a_quantized_file_with_a_former_name_is_still_used() {
    let folder = copied();
    for (former, format) in WeightFormat::FORMERLY {
        let (expected, _) = loaded(folder.path(), format).unwrap();
        let path = quantize_ahead(folder.path(), format).unwrap().unwrap();
        fs::rename(path, folder.path().join(format!("vigorl-{former}.safetensors"))).unwrap();
        assert_eq!(loaded(folder.path(), format).unwrap(), (expected, false));
    }
}

#[test]
fn a_quantized_file_of_other_weights_is_not_used_and_a_broken_one_is_named() {
    let folder = copied();
    let path = quantize_ahead(folder.path(), WeightFormat::Int8).unwrap().unwrap();
    let weights = folder.path().join("model.safetensors");
    let (as_made, _) = loaded(folder.path(), WeightFormat::Int8).unwrap();
    // The same length, written later: may be anything.
    let later = SystemTime::now() + Duration::from_secs(3600);
    fs::File::options().write(true).open(&weights).unwrap().set_modified(later).unwrap();
    assert_eq!(loaded(folder.path(), WeightFormat::Int8).unwrap(), (as_made, true));
    quantize_ahead(folder.path(), WeightFormat::Int8).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(fs::metadata(&path).unwrap().len() - 1).unwrap();
    let error = loaded(folder.path(), WeightFormat::Int8).unwrap_err().to_string();
    assert!(error.contains("vigorl-int8.safetensors") && error.contains("delete it"), "{error}");
}

#[test]
fn writing_quantized_weights_leaves_nothing_when_it_is_given_up_or_impossible() {
    let folder = copied();
    let checkpoint = Checkpoint::open_dir(folder.path(), "copy".to_owned()).unwrap();
    let n_files = || fs::read_dir(folder.path()).unwrap().count();
    let before = n_files();
    let mut n_calls = 0;
    let given_up = checkpoint.write_quantized(WeightFormat::Int8, None, &mut |_, _| {
        n_calls += 1;
        if n_calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((given_up.unwrap(), n_calls, n_files()), (None, 3, before));
    let dense = quantize_ahead(folder.path(), WeightFormat::NAMED[0].1);
    assert!(matches!(dense, Err(EngineError::NothingToQuantize)));
    assert_eq!(n_files(), before);
}
