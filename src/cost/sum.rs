//! Sums over the parts of a network, in expectation.

use std::borrow::Cow;

use super::CostModel;
use super::dot::dot;
use super::follow::Followed;
use super::liveness::Live;
use super::metric::Valued;
use super::probabilities::Probabilities;
use super::table::{EdgeCosts, Quantity};

/// A model where the choices follow one distribution: what all quantities share is found once.
pub(super) struct Point<'a> {
    pub(super) model: &'a CostModel,
    /// Of the choices.
    pub(super) choices: &'a Probabilities,
    /// Of the choices, and behind them of the widths that follow from them: `widths` has a distribution for every slot.
    pub(super) probabilities: Cow<'a, Probabilities>,
    pub(super) live: Live,
    /// What follows from operators and widths, where anything does.
    followed: Option<Followed>,
}

/// Costs of one quantity: of edges by candidate, and of all terms of the liveness.
struct Costs {
    edges: Vec<EdgeCosts>,
    terms: Vec<f64>,
}

impl<'a> Point<'a> {
    pub(super) fn new(model: &'a CostModel, choices: &'a Probabilities) -> Self {
        let followed = model.follows.as_ref().map(|follows| follows.at(choices));
        let probabilities = match (model.width_sums.as_slice(), &followed) {
            ([], None) => Cow::Borrowed(choices),
            (sums, followed) => {
                let mut all = choices.clone();
                all.widths.extend(sums.iter().map(|sum| sum.distribution(&choices.widths)));
                all.widths.extend(followed.iter().flat_map(Followed::distributions));
                Cow::Owned(all)
            }
        };
        Self { model, choices, probabilities, live: model.liveness.at(choices), followed }
    }

    /// A gradient by the probabilities of every slot as one by the choices.
    pub(super) fn by_choices(&self, mut gradient: Probabilities) -> Probabilities {
        let mut by_sums = gradient.widths.split_off(self.choices.widths.len());
        let by_followers = by_sums.split_off(self.model.width_sums.len());
        if let Some(followed) = &self.followed {
            followed.pull(&by_followers, &mut gradient);
        }
        for (sum, by) in self.model.width_sums.iter().zip(by_sums) {
            sum.pull(&self.choices.widths, &by, &mut gradient.widths);
        }
        gradient
    }

    fn costs(&self, quantity: Quantity) -> Costs {
        let Self { model, probabilities, .. } = self;
        let edges: Vec<EdgeCosts> = model.edges.iter().map(|edge| edge.costs(probabilities, quantity)).collect();
        let chosen = model.edges.iter().map(|edge| &probabilities.operators[edge.operator]);
        let of_edge = |(costs, chosen): (&EdgeCosts, &Vec<f64>)| dot(&costs.of_candidates, chosen);
        let sums = model.sums.iter().map(|sum| sum.value(probabilities, quantity));
        let terms = edges.iter().zip(chosen).map(of_edge).chain(sums).collect();
        Costs { edges, terms }
    }

    fn total(&self, costs: &Costs, quantity: Quantity) -> f64 {
        dot(&self.live.weights, &costs.terms) + self.model.classifier.value(&self.probabilities, quantity)
    }

    /// The sum of `quantity`.
    pub(super) fn value(&self, quantity: Quantity) -> f64 {
        self.total(&self.costs(quantity), quantity)
    }

    /// The sum of `quantity` with its gradient.
    pub(super) fn expect(&self, quantity: Quantity) -> Valued {
        let Self { model, probabilities, live, .. } = self;
        let costs = self.costs(quantity);
        let mut gradient = model.shape.clone();
        model.liveness.pull(live, &costs.terms, &mut gradient);
        for ((edge, costs), weight) in model.edges.iter().zip(&costs.edges).zip(&live.weights) {
            for (slot, cost) in gradient.operators[edge.operator].iter_mut().zip(&costs.of_candidates) {
                *slot += weight * cost;
            }
            edge.width_gradient(probabilities, (quantity, costs), *weight, &mut gradient);
        }
        for (sum, weight) in model.sums.iter().zip(&live.weights[model.edges.len()..]) {
            sum.gradient(quantity, *weight, &mut gradient);
        }
        model.classifier.gradient(quantity, 1.0, &mut gradient);
        Valued { value: self.total(&costs, quantity), gradient }
    }
}
