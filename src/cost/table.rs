//! Exact costs of every option, filled once by the estimator.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::dot::dot;
use super::liveness::Sum;
use super::lookup::Uncovered;
use super::probabilities::Probabilities;
use crate::accel::{Dataflow, Engine};
use crate::estimate::{EstimateError, FragmentCost, Target};
use crate::network::NetworkError;
use crate::space::{Candidate, DeriveError, Edge, JoinId, Merge, Space};

/// What the tables hold of a part of a network.
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
    /// Most values alive at once beside the input, for one image.
    Held,
    /// Most values alive at once, the input among them until its last use, for one image.
    Last,
    /// Values of the output's own memory, for one image.
    Output,
    /// 1 where the output is the input's memory.
    IsInput,
}

impl Quantity {
    const ALL: [Self; 9] = [
        Self::Cycles,
        Self::Macs,
        Self::LayersMs,
        Self::EnergyPj,
        Self::Params,
        Self::Held,
        Self::Last,
        Self::Output,
        Self::IsInput,
    ];

    #[expect(clippy::cast_precision_loss, reason = "expectations are floating point; below 2^53 they are exact")]
    fn of(self, cost: &FragmentCost) -> f64 {
        match self {
            Self::Cycles => cost.whole.cycles.0 as f64,
            Self::Macs => cost.whole.macs.0 as f64,
            Self::LayersMs => cost.layers_ms,
            Self::EnergyPj => cost.whole.energy.0,
            Self::Params => cost.params as f64,
            Self::Held => cost.alive.held as f64,
            Self::Last => cost.alive.last as f64,
            Self::Output => cost.alive.output as f64,
            Self::IsInput => f64::from(u8::from(cost.alive.is_input())),
        }
    }
}

/// Why the costs of a space cannot be found.
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
    /// The smooth ceiling on an array that it does not speak of.
    #[error("cost smooth-ceil is of weight-stationary arrays, this one is {dataflow}")]
    SmoothCeilDataflow {
        /// What the array keeps.
        dataflow: Dataflow,
    },
    /// A roofline without a roof.
    #[error("cost roofline needs the accelerator's memory to have a bandwidth-gb-per-s")]
    NoBandwidth,
    /// A lookup without a table.
    #[error("cost lookup needs a lookup table")]
    NoTable,
    /// A table that lacks layers of the space.
    #[error(transparent)]
    Uncovered(#[from] Uncovered),
    /// Sums that the expected cost has not.
    #[error("sums of the paper are of its own costs: smooth-ceil, roofline, flops and lookup; got expected")]
    PaperSums,
}

/// Costs over options of widths, row by row where there are two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tables {
    /// In the order of [`Quantity::ALL`]; nothing where all are nought.
    quantities: [Option<Vec<f64>>; Quantity::ALL.len()],
    /// Whether any of them begins with what the layer before may do on the way.
    takes_fusion: bool,
}

impl Tables {
    fn of(costs: &[FragmentCost]) -> Self {
        let column = |quantity: Quantity| {
            let column: Vec<f64> = costs.iter().map(|cost| quantity.of(cost)).collect();
            column.iter().any(|&cost| cost != 0.0).then_some(column)
        };
        Self { quantities: Quantity::ALL.map(column), takes_fusion: costs.iter().any(|cost| cost.takes_fusion) }
    }

    pub(super) fn quantity(&self, quantity: Quantity) -> Option<&[f64]> {
        self.quantities[quantity as usize].as_deref()
    }
}

/// Costs over the options of one width: of the classifier, or of a sum.
#[derive(Debug, Clone)]
pub(super) struct WidthTables {
    pub(super) width: usize,
    pub(super) tables: Tables,
}

impl WidthTables {
    pub(super) fn value(&self, probabilities: &Probabilities, quantity: Quantity) -> f64 {
        self.tables.quantity(quantity).map_or(0.0, |table| dot(table, &probabilities.widths[self.width]))
    }

    /// Adds `weight` times the gradient of the value.
    pub(super) fn gradient(&self, quantity: Quantity, weight: f64, gradient: &mut Probabilities) {
        if let Some(table) = self.tables.quantity(quantity) {
            add(&mut gradient.widths[self.width], table, weight);
        }
    }
}

/// How the widths of an edge's ends are distributed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ends {
    /// Two choices, independent: the table is `[source option][target option]`.
    Two,
    /// One choice for both: the table is its diagonal.
    One,
    /// A projection: the table is over the pairs that its ends may have together.
    Pairs,
}

/// One edge: its choices, and for each candidate its costs.
#[derive(Debug, Clone)]
pub(super) struct EdgeTables {
    pub(super) operator: usize,
    pub(super) source: usize,
    /// Of what candidates yield that do not copy their source's.
    pub(super) target: usize,
    pub(super) candidates: Vec<CandidateTables>,
}

