//! Which edges a derived network keeps: an edge is paid where its source has an input and its target reaches the
//! output, and both depend only on which other edges are `zero`.
//!
//! Expectations are conditional on an output that can be reached: choices that cut it off make no network, and to
//! count them as networks of no cost would reward them.

mod patterns;
mod ways;

use patterns::{Patterns, Slopes};
use ways::{Found, Ways};

use super::probabilities::Probabilities;
use crate::space::Space;

/// Choices that may cut edges up to which every pattern of cuts is summed.
const MOST_PATTERNS: usize = 12;

/// A sum of branches that may stand at a join: where so many of the edges into it are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// The join.
    pub(super) join: usize,
    /// Live edges into it, two or more.
    pub(super) branches: usize,
}

/// How the probability of each term is found, given that the output can be reached. The terms are the edges, then the
/// sums at joins.
#[derive(Debug, Clone)]
pub(super) struct Liveness {
    /// Operator choices that may cut, with the place of `zero`.
    cuttable: Vec<(usize, usize)>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    /// Every pattern of cuts: exact, also where cells share their choices.
    Patterns(Patterns),
    /// Products of recursions over ways, as if ways were independent: approximate.
    Ways(Ways),
}

/// Weights of terms: `E = sum over terms of weight * cost`.
///
/// All are 0 where the output is cut off for certain.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// For each term `dE / d cost`: for an edge the probability that it is live given that it is there, for a sum the
    /// probability that it stands, over `P(reached)`.
    pub(super) weights: Vec<f64>,
    slopes: Derivatives,
}

#[derive(Debug, Clone)]
enum Derivatives {
    Slopes(Slopes),
    Found(Found),
}

impl Liveness {
    pub(super) fn new(space: &Space, sums: &[Sum]) -> Self {
        let zeros = space.operators.iter().map(crate::space::OperatorChoice::zero).enumerate();
        let cuttable: Vec<(usize, usize)> = zeros.filter_map(|(operator, zero)| Some((operator, zero?))).collect();
        let operators: Vec<usize> = cuttable.iter().map(|(operator, _)| *operator).collect();
        let form = if cuttable.len() <= MOST_PATTERNS {
            Form::Patterns(Patterns::new(space, &operators, sums))
        } else {
            Form::Ways(Ways::new(space, &operators, sums))
        };
        Self { cuttable, form }
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self.form, Form::Patterns(_))
    }

    /// The weights where the choices follow `probabilities`.
    pub(super) fn at(&self, probabilities: &Probabilities) -> Live {
        let cuts: Vec<f64> =
            self.cuttable.iter().map(|&(operator, zero)| probabilities.operators[operator][zero]).collect();
        match &self.form {
            Form::Patterns(patterns) => {
                let (weights, slopes) = patterns.at(&cuts);
                Live { weights, slopes: Derivatives::Slopes(slopes) }
            }
            Form::Ways(ways) => {
                let (weights, found) = ways.at(&cuts);
                Live { weights, slopes: Derivatives::Found(found) }
            }
        }
    }

    /// Adds to `gradient` what the sum of `costs` over the terms owes to the weights: their derivatives by the
    /// probabilities of `zero`.
    pub(super) fn pull(&self, live: &Live, costs: &[f64], gradient: &mut Probabilities) {
        let by_cut = match (&self.form, &live.slopes) {
            (Form::Ways(ways), Derivatives::Found(found)) => ways.by_cut(found, &live.weights, costs),
            (_, Derivatives::Slopes(slopes)) => slopes.by_cut(costs),
            (Form::Patterns(_), Derivatives::Found(_)) => unreachable!("weights are pulled by what made them"),
        };
        for (&(operator, zero), slope) in self.cuttable.iter().zip(by_cut) {
            gradient.operators[operator][zero] += slope;
        }
    }
}
