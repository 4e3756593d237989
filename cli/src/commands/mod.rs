//! The verbs. Invariant: each command gets typed settings and plain arguments, and decides nothing about either.

mod app_data;
mod attach;
mod bench;
mod browser;
mod browsers;
mod calibrate;
mod data;
mod demo;
#[cfg(feature = "desktop")]
mod desktop;
#[cfg(not(feature = "desktop"))]
#[path = "desktop_absent.rs"]
mod desktop;
mod doctor;
mod eval;
mod export;
#[cfg(feature = "reader")]
mod fetch;
#[cfg(not(feature = "reader"))]
#[path = "fetch_absent.rs"]
mod fetch;
mod inspect;
mod judge;
mod licenses;
mod locate;
mod pages;
mod picture;
mod quantize;
#[cfg(feature = "reader")]
mod read;
#[cfg(not(feature = "reader"))]
#[path = "read_absent.rs"]
mod read;
mod record;
mod repeat;
mod replay;
mod report;
mod rollout;
mod run;
mod sources;
mod stop;
#[cfg(feature = "training")]
mod train;
#[cfg(not(feature = "training"))]
#[path = "train_absent.rs"]
mod train;
mod view;

use vigorl_tasks::scripted::ScriptedTask;

use crate::args::{
    Args, BenchCommand, Command, DataCommand, EnvCommand, EvalRecordedCommand, FetchCommand, InspectCommand,
    TrainCommand,
};
use crate::exit::{Ending, usage};
use crate::settings::{Layer, Settings, Typed};
use crate::terminal;

