//! What is asked about a page and how the policy should answer, as conversations with marked tokens.
//!
//! Invariant: prompts, replies and crops come from `vigorl-policy`, the code that inference runs; this file
//! only chooses what is said.
//!
//! A zoomed question takes one of three courses. The proposal is right, and the crop confirms it; it is a
//! little off or astray, and the crop shows by how much; or it is another widget, the crop shows that, and if it
//! does not show the right one as well, the next proposal is that. Proposals that are wrong on purpose are not
//! learned: their turn has no loss.
//! The best wrong proposals are those that the policy would make itself, in its own order (see
//! [`crate::work`]): a random rival rarely is what the page at its reduced size really confuses with the
//! target, so that turning away from it teaches nothing.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_policy::grammar::{Action, AnswerForm, Coordinate, Reply};
use vigorl_policy::wire::{ANSWER_CLOSE, FORCED_FINAL_PREFIX, Question as Asked, ReadText};
use vigorl_policy::{Message, Preset, Role, View};
use vigorl_tasks::practice::{PixelBox, SizeClass};

use crate::config::{QuestionForm, QuestionMix};
use crate::error::TrainingError;
use crate::lessons::{IN_ROW, Labelled, LabelledPage, LabelledTask};
use crate::patches::NamedImage;
use crate::seed::stream;

/// Chance that a look that goes astray misses the widget by little.
const NEAR: f64 = 0.5;
/// Chance that a wrong proposal is followed by another one, where there is one.
const WRONG_TWICE: f64 = 0.5;
/// What is smaller is asked for as if it had this area: slivers at the edge of a screen are not what anybody clicks.
const LEAST_AREA_PX: f64 = 100.0;
/// Chance that a question is drawn among the tasks that the policy gets wrong, where there are such.
const MISTAKEN: f64 = 0.7;

/// What a coordinate in a turn is to the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mention {
    /// It has to be found in an image.
    Found,
    /// It already stands in the text.
    Copied,
}

/// Whether the policy learns from an assistant turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Lesson {
    /// Every token counts; one entry per coordinate in the turn, in order.
    Learned {
        /// What each coordinate is.
        mentions: Vec<Mention>,
        /// The words that name a widget, wherever they stand in the turn.
        words: String,
    },
    /// The turn only sets the scene.
    Injected,
}

/// A question with the whole conversation that answers it.
#[derive(Debug, Clone)]
pub struct Question {
    /// How it is asked.
    pub form: QuestionForm,
    /// The conversation, answers included.
    pub messages: Vec<Message>,
    /// One lesson per assistant message.
    pub lessons: Vec<Lesson>,
    /// Whether it ends in an answer that is a point.
    pub asks_for_point: bool,
    /// Which of the page's widgets it is about.
    pub target: usize,
    /// The box of that widget.
    pub bounds: Rect<Screen>,
    /// The crops in the conversation, in order, with all widgets of the page.
    pub crops: Vec<NamedImage>,
    /// How hard the widget is to hit.
    pub size_class: SizeClass,
}

/// The page's tasks, each asked for its point alone.
///
/// # Errors
/// If a crop cannot be made.
pub fn every_point(
    page: &LabelledPage,
    view: &View,
    preset: &Preset,
) -> Result<Vec<Question>, TrainingError> {
    let author = Author { page, view, preset, stray: 0.0, earlier: 0.0, unknown: 0.0 };
    // Nothing is drawn for this form.
    let mut rng = stream(0, &[]);
    let ask = |task: &LabelledTask| author.write(QuestionForm::Point, task, &[], &mut rng);
    page.tasks.iter().map(ask).collect()
}

