//! Which edges a derived network keeps: an edge is paid where its source has an input and its target reaches the
//! output, and both depend only on which other edges are `zero`.
//!
//! Expectations are conditional on an output that can be reached: choices that cut it off make no network, and to
//! count them as networks of no cost would reward them.

use super::probabilities::Probabilities;
use crate::space::{Edge, Space};

/// Choices that may cut edges up to which every pattern of cuts is summed.
const MOST_PATTERNS: usize = 12;

/// How `P(live | reached)` is found: the probability that an edge is live, given that the output can be reached.
#[derive(Debug, Clone)]
pub(super) struct Liveness {
    /// Place of `zero` in each operator choice.
    zeros: Vec<Option<usize>>,
    /// Operator choice of each edge.
    operators: Vec<usize>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    /// For each pattern of cuts, the edges that are live, grouped by operator choice. Exact, also where cells share
    /// their choices.
    Patterns { cuttable: Vec<usize>, groups: Vec<usize>, live: Vec<Vec<Vec<usize>>> },
    /// `P(source) * P(reaching) / P(reached)`, each by the recursion `1 - prod(1 - x)` as if ways were independent:
    /// approximate.
    Product { joins: usize, ends: Vec<(usize, usize)> },
}

/// `E = sum over edges of P(live | there) * cost / P(reached)`, with its gradient.
///
/// All are 0 where the output is cut off for certain.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    /// The expectation.
    pub(super) value: f64,
    /// For each edge `dE / d cost`: the probability that it is live, given that it is there, over `P(reached)`.
    pub(super) weights: Vec<f64>,
    /// For each operator choice that may cut, `dE / d P(zero)` through the liveness of other edges and `P(reached)`.
    pub(super) by_zero: Vec<(usize, f64)>,
}

/// `P(reached)` and its derivative by the same variables as `by_zero`.
struct Reached {
    probability: f64,
    by_zero: Vec<f64>,
}

impl Live {
    /// The quotient `self / reached` with its gradient, from the sum over networks whose output can be reached.
    fn given(mut self, reached: &Reached) -> Self {
        if reached.probability <= 0.0 {
            self.value = 0.0;
            self.weights.fill(0.0);
            self.by_zero.iter_mut().for_each(|(_, slot)| *slot = 0.0);
            return self;
        }
        let scale = 1.0 / reached.probability;
        self.value *= scale;
        self.weights.iter_mut().for_each(|weight| *weight *= scale);
        for ((_, slot), by_reached) in self.by_zero.iter_mut().zip(&reached.by_zero) {
            *slot = (*slot - self.value * by_reached) * scale;
        }
        self
    }
}

impl Liveness {
    pub(super) fn new(space: &Space) -> Self {
        let zeros: Vec<Option<usize>> = space.operators.iter().map(crate::space::OperatorChoice::zero).collect();
        let operators: Vec<usize> = space.edges.iter().map(|edge| edge.operator.0).collect();
        let cuttable: Vec<usize> = (0..zeros.len()).filter(|&operator| zeros[operator].is_some()).collect();
        let form = if cuttable.len() <= MOST_PATTERNS {
            patterns(space, cuttable)
        } else {
            let ends = space.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect();
            Form::Product { joins: space.joins.len(), ends }
        };
        Self { zeros, operators, form }
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self.form, Form::Patterns { .. })
    }

    pub(super) fn zero(&self, operator: usize) -> Option<usize> {
        self.zeros[operator]
    }

    /// Expectation of the costs, where `cost(edge)` is what an edge costs given that it is live.
    pub(super) fn expect(&self, probabilities: &Probabilities, cost: impl Fn(usize) -> f64) -> Live {
        let costs: Vec<f64> = (0..self.operators.len()).map(cost).collect();
        let cut = |operator: usize| self.zeros[operator].map_or(0.0, |zero| probabilities.operators[operator][zero]);
        match &self.form {
            Form::Patterns { cuttable, groups, live } => {
                let cuts: Vec<f64> = cuttable.iter().map(|&operator| cut(operator)).collect();
                sum_patterns(&Patterns { cuttable, groups, live, cuts: &cuts }, &costs)
            }
            Form::Product { joins, ends } => {
                let there: Vec<f64> = self.operators.iter().map(|&operator| 1.0 - cut(operator)).collect();
                self.product(*joins, ends, &there, &costs)
            }
        }
    }

    fn product(&self, joins: usize, ends: &[(usize, usize)], there: &[f64], costs: &[f64]) -> Live {
        let sourced = Recursion::forward(joins, ends, there);
        let mirrored: Vec<(usize, usize)> = ends.iter().map(|&(u, v)| (joins - 1 - v, joins - 1 - u)).collect();
        let reaching = Recursion::forward(joins, &mirrored, there);
        let mut by_source = vec![0.0; joins];
        let mut by_reach = vec![0.0; joins];
        let mut live = Live { value: 0.0, weights: Vec::with_capacity(ends.len()), by_zero: Vec::new() };
        for (&(from, to), cost) in ends.iter().zip(costs) {
            let (source, reach) = (sourced.probability[from], reaching.probability[joins - 1 - to]);
            live.weights.push(source * reach);
            live.value += source * reach * cost;
            by_source[from] += reach * cost;
            by_reach[joins - 1 - to] += source * cost;
        }
        let mut by_there = sourced.backward(ends, there, by_source);
        for (sum, part) in by_there.iter_mut().zip(reaching.backward(&mirrored, there, by_reach)) {
            *sum += part;
        }
        let mut by_last = vec![0.0; joins];
        by_last[joins - 1] = 1.0;
        let reached_by_there = sourced.backward(ends, there, by_last);
        let mut reached = Reached { probability: sourced.probability[joins - 1], by_zero: Vec::new() };
        for (edge, &operator) in self.operators.iter().enumerate() {
            if self.zeros[operator].is_some() {
                live.by_zero.push((operator, -by_there[edge]));
                reached.by_zero.push(-reached_by_there[edge]);
            }
        }
        live.given(&reached)
    }
}

