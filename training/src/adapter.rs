//! Low-rank adapters (LoRA): fresh ones, the folders of PEFT, and merging.
//!
//! Invariant: a layer's update is `alpha / rank · B A` whatever made it, so a folder that would be computed otherwise is
//! refused by the name of its option. Names inside this program are those of the layers with `.lora_A.weight` and
//! `.lora_B.weight` behind them; the names of PEFT are made and read here and nowhere else.
//! Sources: arXiv 2106.09685; the file format is that of the library `peft`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vigorl_qwen::{Adapters, Config};

use crate::checkpoint::{write_atomically, write_tensors};
use crate::error::TrainingError;
use crate::fresh;
use crate::seed::{number_of, stream};

/// The files of a PEFT folder.
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts in front of the module names of the model that it wraps.
const WRAPPER: &str = "base_model.model.";
/// Options of PEFT that are read, or that change nothing of what a finished adapter computes.
const KNOWN_OPTIONS: [&str; 15] = [
    "alora_invocation_tokens",
    "base_model_name_or_path",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
];

/// Which layers get adapters, and of what size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// The update is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Projections of every decoder layer: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    /// One of the vision tower begins with `visual.`, such as `visual.attn.qkv` or `visual.merger.mlp.0`.
    pub targets: Vec<String>,
}

impl LoraConfig {
    /// Factor of every update.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The layers of `model` that get adapters, with outputs and inputs of each.
    ///
    /// # Errors
    /// [`TrainingError::Adapter`] if the size is unusable, or a target names no layer.
    pub fn layers(&self, model: &Config) -> Result<BTreeMap<String, [usize; 2]>, TrainingError> {
        if self.rank == 0 || !(self.alpha.is_finite() && self.alpha > 0.0) {
            let detail = format!("rank {} and alpha {} must both be above 0", self.rank, self.alpha);
            return Err(TrainingError::Adapter(detail));
        }
        if self.targets.is_empty() {
            return Err(TrainingError::Adapter(
                "there are no targets: name projections, such as q_proj".to_owned(),
            ));
        }
        let all = linear_layers(model);
        for target in &self.targets {
            if !all.keys().any(|layer| is_named(layer, target)) {
                let known: BTreeSet<String> = all.keys().map(|layer| target_of(layer)).collect();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(TrainingError::Adapter(format!(
                    "no layer is called `{target}`; there are {known}"
                )));
            }
        }
        let is_target = |layer: &str| self.targets.iter().any(|target| is_named(layer, target));
        Ok(all.into_iter().filter(|(layer, _)| is_target(layer)).collect())
    }
}

/// The adapters of a model.
#[derive(Debug, Clone)]
pub struct Lora {
    /// Their size and place.
    pub config: LoraConfig,
    /// Two matrices for each layer, in the order of their names.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Lora {
    /// Adapters that change nothing yet: A is uniform in ±1/sqrt(inputs), as PEFT draws it, and B is 0.
    ///
    /// # Errors
    /// As [`LoraConfig::layers`].
    pub fn fresh(config: LoraConfig, model: &Config, seed: u64) -> Result<Self, TrainingError> {
        let mut tensors = BTreeMap::new();
        for (layer, [n_out, n_in]) in config.layers(model)? {
            let [of_a, of_b] = names(&layer);
            let (mut rng, bound) = (stream(seed, &[number_of(&of_a)]), (n_in as f32).sqrt().recip());
            let values = (0..config.rank * n_in).map(|_| rng.random_range(-bound..bound)).collect();
            tensors.insert(of_a, Tensor::from_vec(values, (config.rank, n_in), &Device::Cpu)?);
            tensors.insert(of_b, Tensor::zeros((n_out, config.rank), DType::F32, &Device::Cpu)?);
        }
        Ok(Self { config, tensors })
    }

    /// As a model takes them.
    pub fn adapters(&self) -> Adapters {
        Adapters { tensors: self.tensors.clone(), scale: self.config.scale() }
    }

