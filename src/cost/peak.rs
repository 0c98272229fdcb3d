//! Most activations alive at once, relaxed.
//!
//! A derived network runs its edges one after the other, join by join, and where several are live their sum behind
//! them, or their concatenation with zeros for what is cut off. At each of these places the values alive are
//!
//! ```text
//! sum over joins of P(held on) P(memory of its own) E[values]  +  outputs of the branches that wait for their sum
//!     + E[values alive within the edge], with its input until its last use where that is not held on
//! ```
//!
//! and the peak is the largest of them, with its gradient. Each probability is exact at one-hot choices, where the peak
//! is the estimator's own number; between them it is **approximate**: ways by which a tensor may be held on are taken
//! as independent, widths and operators enter each factor by their expectations, and the largest of expectations is
//! not the expectation of the largest (it is at most that).

use super::metric::Valued;
use super::probabilities::Probabilities;
use super::sum::Point;
use super::table::{EdgeCosts, EdgeTables, Quantity};
use super::tape::{Tape, Var};
use crate::space::{Merge, Space};

const OF_EDGES: [Quantity; 4] = [Quantity::Held, Quantity::Last, Quantity::Output, Quantity::IsInput];

/// The graph of a space, as memory sees it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    joins: Vec<JoinMemory>,
    /// Source and target of each edge.
    ends: Vec<(usize, usize)>,
    /// Whether the output of an edge may be the memory of its input.
    renaming: Vec<bool>,
}

#[derive(Debug, Clone)]
struct JoinMemory {
    width: usize,
    merge: Merge,
    /// Values of each option of its width, for one image.
    values: Vec<f64>,
    into: Vec<usize>,
    out_of: Vec<usize>,
}

impl Memory {
    pub(super) fn new(space: &Space, edges: &[EdgeTables]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "values of a tensor are far below 2^53")]
        let join = |(place, join): (usize, &crate::space::Join)| JoinMemory {
            width: space.slot(join.width),
            merge: join.merge,
            values: space.options_of(join.width).iter().map(|&c| (c * join.side * join.side) as f64).collect(),
            into: (0..space.edges.len()).filter(|&edge| space.edges[edge].to.0 == place).collect(),
            out_of: (0..space.edges.len()).filter(|&edge| space.edges[edge].from.0 == place).collect(),
        };
        Self {
            joins: space.joins.iter().enumerate().map(join).collect(),
            ends: space.edges.iter().map(|edge| (edge.from.0, edge.to.0)).collect(),
            renaming: edges.iter().map(|edge| edge.has(Quantity::IsInput)).collect(),
        }
    }

    /// The peak in values for one image.
    pub(super) fn peak(&self, point: &Point<'_>) -> Valued {
        let mut sheet = Sheet::new(self, point);
        let places = sheet.places();
        let most = places
            .into_iter()
            .reduce(|most, place| if sheet.tape.value(place) > sheet.tape.value(most) { place } else { most });
        let most = most.expect("there is the classifier");
        Valued { value: sheet.tape.value(most), gradient: sheet.gradient(most) }
    }
}

/// Probabilities and expectations of one edge.
struct EdgeVars {
    /// That it is live.
    live: Var,
    /// For each of [`OF_EDGES`] the expectation, nought where it is not live.
    of: [Var; 4],
}

impl EdgeVars {
    fn held(&self) -> Var {
        self.of[0]
    }

    fn last(&self) -> Var {
        self.of[1]
    }

    fn output(&self) -> Var {
        self.of[2]
    }

    /// Live, and its output is its input's memory.
    fn renames(&self) -> Var {
        self.of[3]
    }
}

/// Everything at one point.
struct Sheet<'a> {
    memory: &'a Memory,
    point: &'a Point<'a>,
    tape: Tape,
    edges: Vec<EdgeVars>,
    costs: Vec<[EdgeCosts; 4]>,
    /// Expected values of each join.
    values: Vec<Var>,
    classifier: Var,
    /// For each edge: it renames, and is the only one live into its target.
    hands_on: Vec<Var>,
    /// For each join: its value is memory of its own, with two live edges or more into it, or one into a concatenation.
    merges: Vec<Var>,
}

