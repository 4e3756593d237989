//! From a graph to layers. Invariant: a node that is not understood wholly, each of its attributes included, is not
//! understood; sizes that make no sense are not understood either.

use std::collections::HashMap;

use crate::trunk::activation::Activation;
use crate::trunk::convolution::Convolution;
use crate::trunk::depthwise::Depthwise;
use crate::trunk::graph::{Graph, Node, Table};
use crate::trunk::layers::Layer;
use crate::trunk::{Step, Trunk};

/// No kernel, stride or border is larger.
const LARGEST: usize = 64;

struct Compiler<'a> {
    graph: &'a Graph,
    /// Values by their names.
    values: HashMap<&'a str, usize>,
    /// How many nodes take a value.
    uses: HashMap<&'a str, usize>,
    /// The name that each value has now.
    names: Vec<&'a str>,
    steps: Vec<Step>,
}

/// Layers up to the first node of the kind `up_to`, or all.
pub(super) fn trunk(graph: &Graph, up_to: Option<&str>) -> Option<Trunk> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for input in graph.nodes.iter().flat_map(|node| &node.inputs) {
        *uses.entry(input).or_default() += 1;
    }
    let names = vec![graph.input.as_str()];
    let mut compiler =
        Compiler { graph, values: HashMap::from([(names[0], 0)]), uses, names, steps: Vec::new() };
    let mut at = 0;
    let mut last = None;
    while let Some(node) = graph.nodes.get(at) {
        at += compiler.take(node, &graph.nodes[at..])?;
        last = Some(node);
        if up_to == Some(node.operator.as_str()) {
            break;
        }
    }
    let output_name = match up_to {
        Some(kind) => last.filter(|node| node.operator == kind)?.outputs.first()?,
        None => &graph.output,
    };
    let output = *compiler.values.get(output_name.as_str())?;
    let mut steps = compiler.steps;
    let mut open = vec![true; compiler.names.len()];
    open[output] = false;
    for step in steps.iter_mut().rev() {
        for input in &step.inputs {
            if std::mem::take(&mut open[*input]) {
                step.last_uses.push(*input);
            }
        }
    }
    Some(Trunk { steps, n_values: compiler.names.len(), output, output_name: output_name.clone() })
}

impl<'a> Compiler<'a> {
    /// Takes in a node and, where they are one layer, those behind it; how many these are.
    fn take(&mut self, node: &'a Node, rest: &'a [Node]) -> Option<usize> {
        let activation = match node.operator.as_str() {
            "Relu" => Some(Activation::Relu),
            "Sigmoid" => Some(Activation::Sigmoid),
            "HardSigmoid" => {
                Some(Activation::HardSigmoid { alpha: node.float("alpha")?, beta: node.float("beta")? })
            }
            _ => None,
        };
        if let Some(activation) = activation {
            self.activate(node.inputs.first()?, 1, activation, node.outputs.first()?)?;
            return Some(1);
        }
        match node.operator.as_str() {
            "Div" => {
                let last = self.gelu(rest)?;
                self.activate(node.inputs.first()?, 2, Activation::Gelu, last)?;
                return Some(5);
            }
            "Add" => self.add(node)?,
            _ => {
                let layer = self.layer(node)?;
                let n_inputs = match layer {
                    Layer::Scale | Layer::Stack => node.inputs.len(),
                    _ => 1,
                };
                self.step(layer, &node.inputs[..n_inputs], node.outputs.first()?)?;
            }
        }
        Some(1)
    }

    fn step(&mut self, layer: Layer, inputs: &'a [String], output: &'a str) -> Option<()> {
        let inputs: Option<Vec<usize>> =
            inputs.iter().map(|name| self.values.get(name.as_str()).copied()).collect();
        let value = self.names.len();
        self.names.push(output);
        self.values.insert(output, value);
        self.steps.push(Step { layer, inputs: inputs?, output: value, last_uses: Vec::new() });
        Some(())
    }

    /// The step that made a value, if only `n_uses` nodes take the value.
    fn only_for(&mut self, name: &str, n_uses: usize) -> Option<&mut Step> {
        let value = *self.values.get(name)?;
        if self.uses.get(name) != Some(&n_uses) || name == self.graph.output {
            return None;
        }
        self.steps.iter_mut().rev().find(|step| step.output == value)
    }

    fn rename(&mut self, from: &str, to: &'a str) -> Option<()> {
        let value = *self.values.get(from)?;
        self.names[value] = to;
        self.values.insert(to, value);
        Some(())
    }

