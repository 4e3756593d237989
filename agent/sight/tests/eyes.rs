//! Eyes that read, alone and with a policy that says what it is told to, on a page that is known.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::{Arc, LazyLock};

use vigorl_agent::{Ask, ConfidenceMap, Eyes, Finding, NamesTexts as _, PolicyEyes, Sighting};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Screenshot;
use vigorl_policy::{Part, PolicyError, Preset, Sampling, ScriptedPolicy};
use vigorl_reader::Reader;
use vigorl_sight::{AutoEyes, ReaderEyes, SharedReader, SharedTexts, ToldByReader};
use vigorl_tasks::scripted::Target;

static READER: LazyLock<SharedReader> = LazyLock::new(|| {
    let reader = Reader::embedded().unwrap().expect("the text models are missing: `make setup` fetches them");
    SharedReader::new(reader)
});

fn page() -> Screenshot {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reader/page.png");
    let pixels = Arc::new(image::open(path).unwrap().into_rgb8());
    Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() }
}

fn ask(eyes: &mut dyn Eyes, instruction: &str) -> Sighting {
    let (screenshot, target) = (page(), Target::from(instruction));
    let ask = Ask { screenshot: &screenshot, target: &target, place: None, nth: 0, in_vain: None, read: &[] };
    eyes.find(&ask, &mut ()).unwrap()
}

/// What reader and policy find together on the page, and how often the policy was asked.
fn auto(instruction: &str, policy_says: &str) -> (Sighting, usize) {
    let (sighting, n_asked) = auto_on(&page(), instruction, policy_says);
    (sighting.unwrap(), n_asked)
}

fn auto_on(
    screenshot: &Screenshot,
    instruction: &str,
    policy_says: &str,
) -> (Result<Sighting, PolicyError>, usize) {
    auto_in(screenshot, instruction, &[policy_says], false)
}

fn auto_in(
    screenshot: &Screenshot,
    instruction: &str,
    policy_says: &[&str],
    suggests_regions: bool,
) -> (Result<Sighting, PolicyError>, usize) {
    let mut policy = ScriptedPolicy::new(policy_says.iter().copied());
    let preset = Preset::web_grounding().without_zooms();
    let sampling = Sampling {
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        max_new_tokens: 512,
        stop: Vec::new(),
        seed: 0,
        form: None,
    };
    let looks = PolicyEyes::new(&mut policy, &preset, &sampling);
    let target = Target::from(instruction);
    let ask = Ask { screenshot, target: &target, place: None, nth: 0, in_vain: None, read: &[] };
    let mut eyes = AutoEyes::new(READER.beside(), looks, 0.7).suggesting_regions(suggests_regions);
    let sighting = eyes.find(&ask, &mut ());
    (sighting, policy.asked().len())
}

#[test]
fn the_reader_answers_with_a_point_and_tells_its_thoughts() {
    let sighting = ask(&mut ReaderEyes(READER.beside()), "the Save button");
    let Finding::Found(at) = sighting.finding else { panic!("{:?}", sighting.finding) };
    assert!((20.0..89.0).contains(&at.x) && (187.0..217.0).contains(&at.y), "{at:?}");
    assert_eq!(sighting.decided_by, "reader");
    assert!(sighting.confidence.as_ref().unwrap().value > 0.9, "{:?}", sighting.confidence);
    let turn = &sighting.grounding.turns[0];
    assert!(
        turn.thoughts[0].text.contains("`Save`") && turn.thoughts[0].points == [at],
        "{:?}",
        turn.thoughts
    );
    assert!(turn.completion.text.starts_with("<think>") && turn.completion.text.ends_with("</answer>"));
}

#[test]
fn a_thought_names_the_text_and_what_belongs_to_it() {
    let sighting = ask(&mut ReaderEyes(READER.beside()), "field \"E-mail\"");
    let Finding::Found(at) = sighting.finding else { panic!("{:?}", sighting.finding) };
    let thought = &sighting.grounding.turns[0].thoughts[0];
    let [label, field] = thought.points[..] else { panic!("{thought:?}") };
    assert!(label.x < 130.0 && field == at, "{thought:?}");
    assert!(thought.text.contains("what belongs to it"), "{thought:?}");
}

