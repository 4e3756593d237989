//! Grounding: one instruction on one screenshot becomes a point. The zoom episode, told as the algorithm.
//!
//! Invariants: every point that leaves here lies on the screenshot; what the policy says is never an error.
//! Source: the evaluation loop of grounded-rl@e7970c0 (specification, section 1.9). A turn with neither an
//! answer nor a usable tool call does not become an assistant message: its text is added to the last message
//! as a previous thought, and the policy is asked again. We differ in four ways: an episode also ends in a
//! forced answer when the images or the response tokens are used up, as in the RL rollouts; assistant messages
//! are kept unstripped, so that a cached prefix stays valid; every turn draws with its own seed; a preset may
//! have the episode search beyond what the policy asks for, and check its answer ([`Search`]).

use std::ops::ControlFlow;
use std::sync::Arc;

use image::RgbImage;
use vigorl_geometry::crop::PlannedCrop;
use vigorl_geometry::fit::{FitError, PixelBudget};
use vigorl_geometry::{Point, Screen};

use crate::crops::{KeptCrop, ShownCrop};
use crate::grammar::{self, Action, AnswerForm, Coordinate, Malformed, Reply, WrittenThought};
use crate::preset::{AnswerKind, Conduct, Preset, Search};
use crate::view::View;
use crate::wire::{ANSWER_OPEN, FORCED_FINAL_PREFIX, Question, THINK_CLOSE, THINK_OPEN};
use crate::{Completion, Conversation, Finish, Message, Part, Policy, PolicyError, Role, Sampling, TurnForm};

/// The outcome of one episode.
#[derive(Debug, Clone)]
pub struct Grounding {
    /// All turns in order.
    pub turns: Vec<Turn>,
    /// The answer as a point on the screenshot.
    pub answer: Option<Point<Screen>>,
    /// The answer as written, point or not.
    pub answer_text: Option<String>,
    /// Probability that the policy gave to exactly this answer text after all it had said before: the product
    /// over the tokens that touch the text between the answer tags, under the unscaled distribution; tokens that the
    /// form of a turn forced count as 1. Not calibrated, and smaller for longer texts. `None` without an answer or
    /// without token positions.
    pub confidence: Option<f64>,
    /// Why there is no usable answer.
    pub malformed: Option<Malformed>,
    /// Whether the observer broke the episode off; then there is no answer and nothing is malformed.
    pub cancelled: bool,
    /// What the policy was asked first, as [`Conversation::sha256`] tells it apart; nothing if none was asked.
    pub prompt_sha256: Option<String>,
}

impl Grounding {
    /// What was known without asking a policy.
    pub fn known(answer: Option<Point<Screen>>) -> Self {
        Self {
            turns: Vec::new(),
            answer,
            answer_text: None,
            confidence: None,
            malformed: None,
            cancelled: false,
            prompt_sha256: None,
        }
    }

    /// Whether tokens ran out before there was an answer: the last turn was cut at its limit, or the conversation
    /// outgrew the context.
    pub fn out_of_tokens(&self) -> bool {
        let is_cut = self.turns.last().is_some_and(|turn| turn.completion.finish == Finish::Length);
        match self.malformed {
            Some(Malformed::OutgrewContext { .. }) => true,
            // Such an answer was said to its end.
            None | Some(Malformed::AnswerOutside(_)) => false,
            Some(_) => is_cut,
        }
    }

    /// The same without the pixels of its crops, for those who keep many episodes in memory. The plans of the crops
    /// stay: with the screenshot they say which pixels were shown.
    pub fn without_pictures(mut self) -> Self {
        for crop in self.turns.iter_mut().filter_map(|turn| turn.crop.as_mut()) {
            crop.pixels = None;
        }
        self
    }
}

