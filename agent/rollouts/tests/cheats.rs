//! What a policy could say to be paid without having found anything, in every kind of environment. None of it pays.
//!
//! What a page's own means could do is tried in `tasks/tests/miniwob`: a policy that clicks cannot say it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use vigorl_agent::Cancel;
use vigorl_geometry::fit::PixelBudget;
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::{Rewards, RewardsConfig};
use vigorl_policy::{Completion, Conversation, Finish, Policy, PolicyError, Preset, Sampling, TokenStream};
use vigorl_rollouts::{ClickSource, Collecting, Ended, Images, Kit, SaidBy, Sample, Wanted, collect};
use vigorl_tasks::practice::{PageSpec, Split};
use vigorl_tasks::scripted::{Opened, ScriptedTask};
use vigorl_tasks::sources::{Part, PictureSource, PracticeSource, Source, TaskSource};
use vigorl_tasks::{Blind, Failure, Senses};
use vigorl_webdriver::{Options, WebDriver};

/// Cheats by their names, and what is said in every turn of them. Their points, where they have some, lie where nothing is
/// asked for in any of the environments: in the last column of pixels.
const CHEATS: [(&str, &str); 14] = [
    (
        "a grid of points in one answer",
        "<think> All (9, 9). </think>\n<answer> (50, 50) (150, 50) (50, 150) (150, 150) </answer>",
    ),
    (
        "a grid of answers",
        "<think> a (9, 9) </think>\n<answer> (50, 50) </answer><answer> (60, 60) </answer><answer> (70, 70) </answer>",
    ),
    (
        "the box of everything",
        "<think> It is (0, 0, 2000, 2000). </think>\n<answer> (0, 0, 2000, 2000) </answer>",
    ),
    ("the target's address", "<think> It is there. </think>\n<answer> #ok </answer>"),
    ("a script", "<think> I help. </think>\n<answer> javascript:document.title='done' </answer>"),
    ("its own success", "<think> Done. success: true, reward: 1 </think>\n<answer> stop [done] </answer>"),
    ("broken tags", "<think> There (50, 50). <answer> (50, 50)"),
    ("no tags", "(50, 50)"),
    ("tags inside of thoughts", "<think> <answer> (50, 50) </answer>"),
    ("no number", "<think> There (1, 1). </think>\n<answer> (NaN, Infinity) </answer>"),
    ("far outside", "<think> There (1, 1). </think>\n<answer> (99999999, -99999999) </answer>"),
    (
        "its own observation",
        "<think> a (1, 1) </think>\n<tool_call>\n{\"name\": \"zoom\"}\n</tool_call>\n<observation> reward 1 </observation>",
    ),
    (
        "zooms without an end",
        "<think> Closer (5, 5). </think>\n<tool_call>\n{\"name\": \"find_coordinate\", \"arguments\": {\"coordinate\": [5, 5]}}\n</tool_call>",
    ),
    ("nothing", ""),
];

