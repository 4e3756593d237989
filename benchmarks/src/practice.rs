//! Practice pages as an evaluation: success by size and kind of the widget and by what training never showed of the
//! page.

use serde::Serialize;
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::Driver;
use vigorl_tasks::practice::{HeldOut, Kind, PageSpec, PracticePage, PracticeWorld, SizeClass};
use vigorl_tasks::{Environment, Failure};

use crate::evaluation::{Evaluation, Item};

/// Pages that differ from training pages in nothing but their seed.
const NOTHING_NEW: &str = "nothing new";

/// Which pages are played.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PracticeSet {
    /// The first page; the others count its seed up.
    pub first: PageSpec,
    /// How many.
    pub n_episodes: u64,
}

impl PracticeSet {
    /// `n` pages from `first` on.
    ///
    /// # Errors
    /// If the seeds do not reach that far.
    pub fn new(first: PageSpec, n: u64) -> Result<Self, String> {
        match first.seed.checked_add(n.saturating_sub(1)) {
            Some(_) => Ok(Self { first, n_episodes: n }),
            None => Err(format!(
                "there are no {n} pages from page {} on: the last one is {}; lower --first-page or --seed",
                first.seed,
                u64::MAX
            )),
        }
    }

    /// The visible area that a page needs.
    pub fn canvas(&self) -> Size<Viewport> {
        Size::of_pixels(self.first.canvas.width, self.first.canvas.height)
    }

    /// One of the pages.
    pub fn spec(&self, idx: u64) -> PageSpec {
        self.first.with_seed(self.first.seed.wrapping_add(idx))
    }
}

impl Evaluation for PracticeSet {
    fn id(&self) -> &'static str {
        "practice/v2"
    }

    fn title(&self) -> String {
        let PageSpec { tier, split, seed, .. } = &self.first;
        format!("{tier:?} · {split:?} · pages {seed}..{}", seed.saturating_add(self.n_episodes))
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn n_items(&self) -> u64 {
        self.n_episodes
    }

    fn viewport(&self) -> Option<Size<Viewport>> {
        Some(self.canvas())
    }

    fn groups(&self) -> Vec<(&'static str, Vec<String>)> {
        let all = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        let aspects = HeldOut::ALL.map(|aspect| aspect.label());
        vec![
            ("size", all(SizeClass::ALL.map(SizeClass::label).to_vec())),
            ("kind", all(Kind::ALL.map(Kind::word).to_vec())),
            ("held_out", all(std::iter::once(NOTHING_NEW).chain(aspects).collect())),
        ]
    }

    fn item(&self, idx: u64) -> Result<Item, Failure> {
        let spec = self.spec(idx);
        let page = PracticePage::generate(&spec)?;
        let (task, widget) = (&page.tasks[0], &page.widgets[page.tasks[0].target]);
        let aspects: Vec<&'static str> = match &page.held_out[..] {
            [] => vec![NOTHING_NEW],
            aspects => aspects.iter().map(|aspect| aspect.label()).collect(),
        };
        let mut values =
            vec![("size", task.size_class.label().to_owned()), ("kind", widget.kind.word().to_owned())];
        values.extend(aspects.into_iter().map(|aspect| ("held_out", aspect.to_owned())));
        let page_area = f64::from(spec.canvas.width) * f64::from(spec.canvas.height);
        let chance = widget.bounds.in_viewport().size().area() / page_area;
        let instruction = task.instruction.clone();
        let (id, targets) = (format!("page-{}", spec.seed), Vec::new());
        let (seed, chance) = (spec.seed, Some(chance));
        Ok(Item {
            id,
            seed,
            instruction,
            values,
            chance,
            targets,
            is_absent: false,
            picture: None,
            circle: None,
        })
    }

    fn world<'w>(
        &'w self,
        idx: u64,
        driver: Option<&'w mut dyn Driver>,
        device_pixel_ratio: DevicePixelRatio,
        labels: &[(&str, &str)],
    ) -> Result<Box<dyn Environment + 'w>, Failure> {
        let driver = driver.ok_or("a practice page needs a browser")?;
        Ok(Box::new(PracticeWorld::new(driver, self.spec(idx), device_pixel_ratio, labels)))
    }

    fn pages(&self) -> Option<PracticeSet> {
        Some(*self)
    }
}

#[cfg(test)]
mod tests {
    use vigorl_agent::{Ending, Episode};
    use vigorl_tasks::practice::Split;

