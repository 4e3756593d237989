//! The configuration of a supervised run. Invariant: every value is written in the file; nothing has a
//! hidden default, because a silent wrong default costs a whole run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vigorl_policy::{CropSettings, Preset};
use vigorl_qwen::{TextConfig, VisionConfig};

use crate::error::TrainingError;

/// A whole `CONFIG.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// Where, how long, from which seed.
    pub run: RunConfig,
    /// What is trained.
    pub init: InitConfig,
    /// How the policy is spoken to.
    pub policy: PolicyConfig,
    /// How tokens count.
    pub loss: LossConfig,
    /// How weights move.
    pub optimizer: OptimizerConfig,
    /// The curriculum, in order.
    #[serde(rename = "stage")]
    pub stages: Vec<StageConfig>,
    /// What is measured on pages that are never trained on.
    pub heldout: Vec<HeldOutConfig>,
}

/// Where, how long, from which seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// All random draws of the run derive from it.
    pub seed: u64,
    /// Metrics, curves and checkpoints go here; a run found here is resumed.
    pub output_dir: PathBuf,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Steps between held-out measurements.
    pub eval_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Threads that each compute whole micro-batches.
    pub workers: usize,
}

/// How the policy is spoken to while it learns. Inference takes the preset's own crops, so the last part of a
/// recipe should name the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Name of a preset, one of [`Preset::NAMES`].
    pub preset: String,
    /// Half side of a crop's window, in pixels of the page as shown.
    pub crop_offset_px: u32,
    /// Side of a crop as shown.
    pub crop_side_px: u32,
    /// Whether it is told which words of an instruction stand on the screen, and where.
    pub told_texts: bool,
    /// Pixels of a screenshot that it is shown at most, if they are more than its preset shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_image_pixels: Option<u64>,
    /// What it calls things in its thoughts.
    #[serde(default)]
    pub thinks_of: ThinksOf,
}

/// What a policy calls things of a file of screenshots in its thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinksOf {
    /// Whatever the instruction calls them.
    #[default]
    Names,
    /// Their kind alone, such as "button": for a policy that cannot spell.
    Kinds,
}

impl PolicyConfig {
    /// The preset with these crops.
    ///
    /// # Panics
    /// If there is no preset of that name (reading a file checks that there is).
    pub fn preset(&self) -> Preset {
        let Some(mut preset) = Preset::named(&self.preset) else { panic!("no preset `{}`", self.preset) };
        preset = preset.seeing(self.max_image_pixels);
        preset.crop =
            CropSettings { offset_px: self.crop_offset_px, side_px: self.crop_side_px, ..preset.crop };
        preset
    }
}

/// What is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InitConfig {
    /// Continue from a checkpoint.
    Checkpoint(FromCheckpoint),
    /// Start from random weights.
    New(Box<NewModelConfig>),
}

/// A checkpoint to continue from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromCheckpoint {
    /// Folder in Hugging Face layout; `nano` and `nano-full` are policies of the binary.
    pub folder: PathBuf,
    /// New pixel budget of the processor, for training and for the exported checkpoint; its own if absent.
    pub max_pixels: Option<u64>,
}

/// A model that does not exist yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewModelConfig {
    /// Default system message, kept in the chat template.
    pub system_prompt: String,
    /// Which texts are single tokens.
    pub tokenizer: TokenizerConfig,
    /// How images become patches.
    pub processor: ProcessorConfig,
    /// The decoder; `vocab_size` is set from the tokenizer and must be 0 here.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Spread of the random weights.
    pub weights: WeightsConfig,
}

/// Which texts are single tokens; everything else is spelled in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// The numbers 0 to this one, exclusive.
    pub numbers: u32,
    /// Words, each also with a space in front.
    pub words: Vec<String>,
}

/// How images become patches; written to `preprocessor_config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// Subtracted from every channel after division by 255.
    pub image_mean: [f64; 3],
    /// Divides every channel.
    pub image_std: [f64; 3],
    /// Smaller images are enlarged to this area.
    pub min_pixels: u64,
    /// Larger images are reduced to this area.
    pub max_pixels: u64,
}

/// Spread of the random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsConfig {
    /// Standard deviation of the token embedding.
    pub embedding_std: f64,
    /// Matrices have the standard deviation `gain / sqrt(fan in)`.
    pub gain: f64,
    /// The same for matrices that write into the residual stream.
    pub residual_gain: f64,
    /// How the embeddings of the numbers begin.
    pub numbers: NumberEmbedding,
}

