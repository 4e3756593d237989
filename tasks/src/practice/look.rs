//! How a whole page looks. Invariant: pairs in [`HELD_OUT_LOOKS`] never appear on a training page.

use serde::{Deserialize, Serialize};

use super::spec::Split;
use crate::dice::Dice;

/// Colors of the page itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Theme {
    White,
    Gray,
    Cream,
    Sky,
    Mint,
    Night,
    Slate,
}

/// How button frames are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// A thin line, square corners.
    Outline,
    /// A thin line, round corners.
    Rounded,
    /// A filled area without a line.
    Flat,
    /// A line that is darker at the bottom, slightly round.
    Raised,
}

/// The typeface of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Font {
    /// Liberation Sans.
    Sans,
    /// DejaVu Sans.
    Wide,
    /// Liberation Serif.
    Serif,
    /// DejaVu Sans Mono.
    Mono,
}

/// How a checked box and a selected radio are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tick {
    /// A dark mark on the box's own ground.
    Dark,
    /// A light mark on a dark ground; only from 14 px on, where the mark can still be seen.
    Inverted,
}

/// Everything a page's widgets have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Colors of the page.
    pub theme: Theme,
    /// Frames.
    pub frame: Frame,
    /// Typeface.
    pub font: Font,
    /// Ticks.
    pub tick: Tick,
}

const THEMES: [(Theme, usize); 7] = [
    (Theme::White, 6),
    (Theme::Gray, 4),
    (Theme::Cream, 3),
    (Theme::Sky, 3),
    (Theme::Mint, 3),
    (Theme::Night, 2),
    (Theme::Slate, 1),
];
const FRAMES: [Frame; 4] = [Frame::Outline, Frame::Rounded, Frame::Flat, Frame::Raised];
const FONTS: [(Font, usize); 4] = [(Font::Sans, 5), (Font::Wide, 3), (Font::Serif, 1), (Font::Mono, 1)];

/// Pairs of theme and frame that training pages never have.
pub(super) const HELD_OUT_LOOKS: [(Theme, Frame); 5] = [
    (Theme::White, Frame::Raised),
    (Theme::Cream, Frame::Flat),
    (Theme::Sky, Frame::Outline),
    (Theme::Mint, Frame::Rounded),
    (Theme::Night, Frame::Raised),
];

impl Look {
    pub(super) fn draw(dice: &mut Dice, split: Split) -> Self {
        let font = dice.weighted(&FONTS);
        let tick = dice.pick(&[Tick::Dark, Tick::Inverted]);
        if split != Split::Train && dice.chance(1.0 / 3.0) {
            let (theme, frame) = dice.pick(&HELD_OUT_LOOKS);
            return Self { theme, frame, font, tick };
        }
        loop {
            let (theme, frame) = (dice.weighted(&THEMES), dice.pick(&FRAMES));
            if !HELD_OUT_LOOKS.contains(&(theme, frame)) {
                return Self { theme, frame, font, tick };
            }
        }
    }

    /// Whether training pages never look like this.
    pub fn is_held_out(&self) -> bool {
        HELD_OUT_LOOKS.contains(&(self.theme, self.frame))
    }

    pub(super) fn palette(&self) -> Palette {
        self.theme.palette()
    }
}

/// The neutral colors of a theme, as CSS.
pub(super) struct Palette {
    pub(super) ground: &'static str,
    pub(super) card: &'static str,
    pub(super) line: &'static str,
    pub(super) button: &'static str,
    pub(super) ink: [u8; 3],
    pub(super) link: &'static str,
    pub(super) faint: &'static str,
}

impl Theme {
    fn palette(self) -> Palette {
        let light = |ground, card, line, button, faint| Palette {
            ground,
            card,
            line,
            button,
            ink: [40, 44, 52],
            link: "#0b4fb3",
            faint,
        };
        let dark = |ground, card, line, button, faint| Palette {
            ground,
            card,
            line,
            button,
            ink: [232, 235, 240],
            link: "#9cc4ff",
            faint,
        };
        match self {
            Self::White => light("#ffffff", "#f4f5f7", "#8f96a3", "#eceef1", "#e3e6ea"),
            Self::Gray => light("#eeeff1", "#fbfbfc", "#868c96", "#fafafa", "#d9dce1"),
            Self::Cream => light("#fbf5e6", "#fffcf4", "#9a8f78", "#f3ead2", "#ebe2ca"),
            Self::Sky => light("#e6f0fb", "#f6faff", "#7f93ab", "#f3f8fe", "#d0dfef"),
            Self::Mint => light("#e7f5ec", "#f6fcf8", "#7c9a88", "#f2faf5", "#cfe5d7"),
            Self::Night => dark("#262a33", "#30353f", "#8d95a3", "#3b414d", "#3c424d"),
            Self::Slate => dark("#46505f", "#505b6b", "#a5aebb", "#5b6778", "#5a6575"),
        }
    }
}

impl Font {
    pub(super) fn css(self) -> &'static str {
        match self {
            Self::Sans => "'Liberation Sans',Arial,sans-serif",
            Self::Wide => "'DejaVu Sans',Verdana,sans-serif",
            Self::Serif => "'Liberation Serif','Times New Roman',serif",
            Self::Mono => "'DejaVu Sans Mono',monospace",
        }
    }

    /// Width of `text` at a font size of `px`, generously estimated: boxes are fixed before any layout.
    pub(super) fn width_px(self, text: &str, px: i32) -> i32 {
        let em: f64 = match self {
            Self::Mono => 0.605 * text.len() as f64,
            Self::Wide => 1.12 * text.chars().map(sans_em).sum::<f64>(),
            Self::Sans => text.chars().map(sans_em).sum(),
            Self::Serif => 0.95 * text.chars().map(sans_em).sum::<f64>(),
        };
        (em * f64::from(px)).ceil() as i32
    }
}

/// Advance of a lower-case letter in Arial's metrics, in em, rounded up.
fn sans_em(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' => 0.23,
        'f' | 't' => 0.28,
        'r' => 0.34,
        'm' => 0.84,
        'w' => 0.73,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' => 0.5,
        _ => 0.56,
    }
}
