//! Products of quantized weight matrices with f32 activations, attention, and gates, on the CPU.
//!
//! Invariants: no tensor library here, only slices; every kernel has a portable twin that gives the same
//! integers, and which one runs is decided at run time ([`Isa::detect`]). Unsafe code lives in `avx512.rs`
//! (vector instructions), in `matrix.rs` (threads that write different columns of one output, memory that is not
//! cleared first), in one place of `attention.rs` (a library that takes pointers) and one of `lanes.rs`
//! (instructions found at run time).
//!
//! How a product is computed: weights are stored in panels of [`LANES`] outputs; each [`BLOCK`] inputs of an
//! output share a scale. Activations are quantized to 8 bits per row and block on the fly, except a few
//! channels that are far larger than the rest, which are multiplied in f32 (the split of LLM.int8(), arXiv
//! 2208.07339): one such value would otherwise leave no resolution for its block.

mod activations;
mod attention;
mod avx512;
mod few_rows;
mod gated;
mod isa;
mod lanes;
mod many_rows;
mod matrix;
mod portable;

pub use attention::{AttentionShape, Heads, Operands, Sees, Sequence, Stretch, attend};
pub use few_rows::multiply_few;
pub use gated::GatedMlp;
pub use isa::Isa;
pub use lanes::swiglu_row;
pub use many_rows::{MANY_ROWS, multiply_many};
pub use matrix::{Added, Format, LAYOUT, QuantizedMatrix, Rows, SharedBytes};

/// Inputs that share a scale of the activations, and of 8-bit weights.
pub const BLOCK: usize = 128;
/// Outputs of a panel: the 32-bit lanes of a 512-bit register.
pub const LANES: usize = 16;
/// Inputs that one dot-product instruction adds up in a lane.
const GROUP: usize = 4;
/// Groups of a block.
const GROUPS: usize = BLOCK / GROUP;
/// Inputs that share a scale and a minimum of 4-bit weights.
const PART: usize = 64;
/// Parts of a block.
const PARTS: usize = BLOCK / PART;
/// Groups of a part.
const PART_GROUPS: usize = PART / GROUP;

#[cfg(test)]
mod tests;
