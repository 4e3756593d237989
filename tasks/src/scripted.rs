//! Tasks a person writes in YAML: where to start, what to do, and what must hold at the end.
//!
//! Invariants: a task has steps or a goal, never both, and at least one clause to judge by; the same clauses
//! are the assertion and the reward; what comes before or behind the steps is never judged; a clause that cannot be checked
//! counts as not satisfied. What a task file says
//! is trusted like a script that its owner starts: its programs and commands run with the owner's rights.

mod asked;
mod branch;
mod clause;
mod click;
mod downloaded;
mod draw;
mod element;
mod element_place;
mod guard;
mod judge;
mod login;
mod page;
mod page_acts;
mod programs;
mod read;
mod recording;
mod reread;
mod rows;
mod script;
mod shared;
mod step;
mod storage;
mod target;
mod text;
mod values;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use vigorl_geometry::{Size, Viewport};
use vigorl_interface::{
    Allowed, Area, Certificates, DriverError, Geolocation, Login, PERMISSIONS, PageState, Permissions,
    Visitor,
};

use crate::Failure;

use self::shared::{SharedSteps, in_file};
use self::step::listed;

pub use branch::{IfStep, OptionalStep};
pub use clause::{
    AttributeClause, Clause, CountClause, ElementClause, ElementQuestion, ElementState, FileClause,
};
pub use downloaded::DownloadClause;
pub use draw::Drawn;
pub use element::{Absence, Cure, ElementAt, ElementName, Purpose, Thing, things};
pub use element_place::ElementPlace;
pub use guard::Guard;
pub use judge::{Check, Scene, Surroundings};
pub use login::{LOGIN_HELP, WrittenLogin};
pub use programs::Programs;
pub use recording::{PersonDeed, Recording, listener};
pub use rows::{Row, read_rows};
pub use script::{Deadline, Ended, Line, Phase, Script, What};
pub use step::{Block, CheckStep, ReadStep, RepeatStep, RetryStep, ScreenSource, Source, Step, WithinStep};
pub use storage::{read_storage, stored_secrets};
pub use target::{Place, Target, TextPlace};
pub use text::{On, TextClause};
pub use values::{Secret, Values};
pub use world::{Open, Opened, ScriptedWorld};

/// A task as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptedTask {
    /// What a person calls it.
    pub name: String,
    /// By what it can be chosen among others.
    pub tags: Vec<String>,
    /// Values of `${name}` in its texts.
    pub vars: BTreeMap<String, String>,
    /// What further ones are drawn from, for each episode anew.
    pub draw: BTreeMap<String, Drawn>,
    /// Why it does not begin with the same picture each time, if it does not.
    pub animated: Option<String>,
    /// Steps of an episode at most, if the task says so.
    pub max_steps: Option<usize>,
    /// The table whose rows it is played with, if it names one: a file relative to its own.
    pub rows: Option<String>,
    /// Where it starts.
    pub start: Start,
    /// What it needs to begin with, which is not judged.
    pub before: Vec<Step>,
    /// What is to be done.
    pub plan: Plan,
    /// What is done behind the judgement, whatever became of the steps.
    pub after: Vec<Step>,
    /// What must hold at the end; never empty.
    pub expect: Vec<Clause>,
    /// How the clauses become a reward.
    pub reward: RewardRule,
    /// Longest wait of a `wait_for` step.
    pub patience: Duration,
    /// What [`fill`](Self::fill) found for its variables.
    pub values: Values,
}

/// How long `wait_for` waits, unless the task says otherwise.
const PATIENCE_SECS: f64 = 10.0;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// These steps, in order.
    Steps(Vec<Step>),
    /// Whatever a policy that chooses its own actions finds right.
    Goal(String),
}

