//! What was read, as values.

use vigorl_geometry::{Rect, Screen, Size};

/// All text of a screenshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The screenshot's size.
    pub size: Size<Screen>,
    /// Lines from top to bottom, and from left to right where they stand side by side.
    pub lines: Vec<Line>,
}

/// A line of text, as far as it stands together.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it says: its glyphs in order.
    pub text: String,
    /// Where it stands, with a margin of about a fifth of its height.
    pub rect: Rect<Screen>,
    /// Mean confidence of its glyphs, 0..=1.
    pub confidence: f32,
    /// Its characters.
    pub glyphs: Vec<Glyph>,
    /// What the recogniser saw from left to right.
    pub frames: Vec<Frame>,
}

/// A character of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glyph {
    /// Which one.
    pub character: char,
    /// Left edge on the screenshot, in pixels; as high as its line.
    pub left: f64,
    /// Right edge on the screenshot, in pixels.
    pub right: f64,
    /// Probability of the character where it is most likely.
    pub confidence: f32,
    /// The frame in which it is most likely.
    pub frame: usize,
}

/// What could stand in one of the slices into which the recogniser cuts a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Probability that no character is told by this slice.
    pub blank: f32,
    /// The likeliest characters, likeliest first.
    pub likely: Vec<(char, f32)>,
}

impl Line {
    /// What some of its glyphs say.
    ///
    /// # Panics
    /// If the range reaches beyond the glyphs (caller's bug).
    pub fn text_of(&self, glyphs: std::ops::Range<usize>) -> String {
        self.glyphs[glyphs].iter().map(|glyph| glyph.character).collect()
    }

    /// The rectangle of some of its glyphs.
    ///
    /// # Panics
    /// If the range is empty or reaches beyond the glyphs (caller's bug).
    pub fn rect_of(&self, glyphs: std::ops::Range<usize>) -> Rect<Screen> {
        let some = &self.glyphs[glyphs];
        let (Some(first), Some(last)) = (some.first(), some.last()) else { panic!("no glyphs") };
        Rect::new(first.left, self.rect.top, last.right, self.rect.bottom)
    }
}

impl Reading {
    /// The text of the lines whose middle lies in `region`, in order.
    pub fn text_in(&self, region: Rect<Screen>) -> String {
        let inside = self.lines.iter().filter(|line| region.contains(line.rect.center()));
        inside.map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}
