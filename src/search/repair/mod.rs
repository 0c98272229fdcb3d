//! Hard targets kept: the likeliest architecture whose exact cost is within every bound.
//!
//! A knapsack over choices: maximise `sum ln p` subject to `cost_t(derive(choices)) <= bound_t` by the estimator's own
//! numbers. Where the likeliest architecture keeps every target it is the answer. Otherwise, where there are no more than [`FEW`]
//! architectures, the estimator judges them in the order of their likelihood, and the first that keeps every target is the
//! answer, proven. In larger spaces the exact tables stand for the estimator, and
//!
//! 1. descents of `price * violation - sum ln p` under rising prices, from the likeliest and from the cheapest, then
//!    exchanges of one and of two choices, find a good answer;
//! 2. branch and bound from there finds the best and proves it, as far as its budget goes;
//! 3. the estimator has the last word. Where the tables are not exact, their limits are moved by what it says, a few times.
//!
//! Only where all of that finds nothing does the answer violate a target: the cheapest network there is. With one target
//! that is the least of its metric, by branch and bound. With several, branch and bound looks for the least of each among what
//! keeps the others, which finds what keeps all or proves that nothing does; the answer is then the least greatest violation
//! that descents find.

mod exchange;
mod gauge;
mod problem;
mod tree;

pub use problem::Problem;

use exchange::{Downhill, descend, descend_judged, ladder};
use gauge::Gauge;
use problem::{Choices, Verdict, choices};
use tree::{Bounds, Tree};

use crate::record::{HardTarget, Relation};
use crate::space::Architecture;

/// Architectures up to which the estimator judges every one.
const FEW: usize = 4096;
/// Bounds that a branch and bound may compute: about half a second.
const BUDGET: u64 = 200_000;
/// Times that tables which are not exact are aligned with the estimator.
const ALIGNMENTS: usize = 6;
/// Relative room above a limit within which the estimator decides.
const TOLERANCE: f64 = 1e-9;

/// What a repair came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// The answer.
    pub architecture: Architecture,
    /// Each target's metric of the network that it is, by the estimator.
    pub values: Vec<f64>,
    /// How it stands to the targets.
    pub fit: Fit,
}

/// How an answer stands to the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The likeliest architecture keeps all of them.
    Likeliest,
    /// Another keeps all of them.
    Repaired,
    /// None was found that keeps all of them: this is the cheapest.
    Unmet(Effort),
}

/// How far it was searched for what keeps every target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// To the end: there is none.
    Whole,
    /// As far as the budget went.
    Partial,
}

impl Repaired {
    /// Whether every target is kept.
    #[must_use]
    pub fn is_met(&self) -> bool {
        !matches!(self.fit, Fit::Unmet(_))
    }

    fn new(problem: &Problem<'_>, choices: &[usize], verdict: Verdict, fit: Fit) -> Self {
        Self { architecture: problem.architecture(choices), values: verdict.values, fit }
    }
}

/// The likeliest architecture of `problem` that keeps every target: `likeliest` where that does; `witness` is one known to
/// keep them.
#[must_use]
pub fn repair(problem: &Problem<'_>, likeliest: &Architecture, witness: Option<&Architecture>) -> Repaired {
    repair_within(problem, likeliest, witness, FEW)
}

/// As [`repair`], with up to `few` architectures judged one by one.
fn repair_within(
    problem: &Problem<'_>,
    likeliest: &Architecture,
    witness: Option<&Architecture>,
    few: usize,
) -> Repaired {
    let start = choices(likeliest);
    let verdict = problem.verdict(&start);
    if verdict.is_met {
        return Repaired::new(problem, &start, verdict, Fit::Likeliest);
    }
    if problem.count() <= few { enumerated(problem) } else { Large::new(problem, start, verdict, witness).answer() }
}

