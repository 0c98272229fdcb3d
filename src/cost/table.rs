//! Exact costs of every option, filled once by the estimator.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::probabilities::Probabilities;
use crate::accel::Engine;
use crate::estimate::{EstimateError, FragmentCost, Target};
use crate::network::NetworkError;
use crate::space::{Candidate, DeriveError, Edge, Space};

/// What adds up over the edges of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Clock cycles.
    Cycles,
    /// Multiply-accumulates.
    Macs,
    /// Calibrated milliseconds of layers for one image; nought where the accelerator is not calibrated.
    LayersMs,
    /// Picojoules; nought where the accelerator has no table.
    EnergyPj,
    /// Learned values.
    Params,
    /// Most values alive at once within the edge, its input among them, for one image.
    Alive,
}

impl Quantity {
    const ALL: [Self; 6] = [Self::Cycles, Self::Macs, Self::LayersMs, Self::EnergyPj, Self::Params, Self::Alive];

    #[expect(clippy::cast_precision_loss, reason = "expectations are floating point; below 2^53 they are exact")]
    fn of(self, cost: &FragmentCost) -> f64 {
        match self {
            Self::Cycles => cost.whole.cycles.0 as f64,
            Self::Macs => cost.whole.macs.0 as f64,
            Self::LayersMs => cost.layers_ms,
            Self::EnergyPj => cost.whole.energy.0,
            Self::Params => cost.params as f64,
            Self::Alive => cost.alive as f64,
        }
    }
}

/// Why the tables of a space cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// A candidate does not fit its edge.
    #[error("edge `{edge}`: {source}")]
    Network {
        /// The edge.
        edge: String,
        /// Why.
        source: NetworkError,
    },
    /// The classifier does not fit.
    #[error(transparent)]
    Classifier(#[from] DeriveError),
    /// A layer has no estimate.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

/// Costs over options of widths, row by row where there are two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tables {
    /// In the order of [`Quantity::ALL`].
    quantities: [Vec<f64>; Quantity::ALL.len()],
}

impl Tables {
    fn of(costs: &[FragmentCost]) -> Self {
        Self { quantities: Quantity::ALL.map(|quantity| costs.iter().map(|cost| quantity.of(cost)).collect()) }
    }

    pub(super) fn quantity(&self, quantity: Quantity) -> &[f64] {
        &self.quantities[quantity as usize]
    }

    fn is_free(&self) -> bool {
        self.quantities.iter().flatten().all(|&cost| cost == 0.0)
    }
}

/// How the widths of an edge's ends are distributed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ends {
    /// Two choices, independent: the table is `[source option][target option]`.
    Two,
    /// One choice for both: the table is its diagonal.
    One,
}

/// One edge: its choices, and for each candidate its costs; nothing for those that are free everywhere.
#[derive(Debug, Clone)]
pub(super) struct EdgeTables {
    pub(super) operator: usize,
    pub(super) source: usize,
    pub(super) target: usize,
    ends: Ends,
    pub(super) candidates: Vec<Option<Arc<Tables>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    label: String,
    site: (u64, u64, bool),
    ends: Ends,
    options: (Vec<u64>, Vec<u64>),
}

fn key(space: &Space, edge: &Edge, candidate: &Candidate) -> Key {
    Key {
        label: format!("{candidate:?}"),
        site: (space.join(edge.from).side, edge.stride, space.tied(edge)),
        ends: ends(space, edge),
        options: (space.options(edge.from).to_vec(), space.options(edge.to).to_vec()),
    }
}

fn ends(space: &Space, edge: &Edge) -> Ends {
    if space.join(edge.from).width == space.join(edge.to).width { Ends::One } else { Ends::Two }
}

