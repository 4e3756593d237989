//! Eyes that read, alone and with a policy that says what it is told to, on a page that is known.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its world fails")]

use std::sync::{Arc, LazyLock};

use vigorl_agent::{Ask, Eyes, Finding, PolicyEyes, Sighting};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Screenshot;
use vigorl_policy::{Preset, Sampling, ScriptedPolicy};
use vigorl_reader::Reader;
use vigorl_sight::{AutoEyes, ReaderEyes, SharedReader};
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
    let ask = Ask { screenshot: &screenshot, target: &target, place: None, nth: 0, in_vain: None };
    eyes.find(&ask, &mut ()).unwrap()
}

/// What reader and policy find together, and how often the policy was asked.
fn auto(instruction: &str, policy_says: &str) -> (Sighting, usize) {
    let mut policy = ScriptedPolicy::new([policy_says]);
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
    let looks = PolicyEyes { policy: &mut policy, preset: &preset, sampling: &sampling, maps: &[] };
    let sighting = ask(&mut AutoEyes::new(READER.beside(), looks, 0.7), instruction);
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