impl<'a> Sheet<'a> {
    fn new(memory: &'a Memory, point: &'a Point<'a>) -> Self {
        let mut tape = Tape::default();
        let probabilities = point.probabilities.as_ref();
        let (mut edges, mut costs) = (Vec::new(), Vec::new());
        for (place, edge) in point.model.edges.iter().enumerate() {
            let weight = point.live.weights[place];
            let chosen = &probabilities.operators[edge.operator];
            let of = OF_EDGES.map(|quantity| edge.costs(probabilities, quantity));
            let expected = |costs: &[f64]| weight * costs.iter().zip(chosen).map(|(cost, r)| cost * r).sum::<f64>();
            edges.push(EdgeVars {
                live: tape.leaf(expected(&point.model.there[place])),
                of: of.each_ref().map(|costs| tape.leaf(expected(&costs.of_candidates))),
            });
            costs.push(of);
        }
        let width = |join: &JoinMemory| {
            join.values.iter().zip(&probabilities.widths[join.width]).map(|(value, p)| value * p).sum::<f64>()
        };
        let values = memory.joins.iter().map(|join| tape.leaf(width(join))).collect();
        let classifier = tape.leaf(point.model.classifier.value(probabilities, Quantity::Last));
        let mut sheet =
            Self { memory, point, tape, edges, costs, values, classifier, hands_on: Vec::new(), merges: Vec::new() };
        sheet.count();
        sheet
    }

    fn count(&mut self) {
        let (one, nothing) = (self.tape.leaf(1.0), self.tape.leaf(0.0));
        self.hands_on = self.edges.iter().map(EdgeVars::renames).collect();
        for join in &self.memory.joins {
            let mut none = one;
            for &edge in &join.into {
                let absent = self.tape.complement(self.edges[edge].live);
                none = self.tape.product(none, absent);
            }
            let mut many = self.tape.complement(none);
            if join.merge == Merge::Concatenate {
                join.into.iter().for_each(|&edge| self.hands_on[edge] = nothing);
                self.merges.push(many);
                continue;
            }
            for &edge in &join.into {
                let mut alone = one;
                for &other in join.into.iter().filter(|&&other| other != edge) {
                    let absent = self.tape.complement(self.edges[other].live);
                    alone = self.tape.product(alone, absent);
                }
                let only = self.tape.product(self.edges[edge].live, alone);
                many = self.tape.difference(many, only);
                self.hands_on[edge] = self.tape.product(self.edges[edge].renames(), alone);
            }
            self.merges.push(many);
        }
    }

    /// Values alive at every edge, every sum and the classifier.
    fn places(&mut self) -> Vec<Var> {
        let mut places = vec![self.classifier];
        for join in 0..self.memory.joins.len() {
            let into = &self.memory.joins[join].into;
            let mut waiting = None;
            for &edge in into {
                let held = self.held_on(join, edge);
                let others = self.total(&held);
                let before = self.both(others, waiting);
                let within = self.within(&held, join, edge);
                places.push(self.tape.sum(before, within));
                waiting = Some(self.both(self.edges[edge].output(), waiting));
            }
            if let (Some(&last), true) = (into.last(), into.len() > 1) {
                let held = self.held_on(join, last);
                let others = self.total(&held);
                let mut branches = self.both(others, waiting);
                if self.memory.joins[join].merge == Merge::Concatenate {
                    branches = self.with_zeros(branches, join);
                }
                let own = self.tape.product(self.merges[join], self.values[join]);
                places.push(self.tape.sum(branches, own));
            }
        }
        places
    }

    /// `values`, and the zeros that stand for parts of the concatenation `join` that are cut off.
    fn with_zeros(&mut self, mut values: Var, join: usize) -> Var {
        for &edge in &self.memory.joins[join].into {
            let absent = self.tape.difference(self.merges[join], self.edges[edge].live);
            let zeros = self.tape.product(absent, self.values[self.memory.ends[edge].0]);
            values = self.tape.sum(values, zeros);
        }
        values
    }

    fn both(&mut self, a: Var, b: Option<Var>) -> Var {
        b.map_or(a, |b| self.tape.sum(a, b))
    }

