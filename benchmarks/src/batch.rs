//! How much faster several conversations are continued at once than one after the other.
//!
//! Invariants: both ways continue the same conversations with the same seeds, so they say the same, and this is checked;
//! each way begins with a policy that remembers nothing; both are measured in turns in one run, and what is compared
//! is a round's own.
//! Source of the workload: a zoom episode of the embedded policy. Each conversation sees a page, says something,
//! and sees a crop of it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use image::{Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};
use vigorl_policy::wire::STOP_STRINGS;
use vigorl_policy::{
    Completion, Conversation, Message, Part, Policy, PolicyError, Preset, Role, Sampling, share,
};

/// Width and height of a page, in pixels.
const PAGE_PX: (u32, u32) = (192, 160);
/// Side of a crop, and the side that it is shown with.
const CROP_PX: (u32, u32) = (52, 80);
/// Tokens of a turn at most.
const MAX_TOKENS: usize = 64;

/// One way to continue the conversations, over both turns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// Time for all of it.
    pub secs: f64,
    /// Of that, for the pictures.
    pub vision_secs: f64,
    /// For the prompts behind them.
    pub prefill_secs: f64,
    /// For what was sampled.
    pub decode_secs: f64,
    /// Tokens that were sampled.
    pub n_tokens: usize,
}

/// Both ways in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// One conversation after the other.
    pub one_by_one: Turns,
    /// All at once.
    pub at_once: Turns,
    /// A thread for each conversation, which all share the policy: the time for all of it.
    pub threads_secs: f64,
}

/// A group of completions of one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Completions.
    pub n: usize,
    /// Tokens of the prompt, which is computed once.
    pub n_prompt_tokens: usize,
    /// Tokens that were sampled.
    pub n_tokens: usize,
    /// Time for all of it.
    pub secs: f64,
    /// Time for a completion of the group alone, behind the same prompt, for each of its tokens.
    pub alone_secs_per_token: f64,
}

/// Conversations and their seeds.
struct Workload {
    openings: Vec<Conversation>,
    crops: Vec<Message>,
    samplings: Vec<Sampling>,
}

impl Workload {
    fn new(n: usize, round: u64) -> Self {
        let pages: Vec<_> = (0..n as u64).map(|i| page(round * n as u64 + i)).collect();
        let preset = Preset::nano();
        let shown = |page: &Arc<RgbImage>| {
            let crop = imageops::crop_imm(&**page, 40, 30, CROP_PX.0, CROP_PX.0).to_image();
            let crop = imageops::resize(&crop, CROP_PX.1, CROP_PX.1, imageops::FilterType::Nearest);
            let text = Part::Text("Here is the crop of the image".to_owned());
            Message { role: Role::User, parts: vec![text, Part::Image(Arc::new(crop))] }
        };
        let words = ["click the red square", "click the blue square"];
        Self {
            crops: pages.iter().map(shown).collect(),
            openings: pages
                .into_iter()
                .zip(words.into_iter().cycle())
                .map(|(p, w)| preset.opening(p, w))
                .collect(),
            samplings: (0..n as u64).map(|i| sampling(round * n as u64 + i)).collect(),
        }
    }

    fn next(&self, i: usize, said: &Completion) -> Conversation {
        let mut next = self.openings[i].clone();
        next.messages.extend([said.message(), self.crops[i].clone()]);
        next
    }
}

fn sampling(seed: u64) -> Sampling {
    let stop = STOP_STRINGS.map(str::to_owned).to_vec();
    Sampling { temperature: 1.0, top_p: 0.99, stop, seed, ..Sampling::greedy(MAX_TOKENS) }
}

fn page(seed: u64) -> Arc<RgbImage> {
    let place = |n: u64| (10 + ((seed + n) * 29 % 150) as u32, 12 + ((seed + n) * 47 % 120) as u32);
    let (red, blue) = (place(0), place(5));
    Arc::new(RgbImage::from_fn(PAGE_PX.0, PAGE_PX.1, |x, y| {
        let inside = |(left, top): (u32, u32)| (left..left + 20).contains(&x) && (top..top + 14).contains(&y);
        match (inside(red), inside(blue)) {
            (true, _) => Rgb([216, 30, 36]),
            (_, true) => Rgb([30, 60, 210]),
            // No two pages are alike.
            _ => Rgb([250, 250, 200 + (seed % 50) as u8]),
        }
    }))
}

/// What a policy said in both turns, conversation by conversation.
type Said = Vec<Completion>;

