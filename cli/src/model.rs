//! Which eyes: the one place that turns `--model` and its companions into a policy, or asks a server in its place.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::ProgressBar;
use vigorl_agent::{ConfidenceMap, PolicyEyes};
use vigorl_geometry::fit::{FitError, PixelBudget};
use vigorl_policy::{
    Asks, Completion, Conversation, Policy, PolicyError, Preset, Sampling, SpokenTo, TokenStream, Turns, View,
};
use vigorl_qwen::{Checkpoint, Engine, LoadOptions, ModelSource, OnQuantized, Place, WeightFormat};
use vigorl_rollouts::Kept;
use vigorl_runs::record::ModelRecord;

use crate::exit::usage;
use crate::parts::Part;
use crate::served::{self, Served};
use crate::settings::{Device, Settings};
use crate::{confidence, hub, terminal};

/// Who is asked: weights on this machine, or a server.
#[derive(Debug)]
pub(crate) enum Asked {
    Here(Box<Engine>),
    There(Box<Served>),
}

impl Asked {
    fn policy(&self) -> &dyn Policy {
        match self {
            Self::Here(engine) => &**engine,
            Self::There(served) => &served.endpoint,
        }
    }

    fn policy_mut(&mut self) -> &mut dyn Policy {
        match self {
            Self::Here(engine) => &mut **engine,
            Self::There(served) => &mut served.endpoint,
        }
    }

    /// What it is shown of a picture, whatever limit the user has set.
    fn own_budget(&self) -> PixelBudget {
        match self {
            Self::Here(engine) => engine.own_processor().pixel_budget(),
            Self::There(served) => served.stated,
        }
    }

    fn beside(&self) -> Self {
        match self {
            Self::Here(engine) => Self::Here(Box::new(engine.beside())),
            Self::There(served) => Self::There(Box::new(served.beside())),
        }
    }
}

impl Policy for Asked {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        self.policy_mut().complete(conversation, sampling, stream)
    }

    fn serve<'a>(&mut self, asks: &mut dyn Asks<'a>) {
        self.policy_mut().serve(asks);
    }

    fn holds_forms(&self) -> bool {
        self.policy().holds_forms()
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.policy().pixel_budget()
    }

    fn name(&self) -> &str {
        self.policy().name()
    }
}

/// A policy and how it is spoken to.
#[derive(Debug)]
pub(crate) struct LoadedPolicy {
    pub(crate) policy: Kept<Asked>,
    pub(crate) preset: Preset,
    pub(crate) sampling: Sampling,
    /// What its confidence means.
    pub(crate) maps: Vec<ConfidenceMap>,
    /// Whether it is told where the words of its instruction stand.
    pub(crate) told_texts: bool,
    /// Whether it learned from reward what is right where it is used.
    learned_from_reward: bool,
    pub(crate) name: String,
}

/// Loads the policy that the settings name.
pub(crate) fn load(settings: &Settings) -> anyhow::Result<LoadedPolicy> {
    if let Some(url) = settings.base_url() {
        let (served, preset) = served::load(settings, url)?;
        let name = served.endpoint.name().to_owned();
        let policy = Kept { policy: Asked::There(Box::new(served)), calls: None };
        let (sampling, maps) = (sampling(settings), Vec::new());
        return Ok(LoadedPolicy {
            policy,
            preset,
            sampling,
            maps,
            told_texts: false,
            learned_from_reward: false,
            name,
        });
    }
    let mut checkpoint = open(&source(&settings.model)?)?;
    let spoken_to = checkpoint.spoken_to()?;
    let preset = preset(settings, spoken_to.as_ref(), &settings.model)?;
    if let Some(limits) = preset.pixels {
        checkpoint.processor = checkpoint.processor.with_limits(limits)?;
    }
    let engine = engine_of(checkpoint, settings)?;
    let maps = confidence::of_policy(engine.checkpoint())?;
    let policy = Kept { policy: Asked::Here(Box::new(engine)), calls: None };
    let told_texts = spoken_to.as_ref().is_some_and(|spoken_to| spoken_to.told_texts);
    let learned_from_reward = spoken_to.is_some_and(|spoken_to| spoken_to.learned_from_reward);
    let (sampling, name) = (sampling(settings), settings.model.clone());
    Ok(LoadedPolicy { policy, preset, sampling, maps, told_texts, learned_from_reward, name })
}