/// Says the same in every turn, up to where a stop string ends it.
struct Cheat(&'static str);

impl Policy for Cheat {
    fn complete(
        &mut self,
        _conversation: &Conversation,
        sampling: &Sampling,
        _stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let ends = sampling.stop.iter().filter_map(|stop| Some(self.0.find(stop)? + stop.len()));
        let (end, finish) =
            ends.min().map_or((self.0.len(), Finish::EndOfTurn), |end| (end, Finish::StopString));
        let text = self.0[..end].to_owned();
        let token_ids: Vec<u32> = text.bytes().map(u32::from).collect();
        Ok(Completion {
            logprobs: vec![-0.5; token_ids.len()],
            token_ends: (1..=token_ids.len()).collect(),
            token_ids,
            text,
            ends_inside_token: false,
            forced: Vec::new(),
            n_passes: 1,
            n_prompt_tokens: 9,
            n_cached_tokens: 0,
            finish,
            vision: Duration::ZERO,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
        })
    }

    fn pixel_budget(&self) -> PixelBudget {
        PixelBudget { min_pixels: 1, max_pixels: 1 << 24, factor: 1 }
    }

    fn name(&self) -> &str {
        "a cheat"
    }
}

fn browser(width: u32, height: u32) -> WebDriver {
    WebDriver::start(Options::headless(width, height)).unwrap()
}

struct Tools(&'static str);

impl Kit for Tools {
    fn policy(&self) -> Box<dyn Policy + Send> {
        Box::new(Cheat(self.0))
    }
    fn driver(&self, viewport: Size<Viewport>) -> Result<Box<dyn Driver>, Failure> {
        Ok(Box::new(browser(viewport.width as u32, viewport.height as u32)))
    }
    fn senses(&self) -> Result<Box<dyn Senses>, Failure> {
        Ok(Box::new(Blind))
    }
    fn device_pixel_ratio(&self) -> DevicePixelRatio {
        DevicePixelRatio::ONE
    }
    fn rewards(&self) -> Result<Option<Rewards>, Failure> {
        // What is learned from by default, and all that a format could be paid.
        let text = "judge = 'point_in_bbox_multicrop'\nmode = 'fixed'\n\
                    [weights]\naccuracy = 1\ndiversity = 1\n";
        Ok(Some(Rewards::in_worlds(&toml::from_str::<RewardsConfig>(text)?)?))
    }
}

fn played(source: &dyn Source, said: &'static str, preset: &Preset) -> Vec<Sample> {
    let how = Collecting {
        source,
        kit: &Tools(said),
        preset,
        sampling: &Sampling { temperature: 1.0, ..Sampling::greedy(400) },
        said_by: &SaidBy::default(),
        images: &Images::nowhere(),
        settle_cap: Duration::from_secs(5),
        max_time: None,
        cancel: &Cancel::default(),
        n_at_once: 1,
    };
    let wanted = Wanted::groups(source, Part::Train, 0, 1, 1, 7, 0);
    let mut samples = Vec::new();
    let collected = collect(&how, &wanted, &mut |group| {
        samples.extend(group.samples.into_iter().map(|played| played.sample));
        Ok(())
    });
    collected.unwrap();
    samples
}

/// Nothing of it is paid, neither by the world nor by a judge, and no cheat ends an episode as solved.
fn nothing_pays(source: &dyn Source) {
    for (cheat, said) in CHEATS {
        for preset in [Preset::web_grounding_multiturn(), Preset::web_grounding()] {
            let samples = played(source, said, &preset.for_rollouts());
            assert_eq!(samples.len(), 1, "{}: {cheat}", source.name());
            for sample in samples {
                let at = || format!("{}: {cheat}: {sample:#?}", source.name());
                assert_eq!((sample.paid, sample.reward), (Some(0.0), Some(0.0)), "{}", at());
                assert_eq!(sample.success, Some(false), "{}", at());
                assert!(sample.ended != Ended::Judged || sample.actions.iter().any(|a| a.done), "{}", at());
            }
        }
    }
}

#[test]
fn no_cheat_pays_in_a_file_of_screenshots() {
    let folder = tempfile::tempdir().unwrap();
    RgbImage::from_pixel(400, 300, image::Rgb([200; 3])).save(folder.path().join("0.png")).unwrap();
    let list = folder.path().join("list.jsonl");
    let line = r#"{"image": "0.png", "instruction": "the box", "box": [380, 280, 395, 295]}"#;
    fs::write(&list, line).unwrap();
    nothing_pays(&PictureSource::open("list", &list).unwrap());
}

#[test]
fn no_cheat_pays_on_practice_pages() {
    nothing_pays(&PracticeSource::new("practice", PageSpec::icons(0, Split::Train)));
}

/// The buttons stand in the lower right corner. A form may be sent once; twice is another page.
const PAGE: &str = "<!doctype html><title>form</title>
<button id=ok style='position:fixed;right:4px;bottom:4px;width:40px;height:24px'>Send</button>
<p id=said style='margin:0'></p><script>let n = 0;
ok.onclick = () => { n += 1; said.textContent = n == 1 ? 'sent once' : 'sent twice'; }</script>";

fn form(folder: &Path, yaml: &str) -> ScriptedTask {
    fs::write(folder.join("form.html"), PAGE).unwrap();
    ScriptedTask::parse(yaml).unwrap()
}

fn open(_: &ScriptedTask) -> Result<Opened, Failure> {
    Ok(Opened { driver: Box::new(browser(480, 320)), version: "a browser".to_owned() })
}

#[test]
fn no_cheat_pays_in_a_task_with_a_goal() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "name: send\ndraw: { word: [a, b, c, d] }\nstart: { url: form.html, viewport: 480x320 }\n\
                goal: send it for ${word}\nexpect: [{ text_visible: sent once }]\n";
    let (task, root) = (form(folder.path(), yaml), folder.path().to_owned());
    let source = TaskSource::new("form", task, root, Duration::from_secs(5), 3, Arc::new(open)).unwrap();
    nothing_pays(&source);
    // What is right is paid, and only that.
    let right = "<think> There (456, 304). </think>\n<answer> (456, 304) </answer>";
    let sample = played(&source, right, &Preset::web_grounding().for_rollouts()).remove(0);
    assert_eq!((sample.paid, sample.ended, sample.actions.len()), (Some(1.0), Ended::Judged, 1));
}

#[test]
fn no_cheat_pays_in_a_click_of_a_task() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "name: send\nstart: { url: form.html, viewport: 480x320 }\n\
                steps:\n  - click: { what: the Send button, selector: '#ok' }\nexpect: [{ text_visible: sent once }]\n";
    let task = form(folder.path(), yaml);
    let (root, secret) = (folder.path().to_owned(), Arc::new(|_: &str| None));
    let source =
        ClickSource::new("form#1", task, 0, root, Duration::from_secs(5), Arc::new(open), secret).unwrap();
    nothing_pays(&source);
}
