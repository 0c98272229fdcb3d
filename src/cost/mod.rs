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
mod metric;
mod probabilities;
mod sum;
mod table;

pub use metric::{Metric, Valued, exact};
pub use probabilities::{Probabilities, softmax};
pub use sum::{EdgeSum, EdgeTerm, Fold};
pub use table::CostError;

use liveness::Liveness;
use table::{EdgeTables, Quantity, Tables};

use crate::accel::{Accelerator, Calibration, Precision};
use crate::estimate::Target;
use crate::space::Space;
use crate::units::Megahertz;

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
    precision: Precision,
    batch: f64,
    calibration: Option<Calibration>,
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
        let Accelerator { array, clock, calibration, precision, .. } = target.accelerator;
        #[expect(clippy::cast_precision_loss, reason = "PEs and batches are far below 2^52")]
        let (pes, batch) = (array.pes() as f64, target.batch as f64);
        let engine = target.engine()?;
        Ok(Self {
            kind,
            pes,
            clock: *clock,
            precision: *precision,
            batch,
            calibration: calibration.clone(),
            shape: Probabilities::zeros(space),
            edges: table::edges(space, target, &engine)?,
            classifier: (space.join(space.last()).width.0, table::classifier(space, target, &engine)?),
            liveness: Liveness::new(space),
            local: engine.is_local(),
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
        let [cycles, macs] = [Quantity::Cycles, Quantity::Macs].map(|quantity| self.quantity(probabilities, quantity));
        ExpectedCost {
            cycles: cycles.value,
            cycles_gradient: cycles.gradient,
            macs: macs.value,
            macs_gradient: macs.gradient,
        }
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
                    Some(calibration) => self.calibrated(probabilities, calibration),
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

    /// `metric` where the choices follow `probabilities`; at a one-hot choice what [`exact`] reads off the estimate of
    /// the network, as far as [`CostModel::is_exact`] says.
    ///
    /// Weights are parameters at the precision of a weight, not rounded up to whole bytes. The peak of activations is
    /// approximate: that of the edge with most expected values alive at once, its input among them.
    #[must_use]
    pub fn metric(&self, metric: Metric, probabilities: &Probabilities) -> Valued {
        let of = |quantity| self.quantity(probabilities, quantity);
        let kib = |bits: u32| f64::from(bits) / 8.0 / 1024.0;
        match metric {
            Metric::LatencyMs => {
                let Hardware { latency_ms: value, latency_gradient: gradient, .. } = self.hardware(probabilities);
                Valued { value, gradient }
            }
            Metric::Utilization => {
                let Hardware { utilization: value, utilization_gradient: gradient, .. } = self.hardware(probabilities);
                Valued { value, gradient }
            }
            Metric::EnergyUj => of(Quantity::EnergyPj).scaled(1e-6),
            Metric::Macs => of(Quantity::Macs),
            Metric::Params => of(Quantity::Params),
            Metric::WeightKib => of(Quantity::Params).scaled(kib(self.precision.weight_bits)),
            Metric::PeakActivationKib => {
                self.peak(probabilities).scaled(self.batch * kib(self.precision.activation_bits))
            }
        }
    }

    /// Calibrated time of the expected sum over layers, with the constant and under the ceiling, and its gradient.
    fn calibrated(&self, probabilities: &Probabilities, calibration: &Calibration) -> (f64, Probabilities) {
        let Valued { value, gradient } = self.quantity(probabilities, Quantity::LayersMs);
        let image = calibration.image(value);
        (self.batch * image.ms, gradient.scaled(self.batch * image.slope))
    }

    fn peak(&self, probabilities: &Probabilities) -> Valued {
        let edge = |place: &usize| self.part(probabilities, Quantity::Alive, |edge| edge == *place);
        let values = (0..self.edges.len()).map(|place| edge(&place).value);
        let (place, _) = values.enumerate().fold((0, 0.0), |most, one| if one.1 > most.1 { one } else { most });
        edge(&place)
    }

    fn quantity(&self, probabilities: &Probabilities, quantity: Quantity) -> Valued {
        let mut sum = self.part(probabilities, quantity, |_| true);
        let (width, table) = &self.classifier;
        let (costs, p) = (table.quantity(quantity), &probabilities.widths[*width]);
        for (slot, (cost, p)) in sum.gradient.widths[*width].iter_mut().zip(costs.iter().zip(p)) {
            *slot += cost;
            sum.value += cost * p;
        }
        sum
    }

    /// The sum over the edges that `counts` names.
    fn part(&self, probabilities: &Probabilities, quantity: Quantity, counts: impl Fn(usize) -> bool) -> Valued {
        let mut gradient = self.shape.clone();
        // Cost of each edge given that it is there and live, and of each of its candidates.
        let costs: Vec<Vec<f64>> = self.edges.iter().map(|edge| edge.values(probabilities, quantity)).collect();
        let live = self.liveness.expect(probabilities, |edge| {
            if !counts(edge) {
                return 0.0;
            }
            let chosen = &probabilities.operators[self.edges[edge].operator];
            costs[edge].iter().zip(chosen).map(|(cost, r)| cost * r).sum()
        });
        for (operator, by_zero) in live.by_zero {
            let zero = self.liveness.zero(operator).expect("only choices that may cut have a gradient by zero");
            gradient.operators[operator][zero] += by_zero;
        }
        for (place, edge) in self.edges.iter().enumerate().filter(|(place, _)| counts(*place)) {
            let weight = live.weights[place];
            for (slot, cost) in gradient.operators[edge.operator].iter_mut().zip(&costs[place]) {
                *slot += weight * cost;
            }
            edge.width_gradient(probabilities, quantity, weight, &mut gradient);
        }
        Valued { value: live.value, gradient }
    }
}

#[cfg(test)]
mod tests;
