//! Turns questions into training rows: token ids, positions, visibility, patches, and targets.
//!
//! Invariant: ids and loss mask come from one call. The text is rendered and tokenized as inference does it,
//! and a token has a target if and only if it lies in an assistant turn that is to be learned.
//!
//! A row is one page: the shared prefix (system prompt and screenshot) once, then every question as a branch
//! that sees the prefix and itself. Each branch has the positions it would have alone behind the prefix.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_geometry::{Point, Rect, Screen};
use vigorl_policy::grammar::Coordinate;
use vigorl_policy::wire::{FORCED_FINAL_PREFIX, IM_END, THINK_CLOSE, VISION_END};
use vigorl_policy::{ChatTemplate, Message, Part, Preset, Role, View, assistant_words};
use vigorl_qwen::mrope::position_ids;
use vigorl_qwen::{Config, Grid, PackedBatch, Processor};
use vigorl_tasks::practice::SizeClass;

use crate::config::{LossConfig, QuestionForm};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::gaze::Gaze;
use crate::loss::{Target, TokenKind, bell};
use crate::patches::{NamedImage, image_targets};
use crate::question::{Lesson, Mention, Question};
use crate::tokenizer::END_OF_TEXT;

/// Number tokens of a tokenizer: those of 0, 1, 2, … that are one token each.
#[derive(Debug, Clone)]
pub struct NumberTokens {
    ids: Vec<u32>,
    values: HashMap<u32, u32>,
}

impl NumberTokens {
    fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        let ids: Vec<u32> = (0..).map_while(|n: u32| tokenizer.token_to_id(&n.to_string())).collect();
        let values = ids.iter().zip(0..).map(|(&id, value)| (id, value)).collect();
        Self { ids, values }
    }

    /// Numbers below `n` whose ids are their values, as in a new model.
    #[cfg(test)]
    pub(crate) fn up_to(n: u32) -> Self {
        Self { ids: (0..n).collect(), values: (0..n).map(|v| (v, v)).collect() }
    }

    /// How many there are; their values are below this.
    pub fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The token of a value.
    ///
    /// # Panics
    /// If the value is not below [`Self::len`] (caller's bug).
    pub fn id_of(&self, value: u32) -> u32 {
        self.ids[value as usize]
    }

    /// The value of a token, if it is a number.
    pub fn value_of(&self, id: u32) -> Option<u32> {
        self.values.get(&id).copied()
    }
}

/// Which axis of a point a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Horizontal.
    X,
    /// Vertical.
    Y,
}

/// A target and where its token stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedTarget {
    /// Row of the batch.
    pub row: usize,
    /// Index of the token itself; the logits are those one before.
    pub index: usize,
    /// Which of the batch's questions it belongs to.
    pub question: usize,
    /// Set where the answer's point is first said.
    pub answer_axis: Option<Axis>,
    /// What is wanted.
    pub target: Target,
    /// Tokens of the row that show what the target is about; empty where no look is asked for.
    pub gaze: Arc<[usize]>,
}

/// What is needed to judge a question's answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How it was asked.
    pub form: QuestionForm,
    /// The box of the widget.
    pub bounds: Rect<Screen>,
    /// How hard the widget is to hit.
    pub size_class: SizeClass,
    view: View,
}

impl Asked {
    /// Whether an answer of (`x`, `y`) hits the widget.
    pub fn is_hit(&self, x: u32, y: u32) -> bool {
        let written = Coordinate { x: x.into(), y: y.into() };
        self.view.point_inside(written).is_some_and(|point| self.bounds.contains(point))
    }
}

/// Rows that are computed together.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// What the model takes.
    pub packed: PackedBatch,
    /// What it should say.
    pub targets: Vec<PlacedTarget>,
    /// What visual tokens of the screenshots show, by their place among all visual tokens of the batch.
    pub shown: Vec<(usize, Target)>,
    /// The questions, in order.
    pub asked: Vec<Asked>,
    /// Tokens without padding, images included.
    pub n_tokens: usize,
}

