//! Muon for matrices, AdamW for everything else.
//!
//! Invariant: an update depends on the gradients, the state and the step number only; state is saved and
//! restored bit for bit.
//! Sources: Muon, K. Jordan 2024 (momentum, then five Newton-Schulz iterations that push all singular values
//! towards 1); its scaling by `0.2 * sqrt(longer side)`, which gives updates the size of AdamW's, from
//! "Muon is scalable for LLM training" (arXiv 2502.16982). We differ in one way: a fused query-key-value
//! matrix is orthogonalized in its three parts, and the merger's first matrix in four. AdamW: arXiv 1711.05101,
//! without decay for embeddings, norms and biases. A configuration may have it move the matrices as well, with decay.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Result, Tensor, Var};

use crate::config::{MatrixRule, OptimizerConfig};
use crate::error::TrainingError;
use crate::workers::Workers;

/// A trained tensor and its name in the checkpoint.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name in the published layout.
    pub name: String,
    /// The values.
    pub var: Var,
}

/// Both optimizers and their state.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    states: Vec<State>,
    n_steps: u64,
}

#[derive(Debug, Clone)]
enum State {
    Matrix {
        momentum: Tensor,
        n_parts: usize,
    },
    /// AdamW's moments. `lr` is the peak rate.
    Moments {
        first: Tensor,
        second: Tensor,
        lr: f64,
        decay: f64,
    },
}

/// Tensors that are moved, or scaled, between two times at which memory is given back.
const AT_ONCE: usize = 16;
const COEFFICIENTS: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
pub(crate) const ADAM_EPSILON: f64 = 1e-8;

