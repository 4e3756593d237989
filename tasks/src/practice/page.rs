//! Generates a page from its specification. Invariant: pure; the same specification gives the same page, and
//! every instruction names exactly one widget of it.

use serde::{Deserialize, Serialize};

use super::cast::{HELD_OUT_PAIRS, Part, draw_cast};
use super::layout::{HELD_OUT_SIZES, Layout, Placed, SizeRule, arrange};
use super::look::Look;
use super::spec::{PageSpec, Split};
use super::widget::{Chrome, Color, Kind, PixelBox, SizeClass, State, Widget};
use super::words::HELD_OUT_WORDS;
use crate::dice::Dice;

/// Version of the generator: increased when any specification gets another page or another look.
pub const GENERATOR: u32 = 2;

/// Attempts at an arrangement before a specification counts as too crowded.
const ATTEMPTS: usize = 60;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PracticePage {
    /// What it was made from.
    pub spec: PageSpec,
    /// Its colors, frames and typeface.
    pub look: Look,
    /// Its arrangement.
    pub layout: Layout,
    /// What of it no training page shows, with respect to the first task.
    pub held_out: Vec<HeldOut>,
    /// Everything that can be clicked, in document order.
    pub widgets: Vec<Widget>,
    /// Panels and bars that cannot be clicked.
    pub decorations: Vec<Decoration>,
    /// One task for every widget that can be named uniquely; the first is the one of the live episode.
    pub tasks: Vec<PracticeTask>,
}

/// One instruction and the widget it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PracticeTask {
    /// "click the red circle".
    pub instruction: String,
    /// Index into the page's widgets.
    pub target: usize,
    /// Size class of the target.
    pub size_class: SizeClass,
}

/// Something held out of all training pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// The arrangement.
    Layout,
    /// The pair of theme and frame.
    Look,
    /// The target's exact size.
    Size,
    /// The target's pair of color and shape.
    Pair,
    /// The words.
    Words,
}

impl HeldOut {
    /// Every aspect.
    pub const ALL: [Self; 5] = [Self::Layout, Self::Look, Self::Size, Self::Pair, Self::Words];

    /// What it means, for tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Layout => "new layout",
            Self::Look => "new look",
            Self::Size => "new size",
            Self::Pair => "new pair",
            Self::Words => "new words",
        }
    }
}

/// Something to see that is no widget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoration {
    /// A panel behind widgets.
    Card(PixelBox),
    /// A bar in place of text.
    TextBar(PixelBox),
}

/// Why a specification has no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The widgets do not fit.
    #[error("{widgets} widgets found no room on a canvas of {width}x{height}")]
    TooCrowded {
        /// How many.
        widgets: usize,
        /// Canvas width.
        width: u32,
        /// Canvas height.
        height: u32,
    },
    /// Every widget needs a word of its own.
    #[error("{needed} different words are needed, the vocabulary has {got} that fit the canvas")]
    TooFewWords {
        /// How many.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// A range of the specification cannot be used.
    #[error("`{field}` must have 1 <= min <= max <= {limit}, got {min} to {max}")]
    BadRange {
        /// Which.
        field: &'static str,
        /// Its minimum.
        min: u32,
        /// Its maximum.
        max: u32,
        /// The largest useful value.
        limit: u32,
    },
}

impl PracticePage {
    /// The page of a specification.
    ///
    /// # Errors
    /// [`PageError`] if the specification asks for more than the canvas or the vocabulary can hold.
    pub fn generate(spec: &PageSpec) -> Result<Self, PageError> {
        check(spec)?;
        let mut dice = Dice::new(spec.domain(), spec.seed);
        let look = Look::draw(&mut dice, spec.split);
        let wanted = Layout::draw(&mut dice, spec.split);
        let unseen_sizes = spec.split != Split::Train && dice.chance(1.0 / 3.0);
        let rule = if unseen_sizes { SizeRule::Unseen } else { SizeRule::Seen };
        let cast = draw_cast(&mut dice, spec, look.font)?;
        // The target is the first of the cast; document order and places must not tell.
        let mut order: Vec<usize> = (0..cast.len()).collect();
        dice.shuffle(&mut order);
        let parts: Vec<Part> = order.iter().map(|&i| cast[i]).collect();
        let target = order.iter().position(|&i| i == 0).unwrap_or_default();
        let arranged = (0..ATTEMPTS).find_map(|attempt| {
            // A strip can take so much of a small canvas that the rest holds nothing.
            let layout = if attempt < ATTEMPTS / 2 { wanted } else { Layout::Scatter };
            let (placed, decorations) = arrange(&mut dice, spec, layout, rule, look.font, &parts)?;
            Some((layout, placed, decorations))
        });
        let Some((layout, placed, decorations)) = arranged else {
            let (width, height) = (spec.canvas.width, spec.canvas.height);
            return Err(PageError::TooCrowded { widgets: parts.len(), width, height });
        };
        let widgets: Vec<_> = parts.iter().zip(&placed).map(|(p, at)| finish(&mut dice, p, at)).collect();
        let tasks = tasks(&widgets, target);
        let mut page = Self { spec: *spec, look, layout, held_out: Vec::new(), widgets, decorations, tasks };
        page.held_out = page.held_out_aspects(target);
        Ok(page)
    }

