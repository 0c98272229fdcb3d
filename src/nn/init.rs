//! First values of tensors.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tch::{Device, Kind, Tensor};

use super::NnError;
use crate::network::Op;

/// Deviation of the first values of embeddings and learned tensors (Devlin et al. 2019).
const TABLE_DEVIATION: f64 = 0.02;

/// Draws in the order in which tensors are asked for.
pub(super) struct Draws {
    stream: ChaCha8Rng,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The tensor `name` of `op`: convolutions normal with deviation `sqrt(2 / fan-in)` (He et al. 2015), linear layers
    /// uniform within `1 / sqrt(in features)`, embeddings and learned tensors normal with [`TABLE_DEVIATION`], biases 0;
    /// norms 1 and 0, their statistics 0 and 1.
    pub(super) fn tensor(&mut self, op: &Op, name: &str, shape: &[i64]) -> Result<Tensor, NnError> {
        let host = (Kind::Float, Device::Cpu);
        Ok(match (op, name) {
            (Op::Conv2d(conv), "weight") => {
                #[expect(clippy::cast_precision_loss, reason = "a fan-in is far below 2^52")]
                let deviation = (2.0 / conv.fan_in() as f64).sqrt();
                self.filled(shape, |stream| deviation * normal(stream))?
            }
            (Op::ConvTranspose2d(conv), "weight") => {
                #[expect(clippy::cast_precision_loss, reason = "a fan-in is far below 2^52")]
                let fan_in = (conv.in_channels / conv.groups * conv.kernel[0] * conv.kernel[1]) as f64;
                self.filled(shape, |stream| (2.0 / fan_in).sqrt() * normal(stream))?
            }
            (Op::Embedding(_) | Op::Tensor(_), _) => self.filled(shape, |stream| TABLE_DEVIATION * normal(stream))?,
            (Op::Linear(linear), "weight") => {
                #[expect(clippy::cast_precision_loss, reason = "a fan-in is far below 2^52")]
                let bound = 1.0 / (linear.in_features as f64).sqrt();
                self.filled(shape, |stream| bound * (2.0 * uniform(stream) - 1.0))?
            }
            (Op::BatchNorm { .. } | Op::Norm(_), "weight" | "running_var") => Tensor::f_ones(shape, host)?,
            _ => Tensor::f_zeros(shape, host)?,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    fn filled(&mut self, shape: &[i64], draw: impl Fn(&mut ChaCha8Rng) -> f64) -> Result<Tensor, NnError> {
        let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(usize::MAX);
        let values: Vec<f32> = (0..count).map(|_| draw(&mut self.stream) as f32).collect();
        Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
    }
}

/// A number in (0, 1).
fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    (f64::from(stream.next_u32()) + 0.5) / f64::from(u32::MAX)
}

/// A standard normal number (Box and Muller 1958).
fn normal(stream: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(stream).ln()).sqrt() * (std::f64::consts::TAU * uniform(stream)).cos()
}