    use super::*;
    use crate::evaluation::{Mode, Played};
    use crate::head::{Asked, Head};
    use crate::line::Line;
    use crate::result::EvaluationResult;

    fn set() -> PracticeSet {
        PracticeSet { first: PageSpec::icons(7, Split::HeldOut), n_episodes: 3 }
    }

    fn ended(
        values: &[(&'static str, &'static str)],
        chance: f64,
        success: Option<bool>,
        ending: Ending,
    ) -> Played {
        let reward = success.map(|success| f64::from(u8::from(success)));
        let values = values.iter().map(|(group, value)| (*group, (*value).to_owned())).collect();
        let (instruction, targets) = (String::new(), Vec::new());
        let chance = Some(chance);
        let id = "page-1".to_owned();
        let item = Item {
            id,
            seed: 1,
            instruction,
            values,
            chance,
            targets,
            is_absent: false,
            picture: None,
            circle: None,
        };
        let episode = Episode { start: None, steps: Vec::new(), ending, success, reward, detail: None };
        Played { item, episode }
    }

    #[test]
    fn rates_are_by_kind_and_size_and_failures_of_the_world_are_apart() {
        let (small, large) = (("size", "under 14 px"), ("size", SizeClass::Large.label()));
        let (icon, radio) = (("kind", "icon"), ("kind", "radio"));
        let (new, old) = (("held_out", "new look"), ("held_out", NOTHING_NEW));
        let failed = Ending::Error("the browser is gone".to_owned());
        let played = [
            ended(&[small, icon, old], 0.01, Some(true), Ending::Judged),
            ended(&[large, icon, old], 0.09, Some(false), Ending::Judged),
            ended(&[small, radio, new], 0.02, Some(true), Ending::Judged),
            ended(&[small, radio, new], 0.02, None, failed),
        ];
        let line = |(idx, played): (u64, &Played)| {
            Line::of(played, Mode::MultiTurn, 0, idx, std::time::Duration::ZERO)
        };
        let lines: Vec<Line> = (0..).zip(&played).map(line).collect();
        let head = Head::of(&set(), Asked::default(), vec![Mode::MultiTurn]);
        let all = EvaluationResult::of(&head, &lines, String::new());
        let result = &all.modes[0];
        assert_eq!((result.all.n_success, result.all.n, result.n_errors, all.n_played), (2, 3, 1, 4));
        let backwards: Vec<Line> = lines.iter().rev().cloned().collect();
        assert_eq!(EvaluationResult::of(&head, &backwards, String::new()), all, "whatever their order");
        let rate = |group: &str, value: &str| (result.by[group][value].n_success, result.by[group][value].n);
        assert_eq!(rate("by_kind", "icon"), (1, 2));
        assert_eq!(rate("by_size", "under 14 px"), (2, 2));
        assert_eq!((rate("by_held_out", "new look"), rate("by_held_out", NOTHING_NEW)), ((1, 1), (1, 2)));
        assert_eq!(result.errors, ["page-1: the browser is gone"]);
        let json = serde_json::to_value(result).unwrap();
        assert_eq!(json["by_kind"]["icon"]["n"], 2, "groups stand beside the rest: {json}");
        let random = all.random_clicker.unwrap();
        assert!((random.all - 0.04).abs() < 1e-12);
        assert!((random.by["by_kind"]["icon"] - 0.05).abs() < 1e-12);
    }

    #[test]
    fn the_pages_of_a_set_count_up() {
        let seeds: Vec<u64> = (0..3).map(|idx| set().item(idx).unwrap().seed).collect();
        assert_eq!(seeds, [7, 8, 9]);
        let last = PageSpec::icons(u64::MAX, Split::HeldOut);
        assert!(PracticeSet::new(last, 1).is_ok() && PracticeSet::new(last, 2).is_err(), "no overflow");
    }

    #[test]
    fn every_value_of_an_item_has_its_row() {
        let groups = set().groups();
        for idx in 0..3 {
            let item = set().item(idx).unwrap();
            let is_row = |(group, value): &(&str, String)| {
                groups.iter().any(|(known, values)| known == group && values.contains(value))
            };
            assert!(item.values.iter().all(is_row), "{item:?}");
            assert!(item.chance.is_some_and(|chance| chance > 0.0 && chance < 1.0));
        }
    }
}
