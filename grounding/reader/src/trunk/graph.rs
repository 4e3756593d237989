//! The part of an ONNX graph that layers are made of: nodes, their attributes and tables of numbers.
//!
//! Invariant: damaged bytes give `None`; names that only stand for other names are resolved.
//! Source: `onnx.proto3` of onnx 1.17 (the numbers of fields).

use std::collections::HashMap;

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use crate::onnx::{Wire, fields};

pub(super) mod field {
    pub(in crate::trunk) const MODEL_GRAPH: u64 = 7;
    pub(in crate::trunk) const GRAPH_NODE: u64 = 1;
    pub(in crate::trunk) const GRAPH_INITIALIZER: u64 = 5;
    pub(in crate::trunk) const GRAPH_INPUT: u64 = 11;
    pub(in crate::trunk) const GRAPH_OUTPUT: u64 = 12;
    pub(in crate::trunk) const GRAPH_VALUE: u64 = 13;
    pub(in crate::trunk) const NODE_INPUT: u64 = 1;
    pub(in crate::trunk) const NODE_OUTPUT: u64 = 2;
    pub(in crate::trunk) const NODE_OPERATOR: u64 = 4;
    pub(in crate::trunk) const NODE_ATTRIBUTE: u64 = 5;
    pub(in crate::trunk) const ATTRIBUTE_NAME: u64 = 1;
    pub(in crate::trunk) const ATTRIBUTE_FLOAT: u64 = 2;
    pub(in crate::trunk) const ATTRIBUTE_INT: u64 = 3;
    pub(in crate::trunk) const ATTRIBUTE_TEXT: u64 = 4;
    pub(in crate::trunk) const ATTRIBUTE_INTS: u64 = 8;
    pub(in crate::trunk) const TENSOR_DIMS: u64 = 1;
    pub(in crate::trunk) const TENSOR_TYPE: u64 = 2;
    pub(in crate::trunk) const TENSOR_NAME: u64 = 8;
    pub(in crate::trunk) const TENSOR_RAW: u64 = 9;
}
const FLOAT: u64 = 1;
const FLOAT16: u64 = 10;

/// A table of numbers that does not change.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) dims: Vec<usize>,
    pub(super) numbers: Vec<f32>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) operator: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    ints: HashMap<String, Vec<usize>>,
    floats: HashMap<String, f32>,
    texts: HashMap<String, String>,
}

impl Node {
    #[cfg(test)]
    pub(super) fn of(operator: &str, inputs: &[&str], ints: &[(&str, &[usize])]) -> Self {
        Self {
            operator: operator.to_owned(),
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            ints: ints.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect(),
            ..Self::default()
        }
    }

