//! What came of an evaluation: rates by group, averages, and the table.
//!
//! Invariants: an average says over what it is taken, because published tables mix those over items with those over cells; the
//! random clicker's rate is not sampled but exact: a click drawn uniformly over the screen hits with probability (area of the
//! target) / (area of the screen).

use std::collections::BTreeMap;

use serde::Serialize;
use vigorl_runs::record::EndpointRecord;
use vigorl_runs::wilson95;

use crate::answers::Answers;
use crate::evaluation::Mode;
use crate::head::{Described, Head};
use crate::line::{Line, Outcome, STEP_LIMIT, TOKEN_LIMIT};

/// Successes out of judged episodes, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Episodes solved.
    pub n_success: usize,
    /// Episodes judged.
    pub n: usize,
    /// Share solved; 0 if none was judged.
    pub rate: f64,
    /// The interval.
    pub wilson95: (f64, f64),
}

impl Rate {
    /// Counts.
    pub fn of(successes: impl Iterator<Item = bool>) -> Self {
        let (mut n_success, mut n) = (0, 0);
        for success in successes {
            n += 1;
            n_success += usize::from(success);
        }
        let rate = n_success as f64 / (n.max(1)) as f64;
        Self { n_success, n, rate, wilson95: wilson95(n_success, n) }
    }

    /// As a cell of a table.
    pub fn in_words(&self) -> String {
        format!(
            "{:.1} % ({:.1} to {:.1})  {:>3}/{:<3}",
            self.rate * 100.0,
            self.wilson95.0 * 100.0,
            self.wilson95.1 * 100.0,
            self.n_success,
            self.n
        )
    }
}

/// Something for each value of each group.
type ByGroup<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Asks for every value of every group, and keeps what there is.
fn by_group<T>(
    groups: &[(String, Vec<String>)],
    mut of: impl FnMut(&dyn Fn(&Line) -> bool) -> Option<T>,
) -> ByGroup<T> {
    let mut all = ByGroup::new();
    for (group, values) in groups {
        let value = |value: &String| Some((value.clone(), of(&|line: &Line| line.is_of(group, value))?));
        all.insert(format!("by_{group}"), values.iter().filter_map(value).collect());
    }
    all
}

/// The mean of the success rates of a group's values, in which each value weighs alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Average {
    /// The group.
    pub over: String,
    /// How many of its values were played.
    pub n_values: usize,
    /// How many it has.
    pub n_known: usize,
    /// The mean over those that were played.
    pub mean: f64,
}

impl Average {
    fn of(over: &str, n_known: usize, rates: &BTreeMap<String, Rate>) -> Self {
        let sum: f64 = rates.values().map(|rate| rate.rate).sum();
        Self { over: over.to_owned(), n_values: rates.len(), n_known, mean: sum / rates.len().max(1) as f64 }
    }

    fn in_words(&self) -> String {
        let n = match self.n_values == self.n_known {
            true => self.n_known.to_string(),
            false => format!("{} of {}", self.n_values, self.n_known),
        };
        format!("macro over {n} of `{}` {:.2} %", self.over, self.mean * 100.0)
    }
}

/// Questions that were solved in every order of their options, of those that were judged in every order; nothing where there
/// is none.
fn circular(judged: &[&Line]) -> Option<Rate> {
    let mut circles: BTreeMap<&str, (u64, Vec<bool>)> = BTreeMap::new();
    for line in judged {
        if let Some((circle, is_right)) = line.circle.as_ref().zip(line.is_right) {
            circles.entry(&circle.question).or_insert((circle.n_orders, Vec::new())).1.push(is_right);
        }
    }
    circles.retain(|_, (n_orders, orders)| orders.len() as u64 == *n_orders);
    let solved = circles.into_values().map(|(_, orders)| orders.into_iter().all(|is_right| is_right));
    let solved: Vec<bool> = solved.collect();
    (!solved.is_empty()).then(|| Rate::of(solved.into_iter()))
}

/// Success of a mode, all together and by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeResult {
    /// How the policy was asked.
    pub mode: Mode,
    /// What its answers were drawn with, where there are several draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// By which rule answers in words are judged: `lenient` or `strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// Questions that were solved in every order of their options, where each is asked in several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circular: Option<Rate>,
    /// All episodes.
    pub all: Rate,
    /// By each group of the evaluation; an item may count several times in one.
    #[serde(flatten)]
    pub by: ByGroup<Rate>,
    /// Answers, refusals and what the confidences were worth, where some things are not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// Answers that could not be read; they are among those that are not right.
    pub n_wrong_format: usize,
    /// Means over the values of groups, where such are published; `all` is the mean over items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macro_averages: Vec<Average>,
    /// Zooms per episode.
    pub zooms_mean: f64,
    /// Median time of an episode.
    pub median_millis: f64,
    /// Episodes that a limit of steps, actions or time ended.
    pub n_step_limit: usize,
    /// Episodes in which a limit of tokens cut the policy off.
    pub n_token_limit: usize,
    /// Episodes in which the world failed.
    pub n_errors: usize,
    /// Reasons of the first few.
    pub errors: Vec<String>,
}

