//! The loop without any record: a world that is only a picture, plans and eyes of every kind, and each ending.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use vigorl_agent::{
    Agent, Ask, Cancel, Candidate, Checks, Confidence, Confirm, Consent, Decide, Decision, Ending, Episode,
    Eyes, Features, Finding, Hands, InOrder, Leash, Planned, PolicyEyes, Question, Scripted, Sighting,
    StepError, StepOutcome, TowardsGoal, Watch, WatchError, Watched, run_episode,
};
use vigorl_geometry::fit::PixelBudget;
use vigorl_geometry::{DevicePixelRatio, Point, Rect, Screen};
use vigorl_interface::{Act, Action, Key, Screenshot};
use vigorl_policy::{
    Completion, Conversation, Finish, GroundObserver, Grounding, Policy, PolicyError, Preset, Sampling,
    ScriptedPolicy, TokenStream, Turn,
};
use vigorl_tasks::picture::PictureWorld;
use vigorl_tasks::scripted::{Place, Script, ScriptedTask, Surroundings, Target, TextPlace};
use vigorl_tasks::{
    Allowance, Blind, Environment, Failure, Observation, Performed, Senses, Start, Verdict, Verification,
};

const LOOK: &str = "<think> Something at (60, 50). </think>\n<tool_call>\n{\"name\": \"search_coordinate\", \
                    \"arguments\": {\"coordinate\": [60, 50]}}\n</tool_call>";
const HIT: &str = "<think> The box (15, 15). </think>\n<answer> (15, 15) </answer>";

fn picture() -> PictureWorld {
    let pixels = Arc::new(RgbImage::new(200, 100));
    let screenshot = Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() };
    PictureWorld::new(screenshot, "the box", vec![Rect::new(10.0, 10.0, 20.0, 20.0)])
}

