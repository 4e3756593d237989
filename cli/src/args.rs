//! What was typed. Invariant: optional everywhere; what is missing is decided in `settings`.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use vigorl_benchmarks::{Rejudge, Shard};
use vigorl_judges::{Mode, scoring};
use vigorl_qwen::WeightFormat;
use vigorl_webdriver::BrowserAddress;

const ALL_DTYPES: [&str; 5] = ["f32", "bf16", "f16", "int8", "int4"];

/// Names of weight formats; former names are understood, but not listed.
fn dtypes(names: &[&'static str]) -> PossibleValuesParser {
    PossibleValuesParser::new(names.iter().map(|name| {
        let former = WeightFormat::FORMERLY.into_iter().filter(|(_, format)| format.name() == *name);
        PossibleValue::new(*name).aliases(former.map(|(former, _)| former))
    }))
}

use crate::eyes;
use crate::settings::RecordText;

/// What was typed wrong, with a cure where clap knows none.
pub(crate) fn with_cure(mut error: clap::Error) -> clap::Error {
    const ATTACH: &str = "only `vigorl run` attaches to a running browser: what this command plays forgets cookies and storage \
                          between episodes, or needs a browser of its own; leave --attach out";
    let is_attach = |value: &ContextValue| matches!(value, ContextValue::String(text) if text == "--attach" || text == "--attach-remote");
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    if is_unknown && error.get(ContextKind::InvalidArg).is_some_and(is_attach) {
        let cure = ContextValue::StyledStrs(vec![StyledStr::from(ATTACH)]);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, cure);
    }
    error
}

/// The program.
#[derive(Debug, Parser)]
#[command(
    name = "vigorl",
    version = crate::record::version_in_words(),
    about = "A GUI agent that looks, thinks with points, zooms and clicks",
    long_about = "A GUI agent that looks at a screenshot, thinks with visible points, zooms into small things, \
                  clicks, and checks what happened.\n\nThe policy `nano` is inside this program, so the first \
                  command needs nothing but a browser.",
    after_help = "Start here:\n  vigorl doctor                                 is everything there?\n  vigorl demo                                   \
                  watch it click on pages it has never seen\n  vigorl locate shot.png \"the red circle\"       one screenshot, one point\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\nData goes to standard output, everything else to standard error.",
    disable_help_subcommand = true,
    propagate_version = true
)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How much is said, and in which form.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct OutputArgs {
    /// Print data as JSON
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
    /// Print every setting, its value and where the value came from, and do nothing else
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) show_settings: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play practice pages in a real headless browser and write a report
    #[command(
        after_help = "Examples:\n  vigorl demo\n  vigorl demo --episodes 50 --seed 900 --headed\n  vigorl demo --tier words --vocabulary 40"
    )]
    Demo(DemoArgs),
    /// Find what a sentence describes on one screenshot
    #[command(
        after_help = "Examples:\n  vigorl locate shot.png \"the red circle\"\n  vigorl locate shot.png \"the search box\" --overlay seen.png\n  \
                            vigorl locate shot.png \"the search box\" --json | jq .point"
    )]
    Locate(LocateArgs),
    /// Read the text on a screenshot
    #[command(
        after_help = "Examples:\n  vigorl read shot.png\n  vigorl read shot.png --overlay lines.png\n  \
                      vigorl read shot.png --json | jq '.lines[] | select(.text == \"Save\") | .box'"
    )]
    Read(ReadArgs),
    /// Print the licences of what is built into this program
    Licenses,
    /// Do a task, or click one thing, in a live browser or on the desktop
    #[command(
        after_help = "Examples:\n  vigorl run \"the blue button\" --url https://example.org\n  vigorl run \"the equals key\" --driver desktop --area window:galculator\n  vigorl run login.yaml --headed\n  vigorl run login.yaml --dry-run\n  vigorl run login.yaml search.yaml --repeat 5 --parallel 2 --junit junit.xml\n  vigorl run tests/*.yaml --retries 1 --report report\n\n\
                            A task is a file such as:\n  name: find a page\n  start: { url: \"http://127.0.0.1:8080/\", viewport: 1280x800 }\n  steps:\n    \
                            - click: the search box\n    - type: \"grounding\"\n    - press: Enter\n  expect:\n    - url_contains: \"/grounding\""
    )]
    Run(RunArgs),
    /// Write a task file while you do the task once
    #[command(
        after_help = "In the browser, targets are written down by their accessible names; on the desktop, by pictures of them. What is typed \
                      into a password field becomes ${secret:PASSWORD}.\n\nExamples:\n  vigorl record search.yaml --url https://example.org\n  \
                      vigorl record sum.yaml --driver desktop --area window:calculator"
    )]
    Record(RecordArgs),
    /// Do a recorded run again without a model, or ask another model what it would have done
    #[command(
        after_help = "Without --model, each recorded point is looked for again: the screen must show what was clicked. With --model, \
                      nothing is done: the model looks at the recorded screenshots.\n\nExamples:\n  \
                      vigorl replay runs/20260101T120000Z-task\n  vigorl replay runs/20260101T120000Z-demo --model ./ViGoRL-3B"
    )]
    Replay(ReplayArgs),
    /// End every run of this user, wherever it was started
    Stop(StopArgs),
    /// Click known places and read back where the clicks arrived; fails beyond one pixel
    #[command(
        after_help = "Examples:\n  vigorl calibrate --device-pixel-ratio 1.5\n  vigorl calibrate --driver desktop --area monitor:2"
    )]
    Calibrate(CalibrateArgs),
    /// Write the report of a recorded run: one HTML file that opens offline
    #[command(
        after_help = "Examples:\n  vigorl report runs/20260101T120000Z-demo\n  vigorl report runs/20260101T120000Z-demo --gif demo.gif"
    )]
    Report(ReportArgs),
    /// Print the JSON schema of task files
    #[command(
        after_help = "Example:\n  vigorl schema > task.schema.json\n\nThen begin a task with `# yaml-language-server: $schema=task.schema.json`, and editors complete and check it."
    )]
    Schema(SchemaArgs),
    /// Look at recorded runs and trainings in a browser: a list, each run step by step, two side by side, and what goes on now
    #[command(
        after_help = "Examples:\n  vigorl view\n  vigorl view runs/20260101T120000Z-demo --port 8090\n\n\
                            Only this machine can open the pages. Nothing is written, and only files of the runs and\n\
                            trainings are shown."
    )]
    View(ViewArgs),
    /// Measure a policy
    #[command(
        after_help = "Examples:\n  vigorl eval practice --episodes 500\n  vigorl eval practice --tier words --vocabulary 40 --episodes 200 --json\n  vigorl eval miniwob --tasks click-test,click-link --eyes auto\n  vigorl eval miniwob --clicker constant --result constant.json\n  vigorl eval screenspot --limit 20\n  vigorl eval screenspot-pro --data ScreenSpot-Pro --model ./ViGoRL-3B --out pro\n\n\
                            Every mode plays the same held-out items. Intervals are Wilson's at 95 %.\n\
                            The random clicker is exact: area of the target / area of the page."
    )]
    Eval(EvalCommand),
    /// What a policy can be sampled and trained in: practice pages, files of screenshots, tasks with a goal
    #[command(subcommand)]
    Env(EnvCommand),
    /// Sample groups of episodes of a policy, and keep every token with its reward
    #[command(
        after_help = "Examples:\n  vigorl rollout practice --groups 16 --group-size 8\n  vigorl rollout shop.yaml --temperature 1 --at-once 2\n  \
                      vigorl rollout screens.jsonl --part held-out --groups 100 --group-size 1\n\n\
                      Nothing is held to a form, searched for or checked: what is kept is what was sampled. The run directory has\n\
                      `rollouts.jsonl`, one line for each sample, and a report in which the samples of a group stand side by side."
    )]
    Rollout(RolloutArgs),
    /// Judge answers, one a line: the rewards that training pays, and the published rules of benchmarks
    #[command(
        after_help = "A line is {\"response\": \"…\", \"ground_truth\": \"…\"}, its verdict {\"overall\": 1.0, \"format\": 1.0, \"accuracy\": 1.0}. Verdicts come in the order \
                      of the lines, each as soon as it is known. A line that cannot be judged gives {\"error\": \"…\"}; the others are judged, and the \
                      exit code is 1.\n\nA file of rewards mixes them with rewards of your own, by a command or an address:\n  \
                      judge = \"point_in_bbox_multicrop\"\n  mode = \"fixed\"\n  [weights]\n  accuracy = 0.6\n  format = 0.4\n  brief = 0.1\n  [own.brief]\n  \
                      command = \"python3 brief.py\"\n  limit_secs = 5\n  bounds = [0, 1]\n\nJudges of benchmarks read and write other lines, which --list names: `screenspot` says \
                      {\"correctness\": \"correct|wrong|wrong_format\"}, and `screenspot-pro-metrics` counts such verdicts.\n\nExamples:\n  vigorl judge --list\n  \
                      vigorl judge point_in_bbox_multicrop answers.jsonl --mode fixed\n  \
                      echo '{\"response\": \"(5, 5)\", \"ground_truth\": \"(0, 0, 10, 10)\"}' | vigorl judge point_in_bbox\n  \
                      vigorl judge rewards.toml answers.jsonl | jq .overall\n  \
                      vigorl judge screenspot answers.jsonl --parser qwen-tool-call"
    )]
    Judge(JudgeArgs),
    /// Train a policy
    #[command(subcommand)]
    Train(TrainCommand),
    /// Render data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Look inside the model, for comparisons with the reference
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Quantize a checkpoint ahead, so that `--dtype int8` or `int4` starts in a moment
    Quantize(QuantizeArgs),
    /// Fetch what a build of this program can lack
    #[command(subcommand)]
    Fetch(FetchCommand),
    /// Measure the program's own speed
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Say what is missing on this machine and how to get it
    Doctor(DoctorArgs),
}