    /// The widget of the live episode.
    pub fn target(&self) -> &Widget {
        &self.widgets[self.tasks[0].target]
    }

    fn held_out_aspects(&self, target: usize) -> Vec<HeldOut> {
        let widget = &self.widgets[target];
        let pair = widget.color.zip(widget.shape);
        let aspects = [
            (HeldOut::Layout, self.layout.is_held_out()),
            (HeldOut::Look, self.look.is_held_out()),
            (HeldOut::Size, HELD_OUT_SIZES.contains(&widget.bounds.short_side())),
            (HeldOut::Pair, pair.is_some_and(|pair| HELD_OUT_PAIRS.contains(&pair))),
            (HeldOut::Words, widget.label.as_deref().is_some_and(|word| HELD_OUT_WORDS.contains(&word))),
        ];
        aspects.into_iter().filter_map(|(aspect, holds)| holds.then_some(aspect)).collect()
    }
}

fn check(spec: &PageSpec) -> Result<(), PageError> {
    let range = |field, min: u32, max: u32, low: u32, limit: u32| {
        let ok = low <= min && min <= max && max <= limit;
        if ok { Ok(()) } else { Err(PageError::BadRange { field, min, max, limit }) }
    };
    let (width, height) = (spec.canvas.width, spec.canvas.height);
    range("canvas", width.min(height), width.max(height), 32, 4096)?;
    range("sizes", spec.sizes.min, spec.sizes.max, 8, 60)?;
    range("distractors", spec.distractors.min, spec.distractors.max, 0, 64)
}

fn finish(dice: &mut Dice, part: &Part, at: &Placed) -> Widget {
    let size = at.bounds.short_side();
    let framed = match part.kind {
        Kind::Icon | Kind::Close => size >= 16 && dice.chance(0.6),
        Kind::Button | Kind::Tab | Kind::Field => true,
        _ => false,
    };
    let [r, g, b] = part.color.map_or([0; 3], Color::rgb);
    let mut jitter = |channel: u8| (i32::from(channel) + dice.between(-9, 9)).clamp(0, 255) as u8;
    let rgb = part.color.map_or([0; 3], |_| [jitter(r), jitter(g), jitter(b)]);
    Widget {
        kind: part.kind,
        color: part.color,
        shape: part.shape,
        state: part.state,
        label: part.label.map(str::to_owned),
        bounds: at.bounds,
        chrome: if framed { Chrome::Framed } else { Chrome::Bare },
        rgb,
        text_px: at.text_px,
        value: (part.kind == Kind::Slider).then(|| dice.between(10, 90)),
    }
}

/// The task of the live target first, then the others in document order.
fn tasks(widgets: &[Widget], live: usize) -> Vec<PracticeTask> {
    let count = |test: &dyn Fn(&Widget) -> bool| widgets.iter().filter(|w| test(w)).count();
    let task = |target: usize| {
        let widget = &widgets[target];
        let name = widget.name();
        let lone_cross = widget.kind == Kind::Close && count(&|w| w.kind == Kind::Close) == 1;
        let instruction = if lone_cross {
            "click the close cross".to_owned()
        } else if widget.label.is_some() {
            format!("click {name}")
        } else {
            format!("click the {name}")
        };
        let unique = count(&|w| w.name() == name) == 1;
        unique.then_some(PracticeTask { instruction, target, size_class: widget.size_class() })
    };
    let others = (0..widgets.len()).filter(|&i| i != live);
    std::iter::once(live).chain(others).filter_map(task).collect()
}

/// Whether a state is on, for drawing.
pub(super) fn is_on(widget: &Widget) -> bool {
    widget.state == Some(State::On)
}
