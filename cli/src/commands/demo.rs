//! `vigorl demo`: the policy on pages it has never seen, in a real browser, and then the eyes that read on pages that
//! nobody here made: the browser's own settings. Each has a report.

use anyhow::Context as _;
use serde_json::json;
use vigorl_agent::{Agent, Cancel, Checks, Hands, Leash};
use vigorl_benchmarks::{Evaluation as _, Played, PracticeSet, play};
use vigorl_interface::Driver;
use vigorl_report::write_report;
use vigorl_runs::Run;
use vigorl_runs::record::Summary;
use vigorl_tasks::Blind;
use vigorl_tasks::practice::Split;

use crate::args::{DemoArgs, RunArgs};
use crate::commands::run;
use crate::commands::{Form, browser, pages, pretty};
use crate::exit::{Ending, usage};
use crate::eyes::{self, LoadedEyes};
use crate::settings::Settings;
use crate::{interrupt, model, reading, record, terminal};

/// Tasks in the settings of Chromium, which every page of them shows in words.
const FOREIGN: [(&str, &str); 3] = [
    ("appearance.yaml", include_str!("demo/appearance.yaml")),
    ("home-button.yaml", include_str!("demo/home-button.yaml")),
    ("search.yaml", include_str!("demo/search.yaml")),
];
/// Pages, unless said otherwise.
const EPISODES: u64 = 24;

/// Plays practice pages and reports.
pub(crate) fn demo(args: &DemoArgs, settings: &Settings, form: Form) -> anyhow::Result<Ending> {
    let cancel = interrupt::install()?;
    let first = pages::first_page(&args.pages, settings, Split::HeldOut)?;
    let set = PracticeSet::new(first, args.episodes.unwrap_or(EPISODES)).map_err(usage)?;
    record::check_output(settings)?;
    let mut policy = model::load(settings)?;
    let mut driver = browser::start(settings, set.canvas())?;
    let task = format!("{} practice pages nobody has trained on", set.n_episodes);
    let version = browser::version(&mut driver);
    terminal::note(&format!("{} plays {task}, live in {version}", policy.name));
    let record = record::of_run(&task, record::of_evaluation(&set), policy.record()?, settings, version);
    let mut run = Run::recorded(&settings.output_dir, "demo", &record, &[])?;
    let mut agent = Agent {
        eyes: &mut policy.eyes(),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: settings.settle_cap,
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let played = play_all(&mut agent, &mut driver, &set, settings, &mut run, form, &cancel);
    let (summary, path) = run.finish()?;
    drop(driver);
    let path = path.context("the run was not recorded")?;
    let report = write_report(&path)?;
    played.with_context(|| format!("the demo broke off; what was recorded is in {}", report.display()))?;
    if form == Form::Text {
        terminal::data(&format!("\n{}\nreport  {}", in_words(&summary), report.display()));
    }
    let foreign = foreign(settings, form, &cancel)?;
    if form == Form::Json {
        terminal::data(&pretty(
            &json!({ "summary": summary, "run_dir": path, "report": report, "settings": foreign }),
        ));
    }
    if cancel.is_set() {
        return Ok(Ending::Interrupted);
    }
    if let Some(error) = summary.err_msg {
        anyhow::bail!("an episode failed: {error}");
    }
    Ok(Ending::Done)
}

/// Plays the tasks in the browser's settings, whoever is not interrupted and can read.
fn foreign(settings: &Settings, form: Form, cancel: &Cancel) -> anyhow::Result<Vec<serde_json::Value>> {
    if cancel.is_set() {
        return Ok(Vec::new());
    }
    if !reading::is_there() {
        terminal::note("this program cannot read, so the demo ends here: `vigorl doctor` says why");
        return Ok(Vec::new());
    }
    terminal::note(
        "\nand something that nobody here made: the browser's own settings, by what is written there",
    );
    let folder = tempfile::tempdir().context("there is no place for the tasks of the demo")?;
    let mut eyes = LoadedEyes::load(eyes::AUTO, settings)?;
    let mut all = Vec::new();
    for (name, text) in FOREIGN {
        let file = folder.path().join(name);
        std::fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
        let args = RunArgs::of_task(&file);
        let jobs = run::jobs(&file.display().to_string(), folder.path(), &args, settings)?;
        let Some(job) = jobs.into_iter().next() else { break };
        let Some(played) = run::play_once(&job, &mut eyes, &args, settings, cancel, |_| ())? else { break };
        if form == Form::Text {
            terminal::data(&format!("\n{}", job.task.name));
            run::print(&played, form)?;
        }
        let run::Played { path, report, summary } = played;
        all.push(json!({ "task": job.task.name, "summary": summary, "run_dir": path, "report": report }));
        if cancel.is_set() {
            break;
        }
    }
    Ok(all)
}

fn in_words(summary: &Summary) -> String {
    let Summary { n_success, success_wilson95: (low, high), .. } = summary;
    let n_judged = summary.judged();
    let rate = match n_judged {
        0 => return "no page was played to its end".to_owned(),
        n => *n_success as f64 / n as f64,
    };
    let [rate, low, high] = [rate, *low, *high].map(|share| share * 100.0);
    format!("success {n_success}/{n_judged} = {rate:.0} %  (95 % interval {low:.0} to {high:.0} %)")
}

fn play_all(
    agent: &mut Agent<'_>,
    driver: &mut dyn Driver,
    set: &PracticeSet,
    settings: &Settings,
    run: &mut Run,
    form: Form,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    let width = set.n_episodes.to_string().len();
    for idx in 0..set.n_items() {
        if cancel.is_set() {
            run.interrupt();
            break;
        }
        let millis_before = run.timings().total();
        let episode = play(agent, set, idx, Some(&mut *driver), settings.device_pixel_ratio, &[], run)?;
        let line = line(&episode, run.timings().total() - millis_before);
        let line = format!("{:>width$}  {line}", idx + 1);
        match form {
            Form::Text => terminal::data(&line),
            Form::Json => terminal::note(&line),
        }
    }
    Ok(())
}

fn line(Played { item, episode }: &Played, millis: f64) -> String {
    let verdict = match (episode.success, episode.error()) {
        (Some(true), _) => "hit".to_owned(),
        (Some(false), _) => "miss".to_owned(),
        (None, Some(error)) => format!("failed: {error}"),
        (None, None) => "not judged".to_owned(),
    };
    let point = episode.point().map_or_else(|| "no point".to_owned(), |at| format!("({}, {})", at.x, at.y));
    let zooms = match episode.n_zooms() {
        1 => "1 zoom".to_owned(),
        n => format!("{n} zooms"),
    };
    format!("{:<44} {point:<12} {zooms:<8} {millis:>6.0} ms  {verdict}", item.instruction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_has_no_rate() {
        let said = |n_success, n_judged, success_wilson95| {
            let n_judged = Some(n_judged);
            in_words(&Summary { n_success, n_judged, success_wilson95, ..Summary::default() })
        };
        assert_eq!(said(0, 0, (0.0, 1.0)), "no page was played to its end");
        assert_eq!(said(0, 1, (0.0, 0.79)), "success 0/1 = 0 %  (95 % interval 0 to 79 %)");
        assert_eq!(said(23, 24, (0.8, 0.99)), "success 23/24 = 96 %  (95 % interval 80 to 99 %)");
    }
}
