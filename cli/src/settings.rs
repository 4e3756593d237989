//! Settings: what was typed, the environment, files and defaults become typed values.
//!
//! Invariant: the order flag > `VIGORL_*` > project file > user file > default is implemented once, for every
//! setting alike, and each value remembers where it came from. A value that cannot be used names its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_json::json;
use vigorl_endpoint::{BaseUrl, EndpointError};
use vigorl_geometry::{DevicePixelRatio, Size, Viewport};
use vigorl_interface::{
    AREA_HELP, AllowedWindows, Area, CERTIFICATES_HELP, Certificates, GEOLOCATION_HELP, Geolocation,
    LOCALE_HELP, Locale, Permissions, TIME_ZONE_HELP, TimeZone, Visitor,
};
use vigorl_policy::wire::Dot;
use vigorl_qwen::WeightFormat;
use vigorl_tasks::scripted::{Start, World, WrittenLogin};
use vigorl_webdriver::AllowedHosts;

use crate::args::{
    BrowserArgs, ComputeArgs, EndpointArgs, EpisodeArgs, LimitArgs, PolicyArgs, RecordTextArgs, RunDirArgs,
    SurenessArgs, VisitorArgs,
};
use crate::confirm::{KINDS_HELP, Kinds};
use crate::env;
use crate::exit::usage;

/// The project file, in the folder the command runs in.
pub(crate) const PROJECT_FILE: &str = "vigorl.toml";

/// Every setting and its default; without one, the preset or the system decides.
const TABLE: [(&str, Option<&str>); 43] = [
    ("model", Some("nano")),
    ("base_url", None),
    ("served_model", None),
    ("served_max_pixels", None),
    ("served_min_pixels", None),
    ("request_secs", Some("300")),
    ("preset", None),
    ("dtype", Some("f32")),
    ("device", Some("cpu")),
    ("seed", Some("0")),
    ("temperature", Some("0")),
    ("top_p", Some("1")),
    ("constrain", Some("off")),
    ("max_pixels", None),
    ("max_turns", None),
    ("crop_offset_px", None),
    ("crop_size_px", None),
    ("dot", None),
    ("driver", Some("web")),
    ("area", Some("screen")),
    ("allowed_hosts", None),
    ("allowed_windows", None),
    ("webdriver_url", None),
    ("chromedriver", None),
    ("browser", None),
    ("window", Some("headless")),
    ("viewport", Some("1280x800")),
    ("device_pixel_ratio", Some("1")),
    ("locale", None),
    ("time_zone", None),
    ("geolocation", None),
    ("permissions", None),
    ("certificates", None),
    ("basic_auth", None),
    ("settle_cap_secs", Some("5")),
    ("max_steps", None),
    ("max_actions", None),
    ("max_secs", None),
    ("confirm_actions", None),
    ("min_confidence", Some("0.5")),
    ("suggest_regions", Some("off")),
    ("output_dir", Some("runs")),
    ("record_text", Some("candidates")),
];

/// Values by name, as text: all layers look alike.
pub(crate) type Layer = BTreeMap<&'static str, String>;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag,
    /// An environment variable.
    Environment,
    /// The project file.
    Project,
    /// The user's file.
    User(PathBuf),
    /// The number of the repetition.
    Repetition,
    /// The run that is done again.
    Recorded,
    /// Nowhere.
    Default,
}

impl Origin {
    fn describe(&self, name: &str, value: Option<&str>) -> String {
        match self {
            // Its flags are its values.
            Self::Flag if name == "window" => format!("--{}", value.unwrap_or(name)),
            Self::Flag => format!("--{}", name.replace('_', "-")),
            Self::Environment => env::variable_of(name),
            Self::Project => PROJECT_FILE.to_owned(),
            Self::User(path) => path.display().to_string(),
            Self::Repetition => "--repeat".to_owned(),
            Self::Recorded => "the recorded run".to_owned(),
            Self::Default => "default".to_owned(),
        }
    }
}

/// Where the computation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// An Apple card.
    Metal,
}

impl Device {
    /// Every device by its name on the command line.
    const NAMED: [(&str, Self); 3] = [("cpu", Self::Cpu), ("cuda", Self::Cuda), ("metal", Self::Metal)];