/// How the embeddings of the numbers begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberEmbedding {
    /// Like any other token.
    Random,
    /// Cosines and sines of the value, so that near numbers begin near each other.
    Smooth,
}

/// How tokens count in the loss. Weights are relative: the sum is divided by the sum of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// First mention of a coordinate in a turn.
    pub number_weight: f64,
    /// A coordinate copied from earlier in the turn.
    pub copied_number_weight: f64,
    /// Words that say what a widget is, and decisions of what to do next.
    pub word_weight: f64,
    /// Tags, brackets and the end of the turn.
    pub syntax_weight: f64,
    /// Least spread of a coordinate's target, in pixels; 0 makes the target one-hot.
    pub number_sigma_min_px: f64,
    /// Spread as a share of the target box's side.
    pub number_sigma_per_side: f64,
    /// A merged patch that shows a widget, in mixtures that name patches.
    pub patch_weight: f64,
    /// A merged patch that shows none, likewise.
    pub empty_patch_weight: f64,
    /// Where a head looks while a coordinate is said (see [`crate::gaze`]); 0 leaves it to itself.
    pub gaze_weight: f64,
    /// Decoder layer of that head, from 0. Layers before it gather the instruction, those behind it speak.
    pub gaze_layer: usize,
    /// The head, from 0.
    pub gaze_head: usize,
}

/// How weights move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// What moves the matrices.
    pub matrix_rule: MatrixRule,
    /// Peak learning rate of the matrices.
    pub matrix_lr: f64,
    /// Momentum of Muon.
    pub matrix_momentum: f64,
    /// Peak learning rate of AdamW, which moves embeddings, norms and biases.
    pub vector_lr: f64,
    /// Decay rates of AdamW's two moments, for whatever it moves.
    pub vector_betas: [f64; 2],
    /// Decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// Gradients of a step are scaled down to this norm.
    pub clip_norm: f64,
    /// Which parts keep their weights.
    pub freeze: Freeze,
    /// How the learning rates run over the whole curriculum.
    pub schedule: ScheduleConfig,
}

/// What moves the matrices; AdamW moves the rest in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixRule {
    /// Momentum, made orthogonal.
    Muon,
    /// AdamW with decoupled weight decay.
    AdamW,
}

/// Which parts keep their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freeze {
    /// Everything is trained.
    Nothing,
    /// Tensors under `visual.` stay.
    Vision,
}

impl Freeze {
    /// Whether the tensor of this name moves.
    pub(crate) fn moves(self, name: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Vision => !name.starts_with("visual."),
        }
    }
}

/// How the learning rates run over the whole curriculum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Share of all steps, at the end, over which the rate falls.
    pub decay_share: f64,
    /// Form of the fall.
    pub decay: Decay,
    /// Share of the peak rate at the very end.
    pub final_share: f64,
}

/// Form of the learning rate's fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// No fall.
    Constant,
    /// Straight line.
    Linear,
    /// Half a cosine wave.
    Cosine,
}

/// One rung of the curriculum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// A word for logs.
    pub name: String,
    /// Optimizer steps.
    pub steps: u64,
    /// Multiplies both learning rates.
    pub lr_scale: f64,
    /// Micro-batches per step; their gradients are added up.
    pub micro_batches: usize,
    /// Page mixtures; each micro-batch draws one by weight.
    #[serde(rename = "mix")]
    pub mixes: Vec<MixConfig>,
}

/// Pages of one kind and what is asked about them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// Folder of a rendered data set, or a file of screenshots (`.jsonl`) whose part for learning is taken.
    pub data: PathBuf,
    /// Chance to be drawn, relative to the other mixtures of the stage.
    pub weight: f64,
    /// What is learned from it.
    pub objective: Objective,
    /// Pages per micro-batch.
    pub pages: usize,
    /// Questions per page at most, packed behind one copy of the image.
    pub questions_per_page: usize,
    /// Whether wrong proposals in zoomed questions are those the policy would make itself, at the price of a
    /// forward pass; otherwise they are rivals drawn at random.
    pub own_mistakes: bool,
    /// How often each form is asked.
    pub questions: QuestionMix,
}

/// What is learned from a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The policy's own turns, and nothing else.
    Turns,
    /// Visual tokens that name what they show: a warm-up of the vision tower. Questions are not asked.
    NamePatches,
    /// The same on zoom crops.
    NameCrops,
}