/// Every architecture in the order of likelihood; the first that keeps the targets, or the one that violates them least.
fn enumerated(problem: &Problem<'_>) -> Repaired {
    let mut all: Vec<(f64, Choices)> = vec![(0.0, Vec::new())];
    for choice in 0..problem.choices() {
        let longer = |(score, choices): &(f64, Choices), option: usize| {
            (score + problem.scores(choice)[option], choices.iter().copied().chain([option]).collect())
        };
        all = all.iter().flat_map(|one| problem.allowed(choice).map(|option| longer(one, option))).collect();
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all: Vec<Choices> = all.into_iter().map(|(_, choices)| choices).collect();
    let mut least: Option<(Choices, Verdict)> = None;
    for some in all.chunks(256) {
        for (choices, verdict) in some.iter().zip(problem.verdicts(some)) {
            if verdict.is_met {
                return Repaired::new(problem, choices, verdict, Fit::Repaired);
            }
            if least.as_ref().is_none_or(|(_, least)| verdict.violation < least.violation) {
                least = Some((choices.clone(), verdict));
            }
        }
    }
    let (choices, verdict) = least.expect("every choice has an option");
    Repaired::new(problem, &choices, verdict, Fit::Unmet(Effort::Whole))
}

/// A repair among too many architectures to judge each.
struct Large<'a> {
    problem: &'a Problem<'a>,
    gauge: Gauge<'a>,
    /// Where searches start: the likeliest first.
    starts: Vec<Choices>,
    /// Whether the tables say what the estimator says.
    is_exact: bool,
    /// The likeliest found that keeps every target.
    best: Option<(Choices, Verdict)>,
    /// The least greatest violation found.
    least: (Choices, Verdict),
    /// The price that targets took in the last ladder, nats.
    price: f64,
}

impl<'a> Large<'a> {
    fn new(problem: &'a Problem<'a>, start: Choices, verdict: Verdict, witness: Option<&Architecture>) -> Self {
        let mut gauge = Gauge::new(problem, &start);
        let is_exact = gauge.sums.iter().all(|sum| sum.is_exact);
        if !is_exact {
            gauge.align(&start, &violations(problem.targets, &verdict));
        }
        let mut starts = vec![start.clone()];
        starts.extend(witness.map(choices));
        let mut large = Self { problem, gauge, starts, is_exact, best: None, least: (start, verdict), price: f64::NAN };
        for place in 0..large.starts.len() {
            large.consider(large.starts[place].clone());
        }
        large
    }

    fn answer(mut self) -> Repaired {
        let mut searched = if self.is_exact { self.proof() } else { self.aligned() };
        if self.best.is_none() && self.cheapest() == Effort::Whole {
            searched = Effort::Whole;
        }
        match self.best {
            Some((choices, verdict)) => Repaired::new(self.problem, &choices, verdict, Fit::Repaired),
            None => Repaired::new(self.problem, &self.least.0, self.least.1, Fit::Unmet(searched)),
        }
    }

    /// Asks the estimator of `choices`, and keeps them where they are the best yet.
    fn consider(&mut self, choices: Choices) -> Verdict {
        let verdict = self.problem.verdict(&choices);
        let score = |choices: &[usize]| self.problem.score(choices);
        if verdict.is_met && self.best.as_ref().is_none_or(|(best, _)| score(&choices) > score(best)) {
            self.best = Some((choices.clone(), verdict.clone()));
        }
        if verdict.violation < self.least.1.violation {
            self.least = (choices, verdict.clone());
        }
        verdict
    }

    /// Descents by the tables from every start; what they come to, the last of them the likeliest by the tables.
    fn descents(&mut self) -> Option<(Choices, Verdict)> {
        let cheap = descend(&self.gauge, self.problem, &self.starts[0], Downhill { weight: 0.0, price: 1.0 });
        let starts: Vec<Choices> = self.starts.iter().cloned().chain([cheap]).collect();
        let mut last: Option<(Choices, Verdict)> = None;
        for start in starts {
            let Some((found, price)) = ladder(&self.gauge, self.problem, &start) else {
                self.consider(start);
                continue;
            };
            let likelier = last.as_ref().is_none_or(|(last, _)| self.problem.score(&found) > self.problem.score(last));
            let verdict = self.consider(found.clone());
            if likelier {
                self.price = price;
                last = Some((found, verdict));
            }
        }
        last
    }

    /// By exact tables: descents, then branch and bound, whose answer is the best where it comes to its end.
    fn proof(&mut self) -> Effort {
        self.descents();
        let mut objective = vec![(Bounds::of_scores(self.problem), 0.0)];
        if self.price.is_finite() {
            let lagrangian = |share: f64| Bounds::of_lagrangian(self.problem, &self.gauge, share * self.price);
            objective.extend([1.0, 0.5].map(lagrangian));
        }
        let best = self.best.as_ref().map(|(choices, _)| (choices.clone(), -self.problem.score(choices)));
        self.branch_and_bound(objective, self.limits(), best)
    }

