//! Every kind of layer. Invariant: a layer that does not fit its inputs gives nothing.

#![expect(unsafe_code, reason = "threads write different channels of one output")]

use crate::trunk::activation::{Activation, activate};
use crate::trunk::convolution::{Convolution, Shape};
use crate::trunk::depthwise::Depthwise;
use crate::trunk::parallel::{Out, Threads};
use crate::trunk::vectors::Isa;
use crate::trunk::{Spare, Value};

#[derive(Debug)]
pub(super) enum Layer {
    Convolution(Convolution),
    Depthwise(Depthwise),
    /// Every pixel becomes 2x2: the convolution gives four numbers for each output channel, row by row.
    Unfold(Convolution),
    /// The sum of two values.
    Add,
    /// A value times one number for each channel.
    Scale,
    /// The mean of each channel.
    Mean,
    /// Every pixel several times, across and down.
    Enlarge(usize),
    /// Channels of several values.
    Stack,
    /// The largest of 2x2 neighbours; what lies beyond the border is smaller.
    LargestOfFour,
    /// The mean of blocks of rows and columns that do not overlap.
    MeanOfBlocks([usize; 2]),
    Activate(Activation),
}

impl Layer {
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self, Self::Add | Self::Scale | Self::Activate(_))
    }

    /// Changes a value in place.
    pub(super) fn change(&self, threads: Threads<'_>, value: &mut Value, others: &[&Value]) -> Option<()> {
        let [channels, rows, columns] = value.shape;
        let plane = rows * columns;
        let other = match (self, others) {
            (Self::Activate(_), []) => None,
            (Self::Add, [other]) if other.shape == value.shape => Some(*other),
            (Self::Scale, [other]) if other.shape == [channels, 1, 1] => Some(*other),
            _ => return None,
        };
        let (isa, out) = (Isa::detect(), Out::new(&mut value.numbers));
        threads.each(channels, |channel| {
            // SAFETY: the channel is this part's.
            let numbers = unsafe { out.slice(channel * plane, plane) };
            match (self, other) {
                (Self::Activate(activation), _) => activate(isa, *activation, numbers),
                (Self::Add, Some(other)) => {
                    let other = &other.numbers[channel * plane..][..plane];
                    numbers.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
                }
                (_, Some(other)) => {
                    let by = other.numbers[channel];
                    numbers.iter_mut().for_each(|number| *number *= by);
                }
                (_, None) => {}
            }
        });
        Some(())
    }

    /// What it makes of its inputs.
    pub(super) fn compute(
        &self,
        threads: Threads<'_>,
        inputs: &[&Value],
        spare: &mut Spare,
    ) -> Option<Value> {
        if self.is_in_place() {
            let (first, others) = inputs.split_first()?;
            let mut out = spare.value(first.shape);
            out.numbers.copy_from_slice(&first.numbers);
            self.change(threads, &mut out, others)?;
            return Some(out);
        }
        if let Self::Stack = self {
            return stack(threads, inputs, spare);
        }
        let [input] = inputs else { return None };
        let mut out = spare.value(self.out_shape(input.shape)?);
        match self {
            Self::Convolution(layer) => layer.compute(threads, &input.numbers, input.shape, &mut out.numbers),
            Self::Depthwise(layer) => layer.compute(threads, &input.numbers, input.shape, &mut out.numbers),
            Self::Unfold(layer) => {
                let mut four = spare.value(layer.out_shape(input.shape)?);
                layer.compute(threads, &input.numbers, input.shape, &mut four.numbers);
                unfold(threads, &four, &mut out);
                spare.give(four.numbers);
            }
            Self::Mean => mean(input, &mut out),
            Self::Enlarge(by) => enlarge(threads, input, *by, &mut out),
            Self::LargestOfFour => largest_of_four(threads, input, &mut out),
            Self::MeanOfBlocks(block) => mean_of_blocks(input, *block, &mut out),
            Self::Stack | Self::Add | Self::Scale | Self::Activate(_) => return None,
        }
        Some(out)
    }

    /// The shape of what one input becomes.
    fn out_shape(&self, shape: Shape) -> Option<Shape> {
        let [channels, rows, columns] = shape;
        Some(match self {
            Self::Convolution(layer) => layer.out_shape(shape)?,
            Self::Depthwise(layer) => layer.out_shape(shape)?,
            Self::Unfold(layer) => {
                let [four, rows, columns] = layer.out_shape(shape)?;
                [four / 4, rows * 2, columns * 2]
            }
            Self::Mean => [channels, 1, 1],
            Self::Enlarge(by) => [channels, rows * by, columns * by],
            Self::MeanOfBlocks([down, across]) => [channels, rows / down, columns / across],
            Self::LargestOfFour | Self::Stack | Self::Add | Self::Scale | Self::Activate(_) => shape,
        })
    }
}