impl Command {
    /// Whether it does something to the world, so that `vigorl stop` must find it.
    pub(crate) fn acts(&self) -> bool {
        let is_played = matches!(self, Self::Eval(eval) if eval.recorded.is_none());
        is_played || matches!(self, Self::Run(_) | Self::Replay(_) | Self::Demo(_) | Self::Calibrate(_))
    }

    /// How many threads one computation should take, where that is not all of them.
    ///
    /// Training runs several workers, and each computes whole micro-batches on its own core. With more threads inside
    /// of one, candle 0.11 splits every operation on elements between all cores and waits for them under one lock: a
    /// step of two workers takes five times as long.
    pub(crate) fn n_threads(&self) -> Option<usize> {
        matches!(self, Self::Train(_) | Self::Bench(BenchCommand::Train(_))).then_some(1)
    }
}

/// The memory of a card.
fn gib(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(gib) if gib.is_finite() && gib > 0.0 => Ok(gib),
        _ => Err("a number of GiB above 0, such as 80".to_owned()),
    }
}

/// A count of something that is pointless without any.
fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

/// `vigorl demo`
#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Number of pages [default: 24]
    #[arg(long, value_parser = at_least_one())]
    pub(crate) episodes: Option<u64>,
    #[command(flatten)]
    pub(crate) pages: PageArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

/// `vigorl locate`
#[derive(Debug, ClapArgs)]
pub(crate) struct LocateArgs {
    /// A screenshot: PNG, JPEG, WebP, GIF or BMP
    pub(crate) image: PathBuf,
    /// What to find, in words
    pub(crate) instruction: String,
    /// Draw thoughts, zooms and the point into this PNG
    #[arg(long, value_name = "PNG")]
    pub(crate) overlay: Option<PathBuf>,
    /// Who looks [default: auto]
    #[arg(long, value_name = "NAME", value_parser = looking_eyes())]
    pub(crate) eyes: Option<String>,
    /// Say what else could be meant, and what speaks for or against it
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) sureness: SurenessArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `vigorl read`
#[derive(Debug, ClapArgs)]
pub(crate) struct ReadArgs {
    /// A screenshot: PNG, JPEG, WebP, GIF or BMP
    pub(crate) image: PathBuf,
    /// Draw a frame around every line into this PNG
    #[arg(long, value_name = "PNG")]
    pub(crate) overlay: Option<PathBuf>,
}

/// `vigorl run`
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// A task file (`.yaml`), several of them, or what to click: on the page of `--url`, or on the desktop
    #[arg(value_name = "TASK.yaml|GOAL", required = true)]
    pub(crate) tasks: Vec<String>,
    /// The page to start on; overrides the task's own
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Another value for a variable of the task; repeat for several
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(crate) vars: Vec<String>,
    /// Secrets of the task, as lines NAME=VALUE; otherwise they come from the environment
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Begin with the cookies and the local storage of this file, as --save-storage writes it, or Playwright; overrides the
    /// task's own
    #[arg(long, value_name = "FILE")]
    pub(crate) storage: Option<PathBuf>,
    /// When the task is solved, write cookies and local storage to this file, with which others begin: log in once. Whoever has
    /// the file is logged in
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) save_storage: Option<PathBuf>,
    /// Work in a browser that runs already with --remote-debugging-port, in a tab of its own, which is closed at the end; all else
    /// in that browser stays as it is
    #[arg(long, value_name = "HOST:PORT", value_parser = BrowserAddress::parse)]
    pub(crate) attach: Option<BrowserAddress>,
    /// Attach to another machine's browser, too: its debugging port has no password, and nothing on the way is encrypted
    #[arg(long, requires = "attach")]
    pub(crate) attach_remote: bool,
    /// Who finds the targets [default: auto]
    #[arg(long, value_name = "NAME", value_parser = eyes(), conflicts_with = "places")]
    pub(crate) eyes: Option<String>,
    /// Find targets by the places that the task file names (selector, name, picture, at), without a model: --eyes places
    #[arg(long)]
    pub(crate) places: bool,
    /// Find and record everything, but do nothing to the page
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also write the run as a rollout, `rollouts.jsonl`: every token that the policy said, with the reward; what somebody
    /// else decided, or what was not freely sampled (--temperature 1), is marked as nothing to learn from
    #[arg(long)]
    pub(crate) record_rollouts: bool,
    #[command(flatten)]
    pub(crate) repetitions: RepetitionArgs,
    #[command(flatten)]
    pub(crate) sureness: SurenessArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) visitor: VisitorArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
    #[command(flatten)]
    pub(crate) texts: RecordTextArgs,
}