    /// The device of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, device)| *device)
    }
}

/// Whether a browser window is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// No.
    Headless,
    /// Yes.
    Headed,
}

/// How much of what is read goes into a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordText {
    /// Nothing: places, and what the task itself says.
    None,
    /// What an answer was chosen among.
    Candidates,
    /// Every line of every screenshot.
    All,
}

impl RecordText {
    /// Each by its name on the command line, and what it means.
    pub(crate) const NAMED: [(&str, Self, &str); 3] = [
        ("none", Self::None, "no text: only places, and what the task itself says"),
        ("candidates", Self::Candidates, "the texts among which an answer was chosen [default]"),
        ("all", Self::All, "every line of every screenshot, with its box"),
    ];
}

/// Every setting, typed and complete.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) model: String,
    base_url: Option<BaseUrl>,
    pub(crate) served_model: Option<String>,
    pub(crate) served_max_pixels: Option<u64>,
    pub(crate) served_min_pixels: Option<u64>,
    pub(crate) request_limit: Duration,
    pub(crate) preset: Option<String>,
    pub(crate) dtype: WeightFormat,
    pub(crate) device: Device,
    pub(crate) seed: u64,
    pub(crate) temperature: f64,
    pub(crate) top_p: f64,
    pub(crate) constrain: bool,
    pub(crate) max_pixels: Option<u64>,
    pub(crate) max_turns: Option<usize>,
    pub(crate) crop_offset_px: Option<u32>,
    pub(crate) crop_size_px: Option<u32>,
    pub(crate) dot: Option<Dot>,
    pub(crate) driver: World,
    pub(crate) area: Area,
    pub(crate) allowed_hosts: Option<AllowedHosts>,
    pub(crate) allowed_windows: Option<AllowedWindows>,
    pub(crate) webdriver_url: Option<String>,
    pub(crate) chromedriver: Option<PathBuf>,
    pub(crate) browser: Option<PathBuf>,
    pub(crate) window: Window,
    pub(crate) viewport: Size<Viewport>,
    pub(crate) device_pixel_ratio: DevicePixelRatio,
    visitor: Visitor,
    basic_auth: Option<WrittenLogin>,
    pub(crate) settle_cap: Duration,
    pub(crate) max_steps: Option<usize>,
    pub(crate) max_actions: Option<usize>,
    pub(crate) min_confidence: f64,
    pub(crate) suggest_regions: bool,
    pub(crate) max_time: Option<Duration>,
    pub(crate) confirm_actions: Option<Kinds>,
    pub(crate) output_dir: PathBuf,
    pub(crate) record_text: RecordText,
    resolved: Resolved,
}