    /// For each join before `now` the probability that its values are read after edge `edge` into `now`.
    fn held_on(&mut self, now: usize, edge: usize) -> Vec<Option<Var>> {
        let mut held: Vec<Option<Var>> = vec![None; now];
        for join in (0..now).rev() {
            let mut any: Option<Var> = None;
            for &out in &self.memory.joins[join].out_of {
                let target = self.memory.ends[out].1;
                let use_later = if target > now || (target == now && out > edge) {
                    Some(self.edges[out].live)
                } else if !self.memory.renaming[out] {
                    None
                } else if target == now {
                    Some(self.edges[out].renames())
                } else {
                    held[target].map(|later| self.tape.product(self.hands_on[out], later))
                };
                any = match (any, use_later) {
                    (Some(any), Some(later)) => Some(self.tape.either(any, later)),
                    (any, later) => any.or(later),
                };
            }
            held[join] = any;
        }
        held
    }

    /// Values of what is held on, each memory once.
    fn total(&mut self, held: &[Option<Var>]) -> Var {
        let mut total = self.tape.leaf(0.0);
        for (join, part) in held.iter().enumerate() {
            let Some(mut part) = *part else { continue };
            for &edge in self.memory.joins[join].into.iter().filter(|&&edge| self.memory.renaming[edge]) {
                let own = self.tape.complement(self.hands_on[edge]);
                part = self.tape.product(part, own);
            }
            part = self.tape.product(part, self.values[join]);
            total = self.tape.sum(total, part);
        }
        total
    }

    /// Values alive within `edge`, its input's among them where that is not held on.
    fn within(&mut self, held: &[Option<Var>], now: usize, edge: usize) -> Var {
        debug_assert_eq!(self.memory.ends[edge].1, now);
        let (inner, last) = (self.edges[edge].held(), self.edges[edge].last());
        let Some(on) = self.roots(held, now)[self.memory.ends[edge].0] else { return last };
        let off = self.tape.complement(on);
        let (with, without) = (self.tape.product(on, inner), self.tape.product(off, last));
        self.tape.sum(with, without)
    }

    /// For each join before `now` the probability that its memory is held on, under whatever name.
    fn roots(&mut self, held: &[Option<Var>], now: usize) -> Vec<Option<Var>> {
        let mut roots = held.to_vec();
        for join in 0..now {
            for &edge in self.memory.joins[join].into.iter().filter(|&&edge| self.memory.renaming[edge]) {
                let Some(before) = roots[self.memory.ends[edge].0] else { continue };
                let through = self.tape.product(self.hands_on[edge], before);
                roots[join] = Some(roots[join].map_or(through, |any| self.tape.either(any, through)));
            }
        }
        roots
    }

    /// Gradient of `of` by every probability.
    fn gradient(&self, of: Var) -> Probabilities {
        let (model, probabilities) = (self.point.model, self.point.probabilities.as_ref());
        let slopes = self.tape.slopes(of);
        let mut gradient = model.shape.clone();
        let mut by_weights = vec![0.0; self.point.live.weights.len()];
        for (place, edge) in model.edges.iter().enumerate() {
            let weight = self.point.live.weights[place];
            let (vars, costs) = (&self.edges[place], &self.costs[place]);
            let mut by_candidates =
                model.there[place].iter().map(|there| there * slopes.by(vars.live)).collect::<Vec<_>>();
            for ((var, quantity), costs) in vars.of.iter().zip(OF_EDGES).zip(costs) {
                let slope = slopes.by(*var);
                if slope == 0.0 {
                    continue;
                }
                by_candidates.iter_mut().zip(&costs.of_candidates).for_each(|(by, cost)| *by += slope * cost);
                edge.width_gradient(probabilities, (quantity, costs), weight * slope, &mut gradient);
            }
            for ((slot, by), r) in gradient.operators[edge.operator]
                .iter_mut()
                .zip(by_candidates)
                .zip(&probabilities.operators[edge.operator])
            {
                *slot += weight * by;
                by_weights[place] += by * r;
            }
        }
        for (join, values) in self.memory.joins.iter().zip(&self.values) {
            let slope = slopes.by(*values);
            gradient.widths[join.width].iter_mut().zip(&join.values).for_each(|(slot, value)| *slot += slope * value);
        }
        model.classifier.gradient(Quantity::Last, slopes.by(self.classifier), &mut gradient);
        model.liveness.pull(&self.point.live, &by_weights, &mut gradient);
        gradient
    }
}