impl MicroBatch {
    /// The (row, index) places whose logits predict the targets, in their order.
    pub fn places(&self) -> Vec<(usize, usize)> {
        self.targets.iter().map(|t| (t.row, t.index - 1)).collect()
    }

    /// Where to look, for the targets that ask for it.
    pub fn gazes(&self) -> Vec<Gaze<'_>> {
        let asked = self.targets.iter().filter(|t| !t.gaze.is_empty());
        asked.map(|t| Gaze { place: (t.row, t.index - 1), wanted: &t.gaze }).collect()
    }

    /// The targets alone, in order.
    pub fn plain_targets(&self) -> Vec<Target> {
        self.targets.iter().map(|t| t.target.clone()).collect()
    }
}

/// A page and what is asked about it.
#[derive(Debug)]
pub struct AskedPage {
    /// The page as the policy sees it.
    pub view: View,
    /// What stands on it.
    pub named: NamedImage,
    /// The questions.
    pub questions: Vec<Question>,
}

/// Encodes conversations exactly as the engine does.
#[derive(Debug)]
pub struct Encoder {
    tokenizer: tokenizers::Tokenizer,
    template: ChatTemplate,
    processor: Processor,
    config: Config,
    preset: Preset,
    loss: LossConfig,
    numbers: NumberTokens,
    /// Ids that are words, not numbers or control tokens.
    words: Vec<u32>,
    end_of_text: u32,
}

/// A branch as text tokens, before its image pads are expanded.
struct Branch {
    ids: Vec<u32>,
    /// Targets by index into `ids`.
    targets: Vec<(usize, Option<Axis>, Target)>,
    grids: Vec<Grid>,
    patches: Vec<f32>,
}

impl Encoder {
    /// An encoder for the model with these files.
    ///
    /// # Errors
    /// If a file is missing or unusable.
    pub fn new(files: &ModelFiles, preset: Preset, loss: &LossConfig) -> Result<Self, TrainingError> {
        let tokenizer = files.tokenizer()?;
        let numbers = NumberTokens::of(&tokenizer);
        let end = tokenizer.token_to_id(END_OF_TEXT).or_else(|| tokenizer.token_to_id(IM_END));
        let end_of_text =
            end.ok_or_else(|| TrainingError::Tokenizer(format!("there is no token `{IM_END}`")))?;
        Ok(Self {
            template: files.chat_template()?,
            processor: files.processor()?,
            config: files.config()?,
            preset,
            loss: loss.clone(),
            words: words_of(&tokenizer, &numbers),
            tokenizer,
            numbers,
            end_of_text,
        })
    }

    /// How images become patches.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// The model's sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How tokens count.
    pub fn loss(&self) -> &LossConfig {
        &self.loss
    }

    /// The token that ends a text, or the end of a turn where there is none.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// What a token stands for, for a person to read.
    pub fn text_of(&self, id: u32) -> String {
        self.tokenizer.decode(&[id], false).unwrap_or_else(|_| format!("[{id}]"))
    }

    /// The tokens of a name that hold letters.
    ///
    /// # Errors
    /// Only if the tokenizer is broken.
    pub fn word_ids(&self, name: &str) -> Result<Vec<u32>, TrainingError> {
        // With a space in front, as in the middle of a sentence.
        let text = format!(" {name}");
        let (ids, spans) = self.encode(&text)?;
        let is_word = |span: &Range<usize>| text[span.clone()].contains(char::is_alphabetic);
        Ok(ids.into_iter().zip(spans).filter(|(_, span)| is_word(span)).map(|(id, _)| id).collect())
    }

    /// How the policy is spoken to.
    pub fn preset(&self) -> &Preset {
        &self.preset
    }

    /// The tokenizer's numbers.
    pub fn numbers(&self) -> &NumberTokens {
        &self.numbers
    }

