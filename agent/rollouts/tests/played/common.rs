//! A policy that says what it is told to, and a browser for it.

use std::time::Duration;

use vigorl_agent::Cancel;
use vigorl_geometry::fit::PixelBudget;
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_judges::{Rewards, RewardsConfig};
use vigorl_policy::{Completion, Conversation, Finish, Policy, PolicyError, Preset, Sampling, TokenStream};
use vigorl_rollouts::{Collected, Collecting, Images, Kit, SaidBy, Sample, Wanted, collect};
use vigorl_tasks::scripted::{Opened, ScriptedTask};
use vigorl_tasks::sources::{Part, Source};
use vigorl_tasks::{Blind, Failure, Senses};
use vigorl_webdriver::{Options, WebDriver};

/// A turn whose tokens are its bytes.
pub(crate) fn completion(text: &str, finish: Finish) -> Completion {
    let token_ids: Vec<u32> = text.bytes().map(u32::from).collect();
    Completion {
        text: text.to_owned(),
        logprobs: vec![-0.5; token_ids.len()],
        token_ends: (1..=token_ids.len()).collect(),
        token_ids,
        ends_inside_token: false,
        forced: Vec::new(),
        prefix_in_words: false,
        n_passes: 1,
        n_prompt_tokens: 9,
        n_cached_tokens: 0,
        finish,
        vision: Duration::ZERO,
        prefill: Duration::ZERO,
        decode: Duration::from_millis(1),
    }
}

/// Says the same in every turn, up to where a stop string ends it.
pub(crate) struct Saying(pub(crate) &'static str);

impl Policy for Saying {
    fn complete(
        &mut self,
        _conversation: &Conversation,
        sampling: &Sampling,
        _stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        let ends = sampling.stop.iter().filter_map(|stop| Some(self.0.find(stop)? + stop.len()));
        let (end, finish) =
            ends.min().map_or((self.0.len(), Finish::EndOfTurn), |end| (end, Finish::StopString));
        Ok(completion(&self.0[..end], finish))
    }

    fn pixel_budget(&self) -> PixelBudget {
        PixelBudget { min_pixels: 1, max_pixels: 1 << 24, factor: 1 }
    }

    fn name(&self) -> &str {
        "saying"
    }
}

pub(crate) fn browser(width: u32, height: u32) -> WebDriver {
    WebDriver::start(Options::headless(width, height)).unwrap()
}

struct Tools;

impl Kit for Tools {
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

/// Groups of one sample: what was played, and what is said of it.
pub(crate) fn played(
    source: &dyn Source,
    said: &'static str,
    preset: &Preset,
    n_groups: u64,
) -> (Vec<Sample>, Collected) {
    played_within(Duration::from_secs(60), source, said, preset, n_groups)
}

/// The same, where an episode may take as long as this.
pub(crate) fn played_within(
    max_time: Duration,
    source: &dyn Source,
    said: &'static str,
    preset: &Preset,
    n_groups: u64,
) -> (Vec<Sample>, Collected) {
    let how = Collecting {
        source,
        kit: &Tools,
        policy: &|| Box::new(Saying(said)),
        preset,
        sampling: &Sampling { temperature: 1.0, ..Sampling::greedy(400) },
        is_told: false,
        is_blindfolded: false,
        said_by: &SaidBy::default(),
        images: &Images::nowhere(),
        settle_cap: Duration::from_secs(2),
        max_time: Some(max_time),
        cancel: &Cancel::default(),
        n_at_once: 1,
    };
    let wanted = Wanted::groups(source, Part::Train, 0, n_groups, 1, 7, 0);
    let mut samples = Vec::new();
    let collected = collect(&how, &wanted, &mut |group| {
        samples.extend(group.samples.into_iter().map(|played| played.sample));
        Ok(())
    });
    (samples, collected.unwrap())
}

/// A browser for a task.
pub(crate) fn open(_: &ScriptedTask) -> Result<Opened, Failure> {
    Ok(Opened { driver: Box::new(browser(480, 320)), version: "a browser".to_owned() })
}