/// One turn of an episode.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What the policy said.
    pub completion: Completion,
    /// Its thoughts, with the points that lie on the screenshot.
    pub thoughts: Vec<Thought>,
    /// Where it zoomed: the nearest point on the screenshot.
    pub zoom: Option<Point<Screen>>,
    /// What it was shown for that.
    pub crop: Option<KeptCrop>,
    /// Whether the turn was made to answer: it then began with [`FORCED_FINAL_PREFIX`].
    pub forced: bool,
    /// Why the turn could not be used, where the episode went on nevertheless.
    pub malformed: Option<Malformed>,
    /// Whether it ran into a dead end: the next turn continues the opening, and knows nothing of this one.
    pub went_back: bool,
    /// Whether its answer is checked: the next turn judges a crop taken there, and knows nothing else.
    pub checked: bool,
    /// First looks thrown away before this one, because they showed nothing new.
    pub n_thrown_away: usize,
}

/// A thought and where it looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// The text.
    pub text: String,
    /// The points in it, on the screenshot.
    pub points: Vec<Point<Screen>>,
}

/// Follows an episode, and may break it off. `()` follows nothing.
pub trait GroundObserver {
    /// A turn begins, or is sampled once more; a forced one must answer. `Break` ends the episode.
    fn turn_started(&mut self, _turn_idx: usize, _forced: bool) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The policy said some more. `Break` ends the episode between tokens.
    fn text(&mut self, _piece: &str) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A zoom is answered with this crop.
    fn crop_shown(&mut self, _crop: &ShownCrop) {}

    /// A turn is complete.
    fn turn_ended(&mut self, _turn: &Turn) {}

    /// The turn that was complete last, of the episode before, goes on: its answer is looked at closer.
    fn turn_amended(&mut self, _turn: &Turn) {}
}

impl GroundObserver for () {}

/// Asks `policy` the `question` about `screenshot` until it answers or must.
///
/// `sampling` is used for every turn, with the protocol's stop strings and the preset's token limit; a forced
/// answer is greedy. The preset says whether turns are held to their form.
///
/// # Errors
/// Only if the policy could not be asked; a policy that says nothing usable gives a [`Grounding`] with a reason.
pub fn ground<'q>(
    policy: &mut dyn Policy,
    screenshot: &Arc<RgbImage>,
    question: impl Into<Question<'q>>,
    preset: &Preset,
    sampling: &Sampling,
    observer: &mut dyn GroundObserver,
) -> Result<Grounding, PolicyError> {
    let view = View::new(screenshot, preset.answer_space, preset.max_image_pixels, policy.pixel_budget())?;
    ground_in(policy, &view, question.into(), preset, sampling, observer)
}

/// The same, where only a part of the screenshot is shown: [`View::region`] plans one. Points are those of the screenshot,
/// and an answer outside of the part is malformed.
///
/// # Errors
/// As [`ground`].
pub fn ground_part<'q>(
    policy: &mut dyn Policy,
    screenshot: &Arc<RgbImage>,
    part: PlannedCrop,
    question: impl Into<Question<'q>>,
    preset: &Preset,
    sampling: &Sampling,
    observer: &mut dyn GroundObserver,
) -> Result<Grounding, PolicyError> {
    let view = View::of_part(screenshot, part, preset.answer_space, policy.pixel_budget())?;
    ground_in(policy, &view, question.into(), preset, sampling, observer)
}

fn ground_in(
    policy: &mut dyn Policy,
    view: &View,
    question: Question<'_>,
    preset: &Preset,
    sampling: &Sampling,
    observer: &mut dyn GroundObserver,
) -> Result<Grounding, PolicyError> {
    let opening = &preset.opening_in(view, question);
    let (branch, turns, search) = (Branch::new(opening), Vec::new(), Searching::new(preset));
    let episode =
        Episode { policy, view, opening, preset, sampling, observer, branch, turns, n_before: 0, search };
    Ok(Grounding { prompt_sha256: Some(opening.sha256()), ..episode.go_on()? })
}

