//! One forward pass with everything visible, for parity checks against the reference.

use candle_core::Tensor;
use vigorl_policy::{Conversation, PolicyError};

use crate::engine::{Engine, backend};
use crate::kv_cache::KvCache;
use crate::model::Probe;

/// Inputs, intermediates and outputs of one pass over a rendered conversation.
///
/// # Shapes
/// T tokens, N patches, M merged patches, I images, D hidden width, V vocabulary.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// (T) i64.
    pub input_ids: Tensor,
    /// (3, T) i64.
    pub position_ids: Tensor,
    /// (N, patch values) f32, all images in order; none without images.
    pub pixel_values: Option<Tensor>,
    /// (I, 3) i64; none without images.
    pub image_grid_thw: Option<Tensor>,
    /// (M, D).
    pub image_embeds: Option<Tensor>,
    /// One per vision block and image: (N of the image, width), in window order.
    pub vision_blocks: Vec<Vec<Tensor>>,
    /// One per decoder layer: (T, D).
    pub layers: Vec<Tensor>,
    /// (T, D) after the final norm.
    pub hidden_states: Tensor,
    /// (T, V).
    pub logits: Tensor,
}

/// Runs one uncached pass over `conversation` with the generation prompt.
///
/// # Errors
/// As [`vigorl_policy::Policy::complete`].
pub fn inspect_forward(engine: &Engine, conversation: &Conversation) -> Result<Inspection, PolicyError> {
    let prompt = engine.prepare(conversation)?;
    let mut vision_blocks = Vec::new();
    let (mut pixel_values, mut embeds, mut grids) = (vec![], vec![], vec![]);
    for image in &prompt.images {
        let mut blocks = Vec::new();
        let mut keep = |_: usize, x: &Tensor| blocks.push(x.clone());
        let mut probe = Probe { vision_block: Some(&mut keep), layer: None };
        let (patches, tokens) = engine.embed_image(&image.pixels, &mut probe)?;
        let width = patches.values.len() / patches.grid.n_patches();
        let shape = (patches.grid.n_patches(), width);
        pixel_values.push(Tensor::from_vec(patches.values, shape, &engine.device).map_err(backend)?);
        grids.extend([patches.grid.t, patches.grid.h, patches.grid.w].map(|n| n as i64));
        embeds.push(tokens);
        vision_blocks.push(blocks);
    }
    let joined = |parts: &[Tensor]| match parts {
        [] => Ok(None),
        _ => Tensor::cat(parts, 0).map(Some),
    };
    (|| {
        let image_embeds = joined(&embeds)?;
        let mut layers = Vec::new();
        let mut keep = |_: usize, x: &Tensor| layers.push(x.squeeze(0));
        let mut probe = Probe { vision_block: None, layer: Some(&mut keep) };
        let mut cache = KvCache::new(&engine.model.config().text);
        let hidden = engine.model.extend(
            &prompt.ids,
            &prompt.positions,
            image_embeds.as_ref(),
            &mut cache,
            &mut probe,
        )?;
        let n = prompt.ids.len();
        let ids: Vec<i64> = prompt.ids.iter().map(|&id| i64::from(id)).collect();
        let axes = (0..3).flat_map(|axis| prompt.positions.iter().map(move |p| i64::from(p[axis])));
        let hidden_states = hidden.squeeze(0)?;
        Ok(Inspection {
            input_ids: Tensor::from_vec(ids, n, &engine.device)?,
            position_ids: Tensor::from_vec(axes.collect::<Vec<_>>(), (3, n), &engine.device)?,
            pixel_values: joined(&pixel_values)?,
            image_grid_thw: match prompt.images.len() {
                0 => None,
                images => Some(Tensor::from_vec(grids, (images, 3), &engine.device)?),
            },
            image_embeds,
            vision_blocks,
            layers: layers.into_iter().collect::<candle_core::Result<_>>()?,
            logits: engine.model.logits(&hidden_states)?,
            hidden_states,
        })
    })()
    .map_err(|e: candle_core::Error| backend(e))
}
