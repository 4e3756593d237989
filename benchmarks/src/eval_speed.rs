//! What an evaluation costs besides the model: items of large pictures, played by a policy that does nothing but take its time.
//!
//! Invariant: set, runner, loop and record are those of a real evaluation; only the policy is scripted, so that everything beyond
//! its time is overhead. Pictures are PNG files of different content, so each is read and decoded.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde::Serialize;
use serde_json::{Value, json};
use vigorl_agent::{Agent, Cancel, Checks, Hands, Leash, PolicyEyes};
use vigorl_geometry::DevicePixelRatio;
use vigorl_geometry::fit::PixelBudget;
use vigorl_policy::{
    Completion, Conversation, Policy, PolicyError, Preset, Sampling, ScriptedPolicy, TokenStream,
};
use vigorl_runs::Run;
use vigorl_tasks::Blind;

use crate::evaluation::{Mode, play};
use crate::folder::Folder;
use crate::head::{Asked, Head};
use crate::line::{Key, Line};
use crate::runner::{self, Player};
use crate::sets::{GroundingSet, Known, SetChoice};

/// Width and height of every picture.
const SIZE: (u32, u32) = (3840, 2160);
/// Items of one picture, as in published sets.
const ITEMS_OF_PICTURE: usize = 3;

/// The measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EvalSpeed {
    /// Items that were played.
    pub n_items: usize,
    /// How many at a time.
    pub n_at_once: usize,
    /// Width and height of their pictures.
    pub picture: (u32, u32),
    /// Seconds that the policy takes for an item.
    pub policy_secs: f64,
    /// Seconds from the first item to the last line.
    pub secs: f64,
    /// The same beyond the policy's own time, in percent of that.
    pub added_percent: f64,
    /// Milliseconds of each item beyond the policy's own time.
    pub added_millis: f64,
}

/// A policy that takes its time, and answers always the same.
struct Slow {
    time: Duration,
}

impl Policy for Slow {
    #[expect(clippy::disallowed_methods, reason = "a model that computes: there is no condition to await")]
    fn complete(
        &mut self,
        conversation: &Conversation,
        sampling: &Sampling,
        stream: &mut TokenStream<'_>,
    ) -> Result<Completion, PolicyError> {
        thread::sleep(self.time);
        let reply = "<think> It is there (25, 40). </think>\n<answer> (25, 40) </answer>";
        ScriptedPolicy::new([reply]).complete(conversation, sampling, stream)
    }

    fn pixel_budget(&self) -> PixelBudget {
        PixelBudget { factor: 28, min_pixels: 56 * 56, max_pixels: 28 * 28 * 16_384 }
    }

    fn name(&self) -> &str {
        "slow"
    }
}

struct Seat<'s> {
    set: &'s GroundingSet,
    policy: Slow,
    preset: Preset,
    cancel: Cancel,
}

impl Player for Seat<'_> {
    type Error = String;

    fn play(&mut self, turn: Key) -> Result<Option<Line>, String> {
        let clock = Instant::now();
        let sampling = Sampling::greedy(512);
        let mut agent = Agent {
            eyes: &mut PolicyEyes::new(&mut self.policy, &self.preset, &sampling),
            min_confidence: 0.0,
            checks: Checks::Nobody,
            senses: &mut Blind,
            settle_cap: Duration::from_secs(1),
            hands: Hands::Act,
            cancel: &self.cancel,
            leash: Leash::default(),
        };
        let ratio = DevicePixelRatio::ONE;
        let played = play(&mut agent, self.set, turn.item, None, ratio, &[], &mut Run::unrecorded());
        let played = played.map_err(|error| error.to_string())?;
        match played.episode.error() {
            Some(error) => Err(error.to_owned()),
            None => Ok(Some(Line::of(&played, turn.mode, turn.draw, turn.item, clock.elapsed()))),
        }
    }
}