impl ModeResult {
    /// Sums up the lines of one mode and one draw.
    pub fn new(mode: Mode, seed: Option<u64>, lines: &[&Line], described: &Described) -> Self {
        let (failed, judged): (Vec<&Line>, Vec<&Line>) =
            lines.iter().copied().partition(|line| line.is_error());
        let mut millis: Vec<f64> = lines.iter().filter_map(|line| line.millis).collect();
        millis.sort_by(f64::total_cmp);
        let n_zooms: usize = judged.iter().map(|line| line.n_zooms()).sum();
        let count = |keep: &dyn Fn(&Line) -> bool| judged.iter().filter(|line| keep(line)).count();
        let rate = |keep: &dyn Fn(&Line) -> bool| {
            Rate::of(judged.iter().filter(|line| keep(line)).filter_map(|line| line.is_right))
        };
        let by = by_group(&described.groups, |keep| Some(rate(keep)).filter(|rate| rate.n > 0));
        let averages = described.macro_groups.iter().filter_map(|over| {
            let (_, values) = described.groups.iter().find(|(group, _)| group == over)?;
            Some(Average::of(over, values.len(), by.get(&format!("by_{over}"))?))
        });
        let errors = failed.iter().take(5);
        Self {
            mode,
            seed,
            rule: None,
            circular: circular(&judged),
            all: rate(&|_| true),
            macro_averages: averages.collect(),
            by,
            answers: Answers::of(&judged),
            n_wrong_format: count(&|line| line.outcome == Some(Outcome::WrongFormat)),
            zooms_mean: n_zooms as f64 / judged.len().max(1) as f64,
            median_millis: millis.get(millis.len() / 2).copied().unwrap_or_default().round(),
            n_step_limit: count(&|line| line.ending == STEP_LIMIT),
            n_token_limit: count(&|line| line.ending == TOKEN_LIMIT),
            n_errors: failed.len(),
            errors: errors
                .map(|line| format!("{}: {}", line.id, line.why.as_deref().unwrap_or_default()))
                .collect(),
        }
    }

    /// The head of its column.
    pub(crate) fn label(&self) -> String {
        let seed = self.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
        let rule = self.rule.map_or_else(String::new, |rule| format!(", {rule}"));
        format!("{}{rule}{seed}", self.mode.label())
    }
}

/// The exact success rate of uniform clicks on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RandomClicker {
    /// How the numbers were made.
    pub method: &'static str,
    /// All episodes.
    pub all: f64,
    /// By each group of the evaluation.
    #[serde(flatten)]
    pub by: ByGroup<f64>,
}

impl RandomClicker {
    /// The exact rate on the items of lines; nothing where it is known of none.
    fn on(lines: &[&Line], described: &Described) -> Option<Self> {
        let judged = || lines.iter().filter(|line| !line.is_error());
        if judged().all(|line| line.chance.is_none()) {
            return None;
        }
        let mean = |keep: &dyn Fn(&Line) -> bool| {
            let chances: Vec<f64> =
                judged().filter(|line| keep(line)).filter_map(|line| line.chance).collect();
            (!chances.is_empty()).then(|| chances.iter().sum::<f64>() / chances.len() as f64)
        };
        Some(Self {
            method: "exact expectation of a uniform click: area of the target / area of the page",
            all: mean(&|_| true).unwrap_or_default(),
            by: by_group(&described.groups, mean),
        })
    }
}

/// What several draws of one mode came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Draws {
    /// How the policy was asked.
    pub mode: Mode,
    /// How many draws there are of every item that is counted here.
    pub n_draws: usize,
    /// Items that were judged in every draw.
    pub n_items: usize,
    /// Mean of the draws' success rates on these items.
    pub mean: f64,
    /// Their standard deviation, with n - 1.
    pub sd: f64,
    /// Share of the items that were solved in every draw.
    pub all_of_k: f64,
    /// Share of the items that were solved in one draw at least.
    pub any_of_k: f64,
}

