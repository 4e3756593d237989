//! Practice pages, live: success by size and kind of the widget and by what training never showed of the page,
//! several modes on the same episodes.
//!
//! Invariants: every mode sees the same pages in the same order, each page loaded afresh; the verdict is the
//! page's own; the random clicker's rate is not sampled but exact: a click drawn uniformly over the page hits
//! with probability (area of the target) / (area of the page).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use vigorl_agent::{Agent, Episode, InOrder, Watch, WatchError, run_episode};
use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::Driver;
use vigorl_runs::wilson95;
use vigorl_tasks::practice::{HeldOut, Kind, PageError, PageSpec, PracticePage, PracticeWorld, SizeClass};

/// Name and version of the benchmark; whatever can move a score changes it.
pub const PRACTICE_ID: &str = "practice/v2";

/// A page that was shown and clicked.
#[derive(Debug, Clone)]
pub struct PracticeEpisode {
    /// The page.
    pub spec: PageSpec,
    /// What was asked.
    pub instruction: String,
    /// What had to be hit.
    pub kind: Kind,
    /// How large it is.
    pub size: SizeClass,
    /// What of the page no training page shows.
    pub held_out: Vec<HeldOut>,
    /// Probability of a uniform click to hit it.
    pub target_share: f64,
    /// How it ended.
    pub outcome: Episode,
}

/// Why an episode could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The specification has no page.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The episode could not be kept.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// Shows the page of `spec` in the driver's browser and lets the agent click on it; `device_pixel_ratio` is the driver's,
/// `labels` are added to the record's.
///
/// # Errors
/// [`PlayError`] if there is no such page or a watcher failed; a world that fails is in the outcome.
pub fn play_practice(
    agent: &mut Agent<'_>,
    driver: &mut dyn Driver,
    spec: &PageSpec,
    device_pixel_ratio: DevicePixelRatio,
    labels: &[(&str, &str)],
    watch: &mut dyn Watch,
) -> Result<PracticeEpisode, PlayError> {
    let page = PracticePage::generate(spec)?;
    let (task, widget) = (&page.tasks[0], &page.widgets[page.tasks[0].target]);
    let mut world = PracticeWorld::new(driver, *spec, device_pixel_ratio, labels);
    let mut plan = InOrder::click(task.instruction.clone());
    let outcome = run_episode(agent, &mut plan, &mut world, spec.seed, watch)?;
    let page_area = f64::from(spec.canvas.width) * f64::from(spec.canvas.height);
    Ok(PracticeEpisode {
        spec: *spec,
        instruction: task.instruction.clone(),
        kind: widget.kind,
        size: task.size_class,
        target_share: widget.bounds.in_viewport().size().area() / page_area,
        held_out: page.held_out.clone(),
        outcome,
    })
}

/// Which pages are played.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PracticeSet {
    /// The first page; the others count its seed up.
    pub first: PageSpec,
    /// How many.
    pub n_episodes: u64,
}

impl PracticeSet {
    /// The pages in order.
    pub fn specs(&self) -> impl Iterator<Item = PageSpec> + use<> {
        let first = self.first;
        (0..self.n_episodes).map(move |idx| first.with_seed(first.seed.wrapping_add(idx)))
    }
}

/// How the policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With zoom turns.
    MultiTurn,
    /// One turn, which answers.
    SingleTurn,
}

impl Mode {
    /// For tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::MultiTurn => "multi-turn",
            Self::SingleTurn => "single-turn",
        }
    }
}

/// Successes out of judged episodes, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Episodes solved.
    pub n_success: usize,
    /// Episodes judged.
    pub n: usize,
    /// Share solved; 0 if none was judged.
    pub rate: f64,
    /// The interval.
    pub wilson95: (f64, f64),
}

impl Rate {
    fn of(successes: impl Iterator<Item = bool>) -> Self {
        let (mut n_success, mut n) = (0, 0);
        for success in successes {
            n += 1;
            n_success += usize::from(success);
        }
        let rate = n_success as f64 / (n.max(1)) as f64;
        Self { n_success, n, rate, wilson95: wilson95(n_success, n) }
    }
}

/// What one mode did on the set.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Episodes in order.
    pub episodes: Vec<PracticeEpisode>,
    /// Pages that could not be played to a verdict: page and reason.
    pub errors: Vec<(u64, String)>,
    /// Zooms of all episodes.
    pub n_zooms: usize,
    /// Milliseconds of each episode, from the first screenshot to the verdict.
    pub millis: Vec<f64>,
}

impl Tally {
    /// Adds an episode; one in which the world failed is an error and not an episode.
    pub fn add(&mut self, episode: PracticeEpisode) {
        match episode.outcome.error() {
            Some(error) => self.errors.push((episode.spec.seed, error.to_owned())),
            None => self.episodes.push(episode),
        }
    }

    fn rate(&self, keep: impl Fn(&PracticeEpisode) -> bool) -> Rate {
        Rate::of(self.episodes.iter().filter(|e| keep(e)).filter_map(|e| e.outcome.success))
    }
}