/// Draws up to `n` different questions about a page. With `mistakes`, the widgets that the policy itself prefers
/// to each task's target, wrong proposals are those, and such tasks are asked more often.
///
/// # Errors
/// If a crop cannot be made.
pub fn draw_questions(
    page: &LabelledPage,
    view: &View,
    preset: &Preset,
    mix: &QuestionMix,
    n: usize,
    mistakes: Option<&[Vec<usize>]>,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Question>, TrainingError> {
    let author = Author { page, view, preset, stray: mix.stray, earlier: mix.earlier, unknown: mix.unknown };
    let mistakes_of = |task: usize| mistakes.map_or(&[][..], |mistakes| &mistakes[task]);
    let mistaken: Vec<usize> = (0..page.tasks.len()).filter(|&task| !mistakes_of(task).is_empty()).collect();
    let mut asked: Vec<(QuestionForm, usize)> = Vec::new();
    let mut questions = Vec::new();
    // A page with few widgets may not have n different questions; the draws are limited instead of counted.
    for _ in 0..4 * n {
        if questions.len() == n || page.tasks.is_empty() {
            break;
        }
        let task_idx = match mistaken.len() {
            n if n > 0 && rng.random_bool(MISTAKEN) => mistaken[rng.random_range(0..n)],
            _ => drawn_task(page, mix.favors_small, rng),
        };
        let task = &page.tasks[task_idx];
        let widget = &page.things[task.target];
        let form = drawn_form(mix, widget, rng);
        if asked.contains(&(form, task.target)) {
            continue;
        }
        asked.push((form, task.target));
        questions.push(author.write(form, task, mistakes_of(task_idx), rng)?);
    }
    Ok(questions)
}

/// Which task of a page is asked.
fn drawn_task(page: &LabelledPage, favors_small: f64, rng: &mut ChaCha8Rng) -> usize {
    let n = page.tasks.len();
    if favors_small == 0.0 {
        return rng.random_range(0..n);
    }
    let weight = |task: &LabelledTask| {
        let bounds = page.things[task.target].bounds;
        f64::from(bounds.width() * bounds.height()).max(LEAST_AREA_PX).powf(-favors_small)
    };
    let mut left = rng.random::<f64>() * page.tasks.iter().map(weight).sum::<f64>();
    let drawn = page.tasks.iter().position(|task| {
        left -= weight(task);
        left < 0.0
    });
    drawn.unwrap_or(n - 1)
}

/// A form by weight. Whether to zoom is no matter of chance but of size, so that it can be learned.
fn drawn_form(mix: &QuestionMix, widget: &Labelled, rng: &mut ChaCha8Rng) -> QuestionForm {
    let weights = mix.weights();
    let mut left = rng.random::<f64>() * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    let drawn = weights.iter().find(|(_, weight)| {
        left -= weight;
        left < 0.0
    });
    match drawn.map_or(QuestionForm::Point, |(form, _)| *form) {
        QuestionForm::Think if f64::from(widget.bounds.short_side()) < mix.zoom_below_px => {
            QuestionForm::Zoom
        }
        form => form,
    }
}

/// Writes conversations about one page.
struct Author<'a> {
    page: &'a LabelledPage,
    view: &'a View,
    preset: &'a Preset,
    /// See [`QuestionMix::stray`].
    stray: f64,
    /// See [`QuestionMix::earlier`].
    earlier: f64,
    /// See [`QuestionMix::unknown`].
    unknown: f64,
}

