//! The decoder: grouped-query attention, multi-section rotary positions, gated MLP.
//!
//! Source: transformers `Qwen2_5_VLTextModel`. Shapes: B rows, T tokens, D hidden width, H query heads,
//! Hkv key heads, d head width.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};
use vigorl_kernels::Operands;

use crate::attention::{Growing, attention, attention_behind};
use crate::config::TextConfig;
use crate::embedding::Embedding;
use crate::error::EngineError;
use crate::linear::{Bias, Linear};
use crate::mlp::Mlp;
use crate::model::OnLayer;
use crate::mrope::RotaryTable;
use crate::ops::{Mask, rms_norm, rotary};
use crate::weights::{Matrix, Weights};

/// The decoder. Weight names: `model.*`, `lm_head.weight`.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    pub(crate) embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor,
    lm_head: Linear,
    config: TextConfig,
}

/// What the tokens of a pass see.
#[derive(Debug)]
pub(crate) enum Context<'a, 'c> {
    /// Rows of their own.
    Rows(&'a Mask),
    /// What their conversations hold, and the tokens before them.
    Behind(&'a mut [Growing<'c>]),
}

/// Weight names: `model.layers.{i}.*`.
#[derive(Debug, Clone)]
struct Layer {
    index: usize,
    input_norm: Tensor,
    post_attention_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    mlp: Mlp,
    operands: Operands,
}

impl Decoder {
    pub(crate) fn load(weights: &Weights, config: &TextConfig) -> std::result::Result<Self, EngineError> {
        let c = config;
        let embedding = Embedding::load(weights, c.vocab_size, c.hidden_size)?;
        let lm_head = match (&embedding, c.tie_word_embeddings) {
            (Embedding::Table(table), true) => Matrix::Dense(table.clone()),
            (_, tied) => {
                let name = if tied { Embedding::NAME } else { "lm_head.weight" };
                weights.output_matrix(name, [c.vocab_size, c.hidden_size])?
            }
        };
        let lm_head = Linear::from_matrix(lm_head)?;
        let layers = (0..c.num_hidden_layers)
            .map(|i| Layer::load(weights, i, c))
            .collect::<std::result::Result<_, _>>()?;
        let norm = weights.get("model.norm.weight", &[c.hidden_size])?;
        // A tied output layer has been made of the same pages by now.
        embedding.expect_lookups()?;
        Ok(Self { embedding, layers, norm, lm_head, config: c.clone() })
    }

    /// Hidden states after the final norm.
    ///
    /// `each_layer` sees every layer's output.
    ///
    /// # Shapes
    /// x: (B, T, D), positions table of B * T rows; result: (B, T, D). With T = 1, each token is multiplied as if it
    /// were alone ([`Linear`]).
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        table: &Arc<RotaryTable>,
        mut context: Context<'_, '_>,
        each_layer: OnLayer<'_>,
    ) -> Result<Tensor> {
        let mut x = x.clone();
        for i in 0..self.layers.len() {
            x = self.layer(i, &x, table, &mut context)?;
            each_layer(i, &x);
        }
        self.normed(&x)
    }

    /// What layer `i` makes of `x`.
    pub(crate) fn layer(
        &self,
        i: usize,
        x: &Tensor,
        table: &Arc<RotaryTable>,
        context: &mut Context<'_, '_>,
    ) -> Result<Tensor> {
        self.layers[i].forward(x, table, context, &self.config)
    }

    /// The final norm of what the last layer gives.
    pub(crate) fn normed(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.norm, self.config.rms_norm_eps)
    }

    /// Scaled scores of one head before mask and softmax. `x` is what the layer gets.
    ///
    /// # Shapes
    /// x: (B, T, D); result: (B, T, T).
    pub(crate) fn attention_scores(
        &self,
        layer: usize,
        head: usize,
        x: &Tensor,
        table: &Arc<RotaryTable>,
    ) -> Result<Tensor> {
        let (c, layer) = (&self.config, &self.layers[layer]);
        let (b, t, _) = x.dims3()?;
        let group = c.num_attention_heads / c.num_key_value_heads;
        let (q, k) = layer.queries_and_keys(&rms_norm(x, &layer.input_norm, c.rms_norm_eps)?, table, c)?;
        let one =
            |heads: &Tensor, head| heads.narrow(2, head, 1)?.reshape((b, t, c.head_dim()))?.contiguous();
        let (q, k) = (one(&q, head)?, one(&k, head / group)?);
        (q * (c.head_dim() as f64).powf(-0.5))?.matmul(&k.t()?)
    }

    /// Of hidden states, keys and values.
    pub(crate) fn dtype(&self) -> DType {
        self.norm.dtype()
    }

    /// (..., D) → (..., V).
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(hidden)
    }
}