fn one_by_one(policy: &mut dyn Policy, work: &Workload) -> Result<(Turns, Said), PolicyError> {
    let start = Instant::now();
    let mut said = Vec::new();
    for (i, (opening, sampling)) in work.openings.iter().zip(&work.samplings).enumerate() {
        let first = policy.complete(opening, sampling, &mut |_| ControlFlow::Continue(()))?;
        let next = work.next(i, &first);
        said.push(first);
        said.push(policy.complete(&next, sampling, &mut |_| ControlFlow::Continue(()))?);
    }
    let sum = |of: &dyn Fn(&Completion) -> f64| said.iter().map(of).sum();
    let turns = Turns {
        secs: start.elapsed().as_secs_f64(),
        vision_secs: sum(&|said| said.vision.as_secs_f64()),
        prefill_secs: sum(&|said| said.prefill.as_secs_f64()),
        decode_secs: sum(&|said| said.decode.as_secs_f64()),
        n_tokens: said.iter().map(|said| said.token_ids.len()).sum(),
    };
    Ok((turns, said))
}

fn at_once(policy: &mut dyn Policy, work: &Workload) -> Result<(Turns, Said), PolicyError> {
    let start = Instant::now();
    let mut batch = |conversations: &[Conversation]| {
        let asks: Vec<_> = conversations.iter().zip(&work.samplings).collect();
        policy
            .complete_batch(&asks, &mut |_, _| ControlFlow::Continue(()))
            .into_iter()
            .collect::<Result<Said, PolicyError>>()
    };
    let first = batch(&work.openings)?;
    let next: Vec<_> = first.iter().enumerate().map(|(i, said)| work.next(i, said)).collect();
    let second = batch(&next)?;
    // What is computed together has taken as long for each, and sampling as long as for the last.
    let most = |of: &dyn Fn(&Completion) -> f64| {
        [&first, &second].iter().map(|said| said.iter().map(of).fold(0.0, f64::max)).sum()
    };
    let turns = Turns {
        secs: start.elapsed().as_secs_f64(),
        vision_secs: most(&|said| said.vision.as_secs_f64()),
        prefill_secs: most(&|said| said.prefill.as_secs_f64()),
        decode_secs: most(&|said| said.decode.as_secs_f64()),
        n_tokens: first.iter().chain(&second).map(|said| said.token_ids.len()).sum(),
    };
    Ok((turns, first.into_iter().zip(second).flat_map(|(first, second)| [first, second]).collect()))
}

fn in_threads<P: Policy + Send>(policy: &mut P, work: &Workload) -> Result<(f64, Said), PolicyError> {
    let start = Instant::now();
    let said = share(policy, |policy| {
        std::thread::scope(|scope| {
            let play = |i: usize| {
                let mut policy = policy.clone();
                scope.spawn(move || -> Result<[Completion; 2], PolicyError> {
                    let sampling = &work.samplings[i];
                    let mut ignore = |_: &str| ControlFlow::Continue(());
                    let first = policy.complete(&work.openings[i], sampling, &mut ignore)?;
                    let second = policy.complete(&work.next(i, &first), sampling, &mut ignore)?;
                    Ok([first, second])
                })
            };
            let threads: Vec<_> = (0..work.openings.len()).map(play).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>, PolicyError>>()
        })
    })?;
    Ok((start.elapsed().as_secs_f64(), said.into_iter().flatten().collect()))
}

/// Measures `n_rounds` rounds of `n` conversations, behind one that does not count. `beside` makes a policy that
/// remembers nothing; `on_round` is called after each round.
///
/// # Errors
/// If the policy could not be asked.
///
/// # Panics
/// If a conversation says something else in another way: then the times say nothing.
pub fn rounds<P: Policy + Send>(
    beside: &dyn Fn() -> P,
    n: usize,
    n_rounds: usize,
    on_round: &mut dyn FnMut(),
) -> Result<Vec<Round>, PolicyError> {
    let mut rounds = Vec::new();
    for round in 0..=n_rounds as u64 {
        let work = Workload::new(n, round);
        let (alone, said) = one_by_one(&mut beside(), &work)?;
        let (at_once, together) = at_once(&mut beside(), &work)?;
        let (threads_secs, threads) = in_threads(&mut beside(), &work)?;
        for (said, others) in said.iter().zip(together.iter().zip(&threads)) {
            assert_eq!((&said.text, &said.logprobs), (&others.0.text, &others.0.logprobs), "at once");
            assert_eq!((&said.text, &said.logprobs), (&others.1.text, &others.1.logprobs), "in threads");
        }
        on_round();
        if round > 0 {
            rounds.push(Round { one_by_one: alone, at_once, threads_secs });
        }
    }
    Ok(rounds)
}