/// How often tasks are played, and where that is written.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Repetitions")]
pub(crate) struct RepetitionArgs {
    /// Play each task so often, each time as a run of its own; the exit code is 0 if all are solved [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) repeat: Option<u64>,
    /// So many at a time, on the web [default: 1]
    #[arg(long, value_name = "K", value_parser = at_least_one())]
    pub(crate) parallel: Option<u64>,
    /// Play what is not solved, or failed, up to N times more: what is solved then is counted, and called flaky [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub(crate) retries: Option<u64>,
    /// End with the first task that stays unsolved; the others are not played
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Play only tasks with this tag; repeat for several, of which one is enough
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Play the I-th of N parts of the tasks
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Write the results to this file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write a report of all tasks into this folder: a page with what became of each, why, and a screenshot of that, beside
    /// copies of the runs' reports; it opens without a network, from a CI artifact, too
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

impl RepetitionArgs {
    /// Whether any of it was typed: then even one run is summed up as several are.
    pub(crate) fn are_asked_for(&self) -> bool {
        let is_counted = self.repeat.is_some() || self.retries.is_some() || self.shard.is_some();
        let is_written = self.junit.is_some() || self.report.is_some();
        is_counted || is_written || self.parallel.is_some() || self.fail_fast
    }
}

/// How sure the eyes must be, and where they look where they are not.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct SurenessArgs {
    /// How sure the eyes must be of a point, from 0 to 1: what is less sure is no answer. `run` then looks closer, asks a
    /// person, and without a terminal does nothing there [default: 0.5]
    #[arg(long, value_name = "P")]
    pub(crate) min_confidence: Option<f64>,
    /// Where readings are not sure, show the policy first what is around them, at a quarter of the visual tokens of the
    /// whole screen at most, and the whole only if that leads nowhere [default: off]
    #[arg(long, value_name = "on|off", num_args = 0..=1, default_missing_value = "on", value_parser = ["on", "off"])]
    pub(crate) suggest_regions: Option<String>,
}

/// What holds a run back.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Steps at most; a task that needs more is not done [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) max_steps: Option<u64>,
    /// Actions at most: clicks, typed texts, keys, opened pages; a task that needs more is not done [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) max_actions: Option<u64>,
    /// Seconds at most, from the first step on: nothing is done after them, and the task is not done [default: no end]
    #[arg(long, value_name = "SECS")]
    pub(crate) max_secs: Option<f64>,
    /// Ask on the terminal before these actions, with commas: click, drag, hover, scroll, type, press, select,
    /// upload, navigate, dialog, tab; or all. A no ends the task, not done [default: none]
    #[arg(long, value_name = "KINDS")]
    pub(crate) confirm_actions: Option<String>,
}

/// `vigorl record`
#[derive(Debug, ClapArgs)]
pub(crate) struct RecordArgs {
    /// The task file to write
    #[arg(value_name = "TASK.yaml")]
    pub(crate) file: PathBuf,
    /// The page to start on
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// What the task is called [default: the name of the file]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) visitor: VisitorArgs,
}

/// `vigorl replay`
#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayArgs {
    /// The folder of a recorded run
    pub(crate) run_dir: PathBuf,
    /// Secrets of the task, as lines NAME=VALUE; otherwise they come from the environment
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Begin with the cookies and the local storage of this file [default: that of the run]
    #[arg(long, value_name = "FILE")]
    pub(crate) storage: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) visitor: VisitorArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

/// `vigorl stop`
#[derive(Debug, ClapArgs)]
pub(crate) struct StopArgs {
    /// Do not let a run finish its step and write its summary
    #[arg(long)]
    pub(crate) force: bool,
}

/// `vigorl calibrate`
#[derive(Debug, ClapArgs)]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// `vigorl report`
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// The folder of the run
    pub(crate) run_dir: PathBuf,
    /// Also write the run as an animated GIF: each step before, with the points, and after
    #[arg(long, value_name = "GIF")]
    pub(crate) gif: Option<PathBuf>,
}

/// `vigorl schema`
#[derive(Debug, ClapArgs)]
pub(crate) struct SchemaArgs {
    /// Print that of files of shared steps, which tasks `use`
    #[arg(long)]
    pub(crate) shared_steps: bool,
}

/// `vigorl view`
#[derive(Debug, ClapArgs)]
pub(crate) struct ViewArgs {
    /// A folder of runs and trainings, or one of them [default: where runs are recorded]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// The port on this machine [default: a free one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

/// `vigorl eval`
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(crate) struct EvalCommand {
    /// What is made of recorded answers.
    #[command(subcommand)]
    pub(crate) recorded: Option<EvalRecordedCommand>,
    #[command(flatten)]
    pub(crate) args: EvalArgs,
}

/// What is made of recorded answers, without a model.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalRecordedCommand {
    /// Put the parts of a run together, compare runs, and write a page with what went wrong
    #[command(
        after_help = "Examples:\n  vigorl eval screenspot --data ScreenSpot --model ./ViGoRL-3B --shard 1/4 --out part1\n  vigorl eval report part1 part2 part3 part4\n  vigorl eval report mine theirs --html compared.html\n\n\
                      Folders of one run, played in parts, are one column; its table is that of a run in one piece. Runs on the same items are\n\
                      compared by McNemar's exact test. Intervals are Wilson's, and a bootstrap of whole screenshots."
    )]
    Report(EvalReportArgs),
    /// Judge recorded answers again, by another rule
    #[command(after_help = "Example:\n  vigorl eval rescore pro --judge vigorl-grounding")]
    Rescore(EvalRescoreArgs),
    /// Count how a policy looks: regions, zooms and turns by its points, and with --judge what another model reads in its words
    #[command(
        after_help = "Examples:\n  vigorl eval behaviour pro\n  vigorl eval behaviour pro --judge --base-url http://127.0.0.1:8000/v1 --served-model judge --limit 300\n\n\
                      The judge is asked four questions about each item: regions, subgoals, verification, backtracking."
    )]
    Behaviour(Box<EvalBehaviourArgs>),
    /// Say which rows of published tables can be true
    Published,
}

/// `vigorl eval report`
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalReportArgs {
    /// Folders that `vigorl eval … --out` has written
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Where the page goes [default: report.html in the first folder]
    #[arg(long, value_name = "HTML")]
    pub(crate) html: Option<PathBuf>,
    /// So many items with their pictures, of each run, the surest first [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) failures: Option<u64>,
    /// Show items that are right, too
    #[arg(long)]
    pub(crate) all_items: bool,
}

/// `vigorl eval rescore`
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalRescoreArgs {
    /// Folders that `vigorl eval … --out` has written, all of one run
    #[arg(value_name = "RESULTS", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// The rule
    #[arg(long, value_name = "NAME", value_parser = rejudges())]
    pub(crate) judge: String,
    /// Also write the lines with the new verdicts
    #[arg(long, value_name = "JSONL")]
    pub(crate) items: Option<PathBuf>,
}

