//! Costs of formulas that are fed with expected widths, as U-Boost NAS does: to be compared with.
//!
//! `f = sum_j q_j f_j` channels stand at each join; a candidate's layers are priced between the widths of its ends, the
//! candidates by their probabilities. A search feeds them the draw that the task sees
//! ([`CostModel::is_of_draws`](super::CostModel::is_of_draws)): of a distribution they see the mean alone, which may stand
//! at the edge of a tile while the likeliest width does not. A [`Lookup`](super::Lookup) has no slope by widths: it is asked at the likeliest
//! widths, those of the network that would be derived, and its cost moves operators alone.

use super::CostError;
use super::Hardware;
use super::jet::Jet;
use super::law::{Law, Priced};
use super::layers::{self, Layer};
use super::probabilities::Probabilities;
use super::sum::Point;
use super::table;
use crate::space::Space;

/// How the costs of edges are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sums {
    /// As [`CostModel::expect`](super::CostModel::expect) does: everything counts, dead edges by their probability,
    /// candidates by theirs; utilization is the ratio of the sums.
    #[default]
    Network,
    /// As in U-Boost NAS: the cells alone, without stem, head and classifier; on an edge the mean over the candidates
    /// that take time; latency is the sum over edges, utilization the sum over cells of the mean over the edges that
    /// take time, where a candidate's is the mean over its layers. Projections are not counted.
    Paper,
}

/// Layers of every candidate, and the law that prices them.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    law: Law,
    sums: Sums,
    edges: Vec<EdgeLayers>,
    classifier: (usize, Vec<Layer>),
    /// Channels of the options of every width, those that follow from others behind the choices.
    channels: Vec<Vec<f64>>,
    cells: usize,
    batch: f64,
    pes: f64,
    ms_per_cycle: f64,
}

#[derive(Debug, Clone)]
struct EdgeLayers {
    operator: usize,
    source: usize,
    target: usize,
    /// Number of the cell that it belongs to.
    cell: Option<usize>,
    candidates: Vec<Vec<Layer>>,
    /// Of a projection, what it costs at each pair of widths.
    pairs: Option<Pairs>,
}

/// A projection is priced at each pair of widths that its ends may have together, as the tables do: at their means there
/// would be one wherever two branches may differ.
#[derive(Debug, Clone)]
struct Pairs {
    /// Place of their distribution.
    slot: usize,
    costs: Vec<CandidateCost>,
}

impl Pairs {
    /// The probabilities of the pairs, those of the likeliest where the `law` is asked there.
    fn probabilities(&self, law: &Law, point: &Point<'_>) -> Vec<f64> {
        let probabilities = &point.probabilities.widths[self.slot];
        let Law::Lookup { .. } = law else { return probabilities.clone() };
        let follows = point.model.follows.as_ref().expect("projections follow");
        let first = point.choices.widths.len() + point.model.width_sums.len();
        let likeliest = follows.options(&point.choices.argmax())[self.slot - first];
        (0..probabilities.len()).map(|pair| f64::from(u8::from(pair == likeliest))).collect()
    }
}

/// What a candidate costs.
#[derive(Debug, Clone, Default)]
struct CandidateCost {
    cycles: Jet,
    macs: Jet,
    /// Mean over its layers; nought where it has none.
    utilization: Jet,
}

/// One of them.
type Part = fn(&CandidateCost) -> Jet;

/// A number with its derivatives by everything.
struct Term {
    value: f64,
    gradient: Probabilities,
}

/// Where a formula is asked.
pub(super) struct Scale {
    pub(super) batch: f64,
    pub(super) pes: f64,
    pub(super) ms_per_cycle: f64,
}

impl Formula {
    pub(super) fn new(space: &Space, law: Law, sums: Sums, scale: &Scale) -> Result<Self, CostError> {
        let edge = |edge: &crate::space::Edge| {
            let layers = space.candidates(edge).iter().map(|candidate| layers::of_candidate(space, edge, candidate));
            let [source, target] = table::slots_of(space, edge);
            Ok(EdgeLayers {
                operator: edge.operator.0,
                source,
                target,
                cell: space.cell(edge),
                candidates: layers.collect::<Result<_, CostError>>()?,
                pairs: space.projection(edge).map(|_| Pairs { slot: source, costs: Vec::new() }),
            })
        };
        let mut edges: Vec<EdgeLayers> = space.edges.iter().map(edge).collect::<Result<_, CostError>>()?;
        #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
        let channels = |width| space.options_of(width).iter().map(|&c| c as f64).collect();
        let mut formula = Self {
            sums,
            cells: edges.iter().filter_map(|edge| edge.cell).max().map_or(0, |last| last + 1),
            edges: Vec::new(),
            classifier: (space.slot(space.join(space.last()).width), layers::of_classifier(space)?),
            channels: space.all_widths().map(channels).collect(),
            batch: if matches!(law, Law::Lookup { .. }) { 1.0 } else { scale.batch },
            pes: scale.pes,
            ms_per_cycle: scale.ms_per_cycle,
            law,
        };
        for (edge, of) in edges.iter_mut().zip(&space.edges) {
            if let Some(pairs) = &mut edge.pairs {
                pairs.costs = formula.projections(&edge.candidates[0], &table::pairs(space, of));
            }
        }
        formula.edges = edges;
        formula.covered()?;
        Ok(formula)
    }

