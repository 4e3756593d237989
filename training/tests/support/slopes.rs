//! Gradients against slopes: apart from the rest, because it names tensors and others who use the rest have none.

use candle_core::Tensor;
use vigorl_training::sample::{Encoder, MicroBatch};
use vigorl_training::work::Trained;

use crate::support::weighted_loss;

/// Compares the gradient of each moving parameter with the slope of the loss along it.
#[track_caller]
pub(crate) fn check_slopes(
    trained: &Trained,
    batch: &MicroBatch,
    encoder: &Encoder,
    gradients: &[Option<Tensor>],
) {
    // Along the gradient itself the slope is its squared length; single entries would drown in f32 noise.
    for (parameter, gradient) in trained.moving.iter().zip(gradients) {
        let gradient = gradient.as_ref().unwrap();
        let squared = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(squared > 0.0, "{} has no gradient", parameter.name);
        let original = parameter.var.as_tensor().copy().unwrap();
        let length = f64::from(squared).sqrt();
        let step = 2e-3;
        let at = |sign: f64| {
            let moved = (&original + (gradient * (sign * step / length)).unwrap()).unwrap();
            parameter.var.set(&moved).unwrap();
            weighted_loss(trained, batch, encoder)
        };
        let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
        parameter.var.set(&original).unwrap();
        let difference = (slope - length).abs();
        assert!(difference < 0.02 * length + 0.02, "{}: slope {slope}, gradient {length}", parameter.name);
    }
}
