//! A model under training, and what one micro-batch contributes to a step.
//!
//! Invariant: a contribution depends on the weights and the drawn pages only, so micro-batches can be
//! computed by any worker in any order; they are added up in the order of their numbers.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vigorl_policy::View;
use vigorl_qwen::{Adapters, Model, PackedBatch, PackedPass, Weights};

use crate::adapter::{Lora, LoraConfig};
use crate::config::{Freeze, MixConfig, Objective, QuestionMix};
use crate::error::TrainingError;
use crate::files::ModelFiles;
use crate::gaze::gaze_loss;
use crate::lessons::{LabelledPage, LessonSet};
use crate::loss::{Loss, soft_cross_entropy};
use crate::metrics::Tally;
use crate::optim::Parameter;
use crate::patches::{NamedImage, PatchBatch, name_logits, patch_batch};
use crate::question::{draw_questions, every_point};
use crate::sample::{AskedPage, Axis, Encoder, MicroBatch};
use crate::seed::stream;

/// Wrong proposals in a row that a question may show.
const MOST_MISTAKES: usize = 2;

/// A model that is trained: its tensors by name, and the modules that compute with them.
#[derive(Debug)]
pub struct Trained {
    /// Everything but the weights.
    pub files: ModelFiles,
    /// All tensors that the run holds as variables, in the order of their names: those of the checkpoint, or of its
    /// adapters.
    pub parameters: Vec<Parameter>,
    /// Those that move.
    pub moving: Vec<Parameter>,
    /// The modules; they share the tensors.
    pub model: Model,
    /// All tensors of the checkpoint. They are tracked by nobody, and see what the variables become.
    pub base: BTreeMap<String, Tensor>,
    /// Size and place of the adapters, if they are what moves.
    pub lora: Option<LoraConfig>,
    /// Whether the backward pass computes layers again, instead of keeping what it needs of them.
    pub is_checkpointed: bool,
}

impl Trained {
    /// Makes variables of `weights` and a model over them; frozen tensors take no part in the backward pass.
    ///
    /// # Errors
    /// If a tensor is missing or of the wrong shape.
    pub fn new(
        files: ModelFiles,
        weights: BTreeMap<String, Tensor>,
        freeze: Freeze,
    ) -> Result<Self, TrainingError> {
        let named =
            weights.into_iter().map(|(name, tensor)| Ok(Parameter { name, var: Var::from_tensor(&tensor)? }));
        let parameters = named.collect::<Result<Vec<_>, candle_core::Error>>()?;
        let moving: Vec<Parameter> = parameters.iter().filter(|p| freeze.moves(&p.name)).cloned().collect();
        let shared = parameters.iter().map(|p| {
            let tensor =
                if freeze.moves(&p.name) { p.var.as_tensor().clone() } else { p.var.as_detached_tensor() };
            (p.name.clone(), tensor)
        });
        let shared: BTreeMap<_, _> = shared.collect();
        let device = device_of(&shared);
        let weights = Weights::shared(shared, &device);
        let model = Model::load(&files.config()?, &weights)?;
        let base = detached(&parameters);
        Ok(Self { files, parameters, moving, model, base, lora: None, is_checkpointed: false })
    }

    /// A model of which only the adapters move. `base` is used as it is, so whoever holds it computes with the same
    /// memory: [`frozen_model`] over it is the model before training.
    ///
    /// # Errors
    /// If a tensor is missing or of the wrong shape.
    pub fn with_adapters(
        files: ModelFiles,
        base: &BTreeMap<String, Tensor>,
        adapters: &Lora,
    ) -> Result<Self, TrainingError> {
        let base: BTreeMap<_, _> =
            base.iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect();
        let device = device_of(&base);
        let named = adapters.tensors.iter().map(|(name, tensor)| {
            Ok(Parameter { name: name.clone(), var: Var::from_tensor(&tensor.detach().to_device(&device)?)? })
        });
        let parameters = named.collect::<Result<Vec<_>, candle_core::Error>>()?;
        let tensors = parameters.iter().map(|p| (p.name.clone(), p.var.as_tensor().clone())).collect();
        let weights = Weights::shared(base.clone(), &device);
        let weights = weights.adapted(Adapters { tensors, scale: adapters.config.scale() });
        let model = Model::load(&files.config()?, &weights)?;
        let (moving, lora) = (parameters.clone(), Some(adapters.config.clone()));
        Ok(Self { files, parameters, moving, model, base, lora, is_checkpointed: false })
    }