fn play(
    eyes: &mut dyn Eyes,
    plan: &mut dyn Decide,
    env: &mut dyn Environment,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<Episode, WatchError> {
    let mut agent = Agent {
        eyes,
        min_confidence: 0.0,
        checks: Checks::Elements,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel,
        leash: Leash::default(),
    };
    run_episode(&mut agent, plan, env, 3, watch)
}

/// One click of a policy that says `replies`.
fn click(policy: &mut dyn Policy, env: &mut dyn Environment, watch: &mut dyn Watch) -> Episode {
    let preset = Preset::web_grounding_multiturn();
    let sampling = sampling();
    let mut eyes = PolicyEyes::new(policy, &preset, &sampling);
    play(&mut eyes, &mut InOrder::click("the box"), env, watch, &Cancel::default()).unwrap()
}

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

/// Keeps what it is told, and the pictures.
#[derive(Default)]
struct Keeper {
    told: Vec<&'static str>,
    pictures: Vec<Arc<RgbImage>>,
}

impl Watch for Keeper {
    fn episode_started(&mut self, start: &Start) -> Watched {
        assert_eq!((start.goal.as_str(), start.seed), ("the box", Some(3)));
        self.told.push("episode");
        Ok(())
    }
    fn step_started(&mut self, _instruction: &str) -> Watched {
        self.told.push("step");
        Ok(())
    }
    fn observed(&mut self, before: &Screenshot) -> Watched {
        self.pictures.push(Arc::clone(&before.pixels));
        Ok(())
    }
    fn turn(&mut self, turn: &Turn) -> Watched {
        self.told.push("turn");
        self.pictures.extend(turn.crop.iter().filter_map(|crop| crop.pixels.clone()));
        Ok(())
    }
    fn acting(&mut self, _action: &Action) -> Watched {
        self.told.push("acting");
        Ok(())
    }
    fn step_ended(&mut self, outcome: &StepOutcome, verification: Verification) -> Watched {
        assert!(outcome.before.is_some() && verification == Verification::Satisfied);
        self.told.push("step ended");
        Ok(())
    }
    fn episode_ended(&mut self, _episode: &Episode) -> Watched {
        self.told.push("episode ended");
        Ok(())
    }
}

#[test]
fn a_world_without_a_driver_is_played_and_watchers_keep_the_pictures() {
    let mut watch = (Keeper::default(), Keeper::default());
    let episode = click(&mut ScriptedPolicy::new([LOOK, HIT]), &mut picture(), &mut watch);
    assert_eq!((episode.success, episode.reward, episode.n_zooms()), (Some(true), Some(1.0), 1));
    assert_eq!((episode.ending.clone(), episode.point()), (Ending::Judged, Some(Point::new(15.0, 15.0))));
    let told = ["episode", "step", "turn", "turn", "acting", "step ended", "episode ended"];
    assert_eq!((&watch.0.told[..], &watch.1.told[..]), (&told[..], &told[..]), "both are told");
    assert_eq!(watch.0.pictures.len(), 2, "the screenshot and the crop");
    // The episode keeps none of them: nobody but the watchers and the world holds a picture.
    assert!(episode.steps.iter().all(|step| step.before.is_none() && step.after.is_none()));
    let crop = Arc::clone(&watch.0.pictures[1]);
    drop(watch);
    assert_eq!(Arc::strong_count(&crop), 1, "the crop is gone with the watchers");
    assert!(episode.steps[0].sightings[0].grounding.turns[0].crop.is_some(), "its plan stays");
}

/// Says always the same.
struct Says(Sighting);

impl Eyes for Says {
    fn name(&self) -> &str {
        "told"
    }
    fn find(&mut self, _ask: &Ask<'_>, _observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        Ok(self.0.clone())
    }
}

/// What [`Says`] finds.
fn told(finding: Finding) -> Sighting {
    let other = Candidate { at: Point::new(90.0, 90.0), why: "it looks alike".to_owned(), confidence: None };
    Sighting {
        grounding: Grounding::known(finding.point().ok()),
        finding,
        confidence: Some(Confidence { value: 0.5, domain: None, features: Features::new() }),
        candidates: vec![other],
        decided_by: "told".to_owned(),
        is_learned: false,
    }
}

#[test]
fn only_what_was_found_is_acted_on() {
    let at = Point::new(15.0, 15.0);
    for (finding, detail) in [
        (Finding::Found(at), None),
        (Finding::Absent("there is none".to_owned()), Some("there is none")),
        (Finding::Ambiguous("there are two".to_owned()), Some("there are two")),
        (Finding::Unsure(at, "it is blurred".to_owned()), Some("unsure of (15, 15): it is blurred")),
        (Finding::Malformed("no point".to_owned()), Some("no point")),
    ] {
        let plan = &mut InOrder::click("the box");
        let episode =
            play(&mut Says(told(finding.clone())), plan, &mut picture(), &mut (), &Cancel::default())
                .unwrap();
        let step = &episode.steps[0];
        assert_eq!(
            (step.detail.as_deref(), step.action.is_some()),
            (detail, detail.is_none()),
            "{finding:?}"
        );
        assert_eq!(episode.reward, Some(if detail.is_none() { 1.0 } else { 0.0 }), "{finding:?}");
        assert_eq!((step.sightings[0].decided_by.as_str(), step.sightings[0].candidates.len()), ("told", 1));
    }
}

/// Sees something else wherever it is asked.
struct Contradicting;

impl Senses for Contradicting {
    fn contradicts(
        &mut self,
        _screenshot: &Screenshot,
        _instruction: &str,
        _at: Point<Screen>,
    ) -> Result<Option<String>, Failure> {
        Ok(Some("something else is written there".to_owned()))
    }
}

#[test]
fn what_was_learned_from_reward_is_not_contradicted_by_what_is_written_there() {
    for (is_learned, is_done) in [(true, true), (false, false)] {
        let sighting = Sighting { is_learned, ..told(Finding::Found(Point::new(15.0, 15.0))) };
        let mut agent = Agent {
            eyes: &mut Says(sighting),
            min_confidence: 0.5,
            checks: Checks::Elements,
            senses: &mut Contradicting,
            settle_cap: Duration::ZERO,
            hands: Hands::Act,
            cancel: &Cancel::default(),
            leash: Leash::default(),
        };
        let plan = &mut InOrder::click("the box");
        let episode = run_episode(&mut agent, plan, &mut picture(), 0, &mut ()).unwrap();
        assert_eq!(episode.steps[0].is_done(), is_done, "{:?}", episode.steps[0].detail);
    }
    // Being learned is not being sure.
    let unsure = Finding::Unsure(Point::new(15.0, 15.0), "it is blurred".to_owned());
    let sighting = Sighting { is_learned: true, ..told(unsure) };
    let plan = &mut InOrder::click("the box");
    let episode = play(&mut Says(sighting), plan, &mut picture(), &mut (), &Cancel::default()).unwrap();
    assert!(!episode.steps[0].is_done());
}

/// Looks before it decides, and has a last word.
struct Planner;

impl Decide for Planner {
    fn next(&mut self, seen: &Observation, past: &[StepOutcome]) -> Result<Planned, StepError> {
        assert!(seen.screenshot.is_some(), "it sees what is there, also behind a step");
        Ok(match past {
            [] => Decision::Act(Act::click("the box".into())).into(),
            [first] if !first.is_done() => Decision::Act(Act::Hover { at: "something".into() }).into(),
            all => Decision::Stop(Some(format!("{} steps", all.len()))).into(),
        })
    }
}

/// Is solved by the right answer alone.
struct Asks(PictureWorld);

impl Environment for Asks {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.0.reset(seed)
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.0.observe()
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.0.perform(act)
    }
    fn judge(
        &mut self,
        answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        let right = answer == Some("1 steps");
        Ok(Verdict::of(right, false, None))
    }
}

