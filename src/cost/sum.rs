//! A metric's bound as a bound on a sum over the edges of one architecture: what a search among architectures, rather
//! than distributions, works with.

use super::table::Quantity;
use super::{CostModel, Metric};

/// How the parts of the edges make one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// They add up.
    Sum,
    /// The greatest counts.
    Greatest,
}

/// What each live edge and the classifier add to a number that must not pass `limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSum {
    /// How the parts make the number.
    pub fold: Fold,
    /// The edges, in the space's order.
    pub edges: Vec<EdgeTerm>,
    /// Width choice of the last join, and the classifier's part for each of its options.
    pub classifier: (usize, Vec<f64>),
    /// Most that the number may be.
    pub limit: f64,
}

/// What one edge adds where it is live.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeTerm {
    /// Its operator choice.
    pub operator: usize,
    /// Width choice of its source.
    pub source: usize,
    /// Width choice of its target.
    pub target: usize,
    /// Options of the width of its target.
    pub row: usize,
    /// For each candidate its part: `[source option][target option]` row by row, or `[option]` where both ends are one
    /// choice; empty where it is free.
    pub candidates: Vec<Vec<f64>>,
}

impl CostModel {
    /// `metric` within `bound` (at least it for utilization, at most for the others) as a bound on a sum over edges, by
    /// the exact tables, whatever stands for the hardware in the objective.
    ///
    /// As exact as the tables are for one architecture: the estimator has the last word.
    #[must_use]
    pub fn within(&self, metric: Metric, bound: f64) -> EdgeSum {
        match metric {
            Metric::LatencyMs => match &self.calibration {
                None => self.sum(&[(Quantity::Cycles, 1.0)], bound / self.clock.milliseconds_of(1.0)),
                Some(_) => self.sum(&[(Quantity::LayersMs, 1.0)], self.layers_ms_within(bound)),
            },
            // M / (P C) >= u  is  u P C - M <= 0.
            Metric::Utilization => self.sum(&[(Quantity::Cycles, bound * self.pes), (Quantity::Macs, -1.0)], 0.0),
            Metric::EnergyUj => self.sum(&[(Quantity::EnergyPj, 1e-6)], bound),
            Metric::Macs => self.sum(&[(Quantity::Macs, 1.0)], bound),
            Metric::Params => self.sum(&[(Quantity::Params, 1.0)], bound),
            Metric::WeightKib => self.sum(&[(Quantity::Params, kib(self.precision.weight_bits))], bound),
            Metric::PeakActivationKib => {
                let scale = self.batch * kib(self.precision.activation_bits);
                EdgeSum { fold: Fold::Greatest, ..self.sum(&[(Quantity::Alive, scale)], bound) }
            }
        }
    }

    /// The greatest sum of calibrated layer times whose calibrated whole is at most `bound`, by bisection: the whole
    /// grows with the sum.
    fn layers_ms_within(&self, bound: f64) -> f64 {
        let Some(calibration) = &self.calibration else { return bound };
        let whole = |layers_ms: f64| self.batch * calibration.image(layers_ms).ms;
        let (mut least, mut most) = (-calibration.constant_ms(), bound / self.batch);
        if whole(most) <= bound {
            return most;
        }
        for _ in 0..200 {
            let middle = f64::midpoint(least, most);
            if whole(middle) <= bound { least = middle } else { most = middle }
        }
        least
    }

    fn sum(&self, parts: &[(Quantity, f64)], limit: f64) -> EdgeSum {
        let mixed = |table: &super::table::Tables| -> Vec<f64> {
            let mut sum = vec![0.0; table.quantity(parts[0].0).len()];
            for &(quantity, factor) in parts {
                for (slot, value) in sum.iter_mut().zip(table.quantity(quantity)) {
                    *slot += factor * value;
                }
            }
            sum
        };
        let edges = self.edges.iter().map(|edge| EdgeTerm {
            operator: edge.operator,
            source: edge.source,
            target: edge.target,
            row: self.shape.widths[edge.target].len(),
            candidates: edge.candidates.iter().map(|table| table.as_deref().map_or_else(Vec::new, mixed)).collect(),
        });
        let (width, table) = &self.classifier;
        EdgeSum { fold: Fold::Sum, edges: edges.collect(), classifier: (*width, mixed(table)), limit }
    }
}

/// KiB of one value of `bits`.
fn kib(bits: u32) -> f64 {
    f64::from(bits) / 8.0 / 1024.0
}