/// Runs what was typed.
pub(crate) fn run(args: Args) -> anyhow::Result<Ending> {
    let output = args.output;
    terminal::set_verbosity(if output.quiet { 0 } else { 1 + output.verbose });
    let form = if output.json { Form::Json } else { Form::Text };
    let settings = Settings::resolve(layer_of(&args.command))?;
    if output.show_settings {
        terminal::data(&match form {
            Form::Json => pretty(&settings.to_json()),
            Form::Text => settings.to_toml(),
        });
        return Ok(Ending::Done);
    }
    match &args.command {
        Command::Demo(args) => demo::demo(args, &settings, form),
        Command::Locate(args) => locate::locate(args, &settings, form),
        Command::Read(args) => read::read(args, form),
        Command::Licenses => Ok(licenses::licenses()),
        Command::Run(args) => run::run(args, &settings, form),
        Command::Record(args) => record::record(args, &settings, form),
        Command::Replay(args) => replay::replay(args, &settings, form),
        Command::Stop(args) => stop::stop(args, form),
        Command::Calibrate(_) => calibrate::run(&settings, form),
        Command::Report(args) => report::report(args, form),
        Command::Schema(args) => {
            terminal::data(&pretty(&match args.shared_steps {
                true => ScriptedTask::schema_of_shared_steps(),
                false => ScriptedTask::schema(),
            }));
            Ok(Ending::Done)
        }
        Command::View(args) => view::view(args, &settings, form),
        Command::Eval(args) => eval::command(args, &settings, form),
        Command::Env(EnvCommand::List) => Ok(sources::list(form)),
        Command::Env(EnvCommand::Check(args)) => sources::check(args, &settings, form),
        Command::Rollout(args) => rollout::rollout(args, &settings, form),
        Command::Judge(args) => judge::judge(args, form),
        Command::Train(TrainCommand::Sft(args)) => train::sft(args, &settings),
        Command::Train(TrainCommand::Grpo(args)) => train::grpo(args, &settings, form),
        Command::Train(TrainCommand::Compare(args)) => train::compare(args, form),
        Command::Train(TrainCommand::ReplayRollout(args)) => rollout::replay(args, &settings, form),
        Command::Train(TrainCommand::ExportRollouts(args)) => export::export(args, form),
        Command::Data(DataCommand::Practice(args)) => data::practice(args, &settings, form),
        Command::Data(DataCommand::App(args)) => app_data::app(args, &settings, form),
        Command::Inspect(InspectCommand::Forward(args)) => inspect::forward(args, &settings, form),
        Command::Inspect(InspectCommand::Generate(args)) => inspect::generate(args, &settings),
        Command::Quantize(args) => quantize::quantize(args, form),
        Command::Fetch(FetchCommand::Reader(args)) => fetch::reader(args, form),
        Command::Bench(BenchCommand::Step(args)) => bench::step(args, &settings, form),
        Command::Bench(BenchCommand::Engine(args)) => bench::engine::engine(args, form),
        Command::Bench(BenchCommand::Eval(args)) => bench::eval::eval(args, form),
        Command::Bench(BenchCommand::Batch(args)) => bench::batch::batch(args, form),
        Command::Bench(BenchCommand::Train(args)) => train::bench(args, &settings, form),
        Command::Bench(BenchCommand::Read(args)) => bench::read::read(args, form),
        Command::Doctor(_) => doctor::doctor(&settings, form),
    }
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The flags of whatever was typed.
fn layer_of(command: &Command) -> Layer {
    let parts: Vec<&dyn Typed> = match command {
        Command::Demo(args) => vec![&args.policy, &args.browser, &args.run],
        Command::Locate(args) => vec![&args.policy, &args.endpoint, &args.sureness],
        Command::Run(args) => {
            let (policy, endpoint) = (&args.policy, &args.endpoint);
            let (browser, visitor) = (&args.browser, &args.visitor);
            vec![policy, endpoint, browser, visitor, &args.run, &args.texts, &args.limits, &args.sureness]
        }
        Command::Replay(args) => vec![&args.policy, &args.endpoint, &args.browser, &args.visitor, &args.run],
        Command::Calibrate(args) => vec![&args.browser],
        Command::Record(args) => vec![&args.browser, &args.visitor],
        Command::Eval(eval) => match &eval.recorded {
            Some(EvalRecordedCommand::Behaviour(args)) => vec![&args.policy, &args.endpoint],
            _ => {
                let args = &eval.args;
                vec![&args.policy, &args.endpoint, &args.browser, &args.run, &args.sureness]
            }
        },
        Command::Data(DataCommand::Practice(args)) => vec![&args.browser],
        Command::Data(DataCommand::App(args)) => vec![&args.browser],
        Command::Inspect(InspectCommand::Forward(args)) => vec![&args.policy],
        Command::Inspect(InspectCommand::Generate(args)) => vec![&args.policy],
        Command::Env(EnvCommand::Check(args)) => vec![&args.browser],
        Command::Rollout(args) => vec![&args.limit, &args.policy, &args.browser, &args.run],
        Command::Train(TrainCommand::ReplayRollout(args)) => vec![&args.policy, &args.browser],
        Command::Train(TrainCommand::Grpo(args)) => vec![&args.compute, &args.browser],
        Command::Train(TrainCommand::Sft(args)) => vec![&args.compute],
        Command::Bench(BenchCommand::Train(args)) => vec![&args.compute],
        Command::Bench(BenchCommand::Step(args)) => vec![&args.browser, &args.run],
        Command::Doctor(args) => vec![&args.policy, &args.endpoint, &args.browser, &args.run],
        Command::Read(_)
        | Command::Licenses
        | Command::Report(_)
        | Command::Schema(_)
        | Command::View(_)
        | Command::Stop(_)
        | Command::Env(EnvCommand::List)
        | Command::Train(TrainCommand::Compare(_) | TrainCommand::ExportRollouts(_))
        | Command::Judge(_)
        | Command::Quantize(_)
        | Command::Fetch(_)
        | Command::Bench(
            BenchCommand::Engine(_) | BenchCommand::Batch(_) | BenchCommand::Read(_) | BenchCommand::Eval(_),
        ) => {
            vec![]
        }
    };
    let mut layer = Layer::new();
    for part in parts {
        part.add_to(&mut layer);
    }
    layer
}

/// Whether an instruction says anything.
pub(crate) fn check_instruction(words: &str) -> anyhow::Result<()> {
    if words.trim().is_empty() {
        return Err(usage(
            "an empty instruction names nothing: say what is meant, such as \"the Save button\"",
        ));
    }
    Ok(())
}

/// JSON for people and programs.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}