fn stack(threads: Threads<'_>, inputs: &[&Value], spare: &mut Spare) -> Option<Value> {
    let [_, rows, columns] = inputs.first()?.shape;
    let alike = inputs.iter().all(|input| input.shape[1..] == [rows, columns]);
    let mut out = alike.then(|| spare.value([inputs.iter().map(|i| i.shape[0]).sum(), rows, columns]))?;
    let plane = (rows * columns).max(1);
    let channels: Vec<&[f32]> = inputs.iter().flat_map(|input| input.numbers.chunks_exact(plane)).collect();
    let whole = Out::new(&mut out.numbers);
    threads.each(channels.len(), |channel| {
        // SAFETY: the channel is this part's.
        unsafe { whole.slice(channel * plane, plane) }.copy_from_slice(channels[channel]);
    });
    Some(out)
}

fn unfold(threads: Threads<'_>, four: &Value, out: &mut Value) {
    let ([channels, _, wide], [_, rows, columns]) = (out.shape, four.shape);
    let whole = Out::new(&mut out.numbers);
    threads.each(channels, |channel| {
        // SAFETY: the channel is this part's.
        let plane = unsafe { whole.slice(channel * 2 * rows * wide, 2 * rows * wide) };
        for (row, line) in plane.chunks_exact_mut(wide).enumerate() {
            let from = |odd: usize| {
                let corner = channel * 4 + row % 2 * 2 + odd;
                &four.numbers[(corner * rows + row / 2) * columns..][..columns]
            };
            for ((pair, left), right) in line.as_chunks_mut::<2>().0.iter_mut().zip(from(0)).zip(from(1)) {
                *pair = [*left, *right];
            }
        }
    });
}

fn mean(input: &Value, out: &mut Value) {
    let plane = input.shape[1] * input.shape[2];
    for (out, channel) in out.numbers.iter_mut().zip(input.numbers.chunks_exact(plane.max(1))) {
        // Sixteen sums beside each other, which the compiler keeps in registers.
        let (chunks, rest) = channel.as_chunks::<16>();
        let mut sums = [0.0_f32; 16];
        chunks.iter().for_each(|chunk| sums.iter_mut().zip(chunk).for_each(|(sum, number)| *sum += number));
        *out = (sums.iter().sum::<f32>() + rest.iter().sum::<f32>()) / plane as f32;
    }
}

fn enlarge(threads: Threads<'_>, input: &Value, by: usize, out: &mut Value) {
    let ([channels, rows, columns], wide) = (input.shape, out.shape[2]);
    let whole = Out::new(&mut out.numbers);
    threads.each(channels, |channel| {
        // SAFETY: the channel is this part's.
        let plane = unsafe { whole.slice(channel * rows * by * wide, rows * by * wide) };
        for (row, lines) in plane.chunks_exact_mut(by * wide).enumerate() {
            let from = &input.numbers[(channel * rows + row) * columns..][..columns];
            let (first, others) = lines.split_at_mut(wide);
            first.chunks_exact_mut(by).zip(from).for_each(|(to, from)| to.fill(*from));
            others.chunks_exact_mut(wide).for_each(|line| line.copy_from_slice(first));
        }
    });
}

fn largest_of_four(threads: Threads<'_>, input: &Value, out: &mut Value) {
    let [channels, rows, columns] = input.shape;
    let whole = Out::new(&mut out.numbers);
    threads.each(channels, |channel| {
        // SAFETY: the channel is this part's.
        let plane = unsafe { whole.slice(channel * rows * columns, rows * columns) };
        let from = &input.numbers[channel * rows * columns..][..rows * columns];
        for (y, line) in plane.chunks_exact_mut(columns).enumerate() {
            let upper = &from[y * columns..][..columns];
            let lower = &from[(y + 1).min(rows - 1) * columns..][..columns];
            line.iter_mut().zip(upper).zip(lower).for_each(|((to, a), b)| *to = a.max(*b));
            // From left to right, so that the right neighbour is still that of its column alone.
            for x in 1..columns {
                line[x - 1] = line[x - 1].max(line[x]);
            }
        }
    });
}

fn mean_of_blocks(input: &Value, [down, across]: [usize; 2], out: &mut Value) {
    let ([_, rows, columns], [_, out_rows, out_columns]) = (input.shape, out.shape);
    for (at, out) in out.numbers.iter_mut().enumerate() {
        let (channel, y, x) =
            (at / (out_rows * out_columns), at / out_columns % out_rows * down, at % out_columns * across);
        let line = |row: usize| &input.numbers[(channel * rows + y + row) * columns + x..][..across];
        *out = (0..down).flat_map(line).sum::<f32>() / (down * across) as f32;
    }
}