#[test]
fn a_discreet_reader_points_and_quotes_nothing_that_it_read() {
    let sighting = ask(&mut ReaderEyes(READER.beside().discreet()), "the SAVE button");
    let Finding::Found(at) = sighting.finding else { panic!("{:?}", sighting.finding) };
    let turn = &sighting.grounding.turns[0];
    assert!(turn.thoughts[0].points == [at], "{:?}", turn.thoughts);
    let written = format!("{} {:?} {:?}", turn.completion.text, turn.thoughts, sighting.candidates);
    assert!(!written.contains("Save"), "{written}");
}

#[test]
fn several_alike_are_ambiguous_and_what_is_not_there_is_absent() {
    let several = ask(&mut ReaderEyes(READER.beside()), "Edit");
    assert!(matches!(several.finding, Finding::Ambiguous(_)), "{:?}", several.finding);
    assert_eq!((several.candidates.len(), several.grounding.answer), (3, None));
    let nothing = ask(&mut ReaderEyes(READER.beside()), "\"Log out\"");
    assert!(matches!(nothing.finding, Finding::Absent(_)), "{:?}", nothing.finding);
}

#[test]
fn a_sure_reading_is_the_answer_and_the_policy_is_not_asked() {
    let (sighting, n_asked) = auto("the Delete button", "<think> x </think>\n<answer> (5, 5) </answer>");
    assert!(matches!(sighting.finding, Finding::Found(_)), "{:?}", sighting.finding);
    assert_eq!((sighting.decided_by.as_str(), n_asked), ("reader", 0));
}

/// What both find where the policy learned from reward, and is as sure of it as a map with this intercept says.
fn learned(instruction: &str, policy_says: &str, intercept: f64) -> (Sighting, usize) {
    let (sighting, n_asked) = learned_on(&page(), instruction, policy_says, intercept);
    (sighting.unwrap(), n_asked)
}

fn learned_on(
    screenshot: &Screenshot,
    instruction: &str,
    policy_says: &str,
    intercept: f64,
) -> (Result<Sighting, PolicyError>, usize) {
    let mut policy = ScriptedPolicy::new([policy_says]);
    let (preset, sampling) = (Preset::web_grounding().without_zooms(), Sampling::greedy(512));
    let maps = [ConfidenceMap {
        domain: "an app".to_owned(),
        max_size: None,
        single_turn: preset.is_single_turn(),
        weights_sha256: String::new(),
        n: 100,
        intercept,
        slopes: [].into(),
    }];
    let looks = PolicyEyes {
        policy: &mut policy,
        preset: &preset,
        sampling: &sampling,
        maps: &maps,
        learned_from_reward: true,
    };
    let target = Target::from(instruction);
    let ask = Ask { screenshot, target: &target, place: None, nth: 0, in_vain: None, read: &[] };
    let sighting = AutoEyes::new(READER.beside(), looks, 0.7).find(&ask, &mut ());
    (sighting, policy.asked().len())
}

#[test]
fn what_was_learned_from_reward_goes_before_a_sure_reading_if_it_is_sure() {
    let said = "<think> x </think>\n<answer> (5, 5) </answer>";
    for instruction in ["the Delete button", "\"Delete\"", "the green rectangle"] {
        let (sighting, n_asked) = learned(instruction, said, 4.0);
        let at = sighting.finding.point().unwrap();
        assert_eq!((at.x, at.y, n_asked), (5.0, 5.0, 1), "{instruction}");
        assert!(sighting.is_learned && sighting.decided_by != "reader", "{instruction}");
    }
    // One that is not sure is asked once, and the reading is the answer.
    let (sighting, n_asked) = learned("the Delete button", said, -4.0);
    assert_eq!((sighting.decided_by.as_str(), sighting.is_learned, n_asked), ("reader", false, 1));
    assert_eq!(sighting.grounding.turns.len(), 2, "what the policy said is kept, and the reading is last");
    assert!(sighting.grounding.turns[1].thoughts[0].text.contains("`Delete`"));
    // Where nothing is read, either, it stays unsure, and was not asked twice.
    let (sighting, n_asked) = learned("the green rectangle", said, -4.0);
    assert!(matches!(sighting.finding, Finding::Unsure(..)), "{:?}", sighting.finding);
    assert_eq!(n_asked, 1);
}

