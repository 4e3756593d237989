//! The configuration of learning by reward. Invariant: every value that a run used is in the file that the run keeps; a file
//! of one's own says only what differs from a preset.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use vigorl_policy::Preset;
use vigorl_qwen::{Checkpoint, ModelSource};

use crate::adapter::LoraConfig;
use crate::advantage::Scale;
use crate::config::{Check, OptimizerConfig};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::objective::ObjectiveConfig;
use crate::warm_start::WarmStartConfig;

/// What a file may begin with: `preset = "nano"`.
pub const PRESETS: [(&str, &str); 2] =
    [("nano", include_str!("../configs/grpo_nano.toml")), ("3b", include_str!("../configs/grpo_3b.toml"))];

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpoConfig {
    /// Where, how long, from which seed.
    pub run: RunConfig,
    /// Who learns.
    pub init: InitConfig,
    /// Where it learns.
    #[serde(rename = "environment")]
    pub environments: Vec<EnvironmentConfig>,
    /// How episodes are played.
    pub play: PlayConfig,
    /// How the policy is sampled.
    pub sampling: SamplingConfig,
    /// What is compared with what.
    pub group: GroupConfig,
    /// Low-rank adapters that move instead of the weights; without this table, or with rank 0, the weights do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// How tokens count.
    pub objective: ObjectiveConfig,
    /// How the samples of a step are taken in.
    pub update: UpdateConfig,
    /// How weights move.
    pub optimizer: OptimizerConfig,
    /// What is measured on episodes that are never learned from.
    #[serde(default)]
    pub heldout: Vec<HeldOutConfig>,
    /// What is taught before anything is learned from reward.
    pub warm_start: WarmStartConfig,
    /// What turns the run into a control of itself.
    pub control: ControlConfig,
}

/// Where, how long, from which seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// All random draws of the run derive from it.
    pub seed: u64,
    /// Metrics, curves, rollouts and checkpoints go here; a run found here is resumed.
    pub output_dir: PathBuf,
    /// Steps at most; a step plays groups and learns from them.
    pub steps: u64,
    /// Minutes at most, measurements included; 0 is no limit. The step that is under way is finished.
    pub minutes: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between held-out measurements.
    pub eval_every: u64,
    /// The rollouts of every so many steps stay; those of the last one always do.
    pub keep_rollouts_every: u64,
    /// Threads that each compute whole micro-batches.
    pub workers: usize,
}

/// Who learns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// `nano`, `nano-full`, or a folder in Hugging Face layout.
    pub model: String,
    /// How it is spoken to: one of [`Preset::NAMES`].
    pub preset: String,
    /// New pixel budget of the processor, also of what is learned; its own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Whether it is told which words of the goal stand on the screen, and where, as a reader finds them: for a policy that
    /// cannot read, and can copy a number.
    #[serde(default)]
    pub told_texts: bool,
}

/// Where it learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// As `vigorl env list` has it.
    pub name: String,
    /// Chance to be drawn, relative to the others.
    pub weight: f64,
}

/// How episodes are played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayConfig {
    /// Episodes at once; each that needs a browser has one.
    pub at_once: usize,
    /// Longest time of an episode, seconds.
    pub episode_secs: f64,
    /// Longest wait for a quiet screen, seconds.
    pub settle_secs: f64,
    /// Actions of an episode at most, where the environment leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
    /// A file of rewards; by itself, a sample is worth what the environment pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<PathBuf>,
}

/// How the policy is sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingConfig {
    /// Divides the logits.
    pub temperature: f64,
    /// Nucleus mass.
    pub top_p: f64,
    /// Tokens of a turn at most.
    pub max_new_tokens: usize,
}

/// What is compared with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// Samples of one episode.
    pub size: u64,
    /// Groups of a step.
    pub per_step: u64,
    /// What the distance from a group's mean is divided by.
    pub scale: Scale,
    /// Dynamic sampling: groups are played up to so many times over, until `per_step` of them have different rewards; those
    /// without are then left out. 1 takes them as they come.
    pub rounds: u64,
    /// Whether environments are drawn more often the more of their groups have different rewards.
    pub curriculum: bool,
}

/// How the samples of a step are taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    /// Moves of the weights in a step; each takes its share of the groups.
    pub per_step: usize,
    /// How often a step's groups are gone through: behind the first time, clips hold the policy near the one that played.
    pub epochs: usize,
    /// Tokens of a micro-batch at most, padding included.
    pub micro_batch_tokens: usize,
    /// Tokens of a row at most: a group's screenshot and what its samples said behind it.
    pub row_tokens: usize,
    /// Whether layers are computed again in the backward pass: less memory, a third more time.
    pub recompute_layers: bool,
}

/// A measurement on held-out episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutConfig {
    /// A word for metric names.
    pub name: String,
    /// As `vigorl env list` has it.
    pub environment: String,
    /// Episodes, from the first held-out one on.
    pub episodes: u64,
    /// Samples of each, for `pass_at_k`; 0 measures the greedy policy alone.
    pub samples: u64,
    /// Whether the policy is also measured as `run` asks it, with search and checks.
    pub search: bool,
}

