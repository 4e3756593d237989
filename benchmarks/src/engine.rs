//! The engine's own speed, on workloads with the sizes of real use.
//!
//! Invariant: conversations go through [`Policy::complete`] as in a run, and every repetition shows another
//! screenshot, so that no cache helps but those that help a user. Speed is reported beside what this machine
//! can do, measured in the same run: how fast it multiplies and how fast it reads memory.
//! Source of the workloads: W1 is one 1280x800 screenshot and a question, W2 the zoom turn that follows it, with
//! a 392x392 crop.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use image::{Rgb, RgbImage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vigorl_kernels::{Added, Format, Isa, QuantizedMatrix, Rows};
use vigorl_policy::{Completion, Conversation, Message, Part, Policy, PolicyError, Role, Sampling};

/// Tokens that are sampled in each turn.
const N_SAMPLED: usize = 16;
/// Completions that are sampled side by side, and the tokens of each.
const SIDE_BY_SIDE: (usize, usize) = (8, 64);

/// Width and height of W1's screenshot, in pixels.
pub const SCREENSHOT_PX: (u32, u32) = (1280, 800);

/// Medians over the repetitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSpeed {
    /// Repetitions, the first one not counted.
    pub n_repeats: usize,
    /// Tokens of W1's prompt.
    pub n_prompt_tokens: usize,
    /// Time for the screenshot's visual tokens.
    pub vision_secs: f64,
    /// Time for W1's prompt behind them.
    pub prefill_secs: f64,
    /// Sampled tokens per second behind W1.
    pub decode_per_sec: f64,
    /// New tokens of W2's prompt.
    pub n_zoom_tokens: usize,
    /// Time until W2's first token: the crop's visual tokens and the new prompt tokens.
    pub zoom_secs: f64,
    /// Time until the first token of another instruction on the same screenshot.
    pub second_instruction_secs: f64,
    /// Time to sample 64 tokens behind that instruction.
    pub one_completion_secs: f64,
    /// Time to sample eight completions of 64 tokens side by side behind it.
    pub eight_completions_secs: f64,
}

/// What this machine can do, on all threads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// Operations per second of a large product of 8-bit numbers, in billions (an addition and a multiplication
    /// each count).
    pub int8_gops: f64,
    /// The same of a large product of f32, by the library that the dense formats use.
    pub f32_gops: f64,
    /// Bytes read per second from memory, in billions.
    pub read_gb_per_sec: f64,
}