#[test]
fn a_plan_decides_from_what_became_of_its_steps_and_its_last_word_is_judged() {
    let found = &mut Says(told(Finding::Found(Point::new(15.0, 15.0))));
    let episode = play(found, &mut Planner, &mut Asks(picture()), &mut (), &Cancel::default()).unwrap();
    assert_eq!((episode.success, episode.steps.len(), episode.ending), (Some(true), 1, Ending::Judged));
    let absent = &mut Says(told(Finding::Absent("nowhere".to_owned())));
    let episode = play(absent, &mut Planner, &mut Asks(picture()), &mut (), &Cancel::default()).unwrap();
    assert_eq!((episode.success, episode.reward, episode.steps.len()), (Some(false), Some(0.0), 2));
    let words: Vec<&str> = episode.steps.iter().map(|step| step.instruction.as_str()).collect();
    assert_eq!(words, ["the box", "hover over something"]);
    assert_eq!(episode.detail.as_deref(), Some("step 2 was refused: nowhere"));
    // A plan that wants nothing is judged as well.
    let nothing =
        play(absent, &mut InOrder(Vec::new()), &mut picture(), &mut (), &Cancel::default()).unwrap();
    assert_eq!((nothing.success, nothing.steps.len()), (Some(false), 0));
}

/// Says something that a limit of tokens cut off.
struct Cut;

impl Policy for Cut {
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let said = ScriptedPolicy::new(["<think> I wonder"]).complete(conversation, sampling, stream)?;
        Ok(Completion { finish: Finish::Length, ..said })
    }
    fn name(&self) -> &str {
        "cut"
    }
    fn pixel_budget(&self) -> PixelBudget {
        ScriptedPolicy::new([HIT]).pixel_budget()
    }
}

/// Fails where it is told to.
struct Fails(PictureWorld, &'static str);

impl Fails {
    fn at(&self, place: &str) -> Result<(), Failure> {
        if self.1 == place { Err(format!("no {place}").into()) } else { Ok(()) }
    }
}

impl Environment for Fails {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.at("reset").and_then(|()| self.0.reset(seed))
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.at("observe").and_then(|()| self.0.observe())
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.at("perform").and_then(|()| self.0.perform(act))
    }
    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.at("judge").and_then(|()| self.0.judge(answer, senses, allowance))
    }
}