/// Measures a group of `n` completions of one prompt.
///
/// # Errors
/// If the policy could not be asked.
pub fn group<P: Policy>(beside: &dyn Fn() -> P, n: usize) -> Result<Group, PolicyError> {
    let mut policy = beside();
    let work = Workload::new(1, 0);
    let samplings: Vec<Sampling> = (0..n as u64).map(sampling).collect();
    let start = Instant::now();
    let said = policy.complete_many(&work.openings[0], &samplings, &mut |_, _| ControlFlow::Continue(()))?;
    let secs = start.elapsed().as_secs_f64();
    let (mut alone_secs, mut n_alone) = (0.0, 0);
    for sampling in samplings.iter().take(16) {
        let said = policy.complete(&work.openings[0], sampling, &mut |_| ControlFlow::Continue(()))?;
        alone_secs += said.decode.as_secs_f64();
        n_alone += said.token_ids.len();
    }
    Ok(Group {
        n,
        n_prompt_tokens: said.first().map_or(0, |said| said.n_prompt_tokens),
        n_tokens: said.iter().map(|said| said.token_ids.len()).sum(),
        secs,
        alone_secs_per_token: alone_secs / f64::from(n_alone.max(1) as u32),
    })
}

/// One run on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResult {
    /// Of the program.
    pub commit: String,
    /// The name of the processor.
    pub machine: String,
    /// Threads that compute.
    pub n_threads: usize,
    /// The policy's name, and how its weights are stored.
    pub policy: [String; 2],
    /// Conversations of a round.
    pub n: usize,
    /// Both ways, round by round.
    pub rounds: Vec<Round>,
    /// A large group.
    pub group: Group,
    /// The most memory the process had before the group, mapped files included.
    pub peak_rss_gb_before: f64,
    /// And behind it.
    pub peak_rss_gb: f64,
}

impl BatchResult {
    /// How many times as fast, in the median round.
    pub fn ratio(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut ratios: Vec<f64> = self.rounds.iter().map(of).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// A table of everything, and ratios.
    pub fn text(&self) -> String {
        let [policy, dtype] = &self.policy;
        let row = |name: &str, of: &dyn Fn(&Turns) -> f64| {
            let one = self.ratio(|round| of(&round.one_by_one) * 1e3);
            let all = self.ratio(|round| of(&round.at_once) * 1e3);
            let ratio = self.ratio(|round| of(&round.one_by_one) / of(&round.at_once));
            format!("{name:<22} {one:>9.1} ms {all:>9.1} ms {ratio:>8.2}")
        };
        let per_sec = |turns: &Turns| turns.n_tokens as f64 / turns.decode_secs;
        let Group { n, n_prompt_tokens, n_tokens, secs, alone_secs_per_token } = self.group;
        let of_group = secs / n_tokens.max(1) as f64;
        [
            format!("{}, {} threads: {policy} ({dtype}), {} conversations of two turns, {} rounds",
                self.machine, self.n_threads, self.n, self.rounds.len()),
            format!("{:<22} {:>12} {:>12} {:>8}", "", "one by one", "at once", "ratio"),
            row("pictures", &|turns| turns.vision_secs),
            row("prompts", &|turns| turns.prefill_secs),
            row("sampling", &|turns| turns.decode_secs),
            row("all", &|turns| turns.secs),
            format!("{:<22} {:>12} {:>9.1} ms {:>8.2}", "in threads", "",
                self.ratio(|round| round.threads_secs * 1e3),
                self.ratio(|round| round.one_by_one.secs / round.threads_secs)),
            format!("sampled tokens a second: {:.0} one by one, {:.0} at once",
                self.ratio(|round| per_sec(&round.one_by_one)), self.ratio(|round| per_sec(&round.at_once))),
            format!("a group of {n} behind {n_prompt_tokens} tokens: {:.0} tokens a second, {:.2} times one alone",
                1.0 / of_group, alone_secs_per_token / of_group),
            format!("most memory: {:.3} GB before the group, {:.3} GB behind it",
                self.peak_rss_gb_before, self.peak_rss_gb),
        ]
        .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use vigorl_policy::ScriptedPolicy;

    use super::*;

    #[test]
    fn every_way_continues_the_same_conversations() {
        let beside = || ScriptedPolicy::new(["<think> here (3, 4) </think>"; 64]);
        let mut n = 0;
        let rounds = rounds(&beside, 4, 2, &mut || n += 1).unwrap();
        assert_eq!((rounds.len(), n), (2, 3));
        let group = group(&beside, 8).unwrap();
        assert_eq!(group.n, 8);
    }
}