    /// A page as the policy sees it.
    ///
    /// # Errors
    /// If the processor cannot take such an image.
    pub fn view(&self, image: image::RgbImage) -> Result<View, TrainingError> {
        let budget = self.processor.pixel_budget();
        View::new(&image.into(), self.preset.answer_space, self.preset.max_image_pixels, budget)
            .map_err(|e| TrainingError::Row(e.to_string()))
    }

    /// The ids in front of a question: those up to the end of the one image, its pads repeated.
    ///
    /// # Errors
    /// If the messages cannot be rendered or tokenized.
    pub fn prefix_ids(&self, messages: &[Message], grid: Grid) -> Result<Vec<u32>, TrainingError> {
        let text = self.rendered(messages)?;
        let (head, _) = split_after_screenshot(&text)?;
        Ok(self.expand(&self.encode(head)?.0, &[grid]).0)
    }

    /// A random token that is neither a number nor a control token.
    pub fn random_word(&self, rng: &mut ChaCha8Rng) -> u32 {
        self.words[rng.random_range(0..self.words.len())]
    }

    /// Packs pages into rows, one page per row.
    ///
    /// # Errors
    /// If a conversation cannot be rendered or tokenized.
    pub fn pack(&self, pages: &[AskedPage]) -> Result<MicroBatch, TrainingError> {
        let mut batch = Packing::default();
        for page in pages {
            self.pack_row(page, &mut batch)?;
        }
        batch.finish(self.end_of_text, self.config.vision.patch_values())
    }