/// Where a task starts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// In which world.
    #[serde(default)]
    pub driver: World,
    /// Command lines for the shell, started before anything else and ended with the task, whatever they have started.
    /// They run in the task file's folder; `$TMPDIR` is an empty folder that is theirs together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// On the desktop: what is seen, and where input may go, such as `window:galculator`.
    #[serde(
        default,
        deserialize_with = "area",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub area: Option<Area>,
    /// The page to load first: an address, or the path of a file, which begins in the task file's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The HTTP status with which that page is meant to answer, such as 404; if absent, any that is no error.
    #[serde(default, deserialize_with = "status", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// Size of the visible area; the caller's default if absent.
    #[serde(
        default,
        deserialize_with = "viewport",
        serialize_with = "as_sides",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", regex(pattern = r"^[1-9][0-9]*x[1-9][0-9]*$"))]
    pub viewport: Option<Size<Viewport>>,
    /// A file of cookies and local storage with which the browser begins, as `vigorl run --save-storage` and Playwright's
    /// `storageState` write it; its path begins in the task file's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Language and region of whoever visits the pages, such as de-DE; those of the machine if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The visitor's time zone by its name in the list of the IANA, such as Europe/Berlin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where the visitor is: pages may know it then, unless `permissions` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geolocation: Option<WrittenPlace>,
    /// What pages are answered that want a permission: `granted`, `denied` or `prompt`, by the permission's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "permissions_schema")]
    pub permissions: Option<BTreeMap<String, Allowed>>,
    /// Servers that are trusted though nobody vouches for their certificates: all of them, or those whose public keys have
    /// these fingerprints (SHA-256 of the SPKI, in base64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "certificates_schema")]
    pub certificates: Option<WrittenCertificates>,
    /// The user and the password that the server of the start page asks for by HTTP; no other server is told them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<WrittenLogin>,
}

/// Which certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum WrittenCertificates {
    /// Every one, by the word for it.
    Any(String),
    /// Those of these keys.
    OfKeys(Vec<String>),
}

impl WrittenCertificates {
    fn read(&self) -> Result<Certificates, String> {
        match self {
            Self::Any(word) if word == Certificates::ANY => Ok(Certificates::AcceptAny),
            Self::Any(word) => {
                Err(format!("`{word}` is neither `{}` nor a list of fingerprints", Certificates::ANY))
            }
            Self::OfKeys(keys) => Certificates::of_keys(keys.clone()),
        }
    }

    fn of(certificates: &Certificates) -> Self {
        match certificates {
            Certificates::AcceptAny => Self::Any(Certificates::ANY.to_owned()),
            Certificates::OfKeys(keys) => Self::OfKeys(keys.clone()),
        }
    }
}

/// A place on the earth, in degrees and metres.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Geolocation")]
pub struct WrittenPlace {
    /// Degrees north of the equator.
    #[schemars(range(min = -90, max = 90))]
    pub latitude: f64,
    /// Degrees east of Greenwich.
    #[schemars(range(min = -180, max = 180))]
    pub longitude: f64,
    /// How many metres it may be off; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub accuracy: Option<f64>,
}

fn certificates_schema(_generator: &mut SchemaGenerator) -> Schema {
    let key = json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$" });
    json_schema!({ "anyOf": [
        { "const": Certificates::ANY }, { "type": "array", "items": key, "minItems": 1 }, { "type": "null" },
    ] })
}

fn permissions_schema(_generator: &mut SchemaGenerator) -> Schema {
    let allowed = json_schema!({ "enum": Allowed::NAMED.map(|(name, _)| name) });
    let each: BTreeMap<&str, &Schema> = PERMISSIONS.iter().map(|name| (*name, &allowed)).collect();
    json_schema!({ "type": ["object", "null"], "properties": each, "additionalProperties": false })
}

/// With these a server has answered; with those that are errors besides, one that still comes up may say that it has not
/// got the page yet. Playwright draws the same line when it waits for a server.
const ANSWERED: std::ops::RangeInclusive<u16> = 100..=403;

impl Start {
    /// Whether the page that is shown at the start is the one that is meant, by the status with which it answered. Where there
    /// is none, such as for a file, nobody can tell.
    ///
    /// # Errors
    /// [`DriverError::Refused`] if another answer may still come, as from a program that comes up.
    pub(crate) fn expect_answer(&self, page: &PageState) -> Result<(), Failure> {
        let wrong = match (self.status, page.status, page.error_status()) {
            (Some(meant), Some(status), _) if meant != status => {
                format!("the page answered {status}, and `start.status` is {meant}")
            }
            (None, _, Some(status)) => format!(
                "the page answered {status}; if it is the one that is meant, the task says `start: {{ status: {status} }}`"
            ),
            _ => return Ok(()),
        };
        match page.status.is_some_and(|status| ANSWERED.contains(&status)) {
            true => Err(wrong.into()),
            false => Err(DriverError::Refused { request: "navigate", detail: wrong }.into()),
        }
    }