/// How large a screenshot is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) n_tokens: usize,
}

impl Seen {
    fn of(size: (u32, u32), preset: &Preset, budget: PixelBudget) -> Result<Self, FitError> {
        let (width, height) = View::seen_size(size, preset.answer_space, preset.max_image_pixels, budget)?;
        Ok(Self { width, height, n_tokens: budget.n_tokens(width, height) })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}: {} visual tokens", self.width, self.height, grouped(self.n_tokens))
    }
}

impl LoadedPolicy {
    /// It, as eyes of an agent.
    pub(crate) fn eyes(&mut self) -> PolicyEyes<'_> {
        self.spoken_to(None)
    }

    /// The same with another preset.
    pub(crate) fn spoken_to<'a>(&'a mut self, preset: Option<&'a Preset>) -> PolicyEyes<'a> {
        let Self { policy, preset: own, sampling, maps, learned_from_reward, .. } = self;
        let learned_from_reward = *learned_from_reward;
        PolicyEyes { policy, preset: preset.unwrap_or(own), sampling, maps, learned_from_reward }
    }

    /// The same policy for a thread beside this one, on the same weights.
    pub(crate) fn beside(&self) -> Self {
        let Self { policy, preset, sampling, maps, told_texts, learned_from_reward, name } = self;
        let (preset, sampling, maps) = (preset.clone(), sampling.clone(), maps.clone());
        Self {
            policy: Kept { policy: policy.policy.beside(), calls: None },
            preset,
            sampling,
            maps,
            told_texts: *told_texts,
            learned_from_reward: *learned_from_reward,
            name: name.clone(),
        }
    }

    /// What a record says of it. Asked first, it reads all weights.
    pub(crate) fn record(&self) -> anyhow::Result<ModelRecord> {
        let (sha256, endpoint) = match &self.policy.policy {
            Asked::Here(engine) => (Some(engine.checkpoint().weights_sha256()?), None),
            Asked::There(served) => (None, Some(served.record())),
        };
        Ok(ModelRecord {
            name: self.name.clone(),
            sha256,
            max_pixels: Some(self.policy.pixel_budget().max_pixels),
            constrained: self.preset.constrain,
            endpoint,
        })
    }

    /// How large a screenshot of `size` is seen.
    pub(crate) fn seen(&self, size: (u32, u32)) -> Result<Seen, FitError> {
        Seen::of(size, &self.preset, self.policy.pixel_budget())
    }

    /// The same in words, beside what another `--max-pixels` would give.
    pub(crate) fn describe_seen(&self, size: (u32, u32)) -> Result<String, FitError> {
        described(size, &self.preset, self.policy.policy.own_budget(), self.policy.pixel_budget())
    }
}

/// What is made of a screenshot within `budget`, beside what the checkpoint's `own` would be; where both are the same, beside
/// half as many pixels.
fn described(
    size: (u32, u32),
    preset: &Preset,
    own: PixelBudget,
    budget: PixelBudget,
) -> Result<String, FitError> {
    let seen = Seen::of(size, preset, budget)?;
    let (width, height) = size;
    let share = |of: Seen, by: Seen| {
        let share = of.n_tokens as f64 / by.n_tokens.max(1) as f64;
        format!("about {share:.2} times the vision time, if that is proportional to tokens")
    };
    if budget.max_pixels != own.max_pixels {
        let by_own = Seen::of(size, preset, own)?;
        let of_vision = share(seen, by_own);
        return Ok(format!(
            "{width}x{height} is seen as {seen}; without --max-pixels as {by_own}. This is {of_vision}"
        ));
    }
    let half = u64::from(seen.width) * u64::from(seen.height) / 2;
    let Some(reduced) = own.with_max_pixels(half) else {
        return Ok(format!("{width}x{height} is seen as {seen}"));
    };
    let reduced = Seen::of(size, preset, reduced)?;
    let of_vision = share(reduced, seen);
    Ok(format!("{width}x{height} is seen as {seen}; with --max-pixels {half} as {reduced}, {of_vision}"))
}