/// `vigorl eval behaviour`
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalBehaviourArgs {
    /// Folders that `vigorl eval … --out` has written, all of one run
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Also ask a model, that of --base-url or --model, to count behaviours in the words
    #[arg(long)]
    pub(crate) judge: bool,
    /// Ask it about so many items [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) limit: Option<u64>,
    /// Write what it counted in each item
    #[arg(long, value_name = "JSONL")]
    pub(crate) items: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `vigorl eval NAME`
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalArgs {
    /// What is played
    #[arg(value_name = "NAME", value_parser = evaluations(), required = true)]
    name: Option<String>,
    /// Folders of labelled screenshots, for `pages`
    #[arg(value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// The folder of a data set; for miniwob its pages, as a folder or a wheel [default: data/miniwob]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Number of items, for miniwob of each task [default: all; practice: 500 pages; miniwob: as in the protocol]
    #[arg(long, value_parser = at_least_one())]
    pub(crate) episodes: Option<u64>,
    /// Who looks [default: auto for pages and miniwob, policy for the others]
    #[arg(long, value_name = "NAME", value_parser = looking_eyes())]
    pub(crate) eyes: Option<String>,
    /// For pages: in which words a label is asked for, with {} for the label; repeat for several [default: {}]
    #[arg(long = "wording", value_name = "WORDS")]
    pub(crate) wordings: Vec<String>,
    /// How the policy is asked [default: both for practice, otherwise as its preset says]
    #[arg(long, value_enum)]
    pub(crate) turns: Option<TurnsArg>,
    #[command(flatten)]
    pub(crate) sureness: SurenessArgs,
    /// Record the run with screenshots and a report
    #[arg(long)]
    pub(crate) record: bool,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "JSON")]
    pub(crate) result: Option<PathBuf>,
    /// Also write a line of JSON for each item: what was asked, what was answered, and whether that was right
    #[arg(long, value_name = "JSONL")]
    pub(crate) items: Option<PathBuf>,
    /// Record all of it in this folder: a line for each item in items.jsonl as soon as it was played, result.json, and for
    /// screenspot-pro the file that its own harness writes; the same command goes on where it was broken off
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Play a part of the items alone, such as 1/4 for the first of four; `vigorl eval report` puts their folders together
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// So many items at a time, each with a browser of its own where one is needed [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) concurrency: Option<u64>,
    /// Draw the answers of a sampled policy so often, with --seed and those behind it [default: 1]
    #[arg(long, value_name = "K", value_parser = at_least_one())]
    pub(crate) seeds: Option<u64>,
    /// Fit what the confidences of these eyes mean on what was played, and put it into this confidence.json
    #[arg(long, value_name = "JSON", requires = "domain")]
    pub(crate) fit_confidence: Option<PathBuf>,
    /// The name of what it is fitted on
    #[arg(long, value_name = "NAME", requires = "fit_confidence")]
    pub(crate) domain: Option<String>,
    #[command(flatten)]
    pub(crate) pages: PageArgs,
    #[command(flatten)]
    pub(crate) miniwob: MiniWobArgs,
    #[command(flatten)]
    pub(crate) set: SetArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

impl EvalArgs {
    /// What is played; nothing only where recorded answers are looked at.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// Which tasks of MiniWoB++ are played, and under which rules.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "MiniWoB++")]
pub(crate) struct MiniWobArgs {
    /// The tasks, by name, with commas between them [default: all of the protocol]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) tasks: Vec<String>,
    /// Under which rules [default: browsergym]
    #[arg(long, value_enum)]
    pub(crate) protocol: Option<ProtocolArg>,
    /// What is to be seen [default: as in the protocol]
    #[arg(long, value_enum)]
    pub(crate) view: Option<ViewArg>,
    /// Nobody looks, a baseline clicks
    #[arg(long, value_enum, conflicts_with = "eyes")]
    pub(crate) clicker: Option<ClickerArg>,
}

impl MiniWobArgs {
    pub(crate) fn is_any(&self) -> bool {
        let names = !self.tasks.is_empty() || self.protocol.is_some() || self.view.is_some();
        names || self.clicker.is_some()
    }
}

/// What of a published data set is asked, and how it is read.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Data sets")]
pub(crate) struct SetArgs {
    /// So many items: the first ones of a shuffle that is always the same [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) limit: Option<u64>,
    /// What the numbers of a box are, where the layout does not say it, or says it wrongly [default: by the layout]
    #[arg(long, value_enum)]
    pub(crate) bbox_format: Option<BoxFormatArg>,
    /// Leave out broken items and missing lists, and say which; without it, nothing is played
    #[arg(long)]
    pub(crate) skip_broken: bool,
    /// For screenspot-pro: in which words an item is asked for [default: instruction]
    #[arg(long, value_enum)]
    pub(crate) instruction_style: Option<InstructionStyleArg>,
    /// For screenspot-pro: in which language [default: en]
    #[arg(long, value_enum)]
    pub(crate) language: Option<LanguageArg>,
    /// For screenspot-pro: items whose target is there, or is not [default: positive]
    #[arg(long, value_enum)]
    pub(crate) gt_type: Option<GtTypeArg>,
    /// For osworld-g: ask in the refined instructions
    #[arg(long)]
    pub(crate) refined: bool,
    /// For vstar, blink and sat2: in which order the options are told [default: shuffled; blink: as-given]
    #[arg(long, value_enum)]
    pub(crate) options: Option<OptionsArg>,
    /// For blink and sat2: which part, `val` or `test` [default: val]
    #[arg(long, value_name = "PART")]
    pub(crate) part: Option<String>,
}

impl SetArgs {
    /// Whether anything was typed that is for boxes on pictures alone.
    pub(crate) fn is_of_boxes(&self) -> bool {
        let is_of_pro = self.instruction_style.is_some() || self.language.is_some() || self.gt_type.is_some();
        is_of_pro || self.bbox_format.is_some() || self.skip_broken || self.refined
    }
}

/// In which order options are told.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OptionsArg {
    /// As the set has them
    AsGiven,
    /// In an order that depends on the question alone
    Shuffled,
    /// Each once in front: a question counts in `circular` only if it is answered rightly every time
    Circular,
}

/// What the four numbers of a box are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BoxFormatArg {
    /// Left, top, width, height in pixels
    XywhPx,
    /// Left, top, right, bottom in pixels
    XyxyPx,
    /// Left, top, width, height as shares of the picture
    XywhNorm,
    /// Left, top, right, bottom as shares of the picture
    XyxyNorm,
}

/// In which words of ScreenSpot-Pro.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum InstructionStyleArg {
    /// The field `instruction`
    Instruction,
    /// The field `action`, which the published files do not have
    Action,
    /// The field `description`, which the published files do not have
    Description,
}

/// In which language of ScreenSpot-Pro.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LanguageArg {
    /// English
    En,
    /// Chinese: the field `instruction_cn`
    Cn,
}

/// Which items of ScreenSpot-Pro.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GtTypeArg {
    /// The target is there
    Positive,
    /// It is not: right is to answer that, and to click nothing
    Negative,
    /// Both
    All,
}

/// The rules of MiniWoB++.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProtocolArg {
    /// BrowserGym's: 10 steps, raw reward above 0, the words are taken off the page
    Browsergym,
    /// Pix2Act's: 30 steps, raw reward above 0, the task alone
    Pix2act,
    /// SeeClick's: 10 steps, decayed reward above 0.8, the task alone
    Seeclick,
}

/// What of a page of MiniWoB++ is to be seen.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ViewArg {
    /// The window of BrowserGym, 332x214
    Page,
    /// The task alone, 160x210
    Task,
}

/// Baselines of MiniWoB++.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ClickerArg {
    /// One click, uniformly over the screen
    Random,
    /// As many of them as the protocol has steps
    RandomAllSteps,
    /// One click on the point of a grid that earned most on seeds to learn from
    Constant,
}

impl RunArgs {
    /// A task file, and nothing that was typed beside it.
    pub(crate) fn of_task(task: &Path) -> Self {
        Self {
            tasks: vec![task.display().to_string()],
            url: None,
            vars: Vec::new(),
            secrets: None,
            storage: None,
            save_storage: None,
            attach: None,
            attach_remote: false,
            eyes: None,
            places: false,
            dry_run: false,
            record_rollouts: false,
            repetitions: RepetitionArgs::default(),
            sureness: SurenessArgs::default(),
            limits: LimitArgs::default(),
            policy: PolicyArgs::default(),
            endpoint: EndpointArgs::default(),
            browser: BrowserArgs::default(),
            visitor: VisitorArgs::default(),
            run: RunDirArgs::default(),
            texts: RecordTextArgs::default(),
        }
    }

    /// The name of the eyes that are asked for.
    pub(crate) fn eyes(&self) -> &str {
        match (&self.eyes, self.places) {
            (Some(name), _) => name,
            (None, true) => eyes::PLACES,
            (None, false) => eyes::by_default(),
        }
    }

