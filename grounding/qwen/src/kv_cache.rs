//! Keys and values of the tokens computed so far.
//!
//! Invariants: what is held is never changed. A conversation's tokens lie in pieces, one behind the other; a piece is
//! written to only by the one conversation that holds it, and once another one has it as well, whoever goes on begins a
//! new piece. So conversations with one beginning share it, and each goes on by itself.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};
use vigorl_kernels::{Heads, Stretch};

use crate::config::TextConfig;

/// Tokens that a piece has room for, where fewer are needed.
const LEAST_ROOM: usize = 64;
/// Or this share of what is held already, so that a long completion does not lie in many pieces.
const ROOM_SHARE: usize = 4;

/// Keys and values of a conversation, for every layer.
#[derive(Debug, Clone)]
pub struct KvCache {
    sizes: Sizes,
    pieces: Vec<Piece>,
}

/// What one token takes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    n_layers: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

/// The first tokens of a storage.
#[derive(Debug, Clone)]
struct Piece {
    storage: Arc<Storage>,
    len: usize,
}

#[derive(Debug)]
struct Storage {
    capacity: usize,
    layers: Vec<Layer>,
}

/// Keys and values of one layer.
#[derive(Debug)]
enum Layer {
    /// For the one-pass kernel: `[key head][capacity][head width]` each.
    Plain { keys: Vec<f32>, values: Vec<f32> },
    /// Elsewhere: (1, Hkv, capacity, d) each.
    Tensors { keys: Tensor, values: Tensor },
}

impl KvCache {
    /// An empty cache for `config`.
    pub fn new(config: &TextConfig) -> Self {
        let sizes = Sizes {
            n_layers: config.num_hidden_layers,
            n_kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim(),
        };
        Self { sizes, pieces: Vec::new() }
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len).sum()
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `len` tokens, shared with this one.
    pub(crate) fn first(&self, len: usize) -> Self {
        let (mut left, mut pieces) = (len, Vec::new());
        for piece in &self.pieces {
            let len = piece.len.min(left);
            if len > 0 {
                pieces.push(Piece { len, ..piece.clone() });
            }
            left -= len;
        }
        Self { pieces, ..*self }
    }

    /// The storages and the tokens that each has room for; one that is shared has the same name everywhere.
    pub(crate) fn storages(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pieces.iter().map(|piece| (Arc::as_ptr(&piece.storage).addr(), piece.storage.capacity))
    }

    /// Holds `n` more tokens, which are [written](Self::write) layer by layer before they are read.
    pub(crate) fn grow(&mut self, n: usize, dtype: DType, device: &Device) -> Result<()> {
        let held = self.len();
        let fits = self.pieces.last_mut().is_some_and(|last| {
            last.len + n <= last.storage.capacity && Arc::get_mut(&mut last.storage).is_some()
        });
        if !fits {
            let capacity = if n >= LEAST_ROOM { n } else { LEAST_ROOM.max(held / ROOM_SHARE) };
            let storage = Storage::new(self.sizes, capacity, dtype, device)?;
            self.pieces.push(Piece { storage: Arc::new(storage), len: 0 });
        }
        if let Some(last) = self.pieces.last_mut() {
            last.len += n;
        }
        Ok(())
    }

    /// Writes keys and values of the `n` last tokens of a layer in plain memory.
    ///
    /// # Shapes
    /// k, v: (n, Hkv, d).
    pub(crate) fn write(&mut self, layer: usize, n: usize, k: &[f32], v: &[f32]) -> Result<()> {
        let d = self.sizes.head_dim;
        let (Layer::Plain { keys, values }, capacity, first) = self.newest(layer, n)? else {
            bail!("keys in plain memory for a cache of tensors");
        };
        for (of_cache, new) in [(keys, k), (values, v)] {
            let n_heads = of_cache.len() / (capacity * d);
            for (at, value) in new.chunks_exact(d).enumerate() {
                let (token, head) = (at / n_heads, at % n_heads);
                of_cache[(head * capacity + first + token) * d..][..d].copy_from_slice(value);
            }
        }
        Ok(())
    }

    /// As [`Self::write`], of tensors (1, Hkv, n, d).
    pub(crate) fn write_tensors(&mut self, layer: usize, n: usize, k: &Tensor, v: &Tensor) -> Result<()> {
        let (Layer::Tensors { keys, values }, _, first) = self.newest(layer, n)? else {
            bail!("tensors for a cache in plain memory");
        };
        keys.slice_set(&k.contiguous()?, 2, first)?;
        values.slice_set(&v.contiguous()?, 2, first)
    }

    /// A layer of the last piece, its capacity, and where its `n` last tokens begin.
    fn newest(&mut self, layer: usize, n: usize) -> Result<(&mut Layer, usize, usize)> {
        let Some(Piece { storage, len }) = self.pieces.last_mut() else { bail!("the cache has not grown") };
        let Some(Storage { capacity, layers }) = Arc::get_mut(storage) else {
            bail!("the cache has grown where another one reads");
        };
        Ok((&mut layers[layer], *capacity, *len - n))
    }

