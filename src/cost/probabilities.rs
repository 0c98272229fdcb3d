//! One number for every option of every choice of a space.

use serde::{Deserialize, Serialize};

use crate::space::{Architecture, Space};

/// Probabilities, gradients by them, or architecture parameters: `[choice][option]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// For each operator choice, one number a candidate.
    pub operators: Vec<Vec<f64>>,
    /// For each width choice, one number an option.
    pub widths: Vec<Vec<f64>>,
}

impl Probabilities {
    /// Nought for every option.
    #[must_use]
    pub fn zeros(space: &Space) -> Self {
        Self {
            operators: space.operators.iter().map(|choice| vec![0.0; choice.candidates.len()]).collect(),
            widths: space.widths.iter().map(|choice| vec![0.0; choice.options.len()]).collect(),
        }
    }

    /// Every option of a choice equally likely.
    #[must_use]
    pub fn uniform(space: &Space) -> Self {
        Self::zeros(space).softmax()
    }

    /// 1 for the options of `architecture`.
    #[must_use]
    pub fn one_hot(space: &Space, architecture: &Architecture) -> Self {
        let mut hot = Self::zeros(space);
        for (choice, &chosen) in hot.operators.iter_mut().zip(&architecture.operators) {
            choice[chosen] = 1.0;
        }
        for (choice, &chosen) in hot.widths.iter_mut().zip(&architecture.widths) {
            choice[chosen] = 1.0;
        }
        hot
    }

    /// All choices, operators first.
    pub fn choices(&self) -> impl Iterator<Item = &Vec<f64>> {
        self.operators.iter().chain(&self.widths)
    }

    /// All choices, operators first, to be changed.
    pub fn choices_mut(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        self.operators.iter_mut().chain(&mut self.widths)
    }

    /// Softmax of each choice.
    #[must_use]
    pub fn softmax(&self) -> Self {
        self.map(softmax)
    }

    /// Each choice through `map`.
    #[must_use]
    pub fn map(&self, map: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        Self {
            operators: self.operators.iter().map(|choice| map(choice)).collect(),
            widths: self.widths.iter().map(|choice| map(choice)).collect(),
        }
    }

    /// `factor` times every number.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        self.map(|choice| choice.iter().map(|value| value * factor).collect())
    }

    /// Adds `factor` times `other`.
    pub fn add_scaled(&mut self, other: &Self, factor: f64) {
        for (mine, theirs) in self.choices_mut().zip(other.choices()) {
            for (a, b) in mine.iter_mut().zip(theirs) {
                *a += factor * b;
            }
        }
    }

    /// The likeliest option of every choice, the first of equals.
    #[must_use]
    pub fn argmax(&self) -> Architecture {
        let best = |choice: &Vec<f64>| {
            (0..choice.len()).fold(0, |best, place| if choice[place] > choice[best] { place } else { best })
        };
        Architecture {
            operators: self.operators.iter().map(best).collect(),
            widths: self.widths.iter().map(best).collect(),
        }
    }

    /// Whether every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.choices().flatten().all(|value| value.is_finite())
    }
}

/// `exp(x_i - max) / sum_j exp(x_j - max)`.
#[must_use]
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
