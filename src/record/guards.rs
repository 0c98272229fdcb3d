//! What tells that the choices of a search are not to be trusted, though every loss is finite.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AllocationKind, HistoryRecord, SearchEpoch, SearchStage};

/// Fewer architectures than this share of all would have so many free operators by chance: then it is told.
const CHANCE: f64 = 0.05;
/// Above this mean normalised entropy an argmax is hardly more than a draw: of 8 candidates the likeliest has less than a
/// third, of 28 widths less than a fifth.
const UNDECIDED: f64 = 0.9;
/// A loss of accuracy from the mixture to the network derived from it that is told, a fraction: several times the noise of
/// a thousand images.
const GAP: f64 = 0.1;

/// How many of the operators that were chosen cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Skips {
    /// Choices that took `identity`.
    pub identity: u32,
    /// Choices that took `zero`.
    pub zero: u32,
    /// Choices of operators that are searched.
    pub of: u32,
    /// Mean share of `identity` and `zero` among the candidates of these choices.
    pub offered: f64,
    /// Probability that so many choices or more are free where each takes any of its candidates alike.
    pub chance: f64,
}

impl Skips {
    /// Of choices with the shares `offered` of free candidates, `identity` and `zero` of which took one.
    #[must_use]
    pub fn new(identity: u32, zero: u32, offered: &[f64]) -> Self {
        let of = u32::try_from(offered.len()).unwrap_or(u32::MAX);
        let mean = offered.iter().sum::<f64>() / f64::from(of);
        Self { identity, zero, of, offered: mean, chance: at_least(identity + zero, offered) }
    }

    /// Share of the choices that are free.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.identity + self.zero) / f64::from(self.of)
    }

    fn warning(&self) -> Option<String> {
        (self.chance < CHANCE).then(|| {
            format!(
                "the operators collapsed: {} of {} are `identity` or `zero`, which are {:.0} % of the candidates; try a longer \
                 `search.operators.warm-up-epochs`, a lower `objective.lambda`, or `search.operators.most-skips`",
                self.identity + self.zero,
                self.of,
                100.0 * self.offered
            )
        })
    }
}

/// Probability that `count` or more of independent events with these probabilities happen.
fn at_least(count: u32, probabilities: &[f64]) -> f64 {
    let mut exactly = vec![1.0];
    for p in probabilities {
        exactly.push(0.0);
        for happened in (0..exactly.len()).rev() {
            let before = if happened > 0 { exactly[happened - 1] } else { 0.0 };
            exactly[happened] = exactly[happened] * (1.0 - p) + before * p;
        }
    }
    exactly.iter().skip(count as usize).sum()
}

/// What the last epoch of a stage told of its choices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageEnd {
    /// The stage.
    pub stage: SearchStage,
    /// Mean normalised entropy of its choices, 0 to 1.
    pub entropy: Option<f64>,
    /// Accuracy on the selection split under the mixed weights, a fraction.
    pub mixed_accuracy: Option<f64>,
    /// Accuracy on the selection split of the likeliest architecture, with the weights of the supernet, a fraction.
    pub derived_accuracy: Option<f64>,
}

impl StageEnd {
    fn of(epoch: &SearchEpoch) -> Option<Self> {
        // A supernet on drawn paths has no choices.
        (epoch.epoch == epoch.of && epoch.stage != SearchStage::Supernet).then(|| Self {
            stage: epoch.stage,
            entropy: epoch.entropy,
            mixed_accuracy: epoch.mixed_accuracy,
            derived_accuracy: Some(epoch.validation_accuracy).filter(|accuracy| accuracy.is_finite()),
        })
    }

    fn warnings(&self) -> Vec<String> {
        let stage = self.stage.name();
        let undecided = self.entropy.filter(|entropy| *entropy > UNDECIDED).map(|entropy| {
            format!(
                "stage `{stage}` ended undecided: the mean normalised entropy of its choices is {entropy:.2}; try more epochs \
                 or a higher `search.learning-rate`"
            )
        });
        let gap = self.mixed_accuracy.zip(self.derived_accuracy).filter(|(mixed, derived)| mixed - derived > GAP);
        let gap = gap.map(|(mixed, derived)| {
            format!(
                "stage `{stage}` has a discretisation gap: the selection accuracy falls from {:.1} % under the mixed weights \
                 to {:.1} % for the network derived from them; try more epochs or a lower `search.temperature.floor`",
                100.0 * mixed,
                100.0 * derived
            )
        });
        undecided.into_iter().chain(gap).collect()
    }
}