/// Asks again where an answer led nowhere. A policy that zooms is shown a crop of that place first, as if it had asked
/// for one: its turn there becomes a [checked](Turn::checked) one, and the turns of both episodes are one list. Without
/// an answer, and for a policy that does not zoom, the same is asked once more.
///
/// # Errors
/// As [`ground`].
pub fn ground_closer<'q>(
    policy: &mut dyn Policy,
    screenshot: &Arc<RgbImage>,
    question: impl Into<Question<'q>>,
    preset: &Preset,
    sampling: &Sampling,
    in_vain: Grounding,
    observer: &mut dyn GroundObserver,
) -> Result<Grounding, PolicyError> {
    let view = View::new(screenshot, preset.answer_space, preset.max_image_pixels, policy.pixel_budget())?;
    let opening = preset.opening_in(&view, question);
    let mut branch = Branch::new(&opening);
    let mut turns = in_vain.turns;
    if let (true, Some(place), Some(last)) = (preset.zooms(), in_vain.answer, turns.last_mut()) {
        let at = view.written(place);
        let crop = view.crop(at, preset.crop)?;
        observer.crop_shown(&crop);
        let said = grammar::parse(&full_text(&last.completion, last.forced), preset.answer_form);
        branch.look(at, looking_at(at, said.thoughts), preset.observation_of(&crop));
        (last.zoom, last.crop, last.checked) = (Some(place), Some(crop.into()), true);
        observer.turn_amended(last);
    }
    let (n_before, search) = (turns.len(), Searching::new(preset));
    let (view, opening) = (&view, &opening);
    let episode =
        Episode { policy, view, opening, preset, sampling, observer, branch, turns, n_before, search };
    Ok(Grounding { prompt_sha256: in_vain.prompt_sha256, ..episode.go_on()? })
}

/// What one episode is made of.
struct Episode<'a> {
    policy: &'a mut dyn Policy,
    view: &'a View,
    opening: &'a Conversation,
    preset: &'a Preset,
    sampling: &'a Sampling,
    observer: &'a mut dyn GroundObserver,
    branch: Branch,
    turns: Vec<Turn>,
    /// What was said and seen before counts for nothing: this is an episode of its own.
    n_before: usize,
    search: Searching,
}

