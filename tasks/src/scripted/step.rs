//! The steps of a task, and how they are written in its file.
//!
//! Invariant: [`Step`] says what a step is: an act, a check, something that is read, or a block of steps. [`Written`]
//! says how a task file spells it, and is the only place that does. A list of steps is read as a whole, because one of the
//! file may stand for several: those of another file.

use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use vigorl_interface::{Act, ChordError, Key, MouseButton, WhichTab, parse_chord, print_chord};

use super::clause::{TimedClause, secs_fault};
use super::click::Clicked;
use super::page_acts::{DialogStep, FillStep, TabStep, tab_fault};
use super::shared::Used;
use super::{Clause, ElementPlace, IfStep, OptionalStep, Target};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Something is done to the screen.
    Act(Act<Target>),
    /// Something must hold.
    Check(CheckStep),
    /// Something is read, for later steps.
    Read(ReadStep),
    /// Steps that hang together.
    Block(Block),
}

/// What must hold, and how long that may take.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckStep {
    /// What.
    pub clause: Clause,
    /// Whether it is waited for; otherwise it must hold now.
    pub waits: bool,
    /// Seconds that it may take instead, if the step says so.
    pub within_secs: Option<f64>,
}

impl CheckStep {
    /// The time that the step itself gives.
    pub(super) fn own_time(&self) -> Option<Duration> {
        self.within_secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }
}

/// Steps that hang together.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// They are done several times.
    Repeat(RepeatStep),
    /// They are done again until something holds.
    Retry(RetryStep),
    /// They may take only so long.
    Within(WithinStep),
    /// They are done if something holds, and others if it does not.
    If(IfStep),
    /// They are done as far as they can be done.
    Optional(OptionalStep),
}

/// From where to where.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DragStep {
    /// Where the button goes down.
    from: Target,
    /// Where it is released.
    to: Target,
}

/// Over what and how far.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScrollStep {
    /// Where the pointer is.
    target: Target,
    /// Screenshot pixels downwards, negative upwards.
    by: f64,
}

/// In which list and what.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SelectStep {
    /// The list.
    target: Target,
    /// The option's text.
    option: String,
}

/// To which field and which files.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UploadStep {
    /// The field, or its label.
    target: Target,
    /// Relative to the task file, under `$TMPDIR/`, the folder of the task's programs, or under `$DOWNLOADS/`, what the
    /// browser has downloaded.
    files: Vec<String>,
}

/// What is read, and the variable that holds it from then on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadStep {
    /// What is read.
    pub of: Source,
    /// The variable. What was read may be typed, named as a target and looked for; it never becomes part of a command, a
    /// script, a selector, a path or an address, because whoever writes the page chooses it.
    pub into: String,
}

/// What can be read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The text of an element, or what stands in a field; a password field is never read.
    Element(ElementPlace),
    /// The title of the page, or of the active window.
    Title,
    /// The page's address.
    Url,
    /// The text on the clipboard.
    Clipboard,
    /// What is written on the screen, read from its pixels; exactly, or not at all.
    Screen(ScreenSource),
}

/// A text on the screen: beside or below a label, or wherever a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScreenSource {
    /// The label on whose right it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The label below which it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<String>,
    /// A regular expression: what it matches is read, or its first group. Without a label it must match once on the
    /// screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// Steps and how often.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatStep {
    /// How often, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub times: u8,
    /// What is done each time.
    #[serde(deserialize_with = "list")]
    pub steps: Vec<Step>,
}

/// Steps, and what they are to bring about.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryStep {
    /// How often at most, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub times: u8,
    /// What is awaited behind each try, as by `wait_for`.
    pub until: Clause,
    /// What is done in each try; a step that cannot be done ends the try.
    #[serde(deserialize_with = "list")]
    pub steps: Vec<Step>,
}

/// Steps, and how long they may take.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithinStep {
    /// Seconds from the beginning of the first step on. A step that is not done by then is refused; a `wait_for` waits
    /// for what is left of them.
    #[schemars(range(min = 0))]
    pub secs: f64,
    /// What is done.
    #[serde(deserialize_with = "list")]
    pub steps: Vec<Step>,
}

