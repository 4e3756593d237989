//! The layers of a network up to a place, computed here: convolutions, and what stands between them.
//!
//! `rten` computes any graph, and its convolutions take most of the time of both networks: this module computes them two
//! to five times as fast. A trunk is made of a model's own graph. A graph with a node that is not known here has no
//! trunk, and `rten` computes it.
//!
//! Invariants: the numbers are those of the graph, up to rounding; pictures are `[channel][row][column]`, one at a time;
//! a value's memory is used again as soon as nothing needs the value.

mod activation;
mod compile;
mod convolution;
mod depthwise;
mod graph;
mod head;
mod layers;
mod middle;
mod parallel;
mod vectors;

pub(crate) use graph::Graph;
pub(crate) use head::{Head, Likely, at_least};
pub(crate) use middle::between;
pub(crate) use parallel::Threads;

use convolution::Shape;
use layers::Layer;

/// The layers of a network, in order.
#[derive(Debug)]
pub(crate) struct Trunk {
    steps: Vec<Step>,
    n_values: usize,
    output: usize,
    /// The output's name in the graph.
    pub(crate) output_name: String,
}

/// One layer: values are numbered, 0 is the picture.
#[derive(Debug)]
struct Step {
    layer: Layer,
    inputs: Vec<usize>,
    output: usize,
    /// Values that nothing needs behind this step.
    last_uses: Vec<usize>,
}

/// A value.
#[derive(Debug)]
struct Value {
    shape: Shape,
    numbers: Numbers,
}

/// Numbers in memory that is at least as long, and is used again.
#[derive(Debug)]
pub(crate) struct Numbers {
    memory: Vec<f32>,
    n: usize,
}

impl std::ops::Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.n]
    }
}

impl std::ops::DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.n]
    }
}

/// Memory of values that are no longer needed.
#[derive(Default)]
pub(crate) struct Spare(Vec<Vec<f32>>);

impl Spare {
    /// A value whose numbers may be any.
    fn value(&mut self, shape: Shape) -> Value {
        Value { shape, numbers: self.take(shape.iter().product()) }
    }

    /// So many numbers, which may be any.
    pub(crate) fn take(&mut self, n: usize) -> Numbers {
        let fits = |(at, memory): (usize, &Vec<f32>)| (memory.len() >= n).then_some((memory.len(), at));
        let best = self.0.iter().enumerate().filter_map(fits).min();
        let memory = match best {
            Some((_, at)) => self.0.swap_remove(at),
            None => {
                // What is too small makes room for what is not.
                let largest = (0..self.0.len()).max_by_key(|at| self.0[*at].len());
                drop(largest.map(|at| self.0.swap_remove(at)));
                vec![0.0; n]
            }
        };
        Numbers { memory, n }
    }

    /// What is no longer needed.
    pub(crate) fn give(&mut self, numbers: Numbers) {
        self.0.push(numbers.memory);
    }
}

impl Trunk {
    /// The layers of a graph, up to the first node of this kind or to the end; nothing if one is not known here, or if
    /// this processor's vectors are not: `rten` is faster then.
    pub(crate) fn of_graph(graph: &Graph, up_to: Option<&str>) -> Option<Self> {
        let has_vectors = vectors::Isa::detect() != vectors::Isa::Portable;
        if has_vectors { compile::trunk(graph, up_to) } else { None }
    }

    /// What the last layer gives for a picture, and its shape; nothing if the picture does not fit the layers. What is
    /// kept as `spare` makes the next picture faster: memory that is asked of the system is cleared first.
    pub(crate) fn compute(
        &self,
        threads: Threads<'_>,
        numbers: Numbers,
        shape: Shape,
        spare: &mut Spare,
    ) -> Option<(Numbers, Shape)> {
        let mut values: Vec<Option<Value>> = (0..self.n_values).map(|_| None).collect();
        values[0] = Some(Value { shape, numbers });
        for step in &self.steps {
            let value = step.compute(threads, &mut values, spare)?;
            values[step.output] = Some(value);
            for used in &step.last_uses {
                if let Some(value) = values[*used].take() {
                    spare.give(value.numbers);
                }
            }
        }
        values[self.output].take().map(|value| (value.numbers, value.shape))
    }
}

impl Step {
    fn compute(
        &self,
        threads: Threads<'_>,
        values: &mut [Option<Value>],
        spare: &mut Spare,
    ) -> Option<Value> {
        // What changes a value may do so in place if nothing else needs it.
        let first = *self.inputs.first()?;
        if self.layer.is_in_place() && self.last_uses.contains(&first) && self.inputs.get(1) != Some(&first) {
            let mut value = values[first].take()?;
            let others: Option<Vec<&Value>> =
                self.inputs[1..].iter().map(|at| values[*at].as_ref()).collect();
            self.layer.change(threads, &mut value, &others?)?;
            return Some(value);
        }
        let inputs: Option<Vec<&Value>> = self.inputs.iter().map(|at| values[*at].as_ref()).collect();
        self.layer.compute(threads, &inputs?, spare)
    }
}