    fn pack_row(&self, page: &AskedPage, batch: &mut Packing) -> Result<(), TrainingError> {
        let row = batch.ids.len();
        let screenshot = self.patches_of(page.view.image(), batch)?;
        if self.loss.patch_weight > 0.0 {
            let shown = image_targets(self, &page.named, screenshot)?;
            batch.shown.extend((batch.n_visual_tokens..).zip(shown));
        }
        batch.n_visual_tokens += screenshot.n_tokens(self.config.vision.spatial_merge_size);
        let mut prefix: Option<(String, Vec<u32>)> = None;
        let (mut ids, mut positions, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        for (number, question) in page.questions.iter().enumerate() {
            let text = self.rendered(&question.messages)?;
            let (head, tail) = split_after_screenshot(&text)?;
            let (shared, prefix_ids) = match &prefix {
                Some((shared, ids)) => (shared.as_str(), ids),
                None => {
                    let expanded = self.expand(&self.encode(head)?.0, &[screenshot]).0;
                    positions = position_ids(&expanded, &[screenshot], &self.config);
                    segments = vec![0; expanded.len()];
                    ids = expanded.clone();
                    let entry = prefix.insert((head.to_owned(), expanded));
                    (entry.0.as_str(), &entry.1)
                }
            };
            if shared != head {
                return Err(TrainingError::Row("two questions about a page begin differently".to_owned()));
            }
            let branch = self.branch(tail, question, &page.view)?;
            let (expanded, moved) = self.expand(&branch.ids, &branch.grids);
            let grids: Vec<Grid> = [screenshot].into_iter().chain(branch.grids.iter().copied()).collect();
            let alone = [prefix_ids.as_slice(), &expanded].concat();
            positions.extend(&position_ids(&alone, &grids, &self.config)[prefix_ids.len()..]);
            segments.extend(std::iter::repeat_n(number as u32 + 1, expanded.len()));
            let looks = self.looks(page, question, [prefix_ids, &expanded], &grids, ids.len());
            for (index, answer_axis, target) in branch.targets {
                let gaze = match target.kind {
                    TokenKind::Number => looks.before(moved[index]),
                    TokenKind::Word if question.form == QuestionForm::Name => looks.before(moved[index]),
                    _ => Arc::default(),
                };
                let index = ids.len() + moved[index];
                let question = batch.asked.len();
                batch.targets.push(PlacedTarget { row, index, question, answer_axis, target, gaze });
            }
            for (crop, grid) in question.crops.iter().zip(&branch.grids) {
                if self.loss.patch_weight > 0.0 {
                    batch.shown.extend((batch.n_visual_tokens..).zip(image_targets(self, crop, *grid)?));
                }
                batch.n_visual_tokens += grid.n_tokens(self.config.vision.spatial_merge_size);
            }
            ids.extend(expanded);
            batch.grids.extend(branch.grids);
            batch.patches.extend(branch.patches);
            batch.asked.push(Asked {
                form: question.form,
                bounds: question.bounds,
                size_class: question.size_class,
                view: page.view.clone(),
            });
        }
        batch.ids.push(ids);
        batch.positions.push(positions);
        batch.segments.push(segments);
        Ok(())
    }

    /// Where the question's widget can be seen in a row: `ids` are those of prefix and branch, `start` is where
    /// the branch begins.
    fn looks(
        &self,
        page: &AskedPage,
        question: &Question,
        ids: [&[u32]; 2],
        grids: &[Grid],
        start: usize,
    ) -> Looks {
        let is_slot = |id: &u32| *id == self.config.image_token_id;
        let merge = self.config.vision.spatial_merge_size;
        let in_page = page.named.tokens_showing(self, question.target, grids[0]);
        let first = ids[0].iter().position(is_slot).unwrap_or(0);
        let mut looks =
            Looks { screenshot: in_page.into_iter().map(|token| first + token).collect(), crops: Vec::new() };
        let mut at = 0;
        for (crop, grid) in question.crops.iter().zip(&grids[1..]) {
            at += ids[1][at..].iter().position(is_slot).unwrap_or(0);
            let showing = crop.tokens_showing(self, question.target, *grid);
            looks.crops.push((at, showing.into_iter().map(|token| start + at + token).collect()));
            at += grid.n_tokens(merge);
        }
        looks
    }

    fn patches_of(&self, image: &image::RgbImage, batch: &mut Packing) -> Result<Grid, TrainingError> {
        let patches = self.processor.patches(image).map_err(|e| TrainingError::Row(e.to_string()))?;
        batch.patches.extend(patches.values);
        batch.grids.push(patches.grid);
        Ok(patches.grid)
    }

    fn rendered(&self, messages: &[Message]) -> Result<String, TrainingError> {
        let prompt =
            self.template.render_finished(messages).map_err(|e| TrainingError::Row(e.to_string()))?;
        Ok(prompt.text)
    }

    /// Ids and the bytes each stands for.
    fn encode(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>), TrainingError> {
        let encoding =
            self.tokenizer.encode(text, false).map_err(|e| TrainingError::Tokenizer(e.to_string()))?;
        let spans = encoding.get_offsets().iter().map(|&(from, to)| from..to).collect();
        Ok((encoding.get_ids().to_vec(), spans))
    }

    /// Repeats every image pad once per visual token. Also tells where each id has moved.
    fn expand(&self, ids: &[u32], grids: &[Grid]) -> (Vec<u32>, Vec<usize>) {
        let mut grids = grids.iter();
        let (mut expanded, mut moved) = (Vec::new(), Vec::new());
        for &id in ids {
            moved.push(expanded.len());
            let n = match id == self.config.image_token_id {
                true => grids.next().map_or(1, |grid| grid.n_tokens(self.config.vision.spatial_merge_size)),
                false => 1,
            };
            expanded.extend(std::iter::repeat_n(id, n));
        }
        (expanded, moved)
    }

    fn branch(&self, text: &str, question: &Question, view: &View) -> Result<Branch, TrainingError> {
        let (ids, spans) = self.encode(text)?;
        let mut branch = Branch { ids, targets: Vec::new(), grids: Vec::new(), patches: Vec::new() };
        for crop in question.messages.iter().flat_map(|m| &m.parts).filter_map(Part::image).skip(1) {
            let patches = self.processor.patches(crop).map_err(|e| TrainingError::Row(e.to_string()))?;
            branch.grids.push(patches.grid);
            branch.patches.extend(patches.values);
        }
        let sides = written_sides(question.bounds, view);
        let turns = assistant_turns(text, &question.messages)?;
        let n_turns = turns.len();
        for (turn_idx, (turn, lesson)) in turns.into_iter().zip(&question.lessons).enumerate() {
            let Lesson::Learned { mentions, words } = lesson else { continue };
            let is_answer = question.asks_for_point && turn_idx + 1 == n_turns;
            let marks = Marks::of(text, turn, mentions, words, is_answer);
            for (index, span) in spans.iter().enumerate() {
                if marks.turn.start <= span.start && span.end <= marks.turn.end && !span.is_empty() {
                    let (axis, target) = self.target(branch.ids[index], span, &marks, sides);
                    branch.targets.push((index, axis, target));
                }
            }
        }
        Ok(branch)
    }

    fn target(
        &self,
        id: u32,
        span: &Range<usize>,
        marks: &Marks,
        (width, height): (f64, f64),
    ) -> (Option<Axis>, Target) {
        let one_hot = |kind, weight: f64| Target {
            distribution: vec![(id, 1.0)],
            truth: id,
            weight: weight as f32,
            kind,
        };
        let number = marks.numbers.iter().find(|n| n.span.start <= span.start && span.end <= n.span.end);
        let Some(number) = number else {
            let is_word = marks.words.iter().any(|w| w.start <= span.start && span.end <= w.end);
            return match is_word || (span.start <= marks.decision && marks.decision < span.end) {
                true => (None, one_hot(TokenKind::Word, self.loss.word_weight)),
                false => (None, one_hot(TokenKind::Syntax, self.loss.syntax_weight)),
            };
        };
        if number.mention == Mention::Copied {
            return (None, one_hot(TokenKind::CopiedNumber, self.loss.copied_number_weight));
        }
        let mut target = one_hot(TokenKind::Number, self.loss.number_weight);
        let value = self.numbers.value_of(id).filter(|_| *span == number.span);
        if let Some(value) = value {
            let side = match number.axis {
                Axis::X => width,
                Axis::Y => height,
            };
            let sigma = self.loss.number_sigma_min_px.max(self.loss.number_sigma_per_side * side);
            target.distribution = bell(value, sigma, self.numbers.len(), |v| self.numbers.id_of(v));
        }
        (value.and(number.is_answer.then_some(number.axis)), target)
    }
}

/// Indices in a row of the visual tokens that show a question's widget.
struct Looks {
    screenshot: Arc<[usize]>,
    /// Where each crop begins in its branch, and the tokens of it; none if it shows something else.
    crops: Vec<(usize, Arc<[usize]>)>,
}

impl Looks {
    /// The newest image that shows the widget and stands before `index` of the branch.
    fn before(&self, index: usize) -> Arc<[usize]> {
        let mut seen = self.crops.iter().filter(|(at, showing)| *at < index && !showing.is_empty());
        seen.next_back().map_or_else(|| Arc::clone(&self.screenshot), |(_, showing)| Arc::clone(showing))
    }
}

/// Where the notable parts of an assistant turn stand, in bytes of the rendered text.
struct Marks {
    /// The turn with the token that ends it.
    turn: Range<usize>,
    numbers: Vec<NumberMark>,
    words: Vec<Range<usize>>,
    /// The first byte of the tag that closes the thought: with it begins what the turn does.
    decision: usize,
}

struct NumberMark {
    span: Range<usize>,
    axis: Axis,
    mention: Mention,
    is_answer: bool,
}

impl Marks {
    fn of(text: &str, turn: Range<usize>, mentions: &[Mention], words: &str, is_answer: bool) -> Self {
        let content = &text[turn.clone()];
        let at = |offset: usize| turn.start + offset;
        let words = match words {
            "" => Vec::new(),
            // The space in front belongs to the first word's token.
            _ => content
                .match_indices(words)
                .map(|(start, found)| at(start.saturating_sub(1))..at(start + found.len()))
                .collect(),
        };
        let mut numbers = Vec::new();
        let found = mentions.iter().rposition(|m| *m == Mention::Found);
        for (n, span) in digit_runs(content).into_iter().enumerate().take(2 * mentions.len()) {
            let mention = mentions[n / 2];
            let axis = if n % 2 == 0 { Axis::X } else { Axis::Y };
            let is_answer = is_answer && found == Some(n / 2);
            numbers.push(NumberMark { span: at(span.start)..at(span.end), axis, mention, is_answer });
        }
        let decision = content.find(THINK_CLOSE).map_or(usize::MAX, at);
        Self { turn, numbers, words, decision }
    }
}

/// Width and height of a box in the numbers that the policy writes.
fn written_sides(bounds: Rect<Screen>, view: &View) -> (f64, f64) {
    let low = view.written(Point::new(bounds.left, bounds.top));
    let high = view.written(Point::new(bounds.right, bounds.bottom));
    (high.x - low.x, high.y - low.y)
}

fn digit_runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// Whole words of the vocabulary.
fn words_of(tokenizer: &tokenizers::Tokenizer, numbers: &NumberTokens) -> Vec<u32> {
    let is_word = |id: &u32| {
        let is_control = tokenizer.get_added_vocabulary().simple_id_to_token(*id).is_some();
        numbers.value_of(*id).is_none() && !is_control
    };
    (0..tokenizer.get_vocab_size(true) as u32).filter(is_word).collect()
}

/// The rendered text up to and including the screenshot, and the rest.
fn split_after_screenshot(text: &str) -> Result<(&str, &str), TrainingError> {
    let end = text.find(VISION_END).map(|at| at + VISION_END.len());
    let end = end.ok_or_else(|| TrainingError::Row("the template writes no image".to_owned()))?;
    Ok(text.split_at(end))
}

/// Byte ranges of what the assistant says in rendered text, each with its end-of-turn token.
fn assistant_turns(text: &str, messages: &[Message]) -> Result<Vec<Range<usize>>, TrainingError> {
    let said = messages.iter().filter(|message| message.role == Role::Assistant);
    let turn = |(message, words): (&Message, Option<Range<usize>>)| {
        let words = words.ok_or_else(|| {
            let content: String = message.parts.iter().filter_map(Part::text).collect();
            TrainingError::Row(format!("the chat template does not keep the assistant's words `{content}`"))
        })?;
        // A forced beginning is given to the policy, not said by it.
        let is_forced = text[words.clone()].starts_with(FORCED_FINAL_PREFIX);
        let given = if is_forced { FORCED_FINAL_PREFIX.len() } else { 0 };
        Ok(words.start + given..words.end + IM_END.len())
    };
    said.zip(assistant_words(text, messages)).map(turn).collect()
}

/// Rows being collected.
#[derive(Default)]
struct Packing {
    ids: Vec<Vec<u32>>,
    positions: Vec<Vec<[u32; 3]>>,
    segments: Vec<Vec<u32>>,
    patches: Vec<f32>,
    grids: Vec<Grid>,
    targets: Vec<PlacedTarget>,
    shown: Vec<(usize, Target)>,
    n_visual_tokens: usize,
    asked: Vec<Asked>,
}

impl Packing {
    fn finish(mut self, padding: u32, patch_values: usize) -> Result<MicroBatch, TrainingError> {
        let n_tokens = self.ids.iter().map(Vec::len).sum();
        let longest = self.ids.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..self.ids.len() {
            self.ids[row].resize(longest, padding);
            self.positions[row].resize(longest, [0; 3]);
            self.segments[row].resize(longest, u32::MAX);
        }
        let n_patches = self.patches.len() / patch_values;
        let patches = Tensor::from_vec(self.patches, (n_patches, patch_values), &Device::Cpu)?;
        let packed = PackedBatch {
            ids: self.ids,
            positions: self.positions,
            segments: self.segments,
            patches,
            grids: self.grids,
        };
        Ok(MicroBatch { packed, targets: self.targets, shown: self.shown, asked: self.asked, n_tokens })
    }
}