impl Episode<'_> {
    /// Goes on from the branch until the policy answers or must.
    fn go_on(mut self) -> Result<Grounding, PolicyError> {
        let (preset, view) = (self.preset, self.view);
        if preset.constrain && !self.policy.holds_forms() {
            return Err(PolicyError::HoldsNoForms { policy: self.policy.name().to_owned() });
        }
        loop {
            let n_tokens = response_tokens(&self.turns[self.n_before..], self.policy.pixel_budget());
            let is_last = must_answer(preset, &self.branch, n_tokens);
            let forced =
                self.search.is_over() || is_last && !self.search.goes_on(preset, &self.branch, n_tokens);
            if self.observer.turn_started(self.turns.len(), forced).is_break() {
                return Ok(cancelled(self.turns));
            }
            let completion = match self.complete(forced) {
                // The opening alone is nothing that the policy said; what it has made of it is its own doing.
                Err(PolicyError::TooLong { n_tokens, limit }) if !self.branch.is_at_opening() => {
                    let malformed = Some(Malformed::OutgrewContext { n_tokens, limit });
                    return Ok(Grounding { malformed, cancelled: false, ..cancelled(self.turns) });
                }
                said => said?,
            };
            let (reply, mut turn) = read_turn(completion, preset.answer_form, forced, view);
            turn.n_thrown_away = self.search.n_thrown_away;
            if turn.completion.finish == Finish::Cancelled {
                self.turns.push(turn);
                return Ok(cancelled(self.turns));
            }
            let leads_on = !is_last && !turn.zoom.is_some_and(|zoom| self.is_seen(zoom));
            if may_continue(preset, forced) && self.search.is_dead_end(&reply.action, leads_on, &self.branch)
            {
                turn.went_back = true;
                if self.search.go_back(&self.branch) {
                    self.keep(turn);
                }
                self.branch = Branch::new(self.opening);
                continue;
            }
            self.search.n_thrown_away = 0;
            let last = self.follow(reply, &mut turn, n_tokens)?;
            self.keep(turn);
            if let Some(last) = last {
                return Ok(conclude(last, self.turns, preset, view));
            }
        }
    }

    /// Asks for the next turn.
    fn complete(&mut self, forced: bool) -> Result<Completion, PolicyError> {
        self.branch.conversation.forced_prefix = forced.then(|| FORCED_FINAL_PREFIX.to_owned());
        let mut sampling = self.search.sampling_of_turn(self.sampling, self.preset, &self.branch, forced);
        let constrained = self.preset.constrain.then(|| TurnForm::of_turn(self.preset, self.view, forced));
        sampling.form = constrained.flatten();
        self.policy.complete(&self.branch.conversation, &sampling, &mut |piece| self.observer.text(piece))
    }

    fn is_seen(&self, zoom: Point<Screen>) -> bool {
        let before = self.turns[self.n_before..].iter().filter(|turn| turn.crop.is_some());
        before
            .filter_map(|turn| turn.zoom)
            .any(|seen| self.view.are_close(seen, zoom, SEEN, self.preset.crop))
    }

    /// Does what the policy wants; what ends the episode comes back.
    fn follow(
        &mut self,
        reply: Reply,
        turn: &mut Turn,
        n_tokens: usize,
    ) -> Result<Option<Action>, PolicyError> {
        let (preset, view) = (self.preset, self.view);
        match reply.action {
            Action::Zoom(center) if may_continue(preset, turn.forced) => {
                self.show(center, turn.completion.message(), turn)?;
            }
            Action::Answer { point: Some(at), .. }
                if self.search.checks(at, &self.branch, n_tokens, preset, view) =>
            {
                self.branch = Branch::new(self.opening);
                self.show(at, looking_at(at, reply.thoughts), turn)?;
                turn.zoom = Some(view.point(at));
                turn.checked = true;
            }
            // An empty answer is an answer: the reference ends there too.
            Action::Malformed { reason, .. }
                if may_continue(preset, turn.forced)
                    && preset.conduct == Conduct::Evaluation
                    && reason != Malformed::EmptyAnswer =>
            {
                self.branch.n_turns += 1;
                let n_turns = self.branch.n_turns;
                add_previous_thought(&mut self.branch.conversation, n_turns, &turn.completion.text);
                turn.malformed = Some(reason);
            }
            last => return Ok(Some(last)),
        }
        Ok(None)
    }

    /// Goes on with what was said to look at a place, and with what it shows.
    fn show(&mut self, at: Coordinate, said: Message, turn: &mut Turn) -> Result<(), FitError> {
        let crop = self.view.crop(at, self.preset.crop)?;
        self.observer.crop_shown(&crop);
        self.branch.look(at, said, self.preset.observation_of(&crop));
        turn.crop = Some(crop.into());
        Ok(())
    }

    fn keep(&mut self, turn: Turn) {
        self.observer.turn_ended(&turn);
        self.turns.push(turn);
    }
}

/// What the policy would say to look where it answered.
fn looking_at(at: Coordinate, thoughts: Vec<WrittenThought>) -> Message {
    Message::text(Role::Assistant, Reply { thoughts, action: Action::Zoom(at) }.to_string())
}

/// A conversation in the making: the opening and the turns since.
struct Branch {
    conversation: Conversation,
    n_turns: usize,
    /// Where the last crop was taken.
    looked_at: Option<Coordinate>,
}

impl Branch {
    fn new(opening: &Conversation) -> Self {
        Self { conversation: opening.clone(), n_turns: 0, looked_at: None }
    }

    /// Adds a look at a place: what the policy said, and the picture that answers it.
    fn look(&mut self, at: Coordinate, said: Message, shown: Message) {
        self.conversation.messages.extend([said, shown]);
        self.n_turns += 1;
        self.looked_at = Some(at);
    }

    fn is_at_opening(&self) -> bool {
        self.n_turns == 0
    }
}

/// Looks closer than this share of a crop show the same.
const SEEN: f64 = 1.0 / 4.0;

/// An answer that is no farther from where its crop was taken, in the numbers of the policy along an axis, stays.
const STAYS: f64 = 1.0;