    /// Behind a layer as a part of it, or as a layer of its own.
    fn activate(
        &mut self,
        input: &'a String,
        n_uses: usize,
        with: Activation,
        output: &'a str,
    ) -> Option<()> {
        if let Some(activation) = self.only_for(input, n_uses).and_then(|step| step.layer.activation())
            && *activation == Activation::None
        {
            *activation = with;
            return self.rename(input, output);
        }
        self.step(Layer::Activate(with), std::slice::from_ref(input), output)
    }

    /// A sum with another value, or with a number for each channel of the layer before.
    fn add(&mut self, node: &'a Node) -> Option<()> {
        let [first, second] = node.inputs.as_slice() else { return None };
        let output = node.outputs.first()?;
        let (value, table) = match (self.graph.tables.get(first), self.graph.tables.get(second)) {
            (None, None) => return self.step(Layer::Add, &node.inputs, output),
            (None, Some(table)) => (first, table),
            (Some(table), None) => (second, table),
            (Some(_), Some(_)) => return None,
        };
        let step = self.only_for(value, 1)?;
        step.layer.add_bias(table)?;
        self.rename(value, output)
    }

    /// `x / sqrt(2)`, its error function, plus one, times `x`, times a half: the name of the last one's value.
    fn gelu(&self, nodes: &'a [Node]) -> Option<&'a str> {
        let [div, erf, plus, times, half, ..] = nodes else { return None };
        let number = |node: &Node| match self.graph.tables.get(node.inputs.get(1)?)?.numbers.as_slice() {
            [number] => Some(*number),
            _ => None,
        };
        let near = |node: &Node, wanted: f32| number(node).is_some_and(|found| (found - wanted).abs() < 1e-3);
        let kinds = [erf, plus, times, half].map(|node| node.operator.as_str());
        let chained = div.outputs.first() == erf.inputs.first()
            && erf.outputs.first() == plus.inputs.first()
            && times.inputs.first() == div.inputs.first()
            && plus.outputs.first() == times.inputs.get(1)
            && times.outputs.first() == half.inputs.first();
        let is_gelu = kinds == ["Erf", "Add", "Mul", "Mul"]
            && chained
            && near(div, std::f32::consts::SQRT_2)
            && near(plus, 1.0)
            && near(half, 0.5);
        is_gelu.then(|| half.outputs.first().map(String::as_str))?
    }

    fn layer(&self, node: &Node) -> Option<Layer> {
        let table = |at: usize| self.graph.tables.get(node.inputs.get(at)?);
        Some(match node.operator.as_str() {
            "Conv" => convolution(node, table(1)?)?,
            "ConvTranspose" => unfolding(node, table(1)?)?,
            "Mul" => Layer::Scale,
            "GlobalAveragePool" => Layer::Mean,
            "ReduceMean" => (node.ints("axes") == Some([2, 3]) && node.ints("keepdims") == Some([1]))
                .then_some(Layer::Mean)?,
            "Resize" => {
                let is_known = node.text("mode") == Some("nearest")
                    && node.text("coordinate_transformation_mode") == Some("asymmetric")
                    && node.text("nearest_mode") == Some("floor");
                let [1.0, 1.0, down, across] = *table(2)?.numbers.as_slice() else { return None };
                let by = down as usize;
                (is_known && down == across && by as f32 == down && is_size(&[by]))
                    .then_some(Layer::Enlarge(by))?
            }
            "Concat" => (node.ints("axis") == Some([1])).then_some(Layer::Stack)?,
            "MaxPool" => {
                let is_known = node.ints("kernel_shape") == Some([2, 2])
                    && node.ints("strides") == Some([1, 1])
                    && borders(node, [2, 2], [1, 1])? == [[0, 0], [1, 1]];
                is_known.then_some(Layer::LargestOfFour)?
            }
            "AveragePool" => {
                let kernel = node.ints::<2>("kernel_shape").filter(|kernel| is_size(kernel))?;
                let is_known = node.ints("strides") == Some(kernel)
                    && borders(node, kernel, kernel)? == [[0, 0], [0, 0]]
                    && node.ints("ceil_mode").unwrap_or([0]) == [0];
                is_known.then_some(Layer::MeanOfBlocks(kernel))?
            }
            _ => return None,
        })
    }
}

impl Layer {
    /// What is done to each number of the output, where that can be chosen.
    fn activation(&mut self) -> Option<&mut Activation> {
        match self {
            Self::Convolution(layer) | Self::Unfold(layer) => Some(&mut layer.activation),
            Self::Depthwise(layer) => Some(&mut layer.activation),
            _ => None,
        }
    }

