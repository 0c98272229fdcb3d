//! Where too many choices may cut for all their patterns: `P(source) * P(reaching) / P(reached)`, each by the recursion
//! `1 - prod(1 - x)` as if ways were independent. Exact at one-hot choices, approximate between.

use super::Sum;
use crate::space::Space;

/// The graph of a space.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    joins: usize,
    /// Source and target of each edge.
    ends: Vec<(usize, usize)>,
    /// The same backwards, from the last join.
    mirrored: Vec<(usize, usize)>,
    /// For each edge the place of its choice among those that may cut.
    cut_by: Vec<Option<usize>>,
    cuttable: usize,
    sums: Vec<Sum>,
}

/// The recursions at one point.
#[derive(Debug, Clone)]
pub(super) struct Found {
    there: Vec<f64>,
    sourced: Recursion,
    reaching: Recursion,
}

impl Ways {
    pub(super) fn new(space: &Space, cuttable: &[usize], sums: &[Sum]) -> Self {
        let joins = space.joins.len();
        let ends: Vec<(usize, usize)> = space.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect();
        let bit = |edge: &crate::space::Edge| cuttable.iter().position(|&operator| operator == edge.operator.0);
        Self {
            joins,
            mirrored: ends.iter().map(|&(from, to)| (joins - 1 - to, joins - 1 - from)).collect(),
            ends,
            cut_by: space.edges.iter().map(bit).collect(),
            cuttable: cuttable.len(),
            sums: sums.to_vec(),
        }
    }

    /// Weights of the terms, and what their derivatives need, where `cuts` are the probabilities of `zero`.
    pub(super) fn at(&self, cuts: &[f64]) -> (Vec<f64>, Found) {
        let there: Vec<f64> = self.cut_by.iter().map(|cut| cut.map_or(1.0, |cut| 1.0 - cuts[cut])).collect();
        let sourced = Recursion::forward(self.joins, &self.ends, &there);
        let reaching = Recursion::forward(self.joins, &self.mirrored, &there);
        let found = Found { there, sourced, reaching };
        let reached = found.sourced.probability[self.joins - 1];
        let scale = if reached > 0.0 { 1.0 / reached } else { 0.0 };
        let edge = |&(from, to): &(usize, usize)| found.sourced.probability[from] * self.reach(&found, to);
        let sum = |sum: &Sum| self.reach(&found, sum.join) * counts(&self.ways_into(&found, sum.join))[sum.branches];
        let weights = self.ends.iter().map(edge).chain(self.sums.iter().map(sum)).map(|weight| weight * scale);
        (weights.collect(), found)
    }

    fn reach(&self, found: &Found, join: usize) -> f64 {
        found.reaching.probability[self.joins - 1 - join]
    }

    /// For each edge into `join` the probability that it is there and has a source.
    fn ways_into(&self, found: &Found, join: usize) -> Vec<f64> {
        incoming(&self.ends, join)
            .map(|edge| found.sourced.probability[self.ends[edge].0] * found.there[edge])
            .collect()
    }

    /// Derivative of `sum over terms of weight * cost` by each cut, through the weights.
    pub(super) fn by_cut(&self, found: &Found, weights: &[f64], costs: &[f64]) -> Vec<f64> {
        let Found { there, sourced, reaching } = found;
        let last = self.joins - 1;
        let reached = sourced.probability[last];
        if reached <= 0.0 {
            return vec![0.0; self.cuttable];
        }
        let mut by = By { source: vec![0.0; self.joins], reach: vec![0.0; self.joins], there: vec![0.0; there.len()] };
        for (&(from, to), cost) in self.ends.iter().zip(costs) {
            by.source[from] += self.reach(found, to) * cost;
            by.reach[last - to] += sourced.probability[from] * cost;
        }
        for (sum, cost) in self.sums.iter().zip(&costs[self.ends.len()..]) {
            self.add_sum(found, *sum, *cost, &mut by);
        }
        // The quotient: what is divided by `reached` shrinks as that grows.
        by.source[last] -= weights.iter().zip(costs).map(|(weight, cost)| weight * cost).sum::<f64>();
        let by_source = sourced.backward(&self.ends, there, by.source);
        let by_reach = reaching.backward(&self.mirrored, there, by.reach);
        let mut by_cut = vec![0.0; self.cuttable];
        for (edge, cut) in self.cut_by.iter().enumerate() {
            cut.iter().for_each(|&cut| by_cut[cut] -= (by.there[edge] + by_source[edge] + by_reach[edge]) / reached);
        }
        by_cut
    }

    fn add_sum(&self, found: &Found, sum: Sum, cost: f64, by: &mut By) {
        let ways = self.ways_into(found, sum.join);
        by.reach[self.joins - 1 - sum.join] += cost * counts(&ways)[sum.branches];
        for (place, edge) in incoming(&self.ends, sum.join).enumerate() {
            let others: Vec<f64> =
                ways.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, way)| *way).collect();
            let others = counts(&others);
            let with = others[sum.branches - 1];
            let slope = cost * self.reach(found, sum.join) * (with - others.get(sum.branches).unwrap_or(&0.0));
            let from = self.ends[edge].0;
            by.there[edge] += slope * found.sourced.probability[from];
            by.source[from] += slope * found.there[edge];
        }
    }
}

/// Derivatives by what the weights are made of.
struct By {
    source: Vec<f64>,
    reach: Vec<f64>,
    there: Vec<f64>,
}

/// `P(n of the ways are there)` for each n, as if they were independent.
fn counts(ways: &[f64]) -> Vec<f64> {
    let mut counts = vec![1.0];
    for way in ways {
        counts.push(0.0);
        for n in (0..counts.len()).rev() {
            counts[n] = counts[n] * (1.0 - way) + if n > 0 { counts[n - 1] * way } else { 0.0 };
        }
    }
    counts
}

/// `x[v] = 1 - prod over edges (u, v) of (1 - x[u] * there)`, `x[0] = 1`.
#[derive(Debug, Clone)]
struct Recursion {
    probability: Vec<f64>,
}

impl Recursion {
    fn forward(joins: usize, ends: &[(usize, usize)], there: &[f64]) -> Self {
        let mut probability = vec![0.0; joins];
        probability[0] = 1.0;
        for join in 1..joins {
            let ways = incoming(ends, join).map(|edge| probability[ends[edge].0] * there[edge]);
            // 1 - prod(1 - way), without the cancellation where all are small.
            probability[join] = ways.fold(0.0, |any, way| any + way * (1.0 - any));
        }
        Self { probability }
    }

    /// Gradient by `there`, given the gradient by each probability.
    fn backward(&self, ends: &[(usize, usize)], there: &[f64], mut by: Vec<f64>) -> Vec<f64> {
        let mut by_there = vec![0.0; ends.len()];
        for join in (1..by.len()).rev() {
            for edge in incoming(ends, join) {
                let from = ends[edge].0;
                let others: f64 = incoming(ends, join)
                    .filter(|&other| other != edge)
                    .map(|other| 1.0 - self.probability[ends[other].0] * there[other])
                    .product();
                by_there[edge] += by[join] * others * self.probability[from];
                by[from] += by[join] * others * there[edge];
            }
        }
        by_there
    }
}

fn incoming(ends: &[(usize, usize)], join: usize) -> impl Iterator<Item = usize> {
    (0..ends.len()).filter(move |&edge| ends[edge].1 == join)
}