/// The way through the branches of one episode.
struct Searching {
    settings: Option<Search>,
    /// Turns asked for, those thrown away included.
    n_asked: u64,
    /// Dead ends so far; each is followed by a sampled first look, or by the end.
    n_dead_ends: usize,
    /// First looks thrown away since the last turn that was kept.
    n_thrown_away: usize,
    /// Answers checked so far.
    n_checks: usize,
}

impl Searching {
    fn new(preset: &Preset) -> Self {
        Self { settings: preset.search, n_asked: 0, n_dead_ends: 0, n_thrown_away: 0, n_checks: 0 }
    }

    /// Whether no place is left to look at: the opening is then answered at once.
    fn is_over(&self) -> bool {
        self.settings.is_some_and(|search| self.n_dead_ends > search.samples)
    }

    /// Whether a branch that is used up is left for another one, instead of being answered.
    fn goes_on(&self, preset: &Preset, branch: &Branch, n_tokens: usize) -> bool {
        self.settings.is_some() && !branch.is_at_opening() && n_tokens < preset.limits.max_response_tokens
    }

    /// Whether a turn leads nowhere. A sampled first look must be one; an answer without a look proves nothing.
    fn is_dead_end(&self, action: &Action, leads_on: bool, branch: &Branch) -> bool {
        match action {
            _ if self.settings.is_none() => false,
            Action::Zoom(_) => !leads_on,
            _ if branch.is_at_opening() => self.n_dead_ends > 0,
            Action::Malformed { .. } => !leads_on,
            Action::Answer { .. } => false,
        }
    }

    /// Whether an answer at a place is checked, and counts that.
    fn checks(
        &mut self,
        at: Coordinate,
        branch: &Branch,
        n_tokens: usize,
        preset: &Preset,
        view: &View,
    ) -> bool {
        let is_due = self.settings.is_some_and(|search| self.n_checks < search.checks)
            && n_tokens < preset.limits.max_response_tokens
            && branch.looked_at.is_some_and(|look| (look.x - at.x).abs().max((look.y - at.y).abs()) > STAYS)
            && view.point_inside(at).is_some();
        self.n_checks += usize::from(is_due);
        is_due
    }

    /// Leaves `branch` for the opening. Whether the turn that led there is kept: it says what the last crop
    /// showed, unless it is a first look.
    fn go_back(&mut self, branch: &Branch) -> bool {
        self.n_dead_ends += 1;
        self.n_thrown_away += usize::from(branch.is_at_opening());
        !branch.is_at_opening()
    }

    fn sampling_of_turn(
        &mut self,
        base: &Sampling,
        preset: &Preset,
        branch: &Branch,
        forced: bool,
    ) -> Sampling {
        let mut sampling = base.clone();
        sampling.max_new_tokens = base.max_new_tokens.min(preset.limits.max_tokens_per_turn);
        sampling.seed = base.seed.wrapping_add(self.n_asked);
        sampling.stop.extend(preset.answer_form.stop_strings().iter().map(ToString::to_string));
        match self.settings {
            _ if forced && preset.conduct == Conduct::Evaluation => sampling.temperature = 0.0,
            Some(search) if self.n_dead_ends > 0 && branch.is_at_opening() => {
                sampling.temperature = sampling.temperature.max(search.temperature);
            }
            _ => {}
        }
        self.n_asked += 1;
        sampling
    }
}

/// Whether the coming turn is the last one that the limits allow.
fn must_answer(preset: &Preset, branch: &Branch, n_tokens: usize) -> bool {
    let limits = preset.limits;
    preset.zooms()
        && (branch.n_turns + 1 >= limits.max_turns
            || branch.conversation.images().count() >= limits.max_images
            || n_tokens >= limits.max_response_tokens)
}

/// Tokens of the response so far: all that was sampled, and the area of every crop in merged patches, as the
/// RL rollouts count it (specification, section 1.9).
fn response_tokens(turns: &[Turn], budget: PixelBudget) -> usize {
    let merged_patch = u64::from(budget.factor).pow(2).max(1);
    let of_turn = |turn: &Turn| {
        let side = turn.crop.as_ref().map_or(0, |crop| u64::from(crop.plan.side_px));
        turn.completion.n_tokens() + (side.pow(2) / merged_patch) as usize
    };
    turns.iter().map(of_turn).sum()
}