    /// The sums of the targets with their limits, and room for the last bits.
    fn limits(&self) -> Vec<(Bounds, f64)> {
        let all = self.gauge.sums.iter().zip(&self.gauge.scales);
        all.map(|(sum, scale)| (Bounds::of_sum(self.problem, sum), sum.limit + TOLERANCE * scale)).collect()
    }

    /// Looks for the least `objective` within `limits`, better than `best`, and considers it; whether to the end.
    fn branch_and_bound(
        &mut self,
        objective: Vec<(Bounds, f64)>,
        limits: Vec<(Bounds, f64)>,
        best: Option<(Choices, f64)>,
    ) -> Effort {
        // What is looked for by likelihood has to keep the targets; what is cheapest is taken as it is.
        let by_likelihood = limits.len() == self.problem.targets.len();
        let mut tree = Tree {
            problem: self.problem,
            gauge: &self.gauge,
            objective,
            limits,
            accepts: &|choices| !by_likelihood || self.problem.verdict(choices).is_met,
            best,
            budget: BUDGET,
        };
        let searched = tree.run();
        if let Some((choices, _)) = tree.best {
            self.consider(choices);
        }
        if searched { Effort::Whole } else { Effort::Partial }
    }

    /// By tables that are not exact: descents under limits that are moved by what the estimator says of what was found.
    fn aligned(&mut self) -> Effort {
        for _ in 0..ALIGNMENTS {
            let (found, verdict) = self.descents().unwrap_or_else(|| self.least.clone());
            let before = self.gauge.clone();
            self.gauge.align(&found, &violations(self.problem.targets, &verdict));
            if self.gauge.sums == before.sums {
                break;
            }
        }
        Effort::Partial
    }

    /// Looks for the least violation; whether it was searched for to the end.
    fn cheapest(&mut self) -> Effort {
        let mut searched = Effort::Partial;
        match self.problem.targets {
            _ if !self.is_exact => {}
            [target] => searched = self.least_of(target),
            all => {
                for place in 0..all.len() {
                    if self.best.is_none() && searched == Effort::Partial {
                        searched = self.least_within_others(place);
                    }
                }
            }
        }
        if self.best.is_none() && (searched == Effort::Partial || self.problem.targets.len() > 1) {
            let (choices, _) = descend_judged(self.problem, &self.least.0);
            self.consider(choices);
        }
        searched
    }

    /// The least of target `place` among what keeps the others, by branch and bound.
    fn least_within_others(&mut self, place: usize) -> Effort {
        let mut limits = self.limits();
        let (objective, _) = limits.remove(place);
        self.branch_and_bound(vec![(objective, 0.0)], limits, None)
    }

    /// The least of one metric, or the greatest utilization, by branch and bound.
    ///
    /// Utilization is a quotient: `max M / (P C)` is found by `min u P C - M` with the `u` of the best so far until that is not
    /// below nought (Dinkelbach 1967).
    fn least_of(&mut self, target: &HardTarget) -> Effort {
        loop {
            let bound = match target.relation() {
                Relation::AtMost => target.bound,
                Relation::AtLeast => self.least.1.values[0],
            };
            let sum = self.problem.cost.within(target.metric, bound);
            let live = self.gauge.live(&self.least.0);
            let here = live.map(|live| (self.least.0.clone(), self.gauge.number(&sum, &self.least.0, &live)));
            let before = self.least.1.violation;
            let searched = self.branch_and_bound(vec![(Bounds::of_sum(self.problem, &sum), 0.0)], Vec::new(), here);
            match (searched, target.relation()) {
                (Effort::Partial, _) => return Effort::Partial,
                (Effort::Whole, Relation::AtLeast) if self.least.1.violation < before => {}
                (Effort::Whole, Relation::AtMost | Relation::AtLeast) => return Effort::Whole,
            }
        }
    }
}

/// Each target's own relative violation.
fn violations(targets: &[HardTarget], verdict: &Verdict) -> Vec<f64> {
    targets.iter().zip(&verdict.values).map(|(target, &value)| target.violation(value)).collect()
}

#[cfg(test)]
mod tests;