    /// Whether targets are where the task says, and nobody looks.
    pub(crate) fn is_by_places(&self) -> bool {
        self.eyes() == eyes::PLACES
    }
}

/// The names of the eyes that look at pixels.
fn looking_eyes() -> PossibleValuesParser {
    let value = |(name, help): &(&'static str, &'static str)| PossibleValue::new(*name).help(*help);
    PossibleValuesParser::new(eyes::NAMED.iter().filter(|(name, _)| *name != eyes::PLACES).map(value))
}

/// The names of all eyes, with who decides.
fn eyes() -> PossibleValuesParser {
    let value = |(name, about): &(&'static str, &'static str)| PossibleValue::new(*name).help(*about);
    PossibleValuesParser::new(eyes::NAMED.iter().map(value))
}

/// How much of what is read can be recorded.
fn record_texts() -> PossibleValuesParser {
    let value =
        |(name, _, about): (&'static str, RecordText, &'static str)| PossibleValue::new(name).help(about);
    PossibleValuesParser::new(RecordText::NAMED.map(value))
}

/// The names of all evaluations, with what they measure.
fn evaluations() -> PossibleValuesParser {
    let value = |named: &vigorl_benchmarks::Named| PossibleValue::new(named.name).help(named.about);
    PossibleValuesParser::new(vigorl_benchmarks::EVALUATIONS.iter().map(value))
}

/// The names of all judges of recorded answers, with what they ask for.
fn rejudges() -> PossibleValuesParser {
    PossibleValuesParser::new(Rejudge::NAMED.map(|(name, _, about)| PossibleValue::new(name).help(about)))
}

/// `vigorl judge`
#[derive(Debug, ClapArgs)]
pub(crate) struct JudgeArgs {
    /// Who judges: a name of `--list`, or a file of rewards and weights
    #[arg(value_name = "NAME|REWARDS.toml", required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// Answers as lines of JSON; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// How exactly the published rewards are followed [default: reference]
    #[arg(long, value_name = "MODE", value_parser = reward_modes())]
    pub(crate) mode: Option<String>,
    /// How `screenspot` reads a point in a response
    #[arg(long, value_name = "PARSER", value_parser = parsers())]
    pub(crate) parser: Option<String>,
    /// Print the names of all judges, what they read and write, what the modes do, and what the parsers read
    #[arg(long)]
    pub(crate) list: bool,
}

/// The modes of rewards, with what they do.
fn reward_modes() -> PossibleValuesParser {
    let value = |(name, _, about): (&'static str, Mode, &'static str)| PossibleValue::new(name).help(about);
    PossibleValuesParser::new(Mode::NAMED.map(value))
}

/// The parsers of responses, with what they read.
fn parsers() -> PossibleValuesParser {
    let value = |(name, _, about): (&'static str, scoring::Parser, &'static str)| {
        PossibleValue::new(name).help(about)
    };
    PossibleValuesParser::new(scoring::Parser::NAMED.map(value))
}

/// Which modes are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TurnsArg {
    /// With zooms
    Multi,
    /// Without
    Single,
    /// One after the other on each page
    Both,
}

/// `vigorl env`
#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// Names of environments, and what they are
    List,
    /// Find out whether environments keep what learning relies on; fails if one does not
    #[command(
        after_help = "Examples:\n  vigorl env check practice\n  vigorl env check shop.yaml screens.jsonl --seeds 5 --json\n\n\
                      Checked: the same seed gives the same first screenshot; doing nothing earns nothing; a click on what is asked\n\
                      for earns 1, where somebody knows it; a step before a reset is an error; only a limit truncates; nothing that is\n\
                      held out is learned from."
    )]
    Check(Box<EnvCheckArgs>),
}

/// `vigorl env check`
#[derive(Debug, ClapArgs)]
pub(crate) struct EnvCheckArgs {
    /// Environments, as `vigorl env list` names them
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Episodes of each part that are played
    #[arg(long, default_value_t = 3, value_parser = at_least_one())]
    pub(crate) seeds: u64,
    /// Episodes of each part whose first screenshots are compared with the other part's [default: all of a file of
    /// screenshots, 20 of others]
    #[arg(long, value_parser = at_least_one())]
    pub(crate) compared: Option<u64>,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// `vigorl rollout`
#[derive(Debug, ClapArgs)]
#[command(
    mut_arg("seed", |arg| arg.help("Seed of what the policy draws; --first chooses the episodes [default: 0]")),
    mut_arg("temperature", |arg| arg.help("0 is greedy, and teaches nothing [default: 1]")),
    mut_arg("top_p", |arg| arg.help("Nucleus mass, 1 keeps all [default: 0.99]")),
    mut_arg("constrain", |arg| {
        arg.help("Refused if it is on: what a form asks for was not drawn, and nothing can be learned from it")
    })
)]
pub(crate) struct RolloutArgs {
    /// The environment, as `vigorl env list` names it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Groups: episodes that are different [default: 8, or as many as there are]
    #[arg(long, value_parser = at_least_one())]
    pub(crate) groups: Option<u64>,
    /// Samples of each
    #[arg(long, default_value_t = 8, value_parser = at_least_one())]
    pub(crate) group_size: u64,
    /// The number of the first episode: it chooses what is played, and --seed what is drawn in it
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Episodes to learn from, or those that are held out
    #[arg(long, value_enum, default_value_t = PartArg::Train)]
    pub(crate) part: PartArg,
    /// Episodes that are played at once, each in a browser of its own
    #[arg(long, default_value_t = 2, value_parser = at_least_one())]
    pub(crate) at_once: u64,
    /// Longest time of an episode in seconds; one that takes longer is an error of the world, and no sample
    #[arg(long, value_name = "SECS", default_value_t = 120.0)]
    pub(crate) episode_secs: f64,
    /// A file of rewards: who says what a sample is worth, and what counts how much, as for `vigorl judge`; the world says
    /// `environment` and `clauses`, and to a judge whether the answer is right [default: what the environment pays]
    #[arg(long, value_name = "TOML")]
    pub(crate) rewards: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limit: EpisodeArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

/// How long an episode is.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct EpisodeArgs {
    /// Actions of an episode of a task with a `goal`, at most [default: 10]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) max_steps: Option<u64>,
}

/// For learning, or for measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartArg {
    /// For learning
    Train,
    /// For measuring
    HeldOut,
}

/// `vigorl train`
#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Supervised warm start; resumes an interrupted run
    #[command(after_help = "Example:\n  vigorl train sft training/configs/nano.toml")]
    Sft(TrainSftArgs),
    /// Learn from the rewards of environments; resumes an interrupted run
    #[command(
        after_help = "Example:\n  vigorl train grpo shop.toml --set run.seed=2 --set group.size=16\n\n\
                            A configuration says where it learns, and what differs from a preset:\n\n  \
                            preset = \"nano\"\n  [run]\n  output_dir = \"data/shop\"\n  [[environment]]\n  name = \"shop.yaml\"\n  weight = 1\n\n\
                            The presets are training/configs/grpo_*.toml; docs/learning.md explains each value."
    )]
    Grpo(Box<TrainGrpoArgs>),
    /// Put trainings side by side: what each came to, and seeds of one configuration as a group
    #[command(after_help = "Examples:\n  vigorl train compare data/icons-1 data/icons-2 data/icons-3\n  \
                      vigorl train compare data/low-* data/high-* --measure pass_at_k --output compare.html\n\n\
                      Trainings are of one group if their config.toml differs in run.seed and run.output_dir alone.")]
    Compare(TrainCompareArgs),
    /// Play recorded rollouts again, and find out whether every token, click and reward is the same
    #[command(after_help = "Example:\n  vigorl train replay-rollout runs/20260101T120000Z-rollout-practice")]
    ReplayRollout(Box<ReplayRolloutArgs>),
    /// Write recorded rollouts as JSON lines that TRL or verl reads
    #[command(
        after_help = "Example:\n  vigorl train export-rollouts runs/20260101T120000Z-rollout-practice --format trl --output practice.jsonl\n\n\
                            Left out and counted: what has no reward, what was not sampled freely, and what these options leave out."
    )]
    ExportRollouts(ExportRolloutsArgs),
}