#[test]
fn an_ending_says_whether_it_was_the_judge_a_limit_somebody_or_the_world() {
    let hit = || ScriptedPolicy::new([HIT]);
    assert_eq!(click(&mut hit(), &mut picture(), &mut ()).ending, Ending::Judged);
    let cut = click(&mut Cut, &mut picture(), &mut ());
    assert_eq!((cut.ending.clone(), cut.success, cut.reward), (Ending::TokenLimit, Some(false), Some(0.0)));
    assert!(cut.is_truncated() && cut.error().is_none());

    let (found, cancel) = (&mut Says(told(Finding::Found(Point::new(15.0, 15.0)))), Cancel::default());
    struct Limited(PictureWorld);
    impl Environment for Limited {
        fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
            Ok(Start { max_steps: Some(1), ..self.0.reset(seed)? })
        }
        fn observe(&mut self) -> Result<Observation, Failure> {
            self.0.observe()
        }
        fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
            self.0.perform(act)
        }
        fn judge(
            &mut self,
            answer: Option<&str>,
            senses: &mut dyn Senses,
            allowance: &Allowance<'_>,
        ) -> Result<Verdict, Failure> {
            self.0.judge(answer, senses, allowance)
        }
    }
    let mut twice = InOrder(vec![Decision::Act(Act::click("the box".into())); 2]);
    let limited = play(found, &mut twice, &mut Limited(picture()), &mut (), &cancel).unwrap();
    assert_eq!(
        (limited.ending, limited.success, limited.reward),
        (Ending::StepLimit, Some(false), Some(0.0))
    );

    cancel.set();
    let cancelled = play(found, &mut InOrder::click("the box"), &mut picture(), &mut (), &cancel).unwrap();
    assert_eq!((cancelled.ending, cancelled.success, cancelled.reward), (Ending::Cancelled, None, None));

    for place in ["reset", "observe", "perform", "judge"] {
        let failed = click(&mut hit(), &mut Fails(picture(), place), &mut ());
        assert_eq!(failed.ending, Ending::Error(format!("no {place}")));
        assert_eq!((failed.success, failed.reward, failed.is_truncated()), (None, None, false), "{place}");
        assert_eq!(failed.start.is_none(), place == "reset");
    }
}