/// Measures `policy`, which has seen nothing of this yet. `on_repeat` is called after each repetition.
///
/// # Errors
/// If the policy could not be asked.
pub fn measure(
    policy: &mut dyn Policy,
    n_repeats: usize,
    on_repeat: &mut dyn FnMut(),
) -> Result<EngineSpeed, PolicyError> {
    let mut repeats = Vec::new();
    for repeat in 0..=n_repeats {
        let turns = play(policy, repeat as u8)?;
        on_repeat();
        // The first one also touches all memory for the first time.
        if repeat > 0 {
            repeats.push(turns);
        }
    }
    let median = |of: &dyn Fn(&Turns) -> f64| {
        let mut values: Vec<f64> = repeats.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let to_first = |said: &Completion| (said.vision + said.prefill).as_secs_f64();
    let first = repeats.first();
    Ok(EngineSpeed {
        n_repeats,
        n_prompt_tokens: first.map_or(0, |turns| turns.first.n_prompt_tokens),
        vision_secs: median(&|turns| turns.first.vision.as_secs_f64()),
        prefill_secs: median(&|turns| turns.first.prefill.as_secs_f64()),
        decode_per_sec: median(&|t| t.first.token_ids.len() as f64 / t.first.decode.as_secs_f64()),
        n_zoom_tokens: first.map_or(0, |turns| turns.zoom.n_prompt_tokens - turns.zoom.n_cached_tokens),
        zoom_secs: median(&|turns| to_first(&turns.zoom)),
        second_instruction_secs: median(&|turns| to_first(&turns.again)),
        one_completion_secs: median(&|turns| turns.one.decode.as_secs_f64()),
        eight_completions_secs: median(&|turns| turns.eight.decode.as_secs_f64()),
    })
}

struct Turns {
    first: Completion,
    zoom: Completion,
    again: Completion,
    one: Completion,
    /// One of those sampled side by side: all take the same time.
    eight: Completion,
}

fn play(policy: &mut dyn Policy, shade: u8) -> Result<Turns, PolicyError> {
    let screenshot = picture(SCREENSHOT_PX.0, SCREENSHOT_PX.1, shade);
    let question = "Look at the screen and find what is asked for. ".repeat(8);
    let mut talk = Conversation { messages: vec![shown(&screenshot, &question)], forced_prefix: None };
    let first = ask(policy, &talk, N_SAMPLED)?;
    talk.messages.push(first.message());
    talk.messages.push(shown(&picture(392, 392, shade), "Here is the crop of the image"));
    let zoom = ask(policy, &talk, N_SAMPLED)?;
    let other = shown(&screenshot, "Click the red circle at the bottom, then answer.");
    let other = Conversation { messages: vec![other], forced_prefix: None };
    let again = ask(policy, &other, N_SAMPLED)?;
    let one = ask(policy, &other, SIDE_BY_SIDE.1)?;
    let samplings: Vec<Sampling> = (0..SIDE_BY_SIDE.0 as u64)
        .map(|seed| Sampling { temperature: 1.0, seed, ..sampling(SIDE_BY_SIDE.1) })
        .collect();
    let mut eight = policy.complete_many(&other, &samplings, &mut |_, _| ControlFlow::Continue(()))?;
    let Some(eight) = eight.pop() else { unreachable!("each sampling gives a completion") };
    Ok(Turns { first, zoom, again, one, eight })
}

fn ask(policy: &mut dyn Policy, talk: &Conversation, n_tokens: usize) -> Result<Completion, PolicyError> {
    policy.complete(talk, &sampling(n_tokens), &mut |_| ControlFlow::Continue(()))
}

fn sampling(max_new_tokens: usize) -> Sampling {
    Sampling::greedy(max_new_tokens)
}

fn shown(image: &Arc<RgbImage>, text: &str) -> Message {
    Message { role: Role::User, parts: vec![Part::Image(image.clone()), Part::Text(text.to_owned())] }
}

fn picture(width: u32, height: u32, shade: u8) -> Arc<RgbImage> {
    Arc::new(RgbImage::from_fn(width, height, |x, y| Rgb([(x * y % 251) as u8, (x + y) as u8, shade])))
}

/// Measures the machine: a few seconds.
pub fn ceilings() -> Ceilings {
    Ceilings { int8_gops: int8_gops(), f32_gops: f32_gops(), read_gb_per_sec: read_gb_per_sec() }
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(once).fold(f64::INFINITY, f64::min)
}

fn int8_gops() -> f64 {
    let (rows, n_in, n_out) = (1536, 2048, 4096);
    let matrix = QuantizedMatrix::quantize(n_out, n_in, Format::Bits8, |row, to| {
        to.iter_mut().enumerate().for_each(|(i, v)| *v = ((row * 31 + i * 7) % 17) as f32 - 8.0);
    });
    let x: Vec<f32> = (0..rows * n_in).map(|i| (i % 23) as f32 - 11.0).collect();
    let secs = fastest(|| {
        drop(black_box(matrix.multiply(Isa::detect(), black_box(&x), Rows::Together, Added::default())))
    });
    2.0 * (rows * n_in * n_out) as f64 / secs / 1e9
}

#[expect(unsafe_code, reason = "the library takes pointers")]
fn f32_gops() -> f64 {
    const N: usize = 1536;
    let a: Vec<f32> = (0..N * N).map(|i| (i % 23) as f32).collect();
    let (b, mut c) = (a.clone(), vec![0.0_f32; N * N]);
    let n = N as isize;
    let secs = fastest(|| {
        let all = gemm::Parallelism::Rayon(0);
        // SAFETY: three square matrices, row by row, each as large as its vector.
        unsafe {
            gemm::gemm(
                N,
                N,
                N,
                c.as_mut_ptr(),
                1,
                n,
                false,
                a.as_ptr(),
                1,
                n,
                b.as_ptr(),
                1,
                n,
                0.0,
                1.0,
                false,
                false,
                false,
                all,
            );
        }
        black_box(&c);
    });
    2.0 * (N as f64).powi(3) / secs / 1e9
}

fn read_gb_per_sec() -> f64 {
    // Larger than any cache.
    let memory = vec![1_u64; 1 << 26];
    let secs = fastest(|| {
        let sum = |part: &[u64]| part.iter().fold(0_u64, |sum, v| sum.wrapping_add(*v));
        black_box(memory.par_chunks(1 << 20).map(sum).reduce(|| 0, u64::wrapping_add));
    });
    size_of_val(&memory[..]) as f64 / secs / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    use vigorl_policy::ScriptedPolicy;

    #[test]
    fn each_repetition_asks_for_a_screen_a_zoom_and_the_same_screen_again() {
        let mut policy = ScriptedPolicy::new(["word by word, sixteen tokens"; 36]);
        let mut n = 0;
        let speed = measure(&mut policy, 2, &mut || n += 1).unwrap();
        assert_eq!((speed.n_repeats, n), (2, 3));
        let n_images: Vec<usize> = policy.asked().iter().map(|(talk, _)| talk.images().count()).collect();
        // Eight completions come from a policy that cannot share work as eight questions.
        let of_repeat = [&[1, 2, 1, 1][..], &[1; 8]].concat();
        assert_eq!(n_images, of_repeat.repeat(3));
        let screen = |i: usize| policy.asked()[i].0.images().next().unwrap().clone();
        assert!(Arc::ptr_eq(&screen(0), &screen(2)) && *screen(0) != *screen(12));
    }
}