fn may_continue(preset: &Preset, forced: bool) -> bool {
    preset.zooms() && !forced
}

fn read_turn(completion: Completion, form: AnswerForm, forced: bool, view: &View) -> (Reply, Turn) {
    let reply = grammar::parse(&full_text(&completion, forced), form);
    let thoughts = reply
        .thoughts
        .iter()
        .map(|thought| Thought {
            text: thought.text.clone(),
            points: thought.points.iter().filter_map(|written| view.point_inside(*written)).collect(),
        })
        .collect();
    let zoom = match reply.action {
        Action::Zoom(center) => Some(view.point(center).clamped(view.screenshot_size())),
        _ => None,
    };
    let turn = Turn {
        completion,
        thoughts,
        zoom,
        crop: None,
        forced,
        malformed: None,
        went_back: false,
        checked: false,
        n_thrown_away: 0,
    };
    (reply, turn)
}

/// The turn as the grammar reads it. A forced turn that opens its answer once more is read on its own, as in
/// the reference; so is one whose policy could only be asked to begin as it was to.
fn full_text(completion: &Completion, forced: bool) -> String {
    let begins_anew = completion.prefix_in_words || completion.text.contains(ANSWER_OPEN);
    let prefix = if forced && !begins_anew { FORCED_FINAL_PREFIX } else { "" };
    format!("{prefix}{}", completion.text)
}

/// Appends to the last text of the last message.
fn add_previous_thought(conversation: &mut Conversation, thought_number: usize, text: &str) {
    let text = text.replace(THINK_OPEN, "").replace(THINK_CLOSE, "");
    let addition = format!("\n\nPrevious thought {thought_number}: {}", text.trim());
    let parts =
        conversation.messages.last_mut().into_iter().flat_map(|message| message.parts.iter_mut().rev());
    for part in parts {
        if let Part::Text(last) = part {
            last.push_str(&addition);
            return;
        }
    }
}

fn cancelled(turns: Vec<Turn>) -> Grounding {
    Grounding { turns, cancelled: true, ..Grounding::known(None) }
}

fn conclude(last: Action, turns: Vec<Turn>, preset: &Preset, view: &View) -> Grounding {
    let mut grounding = Grounding { cancelled: false, ..cancelled(turns) };
    match last {
        Action::Answer { text, point, .. } => {
            grounding.answer_text = Some(text);
            grounding.answer = point.and_then(|written| view.point_inside(written));
            grounding.malformed = match (preset.answer_kind, point, grounding.answer) {
                (AnswerKind::Point, None, _) => Some(Malformed::AnswerNotAPoint),
                (AnswerKind::Point, Some(written), None) => Some(Malformed::AnswerOutside(written)),
                _ => None,
            };
        }
        Action::Zoom(_) => grounding.malformed = Some(Malformed::ZoomInsteadOfAnswer),
        Action::Malformed { reason, .. } => grounding.malformed = Some(reason),
    }
    if grounding.malformed.is_none() {
        grounding.confidence = grounding.turns.last().and_then(|turn| confidence(turn, preset.answer_form));
    }
    grounding
}

/// See [`Grounding::confidence`].
fn confidence(turn: &Turn, form: AnswerForm) -> Option<f64> {
    let text = full_text(&turn.completion, turn.forced);
    let answer = grammar::answer_range(&text, form)?;
    let mut start = text.len() - turn.completion.text.len();
    let prefix_len = start;
    let (mut logprob_sum, mut n_tokens) = (0.0, 0);
    for (end, logprob) in turn.completion.token_ends.iter().zip(&turn.completion.logprobs) {
        let end = prefix_len + end;
        if start < answer.end && end > answer.start {
            logprob_sum += f64::from(*logprob);
            n_tokens += 1;
        }
        start = end;
    }
    (n_tokens > 0).then(|| logprob_sum.exp())
}