fn patterns(space: &Space, cuttable: Vec<usize>) -> Form {
    let mut groups: Vec<usize> = space.edges.iter().map(|edge| edge.operator.0).collect();
    groups.sort_unstable();
    groups.dedup();
    let group_of = |edge: &Edge| groups.binary_search(&edge.operator.0).expect("every edge's operator is a group");
    let live = (0..1usize << cuttable.len()).map(|pattern| {
        let cut = |edge: &Edge| {
            cuttable.iter().position(|&o| o == edge.operator.0).is_some_and(|bit| pattern >> bit & 1 == 1)
        };
        let mut by_group = vec![Vec::new(); groups.len()];
        for (place, _) in space.live(cut).into_iter().enumerate().filter(|(_, live)| *live) {
            by_group[group_of(&space.edges[place])].push(place);
        }
        by_group
    });
    let live = live.collect();
    Form::Patterns { groups, live, cuttable }
}

struct Patterns<'a> {
    cuttable: &'a [usize],
    groups: &'a [usize],
    live: &'a [Vec<Vec<usize>>],
    cuts: &'a [f64],
}

/// `E = sum_s sum_g C_g(s) prod_(d not g) phi_d(s) / sum_(s reached) prod_d phi_d(s)`: patterns `s`, groups of edges `g`
/// of one choice, `C_g(s)` the cost of those live, `phi_d` the probability that choice `d` is cut or not as `s` says.
/// A pattern lets the output be reached where any edge is live.
fn sum_patterns(patterns: &Patterns<'_>, costs: &[f64]) -> Live {
    let mut reached = Reached { probability: 0.0, by_zero: vec![0.0; patterns.cuttable.len()] };
    let mut value = 0.0;
    let mut weights = vec![0.0; costs.len()];
    let mut by_zero = vec![0.0; patterns.cuttable.len()];
    for (pattern, groups) in patterns.live.iter().enumerate() {
        let is_cut = |bit: usize| pattern >> bit & 1 == 1;
        let sign = |bit: usize| if is_cut(bit) { 1.0 } else { -1.0 };
        let phi = |(bit, cut): (usize, &f64)| if is_cut(bit) { *cut } else { 1.0 - cut };
        let phis: Vec<f64> = patterns.cuts.iter().enumerate().map(phi).collect();
        // Every product below leaves out two of them at most.
        if phis.iter().filter(|&&phi| phi == 0.0).count() > 2 {
            continue;
        }
        let without = |skip: [Option<usize>; 2]| -> f64 {
            let kept = phis.iter().enumerate().filter(|(bit, _)| !skip.contains(&Some(*bit)));
            kept.map(|(_, phi)| phi).product()
        };
        if costs.is_empty() || groups.iter().any(|edges| !edges.is_empty()) {
            reached.probability += without([None, None]);
            for (bit, slot) in reached.by_zero.iter_mut().enumerate() {
                *slot += sign(bit) * without([None, Some(bit)]);
            }
        }
        for (group, edges) in groups.iter().enumerate().filter(|(_, edges)| !edges.is_empty()) {
            let own = patterns.cuttable.iter().position(|&operator| operator == patterns.groups[group]);
            let cost: f64 = edges.iter().map(|&edge| costs[edge]).sum();
            let probability = without([own, None]);
            value += probability * cost;
            for &edge in edges {
                weights[edge] += probability;
            }
            if cost == 0.0 {
                continue;
            }
            for (bit, slot) in by_zero.iter_mut().enumerate().filter(|(bit, _)| Some(*bit) != own) {
                *slot += sign(bit) * cost * without([own, Some(bit)]);
            }
        }
    }
    Live { value, weights, by_zero: patterns.cuttable.iter().copied().zip(by_zero).collect() }.given(&reached)
}

/// `x[v] = 1 - prod over edges (u, v) of (1 - x[u] * there)`, `x[0] = 1`.
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