#[test]
fn a_watcher_that_fails_ends_the_episode() {
    struct Full(&'static str);
    impl Watch for Full {
        fn acting(&mut self, _action: &Action) -> Watched {
            if self.0 == "acting" { Err(WatchError("the disk is full".into())) } else { Ok(()) }
        }
        fn turn(&mut self, _turn: &Turn) -> Watched {
            if self.0 == "turn" { Err(WatchError("the disk is full".into())) } else { Ok(()) }
        }
    }
    for place in ["acting", "turn"] {
        let (mut policy, preset) = (ScriptedPolicy::new([HIT]), Preset::web_grounding_multiturn());
        let sampling = sampling();
        let mut eyes = PolicyEyes::new(&mut policy, &preset, &sampling);
        let mut world = picture();
        let plan = &mut InOrder::click("the box");
        let failed = play(&mut eyes, plan, &mut world, &mut Full(place), &Cancel::default()).unwrap_err();
        assert_eq!(failed.to_string(), "the disk is full");
        let judged = world.judge(None, &mut Blind, &Allowance::UNLIMITED).unwrap();
        assert_eq!(judged.verification, Verification::Unsatisfied, "nothing was done before it was kept");
    }
}

/// Reads `Save` at one place, and keeps what it is told.
#[derive(Default)]
struct Reads {
    told: Vec<String>,
}

impl Senses for Reads {
    fn begin(&mut self) {
        self.told.push("begin".to_owned());
    }
    fn saw(&mut self, _screenshot: &Screenshot) {
        self.told.push("saw".to_owned());
    }
    fn typed(&mut self, text: &str) {
        self.told.push(format!("typed {text}"));
    }
    fn place_of(
        &mut self,
        _screenshot: &Screenshot,
        place: &TextPlace,
    ) -> Result<Result<Rect<Screen>, String>, Failure> {
        let is_save = place.text.as_deref() == Some("Save");
        Ok(is_save
            .then(|| Rect::new(12.0, 12.0, 18.0, 18.0))
            .ok_or_else(|| "it is written nowhere".to_owned()))
    }
}

fn by_text(text: &str) -> Target {
    let place = TextPlace { text: Some(text.to_owned()), ..TextPlace::default() };
    Target {
        description: "the box".to_owned(),
        place: Some(Place::Text(Box::new(place))),
        scroll: false,
        offset: None,
        earlier: Vec::new(),
    }
}

fn play_sensing(eyes: &mut dyn Eyes, senses: &mut Reads, acts: Vec<Act<Target>>) -> Episode {
    let mut agent = Agent {
        eyes,
        min_confidence: 0.0,
        checks: Checks::Elements,
        senses,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &Cancel::default(),
        leash: Leash::default(),
    };
    let mut plan = InOrder(acts.into_iter().map(Decision::Act).collect());
    run_episode(&mut agent, &mut plan, &mut picture(), 3, &mut ()).unwrap()
}

#[test]
fn a_target_by_text_is_where_it_is_read_whoever_the_eyes_are() {
    // Eyes that would point elsewhere are not asked.
    let elsewhere = &mut Says(told(Finding::Found(Point::new(150.0, 50.0))));
    let found = play_sensing(elsewhere, &mut Reads::default(), vec![Act::click(by_text("Save"))]);
    assert_eq!((found.success, found.steps[0].answer()), (Some(true), Some(Point::new(15.0, 15.0))));
    let absent = play_sensing(elsewhere, &mut Reads::default(), vec![Act::click(by_text("Cancel"))]);
    assert_eq!(
        (absent.success, absent.detail.as_deref()),
        (Some(false), Some("it is written nowhere; nothing was clicked"))
    );
    assert_eq!(absent.steps[0].action, None);
}

#[test]
fn senses_are_told_of_the_episode() {
    let mut senses = Reads::default();
    let acts = vec![
        Act::click(by_text("Save")),
        Act::Press { chord: vec![Key::Char('a')] },
        Act::Press { chord: vec![Key::Control, Key::Char('c')] },
    ];
    play_sensing(&mut Says(told(Finding::Found(Point::new(15.0, 15.0)))), &mut senses, acts);
    // The picture refuses keys, which ends the episode; what was about to be typed is known all the same.
    assert_eq!(senses.told, ["begin", "saw", "saw", "saw", "typed a"]);
}

/// A person who says the same to everything, and remembers what was doubted.
struct Person {
    says: Consent,
    doubts: Vec<Option<String>>,
}

impl Confirm for Person {
    fn confirm(&mut self, question: &Question<'_>) -> Consent {
        self.doubts.push(question.doubt.map(str::to_owned));
        self.says
    }
}

/// One click of eyes that are half sure, by whoever wants them to be `min_confidence` sure.
fn half_sure(min_confidence: f64, person: Option<&mut Person>) -> Episode {
    let cancel = Cancel::default();
    let confirm = person.map(|person| person as &mut dyn Confirm);
    let mut agent = Agent {
        eyes: &mut Says(told(Finding::Found(Point::new(15.0, 15.0)))),
        min_confidence,
        checks: Checks::Elements,
        senses: &mut Blind,
        settle_cap: Duration::from_secs(1),
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::new(None, None, confirm),
    };
    run_episode(&mut agent, &mut InOrder::click("the box"), &mut picture(), 3, &mut ()).unwrap()
}

#[test]
fn what_is_less_sure_than_it_must_be_is_a_persons_to_decide_and_refused_where_there_is_none() {
    let sure = half_sure(0.5, None);
    assert_eq!((sure.success, sure.steps[0].action.is_some()), (Some(true), true));
    let alone = half_sure(0.51, None);
    assert_eq!((alone.success, alone.steps[0].action.is_some()), (Some(false), false));
    let detail = alone.steps[0].detail.as_deref().unwrap();
    assert!(detail.contains("confidence 0.50 (uncalibrated), and 0.51 is needed"), "{detail}");
    for (says, is_done) in [(Consent::Given, true), (Consent::Refused, false)] {
        let mut person = Person { says, doubts: Vec::new() };
        let asked = half_sure(0.51, Some(&mut person));
        assert_eq!((asked.success, asked.steps[0].action.is_some()), (Some(is_done), is_done));
        let [Some(doubt)] = &person.doubts[..] else { panic!("{:?}", person.doubts) };
        assert!(doubt.contains("0.51 is needed"), "{doubt}");
    }
    // Of what is sure, nobody is told a doubt.
    let mut person = Person { says: Consent::Given, doubts: Vec::new() };
    half_sure(0.5, Some(&mut person));
    assert_eq!(person.doubts, [None]);
}

/// Three places that are clicked in order solve it; a click on the right half ends it.
struct Three {
    world: PictureWorld,
    clicks: Vec<f64>,
    n_asked: usize,
}

impl Three {
    fn new() -> Self {
        Self { world: picture(), clicks: Vec::new(), n_asked: 0 }
    }
}

impl Environment for Three {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        Ok(Start { goal: "one, two, three".to_owned(), max_steps: Some(4), ..self.world.reset(seed)? })
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.world.observe()
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let Act::Click { at, .. } = act else { return Ok(Performed::Refused("clicks alone".to_owned())) };
        self.clicks.push(at.x);
        Ok(Performed::Done)
    }
    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.n_asked += 1;
        let is_lost = self.clicks.iter().any(|x| *x >= 100.0);
        Ok(Verdict { may_change: true, ..Verdict::of(self.clicks == [1.0, 2.0, 3.0], is_lost, None) })
    }
}

