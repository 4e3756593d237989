//! What to generate. Invariant: a specification and the version of this crate determine the page entirely.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Which part of the world a page belongs to.
///
/// Splits draw from different random streams, so no training page is ever a held-out page. Held-out pages
/// also show what training pages never do: layouts, pairs of theme and frame, exact sizes, pairs of color
/// and shape (each on a part of the pages; see [`HeldOut`](super::HeldOut)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For learning.
    Train,
    /// For measuring.
    HeldOut,
    /// For measuring on words no training page shows; differs from `HeldOut` in the words tier only.
    HeldOutWords,
}

/// How much a policy must be able to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Colored shapes, checkboxes, radios, crosses and sliders: no reading.
    Icons,
    /// Buttons, links, fields, tabs and labeled boxes, each with a word of its own.
    Words {
        /// How many of [`WORDS`](super::WORDS) are used, from the first.
        vocabulary: usize,
    },
}

/// Size of the page in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvas {
    /// CSS pixels from left to right.
    pub width: u32,
    /// CSS pixels from top to bottom.
    pub height: u32,
}

/// An inclusive range of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The smallest value.
    pub min: u32,
    /// The largest value.
    pub max: u32,
}

impl From<RangeInclusive<u32>> for Span {
    fn from(range: RangeInclusive<u32>) -> Self {
        Self { min: *range.start(), max: *range.end() }
    }
}

/// The specification of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageSpec {
    /// Number of the page in its split.
    pub seed: u64,
    /// Which split.
    pub split: Split,
    /// Which tier.
    pub tier: Tier,
    /// Size of the page.
    pub canvas: Canvas,
    /// How many widgets stand beside the target of the first task.
    pub distractors: Span,
    /// Shorter side of a widget in CSS pixels, drawn uniformly; a widget that finds no room is drawn smaller.
    pub sizes: Span,
}

impl PageSpec {
    /// A page of the icons tier at the full size: 192x160, 4 to 8 distractors, 8 to 60 px.
    pub fn icons(seed: u64, split: Split) -> Self {
        Self {
            seed,
            split,
            tier: Tier::Icons,
            canvas: Canvas { width: 192, height: 160 },
            distractors: Span { min: 4, max: 8 },
            sizes: Span { min: 8, max: 60 },
        }
    }

    /// A page of the words tier at the full size, with the first `vocabulary` words.
    pub fn words(seed: u64, split: Split, vocabulary: usize) -> Self {
        Self { tier: Tier::Words { vocabulary }, ..Self::icons(seed, split) }
    }

    /// The same on another canvas.
    pub fn on_canvas(self, width: u32, height: u32) -> Self {
        Self { canvas: Canvas { width, height }, ..self }
    }

    /// The same with another number of distractors.
    pub fn with_distractors(self, distractors: RangeInclusive<u32>) -> Self {
        Self { distractors: distractors.into(), ..self }
    }

    /// The same with other widget sizes.
    pub fn with_sizes(self, sizes: RangeInclusive<u32>) -> Self {
        Self { sizes: sizes.into(), ..self }
    }

    /// The same page number `seed`.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The key of the random stream, besides the seed.
    pub(super) fn domain(&self) -> [u8; 24] {
        *match self.split {
            Split::Train => b"vigorl practice train   ",
            Split::HeldOut => b"vigorl practice held-out",
            Split::HeldOutWords => b"vigorl practice unseen w",
        }
    }
}
