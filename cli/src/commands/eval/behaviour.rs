//! `vigorl eval behaviour DIR…`: how a policy looks, by its points, and by a judge that reads its words.
//!
//! Invariant: the judge is asked about each item and behaviour once, greedily; what it cannot say is counted apart, and a judge
//! that cannot be reached ends the command.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use vigorl_benchmarks::{BEHAVIOURS, Behaviour, Line, Looks};
use vigorl_files::write_whole;
use vigorl_policy::{Policy as _, Sampling};

use super::report::read;
use crate::args::EvalBehaviourArgs;
use crate::commands::{Form, pretty};
use crate::exit::{Ending, usage};
use crate::settings::Settings;
use crate::{interrupt, model, terminal};

/// Tokens of a judge's reply at most.
const MAX_TOKENS: usize = 256;

/// Counts and prints.
pub(super) fn behaviour(args: &EvalBehaviourArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let runs = read(&args.folders)?;
    let [run] = &runs[..] else {
        return Err(usage("these folders are of different runs: look at them one after the other"));
    };
    let lines: Vec<&Line> = run.lines.iter().filter(|line| !line.is_error()).collect();
    let looks = Looks::of(&lines).ok_or_else(|| usage("there is no item in which anything was said"))?;
    let mut all = json!({ "n_items": lines.len(), "of_points": looks });
    let mut text = format!(
        "{} items, means: turns {:.2}, points {:.2}, regions {:.2} (points ten pixels apart), zooms {:.2}, tokens {:.1}",
        lines.len(),
        looks.turns,
        looks.points,
        looks.regions,
        looks.zooms,
        looks.tokens
    );
    let mut is_whole = true;
    if args.judge {
        let mut judge = model::load(settings)?;
        let lines = &lines
            [..lines.len().min(args.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)))];
        let bar = terminal::bar((lines.len() * BEHAVIOURS.len()) as u64, "questions");
        let mut counts: Vec<Map<String, Value>> = Vec::new();
        for line in lines {
            let mut of_line = Map::from_iter([("id".to_owned(), json!(line.id))]);
            for behaviour in BEHAVIOURS {
                if cancel.is_set() {
                    is_whole = false;
                    break;
                }
                if let Some(question) = behaviour.question(line) {
                    let sampling = Sampling::greedy(MAX_TOKENS);
                    let mut go_on = |_: &str| {
                        if cancel.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    };
                    let said = judge.policy.complete(&question, &sampling, &mut go_on)?;
                    of_line.insert(behaviour.name.to_owned(), json!(Behaviour::count(&said.text)));
                }
                bar.inc(1);
            }
            counts.push(of_line);
        }
        bar.finish_and_clear();
        let mut judged = Map::new();
        for behaviour in BEHAVIOURS {
            let told = counts.iter().filter_map(|counts| counts.get(behaviour.name));
            let (n_told, numbers): (usize, Vec<u64>) =
                (told.clone().count(), told.filter_map(Value::as_u64).collect());
            let mean =
                (!numbers.is_empty()).then(|| numbers.iter().sum::<u64>() as f64 / numbers.len() as f64);
            let n_unread = n_told - numbers.len();
            judged.insert(
                behaviour.name.to_owned(),
                json!({ "mean": mean, "n": numbers.len(), "n_unread": n_unread }),
            );
            let mean = mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.2}"));
            text += &format!(
                "\n{}: {mean} over {} items, {n_unread} replies without a number",
                behaviour.name,
                numbers.len()
            );
        }
        all["judge"] = json!({ "model": judge.name, "behaviours": judged });
        if let Some(path) = &args.items {
            let text: String =
                counts.into_iter().map(|counts| format!("{}\n", Value::Object(counts))).collect();
            write_whole(path, text.as_bytes())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    terminal::data(&match form {
        Form::Json => pretty(&all),
        Form::Text => text,
    });
    Ok(if is_whole { Ending::Done } else { Ending::Interrupted })
}