    /// All keys and values of a layer in plain memory.
    pub(crate) fn stretches(&self, layer: usize) -> Result<Vec<Stretch<'_>>> {
        let d = self.sizes.head_dim;
        self.pieces.iter().map(|piece| plain(piece, layer, d)).collect()
    }

    /// Keys and values of a layer as tensors (1, Hkv, tokens, d), piece by piece.
    pub(crate) fn tensors(&self, layer: usize) -> Result<Vec<(Tensor, Tensor)>> {
        let of_piece = |piece: &Piece| match &piece.storage.layers[layer] {
            Layer::Tensors { keys, values } => {
                Ok((keys.narrow(2, 0, piece.len)?, values.narrow(2, 0, piece.len)?))
            }
            Layer::Plain { .. } => bail!("keys in plain memory"),
        };
        self.pieces.iter().map(of_piece).collect()
    }

    /// Whether both hold the same tokens but for the last piece of each.
    pub(crate) fn begins_as(&self, other: &Self) -> bool {
        let (Some((_, own)), Some((_, others))) = (self.pieces.split_last(), other.pieces.split_last())
        else {
            return false;
        };
        let is_same = |(a, b): (&Piece, &Piece)| Arc::ptr_eq(&a.storage, &b.storage) && a.len == b.len;
        !own.is_empty() && own.len() == others.len() && own.iter().zip(others).all(is_same)
    }
}

fn plain(piece: &Piece, layer: usize, head_dim: usize) -> Result<Stretch<'_>> {
    let Layer::Plain { keys, values } = &piece.storage.layers[layer] else { bail!("keys are tensors") };
    let head_stride = piece.storage.capacity * head_dim;
    let heads = |values| Heads { values, head_stride, key_stride: head_dim };
    Ok(Stretch { keys: heads(keys), values: heads(values), n_keys: piece.len })
}

impl Storage {
    fn new(sizes: Sizes, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let Sizes { n_layers, n_kv_heads, head_dim } = sizes;
        let layer = |_| {
            if dtype == DType::F32 && device.is_cpu() {
                // Memory that the system clears when it is first touched.
                let room = || vec![0.0_f32; n_kv_heads * capacity * head_dim];
                return Ok(Layer::Plain { keys: room(), values: room() });
            }
            let room = || Tensor::zeros((1, n_kv_heads, capacity, head_dim), dtype, device);
            Ok(Layer::Tensors { keys: room()?, values: room()? })
        };
        Ok(Self { capacity, layers: (0..n_layers).map(layer).collect::<Result<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { n_layers: 1, n_kv_heads: 2, head_dim: 3 };

    /// Holds another token, all of whose values are `value`.
    fn push(cache: &mut KvCache, value: f32) {
        cache.grow(1, DType::F32, &Device::Cpu).unwrap();
        cache.write(0, 1, &[value; 6], &[-value; 6]).unwrap();
    }

    /// The value of each token held, and where its piece lies.
    fn held(cache: &KvCache) -> Vec<f32> {
        let mut held = Vec::new();
        for Stretch { keys, values, n_keys } in cache.stretches(0).unwrap() {
            for (head, key) in (0..n_keys).flat_map(|key| [(0, key), (1, key)]) {
                let at = head * keys.head_stride + key * keys.key_stride;
                let (k, v) = (&keys.values[at..at + 3], &values.values[at..at + 3]);
                assert!(k.iter().zip(v).all(|(a, b)| *a == -b && *a == k[0]));
                held.extend((head == 0).then_some(keys.values[at]));
            }
        }
        held
    }

    #[test]
    fn conversations_share_their_beginning_and_go_on_by_themselves() {
        let mut first = KvCache { sizes: SIZES, pieces: Vec::new() };
        (1..=5).for_each(|value| push(&mut first, value as f32));
        let (mut second, third) = (first.first(3), first.first(5));
        push(&mut first, 6.0);
        push(&mut second, 7.0);
        push(&mut second, 8.0);
        assert_eq!(held(&first), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(held(&second), [1.0, 2.0, 3.0, 7.0, 8.0]);
        assert_eq!(held(&third), [1.0, 2.0, 3.0, 4.0, 5.0]);
        let names = |cache: &KvCache| cache.storages().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&first)[0], names(&second)[0]);
        assert_eq!((names(&first).len(), names(&third).len()), (2, 1));
        // Who is left alone writes where it is.
        drop((first, third));
        let mut alone = second.first(5);
        drop(second);
        push(&mut alone, 9.0);
        assert_eq!((held(&alone).last(), names(&alone).len()), (Some(&9.0), 2));
        assert!(!alone.begins_as(&alone.first(3)) && alone.begins_as(&alone.first(4)));
    }

    #[test]
    fn a_long_completion_lies_in_few_pieces() {
        let mut cache = KvCache { sizes: SIZES, pieces: Vec::new() };
        (0..2_000).for_each(|value| push(&mut cache, value as f32));
        assert!(cache.storages().count() < 16, "{}", cache.storages().count());
        assert_eq!(held(&cache), (0..2_000).map(|value| value as f32).collect::<Vec<_>>());
    }
}