    pub(super) fn ints<const N: usize>(&self, name: &str) -> Option<[usize; N]> {
        self.ints.get(name)?.as_slice().try_into().ok()
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.floats.get(name).copied()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

#[derive(Debug)]
pub(crate) struct Graph {
    /// In an order in which they can be computed, without those that copy.
    pub(super) nodes: Vec<Node>,
    pub(super) tables: HashMap<String, Table>,
    pub(super) input: String,
    pub(super) output: String,
}

impl Graph {
    pub(crate) fn parse(model: &[u8]) -> Option<Self> {
        let graph = fields(model)?.into_iter().find(|field| field.number == field::MODEL_GRAPH)?;
        let Wire::Bytes(graph) = graph.value else { return None };
        let (mut nodes, mut tables, mut inputs, mut outputs) =
            (Vec::new(), HashMap::new(), Vec::new(), Vec::new());
        for part in fields(graph)? {
            let Wire::Bytes(bytes) = part.value else { continue };
            match part.number {
                field::GRAPH_NODE => nodes.push(node(bytes)?),
                field::GRAPH_INITIALIZER => tables.extend(table(bytes)),
                field::GRAPH_INPUT => inputs.push(text_of(bytes, 1)?),
                field::GRAPH_OUTPUT => outputs.push(text_of(bytes, 1)?),
                _ => {}
            }
        }
        // Tables are listed among the inputs by some exporters.
        inputs.retain(|name| !tables.contains_key(name));
        let ([input], [output]) = (inputs.as_slice(), outputs.as_slice()) else { return None };
        let mut graph = Self { nodes, tables, input: input.clone(), output: output.clone() };
        graph.resolve();
        Some(graph)
    }

    /// Drops the nodes that only copy.
    fn resolve(&mut self) {
        let mut copied: HashMap<String, String> = HashMap::new();
        let mut nodes = Vec::new();
        for mut node in std::mem::take(&mut self.nodes) {
            for input in &mut node.inputs {
                if let Some(original) = copied.get(input) {
                    input.clone_from(original);
                }
            }
            match (node.operator.as_str(), node.inputs.first(), node.outputs.first()) {
                ("Identity", Some(original), Some(copy)) if *copy != self.output => {
                    copied.insert(copy.clone(), original.clone());
                }
                _ => nodes.push(node),
            }
        }
        self.nodes = nodes;
    }
}

pub(super) fn text_of(message: &[u8], number: u64) -> Option<String> {
    fields(message)?.into_iter().find(|field| field.number == number).and_then(|field| match field.value {
        Wire::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Wire::Varint(_) | Wire::Fixed => None,
    })
}

fn node(message: &[u8]) -> Option<Node> {
    let mut node = Node::default();
    for part in fields(message)? {
        let Wire::Bytes(bytes) = part.value else { continue };
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match part.number {
            field::NODE_INPUT => node.inputs.push(text()),
            field::NODE_OUTPUT => node.outputs.push(text()),
            field::NODE_OPERATOR => node.operator = text(),
            field::NODE_ATTRIBUTE => attribute(bytes, &mut node)?,
            _ => {}
        }
    }
    Some(node)
}

fn attribute(message: &[u8], node: &mut Node) -> Option<()> {
    let name = text_of(message, field::ATTRIBUTE_NAME)?;
    for part in fields(message)? {
        match (part.number, part.value) {
            (field::ATTRIBUTE_INT | field::ATTRIBUTE_INTS, Wire::Varint(value)) => {
                node.ints.entry(name.clone()).or_default().extend(usize::try_from(value));
            }
            (field::ATTRIBUTE_INTS, Wire::Bytes(packed)) => {
                node.ints.entry(name.clone()).or_default().extend(varints(packed)?);
            }
            (field::ATTRIBUTE_FLOAT, Wire::Fixed) => {
                node.floats.insert(name.clone(), f32::from_le_bytes(*part.whole.last_chunk()?));
            }
            (field::ATTRIBUTE_TEXT, Wire::Bytes(bytes)) => {
                node.texts.insert(name.clone(), String::from_utf8_lossy(bytes).into_owned());
            }
            _ => {}
        }
    }
    Some(())
}

/// Several whole numbers in one field.
fn varints(mut packed: &[u8]) -> Option<Vec<usize>> {
    let mut values = Vec::new();
    while !packed.is_empty() {
        values.push(usize::try_from(crate::onnx::varint(&mut packed)?).ok()?);
    }
    Some(values)
}

/// A table by its name, if it is one of floats.
fn table(message: &[u8]) -> Option<(String, Table)> {
    let name = text_of(message, field::TENSOR_NAME)?;
    let (mut dims, mut raw, mut kind) = (Vec::new(), None, 0);
    for part in fields(message)? {
        match (part.number, part.value) {
            (field::TENSOR_DIMS, Wire::Varint(value)) => dims.push(usize::try_from(value).ok()?),
            (field::TENSOR_DIMS, Wire::Bytes(packed)) => dims.extend(varints(packed)?),
            (field::TENSOR_TYPE, Wire::Varint(value)) => kind = value,
            (field::TENSOR_RAW, Wire::Bytes(bytes)) => raw = Some(bytes),
            _ => {}
        }
    }
    let raw = raw?;
    let numbers: Vec<f32> = match kind {
        FLOAT => raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        FLOAT16 => {
            let halves: Vec<f16> = raw.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect();
            let mut numbers = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut numbers);
            numbers
        }
        _ => return None,
    };
    // A table without numbers has nothing to compute with.
    let n = dims.iter().try_fold(1_usize, |n, dim| n.checked_mul(*dim)).filter(|n| *n > 0)?;
    (numbers.len() == n).then_some((name, Table { dims, numbers }))
}