/// What turns the run into a control of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// Rewards change hands among all samples of a step before anything is learned from them.
    pub permute_rewards: bool,
    /// Policy and reader are shown an empty screen, in learning and in measuring.
    #[serde(default)]
    pub blank_screen: bool,
}

impl HeldOutConfig {
    /// Episodes that a measurement plays.
    pub(crate) fn n_played(&self) -> usize {
        (self.episodes * (1 + self.samples + u64::from(self.search))) as usize
    }
}

impl GrpoConfig {
    /// The model that learning by reward begins with: what the warm start made, or the one that was named.
    ///
    /// # Errors
    /// If the recipe of the warm start cannot be used.
    pub fn begins_with(&self) -> Result<String, TrainingError> {
        let warm_start = self.warm_start()?;
        Ok(warm_start
            .map_or_else(|| self.init.model.clone(), |warm_start| warm_start.model().display().to_string()))
    }

    /// A model by its name, with its files, seeing as many pixels as the run says.
    pub(crate) fn opened(&self, model: &str) -> Result<(Checkpoint, ModelFiles), TrainingError> {
        let source = ModelSource::named(model);
        let (mut checkpoint, mut files) = (Checkpoint::open(&source)?, ModelFiles::of(&source)?);
        if let Some(max_pixels) = self.init.max_pixels {
            checkpoint.processor = checkpoint.processor.with_max_pixels(max_pixels)?;
            files.set_max_pixels(max_pixels)?;
        }
        Ok((checkpoint, files))
    }

    /// Whether somebody has to read for the policy: for the one that learns, or for the one that the run is given.
    ///
    /// # Errors
    /// If the model that the run is given cannot be opened.
    pub fn needs_reader(&self) -> Result<bool, TrainingError> {
        let given = Checkpoint::open(&ModelSource::named(&self.init.model))?.spoken_to()?;
        Ok(self.init.told_texts || given.is_some_and(|given| given.told_texts))
    }

    /// The adapters, if they are what moves.
    pub(crate) fn adapters(&self) -> Option<&LoraConfig> {
        self.lora.as_ref().filter(|lora| lora.rank > 0)
    }

    /// Reads a file over the preset that it names, with `key=value` settings over both.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and the key.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self, TrainingError> {
        let text = vigorl_files::read_text(path).map_err(TrainingError::file("read", path))?;
        Self::parse(&text, path, settings)
    }

    /// The same of a file's text; `path` is for messages.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and the key.
    pub fn parse(text: &str, path: &Path, settings: &[String]) -> Result<Self, TrainingError> {
        let syntax = |detail: String| TrainingError::Syntax { path: path.to_owned(), detail };
        let mut own: Table = toml::from_str(text).map_err(|e| syntax(e.to_string()))?;
        let mut table = match own.remove("preset") {
            None => Table::new(),
            Some(name) => {
                let known = PRESETS.iter().find(|(known, _)| Some(*known) == name.as_str());
                let (_, preset) = known.ok_or_else(|| {
                    let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                    syntax(format!("there is no preset {name}; there are {}", names.join(", ")))
                })?;
                toml::from_str(preset).map_err(|e| syntax(e.to_string()))?
            }
        };
        lay_over(&mut table, own);
        for setting in settings {
            set(&mut table, setting).map_err(syntax)?;
        }
        let config: Self = Value::Table(table).try_into().map_err(|e| syntax(e.to_string()))?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), TrainingError> {
        let check = Check { path };
        check.positive("run.workers", self.run.workers as f64)?;
        check.positive("run.checkpoint_every", self.run.checkpoint_every as f64)?;
        check.positive("run.eval_every", self.run.eval_every as f64)?;
        check.positive("run.keep_rollouts_every", self.run.keep_rollouts_every as f64)?;
        check.not_negative("run.minutes", self.run.minutes)?;
        if Preset::named(&self.init.preset).is_none() {
            check.fail("init.preset", self.init.preset.clone(), "the name of a preset")?;
        }
        check.positive("number of [[environment]] tables", self.environments.len() as f64)?;
        for (index, environment) in self.environments.iter().enumerate() {
            check.positive(&format!("environment[{index}].weight"), environment.weight)?;
        }
        check.positive("play.at_once", self.play.at_once as f64)?;
        check.positive("play.episode_secs", self.play.episode_secs)?;
        check.positive("play.settle_secs", self.play.settle_secs)?;
        check.positive("sampling.temperature", self.sampling.temperature)?;
        check.positive("sampling.top_p", self.sampling.top_p)?;
        check.share("sampling.top_p", self.sampling.top_p)?;
        check.positive("sampling.max_new_tokens", self.sampling.max_new_tokens as f64)?;
        if self.group.size < 2 {
            check.fail("group.size", self.group.size.to_string(), "two samples at least, to be compared")?;
        }
        check.positive("group.per_step", self.group.per_step as f64)?;
        check.positive("group.rounds", self.group.rounds as f64)?;
        check.share("objective.clip_low", self.objective.clip_low)?;
        check.not_negative("objective.clip_high", self.objective.clip_high)?;
        check.not_negative("objective.dual_clip", self.objective.dual_clip)?;
        check.not_negative("objective.kl", self.objective.kl)?;
        check.positive("objective.kl_clamp", self.objective.kl_clamp)?;
        check.positive("update.per_step", self.update.per_step as f64)?;
        check.positive("update.epochs", self.update.epochs as f64)?;
        check.positive("update.micro_batch_tokens", self.update.micro_batch_tokens as f64)?;
        check.positive("update.row_tokens", self.update.row_tokens as f64)?;
        check.optimizer(&self.optimizer)?;
        for (index, set) in self.heldout.iter().enumerate() {
            check.positive(&format!("heldout[{index}].episodes"), set.episodes as f64)?;
        }
        let warm_start = &self.warm_start;
        check.positive("warm_start.episodes", warm_start.episodes as f64)?;
        check.share("warm_start.practice_share", warm_start.practice_share)?;
        check.not_negative("warm_start.lessons_weight", warm_start.lessons_weight)?;
        check.positive("warm_start.lessons_per_move", warm_start.lessons_per_move as f64)?;
        if warm_start.steps > 0 && self.init.preset != "nano" {
            // Its rates would destroy a published checkpoint.
            let wanted = "0: a warm start is made for `nano`; others begin with `vigorl train sft`";
            check.fail("warm_start.steps", warm_start.steps.to_string(), wanted)?;
        }
        Ok(())
    }
}