/// Relative frequency of each form of question; by default none is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionMix {
    /// What is at this point?
    pub name: f64,
    /// Where is it? Answer only.
    pub point: f64,
    /// Where is it? One thought with a point, then the answer.
    pub think: f64,
    /// Where is it? With at least one zoom turn.
    pub zoom: f64,
    /// A `think` question about a widget whose shorter side is below this becomes a `zoom` question.
    pub zoom_below_px: f64,
    /// Share of `zoom` questions whose first look goes astray: anywhere where the crop still shows the whole
    /// widget, which is then answered from the crop.
    pub stray: f64,
    /// Share of the questions behind an earlier action, somewhere on the screen.
    #[serde(default)]
    pub earlier: f64,
    /// Share of the questions about a thing in a row that say the row, and instead of the thing a word without a meaning or
    /// another row. Who learned from them tries what stands in a row where it does not know what is wanted of it: then
    /// reward can tell.
    #[serde(default)]
    pub unknown: f64,
    /// How much more often small things are asked for than large ones: the chance of each goes with the area of its box to
    /// the power of minus this. 0 asks for all alike.
    #[serde(default)]
    pub favors_small: f64,
}

/// A measurement on pages that are never trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutConfig {
    /// A word for metric names.
    pub name: String,
    /// Folder of a rendered data set, or a file of screenshots (`.jsonl`) whose held-out part is taken.
    pub data: PathBuf,
    /// What is measured.
    pub objective: Objective,
    /// Pages, from the start of the set.
    pub pages: usize,
    /// Questions per page at most.
    pub questions_per_page: usize,
    /// How often each form is asked.
    pub questions: QuestionMix,
}

impl SftConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`TrainingError::File`], [`TrainingError::Syntax`] or [`TrainingError::Value`], each naming the file.
    pub fn read(path: &Path) -> Result<Self, TrainingError> {
        let text = vigorl_files::read_text(path).map_err(TrainingError::file("read", path))?;
        Self::parse(&text, path)
    }

    /// Parses and checks the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`TrainingError::Syntax`] or [`TrainingError::Value`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, TrainingError> {
        let config: Self = toml::from_str(text)
            .map_err(|e| TrainingError::Syntax { path: path.to_owned(), detail: e.to_string() })?;
        config.check(path)?;
        Ok(config)
    }

    /// Steps of all stages together.
    pub fn total_steps(&self) -> u64 {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage of a step and the index of that stage.
    ///
    /// # Panics
    /// If `step` is past the end (caller's bug).
    pub fn stage_at(&self, step: u64) -> (usize, &StageConfig) {
        let mut end = 0;
        for (index, stage) in self.stages.iter().enumerate() {
            end += stage.steps;
            if step < end {
                return (index, stage);
            }
        }
        panic!("step {step} is past the last stage, which ends at {end}");
    }

    fn check(&self, path: &Path) -> Result<(), TrainingError> {
        let check = Check { path };
        check.positive("run.workers", self.run.workers as f64)?;
        check.positive("run.log_every", self.run.log_every as f64)?;
        check.positive("run.eval_every", self.run.eval_every as f64)?;
        check.positive("run.checkpoint_every", self.run.checkpoint_every as f64)?;
        check.positive("policy.crop_offset_px", self.policy.crop_offset_px.into())?;
        check.positive("policy.crop_side_px", self.policy.crop_side_px.into())?;
        let wanted = match Preset::named(&self.policy.preset) {
            None => Some("the name of a preset"),
            Some(preset) if !preset.answer_form.has_protocol_tags() => {
                Some("a preset of ViGoRL, of Qwen2.5-VL or of `nano`: lessons are written in their tags")
            }
            Some(_) => None,
        };
        if let Some(wanted) = wanted {
            check.fail("policy.preset", self.policy.preset.clone(), wanted)?;
        }
        check.optimizer(&self.optimizer)?;
        check.not_negative("loss.number_sigma_min_px", self.loss.number_sigma_min_px)?;
        check.not_negative("loss.number_sigma_per_side", self.loss.number_sigma_per_side)?;
        check.not_negative("loss.patch_weight", self.loss.patch_weight)?;
        check.not_negative("loss.gaze_weight", self.loss.gaze_weight)?;
        check.positive("number of [[stage]] tables", self.stages.len() as f64)?;
        for (index, stage) in self.stages.iter().enumerate() {
            check.stage(index, stage)?;
        }
        for (index, set) in self.heldout.iter().enumerate() {
            check.questions(&format!("heldout[{index}].questions"), set.questions)?;
            check.positive(&format!("heldout[{index}].pages"), set.pages as f64)?;
            let key = format!("heldout[{index}].questions_per_page");
            check.positive(&key, set.questions_per_page as f64)?;
        }
        match &self.init {
            InitConfig::New(new) => check.new_model(new, &self.loss),
            InitConfig::Checkpoint(_) => Ok(()),
        }
    }
}

