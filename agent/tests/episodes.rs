//! Whole episodes of a scripted policy in a world in memory: what is recorded, and how each failure ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use vigorl_agent::record::{ActionRecord, EpisodeRecord, Event, ModelRecord, RunRecord, Summary};
use vigorl_agent::{
    Agent, Cancel, Checks, Deed, Effect, Eyes, Hands, Intent, Judge, Nobody, Recorded, Run, RunDirError,
    ScriptedJudge, Task, intents_of, render, run_episode, write_report,
};
use vigorl_interface::{Action, Key, MouseButton};
use vigorl_policy::{Preset, Sampling, ScriptedPolicy};
use vigorl_tasks::scripted::{ScriptedTask, Surroundings};

use world::{BecomesGreen, Fake, Fault, IsGreen, middle};

const LOOK: &str = "<think> Something blue at (60, 50). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \
                    \"arguments\": {\"coordinate\": [60, 50]}}\n</tool_call>";
const HIT: &str = "<think> The blue box (130, 50) <b>is it</b>. </think>\n<answer> (130, 50) </answer>";
const MISS: &str = "<think> Here (10, 10). </think>\n<answer> (10, 10) </answer>";

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

fn run_record() -> RunRecord {
    RunRecord {
        format: 1,
        task: "click the <blue> box".to_owned(),
        model: ModelRecord { name: "scripted".to_owned(), ..ModelRecord::default() },
        ..RunRecord::default()
    }
}

struct Ended {
    record: EpisodeRecord,
    summary: Summary,
    path: PathBuf,
    driver: Fake,
    _output: tempfile::TempDir,
}

#[derive(Clone, Copy)]
struct Limits {
    hands: Hands,
    max_steps: Option<usize>,
}

fn episode(
    driver: Fake,
    replies: &[&str],
    steps: Vec<Intent>,
    judge: &mut dyn Judge,
    cancel: &Cancel,
) -> Ended {
    limited(driver, replies, steps, judge, cancel, Limits { hands: Hands::Act, max_steps: None })
}

fn limited(
    driver: Fake,
    replies: &[&str],
    steps: Vec<Intent>,
    judge: &mut dyn Judge,
    cancel: &Cancel,
    limits: Limits,
) -> Ended {
    let output = tempfile::tempdir().unwrap();
    let mut driver = driver;
    let Limits { hands, max_steps } = limits;
    let mut policy = ScriptedPolicy::new(replies.iter().copied());
    let mut run = Run::recorded(output.path(), "click the box", &run_record(), &[]).unwrap();
    let preset = Preset::web_grounding_multiturn();
    let sampling = sampling();
    let mut agent = Agent {
        driver: &mut driver,
        eyes: Eyes::Policy {
            policy: &mut policy,
            preset: &preset,
            sampling: &sampling,
            checks: Checks::Nobody,
        },
        settle_cap: Duration::from_secs(1),
        hands,
        cancel,
    };
    let labels = BTreeMap::from([("kind".to_owned(), "box".to_owned())]);
    let attempts = Vec::new();
    let mut task =
        Task { name: "the blue box", labels, seed: Some(7), steps, attempts, max_steps, target: None, judge };
    let record = run_episode(&mut agent, &mut task, &mut run).unwrap();
    let (summary, path) = run.finish().unwrap();
    Ended { record, summary, path: path.unwrap(), driver, _output: output }
}