impl WithinStep {
    /// [`secs`](Self::secs), or all the time there is.
    pub fn time(&self) -> Duration {
        Duration::try_from_secs_f64(self.secs).unwrap_or(Duration::MAX)
    }
}

/// Keys pressed together, written `Control+a`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
struct Chord(Vec<Key>);

impl From<Chord> for String {
    fn from(chord: Chord) -> Self {
        print_chord(&chord.0)
    }
}

impl TryFrom<String> for Chord {
    type Error = ChordError;

    fn try_from(text: String) -> Result<Self, ChordError> {
        parse_chord(&text).map(Self)
    }
}

/// One thing to do.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Step")]
enum Written {
    /// Click the target, or with `{ target: …, modifiers: [Control] }` also in another way.
    Click(Clicked),
    /// Click it twice.
    DoubleClick(Target),
    /// Click it with the right button.
    RightClick(Target),
    /// Move the pointer onto it.
    Hover(Target),
    /// Drag one target onto another.
    Drag(DragStep),
    /// Turn the wheel over the target.
    Scroll(ScrollStep),
    /// Bring the target into view, and do nothing else.
    ScrollTo(Target),
    /// Put a text in the place of what stands in a field, by keys, and look whether it stands there.
    Fill(FillStep),
    /// Empty a field, by keys, and look whether it is empty.
    Clear(Target),
    /// Choose an option of a native list.
    Select(SelectStep),
    /// Hand files to a file field.
    Upload(UploadStep),
    /// Type text into whatever has the focus.
    Type(String),
    /// Press keys together.
    Press(Chord),
    /// Load a page; an address without a scheme is relative to the page that is open, or begins with a host and its port.
    Navigate(String),
    /// Go back in the tab's history.
    Back,
    /// Go forward in it.
    Forward,
    /// Load the page again.
    Reload,
    /// Open a new tab.
    OpenTab,
    /// Go to another tab.
    SwitchTab(TabStep),
    /// Close the tab; the one before it is shown.
    CloseTab,
    /// Answer the open dialog.
    Dialog(DialogStep),
    /// Read something into a variable, for later steps.
    Read(ReadStep),
    /// Do the steps of another file: they stand in place of this one.
    #[serde(skip_serializing)]
    Use(Used),
    /// Do steps several times.
    Repeat(RepeatStep),
    /// Do steps again until something holds.
    Retry(RetryStep),
    /// Do steps in a limited time.
    Within(WithinStep),
    /// Do steps if something holds, and others if it does not.
    If(IfStep),
    /// Do steps as far as they can be done: what cannot be ends these steps, and not the task.
    Optional(OptionalStep),
    /// Wait until this holds; the task is not done if it does not within `wait_secs`, or the time of the innermost
    /// `within`, or a time of its own.
    WaitFor(TimedClause),
    /// This must hold now, or within a time of its own.
    Assert(TimedClause),
}

impl Written {
    /// What it stands for: one step, unless it uses those of another file.
    fn into_steps(self) -> Vec<Step> {
        match self {
            Self::Use(Used(steps)) => steps,
            one => vec![one.into_step()],
        }
    }