/// Checks of single values, each naming file and key.
pub(crate) struct Check<'a> {
    pub(crate) path: &'a Path,
}

impl Check<'_> {
    pub(crate) fn fail(&self, key: &str, got: String, expected: &'static str) -> Result<(), TrainingError> {
        Err(TrainingError::Value { path: self.path.to_owned(), key: key.to_owned(), got, expected })
    }

    pub(crate) fn positive(&self, key: &str, value: f64) -> Result<(), TrainingError> {
        if value > 0.0 { Ok(()) } else { self.fail(key, value.to_string(), "a number above 0") }
    }

    pub(crate) fn not_negative(&self, key: &str, value: f64) -> Result<(), TrainingError> {
        if value >= 0.0 { Ok(()) } else { self.fail(key, value.to_string(), "0 or more") }
    }

    pub(crate) fn share(&self, key: &str, value: f64) -> Result<(), TrainingError> {
        let inside = (0.0..=1.0).contains(&value);
        if inside { Ok(()) } else { self.fail(key, value.to_string(), "a number from 0 to 1") }
    }

    pub(crate) fn optimizer(&self, optimizer: &OptimizerConfig) -> Result<(), TrainingError> {
        self.positive("optimizer.matrix_lr", optimizer.matrix_lr)?;
        self.positive("optimizer.vector_lr", optimizer.vector_lr)?;
        self.positive("optimizer.clip_norm", optimizer.clip_norm)?;
        self.share("optimizer.matrix_momentum", optimizer.matrix_momentum)?;
        self.share("optimizer.schedule.decay_share", optimizer.schedule.decay_share)?;
        self.share("optimizer.schedule.final_share", optimizer.schedule.final_share)
    }

    fn new_model(&self, new: &NewModelConfig, loss: &LossConfig) -> Result<(), TrainingError> {
        let text = &new.text;
        if text.vocab_size != 0 {
            let got = text.vocab_size.to_string();
            return self.fail("init.new.text.vocab_size", got, "0 (it follows from the tokenizer)");
        }
        if loss.gaze_layer >= text.num_hidden_layers {
            return self.fail("loss.gaze_layer", loss.gaze_layer.to_string(), "a layer of the decoder");
        }
        if loss.gaze_head >= text.num_attention_heads {
            return self.fail("loss.gaze_head", loss.gaze_head.to_string(), "a head of the decoder");
        }
        Ok(())
    }

    fn questions(&self, key: &str, mix: QuestionMix) -> Result<(), TrainingError> {
        self.not_negative(&format!("{key}.zoom_below_px"), mix.zoom_below_px)?;
        self.not_negative(&format!("{key}.favors_small"), mix.favors_small)?;
        for (name, share) in [("stray", mix.stray), ("earlier", mix.earlier), ("unknown", mix.unknown)] {
            self.share(&format!("{key}.{name}"), share)?;
        }
        for (form, weight) in mix.weights() {
            self.not_negative(&format!("{key}.{}", form.name()), weight)?;
        }
        let sum: f64 = mix.weights().iter().map(|(_, weight)| weight).sum();
        self.positive(&format!("sum of {key}"), sum)
    }

    fn stage(&self, index: usize, stage: &StageConfig) -> Result<(), TrainingError> {
        let key = |name: &str| format!("stage[{index}].{name}");
        self.positive(&key("steps"), stage.steps as f64)?;
        self.positive(&key("lr_scale"), stage.lr_scale)?;
        self.positive(&key("micro_batches"), stage.micro_batches as f64)?;
        self.positive(&key("number of [[stage.mix]] tables"), stage.mixes.len() as f64)?;
        for (m, mix) in stage.mixes.iter().enumerate() {
            let key = |name: &str| format!("stage[{index}].mix[{m}].{name}");
            self.positive(&key("weight"), mix.weight)?;
            self.positive(&key("pages"), mix.pages as f64)?;
            self.positive(&key("questions_per_page"), mix.questions_per_page as f64)?;
            self.questions(&key("questions"), mix.questions)?;
        }
        Ok(())
    }
}

