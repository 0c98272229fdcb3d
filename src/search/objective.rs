//! What a search minimises.

use crate::cost::{Hardware, Probabilities};

/// `task loss + lambda * latency / unit - beta * utilization`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Weight of latency.
    pub lambda: f64,
    /// Weight of utilization.
    pub beta: f64,
    /// Milliseconds that count as 1: the latency of the first distributions, so that `lambda` has no unit; 1 where it is
    /// to weigh milliseconds.
    pub unit_ms: f64,
}

/// The objective with its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// The task's loss.
    pub task: f64,
    /// Expected latency in ms.
    pub latency_ms: f64,
    /// Utilization of the expectations.
    pub utilization: f64,
    /// What is minimised.
    pub total: f64,
}

impl Objective {
    /// The objective where the task's loss is `task`.
    #[must_use]
    pub fn loss(&self, task: f64, hardware: &Hardware) -> Loss {
        let Hardware { latency_ms, utilization, .. } = *hardware;
        let total = self.exact(task, latency_ms, utilization);
        Loss { task, latency_ms, utilization, total }
    }

    /// The objective of one architecture by its exact latency and utilization.
    #[must_use]
    pub fn exact(&self, task: f64, latency_ms: f64, utilization: f64) -> f64 {
        task + self.lambda * latency_ms / self.unit_ms - self.beta * utilization
    }

    /// Gradient of the hardware's terms by every probability.
    #[must_use]
    pub fn hardware_gradient(&self, hardware: &Hardware) -> Probabilities {
        let mut gradient = hardware.latency_gradient.scaled(self.lambda / self.unit_ms);
        gradient.add_scaled(&hardware.utilization_gradient, -self.beta);
        gradient
    }
}