/// 1334 as `1,334`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Where a checkpoint is, as `--model` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On this machine.
    Here(ModelSource),
    /// `ORG/NAME` on the hub.
    Hub(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(source) => write!(f, "{source}"),
            Self::Hub(repo) => f.write_str(repo),
        }
    }
}

/// Opens a checkpoint, fetching it first if it is on the hub.
pub(crate) fn open(source: &Source) -> anyhow::Result<Checkpoint> {
    let opened = match source {
        Source::Here(source) => Checkpoint::open(source).map_err(anyhow::Error::from),
        Source::Hub(repo) => {
            hub::fetch(repo).and_then(|folder| Ok(Checkpoint::open_dir(&folder, repo.clone())?))
        }
    };
    opened.with_context(|| format!("cannot use `{source}`"))
}

/// A bar that follows the weights while they are quantized.
pub(crate) fn quantizing() -> (ProgressBar, OnQuantized) {
    let bar = terminal::bar(0, "weights quantized");
    let shown = bar.clone();
    let on_quantized = Arc::new(move |n, all| {
        shown.set_length(all);
        shown.inc(n);
    });
    (bar, on_quantized)
}

/// Loads the engine alone.
pub(crate) fn load_engine(settings: &Settings) -> anyhow::Result<Engine> {
    settings.needs_weights("this looks into weights")?;
    engine_of(open(&source(&settings.model)?)?, settings)
}

fn engine_of(checkpoint: Checkpoint, settings: &Settings) -> anyhow::Result<Engine> {
    let device = place(settings.device, settings.dtype)?.device().context("--device")?;
    let (bar, on_quantized) = quantizing();
    let options = LoadOptions {
        device,
        format: settings.dtype,
        max_pixels: settings.max_pixels,
        on_quantized: Some(on_quantized),
        ..LoadOptions::default()
    };
    if let Some(max_pixels) = settings.max_pixels {
        let fits = checkpoint.processor.with_max_pixels(max_pixels);
        fits.map_err(|error| usage(format!("{}: {error}", settings.origin_of("max_pixels"))))?;
    }
    let name = checkpoint.name.clone();
    let engine =
        Engine::from_checkpoint(checkpoint, &options).with_context(|| format!("cannot use `{name}`"))?;
    bar.finish_and_clear();
    Ok(engine)
}

/// Where weights in `format` are computed, if `device` can.
pub(crate) fn place(device: Device, format: WeightFormat) -> anyhow::Result<Place> {
    match (device, format) {
        (Device::Cpu, _) => Ok(Place::Cpu),
        (_, WeightFormat::Int8 | WeightFormat::Int4) => Err(usage(
            "quantized weights are computed on the CPU: leave out --device, or choose --dtype bf16",
        )),
        (Device::Cuda, WeightFormat::Dense(_)) => Ok(Place::Cuda),
        (Device::Metal, WeightFormat::Dense(_)) => Ok(Place::Metal),
    }
}

/// Where the checkpoint is: a policy of the binary, a folder that exists, or a name on the hub, in this order.
pub(crate) fn source(model: &str) -> anyhow::Result<Source> {
    match model {
        _ if ModelSource::named(model).is_there() => Ok(Source::Here(ModelSource::named(model))),
        _ if is_hub_name(model) => Part::Hub.needed().map(|()| Source::Hub(model.to_owned())),
        _ => Err(usage(format!(
            "`{model}` is no folder and no hub name; --model takes `nano`, `nano-full`, a checkpoint folder, or ORG/NAME"
        ))),
    }
}

/// `ORG/NAME` of the characters the hub allows.
fn is_hub_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts: Vec<_> = text.split('/').collect();
    parts.len() == 2 && parts.iter().all(|p| !p.is_empty() && !p.starts_with('.') && p.chars().all(allowed))
}