impl Draws {
    fn of(mode: Mode, n_draws: u64, lines: &[&Line]) -> Option<Self> {
        let n_draws = usize::try_from(n_draws).ok().filter(|n_draws| *n_draws > 1)?;
        let mut items: BTreeMap<u64, BTreeMap<u64, bool>> = BTreeMap::new();
        for line in lines.iter().filter(|line| line.mode == mode) {
            if let Some(is_right) = line.is_right {
                items.entry(line.item).or_default().insert(line.draw, is_right);
            }
        }
        items.retain(|_, draws| draws.len() == n_draws);
        let n_items = items.len();
        let share = |n: usize| n as f64 / n_items.max(1) as f64;
        let count =
            |keep: &dyn Fn(&BTreeMap<u64, bool>) -> bool| items.values().filter(|draws| keep(draws)).count();
        let rates = (0..n_draws as u64).map(|draw| share(count(&|draws| draws.get(&draw) == Some(&true))));
        let rates: Vec<f64> = rates.collect();
        let mean = rates.iter().sum::<f64>() / n_draws as f64;
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        Some(Self {
            mode,
            n_draws,
            n_items,
            mean,
            sd: (squares / (n_draws - 1) as f64).sqrt(),
            all_of_k: share(count(&|draws| draws.values().all(|is_right| *is_right))),
            any_of_k: share(count(&|draws| draws.values().any(|is_right| *is_right))),
        })
    }

