//! What the tables cannot know of a layer: its neighbours, and the rest of the network.

use super::probabilities::Probabilities;
use super::sum::Point;
use super::table::Quantity;
use crate::accel::{Accelerator, Timing};
use crate::estimate::Target;
use crate::space::Space;

/// A space on its target, to ask the estimator once more.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) space: Space,
    pub(super) accelerator: Accelerator,
    pub(super) timing: Timing,
    pub(super) batch: u64,
}

/// What a quantity of a network is beyond the sum of its parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Beyond {
    pub(super) cycles: f64,
    pub(super) energy_pj: f64,
}

impl Surroundings {
    /// The estimate of the likeliest network less the tables' sum for it; nothing where its output is cut off.
    ///
    /// Costs that reach 2^63 are none.
    pub(super) fn beyond(&self, point: &Point<'_>) -> Beyond {
        let likeliest = point.choices.argmax();
        let Ok(network) = self.space.derive(&likeliest) else { return Beyond::default() };
        let target = Target { accelerator: &self.accelerator, timing: self.timing, batch: self.batch };
        let Ok(cost) = target.network_cost(&network) else { return Beyond::default() };
        let one_hot = Probabilities::one_hot(&self.space, &likeliest);
        let parts = Point::new(point.model, &one_hot);
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 cycles the difference is exact")]
        let cycles = cost.cycles.0 as f64 - parts.value(Quantity::Cycles);
        Beyond { cycles, energy_pj: cost.energy.0 - parts.value(Quantity::EnergyPj) }
    }
}