/// Pages that differ from training pages in nothing but their seed.
const NOTHING_NEW: &str = "nothing new";

/// Success of a mode, by kind, by size, and by what is new.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeResult {
    /// How the policy was asked.
    pub mode: Mode,
    /// All episodes.
    pub all: Rate,
    /// By kind of the target.
    pub by_kind: BTreeMap<&'static str, Rate>,
    /// By size of the target.
    pub by_size: BTreeMap<&'static str, Rate>,
    /// By what of the page no training page shows; a page may count several times.
    pub by_held_out: BTreeMap<&'static str, Rate>,
    /// Zooms per episode.
    pub zooms_mean: f64,
    /// Median time of an episode.
    pub median_millis: f64,
    /// Episodes in which the world failed.
    pub n_errors: usize,
    /// Reasons of the first few.
    pub errors: Vec<String>,
}

/// The exact success rate of uniform clicks on the same pages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RandomClicker {
    /// How the numbers were made.
    pub method: &'static str,
    /// All episodes.
    pub all: f64,
    /// By kind of the target.
    pub by_kind: BTreeMap<&'static str, f64>,
    /// By size of the target.
    pub by_size: BTreeMap<&'static str, f64>,
    /// By what of the page no training page shows.
    pub by_held_out: BTreeMap<&'static str, f64>,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PracticeResult {
    /// Name and version of the benchmark.
    pub benchmark: &'static str,
    /// Name of the policy.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
    /// The command.
    pub command: String,
    /// The commit of the program.
    pub commit: String,
    /// The pages that were played.
    pub set: PracticeSet,
    /// Whether it was broken off before every page was played in every mode.
    pub truncated: bool,
    /// One entry per mode.
    pub modes: Vec<ModeResult>,
    /// The baseline.
    pub random_clicker: RandomClicker,
}

impl ModeResult {
    /// Sums up a mode.
    pub fn new(mode: Mode, tally: &Tally) -> Self {
        let kinds = Kind::ALL.iter().map(|kind| (kind.word(), tally.rate(|e| e.kind == *kind)));
        let sizes = SizeClass::ALL.iter().map(|size| (size.label(), tally.rate(|e| e.size == *size)));
        let aspects = aspects().map(|(label, aspect)| (label, tally.rate(|e| e.is_new_in(aspect))));
        let mut millis = tally.millis.clone();
        millis.sort_by(f64::total_cmp);
        Self {
            mode,
            all: tally.rate(|_| true),
            by_kind: kinds.filter(|(_, rate)| rate.n > 0).collect(),
            by_size: sizes.filter(|(_, rate)| rate.n > 0).collect(),
            by_held_out: aspects.filter(|(_, rate)| rate.n > 0).collect(),
            zooms_mean: tally.n_zooms as f64 / tally.millis.len().max(1) as f64,
            median_millis: millis.get(millis.len() / 2).copied().unwrap_or_default().round(),
            n_errors: tally.errors.len(),
            errors: tally
                .errors
                .iter()
                .take(5)
                .map(|(seed, error)| format!("page {seed}: {error}"))
                .collect(),
        }
    }
}

/// Every row about what is new: its label, and the aspect; `None` is a page without any.
fn aspects() -> impl Iterator<Item = (&'static str, Option<HeldOut>)> {
    std::iter::once((NOTHING_NEW, None)).chain(HeldOut::ALL.map(|aspect| (aspect.label(), Some(aspect))))
}

impl PracticeEpisode {
    fn is_new_in(&self, aspect: Option<HeldOut>) -> bool {
        aspect.map_or(self.held_out.is_empty(), |aspect| self.held_out.contains(&aspect))
    }
}