/// Finds one thing after the other, and keeps what it was asked.
struct OneByOne {
    findings: Vec<Finding>,
    asked: Vec<Target>,
}

impl OneByOne {
    fn clicks(xs: &[f64]) -> Self {
        let findings = xs.iter().map(|x| Finding::Found(Point::new(*x, 5.0))).collect();
        Self { findings, asked: Vec::new() }
    }
}

impl Eyes for OneByOne {
    fn name(&self) -> &str {
        "one by one"
    }
    fn find(&mut self, ask: &Ask<'_>, observer: &mut dyn GroundObserver) -> Result<Sighting, PolicyError> {
        self.asked.push(ask.target.clone());
        Says(told(self.findings[self.asked.len() - 1].clone())).find(ask, observer)
    }
}

fn towards_goal(eyes: &mut dyn Eyes, world: &mut Three) -> Episode {
    play(eyes, &mut TowardsGoal::default(), world, &mut (), &Cancel::default()).unwrap()
}

#[test]
fn a_goal_is_asked_for_again_before_every_click_until_the_judge_is_content() {
    let (mut eyes, mut world) = (OneByOne::clicks(&[1.0, 2.0, 3.0]), Three::new());
    let episode = towards_goal(&mut eyes, &mut world);
    assert_eq!((episode.ending, episode.success, episode.reward), (Ending::Judged, Some(true), Some(1.0)));
    assert_eq!((episode.steps.len(), world.n_asked), (3, 3), "once for each step, although it may change");
    assert!(eyes.asked.iter().all(|asked| asked.description == "one, two, three"));
    assert!(eyes.asked[0].earlier.is_empty());
    assert_eq!(eyes.asked[2].earlier, ["click (1, 5): nothing changed", "click (2, 5): nothing changed"]);
}

