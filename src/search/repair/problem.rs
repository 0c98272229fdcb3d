//! What a repair chooses from, and what it is judged by.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::cost::{CostModel, Probabilities, exact};
use crate::estimate::{self, Target};
use crate::record::HardTarget;
use crate::space::{Architecture, Space, WidthSum};

/// An option for every choice, operators first, then widths.
pub(super) type Choices = Vec<usize>;

/// Find the likeliest architecture that keeps every target.
#[derive(Debug, Clone)]
pub struct Problem<'a> {
    /// What is chosen from.
    pub space: &'a Space,
    /// Its tables.
    pub cost: &'a CostModel,
    /// What the estimator judges on, at the batch that the targets speak of.
    pub judge: Target<'a>,
    /// The bounds to keep, at least one.
    pub targets: &'a [HardTarget],
    /// Log-likelihood of every option, nats; negative infinity for what may not be chosen.
    pub scores: Probabilities,
}

/// What the estimator says of one architecture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// Each target's metric.
    pub(super) values: Vec<f64>,
    /// The greatest relative violation of a target.
    pub(super) violation: f64,
    /// Whether every target is kept.
    pub(super) is_met: bool,
}

impl Verdict {
    /// That of what is no network, or none that can be counted.
    fn none(targets: usize) -> Self {
        Self { values: vec![f64::NAN; targets], violation: f64::INFINITY, is_met: false }
    }
}

impl Problem<'_> {
    /// Number of choices.
    pub(super) fn choices(&self) -> usize {
        self.space.operators.len() + self.space.widths.len()
    }

    /// Scores of the options of `choice`.
    pub(super) fn scores(&self, choice: usize) -> &[f64] {
        let operators = self.space.operators.len();
        if choice < operators { &self.scores.operators[choice] } else { &self.scores.widths[choice - operators] }
    }

    /// Options of `choice` that may be taken.
    pub(super) fn allowed(&self, choice: usize) -> impl Iterator<Item = usize> {
        let scores = self.scores(choice);
        (0..scores.len()).filter(|&option| scores[option] > f64::NEG_INFINITY)
    }

    /// `choices` with the options of what follows from them behind, so that there is one for every slot: widths, then the
    /// pairs of projections.
    pub(super) fn with_sums<'c>(&self, choices: &'c [usize]) -> Cow<'c, [usize]> {
        let (operators, widths) = choices.split_at(self.space.operators.len());
        let followers = || {
            let found = self.space.followers(|id| Some(operators[id.0]), |id| Some(widths[id.0]));
            found.into_iter().map(|option| option.expect("every choice is decided")).collect()
        };
        self.extended(choices, |sum| sum.option(widths), followers)
    }

    /// As [`Problem::with_sums`], where not all is decided: what follows is where all that it follows from is.
    pub(super) fn decided_with_sums<'c>(&self, decided: &'c [Option<usize>]) -> Cow<'c, [Option<usize>]> {
        let (operators, widths) = decided.split_at(self.space.operators.len());
        let of_sum = |sum: &WidthSum| {
            let is_decided = sum.parts().iter().all(|part| widths[part.0].is_some());
            let chosen = || widths.iter().map(|option| option.unwrap_or_default()).collect::<Vec<usize>>();
            is_decided.then(|| sum.option(&chosen()))
        };
        self.extended(decided, of_sum, || self.space.followers(|id| operators[id.0], |id| widths[id.0]))
    }

    fn extended<'c, T: Clone>(
        &self,
        choices: &'c [T],
        of_sum: impl Fn(&WidthSum) -> T,
        followers: impl Fn() -> Vec<T>,
    ) -> Cow<'c, [T]> {
        let followers = if self.space.projects() { followers() } else { Vec::new() };
        match self.space.sums.as_slice() {
            [] if followers.is_empty() => Cow::Borrowed(choices),
            sums => Cow::Owned(choices.iter().cloned().chain(sums.iter().map(of_sum)).chain(followers).collect()),
        }
    }

    /// Number of options in `slot`.
    pub(super) fn slot_options(&self, slot: usize) -> usize {
        if let Some(follower) = slot.checked_sub(self.space.first_follower()) {
            return self.space.follower_options().nth(follower).expect("a slot of the space");
        }
        match slot.checked_sub(self.space.widths.len()) {
            None => self.space.widths[slot].options.len(),
            Some(sum) => self.space.sums[sum].options().len(),
        }
    }

    /// Options in `slot` that may be taken, or follow from what may be; all where operators have a say.
    pub(super) fn slot_allowed(&self, slot: usize) -> Vec<usize> {
        if slot >= self.space.first_follower() {
            return (0..self.slot_options(slot)).collect();
        }
        let operators = self.space.operators.len();
        let Some(sum) = slot.checked_sub(self.space.widths.len()) else {
            return self.allowed(operators + slot).collect();
        };
        let allowed = |scores: &Vec<f64>| scores.iter().map(|&s| f64::from(u8::from(s > f64::NEG_INFINITY))).collect();
        let widths: Vec<Vec<f64>> = self.scores.widths.iter().map(allowed).collect();
        let ways = self.space.sums[sum].distribution(&widths);
        (0..ways.len()).filter(|&option| ways[option] > 0.0).collect()
    }

    /// Number of architectures to choose from.
    pub(super) fn count(&self) -> usize {
        (0..self.choices()).map(|choice| self.allowed(choice).count()).fold(1, usize::saturating_mul)
    }

    /// Log-likelihood of `choices`.
    pub(super) fn score(&self, choices: &[usize]) -> f64 {
        choices.iter().enumerate().map(|(choice, &option)| self.scores(choice)[option]).sum()
    }

    /// Place of `zero` in the operator choice `choice`; nothing for a width.
    pub(super) fn zero(&self, choice: usize) -> Option<usize> {
        self.space.operators.get(choice).and_then(crate::space::OperatorChoice::zero)
    }

    pub(super) fn architecture(&self, choices: &[usize]) -> Architecture {
        let (operators, widths) = choices.split_at(self.space.operators.len());
        Architecture { operators: operators.to_vec(), widths: widths.to_vec() }
    }

    pub(super) fn verdict(&self, choices: &[usize]) -> Verdict {
        let none = || Verdict::none(self.targets.len());
        let Ok(network) = self.space.derive(&self.architecture(choices)) else { return none() };
        // What is too large to count keeps no bound.
        let Ok(estimate) = estimate::network(&network, &self.judge) else { return none() };
        let values: Vec<f64> = self.targets.iter().map(|target| exact(target.metric, &estimate)).collect();
        let violations = self.targets.iter().zip(&values).map(|(target, &value)| target.violation(value));
        let violation = violations.fold(f64::NEG_INFINITY, f64::max);
        let is_met = self.targets.iter().zip(&values).all(|(target, &value)| target.is_met(value));
        Verdict { values, violation, is_met }
    }

    pub(super) fn verdicts(&self, all: &[Choices]) -> Vec<Verdict> {
        all.par_iter().map(|choices| self.verdict(choices)).collect()
    }
}

/// `architecture` as one list.
pub(super) fn choices(architecture: &Architecture) -> Choices {
    architecture.operators.iter().chain(&architecture.widths).copied().collect()
}