impl RandomClicker {
    /// The exact rate on pages that were played.
    pub fn on(episodes: &[PracticeEpisode]) -> Self {
        let mean = |keep: &dyn Fn(&PracticeEpisode) -> bool| {
            let shares: Vec<f64> = episodes.iter().filter(|e| keep(e)).map(|e| e.target_share).collect();
            (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
        };
        let kinds = Kind::ALL.iter().filter_map(|kind| Some((kind.word(), mean(&|e| e.kind == *kind)?)));
        let sizes =
            SizeClass::ALL.iter().filter_map(|size| Some((size.label(), mean(&|e| e.size == *size)?)));
        Self {
            method: "exact expectation of a uniform click: area of the target / area of the page",
            all: mean(&|_| true).unwrap_or_default(),
            by_kind: kinds.collect(),
            by_size: sizes.collect(),
            by_held_out: aspects()
                .filter_map(|(label, aspect)| Some((label, mean(&|e| e.is_new_in(aspect))?)))
                .collect(),
        }
    }
}

impl PracticeResult {
    /// The result as a table for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let first = &self.set.first;
        writeln!(
            out,
            "{} · {:?} · {:?} · pages {}..{} · {} · commit {}",
            self.benchmark,
            first.tier,
            first.split,
            first.seed,
            first.seed.saturating_add(self.set.n_episodes),
            self.model,
            self.commit
        )
        .ok();
        if self.truncated {
            writeln!(out, "broken off: {} pages were played", self.set.n_episodes).ok();
        }
        write!(out, "\n{:<16}", "").ok();
        for mode in &self.modes {
            write!(out, "{:>34}", mode.mode.label()).ok();
        }
        writeln!(out, "{:>15}", "random clicker").ok();
        let all = |mode: &ModeResult| Some(mode.all);
        self.row(&mut out, "all", all, Some(self.random_clicker.all));
        for size in SizeClass::ALL.map(SizeClass::label) {
            self.row(
                &mut out,
                size,
                |m| m.by_size.get(size).copied(),
                self.random_clicker.by_size.get(size).copied(),
            );
        }
        for kind in Kind::ALL.map(Kind::word) {
            self.row(
                &mut out,
                kind,
                |m| m.by_kind.get(kind).copied(),
                self.random_clicker.by_kind.get(kind).copied(),
            );
        }
        for aspect in aspects().map(|(label, _)| label) {
            self.row(
                &mut out,
                aspect,
                |m| m.by_held_out.get(aspect).copied(),
                self.random_clicker.by_held_out.get(aspect).copied(),
            );
        }
        for mode in &self.modes {
            writeln!(
                out,
                "\n{}: {:.2} zooms and {:.0} ms (median) per episode, {} not judged because the world failed",
                mode.mode.label(),
                mode.zooms_mean,
                mode.median_millis,
                mode.n_errors
            )
            .ok();
            for error in &mode.errors {
                writeln!(out, "  {error}").ok();
            }
        }
        out
    }

    fn row(
        &self,
        out: &mut String,
        name: &str,
        rate: impl Fn(&ModeResult) -> Option<Rate>,
        random: Option<f64>,
    ) {
        let Some(random) = random else { return };
        write!(out, "{name:<16}").ok();
        for mode in &self.modes {
            let cell = rate(mode).map_or_else(String::new, |r| {
                format!(
                    "{:.1} % ({:.1} to {:.1})  {:>3}/{:<3}",
                    r.rate * 100.0,
                    r.wilson95.0 * 100.0,
                    r.wilson95.1 * 100.0,
                    r.n_success,
                    r.n
                )
            });
            write!(out, "{cell:>34}").ok();
        }
        writeln!(out, "{:>13.1} %", random * 100.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use vigorl_agent::Ending;
    use vigorl_tasks::practice::Split;

    use super::*;

    fn episode(kind: Kind, size: SizeClass, share: f64, outcome: Episode) -> PracticeEpisode {
        let spec = PageSpec::icons(1, Split::HeldOut);
        let held_out = if kind == Kind::Radio { vec![HeldOut::Look] } else { Vec::new() };
        PracticeEpisode {
            spec,
            instruction: String::new(),
            kind,
            size,
            held_out,
            target_share: share,
            outcome,
        }
    }

    fn ended(success: Option<bool>, ending: Ending) -> Episode {
        let reward = success.map(|success| f64::from(u8::from(success)));
        Episode { start: None, steps: Vec::new(), ending, success, reward, detail: None }
    }

    fn judged(success: bool) -> Episode {
        ended(Some(success), Ending::Judged)
    }

    #[test]
    fn rates_are_by_kind_and_size_and_failures_of_the_world_are_apart() {
        let mut tally = Tally::default();
        tally.add(episode(Kind::Icon, SizeClass::Small, 0.01, judged(true)));
        tally.add(episode(Kind::Icon, SizeClass::Large, 0.09, judged(false)));
        tally.add(episode(Kind::Radio, SizeClass::Small, 0.02, judged(true)));
        let failed = ended(None, Ending::Error("the browser is gone".to_owned()));
        tally.add(episode(Kind::Radio, SizeClass::Small, 0.02, failed));
        let result = ModeResult::new(Mode::MultiTurn, &tally);
        assert_eq!((result.all.n_success, result.all.n, result.n_errors), (2, 3, 1));
        assert_eq!((result.by_kind["icon"].n_success, result.by_kind["icon"].n), (1, 2));
        assert_eq!((result.by_size["under 14 px"].n_success, result.by_size["under 14 px"].n), (2, 2));
        assert_eq!((result.by_held_out["new look"].n, result.by_held_out["nothing new"].n), (1, 2));
        assert_eq!(result.errors, ["page 1: the browser is gone"]);
        let random = RandomClicker::on(&tally.episodes);
        assert!((random.all - 0.04).abs() < 1e-12);
        assert!((random.by_kind["icon"] - 0.05).abs() < 1e-12);
    }

    #[test]
    fn the_pages_of_a_set_count_up() {
        let set = PracticeSet { first: PageSpec::icons(7, Split::HeldOut), n_episodes: 3 };
        let seeds: Vec<u64> = set.specs().map(|spec| spec.seed).collect();
        assert_eq!(seeds, [7, 8, 9]);
        let last = PracticeSet { first: PageSpec::icons(u64::MAX, Split::HeldOut), n_episodes: 2 };
        assert_eq!(last.specs().map(|spec| spec.seed).collect::<Vec<_>>(), [u64::MAX, 0], "no overflow");
    }
}