impl Optimizer {
    /// Fresh state for `parameters`.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn new(parameters: &[Parameter], config: &OptimizerConfig) -> Result<Self> {
        let fresh = |parameter: &Parameter| {
            let zeros = parameter.var.zeros_like()?;
            let (is_matrix, first) = (is_matrix(&parameter.name, parameter.var.rank()), zeros.clone());
            Ok(match config.matrix_rule {
                MatrixRule::Muon if is_matrix => {
                    State::Matrix { momentum: zeros, n_parts: n_parts(&parameter.name) }
                }
                MatrixRule::AdamW if is_matrix => {
                    let (lr, decay) = (config.matrix_lr, config.weight_decay);
                    State::Moments { first, second: zeros, lr, decay }
                }
                _ => State::Moments { first, second: zeros, lr: config.vector_lr, decay: 0.0 },
            })
        };
        let states = parameters.iter().map(fresh).collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), states, n_steps: 0 })
    }

    /// How weights move.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Steps taken.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Moves every parameter against its gradient. `gradients` are in the order of `parameters`; one without
    /// a gradient took no part in the step and stays as it is. `share` scales both learning rates.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn step(
        &mut self,
        parameters: &[Parameter],
        gradients: &[Option<Tensor>],
        share: f64,
        workers: &Workers,
    ) -> Result<()> {
        self.n_steps += 1;
        let present = gradients.iter().enumerate().filter_map(|(i, g)| Some((i, g.as_ref()?)));
        let jobs: Vec<(usize, &Tensor)> = present.collect();
        // A few at a time, so that not all old states are held beside all new ones.
        for jobs in jobs.chunks(AT_ONCE) {
            let updates =
                workers.map(jobs, |&(i, g)| self.update(&parameters[i].var, &self.states[i], g, share));
            for ((i, _), update) in jobs.iter().zip(updates) {
                self.states[*i] = update?;
            }
        }
        Ok(())
    }

    fn update(&self, var: &Var, state: &State, gradient: &Tensor, share: f64) -> Result<State> {
        let config = &self.config;
        match state {
            State::Matrix { momentum, n_parts } => {
                let momentum = ((momentum * config.matrix_momentum)? + gradient)?;
                // Nesterov: look ahead along the new momentum.
                let ahead = ((&momentum * config.matrix_momentum)? + gradient)?;
                let direction = orthogonal_parts(&ahead, *n_parts)?;
                let lr = config.matrix_lr * share;
                let kept = (var.as_tensor() * (1.0 - lr * config.weight_decay))?;
                var.set(&(kept - (direction * lr)?)?.detach())?;
                Ok(State::Matrix { momentum: momentum.detach(), n_parts: *n_parts })
            }
            State::Moments { first, second, lr: peak, decay } => {
                let [beta1, beta2] = config.vector_betas;
                let first = ((first * beta1)? + (gradient * (1.0 - beta1))?)?;
                let second = ((second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
                let n = self.n_steps as f64;
                let mean = (&first / (1.0 - beta1.powf(n)))?;
                let spread = ((&second / (1.0 - beta2.powf(n)))?.sqrt()? + ADAM_EPSILON)?;
                let lr = peak * share;
                let kept = match *decay > 0.0 {
                    true => (var.as_tensor() * (1.0 - lr * decay))?,
                    false => var.as_tensor().clone(),
                };
                var.set(&(kept - ((mean / spread)? * lr)?)?.detach())?;
                let (first, second) = (first.detach(), second.detach());
                Ok(State::Moments { first, second, lr: *peak, decay: *decay })
            }
        }
    }

    /// The state by name, for a checkpoint.
    pub fn state(&self, parameters: &[Parameter]) -> Vec<(String, Tensor)> {
        let named = parameters.iter().zip(&self.states).flat_map(|(parameter, state)| {
            let name = |what: &str| format!("{what}.{}", parameter.name);
            match state {
                State::Matrix { momentum, .. } => vec![(name("momentum"), momentum.clone())],
                State::Moments { first, second, .. } => {
                    vec![(name("first"), first.clone()), (name("second"), second.clone())]
                }
            }
        });
        named.collect()
    }

    /// Continues from what a checkpoint in `folder` has.
    ///
    /// # Errors
    /// [`TrainingError::Content`] names a tensor that is missing or of another shape.
    pub(crate) fn resume(
        &mut self,
        parameters: &[Parameter],
        saved: &HashMap<String, Tensor>,
        n_steps: u64,
        folder: &Path,
    ) -> std::result::Result<(), TrainingError> {
        self.restore(parameters, saved, n_steps).map_err(|name| TrainingError::Content {
            path: folder.to_owned(),
            detail: format!("the optimizer's state has no tensor `{name}` of the right shape"),
        })
    }

    /// Continues from a saved state after `n_steps` steps; names the first tensor that is missing.
    ///
    /// # Errors
    /// The name of a missing tensor.
    pub fn restore(
        &mut self,
        parameters: &[Parameter],
        saved: &HashMap<String, Tensor>,
        n_steps: u64,
    ) -> std::result::Result<(), String> {
        let find = |what: &str, parameter: &Parameter| {
            let name = format!("{what}.{}", parameter.name);
            let found = saved.get(&name).filter(|t| t.shape() == parameter.var.shape());
            found.and_then(|t| t.to_device(parameter.var.device()).ok()).ok_or(name)
        };
        for (state, parameter) in self.states.iter_mut().zip(parameters) {
            match state {
                State::Matrix { momentum, .. } => *momentum = find("momentum", parameter)?,
                State::Moments { first, second, .. } => {
                    (*first, *second) = (find("first", parameter)?, find("second", parameter)?);
                }
            }
        }
        self.n_steps = n_steps;
        Ok(())
    }
}

/// Whether a tensor is a matrix that acts on activations; tables of embeddings are not such.
pub(crate) fn is_matrix(name: &str, rank: usize) -> bool {
    let is_table = name.contains("embed_tokens") || name.contains("lm_head");
    rank >= 2 && !is_table
}

/// Blocks of rows that are orthogonalized on their own.
fn n_parts(name: &str) -> usize {
    if name.ends_with("attn.qkv.weight") {
        3
    } else if name.ends_with("merger.mlp.0.weight") {
        // By far the largest square; in four parts it costs a fifth.
        4
    } else {
        1
    }
}

/// The orthogonalized update of a matrix (or of its `n_parts` equal blocks of rows), scaled like AdamW's.
fn orthogonal_parts(update: &Tensor, n_parts: usize) -> Result<Tensor> {
    let matrix = update.flatten_from(1)?;
    let n_rows = matrix.dim(0)? / n_parts;
    let mut parts = Vec::with_capacity(n_parts);
    for part in 0..n_parts {
        let part = matrix.narrow(0, part * n_rows, n_rows)?.contiguous()?;
        let longer = part.dim(0)?.max(part.dim(1)?) as f64;
        parts.push((orthogonalize(&part)? * (0.2 * longer.sqrt()))?);
    }
    Tensor::cat(&parts, 0)?.reshape(update.shape())
}

/// Five Newton-Schulz iterations: a matrix with the same singular vectors and singular values near 1.
///
/// # Errors
/// Only if the tensor library fails.
pub fn orthogonalize(matrix: &Tensor) -> Result<Tensor> {
    let (a, b, c) = COEFFICIENTS;
    let is_tall = matrix.dim(0)? > matrix.dim(1)?;
    let norm = matrix.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
    let mut x =
        (if is_tall { matrix.t()?.contiguous()? } else { matrix.clone() } / (f64::from(norm) + 1e-7))?;
    for _ in 0..5 {
        let gram = x.matmul(&x.t()?)?;
        let polynomial = ((&gram * b)? + (gram.matmul(&gram)? * c)?)?;
        x = ((&x * a)? + polynomial.matmul(&x)?)?;
    }
    if is_tall { x.t()?.contiguous() } else { Ok(x) }
}

/// Scales `gradients` down to `clip_norm` if they are longer, after dividing by `divisor`. Returns the norm
/// before clipping.
///
/// # Errors
/// Only if the tensor library fails.
pub fn normalize_and_clip(
    gradients: &mut [Option<Tensor>],
    divisor: f64,
    clip_norm: f64,
    workers: &Workers,
) -> Result<f64> {
    let square = |g: &Option<Tensor>| match g {
        Some(g) => g.sqr()?.sum_all()?.to_scalar::<f32>(),
        None => Ok(0.0),
    };
    let squares: Vec<f32> = workers.map(gradients, square).into_iter().collect::<Result<_>>()?;
    let norm = squares.iter().map(|&s| f64::from(s)).sum::<f64>().sqrt() / divisor;
    let scale = (clip_norm / norm.max(1e-12)).min(1.0) / divisor;
    for gradients in gradients.chunks_mut(AT_ONCE) {
        let scaled = workers.map(gradients, |g| g.as_ref().map(|g| g * scale).transpose());
        for (gradient, scaled) in gradients.iter_mut().zip(scaled) {
            *gradient = scaled?;
        }
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::config::{Decay, Freeze, ScheduleConfig};
    use crate::fresh::normal;

    fn config() -> OptimizerConfig {
        OptimizerConfig {
            matrix_rule: MatrixRule::Muon,
            matrix_lr: 0.02,
            matrix_momentum: 0.95,
            vector_lr: 0.05,
            vector_betas: [0.9, 0.98],
            weight_decay: 0.01,
            clip_norm: 1.0,
            freeze: Freeze::Nothing,
            schedule: ScheduleConfig {
                warmup_steps: 1,
                decay_share: 0.0,
                decay: Decay::Constant,
                final_share: 1.0,
            },
        }
    }

    #[test]
    fn orthogonalizing_brings_all_singular_values_near_one() {
        for (rows, columns) in [(48, 48), (96, 32), (32, 120)] {
            let matrix = Tensor::from_vec(normal(5, rows * columns), (rows, columns), &Device::Cpu).unwrap();
            let x = orthogonalize(&matrix).unwrap();
            let x = if rows > columns { x.t().unwrap().contiguous().unwrap() } else { x };
            // Singular values lie between the smallest and largest stretch of random directions; the Gram
            // matrix's trace is the sum of their squares.
            let gram = x.matmul(&x.t().unwrap()).unwrap();
            let side = rows.min(columns);
            let diagonal = (gram * Tensor::eye(side, DType::F32, &Device::Cpu).unwrap()).unwrap();
            let mean_square = diagonal.sum_all().unwrap().to_scalar::<f32>().unwrap() / side as f32;
            assert!((0.6..1.25).contains(&mean_square), "{rows}x{columns}: {mean_square}");
            for seed in 0..20 {
                let direction = Tensor::from_vec(normal(100 + seed, side), (1, side), &Device::Cpu).unwrap();
                let length =
                    |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
                let stretch = length(&direction.matmul(&x).unwrap()) / length(&direction);
                assert!((0.5..1.3).contains(&stretch), "{rows}x{columns}: {stretch}");
            }
        }
    }

    #[test]
    fn both_kinds_descend_a_quadratic_bowl_and_the_state_survives_a_restart() {
        let workers = Workers::new(2).unwrap();
        let matrix = Tensor::from_vec(normal(1, 64), (8, 8), &Device::Cpu).unwrap();
        let parameters = vec![
            Parameter {
                name: "model.layers.0.mlp.up_proj.weight".into(),
                var: Var::from_tensor(&matrix).unwrap(),
            },
            Parameter {
                name: "model.norm.weight".into(),
                var: Var::from_vec(vec![3_f32, -2.0], 2, &Device::Cpu).unwrap(),
            },
        ];
        let bowl = |parameters: &[Parameter]| {
            parameters
                .iter()
                .map(|p| p.var.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap())
                .sum::<f32>()
        };
        let descend = |optimizer: &mut Optimizer, n: usize| {
            for _ in 0..n {
                let gradients: Vec<_> = parameters.iter().map(|p| (p.var.as_tensor() * 2.0).ok()).collect();
                optimizer.step(&parameters, &gradients, 1.0, &workers).unwrap();
            }
        };
        let before = bowl(&parameters);
        let mut optimizer = Optimizer::new(&parameters, &config()).unwrap();
        descend(&mut optimizer, 20);
        let saved: HashMap<String, Tensor> = optimizer.state(&parameters).into_iter().collect();
        let at_save: Vec<Tensor> = parameters.iter().map(|p| p.var.as_tensor().copy().unwrap()).collect();
        descend(&mut optimizer, 20);
        let uninterrupted = bowl(&parameters);
        assert!(uninterrupted < 0.7 * before, "{before} to {uninterrupted}");
        for (parameter, value) in parameters.iter().zip(&at_save) {
            parameter.var.set(value).unwrap();
        }
        let mut resumed = Optimizer::new(&parameters, &config()).unwrap();
        resumed.restore(&parameters, &saved, 20).unwrap();
        descend(&mut resumed, 20);
        assert_eq!(bowl(&parameters), uninterrupted);
    }

    #[test]
    fn adamw_moves_matrices_too_where_asked_and_only_they_decay() {
        let config = OptimizerConfig { matrix_rule: MatrixRule::AdamW, ..config() };
        let var = |values: &[f32], shape: &[usize]| Var::from_slice(values, shape, &Device::Cpu).unwrap();
        let parameter = |name: &str, var: Var| Parameter { name: name.to_owned(), var };
        let parameters = [
            parameter("model.layers.0.mlp.up_proj.weight", var(&[1.0, -2.0], &[1, 2])),
            parameter("model.norm.weight", var(&[1.0, -2.0], &[2])),
        ];
        let gradients: Vec<_> = parameters.iter().map(|p| (p.var.as_tensor() * 3.0).ok()).collect();
        let mut optimizer = Optimizer::new(&parameters, &config).unwrap();
        optimizer.step(&parameters, &gradients, 0.5, &Workers::new(1).unwrap()).unwrap();
        // The first step goes by the whole rate against the sign, whatever the gradient's length.
        let expected =
            |lr: f32, decay: f32| [1.0, -2.0].map(|v: f32| v * (1.0 - lr * decay) - lr * v.signum());
        for (parameter, expected) in parameters.iter().zip([expected(0.01, 0.01), expected(0.025, 0.0)]) {
            let moved = parameter.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let is_near = moved.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(is_near, "{}: {moved:?} instead of {expected:?}", parameter.name);
        }
        let saved: HashMap<String, Tensor> = optimizer.state(&parameters).into_iter().collect();
        assert!(saved.contains_key("second.model.layers.0.mlp.up_proj.weight"));
        // What Muon left cannot be continued by AdamW.
        let muon = Optimizer::new(&parameters, &self::config()).unwrap();
        let saved: HashMap<String, Tensor> = muon.state(&parameters).into_iter().collect();
        let missing = optimizer.restore(&parameters, &saved, 1).unwrap_err();
        assert_eq!(missing, "first.model.layers.0.mlp.up_proj.weight");
    }

    #[test]
    fn clipping_divides_first_and_shortens_only_what_is_too_long() {
        let workers = Workers::new(1).unwrap();
        let mut gradients = vec![Tensor::new(&[6_f32, 8.0], &Device::Cpu).ok(), None];
        assert_eq!(normalize_and_clip(&mut gradients, 2.0, 1.0, &workers).unwrap(), 5.0);
        let values = |gradients: &[Option<Tensor>]| gradients[0].as_ref().unwrap().to_vec1::<f32>().unwrap();
        let clipped = values(&gradients);
        assert!((clipped[0] - 0.6).abs() < 1e-6 && (clipped[1] - 0.8).abs() < 1e-6);
        assert!(normalize_and_clip(&mut gradients, 1.0, 10.0, &workers).unwrap() < 1.01);
        assert_eq!(values(&gradients), clipped);
    }
}
