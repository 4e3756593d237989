//! One line of `metrics.jsonl`. Invariant: a line that was cut off is no record.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One line of `metrics.jsonl`: a step and values by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Values by metric name.
    pub values: BTreeMap<String, f64>,
}

impl Record {
    /// An empty record of a step.
    pub fn at(step: u64) -> Self {
        Self { step, values: BTreeMap::new() }
    }

    /// Sets a value; absent values are left out.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.values.insert(name.into(), value);
        }
    }

    /// The line, with its end.
    pub fn to_line(&self) -> String {
        let mut line = Map::from_iter([("step".to_owned(), self.step.into())]);
        // Six digits are more than any curve needs.
        let short = |v: f64| format!("{v:.6e}").parse::<f64>().unwrap_or(v);
        line.extend(self.values.iter().map(|(name, &value)| (name.clone(), short(value).into())));
        format!("{}\n", Value::Object(line))
    }

    /// The record of a line; nothing if it is none. A value that is no number is left out.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut map: Map<String, Value> = serde_json::from_str(line).ok()?;
        let step = map.remove("step")?.as_u64()?;
        let values = map.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
        Some(Self { step, values })
    }

    /// The records of a file, in its order.
    pub fn all_of(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::from_line).collect()
    }
}
