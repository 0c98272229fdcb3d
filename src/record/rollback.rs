//! A run that goes back, since a loss was not finite.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::{Position, Stage};

/// A step of a run, from 1 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The stage.
    pub stage: Stage,
    /// The epoch within it.
    pub epoch: u32,
    /// The step within that.
    pub step: u32,
}

impl Place {
    /// Its epoch.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { stage: self.stage, epoch: self.epoch }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, epoch {}, step {}", self.stage.title(), self.epoch, self.step)
    }
}

/// A run went back to its last checkpoint, with lower learning rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// Where a loss or a weight was not finite.
    pub not_finite: Place,
    /// The step that came next, once more.
    pub back_to: Place,
    /// Factor on the learning rates from there on.
    pub learning_rate_factor: f64,
}

impl Rollback {
    /// The sentence of the summary.
    #[must_use]
    pub fn warning(&self) -> String {
        format!(
            "the loss was not finite in {}: the run went back to {}, with {} times the learning rates from there on",
            self.not_finite, self.back_to, self.learning_rate_factor
        )
    }
}