/// The ends of the stages that are done.
#[must_use]
pub fn stage_ends(records: &[HistoryRecord]) -> Vec<StageEnd> {
    let epochs = records.iter().filter_map(|record| match record {
        HistoryRecord::Epoch(epoch) => Some(epoch),
        HistoryRecord::Candidate(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {
            None
        }
    });
    epochs.filter_map(StageEnd::of).collect()
}

/// A sentence for everything in `skips` and `ends` that casts doubt on the choices.
#[must_use]
pub fn doubts(skips: Option<&Skips>, ends: &[StageEnd]) -> Vec<String> {
    skips.and_then(Skips::warning).into_iter().chain(ends.iter().flat_map(StageEnd::warnings)).collect()
}

/// A sentence on the widths that a memory ceiling kept from trying more channels, where there are any.
#[must_use]
pub fn held_back(records: &[HistoryRecord]) -> Option<String> {
    let allocations = records.iter().filter_map(|record| match record {
        HistoryRecord::Epoch(epoch) => epoch.allocation.as_ref(),
        HistoryRecord::Candidate(_) | HistoryRecord::Train(_) | HistoryRecord::Rollback(_) | HistoryRecord::End(_) => {
            None
        }
    });
    let decisions = allocations.flat_map(|allocation| &allocation.decisions);
    let held = decisions.filter(|decision| decision.kind == AllocationKind::HeldBack);
    let names: BTreeSet<&str> = held.filter_map(|decision| decision.width.as_deref()).collect();
    (!names.is_empty()).then(|| {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        format!(
            "memory kept {} from trying more channels; give more with `search.memory-limit-mib`, or take a smaller \
             `search.batch`",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_of_so_many_free_operators_is_that_of_the_binomial_distribution() {
        // Five choices of two free among five: all five (2/5)^5 = 0.01024; four or more add 5 * 0.0256 * 0.6 = 0.0768.
        let offered = [0.4; 5];
        assert!((Skips::new(2, 3, &offered).chance - 0.01024).abs() < 1e-12);
        assert!((Skips::new(1, 3, &offered).chance - 0.08704).abs() < 1e-12);
        assert!((Skips::new(0, 0, &offered).chance - 1.0).abs() < 1e-12);
        // Unequal choices: both of 1/2 and 1/4 are free in 1/8, at least one in 1 - 1/2 * 3/4 = 5/8.
        let skips = Skips::new(1, 1, &[0.5, 0.25]);
        assert!((skips.chance - 0.125).abs() < 1e-12 && (skips.offered - 0.375).abs() < 1e-12);
        assert!((Skips::new(1, 0, &[0.5, 0.25]).chance - 0.625).abs() < 1e-12);
        assert_eq!((skips.of, skips.share()), (2, 1.0));
    }

    #[test]
    fn a_collapse_is_told_and_a_fair_share_is_not() {
        let told = doubts(Some(&Skips::new(2, 3, &[0.4; 5])), &[]);
        assert_eq!(
            told,
            [
                "the operators collapsed: 5 of 5 are `identity` or `zero`, which are 40 % of the candidates; try a longer \
              `search.operators.warm-up-epochs`, a lower `objective.lambda`, or `search.operators.most-skips`"
            ]
        );
        assert!(doubts(Some(&Skips::new(1, 3, &[0.4; 5])), &[]).is_empty());
        assert!(doubts(None, &[]).is_empty());
    }

    #[test]
    fn an_undecided_stage_and_a_gap_are_told_with_their_figures() {
        let end = |entropy, mixed, derived| StageEnd {
            stage: SearchStage::Widths,
            entropy: Some(entropy),
            mixed_accuracy: Some(mixed),
            derived_accuracy: Some(derived),
        };
        let told = doubts(None, &[end(0.95, 0.75, 0.5)]);
        assert_eq!(
            told[0],
            "stage `widths` ended undecided: the mean normalised entropy of its choices is 0.95; try more epochs or a higher \
             `search.learning-rate`"
        );
        assert!(told[1].contains("falls from 75.0 % under the mixed weights to 50.0 % for the network derived"));
        // At the limits, and where the derived network is better, nothing is told.
        assert!(doubts(None, &[end(0.9, 0.6, 0.55), end(0.1, 0.2, 0.9)]).is_empty());
    }
}