/// Plays a task file, with the given eyes or with none.
fn scripted(driver: Fake, replies: Option<&[&str]>, yaml: &str) -> (EpisodeRecord, Vec<Value>, Fake) {
    let output = tempfile::tempdir().unwrap();
    let mut driver = driver;
    let (surroundings, cancel) = (Surroundings::default(), Cancel::default());
    let task = ScriptedTask::parse(yaml).unwrap();
    let (steps, attempts) = intents_of(&task, &surroundings);
    let mut run = Run::recorded(output.path(), "task", &run_record(), &[]).unwrap();
    let mut policy = ScriptedPolicy::new(replies.unwrap_or_default().iter().copied());
    let (preset, sampling) = (Preset::web_grounding_multiturn(), sampling());
    let mut agent = Agent {
        driver: &mut driver,
        eyes: match replies {
            Some(_) => Eyes::Policy {
                policy: &mut policy,
                preset: &preset,
                sampling: &sampling,
                checks: Checks::Elements,
            },
            None => Eyes::Places,
        },
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
    };
    let mut judge = ScriptedJudge { task: &task, surroundings: &surroundings };
    let mut task = Task {
        name: "task",
        labels: BTreeMap::new(),
        seed: None,
        steps,
        attempts,
        max_steps: None,
        target: None,
        judge: &mut judge,
    };
    let record = run_episode(&mut agent, &mut task, &mut run).unwrap();
    let steps = run.finish().unwrap().1.unwrap().join("steps");
    let mut folders: Vec<PathBuf> = fs::read_dir(steps).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    (record, folders.iter().map(|folder| json(&folder.join("action.json"))).collect(), driver)
}

const UNTIL_GREEN: &str = "
name: n
start: {}
wait_secs: 0
steps:
  - retry: { times: 3, until: { javascript: isGreen }, steps: [ click: { what: the Save box, at: [130, 50] } ] }
expect: [ javascript: isGreen ]
";