    /// What of it does not go together.
    fn fault(&self) -> Option<String> {
        let of_browsers = [
            ("storage", self.storage.is_some()),
            ("locale", self.locale.is_some()),
            ("time_zone", self.time_zone.is_some()),
            ("geolocation", self.geolocation.is_some()),
            ("permissions", self.permissions.is_some()),
            ("certificates", self.certificates.is_some()),
            ("basic_auth", self.basic_auth.is_some()),
        ];
        let of_browser = of_browsers.into_iter().find(|(_, is_there)| *is_there && self.driver != World::Web);
        if let Some((name, _)) = of_browser {
            return Some(format!("`start.{name}` belongs to a browser, and this task is on the desktop"));
        }
        self.visitor().err().or_else(|| self.login().err())
    }

    /// Who asks for the start page, if its server wants to know it. What a variable or a secret is still to be filled into is
    /// left out.
    ///
    /// # Errors
    /// Why it is nobody.
    pub fn login(&self) -> Result<Option<Login>, String> {
        let login = self.basic_auth.as_ref().map(WrittenLogin::login).transpose();
        login.map(Option::flatten).map_err(|why| format!("`start.basic_auth`: {why}"))
    }

    /// Who visits the pages. What a variable is still to be filled into is left out.
    ///
    /// # Errors
    /// Which part of it is none, and what it could be.
    pub fn visitor(&self) -> Result<Visitor, String> {
        let is_filled = |text: &&String| !text.contains("${");
        let of = |name: &str, why: String| format!("`start.{name}`: {why}");
        let locale = self.locale.as_ref().filter(is_filled).map(|text| text.parse());
        let time_zone = self.time_zone.as_ref().filter(is_filled).map(|text| text.parse());
        let geolocation = self.geolocation.map(|WrittenPlace { latitude, longitude, accuracy }| {
            Geolocation::new(latitude, longitude, accuracy)
        });
        let permissions = self.permissions.clone().map(Permissions::new);
        let certificates = self.certificates.as_ref().map(WrittenCertificates::read);
        Ok(Visitor {
            locale: locale.transpose().map_err(|why| of("locale", why))?,
            time_zone: time_zone.transpose().map_err(|why| of("time_zone", why))?,
            geolocation: geolocation.transpose().map_err(|why| of("geolocation", why))?,
            permissions: permissions.transpose().map_err(|why| of("permissions", why))?,
            certificates: certificates.transpose().map_err(|why| of("certificates", why))?,
        })
    }

    /// The same visited by somebody.
    #[must_use]
    pub fn visited_by(self, visitor: &Visitor) -> Self {
        let Visitor { locale, time_zone, geolocation, permissions, certificates } = visitor;
        let place = |Geolocation { latitude, longitude, accuracy }: Geolocation| WrittenPlace {
            latitude,
            longitude,
            accuracy: Some(accuracy),
        };
        let named = |permissions: &Permissions| {
            permissions.iter().map(|(name, allowed)| (name.to_owned(), allowed)).collect()
        };
        Self {
            locale: locale.as_ref().map(|locale| locale.as_str().to_owned()),
            time_zone: time_zone.as_ref().map(|zone| zone.as_str().to_owned()),
            geolocation: geolocation.map(place),
            permissions: permissions.as_ref().map(named),
            certificates: certificates.as_ref().map(WrittenCertificates::of),
            ..self
        }
    }

    /// The address of the page to load first: a path leads to a file, and begins in the task file's `folder`.
    pub fn address(&self, folder: &Path) -> Option<String> {
        let url = self.url.as_ref()?;
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let file = folder.join(path);
        let is_path = !path.contains(':') && file.is_file();
        let absolute = std::path::absolute(&file).ok().filter(|_| is_path);
        Some(
            absolute.map_or_else(
                || url.clone(),
                |file| format!("file://{}{}", escaped(&file), &url[path.len()..]),
            ),
        )
    }
}

/// The file of an address, or of a path that begins in `folder`, if it is one and is not there.
pub(crate) fn missing_file(url: &str, folder: &Path) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let file = match path.strip_prefix("file://") {
        Some(absolute) => PathBuf::from(unescaped(absolute)),
        None if path.contains(':') => return None,
        None => std::path::absolute(folder.join(path)).ok()?,
    };
    (!file.exists()).then_some(file)
}

/// A path that was written in an address.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|code| {
            let code = std::str::from_utf8(code).ok()?;
            u8::from_str_radix(code, 16).ok()
        });
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path as it is written in an address.
fn escaped(file: &Path) -> String {
    let mut text = String::new();
    for byte in file.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte as char)
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Which driver a task needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// A browser.
    #[default]
    Web,
    /// A desktop.
    Desktop,
}