impl Layer {
    fn load(weights: &Weights, index: usize, c: &TextConfig) -> std::result::Result<Self, EngineError> {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let linear = |part: &str, n_out, n_in, bias| Linear::load(weights, &name(part), n_out, n_in, bias);
        let (d, f, head) = (c.hidden_size, c.intermediate_size, c.head_dim());
        let (h, kv) = (c.num_attention_heads * head, c.num_key_value_heads * head);
        Ok(Self {
            index,
            input_norm: weights.get(&name("input_layernorm.weight"), &[d])?,
            post_attention_norm: weights.get(&name("post_attention_layernorm.weight"), &[d])?,
            q: linear("self_attn.q_proj", h, d, Bias::Present)?,
            k: linear("self_attn.k_proj", kv, d, Bias::Present)?,
            v: linear("self_attn.v_proj", kv, d, Bias::Present)?,
            o: linear("self_attn.o_proj", d, h, Bias::Absent)?,
            mlp: Mlp::load(weights, &name("mlp"), d, f, Bias::Absent)?,
            operands: weights.format().operands(),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        table: &Arc<RotaryTable>,
        context: &mut Context<'_, '_>,
        c: &TextConfig,
    ) -> Result<Tensor> {
        let h = rms_norm(x, &self.input_norm, c.rms_norm_eps)?;
        let x = self.o.forward_onto(x, &self.attend(&h, table, context, c)?)?;
        let h = rms_norm(&x, &self.post_attention_norm, c.rms_norm_eps)?;
        self.mlp.forward_onto(&x, &h)
    }

    /// Both rotated. x: normalized (B, T, D); results: (B, T, H, d) and (B, T, Hkv, d).
    fn queries_and_keys(
        &self,
        x: &Tensor,
        table: &Arc<RotaryTable>,
        c: &TextConfig,
    ) -> Result<(Tensor, Tensor)> {
        let (b, t, _) = x.dims3()?;
        let (h, kv, d) = (c.num_attention_heads, c.num_key_value_heads, c.head_dim());
        let q = rotary(&self.q.forward(x)?.reshape((b * t, h, d))?, table)?.reshape((b, t, h, d))?;
        let k = rotary(&self.k.forward(x)?.reshape((b * t, kv, d))?, table)?.reshape((b, t, kv, d))?;
        Ok((q, k))
    }

    /// What the heads read, side by side: (B, T, H * d).
    fn attend(
        &self,
        x: &Tensor,
        table: &Arc<RotaryTable>,
        context: &mut Context<'_, '_>,
        c: &TextConfig,
    ) -> Result<Tensor> {
        let (b, t, _) = x.dims3()?;
        let (q, k) = self.queries_and_keys(x, table, c)?;
        let v = self.v.forward(x)?.reshape((b, t, c.num_key_value_heads, c.head_dim()))?;
        match context {
            Context::Rows(mask) => {
                let (k, v) = (k.transpose(1, 2)?.contiguous()?, v.transpose(1, 2)?.contiguous()?);
                attention(&q, &k, &v, Some(mask), self.operands)
            }
            Context::Behind(growing) => {
                let read = attention_behind(&q, &k, &v, growing, self.index, self.operands)?;
                read.reshape((b, t, ()))
            }
        }
    }
}