/// Puts the values of `upper` over those of `lower`; a list replaces a list.
fn lay_over(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// Sets one value by its dotted name: `optimizer.matrix_lr=1e-4`. What is no number, truth value or list is a text.
fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (key, text) = setting
        .split_once('=')
        .ok_or_else(|| format!("--set {setting} has no `=`; write KEY=VALUE, such as run.seed=2"))?;
    let value: Value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut names: Vec<&str> = key.split('.').collect();
    let last = names.pop().unwrap_or_default();
    let mut at = table;
    for name in names {
        let below = at.entry(name).or_insert_with(|| Value::Table(Table::new()));
        at = match below {
            Value::Table(below) => below,
            Value::Array(tables) => match &mut tables[..] {
                [Value::Table(only)] => only,
                _ => {
                    return Err(format!(
                        "--set {setting}: `{name}` is a list of several; write it in the file"
                    ));
                }
            },
            _ => return Err(format!("--set {setting}: `{name}` has no parts")),
        };
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"
preset = "nano"
[run]
output_dir = "out"
[[environment]]
name = "practice"
weight = 1
[group]
size = 4
"#;

    fn parse(text: &str, settings: &[&str]) -> Result<GrpoConfig, String> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        GrpoConfig::parse(text, Path::new("own.toml"), &settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_lies_over_its_preset_and_settings_over_both() {
        let config =
            parse(OWN, &["optimizer.matrix_lr=1e-3", "environment.name=a.jsonl", "run.seed=9"]).unwrap();
        assert_eq!((config.group.size, config.run.seed), (4, 9));
        assert_eq!(config.optimizer.matrix_lr, 1e-3);
        assert_eq!(config.environments[0].name, "a.jsonl");
        let plain = parse(OWN, &[]).unwrap();
        assert_eq!(plain.objective, config.objective);
        // What a run keeps says everything.
        let kept = toml::to_string(&config).unwrap();
        assert_eq!(parse(&kept, &[]).unwrap(), config);
    }

    #[test]
    fn every_example_to_learn_from_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/learn");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read: Vec<GrpoConfig> = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
            .map(|file| GrpoConfig::read(&file, &[]).unwrap())
            .collect();
        assert!(read.len() >= 2 && read.iter().all(|config| config.warm_start.steps > 0));
    }

    #[test]
    fn every_preset_is_whole_but_for_what_only_its_user_knows() {
        for (name, _) in PRESETS {
            let text = OWN.replace("nano", name);
            parse(&text, &[]).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (settings, wanted) in [
            (&["run.seed"][..], "has no `=`"),
            (&["run.seeds=1"], "seeds"),
            (&["group.size=1"], "group.size"),
            (&["sampling.top_p=1.5"], "sampling.top_p"),
            (&["objective.objective=ppo"], "ppo"),
            (&["run.seed.more=1"], "`seed` has no parts"),
            (&["init.preset=other"], "init.preset"),
            (&["init.preset=web-grounding", "warm_start.steps=5"], "`vigorl train sft`"),
        ] {
            let error = parse(OWN, settings).unwrap_err();
            assert!(error.contains(wanted), "{settings:?}: {error}");
        }
        assert!(parse("preset = \"huge\"", &[]).unwrap_err().contains("there are nano, 3b"));
    }
}