impl Author<'_> {
    fn write(
        &self,
        form: QuestionForm,
        task: &LabelledTask,
        mistakes: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<Question, TrainingError> {
        let target = task.target;
        let widget = &self.page.things[target];
        let center = self.center(widget);
        let earlier = self.earlier_action(rng);
        let unknown = self.unknown_of(task, rng);
        let (instruction, read) = match &unknown {
            Some((instruction, read)) => (instruction, read),
            None => (&task.instruction, &task.read),
        };
        let mut dialog = Dialog::open(self, Asked { instruction, earlier: earlier.as_slice(), read });
        match form {
            QuestionForm::Name => dialog = self.name(widget, rng),
            QuestionForm::Point => dialog.answer_at_once(center),
            QuestionForm::Think => dialog.think_and_answer(&widget.name, center),
            QuestionForm::Zoom => self.zoom(&mut dialog, widget, mistakes, rng)?,
        }
        Ok(Question {
            form,
            messages: dialog.messages,
            lessons: dialog.lessons,
            asks_for_point: dialog.says_point,
            target,
            bounds: on_screen(widget.bounds),
            crops: dialog.crops,
            size_class: widget.size_class(),
        })
    }

    /// Another instruction for a thing in a row, and what of it stands on the screen; nothing if it is asked for as it is.
    fn unknown_of(&self, task: &LabelledTask, rng: &mut ChaCha8Rng) -> Option<(String, Vec<ReadText>)> {
        let (_, row) = task.instruction.split_once(IN_ROW)?;
        if self.unknown <= 0.0 || !rng.random_bool(self.unknown) {
            return None;
        }
        // Of what was told, rows are still said.
        let is_said = |row: &str, read: &ReadText| row.contains(&read.text) || read.text.contains(row);
        let of_row = |task: &LabelledTask, row: &str| -> Vec<ReadText> {
            task.read.iter().filter(|read| is_said(row, read)).cloned().collect()
        };
        let mut read = of_row(task, row);
        let others: Vec<(&LabelledTask, &str)> = self
            .page
            .tasks
            .iter()
            .filter_map(|other| {
                let (_, other_row) = other.instruction.split_once(IN_ROW)?;
                let is_apart = row.split(' ').all(|word| other_row.split(' ').all(|other| word != other));
                is_apart.then_some((other, other_row))
            })
            .collect();
        let named = if others.is_empty() || rng.random_bool(0.5) {
            let word =
                (0..rng.random_range(3..8)).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
            [word, row.to_owned()]
        } else {
            // What stands in either of two rows may be meant.
            let (other, other_row) = others[rng.random_range(0..others.len())];
            read.extend(of_row(other, other_row));
            // As a reader tells them: those of most letters first, then from top to bottom.
            let n_letters = |read: &ReadText| read.text.chars().filter(|c| c.is_alphanumeric()).count();
            read.sort_by(|a, b| n_letters(b).cmp(&n_letters(a)).then(a.at.y.total_cmp(&b.at.y)));
            let mut rows = [other_row.to_owned(), row.to_owned()];
            if rng.random_bool(0.5) {
                rows.reverse();
            }
            rows
        };
        let of = if rng.random_bool(0.5) { " of " } else { " " };
        Some((named.join(of), read))
    }

    /// As an episode tells of an action that it began with.
    fn earlier_action(&self, rng: &mut ChaCha8Rng) -> Option<String> {
        // Nothing is drawn where there is none, so that other lessons stay what they were.
        if self.earlier <= 0.0 || !rng.random_bool(self.earlier) {
            return None;
        }
        let (width, height) = self.view.image().dimensions();
        let at = Coordinate { x: rng.random_range(0..width).into(), y: rng.random_range(0..height).into() };
        let end = if rng.random_bool(0.5) { ": nothing changed" } else { "" };
        Some(format!("click {at}{end}"))
    }

    /// "what is at (x, y)", for a point somewhere in the middle half of the widget.
    fn name(&self, widget: &Labelled, rng: &mut ChaCha8Rng) -> Dialog<'_> {
        let at = self.beside(widget, 0.25, rng);
        let name = widget.name.clone();
        let instruction = format!("what is at {at}");
        let mut dialog = Dialog::open(self, Asked::from(&instruction));
        let action = Action::Answer { text: name.clone(), point: None, form: AnswerForm::Tagged };
        let reply = Reply { thoughts: Vec::new(), action };
        dialog.say(reply.to_string(), Lesson::Learned { mentions: Vec::new(), words: name });
        dialog
    }

    fn zoom(
        &self,
        dialog: &mut Dialog<'_>,
        widget: &Labelled,
        mistakes: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<(), TrainingError> {
        let (name, target) = (widget.name.clone(), self.center(widget));
        if rng.random_bool(self.stray) {
            let at =
                if rng.random_bool(NEAR) { self.near_miss(widget, rng) } else { self.astray(widget, rng) };
            dialog.propose(&name, at, at)?;
            dialog.think_and_answer(&name, target);
            return Ok(());
        }
        let mut wrong: Vec<&Labelled> = mistakes.iter().map(|&index| &self.page.things[index]).collect();
        let course = match wrong.is_empty() {
            true => rng.random_range(0..10),
            // Mostly the wrong way; now and then what the first look should have been.
            false if rng.random_bool(0.75) => 0,
            false => 9,
        };
        if wrong.is_empty() {
            wrong.extend(self.rival(widget, rng));
        }
        match (course, wrong.first()) {
            (0..3, Some(&first)) => {
                let at = self.beside(first, 0.25, rng);
                let mut is_seen = dialog.propose(&name, at, at)?.shows(widget);
                let (mut last, mut last_at) = (first, at);
                if let Some(second) = wrong.get(1).filter(|_| !is_seen && rng.random_bool(WRONG_TWICE)) {
                    let then = self.beside(second, 0.25, rng);
                    is_seen = dialog.propose(&last.name, last_at, then)?.shows(widget);
                    (last, last_at) = (second, then);
                }
                // A crop that shows the right widget, too, answers the question.
                if !is_seen {
                    dialog.look(&last.name, last_at, target, &[Mention::Copied, Mention::Found]);
                    return Ok(());
                }
            }
            (0..6, _) => {
                let at = self.near_miss(widget, rng);
                dialog.propose(&name, at, at)?;
            }
            _ => {
                dialog.look(&name, target, target, &[Mention::Found, Mention::Copied]);
                return Ok(());
            }
        }
        dialog.think_and_answer(&name, target);
        Ok(())
    }

    /// Another widget, preferably one that is easily mistaken for `widget`.
    fn rival(&self, widget: &Labelled, rng: &mut ChaCha8Rng) -> Option<&Labelled> {
        let others: Vec<&Labelled> = self.page.things.iter().filter(|w| *w != widget).collect();
        let shares_trait = |other: &&Labelled| other.traits.iter().any(|known| widget.traits.contains(known));
        let alike: Vec<&Labelled> = others.iter().copied().filter(shares_trait).collect();
        let pool = if alike.is_empty() { others } else { alike };
        (!pool.is_empty()).then(|| pool[rng.random_range(0..pool.len())])
    }

    /// The pixel in the middle of a widget.
    fn center(&self, widget: &Labelled) -> Coordinate {
        self.whole(self.view.written(on_screen(widget.bounds).center()))
    }

    /// A pixel at most `share` of the sides away from the middle.
    fn beside(&self, widget: &Labelled, share: f64, rng: &mut ChaCha8Rng) -> Coordinate {
        let bounds = on_screen(widget.bounds);
        let mut shift = |side: f64| side * share * (2.0 * rng.random::<f64>() - 1.0);
        let (dx, dy) = (shift(bounds.width()), shift(bounds.height()));
        let center = bounds.center();
        self.whole(self.view.written(Point::new(center.x + dx, center.y + dy)))
    }

    /// A pixel around the widget, up to a quarter of a crop away: what a hasty look gives.
    fn near_miss(&self, widget: &Labelled, rng: &mut ChaCha8Rng) -> Coordinate {
        let center = self.center(widget);
        let reach = f64::from(self.preset.crop.offset_px) / 2.0;
        // The product of two uniform draws prefers small errors.
        let mut shift = || reach * (2.0 * rng.random::<f64>() - 1.0) * rng.random::<f64>();
        let (dx, dy) = (shift(), shift());
        self.whole(Coordinate { x: center.x + dx, y: center.y + dy })
    }

    /// A pixel from where a crop shows the whole widget, wherever in the crop; one in the widget if that is too
    /// large for a crop.
    fn astray(&self, widget: &Labelled, rng: &mut ChaCha8Rng) -> Coordinate {
        let bounds = on_screen(widget.bounds);
        let low = self.view.written(Point::new(bounds.left, bounds.top));
        let high = self.view.written(Point::new(bounds.right, bounds.bottom));
        let reach = f64::from(self.preset.crop.offset_px);
        // A window's edges are rounded; half a pixel keeps the widget inside.
        let mut along = |low: f64, high: f64| {
            let room = (reach - 0.5 - (high - low) / 2.0).max((high - low) / 4.0);
            f64::midpoint(low, high) + room * (2.0 * rng.random::<f64>() - 1.0)
        };
        let (x, y) = (along(low.x, high.x), along(low.y, high.y));
        self.whole(Coordinate { x, y })
    }

    /// The pixel that holds a position, inside the image.
    fn whole(&self, at: Coordinate) -> Coordinate {
        let (width, height) = self.view.image().dimensions();
        let pixel = |v: f64, side: u32| v.floor().clamp(0.0, f64::from(side - 1));
        Coordinate { x: pixel(at.x, width), y: pixel(at.y, height) }
    }
}

