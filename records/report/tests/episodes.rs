//! Whole episodes of a scripted policy in a world in memory: what is recorded, and how each failure ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for other programs, and for what comes late on purpose"
)]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use vigorl_agent::{
    Agent, Cancel, Checks, Confirm, Consent, Decision, Hands, InOrder, Leash, PlaceEyes, PolicyEyes,
    Question, Scripted, run_episode,
};
use vigorl_geometry::Point;
use vigorl_geometry::fit::PixelBudget;
use vigorl_interface::{Act, Action, Effect, Key, MouseButton, Trouble, TroubleKind};
use vigorl_policy::{
    Completion, Conversation, Policy, PolicyError, Preset, Sampling, ScriptedPolicy, TokenStream,
};
use vigorl_report::{render, write_report};
use vigorl_runs::record::{ActionRecord, EpisodeRecord, Event, ModelRecord, RunRecord, Summary};
use vigorl_runs::{Recorded, Run, RunDirError};
use vigorl_tasks::scripted::{Clause, Script, ScriptedTask, Surroundings};
use vigorl_tasks::{Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict};

use world::{Fake, Fault, Judge, World, middle};

const LOOK: &str = "<think> Something blue at (60, 50). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \
                    \"arguments\": {\"coordinate\": [60, 50]}}\n</tool_call>";
const HIT: &str = "<think> The blue box (130, 50) <b>is it</b>. </think>\n<answer> (130, 50) </answer>";
const MISS: &str = "<think> Here (10, 10). </think>\n<answer> (10, 10) </answer>";

fn sampling() -> Sampling {
    Sampling::greedy(512)
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
    max_actions: Option<usize>,
    max_time: Option<Duration>,
}

const NO_LIMITS: Limits = Limits { hands: Hands::Act, max_steps: None, max_actions: None, max_time: None };

fn episode(driver: Fake, replies: &[&str], steps: Vec<Decision>, judge: Judge, cancel: &Cancel) -> Ended {
    limited(driver, replies, steps, judge, cancel, NO_LIMITS)
}

fn limited(
    driver: Fake,
    replies: &[&str],
    steps: Vec<Decision>,
    judge: Judge,
    cancel: &Cancel,
    limits: Limits,
) -> Ended {
    let mut policy = ScriptedPolicy::new(replies.iter().copied());
    leashed(driver, &mut policy, steps, judge, cancel, limits, None)
}