/// How the clauses become a reward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardRule {
    /// 1 if every clause holds, otherwise 0.
    #[default]
    All,
    /// The share of clauses that hold.
    Mean,
}

/// Why a text is no task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// What is wrong.
    pub message: String,
    /// Line and column, from 1, where the fault has a place.
    pub at: Option<(usize, usize)>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ScriptError {}

/// A task of vigorl: where to start, what to do, and what must hold at the end.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "vigorl task")]
struct Written {
    /// What a person calls it.
    name: String,
    /// Words by which it is chosen among others: `vigorl run tests/*.yaml --tag smoke`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// Values of `${name}` in its texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    vars: BTreeMap<String, String>,
    /// Variables that are drawn for each episode anew: from a list of texts, or from numbers `{ from: 1, to: 9 }`. Some of
    /// the values of each are never used for learning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    draw: BTreeMap<String, Drawn>,
    /// Why the same start does not show the same picture each time, such as a clock: then nobody checks that it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    animated: Option<String>,
    /// Actions towards a goal at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    max_steps: Option<usize>,
    /// A CSV file, relative to this one: the task is played once with each row of it, whose columns are variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<String>,
    start: Start,
    /// What the task needs before it can begin, such as a login. If a step of it is not done, the task was not played: that
    /// is an error, and no failure of what is judged.
    #[serde(default, with = "listed", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Step>")]
    before: Vec<Step>,
    /// What is to be done, in order; instead of a goal.
    #[serde(default, with = "listed", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Step>")]
    steps: Vec<Step>,
    /// What is done behind the judgement, whatever became of the steps, such as deleting what they have made. If it fails,
    /// a task that was solved counts as failed.
    #[serde(default, with = "listed", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Step>")]
    after: Vec<Step>,
    /// For a policy that chooses its own actions; instead of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    /// What must hold at the end.
    #[serde(default, with = "serde_norway::with::singleton_map_recursive")]
    #[schemars(with = "Vec<Clause>", length(min = 1))]
    expect: Vec<Clause>,
    #[serde(default)]
    reward: RewardRule,
    /// Longest wait of a `wait_for` step; 10 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    wait_secs: Option<f64>,
}

impl ScriptedTask {
    /// Reads a task that stands in no file, and so uses no steps of another one.
    ///
    /// # Errors
    /// [`ScriptError`] says where and what is wrong.
    pub fn parse(yaml: &str) -> Result<Self, ScriptError> {
        Self::of(from_yaml(yaml)?)
    }

    /// Reads the text of a task file at `path`. The steps of other files that it uses are part of it then, so that it can
    /// be [written](Self::to_yaml) and read again without them.
    ///
    /// # Errors
    /// As [`Self::parse`]; of a fault in another file, its name and place are part of the message.
    pub fn parse_file(yaml: &str, path: &Path) -> Result<Self, ScriptError> {
        Self::of(in_file(path, || from_yaml(yaml))?)
    }

    fn of(written: Written) -> Result<Self, ScriptError> {
        let Written {
            name,
            tags,
            vars,
            draw,
            animated,
            max_steps,
            rows,
            start,
            before,
            steps,
            after,
            goal,
            expect,
            reward,
            wait_secs,
        } = written;
        let fault = |message: &str| Err(ScriptError { message: message.to_owned(), at: None });
        let plan = match (goal, steps) {
            (Some(goal), steps) if steps.is_empty() => Plan::Goal(goal),
            (None, steps) if !steps.is_empty() => Plan::Steps(steps),
            (Some(_), _) => return fault("a task has either `steps` or a `goal`, this one has both"),
            (None, _) => return fault("a task needs `steps` or a `goal`"),
        };
        for (variable, drawn) in &draw {
            if vars.contains_key(variable) {
                return fault(&format!(
                    "`{variable}` is under `vars` and under `draw`: leave one of them out"
                ));
            }
            if let Some(wrong) = drawn.fault() {
                return fault(&format!("`draw`, `{variable}`: {wrong}"));
            }
        }
        match (max_steps, &plan) {
            (Some(0), _) => return fault("`max_steps` is a whole number from 1 on"),
            (Some(_), Plan::Steps(_)) => {
                return fault("`max_steps` limits what is done for a `goal`; `steps` are counted");
            }
            _ => {}
        }
        if expect.is_empty() {
            return fault("`expect` needs at least one clause, otherwise nothing can be judged");
        }
        if matches!(plan, Plan::Goal(_)) && !(before.is_empty() && after.is_empty()) {
            return fault("`before` and `after` belong to `steps`, and this task has a `goal`");
        }
        if let Some(message) = start.fault() {
            return fault(&message);
        }
        if rows.as_ref().is_some_and(|rows| rows.trim().is_empty() || rows.contains("${")) {
            return fault("`rows` needs the path of a CSV file, without variables");
        }
        if let Some(fault) = expect.iter().find_map(Clause::fault) {
            return Err(ScriptError { message: fault, at: None });
        }
        let patience = Duration::try_from_secs_f64(wait_secs.unwrap_or(PATIENCE_SECS));
        let Ok(patience) = patience else { return fault("`wait_secs` is a number of seconds from 0 on") };
        let task = Self {
            name,
            vars,
            draw,
            animated,
            max_steps,
            tags,
            rows,
            start,
            before,
            plan,
            after,
            expect,
            reward,
            patience,
            values: Values::default(),
        };
        let faulty = task.all_steps().find_map(Step::fault);
        match faulty {
            Some(message) => Err(ScriptError { message, at: None }),
            None => Ok(task),
        }
    }

