//! One click of a scripted policy in a real browser. For tests only.
#![allow(dead_code, reason = "every test file uses a part")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use vigorl_agent::{Agent, Cancel, Checks, Hands, InOrder, Leash, PolicyEyes, run_episode};
use vigorl_benchmarks::{PracticeSet, play as play_item};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{Action, Driver};
use vigorl_policy::{Policy, Preset, Sampling, ScriptedPolicy};
use vigorl_runs::Run;
use vigorl_runs::record::{EpisodeRecord, ModelRecord, RunRecord, Summary};
use vigorl_tasks::environment::{observe, perform};
use vigorl_tasks::practice::PageSpec;
use vigorl_tasks::scripted::{Scene, ScriptedTask, Surroundings};
use vigorl_tasks::unjudged::Unjudged;
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict};
use vigorl_webdriver::{Options, WebDriver};

pub(crate) const BUTTON: &str =
    "<button style='position:absolute;left:40px;top:30px;width:80px;height:40px'>go</button>";
pub(crate) const HIT: &str = "<think> The button (80, 50). </think>\n<answer> (80, 50) </answer>";

fn sampling() -> Sampling {
    Sampling::greedy(512)
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

/// What a driver shows now, judged by the clauses of a task.
pub(crate) struct ByClauses<'a> {
    pub(crate) driver: &'a mut dyn Driver,
    pub(crate) task: &'a ScriptedTask,
}

impl Environment for ByClauses<'_> {
    fn reset(&mut self, _seed: u64) -> Result<Start, Failure> {
        Ok(Start::default())
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        Ok(observe(self.driver)?)
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        Ok(perform(self.driver, act)?)
    }

    fn judge(
        &mut self,
        _answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let surroundings = Surroundings::default();
        let (driver, allowance) = (&mut *self.driver, *allowance);
        let mut scene = Scene { driver, surroundings: &surroundings, senses, allowance };
        self.task.judge(&self.task.values, &mut scene)
    }

    fn driver(&mut self) -> Option<&mut dyn Driver> {
        Some(self.driver)
    }
}

/// One click on what a driver shows now, which nobody judges.
pub(crate) fn click(driver: &mut dyn Driver, policy: &mut dyn Policy, output: &Path) -> Ended {
    click_in(&mut Unjudged::new(driver, "the button"), 0, policy, output)
}

pub(crate) fn click_in(
    world: &mut dyn Environment,
    seed: u64,
    policy: &mut dyn Policy,
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
        eyes: &mut PolicyEyes::new(policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(3),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    run_episode(&mut agent, &mut InOrder::click("the button"), world, seed, &mut run).unwrap();
    let record = run.episodes()[0].clone();
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
        eyes: &mut PolicyEyes::new(&mut policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(3),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let ratio = DevicePixelRatio::new(1.0).unwrap();
    for spec in specs {
        let set = PracticeSet::new(*spec, 1).unwrap();
        play_item(&mut agent, &set, 0, Some(driver), ratio, &[], &mut run).unwrap();
    }
    run.finish().unwrap().1.unwrap()
}