/// The winning text of every setting, with its origin.
#[derive(Debug, Clone)]
struct Resolved(Vec<(&'static str, Option<String>, Origin)>);

impl Settings {
    /// Resolves `flags` against the environment and the files of the folder the command runs in.
    ///
    /// # Errors
    /// A usage error that names the setting and where its value came from.
    pub(crate) fn resolve(flags: Layer) -> anyhow::Result<Self> {
        let environment = TABLE.iter().filter_map(|(name, _)| Some((*name, env::setting(name)?))).collect();
        let project = read_file(Path::new(PROJECT_FILE))?;
        let user_path = env::user_file();
        let user = user_path.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let layers = [
            (Origin::Flag, flags),
            (Origin::Environment, environment),
            (Origin::Project, project),
            (Origin::User(user_path.unwrap_or_default()), user),
        ];
        Self::from_layers(&layers)
    }

    fn from_layers(layers: &[(Origin, Layer)]) -> anyhow::Result<Self> {
        let winner = |name: &'static str, default: Option<&str>| {
            let found =
                layers.iter().find_map(|(origin, layer)| Some((layer.get(name)?.clone(), origin.clone())));
            match found {
                Some((text, origin)) => (name, Some(text), origin),
                None => (name, default.map(str::to_owned), Origin::Default),
            }
        };
        Self::of(Resolved(TABLE.iter().map(|(name, default)| winner(name, *default)).collect()))
    }

    /// Reads every value.
    fn of(r: Resolved) -> anyhow::Result<Self> {
        if let Some(preset) = r.text("preset") {
            let known = vigorl_policy::Preset::NAMES;
            if !known.contains(&preset) {
                return Err(r.wrong("preset", &format!("one of {}", known.join(", "))));
            }
        }
        Ok(Self {
            model: r.required("model")?.to_owned(),
            base_url: r.base_url()?,
            served_model: r.text("served_model").map(str::to_owned),
            served_max_pixels: r.optional(
                "served_max_pixels",
                "a number of pixels from 1 on",
                |n: &u64| *n > 0,
            )?,
            served_min_pixels: r.optional("served_min_pixels", "a number of pixels", |_: &u64| true)?,
            request_limit: {
                let fits = |s: &f64| *s > 0.0 && *s <= 1e6;
                Duration::from_secs_f64(r.number("request_secs", "a number of seconds above 0", fits)?)
            },
            preset: r.text("preset").map(str::to_owned),
            dtype: r.one_of_or_former("dtype", &WeightFormat::NAMED, &WeightFormat::FORMERLY)?,
            device: r.one_of("device", &Device::NAMED)?,
            seed: r.number("seed", "a whole number", |_: &u64| true)?,
            temperature: r
                .number("temperature", "a number from 0 on", |t: &f64| t.is_finite() && *t >= 0.0)?,
            top_p: r.number("top_p", "a number above 0, at most 1", |p: &f64| *p > 0.0 && *p <= 1.0)?,
            constrain: r.one_of("constrain", &[("off", false), ("on", true)])?,
            max_pixels: r.optional("max_pixels", "a number of pixels from 1 on", |n: &u64| *n > 0)?,
            max_turns: r.optional("max_turns", "a whole number from 1 on", |n: &usize| *n > 0)?,
            crop_offset_px: r.optional("crop_offset_px", "a number of pixels from 1 on", |n: &u32| *n > 0)?,
            crop_size_px: r.optional("crop_size_px", "a number of pixels from 1 on", |n: &u32| *n > 0)?,
            dot: match r.text("dot") {
                None => None,
                Some(_) => Some(r.one_of("dot", &[("draw", Dot::Draw), ("omit", Dot::Omit)])?),
            },
            driver: r.one_of("driver", &[("web", World::Web), ("desktop", World::Desktop)])?,
            area: r.number("area", AREA_HELP, |_: &Area| true)?,
            allowed_hosts: {
                let read = |text: &str| {
                    AllowedHosts::parse(text)
                        .map_err(|why| r.wrong("allowed_hosts", &format!("a list of hosts: {why}")))
                };
                r.text("allowed_hosts").map(read).transpose()?
            },
            allowed_windows: {
                let read = |text: &str| {
                    AllowedWindows::parse(text)
                        .map_err(|why| r.wrong("allowed_windows", &format!("a list of windows: {why}")))
                };
                r.text("allowed_windows").map(read).transpose()?
            },
            webdriver_url: r.text("webdriver_url").map(str::to_owned),
            chromedriver: r.text("chromedriver").map(PathBuf::from),
            browser: r.text("browser").map(PathBuf::from),
            window: r.one_of("window", &[("headless", Window::Headless), ("headed", Window::Headed)])?,
            viewport: {
                let text = r.required("viewport")?;
                let (width, height) =
                    parse_size(text).ok_or_else(|| r.wrong("viewport", "a size such as 1280x800"))?;
                Size::of_pixels(width, height)
            },
            device_pixel_ratio: {
                let ratio = r.number("device_pixel_ratio", "a number above 0", |n: &f64| *n > 0.0)?;
                DevicePixelRatio::new(ratio)
                    .ok_or_else(|| r.wrong("device_pixel_ratio", "a number above 0"))?
            },
            visitor: Visitor {
                locale: r.optional("locale", LOCALE_HELP, |_: &Locale| true)?,
                time_zone: r.optional("time_zone", TIME_ZONE_HELP, |_: &TimeZone| true)?,
                geolocation: r.optional("geolocation", GEOLOCATION_HELP, |_: &Geolocation| true)?,
                permissions: {
                    let read = |text: &str| {
                        text.parse::<Permissions>()
                            .map_err(|why| r.wrong("permissions", &format!("a list of permissions: {why}")))
                    };
                    r.text("permissions").map(read).transpose()?
                },
                certificates: {
                    let read = |text: &str| {
                        text.parse::<Certificates>()
                            .map_err(|why| r.wrong("certificates", &format!("{CERTIFICATES_HELP}: {why}")))
                    };
                    r.text("certificates").map(read).transpose()?
                },
            },
            basic_auth: r.login()?,
            settle_cap: {
                let secs = r.number("settle_cap_secs", "seconds from 0 to 600", |s: &f64| {
                    (0.0..=600.0).contains(s)
                })?;
                Duration::from_secs_f64(secs)
            },
            max_steps: r.optional("max_steps", "a whole number from 1 on", |n: &usize| *n > 0)?,
            max_actions: r.optional("max_actions", "a whole number from 1 on", |n: &usize| *n > 0)?,
            max_time: {
                let fits = |s: &f64| *s > 0.0 && *s <= 1e9;
                r.optional("max_secs", "a number of seconds above 0", fits)?.map(Duration::from_secs_f64)
            },
            min_confidence: r
                .number("min_confidence", "a number from 0 to 1", |p: &f64| (0.0..=1.0).contains(p))?,
            suggest_regions: r.one_of("suggest_regions", &[("off", false), ("on", true)])?,
            confirm_actions: r.optional("confirm_actions", KINDS_HELP, |_: &Kinds| true)?,
            output_dir: PathBuf::from(r.required("output_dir")?),
            record_text: r.one_of("record_text", &RecordText::NAMED.map(|(name, how, _)| (name, how)))?,
            resolved: r,
        })
    }

    /// Whether the value was typed: then it is stronger than a task file.
    pub(crate) fn is_typed(&self, name: &str) -> bool {
        *self.resolved.entry(name).1 == Origin::Flag
    }

    /// Who visits the pages of a task that begins like this. Where both say something, what was typed, or what the recorded
    /// run had, is stronger than the task, and the task stronger than all else.
    pub(crate) fn visitor_of(&self, start: &Start) -> anyhow::Result<Visitor> {
        let of_task = start.visitor().map_err(usage)?;
        let Visitor { locale, time_zone, geolocation, permissions, certificates } = self.visitor.clone();
        Ok(Visitor {
            locale: self.stronger("locale", locale, of_task.locale),
            time_zone: self.stronger("time_zone", time_zone, of_task.time_zone),
            geolocation: self.stronger("geolocation", geolocation, of_task.geolocation),
            permissions: self.stronger("permissions", permissions, of_task.permissions),
            certificates: self.stronger("certificates", certificates, of_task.certificates),
        })
    }

    /// The login of the start page of a task that begins like this, by the same rule.
    pub(crate) fn login_of(&self, start: &Start) -> Option<WrittenLogin> {
        self.stronger("basic_auth", self.basic_auth.clone(), start.basic_auth.clone())
    }

    /// Whether the task says who logs in, and nobody says otherwise who is stronger.
    pub(crate) fn login_is_of(&self, start: &Start) -> bool {
        start.basic_auth.is_some() && self.login_of(start) == start.basic_auth
    }

    fn stronger<T>(&self, name: &str, ours: Option<T>, of_task: Option<T>) -> Option<T> {
        let is_stronger = matches!(self.resolved.entry(name).1, Origin::Flag | Origin::Recorded);
        if is_stronger { ours.or(of_task) } else { of_task.or(ours) }
    }

    /// The address of the server that is asked, if one is. A model that was typed is nearer than an address in the environment
    /// or in a file.
    pub(crate) fn base_url(&self) -> Option<&BaseUrl> {
        let is_nearer = self.is_typed("model") && !self.is_typed("base_url");
        self.base_url.as_ref().filter(|_| !is_nearer)
    }

    /// Whether somebody has said it: on the command line, in the environment or in a file.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        *self.resolved.entry(name).1 != Origin::Default
    }

    /// Ends as wrong usage where weights are needed and a server is named.
    pub(crate) fn needs_weights(&self, why: &str) -> anyhow::Result<()> {
        match self.base_url() {
            None => Ok(()),
            Some(_) => Err(usage(format!("{}: {why}: name one with --model", self.origin_of("base_url")))),
        }
    }

    /// Where a value came from, as it is named to people.
    pub(crate) fn origin_of(&self, name: &str) -> String {
        let (value, origin) = self.resolved.entry(name);
        origin.describe(name, value)
    }

    /// The same settings with the seed of another repetition.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        let mut settings = Self { seed, ..self.clone() };
        let entries = settings.resolved.0.iter_mut();
        for (_, value, origin) in entries.filter(|(name, ..)| *name == "seed" && seed != self.seed) {
            (*value, *origin) = (Some(seed.to_string()), Origin::Repetition);
        }
        settings
    }

    /// The same settings with those of a recorded run (`settings` of its `run.json`) that say what its world was like and
    /// what held it back: doing it again must not see more, reach more or do more than it could. What is typed wins, but for `max_steps`: so many can be done again,
    /// if the run did not do all.
    pub(crate) fn as_recorded(
        &self,
        recorded: &serde_json::Value,
        max_steps: Option<usize>,
    ) -> anyhow::Result<Self> {
        const CARRIED: [&str; 13] = [
            "device_pixel_ratio",
            "locale",
            "time_zone",
            "geolocation",
            "permissions",
            "certificates",
            "basic_auth",
            "allowed_hosts",
            "allowed_windows",
            "max_steps",
            "max_actions",
            "max_secs",
            "record_text",
        ];
        let mut resolved = self.resolved.clone();
        for (name, value, origin) in &mut resolved.0 {
            let of_run = recorded.get(*name).and_then(|entry| entry.get("value")?.as_str());
            if let (true, Some(of_run)) = (CARRIED.contains(name) && *origin != Origin::Flag, of_run) {
                (*value, *origin) = (Some(of_run.to_owned()), Origin::Recorded);
            }
            if let ("max_steps", Some(most)) = (*name, max_steps) {
                (*value, *origin) = (Some(most.to_string()), Origin::Recorded);
            }
        }
        Self::of(resolved)
    }

    /// Name, value and origin of every setting, as TOML for people.
    pub(crate) fn to_toml(&self) -> String {
        let lines = self.resolved.0.iter().map(|(name, value, origin)| {
            let (comment, assignment) = match value {
                Some(value) => ("", format!("{name} = {}", toml::Value::from(value.as_str()))),
                None => ("# ", format!("{name} is decided by the preset or the system")),
            };
            format!("{:<44} # {}", format!("{comment}{assignment}"), origin.describe(name, value.as_deref()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The same for programs and records.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let entries = self.resolved.0.iter().map(|(name, value, origin)| {
            ((*name).to_owned(), json!({ "value": value, "origin": origin.describe(name, value.as_deref()) }))
        });
        serde_json::Value::Object(entries.collect())
    }
}

impl Resolved {
    fn entry(&self, name: &str) -> (Option<&str>, &Origin) {
        self.0
            .iter()
            .find(|(known, ..)| *known == name)
            .map_or((None, &Origin::Default), |(_, value, origin)| (value.as_deref(), origin))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.entry(name).0
    }

    fn required(&self, name: &str) -> anyhow::Result<&str> {
        self.text(name).ok_or_else(|| usage(format!("`{name}` has no value")))
    }

    /// What was typed is not repeated: what is wrong with it may be a secret in it.
    fn base_url(&self) -> anyhow::Result<Option<BaseUrl>> {
        let (value, origin) = self.entry("base_url");
        let wrong = |error: EndpointError| usage(format!("{}: {error}", origin.describe("base_url", value)));
        let url = value.map(|text| BaseUrl::parse(text).map_err(wrong)).transpose()?;
        for name in ["served_model", "served_max_pixels", "served_min_pixels", "request_secs"] {
            if url.is_none() && *self.entry(name).1 == Origin::Flag {
                let (value, origin) = self.entry(name);
                let flag = origin.describe(name, value);
                return Err(usage(format!("{flag} is about a server: name it with --base-url")));
            }
        }
        Ok(url)
    }

    /// Likewise not repeated.
    fn login(&self) -> anyhow::Result<Option<WrittenLogin>> {
        let (value, origin) = self.entry("basic_auth");
        let wrong = |why: String| usage(format!("{}: {why}", origin.describe("basic_auth", None)));
        value.map(|text| text.parse().map_err(wrong)).transpose()
    }

    fn wrong(&self, name: &str, expected: &str) -> anyhow::Error {
        let (value, origin) = self.entry(name);
        usage(format!("{}: `{}` is not {expected}", origin.describe(name, value), value.unwrap_or_default()))
    }

    fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> anyhow::Result<T> {
        let text = self.required(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        chosen.ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &words.join(" or "))
        })
    }

    /// As [`Self::one_of`]; former names are understood, but not offered.
    fn one_of_or_former<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        former: &[(&str, T)],
    ) -> anyhow::Result<T> {
        let text = self.required(name)?;
        match former.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => self.one_of(name, choices),
        }
    }

    fn optional<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
        fits: impl Fn(&T) -> bool,
    ) -> anyhow::Result<Option<T>> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => match text.parse().ok().filter(fits) {
                Some(value) => Ok(Some(value)),
                None => Err(self.wrong(name, expected)),
            },
        }
    }

    fn number<T: FromStr>(&self, name: &str, expected: &str, fits: impl Fn(&T) -> bool) -> anyhow::Result<T> {
        self.optional(name, expected, fits)?.ok_or_else(|| usage(format!("`{name}` has no value")))
    }
}