/// The preset of the settings, of the checkpoint, or of its name, with single values replaced.
pub(crate) fn preset(
    settings: &Settings,
    spoken_to: Option<&SpokenTo>,
    checkpoint: &str,
) -> anyhow::Result<Preset> {
    let of_checkpoint = spoken_to.map(|spoken_to| &spoken_to.preset);
    let mut preset = match settings.preset.as_ref().or(of_checkpoint) {
        Some(name) => Preset::named(name).with_context(|| format!("there is no preset `{name}`"))?,
        None => Preset::for_checkpoint(&full_name(checkpoint)).ok_or_else(|| {
            usage(format!(
                "the name `{checkpoint}` does not say how this checkpoint is spoken to: add --preset, one of {}",
                Preset::NAMES.join(", ")
            ))
        })?,
    };
    preset = preset.seeing(spoken_to.and_then(|spoken_to| spoken_to.max_image_pixels));
    if let Some(max_turns) = settings.max_turns {
        if max_turns > 1 && !preset.can_zoom() {
            return Err(usage(format!(
                "{}: the preset `{}` answers in one turn and never zooms; leave it out, or set it to 1",
                settings.origin_of("max_turns"),
                preset.name
            )));
        }
        allow_turns(&mut preset, max_turns);
    }
    preset.constrain = settings.constrain;
    preset.crop.offset_px = settings.crop_offset_px.unwrap_or(preset.crop.offset_px);
    preset.crop.side_px = settings.crop_size_px.unwrap_or(preset.crop.side_px);
    preset.crop.dot = settings.dot.unwrap_or(preset.crop.dot);
    Ok(preset)
}

fn allow_turns(preset: &mut Preset, max_turns: usize) {
    preset.limits.max_turns = max_turns;
    // The screenshot and a crop for every turn but the last, or the images would run out first.
    preset.limits.max_images = preset.limits.max_images.max(max_turns);
    // A multi-turn policy with one turn is made to answer in it.
    if max_turns > 1 {
        preset.turns = Turns::Multi;
    }
}

/// A folder's full path says more than `.`.
fn full_name(model: &str) -> String {
    let path = Path::new(model);
    let full = path.is_dir().then(|| path.canonicalize().ok()).flatten();
    full.map_or_else(|| model.to_owned(), |path| path.display().to_string())
}

fn sampling(settings: &Settings) -> Sampling {
    Sampling {
        temperature: settings.temperature,
        top_p: settings.top_p,
        seed: settings.seed,
        ..Sampling::greedy(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(max_pixels: u64) -> PixelBudget {
        Preset::web_grounding().published_budget().with_max_pixels(max_pixels).unwrap()
    }

    #[test]
    fn what_pixels_cost_is_said_in_tokens() {
        let preset = Preset::web_grounding();
        let said = |max_pixels| {
            described((1280, 800), &preset, published(12_845_056), published(max_pixels)).unwrap()
        };
        let share = "times the vision time, if that is proportional to tokens";
        assert_eq!(
            said(12_845_056),
            format!(
                "1280x800 is seen as 1288x812: 1,334 visual tokens; with --max-pixels 522928 as 896x560: \
                 640 visual tokens, about 0.48 {share}"
            )
        );
        assert_eq!(
            said(500_000),
            format!(
                "1280x800 is seen as 868x532: 589 visual tokens; without --max-pixels as 1288x812: \
                 1,334 visual tokens. This is about 0.44 {share}"
            )
        );
        // More than the checkpoint's own limit.
        assert!(said(20_000_000).contains("This is about 1.00 times"), "{}", said(20_000_000));
    }

    #[track_caller]
    fn check_turns(mut preset: Preset, max_turns: usize, n_images: usize, turns: Turns) {
        allow_turns(&mut preset, max_turns);
        assert_eq!((preset.limits.max_turns, preset.limits.max_images), (max_turns, n_images));
        assert_eq!(preset.turns, turns);
    }

    #[test]
    fn more_turns_bring_their_images() {
        check_turns(Preset::web_grounding_multiturn(), 9, 9, Turns::Multi);
        check_turns(Preset::web_grounding_multiturn(), 2, 5, Turns::Multi);
        check_turns(Preset::web_grounding(), 1, 5, Turns::Single);
        check_turns(Preset::nano(), 1, 4, Turns::Multi);
    }
}
