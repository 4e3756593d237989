//! A part of a model as a model of its own: what `rten` still computes.
//!
//! Invariant: only the nodes and tables on the way from one value to the other are in it, byte for byte.

use std::collections::{HashMap, HashSet};

use crate::onnx::{Wire, fields};
use crate::trunk::graph::{field, text_of};

fn put(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    let varint = |out: &mut Vec<u8>, mut value: u64| {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The model that makes the value `to` of the value `from`.
pub(crate) fn between(model: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in fields(model)? {
        match part.value {
            Wire::Bytes(graph) if part.number == field::MODEL_GRAPH => {
                put(&mut out, field::MODEL_GRAPH, &part_of_graph(graph, from, to)?);
            }
            _ => out.extend_from_slice(part.whole),
        }
    }
    Some(out)
}

fn part_of_graph(graph: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let parts = fields(graph)?;
    let names = |node: &[u8], number: u64| -> Option<Vec<String>> {
        let texts = fields(node)?.into_iter().filter(|field| field.number == number);
        Some(
            texts
                .filter_map(|field| match field.value {
                    Wire::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                    Wire::Varint(_) | Wire::Fixed => None,
                })
                .collect(),
        )
    };
    let mut makers = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        if let (field::GRAPH_NODE, Wire::Bytes(node)) = (part.number, &part.value) {
            makers.extend(names(node, field::NODE_OUTPUT)?.into_iter().map(|name| (name, (at, *node))));
        }
    }
    let (mut nodes, mut values) = (HashSet::new(), HashSet::from([from.to_owned()]));
    let mut open = vec![to.to_owned()];
    while let Some(name) = open.pop() {
        if values.insert(name.clone())
            && let Some((at, node)) = makers.get(&name)
            && nodes.insert(*at)
        {
            open.extend(names(node, field::NODE_INPUT)?);
        }
    }
    let mut out = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let is_kept = match (part.number, &part.value) {
            (field::GRAPH_NODE, _) => nodes.contains(&at),
            (field::GRAPH_INITIALIZER, Wire::Bytes(table)) => {
                values.contains(&text_of(table, field::TENSOR_NAME)?)
            }
            (field::GRAPH_INPUT | field::GRAPH_OUTPUT | field::GRAPH_VALUE, _) => false,
            _ => true,
        };
        if is_kept {
            out.extend_from_slice(part.whole);
        }
    }
    // A value is described by its name alone.
    for (number, name) in [(field::GRAPH_INPUT, from), (field::GRAPH_OUTPUT, to)] {
        let mut value = Vec::new();
        put(&mut value, 1, name.as_bytes());
        put(&mut out, number, &value);
    }
    Some(out)
}