/// A candidate of an edge.
#[derive(Debug, Clone)]
pub(super) struct CandidateTables {
    ends: Ends,
    pub(super) tables: Arc<Tables>,
}

impl CandidateTables {
    /// Whether its table has a row for each option of the source and a column for each of the target.
    pub(super) fn is_of_two(&self) -> bool {
        self.ends == Ends::Two
    }
}

/// Expected costs of one quantity on an edge.
pub(super) struct EdgeCosts {
    /// Of each candidate, over the widths of the ends.
    pub(super) of_candidates: Vec<f64>,
    /// Of each candidate and source option, over the widths of the target; nothing where both ends are one choice.
    rows: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    label: String,
    site: (u64, u64, bool),
    ends: Ends,
    options: [Vec<u64>; 2],
}

fn key(space: &Space, edge: &Edge, candidate: &Candidate) -> Key {
    Key {
        label: format!("{candidate:?}"),
        site: (space.join(edge.from).side, edge.stride, space.tied(edge)),
        ends: ends(space, edge, candidate),
        options: space.ends_of(edge, candidate).map(|width| space.options_of(width).to_vec()),
    }
}

fn ends(space: &Space, edge: &Edge, candidate: &Candidate) -> Ends {
    match space.ends_of(edge, candidate) {
        _ if *candidate == Candidate::Project => Ends::Pairs,
        [from, to] if from == to => Ends::One,
        _ => Ends::Two,
    }
}

/// Slots of the widths of the source and of what candidates yield; of a projection twice that of its pair.
pub(super) fn slots_of(space: &Space, edge: &Edge) -> [usize; 2] {
    if let Some((_, branch)) = space.projection(edge) {
        return [space.slots() + branch.number; 2];
    }
    let all = space.candidates(edge).iter().map(|candidate| space.ends_of(edge, candidate));
    let two = all.clone().find(|[from, to]| from != to);
    let ends = two.or_else(|| all.clone().next()).unwrap_or_else(|| space.ends(edge));
    ends.map(|width| space.slot(width))
}

/// Channels at the ends of a projection, for each pair that they may have together.
pub(super) fn pairs(space: &Space, edge: &Edge) -> Vec<[u64; 2]> {
    let Some((most, branch)) = space.projection(edge) else { return Vec::new() };
    branch.pairs.iter().map(|&[own, at]| [space.options(branch.join)[own], most.options[at]]).collect()
}

/// What fills tables.
#[derive(Clone, Copy)]
pub(super) struct Filler<'a> {
    pub(super) space: &'a Space,
    pub(super) target: &'a Target<'a>,
    pub(super) engine: &'a Engine,
}

impl Filler<'_> {
    /// The tables of all edges; equal ones are made once, in parallel.
    pub(super) fn edges(&self) -> Result<Vec<EdgeTables>, CostError> {
        let space = self.space;
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
        let made: Result<Vec<Arc<Tables>>, CostError> =
            wanted.par_iter().map(|(_, edge, candidate)| Ok(Arc::new(self.fill(edge, candidate)?))).collect();
        let made = made?;
        let tables = space.edges.iter().map(|edge| {
            let [source, target] = slots_of(space, edge);
            let one = |candidate: &Candidate| CandidateTables {
                ends: ends(space, edge, candidate),
                tables: made[seen[&key(space, edge, candidate)]].clone(),
            };
            let candidates = space.candidates(edge).iter().map(one).collect();
            EdgeTables { operator: edge.operator.0, source, target, candidates }
        });
        Ok(tables.collect())
    }

    fn fill(&self, edge: &Edge, candidate: &Candidate) -> Result<Tables, CostError> {
        if *candidate == Candidate::Zero {
            return Ok(Tables::of(&[]));
        }
        let space = self.space;
        let one = |in_width, out_width| {
            let fragment = space.fragment(edge, candidate, in_width, out_width);
            let fragment = fragment.map_err(|source| CostError::Network { edge: edge.name.clone(), source })?;
            Ok(self.target.fragment_cost(self.engine, &fragment)?)
        };
        let [sources, targets] = space.ends_of(edge, candidate).map(|width| space.options_of(width));
        let costs: Result<Vec<FragmentCost>, CostError> = match ends(space, edge, candidate) {
            Ends::Pairs => pairs(space, edge).into_iter().map(|[from, to]| one(from, to)).collect(),
            Ends::One => sources.iter().map(|&width| one(width, width)).collect(),
            Ends::Two => {
                sources.iter().flat_map(|&i| targets.iter().map(move |&j| (i, j))).map(|(i, j)| one(i, j)).collect()
            }
        };
        Ok(Tables::of(&costs?))
    }

    /// The sums that may stand at joins and cost anything; a concatenation never does.
    pub(super) fn sums(&self) -> Result<Vec<(Sum, WidthTables)>, CostError> {
        let mut sums = Vec::new();
        let is_sum = |&join: &usize| self.space.joins[join].merge == Merge::Sum;
        for join in (0..self.space.joins.len()).filter(is_sum) {
            let into = self.space.edges.iter().filter(|edge| edge.to.0 == join).count();
            for branches in 2..=into {
                let tables = self.over_widths(JoinId(join), |width| {
                    let fragment = self.space.sum_fragment(JoinId(join), branches, width);
                    let edge = || self.space.joins[join].name.clone();
                    fragment.map_err(|source| CostError::Network { edge: edge(), source })
                })?;
                let costs = [Quantity::Cycles, Quantity::EnergyPj];
                if costs.into_iter().any(|quantity| tables.tables.quantity(quantity).is_some()) {
                    sums.push((Sum { join, branches }, tables));
                }
            }
        }
        Ok(sums)
    }

    /// The classifier's costs.
    pub(super) fn classifier(&self) -> Result<WidthTables, CostError> {
        self.over_widths(self.space.last(), |width| Ok(self.space.classifier_fragment(width)?))
    }

    fn over_widths(
        &self,
        join: JoinId,
        fragment: impl Fn(u64) -> Result<crate::network::Network, CostError>,
    ) -> Result<WidthTables, CostError> {
        let one = |&width: &u64| Ok(self.target.fragment_cost(self.engine, &fragment(width)?)?);
        let costs: Result<Vec<FragmentCost>, CostError> = self.space.options(join).iter().map(one).collect();
        Ok(WidthTables { width: self.space.slot(self.space.join(join).width), tables: Tables::of(&costs?) })
    }
}

