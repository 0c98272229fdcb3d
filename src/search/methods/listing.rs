//! A search over a list: which architecture is judged next, and which of those judged is the best.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::super::goals::Form;
use super::super::objective::Objective;
use super::super::sample::{Purpose, stream};
use super::super::task::At;
use super::draws::{below, mutated, uniform};
use super::method::{Budget, Evolution, Method};
use crate::space::{Architecture, Space};

/// Draws in a row that bring only architectures that were judged before, after which a list is complete.
const MOST_REPEATS: u32 = 10_000;
/// Place of the draws of proposals among the stages' streams.
const STREAMS: u64 = 3;

/// What was found of one architecture. What was not measured or is not finite is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Loss on the selection split, nats.
    pub loss: Option<f64>,
    /// Accuracy on the selection split, a fraction.
    pub accuracy: Option<f64>,
    /// Logarithm of the synaptic flow.
    pub score: Option<f64>,
}

/// An architecture that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its choices.
    pub architecture: Architecture,
    /// Number, from 1, of the architecture that it was made of.
    pub parent: Option<u32>,
    /// What was found.
    pub verdict: Verdict,
    /// What its network costs.
    pub costs: Costs,
    /// Time that it took, s.
    pub seconds: f64,
}

/// What one network costs at the job's hardware batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Latency, ms.
    pub latency_ms: f64,
    /// Utilization, a fraction.
    pub utilization: f64,
    /// The further metrics that the objective prices, in its order, each in its unit.
    pub prices: Vec<f64>,
    /// Sum over the hard targets of how far each is missed, relative to its bound; 0 where all are kept.
    pub violation: f64,
}

/// How good an architecture is; less is better. Hard targets come first, then the objective (Deb 2000).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Rank {
    violation: f64,
    objective: f64,
}

/// The architecture that is to be judged next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its number, from 1.
    pub number: u32,
    /// Number of the architecture that it was made of.
    pub parent: Option<u32>,
    /// Its choices.
    pub architecture: Architecture,
}

/// A search over a list. The next proposal is a function of the seed and of what was judged before, so the list is all
/// there is to save.
#[derive(Debug)]
pub struct Listing<'a> {
    space: &'a Space,
    method: Method,
    seed: u64,
    objective: Objective,
    judged: Vec<Judged>,
    /// Sum over all that were judged.
    seconds: f64,
    /// Place of the first entry with these choices.
    first: HashMap<Architecture, usize>,
}

impl<'a> Listing<'a> {
    /// The search of `method` in `space`, before its first architecture.
    #[must_use]
    pub fn new(space: &'a Space, method: Method, seed: u64, objective: Objective) -> Self {
        Self { space, method, seed, objective, judged: Vec::new(), seconds: 0.0, first: HashMap::new() }
    }

    /// The search with `judged` behind it.
    #[must_use]
    pub fn resumed(mut self, judged: Vec<Judged>) -> Self {
        for entry in judged {
            self.push(entry);
        }
        self
    }

    /// What was judged, in order.
    #[must_use]
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// Number of architectures that the search ends with, where it is known.
    #[must_use]
    pub fn length(&self) -> Option<u32> {
        match self.method {
            Method::Random { budget: Budget::Networks(networks), .. }
            | Method::Synflow { budget: Budget::Networks(networks) } => Some(networks),
            Method::Evolution(evolution) => Some(evolution.evaluations),
            Method::Random { .. }
            | Method::Synflow { .. }
            | Method::Systole
            | Method::Darts { .. }
            | Method::Gdas
            | Method::Nsga2 { .. } => None,
        }
    }

    /// What is judged next after `spent` seconds of search; nothing where the search is over.
    #[must_use]
    pub fn next(&self, spent: f64) -> Option<Proposal> {
        match self.method {
            Method::Random { budget, .. } | Method::Synflow { budget } => {
                if self.is_spent(budget, spent) {
                    None
                } else {
                    self.fresh()
                }
            }
            Method::Evolution(evolution) => self.evolved(evolution),
            Method::Systole | Method::Darts { .. } | Method::Gdas | Method::Nsga2 { .. } => None,
        }
    }

    /// Whether the next architecture, taking the mean time of those before, would end after the budget.
    ///
    /// The first is judged in any case.
    fn is_spent(&self, budget: Budget, spent: f64) -> bool {
        match budget {
            Budget::Networks(networks) => self.judged.len() as u64 >= u64::from(networks),
            Budget::Seconds(seconds) => {
                let count = f64::from(self.number() - 1);
                count > 0.0 && spent + self.seconds / count > seconds
            }
        }
    }

    /// Number of the next architecture, from 1.
    fn number(&self) -> u32 {
        u32::try_from(self.judged.len() + 1).unwrap_or(u32::MAX)
    }