/// `1280x800` as width and height.
pub(crate) fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| (1..=32_767).contains(side));
    Some((side(width)?, side(height)?))
}

/// The settings of a TOML file; none if there is no such file.
fn read_file(path: &Path) -> anyhow::Result<Layer> {
    let text = match vigorl_files::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Layer::new()),
        Err(error) => return Err(usage(format!("cannot read `{}`: {error}", path.display()))),
    };
    parse_file(&text, path)
}

fn parse_file(text: &str, path: &Path) -> anyhow::Result<Layer> {
    let shown = path.display();
    let table: toml::Table = text.parse().map_err(|error| usage(format!("`{shown}`: {error}")))?;
    let mut layer = Layer::new();
    for (key, value) in table {
        let known = TABLE.iter().map(|(name, _)| *name).find(|name| **name == *key);
        let Some(name) = known else {
            let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
            return Err(usage(format!("`{shown}`: unknown setting `{key}`; there are {}", names.join(", "))));
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            other => {
                return Err(usage(format!(
                    "`{shown}`: `{key}` is {}, expected a text or a number",
                    other.type_str()
                )));
            }
        };
        layer.insert(name, text);
    }
    Ok(layer)
}

/// What was typed, as a layer.
pub(crate) trait Typed {
    /// Adds the flags that were given.
    fn add_to(&self, layer: &mut Layer);
}