    /// What a task file may hold, as a JSON schema: for editors, and for programs that write tasks.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Written).to_value()
    }

    /// The same of a file of steps that tasks share.
    pub fn schema_of_shared_steps() -> serde_json::Value {
        schemars::schema_for!(SharedSteps).to_value()
    }

    /// The task as a file: [`Self::parse`] gives the same task again.
    ///
    /// # Errors
    /// [`ScriptError`] if a text cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, ScriptError> {
        let Self {
            name,
            tags,
            vars,
            draw,
            animated,
            max_steps,
            rows,
            start,
            before,
            plan,
            after,
            expect,
            reward,
            patience,
            values: _,
        } = self.clone();
        let (steps, goal) = match plan {
            Plan::Steps(steps) => (steps, None),
            Plan::Goal(goal) => (Vec::new(), Some(goal)),
        };
        let secs = patience.as_secs_f64();
        let wait_secs = (secs != PATIENCE_SECS).then_some(secs);
        let written = Written {
            name,
            tags,
            vars,
            draw,
            animated,
            max_steps,
            rows,
            start,
            before,
            steps,
            after,
            goal,
            expect,
            reward,
            wait_secs,
        };
        serde_norway::to_string(&written)
            .map_err(|error| ScriptError { message: error.to_string(), at: None })
    }
}

/// What a text in YAML says, or the place of its first fault.
fn from_yaml<T: DeserializeOwned>(yaml: &str) -> Result<T, ScriptError> {
    serde_norway::from_str(yaml).map_err(|error| {
        let at = error.location().map(|place| (place.line(), place.column()));
        let message = error.to_string();
        // The place is kept apart; what YAML says ends with it.
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        ScriptError { message, at }
    })
}

fn as_text<S: Serializer>(area: &Option<Area>, to: S) -> Result<S::Ok, S::Error> {
    area.as_ref().map(Area::to_string).serialize(to)
}

fn as_sides<S: Serializer>(viewport: &Option<Size<Viewport>>, to: S) -> Result<S::Ok, S::Error> {
    viewport.map(|size| format!("{}x{}", size.width, size.height)).serialize(to)
}

fn area<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Area>, D::Error> {
    String::deserialize(source)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn status<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<u16>, D::Error> {
    let status = u16::deserialize(source)?;
    match (100..=599).contains(&status) {
        true => Ok(Some(status)),
        false => {
            Err(serde::de::Error::custom(format!("`{status}` is no HTTP status: they are from 100 to 599")))
        }
    }
}

fn viewport<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Size<Viewport>>, D::Error> {
    let text = String::deserialize(source)?;
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| *side > 0);
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    let (width, height) = sides.ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is no viewport, expected e.g. 1280x800"))
    })?;
    Ok(Some(Size::of_pixels(width, height)))
}

#[cfg(test)]
mod tests {
    use vigorl_interface::{Act, Key};

    use super::*;