/// A box of a data set's record, which counts in pixels of the page's own image.
pub(crate) fn on_screen(bounds: PixelBox) -> Rect<Screen> {
    Rect::new(bounds.left.into(), bounds.top.into(), bounds.right.into(), bounds.bottom.into())
}

/// The part of the page that a crop shows.
struct Window(Rect<Screen>);

impl Window {
    /// Whether all of a widget is in it.
    fn shows(&self, widget: &Labelled) -> bool {
        let (window, bounds) = (self.0, on_screen(widget.bounds));
        window.left <= bounds.left
            && window.top <= bounds.top
            && window.right >= bounds.right
            && window.bottom >= bounds.bottom
    }
}

/// A conversation being written.
struct Dialog<'a> {
    author: &'a Author<'a>,
    messages: Vec<Message>,
    lessons: Vec<Lesson>,
    crops: Vec<NamedImage>,
    /// Whether it ends in an answer that is a point.
    says_point: bool,
}

impl<'a> Dialog<'a> {
    fn open(author: &'a Author<'a>, asked: Asked<'_>) -> Self {
        let opening = author.preset.opening_in(author.view, asked);
        Self { author, messages: opening.messages, lessons: Vec::new(), crops: Vec::new(), says_point: false }
    }

    fn say(&mut self, text: String, lesson: Lesson) {
        self.messages.push(Message::text(Role::Assistant, text));
        self.lessons.push(lesson);
    }