/// A form of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuestionForm {
    /// What is at this point?
    Name,
    /// Where is it? Answer only.
    Point,
    /// Where is it? One thought, then the answer.
    Think,
    /// Where is it? With at least one zoom turn.
    Zoom,
}

impl QuestionForm {
    /// The key in the configuration and the word in metric names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Point => "point",
            Self::Think => "think",
            Self::Zoom => "zoom",
        }
    }
}

impl QuestionMix {
    /// Every form with its relative frequency.
    pub fn weights(self) -> [(QuestionForm, f64); 4] {
        [
            (QuestionForm::Name, self.name),
            (QuestionForm::Point, self.point),
            (QuestionForm::Think, self.think),
            (QuestionForm::Zoom, self.zoom),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = include_str!("../configs/nano.toml");

    #[track_caller]
    fn refused(from: &str, to: &str, said: &[&str]) {
        assert!(RECIPE.contains(from), "`{from}` is not in the recipe");
        let error = SftConfig::parse(&RECIPE.replacen(from, to, 1), Path::new("my.toml")).unwrap_err();
        let message = error.to_string();
        for part in said.iter().chain(&["my.toml"]) {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
    }

    #[test]
    fn the_recipe_is_valid_and_survives_being_written() {
        let config = SftConfig::parse(RECIPE, Path::new("nano.toml")).unwrap();
        let written = toml::to_string_pretty(&config).unwrap();
        assert_eq!(SftConfig::parse(&written, Path::new("written.toml")).unwrap(), config);
    }

    #[test]
    fn each_part_continues_the_one_before_and_the_last_one_speaks_as_inference_does() {
        let parts = [RECIPE, include_str!("../configs/nano_small.toml")];
        let parts = parts.map(|text| SftConfig::parse(text, Path::new("part.toml")).unwrap());
        for pair in parts.windows(2) {
            let InitConfig::Checkpoint(from) = &pair[1].init else { panic!("it continues") };
            assert_eq!(from.folder, pair[0].run.output_dir.join("model"));
        }
        assert_eq!(parts[1].policy.preset(), Preset::nano());
    }

    #[test]
    fn nothing_has_a_hidden_default_and_nothing_is_ignored() {
        refused("clip_norm = 1.0\n", "", &["missing field `clip_norm`"]);
        refused("clip_norm = 1.0\n", "clip_nrom = 1.0\n", &["clip_nrom", "unknown field"]);
        refused("matrix_rule = \"muon\"", "matrix_rule = \"sgd\"", &["sgd", "`muon`", "`adamw`"]);
        refused("freeze = \"nothing\"", "freeze = \"all\"", &["all", "`nothing`", "`vision`"]);
    }

    #[test]
    fn values_are_checked_and_named() {
        refused("matrix_lr = 1.5e-3", "matrix_lr = 0.0", &["optimizer.matrix_lr", "above 0"]);
        refused("decay_share = 0.0", "decay_share = 1.5", &["optimizer.schedule.decay_share", "from 0 to 1"]);
        refused("vocab_size = 0", "vocab_size = 9", &["init.new.text.vocab_size", "tokenizer"]);
        refused("gaze_layer = 2", "gaze_layer = 4", &["loss.gaze_layer", "a layer of the decoder"]);
        refused("preset = \"nano\"", "preset = \"mini\"", &["policy.preset", "mini", "name of a preset"]);
        refused(
            "preset = \"nano\"",
            "preset = \"gta1\"",
            &["policy.preset", "gta1", "written in their tags"],
        );
        refused("pages = 2", "pages = 0", &["stage[0].mix[0].pages", "above 0"]);
    }

    #[test]
    fn steps_belong_to_stages() {
        let mut config = SftConfig::parse(RECIPE, Path::new("nano.toml")).unwrap();
        config.stages.truncate(2);
        (config.stages[0].steps, config.stages[1].steps) = (3, 2);
        assert_eq!((0..5).map(|step| config.stage_at(step).0).collect::<Vec<_>>(), [0, 0, 0, 1, 1]);
        assert_eq!(config.total_steps(), 5);
    }
}
