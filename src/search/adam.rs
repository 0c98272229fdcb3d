//! Adam on architecture parameters.

use serde::{Deserialize, Serialize};

use crate::cost::Probabilities;

/// The constants of Adam (Kingma and Ba 2015).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Step size, in logits.
    pub learning_rate: f64,
    /// Share of the former mean that a step keeps.
    pub beta1: f64,
    /// Share of the former mean square that a step keeps.
    pub beta2: f64,
}

impl AdamConfig {
    /// Step size `learning_rate` with the usual decays 0.9 and 0.999.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999 }
    }
}

/// Adam's state: all there is to save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    mean: Probabilities,
    square: Probabilities,
    steps: i32,
}

impl Adam {
    /// A fresh state for parameters of the form of `zeros`.
    #[must_use]
    pub fn new(zeros: Probabilities) -> Self {
        Self { mean: zeros.clone(), square: zeros, steps: 0 }
    }

    /// Moves `parameters` against `gradient`:
    /// `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`, `p <- p - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + 1e-8)`.
    pub fn step(&mut self, config: AdamConfig, parameters: &mut Probabilities, gradient: &Probabilities) {
        let AdamConfig { learning_rate, beta1, beta2 } = config;
        self.steps += 1;
        let (bias1, bias2) = (1.0 - beta1.powi(self.steps), 1.0 - beta2.powi(self.steps));
        let states = self.mean.choices_mut().zip(self.square.choices_mut());
        for ((parameters, gradient), (mean, square)) in parameters.choices_mut().zip(gradient.choices()).zip(states) {
            for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(mean).zip(square) {
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *p -= learning_rate * (*m / bias1) / ((*v / bias2).sqrt() + 1e-8);
            }
        }
    }
}
