//! Chooses what stands on a page. Invariants: the target can be told from every other widget, and at least
//! half of the distractors share its color, its shape, or, unless it is an icon, its kind.

use super::look::Font;
use super::page::PageError;
use super::spec::{PageSpec, Split, Tier};
use super::widget::{Color, Kind, Shape, State};
use super::words::{HELD_OUT_WORDS, WORDS};
use crate::dice::Dice;

/// Pairs no training page shows.
pub(super) const HELD_OUT_PAIRS: [(Color, Shape); 3] =
    [(Color::Purple, Shape::Heart), (Color::Cyan, Shape::Diamond), (Color::Orange, Shape::Star)];

const ICON_KINDS: [(Kind, usize); 5] =
    [(Kind::Icon, 50), (Kind::Checkbox, 12), (Kind::Radio, 10), (Kind::Close, 12), (Kind::Slider, 16)];
const WORD_KINDS: [(Kind, usize); 6] = [
    (Kind::Button, 35),
    (Kind::Link, 20),
    (Kind::Checkbox, 15),
    (Kind::Radio, 8),
    (Kind::Tab, 10),
    (Kind::Field, 12),
];

/// Size of the smallest text on a page.
pub(super) const SMALLEST_TEXT_PX: i32 = 9;

/// What the widest frame around a word of the smallest size, and the canvas's own margins, may add.
const WORD_MARGIN_PX: i32 = 24;

/// What a widget is, before it has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) color: Option<Color>,
    pub(super) shape: Option<Shape>,
    pub(super) state: Option<State>,
    pub(super) label: Option<&'static str>,
}

impl Part {
    fn plain(kind: Kind) -> Self {
        Self { kind, color: None, shape: None, state: None, label: None }
    }

    fn colored(kind: Kind, color: Color) -> Self {
        Self { color: Some(color), ..Self::plain(kind) }
    }

    fn icon(color: Color, shape: Shape) -> Self {
        Self { shape: Some(shape), ..Self::colored(Kind::Icon, color) }
    }
}

/// The widgets of a page, the target first.
pub(super) fn draw_cast(dice: &mut Dice, spec: &PageSpec, font: Font) -> Result<Vec<Part>, PageError> {
    let n = dice.between(spec.distractors.min as i32, spec.distractors.max as i32) as usize;
    match spec.tier {
        Tier::Icons => Ok(draw_icons(dice, spec.split, n)),
        Tier::Words { vocabulary } => draw_words(dice, spec, font, vocabulary, n),
    }
}

fn draw_icons(dice: &mut Dice, split: Split, n_distractors: usize) -> Vec<Part> {
    let kind = dice.weighted(&ICON_KINDS);
    let target = draw_icon_part(dice, split, kind);
    let mut cast = vec![target];
    while cast.len() <= n_distractors {
        let must_resemble = cast.len() <= n_distractors.div_ceil(2);
        // A few tries for something new: a widget that stands twice on a page cannot be asked for.
        let mut part = draw_distractor(dice, split, &target, must_resemble);
        for _ in 0..4 {
            if part != target && (part.color.is_none() || !cast.contains(&part)) {
                break;
            }
            part = draw_distractor(dice, split, &target, must_resemble);
        }
        if part != target {
            cast.push(part);
        }
    }
    cast
}

fn draw_icon_part(dice: &mut Dice, split: Split, kind: Kind) -> Part {
    match kind {
        Kind::Checkbox | Kind::Radio => {
            Part { state: Some(dice.pick(&[State::On, State::Off])), ..Part::plain(kind) }
        }
        Kind::Close | Kind::Slider => Part::colored(kind, dice.pick(&Color::ALL)),
        _ => draw_icon(dice, split, None, None),
    }
}

/// An icon with the given color and shape where given, of a pair the split may show.
fn draw_icon(dice: &mut Dice, split: Split, color: Option<Color>, shape: Option<Shape>) -> Part {
    loop {
        let pair = (
            color.unwrap_or_else(|| dice.pick(&Color::ALL)),
            shape.unwrap_or_else(|| dice.pick(&Shape::ALL)),
        );
        if split != Split::Train || !HELD_OUT_PAIRS.contains(&pair) {
            return Part::icon(pair.0, pair.1);
        }
    }
}

fn draw_distractor(dice: &mut Dice, split: Split, target: &Part, must_resemble: bool) -> Part {
    if !must_resemble && dice.chance(0.6) {
        let kind = dice.weighted(&ICON_KINDS);
        return draw_icon_part(dice, split, kind);
    }
    let other = |state| if state == State::On { State::Off } else { State::On };
    match (target.kind, target.color) {
        (Kind::Icon, Some(color)) => match dice.below(10) {
            0..4 => draw_icon(dice, split, Some(color), None),
            4..8 => draw_icon(dice, split, None, target.shape),
            8 => Part::colored(Kind::Slider, color),
            _ => Part::colored(Kind::Close, color),
        },
        (kind, Some(color)) => match dice.below(8) {
            0..4 => Part::colored(kind, dice.pick(&Color::ALL)),
            // A plus is the shape most like a cross.
            4 if kind == Kind::Close => Part::icon(color, Shape::Plus),
            _ => draw_icon(dice, split, Some(color), None),
        },
        (kind, None) => Part { state: target.state.map(other), ..Part::plain(kind) },
    }
}

fn draw_words(
    dice: &mut Dice,
    spec: &PageSpec,
    font: Font,
    vocabulary: usize,
    n_distractors: usize,
) -> Result<Vec<Part>, PageError> {
    let known: &[&'static str] = match spec.split {
        Split::Train | Split::HeldOut => &WORDS[..vocabulary.min(WORDS.len())],
        Split::HeldOutWords => &HELD_OUT_WORDS,
    };
    let room = spec.canvas.width as i32 - WORD_MARGIN_PX;
    let fits = |word: &&str| font.width_px(word, SMALLEST_TEXT_PX) <= room;
    let mut words: Vec<_> = known.iter().copied().filter(fits).collect();
    let needed = n_distractors + 1;
    if words.len() < needed {
        return Err(PageError::TooFewWords { needed, got: words.len() });
    }
    dice.shuffle(&mut words);
    let target_kind = dice.weighted(&WORD_KINDS);
    let part = |(i, label): (usize, &'static str)| {
        let same = i <= n_distractors.div_ceil(2) || dice.chance(0.3);
        let kind = if same { target_kind } else { dice.weighted(&WORD_KINDS) };
        let state = matches!(kind, Kind::Checkbox | Kind::Radio | Kind::Tab)
            .then(|| if dice.chance(0.3) { State::On } else { State::Off });
        Part { state, label: Some(label), ..Part::plain(kind) }
    };
    Ok(words.into_iter().take(needed).enumerate().map(part).collect())
}