#[test]
fn steps_are_tried_again_until_the_clause_holds() {
    // Misses, says nothing usable, hits; and never a fourth time.
    let (record, steps, driver) =
        scripted(Fake::default(), Some(&[MISS, "<answer> no </answer>", HIT]), UNTIL_GREEN);
    assert_eq!((record.success, record.reward), (Some(true), Some(1.0)), "{record:?}");
    let effects: Vec<&str> = steps.iter().map(|step| step["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["suspected_noop", "refused", "refused", "confirmed", "confirmed"]);
    assert_eq!(driver.acts.len(), 2);

    let (record, steps, _) = scripted(Fake::default(), Some(&[HIT]), UNTIL_GREEN);
    assert_eq!((record.success, steps.len()), (Some(true), 2));

    let (record, steps, _) = scripted(Fake::default(), Some(&[MISS, MISS, MISS]), UNTIL_GREEN);
    assert_eq!((record.success, steps.len()), (Some(false), 6));
    assert!(record.detail.unwrap().contains("step 6 of 6 was refused: it does not hold that `isGreen`"));
}

#[test]
fn a_task_that_names_places_needs_no_policy() {
    let (record, steps, driver) = scripted(Fake::default(), None, UNTIL_GREEN);
    assert_eq!((record.success, driver.acts.len()), (Some(true), 1));
    assert_eq!(steps[0]["place"], serde_json::json!([130, 50, 131, 51]));
    let unknown = UNTIL_GREEN.replace("at: [130, 50]", "at: [530, 50]").replace("times: 3", "times: 1");
    let (record, _, driver) = scripted(Fake::default(), None, &unknown);
    assert_eq!((record.success, driver.acts.len()), (Some(false), 0));
    assert!(record.detail.unwrap().contains("outside of the screenshot"));
}

#[test]
fn a_point_that_the_page_contradicts_is_not_clicked_but_asked_for_again() {
    let once = UNTIL_GREEN.replace("times: 3", "times: 1");
    let (record, steps, driver) = scripted(Fake::with(Fault::Contradicts), Some(&[MISS, HIT]), &once);
    assert_eq!((record.success, driver.acts.len()), (Some(true), 1));
    assert_eq!(steps[0]["element"], serde_json::json!({"role": "button", "name": "Save"}));
    let (record, _, driver) = scripted(Fake::with(Fault::Contradicts), Some(&[MISS, MISS]), &once);
    assert_eq!((record.success, driver.acts.len()), (Some(false), 0));
    let detail = record.detail.unwrap();
    let words = "vetoed: the point is on the button `Cancel`, but the instruction names the button `Save`";
    assert!(detail.contains(words), "{detail}");
}

fn one_click(driver: Fake, replies: &[&str]) -> Ended {
    episode(driver, replies, vec![Intent::click("the blue box")], &mut IsGreen, &Cancel::default())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_zoom_and_a_hit_are_recorded_whole() {
    let ended = one_click(Fake::default(), &[LOOK, HIT]);
    assert_eq!((ended.record.success, ended.record.reward), (Some(true), Some(1.0)));
    assert!(ended.record.terminated && !ended.record.truncated);
    assert_eq!(ended.driver.acts, [Action::Click { at: middle(), button: MouseButton::Left, count: 1 }]);

    let step = ended.path.join("steps/0001");
    for name in ["before.png", "after.png", "crop_1.png"] {
        assert!(image::open(step.join(name)).is_ok(), "{name}");
    }
    let action = json(&step.join("action.json"));
    assert_eq!(
        action["action"],
        serde_json::json!({"type": "click", "at": [130, 50], "button": "left", "count": 1})
    );
    assert_eq!((&action["effect"], &action["verification"]), (&"confirmed".into(), &"satisfied".into()));
    assert_eq!(action["n_changed_pixels"], 400);
    assert_eq!(action["maps"]["viewport_from_screen"], serde_json::json!([1.0, 1.0, 0.0, 0.0]));
    // 504 is the side of the crop: the window of 160 x 100 pixels starts at (0, 0).
    assert_eq!(action["maps"]["crop_from_screen"], serde_json::json!([[3.15, 5.04, 0.0, 0.0]]));

    for (phase, millis) in action["millis"].as_object().unwrap() {
        let thousandths = millis.as_f64().unwrap() * 1e3;
        assert!((thousandths - thousandths.round()).abs() < 1e-6, "{phase}: {millis}");
        assert!(millis.to_string().len() < 12, "{phase}: {millis}");
    }

    let model = json(&step.join("model.json"));
    let turn = &model["turns"][0];
    let keys: Vec<&str> = turn.as_object().unwrap().keys().map(String::as_str).collect();
    let binding = [
        "completion",
        "thoughts",
        "zoom",
        "crop",
        "n_prompt_tokens",
        "n_completion_tokens",
        "logprob_sum",
        "millis",
    ];
    assert_eq!(keys[..8], binding);
    assert_eq!(
        turn["thoughts"],
        serde_json::json!([{"text": "Something blue at (60, 50).", "points": [[60, 50]]}])
    );
    assert_eq!(
        (&turn["zoom"], &turn["crop"]),
        (&serde_json::json!([60, 50]), &serde_json::json!([0, 0, 160, 100]))
    );
    assert_eq!((&model["answer"], &model["malformed"]), (&serde_json::json!([130, 50]), &Value::Null));
    assert!(model["confidence"].as_f64().unwrap() > 0.8);

    let summary = json(&ended.path.join("summary.json"));
    let head: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let binding = ["success", "reward", "terminated", "truncated", "n_steps", "err_msg", "timings", "tokens"];
    assert_eq!(head[..8], binding);
    assert_eq!((&summary["success"], &summary["n_steps"]), (&true.into(), &1.into()));
    assert_eq!(ended.summary.n_success, 1);
}

#[test]
fn a_miss_is_judged_by_the_world_and_not_by_the_driver() {
    let ended = one_click(Fake::default(), &[MISS]);
    assert_eq!((ended.record.success, ended.record.reward), (Some(false), Some(0.0)));
    assert_eq!(json(&ended.path.join("steps/0001/action.json"))["effect"], "suspected_noop");
}

#[test]
fn a_malformed_answer_is_a_refused_step_and_no_click() {
    let ended = one_click(Fake::default(), &["<answer> over there </answer>"]);
    assert!(ended.driver.acts.is_empty());
    assert_eq!((ended.record.success, ended.record.reward), (Some(false), Some(0.0)));
    assert_eq!(ended.record.detail.as_deref(), Some("the answer is not a point"));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["action"]), (&"refused".into(), &Value::Null));
    assert_eq!(json(&ended.path.join("steps/0001/model.json"))["malformed"], "the answer is not a point");
}

#[test]
fn a_point_outside_the_screenshot_never_reaches_the_driver() {
    let ended = one_click(Fake::default(), &["<think> far </think>\n<answer> (5000, 50) </answer>"]);
    assert!(ended.driver.acts.is_empty());
    let detail = ended.record.detail.as_deref().unwrap();
    assert!(detail.ends_with("these are the policy's own numbers"), "{detail}");
    assert_eq!(ended.record.success, Some(false));
}

#[test]
fn a_dead_browser_is_an_error_and_never_reward_0() {
    let ended = one_click(Fake::with(Fault::GoneOnAct), &[HIT]);
    assert_eq!((ended.record.success, ended.record.reward), (None, None));
    assert_eq!(ended.record.err_msg.as_deref(), Some("the browser is gone: connection refused"));
    assert!(!ended.record.terminated && !ended.record.truncated);
    assert_eq!(ended.summary.err_msg, ended.record.err_msg);
    assert_eq!((ended.summary.success, ended.summary.reward), (None, None));
    // What was seen before is still there, and so is a report.
    let recorded = Recorded::read(&ended.path).unwrap();
    assert!(recorded.episodes[0].steps[0].action.is_none());
    assert_eq!(recorded.episodes[0].steps[0].model.clone().unwrap().answer.unwrap()[0].0, 130.0);
    assert!(ended.path.join("steps/0001/before.png").exists());
    assert!(render(&recorded).contains("the browser is gone: connection refused"));
}

#[test]
fn a_policy_that_cannot_be_asked_is_an_error() {
    let ended = one_click(Fake::default(), &[]);
    assert_eq!(ended.record.reward, None);
    let message = ended.record.err_msg.unwrap();
    assert!(message.starts_with("the policy failed") && message.contains("turn 0"), "{message}");
}

#[test]
fn a_task_nobody_judges_is_unknown_and_never_success() {
    let click = vec![Intent::click("the blue box")];
    let ended = episode(Fake::default(), &[HIT], click, &mut Nobody, &Cancel::default());
    assert_eq!((ended.record.success, ended.summary.success), (None, None));
    assert_eq!(json(&ended.path.join("steps/0001/action.json"))["verification"], "unknown");
}

#[test]
fn an_interrupted_run_does_nothing_more_and_says_so() {
    let cancel = Cancel::default();
    cancel.set();
    let click = vec![Intent::click("the blue box")];
    let ended = episode(Fake::default(), &[HIT], click, &mut IsGreen, &cancel);
    assert!(ended.driver.acts.is_empty());
    assert!(ended.summary.truncated && !ended.summary.terminated);
    assert_eq!(ended.summary.success, None);
}

#[test]
fn steps_without_a_target_do_not_ask_the_policy() {
    let steps = vec![
        Intent::Do(Action::Type { text: "grounding".to_owned() }),
        Intent::Do(Action::Press { chord: vec![Key::Control, Key::Char('a')] }),
        Intent::click("the blue box"),
    ];
    let ended = episode(Fake::default(), &[HIT], steps, &mut IsGreen, &Cancel::default());
    assert_eq!((ended.record.n_steps, ended.record.success), (3, Some(true)));
    assert!(!ended.path.join("steps/0001/model.json").exists());
    let recorded = Recorded::read(&ended.path).unwrap();
    let words: Vec<&str> = recorded.episodes[0].steps.iter().map(|step| step.instruction.as_str()).collect();
    assert_eq!(words, ["type \"grounding\"", "press Control+a", "the blue box"]);
    // What a step sees at its end is what the next one starts from.
    let picture = |step: &str| fs::read(ended.path.join("steps").join(step)).unwrap();
    assert_eq!(picture("0001/after.png"), picture("0002/before.png"));
    assert_eq!(ended.driver.n_screenshots, 4, "three steps need four looks");
    let pressed = recorded.episodes[0].steps[1].action.clone().unwrap();
    assert_eq!(pressed.action, Some(ActionRecord::Press { chord: "Control+a".to_owned() }));
}

#[test]
fn a_dialog_is_an_effect_and_a_covered_page_is_a_refusal() {
    let click = || vec![Intent::click("the blue box")];
    let opened = episode(Fake::with(Fault::DialogOnAct), &[HIT], click(), &mut Nobody, &Cancel::default());
    let action = json(&opened.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["dialog"]), (&"confirmed".into(), &"Are you sure?".into()));
    assert!(!opened.path.join("steps/0001/after.png").exists());
    let log = fs::read_to_string(opened.path.join("events.jsonl")).unwrap();
    assert!(log.contains(r#""dialog":"Are you sure?""#), "{log}");
    let covered =
        episode(Fake::with(Fault::DialogFromStart), &[HIT], click(), &mut Nobody, &Cancel::default());
    let recorded = Recorded::read(&covered.path).unwrap();
    let step = recorded.episodes[0].steps[0].action.clone().unwrap();
    assert_eq!(step.effect, Effect::Refused);
    assert_eq!(
        step.detail.as_deref(),
        Some("a dialog covers the page (pressing Enter accepts it, Escape dismisses it): Leave?")
    );
}

#[test]
fn what_arrives_late_is_waited_for_and_seen() {
    let click = || vec![Intent::click("the blue box")];
    let late = Fake::with(Fault::Late);
    let ended = episode(late, &[HIT], click(), &mut BecomesGreen, &Cancel::default());
    assert_eq!((ended.record.success, ended.record.reward), (Some(true), Some(1.0)));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["verification"]), (&"confirmed".into(), &"satisfied".into()));
    let after = image::open(ended.path.join("steps/0001/after.png")).unwrap().into_rgb8();
    assert_eq!(after.get_pixel(130, 50).0, [20, 160, 80], "the last look is at what the judge saw");

    let at_once = episode(Fake::default(), &[HIT], click(), &mut BecomesGreen, &Cancel::default());
    assert_eq!((at_once.driver.n_questions, at_once.driver.n_screenshots), (1, 2), "nothing is waited for");
    let final_word = episode(Fake::with(Fault::Late), &[HIT], click(), &mut IsGreen, &Cancel::default());
    assert_eq!((final_word.record.success, final_word.driver.n_questions), (Some(false), 1));
}