    /// That a table has what it will be asked for.
    fn covered(&self) -> Result<(), CostError> {
        let Law::Lookup { table, .. } = &self.law else { return Ok(()) };
        let counted =
            self.edges.iter().filter(|edge| self.counts(edge)).flat_map(|edge| edge.candidates.iter().flatten());
        let classifier = self.classifier.1.iter().filter(|_| self.sums == Sums::Network);
        for layer in counted.chain(classifier) {
            table.covering(layer)?;
        }
        Ok(())
    }

    fn counts(&self, edge: &EdgeLayers) -> bool {
        match self.sums {
            Sums::Network => true,
            Sums::Paper => edge.cell.is_some() && edge.pairs.is_none(),
        }
    }

    /// What the layers of a projection cost at each of `pairs`: nothing where both ends are as wide.
    fn projections(&self, layers: &[Layer], pairs: &[[u64; 2]]) -> Vec<CandidateCost> {
        #[expect(clippy::cast_precision_loss, reason = "channels are far below 2^52")]
        let cost = |&[from, to]: &[u64; 2]| {
            if from == to { CandidateCost::default() } else { self.candidate(layers, from as f64, to as f64) }
        };
        pairs.iter().map(cost).collect()
    }

    pub(super) fn hardware(&self, point: &Point<'_>) -> Hardware {
        let widths = self.widths(point);
        let (cycles, utilization) = match self.sums {
            Sums::Network => self.network(point, &widths),
            Sums::Paper => self.paper(point, &widths),
        };
        Hardware {
            latency_ms: cycles.value * self.ms_per_cycle,
            latency_gradient: cycles.gradient.scaled(self.ms_per_cycle),
            utilization: utilization.value,
            utilization_gradient: utilization.gradient,
        }
    }

    /// The widths that the law is fed with.
    fn widths(&self, point: &Point<'_>) -> Vec<f64> {
        if let Law::Lookup { .. } = self.law {
            let likeliest = point.choices.argmax().widths;
            let sums = point.model.width_sums.iter().map(|sum| sum.option(&likeliest));
            let follows = point.model.follows.iter().flat_map(|follows| follows.options(&point.choices.argmax()));
            let options: Vec<usize> = likeliest.iter().copied().chain(sums).chain(follows).collect();
            return self.channels.iter().zip(options).map(|(channels, option)| channels[option]).collect();
        }
        let mean = |(channels, p): (&Vec<f64>, &Vec<f64>)| channels.iter().zip(p).map(|(c, p)| c * p).sum();
        self.channels.iter().zip(&point.probabilities.widths).map(mean).collect()
    }

    fn candidate(&self, layers: &[Layer], source: f64, target: f64) -> CandidateCost {
        let ends = match self.law {
            Law::Lookup { .. } => (Jet::constant(source), Jet::constant(target)),
            Law::SmoothCeil { .. } | Law::Roofline { .. } | Law::Flops => (Jet::source(source), Jet::target(target)),
        };
        let mut sum = CandidateCost { cycles: Jet::default(), macs: Jet::default(), utilization: Jet::default() };
        for layer in layers {
            let Priced { cycles, macs } = self.law.price(layer, ends, (self.batch, self.pes));
            sum.cycles = sum.cycles + cycles;
            sum.macs = sum.macs + macs;
            sum.utilization = sum.utilization + macs.over(cycles) * self.pes.recip();
        }
        #[expect(clippy::cast_precision_loss, reason = "a candidate has a few layers")]
        let mean = 1.0 / layers.len().max(1) as f64;
        sum.utilization = sum.utilization * mean;
        sum
    }

    /// Adds `weight * by` to the gradient by the widths of the ends.
    fn add_widths(&self, gradient: &mut Probabilities, (source, target): (usize, usize), by: Jet, weight: f64) {
        for (choice, slope) in [(source, by.source), (target, by.target)] {
            let slots = gradient.widths[choice].iter_mut().zip(&self.channels[choice]);
            slots.for_each(|(slot, channels)| *slot += weight * slope * channels);
        }
    }

    /// Cycles of the network, and MACs over PEs and cycles.
    fn network(&self, point: &Point<'_>, widths: &[f64]) -> (Term, Term) {
        let costs: Vec<Vec<CandidateCost>> = self.edges.iter().map(|edge| self.candidates(edge, widths)).collect();
        let cycles = self.weighted(point, widths, (&costs, |cost| cost.cycles));
        let macs = self.weighted(point, widths, (&costs, |cost| cost.macs));
        if cycles.value <= 0.0 {
            let none = Term { value: 0.0, gradient: point.model.shape.clone() };
            return (cycles, none);
        }
        let value = macs.value / (self.pes * cycles.value);
        let mut gradient = macs.gradient.scaled(1.0 / (self.pes * cycles.value));
        gradient.add_scaled(&cycles.gradient, -value / cycles.value);
        (cycles, Term { value, gradient })
    }