    fn into_step(self) -> Step {
        let click = |at, button, count| Step::Act(Act::Click { at, button, count });
        match self {
            Self::Use(_) => unreachable!("it stands for the steps of another file"),
            Self::Click(clicked) => Step::Act(clicked.into()),
            Self::DoubleClick(at) => click(at, MouseButton::Left, 2),
            Self::RightClick(at) => click(at, MouseButton::Right, 1),
            Self::Hover(at) => Step::Act(Act::Hover { at }),
            Self::Drag(DragStep { from, to }) => Step::Act(Act::Drag { from, to }),
            Self::Scroll(ScrollStep { target: at, by }) => {
                Step::Act(Act::Scroll { at, dx_px: 0.0, dy_px: by })
            }
            Self::ScrollTo(at) => Step::Act(Act::ScrollTo { at: Target { scroll: true, ..at } }),
            Self::Fill(FillStep { target: at, text }) => Step::Act(Act::Fill { at, text, has_secret: false }),
            Self::Clear(at) => Step::Act(Act::Fill { at, text: String::new(), has_secret: false }),
            Self::Select(SelectStep { target: at, option }) => Step::Act(Act::Select { at, option }),
            Self::Upload(UploadStep { target: at, files }) => {
                Step::Act(Act::Upload { at, files: files.into_iter().map(PathBuf::from).collect() })
            }
            Self::Type(text) => Step::Act(Act::Type { text }),
            Self::Press(Chord(chord)) => Step::Act(Act::Press { chord }),
            Self::Navigate(url) => Step::Act(Act::Navigate { url }),
            Self::Back => Step::Act(Act::Back),
            Self::Forward => Step::Act(Act::Forward),
            Self::Reload => Step::Act(Act::Reload),
            Self::OpenTab => Step::Act(Act::OpenTab),
            Self::SwitchTab(tab) => Step::Act(Act::SwitchTab { tab: WhichTab::Found(tab.into()) }),
            Self::CloseTab => Step::Act(Act::CloseTab),
            Self::Dialog(answer) => Step::Act(answer.into()),
            Self::Read(read) => Step::Read(read),
            Self::Repeat(repeat) => Step::Block(Block::Repeat(repeat)),
            Self::Retry(retry) => Step::Block(Block::Retry(retry)),
            Self::Within(within) => Step::Block(Block::Within(within)),
            Self::If(branch) => Step::Block(Block::If(branch)),
            Self::Optional(optional) => Step::Block(Block::Optional(optional)),
            Self::WaitFor(TimedClause { clause, within_secs }) => {
                Step::Check(CheckStep { clause, waits: true, within_secs })
            }
            Self::Assert(TimedClause { clause, within_secs }) => {
                Step::Check(CheckStep { clause, waits: false, within_secs })
            }
        }
    }
}

impl TryFrom<Step> for Written {
    type Error = String;

    fn try_from(step: Step) -> Result<Self, String> {
        Ok(match step {
            Step::Act(act) => return Self::of_act(act),
            Step::Check(CheckStep { clause, waits, within_secs }) => {
                let timed = TimedClause { clause, within_secs };
                if waits { Self::WaitFor(timed) } else { Self::Assert(timed) }
            }
            Step::Read(read) => Self::Read(read),
            Step::Block(Block::Repeat(repeat)) => Self::Repeat(repeat),
            Step::Block(Block::Retry(retry)) => Self::Retry(retry),
            Step::Block(Block::Within(within)) => Self::Within(within),
            Step::Block(Block::If(branch)) => Self::If(branch),
            Step::Block(Block::Optional(optional)) => Self::Optional(optional),
        })
    }
}

impl Written {
    /// How an act is written; not every act has a spelling yet.
    fn of_act(act: Act<Target>) -> Result<Self, String> {
        let text = |file: &PathBuf| file.to_string_lossy().into_owned();
        Ok(match act {
            Act::Click { at, button: MouseButton::Left, count: 1 } => Self::Click(Clicked::Plainly(at)),
            Act::Click { at, button: MouseButton::Left, count: 2 } => Self::DoubleClick(at),
            Act::Click { at, button: MouseButton::Right, count: 1 } => Self::RightClick(at),
            Act::Click { at, button, count } => Self::Click(Clicked::with(at, button, count, &[], 0)?),
            Act::HeldClick { at, button, count, keys, hold_ms } => {
                Self::Click(Clicked::with(at, button, count, &keys, hold_ms)?)
            }
            Act::Hover { at } => Self::Hover(at),
            Act::ScrollTo { at } => Self::ScrollTo(Target { scroll: false, ..at }),
            Act::Fill { at, text, .. } if text.is_empty() => Self::Clear(at),
            Act::Fill { at: target, text, .. } => Self::Fill(FillStep { target, text }),
            Act::Drag { from, to } => Self::Drag(DragStep { from, to }),
            Act::Scroll { at, dx_px: 0.0, dy_px: by } => Self::Scroll(ScrollStep { target: at, by }),
            Act::Select { at, option } => Self::Select(SelectStep { target: at, option }),
            Act::Upload { at, files } => {
                Self::Upload(UploadStep { target: at, files: files.iter().map(text).collect() })
            }
            Act::Type { text } => Self::Type(text),
            Act::Press { chord } => Self::Press(Chord(chord)),
            Act::Navigate { url } => Self::Navigate(url),
            Act::Back => Self::Back,
            Act::Forward => Self::Forward,
            Act::Reload => Self::Reload,
            Act::OpenTab => Self::OpenTab,
            Act::SwitchTab { tab: WhichTab::Found(search) } => Self::SwitchTab(search.into()),
            Act::CloseTab => Self::CloseTab,
            Act::AnswerDialog { accept, text } => Self::Dialog(DialogStep { accept, text }),
            other => return Err(format!("a task file has no word for `{other}`")),
        })
    }
}