/// `vigorl train export-rollouts`
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportRolloutsArgs {
    /// The run directory
    pub(crate) dir: PathBuf,
    /// Who reads the lines
    #[arg(long, value_enum)]
    pub(crate) format: TrainerArg,
    /// The file to write
    #[arg(long, value_name = "JSONL")]
    pub(crate) output: PathBuf,
    /// Leave out episodes that are worth less [default: none]
    #[arg(long, value_name = "REWARD", allow_negative_numbers = true, value_parser = finite)]
    pub(crate) min_reward: Option<f64>,
    /// Episodes to learn from, or those that are held out
    #[arg(long, value_enum, default_value_t = PartArg::Train)]
    pub(crate) part: PartArg,
    /// Write absolute paths of pictures instead of paths that begin in the folder of the written file
    #[arg(long)]
    pub(crate) absolute_paths: bool,
}

/// A number that others can be compared with.
fn finite(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| "it is no finite number".to_owned())
}

/// Trainers elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrainerArg {
    /// Prompt and completion with pictures, one line for each turn
    Trl,
    /// Prompt and whole conversation with pictures, one line for each action
    Verl,
}

/// `vigorl train replay-rollout`
#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayRolloutArgs {
    /// The run directory
    pub(crate) dir: PathBuf,
    /// Samples that are played again [default: all]
    #[arg(long, value_parser = at_least_one())]
    pub(crate) limit: Option<u64>,
    /// Episodes that are played at once
    #[arg(long, default_value_t = 2, value_parser = at_least_one())]
    pub(crate) at_once: u64,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// `vigorl train sft`
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainSftArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// Where a training computes.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct ComputeArgs {
    /// Where to compute; cuda must be built in, with the feature of that name [default: cpu]
    #[arg(long, value_parser = ["cpu", "cuda", "metal"])]
    pub(crate) device: Option<String>,
    /// Numbers of the weights that stay as they are beside the adapters of `train grpo`; what moves is f32 [default: f32]
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub(crate) dtype: Option<String>,
}

/// `vigorl train grpo`
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainGrpoArgs {
    /// The configuration
    pub(crate) config: PathBuf,
    /// A value that is other than in the file, by its dotted name; repeat for several
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Learn nothing: say how much memory it would take on a card, part by part, and whether one of N GiB (without N: 80)
    /// has so much
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "80", value_parser = gib)]
    pub(crate) memory: Option<f64>,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// `vigorl train compare`
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainCompareArgs {
    /// Folders of trainings
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// The held-out metric [default: greedy; of a supervised training in_box]
    #[arg(long, value_name = "NAME")]
    pub(crate) measure: Option<String>,
    /// Write a page of the curves, and beside it the same as PNG
    #[arg(long, value_name = "HTML")]
    pub(crate) output: Option<PathBuf>,
}

/// `vigorl data`
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Practice pages with their truth, many per screenshot; continues an interrupted rendering
    #[command(
        after_help = "Example:\n  vigorl data practice data/icons --pages 20000 --split train --viewport 1920x1600"
    )]
    Practice(DataPracticeArgs),
    /// Screenshots of your own app with names and boxes of what stands there, from the pages that tasks start on
    #[command(
        after_help = "Examples:\n  vigorl data app data/shop shop.yaml\n  vigorl env check data/shop/pairs.jsonl\n  vigorl rollout data/shop/pairs.jsonl\n\n\
                      The page tells what stands where, and the reader what is written. What a task's own steps ask for is left out."
    )]
    App(DataAppArgs),
}

/// `vigorl data app`
#[derive(Debug, ClapArgs)]
pub(crate) struct DataAppArgs {
    /// The folder to write, which must be new or empty
    pub(crate) folder: PathBuf,
    /// Task files or other environments (`vigorl env list`); of each, the page that it starts on is shown
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Episodes of each part of each, if there are so many
    #[arg(long, default_value_t = 8, value_parser = at_least_one())]
    pub(crate) episodes: u64,
    /// How often each page is scrolled down
    #[arg(long, default_value_t = 4)]
    pub(crate) scrolls: u64,
    /// Clicks behind each first page, on things that have a name there; the pages that they lead to are shown, too. Whatever
    /// the clicks do is done: name an app that may be clicked around in
    #[arg(long, default_value_t = 0)]
    pub(crate) clicks: u64,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// `vigorl data practice`
#[derive(Debug, ClapArgs)]
pub(crate) struct DataPracticeArgs {
    /// The folder to write
    pub(crate) folder: PathBuf,
    /// Number of pages
    #[arg(long, value_parser = at_least_one())]
    pub(crate) pages: u64,
    /// Also write each page as a screenshot with a box, in `screens.jsonl`: an environment that needs no browser
    #[arg(long)]
    pub(crate) screens: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
}

/// Which practice pages.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Pages")]
pub(crate) struct PageArgs {
    /// What must be read: nothing but shapes, or words [default: icons]
    #[arg(long, value_enum)]
    pub(crate) tier: Option<TierArg>,
    /// Words of the words tier [default: 40]
    #[arg(long, value_name = "N")]
    pub(crate) vocabulary: Option<usize>,
    /// From which part of the world [default: held-out; train for `data`]
    #[arg(long, value_enum)]
    pub(crate) split: Option<SplitArg>,
    /// Size of a page in CSS pixels [default: 192x160]
    #[arg(long, value_name = "WxH")]
    pub(crate) canvas: Option<String>,
    /// Widgets beside the target, as a range [default: 4..8]
    #[arg(long, value_name = "MIN..MAX")]
    pub(crate) distractors: Option<String>,
    /// Shorter sides of widgets in pixels, as a range [default: 8..60]
    #[arg(long, value_name = "MIN..MAX")]
    pub(crate) sizes: Option<String>,
    /// Number of the first page [default: the seed]
    #[arg(long, value_name = "N")]
    pub(crate) first_page: Option<u64>,
}

impl PageArgs {
    /// Whether anything is said about the pages.
    pub(crate) fn is_any(&self) -> bool {
        let Self { tier, vocabulary, split, canvas, distractors, sizes, first_page } = self;
        tier.is_some()
            || vocabulary.is_some()
            || split.is_some()
            || canvas.is_some()
            || distractors.is_some()
            || sizes.is_some()
            || first_page.is_some()
    }
}

/// The tiers of practice pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierArg {
    /// Colored shapes, checkboxes, radios, crosses, sliders
    Icons,
    /// Buttons, links, fields and tabs with words
    Words,
}

/// The splits of practice pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArg {
    /// For learning
    Train,
    /// For measuring
    HeldOut,
    /// For measuring on words no training page shows
    HeldOutWords,
}

/// `vigorl inspect`
#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// One forward pass into a safetensors file: ids, positions, pixels, embeddings, hidden states, logits
    Forward(InspectForwardArgs),
    /// Generate and print the token ids as JSON
    Generate(InspectGenerateArgs),
}