    fn answer_at_once(&mut self, at: Coordinate) {
        let text = format!("{FORCED_FINAL_PREFIX} {at} {ANSWER_CLOSE}");
        self.say(text, Lesson::Learned { mentions: vec![Mention::Found], words: String::new() });
        self.says_point = true;
    }

    fn think_and_answer(&mut self, name: &str, at: Coordinate) {
        let reply = Reply::answer(&format!("{name} {at}"), &at.to_string());
        let mentions = vec![Mention::Found, Mention::Copied];
        self.say(reply.to_string(), Lesson::Learned { mentions, words: name.to_owned() });
        self.says_point = true;
    }

    /// Thinks of `seen_at` and zooms at `next`, which ends the lesson: `next` is the very middle of a widget, and
    /// who answers from such crops learns to copy what was said. Real looks miss it by some pixels.
    fn look(&mut self, name: &str, seen_at: Coordinate, next: Coordinate, mentions: &[Mention]) {
        let reply = Reply::zoom(&format!("{name} {seen_at}"), next);
        self.say(reply.to_string(), Lesson::Learned { mentions: mentions.to_vec(), words: name.to_owned() });
    }

    /// As if the policy thought of `seen_at` and zoomed at `next`: it gets the crop of the window that is returned.
    fn propose(
        &mut self,
        name: &str,
        seen_at: Coordinate,
        next: Coordinate,
    ) -> Result<Window, TrainingError> {
        self.say(Reply::zoom(&format!("{name} {seen_at}"), next).to_string(), Lesson::Injected);
        let crop = self.author.view.crop(next, self.author.preset.crop);
        let crop = crop.map_err(|e| TrainingError::Row(e.to_string()))?;
        self.messages.push(self.author.preset.observation_of(&crop));
        self.crops.push(NamedImage::of_crop(&crop, self.author.page));
        Ok(Window(crop.plan.window))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn small_things_are_asked_for_more_often_where_that_is_wanted() {
        let thing = |right, bottom| Labelled {
            bounds: PixelBox { left: 0, top: 0, right, bottom },
            name: String::new(),
            traits: Vec::new(),
        };
        let task =
            |target| LabelledTask { instruction: String::new(), target, read: Vec::new(), known: None };
        let page = LabelledPage {
            things: vec![thing(20, 20), thing(10, 10), thing(1, 1)],
            tasks: (0..3).map(task).collect(),
            is_complete: false,
        };
        let drawn = |favors_small| {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut n = [0; 3];
            (0..9000).for_each(|_| n[drawn_task(&page, favors_small, &mut rng)] += 1);
            n
        };
        let near = |found: [i32; 3], wanted: [i32; 3]| {
            let is_near = found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 200);
            assert!(is_near, "{found:?}, not {wanted:?}");
        };
        near(drawn(0.0), [3000, 3000, 3000]);
        // A fourth of the area: four times as often; a sliver counts as what can be clicked.
        near(drawn(1.0), [1000, 4000, 4000]);
    }
}
