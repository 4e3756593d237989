//! One click of a scripted policy in a real browser. For tests only.
#![allow(dead_code, reason = "every test file uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vigorl_agent::{Agent, Cancel, Checks, Eyes, Hands, Intent, Judge, Leash, Run, Task, run_episode};
use vigorl_benchmarks::play_practice;
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{Action, Driver};
use vigorl_policy::{Policy, Preset, Sampling, ScriptedPolicy};
use vigorl_runs::record::{EpisodeRecord, ModelRecord, RunRecord, Summary};
use vigorl_tasks::practice::PageSpec;
use vigorl_webdriver::{Options, WebDriver};

pub(crate) const BUTTON: &str =
    "<button style='position:absolute;left:40px;top:30px;width:80px;height:40px'>go</button>";
pub(crate) const HIT: &str = "<think> The button (80, 50). </think>\n<answer> (80, 50) </answer>";

fn sampling() -> Sampling {
    Sampling {
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        max_new_tokens: 512,
        stop: Vec::new(),
        seed: 0,
        form: None,
    }
}

pub(crate) fn browser(width: u32, height: u32) -> WebDriver {
    let mut options = Options::headless(width, height);
    options.deadline = Duration::from_secs(20);
    WebDriver::start(options).unwrap()
}

pub(crate) fn show(driver: &mut dyn Driver, html: &str) {
    driver.act(&Action::Navigate { url: format!("data:text/html,{html}") }).unwrap();
}

pub(crate) struct Ended {
    pub(crate) record: EpisodeRecord,
    pub(crate) summary: Summary,
    pub(crate) path: PathBuf,
}

pub(crate) fn click(
    driver: &mut dyn Driver,
    policy: &mut dyn Policy,
    judge: &mut dyn Judge,
    output: &Path,
) -> Ended {
    let record = RunRecord {
        format: 1,
        task: "click the button".to_owned(),
        model: ModelRecord { name: "scripted".to_owned(), ..ModelRecord::default() },
        ..RunRecord::default()
    };
    let mut run = Run::recorded(output, "live", &record, &[]).unwrap();
    let (preset, sampling, cancel) = (Preset::web_grounding_multiturn(), sampling(), Cancel::default());
    let mut agent = Agent {
        driver,
        eyes: Eyes::Policy { policy, preset: &preset, sampling: &sampling, checks: Checks::Nobody },
        settle_cap: Duration::from_secs(3),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let steps = vec![Intent::click("the button")].into();
    let mut task = Task {
        name: "the button",
        labels: BTreeMap::new(),
        seed: None,
        steps,
        max_steps: None,
        target: None,
        judge,
    };
    let record = run_episode(&mut agent, &mut task, &mut run).unwrap();
    let (summary, path) = run.finish().unwrap();
    Ended { record, summary, path: path.unwrap() }
}

/// Plays practice pages as one run.
pub(crate) fn play(
    driver: &mut dyn Driver,
    specs: &[PageSpec],
    replies: &[String],
    output: &Path,
) -> PathBuf {
    let mut run = Run::recorded(output, "live", &RunRecord::default(), &[]).unwrap();
    let mut policy = ScriptedPolicy::new(replies.iter().cloned());
    let (preset, sampling, cancel) = (Preset::web_grounding_multiturn(), sampling(), Cancel::default());
    let mut agent = Agent {
        driver,
        eyes: Eyes::Policy {
            policy: &mut policy,
            preset: &preset,
            sampling: &sampling,
            checks: Checks::Nobody,
        },
        settle_cap: Duration::from_secs(3),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let ratio = DevicePixelRatio::new(1.0).unwrap();
    for spec in specs {
        play_practice(&mut agent, spec, ratio, &[], &mut run).unwrap();
    }
    run.finish().unwrap().1.unwrap()
}