/// Writes `n_items` items of ScreenSpot-v2's layout into a folder; `on_picture` is called behind each picture.
///
/// # Errors
/// If something cannot be written, for people.
pub fn write_set(folder: &Path, n_items: usize, on_picture: &mut dyn FnMut()) -> Result<(), String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot write to `{}`: {error}", folder.display());
    let pictures = folder.join("screenspotv2_image");
    std::fs::create_dir_all(&pictures).map_err(|error| cannot(&error))?;
    let mut items: [Vec<Value>; 3] = [const { Vec::new() }; 3];
    for picture in 0..n_items.div_ceil(ITEMS_OF_PICTURE) {
        let name = format!("{picture:04}.png");
        // Boxes with soft shades: as large in a file as a screenshot of windows and texts.
        let pixels = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
            let (column, row) = ((x / 97) as usize, (y / 41) as usize);
            let shade = ((column * 37 + row * 91 + picture * 53) % 200) as u8;
            let grain = ((x * 7 + y * 13) % 11 < 2) as u8 * 31;
            Rgb([shade.saturating_add(grain), shade / 2 + 40, 255 - shade])
        });
        pixels.save(pictures.join(&name)).map_err(|error| cannot(&error))?;
        on_picture();
        for item in picture * ITEMS_OF_PICTURE..((picture + 1) * ITEMS_OF_PICTURE).min(n_items) {
            let (of, source) = [(0, "ios"), (1, "windows"), (2, "shop")][picture % 3];
            items[of].push(json!({
                "img_filename": name, "bbox": [10, 20, 30 + item % 7, 40], "instruction": format!("the button {item}"),
                "data_type": if item % 2 == 0 { "text" } else { "icon" }, "data_source": source,
            }));
        }
    }
    for (name, items) in ["mobile", "desktop", "web"].into_iter().zip(items) {
        let path = folder.join(format!("screenspot_{name}_v2.json"));
        std::fs::write(path, json!(items).to_string()).map_err(|error| cannot(&error))?;
    }
    Ok(())
}

/// Plays the set of a folder that [`write_set`] wrote, and records it in `record`.
///
/// # Errors
/// If the set cannot be read or the record not written, for people.
pub fn measure(
    folder: &Path,
    record: &Path,
    policy_secs: f64,
    n_at_once: usize,
    on_item: &(dyn Fn() + Sync),
) -> Result<EvalSpeed, String> {
    let choice = SetChoice { folder: Some(folder.to_owned()), ..SetChoice::default() };
    let set = GroundingSet::open(Known::ScreenSpotV2, &choice)?;
    let asked = Asked { model: "slow".to_owned(), ..Asked::default() };
    let head = Head::of(&set, asked, vec![Mode::SingleTurn]);
    let kept = Folder::open(record, &head).map_err(|error| error.to_string())?;
    let turns = head.turns();
    let seat = || {
        Ok(Seat {
            set: &set,
            policy: Slow { time: Duration::from_secs_f64(policy_secs) },
            preset: Preset::web_grounding(),
            cancel: Cancel::default(),
        })
    };
    let keep = |line: Line| {
        kept.add(line).map_err(|error| error.to_string())?;
        on_item();
        Ok(true)
    };
    let clock = Instant::now();
    runner::run(&set, &turns, n_at_once, &seat, &keep)?;
    let secs = clock.elapsed().as_secs_f64();
    let own = policy_secs * turns.len().div_ceil(n_at_once.max(1)) as f64;
    Ok(EvalSpeed {
        n_items: turns.len(),
        n_at_once,
        picture: SIZE,
        policy_secs,
        secs,
        added_percent: 100.0 * (secs - own) / own,
        added_millis: 1e3 * (secs - own) / turns.len().max(1) as f64,
    })
}

impl EvalSpeed {
    /// In words.
    pub fn text(&self) -> String {
        let (width, height) = self.picture;
        format!(
            "{} items on pictures of {width}x{height}, {} at a time, {:.2} s of the policy for each: {:.1} s\n\
             beyond the policy's own time: {:.2} %, {:.1} ms for an item",
            self.n_items, self.n_at_once, self.policy_secs, self.secs, self.added_percent, self.added_millis
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_played_and_recorded_whole() {
        let (folder, record) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_set(folder.path(), 4, &mut || ()).unwrap();
        let speed = measure(folder.path(), record.path(), 0.0, 2, &|| ()).unwrap();
        assert_eq!((speed.n_items, speed.n_at_once), (4, 2));
        let recorded = crate::folder::Recorded::read(record.path()).unwrap();
        assert_eq!(recorded.lines.len(), 4);
        assert!(recorded.lines.iter().all(|line| line.is_right == Some(true)), "the answer is in every box");
    }
}
