//! Draws of choices: Gumbel-softmax over architecture parameters.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::task::At;
use crate::cost::Probabilities;

/// `max(floor, start * decay^epoch)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// In the first epoch of a stage.
    pub start: f64,
    /// Factor from epoch to epoch.
    pub decay: f64,
    /// Never below.
    pub floor: f64,
}

impl Temperature {
    /// The temperature in `epoch` of a stage, from 0.
    #[must_use]
    pub fn at(&self, epoch: u32) -> f64 {
        (self.start * self.decay.powf(f64::from(epoch))).max(self.floor)
    }

    /// On the line from `start` in the first of `epochs` epochs to `floor` in the last, in `epoch`, from 0.
    #[must_use]
    pub fn linear(&self, epoch: u32, epochs: u32) -> f64 {
        let share = f64::from(epoch) / f64::from(epochs.saturating_sub(1).max(1));
        self.start + (self.floor - self.start) * share
    }
}

/// One draw of every choice: `softmax((alpha + gumbel) / tau)` and its argmax.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The soft weights.
    pub soft: Probabilities,
    tau: f64,
    /// 1 for the options that the gradient passes through; nothing where that is all of them.
    through: Option<Probabilities>,
}

/// Streams of random numbers: what is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A weight step.
    Weights,
    /// An architecture step.
    Architecture,
    /// The first parameters.
    Initial,
    /// An architecture that is to be judged.
    Proposal,
    /// Architectures to be judged.
    Judged,
}

/// The random stream of one purpose at one place of the search: a function of its arguments alone.
pub(super) fn stream(seed: u64, purpose: Purpose, at: At) -> ChaCha8Rng {
    let purpose = match purpose {
        Purpose::Weights => 1u64,
        Purpose::Architecture => 2,
        Purpose::Initial => 3,
        Purpose::Proposal => 4,
        Purpose::Judged => 5,
    };
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose, at.stage, u64::from(at.epoch)]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    let mut stream = ChaCha8Rng::from_seed(key);
    stream.set_stream(u64::from(at.step));
    stream
}

/// A number in (0, 1): the middle of one of 2^53 equal parts.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
pub(super) fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    ((stream.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Two independent standard normal numbers (Box and Muller 1958).
pub(super) fn normals(stream: &mut ChaCha8Rng) -> [f64; 2] {
    let radius = (-2.0 * uniform(stream).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(stream);
    [radius * angle.cos(), radius * angle.sin()]
}

impl Draw {
    /// Draws from the parameters `alpha` at temperature `tau`.
    #[must_use]
    pub(super) fn new(alpha: &Probabilities, tau: f64, stream: &mut ChaCha8Rng) -> Self {
        let mut noisy = alpha.clone();
        for logit in noisy.choices_mut().flatten() {
            *logit -= (-uniform(stream).ln()).ln();
        }
        Self { soft: noisy.scaled(1.0 / tau).softmax(), tau, through: None }
    }

    /// The softmax of the parameters `alpha`: nothing is drawn.
    #[must_use]
    pub(super) fn plain(alpha: &Probabilities) -> Self {
        Self { soft: alpha.softmax(), tau: 1.0, through: None }
    }

    /// The same draw with the gradient by the weights of the drawn options alone.
    #[must_use]
    pub(super) fn through_the_drawn_alone(self) -> Self {
        Self { through: Some(self.hard()), ..self }
    }

    /// 1 for the drawn options, 0 for the others.
    #[must_use]
    pub(super) fn hard(&self) -> Probabilities {
        let drawn = self.soft.argmax();
        let mut hard = self.soft.scaled(0.0);
        for (choice, option) in hard.choices_mut().zip(drawn.operators.into_iter().chain(drawn.widths)) {
            choice[option] = 1.0;
        }
        hard
    }

    /// Gradient by the parameters, given that by the weights: `g_i (d_i - sum_j g_j d_j) / tau`.
    #[must_use]
    pub(super) fn backward(&self, by_weights: &Probabilities) -> Probabilities {
        let mut by_weights = by_weights.clone();
        if let Some(through) = &self.through {
            for (slot, through) in by_weights.choices_mut().flatten().zip(through.choices().flatten()) {
                *slot *= through;
            }
        }
        jacobian(&self.soft, &by_weights).scaled(1.0 / self.tau)
    }
}

/// The softmax's Jacobian, transposed, on a gradient: `p_i (d_i - sum_j p_j d_j)` in each choice.
pub(super) fn jacobian(probabilities: &Probabilities, by: &Probabilities) -> Probabilities {
    let mut result = probabilities.clone();
    for (p, d) in result.choices_mut().zip(by.choices()) {
        let mean: f64 = p.iter().zip(d).map(|(p, d)| p * d).sum();
        for (p, d) in p.iter_mut().zip(d) {
            *p *= d - mean;
        }
    }
    result
}