    #[test]
    fn a_page_that_answers_with_an_error_is_not_the_one_that_is_meant_unless_the_task_says_so() {
        let check = |meant: Option<u16>, status: Option<u16>, expected: Result<(), (&str, bool)>| {
            let start = Start { status: meant, ..Start::default() };
            let got = start.expect_answer(&PageState { status, ..PageState::default() }).map_err(|error| {
                let may_come = matches!(error.downcast_ref(), Some(DriverError::Refused { .. }));
                (error.to_string(), may_come)
            });
            match (&got, expected) {
                (Ok(()), Ok(())) => {}
                (Err((said, may_come)), Err((words, expected))) => {
                    assert!(said.contains(words) && *may_come == expected, "{meant:?} {status:?}: {got:?}");
                }
                _ => panic!("{meant:?} {status:?}: {got:?}"),
            }
        };
        for status in [None, Some(200), Some(204), Some(304)] {
            check(None, status, Ok(()));
        }
        check(Some(404), Some(404), Ok(()));
        check(Some(404), None, Ok(()));
        // What still comes up may say that there is no such page, or that it is not ready.
        check(None, Some(404), Err(("answered 404; if it is the one that is meant", true)));
        check(None, Some(503), Err(("`start: { status: 503 }`", true)));
        check(None, Some(401), Err(("answered 401", false)));
        check(Some(404), Some(200), Err(("answered 200, and `start.status` is 404", false)));
        check(Some(404), Some(502), Err(("answered 502", true)));
    }

    const WIKI: &str = r#"
name: find a page in the wiki
start: { driver: web, url: "http://127.0.0.1:8080/", viewport: 1280x800 }
steps:
  - click: the search box
  - type: "grounding"
  - press: Control+Enter
  - drag: { from: the card, to: the bin }
  - scroll: { target: the table of contents, by: 400 }
  - click: { what: the first hit, name: Grounding, role: link }
  - navigate: http://127.0.0.1:8080/all
  - wait_for: { title_contains: All }
  - assert: { file: { path: out.txt } }
expect:
  - url_contains: "/grounding"
  - text_visible: "Grounding"
reward: mean
wait_secs: 2.5
"#;

    #[test]
    fn reads_every_part() {
        let task = ScriptedTask::parse(WIKI).unwrap();
        assert_eq!(task.name, "find a page in the wiki");
        assert_eq!(task.start.viewport, Some(Size::new(1280.0, 800.0)));
        let Plan::Steps(steps) = &task.plan else { panic!("{task:?}") };
        assert_eq!(steps[0], Step::Act(Act::click("the search box".into())));
        assert_eq!(steps[2], Step::Act(Act::Press { chord: vec![Key::Control, Key::Enter] }));
        assert_eq!(
            steps[4],
            Step::Act(Act::Scroll { at: "the table of contents".into(), dx_px: 0.0, dy_px: 400.0 })
        );
        assert_eq!(
            steps[7],
            Step::Check(CheckStep {
                clause: Clause::TitleContains("All".to_owned()),
                waits: true,
                within_secs: None
            })
        );
        let file = FileClause { path: "out.txt".to_owned(), contains: None };
        let check = CheckStep { clause: Clause::File(file), waits: false, within_secs: None };
        assert_eq!(steps[8], Step::Check(check));
        assert_eq!(task.expect[1], Clause::TextVisible("Grounding".into()));
        assert_eq!((task.reward, task.patience), (RewardRule::Mean, Duration::from_millis(2500)));
        assert_eq!(ScriptedTask::parse(&task.to_yaml().unwrap()), Ok(task));
    }

    #[test]
    fn keys_have_the_names_of_the_interface() {
        for (name, key) in [("ArrowDown", Key::Down), ("Esc", Key::Escape), ("Return", Key::Enter)] {
            let yaml = format!("name: n\nstart: {{}}\nsteps: [press: {name}]\nexpect: [url_contains: x]\n");
            let task = ScriptedTask::parse(&yaml).unwrap();
            assert_eq!(task.steps(), [Step::Act(Act::Press { chord: vec![key] })]);
        }
    }

    const KEY: &str = "95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww=";

    #[test]
    fn who_visits_is_read_as_it_was_written() {
        let visitor = Visitor {
            locale: Some("pt-BR".parse().unwrap()),
            time_zone: Some("America/Sao_Paulo".parse().unwrap()),
            geolocation: Some("-23.5,-46.6,5".parse().unwrap()),
            permissions: Some("camera,notifications=denied".parse().unwrap()),
            certificates: Some(format!("{KEY},{KEY}").parse().unwrap()),
        };
        assert_eq!(Start::default().visited_by(&visitor).visitor(), Ok(visitor));
        assert_eq!(Start::default().visitor(), Ok(Visitor::default()));
        let any = Visitor { certificates: Some(Certificates::AcceptAny), ..Visitor::default() };
        assert_eq!(Start::default().visited_by(&any).visitor(), Ok(any));
        let yaml = "name: n\nstart: { locale: de-DE, geolocation: { latitude: 1, longitude: 2 }, permissions: { camera: granted } }\n\
                    steps: [type: a]\nexpect: [url_contains: x]\n";
        let task = ScriptedTask::parse(yaml).unwrap();
        let place = task.start.visitor().unwrap().geolocation.unwrap();
        assert_eq!((place.latitude, place.longitude, place.accuracy), (1.0, 2.0, 10.0));
        assert_eq!(ScriptedTask::parse(&task.to_yaml().unwrap()), Ok(task));
    }