fn add<T: fmt::Display>(layer: &mut Layer, name: &'static str, value: Option<&T>) {
    if let Some(value) = value {
        layer.insert(name, value.to_string());
    }
}

impl Typed for PolicyArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "model", self.model.as_ref());
        add(layer, "preset", self.preset.as_ref());
        add(layer, "dtype", self.dtype.as_ref());
        add(layer, "device", self.device.as_ref());
        add(layer, "seed", self.seed.as_ref());
        add(layer, "temperature", self.temperature.as_ref());
        add(layer, "top_p", self.top_p.as_ref());
        add(layer, "constrain", self.constrain.as_ref());
        add(layer, "max_pixels", self.max_pixels.as_ref());
        add(layer, "max_turns", self.max_turns.as_ref());
        add(layer, "crop_offset_px", self.crop_offset_px.as_ref());
        add(layer, "crop_size_px", self.crop_size_px.as_ref());
        add(layer, "dot", self.dot.as_ref());
    }
}

impl Typed for EndpointArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "base_url", self.base_url.as_ref());
        add(layer, "served_model", self.served_model.as_ref());
        add(layer, "served_max_pixels", self.served_max_pixels.as_ref());
        add(layer, "served_min_pixels", self.served_min_pixels.as_ref());
        add(layer, "request_secs", self.request_secs.as_ref());
    }
}

