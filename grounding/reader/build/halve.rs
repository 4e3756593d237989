//! The same model with its large tables in 16 bits, which whoever loads it widens again.
//!
//! Invariant: whatever is not a large table of 32-bit floats is copied byte for byte.
//! Source: `onnx.proto3` of onnx 1.17 (the numbers of fields).

use half::f16;

use crate::onnx::{Wire, fields};

/// Tables below this many numbers stay as they are: they are scales and offsets, whose error would be everywhere.
const MIN_NUMBERS: usize = 1_024;
const FLOAT: u64 = 1;
const FLOAT16: u64 = 10;

mod field {
    pub(super) const MODEL_GRAPH: u64 = 7;
    pub(super) const GRAPH_NODE: u64 = 1;
    pub(super) const GRAPH_INITIALIZER: u64 = 5;
    pub(super) const NODE_ATTRIBUTE: u64 = 5;
    pub(super) const ATTRIBUTE_TENSOR: u64 = 5;
    pub(super) const TENSOR_TYPE: u64 = 2;
    pub(super) const TENSOR_RAW: u64 = 9;
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The message with some of its fields' bytes replaced.
fn rewritten(message: &[u8], replace: impl Fn(u64, &[u8]) -> Option<Option<Vec<u8>>>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(message.len());
    for field in fields(message)? {
        match field.value {
            Wire::Bytes(bytes) => match replace(field.number, bytes)? {
                Some(new) => put_bytes(&mut out, field.number, &new),
                None => out.extend_from_slice(field.whole),
            },
            Wire::Varint(_) | Wire::Fixed => out.extend_from_slice(field.whole),
        }
    }
    Some(out)
}

/// The model with its large tables in 16 bits, which whoever loads it widens again.
pub(crate) fn halved(model: &[u8]) -> Option<Vec<u8>> {
    rewritten(model, |number, graph| match number {
        field::MODEL_GRAPH => Some(Some(rewritten(graph, |number, part| match number {
            field::GRAPH_INITIALIZER => halved_tensor(part).map(Some),
            field::GRAPH_NODE => Some(Some(rewritten(part, |number, attribute| match number {
                field::NODE_ATTRIBUTE => Some(Some(rewritten(attribute, |number, tensor| match number {
                    field::ATTRIBUTE_TENSOR => halved_tensor(tensor).map(Some),
                    _ => Some(None),
                })?)),
                _ => Some(None),
            })?)),
            _ => Some(None),
        })?)),
        _ => Some(None),
    })
}

fn halved_tensor(tensor: &[u8]) -> Option<Vec<u8>> {
    let parts = fields(tensor)?;
    let is_float = parts
        .iter()
        .any(|part| part.number == field::TENSOR_TYPE && matches!(part.value, Wire::Varint(FLOAT)));
    let raw = parts.iter().find_map(|part| match part.value {
        Wire::Bytes(bytes) if part.number == field::TENSOR_RAW => Some(bytes),
        _ => None,
    });
    let Some(raw) = raw.filter(|raw| is_float && raw.len() / 4 >= MIN_NUMBERS) else {
        return Some(tensor.to_vec());
    };
    let halves: Vec<u8> = raw
        .as_chunks()
        .0
        .iter()
        .flat_map(|number| f16::from_f32(f32::from_le_bytes(*number)).to_le_bytes())
        .collect();
    let mut out = Vec::with_capacity(tensor.len());
    for part in parts {
        match part.number {
            field::TENSOR_TYPE => {
                put_varint(&mut out, field::TENSOR_TYPE << 3);
                put_varint(&mut out, FLOAT16);
            }
            field::TENSOR_RAW => put_bytes(&mut out, field::TENSOR_RAW, &halves),
            _ => out.extend_from_slice(part.whole),
        }
    }
    Some(out)
}
