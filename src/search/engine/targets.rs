//! Hard targets in the search: the bounds of each stage, their pressure, and the network that keeps them.

use super::Search;
use crate::cost::{Metric, Probabilities};
use crate::record::{HardTarget, TargetEpoch};
use crate::search::goals::Form;
use crate::search::lagrangian::Multiplier;
use crate::search::objective::{Objective, Pressed, Price};
use crate::search::repair::Effort::{Partial, Whole};
use crate::search::repair::{Fit, Problem, Repaired, repair};
use crate::search::settings::LatencyUnit;
use crate::search::task::Stage;

/// What it counts to go through all options of a width that is not searched yet, nats.
const WIDTH_NATS: f64 = 0.01;

impl Search<'_> {
    /// What counts as 1 of each cost: its value at the first distributions; for targets in the multiplicative form the
    /// bound.
    pub(super) fn set_units(&mut self) {
        let first = self.distributions();
        let value = |metric: Metric| self.cost.metric(metric, &first).value;
        let positive = |value: f64| if value > 0.0 { value } else { 1.0 };
        let bound = |metric: Metric| {
            let target = self.settings.targets.iter().find(|target| target.metric == metric);
            target.map(|target| target.bound).filter(|_| self.settings.form == Form::Multiplicative)
        };
        let unit = |metric: Metric| bound(metric).unwrap_or_else(|| positive(value(metric)));
        let unit_ms = match self.settings.latency {
            LatencyUnit::Milliseconds => bound(Metric::LatencyMs).unwrap_or(1.0),
            LatencyUnit::Relative => unit(Metric::LatencyMs),
        };
        let prices = self.settings.prices.iter();
        let prices = prices.map(|&(metric, weight)| Price { metric, weight, unit: unit(metric) }).collect();
        let eased = self.settings.targets.iter().map(|target| self.eased(target, value(target.metric))).collect();
        self.objective =
            Objective { unit_ms, unit_utilization: unit(Metric::Utilization), prices, ..self.objective.clone() };
        self.targets[0] = eased;
    }

    /// `target` in the operator stage, where the first distributions take `first`: what widths are to change is left to
    /// their own stage, so the bound is the geometric mean of both where they violate it.
    fn eased(&self, target: &HardTarget, first: f64) -> HardTarget {
        if self.stages.len() > 1 && first > 0.0 && !target.is_met(first) {
            HardTarget { bound: (target.bound * first).sqrt(), ..*target }
        } else {
            *target
        }
    }

    /// Gives a state that was read from elsewhere a multiplier for each target, and takes a witness that is none of the
    /// space.
    pub(super) fn hold_to_targets(&mut self) {
        self.state.multipliers.resize(self.settings.targets.len(), Multiplier::new(&self.settings.penalty));
        self.state.witness.take_if(|witness| !self.space.holds(witness));
    }

    /// The hard targets with the bounds that the present stage works towards.
    #[must_use]
    pub fn targets(&self) -> &[HardTarget] {
        match self.stage_now() {
            Stage::Operators { .. } => &self.targets[0],
            Stage::Widths { .. } | Stage::Whole => &self.targets[1],
        }
    }

    /// The targets of the present stage with what their terms remember.
    pub(super) fn pressed(&self) -> Vec<Pressed> {
        let targets = self.targets().iter().zip(&self.state.multipliers);
        targets.map(|(&target, &multiplier)| Pressed { target, multiplier }).collect()
    }

    /// The architecture that the search stands for: the likeliest, or where that violates a hard target the likeliest
    /// that keeps all of them, judged by the estimator; see [`crate::search::repair`].
    ///
    /// # Panics
    /// Where there are hard targets and no judge ([`Search::judged_by`]).
    #[must_use]
    pub fn found(&self) -> Repaired {
        let likeliest = self.likeliest();
        if self.settings.targets.is_empty() {
            return Repaired { architecture: likeliest, values: Vec::new(), fit: Fit::Likeliest };
        }
        let judge = self.judge.expect("a search with hard targets is judged");
        let Self { space, cost, .. } = *self;
        let problem = Problem { space, cost, judge, targets: &self.settings.targets, scores: self.scores() };
        let found = repair(&problem, &likeliest, self.state.witness.as_ref());
        match (found.fit, self.stage_now()) {
            // Other operators may keep what these cannot.
            (Fit::Unmet(Whole), Stage::Widths { .. }) if self.settings.operators.is_some() => {
                Repaired { fit: Fit::Unmet(Partial), ..found }
            }
            _ => found,
        }
    }

    /// Log-likelihood of every option, relative to the likeliest of its choice, of what the present stage may choose.
    ///
    /// Operators that are chosen stay. Widths that a later stage chooses may be any: going through all options from that of
    /// the operator stage counts [`WIDTH_NATS`], so that what this stage has learned of operators weighs more.
    #[expect(clippy::cast_precision_loss, reason = "a place among a few thousand options")]
    fn scores(&self) -> Probabilities {
        let relative = |logits: &[f64]| {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            logits.iter().map(|logit| logit - most).collect()
        };
        let mut scores = self.state.alpha.map(relative);
        let only = |choice: &mut Vec<f64>, chosen: usize| {
            choice
                .iter_mut()
                .enumerate()
                .filter(|(place, _)| *place != chosen)
                .for_each(|(_, s)| *s = f64::NEG_INFINITY);
        };
        match self.stage_now() {
            Stage::Operators { widths } => {
                self.forbid_skips(&mut scores);
                for (choice, start) in scores.widths.iter_mut().zip(widths) {
                    let options = choice.len() as f64;
                    for (place, score) in choice.iter_mut().enumerate() {
                        *score = -WIDTH_NATS * place.abs_diff(start) as f64 / options;
                    }
                    if self.stages.len() < 2 {
                        only(choice, start);
                    }
                }
            }
            Stage::Widths { operators } => {
                scores.operators.iter_mut().zip(operators).for_each(|(choice, chosen)| only(choice, chosen));
                if let Some(allocation) = &self.state.allocation {
                    allocation.scores(&mut scores.widths);
                }
            }
            Stage::Whole => {}
        }
        scores
    }

    /// Identities beyond the limit on them may not be chosen.
    fn forbid_skips(&self, scores: &mut Probabilities) {
        let Some(limited) = self.limited() else { return };
        let masked = scores.operators.iter_mut().flatten().zip(limited.operators.iter().flatten());
        masked.filter(|(_, p)| **p == 0.0).for_each(|(score, _)| *score = f64::NEG_INFINITY);
    }

    /// Lets the penalties grow after an epoch that ended at `targets`.
    pub(super) fn press(&mut self, targets: &[TargetEpoch]) {
        for ((multiplier, target), epoch) in self.state.multipliers.iter_mut().zip(&self.settings.targets).zip(targets)
        {
            let target = HardTarget { bound: epoch.target, ..*target };
            multiplier.end_epoch(target.violation(epoch.value), &self.settings.penalty);
        }
    }
}