    fn in_words(&self) -> String {
        format!(
            "{}: {:.2} % ± {:.2} over {} draws of {} items (mean and standard deviation); solved in every draw {:.2} %, \
             in one at least {:.2} %",
            self.mode.label(),
            self.mean * 100.0,
            self.sd * 100.0,
            self.n_draws,
            self.n_items,
            self.all_of_k * 100.0,
            self.any_of_k * 100.0
        )
    }
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationResult {
    /// Name and version of the benchmark.
    pub benchmark: String,
    /// Name of the policy.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: Option<String>,
    /// The server that has them, where they are not on this machine: then nothing else is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointRecord>,
    /// How they were spoken to: presets, sampling, pixels.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub asked: serde_json::Value,
    /// The command.
    pub command: String,
    /// The commit of the program.
    pub commit: String,
    /// What was played.
    pub set: serde_json::Value,
    /// Items that were played in every mode and draw, those on which the world failed among them.
    pub n_played: u64,
    /// Whether it was broken off before every item was played in every mode and draw.
    pub truncated: bool,
    /// One entry per mode and draw.
    pub modes: Vec<ModeResult>,
    /// What several draws came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub draws: Vec<Draws>,
    /// What must be known of the set to read its numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The baseline, where it is known without playing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_clicker: Option<RandomClicker>,
    /// What is played, for people.
    #[serde(skip)]
    pub title: String,
    /// The rows of the table.
    #[serde(skip)]
    pub groups: Vec<(String, Vec<String>)>,
    /// How they were spoken to, for people.
    #[serde(skip)]
    pub how: Vec<(&'static str, String)>,
}

impl EvaluationResult {
    /// What lines come to: a pure function of them, in whatever order they were written.
    pub fn of(head: &Head, lines: &[Line], command: String) -> Self {
        let mut lines: Vec<&Line> = lines.iter().collect();
        lines.sort_by_key(|line| line.key());
        let columns: Vec<(Mode, u64, Vec<&Line>)> = head
            .columns()
            .map(|(mode, draw)| {
                let of = lines.iter().copied().filter(|line| line.mode == mode && line.draw == draw);
                (mode, draw, of.collect())
            })
            .collect();
        let n_of = || columns.iter().map(|(.., lines)| lines.len() as u64);
        let longest = columns.iter().map(|(.., lines)| lines).max_by_key(|lines| lines.len());
        let described = &head.described;
        let random_clicker = longest.and_then(|lines| RandomClicker::on(lines, described));
        let modes = columns.iter().flat_map(|(mode, draw, lines)| {
            let seed = (head.n_draws > 1).then(|| head.seed.wrapping_add(*draw));
            let lenient = ModeResult::new(*mode, seed, lines, described);
            if !described.is_in_words {
                return vec![lenient];
            }
            let strict: Vec<Line> = lines.iter().map(|line| line.strict()).collect();
            let strict: Vec<&Line> = strict.iter().collect();
            let strict = ModeResult::new(*mode, seed, &strict, described);
            vec![
                ModeResult { rule: Some("lenient"), ..lenient },
                ModeResult { rule: Some("strict"), ..strict },
            ]
        });
        Self {
            benchmark: described.benchmark.clone(),
            model: head.asked.model.clone(),
            weights_sha256: head.asked.weights_sha256.clone(),
            endpoint: head.asked.endpoint.clone(),
            asked: head.asked.how.clone(),
            command,
            commit: head.commit.clone(),
            set: described.set.clone(),
            n_played: n_of().min().unwrap_or(0),
            truncated: n_of().min().unwrap_or(0) < described.n_items,
            modes: modes.collect(),
            draws: head.modes.iter().filter_map(|mode| Draws::of(*mode, head.n_draws, &lines)).collect(),
            notes: described.notes.clone(),
            random_clicker,
            title: described.title.clone(),
            groups: described.groups.clone(),
            how: head.how(),
        }
    }

    /// The result as a table for people.
    pub fn table(&self) -> String {
        let mut out =
            format!("{} · {} · {} · commit {}\n", self.benchmark, self.title, self.model, self.commit);
        let how: Vec<String> = self.how.iter().map(|(name, words)| format!("{name} {words}")).collect();
        out.extend((!how.is_empty()).then(|| format!("{}\n", how.join(" · "))));
        if self.truncated {
            out += &format!("not all of it: {} items were played\n", self.n_played);
        }
        let width = self.name_width();
        out += &format!("\n{:<width$}", "");
        out.extend(self.modes.iter().map(|mode| format!("{:>34}", mode.label())));
        let clicker = self.random_clicker.as_ref();
        out += &clicker.map_or_else(String::new, |_| format!("{:>15}", "random clicker"));
        out += "\n";
        out += &self.row("all", |mode| Some(mode.all), clicker.map(|clicker| clicker.all));
        for (group, values) in &self.groups {
            let group = format!("by_{group}");
            for value in values {
                let random = clicker.and_then(|clicker| clicker.by.get(&group)?.get(value)).copied();
                let rate = |mode: &ModeResult| mode.by.get(&group).and_then(|by| by.get(value)).copied();
                out += &self.row(value, rate, random);
            }
        }
        for mode in &self.modes {
            out += &format!(
                "\n{}: {:.2} zooms per episode; ended by the limit of steps: {}, by the limit of tokens: {}; {} not judged because the world failed\n",
                mode.label(),
                mode.zooms_mean,
                mode.n_step_limit,
                mode.n_token_limit,
                mode.n_errors
            );
            if !mode.macro_averages.is_empty() {
                let macros: Vec<String> = mode.macro_averages.iter().map(Average::in_words).collect();
                out += &format!(
                    "  micro over {} items {:.2} %; {}\n  wrong format: {} of {}, each counted as wrong\n",
                    mode.all.n,
                    mode.all.rate * 100.0,
                    macros.join("; "),
                    mode.n_wrong_format,
                    mode.all.n
                );
            }
            out.extend(
                mode.circular.iter().map(|rate| {
                    format!("  right in every order of the options: {}\n", rate.in_words().trim())
                }),
            );
            out.extend(mode.answers.iter().map(Answers::in_words));
            out.extend(mode.errors.iter().map(|error| format!("  {error}\n")));
        }
        if !self.draws.is_empty() {
            out += "\n";
            out.extend(self.draws.iter().map(|draws| format!("{}\n", draws.in_words())));
        }
        if !self.notes.is_empty() {
            out += "\n";
            out.extend(self.notes.iter().map(|note| format!("{note}\n")));
        }
        out
    }

    /// How long an item took, for people: no part of the table, because no two runs take the same time.
    pub fn speed(&self) -> String {
        let of = |mode: &ModeResult| format!("{} {:.0} ms", mode.label(), mode.median_millis);
        format!("median time of an item: {}", self.modes.iter().map(of).collect::<Vec<_>>().join(", "))
    }

    /// Room for the longest name of a row.
    fn name_width(&self) -> usize {
        let names = self.groups.iter().flat_map(|(_, values)| values);
        names.map(|name| name.chars().count() + 1).fold(16, usize::max)
    }

    fn row(&self, name: &str, rate: impl Fn(&ModeResult) -> Option<Rate>, random: Option<f64>) -> String {
        if random.is_none() && self.modes.iter().all(|mode| rate(mode).is_none()) {
            return String::new();
        }
        let width = self.name_width();
        let mut out = format!("{name:<width$}");
        for mode in &self.modes {
            let cell = rate(mode).map_or_else(String::new, |rate| rate.in_words());
            out += &format!("{cell:>34}");
        }
        out += &random.map_or_else(String::new, |random| format!("{:>13.1} %", random * 100.0));
        out + "\n"
    }
}