    fn candidates(&self, edge: &EdgeLayers, widths: &[f64]) -> Vec<CandidateCost> {
        if edge.pairs.is_some() {
            return Vec::new();
        }
        edge.candidates.iter().map(|layers| self.candidate(layers, widths[edge.source], widths[edge.target])).collect()
    }

    /// The sum of one cost over everything, dead edges by their probability.
    fn weighted(&self, point: &Point<'_>, widths: &[f64], (costs, of): (&[Vec<CandidateCost>], Part)) -> Term {
        let mut gradient = point.model.shape.clone();
        let mut terms = vec![0.0; point.live.weights.len()];
        let mut value = 0.0;
        for (place, (edge, costs)) in self.edges.iter().zip(costs).enumerate() {
            let weight = point.live.weights[place];
            if let Some(pairs) = &edge.pairs {
                terms[place] = self.projection(point, pairs, (weight, of), &mut gradient);
                value += weight * terms[place];
                continue;
            }
            let chosen = &point.probabilities.operators[edge.operator];
            for ((slot, cost), r) in gradient.operators[edge.operator].iter_mut().zip(costs).zip(chosen) {
                *slot += weight * of(cost).value;
                terms[place] += r * of(cost).value;
            }
            for (cost, r) in costs.iter().zip(chosen) {
                self.add_widths(&mut gradient, (edge.source, edge.target), of(cost), weight * r);
            }
            value += weight * terms[place];
        }
        let (last, layers) = &self.classifier;
        let classifier = of(&self.candidate(layers, widths[*last], widths[*last]));
        // The classifier's end is the class scores, no width.
        self.add_widths(&mut gradient, (*last, *last), Jet { target: 0.0, ..classifier }, 1.0);
        value += classifier.value;
        point.model.liveness.pull(&point.live, &terms, &mut gradient);
        Term { value, gradient }
    }

    /// What a projection costs; adds `weight` times its gradient by the pairs, where the law has a slope by widths.
    fn projection(
        &self,
        point: &Point<'_>,
        pairs: &Pairs,
        (weight, of): (f64, Part),
        gradient: &mut Probabilities,
    ) -> f64 {
        let p = pairs.probabilities(&self.law, point);
        if !matches!(self.law, Law::Lookup { .. }) {
            let slots = gradient.widths[pairs.slot].iter_mut().zip(&pairs.costs);
            slots.for_each(|(slot, cost)| *slot += weight * of(cost).value);
        }
        pairs.costs.iter().zip(p).map(|(cost, p)| p * of(cost).value).sum()
    }

    /// The sums of the paper. An edge counts where it can be live at all.
    fn paper(&self, point: &Point<'_>, widths: &[f64]) -> (Term, Term) {
        let shape = &point.model.shape;
        let mut cycles = Term { value: 0.0, gradient: shape.clone() };
        let mut of_cells: Vec<(u32, Term)> =
            (0..self.cells).map(|_| (0, Term { value: 0.0, gradient: shape.clone() })).collect();
        for (place, edge) in self.edges.iter().enumerate() {
            // The paper inserts projections after its search, and charges none.
            let (Some(cell), None, true) = (edge.cell, &edge.pairs, point.live.weights[place] > 0.0) else { continue };
            let costs = self.candidates(edge, widths);
            let chosen = &point.probabilities.operators[edge.operator];
            let timed: f64 = costs.iter().zip(chosen).filter(|(cost, _)| cost.cycles.value > 0.0).map(|(_, r)| r).sum();
            if timed <= 0.0 {
                continue;
            }
            self.mean(edge, (&costs, |cost| cost.cycles), (chosen, timed), &mut cycles);
            of_cells[cell].0 += 1;
            self.mean(edge, (&costs, |cost| cost.utilization), (chosen, timed), &mut of_cells[cell].1);
        }
        let mut utilization = Term { value: 0.0, gradient: shape.clone() };
        for (blocks, cell) in of_cells.iter().filter(|(blocks, _)| *blocks > 0) {
            utilization.value += cell.value / f64::from(*blocks);
            utilization.gradient.add_scaled(&cell.gradient, 1.0 / f64::from(*blocks));
        }
        (cycles, utilization)
    }

    /// Adds the mean of one cost over the candidates that take time.
    fn mean(
        &self,
        edge: &EdgeLayers,
        (costs, of): (&[CandidateCost], Part),
        (chosen, timed): (&[f64], f64),
        to: &mut Term,
    ) {
        let takes_time = |cost: &CandidateCost| cost.cycles.value > 0.0;
        let costly = costs.iter().zip(chosen).filter(|(cost, _)| takes_time(cost));
        let mean = costly.clone().map(|(cost, r)| r * of(cost).value).sum::<f64>() / timed;
        to.value += mean;
        for (cost, r) in costly {
            self.add_widths(&mut to.gradient, (edge.source, edge.target), of(cost), r / timed);
        }
        for (slot, cost) in to.gradient.operators[edge.operator].iter_mut().zip(costs).filter(|(_, c)| takes_time(c)) {
            *slot += (of(cost).value - mean) / timed;
        }
    }
}