    /// The gradient of a loss over rows in each moving parameter, none for those that took no part, and what `head` says
    /// besides: it makes a scalar of a pass.
    ///
    /// # Errors
    /// What `head` says, or if the tensor library fails.
    pub fn gradients<T>(
        &self,
        rows: &PackedBatch,
        head: impl FnOnce(&PackedPass) -> Result<(Tensor, T), TrainingError>,
    ) -> Result<(Vec<Option<Tensor>>, T), TrainingError> {
        let (store, said) = match self.is_checkpointed {
            true => self.model.packed_checkpointed(rows, head)?,
            false => {
                let (scalar, said) = head(&self.model.packed(rows)?)?;
                (scalar.backward()?, said)
            }
        };
        Ok((self.taken(store)?, said))
    }

    /// Detached, or a gradient would keep alive what it was computed from.
    fn taken(&self, mut store: GradStore) -> Result<Vec<Option<Tensor>>, TrainingError> {
        let take =
            |p: &Parameter| store.remove(p.var.as_tensor()).map(|g| Ok(g.contiguous()?.detach())).transpose();
        Ok(self.moving.iter().map(take).collect::<Result<_, candle_core::Error>>()?)
    }

    /// The numbers that the modules compute in.
    pub(crate) fn dtype(&self) -> DType {
        self.base.values().next().map_or(DType::F32, Tensor::dtype)
    }

    /// The adapters as they are now, if they are what moves.
    pub fn adapters(&self) -> Option<Lora> {
        self.lora.clone().map(|config| Lora { config, tensors: detached(&self.parameters) })
    }

    /// The model for those who sample from it: it computes with what the variables are at the moment, and tracks nothing.
    ///
    /// # Errors
    /// None but what [`Self::new`] would have said.
    pub fn sampler(&self) -> Result<Model, TrainingError> {
        frozen_model(&self.files, &self.base, self.adapters().as_ref())
    }
}

/// A model over tensors that others may share; without adapters it is the reference of those who train some.
///
/// # Errors
/// If a tensor is missing or of the wrong shape.
pub fn frozen_model(
    files: &ModelFiles,
    base: &BTreeMap<String, Tensor>,
    adapters: Option<&Lora>,
) -> Result<Model, TrainingError> {
    let detached = base.iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect();
    let weights = Weights::shared(detached, &device_of(base));
    let weights = match adapters {
        Some(adapters) => weights.adapted(adapters.adapters()),
        None => weights,
    };
    Ok(Model::load(&files.config()?, &weights)?)
}

fn device_of(tensors: &BTreeMap<String, Tensor>) -> Device {
    tensors.values().next().map_or(Device::Cpu, |tensor| tensor.device().clone())
}

fn detached(parameters: &[Parameter]) -> BTreeMap<String, Tensor> {
    parameters.iter().map(|p| (p.name.clone(), p.var.as_detached_tensor())).collect()
}

/// What one micro-batch contributes to a step. Gradients are in the order of the moving parameters.
#[derive(Debug)]
pub struct Contribution<S> {
    /// Gradients of the weighted sum of the tokens' losses; none for tensors that took no part.
    pub gradients: Vec<Option<Tensor>>,
    /// Sum of the tokens' weights.
    pub weight: f64,
    /// Weighted sum of the tokens' losses.
    pub loss: f64,
    /// What else is known of it.
    pub seen: S,
}

impl<S: Seen> Contribution<S> {
    /// Both together.
    ///
    /// # Errors
    /// Only if the tensor library fails.
    pub fn and(self, other: Self) -> Result<Self, TrainingError> {
        let sum = |(a, b): (Option<Tensor>, Option<Tensor>)| match (a, b) {
            (Some(a), Some(b)) => (a + b).map(Some),
            (a, b) => Ok(a.or(b)),
        };
        let gradients = self.gradients.into_iter().zip(other.gradients).map(sum);
        let gradients = gradients.collect::<Result<_, candle_core::Error>>()?;
        let mut seen = self.seen;
        seen.merge(&other.seen);
        Ok(Self { gradients, weight: self.weight + other.weight, loss: self.loss + other.loss, seen })
    }
}

/// What is known of a micro-batch besides its gradient.
pub trait Seen: Default + Send + Sync {
    /// Takes in another one's.
    fn merge(&mut self, other: &Self);
}

/// What a supervised micro-batch saw.
#[derive(Debug, Default, Clone)]
pub struct Taught {
    /// Outcomes of its tokens.
    pub tally: Tally,
    /// Pages in it.
    pub n_pages: u64,
    /// Questions in it.
    pub n_questions: u64,
    /// Tokens in it.
    pub n_tokens: u64,
}

impl Seen for Taught {
    fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.n_pages += other.n_pages;
        self.n_questions += other.n_questions;
        self.n_tokens += other.n_tokens;
    }
}