#[test]
fn a_tab_that_a_click_opens_is_followed() {
    let ended = one_click(Fake::with(Fault::TabOnAct), &[HIT]);
    assert_eq!(ended.record.success, Some(true), "the judge sees the new tab");
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["detail"]), (&"confirmed".into(), &"opened a tab".into()));
    let events = Recorded::read(&ended.path).unwrap().events;
    assert!(events.contains(&Event::TabOpened { step: 1, n_tabs: 2 }), "{events:?}");
}

#[test]
fn what_the_driver_refuses_is_a_refused_step_and_no_failed_world() {
    let ended = one_click(Fake::with(Fault::Refuses), &[HIT]);
    assert_eq!((ended.record.err_msg, ended.record.success), (None, Some(false)));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["action"]), (&"refused".into(), &Value::Null));
    assert_eq!(action["detail"], "`click` was refused: not today");
}

#[test]
fn clauses_that_hold_without_every_step_are_no_success() {
    let steps = || vec![Intent::click("the blue box"), Intent::click("the other box")];
    let malformed = "<answer> nowhere </answer>";
    let ended = episode(Fake::default(), &[HIT, malformed], steps(), &mut IsGreen, &Cancel::default());
    assert_eq!((ended.record.success, ended.summary.success), (Some(false), Some(false)));
    assert_eq!(ended.record.detail.as_deref(), Some("step 2 of 2 was refused: the answer is not a point"));
    let last = json(&ended.path.join("steps/0002/action.json"));
    assert_eq!(last["verification"], "satisfied", "the clauses do hold");
}