impl Typed for ComputeArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "dtype", self.dtype.as_ref());
        add(layer, "device", self.device.as_ref());
    }
}

impl Typed for SurenessArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "min_confidence", self.min_confidence.as_ref());
        add(layer, "suggest_regions", self.suggest_regions.as_ref());
    }
}

impl Typed for BrowserArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "driver", self.driver.as_ref());
        add(layer, "area", self.area.as_ref());
        add(layer, "allowed_hosts", self.allowed_hosts.as_ref());
        add(layer, "allowed_windows", self.allowed_windows.as_ref());
        add(layer, "webdriver_url", self.webdriver_url.as_ref());
        add(layer, "chromedriver", self.chromedriver.as_ref());
        add(layer, "browser", self.browser_program.as_ref());
        let window = match (self.headless, self.headed) {
            (_, true) => Some("headed"),
            (true, _) => Some("headless"),
            _ => None,
        };
        add(layer, "window", window.as_ref());
        add(layer, "viewport", self.viewport.as_ref());
        add(layer, "device_pixel_ratio", self.device_pixel_ratio.as_ref());
        add(layer, "settle_cap_secs", self.settle_cap_secs.as_ref());
    }
}

impl Typed for VisitorArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "locale", self.locale.as_ref());
        add(layer, "time_zone", self.time_zone.as_ref());
        add(layer, "geolocation", self.geolocation.as_ref());
        add(layer, "permissions", self.permissions.as_ref());
        add(layer, "certificates", self.certificates.as_ref());
        add(layer, "basic_auth", self.basic_auth.as_ref());
    }
}