/// A micro-batch of any objective.
#[derive(Debug)]
pub enum Work {
    /// Conversations.
    Turns(MicroBatch),
    /// Visual tokens that name what they show.
    Patches(PatchBatch),
}

/// Forward and backward pass of one supervised micro-batch.
///
/// # Errors
/// Only if the tensor library fails.
pub fn contribution(
    trained: &Trained,
    work: &Work,
    encoder: &Encoder,
) -> Result<Contribution<Taught>, TrainingError> {
    let (gradients, outcomes) = match work {
        Work::Turns(batch) => trained.gradients(&batch.packed, |pass| {
            let loss = loss_of_pass(&trained.model, pass, batch, encoder)?;
            Ok((loss.surrogate, loss.outcomes))
        })?,
        Work::Patches(batch) => {
            let loss = soft_cross_entropy(&batch.logits(&trained.model)?, &batch.targets)?;
            (trained.taken(loss.surrogate.backward()?)?, loss.outcomes)
        }
    };
    let mut tally = Tally::default();
    outcomes.iter().for_each(|outcome| tally.add(outcome, encoder.numbers()));
    let (n_pages, n_questions, n_tokens) = match work {
        Work::Turns(batch) => (batch.packed.ids.len(), batch.asked.len(), batch.n_tokens),
        Work::Patches(batch) => (batch.n_pages(), 0, batch.targets.len()),
    };
    let (n_pages, n_questions, n_tokens) = (n_pages as u64, n_questions as u64, n_tokens as u64);
    let weight = tally.weight();
    let loss = weight * tally.mean_loss();
    Ok(Contribution { gradients, weight, loss, seen: Taught { tally, n_pages, n_questions, n_tokens } })
}

/// The loss of everything a batch of conversations teaches: what to say, where to look while saying it, and
/// what the screenshots' visual tokens show. The outcomes of the batch's targets come first, in their order.
///
/// # Errors
/// Only if the tensor library fails.
pub fn turns_loss(model: &Model, batch: &MicroBatch, encoder: &Encoder) -> Result<Loss, TrainingError> {
    loss_of_pass(model, &model.packed(&batch.packed)?, batch, encoder)
}

fn loss_of_pass(
    model: &Model,
    pass: &PackedPass,
    batch: &MicroBatch,
    encoder: &Encoder,
) -> Result<Loss, TrainingError> {
    let settings = encoder.loss();
    let mut loss = soft_cross_entropy(&model.logits_at(pass, &batch.places())?, &batch.plain_targets())?;
    let gazes = batch.gazes();
    if settings.gaze_weight > 0.0 && !gazes.is_empty() {
        let places: Vec<_> = gazes.iter().map(|gaze| gaze.place).collect();
        let scores = model.attention_scores_at(pass, settings.gaze_layer, settings.gaze_head, &places)?;
        loss = loss.and(gaze_loss(&scores, pass, &gazes, settings.gaze_weight as f32)?)?;
    }
    if let Some(images) = pass.images.as_ref().filter(|_| !batch.shown.is_empty()) {
        let indices: Vec<u32> = batch.shown.iter().map(|(index, _)| *index as u32).collect();
        let indices = Tensor::from_slice(&indices, indices.len(), images.device())?;
        let targets: Vec<_> = batch.shown.iter().map(|(_, target)| target.clone()).collect();
        let logits = name_logits(model, &images.index_select(&indices, 0)?)?;
        loss = loss.and(soft_cross_entropy(&logits, &targets)?)?;
    }
    Ok(loss)
}

/// Draws pages, and questions if the objective asks any, for one micro-batch. `model` is asked for its own
/// mistakes where the mixture wants them.
///
/// # Errors
/// If a page cannot be read or rendered.
pub fn draw_work(
    encoder: &Encoder,
    model: &Model,
    data: &LessonSet,
    mix: &MixConfig,
    seed: u64,
    path: &[u64],
) -> Result<Work, TrainingError> {
    let draws = (0..mix.pages as u64).map(|page| {
        let mut rng = stream(seed, &[path, &[page]].concat());
        (rng.random_range(0..data.len()), rng)
    });
    match mix.objective {
        Objective::Turns => {
            let pages = draws.map(|(index, mut rng)| {
                let (view, page) = (encoder.view(data.image(index)?)?, data.page(index));
                draw_page(encoder, model, view, page, mix, &mut rng)
            });
            Ok(Work::Turns(encoder.pack(&pages.collect::<Result<Vec<_>, _>>()?)?))
        }
        Objective::NamePatches | Objective::NameCrops => {
            let images =
                draws.map(|(index, mut rng)| named_image(encoder, data, index, mix.objective, &mut rng));
            Ok(Work::Patches(patch_batch(encoder, &images.collect::<Result<Vec<_>, _>>()?)?))
        }
    }
}