/// What is shown to the model.
#[derive(Debug, ClapArgs)]
pub(crate) struct PromptArgs {
    /// An image; repeat for several
    #[arg(long = "image", value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// The text after the images
    #[arg(long)]
    pub(crate) text: String,
    /// Instead of the checkpoint's own system prompt
    #[arg(long)]
    pub(crate) system: Option<String>,
}

/// `vigorl inspect forward`
#[derive(Debug, ClapArgs)]
pub(crate) struct InspectForwardArgs {
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// The file to write
    #[arg(long, value_name = "SAFETENSORS")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// `vigorl inspect generate`
#[derive(Debug, ClapArgs)]
pub(crate) struct InspectGenerateArgs {
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// Tokens at most [default: 64]
    #[arg(long, value_name = "N")]
    pub(crate) max_new_tokens: Option<usize>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// `vigorl quantize`
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The file lies beside the checkpoint and is mapped when the same dtype is asked for. It is \
    ignored when the weights have changed since, and may be deleted at any time."
)]
pub(crate) struct QuantizeArgs {
    /// A checkpoint folder, or ORG/NAME on the hub
    #[arg(long, value_name = "DIR|ORG/NAME")]
    pub(crate) model: String,
    /// 8 bits (3.9 GB for a 3B checkpoint) or 4 (2.3 GB)
    #[arg(long, value_parser = dtypes(&["int8", "int4"]), default_value = "int8")]
    pub(crate) dtype: String,
}

/// `vigorl fetch`
#[derive(Debug, Subcommand)]
pub(crate) enum FetchCommand {
    /// The text models, for a program that was built without them
    #[command(
        after_help = "The files are known by their SHA-256, wherever they come from. They are put into $XDG_CACHE_HOME/vigorl (~/.cache/vigorl), \
                      where a program looks that has no text models inside. HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are \
                      honoured.\n\nExamples:\n  vigorl fetch reader\n  vigorl fetch reader --from someone/mirror"
    )]
    Reader(FetchReaderArgs),
}

/// `vigorl fetch reader`
#[derive(Debug, ClapArgs)]
pub(crate) struct FetchReaderArgs {
    /// The repository on the hub that has the files, in whatever folder
    #[arg(long, value_name = "ORG/NAME", default_value = "RapidAI/RapidOCR")]
    pub(crate) from: String,
}

/// `vigorl bench`
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// What a step costs besides the model, at 1280x800 with a scripted policy
    Step(BenchStepArgs),
    /// How fast the engine is at the sizes of published checkpoints, with random weights
    Engine(BenchEngineArgs),
    /// How much faster several conversations are continued at once than one after the other, with the embedded policy
    Batch(BenchBatchArgs),
    /// What an evaluation costs besides the model, on pictures of 3840x2160 with a policy that takes its time
    Eval(BenchEvalArgs),
    /// How long a training step of the embedded policy takes
    Train(BenchTrainArgs),
    /// How fast text is read: whole screenshots that this program draws, and the networks alone
    Read(BenchReadArgs),
}

/// `vigorl bench step`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchStepArgs {
    /// Measured steps [default: 60]
    #[arg(long)]
    pub(crate) steps: Option<usize>,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

/// `vigorl bench eval`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchEvalArgs {
    /// Items [default: 300]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) items: Option<u64>,
    /// Seconds that the policy takes for an item
    #[arg(long, value_name = "SECS", default_value_t = 1.0)]
    pub(crate) policy_secs: f64,
    /// So many items at a time [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) concurrency: Option<u64>,
}

/// `vigorl bench engine`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchEngineArgs {
    /// Which sizes: those of Qwen2.5-VL-3B (7.5 GB are written) or -7B (16.6 GB)
    #[arg(long, value_parser = ["3b", "7b"], default_value = "3b")]
    pub(crate) size: String,
    /// Storage of the weights; several are measured one after the other
    #[arg(long, value_delimiter = ',', default_value = "int8,int4",
          value_parser = dtypes(&ALL_DTYPES))]
    pub(crate) dtype: Vec<String>,
    /// Where to compute, as in `locate`; on a card choose --dtype bf16
    #[arg(long, value_parser = ["cpu", "cuda", "metal"], default_value = "cpu")]
    pub(crate) device: String,
    /// Counted repetitions, behind one that is not
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) repeats: u8,
    /// Where the checkpoint is, or is written to [default: data/bench-engine-SIZE]
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Also measure this program on the same weights and as many tokens, and print ratios; several with commas. On a
    /// card, transformers in f32 and bf16
    #[arg(long, value_delimiter = ',', value_parser = ["transformers-f32", "transformers-bf16", "transformers-int8", "llama.cpp-q8_0", "llama.cpp-q4_0"])]
    pub(crate) against: Vec<String>,
    /// The Python that has torch and transformers (`make parity` installs both there); llama.cpp is fetched and
    /// built with it
    #[arg(long, value_name = "FILE", default_value = ".venv/bin/python")]
    pub(crate) python: PathBuf,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
    /// Measures one storage in this process and prints it: what the command does for each, so that memory is
    /// counted apart
    #[arg(long, hide = true)]
    pub(crate) alone: bool,
}

/// `vigorl bench batch`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchBatchArgs {
    /// Conversations of a round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) conversations: u16,
    /// Counted rounds, behind one that is not
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Completions of one prompt in the large group
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) group: u16,
    /// Storage of the weights
    #[arg(long, default_value = "f32", value_parser = dtypes(&ALL_DTYPES))]
    pub(crate) dtype: String,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
}

/// `vigorl bench train`
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchTrainArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Instead of a step of supervised training: the update of this run of `vigorl train grpo`, on the rollouts that it
    /// played last
    #[arg(long, value_name = "RUN_DIR")]
    pub(crate) update: Option<PathBuf>,
    /// Counted steps, behind two that are not
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: u16,
    /// Also take the same step in this program, on the same rows, compare losses and print ratios
    #[arg(long, value_parser = ["transformers"])]
    pub(crate) against: Option<String>,
    /// The Python that has torch and transformers (`make parity` installs both there)
    #[arg(long, value_name = "FILE", default_value = ".venv/bin/python")]
    pub(crate) python: PathBuf,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
}

/// `vigorl bench read`
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  vigorl bench read                          seconds and memory of whole screenshots\n  \
                        vigorl bench read --against onnxruntime    the networks alone, in turns with onnxruntime\n\n\
                        The second one needs a Python that has onnxruntime and numpy:\n  \
                        python3 -m venv .venv && .venv/bin/pip install onnxruntime numpy"
)]
pub(crate) struct BenchReadArgs {
    /// Rounds; each reads every picture once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) rounds: u8,
    /// Instead, compute the networks alone in turns with this program, compare their answers, and print ratios
    #[arg(long, value_parser = ["onnxruntime"])]
    pub(crate) against: Option<String>,
    /// With --against: repetitions in each round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) repeats: u8,
    /// With --against: the folder of both models as they were published, which `make setup` fetches
    #[arg(long, value_name = "DIR", default_value = "grounding/reader/weights")]
    pub(crate) weights: PathBuf,
    /// The Python that has onnxruntime and numpy
    #[arg(long, value_name = "FILE", default_value = ".venv/bin/python")]
    pub(crate) python: PathBuf,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) result: Option<PathBuf>,
}

/// `vigorl doctor`
#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    #[command(flatten)]
    pub(crate) browser: BrowserArgs,
    #[command(flatten)]
    pub(crate) run: RunDirArgs,
}