impl EdgeTables {
    /// Whether a candidate begins with what the layer before may do on the way.
    pub(super) fn takes_fusion(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.tables.takes_fusion)
    }

    /// Whether a candidate has any of it.
    pub(super) fn has(&self, quantity: Quantity) -> bool {
        self.candidates.iter().any(|candidate| candidate.tables.quantity(quantity).is_some())
    }

    /// Expected cost of each candidate over the widths of the ends.
    pub(super) fn costs(&self, probabilities: &Probabilities, quantity: Quantity) -> EdgeCosts {
        let (p, q) = (&probabilities.widths[self.source], &probabilities.widths[self.target]);
        let only = decided(q);
        let mut costs = EdgeCosts { of_candidates: Vec::with_capacity(self.candidates.len()), rows: Vec::new() };
        for CandidateTables { tables, ends } in &self.candidates {
            let cost = match (tables.quantity(quantity), ends) {
                (None, _) => 0.0,
                (Some(table), Ends::One | Ends::Pairs) => dot(table, p),
                (Some(table), Ends::Two) => {
                    let start = costs.rows.len();
                    match only {
                        Some(option) => costs.rows.extend(table.iter().skip(option).step_by(q.len())),
                        None => costs.rows.extend(table.chunks_exact(q.len()).map(|row| dot(row, q))),
                    }
                    dot(&costs.rows[start..], p)
                }
            };
            costs.of_candidates.push(cost);
        }
        costs
    }

    /// Adds `weight` times the gradient of the edge's expected cost by the probabilities of its ends' widths.
    pub(super) fn width_gradient(
        &self,
        probabilities: &Probabilities,
        (quantity, costs): (Quantity, &EdgeCosts),
        weight: f64,
        gradient: &mut Probabilities,
    ) {
        let chosen = &probabilities.operators[self.operator];
        let (p, q) = (&probabilities.widths[self.source], &probabilities.widths[self.target]);
        let mut rows = costs.rows.chunks_exact(p.len());
        for (CandidateTables { tables, ends }, r) in self.candidates.iter().zip(chosen) {
            let Some(table) = tables.quantity(quantity) else { continue };
            let factor = weight * r;
            match ends {
                Ends::One | Ends::Pairs => add(&mut gradient.widths[self.source], table, factor),
                Ends::Two => {
                    let by_source = rows.next().expect("a row of sums for each candidate that costs");
                    if factor == 0.0 {
                        continue;
                    }
                    add(&mut gradient.widths[self.source], by_source, factor);
                    let by_target = &mut gradient.widths[self.target];
                    for (row, p) in table.chunks_exact(q.len()).zip(p).filter(|(_, p)| **p != 0.0) {
                        add(by_target, row, factor * p);
                    }
                }
            }
        }
    }
}

/// The option that is certain, where one is.
fn decided(p: &[f64]) -> Option<usize> {
    let mut possible = (0..p.len()).filter(|&option| p[option] != 0.0);
    possible.next().filter(|&option| possible.next().is_none() && p[option] == 1.0)
}

fn add(to: &mut [f64], values: &[f64], factor: f64) {
    for (slot, value) in to.iter_mut().zip(values) {
        *slot += factor * value;
    }
}
