//! An item as a world: its picture is read when the world is reset.
//!
//! Invariant: a picture that cannot be read is a failure of the world, which is counted apart, and never a wrong answer.

use vigorl_geometry::DevicePixelRatio;
use vigorl_interface::{Action, Screenshot};
use vigorl_tasks::picture::{PictureWorld, Region};
use vigorl_tasks::{Allowance, Environment, Failure, Observation, Performed, Senses, Start, Verdict};

use super::GroundingSet;
use super::item::SetItem;

/// An item, and the world of it once it was reset.
pub(crate) struct Shown<'s> {
    set: &'s GroundingSet,
    item: &'s SetItem,
    world: Option<PictureWorld>,
}

impl<'s> Shown<'s> {
    pub(crate) fn new(set: &'s GroundingSet, item: &'s SetItem) -> Self {
        Self { set, item, world: None }
    }

    fn world(&mut self) -> Result<&mut PictureWorld, Failure> {
        self.world.as_mut().ok_or_else(|| "no picture is shown: reset the world first".into())
    }
}

impl Environment for Shown<'_> {
    fn reset(&mut self, seed: u64) -> Result<Start, Failure> {
        let pixels = self.set.pixels(self.item)?;
        let screenshot = Screenshot { pixels, device_pixel_ratio: DevicePixelRatio::ONE };
        let regions: Vec<Region> = self.item.region.iter().cloned().collect();
        let world = PictureWorld::with_regions(screenshot, self.item.instruction.clone(), regions);
        self.world.insert(world).reset(seed)
    }

    fn observe(&mut self) -> Result<Observation, Failure> {
        self.world()?.observe()
    }

    fn perform(&mut self, act: &Action) -> Result<Performed, Failure> {
        self.world()?.perform(act)
    }

    fn judge(
        &mut self,
        answer: Option<&str>,
        senses: &mut dyn Senses,
        allowance: &Allowance<'_>,
    ) -> Result<Verdict, Failure> {
        self.world()?.judge(answer, senses, allowance)
    }
}