#[test]
fn a_picture_that_one_half_cannot_look_at_is_the_other_halfs_also_where_the_policy_is_asked_first() {
    // Too thin for the policy.
    let (sighting, n_asked) = learned_on(&strip(20_000, 40), "the Save button", "", 4.0);
    assert_eq!((sighting.unwrap().decided_by.as_str(), n_asked), ("reader", 0));
    // Too large for the reader: the policy, which is not sure, is not asked again.
    let says = "<think> x </think>\n<answer> (54, 20) </answer>";
    let (sighting, n_asked) = learned_on(&strip(8_001, 8_000), "the Save button", says, -4.0);
    assert!(remarks(&sighting.unwrap()).contains("I cannot read here"));
    assert_eq!(n_asked, 1);
    let (failed, _) = learned_on(&strip(3_300_000, 20), "the Save button", "", 4.0);
    assert!(failed.unwrap_err().to_string().contains("64 million pixels"));
}

#[test]
fn threads_are_told_what_one_of_them_has_read() {
    let (mut one, screenshot) = (SharedTexts::new(READER.beside()), page());
    let mut other = one.beside();
    let told = one.named_texts(&screenshot, "open the page of Members").unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(other.named_texts(&screenshot, "open the page of Members").unwrap(), told);
    // Another screenshot is read for itself, and so is the first one behind it.
    let blank = Screenshot { pixels: Arc::new(image::RgbImage::new(200, 100)), ..screenshot.clone() };
    assert!(other.named_texts(&blank, "open the page of Members").unwrap().is_empty());
    assert_eq!(one.named_texts(&screenshot, "open the page of Members").unwrap(), told);
}

#[test]
fn what_has_no_text_is_the_policys() {
    let (sighting, n_asked) =
        auto("the green rectangle", "<think> it is green (54, 200) </think>\n<answer> (54, 200) </answer>");
    assert_eq!(n_asked, 1);
    let Finding::Found(at) = sighting.finding else { panic!("{:?}", sighting.finding) };
    assert_eq!((at.x, at.y), (54.0, 200.0));
    // What was read comes first, then what the policy thought.
    assert_eq!(sighting.grounding.turns.len(), 2);
}

#[test]
fn a_text_in_quotes_that_is_written_nowhere_is_absent_whatever_a_policy_would_say() {
    let (sighting, n_asked) =
        auto("the \"Log out\" link", "<think> x </think>\n<answer> (54, 200) </answer>");
    assert!(matches!(sighting.finding, Finding::Absent(_)), "{:?}", sighting.finding);
    assert_eq!((n_asked, sighting.grounding.answer), (0, None));
}

#[test]
fn a_policy_decides_between_several_alike_but_not_for_another_text() {
    let says = |x: u32, y: u32| format!("<think> x </think>\n<answer> ({x}, {y}) </answer>");
    let (sighting, _) = auto("Edit", &says(199, 309));
    assert!(matches!(sighting.finding, Finding::Found(_)), "{:?}", sighting.finding);
    let (sighting, _) = auto("Edit", &says(54, 200));
    // What the policy says contradicts what is read: that stays ambiguous.
    assert!(matches!(sighting.finding, Finding::Ambiguous(_)), "{:?}", sighting.finding);
}

/// Nothing but white, and what a part of the page shows at its left.
fn strip(width: u32, height: u32) -> Screenshot {
    let mut pixels = image::RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let shown = image::imageops::crop_imm(&*page().pixels, 0, 182, 400, height.min(40)).to_image();
    image::imageops::replace(&mut pixels, &shown, 0, 0);
    Screenshot { pixels: Arc::new(pixels), device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() }
}