/// The tables of all edges; equal ones are made once, in parallel.
pub(super) fn edges(space: &Space, target: &Target<'_>, engine: &Engine) -> Result<Vec<EdgeTables>, CostError> {
    let mut wanted: Vec<(Key, &Edge, &Candidate)> = Vec::new();
    let mut seen: HashMap<Key, usize> = HashMap::new();
    for edge in &space.edges {
        for candidate in space.candidates(edge) {
            let key = key(space, edge, candidate);
            if !seen.contains_key(&key) {
                seen.insert(key.clone(), wanted.len());
                wanted.push((key, edge, candidate));
            }
        }
    }
    let made: Result<Vec<Option<Arc<Tables>>>, CostError> = wanted
        .par_iter()
        .map(|(_, edge, candidate)| {
            let tables = fill(space, edge, candidate, (target, engine))?;
            Ok((!tables.is_free()).then(|| Arc::new(tables)))
        })
        .collect();
    let made = made?;
    let tables = space.edges.iter().map(|edge| EdgeTables {
        operator: edge.operator.0,
        source: space.join(edge.from).width.0,
        target: space.join(edge.to).width.0,
        ends: ends(space, edge),
        candidates: space.candidates(edge).iter().map(|c| made[seen[&key(space, edge, c)]].clone()).collect(),
    });
    Ok(tables.collect())
}

fn fill(
    space: &Space,
    edge: &Edge,
    candidate: &Candidate,
    (target, engine): (&Target<'_>, &Engine),
) -> Result<Tables, CostError> {
    let one = |in_width, out_width| {
        let fragment = space.fragment(edge, candidate, in_width, out_width);
        let fragment = fragment.map_err(|source| CostError::Network { edge: edge.name.clone(), source })?;
        Ok(target.fragment_cost(engine, &fragment)?)
    };
    let (sources, targets) = (space.options(edge.from), space.options(edge.to));
    let costs: Result<Vec<FragmentCost>, CostError> = match ends(space, edge) {
        Ends::One => sources.iter().map(|&width| one(width, width)).collect(),
        Ends::Two => {
            sources.iter().flat_map(|&i| targets.iter().map(move |&j| (i, j))).map(|(i, j)| one(i, j)).collect()
        }
    };
    Ok(Tables::of(&costs?))
}

/// The classifier's costs over the widths of the last join.
pub(super) fn classifier(space: &Space, target: &Target<'_>, engine: &Engine) -> Result<Tables, CostError> {
    let one = |&width: &u64| Ok(target.fragment_cost(engine, &space.classifier_fragment(width)?)?);
    let costs: Result<Vec<FragmentCost>, CostError> = space.options(space.last()).iter().map(one).collect();
    Ok(Tables::of(&costs?))
}

impl EdgeTables {
    /// Expected cost of each candidate over the widths of the ends.
    pub(super) fn values(&self, probabilities: &Probabilities, quantity: Quantity) -> Vec<f64> {
        let (p, q) = (&probabilities.widths[self.source], &probabilities.widths[self.target]);
        let one = |table: &Arc<Tables>| match self.ends {
            Ends::One => dot(table.quantity(quantity), p),
            Ends::Two => table.quantity(quantity).chunks_exact(q.len()).zip(p).map(|(row, p)| p * dot(row, q)).sum(),
        };
        self.candidates.iter().map(|table| table.as_ref().map_or(0.0, one)).collect()
    }

    /// Adds `weight` times the gradient of the edge's expected cost by the probabilities of its ends' widths.
    pub(super) fn width_gradient(
        &self,
        probabilities: &Probabilities,
        quantity: Quantity,
        weight: f64,
        gradient: &mut Probabilities,
    ) {
        let chosen = &probabilities.operators[self.operator];
        let (p, q) = (&probabilities.widths[self.source], &probabilities.widths[self.target]);
        for (table, r) in self.candidates.iter().zip(chosen) {
            let factor = weight * r;
            let Some(table) = table else { continue };
            if factor == 0.0 {
                continue;
            }
            let table = table.quantity(quantity);
            match self.ends {
                Ends::One => add(&mut gradient.widths[self.source], table, factor),
                Ends::Two => {
                    for (i, row) in table.chunks_exact(q.len()).enumerate() {
                        gradient.widths[self.source][i] += factor * dot(row, q);
                        add(&mut gradient.widths[self.target], row, factor * p[i]);
                    }
                }
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], values: &[f64], factor: f64) {
    for (slot, value) in to.iter_mut().zip(values) {
        *slot += factor * value;
    }
}
