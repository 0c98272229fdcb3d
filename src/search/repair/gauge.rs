//! Targets by the tables: what an architecture violates, in a microsecond.

use super::problem::Problem;
use crate::cost::{EdgeSum, EdgeTerm, Fold, JoinTerm};
use crate::space::Space;

/// The targets of a problem as sums over edges.
#[derive(Debug, Clone)]
pub(super) struct Gauge<'a> {
    problem: &'a Problem<'a>,
    /// A sum for each target.
    pub(super) sums: Vec<EdgeSum>,
    /// What a violation of each sum is measured in.
    pub(super) scales: Vec<f64>,
}

impl<'a> Gauge<'a> {
    /// The targets of `problem`; violations are relative to the limits, or where a limit is nought to the sum of
    /// absolute parts at `start`.
    pub(super) fn new(problem: &'a Problem<'a>, start: &[usize]) -> Self {
        let sums: Vec<EdgeSum> =
            problem.targets.iter().map(|target| problem.cost.within(target.metric, target.bound)).collect();
        let mut gauge = Self { problem, sums, scales: Vec::new() };
        let live = gauge.live(start).unwrap_or_else(|| vec![true; problem.space.edges.len()]);
        let scale = |sum: &EdgeSum| {
            let here = gauge.number(sum, start, &live).abs();
            if sum.limit > 0.0 { sum.limit } else { here.max(f64::MIN_POSITIVE) }
        };
        gauge.scales = gauge.sums.iter().map(scale).collect();
        gauge
    }

    /// Which edges are live; nothing where the output cannot be reached.
    pub(super) fn live(&self, choices: &[usize]) -> Option<Vec<bool>> {
        let space = self.problem.space;
        let live = space.live(|edge| self.problem.zero(edge.operator.0) == Some(choices[edge.operator.0]));
        let reached = live.iter().zip(&space.edges).any(|(&live, edge)| live && edge.to == space.last());
        reached.then_some(live)
    }

    /// The number that `sum` bounds, of `choices` whose edges are `live`.
    pub(super) fn number(&self, sum: &EdgeSum, choices: &[usize], live: &[bool]) -> f64 {
        let operators = self.problem.space.operators.len();
        let choices = &self.problem.with_sums(choices);
        let (width, table) = &sum.classifier;
        let last = table[choices[operators + width]];
        let parts =
            sum.edges.iter().zip(live).filter(|(_, live)| **live).map(|(edge, _)| part(edge, choices, operators));
        let joins = sum.joins.iter().filter(|term| stands(self.problem.space, term, live));
        let joins: f64 = joins.map(|term| term.parts[choices[operators + term.width]]).sum();
        let last = last + joins;
        match sum.fold {
            Fold::Sum => parts.fold(last, |sum, part| sum + part),
            Fold::Greatest => parts.fold(last, f64::max),
        }
    }

    /// Sum of the violations, each relative and at least 0, of `choices` whose edges are `live`.
    pub(super) fn violation(&self, choices: &[usize], live: &[bool]) -> f64 {
        let one = |(sum, scale): (&EdgeSum, &f64)| ((self.number(sum, choices, live) - sum.limit) / scale).max(0.0);
        self.sums.iter().zip(&self.scales).map(one).sum()
    }

    /// Moves the limits so that at `choices` the tables read the relative `violations` that the estimator found there.
    pub(super) fn align(&mut self, choices: &[usize], violations: &[f64]) {
        let Some(live) = self.live(choices) else { return };
        for (place, violation) in violations.iter().enumerate().filter(|(_, violation)| violation.is_finite()) {
            self.sums[place].limit = self.number(&self.sums[place], choices, &live) - self.scales[place] * violation;
        }
    }
}

/// Whether so many of the edges into a join are `live` that the term counts.
pub(super) fn stands(space: &Space, term: &JoinTerm, live: &[bool]) -> bool {
    let into = space.edges.iter().zip(live).filter(|(edge, live)| **live && edge.to.0 == term.join);
    into.count() == term.branches
}

/// What a live edge adds.
fn part(edge: &EdgeTerm, choices: &[usize], operators: usize) -> f64 {
    let table = &edge.candidates[choices[edge.operator]];
    if table.is_empty() {
        return 0.0;
    }
    let (from, to) = (choices[operators + edge.source], choices[operators + edge.target]);
    table[if edge.source == edge.target { from } else { from * edge.row + to }]
}