impl Typed for LimitArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "max_steps", self.max_steps.as_ref());
        add(layer, "max_actions", self.max_actions.as_ref());
        add(layer, "max_secs", self.max_secs.as_ref());
        add(layer, "confirm_actions", self.confirm_actions.as_ref());
    }
}

impl Typed for EpisodeArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "max_steps", self.max_steps.as_ref());
    }
}

impl Typed for RecordTextArgs {
    fn add_to(&self, layer: &mut Layer) {
        add(layer, "record_text", self.record_text.as_ref());
    }
}

impl Typed for RunDirArgs {
    fn add_to(&self, layer: &mut Layer) {
        let shown = self.output_dir.as_ref().map(|path| path.display().to_string());
        add(layer, "output_dir", shown.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&'static str, &str)]) -> Layer {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    fn layers(n: usize) -> Vec<(Origin, Layer)> {
        let all = [
            (Origin::Flag, layer(&[("seed", "1")])),
            (Origin::Environment, layer(&[("seed", "2"), ("top_p", "0.2")])),
            (Origin::Project, layer(&[("seed", "3"), ("top_p", "0.3"), ("max_turns", "3")])),
            (Origin::User("u.toml".into()), layer(&[("seed", "4"), ("max_turns", "4"), ("model", "four")])),
        ];
        all.into_iter().skip(n).collect()
    }

    #[test]
    fn the_nearest_layer_wins() {
        let seeds: Vec<u64> = (0..5).map(|n| Settings::from_layers(&layers(n)).unwrap().seed).collect();
        assert_eq!(seeds, [1, 2, 3, 4, 0]);
        let settings = Settings::from_layers(&layers(0)).unwrap();
        assert_eq!((settings.top_p, settings.max_turns, settings.model.as_str()), (0.2, Some(3), "four"));
        let shown = settings.to_toml();
        let line = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(
            line("seed =").ends_with("# --seed") && line("top_p =").ends_with("# VIGORL_TOP_P"),
            "{shown}"
        );
        assert!(
            line("max_turns").ends_with("# vigorl.toml") && line("model =").ends_with("# u.toml"),
            "{shown}"
        );
        assert!(line("viewport").ends_with("# default"), "{shown}");
        let headed = [(Origin::Flag, layer(&[("window", "headed")]))];
        let origin = Settings::from_layers(&headed).unwrap().to_json()["window"]["origin"].clone();
        assert_eq!(origin, "--headed", "there is no --window");
        assert_eq!(settings.to_json()["seed"], json!({"value": "1", "origin": "--seed"}));
        assert_eq!(settings.with_seed(1).to_json(), settings.to_json());
        let second = settings.with_seed(2);
        assert_eq!(
            (second.seed, &second.to_json()["seed"]),
            (2, &json!({"value": "2", "origin": "--repeat"}))
        );
    }

    #[test]
    fn a_wrong_value_names_its_origin_and_what_was_expected() {
        let check = |origin: Origin, name, value, message: &str| {
            let error = Settings::from_layers(&[(origin, layer(&[(name, value)]))]).unwrap_err();
            assert_eq!(error.to_string(), message);
        };
        check(
            Origin::Environment,
            "temperature",
            "hot",
            "VIGORL_TEMPERATURE: `hot` is not a number from 0 on",
        );
        check(Origin::Project, "viewport", "12by8", "vigorl.toml: `12by8` is not a size such as 1280x800");
        check(Origin::Flag, "device", "tpu", "--device: `tpu` is not cpu or cuda or metal");
        check(Origin::Flag, "max_pixels", "0", "--max-pixels: `0` is not a number of pixels from 1 on");
        check(Origin::Environment, "constrain", "yes", "VIGORL_CONSTRAIN: `yes` is not off or on");
        check(
            Origin::Flag,
            "locale",
            "de_DE",
            "--locale: `de_DE` is not a language and a region, such as de-DE, en-GB or zh-Hant-TW",
        );
        check(
            Origin::Project,
            "basic_auth",
            "ada:hunter2",
            "vigorl.toml: expected USER:${secret:NAME} (in a shell in single quotes), where NAME is a secret of --secrets or the \
             environment: a password itself is not typed",
        );
        check(Origin::Flag, "max_turns", "0", "--max-turns: `0` is not a whole number from 1 on");
        check(Origin::Project, "max_secs", "0", "vigorl.toml: `0` is not a number of seconds above 0");
        check(
            Origin::Flag,
            "confirm_actions",
            "click,clikc",
            "--confirm-actions: `click,clikc` is not a list of click, drag, hover, scroll, type, press, select, upload, navigate, dialog, tab, or all",
        );
    }

    #[test]
    fn who_visits_is_said_by_what_was_typed_then_by_the_task_and_then_by_all_else() {
        let start = Start { locale: Some("fr-FR".to_owned()), ..Start::default() };
        let locale = |origin: Option<Origin>, start: &Start| {
            let ours = origin.map(|origin| (origin, layer(&[("locale", "de-DE"), ("time_zone", "UTC")])));
            let settings = Settings::from_layers(ours.as_slice()).unwrap();
            let visitor = settings.visitor_of(start).unwrap();
            assert_eq!(visitor.time_zone.is_some(), ours.is_some());
            visitor.locale.map(|locale| locale.as_str().to_owned())
        };
        assert_eq!(locale(Some(Origin::Flag), &start).as_deref(), Some("de-DE"));
        assert_eq!(locale(Some(Origin::Recorded), &start).as_deref(), Some("de-DE"));
        assert_eq!(locale(Some(Origin::Project), &start).as_deref(), Some("fr-FR"));
        assert_eq!(locale(Some(Origin::Project), &Start::default()).as_deref(), Some("de-DE"));
        assert_eq!(locale(None, &start).as_deref(), Some("fr-FR"));
        assert_eq!(locale(None, &Start::default()), None);
    }

    #[test]
    fn who_logs_in_is_said_by_the_same_rule() {
        let login = |text: &str| text.parse::<WrittenLogin>().ok();
        let start = Start { basic_auth: login("eve:${secret:B}"), ..Start::default() };
        let user = |origin: Origin, start: &Start| {
            let settings = [(origin, layer(&[("basic_auth", "ada:${secret:A}")]))];
            let settings = Settings::from_layers(&settings).unwrap();
            (settings.login_of(start).map(|login| login.user), settings.login_is_of(start))
        };
        let who = |name: &str, is_of_task: bool| (Some(name.to_owned()), is_of_task);
        assert_eq!(user(Origin::Flag, &start), who("ada", false));
        assert_eq!(user(Origin::Recorded, &start), who("ada", false));
        assert_eq!(user(Origin::Environment, &start), who("eve", true));
        assert_eq!(user(Origin::Environment, &Start::default()), who("ada", false));
    }

    #[test]
    fn a_file_with_an_unknown_name_is_refused() {
        let error = parse_file("sead = 1", Path::new("vigorl.toml")).unwrap_err().to_string();
        assert!(error.starts_with("`vigorl.toml`: unknown setting `sead`; there are model,"), "{error}");
        let read = parse_file("seed = 7\ntop_p = 0.5\nmodel = \"nano\"", Path::new("x")).unwrap();
        assert_eq!(read, layer(&[("seed", "7"), ("top_p", "0.5"), ("model", "nano")]));
    }
}