    #[test]
    fn a_goal_needs_no_steps() {
        let task = ScriptedTask::parse(
            "name: n\nstart: { url: 'about:blank' }\ngoal: log in\nexpect: [text_visible: Welcome]\n",
        )
        .unwrap();
        assert_eq!(task.plan, Plan::Goal("log in".to_owned()));
        assert_eq!((task.start.driver, task.reward), (World::Web, RewardRule::All));
    }

    #[test]
    fn what_comes_before_and_behind_the_steps_is_a_part_of_the_task() {
        let yaml = "name: n\nrows: people.csv\nstart: {}\nbefore:\n  - navigate: /login\nsteps:\n  - type: '${who}'\n\
                    after:\n  - click: the bin\n  - read: { of: title, into: left }\nexpect: [url_contains: '${left}']\n";
        let mut task = ScriptedTask::parse(yaml).unwrap();
        assert_eq!([task.before.len(), task.steps().len(), task.after.len()], [1, 1, 2]);
        assert_eq!((task.all_steps().count(), task.rows.as_deref()), (4, Some("people.csv")));
        assert_eq!(ScriptedTask::parse(&task.to_yaml().unwrap()), Ok(task.clone()));
        // Its texts are filled in as those of the steps are.
        let fault = task.fill(&BTreeMap::new(), &|_| None).unwrap_err();
        assert!(fault.message.contains("no variable `who`"), "{fault}");
        task.vars.insert("who".to_owned(), "ada".to_owned());
        assert_eq!(task.fill(&BTreeMap::new(), &|_| None), Ok(Vec::new()));
        let tail = "steps: [{type: a}]\nexpect: [url_contains: x]\n";
        let goal = "goal: g\nexpect: [url_contains: x]\n";
        for (lines, words) in [
            (format!("before: [{{assert: {{ text_visible: '' }}}}]\n{tail}"), "is empty"),
            (format!("after: [{{repeat: {{ times: 0, steps: [{{type: a}}] }}}}]\n{tail}"), "`times` from 1"),
            (format!("before: [{{type: a}}]\n{goal}"), "belong to `steps`"),
            (format!("after: [{{type: a}}]\n{goal}"), "belong to `steps`"),
            (format!("rows: ' '\n{tail}"), "the path of a CSV file"),
            (format!("rows: '${{who}}.csv'\n{tail}"), "the path of a CSV file"),
        ] {
            check(&format!("name: n\nstart: {{}}\n{lines}"), None, words);
        }
    }