/// The eyes.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// `nano` or `nano-full` (embedded), a checkpoint folder, or ORG/NAME on the hub [default: nano]
    #[arg(long, value_name = "nano|DIR|ORG/NAME")]
    pub(crate) model: Option<String>,
    /// How the checkpoint is spoken to [default: by its name]
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(vigorl_policy::Preset::NAMES))]
    pub(crate) preset: Option<String>,
    /// Storage of the weights; int8 and int4 are made while loading [default: f32]
    #[arg(long, value_parser = dtypes(&ALL_DTYPES))]
    pub(crate) dtype: Option<String>,
    /// Where to compute; cuda and metal must be built in, with the feature of that name [default: cpu]
    #[arg(long, value_parser = ["cpu", "cuda", "metal"])]
    pub(crate) device: Option<String>,
    /// Seed of pages and of sampling [default: 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// 0 is greedy [default: 0]
    #[arg(long)]
    pub(crate) temperature: Option<f64>,
    /// Nucleus mass, 1 keeps all [default: 1]
    #[arg(long)]
    pub(crate) top_p: Option<f64>,
    /// Hold turns to the protocol's form: what it fixes is appended unsampled, so there are fewer passes of the
    /// network, and every turn can be read; but log-probabilities and confidence are no longer those of free
    /// sampling, and a policy that has lost its way acts all the same [default: off]
    #[arg(long, value_name = "on|off", num_args = 0..=1, default_missing_value = "on", value_parser = ["on", "off"])]
    pub(crate) constrain: Option<String>,
    /// Reduce larger screenshots and crops to this many pixels: fewer visual tokens, so less time and memory, but
    /// small things blur; `locate -v` and `doctor` say what it saves [default: by preset or checkpoint]
    #[arg(long, value_name = "N")]
    pub(crate) max_pixels: Option<u64>,
    /// Turns at most, the answer included; 1 forbids zooming [default: by preset]
    #[arg(long, value_name = "N")]
    pub(crate) max_turns: Option<usize>,
    /// Half side of a zoom's window in screenshot pixels [default: by preset]
    #[arg(long, value_name = "PX")]
    pub(crate) crop_offset_px: Option<u32>,
    /// Side a zoom is enlarged to, in pixels [default: by preset]
    #[arg(long, value_name = "PX")]
    pub(crate) crop_size_px: Option<u32>,
    /// Whether a zoom's point is marked with a red dot [default: by preset]
    #[arg(long, value_name = "draw|omit", num_args = 0..=1, default_missing_value = "draw", value_parser = ["draw", "omit"])]
    pub(crate) dot: Option<String>,
}

/// Somebody else's weights.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Endpoint")]
pub(crate) struct EndpointArgs {
    /// Ask a model behind this address instead, of a server that speaks OpenAI's chat completions, such as vLLM or SGLang;
    /// the key, if it wants one, is in OPENAI_API_KEY [default: none]
    #[arg(long, value_name = "URL", conflicts_with = "model")]
    pub(crate) base_url: Option<String>,
    /// Which of the server's models [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) served_model: Option<String>,
    /// Pixels of a picture that the server shows its model at most; larger ones are reduced here, as its processor would
    /// [default: by preset]
    #[arg(long, value_name = "N")]
    pub(crate) served_max_pixels: Option<u64>,
    /// Pixels of a picture that the server shows its model at least; smaller ones are enlarged here [default: by preset]
    #[arg(long, value_name = "N")]
    pub(crate) served_min_pixels: Option<u64>,
    /// Longest wait for one whole answer of the server, in seconds [default: 300]
    #[arg(long, value_name = "SECS")]
    pub(crate) request_secs: Option<f64>,
}

/// The hands and the camera.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Browser")]
pub(crate) struct BrowserArgs {
    /// Which world: a browser of its own, or the desktop that `DISPLAY` names [default: web]
    #[arg(long, value_parser = ["web", "desktop"])]
    pub(crate) driver: Option<String>,
    /// On the desktop: what is seen, and where input may go; a window is named by a part of its title or by its
    /// application [default: screen]
    #[arg(long, value_name = "screen|monitor:NAME|window:TITLE")]
    pub(crate) area: Option<String>,
    /// The only hosts that the browser can reach, with commas: nothing on a page gets anywhere else [default: all]
    #[arg(long, value_name = "HOST,*.HOST")]
    pub(crate) allowed_hosts: Option<String>,
    /// On the desktop: the only windows that clicks and keys can reach, with commas, each by its application or by
    /// application and a part of the title [default: all in the area]
    #[arg(long, value_name = "APP,APP:TITLE")]
    pub(crate) allowed_windows: Option<String>,
    /// A WebDriver server that runs already, instead of an own chromedriver
    #[arg(long, value_name = "URL")]
    pub(crate) webdriver_url: Option<String>,
    /// The chromedriver program [default: from PATH]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) chromedriver: Option<String>,
    /// The browser program [default: chromedriver's choice]
    #[arg(long = "browser", value_name = "PROGRAM")]
    pub(crate) browser_program: Option<String>,
    /// Without a window (default)
    #[arg(long, conflicts_with = "headed")]
    pub(crate) headless: bool,
    /// With a window, to watch
    #[arg(long)]
    pub(crate) headed: bool,
    /// Visible area in CSS pixels [default: 1280x800; practice pages have their own size]
    #[arg(long, value_name = "WxH")]
    pub(crate) viewport: Option<String>,
    /// Screenshot pixels per CSS pixel [default: 1]
    #[arg(long, value_name = "RATIO")]
    pub(crate) device_pixel_ratio: Option<f64>,
    /// Longest wait for a quiet page, in seconds [default: 5]
    #[arg(long, value_name = "SECS")]
    pub(crate) settle_cap_secs: Option<f64>,
}

/// Who visits pages.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Visitor")]
pub(crate) struct VisitorArgs {
    /// Language and region of whoever visits the pages, such as de-DE [default: those of the machine]
    #[arg(long, value_name = "LOCALE")]
    pub(crate) locale: Option<String>,
    /// Time zone of the visitor, such as Europe/Berlin [default: that of the machine]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// Where the visitor is, in degrees, with an accuracy in metres if that matters: pages may know it then
    #[arg(long, value_name = "LAT,LONG[,METRES]", allow_hyphen_values = true)]
    pub(crate) geolocation: Option<String>,
    /// What pages may do, with commas, such as camera,notifications=denied: each is granted, or else denied or prompt
    #[arg(long, value_name = "NAME,NAME=denied")]
    pub(crate) permissions: Option<String>,
    /// Trust servers that nobody vouches for: accept-any, or those whose public keys have these SHA-256 fingerprints, with commas
    #[arg(long, value_name = "FINGERPRINT,FINGERPRINT")]
    pub(crate) certificates: Option<String>,
    /// User and secret for the server of the start page where it asks for them by HTTP: the name of the secret, no password
    #[arg(long, value_name = "USER:${secret:NAME}")]
    pub(crate) basic_auth: Option<String>,
}

/// Where runs are written.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Records")]
pub(crate) struct RunDirArgs {
    /// Folder for run directories [default: runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}

/// What of the text on the screen is written into a run.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordTextArgs {
    /// How much of what is read on the screen goes into the run's files; pictures show what the screen shows
    #[arg(long, value_name = "HOW_MUCH", value_parser = record_texts())]
    pub(crate) record_text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_train_on_one_thread_each_and_all_else_takes_what_there_is() {
        let n_threads = |line: &str| Args::try_parse_from(line.split(' ')).unwrap().command.n_threads();
        assert_eq!(n_threads("vigorl train sft training/configs/nano.toml"), Some(1));
        assert_eq!(n_threads("vigorl bench train"), Some(1));
        assert_eq!(n_threads("vigorl bench engine"), None);
        assert_eq!(n_threads("vigorl demo"), None);
    }
}
