//! Hardware cost over distributions of choices: value and gradient.
//!
//! The choices of a search are discrete, so neither a smooth ceiling nor an expected width is needed: with the exact
//! cost of every option in a table, the expectation of the cost under independent distributions is a quotient of two
//! polynomials of the probabilities: it is taken over the choices whose output can be reached, since the others make no
//! network. For an edge with operators `o` at probabilities `r_o`, source widths at `p_i`, target widths at `q_j`
//!
//! ```text
//! E[cost] = P(edge is live | its operator is not zero) / P(output is reached) * sum_o r_o sum_ij p_i T_o[i][j] q_j
//! ```
//!
//! and its gradient is linear algebra. At a one-hot choice it is the estimator's own number.

mod liveness;
mod probabilities;
mod table;

pub use probabilities::{Probabilities, softmax};
pub use table::CostError;

use liveness::Liveness;
use table::{EdgeTables, QUANTITIES, Tables};

use crate::accel::{Accelerator, Calibration};
use crate::estimate::Target;
use crate::space::Space;
use crate::units::Megahertz;

/// Place of the calibrated milliseconds among the quantities of a table.
const LAYERS_MS: usize = 2;

/// What stands for the hardware in the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostKind {
    /// The estimator's exact cycles, in expectation.
    Expected,
    /// `MACs / PEs` cycles, every PE always busy: the baseline that knows no array.
    Flops,
}

impl CostKind {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Flops => "flops",
        }
    }
}

/// Expected cost and its gradient with respect to every probability.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedCost {
    /// Expected clock cycles.
    pub cycles: f64,
    /// Expected multiply-accumulates.
    pub macs: f64,
    /// `d cycles / d probability`.
    pub cycles_gradient: Probabilities,
    /// `d macs / d probability`.
    pub macs_gradient: Probabilities,
}

/// The tables of one space on one accelerator.
#[derive(Debug, Clone)]
pub struct CostModel {
    kind: CostKind,
    pes: f64,
    clock: Megahertz,
    /// The calibration with the batch, where the accelerator has one.
    calibration: Option<(Calibration, f64)>,
    shape: Probabilities,
    edges: Vec<EdgeTables>,
    classifier: (usize, Tables),
    liveness: Liveness,
    local: bool,
}

/// Latency and utilization with their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    /// Expected milliseconds.
    pub latency_ms: f64,
    /// `E[MACs] / (PEs * E[cycles])`: the expected utilization at one-hot choices only.
    pub utilization: f64,
    /// `d latency_ms / d probability`.
    pub latency_gradient: Probabilities,
    /// `d utilization / d probability`.
    pub utilization_gradient: Probabilities,
}

impl CostModel {
    /// Fills the tables of `space` by the estimator, once.
    ///
    /// # Errors
    /// [`CostError`] where a candidate does not fit its edge or a number overflows.
    pub fn new(space: &Space, target: &Target<'_>, kind: CostKind) -> Result<Self, CostError> {
        let Accelerator { array, clock, calibration, .. } = target.accelerator;
        #[expect(clippy::cast_precision_loss, reason = "PEs and batches are far below 2^52")]
        let pes = array.pes() as f64;
        Ok(Self {
            kind,
            pes,
            clock: *clock,
            calibration: calibration.clone().map(|calibration| (calibration, target.batch as f64)),
            shape: Probabilities::zeros(space),
            edges: table::edges(space, target)?,
            classifier: (space.join(space.last()).width.0, table::classifier(space, target)?),
            liveness: Liveness::new(space),
            local: target.engine().map_err(CostError::Estimate)?.is_local(),
        })
    }