fn leashed(
    mut driver: Fake,
    policy: &mut dyn Policy,
    steps: Vec<Decision>,
    judge: Judge,
    cancel: &Cancel,
    limits: Limits,
    confirm: Option<&mut dyn Confirm>,
) -> Ended {
    let output = tempfile::tempdir().unwrap();
    let Limits { hands, max_steps, max_actions, max_time } = limits;
    let confirm = confirm.map(|confirm| confirm as &mut dyn Confirm);
    let mut run = Run::recorded(output.path(), "click the box", &run_record(), &[]).unwrap();
    let preset = Preset::web_grounding_multiturn();
    let sampling = sampling();
    let mut agent = Agent {
        eyes: &mut PolicyEyes::new(policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands,
        cancel,
        leash: Leash::new(max_actions, max_time, confirm),
    };
    let mut world = World::new(&mut driver, judge);
    let labels = BTreeMap::from([("kind".to_owned(), "box".to_owned())]);
    world.start = Start { goal: "the blue box".to_owned(), labels, seed: Some(7), max_steps, target: None };
    run_episode(&mut agent, &mut InOrder(steps), &mut world, 7, &mut run).unwrap();
    let record = run.episodes()[0].clone();
    let (summary, path) = run.finish().unwrap();
    Ended { record, summary, path: path.unwrap(), driver, _output: output }
}

/// Plays a task file, with the given eyes or with none.
fn scripted(driver: Fake, replies: Option<&[&str]>, yaml: &str) -> (EpisodeRecord, Vec<Value>, Fake) {
    let output = tempfile::tempdir().unwrap();
    let mut driver = driver;
    let (surroundings, cancel) = (Surroundings::default(), Cancel::default());
    let mut task = ScriptedTask::parse(yaml).unwrap();
    task.fill(&BTreeMap::new(), &|_| None).unwrap();
    let mut run = Run::recorded(output.path(), "task", &run_record(), &[]).unwrap();
    let mut policy = ScriptedPolicy::new(replies.unwrap_or_default().iter().copied());
    let (preset, sampling) = (Preset::web_grounding_multiturn(), sampling());
    let mut looks = PolicyEyes::new(&mut policy, &preset, &sampling);
    let mut agent = Agent {
        eyes: if replies.is_some() { &mut looks } else { &mut PlaceEyes },
        min_confidence: 0.0,
        checks: Checks::Elements,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let mut world = World { task: Some(&task), ..World::new(&mut driver, Judge::Nobody) };
    let mut plan = Scripted::new(Script::new(&task, &surroundings));
    run_episode(&mut agent, &mut plan, &mut world, 0, &mut run).unwrap();
    let record = run.episodes()[0].clone();
    let steps = run.finish().unwrap().1.unwrap().join("steps");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(steps).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders.iter().filter(|folder| folder.join("model.json").exists()) {
        // Each crop that was shown is there, under its number.
        let turns = json(&folder.join("model.json"))["turns"].as_array().unwrap().clone();
        let n_crops = turns.iter().filter(|turn| !turn["crop"].is_null()).count();
        let is_there = |n: usize| folder.join(format!("crop_{n}.png")).exists();
        assert!((1..=n_crops).all(is_there) && !is_there(n_crops + 1), "{turns:?}");
    }
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

    // A policy that insists is looked at three times more in each try, and then done as it says.
    let (record, steps, driver) = scripted(Fake::default(), Some(&[MISS; 9]), UNTIL_GREEN);
    assert_eq!((record.success, steps.len(), driver.acts.len()), (Some(false), 6, 3));
    assert!(record.detail.unwrap().contains("step 6 of 6 was refused: it does not hold that `isGreen`"));
}

#[test]
fn what_was_done_in_vain_is_looked_at_closer_before_it_is_done_again() {
    let (record, steps, driver) = scripted(Fake::default(), Some(&[MISS, MISS, HIT]), UNTIL_GREEN);
    assert_eq!(record.success, Some(true), "{record:?}");
    let effects: Vec<&str> = steps.iter().map(|step| step["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["suspected_noop", "refused", "confirmed", "confirmed"]);
    let at = |x: f64, y: f64| Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 };
    assert_eq!(driver.acts, [at(10.0, 10.0), at(130.0, 50.0)]);
    // The closer look goes on in the policy's own way.
    let (record, _, driver) = scripted(Fake::default(), Some(&[MISS, MISS, LOOK, HIT]), UNTIL_GREEN);
    assert_eq!((record.success, driver.acts.len()), (Some(true), 2));
    // Another deed is another thing, also where the first one did nothing.
    let hover = UNTIL_GREEN.replace("[ click", "[ hover: { what: the Save box, at: [130, 50] }, click");
    let (_, _, driver) = scripted(Fake::default(), Some(&[MISS, MISS, HIT, HIT]), &hover);
    assert_eq!(driver.acts.len(), 4, "{:?}", driver.acts);
    // An answer elsewhere needs no closer look, and neither does another target at the same place.
    let (record, _, driver) = scripted(Fake::default(), Some(&[MISS, HIT]), UNTIL_GREEN);
    assert_eq!((record.success, driver.acts.len()), (Some(true), 2));
    let two = "name: n\nstart: {}\nsteps: [click: one, click: another]\nexpect: [javascript: isGreen]\n";
    let (_, _, driver) = scripted(Fake::default(), Some(&[MISS, MISS]), two);
    assert_eq!(driver.acts.len(), 2);
}

#[test]
fn steps_that_may_take_so_long_end_then_and_wait_no_longer_and_no_shorter() {
    let task = |wait_secs: u32, step: &str| {
        format!(
            "name: n\nstart: {{}}\nwait_secs: {wait_secs}\nsteps: [{step}]\nexpect: [javascript: isGreen]\n"
        )
    };
    // A wait ends with its part of the task, not with the task's longest wait.
    let began = Instant::now();
    let never = task(60, "within: { secs: 0.2, steps: [wait_for: { javascript: isGreen }] }");
    let (record, _, _) = scripted(Fake::default(), None, &never);
    assert_eq!((record.success, record.truncated), (Some(false), false));
    let detail = record.detail.unwrap();
    assert!(
        detail.contains("the 0.2 s of this part are over, and it does not hold that `isGreen`"),
        "{detail}"
    );
    assert!((0.2..20.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    // Nor is it shorter than its part of the task.
    let file = tempfile::tempdir().unwrap().path().join("there");
    let waits =
        format!("within: {{ secs: 60, steps: [wait_for: {{ file: {{ path: {} }} }}] }}", file.display());
    let writer = std::thread::spawn({
        let file = file.clone();
        move || {
            std::thread::sleep(Duration::from_millis(200));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
    });
    let (_, steps, _) = scripted(Fake::default(), None, &task(0, &waits));
    writer.join().unwrap();
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    assert_eq!(steps[0]["effect"], "confirmed", "{steps:?}");
    // Tries inside of it end with it, without being gone through; the wait behind each is the task's.
    let inside = "within: { secs: 0.3, steps: [retry: { times: 50, until: { javascript: isGreen }, steps: [type: x] }] }";
    let (_, steps, driver) = scripted(Fake::default(), None, &task(60, inside));
    assert_eq!((driver.acts.len(), steps.len()), (1, 2), "{steps:?}");
    let (_, steps, driver) = scripted(Fake::default(), None, &task(0, &inside.replace("0.3", "600")));
    assert!(driver.acts.len() > 1 && steps.len() == 100, "{}", steps.len());
    // No action behind the end, and the next try has its time again.
    let tries = "retry: { times: 2, until: { javascript: isGreen }, steps: [within: { secs: 0.1, steps: [
                   click: { what: b, at: [130, 50] }, wait_for: { clipboard: never }, type: x] }] }";
    let (record, steps, driver) = scripted(Fake::default(), None, &task(0, tries));
    assert_eq!(driver.acts.len(), 2, "each try clicks and none types: {:?}", driver.acts);
    let last = record.detail.unwrap();
    assert!(last.contains("out of time"), "{last}");
    assert_eq!(steps.len(), 4);
}

#[test]
fn what_was_not_read_leaves_a_step_undone_and_a_clause_unknown_and_loses_no_record() {
    // The read never comes: the first step is refused, and that is what the episode says.
    let never = "name: n\nstart: {}\nsteps: [click: { what: a, at: [900, 900] }, read: { of: title, into: x }]\n\
                 expect: [text_visible: '${x}']\n";
    let (record, steps, _) = scripted(Fake::default(), None, never);
    assert_eq!((record.success, record.reward, record.err_msg), (Some(false), Some(0.0), None));
    let detail = record.detail.unwrap();
    assert!(detail.starts_with("step 1 of 2 was refused: (900, 900) lies outside"), "{detail}");
    assert!(
        detail.contains("cannot tell whether the page shows `${x}`: nothing was read into `x` yet"),
        "{detail}"
    );
    assert_eq!(steps.len(), 1);
    // What is read is empty, so the step behind the click says nothing: the click is recorded all the same.
    let empty = "name: n\nstart: {}\nsteps: [read: { of: url, into: x }, click: { what: a, at: [130, 50] }, \
                 wait_for: { text_visible: '${y}' }, read: { of: title, into: y }]\nexpect: [javascript: isGreen]\n";
    let (record, steps, driver) = scripted(Fake::default(), None, empty);
    assert_eq!((record.success, record.reward, record.err_msg), (Some(false), Some(0.0), None));
    assert_eq!((steps.len(), driver.acts.len(), &steps[1]["effect"]), (2, 1, &"confirmed".into()));
    assert_eq!(steps[1]["verification"], "satisfied", "the judge was asked");
    let detail = record.detail.unwrap();
    assert!(detail.contains("the next step cannot be taken: nothing was read into `y` yet"), "{detail}");
    // A task whose first step cannot be known is judged, too.
    let first = "name: n\nstart: {}\nsteps: [type: '${x}', read: { of: title, into: x }]\nexpect: [javascript: isGreen]\n";
    let (record, steps, _) = scripted(Fake::default(), None, first);
    assert_eq!((record.success, record.reward, steps.len()), (Some(false), Some(0.0), 0));
}

#[test]
fn a_step_undone_is_no_success_also_where_nobody_can_tell() {
    let unknown = "name: n\nstart: {}\nsteps: [click: { what: a, at: [900, 900] }]\nexpect: [clipboard: x]\n";
    let (record, ..) = scripted(Fake::default(), None, unknown);
    assert_eq!((record.success, record.reward), (Some(false), Some(0.0)));
    let done = unknown.replace("[900, 900]", "[130, 50]");
    let (record, ..) = scripted(Fake::default(), None, &done);
    assert_eq!((record.success, record.reward), (None, None), "all was done, and nobody can tell");
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

#[test]
fn a_step_that_comes_to_a_page_which_answered_with_an_error_says_so_and_is_done() {
    let steps = || vec![click("the blue box"), Decision::Act(Act::Navigate { url: "/x".to_owned() })];
    for (status, told) in [(Some(404), Some("the page answered 404")), (Some(200), None), (None, None)] {
        let mut driver = Fake::default();
        driver.status = status;
        let ended = episode(driver, &[HIT], steps(), Judge::IsGreen, &Cancel::default());
        assert_eq!(ended.record.success, Some(true));
        let recorded = Recorded::read(&ended.path).unwrap();
        let details =
            recorded.episodes[0].steps.iter().map(|step| step.action.as_ref().unwrap().detail.as_deref());
        // The click has led nowhere else.
        assert_eq!(details.collect::<Vec<_>>(), [None, told]);
    }
}

/// One click.
fn click(what: &str) -> Decision {
    Decision::Act(Act::click(what.into()))
}

#[test]
fn what_goes_wrong_inside_a_page_is_recorded_with_its_step_and_decides_nothing() {
    let trouble = |text: &str| Trouble { kind: TroubleKind::Exception, text: text.to_owned() };
    let of_start = [vec![trouble("no <price>"); 3], (0..30).map(|n| trouble(&n.to_string())).collect()];
    let troubles =
        [vec![trouble("of the episode before")], of_start.concat(), Vec::new(), vec![trouble("late")]];
    let mut driver = Fake::default();
    driver.troubles = troubles.into();
    let steps = ["one", "another", "the blue box"].map(click).to_vec();
    let ended = episode(driver, &[MISS, MISS, HIT], steps.clone(), Judge::IsGreen, &Cancel::default());
    let without = episode(Fake::default(), &[MISS, MISS, HIT], steps, Judge::IsGreen, &Cancel::default());
    assert_eq!(ended.record, without.record);

    let recorded = Recorded::read(&ended.path).unwrap();
    let of = |n: usize| recorded.episodes[0].steps[n].action.clone().unwrap();
    let [first, second, third] = [0, 1, 2].map(of);
    assert_eq!((first.troubles.len(), first.n_more_troubles, first.n_troubles()), (20, 11, 33));
    assert_eq!((first.troubles[0].text.as_str(), first.troubles[0].n_times), ("no <price>", 3));
    assert_eq!((second.n_troubles(), third.troubles[0].text.as_str()), (0, "late"));
    // A record in which nothing went wrong is as it was before.
    assert!(
        json(&ended.path.join("steps/0002/action.json"))
            .as_object()
            .unwrap()
            .keys()
            .all(|key| !key.contains("troubles"))
    );
    let page = render(&recorded);
    for words in [
        "<dt>errors of pages</dt><dd>34</dd>",
        "33 errors of the page",
        "no &lt;price&gt;",
        "× 3",
        "and 11 more",
        "1 error of the page",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("of the episode before"));
    assert!(!render(&Recorded::read(&without.path).unwrap()).contains("errors of"));
}

fn one_click(driver: Fake, replies: &[&str]) -> Ended {
    episode(driver, replies, vec![click("the blue box")], Judge::IsGreen, &Cancel::default())
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
    let once = vec![click("the blue box")];
    let ended = episode(Fake::default(), &[HIT], once, Judge::Nobody, &Cancel::default());
    assert_eq!((ended.record.success, ended.summary.success), (None, None));
    assert_eq!(json(&ended.path.join("steps/0001/action.json"))["verification"], "unknown");
}

#[test]
fn an_interrupted_run_does_nothing_more_and_says_so() {
    let cancel = Cancel::default();
    cancel.set();
    let once = vec![click("the blue box")];
    let ended = episode(Fake::default(), &[HIT], once, Judge::IsGreen, &cancel);
    assert!(ended.driver.acts.is_empty());
    assert!(ended.summary.truncated && !ended.summary.terminated);
    assert_eq!(ended.summary.success, None);
}

#[test]
fn steps_without_a_target_do_not_ask_the_policy() {
    let steps = vec![
        Decision::Act(Act::Type { text: "grounding".to_owned() }),
        Decision::Act(Act::Press { chord: vec![Key::Control, Key::Char('a')] }),
        click("the blue box"),
    ];
    let ended = episode(Fake::default(), &[HIT], steps, Judge::IsGreen, &Cancel::default());
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
    assert_eq!(pressed.action, Some(ActionRecord::Press { chord: vec![Key::Control, Key::Char('a')] }));
}

#[test]
fn a_dialog_is_an_effect_and_a_covered_page_is_a_refusal() {
    let once = || vec![click("the blue box")];
    let opened = episode(Fake::with(Fault::DialogOnAct), &[HIT], once(), Judge::Nobody, &Cancel::default());
    let action = json(&opened.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["dialog"]), (&"confirmed".into(), &"Are you sure?".into()));
    assert!(!opened.path.join("steps/0001/after.png").exists());
    let log = fs::read_to_string(opened.path.join("events.jsonl")).unwrap();
    assert!(log.contains(r#""dialog":"Are you sure?""#), "{log}");
    let covered =
        episode(Fake::with(Fault::DialogFromStart), &[HIT], once(), Judge::Nobody, &Cancel::default());
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
    let once = || vec![click("the blue box")];
    let late = Fake::with(Fault::Late);
    let ended = episode(late, &[HIT], once(), Judge::BecomesGreen, &Cancel::default());
    assert_eq!((ended.record.success, ended.record.reward), (Some(true), Some(1.0)));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["verification"]), (&"confirmed".into(), &"satisfied".into()));
    let after = image::open(ended.path.join("steps/0001/after.png")).unwrap().into_rgb8();
    assert_eq!(after.get_pixel(130, 50).0, [20, 160, 80], "the last look is at what the judge saw");

    let at_once = episode(Fake::default(), &[HIT], once(), Judge::BecomesGreen, &Cancel::default());
    assert_eq!((at_once.driver.n_questions, at_once.driver.n_screenshots), (1, 2), "nothing is waited for");
    let final_word = episode(Fake::with(Fault::Late), &[HIT], once(), Judge::IsGreen, &Cancel::default());
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
fn a_tab_that_is_gone_before_it_is_seen_leaves_the_page_before_it() {
    let ended = one_click(Fake::with(Fault::TabForAMoment), &[HIT]);
    assert_eq!((ended.record.err_msg, ended.record.success), (None, Some(true)));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!(
        (&action["effect"], &action["detail"]),
        (&"confirmed".into(), &"the tab closed itself".into())
    );
    let events = Recorded::read(&ended.path).unwrap().events;
    assert!(!events.iter().any(|event| matches!(event, Event::TabOpened { .. })), "{events:?}");
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
    let steps = || vec![click("the blue box"), click("the other box")];
    let malformed = "<answer> nowhere </answer>";
    let ended = episode(Fake::default(), &[HIT, malformed], steps(), Judge::IsGreen, &Cancel::default());
    assert_eq!((ended.record.success, ended.summary.success), (Some(false), Some(false)));
    assert_eq!(ended.record.detail.as_deref(), Some("step 2 of 2 was refused: the answer is not a point"));
    let last = json(&ended.path.join("steps/0002/action.json"));
    assert_eq!(last["verification"], "satisfied", "the clauses do hold");
}

#[test]
fn enter_accepts_a_dialog_and_escape_dismisses_it() {
    let press = |key| vec![Decision::Act(Act::Press { chord: vec![key] })];
    for (key, success, done) in [(Key::Enter, true, "accepted"), (Key::Escape, false, "dismissed")] {
        let covered = Fake::with(Fault::DialogFromStart);
        let ended = episode(covered, &[], press(key), Judge::IsGreen, &Cancel::default());
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
    let drag = vec![Decision::Act(Act::Drag { from: "the card".into(), to: "the bin".into() })];
    let ended = episode(Fake::default(), &[LOOK, HIT, MISS], drag, Judge::Nobody, &Cancel::default());
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
    let box_by = |button, count| vec![Decision::Act(Act::Click { at: "the box".into(), button, count })];
    for (steps, name) in [
        (box_by(MouseButton::Left, 2), "double click the box"),
        (box_by(MouseButton::Right, 1), "right click the box"),
        (box_by(MouseButton::Left, 1), "the box"),
    ] {
        let ended = episode(Fake::default(), &[HIT], steps, Judge::Nobody, &Cancel::default());
        assert_eq!(json(&ended.path.join("steps/0001/action.json"))["instruction"], name);
    }
}

#[test]
fn a_dry_run_grounds_and_records_and_does_nothing() {
    let steps = vec![click("the blue box"), Decision::Act(Act::Type { text: "x".to_owned() })];
    let limits = Limits { hands: Hands::Rest, ..NO_LIMITS };
    let ended = limited(Fake::default(), &[HIT], steps, Judge::IsGreen, &Cancel::default(), limits);
    assert!(ended.driver.acts.is_empty());
    assert_eq!((ended.record.success, ended.record.n_steps), (None, 2));
    assert_eq!(ended.record.detail.as_deref(), Some("dry run: nothing was done"));
    let action = json(&ended.path.join("steps/0001/action.json"));
    assert_eq!((&action["effect"], &action["detail"]), (&"unverifiable".into(), &"dry run".into()));
    assert_eq!(action["action"]["at"], serde_json::json!([130, 50]));
}

#[test]
fn a_task_that_runs_out_of_steps_is_truncated_and_no_success() {
    let steps = vec![click("the blue box"); 3];
    let limits = Limits { max_steps: Some(2), ..NO_LIMITS };
    let ended = limited(Fake::default(), &[HIT, HIT], steps, Judge::IsGreen, &Cancel::default(), limits);
    assert_eq!((ended.record.n_steps, ended.record.success), (2, Some(false)));
    assert!(ended.summary.truncated && !ended.summary.terminated);
    assert_eq!(ended.record.detail.as_deref(), Some("out of steps: 2 of 3 were taken"));
}

#[test]
fn an_episode_out_of_actions_is_truncated_and_asks_no_policy_more() {
    let steps = vec![click("the blue box"); 3];
    let mut policy = ScriptedPolicy::new([HIT, HIT]);
    let limits = Limits { max_actions: Some(2), ..NO_LIMITS };
    let ended =
        leashed(Fake::default(), &mut policy, steps, Judge::IsGreen, &Cancel::default(), limits, None);
    assert_eq!((ended.driver.acts.len(), policy.asked().len()), (2, 2));
    assert_eq!(
        (ended.record.success, ended.record.reward, ended.record.err_msg),
        (Some(false), Some(0.0), None)
    );
    assert!(ended.summary.truncated && !ended.summary.terminated);
    assert_eq!(ended.record.detail.as_deref(), Some("step 3 of 3 was not done: out of actions: 2 were done"));
}

/// Says nothing that ends, until it is told to stop.
struct Endless;

impl Policy for Endless {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        while stream(" ").is_continue() {
            std::thread::yield_now();
        }
        ScriptedPolicy::new([HIT]).complete(conversation, sampling, &mut |_| std::ops::ControlFlow::Break(()))
    }

    fn name(&self) -> &str {
        "endless"
    }

    fn pixel_budget(&self) -> PixelBudget {
        ScriptedPolicy::new([HIT]).pixel_budget()
    }
}

#[test]
fn an_episode_out_of_time_does_nothing_more_and_waits_for_nobody() {
    let never = Decision::Check(Clause::UrlContains("never".to_owned()), Duration::from_secs(60));
    let text = Decision::Act(Act::Type { text: "x".to_owned() });
    let check =
        |policy: &mut dyn Policy, steps: Vec<Decision>, limit: Duration, n_acts: usize, words: &str| {
            let clock = std::time::Instant::now();
            let limits = Limits { max_time: Some(limit), ..NO_LIMITS };
            let ended =
                leashed(Fake::default(), policy, steps, Judge::IsGreen, &Cancel::default(), limits, None);
            assert!(clock.elapsed() < Duration::from_secs(20), "{words}: {:?}", clock.elapsed());
            assert_eq!((ended.driver.acts.len(), ended.record.success), (n_acts, Some(false)), "{words}");
            assert!(ended.summary.truncated && !ended.summary.terminated && ended.summary.err_msg.is_none());
            let detail = ended.record.detail.unwrap();
            assert!(detail.starts_with(words), "{detail}");
        };
    let (soon, at_once) = (Duration::from_millis(500), Duration::from_nanos(1));
    let once = || click("the blue box");
    let mut nobody = ScriptedPolicy::new(Vec::<String>::new());
    check(&mut nobody, vec![once()], at_once, 0, "out of time: 0.000000001 s are over");
    check(&mut nobody, vec![text.clone()], at_once, 0, "out of time");
    check(&mut Endless, vec![once()], soon, 0, "out of time: 0.5 s are over");
    check(
        &mut nobody,
        vec![text, never, once()],
        soon,
        1,
        "step 2 of 3 was not done: out of time: 0.5 s are over",
    );
}

/// Answers in order, and keeps what was asked.
struct Person {
    answers: Vec<Consent>,
    asked: Vec<(String, Action, Option<String>)>,
}

impl Confirm for Person {
    fn confirm(&mut self, question: &Question<'_>) -> Consent {
        let Question { step, action, page, .. } = question;
        self.asked.push(((*step).to_owned(), (*action).clone(), page.dialog.clone().or(page.url.clone())));
        self.answers.remove(0)
    }
}

fn asked(driver: Fake, steps: Vec<Decision>, answers: &[Consent], hands: Hands) -> (Ended, Person) {
    let mut person = Person { answers: answers.to_vec(), asked: Vec::new() };
    let mut policy = ScriptedPolicy::new([HIT, HIT]);
    let limits = Limits { hands, ..NO_LIMITS };
    let ended =
        leashed(driver, &mut policy, steps, Judge::IsGreen, &Cancel::default(), limits, Some(&mut person));
    (ended, person)
}

#[test]
fn a_person_is_asked_before_each_action_and_a_no_ends_the_episode() {
    let text = Action::Type { text: "x".to_owned() };
    let typed = Decision::Act(Act::Type { text: "x".to_owned() });
    let steps = vec![click("the blue box"), typed, click("the blue box")];
    let answers = [Consent::Given, Consent::Refused];
    let (ended, person) = asked(Fake::default(), steps, &answers, Hands::Act);
    let click = Action::Click { at: middle(), button: MouseButton::Left, count: 1 };
    let page = Some("fake:one".to_owned());
    assert_eq!(ended.driver.acts, std::slice::from_ref(&click), "what was refused is not done");
    let expected = [("the blue box".to_owned(), click, page.clone()), ("type \"x\"".to_owned(), text, page)];
    assert_eq!(person.asked, expected);
    assert_eq!(
        (ended.record.success, ended.record.err_msg, ended.record.truncated),
        (Some(false), None, false)
    );
    assert_eq!(ended.record.detail.as_deref(), Some("step 2 of 3 was refused: a person refused the action"));
    let action = json(&ended.path.join("steps/0002/action.json"));
    assert_eq!((&action["effect"], &action["action"]), (&"refused".into(), &Value::Null));
    let log = fs::read_to_string(ended.path.join("events.jsonl")).unwrap();
    assert_eq!(log.matches("\"acting\"").count(), 1, "{log}");
}

#[test]
fn what_is_held_back_is_not_tried_again() {
    let yaml = "name: n\nstart: { url: 'fake:one' }\nsteps:\n  - retry: { times: 3, until: { url_contains: never }, steps: [type: x] }\n\
                expect: [url_contains: one]\n";
    let task = ScriptedTask::parse(yaml).unwrap();
    let surroundings = Surroundings::default();
    let mut person = Person { answers: vec![Consent::Refused], asked: Vec::new() };
    let mut driver = Fake::default();
    let mut agent = Agent {
        eyes: &mut PlaceEyes,
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::ZERO,
        hands: Hands::Act,
        cancel: &Cancel::default(),
        leash: Leash::new(None, None, Some(&mut person)),
    };
    let mut world = World::new(&mut driver, Judge::IsGreen);
    let mut plan = Scripted::new(Script::new(&task, &surroundings));
    let episode = run_episode(&mut agent, &mut plan, &mut world, 0, &mut ()).unwrap();
    assert!(episode.detail.unwrap().ends_with("a person refused the action"));
    assert_eq!((episode.steps.len(), person.asked.len(), driver.acts.len()), (1, 1, 0));
}

#[test]
fn a_person_is_asked_before_a_dialog_is_answered_and_never_in_a_dry_run() {
    let enter = || vec![Decision::Act(Act::Press { chord: vec![Key::Enter] })];
    for (consent, success) in [(Consent::Given, true), (Consent::Refused, false)] {
        let covered = Fake::with(Fault::DialogFromStart);
        let (ended, person) = asked(covered, enter(), &[consent], Hands::Act);
        assert_eq!(ended.record.success, Some(success), "an accepted dialog makes the box green");
        assert_eq!((person.asked.len(), person.asked[0].2.as_deref()), (1, Some("Leave?")));
    }
    for world in [Fake::default(), Fake::with(Fault::DialogFromStart)] {
        let (ended, person) = asked(world, enter(), &[], Hands::Rest);
        assert!(person.asked.is_empty() && ended.driver.acts.is_empty());
    }
}

#[test]
fn a_yes_that_comes_too_late_is_none() {
    struct Slow;
    impl Confirm for Slow {
        fn confirm(&mut self, question: &Question<'_>) -> Consent {
            while question.until.is_some_and(|end| std::time::Instant::now() < end) {
                std::thread::yield_now();
            }
            Consent::Given
        }
    }
    let limits = Limits { max_time: Some(Duration::from_millis(500)), ..NO_LIMITS };
    let (mut policy, cancel) = (ScriptedPolicy::new([HIT]), Cancel::default());
    let steps = || vec![click("the blue box")];
    let ended =
        leashed(Fake::default(), &mut policy, steps(), Judge::IsGreen, &cancel, limits, Some(&mut Slow));
    assert!(ended.driver.acts.is_empty() && ended.record.truncated);
    // Nor one that comes with an interruption.
    struct Interrupts<'a>(&'a Cancel);
    impl Confirm for Interrupts<'_> {
        fn confirm(&mut self, _question: &Question<'_>) -> Consent {
            self.0.set();
            Consent::Given
        }
    }
    let (mut policy, mut interrupts) = (ScriptedPolicy::new([HIT]), Interrupts(&cancel));
    let ended = leashed(
        Fake::default(),
        &mut policy,
        steps(),
        Judge::IsGreen,
        &cancel,
        NO_LIMITS,
        Some(&mut interrupts),
    );
    assert!(ended.driver.acts.is_empty() && ended.record.truncated && ended.record.success.is_none());
}

#[test]
fn a_run_that_fails_before_its_first_step_is_readable() {
    let output = tempfile::tempdir().unwrap();
    let mut run = Run::recorded(output.path(), "x", &run_record(), &[]).unwrap();
    struct Nowhere;
    impl Environment for Nowhere {
        fn reset(&mut self, _seed: u64) -> Result<Start, Failure> {
            Err("cannot open `http://nowhere/`".into())
        }
        fn observe(&mut self) -> Result<Observation, Failure> {
            unreachable!("it never begins")
        }
        fn perform(&mut self, _act: &Action) -> Result<Performed, Failure> {
            unreachable!("it never begins")
        }
        fn judge(
            &mut self,
            _answer: Option<&str>,
            _senses: &mut dyn Senses,
            _allowance: &Allowance<'_>,
        ) -> Result<Verdict, Failure> {
            unreachable!("it never begins")
        }
    }
    let mut agent = Agent {
        eyes: &mut PlaceEyes,
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::ZERO,
        hands: Hands::Act,
        cancel: &Cancel::default(),
        leash: Leash::default(),
    };
    let episode = run_episode(&mut agent, &mut InOrder::click("x"), &mut Nowhere, 0, &mut run).unwrap();
    assert_eq!((episode.reward, episode.steps.len()), (None, 0));
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
        eyes: &mut PolicyEyes::new(&mut policy, &preset, &sampling),
        min_confidence: 0.0,
        checks: Checks::Nobody,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::default(),
    };
    let (mut plan, mut world) = (InOrder::click("the blue box"), World::new(&mut driver, Judge::IsGreen));
    let failed =
        run_episode(&mut agent, &mut plan, &mut world, 0, &mut run).err().map(|error| error.to_string());
    let failed = failed.or_else(|| run.finish().err().map(|error| error.to_string()));
    assert!(failed.as_ref().is_some_and(|said| said.starts_with("cannot write `")), "{failed:?}");
}