#[test]
fn the_judge_or_a_limit_ends_an_episode_towards_a_goal_and_not_the_eyes() {
    let (mut eyes, mut world) = (OneByOne::clicks(&[1.0, 150.0]), Three::new());
    let lost = towards_goal(&mut eyes, &mut world);
    assert_eq!((lost.ending.clone(), lost.reward, lost.steps.len()), (Ending::Judged, Some(0.0), 2));
    assert!(!lost.is_truncated());

    // What is not found lets a step go by.
    let mut eyes = OneByOne::clicks(&[1.0, 0.0, 2.0, 3.0]);
    eyes.findings[1] = Finding::Absent("nowhere".to_owned());
    let late = towards_goal(&mut eyes, &mut Three::new());
    assert_eq!((late.ending, late.success, late.steps.len()), (Ending::Judged, Some(true), 4));
    let last = &eyes.asked[3].earlier;
    assert_eq!(last[1..], ["nothing", "click (2, 5): nothing changed"]);

    let limited = towards_goal(&mut OneByOne::clicks(&[4.0; 4]), &mut Three::new());
    assert_eq!((limited.ending.clone(), limited.reward), (Ending::StepLimit, Some(0.0)));
    assert!(limited.is_truncated() && limited.steps.len() == 4);

    let preset = Preset::web_grounding_multiturn();
    let (sampling, mut cut) = (sampling(), Cut);
    let mut eyes = PolicyEyes::new(&mut cut, &preset, &sampling);
    let cut = towards_goal(&mut eyes, &mut Three::new());
    assert_eq!((cut.ending.clone(), cut.reward, cut.steps.len()), (Ending::TokenLimit, Some(0.0), 1));

    let plan = &mut TowardsGoal::default();
    let failed = play(
        &mut OneByOne::clicks(&[1.0]),
        plan,
        &mut Fails(picture(), "judge"),
        &mut (),
        &Cancel::default(),
    );
    assert_eq!(failed.unwrap().ending, Ending::Error("no judge".to_owned()));
}

/// Keeps what is typed into it, and when it was judged; it is solved if `right` was typed. It refuses `no`, fails at `dead`,
/// and somebody interrupts behind `stop`.
struct Desk {
    picture: PictureWorld,
    done: Vec<String>,
    judge_fails: bool,
    cancel: Cancel,
}

impl Environment for Desk {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        self.picture.reset(seed)
    }
    fn observe(&mut self) -> Result<Observation, Failure> {
        self.picture.observe()
    }
    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        let Action::Type { text } = act else { return Ok(Performed::Refused("no text".to_owned())) };
        match text.as_str() {
            "no" => return Ok(Performed::Refused("it is locked".to_owned())),
            "dead" => return Err("the desk is gone".into()),
            "stop" => self.cancel.set(),
            _ => {}
        }
        self.done.push(text.clone());
        Ok(Performed::Done)
    }
    fn judge(
        &mut self,
        _answer: Option<&str>,
        _senses: &mut dyn Senses,
        _allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.done.push("judged".to_owned());
        match self.judge_fails {
            true => Err("no judge".into()),
            false => Ok(Verdict::of(self.done.iter().any(|text| text == "right"), false, None)),
        }
    }
}

/// Plays texts that are typed before the steps, as steps and behind the judgement: the episode, and what was done.
fn typed(lists: [&str; 3], judge_fails: bool, max_actions: Option<usize>) -> (Episode, String) {
    let [before, steps, after] = lists.map(|list| {
        let steps: Vec<String> = list.split_whitespace().map(|text| format!("{{type: {text}}}")).collect();
        format!("[{}]", steps.join(", "))
    });
    let yaml = format!(
        "name: n\nstart: {{}}\nbefore: {before}\nsteps: {steps}\nafter: {after}\nexpect: [url_contains: x]\n"
    );
    let (task, surroundings) = (ScriptedTask::parse(&yaml).unwrap(), Surroundings::default());
    let cancel = Cancel::default();
    let mut desk = Desk { picture: picture(), done: Vec::new(), judge_fails, cancel: cancel.clone() };
    let mut agent = Agent {
        eyes: &mut Says(told(Finding::Absent("nothing is looked for".to_owned()))),
        min_confidence: 0.0,
        checks: Checks::Elements,
        senses: &mut Blind,
        settle_cap: Duration::ZERO,
        hands: Hands::Act,
        cancel: &cancel,
        leash: Leash::new(max_actions, None, None),
    };
    let mut plan = Scripted::new(Script::new(&task, &surroundings));
    let episode = run_episode(&mut agent, &mut plan, &mut desk, 3, &mut ()).unwrap();
    (episode, desk.done.join(" "))
}

