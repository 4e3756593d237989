//! `vigorl bench`: what a step costs besides the model, how fast the model is, alone and with several conversations at
//! once, how fast it learns, and how fast the reader reads.

pub(crate) mod batch;
pub(crate) mod engine;
pub(crate) mod eval;
mod peer;
#[cfg(feature = "reader")]
pub(crate) mod read;
#[cfg(not(feature = "reader"))]
#[path = "bench/read_absent.rs"]
pub(crate) mod read;
#[cfg(feature = "training")]
pub(crate) mod train;

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context as _;
use vigorl_agent::{Agent, Checks, Hands, Leash, PolicyEyes};
use vigorl_benchmarks::speed::{SpeedResult, open_page, summarize, take_steps};
use vigorl_geometry::Size;
use vigorl_geometry::fit::PixelBudget;
use vigorl_interface::Driver;
use vigorl_policy::{
    Completion, Conversation, Policy, PolicyError, Preset, Sampling, ScriptedPolicy, TokenStream,
};
use vigorl_qwen::Processor;
use vigorl_runs::Run;
use vigorl_runs::record::{InputRecord, ModelRecord};
use vigorl_tasks::Blind;
use vigorl_tasks::scripted::World;

use crate::args::BenchStepArgs;
use crate::commands::{Form, browser, desktop, pretty};
use crate::exit::Ending;
use crate::parts::Part;
use crate::settings::Settings;
use crate::{interrupt, record, terminal};

/// Steps that are measured, unless said otherwise.
const STEPS: usize = 60;
/// Steps before them.
const WARM_UP: usize = 5;
/// Of the visible area.
const SIZE: (u32, u32) = (1280, 800);
/// A zoom and an answer, as a real policy would say them: the crop is cut, resized and prepared, too.
const REPLIES: [&str; 2] = [
    "<think> The counter is in the middle (660, 400). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \
     \"arguments\": {\"coordinate\": [660, 400]}}\n</tool_call>",
    "<think> This is it (660, 400). </think>\n<answer> (660, 400) </answer>",
];

/// Measures and prints.
pub(crate) fn step(args: &BenchStepArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let n_steps = args.steps.unwrap_or(STEPS);
    record::check_output(settings)?;
    let (mut driver, surface, version) = world(settings)?;
    let size = driver.screenshot()?.pixels.dimensions();
    let replies = REPLIES.iter().copied().cycle().take(2 * (n_steps + WARM_UP));
    let mut policy = Preparing { script: ScriptedPolicy::new(replies), processor: vigorl_3b() };
    let scripted = ModelRecord { name: "scripted".to_owned(), ..ModelRecord::default() };
    let input = InputRecord { viewport: Some(size.into()), ..InputRecord::default() };
    let mut run = Run::recorded(
        &settings.output_dir,
        "bench-step",
        &record::of_run("the cost of a step", input, scripted, settings, version),
        &[],
    )?;
    let sampling = Sampling::greedy(usize::MAX);
    let preset = Preset::web_grounding_multiturn();
    let mut agent = Agent {
        eyes: &mut PolicyEyes::new(&mut policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: settings.settle_cap,
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    if surface.is_none() {
        open_page(&mut *driver)?;
    }
    terminal::note(&format!("{} steps, the first {WARM_UP} do not count", n_steps + WARM_UP));
    take_steps(&mut agent, &mut *driver, n_steps + WARM_UP, &mut run)?;
    let costs: Vec<_> = run.costs().iter().skip(WARM_UP).copied().collect();
    let (_, path) = run.finish()?;
    let mut result = summarize(&costs, size.into());
    // What the record calls vision is here the preparation alone: no network runs.
    let prepare = result.parts_median.remove("vision").unwrap_or_default();
    result.parts_median.insert("prepare", prepare);
    terminal::data(&match form {
        Form::Json => pretty(&serde_json::to_value(&result)?),
        Form::Text => text(&result),
    });
    terminal::note(&format!("recorded in {}", path.context("the run was not recorded")?.display()));
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
}

/// The world of the measurement: a browser's page, or a window that covers the desktop.
fn world(settings: &Settings) -> anyhow::Result<(Box<dyn Driver>, Option<desktop::Counter>, String)> {
    Ok(match settings.driver {
        World::Web => {
            let mut driver = browser::start(settings, Size::of_pixels(SIZE.0, SIZE.1))?;
            let version = browser::version(&mut driver);
            (Box::new(driver), None, version)
        }
        World::Desktop => {
            Part::Desktop.needed()?;
            let (driver, counter) = desktop::with_counter(&settings.area)?;
            (driver, Some(counter), desktop::version())
        }
    })
}

/// A scripted policy that prepares every image as an engine does: resized, normalised, cut into patches.
struct Preparing {
    script: ScriptedPolicy,
    processor: Processor,
}

impl Policy for Preparing {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let clock = Instant::now();
        // Each turn shows one image more; those before it are in the cache.
        if let Some(image) = conversation.images().last() {
            black_box(self.processor.patches(image)?);
        }
        let vision = clock.elapsed();
        let said = self.script.complete(conversation, sampling, stream)?;
        Ok(Completion { vision, ..said })
    }

    fn pixel_budget(&self) -> PixelBudget {
        self.processor.pixel_budget()
    }

    fn name(&self) -> &str {
        "scripted"
    }
}

/// The processor of ViGoRL-3B, which is that of Qwen2.5-VL: 1280x800 becomes 1288x812.
fn vigorl_3b() -> Processor {
    Processor {
        patch_size: 14,
        temporal_patch_size: 2,
        merge_size: 2,
        min_pixels: 56 * 56,
        max_pixels: 28 * 28 * 16_384,
        image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
    }
}

fn text(result: &SpeedResult) -> String {
    let [width, height] = result.image_size;
    let parts = result.parts_median.iter().filter(|(_, millis)| **millis > 0.0);
    let parts: Vec<String> = parts.map(|(name, millis)| format!("  {name:<9} {millis:>7.2} ms")).collect();
    format!(
        "a step at {width}x{height} besides the model: median {:.1} ms, 90 % below {:.1} ms, fastest {:.1} ms ({} steps)\n{}",
        result.median_millis,
        result.p90_millis,
        result.min_millis,
        result.n_steps,
        parts.join("\n")
    )
}