/// Reads a list of steps inside of another one.
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Step>, D::Error> {
    let written = Vec::<Written>::deserialize(from)?;
    Ok(written.into_iter().flat_map(Written::into_steps).collect())
}

/// A list of steps that is in no other one: there is said how YAML names what a step is.
pub(super) mod listed {
    use serde_norway::with::singleton_map_recursive;

    use super::{Deserializer, Serializer, Step, Written};

    pub(in crate::scripted) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Step>, D::Error> {
        let written: Vec<Written> = singleton_map_recursive::deserialize(from)?;
        Ok(written.into_iter().flat_map(Written::into_steps).collect())
    }

    pub(in crate::scripted) fn serialize<S: Serializer>(steps: &[Step], to: S) -> Result<S::Ok, S::Error> {
        singleton_map_recursive::serialize(&steps, to)
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written::try_from(self.clone()).map_err(ser::Error::custom)?.serialize(to)
    }
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

impl Block {
    /// What it is made of: the lists of which one is taken. All but an `if` have one, and an empty one besides.
    pub fn lists(&self) -> [&[Step]; 2] {
        match self {
            Self::Repeat(RepeatStep { steps, .. })
            | Self::Retry(RetryStep { steps, .. })
            | Self::Within(WithinStep { steps, .. })
            | Self::Optional(OptionalStep { steps, .. }) => [steps, &[]],
            Self::If(IfStep { steps, otherwise, .. }) => [steps, otherwise],
        }
    }

    /// All steps of it.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.lists().into_iter().flatten()
    }

    /// The same, to be changed.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        let (steps, others): (&mut [Step], &mut [Step]) = match self {
            Self::Repeat(RepeatStep { steps, .. })
            | Self::Retry(RetryStep { steps, .. })
            | Self::Within(WithinStep { steps, .. })
            | Self::Optional(OptionalStep { steps, .. }) => (steps, &mut []),
            Self::If(IfStep { steps, otherwise, .. }) => (steps, otherwise),
        };
        steps.iter_mut().chain(others)
    }

    /// What it asks, to be changed.
    pub(super) fn clause_mut(&mut self) -> Option<&mut Clause> {
        match self {
            Self::Retry(RetryStep { until: clause, .. }) | Self::If(IfStep { holds: clause, .. }) => {
                Some(clause)
            }
            Self::Repeat(_) | Self::Within(_) | Self::Optional(_) => None,
        }
    }

    /// How often its steps are done at most.
    pub(super) fn times(&self) -> usize {
        match self {
            Self::Repeat(RepeatStep { times, .. }) | Self::Retry(RetryStep { times, .. }) => (*times).into(),
            Self::Within(_) | Self::If(_) | Self::Optional(_) => 1,
        }
    }

    /// Steps of one time at most, what is asked before or behind them included.
    pub(super) fn len_once(&self) -> usize {
        let longest = self.lists().into_iter().map(length).max().unwrap_or_default();
        longest.saturating_add(usize::from(matches!(self, Self::Retry(_) | Self::If(_))))
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Repeat(_) => "repeat",
            Self::Retry(_) => "retry",
            Self::Within(_) => "within",
            Self::If(_) => "if",
            Self::Optional(_) => "optional",
        }
    }

    fn fault(&self) -> Option<String> {
        let (word, is_empty) = (self.word(), self.lists()[0].is_empty());
        let own = match self {
            Self::Repeat(_) | Self::Retry(_) if is_empty || !(1..=100).contains(&self.times()) => {
                Some(format!("`{word}` needs `times` from 1 to 100 and at least one of `steps`"))
            }
            Self::Repeat(_) => None,
            Self::Retry(retry) => retry.until.fault(),
            Self::Within(within) if is_empty || !(0.0..1e9).contains(&within.secs) => {
                Some("`within` needs `secs` from 0 on and at least one of `steps`".to_owned())
            }
            Self::Within(_) => None,
            Self::If(branch) => branch.fault(),
            Self::Optional(optional) => optional.fault(),
        };
        let n = self.times().saturating_mul(self.len_once());
        let too_long =
            || (n > Step::MOST).then(|| format!("this `{word}` would be {n} steps, which is too much"));
        own.or_else(too_long).or_else(|| self.steps().find_map(Step::fault))
    }
}

