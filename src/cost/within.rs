//! A metric's bound as a bound on a sum over the edges of one architecture: what a search among architectures, rather
//! than distributions, works with.

use super::liveness::Sum;
use super::table::{CandidateTables, EdgeTables, Quantity, Tables, WidthTables};
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
    /// What sums of branches add.
    pub joins: Vec<JoinTerm>,
    /// Width of the last join, as a [`Space::slot`](crate::space::Space::slot), and the classifier's part for each of its options.
    pub classifier: (usize, Vec<f64>),
    /// Most that the number may be.
    pub limit: f64,
    /// Whether it is the estimator's own number for every architecture: not where a layer's cost depends on what stands
    /// around it, and not for the peak of activations, of which it is that of the greatest edge alone.
    pub is_exact: bool,
}

/// What the sum at a join adds where so many live edges end there.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinTerm {
    /// The join.
    pub join: usize,
    /// Live edges into it.
    pub branches: usize,
    /// Its width, as a [`Space::slot`](crate::space::Space::slot).
    pub width: usize,
    /// The part for each option.
    pub parts: Vec<f64>,
}

/// What one edge adds where it is live.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeTerm {
    /// Its operator choice.
    pub operator: usize,
    /// Width of its source, as a [`Space::slot`](crate::space::Space::slot); of a projection the pair of widths at its
    /// ends, behind all slots.
    pub source: usize,
    /// Width of what it yields, likewise.
    pub target: usize,
    /// Options of the width that it yields.
    pub row: usize,
    /// For each candidate its part: `[source option][target option]` row by row, or `[option]` where both ends have one
    /// width; empty where it is free.
    pub candidates: Vec<Vec<f64>>,
}

impl CostModel {
    /// `metric` within `bound` (at least it for utilization, at most for the others) as a bound on a sum over edges, by
    /// the exact tables, whatever stands for the hardware in the objective.
    ///
    /// As exact as the tables are for one architecture: the estimator has the last word.
    #[must_use]
    pub fn within(&self, metric: Metric, bound: f64) -> EdgeSum {
        let local = self.surroundings.is_none();
        let weights = kib(self.precision.weight_bits);
        let (parts, limit, is_exact) = match metric {
            Metric::LatencyMs => match &self.calibration {
                None => (vec![(Quantity::Cycles, self.clock.milliseconds_of(1.0))], bound, local),
                Some(_) => (vec![(Quantity::LayersMs, 1.0)], self.layers_ms_within(bound), local),
            },
            // M / (P C) >= u  is  u P C - M <= 0.
            Metric::Utilization => (vec![(Quantity::Cycles, bound * self.pes), (Quantity::Macs, -1.0)], 0.0, local),
            Metric::EnergyUj => (vec![(Quantity::EnergyPj, 1e-6)], bound, local),
            Metric::Macs => (vec![(Quantity::Macs, 1.0)], bound, true),
            Metric::Params => (vec![(Quantity::Params, 1.0)], bound, true),
            Metric::WeightKib => (vec![(Quantity::Params, weights)], bound, true),
            Metric::PeakActivationKib => {
                (vec![(Quantity::Last, self.batch * kib(self.precision.activation_bits))], bound, false)
            }
        };
        let fold = if metric == Metric::PeakActivationKib { Fold::Greatest } else { Fold::Sum };
        EdgeSum { fold, limit, is_exact, ..self.parts(&parts) }
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

    /// The sum of `parts`, without a limit.
    fn parts(&self, parts: &[(Quantity, f64)]) -> EdgeSum {
        let mixed = |tables: &Tables| {
            let mut sum = Vec::new();
            for &(quantity, factor) in parts {
                let Some(table) = tables.quantity(quantity) else { continue };
                sum.resize(table.len(), 0.0);
                sum.iter_mut().zip(table).for_each(|(slot, value)| *slot += factor * value);
            }
            sum
        };
        let edge = |edge: &EdgeTables| {
            let row = self.shape.widths[edge.target].len();
            let candidate = |candidate: &CandidateTables| {
                let parts = mixed(&candidate.tables);
                if candidate.is_of_two() || edge.source == edge.target {
                    return parts;
                }
                // It copies its source's width: the edge's own does not count.
                parts.into_iter().flat_map(|part| std::iter::repeat_n(part, row)).collect()
            };
            let candidates = edge.candidates.iter().map(candidate).collect();
            EdgeTerm { operator: edge.operator, source: edge.source, target: edge.target, row, candidates }
        };
        let join = |(sum, tables): (&Sum, &WidthTables)| {
            let parts = mixed(&tables.tables);
            let term = JoinTerm { join: sum.join, branches: sum.branches, width: tables.width, parts };
            (!term.parts.is_empty()).then_some(term)
        };
        let mut classifier = mixed(&self.classifier.tables);
        classifier.resize(self.shape.widths[self.classifier.width].len(), 0.0);
        EdgeSum {
            fold: Fold::Sum,
            edges: self.edges.iter().map(edge).collect(),
            joins: self.standing.iter().zip(&self.sums).filter_map(join).collect(),
            classifier: (self.classifier.width, classifier),
            limit: f64::INFINITY,
            is_exact: false,
        }
    }
}

/// KiB of one value of `bits`.
fn kib(bits: u32) -> f64 {
    f64::from(bits) / 8.0 / 1024.0
}