    fn stream(&self) -> rand_chacha::ChaCha8Rng {
        stream(self.seed, Purpose::Proposal, At { stage: STREAMS, epoch: 0, step: self.number() })
    }

    /// A uniform draw that was not judged before.
    fn fresh(&self) -> Option<Proposal> {
        let mut draws = self.stream();
        for _ in 0..MOST_REPEATS {
            let architecture = uniform(self.space, &mut draws)?;
            if !self.first.contains_key(&architecture) {
                return Some(Proposal { number: self.number(), parent: None, architecture });
            }
        }
        None
    }

    /// First a population of uniform draws; then the best of `sample` draws from the last `population`, with one choice
    /// changed. The oldest leaves with every child: that is the ageing.
    fn evolved(&self, evolution: Evolution) -> Option<Proposal> {
        let Evolution { population, sample, evaluations } = evolution;
        let number = self.number();
        let mut draws = self.stream();
        if number > evaluations {
            return None;
        }
        if number <= population {
            let architecture = uniform(self.space, &mut draws)?;
            return Some(Proposal { number, parent: None, architecture });
        }
        let oldest = (number - 1 - population) as usize;
        let drawn: Vec<usize> = (0..sample).map(|_| oldest + below(&mut draws, population as usize)).collect();
        let parent = drawn.into_iter().reduce(|best, other| {
            let rank = |place: usize| self.rank(place, self.objective_of(&self.judged[place]));
            if rank(other) < rank(best) { other } else { best }
        })?;
        let architecture = mutated(self.space, &self.judged[parent].architecture, &mut draws)?;
        Some(Proposal { number, parent: u32::try_from(parent + 1).ok(), architecture })
    }

    /// What was found of these choices before.
    #[must_use]
    pub fn known(&self, architecture: &Architecture) -> Option<&Judged> {
        Some(&self.judged[*self.first.get(architecture)?])
    }

    /// Adds what was judged.
    pub fn push(&mut self, judged: Judged) {
        self.seconds += judged.seconds;
        self.first.entry(judged.architecture.clone()).or_insert(self.judged.len());
        self.judged.push(judged);
    }

    /// The objective of an architecture by its loss; infinite where that is none.
    #[must_use]
    pub fn objective_of(&self, judged: &Judged) -> f64 {
        let value = judged.verdict.loss.map(|loss| self.priced(loss, &judged.costs));
        value.filter(|value| value.is_finite()).unwrap_or(f64::INFINITY)
    }

    fn priced(&self, loss: f64, costs: &Costs) -> f64 {
        self.objective.exact(loss, costs.latency_ms, costs.utilization, &costs.prices)
    }

    fn rank(&self, place: usize, objective: f64) -> Rank {
        Rank { violation: self.judged[place].costs.violation, objective }
    }

    /// The best architecture: of those that have an objective, the one that misses hard targets least, of those that keep
    /// them the one of the lowest objective, the first of equals.
    ///
    /// Where scores stand for losses, the loss of an architecture is `-z`, `z = (score - mean) / deviation` over the list,
    /// 0 where all scores are equal; in the multiplicative form, which takes no losses below 0, `exp(-z)`.
    #[must_use]
    pub fn best(&self) -> Option<&Judged> {
        self.best_place().map(|place| &self.judged[place])
    }

    /// Number, from 1, of [`Listing::best`].
    #[must_use]
    pub fn best_number(&self) -> Option<usize> {
        self.best_place().map(|place| place + 1)
    }

    fn best_place(&self) -> Option<usize> {
        let values: Vec<f64> = match self.method {
            Method::Synflow { .. } => self.scored(),
            Method::Random { .. }
            | Method::Evolution(_)
            | Method::Systole
            | Method::Darts { .. }
            | Method::Gdas
            | Method::Nsga2 { .. } => self.judged.iter().map(|judged| self.objective_of(judged)).collect(),
        };
        let finite = (0..values.len()).filter(|&place| values[place].is_finite());
        let rank = |place: usize| self.rank(place, values[place]);
        finite.reduce(|best, place| if rank(place) < rank(best) { place } else { best })
    }

    /// The objective of each entry with its standardised score for a loss.
    fn scored(&self) -> Vec<f64> {
        let scores: Vec<f64> = self.judged.iter().filter_map(|judged| judged.verdict.score).collect();
        #[expect(clippy::cast_precision_loss, reason = "a list is far shorter than 2^52")]
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count).sqrt();
        let standard = |score: f64| if deviation > 0.0 { (score - mean) / deviation } else { 0.0 };
        let loss = |score: f64| match self.objective.form {
            Form::Linear => -standard(score),
            Form::Multiplicative => (-standard(score)).exp(),
        };
        let value = |judged: &Judged| Some(self.priced(loss(judged.verdict.score?), &judged.costs));
        self.judged.iter().map(|judged| value(judged).unwrap_or(f64::INFINITY)).collect()
    }
}