    /// Adds a number to each output channel, where that can be done.
    fn add_bias(&mut self, table: &Table) -> Option<()> {
        if self.activation().is_none_or(|activation| *activation != Activation::None) {
            return None;
        }
        // One number for each channel, the same for all pixels.
        let n = table.numbers.len();
        let of_channels = |channels: usize| {
            (n == channels && table.dims.iter().rev().take(2).all(|dim| *dim == 1)).then_some(())
        };
        match self {
            Self::Convolution(layer) => {
                of_channels(layer.n_out())?;
                layer.add_bias(&table.numbers);
            }
            Self::Unfold(layer) => {
                of_channels(layer.n_out() / 4)?;
                let four: Vec<f32> = table.numbers.iter().flat_map(|number| [*number; 4]).collect();
                layer.add_bias(&four);
            }
            Self::Depthwise(layer) => {
                of_channels(layer.bias.len())?;
                layer.bias.iter_mut().zip(&table.numbers).for_each(|(sum, bias)| *sum += bias);
            }
            _ => return None,
        }
        Some(())
    }
}

fn is_size(sides: &[usize]) -> bool {
    sides.iter().all(|side| (1..=LARGEST).contains(side))
}

/// Rows and columns of zeros before and after.
fn borders(node: &Node, kernel: [usize; 2], stride: [usize; 2]) -> Option<[[usize; 2]; 2]> {
    match node.text("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" => {
            let [top, left, bottom, right] = node.ints("pads").unwrap_or([0; 4]);
            let is_known = [top, left, bottom, right].into_iter().all(|side| side <= LARGEST);
            is_known.then_some([[top, left], [bottom, right]])
        }
        "VALID" => Some([[0; 2]; 2]),
        "SAME_UPPER" if stride == [1, 1] => {
            let all = kernel.map(|side| side - 1);
            Some([all.map(|all| all / 2), all.map(|all| all - all / 2)])
        }
        _ => None,
    }
}

fn convolution(node: &Node, weights: &Table) -> Option<Layer> {
    let [n_out, n_in, rows, columns] = *weights.dims.as_slice() else { return None };
    let (kernel, stride) = ([rows, columns], node.ints("strides").unwrap_or([1, 1]));
    let is_known = node.inputs.len() == 2
        && is_size(&kernel)
        && is_size(&stride)
        && node.ints("dilations").unwrap_or([1, 1]) == [1, 1]
        && node.ints("kernel_shape").unwrap_or(kernel) == kernel;
    let border = borders(node, kernel, stride).filter(|_| is_known)?;
    match node.ints("group").unwrap_or([1]) {
        [1] => Some(Layer::Convolution(Convolution::new(
            &weights.numbers,
            [n_out, n_in],
            kernel,
            stride,
            border,
        ))),
        [groups] if groups == n_out && n_in == 1 => {
            Some(Layer::Depthwise(Depthwise::new(&weights.numbers, n_out, kernel, stride, border)))
        }
        _ => None,
    }
}

/// A transposed convolution whose patches do not overlap.
fn unfolding(node: &Node, weights: &Table) -> Option<Layer> {
    let [n_in, n_out, 2, 2] = *weights.dims.as_slice() else { return None };
    let is_known = node.inputs.len() == 2
        && node.ints("strides") == Some([2, 2])
        && node.ints("dilations").unwrap_or([1, 1]) == [1, 1]
        && node.ints("group").unwrap_or([1]) == [1]
        && borders(node, [2, 2], [2, 2])? == [[0, 0], [0, 0]];
    // From `[input][output][corner]` to `[output][corner][input]`.
    let four = 4 * n_out;
    let turned: Vec<f32> = (0..four)
        .flat_map(|corner| (0..n_in).map(move |input| (input, corner)))
        .map(|(input, corner)| weights.numbers[input * four + corner])
        .collect();
    is_known.then(|| Layer::Unfold(Convolution::new(&turned, [four, n_in], [1, 1], [1, 1], [[0, 0], [0, 0]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_make_no_sense_are_not_understood() {
        let weights = Table { dims: vec![8, 4, 3, 3], numbers: vec![0.5; 8 * 4 * 9] };
        let known = |ints: &[(&str, &[usize])]| {
            let node = Node::of("Conv", &["x", "w"], ints);
            convolution(&node, &weights).is_some()
        };
        assert!(known(&[]) && known(&[("strides", &[2, 2]), ("pads", &[1, 1, 1, 1])]));
        // The last two are what a negative number is read as.
        for (name, ints) in [
            ("strides", [0, 1].as_slice()),
            ("strides", &[1, 100]),
            ("pads", &[0, 0, 0, 1_000]),
            ("pads", &[usize::MAX, 0, 0, 0]),
            ("strides", &[usize::MAX, 1]),
        ] {
            assert!(!known(&[(name, ints)]), "{name} {ints:?}");
        }
        assert_eq!(borders(&Node::of("MaxPool", &[], &[("pads", &[0, 65, 0, 0])]), [2, 2], [1, 1]), None);
    }
}