    /// Whether the expectation is exact. It is not where `P(live)` is the product of two approximations because too many
    /// choices may cut edges, nor where a layer's cycles depend on what stands around it ([`Engine::is_local`]): the
    /// tables then price each edge with ends on chip as far as its own layers let them, and no sums of joins.
    ///
    /// [`Engine::is_local`]: crate::accel::Engine::is_local
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.local && self.liveness.is_exact()
    }

    /// Expected cycles and MACs where the choices follow `probabilities`.
    #[must_use]
    pub fn expect(&self, probabilities: &Probabilities) -> ExpectedCost {
        let [cycles, macs] = [0, 1].map(|quantity| self.quantity(probabilities, quantity));
        ExpectedCost { cycles: cycles.0, cycles_gradient: cycles.1, macs: macs.0, macs_gradient: macs.1 }
    }

    /// Latency and utilization as the objective sees them.
    #[must_use]
    pub fn hardware(&self, probabilities: &Probabilities) -> Hardware {
        let cost = self.expect(probabilities);
        let scale = self.clock.milliseconds_of(1.0);
        match self.kind {
            CostKind::Expected => {
                let utilization = if cost.cycles > 0.0 { cost.macs / (self.pes * cost.cycles) } else { 0.0 };
                // d(M / (P C)) = dM / (P C) - M dC / (P C^2)
                let (by_macs, by_cycles) = if cost.cycles > 0.0 {
                    (1.0 / (self.pes * cost.cycles), -utilization / cost.cycles)
                } else {
                    (0.0, 0.0)
                };
                let mut utilization_gradient = cost.macs_gradient.scaled(by_macs);
                utilization_gradient.add_scaled(&cost.cycles_gradient, by_cycles);
                let (latency_ms, latency_gradient) = match &self.calibration {
                    None => (cost.cycles * scale, cost.cycles_gradient.scaled(scale)),
                    Some((calibration, batch)) => self.calibrated(probabilities, calibration, *batch),
                };
                Hardware { latency_ms, utilization, latency_gradient, utilization_gradient }
            }
            CostKind::Flops => Hardware {
                latency_ms: cost.macs / self.pes * scale,
                utilization: 1.0,
                latency_gradient: cost.macs_gradient.scaled(scale / self.pes),
                utilization_gradient: self.shape.clone(),
            },
        }
    }

    /// Calibrated time of the expected sum over layers, with the constant and under the ceiling, and its gradient.
    fn calibrated(&self, probabilities: &Probabilities, calibration: &Calibration, batch: f64) -> (f64, Probabilities) {
        let (layers_ms, gradient) = self.quantity(probabilities, LAYERS_MS);
        let image = calibration.image(layers_ms);
        (batch * image.ms, gradient.scaled(batch * image.slope))
    }

    fn quantity(&self, probabilities: &Probabilities, quantity: usize) -> (f64, Probabilities) {
        debug_assert!(quantity < QUANTITIES);
        let mut gradient = self.shape.clone();
        // Cost of each edge given that it is there and live, and of each of its candidates.
        let costs: Vec<Vec<f64>> = self.edges.iter().map(|edge| edge.values(probabilities, quantity)).collect();
        let live = self.liveness.expect(probabilities, |edge| {
            let chosen = &probabilities.operators[self.edges[edge].operator];
            costs[edge].iter().zip(chosen).map(|(cost, r)| cost * r).sum()
        });
        for (operator, by_zero) in live.by_zero {
            let zero = self.liveness.zero(operator).expect("only choices that may cut have a gradient by zero");
            gradient.operators[operator][zero] += by_zero;
        }
        for (place, edge) in self.edges.iter().enumerate() {
            let weight = live.weights[place];
            for (slot, cost) in gradient.operators[edge.operator].iter_mut().zip(&costs[place]) {
                *slot += weight * cost;
            }
            edge.width_gradient(probabilities, quantity, weight, &mut gradient);
        }
        let (width, table) = &self.classifier;
        let mut value = live.value;
        for (slot, (cost, p)) in
            gradient.widths[*width].iter_mut().zip(table.quantity(quantity).iter().zip(&probabilities.widths[*width]))
        {
            *slot += cost;
            value += cost * p;
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests;