    /// `W + scale · B A` in f32 for each layer with an adapter; all other tensors as they are.
    ///
    /// # Errors
    /// [`TrainingError::Adapter`] if `base` lacks a layer.
    pub fn merged(&self, base: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, TrainingError> {
        let mut merged = base.clone();
        for (of_a, a) in &self.tensors {
            let Some(layer) = of_a.strip_suffix(A) else { continue };
            let (name, [_, of_b]) = (format!("{layer}.weight"), names(layer));
            let (Some(weight), Some(b)) = (base.get(&name), self.tensors.get(&of_b)) else {
                return Err(TrainingError::Adapter(format!("`{of_a}` stands without `{name}` or `{of_b}`")));
            };
            let of_base = |tensor: &Tensor| tensor.to_device(weight.device())?.to_dtype(DType::F32);
            let update = (of_base(b)?.matmul(&of_base(a)?)? * self.config.scale())?;
            merged.insert(name, (of_base(weight)? + update)?.detach());
        }
        Ok(merged)
    }

    /// Writes a folder that PEFT loads onto the checkpoint `base`, a name or a folder.
    ///
    /// # Errors
    /// [`TrainingError::File`] or a tensor that cannot be written.
    pub fn write(&self, path: &Path, base: &str) -> Result<(), TrainingError> {
        write_atomically(path, |dir| self.write_files(dir, base))
    }

    pub(crate) fn write_files(&self, dir: &Path, base: &str) -> Result<(), TrainingError> {
        let LoraConfig { rank, alpha, targets } = &self.config;
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": if alpha.fract() == 0.0 { json!(*alpha as u64) } else { json!(alpha) },
            "lora_dropout": 0.0,
            "target_modules": pattern_of(targets),
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": null,
            "use_dora": false,
            "use_rslora": false,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        let path = dir.join(CONFIG);
        fs::write(&path, format!("{config:#}\n")).map_err(TrainingError::file("write", &path))?;
        let tensors = self.tensors.iter().map(|(name, tensor)| (peft_name(name), tensor.clone()));
        write_tensors(&dir.join(WEIGHTS), tensors.collect())
    }

    /// Reads a folder of PEFT for `model`.
    ///
    /// # Errors
    /// [`TrainingError::Content`] for options that would compute something else and for tensors of other layers or
    /// sizes; [`TrainingError::File`].
    pub fn read(dir: &Path, model: &Config) -> Result<Self, TrainingError> {
        let path = dir.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(TrainingError::file("read", &path))?;
        let options = serde_json::from_str(&text).map_err(TrainingError::content(&path))?;
        let (rank, alpha) = size_of(&options).map_err(TrainingError::content(&path))?;
        let path = dir.join(WEIGHTS);
        if !path.exists() {
            let detail = "it is missing: an adapter is read as safetensors".to_owned();
            return Err(TrainingError::Content { path, detail });
        }
        let stored = candle_core::safetensors::load(&path, &Device::Cpu)?;
        let mut tensors = BTreeMap::new();
        for (name, tensor) in stored {
            tensors.insert(own_name(&name), tensor.to_dtype(DType::F32)?);
        }
        let targets = checked(&tensors, rank, model).map_err(TrainingError::content(&path))?;
        Ok(Self { config: LoraConfig { rank, alpha, targets }, tensors })
    }
}

const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

fn names(layer: &str) -> [String; 2] {
    [format!("{layer}{A}"), format!("{layer}{B}")]
}

/// Outputs and inputs of every layer that can have an adapter.
fn linear_layers(model: &Config) -> BTreeMap<String, [usize; 2]> {
    let layers = fresh::tensor_shapes(model).into_iter().filter_map(|(name, shape)| {
        let layer = name.strip_suffix(".weight")?;
        let is_layer = layer.starts_with("visual.") || layer.starts_with("model.layers.");
        is_layer.then_some((layer.to_owned(), shape.try_into().ok()?))
    });
    layers.collect()
}

/// Whether `target` is the end of the layer's name, in the tower if it says so and in the decoder otherwise.
fn is_named(layer: &str, target: &str) -> bool {
    let within = |layer: &str, end: &str| layer == end || layer.ends_with(&format!(".{end}"));
    match (layer.strip_prefix("visual."), target.strip_prefix("visual.")) {
        (Some(layer), Some(end)) => within(layer, end),
        (None, None) => within(layer, target),
        _ => false,
    }
}

/// The shortest target that names this layer in every block.
fn target_of(layer: &str) -> String {
    match layer.strip_prefix("visual.blocks.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("visual.{rest}"),
        None if layer.starts_with("visual.") => layer.to_owned(),
        None => layer.rsplit('.').next().unwrap_or(layer).to_owned(),
    }
}

/// Both towers call projections `gate_proj`, `up_proj` and `down_proj`; PEFT's lists of names would mean both, its
/// regular expressions need not.
fn pattern_of(targets: &[String]) -> String {
    let (tower, decoder): (Vec<&str>, Vec<&str>) =
        targets.iter().map(String::as_str).partition(|target| target.starts_with("visual."));
    let any = |names: &[&str]| names.join("|").replace("visual.", "").replace('.', r"\.");
    let mut patterns = Vec::new();
    if !decoder.is_empty() {
        patterns.push(format!(r"(?!.*visual\.).*\.layers\..*\.({})", any(&decoder)));
    }
    if !tower.is_empty() {
        patterns.push(format!(r".*visual\.(.*\.)?({})", any(&tower)));
    }
    patterns.join("|")
}

/// As modules are called since transformers 4.52.
fn peft_name(name: &str) -> String {
    match name.strip_prefix("model.") {
        Some(rest) => format!("{WRAPPER}model.language_model.{rest}"),
        None => format!("{WRAPPER}model.{name}"),
    }
}

/// Of that layout, or of the one before it.
fn own_name(name: &str) -> String {
    let name = name.strip_prefix(WRAPPER).unwrap_or(name);
    match (name.strip_prefix("model.language_model."), name.strip_prefix("model.visual.")) {
        (Some(rest), _) => format!("model.{rest}"),
        (_, Some(rest)) => format!("visual.{rest}"),
        _ => name.to_owned(),
    }
}

/// Rank and alpha, if nothing else of the options is on.
fn size_of(options: &Map<String, Value>) -> Result<(usize, f64), String> {
    let is = |name: &str, wanted: &str| match &options.get(name) {
        Some(Value::String(found)) if found == wanted => Ok(()),
        found => Err(format!("`{name}` is {}, `{wanted}` is read", found.unwrap_or(&Value::Null))),
    };
    is("peft_type", "LORA")?;
    if let Some(initial @ Value::String(name)) = options.get("init_lora_weights")
        && !["gaussian", "orthogonal"].contains(&name.as_str())
    {
        return Err(format!(
            "`init_lora_weights` is {initial}, which may change the base weights: merge it first"
        ));
    }
    for (name, value) in options.iter().filter(|(name, _)| !KNOWN_OPTIONS.contains(&name.as_str())) {
        let is_off = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text == "none",
            Value::Array(values) => values.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            Value::Bool(true) => name == "use_rslora",
            Value::Number(_) => false,
        };
        if !is_off {
            return Err(format!(
                "`{name}` is {value}, which is not computed here: train without it, or merge with PEFT"
            ));
        }
    }
    let number = |name: &str| options.get(name).and_then(Value::as_f64).filter(|value| *value > 0.0);
    let (Some(rank), Some(alpha)) = (number("r"), number("lora_alpha")) else {
        return Err("`r` and `lora_alpha` must be numbers above 0".to_owned());
    };
    // Rank-stabilized adapters are scaled by alpha / sqrt(rank).
    let is_stabilized = options.get("use_rslora") == Some(&Value::Bool(true));
    Ok((rank as usize, if is_stabilized { alpha * rank.sqrt() } else { alpha }))
}

/// The targets of tensors that fit `model`.
fn checked(tensors: &BTreeMap<String, Tensor>, rank: usize, model: &Config) -> Result<Vec<String>, String> {
    let layers = linear_layers(model);
    let mut targets = BTreeSet::new();
    for (name, tensor) in tensors {
        let layer = name.strip_suffix(A).or_else(|| name.strip_suffix(B));
        let Some((layer, [n_out, n_in])) = layer.and_then(|layer| layers.get_key_value(layer)) else {
            return Err(format!("`{name}` belongs to no layer of this model that can have an adapter"));
        };
        let expected = if name.ends_with(A) { [rank, *n_in] } else { [*n_out, rank] };
        if tensor.dims() != expected {
            return Err(format!("`{name}` has shape {:?}, expected {expected:?}", tensor.dims()));
        }
        if let Some(missing) = names(layer).iter().find(|name| !tensors.contains_key(*name)) {
            return Err(format!("`{name}` has no `{missing}` beside it"));
        }
        targets.insert(target_of(layer));
    }
    if targets.is_empty() {
        return Err("there are no tensors in it".to_owned());
    }
    Ok(targets.into_iter().collect())
}
