//! `vigorl bench step`: what a step costs besides the model.

use anyhow::Context as _;
use vigorl_agent::record::ModelRecord;
use vigorl_agent::{Agent, Hands, Run};
use vigorl_benchmarks::speed::{SpeedResult, open_page, summarize, take_steps};
use vigorl_geometry::Size;
use vigorl_policy::{Preset, Sampling, ScriptedPolicy};

use crate::args::BenchStepArgs;
use crate::commands::{Form, browser, pretty};
use crate::exit::Ending;
use crate::settings::Settings;
use crate::{interrupt, record, terminal};

/// Steps that are measured, unless said otherwise.
const STEPS: usize = 60;
/// Steps before them.
const WARM_UP: usize = 5;
/// Of the visible area.
const SIZE: (u32, u32) = (1280, 800);
/// A zoom and an answer, as a real policy would say them: the crop is cut and resized, too.
const REPLIES: [&str; 2] = [
    "<think> The counter is in the middle (660, 400). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \
     \"arguments\": {\"coordinate\": [660, 400]}}\n</tool_call>",
    "<think> This is it (660, 400). </think>\n<answer> (660, 400) </answer>",
];

/// Measures and prints.
pub(crate) fn step(args: &BenchStepArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let n_steps = args.steps.unwrap_or(STEPS);
    let mut driver = browser::start(settings, Size::of_pixels(SIZE.0, SIZE.1))?;
    let version = browser::version(&mut driver);
    let replies = REPLIES.iter().copied().cycle().take(2 * (n_steps + WARM_UP));
    let mut policy = ScriptedPolicy::new(replies);
    let scripted = ModelRecord { name: "scripted".to_owned(), sha256: None };
    let mut run = Run::recorded(
        &settings.output_dir,
        "bench-step",
        &record::of_run("the cost of a step", scripted, settings, version),
    )?;
    let sampling = Sampling {
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        max_new_tokens: usize::MAX,
        stop: Vec::new(),
        seed: 0,
    };
    let mut agent = Agent {
        driver: &mut driver,
        policy: &mut policy,
        preset: &Preset::web_grounding_multiturn(),
        sampling: &sampling,
        settle_cap: settings.settle_cap,
        hands: Hands::Act,
        cancel: &cancel,
    };
    open_page(&mut agent)?;
    terminal::note(&format!("{} steps, the first {WARM_UP} do not count", n_steps + WARM_UP));
    take_steps(&mut agent, n_steps + WARM_UP, &mut run)?;
    let costs: Vec<_> = run.costs().iter().skip(WARM_UP).copied().collect();
    let (_, path) = run.finish()?;
    let result = summarize(&costs, [SIZE.0, SIZE.1]);
    terminal::data(&match form {
        Form::Json => pretty(&serde_json::to_value(&result)?),
        Form::Text => text(&result),
    });
    terminal::note(&format!("recorded in {}", path.context("the run was not recorded")?.display()));
    Ok(if cancel.is_set() { Ending::Interrupted } else { Ending::Done })
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
