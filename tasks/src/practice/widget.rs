//! The things on a page. Invariant: [`Widget::name`] uses words of a small fixed vocabulary.

use serde::{Deserialize, Serialize};
use vigorl_geometry::{Rect, Viewport};

/// What a widget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Icon,
    Checkbox,
    Radio,
    Close,
    Slider,
    Button,
    Link,
    Tab,
    Field,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Icon,
        Self::Checkbox,
        Self::Radio,
        Self::Close,
        Self::Slider,
        Self::Button,
        Self::Link,
        Self::Tab,
        Self::Field,
    ];

    /// The word for it, as used in instructions and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Icon => "icon",
            Self::Checkbox => "checkbox",
            Self::Radio => "radio",
            Self::Close => "close cross",
            Self::Slider => "slider",
            Self::Button => "button",
            Self::Link => "link",
            Self::Tab => "tab",
            Self::Field => "field",
        }
    }
}

/// The color of an icon, a cross or a slider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Color {
    Red,
    Orange,
    Yellow,
    Green,
    Cyan,
    Blue,
    Purple,
    Pink,
}

impl Color {
    /// Every color.
    pub const ALL: [Self; 8] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Cyan,
        Self::Blue,
        Self::Purple,
        Self::Pink,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Cyan => "cyan",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
        }
    }

    /// The middle of the range it is drawn in.
    pub(super) fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [216, 30, 36],
            Self::Orange => [250, 132, 20],
            Self::Yellow => [243, 208, 10],
            Self::Green => [30, 158, 62],
            Self::Cyan => [20, 190, 210],
            Self::Blue => [36, 76, 226],
            Self::Purple => [128, 42, 176],
            Self::Pink => [246, 112, 184],
        }
    }
}

/// The shape of an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Star,
    Heart,
    Plus,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 7] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Star, Self::Heart, Self::Plus];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Circle => "circle",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Diamond => "diamond",
            Self::Star => "star",
            Self::Heart => "heart",
            Self::Plus => "plus",
        }
    }
}

/// The state of a checkbox or radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Ticked or selected.
    On,
    /// Neither.
    Off,
}

/// Whether a widget sits in a button frame of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chrome {
    /// Only the drawing.
    Bare,
    /// In the frame of the page's look.
    Framed,
}

/// A rectangle of whole pixels: left and top inclusive, right and bottom exclusive. `[l, t, r, b]` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[i32; 4]", into = "[i32; 4]")]
pub struct PixelBox {
    /// Left edge.
    pub left: i32,
    /// Top edge.
    pub top: i32,
    /// Right edge (exclusive).
    pub right: i32,
    /// Bottom edge (exclusive).
    pub bottom: i32,
}

impl From<[i32; 4]> for PixelBox {
    fn from([left, top, right, bottom]: [i32; 4]) -> Self {
        Self { left, top, right, bottom }
    }
}

impl From<PixelBox> for [i32; 4] {
    fn from(b: PixelBox) -> Self {
        [b.left, b.top, b.right, b.bottom]
    }
}

impl PixelBox {
    /// The box at (`left`, `top`) of a size.
    pub(super) fn at(left: i32, top: i32, width: i32, height: i32) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }

    /// Pixels from left to right.
    pub fn width(self) -> i32 {
        self.right - self.left
    }

    /// Pixels from top to bottom.
    pub fn height(self) -> i32 {
        self.bottom - self.top
    }

    /// The shorter side.
    pub fn short_side(self) -> i32 {
        self.width().min(self.height())
    }

    /// The box with every edge moved outwards by `by` (inwards if negative).
    pub(super) fn grown(self, by: i32) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    /// Whether the two share a pixel.
    pub fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// Whether `inner` lies inside.
    pub fn covers(self, inner: Self) -> bool {
        self.left <= inner.left
            && self.top <= inner.top
            && inner.right <= self.right
            && inner.bottom <= self.bottom
    }

    /// The box as a rectangle of the page.
    pub fn in_viewport(self) -> Rect<Viewport> {
        Rect::new(self.left.into(), self.top.into(), self.right.into(), self.bottom.into())
    }
}

/// How hard a widget is to hit, by its shorter side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeClass {
    /// Under 14 px.
    Small,
    /// 14 to 24 px.
    Medium,
    /// Over 24 px.
    Large,
}

impl SizeClass {
    /// Every class, the hardest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The class of a box.
    pub fn of(bounds: PixelBox) -> Self {
        match bounds.short_side() {
            ..14 => Self::Small,
            14..=24 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// What the class means, for tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Small => "under 14 px",
            Self::Medium => "14-24 px",
            Self::Large => "over 24 px",
        }
    }
}

/// One widget of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widget {
    /// What it is.
    pub kind: Kind,
    /// Its color, for kinds that have a named one.
    pub color: Option<Color>,
    /// Its shape, for icons.
    pub shape: Option<Shape>,
    /// Its state, for checkboxes and radios.
    pub state: Option<State>,
    /// Its word, in the words tier.
    pub label: Option<String>,
    /// Where it is: a click inside counts.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
    /// Whether it has a frame of its own.
    pub chrome: Chrome,
    /// The exact color it is drawn in.
    pub rgb: [u8; 3],
    /// Font size of its word in CSS pixels; 0 without a word.
    pub text_px: i32,
    /// Where the knob of a slider stands, from 0 to 100.
    pub value: Option<i32>,
}

impl Widget {
    /// What a person would call it, with every attribute: "red star", "checked checkbox", "blue slider",
    /// "\"save\"".
    pub fn name(&self) -> String {
        if let Some(label) = &self.label {
            return format!("\"{label}\"");
        }
        let state = match (self.kind, self.state) {
            (Kind::Checkbox, Some(State::On)) => Some("checked"),
            (Kind::Checkbox, Some(State::Off)) => Some("unchecked"),
            (_, Some(State::On)) => Some("selected"),
            (_, Some(State::Off)) => Some("unselected"),
            (_, None) => None,
        };
        let noun = self.shape.map_or(self.kind.word(), Shape::word);
        let words = [state, self.color.map(Color::word), Some(noun)];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The class of its size.
    pub fn size_class(&self) -> SizeClass {
        SizeClass::of(self.bounds)
    }
}