#[test]
fn enter_accepts_a_dialog_and_escape_dismisses_it() {
    let press = |key| vec![Intent::Do(Action::Press { chord: vec![key] })];
    for (key, success, done) in [(Key::Enter, true, "accepted"), (Key::Escape, false, "dismissed")] {
        let covered = Fake::with(Fault::DialogFromStart);
        let ended = episode(covered, &[], press(key), &mut IsGreen, &Cancel::default());
        assert_eq!((ended.record.success, ended.record.err_msg), (Some(success), None));
        let action = json(&ended.path.join("steps/0001/action.json"));
        assert_eq!(action["detail"], format!("{done} the dialog: Leave?"));
        assert_eq!((&action["effect"], &action["dialog"]), (&"confirmed".into(), &Value::Null));
        let log = fs::read_to_string(ended.path.join("events.jsonl")).unwrap();
        assert!(log.contains(&format!("{done} the dialog: Leave?")), "{log}");
    }
}

#[test]
fn a_restless_page_leaves_the_effect_unverifiable() {
    let ended = one_click(Fake::with(Fault::Restless), &[HIT]);
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["settled"]), (&"unverifiable".into(), &false.into()));
    assert_eq!(ended.record.success, Some(true), "the judge still knows");
}

#[test]
fn a_run_is_readable_after_a_crash_at_any_byte_of_its_log() {
    let ended = one_click(Fake::default(), &[LOOK, HIT]);
    fs::remove_file(ended.path.join("summary.json")).unwrap();
    let log = fs::read(ended.path.join("events.jsonl")).unwrap();
    let mut counts = Vec::new();
    for len in 0..log.len() {
        fs::write(ended.path.join("events.jsonl"), &log[..len]).unwrap();
        let recorded = Recorded::read(&ended.path).unwrap();
        assert!(recorded.summary.is_none());
        counts.push(recorded.events.len());
    }
    assert!(counts.is_sorted());
    // Run, episode and step started; observed; two turns; acting; step and episode ended; run ended. Without
    // its line feed the last line is whole, without the byte before it is not.
    assert_eq!(counts[counts.len() - 2..], [9, 10]);
    assert!(render(&Recorded::read(&ended.path).unwrap()).contains("cut off before it wrote its summary"));
}