    fn check(yaml: &str, line: Option<usize>, words: &str) {
        let error = ScriptedTask::parse(yaml).unwrap_err();
        assert_eq!(error.at.map(|(line, _)| line), line, "{error}");
        assert!(error.message.contains(words), "{error}");
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let tail = "\nexpect: [text_visible: x]\n";
        let steps = |steps: &str| format!("name: n\nstart: {{}}\nsteps:\n  - click: a\n{steps}{tail}");
        check(&steps("  - clikc: the box"), Some(5), "unknown variant `clikc`");
        check(&steps("  - press: Hyper+x"), Some(5), "`Hyper` is no key");
        check(&steps("  - press: Control+"), Some(5), "a key is missing in `Control+`");
        check(&steps("  - scroll: { target: x }"), Some(5), "missing field `by`");
        check("name: n\nstart: { area: windows }\ngoal: g\n", Some(2), "`windows` is no area");
        check("name: n\nstart: { viewport: 12by8 }\ngoal: g\n", Some(2), "no viewport");
        check("name: n\nstart: {}\ngoal: g\nreword: all\n", Some(4), "unknown field `reword`");
        check("name: n\nstart: {}\ngoal: g\n", None, "at least one clause");
        check(&format!("{}wait_secs: -1\n", steps("  - click: x")), None, "seconds from 0 on");
        check(&format!("name: n\nstart: {{}}{tail}"), None, "needs `steps` or a `goal`");
        let on_desktop = format!("name: n\nstart: {{ driver: desktop, storage: a.json }}\ngoal: g{tail}");
        check(&on_desktop, None, "`start.storage` belongs to a browser");
        for (start, words) in [
            ("driver: desktop, locale: de-DE", "`start.locale` belongs to a browser"),
            ("locale: de_DE", "`start.locale`: `de_DE` is no locale"),
            ("time_zone: +02:00", "`start.time_zone`: `+02:00` is no time zone"),
            ("geolocation: { latitude: 91, longitude: 0 }", "`start.geolocation`: the latitude 91"),
            ("permissions: { telepathy: granted }", "`telepathy` is no permission; there are accelerometer,"),
            ("certificates: all", "`start.certificates`: `all` is neither `accept-any` nor a list"),
            ("certificates: ['ab:cd']", "`start.certificates`: `ab:cd` is no fingerprint of a public key"),
            ("certificates: []", "`start.certificates`: the list has no fingerprint"),
            (
                "basic_auth: { user: 'a:b', password: hunter2 }",
                "`start.basic_auth`: the user `a:b` has a colon",
            ),
            (
                "driver: desktop, basic_auth: { user: a, password: hunter2 }",
                "`start.basic_auth` belongs to a browser",
            ),
        ] {
            check(&format!("name: n\nstart: {{ {start} }}\ngoal: g{tail}"), None, words);
        }
        check(&format!("{}goal: g\n", steps("  - click: x")), None, "has both");
        for clause in [
            "text_visible: '  '",
            "text_gone: ''",
            "text_visible: { text: '', on: screen }",
            "url_contains: ''",
            "title_contains: ''",
            "javascript: ' '",
            "command: ''",
            "picture: ''",
            "file: { path: '' }",
            "file: { path: x, contains: '' }",
            "downloaded: ''",
            "downloaded: { name: x, contains: '' }",
            "element: { name: '', is: visible }",
            "element: { is: visible }",
            "element: { name: a }",
            "count: { name: a }",
            "text_matches: '('",
            "not: { text_visible: '' }",
            "any: [{ text_visible: a }, { text_gone: '' }]",
            "all: []",
        ] {
            let words = match clause {
                "element: { is: visible }" => "`selector`",
                "element: { name: a }" => "asks one thing",
                "count: { name: a }" => "says how many",
                "text_matches: '('" => "no pattern",
                "all: []" => "no clause",
                _ => "is empty",
            };
            // What an element is asked is known as soon as it is read.
            let has_line = clause.starts_with("element") || clause.starts_with("count");
            let goal = format!("name: n\nstart: {{}}\ngoal: g\nexpect: [{{ {clause} }}]\n");
            check(&goal, has_line.then_some(4), words);
            for step in [
                format!("within: {{ secs: 1, steps: [assert: {{ {clause} }}] }}"),
                format!("retry: {{ times: 2, until: {{ {clause} }}, steps: [press: Enter] }}"),
                format!("assert: {{ that: {{ {clause} }}, within_secs: 1 }}"),
                format!("if: {{ holds: {{ {clause} }}, steps: [press: Enter] }}"),
                format!("if: {{ holds: {{ url_contains: a }}, else: [assert: {{ {clause} }}] }}"),
                format!("optional: {{ steps: [assert: {{ {clause} }}] }}"),
            ] {
                check(&steps(&format!("  - {step}")), has_line.then_some(5), words);
            }
        }
        for (step, words) in [
            ("if: { holds: { url_contains: a } }", "at least one of `steps`, or of `else`"),
            ("if: { holds: { url_contains: a }, within_secs: -1, steps: [type: a] }", "from 0 on"),
            ("optional: { steps: [] }", "at least one of `steps`"),
            ("optional: { secs: -1, steps: [type: a] }", "from 0 on"),
            ("assert: { that: { url_contains: a }, within_secs: -1 }", "from 0 on"),
            ("click: { what: a, name: b, nth: 0 }", "counts from 1"),
            ("click: { what: a, name_matches: '(' }", "no pattern"),
            ("read: { of: { element: { nth: 2 } }, into: x }", "needs a `selector`"),
        ] {
            check(&steps(&format!("  - {step}")), None, words);
        }
        let error = ScriptedTask::parse("name: n\n  start: {}\n").unwrap_err();
        assert!(error.to_string().starts_with("line 2, column "), "{error}");
    }
}