#[test]
fn steps_that_may_fail_and_questions_leave_a_task_solved() {
    let steps = |steps: &str| {
        format!("name: n\nstart: {{}}\nwait_secs: 0\nsteps:\n{steps}expect: [ javascript: isGreen ]\n")
    };
    let click = "click: { what: the box, at: [130, 50] }";
    let nowhere = "click: { what: nothing, at: [900, 50] }";
    // A step that fails, its block at the end and in the middle.
    for yaml in [
        steps(&format!("  - {click}\n  - optional: {{ steps: [{nowhere}, type: x] }}\n")),
        steps(&format!("  - optional: {{ steps: [{nowhere}, type: x] }}\n  - {click}\n")),
    ] {
        let (record, _, driver) = scripted(Fake::default(), None, &yaml);
        assert_eq!((record.success, record.detail), (Some(true), None), "{yaml}");
        assert_eq!(driver.acts.len(), 1, "what is behind the failed step is not done: {yaml}");
    }
    let (record, _, _) = scripted(Fake::default(), None, &steps(&format!("  - {click}\n  - {nowhere}\n")));
    assert_eq!(record.success, Some(false));
    // The answer no, with and without other steps, at the end and in the middle.
    let ask = "holds: { javascript: isGreen }";
    for yaml in [
        steps(&format!("  - if: {{ {ask}, steps: [type: x], else: [{click}] }}\n")),
        steps(&format!("  - if: {{ {ask}, steps: [type: x] }}\n  - {click}\n")),
        steps(&format!("  - {click}\n  - if: {{ holds: {{ url_contains: two }}, steps: [type: x] }}\n")),
        steps(&format!("  - {click}\n  - if: {{ {ask}, else: [type: x] }}\n")),
    ] {
        let (record, _, driver) = scripted(Fake::default(), None, &yaml);
        assert_eq!((record.success, driver.acts.len()), (Some(true), 1), "{yaml}: {:?}", record.detail);
    }
    // What nobody can tell is no answer: nothing of either list is done.
    let unknown = "holds: { clipboard: x }";
    let yaml = steps(&format!("  - if: {{ {unknown}, steps: [{click}], else: [{click}] }}\n"));
    let (record, _, driver) = scripted(Fake::default(), None, &yaml);
    assert_eq!((record.success, driver.acts.len()), (Some(false), 0));
    assert!(record.detail.unwrap().contains("cannot tell whether the clipboard holds `x`"));
    let (record, _, driver) = scripted(
        Fake::default(),
        None,
        &steps(&format!("  - optional: {{ steps: [if: {{ {unknown}, steps: [type: x] }}] }}\n  - {click}\n")),
    );
    assert_eq!((record.success, driver.acts.len()), (Some(true), 1));
}