#[test]
fn what_was_said_before_a_crash_is_in_the_log_and_in_the_report() {
    let ended = one_click(Fake::with(Fault::GoneOnAct), &[LOOK, HIT]);
    for file in ["summary.json", "steps/0001/model.json"] {
        fs::remove_file(ended.path.join(file)).unwrap();
    }
    let recorded = Recorded::read(&ended.path).unwrap();
    let step = &recorded.episodes[0].steps[0];
    let turns = &step.model.as_ref().unwrap().turns;
    assert_eq!((turns.len(), turns[0].thoughts[0].text.as_str()), (2, "Something blue at (60, 50)."));
    assert!(turns[0].crop.is_some() && step.action.is_none());
    assert_eq!(step.image_size, Some([200, 100]));
    let html = render(&recorded);
    assert!(html.contains("Something blue at (60, 50).") && !html.contains("nothing had to be found"));
    // 768 / 200 is enlarged by 3.
    assert!(html.contains(r#"style="width:600px""#), "the size of the screenshot is known");
}

#[test]
fn both_ends_of_a_drag_are_recorded_and_marked() {
    let to = Deed::DragTo { target: "the bin".into() };
    let drag = vec![Intent::At { target: "the card".into(), deed: to }];
    let ended = episode(Fake::default(), &[LOOK, HIT, MISS], drag, &mut Nobody, &Cancel::default());
    let model = json(&ended.path.join("steps/0001/model.json"));
    assert_eq!(
        (model["turns"].as_array().unwrap().len(), &model["answer"]),
        (3, &serde_json::json!([130, 50]))
    );
    let found = model["found"].as_array().unwrap();
    assert_eq!((&found[0]["n_turns"], &found[1]["n_turns"]), (&2.into(), &1.into()));
    assert_eq!(found[1]["answer"][0], json(&ended.path.join("steps/0001/action.json"))["action"]["to"][0]);
    let html = render(&Recorded::read(&ended.path).unwrap());
    for words in ["drag at (130, 50)", "released at (", "found (130, 50)", "drag the card to the bin"] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn clicks_are_named_as_what_they_are() {
    let click = |button, count| {
        let deed = Deed::Click { button, count };
        vec![Intent::At { target: "the box".into(), deed }]
    };
    for (steps, name) in [
        (click(MouseButton::Left, 2), "double click the box"),
        (click(MouseButton::Right, 1), "right click the box"),
        (click(MouseButton::Left, 1), "the box"),
    ] {
        let ended = episode(Fake::default(), &[HIT], steps, &mut Nobody, &Cancel::default());
        assert_eq!(json(&ended.path.join("steps/0001/action.json"))["instruction"], name);
    }
}

#[test]
fn a_dry_run_grounds_and_records_and_does_nothing() {
    let steps = vec![Intent::click("the blue box"), Intent::Do(Action::Type { text: "x".to_owned() })];
    let limits = Limits { hands: Hands::Rest, max_steps: None };
    let ended = limited(Fake::default(), &[HIT], steps, &mut IsGreen, &Cancel::default(), limits);
    assert!(ended.driver.acts.is_empty());
    assert_eq!((ended.record.success, ended.record.n_steps), (None, 2));
    assert_eq!(ended.record.detail.as_deref(), Some("dry run: nothing was done"));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["detail"]), (&"unverifiable".into(), &"dry run".into()));
    assert_eq!(action["action"]["at"], serde_json::json!([130, 50]));
}

#[test]
fn a_task_that_runs_out_of_steps_is_truncated_and_no_success() {
    let steps = vec![Intent::click("the blue box"); 3];
    let limits = Limits { hands: Hands::Act, max_steps: Some(2) };
    let ended = limited(Fake::default(), &[HIT, HIT], steps, &mut IsGreen, &Cancel::default(), limits);
    assert_eq!((ended.record.n_steps, ended.record.success), (2, Some(false)));
    assert!(ended.summary.truncated && !ended.summary.terminated);
    assert_eq!(ended.record.detail.as_deref(), Some("out of steps: 2 of 3 were taken"));
}

#[test]
fn a_run_that_fails_before_its_first_step_is_readable() {
    let output = tempfile::tempdir().unwrap();
    let mut run = Run::recorded(output.path(), "x", &run_record(), &[]).unwrap();
    run.fail("cannot open `http://nowhere/`".to_owned()).unwrap();
    let (summary, path) = run.finish().unwrap();
    assert_eq!(summary.err_msg.as_deref(), Some("cannot open `http://nowhere/`"));
    assert!(!summary.terminated && summary.success.is_none());
    assert!(render(&Recorded::read(&path.unwrap()).unwrap()).contains("cannot open `http://nowhere/`"));
}

#[test]
fn the_report_is_one_file_without_addresses_and_with_everything_escaped() {
    let ended = one_click(Fake::default(), &[LOOK, HIT]);
    let html = fs::read_to_string(write_report(&ended.path).unwrap()).unwrap();
    assert!(html.contains("click the &lt;blue&gt; box") && html.contains("&lt;b&gt;is it&lt;/b&gt;"));
    assert!(!html.contains("<b>is it</b>"));
    for outside in ["http://", "https://", "src=\"/", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    // before, after, crop
    assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 3);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_a_clear_error() {
    let output = tempfile::tempdir().unwrap();
    let blocked = output.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = Run::recorded(&blocked, "x", &run_record(), &[]).unwrap_err();
    assert!(matches!(error, RunDirError::Write { .. }));
    assert!(error.to_string().starts_with(&format!("cannot write `{}", blocked.display())), "{error}");
}

#[test]
fn a_folder_that_vanishes_during_the_run_is_an_error_of_the_run() {
    let output = tempfile::tempdir().unwrap();
    let mut run = Run::recorded(output.path(), "x", &run_record(), &[]).unwrap();
    fs::remove_dir_all(run.path().unwrap()).unwrap();
    fs::write(run.path().unwrap(), "a file in its place").unwrap();
    let (mut driver, mut policy) = (Fake::default(), ScriptedPolicy::new([HIT]));
    let (preset, sampling, cancel) = (Preset::web_grounding_multiturn(), sampling(), Cancel::default());
    let mut agent = Agent {
        driver: &mut driver,
        eyes: Eyes::Policy {
            policy: &mut policy,
            preset: &preset,
            sampling: &sampling,
            checks: Checks::Nobody,
        },
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
    };
    let steps = vec![Intent::click("the blue box")];
    let mut task = Task {
        name: "x",
        labels: BTreeMap::new(),
        seed: None,
        steps,
        attempts: Vec::new(),
        max_steps: None,
        target: None,
        judge: &mut IsGreen,
    };
    let failed = run_episode(&mut agent, &mut task, &mut run).err().or_else(|| run.finish().err());
    assert!(matches!(failed, Some(RunDirError::Write { .. })), "{failed:?}");
}