#[test]
fn what_is_done_behind_the_judgement_is_done_whatever_became_of_the_steps() {
    let play = |lists, judge_fails| typed(lists, judge_fails, None);
    let (solved, done) = play(["login", "right", "clean up"], false);
    assert_eq!(done, "login right judged clean up");
    assert_eq!((solved.success, solved.reward, solved.detail.as_deref()), (Some(true), Some(1.0), None));
    assert_eq!((solved.ending, solved.steps.len()), (Ending::Judged, 4));
    // Not solved, refused, no judge, no world: it is cleaned up all the same.
    let (wrong, done) = play(["login", "wrong", "clean"], false);
    assert_eq!((wrong.success, done.as_str()), (Some(false), "login wrong judged clean"));
    let (refused, done) = play(["login", "right no", "clean"], false);
    assert_eq!((refused.success, done.as_str()), (Some(false), "login right judged clean"));
    assert_eq!(refused.detail.as_deref(), Some("step 2 of 2 was refused: it is locked"));
    let (unjudged, done) = play(["login", "right", "clean"], true);
    assert_eq!((unjudged.error(), done.as_str()), (Some("no judge"), "login right judged clean"));
    let (dead, done) = play(["login", "dead", "clean"], false);
    assert_eq!((dead.error(), done.as_str()), (Some("the desk is gone"), "login clean"));
}

#[test]
fn what_a_task_needs_is_no_failure_of_what_it_judges() {
    let (failed, done) = typed(["login no", "right", "clean"], false, None);
    let said = "`before` failed, so the task was not begun: step 2 of 2 was refused: it is locked";
    assert_eq!((failed.error(), failed.success, failed.reward), (Some(said), None, None));
    assert_eq!(done, "login clean", "neither played nor judged");
    let (limited, done) = typed(["one two", "right", ""], false, Some(1));
    let said =
        "`before` failed, so the task was not begun: step 2 of 2 was not done: out of actions: one was done";
    assert_eq!((limited.error(), done.as_str()), (Some(said), "one"));
}

#[test]
fn what_fails_behind_the_judgement_is_never_a_success_and_never_silent() {
    let play = |lists, judge_fails| typed(lists, judge_fails, None).0;
    let left = "`after` failed: step 2 of 2 was refused: it is locked";
    let solved = play(["", "right", "clean no"], false);
    let said = format!("the task was solved, but {left}");
    assert_eq!((solved.error(), solved.success, solved.reward), (Some(&*said), None, None));
    let wrong = play(["", "wrong", "clean no"], false);
    assert_eq!((wrong.success, wrong.reward, wrong.detail.as_deref()), (Some(false), Some(0.0), Some(left)));
    let both = play(["", "right", "clean no"], true);
    assert_eq!(both.error(), Some(&*format!("no judge; besides, {left}")));
    let dead = play(["no", "right", "dead"], false);
    let said =
        "`before` failed, so the task was not begun: it is locked; besides, `after` failed: the desk is gone";
    assert_eq!(dead.error(), Some(said));
}

#[test]
fn limits_are_counted_anew_behind_the_judgement_and_an_interruption_ends_that_too() {
    let (limited, done) = typed(["", "one two", "clean up"], false, Some(1));
    assert_eq!((limited.ending, done.as_str()), (Ending::StepLimit, "one judged clean"));
    let detail = limited.detail.unwrap();
    assert!(
        detail.ends_with("`after` failed: step 2 of 2 was not done: out of actions: one was done"),
        "{detail}"
    );
    for lists in [["", "stop right", "clean"], ["", "right", "stop clean"], ["stop", "right", "clean"]] {
        let (broken_off, done) = typed(lists, false, None);
        assert_eq!((broken_off.ending, broken_off.success), (Ending::Cancelled, None), "{lists:?}");
        assert!(!done.contains("clean"), "{lists:?}: {done}");
        assert!(broken_off.detail.unwrap().contains("`after` was not played to its end"), "{lists:?}");
    }
}
