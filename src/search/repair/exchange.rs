//! Local search among architectures: descent by one choice at a time, exchange of two.

use super::gauge::Gauge;
use super::problem::{Choices, Problem, Verdict};

/// Moves after which a local search ends.
const MOST_MOVES: usize = 400;
/// Price of a relative violation in the first step of the ladder, nats.
const FIRST_PRICE: f64 = 0.001;
/// Steps of the ladder; the price doubles from one to the next.
const STEPS: u32 = 26;

/// What a descent lowers: `price * violation - weight * score`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Downhill {
    /// Weight of the log-likelihood.
    pub(super) weight: f64,
    /// Price of a relative violation, nats.
    pub(super) price: f64,
}

/// An architecture with what is known of it.
struct Stand {
    choices: Choices,
    live: Vec<bool>,
}

impl Stand {
    /// Nothing where the output cannot be reached.
    fn new(gauge: &Gauge<'_>, choices: Choices) -> Option<Self> {
        let live = gauge.live(&choices)?;
        Some(Self { choices, live })
    }

    /// With `choice` at `option`; nothing where that cuts the output off.
    fn moved(&self, gauge: &Gauge<'_>, problem: &Problem<'_>, (choice, option): (usize, usize)) -> Option<Self> {
        let mut choices = self.choices.clone();
        let before = std::mem::replace(&mut choices[choice], option);
        let zero = problem.zero(choice);
        if zero.is_some() && (zero == Some(before)) != (zero == Some(option)) {
            return Self::new(gauge, choices);
        }
        Some(Self { choices, live: self.live.clone() })
    }
}

/// Every change of one choice.
fn moves(problem: &Problem<'_>, choices: &[usize]) -> Vec<(usize, usize)> {
    let of = |choice: usize| problem.allowed(choice).map(move |option| (choice, option));
    (0..choices.len()).flat_map(of).filter(|&(choice, option)| choices[choice] != option).collect()
}

/// Steepest descent from `start` by the tables, one choice at a time.
pub(super) fn descend(gauge: &Gauge<'_>, problem: &Problem<'_>, start: &[usize], downhill: Downhill) -> Choices {
    let height = |stand: &Stand| {
        let violation = gauge.violation(&stand.choices, &stand.live);
        downhill.price * violation - downhill.weight * problem.score(&stand.choices)
    };
    let Some(mut here) = Stand::new(gauge, start.to_vec()) else { return start.to_vec() };
    let mut lowest = height(&here);
    for _ in 0..MOST_MOVES {
        let next = moves(problem, &here.choices).into_iter().filter_map(|change| here.moved(gauge, problem, change));
        let heights = next.map(|stand| (height(&stand), stand));
        let Some((low, next)) = heights.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if low >= lowest - 1e-12 * (1.0 + lowest.abs()) {
            break;
        }
        (lowest, here) = (low, next);
    }
    here.choices
}

/// From `start` down under rising prices until the tables keep every target, then uphill in likelihood; with the price that it
/// took.
pub(super) fn ladder(gauge: &Gauge<'_>, problem: &Problem<'_>, start: &[usize]) -> Option<(Choices, f64)> {
    let mut here = start.to_vec();
    for step in 0..STEPS {
        let price = FIRST_PRICE * f64::from(1u32 << step);
        here = descend(gauge, problem, &here, Downhill { weight: 1.0, price });
        if is_kept(gauge, &here) {
            return Some((polish(gauge, problem, here), price));
        }
    }
    None
}

/// Whether the tables say that every target is kept.
fn is_kept(gauge: &Gauge<'_>, choices: &[usize]) -> bool {
    gauge.live(choices).is_some_and(|live| gauge.violation(choices, &live) <= 0.0)
}

/// Uphill in likelihood among what keeps every target by the tables: the best change of one choice, or where there is none the
/// best of two.
fn polish(gauge: &Gauge<'_>, problem: &Problem<'_>, start: Choices) -> Choices {
    let Some(mut here) = Stand::new(gauge, start) else { unreachable!("what keeps its targets is a network") };
    for _ in 0..MOST_MOVES {
        match better(gauge, problem, &here).or_else(|| exchanged(gauge, problem, &here)) {
            Some(next) => here = next,
            None => break,
        }
    }
    here.choices
}

/// What a change adds to the log-likelihood.
fn gain(problem: &Problem<'_>, choices: &[usize], (choice, option): (usize, usize)) -> f64 {
    let scores = problem.scores(choice);
    scores[option] - scores[choices[choice]]
}

/// The likeliest change of one choice that keeps every target.
fn better(gauge: &Gauge<'_>, problem: &Problem<'_>, here: &Stand) -> Option<Stand> {
    let mut changes = moves(problem, &here.choices);
    changes.retain(|&change| gain(problem, &here.choices, change) > 1e-12);
    changes.sort_by(|&a, &b| gain(problem, &here.choices, b).total_cmp(&gain(problem, &here.choices, a)));
    let kept = |stand: &Stand| gauge.violation(&stand.choices, &stand.live) <= 0.0;
    changes.into_iter().filter_map(|change| here.moved(gauge, problem, change)).find(kept)
}

/// The likeliest pair of changes that keeps every target: one that is likelier, paid for by another.
fn exchanged(gauge: &Gauge<'_>, problem: &Problem<'_>, here: &Stand) -> Option<Stand> {
    let mut best: Option<(f64, Stand)> = None;
    let changes = moves(problem, &here.choices);
    for &up in changes.iter().filter(|&&change| gain(problem, &here.choices, change) > 1e-12) {
        let Some(higher) = here.moved(gauge, problem, up) else { continue };
        for &down in changes.iter().filter(|change| change.0 != up.0) {
            let net = gain(problem, &here.choices, up) + gain(problem, &here.choices, down);
            if net <= best.as_ref().map_or(1e-12, |(most, _)| *most) {
                continue;
            }
            let both = higher.moved(gauge, problem, down);
            if let Some(both) = both.filter(|both| gauge.violation(&both.choices, &both.live) <= 0.0) {
                best = Some((net, both));
            }
        }
    }
    best.map(|(_, stand)| stand)
}

/// Steepest descent of the greatest violation by the estimator itself, until every target is kept or no change helps.
pub(super) fn descend_judged(problem: &Problem<'_>, start: &[usize]) -> (Choices, Verdict) {
    let (mut here, mut verdict) = (start.to_vec(), problem.verdict(start));
    for _ in 0..MOST_MOVES {
        if verdict.is_met {
            break;
        }
        let changed = |(choice, option): (usize, usize)| {
            let mut next = here.clone();
            next[choice] = option;
            next
        };
        let all: Vec<Choices> = moves(problem, &here).into_iter().map(changed).collect();
        let verdicts = problem.verdicts(&all);
        let lower = all.into_iter().zip(verdicts).min_by(|a, b| a.1.violation.total_cmp(&b.1.violation));
        match lower {
            Some((next, found)) if found.violation < verdict.violation => (here, verdict) = (next, found),
            Some(_) | None => break,
        }
    }
    (here, verdict)
}