fn remarks(sighting: &Sighting) -> String {
    let thoughts = sighting.grounding.turns.iter().flat_map(|turn| &turn.thoughts);
    thoughts.map(|thought| thought.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_policy_cannot_be_shown_is_read_all_the_same() {
    let thin = strip(20_000, 40);
    let (sighting, n_asked) = auto_on(&thin, "the Save button", "");
    assert!(matches!(sighting.unwrap().finding, Finding::Found(_)));
    let (sighting, _) = auto_on(&thin, "the green rectangle", "");
    let sighting = sighting.unwrap();
    let Finding::Absent(why) = &sighting.finding else { panic!("{:?}", sighting.finding) };
    for told in [why, &remarks(&sighting)] {
        assert!(told.contains("policy was not asked") && told.contains("20000x40"), "{told}");
    }
    assert_eq!((n_asked, sighting.grounding.turns.len()), (0, 2));
}

#[test]
fn what_the_reader_cannot_look_at_is_the_policys() {
    let says = "<think> x </think>\n<answer> (54, 20) </answer>";
    let (sighting, n_asked) = auto_on(&strip(8_001, 8_000), "the Save button", says);
    let sighting = sighting.unwrap();
    assert!(matches!(sighting.finding, Finding::Found(_)), "{:?}", sighting.finding);
    assert_eq!((n_asked, sighting.grounding.turns.len()), (1, 2));
    assert!(remarks(&sighting).contains("I cannot read here: the picture is 8001x8000"), "{sighting:?}");
}

#[test]
fn what_nobody_can_look_at_is_an_error_that_says_why() {
    let (failed, n_asked) = auto_on(&strip(3_300_000, 20), "the Save button", "");
    let why = failed.unwrap_err().to_string();
    assert!(why.contains("64 million pixels") && why.contains("200 times"), "{why}");
    assert_eq!(n_asked, 0);
}

/// A large page, one corner of which is known: there `Edit` stands three times.
fn large() -> Screenshot {
    let mut pixels = image::RgbImage::from_pixel(1600, 1200, image::Rgb([255; 3]));
    image::imageops::replace(&mut pixels, &*page().pixels, 0, 0);
    Screenshot { pixels: Arc::new(pixels), device_pixel_ratio: DevicePixelRatio::new(1.0).unwrap() }
}

#[test]
fn where_readings_are_not_sure_the_policy_is_shown_what_is_around_them() {
    let says = |x: f64, y: f64| format!("<think> x </think>\n<answer> ({x}, {y}) </answer>");
    let whole = auto_in(&large(), "Edit", &[&says(199.0, 309.0)], false).0.unwrap();
    let Finding::Found(there) = whole.finding else { panic!("{:?}", whole.finding) };
    let nothing = auto_in(&large(), "Edit", &[&says(1e4, 1e4), &says(there.x, there.y)], true);
    let (sighting, n_asked) = (nothing.0.unwrap(), nothing.1);
    // Nothing usable was said there: the policy looked at the whole.
    assert_eq!((sighting.finding.point(), n_asked), (Ok(there), 2));
    let crops: Vec<_> = sighting.grounding.turns.iter().filter_map(|turn| turn.crop.as_ref()).collect();
    let [crop] = crops[..] else { panic!("{crops:?}") };
    let window = crop.plan.window;
    assert!(
        window.contains(there) && window.width() * window.height() <= 0.25 * 1600.0 * 1200.0,
        "{window:?}"
    );
    // The same place, said in the pixels of the part.
    let said = says(there.x - window.left, there.y - window.top);
    let (sighting, n_asked) = auto_in(&large(), "Edit", &[&said], true);
    assert_eq!((sighting.unwrap().finding.point(), n_asked), (Ok(there), 1));
    // What is nowhere suggests no part.
    let (sighting, n_asked) = auto_in(&large(), "the green rectangle", &[&said], true);
    assert!(sighting.unwrap().grounding.turns.iter().all(|turn| turn.crop.is_none()));
    assert_eq!(n_asked, 1);
}

#[test]
fn a_policy_is_told_where_words_of_the_instruction_stand_in_its_own_numbers() {
    let mut policy = ScriptedPolicy::new(["<think> there (5, 5) </think>\n<answer> (5, 5) </answer>"]);
    let (preset, sampling) = (Preset::web_grounding().without_zooms(), Sampling::greedy(512));
    let (screenshot, target) = (page(), Target::from("open the page of Members"));
    let ask = Ask { screenshot: &screenshot, target: &target, place: None, nth: 0, in_vain: None, read: &[] };
    {
        let eyes = PolicyEyes::new(&mut policy, &preset, &sampling);
        let mut eyes = ToldByReader { eyes: Box::new(eyes), reader: READER.beside() };
        eyes.find(&ask, &mut ()).unwrap();
    }
    let (conversation, _) = &policy.asked()[0];
    let asked: String = conversation.messages.iter().flat_map(|m| &m.parts).filter_map(Part::text).collect();
    let told = asked.split_once("Members (").expect(&asked).1;
    let (x, y) = told.split_once(')').unwrap().0.split_once(", ").unwrap();
    let reading = READER.beside().read(&screenshot.pixels).unwrap();
    let line = reading.lines.iter().find(|line| line.text == "Members").unwrap();
    let at = vigorl_geometry::Point::new(x.parse().unwrap(), y.parse().unwrap());
    assert!(line.rect.contains(at), "{at:?} is not in {:?}", line.rect);
    // Everyday words are not told, and nothing that the instruction does not say.
    assert_eq!(told.lines().count(), 1, "{asked}");
}