/// Steps that a list is at most.
pub(super) fn length(steps: &[Step]) -> usize {
    steps.iter().map(Step::len).fold(0, usize::saturating_add)
}

impl Step {
    /// Steps that a block may be, so that nested repetitions end some day.
    pub(super) const MOST: usize = 10_000;

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Act(Act::SwitchTab { tab: WhichTab::Found(search) }) => tab_fault(search),
            Self::Act(act) => act.places().find_map(Target::fault),
            Self::Check(check) => {
                secs_fault("within_secs", check.within_secs).or_else(|| check.clause.fault())
            }
            Self::Read(read) => read.fault(),
            Self::Block(block) => block.fault(),
        }
    }

    /// Steps that are taken for it at most.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Block(block) => block.times().saturating_mul(block.len_once()),
            _ => 1,
        }
    }

    /// What has to be found, in order.
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Self::Act(act) => act.places().collect(),
            Self::Block(block) => block.steps().flat_map(Self::targets).collect(),
            Self::Check(_) | Self::Read(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn targets_mut(&mut self) -> Vec<&mut Target> {
        match self {
            Self::Act(act) => act.places_mut(),
            Self::Block(block) => block.steps_mut().flat_map(Self::targets_mut).collect(),
            Self::Check(_) | Self::Read(_) => Vec::new(),
        }
    }

    /// The acts that it is made of, in order.
    pub fn acts(&self) -> Vec<&Act<Target>> {
        match self {
            Self::Act(act) => vec![act],
            Self::Block(block) => block.steps().flat_map(Self::acts).collect(),
            Self::Check(_) | Self::Read(_) => Vec::new(),
        }
    }

    /// The variables that it reads.
    pub(super) fn reads(&self) -> Vec<&str> {
        match self {
            Self::Read(read) => vec![&read.into],
            Self::Block(block) => block.steps().flat_map(Self::reads).collect(),
            Self::Act(_) | Self::Check(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! A task of one step, for tests of how steps are written.

    use super::super::ScriptedTask;
    use super::*;

    /// The task, or why it is refused.
    pub(in crate::scripted) fn parsed(step: &str) -> Result<ScriptedTask, String> {
        let yaml = format!("name: n\nstart: {{}}\nsteps:\n  - {step}\nexpect: [url_contains: x]\n");
        ScriptedTask::parse(&yaml).map_err(|error| error.to_string())
    }

    /// Checks that a step is this act, and that it is the same one when it is written and read again.
    #[track_caller]
    pub(in crate::scripted) fn check(step: &str, expected: Act<Target>) {
        let task = parsed(step).unwrap();
        assert_eq!(task.steps(), [Step::Act(expected)], "{step}");
        let written = task.to_yaml().unwrap();
        assert_eq!(ScriptedTask::parse(&written), Ok(task), "{step}: {written}");
    }
}