/// Draws questions about one page as the mixture says. `model` is asked for its own mistakes where it wants them.
///
/// # Errors
/// If a crop cannot be made or a conversation cannot be rendered.
pub fn draw_page(
    encoder: &Encoder,
    model: &Model,
    view: View,
    page: &LabelledPage,
    mix: &MixConfig,
    rng: &mut ChaCha8Rng,
) -> Result<AskedPage, TrainingError> {
    let mistakes = mix.own_mistakes.then(|| mistakes(encoder, model, view.clone(), page)).transpose()?;
    ask(encoder, view, page, &mix.questions, mix.questions_per_page, mistakes.as_deref(), rng)
}

/// For each of the page's tasks, the widgets that the policy looks at more than at the right one when it is
/// asked for the point at once, the likeliest first, at most [`MOST_MISTAKES`].
fn mistakes(
    encoder: &Encoder,
    model: &Model,
    view: View,
    page: &LabelledPage,
) -> Result<Vec<Vec<usize>>, TrainingError> {
    let questions = every_point(page, &view, encoder.preset())?;
    let targets: Vec<usize> = questions.iter().map(|q| q.target).collect();
    let named = NamedImage::page(&view, page);
    let batch = encoder.pack(&[AskedPage { view, named: named.clone(), questions }])?;
    let pass = model.packed(&batch.packed)?;
    let first_axis = batch.targets.iter().filter(|t| t.answer_axis == Some(Axis::X));
    let places: Vec<(usize, usize)> = first_axis.map(|t| (t.row, t.index - 1)).collect();
    let settings = encoder.loss();
    let scores = model.attention_scores_at(&pass, settings.gaze_layer, settings.gaze_head, &places)?;
    let ids = &batch.packed.ids[0];
    let first = ids.iter().position(|&id| id == encoder.config().image_token_id).unwrap_or(0);
    let grid = batch.packed.grids[0];
    let n_slots = grid.n_tokens(encoder.config().vision.spatial_merge_size);
    let rows = scores.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let of_task = rows.iter().zip(targets).map(|(row, target)| {
        let slots = &row[first..first + n_slots];
        let mut tokens: Vec<usize> = (0..n_slots).collect();
        tokens.sort_by(|a, b| slots[*b].total_cmp(&slots[*a]));
        let looked_at = tokens.into_iter().filter_map(|token| named.widget_at(encoder, token, grid));
        let mut mistakes = Vec::new();
        for widget in looked_at.take_while(|widget| *widget != target) {
            if !mistakes.contains(&widget) && mistakes.len() < MOST_MISTAKES {
                mistakes.push(widget);
            }
        }
        mistakes
    });
    Ok(of_task.collect())
}

/// Reads a page and draws questions about it; see [`draw_questions`] for `mistakes`.
///
/// # Errors
/// If the page cannot be read or a crop cannot be made.
pub fn asked_page(
    encoder: &Encoder,
    data: &LessonSet,
    index: usize,
    questions: &QuestionMix,
    n: usize,
    mistakes: Option<&[Vec<usize>]>,
    rng: &mut ChaCha8Rng,
) -> Result<AskedPage, TrainingError> {
    let view = encoder.view(data.image(index)?)?;
    ask(encoder, view, data.page(index), questions, n, mistakes, rng)
}

fn ask(
    encoder: &Encoder,
    view: View,
    page: &LabelledPage,
    questions: &QuestionMix,
    n: usize,
    mistakes: Option<&[Vec<usize>]>,
    rng: &mut ChaCha8Rng,
) -> Result<AskedPage, TrainingError> {
    let questions = draw_questions(page, &view, encoder.preset(), questions, n, mistakes, rng)?;
    let named = NamedImage::page(&view, page);
    Ok(AskedPage { view, named, questions })
}

/// Reads a page, or a crop of it, with the boxes and names of its widgets.
///
/// # Errors
/// If the page cannot be read or a crop cannot be made.
pub fn named_image(
    encoder: &Encoder,
    data: &LessonSet,
    index: usize,
    objective: Objective,
    rng: &mut ChaCha8Rng,
) -> Result<NamedImage, TrainingError> {
    let (view, page) = (encoder.view(data.image(index)?)?, data.page(index));
    match objective {
        Objective::NameCrops => NamedImage::crop(&view, page, encoder.preset().crop, rng),
        Objective::NamePatches | Objective::Turns => Ok(NamedImage::page(&view, page)),
    }
}
